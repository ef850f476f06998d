/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The keys of a table of settings */
#ifndef ECBPF_SETTINGS_H
#define ECBPF_SETTINGS_H

#include <ecbpf/libecbpf-settings.h>

#define ECBPF_SETTINGS_KEYS 128

/* Names of settings and of groups. @ret_keys[ECBPF_SETTINGS_KEYS]. Return: how many */
size_t ecbpf_settings_keys(const struct ecbpf_settings *settings, const char **ret_keys);

#endif /* ECBPF_SETTINGS_H */
