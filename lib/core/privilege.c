// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The capabilities that a process needs, asked for before it does anything. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/capability.h>
#include "core/handle.h"
#include "core/privilege.h"

bool ecbpf_has_capability(int capability)
{
	cap_flag_value_t flag = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps)
		cap_get_flag(caps, capability, CAP_EFFECTIVE, &flag);
	cap_free(caps);
	return flag == CAP_SET;
}

static void name_missing(char *missing, size_t size, int capability, const char *name)
{
	size_t len = strlen(missing);

	if (!ecbpf_has_capability(capability))
		snprintf(missing + len, size - len, "%s%s", len ? " and " : "", name);
}

int ecbpf_require(struct ecbpf *e, enum ecbpf_needs needs)
{
	static const char *const texts[] = {
		[ECBPF_NEEDS_IDS] = "CAP_SYS_ADMIN",
		[ECBPF_NEEDS_ATTACH] = "CAP_NET_ADMIN and CAP_SYS_ADMIN",
		[ECBPF_NEEDS_MAPS] = "CAP_BPF",
		[ECBPF_NEEDS_SAMPLES] = "CAP_BPF and CAP_PERFMON",
	};
	bool is_admin = ecbpf_has_capability(CAP_SYS_ADMIN);
	char missing[64] = "";

	if (needs == ECBPF_NEEDS_ATTACH)
		name_missing(missing, sizeof(missing), CAP_NET_ADMIN, "CAP_NET_ADMIN");
	if (needs == ECBPF_NEEDS_ATTACH || needs == ECBPF_NEEDS_IDS)
		name_missing(missing, sizeof(missing), CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	else if (!is_admin)
		name_missing(missing, sizeof(missing), CAP_BPF, "CAP_BPF");
	if (needs == ECBPF_NEEDS_SAMPLES && !is_admin)
		name_missing(missing, sizeof(missing), CAP_PERFMON, "CAP_PERFMON");
	if (!*missing)
		return 0;
	return ecbpf_fail(e, -EPERM, "permission denied: this needs %s, %s%s %s missing%s",
			  texts[needs], strcmp(missing, texts[needs]) ? "and " : "which",
			  strcmp(missing, texts[needs]) ? missing : "",
			  strstr(missing, " and ") ? "are" : "is",
			  geteuid() ? ": must be root" : "");
}
