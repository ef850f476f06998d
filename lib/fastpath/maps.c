// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The pinned maps of the fast path.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "bpf/map.h"
#include "bpf/pins.h"
#include "core/handle.h"
#include "fastpath/fastpath.h"

int fastpath_map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info)
{
	int fd = ecbpf_map_open(e, name, ret_info);

	if (fd == -ENOENT)
		ecbpf_fail(e, fd, "the fast path is not loaded: no %s/ecbpf/%s", e->bpffs, name);
	return fd;
}

int fastpath_view_open(struct ecbpf *e, const char *name, size_t value_size,
		       struct ecbpf_view *ret_view)
{
	_cleanup_close_ int fd = fastpath_map_open(e, name, NULL);

	return fd < 0 ? fd : ecbpf_view_open(e, fd, name, value_size, ret_view);
}

/* Return: number of flows that a table was made for */
__u32 ecbpf_fastpath_capacity(__u32 groups)
{
	return (__u64)groups * ECBPF_FLOW_WAYS * 8 / 15;
}

int fastpath_unpin(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	size_t *count = data;

	if (is_symlink || strncmp(strrchr(path, '/') + 1, "fastpath", 8))
		return 0;
	if (unlink(path) && errno != ENOENT)
		return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	if (count)
		(*count)++;
	return 0;
}

/*
 * Check the existing maps. @ret_groups: groups of the table to make, for no program uses the one
 * there is, or it is the one group that other loaders make; 0: use the existing maps
 */
int fastpath_maps_check(struct ecbpf *e, __u32 flows, __u32 *ret_groups)
{
	__u32 groups = ECBPF_FLOW_GROUPS(flows ? flows : ECBPF_FLOWS_DEFAULT);
	struct bpf_map_info info;
	_cleanup_close_ int fd = -1;

	fd = fastpath_map_open(e, "fastpath_flows", &info);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd < 0 || info.max_entries == 1 || !ecbpf_map_is_used(info.id)) {
		*ret_groups = groups;
		return 0;
	}
	if (flows && info.max_entries != groups)
		return ecbpf_fail(
			e, -EBUSY,
			"the fast path is loaded with %u flows; run 'ecbpf-fastpath unload' "
			"first",
			ecbpf_fastpath_capacity(info.max_entries));
	*ret_groups = 0;
	return 0;
}
