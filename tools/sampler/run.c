// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf-sampler run: the daemon. Reads the rings of the kernel and publishes what is in them.
 *
 * One thread and one loop, which nothing outside can stop: sockets drop what they have no room for,
 * and what vanishes (interfaces, chains, maps) is looked for again every second. Counters are in a
 * pinned map (struct ecbpf_sampler_stats), so that they outlive it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf-sampler.h>
#include "tools/common/bus.h"
#include "tools/sampler/sampler.h"
#include "tools/common/statsd.h"
#include "tools/common/packet_sample.pb-c.h"

#define POLL_MS	     20 /* how old a sample may get here */
#define LINGER_MS    1000
#define NSEC_PER_SEC 1000000000LL
#define CHAIN_SIZE   192

enum {
	OPT_BIND = TOOL_LONG_ONLY,
	OPT_CONNECT,
	OPT_KEY,
	OPT_SERVER_KEY,
	OPT_ALLOW,
	OPT_INSECURE,
	OPT_HWM,
	OPT_RING,
	OPT_STATSD,
	OPT_HOST,
};

const struct tool_option sampler_run_options[] = {
	{'f', "file", "FILE",
	 "read these options from a file, too, one a line,\n"
	 "without the dashes; SIGHUP reads it again"},
	{OPT_BIND, "bind", "ENDPOINT",
	 "publish here; several times for several\n"
	 "(default: " BUS_ENDPOINT ")"},
	{OPT_CONNECT, "connect", "ENDPOINT", "publish to one who is bound there"},
	{OPT_KEY, "key", "FILE", "own secret CURVE key, see keygen"},
	{OPT_SERVER_KEY, "server-key", "FILE", "public key of those to connect to"},
	{OPT_ALLOW, "allow", "FILE",
	 "public keys of those who may subscribe\n"
	 "(default: all who know the own public key)"},
	{OPT_INSECURE, "insecure", NULL, "let samples leave the host without a key"},
	{OPT_HWM, "hwm", "N",
	 "queue at most so many samples for a subscriber\n"
	 "(default: 5000)"},
	{OPT_RING, "ring", "KIB", "ring of each CPU, a power of two (default: 512)"},
	{OPT_STATSD, "statsd", "HOST:PORT", "send counters there every second"},
	{OPT_HOST, "host", "NAME", "name in samples (default: the host's)"},
	TOOL_COMMON_OPTIONS,
};

struct options {
	struct bus_options bus;
	struct tool_list texts; /* what the strings point to */
	const char *file;
	const char *statsd;
	const char *host;
	size_t ring_bytes;
};

struct iface {
	unsigned int index;
	char name[IF_NAMESIZE];
	__u32 chain_id;
	char chain[CHAIN_SIZE];
};

