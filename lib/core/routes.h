/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which addresses are this host's. Not exported.
 */
#ifndef ECBPF_LIB_ROUTES_H
#define ECBPF_LIB_ROUTES_H

#include <stddef.h>
#include <ecbpf/filter.h>

struct ecbpf;

/* @kind: ECBPF_FILTER_ADDR_LOCAL, also of anycast addresses, or ECBPF_FILTER_ADDR_BROADCAST */
struct ecbpf_route {
	struct ecbpf_filter_addr prefix;
	__u32 kind;
};

/**
 * ecbpf_routes_read() - local and broadcast routes, of all tables
 * @ret_routes: array, for free()
 */
int ecbpf_routes_read(struct ecbpf *e, struct ecbpf_route **ret_routes, size_t *ret_count);

#endif /* ECBPF_LIB_ROUTES_H */
