// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * IPVS, as the kernel tells of it. See ipvs.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/in.h>
#include <linux/ip_vs.h>
#include <linux/neighbour.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include "core/handle.h"
#include "core/rtnetlink.h"
#include "fastpath/ipvs.h"

#define CONNS_PATH "/proc/net/ip_vs_conn"

/* --- netlink ------------------------------------------------------------------------------ */

static int fail_netlink(struct ecbpf *e, int err)
{
	return ecbpf_fail(e, err == -NLE_PERM ? -EPERM : -EIO, "IPVS: netlink: %s%s",
			  nl_geterror(err), err == -NLE_PERM ? " (must be root)" : "");
}

/* Ask, and give each answer to @fn */
static int request(struct ecbpf *e, int command, int flags, nl_recvmsg_msg_cb_t fn, void *data)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg = nlmsg_alloc();
	int family, err;

	if (!sock || !msg) {
		err = ecbpf_fail(e, -ENOMEM, "out of memory");
		goto out;
	}
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, fn, data);
	err = genl_connect(sock);
	if (err) {
		err = fail_netlink(e, err);
		goto out;
	}
	family = genl_ctrl_resolve(sock, IPVS_GENL_NAME);
	if (family < 0) {
		err = ecbpf_fail(e, -ENOENT,
				 "this kernel has no IPVS, or it is not loaded "
				 "('modprobe ip_vs' loads it)");
		goto out;
	}
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command,
			 IPVS_GENL_VERSION)) {
		err = ecbpf_fail(e, -ENOMEM, "out of memory");
		goto out;
	}
	err = nl_send_auto(sock, msg);
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	err = err < 0 ? fail_netlink(e, err) : 0;
out:
	nlmsg_free(msg);
	nl_socket_free(sock);
	return err;
}

/* IPv4 as ::ffff:a.b.c.d */
static void addr_map(__u8 *to, const void *from, bool is_ip6)
{
	if (is_ip6) {
		memcpy(to, from, 16);
		return;
	}
	memset(to, 0, 10);
	memset(to + 10, 0xff, 2);
	memcpy(to + 12, from, 4);
}

/* --- services ----------------------------------------------------------------------------- */

struct services {
	struct ipvs_service *items;
	size_t count;
	bool is_out_of_memory;
};

static int service_add(struct nl_msg *msg, void *data)
{
	struct nlattr *attrs[IPVS_CMD_ATTR_MAX + 1], *svc[IPVS_SVC_ATTR_MAX + 1];
	struct ipvs_service service = {}, *more;
	struct services *services = data;
	struct ip_vs_flags flags;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, IPVS_CMD_ATTR_MAX, NULL) ||
	    !attrs[IPVS_CMD_ATTR_SERVICE] ||
	    nla_parse_nested(svc, IPVS_SVC_ATTR_MAX, attrs[IPVS_CMD_ATTR_SERVICE], NULL))
		return NL_SKIP;
	if (svc[IPVS_SVC_ATTR_FLAGS]) {
		nla_memcpy(&flags, svc[IPVS_SVC_ATTR_FLAGS], sizeof(flags));
		service.is_one_packet = flags.flags & IP_VS_SVC_F_ONEPACKET;
	}
	if (svc[IPVS_SVC_ATTR_FWMARK]) {
		service.mark = nla_get_u32(svc[IPVS_SVC_ATTR_FWMARK]);
	} else if (svc[IPVS_SVC_ATTR_AF] && svc[IPVS_SVC_ATTR_ADDR] && svc[IPVS_SVC_ATTR_PORT] &&
		   svc[IPVS_SVC_ATTR_PROTOCOL]) {
		addr_map(service.addr, nla_data(svc[IPVS_SVC_ATTR_ADDR]),
			 nla_get_u16(svc[IPVS_SVC_ATTR_AF]) == AF_INET6);
		service.port = ntohs(nla_get_u16(svc[IPVS_SVC_ATTR_PORT]));
		service.proto = nla_get_u16(svc[IPVS_SVC_ATTR_PROTOCOL]);
	} else {
		return NL_SKIP;
	}
	more = realloc(services->items, (services->count + 1) * sizeof(*more));
	if (!more) {
		services->is_out_of_memory = true;
		return NL_STOP;
	}
	services->items = more;
	services->items[services->count++] = service;
	return NL_OK;
}

int ecbpf_ipvs_services(struct ecbpf *e, struct ipvs_service **ret_services, size_t *ret_count)
{
	struct services services = {};
	int err;

	err = request(e, IPVS_CMD_GET_SERVICE, NLM_F_DUMP, service_add, &services);
	if (!err && services.is_out_of_memory)
		err = ecbpf_fail(e, -ENOMEM, "out of memory");
	if (err) {
		free(services.items);
		return err;
	}
	*ret_services = services.items;
	*ret_count = services.count;
	return 0;
}

/* --- timeouts ----------------------------------------------------------------------------- */

static int timeouts_read(struct nl_msg *msg, void *data)
{
	struct nlattr *attrs[IPVS_CMD_ATTR_MAX + 1];
	struct ipvs_timeouts *timeouts = data;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, IPVS_CMD_ATTR_MAX, NULL))
		return NL_SKIP;
	if (attrs[IPVS_CMD_ATTR_TIMEOUT_TCP])
		timeouts->tcp = nla_get_u32(attrs[IPVS_CMD_ATTR_TIMEOUT_TCP]);
	if (attrs[IPVS_CMD_ATTR_TIMEOUT_TCP_FIN])
		timeouts->tcp_fin = nla_get_u32(attrs[IPVS_CMD_ATTR_TIMEOUT_TCP_FIN]);
	if (attrs[IPVS_CMD_ATTR_TIMEOUT_UDP])
		timeouts->udp = nla_get_u32(attrs[IPVS_CMD_ATTR_TIMEOUT_UDP]);
	return NL_OK;
}

