// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The interfaces of the fast path.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/lock.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "fastpath/fastpath.h"

/* Return: the member of a chain that runs the stage, or NULL. @ret_counters: its counters; or NULL
 */
const struct ecbpf_member *fastpath_in_chain(const struct ecbpf_chain *chain,
					     const struct ecbpf_counters **ret_counters)
{
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t slot = 0; slot < member->stages_count; slot++) {
			if (member->stages[slot].stage != ECBPF_STAGE_FASTPATH)
				continue;
			if (ret_counters)
				*ret_counters = &member->stages[slot].counters;
			return member;
		}
	}
	return NULL;
}

int fastpath_ports_add(struct ecbpf *e, int fd, const struct ecbpf_fastpath_load *load)
{
	for (size_t i = 0; i < load->in_count + load->out_count; i++) {
		const char *iface =
			i < load->in_count ? load->in[i] : load->out[i - load->in_count];
		int ifindex = ecbpf_iface_index(e, iface);

		if (ifindex < 0)
			return ifindex;
		if (bpf_map_update_elem(fd, &ifindex, &ifindex, BPF_ANY))
			return ecbpf_fail(e, -errno, "%s: cannot add it as a port: %s", iface,
					  strerror(errno));
	}
	return 0;
}

int ecbpf_fastpath_leave(struct ecbpf *e, const char *iface)
{
	_cleanup_close_ int fd = fastpath_map_open(e, "fastpath_ports", NULL);
	int ifindex = ecbpf_iface_index(e, iface), err;
	bool was_there;

	if (fd < 0)
		return fd;
	if (ifindex < 0)
		return ifindex;
	was_there = !bpf_map_delete_elem(fd, &ifindex);
	if (!was_there && errno != ENOENT)
		return ecbpf_fail(e, -errno, "%s: cannot remove it as a port: %s", iface,
				  strerror(errno));
	err = fastpath_egress_detach(e, ifindex);
	if (err && was_there)
		bpf_map_update_elem(fd, &ifindex, &ifindex, BPF_ANY);
	return err;
}

/* *@ret_is_one: the interface belongs to the fast path */
static int port_read(struct ecbpf *e, const struct if_nameindex *iface, int map_fd,
		     struct ecbpf_fastpath_port *ret, bool *ret_is_one)
{
	struct ecbpf_fastpath_port port = {.ifindex = (int)iface->if_index};
	const struct ecbpf_counters *counters;
	const struct ecbpf_member *member;
	struct ecbpf_chain *chain;
	int err, prog_fd;
	__u32 value;

	*ret_is_one = false;
	snprintf(port.iface, sizeof(port.iface), "%s", iface->if_name);
	err = fastpath_egress_find(e, iface->if_index, &prog_fd, &port.is_current);
	if (err)
		return err;
	port.is_out = prog_fd >= 0;
	close_fd(&prog_fd);
	if (map_fd >= 0) {
		port.is_port = !bpf_map_lookup_elem(map_fd, &iface->if_index, &value);
		if (!port.is_port && errno != ENOENT)
			return ecbpf_fail(e, -errno, "map fastpath_ports: %s", strerror(errno));
	}
	err = ecbpf_chain_get(e, iface->if_name, &chain);
	if (err)
		return err == -ENODEV ? 0 : err; /* gone meanwhile */
	member = fastpath_in_chain(chain, &counters);
	if (member) {
		port.is_in = true;
		port.is_fused = !strcmp(member->name, "ecbpf_fused");
		port.counters = *counters;
	}
	ecbpf_chain_free(chain);
	*ret = port;
	*ret_is_one = port.is_in || port.is_out || port.is_port;
	return 0;
}

int ecbpf_fastpath_ports(struct ecbpf *e, struct ecbpf_fastpath_port **ret_ports, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	struct if_nameindex *ifaces = if_nameindex();
	struct ecbpf_fastpath_port port, *added;
	_cleanup_close_ int fd = -1;
	size_t count = 0;
	int err = 0;
	bool is_one;

	if (!ifaces)
		return ecbpf_fail(e, -errno, "list of interfaces: %s", strerror(errno));
	ecbpf_capture(e);
	fd = fastpath_map_open(e, "fastpath_ports", NULL);
	if (fd < 0 && fd != -ENOENT && fd != -ENODEV)
		err = fd;
	for (struct if_nameindex *i = ifaces; i->if_index && !err; i++) {
		err = port_read(e, i, fd, &port, &is_one);
		if (err || !is_one)
			continue;
		added = ecbpf_array_add(&ports, &count, sizeof(*ports));
		if (added)
			*added = port;
		else
			err = ecbpf_fail_memory(e);
	}
	if_freenameindex(ifaces);
	if (err)
		return err;
	*ret_ports = ports;
	ports = NULL;
	*ret_count = count;
	return 0;
}

int ecbpf_fastpath_repair(struct ecbpf *e, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	struct bpf_object *obj = NULL;
	size_t ports_count = 0, count = 0;
	_cleanup_close_ int fd = -1; /* open before, for the way back */
	struct bpf_program *prog;
	int err, lock;

	ecbpf_capture(e);
	err = fastpath_map_open(e, "fastpath_flows", NULL);
	if (err < 0)
		return err;
	close(err);
	err = ecbpf_fastpath_ports(e, &ports, &ports_count);
	if (err)
		return err;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	err = fastpath_egress_open(e, 0, &obj);
	fd = err ? -1 : fastpath_map_open(e, "fastpath_ports", NULL);
	if (!err && fd < 0)
		err = fd;
	prog = err ? NULL : bpf_object__find_program_by_name(obj, "ecbpf_egress");
	for (size_t i = 0; i < ports_count && !err; i++) {
		const char *iface = ports[i].iface;
		struct ecbpf_fastpath_load load = {.out = &iface, .out_count = 1};

		if (ports[i].is_out && ports[i].is_current && ports[i].is_port)
			continue;
		/* what grants leases comes last */
		err = fastpath_ports_add(e, fd, &load);
		if (!err && (!ports[i].is_out || !ports[i].is_current)) {
			err = fastpath_egress_attach(e, iface, ports[i].ifindex,
						     bpf_program__fd(prog));
			if (err && !ports[i].is_port)
				bpf_map_delete_elem(fd, &ports[i].ifindex);
		}
		count += !err;
	}
	bpf_object__close(obj);
	close(lock);
	if (!err && ret_count)
		*ret_count = count;
	return err;
}
