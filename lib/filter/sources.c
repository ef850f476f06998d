// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sources: the data of each prefix of a list, such as tag, expiry and counters. Prefixes are in
 * tables of bpf/trie.h; their values are numbers of struct ecbpf_filter_source, in chunks of
 * another pool.
 *
 * Changes of the tables are atomic. Other data (free sources, parents) is marked dirty while it
 * changes, and rebuilt from the tables if a writer died.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/lock.h"
#include "bpf/map.h"
#include "bpf/percpu.h"
#include "bpf/synchronize.h"
#include "chain/lost.h"
#include "core/error.h"
#include "core/handle.h"
#include "filter/filter.h"

#define CHUNK_SOURCES (sizeof(struct ecbpf_trie_chunk) / sizeof(struct ecbpf_filter_source))

static const struct ecbpf_trie_memory *const memory = &ecbpf_trie_pool_memory;

static __u64 clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC + now.tv_nsec;
}

/* NULL: errno */
struct ecbpf_filter_source *filter_source_get(struct filter_lists *l, __u32 number)
{
	__u32 id = number / CHUNK_SOURCES;

	if (id >= ECBPF_TRIE_CHUNKS) {
		errno = EPROTO;
		return NULL;
	}
	if (!l->chunks[id])
		l->chunks[id] = (void *)memory->get(l->pool, id);
	return l->chunks[id] ? &l->chunks[id][number % CHUNK_SOURCES] : NULL;
}

int filter_fail_sources(struct filter_lists *l, int err)
{
	return ecbpf_fail(l->e, err, "filter_sources: %s",
			  err == -ENOSPC ? "too many prefixes" : strerror(-err));
}

int filter_hits_read(struct filter_lists *l)
{
	_cleanup_close_ int fd = ecbpf_map_open(l->e, "filter_hits", NULL);
	int err;

	free(l->hits);
	l->hits = NULL;
	l->cpus = 0;
	l->is_hits_read = fd == -ENOENT;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = ecbpf_percpu_read(fd, 0, sizeof(*l->hits), (void **)&l->hits, &l->cpus);
	l->is_hits_read = !err;
	return err ? ecbpf_fail(l->e, err, "filter_hits: %s",
				err == -EPROTO ? "of another version of ecbpf" : strerror(-err))
		   : 0;
}

/* Those of a source on a CPU; NULL: none */
static const struct ecbpf_filter_hit *hit_of(const struct filter_lists *l, __u32 number, int cpu)
{
	const struct ecbpf_filter_hit *hit = &l->hits[cpu].at[number & (ECBPF_FILTER_HITS - 1)];

	return hit->number == number ? hit : NULL;
}

int filter_hits_add(struct filter_lists *l, __u32 number, struct ecbpf_filter_source *source)
{
	int err = l->is_hits_read ? 0 : filter_hits_read(l);

	for (int cpu = 0; !err && cpu < l->cpus; cpu++) {
		const struct ecbpf_filter_hit *hit = hit_of(l, number, cpu);

		source->packets += hit ? hit->packets : 0;
		source->bytes += hit ? hit->bytes : 0;
	}
	return err;
}

static bool is_in_hits(const struct filter_lists *l, __u32 number)
{
	for (int cpu = 0; cpu < l->cpus; cpu++)
		if (hit_of(l, number, cpu))
			return true;
	return false;
}

static __u32 link_get(const struct ecbpf_filter_source *source)
{
	__u32 number;

	memcpy(&number, source->tag, sizeof(number));
	return number;
}

static void link_set(struct ecbpf_filter_source *source, __u32 number)
{
	memcpy(source->tag, &number, sizeof(number));
}

static int chunk_make(struct filter_lists *l)
{
	__u32 id = l->head->end / CHUNK_SOURCES;
	__u64 *words;

	if (id >= ECBPF_TRIE_CHUNKS)
		return -ENOSPC;
	words = memory->make(l->pool, id);
	if (!words)
		return -errno;
	l->chunks[id] = (void *)words;
	l->made[l->made_count++] = id;
	l->head->end += CHUNK_SOURCES;
	return 0;
}

