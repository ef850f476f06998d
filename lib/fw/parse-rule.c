// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One rule from text: its options, in any order.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/array.h"
#include "core/util.h"
#include "core/handle.h"
#include "fw/parse.h"

enum keyword {
	KW_NONE,
	KW_MALFORMED,
	KW_PACKET,
	KW_LENGTH,
	KW_VLAN,
	KW_IP,
	KW_IP6,
	KW_INET,
	KW_FROM,
	KW_TO,
	KW_TTL,
	KW_FRAG,
	KW_OPTIONS,
	KW_TCP,
	KW_UDP,
	KW_ICMP,
	KW_ICMP6,
	KW_PROTO,
	KW_SPORT,
	KW_DPORT,
	KW_PORT,
	KW_WINDOW,
	KW_FLAGS,
	KW_TYPE,
	KW_CODE,
	KW_NAME,
	KW_DROP,
	KW_PASS,
	KW_ACCEPT,
	KW_COUNT,
	KW_LIMIT,
	KW_DRY,
	KW_MAX,
};

#define KW(keyword) (1ULL << (keyword))
#define KW_FAMILIES (KW(KW_IP) | KW(KW_IP6) | KW(KW_INET))

/*
 * @behind: the keyword must follow one of these, or another keyword of the same group
 * @is_group: begins a group
 */
/* clang-format off */
static const struct {
	const char *name;
	__u64 behind;
	bool is_group;
} keywords[KW_MAX] = {
	[KW_MALFORMED] = { "malformed", 0, false },
	[KW_PACKET] = { "packet", 0, true },
	[KW_LENGTH] = { "length", KW(KW_PACKET), false },
	[KW_VLAN] = { "vlan", 0, false },
	[KW_IP] = { "ip", 0, true },
	[KW_IP6] = { "ip6", 0, true },
	[KW_INET] = { "inet", 0, true },
	[KW_FROM] = { "from", KW_FAMILIES, false },
	[KW_TO] = { "to", KW_FAMILIES, false },
	[KW_TTL] = { "ttl", 0, false },
	[KW_FRAG] = { "frag", 0, false },
	[KW_OPTIONS] = { "options", 0, false },
	[KW_TCP] = { "tcp", 0, true },
	[KW_UDP] = { "udp", 0, true },
	[KW_ICMP] = { "icmp", 0, true },
	[KW_ICMP6] = { "icmp6", 0, true },
	[KW_PROTO] = { "proto", 0, true },
	[KW_SPORT] = { "sport", KW(KW_TCP) | KW(KW_UDP), false },
	[KW_DPORT] = { "dport", KW(KW_TCP) | KW(KW_UDP), false },
	[KW_PORT] = { "port", KW(KW_TCP) | KW(KW_UDP), false },
	[KW_WINDOW] = { "window", KW(KW_TCP), false },
	[KW_FLAGS] = { "flags", KW(KW_TCP), false },
	[KW_TYPE] = { "type", KW(KW_ICMP) | KW(KW_ICMP6), false },
	[KW_CODE] = { "code", KW(KW_ICMP) | KW(KW_ICMP6), false },
	[KW_NAME] = { "name", 0, false },
	[KW_DROP] = { "drop", 0, false },
	[KW_PASS] = { "pass", 0, false },
	[KW_ACCEPT] = { "accept", 0, false },
	[KW_COUNT] = { "count", 0, false },
	[KW_LIMIT] = { "limit", 0, false },
	[KW_DRY] = { "dry", 0, false },
};
/* clang-format on */

#define KW_ACTIONS (KW(KW_DROP) | KW(KW_PASS) | KW(KW_ACCEPT) | KW(KW_COUNT) | KW(KW_LIMIT))

