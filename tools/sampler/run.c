// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf-sampler run: the daemon, which reads samples from the kernel's rings and publishes them.
 *
 * It has one thread and one loop that never blocks: sockets drop messages when a queue is full, and
 * interfaces, chains and maps that disappear are looked up again every second. The counters are in
 * a pinned map (struct ecbpf_sampler_stats) and survive the daemon.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "tools/common/statsd.h"
#include "tools/common/notify.h"
#include "tools/sampler/options.h"
#include "tools/sampler/publish.h"
#include "tools/sampler/sampler.h"

#define POLL_MS	     20 /* longest time that a sample waits here */
#define LINGER_MS    1000
#define NSEC_PER_SEC 1000000000LL

struct daemon {
	struct tool *tool;
	int argc;
	char **argv;
	struct sampler_options options;
	struct publisher publisher;
	int statsd;
	struct ecbpf_sampler_status told; /* what statsd has been sent */
	bool is_retrying;		  /* to open the reader */
};

static volatile sig_atomic_t stopping, reloading;

static void on_signal(int number)
{
	if (number == SIGHUP)
		reloading = 1;
	else
		stopping = 1;
}

static long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* Send the increase since the last datagram that could be sent. */
static void statsd_tell(struct daemon *d)
{
	struct ecbpf_sampler_status now, *old = &d->told;
	char text[512];
	int len;

	if (d->statsd < 0 || !d->publisher.reader ||
	    ecbpf_sampler_reader_status(d->publisher.reader, &now))
		return;
	len = snprintf(text, sizeof(text),
		       "xdp.sampler.put:%" PRIu64 "|c\nxdp.sampler.capped:%" PRIu64
		       "|c\nxdp.sampler.ring_lost:%" PRIu64 "|c\nxdp.sampler.unread:%" PRIu64
		       "|c\nxdp.sampler.published:%" PRIu64 "|c\nxdp.sampler.send_errors:%" PRIu64
		       "|c\nxdp.sampler.abandoned:%" PRIu64 "|c\nxdp.sampler.queue_full:%" PRIu64
		       "|c\nxdp.sampler.bytes:%" PRIu64 "|c",
		       (uint64_t)(now.kernel.put - old->kernel.put),
		       (uint64_t)(now.kernel.capped - old->kernel.capped),
		       (uint64_t)(now.kernel.lost - old->kernel.lost),
		       (uint64_t)(now.kernel.unread - old->kernel.unread),
		       (uint64_t)(now.reader.published - old->reader.published),
		       (uint64_t)(now.reader.send_errors - old->reader.send_errors),
		       (uint64_t)(now.reader.abandoned - old->reader.abandoned),
		       (uint64_t)(now.reader.queue_full - old->reader.queue_full),
		       (uint64_t)(now.reader.bytes - old->reader.bytes));
	if (send(d->statsd, text, len, MSG_NOSIGNAL) == len)
		*old = now;
}

/* Take over new settings. Return: whether the socket could be opened with them */
static bool change_settings(struct daemon *d, struct sampler_options *options)
{
	struct bus bus;
	int statsd;

	if (statsd_open(options->statsd, &statsd))
		return false;
	if (bus_open(&bus, ZMQ_XPUB, &options->bus)) {
		if (statsd >= 0)
			close(statsd);
		return false;
	}
	if (d->statsd >= 0)
		close(d->statsd);
	d->publisher.bus = bus;
	d->statsd = statsd;
	if (options->host)
		snprintf(d->publisher.host, sizeof(d->publisher.host), "%s", options->host);
	sampler_options_free(&d->options);
	d->options = *options;
	return true;
}

/* Either all new settings hold afterwards, or all old ones. */
static void reload(struct daemon *d)
{
	struct sampler_options options;

	if (sampler_options_parse(d->tool, d->argc, d->argv, &options)) {
		tool_warn("SIGHUP: settings unchanged");
		return;
	}
	/* an endpoint can be bound again only after it is closed */
	bus_close(&d->publisher.bus, LINGER_MS);
	if (change_settings(d, &options)) {
		tool_warn("SIGHUP: settings read");
		return;
	}
	sampler_options_free(&options);
	if (bus_open(&d->publisher.bus, ZMQ_XPUB, &d->options.bus))
		tool_warn("SIGHUP: publishing has stopped; correct the settings and send SIGHUP "
			  "again");
	else
		tool_warn("SIGHUP: settings unchanged");
}

