/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules to tables, see <ecbpf/fw.h>. It makes no system calls.
 */
#ifndef ECBPF_FW_COMPILE_H
#define ECBPF_FW_COMPILE_H

#include <ecbpf/fw.h>
#include "fw/rules.h"

/* Bytes of the entries of a map, from the beginning of a page on */
struct fw_extent {
	size_t at;
	size_t size;
};

/**
 * struct fw_generation - a compiled ruleset
 * @size: says in which map
 * @memory: the entries of the map
 * @entry_bytes: size of an entry
 * @entries: number of entries
 * @used: all that a packet can read of them
 * @used_count: number of @used
 */
struct fw_generation {
	enum ecbpf_fw_size size;
	void *memory;
	size_t entry_bytes;
	size_t entries;
	struct fw_extent used[ECBPF_FW_LARGE_COUNT];
	size_t used_count;
};

/**
 * fw_compile() - compile a ruleset
 * @counters: entry in `fw_counters`, for each rule
 * @limits: entry in `fw_limits`, for each rule; used for rules with a limit
 * @sets: entry in `fw_sets`, for each set
 * @ret: for fw_generation_free()
 *
 * Return: 0; -E2BIG the tables are full, the error says of what; -ENOMEM.
 */
int fw_compile(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const __u16 *counters,
	       const __u16 *limits, const __u16 *sets, struct fw_generation *ret);
void fw_generation_free(struct fw_generation *generation);

#endif /* ECBPF_FW_COMPILE_H */