/* The part of a rule that was read so far */
struct rule_state {
	struct fw_rule *rule;
	struct span start;
	size_t errors;		   /* of the lines before */
	__u64 seen;		   /* keywords */
	__u64 seen_behind[KW_MAX]; /* likewise, within each group */
	enum keyword group;	   /* of the previous keyword */
	struct span spans[KW_MAX]; /* last occurrence of each keyword */
	struct span src_len;	   /* of `per src/LEN` */
};

static const char *const flag_names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};

/* Take [{FLAG, ...}]. @ret_is_empty: the braces are empty */
static bool take_flag_set(struct parser *p, __u8 *ret_flags, bool *ret_is_empty)
{
	bool ok = true;

	*ret_flags = 0;
	*ret_is_empty = false;
	if (!fw_take(p->src, '{'))
		return true;
	if (fw_take(p->src, '}')) {
		*ret_is_empty = true;
		return true;
	}
	do {
		struct span word = fw_take_word(p->src);
		size_t i = 0;

		while (i < ARRAY_SIZE(flag_names) && !fw_word_is(&word, flag_names[i]))
			i++;
		if (i == ARRAY_SIZE(flag_names)) {
			p->src->pos = word.pos;
			return fw_error_expected(p,
						 "a flag (cwr, ece, urg, ack, psh, rst, syn, fin)");
		}
		*ret_flags |= 1 << i;
	} while (fw_take_comma(p, &ok));
	return ok;
}

/*
 * Take [F] [mask [M]], behind `flags`. F is empty by default, and M is F. `flags` alone matches any
 * flags, as in the former firewall. `flags {}` would do so, too, but reads like "no flags": it
 * needs a mask.
 */
static bool take_flags(struct parser *p, struct fw_rule *rule)
{
	struct span span = fw_span_begin(p->src);
	bool is_empty, mask_is_empty = false, has_mask;
	__u8 flags, mask;

	if (!take_flag_set(p, &flags, &is_empty))
		return false;
	mask = flags;
	has_mask = fw_take_keyword(p->src, "mask");
	if (has_mask && !take_flag_set(p, &mask, &mask_is_empty))
		return false;
	span.end = p->src->pos;
	if (mask_is_empty || (is_empty && !has_mask)) {
		fw_error_at(
			p, &span,
			"no flag is tested, so this matches any flags; for packets without flags: "
			"flags {} mask {cwr, ece, urg, ack, psh, rst, syn, fin}");
		return true;
	}
	if (flags & ~mask) {
		fw_error_at(p, &span,
			    "this matches nothing: a flag that must be set is not in the mask");
		return true;
	}
	rule->tcp.flags = flags;
	rule->tcp.mask = mask;
	if (!mask)
		rule->any |= FW_ANY_FLAGS;
	return true;
}

static __u32 find_malformed(const struct span *span)
{
	for (__u32 i = 1; i <= ECBPF_REASON_MALFORMED_LAST; i++) {
		const char *name = ecbpf_reason_name(i);

		if (name && fw_word_is(span, name))
			return i;
	}
	return 0;
}

/* any | REASON | {REASON, ...} */
static bool take_malformed(struct parser *p, struct fw_rule *rule)
{
	bool is_list, ok = true;

	if (fw_take_keyword(p->src, "any")) {
		rule->malformed = FW_MALFORMED_ANY;
		return true;
	}
	is_list = fw_take(p->src, '{');
	do {
		struct span span = fw_span_word(p->src);
		__u32 reason = find_malformed(&span);

		if (!reason)
			return fw_error_expected(p, "any, or a reason: "
						    "tcp-truncated, ip6-ext-limit, or another one "
						    "of ecbpf-fw-rules(5)");
		p->src->pos = span.end;
		rule->malformed |= 1U << reason;
	} while (is_list && fw_take_comma(p, &ok));
	if (!is_list && fw_peek(p->src) == ',')
		return fw_error_expected(p, "braces around a list: {runt, tcp-doff}");
	return ok;
}

