// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rules that never match, because an earlier rule decides on all packets that they match.
 *
 * A rule that covers another one matches its values at the edges: first and last address, first and
 * last port. For each of these fields the values of all rules are walked in ascending order, with a
 * bit for each rule that matches the value. What is left of a rule's bits are few rules, which are
 * compared with it.
 */
#include <stdlib.h>
#include <string.h>
#include "fw/cover.h"
#include "fw/within.h"

#define STEPS_MAX 5000000 /* comparisons of rules or prefixes: a second or two */

enum field {
	FIELD_SRC,
	FIELD_DST,
	FIELD_SPORT,
	FIELD_DPORT,
	FIELDS,
};

/**
 * struct event - on the walk over the values of a field
 * @value: where it is
 * @order: at the same value, 0 comes before 1 before 2: a rule begins to match; a rule is looked
 *	   at; a rule ends to match
 * @rule: index
 */
struct event {
	struct fw_addr value;
	__u32 order;
	__u32 rule;
};

enum {
	EVENT_BEGIN,
	EVENT_LOOK,
	EVENT_END
};

/**
 * struct cover - the search, for packets of one kind
 * @count: of rules; @words: that a bit for each of them takes
 * @rules: as they are for the kind; @has: which of them match such packets; @is_row: which of them
 *	   are looked for
 * @left: for each rule, bits of those that may cover it
 * @bits: of the walk
 */
struct cover {
	size_t count;
	size_t words;
	struct fw_rule *rules;
	bool *has;
	bool *is_row;
	__u64 *left;
	__u64 *bits;
	struct event *events;
	size_t events_count;
	size_t events_room;
};

static bool decides(const struct fw_rule *rule)
{
	return !rule->is_dry && (rule->action == FW_DROP || rule->action == FW_PASS);
}

static int event_compare(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	int result = fw_addr_compare(x->value, y->value);

	return result ? result : (int)x->order - (int)y->order;
}

static bool event_add(struct cover *c, struct fw_addr value, __u32 order, size_t rule)
{
	if (c->events_count == c->events_room) {
		size_t room = c->events_room ? 2 * c->events_room : 1024;
		struct event *more = reallocarray(c->events, room, sizeof(*more));

		if (!more)
			return false;
		c->events = more;
		c->events_room = room;
	}
	c->events[c->events_count++] = (struct event){value, order, rule};
	return true;
}

static void bit_set(__u64 *bits, size_t bit, bool value)
{
	if (value)
		bits[bit / 64] |= 1ULL << bit % 64;
	else
		bits[bit / 64] &= ~(1ULL << bit % 64);
}

/* --- addresses -------------------------------------------------------------------------------- */

static const struct fw_addrs *addrs_of(const struct fw_rule *rule, enum field field)
{
	return field == FIELD_SRC ? &rule->src : &rule->dst;
}

/* Of sets and negated lists, any address may match */
static bool add_addrs(struct cover *c, const struct fw_addrs *addrs, size_t rule)
{
	if (addrs->kind != FW_ADDRS_LIST || addrs->is_negated) {
		bit_set(c->bits, rule, true);
		return true;
	}
	for (size_t i = 0; i < addrs->prefixes_count; i++)
		if (!event_add(c, fw_addr_make(&addrs->prefixes[i], false), EVENT_BEGIN, rule) ||
		    !event_add(c, fw_addr_make(&addrs->prefixes[i], true), EVENT_END, rule))
			return false;
	return true;
}

/* @ret: an address that the rule matches, the last one or the first one that is known */
static bool look_addrs(const struct fw_addrs *addrs, __u8 family, bool is_last, struct fw_addr *ret)
{
	const struct ecbpf_prefix all = {.family = family};

	if (addrs->kind == FW_ADDRS_SET || addrs->is_negated || !family)
		return false;
	if (addrs->kind == FW_ADDRS_ANY)
		*ret = fw_addr_make(&all, is_last);
	else
		*ret = fw_addr_make(&addrs->prefixes[is_last ? addrs->prefixes_count - 1 : 0],
				    is_last);
	return true;
}

