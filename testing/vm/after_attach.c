// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * To preload: run the command in AFTER_ATTACH once, right after the first XDP attach, and that in
 * BEFORE_ATTACH right before it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int bpf_xdp_attach(int ifindex, int prog_fd, unsigned int flags, const void *opts);

/* Once, and not in what it runs */
static void run(const char *name)
{
	const char *command = getenv(name);
	char copy[4096];

	if (!command)
		return;
	snprintf(copy, sizeof(copy), "%s", command);
	unsetenv(name);
	unsetenv("LD_PRELOAD");
	if (system(copy))
		fprintf(stderr, "after_attach: '%s' failed\n", copy);
}

int bpf_xdp_attach(int ifindex, int prog_fd, unsigned int flags, const void *opts)
{
	int (*attach)(int, int, unsigned int, const void *) = dlsym(RTLD_NEXT, "bpf_xdp_attach");
	int err;

	run("BEFORE_ATTACH");
	err = attach(ifindex, prog_fd, flags, opts);
	if (!err)
		run("AFTER_ATTACH");
	return err;
}
