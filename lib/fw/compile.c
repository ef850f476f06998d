// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rules to tables, see <ecbpf/fw.h> for what they look like, and fw-rules.h for what rules mean.
 *
 * Along the values of a field, the row of one value differs from that of the next by the rules that
 * begin or end there, so that rows are made by going along and flipping bits. Prefixes are gone
 * through as the tree that they are. Equal rows are kept once; equal chunks of rows, too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <ecbpf/reason.h>
#include <ecbpf/record.h>
#include <ecbpf/stage.h>
#include "fw/compile.h"
#include "core/internal.h"

#define ROW_BYTES (ECBPF_FW_BLOCKS * sizeof(__u64))
#define HASH_SIZE (2UL * ECBPF_FW_SLOTS)

/* Slots of one entry */
struct space {
	union ecbpf_fw_slot *slots;
	__u32 next;
	__u32 end;
	__u32 leaves; /* place of the next IPv4 leaf, see ECBPF_FW_LPM_LEAF */
	__u16 *hash;  /* slots by what is in them; 0: none */
};

struct build {
	struct ecbpf *e;
	const struct ecbpf_fw_ruleset *ruleset;
	enum ecbpf_fw_size size;
	size_t count;
	size_t blocks;
	__u16 *order;	 /* index of the rule at each position */
	__u16 *position; /* of each rule */
	struct fw_generation generation;
	struct ecbpf_fw_tables *tables;
	struct ecbpf_fw_small *small;
	size_t small_rows;
	struct space spaces[ECBPF_FW_LARGE_COUNT];
	__u64 row[ECBPF_FW_BLOCKS]; /* at work */
	const char *what;	    /* is being made, for messages */
};

void fw_generation_free(struct fw_generation *generation)
{
	free(generation->memory);
	*generation = (struct fw_generation){};
}

/* --- rows ----------------------------------------------------------------------------------- */

static void row_set(__u64 *row, size_t bit, bool value)
{
	__u64 mask = 1ULL << (bit % 64);

	row[bit / 64] = value ? row[bit / 64] | mask : row[bit / 64] & ~mask;
}

static void row_flip(__u64 *row, size_t bit)
{
	row[bit / 64] ^= 1ULL << (bit % 64);
}

static struct space *space_of(struct build *b, size_t dim)
{
	return &b->spaces[b->size == ECBPF_FW_LARGE ? dim : 0];
}

/* Slot with this content. Return: its number, 0 if there is no room */
static __u16 space_intern(struct space *space, const union ecbpf_fw_slot *slot)
{
	__u64 hash = 0;
	__u32 at;

	for (size_t i = 0; i < ECBPF_FW_CHUNK; i++)
		hash = (hash ^ slot->chunk[i]) * 0x9e3779b97f4a7c15ULL ^ hash >> 29;
	for (at = hash >> 32;; at++) {
		at %= HASH_SIZE;
		if (!space->hash[at])
			break;
		if (!memcmp(&space->slots[space->hash[at]], slot, sizeof(*slot)))
			return space->hash[at];
	}
	if (space->next >= space->end)
		return 0;
	space->slots[space->next] = *slot;
	space->hash[at] = space->next;
	return space->next++;
}

static int small_class(struct build *b, __u64 row, __u16 *ret_class)
{
	__u64 *rows = b->small->rows;

	for (size_t i = b->small_rows; i > ECBPF_FW_ANY; i--) {
		if (rows[i - 1] != row)
			continue;
		*ret_class = i - 1;
		return 0;
	}
	if (b->small_rows == ECBPF_FW_SMALL_CLASSES)
		return -E2BIG;
	*ret_class = b->small_rows;
	rows[b->small_rows++] = row;
	return 0;
}

/* The class of the row at work */
static int row_class(struct build *b, size_t dim, __u16 *ret_class)
{
	union ecbpf_fw_slot row = {};
	__u16 class;

	if (b->size == ECBPF_FW_SMALL)
		return small_class(b, b->row[0], ret_class);
	for (size_t i = 0; i < b->blocks; i++) {
		if (b->row[i])
			row.row.sums[i / 64] |= 1ULL << (i % 64);
	}
	for (size_t i = 0; i * ECBPF_FW_CHUNK < b->blocks; i++) {
		row.row.chunks[i] =
			space_intern(space_of(b, dim), (const void *)&b->row[i * ECBPF_FW_CHUNK]);
		if (!row.row.chunks[i])
			return -E2BIG;
	}
	class = space_intern(space_of(b, dim), &row);
	if (!class)
		return -E2BIG;
	*ret_class = class;
	return 0;
}

