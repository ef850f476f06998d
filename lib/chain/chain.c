// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Chains: libxdp's dispatcher, put together and exchanged in one step.
 *
 * The dispatcher program, its configuration, the pins and the locks are libxdp's, so that its tools
 *and ours see the same chain. Putting it together is done here because libxdp can only add and
 * remove: it cannot put a program in the place of another one in one step, it attaches a single
 * program without a dispatcher and says nothing where freplace is missing, and it knows one
 *dispatcher only, which Linux 6.12 and later do not let resize packets (progs/dispatcher.bpf.c).
 *
 * Every change goes the same way, so that it can be killed at any point:
 *
 *	1. beside the live chain: a new dispatcher, all its members linked, all pinned
 *	2. the interface goes over, if it still has the old one: one atomic step, packets see either
 *	3. when no packet is on its way through the old one any more, its pins are removed: a member
 *	   without its link would let such a packet pass
 *
 * For several interfaces 1 is done for all before 2; if 2 fails for one, the others go back. What
 *is killed in between leaves whole chains, and pins that `clean` removes.
 */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/btf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <xdp/libxdp.h>
#include "config.h"
#include "core/internal.h"
#include "progs/dispatcher.skel.h"

#define FUSED_LIST (ECBPF_FUSED_SLOTS * 16) /* room for so many names of stages */
#define RETRIES	   100 /* of a change that lost a race against somebody else's */

struct dispatcher {
	struct xdp_program *xdp; /* libxdp's; NULL if ours */
	struct bpf_object *obj;
	struct bpf_program *prog;
	__u32 protocol;
};

/* A program in a chain, there already (fd) or to be loaded (spec) */
struct member {
	const struct ecbpf_program *spec;
	struct program program;
	char name[64];
	__u32 id;
	__u32 prio;
	__u32 actions;
	bool has_frags;
	bool is_owned;	  /* to be loaded for ecbpf_chain_set(), see struct loaded */
	bool keeps_place; /* priority and actions stay, unless it is told others */
	struct heritage heritage;
	int fd;
	int link_fd;
};

/* What is attached to an interface now */
struct live {
	__u32 id; /* 0: nothing */
	int fd;
	enum ecbpf_mode mode;
	enum ecbpf_chain_kind kind;
	struct dispatcher_config config;
	size_t count;
	struct member members[DISPATCHER_MEMBERS];
};

/* A change to the chain of one interface */
struct change {
	const char *iface;
	int ifindex;
	struct live live;
	enum ecbpf_mode mode;
	size_t count; /* 0: nothing stays */
	struct member members[DISPATCHER_MEMBERS];
	bool is_same;		    /* nothing is to be done */
	bool is_direct;		    /* the only member goes without a dispatcher */
	struct ecbpf_program fused; /* a member, for plan_stage_load() and plan_stage_unload() */
	char stages[FUSED_LIST];
	struct dispatcher dispatcher;
	int fd; /* what will be attached, or -1 */
	__u32 id;
	bool is_pinned;
	bool is_attached;
};

/* --- small things ------------------------------------------------------------------------- */

int ecbpf_prog_info(int fd, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/* The kernel cuts names at 15 characters; BTF has all of them */
void ecbpf_prog_name(const struct bpf_prog_info *info, const struct btf *btf, char *ret,
		     size_t size)
{
	struct bpf_func_info func = {};
	struct bpf_prog_info again = {};
	const struct btf_type *t;
	int fd;

	snprintf(ret, size, "%s", info->name);
	if (!btf || strlen(info->name) < BPF_OBJ_NAME_LEN - 1)
		return;
	fd = bpf_prog_get_fd_by_id(info->id);
	if (fd < 0)
		return;
	again.func_info = (unsigned long)&func;
	again.nr_func_info = 1;
	again.func_info_rec_size = sizeof(func);
	if (!ecbpf_prog_info(fd, &again) && again.nr_func_info) {
		t = btf__type_by_id(btf, func.type_id);
		if (t)
			snprintf(ret, size, "%s", btf__name_by_offset(btf, t->name_off));
	}
	close(fd);
}

static struct btf *prog_btf(const struct bpf_prog_info *info)
{
	return info->btf_id ? btf__load_from_kernel_by_id(info->btf_id) : NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

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

static __u32 mode_flags(enum ecbpf_mode mode)
{
	return mode == ECBPF_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static const char *mode_name(enum ecbpf_mode mode)
{
	return mode == ECBPF_MODE_SKB ? "skb" : mode == ECBPF_MODE_NATIVE ? "native" : "offload";
}

/* --- the dispatcher ----------------------------------------------------------------------- */

static void dispatcher_close(struct dispatcher *d)
{
	if (d->xdp)
		xdp_program__close(d->xdp);
	else
		bpf_object__close(d->obj);
	*d = (struct dispatcher){};
}

static int dispatcher_open(struct ecbpf *e, bool ours, struct dispatcher *ret)
{
	struct dispatcher d = {};
	int err;

	if (ours) {
		LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = DISPATCHER_NAME);
		size_t size;
		const void *bytes = dispatcher_bpf__elf_bytes(&size);

		d.obj = bpf_object__open_mem(bytes, size, &opts);
		err = libbpf_get_error(d.obj);
	} else {
		DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .find_filename = DISPATCHER_FILE,
				    .prog_name = DISPATCHER_NAME);

		d.xdp = xdp_program__create(&opts);
		err = libxdp_get_error(d.xdp);
		if (!err)
			d.obj = xdp_program__bpf_obj(d.xdp);
	}
	if (err)
		return ecbpf_fail(e, err,
				  "cannot open libxdp's dispatcher, %s (package libxdp1): %s",
				  DISPATCHER_FILE, strerror(-err));
	d.prog = bpf_object__find_program_by_name(d.obj, DISPATCHER_NAME);
	if (!d.prog ||
	    !ecbpf_btf_number(bpf_object__btf(d.obj), "xdp_metadata", "dispatcher_version",
			      &d.protocol) ||
	    d.protocol < 2 || d.protocol > 3) {
		dispatcher_close(&d);
		return ecbpf_fail(e, -EPROTO,
				  "libxdp's dispatcher speaks a protocol that is not 2 or 3");
	}
	*ret = d;
	return 0;
}

int ecbpf_dispatcher_protocol(struct ecbpf *e, __u32 *ret_protocol)
{
	struct dispatcher dispatcher = {};
	int err;

	err = dispatcher_open(e, false, &dispatcher);
	if (err)
		return err;
	*ret_protocol = dispatcher.protocol;
	dispatcher_close(&dispatcher);
	return 0;
}

/* Load it with this configuration */
static int dispatcher_load(struct ecbpf *e, struct dispatcher *d,
			   const struct dispatcher_config *config)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	size_t size;
	void *value;
	int err;

	map = bpf_object__next_map(d->obj, NULL);
	value = map ? (void *)bpf_map__initial_value(map, &size) : NULL;
	if (!value || size > sizeof(*config))
		return ecbpf_fail(e, -EPROTO,
				  "libxdp's dispatcher has no configuration of known size");
	memcpy(value, config, size);
	bpf_object__for_each_program (prog, d->obj)
		bpf_program__set_autoload(prog, prog == d->prog);
	if (config->is_xdp_frags)
		bpf_program__set_flags(d->prog, bpf_program__flags(d->prog) | BPF_F_XDP_HAS_FRAGS);
	err = bpf_object__load(d->obj);
	if (err == -EPERM)
		return ecbpf_fail(e, err,
				  "permission denied: must be root, or have CAP_BPF, "
				  "CAP_PERFMON and CAP_NET_ADMIN");
	if (err)
		return ecbpf_fail(e, err, "the kernel refuses libxdp's dispatcher: %s",
				  strerror(-err));
	return 0;
}

