// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall's state in the kernel: generations, counters, limits, sets. See <ecbpf/fw.h>.
 *
 * There are two places for generations, of which `fw_active` names the live one; `fw_text` has, in
 * the same places, what user space wants to know of them: the rules as text, and which counters,
 * limits and sets are theirs. A change
 *
 *	1. waits until no packet is on its way through what was live before, if that is there still
 *	2. writes the other place; rules that stay keep their counters and limits, others get some
 *	   that nobody uses
 *	3. makes it live by one store
 *	4. waits again, and frees what was live
 *
 * Whoever is killed before 3 leaves the old generation, and else the new one. What it did not free
 * is freed by the next change.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "fw/compile.h"
#include "fw/rules.h"
#include "core/internal.h"
#include <ecbpf/libecbpf-fw.h>
#include "progs/fw.skel.h"
#include "bpf/trie.h"

#define TEXT_MAGIC 0x66776563
#define NO_ENTRY   0xffff

/* Maps, by file descriptor */
struct maps {
	int active;
	int small;
	int medium;
	int large;
	int counters;
	int limits;
	int buckets;
	int sets;
	int pool;
	int text;
};

/* A ruleset with what is its in the kernel */
struct state {
	struct ecbpf_fw_ruleset *ruleset;
	__u16 *counters; /* of each rule */
	__u16 *limits;	 /* likewise; NO_ENTRY */
	__u16 *sets;	 /* of each set, entry of fw_sets; NO_ENTRY: to be made */
};

static void state_free(struct state *state)
{
	ecbpf_fw_ruleset_free(state->ruleset);
	free(state->counters);
	free(state->limits);
	free(state->sets);
	*state = (struct state){};
}

static int fail_memory(struct ecbpf *e)
{
	ecbpf_fail(e, -ENOMEM, "out of memory");
	return -ENOMEM;
}

static int fail_map(struct ecbpf *e, const char *what, int err)
{
	ecbpf_fail(e, err, "the firewall's map %s: %s", what, strerror(-err));
	return err < 0 ? err : -EIO;
}

/* --- generations in the kernel -------------------------------------------------------------- */

/* A map with these bytes in it, for an array of maps. Return: fd or -errno */
static int map_of(const char *name, __u32 flags, size_t entry_bytes, size_t entries,
		  const void *memory)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | flags);
	const __u64 *from = memory;
	__u64 *to;
	int fd, err;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), entry_bytes, entries, &opts);
	if (fd < 0)
		return -errno;
	to = mmap(NULL, entries * entry_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	/* much of it is zero, and is so in both */
	for (size_t i = 0; i < entries * entry_bytes / sizeof(*to); i++) {
		if (from[i])
			to[i] = from[i];
	}
	munmap(to, entries * entry_bytes);
	return fd;
}

static int *generation_map(struct maps *maps, enum ecbpf_fw_size size)
{
	return size == ECBPF_FW_SMALL	 ? &maps->small
	       : size == ECBPF_FW_MEDIUM ? &maps->medium
					 : &maps->large;
}

static int generation_write(struct ecbpf *e, struct maps *maps, __u32 place,
			    const struct fw_generation *generation)
{
	_cleanup_close_ int fd = -1;

	fd = map_of("fw_generation", 0, generation->entry_bytes, generation->entries,
		    generation->memory);
	if (fd < 0)
		return fail_map(e, "of rules", fd);
	if (bpf_map_update_elem(*generation_map(maps, generation->size), &place, &fd, BPF_ANY))
		return fail_map(e, "of rules", -errno);
	return 0;
}

static bool place_has(int map, __u32 place)
{
	__u32 id;

	return map >= 0 && !bpf_map_lookup_elem(map, &place, &id);
}

/*
 * What is in a place that is not live, when no packet uses it any more. What only user space looks
 * at goes first: with each that is deleted the kernel waits for packets, some 10 ms (see
 * ecbpf_wait_for_packets()). Where nothing is, somebody has waited.
 */
static void place_clear(struct ecbpf *e, const struct maps *maps, __u32 place)
{
	const int generations[] = {maps->small, maps->medium, maps->large};
	bool is_waited = place_has(maps->text, place) && !bpf_map_delete_elem(maps->text, &place);

	for (size_t i = 0; i < ARRAY_SIZE(generations); i++) {
		if (!place_has(generations[i], place))
			continue;
		if (!is_waited)
			ecbpf_wait_for_packets(e);
		is_waited = true;
		bpf_map_delete_elem(generations[i], &place);
	}
}

/* --- counters, limits ----------------------------------------------------------------------- */

static int counter_zero(struct ecbpf *e, const struct maps *maps, __u32 entry)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct ecbpf_fw_counter *zero = NULL;

	zero = calloc(cpus > 0 ? cpus : 1, sizeof(*zero));
	if (!zero)
		return fail_memory(e);
	if (bpf_map_update_elem(maps->counters, &entry, zero, BPF_EXIST))
		return fail_map(e, "fw_counters", -errno);
	return 0;
}

/* An entry below @count that @used does not have, from *@next on. There is one */
static __u16 entry_take(bool *used, __u32 *next)
{
	while (used[*next])
		(*next)++;
	used[*next] = true;
	return *next;
}

/* How many buckets a limit for each source gets: a power of two that leaves room for the next ones
 */
static __u32 buckets_per_limit(const struct ecbpf_fw_ruleset *ruleset)
{
	__u32 limits = 0, buckets = 1 << 16;

	for (size_t i = 0; i < ruleset->rules_count; i++)
		limits += ruleset->rules[i].action == FW_LIMIT && ruleset->rules[i].limit.src_len;
	while (buckets > 1 && (__u64)buckets * limits > ECBPF_FW_BUCKETS_SRC / 2)
		buckets /= 2;
	return buckets;
}

static void limit_fill(const struct fw_rule *rule, __u64 seed, __u32 bucket, __u32 buckets,
		       struct ecbpf_fw_limit *ret)
{
	int len = rule->limit.src_len + (rule->family == 4 ? 96 : 0);

	*ret = (struct ecbpf_fw_limit){
		.rate = ecbpf_rate_burst(rule->limit.rate, rule->limit.burst, ecbpf_hz()),
		.mask = {len >= 64 ? ~0ULL : ~(~0ULL >> len), len <= 64 ? 0 : ~0ULL << (128 - len)},
		.seed = seed,
		.bucket = bucket,
		.shift = 32 - __builtin_ctz(buckets),
		.is_per_src = rule->limit.src_len != 0,
		.is_bytes = rule->limit.is_bytes,
	};
}

static bool limits_equal(const struct fw_rule *a, const struct fw_rule *b)
{
	return a->family == b->family && a->limit.rate == b->limit.rate &&
	       a->limit.burst == b->limit.burst && a->limit.is_bytes == b->limit.is_bytes &&
	       a->limit.src_len == b->limit.src_len;
}

