// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading and unloading one stage, as a program or within ecbpf_fused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bpf/fused.h"
#include "chain/load.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/names.h"

struct stage {
	__u32 stage;
	bool is_fused;
	struct load load;
	struct ecbpf_program program;
};

static __u32 stage_prio(__u32 stage)
{
	const char *name = ecbpf_stage_name(stage);

	return name ? ecbpf_stage_prio(name) : ECBPF_FUSED_PRIO;
}

/*
 * The stages of a member, of which ecbpf_fused has several. Return: how many; 0: it is not ours;
 * errors
 */
static int member_stages(struct ecbpf *e, const struct member *m, struct fused_layout *ret)
{
	int count = 0, err;

	*ret = (struct fused_layout){};
	if (!strcmp(m->name, "ecbpf_fused")) {
		err = ecbpf_fused_layout(m->fd, ret);
		if (err && err != -ENOENT && err != -EPROTO)
			return ecbpf_fail(e, err, "%s: cannot read its stages: %s", m->name,
					  strerror(-err));
		if (err)
			return 0;
		while (count < ECBPF_FUSED_SLOTS && ret->stages[count])
			count++;
		return count;
	}
#define X(value, NAME, stage, prio, text)      \
	if (!strcmp(m->name, "ecbpf_" #stage)) \
		ret->stages[count++] = value;
	ECBPF_STAGES(X)
#undef X
	return count;
}

/* Member @m, an ecbpf_fused, is to go on with these stages: its counters and settings stay */
static int member_go_on(struct ecbpf *e, struct change *c, struct member *m, const __u8 *stages,
			size_t count)
{
	size_t len = 0;

	if (c->fused.fused)
		return ecbpf_fail(e, -EBUSY,
				  "%s: more than one ecbpf_fused in its chain: see "
				  "'ecbpf-loader replace'",
				  c->iface);
	for (size_t i = 0; i < count; i++)
		len += snprintf(c->stages + len, sizeof(c->stages) - len, "%s%s", i ? "," : "",
				ecbpf_stage_name(stages[i]) ?: "?");
	c->fused = (struct ecbpf_program){.fused = c->stages, .prio = -1};
	m->predecessor = (struct predecessor){.fd = m->fd, .has_constants = true};
	m->keeps_place = true;
	m->spec = &c->fused;
	m->fd = -1;
	return 0;
}

static int plan_stage_load(struct ecbpf *e, struct change *c, void *data)
{
	const struct stage *s = data;
	struct fused_layout layout, found_layout;
	struct member *found = NULL;
	size_t found_count = 0, at = 0;
	int err;

	err = ecbpf_iface_check(e, c->iface);
	if (err)
		return err;
	for (size_t i = 0; i < c->live.count; i++) {
		struct member *m = &c->live.members[i];
		int count = member_stages(e, m, &layout);

		if (count < 0)
			return count;
		if (memchr(layout.stages, s->stage, count))
			return ecbpf_fail(e, -EEXIST, "%s: stage %s is loaded already", c->iface,
					  ecbpf_stage_name(s->stage));
		if (found || !s->is_fused || strcmp(m->name, "ecbpf_fused"))
			continue;
		found = &c->members[i];
		found_layout = layout;
		found_count = count;
	}
	if (!found || !found_count)
		return ecbpf_plan_load(e, c, (void *)&s->load);
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return ecbpf_fail_broken(e, c);
	if (s->load.mode != ECBPF_MODE_UNSPEC && s->load.mode != c->live.mode)
		return ecbpf_fail_mode(e, c, s->load.mode);
	if (found_count == ECBPF_FUSED_SLOTS)
		return ecbpf_fail(e, -E2BIG, "%s: ecbpf_fused runs %d stages already", c->iface,
				  ECBPF_FUSED_SLOTS);
	while (at < found_count && stage_prio(found_layout.stages[at]) <= stage_prio(s->stage))
		at++;
	memmove(found_layout.stages + at + 1, found_layout.stages + at, found_count - at);
	found_layout.stages[at] = s->stage;
	c->mode = c->live.mode;
	memcpy(c->members, c->live.members, sizeof(c->live.members));
	c->count = c->live.count;
	err = member_go_on(e, c, found, found_layout.stages, found_count + 1);
	/* what has to run early does so before others of the chain, too */
	if (c->live.kind == ECBPF_CHAIN_DISPATCHER && stage_prio(s->stage) < found->prio)
		c->fused.prio = stage_prio(s->stage);
	return err;
}

int ecbpf_chain_load_stage(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			   __u32 stage, bool is_fused, enum ecbpf_mode mode)
{
	struct stage s = {.stage = stage, .is_fused = is_fused, .program = ECBPF_PROGRAM_INIT};

	if (!ifaces_count || !ecbpf_stage_name(stage))
		return ecbpf_fail(e, -EINVAL, "nothing to load, or no interface");
	if (is_fused) {
		s.program.fused = ecbpf_stage_name(stage);
		s.program.prio = stage_prio(stage);
	} else {
		s.program.file = ecbpf_stage_name(stage);
	}
	s.load = (struct load){.programs = &s.program, .count = 1, .mode = mode};
	return ecbpf_change_chains(e, ifaces, ifaces_count, plan_stage_load, &s);
}

static int plan_stage_unload(struct ecbpf *e, struct change *c, void *data)
{
	const struct stage *s = data;
	struct fused_layout layout;
	bool is_found = false;
	int err;

	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return ecbpf_fail_broken(e, c);
	c->mode = c->live.mode;
	for (size_t i = 0; i < c->live.count; i++) {
		int count = member_stages(e, &c->live.members[i], &layout), left = 0;
		struct member *m = &c->members[c->count];

		if (count < 0)
			return count;
		*m = c->live.members[i];
		if (!memchr(layout.stages, s->stage, count)) {
			c->count++;
			continue;
		}
		is_found = true;
		for (int slot = 0; slot < count; slot++) {
			if (layout.stages[slot] != s->stage)
				layout.stages[left++] = layout.stages[slot];
		}
		if (!left)
			continue;
		c->count++;
		err = member_go_on(e, c, m, layout.stages, left);
		if (err)
			return err;
	}
	return is_found ? 0
			: ecbpf_fail(e, -ENOENT, "%s: stage %s is not loaded", c->iface,
				     ecbpf_stage_name(s->stage));
}

int ecbpf_chain_unload_stage(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			     __u32 stage)
{
	struct stage s = {.stage = stage};

	if (!ifaces_count || !ecbpf_stage_name(stage))
		return ecbpf_fail(e, -EINVAL, "nothing to unload, or no interface");
	return ecbpf_change_chains(e, ifaces, ifaces_count, plan_stage_unload, &s);
}
