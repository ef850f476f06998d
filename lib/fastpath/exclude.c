// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The addresses that get no leases.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include "core/handle.h"
#include "fastpath/fastpath.h"

int ecbpf_prefix_parse(const char *text, struct ecbpf_prefix *ret_prefix)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct ecbpf_prefix prefix = {};
	char addr[INET6_ADDRSTRLEN], *end;
	unsigned long bits, max = 128;

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (inet_pton(AF_INET, addr, prefix.addr + 12) == 1) {
		memset(prefix.addr + 10, 0xff, 2);
		max = 32;
	} else if (inet_pton(AF_INET6, addr, prefix.addr) != 1) {
		return -EINVAL;
	}
	bits = max;
	if (slash) {
		if (!slash[1] || slash[1 + strspn(slash + 1, "0123456789")])
			return -EINVAL;
		errno = 0;
		bits = strtoul(slash + 1, &end, 10);
		if (errno || bits > max)
			return -EINVAL;
	}
	prefix.len = bits + (max == 32 ? 96 : 0);
	for (int bit = prefix.len; bit < 128; bit++) {
		if (prefix.addr[bit / 8] & 0x80 >> bit % 8)
			return -EINVAL; /* 192.0.2.1/24: which is meant? */
	}
	*ret_prefix = prefix;
	return 0;
}

static bool is_ip4(const __u8 *addr)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(addr, mapped, sizeof(mapped));
}

void ecbpf_prefix_format(const struct ecbpf_prefix *prefix, char *ret_text)
{
	bool ip4 = is_ip4(prefix->addr) && prefix->len >= 96;
	unsigned int bits = ip4 ? prefix->len - 96 : prefix->len;
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(ip4 ? AF_INET : AF_INET6, prefix->addr + (ip4 ? 12 : 0), addr, sizeof(addr));
	if (bits == (ip4 ? 32 : 128))
		snprintf(ret_text, ECBPF_PREFIX_TEXT, "%s", addr);
	else
		snprintf(ret_text, ECBPF_PREFIX_TEXT, "%s/%u", addr, bits);
}

bool fastpath_prefix_has(const struct ecbpf_prefix *prefix, const __u8 *addr)
{
	unsigned int bytes = prefix->len / 8, bits = prefix->len % 8;

	return !memcmp(prefix->addr, addr, bytes) &&
	       (!bits || !((prefix->addr[bytes] ^ addr[bytes]) >> (8 - bits)));
}

static struct ecbpf_exclude_key exclude_key(const struct ecbpf_prefix *prefix)
{
	struct ecbpf_exclude_key key = {.prefix_len = prefix->len};

	memcpy(key.addr, prefix->addr, sizeof(key.addr));
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
	return memcmp(a, b, sizeof(struct ecbpf_prefix));
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
			return ecbpf_fail(e, -ENOMEM, "out of memory");
		prefixes = more;
		prefixes[count] = (struct ecbpf_prefix){.len = key.prefix_len};
		memcpy(prefixes[count++].addr, key.addr, sizeof(key.addr));
	}
	if (count)
		qsort(prefixes, count, sizeof(*prefixes), prefix_compare);
	*ret_prefixes = prefixes;
	prefixes = NULL;
	*ret_count = count;
	return 0;
}
