/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one summary of prefixes that were written with bits behind their length. */
#ifndef ECBPF_LIB_HOST_BITS_H
#define ECBPF_LIB_HOST_BITS_H

#include <ecbpf/libecbpf-list.h>

struct host_bits {
	size_t count;
	char first[160]; /* "'192.0.2.1/24' is taken as 192.0.2.0/24" */
};

/* @text, @len: as it was written; @prefix: as it is taken */
void ecbpf_host_bits_note(struct host_bits *bits, const char *text, size_t len,
			  const struct ecbpf_prefix *prefix);
/* A line, if there were any. @file: or NULL */
void ecbpf_host_bits_log(struct ecbpf *e, const struct host_bits *bits, const char *file);

#endif /* ECBPF_LIB_HOST_BITS_H */
