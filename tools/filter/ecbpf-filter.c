// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-filter: what a director must not see, see ecbpf-filter(8) */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-filter.h>
#include "tools/common/common.h"
#include "tools/filter/list.h"

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
	OPT_CLEAR,
};

static const struct tool_option common_options[] = {TOOL_COMMON_OPTIONS};

/* What the library does not understand was nothing that could be tried */
static int fail(const struct tool *tool, int err)
{
	return err == -EINVAL ? tool_usage("%s", ecbpf_error(tool->ecbpf)) : tool_fail_ecbpf(tool);
}

static const char *const *strings(const struct tool_list *list)
{
	return (const char *const *)list->items;
}

/* Operands that are interfaces, all of them. Return: 0 or TOOL_USAGE */
static int parse_ifaces(int argc, char **argv, struct tool_list *ifaces)
{
	for (int i = optind; i < argc; i++)
		if (tool_parse_ifaces(argv[i], ifaces))
			return TOOL_USAGE;
	return 0;
}

/* Of all interfaces those that have the filter */
static int loaded_ifaces(struct tool *tool, struct tool_list *ifaces)
{
	struct tool_list all TOOL_CLEANUP(tool_list_free) = {};

	if (tool_ifaces_all(&all))
		return TOOL_FAILED;
	for (size_t i = 0; i < all.count; i++) {
		struct ecbpf_filter_status status;

		if (ecbpf_filter_status_get(tool->ecbpf, all.items[i], &status))
			return tool_fail_ecbpf(tool);
		if (status.is_loaded)
			tool_list_add(ifaces, all.items[i]);
	}
	return TOOL_OK;
}

/* --- load, unload --------------------------------------------------------------------------- */

static const struct tool_option load_options[] = {
	{'m', "mode", "MODE",
	 "native or skb (default: that of the chain, native\n"
	 "for a new one)"},
	{OPT_FUSED, "fused", NULL, "in ecbpf_fused, with the stages that it runs already"},
	TOOL_COMMON_OPTIONS,
};

static int run_load(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	enum ecbpf_mode mode = ECBPF_MODE_UNSPEC;
	bool is_fused = false;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == OPT_FUSED)
			is_fused = true;
		else if (id == 'm' && !strcmp(optarg, "native"))
			mode = ECBPF_MODE_NATIVE;
		else if (id == 'm' && !strcmp(optarg, "skb"))
			mode = ECBPF_MODE_SKB;
		else if (id == 'm')
			return tool_usage("--mode: '%s' is not native or skb", optarg);
		else
			return TOOL_USAGE;
	}
	if (optind == argc)
		return tool_usage("on which interface?");
	if (parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (ecbpf_filter_load(tool->ecbpf, strings(&ifaces), ifaces.count, mode, is_fused))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

static int run_unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};

	if (tool_getopt(tool, argc, argv) != -1)
		return TOOL_USAGE;
	if (parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (optind == argc && loaded_ifaces(tool, &ifaces))
		return TOOL_FAILED;
	if (!ifaces.count)
		return tool_fail("the filter is loaded on no interface");
	if (ecbpf_filter_unload(tool->ecbpf, strings(&ifaces), ifaces.count))
		return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

/* --- set, refresh, vip ---------------------------------------------------------------------- */

static int run_set(struct tool *tool, int argc, char **argv)
{
	int err;

	if (tool_getopt(tool, argc, argv) != -1)
		return TOOL_USAGE;
	if (optind == argc)
		return tool_usage("set what? KEY=VALUE");
	err = ecbpf_filter_set(tool->ecbpf, (const char *const *)argv + optind, argc - optind);
	return err ? fail(tool, err) : TOOL_OK;
}

static int run_refresh(struct tool *tool, int argc, char **argv)
{
	if (tool_getopt(tool, argc, argv) != -1)
		return TOOL_USAGE;
	if (optind < argc)
		return tool_usage("'%s': refresh takes no arguments", argv[optind]);
	return ecbpf_filter_refresh(tool->ecbpf) ? tool_fail_ecbpf(tool) : TOOL_OK;
}

static const struct tool_option vip_options[] = {
	{'j', "json", NULL, "list: print JSON"},
	TOOL_COMMON_OPTIONS,
};

static int compare_vips(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* For free(); NULL: told already */
static struct ecbpf_filter_vip *vips_get(struct tool *tool, size_t *count)
{
	struct ecbpf_filter_vip *vips;

	if (ecbpf_filter_vip_list(tool->ecbpf, &vips, count)) {
		tool_fail_ecbpf(tool);
		return NULL;
	}
	qsort(vips, *count, sizeof(*vips), compare_vips);
	return vips;
}

static struct json_object *json_vips(const struct ecbpf_filter_vip *vips, size_t count)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(json, json_object_new_string(vips[i].text));
	return json;
}

static int vip_list(struct tool *tool, bool is_json)
{
	struct ecbpf_filter_vip *vips;
	size_t count;

	vips = vips_get(tool, &count);
	if (!vips)
		return TOOL_FAILED;
	if (is_json)
		tool_json_print(json_vips(vips, count));
	for (size_t i = 0; i < count && !is_json; i++)
		printf("%s\n", vips[i].text);
	free(vips);
	return TOOL_OK;
}

static int run_vip(struct tool *tool, int argc, char **argv)
{
	const char *const *operands;
	bool is_json = false;
	const char *what;
	int id, count, err;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id != 'j')
			return TOOL_USAGE;
		is_json = true;
	}
	if (optind == argc)
		return tool_usage("vip add, delete, list or flush?");
	what = argv[optind];
	operands = (const char *const *)argv + optind + 1;
	count = argc - optind - 1;
	if (is_json && strcmp(what, "list"))
		return tool_usage("--json goes with vip list");
	if (!strcmp(what, "add") || !strcmp(what, "delete")) {
		if (!count)
			return tool_usage("which address?");
		err = what[0] == 'a' ? ecbpf_filter_vip_add(tool->ecbpf, operands, count)
				     : ecbpf_filter_vip_delete(tool->ecbpf, operands, count);
		return err ? fail(tool, err) : TOOL_OK;
	}
	if (strcmp(what, "list") && strcmp(what, "flush"))
		return tool_usage("'%s' is not add, delete, list or flush", what);
	if (count)
		return tool_usage("'%s': vip %s takes no addresses", operands[0], what);
	if (what[0] == 'f')
		return ecbpf_filter_vip_flush(tool->ecbpf) ? tool_fail_ecbpf(tool) : TOOL_OK;
	return vip_list(tool, is_json);
}

