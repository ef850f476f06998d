// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The engine of the bench: loads programs, runs them interleaved, prints raw figures. What is
 * measured and what the figures mean is up to scripts (class Engine of bench.py), which write
 * orders to standard input, one a line, fields separated by blanks. BYTES are in hex, MAP is entry
 * 0 of an array map.
 *
 * prog NAME FILE PROGRAM [set:CONSTANT=BYTES | map:MAP=BYTES | next=NAME]...
 *	MAP's value is BYTES, and zeroes up to its size, which is 256 at most.
 *	Load one program of an object file; `next` is what it tail-calls. All programs share the
 *	map `shared`, as in a chain. Answer: "prog NAME INSNS BYTES", the number of instructions
 *	that the verifier walked (0: the kernel does not tell) and the size of the code.
 * chain NAME DISPATCHER FILE PROGRAM COUNT
 *	A dispatcher (progs/dispatcher.bpf.o) with COUNT times PROGRAM in its slots. Answer:
 *	"chain NAME INSNS BYTES" or "chain NAME error TEXT".
 * time ID NAME ACTION PACKET [MAP=BYTES]
 *	Enter a run into the list; PACKET in hex; the program must return ACTION. MAP is set
 *	before. Runs of one program are to follow each other.
 * go SECONDS
 *	Run all of the list round by round for so long, three rounds at least. Answers, one for
 *	each run: "time ID LOW MEDIAN RUNS", in ns per packet; LOW: the mean of the lowest quarter.
 *	The list is empty then.
 * live ID NAME PACKET SECONDS SENDER DEVICE PEER
 *	Attach a program to PEER, or leave there what is (NAME "-"), and send live frames with
 *	program SENDER out of DEVICE. Answer: "live ID MPPS", of frames received.
 *
 * It wants a network namespace to itself. There every program is attached to `lo` while it is
 * measured: one that is not, the kernel makes known to its XDP dispatcher for each test run, which
 * takes 20 ms. Without that, wall time over repeat gives tenths of ns, the kernel's own figure only
 * whole ones.
 */
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/btf.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <xdp/prog_dispatcher.h>

#define MAX_PROGS   256
#define MAX_RUNS    512
#define MAX_SAMPLES 4096
#define MAX_FIELDS  16
#define MAX_PACKET  2048
#define CALIBRATE   1000   /* repeat of the run that tells how long one takes */
#define RUN_NS	    400000 /* length of one run: shorter than what mostly interrupts it */
#define BURST	    4	   /* runs of one kind in a row */
#define LIVE_BATCH  64
#define LIVE_REPEAT (1 << 16)

struct prog {
	char name[32];
	int fd;
	struct bpf_object *obj;
};

struct run {
	char id[64];
	const struct prog *prog;
	unsigned char packet[MAX_PACKET];
	unsigned int len, action, repeat, samples;
	char map[32];
	unsigned char map_value[32];
	float ns[MAX_SAMPLES];
};

static struct prog progs[MAX_PROGS];
static unsigned int prog_count;
static struct run *runs;
static unsigned int run_count;
static int shared_fd = -1;

