// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A configuration and the running state: what differs, bringing about, and the way back.
 *
 * Settings go first and chains last, as those are the ones that may be refused: then the settings
 * go back to what they were, which was noted as a configuration, too. Each step is whole by
 * itself, so what is killed in between is finished by being run again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/pins.h"
#include "bpf/transaction.h"
#include "chain/clean.h"
#include "chain/set.h"
#include "config.h"
#include "config/known.h"
#include "config/plan.h"
#include "config/runtime.h"
#include "core/applied.h"
#include "chain/lost.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/privilege.h"
#include "core/reserve.h"
#include "fastpath/fastpath.h"
#include "fw/rules.h"

#define RESERVED 32 /* descriptors: what it takes to apply the settings before again */

int conf_report_chain(struct ecbpf *e, const struct ecbpf_chain_change *change,
		      struct conf_report *r)
{
	char actions[64] = "";
	size_t len = 0;
	int err;

	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++)
		if (change->actions & 1U << action)
			len += snprintf(actions + len, sizeof(actions) - len, " %s",
					ecbpf_action_name(action));
	switch (change->kind) {
	case ECBPF_CHANGE_ADD:
		return conf_report_iface(e, r, change->iface, "add %s, priority %u", change->name,
					 change->prio);
	case ECBPF_CHANGE_REMOVE:
		err = conf_report_iface(e, r, change->iface, "remove %s", change->name);
		if (!err)
			conf_report_removal(r);
		return err;
	case ECBPF_CHANGE_REPLACE:
		return conf_report_iface(e, r, change->iface, "replace %s: %s, priority %u",
					 change->name, change->why, change->prio);
	default:
		return conf_report_iface(e, r, change->iface, "move %s: priority %u, actions%s",
					 change->name, change->prio, actions);
	}
}

/* @try: nothing will be done after this, so the kernel is asked whether it takes the programs */
static int chains_report(struct ecbpf *e, const struct conf_plan *plan, bool try,
			 struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	size_t count = 0;
	int err;

	err = try ? ecbpf_chain_try(e, plan->wants, plan->wants_count, &changes, &count)
		  : ecbpf_chain_set(e, plan->wants, plan->wants_count, true, &changes, &count);
	for (size_t i = 0; i < count && !err; i++)
		err = conf_report_chain(e, &changes[i], r);
	return err;
}

static int chains_set(struct ecbpf *e, void *data)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	const struct conf_plan *plan = data;
	size_t count = 0;

	return ecbpf_chain_set(e, plan->wants, plan->wants_count, false, &changes, &count);
}

/*
 * The fast path's table is made before the stage is in a chain, and goes when it is in none. It
 * forwards nothing that TC has not seen before.
 */
static int chains_check(struct ecbpf *e, const struct ecbpf_config *config,
			const struct conf_plan *plan, bool try, struct conf_report *r)
{
	int err;

	if (!plan->wants)
		return 0;
	err = conf_fastpath_load(e, config, plan->ports, plan->ports_count, true, r, NULL);
	if (!err)
		err = chains_report(e, plan, try, r);
	return err ? err : conf_fastpath_leave(e, plan->ports, plan->ports_count, r);
}

/* The chains are the last step: no step after it could fail. The changes are reported already */
static int chains_apply(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan,
			struct reserve *reserve)
{
	struct conf_fastpath_undo undo = {};
	struct conf_report reported = {};
	int err;

	if (!plan->wants)
		return 0;
	err = conf_fastpath_load(e, config, plan->ports, plan->ports_count, false, &reported,
				 &undo);
	free(reported.changes);
	if (err)
		return err;
	err = ecbpf_fastpath_retire(e, plan->ports, plan->ports_count, chains_set, plan);
	if (err) {
		ecbpf_reserve_give(reserve);
		conf_fastpath_undo(e, &undo);
	} else {
		free(undo.names);
	}
	return err;
}