int filter_source_new(struct filter_lists *l, struct ecbpf_filter_source **ret)
{
	struct ecbpf_filter_lists *head = l->head;
	__u32 number = head->free;
	int err;

	if (number) {
		*ret = filter_source_get(l, number);
		if (!*ret)
			return -errno;
		head->free = link_get(*ret);
		return number;
	}
	err = head->next == head->end ? chunk_make(l) : 0;
	if (!err && !head->next)
		head->next = 1; /* 0 means none */
	*ret = err ? NULL : filter_source_get(l, head->next);
	if (!*ret)
		return err ?: -errno;
	return head->next++;
}

int filter_source_retire(struct filter_lists *l, __u32 number)
{
	struct ecbpf_filter_lists *head = l->head;
	struct ecbpf_filter_source *source = filter_source_get(l, number);

	if (!source)
		return -errno;
	link_set(source, head->pending);
	if (!head->pending)
		head->pending_last = number;
	head->pending = number;
	head->pending_count++;
	return 0;
}

int filter_sources_free(struct filter_lists *l)
{
	struct ecbpf_filter_lists *head = l->head;
	struct ecbpf_filter_source *source;
	__u32 number = head->pending, next, kept = 0;
	int err;

	ecbpf_synchronize(l->e);
	err = filter_hits_read(l); /* from now on, none of the retired ones gets into it */
	if (err)
		return err;
	/* a million of them are not in the CPU's cache: each is visited once */
	for (; number; number = next) {
		__u32 *to = is_in_hits(l, number) ? &kept : &head->free;

		source = filter_source_get(l, number);
		if (!source) {
			err = -errno;
			break;
		}
		next = link_get(source);
		link_set(source, *to);
		*to = number;
		head->pending_count--;
	}
	head->pending = number; /* those that could not be visited stay */
	for (number = kept; number && (source = filter_source_get(l, number)); number = next) {
		next = link_get(source);
		filter_source_retire(l, number);
	}
	return err;
}

static bool op_has(const struct ecbpf_trie_op *outer, const struct ecbpf_trie_op *inner)
{
	__u64 hi = outer->hi ^ inner->hi, lo = outer->lo ^ inner->lo;

	if (outer->family != inner->family || outer->len > inner->len)
		return false;
	if (outer->len <= 64)
		return !outer->len || !(hi >> (64 - outer->len));
	return !hi && !(lo >> (128 - outer->len));
}

/*
 * Set the parents of all prefixes of a list. They are sorted: covering prefixes come first.
 */
int filter_parents_set(struct filter_lists *l, __u32 list, const struct ecbpf_trie_op *ops,
		       size_t count)
{
	const struct ecbpf_trie_op *path[130];
	__u64 first = 0;
	__u32 expiring = 0;
	int depth = 0;

	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_source *source = filter_source_get(l, ops[i].value), *above;
		__u32 parent = 0;

		if (!source)
			return filter_fail_sources(l, -errno);
		while (depth && !op_has(path[depth - 1], &ops[i]))
			depth--;
		if (source->expires) {
			expiring++;
			if (!first || source->expires < first)
				first = source->expires;
			for (int n = depth; n && !parent; n--) {
				above = filter_source_get(l, path[n - 1]->value);
				if (!above)
					return filter_fail_sources(l, -errno);
				if (!above->expires || above->expires > source->expires)
					parent = path[n - 1]->value;
			}
			__atomic_store_n(&source->parent, parent, __ATOMIC_RELAXED);
		}
		path[depth++] = &ops[i];
	}
	l->head->expiring[list] = expiring;
	l->head->first_expiry[list] = first;
	return 0;
}

/* Behind all chunks, and behind @last, a source whose chunk may have been removed; 0: none */
static __u32 sources_end(const struct filter_lists *l, __u32 last)
{
	__u32 end = ECBPF_TRIE_CHUNKS, least = last ? last / CHUNK_SOURCES + 1 : 0;

	while (end > least && !memory->is_used(l->pool, end - 1))
		end--;
	return end * CHUNK_SOURCES;
}

void filter_sources_skip(struct filter_lists *l)
{
	__u32 end = sources_end(l, 0);

	if (l->head->end < end)
		l->head->end = end;
	l->head->next = l->head->end;
	l->head->free = 0;
}

/* Note the sources of a list as used. Of one that is lost, all that can be found out */
static int sources_note(struct filter_lists *l, __u32 list, __u8 *used)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	size_t count = 0;
	int err = 0;

	if (!ecbpf_trie_is_lost(l->tries[list]))
		err = ecbpf_trie_entries(l->tries[list], &ops, &count);
	for (size_t i = 0; i < count && !err; i++) {
		used[ops[i].value & ECBPF_TRIE_VALUE_MAX] = 1;
		if (ops[i].value >= l->head->next)
			l->head->next = ops[i].value + 1;
	}
	return err || l->is_lost[list] ? err : filter_parents_set(l, list, ops, count);
}

