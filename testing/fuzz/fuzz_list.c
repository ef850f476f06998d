// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libFuzzer target: a list of any text is refused with a message, or taken; what was taken is read
 * again from what is printed of it; with bad lines skipped, nothing else is taken than without.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"

/* What the reader needs of the rest of the library */
void ecbpf_log(struct ecbpf *e, enum ecbpf_log_level level, const char *format, ...)
{
	static char line[4096];
	va_list args;

	(void)level;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	e->held++;
}

static bool is_same(const struct ecbpf_list *a, const struct ecbpf_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (ecbpf_prefix_compare(&a->entries[i].prefix, &b->entries[i].prefix) ||
		    strcmp(a->entries[i].tag, b->entries[i].tag))
			return false;
	return true;
}

/* What is printed, in the columns of ecbpf-filter, is what was meant; no prefix has host bits */
static void check_print(struct ecbpf *e, const struct ecbpf_list *list)
{
	char *text = malloc(list->count * (ECBPF_PREFIX_TEXT + ECBPF_LIST_TAG_MAX + 4) + 1);
	struct ecbpf_list again;
	size_t len = 0;

	CHECK(text);
	for (size_t i = 0; i < list->count; i++) {
		struct ecbpf_prefix prefix = list->entries[i].prefix;
		const char *tag = list->entries[i].tag;
		char prefix_text[ECBPF_PREFIX_TEXT];

		CHECK(prefix.family == 4 || prefix.family == 6);
		CHECK(prefix.len <= ecbpf_addr_bits(prefix.family));
		CHECK(!ecbpf_prefix_mask(&prefix));
		ecbpf_prefix_format(&prefix, prefix_text);
		len += sprintf(text + len, "%s %s -\n", prefix_text, *tag ? tag : "-");
		CHECK(strlen(tag) <= ECBPF_LIST_TAG_MAX);
		for (const char *c = tag; *c; c++)
			CHECK(*c > ' ' && *c <= '~' && *c != '#' && *c != ';');
	}
	CHECK(!ecbpf_list_parse(e, "printed", text, len, 0, 0, &again));
	CHECK(is_same(&again, list));
	ecbpf_list_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ecbpf e;
	struct ecbpf_list list, skipped;
	char *text = malloc(size ? size : 1); /* of its own, so that a byte beyond is noticed */
	bool is_good;

	if (!e.detail)
		e.detail = calloc(1, ECBPF_DETAIL_SIZE);
	CHECK(e.detail && text);
	memcpy(text, data, size);
	e.error[0] = e.detail[0] = '\0';
	is_good = !ecbpf_list_parse(&e, "list", text, size, 0, ECBPF_LIST_EXPIRES, &list);
	if (is_good)
		check_print(&e, &list);
	else
		CHECK(e.error[0] && e.detail[0] && !strchr(e.error, '\n'));
	CHECK(!ecbpf_list_parse(&e, "list", text, size, 0, ECBPF_LIST_EXPIRES | ECBPF_LIST_SKIP_BAD,
				&skipped));
	CHECK(is_good == !skipped.bad);
	if (is_good) {
		CHECK(is_same(&list, &skipped));
		ecbpf_list_free(&list);
	}
	check_print(&e, &skipped);
	ecbpf_list_free(&skipped);
	free(text);
	return 0;
}
