// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes of chains: builds a dispatcher with its members, and exchanges it in one step.
 *
 * The dispatcher program, its configuration, the pins and the locks are libxdp's, so that its tools
 * and ours see the same chain. Putting it together is done here because libxdp can only add and
 * remove: it cannot replace a program in one step, it attaches a single program without a
 * dispatcher and reports nothing where freplace is missing, and its only dispatcher may not have
 * members that resize packets on Linux 6.12 and later (progs/dispatcher.bpf.c).
 *
 * Every change takes the same steps, so that it can be killed at any point:
 *
 *	1. beside the live chain: a new dispatcher, all its members linked, all pinned
 *	2. the interface gets the new dispatcher, if it still has the old one: one atomic step, a
 *	   packet sees either
 *	3. when no packet is on its way through the old one any more, its pins are removed: a member
 *	   without its link would let such a packet pass
 *
 * For several interfaces, step 1 is done for all before step 2; if step 2 fails for one, the others
 * go back. A change that is killed in between leaves whole chains, and pins that `clean` removes.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/loaded.h"
#include "bpf/lock.h"
#include "bpf/probe.h"
#include "bpf/synchronize.h"
#include "bpf/transaction.h"
#include "bpf/xdp_link.h"
#include "chain/change.h"
#include "chain/lost.h"
#include "chain/note.h"
#include "chain/pins.h"
#include "chain/probe.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/privilege.h"
#include "core/reserve.h"

#define RETRIES	 100 /* of a change that lost a race against another program's */
#define RESERVED 2   /* descriptors: a socket or a lock, or the maps of ecbpf_synchronize() */

static void change_close_built(struct ecbpf *e, struct change *c)
{
	int lock;

	if (c->is_pinned && !c->is_attached) {
		lock = ecbpf_libxdp_lock(e);
		ecbpf_unpin_dispatcher(e, c->ifindex, c->id);
		close_fd(&lock);
	}
	c->is_pinned = false;
	for (size_t i = 0; i < c->count; i++) {
		struct member *m = &c->members[i];

		close_fd(&m->link_fd);
		if (m->spec && m->program.obj) {
			ecbpf_program_close(&m->program);
			m->fd = -1; /* was the object's */
		}
	}
	ecbpf_dispatcher_close(&c->dispatcher);
	c->fd = -1;
	c->id = 0;
}

void ecbpf_change_close(struct ecbpf *e, struct change *c)
{
	change_close_built(e, c);
	ecbpf_live_close(&c->live);
}

static int member_compare(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int cmp;

	if (x->prio != y->prio)
		return x->prio < y->prio ? -1 : 1;
	cmp = strcmp(x->name, y->name);
	if (cmp)
		return cmp;
	return !!x->spec - !!y->spec; /* as libxdp: those which are there first */
}

/* Explain why a member could not be linked */
static int fail_freplace(struct ecbpf *e, const struct change *c)
{
	bool ours = true;

	for (size_t i = 0; i < c->count; i++)
		ours &= !c->members[i].spec || c->members[i].program.is_ours;
	return ecbpf_fail(
		e, -EOPNOTSUPP,
		"%s: this kernel cannot replace BPF functions (freplace: %s), so nothing can be "
		"chained%s",
		c->iface, strerror(-e->freplace),
		ours ? "; --fused STAGE[,STAGE...] runs stages in one program"
		     : "; only our own stages can run without (--fused)");
}

/*
 * Linux 5.10 refuses to pass the context to a global function in a program that replaces a
 * function, but accepts the same program if it is attached alone.
 */
static bool is_context_refused(const struct ecbpf *e, int err)
{
	return err == -EINVAL && strstr(e->detail, "\nUnrecognized arg#0 type PTR\n");
}

static int fail_context(struct ecbpf *e, const struct change *c)
{
	e->detail[0] = '\0';
	return ecbpf_fail(e, -EOPNOTSUPP,
			  "%s: this kernel is too old to chain all of these programs (its verifier "
			  "takes no context in their functions); --fused STAGE[,STAGE...] on an "
			  "interface without other programs runs stages in one program",
			  c->iface);
}

