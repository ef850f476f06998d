// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Compiles a ruleset, whose meaning is in rules.h, to a generation, whose tables are in
 * <ecbpf/fw.h>.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <ecbpf/reason.h>
#include <ecbpf/record.h>
#include <ecbpf/stage.h>
#include "core/error.h"
#include "core/handle.h"
#include "fw/build.h"

void fw_generation_free(struct fw_generation *generation)
{
	free(generation->memory);
	*generation = (struct fw_generation){};
}

/* The vector of a value, looked up as the program does */
static __u64 small_vector(const struct build *b, size_t dim, __u32 l4, __u32 value)
{
	const struct ecbpf_fw_field *field = &b->tables->fields[l4][dim];
	const __u16 *classes = (const __u16 *)((const char *)b->tables + field->off);

	return b->small->vectors[classes[value & field->mask]];
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
	bool is_malformed = fw_kind_malformed(kind) != 0;
	bool is_later = is_malformed || (kind >> ECBPF_FW_KIND_FRAG & 3) == ECBPF_FRAG_LATER;

	return (is_malformed ? ECBPF_FW_L4_OTHER : protos[kind >> ECBPF_FW_KIND_IP6][kind & 255]) |
	       (is_later ? 0 : ECBPF_FW_L4_THERE);
}

static void fw_small_make(struct build *b)
{
	struct ecbpf_fw_small *small = b->small;
	const struct ecbpf_fw_tables *t = b->tables;

	for (__u32 kind = 0; kind < ECBPF_FW_KINDS; kind++)
		small->kind[kind] = (struct ecbpf_fw_small_kind){
			.vector = small_vector(b, ECBPF_FW_KIND, 0, kind), .l4 = kind_l4(kind)};
	for (__u32 vlan = 0; vlan <= ECBPF_FW_VLAN_NONE; vlan++)
		small->vlan[vlan] = small_vector(b, ECBPF_FW_VLAN, 0, vlan);
	for (__u32 ttl = 0; ttl < ARRAY_SIZE(small->ttl); ttl++)
		small->ttl[ttl] = small_vector(b, ECBPF_FW_TTL, 0, ttl);
	for (__u32 type = 0; type < ARRAY_SIZE(small->type); type++)
		small->type[type] = small_vector(b, ECBPF_FW_TYPE, type >> 8, type & 255);
	for (size_t i = 0; i < b->count; i++) {
		static const __u32 verdicts[] = {
			[FW_DROP] = ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FW_DROP),
			[FW_PASS] = ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE),
			[FW_COUNT] = 0, /* never decides */
			[FW_LIMIT] = ECBPF_VERDICT(XDP_DROP, ECBPF_REASON_FW_LIMIT),
		};
		__u32 verdict = verdicts[b->rules[i].action];
		size_t index = b->index[i];

		small->by_bit[ECBPF_FW_SMALL_RULE(1ULL << b->position[i])] =
			(struct ecbpf_fw_small_rule){
				.verdict = verdict | ECBPF_VERDICT_RULE(0, 0, index + 1),
				.rule = t->rules[b->position[i]],
				.counter = t->counters[index],
				.limit = t->limits[index],
			};
	}
	small->slow = ~t->deciding[0];
	for (size_t i = 0; i < 2 * t->uses_count; i++)
		small->slow |= ~small->use_vectors[i];
}

static void extent_add(struct fw_generation *g, const void *from, size_t size)
{
	g->used[g->used_count++] = (struct fw_extent){
		.at = (const char *)from - (const char *)g->memory, .size = size};
}

/* Most of the memory is not used */
static void extents_make(struct build *b)
{
	struct fw_generation *g = &b->generation;

	if (b->small) {
		extent_add(g, b->small,
			   offsetof(struct ecbpf_fw_small, words) +
				   b->spaces[0].next * sizeof(*b->spaces[0].cells));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(b->spaces) && b->spaces[i].cells; i++)
		extent_add(g, b->spaces[i].cells, b->spaces[i].next * sizeof(*b->spaces[i].cells));
	extent_add(g, b->tables, sizeof(*b->tables));
}

static void build_free(struct build *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(b->spaces); i++)
		free(b->spaces[i].hash);
	free(b->order);
	free(b->position);
	fw_generation_free(&b->generation);
}

