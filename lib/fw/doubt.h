/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits of a trial whose buckets a packet may have used that was not run.
 */
#ifndef ECBPF_FW_DOUBT_H
#define ECBPF_FW_DOUBT_H

#include <stddef.h>
#include "fw/known.h"

/* Maps of the trial's program, and the entry of `fw_limits` of each rule */
struct fw_doubt_maps {
	int limits;
	int buckets;
	int groups;
	const __u16 *entries;
};

struct fw_doubts; /* NULL: none */

void fw_doubts_free(struct fw_doubts *doubts);

/* The packet was not run, and may match the limit of the rule @index. Return: 0; -ENOMEM */
int fw_doubt_add(struct fw_doubts **doubts, const struct fw_doubt_maps *maps,
		 const struct fw_known *known, size_t index);

enum fw_doubt {
	FW_DOUBT_YES,	/* it may be above the limit or not */
	FW_DOUBT_NO,	/* one of both, as the program says when it runs */
	FW_DOUBT_ABOVE, /* it is above */
};

/*
 * Of a packet that matches the limit of the rule @index. In doubt is one whose source is not known,
 * if each source has a bucket; and one for which packets that were not run would have made the
 * difference
 */
enum fw_doubt fw_doubt_of(const struct fw_doubts *doubts, const struct fw_doubt_maps *maps,
			  const struct fw_known *known, size_t index);

#endif /* ECBPF_FW_DOUBT_H */
