// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Flows through a director, and what becomes of them. Shares nothing with ecbpf: a second opinion
 * on headers and checksums.
 *
 *	flows send IFACE SENT DEST SEED FLOWS PACKETS PROTOS VIP4 VIP6 WAY [TAG]
 *
 * Packets of FLOWS connections of each of the PROTOS (tcp,udp) and each version, side by side, to
 * the Ethernet address DEST, with a VLAN tag; what was sent is written to the file SENT. Never more
 * than some are on their way, by the packets that have left by the interfaces WAY (one,two), so
 * that no queue overflows. $ECBPF_LONGEST: bytes of payload (1400).
 *
 *	flows capture IFACE FILE
 *
 * All IP packets that come in, until SIGTERM; exit 1 if it was too slow for some.
 *
 *	flows compare SENT SOURCE CONNECTIONS NAME=MAC=ADDRESS4=ADDRESS6=FILE...
 *
 * Each packet sent has arrived once, at the server that CONNECTIONS (/proc/net/ip_vs_conn) says
 * (-: nobody says), from the Ethernet address SOURCE, with one less TTL and all else as it was.
 *
 *	flows live IFACE DEST VIP4 FIRST FLOWS RATE [TURN]
 *
 * Begin FLOWS connections, of ports from FIRST on, and print "ready"; then send packets of them in
 * turn, RATE a second, each with its number and the time it is sent at, until SIGTERM; print how
 * many. TURN of them (all) take turns for ten packets each, then the next ones.
 *
 *	flows stamps IFACE FILE
 *
 * These packets, as they come in, until SIGTERM: a line of port, number, time sent for each.
 *
 *	flows late NANOSECONDS FILE
 *
 * Of the packets sent after this time (CLOCK_MONOTONIC), how many have arrived here, and how much
 * later the last of them was sent, in ms: "3 97.1"; "0 0.0" if there are none.
 *
 *	flows seen NANOSECONDS FILE
 *
 * How many flows' packets that were sent after this time have arrived here.
 *
 *	flows clock
 *
 * CLOCK_MONOTONIC, in nanoseconds.
 *
 *	flows storm IFACE DEST VIP4 PORT RATE SECONDS syn|ack
 *
 * SYNs or ACKs of connections that nobody has begun, from 198.18.0.0/15; prints how many.
 *
 *	flows accept PORT
 *	flows connect ADDRESS PORT SECONDS RATE
 *
 * Connections to PORT are answered by one byte, and closed. Begin RATE of these a second (0: as
 * many as there can be), and print how many were begun and how many succeeded, each within 20 s.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "program.h"

#define FRAME_MAX   9100
#define WINDOW	    48	 /* a veth's ring is short, and so is the queue of a CPU */
#define SLICE	    1000 /* flows at a time: the next packet is to come before its lease is over */
#define TURN_ROUNDS 10
#define STUCK_NS    (3 * SECOND)
#define SECOND	    UINT64_C(1000000000)
#define TCP_FIN	    0x01
#define TCP_SYN	    0x02
#define TCP_PSH	    0x08
#define TCP_ACK	    0x10
#define STAMP_MAGIC 0x65636670
#define CONNECTIONS 64
#define CONNECT_NS  (20 * SECOND) /* five SYNs */
#define PORT_FIRST  10000
#define CLIENT4	    "198.51.100.77"
#define CLIENT6	    "2001:db8:1::77"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec time = {.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};

	nanosleep(&time, NULL);
}

static FILE *open_file(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file)
		die(path);
	return file;
}

static void close_file(FILE *file, const char *path)
{
	if (ferror(file) | fclose(file))
		die(path);
}

/* --- packets ------------------------------------------------------------------------------ */

struct bytes {
	size_t len;
	uint8_t data[FRAME_MAX];
};

static uint64_t random_state;

static uint64_t random_next(void) /* splitmix64 */
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void put16(struct bytes *b, uint16_t value)
{
	b->data[b->len++] = value >> 8;
	b->data[b->len++] = value;
}

static void put32(struct bytes *b, uint32_t value)
{
	put16(b, value >> 16);
	put16(b, value);
}

