// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The running state as a configuration */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/loaded.h"
#include "chain/dispatcher.h"
#include "chain/set.h"
#include "config/conf.h"
#include "config/runtime.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/links.h"
#include "core/names.h"
#include "fastpath/fastpath.h"

/* With the key and the name of a file, a line that inih takes as it is built by Debian */
#define DIR_LEN_MAX 150

/* @stages: separated by commas */
static bool has_stage(const char *stages, const char *name)
{
	size_t len = strlen(name);

	for (const char *s = stages; *s; s += strcspn(s, ","), s += *s == ',')
		if (strcspn(s, ",") == len && !strncmp(s, name, len))
			return true;
	return false;
}

/* Sections of the stages that run. Of others, apply would say that they are not used */
static int export_sections(struct ecbpf *e, const char *stages, struct conf_files *files,
			   struct conf_text *text)
{
	int err = 0;

	for (const struct conf_section *const *s = conf_sections; *s && !err; s++) {
		const char *stage = (*s)->stage;
		struct conf_text part = {};

		if (!(*s)->export)
			continue;
		if (!stages || !stage || has_stage(stages, stage)) {
			err = (*s)->export(e, files, text);
			continue;
		}
		err = (*s)->export(e, NULL, &part);
		if (!err && part.len)
			conf_printf(text, "\n# [%s] is not exported: %s runs on no interface\n",
				    (*s)->name, stage);
		text->is_lost |= part.is_lost;
		free(part.text);
	}
	return err ? err : text->is_lost ? ecbpf_fail_memory(e) : 0;
}

int conf_settings_export(struct ecbpf *e, const struct ecbpf_config *config, struct conf_text *text)
{
	int err = 0;

	for (const struct conf_section *const *s = conf_sections; *s && !err; s++)
		if ((*s)->export && (*s)->is_wanted(config))
			err = (*s)->export(e, NULL, text);
	return err ? err : text->is_lost ? ecbpf_fail_memory(e) : 0;
}

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
		conf_printf(text, "%.*s\n", len, line);
}

static void export_place(const struct owned *m, int prio, struct conf_text *text)
{
	const char *separator = "";

	if (m->has_place && (int)m->prio != prio)
		conf_printf(text, "prio = %u\n", m->prio);
	if (!m->has_place || (prio >= 0 && m->actions == 1U << XDP_PASS) || !m->actions)
		return;
	conf_printf(text, "actions = ");
	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		if (!(m->actions & 1U << action))
			continue;
		conf_printf(text, "%s%s", separator, ecbpf_action_name(action));
		separator = ",";
	}
	conf_printf(text, "\n");
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
		prio = ecbpf_stage_prio(stage);
	} else {
		stage[0] = '\0';
		prio = -1;
	}
	export_place(m, prio, &body);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		value = spec_value(&m->loaded, keys[i], &len);
		if (value)
			conf_printf(&body, "%s = %.*s\n", keys[i], len, value);
	}
	export_constants(&m->loaded, &body);
	if (!*stage)
		conf_printf(text, "\n[program %zu-%.32s]\n%s", number + 1, m->name,
			    body.text ?: "");
	else if (body.text)
		conf_printf(text, "\n[stage %s]\n%s", stage, body.text);
	text->is_lost |= body.is_lost;
	free(body.text);
}

/* What [chain] and the units say of one interface */
static int export_chain(struct ecbpf *e, const char *iface, const struct owned *members,
			size_t count, enum ecbpf_mode mode, struct conf_text *text,
			char **ret_stages)
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
		conf_printf(&stages, "%s%.*s", stages.len ? "," : "", len, value);
	}
	conf_printf(text, "\n[chain]\nstages = %s\nfused = %s\nmode = %s\n", stages.text ?: "",
		    is_fused ? "yes" : "no", mode == ECBPF_MODE_SKB ? "skb" : "native");
	for (size_t i = 0; i < count && !err; i++)
		export_unit(&members[i], i, text);
	text->is_lost |= stages.is_lost;
	free(*ret_stages);
	*ret_stages = stages.text;
	return err;
}

/* Shown on a terminal, such a name would be masked, and so not be read back */
static int export_iface(struct ecbpf *e, const char *key, const char *iface, struct conf_text *text)
{
	for (const unsigned char *c = (const unsigned char *)iface; *c; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return ecbpf_fail(e, -EINVAL,
					  "%s: export cannot name it: give it a name of printable "
					  "ASCII characters",
					  iface);
	conf_printf(text, "%s =%s%s\n", key, *iface == ';' ? "" : " ", iface);
	return 0;
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
			err = export_iface(e, "egress", ports[i].iface, text);
	return err;
}

/* @ret_stages: those of the chains, separated by commas, for free(); NULL: there is no chain */
static int export_chains(struct ecbpf *e, struct conf_text *text, char **ret_stages)
{
	_cleanup_free_ struct owned *members = calloc(DISPATCHER_MEMBERS, sizeof(*members));
	_cleanup_free_ struct ecbpf_link *links = NULL;
	struct conf_text first = {}, chain = {};
	const char *first_iface = NULL;
	size_t links_count = 0;
	int err;

	if (!members)
		return ecbpf_fail_memory(e);
	conf_printf(text, "[interfaces]\n");
	err = ecbpf_links_read(e, &links, &links_count);
	for (size_t i = 0; i < links_count && !err; i++) {
		const char *iface = links[i].name;
		enum ecbpf_mode mode;
		size_t count = 0;

		err = ecbpf_chain_owned(e, iface, members, &count, &mode);
		if (err || !count)
			continue;
		err = export_iface(e, "ingress", iface, text);
		if (!err)
			err = export_chain(e, iface, members, count, mode, &chain, ret_stages);
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
		conf_printf(text, "ingress =\n");
	if (!err)
		err = export_egress(e, text);
	if (!err && first_iface)
		conf_printf(text, "%s", first.text ?: "");
	text->is_lost |= first.is_lost;
	free(first.text);
	return err;
}

/* What is to be there, and is not: a copy of the running state would be taken for all of it */
static int check_declared(struct ecbpf *e)
{
	_cleanup_free_ struct ecbpf_declared *declared = NULL;
	size_t count = 0;
	int err = ecbpf_declared_read(e, &declared, &count);

	for (size_t i = 0; i < count && !err; i++) {
		const struct ecbpf_declared *d = &declared[i];

		if (d->has_iface && (d->by_file || d->by_command) && !d->is_attached)
			err = ecbpf_fail(
				e, -ENODATA,
				"%s: %s is to run there, and is not attached, so the export "
				"would lack it: 'ecbpf-loader doctor %s' says what to do",
				d->iface, d->stage, d->iface);
	}
	return err;
}

int ecbpf_config_export(struct ecbpf *e, const char *dir, char **ret_text)
{
	_cleanup_free_ char *stages = NULL;
	struct conf_text text = {};
	char path[PATH_MAX];
	struct conf_files files = {.dir = path};
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
	}
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = check_declared(e);
	if (!err)
		err = export_chains(e, &text, &stages);
	if (!err)
		err = export_sections(e, stages, dir ? &files : NULL, &text);
	if (!err)
		err = conf_runtime_export(e, &text);
	if (!err && text.is_lost)
		err = ecbpf_fail_memory(e);
	if (!err) /* last: what cannot be read leaves @dir as it is */
		err = conf_files_write(e, &files);
	conf_files_free(&files);
	if (err)
		free(text.text);
	else
		*ret_text = text.text;
	return err;
}
