// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of fields with up to 65536 values: ports, length, VLAN, TTL, flags, type, code, protocol.
 *
 * From one value of a field to the next, the bit vector changes only where the range of a rule
 * begins or ends: the vectors are made by walking the values and flipping bits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ecbpf/record.h>
#include "core/util.h"
#include "fw/build.h"

/* The values of a field that the rule matches, for packets of this kind; NULL: any */
typedef const struct fw_values *values_fn(const struct fw_rule *rule);

struct event {
	__u32 value;
	__u32 position;
};

/* By value, which has 16 bits: by its lower byte, then by the upper one. @room: for as many */
static void events_sort(struct event *events, struct event *room, size_t count)
{
	for (int shift = 0; shift < 16; shift += 8) {
		size_t next[257] = {}; /* place for the next event, by byte */
		struct event *sorted = room;

		for (size_t i = 0; i < count; i++)
			next[(events[i].value >> shift & 255) + 1]++;
		for (size_t i = 0; i < 255; i++)
			next[i + 1] += next[i];
		for (size_t i = 0; i < count; i++)
			sorted[next[events[i].value >> shift & 255]++] = events[i];
		room = events;
		events = sorted;
	}
}

/**
 * struct field_table - how to build a table of a field
 * @dim: enum ecbpf_fw_dim
 * @l4: enum ecbpf_fw_l4 of the packets; ECBPF_FW_L4_MAX: all packets
 * @values: the values that a rule matches
 * @off: offset in struct ecbpf_fw_tables
 * @size: number of values
 * @is_swapped: the index is the value in network order
 * @has_absent: the index behind the last value is for packets without the field
 * @mask: for the index
 */
struct field_table {
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

static int field_table_events(struct build *b, const struct field_table *table,
			      struct event **ret_events, size_t *ret_count)
{
	struct event *events, *room;
	size_t count = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct fw_values *values = table->values(&b->rules[i]);

		fw_vector_set(b->vector, b->position[i], is_any(values));
		count += is_any(values) ? 0 : 2 * values->count;
	}
	events = calloc(2 * count + 1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	room = events + count;
	count = 0;
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_values *values = table->values(&b->rules[i]);

		for (size_t j = 0; !is_any(values) && j < values->count; j++) {
			__u32 end = values->ranges[j].last + 1U;

			events[count++] = (struct event){values->ranges[j].first, b->position[i]};
			if (end < table->size)
				events[count++] = (struct event){end, b->position[i]};
		}
	}
	events_sort(events, room, count);
	*ret_events = events;
	*ret_count = count;
	return 0;
}

static void field_set(struct build *b, const struct field_table *table, __u32 l4, size_t off,
		      __u32 mask)
{
	b->tables->fields[l4][table->dim] = (struct ecbpf_fw_field){.off = off, .mask = mask};
}

/* Enter the table into ecbpf_fw_tables.fields, and the class of packets without the field */
static void field_table_enter(struct build *b, const struct field_table *table, __u16 absent,
			      bool is_used)
{
	size_t absent_off;

	if (table->l4 == ECBPF_FW_L4_MAX) {
		for (__u32 l4 = 0; is_used && l4 < ECBPF_FW_L4_MAX; l4++)
			field_set(b, table, l4, table->off, table->mask);
		return;
	}
	absent_off = offsetof(struct ecbpf_fw_tables, absent[table->dim][table->l4]);
	b->tables->absent[table->dim][table->l4] = absent;
	field_set(b, table, table->l4, absent_off, 0);
	field_set(b, table, table->l4 | ECBPF_FW_L4_THERE, is_used ? table->off : absent_off,
		  is_used ? table->mask : 0);
}

/* Does a rule test the field? */
static bool field_is_used(const struct build *b, const struct field_table *table)
{
	for (size_t i = 0; i < b->count; i++) {
		if (!is_any(table->values(&b->rules[i])))
			return true;
	}
	return false;
}

