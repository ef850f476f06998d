// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trie OBJECT PREFIXES SECONDS: what tables of prefixes cost, of both families, with random host
 * routes. Prints lines "NAME VALUE": ns of a lookup (minimum of short runs, for which tables take
 * turns), ms of changes, MiB of maps. "over" is less the same program's time with an empty table.
 *
 * It wants a network namespace to itself; see bench.c for why.
 */
#include <net/if.h>
#include <time.h>
#include <linux/if_link.h>
#include "../lib/trie_host.h"
#include "trie.h"

#define BURST	4
#define REPEAT	20000
#define CHANGES 2000
#define MANY	((1 << 19) - 1) /* addresses that are asked for at random, less 1 */

struct table {
	int family;
	struct bpf_object *obj;
	struct ecbpf_trie_head *head;
	struct trie_bench *bench;
	struct ecbpf_trie *trie;
	double best[2][2]; /* member or other; random or hot */
};

static unsigned int prefixes;

static void die(const char *what)
{
	fprintf(stderr, "trie: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static struct ecbpf_trie_op member(int family, __u32 i)
{
	struct ecbpf_trie_op op = {.family = family, .len = family == 4 ? 32 : 128, .value = i + 1};

	if (family == 4)
		op.hi = (__u64)trie_member4(i) << 32;
	else
		trie_member6(i, &op.hi, &op.lo);
	return op;
}

static void *memory_of(const struct table *table, const char *name)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(table->obj, name);
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, (bpf_map__value_size(map) + page - 1) / page * page,
			    PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		die(name);
	return memory;
}

static void table_open(struct table *table, const char *file, int family)
{
	struct bpf_map *map;

	table->family = family;
	table->obj = bpf_object__open(file);
	if (!table->obj)
		die(file);
	bpf_object__for_each_map (map, table->obj)
		bpf_map__set_pin_path(map, NULL);
	if (bpf_object__load(table->obj))
		die(file);
	table->head = memory_of(table, "heads");
	table->bench = memory_of(table, "bench");
	table->bench->state = 2463534242;
	table->bench->miss = prefixes;
	if (ecbpf_trie_open(NULL, bpf_object__find_map_fd_by_name(table->obj, "pool"), table->head,
			    0, &table->trie))
		exit(1);
	for (int i = 0; i < 4; i++)
		table->best[i / 2][i % 2] = 1e9;
}

static void table_fill(struct table *table)
{
	struct ecbpf_trie_op *ops = calloc(prefixes, sizeof(*ops));
	const char *what[] = {"build_ms", "rebuild_ms"};

	if (!ops)
		die("memory");
	printf("empty_mib%d %zu\n", table->family, ecbpf_trie_bytes(table->trie) >> 20);
	for (int round = 0; round < 2; round++) {
		double start;

		for (__u32 i = 0; i < prefixes; i++)
			ops[i] = member(table->family, i);
		start = now_ms();
		if (ecbpf_trie_build(table->trie, ops, prefixes))
			exit(1);
		printf("%s%d %.0f\n", what[round], table->family, now_ms() - start);
	}
	printf("mib%d %zu\n", table->family, ecbpf_trie_bytes(table->trie) >> 20);
	free(ops);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Add host routes one by one, then delete them: as another process would, with all maps mapped */
static void table_change(struct table *table)
{
	static double ms[CHANGES];

	for (int is_delete = 0; is_delete < 2; is_delete++) {
		for (int i = 0; i < CHANGES; i++) {
			struct ecbpf_trie_op op = member(table->family, 3 * prefixes + i);
			double start = now_ms();

			if (is_delete)
				op.value = 0;
			if (ecbpf_trie_change(table->trie, &op, 1))
				exit(1);
			ms[i] = now_ms() - start;
		}
		qsort(ms, CHANGES, sizeof(*ms), compare);
		printf("%s_ms%d %.4f\n%s_worst_ms%d %.3f\n", is_delete ? "delete" : "add",
		       table->family, ms[CHANGES / 2], is_delete ? "delete" : "add", table->family,
		       ms[CHANGES - 1]);
	}
}

static void measure(struct table *table, bool is_other, bool is_hot)
{
	unsigned char packet[64] = {};
	struct bpf_program *prog;
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%s%d", is_other ? "other" : "member", table->family);
	prog = bpf_object__find_program_by_name(table->obj, name);
	fd = bpf_program__fd(prog);
	if (bpf_xdp_attach(if_nametoindex("lo"), fd, XDP_FLAGS_SKB_MODE, NULL))
		die("lo");
	table->bench->mask = is_hot ? 0 : MANY;
	for (int i = 0; i < BURST; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = sizeof(packet), .repeat = REPEAT);
		double start = now_ms(), ns;

		if (bpf_prog_test_run_opts(fd, &opts) || opts.retval != 2)
			die(name);
		ns = (now_ms() - start) * 1e6 / REPEAT;
		if (ns < table->best[is_other][is_hot])
			table->best[is_other][is_hot] = ns;
	}
}

int main(int argc, char **argv)
{
	static struct table tables[4]; /* IPv4 empty, full; IPv6 */
	double end;

	if (argc != 4)
		return 2;
	prefixes = atoi(argv[2]);
	for (int i = 0; i < 4; i++) {
		table_open(&tables[i], argv[1], i < 2 ? 4 : 6);
		if (i % 2)
			table_fill(&tables[i]);
	}
	end = now_ms() + atof(argv[3]) * 1e3;
	do {
		for (int i = 0; i < 16; i++)
			measure(&tables[i / 4], i & 2, i & 1);
	} while (now_ms() < end);
	for (int i = 0; i < 8; i++) {
		const struct table *full = &tables[i / 4 * 2 + 1], *none = full - 1;
		bool is_other = i & 2, is_hot = i & 1;

		printf("%s_%s_ns%d %.1f\n", is_other ? "other" : "member",
		       is_hot ? "hot" : "random", full->family,
		       full->best[is_other][is_hot] - none->best[is_other][is_hot]);
	}
	table_change(&tables[1]);
	table_change(&tables[3]);
	return 0;
}
