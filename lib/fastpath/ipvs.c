// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reads IPVS, see ipvs.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/in.h>
#include <linux/ip_vs.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/netlink.h"
#include "fastpath/ipvs.h"

#define CONNS_PATH "/proc/net/ip_vs_conn"

/* --- netlink ------------------------------------------------------------------------------ */

/* Send a request, and collect the answers in an array, see ecbpf_netlink_collect() */
static int request(struct ecbpf *e, int command, int flags, ecbpf_netlink_fn fn, size_t size,
		   void *items_p, size_t *count)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg = nlmsg_alloc();
	int family, err;

	if (!sock || !msg) {
		err = ecbpf_fail_memory(e);
		goto out;
	}
	err = genl_connect(sock);
	if (err) {
		err = ecbpf_fail(e, -EIO, "IPVS: netlink: %s", nl_geterror(err));
		goto out;
	}
	family = genl_ctrl_resolve(sock, IPVS_GENL_NAME);
	if (family < 0 && family != -NLE_OBJ_NOTFOUND) {
		err = ecbpf_fail(e, -EIO, "IPVS: netlink: %s", nl_geterror(family));
		goto out;
	}
	if (family < 0) {
		err = ecbpf_fail(e, -ENOENT,
				 "this kernel has no IPVS, or it is not loaded "
				 "('modprobe ip_vs' loads it)");
		goto out;
	}
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command,
			 IPVS_GENL_VERSION)) {
		err = ecbpf_fail_memory(e);
		goto out;
	}
	err = ecbpf_netlink_collect(e, sock, msg, "IPVS", fn, size, items_p, count);
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

static bool service_read(struct nlmsghdr *message, void *item)
{
	struct nlattr *attrs[IPVS_CMD_ATTR_MAX + 1], *svc[IPVS_SVC_ATTR_MAX + 1];
	struct ipvs_service *service = item;
	struct ip_vs_flags flags;

	if (genlmsg_parse(message, 0, attrs, IPVS_CMD_ATTR_MAX, NULL) ||
	    !attrs[IPVS_CMD_ATTR_SERVICE] ||
	    nla_parse_nested(svc, IPVS_SVC_ATTR_MAX, attrs[IPVS_CMD_ATTR_SERVICE], NULL))
		return false;
	if (svc[IPVS_SVC_ATTR_FLAGS]) {
		nla_memcpy(&flags, svc[IPVS_SVC_ATTR_FLAGS], sizeof(flags));
		service->is_one_packet = flags.flags & IP_VS_SVC_F_ONEPACKET;
	}
	if (svc[IPVS_SVC_ATTR_FWMARK]) {
		service->mark = nla_get_u32(svc[IPVS_SVC_ATTR_FWMARK]);
		return true;
	}
	if (!svc[IPVS_SVC_ATTR_AF] || !svc[IPVS_SVC_ATTR_ADDR] || !svc[IPVS_SVC_ATTR_PORT] ||
	    !svc[IPVS_SVC_ATTR_PROTOCOL])
		return false;
	addr_map(service->addr, nla_data(svc[IPVS_SVC_ATTR_ADDR]),
		 nla_get_u16(svc[IPVS_SVC_ATTR_AF]) == AF_INET6);
	service->port = ntohs(nla_get_u16(svc[IPVS_SVC_ATTR_PORT]));
	service->proto = nla_get_u16(svc[IPVS_SVC_ATTR_PROTOCOL]);
	return true;
}

int ecbpf_ipvs_services(struct ecbpf *e, struct ipvs_service **ret_services, size_t *ret_count)
{
	struct ipvs_service *services = NULL;
	size_t count = 0;
	int err;

	err = request(e, IPVS_CMD_GET_SERVICE, NLM_F_DUMP, service_read, sizeof(*services),
		      &services, &count);
	if (err) {
		free(services);
		return err;
	}
	*ret_services = services;
	*ret_count = count;
	return 0;
}

/* --- timeouts ----------------------------------------------------------------------------- */

