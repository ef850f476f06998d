// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes of the rules that wait for a confirmation, and panic.
 *
 * A change that waits is live until its deadline, which packets compare: nothing has to run then.
 * Meanwhile both generations stay, with the sets, counters and limits that they use; so no other
 * change of the rules is made. It is not in the log of changes at runtime before it is confirmed.
 */
#include <errno.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/runtime_log.h"
#include "fw/live.h"

int fw_confirm_check(struct ecbpf *e)
{
	struct fw_maps maps;
	struct fw_live now = {};
	const char *name;
	int err = fw_maps_find(e, &maps, &name);

	if (err)
		return err == -ENOENT ? 0 : err; /* never loaded, or who changes rules tells */
	err = fw_live_get(e, &maps, &now);
	fw_maps_close(&maps);
	return err ?: fw_live_check(e, &now);
}

int ecbpf_fw_confirm_within(struct ecbpf *e, __u32 seconds)
{
	if (seconds > ECBPF_FW_CONFIRM_MAX)
		return ecbpf_fail(e, -EINVAL, "a change waits for at most %d s to be confirmed",
				  ECBPF_FW_CONFIRM_MAX);
	e->confirm_s = seconds;
	return 0;
}

/* What the change was, as its verb would have written it */
static int log_confirmed(struct ecbpf *e, struct fw_session *s)
{
	__u32 before = s->live.stored.before;
	struct fw_state old = {};
	int err = 0;

	if (before & ECBPF_FW_WHOLE) {
		for (size_t i = 0; !err && i < s->old.ruleset->sets_count; i++)
			err = fw_set_read(e, &s->maps, s->old.sets[i], &s->old.ruleset->sets[i]);
		if (!err)
			fw_log_ruleset(e, s->old.ruleset);
		return err;
	}
	err = fw_state_read(e, &s->maps, before & ECBPF_FW_GENERATION, false, &old);
	if (!err)
		fw_log_change(e, old.ruleset, s->old.ruleset);
	fw_state_free(&old);
	return err;
}

int fw_confirm_settle(struct ecbpf *e)
{
	struct fw_maps maps;
	struct fw_live now;
	const char *name;
	int err;

	if (fw_maps_find(e, &maps, &name)) /* who changes rules tells why */
		return 0;
	err = fw_live_get(e, &maps, &now);
	if (!err && now.is_over)
		err = fw_log_taken_back(e, &maps, &now);
	fw_maps_close(&maps);
	return err;
}

/* A session with a change that waits, also if parts of what is live were removed */
static int waiting_open(struct ecbpf *e, struct fw_session *ret)
{
	int err = fw_session_open(e, FW_SESSION_KEEP | FW_SESSION_REPAIR, ret);

	if (err)
		return err;
	if (ret->live.is_over) {
		err = fw_log_taken_back(e, &ret->maps, &ret->live);
		if (!err)
			err = ecbpf_fail(e, -ETIMEDOUT,
					 "too late: the change was not confirmed in time, and the "
					 "rules before it are live again");
	} else if (!ret->live.waits) {
		err = ecbpf_fail(e, -ENOENT, "no change of the rules waits for a confirmation");
	}
	if (err)
		fw_session_close(ret);
	return err;
}

int ecbpf_fw_confirm(struct ecbpf *e)
{
	struct fw_session s;
	int err;

	err = waiting_open(e, &s);
	if (err)
		return err;
	if (s.has_no_tables || s.is_lost) {
		fw_session_close(&s);
		return ecbpf_fail(e, -ENODATA,
				  "parts of the rules that wait were removed from ecbpf's maps: "
				  "'ecbpf-fw undo' makes those before live again");
	}
	runtime_log_ahead(e);
	/* first: killed behind the log, the change still waits, and may be taken back */
	s.live.stored.before |= ECBPF_FW_LOGGED;
	err = fw_live_store(e, &s.maps, &s.live.stored);
	if (!err)
		err = log_confirmed(e, &s);
	if (!err)
		err = fw_active_set(e, &s.maps, s.active);
	runtime_log_settle(e, !err);
	if (!err) {
		s.live.waits = false;
		fw_session_clean(e, &s);
	}
	fw_session_close(&s);
	return err;
}

int ecbpf_fw_undo(struct ecbpf *e)
{
	struct fw_session s;
	__u32 before;
	int err;

	err = waiting_open(e, &s);
	if (err)
		return err;
	before = s.live.stored.before & ECBPF_FW_GENERATION;
	if (before)
		err = fw_slot_find(e, &s.maps, before);
	if (err == -ENOENT && s.has_no_tables) /* of neither: then others can be made live */
		err = 0;
	if (err == -ENOENT)
		ecbpf_fail(
			e, err,
			"the tables of the rules before were removed from ecbpf's maps, and every "
			"packet would pass; 'ecbpf-fw confirm' keeps the rules that are live");
	if (!err)
		err = fw_log_taken_back(e, &s.maps, &s.live);
	if (!err)
		err = fw_active_set(e, &s.maps, before);
	fw_session_close(&s);
	if (!err)
		fw_live_clean(e);
	return err;
}

int ecbpf_fw_panic(struct ecbpf *e, enum ecbpf_fw_panic panic)
{
	static const __u32 flags[] = {
		[ECBPF_FW_PANIC_DROP] = ECBPF_FW_LIVE_DROP,
		[ECBPF_FW_PANIC_PASS] = ECBPF_FW_LIVE_PASS,
		[ECBPF_FW_PANIC_OFF] = 0,
	};
	struct fw_session s;
	bool is_so;
	int err;

	err = fw_session_open(e, FW_SESSION_KEEP | FW_SESSION_REPAIR, &s);
	if (err)
		return err;
	is_so = (s.live.stored.word & ECBPF_FW_LIVE_PANIC) == flags[panic];
	s.live.stored.word = (s.live.stored.word & ~(__u32)ECBPF_FW_LIVE_PANIC) | flags[panic];
	if (!is_so)
		err = fw_live_store(e, &s.maps, &s.live.stored);
	fw_session_close(&s);
	return err ?: is_so;
}

int ecbpf_fw_state(struct ecbpf *e, struct ecbpf_fw_state *ret_state)
{
	struct fw_maps maps;
	struct fw_live now = {};
	const char *name;
	int err;

	err = fw_maps_find(e, &maps, &name); /* the doctor asks: no removed pin is made again */
	if (err == -ENOENT)
		return fw_maps_missing(e, name);
	if (err)
		return err;
	err = fw_live_get(e, &maps, &now);
	fw_maps_close(&maps);
	if (err)
		return err;
	*ret_state = (struct ecbpf_fw_state){
		.panic = now.stored.word & ECBPF_FW_LIVE_DROP	? ECBPF_FW_PANIC_DROP
			 : now.stored.word & ECBPF_FW_LIVE_PASS ? ECBPF_FW_PANIC_PASS
								: ECBPF_FW_PANIC_OFF,
		.confirm_s = fw_live_left(&now),
	};
	return 0;
}
