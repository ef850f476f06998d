/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: prefixes, and files that list them. The format is described in ecbpf-list(5).
 */
#ifndef LIBECBPF_LIST_H
#define LIBECBPF_LIST_H

#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct ecbpf_prefix - addresses that begin alike
 * @family: 4 or 6
 * @len: bits, 0 to 32 or 0 to 128
 * @addr: network order; an IPv4 address is in the first four bytes. What is behind @len is zero
 */
struct ecbpf_prefix {
	__u8 family;
	__u8 len;
	__u8 addr[16];
};

/**
 * ecbpf_prefix_parse() - an address, ADDR/LEN or ADDR/NETMASK
 * @text: "192.0.2.0/24", "2001:db8::1"; ::ffff:192.0.2.1 is 192.0.2.1
 * @ret_has_host_bits: bits behind the length were set, and are cleared
 * Return: 0; -EINVAL, and what is wrong with it.
 */
int ecbpf_prefix_parse(struct ecbpf *e, const char *text, struct ecbpf_prefix *ret_prefix,
		       bool *ret_has_host_bits);

/* An address without its length. @ret_text: ECBPF_PREFIX_TEXT bytes */
#define ECBPF_PREFIX_TEXT 64
void ecbpf_prefix_format(const struct ecbpf_prefix *prefix, char *ret_text);

/*
 * Where both families are in one field of 128 bits, IPv4 is ::ffff:0:0/96: keys of maps, and the
 * addresses of struct ecbpf_fastpath_flow. @ret_addr: 16 bytes
 */
void ecbpf_prefix_map(const struct ecbpf_prefix *prefix, __u8 *ret_addr, __u32 *ret_len);
struct ecbpf_prefix ecbpf_prefix_unmap(const __u8 *addr, __u32 len);

#define ECBPF_LIST_TAG_MAX 31

/**
 * struct ecbpf_list_entry - a prefix of a list
 * @tag: one word of printable ASCII, or empty
 * @expires: seconds since 1970; 0: never
 */
struct ecbpf_list_entry {
	struct ecbpf_prefix prefix;
	char tag[ECBPF_LIST_TAG_MAX + 1];
	__u64 expires;
};

/**
 * struct ecbpf_list - what a file lists
 * @entries: in the order of the file; a range is several
 * @bad: lines that were skipped, see ECBPF_LIST_SKIP_BAD
 * @expired: lines that were left out since they have expired
 * @other_family: prefixes that were left out since they are of the other family
 * @is_words: it is of ecbpf_list_parse_words()
 */
struct ecbpf_list {
	struct ecbpf_list_entry *entries;
	size_t count;
	size_t bad;
	size_t expired;
	size_t other_family;
	bool is_words;
};

/* What a list may do. Without these, it may not */
enum ecbpf_list_policy {
	ECBPF_LIST_SKIP_BAD = 1 << 0,	 /* have lines that are not understood: they are logged */
	ECBPF_LIST_ALLOW_EMPTY = 1 << 1, /* empty a list or a set of firewall rules */
	ECBPF_LIST_FORCE = 1 << 2,	 /* block this host, its gateway, loopback, or everything */
	ECBPF_LIST_IF_EXISTS = 1 << 3,	 /* name entries to delete that are not there */
	ECBPF_LIST_KEEP_PERMANENT = 1 << 4, /* name entries with an expiry that are there without */
};

/* For all calls with this handle that read lists or change them. @policy: enum ecbpf_list_policy */
void ecbpf_list_policy(struct ecbpf *e, unsigned int policy);

/**
 * ecbpf_session_guard() - refuse changes by this handle that would cut the operator off (-EPERM)
 *
 * For tools that somebody types. Firewall rules, sets and the filter's lists are tried with
 * packets of the SSH session that this process was started in, and of some established TCP
 * connections to ports on which this host listens, before they are live. Changes of sets and lists
 * are tried with the latter only if this process has a controlling terminal: programs block
 * clients, too. With ECBPF_LIST_FORCE, or ecbpf_fw_confirm_within(), it is a warning. What cannot
 * be tried is a warning, too. By default the guard is off.
 */
void ecbpf_session_guard(struct ecbpf *e, bool is_on);

enum ecbpf_list_flags {
	ECBPF_LIST_EXPIRES = 1 << 8,  /* expiries are wanted; else they are refused */
	ECBPF_LIST_ABSOLUTE = 1 << 9, /* the file is to mean the same each time that it is read: a
				       * time from now is refused
				       */
};

/**
 * ecbpf_list_read() - read a file of prefixes
 * @file: "-" is standard input
 * @family: 4 or 6: leave out the others, and log how many; 0: both
 * @flags: enum ecbpf_list_flags
 * @ret_list: for ecbpf_list_free()
 * Return: 0; -EINVAL: ecbpf_error() says "FILE:LINE:COLUMN: what" of the first error, and
 * ecbpf_error_detail() has 20 of them, with their lines; -ENOENT and others.
 *
 * Host bits that were cleared, and lines that were left out, are logged as a warning, one line for
 * each of these.
 */
int ecbpf_list_read(struct ecbpf *e, const char *file, __u8 family, unsigned int flags,
		    struct ecbpf_list *ret_list);

/* Likewise, of text in memory. @name: for messages */
int ecbpf_list_parse(struct ecbpf *e, const char *name, const char *text, size_t size, __u8 family,
		     unsigned int flags, struct ecbpf_list *ret_list);

/* Likewise, of operands: an address, a prefix or a range each, without columns or comments */
int ecbpf_list_parse_words(struct ecbpf *e, const char *const *words, size_t count, __u8 family,
			   struct ecbpf_list *ret_list);

void ecbpf_list_free(struct ecbpf_list *list);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_LIST_H */
