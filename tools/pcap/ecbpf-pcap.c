// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-pcap: samples from the bus, to files and to people, see ecbpf-pcap(1) */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include <ecbpf/libecbpf.h>
#include "tools/common/bus.h"
#include "tools/pcap/capture.h"
#include "tools/common/common.h"
#include "tools/pcap/top.h"

#define POLL_MS	     100
#define ACTIONS	     (ECBPF_ACTION_INVALID + 1)
#define TRACKS	     4096 /* pairs of publisher and CPU, and of publisher and verdict */
#define NSEC_PER_SEC 1000000000LL

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

static const struct tool_option pcap_options[] = {
	{'e', "endpoint", "ENDPOINT",
	 "where samples are published; several times for\n"
	 "several (default: " BUS_ENDPOINT ")"},
	{OPT_BIND, "bind", "ENDPOINT", "let daemons connect here, instead"},
	{OPT_KEY, "key", "FILE", "own secret CURVE key (default: a new one)"},
	{OPT_SERVER_KEY, "server-key", "FILE", "public key of the daemon at --endpoint"},
	{OPT_INSECURE, "insecure", NULL, "from other hosts without a key"},
	{OPT_HWM, "hwm", "N", "queue at most so many samples (default: 100000)"},
	{'w', "write", "FILE",
	 "write pcapng, - is standard output (default: that,\n"
	 "if neither --print nor --top is given)"},
	{OPT_PCAP, "pcap", NULL, "write classic pcap, without verdicts"},
	{'C', "size", "MB", "next file after so many million bytes"},
	{'G', "seconds", "S", "next file after so long; FILE is for strftime(3)"},
	{'W', "files", "N", "with -C: so many files in turn; else: no more"},
	{'c', "count", "N", "stop after so many samples"},
	{OPT_DURATION, "duration", "S", "stop after so long"},
	{OPT_ACTION, "action", "LIST", "only with these verdicts: XDP_DROP,XDP_TX"},
	{OPT_PROGRAM, "program", "LIST", "only of these stages, by name or number"},
	{OPT_REASON, "reason", "LIST", "only with these reasons, by name or number"},
	{'i', "iface", "LIST", "only from these interfaces"},
	{'p', "print", NULL, "print a line for each sample"},
	{OPT_TOP, "top", "KEY",
	 "show who sends most, every second; KEY: src, dst,\n"
	 "sport, dport, proto or reason"},
	{OPT_INTERVAL, "interval", "S", "with --top: every so many seconds"},
	{OPT_LINES, "lines", "N", "with --top: so many lines (default: 15)"},
	TOOL_COMMON_OPTIONS,
};

struct options {
	struct bus_options bus;
	struct capture_options capture;
	struct tool_list programs, reasons, ifaces;
	const char *expression;
	__u32 actions; /* bits; 0: all */
	uint64_t count;
	unsigned int duration_s;
	bool is_printing;
	enum top_by top;
	unsigned int interval_s, lines;
};

/* What is known of one sequence of numbers: a topic of a publisher, or a CPU of its host */
struct track {
	uint64_t publisher;
	uint32_t what; /* action, or CPU + ACTIONS */
	bool is_used, is_new;
	uint64_t next; /* number that is to come */
	uint64_t lost; /* of a CPU: as it last said */
};

struct counters {
	uint64_t received, malformed, left_out, taken;
	uint64_t bus_lost, source_lost;
};

