/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Does one rule match all packets that another one matches?
 */
#ifndef ECBPF_FW_WITHIN_H
#define ECBPF_FW_WITHIN_H

#include "fw/rules.h"

/* Of packets; those that are malformed by the version that was read of them: 0, 4, 6 */
enum fw_kind {
	FW_KIND_IP4,
	FW_KIND_IP6,
	FW_KIND_MALFORMED,
	FW_KIND_MALFORMED4,
	FW_KIND_MALFORMED6,
	FW_KINDS,
};

static inline __u8 fw_kind_version(enum fw_kind kind)
{
	static const __u8 versions[] = {4, 6, 0, 4, 6};

	return versions[kind];
}

/* An address as a number; of IPv4, of 32 bits */
struct fw_addr {
	__u64 high;
	__u64 low;
};

int fw_addr_compare(struct fw_addr a, struct fw_addr b);
struct fw_addr fw_addr_make(const struct ecbpf_prefix *prefix, bool is_last);
struct fw_addr fw_addr_next(struct fw_addr addr);

/*
 * The rule, as it is for packets of @kind. @ret: its memory is that of @rule. Return: whether it
 * matches some
 */
bool fw_rule_of_kind(const struct fw_rule *rule, enum fw_kind kind, struct fw_rule *ret);

/*
 * Does @outer match all packets that @inner matches? Both: of fw_rule_of_kind(), of the same kind.
 * Sets have the same addresses only if they are the same set. @steps: is increased by what it took
 */
bool fw_rule_within(const struct fw_rule *inner, const struct fw_rule *outer, size_t *steps);

#endif /* ECBPF_FW_WITHIN_H */
