// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rules that would cut the operator off, found before they are live.
 *
 * Each connection of sessions.h is two packets of its client, which the new rules must not drop if
 * the live rules do not. What counts is the verdict of the packets' program. To load it takes 0.2
 * seconds, and so the model of known.h is asked first whether it is to be expected that a packet
 * would be dropped: of the rules that a change leaves alone, no verdict is needed.
 *
 * A set can have a million prefixes, of which only those matter that have an address of a
 * connection: in the trial a set has these addresses, and no others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include "bpf/map.h"
#include "bpf/trie.h"
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "core/sessions.h"
#include "fw/build.h"
#include "fw/guard.h"
#include "fw/known.h"

#define OPTIONS_SIZE 12 /* two NOPs and a timestamp, as nearly all hosts send */
#define DATA_SIZE    36 /* a key that is typed in SSH */
#define FRAME_MAX    160
#define RULE_SHOWN   160

/* @rule: of the new rules: drops it */
struct packet {
	const struct session *session;
	__u8 frame[FRAME_MAX];
	size_t size;
	struct fw_known known;
	bool is_candidate;
	size_t rule;
};

/* Rules that differ: from @first on, before these ends */
struct span {
	size_t first;
	size_t old_end;
	size_t new_end;
};

/**
 * struct side - rules, new or live ones
 * @view: with the rules of another ruleset, and sets of its own
 * @bounds: parts before the first rule that differs, and before the first one of the equal end
 */
struct side {
	struct ecbpf_fw_ruleset view;
	struct fw_parts parts;
	size_t bounds[2];
};

/**
 * struct guard - a change, and what it is tried with
 * @addrs: of the connections, sorted, each once
 * @is_refused: that is the error; others are about the trial
 */
struct guard {
	struct ecbpf *e;
	struct sessions sessions;
	struct packet *packets;
	size_t packets_count;
	struct ecbpf_prefix *addrs;
	size_t addrs_count;
	struct side new;
	struct side old;
	bool is_refused;
};

/* --- packets ---------------------------------------------------------------------------------- */

static __u16 ip_checksum(const __u8 *header)
{
	__u32 sum = 0;

	for (size_t i = 0; i < sizeof(struct iphdr); i += 2)
		sum += header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return htons(~(sum + (sum >> 16)));
}

static size_t put_ip(__u8 *at, const struct session *s, size_t upper)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(ip) + upper),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
	};
	struct ip6_hdr ip6 = {
		.ip6_flow = htonl(6U << 28),
		.ip6_plen = htons(upper),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hops = 64,
	};

	if (s->client.family == 4) {
		memcpy(&ip.saddr, s->client.addr, sizeof(ip.saddr));
		memcpy(&ip.daddr, s->server.addr, sizeof(ip.daddr));
		ip.check = ip_checksum((const __u8 *)&ip);
		memcpy(at, &ip, sizeof(ip));
		return sizeof(ip);
	}
	memcpy(&ip6.ip6_src, s->client.addr, sizeof(ip6.ip6_src));
	memcpy(&ip6.ip6_dst, s->server.addr, sizeof(ip6.ip6_dst));
	memcpy(at, &ip6, sizeof(ip6));
	return sizeof(ip6);
}

/* An ACK of the client; with @data_size bytes of data, also PSH */
static void packet_make(struct packet *packet, const struct session *s, size_t data_size)
{
	struct tcphdr tcp = {
		.source = htons(s->client_port),
		.dest = htons(s->server_port),
		.seq = htonl(1),
		.ack_seq = htonl(1),
		.doff = (sizeof(tcp) + OPTIONS_SIZE) / 4,
		.ack = 1,
		.psh = data_size > 0,
		.window = htons(501),
	};
	static const __u8 options[OPTIONS_SIZE] = {1, 1, 8, 10};
	__u8 *at = packet->frame + ETH_HLEN;

	packet->session = s;
	at[-2] = s->client.family == 4 ? ETH_P_IP >> 8 : ETH_P_IPV6 >> 8;
	at[-1] = s->client.family == 4 ? ETH_P_IP & 0xff : ETH_P_IPV6 & 0xff;
	at += put_ip(at, s, sizeof(tcp) + OPTIONS_SIZE + data_size);
	memcpy(at, &tcp, sizeof(tcp));
	memcpy(at + sizeof(tcp), options, sizeof(options));
	packet->size = at - packet->frame + sizeof(tcp) + OPTIONS_SIZE + data_size;
	fw_known_set(&packet->known, packet->frame, packet->size, packet->size);
}

