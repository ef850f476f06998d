// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage filter: lists of sources. Prefixes are in tables of trie.c, which say the number of a
 * struct ecbpf_filter_source; these are kept in chunks of a pool of their own.
 *
 * The tables' changes are atomic. What else is written (which sources are free, parents) is marked
 * dirty meanwhile, and found anew from the tables when a writer died.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "core/internal.h"
#include <ecbpf/libecbpf-filter.h>
#include "bpf/trie.h"

#define NSEC	       1000000000LL
#define CHUNK_SOURCES  (sizeof(struct ecbpf_trie_chunk) / sizeof(struct ecbpf_filter_source))
#define PENDING_ENOUGH 1024 /* to wait for packets */

struct lists {
	struct ecbpf *e;
	int lists_fd, tries_fd, sources_fd;
	struct ecbpf_filter_lists *head;
	struct ecbpf_trie *tries[ECBPF_FILTER_LISTS];
	void *pool;					       /* of sources */
	struct ecbpf_filter_source *chunks[ECBPF_TRIE_CHUNKS]; /* mapped so far */
	__u32 made[ECBPF_TRIE_CHUNKS]; /* chunks that are not published yet */
	size_t made_count;
	__u64 now;    /* CLOCK_MONOTONIC */
	__s64 offset; /* of the time since 1970 to it, ns */
	int lock;
};

/* An input, or an entry of a table; sorted by prefix */
struct change {
	struct ecbpf_trie_op op; /* value: 0 to delete */
	__u32 old;		 /* source that it had; 0: none */
};

static const struct ecbpf_trie_memory *const memory = &ecbpf_trie_pool_memory;

static __u64 clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC + now.tv_nsec;
}

/* --- sources ---------------------------------------------------------------------------------- */

/* NULL: errno */
static struct ecbpf_filter_source *source_get(struct lists *l, __u32 number)
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

