// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The library without a kernel's help: names, object files, settings, bad input. Needs no
 * privilege; what is loaded for real is tested in testing/vm/tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/bpffs.h"
#include "bpf/metadata.h"
#include "bpf/program.h"
#include "bpf/synchronize.h"
#include "chain/again.h"
#include "core/array.h"
#include "core/bucket.h"
#include "core/handle.h"
#include "core/run_dir.h"
#include "core/time.h"

static struct ecbpf *e;

static int setup(void **state)
{
	(void)state;
	if (ecbpf_new(&e))
		return -1;
	ecbpf_capture(e); /* libbpf talks to the handle, not to the terminal */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ecbpf_free(e);
	return 0;
}

/* Elements stay where they are appended, in an array and in its copy */
static void array_grows(void **state)
{
	size_t count = 0, copy_count;
	int *items = NULL, *copy, *item;

	(void)state;
	for (int i = 0; i < 100; i++) {
		item = ecbpf_array_add(&items, &count, sizeof(*items));
		assert_non_null(item);
		assert_int_equal(*item, 0);
		*item = i;
		assert_int_equal(count, i + 1);
		copy_count = count;
		copy = ecbpf_array_copy(items, count, sizeof(*items));
		assert_non_null(copy);
		item = ecbpf_array_add(&copy, &copy_count, sizeof(*copy));
		assert_non_null(item);
		*item = -1;
		for (int j = 0; j <= i; j++) {
			assert_int_equal(items[j], j);
			assert_int_equal(copy[j], j);
		}
		assert_int_equal(copy[i + 1], -1);
		free(copy);
	}
	free(items);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(ecbpf_reason_name(0), "none");
	assert_string_equal(ecbpf_reason_name(ECBPF_REASON_IP_IHL), "ip-ihl");
	assert_non_null(ecbpf_reason_text(ECBPF_REASON_ICMP_TRUNC));
	assert_null(ecbpf_reason_name(ECBPF_REASON_MAX));
	assert_string_equal(ecbpf_action_name(XDP_REDIRECT), "XDP_REDIRECT");
	assert_string_equal(ecbpf_action_name(ECBPF_ACTION_INVALID), "invalid");
	assert_null(ecbpf_action_name(ECBPF_ACTION_MAX));
	assert_string_equal(ecbpf_stage_name(ECBPF_STAGE_COUNT), "count");
	assert_null(ecbpf_stage_name(ECBPF_STAGE_NONE));
	assert_string_equal(ecbpf_count_name(ECBPF_COUNT_VLAN), "vlan");
	assert_null(ecbpf_count_name(ECBPF_COUNT_MAX));
}

/* Every name is usable in scripts: lower case, digits, dashes; and no two are the same */
static void names_are_words(void **state)
{
	(void)state;
	for (__u32 a = 0; a < ECBPF_REASON_MAX; a++) {
		const char *name = ecbpf_reason_name(a);

		if (!name)
			continue;
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"),
				 strlen(name));
		for (__u32 b = a + 1; b < ECBPF_REASON_MAX; b++) {
			if (ecbpf_reason_name(b))
				assert_string_not_equal(name, ecbpf_reason_name(b));
		}
	}
}

static void stages_open(void **state)
{
	static const struct {
		const char *file, *fused, *name;
		__u32 prio;
	} cases[] = {
		{"pass", NULL, "ecbpf_pass", 50},     {"count", NULL, "ecbpf_count", 80},
		{"printk", NULL, "ecbpf_printk", 85}, {NULL, "count,pass", "ecbpf_fused", 50},
		{NULL, "pass", "ecbpf_fused", 50},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
		struct program program;

		spec.file = cases[i].file;
		spec.fused = cases[i].fused;
		assert_int_equal(ecbpf_program_open(e, &spec, NULL, false, &program), 0);
		assert_string_equal(program.name, cases[i].name);
		assert_int_equal(program.prio, cases[i].prio);
		assert_int_equal(program.actions, 1 << XDP_PASS);
		assert_true(program.is_ours);
		assert_int_equal(program.is_fused, !!cases[i].fused);
		assert_int_equal(ecbpf_btf_schema(bpf_object__btf(program.obj)), ECBPF_SCHEMA);
		ecbpf_program_close(&program);
	}
}

static void place_is_taken_over(void **state)
{
	struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
	struct program program;

	(void)state;
	spec.file = "pass";
	spec.prio = 0;
	spec.actions = 1 << XDP_DROP | 1 << XDP_PASS;
	assert_int_equal(ecbpf_program_open(e, &spec, NULL, false, &program), 0);
	assert_int_equal(program.prio, 0);
	assert_int_equal(program.actions, spec.actions);
	ecbpf_program_close(&program);
}

