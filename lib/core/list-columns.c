// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands behind an address in a line of a list: its tag, and its expiry.
 */
#include <ctype.h>
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

/*
 * "203.0.113.2O", "203.0.113.20-203.0.113.3O", "2001:db8:0:0:0:0:0:O", "0xffffff00": of the parts
 * of an address, one is wrong. A name such as 4.3.2.1.in-addr.arpa has more of them
 */
static bool is_addr_mistyped(const char *pos, const char *end)
{
	char separator = memchr(pos, '.', end - pos) ? '.' : ':';
	unsigned int parts = 0, good = 0, hex = 0;

	if (end - pos == 10 && pos[0] == '0' && (pos[1] == 'x' || pos[1] == 'X')) {
		while (hex < 8 && isxdigit((unsigned char)pos[2 + hex]))
			hex++;
		return hex == 8;
	}
	for (const char *first = pos, *c = pos; c <= end; c++) {
		if (c < end && *c != separator)
			continue;
		good += first < c &&
			(separator == '.' ? is_digit(*first)
					  : isxdigit((unsigned char)*first) && c - first <= 4);
		parts++;
		first = c + 1;
	}
	return parts >= 4 && good >= 3 && parts - good <= 1;
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

/* "2027-01-31", alone or with a time. Return: 0: neither */
static time_t read_date(const char *pos, const char *end)
{
	static const char pattern[] = "dddd-dd-dd";
	struct tm tm = {};
	char text[32];

	if (!copy_word(pos, end, text, sizeof(text)))
		return 0;
	for (size_t i = 0; pattern[i]; i++)
		if (pattern[i] == 'd' ? !is_digit(text[i]) : text[i] != pattern[i])
			return 0;
	if ((text[10] && text[10] != 'T') || !strptime(text, "%Y-%m-%d", &tm))
		return 0;
	return timegm(&tm);
}

/* "2h", "1h30m", a date to come: nobody means a tag. A past date may be another's column */
static bool is_expiry_like(const char *pos, const char *end)
{
	const char *c = pos;

	if (read_date(pos, end) > time(NULL))
		return true;
	while (c < end) {
		const char *digits = c;

		while (c < end && is_digit(*c))
			c++;
		if (c == digits || c == end || !*c || !strchr("smhdw", *c))
			return false;
		c++;
	}
	return c > pos;
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

/* A column of the two that are looked at */
struct column {
	const char *pos;
	const char *end;
	bool is_separated; /* by ',' or '|' */
	bool is_spaced;	   /* by spaces; a table has tabs */
	bool is_alone;	   /* no other word of the column follows */
};

/* What is not there is empty. @pos: behind it afterwards */
static struct column take_column(const char **pos, const char *end)
{
	struct column column = {};
	const char *gap = *pos, *next;

	*pos = list_skip_blanks(*pos, end);
	column.is_separated = *pos < end && is_separator(**pos);
	if (column.is_separated)
		*pos = list_skip_blanks(*pos + 1, end);
	column.is_spaced = !column.is_separated && !memchr(gap, '\t', *pos - gap);
	column.pos = column.end = *pos;
	if (*pos < end)
		take_word(pos, end, &column.pos, &column.end);
	next = list_skip_blanks(*pos, end);
	column.is_alone = next == end || is_separator(*next);
	return column;
}

static bool column_error(struct list_reader *r, const struct column *column, const char *what)
{
	return list_error(r, column->pos, column->end, "'%s' %s",
			  ecbpf_quote(column->pos, column->end - column->pos), what);
}

static bool is_expiry_column(const struct column *column)
{
	return is_expiry_like(column->pos, column->end);
}

/* Does the form say how many addresses it is? */
static bool has_len(const struct list_form *form)
{
	for (const char *c = form->pos; c < form->end; c++)
		if (*c == '/' || list_is_blank(*c))
			return true;
	return form->is_range;
}

/* "24", "-24" behind an address: a length, the end of a range, or a count of others */
static bool check_number(struct list_reader *r, const struct list_form *form,
			 const struct column *number, const struct column *next)
{
	unsigned int bits = ecbpf_addr_bits(form->first.family);
	char text[8] = "";

	if (is_expiry_column(next) && next->is_alone)
		return column_error(r, next,
				    "is an expiry behind a number: it stands behind a "
				    "tag, or - for none");
	if (!number->is_spaced || has_len(form))
		return true;
	if (next->is_separated && next->pos == number->end + 1 && is_number(next->pos, next->end))
		return column_error(r, number,
				    "is neither an address nor a column: with a comma "
				    "behind it, a column has one before it, too");
	if (!copy_word(number->pos, number->end, text, sizeof(text)) || strchr(text, '.') ||
	    text[0] == '+' || strtoul(text + (text[0] == '-'), NULL, 10) > bits)
		return true;
	return column_error(r, number,
			    "may be a prefix length, the end of a range or a count: "
			    "write ADDR/LEN or FIRST-LAST, or a tab or ',' before it");
}

static bool check_tag(struct list_reader *r, const struct column *tag, const struct column *next)
{
	/* as lists are printed: then the tag is one */
	bool is_clear = !next->is_separated && ((next->end - next->pos == 1 && *next->pos == '-') ||
						list_expiry_absolute(next->pos, next->end));

	if ((!tag->is_separated && is_addr_broken(tag->pos, tag->end)) ||
	    (!is_clear && is_addr_mistyped(tag->pos, tag->end)))
		return column_error(r, tag,
				    "is not an address, such as 192.0.2.1 or 2001:db8::1, "
				    "and looks too much like one to be a tag");
	if (!is_clear && is_expiry_column(tag))
		return column_error(r, tag,
				    "is an expiry in place of the tag: it stands behind a "
				    "tag, or - for none, and a blank");
	return true;
}

/* "thru 192.0.2.9", "bis 192.0.2.9", "netmask 255.255.255.0": whatever the word is */
static bool is_addr(const char *pos, const char *end)
{
	struct ecbpf_prefix prefix;
	bool has_host_bits;

	return is_addr_mistyped(pos, end) ||
	       !ecbpf_prefix_read(pos, end - pos, &prefix, &has_host_bits);
}

static bool take_second(struct list_reader *r, const struct column *tag,
			const struct column *second, struct list_columns *columns)
{
	if (tag->is_separated || second->is_separated)
		return !is_expiry_column(second) || !second->is_alone ||
		       column_error(r, second,
				    "is an expiry in a column of others: it stands "
				    "behind ADDR TAG, and blanks");
	if (is_addr(second->pos, second->end))
		return column_error(r, second,
				    "is another address: a range is FIRST-LAST, a "
				    "netmask ADDR/MASK");
	if ((is_number(second->pos, second->end) && second->is_spaced && second->is_alone) ||
	    (is_expiry_column(second) && !list_expiry_relative(second->pos, second->end) &&
	     !list_expiry_absolute(second->pos, second->end)))
		return column_error(r, second, "is not " LIST_EXPIRY_WANTED);
	return take_expiry(r, second->pos, second->end, columns);
}

bool list_take_columns(struct list_reader *r, const char *pos, const char *end,
		       const struct list_form *form, struct list_columns *columns)
{
	struct column tag = take_column(&pos, end);
	struct column second = take_column(&pos, end);

	if (list_is_addr_like(tag.pos, tag.end))
		return column_error(r, &tag,
				    "is another address: a line holds one address, prefix "
				    "or range");
	if (is_number(tag.pos, tag.end))
		return check_number(r, form, &tag, &second);
	if (!check_tag(r, &tag, &second))
		return false;
	list_set_tag(r, tag.pos, tag.end, columns);
	return take_second(r, &tag, &second, columns);
}
