// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The pins of dispatchers.
 *
 *	BPFFS/xdp/dispatch-IFINDEX-ID/progN-(prog|link)	libxdp's: members of dispatcher ID
 *	BPFFS/ecbpf/dispatch-IFINDEX-ID -> net:[INODE]	network namespace of a dispatcher of ours
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/pins.h"
#include "chain/dispatcher.h"
#include "chain/pins.h"
#include "core/handle.h"
#include "core/netns.h"

int ecbpf_dispatcher_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id)
{
	return ecbpf_path_format(e, path, size, "%s/xdp/dispatch-%d-%u", e->bpffs, ifindex, id);
}

int ecbpf_member_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id, int slot,
		      const char *what)
{
	return ecbpf_path_format(e, path, size, "%s/xdp/dispatch-%d-%u/prog%d-%s", e->bpffs,
				 ifindex, id, slot, what);
}

/*
 * Interface numbers mean nothing outside of their network namespace, and namespaces may share a BPF
 * file system: who cleans up in one must leave the pins of another alone.
 */
static int netns_path(struct ecbpf *e, char *path, size_t size, int ifindex, __u32 id)
{
	return ecbpf_path_format(e, path, size, "%s/ecbpf/dispatch-%d-%u", e->bpffs, ifindex, id);
}

static int netns_read(const char *path, char *ret, size_t size)
{
	ssize_t len = readlink(path, ret, size - 1);

	if (len < 0)
		return -errno;
	ret[len] = '\0';
	return 0;
}

int ecbpf_netns_mark(struct ecbpf *e, int ifindex, __u32 id)
{
	char path[PATH_MAX], netns[NETNS_SIZE];
	int err;

	err = netns_read(ECBPF_NETNS_OWN, netns, sizeof(netns));
	if (err)
		return ecbpf_fail(e, err, ECBPF_NETNS_OWN ": %s", strerror(-err));
	err = netns_path(e, path, sizeof(path), ifindex, id);
	if (!err && symlink(netns, path))
		err = ecbpf_fail(e, -errno, "cannot make %s: %s", path, strerror(errno));
	return err;
}

bool ecbpf_netns_is_other(struct ecbpf *e, int ifindex, __u32 id, char *ret_netns)
{
	char path[PATH_MAX], netns[NETNS_SIZE];

	return !netns_path(e, path, sizeof(path), ifindex, id) &&
	       !netns_read(path, ret_netns, NETNS_SIZE) &&
	       !netns_read(ECBPF_NETNS_OWN, netns, sizeof(netns)) && strcmp(netns, ret_netns);
}

/* unlink(), or rmdir() */
static int pin_remove(struct ecbpf *e, int (*remove_one)(const char *path), const char *path)
{
	if (!remove_one(path) || errno == ENOENT)
		return 0;
	return ecbpf_fail(e, -errno, "cannot remove %s: %s", path, strerror(errno));
}

int ecbpf_unpin_dispatcher(struct ecbpf *e, int ifindex, __u32 id)
{
	static const char *const kinds[] = {"link", "prog"};
	char path[PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < DISPATCHER_MEMBERS * ARRAY_SIZE(kinds) && !err; i++) {
		err = ecbpf_member_path(e, path, sizeof(path), ifindex, id, i / ARRAY_SIZE(kinds),
					kinds[i % ARRAY_SIZE(kinds)]);
		if (!err)
			err = pin_remove(e, unlink, path);
	}
	if (!err)
		err = ecbpf_dispatcher_path(e, path, sizeof(path), ifindex, id);
	if (!err)
		err = pin_remove(e, rmdir, path);
	if (!err)
		err = netns_path(e, path, sizeof(path), ifindex, id);
	return err ? err : pin_remove(e, unlink, path);
}

struct dispatcher_call {
	ecbpf_dispatcher_fn fn;
	void *data;
};

static int dispatcher_call(struct ecbpf *e, const char *name, void *data)
{
	const struct dispatcher_call *call = data;
	int ifindex;
	char rest;
	__u32 id;

	if (sscanf(name, "dispatch-%d-%u%c", &ifindex, &id, &rest) != 2)
		return 0;
	return call->fn(e, ifindex, id, call->data);
}

int ecbpf_for_each_dispatcher(struct ecbpf *e, ecbpf_dispatcher_fn fn, void *data)
{
	struct dispatcher_call call = {.fn = fn, .data = data};
	char path[PATH_MAX];
	int err;

	err = ecbpf_path_format(e, path, sizeof(path), "%s/xdp", e->bpffs);
	return err ? err : ecbpf_for_each_entry(e, path, dispatcher_call, &call);
}
