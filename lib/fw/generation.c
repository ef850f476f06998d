// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Generation slots: the tables of a ruleset in the kernel.
 */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "core/util.h"
#include "fw/live.h"

/* Into the map of the slot, if it has one: the kernel does not wait then */
static bool slot_overwrite(const struct fw_maps *maps, __u32 slot,
			   const struct fw_generation *generation)
{
	_cleanup_close_ int fd = -1;
	__u32 id;

	if (bpf_map_lookup_elem(fw_generation_map(maps, generation->size), &slot, &id))
		return false;
	fd = bpf_map_get_fd_by_id(id);
	return fd >= 0 &&
	       !fw_map_store(fd, generation->memory, generation->used, generation->used_count);
}

int fw_slot_write(struct ecbpf *e, struct fw_maps *maps, __u32 slot,
		  const struct fw_generation *generation)
{
	_cleanup_close_ int fd = -1;

	if (slot_overwrite(maps, slot, generation))
		return 0;
	fd = fw_map_create("fw_generation", 0, generation->entry_bytes, generation->entries,
			   generation->memory, generation->used, generation->used_count);
	if (fd < 0)
		return fw_fail_map(e, "of rules", fd);
	if (bpf_map_update_elem(fw_generation_map(maps, generation->size), &slot, &fd, BPF_ANY))
		return fw_fail_map(e, "of rules", -errno);
	return 0;
}

static bool slot_has(int map, __u32 slot)
{
	__u32 id;

	return map >= 0 && !bpf_map_lookup_elem(map, &slot, &id);
}

/*
 * Empty a slot that is not live, when no packet uses it any more. Deleting an entry of the text map
 * makes the kernel wait for packets (10 ms or so, see ecbpf_synchronize()), so that it is deleted
 * first. An empty slot needs no wait.
 */
void fw_slot_clear(struct ecbpf *e, const struct fw_maps *maps, __u32 slot)
{
	const int generations[] = {maps->small, maps->medium, maps->large};
	bool is_waited = slot_has(maps->text, slot) && !bpf_map_delete_elem(maps->text, &slot);

	for (size_t i = 0; i < ARRAY_SIZE(generations); i++) {
		if (!slot_has(generations[i], slot))
			continue;
		if (!is_waited)
			ecbpf_synchronize(e);
		is_waited = true;
		bpf_map_delete_elem(generations[i], &slot);
	}
}

/* The 48 MB of a large one are not kept beside rules that do not need so much */
static bool has_too_much(const struct fw_maps *maps, __u32 slot, __u32 active)
{
	return (active & ~ECBPF_FW_SLOT) != ECBPF_FW_LARGE && slot_has(maps->large, slot);
}

void fw_slot_trim(const struct fw_maps *maps, __u32 active)
{
	__u32 slot = active & ECBPF_FW_SLOT;

	if (has_too_much(maps, slot, active))
		bpf_map_delete_elem(maps->large, &slot);
}

bool fw_slot_keep(struct ecbpf *e, const struct fw_maps *maps, __u32 slot, __u32 active,
		  bool is_idle)
{
	bool is_there = slot_has(maps->small, slot) || slot_has(maps->medium, slot) ||
			slot_has(maps->large, slot);
	__u32 grace;

	if (!is_there || !slot_has(maps->text, slot) || has_too_much(maps, slot, active))
		return false;
	if (fw_text_is_idle(maps, slot))
		return true;
	grace = is_idle ? 0 : ecbpf_grace_begin();
	if (!grace)
		ecbpf_synchronize(e);
	return !fw_text_set_idle(maps, slot, grace);
}
