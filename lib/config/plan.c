// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a configuration wants of the interfaces that exist: programs, chains, VLANs */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/plan.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/links.h"

void conf_plan_free(struct conf_plan *plan)
{
	for (size_t i = 0; plan->settings && i < plan->programs_count; i++)
		free(plan->settings[i]);
	free(plan->settings);
	free(plan->programs);
	free(plan->fused);
	free(plan->links);
	free(plan->wants);
	free(plan->ports);
}

/* Constants of a unit, behind those that there are already */
static int settings_add(struct ecbpf *e, struct conf_plan *plan, size_t number,
			const struct conf_unit *unit)
{
	struct ecbpf_program *program = &plan->programs[number];
	const char **settings;

	if (!unit)
		return 0;
	settings =
		reallocarray(plan->settings[number],
			     program->settings_count + unit->settings.count + 1, sizeof(*settings));
	if (!settings)
		return ecbpf_fail_memory(e);
	plan->settings[number] = settings;
	for (size_t i = 0; i < unit->settings.count; i++)
		settings[program->settings_count++] = unit->settings.items[i].text;
	program->settings = settings;
	return 0;
}

static struct ecbpf_program *program_add(struct conf_plan *plan, const struct conf_unit *unit)
{
	struct ecbpf_program *program = &plan->programs[plan->programs_count++];

	*program = (struct ecbpf_program)ECBPF_PROGRAM_INIT;
	if (unit) {
		program->prio = unit->prio;
		program->actions = unit->actions;
	}
	return program;
}

static int plan_fused(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan)
{
	const struct conf_unit *fused = conf_unit_find(config, CONF_FUSED, true);
	struct conf_text list = {};
	int err = 0;

	program_add(plan, fused);
	for (size_t i = 0; i < config->stages.count && !err; i++) {
		const char *name = config->stages.items[i].text;

		conf_printf(&list, "%s%s", i ? "," : "", name);
		err = settings_add(e, plan, 0, conf_unit_find(config, name, true));
	}
	if (!err)
		err = settings_add(e, plan, 0, fused);
	plan->fused = list.text;
	plan->programs[0].fused = list.text;
	return err ? err : list.is_lost ? ecbpf_fail_memory(e) : 0;
}

int conf_plan_programs(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan)
{
	size_t max = config->stages.count + config->units_count + 1;
	int err = 0;

	plan->programs = calloc(max, sizeof(*plan->programs));
	plan->settings = calloc(max, sizeof(*plan->settings));
	if (!plan->programs || !plan->settings)
		return ecbpf_fail_memory(e);
	if (config->is_fused && config->stages.count)
		err = plan_fused(e, config, plan);
	for (size_t i = 0; i < config->stages.count && !config->is_fused && !err; i++) {
		const char *name = config->stages.items[i].text;
		const struct conf_unit *unit = conf_unit_find(config, name, true);
		struct ecbpf_program *program = program_add(plan, unit);

		program->file = name;
		err = settings_add(e, plan, plan->programs_count - 1, unit);
	}
	for (size_t i = 0; i < config->units_count && !err; i++) {
		const struct conf_unit *unit = &config->units[i];
		struct ecbpf_program *program;

		if (unit->is_stage)
			continue;
		program = program_add(plan, unit);
		program->file = unit->file.text;
		program->section = unit->section;
		program->name = unit->prog_name;
		err = settings_add(e, plan, plan->programs_count - 1, unit);
	}
	return err;
}

static const struct ecbpf_link *link_find(const struct conf_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->links_count; i++)
		if (!strcmp(plan->links[i].name, name))
			return &plan->links[i];
	return NULL;
}

/*
 * "eth0", "enp*", "bond0/": whether a link is meant. A name or alternative name that there is means
 * that one
 */
static bool is_meant(const struct conf_plan *plan, const char *word, const struct ecbpf_link *link)
{
	size_t len = strlen(word);
	const struct ecbpf_link *master;
	char name[IF_NAMESIZE];
	int ifindex;

	if (link_find(plan, word))
		return !strcmp(word, link->name);
	ifindex = strpbrk(word, "*?[/") ? 0 : ecbpf_iface_find(word);
	if (ifindex)
		return ifindex == link->ifindex;
	if (word[len - 1] != '/')
		return !fnmatch(word, link->name, 0);
	snprintf(name, sizeof(name), "%.*s", (int)len - 1, word);
	master = link_find(plan, name);
	return master && link->master == master->ifindex;
}

static bool conf_is_among(const struct conf_plan *plan, const struct conf_words *words,
			  const struct ecbpf_link *link)
{
	for (size_t i = 0; i < words->count; i++)
		if (is_meant(plan, words->items[i].text, link))
			return true;
	return false;
}