int ecbpf_dispatcher_config(int prog_fd, const struct bpf_prog_info *info,
			    struct dispatcher_config *ret_config)
{
	struct dispatcher_config config = {};
	_cleanup_free_ char *value = NULL;
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map;
	__u32 key = 0;

	if (strcmp(info->name, DISPATCHER_NAME) || info->nr_map_ids != 1)
		return -ENOENT;
	fd = ecbpf_prog_map(prog_fd, ".rodata", &map);
	if (fd < 0)
		return fd;
	value = calloc(1, map.value_size);
	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &key, value))
		return -errno;
	memcpy(&config, value, map.value_size < sizeof(config) ? map.value_size : sizeof(config));
	if (config.magic != DISPATCHER_MAGIC)
		return -EPROTO; /* protocol 1 (before libxdp 1.3), or not libxdp's */
	if (config.num_progs_enabled > DISPATCHER_MEMBERS)
		return -EPROTO;
	*ret_config = config;
	return 0;
}

int ecbpf_probe_load(enum bpf_prog_type type, __u32 flags)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = flags);
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(type, "ecbpf_probe", "GPL", insns, ARRAY_SIZE(insns), &opts);
}

int ecbpf_frags_probe(struct ecbpf *e)
{
	int fd;

	if (e->frags > 0) {
		fd = ecbpf_probe_load(BPF_PROG_TYPE_XDP, BPF_F_XDP_HAS_FRAGS);
		e->frags = fd < 0 ? -EOPNOTSUPP : 0;
		close_fd(&fd);
	}
	return e->frags;
}

/* One program out of our dispatcher's object */
static int probe_open(const char *name, struct bpf_object **ret_obj, struct bpf_program **ret_prog)
{
	struct bpf_program *prog;
	const void *bytes;
	size_t size;

	bytes = dispatcher_bpf__elf_bytes(&size);
	*ret_obj = bpf_object__open_mem(bytes, size, NULL);
	if (libbpf_get_error(*ret_obj)) {
		*ret_obj = NULL;
		return -ENOMEM;
	}
	bpf_object__for_each_program (prog, *ret_obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	*ret_prog = bpf_object__find_program_by_name(*ret_obj, name);
	return 0;
}

/* Replace @function of the loaded program @target by program @name, as a chain does */
static int probe_replace(struct bpf_program *target, const char *function, const char *name)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	struct bpf_object *obj = NULL;
	struct bpf_prog_info info = {};
	struct bpf_program *prog;
	int err, link = -1;
	struct btf *btf;

	err = probe_open(name, &obj, &prog);
	if (err)
		return err;
	bpf_program__set_type(prog, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(prog, 0);
	err = bpf_program__set_attach_target(prog, bpf_program__fd(target), function);
	if (!err)
		err = bpf_object__load(obj);
	if (!err)
		err = ecbpf_prog_info(bpf_program__fd(target), &info);
	if (err)
		goto out;
	btf = prog_btf(&info);
	opts.target_btf_id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);
	btf__free(btf);
	link = bpf_link_create(bpf_program__fd(prog), bpf_program__fd(target), 0, &opts);
	err = link < 0 ? -errno : 0;
out:
	close_fd(&link);
	bpf_object__close(obj);
	return err;
}

int ecbpf_freplace_probe(struct ecbpf *e)
{
	struct bpf_program *target;
	struct bpf_object *obj;
	int err;

	if (e->freplace <= 0)
		return e->freplace;
	err = probe_open("xdp_pass", &obj, &target);
	if (!err)
		err = bpf_object__load(obj);
	if (!err)
		err = probe_replace(target, "xdp_pass", "xdp_pass");
	bpf_object__close(obj);
	e->freplace = err;
	return err;
}

int ecbpf_resize_probe(struct ecbpf *e)
{
	struct dispatcher_config config = {
		.magic = DISPATCHER_MAGIC,
		.num_progs_enabled = 2,
	};
	struct dispatcher dispatcher = {};
	int err;

	err = dispatcher_open(e, false, &dispatcher);
	if (err)
		return err;
	config.dispatcher_version = dispatcher.protocol;
	err = dispatcher_load(e, &dispatcher, &config);
	if (!err)
		err = probe_replace(dispatcher.prog, "prog0", "xdp_resize");
	dispatcher_close(&dispatcher);
	return err;
}

/* --- reading ------------------------------------------------------------------------------ */

static void live_close(struct live *live)
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
	btf = prog_btf(&info);
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

