// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which samples the options of ecbpf-pcap select */
#include <string.h>
#include <ecbpf/libecbpf.h>
#include "tools/pcap/filter.h"

int filter_compile(struct filter *filter, const char *expression)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SAMPLE_MESSAGE_MAX);
	int err = 0;

	if (!pcap)
		return tool_fail("out of memory");
	if (pcap_compile(pcap, &filter->program, expression, 1, PCAP_NETMASK_UNKNOWN))
		err = tool_usage("'%s': %s", expression, pcap_geterr(pcap));
	else
		filter->is_compiled = true;
	pcap_close(pcap);
	return err;
}

/* An empty list takes all; names are compared, and numbers */
static bool list_takes(const struct tool_list *list, const char *name, uint32_t number)
{
	const char *text = tool_str("%u", number);

	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], name) || !strcmp(list->items[i], text))
			return true;
	return !list->count;
}

bool filter_takes(const struct filter *filter, const struct pcap_options *o,
		  const Ecbpf__PacketSample *s)
{
	const struct pcap_pkthdr head = {.caplen = s->packet.len, .len = s->length};

	if (o->actions && (s->action >= ECBPF_ACTION_INVALID || !(o->actions & 1U << s->action)))
		return false;
	return list_takes(&o->programs, s->program_name, s->program) &&
	       list_takes(&o->reasons, s->reason ? s->reason_name : "none", s->reason) &&
	       list_takes(&o->ifaces, s->interface, s->ifindex) &&
	       (!filter->is_compiled ||
		pcap_offline_filter(&filter->program, &head, s->packet.data));
}

void filter_free(struct filter *filter)
{
	if (filter->is_compiled)
		pcap_freecode(&filter->program);
}
