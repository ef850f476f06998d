// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Status of the fast path.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/error.h"
#include "core/handle.h"
#include "fastpath/fastpath.h"

struct status_count {
	struct ecbpf_fastpath_status *status;
	__u32 inactive_ms;
};

int ecbpf_fastpath_state(struct ecbpf *e, bool *ret_is_on, __u32 *ret_groups)
{
	_cleanup_view_ struct ecbpf_view settings = {};
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1, excludes = -1, services = -1;
	int err;

	err = fastpath_settings_open(e, &settings);
	if (err)
		return err;
	fd = fastpath_map_open(e, "fastpath_flows", &info);
	if (fd < 0)
		return fd;
	/* a load that was killed has not made all maps: it is not loaded */
	excludes = fastpath_map_open(e, "fastpath_exclude", NULL);
	if (excludes < 0)
		return excludes;
	services = fastpath_map_open(e, "fastpath_udp", NULL);
	if (services < 0)
		return services;
	*ret_is_on = ((const struct ecbpf_fastpath *)settings.at)->groups;
	*ret_groups = info.max_entries;
	return 0;
}

static int status_count(void *data, struct ecbpf_flow *slot, const struct ecbpf_fastpath_flow *flow)
{
	const struct status_count *count = data;

	(void)slot;
	if (flow->lease_ms > 0 && flow->is_dead)
		count->status->dead++;
	else if (flow->lease_ms > 0)
		count->status->flows++;
	else if (-flow->lease_ms < count->inactive_ms)
		count->status->idle++;
	return 0;
}

static int status_fill(struct ecbpf *e, const struct fastpath_table *table,
		       struct ecbpf_fastpath_status *status)
{
	struct ecbpf_fastpath_settings settings = {};
	struct status_count count = {.status = status};
	_cleanup_free_ struct ecbpf_prefix *prefixes = NULL;
	size_t prefixes_count = 0;
	int err;

	status->capacity = ecbpf_fastpath_capacity(table->flows.entries);
	status->bytes =
		table->flows.size + (__u64)table->flows.entries * sizeof(struct ecbpf_flow_tags) +
		ECBPF_PENDINGS * sizeof(struct ecbpf_pending) + ECBPF_SHIELD_SEEN * sizeof(__u32) +
		ECBPF_SHIELD_GROUPS * sizeof(struct ecbpf_bucket_group) +
		ECBPF_HOPS * sizeof(struct ecbpf_hop_entry);
	while (status->hops + 1 < ECBPF_HOPS && table->hops[status->hops + 1].hop.ifindex)
		status->hops++;
	status->is_on = ((const struct ecbpf_fastpath *)table->settings.at)->groups;
	fastpath_settings_read(table->settings.at, &settings);
	count.inactive_ms = settings.inactive_ms;
	fastpath_table_walk(table, NULL, status_count, &count);
	err = fastpath_egress_read(e, &status->egress);
	if (!err)
		err = ecbpf_fastpath_exclude_list(e, &prefixes, &prefixes_count);
	if (err)
		return err;
	status->excluded = prefixes_count;
	return ecbpf_fastpath_ports(e, &status->ports, &status->ports_count);
}

int ecbpf_fastpath_status(struct ecbpf *e, struct ecbpf_fastpath_status **ret_status)
{
	CLEANUP(fastpath_table_close) struct fastpath_table table = {};
	struct ecbpf_fastpath_status *status;
	int err;

	ecbpf_capture(e);
	err = fastpath_table_open(e, NULL, &table);
	if (err)
		return err;
	status = calloc(1, sizeof(*status));
	if (!status)
		return ecbpf_fail_memory(e);
	err = status_fill(e, &table, status);
	if (err)
		ecbpf_fastpath_status_free(status);
	else
		*ret_status = status;
	return err;
}

void ecbpf_fastpath_status_free(struct ecbpf_fastpath_status *status)
{
	if (!status)
		return;
	free(status->ports);
	free(status);
}

int ecbpf_fastpath_diagnose(struct ecbpf *e, struct fastpath_diagnosis *ret_diagnosis)
{
	_cleanup_view_ struct ecbpf_view view = {};
	struct fastpath_diagnosis diagnosis = {};
	const struct ecbpf_fastpath *f;
	struct bpf_map_info info;
	int err;

	err = fastpath_settings_open(e, &view);
	if (err)
		return err;
	f = view.at;
	diagnosis.is_on = f->groups;
	fastpath_settings_read(f, &diagnosis.settings);
	err = fastpath_map_open(e, "fastpath_flows", &info);
	if (err >= 0) {
		close(err);
		diagnosis.megabytes = (__u64)info.max_entries * info.value_size >> 20;
	}
	err = fastpath_settings_check_ipvs(e, &diagnosis.settings, &diagnosis.better);
	diagnosis.is_unfit = err == -EINVAL;
	if (err && !diagnosis.is_unfit)
		return err;
	if (diagnosis.is_unfit)
		snprintf(diagnosis.text, sizeof(diagnosis.text), "%.255s", e->error);
	err = ecbpf_fastpath_ports(e, &diagnosis.ports, &diagnosis.ports_count);
	if (!err)
		*ret_diagnosis = diagnosis;
	return err;
}
