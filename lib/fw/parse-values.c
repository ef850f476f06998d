// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Numbers in rule text: a value, a range, or a list of them.
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
	struct span span = fw_span_word(src);
	__u64 value = 0;

	if (fw_peek(src) < '0' || fw_peek(src) > '9') {
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
		fw_error_at(p, &span, "%s: '%s' is neither a number nor a range (1-5)", what,
			    fw_quote(&span));
		wrong = true;
	} else if (!wrong && first > last) {
		fw_error_at(p, &span, "%s: '%s' is in descending order, write %llu-%llu", what,
			    fw_quote(&span), last, first);
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
bool fw_take_values(struct parser *p, const char *what, __u16 max, struct fw_values *values)
{
	struct span span = fw_span_word(p->src);
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
			ok = take_range(p, what, max, values, &bad);
		} while (ok && fw_take_comma(p, &ok));
	} else {
		ok = take_range(p, what, max, values, &bad);
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
