// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The XDP features that an interface's driver says it has. */
#include <errno.h>
#include <string.h>
#include <bpf/libbpf.h>
#include "config.h"
#include "core/handle.h"
#include "core/iface.h"

int ecbpf_features(struct ecbpf *e, const char *iface, __u64 *ret_features)
{
#ifdef HAVE_XDP_FEATURE_FLAGS
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int ifindex, err;

	ecbpf_capture(e);
	ifindex = ecbpf_iface_index(e, iface);
	if (ifindex < 0)
		return ifindex;
	err = bpf_xdp_query(ifindex, 0, &opts);
	if (err)
		return ecbpf_fail(e, err, "%s: cannot ask for its XDP features: %s", iface,
				  strerror(-err));
	*ret_features = opts.feature_flags;
	return 0;
#else
	int ifindex = ecbpf_iface_index(e, iface);

	(void)ret_features;
	if (ifindex < 0)
		return ifindex;
	return ecbpf_fail(e, -EOPNOTSUPP,
			  "%s: cannot tell its XDP features: built with a libbpf before 1.3",
			  iface);
#endif
}