/* --- fields --------------------------------------------------------------------------------- */

/* What a rule wants of a field of a packet of this kind; NULL: anything */
typedef const struct fw_values *values_fn(const struct fw_rule *rule);

struct event {
	__u32 value;
	__u32 position;
};

static int event_compare(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

/**
 * struct page - one table of a field
 * @dim: enum ecbpf_fw_dim
 * @l4: the packets that it is for, enum ecbpf_fw_l4; ECBPF_FW_L4_MAX: all
 * @values: what rules want
 * @off: where in the tables it begins
 * @size: how many values it has
 * @is_swapped: it is indexed by values in network order
 * @has_absent: the index behind the last value is for packets without the field
 * @mask: of the index
 */
struct page {
	enum ecbpf_fw_dim dim;
	enum ecbpf_fw_l4 l4;
	values_fn *values;
	size_t off;
	__u32 size;
	bool is_swapped;
	bool has_absent;
	__u32 mask;
};

static bool is_any(const struct fw_values *values)
{
	return !values || !values->count;
}

static int page_events(struct build *b, const struct page *page, struct event **ret_events,
		       size_t *ret_count)
{
	struct event *events;
	size_t count = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct fw_values *values = page->values(&b->ruleset->rules[i]);

		row_set(b->row, b->position[i], is_any(values));
		count += is_any(values) ? 0 : 2 * values->count;
	}
	events = calloc(count + 1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_values *values = page->values(&b->ruleset->rules[i]);

		for (size_t j = 0; !is_any(values) && j < values->count; j++) {
			events[count++] = (struct event){values->ranges[j].first, b->position[i]};
			events[count++] =
				(struct event){values->ranges[j].last + 1U, b->position[i]};
		}
	}
	qsort(events, count, sizeof(*events), event_compare);
	*ret_events = events;
	*ret_count = count;
	return 0;
}

static void field_set(struct build *b, const struct page *page, __u32 l4, size_t off, __u32 mask)
{
	b->tables->fields[l4][page->dim] = (struct ecbpf_fw_field){.off = off, .mask = mask};
}

/* Where the packets that a page is for find it, and the class of those without the field */
static void page_enter(struct build *b, const struct page *page, __u16 absent, bool is_used)
{
	size_t absent_off;

	if (page->l4 == ECBPF_FW_L4_MAX) {
		for (__u32 l4 = 0; is_used && l4 < ECBPF_FW_L4_MAX; l4++)
			field_set(b, page, l4, page->off, page->mask);
		return;
	}
	absent_off = offsetof(struct ecbpf_fw_tables, absent[page->dim][page->l4]);
	b->tables->absent[page->dim][page->l4] = absent;
	field_set(b, page, page->l4, absent_off, 0);
	field_set(b, page, page->l4 | ECBPF_FW_L4_THERE, is_used ? page->off : absent_off,
		  is_used ? page->mask : 0);
}

static int page_make(struct build *b, const struct page *page)
{
	_cleanup_free_ struct event *events = NULL;
	__u16 *table = (__u16 *)((char *)b->tables + page->off);
	__u16 class, absent;
	size_t count, next = 0;
	__u32 value = 0;
	int err;

	err = page_events(b, page, &events, &count);
	if (!err)
		err = row_class(b, page->dim, &absent);
	if (err)
		return err;
	page_enter(b, page, absent, count > 0);
	if (!count && b->size != ECBPF_FW_SMALL)
		return 0; /* it is not looked at */
	if (page->has_absent)
		table[page->size] = absent;
	while (value < page->size) {
		__u32 end;

		for (; next < count && events[next].value == value; next++)
			row_flip(b->row, events[next].position);
		end = next < count ? events[next].value : page->size;
		err = row_class(b, page->dim, &class);
		if (err)
			return err;
		for (; value < end && value < page->size; value++)
			table[page->is_swapped ? htons(value) : value] = class;
	}
	return 0;
}

static const struct fw_values *values_length(const struct fw_rule *rule)
{
	return &rule->length;
}

static const struct fw_values *values_vlan(const struct fw_rule *rule)
{
	return &rule->vlan;
}

static const struct fw_values *values_ttl4(const struct fw_rule *rule)
{
	return rule->family == 4 ? &rule->ttl : NULL;
}

static const struct fw_values *values_ttl6(const struct fw_rule *rule)
{
	return rule->family == 6 ? &rule->ttl : NULL;
}

static const struct fw_values *values_tcp_sport(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_TCP ? &rule->tcp.sport : NULL;
}

