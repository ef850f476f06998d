// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Samples published as messages on the bus */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>
#include <linux/bpf.h>
#include "tools/common/packet_sample.pb-c.h"
#include "tools/sampler/opener.h"
#include "tools/sampler/publish.h"

static void iface_read(struct publisher *p, struct publisher_iface *iface)
{
	const struct opener_request request = {
		.ask = OPENER_CHAIN, .ifindex = iface->index, .id = iface->chain_id};
	struct opener_reply reply;
	char name[IF_NAMESIZE];

	if (if_indextoname(iface->index, name))
		memcpy(iface->name, name, sizeof(name));
	if (opener_ask(p->opener, &request, &reply) || reply.id == iface->chain_id)
		return;
	iface->chain_id = reply.id;
	snprintf(iface->chain, sizeof(iface->chain), "%.*s", PUBLISHER_CHAIN_SIZE - 1, reply.text);
}

/* Interfaces are few, so a list will do. publisher_refresh() removes those that no longer exist. */
static const struct publisher_iface *iface_find(struct publisher *p, unsigned int index)
{
	struct publisher_iface *iface;

	for (size_t i = 0; i < p->ifaces_count; i++)
		if (p->ifaces[i].index == index)
			return &p->ifaces[i];
	p->ifaces = tool_alloc(p->ifaces, (p->ifaces_count + 1) * sizeof(*p->ifaces));
	iface = &p->ifaces[p->ifaces_count++];
	*iface = (struct publisher_iface){.index = index};
	iface_read(p, iface);
	return iface;
}

void publisher_refresh(struct publisher *p)
{
	char name[IF_NAMESIZE];
	size_t kept = 0;

	for (size_t i = 0; i < p->ifaces_count; i++) {
		if (!if_indextoname(p->ifaces[i].index, name))
			continue;
		p->ifaces[kept] = p->ifaces[i];
		iface_read(p, &p->ifaces[kept++]);
	}
	p->ifaces_count = kept;
}

static void fill_record(const struct ecbpf_record *from, Ecbpf__Record *to, uint32_t *tci)
{
	for (int i = 0; i < ECBPF_VLAN_MAX; i++)
		tci[i] = from->vlan_tci[i];
	to->vlan_tci = tci;
	to->n_vlan_tci = from->vlan_count <= ECBPF_VLAN_MAX ? from->vlan_count : 0;
	to->l3_len = from->l3_len;
	to->l3_off = from->l3_off;
	to->l4_off = from->l4_off;
	to->frag_off = from->frag_off;
	to->ethertype = ntohs(from->ethertype);
	to->ext_count = from->ext_count;
	to->sport = ntohs(from->sport);
	to->dport = ntohs(from->dport);
	to->ip_version = from->version;
	to->proto = from->proto;
	to->frag = from->frag;
	to->malformed = from->reason;
	to->flags = from->flags;
	to->tcp_flags = from->tcp_flags;
	to->icmp_type = from->icmp_type;
	to->icmp_code = from->icmp_code;
}

/* protobuf-c's structs have no const, but it does not write through them. */
static char *text(const char *string)
{
	return (char *)(string ? string : "");
}

/*
 * The topic is the first part of the message. libzmq silently skips a subscriber whose queue is
 * full. To count that, the first attempt asks it to refuse the message for all subscribers instead;
 * the second attempt sends it to those that have room.
 */
static int send_topic(struct publisher *p, const char *topic)
{
	int refuse = 1, err;

	zmq_setsockopt(p->bus.socket, ZMQ_XPUB_NODROP, &refuse, sizeof(refuse));
	err = zmq_send(p->bus.socket, topic, strlen(topic), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ? errno
											    : 0;
	refuse = 0;
	zmq_setsockopt(p->bus.socket, ZMQ_XPUB_NODROP, &refuse, sizeof(refuse));
	if (err != EAGAIN)
		return -err;
	ecbpf_sampler_stats(p->reader)->queue_full++;
	return zmq_send(p->bus.socket, topic, strlen(topic), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0
		       ? -errno
		       : 0;
}

static int publish_message(struct publisher *p, const char *topic,
			   const Ecbpf__PacketSample *sample)
{
	size_t size = ecbpf__packet_sample__get_packed_size(sample);
	zmq_msg_t message;
	int err;

	if (zmq_msg_init_size(&message, size))
		return -errno;
	ecbpf__packet_sample__pack(sample, zmq_msg_data(&message));
	err = send_topic(p, topic);
	if (!err && zmq_msg_send(&message, p->bus.socket, ZMQ_DONTWAIT) < 0) {
		err = -errno;
		/* end the message that the topic began, or the next one becomes part of it */
		zmq_send(p->bus.socket, "", 0, ZMQ_DONTWAIT);
	}
	zmq_msg_close(&message);
	return err ? err : (int)size;
}

int publisher_send(void *data, int cpu, const struct ecbpf_sample *s, const void *packet)
{
	__u32 action = s->action < ECBPF_ACTION_INVALID ? s->action : ECBPF_ACTION_INVALID;
	Ecbpf__PacketSample sample = ECBPF__PACKET_SAMPLE__INIT;
	Ecbpf__Record record = ECBPF__RECORD__INIT;
	uint32_t tci[ECBPF_VLAN_MAX];
	struct publisher *p = data;
	const struct publisher_iface *iface = iface_find(p, s->ifindex);

	fill_record(&s->record, &record, tci);
	sample.version = BUS_VERSION;
	sample.host = p->host;
	sample.publisher = p->id;
	sample.bus_seq = p->sent[action]++;
	sample.interface = text(tool_safe(iface->name)); /* protobuf wants UTF-8 */
	sample.ifindex = s->ifindex;
	sample.queue = s->queue;
	sample.cpu = cpu;
	sample.time_ns = s->time_ns + p->time_offset;
	sample.kernel_time_ns = s->time_ns;
	sample.rate = s->rate;
	sample.seq = s->seq;
	sample.lost = s->lost;
	sample.action = s->action;
	sample.program = s->stage;
	sample.program_name = text(ecbpf_stage_name(s->stage));
	sample.reason = s->reason;
	sample.reason_name = text(s->reason ? ecbpf_reason_name(s->reason) : NULL);
	sample.rule = s->rule;
	sample.chain_id = iface->chain_id;
	sample.chain = text(iface->chain);
	sample.length = s->record.frame_len;
	sample.packet = (ProtobufCBinaryData){.len = s->cap_len, .data = (void *)packet};
	sample.record = &record;
	return publish_message(p, ecbpf_action_name(action), &sample);
}

void publisher_free(struct publisher *p)
{
	free(p->ifaces);
}
