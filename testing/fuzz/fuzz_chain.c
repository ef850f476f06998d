// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Mutated frames through filter, fw and fastpath as they are attached (BPF_PROG_TEST_RUN), against
 * the model (../oracle/chain_model.h): no frame passes that the model drops, none is forwarded that
 * it does not forward, and the other way round. See fuzz_chain.sh, which loads them.
 *
 *	fuzz_chain config SEED FRAMES DIR	write the configuration of this seed
 *	fuzz_chain run SEED FRAMES COUNT XDP EGRESS	XDP, EGRESS: ids of the programs
 *	fuzz_chain dump SEED FRAMES COUNT	frames, and what the model says, for chain_frames.py
 *
 * FRAMES is made by chain_frames.py: of each frame its length (2 bytes, this host's order), what it
 * is for (1 byte: enum use), and its bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <ecbpf/fastpath.h>
#include "../oracle/chain_model.h"

#define PINS	       "/sys/fs/bpf/ecbpf/"
#define FRAMES_MAX     (1 << 20)
#define FRAME_MAX      3400 /* what BPF_PROG_TEST_RUN takes: a page less head- and tailroom */
#define SIZE_MIN       14
#define CAPTURED_FLOWS 100 /* frames of captures that get leases, of one configuration */
#define RUN	       16  /* mutations of one frame, one after another */
#define FOREVER	       (1 << 28)
#define WRONG_MAX      10

static const char *const check_names[] = {
#define X(NAME, name, is_default) name,
	CHECKS(X)
#undef X
};
static const char *const defect_names[] = {
#define X(NAME, name) name,
	DEFECTS(X)
#undef X
};
static const char *const fate_names[FATES] = {"listed source", "check",	    "fragment",
					      "rule",	       "malformed", "not inspected",
					      "to the stack",  "forwarded"};

static const uint8_t real[6] = {2, 0, 0, 0, 1, 1}, director[6] = {2, 0, 0, 0, 0, 2};

enum use {
	USE_BASE,
	USE_FLOW,     /* gets a lease */
	USE_CAPTURED, /* of a capture; some of them get leases */
	USES,
};

struct base {
	const uint8_t *bytes;
	uint32_t len;
};

static struct bases {
	struct base *bases;
	int count;
} bases[USES];
static struct config config;
static struct flows flows;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "fuzz_chain: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- random numbers --------------------------------------------------------------------------- */

static uint64_t random_state;

/* xorshift64* */
static uint64_t random_bits(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(uint32_t max)
{
	return (random_bits() >> 32) * max >> 32;
}

static bool one_in(uint32_t n)
{
	return !below(n);
}

static void random_seed(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (int i = 0; i < 8; i++)
		random_bits();
}

/* --- the configuration of a seed -------------------------------------------------------------- */

static void base_add(enum use use, struct base base)
{
	struct bases *b = &bases[use];

	if (!(b->count & (b->count - 1))) { /* full, or empty */
		b->bases = realloc(b->bases, (b->count ? b->count * 2 : 1) * sizeof(*b->bases));
		if (!b->bases)
			die("frames");
	}
	b->bases[b->count++] = base;
}

static void frames_read(const char *path)
{
	FILE *file = fopen(path, "r");
	struct base base;
	uint8_t use, *bytes;
	uint16_t len;

	if (!file)
		die(path);
	while (fread(&len, sizeof(len), 1, file) == 1) {
		bytes = malloc(len);
		if (!bytes || len > FRAME_MAX || fread(&use, 1, 1, file) != 1 || use >= USES ||
		    fread(bytes, 1, len, file) != len)
			die("frames");
		base = (struct base){bytes, len};
		base_add(use, base);
	}
	fclose(file);
	if (!bases[USE_BASE].count || !bases[USE_FLOW].count)
		die("frames");
}

static struct flow flow_of(const struct view *v)
{
	struct flow f = {
		.version = v->version, .proto = v->proto, .ip_len = v->ip_len, .is_leased = true};

	memcpy(f.addrs, view_addr(v, false), v->version == 4 ? 8 : 32);
	memcpy(f.ports, v->frame + v->l4, 4);
	memcpy(f.dest, v->frame, 6);
	frame_tag(v, f.tag);
	return f;
}

/* Which frames of captures get leases: those that would be forwarded if they had one */
static void captured_flows_pick(uint64_t seed)
{
	const struct bases *captured = &bases[USE_CAPTURED];
	int found = 0;

	random_seed(seed + 2000000011);
	for (int i = 0; captured->count && i < 100 * CAPTURED_FLOWS && found < CAPTURED_FLOWS;
	     i++) {
		const struct base *b = &captured->bases[below(captured->count)];
		struct flows one = {};
		struct view v;

		view_read(&v, b->bytes, b->len);
		if (!is_plain(&v) || (v.proto == TCP && !(v.flags & 0x10)))
			continue;
		flow_add(&one, flow_of(&v));
		if (!fastpath_forwards(&one, &v))
			continue;
		base_add(USE_FLOW, *b);
		found++;
	}
}

/* Half of them of flows */
static const struct base *base_pick(void)
{
	const struct bases *b = &bases[USE_FLOW];

	if (one_in(2))
		b = &bases[bases[USE_CAPTURED].count && one_in(2) ? USE_CAPTURED : USE_BASE];
	return &b->bases[below(b->count)];
}

/* Of the address of some frame */
static struct prefix random_prefix(int version, uint32_t len_min)
{
	struct prefix p = {.version = version};
	struct view v;

	do {
		const struct base *b = base_pick();

		view_read(&v, b->bytes, b->len);
	} while (v.version != version);
	p.len = len_min + below((version == 4 ? 32 : 128) - len_min + 1);
	memcpy(p.addr, view_addr(&v, one_in(2)), version == 4 ? 4 : 16);
	if (one_in(8)) /* another one near it */
		p.addr[p.len ? (p.len - 1) / 8 : 0] ^= 1 << below(8);
	for (int bit = p.len; bit < 128; bit++)
		p.addr[bit / 8] &= ~(0x80 >> bit % 8);
	return p;
}

static struct range random_range(uint32_t max, const uint16_t *usual, uint32_t usual_count)
{
	struct range r = {.is_there = one_in(3)};
	uint32_t a = one_in(2) ? usual[below(usual_count)] : below(max + 1);
	uint32_t b = one_in(2) ? a : below(max + 1);

	r.first = a < b ? a : b;
	r.last = a < b ? b : a;
	return r;
}

static void rule_upper(struct rule *r)
{
	static const uint16_t ports[] = {80, 443, 53, 1234, 40000, 53000};
	static const uint16_t types[] = {0, 3, 8, 128, 135};
	static const uint16_t codes[] = {0, 1, 4};
	static const int protos[] = {TCP, TCP, TCP, UDP, UDP, ICMP, ICMP6, 47, 59, 132, 0};

	r->proto = one_in(4) ? -1 : protos[below(11)];
	r->is_named =
		r->proto == TCP || r->proto == UDP || (r->proto == (r->family == 4 ? ICMP : ICMP6));
	if (r->proto == TCP || r->proto == UDP) {
		r->sport = random_range(65535, ports, 6);
		r->dport = random_range(65535, ports, 6);
	} else if (r->is_named) {
		r->type = random_range(255, types, 5);
		r->code = random_range(255, codes, 3);
	}
	if (r->proto == TCP && one_in(3)) {
		r->mask = 1 + below(255);
		r->flags = random_bits() & r->mask;
	}
	r->frag = one_in(5) ? 1 + below(4) : RULE_FRAG_NONE;
	if (r->frag == RULE_FRAG_LATER) { /* has no such fields */
		r->sport.is_there = r->dport.is_there = false;
		r->type.is_there = r->code.is_there = false;
		r->mask = r->flags = 0;
	}
}

static void rule_make(struct rule *r)
{
	static const uint16_t vlans[] = {5, 7, 0, 4095}, ttls[] = {1, 64, 255};
	static const uint16_t lengths[] = {54, 60, 66, 74, 1500};

	*r = (struct rule){.proto = -1, .action = below(3)};
	r->family = one_in(2) ? 4 : 6;
	if (one_in(6)) {
		r->malformed = random_bits() & random_bits() & ((1u << DEFECTS_COUNT) - 2);
		r->malformed |= 2u << below(DEFECTS_COUNT - 1);
		if (one_in(2))
			r->family = 0;
	}
	if (r->family) {
		r->src.version = r->dst.version = r->family; /* any */
		if (!one_in(3))
			r->src = random_prefix(r->family, one_in(4) ? 0 : r->family * 5);
		if (one_in(2))
			r->dst = random_prefix(r->family, one_in(4) ? 0 : r->family * 5);
	}
	if (one_in(6))
		r->vlan = random_range(4095, vlans, 4);
	if (one_in(6))
		r->length = random_range(2000, lengths, 5);
	r->is_dry = r->action != ACTION_COUNT && one_in(10);
	if (r->malformed)
		return;
	if (one_in(8))
		r->ttl = random_range(255, ttls, 3);
	r->has_options = one_in(12);
	rule_upper(r);
	/* what would leave little to the rules behind it */
	if (r->action == ACTION_DROP && !r->sport.is_there && !r->dport.is_there && !r->mask &&
	    !r->frag && !r->type.is_there && !r->ttl.is_there && !r->vlan.is_there &&
	    !r->has_options && !one_in(8))
		r->action = ACTION_PASS;
}

static void config_make(uint64_t seed)
{
	static const struct prefix local[] = {
		{4, 32, {198, 51, 100, 1}},
		{6, 128, {0x20, 1, 0x0d, 0xb8, [15] = 2}},
		{4, 4, {224}},
		{6, 8, {0xff}},
	};

	config = (struct config){};
	random_seed(seed / 2);
	config.checks = random_bits() % (1 << CHECKS_COUNT);
	if (seed % 4 == 0) { /* the defaults */
		config.checks = 0;
#define X(NAME, name, is_default) config.checks |= (is_default) << CHECK_##NAME;
		CHECKS(X)
#undef X
	}
	/* every second one does the contrary of the one before */
	if (seed % 2)
		config.checks ^= (1 << CHECKS_COUNT) - 1;
	random_seed(seed);
	config.frags_drop = seed / 2 % 2;
	config.frags6_drop = seed % 2;
	config.malformed_drop = seed / 2 % 2 || one_in(2);
	config.not_inspected_drop = seed % 2;
	config.links_drop = seed / 4 % 2;
	for (int version = 4; version <= 6; version += 2) {
		for (int i = 0; i < 3; i++) {
			uint32_t len_min = version == 4 ? 28 : 60;

			config.block[config.blocks++] = random_prefix(version, len_min);
			if (i)
				config.allow[config.allows++] = random_prefix(version, len_min);
		}
	}
	memcpy(config.local, local, sizeof(local));
	config.locals = sizeof(local) / sizeof(local[0]);
	config.rules_count = seed % 2 ? 6 + below(50) : 70 + below(200);
	for (int i = 0; i < config.rules_count; i++)
		rule_make(&config.rules[i]);
}

/* --- and its text ----------------------------------------------------------------------------- */

static void print_prefix(FILE *out, const struct prefix *p)
{
	if (p->version == 4) {
		fprintf(out, "%u.%u.%u.%u/%u", p->addr[0], p->addr[1], p->addr[2], p->addr[3],
			p->len);
		return;
	}
	for (int i = 0; i < 8; i++)
		fprintf(out, "%s%x", i ? ":" : "", be16(p->addr + 2 * i));
	fprintf(out, "/%u", p->len);
}

static void print_range(FILE *out, const char *name, const struct range *r)
{
	if (r->is_there)
		fprintf(out, " %s %u-%u", name, r->first, r->last);
}

static void print_flags(FILE *out, uint8_t flags)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};
	const char *comma = "";

	fputs("{", out);
	for (int i = 0; i < 8; i++) {
		if (!(flags >> i & 1))
			continue;
		fprintf(out, "%s%s", comma, names[i]);
		comma = ", ";
	}
	fputs("}", out);
}

