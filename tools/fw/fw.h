/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ecbpf-fw: what its verbs share. */
#ifndef ECBPF_TOOLS_FW_H
#define ECBPF_TOOLS_FW_H

#include <ecbpf/libecbpf-fw.h>
#include "tools/common/common.h"

#define FW_FILE_OPTION                                            \
	{                                                         \
		'f', "file", "FILE", "rules; - is standard input" \
	}

/* --- rules.c, load.c ------------------------------------------------------------------------ */

/* The live rules and sets, but not what is in the sets, which can be long. Return: 0 or TOOL_FAILED
 */
int fw_live_rules(const struct tool *tool, struct ecbpf_fw_ruleset **ret_ruleset);
/* Return: 0, or TOOL_FAILED with all errors reported */
int fw_read_rules(const struct tool *tool, const char *file, struct ecbpf_fw_ruleset **ret_ruleset);
/* -f FILE and options of lists. Return: 0 or TOOL_USAGE */
int fw_file_option(struct tool *tool, int id, const char **ret_file);
/* For messages */
const char *fw_file_name(const char *file);
/* A file was given, and no operands */
int fw_file_only(int argc, char **argv, const char *file);
int fw_print_rules(const struct tool *tool, const struct ecbpf_fw_ruleset *ruleset);
/* For TOOL_CLEANUP() */
void fw_free_ruleset(struct ecbpf_fw_ruleset **ruleset);
void fw_free_text(char **text);

/* --- confirm.c ------------------------------------------------------------------------------ */

#define FW_CONFIRM (TOOL_LONG_ONLY + 50)
#define FW_CONFIRM_OPTION                                                                 \
	{                                                                                 \
		FW_CONFIRM, "confirm", "TIME",                                            \
			"go back after TIME (60s, 5m) if 'ecbpf-fw confirm' is not typed" \
	}
/* Return: 0 or TOOL_USAGE */
int fw_confirm_option(const struct tool *tool, const char *text);
/* @what changes nothing. Return: 0; TOOL_USAGE --confirm was given */
int fw_confirm_refuse(const char *what);
/* The rules were changed: say until when */
void fw_confirm_tell(void);
const char *fw_panic_name(enum ecbpf_fw_panic panic);

/* --- gate.c --------------------------------------------------------------------------------- */

/* "CAPTURE", "CAPTURE:max-dropped 0.1%". Return: 0 or TOOL_USAGE */
int fw_gate_option(const char *text);
/* NULL: none was given */
const char *fw_gate_file(void);
/* Do the rules drop too much of the capture? Return: 0; TOOL_FAILED, with the packets by rule */
int fw_gate(struct tool *tool, const struct ecbpf_fw_ruleset *ruleset, bool is_json);

/* --- the verbs, a file for each ------------------------------------------------------------- */

extern const struct tool_option fw_apply_options[], fw_check_options[], fw_confirm_options[],
	fw_load_options[], fw_rule_options[], fw_set_options[], fw_stats_options[],
	fw_status_options[], fw_test_options[], fw_unload_options[];
int fw_run_apply(struct tool *tool, int argc, char **argv);
int fw_run_check(struct tool *tool, int argc, char **argv);
int fw_run_confirm(struct tool *tool, int argc, char **argv);
int fw_run_load(struct tool *tool, int argc, char **argv);
int fw_run_panic(struct tool *tool, int argc, char **argv);
int fw_run_rule(struct tool *tool, int argc, char **argv);
int fw_run_set(struct tool *tool, int argc, char **argv);
int fw_run_stats(struct tool *tool, int argc, char **argv);
int fw_run_status(struct tool *tool, int argc, char **argv);
int fw_run_test(struct tool *tool, int argc, char **argv);
int fw_run_undo(struct tool *tool, int argc, char **argv);
int fw_run_unload(struct tool *tool, int argc, char **argv);

#endif /* ECBPF_TOOLS_FW_H */
