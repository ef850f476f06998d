// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Errors at words that are no option of a rule: those of other firewalls, and protocols.
 */
#include <string.h>
#include "core/util.h"
#include "fw/parse.h"

/* Behind `src` or `dst` at @pos: `port`, or a number that is no address */
static bool is_port_next(const struct source *src, const char *pos)
{
	const char *end;

	while (pos < src->end && (*pos == ' ' || *pos == '\t'))
		pos++;
	end = fw_word_end(src, pos);
	return (end - pos == 4 && !memcmp(pos, "port", 4)) ||
	       (pos < end && *pos >= '0' && *pos <= '9' && !memchr(pos, '.', end - pos) &&
		!memchr(pos, ':', end - pos) && !memchr(pos, '/', end - pos));
}

bool fw_error_option(struct parser *p, const struct span *span)
{
	static const struct {
		const char *word;
		const char *ours;
	} words[] = {
		{"allow", "pass"},     {"permit", "pass"},  {"deny", "drop"}, {"block", "drop"},
		{"discard", "drop"},   {"ipv4", "ip"},	    {"ipv6", "ip6"},  {"icmpv6", "icmp6"},
		{"src", "from"},       {"saddr", "from"},   {"dst", "to"},    {"daddr", "to"},
		{"protocol", "proto"}, {"comment", "name"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *ours = words[i].ours;

		if (!fw_word_is(span, words[i].word))
			continue;
		if (is_port_next(p->src, span->end) && !strcmp(ours, "from"))
			ours = "sport";
		if (is_port_next(p->src, span->end) && !strcmp(ours, "to"))
			ours = "dport";
		fw_error_at(p, span, "'%s' is no word of these rules: write %s", words[i].word,
			    ours);
		return false;
	}
	/* of a file of something else, each line would be looked up */
	if (p->errors.errors < p->errors.max &&
	    fw_name_find(FW_NAMES_PROTO, span->pos, span->end - span->pos) >= 0) {
		fw_error_at(p, span, "'%s' is a protocol: write proto %s", fw_quote(span),
			    fw_quote(span));
		return false;
	}
	return fw_error_expected(
		p, "an option (malformed, packet, vlan, ip, ip6, inet, ttl, frag, options, tcp, "
		   "udp, icmp, icmp6, proto, name, drop, pass, accept, count, limit, dry)");
}
