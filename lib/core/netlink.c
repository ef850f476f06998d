// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Netlink requests whose answers become an array, by libnl. */
#include <errno.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/netlink.h"

#define TRIES 20 /* of a dump */

struct collector {
	ecbpf_netlink_fn fn;
	size_t size;
	void *items_p;
	size_t *count;
	bool is_out_of_memory;
};

static int collect(struct nl_msg *msg, void *data)
{
	struct collector *c = data;
	void *item = ecbpf_array_add(c->items_p, c->count, c->size);

	if (!item) {
		c->is_out_of_memory = true;
		return NL_STOP;
	}
	*c->count -= !c->fn(nlmsg_hdr(msg), item);
	return NL_OK;
}

static int to_errno(int err)
{
	switch (-err) {
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_DUMP_INTR:
		return -EAGAIN;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static int fail_netlink(struct ecbpf *e, const char *what, int err)
{
	return ecbpf_fail(e, to_errno(err), "%s: netlink: %s%s", what, nl_geterror(err),
			  to_errno(err) == -EPERM ? " (must be root)" : "");
}

int ecbpf_netlink_collect(struct ecbpf *e, struct nl_sock *sock, struct nl_msg *msg,
			  const char *what, ecbpf_netlink_fn fn, size_t size, void *items_p,
			  size_t *count)
{
	struct collector c = {.fn = fn, .size = size, .items_p = items_p, .count = count};
	size_t before = *count;
	int err = -NLE_DUMP_INTR;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, collect, &c);
	for (int i = 0; i < TRIES && err == -NLE_DUMP_INTR; i++) {
		*count = before;
		nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
		err = nl_send_auto(sock, msg);
		if (err >= 0)
			err = nl_recvmsgs_default(sock);
	}
	if (c.is_out_of_memory)
		return ecbpf_fail_memory(e);
	return err < 0 ? fail_netlink(e, what, err) : 0;
}

static int rtnetlink_open(struct ecbpf *e, struct nl_sock *sock, const char *what)
{
	int err, on = 1;

	err = nl_connect(sock, NETLINK_ROUTE);
	if (err)
		return fail_netlink(e, what, err);
	/* else the kernel ignores the head: of routes there may be a million */
	if (setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
		       sizeof(on)))
		return ecbpf_fail(e, -errno, "%s: this kernel has no strict netlink (Linux 4.20)",
				  what);
	return 0;
}

int ecbpf_rtnetlink_collect_all(struct ecbpf *e, int type, const void *heads, size_t head_size,
				size_t heads_count, const char *what, ecbpf_netlink_fn fn,
				size_t size, void *items_p, size_t *count)
{
	struct nl_sock *sock = nl_socket_alloc();
	int err;

	err = sock ? rtnetlink_open(e, sock, what) : ecbpf_fail_memory(e);
	for (size_t i = 0; i < heads_count && !err; i++) {
		struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);

		if (!msg ||
		    nlmsg_append(msg, (char *)heads + i * head_size, head_size, NLMSG_ALIGNTO))
			err = ecbpf_fail_memory(e);
		else
			err = ecbpf_netlink_collect(e, sock, msg, what, fn, size, items_p, count);
		nlmsg_free(msg);
	}
	nl_socket_free(sock);
	return err;
}

int ecbpf_rtnetlink_collect(struct ecbpf *e, int type, const void *head, size_t head_size,
			    const char *what, ecbpf_netlink_fn fn, size_t size, void *items_p,
			    size_t *count)
{
	return ecbpf_rtnetlink_collect_all(e, type, head, head_size, 1, what, fn, size, items_p,
					   count);
}