#define die(fmt, ...)                                               \
	do {                                                        \
		fprintf(stderr, "bench: " fmt "\n", ##__VA_ARGS__); \
		exit(1);                                            \
	} while (0)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static const struct prog *find_prog(const char *name)
{
	for (unsigned int i = 0; i < prog_count; i++)
		if (!strcmp(progs[i].name, name))
			return &progs[i];
	die("no program %s", name);
}

static unsigned int from_hex(const char *hex, unsigned char *out, unsigned int size)
{
	unsigned int len = strlen(hex) / 2;

	if (len > size)
		die("%s: more than %u bytes", hex, size);
	for (unsigned int i = 0; i < len; i++)
		if (sscanf(hex + i * 2, "%2hhx", &out[i]) != 1)
			die("%s: not hexadecimal", hex);
	return len;
}

static void add_prog(const char *order, const char *name, struct bpf_object *obj, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (prog_count == MAX_PROGS)
		die("more than %d programs", MAX_PROGS);
	snprintf(progs[prog_count].name, sizeof(progs->name), "%s", name);
	progs[prog_count].obj = obj;
	progs[prog_count++].fd = fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		die("%s: %s", name, strerror(errno));
	printf("%s %s %u %u\n", order, name, info.verified_insns, info.jited_prog_len);
}

/* Only @program is going to be loaded; maps are pinned in $ECBPF_BENCH_PINS if at all, the area is
 * everybody's
 */
static struct bpf_object *open_object(const char *file, const char *program,
				      struct bpf_program **found)
{
	struct bpf_object *obj = bpf_object__open(file);
	const char *pins = getenv("ECBPF_BENCH_PINS");
	struct bpf_program *prog;
	struct bpf_map *map;

	if (!obj)
		die("%s: %s", file, strerror(errno));
	*found = NULL;
	bpf_object__for_each_program (prog, obj) {
		bool wanted = !strcmp(bpf_program__name(prog), program);

		bpf_program__set_autoload(prog, wanted);
		if (wanted)
			*found = prog;
	}
	if (!*found)
		die("%s: no program %s", file, program);
	bpf_object__for_each_map (map, obj) {
		char path[256];

		snprintf(path, sizeof(path), "%s/%s", pins ?: "", bpf_map__name(map));
		bpf_map__set_pin_path(map, pins && bpf_map__pin_path(map) ? path : NULL);
	}
	map = bpf_object__find_map_by_name(obj, "shared");
	if (map && shared_fd >= 0 && bpf_map__reuse_fd(map, shared_fd))
		die("%s: shared: %s", file, strerror(errno));
	return obj;
}

static void load_object(struct bpf_object *obj, const char *name)
{
	struct bpf_map *map;

	if (bpf_object__load(obj))
		die("%s: does not load: %s", name, strerror(errno));
	map = bpf_object__find_map_by_name(obj, "shared");
	if (map && shared_fd < 0)
		shared_fd = bpf_map__fd(map);
}

static struct bpf_map *rodata_of(struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, obj) {
		const char *suffix = strrchr(bpf_map__name(map), '.');

		if (suffix && !strcmp(suffix, ".rodata"))
			return map;
	}
	return NULL;
}

/* Set the constant @name, whose place only BTF tells */
static void set_constant(struct bpf_object *obj, const char *name, const char *hex)
{
	const struct btf *btf = bpf_object__btf(obj);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	struct bpf_map *map = rodata_of(obj);
	const struct btf_type *sec, *var;
	const struct btf_var_secinfo *info;
	unsigned char *value;
	size_t size;

	if (id < 0 || !map)
		die("%s: object without constants", name);
	value = (unsigned char *)bpf_map__initial_value(map, &size);
	sec = btf__type_by_id(btf, id);
	info = btf_var_secinfos(sec);
	for (int i = 0; i < btf_vlen(sec); i++, info++) {
		var = btf__type_by_id(btf, info->type);
		if (strcmp(btf__name_by_offset(btf, var->name_off), name))
			continue;
		from_hex(hex, value + info->offset, info->size);
		return;
	}
	die("no constant %s", name);
}

static void set_map(struct bpf_object *obj, const char *name, const void *value)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);
	__u32 zero = 0;

	if (!map || bpf_map_update_elem(bpf_map__fd(map), &zero, value, BPF_ANY))
		die("map %s: %s", name, strerror(errno));
}

static void order_prog(char **field, int fields)
{
	struct bpf_program *prog;
	struct bpf_object *obj = open_object(field[2], field[3], &prog);

	for (int i = 4; i < fields; i++) {
		char name[32], hex[65];

		if (sscanf(field[i], "set:%31[^=]=%64s", name, hex) == 2)
			set_constant(obj, name, hex);
	}
	load_object(obj, field[1]);
	for (int i = 4; i < fields; i++) {
		unsigned char bytes[256] = {};
		char name[32], text[2 * sizeof(bytes) + 1];

		if (sscanf(field[i], "next=%64s", text) == 1) {
			set_map(obj, "next", &find_prog(text)->fd);
		} else if (sscanf(field[i], "map:%31[^=]=%512s", name, text) == 2) {
			from_hex(text, bytes, sizeof(bytes));
			set_map(obj, name, bytes);
		}
	}
	add_prog("prog", field[1], obj, bpf_program__fd(prog));
}

