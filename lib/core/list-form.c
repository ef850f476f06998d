// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reads an address, a prefix or a range.
 */
#include <string.h>
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"

/* What is between quotes, or up to a blank or a separator */
struct token {
	const char *pos;
	const char *end;
	bool is_quoted;
};

/* @pos: not at the end of the line; behind the token afterwards */
static bool take_token(struct list_reader *r, const char **pos, const char *end,
		       struct token *ret_token)
{
	struct token token = {.pos = *pos, .end = *pos};

	token.is_quoted = !r->is_word && (*token.pos == '"' || *token.pos == '\'');
	if (token.is_quoted) {
		token.end = memchr(token.pos + 1, *token.pos, end - token.pos - 1);
		if (!token.end)
			return list_error(r, token.pos, token.pos + 1,
					  "the quotation has no end in this line");
		*pos = token.end + 1;
		token.pos++;
		if (*pos < end && !list_is_end(**pos) && **pos != '-')
			return list_error(r, *pos, *pos + 1, "behind the quotation, '%s'",
					  ecbpf_quote(*pos, 1));
	} else {
		while (token.end < end && !list_is_end(*token.end))
			token.end++;
		*pos = token.end;
	}
	*ret_token = token;
	return true;
}

static bool take_addr(struct list_reader *r, const char *pos, const char *end,
		      struct ecbpf_prefix *ret_addr)
{
	const char *wrong = ecbpf_prefix_read_addr(pos, end - pos, ret_addr);

	return !wrong || list_error(r, pos, end, "'%s' %s", ecbpf_quote(pos, end - pos), wrong);
}

/* The end of the range that the form begins */
static bool take_last(struct list_reader *r, const char *pos, const char *end,
		      struct list_form *form)
{
	const struct ecbpf_prefix *first = &form->first, *last = &form->last;

	if (!take_addr(r, pos, end, &form->last))
		return false;
	form->end = end;
	form->is_range = true;
	if (first->family != last->family)
		return list_error(r, form->pos, end,
				  "'%s': a range ends in the family that it begins in",
				  ecbpf_quote(form->pos, end - form->pos));
	if (ecbpf_prefix_compare(first, last) > 0)
		return list_error(r, form->pos, end, "'%s' ends before it begins",
				  ecbpf_quote(form->pos, end - form->pos));
	return true;
}

bool list_take_range(struct list_reader *r, const char *pos, const char *dash, const char *end,
		     struct list_form *ret_form)
{
	const char *first_end = dash;

	while (first_end > pos && list_is_blank(first_end[-1]))
		first_end--;
	ret_form->pos = pos;
	return take_addr(r, pos, first_end, &ret_form->first) &&
	       take_last(r, list_skip_blanks(dash + 1, end), end, ret_form);
}

/* Two addresses, a blank between them: the second one is a netmask, or ends a range */
static bool take_second(struct list_reader *r, const char *pos, const char *end,
			struct list_form *form)
{
	struct ecbpf_prefix second;
	int len;

	if (!take_addr(r, pos, end, &second))
		return false;
	len = ecbpf_prefix_netmask(&second);
	if (second.family == form->first.family && len < 0 &&
	    ecbpf_prefix_compare(&form->first, &second) > 0)
		return list_error(r, pos, end,
				  "'%s' is neither a netmask nor the end of a range: it is below "
				  "the address before it",
				  ecbpf_quote(pos, end - pos));
	if (second.family != form->first.family || len < 0)
		return take_last(r, pos, end, form);
	form->end = end;
	/* a gateway in a table of routes, or the end of a range that is nothing: not everything */
	if (!len)
		return list_error(r, form->pos, end,
				  "'%s' may be everything or a single address: write ADDR/LEN",
				  ecbpf_quote(form->pos, end - form->pos));
	form->first.len = len;
	form->has_host_bits = ecbpf_prefix_mask(&form->first);
	return true;
}

/* Behind the first address there is "-", or "-B"; "-" is also what stands for no tag */
static bool take_dash(struct list_reader *r, const char **pos, const char *end, bool has_slash,
		      struct list_form *form)
{
	const char *next = *pos + 1;
	bool is_glued = !list_is_blank((*pos)[-1]); /* "A- B" is a range */
	bool is_alone = next == end || list_is_end(*next);
	struct token token;
	__u8 c;

