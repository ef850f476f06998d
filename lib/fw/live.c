// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The live ruleset: read, and replaced in one step. See <ecbpf/fw.h>.
 *
 * There are two generation slots, of which `fw_active` names the live one; `fw_text` has, in the
 * same slots, the rules as text, and which counters, limits and sets they use. A change
 *
 * 	1. waits until no packet uses what was live before, if one still may
 * 	2. writes the other slot; rules that stay keep their counters and limits, others get unused
 * 	   ones
 * 	3. makes it live by one store
 * 	4. waits again, and frees what was live
 *
 * If it is killed before 3, the old generation is live, else the new one. The next change frees
 * what it did not free.
 *
 * Waiting takes most of the time of a small change. So the maps of what was live stay in the slot,
 * for the next change, which writes over them, and the text has a note by which that one knows
 * whether packets may still use them. A slot has 1.2 MB for up to 64 rules, 4 MB for up to 4,096,
 * and 48 MB for more, as long as there are so many.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/lock.h"
#include "chain/lost.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/runtime_log.h"
#include "fw/guard.h"
#include "fw/live.h"

void fw_session_close(struct fw_session *s)
{
	fw_state_free(&s->old);
	fw_maps_close(&s->maps);
	close_fd(&s->lock);
}

int fw_session_open(struct ecbpf *e, int how, struct fw_session *ret)
{
	struct fw_session s = {.lock = -1, .sets_left = -1};
	int err = 0;

	ecbpf_capture(e);
	s.lock = how & FW_SESSION_MAKE ? ecbpf_lock_make(e) : ecbpf_lock_find(e);
	if (s.lock == -ENOENT) /* who only asks makes no directory to lock */
		s.lock = ecbpf_lost_check(e, "fw") ?: ecbpf_lock_find(e);
	if (s.lock == -ENOENT)
		s.lock = fw_maps_missing(e, "fw_active");
	if (s.lock < 0)
		return s.lock;
	if (how & FW_SESSION_MAKE)
		err = fw_maps_make(e);
	if (!err)
		err = fw_maps_open(e, &s.maps);
	if (err) {
		close_fd(&s.lock);
		return err;
	}
	err = fw_live_get(e, &s.maps, &s.live);
	if (!err && !(how & FW_SESSION_KEEP)) {
		err = fw_live_check(e, &s.live);
		if (!err && s.live.is_over)
			err = fw_log_taken_back(e, &s.maps, &s.live);
		if (!err && s.live.is_over)
			err = fw_active_set(e, &s.maps, s.live.generation);
	}
	if (err) {
		fw_session_close(&s);
		return err;
	}
	s.active = s.live.generation;
	if (s.active)
		err = fw_slot_check(e, &s.maps, s.active);
	if (err == -ENOENT && how & FW_SESSION_REPAIR) {
		s.has_no_tables = true;
		err = 0;
	}
	if (!err)
		err = fw_state_read(e, &s.maps, s.active,
				    (how & FW_SESSION_SETS) == FW_SESSION_SETS, &s.old);
	if (fw_text_is_lost(err) && how & FW_SESSION_REPAIR) {
		s.is_lost = true;
		err = fw_state_read(e, &s.maps, ECBPF_FW_NONE, false, &s.old);
	}
	if (err)
		fw_session_close(&s);
	else
		*ret = s;
	return err;
}

/* @is_idle: when this returns, no packet uses the slot that is not live */
static void session_clean(struct ecbpf *e, const struct fw_session *s, bool is_idle)
{
	bool has_sets;

	if (s->live.waits) /* both generations stay, and all that they use */
		return;
	has_sets = !s->is_lost &&
		   (s->sets_left < 0 ? fw_sets_are_left(e, &s->maps, &s->old) : s->sets_left);
	for (__u32 slot = 0; slot < 2; slot++) {
		if (s->active && slot == (s->active & ECBPF_FW_SLOT))
			fw_slot_trim(&s->maps, s->active);
		else if (!fw_slot_keep(e, &s->maps, slot, s->active, is_idle || has_sets))
			fw_slot_clear(e, &s->maps, slot);
	}
	if (has_sets)
		fw_sets_free(e, &s->maps, &s->old);
}

void fw_session_clean(struct ecbpf *e, const struct fw_session *s)
{
	session_clean(e, s, false);
}

