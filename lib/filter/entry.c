// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An entry of a list as text, or as a key of its table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"
#include "filter/filter.h"

/* With another one, a list that is printed would be read as another list */
#define TAG_ALLOWED                                                                          \
	"a tag is a word of ASCII without # ; , | and quotes, neither a number nor like an " \
	"address"

int ecbpf_filter_expiry_parse(struct ecbpf *e, const char *text, __u64 *ret_expires)
{
	const char *end = text + strlen(text);
	__u64 expires = list_expiry_absolute(text, end) ?: list_expiry_relative(text, end);

	if (!expires)
		return ecbpf_fail(e, -EINVAL, "'%s' is not " LIST_EXPIRY_WANTED, text);
	if (expires <= (__u64)time(NULL))
		return ecbpf_fail(e, -EINVAL, "'%s' is in the past", text);
	*ret_expires = expires;
	return 0;
}

int ecbpf_filter_tag_set(struct ecbpf *e, struct ecbpf_filter_entry *entry, const char *tag)
{
	if (strlen(tag) > ECBPF_FILTER_TAG_MAX)
		return ecbpf_fail(e, -EINVAL, "'%s': longer than %d characters", tag,
				  ECBPF_FILTER_TAG_MAX);
	if (*tag && strcmp(tag, "-") && !list_is_tag(tag, tag + strlen(tag)))
		return ecbpf_fail(e, -EINVAL, "'%s': " TAG_ALLOWED, tag);
	snprintf(entry->tag, sizeof(entry->tag), "%s", strcmp(tag, "-") ? tag : "");
	return 0;
}

struct ecbpf_filter_entry *ecbpf_filter_entries(struct ecbpf *e, const struct ecbpf_list *list)
{
	struct ecbpf_filter_entry *entries = calloc(list->count + 1, sizeof(*entries));

	_Static_assert(ECBPF_LIST_TAG_MAX == ECBPF_FILTER_TAG_MAX, "tags are alike");
	if (!entries)
		ecbpf_fail_memory(e);
	for (size_t i = 0; i < list->count && entries; i++) {
		entries[i].prefix = list->entries[i].prefix;
		entries[i].expires = list->entries[i].expires;
		memcpy(entries[i].tag, list->entries[i].tag, sizeof(entries[i].tag));
	}
	return entries;
}

struct ecbpf_trie_op filter_entry_op(const struct ecbpf_filter_entry *entry)
{
	const struct ecbpf_prefix *prefix = &entry->prefix;
	struct ecbpf_trie_op op = {.family = prefix->family, .len = prefix->len};

	for (size_t i = 0; i < 8; i++) {
		op.hi = op.hi << 8 | prefix->addr[i];
		op.lo = op.lo << 8 | prefix->addr[8 + i];
	}
	return op;
}

void filter_entry_set(const struct filter_lists *l, const struct ecbpf_trie_op *op,
		      const struct ecbpf_filter_source *source, struct ecbpf_filter_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->prefix.family = op->family;
	entry->prefix.len = op->len;
	for (int i = 0; i < 8; i++) {
		entry->prefix.addr[i] = op->hi >> (56 - 8 * i);
		entry->prefix.addr[i + 8] = op->lo >> (56 - 8 * i);
	}
	memcpy(entry->tag, source->tag, ECBPF_FILTER_TAG_MAX);
	if (source->expires)
		entry->expires = (source->expires + l->offset + NSEC / 2) / NSEC;
	entry->loaded = source->loaded;
	entry->packets = source->packets;
	entry->bytes = source->bytes;
}

int filter_entry_check(struct ecbpf *e, const struct ecbpf_filter_entry *entry)
{
	struct ecbpf_prefix prefix = entry->prefix;
	size_t len = strnlen(entry->tag, sizeof(entry->tag));

	if ((prefix.family != 4 && prefix.family != 6) ||
	    prefix.len > ecbpf_addr_bits(prefix.family) || ecbpf_prefix_mask(&prefix))
		return ecbpf_fail(e, -EINVAL, "not a prefix");
	if (len > ECBPF_FILTER_TAG_MAX)
		return ecbpf_fail(e, -EINVAL, "a tag has %d characters at most",
				  ECBPF_FILTER_TAG_MAX);
	if (len && !list_is_tag(entry->tag, entry->tag + len))
		return ecbpf_fail(e, -EINVAL, "tag '%s': " TAG_ALLOWED, entry->tag);
	return 0;
}
