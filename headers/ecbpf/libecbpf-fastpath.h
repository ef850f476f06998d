/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: the fast path for IPVS, see ecbpf-fastpath(8). Functions return 0 or -errno and do not
 * change their outputs on failure, see libecbpf(3).
 *
 * A network namespace has one fast path, with one table of flows and one set of settings.
 */
#ifndef LIBECBPF_FASTPATH_H
#define LIBECBPF_FASTPATH_H

#include <ecbpf/fastpath.h>
#include <ecbpf/libecbpf-settings.h>
#include <ecbpf/libecbpf-list.h>
#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- load, unload ------------------------------------------------------------------------- */

/**
 * struct ecbpf_fastpath_load - parameters of ecbpf_fastpath_load()
 * @in: interfaces where packets of clients come in; they get the XDP program. None: it is loaded by
 *	other means
 * @out: interfaces where packets leave; they and those of @in get the TC program. Name physical
 *	 interfaces: for a VLAN or bond those below it
 * @flows: room of the table, ECBPF_FLOWS_MIN to ECBPF_FLOWS_MAX; 0: that of the existing table,
 *else ECBPF_FLOWS_DEFAULT
 * @mode: mode of the XDP chains
 * @is_fused: load it in ecbpf_fused, see ecbpf_chain_load_stage()
 * @monitor: start with the setting `monitor` on
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
 * ecbpf_fastpath_load() - load the fast path on interfaces
 *
 * A loaded fast path gets further interfaces. Forwarding starts only when setup is complete; a
 * failure is rolled back.
 *
 * Return: 0; -EEXIST one of the interfaces has it already; -EBUSY it is loaded with another size of
 * the table; errors of ecbpf_chain_load().
 */
int ecbpf_fastpath_load(struct ecbpf *e, const struct ecbpf_fastpath_load *load);

/**
 * ecbpf_fastpath_unload() - unload the fast path from all interfaces
 *
 * It removes the table and the settings as well, or the remains of a load or unload that was
 * killed. All packets are passed to IPVS before the first program is removed.
 *
 * Return: 0; -ENOENT it is not loaded.
 */
int ecbpf_fastpath_unload(struct ecbpf *e);

/* --- settings ----------------------------------------------------------------------------- */

/* What can be set while it runs, and what each means: see ecbpf_fastpath_settings() */
struct ecbpf_fastpath_settings {
	__u32 lease_ms;
	__u32 sample_ms;
	__u32 inactive_ms;
	__u32 monitor;
	__u32 routed;
	__u32 limit;
	__u32 target_pps;
	__u32 spike_percent;
	__u32 max_percent;
	__u32 reset_pps;
};

/* The table of struct ecbpf_fastpath_settings */
const struct ecbpf_settings *ecbpf_fastpath_settings(void);

/* Return: 0; -ENOENT it is not loaded; set: -EINVAL a value is not allowed, nothing was changed */
int ecbpf_fastpath_get(struct ecbpf *e, struct ecbpf_fastpath_settings *ret_settings);
int ecbpf_fastpath_set(struct ecbpf *e, const struct ecbpf_fastpath_settings *settings);

/**
 * ecbpf_fastpath_refresh() - read the UDP services of IPVS
 * @ret_count: services whose flows get leases; or NULL. Without IPVS: 0
 *
 * UDP flows get leases only if their service keeps a server for each client, and does not choose
 * one for each packet (ipvsadm --ops). Load and set do this as well.
 */
int ecbpf_fastpath_refresh(struct ecbpf *e, size_t *ret_count);

/**
 * ecbpf_fastpath_repair() - attach the TC program where it is missing or of another version
 * @ret_count: number of interfaces that were repaired; or NULL
 *
 * Return: 0; -ENOENT it is not loaded.
 */
int ecbpf_fastpath_repair(struct ecbpf *e, size_t *ret_count);

/* --- addresses ---------------------------------------------------------------------------- */

/*
 * Addresses, of clients or services, whose flows get no lease. Existing leases end at once. All of
 * them, or none if one is wrong: add: -EINVAL IPv6 that holds ::ffff:0:0/96, which are the IPv4
 * addresses; delete: -ENOENT it is not excluded. @ret_prefixes: sorted, for free()
 */
int ecbpf_fastpath_exclude_add(struct ecbpf *e, const struct ecbpf_prefix *prefixes, size_t count);
int ecbpf_fastpath_exclude_delete(struct ecbpf *e, const struct ecbpf_prefix *prefixes,
				  size_t count);
int ecbpf_fastpath_exclude_list(struct ecbpf *e, struct ecbpf_prefix **ret_prefixes,
				size_t *ret_count);

/* --- flows -------------------------------------------------------------------------------- */

