// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: the fast path for IPVS, see ecbpf-fastpath(8) */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <ecbpf/libecbpf-fastpath.h>
#include "tools/common/common.h"

enum {
	OPT_FLOWS = TOOL_LONG_ONLY,
	OPT_MONITOR,
	OPT_FUSED,
	OPT_VIP,
	OPT_CLIENT,
	OPT_LIMIT,
	OPT_REAL,
	OPT_FLOW,
	OPT_ALL,
};

/* --- addresses ------------------------------------------------------------------------------ */

static int parse_prefix(const char *what, const char *text, struct ecbpf_prefix *ret_prefix)
{
	if (ecbpf_prefix_parse(text, ret_prefix))
		return tool_usage("%s: '%s' is not an address or prefix, such as 192.0.2.0/24 or "
				  "2001:db8::1 (no bits behind the prefix)",
				  what, text);
	return 0;
}

/* "192.0.2.1:80", "[2001:db8::1]:80" */
static int parse_endpoint(const char *what, const char *text, __u8 *ret_addr, __u16 *ret_port)
{
	const char *colon = strrchr(text, ':'), *begin = text;
	struct ecbpf_prefix prefix;
	char addr[INET6_ADDRSTRLEN];
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
	if (strchr(addr, '/') || ecbpf_prefix_parse(addr, &prefix))
		goto bad;
	if (tool_parse_number(what, colon + 1, 0, 65535, &port))
		return TOOL_USAGE;
	memcpy(ret_addr, prefix.addr, sizeof(prefix.addr));
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
static int parse_flow(char **words, struct ecbpf_fastpath_flow *ret_flow)
{
	int err;

	*ret_flow = (struct ecbpf_fastpath_flow){};
	err = parse_proto(words[0], &ret_flow->proto);
	if (!err)
		err = parse_endpoint("source", words[1], ret_flow->client, &ret_flow->client_port);
	if (!err)
		err = parse_endpoint("destination", words[2], ret_flow->service,
				     &ret_flow->service_port);
	return err;
}

static const char *addr_text(const __u8 *addr)
{
	struct ecbpf_prefix prefix = {.len = 128};
	char text[ECBPF_PREFIX_TEXT];

	memcpy(prefix.addr, addr, sizeof(prefix.addr));
	ecbpf_prefix_format(&prefix, text);
	return tool_str("%s", text);
}

static const char *endpoint_text(const __u8 *addr, __u16 port)
{
	const char *text = addr_text(addr);

	return tool_str(strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
}

static const char *proto_text(__u8 proto)
{
	return proto == IPPROTO_TCP ? "tcp" : "udp";
}

static const char *mac_text(const __u8 *mac)
{
	return tool_str("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			mac[5]);
}

static const char *iface_text(__u32 ifindex)
{
	char name[IF_NAMESIZE];

	return if_indextoname(ifindex, name) ? tool_str("%s", name) : tool_str("%u", ifindex);
}

/* --- load, unload --------------------------------------------------------------------------- */

static const struct tool_option load_options[] = {
	{'i', "in", "IFACE,...",
	 "where clients' packets come in; may be given several\n"
	 "times"},
	{'o', "out", "IFACE,...", "where they leave, if elsewhere; likewise"},
	{OPT_FLOWS, "flows", "N", "size of the table (default: 1000000)"},
	{'m', "mode", "MODE",
	 "of XDP: native, skb or unspecified: that of the\n"
	 "chain, native for a new one (default: unspecified)"},
	{OPT_MONITOR, "monitor", NULL, "forward nothing, only count what would be"},
	{OPT_FUSED, "fused", NULL, "in ecbpf_fused, with the stages that it runs already"},
	TOOL_COMMON_OPTIONS,
};

static int parse_mode(const char *text, enum ecbpf_mode *ret_mode)
{
	if (!strcmp(text, "native"))
		*ret_mode = ECBPF_MODE_NATIVE;
	else if (!strcmp(text, "skb"))
		*ret_mode = ECBPF_MODE_SKB;
	else if (!strcmp(text, "unspecified"))
		*ret_mode = ECBPF_MODE_UNSPEC;
	else
		return tool_usage("--mode: '%s' is not native, skb or unspecified", text);
	return 0;
}

static int parse_load(struct tool *tool, int argc, char **argv, struct ecbpf_fastpath_load *load,
		      struct tool_list *in, struct tool_list *out)
{
	__u64 number;
	int id, err;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		err = 0;
		switch (id) {
		case 'i':
			err = tool_parse_ifaces(optarg, in);
			break;
		case 'o':
			err = tool_parse_ifaces(optarg, out);
			break;
		case OPT_FLOWS:
			err = tool_parse_number("--flows", optarg, ECBPF_FLOWS_MIN, ECBPF_FLOWS_MAX,
						&number);
			if (!err)
				load->flows = number;
			break;
		case 'm':
			err = parse_mode(optarg, &load->mode);
			break;
		case OPT_MONITOR:
			load->monitor = true;
			break;
		case OPT_FUSED:
			load->is_fused = true;
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (optind < argc)
		return tool_usage("'%s': interfaces come with --in and --out", argv[optind]);
	if (!in->count)
		return tool_usage("where do packets come in? give --in");
	load->in = (const char *const *)in->items;
	load->in_count = in->count;
	load->out = (const char *const *)out->items;
	load->out_count = out->count;
	return 0;
}

static int run_load(struct tool *tool, int argc, char **argv)
{
	struct tool_list in TOOL_CLEANUP(tool_list_free) = {};
	struct tool_list out TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_fastpath_load load = {};
	int err;

	err = parse_load(tool, argc, argv, &load, &in, &out);
	if (err)
		return err;
	return ecbpf_fastpath_load(tool->ecbpf, &load) ? tool_fail_ecbpf(tool) : TOOL_OK;
}

static const struct tool_option plain_options[] = {TOOL_COMMON_OPTIONS};

/* For verbs that have only common options. Return: 0 or TOOL_USAGE */
static int parse_none(struct tool *tool, int argc, char **argv)
{
	return tool_getopt(tool, argc, argv) == -1 ? 0 : TOOL_USAGE;
}

static int run_unload(struct tool *tool, int argc, char **argv)
{
	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': it is unloaded from all interfaces", argv[optind]);
	return ecbpf_fastpath_unload(tool->ecbpf) ? tool_fail_ecbpf(tool) : TOOL_OK;
}

/* --- set ------------------------------------------------------------------------------------ */

/* A setting, as `set` takes and `status` shows it */
struct setting {
	const char *name;
	const char *unit;
	size_t off;
	bool is_bool;
};

static const struct setting settings_table[] = {
#define NUMBER(name, unit, field)                                                  \
	{                                                                          \
		name, unit, offsetof(struct ecbpf_fastpath_settings, field), false \
	}
#define SWITCH(name, field)                                                     \
	{                                                                       \
		name, "", offsetof(struct ecbpf_fastpath_settings, field), true \
	}
	NUMBER("lease", "ms", lease_ms),
	NUMBER("sample", "ms", sample_ms),
	NUMBER("inactive", "ms", inactive_ms),
	SWITCH("monitor", monitor),
	SWITCH("limit", limit),
	NUMBER("target-pps", "", target_pps),
	NUMBER("spike", "%", spike_percent),
	NUMBER("max", "%", max_percent),
	NUMBER("reset-pps", "", reset_pps),
	{},
};

static int set_one(const char *text, struct ecbpf_fastpath_settings *settings)
{
	const char *value = strchr(text, '=');
	const struct setting *s;
	char *field;
	__u64 number;

	if (!value)
		return tool_usage("'%s' is not KEY=VALUE", text);
	for (s = settings_table; s->name; s++)
		if (strlen(s->name) == (size_t)(value - text) &&
		    !memcmp(s->name, text, value - text))
			break;
	if (!s->name)
		return tool_usage("'%.*s' is not one of lease, sample, inactive, monitor, limit, "
				  "target-pps, spike, max, reset-pps",
				  (int)(value - text), text);
	value++;
	field = (char *)settings + s->off;
	if (s->is_bool) {
		if (strcmp(value, "on") && strcmp(value, "off"))
			return tool_usage("%s: '%s' is not on or off", s->name, value);
		*(bool *)field = !strcmp(value, "on");
		return 0;
	}
	if (tool_parse_number(s->name, value, 0, UINT_MAX, &number))
		return TOOL_USAGE;
	*(__u32 *)field = number;
	return 0;
}

static int run_set(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_settings settings;
	int err;

	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	if (optind == argc)
		return tool_usage("set what? KEY=VALUE");
	/* what is not understood is told before anything else */
	for (int i = optind; i < argc; i++) {
		err = set_one(argv[i], &settings);
		if (err)
			return err;
	}
	if (ecbpf_fastpath_get(tool->ecbpf, &settings))
		return tool_fail_ecbpf(tool);
	for (int i = optind; i < argc; i++)
		set_one(argv[i], &settings);
	return ecbpf_fastpath_set(tool->ecbpf, &settings) ? tool_fail_ecbpf(tool) : TOOL_OK;
}

/* --- status --------------------------------------------------------------------------------- */

static const struct tool_option json_options[] = {
	{'j', "json", NULL, "print JSON"},
	TOOL_COMMON_OPTIONS,
};

static int parse_json(struct tool *tool, int argc, char **argv, bool *ret_json)
{
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'j')
			return TOOL_USAGE;
		*ret_json = true;
	}
	return 0;
}

static const char *setting_text(const struct setting *s,
				const struct ecbpf_fastpath_settings *settings)
{
	const char *field = (const char *)settings + s->off;

	if (s->is_bool)
		return *(const bool *)field ? "on" : "off";
	return tool_str("%u%s%s", *(const __u32 *)field, *s->unit == 'm' ? " " : "", s->unit);
}

/* Sum of all ports */
static void counters_sum(const struct ecbpf_fastpath_status *status, struct ecbpf_counters *ret)
{
	*ret = (struct ecbpf_counters){};
	for (size_t i = 0; i < status->ports_count; i++) {
		const struct ecbpf_counters *c = &status->ports[i].counters;

		for (int action = 0; action < ECBPF_ACTION_MAX; action++) {
			ret->packets[action] += c->packets[action];
			ret->bytes[action] += c->bytes[action];
		}
		for (int reason = 0; reason < ECBPF_REASON_MAX; reason++)
			ret->reasons[reason] += c->reasons[reason];
	}
}

static const char off_text[] = "off: a load or unload has not come to its end; unload it";

static void status_print(const struct ecbpf_fastpath_status *status,
			 const struct ecbpf_fastpath_settings *settings)
{
	struct tool_table table = {.columns = 2, .align = "lr"};
	struct ecbpf_counters sum;

	counters_sum(status, &sum);
	if (!status->is_on)
		printf("%s\n", off_text);
	for (size_t i = 0; i < status->ports_count; i++)
		printf("%s: %s%s%s%s\n", status->ports[i].iface, status->ports[i].is_in ? "in" : "",
		       status->ports[i].is_fused ? " (fused)" : "",
		       status->ports[i].is_in ? ", " : "",
		       status->ports[i].is_out ? "out" : "the TC program is gone");
	printf("flows: %" PRIu64 " with a lease, %" PRIu64 " idle, %" PRIu64
	       " dead; of %u (%.1f MiB)\n",
	       (uint64_t)status->flows, (uint64_t)status->idle, (uint64_t)status->dead,
	       status->capacity, status->bytes / 1048576.0);
	printf("next hops: %u; excluded: %u\n", status->hops, status->excluded);
	printf("settings:");
	for (const struct setting *s = settings_table; s->name; s++)
		printf("%s %s %s", s == settings_table ? "" : ",", s->name,
		       setting_text(s, settings));
	printf("\n");
	tool_table_row(
		&table, "forwarded",
		tool_str("%" PRIu64, (uint64_t)(sum.packets[XDP_TX] + sum.packets[XDP_REDIRECT])));
	for (__u32 reason = ECBPF_REASON_FP_LEASE; reason < ECBPF_REASON_MAX; reason++)
		if (sum.reasons[reason] && reason != ECBPF_REASON_FP_LEASE)
			tool_table_row(&table, ecbpf_reason_name(reason),
				       tool_str("%" PRIu64, (uint64_t)sum.reasons[reason]));
	for (__u32 i = 0; ecbpf_egress_name(i); i++)
		tool_table_row(&table, tool_str("egress %s", ecbpf_egress_name(i)),
			       tool_str("%" PRIu64, (uint64_t)status->egress.packets[i]));
	tool_table_print(&table, "  ");
	tool_table_free(&table);
}

static struct json_object *status_json(const struct ecbpf_fastpath_status *status,
				       const struct ecbpf_fastpath_settings *settings)
{
	struct json_object *json = json_object_new_object(), *part;
	struct ecbpf_counters sum;

	counters_sum(status, &sum);
	part = json_object_new_array();
	for (size_t i = 0; i < status->ports_count; i++) {
		struct json_object *port = json_object_new_object();

		tool_json_str(port, "interface", status->ports[i].iface);
		tool_json_bool(port, "in", status->ports[i].is_in);
		tool_json_bool(port, "out", status->ports[i].is_out);
		tool_json_bool(port, "fused", status->ports[i].is_fused);
		json_object_array_add(part, port);
	}
	json_object_object_add(json, "interfaces", part);
	tool_json_bool(json, "on", status->is_on);
	tool_json_num(json, "capacity", status->capacity);
	tool_json_num(json, "bytes", status->bytes);
	tool_json_num(json, "flows", status->flows);
	tool_json_num(json, "idle", status->idle);
	tool_json_num(json, "dead", status->dead);
	tool_json_num(json, "hops", status->hops);
	tool_json_num(json, "excluded", status->excluded);
	part = json_object_new_object();
	for (const struct setting *s = settings_table; s->name; s++) {
		const char *field = (const char *)settings + s->off;

		if (s->is_bool)
			tool_json_bool(part, s->name, *(const bool *)field);
		else
			tool_json_num(part, s->name, *(const __u32 *)field);
	}
	json_object_object_add(json, "settings", part);
	part = json_object_new_object();
	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++)
		tool_json_num(part, ecbpf_action_name(action), sum.packets[action]);
	json_object_object_add(json, "packets", part);
	part = json_object_new_object();
	for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++)
		if (ecbpf_reason_name(reason) &&
		    (sum.reasons[reason] || reason >= ECBPF_REASON_FP_LEASE))
			tool_json_num(part, ecbpf_reason_name(reason), sum.reasons[reason]);
	json_object_object_add(json, "reasons", part);
	part = json_object_new_object();
	for (__u32 i = 0; ecbpf_egress_name(i); i++)
		tool_json_num(part, ecbpf_egress_name(i), status->egress.packets[i]);
	json_object_object_add(json, "egress", part);
	return json;
}

