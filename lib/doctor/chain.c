// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the chain of one interface. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "bpf/info.h"
#include "bpf/metadata.h"
#include "bpf/own_pins.h"
#include "bpf/probe.h"
#include "chain/dispatcher.h"
#include "chain/probe.h"
#include "core/handle.h"
#include "core/iface.h"
#include "doctor/doctor.h"

#define FEATURE_BASIC 1	   /* NETDEV_XDP_ACT_BASIC; not in the headers of Linux 6.1 */
#define FREE_WAIT_MS  1000 /* how long the kernel may take to free unpinned programs */

/* @ret_btf: for btf__free(); NULL: it has none. Return: 0 or -errno */
static int btf_of_prog(__u32 id, struct btf **ret_btf)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	int err = fd < 0 ? -errno : ecbpf_prog_info(fd, &info);

	*ret_btf = NULL;
	return err ? err : ecbpf_prog_btf(&info, ret_btf);
}

static bool dispatcher_config(__u32 id, struct dispatcher_config *ret)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};

	return fd >= 0 && !ecbpf_prog_info(fd, &info) && !ecbpf_dispatcher_config(fd, &info, ret);
}

void doctor_check_none(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;
	int mtu = ecbpf_iface_mtu(chain->iface);

	if (chain->kind != ECBPF_CHAIN_NONE)
		return;
	f = finding_add(&d->found, ECBPF_NOTE, chain->iface, "no-program",
			"no XDP program is attached");
	finding_why(f, "all packets are passed to the stack");
	if (mtu <= NATIVE_MTU)
		return;
	f = finding_add(&d->found, ECBPF_NOTE, chain->iface, "mtu-large", "its MTU is %d", mtu);
	if (ecbpf_frags_probe(d->e) == -EOPNOTSUPP)
		finding_why(f, "this kernel attaches no program in native mode above about %d",
			    NATIVE_MTU);
	else
		finding_why(
			f,
			"in native mode only programs that take fragments can be attached above "
			"about %d",
			NATIVE_MTU);
	finding_fix(f, "ip link set %s mtu 1500", chain->iface);
}

void doctor_check_single(struct doctor *d, const struct ecbpf_chain *chain)
{
	const struct ecbpf_member *m = chain->members;
	struct ecbpf_finding *f;
	struct btf *btf;
	__u32 version;
	int err;

	if (chain->kind != ECBPF_CHAIN_SINGLE || chain->mode == ECBPF_MODE_UNSPEC)
		return;
	if (!strcmp(m->name, DISPATCHER_NAME)) {
		err = btf_of_prog(m->id, &btf);
		if (err) {
			f = finding_add(&d->found, ECBPF_ERROR, chain->iface, "unreadable",
					"the BTF of its dispatcher (id %u): %s", m->id,
					strerror(-err));
			finding_why(f, "the protocol of its chain is not known");
			return;
		}
		if (!ecbpf_btf_number(btf, "xdp_metadata", "dispatcher_version", &version))
			version = 0;
		btf__free(btf);
		f = finding_add(
			&d->found, ECBPF_WARNING, chain->iface, "protocol-unknown",
			"its chain is of dispatcher protocol %u, which ecbpf does not support",
			version);
		finding_why(f, "its members cannot be listed or changed");
		doctor_fix_reload(f, chain, "");
	} else if (m->is_ours && !strcmp(m->name, "ecbpf_fused")) {
		if (ecbpf_freplace_probe(d->e) == -EOPNOTSUPP) {
			f = finding_add(
				&d->found, ECBPF_OK, chain->iface, "direct",
				"%s (id %u) is attached without a dispatcher, as this kernel "
				"requires",
				m->name, m->id);
			finding_why(f, "other tools can only remove all of its stages");
			return;
		}
		f = finding_add(&d->found, ECBPF_NOTE, chain->iface, "direct",
				"%s (id %u) is attached without a dispatcher", m->name, m->id);
		finding_why(f, "it works, but no program can be added, and other tools can only "
			       "remove all of its stages");
	} else {
		f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "no-dispatcher",
				"%s (id %u) is attached without a dispatcher", m->name, m->id);
		finding_why(f, "it runs, but no program can be added: every load is refused");
		doctor_fix_reload(f, chain, "");
	}
}

/* Give the kernel time to free what was unpinned just now, lest it pass for running */
static bool wait_for_change(struct doctor *d, int *ms)
{
	if (*ms >= FREE_WAIT_MS)
		return false;
	*ms += 50;
	nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
	doctor_read_links(d);
	return true;
}

