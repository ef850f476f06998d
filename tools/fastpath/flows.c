// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: verbs flows, flush, explain */
#include <limits.h>
#include <stdio.h>
#include <json-c/json.h>
#include "tools/common/change.h"
#include "tools/fastpath/fastpath.h"

enum {
	OPT_VIP = TOOL_LONG_ONLY,
	OPT_CLIENT,
	OPT_LIMIT,
	OPT_REAL,
	OPT_FLOW,
	OPT_ALL,
};

const struct tool_option flows_options[] = {
	{OPT_VIP, "vip", "ADDR", "only flows to this service address or prefix"},
	{OPT_CLIENT, "client", "ADDR", "only flows from this address or prefix"},
	{OPT_LIMIT, "limit", "N", "at most N flows"},
	TOOL_JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

struct flows {
	__u64 limit;
	struct tool_table table;
	struct json_object *json; /* or NULL */
};

struct json_object *flow_json(const struct ecbpf_fastpath_flow *flow, bool is_known)
{
	struct json_object *json = json_object_new_object();

	tool_json_str(json, "proto", proto_text(flow->proto));
	tool_json_str(json, "client", addr_text(flow->client));
	tool_json_num(json, "client_port", flow->client_port);
	tool_json_str(json, "service", addr_text(flow->service));
	tool_json_num(json, "service_port", flow->service_port);
	if (is_known) {
		tool_json_str(json, "state", flow_state(flow));
		json_object_object_add(json, "lease_ms", json_object_new_int64(flow->lease_ms));
		json_object_object_add(json, "up_ms", json_object_new_int64(flow->punted_ms));
		tool_json_num(json, "packets", flow->packets);
	}
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
	return json;
}

static int flows_add(void *data, const struct ecbpf_fastpath_flow *flow)
{
	struct flows *flows = data;

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
	json_object_array_add(flows->json, flow_json(flow, true));
	return 0;
}

/* What --vip and --client point a filter to */
struct ends {
	struct ecbpf_prefix vip, client;
};

static int ends_option(struct tool *tool, int id, struct ends *ends,
		       struct ecbpf_fastpath_filter *filter)
{
	if (id == OPT_VIP) {
		filter->service = &ends->vip;
		return parse_prefix(tool, "--vip", optarg, &ends->vip);
	}
	filter->client = &ends->client;
	return parse_prefix(tool, "--client", optarg, &ends->client);
}

int run_flows(struct tool *tool, int argc, char **argv)
{
	struct flows flows = {.limit = ~0ULL, .table = {.columns = 8, .align = "llllrrll"}};
	struct ecbpf_fastpath_filter filter = {};
	struct ends ends;
	int id, err = 0;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case OPT_VIP:
		case OPT_CLIENT:
			err = ends_option(tool, id, &ends, &filter);
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
	if (tool_operands_none(argc, argv))
		return TOOL_USAGE;
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

const struct tool_option flush_options[] = {
	{OPT_VIP, "vip", "ADDR", "flows to this service address or prefix"},
	{OPT_CLIENT, "client", "ADDR", "flows from this address or prefix"},
	{OPT_REAL, "real", "MAC", "flows to the real server with this Ethernet address"},
	{OPT_FLOW, "flow", NULL, "this flow: PROTO SOURCE:PORT DESTINATION:PORT"},
	{OPT_ALL, "all", NULL, "all flows"},
	TOOL_CHANGE_OPTIONS,
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

int run_flush(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_filter filter = {};
	struct ecbpf_fastpath_flow flow;
	bool is_all = false, is_flow = false;
	struct ends ends;
	size_t count;
	__u8 mac[6];
	int id, err = 0;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case OPT_VIP:
		case OPT_CLIENT:
			err = ends_option(tool, id, &ends, &filter);
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
		case 'j':
			break;
		default:
			return TOOL_USAGE;
		}
		if (err)
			return err;
	}
	if (is_flow && argc - optind == 3) {
		if (parse_flow(tool, argv + optind, &flow))
			return TOOL_USAGE;
		filter.flow = &flow;
		optind += 3;
	}
	if (optind < argc || (is_flow && !filter.flow))
		return tool_usage("--flow: PROTO SOURCE:PORT DESTINATION:PORT");
	if (is_all == (filter.service || filter.client || filter.dest || filter.flow))
		return tool_usage("give --all, or some of --vip, --client, --real, --flow");
	tool_change_begin(NULL);
	if (ecbpf_fastpath_flush(tool->ecbpf, is_all ? NULL : &filter, &count))
		return tool_fail_ecbpf(tool);
	if (count)
		tool_changed("%zu lease%s ended", count, count == 1 ? "" : "s");
	else
		tool_unchanged("0 leases ended");
	tool_change_number("removed", count);
	return TOOL_OK;
}

static void explain_json(const struct ecbpf_fastpath_explanation *x)
{
	struct json_object *json = flow_json(&x->flow, x->is_known);

	if (x->is_known && x->flow.lease_ms > 0 && !x->flow.is_dead)
		json_object_object_add(json, "sample_ms", json_object_new_int64(x->sample_ms));
	tool_json_bool(json, "ipvs", x->flow.agreement != ECBPF_NO_IPVS);
	tool_json_bool(json, "excluded", x->is_excluded);
	tool_json_str(json, "reason", ecbpf_reason_name(x->reason));
	tool_json_str(json, "text", ecbpf_reason_text(x->reason));
	tool_json_print(json);
}

static void explain_print(const struct ecbpf_fastpath_explanation *x)
{
	const struct ecbpf_fastpath_flow *flow = &x->flow;

	if (!x->is_known)
		printf("table: no entry\n");
	else if (flow->lease_ms <= 0)
		printf("table: lease expired %lld ms ago\n", -flow->lease_ms);
	else
		printf("table: lease for another %lld ms, %s\n", flow->lease_ms,
		       flow->is_dead ? "dead" : tool_safe(hop_text(&flow->hop)));
	if (x->is_known && flow->lease_ms > 0 && !flow->is_dead)
		printf("next sample to IPVS: %s\n",
		       x->sample_ms > 0 ? tool_str("in %lld ms", x->sample_ms) : "now");
	printf("IPVS: %s\n", flow->agreement == ECBPF_NO_IPVS ? "not loaded"
			     : *flow->ipvs_state	      ? ipvs_text(flow)
							      : "no such connection");
	if (x->is_excluded)
		printf("excluded: the flow gets no lease\n");
	printf("next packet: %s: %s\n", ecbpf_reason_name(x->reason), ecbpf_reason_text(x->reason));
}

int run_explain(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_explanation x;
	struct ecbpf_fastpath_flow flow;
	bool is_json = false;

	if (tool_parse_json(tool, argc, argv, &is_json))
		return TOOL_USAGE;
	if (argc - optind != 3)
		return tool_usage("explain takes PROTO SOURCE:PORT DESTINATION:PORT");
	if (parse_flow(tool, argv + optind, &flow))
		return TOOL_USAGE;
	if (ecbpf_fastpath_explain(tool->ecbpf, &flow, &x))
		return tool_fail_ecbpf(tool);
	if (is_json)
		explain_json(&x);
	else
		explain_print(&x);
	return TOOL_OK;
}