static bool take_frag(struct parser *p, struct fw_rule *rule)
{
	static const struct {
		const char *name;
		__u8 frags;
	} kinds[] = {
		{"first", 1 << ECBPF_FRAG_FIRST},
		{"later", 1 << ECBPF_FRAG_LATER},
		{"any", 1 << ECBPF_FRAG_FIRST | 1 << ECBPF_FRAG_LATER},
		{"no", 1 << ECBPF_FRAG_NONE | 1 << ECBPF_FRAG_ATOMIC},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (fw_take_keyword(p->src, kinds[i].name)) {
			rule->frags = kinds[i].frags;
			return true;
		}
	return fw_error_expected(p, "'first', 'later', 'any' or 'no'");
}

/* Of `per src/LEN`; @family: 0 if it is not known yet */
static __u8 src_len_max(__u8 family)
{
	return family == 4 ? 32 : 128;
}

/* Of `limit`; @has_less: a 1000th of it is whole, too */
static const struct {
	const char *name;
	__u64 factor;
	__u64 max;
	bool is_bytes;
	bool has_less;
} units[] = {
	{"/s", 1, 1000000000, false, false},
	{"pps", 1, 1000000000, false, false},
	{"kpps", 1000, 1000000, false, true},
	{"Mpps", 1000000, 1000, false, true},
	{"kbit/s", FW_MEGABIT / 1000, 1000000000, true, false},
	{"Mbit/s", FW_MEGABIT, 1000000, true, true},
	{"Gbit/s", FW_MEGABIT * 1000ULL, 1000, true, true},
};

#define UNITS "/s, pps, kpps, Mpps, kbit/s, Mbit/s, Gbit/s"

/* Bits to some, bytes to others. Return: what to write; NULL: it is not such a unit */
static const char *other_unit(const struct span *span)
{
	static const char *const words[][2] = {
		{"kbps", "kbit/s"},   {"mbps", "Mbit/s"},   {"gbps", "Gbit/s"},
		{"kbit", "kbit/s"},   {"mbit", "Mbit/s"},   {"gbit", "Gbit/s"},
		{"kbit/s", "kbit/s"}, {"mbit/s", "Mbit/s"}, {"gbit/s", "Gbit/s"},
		{"mpps", "Mpps"},     {"kpps", "kpps"},
	};
	size_t len = span->end - span->pos;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i][0]) == len && !strncasecmp(words[i][0], span->pos, len))
			return words[i][1];
	return NULL;
}

/* Take the unit. Return: its index; that of no unit after an error */
static size_t take_unit(struct parser *p)
{
	struct span unit;
	const char *ours;
	size_t i = 0;

	if (fw_peek(p->src) == '/') {
		unit = fw_span_here(p->src);
		p->src->pos++;
		fw_peek(p->src);
		fw_take_word(p->src);
		unit.end = p->src->pos;
	} else {
		unit = fw_take_word(p->src);
		if (p->src->pos + 2 <= p->src->end && !memcmp(p->src->pos, "/s", 2))
			unit.end = p->src->pos += 2;
	}
	while (i < ARRAY_SIZE(units) && !fw_word_is(&unit, units[i].name))
		i++;
	if (i < ARRAY_SIZE(units))
		return i;
	ours = other_unit(&unit);
	if (ours) {
		fw_error_at(p, &unit, "limit: '%s' is no unit, write %s (units: " UNITS ")",
			    fw_quote(&unit), ours);
		return i;
	}
	p->src->pos = unit.pos;
	fw_error_expected(p, "a unit (" UNITS ")");
	return i;
}