static int settings_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			  struct conf_report *r)
{
	int err = 0;

	for (const struct conf_section *const *s = conf_sections; *s && !err; s++)
		if ((*s)->apply && (*s)->is_wanted(config))
			err = (*s)->apply(e, config, check, r);
	return err;
}

/* What runs now of all that @config changes, as a configuration */
static int settings_get(struct ecbpf *e, const struct ecbpf_config *config,
			struct ecbpf_config **ret_before)
{
	struct ecbpf_config *before = NULL;
	struct conf_text text = {.for_undo = true};
	int err;

	err = conf_settings_export(e, config, &text);
	if (!err)
		err = conf_read_text(e, "the state before", text.text ?: "", &before);
	for (const struct conf_section *const *s = conf_sections; *s && !err; s++)
		if ((*s)->get && (*s)->is_wanted(config))
			err = (*s)->get(e, before);
	free(text.text);
	if (err)
		ecbpf_config_free(before);
	else
		*ret_before = before;
	return err;
}

/* Back to settings as they were; e->error stays */
static void settings_undo(struct ecbpf *e, const struct ecbpf_config *before)
{
	unsigned int policy = e->list_policy;
	struct saved_error error;
	struct conf_report r = {};

	ecbpf_error_save(e, &error);
	e->list_policy |= ECBPF_LIST_ALLOW_EMPTY | ECBPF_LIST_FORCE; /* it was so */
	if (settings_apply(e, before, false, &r))
		ecbpf_log(e, ECBPF_LOG_WARN, "could not go back to the settings before: %s",
			  e->error);
	e->list_policy = policy;
	free(r.changes);
	ecbpf_error_restore(e, &error);
}

/* As by apply, all settings or none; no chain is touched */
static int settings_set(struct ecbpf *e, const struct ecbpf_config *config, struct conf_report *r)
{
	struct ecbpf_config *before;
	struct conf_report checked = {};
	_cleanup_reserve_ struct reserve reserve = {};
	int err;

	err = settings_apply(e, config, true, &checked);
	free(checked.changes);
	if (!err)
		err = ecbpf_reserve_take(e, RESERVED, &reserve);
	if (!err)
		err = settings_get(e, config, &before);
	if (err)
		return err;
	err = settings_apply(e, config, false, r);
	ecbpf_reserve_give(&reserve);
	if (err)
		settings_undo(e, before);
	ecbpf_config_free(before);
	return err;
}

int conf_settings_set(struct ecbpf *e, const struct ecbpf_config *config, struct conf_report *r)
{
	bool before = e->renews_maps;
	struct conf_runtime rt;
	struct transaction t;
	int err = ecbpf_transaction_begin(e, &t);

	if (err)
		return err;
	err = fw_confirm_settle(e);
	if (err)
		return ecbpf_transaction_end(e, &t, err);
	e->renews_maps = config->has_interfaces;
	err = conf_runtime_begin(e, config, &rt);
	if (!err)
		err = settings_set(e, &rt.merged, r);
	e->renews_maps = before;
	if (!err)
		conf_known_note(e, config);
	return ecbpf_transaction_end(e, &t, conf_runtime_end(e, err, false, &rt));
}

static int apply_all(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan)
{
	struct conf_report reported = {};
	struct ecbpf_config *before;
	_cleanup_reserve_ struct reserve reserve = {};
	int err;

	err = ecbpf_reserve_take(e, RESERVED, &reserve);
	if (!err)
		err = settings_get(e, config, &before);
	if (err)
		return err;
	err = settings_apply(e, config, false, &reported);
	free(reported.changes);
	for (size_t i = 0; i < config->stages.count && !err; i++)
		if (!strcmp(config->stages.items[i].text, "filter"))
			err = ecbpf_filter_refresh(e);
	if (!err)
		err = ecbpf_config_refresh(e);
	if (!err)
		err = chains_apply(e, config, plan, &reserve);
	ecbpf_reserve_give(&reserve);
	if (err)
		settings_undo(e, before);
	ecbpf_config_free(before);
	return err;
}

