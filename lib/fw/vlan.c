// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A warning about rules that test VLAN tags, on interfaces that take the tags off before XDP.
 */
#include <net/if.h>
#include <stdio.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "fw/rules.h"

size_t fw_vlan_rules(const struct ecbpf_fw_ruleset *ruleset)
{
	size_t count = 0;

	for (size_t i = 0; i < ruleset->rules_count; i++)
		count += !!ruleset->rules[i].vlan.count;
	return count;
}

static void warn(struct ecbpf *e, const char *iface)
{
	char fix[ECBPF_IFACE_FIX];

	if (ecbpf_iface_takes_tags(iface, fix))
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "%s: rules with 'vlan' do not match there: VLAN tags are removed before "
			  "the firewall sees them; run '%s'%s",
			  iface, fix,
			  ecbpf_iface_is_half_veth(iface)
				  ? " and on its peer 'ethtool -K PEER txvlan off'"
				  : "");
}

void fw_warn_vlan(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset,
		  const char *const *ifaces, size_t ifaces_count)
{
	for (size_t i = 0; i < ifaces_count && fw_vlan_rules(ruleset); i++)
		warn(e, ifaces[i]);
}

void fw_warn_vlan_loaded(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset)
{
	struct saved_error error;
	struct if_nameindex *all;

	if (!fw_vlan_rules(ruleset))
		return;
	all = if_nameindex();
	ecbpf_error_save(e, &error);
	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		bool is_loaded = false;

		/* without privileges nobody can tell */
		if (!ecbpf_chain_has_stage(e, i->if_name, ECBPF_STAGE_FW, &is_loaded) && is_loaded)
			warn(e, i->if_name);
	}
	ecbpf_error_restore(e, &error);
	if (all)
		if_freenameindex(all);
}
