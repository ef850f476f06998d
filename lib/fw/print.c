// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Prints rules in their canonical form: options in a fixed order, values sorted, defaults
 * omitted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include "core/error.h"
#include "core/util.h"
#include "fw/rules.h"

static void print_range(FILE *out, __u32 first, __u32 last)
{
	fprintf(out, first == last ? "%u" : "%u-%u", first, last);
}

/* Print the values between the ranges. Return: the number of gaps */
static size_t print_gaps(FILE *out, __u32 max, const struct fw_values *values)
{
	size_t count = 0;
	__u32 next = 0;

	for (size_t i = 0; i <= values->count; i++) {
		__u32 first = i < values->count ? values->ranges[i].first : max + 1;

		if (first > next) {
			if (out && count)
				fputs(", ", out);
			if (out)
				print_range(out, next, first - 1);
			count++;
		}
		if (i < values->count)
			next = (__u32)values->ranges[i].last + 1;
	}
	return count;
}

static void print_values(FILE *out, const char *name, __u32 max, const struct fw_values *values)
{
	size_t count = values->is_negated ? print_gaps(NULL, max, values) : values->count;

	if (!values->count)
		return;
	fprintf(out, " %s %s%s", name, values->is_negated ? "!" : "", count > 1 ? "{" : "");
	if (values->is_negated)
		print_gaps(out, max, values);
	for (size_t i = 0; !values->is_negated && i < count; i++) {
		if (i)
			fputs(", ", out);
		print_range(out, values->ranges[i].first, values->ranges[i].last);
	}
	fputs(count > 1 ? "}" : "", out);
}

static void print_prefix(FILE *out, const struct ecbpf_prefix *prefix)
{
	char text[ECBPF_PREFIX_TEXT];

	ecbpf_prefix_format(prefix, text);
	fputs(text, out);
}

static void print_prefixes(FILE *out, const struct ecbpf_prefix *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			fputs(", ", out);
		print_prefix(out, &prefixes[i]);
	}
}

static void print_addrs(FILE *out, const struct ecbpf_fw_ruleset *ruleset,
			const struct fw_addrs *addrs)
{
	bool has_braces = addrs->prefixes_count > 1;

	fputs(addrs->is_negated ? "!" : "", out);
	switch (addrs->kind) {
	case FW_ADDRS_ANY:
		fputs("any", out);
		break;
	case FW_ADDRS_SET:
		fprintf(out, "@%s", ruleset->sets[addrs->set].name);
		break;
	case FW_ADDRS_LIST:
		fputs(has_braces ? "{" : "", out);
		print_prefixes(out, addrs->prefixes, addrs->prefixes_count);
		fputs(has_braces ? "}" : "", out);
		break;
	}
}

static void print_flag_set(FILE *out, const char *name, __u8 flags)
{
	static const char *const names[] = {"cwr", "ece", "urg", "ack", "psh", "rst", "syn", "fin"};
	const char *comma = "";

	fprintf(out, " %s {", name);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(flags & 0x80 >> i))
			continue;
		fprintf(out, "%s%s", comma, names[i]);
		comma = ", ";
	}
	fputs("}", out);
}

static void print_frags(FILE *out, __u8 frags)
{
	bool first = frags & 1 << ECBPF_FRAG_FIRST, later = frags & 1 << ECBPF_FRAG_LATER;

	if (frags != FW_FRAGS_ALL)
		fprintf(out, " frag %s",
			first && later ? "any"
			: first	       ? "first"
			: later	       ? "later"
				       : "no");
}

static void print_malformed(FILE *out, __u32 reasons)
{
	const char *separator = reasons & (reasons - 1) ? "malformed {" : "malformed ";

	if (reasons == FW_MALFORMED_ANY) {
		fputs("malformed any", out);
		return;
	}
	for (__u32 i = 1; i <= ECBPF_REASON_MALFORMED_LAST; i++) {
		if (!(reasons >> i & 1))
			continue;
		fprintf(out, "%s%s", separator, ecbpf_reason_name(i));
		separator = ", ";
	}
	fputs(reasons & (reasons - 1) ? "}" : "", out);
}

static void print_protos(FILE *out, const struct fw_rule *rule)
{
	if (rule->protos & FW_PROTO_TCP) {
		fputs(" tcp", out);
		print_values(out, "sport", 65535, &rule->tcp.sport);
		print_values(out, "dport", 65535, &rule->tcp.dport);
		print_values(out, "port", 65535, &rule->tcp.port);
		print_values(out, "window", 65535, &rule->tcp.window);
		if (rule->tcp.mask)
			print_flag_set(out, "flags", rule->tcp.flags);
		if (rule->tcp.mask != rule->tcp.flags)
			print_flag_set(out, "mask", rule->tcp.mask);
	}
	if (rule->protos & FW_PROTO_UDP) {
		fputs(" udp", out);
		print_values(out, "sport", 65535, &rule->udp.sport);
		print_values(out, "dport", 65535, &rule->udp.dport);
		print_values(out, "port", 65535, &rule->udp.port);
	}
	if (rule->protos & FW_PROTO_ICMP) {
		fputs(rule->family == 6 ? " icmp6" : " icmp", out);
		print_values(out, "type", 255, &rule->icmp.type);
		print_values(out, "code", 255, &rule->icmp.code);
	}
	if (rule->protos & FW_PROTO_ICMP6) {
		fputs(" icmp6", out);
		print_values(out, "type", 255, &rule->icmp6.type);
		print_values(out, "code", 255, &rule->icmp6.code);
	}
	if (rule->protos & FW_PROTO_NUMBER) {
		if (rule->proto.ranges[0].first == 0 && rule->proto.ranges[0].last == 255)
			fputs(" proto any", out);
		else
			print_values(out, "proto", 255, &rule->proto);
	}
}