static void put(struct bytes *b, const void *data, size_t len)
{
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static uint32_t get16(const uint8_t *data)
{
	return data[0] << 8 | data[1];
}

static uint64_t sum16(const uint8_t *data, size_t len)
{
	uint64_t sum = len % 2 ? data[len - 1] << 8 : 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(data + i);
	return sum;
}

/* RFC 1071 */
static uint16_t checksum(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void set16(uint8_t *data, uint16_t value)
{
	data[0] = value >> 8;
	data[1] = value;
}

struct endpoints {
	int version;
	uint8_t source[16], dest[16];
};

static size_t addr_len(int version)
{
	return version == 4 ? 4 : 16;
}

static void endpoints_set(struct endpoints *e, int version, const char *vip)
{
	int family = version == 4 ? AF_INET : AF_INET6;

	e->version = version;
	if (inet_pton(family, version == 4 ? CLIENT4 : CLIENT6, e->source) != 1 ||
	    inet_pton(family, vip, e->dest) != 1) {
		errno = EINVAL;
		die(vip);
	}
}

/* An IP header; the payload is to follow */
static void put_ip(struct bytes *b, const struct endpoints *e, uint8_t proto, size_t len,
		   uint8_t ttl, uint8_t tos, uint16_t id)
{
	uint8_t *head = b->data + b->len;

	if (e->version == 6) {
		put32(b, 6U << 28 | tos << 20 | id);
		put16(b, len);
		put16(b, proto << 8 | ttl);
	} else {
		put16(b, 0x4500 | tos);
		put16(b, 20 + len);
		put16(b, id);
		put16(b, 0x4000);
		put16(b, ttl << 8 | proto);
		put16(b, 0);
	}
	put(b, e->source, addr_len(e->version));
	put(b, e->dest, addr_len(e->version));
	if (e->version == 4)
		set16(head + 10, checksum(sum16(head, 20)));
}

static void set_l4_checksum(const struct endpoints *e, uint8_t proto, uint8_t *l4, size_t len)
{
	uint64_t sum = sum16(e->source, addr_len(e->version)) +
		       sum16(e->dest, addr_len(e->version)) + proto + len;
	uint16_t value = checksum(sum + sum16(l4, len));

	set16(l4 + (proto == IPPROTO_TCP ? 16 : 6),
	      proto == IPPROTO_UDP && !value ? 0xffff : value);
}

static void put_tcp(struct bytes *b, uint16_t source, uint16_t dest, uint32_t seq, uint8_t flags,
		    uint16_t window)
{
	put16(b, source);
	put16(b, dest);
	put32(b, seq);
	put32(b, 1);
	put16(b, 0x5000 | flags);
	put16(b, window);
	put32(b, 0);
}

/* --- interfaces --------------------------------------------------------------------------- */

static int open_packets(const char *iface, int protocol)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = if_nametoindex(iface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), room = 512 << 20;

	/* before anything comes in: this may be the moment in which another process has its turn */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fd < 0 || !addr.sll_ifindex || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(iface);
	return fd;
}

static void put_eth(struct bytes *b, int fd, const char *dest)
{
	struct sockaddr_ll addr;
	socklen_t size = sizeof(addr);
	unsigned int mac[6];

	if (sscanf(dest, "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) !=
	    6) {
		errno = EINVAL;
		die(dest);
	}
	for (int i = 0; i < 6; i++)
		b->data[b->len++] = mac[i];
	if (getsockname(fd, (struct sockaddr *)&addr, &size))
		die("getsockname");
	put(b, addr.sll_addr, 6);
}

/* As soon as there is room */
static void send_packet(int fd, const struct bytes *b)
{
	while (send(fd, b->data, b->len, 0) < 0) {
		if (errno != ENOBUFS && errno != EINTR)
			die("send");
		sleep_ns(SECOND / 1000);
	}
}

/* Packets that have left by the interfaces @names, one,two, or were lost there */
static uint64_t packets_left(const char *names)
{
	char line[512], name[IFNAMSIZ + 1];
	unsigned long long tx, lost, sum = 0;
	FILE *file = open_file("/proc/self/net/dev", "r");

	while (fgets(line, sizeof(line), file)) {
		const char *at;

		if (sscanf(line, " %16[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu %*u %llu",
			   name, &tx, &lost) != 3)
			continue;
		at = strstr(names, name);
		if (at && (at == names || at[-1] == ',') && strchr(",", at[strlen(name)]))
			sum += tx + lost;
	}
	fclose(file);
	return sum;
}

struct window {
	const char *names;
	uint64_t sent, offset; /* sent + offset is what has left, once all has arrived */
};

/* Until there is room for another packet. What gets lost is waited for once */
static void window_wait(struct window *w, uint64_t room)
{
	uint64_t start = now_ns(), left;

	for (;;) {
		left = packets_left(w->names);
		if (w->sent + w->offset <= left + room)
			return;
		if (now_ns() - start > STUCK_NS) {
			w->offset = left - w->sent;
			return;
		}
		sleep_ns(SECOND / 10000);
	}
}

/* --- send --------------------------------------------------------------------------------- */

struct stream {
	const struct endpoints *ends;
	uint8_t proto;
	uint16_t port;
	uint32_t seq;
};

static size_t random_size(size_t longest)
{
	switch (random_next() % 5) {
	case 0:
	case 1:
		return 0;
	case 2:
		return 1;
	case 3:
		return random_next() % longest;
	default:
		return longest;
	}
}

/* Packet @i of @count + 3 of a connection: SYN, ACK, data, FIN */
static void put_packet(struct bytes *b, struct stream *s, unsigned int i, unsigned int count,
		       size_t longest)
{
	bool is_data = i > 1 && i < count + 2, is_udp = s->proto == IPPROTO_UDP;
	uint8_t flags = !i		    ? TCP_SYN
			: i == 1	    ? TCP_ACK
			: !is_data	    ? TCP_FIN | TCP_ACK
			: random_next() % 2 ? TCP_ACK | TCP_PSH
					    : TCP_ACK;
	size_t size = is_data ? random_size(longest) : 0, head = is_udp ? 8 : 20;
	uint64_t r = random_next();
	uint8_t *l4;

	if (is_udp && size < 12)
		size = 12; /* for two packets to differ */
	put_ip(b, s->ends, s->proto, head + size, 2 + (r & 0xff) % 254, r >> 8 & 0xfc, r >> 16);
	l4 = b->data + b->len;
	if (is_udp) {
		put16(b, s->port);
		put16(b, 80);
		put16(b, head + size);
		put16(b, 0);
	} else {
		put_tcp(b, s->port, 80, s->seq, flags, 1 + (r >> 32) % 65535);
		s->seq += size + (flags == TCP_SYN);
	}
	while (size) {
		uint64_t data = random_next();
		size_t len = size < sizeof(data) ? size : sizeof(data);

		put(b, &data, len);
		size -= len;
	}
	set_l4_checksum(s->ends, s->proto, l4, b->data + b->len - l4);
}

static void write_hex(FILE *file, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * FRAME_MAX + 1], *at = text;

	for (size_t i = 0; i < len; i++) {
		*at++ = digits[data[i] >> 4];
		*at++ = digits[data[i] & 15];
	}
	*at++ = '\n';
	fwrite(text, 1, at - text, file);
}

struct sender {
	int fd;
	FILE *file;
	struct window window;
	struct bytes frame;
	size_t eth_len; /* of its Ethernet header, without the type */
	unsigned int count;
	size_t longest;
};

/* Packet @i of each of these, and wait until all have left */
static void send_round(struct sender *s, struct stream *streams, unsigned int count, unsigned int i)
{
	struct bytes *b = &s->frame;

	for (unsigned int j = 0; j < count; j++) {
		b->len = s->eth_len;
		put16(b, streams[j].ends->version == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
		put_packet(b, &streams[j], i, s->count, s->longest);
		write_hex(s->file, b->data + s->eth_len + 2, b->len - s->eth_len - 2);
		send_packet(s->fd, b);
		if (++s->window.sent % (WINDOW / 4) == 0)
			window_wait(&s->window, WINDOW * 3 / 4);
	}
	window_wait(&s->window, 0);
	sleep_ns(SECOND / 20); /* as a client waits for the server */
}

static int run_send(char **args)
{
	const char *protos = args[6], *longest = getenv("ECBPF_LONGEST"), *tag = args[10];
	unsigned int flows = atoi(args[4]), total = 0;
	static struct sender s;
	struct endpoints ends[2];
	struct stream *streams;

	random_state = strtoull(args[3], NULL, 0);
	endpoints_set(&ends[0], 4, args[7]);
	endpoints_set(&ends[1], 6, args[8]);
	streams = calloc(4 * flows, sizeof(*streams));
	if (!streams)
		die("flows");
	for (unsigned int i = 0; i < 4 * flows; i++) {
		uint8_t proto = i & 1 ? IPPROTO_UDP : IPPROTO_TCP;

		if (strstr(protos, proto == IPPROTO_UDP ? "udp" : "tcp"))
			streams[total++] = (struct stream){
				.ends = &ends[i >> 1 & 1],
				.proto = proto,
				.port = PORT_FIRST + i / 4,
				.seq = random_next(),
			};
	}
	s.fd = open_packets(args[0], 0);
	s.file = open_file(args[1], "w");
	s.count = atoi(args[5]);
	s.longest = longest ? atoi(longest) : 1400;
	put_eth(&s.frame, s.fd, args[2]);
	if (tag) {
		put16(&s.frame, ETHERTYPE_VLAN);
		put16(&s.frame, atoi(tag));
	}
	s.eth_len = s.frame.len;
	s.window.names = args[9];
	s.window.offset = packets_left(args[9]);
	for (unsigned int first = 0; first < total; first += SLICE)
		for (unsigned int i = 0; i < s.count + 3; i++)
			send_round(&s, streams + first,
				   total - first < SLICE ? total - first : SLICE, i);
	free(streams);
	close_file(s.file, args[1]);
	return 0;
}

/* --- capture ------------------------------------------------------------------------------ */

/*
 * All that comes in by @iface to @take, until SIGTERM, and then until nothing has come for 100 ms,
 * as what was sent may wait for a CPU still; after a second, until nothing is there. Return: 1 if
 * some got lost here
 */
static int receive(const char *iface, void (*take)(FILE *, const uint8_t *, size_t),
		   const char *path)
{
	struct timeval timeout = {.tv_usec = 100000};
	int fd = open_packets(iface, ETH_P_ALL);
	FILE *file = open_file(path, "w");
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);
	uint8_t frame[FRAME_MAX];
	uint64_t since = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct sockaddr_ll from;
		socklen_t from_size = sizeof(from);
		uint64_t over = is_over ? now_ns() : 0;
		int flags = over && since && over > since + SECOND ? MSG_DONTWAIT : 0;
		ssize_t len = recvfrom(fd, frame, sizeof(frame), flags, (struct sockaddr *)&from,
				       &from_size);

		if (len < 0 && errno == EAGAIN && over)
			break;
		since = since ? since : over;
		if (len < 0 && errno != EAGAIN && errno != EINTR)
			die("receive");
		if (len > ETH_HLEN && from.sll_pkttype != PACKET_OUTGOING)
			take(file, frame, len);
	}
	close_file(file, path);
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		die("statistics");
	if (stats.tp_drops)
		fprintf(stderr, "flows: %s: too slow for %u packets\n", iface, stats.tp_drops);
	return stats.tp_drops != 0;
}

