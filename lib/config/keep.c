// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Mending the chains of declared interfaces, each for itself.
 *
 * Unlike ecbpf_config_apply(), this takes nothing away that is more than declared: who added a
 * stage at runtime meant it, and nobody is there to ask. One exception: a fused program that lacks
 * a declared stage is replaced by the declared one. Rules, lists and settings are touched only if
 * their maps are gone: programs would make them anew, and empty.
 */
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "bpf/pins.h"
#include "chain/lost.h"
#include "chain/set.h"
#include "chain/spares.h"
#include "config/plan.h"
#include "core/handle.h"
#include "core/hash.h"
#include "core/runtime_log.h"
#include "core/util.h"

static bool has_stage(const struct ecbpf_member *member, const char *name)
{
	for (size_t i = 0; i < member->stages_count; i++)
		if (!strcmp(ecbpf_stage_name(member->stages[i].stage), name))
			return true;
	return false;
}

/* Has a fused program all declared stages, and others? In doubt it has not */
static bool has_more(struct ecbpf *e, const struct ecbpf_config *config, const char *iface)
{
	const struct conf_words *stages = &config->stages;
	struct ecbpf_chain *chain;
	bool is_more = false;

	if (ecbpf_chain_get(e, iface, &chain))
		return false;
	for (size_t i = 0; i < chain->members_count && !is_more; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		is_more = member->is_ours && member->stages_count > stages->count;
		for (size_t k = 0; k < stages->count && is_more; k++)
			is_more = has_stage(member, stages->items[k].text);
	}
	ecbpf_chain_free(chain);
	return is_more;
}

static int chain_keep(struct ecbpf *e, const struct ecbpf_config *config,
		      const struct conf_plan *plan, struct ecbpf_chain_want want,
		      struct other_maps *maps, struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	size_t count = 0;
	int err;

	if (plan->fused && has_more(e, config, want.iface)) {
		want.programs++; /* the first one is the fused one */
		want.programs_count--;
	}
	if (!want.programs_count)
		return 0;
	err = ecbpf_chain_keep(e, &want, maps, &changes, &count);
	for (size_t i = 0; i < count && !err; i++)
		err = conf_report_chain(e, &changes[i], r);
	if (!err && e->spares && ecbpf_spares_hold(e, want.iface))
		ecbpf_log(e, ECBPF_LOG_INFO, "%s", e->error);
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
	const char *text = ecbpf_error(e);
	size_t len = strlen(name);

	if (!strncmp(text, name, len) && !strncmp(text + len, ": ", 2))
		text += len + 2;
	return conf_wait(e, waits, name, text);
}

static int plan_keep(struct ecbpf *e, const struct ecbpf_config *config,
		     const struct conf_plan *plan, struct other_maps *maps, struct conf_report *r,
		     struct conf_waits *waits)
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
	for (size_t i = 0; i < plan->wants_count && !err; i++) {
		const struct ecbpf_chain_want *want = &plan->wants[i];

		before = r->count;
		if (!want->programs_count || !chain_keep(e, config, plan, *want, maps, r))
			continue;
		r->count = before;
		err = wait_for(e, want->iface, waits);
	}
	return err;
}

/* One of each stage: settings are in it, and its program cannot do without */
static const struct {
	const char *stage;
	const char *map;
} stage_maps[] = {
	{"filter", "filter_settings"},
	{"fw", "fw_active"},
	{"sampler", "sampling"},
};

/* Likewise, but another map that something declared is in: perhaps a program goes on with it */
static int has_lost_more(struct ecbpf *e, const char *stage)
{
	char iface[IF_NAMESIZE];
	struct own_pin pin;
	int err;

	err = ecbpf_lost_is_partial(e, stage);
	if (!err && !strcmp(stage, "filter")) {
		err = conf_is_pinned(e, "filter_addrs");
		err = err < 0 ? err : !err;
	}
	if (err <= 0)
		return err;
	err = ecbpf_lost_find(e, stage, &pin, iface);
	return err < 0 ? err : !err; /* if one does, see maps_keep() */
}

/* Has a declared stage lost the map that its settings are in? Return: or -errno */
static int has_lost_maps(struct ecbpf *e, const struct ecbpf_config *config)
{
	for (size_t i = 0; i < config->stages.count; i++) {
		const char *stage = config->stages.items[i].text;
		int is_lost;

		for (size_t k = 0; k < ARRAY_SIZE(stage_maps); k++) {
			int is_there = 1;

			if (!strcmp(stage, stage_maps[k].stage))
				is_there = conf_is_pinned(e, stage_maps[k].map);
			if (is_there <= 0)
				return is_there ?: 1;
		}
		is_lost = has_lost_more(e, stage);
		if (is_lost)
			return is_lost;
	}
	return 0;
}

static int pin_hash(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct stat st = {};

	(void)e;
	if (!is_symlink && !stat(path, &st) && !S_ISDIR(st.st_mode))
		ecbpf_hash_add(data, &st.st_ino, sizeof(st.st_ino));
	return 0;
}

void conf_keep_hash(struct ecbpf *e, __u64 *hash)
{
	ecbpf_for_each_pin(e, pin_hash, hash);
}

/*
 * Programs go on with maps whose pins were removed, which no verb finds any more: a ban would not
 * reach them. If nothing but declaration and log has made these what they are, the maps that are
 * pinned are made that, too, and the programs are replaced by some that have them.
 */
static int maps_keep(struct ecbpf *e, const struct ecbpf_config *config,
		     const struct conf_plan *plan, struct conf_report *r, struct conf_waits *waits,
		     size_t waits_count)
{
	struct other_maps maps = {.replaces_them = true};
	char path[PATH_MAX];
	bool is_sure;
	int err;

	if (runtime_log_path(path, &is_sure) <= 0 || access(path, F_OK))
		return 0;
	err = conf_settings_set(e, config, r);
	if (err)
		return err;
	waits->count = waits_count; /* of the try before, none */
	return plan_keep(e, config, plan, &maps, r, waits);
}

int conf_keep(struct ecbpf *e, const struct ecbpf_config *config, struct conf_report *r,
	      struct conf_waits *waits)
{
	struct other_maps maps = {};
	struct conf_plan plan = {};
	size_t before = 0;
	int err = 0;

	if (config->has_interfaces) {
		ecbpf_lost_restore(e); /* what cannot be pinned again is replaced below */
		err = has_lost_maps(e, config);
		if (err > 0)
			err = conf_settings_set(e, config, r);
		if (!err)
			err = conf_plan_programs(e, config, &plan);
		if (!err)
			err = conf_plan_wants(e, config, &plan, waits);
		if (!err)
			err = conf_plan_ports(e, config, &plan);
		before = waits->count;
		if (!err)
			err = plan_keep(e, config, &plan, &maps, r, waits);
		if (!err && maps.ret_has_some)
			err = maps_keep(e, config, &plan, r, waits, before);
		/* pins of what was attached to an interface that is gone */
		if (!err && r->count)
			err = conf_clean(e, r);
	}
	conf_plan_free(&plan);
	return err;
}
