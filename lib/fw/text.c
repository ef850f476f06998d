// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `fw_text`: the rules of a generation as text, with the counters, limits and sets that they use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "fw/live.h"

#define TEXT_MAGIC 0x66776563

/* Head of a text; for each set a text_set follows, for each rule a text_rule and its text */
struct text_head {
	__u32 magic;
	__u32 rules;
	__u32 sets;
	__u32 bytes; /* of the whole text */
};

struct text_set {
	char name[FW_SET_NAME_MAX + 1];
	__u16 entry;
	__u8 family;
	__u8 is_live;
};

struct text_rule {
	__u16 counter;
	__u16 limit;
	__u32 len; /* of the text that follows, with NUL */
};

/* At the end of the map: after which grace period no packet uses the slot; 0: it is over */
struct text_tail {
	__u32 magic; /* else a packet may use it. No text has these bytes */
	__u32 grace;
};
#define TAIL_MAGIC 0xfffefffeU

/* The text of a slot in our memory. Return: where; or NULL, with errno */
static void *text_open(const struct fw_maps *maps, __u32 slot, struct ecbpf_view *ret)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1;
	__u32 id;

	if (bpf_map_lookup_elem(maps->text, &slot, &id) || (fd = bpf_map_get_fd_by_id(id)) < 0 ||
	    ecbpf_map_info(fd, &info))
		return NULL;
	ret->size = (size_t)info.max_entries * info.value_size;
	ret->at = ecbpf_map_memory(fd, ret->size);
	return ret->at;
}

static struct text_tail *tail_of(const struct ecbpf_view *text)
{
	return (struct text_tail *)((char *)text->at + text->size) - 1;
}

bool fw_text_is_idle(const struct fw_maps *maps, __u32 slot)
{
	_cleanup_view_ struct ecbpf_view text = {};
	struct text_tail tail;

	if (!text_open(maps, slot, &text))
		return false;
	tail = *tail_of(&text);
	return tail.magic == TAIL_MAGIC && (!tail.grace || ecbpf_grace_is_over(tail.grace));
}

