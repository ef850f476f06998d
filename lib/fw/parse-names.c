// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Numbers that have a name on this host: protocols and services. The rule gets the number: what was
 * read once does not depend on these files any more.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/util.h"
#include "fw/parse.h"

#define NAME_BYTES_MAX 64

/* Bytes for the line of the file: aliases make it longer than any real one */
#define LINE_BYTES 4096

/* Does the line of /etc/services have the service? *@ret_port: its number */
static bool has_service(char *line, const char *name, const char *proto, unsigned long *ret_port)
{
	static const char blanks[] = " \t\r\n";
	const char *first, *word;
	char *rest = NULL, *end;
	unsigned long port;

	line[strcspn(line, "#")] = '\0';
	first = strtok_r(line, blanks, &rest);
	word = first ? strtok_r(NULL, blanks, &rest) : NULL;
	if (!word)
		return false;
	port = strtoul(word, &end, 10);
	if (*end != '/' || strcmp(end + 1, proto))
		return false;
	for (word = first; word && strcmp(word, name);)
		word = strtok_r(NULL, blanks, &rest);
	*ret_port = port;
	return word;
}

/*
 * The number that /etc/services has for a service, of which getservbyname_r() of glibc has @port
 * made, modulo 65536
 */
static int whole_port(const char *name, const char *proto, int port)
{
	char line[LINE_BYTES];
	unsigned long whole;
	FILE *file = fopen("/etc/services", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!has_service(line, name, proto, &whole) || (int)(whole & 65535) != port)
			continue;
		port = whole > INT_MAX ? INT_MAX : whole;
		break;
	}
	if (file)
		fclose(file);
	return port;
}

static int find_service(const char *name, const char *proto)
{
	struct servent entry, *found = NULL;
	char buffer[LINE_BYTES];

	if (getservbyname_r(name, proto, &entry, buffer, sizeof(buffer), &found) || !found)
		return -1;
	return whole_port(name, proto, ntohs((__be16)found->s_port));
}

static int find_proto(const char *name)
{
	struct protoent entry, *found = NULL;
	char buffer[LINE_BYTES];

	if (getprotobyname_r(name, &entry, buffer, sizeof(buffer), &found) || !found)
		return -1;
	return found->p_proto;
}

/* Return: the number of a name, which need not be in the option's range; -1: there is none */
int fw_name_find(enum fw_names names, const char *name, size_t len)
{
	char text[NAME_BYTES_MAX];

	if (!len || len >= sizeof(text) || memchr(name, '\0', len))
		return -1;
	memcpy(text, name, len);
	text[len] = '\0';
	switch (names) {
	case FW_NAMES_PROTO:
		return find_proto(text);
	case FW_NAMES_TCP:
		return find_service(text, "tcp");
	case FW_NAMES_UDP:
		return find_service(text, "udp");
	default:
		return -1;
	}
}

/* Report that the word at @span is neither a number nor a name */
void fw_name_error(struct parser *p, const char *what, enum fw_names names, const struct span *span)
{
	size_t len = span->end - span->pos;
	const char *file = names == FW_NAMES_PROTO ? "/etc/protocols" : "/etc/services";
	const char *proto = names == FW_NAMES_TCP ? "tcp" : "udp";
	const char *other = names == FW_NAMES_TCP ? "udp" : "tcp";
	int number = names == FW_NAMES_PROTO
			     ? -1
			     : fw_name_find(names == FW_NAMES_TCP ? FW_NAMES_UDP : FW_NAMES_TCP,
					    span->pos, len);

	if (number >= 0 && number <= 65535)
		fw_error_at(p, span, "%s: '%s' is a service of %s only; of %s, use the number: %d",
			    what, fw_quote(span), other, proto, number);
	else if (access(file, R_OK))
		fw_error_at(p, span,
			    "%s: '%s' has no number, because there is no %s: use the number", what,
			    fw_quote(span), file);
	else if (names == FW_NAMES_PROTO)
		fw_error_at(p, span, "%s: '%s' is no protocol in %s: use the number", what,
			    fw_quote(span), file);
	else
		fw_error_at(p, span, "%s: '%s' is no service of %s in %s: use the number", what,
			    fw_quote(span), proto, file);
}
