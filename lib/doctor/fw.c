// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the firewall's rules on an interface. */
#include "core/handle.h"
#include "doctor/doctor.h"
#include "fw/live.h"

static bool has_fw(const struct ecbpf_chain *chain)
{
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *m = &chain->members[i];

		for (size_t j = 0; j < m->stages_count; j++)
			if (m->stages[j].stage == ECBPF_STAGE_FW)
				return true;
	}
	return false;
}

void doctor_check_vlan(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;
	const char *remedy;
	size_t count;

	if (!has_fw(chain) || !fw_vlan_is_hidden(chain->iface, &remedy))
		return;
	count = fw_live_vlan_rules(d->e);
	if (!count)
		return;
	f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "fw-vlan",
			"the firewall has %zu rule%s with 'vlan', and the interface removes VLAN "
			"tags before XDP",
			count, count > 1 ? "s" : "");
	finding_why(f, "such a rule does not match a packet whose tag was removed%s",
		    *remedy ? "; the peer of a veth has to put tags in, too: ethtool -K PEER "
			      "txvlan off"
			    : "");
	finding_fix(f, "ethtool -K %s rxvlan off", chain->iface);
}
