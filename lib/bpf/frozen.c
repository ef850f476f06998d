// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pinned maps that another tool has frozen. The kernel refuses their change with EPERM, as it does
 * if a privilege is missing, and tells the difference in /proc only.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/frozen.h"
#include "bpf/info.h"
#include "core/handle.h"

#define INNER_MAX 64 /* inner maps that are looked at: tables have their first chunks there */

static bool fd_is_frozen(int fd)
{
	char path[64], line[128];
	int frozen = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && !frozen && fgets(line, sizeof(line), file))
		if (sscanf(line, "frozen: %d", &frozen) != 1)
			frozen = 0;
	if (file)
		fclose(file);
	return frozen;
}

static bool has_frozen(int fd)
{
	struct bpf_map_info info = {};

	if (fd_is_frozen(fd))
		return true;
	if (ecbpf_map_info(fd, &info) || info.type != BPF_MAP_TYPE_ARRAY_OF_MAPS)
		return false;
	for (__u32 key = 0; key < info.max_entries && key < INNER_MAX; key++) {
		_cleanup_close_ int inner = -1;
		__u32 id;

		if (bpf_map_lookup_elem(fd, &key, &id))
			continue;
		inner = bpf_map_get_fd_by_id(id);
		if (inner >= 0 && fd_is_frozen(inner))
			return true;
	}
	return false;
}

void ecbpf_frozen_find(const struct ecbpf *e, char *ret_name, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool is_found = false;
	DIR *dir;

	*ret_name = '\0';
	if (!*e->bpffs)
		return;
	snprintf(path, sizeof(path), "%s/ecbpf", e->bpffs);
	dir = opendir(path);
	while (dir && !is_found && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (entry->d_type != DT_REG || strlen(entry->d_name) >= size)
			continue;
		snprintf(ret_name, size, "%s", entry->d_name);
		snprintf(path, sizeof(path), "%s/ecbpf/%.64s", e->bpffs, ret_name);
		fd = bpf_obj_get(path);
		is_found = fd >= 0 && has_frozen(fd);
	}
	if (dir)
		closedir(dir);
	if (!is_found)
		*ret_name = '\0';
}

void ecbpf_frozen_explain(struct ecbpf *e)
{
	size_t len = strlen(e->error);
	char name[64];

	ecbpf_frozen_find(e, name, sizeof(name));
	if (*name)
		snprintf(e->error + len, sizeof(e->error) - len,
			 ": the map %s/ecbpf/%s is frozen, so that nothing can change it: "
			 "'ecbpf-loader doctor' says how to replace it",
			 e->bpffs, name);
}
