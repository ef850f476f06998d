// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loading the fast path on interfaces, or unloading it.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <bpf/libbpf.h>
#include "bpf/lock.h"
#include "bpf/pins.h"
#include "bpf/transaction.h"
#include "chain/live.h"
#include "bpf/program.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/privilege.h"
#include "core/reserve.h"
#include "fastpath/fastpath.h"

/* NETDEV_XDP_ACT_NDO_XMIT; not in the headers of Linux 6.1 */
#define FEATURE_NDO_XMIT (1 << 2)

#define RESERVED 1 /* descriptors: a program, or a socket, to attach or detach at TC */

static int check_ifaces(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	if (!load->in_count && !load->out_count)
		return ecbpf_fail(e, -EINVAL, "no interface");
	for (size_t i = 0; i < load->out_count; i++) {
		int ifindex = ecbpf_iface_index(e, load->out[i]);

		if (ifindex < 0)
			return ifindex;
	}
	for (size_t i = 0; i < load->in_count; i++) {
		struct ecbpf_chain *chain;
		bool is_there;
		int err;

		err = ecbpf_chain_get(e, load->in[i], &chain);
		if (err)
			return err;
		is_there = fastpath_in_chain(chain, NULL);
		ecbpf_chain_free(chain);
		if (is_there)
			return ecbpf_fail(
				e, -EEXIST,
				"%s: the fast path is loaded already; 'ecbpf-fastpath unload' "
				"removes it",
				load->in[i]);
	}
	return 0;
}

static int xdp_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	if (!load->in_count)
		return 0;
	return ecbpf_chain_load_stage(e, load->in, load->in_count, ECBPF_STAGE_FASTPATH,
				      load->is_fused, load->mode);
}

/* @ret_undo: interfaces that did not have the TC program before */
static int egress_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load, int prog_fd,
		       int *ret_undo, size_t *ret_undo_count)
{
	for (size_t i = 0; i < load->in_count + load->out_count; i++) {
		const char *iface =
			i < load->in_count ? load->in[i] : load->out[i - load->in_count];
		int ifindex = ecbpf_iface_index(e, iface), err;
		bool is_there;

		if (ifindex < 0)
			return ifindex;
		err = fastpath_egress_is_there(e, ifindex, &is_there);
		if (err)
			return err;
		if (!is_there)
			ret_undo[(*ret_undo_count)++] = ifindex;
		err = fastpath_egress_attach(e, iface, ifindex, prog_fd);
		if (err)
			return err;
	}
	return 0;
}

/* The driver has XDP, but cannot send redirected packets in its current setup */
static bool iface_cannot_xmit(struct ecbpf *e, const char *iface)
{
	__u64 features = 0;

	return !ecbpf_features(e, iface, &features) && features && !(features & FEATURE_NDO_XMIT);
}

/* Warn of setups in which the kernel loses packets silently */
static void load_warn(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	bool is_native = false;

	for (size_t i = 0; i < load->in_count; i++) {
		enum ecbpf_mode mode = ECBPF_MODE_UNSPEC;
		char fix[ECBPF_IFACE_FIX];
		__u32 id;

		if (ecbpf_attached(e, ecbpf_iface_index(e, load->in[i]), &id, &mode))
			continue;
		is_native |= mode == ECBPF_MODE_NATIVE;
		if (ecbpf_iface_takes_tags(load->in[i], fix))
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "%s: VLAN tags are removed before XDP sees the packets, so those "
				  "of other VLANs may be forwarded%s; run '%s'",
				  load->in[i],
				  mode == ECBPF_MODE_SKB ? ", and leave with their tags" : "", fix);
		if (ecbpf_iface_is_veth(load->in[i]))
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "%s: a veth passes packets on before their checksum is "
				  "complete; these are not forwarded; run 'ethtool -K PEER tx off' "
				  "on its peer",
				  load->in[i]);
	}
	if (!is_native || load->in_count + load->out_count < 2)
		return;
	for (size_t i = 0; i < load->in_count + load->out_count; i++) {
		const char *iface =
			i < load->in_count ? load->in[i] : load->out[i - load->in_count];

		if (iface_cannot_xmit(e, iface))
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "%s: drops packets that are redirected to it; run 'ecbpf-loader "
				  "load %s pass', for a veth on its peer",
				  iface, iface);
	}
}

/* Interfaces that did not have the TC program before lose it, and are ports no more */
static void load_undo(struct ecbpf *e, int ports_fd, const int *ifindexes, size_t count)
{
	struct saved_error error;

	ecbpf_error_save(e, &error);
	for (size_t i = 0; i < count; i++) {
		bpf_map_delete_elem(ports_fd, &ifindexes[i]);
		if (fastpath_egress_detach(e, ifindexes[i]))
			ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	}
	ecbpf_error_restore(e, &error);
}