static void take_ip(FILE *file, const uint8_t *frame, size_t len)
{
	uint32_t type = get16(frame + 12);

	if (type == ETHERTYPE_IP || type == ETHERTYPE_IPV6)
		write_hex(file, frame, len);
}

/* --- compare ------------------------------------------------------------------------------ */

/* What it is about is known by a hash: two of a million that have the same are no concern */
static uint64_t hash_add(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 29;
}

struct entry {
	uint64_t hash; /* 0: nothing */
	uint64_t value;
	uint32_t due, arrived;
};

struct table {
	struct entry *entries;
	size_t count, room; /* a power of two */
};

static struct entry *table_at(const struct table *t, uint64_t hash)
{
	size_t i = hash * UINT64_C(0x9e3779b97f4a7c15) >> 20;

	hash = hash ? hash : 1;
	while (t->entries[i & (t->room - 1)].hash && t->entries[i & (t->room - 1)].hash != hash)
		i++;
	return &t->entries[i & (t->room - 1)];
}

/* The entry of @hash, which is made if there is none */
static struct entry *table_add(struct table *t, uint64_t hash)
{
	struct entry *entry;

	if (2 * t->count >= t->room) {
		struct table old = *t;

		t->room = old.room ? 2 * old.room : 1024;
		t->entries = calloc(t->room, sizeof(*t->entries));
		if (!t->entries)
			die("table");
		for (size_t i = 0; i < old.room; i++)
			if (old.entries[i].hash)
				*table_at(t, old.entries[i].hash) = old.entries[i];
		free(old.entries);
	}
	entry = table_at(t, hash);
	if (!entry->hash) {
		t->count++;
		entry->hash = hash ? hash : 1;
	}
	return entry;
}