static int buckets_zero(struct ecbpf *e, const struct maps *maps, __u32 first, __u32 count)
{
	_cleanup_free_ struct ecbpf_bucket *full = calloc(count, sizeof(*full));
	_cleanup_free_ __u32 *keys = calloc(count, sizeof(*keys));

	if (!full || !keys)
		return fail_memory(e);
	for (__u32 i = 0; i < count; i++)
		keys[i] = first + i;
	if (bpf_map_update_batch(maps->buckets, keys, full, &count, NULL))
		return fail_map(e, "fw_buckets", -errno);
	return 0;
}

/* @first: of a limit for each source, its @buckets buckets */
static int limit_make(struct ecbpf *e, const struct maps *maps, const struct fw_rule *rule,
		      __u32 entry, __u32 first, __u32 buckets)
{
	struct ecbpf_fw_limit limit;
	__u64 seed;
	int err;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return ecbpf_fail(e, -errno, "random numbers: %s", strerror(errno));
	limit_fill(rule, seed, rule->limit.src_len ? first : entry, buckets, &limit);
	err = buckets_zero(e, maps, limit.bucket, rule->limit.src_len ? buckets : 1);
	if (!err && bpf_map_update_elem(maps->limits, &entry, &limit, BPF_EXIST))
		err = fail_map(e, "fw_limits", -errno);
	return err;
}

/* --- what stays ----------------------------------------------------------------------------- */

/* What a rule is known by from one ruleset to the next: its name, or its text */
struct identity {
	char *key;
	size_t index;
};

static int identity_compare(const void *a, const void *b)
{
	const struct identity *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : x->index < y->index ? -1 : 1;
}

static void identities_free(struct identity *identities, size_t count)
{
	for (size_t i = 0; identities && i < count; i++)
		free(identities[i].key);
	free(identities);
}

static struct identity *identities_of(const struct ecbpf_fw_ruleset *ruleset)
{
	struct identity *all = calloc(ruleset->rules_count + 1, sizeof(*all));

	if (!all)
		return NULL;
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		all[i].index = i;
		/* a text does not begin with a quote */
		if (!rule->name)
			all[i].key = fw_rule_print(ruleset, rule);
		else if (asprintf(&all[i].key, "\"%s", rule->name) < 0)
			all[i].key = NULL;
		if (!all[i].key) {
			identities_free(all, ruleset->rules_count);
			return NULL;
		}
	}
	qsort(all, ruleset->rules_count, sizeof(*all), identity_compare);
	return all;
}

/* @ret_same: for each rule of @new the one of @old that it was, or NO_ENTRY */
static int match_rules(struct ecbpf *e, const struct ecbpf_fw_ruleset *old,
		       const struct ecbpf_fw_ruleset *new, __u16 *ret_same)
{
	struct identity *a = identities_of(old), *b = identities_of(new);
	size_t i = 0, j = 0;

	memset(ret_same, 0xff, new->rules_count * sizeof(*ret_same));
	while (a && b && i < old->rules_count && j < new->rules_count) {
		int order = strcmp(a[i].key, b[j].key);

		if (!order)
			ret_same[b[j].index] = a[i].index;
		i += order <= 0;
		j += order >= 0;
	}
	identities_free(a, old->rules_count);
	identities_free(b, new->rules_count);
	return a && b ? 0 : fail_memory(e);
}

/* --- counters, limits and sets of a new ruleset ---------------------------------------------- */

static int counters_assign(struct ecbpf *e, const struct maps *maps, const struct state *old,
			   struct state *new, const __u16 *same)
{
	_cleanup_free_ bool *used = calloc(ECBPF_FW_COUNTERS, sizeof(*used));
	__u32 next = 0;
	int err = 0;

	if (!used)
		return fail_memory(e);
	for (size_t i = 0; i < old->ruleset->rules_count; i++)
		used[old->counters[i]] = true;
	for (size_t i = 0; !err && i < new->ruleset->rules_count; i++) {
		if (same[i] != NO_ENTRY) {
			new->counters[i] = old->counters[same[i]];
			continue;
		}
		new->counters[i] = entry_take(used, &next);
		err = counter_zero(e, maps, new->counters[i]);
	}
	return err;
}

/* @used: buckets, from ECBPF_FW_LIMITS on, of limits for each source that are live */
static int buckets_mark(struct ecbpf *e, const struct maps *maps, const struct state *old,
			bool *used)
{
	for (size_t i = 0; i < old->ruleset->rules_count; i++) {
		struct ecbpf_fw_limit limit;
		__u32 entry = old->limits[i];

		if (entry == NO_ENTRY || !old->ruleset->rules[i].limit.src_len)
			continue;
		if (bpf_map_lookup_elem(maps->limits, &entry, &limit))
			return fail_map(e, "fw_limits", -errno);
		memset(&used[limit.bucket - ECBPF_FW_LIMITS], 1, 1U << (32 - limit.shift));
	}
	return 0;
}

/* @buckets in a row that are free, marked then. Return: the first one; 0: there are not so many */
static __u32 buckets_take(bool *used, __u32 buckets)
{
	for (__u32 i = 0; i + buckets <= ECBPF_FW_BUCKETS_SRC; i += buckets) {
		if (memchr(&used[i], 1, buckets))
			continue;
		memset(&used[i], 1, buckets);
		return ECBPF_FW_LIMITS + i;
	}
	return 0;
}

static int limits_assign(struct ecbpf *e, const struct maps *maps, const struct state *old,
			 struct state *new, const __u16 *same)
{
	_cleanup_free_ bool *used = calloc(ECBPF_FW_LIMITS + ECBPF_FW_BUCKETS_SRC, sizeof(*used));
	__u32 next = 0, most = buckets_per_limit(new->ruleset);
	bool *used_buckets = used ? used + ECBPF_FW_LIMITS : NULL;
	int err;

	if (!used)
		return fail_memory(e);
	for (size_t i = 0; i < old->ruleset->rules_count; i++) {
		if (old->limits[i] != NO_ENTRY)
			used[old->limits[i]] = true;
	}
	err = buckets_mark(e, maps, old, used_buckets);
	for (size_t i = 0; !err && i < new->ruleset->rules_count; i++) {
		const struct fw_rule *rule = &new->ruleset->rules[i];
		__u32 first = 0, buckets = rule->limit.src_len ? most : 1;

		new->limits[i] = NO_ENTRY;
		if (rule->action != FW_LIMIT)
			continue;
		if (same[i] != NO_ENTRY && old->limits[same[i]] != NO_ENTRY &&
		    limits_equal(rule, &old->ruleset->rules[same[i]])) {
			new->limits[i] = old->limits[same[i]];
			continue;
		}
		new->limits[i] = entry_take(used, &next);
		for (; rule->limit.src_len && !first; buckets /= 2) {
			first = buckets_take(used_buckets, buckets);
			if (first || buckets == 1)
				break;
		}
		if (rule->limit.src_len && !first)
			return ecbpf_fail(e, -E2BIG, "too many limits for each source");
		err = limit_make(e, maps, rule, new->limits[i], first, buckets);
	}
	return err;
}