/* Has @old a set that @new has not? */
static bool sets_differ(const struct fw_state *old, const struct fw_state *new)
{
	for (size_t i = 0; i < old->ruleset->sets_count; i++) {
		size_t k = 0;

		while (k < new->ruleset->sets_count &&new->sets[k] != old->sets[i])
			k++;
		if (k == new->ruleset->sets_count)
			return true;
	}
	return false;
}

void fw_live_clean(struct ecbpf *e)
{
	struct saved_error error;
	struct fw_session s;

	ecbpf_error_save(e, &error);
	if (!fw_session_open(e, FW_SESSION_REPAIR, &s)) {
		fw_session_clean(e, &s);
		fw_session_close(&s);
	}
	ecbpf_error_restore(e, &error);
}

/*
 * Make @new live. It becomes the state of the session, or is freed on failure. Entries of sets that
 * stay are in it. The old generation stays until fw_session_clean(). @is_lent: by the rules of the
 * session, which are freed together with those of @new
 */
static int session_commit(struct ecbpf *e, struct fw_session *s, struct fw_state *new, bool is_lent)
{
	__u32 slot = s->active ? !(s->active & ECBPF_FW_SLOT) : 0;
	struct fw_generation generation = {};
	int err;

	session_clean(e, s, true);
	s->sets_left = -1;
	err = fw_state_assign(e, &s->maps, &s->old, new);
	if (!err)
		err = fw_compile(e, new->ruleset, new->counters, new->limits, new->sets,
				 &generation);
	if (!err)
		err = fw_slot_write(e, &s->maps, slot, &generation);
	if (!err)
		err = fw_text_write(e, &s->maps, slot, new);
	if (!err && e->confirm_s)
		err = fw_active_set_for(e, &s->maps, generation.size | slot,
					s->active | (s->is_whole ? ECBPF_FW_WHOLE : 0),
					e->confirm_s);
	else if (!err)
		err = fw_active_set(e, &s->maps, generation.size | slot);
	if (err) {
		struct saved_error error;

		ecbpf_error_save(e, &error);
		fw_session_clean(e, s);
		ecbpf_error_restore(e, &error);
		fw_state_free(new);
	} else {
		s->active = generation.size | slot;
		/* what was left before is gone, if it was known */
		s->sets_left = s->is_lost ? -1 : sets_differ(&s->old, new);
		if (is_lent) {
			new->ruleset->lender = s->old.ruleset;
			s->old.ruleset = NULL;
		}
		s->live.waits = e->confirm_s;
		fw_state_free(&s->old);
		s->old = *new;
		s->is_lost = false;
	}
	fw_generation_free(&generation);
	return err;
}

/* Live sets are read where it matters whether they are empty */
static int sets_check(struct ecbpf *e, const struct fw_session *s,
		      const struct ecbpf_fw_ruleset *ruleset)
{
	int err = 0;

	for (size_t i = 0; i < ruleset->sets_count && !err; i++) {
		const struct fw_set *set = &ruleset->sets[i];
		struct fw_set *old = fw_set_find(s->old.ruleset, set->name, strlen(set->name));

		if (old && !old->prefixes && fw_set_needs_old(ruleset, i, s->old.ruleset))
			err = fw_set_read(e, &s->maps, s->old.sets[old - s->old.ruleset->sets],
					  old);
		if (err == -ENODATA) /* it is replaced */
			err = 0;
	}
	return err ? err : fw_sets_check(e, ruleset, s->old.ruleset);
}

/* A rule was added: a set by which none has dropped may have addresses of this host */
static int sets_check_changed(struct ecbpf *e, const struct fw_session *s,
			      const struct ecbpf_fw_ruleset *ruleset)
{
	int err = 0;

	for (size_t i = 0; i < ruleset->sets_count && !err; i++) {
		const struct fw_set *set = &ruleset->sets[i];
		const struct fw_set *old =
			fw_set_find(s->old.ruleset, set->name, strlen(set->name));
		struct fw_set read = {};

		if (!old || !fw_set_blocks(ruleset, i) ||
		    fw_set_blocks(s->old.ruleset, old - s->old.ruleset->sets))
			continue;
		strcpy(read.name, old->name);
		err = fw_set_read(e, &s->maps, s->old.sets[old - s->old.ruleset->sets], &read);
		if (!err)
			err = fw_set_check_new_block(e, &read);
		free(read.prefixes);
	}
	return err;
}

