// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A `set` statement from text: a list in braces, or a file of addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/list.h"
#include "core/util.h"
#include "fw/parse.h"

/* The absolute path of @path, which is relative to the file that names it */
static char *set_path(const struct parser *p, const char *path)
{
	char *file = strdup(p->src->file), *full = NULL, *real = NULL;

	if (file && asprintf(&full, "%s/%s", path[0] == '/' ? "" : dirname(file), path) >= 0)
		real = realpath(full, NULL);
	free(full);
	free(file);
	return real;
}

/* Return: false: without memory */
static bool take_entries(struct parser *p, const struct ecbpf_list *list, struct fw_set *set)
{
	set->prefixes = calloc(list->count + 1, sizeof(*set->prefixes));
	p->no_memory |= !set->prefixes;
	if (!set->prefixes)
		return false;
	for (size_t i = 0; i < list->count; i++)
		set->prefixes[i] = list->entries[i].prefix;
	set->prefixes_count = list->count;
	return true;
}

/* Take "PATH", and what is in the file */
static bool take_set_file(struct parser *p, struct fw_set *set)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;
	struct ecbpf_list list = {};
	struct span span;
	struct stat st;
	size_t size = 0;
	int err;

	if (!fw_take_quoted(p, "the path of a file in double quotes", &path, &span))
		return false;
	set->path = set_path(p, path);
	/* a device or a pipe could block, or never end */
	if (set->path)
		fd = open(set->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		fw_error_at(p, &span, "%s: %s", path, strerror(errno));
		return true;
	}
	if (!S_ISREG(st.st_mode)) {
		fw_error_at(p, &span, "%s: not a regular file", path);
		return true;
	}
	err = ecbpf_file_read(fd, &text, &size);
	if (err) {
		fw_error_at(p, &span, "%s: %s", path, strerror(-err));
		return true;
	}
	err = ecbpf_list_diagnose(&p->errors, path, text, size, set->family, 0, &list);
	if (err == -E2BIG)
		fw_error_at(p, &span, "%s: too many prefixes", path);
	p->no_memory |= err == -ENOMEM;
	if (!err)
		take_entries(p, &list, set);
	ecbpf_list_free(&list);
	/* a path that the rules cannot quote: print the prefixes instead */
	if (strpbrk(set->path, "\"\n")) {
		free(set->path);
		set->path = NULL;
	}
	return !p->no_memory;
}

/* Take {...}, which can span lines */
static bool take_set_list(struct parser *p, struct fw_set *set)
{
	struct span open = fw_span_here(p->src);
	struct source *src = p->src;
	bool bad = false;

	src->pos++;
	for (;;) {
		/* a newline separates elements, as a comma does */
		while (fw_peek(src) == '\n' || *src->pos == ',') {
			if (fw_peek(src) == ',') {
				src->pos++;
			} else if (memchr(src->pos, '\n', src->end - src->pos)) {
				fw_next_line(p);
			} else {
				src->pos = src->end;
				fw_error_at(p, &open, "'{' without '}'");
				return false;
			}
		}
		if (*src->pos == '}') {
			src->pos++;
			return true;
		}
		if (*src->pos == '{' || *src->pos == '"')
			return fw_error_expected(p, "an address");
		if (!fw_take_prefix(p, &set->prefixes, &set->prefixes_count, set->family, "a set",
				    &bad))
			return false;
		if (fw_peek(src) != '\n' && *src->pos != ',' && *src->pos != '}')
			return fw_error_expected(p, "',' or '}'");
	}
}

/* Take NAME [ip|ip6] {...} | NAME [ip|ip6] file "PATH" | NAME [ip|ip6] live */
void fw_take_set(struct parser *p)
{
	struct ecbpf_fw_ruleset *ruleset = p->ruleset;
	size_t errors = p->errors.errors;
	struct span name = fw_take_set_name(p);
	struct fw_set *set;
	bool ok;

	if (name.end == name.pos)
		return;
	if (fw_set_find(ruleset, name.pos, name.end - name.pos)) {
		fw_error_at(p, &name, "there is a set '%s' already", fw_quote(&name));
		errors = p->errors.errors;
	}
	if (ruleset->sets_count == FW_SETS_MAX) {
		fw_error_at(p, &name, "more than %d sets", FW_SETS_MAX);
		return;
	}
	set = fw_grow(p, &ruleset->sets, &ruleset->sets_count, sizeof(*set));
	if (!set)
		return;
	memcpy(set->name, name.pos, name.end - name.pos);
	if (fw_take_keyword(p->src, "ip"))
		set->family = 4;
	else if (fw_take_keyword(p->src, "ip6"))
		set->family = 6;
	if (fw_take_keyword(p->src, "file"))
		ok = take_set_file(p, set);
	else if (fw_take_keyword(p->src, "live"))
		ok = set->is_live = true;
	else if (fw_peek(p->src) == '{')
		ok = take_set_list(p, set);
	else
		ok = fw_error_expected(p, "'ip', 'ip6', '{', 'file' or 'live'");
	if (!ok)
		return;
	if (fw_peek(p->src) != '\n')
		fw_error_expected(p, "the end of the line");
	if (p->errors.errors > errors)
		return;
	set->prefixes_count = fw_prefixes_sort(set->prefixes, set->prefixes_count);
	if (set->prefixes_count > FW_SET_PREFIXES_MAX)
		fw_error_at(p, &name, "the set '%s' has %zu prefixes; %d are allowed",
			    fw_quote(&name), set->prefixes_count, FW_SET_PREFIXES_MAX);
}
