// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands behind an address in a line of a list: its tag, and its expiry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool list_is_addr_like(const char *pos, const char *end)
{
	unsigned int dots = 0, colons = 0, slashes = 0;

	for (const char *c = pos; c < end; c++) {
		if (!is_digit(*c) && (!*c || !strchr("abcdefABCDEFxX.:/*%[]-", *c)))
			return false;
		dots += *c == '.';
		colons += *c == ':';
		slashes += *c == '/';
	}
	return dots >= 3 || colons >= 2 || slashes;
}

/* --- tag -------------------------------------------------------------------------------------- */

/* A count, a score, an AS: no tag */
static bool is_number(const char *pos, const char *end)
{
	if (pos < end && (*pos == '-' || *pos == '+') && end - pos > 1)
		pos++;
	if (pos == end || !is_digit(*pos))
		return false;
	while (pos < end && is_digit(*pos))
		pos++;
	if (pos < end && *pos == '.')
		pos++;
	while (pos < end && is_digit(*pos))
		pos++;
	return pos == end;
}

/* "255.255.255", "2001:db8::zz": behind a blank it was to be a netmask or the end of a range */
static bool is_addr_broken(const char *pos, const char *end)
{
	unsigned int dots = 0, others = 0;

	for (const char *c = pos; c < end; c++) {
		if (*c == ':' && c + 1 < end && c[1] == ':')
			return true;
		dots += *c == '.';
		others += *c != '.' && !is_digit(*c);
	}
	return dots >= 2 && !others && end - pos > dots;
}

/* "NAME:FIRST-LAST" of P2P, with an address before it */
static bool is_range_behind_colon(const char *pos, const char *end)
{
	const char *colon = memrchr(pos, ':', end - pos);
	bool has_dash = false;

	if (!colon)
		return false;
	for (const char *c = colon + 1; c < end; c++) {
		if (!is_digit(*c) && *c != '.' && *c != '-')
			return false;
		has_dash |= *c == '-';
	}
	return has_dash;
}

static bool is_tag_char(char c)
{
	return c > ' ' && c <= '~' && !strchr("#;,|'\"", c);
}

bool list_is_tag(const char *pos, const char *end)
{
	for (const char *c = pos; c < end; c++)
		if (!is_tag_char(*c))
			return false;
	return pos < end && (end - pos < 2 || memcmp(pos, "//", 2)) && !is_number(pos, end) &&
	       !list_is_addr_like(pos, end) && !is_addr_broken(pos, end) &&
	       !is_range_behind_colon(pos, end);
}

/* "203.0.113.80" becomes "_203.0.113.80", and "a::b" "_a__b" */
static void mark_tag(char *tag)
{
	memmove(tag + 1, tag, ECBPF_LIST_TAG_MAX - 1);
	tag[0] = '_';
	tag[ECBPF_LIST_TAG_MAX] = '\0';
	for (char *c = tag; *c; c++)
		if (*c == ':')
			*c = '_';
}

void list_set_tag(struct list_reader *r, const char *pos, const char *end,
		  struct list_columns *columns)
{
	size_t len = end - pos;
	bool is_changed = len > ECBPF_LIST_TAG_MAX;

	if (is_changed)
		len = ECBPF_LIST_TAG_MAX;
	for (size_t i = 0; i < len; i++) {
		columns->tag[i] = is_tag_char(pos[i]) ? pos[i] : '_';
		is_changed |= !is_tag_char(pos[i]);
	}
	columns->tag[len] = '\0';
	if (!strcmp(columns->tag, "-"))
		columns->tag[0] = '\0';
	if (*columns->tag && !list_is_tag(columns->tag, columns->tag + len)) {
		mark_tag(columns->tag);
		is_changed = true;
	}
	r->tags_cut += is_changed;
}

/* --- expiry ----------------------------------------------------------------------------------- */

/* For C's functions. Return: false: it is longer than all that is allowed */
static bool copy_word(const char *pos, const char *end, char *ret, size_t size)
{
	if ((size_t)(end - pos) >= size)
		return false;
	memcpy(ret, pos, end - pos);
	ret[end - pos] = '\0';
	return true;
}

/* "2027-01-31T23:59:59Z" and no other digits: strptime() takes less */
__u64 list_expiry_absolute(const char *pos, const char *end)
{
	static const char pattern[] = "dddd-dd-ddTdd:dd:ddZ";
	struct tm tm = {}, same;
	time_t until;
	char text[32];

	if (!copy_word(pos, end, text, sizeof(text)) || strlen(text) != sizeof(pattern) - 1)
		return 0;
	for (size_t i = 0; pattern[i]; i++)
		if (pattern[i] == 'd' ? !is_digit(text[i]) : text[i] != pattern[i])
			return 0;
	if (!strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return 0;
	same = tm;
	until = timegm(&same); /* corrects 31 February to March */
	if (until <= 0 || same.tm_mday != tm.tm_mday ||
	    (__u64)until >= (__u64)time(NULL) + LIST_EXPIRY_MAX)
		return 0;
	return until;
}

__u64 list_expiry_relative(const char *pos, const char *end)
{
	static const struct {
		char letter;
		unsigned int seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	unsigned long long number;
	char text[32], *unit;

	if (!copy_word(pos, end, text, sizeof(text)) || !is_digit(text[0]))
		return 0;
	errno = 0;
	number = strtoull(text, &unit, 10);
	if (errno || !number || number > LIST_EXPIRY_MAX || !*unit || unit[1])
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].letter == *unit && number <= LIST_EXPIRY_MAX / units[i].seconds)
			/* it has not ended before that time, in the second that has begun */
			return time(NULL) + 1 + number * units[i].seconds;
	return 0;
}

