// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rules from text, see ecbpf-fw-rules(5). One pass, no tokens: a cursor goes along the text, and
 * functions named take_*() move it over what they know. An error of syntax ends its line, a bad
 * value only itself, so that one run finds all there is to find.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <ecbpf/fw.h>
#include "core/internal.h"
#include "fw/rules.h"

#define FILE_MAX (256 << 20) /* bytes */

/* Places of the text. With a @file of its own for messages */
struct source {
	const char *file;
	const char *text;
	const char *end;
	const char *line;    /* where the line begins that the cursor is in */
	unsigned int number; /* of that line, from 1 */
	const char *pos;     /* the cursor */
};

/* A word of the text, for messages: where it is */
struct place {
	const char *pos;
	const char *end;
	const char *line;
	unsigned int number;
};

/* `@NAME` of a rule: sets may stand behind the rules that use them */
struct reference {
	size_t rule;
	bool is_dst;
	__u8 family;
	struct place place; /* of the name */
};

struct parser {
	struct ecbpf *e;
	struct source *src;
	struct ecbpf_fw_ruleset *ruleset;
	struct reference *references;
	size_t references_count;
	size_t errors;
	size_t detail_len;
	bool no_memory;
};

/* --- messages -----------------------------------------------------------------------------------
 */

#define CONTEXT_MAX 120 /* bytes of a line that are shown */

static void detail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void detail(struct parser *p, const char *format, ...)
{
	size_t room = ECBPF_DETAIL_SIZE - p->detail_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(p->e->detail + p->detail_len, room, format, args);
	va_end(args);
	if (len > 0)
		p->detail_len += (size_t)len < room ? (size_t)len : room - 1;
}

/* The line that the place is in, and a caret below it */
static void detail_line(struct parser *p, const struct place *place)
{
	const char *end = memchr(place->line, '\n', p->src->end - place->line);
	const char *first = place->line, *last, *pos;
	char text[CONTEXT_MAX + 1], caret[CONTEXT_MAX + 1];
	size_t len = 0, under = 0;

	if (!end)
		end = p->src->end;
	if (end > first && end[-1] == '\r')
		end--;
	if (place->pos - first > CONTEXT_MAX * 2 / 3)
		first = place->pos - CONTEXT_MAX / 2;
	last = end - first > CONTEXT_MAX ? first + CONTEXT_MAX : end;
	for (pos = first; pos < last; pos++) {
		/* nothing of the file may steer a terminal */
		text[len++] = (unsigned char)*pos < ' ' || *pos == 0x7f ? *pos == '\t' ? '\t' : '?'
									: *pos;
		if (pos < place->pos && *pos == '\t')
			caret[under++] = '\t';
		else if (pos < place->pos && (*pos & 0xc0) != 0x80)
			caret[under++] = ' ';
		else if (pos > place->pos && pos < place->end && (*pos & 0xc0) != 0x80)
			caret[under++] = '~';
		else if (pos == place->pos)
			caret[under++] = '^';
	}
	if (place->pos >= last && under < CONTEXT_MAX)
		caret[under++] = '^';
	detail(p, "%.*s\n%.*s\n", (int)len, text, (int)under, caret);
}

