// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Command line of ecbpf-pcap */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <net/if.h>
#include <ecbpf/libecbpf.h>
#include <ecbpf/reason.h>
#include "tools/pcap/options.h"

enum {
	OPT_BIND = TOOL_LONG_ONLY,
	OPT_KEY,
	OPT_SERVER_KEY,
	OPT_INSECURE,
	OPT_HWM,
	OPT_PCAP,
	OPT_DURATION,
	OPT_ACTION,
	OPT_PROGRAM,
	OPT_REASON,
	OPT_TOP,
	OPT_INTERVAL,
	OPT_LINES,
};

const struct tool_option pcap_option_table[] = {
	{'e', "endpoint", "ENDPOINT",
	 "connect to this address; " TOOL_REPEATED "\n"
	 "(default: " BUS_ENDPOINT ")"},
	{OPT_BIND, "bind", "ENDPOINT",
	 "instead, let daemons connect to this address; " TOOL_REPEATED},
	{OPT_KEY, "key", "FILE", "secret CURVE key (default: a new one)"},
	{OPT_SERVER_KEY, "server-key", "FILE", "public key of the daemon at --endpoint"},
	{OPT_INSECURE, "insecure", NULL, "allow unencrypted samples from other hosts"},
	{OPT_HWM, "hwm", "N", "longest queue, in samples (default: 100000)"},
	{'w', "write", "FILE",
	 "write pcapng to FILE; - is standard output, which\n"
	 "is the default without --print and --top"},
	{OPT_PCAP, "pcap", NULL, "write classic pcap, without verdicts"},
	{'C', "size", "MB", "begin the next file after MB million bytes"},
	{'G', "seconds", "S",
	 "begin the next file after S seconds; FILE is a\n"
	 "format of strftime(3)"},
	{'W', "files", "N", "with -C: rotate among N files; else: stop after N"},
	{'c', "count", "N", "stop after N samples"},
	{OPT_DURATION, "duration", "S", "stop after S seconds"},
	{OPT_ACTION, "action", "LIST",
	 "only packets with these verdicts, such as\n"
	 "XDP_DROP,XDP_TX"},
	{OPT_PROGRAM, "program", "LIST",
	 "only packets of these stages, by name or number;\n" TOOL_REPEATED},
	{OPT_REASON, "reason", "LIST",
	 "only packets with these reasons, by name or number;\n" TOOL_REPEATED},
	{'i', "iface", "LIST", "only packets of these interfaces; " TOOL_REPEATED},
	{'p', "print", NULL, "print one line for each sample"},
	{OPT_TOP, "top", "KEY",
	 "show the most frequent values of KEY, every second:\n"
	 "src, dst, sport, dport, proto or reason"},
	{OPT_INTERVAL, "interval", "S", "with --top: every S seconds (default: 1)"},
	{OPT_LINES, "lines", "N", "with --top: show N lines (default: 15)"},
	TOOL_COMMON_OPTIONS,
};

static int parse_list(const char *what, const char *arg, struct tool_list *list)
{
	char *copy = strcpy(tool_alloc(NULL, strlen(arg) + 1), arg), *rest = copy, *word;
	int err = 0;

	while (!err && (word = strsep(&rest, ","))) {
		if (*word)
			tool_list_add(list, tool_safe(word)); /* as in decoded samples */
		else
			err = tool_usage("%s: '%s': a name is missing in this list", what, arg);
	}
	free(copy);
	return err;
}

static int parse_u32(const char *what, const char *arg, __u32 max, unsigned int *ret)
{
	__u64 value;
	int err = tool_parse_number(what, arg, 1, max, &value);

	if (!err)
		*ret = value;
	return err;
}

static int parse_bus_option(struct bus_options *bus, int id, const char *arg)
{
	unsigned int hwm;
	int err = 0;

	switch (id) {
	case 'e':
		tool_list_add(&bus->connect, arg);
		return 0;
	case OPT_BIND:
		tool_list_add(&bus->bind, arg);
		return 0;
	case OPT_KEY:
		bus->key = arg;
		return 0;
	case OPT_SERVER_KEY:
		bus->server_key = arg;
		return 0;
	case OPT_INSECURE:
		bus->insecure = true;
		return 0;
	case OPT_HWM:
		err = parse_u32("--hwm", arg, 10000000, &hwm);
		if (!err)
			bus->hwm = hwm;
		return err;
	}
	return TOOL_USAGE; /* with a message printed */
}

static int parse_option(struct pcap_options *o, int id, const char *arg)
{
	unsigned int mb;
	__u64 value;
	int err;

	switch (id) {
	case 'w':
		o->capture.path = arg;
		return 0;
	case OPT_PCAP:
		o->capture.is_classic = true;
		return 0;
	case 'C':
		err = parse_u32("--size", arg, 1000000, &mb);
		if (!err)
			o->capture.size = mb * 1000000ULL;
		return err;
	case 'G':
		return parse_u32("--seconds", arg, 1000000000, &o->capture.seconds);
	case 'W':
		return parse_u32("--files", arg, 1000000, &o->capture.files);
	case 'c':
		err = tool_parse_number("--count", arg, 1, UINT64_MAX, &value);
		if (!err)
			o->count = value;
		return err;
	case OPT_DURATION:
		return parse_u32("--duration", arg, 1000000000, &o->duration_s);
	case OPT_ACTION:
		return tool_parse_actions("--action", arg, &o->actions);
	case OPT_PROGRAM:
		return parse_list("--program", arg, &o->programs);
	case OPT_REASON:
		return parse_list("--reason", arg, &o->reasons);
	case 'i':
		return parse_list("--iface", arg, &o->ifaces);
	case 'p':
		o->is_printing = true;
		return 0;
	case OPT_TOP:
		o->top = top_parse(arg);
		if (o->top)
			return 0;
		return tool_usage("--top: '%s' is not src, dst, sport, dport, proto or reason",
				  arg);
	case OPT_INTERVAL:
		return parse_u32("--interval", arg, 1000000, &o->interval_s);
	case OPT_LINES:
		return parse_u32("--lines", arg, 100000, &o->lines);
	}
	return parse_bus_option(&o->bus, id, arg);
}