static bool set_expiry(struct list_reader *r, const char *pos, const char *end, __u64 expires,
		       struct list_columns *columns)
{
	columns->expires = expires;
	columns->is_expired = expires <= (__u64)time(NULL);
	if (!columns->is_expired && !(r->flags & ECBPF_LIST_EXPIRES))
		return list_error(r, pos, end,
				  "'%s' is an expiry, but entries of this list do not expire",
				  ecbpf_quote(pos, end - pos));
	return true;
}

bool list_set_timeout(struct list_reader *r, const char *pos, const char *end, __u64 seconds,
		      struct list_columns *columns)
{
	if (r->flags & ECBPF_LIST_ABSOLUTE && seconds)
		return list_error(r, pos, end,
				  "'%s' is a time from now; this file is read again and again, "
				  "write " LIST_EXPIRY_ALLOWED,
				  ecbpf_quote(pos, end - pos));
	if (seconds > LIST_EXPIRY_MAX)
		return list_error(r, pos, end, "'%s' is more than 100 years",
				  ecbpf_quote(pos, end - pos));
	return !seconds || set_expiry(r, pos, end, time(NULL) + seconds, columns);
}

/* "7d", "2027-01-31T...": somebody meant a time. Of others' columns, most look different */
static bool is_time_like(const char *pos, const char *end)
{
	const char *c = pos;

	if (c < end && *c == '-')
		c++;
	while (c < end && is_digit(*c))
		c++;
	if (c - pos == 4 && end - c >= 7 && c[0] == '-' && c[3] == '-' && c[6] == 'T')
		return true;
	if (c == pos || c == end || !is_digit(c[-1]))
		return false;
	if (is_letter(*c) && c + 1 < end && is_digit(c[1]) && is_letter(end[-1])) /* "1h30m" */
		while (c < end && (is_digit(*c) || strchr("smhdw", *c)))
			c++;
	while (c < end && is_letter(*c))
		c++;
	return c == end;
}

static bool take_expiry(struct list_reader *r, const char *pos, const char *end,
			struct list_columns *columns)
{
	__u64 relative, absolute;

	if (!is_time_like(pos, end))
		return true;
	relative = list_expiry_relative(pos, end);
	absolute = list_expiry_absolute(pos, end);
	if (relative)
		return list_set_timeout(r, pos, end, relative - time(NULL), columns);
	if (absolute)
		return set_expiry(r, pos, end, absolute, columns);
	return list_error(r, pos, end, "'%s' is not " LIST_EXPIRY_WANTED,
			  ecbpf_quote(pos, end - pos));
}

/* --- columns ---------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
	return c == ',' || c == '|';
}

/* A word of a column; of a quoted one, the first in it. @pos: behind the column afterwards */
static void take_word(const char **pos, const char *end, const char **ret_word,
		      const char **ret_word_end)
{
	const char *at = *pos, *close;

	if (*at == '"' && (close = memchr(at + 1, '"', end - at - 1))) {
		*ret_word = list_skip_blanks(at + 1, close);
		at = *ret_word;
		while (at < close && !list_is_blank(*at))
			at++;
		*ret_word_end = at;
		*pos = close + 1;
		return;
	}
	*ret_word = at;
	while (at < end && !list_is_blank(*at) && !is_separator(*at))
		at++;
	*ret_word_end = at;
	*pos = at;
}

/* "--", ".." or "to" between two addresses */
static bool is_range_sign(const char *pos, const char *end)
{
	if (end - pos == 2 && !strncasecmp(pos, "to", 2))
		return true;
	while (pos < end && !is_digit(*pos) && !is_letter(*pos))
		pos++;
	return pos == end;
}

bool list_take_columns(struct list_reader *r, const char *pos, const char *end,
		       struct list_columns *columns)
{
	const char *word, *word_end;
	bool has_separator, is_range;

	pos = list_skip_blanks(pos, end);
	has_separator = pos < end && is_separator(*pos);
	if (has_separator)
		pos = list_skip_blanks(pos + 1, end);
	if (pos == end)
		return true;
	take_word(&pos, end, &word, &word_end);
	if (list_is_addr_like(word, word_end))
		return list_error(r, word, word_end,
				  "'%s' is another address: a line holds one address, prefix or "
				  "range",
				  ecbpf_quote(word, word_end - word));
	if (is_number(word, word_end))
		return true;
	if (!has_separator && is_addr_broken(word, word_end))
		return list_error(r, word, word_end,
				  "'%s' is not an address, such as 192.0.2.1 or 2001:db8::1",
				  ecbpf_quote(word, word_end - word));
	list_set_tag(r, word, word_end, columns);
	is_range = is_range_sign(word, word_end);
	pos = list_skip_blanks(pos, end);
	if (has_separator || pos == end || is_separator(*pos))
		return true;
	take_word(&pos, end, &word, &word_end);
	if (is_range && list_is_addr_like(word, word_end))
		return list_error(r, word, word_end,
				  "'%s' is another address: a range is FIRST-LAST",
				  ecbpf_quote(word, word_end - word));
	return take_expiry(r, word, word_end, columns);
}