static int run_status(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_settings settings;
	struct ecbpf_fastpath_status *status;
	bool is_json = false;

	if (parse_json(tool, argc, argv, &is_json))
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': status takes no argument", argv[optind]);
	if (ecbpf_fastpath_get(tool->ecbpf, &settings) ||
	    ecbpf_fastpath_status(tool->ecbpf, &status))
		return tool_fail_ecbpf(tool);
	if (is_json)
		tool_json_print(status_json(status, &settings));
	else
		status_print(status, &settings);
	ecbpf_fastpath_status_free(status);
	return TOOL_OK;
}

/* --- exclude -------------------------------------------------------------------------------- */

static int exclude_list(struct tool *tool)
{
	struct ecbpf_prefix *prefixes;
	char text[ECBPF_PREFIX_TEXT];
	size_t count;

	if (ecbpf_fastpath_exclude_list(tool->ecbpf, &prefixes, &count))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < count; i++) {
		ecbpf_prefix_format(&prefixes[i], text);
		printf("%s\n", text);
	}
	free(prefixes);
	return TOOL_OK;
}

static int run_exclude(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_prefix prefix;
	const char *what;
	bool is_add;

	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	what = optind < argc ? argv[optind++] : "";
	if (!strcmp(what, "list") && optind == argc)
		return exclude_list(tool);
	is_add = !strcmp(what, "add");
	if ((!is_add && strcmp(what, "delete")) || optind == argc)
		return tool_usage("exclude what? 'add ADDRESS...', 'delete ADDRESS...' or 'list'");
	for (int i = optind; i < argc; i++)
		if (parse_prefix("exclude", argv[i], &prefix))
			return TOOL_USAGE;
	for (int i = optind; i < argc; i++) {
		parse_prefix("exclude", argv[i], &prefix);
		if (is_add ? ecbpf_fastpath_exclude_add(tool->ecbpf, &prefix)
			   : ecbpf_fastpath_exclude_delete(tool->ecbpf, &prefix))
			return tool_fail_ecbpf(tool);
	}
	return TOOL_OK;
}