int conf_clean(struct ecbpf *e, struct conf_report *r)
{
	size_t removed = 0;
	int err;

	err = ecbpf_clean_stale(e, &removed);
	if (err || !removed)
		return err;
	return conf_report_change(e, r,
				  "removed the pins of %zu dispatcher%s that nothing has attached",
				  removed, removed == 1 ? "" : "s");
}

/* ecbpf_fw_read() has warned of interfaces that have the firewall */
static void warn_vlan(struct ecbpf *e, const struct ecbpf_config *config,
		      const struct conf_plan *plan)
{
	bool has_fw = false, is_loaded = false;

	for (size_t i = 0; i < config->stages.count; i++)
		has_fw |= !strcmp(config->stages.items[i].text, "fw");
	for (size_t i = 0; i < plan->wants_count && has_fw && config->ruleset; i++) {
		const struct ecbpf_chain_want *want = &plan->wants[i];

		if (want->programs_count &&
		    !ecbpf_chain_has_stage(e, want->iface, ECBPF_STAGE_FW, &is_loaded) &&
		    !is_loaded)
			fw_warn_vlan(e, config->ruleset, &want->iface, 1);
	}
}

/* The stage alone draws nothing */
static void warn_sampler(struct ecbpf *e, const struct ecbpf_config *config)
{
	struct ecbpf_sampling running = {};
	bool is_stage = false;

	for (size_t i = 0; i < config->stages.count; i++)
		is_stage |= !strcmp(config->stages.items[i].text, "sampler");
	if (!is_stage || config->has_sampler)
		return;
	conf_sampling_get(e, &running);
	if (!running.rate[ECBPF_SAMPLE_PASSED] && !running.rate[ECBPF_SAMPLE_TERMINAL])
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "sampler is among the stages, but there is no [sampler]: its rate is 0, "
			  "so nothing is sampled");
}

static int config_plan(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan)
{
	struct conf_waits waits = {};
	int err;

	err = conf_plan_programs(e, config, plan);
	if (!err)
		err = conf_plan_wants(e, config, plan, config->is_patient ? &waits : NULL);
	free(waits.items);
	return err ? err : conf_plan_ports(e, config, plan);
}

static void warn_unused(const struct conf_word *at, const char *text, void *e)
{
	ecbpf_log(e, ECBPF_LOG_WARN, "%s:%u: %s", at->file, at->line, text);
}

/* Under the lock */
static int config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			struct conf_report *r)
{
	struct conf_plan plan = {};
	int err = 0;

	if (config->has_interfaces)
		err = config_plan(e, config, &plan);
	/* all that can be refused without being tried */
	if (!err)
		err = settings_apply(e, config, true, r);
	if (!err)
		err = chains_check(e, config, &plan, check, r);
	if (!err && r->count)
		warn_vlan(e, config, &plan);
	if (!err && plan.wants)
		warn_sampler(e, config);
	/* who is patient says which interfaces it waits for */
	if (!err && plan.wants && !config->is_patient)
		conf_unused_words(config, &plan, warn_unused, e);
	if (!err && !check)
		err = r->count ? apply_all(e, config, &plan) : ecbpf_config_refresh(e);
	conf_plan_free(&plan);
	return err;
}

static int runtime_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			 struct conf_report *r)
{
	struct conf_runtime rt;
	int err = check ? 0 : fw_confirm_settle(e);

	if (err)
		return err;
	err = conf_runtime_begin(e, config, &rt);
	/* what was to be forgotten would come back otherwise, with exit status 0 */
	if (!err && !check && config->resets && rt.log.is_kept && rt.is_dirty && !rt.is_unreadable)
		err = conf_runtime_write(e, &rt, true);
	if (!err)
		err = config_apply(e, &rt.merged, check, r);
	if (!err && !check)
		conf_known_note(e, config);
	return conf_runtime_end(e, err, check, &rt);
}