/* A chunk that somebody else removed is made again if no list that is lost has sources in it */
static int chunks_fill(struct filter_lists *l, const __u8 *used)
{
	__u32 ids[ECBPF_TRIE_CHUNKS], count = 0;
	int err;

	for (__u32 id = 0; id < l->head->end / CHUNK_SOURCES; id++) {
		if (memory->is_used(l->pool, id) ||
		    memchr(used + id * CHUNK_SOURCES, 1, CHUNK_SOURCES))
			continue;
		if (!memory->make(l->pool, id))
			return filter_fail_sources(l, -errno);
		ids[count++] = id;
	}
	err = count ? memory->publish(l->pool, ids, count) : 0;
	return err ? filter_fail_sources(l, err) : 0;
}

int filter_lists_repair(struct filter_lists *l)
{
	_cleanup_free_ __u8 *used = calloc(1, ECBPF_TRIE_VALUE_MAX + 1);
	struct ecbpf_filter_lists *head = l->head;
	int err = 0;

	if (!used)
		return ecbpf_fail_memory(l->e);
	head->next = 1;
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS && !err; list++)
		err = sources_note(l, list, used);
	if (err)
		return err;
	head->end = sources_end(l, head->next - 1);
	err = chunks_fill(l, used);
	if (err)
		return err;
	ecbpf_synchronize(l->e);
	err = filter_hits_read(l);
	if (err)
		return err;
	head->free = head->pending = head->pending_count = 0;
	for (__u32 number = 1; number < head->next; number++) {
		struct ecbpf_filter_source *source =
			used[number] ? NULL : filter_source_get(l, number);

		if (!source)
			continue;
		if (is_in_hits(l, number)) {
			filter_source_retire(l, number);
			continue;
		}
		link_set(source, head->free);
		head->free = number;
	}
	/* not in a chunk that is missing */
	if (head->next > head->end || !filter_source_get(l, head->next))
		head->next = head->end;
	__atomic_store_n(&head->dirty, 0, __ATOMIC_RELEASE);
	return 0;
}

static void maps_close(struct filter_lists *l)
{
	close_fd(&l->lists_fd);
	close_fd(&l->tries_fd);
	close_fd(&l->sources_fd);
	l->lists_fd = l->tries_fd = l->sources_fd = -1;
}

void filter_lists_close(struct filter_lists *l)
{
	for (int list = 0; list < ECBPF_FILTER_LISTS; list++)
		ecbpf_trie_close(l->tries[list]);
	if (l->pool)
		memory->close(l->pool);
	free(l->hits);
	ecbpf_view_close(&l->view);
	maps_close(l);
	close_fd(&l->lock);
}

/* Return: 0, with *ret -1 if the map does not exist; or -errno */
static int map_get(struct filter_lists *l, const char *name, __u32 value_size, int *ret)
{
	struct bpf_map_info info = {};

	*ret = ecbpf_map_open(l->e, name, &info);
	if (*ret < 0)
		return *ret == -ENOENT ? 0 : *ret;
	if (info.value_size != value_size)
		return ecbpf_fail(l->e, -EPROTO, "map %s: of another version of ecbpf", name);
	return 0;
}

static int maps_get(struct filter_lists *l)
{
	int err;

	err = map_get(l, "filter_lists", sizeof(*l->head), &l->lists_fd);
	if (!err)
		err = map_get(l, "filter_tries", sizeof(__u32), &l->tries_fd);
	return err ?: map_get(l, "filter_sources", sizeof(__u32), &l->sources_fd);
}

static int view_open(struct filter_lists *l)
{
	int err = ecbpf_view_open(l->e, l->lists_fd, "filter_lists", sizeof(*l->head), &l->view);

	l->head = l->view.at;
	return err;
}

/* Open the pinned maps. Only if one is missing, make those of the stage, which takes long */
static int maps_open(struct filter_lists *l)
{
	struct bpf_object *obj;
	int err;

	err = maps_get(l);
	if (!err && (l->lists_fd < 0 || l->tries_fd < 0 || l->sources_fd < 0)) {
		err = ecbpf_stage_maps(l->e, "filter", &obj);
		if (err)
			return err;
		bpf_object__close(obj);
		maps_close(l);
		err = maps_get(l);
	}
	return err ? err : view_open(l);
}