static void error_at(struct parser *p, const struct place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void error_at(struct parser *p, const struct place *place, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (!p->errors++) {
		ecbpf_fail(p->e, -EINVAL, "%s:%u:%zu: %s", p->src->file, place->number,
			   place->pos - place->line + 1, message);
		p->e->detail[0] = '\0';
	}
	/* a part of a message is none */
	if (p->detail_len > ECBPF_DETAIL_SIZE - 4096 - strlen(p->src->file))
		return;
	detail(p, "%s:%u:%zu: %s\n", p->src->file, place->number, place->pos - place->line + 1,
	       message);
	detail_line(p, place);
}

/* A word in a message: not too long, and harmless; one of the last four results stays valid */
static const char *quote(const char *pos, size_t len)
{
	static __thread char buffers[4][64];
	static __thread unsigned int next;
	char *buffer = buffers[next++ % ARRAY_SIZE(buffers)];
	size_t i;

	for (i = 0; i < len && i < 40; i++)
		buffer[i] = (unsigned char)pos[i] < ' ' || pos[i] == 0x7f ? '?' : pos[i];
	strcpy(buffer + i, i < len ? "..." : "");
	return buffer;
}

static const char *quote_place(const struct place *place)
{
	return quote(place->pos, place->end - place->pos);
}

/* --- the cursor
 * ------------------------------------------------------------------------------------ */

static void skip_space(struct source *src)
{
	while (src->pos < src->end &&
	       (*src->pos == ' ' || *src->pos == '\t' ||
		(*src->pos == '\r' && (src->pos + 1 == src->end || src->pos[1] == '\n'))))
		src->pos++;
}

/* The next character that is no space; '\n' at the end of a line, a comment being one */
static char peek(struct source *src)
{
	skip_space(src);
	return src->pos == src->end || *src->pos == '#' ? '\n' : *src->pos;
}

static void next_line(struct source *src)
{
	const char *end = memchr(src->pos, '\n', src->end - src->pos);

	src->pos = end ? end + 1 : src->end;
	src->line = src->pos;
	src->number++;
}

static bool take(struct source *src, char c)
{
	if (peek(src) != c || c == '\n')
		return false;
	src->pos++;
	return true;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool has_meaning(char c)
{
	return c == '{' || c == '}' || c == ',' || c == '#' || c == '"';
}

/* The rest of a word, as it is meant to be read: up to a space or a character with a meaning */
static const char *word_end(const struct source *src, const char *pos)
{
	while (pos < src->end && (unsigned char)*pos > ' ' && !has_meaning(*pos))
		pos++;
	return pos;
}

static struct place place_here(const struct source *src)
{
	return (struct place){
		.pos = src->pos, .end = src->pos, .line = src->line, .number = src->number};
}

/* What stands at the cursor, for messages; at least a character, unless the line ends */
static struct place place_word(struct source *src)
{
	struct place place;

	peek(src);
	place = place_here(src);
	place.end = word_end(src, src->pos);
	if (place.end == place.pos && peek(src) != '\n')
		place.end++;
	return place;
}

/* "; WHAT is missing here" or "'x' is not WHAT"; Return: false */
static bool error_expected(struct parser *p, const char *what)
{
	struct place place = place_word(p->src);

	if (peek(p->src) == '\n')
		error_at(p, &place, "the line ends where %s should be", what);
	else
		error_at(p, &place, "'%s' is not %s", quote_place(&place), what);
	return false;
}

/* Letters, digits and _, from the cursor on; empty if there are none */
static struct place take_word(struct source *src)
{
	struct place place;

	peek(src);
	place = place_here(src);
	while (src->pos < src->end && is_word(*src->pos))
		src->pos++;
	place.end = src->pos;
	return place;
}

static bool word_is(const struct place *place, const char *word)
{
	return (size_t)(place->end - place->pos) == strlen(word) &&
	       !memcmp(place->pos, word, strlen(word));
}

static bool take_keyword(struct source *src, const char *keyword)
{
	struct source before = *src;
	struct place word = take_word(src);

	if (word_is(&word, keyword))
		return true;
	*src = before;
	return false;
}

/* "text"; what it holds, and where it stands */
static bool take_quoted(struct parser *p, const char *what, char **ret_text,
			struct place *ret_place)
{
	struct source *src = p->src;
	struct place place;
	char *text;

	if (peek(src) != '"')
		return error_expected(p, what);
	place = place_here(src);
	for (src->pos++; src->pos < src->end && *src->pos != '"' && *src->pos != '\n'; src->pos++) {
		place.end = src->pos + 1;
		if (((unsigned char)*src->pos >= ' ' && *src->pos != 0x7f) || *src->pos == '\t')
			continue;
		place.pos = src->pos;
		error_at(p, &place, "byte 0x%02x is not text", (unsigned char)*src->pos);
		return false;
	}
	if (src->pos == src->end || *src->pos == '\n') {
		error_at(p, &place, "the quotation has no end in this line");
		return false;
	}
	place.end = ++src->pos;
	text = strndup(place.pos + 1, place.end - place.pos - 2);
	if (!text) {
		p->no_memory = true;
		return false;
	}
	*ret_text = text;
	*ret_place = place;
	return true;
}

/* One more in an array that grows in powers of two. Return: it, zeroed; or NULL */
static void *grow(struct parser *p, void *items_p, size_t *count, size_t size)
{
	void **items = items_p;

	if (!(*count & (*count - 1))) {
		size_t room = *count ? *count * 2 : 1;
		void *more = realloc(*items, room * size);

		if (!more) {
			p->no_memory = true;
			return NULL;
		}
		*items = more;
	}
	return memset((char *)*items + (*count)++ * size, 0, size);
}

/* --- values
 * ------------------------------------------------------------------------------------------ */

/*
 * A decimal number up to @max, which is no more than UINT_MAX. A bad one is told, and taken;
 * Return: false if there is none, told
 */
static bool take_number(struct parser *p, const char *what, __u64 min, __u64 max, __u64 *ret_value,
			bool *bad)
{
	struct source *src = p->src;
	struct place place = place_word(src);
	char wanted[96];
	__u64 value = 0;

	snprintf(wanted, sizeof(wanted), "a number from %llu to %llu", min, max);
	if (peek(src) < '0' || peek(src) > '9') {
		if (peek(src) == '\n')
			error_at(p, &place, "%s: the line ends where %s should be", what, wanted);
		else
			error_at(p, &place, "%s: '%s' is not %s", what, quote_place(&place),
				 wanted);
		return false;
	}
	for (; src->pos < src->end && *src->pos >= '0' && *src->pos <= '9'; src->pos++)
		if (value <= max)
			value = value * 10 + *src->pos - '0';
	place.end = src->pos;
	if (value < min || value > max) {
		error_at(p, &place, "%s: '%s' is not %s", what, quote_place(&place), wanted);
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
	struct place place = place_word(p->src);
	struct fw_range *range;
	__u64 first, last;
	bool wrong = false;

	if (!take_number(p, what, 0, max, &first, &wrong))
		return false;
	last = first;
	place.end = p->src->pos;
	if (take(p->src, '-')) {
		if (!take_number(p, what, 0, max, &last, &wrong))
			return false;
		place.end = p->src->pos;
	}
	if (place.end < p->src->end && is_word(*place.end)) {
		p->src->pos = place.end = word_end(p->src, place.end);
		error_at(p, &place, "%s: '%s' is not a number, nor two with - between", what,
			 quote_place(&place));
		wrong = true;
	} else if (!wrong && first > last) {
		error_at(p, &place, "%s: '%s' ends before it begins; did you mean %llu-%llu?", what,
			 quote_place(&place), last, first);
		wrong = true;
	}
	if (wrong) {
		*bad = true;
		return true;
	}
	range = grow(p, &values->ranges, &values->count, sizeof(*range));
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
			range = grow(p, &rest.ranges, &rest.count, sizeof(*range));
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
static bool take_comma(struct parser *p, bool *ok)
{
	if (take(p->src, ','))
		return true;
	if (!take(p->src, '}'))
		*ok = error_expected(p, "',' or '}'");
	return false;
}

/* [!] any | N | A-B | {N, A-B, ...}; what is there already is a repetition, and told by others */
static bool take_values(struct parser *p, const char *what, __u16 max, struct fw_values *values)
{
	struct place place = place_word(p->src);
	bool is_negated = take(p->src, '!'), bad = false, ok = true;

	free(values->ranges);
	*values = (struct fw_values){};
	if (take_keyword(p->src, "any")) {
		if (is_negated)
			error_at(p, &place, "%s: '!any' takes nothing", what);
		return true;
	}
	if (take(p->src, '{')) {
		if (peek(p->src) == '}') {
			error_at(p, &place, "%s: an empty list takes nothing", what);
			p->src->pos++;
			return true;
		}
		do {
			ok = take_range(p, what, max, values, &bad);
		} while (ok && take_comma(p, &ok));
	} else {
		ok = take_range(p, what, max, values, &bad);
		if (ok && peek(p->src) == ',')
			return error_expected(p, "possible here; a list stands in braces: {1, 2}");
	}
	if (!ok || bad || !values->count)
		return ok;
	join_ranges(values);
	if (is_negated) {
		if (!invert_ranges(p, max, values))
			return false;
		if (!values->count)
			error_at(p, &place, "%s: '!' of all values takes nothing", what);
	}
	return true;
}

/* --- addresses
 * --------------------------------------------------------------------------------------- */

static bool is_addr_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
	       c == ':' || c == '.';
}

/* Dotted quads, faster than inet_pton(). Return: the end of it, or NULL */
static const char *parse_ip4(const char *pos, const char *end, __u8 *addr)
{
	for (int i = 0; i < 4; i++) {
		const char *first = pos;
		unsigned int byte = 0;

		if (i && (pos == end || *pos++ != '.'))
			return NULL;
		for (first = pos; pos < end && *pos >= '0' && *pos <= '9' && pos < first + 4; pos++)
			byte = byte * 10 + *pos - '0';
		/* 010 is 8 for some, 10 for others */
		if (pos == first || byte > 255 || (*first == '0' && pos > first + 1))
			return NULL;
		addr[i] = byte;
	}
	return pos;
}

static void clear_host_bits(struct fw_prefix *prefix)
{
	unsigned int whole = prefix->len / 8;

	if (prefix->len % 8)
		prefix->addr[whole++] &= 0xff << (8 - prefix->len % 8);
	memset(prefix->addr + whole, 0, sizeof(prefix->addr) - whole);
}

const char *fw_parse_prefix(const char *text, size_t len, struct fw_prefix *ret_prefix,
			    __u8 *ret_family)
{
	const char *end = text + len, *pos = text, *addr_end;
	struct fw_prefix prefix = {};
	unsigned int bits = 0, max;
	__u8 family = 4;

	addr_end = parse_ip4(text, end, prefix.addr);
	if (!addr_end || (addr_end < end && is_addr_char(*addr_end))) {
		char copy[INET6_ADDRSTRLEN];

		for (addr_end = text; addr_end < end && is_addr_char(*addr_end); addr_end++)
			;
		if ((size_t)(addr_end - text) >= sizeof(copy))
			return "is not an address, such as 192.0.2.1 or 2001:db8::1";
		memcpy(copy, text, addr_end - text);
		copy[addr_end - text] = '\0';
		if (inet_pton(AF_INET6, copy, prefix.addr) != 1)
			return "is not an address, such as 192.0.2.1 or 2001:db8::1";
		family = 6;
	}
	max = family == 4 ? 32 : 128;
	prefix.len = max;
	for (pos = addr_end; pos < end && (*pos == ' ' || *pos == '\t'); pos++)
		;
	if (pos < end) {
		if (*pos++ != '/')
			return "is not an address, such as 192.0.2.1 or 2001:db8::1";
		while (pos < end && (*pos == ' ' || *pos == '\t'))
			pos++;
		if (pos == end)
			bits = max + 1;
		for (; pos < end && bits <= max; pos++)
			bits = *pos >= '0' && *pos <= '9' ? bits * 10 + *pos - '0' : max + 1;
		if (bits > max)
			return family == 4 ? "has a prefix length that is not 0 to 32"
					   : "has a prefix length that is not 0 to 128";
		prefix.len = bits;
		clear_host_bits(&prefix);
	}
	*ret_prefix = prefix;
	*ret_family = family;
	return NULL;
}

/* The place of ADDR[/LEN] at the cursor, spaces around the slash included */
static struct place take_prefix_place(struct source *src)
{
	struct place place = place_word(src);

	src->pos = place.end;
	if (peek(src) == '/' || (place.end > place.pos && place.end[-1] == '/')) {
		take(src, '/');
		peek(src);
		place.end = word_end(src, src->pos);
		src->pos = place.end;
	}
	return place;
}

static const char *family_name(__u8 family)
{
	return family == 4 ? "ip" : "ip6";
}

/*
 * One address or prefix into the list. @family: 0 if any is right, and set to what it is. A bad one
 * is told, and taken; Return: false if there is no going on
 */
static bool take_prefix(struct parser *p, struct fw_prefix **prefixes, size_t *count, __u8 *family,
			const char *whose, bool *bad)
{
	struct fw_prefix prefix, *last;
	struct place place;
	const char *wrong;
	__u8 its_family;

	if (peek(p->src) == '\n')
		return error_expected(p, "an address");
	place = take_prefix_place(p->src);
	wrong = fw_parse_prefix(place.pos, place.end - place.pos, &prefix, &its_family);
	if (wrong) {
		error_at(p, &place, "'%s' %s", quote_place(&place), wrong);
		*bad = true;
		return true;
	}
	if (*family && its_family != *family) {
		error_at(p, &place, "'%s' is an address of %s in %s of %s", quote_place(&place),
			 family_name(its_family), whose, family_name(*family));
		*bad = true;
		return true;
	}
	*family = its_family;
	last = grow(p, prefixes, count, sizeof(prefix));
	if (last)
		*last = prefix;
	return !!last;
}

/* Prefixes of a rule, in order, without those that lie in another */
static void join_prefixes(struct fw_addrs *addrs)
{
	size_t last = 0;

	addrs->prefixes_count = fw_prefixes_sort(addrs->prefixes, addrs->prefixes_count);
	for (size_t i = 1; i < addrs->prefixes_count; i++)
		if (!fw_prefix_has(&addrs->prefixes[last], addrs->prefixes[i].addr))
			addrs->prefixes[++last] = addrs->prefixes[i];
	addrs->prefixes_count = last + 1;
}

static bool is_set_name_char(char c)
{
	return is_word(c) || c == '-' || c == '.';
}

#define SET_NAME "the name of a set: letters, digits, '_', '-', '.'"

/* An empty place if there is none, or none that can be; told */
static struct place take_set_name(struct parser *p)
{
	struct source *src = p->src;
	struct place place;

	peek(src);
	place = place_here(src);
	while (src->pos < src->end && is_set_name_char(*src->pos))
		src->pos++;
	place.end = src->pos;
	if (place.end == place.pos) {
		error_expected(p, SET_NAME);
	} else if (place.end - place.pos > FW_SET_NAME_MAX) {
		error_at(p, &place, "'%s' is longer than the %d bytes of a set's name",
			 quote_place(&place), FW_SET_NAME_MAX);
		place.end = place.pos;
	}
	return place;
}

/* any | [!] @NAME | [!] ADDR[/LEN] | [!] {ADDR[/LEN], ...} */
static bool take_addrs(struct parser *p, __u8 family, bool is_dst, struct fw_addrs *addrs)
{
	struct place place = place_word(p->src);
	bool is_negated = take(p->src, '!'), bad = false, ok = true;
	struct reference *reference;

	if (take_keyword(p->src, "any")) {
		if (is_negated)
			error_at(p, &place, "'!any' takes nothing");
		return true;
	}
	if (take(p->src, '@')) {
		struct place name = place_here(p->src);

		if (name.pos == p->src->end || !is_set_name_char(*name.pos))
			return error_expected(p, SET_NAME);
		name = take_set_name(p);
		if (name.end == name.pos)
			return false;
		reference = grow(p, &p->references, &p->references_count, sizeof(*reference));
		if (!reference)
			return false;
		*reference = (struct reference){.rule = p->ruleset->rules_count,
						.is_dst = is_dst,
						.family = family,
						.place = name};
		addrs->kind = FW_ADDRS_SET;
		addrs->is_negated = is_negated;
		return true;
	}
	if (peek(p->src) == '\n')
		return error_expected(p, "any, an address, a list in braces, or a set, @NAME,");
	addrs->kind = FW_ADDRS_LIST;
	addrs->is_negated = is_negated;
	if (take(p->src, '{')) {
		if (peek(p->src) == '}') {
			error_at(p, &place, "an empty list takes nothing");
			p->src->pos++;
			return true;
		}
		do {
			if (peek(p->src) == '@')
				return error_expected(p, "possible in a list: a set stands alone");
			ok = take_prefix(p, &addrs->prefixes, &addrs->prefixes_count, &family,
					 "a rule", &bad);
		} while (ok && take_comma(p, &ok));
	} else {
		ok = take_prefix(p, &addrs->prefixes, &addrs->prefixes_count, &family, "a rule",
				 &bad);
		if (ok && peek(p->src) == ',')
			return error_expected(p, "possible here; a list stands in braces");
	}
	if (!ok || bad || !addrs->prefixes_count)
		return ok;
	join_prefixes(addrs);
	if (!addrs->prefixes[0].len) {
		if (is_negated)
			error_at(p, &place, "'!' of all addresses takes nothing");
		free(addrs->prefixes);
		*addrs = (struct fw_addrs){};
	}
	return true;
}

/* --- rules
 * ------------------------------------------------------------------------------------------- */

enum keyword {
	KW_NONE,
	KW_PACKET,
	KW_LENGTH,
	KW_VLAN,
	KW_IP,
	KW_IP6,
	KW_TTL,
	KW_FRAG,
	KW_OPTIONS,
	KW_TCP,
	KW_UDP,
	KW_ICMP,
	KW_ICMP6,
	KW_PROTO,
	KW_SPORT,
	KW_DPORT,
	KW_WINDOW,
	KW_FLAGS,
	KW_TYPE,
	KW_CODE,
	KW_NAME,
	KW_DROP,
	KW_PASS,
	KW_COUNT,
	KW_LIMIT,
	KW_DRY,
	KW_MAX,
};

#define KW(keyword) (1 << (keyword))

/*
 * @behind: belongs behind one of these, with that one's other words between at most
 * @is_group: begins such a row itself
 */
/* clang-format off */
static const struct {
	const char *name;
	__u32 behind;
	bool is_group;
} keywords[KW_MAX] = {
	[KW_PACKET] = { "packet", 0, true },
	[KW_LENGTH] = { "length", KW(KW_PACKET), false },
	[KW_VLAN] = { "vlan", 0, false },
	[KW_IP] = { "ip", 0, true },
	[KW_IP6] = { "ip6", 0, true },
	[KW_TTL] = { "ttl", 0, false },
	[KW_FRAG] = { "frag", 0, false },
	[KW_OPTIONS] = { "options", 0, false },
	[KW_TCP] = { "tcp", 0, true },
	[KW_UDP] = { "udp", 0, true },
	[KW_ICMP] = { "icmp", 0, true },
	[KW_ICMP6] = { "icmp6", 0, true },
	[KW_PROTO] = { "proto", 0, true },
	[KW_SPORT] = { "sport", KW(KW_TCP) | KW(KW_UDP), false },
	[KW_DPORT] = { "dport", KW(KW_TCP) | KW(KW_UDP), false },
	[KW_WINDOW] = { "window", KW(KW_TCP), false },
	[KW_FLAGS] = { "flags", KW(KW_TCP), false },
	[KW_TYPE] = { "type", KW(KW_ICMP) | KW(KW_ICMP6), false },
	[KW_CODE] = { "code", KW(KW_ICMP) | KW(KW_ICMP6), false },
	[KW_NAME] = { "name", 0, false },
	[KW_DROP] = { "drop", 0, false },
	[KW_PASS] = { "pass", 0, false },
	[KW_COUNT] = { "count", 0, false },
	[KW_LIMIT] = { "limit", 0, false },
	[KW_DRY] = { "dry", 0, false },
};
/* clang-format on */

#define KW_ACTIONS (KW(KW_DROP) | KW(KW_PASS) | KW(KW_COUNT) | KW(KW_LIMIT))
#define KW_PROTOS  (KW(KW_TCP) | KW(KW_UDP) | KW(KW_ICMP) | KW(KW_ICMP6) | KW(KW_PROTO))

/* A rule as far as it has been read */
struct rule_state {
	struct fw_rule *rule;
	struct place start;
	__u32 seen;		     /* keywords */
	__u32 seen_behind[KW_MAX];   /* of each group: those of its words that have been */
	enum keyword group;	     /* that the words before belong to */
	struct place places[KW_MAX]; /* of the last one of each */
	struct place src_len;	     /* of `per src/LEN` */
};

static const char *const flag_names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};

/* [{FLAG, ...}]; @ret_is_empty: there are braces, and nothing in them */
static bool take_flag_set(struct parser *p, __u8 *ret_flags, bool *ret_is_empty)
{
	bool ok = true;

	*ret_flags = 0;
	*ret_is_empty = false;
	if (!take(p->src, '{'))
		return true;
	if (take(p->src, '}')) {
		*ret_is_empty = true;
		return true;
	}
	do {
		struct place place = place_word(p->src), word = take_word(p->src);
		size_t i = 0;

		while (i < ARRAY_SIZE(flag_names) && !word_is(&word, flag_names[i]))
			i++;
		if (i == ARRAY_SIZE(flag_names)) {
			p->src->pos = place.pos;
			return error_expected(p, "one of cwr, ece, urg, ack, psh, rst, syn, fin");
		}
		*ret_flags |= 1 << i;
	} while (take_comma(p, &ok));
	return ok;
}

/*
 * flags [F] [mask [M]]. Without F it is empty, without M it is F: `flags` alone takes any, as it
 * always did; `flags {}` looks like "none", which it would not be, and so wants a mask.
 */
static bool take_flags(struct parser *p, struct fw_rule *rule)
{
	struct place place = place_word(p->src);
	bool is_empty, mask_is_empty = false, has_mask;
	__u8 flags, mask;

	if (!take_flag_set(p, &flags, &is_empty))
		return false;
	mask = flags;
	has_mask = take_keyword(p->src, "mask");
	if (has_mask && !take_flag_set(p, &mask, &mask_is_empty))
		return false;
	place.end = p->src->pos;
	if (mask_is_empty || (is_empty && !has_mask)) {
		error_at(p, &place,
			 "no flag is looked at, so this takes any; for packets without flags: "
			 "flags {} mask {cwr, ece, urg, ack, psh, rst, syn, fin}");
		return true;
	}
	if (flags & ~mask) {
		error_at(p, &place,
			 "this takes nothing: a flag that must be set is not in the mask");
		return true;
	}
	rule->tcp.flags = flags;
	rule->tcp.mask = mask;
	return true;
}

static bool take_frag(struct parser *p, struct fw_rule *rule)
{
	static const struct {
		const char *name;
		__u8 frags;
	} kinds[] = {
		{"first", 1 << ECBPF_FRAG_FIRST},
		{"later", 1 << ECBPF_FRAG_LATER},
		{"any", 1 << ECBPF_FRAG_FIRST | 1 << ECBPF_FRAG_LATER},
		{"no", 1 << ECBPF_FRAG_NONE | 1 << ECBPF_FRAG_ATOMIC},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (take_keyword(p->src, kinds[i].name)) {
			rule->frags = kinds[i].frags;
			return true;
		}
	return error_expected(p, "first, later, any or no");
}

/* N/s | N[pps|kpps|Mpps|Mbit/s] [burst N] [per src[/LEN]] */
static bool take_limit(struct parser *p, struct rule_state *state)
{
	static const struct {
		const char *name;
		__u64 factor;
		__u64 max;
	} units[] = {
		{"/s", 1, 1000000000},	 {"pps", 1, 1000000000},	  {"kpps", 1000, 1000000},
		{"Mpps", 1000000, 1000}, {"Mbit/s", FW_MEGABIT, 1000000},
	};
	struct fw_limit *limit = &state->rule->limit;
	struct place place = place_word(p->src), unit;
	bool bad = false;
	__u64 number;
	size_t i = 0;

	if (!take_number(p, "limit", 1, 1000000000, &number, &bad))
		return false;
	if (peek(p->src) == '/') {
		unit = place_here(p->src);
		p->src->pos++;
		peek(p->src);
		take_word(p->src);
		unit.end = p->src->pos;
	} else {
		unit = take_word(p->src);
		if (p->src->pos + 2 <= p->src->end && !memcmp(p->src->pos, "/s", 2))
			unit.end = p->src->pos += 2;
	}
	while (i < ARRAY_SIZE(units) && !word_is(&unit, units[i].name))
		i++;
	if (i == ARRAY_SIZE(units)) {
		p->src->pos = unit.pos;
		return error_expected(p, "a unit: /s or pps, kpps, Mpps (packets), Mbit/s");
	}
	place.end = p->src->pos;
	if (number > units[i].max) {
		error_at(p, &place, "limit: '%s' is more than %llu %s", quote_place(&place),
			 units[i].max, units[i].name);
		bad = true;
	}
	limit->rate = number * units[i].factor;
	limit->is_bytes = units[i].factor == FW_MEGABIT;
	limit->burst = fw_limit_burst(limit);
	if (take_keyword(p->src, "burst") &&
	    !take_number(p, "burst", 1, 4294967295, &limit->burst, &bad))
		return false;
	if (!take_keyword(p->src, "per"))
		return true;
	if (!take_keyword(p->src, "src"))
		return error_expected(p, "src or src/LEN");
	limit->src_len = 255; /* all of it, when the family is known */
	if (take(p->src, '/')) {
		state->src_len = place_word(p->src);
		if (!take_number(p, "per src", 1, 128, &number, &bad))
			return false;
		state->src_len.end = p->src->pos;
		limit->src_len = number;
	}
	return true;
}

static bool take_ip(struct parser *p, struct fw_rule *rule, __u8 family)
{
	rule->family = family;
	if (!take_keyword(p->src, "from"))
		return error_expected(p, "from");
	if (!take_addrs(p, family, false, &rule->src))
		return false;
	if (!take_keyword(p->src, "to"))
		return error_expected(p, "to");
	return take_addrs(p, family, true, &rule->dst);
}

static bool take_name(struct parser *p, struct fw_rule *rule)
{
	struct place place;

	if (!take_quoted(p, "a name in double quotes", &rule->name, &place))
		return false;
	if (!*rule->name) {
		free(rule->name);
		rule->name = NULL;
	}
	return true;
}

/* What follows a keyword */
static bool take_argument(struct parser *p, struct rule_state *state, enum keyword keyword)
{
	struct fw_rule *rule = state->rule;
	bool is_udp = state->group == KW_UDP;

	switch (keyword) {
	case KW_PACKET:
		return true;
	case KW_LENGTH:
		return take_values(p, "length", 65535, &rule->length);
	case KW_VLAN:
		return take_values(p, "vlan", 4095, &rule->vlan);
	case KW_IP:
		return take_ip(p, rule, 4);
	case KW_IP6:
		return take_ip(p, rule, 6);
	case KW_TTL:
		return take_values(p, "ttl", 255, &rule->ttl);
	case KW_FRAG:
		return take_frag(p, rule);
	case KW_OPTIONS:
		rule->options = true;
		return true;
	case KW_TCP:
		rule->protos |= FW_PROTO_TCP;
		return true;
	case KW_UDP:
		rule->protos |= FW_PROTO_UDP;
		return true;
	case KW_ICMP:
	case KW_ICMP6:
		rule->protos |= FW_PROTO_ICMP;
		return true;
	case KW_PROTO:
		rule->protos |= FW_PROTO_NUMBER;
		return take_values(p, "proto", 255, &rule->proto);
	case KW_SPORT:
		return take_values(p, "sport", 65535, is_udp ? &rule->udp.sport : &rule->tcp.sport);
	case KW_DPORT:
		return take_values(p, "dport", 65535, is_udp ? &rule->udp.dport : &rule->tcp.dport);
	case KW_WINDOW:
		return take_values(p, "window", 65535, &rule->tcp.window);
	case KW_FLAGS:
		return take_flags(p, rule);
	case KW_TYPE:
		return take_values(p, "type", 255, &rule->icmp.type);
	case KW_CODE:
		return take_values(p, "code", 255, &rule->icmp.code);
	case KW_NAME:
		return take_name(p, rule);
	case KW_DROP:
		rule->action = FW_DROP;
		return true;
	case KW_PASS:
		rule->action = FW_PASS;
		return true;
	case KW_COUNT:
		rule->action = FW_COUNT;
		return true;
	case KW_LIMIT:
		rule->action = FW_LIMIT;
		return take_limit(p, state);
	case KW_DRY:
		rule->is_dry = true;
		return true;
	case KW_NONE:
	case KW_MAX:
		break;
	}
	return false;
}

/* "tcp or udp" of bits, for messages */
static const char *name_keywords(__u32 bits, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < KW_MAX; i++)
		if (bits & KW(i))
			len += snprintf(text + len, size - len, "%s%s", len ? " or " : "",
					keywords[i].name);
	return text;
}

/* May the keyword stand here? Told if not; Return: false if the rest of the line makes no sense */
static bool check_keyword(struct parser *p, struct rule_state *state, enum keyword keyword,
			  const struct place *place)
{
	static const __u32 exclusive[] = {KW(KW_IP) | KW(KW_IP6), KW(KW_ICMP) | KW(KW_ICMP6),
					  KW_ACTIONS};
	const char *name = keywords[keyword].name;
	__u32 behind = keywords[keyword].behind, *seen = &state->seen;
	char text[64];

	if (behind) {
		if (!(behind & KW(state->group))) {
			error_at(p, place, "'%s' belongs behind %s", name,
				 name_keywords(behind, text, sizeof(text)));
			return false;
		}
		seen = &state->seen_behind[state->group];
	}
	if (*seen & KW(keyword)) {
		error_at(p, place, "'%s' stands here twice; once is allowed", name);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(exclusive); i++) {
		if (!(exclusive[i] & KW(keyword)) || !(state->seen & exclusive[i]))
			continue;
		error_at(p, place, "'%s' and '%s' in one rule: a rule has one of them",
			 name_keywords(state->seen & exclusive[i], text, sizeof(text)), name);
		return false;
	}
	if (keyword == KW_DRY && state->seen & KW_ACTIONS) {
		error_at(p, place, "'dry' stands before the action: dry %s",
			 name_keywords(state->seen & KW_ACTIONS, text, sizeof(text)));
		return false;
	}
	*seen |= KW(keyword);
	state->seen |= KW(keyword);
	state->places[keyword] = *place;
	if (keywords[keyword].is_group)
		state->group = keyword;
	return true;
}

/* Return: false if the rest of the line makes no sense, told */
static bool take_option(struct parser *p, struct rule_state *state)
{
	struct place place = place_word(p->src), word = take_word(p->src);
	enum keyword keyword = KW_NONE + 1;

	while (keyword < KW_MAX && !word_is(&word, keywords[keyword].name))
		keyword++;
	if (keyword == KW_MAX) {
		p->src->pos = place.pos;
		return error_expected(p, "an option of a rule: packet, vlan, ip, ip6, ttl, frag, "
					 "options, tcp, udp, icmp, icmp6, proto, name, drop, pass, "
					 "count, limit, dry");
	}
	return check_keyword(p, state, keyword, &word) && take_argument(p, state, keyword);
}

/* Does one of the rule's protocols take packets that have no upper-layer header? */
static bool takes_later(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_NUMBER ||
	       (rule->protos & FW_PROTO_TCP && !rule->tcp.sport.count && !rule->tcp.dport.count &&
		!rule->tcp.window.count && !rule->tcp.mask) ||
	       (rule->protos & FW_PROTO_UDP && !rule->udp.sport.count && !rule->udp.dport.count) ||
	       (rule->protos & FW_PROTO_ICMP && !rule->icmp.type.count && !rule->icmp.code.count);
}

/* `proto 6` takes what `tcp` takes: together, the latter's ports would mean nothing */
static void check_proto(struct parser *p, const struct rule_state *state)
{
	const struct fw_rule *rule = state->rule;
	static const struct {
		enum keyword keyword;
		__u8 proto;
	} protos[] = {{KW_TCP, 6}, {KW_UDP, 17}, {KW_ICMP, 1}, {KW_ICMP6, 58}};

	if (!(rule->protos & FW_PROTO_NUMBER))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (state->seen & KW(protos[i].keyword) &&
		    fw_values_have(&rule->proto, protos[i].proto))
			error_at(p, &state->places[KW_PROTO],
				 "'proto' takes %u, which is '%s' already; give one of them",
				 protos[i].proto, keywords[protos[i].keyword].name);
}

/* What only the whole rule shows */
static void check_rule(struct parser *p, const struct rule_state *state)
{
	struct fw_rule *rule = state->rule;
	__u8 max = rule->family == 4 ? 32 : 128;

	if (!rule->family)
		error_at(p, &state->start, "a rule needs ip or ip6: ip from any to any");
	if (!rule->protos)
		error_at(p, &state->start,
			 "a rule needs a protocol: tcp, udp, icmp (icmp6 with ip6), proto N");
	if (!rule->family || !rule->protos)
		return;
	if (rule->family == 4 && state->seen & KW(KW_ICMP6))
		error_at(p, &state->places[KW_ICMP6], "'icmp6' goes with ip6; with ip it is icmp");
	if (rule->family == 6 && state->seen & KW(KW_ICMP))
		error_at(p, &state->places[KW_ICMP], "'icmp' goes with ip; with ip6 it is icmp6");
	if (rule->protos & FW_PROTO_NUMBER && !rule->proto.count) {
		struct fw_range *all =
			grow(p, &rule->proto.ranges, &rule->proto.count, sizeof(*all));

		if (!all)
			return;
		*all = (struct fw_range){.first = 0, .last = 255};
	}
	check_proto(p, state);
	if (rule->frags == 1 << ECBPF_FRAG_LATER && !takes_later(rule))
		error_at(p, &state->places[KW_FRAG],
			 "this takes nothing: a later fragment has no ports, window, flags, type "
			 "or code");
	if (rule->action == FW_LIMIT && rule->limit.src_len) {
		if (rule->limit.src_len == 255)
			rule->limit.src_len = max;
		else if (rule->limit.src_len > max)
			error_at(p, &state->src_len, "per src: '%s' is not a number from 1 to %u",
				 quote_place(&state->src_len), max);
	}
}

/* All of a line; the rule is the ruleset's last one. Whether it is good is told by p->errors */
static void take_rule(struct parser *p, struct fw_rule *rule)
{
	struct rule_state state = {.rule = rule, .start = place_word(p->src)};

	rule->line = p->src->number;
	rule->frags = FW_FRAGS_ALL;
	while (peek(p->src) != '\n')
		if (!take_option(p, &state))
			return;
	check_rule(p, &state);
}

/* --- sets, assertions
 * --------------------------------------------------------------------------------- */

static int read_fd(int fd, char **ret_text, size_t *ret_size)
{
	size_t size = 0, room = 0;
	char *text = NULL;
	ssize_t len = 1;

	while (len) {
		if (size == room) {
			char *more;

			room = room ? room * 2 : 1 << 16;
			more = room > FILE_MAX ? NULL : realloc(text, room);
			if (!more) {
				free(text);
				return room > FILE_MAX ? -EFBIG : -ENOMEM;
			}
			text = more;
		}
		len = read(fd, text + size, room - size);
		if (len < 0 && errno != EINTR) {
			free(text);
			return -errno;
		}
		if (len > 0)
			size += len;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}

/* One address or prefix a line, comments, blank lines */
static bool take_set_lines(struct parser *p, struct fw_set *set)
{
	bool bad = false;

	for (; p->src->pos < p->src->end; next_line(p->src)) {
		if (peek(p->src) == '\n')
			continue;
		if (!take_prefix(p, &set->prefixes, &set->prefixes_count, &set->family, "a set",
				 &bad))
			return false;
		if (!bad && peek(p->src) != '\n')
			error_expected(p, "the end of the line: a line holds one address");
		bad = false;
	}
	return true;
}

/* PATH of a set as it is found from anywhere; the file is relative to the one that names it */
static char *set_path(const struct parser *p, const char *path)
{
	char *file = strdup(p->src->file), *full = NULL, *real = NULL;

	if (file && asprintf(&full, "%s/%s", path[0] == '/' ? "" : dirname(file), path) >= 0)
		real = realpath(full, NULL);
	free(full);
	free(file);
	return real;
}

/* file "PATH" */
static bool take_set_file(struct parser *p, struct fw_set *set)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;
	struct source src = {}, *outer = p->src;
	struct place place;
	struct stat st;
	size_t size;
	int err;

	if (!take_quoted(p, "the path of a file in double quotes", &path, &place))
		return false;
	set->path = set_path(p, path);
	/* a device or a pipe could block, or have no end */
	if (set->path)
		fd = open(set->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		error_at(p, &place, "%s: %s", path, strerror(errno));
		return true;
	}
	if (!S_ISREG(st.st_mode)) {
		error_at(p, &place, "%s: not a regular file", path);
		return true;
	}
	err = read_fd(fd, &text, &size);
	if (err) {
		error_at(p, &place, "%s: %s", path, strerror(-err));
		return true;
	}
	src = (struct source){.file = path,
			      .text = text,
			      .end = text + size,
			      .line = text,
			      .pos = text,
			      .number = 1};
	p->src = &src;
	err = take_set_lines(p, set) ? 0 : -ENOMEM;
	p->src = outer;
	/* such a path cannot be written: the set is printed with what is in it */
	if (strpbrk(set->path, "\"\n")) {
		free(set->path);
		set->path = NULL;
	}
	return !err;
}

/* { ... }, which may take several lines */
static bool take_set_list(struct parser *p, struct fw_set *set)
{
	struct place open = place_here(p->src);
	struct source *src = p->src;
	bool bad = false;

	src->pos++;
	for (;;) {
		/* between elements, a new line is as good as a comma, and does not hurt beside one
		 */
		while (peek(src) == '\n' || *src->pos == ',') {
			if (peek(src) == ',') {
				src->pos++;
			} else if (memchr(src->pos, '\n', src->end - src->pos)) {
				next_line(src);
			} else {
				src->pos = src->end;
				error_at(p, &open, "the '{' has no '}'");
				return false;
			}
		}
		if (*src->pos == '}') {
			src->pos++;
			return true;
		}
		if (*src->pos == '{' || *src->pos == '"')
			return error_expected(p, "an address");
		if (!take_prefix(p, &set->prefixes, &set->prefixes_count, &set->family, "a set",
				 &bad))
			return false;
		if (peek(src) != '\n' && *src->pos != ',' && *src->pos != '}')
			return error_expected(p, "',' or '}'");
	}
}

/* NAME [ip|ip6] { ... } | NAME [ip|ip6] file "PATH" */
static void take_set(struct parser *p)
{
	struct ecbpf_fw_ruleset *ruleset = p->ruleset;
	size_t errors = p->errors;
	struct place name = take_set_name(p);
	struct fw_set *set;
	bool ok;

	if (name.end == name.pos)
		return;
	if (fw_set_find(ruleset, name.pos, name.end - name.pos)) {
		error_at(p, &name, "there is a set '%s' already", quote_place(&name));
		errors = p->errors;
	}
	if (ruleset->sets_count == FW_SETS_MAX) {
		error_at(p, &name, "more than %d sets", FW_SETS_MAX);
		return;
	}
	set = grow(p, &ruleset->sets, &ruleset->sets_count, sizeof(*set));
	if (!set)
		return;
	memcpy(set->name, name.pos, name.end - name.pos);
	if (take_keyword(p->src, "ip"))
		set->family = 4;
	else if (take_keyword(p->src, "ip6"))
		set->family = 6;
	if (take_keyword(p->src, "file"))
		ok = take_set_file(p, set);
	else if (peek(p->src) == '{')
		ok = take_set_list(p, set);
	else
		ok = error_expected(p, "ip, ip6, '{' or file");
	if (!ok)
		return;
	if (peek(p->src) != '\n')
		error_expected(p, "the end of the line");
	if (p->errors > errors)
		return;
	if (!set->family)
		error_at(p, &name, "an empty set needs its family: set %s ip { }",
			 quote_place(&name));
	set->prefixes_count = fw_prefixes_sort(set->prefixes, set->prefixes_count);
	if (set->prefixes_count > FW_SET_PREFIXES_MAX)
		error_at(p, &name, "the set '%s' has %zu prefixes; %d are allowed",
			 quote_place(&name), set->prefixes_count, FW_SET_PREFIXES_MAX);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* sha1 HEX xdp_action ACTION */
static bool take_assertion(struct parser *p, struct ecbpf_fw_assertion *assertion)
{
	static const struct {
		const char *name;
		__u32 action;
	} actions[] = {
		{"XDP_PASS", XDP_PASS}, {"XDP_DROP", XDP_DROP}, {"XDP_ABORTED", XDP_ABORTED}};
	struct place place;

	assertion->line = p->src->number;
	if (!take_keyword(p->src, "sha1"))
		return error_expected(p, "sha1");
	place = place_word(p->src);
	for (int i = 0; i < 40; i++) {
		int digit = place.pos + i < place.end ? hex_digit(place.pos[i]) : -1;

		if (digit < 0 || place.end - place.pos != 40)
			return error_expected(p, "a SHA-1 sum, 40 hexadecimal digits");
		assertion->sha1[i / 2] |= digit << (i % 2 ? 0 : 4);
	}
	p->src->pos = place.end;
	if (!take_keyword(p->src, "xdp_action"))
		return error_expected(p, "xdp_action");
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!take_keyword(p->src, actions[i].name))
			continue;
		assertion->action = actions[i].action;
		return peek(p->src) == '\n' || error_expected(p, "the end of the line");
	}
	return error_expected(p, "XDP_PASS, XDP_DROP or XDP_ABORTED");
}

/* --- files
 * ---------------------------------------------------------------------------------------------- */

/* Find the sets that rules name. @rule: the one to complete, for a rule alone */
static void resolve(struct parser *p, const struct ecbpf_fw_ruleset *sets, struct fw_rule *rule)
{
	bool used[FW_SETS_MAX][2] = {};
	size_t uses = 0;

	for (size_t i = 0; i < p->references_count; i++) {
		const struct reference *r = &p->references[i];
		struct fw_set *set = fw_set_find(sets, r->place.pos, r->place.end - r->place.pos);
		struct fw_rule *its_rule = rule ? rule : &p->ruleset->rules[r->rule];

		if (!set) {
			error_at(p, &r->place, "there is no set '%s'", quote_place(&r->place));
			continue;
		}
		if (set->family && set->family != r->family)
			error_at(p, &r->place, "the set '%s' holds addresses of %s in a rule of %s",
				 quote_place(&r->place), family_name(set->family),
				 family_name(r->family));
		*(r->is_dst ? &its_rule->dst.set : &its_rule->src.set) = set - sets->sets;
		if (used[set - sets->sets][r->is_dst])
			continue;
		used[set - sets->sets][r->is_dst] = true;
		if (uses++ == ECBPF_FW_USES_MAX)
			error_at(p, &r->place,
				 "more than %d sets are looked up; one as source and as "
				 "destination counts twice",
				 ECBPF_FW_USES_MAX);
	}
}

static void take_line(struct parser *p)
{
	struct ecbpf_fw_ruleset *ruleset = p->ruleset;

	if (take_keyword(p->src, "set")) {
		take_set(p);
	} else if (take_keyword(p->src, "test")) {
		struct ecbpf_fw_assertion *assertion = grow(
			p, &ruleset->assertions, &ruleset->assertions_count, sizeof(*assertion));

		if (assertion)
			take_assertion(p, assertion);
	} else if (ruleset->rules_count == FW_RULES_MAX) {
		struct place place = place_word(p->src);

		error_at(p, &place, "more than %d rules", FW_RULES_MAX);
		p->src->end = p->src->pos;
	} else {
		struct fw_rule rule = {}, *last;

		take_rule(p, &rule);
		last = grow(p, &ruleset->rules, &ruleset->rules_count, sizeof(rule));
		if (last)
			*last = rule;
		else
			fw_rule_free(&rule);
	}
}

/* The result of a run, told if it is bad */
static int finish(struct parser *p)
{
	free(p->references);
	if (p->no_memory)
		return ecbpf_fail(p->e, -ENOMEM, "out of memory");
	if (p->errors)
		detail(p, "%zu error%s\n", p->errors, p->errors == 1 ? "" : "s");
	return p->errors ? -EINVAL : 0;
}

int ecbpf_fw_parse(struct ecbpf *e, const char *file, const char *text, size_t size,
		   struct ecbpf_fw_ruleset **ret_ruleset)
{
	struct source src = {.file = strcmp(file, "-") ? file : "stdin",
			     .text = text,
			     .end = text + size,
			     .line = text,
			     .pos = text,
			     .number = 1};
	struct parser p = {.e = e, .src = &src, .ruleset = calloc(1, sizeof(*p.ruleset))};
	int err;

	p.no_memory = !p.ruleset;
	for (; !p.no_memory && src.pos < src.end; next_line(&src))
		if (peek(&src) != '\n')
			take_line(&p);
	if (!p.no_memory)
		resolve(&p, p.ruleset, NULL);
	err = finish(&p);
	if (err) {
		ecbpf_fw_ruleset_free(p.ruleset);
		return err;
	}
	*ret_ruleset = p.ruleset;
	return 0;
}

int ecbpf_fw_read(struct ecbpf *e, const char *file, struct ecbpf_fw_ruleset **ret_ruleset)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t size = 0;
	int err;

	e->detail[0] = '\0';
	fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	if (fd < 0)
		return ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno));
	err = read_fd(fd, &text, &size);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", file, strerror(-err));
	return ecbpf_fw_parse(e, file, text, size, ret_ruleset);
}

int fw_rule_parse(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *text,
		  struct fw_rule *ret_rule)
{
	struct source src = {.file = "rule",
			     .text = text,
			     .end = text + strlen(text),
			     .line = text,
			     .pos = text,
			     .number = 1};
	struct ecbpf_fw_ruleset none = {};
	struct parser p = {.e = e, .src = &src, .ruleset = &none};
	struct fw_rule rule = {};
	int err;

	take_rule(&p, &rule);
	/* the end of the line need not be that of the text: a comment, and more lines */
	while (!p.errors && src.pos < src.end) {
		next_line(&src);
		if (peek(&src) != '\n')
			error_expected(&p, "part of a rule, which is one line");
	}
	rule.line = 0;
	resolve(&p, ruleset, &rule);
	err = finish(&p);
	if (err) {
		fw_rule_free(&rule);
		return err;
	}
	*ret_rule = rule;
	return 0;
}
