/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one reader of address prefixes.
 */
#ifndef ECBPF_CORE_PREFIX_H
#define ECBPF_CORE_PREFIX_H

#include <ecbpf/libecbpf-list.h>

/* Bytes, and bits, of an address of this family */
static inline unsigned int ecbpf_addr_size(__u8 family)
{
	return family == 4 ? 4 : 16;
}

static inline unsigned int ecbpf_addr_bits(__u8 family)
{
	return 8 * ecbpf_addr_size(family);
}

/*
 * An address; an address or a prefix. The text is all of @len bytes.
 * Return: NULL; or what is wrong, as it goes on behind the text: "is not ..."
 */
const char *ecbpf_prefix_read_addr(const char *text, size_t len, struct ecbpf_prefix *ret_addr);
const char *ecbpf_prefix_read(const char *text, size_t len, struct ecbpf_prefix *ret_prefix,
			      bool *ret_has_host_bits);

/* Clear what is behind the length. Return: was there anything? */
bool ecbpf_prefix_mask(struct ecbpf_prefix *prefix);

/* The length that an address as a netmask stands for: ones, then zeros. -1: it is none */
int ecbpf_prefix_netmask(const struct ecbpf_prefix *addr);

/* By family, address, length: as for qsort() */
int ecbpf_prefix_compare(const struct ecbpf_prefix *a, const struct ecbpf_prefix *b);

/* Is the other one in it, or the same? */
bool ecbpf_prefix_has(const struct ecbpf_prefix *prefix, const struct ecbpf_prefix *other);

/* The fewest prefixes that are @first to @last, in order. Return: 0, or what @fn returned */
typedef int (*ecbpf_prefix_fn)(void *data, const struct ecbpf_prefix *prefix);
int ecbpf_prefix_range(const struct ecbpf_prefix *first, const struct ecbpf_prefix *last,
		       ecbpf_prefix_fn fn, void *data);

/* In a map of both families: IPv6 that would be IPv4, too. Return: 0; -EINVAL */
int ecbpf_prefix_check_map(struct ecbpf *e, const struct ecbpf_prefix *prefix);

#endif /* ECBPF_CORE_PREFIX_H */
