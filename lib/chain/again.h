/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The commands that load programs again. */
#ifndef ECBPF_LIB_CHAIN_AGAIN_H
#define ECBPF_LIB_CHAIN_AGAIN_H

#include <stdbool.h>
#include "chain/note.h"

#define AGAIN_STAGES 128

/* "filter,fw": the stages of a program, or else its own name. Return: is it ecbpf_fused? */
bool ecbpf_again_stages(const struct note_member *m, char ret_stages[AGAIN_STAGES]);

/*
 * ecbpf_again() - the commands that load these programs on an interface as they were loaded
 * @mode: ECBPF_MODE_UNSPEC is the default mode
 *
 * Return: joined by " && ", for free(); NULL: there are none, or no memory
 */
char *ecbpf_again(const char *iface, enum ecbpf_mode mode, const struct note_member *members,
		  size_t count);

#endif /* ECBPF_LIB_CHAIN_AGAIN_H */
