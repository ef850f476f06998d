/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules that never match, because an earlier rule decides on all packets that they match.
 */
#ifndef ECBPF_FW_COVER_H
#define ECBPF_FW_COVER_H

#include <stddef.h>
#include "fw/rules.h"

#define FW_NOT_COVERED ((size_t)-1)

/*
 * Return: for each rule the first earlier one that covers it alone, or FW_NOT_COVERED; for free().
 * NULL without memory. The addresses of sets are not looked at: they can change. Of rules that
 * take very long to compare, not all are found
 */
size_t *fw_covered(const struct ecbpf_fw_ruleset *ruleset);

#endif /* ECBPF_FW_COVER_H */
