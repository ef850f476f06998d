// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which members of dispatchers run, from the kernel's list of links. */
#include <limits.h>
#include <string.h>
#include <bpf/bpf.h>
#include "chain/dispatcher.h"
#include "chain/pins.h"
#include "core/array.h"
#include "core/handle.h"
#include "doctor/doctor.h"

/* A dispatcher's pinned links say which target they have, where the kernel does not */
static int resolve_targets(struct ecbpf *e, int ifindex, __u32 id, void *data)
{
	struct doctor *d = data;
	char path[PATH_MAX];

	for (int slot = 0; slot < DISPATCHER_MEMBERS; slot++) {
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		int fd;

		if (ecbpf_member_path(e, path, sizeof(path), ifindex, id, slot, "link"))
			return 0;
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
			for (size_t i = 0; i < d->links_count; i++) {
				if (d->links[i].id == info.id && !d->links[i].target_id)
					d->links[i].target_id = id;
			}
		}
		close(fd);
	}
	return 0;
}

void doctor_read_links(struct doctor *d)
{
	bool has_unknown = false;
	__u32 id = 0;

	d->links_count = 0;
	while (!bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		struct link *link;

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
		    info.type != BPF_LINK_TYPE_TRACING)
			continue;
		/* tracers of a dispatcher (xdpdump) are no members of it */
		if (info.tracing.attach_type == BPF_TRACE_FENTRY ||
		    info.tracing.attach_type == BPF_TRACE_FEXIT ||
		    info.tracing.attach_type == BPF_MODIFY_RETURN)
			continue;
		link = ecbpf_array_add(&d->links, &d->links_count, sizeof(*link));
		if (!link)
			return;
		*link = (struct link){
			.id = id,
			.prog_id = info.prog_id,
			.target_id = info.tracing.target_obj_id,
		};
		has_unknown |= !info.tracing.target_obj_id;
	}
	if (has_unknown && d->has_bpffs)
		ecbpf_for_each_dispatcher(d->e, resolve_targets, d);
}

struct running doctor_count_running(const struct doctor *d, __u32 dispatcher, __u32 prog_id)
{
	struct running running = {};

	for (size_t i = 0; i < d->links_count; i++) {
		const struct link *l = &d->links[i];

		if (prog_id && l->prog_id != prog_id)
			continue;
		running.some += l->target_id == dispatcher;
		running.most += l->target_id == dispatcher || !l->target_id;
	}
	return running;
}
