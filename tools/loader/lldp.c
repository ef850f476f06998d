// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Is an interface where the configuration thinks that it is? lldpcli(8) knows the VLANs that the
 * switch at its other end announces.
 */
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <json-c/json.h>
#include "tools/common/common.h"
#include "tools/loader/lldp.h"

#define VLANS_MAX  64
#define OUTPUT_MAX (1 << 20)

extern char **environ;

struct lldp_vlans {
	unsigned int ids[VLANS_MAX];
	size_t count;
};

/* All that it prints, for free(); NULL: it failed. VLANs are among the details only */
static char *lldpcli(char *iface)
{
	char *argv[] = {"lldpcli", "-fjson", "show", "neighbors", "ports", iface, "details", NULL};
	posix_spawn_file_actions_t actions;
	char *text = NULL;
	size_t len = 0;
	ssize_t got = 0;
	int fds[2], status = -1, err;
	pid_t pid;

	if (pipe(fds))
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	text = err ? NULL : malloc(OUTPUT_MAX + 1);
	while (text && len < OUTPUT_MAX && (got = read(fds[0], text + len, OUTPUT_MAX - len)) > 0)
		len += got;
	close(fds[0]);
	if (!err && waitpid(pid, &status, 0) < 0)
		status = -1;
	if (err || status || got < 0 || !text) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/* "vlan-id" wherever it is: one neighbour or several, one VLAN or several, are written otherwise */
static void vlans_find(struct json_object *object, struct lldp_vlans *vlans)
{
	if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++)
			vlans_find(json_object_array_get_idx(object, i), vlans);
	} else if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, key, value)
		{
			int id = json_object_get_int(value); /* of a string, too */

			if (strcmp(key, "vlan-id"))
				vlans_find(value, vlans);
			else if (vlans->count < VLANS_MAX)
				vlans->ids[vlans->count++] = id;
		}
	}
}

static int vlans_parse(const char *text, struct lldp_vlans *ret)
{
	struct json_object *object = json_tokener_parse(text);

	*ret = (struct lldp_vlans){};
	if (!object)
		return -EINVAL;
	vlans_find(object, ret);
	json_object_put(object);
	return 0;
}

static bool has_vlan(const struct lldp_vlans *vlans, unsigned int id)
{
	for (size_t i = 0; i < vlans->count; i++)
		if (vlans->ids[i] == id)
			return true;
	return false;
}

/* What is wrong, into @ret_text. Return: TOOL_FAILED */
static int fail(struct lldp_text *ret_text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static int fail(struct lldp_text *ret_text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_text->text, sizeof(ret_text->text), format, args);
	va_end(args);
	return TOOL_FAILED;
}

static int fail_vlan(const struct lldp_vlans *vlans, const char *iface, unsigned int id,
		     struct lldp_text *ret_text)
{
	char text[256] = "";
	size_t len = 0;

	if (!vlans->count)
		return fail(ret_text,
			    "%s: the switch announces no VLAN, and it should be on VLAN %u", iface,
			    id);
	for (size_t i = 0; i < vlans->count && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%u", i ? ", " : "",
				vlans->ids[i]);
	return fail(ret_text, "%s: the switch announces VLAN %s, and it should be on VLAN %u",
		    iface, text, id);
}

int lldp_check(const struct ecbpf_config_vlan *wanted, size_t count, struct lldp_text *ret_text)
{
	struct lldp_vlans vlans = {};
	const char *iface = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!iface || strcmp(iface, wanted[i].iface)) {
			char *text;
			int err;

			iface = wanted[i].iface;
			text = lldpcli((char *)iface);
			err = text ? vlans_parse(text, &vlans) : -ENOENT;
			free(text);
			if (err)
				return fail(ret_text,
					    "%s: lldpcli says nothing about its VLANs; does lldpd "
					    "run?",
					    iface);
		}
		if (!has_vlan(&vlans, wanted[i].id))
			return fail_vlan(&vlans, iface, wanted[i].id, ret_text);
	}
	return TOOL_OK;
}
