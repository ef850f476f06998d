// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A configuration and the running state: what differs, bringing about, and the way back.
 *
 * Settings go first and chains last, as those are the ones that may be refused: then the settings
 * go back to what they were, which was noted as a configuration, too. Each step is whole by
 * itself, so what is killed in between is finished by being run again.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/bpf.h>
#include "config/conf.h"
#include "core/links.h"

/* With the key and the name of a file, a line that inih takes as it is built by Debian */
#define DIR_LEN_MAX 150

static int fail_memory(struct ecbpf *e)
{
	return ecbpf_fail(e, -ENOMEM, "out of memory");
}

int conf_differs(struct ecbpf *e, struct conf_report *r, const char *format, ...)
{
	struct ecbpf_config_change *changes;
	va_list args;

	changes = reallocarray(r->changes, r->count + 1, sizeof(*changes));
	if (!changes)
		return fail_memory(e);
	r->changes = changes;
	va_start(args, format);
	vsnprintf(changes[r->count++].text, sizeof(changes->text), format, args);
	va_end(args);
	return 0;
}

void conf_add(struct conf_text *text, const char *format, ...)
{
	va_list args;
	char *more, *line;
	int len;

	va_start(args, format);
	len = vasprintf(&line, format, args);
	va_end(args);
	more = len < 0 ? NULL : realloc(text->text, text->len + len + 1);
	if (!more) {
		text->is_lost = true;
		if (len >= 0)
			free(line);
		return;
	}
	text->text = more;
	memcpy(more + text->len, line, len + 1);
	text->len += len;
	free(line);
}

/* --- chains: what is wanted --------------------------------------------------------------- */

/* Which programs, and on which interfaces. Strings are the configuration's */
struct plan {
	struct ecbpf_program *programs;
	size_t programs_count;
	char *fused;		/* list of stages */
	const char ***settings; /* of each program */
	struct ecbpf_link *links;
	size_t links_count;
	struct ecbpf_chain_want *wants; /* one for each interface there is */
	const char **ports;		/* where the fast path is to be, besides in the chains */
	size_t ports_count;
};

static void plan_free(struct plan *plan)
{
	for (size_t i = 0; plan->settings && i < plan->programs_count; i++)
		free(plan->settings[i]);
	free(plan->settings);
	free(plan->programs);
	free(plan->fused);
	free(plan->links);
	free(plan->wants);
	free(plan->ports);
}

/* Constants of a unit, behind those that there are already */
static int settings_add(struct ecbpf *e, struct plan *plan, size_t number,
			const struct conf_unit *unit)
{
	struct ecbpf_program *program = &plan->programs[number];
	const char **settings;

	if (!unit)
		return 0;
	settings =
		reallocarray(plan->settings[number],
			     program->settings_count + unit->settings.count + 1, sizeof(*settings));
	if (!settings)
		return fail_memory(e);
	plan->settings[number] = settings;
	for (size_t i = 0; i < unit->settings.count; i++)
		settings[program->settings_count++] = unit->settings.items[i].text;
	program->settings = settings;
	return 0;
}

static struct ecbpf_program *program_add(struct plan *plan, const struct conf_unit *unit)
{
	struct ecbpf_program *program = &plan->programs[plan->programs_count++];

	*program = (struct ecbpf_program)ECBPF_PROGRAM_INIT;
	if (unit) {
		program->prio = unit->prio;
		program->actions = unit->actions;
	}
	return program;
}

static int plan_fused(struct ecbpf *e, const struct ecbpf_config *config, struct plan *plan)
{
	const struct conf_unit *fused = conf_unit_find(config, CONF_FUSED, true);
	struct conf_text list = {};
	int err = 0;

	program_add(plan, fused);
	for (size_t i = 0; i < config->stages.count && !err; i++) {
		const char *name = config->stages.items[i].text;

		conf_add(&list, "%s%s", i ? "," : "", name);
		err = settings_add(e, plan, 0, conf_unit_find(config, name, true));
	}
	if (!err)
		err = settings_add(e, plan, 0, fused);
	plan->fused = list.text;
	plan->programs[0].fused = list.text;
	return err ? err : list.is_lost ? fail_memory(e) : 0;
}

