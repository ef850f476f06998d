/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services, timeouts and connections of IPVS. Connections come from /proc/net/ip_vs_conn, as
 * netlink does not provide them.
 */
#ifndef ECBPF_IPVS_H
#define ECBPF_IPVS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ecbpf;

/**
 * struct ipvs_service - a virtual service
 * @addr: network order, IPv4 as ::ffff:a.b.c.d; 0 with a mark
 * @port: host order
 * @proto: IPPROTO_TCP, IPPROTO_UDP or another one; 0 with a mark
 * @mark: firewall mark, or 0
 * @is_one_packet: it chooses a server for each packet
 */
struct ipvs_service {
	__u8 addr[16];
	__u16 port;
	__u16 proto;
	__u32 mark;
	bool is_one_packet;
};

/**
 * struct ipvs_conn - a connection
 * @client, @service, @real: IPv4 as ::ffff:a.b.c.d
 * @client_port, @service_port, @real_port: host order
 * @proto: IPPROTO_TCP or IPPROTO_UDP
 * @timer_s: seconds until it expires, without further packets
 */
struct ipvs_conn {
	__u8 client[16];
	__u8 service[16];
	__u8 real[16];
	__u16 client_port;
	__u16 service_port;
	__u16 real_port;
	__u8 proto;
	char state[16];
	__u32 timer_s;
};

/* In seconds */
struct ipvs_timeouts {
	__u32 tcp;
	__u32 tcp_fin;
	__u32 udp;
};

/*
 * All return 0 or -errno; -ENOENT: the kernel has no IPVS, or it is not loaded. Arrays are for
 * free()
 */
int ecbpf_ipvs_services(struct ecbpf *e, struct ipvs_service **ret_services, size_t *ret_count);
int ecbpf_ipvs_timeouts(struct ecbpf *e, struct ipvs_timeouts *ret_timeouts);

/* Connections, sorted for ecbpf_ipvs_find() */
int ecbpf_ipvs_conns(struct ecbpf *e, struct ipvs_conn **ret_conns, size_t *ret_count);

/* The connection with the addresses, ports and protocol of @key; or NULL */
const struct ipvs_conn *ecbpf_ipvs_find(const struct ipvs_conn *conns, size_t count,
					const struct ipvs_conn *key);

/* Ethernet address of an IP address in the neighbour table. IPv4 as ::ffff:a.b.c.d */
struct ipvs_neighbour {
	__u8 addr[16];
	__u8 mac[6];
};

/* The neighbour table of the kernel */
int ecbpf_ipvs_neighbours(struct ecbpf *e, struct ipvs_neighbour **ret_neighbours,
			  size_t *ret_count);

#endif /* ECBPF_IPVS_H */
