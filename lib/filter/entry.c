// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An entry of a list as text, or as a key of its table.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/handle.h"
#include "filter/filter.h"

static __u64 load_be64(const __u8 *from)
{
	__u64 value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

struct ecbpf_trie_op filter_entry_op(const struct ecbpf_filter_entry *entry)
{
	struct ecbpf_trie_op op = {.family = entry->family, .len = entry->len};

	op.hi = load_be64(entry->addr);
	if (entry->family == 6)
		op.lo = load_be64(entry->addr + 8);
	return op;
}

void filter_entry_set(const struct filter_lists *l, const struct ecbpf_trie_op *op,
		      const struct ecbpf_filter_source *source, struct ecbpf_filter_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->family = op->family;
	entry->len = op->len;
	for (int i = 0; i < 8; i++) {
		entry->addr[i] = op->hi >> (56 - 8 * i);
		entry->addr[i + 8] = op->lo >> (56 - 8 * i);
	}
	memcpy(entry->tag, source->tag, ECBPF_FILTER_TAG_MAX);
	if (source->expires)
		entry->expires = (source->expires + l->offset + NSEC / 2) / NSEC;
	entry->loaded = source->loaded;
	entry->packets = source->packets;
	entry->bytes = source->bytes;
}

/* Clear what is behind the length. Return: was there anything? */
static bool entry_mask(struct ecbpf_filter_entry *entry)
{
	bool found = false;

	for (int i = 0; i < 16; i++) {
		int bits = entry->len - 8 * i;
		__u8 mask = bits >= 8 ? 0xff : bits <= 0 ? 0 : 0xff << (8 - bits);

		found |= entry->addr[i] & ~mask;
		entry->addr[i] &= mask;
	}
	return found;
}

int ecbpf_filter_entry_parse(struct ecbpf *e, const char *text, struct ecbpf_filter_entry *ret,
			     bool *ret_host_bits)
{
	struct ecbpf_filter_entry entry = {};
	const char *slash = strchrnul(text, '/');
	char addr[INET6_ADDRSTRLEN], *end = "";
	unsigned long len, max;

	/* a text that is cut here is longer than any address, and not a valid one */
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	entry.family = strchr(addr, ':') ? 6 : 4;
	if (inet_pton(entry.family == 6 ? AF_INET6 : AF_INET, addr, entry.addr) != 1)
		return ecbpf_fail(e, -EINVAL,
				  "'%s' is neither an IPv4 nor an IPv6 address or prefix", text);
	max = entry.family == 6 ? 128 : 32;
	len = *slash ? strtoul(slash + 1, &end, 10) : max;
	if ((*slash && (slash[1] < '0' || slash[1] > '9')) || *end || len > max)
		return ecbpf_fail(e, -EINVAL, "'%s': the length of the prefix is not 0 to %lu",
				  text, max);
	entry.len = len;
	*ret_host_bits = entry_mask(&entry);
	*ret = entry;
	return 0;
}

void ecbpf_filter_entry_format(const struct ecbpf_filter_entry *entry, char *ret, size_t size)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(entry->family == 6 ? AF_INET6 : AF_INET, entry->addr, addr, sizeof(addr));
	if (entry->len == (entry->family == 6 ? 128 : 32))
		snprintf(ret, size, "%s", addr);
	else
		snprintf(ret, size, "%s/%u", addr, entry->len);
}

int filter_entry_check(struct ecbpf *e, const struct ecbpf_filter_entry *entry)
{
	struct ecbpf_filter_entry masked = *entry;
	size_t len = strnlen(entry->tag, sizeof(entry->tag));

	if ((entry->family != 4 && entry->family != 6) ||
	    entry->len > (entry->family == 6 ? 128 : 32) || entry_mask(&masked))
		return ecbpf_fail(e, -EINVAL, "not a prefix");
	if (len > ECBPF_FILTER_TAG_MAX)
		return ecbpf_fail(e, -EINVAL, "a tag has %d characters at most",
				  ECBPF_FILTER_TAG_MAX);
	for (size_t i = 0; i < len; i++)
		if (entry->tag[i] <= ' ' || entry->tag[i] > '~' || entry->tag[i] == '#')
			return ecbpf_fail(e, -EINVAL,
					  "tag '%s': only ASCII is allowed, without blanks and '#'",
					  entry->tag);
	return 0;
}