static int plan_programs(struct ecbpf *e, const struct ecbpf_config *config, struct plan *plan)
{
	size_t max = config->stages.count + config->units_count + 1;
	int err = 0;

	plan->programs = calloc(max, sizeof(*plan->programs));
	plan->settings = calloc(max, sizeof(*plan->settings));
	if (!plan->programs || !plan->settings)
		return fail_memory(e);
	if (config->is_fused && config->stages.count)
		err = plan_fused(e, config, plan);
	for (size_t i = 0; i < config->stages.count && !config->is_fused && !err; i++) {
		const char *name = config->stages.items[i].text;
		const struct conf_unit *unit = conf_unit_find(config, name, true);
		struct ecbpf_program *program = program_add(plan, unit);

		program->file = name;
		program->is_stage = true;
		err = settings_add(e, plan, plan->programs_count - 1, unit);
	}
	for (size_t i = 0; i < config->units_count && !err; i++) {
		const struct conf_unit *unit = &config->units[i];
		struct ecbpf_program *program;

		if (unit->is_stage)
			continue;
		program = program_add(plan, unit);
		program->file = unit->file.text;
		program->section = unit->section;
		program->name = unit->prog_name;
		err = settings_add(e, plan, plan->programs_count - 1, unit);
	}
	return err;
}

static const struct ecbpf_link *link_find(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->links_count; i++)
		if (!strcmp(plan->links[i].name, name))
			return &plan->links[i];
	return NULL;
}

/* "eth0", "enp*", "bond0/": whether a link is meant. A name that there is means that one */
static bool is_meant(const struct plan *plan, const char *word, const struct ecbpf_link *link)
{
	size_t len = strlen(word);
	const struct ecbpf_link *master;
	char name[IF_NAMESIZE];

	if (link_find(plan, word))
		return !strcmp(word, link->name);
	if (word[len - 1] != '/')
		return !fnmatch(word, link->name, 0);
	snprintf(name, sizeof(name), "%.*s", (int)len - 1, word);
	master = link_find(plan, name);
	return master && link->master == master->ifindex;
}

static bool is_among(const struct plan *plan, const struct conf_words *words,
		     const struct ecbpf_link *link)
{
	for (size_t i = 0; i < words->count; i++)
		if (is_meant(plan, words->items[i].text, link))
			return true;
	return false;
}

/* What names an interface that is not there is wrong; a pattern may match none yet */
static int interfaces_check(struct ecbpf *e, const struct plan *plan,
			    const struct conf_words *words)
{
	for (size_t i = 0; i < words->count; i++) {
		const struct conf_word *word = &words->items[i];
		size_t len = strlen(word->text);
		char name[IF_NAMESIZE];

		if (link_find(plan, word->text))
			continue;
		if (len > 1 && word->text[len - 1] == '/' && len <= sizeof(name)) {
			snprintf(name, sizeof(name), "%.*s", (int)len - 1, word->text);
			if (link_find(plan, name))
				continue;
		} else if (strpbrk(word->text, "*?[")) {
			continue;
		}
		return conf_fail(e, word, "%s: no such interface", word->text);
	}
	return 0;
}

static int plan_wants(struct ecbpf *e, const struct ecbpf_config *config, struct plan *plan)
{
	int err;

	err = ecbpf_links_read(e, &plan->links, &plan->links_count);
	if (!err)
		err = interfaces_check(e, plan, &config->ingress);
	if (!err)
		err = interfaces_check(e, plan, &config->egress);
	if (err)
		return err;
	plan->wants = calloc(plan->links_count + 1, sizeof(*plan->wants));
	if (!plan->wants)
		return fail_memory(e);
	for (size_t i = 0; i < plan->links_count; i++) {
		struct ecbpf_chain_want *want = &plan->wants[i];

		want->iface = plan->links[i].name;
		want->mode = config->mode;
		if (!is_among(plan, &config->ingress, &plan->links[i]))
			continue;
		want->programs = plan->programs;
		want->programs_count = plan->programs_count;
	}
	return 0;
}

