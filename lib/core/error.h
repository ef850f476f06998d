/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Error texts that several files need, and an error text kept over calls that may replace it.
 */
#ifndef ECBPF_LIB_ERROR_H
#define ECBPF_LIB_ERROR_H

#include <errno.h>
#include "core/handle.h"

/* Return: -ENOMEM; inline, for static analysis to see that */
static inline int ecbpf_fail_memory(struct ecbpf *e)
{
	ecbpf_fail(e, -ENOMEM, "out of memory");
	return -ENOMEM;
}

/* For a clean-up after an error, whose own errors are of no interest */
struct saved_error {
	char text[1024];
};

void ecbpf_error_save(const struct ecbpf *e, struct saved_error *ret_error);
void ecbpf_error_restore(struct ecbpf *e, const struct saved_error *error);

#endif /* ECBPF_LIB_ERROR_H */
