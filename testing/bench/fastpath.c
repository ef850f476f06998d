// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fastpath OBJECTS [FLOWS [ID]]: what the fast path costs a packet that it forwards, in ns over an
 * empty program, with that many flows in the table (default 524288, a power of two) out of one for
 * 1,000,000: of one hot flow, and of all of them drawn at random. Minimum and median of many short
 * runs, for which all programs take turns. One of them does nothing but touch a cache line for each
 * flow, in a map of that size: this is what the machine's memory takes, and nobody can save. ID is
 * a program that has the fast path at its end, with maps pinned where the tools have theirs: see
 * chain.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <ecbpf/fastpath.h>

#define RUNS   400
#define RUN_NS 400000

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

/* Lease number @id; as fastpath_egress would put it there */
static void flow_add(const struct ecbpf_fastpath *f, struct ecbpf_flow_group *groups, __u64 *tags,
		     __u32 id, __u64 *lost)
{
	struct ecbpf_flow_key key = {.proto = 6, .version = 4};
	__u32 addrs[2] = {(id & 0xffff) | (~id & 0xffff) << 16, htonl(0xcb007150)}, group;
	__u64 hash;

	memcpy(key.addrs, addrs, sizeof(addrs));
	key.ports = id >> 16 | (__u32)htons(80) << 16;
	hash = ecbpf_flow_hash(&key, f->seed, f->mult);
	group = ecbpf_flow_group(hash, f->groups);
	for (int i = 0; i < ECBPF_FLOW_WAYS; i++) {
		__u32 way = (ecbpf_flow_home(hash) + i) % ECBPF_FLOW_WAYS;
		struct ecbpf_flow *flow = &groups[group].flows[way];

		if (flow->lease)
			continue;
		flow->key = key;
		flow->lease = ECBPF_LEASE((1ULL << 39), 1);
		flow->len = 1500;
		tags[group] |= (__u64)ecbpf_flow_tag(hash) << 8 * way;
		return;
	}
	(*lost)++;
}

/* Of @obj, or NULL: of what is pinned */
static int map_fd(struct bpf_object *obj, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/ecbpf/%s", name);
	fd = obj ? bpf_object__find_map_fd_by_name(obj, name) : bpf_obj_get(path);
	if (fd < 0)
		die(name);
	return fd;
}

static void table_fill(struct bpf_object *obj, __u32 groups, __u32 flows)
{
	struct ecbpf_fastpath f = {
		.seed = 0x243f6a8885a308d3,
		.mult = 0x9e3779b97f4a7c15,
		.groups = groups,
		.hz = 250,
		.lease = 1U << 30,
		.sample = ~0U,
		.sample_fin = ~0U,
	};
	__u32 lo = if_nametoindex("lo");
	struct ecbpf_hop_entry hop = {.hop = {.dest = {2}, .ifindex = lo, .in = {.ifindex = lo}}};
	size_t size = (size_t)groups * sizeof(struct ecbpf_flow_group);
	__u64 *tags = calloc(groups, sizeof(*tags)), lost = 0;
	int tags_fd = map_fd(obj, "fastpath_tags");
	struct ecbpf_flow_group *at;
	__u32 key = 0, one = 1;

	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(obj, "fastpath_flows"), 0);
	if (at == MAP_FAILED || !tags)
		die("table");
	for (__u32 id = 0; id < flows; id++)
		flow_add(&f, at, tags, id, &lost);
	for (__u32 group = 0; group < groups; group++) {
		struct ecbpf_flow_tags value = {.tags = tags[group]};

		if (bpf_map_update_elem(tags_fd, &group, &value, BPF_ANY))
			die("fastpath_tags");
	}
	if (bpf_map_update_elem(map_fd(obj, "fastpath_hops"), &one, &hop, BPF_ANY) ||
	    bpf_map_update_elem(map_fd(obj, "fastpath"), &key, &f, BPF_ANY))
		die("settings");
	printf("%u flows in a table for %d: %llu found no room; %.1f MiB\n", flows,
	       ECBPF_FLOWS_DEFAULT, (unsigned long long)lost, size / 1048576.0);
	munmap(at, size);
	free(tags);
}

