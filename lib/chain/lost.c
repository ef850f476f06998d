// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Maps of attached programs whose pins are gone. A map that is made in the place of one is read by
 * no program: a prefix that is added to it would be dropped nowhere, and each check be clean.
 */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/bpffs.h"
#include "bpf/program.h"
#include "chain/live.h"
#include "chain/lost.h"
#include "core/handle.h"

typedef int (*prog_fn)(struct ecbpf *e, int prog_fd, void *data);

static int each_of(struct ecbpf *e, int ifindex, prog_fn fn, void *data)
{
	struct live live = {.fd = -1};
	int result = ecbpf_live_read(e, ifindex, &live);

	for (size_t i = 0; !result && i < live.count; i++)
		result = fn(e, live.members[i].fd, data);
	ecbpf_live_close(&live);
	return result;
}

/* For each program that is attached, until @fn returns something else than 0. @ret_iface: where */
static int each_program(struct ecbpf *e, prog_fn fn, void *data, char ret_iface[IF_NAMESIZE])
{
	struct if_nameindex *all = if_nameindex();
	int result = 0;

	if (!all)
		return ecbpf_fail(e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !result; i++) {
		enum ecbpf_mode mode;
		__u32 id = 0;

		snprintf(ret_iface, IF_NAMESIZE, "%s", i->if_name);
		result = ecbpf_attached(e, i->if_index, &id, &mode);
		if (!result && id)
			result = each_of(e, i->if_index, fn, data);
		if (result == -ENODEV) /* it has gone meanwhile */
			result = 0;
	}
	if_freenameindex(all);
	return result;
}

struct looking {
	const char *prefix;
	struct own_pin *lost;
};

static int is_lost(struct ecbpf *e, int prog_fd, void *data)
{
	struct looking *l = data;

	return ecbpf_own_pin_lost(e, prog_fd, l->prefix, l->lost) && l->lost->is_missing;
}

int ecbpf_lost_find(struct ecbpf *e, const char *prefix, struct own_pin *ret,
		    char ret_iface[IF_NAMESIZE])
{
	struct looking l = {.prefix = prefix, .lost = ret};

	return each_program(e, is_lost, &l, ret_iface);
}

struct reach {
	const char *prefix;
	bool is_somewhere;
};

static int has_others(struct ecbpf *e, int prog_fd, void *data)
{
	struct reach *r = data;
	int found = ecbpf_own_pins_check(e, prog_fd, r->prefix);

	r->is_somewhere |= found >= 0;
	return !found;
}

int ecbpf_stage_reach(struct ecbpf *e, __u32 stage, char *ret_iface)
{
	struct reach r = {};
	char prefix[16];
	int found;

	ecbpf_capture(e);
	snprintf(prefix, sizeof(prefix), "%s_", ecbpf_stage_name(stage));
	r.prefix = prefix;
	found = each_program(e, has_others, &r, ret_iface);
	if (!found && !r.is_somewhere)
		*ret_iface = '\0';
	return found < 0 ? found : !found && r.is_somewhere;
}

static int restore(struct ecbpf *e, int prog_fd, void *data)
{
	int count;

	if (!ecbpf_own_pins_can_restore(e, prog_fd)) /* then no directory is made */
		return 0;
	count = ecbpf_bpffs_open(e, true) ?: ecbpf_own_pins_restore(e, prog_fd);
	if (count > 0)
		*(int *)data += count;
	return count < 0 ? count : 0;
}

int ecbpf_lost_restore(struct ecbpf *e)
{
	char iface[IF_NAMESIZE];
	int count = 0, err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = each_program(e, restore, &count, iface);
	if (count)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "%d pin%s in %s/ecbpf had been removed: pinned again, from the programs "
			  "that use these maps",
			  count, count > 1 ? "s" : "", e->bpffs);
	return err;
}

