// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The names of numbers: actions, modes, reasons, stages, counted classes. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf.h>
#include "core/util.h"

const char *ecbpf_reason_name(__u32 reason)
{
	switch (reason) {
#define X(value, NAME, name, text) \
	case value:                \
		return name;
		ECBPF_REASONS(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_reason_text(__u32 reason)
{
	switch (reason) {
#define X(value, NAME, name, text) \
	case value:                \
		return text;
		ECBPF_REASONS(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_stage_name(__u32 stage)
{
	switch (stage) {
#define X(value, NAME, name, prio, text) \
	case value:                      \
		return #name;
		ECBPF_STAGES(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_stage_text(__u32 stage)
{
	switch (stage) {
#define X(value, NAME, name, prio, text) \
	case value:                      \
		return text;
		ECBPF_STAGES(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_count_name(__u32 class)
{
	switch (class) {
#define X(value, NAME, name) \
	case value:          \
		return name;
		ECBPF_COUNT_CLASSES(X)
#undef X
	default:
		return NULL;
	}
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