struct daemon {
	struct tool *tool;
	int argc;
	char **argv;
	struct options options;
	struct bus bus;
	struct ecbpf_sampler_reader *reader;
	struct iface *ifaces;
	size_t ifaces_count;
	char host[256];
	__u64 publisher;
	__u64 sent[ECBPF_ACTION_MAX];
	long long time_offset; /* from CLOCK_MONOTONIC to 1970 */
	int statsd;
	struct ecbpf_sampler_status told; /* what statsd was told */
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

/* --- options -------------------------------------------------------------------------------- */

static void options_free(struct options *o)
{
	tool_list_free(&o->bus.bind);
	tool_list_free(&o->bus.connect);
	tool_list_free(&o->texts);
}

static const char *keep(struct options *o, const char *text)
{
	tool_list_add(&o->texts, text);
	return o->texts.items[o->texts.count - 1];
}

static int option_apply(struct options *o, int id, const char *arg)
{
	__u64 value;

	switch (id) {
	case 'f':
		o->file = keep(o, arg);
		return 0;
	case OPT_BIND:
		tool_list_add(&o->bus.bind, arg);
		return 0;
	case OPT_CONNECT:
		tool_list_add(&o->bus.connect, arg);
		return 0;
	case OPT_KEY:
		o->bus.key = keep(o, arg);
		return 0;
	case OPT_SERVER_KEY:
		o->bus.server_key = keep(o, arg);
		return 0;
	case OPT_ALLOW:
		o->bus.allow = keep(o, arg);
		return 0;
	case OPT_INSECURE:
		o->bus.insecure = true;
		return 0;
	case OPT_HWM:
		if (tool_parse_number("--hwm", arg, 1, 10000000, &value))
			return TOOL_USAGE;
		o->bus.hwm = value;
		return 0;
	case OPT_RING:
		if (tool_parse_number("--ring", arg, 4, 1 << 20, &value))
			return TOOL_USAGE;
		if (value & (value - 1))
			return tool_usage("--ring: '%s' is not a power of two", arg);
		o->ring_bytes = value << 10;
		return 0;
	case OPT_STATSD:
		o->statsd = keep(o, arg);
		return 0;
	case OPT_HOST:
		o->host = keep(o, arg);
		return 0;
	}
	return TOOL_USAGE; /* told already */
}

/* "NAME [ARGUMENT]" of the options file */
static int line_apply(struct options *o, const char *file, int number, char *line)
{
	const struct tool_option *option = sampler_run_options;
	char *arg = line + strcspn(line, " \t");

	if (*arg) {
		*arg++ = '\0';
		arg += strspn(arg, " \t");
	}
	while (option->name && strcmp(option->name, line))
		option++;
	if (!option->name || option->id == 'f' || option->id < OPT_BIND)
		return tool_usage("%s:%d: '%s' is not an option for a file", file, number, line);
	if (option->arg ? !*arg : *arg)
		return tool_usage("%s:%d: %s %s", file, number, line,
				  option->arg ? "needs an argument" : "takes no argument");
	return option_apply(o, option->id, arg);
}

static int file_apply(struct options *o, const char *path)
{
	int number = 0, err = 0;
	char line[1024];
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return tool_fail("%s: %s", path, strerror(errno));
	while (!err && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\r\n");

		number++;
		if (!line[len] && !feof(file)) {
			err = tool_usage("%s:%d: line too long", path, number);
			break;
		}
		while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
			len--;
		line[len] = '\0';
		if (*line && *line != '#')
			err = line_apply(o, path, number, line);
	}
	fclose(file);
	return err;
}

static int options_parse(struct daemon *d, struct options *ret)
{
	struct options o = {.bus.hwm = 5000, .ring_bytes = 512 << 10};
	int id, err = 0;

	optind = 0; /* SIGHUP: all over again */
	while (!err && (id = tool_getopt(d->tool, d->argc, d->argv)) != -1)
		err = option_apply(&o, id, optarg);
	if (!err && optind < d->argc)
		err = tool_usage("'%s': takes options only", d->argv[optind]);
	if (!err && o.file)
		err = file_apply(&o, o.file);
	if (!err && !o.bus.bind.count && !o.bus.connect.count)
		tool_list_add(&o.bus.bind, BUS_ENDPOINT);
	if (err)
		options_free(&o);
	else
		*ret = o;
	return err;
}

/* --- who is told about us ------------------------------------------------------------------- */

/* sd_notify(3), of which this is all that is wanted here; but it never waits for who is told */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return;
	strcpy(addr.sun_path, path);
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&addr,
	       offsetof(struct sockaddr_un, sun_path) + strlen(path));
	close(fd);
}

