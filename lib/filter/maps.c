// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The pinned maps of the filter.
 */
#include <errno.h>
#include <bpf/libbpf.h>
#include "bpf/lock.h"
#include "bpf/map.h"
#include "chain/lost.h"
#include "core/handle.h"
#include "filter/filter.h"

static int map_fd(struct ecbpf *e, const struct bpf_object *obj, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(obj, name);

	return fd < 0 ? ecbpf_fail(e, -EPROTO, "filter: no map %s", name) : fd;
}

void filter_maps_close(struct filter_maps *maps)
{
	ecbpf_view_close(&maps->settings);
	bpf_object__close(maps->obj);
	close_fd(&maps->lock);
}

int filter_maps_open(struct ecbpf *e, struct filter_maps *maps)
{
	int fd, err;

	ecbpf_capture(e);
	maps->lock = ecbpf_lock_make(e);
	if (maps->lock < 0)
		return maps->lock;
	err = ecbpf_stage_maps(e, "filter", &maps->obj);
	if (err)
		return err;
	maps->addrs_fd = map_fd(e, maps->obj, "filter_addrs");
	if (maps->addrs_fd < 0)
		return maps->addrs_fd;
	fd = map_fd(e, maps->obj, "filter_settings");
	if (fd < 0)
		return fd;
	err = ecbpf_view_open(e, fd, "filter_settings", sizeof(*maps->filter), &maps->settings);
	maps->filter = maps->settings.at;
	return err;
}
