// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes: chunks in a pool of BPF maps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "bpf/trie_layout.h"
#include "core/error.h"
#include "core/handle.h"

struct pool {
	struct ecbpf *e;
	int fd;
	char name[BPF_OBJ_NAME_LEN];	 /* of the table's chunks */
	int fds[ECBPF_TRIE_CHUNKS];	 /* of unpublished chunks, + 1 */
	__u64 *words[ECBPF_TRIE_CHUNKS]; /* mapped */
};

static int pool_chunk_fd(const struct pool *pool, __u32 id)
{
	__u32 map_id;

	if (bpf_map_lookup_elem(pool->fd, &id, &map_id))
		return -errno;
	return bpf_map_get_fd_by_id(map_id);
}

static __u64 *pool_map(struct pool *pool, __u32 id, int fd)
{
	pool->words[id] = ecbpf_map_memory(fd, CHUNK_BYTES);
	return pool->words[id];
}

static __u64 *pool_get(void *data, __u32 id)
{
	struct pool *pool = data;
	_cleanup_close_ int fd = pool_chunk_fd(pool, id);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	return pool_map(pool, id, fd);
}

static __u64 *pool_make(void *data, __u32 id)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct pool *pool = data;
	int fd;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, pool->name, sizeof(__u32), CHUNK_BYTES, 1, &opts);
	if (fd < 0)
		return NULL;
	if (!pool_map(pool, id, fd)) {
		close(fd);
		return NULL;
	}
	pool->fds[id] = fd + 1;
	return pool->words[id];
}

/* In one step where the kernel can (5.15): each update waits for all program runs */
static int pool_publish(void *data, const __u32 *ids, size_t count)
{
	struct pool *pool = data;
	__u32 fds[ECBPF_TRIE_CHUNKS], keys[ECBPF_TRIE_CHUNKS], total = 0, done;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		if (!pool->fds[ids[i]])
			continue;
		keys[total] = ids[i];
		fds[total++] = pool->fds[ids[i]] - 1;
	}
	done = total;
	if (!total)
		return 0;
	if (total == 1 || bpf_map_update_batch(pool->fd, keys, fds, &done, &opts)) {
		for (__u32 i = 0; i < total && !err; i++)
			err = bpf_map_update_elem(pool->fd, &keys[i], &fds[i], BPF_ANY) ? -errno
											: 0;
	}
	for (__u32 i = 0; i < total && !err; i++) {
		close(fds[i]);
		pool->fds[keys[i]] = 0;
	}
	return err;
}

struct deletion {
	int fd;
	const __u32 *ids;
};

static void chunk_delete(void *data, size_t number)
{
	const struct deletion *deletion = data;

	bpf_map_delete_elem(deletion->fd, &deletion->ids[number]);
}

/* No kernel deletes entries of an array of maps in one step, and each one waits */
static void pool_drop(void *data, const __u32 *ids, size_t count)
{
	struct pool *pool = data;
	struct deletion deletion = {.fd = pool->fd, .ids = ids};

	ecbpf_together(count, chunk_delete, &deletion);
	for (size_t i = 0; i < count; i++) {
		if (pool->fds[ids[i]])
			close(pool->fds[ids[i]] - 1);
		pool->fds[ids[i]] = 0;
		if (pool->words[ids[i]])
			munmap(pool->words[ids[i]], CHUNK_BYTES);
		pool->words[ids[i]] = NULL;
	}
}

static bool pool_is_used(void *data, __u32 id)
{
	const struct pool *pool = data;
	__u32 map_id;

	return !bpf_map_lookup_elem(pool->fd, &id, &map_id) || errno != ENOENT;
}

static int pool_is_own(void *data, __u32 id)
{
	const struct pool *pool = data;
	_cleanup_close_ int fd = pool_chunk_fd(pool, id);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : !strcmp(info.name, pool->name);
}

static void pool_wait(void *data)
{
	struct pool *pool = data;

	ecbpf_synchronize(pool->e);
}

static void pool_close(void *data)
{
	struct pool *pool = data;

	for (__u32 id = 0; id < ECBPF_TRIE_CHUNKS; id++) {
		if (pool->fds[id])
			close(pool->fds[id] - 1);
		if (pool->words[id])
			munmap(pool->words[id], CHUNK_BYTES);
	}
	free(pool);
}

const struct ecbpf_trie_memory ecbpf_trie_pool_memory = {
	.get = pool_get,
	.make = pool_make,
	.publish = pool_publish,
	.drop = pool_drop,
	.is_used = pool_is_used,
	.is_own = pool_is_own,
	.wait = pool_wait,
	.close = pool_close,
};

void *ecbpf_trie_pool_open(struct ecbpf *e, int pool_fd, __u32 id)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->e = e;
	pool->fd = pool_fd;
	snprintf(pool->name, sizeof(pool->name), "trie_%u", id);
	return pool;
}

int ecbpf_trie_open(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		    struct ecbpf_trie **ret_trie)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);

	if (!pool)
		return ecbpf_fail_memory(e);
	return ecbpf_trie_open_memory(e, &ecbpf_trie_pool_memory, pool, head, ret_trie);
}

int ecbpf_trie_open_lost(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
			 struct ecbpf_trie **ret_trie)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);

	return pool ? trie_open_lost(e, &ecbpf_trie_pool_memory, pool, head, ret_trie)
		    : ecbpf_fail_memory(e);
}

int ecbpf_trie_check(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);
	struct ecbpf_trie *t;
	int found;

	t = pool ? trie_handle_new(e, &ecbpf_trie_pool_memory, pool, head) : NULL;
	if (!t)
		return ecbpf_fail_memory(e);
	found = trie_generation_check(t);
	if (found < 0)
		trie_fail(t, found);
	ecbpf_trie_close(t);
	return found;
}

int ecbpf_trie_new(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		   struct ecbpf_trie_op *entries, size_t count)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);
	struct ecbpf_trie *t;
	int err;

	t = pool ? trie_handle_new(e, &ecbpf_trie_pool_memory, pool, head) : NULL;
	if (!t)
		return ecbpf_fail_memory(e);
	err = ecbpf_trie_build(t, entries, count);
	ecbpf_trie_close(t);
	return err;
}

int ecbpf_trie_delete(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id)
{
	void *pool = ecbpf_trie_pool_open(e, pool_fd, id);
	__u32 ids[ECBPF_TRIE_CHUNKS], count = 0;

	if (!pool)
		return ecbpf_fail_memory(e);
	/* find the chunks by name: their contents may be incomplete */
	__atomic_store_n(&head->dirty, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&head->roots, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&head->journal_count, 0, __ATOMIC_RELEASE);
	for (__u32 chunk = 0; chunk < ECBPF_TRIE_CHUNKS; chunk++) {
		if (pool_is_used(pool, chunk) && pool_is_own(pool, chunk) > 0)
			ids[count++] = chunk;
	}
	pool_drop(pool, ids, count);
	__atomic_store_n(&head->dirty, 0, __ATOMIC_RELEASE);
	pool_close(pool);
	return 0;
}
