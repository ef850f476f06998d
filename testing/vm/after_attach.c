// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* To preload: run the command in AFTER_ATTACH once, right after the first XDP attach */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int bpf_xdp_attach(int ifindex, int prog_fd, unsigned int flags, const void *opts);

int bpf_xdp_attach(int ifindex, int prog_fd, unsigned int flags, const void *opts)
{
	int (*attach)(int, int, unsigned int, const void *) = dlsym(RTLD_NEXT, "bpf_xdp_attach");
	const char *command = getenv("AFTER_ATTACH");
	char copy[4096];
	int err;

	err = attach(ifindex, prog_fd, flags, opts);
	if (err || !command)
		return err;
	snprintf(copy, sizeof(copy), "%s", command);
	unsetenv("AFTER_ATTACH");
	unsetenv("LD_PRELOAD");
	if (system(copy))
		fprintf(stderr, "after_attach: '%s' failed\n", copy);
	return 0;
}
