/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of the compiler share: a generation while it is built.
 */
#ifndef ECBPF_FW_BUILD_H
#define ECBPF_FW_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include "fw/compile.h"

#define TABLE(member) offsetof(struct ecbpf_fw_tables, member)

/* The cells of one map entry */
struct space {
	union ecbpf_fw_cell *cells;
	__u32 next;
	__u32 end;
	__u32 leaves; /* word index of the next IPv4 leaf, see ECBPF_FW_LPM_LEAF */
	__u16 *hash;  /* cells by their content; 0: none */
};

struct build {
	struct ecbpf *e;
	const struct ecbpf_fw_ruleset *ruleset;
	const struct fw_rule *rules; /* parts of the ruleset's, see struct fw_parts */
	const __u16 *index;	     /* of the rule that the part is of */
	enum ecbpf_fw_size size;
	size_t count;
	size_t blocks;
	__u16 *order;	 /* the part at each position */
	__u16 *position; /* of each part */
	struct fw_generation generation;
	struct ecbpf_fw_tables *tables;
	struct ecbpf_fw_small *small;
	size_t small_vectors;
	struct space spaces[ECBPF_FW_LARGE_COUNT];
	__u64 vector[ECBPF_FW_BLOCKS]; /* being built */
	/* the one before: its chunks, and its cell and class in @last_space */
	union ecbpf_fw_cell last[ECBPF_FW_BLOCKS / ECBPF_FW_CHUNK];
	union ecbpf_fw_cell last_vector;
	const struct space *last_space;
	__u16 last_class;
	const char *what; /* is being built, for messages */
};

/* --- compile-parts.c ------------------------------------------------------------------------ */

/**
 * struct fw_parts - the rules as the tables can say them: of one family, without `port`
 * @rules: the ruleset's own, or @own; without texts, and their memory is the ruleset's or @ranges
 * @index: of the rule of the ruleset, for each part; ascending
 * @count: number of @rules
 */
struct fw_parts {
	const struct fw_rule *rules;
	__u16 *index;
	size_t count;
	struct fw_rule *own;
	struct fw_range *ranges;
};

int fw_parts_make(const struct ecbpf_fw_ruleset *ruleset, struct fw_parts *parts);
void fw_parts_free(struct fw_parts *parts);

/* --- compile-vectors.c ---------------------------------------------------------------------- */

void fw_vector_set(__u64 *vector, size_t bit, bool value);
void fw_vector_flip(__u64 *vector, size_t bit);
struct space *fw_space_of(struct build *b, size_t dim);
int fw_space_init(struct space *space, void *cells, __u32 end);
int fw_vector_class(struct build *b, size_t dim, __u16 *ret_class);

/* --- compile-fields.c ----------------------------------------------------------------------- */

__u32 fw_kind_malformed(__u32 kind);
int fw_kind_make(struct build *b);
int fw_fields_make(struct build *b);

/* --- compile-addrs.c ------------------------------------------------------------------------ */

int fw_addrs_make(struct build *b, size_t dim, __u8 family);
int fw_uses_make(struct build *b, const __u16 *sets);

/* --- compile-order.c ------------------------------------------------------------------------ */

bool fw_is_deciding(const struct fw_rule *rule);
int fw_order_make(struct build *b);
void fw_rules_make(struct build *b, const __u16 *counters, const __u16 *limits);

#endif /* ECBPF_FW_BUILD_H */