/* Chunks of sources that are missing. Return: whether there is one */
static bool chunks_gone(const struct filter_lists *l, bool gone[ECBPF_TRIE_CHUNKS])
{
	bool has_gone = false;

	for (__u32 id = 0; id < ECBPF_TRIE_CHUNKS; id++) {
		gone[id] = id < l->head->end / CHUNK_SOURCES && !memory->is_used(l->pool, id);
		has_gone |= gone[id];
	}
	return has_gone;
}

/* Has a list sources in chunks that are missing? Return: 1, 0 or -errno */
static int trie_is_in(struct ecbpf_trie *trie, const bool gone[ECBPF_TRIE_CHUNKS])
{
	_cleanup_free_ __u32 *values = NULL;
	size_t count = 0;
	int found = ecbpf_trie_values(trie, &values, &count);

	for (size_t i = 0; i < count && !found; i++)
		found = gone[(values[i] & ECBPF_TRIE_VALUE_MAX) / CHUNK_SOURCES];
	return found;
}

/* A table that was being changed is not opened: that would complete the change */
int filter_list_is_lost(struct ecbpf *e, __u32 list)
{
	struct filter_lists l cleanup_filter_lists = FILTER_LISTS_INIT;
	const struct ecbpf_trie_head *head;
	bool gone[ECBPF_TRIE_CHUNKS];
	int found;

	l.e = e;
	found = maps_get(&l);
	if (found || l.lists_fd < 0 || l.tries_fd < 0 || l.sources_fd < 0)
		return found;
	found = view_open(&l);
	if (!found)
		found = ecbpf_trie_check(e, l.tries_fd, &l.head->tables[list], list);
	if (found)
		return found;
	l.pool = ecbpf_trie_pool_open(e, l.sources_fd, 2);
	if (!l.pool)
		return ecbpf_fail_memory(e);
	head = &l.head->tables[list];
	if (!chunks_gone(&l, gone) || !head->roots)
		return 0;
	if (head->dirty || head->journal_count)
		return 1;
	found = ecbpf_trie_open(e, l.tries_fd, &l.head->tables[list], list, &l.tries[list]);
	return found ? found : trie_is_in(l.tries[list], gone);
}

int filter_list_check(const struct filter_lists *l, __u32 list)
{
	const char *name = filter_list_names[list];

	if (!l->is_lost[list])
		return 0;
	return ecbpf_fail(
		l->e, -ENODATA,
		"parts of the %s list were removed from ecbpf's maps, and not all packets "
		"are handled by it: 'ecbpf-filter %s import --replace' repairs it, or "
		"'ecbpf-loader apply' if it is of a file",
		name, name);
}

/* Return: 1 chunks of sources are missing, and lists that have some in them are noted; 0; errors */
static int losses_find(struct filter_lists *l)
{
	bool gone[ECBPF_TRIE_CHUNKS], has_gone = chunks_gone(l, gone);

	for (__u32 list = 0; list < ECBPF_FILTER_LISTS; list++) {
		int found = ecbpf_trie_is_lost(l->tries[list]);

		if (!found && has_gone)
			found = trie_is_in(l->tries[list], gone);
		if (found < 0)
			return found;
		l->is_lost[list] = found;
	}
	return has_gone;
}

int filter_lists_open(struct ecbpf *e, struct filter_lists *l)
{
	bool was_dirty;
	int err;

	l->e = e;
	l->now = clock_ns(CLOCK_MONOTONIC);
	l->offset = clock_ns(CLOCK_REALTIME) - l->now;
	ecbpf_capture(e);
	l->lock = ecbpf_lock_make(e);
	if (l->lock < 0)
		return l->lock;
	err = maps_open(l);
	if (err)
		return err;
	l->pool = ecbpf_trie_pool_open(e, l->sources_fd, 2);
	if (!l->pool)
		return ecbpf_fail_memory(e);
	was_dirty = l->head->dirty;
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS && !err; list++)
		err = ecbpf_trie_open_lost(e, l->tries_fd, &l->head->tables[list], list,
					   &l->tries[list]);
	if (!err)
		err = losses_find(l);
	if (err < 0 || (!err && !was_dirty))
		return err;
	__atomic_store_n(&l->head->dirty, 1, __ATOMIC_RELEASE);
	return filter_lists_repair(l);
}
