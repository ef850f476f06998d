/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the libFuzzer targets share */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                               \
	do {                                                      \
		if (!(what)) {                                    \
			fprintf(stderr, "not true: %s\n", #what); \
			abort();                                  \
		}                                                 \
	} while (0)

#endif /* FUZZ_H */