/* --- ports ------------------------------------------------------------------------------------ */

static const struct fw_values *ports_of(const struct fw_rule *rule, bool is_tcp, enum field field)
{
	if (is_tcp)
		return field == FIELD_SPORT ? &rule->tcp.sport : &rule->tcp.dport;
	return field == FIELD_SPORT ? &rule->udp.sport : &rule->udp.dport;
}

static bool add_ranges(struct cover *c, const struct fw_values *values, size_t rule)
{
	for (size_t i = 0; i < values->count; i++)
		if (!event_add(c, (struct fw_addr){.low = values->ranges[i].first}, EVENT_BEGIN,
			       rule) ||
		    !event_add(c, (struct fw_addr){.low = values->ranges[i].last}, EVENT_END, rule))
			return false;
	return true;
}

/* Only rules of TCP or of UDP alone are told apart by their ports */
static bool has_one_port(const struct fw_rule *rule)
{
	return (rule->protos == FW_PROTO_TCP && !rule->tcp.port.count) ||
	       (rule->protos == FW_PROTO_UDP && !rule->udp.port.count);
}

static bool add_ports(struct cover *c, const struct fw_rule *rule, enum field field, size_t index)
{
	const struct fw_values *values = ports_of(rule, rule->protos == FW_PROTO_TCP, field);

	if (has_one_port(rule) && values->count)
		return add_ranges(c, values, index);
	bit_set(c->bits, index, true);
	return true;
}

static bool look_ports(const struct fw_rule *rule, enum field field, bool is_last,
		       struct fw_addr *ret)
{
	const struct fw_values *values = ports_of(rule, rule->protos == FW_PROTO_TCP, field);

	if (!has_one_port(rule))
		return false;
	*ret = (struct fw_addr){.low = is_last ? 65535 : 0};
	if (values->count)
		ret->low =
			is_last ? values->ranges[values->count - 1].last : values->ranges[0].first;
	return true;
}

/* --- search ----------------------------------------------------------------------------------- */

/* Events of one field and end; what matches any value, and is no event, in c->bits */
static bool make_events(struct cover *c, enum field field, bool is_last, __u8 family)
{
	bool is_addr = field == FIELD_SRC || field == FIELD_DST, ok = true;

	c->events_count = 0;
	memset(c->bits, 0, c->words * sizeof(*c->bits));
	for (size_t i = 0; ok && i < c->count; i++) {
		const struct fw_rule *rule = &c->rules[i];
		struct fw_addr value;

		if (!c->has[i])
			continue;
		if (decides(rule))
			ok = is_addr ? add_addrs(c, addrs_of(rule, field), i)
				     : add_ports(c, rule, field, i);
		if (ok && c->is_row[i] &&
		    (is_addr ? look_addrs(addrs_of(rule, field), family, is_last, &value)
			     : look_ports(rule, field, is_last, &value)))
			ok = event_add(c, value, EVENT_LOOK, i);
	}
	return ok;
}

static bool walk(struct cover *c, enum field field, bool is_last, __u8 family)
{
	if (!make_events(c, field, is_last, family))
		return false;
	if (c->events_count)
		qsort(c->events, c->events_count, sizeof(*c->events), event_compare);
	for (size_t i = 0; i < c->events_count; i++) {
		const struct event *event = &c->events[i];
		__u64 *left = c->left + event->rule * c->words;

		if (event->order != EVENT_LOOK) {
			bit_set(c->bits, event->rule, event->order == EVENT_BEGIN);
			continue;
		}
		for (size_t word = 0; word <= event->rule / 64; word++)
			left[word] &= c->bits[word];
	}
	return true;
}

/* Does the rule @by cover @index also of the kinds behind @kind? */
static bool covers_rest(const struct ecbpf_fw_ruleset *ruleset, size_t index, size_t by,
			enum fw_kind kind, size_t *steps)
{
	struct fw_rule inner, outer;