/* --- sets ------------------------------------------------------------------------------------ */

/* Of all entries of fw_sets, mapped. NULL: told */
static struct ecbpf_trie_head *heads_open(struct ecbpf *e, const struct maps *maps)
{
	struct ecbpf_trie_head *heads = mmap(NULL, ECBPF_FW_SETS * sizeof(*heads),
					     PROT_READ | PROT_WRITE, MAP_SHARED, maps->sets, 0);

	if (heads != MAP_FAILED)
		return heads;
	fail_map(e, "fw_sets", -errno);
	return NULL;
}

static void heads_close(struct ecbpf_trie_head *heads)
{
	munmap(heads, ECBPF_FW_SETS * sizeof(*heads));
}

static int set_open(struct ecbpf *e, const struct maps *maps, __u16 entry,
		    struct ecbpf_trie_head **ret_heads, struct ecbpf_trie **ret_trie)
{
	struct ecbpf_trie_head *heads = heads_open(e, maps);
	int err;

	if (!heads)
		return -ENOMEM;
	err = ecbpf_trie_open(e, maps->pool, &heads[entry], entry, ret_trie);
	if (err)
		heads_close(heads);
	else
		*ret_heads = heads;
	return err;
}

static void set_close(struct ecbpf_trie_head *heads, struct ecbpf_trie *trie)
{
	ecbpf_trie_close(trie);
	heads_close(heads);
}

/* Is there anything, be it what somebody left who was killed? */
static bool set_is_made(const struct ecbpf_trie_head *head)
{
	return head->roots || head->dirty;
}

/* Those that are not the ruleset's, when no packet looks them up any more */
static void sets_free(struct ecbpf *e, const struct maps *maps, const struct state *state)
{
	struct ecbpf_trie_head *heads = heads_open(e, maps);
	bool used[ECBPF_FW_SETS] = {};

	if (!heads)
		return;
	for (size_t i = 0; i < state->ruleset->sets_count; i++)
		used[state->sets[i]] = true;
	for (__u32 i = 0; i < ECBPF_FW_SETS; i++) {
		if (!used[i] && set_is_made(&heads[i]))
			ecbpf_trie_delete(e, maps->pool, &heads[i], i);
	}
	heads_close(heads);
}

static struct ecbpf_trie_op trie_op(const struct fw_prefix *prefix, __u8 family, __u32 value)
{
	struct ecbpf_trie_op op = {.family = family, .len = prefix->len, .value = value};

	for (size_t i = 0; i < 8; i++) {
		op.hi = op.hi << 8 | prefix->addr[i];
		op.lo = op.lo << 8 | prefix->addr[8 + i];
	}
	return op;
}

static int set_build(struct ecbpf *e, const struct maps *maps, __u16 entry,
		     const struct fw_set *set)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_trie_head *heads = NULL;
	struct ecbpf_trie *trie = NULL;
	int err;

	ops = calloc(set->prefixes_count + 1, sizeof(*ops));
	if (!ops)
		return fail_memory(e);
	for (size_t i = 0; i < set->prefixes_count; i++)
		ops[i] = trie_op(&set->prefixes[i], set->family, 1);
	heads = heads_open(e, maps);
	if (!heads)
		return -ENOMEM;
	if (!set_is_made(&heads[entry])) {
		err = ecbpf_trie_new(e, maps->pool, &heads[entry], entry, ops, set->prefixes_count);
	} else {
		/* a trial's, of the rules before; or rules are live that nobody knows any more */
		err = ecbpf_trie_open(e, maps->pool, &heads[entry], entry, &trie);
		if (!err)
			err = ecbpf_trie_build(trie, ops, set->prefixes_count);
		ecbpf_trie_close(trie);
	}
	heads_close(heads);
	return err;
}

/* Those without an entry get one, with what is in them */
static int sets_assign(struct ecbpf *e, const struct maps *maps, const struct state *old,
		       struct state *new)
{
	bool used[ECBPF_FW_SETS] = {};
	__u32 next = 0;
	int err = 0;

	for (size_t i = 0; i < old->ruleset->sets_count; i++)
		used[old->sets[i]] = true;
	for (size_t i = 0; !err && i < new->ruleset->sets_count; i++) {
		if (new->sets[i] != NO_ENTRY)
			continue;
		new->sets[i] = entry_take(used, &next);
		err = set_build(e, maps, new->sets[i], &new->ruleset->sets[i]);
	}
	return err;
}

/* Arrays of @new for its rules and sets */
static int state_alloc(struct ecbpf *e, struct state *new)
{
	new->counters = calloc(new->ruleset->rules_count + 1, sizeof(*new->counters));
	new->limits = calloc(new->ruleset->rules_count + 1, sizeof(*new->limits));
	new->sets = calloc(new->ruleset->sets_count + 1, sizeof(*new->sets));
	if (!new->counters || !new->limits || !new->sets)
		return fail_memory(e);
	memset(new->sets, 0xff, new->ruleset->sets_count * sizeof(*new->sets));
	return 0;
}

/* What @new needs beside its tables */
static int state_assign(struct ecbpf *e, const struct maps *maps, const struct state *old,
			struct state *new)
{
	_cleanup_free_ __u16 *same = calloc(new->ruleset->rules_count + 1, sizeof(*same));
	int err;

	if (!same)
		return fail_memory(e);
	err = match_rules(e, old->ruleset, new->ruleset, same);
	if (!err)
		err = counters_assign(e, maps, old, new, same);
	if (!err)
		err = limits_assign(e, maps, old, new, same);
	return err ? err : sets_assign(e, maps, old, new);
}

static void active_set(const struct maps *maps, __u32 active)
{
	__u32 key = 0;

	/* of the four bytes only the lowest changes */
	bpf_map_update_elem(maps->active, &key, &active, BPF_ANY);
}

/* --- trials ---------------------------------------------------------------------------------- */

struct ecbpf_fw_trial {
	struct fw_bpf *bpf;
	int decided_fd;
	__u16 *counters;
	size_t count;
};

