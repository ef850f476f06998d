// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands that repair a chain. */
#include <stdio.h>
#include <string.h>
#include "chain/dispatcher.h"
#include "core/handle.h"
#include "doctor/doctor.h"

/* The stage of a member that is one stage alone; NULL: not ours, or fused */
static const char *stage_of(const struct ecbpf_member *m)
{
	return m->stages_count == 1 ? ecbpf_stage_name(m->stages[0].stage) : NULL;
}

static size_t count_stage(const struct ecbpf_chain *chain, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < chain->members_count; i++) {
		const char *stage = stage_of(&chain->members[i]);

		count += stage && !strcmp(stage, name);
	}
	return count;
}

/* Would a plain `load STAGE` make this member? */
static bool is_plain(const struct ecbpf_member *m)
{
#define X(value, NAME, name, run_prio, text)                                       \
	if (stage_of(m) && m->stages[0].stage == (value) && m->prio == (run_prio)) \
		return m->actions == 1U << XDP_PASS;
	ECBPF_STAGES(X)
#undef X
	return false;
}

void doctor_fix_reload(struct ecbpf_finding *f, const struct ecbpf_chain *chain, const char *also)
{
	bool known = chain->kind == ECBPF_CHAIN_DISPATCHER;
	char stages[sizeof(f->fix)] = "";

	snprintf(f->unload, sizeof(f->unload), "ecbpf-loader unload --all %s%s", chain->iface,
		 also);

	for (size_t i = 0; i < chain->members_count && known; i++) {
		known = is_plain(&chain->members[i]);
		if (known)
			doctor_append(stages, sizeof(stages), " %s", stage_of(&chain->members[i]));
	}
	if (known)
		finding_fix(f, "%s && ecbpf-loader load %s%s", f->unload, chain->iface, stages);
	else
		finding_fix(f, "%s # then load its programs again", f->unload);
}

/* Any change exchanges the dispatcher: load and unload a stage that has no settings */
void doctor_fix_rebuild(const struct doctor *d, struct ecbpf_finding *f,
			const struct ecbpf_chain *chain)
{
	static const char *const stages[] = {"pass", "count"};
	bool can_change = d->protocol == chain->protocol && !d->has_other_schema;

	for (size_t i = 0; i < ARRAY_SIZE(stages) && can_change; i++) {
		size_t count = count_stage(chain, stages[i]);

		if (count == 1) {
			finding_fix(f, "ecbpf-loader replace %s %s %s", chain->iface, stages[i],
				    stages[i]);
			return;
		}
		if (!count && chain->members_count < DISPATCHER_MEMBERS) {
			finding_fix(f,
				    "ecbpf-loader load %s %s && ecbpf-loader unload %s --name %s",
				    chain->iface, stages[i], chain->iface, stages[i]);
			return;
		}
	}
	doctor_fix_reload(f, chain, "");
}