/* The next line of @file. Return: false if there is none */
static bool read_hex(FILE *file, struct bytes *b)
{
	static char line[2 * FRAME_MAX + 2];
	unsigned int value;

	if (!fgets(line, sizeof(line), file))
		return false;
	for (b->len = 0; line[2 * b->len] > ' '; b->len++) {
		const char *at = line + 2 * b->len;

		value = (at[0] & 15) + (at[0] >> 6) * 9;
		b->data[b->len] = value << 4 | ((at[1] & 15) + (at[1] >> 6) * 9);
	}
	return true;
}

static uint64_t flow_hash(uint8_t proto, const uint8_t *source, const uint8_t *dest, size_t len,
			  uint16_t sport, uint16_t dport)
{
	uint64_t hash = hash_add(proto, source, len);

	hash = hash_add(hash, dest, len);
	hash = hash_add(hash, &sport, sizeof(sport));
	return hash_add(hash, &dport, sizeof(dport));
}

/* Return: 0 if it is of none */
static uint64_t flow_of(const uint8_t *packet, size_t len)
{
	bool is4 = packet[0] >> 4 == 4;
	size_t head = is4 ? 20 : 40;
	const uint8_t *source = packet + (is4 ? 12 : 8);
	uint8_t proto = packet[is4 ? 9 : 6];

	if (len < head + 8 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return 0;
	return flow_hash(proto, source, source + addr_len(is4 ? 4 : 6), addr_len(is4 ? 4 : 6),
			 get16(packet + head), get16(packet + head + 2));
}

/* What leaves, of what came in */
static void forwarded(uint8_t *packet)
{
	if (packet[0] >> 4 == 6) {
		packet[7]--;
		return;
	}
	packet[8]--;
	set16(packet + 10, 0);
	set16(packet + 10, checksum(sum16(packet, 20)));
}

/* As in /proc/net/ip_vs_conn. Return: its length */
static size_t parse_address(const char *text, uint8_t *addr)
{
	if (strlen(text) == 8) {
		uint32_t word = htonl(strtoul(text, NULL, 16));

		memcpy(addr, &word, sizeof(word));
		return sizeof(word);
	}
	if (inet_pton(AF_INET6, text, addr) != 1 && inet_pton(AF_INET, text, addr) != 1) {
		errno = EINVAL;
		die(text);
	}
	return strchr(text, ':') ? 16 : 4;
}

/* Each flow's server, as the hash of its address */
static void connections_read(struct table *t, const char *path)
{
	FILE *file = open_file(path, "r");
	char line[512], proto[8], addr[3][64];
	unsigned int sport, dport;
	uint8_t ip[3][16];
	size_t len;

	if (!fgets(line, sizeof(line), file)) /* the heading */
		die(path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%7s %63s %x %63s %x %63s", proto, addr[0], &sport, addr[1],
			   &dport, addr[2]) != 6) {
			errno = EINVAL;
			die(line);
		}
		for (int i = 0; i < 3; i++)
			len = parse_address(addr[i], ip[i]);
		table_add(t, flow_hash(strcmp(proto, "TCP") ? IPPROTO_UDP : IPPROTO_TCP, ip[0],
				       ip[1], len, sport, dport))
			->value = hash_add(0, ip[2], len);
	}
	fclose(file);
}

