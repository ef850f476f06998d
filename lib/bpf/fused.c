// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The layout of ecbpf_fused: which stages it runs, and where their counters are. */
#include <errno.h>
#include <string.h>
#include "bpf/constants.h"
#include "bpf/fused.h"
#include "bpf/info.h"
#include "bpf/percpu.h"
#include "core/error.h"
#include "core/handle.h"

int ecbpf_fused_layout(int prog_fd, struct fused_layout *ret_layout)
{
	struct fused_layout layout = {};
	int err;

	err = ecbpf_constant_read(prog_fd, "fused_stages", layout.stages, sizeof(layout.stages));
	if (!err)
		err = ecbpf_constant_read(prog_fd, "fused_counters", layout.counters,
					  sizeof(layout.counters));
	if (!err)
		*ret_layout = layout;
	return err;
}

/*
 * Where the counters of each stage are: where those of the same stage were in the program that is
 * replaced, else where none were, from zero on.
 */
static int fused_place_counters(struct ecbpf *e, const __u8 *stages, __u8 *counters, int old_fd)
{
	const __u32 all = (1U << ECBPF_FUSED_SLOTS) - 1;
	struct fused_layout old = {};
	_cleanup_close_ int map_fd = -1;
	__u32 used = 0, live = 0, is_placed = 0;
	int err = 0;

	if (old_fd >= 0)
		err = ecbpf_fused_layout(old_fd, &old);
	if (err && err != -ENOENT && err != -EPROTO)
		return ecbpf_fail(e, err, "ecbpf_fused: cannot read the loaded program: %s",
				  strerror(-err));
	if (err)
		old_fd = -1; /* something else */
	if (old_fd >= 0)
		map_fd = ecbpf_prog_map(old_fd, "counters", NULL);
	if (old_fd >= 0 && map_fd < 0 && map_fd != -ENOENT)
		return ecbpf_fail(e, map_fd, "ecbpf_fused: cannot read its counters: %s",
				  strerror(-map_fd));
	for (__u32 j = 0; j < ECBPF_FUSED_SLOTS; j++) {
		if (old.stages[j])
			live |= 1U << old.counters[j];
	}
	for (__u32 i = 0; i < ECBPF_FUSED_SLOTS; i++) {
		for (__u32 j = 0; j < ECBPF_FUSED_SLOTS && stages[i]; j++) {
			if (old.stages[j] != stages[i] || used & 1U << old.counters[j])
				continue;
			counters[i] = old.counters[j];
			used |= 1U << counters[i];
			is_placed |= 1U << i;
			break;
		}
	}
	for (__u32 i = 0; i < ECBPF_FUSED_SLOTS; i++) {
		__u32 free = ~(used | live) & all;

		if (!stages[i] || is_placed & 1U << i)
			continue;
		/* a removed stage counts until the exchange: reuse its entry last */
		counters[i] = __builtin_ctz(free ? free : ~used);
		used |= 1U << counters[i];
		if (map_fd >= 0 && ecbpf_percpu_zero(map_fd, counters[i], 1))
			return ecbpf_fail(e, -EIO, "ecbpf_fused: cannot clear its counters");
	}
	return 0;
}

int ecbpf_fused_parse(struct ecbpf *e, const char *list, __u8 ret_stages[ECBPF_FUSED_SLOTS])
{
	_cleanup_free_ char *copy = strdup(list);
	char *word, *rest = copy;
	size_t count = 0;

	if (!copy)
		return ecbpf_fail_memory(e);
	memset(ret_stages, ECBPF_STAGE_NONE, ECBPF_FUSED_SLOTS);
	while ((word = strsep(&rest, ","))) {
		__u8 stage = ECBPF_STAGE_NONE;

#define X(value, NAME, name, prio, text) \
	if (!strcmp(word, #name))        \
		stage = value;
		ECBPF_STAGES(X)
#undef X
		if (!stage)
			return ecbpf_fail(e, -EINVAL,
					  "fused: no stage '%s'; there are"
#define X(value, NAME, name, prio, text) " " #name
					  ECBPF_STAGES(X)
#undef X
						  ,
					  word);
		if (count == ECBPF_FUSED_SLOTS)
			return ecbpf_fail(e, -E2BIG, "fused: more than %d stages",
					  ECBPF_FUSED_SLOTS);
		/* pass does nothing, however often it runs */
		if (stage != ECBPF_STAGE_PASS && memchr(ret_stages, stage, count))
			return ecbpf_fail(e, -EINVAL, "fused: '%s' is given twice", word);
		if (count && ret_stages[count - 1] == ECBPF_STAGE_SAMPLER)
			return ecbpf_fail(e, -EINVAL,
					  "fused: '%s' after 'sampler', which has to be last",
					  word);
		ret_stages[count++] = stage;
	}
	return 0;
}

int ecbpf_fused_apply(struct ecbpf *e, struct bpf_object *obj, const char *list, int old_fd,
		      __u8 ret_stages[ECBPF_FUSED_SLOTS])
{
	const struct btf_type *type;
	__u8 *at, *counters;
	__u32 size;
	int err;

	at = ecbpf_constant_find(obj, "fused_stages", &size, &type);
	if (!at || size != ECBPF_FUSED_SLOTS)
		return ecbpf_fail(e, -EPROTO, "ecbpf_fused: has no fused_stages");
	counters = ecbpf_constant_find(obj, "fused_counters", &size, &type);
	if (!counters || size != ECBPF_FUSED_SLOTS)
		return ecbpf_fail(e, -EPROTO, "ecbpf_fused: has no fused_counters");
	err = ecbpf_fused_parse(e, list, at);
	memcpy(ret_stages, at, ECBPF_FUSED_SLOTS);
	return err ?: fused_place_counters(e, at, counters, old_fd);
}
