// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who sends most, see top.h. A sample that was drawn at one in N stands for N packets; as each
 * packet was drawn with probability 1/N, the variance of what it adds is N * (N - 1).
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tools/common/common.h"
#include "tools/pcap/top.h"

#define SLOTS	   (1 << 16)
#define SLOTS_MAX  (3UL * (SLOTS / 4)) /* what comes beyond is "others": it does not grow */
#define CONFIDENCE 1.96		       /* standard deviations, for 95% */

struct slot {
	struct in6_addr key;
	uint8_t family; /* AF_INET, AF_INET6; 1: other keys; 0: the slot is empty */
	char name[39];	/* of a reason */
	uint64_t samples;
	double packets; /* sum of rates */
	double squares; /* sum of squares of rates */
	double bytes;
};

struct top {
	enum top_by by;
	size_t used;
	struct slot all, others;
	struct slot slots[SLOTS];
};

enum top_by top_parse(const char *word)
{
	static const char *const words[] = {
		[TOP_SRC] = "src",     [TOP_DST] = "dst",     [TOP_SPORT] = "sport",
		[TOP_DPORT] = "dport", [TOP_PROTO] = "proto", [TOP_REASON] = "reason",
	};

	for (enum top_by by = TOP_SRC; by <= TOP_REASON; by++)
		if (!strcmp(words[by], word))
			return by;
	return TOP_NONE;
}

struct top *top_new(enum top_by by)
{
	struct top *top = tool_alloc(NULL, sizeof(*top));

	memset(top, 0, sizeof(*top));
	top->by = by;
	return top;
}

static void key_number(struct slot *key, uint32_t number)
{
	key->family = 1;
	memcpy(&key->key, &number, sizeof(number));
}

static void make_key(enum top_by by, const Ecbpf__PacketSample *s, struct slot *key)
{
	struct sample_addresses a;

	*key = (struct slot){};
	switch (by) {
	case TOP_SRC:
	case TOP_DST:
		sample_addresses(s, &a);
		key->key = by == TOP_SRC ? a.source : a.destination;
		key->family = a.family;
		if (!a.family)
			key_number(key, s->record->ethertype);
		break;
	case TOP_SPORT:
		key_number(key, s->record->sport);
		break;
	case TOP_DPORT:
		key_number(key, s->record->dport);
		break;
	case TOP_PROTO:
		key_number(key, s->record->proto);
		break;
	default:
		key_number(key, s->reason);
		snprintf(key->name, sizeof(key->name), "%.38s", s->reason_name);
	}
}

static struct slot *find(struct top *top, const struct slot *key)
{
	uint64_t words[2], hash;
	struct slot *slot;

	memcpy(words, &key->key, sizeof(words));
	hash = (words[0] ^ (words[1] << 32 | words[1] >> 32) ^ key->family) *
	       0x9e3779b97f4a7c15ULL; /* Fibonacci hashing, Knuth 6.4 */
	for (size_t i = hash >> 48;; i++) {
		slot = &top->slots[i % SLOTS];
		if (slot->family == key->family && !memcmp(&slot->key, &key->key, sizeof(key->key)))
			return slot;
		if (!slot->family)
			break;
	}
	if (top->used == SLOTS_MAX)
		return &top->others;
	top->used++;
	*slot = *key;
	return slot;
}

static void add(struct slot *slot, double rate, double length)
{
	slot->samples++;
	slot->packets += rate;
	slot->squares += rate * rate;
	slot->bytes += rate * length;
}

void top_add(struct top *top, const Ecbpf__PacketSample *s)
{
	struct slot key;

	make_key(top->by, s, &key);
	add(find(top, &key), s->rate, s->length);
	add(&top->all, s->rate, s->length);
}

static int by_packets(const void *a, const void *b)
{
	double x = ((const struct slot *)a)->packets, y = ((const struct slot *)b)->packets;

	return x < y ? 1 : x > y ? -1 : 0;
}

static const char *slot_name(enum top_by by, const struct slot *slot)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t number;

	memcpy(&number, &slot->key, sizeof(number));
	if (slot->family != 1)
		return tool_str("%s", inet_ntop(slot->family, &slot->key, text, sizeof(text)));
	if (by == TOP_SRC || by == TOP_DST)
		return tool_str("ethertype 0x%04x", number & 0xffff);
	if (by == TOP_REASON && *slot->name)
		return tool_str("%s", slot->name);
	if (by == TOP_REASON)
		return number ? tool_str("reason %u", number) : "none";
	if (by == TOP_PROTO && number == IPPROTO_TCP)
		return "tcp";
	if (by == TOP_PROTO && number == IPPROTO_UDP)
		return "udp";
	return tool_str("%u", number);
}

static void print_slot(const struct top *top, struct tool_table *table, const char *name,
		       const struct slot *slot, double seconds, double factor)
{
	double packets = slot->packets * factor;
	double variance = slot->squares * factor * factor - packets;
	double margin = CONFIDENCE * sqrt(variance > 0 ? variance : 0);
	double share = top->all.packets > 0 ? 100 * slot->packets / top->all.packets : 0;

	tool_table_row(table, name, tool_str("%.0f", packets / seconds),
		       tool_str("+-%.0f", margin / seconds),
		       tool_str("%.0f", slot->bytes * factor * 8 / seconds / 1000),
		       tool_str("%.1f", share), tool_str("%" PRIu64, slot->samples));
}

void top_print(struct top *top, unsigned int lines, double seconds, double factor)
{
	static const char *const titles[] = {
		[TOP_SRC] = "source",	     [TOP_DST] = "destination",
		[TOP_SPORT] = "source port", [TOP_DPORT] = "destination port",
		[TOP_PROTO] = "protocol",    [TOP_REASON] = "reason",
	};
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 6, .align = "lrrrrr"};

	qsort(top->slots, SLOTS, sizeof(*top->slots), by_packets);
	tool_table_row(&table, titles[top->by], "packets/s", "(95%)", "kbit/s", "%", "samples");
	for (unsigned int i = 0; i < lines && i < SLOTS && top->slots[i].samples; i++)
		print_slot(top, &table, slot_name(top->by, &top->slots[i]), &top->slots[i], seconds,
			   factor);
	if (top->others.samples)
		print_slot(top, &table, "others", &top->others, seconds, factor);
	print_slot(top, &table, "all", &top->all, seconds, factor);
	tool_table_print(&table, "");
	top->used = 0;
	top->all = top->others = (struct slot){};
	memset(top->slots, 0, sizeof(top->slots));
}

void top_free(struct top *top)
{
	free(top);
}
