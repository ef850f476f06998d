// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fastpath OBJECTS ROUNDS FLOWS,... NAME=ID...: what a packet costs that is forwarded by programs
 * with the fast path at their end, in ns over an empty program, by number of flows (powers of two),
 * from which each packet's is drawn. The programs are loaded, and have their maps pinned where the
 * tools have theirs; see chain. Prints "FLOWS NAME LOW MEDIAN" for each: of many short runs, for
 * which all programs take turns, the mean of the lowest quarter and the median.
 *
 * One more, `access`, does nothing but read a flow of this very table that the read before it
 * names: this is one access to memory that waits for the one before. It is no lower limit: the CPU
 * has several packets' accesses under way at a time, where they do not depend on each other.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <ecbpf/fastpath.h>

#define REPEAT	   4000
#define MAX_PROGS  8
#define MAX_ROUNDS 1000

static unsigned char frame[60];

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "fastpath: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void frame_make(void)
{
	struct iphdr *ip = (void *)(frame + 14);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 sum = 0;

	frame[12] = 0x08;
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(40);
	ip->frag_off = htons(0x4000);
	ip->ttl = 64;
	ip->protocol = 6;
	ip->saddr = 0xffff0000;
	ip->daddr = htonl(0xcb007150);
	for (int i = 0; i < 10; i++)
		sum += ((__u16 *)ip)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
	memcpy(frame + 38, &ip->check, 2); /* see flows.bpf.c */
	tcp->dest = htons(80);
	tcp->doff = 5;
	tcp->ack = 1;
}

/* A flow that finds no room is left out: its packets are passed to the stack */
struct table {
	struct ecbpf_flow_group *groups;
	struct ecbpf_fastpath settings;
	__u64 *tags;
	__u32 *slots; /* where flows are in the table */
	__u32 count;
	__u32 next; /* number of the first flow that has not been added */
};

/* Lease number @id; as fastpath_egress would put it there */
static void flow_add(struct table *t, __u32 id)
{
	struct ecbpf_flow_key key = {.proto = 6, .version = 4};
	__u32 addrs[2] = {(id & 0xffff) | (~id & 0xffff) << 16, htonl(0xcb007150)}, group;
	__u64 hash;

	memcpy(key.addrs, addrs, sizeof(addrs));
	key.ports = id >> 16 | (__u32)htons(80) << 16;
	hash = ecbpf_flow_hash(&key, t->settings.seed, t->settings.mult);
	group = ecbpf_flow_group(hash, t->settings.groups);
	for (int i = 0; i < ECBPF_FLOW_WAYS; i++) {
		__u32 way = (ecbpf_flow_home(hash) + i) % ECBPF_FLOW_WAYS;
		struct ecbpf_flow *flow = &t->groups[group].flows[way];

		if (flow->lease)
			continue;
		flow->key = key;
		flow->lease = ECBPF_LEASE((1ULL << 39), 1);
		flow->len = 1500;
		t->tags[group] |= (__u64)ecbpf_flow_tag(hash) << 8 * way;
		t->slots[t->count++] = group * ECBPF_FLOW_WAYS + way;
		return;
	}
}

static int map_fd(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/ecbpf/%s", name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(name);
	return fd;
}

