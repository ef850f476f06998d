// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Making a chain have the wanted members: ecbpf_chain_set(). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/btf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/loaded.h"
#include "bpf/metadata.h"
#include "bpf/own_pins.h"
#include "chain/change.h"
#include "chain/set.h"
#include "chain/spares.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"

/* What tells whether a program is the wanted one, from its object file */
struct wanted_id {
	const struct ecbpf_program *spec;
	bool frags;
	char name[64];
	__u32 prio;
	__u32 actions;
	__u64 fingerprint;
};

struct set {
	const struct ecbpf_chain_want *wants;
	size_t count;
	bool check, try;	 /* find out what there is to do; the kernel is asked, too */
	struct other_maps *maps; /* NULL: replaced, unless others are kept */
	struct wanted_id *ids;	 /* made once, not for each interface */
	size_t ids_count;
	struct ecbpf_chain_change *changes;
	size_t changes_count;
	bool has_held; /* programs that were not loaded for this */
};

/* A member of the live chain, and the wanted program that it stays or becomes; NULL: none */
struct attached_member {
	struct loaded loaded;
	bool is_owned;
	bool has_other_maps; /* than those that are pinned, which settings are in */
	const struct wanted_id *wanted;
};

static int wanted_id_get(struct ecbpf *e, struct set *set, const struct ecbpf_program *spec,
			 bool frags, struct wanted_id *ret)
{
	struct wanted_id *id;
	struct program program;
	int err;

	for (size_t i = 0; i < set->ids_count; i++) {
		*ret = set->ids[i];
		if (ret->spec == spec && ret->frags == frags)
			return 0;
	}
	err = ecbpf_program_open(e, spec, NULL, frags, &program);
	if (err)
		return err;
	*ret = (struct wanted_id){
		.spec = spec,
		.frags = frags,
		.prio = program.prio,
		.actions = program.actions,
		.fingerprint = program.fingerprint,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", program.name);
	ecbpf_program_close(&program);
	id = ecbpf_array_add(&set->ids, &set->ids_count, sizeof(*id));
	if (!id)
		return ecbpf_fail_memory(e);
	*id = *ret;
	return 0;
}

static int set_note(struct ecbpf *e, struct set *set, const struct change *c,
		    enum ecbpf_change_kind kind, const struct member *m)
{
	struct ecbpf_chain_change *change;

	change = ecbpf_array_add(&set->changes, &set->changes_count, sizeof(*change));
	if (!change)
		return ecbpf_fail_memory(e);
	*change = (struct ecbpf_chain_change){.kind = kind, .prio = m->prio, .actions = m->actions};
	snprintf(change->iface, sizeof(change->iface), "%s", c->iface);
	snprintf(change->name, sizeof(change->name), "%s", m->name);
	return 0;
}

/* Is it one that ecbpf_chain_set() is to keep, change or remove? */
static int member_owned(struct ecbpf *e, const struct member *m, struct loaded *ret_loaded,
			bool *ret_is_owned)
{
	struct bpf_prog_info info = {};
	struct btf *btf;
	int err;

	err = ecbpf_loaded_read(m->fd, ret_loaded);
	if (err == -ENOENT || err == -EPROTO) /* of another tool or version */
		err = 0;
	if (!err)
		err = ecbpf_prog_info(m->fd, &info);
	if (err)
		return ecbpf_fail(e, err, "%s: cannot read the loaded program: %s", m->name,
				  strerror(-err));
	*ret_is_owned = ret_loaded->is_owned;
	if (*ret_is_owned || !info.btf_id)
		return 0;
	err = ecbpf_prog_btf(&info, &btf);
	if (err)
		return ecbpf_fail(e, err, "%s: cannot read its BTF: %s", m->name, strerror(-err));
	*ret_is_owned = ecbpf_btf_schema(btf);
	btf__free(btf);
	return 0;
}

/* The attached member for a wanted program, by fingerprint (@is_same) or by name; NULL: none */
static struct attached_member *attached_find(const struct live *live,
					     struct attached_member *attached,
					     const struct wanted_id *wanted, bool is_same)
{
	for (size_t i = 0; i < live->count; i++) {
		struct attached_member *p = &attached[i];

		if (p->is_owned && !p->wanted && !strcmp(live->members[i].name, wanted->name) &&
		    (!is_same || p->loaded.fingerprint == wanted->fingerprint))
			return p;
	}
	return NULL;
}

/* @old_fd: the program that it replaces; -1: none */
static struct member member_wanted(const struct wanted_id *wanted, int old_fd)
{
	struct member m = {
		.spec = wanted->spec,
		.prio = wanted->prio,
		.actions = wanted->actions,
		.is_owned = true,
		.predecessor = {.fd = old_fd},
		.fd = -1,
		.link_fd = -1,
	};

	snprintf(m.name, sizeof(m.name), "%s", wanted->name);
	return m;
}

/* One that is not there; if it was, and is held, it needs no load */
static struct member member_added(struct ecbpf *e, struct set *set, const struct change *c,
				  const struct ecbpf_chain_want *want,
				  const struct wanted_id *wanted)
{
	struct member m;

	if (!ecbpf_spares_find(e, c->iface, wanted->name, wanted->fingerprint,
			       !c->live.id && want->programs_count == 1, &m))
		return member_wanted(wanted, -1);
	m.prio = wanted->prio;
	m.actions = wanted->actions;
	set->has_held = true;
	return m;
}

/* @wanted takes the place of @p: what is the cause? */
static const char *why_replaced(struct ecbpf *e, struct set *set, const struct attached_member *p,
				bool is_reloaded)
{
	const struct wanted_id wanted = *p->wanted;
	struct wanted_id other;

	if (wanted.fingerprint == p->loaded.fingerprint)
		return is_reloaded ? "it was alone, and becomes part of a chain"
				   : "it has other maps than those that are pinned";
	if (!wanted_id_get(e, set, wanted.spec, !wanted.frags, &other) &&
	    other.fingerprint == p->loaded.fingerprint)
		return wanted.frags ? "its MTU needs XDP fragments"
				    : "its MTU needs no XDP fragments";
	return "other code or constants";
}

/* Keep, move, replace or remove an attached member */
static int plan_attached(struct ecbpf *e, struct set *set, struct change *c, size_t slot,
			 const struct attached_member *p, bool is_reloaded, bool takes_maps)
{
	struct member m = c->live.members[slot];
	const struct wanted_id *wanted = p->wanted;

	if (p->is_owned && !wanted)
		return set_note(e, set, c, ECBPF_CHANGE_REMOVE, &m);
	if (set->maps)
		set->maps->ret_has_some |= wanted && p->has_other_maps;
	if (wanted && (p->loaded.fingerprint != wanted->fingerprint || is_reloaded ||
		       (p->has_other_maps && takes_maps))) {
		const char *why = why_replaced(e, set, p, is_reloaded);
		int err;

		m = member_wanted(wanted, m.fd);
		c->members[c->count++] = m;
		err = set_note(e, set, c, ECBPF_CHANGE_REPLACE, &m);
		if (!err)
			set->changes[set->changes_count - 1].why = why;
		return err;
	}
	if (!wanted || c->live.kind == ECBPF_CHAIN_SINGLE ||
	    (m.prio == wanted->prio && m.actions == wanted->actions)) {
		c->members[c->count++] = m;
		return 0;
	}
	m.prio = wanted->prio;
	m.actions = wanted->actions;
	c->members[c->count++] = m;
	return set_note(e, set, c, ECBPF_CHANGE_MOVE, &m);
}

/* Can the chain be one of ours at all? */
static int set_check(struct ecbpf *e, const struct change *c, const struct ecbpf_chain_want *want,
		     const struct attached_member *attached, size_t foreign)
{
	if (c->live.kind == ECBPF_CHAIN_BROKEN)
		return ecbpf_fail_broken(e, c);
	if (c->live.kind == ECBPF_CHAIN_SINGLE && !attached[0].is_owned)
		return ecbpf_fail_single(e, c);
	if (c->live.id && want->programs_count && want->mode != ECBPF_MODE_UNSPEC &&
	    want->mode != c->live.mode)
		return ecbpf_fail(e, -EBUSY,
				  "%s: its chain is in %s mode, not %s; 'ecbpf-loader unload --all "
				  "%s' comes first",
				  c->iface, ecbpf_live_mode_name(c->live.mode),
				  ecbpf_live_mode_name(want->mode), c->iface);
	if (foreign + want->programs_count > DISPATCHER_MEMBERS)
		return ecbpf_fail(e, -E2BIG,
				  "%s: %zu programs, and %zu of others: a chain has %d at most",
				  c->iface, want->programs_count, foreign, DISPATCHER_MEMBERS);
	return 0;
}

/* Those of ours that are not wanted are like those of somebody else, if they are to stay */
static int others_keep(struct ecbpf *e, const struct change *c, const struct ecbpf_chain_want *want,
		       struct attached_member *attached)
{
	size_t others = 0;

	if (!want->keeps_others || c->live.kind != ECBPF_CHAIN_DISPATCHER)
		return 0;
	for (size_t slot = 0; slot < c->live.count; slot++) {
		if (attached[slot].wanted)
			continue;
		attached[slot].is_owned = false;
		others++;
	}
	if (others + want->programs_count <= DISPATCHER_MEMBERS)
		return 0;
	return ecbpf_fail(e, -E2BIG, "%s: %zu programs, and %zu others: a chain has %d at most",
			  c->iface, want->programs_count, others, DISPATCHER_MEMBERS);
}

static int plan_wanted(struct ecbpf *e, struct set *set, struct change *c,
		       const struct ecbpf_chain_want *want, struct attached_member *attached)
{
	struct wanted_id wanted[DISPATCHER_MEMBERS];
	bool is_there[DISPATCHER_MEMBERS] = {}, is_reloaded;
	/* who keeps others does not know what is in the maps that are pinned now */
	bool takes_maps = set->maps ? set->maps->replaces_them : !want->keeps_others;
	size_t before = set->changes_count;
	int err = 0;

	for (size_t i = 0; i < want->programs_count; i++) {
		err = wanted_id_get(e, set, &want->programs[i], ecbpf_needs_frags(c->iface),
				    &wanted[i]);
		if (err)
			return err;
	}
	/* first those that need no change, so that they are left alone */
	for (int is_same = 1; is_same >= 0; is_same--) {
		for (size_t i = 0; i < want->programs_count; i++) {
			struct attached_member *p;

			p = is_there[i] ? NULL
					: attached_find(&c->live, attached, &wanted[i], is_same);
			if (!p)
				continue;
			p->wanted = &wanted[i];
			is_there[i] = true;
		}
	}
	err = others_keep(e, c, want, attached);
	/* one that is attached without a dispatcher cannot be linked into one */
	is_reloaded = c->live.kind == ECBPF_CHAIN_SINGLE && want->programs_count > 1;
	for (size_t slot = 0; slot < c->live.count && !err; slot++)
		err = plan_attached(e, set, c, slot, &attached[slot], is_reloaded, takes_maps);
	for (size_t i = 0; i < want->programs_count && !err; i++) {
		if (is_there[i])
			continue;
		c->members[c->count] = member_added(e, set, c, want, &wanted[i]);
		err = set_note(e, set, c, ECBPF_CHANGE_ADD, &c->members[c->count++]);
	}
	c->is_same = set->changes_count == before;
	return err;
}

static int plan_set(struct ecbpf *e, struct change *c, void *data)
{
	_cleanup_free_ struct attached_member *attached =
		calloc(DISPATCHER_MEMBERS, sizeof(*attached));
	struct set *set = data;
	const struct ecbpf_chain_want *want = set->wants;
	size_t owned = 0;
	int err;

	if (!attached)
		return ecbpf_fail_memory(e);
	while (want->iface != c->iface)
		want++;
	if (want == set->wants)
		set->changes_count = 0; /* planned again: another process was faster */
	for (size_t i = 0; i < c->live.count; i++) {
		err = member_owned(e, &c->live.members[i], &attached[i].loaded,
				   &attached[i].is_owned);
		if (err)
			return err;
		owned += attached[i].is_owned;
		attached[i].has_other_maps =
			attached[i].is_owned && ecbpf_pins_are_others(e, c->live.members[i].fd);
	}
	if (!owned && !want->programs_count) {
		c->is_same = true;
		return 0;
	}
	err = want->programs_count ? ecbpf_iface_check(e, c->iface) : 0;
	if (!err)
		err = set_check(e, c, want, attached, c->live.count - owned);
	if (err)
		return err;
	c->mode = c->live.id ? c->live.mode : want->mode ? want->mode : ECBPF_MODE_NATIVE;
	return plan_wanted(e, set, c, want, attached);
}

/* Nothing was attached to either, and both are to get the same programs */
static bool is_like(const struct change *a, const struct change *b)
{
	if (a->live.id || b->live.id || a->count != b->count ||
	    ecbpf_needs_frags(a->iface) != ecbpf_needs_frags(b->iface))
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->members[i].spec != b->members[i].spec)
			return false;
	return true;
}

