// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading what is attached to an interface. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/lock.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/privilege.h"

#define EXCHANGED 1 /* another program was attached while this one was examined */

int ecbpf_attached(struct ecbpf *e, int ifindex, __u32 *ret_id, enum ecbpf_mode *ret_mode)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int err;

	err = bpf_xdp_query(ifindex, 0, &opts);
	if (err)
		return ecbpf_fail(e, err, "interface %d: cannot ask for its XDP program: %s",
				  ifindex, strerror(-err));
	*ret_mode = ECBPF_MODE_UNSPEC;
	*ret_id = 0;
	if (opts.drv_prog_id) {
		*ret_mode = ECBPF_MODE_NATIVE;
		*ret_id = opts.drv_prog_id;
	} else if (opts.skb_prog_id) {
		*ret_mode = ECBPF_MODE_SKB;
		*ret_id = opts.skb_prog_id;
	} else if (opts.hw_prog_id) {
		*ret_id = opts.hw_prog_id;
	}
	return 0;
}

const char *ecbpf_live_mode_name(enum ecbpf_mode mode)
{
	return mode == ECBPF_MODE_SKB ? "skb" : mode == ECBPF_MODE_NATIVE ? "native" : "offload";
}

void ecbpf_live_close(struct live *live)
{
	for (size_t i = 0; i < live->count; i++)
		close_fd(&live->members[i].fd);
	live->count = 0;
	if (live->id)
		close_fd(&live->fd);
	live->id = 0;
}

static int member_from_fd(int fd, struct member *ret)
{
	struct bpf_prog_info info = {};
	struct btf *btf;
	int err;

	err = ecbpf_prog_info(fd, &info);
	if (err)
		return err;
	err = ecbpf_prog_btf(&info, &btf);
	if (err)
		return err;
	ecbpf_prog_name(&info, btf, ret->name, sizeof(ret->name));
	btf__free(btf);
	ret->id = info.id;
	ret->fd = fd;
	ret->link_fd = -1;
	return 0;
}

/* Under libxdp's lock: members' pins are all there or the chain is broken */
static int live_members(struct ecbpf *e, int ifindex, struct live *live)
{
	char path[PATH_MAX];
	int err;

	for (int slot = 0; slot < live->config.num_progs_enabled; slot++) {
		struct member *m = &live->members[slot];
		int fd;

		err = ecbpf_member_path(e, path, sizeof(path), ifindex, live->id, slot, "prog");
		if (err)
			return err;
		fd = bpf_obj_get(path);
		if (fd < 0 && errno != ENOENT)
			return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
		if (fd < 0) {
			live->kind = ECBPF_CHAIN_BROKEN;
			return 0;
		}
		*m = (struct member){};
		err = member_from_fd(fd, m);
		if (err) {
			close(fd);
			return ecbpf_fail(e, err, "%s: %s", path, strerror(-err));
		}
		live->count++;
		m->prio = live->config.run_prios[slot];
		m->actions = live->config.chain_call_actions[slot] & ~(1U << DISPATCHER_CONTINUE);
		m->has_frags = live->config.program_flags[slot] & BPF_F_XDP_HAS_FRAGS;
	}
	return 0;
}

/* A program by itself, which is its chain's only member */
static int live_single(struct ecbpf *e, struct live *live)
{
	int fd = fcntl(live->fd, F_DUPFD_CLOEXEC, 0);
	int err = fd < 0 ? -errno : member_from_fd(fd, &live->members[0]);

	live->kind = ECBPF_CHAIN_SINGLE;
	if (err) {
		close_fd(&fd);
		return ecbpf_fail(e, err, "XDP program %u: %s", live->id, strerror(-err));
	}
	live->count = 1;
	live->members[0].actions = 0;
	live->members[0].is_single = true;
	return 0;
}

/* Return: 0; EXCHANGED; errors */
static int live_dispatcher(struct ecbpf *e, int ifindex, struct live *live)
{
	int lock = ecbpf_libxdp_lock(e);
	enum ecbpf_mode mode;
	__u32 now = 0;
	int err;

	live->kind = ECBPF_CHAIN_DISPATCHER;
	if (lock == -ENOENT) {
		live->kind = ECBPF_CHAIN_BROKEN; /* without even the directory of pins */
		return 0;
	}
	if (lock < 0)
		return lock;
	err = live_members(e, ifindex, live);
	close(lock);
	if (err || live->kind != ECBPF_CHAIN_BROKEN)
		return err;
	/* its pins may have been removed with it */
	err = ecbpf_attached(e, ifindex, &now, &mode);
	return err || now == live->id ? err : EXCHANGED;
}

static int live_program(struct ecbpf *e, int ifindex, struct live *live)
{
	struct bpf_prog_info info = {};
	int err;

	live->fd = bpf_prog_get_fd_by_id(live->id);
	if (live->fd < 0 && errno == ENOENT)
		return EXCHANGED;
	if (live->fd < 0) {
		err = -errno;
		return ecbpf_require(e, ECBPF_NEEDS_IDS)
			       ?: ecbpf_fail(e, err, "cannot examine XDP program %u: %s", live->id,
					     strerror(-err));
	}
	err = ecbpf_prog_info(live->fd, &info);
	if (!err)
		err = ecbpf_dispatcher_config(live->fd, &info, &live->config);
	if (!err)
		return live_dispatcher(e, ifindex, live);
	if (err == -ENOENT || err == -EPROTO)
		return live_single(e, live);
	return ecbpf_fail(e, err, "XDP program %u: %s", live->id, strerror(-err));
}

int ecbpf_live_read(struct ecbpf *e, int ifindex, struct live *ret)
{
	struct live live;
	int err;

	do {
		live = (struct live){.fd = -1};
		err = ecbpf_attached(e, ifindex, &live.id, &live.mode);
		if (!err && live.id)
			err = live_program(e, ifindex, &live);
		if (err)
			ecbpf_live_close(&live);
	} while (err == EXCHANGED);
	if (!err)
		*ret = live;
	return err;
}

int ecbpf_live_open(struct ecbpf *e, const char *iface, int *ret_ifindex, struct live *ret)
{
	int ifindex, err;

	ecbpf_capture(e);
	ifindex = ecbpf_iface_index(e, iface);
	if (ifindex < 0)
		return ifindex;
	if (ret_ifindex)
		*ret_ifindex = ifindex;
	/* without a BPF file system a single program can still be seen */
	err = ecbpf_bpffs_open(e, false);
	if (err && err != -ENODEV && err != -EPERM)
		return err;
	return ecbpf_live_read(e, ifindex, ret);
}
