/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef ECBPF_LLDP_H
#define ECBPF_LLDP_H

#include <stddef.h>
#include <ecbpf/libecbpf-config.h>

/* What is wrong, without the end of line */
struct lldp_text {
	char text[512];
};

/* Does the switch announce each of them, by interface? Return: TOOL_OK; TOOL_FAILED */
int lldp_check(const struct ecbpf_config_vlan *wanted, size_t count, struct lldp_text *ret_text);

#endif /* ECBPF_LLDP_H */