static int member_load(struct ecbpf *e, struct member *m)
{
	int err;

	err = ecbpf_program_load(e, &m->program);
	if (err)
		return err;
	m->fd = bpf_program__fd(m->program.prog);
	return ecbpf_loaded_write(e, m->fd, m->spec, &m->predecessor, &m->program, m->is_owned);
}

static int member_link(struct ecbpf *e, struct change *c, size_t slot)
{
	struct member *m = &c->members[slot];
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	struct bpf_prog_info info = {};
	char function[32];
	struct btf *btf;
	int err;

	/* a single member replaces the whole code of the dispatcher: one call less */
	if (c->count == 1)
		snprintf(function, sizeof(function), DISPATCHER_NAME);
	else
		snprintf(function, sizeof(function), "prog%zu", slot);
	if (m->spec) {
		bpf_program__set_type(m->program.prog, BPF_PROG_TYPE_EXT);
		bpf_program__set_expected_attach_type(m->program.prog, 0);
		bpf_program__set_flags(m->program.prog,
				       bpf_program__flags(m->program.prog) & ~BPF_F_XDP_HAS_FRAGS);
		err = bpf_program__set_attach_target(m->program.prog, c->fd, function);
		if (err)
			return ecbpf_fail(e, err, "%s: dispatcher has no function %s", c->iface,
					  function);
		err = member_load(e, m);
		if (err)
			return err;
	}
	err = ecbpf_prog_info(c->fd, &info);
	if (!err)
		err = ecbpf_prog_btf(&info, &btf);
	if (err)
		return ecbpf_fail(e, err, "%s: dispatcher: %s", c->iface, strerror(-err));
	opts.target_btf_id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);
	btf__free(btf);
	m->link_fd = bpf_link_create(m->fd, c->fd, 0, &opts);
	if (m->link_fd < 0)
		return ecbpf_fail(e, -errno, "%s: cannot link %s into the dispatcher: %s", c->iface,
				  m->name, strerror(errno));
	return 0;
}

static int change_pin(struct ecbpf *e, struct change *c)
{
	_cleanup_close_ int lock = -1;
	char path[PATH_MAX];
	int err;

	lock = ecbpf_libxdp_lock(e);
	if (lock < 0)
		return lock;
	err = ecbpf_dispatcher_path(e, path, sizeof(path), c->ifindex, c->id);
	if (err)
		return err;
	if (mkdir(path, 0700))
		return ecbpf_fail(e, -errno, "cannot make %s: %s", path, strerror(errno));
	c->is_pinned = true;
	err = ecbpf_netns_mark(e, c->ifindex, c->id);
	if (err)
		return err;
	for (size_t slot = 0; slot < c->count; slot++) {
		const struct member *m = &c->members[slot];

		err = ecbpf_member_path(e, path, sizeof(path), c->ifindex, c->id, slot, "link");
		if (!err && bpf_obj_pin(m->link_fd, path))
			err = ecbpf_fail(e, -errno, "cannot pin %s: %s", path, strerror(errno));
		if (!err)
			err = ecbpf_member_path(e, path, sizeof(path), c->ifindex, c->id, slot,
						"prog");
		if (!err && bpf_obj_pin(m->fd, path))
			err = ecbpf_fail(e, -errno, "cannot pin %s: %s", path, strerror(errno));
		if (err)
			return err;
	}
	return 0;
}

/* Drivers need no fragments for packets up to this MTU, and support for them costs a call */
bool ecbpf_needs_frags(const char *iface)
{
	return ecbpf_iface_mtu(iface) > ETH_DATA_LEN;
}

/* Open the programs to load. For each try again, because a loaded object is bound to its target */
static int change_open_programs(struct ecbpf *e, struct change *c)
{
	bool frags = ecbpf_needs_frags(c->iface);
	int err;

	for (size_t i = 0; i < c->count; i++) {
		struct member *m = &c->members[i];
		__u32 prio = m->prio, actions = m->actions;

		if (!m->spec)
			continue;
		m->fd = -1;
		m->link_fd = -1;
		err = ecbpf_program_open(e, m->spec, &m->predecessor, frags, &m->program);
		if (err)
			return err;
		snprintf(m->name, sizeof(m->name), "%s", m->program.name);
		m->has_frags = m->program.has_frags;
		m->prio = m->keeps_place && m->spec->prio < 0 ? prio : m->program.prio;
		m->actions = m->keeps_place && !m->spec->actions ? actions : m->program.actions;
	}
	return 0;
}

