// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * testrun [-c CPU] [-l] OBJECT:PROGRAM [NAME=VALUE[,VALUE...]]... [OBJECT:PROGRAM ...]...
 *
 * Loads BPF programs and does with them what it is asked to on stdin, answering on stdout; see
 * testrun.py for the other end. NAME=VALUE sets a constant of the program before it (its .rodata;
 * VALUEs of an array are numbers from its first element on, those of a structure its bytes),
 * map:NAME=ENTRIES the size of a map.
 * Maps that programs would share by pinning are shared, without a BPF file system; or, if
 * $TESTRUN_PINS is a directory in one, they are those that are pinned there. Everything runs on one
 * CPU. -l: have the verifier's statistics, and do not attach.
 *
 * A request is struct request and its payload, an answer struct answer and its payload, in host
 * byte order. Programs count from 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ecbpf/record.h>

#define PROGRAMS_MAX	    16
#define FRAME_MAX	    70000
#define SAMPLES_BUFFER_SIZE 64 /* pages per CPU */
#define LOG_LEVEL	    4  /* of the verifier: statistics; BPF_LOG_STATS in the kernel */
#define LOG_SIZE	    65536

struct request {
	__u32 op;
	__u32 prog;
	__u32 arg;
	__u32 len;
};

enum {
	/* arg: length of the linear part or 0: all; payload: frame; answer: verdict, frame */
	OP_RUN = 'r',
	/* arg: how many times; payload: frame; answer: verdict of the last */
	OP_REPEAT = 'n',
	/* payload: frames, u32 length before each; answer: their records from map `records` */
	OP_BATCH = 'b',
	/* arg: key; payload: map name; answer: number of CPUs or 1, value of each */
	OP_READ = 'm',
	/* arg: key; payload: map name, NUL, value (one for each CPU) */
	OP_WRITE = 'w',
	/*
	 * as OP_RUN, for a program at TC, and a packet that came in by lo; arg: GRO's gso_size,
	 * mark in the bits from SKB_MARK on
	 */
	OP_SKB = 'c',
	/* payload: map name, NUL, key, value */
	OP_WRITE_KEY = 'k',
	/* answer: events since the last call, u32 length before each; first call: ring is opened */
	OP_SAMPLES = 's',
	/*
	 * On all CPUs at once, for some time. arg: milliseconds; payload: struct flood, frame;
	 * answer: number of runs, struct flood_sent for each that ended with XDP_TX
	 */
	OP_FLOOD = 'f',
	/*
	 * One packet after another, for some time. arg: milliseconds; payload: struct verdicts,
	 * what the frame gets at the offset, for each packet, frame; answer: number of runs, struct
	 * verdict of each, in order
	 */
	OP_VERDICTS = 'v',
	/*
	 * As verification left them; answer: bytes of machine code; struct bpf_insn of each
	 * instruction, struct bpf_func_info of each function, u32 number of functions
	 */
	OP_CODE = 'i',
	/* with -l; answer: what the verifier said of the program */
	OP_LOG = 'l',
};

#define SKB_LOCAL (1U << 31)
#define SKB_MARK  16

struct flood {
	__u32 repeat; /* runs in a row, of which the last one's verdict counts */
	__u32 offset; /* of 4 bytes of the frame that are random each time; 0: none */
	__u32 mask;   /* which bits of them, the first byte being the lowest */
};

struct flood_sent {
	__u64 time_ns; /* CLOCK_MONOTONIC, after the run */
	__u32 bytes;   /* the random ones, as they stand in the frame */
	__u32 reserved;
};

struct answer {
	__s32 result; /* or -errno */
	__u32 len;
};

struct program {
	struct bpf_object *obj;
	struct bpf_program *prog;
	const struct ecbpf_record *records; /* map `records`, if it has one */
	struct perf_buffer *samples;
	char *log; /* with -l */
};

static struct program programs[PROGRAMS_MAX];
static unsigned int nr_programs;
static bool wants_log;