static void print_limit(FILE *out, const struct fw_limit *limit, __u8 family)
{
	if (limit->is_bytes && limit->rate % FW_MEGABIT)
		fprintf(out, " limit %llukbit/s", limit->rate / (FW_MEGABIT / 1000));
	else if (limit->is_bytes)
		fprintf(out, " limit %lluMbit/s", limit->rate / FW_MEGABIT);
	else if (limit->rate % 1000000 == 0)
		fprintf(out, " limit %lluMpps", limit->rate / 1000000);
	else if (limit->rate % 1000 == 0)
		fprintf(out, " limit %llukpps", limit->rate / 1000);
	else
		fprintf(out, " limit %llu/s", limit->rate);
	if (limit->burst != fw_limit_burst(limit))
		fprintf(out, " burst %llu", limit->burst);
	if (limit->src_len)
		fputs(" per src", out);
	if (limit->src_len && limit->src_len != fw_limit_src_len(family))
		fprintf(out, "/%u", limit->src_len);
}

static void print_rule(FILE *out, const struct ecbpf_fw_ruleset *ruleset,
		       const struct fw_rule *rule)
{
	static const char *const actions[] = {
		[FW_DROP] = " drop", [FW_PASS] = " pass", [FW_COUNT] = " count"};

	if (rule->length.count) {
		fputs("packet", out);
		print_values(out, "length", 65535, &rule->length);
		fputs(" ", out);
	}
	if (rule->malformed)
		print_malformed(out, rule->malformed);
	if (rule->family) {
		fprintf(out, "%s%s from ", rule->malformed ? " " : "",
			fw_family_name(rule->family));
		print_addrs(out, ruleset, &rule->src);
		fputs(" to ", out);
		print_addrs(out, ruleset, &rule->dst);
	}
	print_values(out, "ttl", 255, &rule->ttl);
	print_values(out, "vlan", 4095, &rule->vlan);
	print_frags(out, rule->frags);
	fputs(rule->options ? " options" : "", out);
	print_protos(out, rule);
	fputs(rule->is_dry ? " dry" : "", out);
	if (rule->action == FW_LIMIT)
		print_limit(out, &rule->limit, rule->family);
	else
		fputs(actions[rule->action], out);
	if (rule->name)
		fprintf(out, " name \"%s\"", rule->name);
}

static void print_set(FILE *out, const struct fw_set *set, bool is_whole)
{
	fprintf(out, "set %s ", set->name);
	if (set->family)
		fputs(set->family == 4 ? "ip " : "ip6 ", out);
	if (set->is_live) {
		fputs("live\n", out);
		return;
	}
	if (set->path && !is_whole) {
		fprintf(out, "file \"%s\"\n", set->path);
		return;
	}
	fputs("{", out);
	for (size_t i = 0; i < set->prefixes_count; i++) {
		fputs("\n\t", out);
		print_prefix(out, &set->prefixes[i]);
	}
	fputs(set->prefixes_count ? "\n}\n" : "}\n", out);
}

static void print_assertion(FILE *out, const struct ecbpf_fw_assertion *assertion)
{
	fputs("test sha1 ", out);
	for (size_t i = 0; i < sizeof(assertion->sha1); i++)
		fprintf(out, "%02x", assertion->sha1[i]);
	fprintf(out, " xdp_action %s\n", ecbpf_action_name(assertion->action));
}

char *fw_rule_print(const struct ecbpf_fw_ruleset *ruleset, const struct fw_rule *rule)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	if (rule->text)
		return strdup(rule->text);
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	print_rule(out, ruleset, rule);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

char *ecbpf_fw_rule_text(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	return fw_rule_print(ruleset, &ruleset->rules[index]);
}

static int print(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, bool is_whole,
		 char **ret_text)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return ecbpf_fail_memory(e);
	for (size_t i = 0; i < ruleset->sets_count; i++)
		print_set(out, &ruleset->sets[i], is_whole);
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		if (ruleset->rules[i].text)
			fputs(ruleset->rules[i].text, out);
		else
			print_rule(out, ruleset, &ruleset->rules[i]);
		fputs("\n", out);
	}
	for (size_t i = 0; i < ruleset->assertions_count; i++)
		print_assertion(out, &ruleset->assertions[i]);
	if (fclose(out)) {
		free(text);
		return ecbpf_fail_memory(e);
	}
	*ret_text = text;
	return 0;
}

int ecbpf_fw_print(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, char **ret_text)
{
	return print(e, ruleset, false, ret_text);
}

int fw_print_whole(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, char **ret_text)
{
	return print(e, ruleset, true, ret_text);
}
