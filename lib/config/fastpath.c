// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * [fastpath]: what the fast path needs besides its XDP program, which is a stage like others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/parse.h"
#include "core/error.h"
#include "core/handle.h"
#include "fastpath/fastpath.h"

/* --- reading ------------------------------------------------------------------------------ */

static int open_fastpath(struct conf_parser *p, const char *name)
{
	(void)name;
	p->config->fastpath.section = p->at;
	return 0;
}

static int set_fastpath(struct conf_parser *p, const char *key, const char *value)
{
	struct conf_fastpath *f = &p->config->fastpath;
	int err;

	if (!strcmp(key, "exclude"))
		return conf_set_prefixes(p, key, value, &f->excludes);
	if (strcmp(key, "flows"))
		return conf_set_value(p, ecbpf_fastpath_settings(), key, value, &f->settings,
				      &f->given);
	err = conf_set_number(p, key, value, ECBPF_FLOWS_MAX, &f->flows);
	return err || f->flows >= ECBPF_FLOWS_MIN
		       ? err
		       : conf_fail(p->e, &p->at, "flows: %u is not from %u to %u", f->flows,
				   ECBPF_FLOWS_MIN, ECBPF_FLOWS_MAX);
}

/* Times become what they will be read back as */
static int fastpath_check(struct ecbpf *e, struct ecbpf_config *config)
{
	struct conf_fastpath *f = &config->fastpath;
	bool is_there = false;
	int err;

	if (!f->section.file)
		return 0;
	for (size_t i = 0; i < config->stages.count; i++)
		is_there |= !strcmp(config->stages.items[i].text, "fastpath");
	if (config->ingress.count && config->has_stages && !is_there)
		return conf_fail(e, &f->section, "[fastpath], but it is not among the stages");
	err = ecbpf_fastpath_check(e, &f->settings);
	return err ? conf_fail_at(e, err, &f->section) : 0;
}

static bool is_wanted(const struct ecbpf_config *config)
{
	return config->fastpath.section.file;
}

/* --- addresses that are excluded ---------------------------------------------------------- */

static bool has_prefix(const struct ecbpf_prefix *prefixes, size_t count, const char *text)
{
	char other[ECBPF_PREFIX_TEXT];

	for (size_t i = 0; i < count; i++) {
		ecbpf_prefix_format(&prefixes[i], other);
		if (!strcmp(text, other))
			return true;
	}
	return false;
}

static int excludes_apply(struct ecbpf *e, const struct conf_words *wanted, bool check,
			  struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_prefix *live = NULL;
	size_t count = 0;
	int err;

	err = ecbpf_fastpath_exclude_list(e, &live, &count);
	for (size_t i = 0; i < wanted->count && !err; i++) {
		const char *text = wanted->items[i].text;
		struct ecbpf_prefix prefix;
		bool has_host_bits;

		if (has_prefix(live, count, text))
			continue;
		err = conf_report_change(e, r, "fastpath: exclude %s", text);
		if (err || check)
			continue;
		ecbpf_prefix_parse(e, text, &prefix, &has_host_bits);
		err = ecbpf_fastpath_exclude_add(e, &prefix, 1);
	}
	for (size_t i = 0; i < count && !err; i++) {
		char text[ECBPF_PREFIX_TEXT];
		bool is_kept = false;

		ecbpf_prefix_format(&live[i], text);
		for (size_t k = 0; k < wanted->count; k++)
			is_kept |= !strcmp(wanted->items[k].text, text);
		if (is_kept)
			continue;
		err = conf_report_change(e, r, "fastpath: exclude %s no more", text);
		if (!err)
			conf_report_removal(r);
		if (!err && !check)
			err = ecbpf_fastpath_exclude_delete(e, &live[i], 1);
	}
	return err;
}

/* --- settings ----------------------------------------------------------------------------- */

/* If it is loaded: else they are set once it is, see conf_fastpath_load() */
static int apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		 struct conf_report *r)
{
	const struct conf_fastpath *f = &config->fastpath;
	struct ecbpf_fastpath_settings live;
	size_t before = r->count;
	__u32 groups, flows;
	bool is_on;
	int err;

	err = ecbpf_fastpath_state(e, &is_on, &groups);
	if (err)
		return err == -ENOENT ? 0 : err;
	flows = ecbpf_fastpath_capacity(groups);
	if (f->flows && ECBPF_FLOW_GROUPS(f->flows) != groups && is_on)
		return conf_fail(e, &f->section,
				 "flows: %u, and it is loaded for %u: 'ecbpf-fastpath unload' "
				 "first",
				 f->flows, flows);
	err = ecbpf_fastpath_get(e, &live);
	if (!err)
		err = conf_values_report(e, ecbpf_fastpath_settings(), &f->settings, &live, r);
	if (!err && !check && r->count > before)
		err = ecbpf_fastpath_set(e, &f->settings);
	return err ? err : excludes_apply(e, &f->excludes, check, r);
}