/* One period later the name has to be another one, or the file would be replaced */
static bool has_other_names(const char *format, unsigned int seconds)
{
	time_t now = time(NULL), then = now + seconds;
	char name[4096] = "", next[4096] = "";
	struct tm tm;

	if (!localtime_r(&now, &tm) || !strftime(name, sizeof(name), format, &tm) ||
	    !localtime_r(&then, &tm) || !strftime(next, sizeof(next), format, &tm))
		return true;
	return strcmp(name, next);
}

static bool is_stage(const char *name)
{
	for (__u32 i = 1; ecbpf_stage_name(i); i++)
		if (!strcmp(ecbpf_stage_name(i), name))
			return true;
	return false;
}

static bool is_reason(const char *name)
{
	if (!strcmp(name, "none"))
		return true;
	for (__u32 i = 0; i < ECBPF_REASON_MAX; i++)
		if (ecbpf_reason_name(i) && !strcmp(ecbpf_reason_name(i), name))
			return true;
	return false;
}

static bool is_iface(const char *name)
{
	return if_nametoindex(name);
}

static void warn_unknown(const char *what, const struct tool_list *list,
			 bool (*is_known)(const char *name), const char *where)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i][strspn(list->items[i], "0123456789")] &&
		    !is_known(list->items[i]))
			tool_warn("warning: %s: '%s' is not known %s", what, list->items[i], where);
}

/* No error: samples may come from another host or version */
static void warn_names(const struct pcap_options *o)
{
	warn_unknown("--program", &o->programs, is_stage,
		     "to this version: see "
		     "'ecbpf-loader stages'");
	warn_unknown("--reason", &o->reasons, is_reason, "to this version: see ecbpf(7)");
	if (!o->bus.connect.count && !o->bus.bind.count)
		warn_unknown("--iface", &o->ifaces, is_iface, "on this host");
}

static int check_options(struct pcap_options *o)
{
	struct capture_options *c = &o->capture;

	if (!c->path && !o->is_printing && !o->top)
		c->path = "-";
	if (!c->path && (c->is_classic || c->size || c->seconds || c->files))
		return tool_usage("--pcap, -C, -G and -W need --write");
	if (c->path && !strcmp(c->path, "-")) {
		if (o->is_printing || o->top)
			return tool_usage("--write -: --print and --top use standard output, too");
		if (c->size || c->seconds || c->files)
			return tool_usage("--write -: -C, -G and -W need a file");
		if (isatty(STDOUT_FILENO))
			return tool_usage(
				"standard output is a terminal: use --write FILE, --print "
				"or a pipe");
	}
	if (c->files && !c->size && !c->seconds)
		return tool_usage("-W needs -C or -G");
	if (c->seconds && !c->size && c->files != 1 && !has_other_names(c->path, c->seconds))
		return tool_usage("-G: %u s later '%s' is the same file, and would be replaced: "
				  "name it by the time, like samples-%%Y%%m%%d-%%H%%M%%S.pcapng",
				  c->seconds, c->path);
	if (o->is_printing && o->top)
		return tool_usage("--print and --top cannot be combined");
	warn_names(o);
	if (!o->bus.connect.count && !o->bus.bind.count)
		tool_list_add(&o->bus.connect, BUS_ENDPOINT);
	return 0;
}

/* The operands are one expression, as with tcpdump(8). */
static char *join(int argc, char **argv)
{
	size_t len = 1;
	char *text;

	if (!argc)
		return NULL;
	for (int i = 0; i < argc; i++)
		len += strlen(argv[i]) + 1;
	text = tool_alloc(NULL, len);
	*text = '\0';
	for (int i = 0; i < argc; i++) {
		strcat(text, argv[i]);
		if (i < argc - 1)
			strcat(text, " ");
	}
	return text;
}

int pcap_options_parse(struct tool *tool, int argc, char **argv, struct pcap_options *o)
{
	int id, err = 0;

	*o = (struct pcap_options){.bus.hwm = 100000, .interval_s = 1, .lines = 15};
	while (!err && (id = tool_getopt(tool, argc, argv)) != -1)
		err = parse_option(o, id, optarg);
	if (!err)
		err = check_options(o);
	if (!err)
		o->expression = join(argc - optind, argv + optind);
	return err;
}

void pcap_options_free(struct pcap_options *o)
{
	free(o->expression);
	tool_list_free(&o->programs);
	tool_list_free(&o->reasons);
	tool_list_free(&o->ifaces);
	tool_list_free(&o->bus.connect);
	tool_list_free(&o->bus.bind);
}
