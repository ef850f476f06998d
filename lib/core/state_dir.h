/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The directory of what outlives a reboot */
#ifndef ECBPF_LIB_STATE_DIR_H
#define ECBPF_LIB_STATE_DIR_H

struct ecbpf;

/* $ECBPF_STATE_DIR, or /var/lib/ecbpf */
const char *ecbpf_state_dir(void);

/*
 * A directory of that name in it, which is made if it is not there. @ret_path[PATH_MAX]
 * Return: fd; or -errno, if it is not of this user alone, too
 */
int ecbpf_state_dir_make(struct ecbpf *e, const char *name, char *ret_path);
/* Likewise, but it is not made. Return: also -ENOENT, without an error text */
int ecbpf_state_dir_open(struct ecbpf *e, const char *name, char *ret_path);

#endif /* ECBPF_LIB_STATE_DIR_H */
