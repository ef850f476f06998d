/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The directory of what ends with the boot */
#ifndef ECBPF_LIB_RUN_DIR_H
#define ECBPF_LIB_RUN_DIR_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#define ECBPF_RUN_DIR "/run/ecbpf"

/*
 * The file of that name which belongs to the network namespace of this thread: NAME-INODE, where
 * INODE is the namespace's. Return: 0 or -errno
 */
int ecbpf_run_path(const char *name, char ret_path[PATH_MAX]);
/* Return: 0, also if the directory is there already; -errno */
int ecbpf_run_dir_make(void);
/* Write a file there, whole or not at all; the directory is made. Return: 0 or -errno */
int ecbpf_run_write(const char *path, mode_t mode, const void *data, size_t size);

#endif /* ECBPF_LIB_RUN_DIR_H */