/* @ret_counts: of each family, FW_NOT_KNOWN if that cannot be read */
static void set_counts(struct ecbpf *e, const struct fw_session *s, const struct fw_set *set,
		       size_t ret_counts[2])
{
	struct fw_set read = {};

	ret_counts[0] = ret_counts[1] = FW_NOT_KNOWN;
	strcpy(read.name, set->name);
	if (fw_set_read(e, &s->maps, s->old.sets[set - s->old.ruleset->sets], &read))
		return;
	ret_counts[0] = ret_counts[1] = 0;
	for (size_t i = 0; i < read.prefixes_count; i++)
		ret_counts[read.prefixes[i].family == 6]++;
	free(read.prefixes);
}

static size_t set_count(struct ecbpf *e, const struct fw_session *s, const struct fw_set *set)
{
	size_t counts[2];

	set_counts(e, s, set, counts);
	return counts[0] == FW_NOT_KNOWN ? 0 : counts[0] + counts[1];
}

/* A line for each set that has addresses, and has none by @ruleset; for free() */
static char *sets_lost(struct ecbpf *e, const struct fw_session *s,
		       const struct ecbpf_fw_ruleset *ruleset)
{
	char *lines = NULL;
	size_t size;
	FILE *out = open_memstream(&lines, &size);

	for (size_t i = 0; out && i < s->old.ruleset->sets_count; i++) {
		const struct fw_set *old = &s->old.ruleset->sets[i];
		const struct fw_set *set = fw_set_find(ruleset, old->name, strlen(old->name));
		size_t count =
			set && (set->is_live || set->prefixes_count) ? 0 : set_count(e, s, old);

		if (count)
			fprintf(out, "%s %zu prefix%s of set '%s' %s deleted: %s\n",
				count == 1 ? "the" : "all", count, count == 1 ? "" : "es",
				old->name, count == 1 ? "is" : "are",
				set ? "the new rules have none in it"
				    : "the new rules do not have the set");
	}
	if (out)
		fclose(out);
	return lines;
}

static void lines_warn(struct ecbpf *e, char *lines)
{
	char *rest = NULL;

	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		ecbpf_log(e, ECBPF_LOG_WARN, "%s", line);
}

/* Sets whose content is not of a file go on as they are */
static int sets_keep(struct ecbpf *e, const struct fw_session *s, struct fw_state *new)
{
	for (size_t i = 0; i < new->ruleset->sets_count; i++) {
		const struct fw_set *set = &new->ruleset->sets[i];
		const struct fw_set *old =
			fw_set_find(s->old.ruleset, set->name, strlen(set->name));

		if (!set->is_live || !old)
			continue;
		if (set->family == old->family) {
			__u16 entry = s->old.sets[old - s->old.ruleset->sets];

			new->sets[i] = entry;
			if (fw_set_check(e, &s->maps, set->name, entry) > 0)
				ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
		} else if (set_count(e, s, old)) {
			return ecbpf_fail(e, -EINVAL,
					  "set '%s' is of %s and has addresses: flush it before it "
					  "can be of %s",
					  set->name, fw_set_family(old), fw_set_family(set));
		}
	}
	return 0;
}

int fw_session_apply(struct ecbpf *e, struct fw_session *s, const struct ecbpf_fw_ruleset *ruleset)
{
	_cleanup_free_ char *lost = NULL;
	struct fw_state new = {};
	int err;

	err = fw_rules_check_empty(e, ruleset, s->old.ruleset);
	if (!err)
		err = sets_check(e, s, ruleset);
	if (!err)
		err = fw_guard_rules(e, s, ruleset, false);
	if (err)
		return err;
	new.ruleset = fw_ruleset_copy(ruleset);
	err = new.ruleset ? fw_state_alloc(e, &new) : ecbpf_fail_memory(e);
	if (!err)
		err = sets_keep(e, s, &new);
	if (err) {
		fw_state_free(&new);
		return err;
	}
	lost = s->is_told ? NULL : sets_lost(e, s, ruleset);
	s->is_whole = true;
	err = session_commit(e, s, &new, false);
	if (!err && lost)
		lines_warn(e, lost);
	return err;
}

