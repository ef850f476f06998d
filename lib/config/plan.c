// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a configuration wants of the interfaces that exist: programs, chains, VLANs */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/plan.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/links.h"
#include "fastpath/fastpath.h"

void conf_plan_free(struct conf_plan *plan)
{
	for (size_t i = 0; plan->settings && i < plan->programs_count; i++)
		free(plan->settings[i]);
	free(plan->settings);
	free(plan->programs);
	free(plan->fused);
	free(plan->links);
	free(plan->by_name);
	free(plan->is_ingress);
	free(plan->is_egress);
	free(plan->is_held);
	free(plan->wants);
	free(plan->ports);
	free(plan->absent);
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

static int link_compare(const void *a, const void *b)
{
	const struct ecbpf_link *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static const struct ecbpf_link *link_find(const struct conf_plan *plan, const char *name)
{
	struct ecbpf_link key = {};
	const struct ecbpf_link *at = &key, **found;

	if (strlen(name) >= sizeof(key.name))
		return NULL;
	strcpy(key.name, name);
	found = bsearch(&at, plan->by_name, plan->links_count, sizeof(at), link_compare);
	return found ? *found : NULL;
}

/* The bond of "bond0/"; NULL: it is none, or not there */
static const struct ecbpf_link *master_find(const struct conf_plan *plan, const char *word)
{
	size_t len = strlen(word);
	char name[IF_NAMESIZE];

	if (len < 2 || word[len - 1] != '/' || len > sizeof(name))
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)len - 1, word);
	return link_find(plan, name);
}

/*
 * "eth0", "enp*", "bond0/": which links are meant. A name or alternative name that there is means
 * that one. Return: 1 there is one, 0 there is none, errors
 */
static int word_resolve(struct ecbpf *e, const struct conf_plan *plan, const char *word,
			bool *is_meant)
{
	const struct ecbpf_link *link = link_find(plan, word), *master = NULL;
	bool is_pattern = strpbrk(word, "*?[/"), is_there = link;
	int ifindex;

	if (link) {
		is_meant[link - plan->links] = true;
		return 1;
	}
	ifindex = is_pattern ? 0 : ecbpf_iface_ask(e, word);
	if (ifindex < 0)
		return ifindex;
	if (is_pattern)
		master = master_find(plan, word);
	for (size_t i = 0; i < plan->links_count && (is_pattern || ifindex); i++) {
		link = &plan->links[i];
		if (ifindex  ? link->ifindex != ifindex
		    : master ? link->master != master->ifindex
			     : !!fnmatch(word, link->name, 0))
			continue;
		is_meant[i] = is_there = true;
	}
	return is_there;
}

/* A pattern may match no interface, nor a bond have a member; a name has to be there */
static bool may_match_none(const struct conf_plan *plan, const char *word)
{
	size_t len = strlen(word);

	if (len < 2 || word[len - 1] != '/')
		return strpbrk(word, "*?[");
	return master_find(plan, word);
}

/* @is_strict: a name that is not there is an error; else into @waits, which may be NULL */
static int words_resolve(struct ecbpf *e, struct conf_plan *plan, const struct conf_words *words,
			 bool *is_meant, bool is_strict, struct conf_waits *waits)
{
	int err = 0;

	for (size_t i = 0; i < words->count && !err; i++) {
		const struct conf_word *word = &words->items[i];
		int is_there = word_resolve(e, plan, word->text, is_meant);

		if (is_there) {
			err = is_there < 0 ? is_there : 0;
			continue;
		}
		plan->absent[plan->absent_count++] = word;
		if (waits)
			err = conf_wait(e, waits, word->text, CONF_ABSENT);
		else if (is_strict && !may_match_none(plan, word->text))
			err = conf_fail(e, word, "%s: no such interface%s", word->text,
					strchr(word->text, ',') ? CONF_BLANKS : "");
	}
	return err;
}

