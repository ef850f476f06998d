/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving up privileges */
#ifndef ECBPF_TOOLS_SAMPLER_DROP_H
#define ECBPF_TOOLS_SAMPLER_DROP_H

#include <pwd.h>
#include <stdbool.h>

#define DROP_USER "ecbpf"

/*
 * @ret_user: DROP_USER, or nobody if it does not exist; NULL: this is not root, and stays who it is
 * Return: enum tool_exit
 */
int drop_user(const struct passwd **ret_user);
/* Be that user, with no capability, for good. Before there are threads. Return: enum tool_exit */
int drop_privileges(const struct passwd *user);
/* Tell that it is not the user that it should be */
void drop_warn(const struct passwd *user);

#endif /* ECBPF_TOOLS_SAMPLER_DROP_H */