/* A file that is cut behind 'ingress =' declares that, too */
static void warn_none(struct ecbpf *e, const struct ecbpf_config *config,
		      const struct conf_report *r)
{
	bool is_news = config->is_start;

	for (size_t i = 0; i < r->count; i++)
		is_news |= *r->changes[i].iface;
	if (is_news && config->has_interfaces && !config->ingress.count && !config->is_stop)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: ingress names no interface: no stage runs",
			  config->files_count == 1 ? config->files[0] : ECBPF_CONFIG_DIR);
}

/* Interfaces that are not declared lose all stages: no program goes on with maps without pins */
static int apply_locked(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			struct conf_report *r)
{
	bool before = e->renews_maps;
	int err;

	err = config->has_interfaces && !check ? ecbpf_lost_restore(e) : 0;
	if (err)
		return err;
	e->renews_maps = config->has_interfaces;
	err = config->is_stop ? config_apply(e, config, check, r)
			      : runtime_apply(e, config, check, r);
	e->renews_maps = before;
	return err;
}

int ecbpf_config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		       struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	struct conf_report r = {};
	struct transaction t;
	bool is_locked;
	int err;

	err = ecbpf_require(e, check && !config->has_interfaces ? ECBPF_NEEDS_IDS
								: ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_bpffs_open(e, false);
	if (err)
		return err;
	/* a check makes no directory for a lock: without one there is nothing to lock */
	is_locked = !check || ecbpf_has_pins(e);
	err = is_locked ? ecbpf_transaction_begin(e, &t) : 0;
	if (err)
		return err;
	err = apply_locked(e, config, check, &r);
	/* maps that a check made go, too */
	if (is_locked)
		ecbpf_transaction_end(e, &t, err || check);
	if (!err && config->has_interfaces && !check && conf_clean(e, &r))
		ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	if (err) {
		free(r.changes);
		return err;
	}
	warn_none(e, config, &r);
	conf_unused_sections(config, warn_unused, e);
	*ret_changes = r.changes;
	*ret_count = r.count;
	return 0;
}

int conf_stop(struct ecbpf *e, struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	struct ecbpf_config *none;
	int err;

	err = conf_read_text(e, "no interfaces", "[interfaces]\ningress =\n", &none);
	if (err)
		return err;
	none->is_stop = true;
	err = ecbpf_config_apply(e, none, false, ret_changes, ret_count);
	ecbpf_config_free(none);
	return err;
}

int ecbpf_config_stop(struct ecbpf *e, const char *file, struct ecbpf_config_change **ret_changes,
		      size_t *ret_count)
{
	struct ecbpf_config *config;
	bool is_left;
	int err;

	*ret_changes = NULL;
	*ret_count = 0;
	err = conf_read_words(e, file, &config);
	if (err)
		return err;
	is_left = config->is_left;
	ecbpf_config_free(config);
	if (!is_left)
		applied_note_last_good(e, false);
	return is_left ? 0 : conf_stop(e, ret_changes, ret_count);
}

void ecbpf_config_applied(struct ecbpf *e, bool is_ok)
{
	applied_note(e, is_ok);
}

bool ecbpf_config_last_applied(struct ecbpf *e, long long *ret_when)
{
	(void)e;
	return applied_read(ret_when);
}

bool ecbpf_config_last_good_runs(struct ecbpf *e)
{
	(void)e;
	return applied_is_last_good();
}

int conf_refresh(struct ecbpf *e)
{
	int filter, fastpath, err = 0;

	filter = conf_is_pinned(e, "filter_addrs");
	if (!filter && conf_is_pinned(e, "filter_settings") > 0)
		filter = conf_has_map(e, "filter_addrs");
	fastpath = filter < 0 ? filter : conf_is_pinned(e, "fastpath_udp");
	if (fastpath < 0)
		return fastpath;
	if (filter)
		err = ecbpf_filter_refresh(e);
	return !err && fastpath ? ecbpf_fastpath_refresh(e, NULL) : err;
}

int ecbpf_config_refresh(struct ecbpf *e)
{
	ecbpf_capture(e);
	return ecbpf_lost_restore(e) ?: conf_refresh(e);
}
