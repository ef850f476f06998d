// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Waiting until running BPF programs have finished: once, for one change or for many. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/synchronize.h"
#include "core/handle.h"

#define THREADS_MAX  128
#define THREAD_STACK 131072 /* bytes */

/*
 * The kernel does this for those who update a map of maps, so that they know which inner map is in
 * use (bpf_map_update_elem(), since Linux 5.0).
 */
void ecbpf_synchronize(struct ecbpf *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	__u32 key = 0;
	int inner, outer = -1;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ecbpf_wait", sizeof(key), sizeof(key), 1, NULL);
	if (inner >= 0) {
		opts.inner_map_fd = inner;
		outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "ecbpf_wait", sizeof(key),
				       sizeof(key), 1, &opts);
	}
	if (outer < 0 || bpf_map_update_elem(outer, &key, &inner, BPF_ANY)) {
		ecbpf_log(e, ECBPF_LOG_WARN, "cannot wait for packets on their way: %s",
			  strerror(errno));
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000L}, NULL);
	}
	close_fd(&outer);
	close_fd(&inner);
}

/*
 * A program that is not used any more is freed after a grace period, and its maps with it
 * (__bpf_prog_put_noref(), call_rcu()). So the id of a map that only such a program has is there
 * until then. Ids are used again only after 2^31 others; then it seems to last longer.
 */
__u32 ecbpf_grace_begin(void)
{
	struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD},
		{},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_map_info info = {};
	_cleanup_close_ int map = -1, prog = -1;

	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ecbpf_grace", sizeof(__u32), sizeof(__u32), 1,
			     NULL);
	if (map < 0 || ecbpf_map_info(map, &info))
		return 0;
	insns[0].imm = map;
	prog = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "ecbpf_grace", "Dual BSD/GPL", insns,
			     ARRAY_SIZE(insns), NULL);
	return prog < 0 ? 0 : info.id;
}

bool ecbpf_grace_is_over(__u32 number)
{
	_cleanup_close_ int fd = bpf_map_get_fd_by_id(number);

	return fd < 0 && errno == ENOENT;
}

struct together {
	size_t next;
	size_t count;
	void (*fn)(void *data, size_t number);
	void *data;
};

static void *together_run(void *data)
{
	struct together *t = data;
	size_t number;

	while ((number = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED)) < t->count)
		t->fn(t->data, number);
	return NULL;
}

void ecbpf_together(size_t count, void (*fn)(void *data, size_t number), void *data)
{
	struct together t = {.count = count, .fn = fn, .data = data};
	pthread_t threads[THREADS_MAX];
	sigset_t all, before;
	size_t made = 0;
	pthread_attr_t attr;

	/* signals are for the threads of the caller */
	sigfillset(&all);
	if (count > 1 && !pthread_attr_init(&attr)) {
		pthread_attr_setstacksize(&attr, THREAD_STACK);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		while (made < THREADS_MAX && made + 1 < count &&
		       !pthread_create(&threads[made], &attr, together_run, &t))
			made++;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		pthread_attr_destroy(&attr);
	}
	together_run(&t);
	while (made)
		pthread_join(threads[--made], NULL);
}