/* What came since the last time; if it cannot be sent, it goes with the next */
static void statsd_tell(struct daemon *d)
{
	struct ecbpf_sampler_status now, *old = &d->told;
	char text[512];
	int len;

	if (d->statsd < 0 || !d->reader || ecbpf_sampler_reader_status(d->reader, &now))
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

/* --- publishing ----------------------------------------------------------------------------- */

static void iface_read(struct daemon *d, struct iface *iface)
{
	char name[IF_NAMESIZE];
	__u32 id;

	if (if_indextoname(iface->index, name))
		memcpy(iface->name, name, sizeof(name));
	if (!ecbpf_sampler_chain(d->tool->ecbpf, iface->index, iface->chain_id, &id, iface->chain,
				 sizeof(iface->chain)))
		iface->chain_id = id;
}

/* Interfaces are few; one that has vanished goes when its last samples have been read */
static const struct iface *iface_find(struct daemon *d, unsigned int index)
{
	struct iface *iface;

	for (size_t i = 0; i < d->ifaces_count; i++)
		if (d->ifaces[i].index == index)
			return &d->ifaces[i];
	d->ifaces = tool_alloc(d->ifaces, (d->ifaces_count + 1) * sizeof(*d->ifaces));
	iface = &d->ifaces[d->ifaces_count++];
	*iface = (struct iface){.index = index};
	iface_read(d, iface);
	return iface;
}

static void ifaces_refresh(struct daemon *d)
{
	char name[IF_NAMESIZE];
	size_t kept = 0;

	for (size_t i = 0; i < d->ifaces_count; i++) {
		if (!if_indextoname(d->ifaces[i].index, name))
			continue;
		d->ifaces[kept] = d->ifaces[i];
		iface_read(d, &d->ifaces[kept++]);
	}
	d->ifaces_count = kept;
}

static void fill_record(const struct ecbpf_record *from, Ecbpf__Record *to, uint32_t *tci)
{
	for (int i = 0; i < ECBPF_VLAN_MAX; i++)
		tci[i] = from->vlan_tci[i];
	to->vlan_tci = tci;
	to->n_vlan_tci = from->vlan_count <= ECBPF_VLAN_MAX ? from->vlan_count : 0;
	to->l3_len = from->l3_len;
	to->l3_off = from->l3_off;
	to->l4_off = from->l4_off;
	to->frag_off = from->frag_off;
	to->ethertype = ntohs(from->ethertype);
	to->ext_count = from->ext_count;
	to->sport = ntohs(from->sport);
	to->dport = ntohs(from->dport);
	to->ip_version = from->version;
	to->proto = from->proto;
	to->frag = from->frag;
	to->malformed = from->reason;
	to->flags = from->flags;
	to->tcp_flags = from->tcp_flags;
	to->icmp_type = from->icmp_type;
	to->icmp_code = from->icmp_code;
}

/* protobuf-c has no const in its structs, and does not write through them */
static char *text(const char *string)
{
	return (char *)(string ? string : "");
}

/*
 * The topic goes first. A subscriber whose queue is full is left out, silently: libzmq tells only
 * if it is asked to refuse the message to all, which is done for the attempt.
 */
static int send_topic(struct daemon *d, const char *topic)
{
	int refuse = 1, err;

	zmq_setsockopt(d->bus.socket, ZMQ_XPUB_NODROP, &refuse, sizeof(refuse));
	err = zmq_send(d->bus.socket, topic, strlen(topic), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ? errno
											    : 0;
	refuse = 0;
	zmq_setsockopt(d->bus.socket, ZMQ_XPUB_NODROP, &refuse, sizeof(refuse));
	if (err != EAGAIN)
		return -err;
	ecbpf_sampler_stats(d->reader)->queue_full++;
	return zmq_send(d->bus.socket, topic, strlen(topic), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0
		       ? -errno
		       : 0;
}

static int publish_message(struct daemon *d, const char *topic, const Ecbpf__PacketSample *sample)
{
	size_t size = ecbpf__packet_sample__get_packed_size(sample);
	zmq_msg_t message;
	int err;

	if (zmq_msg_init_size(&message, size))
		return -errno;
	ecbpf__packet_sample__pack(sample, zmq_msg_data(&message));
	err = send_topic(d, topic);
	if (!err && zmq_msg_send(&message, d->bus.socket, ZMQ_DONTWAIT) < 0) {
		err = -errno;
		/* ends what the topic has begun, or the next one would become part of it */
		zmq_send(d->bus.socket, "", 0, ZMQ_DONTWAIT);
	}
	zmq_msg_close(&message);
	return err ? err : (int)size;
}

static int publish(void *data, int cpu, const struct ecbpf_sample *s, const void *packet)
{
	__u32 action = s->action < ECBPF_ACTION_INVALID ? s->action : ECBPF_ACTION_INVALID;
	Ecbpf__PacketSample sample = ECBPF__PACKET_SAMPLE__INIT;
	Ecbpf__Record record = ECBPF__RECORD__INIT;
	uint32_t tci[ECBPF_VLAN_MAX];
	struct daemon *d = data;
	const struct iface *iface = iface_find(d, s->ifindex);

	fill_record(&s->record, &record, tci);
	sample.version = BUS_VERSION;
	sample.host = d->host;
	sample.publisher = d->publisher;
	sample.bus_seq = d->sent[action]++;
	sample.interface = text(iface->name);
	sample.ifindex = s->ifindex;
	sample.queue = s->queue;
	sample.cpu = cpu;
	sample.time_ns = s->time_ns + d->time_offset;
	sample.kernel_time_ns = s->time_ns;
	sample.rate = s->rate;
	sample.seq = s->seq;
	sample.lost = s->lost;
	sample.action = s->action;
	sample.program = s->stage;
	sample.program_name = text(ecbpf_stage_name(s->stage));
	sample.reason = s->reason;
	sample.reason_name = text(s->reason ? ecbpf_reason_name(s->reason) : NULL);
	sample.rule = s->rule;
	sample.chain_id = iface->chain_id;
	sample.chain = text(iface->chain);
	sample.length = s->record.frame_len;
	sample.packet = (ProtobufCBinaryData){.len = s->cap_len, .data = (void *)packet};
	sample.record = &record;
	return publish_message(d, ecbpf_action_name(action), &sample);
}

/* --- the loop ------------------------------------------------------------------------------- */

/* New options, if all of them are good; else all is as it was */
static void reload(struct daemon *d)
{
	struct options options;
	struct bus bus;
	int statsd;

	notify(tool_str("RELOADING=1\nMONOTONIC_USEC=%lld", now_ns(CLOCK_MONOTONIC) / 1000));
	if (options_parse(d, &options)) {
		tool_warn("SIGHUP: goes on as before");
		notify("READY=1");
		return;
	}
	/* endpoints are free again when they are closed */
	bus_close(&d->bus, LINGER_MS);
	if (!statsd_open(options.statsd, &statsd)) {
		if (!bus_open(&bus, ZMQ_PUB, &options.bus)) {
			if (d->statsd >= 0)
				close(d->statsd);
			d->bus = bus;
			d->statsd = statsd;
			if (options.host)
				snprintf(d->host, sizeof(d->host), "%s", options.host);
			options_free(&d->options);
			d->options = options;
			tool_warn("SIGHUP: settings read");
			notify("READY=1");
			return;
		}
		if (statsd >= 0)
			close(statsd);
	}
	options_free(&options);
	if (bus_open(&d->bus, ZMQ_PUB, &d->options.bus))
		tool_warn("SIGHUP: nothing is published until the next one that works");
	else
		tool_warn("SIGHUP: goes on as before");
	notify("READY=1");
}

static void open_again(struct daemon *d)
{
	if (!ecbpf_sampler_open(d->tool->ecbpf, d->options.ring_bytes, &d->reader)) {
		memset(&d->told, 0, sizeof(d->told));
		d->is_retrying = false;
		tool_warn("the sampler's maps have been made anew");
	} else if (!d->is_retrying) {
		d->is_retrying = true;
		tool_warn("%s; goes on trying", ecbpf_error(d->tool->ecbpf));
	}
}

/* Maps may be removed and made anew, by `ecbpf-loader clean` for one */
static void follow_maps(struct daemon *d)
{
	if (d->reader && ecbpf_sampler_is_stale(d->reader)) {
		ecbpf_sampler_drain(d->reader, publish, d);
		ecbpf_sampler_close(d->reader);
		d->reader = NULL;
	}
	if (!d->reader)
		open_again(d);
}

static void each_second(struct daemon *d)
{
	d->time_offset = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
	notify("WATCHDOG=1");
	follow_maps(d);
	ifaces_refresh(d);
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
			reload(d);
		}
		now = now_ns(CLOCK_MONOTONIC);
		if (now >= next) {
			each_second(d);
			next = now + NSEC_PER_SEC;
		}
		bus_let_in(&d->bus);
		if (!d->reader) {
			nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
			continue;
		}
		err = ecbpf_sampler_read(d->reader, POLL_MS, publish, d);
		if (err && err != -EINTR)
			return tool_fail("cannot read the rings: %s", strerror(-err));
	}
	notify("STOPPING=1");
	if (d->reader)
		ecbpf_sampler_drain(d->reader, publish, d);
	statsd_tell(d);
	return TOOL_OK;
}

static int start(struct daemon *d)
{
	struct sigaction action = {.sa_handler = on_signal};
	int err;

	if (getrandom(&d->publisher, sizeof(d->publisher), 0) != sizeof(d->publisher))
		return tool_fail("getrandom: %s", strerror(errno));
	if (d->options.host)
		snprintf(d->host, sizeof(d->host), "%s", d->options.host);
	else if (gethostname(d->host, sizeof(d->host) - 1))
		return tool_fail("gethostname: %s", strerror(errno));
	err = statsd_open(d->options.statsd, &d->statsd);
	if (!err)
		err = bus_open(&d->bus, ZMQ_PUB, &d->options.bus);
	if (err)
		return err;
	if (ecbpf_sampler_open(d->tool->ecbpf, d->options.ring_bytes, &d->reader))
		return tool_fail_ecbpf(d->tool);
	if (ecbpf_sampler_reader_status(d->reader, &d->told))
		return tool_fail_ecbpf(d->tool);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int sampler_run(struct tool *tool, int argc, char **argv)
{
	struct daemon d = {.tool = tool, .argc = argc, .argv = argv, .statsd = -1};
	int err;

	err = options_parse(&d, &d.options);
	if (err)
		return err;
	err = start(&d);
	if (!err)
		err = loop(&d);
	bus_close(&d.bus, LINGER_MS);
	if (d.statsd >= 0)
		close(d.statsd);
	ecbpf_sampler_close(d.reader);
	free(d.ifaces);
	options_free(&d.options);
	return err;
}
