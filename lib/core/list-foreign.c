// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lines of lists in formats of their own: JSON of Spamhaus, P2P.
 */
#include <string.h>
#include <json-c/json.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/list.h"
#include "core/prefix.h"

/* --- {"cidr":"192.0.2.0/24", ...} --------------------------------------------------------------
 */

/* NULL: none. @ret_len: it may hold zero bytes */
static const char *json_text(struct json_object *json, const char *key, size_t *ret_len)
{
	struct json_object *value;

	if (!json_object_object_get_ex(json, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	*ret_len = json_object_get_string_len(value);
	return json_object_get_string(value);
}

/* Of two values, json-c has the last one */
static bool has_twice(const char *pos, const char *end, const char *key)
{
	const char *found = memmem(pos, end - pos, key, strlen(key));

	return found && memmem(found + 1, end - found - 1, key, strlen(key));
}

static bool json_take(struct list_reader *r, const char *pos, const char *end,
		      struct json_object *json)
{
	size_t cidr_len = 0, type_len = 0, id_len = 0;
	const char *cidr = json_text(json, "cidr", &cidr_len);
	const char *type = json_text(json, "type", &type_len);
	const char *id = json_text(json, "sblid", &id_len), *wrong;
	struct list_columns columns = {};
	struct list_form form = {.pos = pos, .end = end};

	if (!cidr && type && !strcmp(type, "metadata"))
		return true;
	if (!cidr)
		return list_error(r, pos, end, "JSON without a text \"cidr\"");
	if (has_twice(pos, end, "\"cidr\""))
		return list_error(r, pos, end, "JSON with two \"cidr\"");
	wrong = ecbpf_prefix_read(cidr, cidr_len, &form.first, &form.has_host_bits);
	if (wrong)
		return list_error(r, pos, end, "'%s' %s", ecbpf_quote(cidr, cidr_len), wrong);
	if (id)
		list_set_tag(r, id, id + id_len, &columns);
	return list_add(r, &form, &columns);
}

/* To json-c, what is only too short is no error */
static const char *json_problem(struct json_tokener *tokener)
{
	enum json_tokener_error error = json_tokener_get_error(tokener);

	return error == json_tokener_continue ? "it ends within an object"
					      : json_tokener_error_desc(error);
}

bool list_take_json(struct list_reader *r, const char *pos, const char *end)
{
	struct json_tokener *tokener;
	struct json_object *json;

	if (*pos != '{')
		return false;
	tokener = json_tokener_new();
	if (!tokener) {
		r->err = ecbpf_fail_memory(r->e);
		return true;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	json = json_tokener_parse_ex(tokener, pos, end - pos);
	if (!json || !json_object_is_type(json, json_type_object) ||
	    json_tokener_get_parse_end(tokener) != (size_t)(end - pos))
		list_error_add(r, pos + json_tokener_get_parse_end(tokener), end,
			       "this line is neither JSON, nor the beginning of a set: %s",
			       json_problem(tokener));
	else
		json_take(r, pos, end, json);
	json_object_put(json);
	json_tokener_free(tokener);
	return true;
}

/* --- name:192.0.2.0-192.0.2.255 ----------------------------------------------------------------
 */

/* Could the name be the beginning of an address? Then the line is none of P2P */
static bool is_addr_part(const char *pos, const char *end)
{
	bool has_mark = false;

	for (const char *c = pos; c < end; c++) {
		if (!*c || !strchr("0123456789abcdefABCDEF.:", *c))
			return false;
		has_mark |= *c == '.' || *c == ':';
	}
	return has_mark || pos == end;
}

/* "1.2.3.4 Corp:5.6.7.8-5.6.7.9" could be an address with a tag. Does the name begin so? */
static bool begins_with_addr(const char *pos, const char *end)
{
	const char *word_end = pos;

	while (word_end < end && !list_is_blank(*word_end) && *word_end != ',' && *word_end != '|')
		word_end++;
	return list_is_addr_like(pos, word_end);
}

bool list_take_p2p(struct list_reader *r, const char *pos, const char *end)
{
	const char *colon = memrchr(pos, ':', end - pos), *first, *dash = NULL;
	struct list_columns columns = {};
	struct list_form form = {};

	if (!colon || is_addr_part(pos, colon))
		return false;
	first = list_skip_blanks(colon + 1, end);
	for (const char *c = first; c < end; c++) {
		if (!strchr("0123456789.- \t", *c))
			return false;
		if (*c == '-' && !dash)
			dash = c;
	}
	/* the end of an IPv6 range has no dots */
	if (!dash || !memchr(first, '.', dash - first) || !memchr(dash, '.', end - dash))
		return false;
	if (begins_with_addr(pos, colon)) {
		list_error_add(r, pos, end,
			       "an address with a tag, or P2P's NAME:FIRST-LAST: which is "
			       "meant?");
		return true;
	}
	list_set_tag(r, pos, colon, &columns);
	if (list_take_range(r, first, dash, end, &form))
		list_add(r, &form, &columns);
	return true;
}