static int live_read(struct ecbpf *e, int ifindex, struct live *ret)
{
	struct live live = {.fd = -1};
	struct bpf_prog_info info = {};
	__u32 id = 0;
	int err, lock;

retry:
	err = ecbpf_attached(e, ifindex, &id, &live.mode);
	if (err)
		return err;
	if (!id) {
		*ret = live;
		return 0;
	}
	live.fd = bpf_prog_get_fd_by_id(id);
	if (live.fd < 0 && errno == ENOENT)
		goto retry; /* exchanged meanwhile */
	if (live.fd < 0)
		return ecbpf_fail(e, -errno, "cannot look at XDP program %u: %s%s", id,
				  strerror(errno), errno == EPERM ? " (must be root)" : "");
	live.id = id;
	err = ecbpf_prog_info(live.fd, &info);
	if (!err)
		err = ecbpf_dispatcher_config(live.fd, &info, &live.config);
	if (err) {
		live.kind = ECBPF_CHAIN_SINGLE;
		err = member_from_fd(dup(live.fd), &live.members[0]);
		live.count = 1;
		live.members[0].actions = 0;
		if (err)
			ecbpf_fail(e, err, "XDP program %u: %s", id, strerror(-err));
		goto out;
	}
	live.kind = ECBPF_CHAIN_DISPATCHER;
	lock = ecbpf_libxdp_lock(e);
	if (lock < 0) {
		live.kind = ECBPF_CHAIN_BROKEN; /* without even the directory of pins */
		goto out;
	}
	err = live_members(e, ifindex, &live);
	close(lock);
	if (!err && live.kind == ECBPF_CHAIN_BROKEN) {
		enum ecbpf_mode mode;
		__u32 now = 0;

		/* exchanged while we looked, and its pins removed? */
		if (!ecbpf_attached(e, ifindex, &now, &mode) && now != id) {
			live_close(&live);
			live.fd = -1;
			goto retry;
		}
	}
out:
	if (err)
		live_close(&live);
	else
		*ret = live;
	return err;
}

/* --- changing ----------------------------------------------------------------------------- */

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
	dispatcher_close(&c->dispatcher);
	c->fd = -1;
	c->id = 0;
}

static void change_close(struct ecbpf *e, struct change *c)
{
	change_close_built(e, c);
	live_close(&c->live);
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

/* Why a member could not be linked, in words that help */
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
 * Linux 5.10 refuses a context that goes to a global function in a program that replaces a
 * function, and takes it in the same program attached by itself.
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
	return ecbpf_loaded_write(e, m->fd, m->spec, &m->heritage, &m->program, m->is_owned);
}

static int member_link(struct ecbpf *e, struct change *c, size_t slot)
{
	struct member *m = &c->members[slot];
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	struct bpf_prog_info info = {};
	char function[32];
	struct btf *btf;
	int err;

	/* a single member takes the place of the dispatcher's whole code: one call less */
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
	if (err)
		return ecbpf_fail(e, err, "%s: dispatcher: %s", c->iface, strerror(-err));
	btf = prog_btf(&info);
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

/* No driver needs fragments for packets up to this, and to reckon with them costs a call */
static bool needs_frags(const char *iface)
{
	return ecbpf_iface_mtu(iface) > ETH_DATA_LEN;
}

/* Open the programs that are to be loaded. Again for each try: a loaded object is bound to its
 * target */
static int change_open_programs(struct ecbpf *e, struct change *c)
{
	bool frags = needs_frags(c->iface);
	int err;

	for (size_t i = 0; i < c->count; i++) {
		struct member *m = &c->members[i];
		__u32 prio = m->prio, actions = m->actions;

		if (!m->spec)
			continue;
		m->fd = -1;
		m->link_fd = -1;
		err = ecbpf_program_open(e, m->spec, &m->heritage, frags, &m->program);
		if (err)
			return err;
		snprintf(m->name, sizeof(m->name), "%s", m->program.name);
		m->has_frags = m->program.has_frags;
		m->prio = m->keeps_place && m->spec->prio < 0 ? prio : m->program.prio;
		m->actions = m->keeps_place && !m->spec->actions ? actions : m->program.actions;
	}
	return 0;
}

/* One that replaces another and is told no priority keeps its place, whatever its name */
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
		.is_xdp_frags = !ecbpf_frags_probe(e),
	};
	struct bpf_prog_info info = {};
	int err;

	err = change_open_programs(e, c);
	if (err)
		return err;
	if (may_move(c))
		qsort(c->members, c->count, sizeof(*c->members), member_compare);
	err = dispatcher_open(e, ours, &c->dispatcher);
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
	err = dispatcher_load(e, &c->dispatcher, &config);
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
	return change_pin(e, c);
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
	char error[sizeof(e->error)];
	int err, again;

	if (!c->count)
		return 0;
	if (c->live.kind == ECBPF_CHAIN_SINGLE && c->count == 1 && c->members[0].spec->fused)
		return change_build_direct(e, c);
	err = change_build_dispatcher(e, c, false);
	if (!err)
		return 0;

	/* without freplace: EPERM, EOPNOTSUPP, ENOTSUPP; without the JIT: EINVAL */
	if ((err == -EPERM || err == -EOPNOTSUPP || err == -524 || err == -EINVAL) && c->fd >= 0 &&
	    ecbpf_freplace_probe(e)) {
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
	 * A member that resizes packets, under a dispatcher that does not: EINVAL since 6.12. There
	 * is no telling before; where ours does not help either, the first error is the one to
	 * tell.
	 */
	if (err == -EINVAL && c->dispatcher.protocol == 2 && c->fd >= 0) {
		strcpy(error, e->error);
		change_close_built(e, c);
		again = change_build_dispatcher(e, c, true);
		if (!again) {
			ecbpf_log(e, ECBPF_LOG_INFO,
				  "%s: a program resizes packets: using ecbpf's own dispatcher",
				  c->iface);
			return 0;
		}
		strcpy(e->error, error);
	}
	return err;
}

static int fail_attach(struct ecbpf *e, const struct change *c, int err)
{
	const char *hint = "";

	if (err == -EOPNOTSUPP && c->mode == ECBPF_MODE_NATIVE)
		hint = ": its driver may not do native XDP; '--mode skb' works with any";
	else if (err == -EPERM)
		hint = ": must be root, or have CAP_NET_ADMIN";
	return ecbpf_fail(e, err, "%s: cannot attach in %s mode: %s%s%s%s%s", c->iface,
			  mode_name(c->mode), strerror(-err), *e->kernel_message ? " (" : "",
			  e->kernel_message, *e->kernel_message ? ")" : "", hint);
}

/* Step 2. -EAGAIN: somebody else changed the interface meanwhile */
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
	if (!err) {
		c->is_attached = true;
		return 0;
	}
	if ((err == -EEXIST || err == -EBUSY) && !ecbpf_attached(e, c->ifindex, &now, &mode) &&
	    now != c->live.id)
		return -EAGAIN;
	return fail_attach(e, c, err);
}

/* Undo step 2 */
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
	if (err)
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
	struct stat st;
	__u32 now = 0;
	int err;

	for (size_t slot = 0; slot < c->count && !c->is_direct; slot++) {
		err = ecbpf_member_path(e, path, sizeof(path), c->ifindex, c->id, slot, "link");
		if (err)
			return err;
		if (!stat(path, &st))
			continue;
		err = ecbpf_attached(e, c->ifindex, &now, &mode);
		if (err || now != c->id)
			return err;
		return ecbpf_fail(e, -EIO, "%s: %s vanished", c->iface, path);
	}
	return 0;
}