/* A file of the working directory is no stage, and a stage is no file */
static void stages_win(void **state)
{
	static const char *const names[] = {"pass", "fw", "prog.o"};
	char dir[] = "/tmp/ecbpf-test.XXXXXX";
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(back >= 0 && mkdtemp(dir) && !chdir(dir));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
		bool is_stage = !strchr(names[i], '.');
		struct program program;
		int err, fd;

		fd = open(names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
		spec.file = names[i];
		assert_int_equal(ecbpf_program_is_file(&spec), !is_stage);
		err = ecbpf_program_open(e, &spec, NULL, false, &program);
		assert_int_equal(err, is_stage ? 0 : -ENOEXEC);
		if (!err)
			ecbpf_program_close(&program);
		unlink(names[i]);
	}
	assert_int_equal(fchdir(back), 0);
	close(back);
	rmdir(dir);
}

/* What is refused, with which error and with which words in the one line */
static void refused(void **state)
{
	static const struct {
		const char *file, *fused, *section, *name, *setting;
		int err;
		const char *words;
	} cases[] = {
		{"nosuch", NULL, NULL, NULL, NULL, -ENOENT, "no such stage; the name"},
		{"nosuch.o", NULL, NULL, NULL, NULL, -ENOENT, "No such file"},
		{".o", NULL, NULL, NULL, NULL, -ENOENT, "No such file"},
		{"./pass", NULL, NULL, NULL, NULL, -ENOENT, "No such file"},
		{"/etc/passwd", NULL, NULL, NULL, NULL, -ENOEXEC, "not an ELF"},
		{"/proc/self/exe", NULL, NULL, NULL, NULL, -ENOEXEC, "not a BPF object"},
		{"/tmp", NULL, NULL, NULL, NULL, -ENOEXEC, "not an ELF"},
		{"pass", NULL, "tc", NULL, NULL, -ENOENT, "no section 'tc'"},
		{"pass", NULL, NULL, "ecbpf_count", NULL, -ENOENT, "no program 'ecbpf_count'"},
		{NULL, "", NULL, NULL, NULL, -EINVAL, "no stage ''"},
		{NULL, "pass,", NULL, NULL, NULL, -EINVAL, "no stage ''"},
		{NULL, "pass,tea", NULL, NULL, NULL, -EINVAL, "there are pass count printk"},
		{NULL, "pass,pass,pass,pass,pass,pass,pass,pass,pass", NULL, NULL, NULL, -E2BIG,
		 "more than 8 stages"},
		{"pass", NULL, NULL, NULL, "malformed_action", -EINVAL, "not NAME=NUMBER"},
		{"pass", NULL, NULL, NULL, "=1", -EINVAL, "not NAME=NUMBER"},
		{"pass", NULL, NULL, NULL, "printk_every=1", -EINVAL, "no setting 'printk_every'"},
		{"printk", NULL, NULL, NULL, "printk_every=4294967296", -EINVAL,
		 "not a number from 0 to 4294967295"},
		{"printk", NULL, NULL, NULL, "printk_every=-1", -EINVAL, "not a number"},
		{"printk", NULL, NULL, NULL, "printk_every=1x", -EINVAL, "'1x'"},
		{"pass", NULL, NULL, NULL, "sampling_on=2", -EINVAL, "from 0 to 1"},
		{"pass", NULL, NULL, NULL, "_license=1", -EINVAL, "no setting"},
		{NULL, "pass", NULL, NULL, "fused_stages=1", -EINVAL, "no setting"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
		struct program program;
		int err;

		spec.file = cases[i].file;
		spec.fused = cases[i].fused;
		spec.section = cases[i].section;
		spec.name = cases[i].name;
		spec.settings = &cases[i].setting;
		spec.settings_count = !!cases[i].setting;
		err = ecbpf_program_open(e, &spec, NULL, false, &program);
		if (err != cases[i].err || !strstr(ecbpf_error(e), cases[i].words))
			fail_msg("case %zu: %d '%s'", i, err, ecbpf_error(e));
		assert_null(strchr(ecbpf_error(e), '\n'));
	}
}

static void setting_is_set(void **state)
{
	static const char *const setting = "printk_every=0x10";
	struct ecbpf_program spec = ECBPF_PROGRAM_INIT;
	struct program program;
	__u32 off, size, value = 0;
	struct bpf_map *map;
	size_t len;
	char *data;

	(void)state;
	spec.file = "printk";
	spec.settings = &setting;
	spec.settings_count = 1;
	assert_int_equal(ecbpf_program_open(e, &spec, NULL, false, &program), 0);
	assert_int_equal(
		ecbpf_btf_var(bpf_object__btf(program.obj), ".rodata", "printk_every", &off, &size),
		0);
	assert_int_equal(size, sizeof(value));
	bpf_object__for_each_map (map, program.obj) {
		if (!strstr(bpf_map__name(map), ".rodata"))
			continue;
		data = (char *)bpf_map__initial_value(map, &len);
		memcpy(&value, data + off, sizeof(value));
	}
	assert_int_equal(value, 16);
	ecbpf_program_close(&program);
}

static void no_bpffs(void **state)
{
	(void)state;
	setenv("LIBXDP_BPFFS", "/etc", 1);
	assert_int_equal(ecbpf_bpffs_open(e, false), -ENODEV);
	assert_non_null(strstr(ecbpf_error(e), "no BPF file system at /etc"));
	unsetenv("LIBXDP_BPFFS");
}

static void empty_calls(void **state)
{
	struct ecbpf_selector selector = {};
	const char *iface = "lo";

	(void)state;
	assert_int_equal(ecbpf_chain_load(e, &iface, 1, NULL, 0, ECBPF_MODE_UNSPEC), -EINVAL);
	assert_int_equal(ecbpf_chain_unload(e, &iface, 1, &selector), -EINVAL);
	ecbpf_chain_free(NULL);
	ecbpf_free(NULL);
}

/* What bucket.h says: tokens in the worst second */
static __u64 worst_second(struct ecbpf_rate rate, __u32 hz)
{
	return (rate.max + rate.refill * hz) / rate.cost;
}

static void rates(void **state)
{
	static const __u32 hz[] = {100, 250, 300, 1000};
	struct timespec tick;

	(void)state;
	assert_true(ecbpf_hz() >= 100 && ecbpf_hz() <= 1000);
	/* so many of the kernel's ticks are a second, as nearly as a whole number can be */
	assert_int_equal(clock_getres(CLOCK_MONOTONIC_COARSE, &tick), 0);
	assert_true(labs(1000000000L - ecbpf_hz() * tick.tv_nsec) <= tick.tv_nsec / 2);
	for (size_t i = 0; i < ARRAY_SIZE(hz); i++) {
		struct ecbpf_rate rate = ecbpf_rate_burst(1000000000, 5, hz[i]);

		assert_int_equal(worst_second(rate, hz[i]), 1000000005);
		for (__u64 cap = 1; cap <= 1000000000; cap += cap / 7 + 1) {
			rate = ecbpf_rate_cap(cap, hz[i]);
			assert_int_equal(worst_second(rate, hz[i]), cap);
			/* on the long run: nine tenths, and something always */
			assert_true(rate.refill * hz[i] / rate.cost >=
				    (cap < 10 ? cap - 1 : cap * 9 / 10));
			assert_true(rate.refill);
			assert_true(rate.max >= rate.cost); /* a token fits */
			assert_true(rate.full * rate.refill >= rate.max);
		}
	}
}

/* Each word of the secret, and each half of the key, decides where a source's bucket is */
static void bucket_secret(void **state)
{
	const __u64 secret[5] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
				 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9};
	const __u64 key[2] = {0x20010db800010002, 0x0003000400050006};
	__u32 hash = ecbpf_bucket_hash(key, secret);

	(void)state;
	for (int i = 0; i < 5; i++) {
		__u64 other[5];

		memcpy(other, secret, sizeof(other));
		other[i] ^= 0x5a5a5a5a5a5a5a5a;
		assert_int_not_equal(ecbpf_bucket_hash(key, other), hash);
	}
	for (int i = 0; i < 4; i++) {
		__u64 other[2] = {key[0], key[1]};

		other[i / 2] ^= 1ULL << (i % 2 * 32);
		assert_int_not_equal(ecbpf_bucket_hash(other, secret), hash);
	}
}