struct follower {
	struct options options;
	struct bus bus;
	struct capture *capture;
	struct top *top;
	struct bpf_program filter;
	bool has_filter;
	struct counters counters;
	struct counters at_top; /* when the table was shown last */
	struct track tracks[TRACKS];
	size_t tracks_used;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* --- options -------------------------------------------------------------------------------- */

static int parse_list(const char *what, const char *arg, struct tool_list *list)
{
	char *copy = strcpy(tool_alloc(NULL, strlen(arg) + 1), arg), *rest = copy, *word;
	int err = 0;

	while (!err && (word = strsep(&rest, ","))) {
		if (*word)
			tool_list_add(list, word);
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
	return TOOL_USAGE; /* told already */
}

static int parse_option(struct options *o, int id, const char *arg)
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

static int check_options(struct options *o)
{
	struct capture_options *c = &o->capture;

	if (!c->path && !o->is_printing && !o->top)
		c->path = "-";
	if (!c->path && (c->is_classic || c->size || c->seconds || c->files))
		return tool_usage("--pcap, -C, -G and -W need --write");
	if (c->path && !strcmp(c->path, "-")) {
		if (o->is_printing || o->top)
			return tool_usage("--write -: --print and --top go to standard output");
		if (c->size || c->seconds || c->files)
			return tool_usage("--write -: -C, -G and -W are for files");
		if (isatty(STDOUT_FILENO))
			return tool_usage("captures are not for terminals: --write FILE, --print, "
					  "or a pipe");
	}
	if (c->files && !c->size && !c->seconds)
		return tool_usage("-W needs -C or -G");
	if (o->is_printing && o->top)
		return tool_usage("--print and --top: one or the other");
	if (!o->bus.connect.count && !o->bus.bind.count)
		tool_list_add(&o->bus.connect, BUS_ENDPOINT);
	return 0;
}

/* The rest of the command line is one expression, as tcpdump(8) has it */
static const char *join(int argc, char **argv)
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

static int compile_filter(struct follower *f, const char *expression)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SAMPLE_MESSAGE_MAX);
	int err = 0;

	if (!pcap)
		return tool_fail("out of memory");
	if (pcap_compile(pcap, &f->filter, expression, 1, PCAP_NETMASK_UNKNOWN))
		err = tool_usage("'%s': %s", expression, pcap_geterr(pcap));
	else
		f->has_filter = true;
	pcap_close(pcap);
	return err;
}

/* --- which samples -------------------------------------------------------------------------- */

/* An empty list takes all; names are compared, and numbers */
static bool list_takes(const struct tool_list *list, const char *name, uint32_t number)
{
	const char *text = tool_str("%u", number);

	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], name) || !strcmp(list->items[i], text))
			return true;
	return !list->count;
}

static bool is_wanted(const struct follower *f, const Ecbpf__PacketSample *s)
{
	const struct pcap_pkthdr head = {.caplen = s->packet.len, .len = s->length};
	const struct options *o = &f->options;

	if (o->actions && (s->action >= ECBPF_ACTION_INVALID || !(o->actions & 1U << s->action)))
		return false;
	return list_takes(&o->programs, s->program_name, s->program) &&
	       list_takes(&o->reasons, s->reason ? s->reason_name : "none", s->reason) &&
	       list_takes(&o->ifaces, s->interface, s->ifindex) &&
	       (!f->has_filter || pcap_offline_filter(&f->filter, &head, s->packet.data));
}

/* --- what is missing ------------------------------------------------------------------------ */

/*
 * A sequence is known from its first sample on. Should there be more than fit, which takes
 * hundreds of publishers or one that lies, all are forgotten: losses at this moment are not seen.
 */
static struct track *track_find(struct follower *f, uint64_t publisher, uint32_t what)
{
	uint64_t hash = (publisher ^ what) * 0x9e3779b97f4a7c15ULL;
	struct track *t;

	if (f->tracks_used > TRACKS / 2) {
		memset(f->tracks, 0, sizeof(f->tracks));
		f->tracks_used = 0;
	}
	for (size_t i = hash >> 52;; i++) {
		t = &f->tracks[i % TRACKS];
		if (!t->is_used || (t->publisher == publisher && t->what == what))
			break;
	}
	if (!t->is_used) {
		f->tracks_used++;
		*t = (struct track){
			.publisher = publisher, .what = what, .is_used = true, .is_new = true};
	}
	return t;
}