static void print_upper(FILE *out, const struct rule *r)
{
	static const char *const frags[] = {"", " frag first", " frag later", " frag any",
					    " frag no"};

	fputs(frags[r->frag], out);
	if (r->has_options)
		fputs(" options", out);
	if (r->proto < 0)
		fputs(" proto any", out);
	else if (!r->is_named)
		fprintf(out, " proto %d", r->proto);
	else
		fprintf(out, " %s",
			r->proto == TCP	   ? "tcp"
			: r->proto == UDP  ? "udp"
			: r->proto == ICMP ? "icmp"
					   : "icmp6");
	print_range(out, "sport", &r->sport);
	print_range(out, "dport", &r->dport);
	print_range(out, "type", &r->type);
	print_range(out, "code", &r->code);
	if (!r->mask)
		return;
	fputs(" flags ", out);
	print_flags(out, r->flags);
	fputs(" mask ", out);
	print_flags(out, r->mask);
}

static void print_rule(FILE *out, const struct rule *r)
{
	static const char *const actions[] = {"drop", "pass", "count"};
	const char *comma = "";

	if (r->malformed) {
		fputs("malformed {", out);
		for (int i = 1; i < DEFECTS_COUNT; i++) {
			if (!(r->malformed >> i & 1))
				continue;
			fprintf(out, "%s%s", comma, defect_names[i]);
			comma = ", ";
		}
		fputs("} ", out);
	}
	if (r->family) {
		fprintf(out, "%s from ", r->family == 4 ? "ip" : "ip6");
		print_prefix(out, &r->src);
		fputs(" to ", out);
		print_prefix(out, &r->dst);
	}
	print_range(out, "packet length", &r->length);
	print_range(out, "vlan", &r->vlan);
	print_range(out, "ttl", &r->ttl);
	if (!r->malformed)
		print_upper(out, r);
	fprintf(out, "%s %s\n", r->is_dry ? " dry" : "", actions[r->action]);
}

