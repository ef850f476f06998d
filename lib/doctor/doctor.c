// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The doctor: it looks for what is known to go wrong, and asks the kernel instead of trusting pins.
 *
 * A check is a function of another file, see doctor.h. Codes are ABI.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "chain/live.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "doctor/doctor.h"

static void (*const host_checks[])(struct doctor *d) = {
	doctor_check_bpffs,    doctor_check_libxdp, doctor_check_jit,	doctor_check_freplace,
	doctor_check_frags,    doctor_check_resize, doctor_check_dirs,	doctor_check_maps,
	doctor_check_pins,     doctor_check_frozen, doctor_check_rules, doctor_check_lists,
	doctor_check_fastpath,
};

/* Each looks whether it is about this kind of chain */
static void (*const iface_checks[])(struct doctor *d, const struct ecbpf_chain *chain) = {
	doctor_check_members, doctor_check_broken,   doctor_check_single,   doctor_check_none,
	doctor_check_schema,  doctor_check_own_maps, doctor_check_protocol, doctor_check_mode,
	doctor_check_mtu,     doctor_check_own,	     doctor_check_link,	    doctor_check_vlan,
};

static int check_iface(struct doctor *d, const char *iface)
{
	struct ecbpf_chain *chain;
	struct ecbpf_finding *f;
	int err;

	err = ecbpf_chain_get(d->e, iface, &chain);
	if (err) {
		f = finding_add(&d->found, ECBPF_ERROR, iface, "unreadable", "%.255s", d->e->error);
		finding_why(f, "nobody can tell what happens to its packets");
		return err == -ENOENT ? err : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(iface_checks); i++)
		iface_checks[i](d, chain);
	ecbpf_chain_free(chain);
	return 0;
}

static int check_all_ifaces(struct doctor *d)
{
	struct if_nameindex *all = if_nameindex();
	int err = 0;

	if (!all)
		return ecbpf_fail(d->e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !err; i++) {
		enum ecbpf_mode mode;
		__u32 id;

		err = ecbpf_attached(d->e, i->if_index, &id, &mode);
		if (!err && id)
			err = check_iface(d, i->if_name);
		if (err == -ENODEV) /* it has gone meanwhile */
			err = 0;
	}
	if_freenameindex(all);
	return err;
}

int ecbpf_doctor(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		 struct ecbpf_finding **ret_findings, size_t *ret_count)
{
	struct doctor d = {.e = e};
	int err = 0, lock = -1;

	ecbpf_capture(e);
	for (size_t i = 0; i < ifaces_count && ifaces; i++) {
		err = ecbpf_iface_index(e, ifaces[i]);
		if (err < 0)
			return err;
	}
	/* what a loader of ours is at work on is not stale: wait until it is done */
	if (!ecbpf_bpffs_open(e, false))
		lock = ecbpf_lock(e);
	err = 0;
	doctor_check_kernel(&d);
	doctor_check_privilege(&d);
	if (d.is_privileged) {
		for (size_t i = 0; i < ARRAY_SIZE(host_checks); i++)
			host_checks[i](&d);
		doctor_read_links(&d);
		for (size_t i = 0; i < ifaces_count && ifaces && !err; i++)
			err = check_iface(&d, ifaces[i]);
		if (!ifaces || !ifaces_count)
			err = check_all_ifaces(&d);
	}
	if (lock >= 0)
		close(lock);
	free(d.links);
	if (!err && *d.found.lost.code)
		err = ecbpf_fail_memory(e);
	if (err) {
		free(d.found.items);
		return err;
	}
	doctor_sort(d.found.items, d.found.count);
	*ret_findings = d.found.items;
	*ret_count = d.found.count;
	return 0;
}
