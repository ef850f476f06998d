// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands that load programs again, with the options that they were loaded with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "bpf/loaded.h"
#include "chain/again.h"
#include "core/names.h"

/* @plain: stages that need no options, for one command */
struct again {
	const char *iface;
	enum ecbpf_mode mode;
	FILE *out;
	size_t commands;
	char plain[256];
	bool has_fastpath;
	bool is_fused;
	bool is_unknown; /* no command has all of it */
};

bool ecbpf_again_stages(const struct note_member *m, char ret_stages[AGAIN_STAGES])
{
	bool is_fused = sscanf(m->spec, "fused=%127[^\n]", ret_stages) == 1;

	if (!is_fused && sscanf(m->spec, "stage=%127[^\n]", ret_stages) != 1)
		snprintf(ret_stages, AGAIN_STAGES, "%s", m->name);
	return is_fused;
}

static void command_begin(struct again *a, const char *command)
{
	fprintf(a->out, "%s%s%s", a->commands++ ? " && " : "", command,
		a->mode == ECBPF_MODE_SKB ? " -m skb" : "");
}

/* Without actions it was attached without a dispatcher, where priority and actions mean nothing */
static bool is_plain(const struct note_member *m, int prio)
{
	int len;

	return (!m->actions || ((int)m->prio == prio && m->actions == 1U << XDP_PASS)) &&
	       !ecbpf_loaded_constant(m->spec, &len);
}

/* @prio: that of a program which is loaded without the option */
static void load_begin(struct again *a, const struct note_member *m, int prio)
{
	const char *constant, *comma = "";
	int len;

	command_begin(a, "ecbpf-loader load");
	if (m->actions && prio != (int)m->prio)
		fprintf(a->out, " -P %u", m->prio);
	if (m->actions && m->actions != 1U << XDP_PASS)
		fprintf(a->out, " -A ");
	for (__u32 action = XDP_ABORTED; action <= XDP_REDIRECT; action++) {
		if (m->actions == 1U << XDP_PASS || !(m->actions & 1U << action))
			continue;
		fprintf(a->out, "%s%s", comma, ecbpf_action_name(action));
		comma = ",";
	}
	for (constant = ecbpf_loaded_constant(m->spec, &len); constant;
	     constant = ecbpf_loaded_constant(constant + len, &len))
		fprintf(a->out, " -S %.*s", len, constant);
}

/* The fast path comes last, by its own tool, which takes no constants */
static void fused_add(struct again *a, const struct note_member *m, char *stages)
{
	char list[AGAIN_STAGES] = "", *rest = NULL;
	bool has_fastpath = false;

	for (char *stage = strtok_r(stages, ",", &rest); stage;
	     stage = strtok_r(NULL, ",", &rest)) {
		size_t len = strlen(list);

		if (!strcmp(stage, "fastpath"))
			has_fastpath = true;
		else
			snprintf(list + len, sizeof(list) - len, "%s%s", len ? "," : "", stage);
	}
	a->is_fused = true;
	a->has_fastpath |= has_fastpath;
	if (!*list) {
		a->is_unknown |= !is_plain(m, ECBPF_FUSED_PRIO);
		return;
	}
	load_begin(a, m, ECBPF_FUSED_PRIO);
	fprintf(a->out, " --fused %s %s", list, a->iface);
}

static void stage_add(struct again *a, const struct note_member *m, const char *stage)
{
	size_t len = strlen(a->plain);
	int prio = ecbpf_stage_prio(stage);

	if (!strcmp(stage, "fastpath")) {
		a->has_fastpath = true;
		a->is_unknown |= !is_plain(m, prio);
	} else if (is_plain(m, prio)) {
		snprintf(a->plain + len, sizeof(a->plain) - len, " %s", stage);
	} else {
		load_begin(a, m, prio);
		fprintf(a->out, " %s %s", a->iface, stage);
	}
}

static void member_add(struct again *a, const struct note_member *m)
{
	const char *pin_path = strstr(m->spec, "\npin-path=");
	char stages[AGAIN_STAGES];

	if (ecbpf_again_stages(m, stages)) {
		fused_add(a, m, stages);
	} else if (!strncmp(m->spec, "file=", 5)) {
		load_begin(a, m, -1);
		if (pin_path)
			fprintf(a->out, " -p %.*s", (int)strcspn(pin_path + 10, "\n"),
				pin_path + 10);
		fprintf(a->out, " -n %s %s %.*s", m->name, a->iface,
			(int)strcspn(m->spec + 5, "\n"), m->spec + 5);
	} else {
		stage_add(a, m, stages);
	}
}

char *ecbpf_again(const char *iface, enum ecbpf_mode mode, const struct note_member *members,
		  size_t count)
{
	struct again a = {.iface = iface, .mode = mode};
	char *text = NULL;
	size_t size = 0;

	a.out = open_memstream(&text, &size);
	if (!a.out)
		return NULL;
	for (size_t i = 0; i < count; i++)
		member_add(&a, &members[i]);
	if (*a.plain) {
		command_begin(&a, "ecbpf-loader load");
		fprintf(a.out, " %s%s", iface, a.plain);
	}
	if (a.has_fastpath) {
		command_begin(&a,
			      a.is_fused ? "ecbpf-fastpath load --fused" : "ecbpf-fastpath load");
		fprintf(a.out, " -i %s", iface);
	}
	if (!fclose(a.out) && a.commands && !a.is_unknown)
		return text;
	free(text);
	return NULL;
}
