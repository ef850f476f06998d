// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Removing pins that nothing uses any more. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
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
#include "chain/note.h"
#include "chain/pins.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/netns.h"

#define CLEAN_WAIT_MS 500 /* for programs that are being freed */

struct clean {
	int ifindex; /* 0: all */
	size_t removed;
	size_t doubtful;
	bool is_read;
	struct ecbpf_netns_xdp xdp;
};

/* Is the program alive? A dispatcher that is not may have pins, but nothing runs them */
static bool is_alive(__u32 id)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	return fd >= 0 || errno != ENOENT;
}

/*
 * Is it attached to no interface of any network namespace? Only our dispatchers are marked with
 * their namespace; an interface may have moved since, and another tool may have rebuilt the chain.
 */
static int is_nowhere(struct ecbpf *e, struct clean *clean, int ifindex, __u32 id, bool *ret)
{
	char netns[NETNS_SIZE];
	int err = 0;

	*ret = !is_alive(id);
	if (*ret)
		return 0;
	if (!clean->is_read)
		err = ecbpf_netns_xdp_read(e, &clean->xdp);
	clean->is_read = true;
	for (size_t i = 0; i < clean->xdp.count; i++)
		if (clean->xdp.ids[i] == id)
			return err;
	*ret = !err && clean->xdp.is_complete && !ecbpf_netns_is_other(e, ifindex, id, netns);
	clean->doubtful += !*ret;
	return err;
}

static int clean_dispatcher(struct ecbpf *e, int ifindex, __u32 id, void *data)
{
	struct clean *clean = data;
	enum ecbpf_mode mode;
	bool is_gone;
	__u32 now = 0;
	int err;

	if (clean->ifindex && clean->ifindex != ifindex)
		return 0;
	if (!ecbpf_attached(e, ifindex, &now, &mode) && now == id)
		return 0;
	err = is_nowhere(e, clean, ifindex, id, &is_gone);
	if (err || !is_gone)
		return err;
	err = ecbpf_unpin_dispatcher(e, ifindex, id);
	clean->removed += !err;
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

/*
 * Maps go with the last program that uses them. It may have gone just now: freeing takes time.
 * Return: 1: they are used; 0 or -errno
 */
static int clean_maps(struct ecbpf *e)
{
	for (int ms = 0; ecbpf_pins_are_used(e); ms += 50) {
		if (ms >= CLEAN_WAIT_MS)
			return 1;
		nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
	}
	return ecbpf_unpin_maps(e);
}

/* @iface: NULL: all; @is_asked: by somebody who wants to know what is left */
static int clean_dispatchers(struct ecbpf *e, const char *iface, bool is_asked, size_t *ret_removed)
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
	free(clean.xdp.ids);
	if (clean.doubtful)
		ecbpf_log(e, is_asked ? ECBPF_LOG_WARN : ECBPF_LOG_INFO,
			  "left the pins of %zu dispatcher%s, which may be attached in another "
			  "network namespace",
			  clean.doubtful, clean.doubtful == 1 ? "" : "s");
	if (!err)
		err = ecbpf_for_each_pin(e, clean_mark, NULL);
	if (!err)
		*ret_removed = clean.removed;
	return err;
}

int ecbpf_clean_unused(struct ecbpf *e)
{
	_cleanup_close_ int lock = ecbpf_lock(e);
	int err;

	if (lock == -ENOENT) /* no directory, no maps */
		return 0;
	if (lock < 0)
		return lock;
	err = clean_maps(e);
	return err < 0 ? err : 0;
}

int ecbpf_clean_stale(struct ecbpf *e, size_t *ret_removed)
{
	return clean_dispatchers(e, NULL, false, ret_removed);
}

int ecbpf_clean(struct ecbpf *e, const char *iface, size_t *ret_removed)
{
	size_t removed, gone;
	int err;

	ecbpf_capture(e);
	err = clean_dispatchers(e, iface, true, ret_removed ?: &removed);
	if (err)
		return err;
	ecbpf_note_forget(e, NULL);
	gone = iface ? ecbpf_note_settle(e, iface) : 0;
	if (gone)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "%s: %zu program%s that another tool took off %s not expected there any "
			  "more",
			  iface, gone, gone == 1 ? "" : "s", gone == 1 ? "is" : "are");
	return 0;
}

int ecbpf_clean_maps(struct ecbpf *e)
{
	_cleanup_close_ int lock = -1;
	int err;

	ecbpf_capture(e);
	lock = ecbpf_lock_make(e);
	if (lock < 0)
		return lock;
	err = clean_maps(e);
	if (err > 0)
		err = ecbpf_fail(e, -EBUSY,
				 "programs use the maps: 'ecbpf-loader unload --all' removes them "
				 "from interfaces");
	if (!err)
		ecbpf_note_forget_all(e);
	return err;
}
