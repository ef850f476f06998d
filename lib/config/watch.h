/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The file that tells what the process of ecbpf_watch_open() is at. */
#ifndef ECBPF_CONF_WATCH_H
#define ECBPF_CONF_WATCH_H

#include "config/conf.h"

/*
 * No other process keeps this network namespace as long as @ret_fd is open; -1: not known, a socket
 * of another user is in the way. Return: 0; -EBUSY, the error names the process
 */
int conf_watch_hold(struct ecbpf *e, int *ret_fd);
/* It is locked as long as the process lives. Return: fd; -EBUSY, the error names the process */
int conf_state_open(struct ecbpf *e);
/* Somebody may have removed it: then it is made again, as @fd. Return: was that so? */
bool conf_state_restore(struct ecbpf *e, int *fd);
/* What cannot be written is nobody's loss but the reader's */
void conf_state_write(int fd, const struct ecbpf_watch_state *state);
/* It ends in order; -1: it is not open */
void conf_state_end(int fd);

#endif /* ECBPF_CONF_WATCH_H */
