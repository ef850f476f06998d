/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The word that was probably meant */
#ifndef ECBPF_SUGGEST_H
#define ECBPF_SUGGEST_H

#include <stddef.h>

/* "did you mean 'frags'?", or "there are" all of @words, which end with NULL */
void ecbpf_suggest(const char *word, const char *const *words, char *ret, size_t size);

#endif /* ECBPF_SUGGEST_H */