/*
 * The kernel does this for those who update a map of maps, so that they know which inner map is in
 * use (bpf_map_update_elem(), since Linux 5.0).
 */
void ecbpf_wait_for_packets(struct ecbpf *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	__u32 key = 0;
	int inner, outer = -1;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ecbpf_wait", sizeof(key), sizeof(key), 1, NULL);
	if (inner >= 0) {
		opts.inner_map_fd = inner;
		outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "ecbpf_wait", sizeof(key),
				       sizeof(key), 1, &opts);
	}
	if (outer < 0 || bpf_map_update_elem(outer, &key, &inner, BPF_ANY)) {
		ecbpf_log(e, ECBPF_LOG_WARN, "cannot wait for packets on their way: %s",
			  strerror(errno));
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000L}, NULL);
	}
	close_fd(&outer);
	close_fd(&inner);
}

/* Steps 1 to 3 for all, or none */
static int commit(struct ecbpf *e, struct change *changes, size_t count)
{
	size_t attached = 0;
	int err = 0, lock;

	for (size_t i = 0; i < count && !err; i++)
		err = change_build(e, &changes[i]);
	for (; attached < count && !err; attached++) {
		err = change_attach(e, &changes[attached]);
		if (err)
			break;
	}
	for (size_t i = 0; i < count && !err; i++)
		err = change_verify(e, &changes[i]);
	if (err) {
		for (size_t i = 0; i < attached; i++)
			change_detach(e, &changes[i]);
		if (attached)
			ecbpf_wait_for_packets(e);
		return err;
	}

	ecbpf_wait_for_packets(e);
	lock = ecbpf_libxdp_lock(e);
	for (size_t i = 0; i < count; i++) {
		const struct live *live = &changes[i].live;

		if (!changes[i].count)
			ecbpf_log(e, ECBPF_LOG_INFO, "%s: nothing attached any more",
				  changes[i].iface);
		else
			ecbpf_log(e, ECBPF_LOG_INFO, "%s: %zu program%s in %s mode, %s id %u",
				  changes[i].iface, changes[i].count,
				  changes[i].count > 1 ? "s" : "", mode_name(changes[i].mode),
				  changes[i].is_direct ? "program" : "dispatcher", changes[i].id);

		/* it works; pins that could not be removed are for `clean` and no failure */
		if (live->kind == ECBPF_CHAIN_DISPATCHER &&
		    ecbpf_unpin_dispatcher(e, changes[i].ifindex, live->id))
			ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	}
	close_fd(&lock);
	return 0;
}

/* Fills in what the new chain of one interface is to be, from changes[i].live */
typedef int (*plan_fn)(struct ecbpf *e, struct change *c, void *data);

/*
 * Read what is attached to each interface, and plan. @changes[@ret_count]: those with something to
 * do, and on failure all that are to be closed
 */
static int changes_plan(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
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
			err = live_read(e, c->ifindex, &c->live);
		if (!err)
			err = plan(e, c, data);
		if (!err && c->is_same)
			change_close(e, c);
		else
			n++;
	}
	*ret_count = n;
	return err;
}

/* Read, plan, commit; from the start when somebody else was faster */
static int change_chains(struct ecbpf *e, const char *const *ifaces, size_t count, plan_fn plan,
			 void *data)
{
	_cleanup_free_ struct change *changes = NULL;
	_cleanup_close_ int lock = -1;
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	for (int try = 0; try < RETRIES; try++) {
		size_t n = 0;

		changes = calloc(count, sizeof(*changes));
		if (!changes)
			return ecbpf_fail(e, -ENOMEM, "out of memory");
		err = changes_plan(e, ifaces, count, plan, data, changes, &n);
		if (!err && n)
			err = commit(e, changes, n);
		for (size_t i = 0; i < n; i++)
			change_close(e, &changes[i]);
		if (err != -EAGAIN)
			return err;
		free(changes);
		changes = NULL;
		nanosleep(&(struct timespec){.tv_nsec = (1 + rand() % 20) * 1000000L}, NULL);
	}
	return ecbpf_fail(e, -EBUSY, "%s: somebody else keeps changing its XDP programs",
			  ifaces[0]);
}

static int fail_single(struct ecbpf *e, const struct change *c)
{
	const struct member *m = &c->live.members[0];

	return ecbpf_fail(e, -EBUSY,
			  "%s: program '%s' (id %u) is attached without a dispatcher: "
			  "'ecbpf-loader unload --all %s' removes it",
			  c->iface, m->name, m->id, c->iface);
}

static int fail_mode(struct ecbpf *e, const struct change *c, enum ecbpf_mode mode)
{
	return ecbpf_fail(e, -EBUSY, "%s: its chain is in %s mode, not %s", c->iface,
			  mode_name(c->live.mode), mode_name(mode));
}

static int fail_broken(struct ecbpf *e, const struct change *c)
{
	return ecbpf_fail(e, -EIO,
			  "%s: its chain is broken, %zu of %u members have pins in %s: "
			  "'ecbpf-loader unload --all %s' removes it",
			  c->iface, c->live.count, c->live.config.num_progs_enabled, e->bpffs,
			  c->iface);
}

/* --- load, unload, replace ---------------------------------------------------------------- */

struct load {
	const struct ecbpf_program *programs;
	size_t count;
	enum ecbpf_mode mode;
};

static int plan_load(struct ecbpf *e, struct change *c, void *data)
{
	const struct load *load = data;

	if (c->live.kind == ECBPF_CHAIN_SINGLE)
		return fail_single(e, c);
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return fail_broken(e, c);
	if (c->live.id && load->mode != ECBPF_MODE_UNSPEC && load->mode != c->live.mode)
		return fail_mode(e, c, load->mode);
	c->mode = c->live.id ? c->live.mode : load->mode ? load->mode : ECBPF_MODE_NATIVE;
	if (c->live.count + load->count > DISPATCHER_MEMBERS)
		return ecbpf_fail(e, -E2BIG,
				  "%s: %zu programs and %zu more: a chain has %d at most", c->iface,
				  c->live.count, load->count, DISPATCHER_MEMBERS);
	memcpy(c->members, c->live.members, sizeof(c->live.members));
	c->count = c->live.count;
	for (size_t i = 0; i < load->count; i++)
		c->members[c->count++] = (struct member){.spec = &load->programs[i],
							 .heritage = {.fd = -1},
							 .fd = -1,
							 .link_fd = -1};
	return 0;
}