/* The plan alone: nothing is locked, nothing made */
static int set_plan(struct ecbpf *e, const char *const *ifaces, size_t count, struct set *set)
{
	_cleanup_free_ struct change *changes = calloc(count + 1, sizeof(*changes));
	size_t n = 0;
	int err;

	if (!changes)
		return ecbpf_fail_memory(e);
	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_changes_plan(e, ifaces, count, plan_set, set, changes, &n);
	for (size_t i = 0; i < n && !err && set->try; i++) {
		bool is_known = false;

		for (size_t k = 0; k < i; k++)
			is_known |= is_like(&changes[k], &changes[i]);
		err = is_known ? 0 : ecbpf_change_try(e, &changes[i]);
	}
	for (size_t i = 0; i < n; i++)
		ecbpf_change_close(e, &changes[i]);
	return err;
}

static int chain_set(struct ecbpf *e, struct set set, struct ecbpf_chain_change **ret_changes,
		     size_t *ret_count)
{
	_cleanup_free_ const char **ifaces = calloc(set.count + 1, sizeof(*ifaces));
	const struct ecbpf_chain_want *wants = set.wants;
	int err, ifindex;
	size_t n = 0;

	if (!ifaces)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < set.count; i++) {
		if (wants[i].programs_count > DISPATCHER_MEMBERS)
			return ecbpf_fail(e, -E2BIG, "%s: %zu programs: a chain has %d at most",
					  wants[i].iface, wants[i].programs_count,
					  DISPATCHER_MEMBERS);
		/* one that is to have nothing, and is gone meanwhile, has nothing */
		ifindex = wants[i].programs_count ? 1 : ecbpf_iface_ask(e, wants[i].iface);
		if (ifindex < 0)
			return ifindex;
		if (ifindex)
			ifaces[n++] = wants[i].iface;
	}
	err = set_plan(e, ifaces, n, &set);
	if (!err && set.changes_count && !set.check)
		err = ecbpf_change_chains(e, ifaces, n, plan_set, &set);
	/* are they to blame? Not for an interface that has gone */
	if (err && err != -ENODEV && err != -ENOENT && set.has_held && !set.check) {
		ecbpf_spares_drop(e->spares);
		err = ecbpf_change_chains(e, ifaces, n, plan_set, &set);
	}
	free(set.ids);
	if (err) {
		free(set.changes);
		return err;
	}
	*ret_changes = set.changes;
	*ret_count = set.changes_count;
	return 0;
}