/* The links that there are, and which of them the configuration means */
static int plan_links(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan,
		      bool is_strict, struct conf_waits *waits)
{
	int err = ecbpf_links_read(e, &plan->links, &plan->links_count);

	if (err)
		return err;
	plan->by_name = calloc(plan->links_count + 1, sizeof(*plan->by_name));
	plan->is_ingress = calloc(plan->links_count + 1, sizeof(*plan->is_ingress));
	plan->is_egress = calloc(plan->links_count + 1, sizeof(*plan->is_egress));
	plan->is_held = calloc(plan->links_count + 1, sizeof(*plan->is_held));
	plan->absent =
		calloc(config->ingress.count + config->egress.count + 1, sizeof(*plan->absent));
	if (!plan->absent || !plan->is_held || !plan->by_name || !plan->is_ingress ||
	    !plan->is_egress)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < plan->links_count; i++)
		plan->by_name[i] = &plan->links[i];
	qsort(plan->by_name, plan->links_count, sizeof(*plan->by_name), link_compare);
	err = words_resolve(e, plan, &config->ingress, plan->is_ingress, is_strict, waits);
	return err ? err
		   : words_resolve(e, plan, &config->egress, plan->is_egress, is_strict, waits);
}

static bool has_vlans(const struct ecbpf_config *config, const struct conf_plan *plan, size_t i)
{
	return (plan->is_ingress[i] && config->ingress_vlans.count) ||
	       (plan->is_egress[i] && config->egress_vlans.count);
}

/* Interfaces that are not on their VLANs, as far as is known, are left as they are */
static int plan_hold(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan,
		     struct conf_waits *waits)
{
	int err = 0;

	for (size_t i = 0; i < plan->links_count && config->holds_vlans && !err; i++) {
		const char *iface = plan->links[i].name, *why;

		why = has_vlans(config, plan, i) ? conf_vlan_why(config, iface) : NULL;
		plan->is_held[i] = why;
		if (why && waits)
			err = conf_wait(e, waits, iface, why);
	}
	return err;
}

int conf_plan_wants(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan,
		    struct conf_waits *waits)
{
	int err;

	err = plan_links(e, config, plan, true, waits);
	if (!err)
		err = plan_hold(e, config, plan, waits);
	if (err)
		return err;
	plan->wants = calloc(plan->links_count + 1, sizeof(*plan->wants));
	if (!plan->wants)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < plan->links_count; i++) {
		struct ecbpf_chain_want *want = &plan->wants[plan->wants_count];

		if (plan->is_held[i])
			continue;
		plan->wants_count++;
		want->iface = plan->links[i].name;
		want->mode = config->mode;
		if (!plan->is_ingress[i])
			continue;
		want->programs = plan->programs;
		want->programs_count = plan->programs_count;
	}
	return 0;
}

/* Where the fast path is already: an interface that is held goes on as it is */
static int ports_held(struct ecbpf *e, struct conf_plan *plan)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	size_t count = 0;
	int err = ecbpf_fastpath_ports(e, &ports, &count);

	for (size_t i = 0; i < count && !err; i++) {
		const struct ecbpf_link *link = link_find(plan, ports[i].iface);

		if (link && plan->is_held[link - plan->links])
			plan->ports[plan->ports_count++] = link->name;
	}
	return err;
}

/* Interfaces of either kind, if the fast path is among the stages and gets any packets */
int conf_plan_ports(struct ecbpf *e, const struct ecbpf_config *config, struct conf_plan *plan)
{
	bool is_wanted = false, has_packets = false, has_held = false;

	plan->ports = calloc(plan->links_count + 1, sizeof(*plan->ports));
	if (!plan->ports)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < config->stages.count; i++)
		is_wanted |= !strcmp(config->stages.items[i].text, "fastpath");
	for (size_t i = 0; i < plan->links_count; i++) {
		has_packets |= plan->is_ingress[i] && plan->programs_count;
		has_held |= plan->is_held[i];
	}
	for (size_t i = 0; i < plan->links_count && is_wanted && has_packets; i++)
		if ((plan->is_ingress[i] || plan->is_egress[i]) && !plan->is_held[i])
			plan->ports[plan->ports_count++] = plan->links[i].name;
	return has_held && is_wanted ? ports_held(e, plan) : 0;
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
	err = plan_links(e, config, &plan, false, NULL);
	for (size_t i = 0; i < plan.links_count && !err; i++) {
		const struct ecbpf_link *link = &plan.links[i];

		if (!conf_vlan_why(config, link->name))
			continue;
		if (plan.is_ingress[i])
			err = vlans_add(e, link, &config->ingress_vlans, &vlans, &count);
		if (!err && plan.is_egress[i])
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