/* Interfaces of either kind, if the fast path is among the stages and gets any packets */
static int plan_ports(struct ecbpf *e, const struct ecbpf_config *config, struct plan *plan)
{
	bool is_wanted = false, has_packets = false;

	plan->ports = calloc(plan->links_count + 1, sizeof(*plan->ports));
	if (!plan->ports)
		return fail_memory(e);
	for (size_t i = 0; i < config->stages.count; i++)
		is_wanted |= !strcmp(config->stages.items[i].text, "fastpath");
	for (size_t i = 0; i < plan->links_count; i++)
		has_packets |= plan->wants[i].programs_count;
	for (size_t i = 0; i < plan->links_count && is_wanted && has_packets; i++)
		if (plan->wants[i].programs_count ||
		    is_among(plan, &config->egress, &plan->links[i]))
			plan->ports[plan->ports_count++] = plan->links[i].name;
	return 0;
}

/* --- chains: bringing about --------------------------------------------------------------- */

static int report_chain(struct ecbpf *e, const struct ecbpf_chain_change *change,
			struct conf_report *r)
{
	char actions[64] = "";
	size_t len = 0;

	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++)
		if (change->actions & 1U << action)
			len += snprintf(actions + len, sizeof(actions) - len, " %s",
					ecbpf_action_name(action));
	switch (change->kind) {
	case ECBPF_CHANGE_ADD:
		return conf_differs(e, r, "%s: add %s, priority %u", change->iface, change->name,
				    change->prio);
	case ECBPF_CHANGE_REMOVE:
		return conf_differs(e, r, "%s: remove %s", change->iface, change->name);
	case ECBPF_CHANGE_REPLACE:
		return conf_differs(e, r, "%s: replace %s: other code or constants, priority %u",
				    change->iface, change->name, change->prio);
	default:
		return conf_differs(e, r, "%s: move %s: priority %u, actions%s", change->iface,
				    change->name, change->prio, actions);
	}
}

static int chains_set(struct ecbpf *e, const struct plan *plan, bool check, struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_chain_set(e, plan->wants, plan->links_count, check, &changes, &count);
	for (size_t i = 0; i < count && !err; i++)
		err = report_chain(e, &changes[i], r);
	return err;
}

/*
 * The fast path's table is made before the stage is in a chain, and goes when it is in none. It
 * forwards nothing that TC has not seen before.
 */
static int chains_check(struct ecbpf *e, const struct ecbpf_config *config, const struct plan *plan,
			struct conf_report *r)
{
	int err;

	if (!plan->wants)
		return 0;
	err = conf_fastpath_load(e, config, plan->ports, plan->ports_count, true, r, NULL);
	if (!err)
		err = chains_set(e, plan, true, r);
	return err ? err : conf_fastpath_leave(e, plan->ports, plan->ports_count, true, r);
}

static int chains_apply(struct ecbpf *e, const struct ecbpf_config *config, const struct plan *plan,
			struct conf_report *r)
{
	struct conf_fastpath_undo undo = {};
	int err;

	if (!plan->wants)
		return 0;
	err = conf_fastpath_load(e, config, plan->ports, plan->ports_count, false, r, &undo);
	if (err)
		return err;
	err = chains_set(e, plan, false, r);
	if (err) {
		conf_fastpath_undo(e, &undo);
		return err;
	}
	free(undo.names);
	return conf_fastpath_leave(e, plan->ports, plan->ports_count, false, r);
}

static int settings_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			  struct conf_report *r)
{
	int err = 0;

	for (size_t i = 0; i < conf_settings_count && !err; i++)
		if (conf_settings[i]->is_wanted(config))
			err = conf_settings[i]->apply(e, config, check, r);
	return err;
}

/* @config: only what it says any of; or NULL */
static int settings_export(struct ecbpf *e, const struct ecbpf_config *config, const char *dir,
			   struct conf_text *text)
{
	int err = 0;

	for (size_t i = 0; i < conf_settings_count && !err; i++)
		if (!config || conf_settings[i]->is_wanted(config))
			err = conf_settings[i]->export(e, dir, text);
	return err ? err : text->is_lost ? fail_memory(e) : 0;
}

/* What runs now of all that @config changes, as a configuration */
static int settings_get(struct ecbpf *e, const struct ecbpf_config *config,
			struct ecbpf_config **ret_before)
{
	struct ecbpf_config *before = NULL;
	struct conf_text text = {};
	int err;

	err = settings_export(e, config, NULL, &text);
	if (!err)
		err = conf_read_text(e, "the state before", text.text ?: "", &before);
	for (size_t i = 0; i < conf_settings_count && !err; i++)
		if (conf_settings[i]->get && conf_settings[i]->is_wanted(config))
			err = conf_settings[i]->get(e, before);
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
	char error[sizeof(e->error)];
	struct conf_report r = {};

