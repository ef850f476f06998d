// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The file ecbpf.conf(5) into struct ecbpf_config.
 *
 * The grammar is inih's; what it lets pass in silence (text behind a section's name, lines and
 * names that it cuts) is an error here.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <ecbpf/fw.h>
#include "config.h"
#include "core/error.h"
#include "core/file.h"
#include "config/parse.h"
#include "core/handle.h"
#include "core/settings.h"
#include "core/utf8.h"

#define SECTION_MAX 48 /* inih cuts longer ones */
#define KEYS_MAX    (ECBPF_SETTINGS_KEYS + 16)

/*
 * @is_kept: an older version wrote it, from files that it took
 * @err: of the first thing that is wrong; reading ends there
 */
struct reader {
	struct conf_parser p;
	FILE *in;
	const struct conf_section *section;
	char section_name[SECTION_MAX + 1];
	bool is_kept;
	int err;
};

static int section_open(struct reader *r, const char *text, size_t len)
{
	const char *names[CONF_SECTIONS_MAX + 1] = {};
	const struct conf_section *section = NULL;
	char *word = r->section_name, *name;

	if (len > SECTION_MAX)
		return conf_fail(r->p.e, &r->p.at, "[%.20s...]: longer than %d characters", text,
				 SECTION_MAX);
	memcpy(word, text, len);
	word[len] = '\0';
	name = word + strcspn(word, " \t");
	if (*name)
		*name++ = '\0';
	name += strspn(name, " \t");
	for (size_t i = 0; conf_sections[i]; i++) {
		names[i] = conf_sections[i]->name;
		if (strcmp(word, conf_sections[i]->name))
			continue;
		section = conf_sections[i];
		r->p.config->heads[i] = r->p.at;
	}
	if (!section)
		return conf_fail_unknown(&r->p, "section", word, names);
	if (section->has_name && !*name)
		return conf_fail(r->p.e, &r->p.at, "[%s] wants a name: [%s NAME]", word, word);
	if (!section->has_name && *name)
		return conf_fail(r->p.e, &r->p.at, "[%s] takes no name, like '%s'", word, name);
	r->section = section;
	return section->open ? section->open(&r->p, name) : 0;
}

/* The head of a section, that inih tells nobody about */
static int section_line(struct reader *r, const char *line)
{
	const char *end = strchr(line, ']'), *rest;

	if (!end)
		return conf_fail(r->p.e, &r->p.at, "'[' without ']'");
	rest = end + 1 + strspn(end + 1, " \t\r\n");
	if (*rest && *rest != ';' && *rest != '#')
		return conf_fail(r->p.e, &r->p.at, "text behind ']'");
	return section_open(r, line + 1, end - line - 1);
}

/* Names that are not UTF-8 are none in JSON and metrics. Of comments, nobody reads more */
static bool is_text(const char *line)
{
	size_t len;

	line += strspn(line, " \t");
	if (*line == '#' || *line == ';')
		return true;
	for (; *line; line += len) {
		len = utf8_len(line, strlen(line));
		if (!len)
			return false;
	}
	return true;
}

/* Many editors end a line there, and inih does not: what they show below a comment is part of it */
static bool has_bare_return(const char *line)
{
	const char *at = strchr(line, '\r');

	return at && at[strspn(at, " \t\r\n")];
}

/* Without an end in its @num bytes */
static int line_fail(struct reader *r, const char *line, int num)
{
	int key = line[strcspn(line, "=")] ? (int)strcspn(line, " \t=") : 0;

	if (strlen(line) < (size_t)num - 1)
		return conf_fail(r->p.e, &r->p.at, "a NUL byte");
	return conf_fail(r->p.e, &r->p.at,
			 "%.*s%slonger than %d characters; several lines of one key add up", key,
			 line, key ? ": " : "", num - 3);
}