struct comparison {
	struct table flows, packets;
	const char *source;
	bool has_servers; /* IPVS says where each flow is */
	uint64_t addresses, changed, misdirected, total;
};

static void sent_read(struct comparison *c, const char *path)
{
	FILE *file = open_file(path, "r");
	static struct bytes b;
	struct entry *entry;

	while (read_hex(file, &b)) {
		table_add(&c->flows, flow_of(b.data, b.len))->due = 1;
		forwarded(b.data);
		entry = table_add(&c->packets, hash_add(0, b.data, b.len));
		entry->due++;
		entry->value = ++c->total; /* its number */
	}
	fclose(file);
}

static void parse_mac(const char *text, uint8_t *mac)
{
	for (int i = 0; i < 6; i++)
		mac[i] = strtoul(text + 3 * i, NULL, 16);
}

/* What has arrived at a server: NAME=MAC=ADDRESS4=ADDRESS6=FILE */
static void server_read(struct comparison *c, char *arg)
{
	const char *name = strsep(&arg, "="), *mac = strsep(&arg, "=");
	const char *addr4 = strsep(&arg, "="), *addr6 = strsep(&arg, "=");
	uint64_t here[2], misdirected = 0;
	uint8_t eth[12], addr[16] = {};
	static struct bytes b;
	size_t len;
	FILE *file;

	if (!arg) {
		errno = EINVAL;
		die(name);
	}
	parse_mac(mac, eth);
	parse_mac(c->source, eth + 6);
	len = parse_address(addr4, addr);
	here[0] = hash_add(0, addr, len);
	len = parse_address(addr6, addr);
	here[1] = hash_add(0, addr, len);
	file = open_file(arg, "r");
	while (read_hex(file, &b)) {
		const uint8_t *packet = b.data + ETH_HLEN;
		struct entry *flow, *entry;

		len = b.len - ETH_HLEN;
		flow = table_at(&c->flows, flow_of(packet, len));
		if (!flow->due)
			continue;
		entry = table_add(&c->packets, hash_add(0, packet, len));
		entry->arrived++;
		c->changed += !entry->due;
		c->addresses += memcmp(b.data, eth, sizeof(eth)) != 0;
		misdirected += c->has_servers && flow->value != here[packet[0] >> 4 == 6];
	}
	fclose(file);
	if (misdirected)
		printf("%" PRIu64 " at %s, where IPVS does not say\n", misdirected, name);
	c->misdirected += misdirected;
}

