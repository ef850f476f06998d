// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Address prefixes: read, printed, compared, masked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "core/handle.h"
#include "core/prefix.h"

static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

#define NOT_AN_ADDRESS "is not an address, such as 192.0.2.1 or 2001:db8::1"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Dotted quads, faster than inet_pton(). Return: all of it is one */
static bool read_ip4(const char *pos, const char *end, __u8 *addr)
{
	for (int i = 0; i < 4; i++) {
		const char *first;
		unsigned int byte = 0;

		if (i && (pos == end || *pos++ != '.'))
			return false;
		for (first = pos; pos < end && is_digit(*pos) && pos < first + 4; pos++)
			byte = byte * 10 + *pos - '0';
		if (pos == first || byte > 255 || (*first == '0' && pos > first + 1))
			return false;
		addr[i] = byte;
	}
	return pos == end;
}

/* "010" of 192.0.2.010, or of ::ffff:192.0.2.010 */
static bool has_padded_octet(const char *text, size_t len)
{
	const char *pos = text, *end = text + len, *first;
	bool is_dotted = false, found = false;

	while (pos < end) {
		for (first = pos; pos < end && is_digit(*pos); pos++)
			;
		if (pos > first + 1 && *first == '0' && (pos == end || *pos == '.'))
			found = true;
		if (pos < end && *pos == ':')
			found = false;
		is_dotted |= pos < end && *pos == '.';
		if (pos < end && *pos != '.' && *pos != ':' && !strchr("abcdefABCDEF", *pos))
			return false;
		pos++;
	}
	return found && is_dotted;
}

const char *ecbpf_prefix_read_addr(const char *text, size_t len, struct ecbpf_prefix *ret_addr)
{
	struct ecbpf_prefix addr = {.family = 4, .len = 32};
	char copy[INET6_ADDRSTRLEN];

	if (!read_ip4(text, text + len, addr.addr)) {
		/* what is longer has more than the longest address, or zeros to fill */
		if (!len || len >= sizeof(copy) || memchr(text, '\0', len))
			return NOT_AN_ADDRESS;
		memcpy(copy, text, len);
		copy[len] = '\0';
		if (has_padded_octet(text, len))
			return "has an octet with a leading zero, which some read as octal and "
			       "others as decimal";
		addr.family = 6;
		addr.len = 128;
		if (inet_pton(AF_INET6, copy, addr.addr) != 1)
			return NOT_AN_ADDRESS;
		if (!memcmp(addr.addr, mapped, sizeof(mapped)))
			addr = ecbpf_prefix_unmap(addr.addr, 128);
	}
	*ret_addr = addr;
	return NULL;
}

int ecbpf_prefix_netmask(const struct ecbpf_prefix *addr)
{
	unsigned int bits = ecbpf_addr_bits(addr->family), len = 0;

	while (len < bits && addr->addr[len / 8] & 0x80 >> len % 8)
		len++;
	for (unsigned int i = len; i < bits; i++)
		if (addr->addr[i / 8] & 0x80 >> i % 8)
			return -1;
	return len;
}

/* "24"; zeros before it could mean octal. Return: -1 if it is not 0 to @max */
static int read_len(const char *text, size_t len, int max)
{
	int value = 0;

	if (!len || len > 3 || (len > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(text[i]))
			return -1;
		value = value * 10 + text[i] - '0';
	}
	return value <= max ? value : -1;
}

/* What is behind the slash. @is_mapped: the address was written as IPv6, and is IPv4 */
static const char *read_mask(const char *text, size_t len, bool is_mapped,
			     struct ecbpf_prefix *prefix)
{
	struct ecbpf_prefix mask;
	const char *wrong;
	int bits;

	if (memchr(text, '.', len) || memchr(text, ':', len)) {
		wrong = ecbpf_prefix_read_addr(text, len, &mask);
		if (wrong || mask.family != (is_mapped ? 6 : prefix->family))
			return wrong ? "has a netmask that is no address"
				     : "has a netmask of the other family";
		bits = ecbpf_prefix_netmask(&mask);
		if (bits < 0)
			return "has a netmask that is not ones and then zeros, such as "
			       "255.255.255.0";
	} else {
		bits = read_len(text, len, is_mapped ? 128 : ecbpf_addr_bits(prefix->family));
		if (bits < 0)
			return is_mapped || prefix->family == 6
				       ? "has a prefix length that is not 0 to 128"
				       : "has a prefix length that is not 0 to 32";
	}
	if (is_mapped && bits < 96)
		return "is an IPv4-mapped address with a prefix length that is not 96 to 128";
	prefix->len = is_mapped ? bits - 96 : bits;
	return NULL;
}

const char *ecbpf_prefix_read(const char *text, size_t len, struct ecbpf_prefix *ret_prefix,
			      bool *ret_has_host_bits)
{
	const char *slash = memchr(text, '/', len);
	size_t addr_len = slash ? (size_t)(slash - text) : len;
	struct ecbpf_prefix prefix;
	const char *wrong;

	wrong = ecbpf_prefix_read_addr(text, addr_len, &prefix);
	if (!wrong && slash)
		wrong = read_mask(slash + 1, len - addr_len - 1,
				  prefix.family == 4 && memchr(text, ':', addr_len), &prefix);
	if (wrong)
		return wrong;
	*ret_has_host_bits = ecbpf_prefix_mask(&prefix);
	*ret_prefix = prefix;
	return NULL;
}

