// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-sampler: samples of packets with what became of them, see ecbpf-sampler(8) */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-sampler.h>
#include "tools/common/bus.h"
#include "tools/common/change.h"
#include "tools/common/settings.h"
#include "tools/common/stage.h"
#include "tools/common/watched.h"
#include "tools/sampler/sampler.h"

enum {
	OPT_FUSED = TOOL_LONG_ONLY,
};

/* --- load, set ------------------------------------------------------------------------------ */

struct load_args {
	enum ecbpf_mode mode;
	bool is_fused;
	struct tool_list settings;
};

static const struct tool_option load_options[] = {
	TOOL_MODE_OPTION,
	{OPT_FUSED, "fused", NULL,
	 "in ecbpf_fused, with the stages that it runs\n"
	 "already"},
	TOOL_CHANGE_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static const struct tool_option change_options[] = {TOOL_CHANGE_OPTIONS, TOOL_COMMON_OPTIONS};

static int parse_args(struct tool *tool, int argc, char **argv, struct load_args *args)
{
	int id, err = 0;

	while (!err && (id = tool_getopt(tool, argc, argv)) != -1) {
		if (id >= TOOL_SETTING)
			err = tool_settings_option(tool, id, optarg, &args->settings);
		else if (id == 'm')
			err = tool_parse_mode(optarg, &args->mode);
		else if (id == OPT_FUSED)
			args->is_fused = true;
		else if (id != 'j')
			return TOOL_USAGE; /* told already */
	}
	return err;
}

static bool is_off(const struct ecbpf_sampling *s)
{
	return !s->rate[ECBPF_SAMPLE_PASSED] && !s->rate[ECBPF_SAMPLE_TERMINAL];
}

/* What is given, else what is in force or, if nothing is, the defaults. @is_load: may be missing */
static int wanted_settings(struct tool *tool, const struct tool_list *texts, bool is_load,
			   struct ecbpf_sampling *s)
{
	struct ecbpf_sampler_status status = {};
	struct ecbpf_sampling live;
	int err = ecbpf_sampler_status(tool->ecbpf, &status);

	if (err && !(is_load && err == -ENOENT))
		return tool_fail_ecbpf(tool);
	*s = live = status.settings;
	if (is_off(&live))
		ecbpf_settings_reset(ecbpf_sampler_settings(), s);
	if (is_off(&live) && live.snap_len) {
		s->snap_len = live.snap_len;
		s->max_pps = live.max_pps;
	}
	tool_settings_take(tool, texts, s);
	return TOOL_OK;
}

static int parse_iface_list(int argc, char **argv, struct tool_list *ifaces)
{
	return optind < argc ? tool_operands_ifaces(argc, argv, ifaces)
			     : tool_usage("on which interface?");
}

static int load(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_sampling settings;
	struct load_args args = {};
	int err;

	err = parse_args(tool, argc, argv, &args);
	if (!err)
		err = parse_iface_list(argc, argv, &ifaces);
	if (!err) {
		tool_change_begin(NULL);
		err = wanted_settings(tool, &args.settings, true, &settings);
	}
	if (!err && ecbpf_sampler_load(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count,
				       args.is_fused, args.mode, &settings))
		err = tool_fail_ecbpf(tool);
	if (!err) {
		tool_stage_changed(ECBPF_STAGE_SAMPLER, &ifaces, "loaded");
		tool_settings_kept(ecbpf_sampler_settings(), &settings, &args.settings);
	}
	tool_list_free(&args.settings);
	return err;
}

static int set(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_sampler_status before;
	struct ecbpf_sampling settings;
	struct load_args args = {};
	int err;

	err = parse_args(tool, argc, argv, &args);
	if (!err)
		err = tool_settings_operands(tool, argc - optind, argv + optind, &args.settings);
	if (!err) {
		tool_change_begin(NULL);
		err = wanted_settings(tool, &args.settings, false, &settings);
	}
	if (!err && (ecbpf_sampler_status(tool->ecbpf, &before) ||
		     ecbpf_sampler_set(tool->ecbpf, &settings)))
		err = tool_fail_ecbpf(tool);
	if (!err)
		tool_settings_changed(ecbpf_sampler_settings(), &before.settings, &settings);
	tool_list_free(&args.settings);
	return err;
}

/* --- unload --------------------------------------------------------------------------------- */

static int unload(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	int err;

	if (tool_parse_change(tool, argc, argv))
		return TOOL_USAGE;
	err = tool_stage_operands(tool, ECBPF_STAGE_SAMPLER, argc, argv, &ifaces);
	if (err)
		return err;
	tool_change_begin(NULL);
	if (!ifaces.count)
		return tool_fail("the sampler is loaded on no interface");
	if (ecbpf_sampler_unload(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count))
		return tool_fail_ecbpf(tool);
	tool_stage_changed(ECBPF_STAGE_SAMPLER, &ifaces, "unloaded");
	tool_warn_watched(tool, NULL, &ifaces);
	return TOOL_OK;
}

/* --- status --------------------------------------------------------------------------------- */

static const struct tool_option status_options[] = {
	TOOL_JSON_OPTION,
	TOOL_COMMON_OPTIONS,
};

/* Put into rings, and neither taken out nor known to be gone */
static __u64 in_rings(const struct ecbpf_sampler_status *s)
{
	__u64 out = s->reader.published + s->reader.send_errors + s->reader.abandoned;

	return s->kernel.put > out ? s->kernel.put - out : 0;
}

static __u64 drawn(const struct ecbpf_sampler_status *s)
{
	return s->kernel.put + s->kernel.capped + s->kernel.lost + s->kernel.unread;
}

static const char *rate_text(__u32 rate)
{
	return rate ? tool_str("1/%u", rate) : "none";
}

static void print_status(const struct ecbpf_sampler_status *s)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 3, .align = "lrl"};
	const struct {
		const char *name;
		__u64 value;
		const char *text;
	} rows[] = {
		{"drawn", drawn(s), "samples in all, of which"},
		{"capped", s->kernel.capped, "more than max-pps"},
		{"unread", s->kernel.unread, "no daemon was there"},
		{"ring lost", s->kernel.lost, "the daemon was too slow: no room in its ring"},
		{"abandoned", s->reader.abandoned, "in the ring of a daemon that was killed"},
		{"in rings", in_rings(s), "not read yet"},
		{"send errors", s->reader.send_errors, "could not be published"},
		{"published", s->reader.published, "given to ZeroMQ"},
		{"queue full", s->reader.queue_full, "times that a subscriber was too slow"},
	};

	printf("rate: %s passed, %s other verdicts\n",
	       rate_text(s->settings.rate[ECBPF_SAMPLE_PASSED]),
	       rate_text(s->settings.rate[ECBPF_SAMPLE_TERMINAL]));
	printf("snaplen: %u bytes\n", s->settings.snap_len);
	if (s->settings.max_pps)
		printf("max-pps: %u\n", s->settings.max_pps);
	else
		printf("max-pps: no limit\n");
	printf("daemon: %s\n\n", s->is_read ? "running" : "not running");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tool_table_row(&table, rows[i].name, tool_str("%" PRIu64, (uint64_t)rows[i].value),
			       rows[i].text);
	tool_table_print(&table, "  ");
}

