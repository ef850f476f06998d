// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the interfaces of this host are to have, and have: a stage of an interface by the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bpf/bpffs.h"
#include "chain/again.h"
#include "chain/note.h"
#include "config.h"
#include "config/declared.h"
#include "config/parse.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"

static struct ecbpf_declared *declared_find(const struct conf_declared *d, const char *iface,
					    const char *stage)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->items[i].iface, iface) &&
		    (!stage || !strcmp(d->items[i].stage, stage)))
			return &d->items[i];
	return NULL;
}

static int declared_add(struct ecbpf *e, struct conf_declared *d,
			const struct ecbpf_declared *declared)
{
	struct ecbpf_declared *added;

	if (declared_find(d, declared->iface, declared->stage))
		return 0; /* twice in a chain */
	added = ecbpf_array_add(&d->items, &d->count, sizeof(*added));
	if (!added)
		return ecbpf_fail_memory(e);
	*added = *declared;
	return 0;
}

/* What the configuration has for one interface, or for a name that no interface has */
static int config_add(struct ecbpf *e, const struct ecbpf_config *config, const char *iface,
		      bool has_iface, struct conf_declared *d)
{
	struct ecbpf_declared declared = {.has_iface = has_iface, .by_file = true};
	int err = 0;

	snprintf(declared.iface, sizeof(declared.iface), "%s", iface);
	for (size_t i = 0; i < config->stages.count && !err; i++) {
		snprintf(declared.stage, sizeof(declared.stage), "%s",
			 config->stages.items[i].text);
		err = declared_add(e, d, &declared);
	}
	for (size_t i = 0; i < config->units_count && !err; i++) {
		const struct conf_unit *unit = &config->units[i];

		if (unit->is_stage || !unit->prog_name)
			continue; /* only the object file has its name */
		snprintf(declared.stage, sizeof(declared.stage), "%s", unit->prog_name);
		err = declared_add(e, d, &declared);
	}
	return err;
}

static int configs_add(struct ecbpf *e, const struct ecbpf_config *config, struct conf_declared *d)
{
	struct conf_waits waits = {};
	struct conf_plan plan = {};
	int err;

	err = conf_plan_programs(e, config, &plan);
	if (!err)
		err = conf_plan_wants(e, config, &plan, &waits);
	for (size_t i = 0; i < plan.links_count && !err; i++)
		if (plan.wants[i].programs_count)
			err = config_add(e, config, plan.wants[i].iface, true, d);
	for (size_t i = 0; i < waits.count && !err; i++)
		if (conf_words_have(&config->ingress, waits.items[i].name,
				    strlen(waits.items[i].name)))
			err = config_add(e, config, waits.items[i].name, false, d);
	free(waits.items);
	conf_plan_free(&plan);
	return err;
}

static int note_add(struct ecbpf *e, const struct note *note, void *data)
{
	struct conf_declared *d = data;
	int err;

	if (declared_find(d, note->iface, NULL))
		return 0;
	err = ecbpf_iface_ask(e, note->iface);
	if (err <= 0)
		return err;
	err = 0;
	for (size_t i = 0; i < note->count && !err; i++) {
		struct ecbpf_declared declared = {.has_iface = true, .by_command = true};
		char stages[AGAIN_STAGES], *rest = NULL;

		snprintf(declared.iface, sizeof(declared.iface), "%s", note->iface);
		ecbpf_again_stages(&note->members[i], stages);
		for (char *stage = strtok_r(stages, ",", &rest); stage && !err;
		     stage = strtok_r(NULL, ",", &rest)) {
			snprintf(declared.stage, sizeof(declared.stage), "%s", stage);
			err = declared_add(e, d, &declared);
		}
	}
	return err;
}

/* What is attached: that of the list, and stages of ours that are not on it */
static int chain_add(struct ecbpf *e, const char *iface, struct conf_declared *d)
{
	struct ecbpf_chain *chain;
	int err = 0;

	if (ecbpf_chain_get(e, iface, &chain)) {
		/* in doubt it is there: whoever reads the chain is told the reason */
		for (size_t i = 0; i < d->count; i++)
			d->items[i].is_attached |= !strcmp(d->items[i].iface, iface);
		return 0;
	}
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t k = 0; k < (member->is_ours ? member->stages_count : 1) && !err; k++) {
			const char *stage =
				member->is_ours ? ecbpf_stage_name(member->stages[k].stage) : NULL;
			struct ecbpf_declared *found =
				stage ? declared_find(d, iface, stage) : NULL;

			if (!found) /* a program loaded from a file is noted by its own name */
				found = declared_find(d, iface, member->name);
			if (found)
				found->is_attached = true;
			if (found || !stage)
				continue;
			struct ecbpf_declared more = {.has_iface = true, .is_attached = true};

			snprintf(more.iface, sizeof(more.iface), "%s", iface);
			snprintf(more.stage, sizeof(more.stage), "%s", stage);
			err = declared_add(e, d, &more);
		}
	}
	ecbpf_chain_free(chain);
	return err;
}

int conf_declared_read(struct ecbpf *e, const struct ecbpf_config *config,
		       struct conf_declared *ret)
{
	_cleanup_free_ struct ecbpf_link *links = NULL;
	size_t links_count = 0;
	int err = 0;

	if (config && config->has_interfaces)
		err = configs_add(e, config, ret);
	if (!err) {
		err = ecbpf_bpffs_open(e, false);
		if (!err)
			err = ecbpf_for_each_note(e, note_add, ret);
		else if (err == -ENODEV || err == -EPERM || err == -EACCES)
			err = 0; /* no notes that could be trusted */
	}
	if (!err)
		err = ecbpf_links_read(e, &links, &links_count);
	for (size_t i = 0; i < links_count && !err; i++)
		if (links[i].xdp_ids[0] || links[i].xdp_ids[1] || links[i].xdp_ids[2])
			err = chain_add(e, links[i].name, ret);
	return err;
}

int conf_declared_file(struct ecbpf *e, char ret_file[DECLARED_FILE])
{
	struct ecbpf_watch_state state;
	struct stat st;

	*ret_file = '\0';
	if (!ecbpf_watch_read(e, &state)) {
		bool is_watched = state.pid;

		snprintf(ret_file, DECLARED_FILE, "%s", is_watched ? state.file : "");
		ecbpf_watch_state_free(&state);
		if (is_watched)
			return 1;
	}
	/* in doubt it is there: who reads it says what is wrong with it */
	return !lstat(ECBPF_CONFIG_DIR "/ecbpf.conf", &st) || errno != ENOENT;
}

int ecbpf_declared_read(struct ecbpf *e, struct ecbpf_declared **ret_declared, size_t *ret_count)
{
	struct ecbpf_config *config = NULL;
	struct conf_declared d = {};
	char file[DECLARED_FILE];
	int err = 0;

	ecbpf_capture(e);
	if (conf_declared_file(e, file))
		err = conf_read_words(e, *file ? file : NULL, &config);
	/* one that cannot be read declares nothing; ecbpf_declared_check() says so */
	err = conf_declared_read(e, err ? NULL : config, &d);
	ecbpf_config_free(config);
	if (err) {
		free(d.items);
		return err;
	}
	*ret_declared = d.items;
	*ret_count = d.count;
	return 0;
}
