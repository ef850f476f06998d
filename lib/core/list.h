/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files of the list reader share.
 */
#ifndef ECBPF_CORE_LIST_H
#define ECBPF_CORE_LIST_H

#include <string.h>
#include <ecbpf/libecbpf-list.h>
#include "core/diagnostic.h"
#include "core/host_bits.h"

/**
 * struct list_reader - a file while it is read
 * @span: the line; its pos and end are not used
 * @is_word: it is an operand, which has no columns
 * @is_bad: an error was found in the line
 * @has_errors: and in any line
 * @d: errors, unless lines are skipped, or it is an operand
 * @tags_cut: tags that were too long, or had characters that are not allowed
 * @set_name: of the set that ipset or nft has printed; more than one is refused
 * @is_set_refused: and what is added to it, too
 * @has_set_timeout: its elements expire, also those that do not say when
 * @set_depth: of braces, in an nft set
 * @set_open: the last '{'
 */
struct list_reader {
	struct ecbpf *e;
	__u8 family;
	unsigned int flags;
	struct ecbpf_span span;
	bool is_word;
	bool is_bad;
	bool has_errors;
	struct ecbpf_diagnostics *d;
	struct ecbpf_list list;
	struct host_bits host_bits;
	size_t tags_cut;
	const char *set_name;
	size_t set_name_len;
	bool is_set_refused;
	bool has_set_timeout;
	int set_depth;
	bool is_in_elements;
	struct ecbpf_span set_open;
	int err; /* no memory, or too many */
};

/* What stands behind an address */
struct list_columns {
	char tag[ECBPF_LIST_TAG_MAX + 1];
	__u64 expires;
	bool is_expired;
};

/* An address, a prefix or a range */
struct list_form {
	struct ecbpf_prefix first;
	struct ecbpf_prefix last;
	bool is_range;
	bool has_host_bits;
	const char *pos; /* as written */
	const char *end;
};

static inline bool list_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What ends an address or a column */
static inline bool list_is_end(char c)
{
	return list_is_blank(c) || c == ',' || c == '|';
}

static inline const char *list_skip_blanks(const char *pos, const char *end)
{
	while (pos < end && list_is_blank(*pos))
		pos++;
	return pos;
}

/* --- list.c --------------------------------------------------------------------------------- */

/* As ecbpf_list_parse(), of a text whose errors are those of another one, too */
int ecbpf_list_diagnose(struct ecbpf_diagnostics *d, const char *name, const char *text,
			size_t size, __u8 family, unsigned int flags, struct ecbpf_list *ret_list);
/* As ecbpf_list_read(), of a file that is open; it stays open. @name: for messages */
int ecbpf_list_read_fd(struct ecbpf *e, const char *name, int fd, __u8 family, unsigned int flags,
		       struct ecbpf_list *ret_list);

/* --- list-entry.c: entries and errors ------------------------------------------------------- */

void list_error_add(struct list_reader *r, const char *pos, const char *end, const char *format,
		    ...) __attribute__((format(printf, 4, 5)));

/* As list_error_add(); false, also to those who read one file alone, such as analyzers */
#define list_error(...) (list_error_add(__VA_ARGS__), false)

bool list_add(struct list_reader *r, const struct list_form *form,
	      const struct list_columns *columns);

/* --- list-form.c: an address, a prefix or a range -------------------------------------------- */

/* These return false when they have told an error */

/* @pos: at the form; behind it afterwards */
bool list_take_form(struct list_reader *r, const char **pos, const char *end,
		    struct list_form *ret_form);
/* FIRST-LAST, @dash between them */
bool list_take_range(struct list_reader *r, const char *pos, const char *dash, const char *end,
		     struct list_form *ret_form);

/* --- list-columns.c: what stands behind an address ------------------------------------------ */

/* Could somebody have meant an address, a prefix, a length? */
bool list_is_addr_like(const char *pos, const char *end);
/* Behind an address, would it be read as the tag that it is? */
bool list_is_tag(const char *pos, const char *end);
/* What could not be is changed until it could: '_' in place of characters, or in front */
void list_set_tag(struct list_reader *r, const char *pos, const char *end,
		  struct list_columns *columns);
/* @seconds: from now; 0: never */
bool list_set_timeout(struct list_reader *r, const char *pos, const char *end, __u64 seconds,
		      struct list_columns *columns);
/* @form: what is before them */
bool list_take_columns(struct list_reader *r, const char *pos, const char *end,
		       const struct list_form *form, struct list_columns *columns);

/* "90s", "10m", "2h", "7d", "4w" from now, or "2027-01-31T23:59:59Z". Return: seconds since 1970;
 * 0: neither
 */
__u64 list_expiry_relative(const char *pos, const char *end);
__u64 list_expiry_absolute(const char *pos, const char *end);

#define LIST_EXPIRY_MAX	    (100ULL * 366 * 24 * 3600) /* from now on, seconds */
#define LIST_EXPIRY_ALLOWED "2027-01-31T23:59:59Z"
#define LIST_EXPIRY_WANTED \
	"90s, 10m, 2h, 7d, 4w or " LIST_EXPIRY_ALLOWED ", at most 100 years from now"

/* --- list-foreign.c: what other programs export --------------------------------------------- */

/* Return: it is such a line, and was taken or refused */
bool list_take_json(struct list_reader *r, const char *pos, const char *end);
bool list_take_p2p(struct list_reader *r, const char *pos, const char *end);

/* --- list-set.c: sets that ipset and nft print ---------------------------------------------- */

bool list_take_ipset(struct list_reader *r, const char *pos, const char *end);
bool list_take_nft(struct list_reader *r, const char *pos, const char *end);

/* --- list-line.c: a line, in any of these formats -------------------------------------------- */

bool list_take_line(struct list_reader *r, const char *pos, const char *end);

#endif /* ECBPF_CORE_LIST_H */
