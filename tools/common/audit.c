// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * An entry in the systemd journal for each change, see audit.h. It is sent in the journal's
 * protocol, which is stable and documented for this (systemd.io/JOURNAL_NATIVE_PROTOCOL).
 * libsystemd does the same, but it needs five libraries more for other things, and takes as long to
 * load as a small change takes.
 */
#include "tools/common/audit.h"
#include "tools/common/common.h"

#ifdef HAVE_JOURNAL

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define SOCKET	  "/run/systemd/journal/socket"
#define FIELDS	  16
#define IFACES	  64   /* of more interfaces, the first ones are named */
#define VALUE_MAX 4096 /* bytes */

struct fields {
	struct iovec items[FIELDS + IFACES];
	int count;
};

/* A line; the text of tool_exact() has no newline */
static void add(struct fields *fields, const char *name, const char *value)
{
	struct iovec *field = &fields->items[fields->count];
	const char *safe = tool_exact(value);
	size_t len = strnlen(safe, VALUE_MAX);
	char *text;

	while (len && len < strlen(safe) && (safe[len] & 0xc0) == 0x80)
		len--; /* not within a character */
	text = tool_alloc(NULL, strlen(name) + len + 3);
	field->iov_base = text;
	field->iov_len = sprintf(text, "%s=%.*s\n", name, (int)len, safe);
	fields->count++;
}

/* One datagram. What was done is done, whether the journal takes it or not */
static void send_fields(const struct fields *fields)
{
	struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = SOCKET};
	struct msghdr message = {
		.msg_name = &journal,
		.msg_namelen = sizeof(journal),
		.msg_iov = (struct iovec *)fields->items,
		.msg_iovlen = fields->count,
	};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	sendmsg(fd, &message, MSG_NOSIGNAL);
	close(fd);
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
	send_fields(&fields);
	for (int i = 0; i < fields.count; i++)
		free(fields.items[i].iov_base);
}

#else

void audit_write(const struct audit *audit)
{
	(void)audit;
}

#endif