static int run_compare(int count, char **args)
{
	struct comparison c = {.source = args[1], .has_servers = strcmp(args[2], "-")};
	uint64_t lost = 0, first = 0, last = 0, many = 0, flows = 0;

	table_add(&c.packets, 0);
	table_add(&c.flows, 0);
	if (c.has_servers)
		connections_read(&c.flows, args[2]);
	sent_read(&c, args[0]);
	for (int i = 3; i < count; i++)
		server_read(&c, args[i]);
	for (size_t i = 0; i < c.packets.room; i++) {
		const struct entry *e = &c.packets.entries[i];

		if (e->due > e->arrived) {
			lost += e->due - e->arrived;
			first = first && first < e->value ? first : e->value;
			last = last > e->value ? last : e->value;
		} else {
			many += e->arrived - e->due;
		}
	}
	for (size_t i = 0; i < c.flows.room; i++)
		flows += c.flows.entries[i].due;
	if (c.addresses)
		printf("%" PRIu64 " with other Ethernet addresses\n", c.addresses);
	if (c.changed)
		printf("%" PRIu64 " not what IPVS would have sent\n", c.changed);
	if (lost)
		printf("%" PRIu64 " lost, among those sent as number %" PRIu64 " to %" PRIu64 "\n",
		       lost, first, last);
	if (many)
		printf("%" PRIu64 " too many\n", many);
	printf("%" PRIu64 " packets of %" PRIu64 " flows\n", c.total, flows);
	return c.addresses || c.changed || c.misdirected || lost || many || !c.total;
}

/* --- live flows --------------------------------------------------------------------------- */

struct stamp {
	uint32_t magic, number;
	uint64_t time;
} __attribute__((packed));

#define STAMP_AT (14 + 20 + 20) /* behind Ethernet, IPv4 and TCP headers */

struct pace {
	uint64_t start, rate, sent;
};

/* So many a second, or less. To sleep takes longer than to send: some at a time, but not many */
static void pace_wait(struct pace *p)
{
	uint64_t due = p->start + ++p->sent * SECOND / p->rate, now;

	if (p->sent % 16)
		return;
	now = now_ns();
	if (due > now + SECOND / 1000)
		sleep_ns(due - now);
	else if (due + WINDOW * SECOND / p->rate < now) /* late: let it be less, not a burst */
		p->start += now - due;
}

static void put_live(struct bytes *b, const struct endpoints *e, uint16_t port, uint8_t flags,
		     size_t size)
{
	put16(b, ETHERTYPE_IP);
	put_ip(b, e, IPPROTO_TCP, 20 + size, 64, 0, port);
	put_tcp(b, port, 80, 1000, flags, 500);
	memset(b->data + b->len, 0, size);
	b->len += size;
	/* TCP checksums are not looked at on the way */
}

