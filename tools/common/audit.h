/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An entry in the systemd journal for each change.
 *
 * Who and which process the journal finds out by itself (_PID, _UID, _AUDIT_LOGINUID); that is
 * repeated in fields of ours, as the process may have ended before the journal looks at it.
 */
#ifndef ECBPF_TOOLS_AUDIT_H
#define ECBPF_TOOLS_AUDIT_H

#include <stddef.h>

/* Of all entries */
#define AUDIT_MESSAGE_ID "b0f5a9962542408a811bcdb0e4aa4785"

/**
 * struct audit - a change that was made, or tried
 * @tool: "ecbpf-filter"
 * @verb: "drop add"
 * @what: operands and options, as given; ""
 * @ifaces: interfaces that it was for
 * @result: "changed", "unchanged" or "failed"
 * @text: what was changed, or why it failed; ""
 */
struct audit {
	const char *tool;
	const char *verb;
	const char *what;
	char *const *ifaces;
	size_t ifaces_count;
	const char *result;
	const char *text;
};

/* Nothing, if there is no journal, or if this is built without it. Control characters are shown as
 * text, see safe.h */
void audit_write(const struct audit *audit);

#endif /* ECBPF_TOOLS_AUDIT_H */