static const struct fw_values *values_tcp_dport(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_TCP ? &rule->tcp.dport : NULL;
}

static const struct fw_values *values_window(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_TCP ? &rule->tcp.window : NULL;
}

static const struct fw_values *values_udp_sport(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_UDP ? &rule->udp.sport : NULL;
}

static const struct fw_values *values_udp_dport(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_UDP ? &rule->udp.dport : NULL;
}

static bool has_icmp(const struct fw_rule *rule, __u8 family)
{
	return rule->family == family && rule->protos & FW_PROTO_ICMP;
}

static const struct fw_values *values_type4(const struct fw_rule *rule)
{
	return has_icmp(rule, 4) ? &rule->icmp.type : NULL;
}

static const struct fw_values *values_type6(const struct fw_rule *rule)
{
	return has_icmp(rule, 6) ? &rule->icmp.type : NULL;
}

static const struct fw_values *values_code4(const struct fw_rule *rule)
{
	return has_icmp(rule, 4) ? &rule->icmp.code : NULL;
}

static const struct fw_values *values_code6(const struct fw_rule *rule)
{
	return has_icmp(rule, 6) ? &rule->icmp.code : NULL;
}

#define TABLE(member) offsetof(struct ecbpf_fw_tables, member)
#define L4_ALL	      ECBPF_FW_L4_MAX

/* clang-format off */
static const struct page pages[] = {
	{ECBPF_FW_LENGTH, L4_ALL, values_length, TABLE(length), 65536, false, true, 0x1ffff},
	{ECBPF_FW_VLAN, L4_ALL, values_vlan, TABLE(vlan), 4096, false, true, 0x1fff},
	{ECBPF_FW_SPORT, ECBPF_FW_L4_TCP, values_tcp_sport, TABLE(sport[0]), 65536, true, false,
	 0xffff},
	{ECBPF_FW_SPORT, ECBPF_FW_L4_UDP, values_udp_sport, TABLE(sport[1]), 65536, true, false,
	 0xffff},
	{ECBPF_FW_DPORT, ECBPF_FW_L4_TCP, values_tcp_dport, TABLE(dport[0]), 65536, true, false,
	 0xffff},
	{ECBPF_FW_DPORT, ECBPF_FW_L4_UDP, values_udp_dport, TABLE(dport[1]), 65536, true, false,
	 0xffff},
	{ECBPF_FW_TYPE, ECBPF_FW_L4_ICMP, values_type4, TABLE(type[0]), 256, false, false, 0xff},
	{ECBPF_FW_TYPE, ECBPF_FW_L4_ICMP6, values_type6, TABLE(type[1]), 256, false, false, 0xff},
	{ECBPF_FW_CODE, ECBPF_FW_L4_TCP, values_window, TABLE(window), 65536, true, false, 0xffff},
	{ECBPF_FW_CODE, ECBPF_FW_L4_ICMP, values_code4, TABLE(code[0]), 256, false, false, 0xff},
	{ECBPF_FW_CODE, ECBPF_FW_L4_ICMP6, values_code6, TABLE(code[1]), 256, false, false, 0xff},
};
/* clang-format on */

/* Both families in one table, so that one field entry does for all packets */
static int ttl_make(struct build *b)
{
	static const struct page ttl[] = {
		{ECBPF_FW_TTL, L4_ALL, values_ttl4, TABLE(ttl[0]), 256, false, false, 0x1ff},
		{ECBPF_FW_TTL, L4_ALL, values_ttl6, TABLE(ttl[1]), 256, false, false, 0x1ff},
	};
	bool is_used = false;
	int err;

	for (size_t i = 0; i < b->count; i++)
		is_used |= !is_any(&b->ruleset->rules[i].ttl);
	if (!is_used)
		return 0;
	for (size_t i = 0; i < 256; i++) {
		b->tables->ttl[0][i] = ECBPF_FW_ANY;
		b->tables->ttl[1][i] = ECBPF_FW_ANY;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ttl); i++) {
		err = page_make(b, &ttl[i]);
		if (err)
			return err;
	}
	for (__u32 l4 = 0; l4 < ECBPF_FW_L4_MAX; l4++)
		field_set(b, &ttl[0], l4, ttl[0].off, ttl[0].mask);
	return 0;
}

static bool wants_flags(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_TCP && rule->tcp.mask;
}