int ecbpf_fw_trial_set(struct ecbpf *e, struct ecbpf_fw_trial *trial,
		       const struct ecbpf_fw_ruleset *ruleset)
{
	struct fw_bpf *bpf = trial->bpf;

	struct maps maps = {
		.active = bpf_map__fd(bpf->maps.fw_active),
		.small = bpf_map__fd(bpf->maps.fw_small),
		.medium = bpf_map__fd(bpf->maps.fw_medium),
		.large = bpf_map__fd(bpf->maps.fw_large),
		.counters = bpf_map__fd(bpf->maps.fw_counters),
		.limits = bpf_map__fd(bpf->maps.fw_limits),
		.buckets = bpf_map__fd(bpf->maps.fw_buckets),
		.sets = bpf_map__fd(bpf->maps.fw_sets),
		.pool = bpf_map__fd(bpf->maps.fw_set_pool),
		.text = bpf_map__fd(bpf->maps.fw_text),
	};
	struct ecbpf_fw_ruleset none = {};
	__u16 no_entry = 0;
	struct state old = {.ruleset = &none, .counters = &no_entry};
	struct state new = {.ruleset = (void *)ruleset};
	struct fw_generation generation = {};
	int err;

	ecbpf_capture(e);
	active_set(&maps, ECBPF_FW_NONE);
	place_clear(e, &maps, 0);
	err = state_alloc(e, &new);
	if (!err)
		err = state_assign(e, &maps, &old, &new);
	if (!err)
		err = fw_compile(e, ruleset, new.counters, new.limits, new.sets, &generation);
	if (!err)
		err = generation_write(e, &maps, 0, &generation);
	if (!err)
		active_set(&maps, generation.size);
	fw_generation_free(&generation);
	free(trial->counters);
	trial->counters = new.counters;
	trial->count = ruleset->rules_count;
	new.counters = NULL;
	new.ruleset = NULL;
	state_free(&new);
	return err;
}

int ecbpf_fw_trial_new(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		       struct ecbpf_fw_trial **ret_trial)
{
	struct ecbpf_fw_trial *trial = calloc(1, sizeof(*trial));
	struct bpf_map *map;
	int err;

	if (!trial)
		return fail_memory(e);
	ecbpf_capture(e);
	trial->bpf = fw_bpf__open();
	if (!trial->bpf) {
		err = fail_memory(e);
		goto out;
	}
	bpf_object__for_each_map (map, trial->bpf->obj)
		bpf_map__set_pin_path(map, NULL);
	trial->bpf->rodata->fw_tell = true;
	if (!ecbpf_frags_probe(e)) { /* packets that are longer than a page */
		trial->bpf->rodata->xdp_frags = true;
		bpf_program__set_flags(trial->bpf->progs.ecbpf_fw, BPF_F_XDP_HAS_FRAGS);
	}
	err = bpf_object__load(trial->bpf->obj);
	if (err) {
		ecbpf_fail(e, err, "cannot load the firewall's program: %s%s", strerror(-err),
			   err == -EPERM ? " (must be root)" : "");
		goto out;
	}
	err = ecbpf_fw_trial_set(e, trial, ruleset);
	if (err)
		goto out;
	trial->decided_fd = bpf_map__fd(trial->bpf->maps.fw_decided);
	*ret_trial = trial;
	return 0;
out:
	ecbpf_fw_trial_free(trial);
	return err;
}

void ecbpf_fw_trial_free(struct ecbpf_fw_trial *trial)
{
	if (!trial)
		return;
	fw_bpf__destroy(trial->bpf);
	free(trial->counters);
	free(trial);
}

int ecbpf_fw_trial_run(struct ecbpf *e, struct ecbpf_fw_trial *trial, const void *frame,
		       size_t size, __u32 *ret_action, size_t *ret_rule)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size);
	__u32 key = 0, none = ~0U, rule;

	if (size < 14 || size > 65535)
		return ecbpf_fail(e, -EINVAL, "a packet of %zu bytes cannot be tried: 14 to 65535",
				  size);
	if (bpf_map_update_elem(trial->decided_fd, &key, &none, BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(trial->bpf->progs.ecbpf_fw), &opts) ||
	    bpf_map_lookup_elem(trial->decided_fd, &key, &rule))
		return ecbpf_fail(e, -errno, "a packet of %zu bytes cannot be tried: %s", size,
				  strerror(errno));
	*ret_action = opts.retval;
	*ret_rule = rule == none ? ECBPF_FW_NO_RULE : rule >> ECBPF_FW_RULE_INDEX;
	return 0;
}

/* Counters of rules, summed over the CPUs */
static int stats_read(struct ecbpf *e, int fd, const __u16 *counters, size_t count,
		      struct ecbpf_fw_stat *ret_stats)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct ecbpf_fw_counter *values = NULL;

	values = calloc(cpus > 0 ? cpus : 1, sizeof(*values));
	if (!values)
		return fail_memory(e);
	for (size_t i = 0; i < count; i++) {
		__u32 key = counters[i];

		if (bpf_map_lookup_elem(fd, &key, values))
			return fail_map(e, "fw_counters", -errno);
		ret_stats[i] = (struct ecbpf_fw_stat){};
		for (int cpu = 0; cpu < cpus; cpu++) {
			ret_stats[i].packets += values[cpu].packets;
			ret_stats[i].bytes += values[cpu].bytes;
			ret_stats[i].over += values[cpu].over;
		}
	}
	return 0;
}

int ecbpf_fw_trial_stats(struct ecbpf *e, struct ecbpf_fw_trial *trial,
			 struct ecbpf_fw_stat *ret_stats)
{
	return stats_read(e, bpf_map__fd(trial->bpf->maps.fw_counters), trial->counters,
			  trial->count, ret_stats);
}

/* --- the live state --------------------------------------------------------------------------- */

static void maps_close(struct maps *maps)
{
	int *fds[] = {&maps->active, &maps->small,   &maps->medium, &maps->large, &maps->counters,
		      &maps->limits, &maps->buckets, &maps->sets,   &maps->pool,  &maps->text};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(fds[i]);
}

/* The pinned maps. Return: 0; -ENOENT there are none */
static int maps_open(struct ecbpf *e, struct maps *ret)
{
	struct maps maps;
	const struct {
		const char *name;
		int *fd;
	} all[] = {
		{"fw_active", &maps.active},	 {"fw_small", &maps.small},
		{"fw_medium", &maps.medium},	 {"fw_large", &maps.large},
		{"fw_counters", &maps.counters}, {"fw_limits", &maps.limits},
		{"fw_buckets", &maps.buckets},	 {"fw_sets", &maps.sets},
		{"fw_set_pool", &maps.pool},	 {"fw_text", &maps.text},
	};
	char path[PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		*all[i].fd = -1;
	for (size_t i = 0; !err && i < ARRAY_SIZE(all); i++) {
		err = ecbpf_pin_path(e, path, sizeof(path), all[i].name);
		if (err)
			break;
		*all[i].fd = bpf_obj_get(path);
		if (*all[i].fd < 0)
			err = ecbpf_fail(e, -errno, "%s: %s%s", path, strerror(errno),
					 errno == ENOENT ? " (the firewall was never loaded)" : "");
	}
	if (err)
		maps_close(&maps);
	else
		*ret = maps;
	return err;
}

/* Make and pin the maps, as far as they are not there */
static int maps_make(struct ecbpf *e)
{
	const struct ecbpf_program spec = {.file = "fw", .prio = -1};
	struct program program;
	int err;

	err = ecbpf_program_open(e, &spec, NULL, false, &program);
	if (err)
		return err;
	bpf_program__set_autoload(program.prog, false);
	err = ecbpf_program_load(e, &program);
	ecbpf_program_close(&program);
	return err;
}

static int active_get(struct ecbpf *e, const struct maps *maps, __u32 *ret_active)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(maps->active, &key, ret_active)
		       ? fail_map(e, "fw_active", -errno)
		       : 0;
}

