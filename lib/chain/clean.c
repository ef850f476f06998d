// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Removing pins that nothing uses any more. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "bpf/pins.h"
#include "chain/clean.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "core/handle.h"
#include "core/iface.h"

#define CLEAN_WAIT_MS 500 /* for programs that are being freed */

struct clean {
	int ifindex; /* 0: all */
	size_t removed;
	size_t left;
};

static int clean_dispatcher(struct ecbpf *e, int ifindex, __u32 id, void *data)
{
	struct clean *clean = data;
	char netns[NETNS_SIZE];
	enum ecbpf_mode mode;
	__u32 now = 0;
	int err, fd;

	clean->left++;
	if (clean->ifindex && clean->ifindex != ifindex)
		return 0;
	if (!ecbpf_attached(e, ifindex, &now, &mode) && now == id)
		return 0;
	/*
	 * Whether it is attached to an interface of another network namespace cannot be seen from
	 * here. That it is of another one is known of ours only: libxdp's tools do not say.
	 */
	if (ecbpf_netns_is_other(e, ifindex, id, netns)) {
		fd = bpf_prog_get_fd_by_id(id);
		if (fd >= 0 || errno != ENOENT) {
			close_fd(&fd);
			return 0;
		}
	}
	err = ecbpf_unpin_dispatcher(e, ifindex, id);
	if (!err) {
		clean->removed++;
		clean->left--;
	}
	return err;
}

/* Remove the mark of ecbpf_netns_mark() if another tool removed the dispatcher */
static int clean_mark(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	const char *name = strrchr(path, '/') + 1;
	char pins[PATH_MAX];
	struct stat st;

	(void)data;
	if (!is_symlink)
		return 0;
	if (snprintf(pins, sizeof(pins), "%s/xdp/%s", e->bpffs, name) >= (int)sizeof(pins) ||
	    !stat(pins, &st) || errno != ENOENT)
		return 0;
	return unlink(path) ? ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno))
			    : 0;
}

/* Maps go with the last program that uses them. It may have gone just now: freeing takes time */
static int clean_maps(struct ecbpf *e, bool wait)
{
	for (int ms = 0; ecbpf_pins_are_used(e); ms += 50) {
		if (!wait || ms >= CLEAN_WAIT_MS)
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
	}
	return ecbpf_unpin_maps(e);
}

/* @iface: NULL: all; @with_maps: and maps that nobody uses */
static int clean_all(struct ecbpf *e, const char *iface, bool with_maps, size_t *ret_removed)
{
	_cleanup_close_ int lock = -1, libxdp_lock = -1;
	struct clean clean = {};
	int err;

	if (iface) {
		clean.ifindex = ecbpf_iface_index(e, iface);
		if (clean.ifindex < 0)
			return clean.ifindex;
	}
	lock = ecbpf_lock_make(e);
	if (lock < 0)
		return lock;
	libxdp_lock = ecbpf_libxdp_lock(e);
	if (libxdp_lock < 0)
		return libxdp_lock;
	err = ecbpf_for_each_dispatcher(e, clean_dispatcher, &clean);
	if (!err)
		err = ecbpf_for_each_pin(e, clean_mark, NULL);
	if (!err && with_maps)
		err = clean_maps(e, !clean.left);
	if (!err && ret_removed)
		*ret_removed = clean.removed;
	return err;
}

int ecbpf_clean_unused(struct ecbpf *e)
{
	_cleanup_close_ int lock = ecbpf_lock(e);

	if (lock == -ENOENT) /* no directory, no maps */
		return 0;
	return lock < 0 ? lock : clean_maps(e, true);
}

int ecbpf_clean_stale(struct ecbpf *e, size_t *ret_removed)
{
	return clean_all(e, NULL, false, ret_removed);
}

int ecbpf_clean(struct ecbpf *e, const char *iface, size_t *ret_removed)
{
	ecbpf_capture(e);
	return clean_all(e, iface, !iface, ret_removed);
}
