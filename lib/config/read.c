// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf.conf(5) into struct ecbpf_config. The grammar is inih's; what it lets pass in silence (text
 * behind a section's name, lines and names that it cuts) is an error here.
 *
 * A new section is a row in the table `sections` and its function, and where it says settings of
 * the running state, a row in conf-apply.c.
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "config.h"
#include "config/conf.h"

#define SECTION_MAX 48 /* inih cuts longer ones */

struct parser {
	struct ecbpf *e;
	struct ecbpf_config *config;
	FILE *in;
	struct conf_word at; /* file and line; no text */
	const struct section *section;
	char section_name[SECTION_MAX + 1];
	struct conf_unit *unit;
	int err; /* of the first thing that is wrong; reading ends there */
};

/**
 * struct section - a section of the file
 * @has_name: "[stage NAME]"
 * @keys: those it knows; others are constants of a program if @has_name, or else errors
 * @open: at its head; or NULL
 * @set: take one key, one of @keys or a constant's name
 */
struct section {
	const char *name;
	bool has_name;
	const char *const *keys;
	int (*open)(struct parser *p, const char *name);
	int (*set)(struct parser *p, const char *key, const char *value);
};

/* --- errors ------------------------------------------------------------------------------- */

int conf_fail_at(struct ecbpf *e, int err, const struct conf_word *at)
{
	char text[sizeof(e->error)];

	memcpy(text, e->error, sizeof(text));
	return ecbpf_fail(e, err, "%s:%u: %s", at->file, at->line, text);
}

int conf_fail(struct ecbpf *e, const struct conf_word *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->error, sizeof(e->error), format, args);
	va_end(args);
	return conf_fail_at(e, -EINVAL, at);
}

static int fail_memory(struct ecbpf *e)
{
	return ecbpf_fail(e, -ENOMEM, "out of memory");
}

/* How many letters to put in, take out or change, to make one of the other; at most @max + 1 */
static unsigned int distance(const char *a, const char *b, unsigned int max)
{
	unsigned int least;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a || !*b)
		return strlen(a) + strlen(b);
	if (!max)
		return 1;
	least = distance(a + 1, b + 1, max - 1);
	if (distance(a + 1, b, max - 1) < least)
		least = distance(a + 1, b, max - 1);
	if (distance(a, b + 1, max - 1) < least)
		least = distance(a, b + 1, max - 1);
	return least + 1;
}

/* "; did you mean 'frags'?", or all that there are */
static void suggest(const char *word, const char *const *words, char *ret, size_t size)
{
	const char *nearest = NULL;
	unsigned int least = 3, d;
	size_t len;

	for (const char *const *w = words; *w; w++) {
		d = distance(word, *w, 2);
		if (d < least && d < strlen(word)) {
			least = d;
			nearest = *w;
		}
	}
	if (nearest) {
		snprintf(ret, size, "did you mean '%s'?", nearest);
		return;
	}
	len = snprintf(ret, size, "there are");
	for (const char *const *w = words; *w && len < size; w++)
		len += snprintf(ret + len, size - len, "%s %s", w == words ? "" : ",", *w);
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(word, *words))
			return true;
	return false;
}

static int fail_unknown(struct parser *p, const char *what, const char *word,
			const char *const *words)
{
	char text[512];

	suggest(word, words, text, sizeof(text));
	return conf_fail(p->e, &p->at, "no %s '%s'; %s", what, word, text);
}

/* --- values ------------------------------------------------------------------------------- */

static int words_add(struct parser *p, struct conf_words *words, const char *text, size_t len)
{
	struct conf_word *items, word = p->at;

	items = reallocarray(words->items, words->count + 1, sizeof(*items));
	if (!items)
		return fail_memory(p->e);
	words->items = items;
	word.text = strndup(text, len);
	if (!word.text)
		return fail_memory(p->e);
	items[words->count++] = word;
	return 0;
}

static void words_free(struct conf_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->items[i].text);
	free(words->items);
	*words = (struct conf_words){};
}

static bool words_have(const struct conf_words *words, const char *text, size_t len)
{
	for (size_t i = 0; i < words->count; i++)
		if (strlen(words->items[i].text) == len && !memcmp(words->items[i].text, text, len))
			return true;
	return false;
}

