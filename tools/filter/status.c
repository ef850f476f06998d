// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-filter: verb status */
#include <inttypes.h>
#include <getopt.h>
#include <stdlib.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-filter.h>
#include "tools/common/change.h"
#include "tools/common/list.h"
#include "tools/common/settings.h"
#include "tools/common/stage.h"
#include "tools/filter/filter.h"

const struct tool_option filter_status_options[] = {
	TOOL_JSON_OPTION,
	TOOL_CLEAR_OPTION,
	TOOL_QUIET_OPTION,
	TOOL_COMMON_OPTIONS,
};

#define R(name) ECBPF_REASON_##name

/* Totals with the names of the predecessor system, in its order; 0 ends the reasons */
static const struct {
	const char *name;
	__u8 reasons[8];
} totals[] = {
	{"eth_frame_err", {R(RUNT), R(VLAN_TRUNC), R(VLAN_TAGS), R(IP_TRUNC), R(IP6_TRUNC)}},
	{"ip_header_err",
	 {R(IP_VERSION), R(IP_IHL), R(IP_LEN_SHORT), R(IP_LEN_LONG), R(IP_OPTIONS),
	  R(IP_RESERVED)}},
	{"ip6_header_err",
	 {R(IP6_VERSION), R(IP6_LEN_LONG), R(IP6_JUMBO), R(IP6_EXT_TRUNC), R(IP6_EXT_LIMIT),
	  R(IP6_ROUTING0)}},
	{"ip_drop_count", {R(BLOCKED)}},
	{"ip6_drop_count", {R(BLOCKED6)}},
	{"ip_frag_drop_count", {R(FRAGMENT), R(PTB_SENT), R(PTB_LIMIT), R(PTB_UNFIT), R(PTB_ROOM)}},
	{"ip6_frag_drop_count",
	 {R(FRAGMENT6), R(PTB_SENT6), R(PTB_LIMIT6), R(PTB_UNFIT6), R(PTB_ROOM6)}},
	{"ptb_sent_count", {R(PTB_SENT), R(PTB_SENT6)}},
	{"ptb_limit_count", {R(PTB_LIMIT), R(PTB_LIMIT6)}},
	{"ptb_err_count", {R(PTB_UNFIT), R(PTB_UNFIT6)}},
	{"ptb_mem_err_count", {R(PTB_ROOM), R(PTB_ROOM6)}},
};

#define TOTALS_COUNT (sizeof(totals) / sizeof(totals[0]))

static __u64 total_of(const struct ecbpf_counters *counters, size_t n)
{
	__u64 sum = 0;

	for (size_t i = 0; i < sizeof(totals[n].reasons) && totals[n].reasons[i]; i++)
		sum += counters->reasons[totals[n].reasons[i]];
	return sum;
}

static const char *reason_name(__u32 reason)
{
	const char *name = ecbpf_reason_name(reason);

	return name ? name : tool_str("reason-%u", reason);
}

static void print_config(const struct ecbpf_filter_config *config, const struct ecbpf_prefix *vips,
			 size_t vips_count)
{
	const struct ecbpf_settings *settings = ecbpf_filter_settings();

	printf("Configuration:\n");
	printf("  frags_drop: %s\n", config->frags != ECBPF_FILTER_FRAGS_PASS ? "true" : "false");
	printf("  ptb_send: %s\n", config->frags == ECBPF_FILTER_FRAGS_PTB ? "true" : "false");
	for (size_t i = 0; i < settings->count; i++)
		printf("  %s: %s\n", tool_setting_key(&settings->rows[i], '_'),
		       tool_setting_text(&settings->rows[i], config));
	printf("  vips:");
	for (size_t i = 0; i < vips_count; i++)
		printf(" %s", tool_prefix(&vips[i]));
	printf("%s\n", vips_count ? "" : " none");
}

static void print_iface(const char *iface, const struct ecbpf_filter_status *status)
{
	const struct ecbpf_counters *counters = &status->counters;

	printf("\n%s: %s mode%s\n", tool_safe(iface), ecbpf_mode_name(status->mode),
	       status->is_fused ? ", fused" : "");
	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++)
		if (counters->packets[action])
			printf("  %s: %" PRIu64 " packets, %" PRIu64 " bytes\n",
			       ecbpf_action_name(action), (uint64_t)counters->packets[action],
			       (uint64_t)counters->bytes[action]);
	for (size_t i = 0; i < TOTALS_COUNT; i++)
		printf("  %s: %" PRIu64 "\n", totals[i].name, (uint64_t)total_of(counters, i));
	for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++)
		if (counters->reasons[reason])
			printf("  reason %s: %" PRIu64 "\n", reason_name(reason),
			       (uint64_t)counters->reasons[reason]);
}

static struct json_object *json_config(const struct ecbpf_filter_config *config)
{
	struct json_object *json = json_object_new_object();

	tool_settings_json(json, ecbpf_filter_settings(), config, '_');
	tool_json_bool(json, "frags_drop", config->frags != ECBPF_FILTER_FRAGS_PASS);
	tool_json_bool(json, "ptb_send", config->frags == ECBPF_FILTER_FRAGS_PTB);
	return json;
}

