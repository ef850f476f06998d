// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The addresses that get no leases.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "fastpath/fastpath.h"

static struct ecbpf_exclude_key exclude_key(const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key;

	ecbpf_prefix_map(prefix, key.addr, &key.prefix_len);
	return key;
}

int ecbpf_fastpath_exclude_add(struct ecbpf *e, const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key = exclude_key(prefix);
	struct ecbpf_fastpath_filter filter = {.client = prefix};
	_cleanup_close_ int fd = -1;
	__u8 value = 1;
	int err;

	ecbpf_capture(e);
	fd = fastpath_map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(fd, &key, &value, BPF_ANY))
		return ecbpf_fail(e, -errno, "exclude: %s",
				  errno == ENOSPC ? "the list is full" : strerror(errno));
	err = ecbpf_fastpath_flush(e, &filter, NULL);
	filter = (struct ecbpf_fastpath_filter){.service = prefix};
	return err ? err : ecbpf_fastpath_flush(e, &filter, NULL);
}

int ecbpf_fastpath_exclude_delete(struct ecbpf *e, const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key = exclude_key(prefix);
	char text[ECBPF_PREFIX_TEXT];
	_cleanup_close_ int fd = -1;

	ecbpf_capture(e);
	fd = fastpath_map_open(e, "fastpath_exclude", NULL);
	if (fd < 0)
		return fd;
	if (!bpf_map_delete_elem(fd, &key))
		return 0;
	ecbpf_prefix_format(prefix, text);
	return ecbpf_fail(e, -errno, "%s: %s", text,
			  errno == ENOENT ? "is not excluded" : strerror(errno));
}

static int prefix_compare(const void *a, const void *b)
{
	return ecbpf_prefix_compare(a, b);
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
	if (count)
		qsort(prefixes, count, sizeof(*prefixes), prefix_compare);
	*ret_prefixes = prefixes;
	prefixes = NULL;
	*ret_count = count;
	return 0;
}
