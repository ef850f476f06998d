/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A handle of the library for the tests of one program, after cmocka.h */
#ifndef TEST_HANDLE_H
#define TEST_HANDLE_H

#include <ecbpf/libecbpf.h>

static struct ecbpf *e;

static int setup(void **state)
{
	(void)state;
	return ecbpf_new(&e) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	ecbpf_free(e);
	return 0;
}

#endif /* TEST_HANDLE_H */