	memcpy(error, e->error, sizeof(error));
	if (settings_apply(e, before, false, &r))
		ecbpf_log(e, ECBPF_LOG_WARN, "could not go back to the settings before: %s",
			  e->error);
	free(r.changes);
	memcpy(e->error, error, sizeof(error));
}

static int pin_is_there(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct stat st;

	(void)e;
	if (!is_symlink && !stat(path, &st) && !S_ISDIR(st.st_mode))
		*(bool *)data = true;
	return 0;
}

/* There was none before: those that were only tried go again, unless somebody uses them by now */
static void maps_undo(struct ecbpf *e)
{
	char error[sizeof(e->error)];

	memcpy(error, e->error, sizeof(error));
	if (ecbpf_clean_unused(e))
		ecbpf_log(e, ECBPF_LOG_WARN, "could not remove what was made: %s", e->error);
	memcpy(e->error, error, sizeof(error));
}

static int apply_all(struct ecbpf *e, const struct ecbpf_config *config, const struct plan *plan,
		     struct conf_report *r)
{
	struct ecbpf_config *before;
	int err;

	err = settings_get(e, config, &before);
	if (err)
		return err;
	err = settings_apply(e, config, false, r);
	for (size_t i = 0; i < config->stages.count && !err; i++)
		if (!strcmp(config->stages.items[i].text, "filter"))
			err = ecbpf_filter_refresh(e);
	if (!err)
		err = chains_apply(e, config, plan, r);
	if (err)
		settings_undo(e, before);
	ecbpf_config_free(before);
	return err;
}

/* What one that was killed has left */
static int clean(struct ecbpf *e, struct conf_report *r)
{
	size_t removed = 0;
	int err;

	err = ecbpf_clean_stale(e, &removed);
	if (err || !removed)
		return err;
	return conf_differs(e, r, "removed the pins of %zu dispatcher%s that nothing has attached",
			    removed, removed == 1 ? "" : "s");
}

int ecbpf_config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		       struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	struct conf_report r = {};
	struct plan plan = {};
	bool has_pins = false;
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_for_each_pin(e, pin_is_there, &has_pins);
	if (err)
		return err;
	if (config->has_interfaces) {
		err = plan_programs(e, config, &plan);
		if (!err)
			err = plan_wants(e, config, &plan);
		if (!err)
			err = plan_ports(e, config, &plan);
	}
	/* all that can be refused without being tried */
	if (!err)
		err = settings_apply(e, config, true, &r);
	if (!err)
		err = chains_check(e, config, &plan, &r);
	if (!err && r.count && !check) {
		r.count = 0;
		err = apply_all(e, config, &plan, &r);
	}
	if (!err && !check)
		err = ecbpf_config_refresh(e);
	if (!err && config->has_interfaces && !check)
		err = clean(e, &r);
	if ((err || check) && !has_pins)
		maps_undo(e);
	plan_free(&plan);
	if (err) {
		free(r.changes);
		return err;
	}
	*ret_changes = r.changes;
	*ret_count = r.count;
	return 0;
}

static int vlans_add(struct ecbpf *e, const struct ecbpf_link *link, const struct conf_words *ids,
		     struct ecbpf_config_vlan **vlans, size_t *count)
{
	struct ecbpf_config_vlan *more;

	more = reallocarray(*vlans, *count + ids->count + 1, sizeof(*more));
	if (!more)
		return fail_memory(e);
	*vlans = more;
	for (size_t i = 0; i < ids->count; i++) {
		struct ecbpf_config_vlan *vlan = &more[(*count)++];

		snprintf(vlan->iface, sizeof(vlan->iface), "%s", link->name);
		vlan->id = strtoul(ids->items[i].text, NULL, 10);
	}
	return 0;
}

int ecbpf_config_vlans(struct ecbpf *e, const struct ecbpf_config *config,
		       struct ecbpf_config_vlan **ret_vlans, size_t *ret_count)
{
	struct ecbpf_config_vlan *vlans = NULL;
	struct plan plan = {};
	size_t count = 0;
	int err;

