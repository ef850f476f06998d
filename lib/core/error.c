// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Error texts that several files need, see error.h.
 */
#include <string.h>
#include "core/error.h"
#include "core/handle.h"

void ecbpf_error_save(const struct ecbpf *e, struct saved_error *ret_error)
{
	_Static_assert(sizeof(ret_error->text) == sizeof(e->error), "all of it");
	memcpy(ret_error->text, e->error, sizeof(e->error));
}

void ecbpf_error_restore(struct ecbpf *e, const struct saved_error *error)
{
	memcpy(e->error, error->text, sizeof(e->error));
}
