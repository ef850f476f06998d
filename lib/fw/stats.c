// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counters of the live rules.
 */
#include <errno.h>
#include <stdlib.h>
#include "core/error.h"
#include "fw/live.h"

int ecbpf_fw_stats(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset,
		   struct ecbpf_fw_stat **ret_stats)
{
	struct ecbpf_fw_stat *stats;
	struct fw_session s;
	int err;

	err = fw_session_open(e, FW_SESSION_KEEP, &s);
	if (err)
		return err;
	stats = calloc(s.old.ruleset->rules_count + 1, sizeof(*stats));
	err = !stats ? ecbpf_fail_memory(e)
		     : fw_counters_read(e, s.maps.counters, s.old.ruleset, s.old.counters, stats);
	if (err) {
		free(stats);
	} else {
		*ret_stats = stats;
		*ret_ruleset = s.old.ruleset;
		s.old.ruleset = NULL;
	}
	fw_session_close(&s);
	return err;
}

int ecbpf_fw_stats_clear(struct ecbpf *e)
{
	struct fw_session s;
	int err;

	err = fw_session_open(e, FW_SESSION_KEEP, &s);
	if (err)
		return err;
	for (size_t i = 0; !err && i < s.old.ruleset->rules_count; i++)
		err = fw_counter_clear(e, &s.maps, s.old.counters[i]);
	fw_session_close(&s);
	return err;
}