/* --- status --------------------------------------------------------------------------------- */

static const struct tool_option status_options[] = {
	{'j', "json", NULL, "print JSON"},
	{OPT_CLEAR, "clear", NULL, "set the counters of the filter to zero"},
	TOOL_COMMON_OPTIONS,
};

static const char *frags_name(__u32 frags)
{
	return frags == ECBPF_FILTER_FRAGS_PTB ? "ptb" : frags ? "drop" : "pass";
}

static const char *check_mode(const struct ecbpf_filter_config *config, __u32 number)
{
	return config->drop & 1U << number    ? "drop"
	       : config->count & 1U << number ? "count"
					      : "off";
}

#define R(name) ECBPF_REASON_##name

/* Names of the system before this one, in its order, and such as it would have had; 0 ends them */
static const struct {
	const char *name;
	__u8 reasons[8];
} sums[] = {
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

#define SUMS_COUNT (sizeof(sums) / sizeof(sums[0]))

static __u64 sum_of(const struct ecbpf_counters *counters, size_t n)
{
	__u64 sum = 0;

	for (size_t i = 0; i < sizeof(sums[n].reasons) && sums[n].reasons[i]; i++)
		sum += counters->reasons[sums[n].reasons[i]];
	return sum;
}

static const char *reason_name(__u32 reason)
{
	const char *name = ecbpf_reason_name(reason);

	return name ? name : tool_str("reason-%u", reason);
}

static const char *mode_name(enum ecbpf_mode mode)
{
	return mode == ECBPF_MODE_SKB	   ? "skb"
	       : mode == ECBPF_MODE_NATIVE ? "native"
					   : "unspecified";
}

static void print_config(const struct ecbpf_filter_config *config,
			 const struct ecbpf_filter_vip *vips, size_t vips_count)
{
	printf("Configuration:\n");
	printf("  frags_drop: %s\n", config->frags != ECBPF_FILTER_FRAGS_PASS ? "true" : "false");
	printf("  ptb_send: %s\n", config->frags == ECBPF_FILTER_FRAGS_PTB ? "true" : "false");
	printf("  ptb_max_pps: %u\n", config->ptb_max_pps);
	printf("  ptb_per_source_pps: %u\n", config->ptb_per_source_pps);
	printf("  frags: %s\n", frags_name(config->frags));
	printf("  frags6: %s\n", frags_name(config->frags6));
	for (__u32 i = 0; ecbpf_filter_check_name(i); i++)
		printf("  %s: %s\n", ecbpf_filter_check_name(i), check_mode(config, i));
	printf("  vips:");
	for (size_t i = 0; i < vips_count; i++)
		printf(" %s", vips[i].text);
	printf("%s\n", vips_count ? "" : " none");
}

static void print_iface(const char *iface, const struct ecbpf_filter_status *status)
{
	const struct ecbpf_counters *counters = &status->counters;

	printf("\n%s: %s mode%s\n", iface, mode_name(status->mode),
	       status->is_fused ? ", fused" : "");
	for (__u32 action = 0; action < ECBPF_ACTION_MAX; action++)
		if (counters->packets[action])
			printf("  %s: %" PRIu64 " packets, %" PRIu64 " bytes\n",
			       ecbpf_action_name(action), (uint64_t)counters->packets[action],
			       (uint64_t)counters->bytes[action]);
	for (size_t i = 0; i < SUMS_COUNT; i++)
		printf("  %s: %" PRIu64 "\n", sums[i].name, (uint64_t)sum_of(counters, i));
	for (__u32 reason = 1; reason < ECBPF_REASON_MAX; reason++)
		if (counters->reasons[reason])
			printf("  reason %s: %" PRIu64 "\n", reason_name(reason),
			       (uint64_t)counters->reasons[reason]);
}

static struct json_object *json_config(const struct ecbpf_filter_config *config)
{
	struct json_object *json = json_object_new_object();
	struct json_object *checks = json_object_new_object();

	for (__u32 i = 0; ecbpf_filter_check_name(i); i++)
		tool_json_str(checks, ecbpf_filter_check_name(i), check_mode(config, i));
	tool_json_str(json, "frags", frags_name(config->frags));
	tool_json_str(json, "frags6", frags_name(config->frags6));
	tool_json_bool(json, "frags_drop", config->frags != ECBPF_FILTER_FRAGS_PASS);
	tool_json_bool(json, "ptb_send", config->frags == ECBPF_FILTER_FRAGS_PTB);
	tool_json_num(json, "ptb_max_pps", config->ptb_max_pps);
	tool_json_num(json, "ptb_per_source_pps", config->ptb_per_source_pps);
	json_object_object_add(json, "checks", checks);
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
	tool_json_str(json, "mode", mode_name(status->mode));
	tool_json_bool(json, "fused", status->is_fused);
	for (size_t i = 0; i < SUMS_COUNT; i++)
		tool_json_num(json, sums[i].name, sum_of(counters, i));
	json_object_object_add(json, "actions", actions);
	json_object_object_add(json, "reasons", reasons);
	return json;
}

/* @is_named: those that the user asked for must have the filter */
static int show_ifaces(struct tool *tool, const struct tool_list *ifaces, bool is_named,
		       struct json_object *json)
{
	for (size_t i = 0; i < ifaces->count; i++) {
		const char *iface = ifaces->items[i];
		struct ecbpf_filter_status status;

		if (ecbpf_filter_status_get(tool->ecbpf, iface, &status))
			return tool_fail_ecbpf(tool);
		if (!status.is_loaded && is_named)
			return tool_fail("%s: the filter is not loaded", iface);
		if (!status.is_loaded)
			continue; /* unloaded meanwhile */
		if (json)
			json_object_array_add(json, json_iface(iface, &status));
		else
			print_iface(iface, &status);
	}
	return TOOL_OK;
}

static int show_status(struct tool *tool, const struct tool_list *ifaces, bool is_named,
		       bool is_json)
{
	struct json_object *json, *json_ifaces, *lists;
	struct ecbpf_filter_config config;
	struct ecbpf_filter_vip *vips;
	size_t count;
	int status;

	if (ecbpf_filter_config_get(tool->ecbpf, &config))
		return tool_fail_ecbpf(tool);
	vips = vips_get(tool, &count);
	if (!vips)
		return TOOL_FAILED;
	if (!is_json) {
		print_config(&config, vips, count);
		status = filter_list_print(tool);
		if (status == TOOL_OK)
			status = show_ifaces(tool, ifaces, is_named, NULL);
		if (!ifaces->count)
			printf("\nThe filter is loaded on no interface.\n");
		free(vips);
		return status;
	}
	json = json_object_new_object();
	json_ifaces = json_object_new_array();
	json_object_object_add(json, "config", json_config(&config));
	json_object_object_add(json, "vips", json_vips(vips, count));
	json_object_object_add(json, "interfaces", json_ifaces);
	free(vips);
	lists = json_object_new_object();
	json_object_object_add(json, "lists", lists);
	status = filter_list_json(tool, lists);
	if (status == TOOL_OK)
		status = show_ifaces(tool, ifaces, is_named, json_ifaces);
	if (status == TOOL_OK)
		tool_json_print(json);
	else
		json_object_put(json);
	return status;
}

static int run_status(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	bool is_json = false, is_clear = false, is_named;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == 'j')
			is_json = true;
		else if (id == OPT_CLEAR)
			is_clear = true;
		else
			return TOOL_USAGE;
	}
	if (is_clear && is_json)
		return tool_usage("--clear prints nothing, so --json does not go with it");
	is_named = optind < argc;
	if (parse_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (!is_named && loaded_ifaces(tool, &ifaces))
		return TOOL_FAILED;
	if (!is_clear)
		return show_status(tool, &ifaces, is_named, is_json);
	for (size_t i = 0; i < ifaces.count; i++)
		if (ecbpf_filter_status_clear(tool->ecbpf, ifaces.items[i]))
			return tool_fail_ecbpf(tool);
	return TOOL_OK;
}

