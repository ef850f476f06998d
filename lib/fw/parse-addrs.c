// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Addresses in rule text: a prefix, a list of prefixes, or the name of a set.
 */
#include <stdlib.h>
#include <string.h>
#include "core/prefix.h"
#include "fw/parse.h"

/* Take ADDR[/LEN], with spaces around the slash. Return: its span */
static struct span take_prefix_span(struct source *src)
{
	struct span span = fw_span_word(src);

	src->pos = span.end;
	if (fw_peek(src) == '/' || (span.end > span.pos && span.end[-1] == '/')) {
		fw_take(src, '/');
		fw_peek(src);
		span.end = fw_word_end(src, src->pos);
		src->pos = span.end;
	}
	return span;
}

/* Blanks around the slash are the rules' own */
static const char *read_prefix(const struct span *span, struct ecbpf_prefix *ret_prefix,
			       bool *ret_has_host_bits)
{
	char text[128];
	size_t len = 0;

	for (const char *c = span->pos; c < span->end && len < sizeof(text); c++)
		if (*c != ' ' && *c != '\t')
			text[len++] = *c;
	return ecbpf_prefix_read(text, len, ret_prefix, ret_has_host_bits);
}

/*
 * Take an address or prefix and append it. @family: the only one allowed; 0: any. @whose: for
 * messages, whose family that is. A bad prefix is reported and taken, and sets @bad. Return: false
 * if the parser cannot go on
 */
bool fw_take_prefix(struct parser *p, struct ecbpf_prefix **prefixes, size_t *count, __u8 family,
		    const char *whose, bool *bad)
{
	struct ecbpf_prefix prefix, *last;
	bool has_host_bits;
	struct span span;
	const char *wrong;

	if (fw_peek(p->src) == '\n')
		return fw_error_expected(p, "an address");
	span = take_prefix_span(p->src);
	wrong = read_prefix(&span, &prefix, &has_host_bits);
	if (wrong) {
		fw_error_at(p, &span, "'%s' %s", fw_quote(&span), wrong);
		*bad = true;
		return true;
	}
	if (family && prefix.family != family) {
		fw_error_at(p, &span, "'%s' is an address of %s in %s of %s", fw_quote(&span),
			    fw_family_name(prefix.family), whose, fw_family_name(family));
		*bad = true;
		return true;
	}
	if (has_host_bits)
		ecbpf_host_bits_note(&p->host_bits, span.pos, span.end - span.pos, &prefix);
	last = fw_grow(p, prefixes, count, sizeof(prefix));
	if (last)
		*last = prefix;
	return !!last;
}

/* Sort the prefixes, and drop those that another one covers */
static void join_prefixes(struct fw_addrs *addrs)
{
	size_t last = 0;

	addrs->prefixes_count = fw_prefixes_sort(addrs->prefixes, addrs->prefixes_count);
	for (size_t i = 1; i < addrs->prefixes_count; i++)
		if (!ecbpf_prefix_has(&addrs->prefixes[last], &addrs->prefixes[i]))
			addrs->prefixes[++last] = addrs->prefixes[i];
	addrs->prefixes_count = last + 1;
}

static bool is_set_name_char(char c)
{
	return fw_is_word_char(c) || c == '-' || c == '.';
}

#define SET_NAME "the name of a set (letters, digits, '_', '-', '.')"

/* Take the name of a set. Return: its span, empty after an error */
struct span fw_take_set_name(struct parser *p)
{
	struct source *src = p->src;
	struct span span;

	fw_peek(src);
	span = fw_span_here(src);
	while (src->pos < src->end && is_set_name_char(*src->pos))
		src->pos++;
	span.end = src->pos;
	if (span.end == span.pos) {
		fw_error_expected(p, SET_NAME);
	} else if (span.end - span.pos > FW_SET_NAME_MAX) {
		fw_error_at(p, &span, "'%s' is longer than the %d bytes of a set's name",
			    fw_quote(&span), FW_SET_NAME_MAX);
		span.end = span.pos;
	}
	return span;
}