static int flags_make(struct build *b)
{
	const struct page page = {
		.dim = ECBPF_FW_TYPE, .l4 = ECBPF_FW_L4_TCP, .off = TABLE(flags), .mask = 0xff};
	bool is_used = false;
	__u16 absent;
	int err;

	for (size_t i = 0; i < b->count; i++) {
		bool wants = wants_flags(&b->ruleset->rules[i]);

		row_set(b->row, b->position[i], !wants);
		is_used |= wants;
	}
	err = row_class(b, page.dim, &absent);
	if (err)
		return err;
	page_enter(b, &page, absent, is_used);
	for (__u32 flags = 0; is_used && flags < 256; flags++) {
		for (size_t i = 0; i < b->count; i++) {
			const struct fw_rule *rule = &b->ruleset->rules[i];

			if (wants_flags(rule))
				row_set(b->row, b->position[i],
					(flags & rule->tcp.mask) == rule->tcp.flags);
		}
		err = row_class(b, page.dim, &b->tables->flags[flags]);
		if (err)
			return err;
	}
	return 0;
}

static void protos_add(struct build *b, size_t rule, __u64 (*protos)[256][ECBPF_FW_BLOCKS])
{
	const struct fw_rule *r = &b->ruleset->rules[rule];
	__u64(*rows)[ECBPF_FW_BLOCKS] = protos[r->family == 6];

	if (r->protos & FW_PROTO_TCP)
		row_set(rows[IPPROTO_TCP], b->position[rule], true);
	if (r->protos & FW_PROTO_UDP)
		row_set(rows[IPPROTO_UDP], b->position[rule], true);
	if (r->protos & FW_PROTO_ICMP)
		row_set(rows[r->family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP], b->position[rule],
			true);
	for (size_t i = 0; r->protos & FW_PROTO_NUMBER && i < r->proto.count; i++) {
		for (__u32 p = r->proto.ranges[i].first; p <= r->proto.ranges[i].last; p++)
			row_set(rows[p & 255], b->position[rule], true);
	}
}

/* All rules are in here: what no rule has at a bit is never taken */
static int kind_make(struct build *b)
{
	_cleanup_free_ __u64(*protos)[256][ECBPF_FW_BLOCKS] = calloc(2, sizeof(*protos));
	__u64 frags[4][ECBPF_FW_BLOCKS] = {}, options[2][ECBPF_FW_BLOCKS] = {};
	int err;

	if (!protos)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_rule *rule = &b->ruleset->rules[i];

		protos_add(b, i, protos);
		for (__u32 frag = 0; frag < ARRAY_SIZE(frags); frag++)
			row_set(frags[frag], b->position[i], rule->frags >> frag & 1);
		row_set(options[0], b->position[i], !rule->options);
		row_set(options[1], b->position[i], true);
	}
	for (__u32 kind = 0; kind < ECBPF_FW_KINDS; kind++) {
		const __u64 *frag = frags[kind >> ECBPF_FW_KIND_FRAG & 3];
		const __u64 *option = options[kind >> ECBPF_FW_KIND_OPTIONS & 1];
		const __u64 *proto = protos[kind >> ECBPF_FW_KIND_IP6][kind & 255];

		for (size_t i = 0; i < b->blocks; i++)
			b->row[i] = proto[i] & frag[i] & option[i];
		err = row_class(b, ECBPF_FW_KIND, &b->tables->kind[kind]);
		if (err)
			return err;
	}
	for (__u32 l4 = 0; l4 < ECBPF_FW_L4_MAX; l4++)
		b->tables->fields[l4][ECBPF_FW_KIND] =
			(struct ecbpf_fw_field){.off = TABLE(kind), .mask = ECBPF_FW_KINDS - 1};
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------ */

/* A prefix of a rule; first only with the rule's position, then once for all, with its class */
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

static struct item item_of(const struct fw_prefix *prefix, __u32 position)
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

/* @count bits of the address from @pos on, none of them on both sides of 64 */
static __u32 bits_at(const struct item *item, int pos, int count)
{
	__u64 half = pos < 64 ? item->high : item->low;

	return half << (pos & 63) >> (64 - count);
}

/* One longest-prefix tree; see ECBPF_FW_LPM_ROOT4 */
struct lpm {
	struct space *space;
	__u32 *words;
	bool is_ip6;
};

