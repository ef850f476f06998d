// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading, unloading and replacing programs of a chain. */
#include <errno.h>
#include <string.h>
#include "bpf/program.h"
#include "chain/load.h"
#include "chain/note.h"
#include "core/handle.h"
#include "core/iface.h"

int ecbpf_plan_load(struct ecbpf *e, struct change *c, void *data)
{
	const struct load *load = data;
	int err = ecbpf_iface_check(e, c->iface);

	if (err)
		return err;
	if (c->live.kind == ECBPF_CHAIN_SINGLE)
		return ecbpf_fail_single(e, c);
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return ecbpf_fail_broken(e, c);
	if (c->live.id && load->mode != ECBPF_MODE_UNSPEC && load->mode != c->live.mode)
		return ecbpf_fail_mode(e, c, load->mode);
	c->mode = c->live.id ? c->live.mode : load->mode ? load->mode : ECBPF_MODE_NATIVE;
	if (c->live.count + load->count > DISPATCHER_MEMBERS)
		return ecbpf_fail(e, -E2BIG,
				  "%s: %zu programs and %zu more: a chain has %d at most", c->iface,
				  c->live.count, load->count, DISPATCHER_MEMBERS);
	memcpy(c->members, c->live.members, sizeof(c->live.members));
	c->count = c->live.count;
	for (size_t i = 0; i < load->count; i++)
		c->members[c->count++] = (struct member){.spec = &load->programs[i],
							 .predecessor = {.fd = -1},
							 .fd = -1,
							 .link_fd = -1};
	return 0;
}

int ecbpf_chain_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		     const struct ecbpf_program *programs, size_t programs_count,
		     enum ecbpf_mode mode)
{
	struct load load = {.programs = programs, .count = programs_count, .mode = mode};
	int err = 0;

	if (!ifaces_count || !programs_count)
		return ecbpf_fail(e, -EINVAL, "nothing to load, or no interface");
	for (size_t i = 0; i < programs_count && !err; i++)
		err = ecbpf_program_check(e, &programs[i]);
	if (err)
		return err;
	return ecbpf_change_chains(e, ifaces, ifaces_count, ecbpf_plan_load, &load);
}

/* A member is meant by its program's name, whole or as the kernel cuts it, or by its stage's */
static bool is_named(const struct member *m, const char *name)
{
	return !strcmp(m->name, name) ||
	       (strlen(name) == ECBPF_NAME_CUT && !strncmp(m->name, name, ECBPF_NAME_CUT)) ||
	       (!strncmp(m->name, "ecbpf_", 6) && !strcmp(m->name + 6, name));
}

static int plan_unload(struct ecbpf *e, struct change *c, void *data)
{
	const struct ecbpf_selector *s = data;

	/* somebody else took it off, and that is accepted */
	if (!c->live.id && s->all && ecbpf_note_forget(e, c->iface)) {
		c->is_same = true;
		return 0;
	}
	if (!c->live.id)
		return ecbpf_fail(e, -ENOENT, "%s: no XDP program loaded", c->iface);
	c->mode = c->live.mode;
	if (s->all)
		return 0;
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return ecbpf_fail_broken(e, c);
	for (size_t i = 0; i < c->live.count; i++) {
		const struct member *m = &c->live.members[i];

		if ((s->id && m->id == s->id) || (s->name && is_named(m, s->name)))
			continue;
		c->members[c->count++] = *m;
	}
	if (c->count < c->live.count)
		return 0;
	if (s->name)
		return ecbpf_fail(e, -ENOENT, "%s: no program '%s' in its chain", c->iface,
				  s->name);
	return ecbpf_fail(e, -ENOENT, "%s: no program with id %u in its chain", c->iface, s->id);
}

int ecbpf_chain_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		       const struct ecbpf_selector *selector)
{
	if (!ifaces_count || (!selector->all && !selector->id && !selector->name))
		return ecbpf_fail(e, -EINVAL, "nothing to unload, or no interface");
	return ecbpf_change_chains(e, ifaces, ifaces_count, plan_unload, (void *)selector);
}

struct replace {
	const char *name;
	const struct ecbpf_program *program;
};

static int plan_replace(struct ecbpf *e, struct change *c, void *data)
{
	const struct replace *r = data;
	struct member *found = NULL;
	int err = ecbpf_iface_check(e, c->iface);

	if (err)
		return err;
	if (!c->live.id)
		return ecbpf_fail(e, -ENOENT, "%s: no XDP program loaded", c->iface);
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return ecbpf_fail_broken(e, c);
	c->mode = c->live.mode;
	memcpy(c->members, c->live.members, sizeof(c->live.members));
	c->count = c->live.count;
	for (size_t i = 0; i < c->count; i++) {
		struct member *m = &c->members[i];

		if (!is_named(m, r->name))
			continue;
		if (found)
			return ecbpf_fail(e, -EINVAL, "%s: more than one program '%s'", c->iface,
					  r->name);
		found = m;
	}
	if (!found)
		return ecbpf_fail(e, -ENOENT, "%s: no program '%s' in its chain", c->iface,
				  r->name);
	if (c->live.kind == ECBPF_CHAIN_SINGLE && !r->program->fused)
		return ecbpf_fail_single(e, c);
	found->predecessor.fd = found->fd; /* stays open with c->live */
	found->keeps_place = true;
	found->spec = r->program;
	found->fd = -1;
	return 0;
}

int ecbpf_chain_replace(struct ecbpf *e, const char *iface, const char *name,
			const struct ecbpf_program *program)
{
	struct replace r = {.name = name, .program = program};
	int err = ecbpf_program_check(e, program);

	if (err)
		return err;
	return ecbpf_change_chains(e, &iface, 1, plan_replace, &r);
}