static void call_count(void *data, size_t number)
{
	unsigned int *calls = data;

	usleep(100); /* else the first thread does all */
	__atomic_fetch_add(&calls[number], 1, __ATOMIC_RELAXED);
}

/* Each number once, with more calls than threads */
static void calls_together(void **state)
{
	unsigned int calls[1000] = {};

	(void)state;
	ecbpf_together(0, call_count, calls);
	assert_int_equal(calls[0], 0);
	ecbpf_together(1, call_count, calls);
	assert_int_equal(calls[0], 1);
	ecbpf_together(1000, call_count, calls);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(calls[i], i ? 1 : 2);
}

struct run_path {
	bool is_elsewhere;
	char own[32], path[PATH_MAX]; /* "-INODE" */
};

static void *run_path_elsewhere(void *data)
{
	struct run_path *r = data;
	struct stat own;

	r->is_elsewhere = !unshare(CLONE_NEWNET);
	if (!stat("/proc/thread-self/ns/net", &own))
		snprintf(r->own, sizeof(r->own), "-%llu", (unsigned long long)own.st_ino);
	if (ecbpf_run_path("name", r->path))
		*r->path = '\0';
	return NULL;
}

/* A thread that has entered another network namespace gets the file of that one */
static void run_path(void **state)
{
	struct run_path r = {};
	char path[PATH_MAX];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run_path_elsewhere, &r), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (!r.is_elsewhere)
		skip(); /* not root */
	assert_string_equal(strrchr(r.path, '-'), r.own);
	assert_int_equal(ecbpf_run_path("name", path), 0);
	assert_true(!strncmp(path, "/run/ecbpf/name-", 16));
	assert_string_not_equal(path, r.path);
}