static FILE *config_file(const char *dir, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	if (!file)
		die(path);
	return file;
}

static void config_write(const char *dir)
{
	FILE *out = config_file(dir, "filter");

	for (int i = 0; i < CHECKS_COUNT; i++)
		fprintf(out, "%s=%s ", check_names[i], config.checks >> i & 1 ? "drop" : "off");
	fprintf(out, "frags=%s frags6=%s not-inspected=%s\n", config.frags_drop ? "drop" : "pass",
		config.frags6_drop ? "drop" : "pass", config.links_drop ? "drop" : "pass");
	fclose(out);
	out = config_file(dir, "fw");
	fprintf(out, "malformed=%s not-inspected=%s\n", config.malformed_drop ? "drop" : "pass",
		config.not_inspected_drop ? "drop" : "pass");
	fclose(out);
	out = config_file(dir, "block");
	for (int i = 0; i < config.blocks; i++, fputs("\n", out))
		print_prefix(out, &config.block[i]);
	fclose(out);
	out = config_file(dir, "allow");
	for (int i = 0; i < config.allows; i++, fputs("\n", out))
		print_prefix(out, &config.allow[i]);
	fclose(out);
	out = config_file(dir, "rules");
	for (int i = 0; i < config.rules_count; i++)
		print_rule(out, &config.rules[i]);
	fclose(out);
}