static void order_chain(char **field)
{
	struct xdp_dispatcher_conf_v2 {
		__u8 magic, version, num_progs_enabled, is_xdp_frags;
		__u32 chain_call_actions[MAX_DISPATCHER_ACTIONS];
		__u32 run_prios[MAX_DISPATCHER_ACTIONS];
		__u32 program_flags[MAX_DISPATCHER_ACTIONS];
	} * conf;
	struct bpf_program *dispatcher, *prog;
	struct bpf_object *obj = open_object(field[2], "xdp_dispatcher", &dispatcher);
	struct bpf_map *map = rodata_of(obj);
	unsigned int count = atoi(field[5]);
	size_t size;

	conf = map ? (void *)bpf_map__initial_value(map, &size) : NULL;
	if (!conf || size < sizeof(*conf) || count > MAX_DISPATCHER_ACTIONS)
		die("%s: not a dispatcher of protocol 2, or too many programs", field[2]);
	conf->num_progs_enabled = count;
	for (unsigned int i = 0; i < count; i++)
		conf->chain_call_actions[i] = 1 << XDP_PASS | 1 << XDP_DISPATCHER_RETVAL;
	load_object(obj, field[1]);

	for (unsigned int i = 0; i < count; i++) {
		char slot[16];
		int err;

		snprintf(slot, sizeof(slot), "prog%u", i);
		obj = open_object(field[3], field[4], &prog);
		bpf_program__set_type(prog, BPF_PROG_TYPE_EXT);
		bpf_program__set_expected_attach_type(prog, 0);
		err = bpf_program__set_attach_target(prog, bpf_program__fd(dispatcher), slot);
		if (!err)
			err = bpf_object__load(obj);
		if (!err)
			err = bpf_program__attach_freplace(prog, 0, NULL) ? 0 : -errno;
		if (err) {
			printf("chain %s error %s\n", field[1], strerror(-err));
			return;
		}
	}
	add_prog("chain", field[1], NULL, bpf_program__fd(dispatcher));
}

/* Return: ns per packet */
static double measure(const struct run *run, unsigned int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->packet, .data_size_in = run->len,
		    .repeat = repeat);
	double start = now();

	if (bpf_prog_test_run_opts(run->prog->fd, &opts))
		die("%s: test run: %s", run->id, strerror(errno));
	if (opts.retval != run->action)
		die("%s: returned %u, not %u", run->id, opts.retval, run->action);
	return (now() - start) * 1e9 / repeat;
}

static void order_time(char **field, int fields)
{
	struct run *run = &runs[run_count];
	char value[65];

	if (run_count++ == MAX_RUNS)
		die("more than %d runs", MAX_RUNS);
	memset(run, 0, sizeof(*run));
	snprintf(run->id, sizeof(run->id), "%s", field[1]);
	run->prog = find_prog(field[2]);
	run->action = atoi(field[3]);
	run->len = from_hex(field[4], run->packet, sizeof(run->packet));
	if (fields > 5 && sscanf(field[5], "%31[^=]=%64s", run->map, value) == 2)
		from_hex(value, run->map_value, sizeof(run->map_value));
}