/* Whose turn it is */
static unsigned int live_flow(unsigned int number, unsigned int turn)
{
	return number / (TURN_ROUNDS * turn) * turn + number % turn;
}

static int run_live(char **args)
{
	unsigned int first = atoi(args[3]), flows = atoi(args[4]), number = 0;
	unsigned int turn = atoi(args[6] ? args[6] : args[4]);
	static const uint8_t begin[] = {TCP_SYN, TCP_ACK, TCP_ACK};
	struct pace pace = {.rate = strtoull(args[5], NULL, 0)};
	int fd = open_packets(args[0], 0);
	struct bytes b = {.len = 0};
	struct endpoints ends;

	endpoints_set(&ends, 4, args[2]);
	put_eth(&b, fd, args[1]);
	pace.start = now_ns();
	for (unsigned int i = 0; i < sizeof(begin) * flows; i++) {
		b.len = 12;
		put_live(&b, &ends, first + i % flows, begin[i / flows],
			 i / flows == 2 ? sizeof(struct stamp) : 0);
		send_packet(fd, &b);
		pace_wait(&pace);
	}
	printf("ready\n");
	fflush(stdout);
	for (; !is_over; number++) {
		struct stamp stamp = {.magic = htonl(STAMP_MAGIC), .number = number};

		b.len = 12;
		put_live(&b, &ends, first + live_flow(number, turn) % flows, TCP_ACK,
			 sizeof(stamp));
		stamp.time = now_ns();
		memcpy(b.data + STAMP_AT, &stamp, sizeof(stamp));
		send_packet(fd, &b);
		pace_wait(&pace);
	}
	printf("%u\n", number);
	return 0;
}

static void take_stamp(FILE *file, const uint8_t *frame, size_t len)
{
	struct stamp stamp;

	if (len < STAMP_AT + sizeof(stamp))
		return;
	memcpy(&stamp, frame + STAMP_AT, sizeof(stamp));
	if (stamp.magic == htonl(STAMP_MAGIC))
		fprintf(file, "%u %u %" PRIu64 "\n", get16(frame + 34), stamp.number, stamp.time);
}

static int run_stamps(const char *verb, const char *since_text, const char *path)
{
	uint64_t since = strtoull(since_text, NULL, 0), stamp, last = 0;
	FILE *file = open_file(path, "r");
	unsigned int port, count = 0, flows = 0;
	static bool seen[UINT16_MAX + 1];

	while (fscanf(file, "%u %*u %" SCNu64, &port, &stamp) == 2) {
		if (stamp <= since)
			continue;
		count++;
		flows += !seen[port & UINT16_MAX];
		seen[port & UINT16_MAX] = true;
		if (stamp - since > last)
			last = stamp - since;
	}
	fclose(file);
	if (!strcmp(verb, "late"))
		printf("%u %.1f\n", count, last / 1e6);
	else
		printf("%u\n", flows);
	return 0;
}

/* One packet from anywhere */
static void send_anyone(int fd, struct bytes *b, struct endpoints *e, uint16_t port, uint8_t flags)
{
	uint64_t r = random_next();
	uint32_t source = htonl(0xc6120000 | (r & 0x1ffff));

	memcpy(e->source, &source, sizeof(source));
	b->len = 12;
	put16(b, ETHERTYPE_IP);
	put_ip(b, e, IPPROTO_TCP, 20, 64, 0, 0);
	put_tcp(b, r >> 20, port, r >> 32, flags, 500);
	set_l4_checksum(e, IPPROTO_TCP, b->data + 34, 20);
	send_packet(fd, b);
}

/* What could not be sent in time is made up for, but never more than WINDOW are on their way */
static int run_storm(char **args)
{
	uint64_t rate = strtoull(args[4], NULL, 0), start = now_ns(), now;
	uint64_t end = start + strtoull(args[5], NULL, 0) * SECOND;
	uint8_t flags = strcmp(args[6], "syn") ? TCP_ACK : TCP_SYN;
	struct window window = {.names = args[0]};
	int fd = open_packets(args[0], 0);
	struct bytes b = {.len = 0};
	struct endpoints ends;

	endpoints_set(&ends, 4, args[2]);
	put_eth(&b, fd, args[1]);
	random_state = start;
	window.offset = packets_left(args[0]);
	while (!is_over && (now = now_ns()) < end) {
		uint64_t due = (now - start) * rate / SECOND;

		if (window.sent >= due) {
			sleep_ns(SECOND / 1000);
			continue;
		}
		for (int i = 0; i < WINDOW / 2 && window.sent < due; i++, window.sent++)
			send_anyone(fd, &b, &ends, atoi(args[3]), flags);
		window_wait(&window, WINDOW / 2);
	}
	printf("%" PRIu64 "\n", window.sent);
	return 0;
}