/* --- mutation --------------------------------------------------------------------------------- */

/* A frame in the making, with what it was made of */
struct mutant {
	uint8_t bytes[FRAME_MAX + 256];
	uint32_t len;
	uint32_t l3, l4; /* of the frame at first */
	const struct base *base;
};

static const uint8_t interesting[] = {
	0,    1,    4,	  5,  6,  7,  8,  15,	17,   0x14, 0x20, 0x3f, 0x40, 43,   44,	  0x45,
	0x46, 0x4f, 0x50, 51, 58, 59, 60, 0x60, 0x7f, 0x80, 0x81, 0x86, 0x88, 0xa8, 0xdd, 0xff};
static const uint16_t ethertypes[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x9100,
				      46,     1536,   0x8863, 0x8864, 0x8847, 0x8848,
				      0x88e7, 0x893f, 0x8926, 0x894f, 0x88e5, 0x88cc};
static const uint8_t protos[] = {0, 43, 44, 51, 60, 6, 17, 58, 1, 59, 47, 50, 41, 132, 2, 46};

#define PICK(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

static bool has(const struct mutant *m, uint32_t at, uint32_t size)
{
	return m->l3 && at + size <= m->len;
}

static bool is_ip4(const struct mutant *m)
{
	return m->bytes[m->l3] >> 4 == 4;
}

static void insert(struct mutant *m, uint32_t at, const uint8_t *bytes, uint32_t size)
{
	if (at > m->len || m->len + size > FRAME_MAX)
		return;
	memmove(m->bytes + at + size, m->bytes + at, m->len - at);
	if (bytes)
		memcpy(m->bytes + at, bytes, size);
	else
		memset(m->bytes + at, 0, size);
	m->len += size;
	if (m->l3 && at <= m->l3)
		m->l3 += size;
}

/* The length field of IP: all of the frame, and @more */
static void fix_length(struct mutant *m, int more)
{
	if (!has(m, m->l3, 40))
		return;
	if (is_ip4(m))
		put16(m->bytes + m->l3 + 2, m->len - m->l3 + more);
	else
		put16(m->bytes + m->l3 + 4, m->len - m->l3 - 40 + more);
}

