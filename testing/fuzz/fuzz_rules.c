// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libFuzzer target: rules of any text are refused with a message, or taken; what is printed of them
 * is taken, too, and printed the same; so is a copy. What follows a zero byte in the input is the
 * file that sets are read from, whatever their path. Linked with --wrap=realpath. Of services and
 * protocols there are two each.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/bpf.h>
#include "fuzz.h"
#include "core/handle.h"
#include "fw/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
char *__wrap_realpath(const char *path, char *resolved);

static int set_fd = -1;

/* Nothing is read from this machine's files */
char *__wrap_realpath(const char *path, char *resolved)
{
	char *found;

	(void)path;
	(void)resolved;
	return asprintf(&found, "/proc/self/fd/%d", set_fd) < 0 ? NULL : found;
}

int getservbyname_r(const char *name, const char *proto, struct servent *entry, char *buffer,
		    size_t size, struct servent **found)
{
	(void)proto;
	(void)buffer;
	(void)size;
	entry->s_port = htons(strcmp(name, "s") ? 8080 : 25);
	*found = !strcmp(name, "s") || (!strcmp(name, "s-t") && !strcmp(proto, "tcp")) ? entry
										       : NULL;
	return 0;
}

int getprotobyname_r(const char *name, struct protoent *entry, char *buffer, size_t size,
		     struct protoent **found)
{
	(void)buffer;
	(void)size;
	entry->p_proto = strcmp(name, "s") ? 300 : 47;
	*found = !strcmp(name, "s") || !strcmp(name, "t") ? entry : NULL;
	return 0;
}

/* What the parser needs of the rest of the library */
void ecbpf_log(struct ecbpf *e, enum ecbpf_log_level level, const char *format, ...)
{
	(void)e;
	(void)level;
	(void)format;
}

static void check_print(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	struct ecbpf_fw_ruleset *again, *copy = fw_ruleset_copy(ruleset);
	char *text, *text_again, *text_copy;

	CHECK(!ecbpf_fw_print(e, ruleset, &text));
	CHECK(!ecbpf_fw_parse(e, "printed", text, strlen(text), &again));
	CHECK(!ecbpf_fw_print(e, again, &text_again));
	CHECK(!strcmp(text, text_again));
	CHECK(copy);
	CHECK(!ecbpf_fw_print(e, copy, &text_copy));
	CHECK(!strcmp(text, text_copy));
	ecbpf_fw_ruleset_free(again);
	ecbpf_fw_ruleset_free(copy);
	free(text);
	free(text_again);
	free(text_copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ecbpf e;
	struct ecbpf_fw_ruleset *ruleset = NULL;
	const uint8_t *zero = memchr(data, 0, size);
	size_t text_size = zero ? (size_t)(zero - data) : size;
	char *text = malloc(text_size + 1); /* of its own, so that a byte beyond is noticed */

	if (!e.detail)
		e.detail = calloc(1, ECBPF_DETAIL_SIZE);
	if (set_fd < 0)
		set_fd = memfd_create("set", 0);
	CHECK(e.detail && text && set_fd >= 0 && !ftruncate(set_fd, 0));
	if (zero)
		CHECK(pwrite(set_fd, zero + 1, size - text_size - 1, 0) >= 0);
	memcpy(text, data, text_size);

	e.error[0] = e.detail[0] = '\0';
	if (!ecbpf_fw_parse(&e, "-", text, text_size, &ruleset))
		check_print(&e, ruleset);
	else
		CHECK(!ruleset && e.error[0] && e.detail[0] && !strchr(e.error, '\n'));
	text[text_size] = '\0';
	if (ruleset && !ecbpf_fw_rule_insert(&e, ruleset, 0, text))
		check_print(&e, ruleset);
	ecbpf_fw_ruleset_free(ruleset);
	free(text);
	return 0;
}
