// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * `fw_text`: the rules of a generation as text, with the counters, limits and sets that they use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "fw/live.h"

#define TEXT_MAGIC 0x66776563

/*
 * Head of a text; for each set a text_set follows, for each rule a text_rule and its text. Behind
 * all of it may be a second text, which has no sets, and of the rules those that use sets: a change
 * of a set reads no others. Versions that do not know of it do not look at @bytes
 */
struct text_head {
	__u32 magic;
	__u32 rules;
	__u32 sets;
	__u32 bytes; /* of the text; TEXT_HAS_USES: the second one follows */
};
#define TEXT_HAS_USES (1U << 31)
#define TEXT_USES_MAX 64 /* rules, else there is no second text */

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

/* The map of a slot's text. Return: fd, *@ret_size bytes; or -1, with errno */
static int text_map(const struct fw_maps *maps, __u32 slot, size_t *ret_size)
{
	struct bpf_map_info info = {};
	int fd;
	__u32 id;

	if (bpf_map_lookup_elem(maps->text, &slot, &id))
		return -1;
	fd = bpf_map_get_fd_by_id(id);
	if (fd >= 0 && ecbpf_map_info(fd, &info))
		close_fd(&fd); /* keeps errno */
	*ret_size = (size_t)info.max_entries * info.value_size;
	return fd;
}

/* @size bytes of it from @at on. Return: where they are in our memory; or NULL, with errno */
static void *text_part(int fd, size_t at, size_t size, struct ecbpf_view *ret)
{
	size_t skipped = at % sysconf(_SC_PAGESIZE);
	void *memory =
		mmap(NULL, skipped + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at - skipped);

	if (memory == MAP_FAILED)
		return NULL;
	*ret = (struct ecbpf_view){
		.memory = memory, .at = (char *)memory + skipped, .size = skipped + size};
	return ret->at;
}

/* The text of a slot in our memory. Return: where; or NULL, with errno */
static void *text_open(const struct fw_maps *maps, __u32 slot, struct ecbpf_view *ret)
{
	size_t size;
	_cleanup_close_ int fd = text_map(maps, slot, &size);

	return fd < 0 ? NULL : text_part(fd, 0, size, ret);
}

/* Likewise its tail only */
static struct text_tail *tail_open(const struct fw_maps *maps, __u32 slot, struct ecbpf_view *ret)
{
	size_t size;
	_cleanup_close_ int fd = text_map(maps, slot, &size);

	return fd < 0 ? NULL
		      : text_part(fd, size - sizeof(struct text_tail), sizeof(struct text_tail),
				  ret);
}

static struct text_tail *tail_of(const struct ecbpf_view *text)
{
	return (struct text_tail *)((char *)text->at + text->size) - 1;
}

bool fw_text_is_idle(const struct fw_maps *maps, __u32 slot)
{
	_cleanup_view_ struct ecbpf_view view = {};
	const struct text_tail *at = tail_open(maps, slot, &view);
	struct text_tail tail;

	if (!at)
		return false;
	tail = *at;
	return tail.magic == TAIL_MAGIC && (!tail.grace || ecbpf_grace_is_over(tail.grace));
}

