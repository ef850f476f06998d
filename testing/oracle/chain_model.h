/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A second opinion, fast enough for billions of frames: what becomes of a frame in filter, fw and
 * fastpath. Written from the RFCs and the manual pages; it includes nothing of the project.
 * testing/fuzz/chain_frames.py compares it with the models in Python.
 */
#ifndef CHAIN_MODEL_H
#define CHAIN_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	TCP = 6,
	UDP = 17,
	ICMP = 1,
	IGMP = 2,
	RSVP = 46,
	ICMP6 = 58
};

/* Defects, by name in ecbpf-fw-rules(5) */
#define DEFECTS(X)                                \
	X(NONE, "none")                           \
	X(RUNT, "runt")                           \
	X(VLAN_TRUNCATED, "vlan-truncated")       \
	X(VLAN_TAGS, "vlan-tags")                 \
	X(IP_TRUNCATED, "ip-truncated")           \
	X(IP_VERSION, "ip-version")               \
	X(IP_IHL, "ip-ihl")                       \
	X(IP_LENGTH_SHORT, "ip-length-short")     \
	X(IP_LENGTH_LONG, "ip-length-long")       \
	X(IP6_TRUNCATED, "ip6-truncated")         \
	X(IP6_VERSION, "ip6-version")             \
	X(IP6_LENGTH_LONG, "ip6-length-long")     \
	X(IP6_JUMBOGRAM, "ip6-jumbogram")         \
	X(IP6_EXT_TRUNCATED, "ip6-ext-truncated") \
	X(IP6_EXT_LIMIT, "ip6-ext-limit")         \
	X(TCP_TRUNCATED, "tcp-truncated")         \
	X(TCP_DOFF, "tcp-doff")                   \
	X(UDP_TRUNCATED, "udp-truncated")         \
	X(ICMP_TRUNCATED, "icmp-truncated")

enum defect {
#define X(NAME, name) DEFECT_##NAME,
	DEFECTS(X)
#undef X
	DEFECTS_COUNT,
};

enum frag {
	FRAG_NO,
	FRAG_FIRST,
	FRAG_LATER
};

/* A frame, read. Offsets are 0 where there is none */
struct view {
	const uint8_t *frame;
	uint32_t len;
	uint32_t l3, l4;
	uint32_t ip_len; /* IP header and all that it says is behind it */
	enum defect defect;
	uint16_t ethertype;
	uint8_t tags;
	uint16_t vlan;
	uint8_t version, proto;
	enum frag frag;
	bool has_frag_header;
	uint16_t frag_off; /* bytes */
	bool has_options;
	bool is_reserved, is_routing0;
	uint8_t extensions;
	uint16_t sport, dport;
	uint8_t flags;
	uint8_t type, code;
};

