// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Trees of address prefixes: the prefixes of all rules, each with its class.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/array.h"
#include "core/util.h"
#include "fw/build.h"

/* A prefix: first one for each rule, with its position; then one for all rules, with its class */
struct item {
	__u64 high;
	__u64 low;
	__u32 position;
	__u16 class;
	__u8 len;
};

static int item_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->high != y->high)
		return x->high < y->high ? -1 : 1;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return x->len - y->len;
}

static struct item item_of(const struct ecbpf_prefix *prefix, __u32 position)
{
	struct item item = {.len = prefix->len, .position = position};

	for (size_t i = 0; i < 8; i++) {
		item.high = item.high << 8 | prefix->addr[i];
		item.low = item.low << 8 | prefix->addr[8 + i];
	}
	return item;
}

static __u64 mask_of(int bits)
{
	return bits <= 0 ? 0 : bits >= 64 ? ~0ULL : ~(~0ULL >> bits);
}

static __u8 common_len(const struct item *a, const struct item *b)
{
	__u8 len = a->len < b->len ? a->len : b->len, same;

	if (a->high != b->high)
		same = __builtin_clzll(a->high ^ b->high);
	else if (a->low != b->low)
		same = 64 + __builtin_clzll(a->low ^ b->low);
	else
		same = 128;
	return same < len ? same : len;
}

/* @count bits of the address from bit @pos on; they do not cross bit 64 */
static __u32 bits_at(const struct item *item, int pos, int count)
{
	__u64 half = pos < 64 ? item->high : item->low;

	return half << (pos & 63) >> (64 - count);
}

/* A longest-prefix tree, see ECBPF_FW_LPM_ROOT4 */
struct lpm {
	struct space *space;
	__u32 *words;
	bool is_ip6;
};

/* Allocate @cells cells. Return: index of the first word, 0 if there is no room */
static __u32 lpm_alloc(struct lpm *lpm, __u32 cells)
{
	__u32 at = lpm->space->next;

	if (cells > lpm->space->end - at)
		return 0;
	lpm->space->next += cells;
	return at * 16;
}

static int lpm_node(struct lpm *lpm, const struct item *items, size_t count, int pos, int bits,
		    __u32 def, __u32 at);

static int lpm_leaf(struct lpm *lpm, const struct item *item, __u8 len, __u32 equal, __u32 other,
		    __u32 *ret_word)
{
	__u64 high = mask_of(len), low = mask_of(len - 64);
	__u32 *leaf, at;

	if (lpm->is_ip6) {
		at = lpm_alloc(lpm, 1);
		if (!at)
			return -E2BIG;
		leaf = &lpm->words[at];
		memcpy(leaf, (__u64[]){item->high & high, item->low & low, high, low}, 32);
		leaf[8] = equal;
		leaf[9] = other;
		*ret_word = ECBPF_FW_LPM_REFERENCE | ECBPF_FW_LPM_LEAF | at / 16;
		return 0;
	}
	at = lpm->space->leaves;
	if (at % 16 == 0) {
		at = lpm_alloc(lpm, 1);
		if (!at)
			return -E2BIG;
	}
	lpm->space->leaves = at + 4;
	leaf = &lpm->words[at];
	leaf[0] = (item->high & high) >> 32;
	leaf[1] = high >> 32;
	leaf[2] = equal;
	leaf[3] = other;
	*ret_word = ECBPF_FW_LPM_REFERENCE | ECBPF_FW_LPM_LEAF | at / 4;
	return 0;
}

/* Width of a node from bit @pos on: a wide one saves a step, and costs 64 bytes an item at most */
static int lpm_width(const struct lpm *lpm, size_t count, int pos)
{
	bool is_there =
		pos + 8 <= (lpm->is_ip6 ? 128 : 32) && pos != 60; /* does not cross bit 64 */

	return is_there && count >= 16 ? 8 : 4;
}

/*
 * The word for addresses with the same first @pos bits, a multiple of 4. @items: their longer
 * prefixes; @def: the class of addresses that have none of these
 */