static int fail_sources(struct lists *l, int err)
{
	return ecbpf_fail(l->e, err, "filter_sources: %s",
			  err == -ENOSPC ? "too many prefixes" : strerror(-err));
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

static int chunk_make(struct lists *l)
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

/* A source that no packet looks at. Return: number or -errno */
static int source_new(struct lists *l, struct ecbpf_filter_source **ret)
{
	struct ecbpf_filter_lists *head = l->head;
	__u32 number = head->free;
	int err;

	if (number) {
		*ret = source_get(l, number);
		if (!*ret)
			return -errno;
		head->free = link_get(*ret);
		return number;
	}
	err = head->next == head->end ? chunk_make(l) : 0;
	if (!err && !head->next)
		head->next = 1; /* 0 is none */
	*ret = err ? NULL : source_get(l, head->next);
	if (!*ret)
		return err ?: -errno;
	return head->next++;
}

/* It is in no table any more; packets may still look at it */
static int source_retire(struct lists *l, __u32 number)
{
	struct ecbpf_filter_lists *head = l->head;
	struct ecbpf_filter_source *source = source_get(l, number);

	if (!source)
		return -errno;
	link_set(source, head->pending);
	if (!head->pending)
		head->pending_last = number;
	head->pending = number;
	head->pending_count++;
	return 0;
}

static int pending_free(struct lists *l)
{
	struct ecbpf_filter_lists *head = l->head;
	struct ecbpf_filter_source *last = source_get(l, head->pending_last);

	if (!last)
		return -errno;
	ecbpf_wait_for_packets(l->e);
	link_set(last, head->free);
	head->free = head->pending;
	head->pending = 0;
	head->pending_count = 0;
	return 0;
}

/* --- parents, and what else is found from the tables ------------------------------------------ */

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
 * Of all prefixes of a list, as they will be. Sorted: those that one lies in come before it.
 */
static int parents_set(struct lists *l, __u32 list, const struct ecbpf_trie_op *ops, size_t count)
{
	const struct ecbpf_trie_op *path[130];
	__u64 first = 0;
	__u32 expiring = 0;
	int depth = 0;

	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_source *source = source_get(l, ops[i].value), *above;
		__u32 parent = 0;

		if (!source)
			return fail_sources(l, -errno);
		while (depth && !op_has(path[depth - 1], &ops[i]))
			depth--;
		if (source->expires) {
			expiring++;
			if (!first || source->expires < first)
				first = source->expires;
			for (int n = depth; n && !parent; n--) {
				above = source_get(l, path[n - 1]->value);
				if (!above)
					return fail_sources(l, -errno);
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

/* After a writer died or failed: whatever is in no table is free */
static int repair(struct lists *l)
{
	_cleanup_free_ __u8 *used = calloc(1, ECBPF_TRIE_VALUE_MAX + 1);
	struct ecbpf_filter_lists *head = l->head;
	__u32 chunks = 0;
	int err = 0;

	if (!used)
		return ecbpf_fail(l->e, -ENOMEM, "out of memory");
	while (chunks < ECBPF_TRIE_CHUNKS && memory->is_used(l->pool, chunks))
		chunks++;
	head->end = chunks * CHUNK_SOURCES;
	head->next = 1;
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS && !err; list++) {
		_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
		size_t count = 0;

		err = ecbpf_trie_entries(l->tries[list], &ops, &count);
		for (size_t i = 0; i < count && !err; i++) {
			used[ops[i].value & ECBPF_TRIE_VALUE_MAX] = 1;
			if (ops[i].value >= head->next)
				head->next = ops[i].value + 1;
		}
		if (!err)
			err = parents_set(l, list, ops, count);
	}
	if (err)
		return err;
	ecbpf_wait_for_packets(l->e);
	head->free = head->pending = head->pending_count = 0;
	for (__u32 number = 1; number < head->next; number++) {
		struct ecbpf_filter_source *source = used[number] ? NULL : source_get(l, number);

		if (!source)
			continue;
		link_set(source, head->free);
		head->free = number;
	}
	if (head->end < head->next)
		head->next = head->end;
	__atomic_store_n(&head->dirty, 0, __ATOMIC_RELEASE);
	return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void maps_close(struct lists *l)
{
	cleanup_close(&l->lists_fd);
	cleanup_close(&l->tries_fd);
	cleanup_close(&l->sources_fd);
	l->lists_fd = l->tries_fd = l->sources_fd = -1;
}

static void lists_close(struct lists *l)
{
	for (int list = 0; list < ECBPF_FILTER_LISTS; list++)
		ecbpf_trie_close(l->tries[list]);
	if (l->pool)
		memory->close(l->pool);
	if (l->head)
		munmap(l->head, sizeof(*l->head));
	maps_close(l);
	cleanup_close(&l->lock);
}
#define cleanup_lists __attribute__((cleanup(lists_close)))
#define LISTS_INIT                                                           \
	{                                                                    \
		.lists_fd = -1, .tries_fd = -1, .sources_fd = -1, .lock = -1 \
	}

/* Return: 0, *ret is -1 if there is no such map yet; or -errno */
static int map_get(struct lists *l, const char *name, __u32 value_size, int *ret)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_MAX];
	int err;

	err = ecbpf_pin_path(l->e, path, sizeof(path), name);
	if (!err)
		err = ecbpf_pinned_map_check(l->e, path, NULL);
	if (err)
		return err;
	*ret = bpf_obj_get(path);
	if (*ret < 0)
		return errno == ENOENT ? 0
				       : ecbpf_fail(l->e, -errno, "%s: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(*ret, &info, &len))
		return ecbpf_fail(l->e, -errno, "%s: %s", path, strerror(errno));
	if (info.value_size != value_size)
		return ecbpf_fail(l->e, -EPROTO, "%s: is not a map of this ecbpf", path);
	return 0;
}

static int maps_get(struct lists *l)
{
	int err;

	err = map_get(l, "filter_lists", sizeof(*l->head), &l->lists_fd);
	if (!err)
		err = map_get(l, "filter_tries", sizeof(__u32), &l->tries_fd);
	return err ?: map_get(l, "filter_sources", sizeof(__u32), &l->sources_fd);
}

/* The maps by their pins: the whole stage, to make them, takes as long as all else of a change */
static int maps_open(struct lists *l)
{
	struct bpf_object *obj;
	void *head;
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
	if (err)
		return err;
	head = mmap(NULL, sizeof(*l->head), PROT_READ | PROT_WRITE, MAP_SHARED, l->lists_fd, 0);
	if (head == MAP_FAILED) {
		ecbpf_fail(l->e, -ENOMEM, "filter_lists: %s", strerror(errno));
		return -ENOMEM;
	}
	l->head = head;
	return 0;
}

/* To be closed in any case */
static int lists_open(struct ecbpf *e, struct lists *l)
{
	bool was_dirty;
	int err;

	l->e = e;
	l->now = clock_ns(CLOCK_MONOTONIC);
	l->offset = clock_ns(CLOCK_REALTIME) - l->now;
	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	l->lock = ecbpf_lock(e);
	if (l->lock < 0)
		return l->lock;
	err = maps_open(l);
	if (err)
		return err;
	l->pool = ecbpf_trie_pool_open(e, l->sources_fd, 2);
	if (!l->pool)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	was_dirty = l->head->dirty;
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS && !err; list++)
		err = ecbpf_trie_open(e, l->tries_fd, &l->head->tables[list], list,
				      &l->tries[list]);
	return err || !was_dirty ? err : repair(l);
}

/* --- entries ---------------------------------------------------------------------------------- */

static __u64 load_be64(const __u8 *from)
{
	__u64 value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

static struct ecbpf_trie_op entry_op(const struct ecbpf_filter_entry *entry)
{
	struct ecbpf_trie_op op = {.family = entry->family, .len = entry->len};

	op.hi = load_be64(entry->addr);
	if (entry->family == 6)
		op.lo = load_be64(entry->addr + 8);
	return op;
}

static void entry_set(const struct lists *l, const struct ecbpf_trie_op *op,
		      const struct ecbpf_filter_source *source, struct ecbpf_filter_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->family = op->family;
	entry->len = op->len;
	for (int i = 0; i < 8; i++) {
		entry->addr[i] = op->hi >> (56 - 8 * i);
		entry->addr[i + 8] = op->lo >> (56 - 8 * i);
	}
	memcpy(entry->tag, source->tag, ECBPF_FILTER_TAG_MAX);
	if (source->expires)
		entry->expires = (source->expires + l->offset + NSEC / 2) / NSEC;
	entry->loaded = source->loaded;
	entry->packets = source->packets;
	entry->bytes = source->bytes;
}

/* Clear what is behind the length. Return: was there anything? */
static bool entry_mask(struct ecbpf_filter_entry *entry)
{
	bool found = false;

	for (int i = 0; i < 16; i++) {
		int bits = entry->len - 8 * i;
		__u8 mask = bits >= 8 ? 0xff : bits <= 0 ? 0 : 0xff << (8 - bits);

		found |= entry->addr[i] & ~mask;
		entry->addr[i] &= mask;
	}
	return found;
}

int ecbpf_filter_entry_parse(struct ecbpf *e, const char *text, struct ecbpf_filter_entry *ret,
			     bool *ret_host_bits)
{
	struct ecbpf_filter_entry entry = {};
	const char *slash = strchrnul(text, '/');
	char addr[INET6_ADDRSTRLEN], *end = "";
	unsigned long len, max;

	/* what is cut is no address any more: it has all the characters that the longest one has */
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	entry.family = strchr(addr, ':') ? 6 : 4;
	if (inet_pton(entry.family == 6 ? AF_INET6 : AF_INET, addr, entry.addr) != 1)
		return ecbpf_fail(e, -EINVAL,
				  "'%s' is neither an IPv4 nor an IPv6 address or prefix", text);
	max = entry.family == 6 ? 128 : 32;
	len = *slash ? strtoul(slash + 1, &end, 10) : max;
	if ((*slash && (slash[1] < '0' || slash[1] > '9')) || *end || len > max)
		return ecbpf_fail(e, -EINVAL, "'%s': the length of the prefix is not 0 to %lu",
				  text, max);
	entry.len = len;
	*ret_host_bits = entry_mask(&entry);
	*ret = entry;
	return 0;
}

void ecbpf_filter_entry_format(const struct ecbpf_filter_entry *entry, char *ret, size_t size)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(entry->family == 6 ? AF_INET6 : AF_INET, entry->addr, addr, sizeof(addr));
	if (entry->len == (entry->family == 6 ? 128 : 32))
		snprintf(ret, size, "%s", addr);
	else
		snprintf(ret, size, "%s/%u", addr, entry->len);
}

static int entry_check(struct ecbpf *e, const struct ecbpf_filter_entry *entry)
{
	struct ecbpf_filter_entry masked = *entry;
	size_t len = strnlen(entry->tag, sizeof(entry->tag));

	if ((entry->family != 4 && entry->family != 6) ||
	    entry->len > (entry->family == 6 ? 128 : 32) || entry_mask(&masked))
		return ecbpf_fail(e, -EINVAL, "not a prefix");
	if (len > ECBPF_FILTER_TAG_MAX)
		return ecbpf_fail(e, -EINVAL, "a tag has %d characters at most",
				  ECBPF_FILTER_TAG_MAX);
	for (size_t i = 0; i < len; i++)
		if (entry->tag[i] <= ' ' || entry->tag[i] > '~' || entry->tag[i] == '#')
			return ecbpf_fail(e, -EINVAL,
					  "tag '%s': blanks, '#' and what is not ASCII are not "
					  "allowed",
					  entry->tag);
	return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Equal prefixes in the order of the call */
static int change_compare(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int cmp = ecbpf_trie_compare(&x->op, &y->op);

	return cmp ? cmp : x->op.value < y->op.value ? -1 : x->op.value > y->op.value;
}

/* Sorted, none twice: the last one counts */
static int changes_make(struct lists *l, const struct ecbpf_filter_entry *entries, size_t count,
			struct change **ret, size_t *ret_count)
{
	struct change *changes = calloc(count + 1, sizeof(*changes));
	size_t kept = 0;

	if (!changes)
		return ecbpf_fail(l->e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		changes[i].op = entry_op(&entries[i]);
		changes[i].op.value = i + 1;
	}
	qsort(changes, count, sizeof(*changes), change_compare);
	for (size_t i = 0; i < count; i++) {
		if (i + 1 == count || ecbpf_trie_compare(&changes[i].op, &changes[i + 1].op))
			changes[kept++] = changes[i];
	}
	*ret = changes;
	*ret_count = kept;
	return 0;
}

/* The source for an entry: the one that there is if it is the same. Return: number or -errno */
static int source_for(struct lists *l, const struct ecbpf_filter_entry *entry, __u32 old_number,
		      struct ecbpf_filter_changes *changes)
{
	struct ecbpf_filter_source fresh = {.loaded = (l->now + l->offset) / NSEC}, *source;
	const struct ecbpf_filter_source *old = NULL;
	int number;

	if (old_number) {
		old = source_get(l, old_number);
		if (!old)
			return -errno;
	}
	if (old && old->expires && old->expires <= l->now)
		old = NULL; /* nobody would see that it goes on */
	if (old) {
		__u64 expires = old->expires ? (old->expires + l->offset + NSEC / 2) / NSEC : 0;

		if (expires == entry->expires && !strcmp(old->tag, entry->tag)) {
			changes->same++;
			return old_number;
		}
		fresh.packets = old->packets;
		fresh.bytes = old->bytes;
		fresh.loaded = old->loaded;
		changes->updated++;
	} else {
		changes->added++;
	}
	/* an expiry that is over already: not 0, which would be never */
	if (entry->expires)
		fresh.expires = (__s64)(entry->expires * NSEC) > l->offset
					? entry->expires * NSEC - l->offset
					: 1;
	strcpy(fresh.tag, entry->tag);
	number = source_new(l, &source);
	if (source)
		*source = fresh;
	return number;
}

/* Does a longer-lived or any prefix of the table lie above? Return: its source; 0: none */
static __u32 cover_of(struct lists *l, __u32 list, const struct ecbpf_trie_op *op, __u64 expires)
{
	__u32 match = 0;

	/* tells most times, and looks at few chunks, each of which takes its time to map */
	if (!ecbpf_trie_match(l->tries[list], op, &match))
		return 0;
	for (int len = match < op->len ? (int)match : op->len - 1; len >= 0; len--) {
		struct ecbpf_trie_op cut = {.family = op->family, .len = len};
		const struct ecbpf_filter_source *source;
		__u32 number;

		cut.hi = len >= 64 ? op->hi : len ? op->hi & ~0ULL << (64 - len) : 0;
		cut.lo = len > 64 ? op->lo & ~0ULL << (128 - len) : 0;
		number = ecbpf_trie_find(l->tries[list], &cut);
		source = number ? source_get(l, number) : NULL;
		if (source && (!source->expires || source->expires > expires))
			return number;
	}
	return 0;
}

/* What the table will be: @changes are sorted. What has expired is left out. @is_replace: nothing
 * but @changes */
static int after_make(struct lists *l, __u32 list, const struct change *changes, size_t count,
		      bool is_replace, struct ecbpf_trie_op **ret, size_t *ret_count,
		      __u32 *retired, size_t *retired_count)
{
	_cleanup_free_ struct ecbpf_trie_op *old = NULL;
	size_t old_count, i = 0, j = 0, kept = 0;
	struct ecbpf_trie_op *after;
	int err;

	err = ecbpf_trie_entries(l->tries[list], &old, &old_count);
	if (err)
		return err;
	after = malloc((old_count + count + 1) * sizeof(*after));
	if (!after)
		return ecbpf_fail(l->e, -ENOMEM, "out of memory");
	while (i < old_count || j < count) {
		int cmp = i == old_count ? 1
			  : j == count	 ? -1
					 : ecbpf_trie_compare(&old[i], &changes[j].op);
		const struct ecbpf_filter_source *source;

		if (cmp >= 0) {
			if (changes[j].op.value)
				after[kept++] = changes[j].op;
			j++;
			i += !cmp;
			continue;
		}
		source = source_get(l, old[i].value);
		if (!is_replace && source && (!source->expires || source->expires > l->now))
			after[kept++] = old[i];
		else
			retired[(*retired_count)++] = old[i].value;
		i++;
	}
	*ret = after;
	*ret_count = kept;
	return 0;
}

static int changes_do(struct lists *l, __u32 list, const struct change *changes, size_t count,
		      bool is_replace, size_t *ret_swept)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	_cleanup_free_ __u32 *retired = NULL;
	struct ecbpf_filter_lists *head = l->head;
	__u64 first = head->first_expiry[list];
	bool is_sweep = head->expiring[list] && first <= l->now, is_all = is_replace || is_sweep;
	size_t retired_count = 0, total;
	int err = 0;

	total = ecbpf_trie_count(l->tries[list], 4) + ecbpf_trie_count(l->tries[list], 6) + count;
	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_filter_source *source;
		bool is_host = changes[i].op.len == (changes[i].op.family == 6 ? 128 : 32);

		source = source_get(l, changes[i].op.value ?: changes[i].old);
		if (!source)
			return fail_sources(l, -errno);
		is_all |= head->expiring[list] && !is_host;
		is_all |= source->expires && (count > 1 || !is_host);
		source = changes[i].old ? source_get(l, changes[i].old) : NULL;
		is_all |= source && source->expires && count > 1;
	}
	is_all |= count > ECBPF_TRIE_JOURNAL;
	retired = malloc((total + 1) * sizeof(*retired));
	if (!retired)
		return ecbpf_fail(l->e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (changes[i].old && changes[i].old != changes[i].op.value)
			retired[retired_count++] = changes[i].old;

	*ret_swept = 0;
	if (is_all) {
		size_t before = retired_count, after = 0;

		err = after_make(l, list, changes, count, is_replace, &ops, &after, retired,
				 &retired_count);
		*ret_swept = retired_count - before;
		if (!err)
			err = parents_set(l, list, ops, after);
		if (err)
			return err;
		if (is_replace || count > ECBPF_TRIE_JOURNAL || *ret_swept) {
			err = ecbpf_trie_build(l->tries[list], ops, after);
			goto out;
		}
	} else if (count == 1 && changes->op.value != changes->old) {
		/* one address, in nobody's way */
		struct ecbpf_filter_source *source =
			source_get(l, changes->op.value ?: changes->old);
		const struct ecbpf_filter_source *old =
			changes->old ? source_get(l, changes->old) : NULL;

		if (old && old->expires)
			head->expiring[list]--;
		if (changes->op.value && source->expires) {
			source->parent = cover_of(l, list, &changes->op, source->expires);
			head->expiring[list]++;
			if (!first || source->expires < first)
				head->first_expiry[list] = source->expires;
		}
	}
	free(ops);
	ops = malloc((count + 1) * sizeof(*ops));
	if (!ops)
		return ecbpf_fail(l->e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		ops[i] = changes[i].op;
	err = ecbpf_trie_change(l->tries[list], ops, count);
out:
	for (size_t i = 0; i < retired_count && !err; i++)
		if (source_retire(l, retired[i]))
			err = fail_sources(l, -errno);
	if (!err && l->head->pending_count > PENDING_ENOUGH && pending_free(l))
		err = fail_sources(l, -errno);
	return err;
}

static int sources_publish(struct lists *l)
{
	int err = l->made_count ? memory->publish(l->pool, l->made, l->made_count) : 0;

	if (err)
		return fail_sources(l, err);
	l->made_count = 0;
	return 0;
}

static int list_change(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
		       size_t count, bool is_replace, struct ecbpf_filter_changes *ret_changes)
{
	struct lists l cleanup_lists = LISTS_INIT;
	struct ecbpf_filter_changes sums = {};
	_cleanup_free_ struct change *changes = NULL;
	size_t unique = 0, swept = 0;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = entry_check(e, &entries[i]);
	if (!err)
		err = lists_open(e, &l);
	if (!err)
		err = changes_make(&l, entries, count, &changes, &unique);
	if (err)
		return err;
	sums.same = count - unique;
	__atomic_store_n(&l.head->dirty, 1, __ATOMIC_RELEASE);
	for (size_t i = 0; i < unique; i++) {
		struct change *change = &changes[i];
		__u64 added = sums.added;
		int number;

		change->old = ecbpf_trie_find(l.tries[list], &change->op);
		number = source_for(&l, &entries[change->op.value - 1], change->old, &sums);
		if (number < 0) {
			err = fail_sources(&l, number);
			break;
		}
		change->op.value = number;
		/* of many, it takes longer than all else */
		if (sums.added > added && unique <= ECBPF_TRIE_JOURNAL)
			sums.covered += !!cover_of(&l, list, &change->op, l.now);
	}
	if (!err)
		err = sources_publish(&l);
	if (!err)
		err = changes_do(&l, list, changes, unique, is_replace, &swept);
	if (err) {
		char text[sizeof(e->error)];

		strcpy(text, e->error); /* why, whatever comes of this */
		memory->drop(l.pool, l.made, l.made_count);
		for (size_t i = 0; i < l.made_count; i++)
			l.chunks[l.made[i]] = NULL;
		repair(&l);
		return ecbpf_fail(e, err, "%s", text);
	}
	__atomic_store_n(&l.head->dirty, 0, __ATOMIC_RELEASE);
	sums.deleted = is_replace ? swept : 0;
	if (ret_changes)
		*ret_changes = sums;
	return 0;
}

int ecbpf_filter_list_add(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			  size_t count, struct ecbpf_filter_changes *ret_changes)
{
	return list_change(e, list, entries, count, false, ret_changes);
}

int ecbpf_filter_list_replace(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			      size_t count, struct ecbpf_filter_changes *ret_changes)
{
	return list_change(e, list, entries, count, true, ret_changes);
}

int ecbpf_filter_list_delete(struct ecbpf *e, __u32 list, const struct ecbpf_filter_entry *entries,
			     size_t count)
{
	struct lists l cleanup_lists = LISTS_INIT;
	_cleanup_free_ struct change *changes = NULL;
	size_t unique = 0, swept = 0;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = entry_check(e, &entries[i]);
	if (!err)
		err = lists_open(e, &l);
	if (!err)
		err = changes_make(&l, entries, count, &changes, &unique);
	for (size_t i = 0; i < unique && !err; i++) {
		const struct ecbpf_filter_entry *entry = &entries[changes[i].op.value - 1];
		const struct ecbpf_filter_source *source;
		char text[64];

		changes[i].old = ecbpf_trie_find(l.tries[list], &changes[i].op);
		changes[i].op.value = 0;
		source = changes[i].old ? source_get(&l, changes[i].old) : NULL;
		if (source && (!source->expires || source->expires > l.now))
			continue;
		ecbpf_filter_entry_format(entry, text, sizeof(text));
		err = ecbpf_fail(e, -ENOENT, "'%s' is not listed", text);
	}
	if (err)
		return err;
	__atomic_store_n(&l.head->dirty, 1, __ATOMIC_RELEASE);
	err = changes_do(&l, list, changes, unique, false, &swept);
	if (!err)
		__atomic_store_n(&l.head->dirty, 0, __ATOMIC_RELEASE);
	return err;
}

int ecbpf_filter_list_get(struct ecbpf *e, __u32 list, struct ecbpf_filter_entry **ret_entries,
			  size_t *ret_count)
{
	struct lists l cleanup_lists = LISTS_INIT;
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_filter_entry *entries;
	size_t count = 0, kept = 0;
	int err;

	err = lists_open(e, &l);
	if (!err)
		err = ecbpf_trie_entries(l.tries[list], &ops, &count);
	if (err)
		return err;
	entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_filter_source *source = source_get(&l, ops[i].value);

		if (source && (!source->expires || source->expires > l.now))
			entry_set(&l, &ops[i], source, &entries[kept++]);
	}
	*ret_entries = entries;
	*ret_count = kept;
	return 0;
}

int ecbpf_filter_list_size(struct ecbpf *e, __u32 list, struct ecbpf_filter_size *ret_size)
{
	struct lists l cleanup_lists = LISTS_INIT;
	struct ecbpf_filter_size size = {};
	char path[PATH_MAX];
	int err;

	err = ecbpf_bpffs_open(e, true);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), "filter_lists");
	if (err)
		return err;
	*ret_size = size;
	if (access(path, F_OK))
		return 0;
	err = lists_open(e, &l);
	if (err)
		return err;
	size.prefixes[0] = ecbpf_trie_count(l.tries[list], 4);
	size.prefixes[1] = ecbpf_trie_count(l.tries[list], 6);
	size.bytes = ecbpf_trie_bytes(l.tries[list]) +
		     (size.prefixes[0] + size.prefixes[1]) * sizeof(struct ecbpf_filter_source);
	*ret_size = size;
	return 0;
}