/* --- flows, flush --------------------------------------------------------------------------- */

static const struct tool_option flows_options[] = {
	{OPT_VIP, "vip", "ADDR", "only flows to this service address, or prefix"},
	{OPT_CLIENT, "client", "ADDR", "only flows from this address, or prefix"},
	{OPT_LIMIT, "limit", "N", "not more than N"},
	{'j', "json", NULL, "print JSON"},
	TOOL_COMMON_OPTIONS,
};

struct flows {
	__u64 limit;
	struct tool_table table;
	struct json_object *json; /* or NULL */
};

static const char *flow_state(const struct ecbpf_fastpath_flow *flow)
{
	if (flow->lease_ms <= 0)
		return "idle";
	return flow->is_dead ? "dead" : flow->is_ending ? "ending" : "lease";
}

static const char *hop_text(const struct ecbpf_hop *hop)
{
	if (!hop->ifindex)
		return "-";
	return tool_str(hop->flags & ECBPF_HOP_TAGGED ? "%s %s vlan %u" : "%s %s",
			iface_text(hop->ifindex), mac_text(hop->dest), hop->vlan_tci & 0xfff);
}

/* "192.0.2.11:80 ESTABLISHED 899 s" */
static const char *ipvs_text(const struct ecbpf_fastpath_flow *flow)
{
	if (!*flow->ipvs_state)
		return "-";
	return tool_str("%s %s %u s", endpoint_text(flow->real, flow->real_port), flow->ipvs_state,
			flow->ipvs_timer_s);
}