/* --- the tool ------------------------------------------------------------------------------- */

static const char settings_about[] =
	"frags, frags6        pass, drop, ptb: IPv4 and IPv6 fragments that are not for an\n"
	"                     address of this host, or for one of its VIPs ('vip add');\n"
	"                     ptb: drop them, and answer the first one with packet too big\n"
	"ptb-max-pps          1 to 1000000000 answers in any second (default: 200)\n"
	"ptb-per-source-pps   likewise, to one source (default: 10)\n"
	"malformed, ip-options, ip-reserved-bit, martian-source, land, tcp-null, tcp-xmas,\n"
	"tcp-syn-fin, tcp-syn-rst, udp-length, port-zero, frag-tiny, frag-overlap,\n"
	"ip6-routing0, ip6-ext-limit, or all of them: checks\n"
	"                     off, count, drop (default: drop for the first three)\n";

#define LIST_ARGS                                                                \
	"add PREFIX... [-t TAG] [-e TIME] | delete PREFIX... | list | flush |\n" \
	"       import -f FILE [--replace] | top [N]"

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE...",
		.text = "load the filter on interfaces",
		.about = "Interfaces are separated by blanks or commas. All of them get it, or\n"
			 "none. Settings and lists are those that were there before.\n",
		.examples = "  ecbpf-filter load eth0 eth1\n"
			    "  ecbpf-filter load -m skb --fused eth0\n",
		.options = load_options,
		.run = run_load,
	},
	{
		.name = "unload",
		.args = "[IFACE...]",
		.text = "unload it from interfaces, or from all",
		.about = "Settings and lists stay.\n",
		.examples = "  ecbpf-filter unload eth0\n",
		.options = common_options,
		.run = run_unload,
	},
	{
		.name = "set",
		.args = "KEY=VALUE...",
		.text = "change settings, all in one step",
		.about = settings_about,
		.examples = "  ecbpf-filter set frags=ptb frags6=ptb ptb-max-pps=100\n"
			    "  ecbpf-filter set checks=drop martian-source=count\n",
		.options = common_options,
		.run = run_set,
	},
	{
		.name = "drop",
		.args = LIST_ARGS,
		.text = "sources that are blocked",
		.about = "A file has a prefix a line, with a tag and an expiry if you like ('-':\n"
			 "none), and comments that begin with '#' or ';'. All of it is imported,\n"
			 "in one step, or nothing. Counters of what stays are kept.\n"
			 "'list' prints such a file; 'top' those that were hit most.\n",
		.examples = "  ecbpf-filter drop add 192.0.2.0/24 2001:db8::/32 -t scan -e 2h\n"
			    "  ecbpf-filter drop import --replace -f blocklist.txt\n",
		.options = filter_list_options,
		.run = filter_list_drop,
	},
	{
		.name = "allow",
		.args = LIST_ARGS,
		.text = "sources that are not blocked, whatever is",
		.about = "As 'drop'. Packets of these sources are not exempt from checks.\n"
			 "Counted are those that would have been dropped.\n",
		.examples = "  ecbpf-filter allow add 198.51.100.0/24 -t office\n",
		.options = filter_list_options,
		.run = filter_list_allow,
	},
	{
		.name = "vip",
		.args = "add ADDRESS... | delete ADDRESS... | list | flush",
		.text = "the addresses of this host that get no fragments",
		.about = "Addresses or prefixes. Fragments to them are treated as those to\n"
			 "other hosts: see the settings frags and frags6.\n",
		.examples = "  ecbpf-filter vip add 203.0.113.80 2001:db8:80::/64\n",
		.options = vip_options,
		.run = run_vip,
	},
	{
		.name = "refresh",
		.args = "",
		.text = "read this host's addresses again",
		.about = "Load, set and vip do so as well.\n",
		.examples = "  ecbpf-filter refresh\n",
		.options = common_options,
		.run = run_refresh,
	},
	{
		.name = "status",
		.args = "[IFACE...]",
		.text = "show settings, lists and counters",
		.examples = "  ecbpf-filter status eth0\n"
			    "  ecbpf-filter status --json\n",
		.options = status_options,
		.run = run_status,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-filter",
		.text = "What a director must not see: packets that no honest host sends, "
			"fragments,\n"
			"blocked sources. Gone before the kernel's stack sees them.\n",
		.examples = "  ecbpf-filter load eth0                the old system's defaults\n"
			    "  ecbpf-filter set frags=ptb frags6=ptb\n"
			    "  ecbpf-filter vip add 203.0.113.80     a VIP of this director\n"
			    "  ecbpf-filter status                   what came of it\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