static void print_json(const struct ecbpf_sampler_status *s)
{
	struct json_object *json = json_object_new_object();

	tool_settings_json(json, ecbpf_sampler_settings(), &s->settings, '_');
	tool_json_bool(json, "daemon", s->is_read);
	tool_json_num(json, "drawn", drawn(s));
	tool_json_num(json, "capped", s->kernel.capped);
	tool_json_num(json, "unread", s->kernel.unread);
	tool_json_num(json, "ring_lost", s->kernel.lost);
	tool_json_num(json, "abandoned", s->reader.abandoned);
	tool_json_num(json, "in_rings", in_rings(s));
	tool_json_num(json, "send_errors", s->reader.send_errors);
	tool_json_num(json, "published", s->reader.published);
	tool_json_num(json, "queue_full", s->reader.queue_full);
	tool_json_num(json, "bytes", s->reader.bytes);
	tool_json_print(json);
}

static int status(struct tool *tool, int argc, char **argv)
{
	struct ecbpf_sampler_status s;
	bool is_json = false;

	if (tool_parse_json(tool, argc, argv, &is_json) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (ecbpf_sampler_status(tool->ecbpf, &s))
		return tool_fail_ecbpf(tool);
	if (is_json)
		print_json(&s);
	else
		print_status(&s);
	return TOOL_OK;
}

/* --- keygen --------------------------------------------------------------------------------- */

static int keygen(struct tool *tool, int argc, char **argv)
{
	bool is_half;
	int err;

	if (tool_parse_change(tool, argc, argv))
		return TOOL_USAGE;
	if (argc - optind != 1)
		return tool_usage("into which file?");
	tool_change_begin(NULL);
	err = bus_make_keys(argv[optind], &is_half);
	if (!err && is_half)
		tool_changed("%s.pub made, of %s", argv[optind], argv[optind]);
	else if (!err)
		tool_changed("%s and %s.pub made", argv[optind], argv[optind]);
	return err;
}

static const struct tool_verb verbs[] = {
	{
		.name = "load",
		.args = "IFACE...",
		.text = "sample the packets of interfaces",
		.about = "Puts the stage sampler last into the chains of the interfaces. Settings\n"
			 "are those in force, if there are any, and the options'; they hold for\n"
			 "all interfaces of the network namespace.\n",
		.examples = "      ecbpf-sampler load eth0 eth1\n"
			    "      ecbpf-sampler load --rate 10000 --rate-drops 100 eth0\n",
		.options = load_options,
		.settings = ecbpf_sampler_settings,
		.has_setting_options = true,
		.run = load,
	},
	{
		.name = "set",
		.args = "KEY=VALUE...",
		.text = "change settings, at once",
		.about = "They are taken as options, too: --rate 100 is rate=100.\n",
		.examples = "      ecbpf-sampler set rate=100 snaplen=256\n",
		.options = change_options,
		.settings = ecbpf_sampler_settings,
		.has_setting_options = true,
		.run = set,
	},
	{
		.name = "unload",
		.args = "[IFACE]...",
		.text = "take the stage sampler out again, from these interfaces or from all",
		.about = "When the last one is gone, other stages do not draw samples either.\n",
		.examples = "      ecbpf-sampler unload eth0 eth1\n",
		.options = change_options,
		.run = unload,
	},
	{
		.name = "status",
		.args = "",
		.text = "show settings, and what became of the samples",
		.examples = "      ecbpf-sampler status -j\n",
		.options = status_options,
		.run = status,
	},
	{
		.name = "run",
		.args = "",
		.text = "publish samples: the daemon",
		.about = "Reads the rings of the kernel until SIGTERM, and publishes samples on a\n"
			 "ZeroMQ socket, for ecbpf-pcap(1) and others; see ecbpf-sample(5).\n",
		.examples =
			"      ecbpf-sampler run\n"
			"      ecbpf-sampler run --bind 'tcp://*:12354' --key FILE --allow FILE\n",
		.options = sampler_run_options,
		.run = sampler_run,
	},
	{
		.name = "keygen",
		.args = "FILE",
		.text = "make keys for samples that leave the host",
		.about = "A new secret key in FILE, its public key in FILE.pub.\n",
		.examples = "      ecbpf-sampler keygen /etc/ecbpf/sampler.key\n",
		.options = change_options,
		.run = keygen,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-sampler",
		.text = "Samples of the packets that arrive, with what became of them, unbiased "
			"and\n"
			"with every loss counted.\n",
		.examples = "  ecbpf-sampler load eth0      one packet in 1000\n"
			    "  ecbpf-sampler run &          publish them\n"
			    "  ecbpf-pcap --print           look at them\n",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