static int flows_add(void *data, const struct ecbpf_fastpath_flow *flow)
{
	struct flows *flows = data;
	struct json_object *json;

	if (!flows->limit--)
		return 1;
	if (!flows->json) {
		tool_table_row(&flows->table, proto_text(flow->proto),
			       endpoint_text(flow->client, flow->client_port),
			       endpoint_text(flow->service, flow->service_port), flow_state(flow),
			       tool_str("%lld", flow->lease_ms), tool_str("%u", flow->packets),
			       hop_text(&flow->hop), ipvs_text(flow));
		return 0;
	}
	json = json_object_new_object();
	tool_json_str(json, "proto", proto_text(flow->proto));
	tool_json_str(json, "client", addr_text(flow->client));
	tool_json_num(json, "client_port", flow->client_port);
	tool_json_str(json, "service", addr_text(flow->service));
	tool_json_num(json, "service_port", flow->service_port);
	tool_json_str(json, "state", flow_state(flow));
	json_object_object_add(json, "lease_ms", json_object_new_int64(flow->lease_ms));
	json_object_object_add(json, "up_ms", json_object_new_int64(flow->up_ms));
	tool_json_num(json, "packets", flow->packets);
	if (flow->hop.ifindex) {
		tool_json_str(json, "interface", iface_text(flow->hop.ifindex));
		tool_json_str(json, "destination", mac_text(flow->hop.dest));
		if (flow->hop.flags & ECBPF_HOP_TAGGED)
			tool_json_num(json, "vlan", flow->hop.vlan_tci & 0xfff);
	}
	if (*flow->ipvs_state) {
		tool_json_str(json, "real", addr_text(flow->real));
		tool_json_num(json, "real_port", flow->real_port);
		tool_json_str(json, "ipvs_state", flow->ipvs_state);
		tool_json_num(json, "ipvs_timer_s", flow->ipvs_timer_s);
	}
	json_object_array_add(flows->json, json);
	return 0;
}