/* A replacement without a given priority keeps its place, whatever its name */
static bool may_move(const struct change *c)
{
	bool keeps_place = false;

	for (size_t i = 0; i < c->count; i++) {
		const struct member *m = &c->members[i];

		if (m->spec && (m->spec->prio >= 0 || !m->keeps_place))
			return true;
		keeps_place |= m->spec != NULL;
	}
	return !keeps_place;
}

static int change_build_dispatcher(struct ecbpf *e, struct change *c, bool ours)
{
	struct dispatcher_config config = {
		.magic = DISPATCHER_MAGIC,
		.num_progs_enabled = c->count,
	};
	struct bpf_prog_info info = {};
	int err;

	err = ecbpf_frags_probe(e);
	if (err && err != -EOPNOTSUPP)
		return err;
	config.is_xdp_frags = !err;
	err = change_open_programs(e, c);
	if (err)
		return err;
	if (may_move(c))
		qsort(c->members, c->count, sizeof(*c->members), member_compare);
	err = ecbpf_dispatcher_open(e, ours, &c->dispatcher);
	if (err)
		return err;
	if (c->live.kind == ECBPF_CHAIN_DISPATCHER &&
	    c->live.config.dispatcher_version != c->dispatcher.protocol)
		return ecbpf_fail(
			e, -EBUSY,
			"%s: its chain was made by another libxdp (dispatcher protocol %u, this "
			"one has %u): unload it first, with the tool that made it",
			c->iface, c->live.config.dispatcher_version, c->dispatcher.protocol);
	config.dispatcher_version = c->dispatcher.protocol;
	for (size_t slot = 0; slot < c->count; slot++) {
		const struct member *m = &c->members[slot];

		config.chain_call_actions[slot] = m->actions | 1U << DISPATCHER_CONTINUE;
		config.run_prios[slot] = m->prio;
		if (m->has_frags)
			config.program_flags[slot] = BPF_F_XDP_HAS_FRAGS;
		else
			config.is_xdp_frags = 0;
	}
	err = ecbpf_dispatcher_load(e, &c->dispatcher, &config);
	if (err)
		return err;
	c->fd = bpf_program__fd(c->dispatcher.prog);
	err = ecbpf_prog_info(c->fd, &info);
	if (err)
		return ecbpf_fail(e, err, "%s: dispatcher: %s", c->iface, strerror(-err));
	c->id = info.id;
	for (size_t slot = 0; slot < c->count; slot++) {
		err = member_link(e, c, slot);
		if (err)
			return err;
	}
	return e->is_trying ? 0 : change_pin(e, c);
}

/* Fused without freplace: the program itself is attached */
static int change_build_direct(struct ecbpf *e, struct change *c)
{
	struct member *m = &c->members[0];
	struct bpf_prog_info info = {};
	int err;

	err = change_open_programs(e, c);
	if (err)
		return err;
	bpf_program__set_type(m->program.prog, BPF_PROG_TYPE_XDP);
	if (m->has_frags)
		bpf_program__set_flags(m->program.prog,
				       bpf_program__flags(m->program.prog) | BPF_F_XDP_HAS_FRAGS);
	err = member_load(e, m);
	if (err)
		return err;
	c->fd = m->fd;
	err = ecbpf_prog_info(c->fd, &info);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", m->name, strerror(-err));
	c->id = info.id;
	c->is_direct = true;
	return 0;
}

