// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A warning that what is taken away comes back, see watched.h */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <ecbpf/libecbpf-config.h>
#include "tools/common/watched.h"

/* Is one of these declared? @ifaces NULL: all are meant */
static bool is_declared(struct tool *tool, const struct tool_list *ifaces)
{
	struct ecbpf_declared *declared = NULL;
	bool is_found = !ifaces;
	size_t count = 0;

	if (ifaces && ecbpf_declared_read(tool->ecbpf, &declared, &count))
		return true; /* in doubt */
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < ifaces->count; k++)
			is_found |=
				declared[i].by_file && !strcmp(declared[i].iface, ifaces->items[k]);
	free(declared);
	return is_found;
}

void tool_warn_watched(struct tool *tool, const char *file, const struct tool_list *ifaces)
{
	struct ecbpf_watch_state state;
	char path[PATH_MAX];

	if (ecbpf_watch_read(tool->ecbpf, &state))
		return;
	if (file && *file && realpath(file, path))
		file = path;
	if (state.pid && (!file || strcmp(file, state.file)) && is_declared(tool, ifaces))
		tool_warn("warning: process %d (ecbpf-loader watch) keeps what %s declares, and "
			  "brings it back; to end that: systemctl stop ecbpf, or kill -INT %d",
			  state.pid, *state.file ? state.file : "ecbpf.conf", state.pid);
	ecbpf_watch_state_free(&state);
}