	for (kind++; kind < FW_KINDS; kind++) {
		if (!fw_rule_of_kind(&ruleset->rules[index], kind, &inner))
			continue;
		if (!fw_rule_of_kind(&ruleset->rules[by], kind, &outer) ||
		    !fw_rule_within(&inner, &outer, steps))
			return false;
	}
	return true;
}

/* The first of the rules that are left for @index and cover it */
static size_t find(const struct cover *c, const struct ecbpf_fw_ruleset *ruleset, size_t index,
		   enum fw_kind kind, size_t *steps)
{
	const __u64 *left = c->left + index * c->words;

	for (size_t word = 0; word <= index / 64; word++) {
		for (__u64 bits = left[word]; bits; bits &= bits - 1) {
			size_t by = word * 64 + __builtin_ctzll(bits);

			if (by >= index || *steps >= STEPS_MAX)
				return FW_NOT_COVERED;
			++*steps;
			if (fw_rule_within(&c->rules[index], &c->rules[by], steps) &&
			    covers_rest(ruleset, index, by, kind, steps))
				return by;
		}
	}
	return FW_NOT_COVERED;
}

/* @is_done: rules that were looked for already, as of another kind */
static bool search(struct cover *c, const struct ecbpf_fw_ruleset *ruleset, enum fw_kind kind,
		   bool *is_done, size_t *covered, size_t *steps)
{
	__u8 family = fw_kind_version(kind);
	bool has_rows = false, ok = true;

	for (size_t i = 0; i < c->count; i++) {
		c->has[i] = fw_rule_of_kind(&ruleset->rules[i], kind, &c->rules[i]);
		c->is_row[i] = c->has[i] && !is_done[i];
		has_rows |= c->is_row[i];
	}
	if (!has_rows)
		return true;
	memset(c->bits, 0, c->words * sizeof(*c->bits));
	for (size_t i = 0; i < c->count; i++) { /* all earlier ones that decide */
		if (c->is_row[i])
			memcpy(c->left + i * c->words, c->bits, c->words * sizeof(*c->bits));
		if (c->has[i] && decides(&c->rules[i]))
			bit_set(c->bits, i, true);
	}
	for (enum field field = FIELD_SRC; ok && field < FIELDS; field++) {
		if (kind >= FW_KIND_MALFORMED && field >= FIELD_SPORT)
			break;
		ok = walk(c, field, false, family) && walk(c, field, true, family);
	}
	for (size_t i = 0; ok && i < c->count; i++) {
		if (!c->is_row[i])
			continue;
		covered[i] = find(c, ruleset, i, kind, steps);
		is_done[i] = true;
	}
	return ok;
}

size_t *fw_covered(const struct ecbpf_fw_ruleset *ruleset)
{
	size_t count = ruleset->rules_count, words = count / 64 + 1, steps = 0;
	size_t *covered = calloc(count + 1, sizeof(*covered));
	bool *is_done = calloc(count + 1, sizeof(*is_done));
	struct cover c = {
		.count = count,
		.words = words,
		.rules = calloc(count + 1, sizeof(*c.rules)),
		.has = calloc(count + 1, sizeof(*c.has)),
		.is_row = calloc(count + 1, sizeof(*c.is_row)),
		.left = calloc(count + 1, words * sizeof(*c.left)),
		.bits = calloc(words, sizeof(*c.bits)),
	};
	bool ok = covered && is_done && c.rules && c.has && c.is_row && c.left && c.bits;

	for (size_t i = 0; ok && i < count; i++)
		covered[i] = FW_NOT_COVERED;
	for (enum fw_kind kind = FW_KIND_IP4; ok && kind < FW_KINDS; kind++)
		ok = search(&c, ruleset, kind, is_done, covered, &steps);
	free(c.rules);
	free(c.has);
	free(c.is_row);
	free(c.left);
	free(c.bits);
	free(c.events);
	free(is_done);
	if (ok)
		return covered;
	free(covered);
	return NULL;
}