/* What `fw_text` has of a generation; for each set and rule one of the following, and its text */
struct text_head {
	__u32 magic;
	__u32 rules;
	__u32 sets;
	__u32 bytes; /* all of it */
};

struct text_set {
	char name[FW_SET_NAME_MAX + 1];
	__u16 entry;
	__u8 family;
	__u8 reserved;
};

struct text_rule {
	__u16 counter;
	__u16 limit;
	__u32 len; /* of the text that follows, with NUL */
};

static int text_write(struct ecbpf *e, const struct maps *maps, __u32 place,
		      const struct state *state)
{
	struct text_head head = {.magic = TEXT_MAGIC,
				 .rules = state->ruleset->rules_count,
				 .sets = state->ruleset->sets_count};
	const size_t page = sizeof(struct ecbpf_fw_page);
	_cleanup_free_ char *bytes = NULL;
	_cleanup_close_ int fd = -1;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);

	if (!out)
		return fail_memory(e);
	fwrite(&head, sizeof(head), 1, out);
	for (size_t i = 0; i < head.sets; i++) {
		const struct fw_set *set = &state->ruleset->sets[i];
		struct text_set entry = {.entry = state->sets[i], .family = set->family};

		memcpy(entry.name, set->name, sizeof(entry.name));
		fwrite(&entry, sizeof(entry), 1, out);
	}
	for (size_t i = 0; i < head.rules; i++) {
		_cleanup_free_ char *text = ecbpf_fw_rule_text(state->ruleset, i);
		struct text_rule entry = {.counter = state->counters[i], .limit = state->limits[i]};

		if (!text) {
			fclose(out);
			return fail_memory(e);
		}
		entry.len = strlen(text) + 1;
		fwrite(&entry, sizeof(entry), 1, out);
		fwrite(text, entry.len, 1, out);
	}
	head.bytes = ftell(out);
	while (ftell(out) % page)
		fputc(0, out);
	if (fclose(out))
		return fail_memory(e);
	memcpy(bytes, &head, sizeof(head));
	fd = map_of("fw_text", BPF_F_INNER_MAP, page, size / page, bytes);
	if (fd < 0)
		return fail_map(e, "of text", fd);
	if (bpf_map_update_elem(maps->text, &place, &fd, BPF_ANY))
		return fail_map(e, "of text", -errno);
	return 0;
}

/* @at: up to @end. Return: 0; -EPROTO */
static int text_parse(struct ecbpf *e, const char *at, const char *end, struct state *state)
{
	const struct text_head *head = (const void *)at;
	struct ecbpf_fw_ruleset *ruleset = state->ruleset;
	int err;

	at += sizeof(*head);
	ruleset->sets = calloc(head->sets + 1, sizeof(*ruleset->sets));
	state->counters = calloc(head->rules + 1, sizeof(*state->counters));
	state->limits = calloc(head->rules + 1, sizeof(*state->limits));
	state->sets = calloc(head->sets + 1, sizeof(*state->sets));
	if (!ruleset->sets || !state->counters || !state->limits || !state->sets)
		return fail_memory(e);
	for (; ruleset->sets_count < head->sets; ruleset->sets_count++) {
		struct fw_set *set = &ruleset->sets[ruleset->sets_count];
		struct text_set entry;

		if (at + sizeof(entry) > end)
			return -EPROTO;
		memcpy(&entry, at, sizeof(entry));
		at += sizeof(entry);
		memcpy(set->name, entry.name, sizeof(set->name));
		set->family = entry.family;
		state->sets[ruleset->sets_count] = entry.entry;
	}
	for (size_t i = 0; i < head->rules; i++) {
		struct text_rule entry;

		if (at + sizeof(entry) > end)
			return -EPROTO;
		memcpy(&entry, at, sizeof(entry));
		at += sizeof(entry);
		if (!entry.len || entry.len > (size_t)(end - at) || at[entry.len - 1])
			return -EPROTO;
		err = ecbpf_fw_rule_insert(e, ruleset, i, at);
		if (err)
			return err;
		at += entry.len;
		state->counters[i] = entry.counter;
		state->limits[i] = entry.limit;
	}
	return 0;
}

static int fail_text(struct ecbpf *e, int err)
{
	return ecbpf_fail(e, err,
			  "the text of the live rules (fw_text): %s; 'ecbpf-fw apply' repairs it",
			  err == -EPROTO ? "not as it was written" : strerror(-err));
}

/* The state that is live: of no rules, if none is. Sets are without what is in them */
static int state_read(struct ecbpf *e, const struct maps *maps, __u32 active, struct state *ret)
{
	struct state state = {.ruleset = calloc(1, sizeof(*state.ruleset))};
	__u32 place = active & ECBPF_FW_PLACE, id;
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1;
	__u32 len = sizeof(info);
	const char *bytes;
	size_t size;
	int err;

	if (!state.ruleset)
		return fail_memory(e);
	if (!active) {
		err = state_alloc(e, &state);
		goto out;
	}
	if (bpf_map_lookup_elem(maps->text, &place, &id) || (fd = bpf_map_get_fd_by_id(id)) < 0 ||
	    bpf_obj_get_info_by_fd(fd, &info, &len)) {
		err = fail_text(e, -errno);
		goto out;
	}
	size = (size_t)info.max_entries * info.value_size;
	bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED) {
		err = fail_text(e, -errno);
		goto out;
	}
	err = ((const struct text_head *)bytes)->magic == TEXT_MAGIC
		      ? text_parse(e, bytes, bytes + size, &state)
		      : -EPROTO;
	munmap((void *)bytes, size);
	if (err == -EPROTO)
		fail_text(e, err);
out:
	if (err)
		state_free(&state);
	else
		*ret = state;
	return err;
}

/*
 * Everything to change the live state: the lock, the maps, what is live. @is_lost: what is live is
 * not known, @old is of no rules
 */
struct session {
	int lock;
	struct maps maps;
	__u32 active;
	struct state old;
	bool is_lost;
};

/* For session_open(): make maps that are not there; let a text that is not there be lost */
#define SESSION_MAKE   1
#define SESSION_REPAIR 2

static void session_close(struct session *s)
{
	state_free(&s->old);
	maps_close(&s->maps);
	cleanup_close(&s->lock);
}

