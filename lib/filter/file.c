// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lists of sources as text: a line is PREFIX [TAG [EXPIRY]], which is what `ecbpf-filter drop list`
 * prints. Blocklists have comments of several kinds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/error.h"
#include "core/handle.h"
#include <ecbpf/libecbpf-filter.h>

#define EXPIRY_MAX     (100ULL * 366 * 24 * 3600) /* from now on, seconds */
#define EXPIRY_ALLOWED "2027-01-31T23:59:59Z"
#define NOTES_MAX      5

struct reader {
	struct ecbpf *e;
	const char *file;
	size_t line;
	bool is_repeated;
	struct ecbpf_filter_entry *entries;
	size_t count;
	size_t room;
	size_t host_bits; /* how many had some */
};

static __u64 expiry_absolute(const char *text)
{
	struct tm tm = {};
	const char *end = strptime(text, ECBPF_FILTER_TIME_FORMAT, &tm);
	time_t until = end && !*end ? timegm(&tm) : 0;

	return until > 0 && (__u64)until < (__u64)time(NULL) + EXPIRY_MAX ? until : 0;
}

static __u64 expiry_relative(const char *text)
{
	static const struct {
		char letter;
		unsigned int seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	unsigned long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || !number || number > EXPIRY_MAX || !*end || end[1])
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].letter == *end && number <= EXPIRY_MAX / units[i].seconds)
			return time(NULL) + number * units[i].seconds;
	return 0;
}

int ecbpf_filter_expiry_parse(struct ecbpf *e, const char *text, __u64 *ret_expires)
{
	__u64 expires = expiry_absolute(text) ?: expiry_relative(text);

	if (!expires)
		return ecbpf_fail(e, -EINVAL, "'%s' is not 90s, 10m, 2h, 7d, 4w or " EXPIRY_ALLOWED,
				  text);
	*ret_expires = expires;
	return 0;
}

int ecbpf_filter_tag_set(struct ecbpf *e, struct ecbpf_filter_entry *entry, const char *tag)
{
	if (strlen(tag) > ECBPF_FILTER_TAG_MAX)
		return ecbpf_fail(e, -EINVAL, "'%s': longer than %d characters", tag,
				  ECBPF_FILTER_TAG_MAX);
	for (const char *c = tag; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '#' || *c == ';')
			return ecbpf_fail(
				e, -EINVAL,
				"'%s': only ASCII is allowed, without blanks, '#' and ';'", tag);
	snprintf(entry->tag, sizeof(entry->tag), "%s", strcmp(tag, "-") ? tag : "");
	return 0;
}

/* "FILE:LINE: WHAT: " before what ecbpf_error() says */
static int fail_line(struct reader *r, int err, const char *what)
{
	char text[sizeof(r->e->error)];

	memcpy(text, r->e->error, sizeof(text));
	return ecbpf_fail(r->e, err, "%s:%zu: %s%s", r->file, r->line, what, text);
}

/* What was meant is said, as long as there are not too many */
static void note_host_bits(struct reader *r, const char *text,
			   const struct ecbpf_filter_entry *entry)
{
	char prefix[64];

	if (++r->host_bits > NOTES_MAX)
		return;
	ecbpf_filter_entry_format(entry, prefix, sizeof(prefix));
	ecbpf_log(r->e, ECBPF_LOG_WARN, "%s:%zu: '%s' is taken as %s", r->file, r->line, text,
		  prefix);
}

/* @ret_is_over: it has expired. Return: 0 or -EINVAL */
static int expiry_take(struct reader *r, const char *text, struct ecbpf_filter_entry *entry,
		       bool *ret_is_over)
{
	int err = 0;

	if (!r->is_repeated)
		return ecbpf_filter_expiry_parse(r->e, text, &entry->expires);
	entry->expires = expiry_absolute(text);
	if (!entry->expires)
		err = ecbpf_fail(r->e, -EINVAL,
				 "'%s' is not until when, " EXPIRY_ALLOWED
				 ": this file is read again and again",
				 text);
	*ret_is_over = entry->expires <= (__u64)time(NULL);
	return err;
}

static int line_take(struct reader *r, char *line)
{
	char *prefix, *tag, *expires, *rest, *save;
	struct ecbpf_filter_entry entry;
	bool has_host_bits, is_over = false;
	int err;

	line[strcspn(line, "#;\r\n")] = '\0';
	if (!strncmp(line, "//", 2))
		return 0;
	prefix = strtok_r(line, " \t", &save);
	if (!prefix)
		return 0;
	tag = strtok_r(NULL, " \t", &save);
	expires = tag ? strtok_r(NULL, " \t", &save) : NULL;
	rest = expires ? strtok_r(NULL, " \t", &save) : NULL;
	err = ecbpf_filter_entry_parse(r->e, prefix, &entry, &has_host_bits);
	if (err)
		return fail_line(r, err, "");
	err = ecbpf_filter_tag_set(r->e, &entry, tag ?: "");
	if (err)
		return fail_line(r, err, "tag ");
	err = expires && strcmp(expires, "-") ? expiry_take(r, expires, &entry, &is_over) : 0;
	if (err)
		return fail_line(r, err, "expiry ");
	if (rest)
		return ecbpf_fail(r->e, -EINVAL, "%s:%zu: '%s': a line is PREFIX [TAG [EXPIRY]]",
				  r->file, r->line, rest);
	if (has_host_bits)
		note_host_bits(r, prefix, &entry);
	if (is_over)
		return 0;
	if (!r->entries || r->count == r->room) {
		struct ecbpf_filter_entry *entries;

		r->room = r->room ? r->room * 2 : 64;
		entries = reallocarray(r->entries, r->room, sizeof(*entries));
		if (!entries)
			return ecbpf_fail_memory(r->e);
		r->entries = entries;
	}
	r->entries[r->count++] = entry;
	return 0;
}

static int stream_take(struct reader *r, FILE *in)
{
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && getline(&line, &room, in) >= 0) {
		r->line++;
		err = line_take(r, line);
	}
	if (!err && ferror(in))
		err = ecbpf_fail(r->e, -EIO, "%s: %s", r->file, strerror(errno));
	free(line);
	if (r->host_bits > NOTES_MAX)
		ecbpf_log(r->e, ECBPF_LOG_WARN, "%s: %zu more have bits behind their length",
			  r->file, r->host_bits - NOTES_MAX);
	return err;
}

int ecbpf_filter_file_read(struct ecbpf *e, const char *file, bool is_repeated,
			   struct ecbpf_filter_entry **ret_entries, size_t *ret_count)
{
	FILE *in = strcmp(file, "-") ? fopen(file, "re") : stdin;
	struct reader r = {.e = e, .file = file, .is_repeated = is_repeated};
	int err;

	if (!in)
		return ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno));
	if (in == stdin)
		r.file = "standard input";
	err = stream_take(&r, in);
	if (in != stdin)
		fclose(in);
	if (err) {
		free(r.entries);
		return err;
	}
	*ret_entries = r.entries;
	*ret_count = r.count;
	return 0;
}