static int field_table_make(struct build *b, const struct field_table *table)
{
	_cleanup_free_ struct event *events = NULL;
	__u16 *classes = (__u16 *)((char *)b->tables + table->off);
	__u16 class, absent;
	size_t count, next = 0;
	__u32 value = 0;
	int err;

	if (b->size != ECBPF_FW_SMALL && !field_is_used(b, table)) {
		field_table_enter(b, table, ECBPF_FW_ANY, false); /* the table is not read */
		return 0;
	}
	err = field_table_events(b, table, &events, &count);
	if (!err)
		err = fw_vector_class(b, table->dim, &absent);
	if (err)
		return err;
	field_table_enter(b, table, absent, count > 0);
	if (table->has_absent)
		classes[table->size] = absent;
	while (value < table->size) {
		__u32 end;

		for (; next < count && events[next].value == value; next++)
			fw_vector_flip(b->vector, events[next].position);
		end = next < count ? events[next].value : table->size;
		err = fw_vector_class(b, table->dim, &class);
		if (err)
			return err;
		for (; value < end && value < table->size; value++)
			classes[table->is_swapped ? htons(value) : value] = class;
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
static const struct field_table field_tables[] = {
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

/* Both families share a table, so that one entry of ecbpf_fw_tables.fields serves all packets */
static int ttl_make(struct build *b)
{
	static const struct field_table ttl[] = {
		{ECBPF_FW_TTL, L4_ALL, values_ttl4, TABLE(ttl[0]), 256, false, false, 0x1ff},
		{ECBPF_FW_TTL, L4_ALL, values_ttl6, TABLE(ttl[1]), 256, false, false, 0x1ff},
	};
	bool is_used = false;
	int err;

	for (size_t i = 0; i < b->count; i++)
		is_used |= !is_any(&b->rules[i].ttl);
	if (!is_used)
		return 0;
	for (size_t i = 0; i < 256; i++) {
		b->tables->ttl[0][i] = ECBPF_FW_ANY;
		b->tables->ttl[1][i] = ECBPF_FW_ANY;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ttl); i++) {
		err = field_table_make(b, &ttl[i]);
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

static bool flags_match(__u32 test, __u32 flags)
{
	return (flags & test >> 8) == (test & 255);
}

/* From one value to the next, the vector changes by the rules whose test has another result */
static int flags_classes(struct build *b, const struct event *events, const struct event *tests,
			 size_t count)
{
	__u16 *classes = b->tables->flags;

	for (__u32 flags = 0; flags < 256; flags++) {
		bool is_same = flags;
		int err;

		for (size_t i = 0; i < count; i++) {
			if (flags_match(tests[i].value, flags) ==
			    (flags && flags_match(tests[i].value, flags - 1)))
				continue;
			is_same = false;
			for (size_t j = tests[i].position; j < tests[i + 1].position; j++)
				fw_vector_flip(b->vector, events[j].position);
		}
		if (is_same) {
			classes[flags] = classes[flags - 1];
			continue;
		}
		err = fw_vector_class(b, ECBPF_FW_TYPE, &classes[flags]);
		if (err)
			return err;
	}
	return 0;
}

static int flags_make(struct build *b)
{
	const struct field_table table = {
		.dim = ECBPF_FW_TYPE, .l4 = ECBPF_FW_L4_TCP, .off = TABLE(flags), .mask = 0xff};
	_cleanup_free_ struct event *events = calloc(2 * b->count + 1, sizeof(*events));
	struct event *tests; /* where the events of each test begin */
	size_t count = 0, tests_count = 0;
	__u16 absent;
	int err;

	if (!events)
		return -ENOMEM;
	tests = events + b->count;
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_rule *rule = &b->rules[i];

		fw_vector_set(b->vector, b->position[i], !wants_flags(rule));
		if (wants_flags(rule))
			events[count++] = (struct event){rule->tcp.mask << 8 | rule->tcp.flags,
							 b->position[i]};
	}
	err = fw_vector_class(b, table.dim, &absent);
	if (err)
		return err;
	field_table_enter(b, &table, absent, count > 0);
	if (!count)
		return 0;
	events_sort(events, tests, count);
	for (size_t i = 0; i < count; i++)
		if (!i || events[i].value != events[i - 1].value)
			tests[tests_count++] = (struct event){events[i].value, i};
	tests[tests_count].position = count;
	return flags_classes(b, events, tests, tests_count);
}

/* By family and protocol number: the rules that match it, and whether there are any */
struct protos {
	__u64 vectors[2][256][ECBPF_FW_BLOCKS];
	bool are_used[2][256];
};

static void proto_add(struct build *b, struct protos *protos, size_t rule, __u8 proto)
{
	bool is_ip6 = b->rules[rule].family == 6;

	fw_vector_set(protos->vectors[is_ip6][proto], b->position[rule], true);
	protos->are_used[is_ip6][proto] = true;
}

static void protos_add(struct build *b, struct protos *protos, size_t rule)
{
	const struct fw_rule *r = &b->rules[rule];

	if (r->protos & FW_PROTO_TCP)
		proto_add(b, protos, rule, IPPROTO_TCP);
	if (r->protos & FW_PROTO_UDP)
		proto_add(b, protos, rule, IPPROTO_UDP);
	if (r->protos & FW_PROTO_ICMP)
		proto_add(b, protos, rule, r->family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	for (size_t i = 0; r->protos & FW_PROTO_NUMBER && i < r->proto.count; i++) {
		for (__u32 p = r->proto.ranges[i].first; p <= r->proto.ranges[i].last; p++)
			proto_add(b, protos, rule, p);
	}
}

/* Return: the reason, if the kind is one of malformed packets, else 0 */
__u32 fw_kind_malformed(__u32 kind)
{
	__u32 reason = kind & 255;

	if (!reason || reason > ECBPF_REASON_MALFORMED_LAST)
		return 0;
	for (__u32 version = 0; version <= 6; version += version ? 2 : 4)
		if (kind == ECBPF_FW_KIND_OF_MALFORMED(reason, version))
			return reason;
	return 0;
}

/* Into the vector being built: rules that match packets of this kind, malformed for @reason */
static void malformed_vector(struct build *b, __u32 kind, __u32 reason)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_rule *rule = &b->rules[i];

		fw_vector_set(b->vector, b->position[i],
			      rule->malformed >> reason & 1 &&
				      (!rule->family ||
				       kind == ECBPF_FW_KIND_OF_MALFORMED(reason, rule->family)));
	}
}

/* The vectors of this dimension have no bits but those of rules: spare bits never match */
int fw_kind_make(struct build *b)
{
	_cleanup_free_ struct protos *protos = calloc(1, sizeof(*protos));
	__u64 frags[4][ECBPF_FW_BLOCKS] = {}, options[2][ECBPF_FW_BLOCKS] = {};
	__u32 malformed = 0; /* reasons that a rule has */
	__u16 none;
	int err;

	if (!protos)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++) {
		const struct fw_rule *rule = &b->rules[i];

		protos_add(b, protos, i);
		for (__u32 frag = 0; frag < ARRAY_SIZE(frags); frag++)
			fw_vector_set(frags[frag], b->position[i], rule->frags >> frag & 1);
		fw_vector_set(options[0], b->position[i], !rule->options);
		fw_vector_set(options[1], b->position[i], true);
		malformed |= rule->malformed;
	}
	memset(b->vector, 0, sizeof(b->vector));
	err = fw_vector_class(b, ECBPF_FW_KIND, &none);
	if (err)
		return err;
	for (__u32 kind = 0; kind < ECBPF_FW_KINDS; kind++) {
		const __u64 *frag = frags[kind >> ECBPF_FW_KIND_FRAG & 3];
		const __u64 *option = options[kind >> ECBPF_FW_KIND_OPTIONS & 1];
		const __u64 *proto = protos->vectors[kind >> ECBPF_FW_KIND_IP6][kind & 255];
		__u32 reason = fw_kind_malformed(kind);

		b->tables->kind[kind] = none;
		if (reason ? !(malformed >> reason & 1)
			   : !protos->are_used[kind >> ECBPF_FW_KIND_IP6][kind & 255])
			continue;
		for (size_t i = 0; i < b->blocks; i++)
			b->vector[i] = proto[i] & frag[i] & option[i];
		if (reason)
			malformed_vector(b, kind, reason);
		err = fw_vector_class(b, ECBPF_FW_KIND, &b->tables->kind[kind]);
		if (err)
			return err;
	}
	for (__u32 l4 = 0; l4 < ECBPF_FW_L4_MAX; l4++)
		b->tables->fields[l4][ECBPF_FW_KIND] =
			(struct ecbpf_fw_field){.off = TABLE(kind), .mask = ECBPF_FW_KINDS - 1};
	return 0;
}

int fw_fields_make(struct build *b)
{
	int err;

	err = flags_make(b);
	if (!err)
		err = ttl_make(b);
	for (size_t i = 0; !err && i < ARRAY_SIZE(field_tables); i++)
		err = field_table_make(b, &field_tables[i]);
	return err;
}