/* More of a list; nothing at all begins it anew, so that one file may undo what another said */
static int set_words(struct parser *p, const char *value, const char *separators,
		     struct conf_words *words)
{
	size_t len;
	int err;

	if (!*value)
		words_free(words);
	for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
		len = strcspn(value, separators);
		err = words_have(words, value, len) ? 0 : words_add(p, words, value, len);
		if (err)
			return err;
		value += len;
	}
	return 0;
}

static int set_text(struct parser *p, const char *value, char **text)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : fail_memory(p->e);
}

static int set_number(struct parser *p, const char *key, const char *value, __u32 max, __u32 *ret)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || number > max)
		return conf_fail(p->e, &p->at, "%s: '%s' is not a number from 0 to %u", key, value,
				 max);
	*ret = number;
	return 0;
}

/* Return: the action's number, or -1 */
static int action_find(const char *name, size_t len)
{
	for (int action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		const char *known = ecbpf_action_name(action);

		if (strlen(known) == len && !strncasecmp(known, name, len))
			return action;
	}
	return -1;
}

static int set_actions(struct parser *p, const char *value, __u32 *ret)
{
	__u32 actions = 0;
	const char *rest = value;

	for (rest += strspn(rest, " ,\t"); *rest; rest += strspn(rest, " ,\t")) {
		size_t len = strcspn(rest, " ,\t");
		int action = action_find(rest, len);

		if (action < 0)
			return conf_fail(p->e, &p->at,
					 "actions: '%.*s' is not XDP_ABORTED, XDP_DROP, XDP_PASS, "
					 "XDP_TX or XDP_REDIRECT",
					 (int)len, rest);
		actions |= 1U << action;
		rest += len;
	}
	if (!actions)
		return conf_fail(p->e, &p->at, "actions: none given");
	*ret = actions;
	return 0;
}

/* --- sections ----------------------------------------------------------------------------- */

static int open_interfaces(struct parser *p, const char *name)
{
	(void)name;
	p->config->has_interfaces = true;
	return 0;
}

static int set_vlans(struct parser *p, const char *key, const char *value, struct conf_words *vlans)
{
	size_t before = *value ? vlans->count : 0;
	int err;

	err = set_words(p, value, " \t,", vlans);
	for (size_t i = before; i < vlans->count && !err; i++) {
		char *end;
		unsigned long id = strtoul(vlans->items[i].text, &end, 10);

		if (*end || id < 1 || id > 4094)
			err = conf_fail(p->e, &p->at, "%s: '%s' is not a number from 1 to 4094",
					key, vlans->items[i].text);
	}
	return err;
}

static int set_interfaces(struct parser *p, const char *key, const char *value)
{
	if (!strcmp(key, "ingress-vlan"))
		return set_vlans(p, key, value, &p->config->ingress_vlans);
	if (!strcmp(key, "egress-vlan"))
		return set_vlans(p, key, value, &p->config->egress_vlans);
	return set_words(p, value, " \t", key[0] == 'i' ? &p->config->ingress : &p->config->egress);
}

/* Stages in order of their names' table, and NULL */
static const char *const stage_names[] = {
#define X(value, NAME, name, prio, text) #name,
	ECBPF_STAGES(X)
#undef X
		CONF_FUSED,
	NULL};
#define STAGES_COUNT (ARRAY_SIZE(stage_names) - 2)