static void addr_add(struct guard *g, const struct ecbpf_prefix *addr)
{
	size_t at = 0;
	int order = 1;

	while (at < g->addrs_count && (order = ecbpf_prefix_compare(&g->addrs[at], addr)) < 0)
		at++;
	if (at < g->addrs_count && !order)
		return;
	memmove(&g->addrs[at + 1], &g->addrs[at], (g->addrs_count++ - at) * sizeof(*addr));
	g->addrs[at] = *addr;
}

static int packets_make(struct guard *g)
{
	size_t count = g->sessions.count;

	g->packets = calloc(2 * count + 1, sizeof(*g->packets));
	g->addrs = calloc(2 * count + 1, sizeof(*g->addrs));
	if (!g->packets || !g->addrs)
		return ecbpf_fail_memory(g->e);
	for (size_t i = 0; i < count; i++) {
		const struct session *s = &g->sessions.items[i];

		packet_make(&g->packets[g->packets_count++], s, 0);
		packet_make(&g->packets[g->packets_count++], s, DATA_SIZE);
		addr_add(g, &s->client);
		addr_add(g, &s->server);
	}
	return 0;
}

/* --- sets: which addresses of the connections they have --------------------------------------- */

/* Mark in @has the addresses that are in @prefix */
static void mark(const struct guard *g, const struct ecbpf_prefix *prefix, bool *has)
{
	size_t first = 0, end = g->addrs_count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (ecbpf_prefix_compare(&g->addrs[middle], prefix) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	for (; first < g->addrs_count && ecbpf_prefix_has(prefix, &g->addrs[first]); first++)
		has[first] = true;
}

static int set_fill(const struct guard *g, const bool *has, struct fw_set *set)
{
	set->prefixes = calloc(g->addrs_count + 1, sizeof(*set->prefixes));
	if (!set->prefixes)
		return ecbpf_fail_memory(g->e);
	for (size_t i = 0; i < g->addrs_count; i++)
		if (has[i])
			set->prefixes[set->prefixes_count++] = g->addrs[i];
	return 0;
}

static void mark_live(const struct guard *g, struct ecbpf_trie *trie, bool *has)
{
	__u32 len;

	for (size_t i = 0; i < g->addrs_count; i++) {
		struct ecbpf_trie_op op = fw_trie_op(&g->addrs[i], 0);

		has[i] = ecbpf_trie_match(trie, &op, &len);
	}
}

/* Of a set of live rules; none of one of which parts are lost */
static int fill_live(const struct guard *g, const struct fw_maps *maps, __u16 entry,
		     struct fw_set *set)
{
	_cleanup_free_ bool *has = calloc(g->addrs_count + 1, sizeof(*has));
	struct ecbpf_trie *trie = NULL;
	struct ecbpf_view head;
	int err;

	if (!has)
		return ecbpf_fail_memory(g->e);
	err = fw_set_open(g->e, maps, set->name, entry, false, &head, &trie);
	if (!err) {
		mark_live(g, trie, has);
		fw_set_close(&head, trie);
	}
	return err && err != -ENODATA ? err : set_fill(g, has, set);
}

static int fill_listed(const struct guard *g, const struct fw_set *from, struct fw_set *set)
{
	_cleanup_free_ bool *has = calloc(g->addrs_count + 1, sizeof(*has));

	if (!has)
		return ecbpf_fail_memory(g->e);
	for (size_t i = 0; i < from->prefixes_count; i++)
		mark(g, &from->prefixes[i], has);
	return set_fill(g, has, set);
}

/* --- rules ------------------------------------------------------------------------------------ */

/* The rules of @ruleset, with empty sets */
static int side_begin(const struct guard *g, const struct ecbpf_fw_ruleset *ruleset,
		      struct side *side)
{
	side->view = (struct ecbpf_fw_ruleset){.rules = ruleset->rules,
					       .rules_count = ruleset->rules_count};
	side->view.sets = calloc(ruleset->sets_count + 1, sizeof(*side->view.sets));
	if (!side->view.sets)
		return ecbpf_fail_memory(g->e);
	for (; side->view.sets_count < ruleset->sets_count; side->view.sets_count++) {
		struct fw_set *set = &side->view.sets[side->view.sets_count];

		set->family = ruleset->sets[side->view.sets_count].family;
		strcpy(set->name, ruleset->sets[side->view.sets_count].name);
	}
	return fw_parts_make(ruleset, &side->parts) ? ecbpf_fail_memory(g->e) : 0;
}

static void side_free(struct side *side)
{
	for (size_t i = 0; i < side->view.sets_count; i++)
		fw_set_free(&side->view.sets[i]);
	free(side->view.sets);
	fw_parts_free(&side->parts);
}

static int fill_old(struct guard *g, const struct fw_maps *maps, const struct fw_state *state)
{
	int err = 0;

	for (size_t i = 0; i < g->old.view.sets_count && !err; i++)
		err = fill_live(g, maps, state->sets[i], &g->old.view.sets[i]);
	return err;
}

/* Sets of @new that stay as they are have the addresses of those of the session */
static int fill_new(struct guard *g, const struct ecbpf_fw_ruleset *new, bool is_change)
{
	int err = 0;

	for (size_t i = 0; i < new->sets_count && !err; i++) {
		const struct fw_set *from = &new->sets[i], *live = NULL;
		struct fw_set *set = &g->new.view.sets[i];

		if (is_change || from->is_live)
			live = fw_set_find(&g->old.view, from->name, strlen(from->name));
		err = fill_listed(g, live ?: from, set);
	}
	return err;
}

/* Of rules that were lent, and of those that they were lent from */
static bool rule_is_same(const struct fw_rule *lent, const struct fw_rule *rule)
{
	return lent->is_lent && lent->text && lent->text == rule->text;
}

/* The first part of the rule, or of one behind it */
static size_t part_of(const struct side *side, size_t rule)
{
	size_t part = rule;

	while (part < side->parts.count && side->parts.index[part] < rule)
		part++;
	return part;
}

/* @is_change: @new is made of lent rules, most of which are the same */
static struct span span_of(const struct ecbpf_fw_ruleset *old, const struct ecbpf_fw_ruleset *new,
			   bool is_change)
{
	struct span span = {.old_end = old->rules_count, .new_end = new->rules_count};

	while (is_change && span.first < span.old_end && span.first < span.new_end &&
	       rule_is_same(&new->rules[span.first], &old->rules[span.first]))
		span.first++;
	while (is_change && span.old_end > span.first && span.new_end > span.first &&
	       rule_is_same(&new->rules[span.new_end - 1], &old->rules[span.old_end - 1])) {
		span.old_end--;
		span.new_end--;
	}
	return span;
}

static bool has_rule(const struct ecbpf_fw_ruleset *ruleset, size_t first, size_t end,
		     enum fw_action action)
{
	for (size_t i = first; i < end; i++) {
		const struct fw_rule *rule = &ruleset->rules[i];

		if (rule->action == action && !rule->is_dry && !rule->malformed &&
		    (rule->protos & FW_PROTO_TCP ||
		     (rule->protos & FW_PROTO_NUMBER && fw_values_have(&rule->proto, IPPROTO_TCP))))
			return true;
	}
	return false;
}

/* Can it be that TCP is dropped that was not? */
static bool may_cut(const struct ecbpf_fw_ruleset *old, const struct ecbpf_fw_ruleset *new,
		    const struct span *span)
{
	return has_rule(new, span->first, span->new_end, FW_DROP) ||
	       has_rule(old, span->first, span->old_end, FW_PASS);
}

static void bounds_set(struct guard *g, const struct span *span)
{
	g->new.bounds[0] = part_of(&g->new, span->first);
	g->new.bounds[1] = part_of(&g->new, span->new_end);
	g->old.bounds[0] = part_of(&g->old, span->first);
	g->old.bounds[1] = part_of(&g->old, span->old_end);
}

enum verdict {
	UNDECIDED,
	PASSES,
	DROPS,
};

/* By the parts @from to @end. A limit decides nothing here */
static enum verdict decide(const struct side *side, size_t from, size_t end,
			   const struct fw_known *known)
{
	for (size_t part = from; part < end; part++) {
		const struct fw_rule *rule = &side->parts.rules[part];

		if (rule->is_dry || (rule->action != FW_DROP && rule->action != FW_PASS))
			continue;
		if (fw_known_match(known, &side->view, rule) == FW_MATCH_YES)
			return rule->action == FW_DROP ? DROPS : PASSES;
	}
	return UNDECIDED;
}

/* Is it to be expected that the new rules drop a packet that the live ones do not? */
static bool is_candidate(const struct guard *g, const struct fw_known *known)
{
	const struct side *new = &g->new, *old = &g->old;
	enum verdict after = decide(new, new->bounds[0], new->bounds[1], known);
	enum verdict before = decide(old, old->bounds[0], old->bounds[1], known);

	if ((!after && !before) || decide(new, 0, new->bounds[0], known))
		return false;
	if (!after)
		after = decide(new, new->bounds[1], new->parts.count, known);
	if (after != DROPS)
		return false;
	if (!before)
		before = decide(old, old->bounds[1], old->parts.count, known);
	return before != DROPS;
}

/* --- trial ------------------------------------------------------------------------------------ */

/* A copy in which limits only count: time stands still in a trial, and they would be used up */
static struct ecbpf_fw_ruleset *trial_rules(const struct side *side)
{
	struct ecbpf_fw_ruleset *copy = fw_ruleset_copy(&side->view);

	for (size_t i = 0; copy && i < copy->rules_count; i++)
		if (copy->rules[i].action == FW_LIMIT)
			copy->rules[i].action = FW_COUNT;
	return copy;
}

/* Candidates stay those that a rule of the new rules drops, or that the live rules do not drop */
static int try_side(struct guard *g, struct ecbpf_fw_trial **trial, const struct side *side,
		    bool is_new)
{
	struct ecbpf_fw_ruleset *rules = trial_rules(side);
	__u32 action = XDP_PASS;
	int err;

	if (!rules)
		return ecbpf_fail_memory(g->e);
	err = *trial ? ecbpf_fw_trial_set(g->e, *trial, rules)
		     : ecbpf_fw_trial_new(g->e, rules, trial);
	for (size_t i = 0; i < g->packets_count && !err; i++) {
		struct packet *packet = &g->packets[i];
		size_t rule;

		if (!packet->is_candidate)
			continue;
		err = ecbpf_fw_trial_run(g->e, *trial, packet->frame, packet->size, &action, &rule);
		packet->is_candidate = !err && (action == XDP_DROP) == is_new &&
				       (!is_new || rule != ECBPF_FW_NO_RULE);
		if (is_new)
			packet->rule = rule;
	}
	ecbpf_fw_ruleset_free(rules);
	return err;
}

/* Return: how many connections; @ret_first: a packet of the first one; errors */
static int find_cut(struct guard *g, const struct packet **ret_first)
{
	struct ecbpf_fw_trial *trial = NULL;
	const struct session *last = NULL;
	int err = 0, count = 0;
	bool is_any = false;

	for (size_t i = 0; i < g->packets_count; i++) {
		g->packets[i].is_candidate = is_candidate(g, &g->packets[i].known);
		is_any |= g->packets[i].is_candidate;
	}
	if (is_any)
		err = try_side(g, &trial, &g->new, true);
	if (is_any && !err)
		err = try_side(g, &trial, &g->old, false);
	ecbpf_fw_trial_free(trial);
	for (size_t i = 0; i < g->packets_count && !err; i++) {
		if (!g->packets[i].is_candidate || g->packets[i].session == last)
			continue;
		last = g->packets[i].session;
		if (!count++)
			*ret_first = &g->packets[i];
	}
	return err ? err : count;
}

/* --- what is said of it ----------------------------------------------------------------------- */

static int tell(struct guard *g, const struct packet *packet, int count, bool is_warning,
		const char *remedy)
{
	_cleanup_free_ char *text = fw_rule_print(&g->new.view, &g->new.view.rules[packet->rule]);
	char session[SESSION_TEXT], more[40] = "", line[640];

	if (!text)
		return ecbpf_fail_memory(g->e);
	session_format(packet->session, session);
	if (count > 1)
		snprintf(more, sizeof(more), " and %d more", count - 1);
	snprintf(line, sizeof(line), "rule %zu (%.*s%s) %s %s%s", packet->rule + 1, RULE_SHOWN,
		 text, strlen(text) > RULE_SHOWN ? "..." : "", is_warning ? "drops" : "would drop",
		 session, more);
	g->is_refused = !is_warning;
	if (!is_warning)
		return ecbpf_fail(g->e, -EPERM, "%s: refused without %s", line, remedy);
	ecbpf_log(g->e, ECBPF_LOG_WARN, "%s", line);
	return 0;
}

static void sides_free(struct guard *g)
{
	side_free(&g->new);
	side_free(&g->old);
	g->new = g->old = (struct side){};
}

/* What cannot be tried must not keep rules from being changed during an attack */
static int guard_end(struct guard *g, int err)
{
	if (err && !g->is_refused) {
		ecbpf_log(g->e, ECBPF_LOG_WARN,
			  "it was not tried whether this drops your own sessions: %s", g->e->error);
		err = 0;
	}
	sides_free(g);
	sessions_free(&g->sessions);
	free(g->packets);
	free(g->addrs);
	return err;
}

/* Return: 0; -EPERM; errors: it is not known */
static int guard_try(struct guard *g, bool is_warning, const char *remedy)
{
	const struct packet *first = NULL;
	int count = find_cut(g, &first);

	if (!first) /* an error, or none is cut */
		return count;
	return tell(g, first, count, is_warning || g->e->list_policy & ECBPF_LIST_FORCE, remedy);
}

static bool is_guarded(const struct ecbpf *e)
{
	return e->guards_sessions && !e->is_applying;
}

/* Connections that cannot be read are told; the own one may be known nevertheless */
static int guard_begin(struct ecbpf *e, bool only_attended, struct guard *g)
{
	*g = (struct guard){.e = e};
	if (sessions_read(e, only_attended, &g->sessions))
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "it was not tried whether this drops connections to this host: %s",
			  e->error);
	return packets_make(g);
}

