// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The chain of an interface as samples tell it */
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "chain/dispatcher.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "sampler/sampler.h"

/*
 * From the pins: to look at a program by its id takes CAP_SYS_ADMIN, which a reader need not have.
 * They may go while we look; then the chain is another one and is asked for again.
 */
int ecbpf_sampler_chain(struct ecbpf *e, int ifindex, __u32 known_id, __u32 *ret_id,
			char *ret_names, size_t size)
{
	struct bpf_prog_info info;
	enum ecbpf_mode mode;
	char path[PATH_MAX];
	size_t used = 0;
	__u32 id = 0;
	int err, fd;

	err = ecbpf_attached(e, ifindex, &id, &mode);
	if (err)
		return err;
	*ret_id = id;
	if (id == known_id)
		return 0;
	if (size)
		*ret_names = '\0';
	for (int slot = 0; id && slot < DISPATCHER_MEMBERS && used < size; slot++) {
		if (ecbpf_member_path(e, path, sizeof(path), ifindex, id, slot, "prog"))
			break;
		fd = bpf_obj_get(path);
		if (fd < 0)
			break;
		info = (struct bpf_prog_info){};
		if (!ecbpf_prog_info(fd, &info))
			used += snprintf(ret_names + used, size - used, "%s%s", slot ? "," : "",
					 info.name);
		close(fd);
	}
	return 0;
}