int conf_stage_prio(const char *name)
{
#define X(value, NAME, stage, prio, text) \
	if (!strcmp(name, #stage))        \
		return prio;
	ECBPF_STAGES(X)
#undef X
	return -1;
}

static int set_stages(struct parser *p, const char *value)
{
	struct conf_words *stages = &p->config->stages;
	const char *names[STAGES_COUNT + 1] = {};
	size_t before = *value ? stages->count : 0;
	int err;

	p->config->has_stages = true;
	for (size_t i = 0; i < STAGES_COUNT; i++)
		names[i] = stage_names[i];
	err = set_words(p, value, " \t,", stages);
	for (size_t i = before; i < stages->count && !err; i++)
		if (!is_one_of(stages->items[i].text, names))
			err = fail_unknown(p, "stage", stages->items[i].text, names);
	return err;
}

static int set_chain(struct parser *p, const char *key, const char *value)
{
	struct ecbpf_config *config = p->config;

	if (!strcmp(key, "on-stop")) {
		config->is_left = !strcmp(value, "leave");
		return config->is_left || !strcmp(value, "detach")
			       ? 0
			       : conf_fail(p->e, &p->at, "on-stop: '%s' is not detach or leave",
					   value);
	}
	if (!strcmp(key, "stages"))
		return set_stages(p, value);
	if (!strcmp(key, "fused")) {
		config->is_fused = !strcmp(value, "yes");
		return config->is_fused || !strcmp(value, "no")
			       ? 0
			       : conf_fail(p->e, &p->at, "fused: '%s' is not yes or no", value);
	}
	if (!strcmp(value, "native"))
		config->mode = ECBPF_MODE_NATIVE;
	else if (!strcmp(value, "skb"))
		config->mode = ECBPF_MODE_SKB;
	else if (!strcmp(value, "unspecified"))
		config->mode = ECBPF_MODE_UNSPEC;
	else
		return conf_fail(p->e, &p->at, "mode: '%s' is not native, skb or unspecified",
				 value);
	return 0;
}

struct conf_unit *conf_unit_find(const struct ecbpf_config *config, const char *name, bool is_stage)
{
	for (size_t i = 0; i < config->units_count; i++)
		if (config->units[i].is_stage == is_stage && !strcmp(config->units[i].name, name))
			return &config->units[i];
	return NULL;
}

static int open_unit(struct parser *p, const char *name, bool is_stage)
{
	struct ecbpf_config *config = p->config;
	struct conf_unit *units;

	p->unit = conf_unit_find(config, name, is_stage);
	if (p->unit)
		return 0;
	units = reallocarray(config->units, config->units_count + 1, sizeof(*units));
	if (!units)
		return fail_memory(p->e);
	config->units = units;
	p->unit = &units[config->units_count];
	*p->unit = (struct conf_unit){.is_stage = is_stage, .prio = -1, .file = p->at};
	p->unit->name = strdup(name);
	if (!p->unit->name)
		return fail_memory(p->e);
	config->units_count++;
	return 0;
}

static int open_stage(struct parser *p, const char *name)
{
	if (!is_one_of(name, stage_names))
		return fail_unknown(p, "stage", name, stage_names);
	return open_unit(p, name, true);
}

static int open_program(struct parser *p, const char *name)
{
	return open_unit(p, name, false);
}

/* A constant: a number or an action. Whether there is one of this name: units_check() */
static int set_constant(struct parser *p, const char *key, const char *value)
{
	struct conf_words *settings = &p->unit->settings;
	int action = action_find(value, strlen(value));
	char setting[256];

	for (size_t i = 0; i < settings->count; i++) {
		char *old = settings->items[i].text;

		if (strncmp(old, key, strlen(key)) || old[strlen(key)] != '=')
			continue;
		free(old); /* a later one wins */
		settings->items[i] = settings->items[--settings->count];
		break;
	}
	if (action >= 0)
		snprintf(setting, sizeof(setting), "%s=%d", key, action);
	else
		snprintf(setting, sizeof(setting), "%s=%s", key, value);
	return words_add(p, settings, setting, strlen(setting));
}

static int set_stage(struct parser *p, const char *key, const char *value)
{
	__u32 prio = 0;
	int err;

	if (!strcmp(key, "actions"))
		return set_actions(p, value, &p->unit->actions);
	if (strcmp(key, "prio"))
		return set_constant(p, key, value);
	err = set_number(p, key, value, INT_MAX, &prio);
	if (!err)
		p->unit->prio = prio;
	return err;
}

static int set_program(struct parser *p, const char *key, const char *value)
{
	struct conf_unit *unit = p->unit;

	if (!strcmp(key, "section"))
		return set_text(p, value, &unit->section);
	if (!strcmp(key, "prog-name"))
		return set_text(p, value, &unit->prog_name);
	if (strcmp(key, "file"))
		return set_stage(p, key, value);
	if (*value != '/')
		return conf_fail(p->e, &p->at, "file: '%s' does not begin with /", value);
	unit->file.line = p->at.line;
	unit->file.file = p->at.file;
	return set_text(p, value, &unit->file.text);
}

static int open_filter(struct parser *p, const char *name)
{
	(void)name;
	p->config->has_filter = true;
	return 0;
}

static int set_vip(struct parser *p, const char *value)
{
	struct conf_words raw = {};
	char vip[sizeof(((struct ecbpf_filter_vip *)0)->text)];
	int err;

	if (!*value)
		words_free(&p->config->vips);
	err = set_words(p, value, " \t,", &raw);
	for (size_t i = 0; i < raw.count && !err; i++) {
		err = ecbpf_filter_vip_format(p->e, raw.items[i].text, vip, sizeof(vip));
		if (err)
			err = conf_fail_at(p->e, err, &p->at);
		else if (!words_have(&p->config->vips, vip, strlen(vip)))
			err = words_add(p, &p->config->vips, vip, strlen(vip));
	}
	words_free(&raw);
	return err;
}

static int set_list(struct parser *p, const char *key, const char *value, struct conf_list *list)
{
	size_t before = *value ? list->files.count : 0;
	int err;

	list->is_said = true;
	err = set_words(p, value, " \t", &list->files);
	for (size_t i = before; i < list->files.count && !err; i++)
		if (*list->files.items[i].text != '/')
			err = conf_fail(p->e, &p->at, "%s: '%s' does not begin with /", key,
					list->files.items[i].text);
	return err;
}

static int set_filter(struct parser *p, const char *key, const char *value)
{
	int err;

	if (!strcmp(key, "vip"))
		return set_vip(p, value);
	if (!strcmp(key, "drop"))
		return set_list(p, key, value, &p->config->lists[ECBPF_FILTER_BLOCK]);
	if (!strcmp(key, "allow"))
		return set_list(p, key, value, &p->config->lists[ECBPF_FILTER_ALLOW]);
	err = ecbpf_filter_setting(p->e, key, value, &p->config->filter);
	return err ? conf_fail_at(p->e, err, &p->at) : 0;
}

static int set_fw(struct parser *p, const char *key, const char *value)
{
	struct conf_word *rules = &p->config->rules;

	if (*value && *value != '/')
		return conf_fail(p->e, &p->at, "%s: '%s' does not begin with /", key, value);
	rules->line = p->at.line;
	rules->file = p->at.file;
	return set_text(p, value, &rules->text);
}

static int open_fastpath(struct parser *p, const char *name)
{
	(void)name;
	p->config->fastpath.section = p->at;
	return 0;
}

static int set_excludes(struct parser *p, const char *value, struct conf_words *excludes)
{
	struct conf_words raw = {};
	int err;

	if (!*value)
		words_free(excludes);
	err = set_words(p, value, " \t,", &raw);
	for (size_t i = 0; i < raw.count && !err; i++) {
		char text[ECBPF_PREFIX_TEXT];
		struct ecbpf_prefix prefix;

		if (ecbpf_prefix_parse(raw.items[i].text, &prefix)) {
			err = conf_fail(p->e, &p->at,
					"exclude: '%s' is neither an IPv4 nor an IPv6 address or "
					"prefix",
					raw.items[i].text);
			break;
		}
		ecbpf_prefix_format(&prefix, text);
		if (!words_have(excludes, text, strlen(text)))
			err = words_add(p, excludes, text, strlen(text));
	}
	words_free(&raw);
	return err;
}

static int set_fastpath(struct parser *p, const char *key, const char *value)
{
	struct conf_fastpath *f = &p->config->fastpath;
	int err;

	if (!strcmp(key, "exclude"))
		return set_excludes(p, value, &f->excludes);
	if (strcmp(key, "flows")) {
		err = conf_fastpath_setting(p->e, key, value, &f->settings);
		return err ? conf_fail_at(p->e, err, &p->at) : 0;
	}
	err = set_number(p, key, value, ECBPF_FLOWS_MAX, &f->flows);
	return err || f->flows >= ECBPF_FLOWS_MIN
		       ? err
		       : conf_fail(p->e, &p->at, "flows: %u is not from %u to %u", f->flows,
				   ECBPF_FLOWS_MIN, ECBPF_FLOWS_MAX);
}

static int open_sampler(struct parser *p, const char *name)
{
	(void)name;
	p->config->has_sampler = true;
	return 0;
}

static int set_sampler(struct parser *p, const char *key, const char *value)
{
	struct ecbpf_sampling *s = &p->config->sampling;
	__u32 *rate = s->rate;
	int err;

	if (!strcmp(key, "snaplen"))
		return set_number(p, key, value, ECBPF_SNAP_MAX, &s->snap_len);
	if (!strcmp(key, "max-pps"))
		return set_number(p, key, value, UINT_MAX, &s->max_pps);
	if (!strcmp(key, "rate-drops")) {
		p->config->has_rate_drops = true;
		return set_number(p, key, value, UINT_MAX, &rate[ECBPF_SAMPLE_TERMINAL]);
	}
	err = set_number(p, key, value, UINT_MAX, &rate[ECBPF_SAMPLE_PASSED]);
	if (!err && !p->config->has_rate_drops)
		rate[ECBPF_SAMPLE_TERMINAL] = rate[ECBPF_SAMPLE_PASSED];
	return err;
}

static const char *const interfaces_keys[] = {"ingress", "egress", "ingress-vlan", "egress-vlan",
					      NULL};
static const char *const chain_keys[] = {"stages", "fused", "mode", "on-stop", NULL};
static const char *const stage_keys[] = {"prio", "actions", NULL};
static const char *const program_keys[] = {"file", "section", "prog-name", "prio", "actions", NULL};
static const char *const filter_keys[] = {"frags",
					  "frags6",
					  "ptb-max-pps",
					  "ptb-per-source-pps",
					  "vip",
					  "drop",
					  "allow",
					  "checks",
#define X(bit, NAME, key, is_dropped) key,
					  ECBPF_FILTER_CHECKS(X)
#undef X
						  NULL};
static const char *const fw_keys[] = {"rules", NULL};
static const char *const fastpath_keys[] = {"flows",   "lease",	  "sample",    "inactive",
					    "monitor", "limit",	  "spike",     "target-pps",
					    "max",     "exclude", "reset-pps", NULL};
static const char *const sampler_keys[] = {"rate", "rate-drops", "snaplen", "max-pps", NULL};

static const struct section sections[] = {
	{"interfaces", false, interfaces_keys, open_interfaces, set_interfaces},
	{"chain", false, chain_keys, NULL, set_chain},
	{"stage", true, stage_keys, open_stage, set_stage},
	{"program", true, program_keys, open_program, set_program},
	{"filter", false, filter_keys, open_filter, set_filter},
	{"fw", false, fw_keys, NULL, set_fw},
	{"fastpath", false, fastpath_keys, open_fastpath, set_fastpath},
	{"sampler", false, sampler_keys, open_sampler, set_sampler},
};

/* --- reading ------------------------------------------------------------------------------ */

static int section_open(struct parser *p, const char *text, size_t len)
{
	const char *names[ARRAY_SIZE(sections) + 1] = {};
	const struct section *section = NULL;
	char *word = p->section_name, *name;

	if (len > SECTION_MAX)
		return conf_fail(p->e, &p->at, "[%.20s...]: longer than %d characters", text,
				 SECTION_MAX);
	memcpy(word, text, len);
	word[len] = '\0';
	name = word + strcspn(word, " \t");
	if (*name)
		*name++ = '\0';
	name += strspn(name, " \t");
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		names[i] = sections[i].name;
		if (!strcmp(word, sections[i].name))
			section = &sections[i];
	}
	if (!section)
		return fail_unknown(p, "section", word, names);
	if (section->has_name && !*name)
		return conf_fail(p->e, &p->at, "[%s] wants a name: [%s NAME]", word, word);
	if (!section->has_name && *name)
		return conf_fail(p->e, &p->at, "[%s] takes no name, like '%s'", word, name);
	p->section = section;
	return section->open ? section->open(p, name) : 0;
}

/* The head of a section, that inih tells nobody about */
static int section_line(struct parser *p, const char *line)
{
	const char *end = strchr(line, ']'), *rest;

	if (!end)
		return conf_fail(p->e, &p->at, "'[' without ']'");
	rest = end + 1 + strspn(end + 1, " \t\r\n");
	if (*rest && *rest != ';' && *rest != '#')
		return conf_fail(p->e, &p->at, "text behind ']'");
	return section_open(p, line + 1, end - line - 1);
}

/* For inih: the next line, and NULL at the end or after what is wrong */
static char *read_line(char *str, int num, void *stream)
{
	struct parser *p = stream;
	const char *line = str;

	if (p->err || !fgets(str, num, p->in))
		return NULL;
	p->at.line++;
	if (!strchr(str, '\n') && !feof(p->in)) {
		p->err = conf_fail(p->e, &p->at,
				   "longer than %d characters; several lines "
				   "of one key add up",
				   num - 3);
		return NULL;
	}
	if (p->at.line == 1 && !strncmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	if (*line == '[')
		p->err = section_line(p, line);
	else if (line[strspn(line, " \t")] == '[') /* which may be more of a value, to inih */
		p->err = conf_fail(p->e, &p->at, "a section begins with its line, without blanks");
	return p->err ? NULL : str;
}

/* For inih. Return: 0 on failure */
static int take_key(void *data, const char *section, const char *key, const char *value)
{
	struct parser *p = data;

	(void)section; /* as p->section */
	if (p->err)
		return 0;
	if (!p->section)
		p->err = conf_fail(p->e, &p->at, "'%s' comes before any section", key);
	else if (!p->section->has_name && !is_one_of(key, p->section->keys))
		p->err = fail_unknown(p, "key", key, p->section->keys);
	else
		p->err = p->section->set(p, key, value);
	return !p->err;
}

static int stream_read(struct ecbpf *e, FILE *in, const char *name, struct ecbpf_config *config)
{
	struct parser p = {.e = e, .config = config, .in = in};
	char **files;
	int line;

	files = reallocarray(config->files, config->files_count + 1, sizeof(*files));
	if (!files)
		return fail_memory(e);
	config->files = files;
	files[config->files_count] = strdup(name);
	if (!files[config->files_count])
		return fail_memory(e);
	p.at.file = files[config->files_count++];
	line = ini_parse_stream(read_line, &p, take_key, &p);
	if (!p.err && ferror(in))
		return ecbpf_fail(e, -EIO, "%s: cannot be read", name);
	if (line < 0)
		return fail_memory(e);
	/* a line that inih did not understand, and went on behind */
	if (line && (!p.err || (unsigned int)line < p.at.line)) {
		p.at.line = line;
		return conf_fail(e, &p.at, "neither [SECTION] nor KEY = VALUE");
	}
	return p.err;
}

static int file_read(struct ecbpf *e, const char *name, struct ecbpf_config *config)
{
	FILE *in = strcmp(name, "-") ? fopen(name, "re") : stdin;
	int err;

	if (!in)
		return ecbpf_fail(e, -errno, "%s: %s", name, strerror(errno));
	err = stream_read(e, in, in == stdin ? "standard input" : name, config);
	if (in != stdin)
		fclose(in);
	return err;
}

/* --- the whole of it ---------------------------------------------------------------------- */

/* One constant, tried on the object: there is none of the name, or the value does not fit */
static int unit_try(struct ecbpf *e, const struct ecbpf_config *config,
		    const struct conf_unit *unit, const char *setting)
{
	struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
	struct program program;
	int err;

	spec.file = unit->is_stage ? unit->name : unit->file.text;
	spec.is_stage = unit->is_stage;
	spec.section = unit->section;
	spec.name = unit->prog_name;
	spec.settings = &setting;
	spec.settings_count = !!setting;
	if (unit->is_stage && !strcmp(unit->name, CONF_FUSED))
		spec.fused = config->stages.count ? config->stages.items[0].text : stage_names[0];
	err = ecbpf_program_open(e, &spec, NULL, false, &program);
	if (!err)
		ecbpf_program_close(&program);
	return err;
}

static int unit_check(struct ecbpf *e, const struct ecbpf_config *config,
		      const struct conf_unit *unit)
{
	int err;

	if (!unit->is_stage && !unit->file.text)
		return conf_fail(e, &unit->file, "[program %s]: which file?", unit->name);
	if (unit->section && unit->prog_name)
		return conf_fail(e, &unit->file,
				 "[program %s]: section and prog-name both say which program; give "
				 "one",
				 unit->name);
	err = unit->is_stage ? 0 : unit_try(e, config, unit, NULL);
	if (err)
		return conf_fail_at(e, err, &unit->file);
	for (size_t i = 0; i < unit->settings.count; i++) {
		err = unit_try(e, config, unit, unit->settings.items[i].text);
		if (err)
			return conf_fail_at(e, err, &unit->settings.items[i]);
	}
	return 0;
}

static int stage_place(const struct ecbpf_config *config, const char *name)
{
	const struct conf_unit *unit = conf_unit_find(config, name, true);

	return unit && unit->prio >= 0 ? unit->prio : conf_stage_prio(name);
}

/* The list is the order, and priorities say the same */
static int stages_check(struct ecbpf *e, const struct ecbpf_config *config)
{
	const struct conf_words *stages = &config->stages;

	/* fused, only the list says it */
	for (size_t i = 1; i < stages->count && !config->is_fused; i++) {
		const struct conf_word *a = &stages->items[i - 1], *b = &stages->items[i];
		int before = stage_place(config, a->text), after = stage_place(config, b->text);

		if (before > after || (before == after && strcmp(a->text, b->text) > 0))
			return conf_fail(e, b,
					 "stages: '%s' (priority %d) before '%s' (priority %d): "
					 "give them in order, or another prio in [stage %s]",
					 a->text, before, b->text, after, b->text);
	}
	if (config->is_fused && stages->count > ECBPF_FUSED_SLOTS)
		return conf_fail(e, &stages->items[0], "stages: more than %d, and fused",
				 ECBPF_FUSED_SLOTS);
	return 0;
}

/* All files of a list */
static int list_read(struct ecbpf *e, struct conf_list *list)
{
	for (size_t i = 0; i < list->files.count; i++) {
		_cleanup_free_ struct ecbpf_filter_entry *more = NULL;
		struct ecbpf_filter_entry *entries;
		size_t count = 0;
		int err;

		err = ecbpf_filter_file_read(e, list->files.items[i].text, true, &more, &count);
		if (err)
			return err == -EINVAL ? err : conf_fail_at(e, err, &list->files.items[i]);
		entries = reallocarray(list->entries, list->count + count + 1, sizeof(*entries));
		if (!entries)
			return fail_memory(e);
		list->entries = entries;
		if (count)
			memcpy(entries + list->count, more, count * sizeof(*more));
		list->count += count;
	}
	conf_list_sort(list);
	return 0;
}

/* Files that the configuration names; errors in them say where, in the file */
static int files_read(struct ecbpf *e, struct ecbpf_config *config)
{
	const char *rules = config->rules.text;
	int err = 0;

	for (size_t i = 0; i < ECBPF_FILTER_LISTS && !err; i++)
		err = list_read(e, &config->lists[i]);
	if (err || !rules)
		return err;
	if (!*rules)
		return ecbpf_fw_parse(e, "", "", 0, &config->ruleset);
	err = ecbpf_fw_read(e, rules, &config->ruleset);
	return !err || err == -EINVAL ? err : conf_fail_at(e, err, &config->rules);
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

static int config_check(struct ecbpf *e, struct ecbpf_config *config)
{
	bool has_programs = config->has_stages;
	int err;

	for (size_t i = 0; i < config->units_count; i++) {
		err = unit_check(e, config, &config->units[i]);
		if (err)
			return err;
		has_programs |= !config->units[i].is_stage;
	}
	if (config->ingress.count && !has_programs)
		return conf_fail(e, &config->ingress.items[0],
				 "ingress: interfaces, but neither stages nor programs for them: "
				 "[chain] stages = filter,sampler");
	err = fastpath_check(e, config);
	return err ? err : stages_check(e, config);
}

static struct ecbpf_config *config_new(struct ecbpf *e)
{
	struct ecbpf_config *config = calloc(1, sizeof(*config));

	if (!config) {
		fail_memory(e);
		return NULL;
	}
	config->filter = (struct ecbpf_filter_config){
		.ptb_max_pps = ECBPF_FILTER_PTB_MAX_PPS,
		.ptb_per_source_pps = ECBPF_FILTER_PTB_PER_SOURCE_PPS,
		.drop = ECBPF_FILTER_DROP_DEFAULT,
	};
	config->fastpath.settings = (struct ecbpf_fastpath_settings)ECBPF_FASTPATH_SETTINGS_INIT;
	config->sampling = (struct ecbpf_sampling){
		.rate = {ECBPF_SAMPLER_RATE, ECBPF_SAMPLER_RATE},
		.snap_len = ECBPF_SAMPLER_SNAPLEN,
		.max_pps = ECBPF_SAMPLER_MAX_PPS,
	};
	return config;
}

static int config_finish(struct ecbpf *e, int err, struct ecbpf_config *config,
			 struct ecbpf_config **ret_config)
{
	if (!err)
		err = config_check(e, config);
	if (!err)
		err = files_read(e, config);
	if (err)
		ecbpf_config_free(config);
	else
		*ret_config = config;
	return err;
}

int conf_read_text(struct ecbpf *e, const char *name, const char *text,
		   struct ecbpf_config **ret_config)
{
	struct ecbpf_config *config = config_new(e);
	FILE *in;
	int err;

	if (!config)
		return -ENOMEM;
	ecbpf_capture(e);
	in = fmemopen((void *)text, strlen(text), "r");
	if (!in) {
		ecbpf_config_free(config);
		return fail_memory(e);
	}
	err = stream_read(e, in, name, config);
	fclose(in);
	return config_finish(e, err, config, ret_config);
}

/* NULL: those that are installed */
static int files_parse(struct ecbpf *e, const char *file, struct ecbpf_config *config)
{
	glob_t more = {};
	int err;

	err = file_read(e, file ?: ECBPF_CONFIG_DIR "/ecbpf.conf", config);
	if (!err && !file && !glob(ECBPF_CONFIG_DIR "/conf.d/*.conf", 0, NULL, &more)) {
		for (size_t i = 0; i < more.gl_pathc && !err; i++)
			err = file_read(e, more.gl_pathv[i], config);
		globfree(&more);
	}
	return err;
}

int ecbpf_config_read(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config)
{
	struct ecbpf_config *config = config_new(e);

	if (!config)
		return -ENOMEM;
	ecbpf_capture(e);
	return config_finish(e, files_parse(e, file, config), config, ret_config);
}

int conf_read_stop(struct ecbpf *e, const char *file, bool *ret_is_left)
{
	struct ecbpf_config *config = config_new(e);
	int err;

	if (!config)
		return -ENOMEM;
	ecbpf_capture(e);
	err = files_parse(e, file, config);
	*ret_is_left = config->is_left;
	ecbpf_config_free(config);
	return err;
}

void ecbpf_config_free(struct ecbpf_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->units_count; i++) {
		struct conf_unit *unit = &config->units[i];

		free(unit->name);
		free(unit->file.text);
		free(unit->section);
		free(unit->prog_name);
		words_free(&unit->settings);
	}
	free(config->units);
	words_free(&config->ingress);
	words_free(&config->egress);
	words_free(&config->ingress_vlans);
	words_free(&config->egress_vlans);
	words_free(&config->stages);
	words_free(&config->vips);
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++) {
		words_free(&config->lists[i].files);
		free(config->lists[i].entries);
	}
	free(config->rules.text);
	words_free(&config->fastpath.excludes);
	ecbpf_fw_ruleset_free(config->ruleset);
	for (size_t i = 0; i < config->files_count; i++)
		free(config->files[i]);
	free(config->files);
	free(config);
}