static int load_all(struct ecbpf *e, const struct ecbpf_fastpath_load *load, int prog_fd,
		    struct ecbpf_fastpath *settings, __u32 groups)
{
	_cleanup_close_ int ports_fd = -1; /* open before the first change, for the way back */
	_cleanup_reserve_ struct reserve reserve = {};
	_cleanup_free_ int *undo = NULL;
	size_t undo_count = 0;
	int err;

	ports_fd = fastpath_map_open(e, "fastpath_ports", NULL);
	if (ports_fd < 0)
		return ports_fd;
	err = ecbpf_reserve_take(e, RESERVED, &reserve);
	if (err)
		return err;
	undo = calloc(load->in_count + load->out_count, sizeof(*undo));
	if (!undo)
		return ecbpf_fail_memory(e);
	err = egress_load(e, load, prog_fd, undo, &undo_count);
	if (!err)
		err = fastpath_ports_add(e, ports_fd, load);
	if (!err)
		err = ecbpf_fastpath_refresh(e, NULL);
	if (!err)
		err = xdp_load(e, load);
	ecbpf_reserve_give(&reserve);
	if (err) {
		load_undo(e, ports_fd, undo, undo_count);
		return err;
	}
	fastpath_groups_set(settings, groups); /* a store, which cannot fail */
	load_warn(e, load);
	return 0;
}

/* Keep the settings of a loaded fast path, else make new ones; then load the programs */
static int load_settings(struct ecbpf *e, const struct ecbpf_fastpath_load *load,
			 struct bpf_object *egress)
{
	_cleanup_view_ struct ecbpf_view settings = {}, flows = {};
	struct bpf_program *prog = bpf_object__find_program_by_name(egress, "ecbpf_egress");
	int err;

	err = fastpath_settings_open(e, &settings);
	if (!err)
		err = fastpath_view_open(e, "fastpath_flows", sizeof(struct ecbpf_flow_group),
					 &flows);
	if (!err && !((struct ecbpf_fastpath *)settings.at)->groups)
		err = fastpath_settings_init(e, settings.at, load->monitor);
	if (!err)
		err = load_all(e, load, bpf_program__fd(prog), settings.at, flows.entries);
	return err;
}

/* @groups: of the table to make; 0: there is one */
static int load_maps(struct ecbpf *e, const struct ecbpf_fastpath_load *load, __u32 groups)
{
	struct bpf_object *egress = NULL, *stage = NULL;
	int err;

	err = fastpath_egress_open(e, groups, &egress);
	if (!err)
		err = ecbpf_stage_open(e, "fastpath", &stage); /* it has further maps */
	if (!err)
		err = ecbpf_stage_load(e, "fastpath", stage);
	if (!err)
		err = load_settings(e, load, egress);
	bpf_object__close(egress);
	bpf_object__close(stage);
	return err;
}

static int load_locked(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	struct saved_error error;
	struct taken old;
	__u32 groups = 0;
	int err;

	err = check_ifaces(e, load);
	if (!err)
		err = fastpath_maps_check(e, load->flows, &groups);
	if (!err && !groups)
		return load_maps(e, load, 0);
	if (!err)
		err = ecbpf_pins_take(e, "fastpath", &old);
	if (err)
		return err;
	err = load_maps(e, load, groups);
	if (err) { /* the maps were made by this call */
		ecbpf_error_save(e, &error);
		ecbpf_for_each_pin(e, fastpath_unpin, NULL);
		ecbpf_error_restore(e, &error);
	}
	ecbpf_pins_end(e, &old, err);
	return err;
}

int ecbpf_fastpath_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load)
{
	struct transaction t;
	int err;

	if (load->flows && (load->flows < ECBPF_FLOWS_MIN || load->flows > ECBPF_FLOWS_MAX))
		return ecbpf_fail(e, -EINVAL, "flows: %u is out of range, allowed is %u to %u",
				  load->flows, ECBPF_FLOWS_MIN, ECBPF_FLOWS_MAX);
	err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	return err ? err : ecbpf_transaction_end(e, &t, load_locked(e, load));
}

/*
 * @ret_fds: the TC program that each port had, or -1, to go back to. All are open before the first
 * one is removed, so that there are descriptors for the way back
 */
static int egress_unload(struct ecbpf *e, const struct ecbpf_fastpath_port *ports, size_t count,
			 int *ret_fds)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		if (ports[i].is_out)
			err = fastpath_egress_find(e, ports[i].ifindex, &ret_fds[i], NULL);
	}
	for (size_t i = 0; i < count && !err; i++) {
		if (ret_fds[i] >= 0)
			err = fastpath_egress_detach(e, ports[i].ifindex);
	}
	return err;
}

static void egress_undo(struct ecbpf *e, const struct ecbpf_fastpath_port *ports, size_t count,
			const int *fds)
{
	struct saved_error error;

	ecbpf_error_save(e, &error);
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0 &&
		    fastpath_egress_attach(e, ports[i].iface, ports[i].ifindex, fds[i]))
			ecbpf_log(e, ECBPF_LOG_WARN, "%s", e->error);
	}
	ecbpf_error_restore(e, &error);
}

