/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the interfaces of this host are to have, and have. */
#ifndef ECBPF_CONF_DECLARED_H
#define ECBPF_CONF_DECLARED_H

#include "config/plan.h"

struct conf_declared {
	struct ecbpf_declared *items;
	size_t count;
};

/*
 * The file that declares: that of the process that watches, else the installed one. @ret_file: ""
 * stands for the installed one. Return: 1; 0: there is none
 */
#define DECLARED_FILE 256
int conf_declared_file(struct ecbpf *e, char ret_file[DECLARED_FILE]);

/* @config: NULL: none. @ret: items for free() in any case */
int conf_declared_read(struct ecbpf *e, const struct ecbpf_config *config,
		       struct conf_declared *ret);

#endif /* ECBPF_CONF_DECLARED_H */
