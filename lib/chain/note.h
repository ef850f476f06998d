/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was last loaded on an interface. */
#ifndef ECBPF_LIB_CHAIN_NOTE_H
#define ECBPF_LIB_CHAIN_NOTE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/libecbpf.h>
#include "chain/dispatcher.h"

struct change;

/* A program, and the options of 'ecbpf-loader load' that load it again */
struct note_member {
	char name[64];
	__u32 prio;
	__u32 actions;
	const char *spec; /* as struct loaded has it, up to the next member */
};

struct note {
	char iface[IF_NAMESIZE];
	int ifindex;
	enum ecbpf_mode mode;
	size_t count;
	struct note_member members[DISPATCHER_MEMBERS];
};

/*
 * A change begins: its interface has no note until it is complete, so that one that is killed
 * leaves no wrong one. @ret_old: for ecbpf_note_end(); NULL: there was none
 */
void ecbpf_note_begin(struct ecbpf *e, const struct change *c, char **ret_old);
/* It is complete: note what is loaded now; or it failed, and @old is right again. Frees @old */
void ecbpf_note_end(struct ecbpf *e, const struct change *c, char *old, bool is_done);

/* Return: 0, or what ends it */
typedef int (*ecbpf_note_fn)(struct ecbpf *e, const struct note *note, void *data);
/* For each note of this network namespace. An interface that was renamed has none */
int ecbpf_for_each_note(struct ecbpf *e, ecbpf_note_fn fn, void *data);

/* Forget @iface, or NULL: all interfaces that are gone. Return: how many */
size_t ecbpf_note_forget(struct ecbpf *e, const char *iface);
/*
 * Of what @iface has a note of, forget what is not attached: somebody else took it off, and that
 * was meant. Return: how many programs
 */
size_t ecbpf_note_settle(struct ecbpf *e, const char *iface);
/* Those of all network namespaces: nothing is loaded any more */
void ecbpf_note_forget_all(struct ecbpf *e);

#endif /* ECBPF_LIB_CHAIN_NOTE_H */
