// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * trierun OBJECT: a table of prefixes, written by lib/bpf/trie.c and looked up by trie.bpf.c; does
 * what it is asked to on stdin and answers on stdout; see test_trie.py for the other end.
 *
 * A request is struct request and its payload, an answer its length and its payload, in host byte
 * order.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>
#include "../lib/trie_host.h"
#include "trie.h"

struct request {
	__u32 op;
	__u32 arg;
	__u32 len;
};

enum {
	OP_BUILD = 'b',	  /* payload: struct ecbpf_trie_op each; answer: bytes of the table, u64 */
	OP_CHANGE = 'c',  /* payload: likewise, any number */
	OP_ASK = 'a',	  /* payload: struct trie_question each; answer: values, u32 each */
	OP_REOPEN = 'o',  /* as another process would */
	OP_ENTRIES = 'e', /* answer: struct ecbpf_trie_op each */
	/* payload: arg questions, then struct ecbpf_trie_op each, done while two CPUs ask; answer:
	 * struct trie_answer each
	 */
	OP_RACE = 'r',
};

static struct ecbpf_trie_head *head;
static struct ecbpf_trie *trie;
static struct trie_question *questions;
static struct trie_answer *answers;
static struct trie_clock *clock_;
static int pool_fd, prog_fd;

static void die(const char *what)
{
	fprintf(stderr, "trierun: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void answer(const void *payload, __u32 len)
{
	if (fwrite(&len, sizeof(len), 1, stdout) != 1 ||
	    (len && fwrite(payload, 1, len, stdout) != len) || fflush(stdout))
		die("stdout");
}

static void open_table(void)
{
	if (ecbpf_trie_open(NULL, pool_fd, head, 7, &trie))
		exit(1);
}

static void *memory_of(struct bpf_object *obj, const char *name)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(obj, name);
	size_t size = (bpf_map__value_size(map) + 7) / 8 * 8, page = sysconf(_SC_PAGESIZE);
	void *memory;

	size = (size * bpf_map__max_entries(map) + page - 1) / page * page;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		die(name);
	return memory;
}

static void load(const char *file)
{
	struct bpf_object *obj = bpf_object__open(file);
	struct bpf_map *map;

	if (!obj)
		die(file);
	bpf_object__for_each_map (map, obj)
		bpf_map__set_pin_path(map, NULL);
	if (bpf_object__load(obj))
		die(file);
	head = memory_of(obj, "heads");
	questions = memory_of(obj, "questions");
	answers = memory_of(obj, "answers");
	clock_ = memory_of(obj, "clock");
	pool_fd = bpf_object__find_map_fd_by_name(obj, "pool");
	prog_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "ask"));
}

/* On this CPU */
static void ask(int repeat)
{
	unsigned char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = repeat);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("test run");
	if (opts.retval != 2) {
		errno = 0;
		die("verdict");
	}
}

static void stay_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus))
		die("affinity");
}

static void questions_set(const char *payload, __u32 count)
{
	memcpy(questions, payload, count * sizeof(*questions));
	memset(clock_, 0, sizeof(*clock_));
	clock_->questions = count;
}

static void do_ask(const char *payload, __u32 count)
{
	__u32 *values = calloc(count + 1, sizeof(*values));

	questions_set(payload, count);
	stay_on(0);
	ask(count);
	for (__u32 i = 0; i < count; i++)
		values[i] = answers[i].value;
	answer(values, count * sizeof(*values));
	free(values);
}

static volatile bool is_over;

static void *reader(void *arg)
{
	stay_on((long)arg);
	while (!is_over)
		ask(50000); /* one run: what is around it takes 20 ms */
	return NULL;
}

static void change(const struct ecbpf_trie_op *ops, size_t count)
{
	for (size_t i = 0, n; i < count; i += n) {
		n = count - i < ECBPF_TRIE_JOURNAL ? count - i : ECBPF_TRIE_JOURNAL;
		if (ecbpf_trie_change(trie, ops + i, n))
			exit(1);
	}
}

static void do_race(const char *payload, __u32 count, __u32 len)
{
	const struct ecbpf_trie_op *ops = (const void *)(payload + count * sizeof(*questions));
	size_t changes = (len - count * sizeof(*questions)) / sizeof(*ops);
	pthread_t threads[TRIE_CPUS];
	__u32 total;

	questions_set(payload, count);
	is_over = false;
	for (long i = 0; i < TRIE_CPUS; i++)
		pthread_create(&threads[i], NULL, reader, (void *)i);
	for (int i = 0; i < TRIE_CPUS; i++) {
		while (!__atomic_load_n(&clock_->answers[i], __ATOMIC_RELAXED))
			sched_yield();
	}
	for (size_t i = 0; i < changes; i++) {
		__atomic_store_n(&clock_->begun, i + 1, __ATOMIC_SEQ_CST);
		change(&ops[i], 1);
		__atomic_store_n(&clock_->done, i + 1, __ATOMIC_SEQ_CST);
		/* readers have the two CPUs that this runs on, too: some changes for each of their
		 * turns, which end anywhere in them
		 */
		if (i % 8 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	}
	is_over = true;
	for (int i = 0; i < TRIE_CPUS; i++)
		pthread_join(threads[i], NULL);
	total = clock_->answers[0];
	memmove(answers + total, answers + TRIE_ANSWERS, clock_->answers[1] * sizeof(*answers));
	answer(answers, (total + clock_->answers[1]) * sizeof(*answers));
}

static void serve(const struct request *req, char *payload)
{
	struct ecbpf_trie_op *entries;
	__u64 bytes;
	size_t count;

	switch (req->op) {
	case OP_BUILD:
		if (ecbpf_trie_build(trie, (void *)payload, req->len / sizeof(*entries)))
			exit(1);
		bytes = ecbpf_trie_bytes(trie);
		answer(&bytes, sizeof(bytes));
		break;
	case OP_CHANGE:
		change((void *)payload, req->len / sizeof(*entries));
		answer(NULL, 0);
		break;
	case OP_ASK:
		do_ask(payload, req->len / sizeof(*questions));
		break;
	case OP_REOPEN:
		ecbpf_trie_close(trie);
		open_table();
		answer(NULL, 0);
		break;
	case OP_ENTRIES:
		if (ecbpf_trie_entries(trie, &entries, &count))
			exit(1);
		answer(entries, count * sizeof(*entries));
		free(entries);
		break;
	case OP_RACE:
		do_race(payload, req->arg, req->len);
		break;
	default:
		errno = EINVAL;
		die("request");
	}
}

int main(int argc, char **argv)
{
	struct request req;

	if (argc != 2)
		return 2;
	load(argv[1]);
	open_table();
	answer(NULL, 0); /* ready */
	while (fread(&req, sizeof(req), 1, stdin) == 1) {
		char *payload = malloc(req.len + 1);

		if (!payload || fread(payload, 1, req.len, stdin) != req.len)
			die("stdin");
		serve(&req, payload);
		free(payload);
	}
	ecbpf_trie_close(trie);
	return 0;
}