static void count_lost(struct follower *f, const Ecbpf__PacketSample *s)
{
	uint32_t action = s->action < ECBPF_ACTION_INVALID ? s->action : ECBPF_ACTION_INVALID;
	struct track *t;

	t = track_find(f, s->publisher, action);
	if (!t->is_new && s->bus_seq > t->next)
		f->counters.bus_lost += s->bus_seq - t->next;
	t->is_new = false;
	t->next = s->bus_seq + 1;
	t = track_find(f, s->publisher, ACTIONS + (s->cpu & 0xffff));
	if (!t->is_new && s->lost > t->lost)
		f->counters.source_lost += s->lost - t->lost;
	t->is_new = false;
	t->lost = s->lost;
}

/* --- what is done with them ----------------------------------------------------------------- */

/* Where most samples are lost they are so alike: those that came stand for them, too */
static double loss_factor(const struct counters *now, const struct counters *before)
{
	double received = now->received - before->received;
	double lost = now->bus_lost - before->bus_lost + now->source_lost - before->source_lost;

	return received > 0 ? (received + lost) / received : 1;
}

static void show_top(struct follower *f, double seconds)
{
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	top_print(f->top, f->options.lines, seconds, loss_factor(&f->counters, &f->at_top));
	printf("\n");
	fflush(stdout);
	f->at_top = f->counters;
}

/* Return: 0; TOOL_FAILED, told; -1: no more files */
static int take(struct follower *f, const void *bytes, size_t size)
{
	const Ecbpf__PacketSample *s = sample_decode(bytes, size);
	int err = 0;

	f->counters.received++;
	if (!s) {
		f->counters.malformed++;
		return 0;
	}
	count_lost(f, s);
	if (!is_wanted(f, s)) {
		f->counters.left_out++;
		return 0;
	}
	f->counters.taken++;
	if (f->top)
		top_add(f->top, s);
	if (f->options.is_printing)
		sample_print(stdout, s);
	if (f->capture)
		err = capture_write(f->capture, s);
	return err;
}

/* The topic, then the sample; anything else is nothing of ours */
static int receive(struct follower *f)
{
	int more = 0, err = 0, parts = 0;
	size_t size = sizeof(more);
	zmq_msg_t part;

	do {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, f->bus.socket, parts ? 0 : ZMQ_DONTWAIT) < 0) {
			err = errno == EAGAIN || errno == EINTR
				      ? -EAGAIN
				      : tool_fail("cannot receive: %s", zmq_strerror(errno));
			zmq_msg_close(&part);
			return err;
		}
		parts++;
		zmq_getsockopt(f->bus.socket, ZMQ_RCVMORE, &more, &size);
		if (parts == 2 && !more)
			err = take(f, zmq_msg_data(&part), zmq_msg_size(&part));
		zmq_msg_close(&part);
	} while (more);
	if (parts != 2) {
		f->counters.received++;
		f->counters.malformed++;
	}
	return err;
}

/* What came in so far is out, when there is a moment */
static int flush(struct follower *f)
{
	if (f->capture)
		return capture_flush(f->capture);
	if (f->options.is_printing && (fflush(stdout) || ferror(stdout)))
		return tool_fail("standard output: %s", strerror(errno));
	return 0;
}

static int loop(struct follower *f)
{
	const struct options *o = &f->options;
	zmq_pollitem_t item = {.socket = f->bus.socket, .events = ZMQ_POLLIN};
	long long start = now_ns(), shown = start, now;
	int err = 0;

	while (!stopping && err <= 0 && err != -1) {
		if (o->count && f->counters.taken >= o->count)
			break;
		err = receive(f);
		if (err == -EAGAIN) {
			err = flush(f);
			if (!err)
				zmq_poll(&item, 1, POLL_MS);
		} else if (f->counters.received & 63) {
			continue; /* to ask for the time takes its time, too */
		}
		now = now_ns();
		if (f->top && now - shown >= o->interval_s * NSEC_PER_SEC) {
			show_top(f, (double)(now - shown) / NSEC_PER_SEC);
			shown = now;
		}
		if (o->duration_s && now - start >= o->duration_s * NSEC_PER_SEC)
			break;
	}
	if (f->top && f->counters.taken && now_ns() - shown > NSEC_PER_SEC / 10)
		show_top(f, (double)(now_ns() - shown) / NSEC_PER_SEC);
	return err > 0 ? err : TOOL_OK;
}