int fw_guard_rules(struct ecbpf *e, const struct fw_session *s, const struct ecbpf_fw_ruleset *new,
		   bool is_change)
{
	const struct ecbpf_fw_ruleset *old = s->old.ruleset;
	const struct span span = span_of(old, new, is_change);
	struct guard g;
	bool is_boot;
	int err;

	if (!is_guarded(e) || !may_cut(old, new, &span))
		return 0;
	err = guard_begin(e, false, &g);
	if (err || !g.sessions.count)
		return guard_end(&g, err);
	/* nobody is there to read it, and without rules the host would be open */
	is_boot = !old->rules_count && !g.sessions.has_own && !g.sessions.has_terminal;
	err = side_begin(&g, old, &g.old);
	if (!err)
		err = fill_old(&g, &s->maps, &s->old);
	if (!err)
		err = side_begin(&g, new, &g.new);
	if (!err)
		err = fill_new(&g, new, is_change);
	if (!err) {
		bounds_set(&g, &span);
		err = guard_try(&g, is_boot || e->confirm_s, "--confirm 60s or --force");
	}
	return guard_end(&g, err);
}

/* --- a set that is changed -------------------------------------------------------------------- */

/* Is the address in a prefix of the set that is not deleted? */
static bool is_left(const struct ecbpf_prefix *addr, const struct ecbpf_list *list,
		    struct ecbpf_trie *trie)
{
	for (unsigned int len = 0; len <= addr->len; len++) {
		struct ecbpf_prefix prefix = *addr;
		struct ecbpf_trie_op op;
		size_t i = 0;

		prefix.len = len;
		ecbpf_prefix_mask(&prefix);
		op = fw_trie_op(&prefix, 0);
		if (!ecbpf_trie_find(trie, &op))
			continue;
		while (i < list->count && ecbpf_prefix_compare(&list->entries[i].prefix, &prefix))
			i++;
		if (i == list->count)
			return true;
	}
	return false;
}