/* Pins are there as it seems: does every member run? */
void doctor_check_members(struct doctor *d, const struct ecbpf_chain *chain)
{
	size_t stopped, unpinned, unknown;
	struct ecbpf_finding *f;
	char names[128];
	int ms = 0;

	if (chain->kind != ECBPF_CHAIN_DISPATCHER)
		return;
	do {
		stopped = unpinned = unknown = 0;
		*names = '\0';
		for (size_t i = 0; i < chain->members_count; i++) {
			const struct ecbpf_member *m = &chain->members[i];
			struct running running = doctor_count_running(d, chain->id, m->id);

			if (running.most && m->has_link)
				continue;
			stopped += !running.most;
			unpinned += !!running.some;
			unknown += !running.some && running.most;
			doctor_append(names, sizeof(names), "%s%s (id %u)", *names ? ", " : "",
				      m->name, m->id);
		}
	} while (unpinned + unknown && wait_for_change(d, &ms));

	if (stopped) {
		f = finding_add(&d->found, ECBPF_ERROR, chain->iface, "fails-open",
				"looks attached but fails open: %zu of %zu members run; not %s",
				chain->members_count - stopped, chain->members_count, names);
		finding_why(f, "its link is gone, so packets bypass it");
		doctor_fix_rebuild(d, f, chain);
	} else if (unpinned + unknown) {
		f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "link-unpinned",
				"%s the link of %s is not pinned here",
				unknown ? "this kernel does not report whether all run:"
					: "all run, but",
				names);
		finding_why(f, "if the process that holds it exits, packets bypass the program");
		doctor_fix_rebuild(d, f, chain);
	} else {
		finding_add(&d->found, ECBPF_OK, chain->iface, "members", "%zu of %zu members run",
			    chain->members_count, chain->members_count);
	}
}

/* A dispatcher whose pins are not here: lost, or in another mount namespace's BPF file system */
void doctor_check_broken(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct dispatcher_config config = {};
	struct ecbpf_finding *f;
	struct running running;
	int ms = 0;

	if (chain->kind != ECBPF_CHAIN_BROKEN)
		return;
	dispatcher_config(chain->id, &config);
	do
		running = doctor_count_running(d, chain->id, 0);
	while (running.most >= config.num_progs_enabled && wait_for_change(d, &ms));

	if (running.most < config.num_progs_enabled) {
		f = finding_add(&d->found, ECBPF_ERROR, chain->iface, "fails-open",
				"looks attached but fails open: %s%zu of %u members run",
				running.some < running.most ? "at most " : "", running.most,
				config.num_progs_enabled);
		finding_why(f,
			    "their pins were removed, or were in a mount namespace that ended ('ip "
			    "netns exec'): packets bypass them");
	} else {
		f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "pins-missing",
				"%s the pins of its chain are not in %s/xdp",
				running.some < config.num_progs_enabled
					? "this kernel does not report whether all members run:"
					: "all members run, but",
				d->has_bpffs ? d->e->bpffs : "BPFFS");
		finding_why(
			f,
			"they are in another mount namespace or BPF file system: the chain cannot "
			"be changed from here, and fails open when that ends");
	}
	doctor_fix_reload(f, chain, " && ecbpf-loader clean");
}

void doctor_check_protocol(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;

	if (!chain->protocol || !d->protocol || chain->protocol == d->protocol)
		return;
	f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "protocol-mixed",
			"its chain is of dispatcher protocol %u, the installed libxdp uses %u",
			chain->protocol, d->protocol);
	finding_why(f, "it runs, but no program can be added or replaced");
	doctor_fix_reload(f, chain, "");
}

void doctor_check_schema(struct doctor *d, const struct ecbpf_chain *chain)
{
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *m = &chain->members[i];
		struct ecbpf_finding *f;

		if (!m->is_ours || m->schema == ECBPF_SCHEMA)
			continue;
		f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "schema-member",
				"%s (id %u) is of schema %u, this ecbpf has %u", m->name, m->id,
				m->schema, ECBPF_SCHEMA);
		finding_why(f,
			    "it runs, but this version cannot interpret its counters and settings");
		if (!d->has_other_schema) /* else nothing could be loaded */
			doctor_fix_reload(f, chain, "");
	}
}

/* Programs go on with their maps when the pins of these are gone, and the next verb makes others */
void doctor_check_own_maps(struct doctor *d, const struct ecbpf_chain *chain)
{
	for (size_t i = 0; i < chain->members_count && d->has_bpffs; i++) {
		const struct ecbpf_member *m = &chain->members[i];
		_cleanup_close_ int fd = m->is_ours ? bpf_prog_get_fd_by_id(m->id) : -1;
		struct ecbpf_finding *f;
		struct own_pin lost;
		bool can_restore;

		if (fd < 0 || m->schema != ECBPF_SCHEMA || !ecbpf_own_pin_lost(d->e, fd, "", &lost))
			continue;
		f = finding_add(&d->found, ECBPF_ERROR, chain->iface, "other-maps",
				"%s (id %u) uses other maps than those in %s/ecbpf: %s%s", m->name,
				m->id, d->e->bpffs, lost.name,
				lost.is_missing ? " is gone" : " is another one");
		can_restore = ecbpf_own_pins_can_restore(d->e, fd);
		finding_why(f,
			    "their pins were removed: rules, lists and settings that are changed "
			    "or shown are not those that it uses%s",
			    can_restore ? ""
					: ", which end with it: only those in files come back");
		if (can_restore)
			finding_fix(f, "ecbpf-loader refresh");
		else
			doctor_fix_reload(f, chain, "");
	}
}

