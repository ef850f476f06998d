/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps of the firewall.
 */
#ifndef ECBPF_FW_MAPS_BPF_H
#define ECBPF_FW_MAPS_BPF_H

#include <ecbpf/stage.bpf.h>
#include <ecbpf/bucket.h>
#include <ecbpf/trie.bpf.h>
#include <ecbpf/fw.h>

/*
 * For trials of packets from user space: the word of the deciding rule is stored in `fw_decided`,
 * and time stands still, so that buckets are not refilled
 */
const volatile bool fw_is_trial = false;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} fw_decided SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_fw_live);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_active SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ecbpf_fw_settings);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_settings SEC(".maps");

/* Generations by size; at most one slot of all three maps is live */
#define FW_GENERATIONS(name, size, entries)                              \
	struct {                                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                \
		__uint(max_entries, 2);                                  \
		__type(key, __u32);                                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                     \
		__array(                                                 \
			values, struct {                                 \
				__uint(type, BPF_MAP_TYPE_ARRAY);        \
				__uint(max_entries, entries);            \
				__uint(map_flags, BPF_F_MMAPABLE);       \
				__uint(key_size, 4);                     \
				__uint(value_size, sizeof(struct size)); \
			});                                              \
	} name SEC(".maps")

FW_GENERATIONS(fw_small, ecbpf_fw_small, 1);
FW_GENERATIONS(fw_medium, ecbpf_fw_cells, 1);
FW_GENERATIONS(fw_large, ecbpf_fw_cells, ECBPF_FW_LARGE_COUNT);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ECBPF_FW_COUNTERS);
	__type(key, __u32);
	__type(value, struct ecbpf_fw_counter);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FW_LIMITS);
	__type(key, __u32);
	__type(value, struct ecbpf_fw_limit);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FW_LIMITS);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ECBPF_FW_STOCKS);
	__type(key, __u32);
	__type(value, struct ecbpf_stock);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_stocks SEC(".maps");

/* BPF_F_MMAPABLE: values begin at a page, and so each lies in as few cache lines as can be */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ECBPF_FW_GROUPS);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket_group);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FW_SETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ecbpf_trie_head);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_sets SEC(".maps");

ECBPF_TRIE_POOL(fw_set_pool);

/* For user space only: the rules as text, see lib/fw/text.c */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(max_entries, 1);
			__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
			__uint(key_size, sizeof(__u32));
			__uint(value_size, sizeof(struct ecbpf_fw_text_page));
		});
} fw_text SEC(".maps");

#endif /* ECBPF_FW_MAPS_BPF_H */
