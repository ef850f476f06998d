// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The addresses that get no leases.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <ecbpf/libecbpf-list.h>
#include "bpf/lock.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "core/runtime_log.h"
#include "fastpath/fastpath.h"

static struct ecbpf_exclude_key exclude_key(const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key;

	ecbpf_prefix_map(prefix, key.addr, &key.prefix_len);
	return key;
}

static int prefix_compare(const void *a, const void *b)
{
	return ecbpf_prefix_compare(a, b);
}

#define LINEAR_MAX 64 /* prefixes; of more, the kernel's trie is faster */

/* What is new, for the walk over flows */
struct exclusion {
	const struct ecbpf_prefix *prefixes;
	size_t count;
	int fd;
};

static bool is_excluded(const struct exclusion *x, const __u8 *addr)
{
	struct ecbpf_exclude_key key = {.prefix_len = 128};
	__u8 value;

	memcpy(key.addr, addr, sizeof(key.addr));
	if (x->count > LINEAR_MAX)
		return !bpf_map_lookup_elem(x->fd, &key, &value);
	for (size_t i = 0; i < x->count; i++)
		if (fastpath_prefix_has(&x->prefixes[i], addr))
			return true;
	return false;
}

static int lease_revoke(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	if (is_excluded(data, flow->client) || is_excluded(data, flow->service))
		*(volatile __u64 *)&slot->lease = 0;
	return 0;
}

/* Undo what a failed change did before it failed. @done: these prefixes */
static void undo(struct ecbpf *e, int fd, const struct ecbpf_prefix *prefixes, size_t count,
		 const bool *done, bool is_add)
{
	__u8 value = 1;

	for (size_t i = 0; i < count; i++) {
		struct ecbpf_exclude_key key = exclude_key(&prefixes[i]);

		if (done[i] && (is_add ? bpf_map_delete_elem(fd, &key)
				       : bpf_map_update_elem(fd, &key, &value, BPF_ANY)))
			ecbpf_log(e, ECBPF_LOG_WARN, "exclude: the change is not undone: %s",
				  strerror(errno));
	}
}

static int exclude_change(struct ecbpf *e, int fd, const struct ecbpf_prefix *prefixes,
			  size_t count, bool is_add)
{
	_cleanup_free_ bool *done = calloc(count + 1, sizeof(*done));
	int allowed = is_add ? EEXIST : ENOENT; /* it may be given twice */
	__u8 value = 1;
	int err = 0;

	if (!done)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < count && !err; i++) {
		struct ecbpf_exclude_key key = exclude_key(&prefixes[i]);

		done[i] = !(is_add ? bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST)
				   : bpf_map_delete_elem(fd, &key));
		if (!done[i] && errno != allowed)
			err = ecbpf_fail(e, -errno, "exclude: %s",
					 errno == ENOSPC ? "the list is full" : strerror(errno));
	}
	if (err)
		undo(e, fd, prefixes, count, done, is_add);
	for (size_t i = 0; i < count && !err && is_add; i++)
		if (!prefixes[i].len)
			ecbpf_log(e, ECBPF_LOG_WARN,
				  "every IPv%d address is excluded: no flow of it gets a lease",
				  prefixes[i].family);
	for (size_t i = 0; i < count && !err; i++)
		*(is_add ? &e->changed.added : &e->changed.removed) += done[i];
	return err;
}

static void exclude_log(struct ecbpf *e, const char *verb, const struct ecbpf_prefix *prefixes,
			size_t count)
{
	struct runtime_change c;

	if (!runtime_change_begin(e, &c, "fastpath exclude %s", verb))
		return;
	for (size_t i = 0; i < count; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&prefixes[i], text);
		runtime_change_line(&c, "%s", text);
	}
	runtime_change_end(&c);
}

/* All that can fail comes before the change; the walk over flows cannot */
int ecbpf_fastpath_exclude_add(struct ecbpf *e, const struct ecbpf_prefix *prefixes, size_t count)
{
	CLEANUP(fastpath_table_close) struct fastpath_table table = {};
	struct exclusion x = {.prefixes = prefixes, .count = count};
	_cleanup_close_ int fd = -1, lock = -1;
	int err = 0;

	ecbpf_capture(e);
	for (size_t i = 0; i < count && !err; i++)
		err = ecbpf_prefix_check_map(e, &prefixes[i]);
	if (err)
		return err;
	x.fd = fd = fastpath_map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	err = fastpath_table_open(e, NULL, &table);
	if (err)
		return err;
	lock = ecbpf_lock(e); /* not while settings are written: the generation is one of them */
	if (lock < 0)
		return lock;
	runtime_log_ahead(e);
	exclude_log(e, "add", prefixes, count);
	err = exclude_change(e, fd, prefixes, count, true);
	runtime_log_settle(e, !err);
	if (!err)
		fastpath_table_walk(&table, NULL, lease_revoke, &x);
	return err;
}

int ecbpf_fastpath_exclude_delete(struct ecbpf *e, const struct ecbpf_prefix *prefixes,
				  size_t count)
{
	_cleanup_free_ struct ecbpf_prefix *there = NULL;
	_cleanup_close_ int fd = -1, lock = -1;
	__u64 before = e->changed.removed;
	size_t there_count = 0;
	int err;

	ecbpf_capture(e);
	fd = fastpath_map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	err = ecbpf_fastpath_exclude_list(e, &there, &there_count);
	for (size_t i = 0; i < count && !err && !(e->list_policy & ECBPF_LIST_IF_EXISTS); i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&prefixes[i], text);
		if (!there_count ||
		    !bsearch(&prefixes[i], there, there_count, sizeof(*there), prefix_compare))
			err = ecbpf_fail(e, -ENOENT, "%s: is not excluded", text);
	}
	if (err)
		return err;
	runtime_log_ahead(e);
	exclude_log(e, "delete", prefixes, count);
	err = exclude_change(e, fd, prefixes, count, false);
	runtime_log_settle(e, !err && e->changed.removed != before);
	return err;
}

int ecbpf_fastpath_exclude_list(struct ecbpf *e, struct ecbpf_prefix **ret_prefixes,
				size_t *ret_count)
{
	struct ecbpf_exclude_key key, *at = NULL;
	_cleanup_free_ struct ecbpf_prefix *prefixes = NULL;
	_cleanup_close_ int fd = -1;
	struct ecbpf_prefix *more;
	size_t count = 0;

	ecbpf_capture(e);
	fd = fastpath_map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	while (!bpf_map_get_next_key(fd, at, &key)) {
		at = &key;
		more = realloc(prefixes, (count + 1) * sizeof(*prefixes));
		if (!more)
			return ecbpf_fail_memory(e);
		prefixes = more;
		prefixes[count++] = ecbpf_prefix_unmap(key.addr, key.prefix_len);
	}
	if (errno != ENOENT)
		return ecbpf_fail(e, -errno, "exclude: %s", strerror(errno));
	if (count)
		qsort(prefixes, count, sizeof(*prefixes), prefix_compare);
	*ret_prefixes = prefixes;
	prefixes = NULL;
	*ret_count = count;
	return 0;
}
