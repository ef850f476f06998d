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
#include "conf.h"
#include "links.h"

struct conf_report {
	struct ecbpf_config_change *changes;
	size_t count;
};

static int fail_memory(struct ecbpf *e)
{
	return ecbpf_fail(e, -ENOMEM, "out of memory");
}

static int report(struct ecbpf *e, struct conf_report *r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int report(struct ecbpf *e, struct conf_report *r, const char *format, ...)
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

/* Was a map of ours ever made? Asking must not make it */
static int is_pinned(struct ecbpf *e, const char *map)
{
	char path[PATH_MAX];
	struct stat st;
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), map);
	return err ? err : !stat(path, &st);
}

/* --- [filter] ----------------------------------------------------------------------------- */

static bool filter_is_wanted(const struct ecbpf_config *config)
{
	return config->has_filter;
}

/* Setting number @i of a filter: its key; NULL: no more */
static const char *filter_value(const struct ecbpf_filter_config *config, size_t i, char *value,
				size_t size)
{
	static const char *const keys[] = {"frags", "frags6", "ptb-max-pps", "ptb-per-source-pps"};
	static const char *const frags[] = {"pass", "drop", "ptb"};
	const __u32 values[] = {config->frags, config->frags6, config->ptb_max_pps,
				config->ptb_per_source_pps};
	const char *check;
	__u32 bit;

	if (i < ARRAY_SIZE(keys)) {
		if (i < 2)
			snprintf(value, size, "%s", values[i] < 3 ? frags[values[i]] : "?");
		else
			snprintf(value, size, "%u", values[i]);
		return keys[i];
	}
	check = ecbpf_filter_check_name(i - ARRAY_SIZE(keys));
	if (!check)
		return NULL;
	bit = 1U << (i - ARRAY_SIZE(keys));
	snprintf(value, size, "%s",
		 config->drop & bit    ? "drop"
		 : config->count & bit ? "count"
				       : "off");
	return check;
}

static int filter_apply_settings(struct ecbpf *e, const struct ecbpf_filter_config *wanted,
				 bool check, struct conf_report *r)
{
	_cleanup_free_ char(*settings)[64] = calloc(ECBPF_FILTER_CHECKS_MAX + 4, sizeof(*settings));
	const char *list[ECBPF_FILTER_CHECKS_MAX + 4], *key;
	struct ecbpf_filter_config running;
	char old[32], new[32];
	size_t count = 0;
	int err;

	if (!settings)
		return fail_memory(e);
	err = ecbpf_filter_config_get(e, &running);
	for (size_t i = 0; !err && (key = filter_value(wanted, i, new, sizeof(new))); i++) {
		filter_value(&running, i, old, sizeof(old));
		if (!strcmp(old, new))
			continue;
		err = report(e, r, "filter: %s %s, was %s", key, new, old);
		snprintf(settings[count], sizeof(*settings), "%s=%s", key, new);
		list[count] = settings[count];
		count++;
	}
	return err || check || !count ? err : ecbpf_filter_set(e, list, count);
}

static int vips_get(struct ecbpf *e, struct ecbpf_filter_vip **ret_vips, size_t *ret_count)
{
	int there = is_pinned(e, "filter_addrs");

	if (there > 0)
		return ecbpf_filter_vip_list(e, ret_vips, ret_count);
	*ret_vips = NULL;
	*ret_count = 0;
	return there;
}

static bool has_vip(const struct ecbpf_filter_vip *vips, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(vips[i].text, text))
			return true;
	return false;
}

static int filter_apply_vips(struct ecbpf *e, const struct conf_words *wanted, bool check,
			     struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_filter_vip *running = NULL;
	_cleanup_free_ const char **add = NULL, **delete = NULL;
	size_t count = 0, adds = 0, deletes = 0;
	int err;

	err = vips_get(e, &running, &count);
	if (err)
		return err;
	add = calloc(wanted->count + 1, sizeof(*add));
	delete = calloc(count + 1, sizeof(*delete));
	if (!add || !delete)
		return fail_memory(e);
	for (size_t i = 0; i < wanted->count && !err; i++) {
		if (has_vip(running, count, wanted->items[i].text))
			continue;
		add[adds++] = wanted->items[i].text;
		err = report(e, r, "filter: add vip %s", wanted->items[i].text);
	}
	for (size_t i = 0; i < count && !err; i++) {
		bool is_kept = false;

		for (size_t k = 0; k < wanted->count; k++)
			is_kept |= !strcmp(running[i].text, wanted->items[k].text);
		if (is_kept)
			continue;
		delete[deletes++] = running[i].text;
		err = report(e, r, "filter: remove vip %s", running[i].text);
	}
	if (!err && !check && adds)
		err = ecbpf_filter_vip_add(e, add, adds);
	if (!err && !check && deletes)
		err = ecbpf_filter_vip_delete(e, delete, deletes);
	return err;
}

