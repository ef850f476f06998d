// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets with numbers, for one end of a veth pair, and their count at the other end.
 *
 *	traffic send IFACE COUNT MIN MAX BAD WAY
 *
 * COUNT packets (0: until SIGTERM), in turn MIN to MAX bytes long; with BAD every BADth has an IPv4
 * header length that is impossible. None is lost on the way to the other end's XDP program: there
 *are never more than WAY on the way, which a veth has room for. Prints "PACKETS BYTES BAD_PACKETS
 * BAD_BYTES" that were sent.
 *
 *	traffic receive IFACE
 *
 * Prints "ready", and after SIGTERM "DISTINCT AGAIN OTHER LOST": numbers that came once, came
 *again, such that are not as they were sent, and packets that this program was too slow for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "program.h"

#define MAGIC	    "ecbpf #"
#define FRAME_MIN   60
#define FRAME_MAX   9014
#define NUMBERS_MAX (1U << 24)
#define BATCH_MAX   64
#define STUCK_S	    30

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	char magic[sizeof(MAGIC)];
	uint32_t number;
	char rest[FRAME_MAX];
} __attribute__((packed));

static int open_socket(const char *iface, int protocol)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = if_nametoindex(iface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || !addr.sll_ifindex || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(iface);
	return fd;
}

/* Packets that left @iface: a veth in XDP mode counts those that the other end has handled */
static uint64_t packets_handled(const char *iface)
{
	unsigned long long tx, dropped;
	char line[512], name[IFNAMSIZ + 1];
	bool is_found = false;
	FILE *file = fopen("/proc/self/net/dev", "r");

	if (!file)
		die("/proc/self/net/dev");
	while (!is_found && fgets(line, sizeof(line), file))
		is_found =
			sscanf(line, " %16[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu %*u %llu",
			       name, &tx, &dropped) == 3 &&
			!strcmp(name, iface);
	fclose(file);
	if (!is_found)
		die(iface);
	return tx + dropped;
}

static void wait_handled(const char *iface, uint64_t wanted)
{
	time_t start = time(NULL);

	while (packets_handled(iface) < wanted) {
		if (time(NULL) - start > STUCK_S) {
			errno = ETIMEDOUT;
			die("packets on the way do not arrive");
		}
		sched_yield();
	}
}