/* Take N or N.N, behind which a unit follows. @ret_value: thousandths */
static bool take_rate(struct parser *p, __u64 *ret_value, bool *bad)
{
	struct source *src = p->src;
	struct span span = fw_span_word(src);
	const char *pos = span.pos;
	__u64 value = 0;
	int decimals = 0;

	while (pos < src->end && *pos >= '0' && *pos <= '9')
		pos++;
	if (pos == span.pos || pos + 1 >= src->end || *pos != '.' || pos[1] < '0' || pos[1] > '9') {
		if (!fw_take_number(p, "limit", 1, 1000000000, &value, bad))
			return false;
		*ret_value = value * 1000;
		return true;
	}
	for (const char *c = span.pos; c < pos; c++)
		if (value <= 1000000000)
			value = value * 10 + *c - '0';
	for (pos++; pos < src->end && *pos >= '0' && *pos <= '9'; pos++, decimals++)
		if (decimals < 3)
			value = value * 10 + *pos - '0';
	src->pos = span.end = pos;
	for (int i = decimals; i < 3; i++)
		value *= 10;
	if (!value || decimals > 3) {
		fw_error_at(p, &span, "limit: '%s' %s", fw_quote(&span),
			    value ? "has more than three decimals" : "is not above 0");
		*bad = true;
	}
	*ret_value = value;
	return true;
}

/* Take RATE [burst N] [per src[/LEN]] */
static bool take_limit(struct parser *p, struct rule_state *state)
{
	struct fw_limit *limit = &state->rule->limit;
	__u8 family = state->rule->family;
	struct span span = fw_span_word(p->src);
	bool bad = false;
	__u64 number;
	size_t i;

	if (!take_rate(p, &number, &bad))
		return false;
	i = take_unit(p);
	if (i == ARRAY_SIZE(units))
		return false;
	span.end = p->src->pos;
	if (number > units[i].max * 1000) {
		fw_error_at(p, &span, "limit: '%s' is more than %llu %s", fw_quote(&span),
			    units[i].max, units[i].name);
		bad = true;
	} else if (number % 1000 && !units[i].has_less) {
		fw_error_at(p, &span, "limit: '%s' is a fraction: of %s, write a whole number",
			    fw_quote(&span), units[i].name);
		bad = true;
	}
	limit->rate = number * units[i].factor / 1000;
	limit->is_bytes = units[i].is_bytes;
	limit->burst = fw_limit_burst(limit);
	if (fw_take_keyword(p->src, "burst") &&
	    !fw_take_number(p, "burst", 1, 4294967295, &limit->burst, &bad))
		return false;
	if (!fw_take_keyword(p->src, "per"))
		return true;
	if (!fw_take_keyword(p->src, "src"))
		return fw_error_expected(p, "'src' or 'src/LEN'");
	limit->src_len = 255; /* the default, when the family is known */
	if (fw_take(p->src, '/')) {
		state->src_len = fw_span_word(p->src);
		if (!fw_take_number(p, family ? "per src" : "per src (ip: at most 32)", 1,
				    src_len_max(family), &number, &bad))
			return false;
		state->src_len.end = p->src->pos;
		limit->src_len = number;
	}
	return true;
}

/* Behind ip, ip6 or inet */
static bool take_family(struct parser *p, struct fw_rule *rule, __u8 family)
{
	struct span span = fw_span_word(p->src);
	char first = fw_peek(p->src);

	rule->family = family;
	if (strchr("!@{", first) || (first >= '0' && first <= '9') ||
	    memchr(span.pos, ':', span.end - span.pos) || fw_word_is(&span, "any"))
		return fw_error_expected(p, "'from' or 'to' before addresses");
	return true;
}

static bool take_name(struct parser *p, struct fw_rule *rule)
{
	struct span span;

	if (!fw_take_quoted(p, "a name in double quotes", &rule->name, &span))
		return false;
	if (!*rule->name) {
		if (!p->is_kept)
			ecbpf_log(p->e, ECBPF_LOG_WARN, "%s:%u: name \"\" gives the rule no name",
				  p->src->file, p->src->number);
		free(rule->name);
		rule->name = NULL;
	} else if (!p->is_kept && !rule->name[strspn(rule->name, "0123456789")]) {
		fw_error_at(p, &span,
			    "a name must not be a number: 'rule delete %.20s' is about "
			    "the rule at that place",
			    rule->name);
	}
	return true;
}