/* @how: SESSION_MAKE and SESSION_REPAIR, or 0 */
static int session_open(struct ecbpf *e, int how, struct session *ret)
{
	struct session s = {.lock = -1};
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	s.lock = ecbpf_lock(e);
	if (s.lock < 0)
		return s.lock;
	if (how & SESSION_MAKE)
		err = maps_make(e);
	if (!err)
		err = maps_open(e, &s.maps);
	if (err) {
		cleanup_close(&s.lock);
		return err;
	}
	err = active_get(e, &s.maps, &s.active);
	if (!err)
		err = state_read(e, &s.maps, s.active, &s.old);
	if (err && err != -ENOMEM && how & SESSION_REPAIR) {
		s.is_lost = true;
		err = state_read(e, &s.maps, ECBPF_FW_NONE, &s.old);
	}
	if (err)
		session_close(&s);
	else
		*ret = s;
	return err;
}

/* Nothing but what is live is left, when no packet uses anything else any more */
static void session_clean(struct ecbpf *e, const struct session *s)
{
	for (__u32 place = 0; place < 2; place++) {
		if (!s->active || place != (s->active & ECBPF_FW_PLACE))
			place_clear(e, &s->maps, place);
	}
	if (!s->is_lost)
		sets_free(e, &s->maps, &s->old);
}

/*
 * Make @new live. It is taken over: on success it is the session's state then, else it is freed.
 * Its sets have entries if they stay. The old generation stays where it is, until session_clean()
 */
static int session_apply(struct ecbpf *e, struct session *s, struct state *new)
{
	__u32 place = s->active ? !(s->active & ECBPF_FW_PLACE) : 0;
	struct fw_generation generation = {};
	int err;

	session_clean(e, s);
	err = state_assign(e, &s->maps, &s->old, new);
	if (!err)
		err = fw_compile(e, new->ruleset, new->counters, new->limits, new->sets,
				 &generation);
	if (!err)
		err = generation_write(e, &s->maps, place, &generation);
	if (!err)
		err = text_write(e, &s->maps, place, new);
	if (err) {
		char error[sizeof(e->error)];

		memcpy(error, e->error, sizeof(error));
		session_clean(e, s);
		memcpy(e->error, error, sizeof(error));
		state_free(new);
	} else {
		s->active = generation.size | place;
		active_set(&s->maps, s->active);
		state_free(&s->old);
		s->old = *new;
		s->is_lost = false;
	}
	fw_generation_free(&generation);
	return err;
}

/* A copy of the ruleset, as it is parsed: for what is changed */
static int ruleset_copy(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
			struct ecbpf_fw_ruleset **ret)
{
	struct ecbpf_fw_ruleset *copy = calloc(1, sizeof(*copy));
	int err = 0;

	if (!copy)
		return fail_memory(e);
	copy->sets = calloc(ruleset->sets_count + 1, sizeof(*copy->sets));
	if (!copy->sets)
		err = fail_memory(e);
	for (size_t i = 0; !err && i < ruleset->sets_count; i++) {
		copy->sets[i] = ruleset->sets[i];
		copy->sets[i].path = NULL;
		copy->sets[i].prefixes = calloc(ruleset->sets[i].prefixes_count + 1,
						sizeof(*copy->sets[i].prefixes));
		if (!copy->sets[i].prefixes) {
			err = fail_memory(e);
			break;
		}
		copy->sets_count++;
		if (ruleset->sets[i].prefixes_count)
			memcpy(copy->sets[i].prefixes, ruleset->sets[i].prefixes,
			       ruleset->sets[i].prefixes_count * sizeof(*copy->sets[i].prefixes));
	}
	for (size_t i = 0; !err && i < ruleset->rules_count; i++) {
		_cleanup_free_ char *text = ecbpf_fw_rule_text(ruleset, i);

		err = text ? ecbpf_fw_rule_insert(e, copy, i, text) : fail_memory(e);
	}
	if (err)
		ecbpf_fw_ruleset_free(copy);
	else
		*ret = copy;
	return err;
}

static int apply_ruleset(struct ecbpf *e, struct session *s, const struct ecbpf_fw_ruleset *ruleset)
{
	struct state new = {};
	int err;

	err = ruleset_copy(e, ruleset, &new.ruleset);
	if (!err)
		err = state_alloc(e, &new);
	if (err) {
		state_free(&new);
		return err;
	}
	return session_apply(e, s, &new);
}

int ecbpf_fw_apply(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	struct session s;
	int err;

	err = session_open(e, SESSION_REPAIR, &s);
	if (err)
		return err;
	err = apply_ruleset(e, &s, ruleset);
	if (!err)
		session_clean(e, &s);
	session_close(&s);
	return err;
}

/* Rules of a state that were changed; sets by name */
static int apply_changed(struct ecbpf *e, struct session *s, struct ecbpf_fw_ruleset *ruleset)
{
	struct state new = {.ruleset = ruleset};
	int err;

	err = state_alloc(e, &new);
	if (err) {
		state_free(&new);
		return err;
	}
	for (size_t i = 0; i < ruleset->sets_count; i++) {
		struct fw_set *set = fw_set_find(s->old.ruleset, ruleset->sets[i].name,
						 strlen(ruleset->sets[i].name));

		if (set)
			new.sets[i] = s->old.sets[set - s->old.ruleset->sets];
	}
	err = session_apply(e, s, &new);
	if (!err)
		session_clean(e, s);
	return err;
}

int ecbpf_fw_change(struct ecbpf *e, ecbpf_fw_change_fn fn, void *data)
{
	struct ecbpf_fw_ruleset *ruleset = NULL;
	struct session s;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	err = ruleset_copy(e, s.old.ruleset, &ruleset);
	if (!err) {
		err = fn(e, ruleset, data);
		if (err)
			ecbpf_fw_ruleset_free(ruleset);
		else
			err = apply_changed(e, &s, ruleset);
	}
	session_close(&s);
	return err;
}

/* --- sets that are live ------------------------------------------------------------------------
 */

static struct fw_prefix prefix_of(const struct ecbpf_trie_op *op)
{
	struct fw_prefix prefix = {.len = op->len};

	for (size_t i = 0; i < 8; i++) {
		prefix.addr[i] = op->hi >> (56 - 8 * i);
		prefix.addr[8 + i] = op->lo >> (56 - 8 * i);
	}
	return prefix;
}

static int set_read(struct ecbpf *e, const struct maps *maps, __u16 entry, struct fw_set *set)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_trie_head *heads = NULL;
	struct ecbpf_trie *trie = NULL;
	size_t count = 0;
	int err;

	err = set_open(e, maps, entry, &heads, &trie);
	if (err)
		return err;
	err = ecbpf_trie_entries(trie, &ops, &count);
	set_close(heads, trie);
	if (err)
		return err;
	set->prefixes = calloc(count + 1, sizeof(*set->prefixes));
	if (!set->prefixes)
		return fail_memory(e);
	for (; set->prefixes_count < count; set->prefixes_count++)
		set->prefixes[set->prefixes_count] = prefix_of(&ops[set->prefixes_count]);
	return 0;
}