static void fix_checksum(struct mutant *m)
{
	uint32_t size = (m->bytes[m->l3] & 15) * 4;

	if (!has(m, m->l3, 20) || !is_ip4(m) || size < 20 || !has(m, m->l3, size))
		return;
	put16(m->bytes + m->l3 + 10, 0);
	put16(m->bytes + m->l3 + 10, ~ones_sum(m->bytes + m->l3, size, 0));
}

/* Any header field of IP, at its place in IPv4 or IPv6 */
static void mutate_ip(struct mutant *m)
{
	uint8_t *ip = m->bytes + m->l3;
	uint32_t words;

	if (!has(m, m->l3, 44))
		return;
	switch (below(8)) {
	case 0: /* fragment word, or the place that it has in an extension header */
		put16(ip + (is_ip4(m) ? 6 : 42),
		      one_in(2) ? below(65536)
				: (uint16_t[]){0, 0x2000, 0x4000, 0x8000, 1, 0x2001, 0x1fff,
					       2}[below(8)]);
		break;
	case 1:
		ip[is_ip4(m) ? 9 : 6] = PICK(protos);
		break;
	case 2: /* next header of what comes behind IPv6 */
		ip[40] = PICK(protos);
		break;
	case 3:
		ip[is_ip4(m) ? 8 : 7] = PICK(interesting);
		break;
	case 4: /* header length, mostly with as many bytes of options */
		words = below(16);
		ip[0] = (one_in(8) ? below(16) << 4 : 0x40) | words;
		if (words > 5 && !one_in(4)) {
			insert(m, m->l3 + 20, NULL, (words - 5) * 4);
			if (one_in(2))
				memcpy(m->bytes + m->l3 + 20, "\x94\4\0\0", 4);
			fix_length(m, 0);
		}
		break;
	case 5: /* addresses that nobody has, and equal ones */
		if (one_in(3))
			memcpy(ip + (is_ip4(m) ? 12 : 8), ip + (is_ip4(m) ? 16 : 24),
			       is_ip4(m) ? 4 : 16);
		else
			ip[is_ip4(m) ? 12 : 8] = (uint8_t[]){0, 127, 224, 255, 240, 10}[below(6)];
		break;
	case 6:
		memset(ip + (is_ip4(m) ? 12 : 8), 0, is_ip4(m) ? 4 : 16);
		break;
	default:
		fix_length(m, one_in(4) ? (int)below(65536) : (int)below(81) - 60);
	}
}

/* IPv6 with extension headers of any kind and size put in */
static void mutate_extensions(struct mutant *m)
{
	uint8_t header[2048] = {};
	uint32_t size, at;

	for (uint32_t count = 1 + (one_in(3) ? below(10) : 0); count; count--) {
		uint8_t kind = protos[below(5)];

		at = m->l3 + 40;
		if (!has(m, m->l3, 40) || is_ip4(m))
			return;
		memset(header, 0, 8);
		header[0] = m->bytes[m->l3 + 6];
		header[1] = below(kind == 44 ? 256 : one_in(16) ? 120 : 3);
		size = kind == 44 ? 8 : kind == 51 ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		header[2] = one_in(2) ? 0 : 4;
		if (kind == 44)
			put16(header + 2, (uint16_t[]){0, 0, 1, 1, 8, 9, 6, 0xfff9}[below(8)]);
		insert(m, at, header, size);
		m->bytes[m->l3 + 6] = kind;
	}
	if (!one_in(8))
		fix_length(m, 0);
}

static void mutate_upper(struct mutant *m)
{
	uint8_t *p = m->bytes + m->l4;

	if (!m->l4 || !has(m, m->l4, 20))
		return;
	switch (below(7)) {
	case 0: /* flags of TCP */
		p[13] = random_bits();
		break;
	case 1:
		p[13] = (uint8_t[]){
			0x10, 0x18, 2, 0x12, 0x11, 4, 0x14, 0, 0x29, 3, 6, 0x50}[below(12)];
		break;
	case 2: /* data offset */
		p[12] = below(16) << 4;
		break;
	case 3:
		put16(p + 2 * below(2), one_in(3) ? 0 : below(65536));
		break;
	case 4: /* checksum of the pseudo-header only */
		put16(p + (m->base->bytes[m->l3 + (is_ip4(m) ? 9 : 6)] == TCP ? 16 : 6),
		      ones_sum(m->bytes + m->l3 + (is_ip4(m) ? 12 : 8), is_ip4(m) ? 8 : 32,
			       m->len - m->l4 + m->bytes[m->l3 + (is_ip4(m) ? 9 : 6)]));
		break;
	case 5: /* what no stage looks at */
		put16(p + 4 + 2 * below(2), below(65536));
		break;
	default:
		for (uint32_t i = below(20); i < 20; i++)
			p[i] = random_bits();
	}
}

