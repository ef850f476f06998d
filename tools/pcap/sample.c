// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Samples as they come from the bus, see sample.h */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <ecbpf/libecbpf.h>
#include "tools/common/bus.h"
#include "tools/common/safe.h"
#include "tools/pcap/sample.h"

#define NSEC_PER_SEC 1000000000ULL

/* Unpacked messages: from here, so that no message can make the process grow */
static char arena[4 * SAMPLE_MESSAGE_MAX] __attribute__((aligned(16)));
static size_t arena_used;

static void *arena_alloc(void *data, size_t size)
{
	void *p = arena + arena_used;

	(void)data;
	size = (size + 15) & ~(size_t)15;
	if (size > sizeof(arena) - arena_used)
		return NULL;
	arena_used += size;
	return p;
}

static void arena_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

/* Texts are shown on terminals, and stand in files that others read */
static bool make_safe(char **text)
{
	const char *safe = tool_safe(*text);
	size_t len = strlen(safe);

	if (strlen(*text) > SAMPLE_TEXT_MAX)
		return false;
	if (len > SAMPLE_TEXT_MAX)
		len = SAMPLE_TEXT_MAX;
	*text = arena_alloc(NULL, len + 1);
	if (!*text)
		return false;
	memcpy(*text, safe, len);
	(*text)[len] = '\0';
	return true;
}

const Ecbpf__PacketSample *sample_decode(const void *bytes, size_t size)
{
	static ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free};
	static Ecbpf__Record no_record = ECBPF__RECORD__INIT;
	Ecbpf__PacketSample *s;

	arena_used = 0;
	if (size > SAMPLE_MESSAGE_MAX)
		return NULL;
	s = ecbpf__packet_sample__unpack(&allocator, size, bytes);
	if (!s || s->version != BUS_VERSION || s->packet.len > s->length)
		return NULL;
	if (!make_safe(&s->host) || !make_safe(&s->interface) || !make_safe(&s->program_name) ||
	    !make_safe(&s->reason_name) || !make_safe(&s->chain))
		return NULL;
	if (!s->record)
		s->record = &no_record;
	return s;
}

void sample_addresses(const Ecbpf__PacketSample *s, struct sample_addresses *ret)
{
	const Ecbpf__Record *record = s->record;
	size_t off = record->l3_off, len = s->packet.len;

	*ret = (struct sample_addresses){};
	if (record->ip_version == 4 && off <= len && len - off >= 20) {
		ret->family = AF_INET;
		memcpy(&ret->source, s->packet.data + off + 12, 4);
		memcpy(&ret->destination, s->packet.data + off + 16, 4);
	} else if (record->ip_version == 6 && off <= len && len - off >= 40) {
		ret->family = AF_INET6;
		memcpy(&ret->source, s->packet.data + off + 8, 16);
		memcpy(&ret->destination, s->packet.data + off + 24, 16);
	}
}

void sample_verdict_text(const Ecbpf__PacketSample *s, char *ret, size_t size)
{
	const char *action = ecbpf_action_name(s->action);
	size_t used;

	used = action ? snprintf(ret, size, "%s", action) : snprintf(ret, size, "%u", s->action);
	if (used < size && *s->program_name)
		used += snprintf(ret + used, size - used, " %s", s->program_name);
	else if (used < size)
		used += snprintf(ret + used, size - used, " stage-%u", s->program);
	if (used < size && s->rule)
		used += snprintf(ret + used, size - used, ", rule %u", s->rule);
	if (used < size && *s->reason_name)
		snprintf(ret + used, size - used, ": %s", s->reason_name);
	else if (used < size && s->reason)
		snprintf(ret + used, size - used, ": reason %u", s->reason);
}

static void print_time(FILE *file, uint64_t time_ns)
{
	time_t seconds = time_ns / NSEC_PER_SEC;
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(file, "%s.%09u", text, (unsigned int)(time_ns % NSEC_PER_SEC));
}

static void print_flow(FILE *file, const Ecbpf__PacketSample *s)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	const Ecbpf__Record *r = s->record;
	bool has_ports = r->l4_off && (r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP);
	struct sample_addresses a;

	sample_addresses(s, &a);
	if (!a.family) {
		fprintf(file, " ethertype 0x%04x", r->ethertype & 0xffff);
		return;
	}
	inet_ntop(a.family, &a.source, source, sizeof(source));
	inet_ntop(a.family, &a.destination, destination, sizeof(destination));
	if (has_ports && a.family == AF_INET6)
		fprintf(file, " [%s]:%u > [%s]:%u", source, r->sport, destination, r->dport);
	else if (has_ports)
		fprintf(file, " %s:%u > %s:%u", source, r->sport, destination, r->dport);
	else
		fprintf(file, " %s > %s", source, destination);
	if (r->proto == IPPROTO_TCP)
		fprintf(file, " tcp flags 0x%02x", r->tcp_flags & 0xff);
	else if (r->proto == IPPROTO_UDP)
		fprintf(file, " udp");
	else if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6)
		fprintf(file, " icmp %u/%u", r->icmp_type, r->icmp_code);
	else
		fprintf(file, " proto %u", r->proto);
	if (r->frag)
		fprintf(file, " fragment at %u", r->frag_off);
}

void sample_print(FILE *file, const Ecbpf__PacketSample *s)
{
	char verdict[SAMPLE_TEXT_MAX * 3];

	sample_verdict_text(s, verdict, sizeof(verdict));
	print_time(file, s->time_ns);
	fprintf(file, " %s %s (%s) 1/%u %u bytes", s->host, s->interface, verdict, s->rate,
		s->length);
	for (size_t i = 0; i < s->record->n_vlan_tci && i < 2; i++)
		fprintf(file, " vlan %u", s->record->vlan_tci[i] & 0xfff);
	print_flow(file, s);
	fputc('\n', file);
}