/* Options that are one list of values. Without @any, each packet has the field */
static const struct {
	enum keyword keyword;
	enum keyword group; /* KW_NONE: of any */
	__u16 max;
	enum fw_names names;
	size_t off; /* of the values in the rule */
	enum fw_any any;
} value_options[] = {
	{KW_LENGTH, KW_NONE, 65535, FW_NAMES_NONE, offsetof(struct fw_rule, length), 0},
	{KW_VLAN, KW_NONE, 4095, FW_NAMES_NONE, offsetof(struct fw_rule, vlan), FW_ANY_VLAN},
	{KW_TTL, KW_NONE, 255, FW_NAMES_NONE, offsetof(struct fw_rule, ttl), 0},
	{KW_PROTO, KW_NONE, 255, FW_NAMES_PROTO, offsetof(struct fw_rule, proto), 0},
	{KW_SPORT, KW_TCP, 65535, FW_NAMES_TCP, offsetof(struct fw_rule, tcp.sport),
	 FW_ANY_TCP_SPORT},
	{KW_SPORT, KW_UDP, 65535, FW_NAMES_UDP, offsetof(struct fw_rule, udp.sport),
	 FW_ANY_UDP_SPORT},
	{KW_DPORT, KW_TCP, 65535, FW_NAMES_TCP, offsetof(struct fw_rule, tcp.dport),
	 FW_ANY_TCP_DPORT},
	{KW_DPORT, KW_UDP, 65535, FW_NAMES_UDP, offsetof(struct fw_rule, udp.dport),
	 FW_ANY_UDP_DPORT},
	{KW_PORT, KW_TCP, 65535, FW_NAMES_TCP, offsetof(struct fw_rule, tcp.port), FW_ANY_TCP_PORT},
	{KW_PORT, KW_UDP, 65535, FW_NAMES_UDP, offsetof(struct fw_rule, udp.port), FW_ANY_UDP_PORT},
	{KW_WINDOW, KW_NONE, 65535, FW_NAMES_NONE, offsetof(struct fw_rule, tcp.window),
	 FW_ANY_WINDOW},
	{KW_TYPE, KW_ICMP, 255, FW_NAMES_NONE, offsetof(struct fw_rule, icmp.type),
	 FW_ANY_ICMP_TYPE},
	{KW_CODE, KW_ICMP, 255, FW_NAMES_NONE, offsetof(struct fw_rule, icmp.code),
	 FW_ANY_ICMP_CODE},
	{KW_TYPE, KW_ICMP6, 255, FW_NAMES_NONE, offsetof(struct fw_rule, icmp6.type),
	 FW_ANY_ICMP6_TYPE},
	{KW_CODE, KW_ICMP6, 255, FW_NAMES_NONE, offsetof(struct fw_rule, icmp6.code),
	 FW_ANY_ICMP6_CODE},
};

static bool take_value_option(struct parser *p, struct rule_state *state, enum keyword keyword)
{
	for (size_t i = 0; i < ARRAY_SIZE(value_options); i++) {
		struct fw_values *values;
		bool ok;

		if (value_options[i].keyword != keyword ||
		    (value_options[i].group && value_options[i].group != state->group))
			continue;
		values = (void *)((char *)state->rule + value_options[i].off);
		ok = fw_take_values(p, keywords[keyword].name, value_options[i].max,
				    value_options[i].names, values);
		if (!values->count)
			state->rule->any |= value_options[i].any;
		return ok;
	}
	return true; /* no argument */
}

static const __u8 keyword_protos[KW_MAX] = {
	[KW_TCP] = FW_PROTO_TCP,     [KW_UDP] = FW_PROTO_UDP,	   [KW_ICMP] = FW_PROTO_ICMP,
	[KW_ICMP6] = FW_PROTO_ICMP6, [KW_PROTO] = FW_PROTO_NUMBER,
};

