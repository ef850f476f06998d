// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-pcap: samples from the bus, written to files or shown, see ecbpf-pcap(1) */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "tools/pcap/filter.h"
#include "tools/pcap/losses.h"
#include "tools/pcap/options.h"

#define POLL_MS	     100
#define NSEC_PER_SEC 1000000000LL

struct counters {
	uint64_t received, malformed, left_out, taken;
	uint64_t bus_lost, source_lost;
};

struct follower {
	struct pcap_options options;
	struct bus bus;
	struct capture *capture;
	struct top *top;
	struct filter filter;
	struct losses losses;
	struct counters counters;
	struct counters at_top; /* when the table was last shown */
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

/* Received samples also stand for the lost ones, because samples are lost at random. */
static double loss_factor(const struct counters *now, const struct counters *before)
{
	double received = now->received - before->received;
	double lost = now->bus_lost - before->bus_lost + now->source_lost - before->source_lost;

	return received > 0 ? (received + lost) / received : 1;
}

static int output_flush(void)
{
	return fflush(stdout) ? tool_fail("standard output: %s", strerror(errno)) : 0;
}

static int show_top(struct follower *f, double seconds)
{
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	top_print(f->top, f->options.lines, seconds, loss_factor(&f->counters, &f->at_top));
	printf("\n");
	f->at_top = f->counters;
	return output_flush();
}

/* Return: 0; TOOL_FAILED, with a message printed; -1 when no more files are to be written */
static int take(struct follower *f, const void *bytes, size_t size)
{
	const Ecbpf__PacketSample *s = sample_decode(bytes, size);
	int err = 0;

	f->counters.received++;
	if (!s) {
		f->counters.malformed++;
		return 0;
	}
	losses_count(&f->losses, s);
	f->counters.bus_lost = f->losses.on_bus;
	f->counters.source_lost = f->losses.at_source;
	if (!filter_takes(&f->filter, &f->options, s)) {
		f->counters.left_out++;
		return 0;
	}
	f->counters.taken++;
	if (f->top)
		top_add(f->top, s);
	if (f->options.is_printing)
		sample_print(stdout, s);
	if (ferror(stdout))
		return tool_fail("standard output: %s", strerror(errno));
	if (f->capture)
		err = capture_write(f->capture, s);
	return err;
}

/* A message has two parts, the topic and the sample. Others are counted as malformed. */
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

/* Write out buffered output while no sample is waiting. */
static int flush(struct follower *f)
{
	if (f->capture)
		return capture_flush(f->capture);
	return f->options.is_printing ? output_flush() : 0;
}

static int loop(struct follower *f)
{
	const struct pcap_options *o = &f->options;
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
			continue; /* reading the clock is slow */
		}
		now = now_ns();
		if (f->top && err <= 0 && now - shown >= o->interval_s * NSEC_PER_SEC) {
			if (show_top(f, (double)(now - shown) / NSEC_PER_SEC))
				err = TOOL_FAILED;
			shown = now;
		}
		if (o->duration_s && now - start >= o->duration_s * NSEC_PER_SEC)
			break;
	}
	if (f->top && f->counters.taken && err <= 0 && now_ns() - shown > NSEC_PER_SEC / 10)
		err = show_top(f, (double)(now_ns() - shown) / NSEC_PER_SEC);
	return err > 0 ? err : TOOL_OK;
}

/* The verdict is the topic, so samples with other verdicts are not even sent to this process. */
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
		err = filter_compile(&f->filter, f->options.expression);
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
	int err;

	err = pcap_options_parse(tool, argc, argv, &f->options);
	if (!err)
		err = start(f);
	if (!err) {
		err = loop(f);
		print_counters(&f->counters);
		if (!f->counters.received)
			tool_warn("nothing was received: does 'ecbpf-sampler run' publish at %s? "
				  "'ecbpf-sampler status' says whether there are samples",
				  f->options.bus.bind.count ? f->options.bus.bind.items[0]
							    : f->options.bus.connect.items[0]);
	}
	bus_close(&f->bus, 0);
	if (capture_close(f->capture) && !err)
		err = TOOL_FAILED;
	top_free(f->top);
	filter_free(&f->filter);
	pcap_options_free(&f->options);
	free(f);
	return err;
}

static const struct tool_verb verbs[] = {
	{
		.name = "",
		.args = "[EXPRESSION]",
		.text = "write or show the samples that ecbpf-sampler publishes",
		.about = "EXPRESSION selects packets as in tcpdump(8), see pcap-filter(7).\n",
		.examples = "  Print dropped packets:\n"
			    "      ecbpf-pcap --print --action XDP_DROP\n"
			    "  Show the sources of DNS packets:\n"
			    "      ecbpf-pcap --top src udp port 53\n"
			    "  Write a file for Wireshark, which shows the verdicts:\n"
			    "      ecbpf-pcap -w samples.pcapng --duration 60\n"
			    "      ecbpf-pcap | tcpdump -n -r -\n",
		.options = pcap_option_table,
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
