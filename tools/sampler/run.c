// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf-sampler run: the daemon, which reads samples from the kernel's rings and publishes them.
 *
 * It has no privileges: what takes some, another process does for it, see opener.h.
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
#include "tools/sampler/drop.h"
#include "tools/sampler/opener.h"
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
	int opener;
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

/* Return: as opener_ask() */
static int ask(struct daemon *d, enum opener_ask what, struct opener_reply *ret_reply)
{
	return opener_ask(d->opener, &(struct opener_request){.ask = what}, ret_reply);
}

/* Send the increase since the last datagram that could be sent. */
static void statsd_tell(struct daemon *d)
{
	struct ecbpf_sampler_status now, *old = &d->told;
	struct opener_reply reply;
	char text[512];
	int len;

	if (d->statsd < 0 || !d->publisher.reader || ask(d, OPENER_STATUS, &reply))
		return;
	now = reply.status;
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

/* Take over new settings and sockets, or none. Return: enum tool_exit */
static int change_settings(struct daemon *d, struct sampler_options *options)
{
	struct bus bus;
	int statsd, err;

	err = statsd_open(options->statsd, &statsd);
	if (err)
		return err;
	options->bus.files = &options->files;
	err = bus_open(&bus, ZMQ_XPUB, &options->bus);
	if (err) {
		if (statsd >= 0)
			close(statsd);
		return err;
	}
	if (d->statsd >= 0)
		close(d->statsd);
	d->publisher.bus = bus;
	d->statsd = statsd;
	if (options->host)
		snprintf(d->publisher.host, sizeof(d->publisher.host), "%s", options->host);
	sampler_options_free(&d->options);
	d->options = *options;
	d->options.bus.files = &d->options.files;
	return TOOL_OK;
}

/* The sockets of the new options are kept, and no others; or of the old ones */
static void keep_files(struct daemon *d, bool is_new)
{
	const struct opener_request request = {.ask = OPENER_FILES_KEEP, .is_new = is_new};
	struct opener_reply reply;

	opener_ask(d->opener, &request, &reply);
}

/* Either all new settings hold afterwards, or all old ones. */
static void reload(struct daemon *d)
{
	struct sampler_options options;

	if (opener_options(d->opener, d->tool, d->argc, d->argv, &options)) {
		keep_files(d, false);
		tool_warn("SIGHUP: settings unchanged");
		return;
	}
	/* an endpoint can be bound again only after it is closed */
	bus_close(&d->publisher.bus, LINGER_MS);
	if (!change_settings(d, &options)) {
		keep_files(d, true);
		tool_warn("SIGHUP: settings read");
		return;
	}
	sampler_options_free(&options);
	keep_files(d, false);
	if (bus_open(&d->publisher.bus, ZMQ_XPUB, &d->options.bus))
		tool_warn("SIGHUP: publishing has stopped; correct the settings and send SIGHUP "
			  "again");
	else
		tool_warn("SIGHUP: settings unchanged");
}

/* Return: as opener_ask() */
static int open_reader(struct daemon *d, struct opener_reply *reply)
{
	struct ecbpf_sampler_fds *fds;
	int err = opener_source(d->opener, &fds, reply);

	if (err)
		return err;
	err = ecbpf_sampler_open(d->tool->ecbpf, fds, &d->publisher.reader);
	if (err)
		snprintf(reply->text, sizeof(reply->text), "%s", ecbpf_error(d->tool->ecbpf));
	return err;
}

/* Publish what has been drawn, and take no more */
static void drain(struct daemon *d)
{
	struct opener_reply reply;

	ecbpf_sampler_stop(d->publisher.reader);
	ask(d, OPENER_SETTLE, &reply);
	ecbpf_sampler_read(d->publisher.reader, 0, publisher_send, &d->publisher);
}

static int open_again(struct daemon *d)
{
	struct opener_reply reply;
	int err = open_reader(d, &reply);

	if (err == -EPIPE)
		return tool_fail("%s", reply.text);
	if (!err) {
		memset(&d->told, 0, sizeof(d->told));
		d->is_retrying = false;
		tool_warn("the sampler's maps were replaced; reading the new ones");
	} else if (!d->is_retrying) {
		d->is_retrying = true;
		tool_warn("%s; trying again every second", reply.text);
	}
	return TOOL_OK;
}

/* Maps can be replaced at any time, for example after `ecbpf-loader clean --all`. */
static int follow_maps(struct daemon *d)
{
	struct opener_reply reply;

	if (ask(d, OPENER_STALE, &reply))
		return tool_fail("%s", reply.text);
	if (d->publisher.reader && reply.is_stale) {
		drain(d);
		ecbpf_sampler_close(d->publisher.reader);
		d->publisher.reader = NULL;
	}
	return d->publisher.reader ? TOOL_OK : open_again(d);
}

static int each_second(struct daemon *d)
{
	int err;

	d->publisher.time_offset = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
	notify("WATCHDOG=1");
	err = follow_maps(d);
	if (err)
		return err;
	publisher_refresh(&d->publisher);
	statsd_tell(d);
	return TOOL_OK;
}

static int loop(struct daemon *d)
{
	long long next = 0, now;
	int ret, err = TOOL_OK;

	notify("READY=1");
	while (!stopping && !err) {
		if (reloading) {
			reloading = 0;
			notify(tool_str("RELOADING=1\nMONOTONIC_USEC=%lld",
					now_ns(CLOCK_MONOTONIC) / 1000));
			reload(d);
			notify("READY=1");
		}
		now = now_ns(CLOCK_MONOTONIC);
		if (now >= next) {
			err = each_second(d);
			next = now + NSEC_PER_SEC;
		}
		bus_let_in(&d->publisher.bus);
		if (!d->publisher.reader) {
			nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
			continue;
		}
		ret = ecbpf_sampler_read(d->publisher.reader, POLL_MS, publisher_send,
					 &d->publisher);
		if (ret && ret != -EINTR)
			return tool_fail("cannot read the rings: %s", strerror(-ret));
	}
	notify("STOPPING=1");
	if (d->publisher.reader)
		drain(d);
	statsd_tell(d);
	return err;
}

/* Be two processes, of which this one has no privileges */
static int split(struct daemon *d, const struct passwd **ret_user)
{
	int err = drop_user(ret_user);

	if (!err)
		err = opener_start(d->tool, d->argc, d->argv, d->options.ring_bytes, &d->opener);
	d->publisher.opener = d->opener;
	return err ? err : drop_privileges(*ret_user);
}

static int start(struct daemon *d)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sampler_options options;
	const struct passwd *user;
	struct opener_reply reply;
	int err;

	if (getrandom(&d->publisher.id, sizeof(d->publisher.id), 0) != sizeof(d->publisher.id))
		return tool_fail("getrandom: %s", strerror(errno));
	if (!d->options.host && gethostname(d->publisher.host, sizeof(d->publisher.host) - 1))
		return tool_fail("gethostname: %s", strerror(errno));
	err = split(d, &user);
	if (!err)
		err = opener_options(d->opener, d->tool, d->argc, d->argv, &options);
	if (err)
		return err;
	err = change_settings(d, &options);
	if (err) {
		sampler_options_free(&options);
		return err;
	}
	keep_files(d, true);
	if (open_reader(d, &reply) || ask(d, OPENER_STATUS, &reply))
		return tool_fail("%s", reply.text);
	d->told = reply.status;
	drop_warn(user);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int sampler_run(struct tool *tool, int argc, char **argv)
{
	struct daemon d = {.tool = tool, .argc = argc, .argv = argv, .opener = -1, .statsd = -1};
	int err;

	err = sampler_options_parse(tool, argc, argv, -1, &d.options);
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
	opener_stop(d.opener);
	return err;
}