	next = list_skip_blanks(next, end);
	if (next == end || list_is_end(*next))
		return !is_glued ||
		       list_error(r, form->pos, next, "the range has no end: FIRST-LAST");
	if (!take_token(r, &next, end, &token))
		return false;
	c = token.pos < token.end ? *token.pos : 0;
	if (is_alone && !is_glued &&
	    (list_expiry_absolute(token.pos, token.end) ||
	     list_expiry_relative(token.pos, token.end)))
		return true;
	if (is_alone && !is_glued && c >= '0' && c <= '9' &&
	    !memchr(token.pos, '.', token.end - token.pos) &&
	    !memchr(token.pos, ':', token.end - token.pos))
		return list_error(r, token.pos, token.end,
				  "'%s' is not an address, which would end a range, and "
				  "not " LIST_EXPIRY_WANTED,
				  ecbpf_quote(token.pos, token.end - token.pos));
	/* of words, only those that nobody can take for a broken address */
	if (!is_glued && !list_is_addr_like(token.pos, token.end) &&
	    (!is_alone || ((c < '0' || c > '9') && !memchr(token.pos, '.', token.end - token.pos) &&
			   !memchr(token.pos, ':', token.end - token.pos))))
		return true;
	if (has_slash)
		return list_error(r, form->pos, token.end,
				  "'%s': a range is of two addresses, without a length",
				  ecbpf_quote(form->pos, token.end - form->pos));
	*pos = next;
	return take_last(r, token.pos, token.end, form);
}

/* What may follow the address or prefix that the form has by now, and belongs to it */
static bool take_rest(struct list_reader *r, const char **pos, const char *end, bool has_slash,
		      struct list_form *form)
{
	const char *next = list_skip_blanks(*pos, end), *after = next;
	struct token token;

	if (next == end || *next == ',' || *next == '|')
		return true;
	if (*next == '-') {
		*pos = next;
		return take_dash(r, pos, end, has_slash, form);
	}
	if (!take_token(r, &after, end, &token))
		return false;
	if (has_slash || !list_is_addr_like(token.pos, token.end))
		return true; /* a column, and no address there */
	*pos = after;
	return take_second(r, token.pos, token.end, form);
}

bool list_take_form(struct list_reader *r, const char **pos, const char *end,
		    struct list_form *ret_form)
{
	struct list_form form = {.pos = *pos};
	const char *dash, *wrong, *inner;
	struct token token = {};
	bool has_slash;

	if (*pos == end)
		return list_error(r, *pos, end, "'' is not an address");
	if (!take_token(r, pos, end, &token))
		return false;
	inner = list_skip_blanks(token.pos, token.end);
	if (token.is_quoted && (inner > token.pos || memchr(inner, ' ', token.end - inner))) {
		if (inner == token.end || *inner == '"' || *inner == '\'')
			return list_error(r, token.pos, token.end, "no address in quotes");
		if (!list_take_form(r, &inner, token.end, ret_form))
			return false;
		return list_skip_blanks(inner, token.end) == token.end ||
		       list_error(r, inner, token.end, "'%s': more than an address in quotes",
				  ecbpf_quote(token.pos, token.end - token.pos));
	}
	form.pos = token.pos;
	form.end = token.end;
	dash = memchr(token.pos, '-', token.end - token.pos);
	if (dash && dash > token.pos && dash + 1 < token.end) {
		*ret_form = form;
		return list_take_range(r, token.pos, dash, token.end, ret_form);
	}
	if (dash && dash > token.pos) { /* "A- B" */
		token.end = dash;
		*pos = dash;
	}
	wrong = ecbpf_prefix_read(token.pos, token.end - token.pos, &form.first,
				  &form.has_host_bits);
	if (wrong)
		return list_error(r, token.pos, token.end, "'%s' %s",
				  ecbpf_quote(token.pos, token.end - token.pos), wrong);
	has_slash = memchr(token.pos, '/', token.end - token.pos);
	if (!take_rest(r, pos, end, has_slash, &form))
		return false;
	*ret_form = form;
	return true;
}
