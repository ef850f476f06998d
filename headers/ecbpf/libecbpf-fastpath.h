/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: the fast path for IPVS. See ecbpf-fastpath(8) for what it does, libecbpf(3) for handles
 * and errors: functions return 0 or -errno and leave their outputs untouched on failure.
 *
 * There is one fast path in a network namespace: one table of flows, one set of settings.
 */
#ifndef LIBECBPF_FASTPATH_H
#define LIBECBPF_FASTPATH_H

#include <ecbpf/fastpath.h>
#include <ecbpf/libecbpf-list.h>
#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- load, unload ------------------------------------------------------------------------- */

/**
 * struct ecbpf_fastpath_load - where the fast path is to be
 * @in: interfaces that clients' packets come in by: the XDP program goes there. None: it is put
 *	there, or is, by other means
 * @out: interfaces that they leave by; the TC program goes to these and those of @in. Physical
 *	 ones: of a VLAN or bond that below it, where the kernel has chosen port and tag
 * @flows: how many the table is to hold, ECBPF_FLOWS_MIN to ECBPF_FLOWS_MAX; 0: as many as it does
 *	   now, else ECBPF_FLOWS_DEFAULT
 * @mode: of the XDP chains
 * @is_fused: in ecbpf_fused, see ecbpf_chain_load_stage()
 * @monitor: begin with the setting `monitor` on
 */
struct ecbpf_fastpath_load {
	const char *const *in;
	size_t in_count;
	const char *const *out;
	size_t out_count;
	__u32 flows;
	enum ecbpf_mode mode;
	bool is_fused;
	bool monitor;
};

/**
 * ecbpf_fastpath_load() - put it between the wire and IPVS
 *
 * Adds to what is loaded already. On failure all is as it was. Nothing is forwarded before all of
 * it is in place.
 *
 * Return: 0; -EEXIST it is on one of these interfaces; -EBUSY it is loaded with another size; and
 * those of ecbpf_chain_load().
 */
int ecbpf_fastpath_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load);

/**
 * ecbpf_fastpath_unload() - take it away
 *
 * From all interfaces, with the table and the settings, or what a load or unload that was killed
 * has left of it. All packets are passed to IPVS before the first program is removed.
 *
 * Return: 0; -ENOENT there is nothing of it.
 */
int ecbpf_fastpath_unload(struct ecbpf *e);

/* --- settings ----------------------------------------------------------------------------- */

/**
 * struct ecbpf_fastpath_settings - what can be set while it runs
 * @lease_ms: how long a lease lasts, 100 to 60000
 * @sample_ms: every so often a packet of each flow goes up to IPVS, 10 to 60000
 * @inactive_ms: a flow without a packet for so long is idle, up to 86400000; more than sample_ms,
 *		 less than IPVS's timeout of established TCP connections
 * @target_pps: the shield: packets a second, on all interfaces together, from which on it drops
 * @spike_percent: so much more than that, and it drops the most; 1 to 1000
 * @max_percent: that most, of the packets of unknown flows; 0 to 100
 * @reset_pps: resets a second for packets of dead flows, at most; 0: none
 * @monitor: decide and count, but send everything up
 * @limit: the shield is on
 */
struct ecbpf_fastpath_settings {
	__u32 lease_ms;
	__u32 sample_ms;
	__u32 inactive_ms;
	__u32 target_pps;
	__u32 spike_percent;
	__u32 max_percent;
	__u32 reset_pps;
	bool monitor;
	bool limit;
};

#define ECBPF_FASTPATH_SETTINGS_INIT                                                              \
	{                                                                                         \
		.lease_ms = 1000, .sample_ms = 1000, .inactive_ms = 60000, .target_pps = 1000000, \
		.spike_percent = 50, .max_percent = 95,                                           \
	}

/* Return: 0; -ENOENT it is not loaded; set: -EINVAL not allowed, and nothing is changed */
int ecbpf_fastpath_get(struct ecbpf *e, struct ecbpf_fastpath_settings *ret_settings);
int ecbpf_fastpath_set(struct ecbpf *e, const struct ecbpf_fastpath_settings *settings);

/**
 * ecbpf_fastpath_refresh() - read IPVS's UDP services
 *
 * Flows of UDP services get leases only if it is known that they keep their server, which those do
 * not that choose one for each packet (ipvsadm --ops). load and set do this, too.
 *
 * @ret_count: services that keep it; or NULL. Without IPVS: 0
 */
int ecbpf_fastpath_refresh(struct ecbpf *e, size_t *ret_count);

/**
 * ecbpf_fastpath_repair() - attach the TC program where somebody has taken it away, or where it is
 *			     one of another version, and finish what was killed
 * @ret_count: to how many interfaces; or NULL. Return: 0; -ENOENT it is not loaded
 */
int ecbpf_fastpath_repair(struct ecbpf *e, size_t *ret_count);

/* --- addresses ---------------------------------------------------------------------------- */

/* Addresses, of clients or services, whose flows are none of the fast path's business. Leases that
 * they have end at once. delete: -ENOENT if it is none. @ret_prefixes: sorted, for free()
 */
int ecbpf_fastpath_exclude_add(struct ecbpf *e, const struct ecbpf_prefix *prefix);
int ecbpf_fastpath_exclude_delete(struct ecbpf *e, const struct ecbpf_prefix *prefix);
int ecbpf_fastpath_exclude_list(struct ecbpf *e, struct ecbpf_prefix **ret_prefixes,
				size_t *ret_count);

/* --- flows -------------------------------------------------------------------------------- */