static int export(struct ecbpf *e, struct conf_files *files, struct conf_text *text)
{
	_cleanup_free_ struct ecbpf_prefix *excludes = NULL;
	struct ecbpf_fastpath_settings live;
	size_t count = 0;
	__u32 groups;
	bool is_on;
	int err;

	(void)files;
	err = ecbpf_fastpath_state(e, &is_on, &groups);
	if (!err)
		err = ecbpf_fastpath_get(e, &live);
	if (!err)
		err = ecbpf_fastpath_exclude_list(e, &excludes, &count);
	if (err)
		return err == -ENOENT ? 0 : err;
	conf_printf(text, "\n[fastpath]\nflows = %u\n", ecbpf_fastpath_capacity(groups));
	conf_values_print(ecbpf_fastpath_settings(), &live, text);
	for (size_t i = 0; i < count; i++) {
		char prefix[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&excludes[i], prefix);
		conf_printf(text, "exclude = %s\n", prefix);
	}
	return 0;
}

static const char *const keys[] = {"flows", "exclude", NULL};

const struct conf_section conf_section_fastpath = {
	.name = "fastpath",
	.stage = "fastpath",
	.settings = ecbpf_fastpath_settings,
	.keys = keys,
	.open = open_fastpath,
	.set = set_fastpath,
	.check = fastpath_check,
	.is_wanted = is_wanted,
	.apply = apply,
	.export = export,
};

/* --- interfaces --------------------------------------------------------------------------- */

static bool has_name(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

/* NULL: the fast path is not there, or half of it: who was killed may leave that */
static const struct ecbpf_fastpath_port *port_find(const struct ecbpf_fastpath_port *ports,
						   size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i].is_out && ports[i].is_port && !strcmp(ports[i].iface, name))
			return &ports[i];
	return NULL;
}

/* What it is on now. Not loaded: nothing, and off */
static int state_get(struct ecbpf *e, struct ecbpf_fastpath_port **ret_ports, size_t *ret_count,
		     bool *ret_is_on)
{
	__u32 groups;
	int err;

	*ret_is_on = false;
	err = ecbpf_fastpath_state(e, ret_is_on, &groups);
	if (err && err != -ENOENT)
		return err;
	return ecbpf_fastpath_ports(e, ret_ports, ret_count);
}

int conf_fastpath_load(struct ecbpf *e, const struct ecbpf_config *config, const char *const *names,
		       size_t names_count, bool check, struct conf_report *r,
		       struct conf_fastpath_undo *ret_undo)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	const struct conf_fastpath *f = &config->fastpath;
	struct conf_fastpath_undo undo = {};
	struct conf_report unsaid = {};
	struct ecbpf_fastpath_load load;
	size_t count = 0, all;
	bool is_on;
	int err;

	err = state_get(e, &ports, &count, &is_on);
	if (err)
		return err;
	undo.is_loaded = !is_on && names_count;
	undo.names = calloc(names_count + 1, sizeof(*undo.names));
	if (!undo.names)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < names_count && !err; i++) {
		if (is_on && port_find(ports, count, names[i]))
			continue;
		undo.names[undo.count++] = names[i];
		err = conf_report_iface(e, r, names[i], "add the fast path's TC program");
	}
	all = undo.count;
	for (size_t i = 0; i < names_count && is_on && !err; i++) {
		const struct ecbpf_fastpath_port *port = port_find(ports, count, names[i]);

		if (!port || port->is_current)
			continue;
		undo.names[all++] = names[i]; /* behind those that are undone */
		err = conf_report_iface(e, r, names[i],
					"replace the fast path's TC program: other code");
	}
	load = (struct ecbpf_fastpath_load){.out = undo.names,
					    .out_count = all,
					    .flows = is_on ? 0 : f->flows,
					    .monitor = f->settings.monitor};
	if (!err && !check && all)
		err = ecbpf_fastpath_load(e, &load);
	if (err || check) {
		free(undo.names);
		return err;
	}
	if (undo.is_loaded && is_wanted(config))
		err = apply(e, config, false, &unsaid);
	free(unsaid.changes);
	if (err)
		conf_fastpath_undo(e, &undo);
	else
		*ret_undo = undo;
	return err;
}

void conf_fastpath_undo(struct ecbpf *e, struct conf_fastpath_undo *undo)
{
	struct saved_error error;
	int err = 0;

	ecbpf_error_save(e, &error);
	if (undo->is_loaded)
		err = ecbpf_fastpath_unload(e);
	for (size_t i = 0; !undo->is_loaded && i < undo->count && !err; i++)
		err = ecbpf_fastpath_leave(e, undo->names[i]);
	if (err)
		ecbpf_log(e, ECBPF_LOG_WARN, "could not take the fast path away again: %s",
			  e->error);
	ecbpf_error_restore(e, &error);
	free(undo->names);
}

int conf_fastpath_leave(struct ecbpf *e, const char *const *names, size_t names_count,
			struct conf_report *r)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	size_t count = 0;
	__u32 groups;
	bool is_on;
	int err;

	err = state_get(e, &ports, &count, &is_on);
	for (size_t i = 0; i < count && !err; i++) {
		if ((!ports[i].is_out && !ports[i].is_port) ||
		    has_name(names, names_count, ports[i].iface))
			continue;
		err = conf_report_iface(e, r, ports[i].iface, "remove the fast path's TC program");
		if (!err)
			conf_report_removal(r);
	}
	if (err || names_count)
		return err;
	err = ecbpf_fastpath_state(e, &is_on, &groups);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = conf_report_change(e, r, "remove the fast path's table of flows");
	if (!err)
		conf_report_removal(r);
	return err;
}
