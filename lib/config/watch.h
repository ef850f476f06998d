/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The file that tells what the process of ecbpf_watch_open() is at. */
#ifndef ECBPF_CONF_WATCH_H
#define ECBPF_CONF_WATCH_H

#include "config/conf.h"

/* It is locked as long as the process lives. Return: fd; -EBUSY, the error names the process */
int conf_state_open(struct ecbpf *e);
/* What cannot be written is nobody's loss but the reader's */
void conf_state_write(int fd, const struct ecbpf_watch_state *state);
/* It ends in order; -1: it is not open */
void conf_state_end(int fd);

#endif /* ECBPF_CONF_WATCH_H */