/* Does a lease say what IPVS says? */
enum ecbpf_agreement {
	ECBPF_AGREES,	    /* or there is no lease to speak of */
	ECBPF_NO_IPVS,	    /* there is no IPVS in this kernel, or not loaded */
	ECBPF_NO_ENTRY,	    /* IPVS does not know the connection */
	ECBPF_OTHER_SERVER, /* IPVS has it at a server with another Ethernet address */
};

/**
 * struct ecbpf_fastpath_flow - a flow with its lease
 * @client: address; IPv4 as ::ffff:a.b.c.d
 * @service: likewise
 * @client_port: host order
 * @service_port: host order
 * @proto: IPPROTO_TCP or IPPROTO_UDP
 * @is_dead: the kernel has reset it
 * @is_ending: the client has sent a FIN
 * @lease_ms: what is left; negative: it has run out so long ago
 * @punted_ms: since a packet was last passed to the stack
 * @packets: forwarded by XDP; counts to 2^32
 * @hop: where its packets go; all 0 if it is dead
 * @agreement: of the lease with IPVS's table
 * @real: the server in IPVS's table, if there is an entry; IPv4 as ::ffff:a.b.c.d
 * @real_port: likewise; host order
 * @ipvs_state: likewise, as IPVS names it; "" if there is no entry
 * @ipvs_timer_s: likewise; seconds until it is forgotten if no packet comes
 */
struct ecbpf_fastpath_flow {
	__u8 client[16];
	__u8 service[16];
	__u16 client_port;
	__u16 service_port;
	__u8 proto;
	bool is_dead;
	bool is_ending;
	long long lease_ms;
	long long punted_ms;
	__u32 packets;
	struct ecbpf_hop hop;
	enum ecbpf_agreement agreement;
	__u8 real[16];
	__u16 real_port;
	char ipvs_state[16];
	__u32 ipvs_timer_s;
};

/**
 * struct ecbpf_fastpath_filter - which flows
 * @client: or NULL for any; like the next ones
 * @service: address that clients talk to
 * @flow: addresses, ports and protocol of this one
 * @dest: Ethernet address that its packets go to
 */
struct ecbpf_fastpath_filter {
	const struct ecbpf_prefix *client;
	const struct ecbpf_prefix *service;
	const struct ecbpf_fastpath_flow *flow;
	const __u8 *dest;
};

/* Return: not 0 to end; ecbpf_fastpath_flows() returns that */
typedef int (*ecbpf_fastpath_flow_fn)(void *data, const struct ecbpf_fastpath_flow *flow);

/* All flows that have, or had, a lease, joined with IPVS's connections. @filter: or NULL for all */
int ecbpf_fastpath_flows(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 ecbpf_fastpath_flow_fn fn, void *data);

/**
 * struct ecbpf_fastpath_explanation - what would happen to the next packet of a flow
 * @flow: of the table; all 0 but for addresses, ports and protocol if it is not there
 * @is_excluded: an address is
 * @is_known: it is in the table
 * @reason: enum ecbpf_reason: that a plain packet of it (TCP: an ACK) would be counted by
 * @sample_ms: until a packet is passed to IPVS as a sample, if it has a lease
 */
struct ecbpf_fastpath_explanation {
	struct ecbpf_fastpath_flow flow;
	bool is_excluded;
	bool is_known;
	__u32 reason;
	long long sample_ms;
};

/* @flow: addresses, ports and protocol */
int ecbpf_fastpath_explain(struct ecbpf *e, const struct ecbpf_fastpath_flow *flow,
			   struct ecbpf_fastpath_explanation *ret_explanation);

/* End leases, at once. @filter: NULL for all. @ret_count: how many; or NULL */
int ecbpf_fastpath_flush(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 size_t *ret_count);

/* --- state and counters ------------------------------------------------------------------- */

struct ecbpf_fastpath_port {
	char iface[16];
	bool is_in;	 /* the XDP program is there, alone or in ecbpf_fused */
	bool is_out;	 /* the TC program is there */
	bool is_current; /* and it is the one of this library's version */
	bool is_port;	 /* packets may leave by it: the TC program has to be there */
	bool is_fused;	 /* in ecbpf_fused */
	struct ecbpf_counters counters; /* of the XDP program */
};

/**
 * struct ecbpf_fastpath_status - what there is
 * @is_on: packets are forwarded; not so if load or unload was killed: unload it
 * @capacity: flows that the table was made for
 * @bytes: of memory for it
 * @flows: that have a lease now
 * @idle: that had one not longer than `inactive_ms` ago
 * @dead: that the kernel has reset
 * @hops: next hops that leases were given to
 * @egress: counters of the TC program
 */
struct ecbpf_fastpath_status {
	bool is_on;
	__u32 capacity;
	__u64 bytes;
	__u64 flows;
	__u64 idle;
	__u64 dead;
	__u32 hops;
	__u32 excluded;
	struct ecbpf_egress_counters egress;
	size_t ports_count;
	struct ecbpf_fastpath_port *ports;
};

const char *ecbpf_egress_name(__u32 counter); /* "granted"; NULL if there is no such counter */
const char *ecbpf_egress_text(__u32 counter); /* what it counts; NULL likewise */

/* @ret_status: for ecbpf_fastpath_status_free(). Return: 0; -ENOENT it is not loaded */
int ecbpf_fastpath_status(struct ecbpf *e, struct ecbpf_fastpath_status **ret_status);
void ecbpf_fastpath_status_free(struct ecbpf_fastpath_status *status); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_FASTPATH_H */