static int run_flows(struct tool *tool, int argc, char **argv)
{
	struct flows flows = {.limit = ~0ULL, .table = {.columns = 8, .align = "llllrrll"}};
	struct ecbpf_fastpath_filter filter = {};
	struct ecbpf_prefix vip, client;
	int id, err = 0;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case OPT_VIP:
			err = parse_prefix("--vip", optarg, &vip);
			filter.service = &vip;
			break;
		case OPT_CLIENT:
			err = parse_prefix("--client", optarg, &client);
			filter.client = &client;
			break;
		case OPT_LIMIT:
			err = tool_parse_number("--limit", optarg, 1, UINT_MAX, &flows.limit);
			break;
		case 'j':
			if (!flows.json)
				flows.json = json_object_new_array();
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (optind < argc)
		return tool_usage("'%s': flows takes no argument", argv[optind]);
	if (!flows.json)
		tool_table_row(&flows.table, "PROTO", "CLIENT", "SERVICE", "STATE", "MS", "PACKETS",
			       "NEXT HOP", "IPVS");
	err = ecbpf_fastpath_flows(tool->ecbpf, &filter, flows_add, &flows);
	if (err < 0)
		return tool_fail_ecbpf(tool);
	if (flows.json)
		tool_json_print(flows.json);
	else
		tool_table_print(&flows.table, "");
	tool_table_free(&flows.table);
	return TOOL_OK;
}

static const struct tool_option flush_options[] = {
	{OPT_VIP, "vip", "ADDR", "flows to this service address, or prefix"},
	{OPT_CLIENT, "client", "ADDR", "flows from this address, or prefix"},
	{OPT_REAL, "real", "MAC", "flows to the real server with this Ethernet address"},
	{OPT_FLOW, "flow", NULL, "this flow: PROTO SOURCE:PORT DESTINATION:PORT"},
	{OPT_ALL, "all", NULL, "all flows"},
	TOOL_COMMON_OPTIONS,
};

static int parse_mac(const char *text, __u8 *ret_mac)
{
	char rest;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &ret_mac[0], &ret_mac[1],
		   &ret_mac[2], &ret_mac[3], &ret_mac[4], &ret_mac[5], &rest) != 6)
		return tool_usage("--real: '%s' is not an Ethernet address, such as "
				  "02:00:00:00:00:01",
				  text);
	return 0;
}

static int run_flush(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_filter filter = {};
	struct ecbpf_fastpath_flow flow;
	bool is_all = false, is_flow = false;
	struct ecbpf_prefix vip, client;
	size_t count;
	__u8 mac[6];
	int id, err = 0;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case OPT_VIP:
			err = parse_prefix("--vip", optarg, &vip);
			filter.service = &vip;
			break;
		case OPT_CLIENT:
			err = parse_prefix("--client", optarg, &client);
			filter.client = &client;
			break;
		case OPT_REAL:
			err = parse_mac(optarg, mac);
			filter.dest = mac;
			break;
		case OPT_FLOW:
			is_flow = true;
			break;
		case OPT_ALL:
			is_all = true;
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (is_flow && argc - optind == 3) {
		if (parse_flow(argv + optind, &flow))
			return TOOL_USAGE;
		filter.flow = &flow;
		optind += 3;
	}
	if (optind < argc || (is_flow && !filter.flow))
		return tool_usage("--flow: PROTO SOURCE:PORT DESTINATION:PORT");
	if (is_all == (filter.service || filter.client || filter.dest || filter.flow))
		return tool_usage("give --all, or which flows: --vip, --client, --real, --flow");
	if (ecbpf_fastpath_flush(tool->ecbpf, is_all ? NULL : &filter, &count))
		return tool_fail_ecbpf(tool);
	printf("%zu lease%s ended\n", count, count == 1 ? "" : "s");
	return TOOL_OK;
}

/* --- explain, check, refresh ---------------------------------------------------------------- */

