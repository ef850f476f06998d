// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The one reader of files that list prefixes.
 *
 * A line is taken for exactly what it says, or refused: whoever reads a blocklist wrongly drops
 * packets that nobody wanted dropped. All errors of a file are found in one run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/error.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"

/* --- lines ------------------------------------------------------------------------------------ */

/* Classic Mac OS ended lines by these; such a file would be a single line, or a single comment */
static bool check_bytes(struct list_reader *r, const char *pos, const char *end)
{
	const char *bad = memchr(pos, '\0', end - pos);

	if (bad)
		return list_error(r, bad, bad + 1, "a zero byte: UTF-16, or no text file");
	bad = memchr(pos, '\r', end - pos);
	return !bad || list_error(r, bad, bad + 1, "a carriage return within a line");
}

/* As list_reader was before a bad line */
static void take_line(struct list_reader *r)
{
	const char *pos = r->span.line, *end = r->span.line_end;
	struct list_reader before = *r;

	r->is_bad = false;
	while (end > pos && (end[-1] == '\r' || list_is_blank(end[-1])))
		end--;
	pos = list_skip_blanks(pos, end);
	if (check_bytes(r, pos, end))
		list_take_line(r, pos, end);
	if (!r->is_bad)
		return;
	r->list.count = before.list.count;
	r->list.expired = before.list.expired;
	r->list.other_family = before.list.other_family;
	r->host_bits.count = before.host_bits.count;
	r->tags_cut = before.tags_cut;
	r->list.bad++;
}

static void take_text(struct list_reader *r, const char *text, size_t size)
{
	const char *end = text + size, *pos = text;

	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* byte order mark of UTF-8 */
		pos += 3;
	for (r->span.number = 1; pos < end && !r->err; r->span.number++) {
		const char *newline = memchr(pos, '\n', end - pos);

		r->span.line = pos;
		r->span.line_end = newline ? newline : end;
		take_line(r);
		pos = newline ? newline + 1 : end;
	}
	if (r->set_depth && !r->err) {
		r->span = r->set_open;
		list_error_add(r, r->span.pos, r->span.end,
			       "the '{' has no '}': is the file complete?");
		r->list.bad++;
	}
}

/* One line for each thing that was not taken as it was written */
static void log_notes(struct list_reader *r)
{
	const struct ecbpf_list *list = &r->list;
	const char *name = r->is_word ? "" : r->span.file, *colon = r->is_word ? "" : ": ";

	if (list->bad)
		ecbpf_log(r->e, ECBPF_LOG_WARN, "%s: %zu bad line%s skipped", name, list->bad,
			  list->bad == 1 ? "" : "s");
	ecbpf_host_bits_log(r->e, &r->host_bits, r->is_word ? NULL : name);
	if (list->other_family)
		ecbpf_log(r->e, ECBPF_LOG_WARN, "%s%s%zu IPv%d prefix%s left out", name, colon,
			  list->other_family, r->family == 4 ? 6 : 4,
			  list->other_family == 1 ? "" : "es");
	if (list->expired)
		ecbpf_log(r->e, ECBPF_LOG_WARN, "%s: %zu line%s expired, left out", name,
			  list->expired, list->expired == 1 ? " has" : "s have");
	if (r->tags_cut)
		ecbpf_log(
			r->e, ECBPF_LOG_WARN,
			"%s: %zu tag%s cut to %d characters, or %s '_' for what a tag cannot hold",
			name, r->tags_cut, r->tags_cut == 1 ? " is" : "s are", ECBPF_LIST_TAG_MAX,
			r->tags_cut == 1 ? "has" : "have");
}

static int finish(struct list_reader *r, struct ecbpf_list *ret_list)
{
	if (!r->err && r->has_errors && !(r->flags & ECBPF_LIST_SKIP_BAD))
		r->err = -EINVAL;
	if (r->err) {
		ecbpf_list_free(&r->list);
		return r->err;
	}
	log_notes(r);
	*ret_list = r->list;
	return 0;
}

int ecbpf_list_diagnose(struct ecbpf_diagnostics *d, const char *name, const char *text,
			size_t size, __u8 family, unsigned int flags, struct ecbpf_list *ret_list)
{
	struct list_reader r = {.e = d->e,
				.family = family,
				.flags = flags | d->e->list_policy,
				.span.file = name,
				.d = d};

	take_text(&r, text, size);
	r.span.file = name;
	return finish(&r, ret_list);
}

int ecbpf_list_parse(struct ecbpf *e, const char *name, const char *text, size_t size, __u8 family,
		     unsigned int flags, struct ecbpf_list *ret_list)
{
	struct ecbpf_diagnostics d = {.e = e, .max = ECBPF_ERRORS_SHOWN};
	int err;

	e->detail[0] = '\0';
	err = ecbpf_list_diagnose(&d, name, text, size, family, flags, ret_list);
	ecbpf_diagnostics_end(&d);
	return err;
}

/* "192.0.2.0 255.255.255.0" of a shell is two operands. No host has an address that begins so */
static bool is_netmask(const struct list_form *first, const struct list_form *form)
{
	int len = ecbpf_prefix_netmask(&form->first);

	return !first->is_range && !form->is_range && first->first.family == form->first.family &&
	       first->first.len == ecbpf_addr_bits(first->first.family) &&
	       form->first.len == first->first.len && len < form->first.len &&
	       len >= (form->first.family == 4 ? 8 : 16);
}

int ecbpf_list_parse_words(struct ecbpf *e, const char *const *words, size_t count, __u8 family,
			   struct ecbpf_list *ret_list)
{
	static const struct list_columns none;
	struct list_reader r = {.e = e, .family = family, .is_word = true, .list.is_words = true};
	struct list_form before = {};

	e->detail[0] = '\0';
	for (size_t i = 0; i < count && !r.err; i++) {
		const char *pos = words[i], *end = words[i] + strlen(words[i]);
		struct list_form form;

		r.span.line = pos;
		if (!list_take_form(&r, &pos, end, &form))
			break;
		if (pos < end)
			list_error_add(&r, words[i], end,
				       "'%s' is more than an address, a prefix or a "
				       "range",
				       ecbpf_quote(words[i], end - words[i]));
		else if (i && is_netmask(&before, &form))
			list_error_add(&r, words[i], end, "'%s' is a netmask: write %s/%s",
				       words[i], words[i - 1], words[i]);
		else
			list_add(&r, &form, &none);
		before = form;
	}
	return finish(&r, ret_list);
}

void ecbpf_list_policy(struct ecbpf *e, unsigned int policy)
{
	e->list_policy = policy;
}

void ecbpf_list_free(struct ecbpf_list *list)
{
	free(list->entries);
	*list = (struct ecbpf_list){};
}

/* --- files ------------------------------------------------------------------------------------ */

int ecbpf_list_read_fd(struct ecbpf *e, const char *name, int fd, __u8 family, unsigned int flags,
		       struct ecbpf_list *ret_list)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int err;

	e->detail[0] = '\0';
	err = ecbpf_file_read(fd, &text, &size);
	return err ? ecbpf_fail(e, err, "%s: %s", name, strerror(-err))
		   : ecbpf_list_parse(e, name, text, size, family, flags, ret_list);
}

int ecbpf_list_read(struct ecbpf *e, const char *file, __u8 family, unsigned int flags,
		    struct ecbpf_list *ret_list)
{
	bool is_stdin = !strcmp(file, "-");
	_cleanup_close_ int fd = -1;

	e->detail[0] = '\0';
	fd = is_stdin ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno));
	return ecbpf_list_read_fd(e, is_stdin ? "standard input" : file, fd, family, flags,
				  ret_list);
}