/* The verdict is the topic: what is not wanted is not even sent */
static void subscribe(struct follower *f)
{
	int64_t max = SAMPLE_MESSAGE_MAX;

	zmq_setsockopt(f->bus.socket, ZMQ_MAXMSGSIZE, &max, sizeof(max));
	if (!f->options.actions)
		zmq_setsockopt(f->bus.socket, ZMQ_SUBSCRIBE, "", 0);
	for (__u32 action = 0; action < ECBPF_ACTION_INVALID; action++) {
		const char *topic = ecbpf_action_name(action);

		if (f->options.actions & 1U << action)
			zmq_setsockopt(f->bus.socket, ZMQ_SUBSCRIBE, topic, strlen(topic));
	}
}

static int start(struct follower *f)
{
	const struct sigaction action = {.sa_handler = on_signal};
	int err = 0;

	if (f->options.expression)
		err = compile_filter(f, f->options.expression);
	if (!err)
		err = bus_open(&f->bus, ZMQ_SUB, &f->options.bus);
	if (!err && f->options.capture.path)
		err = capture_open(&f->options.capture, &f->capture);
	if (err)
		return err;
	if (f->options.top)
		f->top = top_new(f->options.top);
	subscribe(f);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return 0;
}

static void print_counters(const struct counters *c)
{
	fprintf(stderr,
		"%" PRIu64 " samples taken, %" PRIu64 " received, %" PRIu64 " not wanted, %" PRIu64
		" malformed; lost: %" PRIu64 " on the bus, %" PRIu64 " before it\n",
		c->taken, c->received, c->left_out, c->malformed, c->bus_lost, c->source_lost);
}

static int run(struct tool *tool, int argc, char **argv)
{
	struct follower *f = memset(tool_alloc(NULL, sizeof(*f)), 0, sizeof(*f));
	struct options *o = &f->options;
	int id, err = 0;

	*o = (struct options){.bus.hwm = 100000, .interval_s = 1, .lines = 15};
	while (!err && (id = tool_getopt(tool, argc, argv)) != -1)
		err = parse_option(o, id, optarg);
	if (!err)
		err = check_options(o);
	if (!err) {
		o->expression = join(argc - optind, argv + optind);
		err = start(f);
	}
	if (!err) {
		err = loop(f);
		print_counters(&f->counters);
	}
	bus_close(&f->bus, 0);
	if (capture_close(f->capture) && !err)
		err = TOOL_FAILED;
	top_free(f->top);
	if (f->has_filter)
		pcap_freecode(&f->filter);
	free((char *)o->expression);
	tool_list_free(&o->programs);
	tool_list_free(&o->reasons);
	tool_list_free(&o->ifaces);
	tool_list_free(&o->bus.connect);
	tool_list_free(&o->bus.bind);
	free(f);
	return err;
}

static const struct tool_verb verbs[] = {
	{
		.name = "",
		.args = "[EXPRESSION]",
		.text = "take samples that ecbpf-sampler publishes, to files or to look at",
		.about = "EXPRESSION is a filter as tcpdump(8) has it, see pcap-filter(7).\n",
		.examples = "  Dropped packets, one line each:\n"
			    "      ecbpf-pcap --print --action XDP_DROP\n"
			    "  Who is it?\n"
			    "      ecbpf-pcap --top src udp port 53\n"
			    "  A file for Wireshark, which shows verdicts:\n"
			    "      ecbpf-pcap -w samples.pcapng --duration 60\n"
			    "      ecbpf-pcap | tcpdump -n -r -\n",
		.options = pcap_options,
		.run = run,
	},
	{},
};

int main(int argc, char **argv)
{
	struct tool tool = {
		.name = "ecbpf-pcap",
		.verbs = verbs,
	};

	return tool_main(&tool, argc, argv);
}