static int run_explain(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_explanation x;
	struct ecbpf_fastpath_flow flow;

	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	if (argc - optind != 3)
		return tool_usage("explain which flow? PROTO SOURCE:PORT DESTINATION:PORT");
	if (parse_flow(argv + optind, &flow))
		return TOOL_USAGE;
	if (ecbpf_fastpath_explain(tool->ecbpf, &flow, &x))
		return tool_fail_ecbpf(tool);
	if (!x.is_known)
		printf("table: not there\n");
	else if (x.flow.lease_ms <= 0)
		printf("table: lease ran out %lld ms ago\n", -x.flow.lease_ms);
	else
		printf("table: lease for another %lld ms, %s\n", x.flow.lease_ms,
		       x.flow.is_dead ? "dead" : hop_text(&x.flow.hop));
	if (x.is_known && x.flow.lease_ms > 0 && !x.flow.is_dead)
		printf("next sample to IPVS: %s\n",
		       x.sample_ms > 0 ? tool_str("in %lld ms", x.sample_ms) : "now");
	printf("IPVS: %s\n", x.flow.agreement == ECBPF_NO_IPVS ? "not loaded"
			     : *x.flow.ipvs_state	       ? ipvs_text(&x.flow)
							       : "no such connection");
	if (x.is_excluded)
		printf("excluded: it gets no lease\n");
	printf("a plain packet now: %s: %s\n", ecbpf_reason_name(x.reason),
	       ecbpf_reason_text(x.reason));
	return TOOL_OK;
}

/* One reading of the leases, and of IPVS's connections, which comes before it */
struct check {
	size_t leases;
	struct ecbpf_fastpath_flow *wrong;
	size_t wrong_count;
	size_t wrong_room;
	bool is_ipvs_missing;
};

static void check_free(struct check *check)
{
	free(check->wrong);
}

static int check_add(void *data, const struct ecbpf_fastpath_flow *flow)
{
	struct check *check = data;

	check->leases += flow->lease_ms > 0 && !flow->is_dead;
	if (flow->agreement == ECBPF_NO_IPVS)
		check->is_ipvs_missing = true;
	if (flow->agreement != ECBPF_NO_ENTRY && flow->agreement != ECBPF_OTHER_SERVER)
		return 0;
	if (check->wrong_count == check->wrong_room) {
		check->wrong_room = 2 * check->wrong_room + 64;
		check->wrong = tool_alloc(check->wrong, check->wrong_room * sizeof(*check->wrong));
	}
	check->wrong[check->wrong_count++] = *flow;
	return 0;
}

/* By addresses, ports, protocol and where its packets go */
static int check_compare(const void *a, const void *b)
{
	const struct ecbpf_fastpath_flow *x = a, *y = b;
	int diff = memcmp(x, y, offsetof(struct ecbpf_fastpath_flow, is_dead));

	return diff ? diff : memcmp(&x->hop, &y->hop, sizeof(x->hop));
}

/*
 * Read once more, and forget what was not wrong before as well: IPVS's connections are read bit by
 * bit, and one that was made behind that is there by now.
 */
static int check_again(struct tool *tool, struct check *check)
{
	struct check before TOOL_CLEANUP(check_free) = *check;
	size_t count = 0;

	*check = (struct check){};
	if (ecbpf_fastpath_flows(tool->ecbpf, NULL, check_add, check) < 0)
		return tool_fail_ecbpf(tool);
	qsort(before.wrong, before.wrong_count, sizeof(*before.wrong), check_compare);
	for (size_t i = 0; i < check->wrong_count; i++) {
		if (bsearch(&check->wrong[i], before.wrong, before.wrong_count,
			    sizeof(*before.wrong), check_compare))
			check->wrong[count++] = check->wrong[i];
	}
	check->wrong_count = count;
	return TOOL_OK;
}

static void check_print(const struct ecbpf_fastpath_flow *flow)
{
	printf("%s %s to %s: ", proto_text(flow->proto),
	       endpoint_text(flow->client, flow->client_port),
	       endpoint_text(flow->service, flow->service_port));
	printf("lease to %s, and IPVS %s%s\n", hop_text(&flow->hop),
	       flow->agreement == ECBPF_NO_ENTRY ? "does not know it" : "has it at ",
	       flow->agreement == ECBPF_NO_ENTRY ? "" : ipvs_text(flow));
}

/* Is all of it there? Return: how much is not */
static size_t check_status(const struct ecbpf_fastpath_status *status)
{
	size_t wrong = 0, in = 0;

	if (!status->is_on) {
		printf("%s\n", off_text);
		wrong++;
	}
	for (size_t i = 0; i < status->ports_count; i++) {
		const struct ecbpf_fastpath_port *port = &status->ports[i];

		in += port->is_in;
		if ((port->is_in || port->is_port) && !port->is_out) {
			printf("%s: the TC program is gone: no leases for what leaves there\n",
			       port->iface);
			wrong++;
		} else if (!port->is_port) {
			printf("%s: nothing is forwarded to it: 'ecbpf-fastpath refresh'\n",
			       port->iface);
			wrong++;
		}
	}
	if (!in) {
		printf("no interface has the XDP program: nothing is forwarded\n");
		wrong++;
	}
	return wrong;
}