static int change_build(struct ecbpf *e, struct change *c)
{
	struct saved_error error;
	int err, again;

	if (!c->count)
		return 0;
	if (c->count == 1 && !c->members[0].spec && c->members[0].is_single) { /* held */
		c->fd = c->members[0].fd;
		c->id = c->members[0].id;
		c->is_direct = true;
		return 0;
	}
	if (c->live.kind == ECBPF_CHAIN_SINGLE && c->count == 1 && c->members[0].spec &&
	    c->members[0].spec->fused)
		return change_build_direct(e, c);
	err = change_build_dispatcher(e, c, false);
	if (!err)
		return 0;

	/* without freplace: EPERM, EOPNOTSUPP, ENOTSUPP; without the JIT: EINVAL */
	if ((err == -EPERM || err == -EOPNOTSUPP || err == -524 || err == -EINVAL) && c->fd >= 0 &&
	    ecbpf_freplace_probe(e) == -EOPNOTSUPP) {
		if (c->count > 1 || !c->members[0].program.is_fused)
			return fail_freplace(e, c);
		change_close_built(e, c);
		return change_build_direct(e, c);
	}
	if (is_context_refused(e, err)) {
		if (c->count > 1 || !c->members[0].program.is_fused)
			return fail_context(e, c);
		change_close_built(e, c);
		return change_build_direct(e, c);
	}

	/*
	 * A member that resizes packets, under a dispatcher that does not: EINVAL since 6.12. Only
	 * the attempt shows it. If ours fails too, the first error is reported.
	 */
	if (err == -EINVAL && c->dispatcher.protocol == 2 && c->fd >= 0) {
		ecbpf_error_save(e, &error);
		change_close_built(e, c);
		again = change_build_dispatcher(e, c, true);
		if (!again) {
			ecbpf_log(e, ECBPF_LOG_INFO,
				  "%s: a program resizes packets: using ecbpf's own dispatcher",
				  c->iface);
			return 0;
		}
		ecbpf_error_restore(e, &error);
	}
	return err;
}

int ecbpf_change_try(struct ecbpf *e, struct change *c)
{
	bool before = e->is_trying;
	int err;

	e->is_trying = true;
	err = change_build(e, c);
	e->is_trying = before;
	return err;
}

static int fail_attach(struct ecbpf *e, const struct change *c, int err)
{
	char by_link[ECBPF_XDP_REMOVE + 64];
	const char *hint = "";
	__u32 link;

	link = err == -EBUSY ? ecbpf_xdp_link_id(c->ifindex, c->live.id) : 0;
	if (link) {
		snprintf(by_link, sizeof(by_link),
			 ": a BPF link holds it, 'bpftool link detach id %u' removes it", link);
		hint = by_link;
	} else if (err == -EOPNOTSUPP && c->mode == ECBPF_MODE_NATIVE) {
		hint = ": its driver may not support native XDP; '--mode skb' works with any";
	} else if (err == -EPERM) {
		hint = ": must be root, or have CAP_NET_ADMIN";
	}
	return ecbpf_fail(e, err, "%s: cannot attach in %s mode: %s%s%s%s%s", c->iface,
			  ecbpf_live_mode_name(c->mode), strerror(-err),
			  *e->kernel_message ? " (" : "", e->kernel_message,
			  *e->kernel_message ? ")" : "", hint);
}

static __u32 mode_flags(enum ecbpf_mode mode)
{
	return mode == ECBPF_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

/*
 * The kernel's answer to a request may get lost on its way back, when memory is short. What is
 * attached tells whether it was done.
 */
static bool is_attached(struct ecbpf *e, const struct change *c, __u32 id)
{
	struct saved_error error;
	enum ecbpf_mode mode;
	__u32 now = 0;
	bool is_it;

	ecbpf_error_save(e, &error);
	is_it = !ecbpf_attached(e, c->ifindex, &now, &mode) && now == id;
	ecbpf_error_restore(e, &error);
	return is_it;
}

/* Step 2. -EAGAIN: another process changed the interface meanwhile */
static int change_attach(struct ecbpf *e, struct change *c)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = c->live.id ? c->live.fd : 0);
	__u32 flags = mode_flags(c->mode), now = 0;
	enum ecbpf_mode mode;
	int err;

	if (!c->live.id)
		flags |= XDP_FLAGS_UPDATE_IF_NOEXIST;
	e->kernel_message[0] = '\0';
	err = bpf_xdp_attach(c->ifindex, c->fd, flags, &opts);
	if (!err || is_attached(e, c, c->id)) {
		c->is_attached = true;
		return 0;
	}
	if ((err == -EEXIST || err == -EBUSY) && !ecbpf_attached(e, c->ifindex, &now, &mode) &&
	    now != c->live.id)
		return -EAGAIN;
	return fail_attach(e, c, err);
}

