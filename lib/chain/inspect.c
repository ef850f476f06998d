// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf_chain_get(): describes the programs of an interface. */
#include "config.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/metadata.h"
#include "chain/counters.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"

/* The kernel counts from boot */
static __u64 load_time(const struct bpf_prog_info *info)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return ((real.tv_sec - boot.tv_sec) * 1000000000LL + real.tv_nsec - boot.tv_nsec +
		(long long)info->load_time) /
	       1000000000LL;
}

static int member_inspect(struct ecbpf *e, const struct live *live, const struct member *m,
			  struct ecbpf_member *ret)
{
	struct bpf_prog_info info = {};
	struct btf *btf;
	int err;

	err = ecbpf_prog_info(m->fd, &info);
	if (!err)
		err = ecbpf_prog_btf(&info, &btf);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", m->name, strerror(-err));
	memcpy(ret->name, m->name, sizeof(ret->name));
	ret->id = info.id;
	memcpy(ret->tag, info.tag, sizeof(ret->tag));
	ret->prio = m->prio;
	ret->actions = m->actions;
	ret->load_time_s = load_time(&info);
	ret->has_link = live->kind == ECBPF_CHAIN_SINGLE;
	ret->schema = ecbpf_btf_schema(btf);
	btf__free(btf);
	ret->is_ours = ret->schema;
	if (ret->schema != ECBPF_SCHEMA)
		return 0;
	return ecbpf_counters_read(e, m->fd, ret);
}

/* The dispatcher's own fields */
static int dispatcher_inspect(struct ecbpf *e, const struct live *live, struct ecbpf_chain *chain)
{
	struct bpf_prog_info info = {};
	struct btf *btf;
	__u32 number;
	int err;

	err = ecbpf_prog_info(live->fd, &info);
	if (!err)
		err = ecbpf_prog_btf(&info, &btf);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", chain->iface, strerror(-err));
	chain->id = info.id;
	memcpy(chain->tag, info.tag, sizeof(chain->tag));
	snprintf(chain->name, sizeof(chain->name), "%s", info.name);
	chain->protocol = live->config.dispatcher_version;
	chain->has_frags = live->config.is_xdp_frags;
	chain->is_ours = ecbpf_btf_number(btf, "xdp_metadata", "ecbpf_dispatcher", &number);
	btf__free(btf);
	return 0;
}

static int members_inspect(struct ecbpf *e, const struct live *live, struct ecbpf_chain *chain)
{
	char path[PATH_MAX];
	int err, found;

	for (size_t slot = 0; slot < live->count; slot++) {
		err = member_inspect(e, live, &live->members[slot], &chain->members[slot]);
		if (err)
			return err;
		chain->members_count++;
		if (live->kind == ECBPF_CHAIN_SINGLE)
			continue;
		err = ecbpf_member_path(e, path, sizeof(path), chain->ifindex, live->id, slot,
					"link");
		if (err)
			return err;
		found = ecbpf_is_there(e, path);
		if (found < 0)
			return found;
		chain->members[slot].has_link = found;
	}
	return 0;
}

int ecbpf_chain_get(struct ecbpf *e, const char *iface, struct ecbpf_chain **ret_chain)
{
	struct live live = {.fd = -1};
	struct ecbpf_chain *chain;
	int err, ifindex;

	err = ecbpf_live_open(e, iface, &ifindex, &live);
	if (err)
		return err;
	chain = calloc(1, sizeof(*chain));
	if (chain)
		chain->members = calloc(DISPATCHER_MEMBERS, sizeof(*chain->members));
	if (!chain || !chain->members) {
		err = ecbpf_fail_memory(e);
		goto out;
	}
	snprintf(chain->iface, sizeof(chain->iface), "%s", iface);
	chain->ifindex = ifindex;
	chain->kind = live.id ? live.kind : ECBPF_CHAIN_NONE;
	chain->mode = live.mode;
	if (live.id && live.kind != ECBPF_CHAIN_SINGLE)
		err = dispatcher_inspect(e, &live, chain);
	if (!err)
		err = members_inspect(e, &live, chain);
	if (err)
		goto out;
	*ret_chain = chain;
	chain = NULL;
out:
	ecbpf_chain_free(chain);
	ecbpf_live_close(&live);
	return err;
}

int ecbpf_chain_has_stage(struct ecbpf *e, const char *iface, __u32 stage, bool *ret_has)
{
	struct ecbpf_chain *chain;
	int err;

	err = ecbpf_chain_get(e, iface, &chain);
	if (err)
		return err;
	*ret_has = false;
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t j = 0; j < member->stages_count; j++)
			*ret_has |= member->stages[j].stage == stage;
	}
	ecbpf_chain_free(chain);
	return 0;
}

void ecbpf_chain_free(struct ecbpf_chain *chain)
{
	if (!chain)
		return;
	free(chain->members);
	free(chain);
}
