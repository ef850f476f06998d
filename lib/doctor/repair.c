// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands that repair a chain. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/loaded.h"
#include "bpf/xdp_link.h"
#include "chain/again.h"
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

/* As @m was loaded, from @loaded, which keeps the text. Return: is it known? */
static bool member_read(const struct ecbpf_member *m, struct loaded *loaded,
			struct note_member *ret)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(m->id);
	int err = fd < 0 ? -errno : ecbpf_loaded_read(fd, loaded);
	char head[96];

	if (err == -ENOENT && stage_of(m)) /* by another tool, which sets no constants */
		snprintf(loaded->spec, sizeof(loaded->spec), "stage=%s\n", stage_of(m));
	else if (err)
		return false;
	*ret = (struct note_member){.prio = m->prio, .actions = m->actions, .spec = loaded->spec};
	memcpy(ret->name, m->name, sizeof(ret->name));
	/* a stage that came from a file: its file may be of another version */
	if (stage_of(m) && !strncmp(loaded->spec, "file=", 5)) {
		size_t len = strcspn(loaded->spec, "\n"), head_len;

		head_len = snprintf(head, sizeof(head), "stage=%s", stage_of(m));
		if (head_len > len)
			return false;
		ret->spec = loaded->spec + len - head_len;
		memcpy(loaded->spec + len - head_len, head, head_len);
	}
	return true;
}

/* The commands that load its members again; NULL: they are not all known */
static char *chain_again(const struct ecbpf_chain *chain, enum ecbpf_mode mode)
{
	_cleanup_free_ struct loaded *loaded = calloc(DISPATCHER_MEMBERS, sizeof(*loaded));
	struct note_member members[DISPATCHER_MEMBERS];
	size_t count = chain->members_count;
	bool is_known = loaded && chain->kind != ECBPF_CHAIN_BROKEN && count <= DISPATCHER_MEMBERS;

	for (size_t i = 0; i < count && is_known; i++)
		is_known = member_read(&chain->members[i], &loaded[i], &members[i]);
	return is_known ? ecbpf_again(chain->iface, mode, members, count) : NULL;
}

static void fix_reload(struct ecbpf_finding *f, const struct ecbpf_chain *chain, const char *also,
		       enum ecbpf_mode mode)
{
	_cleanup_free_ char *load = chain_again(chain, mode);
	char command[ECBPF_XDP_REMOVE];

	snprintf(f->unload, sizeof(f->unload), "%s%s",
		 ecbpf_xdp_remove_command(chain->iface,
					  chain->members_count ? chain->members[0].id : 0, command),
		 also);
	if (load && strlen(f->unload) + 4 + strlen(load) < sizeof(f->fix))
		finding_fix(f, "%s && %s", f->unload, load);
	else
		finding_fix(f, "%s # then load its programs again", f->unload);
}

void doctor_fix_reload(struct ecbpf_finding *f, const struct ecbpf_chain *chain, const char *also)
{
	fix_reload(f, chain, also, chain->mode);
}

void doctor_fix_mode(struct ecbpf_finding *f, const struct ecbpf_chain *chain)
{
	fix_reload(f, chain, "", ECBPF_MODE_UNSPEC);
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