/* Undo step 2 of one interface */
static void change_detach(struct ecbpf *e, struct change *c)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = c->fd);
	int err;

	if (c->fd < 0) {
		opts.old_prog_fd = 0;
		err = bpf_xdp_attach(c->ifindex, c->live.fd,
				     mode_flags(c->mode) | XDP_FLAGS_UPDATE_IF_NOEXIST, &opts);
	} else {
		err = bpf_xdp_attach(c->ifindex, c->live.id ? c->live.fd : -1, mode_flags(c->mode),
				     &opts);
	}
	if (err && !is_attached(e, c, c->live.id))
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: could not go back to what was attached: %s",
			  c->iface, strerror(-err));
	else
		c->is_attached = false;
}

/*
 * Only the kernel knows what packets meet now. That it is not ours any more is no failure: another
 * tool has gone on from what we attached, and the pins are its business.
 */
static int change_verify(struct ecbpf *e, const struct change *c)
{
	enum ecbpf_mode mode;
	char path[PATH_MAX];
	__u32 now = 0;
	int err, found;

	for (size_t slot = 0; slot < c->count && !c->is_direct; slot++) {
		err = ecbpf_member_path(e, path, sizeof(path), c->ifindex, c->id, slot, "link");
		if (err)
			return err;
		found = ecbpf_is_there(e, path);
		if (found < 0)
			return found;
		if (found)
			continue;
		err = ecbpf_attached(e, c->ifindex, &now, &mode);
		if (err || now != c->id)
			return err;
		return ecbpf_fail(e, -EIO, "%s: %s vanished", c->iface, path);
	}
	return 0;
}

/* Programs, whose maps have to fit together */
static bool loads_any(const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < changes[i].count; k++)
			if (changes[i].members[k].spec)
				return true;
	return false;
}

/* Steps 1 to 3 for all, or none */
static int commit_all(struct ecbpf *e, struct change *changes, size_t count)
{
	_cleanup_reserve_ struct reserve reserve = {};
	size_t attached = 0;
	int err = 0, lock;

	for (size_t i = 0; i < count && !err; i++)
		err = change_build(e, &changes[i]);
	if (!err)
		err = ecbpf_reserve_take(e, RESERVED, &reserve);
	for (size_t i = 0; i < count && !err; i++)
		ecbpf_note_begin(e, &changes[i], &changes[i].note);
	for (; attached < count && !err; attached++) {
		err = change_attach(e, &changes[attached]);
		if (err)
			break;
	}
	for (size_t i = 0; i < count && !err; i++)
		err = change_verify(e, &changes[i]);
	ecbpf_reserve_give(&reserve);
	if (err) {
		for (size_t i = 0; i < attached; i++)
			change_detach(e, &changes[i]);
		if (attached)
			ecbpf_synchronize(e);
		for (size_t i = 0; i < count; i++)
			ecbpf_note_end(e, &changes[i], changes[i].note, false);
		return err;
	}

	for (size_t i = 0; i < count; i++)
		ecbpf_note_end(e, &changes[i], changes[i].note, true);
	ecbpf_synchronize(e);
	lock = ecbpf_libxdp_lock(e);
	for (size_t i = 0; i < count; i++) {
		const struct live *live = &changes[i].live;

		if (!changes[i].count)
			ecbpf_log(e, ECBPF_LOG_INFO, "%s: no program attached any more",
				  changes[i].iface);
		else
			ecbpf_log(e, ECBPF_LOG_INFO, "%s: %zu program%s in %s mode, %s id %u",
				  changes[i].iface, changes[i].count,
				  changes[i].count > 1 ? "s" : "",
				  ecbpf_live_mode_name(changes[i].mode),
				  changes[i].is_direct ? "program" : "dispatcher", changes[i].id);

		/* it works; pins that could not be removed are for `clean` and no failure */
		if (live->kind == ECBPF_CHAIN_DISPATCHER &&
		    ecbpf_unpin_dispatcher(e, changes[i].ifindex, live->id))
			ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	}
	close_fd(&lock);
	return 0;
}

