// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verb doctor */
#include <stdio.h>
#include <stdlib.h>
#include <json-c/json.h>
#include <ecbpf/libecbpf-config.h>
#include "tools/loader/loader.h"

static const char *severity_name(enum ecbpf_severity severity)
{
	switch (severity) {
	case ECBPF_OK:
		return "ok";
	case ECBPF_NOTE:
		return "note";
	case ECBPF_WARNING:
		return "warning";
	default:
		return "error";
	}
}

static void json_findings(const struct ecbpf_finding *findings, size_t count)
{
	struct json_object *json = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		struct json_object *entry = json_object_new_object();

		tool_json_str(entry, "severity", severity_name(findings[i].severity));
		tool_json_str(entry, "interface", findings[i].iface[0] ? findings[i].iface : NULL);
		tool_json_str(entry, "code", findings[i].code);
		tool_json_str(entry, "what", findings[i].what);
		tool_json_str(entry, "why", findings[i].why);
		tool_json_str(entry, "fix", findings[i].fix);
		json_object_array_add(json, entry);
	}
	tool_json_print(json);
}

static void print_findings(const struct ecbpf_finding *findings, size_t count)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 3, .align = "lll"};
	size_t shown = 0;

	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_finding *f = &findings[i];
		struct tool_list *cells = &table.cells;
		char text[sizeof(f->what) + sizeof(f->why) + sizeof(f->fix) + 16];

		if (f->severity == ECBPF_OK && !tool_verbosity())
			continue;
		snprintf(text, sizeof(text), "%s%s%s%s%s", f->what, f->why[0] ? " -- " : "", f->why,
			 f->fix[0] ? " -- fix: " : "", f->fix);
		tool_list_add(cells, severity_name(f->severity));
		tool_list_add(cells, f->iface[0] ? f->iface : "host");
		tool_list_add(cells, text);
		shown++;
	}
	tool_table_print(&table, "");
	if (!shown)
		printf("no problem found in %zu check%s; -v lists them\n", count,
		       count == 1 ? "" : "s");
}

/* The worst first, and then the host; what is alike stays in its order */
static bool is_before(const struct ecbpf_finding *a, const struct ecbpf_finding *b)
{
	if (a->severity != b->severity)
		return a->severity > b->severity;
	return !a->iface[0] && b->iface[0];
}

/* Put @more into @findings, which is sorted. Return: all of them, for free() */
static struct ecbpf_finding *merge(struct ecbpf_finding *findings, size_t count,
				   const struct ecbpf_finding *more, size_t more_count)
{
	findings = tool_alloc(findings, (count + more_count + 1) * sizeof(*findings));
	for (size_t i = 0; i < more_count; i++, count++) {
		size_t to = count;

		for (; to && is_before(&more[i], &findings[to - 1]); to--)
			findings[to] = findings[to - 1];
		findings[to] = more[i];
	}
	return findings;
}

int loader_run_doctor(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	struct ecbpf_finding *findings, *more;
	size_t count, more_count;
	int status = TOOL_OK;
	bool is_json = false;

	if (tool_parse_json(tool, argc, argv, &is_json) ||
	    tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (ecbpf_doctor(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count, &findings,
			 &count))
		return tool_fail_ecbpf(tool);
	if (ecbpf_declared_check(tool->ecbpf, (const char *const *)ifaces.items, ifaces.count,
				 false, &more, &more_count)) {
		free(findings);
		return tool_fail_ecbpf(tool);
	}
	if (ecbpf_declared_advise(tool->ecbpf, findings, count)) {
		free(findings);
		free(more);
		return tool_fail_ecbpf(tool);
	}
	findings = merge(findings, count, more, more_count);
	count += more_count;
	free(more);
	for (size_t i = 0; i < count; i++)
		if (findings[i].severity == ECBPF_ERROR)
			status = TOOL_FAILED;
	if (is_json)
		json_findings(findings, count);
	else
		print_findings(findings, count);
	free(findings);
	return status;
}
