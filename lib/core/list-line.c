// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells which format a line of a list has.
 */
#include <string.h>
#include "core/handle.h"
#include "core/list.h"

/* Where a comment begins, or the end */
static const char *find_comment(const char *pos, const char *end)
{
	bool is_quoted = false;

	for (const char *c = pos; c < end; c++) {
		if (*c == '"')
			is_quoted = !is_quoted;
		if (is_quoted)
			continue;
		if (*c == '#' || *c == ';')
			return c;
		if (*c == '/' && c + 1 < end && c[1] == '/' && (c == pos || list_is_blank(c[-1])))
			return c;
	}
	return end;
}

/* "START;END" is a table, and no address with a comment */
static bool check_comment(struct list_reader *r, const char *pos, const char *comment,
			  const char *end)
{
	const char *word = comment + 1, *word_end = word;

	if (comment == end || comment == pos || list_is_blank(comment[-1]))
		return true;
	while (word_end < end && !list_is_end(*word_end) && *word_end != ';')
		word_end++;
	if (word < word_end && (*word == '"' || *word == '\'')) {
		word++;
		word_end -= word_end > word;
	}
	return !list_is_addr_like(word, word_end) ||
	       list_error(r, word, word_end, "'%s' is another address, in a comment",
			  ecbpf_quote(word, word_end - word));
}

/* @pos: behind the word and blanks afterwards, if it is there */
static bool skip_word(const char **pos, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *pos) < len || strncasecmp(*pos, word, len) ||
	    (*pos + len < end && !list_is_blank((*pos)[len])))
		return false;
	*pos = list_skip_blanks(*pos + len, end);
	return true;
}

/* The first line of DShield's table, which names its columns; it had both words for the third */
static bool is_dshield_head(const char *pos, const char *end)
{
	return skip_word(&pos, end, "Start") && skip_word(&pos, end, "End") &&
	       (skip_word(&pos, end, "Netmask") || skip_word(&pos, end, "Netblock"));
}

bool list_take_line(struct list_reader *r, const char *pos, const char *end)
{
	struct list_columns columns = {};
	struct list_form form;
	const char *comment;

	if (list_take_nft(r, pos, end))
		return true;
	comment = find_comment(pos, end);
	if (comment == pos)
		return true;
	if (list_take_json(r, pos, end) || list_take_ipset(r, pos, end))
		return true;
	if (!check_comment(r, pos, comment, end))
		return false;
	end = comment;
	while (end > pos && list_is_blank(end[-1]))
		end--;
	if (is_dshield_head(pos, end) || list_take_p2p(r, pos, end))
		return true;
	return list_take_form(r, &pos, end, &form) &&
	       list_take_columns(r, pos, end, &form, &columns) && list_add(r, &form, &columns);
}