static int apply(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, bool is_told)
{
	struct fw_session s;
	int err;

	err = fw_session_open(e, FW_SESSION_REPAIR, &s);
	if (err)
		return err;
	s.is_told = is_told;
	if (s.is_lost && !is_told) {
		for (size_t i = 0; i < ruleset->sets_count; i++)
			if (ruleset->sets[i].is_live)
				ecbpf_log(
					e, ECBPF_LOG_WARN,
					"which addresses set '%s' had is not known any more: it is "
					"empty",
					ruleset->sets[i].name);
	}
	runtime_log_ahead(e);
	if (!e->confirm_s)
		fw_log_ruleset(e, ruleset);
	err = fw_session_apply(e, &s, ruleset);
	runtime_log_settle(e, !err);
	if (!err)
		fw_session_clean(e, &s);
	fw_session_close(&s);
	return err;
}

int ecbpf_fw_apply(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	return apply(e, ruleset, false);
}

int fw_apply_told(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	return apply(e, ruleset, true);
}

/*
 * Make @ruleset live, which was lent by that of the session and is taken over; sets that have the
 * name of a live set stay as they are
 */
static int apply_changed(struct ecbpf *e, struct fw_session *s, struct ecbpf_fw_ruleset *ruleset)
{
	struct fw_state new = {.ruleset = ruleset};
	int err;

	err = fw_state_alloc(e, &new);
	if (err) {
		fw_state_free(&new);
		return err;
	}
	for (size_t i = 0; i < ruleset->sets_count; i++) {
		struct fw_set *set = fw_set_find(s->old.ruleset, ruleset->sets[i].name,
						 strlen(ruleset->sets[i].name));

		if (set)
			new.sets[i] = s->old.sets[set - s->old.ruleset->sets];
	}
	err = session_commit(e, s, &new, true);
	if (!err)
		fw_session_clean(e, s);
	return err;
}

/* About rules that were added, by what their sets have now */
static void negated_warn(struct ecbpf *e, const struct fw_session *s,
			 const struct ecbpf_fw_ruleset *ruleset)
{
	size_t counts[FW_SETS_MAX][2];

	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		if (rule->is_lent || !fw_rule_negates_set(rule))
			continue;
		for (size_t k = 0; k < ruleset->sets_count; k++) {
			const char *name = ruleset->sets[k].name;
			const struct fw_set *set = fw_set_find(s->old.ruleset, name, strlen(name));

			counts[k][0] = FW_NOT_KNOWN;
			if (set && fw_rule_uses_set(rule, k))
				set_counts(e, s, set, counts[k]);
		}
		fw_warn_negated(e, ruleset, rule, counts);
	}
}

int ecbpf_fw_change(struct ecbpf *e, ecbpf_fw_change_fn fn, void *data)
{
	struct ecbpf_fw_ruleset *ruleset;
	struct fw_session s;
	int err;

	err = fw_session_open(e, 0, &s);
	if (err)
		return err;
	ruleset = fw_ruleset_lend(s.old.ruleset);
	if (!ruleset)
		err = ecbpf_fail_memory(e);
	if (!err) {
		err = fn(e, ruleset, data);
		if (!err)
			err = sets_check_changed(e, &s, ruleset);
		if (!err)
			err = fw_guard_rules(e, &s, ruleset, true);
		if (err) {
			ecbpf_fw_ruleset_free(ruleset);
		} else {
			if (fw_vlan_rules(ruleset) > fw_vlan_rules(s.old.ruleset))
				fw_warn_vlan_loaded(e, ruleset);
			negated_warn(e, &s, ruleset);
			runtime_log_ahead(e);
			if (!e->confirm_s)
				fw_log_change(e, s.old.ruleset, ruleset);
			err = apply_changed(e, &s, ruleset);
			runtime_log_settle(e, !err);
		}
	}
	fw_session_close(&s);
	return err;
}

int fw_live_is_there(struct ecbpf *e, bool *ret_is_there)
{
	struct fw_maps maps;
	__u32 active;
	int err;

	err = fw_maps_open(e, &maps);
	if (err)
		return err;
	err = fw_active_get(e, &maps, &active);
	fw_maps_close(&maps);
	*ret_is_there = !err && active;
	return err;
}

size_t fw_live_vlan_rules(struct ecbpf *e)
{
	struct fw_state state = {};
	struct fw_maps maps;
	size_t count = 0;
	__u32 active;

	if (fw_maps_open(e, &maps))
		return 0;
	if (!fw_active_get(e, &maps, &active) && !fw_state_read(e, &maps, active, false, &state))
		count = fw_vlan_rules(state.ruleset);
	fw_state_free(&state);
	fw_maps_close(&maps);
	return count;
}