static void mutate_link(struct mutant *m)
{
	uint8_t tag[4] = {0x81, 0};

	switch (below(6)) {
	case 0: /* another destination */
		m->bytes[below(6)] ^= 1 << below(8);
		break;
	case 1:
		put16(m->bytes + 12, PICK(ethertypes));
		break;
	case 2: /* priority or identifier of its tag, if it has one */
		m->bytes[14] ^= 1 << below(8);
		break;
	case 3: /* TPID */
		put16(m->bytes + 12, one_in(2) ? 0x8100 : 0x88a8);
		break;
	default:
		put16(tag, one_in(8) ? PICK(ethertypes) : one_in(2) ? 0x8100 : 0x88a8);
		put16(tag + 2, one_in(2) ? below(65536) : (uint16_t[]){0, 5, 7, 0x2005}[below(4)]);
		insert(m, 12, tag, 4);
	}
}

static void mutate_size(struct mutant *m)
{
	uint32_t size;

	switch (below(4)) {
	case 0: /* cut */
		m->len = below(m->len + 1);
		break;
	case 1: /* cut, and say so */
		m->len = below(m->len + 1);
		fix_length(m, 0);
		break;
	case 2: /* padding */
		size = below(64);
		insert(m, m->len, NULL, size);
		break;
	default: /* longer */
		size = below(one_in(4) ? 1500 : 64);
		insert(m, m->len, NULL, size);
		fix_length(m, 0);
	}
}

/* The first bytes of this one, the last ones of another */
static void mutate_splice(struct mutant *m)
{
	const struct base *other = base_pick();
	uint32_t at = 14 + below(60), from = 14 + below(60);

	if (at > m->len || from > other->len || at + other->len - from > FRAME_MAX)
		return;
	memcpy(m->bytes + at, other->bytes + from, other->len - from);
	m->len = at + other->len - from;
	if (!one_in(4))
		fix_length(m, 0);
}

static void mutate_bytes(struct mutant *m)
{
	uint32_t at;

	if (m->len <= 12)
		return;
	at = 12 + below(m->len - 12 < 80 ? m->len - 12 : 80);
	if (one_in(2))
		m->bytes[at] ^= 1 << below(8);
	else
		m->bytes[at] = PICK(interesting);
}

static void mutate(struct mutant *m)
{
	static void (*const operations[])(struct mutant *) = {
		mutate_bytes,	   mutate_bytes, mutate_ip,   mutate_ip,    mutate_upper,
		mutate_extensions, mutate_link,	 mutate_size, mutate_upper, mutate_splice,
	};

	if (one_in(16)) /* nothing but a new packet of the same flow */
		return fix_checksum(m);
	do {
		PICK(operations)(m);
	} while (one_in(3));
	if (!one_in(4))
		fix_checksum(m);
	if (m->len < SIZE_MIN)
		m->len = SIZE_MIN;
}

static void mutant_start(struct mutant *m, const struct base *b)
{
	struct view v;

	view_read(&v, b->bytes, b->len);
	memcpy(m->bytes, b->bytes, b->len);
	m->len = b->len;
	m->l3 = v.l3;
	m->l4 = v.l4;
	m->base = b;
}

/* --- leases ----------------------------------------------------------------------------------- */

/* What the director makes of a packet: as IPVS forwards it, the tag removed */
static uint32_t forwarded(const struct view *v, uint8_t *out)
{
	uint32_t size = v->len - (v->l3 - 14);
	uint8_t *ip = out + 14;

	memcpy(out, real, 6);
	memcpy(out + 6, director, 6);
	memcpy(out + 12, v->frame + v->l3 - 2, size - 12);
	ip[v->version == 4 ? 8 : 7]--;
	if (v->version == 4) {
		put16(ip + 10, 0);
		put16(ip + 10, ~ones_sum(ip, 20, 0));
	}
	return size;
}