/* For inih: the next line, and NULL at the end or after what is wrong */
static char *read_line(char *str, int num, void *stream)
{
	struct reader *r = stream;
	const char *line = str;

	if (r->err || !fgets(str, num, r->in))
		return NULL;
	r->p.at.line++;
	if (!r->is_kept && has_bare_return(str)) {
		r->err = conf_fail(r->p.e, &r->p.at,
				   "a carriage return ends no line: write a newline");
		return NULL;
	}
	if (!strchr(str, '\n') && !feof(r->in)) {
		r->err = line_fail(r, str, num);
		return NULL;
	}
	if (r->p.at.line == 1 && !strncmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	conf_printf(&r->p.config->source, "%s", line);
	if (!is_text(line))
		r->err = conf_fail(r->p.e, &r->p.at, "not UTF-8");
	else if (*line == '[')
		r->err = section_line(r, line);
	else if (line[strspn(line, " \t")] == '[') /* which may be more of a value, to inih */
		r->err = conf_fail(r->p.e, &r->p.at,
				   "a section begins with its line, without blanks");
	return r->err ? NULL : str;
}

/* @ret_keys[KEYS_MAX], up to NULL */
static void section_keys(const struct conf_section *section, const char **ret_keys)
{
	size_t count = 0;

	if (section->settings)
		count = ecbpf_settings_keys(section->settings(), ret_keys);
	for (const char *const *key = section->keys; key && *key; key++)
		ret_keys[count++] = *key;
	ret_keys[count] = NULL;
}

/* For inih. Return: 0 on failure */
static int take_key(void *data, const char *section, const char *key, const char *value)
{
	const char *keys[KEYS_MAX];
	struct reader *r = data;

	(void)section; /* as r->section */
	if (r->err)
		return 0;
	if (r->section)
		section_keys(r->section, keys);
	if (!r->section)
		r->err = conf_fail(r->p.e, &r->p.at, "'%s' comes before any section", key);
	else if (!r->section->has_name && !conf_is_one_of(key, keys))
		r->err = conf_fail_unknown(&r->p, "key", key, keys);
	else
		r->err = r->section->set(&r->p, key, value);
	return !r->err;
}

/*
 * Each file says something: of one that was cut to nothing, what it declared would be removed, or
 * programs attached without it
 */
static int section_check(const struct reader *r)
{
	if (r->section)
		return 0;
	return ecbpf_fail(r->p.e, -EINVAL, "%s: no section: it may have been cut; %s", r->p.at.file,
			  r->p.config->files_count > 1
				  ? "remove it if it is to say nothing"
				  : "[interfaces] with 'ingress =' declares that nothing runs");
}

/* @is_whole: it may say nothing */
static int stream_read(struct ecbpf *e, FILE *in, const char *name, bool is_whole,
		       struct ecbpf_config *config)
{
	struct reader r = {.p = {.e = e, .config = config}, .in = in, .is_kept = is_whole};
	char **files;
	int line;

	files = reallocarray(config->files, config->files_count + 1, sizeof(*files));
	if (!files)
		return ecbpf_fail_memory(e);
	config->files = files;
	files[config->files_count] = strdup(name);
	if (!files[config->files_count])
		return ecbpf_fail_memory(e);
	r.p.at.file = files[config->files_count++];
	line = ini_parse_stream(read_line, &r, take_key, &r);
	conf_printf(&config->source, "\n"); /* the last line may have none */
	if (!r.err && ferror(in))
		return ecbpf_fail(e, -EIO, "%s: cannot be read", name);
	if (line < 0)
		return ecbpf_fail_memory(e);
	/* a line that inih did not understand, and went on behind */
	if (line && (!r.err || (unsigned int)line < r.p.at.line)) {
		r.p.at.line = line;
		return conf_fail(e, &r.p.at, "neither [SECTION] nor KEY = VALUE");
	}
	return r.err || is_whole ? r.err : section_check(&r);
}

/* What a shell hands over may be a pipe: standard input and <(COMMAND) */
static bool is_handed_over(const char *name)
{
	return !strcmp(name, "/dev/stdin") || !strncmp(name, "/dev/fd/", 8) ||
	       !strncmp(name, "/proc/self/fd/", 14);
}

static int file_open(struct ecbpf *e, const char *name)
{
	int fd;

	if (strcmp(name, "-") && !is_handed_over(name))
		return ecbpf_file_open(e, name);
	fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC)
			       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? ecbpf_fail(e, -errno, "%s: %s", name, strerror(errno)) : fd;
}