/* Note the keyword in the rule, and take its argument */
static bool take_argument(struct parser *p, struct rule_state *state, enum keyword keyword)
{
	struct fw_rule *rule = state->rule;

	rule->protos |= keyword_protos[keyword];
	switch (keyword) {
	case KW_MALFORMED:
		return take_malformed(p, rule);
	case KW_IP:
		return take_family(p, rule, 4);
	case KW_IP6:
		return take_family(p, rule, 6);
	case KW_INET:
		return take_family(p, rule, FW_INET);
	case KW_FROM:
		return fw_take_addrs(p, rule->family, false, &rule->src);
	case KW_TO:
		return fw_take_addrs(p, rule->family, true, &rule->dst);
	case KW_FRAG:
		return take_frag(p, rule);
	case KW_OPTIONS:
		rule->options = true;
		return true;
	case KW_FLAGS:
		return take_flags(p, rule);
	case KW_NAME:
		return take_name(p, rule);
	case KW_DROP:
		rule->action = FW_DROP;
		return true;
	case KW_PASS:
	case KW_ACCEPT:
		rule->action = FW_PASS;
		return true;
	case KW_COUNT:
		rule->action = FW_COUNT;
		return true;
	case KW_LIMIT:
		rule->action = FW_LIMIT;
		return take_limit(p, state);
	case KW_DRY:
		rule->is_dry = true;
		return true;
	default:
		return take_value_option(p, state, keyword);
	}
}

/* The keywords of @bits as "tcp or udp", for messages */
static const char *name_keywords(__u64 bits, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < KW_MAX; i++)
		if (bits & KW(i))
			len += snprintf(text + len, size - len, "%s%s", len ? " or " : "",
					keywords[i].name);
	return text;
}

/* Is the keyword allowed here? Return: false if not, which is reported */
static bool check_keyword(struct parser *p, struct rule_state *state, enum keyword keyword,
			  const struct span *span)
{
	static const __u64 exclusive[] = {KW_FAMILIES, KW_ACTIONS, KW(KW_SPORT) | KW(KW_PORT),
					  KW(KW_DPORT) | KW(KW_PORT)};
	const char *name = keywords[keyword].name;
	__u64 behind = keywords[keyword].behind, *seen = &state->seen;
	char text[64];

	if (behind) {
		if (!(behind & KW(state->group))) {
			fw_error_at(p, span, "'%s' must follow %s", name,
				    name_keywords(behind, text, sizeof(text)));
			return false;
		}
		seen = &state->seen_behind[state->group];
	}
	if (*seen & KW(keyword)) {
		fw_error_at(p, span, "'%s' is repeated", name);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(exclusive); i++) {
		if (!(exclusive[i] & KW(keyword)) || !(*seen & exclusive[i]))
			continue;
		fw_error_at(p, span, "'%s' and '%s' exclude each other",
			    name_keywords(*seen & exclusive[i], text, sizeof(text)), name);
		return false;
	}
	if (keyword == KW_DRY && state->seen & KW_ACTIONS) {
		fw_error_at(p, span, "'dry' must precede the action: dry %s",
			    name_keywords(state->seen & KW_ACTIONS, text, sizeof(text)));
		return false;
	}
	*seen |= KW(keyword);
	state->seen |= KW(keyword);
	state->spans[keyword] = *span;
	if (keywords[keyword].is_group)
		state->group = keyword;
	return true;
}

/* Return: false if the rest of the line cannot be parsed, which is reported */
static bool take_option(struct parser *p, struct rule_state *state)
{
	struct span word = fw_take_word(p->src);
	enum keyword keyword = KW_NONE + 1;

	while (keyword < KW_MAX && !fw_word_is(&word, keywords[keyword].name))
		keyword++;
	if (keyword == KW_MAX) {
		fw_span_to_word(p->src, &word);
		p->src->pos = word.pos;
		return fw_error_option(p, &word);
	}
	return check_keyword(p, state, keyword, &word) && take_argument(p, state, keyword);
}

