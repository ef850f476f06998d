// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sampler's maps, which are pinned.
 *
 * All are those of the embedded object `sampler`: loading it without its program makes those that
 * are missing, with the definitions that the programs have.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "chain/lost.h"
#include "core/privilege.h"
#include "sampler/sampler.h"

/* The directory that a reader has locked, as pins cannot be. Next to the maps */
#define READER_LOCK "sampler_reader"

int sampler_map(const struct bpf_object *obj, const char *name)
{
	return bpf_object__find_map_fd_by_name(obj, name);
}

/* Are the maps there, made by a load or a reader before? */
int sampler_maps_find(struct ecbpf *e)
{
	int found;

	ecbpf_capture(e);
	found = ecbpf_pin_is_there(e, "sampler_stats");
	if (found)
		return found < 0 ? found : 0;
	return ecbpf_fail(e, -ENOENT, "no sampler is loaded: there is no %s/ecbpf/sampler_stats",
			  e->bpffs);
}

int sampler_maps_open(struct ecbpf *e, struct bpf_object **ret_obj)
{
	int err;

	ecbpf_capture(e);
	err = ecbpf_require(e, ECBPF_NEEDS_MAPS);
	if (!err)
		err = ecbpf_bpffs_open(e, true);
	return err ? err : ecbpf_stage_maps(e, "sampler", ret_obj);
}

int sampler_lock(struct ecbpf *e, bool make)
{
	char path[PATH_MAX];
	int err, fd;

	err = ecbpf_pin_path(e, path, sizeof(path), READER_LOCK);
	if (err)
		return err;
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return ecbpf_fail(e, -errno, "cannot make %s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ecbpf_fail(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = -errno;
	close(fd);
	if (err == -EWOULDBLOCK)
		return ecbpf_fail(e, -EBUSY, "samples are read by another process already");
	return ecbpf_fail(e, err, "cannot lock %s: %s", path, strerror(-err));
}
