/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a packet that was not captured to its end, and which rules match it.
 */
#ifndef ECBPF_FW_KNOWN_H
#define ECBPF_FW_KNOWN_H

#include <stddef.h>
#include <ecbpf/record.h>
#include "fw/rules.h"

/* Of all packets that begin with the captured bytes: the rule matches none, some, all */
enum fw_match {
	FW_MATCH_NO,
	FW_MATCH_MAYBE,
	FW_MATCH_YES,
};

/* Fields of a packet that the captured bytes say, of all that they depend on */
enum fw_field {
	FW_FIELD_LINK = 1 << 0, /* tags and EtherType; that the frame is IP, if it is well-formed */
	FW_FIELD_TTL = 1 << 1,
	FW_FIELD_UPPER = 1 << 2, /* protocol, fragment, options, and where the header above IP is */
	FW_FIELD_REASON = 1 << 3, /* of malformed packets; that it is well-formed */
	FW_FIELD_SRC = 1 << 4,
	FW_FIELD_DST = 1 << 5,
	FW_FIELD_SPORT = 1 << 6,
	FW_FIELD_DPORT = 1 << 7,
	FW_FIELD_FLAGS = 1 << 8,
	FW_FIELD_WINDOW = 1 << 9,
	FW_FIELD_TYPE = 1 << 10,
	FW_FIELD_CODE = 1 << 11,
};

/**
 * struct fw_known - a packet
 * @rec: of the frame as it is in memory: true for all packets where @fields has the field
 * @fields: enum fw_field bits
 * @frame: where the frame is
 */
struct fw_known {
	struct ecbpf_record rec;
	unsigned int fields;
	const __u8 *frame;
};

/*
 * @frame: of @size bytes, 14 at least, of which the first @captured ones count; the others can have
 * any value
 */
void fw_known_set(struct fw_known *known, const __u8 *frame, size_t captured, size_t size);

/* The address of the packet, if it is known; NULL: it is not. @side: 0: source, 1: destination */
const __u8 *fw_known_addr(const struct fw_known *known, int side);

/* @rule: of one family, without `port`: see struct fw_parts */
enum fw_match fw_known_match(const struct fw_known *known, const struct ecbpf_fw_ruleset *ruleset,
			     const struct fw_rule *rule);

#endif /* ECBPF_FW_KNOWN_H */