/* Room for @slots slots. Return: index of the first word, 0 if there is none */
static __u32 lpm_alloc(struct lpm *lpm, __u32 slots)
{
	__u32 at = lpm->space->next;

	if (slots > lpm->space->end - at)
		return 0;
	lpm->space->next += slots;
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

/* Of a node from bit @pos on. A wide one saves a step, and takes 64 bytes for each item at most */
static int lpm_width(const struct lpm *lpm, size_t count, int pos)
{
	bool is_there = pos + 8 <= (lpm->is_ip6 ? 128 : 32) && pos != 60; /* within a half */

	return is_there && count >= 16 ? 8 : 4;
}

/*
 * The word for addresses that agree in their first @pos bits, a multiple of 4; @items: prefixes of
 * them that are longer; @def: the class of those that none of these takes
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
	if (node >= pos + 4 && items->len == len) { /* it has all others in it */
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

/* The 1 << @bits words from @at on, chosen by that many bits from @pos on */
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

			/* of one that begins before the node, all of it */
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

/* Give each prefix its class, keep each once. Prefixes lie in each other or do not touch */
static int items_class(struct build *b, size_t dim, struct item *items, size_t *count)
{
	size_t kept = 0, i = 0, depth = 0, stack[129];
	int err;

	/* stack: of the prefixes that the one at work lies in, their first item */
	while (i < *count || depth) {
		size_t top = depth ? stack[depth - 1] : 0, end;

		if (depth && (i == *count || common_len(&items[top], &items[i]) < items[top].len)) {
			for (end = top; end < i && !item_compare(&items[top], &items[end]); end++)
				row_flip(b->row, items[end].position);
			depth--;
			continue;
		}
		stack[depth++] = i;
		for (end = i; end < *count && !item_compare(&items[i], &items[end]); end++)
			row_flip(b->row, items[end].position);
		err = row_class(b, dim, &items[i].class);
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

static int addrs_family(struct build *b, size_t dim, __u8 family)
{
	struct lpm lpm = {.space = space_of(b, dim), .is_ip6 = family == 6};
	int bits = family == 6 ? ECBPF_FW_LPM_ROOT6 : ECBPF_FW_LPM_ROOT4;
	_cleanup_free_ struct item *items = NULL;
	size_t count = 0;
	__u16 def;
	__u32 root;
	int err;

	for (size_t i = 0; i < b->count; i++) {
		const struct fw_addrs *addrs = addrs_of(&b->ruleset->rules[i], dim);
		bool is_list =
			addrs->kind == FW_ADDRS_LIST && b->ruleset->rules[i].family == family;

		row_set(b->row, b->position[i], !is_list || addrs->is_negated);
		count += is_list ? addrs->prefixes_count : 0;
	}
	items = calloc(count + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_addrs *addrs = addrs_of(&b->ruleset->rules[i], dim);

		if (addrs->kind != FW_ADDRS_LIST || b->ruleset->rules[i].family != family)
			continue;
		for (size_t j = 0; j < addrs->prefixes_count; j++)
			items[count++] = item_of(&addrs->prefixes[j], b->position[i]);
	}
	qsort(items, count, sizeof(*items), item_compare);
	err = row_class(b, dim, &def);
	if (!err)
		err = items_class(b, dim, items, &count);
	if (err)
		return err;
	if (b->size == ECBPF_FW_SMALL)
		lpm.space = &b->spaces[0];
	lpm.words = lpm.space->slots->words;
	if (!count)
		bits = 0;
	root = lpm_alloc(&lpm, count ? (1U << bits) / 16 : 1);
	if (!root)
		return -E2BIG;
	b->tables->roots[dim - ECBPF_FW_SRC][family == 6] =
		(struct ecbpf_fw_root){.at = root, .mask = (1U << bits) - 1};
	return lpm_node(&lpm, items, count, 0, bits, def, root);
}

/* --- sets ----------------------------------------------------------------------------------- */

static int use_make(struct build *b, size_t dim, size_t set, size_t use)
{
	int err = 0;

	for (size_t is_in = 0; !err && is_in < 2; is_in++) {
		memset(b->row, 0xff, sizeof(b->row));
		for (size_t i = 0; i < b->count; i++) {
			const struct fw_addrs *addrs = addrs_of(&b->ruleset->rules[i], dim);

			if (addrs->kind == FW_ADDRS_SET && addrs->set == set)
				row_set(b->row, b->position[i], is_in != addrs->is_negated);
		}
		if (b->size == ECBPF_FW_SMALL)
			b->small->use_rows[use * 2 + is_in] = b->row[0];
		else
			err = row_class(b, ECBPF_FW_LARGE_SETS, &b->tables->use_rows[use][is_in]);
	}
	return err;
}

static int uses_make(struct build *b, const __u16 *sets)
{
	for (size_t dim = ECBPF_FW_SRC; dim <= ECBPF_FW_DST; dim++) {
		for (size_t set = 0; set < b->ruleset->sets_count; set++) {
			size_t use = b->tables->uses_count, i = 0;
			int err;

			for (; i < b->count; i++) {
				const struct fw_addrs *addrs = addrs_of(&b->ruleset->rules[i], dim);

				if (addrs->kind == FW_ADDRS_SET && addrs->set == set)
					break;
			}
			if (i == b->count)
				continue;
			if (use == ECBPF_FW_USES_MAX)
				return -E2BIG;
			b->tables->uses[use] =
				sets[set] | (dim == ECBPF_FW_DST ? ECBPF_FW_USE_DST : 0) |
				(b->ruleset->sets[set].family == 6 ? ECBPF_FW_USE_IP6 : 0);
			err = use_make(b, dim, set, use);
			if (err)
				return err;
			b->tables->uses_count++;
		}
	}
	return 0;
}

/* --- positions ------------------------------------------------------------------------------ */

static bool is_deciding(const struct fw_rule *rule)
{
	return !rule->is_dry && (rule->action == FW_DROP || rule->action == FW_PASS);
}

/* What rules that end the search are sorted by: those that pick out packets by the same field are
 * together, in the order of its values
 */
struct sort_key {
	__u64 value;
	__u32 field;
	__u32 index;
};

static bool key_values(struct sort_key *key, __u32 field, const struct fw_values *values)
{
	if (!values->count)
		return false;
	key->field = field;
	key->value = values->ranges[0].first;
	return true;
}

static bool key_addrs(struct sort_key *key, __u32 field, const struct fw_addrs *addrs)
{
	if (addrs->kind != FW_ADDRS_LIST || addrs->is_negated || !addrs->prefixes_count)
		return false;
	key->field = field;
	key->value = item_of(&addrs->prefixes[0], 0).high;
	return true;
}

static struct sort_key key_of(const struct fw_rule *rule, size_t index)
{
	struct sort_key key = {.index = index, .field = 99};

	if (key_addrs(&key, 0, &rule->src) || key_addrs(&key, 1, &rule->dst) ||
	    key_values(&key, 2, &rule->tcp.dport) || key_values(&key, 3, &rule->udp.dport) ||
	    key_values(&key, 4, &rule->tcp.sport) || key_values(&key, 5, &rule->udp.sport) ||
	    key_values(&key, 6, &rule->length) || key_values(&key, 7, &rule->tcp.window) ||
	    key_values(&key, 8, &rule->icmp.type) || key_values(&key, 9, &rule->ttl) ||
	    key_values(&key, 10, &rule->vlan))
		key.field = key.field * 2 + (rule->family == 6);
	return key;
}

static int key_compare(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;

	if (x->field != y->field)
		return x->field < y->field ? -1 : 1;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static int index_compare(const void *a, const void *b)
{
	return *(const __u16 *)a - *(const __u16 *)b;
}

static int order_make(struct build *b)
{
	_cleanup_free_ struct sort_key *keys = calloc(b->count + 1, sizeof(*keys));
	size_t deciding = 0, next;

	b->order = calloc(b->count + 1, sizeof(*b->order));
	b->position = calloc(b->count + 1, sizeof(*b->position));
	if (!keys || !b->order || !b->position)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++) {
		if (is_deciding(&b->ruleset->rules[i]))
			keys[deciding++] = key_of(&b->ruleset->rules[i], i);
	}
	qsort(keys, deciding, sizeof(*keys), key_compare);
	for (size_t i = 0; i < deciding; i++)
		b->order[i] = keys[i].index;
	for (size_t i = 0; i < deciding; i += 64)
		qsort(&b->order[i], deciding - i < 64 ? deciding - i : 64, sizeof(*b->order),
		      index_compare);
	next = deciding;
	for (size_t i = 0; i < b->count; i++) {
		if (!is_deciding(&b->ruleset->rules[i]))
			b->order[next++] = i;
	}
	for (size_t i = 0; i < b->count; i++)
		b->position[b->order[i]] = i;
	return 0;
}

static __u32 rule_word(const struct fw_rule *rule, size_t index)
{
	static const __u32 actions[] = {
		[FW_DROP] = ECBPF_FW_RULE_DROP,
		[FW_PASS] = ECBPF_FW_RULE_PASS,
		[FW_COUNT] = ECBPF_FW_RULE_COUNT,
		[FW_LIMIT] = ECBPF_FW_RULE_LIMIT,
	};

	return (__u32)index << ECBPF_FW_RULE_INDEX | actions[rule->action] |
	       (rule->is_dry ? ECBPF_FW_RULE_DRY : 0);
}

static void rules_make(struct build *b, const __u16 *counters, const __u16 *limits)
{
	struct ecbpf_fw_tables *t = b->tables;

	memset(t->first, 0xff, sizeof(t->first));
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_rule *rule = &b->ruleset->rules[i];
		size_t position = b->position[i];

		t->rules[position] = rule_word(rule, i);
		t->counters[i] = counters[i];
		t->limits[i] = rule->action == FW_LIMIT ? limits[i] : 0;
		row_set(t->deciding, position, is_deciding(rule));
		if (i < t->first[position / 64])
			t->first[position / 64] = i;
	}
}

/* --- small ----------------------------------------------------------------------------------- */

/* As the program finds the class of a value, and then its row */
static __u64 small_row(const struct build *b, size_t dim, __u32 l4, __u32 value)
{
	const struct ecbpf_fw_field *field = &b->tables->fields[l4][dim];
	const __u16 *classes = (const __u16 *)((const char *)b->tables + field->off);

	return b->small->rows[classes[value & field->mask]];
}

static __u32 kind_l4(__u32 kind)
{
	static const __u8 protos[2][256] = {
		{[IPPROTO_TCP] = ECBPF_FW_L4_TCP,
		 [IPPROTO_UDP] = ECBPF_FW_L4_UDP,
		 [IPPROTO_ICMP] = ECBPF_FW_L4_ICMP},
		{[IPPROTO_TCP] = ECBPF_FW_L4_TCP,
		 [IPPROTO_UDP] = ECBPF_FW_L4_UDP,
		 [IPPROTO_ICMPV6] = ECBPF_FW_L4_ICMP6},
	};
	bool is_later = (kind >> ECBPF_FW_KIND_FRAG & 3) == ECBPF_FRAG_LATER;

	return protos[kind >> ECBPF_FW_KIND_IP6][kind & 255] | (is_later ? 0 : ECBPF_FW_L4_THERE);
}

static void small_make(struct build *b)
{
	struct ecbpf_fw_small *small = b->small;
	const struct ecbpf_fw_tables *t = b->tables;

	for (__u32 kind = 0; kind < ECBPF_FW_KINDS; kind++)
		small->kind[kind] = (struct ecbpf_fw_small_kind){
			.row = small_row(b, ECBPF_FW_KIND, 0, kind), .l4 = kind_l4(kind)};
	for (__u32 vlan = 0; vlan <= ECBPF_FW_VLAN_NONE; vlan++)
		small->vlan[vlan] = small_row(b, ECBPF_FW_VLAN, 0, vlan);
	for (__u32 ttl = 0; ttl < ARRAY_SIZE(small->ttl); ttl++)
		small->ttl[ttl] = small_row(b, ECBPF_FW_TTL, 0, ttl);
	for (__u32 type = 0; type < ARRAY_SIZE(small->type); type++)
		small->type[type] = small_row(b, ECBPF_FW_TYPE, type >> 8, type & 255);
	for (size_t i = 0; i < b->count; i++) {
		static const __u32 verdicts[] = {
			[FW_DROP] = ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FW_DROP),
			[FW_PASS] = ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE),
			[FW_COUNT] = 0, /* never ends the search */
			[FW_LIMIT] = ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FW_LIMIT),
		};
		__u32 verdict = verdicts[b->ruleset->rules[i].action];

		small->by_bit[ECBPF_FW_SMALL_RULE(1ULL << b->position[i])] =
			(struct ecbpf_fw_small_rule){
				.verdict = verdict | ECBPF_VERDICT_RULE(0, 0, i + 1),
				.rule = t->rules[b->position[i]],
				.counter = t->counters[i],
				.limit = t->limits[i],
			};
	}
	small->slow = ~t->deciding[0];
	for (size_t i = 0; i < 2 * t->uses_count; i++)
		small->slow |= ~small->use_rows[i];
}

