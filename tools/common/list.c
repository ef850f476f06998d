// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Prefixes that are operands, or in a file, see list.h. */
#include <errno.h>
#include "tools/common/list.h"

int tool_list_read(struct tool *tool, const char *file, int argc, char **argv, unsigned int flags,
		   struct ecbpf_list *ret_list)
{
	int err;

	if (file && argc)
		return tool_usage("'%s': prefixes and -f FILE cannot be combined", argv[0]);
	if (!file && !argc)
		return tool_usage("missing prefixes, or -f FILE");
	if (file)
		return ecbpf_list_read(tool->ecbpf, file, 0, flags, ret_list)
			       ? tool_fail_ecbpf(tool)
			       : 0;
	err = ecbpf_list_parse_words(tool->ecbpf, (const char *const *)argv, argc, 0, ret_list);
	if (err == -ENOMEM)
		return tool_fail_ecbpf(tool);
	return err ? tool_usage("%s", ecbpf_error(tool->ecbpf)) : 0;
}

struct ecbpf_prefix *tool_list_prefixes(const struct ecbpf_list *list)
{
	struct ecbpf_prefix *prefixes = tool_alloc(NULL, (list->count + 1) * sizeof(*prefixes));

	for (size_t i = 0; i < list->count; i++)
		prefixes[i] = list->entries[i].prefix;
	return prefixes;
}

const char *tool_prefix(const struct ecbpf_prefix *prefix)
{
	char text[ECBPF_PREFIX_TEXT];

	ecbpf_prefix_format(prefix, text);
	return tool_str("%s", text);
}