/* A pattern may match no interface, nor a bond have a member; a name has to be there */
static bool is_pattern(const struct conf_plan *plan, const char *word)
{
	size_t len = strlen(word);
	char name[IF_NAMESIZE];

	if (len < 2 || word[len - 1] != '/' || len > sizeof(name))
		return strpbrk(word, "*?[");
	snprintf(name, sizeof(name), "%.*s", (int)len - 1, word);
	return link_find(plan, name);
}

static int interfaces_check(struct ecbpf *e, const struct conf_plan *plan,
			    const struct conf_words *words, struct conf_waits *waits)
{
	int err = 0;

	for (size_t i = 0; i < words->count && !err; i++) {
		const struct conf_word *word = &words->items[i];
		bool is_there = false;

		for (size_t k = 0; k < plan->links_count && !is_there; k++)
			is_there = is_meant(plan, word->text, &plan->links[k]);
		if (is_there)
			continue;
		if (waits)
			err = conf_wait(e, waits, word->text, CONF_ABSENT);
		else if (!is_pattern(plan, word->text))
			err = conf_fail(e, word, "%s: no such interface", word->text);
	}
	return err;
}

int conf_plan_wants(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan,
		    struct conf_waits *waits)
{
	int err;

	err = ecbpf_links_read(e, &plan->links, &plan->links_count);
	if (!err)
		err = interfaces_check(e, plan, &config->ingress, waits);
	if (!err)
		err = interfaces_check(e, plan, &config->egress, waits);
	if (err)
		return err;
	plan->wants = calloc(plan->links_count + 1, sizeof(*plan->wants));
	if (!plan->wants)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < plan->links_count; i++) {
		struct ecbpf_chain_want *want = &plan->wants[i];

		want->iface = plan->links[i].name;
		want->mode = config->mode;
		if (!conf_is_among(plan, &config->ingress, &plan->links[i]))
			continue;
		want->programs = plan->programs;
		want->programs_count = plan->programs_count;
	}
	return 0;
}

/* Interfaces of either kind, if the fast path is among the stages and gets any packets */
int conf_plan_ports(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan)
{
	bool is_wanted = false, has_packets = false;

	plan->ports = calloc(plan->links_count + 1, sizeof(*plan->ports));
	if (!plan->ports)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < config->stages.count; i++)
		is_wanted |= !strcmp(config->stages.items[i].text, "fastpath");
	for (size_t i = 0; i < plan->links_count; i++)
		has_packets |= plan->wants[i].programs_count;
	for (size_t i = 0; i < plan->links_count && is_wanted && has_packets; i++)
		if (plan->wants[i].programs_count ||
		    conf_is_among(plan, &config->egress, &plan->links[i]))
			plan->ports[plan->ports_count++] = plan->links[i].name;
	return 0;
}

static int vlans_add(struct ecbpf *e, const struct ecbpf_link *link, const struct conf_words *ids,
		     struct ecbpf_config_vlan **vlans, size_t *count)
{
	struct ecbpf_config_vlan *more;

	more = reallocarray(*vlans, *count + ids->count + 1, sizeof(*more));
	if (!more)
		return ecbpf_fail_memory(e);
	*vlans = more;
	for (size_t i = 0; i < ids->count; i++) {
		struct ecbpf_config_vlan *vlan = &more[(*count)++];

		snprintf(vlan->iface, sizeof(vlan->iface), "%s", link->name);
		vlan->id = strtoul(ids->items[i].text, NULL, 10);
	}
	return 0;
}

int ecbpf_config_vlans(struct ecbpf *e, const struct ecbpf_config *config,
		       struct ecbpf_config_vlan **ret_vlans, size_t *ret_count)
{
	struct ecbpf_config_vlan *vlans = NULL;
	struct conf_plan plan = {};
	size_t count = 0;
	int err;

	ecbpf_capture(e);
	err = ecbpf_links_read(e, &plan.links, &plan.links_count);
	for (size_t i = 0; i < plan.links_count && !err; i++) {
		const struct ecbpf_link *link = &plan.links[i];

		if (conf_is_among(&plan, &config->ingress, link))
			err = vlans_add(e, link, &config->ingress_vlans, &vlans, &count);
		if (!err && conf_is_among(&plan, &config->egress, link))
			err = vlans_add(e, link, &config->egress_vlans, &vlans, &count);
	}
	conf_plan_free(&plan);
	if (err) {
		free(vlans);
		return err;
	}
	*ret_vlans = vlans;
	*ret_count = count;
	return 0;
}