static void go_round(unsigned int lo)
{
	const struct prog *attached = NULL;

	for (struct run *run = runs; run < runs + run_count; run++) {
		if (attached != run->prog &&
		    bpf_xdp_attach(lo, run->prog->fd, XDP_FLAGS_SKB_MODE, NULL))
			die("lo: %s", strerror(errno));
		attached = run->prog;
		if (run->map[0])
			set_map(run->prog->obj, run->map, run->map_value);
		if (!run->repeat)
			run->repeat = RUN_NS / measure(run, CALIBRATE) + 1;
		for (int i = 0; i < BURST && run->samples < MAX_SAMPLES; i++)
			run->ns[run->samples++] = measure(run, run->repeat);
	}
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

/* The mean of the lowest quarter of what is sorted */
static double low(const float *sorted, unsigned int count)
{
	unsigned int quarter = count / 4 ?: 1;
	double sum = 0;

	for (unsigned int i = 0; i < quarter; i++)
		sum += sorted[i];
	return sum / quarter;
}

static void order_go(double seconds)
{
	unsigned int lo = if_nametoindex("lo");
	double end = now() + seconds;

	for (unsigned int round = 0; round < MAX_SAMPLES / BURST && (round < 3 || now() < end);
	     round++)
		go_round(lo);
	bpf_xdp_detach(lo, XDP_FLAGS_SKB_MODE, NULL);
	for (struct run *run = runs; run < runs + run_count; run++) {
		qsort(run->ns, run->samples, sizeof(run->ns[0]), compare);
		printf("time %s %.2f %.2f %u\n", run->id, low(run->ns, run->samples),
		       run->ns[run->samples / 2], run->samples);
	}
	run_count = 0;
}

/* Packets received so far; not from /sys, which shows the namespace that it was mounted in */
static unsigned long long received(const char *device)
{
	unsigned long long bytes, packets;
	char line[512], name[64];
	FILE *f = fopen("/proc/net/dev", "r");

	if (!f)
		die("/proc/net/dev: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %63[^:]: %llu %llu", name, &bytes, &packets) == 3 &&
		    !strcmp(name, device)) {
			fclose(f);
			return packets;
		}
	}
	die("%s: no counters", device);
}

static void order_live(char **field)
{
	unsigned int device = if_nametoindex(field[6]), peer = if_nametoindex(field[7]);
	unsigned int lo = if_nametoindex("lo");
	const struct prog *prog = strcmp(field[2], "-") ? find_prog(field[2]) : NULL;
	const struct prog *sender = find_prog(field[5]);
	unsigned char packet[MAX_PACKET];
	struct xdp_md ctx = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = LIVE_REPEAT, .batch_size = LIVE_BATCH,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	unsigned long long before;
	double start, end;

	opts.data_size_in = from_hex(field[3], packet, sizeof(packet));
	ctx.data_end = opts.data_size_in;
	ctx.ingress_ifindex = device;
	if (!device || !peer)
		die("%s, %s: no such interfaces", field[6], field[7]);
	if ((prog && bpf_xdp_attach(peer, prog->fd, XDP_FLAGS_DRV_MODE, NULL)) ||
	    bpf_xdp_attach(lo, sender->fd, XDP_FLAGS_SKB_MODE, NULL))
		die("%s: cannot attach: %s", field[7], strerror(errno));
	before = received(field[7]);
	start = now();
	end = start + atof(field[4]);
	do {
		if (bpf_prog_test_run_opts(sender->fd, &opts))
			die("live frames: %s", strerror(errno));
	} while (now() < end);
	end = now();
	printf("live %s %.6f\n", field[1], (received(field[7]) - before) / (end - start) / 1e6);
	bpf_xdp_detach(lo, XDP_FLAGS_SKB_MODE, NULL);
	if (prog)
		bpf_xdp_detach(peer, XDP_FLAGS_DRV_MODE, NULL);
}

int main(int argc, char **argv)
{
	static char line[8192];

	runs = calloc(MAX_RUNS, sizeof(*runs));
	if (!runs)
		die("out of memory");
	if (argc == 1 || strcmp(argv[1], "-v"))
		libbpf_set_print(NULL);
	while (fgets(line, sizeof(line), stdin)) {
		char *field[MAX_FIELDS], *save = NULL;
		int fields = 0;

		for (char *f = strtok_r(line, " \n", &save); f && fields < MAX_FIELDS;
		     f = strtok_r(NULL, " \n", &save))
			field[fields++] = f;
		if (fields >= 4 && !strcmp(field[0], "prog"))
			order_prog(field, fields);
		else if (fields == 6 && !strcmp(field[0], "chain"))
			order_chain(field);
		else if (fields >= 5 && !strcmp(field[0], "time"))
			order_time(field, fields);
		else if (fields == 2 && !strcmp(field[0], "go"))
			order_go(atof(field[1]));
		else if (fields == 8 && !strcmp(field[0], "live"))
			order_live(field);
		else
			die("bad order %s", fields ? field[0] : "");
		fflush(stdout);
	}
	return 0;
}