/* --- generations ---------------------------------------------------------------------------- */

static void build_free(struct build *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(b->spaces); i++)
		free(b->spaces[i].hash);
	free(b->order);
	free(b->position);
	fw_generation_free(&b->generation);
}

static int space_init(struct space *space, void *slots, __u32 end)
{
	*space = (struct space){.slots = slots, .next = 3, .end = end};
	space->hash = calloc(HASH_SIZE, sizeof(*space->hash));
	if (!space->hash)
		return -ENOMEM;
	memset(&space->slots[2], 0xff, sizeof(space->slots[2]));
	memset(space->slots[ECBPF_FW_ANY].row.sums, 0xff, sizeof(space->slots->row.sums));
	for (size_t i = 0; i < ARRAY_SIZE(space->slots->row.chunks); i++)
		space->slots[ECBPF_FW_ANY].row.chunks[i] = 2;
	return 0;
}

static int build_init(struct build *b)
{
	struct fw_generation *g = &b->generation;
	struct ecbpf_fw_slots *entries;
	int err = 0;

	g->size = b->size;
	g->entries = b->size == ECBPF_FW_LARGE ? ECBPF_FW_LARGE_COUNT : 1;
	g->entry_bytes = b->size == ECBPF_FW_SMALL ? sizeof(struct ecbpf_fw_small)
						   : sizeof(struct ecbpf_fw_slots);
	g->memory = calloc(g->entries, g->entry_bytes);
	if (!g->memory)
		return -ENOMEM;
	entries = g->memory;
	switch (b->size) {
	case ECBPF_FW_SMALL:
		b->small = g->memory;
		b->tables = &b->small->tables;
		b->small->rows[ECBPF_FW_ANY] = ~0ULL;
		b->small_rows = ECBPF_FW_ANY + 1;
		b->spaces[0] = (struct space){.slots = (void *)b->small->words,
					      .next = 1,
					      .end = ECBPF_FW_SMALL_WORDS / 16};
		break;
	case ECBPF_FW_MEDIUM:
		b->tables = (void *)&entries->slots[ECBPF_FW_TABLES_SLOT];
		err = space_init(&b->spaces[0], entries->slots, ECBPF_FW_TABLES_SLOT);
		break;
	default:
		b->tables = (void *)&entries[ECBPF_FW_LARGE_TABLES].slots[ECBPF_FW_TABLES_SLOT];
		for (size_t i = 0; !err && i < ECBPF_FW_LARGE_TABLES; i++)
			err = space_init(&b->spaces[i], entries[i].slots, ECBPF_FW_SLOTS);
	}
	if (err)
		return err;
	b->tables->any = ECBPF_FW_ANY;
	for (size_t dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		for (size_t l4 = 0; l4 < ECBPF_FW_L4_MAX; l4++)
			b->tables->fields[l4][dim].off = TABLE(any);
	}
	return order_make(b);
}

