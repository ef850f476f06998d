// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The names of numbers: actions, modes, reasons, stages, counted classes. */
#include <errno.h>
#include <string.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf.h>
#include "core/names.h"
#include "core/util.h"

NAMES_FUNCTION(ecbpf_reason_name, ECBPF_REASONS, NAMES_NAME)
NAMES_FUNCTION(ecbpf_reason_text, ECBPF_REASONS, NAMES_TEXT)
NAMES_FUNCTION(ecbpf_stage_name, ECBPF_STAGES, NAMES_STAGE_NAME)
NAMES_FUNCTION(ecbpf_stage_text, ECBPF_STAGES, NAMES_STAGE_TEXT)
NAMES_FUNCTION(ecbpf_count_name, ECBPF_COUNT_CLASSES, NAMES_NAME)

int ecbpf_stage_prio(const char *name)
{
#define X(value, NAME, stage, prio, text) \
	if (!strcmp(name, #stage))        \
		return prio;
	ECBPF_STAGES(X)
#undef X
	return -1;
}

const char *ecbpf_mode_name(enum ecbpf_mode mode)
{
	static const char *const names[] = {
		[ECBPF_MODE_UNSPEC] = "unspecified",
		[ECBPF_MODE_NATIVE] = "native",
		[ECBPF_MODE_SKB] = "skb",
	};

	return names[mode];
}

int ecbpf_mode_parse(const char *text, enum ecbpf_mode *ret_mode)
{
	for (enum ecbpf_mode mode = ECBPF_MODE_UNSPEC; mode <= ECBPF_MODE_SKB; mode++) {
		if (!strcmp(text, ecbpf_mode_name(mode))) {
			*ret_mode = mode;
			return 0;
		}
	}
	return -EINVAL;
}

const char *ecbpf_action_name(__u32 action)
{
	static const char *const names[] = {
		[XDP_ABORTED] = "XDP_ABORTED",	 [XDP_DROP] = "XDP_DROP",
		[XDP_PASS] = "XDP_PASS",	 [XDP_TX] = "XDP_TX",
		[XDP_REDIRECT] = "XDP_REDIRECT", [ECBPF_ACTION_INVALID] = "invalid",
	};

	return action < ARRAY_SIZE(names) ? names[action] : NULL;
}