static void __attribute__((noreturn)) die(const char *what, int err)
{
	fprintf(stderr, "testrun: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	/* libbpf has no use for the sections that libxdp and libecbpf read */
	if (level > LIBBPF_WARN || strstr(format, "skipping unrecognized data section"))
		return 0;
	return vfprintf(stderr, format, args);
}

static void answer(int result, const void *payload, size_t len)
{
	struct answer head = {.result = result, .len = len};

	if (fwrite(&head, sizeof(head), 1, stdout) != 1 ||
	    (len && fwrite(payload, 1, len, stdout) != len))
		die("stdout", errno);
}

/* NAME=VALUE[,VALUE...] */
static void set_constant(struct bpf_object *obj, const char *setting)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, ".rodata");
	const struct btf *btf = bpf_object__btf(obj);
	const char *value = strchr(setting, '=') + 1;
	const struct btf_var_secinfo *var;
	size_t size, name_len = value - 1 - setting;
	const struct btf_type *section;
	char *data;
	int id;

	id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;
	if (!map || id < 0)
		die("no .rodata", ENOENT);
	data = (char *)bpf_map__initial_value(map, &size);
	section = btf__type_by_id(btf, id);
	var = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, var++) {
		const struct btf_type *type = btf__type_by_id(btf, var->type);
		const char *name = btf__name_by_offset(btf, type->name_off);
		size_t element = var->size;

		if (strlen(name) != name_len || strncmp(name, setting, name_len))
			continue;
		id = btf__resolve_type(btf, type->type);
		type = btf__type_by_id(btf, id);
		if (btf_is_array(type))
			element = btf__resolve_size(btf, btf_array(type)->type);
		else if (btf_is_struct(type))
			element = 1;
		for (size_t pos = 0; pos + element <= var->size; pos += element) {
			unsigned long long number = strtoull(value, (char **)&value, 0);

			memcpy(data + var->offset + pos, &number, element);
			if (*value++ != ',')
				return;
		}
		die(setting, E2BIG);
	}
	die(setting, ENOENT);
}

/* map:NAME=ENTRIES */
static void set_entries(struct bpf_object *obj, char *setting)
{
	char *entries = strchr(setting, '=');
	struct bpf_map *map;

	*entries++ = 0;
	map = bpf_object__find_map_by_name(obj, setting + strlen("map:"));
	if (!map || bpf_map__set_max_entries(map, strtoul(entries, NULL, 0)))
		die(setting, map ? EINVAL : ENOENT);
}