static int program(const char *id)
{
	int fd = bpf_prog_get_fd_by_id(strtoul(id, NULL, 10));

	if (fd < 0)
		die(id);
	return fd;
}

static int map(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), PINS "%s", name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(path);
	return fd;
}

/* Leases last, no packet is a sample for IPVS, and there is no IPVS here */
static struct ecbpf_fastpath settings_set(void)
{
	struct ecbpf_fastpath s;
	__u32 key = 0;
	int fd = map("fastpath");

	if (bpf_map_lookup_elem(fd, &key, &s))
		die("fastpath");
	s.lease = s.sample = s.sample_fin = s.inactive = FOREVER;
	s.flags = ECBPF_FASTPATH_ROUTED;
	if (bpf_map_update_elem(fd, &key, &s, BPF_ANY))
		die("fastpath");
	close(fd);
	return s;
}

/* The director keeps clients of this UDP service on their server */
static void service_add(const struct view *v)
{
	static int fd;
	struct ecbpf_udp_service service = {};
	__u8 one = 1;

	if (!fd)
		fd = map("fastpath_udp");
	if (v->version == 4) {
		memcpy((uint8_t *)service.addr + 10, "\xff\xff", 2);
		memcpy(&service.addr[3], view_addr(v, true), 4);
	} else {
		memcpy(service.addr, view_addr(v, true), 16);
	}
	if (bpf_map_update_elem(fd, &service, &one, BPF_ANY))
		die("fastpath_udp");
}

static int xdp_run(int fd, const uint8_t *frame, uint32_t len, uint8_t *out, uint32_t *ret_len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .data_out = out,
		    .data_size_out = FRAME_MAX + 256, .repeat = 1);

	if (bpf_prog_test_run_opts(fd, &opts))
		die("BPF_PROG_TEST_RUN");
	*ret_len = opts.data_size_out;
	return opts.retval;
}

static void egress_run(int fd, const uint8_t *frame, uint32_t len)
{
	struct __sk_buff ctx = {.ingress_ifindex = 1};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	if (bpf_prog_test_run_opts(fd, &opts))
		die("BPF_PROG_TEST_RUN of the egress program");
}

/* Give leases to all flows that get through to the stack, and note them in the model */
static void flows_learn(int xdp, int egress)
{
	uint8_t out[FRAME_MAX + 256], sent[FRAME_MAX];
	struct view v;
	uint32_t len;

	for (int i = 0; i < bases[USE_FLOW].count && flows.count < FLOWS_MAX; i++) {
		const struct base *b = &bases[USE_FLOW].bases[i];

		view_read(&v, b->bytes, b->len);
		if (!is_plain(&v) || model(&config, &flows, &v).fate != FATE_STACK ||
		    flow_find(&flows, &v))
			continue;
		if (v.proto == UDP)
			service_add(&v);
		if (xdp_run(xdp, b->bytes, b->len, out, &len) != XDP_PASS)
			continue; /* run() finds it */
		egress_run(egress, sent, forwarded(&v, sent));
		flow_add(&flows, flow_of(&v));
	}
}

/* The groups of the table that are in use, as they were when all had their leases */
static struct saved {
	__u32 index;
	struct ecbpf_flow_group group;
} saved[FLOWS_MAX];
static int saved_count;

static void leases_save(int fd, __u32 groups)
{
	static const struct ecbpf_flow_group none;

	for (__u32 i = 0; i < groups && saved_count < FLOWS_MAX; i++) {
		saved[saved_count].index = i;
		if (bpf_map_lookup_elem(fd, &i, &saved[saved_count].group))
			die("fastpath_flows");
		saved_count += !!memcmp(&saved[saved_count].group, &none, sizeof(none));
	}
}

static void leases_restore(int fd)
{
	for (int i = 0; i < saved_count; i++)
		if (bpf_map_update_elem(fd, &saved[i].index, &saved[i].group, BPF_ANY))
			die("fastpath_flows");
	for (int i = 0; i < flows.count; i++)
		flows.flows[i].is_leased = true;
	flows.ended = 0;
}

/* --- the run ---------------------------------------------------------------------------------- */

static uint64_t fates[FATES], checked[CHECKS_COUNT], defects[DEFECTS_COUNT], wrong;

static void print_frame(FILE *out, const uint8_t *frame, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		fprintf(out, "%02x", frame[i]);
}