static void open_again(struct daemon *d)
{
	if (!ecbpf_sampler_open(d->tool->ecbpf, d->options.ring_bytes, &d->publisher.reader)) {
		memset(&d->told, 0, sizeof(d->told));
		d->is_retrying = false;
		tool_warn("the sampler's maps were replaced; reading the new ones");
	} else if (!d->is_retrying) {
		d->is_retrying = true;
		tool_warn("%s; trying again every second", ecbpf_error(d->tool->ecbpf));
	}
}

/* Maps can be replaced at any time, for example after `ecbpf-loader clean --all`. */
static void follow_maps(struct daemon *d)
{
	if (d->publisher.reader && ecbpf_sampler_is_stale(d->publisher.reader)) {
		ecbpf_sampler_drain(d->publisher.reader, publisher_send, &d->publisher);
		ecbpf_sampler_close(d->publisher.reader);
		d->publisher.reader = NULL;
	}
	if (!d->publisher.reader)
		open_again(d);
}

static void each_second(struct daemon *d)
{
	d->publisher.time_offset = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
	notify("WATCHDOG=1");
	follow_maps(d);
	publisher_refresh(&d->publisher);
	statsd_tell(d);
}

static int loop(struct daemon *d)
{
	long long next = 0, now;
	int err;

	notify("READY=1");
	while (!stopping) {
		if (reloading) {
			reloading = 0;
			notify(tool_str("RELOADING=1\nMONOTONIC_USEC=%lld",
					now_ns(CLOCK_MONOTONIC) / 1000));
			reload(d);
			notify("READY=1");
		}
		now = now_ns(CLOCK_MONOTONIC);
		if (now >= next) {
			each_second(d);
			next = now + NSEC_PER_SEC;
		}
		bus_let_in(&d->publisher.bus);
		if (!d->publisher.reader) {
			nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
			continue;
		}
		err = ecbpf_sampler_read(d->publisher.reader, POLL_MS, publisher_send,
					 &d->publisher);
		if (err && err != -EINTR)
			return tool_fail("cannot read the rings: %s", strerror(-err));
	}
	notify("STOPPING=1");
	if (d->publisher.reader)
		ecbpf_sampler_drain(d->publisher.reader, publisher_send, &d->publisher);
	statsd_tell(d);
	return TOOL_OK;
}

static int start(struct daemon *d)
{
	struct sigaction action = {.sa_handler = on_signal};
	int err;

	if (getrandom(&d->publisher.id, sizeof(d->publisher.id), 0) != sizeof(d->publisher.id))
		return tool_fail("getrandom: %s", strerror(errno));
	if (d->options.host)
		snprintf(d->publisher.host, sizeof(d->publisher.host), "%s", d->options.host);
	else if (gethostname(d->publisher.host, sizeof(d->publisher.host) - 1))
		return tool_fail("gethostname: %s", strerror(errno));
	err = statsd_open(d->options.statsd, &d->statsd);
	if (!err)
		err = bus_open(&d->publisher.bus, ZMQ_XPUB, &d->options.bus);
	if (err)
		return err;
	if (ecbpf_sampler_open(d->tool->ecbpf, d->options.ring_bytes, &d->publisher.reader))
		return tool_fail_ecbpf(d->tool);
	if (ecbpf_sampler_reader_status(d->publisher.reader, &d->told))
		return tool_fail_ecbpf(d->tool);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int sampler_run(struct tool *tool, int argc, char **argv)
{
	struct daemon d = {.tool = tool,
			   .argc = argc,
			   .argv = argv,
			   .publisher.ecbpf = tool->ecbpf,
			   .statsd = -1};
	int err;

	err = sampler_options_parse(tool, argc, argv, &d.options);
	if (err)
		return err;
	err = start(&d);
	if (!err)
		err = loop(&d);
	bus_close(&d.publisher.bus, LINGER_MS);
	if (d.statsd >= 0)
		close(d.statsd);
	ecbpf_sampler_close(d.publisher.reader);
	publisher_free(&d.publisher);
	sampler_options_free(&d.options);
	return err;
}