static int filter_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			struct conf_report *r)
{
	int err;

	err = filter_apply_settings(e, &config->filter, check, r);
	return err ? err : filter_apply_vips(e, &config->vips, check, r);
}

static int vip_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int filter_export(struct ecbpf *e, struct conf_text *text)
{
	_cleanup_free_ struct ecbpf_filter_vip *vips = NULL;
	struct ecbpf_filter_config config;
	size_t count = 0;
	char value[32];
	const char *key;
	int err;

	err = is_pinned(e, "filter_settings");
	if (err <= 0)
		return err;
	err = ecbpf_filter_config_get(e, &config);
	if (!err)
		err = vips_get(e, &vips, &count);
	if (err)
		return err;
	conf_add(text, "\n[filter]\n");
	for (size_t i = 0; (key = filter_value(&config, i, value, sizeof(value))); i++)
		conf_add(text, "%s = %s\n", key, value);
	if (count)
		qsort(vips, count, sizeof(*vips), vip_compare);
	for (size_t i = 0; i < count; i++)
		conf_add(text, "vip = %s\n", vips[i].text);
	return 0;
}

/* --- [sampler] ---------------------------------------------------------------------------- */

static bool sampler_is_wanted(const struct ecbpf_config *config)
{
	return config->has_sampler;
}

/* Straight from the map: asking must make nothing. -ENOENT if it was never loaded */
static int sampler_get(struct ecbpf *e, struct ecbpf_sampling *ret)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	__u32 key = 0;
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), "sampling");
	if (!err)
		err = ecbpf_pinned_map_check(e, path, NULL);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_map_lookup_elem(fd, &key, ret))
		return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static const char *const sampler_keys[] = {"rate", "rate-drops", "snaplen", "max-pps"};

static void sampler_values(const struct ecbpf_sampling *s, __u32 *values)
{
	values[0] = s->rate[ECBPF_SAMPLE_PASSED];
	values[1] = s->rate[ECBPF_SAMPLE_TERMINAL];
	values[2] = s->snap_len;
	values[3] = s->max_pps;
}

static int sampler_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			 struct conf_report *r)
{
	__u32 old[ARRAY_SIZE(sampler_keys)], new[ARRAY_SIZE(sampler_keys)];
	struct ecbpf_sampling running = {};
	size_t before = r->count;
	int err;

	err = sampler_get(e, &running);
	if (err == -ENOENT)
		err = 0;
	if (err)
		return err;
	sampler_values(&running, old);
	sampler_values(&config->sampling, new);
	for (size_t i = 0; i < ARRAY_SIZE(sampler_keys) && !err; i++)
		if (old[i] != new[i])
			err = report(e, r, "sampler: %s %u, was %u", sampler_keys[i], new[i],
				     old[i]);
	return err || check || r->count == before ? err : ecbpf_sampler_set(e, &config->sampling);
}

static int sampler_export(struct ecbpf *e, struct conf_text *text)
{
	__u32 values[ARRAY_SIZE(sampler_keys)];
	struct ecbpf_sampling running = {};
	int err;

	err = sampler_get(e, &running);
	if (err)
		return err == -ENOENT ? 0 : err;
	sampler_values(&running, values);
	conf_add(text, "\n[sampler]\n");
	for (size_t i = 0; i < ARRAY_SIZE(sampler_keys); i++)
		conf_add(text, "%s = %u\n", sampler_keys[i], values[i]);
	return 0;
}

static const struct conf_settings all_settings[] = {
	{filter_is_wanted, filter_apply, filter_export},
	{sampler_is_wanted, sampler_apply, sampler_export},
};

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
		bool is_wanted = false;

		want->iface = plan->links[i].name;
		want->mode = config->mode;
		for (size_t k = 0; k < config->ingress.count; k++)
			is_wanted |= is_meant(plan, config->ingress.items[k].text, &plan->links[i]);
		if (!is_wanted)
			continue;
		want->programs = plan->programs;
		want->programs_count = plan->programs_count;
	}
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
		return report(e, r, "%s: add %s, priority %u", change->iface, change->name,
			      change->prio);
	case ECBPF_CHANGE_REMOVE:
		return report(e, r, "%s: remove %s", change->iface, change->name);
	case ECBPF_CHANGE_REPLACE:
		return report(e, r, "%s: replace %s: other code or constants, priority %u",
			      change->iface, change->name, change->prio);
	default:
		return report(e, r, "%s: move %s: priority %u, actions%s", change->iface,
			      change->name, change->prio, actions);
	}
}