static const __u32 pass_tx = 1U << XDP_PASS | 1U << XDP_TX;

/* What is loaded, and the commands that load it again; NULL: no command can */
static const struct {
	enum ecbpf_mode mode;
	struct note_member members[3];
	const char *commands;
} agains[] = {
	{ECBPF_MODE_NATIVE,
	 {{"ecbpf_pass", 50, 1U << XDP_PASS, "stage=pass\n"},
	  {"ecbpf_count", 80, 1U << XDP_PASS, "stage=count\n"}},
	 "ecbpf-loader load v0 pass count"},
	{ECBPF_MODE_NATIVE,
	 {{"ecbpf_pass", 50, 1U << XDP_PASS, "stage=pass\nmalformed_action=1\n"},
	  {"ecbpf_count", 81, pass_tx, "stage=count\n"},
	  {"ecbpf_fw", 20, 1U << XDP_PASS, "stage=fw\n"}},
	 "ecbpf-loader load -S malformed_action=1 v0 pass && "
	 "ecbpf-loader load -P 81 -A XDP_PASS,XDP_TX v0 count && ecbpf-loader load v0 fw"},
	{ECBPF_MODE_SKB,
	 {{"their_prog", 50, 1U << XDP_PASS, "file=/a b.o\nsection=xdp\npin-path=/sys/fs/bpf/x\n"},
	  {"ecbpf_fastpath", 50, 1U << XDP_PASS, "stage=fastpath\n"}},
	 "ecbpf-loader load -m skb -P 50 -p /sys/fs/bpf/x -n their_prog v0 /a b.o && "
	 "ecbpf-fastpath load -m skb -i v0"},
	{ECBPF_MODE_NATIVE,
	 {{"ecbpf_fused", 50, 1U << XDP_PASS, "fused=filter,fastpath,sampler\na=1\nb=2\n"}},
	 "ecbpf-loader load -S a=1 -S b=2 --fused filter,sampler v0 && "
	 "ecbpf-fastpath load --fused -i v0"},
	{ECBPF_MODE_NATIVE,
	 {{"ecbpf_fused", 0, 0, "fused=fastpath\n"}},
	 "ecbpf-fastpath load --fused -i v0"},
	/* its tool takes no constants */
	{ECBPF_MODE_NATIVE, {{"ecbpf_fused", 50, 1U << XDP_PASS, "fused=fastpath\na=1\n"}}, NULL},
	{ECBPF_MODE_NATIVE,
	 {{"ecbpf_fastpath", 50, 1U << XDP_PASS, "stage=fastpath\na=1\n"}},
	 NULL},
	{ECBPF_MODE_NATIVE, {}, NULL},
};

static void loaded_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(agains); i++) {
		size_t count = 0;
		char *commands;

		while (count < 3 && agains[i].members[count].spec)
			count++;
		commands = ecbpf_again("v0", agains[i].mode, agains[i].members, count);
		if (agains[i].commands)
			assert_string_equal(commands, agains[i].commands);
		else
			assert_null(commands);
		free(commands);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	  cmocka_unit_test(names_are_words),
		cmocka_unit_test(stages_open),	  cmocka_unit_test(place_is_taken_over),
		cmocka_unit_test(array_grows),	  cmocka_unit_test(refused),
		cmocka_unit_test(stages_win),	  cmocka_unit_test(setting_is_set),
		cmocka_unit_test(no_bpffs),	  cmocka_unit_test(empty_calls),
		cmocka_unit_test(rates),	  cmocka_unit_test(bucket_secret),
		cmocka_unit_test(calls_together), cmocka_unit_test(run_path),
		cmocka_unit_test(loaded_again),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