	ecbpf_capture(e);
	err = ecbpf_links_read(e, &plan.links, &plan.links_count);
	for (size_t i = 0; i < plan.links_count && !err; i++) {
		const struct ecbpf_link *link = &plan.links[i];

		if (is_among(&plan, &config->ingress, link))
			err = vlans_add(e, link, &config->ingress_vlans, &vlans, &count);
		if (!err && is_among(&plan, &config->egress, link))
			err = vlans_add(e, link, &config->egress_vlans, &vlans, &count);
	}
	plan_free(&plan);
	if (err) {
		free(vlans);
		return err;
	}
	*ret_vlans = vlans;
	*ret_count = count;
	return 0;
}

int ecbpf_config_stop(struct ecbpf *e, const char *file, struct ecbpf_config_change **ret_changes,
		      size_t *ret_count)
{
	struct ecbpf_config *none;
	bool is_left;
	int err;

	*ret_changes = NULL;
	*ret_count = 0;
	err = conf_read_stop(e, file, &is_left);
	if (err || is_left)
		return err;
	err = conf_read_text(e, "no interfaces", "[interfaces]\ningress =\n", &none);
	if (err)
		return err;
	err = ecbpf_config_apply(e, none, false, ret_changes, ret_count);
	ecbpf_config_free(none);
	return err;
}

/* --- export ------------------------------------------------------------------------------- */

/* The line of struct loaded.spec with this key, without it; NULL: none. Not ended by a 0 byte */
static const char *spec_value(const struct loaded *loaded, const char *key, int *ret_len)
{
	size_t len = strlen(key);

	for (const char *line = loaded->spec; *line; line = strchrnul(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) || line[len] != '=')
			continue;
		*ret_len = strcspn(line + len + 1, "\n");
		return line + len + 1;
	}
	return NULL;
}

static void export_constants(const struct loaded *loaded, struct conf_text *text)
{
	const char *line;
	int len;

	for (line = ecbpf_loaded_constant(loaded->spec, &len); line;
	     line = ecbpf_loaded_constant(line + len, &len))
		conf_add(text, "%.*s\n", len, line);
}

static void export_place(const struct owned *m, int prio, struct conf_text *text)
{
	const char *separator = "";

	if (m->has_place && (int)m->prio != prio)
		conf_add(text, "prio = %u\n", m->prio);
	if (!m->has_place || (prio >= 0 && m->actions == 1U << XDP_PASS) || !m->actions)
		return;
	conf_add(text, "actions = ");
	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		if (!(m->actions & 1U << action))
			continue;
		conf_add(text, "%s%s", separator, ecbpf_action_name(action));
		separator = ",";
	}
	conf_add(text, "\n");
}

/* [stage NAME] or [program NAME]; nothing if all is as the stage says itself */
static void export_unit(const struct owned *m, size_t number, struct conf_text *text)
{
	static const char *const keys[] = {"file", "section", "prog-name"};
	struct conf_text body = {};
	const char *value;
	char stage[64];
	int len, prio;

	value = spec_value(&m->loaded, "stage", &len);
	if (spec_value(&m->loaded, "fused", &len)) {
		snprintf(stage, sizeof(stage), "%s", CONF_FUSED);
		prio = ECBPF_FUSED_PRIO;
	} else if (value) {
		snprintf(stage, sizeof(stage), "%.*s", (int)strcspn(value, "\n"), value);
		prio = conf_stage_prio(stage);
	} else {
		stage[0] = '\0';
		prio = -1;
	}
	export_place(m, prio, &body);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		value = spec_value(&m->loaded, keys[i], &len);
		if (value)
			conf_add(&body, "%s = %.*s\n", keys[i], len, value);
	}
	export_constants(&m->loaded, &body);
	if (!*stage)
		conf_add(text, "\n[program %zu-%.32s]\n%s", number + 1, m->name, body.text ?: "");
	else if (body.text)
		conf_add(text, "\n[stage %s]\n%s", stage, body.text);
	text->is_lost |= body.is_lost;
	free(body.text);
}