int fw_text_set_idle(const struct fw_maps *maps, __u32 slot, __u32 grace)
{
	_cleanup_view_ struct ecbpf_view view = {};
	struct text_tail *tail = tail_open(maps, slot, &view);

	if (!tail)
		return -errno;
	__atomic_store_n(&tail->grace, grace, __ATOMIC_RELEASE);
	__atomic_store_n(&tail->magic, TAIL_MAGIC, __ATOMIC_RELEASE);
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

/* A rule that uses a set has its name behind a '@', but not each '@' is of a set */
static bool may_use_set(const char *text, size_t len)
{
	return memchr(text, '@', len);
}

/* @for_sets: those that may use sets. Return: how many */
static __u32 put_rules(FILE *out, const struct fw_state *state, bool for_sets)
{
	__u32 count = 0;

	for (size_t i = 0; i < state->ruleset->rules_count; i++) {
		struct text_rule entry = {.counter = state->counters[i], .limit = state->limits[i]};
		const char *text = state->ruleset->rules[i].text;

		entry.len = strlen(text) + 1;
		if (for_sets && !may_use_set(text, entry.len))
			continue;
		fwrite(&entry, sizeof(entry), 1, out);
		fwrite(text, entry.len, 1, out);
		count++;
	}
	return count;
}

/* The second text, see struct text_head. Return: false: it cannot be, or it does not pay */
static bool put_uses(FILE *out, const struct fw_state *state)
{
	struct text_head head = {.magic = TEXT_MAGIC};
	_cleanup_free_ char *bytes = NULL;
	size_t size = 0;
	FILE *uses = open_memstream(&bytes, &size);

	if (!uses)
		return false;
	head.rules = put_rules(uses, state, true);
	if (fclose(uses) || head.rules > TEXT_USES_MAX)
		return false;
	head.bytes = sizeof(head) + size;
	fwrite(&head, sizeof(head), 1, out);
	fwrite(bytes, size, 1, out);
	return true;
}

int fw_text_write(struct ecbpf *e, const struct fw_maps *maps, __u32 slot,
		  const struct fw_state *state)
{
	struct text_head head = {.magic = TEXT_MAGIC, .sets = state->ruleset->sets_count};
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
	head.rules = put_rules(out, state, false);
	fflush(out);
	head.bytes = size;
	if (put_uses(out, state))
		head.bytes |= TEXT_HAS_USES;
	if (fclose(out))
		return ecbpf_fail_memory(e);
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

/* Behind the head at *@at; *@at is behind them then. Return: 0; -EPROTO the text is damaged */
static int sets_parse(struct ecbpf *e, const char **at_p, const char *end, size_t count,
		      struct fw_state *state)
{
	struct ecbpf_fw_ruleset *ruleset = state->ruleset;
	const char *at = *at_p;

	state->sets = calloc(count + 1, sizeof(*state->sets));
	if (!state->sets)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count; i++) {
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
	*at_p = at;
	return 0;
}

/* Return: 0; -EPROTO the text is damaged */
static int rules_parse(struct ecbpf *e, const char *at, const char *end, size_t count,
		       bool for_sets, struct fw_state *state)
{
	struct ecbpf_fw_ruleset *ruleset = state->ruleset;
	int err;

	state->counters = calloc(count + 1, sizeof(*state->counters));
	state->limits = calloc(count + 1, sizeof(*state->limits));
	if (!state->counters || !state->limits)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count; i++) {
		struct text_rule entry;

		if (at + sizeof(entry) > end)
			return -EPROTO;
		memcpy(&entry, at, sizeof(entry));
		at += sizeof(entry);
		if (!entry.len || entry.len > (size_t)(end - at) || at[entry.len - 1])
			return -EPROTO;
		if (!for_sets || may_use_set(at, entry.len)) {
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

bool fw_text_is_lost(int err)
{
	return err == -ENOENT || err == -EPROTO || err == -EINVAL;
}

static int fail_text(struct ecbpf *e, int err)
{
	return ecbpf_fail(e, err, "the text of the live rules (fw_text): %s%s",
			  err == -EPROTO ? "damaged" : strerror(-err),
			  fw_text_is_lost(err) ? "; 'ecbpf-loader apply' repairs it, or 'ecbpf-fw "
						 "apply', which empties live sets"
					       : "");
}

#define FIRST_BYTES (sizeof(struct text_head) + FW_SETS_MAX * sizeof(struct text_set))

/* By the second text. Return: 0; 1 there is none; -EPROTO the text is damaged; other errors */
static int uses_read(struct ecbpf *e, int fd, size_t size, struct fw_state *state)
{
	size_t first_bytes = FIRST_BYTES < size ? FIRST_BYTES : size, begin;
	_cleanup_view_ struct ecbpf_view first = {}, head_view = {}, view = {};
	struct text_head head, uses;
	const char *at;
	int err;

	if (!text_part(fd, 0, first_bytes, &first))
		return fail_text(e, -errno);
	memcpy(&head, first.at, sizeof(head));
	if (head.magic != TEXT_MAGIC)
		return -EPROTO;
	if (!(head.bytes & TEXT_HAS_USES))
		return 1;
	begin = head.bytes & ~TEXT_HAS_USES;
	if (begin > size - sizeof(uses))
		return -EPROTO;
	if (!text_part(fd, begin, sizeof(uses), &head_view))
		return fail_text(e, -errno);
	memcpy(&uses, head_view.at, sizeof(uses));
	if (uses.magic != TEXT_MAGIC || uses.bytes < sizeof(uses) || uses.bytes > size - begin)
		return -EPROTO;
	if (!text_part(fd, begin, uses.bytes, &view))
		return fail_text(e, -errno);
	at = (char *)first.at + sizeof(head);
	err = sets_parse(e, &at, (char *)first.at + first_bytes, head.sets, state);
	return err ? err
		   : rules_parse(e, (char *)view.at + sizeof(uses), (char *)view.at + uses.bytes,
				 uses.rules, true, state);
}

/* Return: 0; -EPROTO the text is damaged; other errors */
static int text_read(struct ecbpf *e, int fd, size_t size, bool for_sets, struct fw_state *state)
{
	_cleanup_view_ struct ecbpf_view text = {};
	const struct text_head *head;
	const char *at, *end;
	int err;

	err = for_sets ? uses_read(e, fd, size, state) : 1;
	if (err <= 0)
		return err;
	if (!text_part(fd, 0, size, &text))
		return fail_text(e, -errno);
	head = text.at;
	if (head->magic != TEXT_MAGIC)
		return -EPROTO;
	at = (const char *)(head + 1);
	end = (const char *)text.at + size;
	err = sets_parse(e, &at, end, head->sets, state);
	return err ? err : rules_parse(e, at, end, head->rules, for_sets, state);
}

int fw_state_read(struct ecbpf *e, const struct fw_maps *maps, __u32 active, bool for_sets,
		  struct fw_state *ret)
{
	struct fw_state state = {.ruleset = calloc(1, sizeof(*state.ruleset))};
	_cleanup_close_ int fd = -1;
	size_t size;
	int err;

	if (!state.ruleset)
		return ecbpf_fail_memory(e);
	if (!active) {
		err = fw_state_alloc(e, &state);
		goto out;
	}
	fd = text_map(maps, active & ECBPF_FW_SLOT, &size);
	err = fd < 0 ? fail_text(e, -errno) : text_read(e, fd, size, for_sets, &state);
	if (err == -EPROTO)
		fail_text(e, err);
out:
	if (err)
		fw_state_free(&state);
	else
		*ret = state;
	return err;
}
