// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Values in rule text: a number or its name, a range, or a list of them.
 */
#include <stdlib.h>
#include "fw/parse.h"

/*
 * Take a decimal number. @min, @max: at most UINT_MAX; a number out of their range is reported and
 * taken, and sets @bad. Return: false if there is no number, which is reported
 */
bool fw_take_number(struct parser *p, const char *what, __u64 min, __u64 max, __u64 *ret_value,
		    bool *bad)
{
	struct source *src = p->src;
	struct span span = fw_span_begin(src);
	__u64 value = 0;

	if (fw_peek(src) < '0' || fw_peek(src) > '9') {
		fw_span_to_word(src, &span);
		if (fw_peek(src) == '\n')
			fw_error_at(p, &span,
				    "%s: expected a number from %llu to %llu, found the end of the "
				    "line",
				    what, min, max);
		else
			fw_error_at(p, &span, "%s: expected a number from %llu to %llu, found '%s'",
				    what, min, max, fw_quote(&span));
		return false;
	}
	for (; src->pos < src->end && *src->pos >= '0' && *src->pos <= '9'; src->pos++)
		if (value <= max)
			value = value * 10 + *src->pos - '0';
	span.end = src->pos;
	if (value < min || value > max) {
		fw_error_at(p, &span, "%s: '%s' is not a number from %llu to %llu", what,
			    fw_quote(&span), min, max);
		*bad = true;
		value = min;
	}
	*ret_value = value;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool has_letter(const struct span *span)
{
	for (const char *c = span->pos; c < span->end; c++)
		if ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z')
			return true;
	return false;
}

/* Return: the value of a number or a name; -1: it is neither */
static int word_value(enum fw_names names, const char *pos, const char *end)
{
	__u32 value = 0;

	for (const char *c = pos; c < end; c++) {
		if (!is_digit(*c))
			return fw_name_find(names, pos, end - pos);
		value = value * 10 + *c - '0';
		if (value > 65535)
			return -1;
	}
	return pos < end ? (int)value : -1;
}

/*
 * A word with a letter: a name, which may have hyphens, or two names or numbers with a hyphen
 * between them. Return: how many of these readings there are; values of the last one
 */
static size_t read_word(enum fw_names names, const struct span *span, int *ret_first, int *ret_last)
{
	size_t readings = 0;

	*ret_first = *ret_last = word_value(names, span->pos, span->end);
	if (*ret_first >= 0)
		return 1;
	for (const char *c = span->pos + 1; c + 1 < span->end; c++) {
		int first, last;

		if (*c != '-')
			continue;
		first = word_value(names, span->pos, c);
		last = word_value(names, c + 1, span->end);
		if (first < 0 || last < 0)
			continue;
		*ret_first = first;
		*ret_last = last;
		readings++;
	}
	return readings;
}

/* `proto ip` is what /etc/protocols calls 0, and not what it looks like */
static bool is_misleading(enum fw_names names, const struct span *span, int value)
{
	return names == FW_NAMES_PROTO && !value && fw_word_is(span, "ip");
}

/* A name whose number the option cannot have */
static void error_above(struct parser *p, const char *what, __u16 max, const struct span *span,
			__u64 value)
{
	fw_error_at(p, span, "%s: '%s' is %llu, more than %u", what, fw_quote(span), value, max);
}

/* Take the end of a range. Return: false if the parser cannot go on */
static bool take_end(struct parser *p, const char *what, __u16 max, enum fw_names names,
		     __u64 *ret_last, bool *wrong)
{
	struct span word = fw_span_word(p->src);
	int value;

	if (!names || !has_letter(&word))
		return fw_take_number(p, what, 0, max, ret_last, wrong);
	value = word_value(names, word.pos, word.end);
	p->src->pos = word.end;
	if (value < 0)
		fw_name_error(p, what, names, &word);
	else if (value > max)
		error_above(p, what, max, &word, value);
	*wrong |= value < 0 || value > max;
	*ret_last = value;
	return true;
}

/* Take a word with a letter, @span, behind which a hyphen and the end of a range may follow */
static bool take_named(struct parser *p, const char *what, __u16 max, enum fw_names names,
		       struct span *span, __u64 *ret_first, __u64 *ret_last, bool *wrong)
{
	struct span word = *span;
	int first, last;
	size_t readings;

	if (word.end[-1] == '-' && word.end - word.pos > 1)
		word.end--;
	p->src->pos = word.end;
	readings = read_word(names, &word, &first, &last);
	*ret_first = first;
	*ret_last = last;
	if (readings == 1 && first == last && fw_take(p->src, '-')) {
		if (!take_end(p, what, max, names, ret_last, wrong))
			return false;
		span->end = p->src->pos;
		if (*wrong)
			return true;
	}
	if (p->src->pos < span->end)
		p->src->pos = span->end;
	*wrong = true;
	if (!readings && is_digit(*word.pos))
		fw_error_at(p, &word, "%s: '%s' is neither a number nor a range (1-5)", what,
			    fw_quote(&word));
	else if (!readings)
		fw_name_error(p, what, names, &word);
	else if (readings > 1)
		fw_error_at(p, &word,
			    "%s: '%s' can be read as several ranges of names: use numbers", what,
			    fw_quote(&word));
	else if (is_misleading(names, span, first))
		fw_error_at(p, span,
			    "%s: 'ip' is the number 0 in /etc/protocols, and not all packets: "
			    "write any or 0",
			    what);
	else if (*ret_first > max || *ret_last > max)
		error_above(p, what, max, span, *ret_first > max ? *ret_first : *ret_last);
	else
		*wrong = false;
	return true;
}

/* "80:90", of which the cursor is at the colon. Return: is it so? That is reported */
static bool error_colon(struct parser *p, const char *what, const struct span *span, __u64 first)
{
	struct source *src = p->src;
	struct span all = *span, last;

	if (src->pos + 1 >= src->end || *src->pos != ':' || !is_digit(src->pos[1]))
		return false;
	last.pos = last.end = src->pos + 1;
	src->pos = all.end = fw_word_end(src, last.pos);
	while (last.end < all.end && is_digit(*last.end))
		last.end++;
	fw_error_at(p, &all, "%s: '%s' is not a range, write %llu-%s", what, fw_quote(&all), first,
		    fw_quote(&last));
	return true;
}

/* Take N or A-B; only B may be a name */
static bool take_digits(struct parser *p, const char *what, __u16 max, enum fw_names names,
			struct span *span, __u64 *ret_first, __u64 *ret_last, bool *wrong)
{
	if (!fw_take_number(p, what, 0, max, ret_first, wrong))
		return false;
	*ret_last = *ret_first;
	span->end = p->src->pos;
	if (error_colon(p, what, span, *ret_first)) {
		*wrong = true;
		return true;
	}
	if (fw_take(p->src, '-')) {
		if (!take_end(p, what, max, names, ret_last, wrong))
			return false;
		span->end = p->src->pos;
	}
	if (span->end < p->src->end && fw_is_word_char(*span->end)) {
		p->src->pos = span->end = fw_word_end(p->src, span->end);
		fw_error_at(p, span, "%s: '%s' is neither a number nor a range (1-5)", what,
			    fw_quote(span));
		*wrong = true;
	}
	return true;
}

/* Take N or A-B */
static bool take_range(struct parser *p, const char *what, __u16 max, enum fw_names names,
		       struct fw_values *values, bool *bad)
{
	struct span span = fw_span_word(p->src);
	struct fw_range *range;
	__u64 first = 0, last = 0;
	bool wrong = false, ok;

	if (names && has_letter(&span))
		ok = take_named(p, what, max, names, &span, &first, &last, &wrong);
	else
		ok = take_digits(p, what, max, names, &span, &first, &last, &wrong);
	if (ok && !wrong && first > last) {
		fw_error_at(p, &span, "%s: '%s' is in descending order, write %llu-%llu", what,
			    fw_quote(&span), last, first);
		wrong = true;
	}
	if (!ok || wrong) {
		*bad |= wrong;
		return ok;
	}
	range = fw_grow(p, &values->ranges, &values->count, sizeof(*range));
	if (range)
		*range = (struct fw_range){.first = first, .last = last};
	return !!range;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct fw_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sort the ranges, and join those that overlap or touch */
static void join_ranges(struct fw_values *values)
{
	size_t last = 0;

	qsort(values->ranges, values->count, sizeof(*values->ranges), compare_ranges);
	for (size_t i = 1; i < values->count; i++) {
		struct fw_range *range = &values->ranges[i];

		if (range->first > values->ranges[last].last + 1)
			values->ranges[++last] = *range;
		else if (range->last > values->ranges[last].last)
			values->ranges[last].last = range->last;
	}
	values->count = last + 1;
}

/* Replace the ranges, which are joined, by all other values from 0 to @max */
static bool invert_ranges(struct parser *p, __u16 max, struct fw_values *values)
{
	struct fw_values rest = {.is_negated = true};
	__u32 next = 0; /* the first value behind the ranges so far */

	for (size_t i = 0; i <= values->count; i++) {
		__u32 first = i < values->count ? values->ranges[i].first : (__u32)max + 1;
		struct fw_range *range;

		if (first > next) {
			range = fw_grow(p, &rest.ranges, &rest.count, sizeof(*range));
			if (!range) {
				free(rest.ranges);
				return false;
			}
			*range = (struct fw_range){.first = next, .last = first - 1};
		}
		if (i < values->count)
			next = (__u32)values->ranges[i].last + 1;
	}
	free(values->ranges);
	*values = rest;
	return true;
}

/* Take what follows an element. Return: true for ','; false for '}', or with @ok false an error */
bool fw_take_comma(struct parser *p, bool *ok)
{
	if (fw_take(p->src, ','))
		return true;
	if (!fw_take(p->src, '}'))
		*ok = fw_error_expected(p, "',' or '}'");
	return false;
}

/* Take [!] any | N | A-B | {N, A-B, ...} */
bool fw_take_values(struct parser *p, const char *what, __u16 max, enum fw_names names,
		    struct fw_values *values)
{
	struct span span = fw_span_begin(p->src);
	bool is_negated = fw_take(p->src, '!'), bad = false, ok = true;

	free(values->ranges);
	*values = (struct fw_values){};
	if (fw_take_keyword(p->src, "any")) {
		if (is_negated)
			fw_error_at(p, &span, "%s: '!any' matches nothing", what);
		return true;
	}
	if (fw_take(p->src, '{')) {
		if (fw_peek(p->src) == '}') {
			fw_error_at(p, &span, "%s: an empty list matches nothing", what);
			p->src->pos++;
			return true;
		}
		do {
			ok = take_range(p, what, max, names, values, &bad);
		} while (ok && fw_take_comma(p, &ok));
	} else {
		ok = take_range(p, what, max, names, values, &bad);
		if (ok && fw_peek(p->src) == ',')
			return fw_error_expected(
				p, "the next option (a list is written in braces: {1, 2})");
	}
	if (!ok || bad || !values->count)
		return ok;
	join_ranges(values);
	if (is_negated) {
		if (!invert_ranges(p, max, values))
			return false;
		if (!values->count)
			fw_error_at(p, &span, "%s: '!' of all values matches nothing", what);
	}
	return true;
}