static int file_read(struct ecbpf *e, const char *name, struct ecbpf_config *config)
{
	int fd = file_open(e, name), err;
	FILE *in;

	if (fd < 0)
		return fd;
	in = fdopen(fd, "r");
	if (!in) {
		close(fd);
		return ecbpf_fail_memory(e);
	}
	err = stream_read(e, in, strcmp(name, "-") ? name : "standard input", false, config);
	fclose(in);
	return err;
}

static struct ecbpf_config *config_new(struct ecbpf *e)
{
	struct ecbpf_config *config = calloc(1, sizeof(*config));

	if (!config) {
		ecbpf_fail_memory(e);
		return NULL;
	}
	ecbpf_settings_reset(ecbpf_fw_settings(), &config->fw);
	ecbpf_settings_reset(ecbpf_filter_settings(), &config->filter);
	ecbpf_settings_reset(ecbpf_fastpath_settings(), &config->fastpath.settings);
	ecbpf_settings_reset(ecbpf_sampler_settings(), &config->sampling);
	return config;
}

static int config_finish(struct ecbpf *e, int err, struct ecbpf_config *config,
			 struct ecbpf_config **ret_config)
{
	for (const struct conf_section *const *s = conf_sections; *s && !err; s++)
		if ((*s)->check)
			err = (*s)->check(e, config);
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
		return ecbpf_fail_memory(e);
	}
	err = stream_read(e, in, name, true, config);
	fclose(in);
	return config_finish(e, err, config, ret_config);
}

/* NULL: those that are installed */
static int files_parse(struct ecbpf *e, const char *file, struct ecbpf_config *config)
{
	struct conf_drop_ins more = {};
	int err;

	err = file_read(e, file ?: ECBPF_CONFIG_DIR "/ecbpf.conf", config);
	if (!err && !file)
		err = conf_drop_ins_list(e, &more);
	for (size_t i = 0; i < more.count && !err; i++)
		err = file_read(e, more.names[i], config);
	conf_drop_ins_free(&more);
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

int conf_read_words(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config)
{
	struct ecbpf_config *config = config_new(e);
	int err;

	if (!config)
		return -ENOMEM;
	ecbpf_capture(e);
	err = files_parse(e, file, config);
	if (err)
		ecbpf_config_free(config);
	else
		*ret_config = config;
	return err;
}

enum conf_on_error conf_read_on_error(struct ecbpf *e, const char *file)
{
	struct ecbpf_config *config = config_new(e);
	enum conf_on_error on_error = CONF_ON_ERROR_UNSAID;
	struct saved_error error;

	if (!config)
		return on_error;
	ecbpf_error_save(e, &error);
	files_parse(e, file, config);
	ecbpf_error_restore(e, &error);
	on_error = config->on_error;
	ecbpf_config_free(config);
	return on_error;
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
		conf_words_free(&unit->settings);
	}
	free(config->units);
	conf_words_free(&config->ingress);
	conf_words_free(&config->egress);
	conf_words_free(&config->ingress_vlans);
	conf_words_free(&config->egress_vlans);
	conf_words_free(&config->stages);
	conf_words_free(&config->vips);
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++) {
		conf_words_free(&config->lists[i].files);
		free(config->lists[i].entries);
	}
	free(config->vlans_told);
	free(config->source.text);
	free(config->rules.text);
	conf_words_free(&config->fastpath.excludes);
	ecbpf_fw_ruleset_free(config->ruleset);
	for (size_t i = 0; i < config->files_count; i++)
		free(config->files[i]);
	free(config->files);
	free(config);
}
