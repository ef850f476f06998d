// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Numbers in rule text: a value, a range, or a list of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include "core/internal.h"
#include "fw/parse.h"

/*
 * A decimal number up to @max, which is no more than UINT_MAX. A bad one is told, and taken;
 * Return: false if there is none, told
 */
bool fw_take_number(struct parser *p, const char *what, __u64 min, __u64 max, __u64 *ret_value,
		    bool *bad)
{
	struct source *src = p->src;
	struct span span = fw_span_word(src);
	char wanted[96];
	__u64 value = 0;

	snprintf(wanted, sizeof(wanted), "a number from %llu to %llu", min, max);
	if (fw_peek(src) < '0' || fw_peek(src) > '9') {
		if (fw_peek(src) == '\n')
			fw_error_at(p, &span, "%s: the line ends where %s should be", what, wanted);
		else
			fw_error_at(p, &span, "%s: '%s' is not %s", what, fw_quote(&span), wanted);
		return false;
	}
	for (; src->pos < src->end && *src->pos >= '0' && *src->pos <= '9'; src->pos++)
		if (value <= max)
			value = value * 10 + *src->pos - '0';
	span.end = src->pos;
	if (value < min || value > max) {
		fw_error_at(p, &span, "%s: '%s' is not %s", what, fw_quote(&span), wanted);
		*bad = true;
		value = min;
	}
	*ret_value = value;
	return true;
}

/* N or A-B */
static bool take_range(struct parser *p, const char *what, __u16 max, struct fw_values *values,
		       bool *bad)
{
	struct span span = fw_span_word(p->src);
	struct fw_range *range;
	__u64 first, last;
	bool wrong = false;

	if (!fw_take_number(p, what, 0, max, &first, &wrong))
		return false;
	last = first;
	span.end = p->src->pos;
	if (fw_take(p->src, '-')) {
		if (!fw_take_number(p, what, 0, max, &last, &wrong))
			return false;
		span.end = p->src->pos;
	}
	if (span.end < p->src->end && fw_is_word_char(*span.end)) {
		p->src->pos = span.end = fw_word_end(p->src, span.end);
		fw_error_at(p, &span, "%s: '%s' is not a number, nor two with - between", what,
			    fw_quote(&span));
		wrong = true;
	} else if (!wrong && first > last) {
		fw_error_at(p, &span, "%s: '%s' ends before it begins; did you mean %llu-%llu?",
			    what, fw_quote(&span), last, first);
		wrong = true;
	}
	if (wrong) {
		*bad = true;
		return true;
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

/* In order, with gaps between them */
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

/* All from 0 to @max that are not in the ranges, which are joined */
static bool invert_ranges(struct parser *p, __u16 max, struct fw_values *values)
{
	struct fw_values rest = {.is_negated = true};
	__u32 next = 0; /* the first value that no range so far has had */

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

/* Behind an element: ',' and true for the next one; '}' and false. Else, told, and @ok is false */
bool fw_take_comma(struct parser *p, bool *ok)
{
	if (fw_take(p->src, ','))
		return true;
	if (!fw_take(p->src, '}'))
		*ok = fw_error_expected(p, "',' or '}'");
	return false;
}

/* [!] any | N | A-B | {N, A-B, ...}; what is there already is a repetition, and told by others */
bool fw_take_values(struct parser *p, const char *what, __u16 max, struct fw_values *values)
{
	struct span span = fw_span_word(p->src);
	bool is_negated = fw_take(p->src, '!'), bad = false, ok = true;

	free(values->ranges);
	*values = (struct fw_values){};
	if (fw_take_keyword(p->src, "any")) {
		if (is_negated)
			fw_error_at(p, &span, "%s: '!any' takes nothing", what);
		return true;
	}
	if (fw_take(p->src, '{')) {
		if (fw_peek(p->src) == '}') {
			fw_error_at(p, &span, "%s: an empty list takes nothing", what);
			p->src->pos++;
			return true;
		}
		do {
			ok = take_range(p, what, max, values, &bad);
		} while (ok && fw_take_comma(p, &ok));
	} else {
		ok = take_range(p, what, max, values, &bad);
		if (ok && fw_peek(p->src) == ',')
			return fw_error_expected(p,
						 "possible here; a list stands in braces: {1, 2}");
	}
	if (!ok || bad || !values->count)
		return ok;
	join_ranges(values);
	if (is_negated) {
		if (!invert_ranges(p, max, values))
			return false;
		if (!values->count)
			fw_error_at(p, &span, "%s: '!' of all values takes nothing", what);
	}
	return true;
}
