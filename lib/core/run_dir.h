/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The directory of what ends with the boot */
#ifndef ECBPF_LIB_RUN_DIR_H
#define ECBPF_LIB_RUN_DIR_H

#include <limits.h>

#define ECBPF_RUN_DIR "/run/ecbpf"

/*
 * The file of that name which belongs to the network namespace of this thread: NAME-INODE, where
 * INODE is the namespace's. Return: 0 or -errno
 */
int ecbpf_run_path(const char *name, char ret_path[PATH_MAX]);
/* Return: 0, also if the directory is there already; -errno */
int ecbpf_run_dir_make(void);

#endif /* ECBPF_LIB_RUN_DIR_H */
