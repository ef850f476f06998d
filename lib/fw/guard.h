/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules that would cut the operator off: tried before they are live, see ecbpf_session_guard().
 */
#ifndef ECBPF_FW_GUARD_H
#define ECBPF_FW_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include "fw/live.h"

/*
 * May @new be made live instead of the rules of the session? @is_change: its sets are those of the
 * session, else only live ones. Return: 0; -EPERM
 */
int fw_guard_rules(struct ecbpf *e, const struct fw_session *s, const struct ecbpf_fw_ruleset *new,
		   bool is_change);

/* May set @index of the session be changed so? @trie: of the set */
int fw_guard_set(struct ecbpf *e, const struct fw_session *s, size_t index,
		 enum ecbpf_fw_set_change change, const struct ecbpf_list *list,
		 struct ecbpf_trie *trie);

#endif /* ECBPF_FW_GUARD_H */