static struct json_object *json_iface(const char *iface, const struct ecbpf_filter_status *status)
{
	struct json_object *json = json_object_new_object();
	struct json_object *actions = json_object_new_object();
	struct json_object *reasons = json_object_new_object();
	const struct ecbpf_counters *counters = &status->counters;

	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++) {
		struct json_object *entry = json_object_new_object();

		tool_json_num(entry, "packets", counters->packets[action]);
		tool_json_num(entry, "bytes", counters->bytes[action]);
		json_object_object_add(actions, ecbpf_action_name(action), entry);
	}
	for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++)
		if (counters->reasons[reason])
			tool_json_num(reasons, reason_name(reason), counters->reasons[reason]);
	tool_json_str(json, "interface", iface);
	tool_json_str(json, "mode", ecbpf_mode_name(status->mode));
	tool_json_bool(json, "fused", status->is_fused);
	for (size_t i = 0; i < TOTALS_COUNT; i++)
		tool_json_num(json, totals[i].name, total_of(counters, i));
	json_object_object_add(json, "actions", actions);
	json_object_object_add(json, "reasons", reasons);
	return json;
}

/*
 * @is_named: the user named them, so that they must have the filter. @ret: of each interface, for
 * free(); all are read before anything is printed
 */
static int read_ifaces(struct tool *tool, const struct tool_list *ifaces, bool is_named,
		       struct ecbpf_filter_status **ret)
{
	*ret = tool_alloc(NULL, (ifaces->count + 1) * sizeof(**ret));
	for (size_t i = 0; i < ifaces->count; i++) {
		if (ecbpf_filter_status_get(tool->ecbpf, ifaces->items[i], &(*ret)[i]))
			return tool_fail_ecbpf(tool);
		if (!(*ret)[i].is_loaded && is_named)
			return tool_fail("%s: the filter is not loaded", ifaces->items[i]);
	}
	return TOOL_OK;
}

/* One that is not loaded was unloaded meanwhile */
static void show_ifaces(const struct tool_list *ifaces, const struct ecbpf_filter_status *statuses,
			struct json_object *json)
{
	for (size_t i = 0; i < ifaces->count; i++) {
		if (!statuses[i].is_loaded)
			continue;
		if (json)
			json_object_array_add(json, json_iface(ifaces->items[i], &statuses[i]));
		else
			print_iface(ifaces->items[i], &statuses[i]);
	}
}

static int show_json(struct tool *tool, const struct ecbpf_filter_config *config,
		     const struct ecbpf_prefix *vips, size_t vips_count,
		     const struct tool_list *ifaces, const struct ecbpf_filter_status *statuses)
{
	struct json_object *json = json_object_new_object();
	struct json_object *json_ifaces = json_object_new_array();
	struct json_object *lists = json_object_new_object();
	int status;

	json_object_object_add(json, "config", json_config(config));
	json_object_object_add(json, "vips", filter_json_vips(vips, vips_count));
	json_object_object_add(json, "interfaces", json_ifaces);
	json_object_object_add(json, "lists", lists);
	show_ifaces(ifaces, statuses, json_ifaces);
	status = filter_list_json(tool, lists);
	if (status == TOOL_OK)
		tool_json_print(json);
	else
		json_object_put(json);
	return status;
}

static int show_text(struct tool *tool, const struct ecbpf_filter_config *config,
		     const struct ecbpf_prefix *vips, size_t vips_count,
		     const struct tool_list *ifaces, const struct ecbpf_filter_status *statuses)
{
	int status;

	print_config(config, vips, vips_count);
	status = filter_list_print(tool);
	show_ifaces(ifaces, statuses, NULL);
	if (!ifaces->count)
		printf("\nThe filter is loaded on no interface.\n");
	return status;
}

static int show_status(struct tool *tool, const struct tool_list *ifaces, bool is_named,
		       bool is_json)
{
	struct ecbpf_filter_status *statuses = NULL;
	struct ecbpf_filter_config config;
	struct ecbpf_prefix *vips = NULL;
	size_t count;
	int status;

	status = read_ifaces(tool, ifaces, is_named, &statuses);
	if (status == TOOL_OK && ecbpf_filter_config_get(tool->ecbpf, &config))
		status = tool_fail_ecbpf(tool);
	if (status == TOOL_OK) {
		vips = filter_vips_get(tool, &count);
		if (!vips)
			status = TOOL_FAILED;
	}
	if (status == TOOL_OK)
		status = (is_json ? show_json : show_text)(tool, &config, vips, count, ifaces,
							   statuses);
	free(vips);
	free(statuses);
	return status;
}

int filter_run_status(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	bool is_json, is_clear, is_named;

	if (tool_parse_clear(tool, argc, argv, &is_json, &is_clear))
		return TOOL_USAGE;
	is_named = optind < argc;
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (!is_named && tool_stage_ifaces(tool, ECBPF_STAGE_FILTER, &ifaces))
		return TOOL_FAILED;
	if (!is_clear)
		return show_status(tool, &ifaces, is_named, is_json);
	tool_change_begin(NULL);
	for (size_t i = 0; i < ifaces.count; i++) {
		bool has = true;

		if (is_named &&
		    ecbpf_chain_has_stage(tool->ecbpf, ifaces.items[i], ECBPF_STAGE_FILTER, &has))
			return tool_fail_ecbpf(tool);
		if (!has) {
			tool_unchanged("%s: no counters: the filter is not attached",
				       ifaces.items[i]);
			continue;
		}
		if (ecbpf_filter_status_clear(tool->ecbpf, ifaces.items[i]))
			return tool_fail_ecbpf(tool);
		tool_changed("%s: counters set to zero", ifaces.items[i]);
	}
	return TOOL_OK;
}