static int chains_apply(struct ecbpf *e, const struct plan *plan, bool check, struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	size_t count = 0;
	int err;

	if (!plan->wants)
		return 0;
	err = ecbpf_chain_set(e, plan->wants, plan->links_count, check, &changes, &count);
	for (size_t i = 0; i < count && !err; i++)
		err = report_chain(e, &changes[i], r);
	return err;
}

static int settings_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			  struct conf_report *r)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all_settings) && !err; i++)
		if (all_settings[i].is_wanted(config))
			err = all_settings[i].apply(e, config, check, r);
	return err;
}

static int settings_export(struct ecbpf *e, struct conf_text *text)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all_settings) && !err; i++)
		err = all_settings[i].export(e, text);
	return err ? err : text->is_lost ? fail_memory(e) : 0;
}

/* Back to settings as settings_export() said; e->error stays */
static void settings_undo(struct ecbpf *e, const char *text)
{
	char error[sizeof(e->error)];
	struct ecbpf_config *before;
	struct conf_report r = {};
	int err;

	memcpy(error, e->error, sizeof(error));
	err = conf_read_text(e, "the state before", text ?: "", &before);
	if (!err) {
		err = settings_apply(e, before, false, &r);
		ecbpf_config_free(before);
	}
	free(r.changes);
	if (err)
		ecbpf_log(e, ECBPF_LOG_WARN, "could not go back to the settings before: %s",
			  e->error);
	memcpy(e->error, error, sizeof(error));
}

static int apply_all(struct ecbpf *e, const struct ecbpf_config *config, const struct plan *plan,
		     struct conf_report *r)
{
	struct conf_text before = {};
	int err;

	err = settings_export(e, &before);
	if (!err) {
		err = settings_apply(e, config, false, r);
		for (size_t i = 0; i < config->stages.count && !err; i++)
			if (!strcmp(config->stages.items[i].text, "filter"))
				err = ecbpf_filter_refresh(e);
		if (!err)
			err = chains_apply(e, plan, false, r);
		if (err)
			settings_undo(e, before.text);
	}
	free(before.text);
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
	return report(e, r, "removed the pins of %zu dispatcher%s that nothing has attached",
		      removed, removed == 1 ? "" : "s");
}

int ecbpf_config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		       struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	struct conf_report r = {};
	struct plan plan = {};
	int err = 0;

	ecbpf_capture(e);
	if (config->has_interfaces) {
		err = plan_programs(e, config, &plan);
		if (!err)
			err = plan_wants(e, config, &plan);
	}
	/* all that can be refused without being tried */
	if (!err)
		err = settings_apply(e, config, true, &r);
	if (!err)
		err = chains_apply(e, &plan, true, &r);
	if (!err && r.count && !check) {
		r.count = 0;
		err = apply_all(e, config, &plan, &r);
	}
	if (!err && config->has_interfaces && !check)
		err = clean(e, &r);
	plan_free(&plan);
	if (err) {
		free(r.changes);
		return err;
	}
	*ret_changes = r.changes;
	*ret_count = r.count;
	return 0;
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

/* Constants: lines of the spec that are none of its own keys */
static void export_constants(const struct loaded *loaded, struct conf_text *text)
{
	static const char *const own[] = {
		"fused=", "stage=", "file=", "section=", "prog-name=", "pin-path="};
	const char *line = loaded->spec;

	while (*line) {
		size_t len = strcspn(line, "\n");
		bool is_own = !len;

		for (size_t i = 0; i < ARRAY_SIZE(own); i++)
			is_own |= !strncmp(line, own[i], strlen(own[i]));
		if (!is_own)
			conf_add(text, "%.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
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
	else if (!err)
		conf_add(text, "%s", first.text ?: "");
	text->is_lost |= first.is_lost;
	free(first.text);
	return err;
}

int ecbpf_config_export(struct ecbpf *e, char **ret_text)
{
	struct conf_text text = {};
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = export_chains(e, &text);
	if (!err)
		err = settings_export(e, &text);
	if (err)
		free(text.text);
	else
		*ret_text = text.text;
	return err;
}
