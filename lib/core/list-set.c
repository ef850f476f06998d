// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lists as `ipset save` and `nft list set` print them.
 */
#include <string.h>
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"

#define SECONDS_MAX (1ULL << 32)

struct word {
	const char *pos;
	const char *end;
};

/* Up to a blank, or all of a quotation. Return: false: the line is over */
static bool next_word(const char **pos, const char *end, struct word *ret)
{
	const char *at = list_skip_blanks(*pos, end), *close;

	if (at == end)
		return false;
	ret->pos = at;
	if (*at == '"' && (close = memchr(at + 1, '"', end - at - 1)))
		at = close + 1;
	else
		while (at < end && !list_is_blank(*at))
			at++;
	ret->end = *pos = at;
	return true;
}

static bool word_is(const struct word *word, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(word->end - word->pos) == len && !memcmp(word->pos, text, len);
}

static bool word_error(struct list_reader *r, const struct word *word, const char *what)
{
	return list_error(r, word->pos, word->end, "'%s' %s",
			  ecbpf_quote(word->pos, word->end - word->pos), what);
}

/* "1d2h3m4s500ms", or "300" of ipset. Return: it is one */
static bool read_duration(const struct word *word, bool is_plain, __u64 *ret_seconds)
{
	static const struct {
		const char *name;
		__u64 ms;
	} units[] = {{"ms", 1},	     {"s", 1000},     {"m", 60000},
		     {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
	const char *pos = word->pos;
	__u64 total = 0;

	while (pos < word->end) {
		const char *first = pos, *unit;
		__u64 number = 0, ms = 0;

		for (; pos < word->end && *pos >= '0' && *pos <= '9'; pos++)
			number = number < SECONDS_MAX ? number * 10 + *pos - '0' : number;
		for (unit = pos; pos < word->end && *pos >= 'a' && *pos <= 'z'; pos++)
			;
		for (size_t i = 0; i < ARRAY_SIZE(units); i++)
			if (word_is(&(struct word){unit, pos}, units[i].name))
				ms = units[i].ms;
		if (is_plain && unit == word->end)
			ms = 1000;
		if (unit == first || !ms || number >= SECONDS_MAX)
			return false;
		total += number * ms;
	}
	*ret_seconds = (total + 999) / 1000;
	return word->end > word->pos;
}

/* ADDR, ADDR/LEN or FIRST-LAST, nothing else */
static bool take_element(struct list_reader *r, const struct word *word, struct list_form *form)
{
	const char *dash = memchr(word->pos, '-', word->end - word->pos), *wrong;

	*form = (struct list_form){.pos = word->pos, .end = word->end};
	if (dash)
		return list_take_range(r, word->pos, dash, word->end, form);
	wrong = ecbpf_prefix_read(word->pos, word->end - word->pos, &form->first,
				  &form->has_host_bits);
	return !wrong || word_error(r, word, wrong);
}

static void take_comment(struct list_reader *r, const struct word *word,
			 struct list_columns *columns)
{
	bool is_quoted = word->end - word->pos >= 2 && *word->pos == '"';

	list_set_tag(r, word->pos + is_quoted, word->end - is_quoted, columns);
}

/* What stands behind @element. @words: those that have a value, which does not matter */
static bool take_options(struct list_reader *r, const struct word *element, const char *pos,
			 const char *end, const char *const *words, bool is_ipset,
			 struct list_columns *columns)
{
	struct word option, value, expiry = {};
	__u64 seconds = 0;

	while (next_word(&pos, end, &option)) {
		bool is_known = word_is(&option, "timeout") || word_is(&option, "expires") ||
				word_is(&option, "comment");

		if (word_is(&option, is_ipset ? "-exist" : "counter"))
			continue;
		for (size_t i = 0; words[i]; i++)
			is_known |= word_is(&option, words[i]);
		if (word_is(&option, "nomatch"))
			return word_error(r, &option,
					  "excepts this element from the set, which "
					  "a list cannot do");
		if (!is_known)
			return word_error(r, &option, "is not known behind an element");
		if (!next_word(&pos, end, &value))
			return word_error(r, &option, "has no value");
		if (word_is(&option, "comment")) {
			take_comment(r, &value, columns);
		} else if (word_is(&option, "expires") || word_is(&option, "timeout")) {
			/* nft prints both: expires is what is left */
			if (!read_duration(&value, is_ipset, &seconds))
				return word_error(r, &value, "is not a time");
			expiry = value;
		}
	}
	if (!expiry.pos && r->has_set_timeout)
		return word_error(r, element,
				  "has no timeout, but its set has: when does it expire?");
	return !seconds || list_set_timeout(r, expiry.pos, expiry.end, seconds, columns);
}

/* The file is of one set: of several, one may be what another one excepts */
static bool check_name(struct list_reader *r, const struct word *name)
{
	size_t len = name->end - name->pos;

	if (!r->set_name) {
		r->set_name = name->pos;
		r->set_name_len = len;
	}
	return (r->set_name_len == len && !memcmp(r->set_name, name->pos, len)) ||
	       word_error(r, name, "is a second set: a list is made of one");
}

/* --- ipset ------------------------------------------------------------------------------------ */

/* create NAME TYPE [OPTION...] */
static bool take_create(struct list_reader *r, const char *pos, const char *end)
{
	struct word name = {end, end}, type = {end, end}, option;

	next_word(&pos, end, &name);
	next_word(&pos, end, &type);
	if (!check_name(r, &name))
		return false;
	r->is_set_refused = true;
	if (!word_is(&type, "hash:ip") && !word_is(&type, "hash:net") &&
	    !word_is(&type, "bitmap:ip"))
		return word_error(r, &type,
				  "is not a set of addresses: hash:ip, hash:net or "
				  "bitmap:ip");
	while (next_word(&pos, end, &option)) {
		if (word_is(&option, "timeout") && next_word(&pos, end, &option))
			r->has_set_timeout = !word_is(&option, "0");
		if (word_is(&option, "netmask") || word_is(&option, "bitmask"))
			return word_error(r, &option,
					  "makes the set's addresses mean prefixes: "
					  "save a set of type hash:net");
	}
	r->is_set_refused = false;
	return true;
}

/* add NAME ELEMENT [OPTION...] */
static bool take_add(struct list_reader *r, const char *pos, const char *end)
{
	static const char *const words[] = {"packets", "bytes",	   "skbmark",
					    "skbprio", "skbqueue", NULL};
	struct word name = {end, end}, element = {end, end};
	struct list_columns columns = {};
	struct list_form form;

	next_word(&pos, end, &name);
	next_word(&pos, end, &element);
	if (!check_name(r, &name))
		return false;
	if (r->is_set_refused)
		return word_error(r, &name, "is a set that was refused");
	return take_element(r, &element, &form) &&
	       take_options(r, &element, pos, end, words, true, &columns) &&
	       list_add(r, &form, &columns);
}

bool list_take_ipset(struct list_reader *r, const char *pos, const char *end)
{
	struct word verb = {end, end};

	next_word(&pos, end, &verb);
	if (word_is(&verb, "create"))
		take_create(r, pos, end);
	else if (word_is(&verb, "add"))
		take_add(r, pos, end);
	else
		return false;
	return true;
}

/* --- nft -------------------------------------------------------------------------------------- */

/* Up to @c outside of quotations, or NULL */
static const char *find_char(const char *pos, const char *end, const char *chars)
{
	bool is_quoted = false;

	for (; pos < end; pos++) {
		if (*pos == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && *pos && strchr(chars, *pos))
			return pos;
	}
	return NULL;
}

/* Elements up to the end of the line, or to '}'. @pos: behind it */
static bool take_elements(struct list_reader *r, const char **pos, const char *end)
{
	static const char *const words[] = {"packets", "bytes", NULL};

	while ((*pos = list_skip_blanks(*pos, end)) < end) {
		const char *stop = find_char(*pos, end, ",}"), *at = *pos;
		struct list_columns columns = {};
		struct list_form form;
		struct word element;

		if (!stop)
			stop = end;
		if (next_word(&at, stop, &element) &&
		    (!take_element(r, &element, &form) ||
		     !take_options(r, &element, at, stop, words, false, &columns) ||
		     !list_add(r, &form, &columns)))
			return false;
		*pos = stop < end ? stop + 1 : end;
		if (stop < end && *stop == '}') {
			r->is_in_elements = false;
			r->set_depth--;
			return true;
		}
	}
	return true;
}

/* "TEXT {" at the beginning of a line; @pos: behind the brace */
static bool open_brace(struct list_reader *r, const char **pos, const char *end)
{
	const char *brace = find_char(*pos, end, "{");

	if (!brace)
		return list_error(r, *pos, end, "the line ends where '{' should be");
	r->set_depth++;
	r->set_open = r->span;
	r->set_open.pos = brace;
	r->set_open.end = brace + 1;
	*pos = brace + 1;
	return true;
}

/* A line in a set, which is not one of elements */
static bool take_property(struct list_reader *r, const struct word *key, const char *pos,
			  const char *end)
{
	static const char *const types[] = {"ipv4_addr", "ipv6_addr", "ip saddr",
					    "ip daddr",	 "ip6 saddr", "ip6 daddr"};
	static const char *const keys[] = {"flags",  "auto-merge", "size",	  "timeout",
					   "policy", "counter",	   "gc-interval", "comment"};
	struct word value = {list_skip_blanks(pos, end), end};
	__u64 seconds;

	if (find_char(pos, end, "{};"))
		return list_error(r, key->pos, end,
				  "a statement of a set stands on a line of its "
				  "own");
	if (word_is(key, "type") || word_is(key, "typeof")) {
		for (size_t i = 0; i < ARRAY_SIZE(types); i++)
			if (word_is(&value, types[i]))
				return true;
		return word_error(r, &value,
				  "is not the type of a set of addresses, such as "
				  "ipv4_addr");
	}
	if (word_is(key, "timeout")) {
		if (!read_duration(&value, false, &seconds))
			return word_error(r, &value, "is not a time");
		r->has_set_timeout = seconds;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (word_is(key, keys[i]))
			return true;
	return word_error(r, key, "is not part of a set of addresses");
}

/* One statement from @pos on, or what there is of it in this line */
static bool take_statement(struct list_reader *r, const char **pos, const char *end)
{
	const char *at = *pos;
	struct word key = {end, end}, name = {end, end};

	if (r->is_in_elements)
		return take_elements(r, pos, end);
	if (*at == '}' && r->set_depth) {
		r->set_depth--;
		*pos = at + 1;
		return true;
	}
	next_word(&at, end, &key);
	if (word_is(&key, "set") && r->set_depth < 2) {
		next_word(&at, end, &name);
		if (r->set_name)
			return word_error(r, &name, "is a second set: a list is made of one");
		*pos = at;
		return check_name(r, &name) && open_brace(r, pos, end);
	}
	if (word_is(&key, "elements")) {
		at = list_skip_blanks(at, end);
		at += at < end && *at == '=';
		at = list_skip_blanks(at, end);
		if (at == end || *at != '{')
			return word_error(r, &key, "has no '= {' behind it");
		*pos = at;
		r->is_in_elements = open_brace(r, pos, end);
		return r->is_in_elements;
	}
	*pos = end;
	return take_property(r, &key, at, end);
}

/* Return: the line begins something of nft; @pos: behind the opening brace, or as it was */
static bool take_begin(struct list_reader *r, const char **pos, const char *end)
{
	const char *at = *pos, *brace;
	struct word verb = {end, end}, object = {end, end}, name;

	if (*at == '{') {
		at = list_skip_blanks(at + 1, end);
		if (at < end && (*at == '"' || *at == '}'))
			return false; /* JSON */
		r->is_in_elements = open_brace(r, pos, end);
		return true;
	}
	next_word(&at, end, &verb);
	if (word_is(&verb, "set") || word_is(&verb, "elements"))
		return true;
	if (word_is(&verb, "table"))
		return open_brace(r, pos, end) || true;
	next_word(&at, end, &object);
	if (!word_is(&verb, "add") || !word_is(&object, "element"))
		return false;
	brace = find_char(at, end, "{");
	if (!brace)
		return false; /* of ipset, to a set of that name */
	name = (struct word){list_skip_blanks(at, brace), brace};
	while (name.end > name.pos && list_is_blank(name.end[-1]))
		name.end--;
	if (check_name(r, &name))
		r->is_in_elements = open_brace(r, pos, end);
	return true;
}

bool list_take_nft(struct list_reader *r, const char *pos, const char *end)
{
	const char *comment;

	if (!r->set_depth) {
		if (pos == end || !strchr("{tsea", *pos))
			return false;
		if (!take_begin(r, &pos, end))
			return false;
	}
	comment = find_char(pos, end, "#");
	if (comment)
		end = comment;
	while ((pos = list_skip_blanks(pos, end)) < end && !r->is_bad)
		take_statement(r, &pos, end);
	/* of a line that is skipped, what it closes counts */
	while (r->is_bad && r->set_depth && (pos = find_char(pos, end, "}"))) {
		r->is_in_elements = false;
		r->set_depth--;
		pos++;
	}
	return true;
}