/* Does one of the rule's protocols match packets without an upper-layer header? */
static bool takes_later(const struct fw_rule *rule)
{
	return rule->protos & FW_PROTO_NUMBER ||
	       (rule->protos & FW_PROTO_TCP && !rule->tcp.sport.count && !rule->tcp.dport.count &&
		!rule->tcp.port.count && !rule->tcp.window.count && !rule->tcp.mask) ||
	       (rule->protos & FW_PROTO_UDP && !rule->udp.sport.count && !rule->udp.dport.count &&
		!rule->udp.port.count) ||
	       (rule->protos & FW_PROTO_ICMP && !rule->icmp.type.count && !rule->icmp.code.count) ||
	       (rule->protos & FW_PROTO_ICMP6 && !rule->icmp6.type.count &&
		!rule->icmp6.code.count);
}

/* `proto 6` matches all that `tcp` matches: with both, the ports of `tcp` would have no effect */
static void check_proto(struct parser *p, const struct rule_state *state)
{
	const struct fw_rule *rule = state->rule;
	static const struct {
		enum keyword keyword;
		__u8 proto;
	} protos[] = {{KW_TCP, 6}, {KW_UDP, 17}, {KW_ICMP, 1}, {KW_ICMP6, 58}};

	if (!(rule->protos & FW_PROTO_NUMBER))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (state->seen & KW(protos[i].keyword) &&
		    fw_values_have(&rule->proto, protos[i].proto))
			fw_error_at(p, &state->spans[KW_PROTO],
				    "'proto' includes %u, which is '%s'; remove one of them",
				    protos[i].proto, keywords[protos[i].keyword].name);
}

static void check_limit(struct parser *p, const struct rule_state *state)
{
	struct fw_rule *rule = state->rule;
	__u8 max = src_len_max(rule->family);

	if (rule->action != FW_LIMIT || !rule->limit.src_len)
		return;
	if (rule->family == FW_INET) {
		fw_error_at(
			p, &state->spans[KW_LIMIT],
			"'per src' and 'inet' in one rule: write a rule for ip and one for ip6");
		return;
	}
	if (rule->limit.src_len == 255)
		rule->limit.src_len = fw_limit_src_len(rule->family);
	else if (rule->limit.src_len > max)
		fw_error_at(p, &state->src_len, "per src: '%s' is not a number from 1 to %u",
			    fw_quote(&state->src_len), max);
}

/* Of a malformed packet, only what stands before the defect can be read */
static void check_malformed(struct parser *p, const struct rule_state *state)
{
	static const enum keyword others[] = {KW_TTL, KW_FRAG, KW_OPTIONS, KW_TCP,
					      KW_UDP, KW_ICMP, KW_ICMP6,   KW_PROTO};
	const struct fw_rule *rule = state->rule;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (state->seen & KW(others[i]))
			fw_error_at(p, &state->spans[others[i]],
				    "'%s' and 'malformed' in one rule: with malformed go packet "
				    "length, vlan, ip, ip6 and inet",
				    keywords[others[i]].name);
	if (!rule->family && rule->action == FW_LIMIT && rule->limit.src_len)
		fw_error_at(p, &state->spans[KW_LIMIT], "'per src' needs ip or ip6");
}