/* What [chain] and the units say of one interface */
static int export_chain(struct ecbpf *e, const char *iface, const struct owned *members,
			size_t count, enum ecbpf_mode mode, struct conf_text *text)
{
	struct conf_text stages = {};
	bool is_fused = false;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		const char *value;
		bool is_twice;
		int len = 0;

		if (!*members[i].loaded.spec)
			err = ecbpf_fail(e, -EINVAL,
					 "%s: %s was loaded by an older ecbpf, which did not note "
					 "its constants: 'ecbpf-loader replace' it",
					 iface, members[i].name);
		value = spec_value(&members[i].loaded, "stage", &len);
		if (!value) {
			value = spec_value(&members[i].loaded, "fused", &len);
			is_fused |= !!value;
		}
		if (!value)
			continue;
		is_twice = is_fused && stages.len;
		for (size_t k = 0; k < i; k++)
			is_twice |= !strcmp(members[k].name, members[i].name);
		if (is_twice)
			err = ecbpf_fail(e, -EINVAL,
					 "%s: %s: a configuration has each stage once, and all of "
					 "them fused or none",
					 iface, members[i].name);
		conf_add(&stages, "%s%.*s", stages.len ? "," : "", len, value);
	}
	conf_add(text, "\n[chain]\nstages = %s\nfused = %s\nmode = %s\n", stages.text ?: "",
		 is_fused ? "yes" : "no", mode == ECBPF_MODE_SKB ? "skb" : "native");
	for (size_t i = 0; i < count && !err; i++)
		export_unit(&members[i], i, text);
	text->is_lost |= stages.is_lost;
	free(stages.text);
	return err;
}

/* The fast path is there without a chain, which is for packets that leave */
static int export_egress(struct ecbpf *e, struct conf_text *text)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_fastpath_ports(e, &ports, &count);
	for (size_t i = 0; i < count && !err; i++)
		if (ports[i].is_out && !ports[i].is_in)
			conf_add(text, "egress =%s%s\n", *ports[i].iface == ';' ? "" : " ",
				 ports[i].iface);
	return err;
}

static int export_chains(struct ecbpf *e, struct conf_text *text)
{
	_cleanup_free_ struct owned *members = calloc(DISPATCHER_MEMBERS, sizeof(*members));
	_cleanup_free_ struct ecbpf_link *links = NULL;
	struct conf_text first = {}, chain = {};
	const char *first_iface = NULL;
	size_t links_count = 0;
	int err;

	if (!members)
		return fail_memory(e);
	conf_add(text, "[interfaces]\n");
	err = ecbpf_links_read(e, &links, &links_count);
	for (size_t i = 0; i < links_count && !err; i++) {
		const char *iface = links[i].name;
		enum ecbpf_mode mode;
		size_t count = 0;

		err = ecbpf_chain_owned(e, iface, members, &count, &mode);
		if (err || !count)
			continue;
		conf_add(text, "ingress =%s%s\n", *iface == ';' ? "" : " ", iface);
		err = export_chain(e, iface, members, count, mode, &chain);
		if (!err && first_iface &&
		    (!first.text || !chain.text || strcmp(first.text, chain.text)))
			err = ecbpf_fail(e, -EINVAL,
					 "%s and %s have different chains, and a configuration has "
					 "one for all interfaces",
					 first_iface, iface);
		if (first_iface) {
			free(chain.text);
		} else {
			first = chain;
			first_iface = iface;
		}
		chain = (struct conf_text){};
	}
	if (!first_iface)
		conf_add(text, "ingress =\n");
	if (!err)
		err = export_egress(e, text);
	if (!err && first_iface)
		conf_add(text, "%s", first.text ?: "");
	text->is_lost |= first.is_lost;
	free(first.text);
	return err;
}

int ecbpf_config_export(struct ecbpf *e, const char *dir, char **ret_text)
{
	struct conf_text text = {};
	char path[PATH_MAX];
	int err;

	ecbpf_capture(e);
	if (dir) {
		if (!realpath(dir, path))
			return ecbpf_fail(e, -errno, "%s: %s", dir, strerror(errno));
		if (strpbrk(path, " \t\n;\"") || strlen(path) > DIR_LEN_MAX)
			return ecbpf_fail(e, -EINVAL,
					  "%s: a configuration cannot name files there: no "
					  "blanks, no ; or \", %d characters at most",
					  path, DIR_LEN_MAX);
		dir = path;
	}
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = export_chains(e, &text);
	if (!err)
		err = settings_export(e, NULL, dir, &text);
	if (err)
		free(text.text);
	else
		*ret_text = text.text;
	return err;
}
