// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fastpath: verb check */
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "tools/fastpath/fastpath.h"

/* Leases that IPVS does not agree with. The connections of IPVS are read before the leases */
struct check {
	size_t leases;
	struct ecbpf_fastpath_flow *wrong;
	size_t wrong_count;
	size_t wrong_room;
	bool is_ipvs_missing;
};

static void check_free(struct check *check)
{
	free(check->wrong);
}

static int check_add(void *data, const struct ecbpf_fastpath_flow *flow)
{
	struct check *check = data;

	check->leases += flow->lease_ms > 0 && !flow->is_dead;
	if (flow->agreement == ECBPF_NO_IPVS)
		check->is_ipvs_missing = true;
	if (flow->agreement != ECBPF_NO_ENTRY && flow->agreement != ECBPF_OTHER_SERVER)
		return 0;
	if (check->wrong_count == check->wrong_room) {
		check->wrong_room = 2 * check->wrong_room + 64;
		check->wrong = tool_alloc(check->wrong, check->wrong_room * sizeof(*check->wrong));
	}
	check->wrong[check->wrong_count++] = *flow;
	return 0;
}

/* By addresses, ports, protocol and where its packets go */
static int check_compare(const void *a, const void *b)
{
	const struct ecbpf_fastpath_flow *x = a, *y = b;
	int diff = memcmp(x, y, offsetof(struct ecbpf_fastpath_flow, is_dead));

	return diff ? diff : memcmp(&x->hop, &y->hop, sizeof(x->hop));
}

/*
 * Read again, and keep only leases that were wrong in both readings: the connections of IPVS are
 * not read atomically, and a new one may have been missed.
 */
static int check_again(struct tool *tool, struct check *check)
{
	struct check before TOOL_CLEANUP(check_free) = *check;
	size_t count = 0;

	*check = (struct check){};
	if (ecbpf_fastpath_flows(tool->ecbpf, NULL, check_add, check) < 0)
		return tool_fail_ecbpf(tool);
	qsort(before.wrong, before.wrong_count, sizeof(*before.wrong), check_compare);
	for (size_t i = 0; i < check->wrong_count; i++) {
		if (bsearch(&check->wrong[i], before.wrong, before.wrong_count,
			    sizeof(*before.wrong), check_compare))
			check->wrong[count++] = check->wrong[i];
	}
	check->wrong_count = count;
	return TOOL_OK;
}

static void check_print(const struct ecbpf_fastpath_flow *flow)
{
	printf("%s %s to %s: ", proto_text(flow->proto),
	       endpoint_text(flow->client, flow->client_port),
	       endpoint_text(flow->service, flow->service_port));
	printf("lease to %s, but IPVS %s%s\n", tool_safe(hop_text(&flow->hop)),
	       flow->agreement == ECBPF_NO_ENTRY ? "has no such connection" : "has it at ",
	       flow->agreement == ECBPF_NO_ENTRY ? "" : ipvs_text(flow));
}

/* Something is missing: into @faults, or onto a line if that is NULL */
static void fault_tell(struct json_object *faults, const char *text)
{
	if (faults)
		json_object_array_add(faults, json_object_new_string(text));
	else
		printf("%s\n", tool_safe(text));
}

/* Tell what is missing. Return: how many things */
static size_t check_status(const struct ecbpf_fastpath_status *status, struct json_object *faults)
{
	size_t wrong = 0, in = 0;

	if (!status->is_on) {
		fault_tell(faults, off_text);
		wrong++;
	}
	for (size_t i = 0; i < status->ports_count; i++) {
		const struct ecbpf_fastpath_port *port = &status->ports[i];

		in += port->is_in;
		if ((port->is_in || port->is_port) && !port->is_out) {
			fault_tell(faults, tool_str("%s: no TC program: packets that leave there "
						    "get no lease",
						    port->iface));
			wrong++;
		} else if (!port->is_port) {
			fault_tell(faults, tool_str("%s: packets are not forwarded to it; run "
						    "'ecbpf-fastpath refresh'",
						    port->iface));
			wrong++;
		}
	}
	if (!in) {
		fault_tell(faults, "no interface has the XDP program: nothing is forwarded");
		wrong++;
	}
	return wrong;
}

/* @faults: become the JSON's */
static void check_json(const struct check *check, struct json_object *faults)
{
	struct json_object *json = json_object_new_object(), *differ = json_object_new_array();

	for (size_t i = 0; i < check->wrong_count; i++)
		json_object_array_add(differ, flow_json(&check->wrong[i], true));
	json_object_object_add(json, "faults", faults);
	tool_json_num(json, "leases", check->leases);
	json_object_object_add(json, "differ", differ);
	tool_json_print(json);
}

static void faults_free(struct json_object **faults)
{
	json_object_put(*faults);
}

int run_check(struct tool *tool, int argc, char **argv)
{
	struct json_object *faults TOOL_CLEANUP(faults_free) = NULL;
	struct check check TOOL_CLEANUP(check_free) = {};
	struct ecbpf_fastpath_status *status;
	bool is_json = false;
	size_t wrong;

	if (tool_parse_json(tool, argc, argv, &is_json) || tool_operands_none(argc, argv))
		return TOOL_USAGE;
	if (ecbpf_fastpath_status(tool->ecbpf, &status))
		return tool_fail_ecbpf(tool);
	faults = is_json ? json_object_new_array() : NULL;
	wrong = check_status(status, faults);
	ecbpf_fastpath_status_free(status);
	if (ecbpf_fastpath_flows(tool->ecbpf, NULL, check_add, &check) < 0)
		return tool_fail_ecbpf(tool);
	if (check.is_ipvs_missing)
		return tool_fail("IPVS is not loaded, so leases cannot be checked");
	if (check.wrong_count && check_again(tool, &check))
		return TOOL_FAILED;
	if (is_json) {
		check_json(&check, json_object_get(faults));
	} else {
		for (size_t i = 0; i < check.wrong_count; i++)
			check_print(&check.wrong[i]);
		printf("%zu leases, %zu of them differ from IPVS\n", check.leases,
		       check.wrong_count);
	}
	return wrong || check.wrong_count ? TOOL_FAILED : TOOL_OK;
}