/* The constant `groups`, if there is one: all that .rodata has */
static void groups_set(struct bpf_object *obj, __u32 groups)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, "flows.rodata");

	if (map && bpf_map__set_initial_value(map, &groups, sizeof(groups)))
		die("groups");
}

static struct bpf_object *load(const char *dir, const char *name, const char *program, __u32 groups,
			       int *ret_fd)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	struct bpf_map *map;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	obj = bpf_object__open_file(path, NULL);
	if (!obj)
		die(path);
	bpf_object__for_each_map (map, obj) {
		bpf_map__set_pin_path(map, NULL);
		if (!strcmp(bpf_map__name(map), "fastpath_flows") ||
		    !strcmp(bpf_map__name(map), "fastpath_tags") ||
		    !strcmp(bpf_map__name(map), "lines"))
			bpf_map__set_max_entries(map, groups);
	}
	groups_set(obj, groups);
	if (bpf_object__load(obj))
		die(path);
	prog = bpf_object__find_program_by_name(obj, program);
	if (!prog)
		die(program);
	*ret_fd = bpf_program__fd(prog);
	return obj;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* One run: ns a packet */
static double measure(struct bpf_object *obj, int fd, int next, __u32 mask, __u32 repeat)
{
	struct {
		__u32 random, mask;
	} state = {2463534242, mask};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = repeat);
	__u32 key = 0;
	double start;

	state.random += rand();
	if (bpf_map_update_elem(map_fd(obj, "next"), &key, &next, BPF_ANY) ||
	    bpf_map_update_elem(map_fd(obj, "state"), &key, &state, BPF_ANY))
		die("state");
	start = now();
	if (bpf_prog_test_run_opts(fd, &opts))
		die("test run");
	if (opts.retval != 3) {
		fprintf(stderr, "fastpath: returned %u, not XDP_TX\n", opts.retval);
		exit(1);
	}
	return (now() - start) / repeat;
}

int main(int argc, char **argv)
{
	__u32 flows = argc > 2 ? atoi(argv[2]) : 1 << 19, groups;
	static const char *const names[] = {"one hot flow", "random flow"};
	static const char *const what[] = {"", "fast path", "one cache line touched",
					   "whole chain"};
	static double ns[2][4][RUNS];
	int fd, progs[4], count = argc > 3 ? 4 : 3;
	struct bpf_object *obj;

	if (argc < 2)
		return 2;
	if (count < 4 && unshare(CLONE_NEWNET))
		die("network namespace");
	libbpf_set_print(NULL);
	frame_make();
	groups = ECBPF_FLOW_GROUPS(ECBPF_FLOWS_DEFAULT);
	obj = load(argv[1], "flows.bpf.o", "empty", groups, &progs[0]);
	fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "flows"));
	progs[2] = bpf_program__fd(bpf_object__find_program_by_name(obj, "touch"));
	table_fill(load(argv[1], "fastpath.bpf.o", "ecbpf_fastpath", groups, &progs[1]), groups,
		   flows);
	if (count == 4) {
		progs[3] = bpf_prog_get_fd_by_id(atoi(argv[3]));
		if (progs[3] < 0)
			die("chain");
		table_fill(NULL, groups, flows);
	}
	if (bpf_xdp_attach(if_nametoindex("lo"), fd, XDP_FLAGS_SKB_MODE, NULL))
		die("lo");
	for (int run = 0; run < RUNS; run++) {
		for (int kind = 0; kind < 2; kind++) {
			for (int prog = 0; prog < count; prog++)
				ns[kind][prog][run] =
					measure(obj, fd, progs[prog], kind ? flows - 1 : 0, 4000);
		}
	}
	for (int kind = 0; kind < 2; kind++) {
		for (int prog = 0; prog < count; prog++)
			qsort(ns[kind][prog], RUNS, sizeof(double), compare);
		for (int prog = 1; prog < count; prog++)
			printf("%s, %s: %.1f ns minimum, %.1f ns median over an empty program\n",
			       names[kind], what[prog], ns[kind][prog][0] - ns[kind][0][0],
			       ns[kind][prog][RUNS / 2] - ns[kind][0][RUNS / 2]);
	}
	return 0;
}