static int commit(struct ecbpf *e, struct change *changes, size_t count)
{
	struct taken lists = {}, fw = {};
	int err = 0;

	if (loads_any(changes, count))
		err = ecbpf_lost_commit(e, "filter", &lists) ?: ecbpf_lost_commit(e, "fw", &fw);
	if (!err)
		err = commit_all(e, changes, count);
	ecbpf_pins_end(e, &fw, err);
	ecbpf_pins_end(e, &lists, err);
	return err;
}

int ecbpf_changes_plan(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
		       void *data, struct change *changes, size_t *ret_count)
{
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		struct change *c = &changes[n];

		*c = (struct change){.iface = ifaces[i], .fd = -1, .live.fd = -1};
		c->ifindex = ecbpf_iface_index(e, ifaces[i]);
		if (c->ifindex < 0)
			err = c->ifindex;
		for (size_t k = 0; k < n && !err; k++) {
			if (changes[k].ifindex == c->ifindex)
				err = ecbpf_fail(e, -EINVAL, "%s: named twice", c->iface);
		}
		if (!err)
			err = ecbpf_live_read(e, c->ifindex, &c->live);
		if (!err)
			err = plan(e, c, data);
		if (!err && c->is_same)
			ecbpf_change_close(e, c);
		else
			n++;
	}
	*ret_count = n;
	return err;
}

/* Read, plan, commit; from the start when another program was faster */
static int change_chains(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
			 void *data)
{
	_cleanup_free_ struct change *changes = NULL;
	int err;

	for (int try = 0; try < RETRIES; try++) {
		size_t n = 0;

		changes = calloc(count, sizeof(*changes));
		if (!changes)
			return ecbpf_fail_memory(e);
		err = ecbpf_changes_plan(e, ifaces, count, plan, data, changes, &n);
		if (!err && n)
			err = commit(e, changes, n);
		/* the last one, which failed, leaves descriptors to lock the pins of the others */
		for (size_t i = n; i--;)
			ecbpf_change_close(e, &changes[i]);
		if (err != -EAGAIN)
			return err;
		free(changes);
		changes = NULL;
		nanosleep(&(struct timespec){.tv_nsec = (1 + rand() % 20) * 1000000L}, NULL);
	}
	return ecbpf_fail(e, -EBUSY, "%s: another process keeps changing its XDP programs",
			  ifaces[0]);
}

int ecbpf_change_chains(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
			void *data)
{
	struct transaction t;
	int err;

	err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	if (err)
		return err;
	return ecbpf_transaction_end(e, &t, change_chains(e, ifaces, count, plan, data));
}

int ecbpf_fail_single(struct ecbpf *e, const struct change *c)
{
	const struct member *m = &c->live.members[0];
	char command[ECBPF_XDP_REMOVE];

	return ecbpf_fail(e, -EBUSY,
			  "%s: program '%s' (id %u) is attached without a dispatcher: "
			  "'%s' removes it",
			  c->iface, m->name, m->id,
			  ecbpf_xdp_remove_command(c->iface, m->id, command));
}

int ecbpf_fail_mode(struct ecbpf *e, const struct change *c, enum ecbpf_mode mode)
{
	return ecbpf_fail(e, -EBUSY, "%s: its chain is in %s mode, not %s", c->iface,
			  ecbpf_live_mode_name(c->live.mode), ecbpf_live_mode_name(mode));
}

int ecbpf_fail_broken(struct ecbpf *e, const struct change *c)
{
	return ecbpf_fail(e, -EIO,
			  "%s: its chain is broken, %zu of %u members have pins in %s: "
			  "'ecbpf-loader unload --all %s' removes it",
			  c->iface, c->live.count, c->live.config.num_progs_enabled, e->bpffs,
			  c->iface);
}