int ecbpf_ipvs_timeouts(struct ecbpf *e, struct ipvs_timeouts *ret_timeouts)
{
	struct ipvs_timeouts timeouts = {};
	int err;

	err = request(e, IPVS_CMD_GET_CONFIG, 0, timeouts_read, &timeouts);
	if (!err)
		*ret_timeouts = timeouts;
	return err;
}

/* --- connections -------------------------------------------------------------------------- */

/* As the kernel writes it: IPv4 in eight hexadecimal digits, IPv6 with colons */
static bool addr_read(const char *text, __u8 *ret_addr)
{
	unsigned int number;
	struct in6_addr in6;
	__be32 in4;

	if (strchr(text, ':')) {
		if (inet_pton(AF_INET6, text, &in6) != 1)
			return false;
		addr_map(ret_addr, &in6, true);
		return true;
	}
	if (strlen(text) != 8 || sscanf(text, "%8x", &number) != 1)
		return false;
	in4 = htonl(number);
	addr_map(ret_addr, &in4, false);
	return true;
}

static bool conn_read(const char *line, struct ipvs_conn *ret)
{
	char proto[8], client[48], service[48], real[48];
	unsigned int cport, vport, dport;
	struct ipvs_conn conn = {};

	if (sscanf(line, "%7s %47s %4x %47s %4x %47s %4x %15s %u", proto, client, &cport, service,
		   &vport, real, &dport, conn.state, &conn.timer_s) != 9)
		return false;
	if (!strcmp(proto, "TCP"))
		conn.proto = IPPROTO_TCP;
	else if (!strcmp(proto, "UDP"))
		conn.proto = IPPROTO_UDP;
	else
		return false;
	conn.client_port = cport;
	conn.service_port = vport;
	conn.real_port = dport;
	if (!addr_read(client, conn.client) || !addr_read(service, conn.service) ||
	    !addr_read(real, conn.real))
		return false;
	*ret = conn;
	return true;
}

static int conn_compare(const void *a, const void *b)
{
	const struct ipvs_conn *x = a, *y = b;
	int cmp = memcmp(x->client, y->client, sizeof(x->client));

	if (!cmp)
		cmp = x->client_port - y->client_port;
	if (!cmp)
		cmp = memcmp(x->service, y->service, sizeof(x->service));
	if (!cmp)
		cmp = x->service_port - y->service_port;
	return cmp ? cmp : x->proto - y->proto;
}

int ecbpf_ipvs_conns(struct ecbpf *e, struct ipvs_conn **ret_conns, size_t *ret_count)
{
	FILE *file = fopen(CONNS_PATH, "re");
	struct ipvs_conn *conns = NULL, *more;
	size_t count = 0, room = 0;
	char line[512];

	if (!file)
		return ecbpf_fail(e, -errno, "%s: %s%s", CONNS_PATH, strerror(errno),
				  errno == ENOENT ? ": IPVS is not loaded" : "");
	while (fgets(line, sizeof(line), file)) {
		if (count == room) {
			room = room ? 2 * room : 1024;
			more = realloc(conns, room * sizeof(*conns));
			if (!more) {
				free(conns);
				fclose(file);
				return ecbpf_fail(e, -ENOMEM, "out of memory");
			}
			conns = more;
		}
		count += conn_read(line, &conns[count]);
	}
	fclose(file);
	if (count)
		qsort(conns, count, sizeof(*conns), conn_compare);
	*ret_conns = conns;
	*ret_count = count;
	return 0;
}

const struct ipvs_conn *ecbpf_ipvs_find(const struct ipvs_conn *conns, size_t count,
					const struct ipvs_conn *key)
{
	return count ? bsearch(key, conns, count, sizeof(*conns), conn_compare) : NULL;
}

/* --- neighbours --------------------------------------------------------------------------- */

struct neighbours {
	struct ipvs_neighbour *items;
	size_t count;
};

static int neighbour_add(const struct nlmsghdr *message, void *data)
{
	const struct ndmsg *nd = NLMSG_DATA(message);
	struct neighbours *neighbours = data;
	struct nlattr *attrs[NDA_MAX + 1];
	struct ipvs_neighbour *more;

	if (nlmsg_parse((void *)message, sizeof(*nd), attrs, NDA_MAX, NULL) || !attrs[NDA_DST] ||
	    !attrs[NDA_LLADDR] || nla_len(attrs[NDA_LLADDR]) != 6 ||
	    nla_len(attrs[NDA_DST]) != (nd->ndm_family == AF_INET6 ? 16 : 4))
		return 0;
	more = realloc(neighbours->items, (neighbours->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	neighbours->items = more;
	more += neighbours->count++;
	addr_map(more->addr, nla_data(attrs[NDA_DST]), nd->ndm_family == AF_INET6);
	memcpy(more->mac, nla_data(attrs[NDA_LLADDR]), sizeof(more->mac));
	return 0;
}

int ecbpf_ipvs_neighbours(struct ecbpf *e, struct ipvs_neighbour **ret_neighbours,
			  size_t *ret_count)
{
	struct neighbours neighbours = {};
	const struct ndmsg any = {};
	int err;

	err = ecbpf_rtnetlink_dump(RTM_GETNEIGH, &any, sizeof(any), neighbour_add, &neighbours);
	if (err) {
		free(neighbours.items);
		return ecbpf_fail(e, err, "cannot read the neighbour table: %s", strerror(-err));
	}
	*ret_neighbours = neighbours.items;
	*ret_count = neighbours.count;
	return 0;
}