/* Let maps pinned by name be those of the programs before */
static void share_maps(struct bpf_object *obj)
{
	const char *pins = getenv("TESTRUN_PINS");
	char path[PATH_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map (map, obj) {
		if (!bpf_map__pin_path(map))
			continue;
		/* not a devmap: libbpf before 1.6 does not take one again that is pinned */
		if (pins && bpf_map__type(map) != BPF_MAP_TYPE_DEVMAP_HASH) {
			snprintf(path, sizeof(path), "%s/%s", pins, bpf_map__name(map));
			bpf_map__set_pin_path(map, path);
			continue;
		}
		bpf_map__set_pin_path(map, NULL);
		for (unsigned int i = 0; i < nr_programs; i++) {
			int fd = bpf_object__find_map_fd_by_name(programs[i].obj,
								 bpf_map__name(map));

			if (fd >= 0) {
				bpf_map__reuse_fd(map, fd);
				break;
			}
		}
	}
}

/* Load the program of argv[0]; its settings follow. Return: number of arguments used */
static int load(char **argv)
{
	struct program *p = &programs[nr_programs];
	char *path = argv[0], *name = strrchr(path, ':');
	struct bpf_program *prog;
	struct bpf_map *map;
	int used = 1, err;

	if (!name || nr_programs == PROGRAMS_MAX)
		die(path, EINVAL);
	*name++ = 0;
	p->obj = bpf_object__open_file(path, NULL);
	if (!p->obj)
		die(path, errno);
	p->prog = bpf_object__find_program_by_name(p->obj, name);
	if (!p->prog)
		die(name, ENOENT);
	bpf_object__for_each_program (prog, p->obj)
		bpf_program__set_autoload(prog, prog == p->prog);
	for (; argv[used] && strchr(argv[used], '='); used++) {
		if (!strncmp(argv[used], "map:", 4)) {
			set_entries(p->obj, argv[used]);
			continue;
		}
		set_constant(p->obj, argv[used]);
		if (!strcmp(argv[used], "xdp_frags=1"))
			bpf_program__set_flags(p->prog, BPF_F_XDP_HAS_FRAGS);
	}
	share_maps(p->obj);
	if (wants_log) {
		p->log = calloc(1, LOG_SIZE);
		if (!p->log)
			die("log", ENOMEM);
		bpf_program__set_log_level(p->prog, LOG_LEVEL);
		bpf_program__set_log_buf(p->prog, p->log, LOG_SIZE);
	}
	err = bpf_object__load(p->obj);
	if (err)
		die(path, err);
	map = bpf_object__find_map_by_name(p->obj, "records");
	if (map) {
		p->records = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED,
				  bpf_map__fd(map), 0);
		if (p->records == MAP_FAILED)
			die("records", errno);
	}
	nr_programs++;
	return used;
}

static int run(const struct program *p, const void *frame, __u32 len, __u32 linear, void *out,
	       __u32 *ret_len)
{
	struct xdp_md ctx = {.data_end = linear};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .data_out = out,
		    .data_size_out = out ? FRAME_MAX : 0);
	int err;

	if (linear) {
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(p->prog), &opts);
	if (ret_len)
		*ret_len = err ? 0 : opts.data_size_out;
	return err ? -errno : (int)opts.retval;
}

static int run_skb(const struct program *p, const void *frame, __u32 len, __u32 arg, void *out,
		   __u32 *ret_len)
{
	struct __sk_buff ctx = {.ingress_ifindex = !(arg & SKB_LOCAL),
				.gso_size = arg & ((1U << SKB_MARK) - 1),
				.mark = (arg & ~SKB_LOCAL) >> SKB_MARK};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .data_out = out,
		    .data_size_out = FRAME_MAX, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	int err = bpf_prog_test_run_opts(bpf_program__fd(p->prog), &opts);

	*ret_len = err ? 0 : opts.data_size_out;
	/* TC_ACT_UNSPEC is -1, which is no error here */
	return err ? -errno : (int)(opts.retval + 1);
}

static int run_repeat(const struct program *p, const void *frame, __u32 len, __u32 repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
		    .repeat = repeat);

	return bpf_prog_test_run_opts(bpf_program__fd(p->prog), &opts) ? -errno : (int)opts.retval;
}

static void run_batch(const struct program *p, const char *frames, __u32 len)
{
	struct ecbpf_record *records = calloc(len / (4 + 14) + 1, sizeof(*records));
	const char *pos = frames, *end = frames + len;
	size_t count = 0;

	if (!p->records || !records)
		die("batch", ENOMEM);
	while (pos < end) {
		__u32 frame_len;
		int verdict;

		memcpy(&frame_len, pos, sizeof(frame_len));
		pos += sizeof(frame_len);
		verdict = run(p, pos, frame_len, 0, NULL, NULL);
		if (verdict < 0)
			die("batch", verdict);
		records[count++] = p->records[0];
		pos += frame_len;
	}
	answer(count, records, count * sizeof(*records));
	free(records);
}

