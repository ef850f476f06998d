// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An entry in the systemd journal for each change, see audit.h */
#include "tools/common/audit.h"
#include "tools/common/common.h"

#ifdef HAVE_JOURNAL

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>
#include <systemd/sd-journal.h>

#define FIELDS	  16
#define IFACES	  64   /* of more interfaces, the first ones are named */
#define VALUE_MAX 4096 /* bytes */

struct fields {
	struct iovec items[FIELDS + IFACES];
	int count;
};

static void add(struct fields *fields, const char *name, const char *value)
{
	struct iovec *field = &fields->items[fields->count];
	const char *safe = tool_exact(value);
	size_t len = strnlen(safe, VALUE_MAX);
	char *text;

	while (len && len < strlen(safe) && (safe[len] & 0xc0) == 0x80)
		len--; /* not within a character */
	text = tool_alloc(NULL, strlen(name) + len + 2);
	field->iov_base = text;
	field->iov_len = sprintf(text, "%s=%.*s", name, (int)len, safe);
	fields->count++;
}

/* Who logged in, whoever it has become since; "": that was nobody */
static const char *loginuid(void)
{
	static char text[16];
	int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, "4294967295") ? text : "";
}

void audit_write(const struct audit *audit)
{
	bool has_failed = !strcmp(audit->result, "failed");
	const char *sudo_user = getenv("SUDO_USER"), *login = loginuid();
	struct fields fields = {};

	add(&fields, "MESSAGE",
	    tool_str("%s %s%s%.300s: %s%s%.100s", audit->tool, audit->verb, *audit->what ? " " : "",
		     audit->what, audit->result, *audit->text ? ": " : "", audit->text));
	add(&fields, "MESSAGE_ID", AUDIT_MESSAGE_ID);
	add(&fields, "PRIORITY", tool_str("%d", has_failed ? LOG_WARNING : LOG_NOTICE));
	add(&fields, "SYSLOG_IDENTIFIER", audit->tool);
	add(&fields, "ECBPF_TOOL", audit->tool);
	add(&fields, "ECBPF_VERB", audit->verb);
	add(&fields, "ECBPF_WHAT", audit->what);
	add(&fields, "ECBPF_RESULT", audit->result);
	add(&fields, "ECBPF_TEXT", audit->text);
	add(&fields, "ECBPF_PID", tool_str("%d", getpid()));
	add(&fields, "ECBPF_UID", tool_str("%u", getuid()));
	if (*login)
		add(&fields, "ECBPF_LOGINUID", login);
	if (sudo_user && *sudo_user)
		add(&fields, "ECBPF_SUDO_USER", sudo_user);
	for (size_t i = 0; i < audit->ifaces_count && i < IFACES; i++)
		add(&fields, "ECBPF_IFACE", audit->ifaces[i]);
	sd_journal_sendv(fields.items, fields.count); /* what was done is done */
	for (int i = 0; i < fields.count; i++)
		free(fields.items[i].iov_base);
}

#else

void audit_write(const struct audit *audit)
{
	(void)audit;
}

#endif