/* A rule of ip or ip6 has one ICMP, its own */
static void check_icmp(struct parser *p, const struct rule_state *state)
{
	const __u64 both = KW(KW_ICMP) | KW(KW_ICMP6);
	struct fw_rule *rule = state->rule;

	if (rule->family == 4 && state->seen & KW(KW_ICMP6))
		fw_error_at(p, &state->spans[KW_ICMP6], "'icmp6' needs ip6; with ip, write icmp");
	if (rule->family == 6 && state->seen & KW(KW_ICMP))
		fw_error_at(p, &state->spans[KW_ICMP], "'icmp' needs ip; with ip6, write icmp6");
	if (rule->family == FW_INET && state->seen & both && (state->seen & both) != both)
		fw_error_at(p, &state->spans[state->seen & KW(KW_ICMP) ? KW_ICMP : KW_ICMP6],
			    "'%s' alone is of one family: write icmp and icmp6, or %s instead of "
			    "inet",
			    state->seen & KW(KW_ICMP) ? "icmp" : "icmp6",
			    state->seen & KW(KW_ICMP) ? "ip" : "ip6");
	if (rule->family == 6 && (state->seen & both) == KW(KW_ICMP6)) {
		rule->icmp.type = rule->icmp6.type;
		rule->icmp.code = rule->icmp6.code;
		rule->icmp6.type = rule->icmp6.code = (struct fw_values){};
		rule->protos ^= FW_PROTO_ICMP | FW_PROTO_ICMP6;
	}
}

/* `port !53`: neither of both. Return: false without memory */
static bool port_not(struct parser *p, struct fw_values *port, struct fw_values *sport,
		     struct fw_values *dport)
{
	if (!port->is_negated || !port->count)
		return true;
	*sport = *port;
	*port = (struct fw_values){};
	*dport = *sport;
	dport->ranges = ecbpf_array_copy(sport->ranges, sport->count, sizeof(*sport->ranges));
	if (!dport->ranges)
		dport->count = 0;
	p->no_memory |= !dport->ranges;
	return dport->ranges;
}

/* Does it test anything but the protocol? */
static bool selects(const struct fw_rule *rule)
{
	return rule->src.kind || rule->dst.kind || rule->length.count || rule->vlan.count ||
	       rule->ttl.count || rule->frags != FW_FRAGS_ALL || rule->options;
}

/* Checks that need the whole rule */
static void check_rule(struct parser *p, const struct rule_state *state)
{
	struct fw_rule *rule = state->rule;

	if (rule->malformed) {
		check_malformed(p, state);
		check_limit(p, state);
		return;
	}
	if (!rule->family) {
		fw_error_at(p, &state->start, "a rule needs ip, ip6, or inet for both");
		return;
	}
	if (!rule->protos && !selects(rule) && p->errors.errors == state->errors) {
		fw_error_at(p, &state->start,
			    "this rule matches all packets of %s: if you mean that, write proto "
			    "any; else a protocol (tcp, udp, icmp, icmp6, proto N) or another "
			    "selector",
			    rule->family == FW_INET ? "ip and ip6" : fw_family_name(rule->family));
		return;
	}
	if (!rule->protos)
		rule->protos = FW_PROTO_NUMBER;
	check_icmp(p, state);
	if (!port_not(p, &rule->tcp.port, &rule->tcp.sport, &rule->tcp.dport) ||
	    !port_not(p, &rule->udp.port, &rule->udp.sport, &rule->udp.dport))
		return;
	if (rule->protos & FW_PROTO_NUMBER && !rule->proto.count) {
		struct fw_range *all =
			fw_grow(p, &rule->proto.ranges, &rule->proto.count, sizeof(*all));

		if (!all)
			return;
		*all = (struct fw_range){.first = 0, .last = 255};
	}
	check_proto(p, state);
	if (rule->frags == 1 << ECBPF_FRAG_LATER && !takes_later(rule))
		fw_error_at(
			p, &state->spans[KW_FRAG],
			"this matches nothing: a later fragment has no ports, window, flags, type "
			"or code");
	check_limit(p, state);
}

/* Take the whole line. Errors are counted in p->errors */
void fw_take_rule(struct parser *p, struct fw_rule *rule)
{
	struct rule_state state = {
		.rule = rule, .start = fw_span_word(p->src), .errors = p->errors.errors};

	rule->line = p->src->number;
	rule->frags = FW_FRAGS_ALL;
	while (fw_peek(p->src) != '\n')
		if (!take_option(p, &state))
			return;
	check_rule(p, &state);
}