static void table_open(struct table *t)
{
	int fd = map_fd("fastpath_flows");
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		die("fastpath_flows");
	t->settings = (struct ecbpf_fastpath){
		.seed = 0x243f6a8885a308d3,
		.mult = 0x9e3779b97f4a7c15,
		.groups = info.max_entries,
		.hz = 250,
		.lease = 1U << 30,
		.sample = ~0U,
		.sample_fin = ~0U,
	};
	t->groups = mmap(NULL, (size_t)info.max_entries * sizeof(*t->groups),
			 PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t->tags = calloc(info.max_entries, sizeof(*t->tags));
	t->slots = calloc((size_t)info.max_entries * ECBPF_FLOW_WAYS, sizeof(*t->slots));
	if (t->groups == MAP_FAILED || !t->tags || !t->slots)
		die("table");
}

static void table_fill(struct table *t, __u32 flows)
{
	__u32 lo = if_nametoindex("lo"), key = 0, one = 1;
	struct ecbpf_hop_entry hop = {.hop = {.dest = {2}, .ifindex = lo, .in = {.ifindex = lo}}};
	int fd = map_fd("fastpath_tags");

	for (; t->next < flows; t->next++)
		flow_add(t, t->next);
	for (__u32 group = 0; group < t->settings.groups; group++) {
		struct ecbpf_flow_tags value = {.tags = t->tags[group]};

		if (t->tags[group] && bpf_map_update_elem(fd, &group, &value, BPF_ANY))
			die("fastpath_tags");
	}
	if (bpf_map_update_elem(map_fd("fastpath_hops"), &one, &hop, BPF_ANY) ||
	    bpf_map_update_elem(map_fd("fastpath"), &key, &t->settings, BPF_ANY))
		die("settings");
	close(fd);
}

/* Each flow names another one: all of them in one circle (Sattolo), in no order */
static void table_chain(struct table *t)
{
	for (__u32 i = t->count - 1; i > 0; i--) {
		__u32 other = random() % i, slot = t->slots[i];

		t->slots[i] = t->slots[other];
		t->slots[other] = slot;
	}
	for (__u32 i = 0; i < t->count; i++) {
		__u32 slot = t->slots[i];

		t->groups[slot / ECBPF_FLOW_WAYS].flows[slot % ECBPF_FLOW_WAYS].len_at =
			t->slots[(i + 1) % t->count];
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct bpf_object *load(const char *dir)
{
	struct bpf_object *obj;
	char path[4096];

	snprintf(path, sizeof(path), "%s/flows.bpf.o", dir);
	obj = bpf_object__open_file(path, NULL);
	if (!obj ||
	    bpf_map__reuse_fd(bpf_object__find_map_by_name(obj, "table"),
			      map_fd("fastpath_flows")) ||
	    bpf_object__load(obj))
		die(path);
	return obj;
}

static int fd_of(struct bpf_object *obj, const char *program)
{
	return bpf_program__fd(bpf_object__find_program_by_name(obj, program));
}

/* One run: ns a packet. Return: the verdict on the last one */
static __u32 run(struct bpf_object *obj, int next, __u32 mask, __u32 at, double *ret_ns)
{
	struct {
		__u32 random, mask, at, pad;
	} state = {2463534242 + random(), mask, at, 0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = REPEAT);
	__u32 key = 0;
	double start;

	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(obj, "next"), &key, &next, 0) ||
	    bpf_map_update_elem(bpf_object__find_map_fd_by_name(obj, "state"), &key, &state, 0))
		die("state");
	start = now();
	if (bpf_prog_test_run_opts(fd_of(obj, "flows"), &opts))
		die("test run");
	*ret_ns = (now() - start) / REPEAT;
	return opts.retval;
}

/* A run whose last packet is forwarded: its flow may be one that has found no room */
static double measure(struct bpf_object *obj, int next, __u32 mask, __u32 at)
{
	double ns;

	for (int i = 0; i < 3; i++)
		if (run(obj, next, mask, at, &ns) == XDP_TX)
			return ns;
	fprintf(stderr, "fastpath: packets are not forwarded\n");
	exit(1);
}

/* The mean of the lowest quarter of these */
static double low(const double *sorted, int count)
{
	int quarter = count / 4 ?: 1;
	double sum = 0;

	for (int i = 0; i < quarter; i++)
		sum += sorted[i];
	return sum / quarter;
}

static void measure_all(struct bpf_object *obj, const struct table *t, __u32 flows, int rounds,
			char **names, const int *progs, int count)
{
	static double ns[MAX_PROGS][MAX_ROUNDS];

	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < count; i++)
			ns[i][round] =
				measure(obj, progs[i], flows - 1, t->slots[random() % t->count]);
	for (int i = 0; i < count; i++)
		qsort(ns[i], rounds, sizeof(double), compare);
	for (int i = 1; i < count; i++)
		printf("%u %s %.2f %.2f\n", flows, names[i],
		       low(ns[i], rounds) - low(ns[0], rounds),
		       ns[i][rounds / 2] - ns[0][rounds / 2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char *names[MAX_PROGS] = {"empty", "access"}, *flows;
	int rounds = argc > 2 ? atoi(argv[2]) : 0, count = 2, progs[MAX_PROGS];
	struct table table = {};
	struct bpf_object *obj;

	if (argc < 5 || argc - 4 + count > MAX_PROGS || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: fastpath OBJECTS ROUNDS FLOWS,... NAME=ID...\n");
		return 2;
	}
	libbpf_set_print(NULL);
	frame_make();
	obj = load(argv[1]);
	progs[0] = fd_of(obj, "empty");
	progs[1] = fd_of(obj, "chase");
	for (int i = 4; i < argc; i++, count++) {
		const char *id;

		names[count] = strtok(argv[i], "=");
		id = strtok(NULL, "");
		progs[count] = bpf_prog_get_fd_by_id(id ? atoi(id) : 0);
		if (progs[count] < 0)
			die(names[count]);
	}
	if (bpf_xdp_attach(if_nametoindex("lo"), fd_of(obj, "flows"), XDP_FLAGS_SKB_MODE, NULL))
		die("lo");
	table_open(&table);
	for (flows = strtok(argv[3], ","); flows; flows = strtok(NULL, ",")) {
		table_fill(&table, atoi(flows));
		table_chain(&table);
		measure_all(obj, &table, atoi(flows), rounds, names, progs, count);
	}
	return 0;
}