void doctor_check_mode(struct doctor *d, const struct ecbpf_chain *chain)
{
	__u64 features = 0;
	struct ecbpf_finding *f;
	bool known;

	if (chain->kind == ECBPF_CHAIN_NONE)
		return;
	if (chain->mode == ECBPF_MODE_UNSPEC) {
		f = finding_add(&d->found, ECBPF_NOTE, chain->iface, "offload",
				"%s (id %u) runs in the network card", chain->members[0].name,
				chain->members[0].id);
		finding_why(f, "network cards have no dispatcher, so nothing can be chained");
		return;
	}
	if (chain->mode == ECBPF_MODE_NATIVE) {
		finding_add(&d->found, ECBPF_OK, chain->iface, "mode", "native mode");
		return;
	}
	known = !ecbpf_features(d->e, chain->iface, &features) && features;
	if (known && !(features & FEATURE_BASIC)) {
		finding_add(&d->found, ECBPF_OK, chain->iface, "mode",
			    "skb mode: its driver has no other");
		return;
	}
	f = finding_add(&d->found, known ? ECBPF_WARNING : ECBPF_NOTE, chain->iface, "mode-skb",
			"in skb mode, %s",
			known ? "though its driver supports native mode"
			      : "which is for drivers without native mode");
	finding_why(f, "packets are processed late, several times slower%s",
		    !chain->has_frags && ecbpf_iface_mtu(chain->iface) > NATIVE_MTU
			    ? "; with this MTU native mode would take programs with fragments"
			    : "");
	doctor_fix_mode(f, chain);
}

/* Where it was attached by a version that did not refuse to */
void doctor_check_link(struct doctor *d, const struct ecbpf_chain *chain)
{
	const char *unseen = ecbpf_iface_unseen(chain->iface);
	char below[ECBPF_IFACE_BELOW];
	struct ecbpf_finding *f;
	unsigned int type = 0;
	bool is_ours = false;

	for (size_t i = 0; i < chain->members_count; i++)
		is_ours |= chain->members[i].is_ours;
	if (!is_ours || (!unseen && ecbpf_iface_is_ethernet(chain->iface, &type)))
		return;
	if (unseen) {
		f = finding_add(&d->found, ECBPF_ERROR, chain->iface, "link-type",
				"XDP programs of a %s do not see its packets", unseen);
		finding_why(f, "nothing is dropped, limited or sampled");
	} else {
		f = finding_add(&d->found, ECBPF_ERROR, chain->iface, "link-type",
				"its packets have no Ethernet header (link type %u)", type);
		finding_why(f, "every packet is misread: rules do not match, and some packets are "
			       "dropped");
	}
	finding_fix(f, "ecbpf-loader unload --all %s # and load on the interface below%s",
		    chain->iface, ecbpf_iface_below(chain->iface, below));
}

/* Ours take fragments where they are loaded at an MTU that may need it; foreign ones, as they are
 */
void doctor_check_mtu(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct dispatcher_config config = {};
	struct ecbpf_finding *f;
	char names[128] = "";

	if (chain->kind != ECBPF_CHAIN_DISPATCHER || chain->has_frags ||
	    chain->mode != ECBPF_MODE_NATIVE || ecbpf_frags_probe(d->e) ||
	    !dispatcher_config(chain->id, &config))
		return;
	for (size_t i = 0; i < chain->members_count; i++) {
		if (!chain->members[i].is_ours && !(config.program_flags[i] & BPF_F_XDP_HAS_FRAGS))
			doctor_append(names, sizeof(names), "%s%s", *names ? ", " : "",
				      chain->members[i].name);
	}
	if (!*names) {
		finding_add(&d->found, ECBPF_OK, chain->iface, "mtu",
			    "supports an MTU up to about %d; for more: unload, set it, load again",
			    NATIVE_MTU);
		return;
	}
	f = finding_add(&d->found, ECBPF_NOTE, chain->iface, "no-frags",
			"does not accept packets in fragments, because of %s", names);
	finding_why(f, "an MTU above about %d will be refused", NATIVE_MTU);
}

void doctor_check_own(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;

	if (!chain->is_ours)
		return;
	f = finding_add(&d->found, ECBPF_NOTE, chain->iface, "dispatcher-own",
			"its chain runs under ecbpf's own dispatcher");
	finding_why(f,
		    "a member resizes packets, which this kernel denies libxdp's dispatcher; "
		    "other tools, like xdp-loader, can list this chain and remove all of it, but "
		    "not add to it, nor take a single program out");
}
