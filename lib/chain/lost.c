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

static int live_find(struct ecbpf *e, int ifindex, const char *prefix, struct own_pin *ret)
{
	struct live live = {.fd = -1};
	int found = ecbpf_live_read(e, ifindex, &live);

	for (size_t i = 0; !found && i < live.count; i++)
		found = ecbpf_own_pin_lost(e, live.members[i].fd, prefix, ret) && ret->is_missing;
	ecbpf_live_close(&live);
	return found;
}

int ecbpf_lost_find(struct ecbpf *e, const char *prefix, struct own_pin *ret,
		    char ret_iface[IF_NAMESIZE])
{
	struct if_nameindex *all = if_nameindex();
	int found = 0;

	if (!all)
		return ecbpf_fail(e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !found; i++) {
		enum ecbpf_mode mode;
		__u32 id = 0;

		found = ecbpf_attached(e, i->if_index, &id, &mode);
		if (!found && id)
			found = live_find(e, i->if_index, prefix, ret);
		if (found == -ENODEV) /* it has gone meanwhile */
			found = 0;
		if (found == 1)
			snprintf(ret_iface, IF_NAMESIZE, "%s", i->if_name);
	}
	if_freenameindex(all);
	return found;
}

int ecbpf_lost_check(struct ecbpf *e, const char *stage)
{
	char iface[IF_NAMESIZE], prefix[16];
	struct own_pin lost;
	int found;

	snprintf(prefix, sizeof(prefix), "%s", !strcmp(stage, "sampler") ? "sampl" : stage);
	found = ecbpf_lost_find(e, prefix, &lost, iface);
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
				     NULL};

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

int ecbpf_stage_maps(struct ecbpf *e, const char *stage, struct bpf_object **ret_obj)
{
	struct taken taken = {};
	struct bpf_object *obj;
	int found, err = ecbpf_stage_open(e, stage, &obj);

	if (err)
		return err;
	found = is_complete(e, obj);
	err = found < 0 ? found : 0;
	if (!found) {
		err = e->renews_maps ? 0 : ecbpf_lost_check(e, stage);
		if (!err)
			err = ecbpf_lost_take(e, stage, &taken);
	}
	if (!err)
		err = ecbpf_stage_load(e, stage, obj);
	ecbpf_pins_end(e, &taken, err);
	if (err)
		bpf_object__close(obj);
	else
		*ret_obj = obj;
	return err;
}
