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
#include "core/netns.h"
#include "core/runtime_log.h"
#include "core/state_dir.h"

#define NAMES "/run/netns"

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Return: 1 if one of the names stands for this namespace, 0, -errno */
static int name_find(const struct stat *own, char *ret_name, size_t size)
{
	DIR *dir = opendir(NAMES);
	struct dirent *entry;
	char path[PATH_MAX];
	struct stat st;
	int found = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!found && (errno = 0, entry = readdir(dir))) {
		snprintf(path, sizeof(path), NAMES "/%s", entry->d_name);
		if (stat(path, &st))
			found = errno == ENOENT ? 0 : -errno;
		else if (is_same(&st, own))
			found = 1;
		if (found > 0)
			snprintf(ret_name, size, "@%s", entry->d_name);
	}
	if (!found)
		found = -errno;
	closedir(dir);
	return found;
}

int runtime_log_path(char ret_path[PATH_MAX], bool *ret_is_sure)
{
	const char *chosen = getenv("ECBPF_STATE_DIR");
	char name[NAME_MAX + 2] = "";
	struct stat own, first;
	bool is_known = true;
	int found;

	*ret_is_sure = true;
	if (!chosen || !*chosen) {
		found = ecbpf_netns_own(&own);
		if (found)
			return found;
		if (stat("/proc/1/ns/net", &first)) {
			if (errno != EACCES && errno != EPERM && errno != ENOENT)
				return -errno;
			is_known = false;
		}
		found = is_known && is_same(&first, &own) ? 1 : name_find(&own, name, sizeof(name));
		if (found < 0 || (is_known && !found))
			return found;
		*ret_is_sure = found;
	}
	return snprintf(ret_path, PATH_MAX, "%s/runtime/changes%s", ecbpf_state_dir(), name) <
	       PATH_MAX;
}
