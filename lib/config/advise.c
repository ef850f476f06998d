// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The doctor's advice, where a configuration declares the interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/declared.h"
#include "core/finding.h"

static bool is_declared(const struct conf_declared *declared, const char *iface)
{
	for (size_t i = 0; i < declared->count; i++)
		if (declared->items[i].by_file && !strcmp(declared->items[i].iface, iface))
			return true;
	return false;
}

/*
 * What a configuration declares is loaded again by who keeps it, or by apply, which has its rules
 * and lists, too, and replaces programs without a gap
 */
static void advise(struct ecbpf_finding *f, bool is_watched)
{
	if (!strcmp(f->code, "other-maps"))
		finding_fix(f, "ecbpf-loader %s", is_watched ? "watch --reload" : "apply");
	else if (*f->unload)
		finding_fix(f, "%s%s", f->unload, is_watched ? "" : " && ecbpf-loader apply");
}

int ecbpf_declared_advise(struct ecbpf *e, struct ecbpf_finding *findings, size_t count)
{
	struct conf_declared declared = {};
	struct ecbpf_watch_state state = {};
	bool is_watched;
	int err;

	err = ecbpf_declared_read(e, &declared.items, &declared.count);
	if (err)
		return err;
	/* apply, and --reload, too, would remove what was added besides */
	for (size_t i = 0; i < declared.count; i++)
		if (declared.items[i].is_attached && !declared.items[i].by_file)
			count = 0;
	is_watched = !ecbpf_watch_read(e, &state) && state.pid;
	for (size_t i = 0; i < count; i++)
		if (is_declared(&declared, findings[i].iface))
			advise(&findings[i], is_watched);
	ecbpf_watch_state_free(&state);
	free(declared.items);
	return 0;
}
