// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* On which interfaces the firewall is. */
#include <ecbpf/libecbpf-fw.h>
#include "core/handle.h"

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