static void access_map(const struct program *p, const struct request *req, char *payload)
{
	static char value[1 << 20];
	struct bpf_map *map = bpf_object__find_map_by_name(p->obj, payload);
	size_t size, name_len = strlen(payload) + 1;
	int err, cpus = 1;

	if (!map) {
		answer(-ENOENT, NULL, 0);
		return;
	}
	size = bpf_map__value_size(map);
	if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY) {
		cpus = libbpf_num_possible_cpus();
		size = (size + 7) / 8 * 8 * cpus;
	}
	if (req->op == OP_WRITE) {
		err = req->len - name_len != size
			      ? -EINVAL
			      : bpf_map_update_elem(bpf_map__fd(map), &req->arg, payload + name_len,
						    BPF_ANY);
		answer(err, NULL, 0);
		return;
	}
	err = size > sizeof(value) ? -E2BIG
				   : bpf_map_lookup_elem(bpf_map__fd(map), &req->arg, value);
	answer(err ? err : cpus, value, err ? 0 : size);
}

static void write_key(const struct program *p, const struct request *req, const char *payload)
{
	struct bpf_map *map = bpf_object__find_map_by_name(p->obj, payload);
	size_t name_len = strlen(payload) + 1;

	if (!map || req->len != name_len + bpf_map__key_size(map) + bpf_map__value_size(map))
		answer(map ? -EINVAL : -ENOENT, NULL, 0);
	else
		answer(bpf_map_update_elem(bpf_map__fd(map), payload + name_len,
					   payload + name_len + bpf_map__key_size(map), BPF_ANY),
		       NULL, 0);
}

static FILE *events;

static void add_sample(void *ctx, int cpu, void *data, __u32 size)
{
	(void)ctx;
	(void)cpu;
	fwrite(&size, sizeof(size), 1, events);
	fwrite(data, 1, size, events);
}

static void lost_samples(void *ctx, int cpu, __u64 count)
{
	(void)ctx;
	fprintf(stderr, "testrun: CPU %d: %llu samples lost\n", cpu, (unsigned long long)count);
}

static void read_samples(struct program *p)
{
	char *payload = NULL;
	size_t len = 0;

	events = open_memstream(&payload, &len);
	if (!p->samples)
		p->samples =
			perf_buffer__new(bpf_object__find_map_fd_by_name(p->obj, "samples"),
					 SAMPLES_BUFFER_SIZE, add_sample, lost_samples, NULL, NULL);
	if (!p->samples)
		die("samples", errno);
	perf_buffer__consume(p->samples);
	fclose(events);
	answer(0, payload, len);
	free(payload);
}

/* One thread of a flood */
struct flooder {
	pthread_t thread;
	int cpu;
	const struct program *p;
	struct flood flood;
	char *frame;
	__u32 len;
	__u64 end_ns;
	__u64 runs;
	FILE *sent;
	char *answer;
	size_t answer_len;
};

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* After bytes were changed: the checksum of an IPv4 header without tags and options */
static void checksum_mend(char *frame, __u32 len)
{
	__u16 words[10];
	__u32 sum = 0;

	if (len < 34 || memcmp(frame + 12, "\x08\x00\x45", 3))
		return;
	memset(frame + 24, 0, 2);
	memcpy(words, frame + 14, sizeof(words));
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	words[0] = ~(sum + (sum >> 16));
	memcpy(frame + 24, words, 2);
}

static void *flood_run(void *data)
{
	struct flooder *f = data;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->frame, .data_size_in = f->len,
		    .repeat = f->flood.repeat);
	struct flood_sent sent = {};
	__u32 fixed = 0;
	unsigned int seed = f->cpu;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(f->cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("flood: CPU", errno);
	memcpy(&fixed, f->frame + f->flood.offset, sizeof(fixed));
	fixed &= ~f->flood.mask;
	while (now_ns() < f->end_ns) {
		if (f->flood.offset) {
			sent.bytes = rand_r(&seed) ^ (__u32)rand_r(&seed) << 16;
			sent.bytes = fixed | (sent.bytes & f->flood.mask);
			memcpy(f->frame + f->flood.offset, &sent.bytes, sizeof(sent.bytes));
			checksum_mend(f->frame, f->len);
		}
		if (bpf_prog_test_run_opts(bpf_program__fd(f->p->prog), &opts))
			die("flood", errno);
		f->runs += f->flood.repeat;
		if (opts.retval != XDP_TX)
			continue;
		sent.time_ns = now_ns();
		fwrite(&sent, sizeof(sent), 1, f->sent);
	}
	fclose(f->sent);
	return NULL;
}