static uint16_t ip_checksum(struct iphdr ip)
{
	uint16_t words[sizeof(ip) / 2];
	uint32_t sum = 0;

	memcpy(words, &ip, sizeof(ip));
	for (size_t i = 0; i < sizeof(ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void frame_fill(struct frame *f, uint32_t number, size_t size, bool is_bad)
{
	memset(f, 0, offsetof(struct frame, rest));
	/* nobody's address, so that no stack answers */
	memcpy(f->eth.h_dest, "\x02\0\0\0\0\x02", ETH_ALEN);
	memcpy(f->eth.h_source, "\x02\0\0\0\0\x01", ETH_ALEN);
	f->eth.h_proto = htons(ETH_P_IP);
	f->ip.version = 4;
	f->ip.ihl = is_bad ? 4 : 5;
	f->ip.tot_len = htons(size - sizeof(f->eth));
	f->ip.ttl = 64;
	f->ip.protocol = IPPROTO_UDP;
	f->ip.saddr = htonl(0xc0000201); /* 192.0.2.1 */
	f->ip.daddr = htonl(0xc0000202);
	f->ip.check = ip_checksum(f->ip);
	f->udp.source = htons(1024);
	f->udp.dest = htons(9);
	f->udp.len = htons(size - sizeof(f->eth) - sizeof(f->ip));
	memcpy(f->magic, MAGIC, sizeof(f->magic));
	f->number = number;
}

static int run_send(const char *iface, uint64_t count, size_t min, size_t max, uint64_t bad,
		    uint64_t way)
{
	static struct frame frames[BATCH_MAX];
	uint64_t batch = way < 2 ? 1 : way / 2 < BATCH_MAX ? way / 2 : BATCH_MAX;
	uint64_t sent = 0, bytes = 0, bad_sent = 0, bad_bytes = 0, handled;
	int fd = open_socket(iface, 0);

	handled = packets_handled(iface);
	while (!is_over && (!count || sent < count)) {
		struct mmsghdr messages[BATCH_MAX] = {};
		struct iovec vectors[BATCH_MAX];
		int n = count && count - sent < batch ? count - sent : batch, done;

		for (int i = 0; i < n; i++) {
			uint64_t number = sent + i;
			size_t size = min + number % (max - min + 1);

			if (number >= NUMBERS_MAX) {
				errno = ERANGE;
				die("out of numbers");
			}
			frame_fill(&frames[i], number, size, bad && number % bad == 0);
			vectors[i] = (struct iovec){.iov_base = &frames[i], .iov_len = size};
			messages[i].msg_hdr.msg_iov = &vectors[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		done = sendmmsg(fd, messages, n, 0);
		if (done < 0 && errno != EINTR && errno != EAGAIN && errno != ENOBUFS)
			die("send");
		for (int i = 0; i < done; i++, sent++) {
			bytes += vectors[i].iov_len;
			if (bad && sent % bad == 0) {
				bad_sent++;
				bad_bytes += vectors[i].iov_len;
			}
		}
		if (sent + batch > way)
			wait_handled(iface, handled + sent + batch - way);
	}
	wait_handled(iface, handled + sent);
	printf("%llu %llu %llu %llu\n", (unsigned long long)sent, (unsigned long long)bytes,
	       (unsigned long long)bad_sent, (unsigned long long)bad_bytes);
	return 0;
}

static int run_receive(const char *iface)
{
	static uint8_t seen[NUMBERS_MAX / 8];
	static struct frame f;
	uint64_t distinct = 0, again = 0, other = 0;
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);
	int fd = open_socket(iface, ETH_P_ALL), room = 256 << 20;
	struct timeval timeout = {.tv_usec = 100000}; /* to look whether it is over */

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct sockaddr_ll from;
		socklen_t from_size = sizeof(from);
		ssize_t len = recvfrom(fd, &f, sizeof(f), is_over ? MSG_DONTWAIT : 0,
				       (struct sockaddr *)&from, &from_size);

		if (len < 0 && errno == EAGAIN && is_over)
			break;
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (len < 0)
			die("receive");
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (len < FRAME_MIN || memcmp(f.magic, MAGIC, sizeof(f.magic)) ||
		    len != (ssize_t)sizeof(f.eth) + ntohs(f.ip.tot_len) ||
		    f.number >= NUMBERS_MAX) {
			other++;
		} else if (seen[f.number / 8] & 1 << f.number % 8) {
			again++;
		} else {
			seen[f.number / 8] |= 1 << f.number % 8;
			distinct++;
		}
	}
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		die("statistics");
	printf("%llu %llu %llu %u\n", (unsigned long long)distinct, (unsigned long long)again,
	       (unsigned long long)other, stats.tp_drops);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */

	sigaction(SIGTERM, &action, NULL);
	if (argc == 3 && !strcmp(argv[1], "receive"))
		return run_receive(argv[2]);
	if (argc == 8 && !strcmp(argv[1], "send")) {
		size_t min = strtoul(argv[4], NULL, 0), max = strtoul(argv[5], NULL, 0);

		if (min >= FRAME_MIN && max >= min && max <= FRAME_MAX)
			return run_send(argv[2], strtoull(argv[3], NULL, 0), min, max,
					strtoull(argv[6], NULL, 0), strtoull(argv[7], NULL, 0));
	}
	fprintf(stderr, "usage: traffic send IFACE COUNT MIN MAX BAD WAY | receive IFACE\n");
	return 2;
}