/* @ret_is_lost: NULL, or parts may have been removed: of a set, it is left out */
static int ruleset_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset, bool *ret_is_lost)
{
	struct fw_session s;
	int err;

	err = fw_session_open(e, FW_SESSION_KEEP | (ret_is_lost ? FW_SESSION_REPAIR : 0), &s);
	if (err)
		return err;
	if (ret_is_lost)
		*ret_is_lost = s.is_lost || s.has_no_tables;
	for (size_t i = 0; !err && i < s.old.ruleset->sets_count; i++) {
		err = fw_set_read(e, &s.maps, s.old.sets[i], &s.old.ruleset->sets[i]);
		if (err == -ENODATA && ret_is_lost)
			err = 0;
	}
	if (!err) {
		*ret_ruleset = s.old.ruleset;
		s.old.ruleset = NULL;
	}
	fw_session_close(&s);
	return err;
}

int ecbpf_fw_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	return ruleset_get(e, ret_ruleset, NULL);
}

static void sets_fill(struct ecbpf_fw_ruleset *ruleset, struct ecbpf_fw_ruleset *live)
{
	for (size_t i = 0; i < ruleset->sets_count; i++) {
		struct fw_set *set = &ruleset->sets[i];
		struct fw_set *from = fw_set_find(live, set->name, strlen(set->name));

		if (!set->is_live || !from || set->family != from->family)
			continue;
		free(set->prefixes);
		set->prefixes = from->prefixes;
		set->prefixes_count = from->prefixes_count;
		from->prefixes = NULL;
		from->prefixes_count = 0;
	}
}

int ecbpf_fw_fill(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		  struct ecbpf_fw_ruleset **ret_ruleset)
{
	struct ecbpf_fw_ruleset *copy = fw_ruleset_copy(ruleset), *live = NULL;
	bool has_live = false;
	int err = 0;

	if (!copy)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < copy->sets_count; i++)
		has_live |= copy->sets[i].is_live;
	if (has_live)
		err = ecbpf_fw_get(e, &live);
	if (!err && live)
		sets_fill(copy, live);
	ecbpf_fw_ruleset_free(live);
	if (err && err != -ENOENT) { /* never loaded: there are none */
		ecbpf_fw_ruleset_free(copy);
		return err;
	}
	*ret_ruleset = copy;
	return 0;
}

int fw_get_lost(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset, bool *ret_is_lost)
{
	return ruleset_get(e, ret_ruleset, ret_is_lost);
}

/* Of one generation; @known: sets that were told already, or NULL */
static int losses_of(struct ecbpf *e, const struct fw_maps *maps, __u32 generation, bool is_before,
		     const struct fw_state *known, fw_loss_fn fn, void *data,
		     struct fw_state *state)
{
	int found = generation ? fw_slot_find(e, maps, generation) : 0;

	if (found == -ENOENT)
		fn(data, NULL, is_before);
	if (found)
		return found == -ENOENT ? 0 : found;
	found = fw_state_read(e, maps, generation, true, state);
	for (size_t i = 0; !found && i < state->ruleset->sets_count; i++) {
		const char *name = state->ruleset->sets[i].name;

		for (size_t k = 0; known && known->ruleset && k < known->ruleset->sets_count; k++)
			if (known->sets[k] == state->sets[i])
				name = NULL;
		found = name ? fw_set_check(e, maps, name, state->sets[i]) : 0;
		if (found > 0)
			fn(data, name, is_before);
		found = found < 0 ? found : 0;
	}
	return found;
}

int fw_losses(struct ecbpf *e, fw_loss_fn fn, void *data)
{
	struct fw_state state = {}, before = {};
	struct fw_live live;
	struct fw_maps maps;
	const char *name;
	int err;

	if (fw_maps_find(e, &maps, &name)) /* other checks are about pins */
		return 0;
	err = fw_live_get(e, &maps, &live);
	if (!err)
		err = losses_of(e, &maps, live.generation, false, NULL, fn, data, &state);
	if (!err && live.waits)
		err = losses_of(e, &maps, live.stored.before & ECBPF_FW_GENERATION, true, &state,
				fn, data, &before);
	fw_state_free(&before);
	fw_state_free(&state);
	fw_maps_close(&maps);
	return err;
}
