/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* When a configuration was last applied in this network namespace. */
#ifndef ECBPF_LIB_APPLIED_H
#define ECBPF_LIB_APPLIED_H

#include <stdbool.h>

struct ecbpf;

/* Now: @is_ok, or it has failed. Warns if it cannot be noted; nothing depends on it */
void applied_note(struct ecbpf *e, bool is_ok);
/*
 * @ret_when: of the last one that succeeded, seconds since 1970; 0: none since boot.
 * Return: did the last one succeed?
 */
bool applied_read(long long *ret_when);

/* The last good configuration was applied now, as that of the file could not; or it is stopped */
void applied_note_last_good(struct ecbpf *e, bool runs);
bool applied_is_last_good(void); /* since then, and nothing else was applied */

#endif /* ECBPF_LIB_APPLIED_H */
