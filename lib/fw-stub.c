// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * In the place of what needs the firewall's program, which is being written: goes with its coming.
 */
#include <errno.h>
#include "internal.h"
#include "fw-rules.h"

int ecbpf_fw_trial_new(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		       struct ecbpf_fw_trial **ret_trial)
{
	(void)ruleset;
	(void)ret_trial;
	return ecbpf_fail(e, -EOPNOTSUPP, "the firewall's program is not there yet");
}

void ecbpf_fw_trial_free(struct ecbpf_fw_trial *trial)
{
	(void)trial;
}

int ecbpf_fw_trial_run(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *frame,
		       size_t size, __u32 *ret_action, size_t *ret_rule)
{
	(void)trial;
	(void)frame;
	(void)size;
	(void)ret_action;
	(void)ret_rule;
	return ecbpf_fail(e, -EOPNOTSUPP, "the firewall's program is not there yet");
}

int ecbpf_fw_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	(void)ret_ruleset;
	return ecbpf_fail(e, -EOPNOTSUPP, "the firewall's program is not there yet");
}

int ecbpf_fw_change(struct ecbpf *e, ecbpf_fw_change_fn fn, void *data)
{
	(void)fn;
	(void)data;
	return ecbpf_fail(e, -EOPNOTSUPP, "the firewall's program is not there yet");
}
