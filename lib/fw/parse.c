// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A ruleset from text, see ecbpf-fw-rules(5). One pass, no tokens: a cursor moves along the text,
 * functions named fw_take_*() move it past what they recognise. A syntax error skips the rest of
 * its line, a bad value only itself, so that one run reports every error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <ecbpf/fw.h>
#include "core/error.h"
#include "core/handle.h"
#include "core/file.h"
#include "fw/parse.h"

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Take sha1 HEX xdp_action ACTION */
static bool take_assertion(struct parser *p, struct ecbpf_fw_assertion *assertion)
{
	static const struct {
		const char *name;
		__u32 action;
	} actions[] = {
		{"XDP_PASS", XDP_PASS}, {"XDP_DROP", XDP_DROP}, {"XDP_ABORTED", XDP_ABORTED}};
	struct span span;

	assertion->line = p->src->number;
	if (!fw_take_keyword(p->src, "sha1"))
		return fw_error_expected(p, "'sha1'");
	span = fw_span_word(p->src);
	for (int i = 0; i < 40; i++) {
		int digit = span.pos + i < span.end ? hex_digit(span.pos[i]) : -1;

		if (digit < 0 || span.end - span.pos != 40)
			return fw_error_expected(p, "a SHA-1 sum (40 hexadecimal digits)");
		assertion->sha1[i / 2] |= digit << (i % 2 ? 0 : 4);
	}
	p->src->pos = span.end;
	if (!fw_take_keyword(p->src, "xdp_action"))
		return fw_error_expected(p, "'xdp_action'");
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!fw_take_keyword(p->src, actions[i].name))
			continue;
		assertion->action = actions[i].action;
		return fw_peek(p->src) == '\n' || fw_error_expected(p, "the end of the line");
	}
	return fw_error_expected(p, "XDP_PASS, XDP_DROP or XDP_ABORTED");
}

/* Look up the sets that rules name. @rule: has all references; NULL: they say which rule */
static void resolve(struct parser *p, const struct ecbpf_fw_ruleset *sets, struct fw_rule *rule)
{
	bool used[FW_SETS_MAX][2][2] = {};
	size_t uses = 0;

	for (size_t i = 0; i < p->references_count; i++) {
		const struct reference *r = &p->references[i];
		struct fw_set *set = fw_set_find(sets, r->span.pos, r->span.end - r->span.pos);
		struct fw_rule *its_rule = rule ? rule : &p->ruleset->rules[r->rule];

		if (!set) {
			fw_error_at(p, &r->span, "there is no set '%s'", fw_quote(&r->span));
			continue;
		}
		if (set->family && set->family != r->family)
			fw_error_at(p, &r->span,
				    "the set '%s' holds addresses of %s in a rule of %s",
				    fw_quote(&r->span), fw_family_name(set->family),
				    fw_family_name(r->family));
		*(r->is_dst ? &its_rule->dst.set : &its_rule->src.set) = set - sets->sets;
		for (size_t is_ip6 = 0; is_ip6 < 2; is_ip6++) {
			bool *is_used = &used[set - sets->sets][r->is_dst][is_ip6];

			if (*is_used || r->family == (is_ip6 ? 4 : 6))
				continue;
			*is_used = true;
			if (uses++ == ECBPF_FW_USES_MAX)
				fw_error_at(p, &r->span,
					    "more than %d sets are looked up; one counts twice as "
					    "source and as destination, and as of ip and of ip6",
					    ECBPF_FW_USES_MAX);
		}
	}
}