int ecbpf_chain_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		     const struct ecbpf_program *programs, size_t programs_count,
		     enum ecbpf_mode mode)
{
	struct load load = {.programs = programs, .count = programs_count, .mode = mode};

	if (!ifaces_count || !programs_count)
		return ecbpf_fail(e, -EINVAL, "nothing to load, or no interface");
	return change_chains(e, ifaces, ifaces_count, plan_load, &load);
}

/* A member is meant by its program's name or by its stage's */
static bool is_named(const struct member *m, const char *name)
{
	return !strcmp(m->name, name) ||
	       (!strncmp(m->name, "ecbpf_", 6) && !strcmp(m->name + 6, name));
}

static int plan_unload(struct ecbpf *e, struct change *c, void *data)
{
	const struct ecbpf_selector *s = data;

	if (!c->live.id)
		return ecbpf_fail(e, -ENOENT, "%s: no XDP program loaded", c->iface);
	c->mode = c->live.mode;
	if (s->all)
		return 0;
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return fail_broken(e, c);
	for (size_t i = 0; i < c->live.count; i++) {
		const struct member *m = &c->live.members[i];

		if ((s->id && m->id == s->id) || (s->name && is_named(m, s->name)))
			continue;
		c->members[c->count++] = *m;
	}
	if (c->count < c->live.count)
		return 0;
	if (s->name)
		return ecbpf_fail(e, -ENOENT, "%s: no program '%s' in its chain", c->iface,
				  s->name);
	return ecbpf_fail(e, -ENOENT, "%s: no program with id %u in its chain", c->iface, s->id);
}

int ecbpf_chain_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		       const struct ecbpf_selector *selector)
{
	if (!ifaces_count || (!selector->all && !selector->id && !selector->name))
		return ecbpf_fail(e, -EINVAL, "nothing to unload, or no interface");
	return change_chains(e, ifaces, ifaces_count, plan_unload, (void *)selector);
}

struct replace {
	const char *name;
	const struct ecbpf_program *program;
};

static int plan_replace(struct ecbpf *e, struct change *c, void *data)
{
	const struct replace *r = data;
	struct member *found = NULL;

	if (!c->live.id)
		return ecbpf_fail(e, -ENOENT, "%s: no XDP program loaded", c->iface);
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return fail_broken(e, c);
	c->mode = c->live.mode;
	memcpy(c->members, c->live.members, sizeof(c->live.members));
	c->count = c->live.count;
	for (size_t i = 0; i < c->count; i++) {
		struct member *m = &c->members[i];

		if (!is_named(m, r->name))
			continue;
		if (found)
			return ecbpf_fail(e, -EINVAL, "%s: more than one program '%s'", c->iface,
					  r->name);
		found = m;
	}
	if (!found)
		return ecbpf_fail(e, -ENOENT, "%s: no program '%s' in its chain", c->iface,
				  r->name);
	if (c->live.kind == ECBPF_CHAIN_SINGLE && !r->program->fused)
		return fail_single(e, c);
	found->heritage.fd = found->fd; /* stays open with c->live */
	found->keeps_place = true;
	found->spec = r->program;
	found->fd = -1;
	return 0;
}

int ecbpf_chain_replace(struct ecbpf *e, const char *iface, const char *name,
			const struct ecbpf_program *program)
{
	struct replace r = {.name = name, .program = program};

	return change_chains(e, &iface, 1, plan_replace, &r);
}

/* --- one stage ---------------------------------------------------------------------------- */

struct stage {
	__u32 stage;
	bool is_fused;
	struct load load;
	struct ecbpf_program program;
};

static __u32 stage_prio(__u32 stage)
{
	switch (stage) {
#define X(value, NAME, name, prio, text) \
	case value:                      \
		return prio;
		ECBPF_STAGES(X)
#undef X
	}
	return ECBPF_FUSED_PRIO;
}

