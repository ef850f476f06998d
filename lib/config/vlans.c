// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What LLDP says of the VLANs of interfaces, told by who has asked it. */
#include <stdio.h>
#include <string.h>
#include "config/conf.h"
#include "core/array.h"
#include "core/error.h"

static struct ecbpf_config_wait *told_find(const struct ecbpf_config *config, const char *iface)
{
	for (size_t i = 0; i < config->vlans_told_count; i++)
		if (!strcmp(config->vlans_told[i].name, iface))
			return &config->vlans_told[i];
	return NULL;
}

const char *conf_vlan_why(const struct ecbpf_config *config, const char *iface)
{
	const struct ecbpf_config_wait *told = told_find(config, iface);

	if (!told)
		return "LLDP has not said yet whether it is on its VLANs";
	return *told->text ? told->text : NULL;
}

int ecbpf_config_vlan_tell(struct ecbpf *e, struct ecbpf_config *config, const char *iface,
			   const char *why)
{
	struct ecbpf_config_wait *told = told_find(config, iface);

	if (told && !strcmp(told->text, why ?: ""))
		return 0;
	if (!told)
		told = ecbpf_array_add(&config->vlans_told, &config->vlans_told_count,
				       sizeof(*told));
	if (!told)
		return ecbpf_fail_memory(e);
	snprintf(told->name, sizeof(told->name), "%s", iface);
	snprintf(told->text, sizeof(told->text), "%s", why ?: "");
	config->has_news = true;
	return 0;
}