static bool timeouts_read(struct nlmsghdr *message, void *item)
{
	struct nlattr *attrs[IPVS_CMD_ATTR_MAX + 1];
	struct ipvs_timeouts *timeouts = item;

	if (genlmsg_parse(message, 0, attrs, IPVS_CMD_ATTR_MAX, NULL))
		return false;
	if (attrs[IPVS_CMD_ATTR_TIMEOUT_TCP])
		timeouts->tcp = nla_get_u32(attrs[IPVS_CMD_ATTR_TIMEOUT_TCP]);
	if (attrs[IPVS_CMD_ATTR_TIMEOUT_TCP_FIN])
		timeouts->tcp_fin = nla_get_u32(attrs[IPVS_CMD_ATTR_TIMEOUT_TCP_FIN]);
	if (attrs[IPVS_CMD_ATTR_TIMEOUT_UDP])
		timeouts->udp = nla_get_u32(attrs[IPVS_CMD_ATTR_TIMEOUT_UDP]);
	return true;
}

int ecbpf_ipvs_timeouts(struct ecbpf *e, struct ipvs_timeouts *ret_timeouts)
{
	_cleanup_free_ struct ipvs_timeouts *timeouts = NULL;
	size_t count = 0;
	int err;

	err = request(e, IPVS_CMD_GET_CONFIG, 0, timeouts_read, sizeof(*timeouts), &timeouts,
		      &count);
	if (!err)
		*ret_timeouts = count ? timeouts[0] : (struct ipvs_timeouts){};
	return err;
}

/* --- connections -------------------------------------------------------------------------- */

/* The kernel writes IPv4 as eight hexadecimal digits, IPv6 with colons */
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
	struct ipvs_conn *conns = NULL, *added, conn;
	size_t count = 0;
	char line[512];

	if (!file)
		return ecbpf_fail(e, -errno, "%s: %s%s", CONNS_PATH, strerror(errno),
				  errno == ENOENT ? ": IPVS is not loaded" : "");
	while (fgets(line, sizeof(line), file)) {
		if (!conn_read(line, &conn))
			continue;
		added = ecbpf_array_add(&conns, &count, sizeof(*conns));
		if (!added) {
			free(conns);
			fclose(file);
			return ecbpf_fail_memory(e);
		}
		*added = conn;
	}
	if (ferror(file)) {
		free(conns);
		fclose(file);
		return ecbpf_fail(e, -EIO, "%s: cannot be read", CONNS_PATH);
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

static bool neighbour_read(struct nlmsghdr *message, void *item)
{
	const struct ndmsg *nd = nlmsg_data(message);
	struct ipvs_neighbour *neighbour = item;
	struct nlattr *attrs[NDA_MAX + 1];

	if (nlmsg_parse(message, sizeof(*nd), attrs, NDA_MAX, NULL) || !attrs[NDA_DST] ||
	    !attrs[NDA_LLADDR] || nla_len(attrs[NDA_LLADDR]) != 6 ||
	    nla_len(attrs[NDA_DST]) != (nd->ndm_family == AF_INET6 ? 16 : 4))
		return false;
	addr_map(neighbour->addr, nla_data(attrs[NDA_DST]), nd->ndm_family == AF_INET6);
	memcpy(neighbour->mac, nla_data(attrs[NDA_LLADDR]), sizeof(neighbour->mac));
	return true;
}

int ecbpf_ipvs_neighbours(struct ecbpf *e, struct ipvs_neighbour **ret_neighbours,
			  size_t *ret_count)
{
	struct ipvs_neighbour *neighbours = NULL;
	const struct ndmsg any = {};
	size_t count = 0;
	int err;

	err = ecbpf_rtnetlink_collect(e, RTM_GETNEIGH, &any, sizeof(any),
				      "cannot read the neighbour table", neighbour_read,
				      sizeof(*neighbours), &neighbours, &count);
	if (err) {
		free(neighbours);
		return err;
	}
	*ret_neighbours = neighbours;
	*ret_count = count;
	return 0;
}