int ecbpf_fw_get(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset)
{
	struct session s;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	for (size_t i = 0; !err && i < s.old.ruleset->sets_count; i++)
		err = set_read(e, &s.maps, s.old.sets[i], &s.old.ruleset->sets[i]);
	if (!err) {
		*ret_ruleset = s.old.ruleset;
		s.old.ruleset = NULL;
	}
	session_close(&s);
	return err;
}

static int set_find(struct ecbpf *e, const struct session *s, const char *name, size_t *ret_index)
{
	struct fw_set *set = fw_set_find(s->old.ruleset, name, strlen(name));

	if (!set) {
		ecbpf_fail(e, -ENOENT, "there is no set '%s'", name);
		return -ENOENT;
	}
	*ret_index = set - s->old.ruleset->sets;
	return 0;
}

static int set_ops(struct ecbpf *e, const struct fw_set *set, const char *const *texts,
		   size_t count, __u32 value, struct ecbpf_trie_op **ret_ops)
{
	struct ecbpf_trie_op *ops = calloc(count + 1, sizeof(*ops));

	if (!ops)
		return fail_memory(e);
	for (size_t i = 0; i < count; i++) {
		struct fw_prefix prefix;
		const char *wrong;
		__u8 family;

		wrong = fw_parse_prefix(texts[i], strlen(texts[i]), &prefix, &family);
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no error came before */
		if (wrong || family != set->family) {
			free(ops);
			return ecbpf_fail(e, -EINVAL, "'%s': %s%s", texts[i],
					  wrong ? wrong : "the set is of the other family, IPv",
					  wrong		     ? ""
					  : set->family == 4 ? "4"
							     : "6");
		}
		ops[i] = trie_op(&prefix, family, value);
	}
	*ret_ops = ops;
	return 0;
}

/* Sorted; of those that are there twice the last one. Return: how many are left */
static size_t ops_unique(struct ecbpf_trie_op *ops, size_t count)
{
	size_t kept = 0;

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): no error came before */
	qsort(ops, count, sizeof(*ops), ecbpf_trie_compare);
	for (size_t i = 0; i < count; i++) {
		if (kept && !ecbpf_trie_compare(&ops[kept - 1], &ops[i]))
			kept--;
		ops[kept++] = ops[i];
	}
	return kept;
}

/* More than a change in one step can take: all of the set anew */
static int set_rebuild(struct ecbpf *e, struct ecbpf_trie *trie, const struct ecbpf_trie_op *ops,
		       size_t count)
{
	_cleanup_free_ struct ecbpf_trie_op *old = NULL, *all = NULL;
	size_t old_count = 0, i = 0, j = 0, kept = 0;
	int err;

	err = ecbpf_trie_entries(trie, &old, &old_count);
	if (err)
		return err;
	all = calloc(old_count + count + 1, sizeof(*all));
	if (!all)
		return fail_memory(e);
	while (i < old_count || j < count) {
		int order = i == old_count ? 1
			    : j == count   ? -1
					   : ecbpf_trie_compare(&old[i], &ops[j]);

		if (order < 0)
			all[kept++] = old[i];
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no error came before */
		else if (ops[j].value)
			all[kept++] = ops[j];
		i += order <= 0;
		j += order >= 0;
	}
	return ecbpf_trie_build(trie, all, kept);
}

/* What a set has when @ops were added is no more than rules can have */
static int set_room(struct ecbpf *e, const struct fw_set *set, struct ecbpf_trie *trie,
		    const struct ecbpf_trie_op *ops, size_t count)
{
	size_t total = trie ? ecbpf_trie_count(trie, set->family) : 0;

	for (size_t i = 0; ops && i < count; i++)
		total += !trie || (ops[i].value && !ecbpf_trie_find(trie, &ops[i]));
	if (total > FW_SET_PREFIXES_MAX)
		return ecbpf_fail(e, -E2BIG, "set '%s' would have %zu prefixes, %d is the most",
				  set->name, total, FW_SET_PREFIXES_MAX);
	return 0;
}

int ecbpf_fw_set_change(struct ecbpf *e, const char *name, enum ecbpf_fw_set_change change,
			const char *const *prefixes, size_t count)
{
	_cleanup_free_ struct ecbpf_trie_op *ops = NULL;
	struct ecbpf_trie_head *heads = NULL;
	struct ecbpf_trie *trie = NULL;
	struct session s;
	size_t index;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	err = set_find(e, &s, name, &index);
	if (!err)
		err = set_ops(e, &s.old.ruleset->sets[index], prefixes, count,
			      change == ECBPF_FW_SET_DELETE ? 0 : 1, &ops);
	if (!err)
		err = set_open(e, &s.maps, s.old.sets[index], &heads, &trie);
	if (!err) {
		count = ops_unique(ops, count);
		if (change != ECBPF_FW_SET_DELETE)
			err = set_room(e, &s.old.ruleset->sets[index],
				       change == ECBPF_FW_SET_REPLACE ? NULL : trie, ops, count);
		if (!err && change == ECBPF_FW_SET_REPLACE)
			err = ecbpf_trie_build(trie, ops, count);
		else if (!err && count > ECBPF_TRIE_JOURNAL)
			err = set_rebuild(e, trie, ops, count);
		else if (!err)
			err = ecbpf_trie_change(trie, ops, count);
		set_close(heads, trie);
	}
	session_close(&s);
	return err;
}

int ecbpf_fw_set_create(struct ecbpf *e, const char *name, __u8 family)
{
	struct ecbpf_fw_ruleset *ruleset = NULL;
	struct fw_set *sets;
	struct session s;
	int err;

	if (!*name || strlen(name) > FW_SET_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
		    strlen(name))
		return ecbpf_fail(e, -EINVAL,
				  "'%s' is not a name of a set: 1 to %d of a-z A-Z 0-9 _ - .", name,
				  FW_SET_NAME_MAX);
	if (family != 4 && family != 6)
		return ecbpf_fail(e, -EINVAL, "a set is of family 4 or 6");
	err = session_open(e, 0, &s);
	if (err)
		return err;
	if (fw_set_find(s.old.ruleset, name, strlen(name)))
		err = ecbpf_fail(e, -EEXIST, "there is a set '%s' already", name);
	else if (s.old.ruleset->sets_count == FW_SETS_MAX)
		err = ecbpf_fail(e, -E2BIG, "there are %d sets, which is the most", FW_SETS_MAX);
	if (!err)
		err = ruleset_copy(e, s.old.ruleset, &ruleset);
	if (!err) {
		sets = realloc(ruleset->sets, (ruleset->sets_count + 1) * sizeof(*sets));
		if (sets) {
			ruleset->sets = sets;
			sets += ruleset->sets_count++;
			*sets = (struct fw_set){.family = family};
			strcpy(sets->name, name);
			err = apply_changed(e, &s, ruleset);
		} else {
			ecbpf_fw_ruleset_free(ruleset);
			err = fail_memory(e);
		}
	}
	session_close(&s);
	return err;
}