static int lpm_word(struct lpm *lpm, const struct item *items, size_t count, int pos, __u32 def,
		    __u32 *ret_word)
{
	__u32 word, class = def;
	int err, node, width;
	__u8 len;

	if (!count) {
		*ret_word = def;
		return 0;
	}
	if (count == 1)
		return lpm_leaf(lpm, items, items->len, items->class, def, ret_word);
	len = common_len(&items[0], &items[count - 1]);
	node = len & ~3;
	if (node >= pos + 4 && items->len == len) { /* it covers all others */
		class = items->class;
		err = lpm_word(lpm, items + 1, count - 1, node, class, &word);
		return err ? err : lpm_leaf(lpm, items, len, word, def, ret_word);
	}
	if (node < pos + 4)
		node = pos;
	width = lpm_width(lpm, count, node);
	word = lpm_alloc(lpm, (1U << width) / 16);
	if (!word)
		return -E2BIG;
	err = lpm_node(lpm, items, count, node, width, def, word);
	word = ECBPF_FW_LPM_REFERENCE | (width == 8 ? ECBPF_FW_LPM_WIDE : 0) |
	       (__u32)((lpm->is_ip6 ? 128 : 32) - node - width) << ECBPF_FW_LPM_SHIFT | word / 16;
	if (!err && node > pos)
		return lpm_leaf(lpm, items, node, word, def, ret_word);
	*ret_word = word;
	return err;
}

/* Fill a node, the words from @at on, which is indexed by @bits bits from bit @pos on */
static int lpm_node(struct lpm *lpm, const struct item *items, size_t count, int pos, int bits,
		    __u32 def, __u32 at)
{
	__u32 slots = 1U << bits;
	size_t i = 0;
	int err;

	for (__u32 slot = 0; slot < slots; slot++)
		lpm->words[at + slot] = def;
	while (i < count) {
		__u32 slot = bits_at(&items[i], pos, bits);
		size_t end = i;

		if (items[i].len <= pos + bits) {
			__u32 span = 1U << (pos + bits - items[i].len);

			/* a prefix that ends before the node fills all of it */
			if (items[i].len < pos) {
				slot = 0;
				span = slots;
			}
			for (__u32 j = 0; j < span; j++)
				lpm->words[at + slot + j] = items[i].class;
			i++;
			continue;
		}
		while (end < count && bits_at(&items[end], pos, bits) == slot)
			end++;
		err = lpm_word(lpm, items + i, end - i, pos + bits, lpm->words[at + slot],
			       &lpm->words[at + slot]);
		if (err)
			return err;
		i = end;
	}
	return 0;
}

/* Compute the class of each prefix, and remove duplicates. @items is sorted */
static int items_class(struct build *b, size_t dim, struct item *items, size_t *count)
{
	size_t kept = 0, i = 0, depth = 0, stack[129];
	int err;

	/* stack: the first item of each prefix that covers the current one */
	while (i < *count || depth) {
		size_t top = depth ? stack[depth - 1] : 0, end;

		if (depth && (i == *count || common_len(&items[top], &items[i]) < items[top].len)) {
			for (end = top; end < i && !item_compare(&items[top], &items[end]); end++)
				fw_vector_flip(b->vector, items[end].position);
			depth--;
			continue;
		}
		stack[depth++] = i;
		for (end = i; end < *count && !item_compare(&items[i], &items[end]); end++)
			fw_vector_flip(b->vector, items[end].position);
		err = fw_vector_class(b, dim, &items[i].class);
		if (err)
			return err;
		for (size_t j = i; j < end; j++)
			items[j].class = items[i].class;
		i = end;
	}
	for (i = 0; i < *count; i++) {
		if (!kept || item_compare(&items[kept - 1], &items[i]))
			items[kept++] = items[i];
	}
	*count = kept;
	return 0;
}

static const struct fw_addrs *addrs_of(const struct fw_rule *rule, size_t dim)
{
	return dim == ECBPF_FW_SRC ? &rule->src : &rule->dst;
}