static void say_wrong(const struct mutant *m, const struct outcome *o, int verdict, const char *why)
{
	if (wrong++ >= WRONG_MAX)
		return;
	printf("WRONG the model says '%s' (checks %#x, rule %d), the program %d%s: ",
	       fate_names[o->fate], o->checks, o->rule + 1, verdict, why);
	print_frame(stdout, m->bytes, m->len);
	puts("");
}

static void count(const struct outcome *o, const struct view *v)
{
	fates[o->fate]++;
	defects[v->defect]++;
	for (int i = 0; o->fate == FATE_CHECK && i < CHECKS_COUNT; i++)
		checked[i] += o->checks >> i & 1;
}

static void run_one(int xdp, const struct mutant *m)
{
	uint8_t out[FRAME_MAX + 256], want[FRAME_MAX + 256];
	struct outcome o;
	struct view v;
	uint32_t len;
	int verdict, expected = XDP_DROP;

	view_read(&v, m->bytes, m->len);
	o = model(&config, &flows, &v);
	count(&o, &v);
	verdict = xdp_run(xdp, m->bytes, m->len, out, &len);
	if (o.fate >= FATE_STACK)
		expected = o.fate == FATE_FORWARD ? XDP_TX : XDP_PASS;
	if (verdict != expected)
		say_wrong(m, &o, verdict, "");
	else if (verdict == XDP_TX && (len != forwarded(&v, want) || memcmp(out, want, len)))
		say_wrong(m, &o, verdict, ", other bytes");
	else if (verdict == XDP_PASS && (len != m->len || memcmp(out, m->bytes, len)))
		say_wrong(m, &o, verdict, ", changed");
}

static int run(uint64_t seed, uint64_t todo, const char *xdp_id, const char *egress_id)
{
	int xdp = program(xdp_id), egress = program(egress_id), table = map("fastpath_flows");
	struct ecbpf_fastpath settings = settings_set();
	struct mutant m;

	flows_learn(xdp, egress);
	leases_save(table, settings.groups);
	random_seed(seed + 1000000007);
	for (uint64_t done = 0; done < todo && wrong < WRONG_MAX; done += RUN) {
		const struct base *b = base_pick();

		for (int i = 0; i < RUN; i++) {
			mutant_start(&m, b);
			mutate(&m);
			run_one(xdp, &m);
		}
		if (flows.ended)
			leases_restore(table);
	}
	printf("seed %llu, %d rules, %d leases:", (unsigned long long)seed, config.rules_count,
	       flows.count);
	for (int i = 0; i < FATES; i++)
		printf(" %s %llu,", fate_names[i], (unsigned long long)fates[i]);
	for (int i = 0; i < CHECKS_COUNT; i++)
		printf(" check-%s %llu,", check_names[i], (unsigned long long)checked[i]);
	for (int i = 1; i < DEFECTS_COUNT; i++)
		printf(" defect-%s %llu%s", defect_names[i], (unsigned long long)defects[i],
		       i + 1 < DEFECTS_COUNT ? "," : "\n");
	return wrong != 0;
}

/* For comparison with the models in Python: frame, defect, and what fw alone does */
static void dump(uint64_t seed, uint64_t todo)
{
	struct mutant m;

	random_seed(seed + 1000000007);
	for (; todo; todo--) {
		struct outcome o = {.rule = -1};
		struct view v;
		bool is_drop;

		mutant_start(&m, base_pick());
		mutate(&m);
		view_read(&v, m.bytes, m.len);
		is_drop = fw_drops(&config, &v, &o);
		printf("%s %s %d ", defect_names[v.defect], is_drop ? "drop" : "pass", o.rule);
		print_frame(stdout, m.bytes, m.len);
		puts("");
	}
}

int main(int argc, char **argv)
{
	uint64_t seed, todo;

	if (argc < 5)
		return 2;
	seed = strtoull(argv[2], NULL, 10);
	todo = strtoull(argv[4], NULL, 10);
	frames_read(argv[3]);
	captured_flows_pick(seed);
	config_make(seed);
	if (!strcmp(argv[1], "config"))
		config_write(argv[4]);
	else if (!strcmp(argv[1], "dump"))
		dump(seed, todo);
	else if (argc == 7 && !strcmp(argv[1], "run"))
		return run(seed, todo, argv[5], argv[6]);
	else
		return 2;
	return 0;
}