int ecbpf_lost_check(struct ecbpf *e, const char *stage)
{
	char iface[IF_NAMESIZE], prefix[16];
	struct own_pin lost;
	int found;

	snprintf(prefix, sizeof(prefix), "%s", !strcmp(stage, "sampler") ? "sampl" : stage);
	found = ecbpf_lost_find(e, prefix, &lost, iface);
	if (found > 0 && !e->is_trying) {
		found = ecbpf_lost_restore(e);
		if (!found)
			found = ecbpf_lost_find(e, prefix, &lost, iface);
	}
	if (found <= 0)
		return found;
	return ecbpf_fail(
		e, -ESTALE,
		"%s: the pin %s/ecbpf/%s was removed, and the program on %s goes on with "
		"a map that cannot be found any more: 'ecbpf-loader doctor %s' says how to "
		"replace it",
		stage, e->bpffs, lost.name, iface, iface);
}

const char *const ecbpf_fw_maps[] = {"fw_active", "fw_settings", "fw_small",	"fw_medium",
				     "fw_large",  "fw_counters", "fw_limits",	"fw_buckets",
				     "fw_groups", "fw_sets",	 "fw_set_pool", "fw_text",
				     "fw_stocks", NULL};

#define HITS "filter_hits" /* has numbers of sources; versions before it have none: no loss */
static const char *const list_maps[] = {"filter_lists", "filter_tries", "filter_sources", HITS,
					NULL};

static const char *const *names_of(const char *stage)
{
	static const char *const none[] = {NULL};

	return !strcmp(stage, "fw") ? ecbpf_fw_maps : !strcmp(stage, "filter") ? list_maps : none;
}

int ecbpf_lost_is_partial(struct ecbpf *e, const char *stage)
{
	const char *const *names = names_of(stage);
	size_t there = 0, count = 0;
	char path[PATH_MAX];

	for (size_t i = 0; names[i]; i++) {
		int found = ecbpf_pin_path(e, path, sizeof(path), names[i]);

		if (!found)
			found = ecbpf_is_there(e, path);
		if (found < 0)
			return found;
		if (!strcmp(names[i], HITS))
			continue;
		count++;
		there += found;
	}
	return there && there < count;
}

int ecbpf_lost_take(struct ecbpf *e, const char *stage, struct taken *ret)
{
	int err = ecbpf_lost_is_partial(e, stage);

	*ret = (struct taken){};
	if (err <= 0)
		return err;
	err = ecbpf_pins_take_names(e, names_of(stage), ret);
	if (!err && !e->renews_maps)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "%s: some of its pins in %s/ecbpf were removed: it starts with no %s",
			  stage, e->bpffs,
			  !strcmp(stage, "fw") ? "rules, sets and settings" : "lists");
	return err;
}

/* Is each map that is to be pinned pinned already? Return: 1, 0, -errno */
static int is_complete(struct ecbpf *e, const struct bpf_object *obj)
{
	const struct bpf_map *map;
	int found = 1;

	bpf_object__for_each_map (map, obj) {
		if (found == 1 && bpf_map__pin_path(map))
			found = ecbpf_is_there(e, bpf_map__pin_path(map));
	}
	return found;
}

/* Before maps of @stage are made: those of a program that goes on, or of none, are to be all new */
static int lost_settle(struct ecbpf *e, const char *stage, struct taken *ret)
{
	int err = e->renews_maps ? 0 : ecbpf_lost_check(e, stage);

	return err ? err : ecbpf_lost_take(e, stage, ret);
}

int ecbpf_stage_maps(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj)
{
	struct taken taken = {};
	struct bpf_object *obj;
	int found, err = ecbpf_stage_open(e, stage, &obj);

	if (err)
		return err;
	found = is_complete(e, obj);
	err = found < 0 ? found : 0;
	if (!found)
		err = lost_settle(e, stage, &taken);
	if (!err)
		err = ecbpf_stage_load(e, stage, obj);
	ecbpf_pins_end(e, &taken, err);
	if (err)
		bpf_object__close(obj);
	else
		*ret_obj = obj;
	return err;
}

int ecbpf_lost_commit(struct ecbpf *e, const char *stage, struct taken *ret)
{
	const char *const *names = names_of(stage);
	char path[PATH_MAX];
	int found = 1;

	*ret = (struct taken){};
	for (size_t i = 0; names[i] && found > 0; i++) {
		found = ecbpf_pin_path(e, path, sizeof(path), names[i]);
		if (!found)
			found = ecbpf_is_there(e, path);
	}
	return found ? (found < 0 ? found : 0) : lost_settle(e, stage, ret);
}