/* The stages of a member, of which ecbpf_fused has several. Return: how many; 0: it is not ours */
static size_t member_stages(const struct member *m, struct fused_layout *ret)
{
	size_t count = 0;

	*ret = (struct fused_layout){};
	if (!strcmp(m->name, "ecbpf_fused")) {
		if (ecbpf_fused_layout(m->fd, ret))
			return 0;
		while (count < ECBPF_FUSED_SLOTS && ret->stages[count])
			count++;
		return count;
	}
#define X(value, NAME, stage, prio, text)      \
	if (!strcmp(m->name, "ecbpf_" #stage)) \
		ret->stages[count++] = value;
	ECBPF_STAGES(X)
#undef X
	return count;
}

/* Member @m, an ecbpf_fused, is to go on with these stages: its counters and settings stay */
static int member_go_on(struct ecbpf *e, struct change *c, struct member *m, const __u8 *stages,
			size_t count)
{
	size_t len = 0;

	if (c->fused.fused)
		return ecbpf_fail(e, -EBUSY,
				  "%s: more than one ecbpf_fused in its chain: see "
				  "'ecbpf-loader replace'",
				  c->iface);
	for (size_t i = 0; i < count; i++)
		len += snprintf(c->stages + len, sizeof(c->stages) - len, "%s%s", i ? "," : "",
				ecbpf_stage_name(stages[i]) ?: "?");
	c->fused = (struct ecbpf_program){.fused = c->stages, .prio = -1};
	m->heritage = (struct heritage){.fd = m->fd, .has_constants = true};
	m->keeps_place = true;
	m->spec = &c->fused;
	m->fd = -1;
	return 0;
}

static int plan_stage_load(struct ecbpf *e, struct change *c, void *data)
{
	const struct stage *s = data;
	struct fused_layout layout, found_layout;
	struct member *found = NULL;
	size_t found_count = 0, at = 0;
	int err;

	for (size_t i = 0; i < c->live.count; i++) {
		struct member *m = &c->live.members[i];
		size_t count = member_stages(m, &layout);

		if (memchr(layout.stages, s->stage, count))
			return ecbpf_fail(e, -EEXIST, "%s: stage %s is loaded already", c->iface,
					  ecbpf_stage_name(s->stage));
		if (found || !s->is_fused || strcmp(m->name, "ecbpf_fused"))
			continue;
		found = &c->members[i];
		found_layout = layout;
		found_count = count;
	}
	if (!found || !found_count)
		return plan_load(e, c, (void *)&s->load);
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return fail_broken(e, c);
	if (s->load.mode != ECBPF_MODE_UNSPEC && s->load.mode != c->live.mode)
		return fail_mode(e, c, s->load.mode);
	if (found_count == ECBPF_FUSED_SLOTS)
		return ecbpf_fail(e, -E2BIG, "%s: ecbpf_fused runs %d stages already", c->iface,
				  ECBPF_FUSED_SLOTS);
	while (at < found_count && stage_prio(found_layout.stages[at]) <= stage_prio(s->stage))
		at++;
	memmove(found_layout.stages + at + 1, found_layout.stages + at, found_count - at);
	found_layout.stages[at] = s->stage;
	c->mode = c->live.mode;
	memcpy(c->members, c->live.members, sizeof(c->live.members));
	c->count = c->live.count;
	err = member_go_on(e, c, found, found_layout.stages, found_count + 1);
	/* what has to run early does so before others of the chain, too */
	if (c->live.kind == ECBPF_CHAIN_DISPATCHER && stage_prio(s->stage) < found->prio)
		c->fused.prio = stage_prio(s->stage);
	return err;
}

int ecbpf_chain_load_stage(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			   __u32 stage, bool is_fused, enum ecbpf_mode mode)
{
	struct stage s = {.stage = stage, .is_fused = is_fused, .program = ECBPF_PROGRAM_INIT};

	if (!ifaces_count || !ecbpf_stage_name(stage))
		return ecbpf_fail(e, -EINVAL, "nothing to load, or no interface");
	if (is_fused) {
		s.program.fused = ecbpf_stage_name(stage);
		s.program.prio = stage_prio(stage);
	} else {
		s.program.file = ecbpf_stage_name(stage);
		s.program.is_stage = true;
	}
	s.load = (struct load){.programs = &s.program, .count = 1, .mode = mode};
	return change_chains(e, ifaces, ifaces_count, plan_stage_load, &s);
}

static int plan_stage_unload(struct ecbpf *e, struct change *c, void *data)
{
	const struct stage *s = data;
	struct fused_layout layout;
	bool is_found = false;
	int err;

	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return fail_broken(e, c);
	c->mode = c->live.mode;
	for (size_t i = 0; i < c->live.count; i++) {
		size_t count = member_stages(&c->live.members[i], &layout), left = 0;
		struct member *m = &c->members[c->count];

		*m = c->live.members[i];
		if (!memchr(layout.stages, s->stage, count)) {
			c->count++;
			continue;
		}
		is_found = true;
		for (size_t slot = 0; slot < count; slot++) {
			if (layout.stages[slot] != s->stage)
				layout.stages[left++] = layout.stages[slot];
		}
		if (!left)
			continue;
		c->count++;
		err = member_go_on(e, c, m, layout.stages, left);
		if (err)
			return err;
	}
	return is_found ? 0
			: ecbpf_fail(e, -ENOENT, "%s: stage %s is not loaded", c->iface,
				     ecbpf_stage_name(s->stage));
}

int ecbpf_chain_unload_stage(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			     __u32 stage)
{
	struct stage s = {.stage = stage};

	if (!ifaces_count || !ecbpf_stage_name(stage))
		return ecbpf_fail(e, -EINVAL, "nothing to unload, or no interface");
	return change_chains(e, ifaces, ifaces_count, plan_stage_unload, &s);
}

/* --- set -------------------------------------------------------------------------------- */

/* What a wanted program is, from its object file */
struct identity {
	const struct ecbpf_program *spec;
	bool frags;
	char name[64];
	__u32 prio;
	__u32 actions;
	__u64 fingerprint;
};

struct set {
	const struct ecbpf_chain_want *wants;
	size_t count;
	struct identity *identities; /* made once, not for each interface */
	size_t identities_count;
	struct ecbpf_chain_change *changes;
	size_t changes_count;
};

/* A member that is there, and what becomes of it */
struct present {
	struct loaded loaded;
	bool is_owned;
	const struct identity *wanted;
};

static int identify(struct ecbpf *e, struct set *set, const struct ecbpf_program *spec, bool frags,
		    struct identity *ret)
{
	struct identity *identities;
	struct program program;
	int err;

	for (size_t i = 0; i < set->identities_count; i++) {
		*ret = set->identities[i];
		if (ret->spec == spec && ret->frags == frags)
			return 0;
	}
	err = ecbpf_program_open(e, spec, NULL, frags, &program);
	if (err)
		return err;
	*ret = (struct identity){
		.spec = spec,
		.frags = frags,
		.prio = program.prio,
		.actions = program.actions,
		.fingerprint = program.fingerprint,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", program.name);
	ecbpf_program_close(&program);
	identities = reallocarray(set->identities, set->identities_count + 1, sizeof(*identities));
	if (!identities)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	set->identities = identities;
	identities[set->identities_count++] = *ret;
	return 0;
}

static int set_note(struct ecbpf *e, struct set *set, const struct change *c,
		    enum ecbpf_change_kind kind, const struct member *m)
{
	struct ecbpf_chain_change *changes;

	changes = reallocarray(set->changes, set->changes_count + 1, sizeof(*changes));
	if (!changes)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	set->changes = changes;
	changes += set->changes_count++;
	*changes =
		(struct ecbpf_chain_change){.kind = kind, .prio = m->prio, .actions = m->actions};
	snprintf(changes->iface, sizeof(changes->iface), "%s", c->iface);
	snprintf(changes->name, sizeof(changes->name), "%s", m->name);
	return 0;
}

/* Is it one that ecbpf_chain_set() is to keep, change or remove? */
static bool is_owned(int fd, const struct loaded *loaded)
{
	struct bpf_prog_info info = {};
	struct btf *btf;
	__u32 schema;

	if (loaded->is_owned)
		return true;
	if (ecbpf_prog_info(fd, &info))
		return false;
	btf = prog_btf(&info);
	schema = ecbpf_btf_schema(btf);
	btf__free(btf);
	return schema;
}

/* Which of those that are there a wanted one is: the same, or else one of its name; NULL: none */
static struct present *present_find(const struct live *live, struct present *present,
				    const struct identity *wanted, bool is_same)
{
	for (size_t i = 0; i < live->count; i++) {
		struct present *p = &present[i];

		if (p->is_owned && !p->wanted && !strcmp(live->members[i].name, wanted->name) &&
		    (!is_same || p->loaded.fingerprint == wanted->fingerprint))
			return p;
	}
	return NULL;
}

/* @old_fd: of the program that it takes the place of; -1: none */
static struct member member_wanted(const struct identity *wanted, int old_fd)
{
	struct member m = {
		.spec = wanted->spec,
		.prio = wanted->prio,
		.actions = wanted->actions,
		.is_owned = true,
		.heritage = {.fd = old_fd},
		.fd = -1,
		.link_fd = -1,
	};

	snprintf(m.name, sizeof(m.name), "%s", wanted->name);
	return m;
}

/* One that is there: what becomes of it goes into the change */
static int plan_present(struct ecbpf *e, struct set *set, struct change *c, size_t slot,
			const struct present *p, bool is_reloaded)
{
	struct member m = c->live.members[slot];
	const struct identity *wanted = p->wanted;

	if (p->is_owned && !wanted)
		return set_note(e, set, c, ECBPF_CHANGE_REMOVE, &m);
	if (wanted && (p->loaded.fingerprint != wanted->fingerprint || is_reloaded)) {
		m = member_wanted(wanted, m.fd);
		c->members[c->count++] = m;
		return set_note(e, set, c, ECBPF_CHANGE_REPLACE, &m);
	}
	if (!wanted || c->live.kind == ECBPF_CHAIN_SINGLE ||
	    (m.prio == wanted->prio && m.actions == wanted->actions)) {
		c->members[c->count++] = m;
		return 0;
	}
	m.prio = wanted->prio;
	m.actions = wanted->actions;
	c->members[c->count++] = m;
	return set_note(e, set, c, ECBPF_CHANGE_MOVE, &m);
}

/* Can the chain be one of ours at all? */
static int set_check(struct ecbpf *e, const struct change *c, const struct ecbpf_chain_want *want,
		     const struct present *present, size_t foreign)
{
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return fail_broken(e, c);
	if (c->live.kind == ECBPF_CHAIN_SINGLE && !present[0].is_owned)
		return fail_single(e, c);
	if (c->live.id && want->programs_count && want->mode != ECBPF_MODE_UNSPEC &&
	    want->mode != c->live.mode)
		return ecbpf_fail(e, -EBUSY,
				  "%s: its chain is in %s mode, not %s; 'ecbpf-loader unload --all "
				  "%s' comes first",
				  c->iface, mode_name(c->live.mode), mode_name(want->mode),
				  c->iface);
	if (foreign + want->programs_count > DISPATCHER_MEMBERS)
		return ecbpf_fail(e, -E2BIG,
				  "%s: %zu programs, and %zu of others: a chain has %d at most",
				  c->iface, want->programs_count, foreign, DISPATCHER_MEMBERS);
	return 0;
}

static int plan_wanted(struct ecbpf *e, struct set *set, struct change *c,
		       const struct ecbpf_chain_want *want, struct present *present)
{
	struct identity wanted[DISPATCHER_MEMBERS];
	bool is_there[DISPATCHER_MEMBERS] = {}, is_reloaded;
	size_t before = set->changes_count;
	int err = 0;

	for (size_t i = 0; i < want->programs_count; i++) {
		err = identify(e, set, &want->programs[i], needs_frags(c->iface), &wanted[i]);
		if (err)
			return err;
	}
	/* what is the same already comes first, that it is left alone */
	for (int is_same = 1; is_same >= 0; is_same--) {
		for (size_t i = 0; i < want->programs_count; i++) {
			struct present *p;

			p = is_there[i] ? NULL
					: present_find(&c->live, present, &wanted[i], is_same);
			if (!p)
				continue;
			p->wanted = &wanted[i];
			is_there[i] = true;
		}
	}
	/* one that is attached without a dispatcher cannot be linked into one */
	is_reloaded = c->live.kind == ECBPF_CHAIN_SINGLE && want->programs_count > 1;
	for (size_t slot = 0; slot < c->live.count && !err; slot++)
		err = plan_present(e, set, c, slot, &present[slot], is_reloaded);
	for (size_t i = 0; i < want->programs_count && !err; i++) {
		if (is_there[i])
			continue;
		c->members[c->count] = member_wanted(&wanted[i], -1);
		err = set_note(e, set, c, ECBPF_CHANGE_ADD, &c->members[c->count++]);
	}
	c->is_same = set->changes_count == before;
	return err;
}

static int plan_set(struct ecbpf *e, struct change *c, void *data)
{
	_cleanup_free_ struct present *present = calloc(DISPATCHER_MEMBERS, sizeof(*present));
	struct set *set = data;
	const struct ecbpf_chain_want *want = set->wants;
	size_t owned = 0;
	int err;

	if (!present)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	while (want->iface != c->iface)
		want++;
	if (want == set->wants)
		set->changes_count = 0; /* from the start: somebody else was faster */
	for (size_t i = 0; i < c->live.count; i++) {
		ecbpf_loaded_read(c->live.members[i].fd, &present[i].loaded);
		present[i].is_owned = is_owned(c->live.members[i].fd, &present[i].loaded);
		owned += present[i].is_owned;
	}
	if (!owned && !want->programs_count) {
		c->is_same = true;
		return 0;
	}
	err = set_check(e, c, want, present, c->live.count - owned);
	if (err)
		return err;
	c->mode = c->live.id ? c->live.mode : want->mode ? want->mode : ECBPF_MODE_NATIVE;
	return plan_wanted(e, set, c, want, present);
}

/* The plan alone: nothing is locked, nothing made */
static int set_plan(struct ecbpf *e, const char *const *ifaces, size_t count, struct set *set)
{
	_cleanup_free_ struct change *changes = calloc(count + 1, sizeof(*changes));
	size_t n = 0;
	int err;

	if (!changes)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = changes_plan(e, ifaces, count, plan_set, set, changes, &n);
	for (size_t i = 0; i < n; i++)
		change_close(e, &changes[i]);
	return err;
}

int ecbpf_chain_set(struct ecbpf *e, const struct ecbpf_chain_want *wants, size_t count, bool check,
		    struct ecbpf_chain_change **ret_changes, size_t *ret_count)
{
	_cleanup_free_ const char **ifaces = calloc(count + 1, sizeof(*ifaces));
	struct set set = {.wants = wants, .count = count};
	size_t n = 0;
	int err;

	if (!ifaces)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (wants[i].programs_count > DISPATCHER_MEMBERS)
			return ecbpf_fail(e, -E2BIG, "%s: %zu programs: a chain has %d at most",
					  wants[i].iface, wants[i].programs_count,
					  DISPATCHER_MEMBERS);
		/* one that is to have nothing, and is gone meanwhile, has nothing */
		if (wants[i].programs_count || if_nametoindex(wants[i].iface))
			ifaces[n++] = wants[i].iface;
	}
	err = set_plan(e, ifaces, n, &set);
	if (!err && set.changes_count && !check)
		err = change_chains(e, ifaces, n, plan_set, &set);
	free(set.identities);
	if (err) {
		free(set.changes);
		return err;
	}
	*ret_changes = set.changes;
	*ret_count = set.changes_count;
	return 0;
}

int ecbpf_chain_owned(struct ecbpf *e, const char *iface, struct owned *ret_members,
		      size_t *ret_count, enum ecbpf_mode *ret_mode)
{
	struct live live = {.fd = -1};
	size_t count = 0;
	int err, ifindex;

	ecbpf_capture(e);
	ifindex = ecbpf_iface_index(e, iface);
	if (ifindex < 0)
		return ifindex;
	ecbpf_bpffs_open(e, false);
	err = live_read(e, ifindex, &live);
	if (err)
		return err;
	for (size_t i = 0; i < live.count; i++) {
		const struct member *m = &live.members[i];
		struct owned *owned = &ret_members[count];

		*owned = (struct owned){.prio = m->prio, .actions = m->actions};
		ecbpf_loaded_read(m->fd, &owned->loaded);
		if (!is_owned(m->fd, &owned->loaded))
			continue;
		owned->has_place = live.kind != ECBPF_CHAIN_SINGLE;
		memcpy(owned->name, m->name, sizeof(owned->name));
		count++;
	}
	*ret_mode = live.mode;
	*ret_count = count;
	live_close(&live);
	return 0;
}

/* --- inspecting --------------------------------------------------------------------------- */

/* The kernel counts from boot */
static __u64 load_time(const struct bpf_prog_info *info)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return ((real.tv_sec - boot.tv_sec) * 1000000000LL + real.tv_nsec - boot.tv_nsec +
		(long long)info->load_time) /
	       1000000000LL;
}

static int member_inspect(struct ecbpf *e, const struct live *live, const struct member *m,
			  struct ecbpf_member *ret)
{
	struct bpf_prog_info info = {};
	struct btf *btf;
	int err;

	err = ecbpf_prog_info(m->fd, &info);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", m->name, strerror(-err));
	memcpy(ret->name, m->name, sizeof(ret->name));
	ret->id = info.id;
	memcpy(ret->tag, info.tag, sizeof(ret->tag));
	ret->prio = m->prio;
	ret->actions = m->actions;
	ret->load_time_s = load_time(&info);
	ret->has_link = live->kind == ECBPF_CHAIN_SINGLE;
	btf = prog_btf(&info);
	ret->schema = ecbpf_btf_schema(btf);
	btf__free(btf);
	ret->is_ours = ret->schema;
	if (ret->schema != ECBPF_SCHEMA)
		return 0;
	return ecbpf_counters_read(e, m->fd, ret);
}

int ecbpf_chain_get(struct ecbpf *e, const char *iface, struct ecbpf_chain **ret_chain)
{
	struct live live = {.fd = -1};
	struct bpf_prog_info info = {};
	struct ecbpf_chain *chain;
	char path[PATH_MAX];
	struct stat st;
	__u32 number;
	struct btf *btf;
	int err, ifindex;

	ecbpf_capture(e);
	ifindex = ecbpf_iface_index(e, iface);
	if (ifindex < 0)
		return ifindex;
	/* without a BPF file system a single program can still be seen */
	ecbpf_bpffs_open(e, false);
	err = live_read(e, ifindex, &live);
	if (err)
		return err;
	chain = calloc(1, sizeof(*chain));
	if (chain)
		chain->members = calloc(DISPATCHER_MEMBERS, sizeof(*chain->members));
	if (!chain || !chain->members) {
		err = ecbpf_fail(e, -ENOMEM, "out of memory");
		goto out;
	}
	snprintf(chain->iface, sizeof(chain->iface), "%s", iface);
	chain->ifindex = ifindex;
	chain->kind = live.id ? live.kind : ECBPF_CHAIN_NONE;
	chain->mode = live.mode;
	if (live.id && live.kind != ECBPF_CHAIN_SINGLE) {
		err = ecbpf_prog_info(live.fd, &info);
		if (err) {
			ecbpf_fail(e, err, "%s: %s", iface, strerror(-err));
			goto out;
		}
		chain->id = info.id;
		memcpy(chain->tag, info.tag, sizeof(chain->tag));
		snprintf(chain->name, sizeof(chain->name), "%s", info.name);
		chain->protocol = live.config.dispatcher_version;
		chain->has_frags = live.config.is_xdp_frags;
		btf = prog_btf(&info);
		chain->is_ours = ecbpf_btf_number(btf, "xdp_metadata", "ecbpf_dispatcher", &number);
		btf__free(btf);
	}
	for (size_t slot = 0; slot < live.count; slot++) {
		err = member_inspect(e, &live, &live.members[slot], &chain->members[slot]);
		if (err)
			goto out;
		chain->members_count++;
		if (live.kind == ECBPF_CHAIN_SINGLE)
			continue;
		err = ecbpf_member_path(e, path, sizeof(path), ifindex, live.id, slot, "link");
		if (err)
			goto out;
		chain->members[slot].has_link = !stat(path, &st);
	}
	*ret_chain = chain;
	chain = NULL;
out:
	ecbpf_chain_free(chain);
	live_close(&live);
	return err;
}

void ecbpf_chain_free(struct ecbpf_chain *chain)
{
	if (!chain)
		return;
	free(chain->members);
	free(chain);
}

/* --- clean, features ---------------------------------------------------------------------- */

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

/* What ecbpf_netns_mark() left of dispatchers that somebody else's tool removed */
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
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	lock = ecbpf_lock(e);
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

int ecbpf_features(struct ecbpf *e, const char *iface, __u64 *ret_features)
{
#ifdef HAVE_XDP_FEATURE_FLAGS
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int ifindex, err;

	ecbpf_capture(e);
	ifindex = ecbpf_iface_index(e, iface);
	if (ifindex < 0)
		return ifindex;
	err = bpf_xdp_query(ifindex, 0, &opts);
	if (err)
		return ecbpf_fail(e, err, "%s: cannot ask for its XDP features: %s", iface,
				  strerror(-err));
	*ret_features = opts.feature_flags;
	return 0;
#else
	int ifindex = ecbpf_iface_index(e, iface);

	(void)ret_features;
	if (ifindex < 0)
		return ifindex;
	return ecbpf_fail(e, -EOPNOTSUPP,
			  "%s: cannot tell its XDP features: built with a libbpf before 1.3",
			  iface);
#endif
}
