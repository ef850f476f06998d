// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: flows and addresses as text */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include "tools/fastpath/fastpath.h"

int parse_prefix(struct tool *tool, const char *what, const char *text,
		 struct ecbpf_prefix *ret_prefix)
{
	bool has_host_bits;

	if (ecbpf_prefix_parse(tool->ecbpf, text, ret_prefix, &has_host_bits))
		return tool_usage("%s: %s", what, ecbpf_error(tool->ecbpf));
	return 0;
}

/* "192.0.2.1:80", "[2001:db8::1]:80" */
static int parse_endpoint(struct tool *tool, const char *what, const char *text, __u8 *ret_addr,
			  __u16 *ret_port)
{
	const char *colon = strrchr(text, ':'), *begin = text;
	struct ecbpf_prefix prefix;
	char addr[INET6_ADDRSTRLEN];
	bool has_host_bits;
	__u32 bits;
	__u64 port;
	size_t len;

	if (!colon)
		goto bad;
	len = colon - text;
	if (text[0] == '[' && len > 1 && text[len - 1] == ']') {
		begin++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		goto bad;
	}
	if (len >= sizeof(addr))
		goto bad;
	memcpy(addr, begin, len);
	addr[len] = '\0';
	if (strchr(addr, '/') || ecbpf_prefix_parse(tool->ecbpf, addr, &prefix, &has_host_bits))
		goto bad;
	if (tool_parse_number(what, colon + 1, 0, 65535, &port))
		return TOOL_USAGE;
	ecbpf_prefix_map(&prefix, ret_addr, &bits);
	*ret_port = port;
	return 0;
bad:
	return tool_usage("%s: '%s' is not ADDRESS:PORT, such as 192.0.2.1:80 or [2001:db8::1]:80",
			  what, text);
}

static int parse_proto(const char *text, __u8 *ret_proto)
{
	if (!strcmp(text, "tcp"))
		*ret_proto = IPPROTO_TCP;
	else if (!strcmp(text, "udp"))
		*ret_proto = IPPROTO_UDP;
	else
		return tool_usage("'%s' is not tcp or udp", text);
	return 0;
}

/* PROTO SOURCE DESTINATION */
int parse_flow(struct tool *tool, char **words, struct ecbpf_fastpath_flow *ret_flow)
{
	int err;

	*ret_flow = (struct ecbpf_fastpath_flow){};
	err = parse_proto(words[0], &ret_flow->proto);
	if (!err)
		err = parse_endpoint(tool, "source", words[1], ret_flow->client,
				     &ret_flow->client_port);
	if (!err)
		err = parse_endpoint(tool, "destination", words[2], ret_flow->service,
				     &ret_flow->service_port);
	return err;
}

const char *addr_text(const __u8 *addr)
{
	struct ecbpf_prefix prefix = ecbpf_prefix_unmap(addr, 128);
	char text[ECBPF_PREFIX_TEXT];

	ecbpf_prefix_format(&prefix, text);
	return tool_str("%s", text);
}

const char *endpoint_text(const __u8 *addr, __u16 port)
{
	const char *text = addr_text(addr);

	return tool_str(strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
}

const char *proto_text(__u8 proto)
{
	return proto == IPPROTO_TCP ? "tcp" : "udp";
}

const char *mac_text(const __u8 *mac)
{
	return tool_str("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			mac[5]);
}

const char *iface_text(__u32 ifindex)
{
	char name[IF_NAMESIZE];

	return if_indextoname(ifindex, name) ? tool_str("%s", name) : tool_str("%u", ifindex);
}

const char *flow_state(const struct ecbpf_fastpath_flow *flow)
{
	if (flow->lease_ms <= 0)
		return "idle";
	return flow->is_dead ? "dead" : flow->is_ending ? "ending" : "lease";
}

const char *hop_text(const struct ecbpf_hop *hop)
{
	if (!hop->ifindex)
		return "-";
	return tool_str(hop->flags & ECBPF_HOP_TAGGED ? "%s %s vlan %u" : "%s %s",
			iface_text(hop->ifindex), mac_text(hop->dest), hop->vlan_tci & 0xfff);
}

/* "192.0.2.11:80 ESTABLISHED 899 s" */
const char *ipvs_text(const struct ecbpf_fastpath_flow *flow)
{
	if (!*flow->ipvs_state)
		return "-";
	return tool_str("%s %s %u s", endpoint_text(flow->real, flow->real_port), flow->ipvs_state,
			flow->ipvs_timer_s);
}
