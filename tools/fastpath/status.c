// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: verbs status, stats */
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include "tools/common/settings.h"
#include "tools/fastpath/fastpath.h"

const char off_text[] = "off: a load or unload was interrupted; run 'ecbpf-fastpath unload'";

/* Counters of all ports together */
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

static void status_print(const struct ecbpf_fastpath_status *status,
			 const struct ecbpf_fastpath_settings *settings)
{
	struct tool_table table = {.columns = 2, .align = "lr"};
	const struct ecbpf_settings *rows = ecbpf_fastpath_settings();
	struct ecbpf_counters sum;

	counters_sum(status, &sum);
	if (!status->is_on)
		printf("%s\n", off_text);
	for (size_t i = 0; i < status->ports_count; i++)
		printf("%s: %s%s%s%s\n", tool_safe(status->ports[i].iface),
		       status->ports[i].is_in ? "in" : "",
		       status->ports[i].is_fused ? " (fused)" : "",
		       status->ports[i].is_in ? ", " : "",
		       status->ports[i].is_out ? "out" : "no TC program");
	printf("flows: %" PRIu64 " with a lease, %" PRIu64 " idle, %" PRIu64
	       " dead; of %u (%.1f MiB)\n",
	       (uint64_t)status->flows, (uint64_t)status->idle, (uint64_t)status->dead,
	       status->capacity, status->bytes / 1048576.0);
	printf("next hops: %u; excluded: %u\n", status->hops, status->excluded);
	printf("settings:");
	for (size_t i = 0; i < rows->count; i++)
		printf("%s %s %s", i ? "," : "", rows->rows[i].name,
		       tool_setting_text(&rows->rows[i], settings));
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
	tool_settings_json(part, ecbpf_fastpath_settings(), settings, '-');
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

int run_status(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_fastpath_settings settings;
	struct ecbpf_fastpath_status *status;
	bool is_json = false;

	if (tool_parse_json(tool, argc, argv, &is_json) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
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

/* One reading of all counters */
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

/* Share of forwarded packets, percent */
static double stats_ratio(__u64 forwarded, __u64 punted)
{
	return forwarded + punted ? 100.0 * forwarded / (forwarded + punted) : 0;
}

static void stats_json(const struct stats *old, const struct stats *now, __u64 seconds)
{
	struct json_object *json = json_object_new_object(), *part;
	__u64 forwarded = stats_forwarded(now) - stats_forwarded(old);
	__u64 punted = now->xdp.packets[XDP_PASS] - old->xdp.packets[XDP_PASS];

	tool_json_num(json, "seconds", seconds);
	tool_json_num(json, "forwarded", forwarded);
	tool_json_num(json, "punted", punted);
	json_object_object_add(json, "bypass_percent",
			       json_object_new_double(stats_ratio(forwarded, punted)));
	tool_json_num(json, "flows", now->flows);
	part = json_object_new_object();
	/* numbers after the last reason of the stage have no name */
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
	__u64 punted = now->xdp.packets[XDP_PASS] - old->xdp.packets[XDP_PASS];
	__u64 drop = now->xdp.packets[XDP_DROP] - old->xdp.packets[XDP_DROP];
	const __u64 *a = old->egress.packets, *b = now->egress.packets;

	printf("%12" PRIu64 " %12" PRIu64 " %7.2f %10" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
	       " %10" PRIu64 "\n",
	       (uint64_t)(forwarded / seconds), (uint64_t)(punted / seconds),
	       stats_ratio(forwarded, punted), (uint64_t)now->flows,
	       (uint64_t)(b[ECBPF_EGRESS_GRANTED] - a[ECBPF_EGRESS_GRANTED]),
	       (uint64_t)(b[ECBPF_EGRESS_RENEWED] - a[ECBPF_EGRESS_RENEWED]),
	       (uint64_t)(now->xdp.reasons[ECBPF_REASON_FP_EXPIRED] -
			  old->xdp.reasons[ECBPF_REASON_FP_EXPIRED]),
	       (uint64_t)(drop / seconds));
	fflush(stdout);
}

int run_stats(struct tool *tool, int argc, char **argv)
{
	__u64 seconds = 1, count = 1;
	bool is_json = false;
	struct stats old = {}, now = {};

	if (tool_parse_json(tool, argc, argv, &is_json))
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
		printf("%12s %12s %7s %10s %9s %9s %9s %10s\n", "FORWARDED/s", "PUNTED/s",
		       "BYPASS%", "FLOWS", "GRANTED", "RENEWED", "EXPIRED", "DROPPED/s");
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