int ecbpf_chain_set(struct ecbpf *e, const struct ecbpf_chain_want *wants, size_t count, bool check,
		    struct ecbpf_chain_change **ret_changes, size_t *ret_count)
{
	return chain_set(e, (struct set){.wants = wants, .count = count, .check = check},
			 ret_changes, ret_count);
}

int ecbpf_chain_keep(struct ecbpf *e, const struct ecbpf_chain_want *want, struct other_maps *maps,
		     struct ecbpf_chain_change **ret_changes, size_t *ret_count)
{
	struct ecbpf_chain_want keep = *want;

	keep.keeps_others = true;
	return chain_set(e, (struct set){.wants = &keep, .count = 1, .maps = maps}, ret_changes,
			 ret_count);
}

int ecbpf_chain_try(struct ecbpf *e, const struct ecbpf_chain_want *wants, size_t count,
		    struct ecbpf_chain_change **ret_changes, size_t *ret_count)
{
	return chain_set(e,
			 (struct set){.wants = wants, .count = count, .check = true, .try = true},
			 ret_changes, ret_count);
}

int ecbpf_chain_owned(struct ecbpf *e, const char *iface, struct owned *ret_members,
		      size_t *ret_count, enum ecbpf_mode *ret_mode)
{
	struct live live = {.fd = -1};
	size_t count = 0;
	int err;

	err = ecbpf_live_open(e, iface, NULL, &live);
	if (err)
		return err;
	for (size_t i = 0; i < live.count; i++) {
		const struct member *m = &live.members[i];
		struct owned *owned = &ret_members[count];
		bool is_ours = false;

		*owned = (struct owned){.prio = m->prio, .actions = m->actions};
		err = member_owned(e, m, &owned->loaded, &is_ours);
		if (err)
			break;
		if (!is_ours)
			continue;
		owned->has_place = live.kind != ECBPF_CHAIN_SINGLE;
		memcpy(owned->name, m->name, sizeof(owned->name));
		count++;
	}
	*ret_mode = live.mode;
	*ret_count = count;
	ecbpf_live_close(&live);
	return err;
}
