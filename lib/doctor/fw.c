// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the firewall's rules on an interface. */
#include "core/handle.h"
#include "core/iface.h"
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
	char fix[ECBPF_IFACE_FIX];
	size_t count;

	if (!has_fw(chain) || !ecbpf_iface_takes_tags(chain->iface, fix))
		return;
	count = fw_live_vlan_rules(d->e);
	if (!count)
		return;
	f = finding_add(&d->found, ECBPF_WARNING, chain->iface, "fw-vlan",
			"the firewall has %zu rule%s with 'vlan', and VLAN tags are removed "
			"before XDP",
			count, count > 1 ? "s" : "");
	finding_why(f, "such a rule does not match a packet whose tag was removed%s",
		    ecbpf_iface_is_half_veth(chain->iface)
			    ? "; the peer of a veth has to put tags in: ethtool -K PEER txvlan off"
			    : "");
	finding_fix(f, "%s", fix);
}
