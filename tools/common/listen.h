/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UNIX sockets that only root and a group can connect to */
#ifndef ECBPF_TOOLS_LISTEN_H
#define ECBPF_TOOLS_LISTEN_H

#define LISTEN_GROUP "ecbpf"

/*
 * Listen at @path, mode 0660, of group LISTEN_GROUP if there is one. A socket that nobody listens
 * at any more is replaced, and the directory is made. Return: fd, or -1 when it has said what is
 * wrong
 */
int listen_at(const char *path);

#endif /* ECBPF_TOOLS_LISTEN_H */