static inline uint32_t be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* RFC 1071 */
static inline uint32_t ones_sum(const uint8_t *at, uint32_t len, uint32_t sum)
{
	for (; len > 1; at += 2, len -= 2)
		sum += be16(at);
	if (len)
		sum += *at << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* --- headers ---------------------------------------------------------------------------------- */

/* RFC 9293 section 3.1, RFC 768, RFC 792, RFC 4443; @end: of the IP packet */
static enum defect read_upper(struct view *v, uint32_t at, uint32_t end)
{
	const uint8_t *p = v->frame + at;
	uint32_t size;

	v->l4 = at;
	if (v->proto == TCP) {
		if (end < at + 20)
			return DEFECT_TCP_TRUNCATED;
		size = p[12] / 16 * 4;
		v->flags = p[13];
		if (size < 20)
			return DEFECT_TCP_DOFF;
		if (at + size > end)
			return DEFECT_TCP_TRUNCATED;
	} else if (v->proto == UDP) {
		if (end < at + 8)
			return DEFECT_UDP_TRUNCATED;
	} else if (v->proto == (v->version == 4 ? ICMP : ICMP6)) {
		if (end < at + 8)
			return DEFECT_ICMP_TRUNCATED;
		v->type = p[0];
		v->code = p[1];
		return DEFECT_NONE;
	} else {
		return DEFECT_NONE;
	}
	v->sport = be16(p);
	v->dport = be16(p + 2);
	return DEFECT_NONE;
}

/* RFC 791 section 3.1. Frames here are shorter than 64 KiB: no BIG TCP */
static enum defect read_ip4(struct view *v, uint32_t at)
{
	const uint8_t *ip = v->frame + at;
	uint32_t header, word;

	v->l3 = at;
	if (v->len < at + 20)
		return DEFECT_IP_TRUNCATED;
	if (ip[0] / 16 != 4)
		return DEFECT_IP_VERSION;
	v->version = 4;
	header = ip[0] % 16 * 4;
	if (header < 20)
		return DEFECT_IP_IHL;
	v->proto = ip[9];
	v->ip_len = be16(ip + 2);
	v->has_options = header > 20;
	word = be16(ip + 6);
	v->is_reserved = word & 0x8000;
	v->frag_off = word % 0x2000 * 8;
	v->frag = v->frag_off ? FRAG_LATER : word & 0x2000 ? FRAG_FIRST : FRAG_NO;
	if (v->len < at + header)
		return DEFECT_IP_TRUNCATED;
	if (v->ip_len < header)
		return DEFECT_IP_LENGTH_SHORT;
	if (at + v->ip_len > v->len)
		return DEFECT_IP_LENGTH_LONG;
	if (v->frag == FRAG_LATER)
		return DEFECT_NONE;
	return read_upper(v, at + header, at + v->ip_len);
}

/* RFC 8200 section 4, RFC 4302 section 2.2 */
static enum defect read_extensions(struct view *v, uint32_t at, uint32_t end)
{
	bool has_more = false;

	while (v->proto == 0 || v->proto == 43 || v->proto == 44 || v->proto == 51 ||
	       v->proto == 60) {
		const uint8_t *p = v->frame + at;
		uint8_t kind = v->proto;

		if (v->extensions == 8 || at > 2048)
			return DEFECT_IP6_EXT_LIMIT;
		if (at + 8 > end)
			return DEFECT_IP6_EXT_TRUNCATED;
		v->extensions++;
		v->has_options = true;
		v->proto = p[0];
		if (kind == 43 && p[2] == 0)
			v->is_routing0 = true;
		if (kind == 44) {
			v->has_frag_header = true;
			at += 8;
			has_more |= p[3] & 1;
			v->frag_off = be16(p + 2) & 0xfff8;
			v->frag = v->frag_off ? FRAG_LATER : has_more ? FRAG_FIRST : FRAG_NO;
			if (v->frag_off)
				return DEFECT_NONE;
			continue;
		}
		at += kind == 51 ? (p[1] + 2) * 4 : (p[1] + 1) * 8;
		if (at > end)
			return DEFECT_IP6_EXT_TRUNCATED;
	}
	if (at > 2048)
		return DEFECT_IP6_EXT_LIMIT;
	return v->proto == 59 ? DEFECT_NONE : read_upper(v, at, end);
}

static enum defect read_ip6(struct view *v, uint32_t at)
{
	const uint8_t *ip = v->frame + at;

	v->l3 = at;
	if (v->len < at + 40)
		return DEFECT_IP6_TRUNCATED;
	if (ip[0] / 16 != 6)
		return DEFECT_IP6_VERSION;
	v->version = 6;
	v->proto = ip[6];
	v->ip_len = 40 + be16(ip + 4);
	if (v->ip_len == 40 && v->proto == 0)
		return DEFECT_IP6_JUMBOGRAM;
	if (at + v->ip_len > v->len)
		return DEFECT_IP6_LENGTH_LONG;
	return read_extensions(v, at + 40, at + v->ip_len);
}

static enum defect read_ethernet(struct view *v)
{
	uint32_t at = 14;

	if (v->len < at)
		return DEFECT_RUNT;
	for (;;) {
		v->ethertype = be16(v->frame + at - 2);
		if (v->ethertype != 0x8100 && v->ethertype != 0x88a8)
			break;
		if (v->tags == 2)
			return DEFECT_VLAN_TAGS;
		if (v->len < at + 4)
			return DEFECT_VLAN_TRUNCATED;
		if (!v->vlan) /* VID 0: a priority, and no VLAN */
			v->vlan = be16(v->frame + at) % 4096;
		v->tags++;
		at += 4;
	}
	if (v->ethertype == 0x0800)
		return read_ip4(v, at);
	return v->ethertype == 0x86dd ? read_ip6(v, at) : DEFECT_NONE;
}

static inline void view_read(struct view *v, const uint8_t *frame, uint32_t len)
{
	memset(v, 0, sizeof(*v));
	v->frame = frame;
	v->len = len;
	v->defect = read_ethernet(v);
}

static inline const uint8_t *view_addr(const struct view *v, bool is_dst)
{
	return v->frame + v->l3 + (v->version == 4 ? 12 + 4 * is_dst : 8 + 16 * is_dst);
}

/* --- what is configured ----------------------------------------------------------------------- */

struct prefix {
	uint8_t version, len, addr[16];
};

/* Checks of the filter, by name in ecbpf-filter(8); 1: dropped by default */
#define CHECKS(X)                            \
	X(FRAG_TINY, "frag-tiny", 1)         \
	X(FRAG_OVERLAP, "frag-overlap", 1)   \
	X(IP_OPTIONS, "ip-options", 1)       \
	X(IP_RESERVED, "ip-reserved-bit", 1) \
	X(MARTIAN, "martian-source", 0)      \
	X(LAND, "land", 0)                   \
	X(TCP_NULL, "tcp-null", 0)           \
	X(TCP_XMAS, "tcp-xmas", 0)           \
	X(TCP_SYN_FIN, "tcp-syn-fin", 0)     \
	X(TCP_SYN_RST, "tcp-syn-rst", 0)     \
	X(UDP_LENGTH, "udp-length", 0)       \
	X(PORT_ZERO, "port-zero", 0)         \
	X(IP6_ROUTING0, "ip6-routing0", 0)   \
	X(IP6_EXT_LIMIT, "ip6-ext-limit", 1) \
	X(MALFORMED, "malformed", 1)

enum check {
#define X(NAME, name, is_default) CHECK_##NAME,
	CHECKS(X)
#undef X
	CHECKS_COUNT,
};

struct range {
	bool is_there;
	uint16_t first, last;
};

enum action {
	ACTION_DROP,
	ACTION_PASS,
	ACTION_COUNT
};
enum rule_frag {
	RULE_FRAG_NONE,
	RULE_FRAG_FIRST,
	RULE_FRAG_LATER,
	RULE_FRAG_ANY,
	RULE_FRAG_NO
};

struct rule {
	uint8_t family;	    /* 0: a rule of malformed packets that names none */
	uint32_t malformed; /* bits of defects; 0: a rule of well-formed packets */
	int proto;	    /* -1: any */
	bool is_named;	    /* the protocol has a keyword, and its options are tested */
	struct prefix src, dst;
	struct range sport, dport, type, code, vlan, ttl, length;
	uint8_t flags, mask;
	enum rule_frag frag;
	bool has_options;
	bool is_dry;
	enum action action;
};

#define RULES_MAX    512
#define PREFIXES_MAX 16

struct config {
	uint32_t checks; /* those that drop */
	bool frags_drop, frags6_drop, links_drop;
	struct prefix block[PREFIXES_MAX], allow[PREFIXES_MAX], local[PREFIXES_MAX];
	int blocks, allows, locals;
	bool malformed_drop, not_inspected_drop; /* of fw */
	struct rule rules[RULES_MAX];
	int rules_count;
};

static inline bool prefix_has(const struct prefix *p, const uint8_t *addr)
{
	uint32_t bytes = p->len / 8, bits = p->len % 8;

	return !memcmp(p->addr, addr, bytes) &&
	       (!bits || !((p->addr[bytes] ^ addr[bytes]) >> (8 - bits)));
}

static inline bool prefixes_have(const struct prefix *list, int count, const struct view *v,
				 bool is_dst)
{
	for (int i = 0; i < count; i++)
		if (list[i].version == v->version && prefix_has(&list[i], view_addr(v, is_dst)))
			return true;
	return false;
}

/* --- filter: ecbpf-filter(8) ------------------------------------------------------------------ */

static bool is_zero(const uint8_t *at, uint32_t len)
{
	for (; len; at++, len--)
		if (*at)
			return false;
	return true;
}

static bool is_martian(const struct view *v)
{
	const uint8_t *src = view_addr(v, false), *dst = view_addr(v, true);

	if (v->version == 6)
		return (is_zero(src, 8) && !(is_zero(src, 16) && v->proto == ICMP6)) ||
		       src[0] == 0xff;
	if (is_zero(src, 4) && v->proto == IGMP)
		return false;
	if (is_zero(src, 4) && !memcmp(dst, "\xff\xff\xff\xff", 4) && v->proto == UDP &&
	    v->dport == 67) /* DHCP */
		return false;
	return src[0] == 0 || src[0] == 127 || src[0] >= 224;
}

static uint32_t defect_check(const struct view *v)
{
	if (v->defect == DEFECT_IP6_EXT_LIMIT)
		return 1 << CHECK_IP6_EXT_LIMIT;
	if (v->frag == FRAG_FIRST && v->l4 &&
	    (v->defect == DEFECT_TCP_TRUNCATED || v->defect == DEFECT_UDP_TRUNCATED ||
	     v->defect == DEFECT_ICMP_TRUNCATED))
		return 1 << CHECK_FRAG_TINY;
	return 1 << CHECK_MALFORMED;
}

static uint32_t upper_checks(const struct view *v)
{
	uint8_t flags = v->flags & 0x3f; /* fin 1, syn 2, rst 4, psh 8, ack 16, urg 32 */
	uint32_t found = 0;

	if (v->proto != TCP && v->proto != UDP)
		return 0;
	if (!v->sport || !v->dport)
		found |= 1 << CHECK_PORT_ZERO;
	if (v->proto == UDP) {
		if (v->frag != FRAG_FIRST &&
		    be16(v->frame + v->l4 + 4) != v->l3 + v->ip_len - v->l4)
			found |= 1 << CHECK_UDP_LENGTH;
		return found;
	}
	found |= (flags == 0) << CHECK_TCP_NULL;
	found |= ((flags & (1 | 8 | 32 | 16)) == (1 | 8 | 32)) << CHECK_TCP_XMAS;
	found |= ((flags & 3) == 3) << CHECK_TCP_SYN_FIN;
	found |= ((flags & 6) == 6) << CHECK_TCP_SYN_RST;
	return found;
}

/* Return: checks that the frame fails */
static uint32_t filter_checks(const struct view *v)
{
	const uint8_t *ip = v->frame + v->l3;
	uint32_t found = 0;

	if (v->defect)
		return defect_check(v);
	if (!v->version)
		return 0;
	if (v->version == 4 && v->has_options &&
	    !(ip[0] == 0x46 && !memcmp(ip + 20, "\x94\x04\0", 4) &&
	      (v->proto == IGMP || v->proto == RSVP)))
		found |= 1 << CHECK_IP_OPTIONS;
	if (v->is_reserved)
		found |= 1 << CHECK_IP_RESERVED;
	if (v->is_routing0)
		found |= 1 << CHECK_IP6_ROUTING0;
	if (is_martian(v))
		found |= 1 << CHECK_MARTIAN;
	if (!memcmp(view_addr(v, false), view_addr(v, true), v->version == 4 ? 4 : 16))
		found |= 1 << CHECK_LAND;
	if (v->frag == FRAG_LATER && v->proto == TCP && v->frag_off < 20)
		found |= 1 << CHECK_FRAG_OVERLAP;
	if (v->l4)
		found |= upper_checks(v);
	return found;
}

/* --- fw: ecbpf-fw-rules(5) -------------------------------------------------------------------- */

static inline bool in_range(const struct range *r, bool has_field, uint32_t value)
{
	return !r->is_there || (has_field && r->first <= value && value <= r->last);
}

static bool rule_frag_matches(enum rule_frag wanted, enum frag is)
{
	switch (wanted) {
	case RULE_FRAG_FIRST:
		return is == FRAG_FIRST;
	case RULE_FRAG_LATER:
		return is == FRAG_LATER;
	case RULE_FRAG_ANY:
		return is != FRAG_NO;
	case RULE_FRAG_NO:
		return is == FRAG_NO;
	default:
		return true;
	}
}

static bool rule_matches(const struct rule *r, const struct view *v)
{
	bool has_upper = v->l4;

	if (v->defect ? !(r->malformed >> v->defect & 1) : r->malformed != 0)
		return false;
	if (!in_range(&r->length, true, v->len) || !in_range(&r->vlan, v->tags, v->vlan))
		return false;
	if (!r->family)
		return true;
	if (r->family != v->version || !prefix_has(&r->src, view_addr(v, false)) ||
	    !prefix_has(&r->dst, view_addr(v, true)))
		return false;
	if (v->defect)
		return true;
	if (!rule_frag_matches(r->frag, v->frag) || (r->has_options && !v->has_options) ||
	    !in_range(&r->ttl, true, v->frame[v->l3 + (v->version == 4 ? 8 : 7)]))
		return false;
	if (r->proto < 0)
		return true;
	if (v->proto != r->proto)
		return false;
	return !r->is_named ||
	       (in_range(&r->sport, has_upper, v->sport) &&
		in_range(&r->dport, has_upper, v->dport) &&
		in_range(&r->type, has_upper, v->type) && in_range(&r->code, has_upper, v->code) &&
		(!r->mask || (has_upper && (v->flags & r->mask) == r->flags)));
}

/* "Other link layers" that may carry IP */
static bool is_not_inspected(uint16_t ethertype)
{
	static const uint16_t types[] = {0x8863, 0x8864, 0x8847, 0x8848, 0x88e7, 0x893f, 0x8926,
					 0x894f, 0x88e5, 0x9100, 0x9200, 0x9300, 0x08ff, 0x22f3,
					 0x4305, 0x6558, 0x8870, 0x8899, 0x88b7, 0x88fb, 0x8903,
					 0x8909, 0x892f, 0xa0ed, 0xdada, 0xdadb, 0xe001, 0xed3e};

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (ethertype == types[i])
			return true;
	return ethertype < 1536;
}

/* --- fastpath: ecbpf-fastpath(8) -------------------------------------------------------------- */

/* A flow for which the kernel was seen forwarding a packet */
struct flow {
	uint8_t version, proto;
	uint8_t addrs[32], ports[4]; /* as they stand in the packet */
	uint8_t dest[6];	     /* Ethernet destination */
	uint8_t tag[4];		     /* TPID, identifier; 0: none */
	uint32_t ip_len;
	bool is_leased;
	struct flow *next; /* in its bucket */
};

#define FLOWS_MAX     256
#define FLOWS_BUCKETS 256

struct flows {
	struct flow flows[FLOWS_MAX];
	struct flow *buckets[FLOWS_BUCKETS];
	int count;
	int ended; /* leases that TCP flags have ended */
};

/* Ports as they stand in the packet */
static inline struct flow **flow_bucket(struct flows *flows, const uint8_t *ports)
{
	return &flows->buckets[(uint8_t)(ports[0] + ports[1] + ports[2] + ports[3])];
}

static inline void flow_add(struct flows *flows, struct flow flow)
{
	struct flow **bucket = flow_bucket(flows, flow.ports);

	flow.next = *bucket;
	*bucket = &flows->flows[flows->count++];
	**bucket = flow;
}

static inline void frame_tag(const struct view *v, uint8_t tag[4])
{
	memset(tag, 0, 4);
	if (v->tags) {
		memcpy(tag, v->frame + 12, 4);
		tag[2] &= 0x0f; /* not the priority */
	}
}

/* Is it a packet that the kernel forwards with nothing changed but the TTL? */
static inline bool is_plain(const struct view *v)
{
	uint32_t headers = v->version == 4 ? 20 : 40;

	return !v->defect && v->version && v->tags <= 1 && (v->proto == TCP || v->proto == UDP) &&
	       v->frag == FRAG_NO && !v->extensions && !v->has_options && !v->is_reserved &&
	       v->l3 + headers + 20 <= v->len; /* also of UDP: shorter ones go to the stack */
}

static inline struct flow *flow_find(struct flows *flows, const struct view *v)
{
	uint32_t size = v->version == 4 ? 8 : 32;

	for (struct flow *f = *flow_bucket(flows, v->frame + v->l4); f; f = f->next) {
		if (f->version == v->version && f->proto == v->proto &&
		    !memcmp(f->ports, v->frame + v->l4, 4) &&
		    !memcmp(f->addrs, view_addr(v, false), size))
			return f;
	}
	return NULL;
}

/* 0 and 0xffff are the same sum: what no sender leaves there goes to the stack as well */
static bool is_partial(const struct view *v)
{
	const uint8_t *check = v->frame + v->l4 + (v->proto == TCP ? 16 : 6);
	uint32_t payload = v->l3 + v->ip_len - v->l4;

	return ones_sum(view_addr(v, false), v->version == 4 ? 8 : 32, payload + v->proto) %
		       0xffff ==
	       be16(check) % 0xffff;
}

/* Return: IPVS has given a lease for such packets, and need not see this one */
static bool fastpath_forwards(struct flows *flows, const struct view *v)
{
	const uint8_t *ip = v->frame + v->l3;
	struct flow *f;
	uint8_t tag[4];

	if (!is_plain(v))
		return false;
	f = flow_find(flows, v);
	if (!f || !f->is_leased)
		return false;
	frame_tag(v, tag);
	if (memcmp(f->dest, v->frame, 6) || memcmp(f->tag, tag, 4))
		return false;
	if (v->proto == TCP && v->flags & 7) { /* fin, syn, rst */
		f->is_leased = !(v->flags & 6);
		flows->ended += !f->is_leased;
		return false;
	}
	if (ip[v->version == 4 ? 8 : 7] <= 1)
		return false;
	if (v->ip_len > (v->version == 4 ? 552 : 1280) && v->ip_len > f->ip_len)
		return false;
	if (v->l3 + v->ip_len < v->len && v->len - 4 * v->tags > 60)
		return false;
	if (v->version == 4 && ones_sum(ip, 20, 0) != 0xffff)
		return false;
	return !is_partial(v);
}

/* --- all ----------------------------------------------------------------------------------------
 */

enum fate {
	FATE_LISTED,
	FATE_CHECK, /* of the filter, see outcome.checks */
	FATE_FRAGMENT,
	FATE_RULE_DROP,
	FATE_MALFORMED,
	FATE_NOT_INSPECTED,
	FATE_STACK,
	FATE_FORWARD,
	FATES,
};

struct outcome {
	enum fate fate;
	uint32_t checks;
	int rule; /* the one that decided; -1: none */
};

/* What fw does. Return: it drops the frame */
static inline bool fw_drops(const struct config *c, const struct view *v, struct outcome *o)
{
	if (!v->defect && !v->version) {
		o->fate = FATE_NOT_INSPECTED;
		return c->not_inspected_drop && is_not_inspected(v->ethertype);
	}
	for (int i = 0; i < c->rules_count; i++) {
		const struct rule *r = &c->rules[i];

		if (r->action == ACTION_COUNT || r->is_dry || !rule_matches(r, v))
			continue;
		o->rule = i;
		o->fate = FATE_RULE_DROP;
		return r->action == ACTION_DROP;
	}
	o->fate = FATE_MALFORMED;
	return v->defect && c->malformed_drop;
}

static inline struct outcome model(const struct config *c, struct flows *flows,
				   const struct view *v)
{
	struct outcome o = {.rule = -1};

	o.fate = FATE_NOT_INSPECTED;
	if (!v->defect && !v->version && c->links_drop && is_not_inspected(v->ethertype))
		return o;
	if (v->version && prefixes_have(c->block, c->blocks, v, false) &&
	    !prefixes_have(c->allow, c->allows, v, false)) {
		o.fate = FATE_LISTED;
		return o;
	}
	o.checks = filter_checks(v) & c->checks;
	o.fate = FATE_CHECK;
	if (o.checks)
		return o;
	o.fate = FATE_FRAGMENT;
	if (v->frag != FRAG_NO && (v->version == 4 ? c->frags_drop : c->frags6_drop) &&
	    !prefixes_have(c->local, c->locals, v, true))
		return o;
	if (fw_drops(c, v, &o))
		return o;
	o.fate = fastpath_forwards(flows, v) ? FATE_FORWARD : FATE_STACK;
	return o;
}

#endif /* CHAIN_MODEL_H */
