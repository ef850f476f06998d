// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verbs that say what can be loaded: features of an interface, and stages */
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/loader/loader.h"

/* By bit. <linux/netdev.h> came with Linux 6.3 */
static const char *const feature_names[] = {
	"NETDEV_XDP_ACT_BASIC",	       "NETDEV_XDP_ACT_REDIRECT",   "NETDEV_XDP_ACT_NDO_XMIT",
	"NETDEV_XDP_ACT_XSK_ZEROCOPY", "NETDEV_XDP_ACT_HW_OFFLOAD", "NETDEV_XDP_ACT_RX_SG",
	"NETDEV_XDP_ACT_NDO_XMIT_SG",
};
#define FEATURES_COUNT (sizeof(feature_names) / sizeof(feature_names[0]))

int loader_run_features(struct tool *tool, int argc, char **argv)
{
	bool is_json = false;
	struct json_object *json;
	__u64 features;

	if (tool_parse_json(tool, argc, argv, &is_json))
		return TOOL_USAGE;
	if (argc - optind != 1)
		return tool_usage(optind < argc ? "features takes one interface"
						: "of which interface?");
	if (ecbpf_features(tool->ecbpf, argv[optind], &features))
		return tool_fail_ecbpf(tool);
	if (!is_json) {
		for (size_t i = 0; i < FEATURES_COUNT; i++)
			printf("%s:%s%s\n", feature_names[i],
			       strlen(feature_names[i]) < 23 ? "\t\t" : "\t",
			       features & 1ULL << i ? "yes" : "no");
		return TOOL_OK;
	}
	json = json_object_new_object();
	for (size_t i = 0; i < FEATURES_COUNT; i++)
		tool_json_bool(json, feature_names[i], features & 1ULL << i);
	tool_json_print(json);
	return TOOL_OK;
}

static const struct {
	__u32 stage;
	int prio;
} all_stages[] = {
#define X(value, NAME, name, prio, text) {ECBPF_STAGE_##NAME, prio},
	ECBPF_STAGES(X)
#undef X
};
#define STAGES_COUNT (sizeof(all_stages) / sizeof(all_stages[0]))

static void json_stages(void)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < STAGES_COUNT; i++) {
		struct json_object *entry = json_object_new_object();

		tool_json_str(entry, "stage", ecbpf_stage_name(all_stages[i].stage));
		tool_json_num(entry, "prio", all_stages[i].prio);
		tool_json_str(entry, "text", ecbpf_stage_text(all_stages[i].stage));
		json_object_array_add(json, entry);
	}
	tool_json_print(json);
}

int loader_run_stages(struct tool *tool, int argc, char **argv)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 3, .align = "lrl"};
	bool is_json = false;

	if (tool_parse_json(tool, argc, argv, &is_json) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (is_json) {
		json_stages();
		return TOOL_OK;
	}
	tool_table_row(&table, "Stage", "Prio", "What it does");
	for (size_t i = 0; i < STAGES_COUNT; i++)
		tool_table_row(&table, ecbpf_stage_name(all_stages[i].stage),
			       tool_str("%d", all_stages[i].prio),
			       ecbpf_stage_text(all_stages[i].stage));
	tool_table_print(&table, "");
	return TOOL_OK;
}