/* Does a lease agree with IPVS? */
enum ecbpf_agreement {
	ECBPF_AGREES,	    /* yes, or there is no lease */
	ECBPF_NO_IPVS,	    /* the kernel has no IPVS, or it is not loaded */
	ECBPF_NO_ENTRY,	    /* IPVS has no such connection */
	ECBPF_OTHER_SERVER, /* IPVS has another server, by its Ethernet address */
};

/**
 * struct ecbpf_fastpath_flow - a flow with its lease
 * @client: address of the client; IPv4 as ::ffff:a.b.c.d
 * @service: address of the service; IPv4 as ::ffff:a.b.c.d
 * @client_port: host order
 * @service_port: host order
 * @proto: IPPROTO_TCP or IPPROTO_UDP
 * @is_dead: the kernel has reset it
 * @is_ending: the client has sent a FIN
 * @lease_ms: time until the lease expires; negative: time since it has expired
 * @punted_ms: time since a packet was last passed to the stack
 * @packets: packets that XDP has forwarded, modulo 2^32
 * @hop: next hop; all 0 if the flow is dead
 * @agreement: of the lease with IPVS
 * @real: server in the entry of IPVS; IPv4 as ::ffff:a.b.c.d
 * @real_port: port in the entry of IPVS, host order
 * @ipvs_state: state in the entry of IPVS; "" if there is no entry
 * @ipvs_timer_s: seconds until the entry of IPVS expires, without further packets
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
 * struct ecbpf_fastpath_filter - selects flows; each field may be NULL
 * @client: address of the client
 * @service: address of the service
 * @flow: addresses, ports and protocol
 * @dest: destination Ethernet address of the next hop
 */
struct ecbpf_fastpath_filter {
	const struct ecbpf_prefix *client;
	const struct ecbpf_prefix *service;
	const struct ecbpf_fastpath_flow *flow;
	const __u8 *dest;
};

/* Return: 0 to continue; another value ends ecbpf_fastpath_flows(), which returns it */
typedef int (*ecbpf_fastpath_flow_fn)(void *data, const struct ecbpf_fastpath_flow *flow);

/* Call @fn for flows that have or had a lease, with their entries of IPVS. @filter: NULL for all */
int ecbpf_fastpath_flows(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 ecbpf_fastpath_flow_fn fn, void *data);

/**
 * struct ecbpf_fastpath_explanation - how the next packet of a flow would be handled
 * @flow: the flow; only addresses, ports and protocol if it is not in the table
 * @is_excluded: one of its addresses is excluded
 * @is_known: it is in the table
 * @reason: enum ecbpf_reason by which a packet (TCP: an ACK) would be counted
 * @sample_ms: time until a packet is passed to IPVS as a sample, if it has a lease
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

/* End leases at once. @filter: NULL for all. @ret_count: number of leases; or NULL */
int ecbpf_fastpath_flush(struct ecbpf *e, const struct ecbpf_fastpath_filter *filter,
			 size_t *ret_count);

/* --- state and counters ------------------------------------------------------------------- */

struct ecbpf_fastpath_port {
	char iface[16];
	int ifindex;
	bool is_in;	 /* it has the XDP program, alone or in ecbpf_fused */
	bool is_out;	 /* it has the TC program */
	bool is_current; /* the TC program is of the version of this library */
	bool is_port;	 /* packets may leave by it, so that it needs the TC program */
	bool is_fused;	 /* in ecbpf_fused */
	struct ecbpf_counters counters; /* of the XDP program */
};

/**
 * struct ecbpf_fastpath_status - status of the fast path
 * @is_on: packets are forwarded. false: load or unload was killed; unload it
 * @capacity: flows that the table has room for
 * @bytes: memory of the maps
 * @flows: flows with a lease
 * @idle: flows whose lease has expired within the last `inactive_ms`
 * @dead: flows that the kernel has reset
 * @hops: next hops in use
 * @excluded: excluded prefixes
 * @egress: counters of the TC program
 * @ports: interfaces
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
const char *ecbpf_egress_text(__u32 counter); /* description; NULL if there is no such counter */

/* @ret_status: for ecbpf_fastpath_status_free(). Return: 0; -ENOENT it is not loaded */
int ecbpf_fastpath_status(struct ecbpf *e, struct ecbpf_fastpath_status **ret_status);
void ecbpf_fastpath_status_free(struct ecbpf_fastpath_status *status); /* NULL is fine */
/* Interfaces that have it, also if its maps are not there. @ret_ports: without counters; for free()
 */
int ecbpf_fastpath_ports(struct ecbpf *e, struct ecbpf_fastpath_port **ret_ports,
			 size_t *ret_count);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_FASTPATH_H */