int ecbpf_fw_set_delete(struct ecbpf *e, const char *name)
{
	struct ecbpf_fw_ruleset *ruleset = NULL;
	struct session s;
	size_t index;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	err = set_find(e, &s, name, &index);
	for (size_t i = 0; !err && i < s.old.ruleset->rules_count; i++) {
		const struct fw_rule *rule = &s.old.ruleset->rules[i];

		if ((rule->src.kind == FW_ADDRS_SET && rule->src.set == index) ||
		    (rule->dst.kind == FW_ADDRS_SET && rule->dst.set == index))
			err = ecbpf_fail(e, -EBUSY, "rule %zu uses set '%s'", i + 1, name);
	}
	if (!err)
		err = ruleset_copy(e, s.old.ruleset, &ruleset);
	if (!err) {
		fw_set_free(&ruleset->sets[index]);
		memmove(&ruleset->sets[index], &ruleset->sets[index + 1],
			(--ruleset->sets_count - index) * sizeof(*ruleset->sets));
		for (size_t i = 0; i < ruleset->rules_count; i++) {
			struct fw_rule *rule = &ruleset->rules[i];

			rule->src.set -= rule->src.kind == FW_ADDRS_SET && rule->src.set > index;
			rule->dst.set -= rule->dst.kind == FW_ADDRS_SET && rule->dst.set > index;
		}
		err = apply_changed(e, &s, ruleset);
	}
	session_close(&s);
	return err;
}

int ecbpf_fw_set_print(struct ecbpf *e, const char *name, FILE *out)
{
	struct fw_set set = {};
	struct session s;
	size_t index;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	err = set_find(e, &s, name, &index);
	if (!err)
		err = set_read(e, &s.maps, s.old.sets[index], &set);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no error came before */
	set.family = err ? 0 : s.old.ruleset->sets[index].family;
	session_close(&s);
	for (size_t i = 0; !err && i < set.prefixes_count; i++) {
		const struct fw_prefix *prefix = &set.prefixes[i];
		char text[INET6_ADDRSTRLEN];

		inet_ntop(set.family == 4 ? AF_INET : AF_INET6, prefix->addr, text, sizeof(text));
		if (fprintf(out, "%s/%u\n", text, prefix->len) < 0)
			err = ecbpf_fail(e, -EIO, "set '%s' could not be written", name);
	}
	free(set.prefixes);
	return err;
}

/* --- counters, status ---------------------------------------------------------------------------
 */

int ecbpf_fw_stats(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset,
		   struct ecbpf_fw_stat **ret_stats)
{
	struct ecbpf_fw_stat *stats;
	struct session s;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	stats = calloc(s.old.ruleset->rules_count + 1, sizeof(*stats));
	err = !stats ? fail_memory(e)
		     : stats_read(e, s.maps.counters, s.old.counters, s.old.ruleset->rules_count,
				  stats);
	if (err) {
		free(stats);
	} else {
		*ret_stats = stats;
		*ret_ruleset = s.old.ruleset;
		s.old.ruleset = NULL;
	}
	session_close(&s);
	return err;
}

int ecbpf_fw_stats_clear(struct ecbpf *e)
{
	struct session s;
	int err;

	err = session_open(e, 0, &s);
	if (err)
		return err;
	for (size_t i = 0; !err && i < s.old.ruleset->rules_count; i++)
		err = counter_zero(e, &s.maps, s.old.counters[i]);
	session_close(&s);
	return err;
}

int ecbpf_fw_bytes(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, size_t *ret_bytes)
{
	struct fw_generation generation = {};
	struct state state = {.ruleset = (void *)ruleset};
	int err;

	err = state_alloc(e, &state);
	if (!err)
		err = fw_compile(e, ruleset, state.counters, state.limits, state.sets, &generation);
	if (!err)
		*ret_bytes = generation.entries * generation.entry_bytes;
	fw_generation_free(&generation);
	state.ruleset = NULL;
	state_free(&state);
	return err;
}

/* --- interfaces ---------------------------------------------------------------------------------
 */

int ecbpf_fw_is_loaded(struct ecbpf *e, const char *iface, bool *ret_is_loaded)
{
	struct ecbpf_chain *chain;
	int err;

	err = ecbpf_chain_get(e, iface, &chain);
	if (err)
		return err;
	*ret_is_loaded = false;
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t j = 0; j < member->stages_count; j++)
			*ret_is_loaded |= member->stages[j].stage == ECBPF_STAGE_FW;
	}
	ecbpf_chain_free(chain);
	return 0;
}

/* What is not live any more goes; an error that was told stays */
static void load_clean(struct ecbpf *e)
{
	char error[sizeof(e->error)];
	struct session s;

	memcpy(error, e->error, sizeof(error));
	if (!session_open(e, SESSION_REPAIR, &s)) {
		session_clean(e, &s);
		session_close(&s);
	}
	memcpy(e->error, error, sizeof(error));
}

static int load_locked(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		       const struct ecbpf_fw_ruleset *ruleset, bool fused, enum ecbpf_mode mode)
{
	struct session s;
	__u32 before;
	int err;

	for (size_t i = 0; i < ifaces_count; i++) {
		bool is_there;

		err = ecbpf_fw_is_loaded(e, ifaces[i], &is_there);
		if (err)
			return err;
		if (is_there)
			return ecbpf_fail(e, -EEXIST, "%s: the firewall is loaded there already",
					  ifaces[i]);
	}
	err = session_open(e, SESSION_MAKE | (ruleset ? SESSION_REPAIR : 0), &s);
	if (err)
		return err;
	before = s.active;
	if (ruleset)
		err = apply_ruleset(e, &s, ruleset);
	if (!err)
		err = ecbpf_chain_load_stage(e, ifaces, ifaces_count, ECBPF_STAGE_FW, fused, mode);
	/* back to what was live, which is still there: nobody else has had the lock */
	if (err && s.active != before)
		active_set(&s.maps, before);
	session_close(&s);
	if (ruleset)
		load_clean(e);
	return err;
}

int ecbpf_fw_load(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		  const struct ecbpf_fw_ruleset *ruleset, bool fused, enum ecbpf_mode mode)
{
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (!err)
		err = ecbpf_lock_hold(e);
	if (err)
		return err;
	err = load_locked(e, ifaces, ifaces_count, ruleset, fused, mode);
	ecbpf_lock_release(e);
	return err;
}

int ecbpf_fw_unload(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count)
{
	for (size_t i = 0; i < ifaces_count; i++) {
		bool is_there;
		int err;

		err = ecbpf_fw_is_loaded(e, ifaces[i], &is_there);
		if (err)
			return err;
		if (!is_there)
			return ecbpf_fail(e, -ENOENT, "%s: the firewall is not loaded there",
					  ifaces[i]);
	}
	return ecbpf_chain_unload_stage(e, ifaces, ifaces_count, ECBPF_STAGE_FW);
}
