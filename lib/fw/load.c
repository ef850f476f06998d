// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall on interfaces: loaded with its rules, and unloaded.
 */
#include <errno.h>
#include <string.h>
#include "bpf/transaction.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/privilege.h"
#include "core/runtime_log.h"
#include "fw/live.h"

/* The old generation is still there, the lock was held all the time. @settings: or NULL */
static void load_undo(struct ecbpf *e, const struct fw_session *s, __u32 active,
		      const struct ecbpf_fw_settings *settings)
{
	struct saved_error error;

	ecbpf_error_save(e, &error);
	if (s->active != active && fw_active_set(e, &s->maps, active))
		ecbpf_log(e, ECBPF_LOG_WARN, "could not go back to the rules before: %s", e->error);
	if (settings && fw_settings_store(e, s->maps.settings, settings))
		ecbpf_log(e, ECBPF_LOG_WARN, "could not go back to the settings before: %s",
			  e->error);
	ecbpf_error_restore(e, &error);
}

static int load_locked(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		       const struct ecbpf_fw_ruleset *ruleset, const char *const *settings,
		       size_t settings_count, bool fused, enum ecbpf_mode mode)
{
	struct ecbpf_fw_settings settings_before;
	struct fw_session s;
	__u32 before;
	int err;

	for (size_t i = 0; i < ifaces_count; i++) {
		bool is_there;

		err = ecbpf_chain_has_stage(e, ifaces[i], ECBPF_STAGE_FW, &is_there);
		if (err)
			return err;
		if (is_there)
			return ecbpf_fail(e, -EEXIST, "%s: the firewall is loaded there already",
					  ifaces[i]);
	}
	err = fw_session_open(e, FW_SESSION_MAKE | (ruleset ? FW_SESSION_REPAIR : FW_SESSION_KEEP),
			      &s);
	if (err)
		return err;
	before = s.active;
	runtime_log_ahead(e);
	err = fw_settings_change(e, s.maps.settings, settings, settings_count, &settings_before);
	if (err) {
		runtime_log_settle(e, false);
		fw_session_close(&s);
		return err;
	}
	if (ruleset) {
		if (!e->confirm_s)
			fw_log_ruleset(e, ruleset);
		err = fw_session_apply(e, &s, ruleset);
	}
	if (!err)
		err = ecbpf_chain_load_stage(e, ifaces, ifaces_count, ECBPF_STAGE_FW, fused, mode);
	if (!err && ruleset && e->confirm_s) /* the time begins when packets meet the rules */
		err = fw_active_set_for(e, &s.maps, s.active,
					before | (s.is_whole ? ECBPF_FW_WHOLE : 0), e->confirm_s);
	if (err)
		load_undo(e, &s, before, settings_count ? &settings_before : NULL);
	else
		fw_warn_vlan(e, ruleset ? ruleset : s.old.ruleset, ifaces, ifaces_count);
	fw_session_close(&s); /* first: to settle the log, too, takes a descriptor */
	runtime_log_settle(e, !err);
	if (ruleset)
		fw_live_clean(e);
	return err;
}

int ecbpf_fw_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		  const struct ecbpf_fw_ruleset *ruleset, const char *const *settings,
		  size_t settings_count, bool fused, enum ecbpf_mode mode)
{
	struct transaction t;
	int err;

	err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	if (err)
		return err;
	err = load_locked(e, ifaces, ifaces_count, ruleset, settings, settings_count, fused, mode);
	return ecbpf_transaction_end(e, &t, err);
}

int ecbpf_fw_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count)
{
	for (size_t i = 0; i < ifaces_count; i++) {
		bool is_there;
		int err;

		err = ecbpf_chain_has_stage(e, ifaces[i], ECBPF_STAGE_FW, &is_there);
		if (err)
			return err;
		if (!is_there)
			return ecbpf_fail(e, -ENOENT, "%s: the firewall is not loaded there",
					  ifaces[i]);
	}
	return ecbpf_chain_unload_stage(e, ifaces, ifaces_count, ECBPF_STAGE_FW);
}