static void flood(const struct program *p, const struct request *req, const char *payload)
{
	int cpus = libbpf_num_possible_cpus();
	struct flooder *flooders = calloc(cpus, sizeof(*flooders));
	__u64 end_ns, runs = 0;
	char *sent = NULL;
	size_t len = 0;
	FILE *all;

	end_ns = now_ns() + req->arg * 1000000ULL;
	for (int i = 0; i < cpus; i++) {
		struct flooder *f = &flooders[i];

		f->p = p;
		f->cpu = i;
		f->end_ns = end_ns;
		memcpy(&f->flood, payload, sizeof(f->flood));
		f->len = req->len - sizeof(f->flood);
		f->frame = memcpy(malloc(f->len), payload + sizeof(f->flood), f->len);
		f->sent = open_memstream(&f->answer, &f->answer_len);
		if (pthread_create(&f->thread, NULL, flood_run, f))
			die("flood: thread", errno);
	}
	all = open_memstream(&sent, &len);
	for (int i = 0; i < cpus; i++) {
		struct flooder *f = &flooders[i];

		pthread_join(f->thread, NULL);
		runs += f->runs;
		fwrite(f->answer, 1, f->answer_len, all);
		free(f->answer);
		free(f->frame);
	}
	fclose(all);
	free(flooders);
	answer(runs > INT_MAX ? INT_MAX : runs, sent, len);
	free(sent);
}

struct verdicts {
	__u32 packets;
	__u32 offset;
	__u32 size;
};

struct verdict {
	__u64 start_ns; /* CLOCK_MONOTONIC, before the run */
	__u32 took_ns;
	__u16 packet;
	__u16 action;
};

static void verdicts(const struct program *p, const struct request *req, const char *payload)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = 1);
	__u64 end_ns = now_ns() + req->arg * 1000000ULL;
	const char *values = payload + sizeof(struct verdicts);
	struct verdict one = {};
	struct verdicts v;
	char frame[256], *all = NULL;
	size_t len = 0, runs = 0;
	FILE *out = open_memstream(&all, &len);

	memcpy(&v, payload, sizeof(v));
	opts.data_in = frame;
	opts.data_size_in = req->len - sizeof(v) - (size_t)v.packets * v.size;
	if (opts.data_size_in > sizeof(frame) || v.offset + v.size > opts.data_size_in)
		die("verdicts", EINVAL);
	memcpy(frame, values + (size_t)v.packets * v.size, opts.data_size_in);
	while (one.start_ns < end_ns) {
		one.packet = runs++ % v.packets;
		memcpy(frame + v.offset, values + (size_t)one.packet * v.size, v.size);
		one.start_ns = now_ns();
		if (bpf_prog_test_run_opts(bpf_program__fd(p->prog), &opts))
			die("verdicts", errno);
		one.took_ns = now_ns() - one.start_ns;
		one.action = opts.retval;
		fwrite(&one, sizeof(one), 1, out);
	}
	fclose(out);
	answer(runs, all, len);
	free(all);
}