/* Return: does the set get or lose an address? @has: which ones it has then */
static bool mark_changed(const struct guard *g, const struct fw_set *set,
			 enum ecbpf_fw_set_change change, const struct ecbpf_list *list,
			 struct ecbpf_trie *trie, bool *has)
{
	bool is_changed = false;

	for (size_t i = 0; i < list->count && change != ECBPF_FW_SET_DELETE; i++)
		if (!set->family || set->family == list->entries[i].prefix.family)
			mark(g, &list->entries[i].prefix, has);
	for (size_t i = 0; i < g->addrs_count; i++) {
		struct ecbpf_trie_op op = fw_trie_op(&g->addrs[i], 0);
		bool had;
		__u32 len;

		had = ecbpf_trie_match(trie, &op, &len);
		if (change == ECBPF_FW_SET_ADD)
			has[i] |= had;
		else if (change == ECBPF_FW_SET_DELETE)
			has[i] = had && is_left(&g->addrs[i], list, trie);
		is_changed |= has[i] != had;
	}
	return is_changed;
}

/* With all rules of a generation: the session has those that use sets */
static int try_set(struct guard *g, const struct fw_session *s, __u32 generation, size_t index,
		   const bool *has)
{
	const char *name = s->old.ruleset->sets[index].name;
	struct fw_state state = {};
	struct fw_set *set;
	struct span span;
	int err;

	err = fw_state_read(g->e, &s->maps, generation, false, &state);
	if (err)
		return err;
	set = fw_set_find(state.ruleset, name, strlen(name));
	if (!set || state.sets[set - state.ruleset->sets] != s->old.sets[index]) {
		fw_state_free(&state); /* it is of the other rules, made anew */
		return 0;
	}
	err = side_begin(g, state.ruleset, &g->old);
	if (!err)
		err = fill_old(g, &s->maps, &state);
	if (!err)
		err = side_begin(g, state.ruleset, &g->new);
	if (!err)
		err = fill_new(g, state.ruleset, true);
	set = err ? NULL : fw_set_find(&g->new.view, name, strlen(name));
	if (set) {
		free(set->prefixes);
		set->prefixes = NULL;
		set->prefixes_count = 0;
		err = set_fill(g, has, set);
	}
	if (!err) {
		span = span_of(state.ruleset, state.ruleset, false);
		bounds_set(g, &span);
		err = guard_try(g, false, "--force");
	}
	sides_free(g);
	fw_state_free(&state);
	return err;
}

static bool is_used(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	for (size_t i = 0; i < ruleset->rules_count; i++)
		if (fw_rule_uses_set(&ruleset->rules[i], index))
			return true;
	return false;
}

int fw_guard_set(struct ecbpf *e, const struct fw_session *s, size_t index,
		 enum ecbpf_fw_set_change change, const struct ecbpf_list *list,
		 struct ecbpf_trie *trie)
{
	const struct fw_set *set = &s->old.ruleset->sets[index];
	_cleanup_free_ bool *has = NULL;
	struct guard g;
	int err;

	if (!is_guarded(e) || (!is_used(s->old.ruleset, index) && !s->live.waits))
		return 0;
	err = guard_begin(e, true, &g);
	if (!err)
		has = calloc(g.addrs_count + 1, sizeof(*has));
	if (!err && !has)
		err = ecbpf_fail_memory(e);
	if (!err && mark_changed(&g, set, change, list, trie, has)) {
		err = try_set(&g, s, s->active, index, has);
		if (!err && s->live.waits) /* the rules that come back if nobody confirms */
			err = try_set(&g, s, s->live.stored.before & ECBPF_FW_GENERATION, index,
				      has);
	}
	return guard_end(&g, err);
}