static int run_check(struct tool *tool, int argc, char **argv)
{
	struct check check TOOL_CLEANUP(check_free) = {};
	struct ecbpf_fastpath_status *status;
	size_t wrong;

	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': check takes no argument", argv[optind]);
	if (ecbpf_fastpath_status(tool->ecbpf, &status))
		return tool_fail_ecbpf(tool);
	wrong = check_status(status);
	ecbpf_fastpath_status_free(status);
	if (ecbpf_fastpath_flows(tool->ecbpf, NULL, check_add, &check) < 0)
		return tool_fail_ecbpf(tool);
	if (check.is_ipvs_missing)
		return tool_fail("IPVS is not loaded: nothing to check leases against");
	if (check.wrong_count && check_again(tool, &check))
		return TOOL_FAILED;
	for (size_t i = 0; i < check.wrong_count; i++)
		check_print(&check.wrong[i]);
	printf("%zu leases, %zu of which IPVS does not agree to\n", check.leases,
	       check.wrong_count);
	return wrong || check.wrong_count ? TOOL_FAILED : TOOL_OK;
}

static int run_refresh(struct tool *tool, int argc, char **argv)
{
	size_t count, repaired;

	if (parse_none(tool, argc, argv))
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': refresh takes no argument", argv[optind]);
	if (ecbpf_fastpath_refresh(tool->ecbpf, &count) ||
	    ecbpf_fastpath_repair(tool->ecbpf, &repaired))
		return tool_fail_ecbpf(tool);
	printf("%zu services whose UDP flows get leases\n", count);
	if (repaired)
		printf("%zu interface%s: the TC program is there again\n", repaired,
		       repaired > 1 ? "s" : "");
	return TOOL_OK;
}

/* --- stats ---------------------------------------------------------------------------------- */

/* What is counted since the last line */
struct stats {
	struct ecbpf_counters xdp;
	struct ecbpf_egress_counters egress;
	__u64 flows;
};

static int stats_read(struct tool *tool, struct stats *ret)
{
	struct ecbpf_fastpath_status *status;

	if (ecbpf_fastpath_status(tool->ecbpf, &status))
		return tool_fail_ecbpf(tool);
	counters_sum(status, &ret->xdp);
	ret->egress = status->egress;
	ret->flows = status->flows;
	ecbpf_fastpath_status_free(status);
	return TOOL_OK;
}

static __u64 stats_forwarded(const struct stats *s)
{
	return s->xdp.packets[XDP_TX] + s->xdp.packets[XDP_REDIRECT] -
	       s->xdp.reasons[ECBPF_REASON_FP_RESET];
}

/* Of the packets that the fast path was asked about, so many it forwarded */
static double stats_ratio(__u64 forwarded, __u64 up)
{
	return forwarded + up ? 100.0 * forwarded / (forwarded + up) : 0;
}

static void stats_json(const struct stats *old, const struct stats *now, __u64 seconds)
{
	struct json_object *json = json_object_new_object(), *part;
	__u64 forwarded = stats_forwarded(now) - stats_forwarded(old);
	__u64 up = now->xdp.packets[XDP_PASS] - old->xdp.packets[XDP_PASS];

	tool_json_num(json, "seconds", seconds);
	tool_json_num(json, "forwarded", forwarded);
	tool_json_num(json, "up", up);
	json_object_object_add(json, "bypass_percent",
			       json_object_new_double(stats_ratio(forwarded, up)));
	tool_json_num(json, "flows", now->flows);
	part = json_object_new_object();
	/* behind the last one of the stage no number has a name */
	for (__u32 reason = ECBPF_REASON_FP_LEASE; ecbpf_reason_name(reason); reason++)
		tool_json_num(part, ecbpf_reason_name(reason),
			      now->xdp.reasons[reason] - old->xdp.reasons[reason]);
	json_object_object_add(json, "reasons", part);
	part = json_object_new_object();
	for (__u32 i = 0; ecbpf_egress_name(i); i++)
		tool_json_num(part, ecbpf_egress_name(i),
			      now->egress.packets[i] - old->egress.packets[i]);
	json_object_object_add(json, "egress", part);
	tool_json_print(json);
}

static void stats_line(const struct stats *old, const struct stats *now, __u64 seconds)
{
	__u64 forwarded = stats_forwarded(now) - stats_forwarded(old);
	__u64 up = now->xdp.packets[XDP_PASS] - old->xdp.packets[XDP_PASS];
	__u64 drop = now->xdp.packets[XDP_DROP] - old->xdp.packets[XDP_DROP];
	const __u64 *a = old->egress.packets, *b = now->egress.packets;

	printf("%12" PRIu64 " %12" PRIu64 " %7.2f %10" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
	       " %10" PRIu64 "\n",
	       (uint64_t)(forwarded / seconds), (uint64_t)(up / seconds),
	       stats_ratio(forwarded, up), (uint64_t)now->flows,
	       (uint64_t)(b[ECBPF_EGRESS_GRANTED] - a[ECBPF_EGRESS_GRANTED]),
	       (uint64_t)(b[ECBPF_EGRESS_RENEWED] - a[ECBPF_EGRESS_RENEWED]),
	       (uint64_t)(now->xdp.reasons[ECBPF_REASON_FP_EXPIRED] -
			  old->xdp.reasons[ECBPF_REASON_FP_EXPIRED]),
	       (uint64_t)(drop / seconds));
	fflush(stdout);
}

