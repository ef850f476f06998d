// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [interfaces]: where the chains are */
#include <stdlib.h>
#include <string.h>
#include "config/parse.h"

static int open_interfaces(struct conf_parser *p, const char *name)
{
	(void)name;
	p->config->has_interfaces = true;
	return 0;
}

static int set_vlans(struct conf_parser *p, const char *key, const char *value,
		     struct conf_words *vlans)
{
	size_t before = *value ? vlans->count : 0;
	int err;

	err = conf_set_words(p, value, " \t,", vlans);
	for (size_t i = before; i < vlans->count && !err; i++) {
		char *end;
		unsigned long id = strtoul(vlans->items[i].text, &end, 10);

		if (*end || id < 1 || id > 4094)
			err = conf_fail(p->e, &p->at, "%s: '%s' is not a number from 1 to 4094",
					key, vlans->items[i].text);
	}
	return err;
}

static int set_interfaces(struct conf_parser *p, const char *key, const char *value)
{
	if (!strcmp(key, "ingress-vlan"))
		return set_vlans(p, key, value, &p->config->ingress_vlans);
	if (!strcmp(key, "egress-vlan"))
		return set_vlans(p, key, value, &p->config->egress_vlans);
	return conf_set_words(p, value, " \t",
			      key[0] == 'i' ? &p->config->ingress : &p->config->egress);
}

static const char *const keys[] = {"ingress", "egress", "ingress-vlan", "egress-vlan", NULL};

static int check(struct ecbpf *e, struct ecbpf_config *config)
{
	bool has_programs = config->stages.count;

	for (size_t i = 0; i < config->units_count; i++)
		has_programs |= !config->units[i].is_stage;
	if (config->ingress.count && !has_programs)
		return conf_fail(e, &config->ingress.items[0],
				 "ingress: interfaces, but neither stages nor programs for them: "
				 "[chain] stages = filter,sampler");
	return 0;
}

const struct conf_section conf_section_interfaces = {
	.name = "interfaces",
	.keys = keys,
	.open = open_interfaces,
	.set = set_interfaces,
	.check = check,
};