static int build_all(struct build *b, const __u16 *sets)
{
	int err;

	b->what = "protocols";
	err = kind_make(b);
	if (err)
		return err;
	b->what = "source prefixes";
	err = addrs_family(b, ECBPF_FW_SRC, 4);
	if (!err)
		err = addrs_family(b, ECBPF_FW_SRC, 6);
	if (err)
		return err;
	b->what = "destination prefixes";
	err = addrs_family(b, ECBPF_FW_DST, 4);
	if (!err)
		err = addrs_family(b, ECBPF_FW_DST, 6);
	if (err)
		return err;
	b->what = "values of fields";
	err = flags_make(b);
	if (!err)
		err = ttl_make(b);
	for (size_t i = 0; !err && i < ARRAY_SIZE(pages); i++)
		err = page_make(b, &pages[i]);
	if (err)
		return err;
	_Static_assert(ECBPF_FW_USES_MAX == 64, "as it says");
	b->what = "sets in rules (64, source and destination apart)";
	return uses_make(b, sets);
}

int fw_compile(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const __u16 *counters,
	       const __u16 *limits, const __u16 *sets, struct fw_generation *ret)
{
	size_t most[] = {[ECBPF_FW_SMALL] = ECBPF_FW_SMALL_RULES,
			 [ECBPF_FW_MEDIUM] = ECBPF_FW_MEDIUM_RULES,
			 [ECBPF_FW_LARGE] = ECBPF_FW_RULES_MAX};
	const char *what = "rules";
	int err = -E2BIG;

	for (int size = ECBPF_FW_SMALL; size <= ECBPF_FW_LARGE && err == -E2BIG; size += 2) {
		struct build *b;

		if (ruleset->rules_count > most[size])
			continue;
		b = calloc(1, sizeof(*b));
		if (!b)
			return ecbpf_fail(e, -ENOMEM, "out of memory");
		*b = (struct build){.ruleset = ruleset,
				    .size = size,
				    .count = ruleset->rules_count,
				    .blocks = (ruleset->rules_count + 63) / 64};
		err = build_init(b);
		if (!err)
			err = build_all(b, sets);
		if (!err) {
			rules_make(b, counters, limits);
			if (b->small)
				small_make(b);
			*ret = b->generation;
			b->generation.memory = NULL;
		}
		what = b->what;
		build_free(b);
		free(b);
	}
	if (err == -ENOMEM)
		return ecbpf_fail(e, err, "out of memory");
	if (err)
		return ecbpf_fail(e, err, "there are more different %s than fit", what);
	return 0;
}