static void read_code(const struct program *p)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), size, functions;
	char *payload;

	if (bpf_obj_get_info_by_fd(bpf_program__fd(p->prog), &info, &len))
		die("program", errno);
	functions = info.nr_func_info;
	size = info.xlated_prog_len + functions * sizeof(struct bpf_func_info) + sizeof(functions);
	payload = calloc(1, size);
	if (!payload)
		die("code", ENOMEM);
	memcpy(payload + size - sizeof(functions), &functions, sizeof(functions));
	info = (struct bpf_prog_info){
		.xlated_prog_len = info.xlated_prog_len,
		.xlated_prog_insns = (uintptr_t)payload,
		.nr_func_info = functions,
		.func_info_rec_size = sizeof(struct bpf_func_info),
		.func_info = (uintptr_t)payload + info.xlated_prog_len,
	};
	len = sizeof(info);
	if (bpf_obj_get_info_by_fd(bpf_program__fd(p->prog), &info, &len))
		die("code", errno);
	/* the rest is also what a kernel says to those who may not see addresses */
	if (!info.jited_prog_len || !info.xlated_prog_insns)
		answer(-EPERM, NULL, 0);
	else
		answer(info.jited_prog_len, payload, size);
	free(payload);
}

static void serve(const struct request *req, char *payload)
{
	static char out[FRAME_MAX];
	struct program *p = &programs[req->prog];
	__u32 len = 0;
	int result;

	if (req->prog >= nr_programs)
		die("no such program", EINVAL);
	switch (req->op) {
	case OP_RUN:
		result = run(p, payload, req->len, req->arg, out, &len);
		answer(result, out, len);
		break;
	case OP_SKB:
		result = run_skb(p, payload, req->len, req->arg, out, &len);
		answer(result, out, len);
		break;
	case OP_REPEAT:
		answer(run_repeat(p, payload, req->len, req->arg), NULL, 0);
		break;
	case OP_BATCH:
		run_batch(p, payload, req->len);
		break;
	case OP_READ:
	case OP_WRITE:
		access_map(p, req, payload);
		break;
	case OP_WRITE_KEY:
		write_key(p, req, payload);
		break;
	case OP_SAMPLES:
		read_samples(p);
		break;
	case OP_FLOOD:
		flood(p, req, payload);
		break;
	case OP_VERDICTS:
		verdicts(p, req, payload);
		break;
	case OP_CODE:
		read_code(p);
		break;
	case OP_LOG:
		if (p->log)
			answer(0, p->log, strlen(p->log));
		else
			answer(-ENOENT, NULL, 0);
		break;
	default:
		die("unknown request", EINVAL);
	}
}

/*
 * A program that is attached to no interface takes 20 ms a run: the kernel makes it known to its
 * XDP dispatcher each time. So it is attached, where no packets are.
 */
static void attach(const struct program *p)
{
	if (unshare(CLONE_NEWNET))
		die("network namespace", errno);
	if (bpf_xdp_attach(if_nametoindex("lo"), bpf_program__fd(p->prog), XDP_FLAGS_SKB_MODE,
			   NULL))
		die("lo", errno);
}

int main(int argc, char **argv)
{
	struct request req;
	cpu_set_t cpus;
	int cpu = -1, arg = 1;

	if (argc > 2 && !strcmp(argv[1], "-c")) {
		cpu = atoi(argv[2]);
		arg = 3;
	}
	if (arg < argc && !strcmp(argv[arg], "-l")) {
		wants_log = true;
		arg++;
	}
	if (cpu < 0) {
		cpu = sched_getcpu();
	}
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("-c", errno);
	libbpf_set_print(print);
	while (arg < argc)
		arg += load(argv + arg);
	if (nr_programs == 1 && !wants_log)
		attach(programs);
	answer(cpu, NULL, 0); /* ready */
	fflush(stdout);
	while (fread(&req, sizeof(req), 1, stdin) == 1) {
		char *payload = malloc(req.len + 1);

		if (!payload || fread(payload, 1, req.len, stdin) != req.len)
			die("stdin", errno);
		payload[req.len] = 0;
		serve(&req, payload);
		free(payload);
		fflush(stdout);
	}
	for (unsigned int i = 0; i < nr_programs; i++) {
		perf_buffer__free(programs[i].samples);
		bpf_object__close(programs[i].obj);
		free(programs[i].log);
	}
	return 0;
}
