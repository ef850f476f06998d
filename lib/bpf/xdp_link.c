// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The BPF link that holds an interface's XDP program, see xdp_link.h. */
#include <stdio.h>
#include <bpf/bpf.h>
#include "bpf/xdp_link.h"
#include "core/handle.h"
#include "core/iface.h"

/* The program, too: other network namespaces use the same numbers for interfaces */
__u32 ecbpf_xdp_link_id(int ifindex, __u32 prog_id)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
		    info.type == BPF_LINK_TYPE_XDP && info.prog_id == prog_id &&
		    info.xdp.ifindex == (__u32)ifindex)
			return id;
	}
	return 0;
}

const char *ecbpf_xdp_remove_command(const char *iface, __u32 prog_id, char *ret)
{
	__u32 id = ecbpf_xdp_link_id(ecbpf_iface_find(iface), prog_id);

	if (id)
		snprintf(ret, ECBPF_XDP_REMOVE, "bpftool link detach id %u", id);
	else
		snprintf(ret, ECBPF_XDP_REMOVE, "ecbpf-loader unload --all %.32s", iface);
	return ret;
}