int fw_text_set_idle(const struct fw_maps *maps, __u32 slot, __u32 grace)
{
	_cleanup_view_ struct ecbpf_view text = {};

	if (!text_open(maps, slot, &text))
		return -errno;
	__atomic_store_n(&tail_of(&text)->grace, grace, __ATOMIC_RELEASE);
	__atomic_store_n(&tail_of(&text)->magic, TAIL_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

/* Over the text of the slot, if it fits. It is not idle any more, as it may be live from now on */
static bool text_overwrite(const struct fw_maps *maps, __u32 slot, const char *bytes, size_t size)
{
	_cleanup_view_ struct ecbpf_view text = {};

	if (!text_open(maps, slot, &text) || size > text.size - sizeof(struct text_tail))
		return false;
	memcpy(text.at, bytes, size);
	__atomic_store_n(&tail_of(&text)->magic, 0, __ATOMIC_RELEASE);
	return true;
}

int fw_text_write(struct ecbpf *e, const struct fw_maps *maps, __u32 slot,
		  const struct fw_state *state)
{
	struct text_head head = {.magic = TEXT_MAGIC,
				 .rules = state->ruleset->rules_count,
				 .sets = state->ruleset->sets_count};
	const size_t page = sizeof(struct ecbpf_fw_text_page);
	_cleanup_free_ char *bytes = NULL;
	_cleanup_close_ int fd = -1;
	size_t size = 0, pages;
	FILE *out = open_memstream(&bytes, &size);

	if (!out)
		return ecbpf_fail_memory(e);
	fwrite(&head, sizeof(head), 1, out);
	for (size_t i = 0; i < head.sets; i++) {
		const struct fw_set *set = &state->ruleset->sets[i];
		struct text_set entry = {
			.entry = state->sets[i], .family = set->family, .is_live = set->is_live};

		memcpy(entry.name, set->name, sizeof(entry.name));
		fwrite(&entry, sizeof(entry), 1, out);
	}
	for (size_t i = 0; i < head.rules; i++) {
		struct text_rule entry = {.counter = state->counters[i], .limit = state->limits[i]};
		const char *text = state->ruleset->rules[i].text;

		entry.len = strlen(text) + 1;
		fwrite(&entry, sizeof(entry), 1, out);
		fwrite(text, entry.len, 1, out);
	}
	if (fclose(out))
		return ecbpf_fail_memory(e);
	head.bytes = size;
	memcpy(bytes, &head, sizeof(head));
	if (text_overwrite(maps, slot, bytes, size))
		return 0;
	/* with room for some more rules, and the tail */
	pages = (size + size / 8 + 512) / page + 1;
	fd = fw_map_create("fw_text", BPF_F_INNER_MAP, page, pages, bytes,
			   &(struct fw_extent){.size = size}, 1);
	if (fd < 0)
		return fw_fail_map(e, "of text", fd);
	if (bpf_map_update_elem(maps->text, &slot, &fd, BPF_ANY))
		return fw_fail_map(e, "of text", -errno);
	return 0;
}

/* Return: 0; -EPROTO the text is damaged */
static int text_parse(struct ecbpf *e, const char *at, const char *end, bool for_sets,
		      struct fw_state *state)
{
	const struct text_head *head = (const void *)at;
	struct ecbpf_fw_ruleset *ruleset = state->ruleset;
	int err;

	at += sizeof(*head);
	state->counters = calloc(head->rules + 1, sizeof(*state->counters));
	state->limits = calloc(head->rules + 1, sizeof(*state->limits));
	state->sets = calloc(head->sets + 1, sizeof(*state->sets));
	if (!state->counters || !state->limits || !state->sets)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < head->sets; i++) {
		struct text_set entry;
		struct fw_set *set;

		if (at + sizeof(entry) > end)
			return -EPROTO;
		memcpy(&entry, at, sizeof(entry));
		at += sizeof(entry);
		set = ecbpf_array_add(&ruleset->sets, &ruleset->sets_count, sizeof(*set));
		if (!set)
			return ecbpf_fail_memory(e);
		memcpy(set->name, entry.name, sizeof(set->name));
		set->family = entry.family;
		set->is_live = entry.is_live;
		state->sets[i] = entry.entry;
	}
	for (size_t i = 0; i < head->rules; i++) {
		struct text_rule entry;

		if (at + sizeof(entry) > end)
			return -EPROTO;
		memcpy(&entry, at, sizeof(entry));
		at += sizeof(entry);
		if (!entry.len || entry.len > (size_t)(end - at) || at[entry.len - 1])
			return -EPROTO;
		/* a rule that uses a set has its name behind a '@' */
		if (!for_sets || memchr(at, '@', entry.len)) {
			size_t index = ruleset->rules_count;

			err = fw_rule_insert_kept(e, ruleset, index, at);
			if (err)
				return err;
			ruleset->rules[index].text = strdup(at);
			if (!ruleset->rules[index].text)
				return ecbpf_fail_memory(e);
			state->counters[index] = entry.counter;
			state->limits[index] = entry.limit;
		}
		at += entry.len;
	}
	return 0;
}

static int fail_text(struct ecbpf *e, int err)
{
	return ecbpf_fail(e, err,
			  "the text of the live rules (fw_text): %s; 'ecbpf-fw apply' repairs it",
			  err == -EPROTO ? "damaged" : strerror(-err));
}

int fw_state_read(struct ecbpf *e, const struct fw_maps *maps, __u32 active, bool for_sets,
		  struct fw_state *ret)
{
	struct fw_state state = {.ruleset = calloc(1, sizeof(*state.ruleset))};
	_cleanup_view_ struct ecbpf_view text = {};
	int err;

	if (!state.ruleset)
		return ecbpf_fail_memory(e);
	if (!active) {
		err = fw_state_alloc(e, &state);
		goto out;
	}
	err = fw_slot_check(e, maps, active);
	if (err)
		goto out;
	if (!text_open(maps, active & ECBPF_FW_SLOT, &text)) {
		err = fail_text(e, -errno);
		goto out;
	}
	err = ((const struct text_head *)text.at)->magic == TEXT_MAGIC
		      ? text_parse(e, text.at, (char *)text.at + text.size, for_sets, &state)
		      : -EPROTO;
	if (err == -EPROTO)
		fail_text(e, err);
out:
	if (err)
		fw_state_free(&state);
	else
		*ret = state;
	return err;
}
