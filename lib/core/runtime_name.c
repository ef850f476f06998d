// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which file of runtime changes belongs to a network namespace.
 *
 * Inodes of namespaces do not outlive a reboot, so it is found by name: that of ip-netns(8), or
 * none for the namespace of process 1. A namespace without a name keeps nothing, unless
 * ECBPF_STATE_DIR gives it a directory of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/runtime_log.h"
#include "core/state_dir.h"

#define NAMES "/run/netns"

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Return: does one of the names stand for this namespace? */
static bool name_find(const struct stat *own, char *ret_name, size_t size)
{
	DIR *dir = opendir(NAMES);
	struct dirent *entry;
	bool is_found = false;
	char path[PATH_MAX];
	struct stat st;

	while (dir && !is_found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), NAMES "/%s", entry->d_name);
		is_found = !stat(path, &st) && is_same(&st, own);
		if (is_found)
			snprintf(ret_name, size, "@%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return is_found;
}

int runtime_log_path(char ret_path[PATH_MAX], bool *ret_is_sure)
{
	const char *chosen = getenv("ECBPF_STATE_DIR");
	char name[NAME_MAX + 2] = "";
	struct stat own, first;

	*ret_is_sure = true;
	if (!chosen || !*chosen) {
		if (stat("/proc/thread-self/ns/net", &own))
			return 0;
		if (stat("/proc/1/ns/net", &first))
			*ret_is_sure = name_find(&own, name, sizeof(name));
		else if (!is_same(&first, &own) && !name_find(&own, name, sizeof(name)))
			return 0;
	}
	return snprintf(ret_path, PATH_MAX, "%s/runtime/changes%s", ecbpf_state_dir(), name) <
	       PATH_MAX;
}