static int chains_unload(struct ecbpf *e, const struct ecbpf_fastpath_port *ports, size_t count)
{
	_cleanup_free_ const char **ifaces = calloc(count + 1, sizeof(*ifaces));
	size_t in_count = 0;

	if (!ifaces)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count; i++) {
		if (ports[i].is_in)
			ifaces[in_count++] = ports[i].iface;
	}
	return in_count ? ecbpf_chain_unload_stage(e, ifaces, in_count, ECBPF_STAGE_FASTPATH) : 0;
}

/* A removal: @change has @data, and changes the chains; NULL: the stage is unloaded */
struct removal {
	struct ecbpf_fastpath_port *ports;
	size_t count;
	int *fds; /* the TC program of each */
	int (*change)(struct ecbpf *e, void *data);
	void *data;
};

/* The chains come last: all else can be put back. Packets go to the stack from the first step on */
static int ports_remove(struct ecbpf *e, struct removal *r)
{
	_cleanup_reserve_ struct reserve reserve = {};
	int err;

	r->fds = calloc(r->count + 1, sizeof(*r->fds));
	if (!r->fds)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < r->count; i++)
		r->fds[i] = -1;
	err = ecbpf_reserve_take(e, RESERVED, &reserve);
	if (!err)
		err = egress_unload(e, r->ports, r->count, r->fds);
	if (!err)
		err = r->change ? r->change(e, r->data) : chains_unload(e, r->ports, r->count);
	ecbpf_reserve_give(&reserve);
	if (err)
		egress_undo(e, r->ports, r->count, r->fds);
	for (size_t i = 0; i < r->count; i++)
		close_fd(&r->fds[i]);
	free(r->fds);
	return err;
}

static int all_remove(struct ecbpf *e, struct removal *r)
{
	_cleanup_view_ struct ecbpf_view settings = {};
	struct ecbpf_fastpath *f;
	struct taken pins;
	__u32 groups = 0;
	int err;

	err = fastpath_settings_open(e, &settings);
	if (err && err != -ENOENT)
		return err;
	f = settings.at;
	if (f) { /* first: who dies on the way must not leave it on without its pins */
		groups = f->groups;
		fastpath_groups_set(f, 0);
	}
	err = ecbpf_pins_take(e, "fastpath", &pins);
	if (!err) {
		if (!r->count && !pins.count && !r->change)
			err = ecbpf_fail(e, -ENOENT, "the fast path is not loaded");
		else
			err = ports_remove(e, r);
		ecbpf_pins_end(e, &pins, err);
	}
	if (err && f)
		fastpath_groups_set(f, groups);
	return err;
}

/* Some interfaces leave, others stay */
static int some_remove(struct ecbpf *e, struct removal *r)
{
	_cleanup_close_ int fd = fastpath_map_open(e, "fastpath_ports", NULL);
	size_t removed = 0;
	int err = 0;

	if (fd < 0 && fd != -ENOENT)
		return fd;
	for (; fd >= 0 && removed < r->count && !err; removed++) {
		const struct ecbpf_fastpath_port *port = &r->ports[removed];

		if (bpf_map_delete_elem(fd, &port->ifindex) && errno != ENOENT)
			err = ecbpf_fail(e, -errno, "%s: cannot remove it as a port: %s",
					 port->iface, strerror(errno));
	}
	if (!err)
		err = ports_remove(e, r);
	for (size_t i = 0; i < removed && err; i++) {
		const struct ecbpf_fastpath_port *port = &r->ports[i];

		if (port->is_port &&
		    bpf_map_update_elem(fd, &port->ifindex, &port->ifindex, BPF_ANY))
			ecbpf_log(e, ECBPF_LOG_WARN, "%s: it is no port any more: %s", port->iface,
				  strerror(errno));
	}
	return err;
}

int ecbpf_fastpath_retire(struct ecbpf *e, const char *const *keep, size_t keep_count,
			  int (*change)(struct ecbpf *e, void *data), void *data)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	struct removal r = {.change = change, .data = data};
	size_t count = 0;
	int err;

	err = ecbpf_fastpath_ports(e, &ports, &count);
	if (err)
		return err;
	r.ports = ports;
	for (size_t i = 0; i < count; i++) {
		bool is_kept = !ports[i].is_out && !ports[i].is_port;

		for (size_t k = 0; k < keep_count; k++)
			is_kept |= !strcmp(keep[k], ports[i].iface);
		if (!is_kept)
			ports[r.count++] = ports[i];
	}
	return keep_count ? some_remove(e, &r) : all_remove(e, &r);
}

static int unload_locked(struct ecbpf *e)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	struct removal r = {};
	int err;

	err = ecbpf_fastpath_ports(e, &ports, &r.count);
	r.ports = ports;
	return err ? err : all_remove(e, &r);
}

int ecbpf_fastpath_unload(struct ecbpf *e)
{
	struct transaction t;
	int err;

	err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);
	if (!err)
		err = ecbpf_transaction_begin(e, &t);
	return err ? err : ecbpf_transaction_end(e, &t, unload_locked(e));
}