int fw_addrs_make(struct build *b, size_t dim, __u8 family)
{
	struct lpm lpm = {.space = fw_space_of(b, dim), .is_ip6 = family == 6};
	int bits = family == 6 ? ECBPF_FW_LPM_ROOT6 : ECBPF_FW_LPM_ROOT4;
	_cleanup_free_ struct item *items = NULL;
	__u16 def = ECBPF_FW_ANY;
	size_t count = 0;
	__u32 root;
	int err;

	for (size_t i = 0; i < b->count; i++) {
		const struct fw_addrs *addrs = addrs_of(&b->rules[i], dim);
		bool is_list = addrs->kind == FW_ADDRS_LIST && b->rules[i].family == family;

		fw_vector_set(b->vector, b->position[i], !is_list || addrs->is_negated);
		for (size_t j = 0; is_list && j < addrs->prefixes_count; j++) {
			struct item *item = ecbpf_array_add(&items, &count, sizeof(*item));

			if (!item)
				return -ENOMEM;
			*item = item_of(&addrs->prefixes[j], b->position[i]);
		}
	}
	if (count) {
		qsort(items, count, sizeof(*items), item_compare);
		err = fw_vector_class(b, dim, &def);
		if (!err)
			err = items_class(b, dim, items, &count);
		if (err)
			return err;
	}
	if (b->size == ECBPF_FW_SMALL)
		lpm.space = &b->spaces[0];
	lpm.words = lpm.space->cells->words;
	if (!count)
		bits = 0;
	root = lpm_alloc(&lpm, count ? (1U << bits) / 16 : 1);
	if (!root)
		return -E2BIG;
	b->tables->roots[dim - ECBPF_FW_SRC][family == 6] =
		(struct ecbpf_fw_root){.at = root, .mask = (1U << bits) - 1};
	return lpm_node(&lpm, items, count, 0, bits, def, root);
}

/* Does the rule of this family look the set up? */
static bool uses_set(const struct fw_rule *rule, size_t dim, size_t set, __u8 family)
{
	const struct fw_addrs *addrs = addrs_of(rule, dim);

	return rule->family == family && addrs->kind == FW_ADDRS_SET && addrs->set == set;
}

static int use_make(struct build *b, size_t dim, size_t set, __u8 family, size_t use)
{
	int err = 0;

	for (size_t is_in = 0; !err && is_in < 2; is_in++) {
		memset(b->vector, 0xff, sizeof(b->vector));
		for (size_t i = 0; i < b->count; i++) {
			const struct fw_rule *rule = &b->rules[i];

			if (uses_set(rule, dim, set, family))
				fw_vector_set(b->vector, b->position[i],
					      is_in != addrs_of(rule, dim)->is_negated);
		}
		if (b->size == ECBPF_FW_SMALL)
			b->small->use_vectors[use * 2 + is_in] = b->vector[0];
		else
			err = fw_vector_class(b, ECBPF_FW_LARGE_SETS,
					      &b->tables->use_classes[use][is_in]);
	}
	return err;
}

/* A set of both families is looked up for rules of each */
static int family_uses_make(struct build *b, size_t dim, __u8 family, const __u16 *sets)
{
	for (size_t set = 0; set < b->ruleset->sets_count; set++) {
		size_t use = b->tables->uses_count, i = 0;
		int err;

		while (i < b->count && !uses_set(&b->rules[i], dim, set, family))
			i++;
		if (i == b->count)
			continue;
		if (use == ECBPF_FW_USES_MAX)
			return -E2BIG;
		b->tables->uses[use] = sets[set] | (dim == ECBPF_FW_DST ? ECBPF_FW_USE_DST : 0) |
				       (family == 6 ? ECBPF_FW_USE_IP6 : 0);
		err = use_make(b, dim, set, family, use);
		if (err)
			return err;
		b->tables->uses_count++;
	}
	return 0;
}

int fw_uses_make(struct build *b, const __u16 *sets)
{
	int err = 0;

	for (size_t dim = ECBPF_FW_SRC; dim <= ECBPF_FW_DST; dim++)
		for (__u8 family = 4; family <= 6 && !err; family += 2)
			err = family_uses_make(b, dim, family, sets);
	return err;
}