/* --- new connections ---------------------------------------------------------------------- */

static int run_accept(const char *port)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
	int fd = socket(AF_INET6, SOCK_STREAM, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1024))
		die(port);
	while (!is_over) {
		int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			continue;
		if (send(peer, "+", 1, MSG_NOSIGNAL) == 1)
			shutdown(peer, SHUT_WR);
		close(peer);
	}
	return 0;
}

static int connection_begin(const struct addrinfo *addr)
{
	int fd = socket(addr->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || (connect(fd, addr->ai_addr, addr->ai_addrlen) && errno != EINPROGRESS))
		die("connect");
	return fd;
}

static int run_connect(char **args)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *addr;
	uint64_t start = now_ns(), end = start + strtoull(args[2], NULL, 0) * SECOND, now;
	uint64_t rate = strtoull(args[3], NULL, 0), begun = 0, succeeded = 0;
	uint64_t begun_at[CONNECTIONS] = {0};
	struct pollfd polls[CONNECTIONS];
	unsigned int open = 0;

	if (getaddrinfo(args[0], args[1], &hints, &addr)) {
		errno = EINVAL;
		die(args[0]);
	}
	for (int i = 0; i < CONNECTIONS; i++)
		polls[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	for (now = start; open || now < end; now = now_ns()) {
		for (int i = 0; i < CONNECTIONS; i++) {
			struct pollfd *p = &polls[i];
			char byte;

			if (p->fd >= 0 && (p->revents || now - begun_at[i] > CONNECT_NS)) {
				errno = p->revents ? ECONNABORTED : ETIMEDOUT;
				if (p->revents && recv(p->fd, &byte, 1, 0) == 1)
					succeeded++;
				else
					fprintf(stderr, "flows: connection: %s\n", strerror(errno));
				close(p->fd);
				p->fd = -1;
				open--;
			}
			p->revents = 0;
			if (p->fd < 0 && now < end &&
			    (!rate || begun < (now - start) * rate / SECOND)) {
				p->fd = connection_begin(addr);
				begun_at[i] = now;
				begun++;
				open++;
			}
		}
		if (poll(polls, CONNECTIONS, 10) < 0 && errno != EINTR)
			die("poll");
	}
	freeaddrinfo(addr);
	printf("%" PRIu64 " %" PRIu64 "\n", begun, succeeded);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
	const char *verb = argc > 1 ? argv[1] : "";
	char **args = argv + 2;

	argc -= 2;
	sigaction(SIGTERM, &action, NULL);
	if (!strcmp(verb, "send") && (argc == 10 || argc == 11))
		return run_send(args); /* args[10]: NULL, if there is none */
	if (!strcmp(verb, "capture") && argc == 2)
		return receive(args[0], take_ip, args[1]);
	if (!strcmp(verb, "compare") && argc > 3)
		return run_compare(argc, args);
	if (!strcmp(verb, "live") && (argc == 6 || argc == 7))
		return run_live(args); /* args[6]: NULL, if there is none */
	if (!strcmp(verb, "stamps") && argc == 2)
		return receive(args[0], take_stamp, args[1]);
	if ((!strcmp(verb, "late") || !strcmp(verb, "seen")) && argc == 2)
		return run_stamps(verb, args[0], args[1]);
	if (!strcmp(verb, "clock") && !argc)
		return printf("%" PRIu64 "\n", now_ns()) < 0;
	if (!strcmp(verb, "storm") && argc == 7)
		return run_storm(args);
	if (!strcmp(verb, "accept") && argc == 1)
		return run_accept(args[0]);
	if (!strcmp(verb, "connect") && argc == 4)
		return run_connect(args);
	fprintf(stderr, "usage: see the head of flows.c\n");
	return 2;
}
