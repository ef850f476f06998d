/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Files that users write, as a whole. */
#ifndef ECBPF_LIB_FILE_H
#define ECBPF_LIB_FILE_H

#include <stddef.h>

struct ecbpf;

/*
 * Open a file that a configuration names, or is, to read it. What is no regular file is refused: a
 * pipe would be waited for, and a device may have no end. Return: fd or -errno
 */
int ecbpf_file_open(struct ecbpf *e, const char *file);

/* Up to its end. @ret_text: for free(), no 0 behind it. Return: 0; -EFBIG: over 512 MiB; others */
int ecbpf_file_read(int fd, char **ret_text, size_t *ret_size);

#endif /* ECBPF_LIB_FILE_H */