static void take_line(struct parser *p)
{
	struct ecbpf_fw_ruleset *ruleset = p->ruleset;

	if (fw_take_keyword(p->src, "set")) {
		fw_take_set(p);
	} else if (fw_take_keyword(p->src, "test")) {
		struct ecbpf_fw_assertion *assertion = fw_grow(
			p, &ruleset->assertions, &ruleset->assertions_count, sizeof(*assertion));

		if (assertion)
			take_assertion(p, assertion);
	} else if (ruleset->rules_count == FW_RULES_MAX) {
		struct span span = fw_span_word(p->src);

		fw_error_at(p, &span, "more than %d rules", FW_RULES_MAX);
		p->src->end = p->src->pos;
	} else {
		struct fw_rule rule = {}, *last;

		fw_take_rule(p, &rule);
		last = fw_grow(p, &ruleset->rules, &ruleset->rules_count, sizeof(rule));
		if (last)
			*last = rule;
		else
			fw_rule_free(&rule);
	}
}

/* Return: 0; -EINVAL after errors in the text; -ENOMEM */
static int finish(struct parser *p)
{
	free(p->references);
	if (p->no_memory)
		return ecbpf_fail_memory(p->e);
	ecbpf_diagnostics_end(&p->errors);
	if (!p->errors.errors)
		ecbpf_host_bits_log(p->e, &p->host_bits, p->src->file);
	return p->errors.errors ? -EINVAL : 0;
}

static int parse(struct ecbpf *e, const char *file, const char *text, size_t size, bool is_kept,
		 struct ecbpf_fw_ruleset **ret_ruleset)
{
	struct source src = {.file = strcmp(file, "-") ? file : "stdin",
			     .text = text,
			     .end = text + size,
			     .line = text,
			     .pos = text,
			     .number = 1};
	struct parser p = {.e = e,
			   .src = &src,
			   .ruleset = calloc(1, sizeof(*p.ruleset)),
			   .is_kept = is_kept,
			   .errors = {.e = e, .max = ECBPF_ERRORS_SHOWN}};
	int err;

	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* byte order mark of UTF-8 */
		src.line = src.pos = text + 3;
	p.no_memory = !p.ruleset;
	for (; !p.no_memory && src.pos < src.end; fw_next_line(&p))
		if (fw_peek(&src) != '\n')
			take_line(&p);
	if (!p.no_memory)
		resolve(&p, p.ruleset, NULL);
	err = finish(&p);
	if (err) {
		ecbpf_fw_ruleset_free(p.ruleset);
		return err;
	}
	*ret_ruleset = p.ruleset;
	return 0;
}

int ecbpf_fw_parse(struct ecbpf *e, const char *file, const char *text, size_t size,
		   struct ecbpf_fw_ruleset **ret_ruleset)
{
	return parse(e, file, text, size, false, ret_ruleset);
}

int fw_parse_kept(struct ecbpf *e, const char *file, const char *text, size_t size,
		  struct ecbpf_fw_ruleset **ret_ruleset)
{
	return parse(e, file, text, size, true, ret_ruleset);
}

int fw_rule_parse(struct ecbpf *e, const struct ecbpf_fw_ruleset *ruleset, const char *text,
		  bool is_kept, struct fw_rule *ret_rule)
{
	struct source src = {.file = "rule",
			     .text = text,
			     .end = text + strlen(text),
			     .line = text,
			     .pos = text,
			     .number = 1};
	struct ecbpf_fw_ruleset none = {};
	struct parser p = {.e = e,
			   .src = &src,
			   .ruleset = &none,
			   .is_kept = is_kept,
			   .errors = {.e = e, .max = ECBPF_ERRORS_SHOWN}};
	struct fw_rule rule = {};
	int err;

	fw_take_rule(&p, &rule);
	/* a comment and blank lines may follow */
	while (!p.errors.errors && src.pos < src.end) {
		fw_next_line(&p);
		if (fw_peek(&src) != '\n')
			fw_error_expected(&p, "the end of the text (a rule is one line)");
	}
	rule.line = 0;
	if (p.references_count)
		resolve(&p, ruleset, &rule);
	err = finish(&p);
	if (err) {
		fw_rule_free(&rule);
		return err;
	}
	*ret_rule = rule;
	return 0;
}
