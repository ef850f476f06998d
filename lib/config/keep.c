// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Mending the chains of declared interfaces, each for itself.
 *
 * Unlike ecbpf_config_apply(), this takes nothing away that is more than declared: who added a
 * stage at runtime meant it, and nobody is there to ask.
 */
#include <string.h>
#include "config/plan.h"
#include "core/error.h"

/* @ret_is_same: nothing is missing, nor other than declared */
static int chain_check(struct ecbpf *e, const struct ecbpf_chain_want *want, bool *ret_is_same)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	size_t count = 0;
	int err;

	*ret_is_same = true;
	err = ecbpf_chain_set(e, want, 1, true, &changes, &count);
	for (size_t i = 0; i < count && !err; i++)
		*ret_is_same &= changes[i].kind == ECBPF_CHANGE_REMOVE;
	return err;
}

static int chain_keep(struct ecbpf *e, const struct ecbpf_chain_want *want, struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	size_t count = 0;
	bool is_same;
	int err;

	err = chain_check(e, want, &is_same);
	if (err || is_same)
		return err;
	err = ecbpf_chain_set(e, want, 1, false, &changes, &count);
	for (size_t i = 0; i < count && !err; i++)
		err = conf_report_chain(e, &changes[i], r);
	return err;
}

/* The fast path's table and TC program */
static int port_keep(struct ecbpf *e, const struct ecbpf_config *config, const char *name,
		     struct conf_report *r)
{
	struct conf_fastpath_undo undo = {};
	int err = conf_fastpath_load(e, config, &name, 1, false, r, &undo);

	free(undo.names);
	return err;
}

/* Return: 0, also if it is waited for; -ENOMEM */
static int wait_for(struct ecbpf *e, const char *name, struct conf_waits *waits)
{
	struct saved_error error;
	const char *text;
	size_t len = strlen(name);

	ecbpf_error_save(e, &error);
	text = ecbpf_error(e);
	if (!strncmp(text, name, len) && !strncmp(text + len, ": ", 2))
		text += len + 2;
	return conf_wait(e, waits, name, text);
}

static int plan_keep(struct ecbpf *e, const struct ecbpf_config *config,
		     const struct conf_plan *plan, struct conf_report *r, struct conf_waits *waits)
{
	size_t before;
	int err = 0;

	for (size_t i = 0; i < plan->ports_count && !err; i++) {
		before = r->count;
		if (!port_keep(e, config, plan->ports[i], r))
			continue;
		r->count = before; /* it was not done */
		err = wait_for(e, plan->ports[i], waits);
	}
	for (size_t i = 0; i < plan->links_count && !err; i++) {
		const struct ecbpf_chain_want *want = &plan->wants[i];

		before = r->count;
		if (!want->programs_count || !chain_keep(e, want, r))
			continue;
		r->count = before;
		err = wait_for(e, want->iface, waits);
	}
	return err;
}

int conf_keep(struct ecbpf *e, const struct ecbpf_config *config, struct conf_report *r,
	      struct conf_waits *waits)
{
	struct conf_plan plan = {};
	int err = 0;

	if (config->has_interfaces) {
		err = conf_plan_programs(e, config, &plan);
		if (!err)
			err = conf_plan_wants(e, config, &plan, waits);
		if (!err)
			err = conf_plan_ports(e, config, &plan);
		if (!err)
			err = plan_keep(e, config, &plan, r, waits);
		/* pins of what was attached to an interface that is gone */
		if (!err && r->count)
			err = conf_clean(e, r);
	}
	conf_plan_free(&plan);
	return err;
}