static int build_init(struct build *b)
{
	struct fw_generation *g = &b->generation;
	struct ecbpf_fw_cells *entries;
	int err = 0;

	g->size = b->size;
	g->entries = b->size == ECBPF_FW_LARGE ? ECBPF_FW_LARGE_COUNT : 1;
	g->entry_bytes = b->size == ECBPF_FW_SMALL ? sizeof(struct ecbpf_fw_small)
						   : sizeof(struct ecbpf_fw_cells);
	g->memory = calloc(g->entries, g->entry_bytes);
	if (!g->memory)
		return -ENOMEM;
	entries = g->memory;
	switch (b->size) {
	case ECBPF_FW_SMALL:
		b->small = g->memory;
		b->tables = &b->small->tables;
		b->small->vectors[ECBPF_FW_ANY] = ~0ULL;
		b->small_vectors = ECBPF_FW_ANY + 1;
		b->spaces[0] = (struct space){.cells = (void *)b->small->words,
					      .next = 1,
					      .end = ECBPF_FW_SMALL_WORDS / 16};
		break;
	case ECBPF_FW_MEDIUM:
		b->tables = (void *)&entries->cells[ECBPF_FW_TABLES_CELL];
		err = fw_space_init(&b->spaces[0], entries->cells, ECBPF_FW_TABLES_CELL);
		break;
	default:
		b->tables = (void *)&entries[ECBPF_FW_LARGE_TABLES].cells[ECBPF_FW_TABLES_CELL];
		for (size_t i = 0; !err && i < ECBPF_FW_LARGE_TABLES; i++)
			err = fw_space_init(&b->spaces[i], entries[i].cells, ECBPF_FW_CELLS);
	}
	if (err)
		return err;
	b->tables->any = ECBPF_FW_ANY;
	for (size_t dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		for (size_t l4 = 0; l4 < ECBPF_FW_L4_MAX; l4++)
			b->tables->fields[l4][dim].off = offsetof(struct ecbpf_fw_tables, any);
	}
	return fw_order_make(b);
}

static int build_all(struct build *b, const __u16 *sets)
{
	int err;

	b->what = "protocols";
	err = fw_kind_make(b);
	if (err)
		return err;
	b->what = "source prefixes";
	err = fw_addrs_make(b, ECBPF_FW_SRC, 4);
	if (!err)
		err = fw_addrs_make(b, ECBPF_FW_SRC, 6);
	if (err)
		return err;
	b->what = "destination prefixes";
	err = fw_addrs_make(b, ECBPF_FW_DST, 4);
	if (!err)
		err = fw_addrs_make(b, ECBPF_FW_DST, 6);
	if (err)
		return err;
	b->what = "values of fields";
	err = fw_fields_make(b);
	if (err)
		return err;
	_Static_assert(ECBPF_FW_USES_MAX == 64, "as it says");
	b->what = "sets in rules (64, source and destination apart)";
	return fw_uses_make(b, sets);
}

int fw_compile(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const __u16 *counters,
	       const __u16 *limits, const __u16 *sets, struct fw_generation *ret)
{
	size_t most[] = {[ECBPF_FW_SMALL] = ECBPF_FW_SMALL_RULES,
			 [ECBPF_FW_MEDIUM] = ECBPF_FW_MEDIUM_RULES,
			 [ECBPF_FW_LARGE] = ECBPF_FW_RULES_MAX};
	const char *what = "rules";
	struct fw_parts parts;
	int err = -E2BIG;

	if (fw_parts_make(ruleset, &parts))
		return ecbpf_fail_memory(e);
	if (parts.count > ECBPF_FW_RULES_MAX) {
		ecbpf_fail(e, err,
			   "%zu rules are %zu in the tables, where 'inet' and 'port' count twice: "
			   "%d are allowed",
			   ruleset->rules_count, parts.count, ECBPF_FW_RULES_MAX);
		fw_parts_free(&parts);
		return err;
	}
	for (int size = ECBPF_FW_SMALL; size <= ECBPF_FW_LARGE && err == -E2BIG; size += 2) {
		struct build *b;

		if (parts.count > most[size])
			continue;
		b = calloc(1, sizeof(*b));
		if (!b) {
			err = -ENOMEM;
			break;
		}
		*b = (struct build){.ruleset = ruleset,
				    .rules = parts.rules,
				    .index = parts.index,
				    .size = size,
				    .count = parts.count,
				    .blocks = (parts.count + 63) / 64};
		err = build_init(b);
		if (!err)
			err = build_all(b, sets);
		if (!err) {
			fw_rules_make(b, counters, limits);
			if (b->small)
				fw_small_make(b);
			extents_make(b);
			*ret = b->generation;
			b->generation.memory = NULL;
		}
		what = b->what;
		build_free(b);
		free(b);
	}
	fw_parts_free(&parts);
	if (err == -ENOMEM)
		return ecbpf_fail_memory(e);
	if (err)
		return ecbpf_fail(e, err, "too many different %s for the tables", what);
	return 0;
}
