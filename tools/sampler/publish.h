/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Samples published as messages on the bus, see ecbpf-sample(5) */
#ifndef ECBPF_TOOLS_SAMPLER_PUBLISH_H
#define ECBPF_TOOLS_SAMPLER_PUBLISH_H

#include <net/if.h>
#include <ecbpf/libecbpf-sampler.h>
#include "tools/common/bus.h"

#define PUBLISHER_CHAIN_SIZE 192

struct publisher_iface {
	unsigned int index;
	char name[IF_NAMESIZE];
	__u32 chain_id;
	char chain[PUBLISHER_CHAIN_SIZE];
};

struct publisher {
	int opener; /* whom to ask for chains */
	struct bus bus;
	struct ecbpf_sampler_reader *reader; /* whose statistics count full queues */
	struct publisher_iface *ifaces;
	size_t ifaces_count;
	char host[256];
	__u64 id; /* of this run */
	__u64 sent[ECBPF_ACTION_MAX];
	long long time_offset; /* from CLOCK_MONOTONIC to 1970 */
};

/* Callback of ecbpf_sampler_read(): publish one sample; @data: struct publisher */
int publisher_send(void *data, int cpu, const struct ecbpf_sample *s, const void *packet);

/* Read the names and chains of the interfaces again */
void publisher_refresh(struct publisher *p);
void publisher_free(struct publisher *p);

#endif /* ECBPF_TOOLS_SAMPLER_PUBLISH_H */