static int run_stats(struct tool *tool, int argc, char **argv)
{
	__u64 seconds = 1, count = 1;
	bool is_json = false;
	struct stats old = {}, now = {};

	if (parse_json(tool, argc, argv, &is_json))
		return TOOL_USAGE;
	if (argc - optind > 2)
		return tool_usage("'%s': stats takes SECONDS and COUNT", argv[optind + 2]);
	if (optind < argc && tool_parse_number("SECONDS", argv[optind], 1, 86400, &seconds))
		return TOOL_USAGE;
	if (optind + 1 < argc && tool_parse_number("COUNT", argv[optind + 1], 1, UINT_MAX, &count))
		return TOOL_USAGE;
	if (stats_read(tool, &old))
		return TOOL_FAILED;
	if (!is_json)
		printf("%12s %12s %7s %10s %9s %9s %9s %10s\n", "FORWARDED/s", "UP/s", "BYPASS%",
		       "FLOWS", "GRANTED", "RENEWED", "EXPIRED", "DROPPED/s");
	while (count--) {
		sleep(seconds);
		if (stats_read(tool, &now))
			return TOOL_FAILED;
		if (is_json)
			stats_json(&old, &now, seconds);
		else
			stats_line(&old, &now, seconds);
		old = now;
	}
	return TOOL_OK;
}

/* --- main ----------------------------------------------------------------------------------- */

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "--in IFACE",
		.text = "put the fast path between the wire and IPVS",
		.options = load_options,
		.examples =
			"  ecbpf-fastpath load -i eth0              in and out by one port\n"
			"  ecbpf-loader load eth1 pass              takes redirected packets then\n"
			"  ecbpf-fastpath load -i eth0 -o eth1      in by one, out by the other\n",
		.run = run_load,
	},
	{
		.name = "unload",
		.args = "",
		.text = "take it away; connections go on by IPVS",
		.options = plain_options,
		.run = run_unload,
	},
	{
		.name = "set",
		.args = "KEY=VALUE...",
		.text = "change settings while packets pass",
		.options = plain_options,
		.about = "  lease=MS        how long XDP forwards without IPVS having seen a "
			 "packet\n"
			 "  sample=MS       every so often a packet of each flow goes up to IPVS\n"
			 "  inactive=MS     without a packet for so long, a flow is idle\n"
			 "  monitor=on|off  forward nothing, only count what would be\n"
			 "  limit=on|off    the shield: drop part of the unknown flows from\n"
			 "  target-pps=N    this rate of all packets on, rising until it is\n"
			 "  spike=PERCENT   so much higher, to at most\n"
			 "  max=PERCENT     this part of them\n"
			 "  reset-pps=N     answer packets of dead flows by so many resets a "
			 "second\n",
		.run = run_set,
	},
	{
		.name = "status",
		.args = "",
		.text = "show interfaces, settings, table and counters",
		.options = json_options,
		.run = run_status,
	},
	{
		.name = "stats",
		.args = "[SECONDS [COUNT]]",
		.text = "show what happens in SECONDS (1), COUNT times (1)",
		.options = json_options,
		.run = run_stats,
	},
	{
		.name = "exclude",
		.args = "add|delete|list [ADDRESS]...",
		.text = "addresses that are to have no leases",
		.options = plain_options,
		.run = run_exclude,
	},
	{
		.name = "flows",
		.args = "",
		.text = "show the flows that have, or had, a lease",
		.options = flows_options,
		.run = run_flows,
	},
	{
		.name = "flush",
		.args = "[PROTO SOURCE:PORT DESTINATION:PORT]",
		.text = "end leases at once",
		.options = flush_options,
		.run = run_flush,
	},
	{
		.name = "explain",
		.args = "PROTO SOURCE:PORT DESTINATION:PORT",
		.text = "what would happen to a packet of this flow now, and why",
		.options = plain_options,
		.examples = "  ecbpf-fastpath explain tcp 198.51.100.2:40000 203.0.113.80:443\n",
		.run = run_explain,
	},
	{
		.name = "check",
		.args = "",
		.text = "hold all leases against IPVS's connections",
		.options = plain_options,
		.run = run_check,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read IPVS's UDP services anew, attach lost TC programs",
		.options = plain_options,
		.run = run_refresh,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-fastpath",
		.text = "The fast path for IPVS: XDP forwards packets of connections that IPVS "
			"has\n"
			"balanced, to where IPVS would send them.\n",
		.examples =
			"  ecbpf-fastpath load -i eth0           clients and servers beyond eth0\n"
			"  ecbpf-fastpath status                 what it does\n"
			"  ecbpf-fastpath set lease=500          IPVS is asked twice a second\n"
			"  ecbpf-fastpath unload                 as if nothing had been\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