int ecbpf_prefix_parse(struct ecbpf *e, const char *text, struct ecbpf_prefix *ret_prefix,
		       bool *ret_has_host_bits)
{
	const char *wrong;

	wrong = ecbpf_prefix_read(text, strlen(text), ret_prefix, ret_has_host_bits);
	return wrong ? ecbpf_fail(e, -EINVAL, "'%s' %s", text, wrong) : 0;
}

void ecbpf_prefix_format(const struct ecbpf_prefix *prefix, char *ret_text)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(prefix->family == 4 ? AF_INET : AF_INET6, prefix->addr, addr, sizeof(addr));
	if (prefix->len == ecbpf_addr_bits(prefix->family))
		snprintf(ret_text, ECBPF_PREFIX_TEXT, "%s", addr);
	else
		snprintf(ret_text, ECBPF_PREFIX_TEXT, "%s/%u", addr, prefix->len);
}

bool ecbpf_prefix_mask(struct ecbpf_prefix *prefix)
{
	bool found = false;

	for (unsigned int i = prefix->len / 8; i < sizeof(prefix->addr); i++) {
		__u8 mask = i == prefix->len / 8 ? 0xff << (8 - prefix->len % 8) : 0;

		found |= prefix->addr[i] & ~mask;
		prefix->addr[i] &= mask;
	}
	return found;
}

int ecbpf_prefix_compare(const struct ecbpf_prefix *a, const struct ecbpf_prefix *b)
{
	int order = (int)a->family - b->family;

	if (!order)
		order = memcmp(a->addr, b->addr, sizeof(a->addr));
	return order ? order : (int)a->len - b->len;
}

bool ecbpf_prefix_has(const struct ecbpf_prefix *prefix, const struct ecbpf_prefix *other)
{
	unsigned int whole = prefix->len / 8, rest = prefix->len % 8;

	return prefix->family == other->family && prefix->len <= other->len &&
	       !memcmp(prefix->addr, other->addr, whole) &&
	       (!rest || !((prefix->addr[whole] ^ other->addr[whole]) >> (8 - rest)));
}

static int split(struct ecbpf_prefix prefix, const struct ecbpf_prefix *first,
		 const struct ecbpf_prefix *last, ecbpf_prefix_fn fn, void *data)
{
	unsigned int size = ecbpf_addr_size(prefix.family);
	__u8 high[16] = {};
	int err;

	for (unsigned int i = 0; i < size; i++) {
		unsigned int bits = prefix.len > 8 * i ? prefix.len - 8 * i : 0;

		high[i] = prefix.addr[i] | (bits < 8 ? 0xff >> bits : 0);
	}
	if (memcmp(high, first->addr, size) < 0 || memcmp(prefix.addr, last->addr, size) > 0)
		return 0;
	if (memcmp(prefix.addr, first->addr, size) >= 0 && memcmp(high, last->addr, size) <= 0)
		return fn(data, &prefix);
	prefix.len++; /* the halves */
	err = split(prefix, first, last, fn, data);
	prefix.addr[(prefix.len - 1) / 8] |= 0x80 >> (prefix.len - 1) % 8;
	return err ? err : split(prefix, first, last, fn, data);
}

int ecbpf_prefix_range(const struct ecbpf_prefix *first, const struct ecbpf_prefix *last,
		       ecbpf_prefix_fn fn, void *data)
{
	struct ecbpf_prefix prefix = *first;

	/* the longest one that holds both; split() finds any from 0 on, this saves its way there */
	while (prefix.len && !ecbpf_prefix_has(&prefix, last))
		prefix.len--;
	ecbpf_prefix_mask(&prefix);
	return split(prefix, first, last, fn, data);
}

int ecbpf_prefix_check_map(struct ecbpf *e, const struct ecbpf_prefix *prefix)
{
	struct ecbpf_prefix ip4 = {.family = 6, .len = 96};
	char text[ECBPF_PREFIX_TEXT];

	memcpy(ip4.addr, mapped, sizeof(mapped));
	if (!ecbpf_prefix_has(prefix, &ip4))
		return 0;
	ecbpf_prefix_format(prefix, text);
	return ecbpf_fail(e, -EINVAL,
			  "'%s' would hold IPv4, as ::ffff:0:0/96: write 2000::/3 for IPv6", text);
}

void ecbpf_prefix_map(const struct ecbpf_prefix *prefix, __u8 *ret_addr, __u32 *ret_len)
{
	if (prefix->family == 4) {
		memcpy(ret_addr, mapped, sizeof(mapped));
		memcpy(ret_addr + sizeof(mapped), prefix->addr, 4);
		*ret_len = 96 + prefix->len;
	} else {
		memcpy(ret_addr, prefix->addr, sizeof(prefix->addr));
		*ret_len = prefix->len;
	}
}

struct ecbpf_prefix ecbpf_prefix_unmap(const __u8 *addr, __u32 len)
{
	struct ecbpf_prefix prefix = {.family = 6, .len = len};

	if (len >= 96 && !memcmp(addr, mapped, sizeof(mapped))) {
		prefix.family = 4;
		prefix.len = len - 96;
		memcpy(prefix.addr, addr + sizeof(mapped), 4);
	} else {
		memcpy(prefix.addr, addr, sizeof(prefix.addr));
	}
	return prefix;
}
