/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the configuration declared that was applied last, if the log of changes is gone */
#ifndef ECBPF_CONF_KNOWN_H
#define ECBPF_CONF_KNOWN_H

#include "config/runtime.h"

/* Sorted */
struct conf_known {
	__u64 *hashes;
	size_t count;
};

#define CONF_KNOWN_RULE "fw rule"
#define CONF_KNOWN_SET	"fw set %s add" /* with its name: of its prefixes, and of itself */

/* @head: as in the log: "filter set", "filter vip add"; or CONF_KNOWN_RULE */
__u64 conf_known_text(const char *head, const char *text);
/* @tag: of an entry of a list; else "" */
__u64 conf_known_prefix(const char *head, const struct ecbpf_prefix *prefix, const char *tag);

/* @config was applied. What it costs if that fails is told as a warning */
void conf_known_note(struct ecbpf *e, const struct ecbpf_config *config);
/* Nothing if that cannot be read; @ret: for conf_known_free() */
void conf_known_read(struct conf_known *ret);
bool conf_known_has(const struct conf_known *k, __u64 hash);
void conf_known_free(struct conf_known *k);

#endif /* ECBPF_CONF_KNOWN_H */