/* Take NAME of a set, behind '@'; the set may follow in the file, so that it is looked up later */
static bool take_set_reference(struct parser *p, __u8 family, bool is_dst)
{
	struct span name = fw_span_here(p->src);
	struct reference *reference;

	if (name.pos == p->src->end || !is_set_name_char(*name.pos))
		return fw_error_expected(p, SET_NAME);
	name = fw_take_set_name(p);
	if (name.end == name.pos)
		return false;
	reference = fw_grow(p, &p->references, &p->references_count, sizeof(*reference));
	if (!reference)
		return false;
	*reference = (struct reference){
		.rule = p->ruleset->rules_count, .is_dst = is_dst, .family = family, .span = name};
	return true;
}

/* Take ADDR[/LEN], ...}, behind '{' */
static bool take_addrs_list(struct parser *p, __u8 family, struct fw_addrs *addrs, bool *bad)
{
	bool ok;

	do {
		if (fw_peek(p->src) == '@')
			return fw_error_expected(p, "an address (a list cannot have sets)");
		ok = fw_take_prefix(p, &addrs->prefixes, &addrs->prefixes_count, family, "a rule",
				    bad);
	} while (ok && fw_take_comma(p, &ok));
	return ok;
}

/* Do the prefixes include all addresses of a family? @both: of both families */
static bool takes_all(const struct fw_addrs *addrs, bool both)
{
	size_t count = 0;

	for (size_t i = 0; i < addrs->prefixes_count; i++)
		count += !addrs->prefixes[i].len;
	return count >= (both ? 2 : 1);
}

/* Take any | [!] @NAME | [!] ADDR[/LEN] | [!] {ADDR[/LEN], ...} */
bool fw_take_addrs(struct parser *p, __u8 family, bool is_dst, struct fw_addrs *addrs)
{
	__u8 only = family == FW_INET ? 0 : family;
	struct span span = fw_span_begin(p->src);
	bool is_negated = fw_take(p->src, '!'), bad = false, ok = true;

	if (fw_take_keyword(p->src, "any")) {
		if (is_negated)
			fw_error_at(p, &span, "'!any' matches nothing");
		return true;
	}
	addrs->is_negated = is_negated;
	if (fw_take(p->src, '@')) {
		addrs->kind = FW_ADDRS_SET;
		return take_set_reference(p, family, is_dst);
	}
	if (fw_peek(p->src) == '\n')
		return fw_error_expected(p, "'any', an address, a list in braces or @SET");
	addrs->kind = FW_ADDRS_LIST;
	if (fw_take(p->src, '{')) {
		if (fw_take(p->src, '}')) {
			fw_error_at(p, &span, "an empty list matches nothing");
			return true;
		}
		ok = take_addrs_list(p, only, addrs, &bad);
	} else {
		ok = fw_take_prefix(p, &addrs->prefixes, &addrs->prefixes_count, only, "a rule",
				    &bad);
		if (ok && fw_peek(p->src) == ',')
			return fw_error_expected(p,
						 "the next option (a list is written in braces)");
	}
	if (!ok || bad || !addrs->prefixes_count)
		return ok;
	join_prefixes(addrs);
	if (family == FW_INET &&
	    addrs->prefixes[0].family == addrs->prefixes[addrs->prefixes_count - 1].family) {
		fw_error_at(p, &span,
			    "these addresses are all of %s: write %s instead of inet, or add some "
			    "of the other family",
			    fw_family_name(addrs->prefixes[0].family),
			    fw_family_name(addrs->prefixes[0].family));
		return true;
	}
	if (takes_all(addrs, family == FW_INET && !is_negated)) {
		if (is_negated)
			fw_error_at(p, &span, "'!' of all addresses matches nothing");
		free(addrs->prefixes);
		*addrs = (struct fw_addrs){};
	}
	return true;
}
