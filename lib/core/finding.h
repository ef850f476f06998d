/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Findings of checks, in a list. */
#ifndef ECBPF_LIB_FINDING_H
#define ECBPF_LIB_FINDING_H

#include <stddef.h>
#include <ecbpf/libecbpf.h>

struct findings {
	struct ecbpf_finding *items;
	size_t count;
	struct ecbpf_finding lost; /* takes findings when memory is short; then it has a code */
};

/* @iface: "": of the host. Return: never NULL; the next one makes it invalid */
struct ecbpf_finding *finding_add(struct findings *findings, enum ecbpf_severity severity,
				  const char *iface, const char *code, const char *what, ...)
	__attribute__((format(printf, 5, 6)));
/* What it means for traffic; the command that repairs it */
void finding_why(struct ecbpf_finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void finding_fix(struct ecbpf_finding *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* ECBPF_LIB_FINDING_H */
