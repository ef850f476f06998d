/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Arrays that grow: an array of N elements has room for N rounded up to a power of two, so that
 * nobody has to keep its capacity. An array that one of these functions made may only be enlarged
 * by them.
 */
#ifndef ECBPF_LIB_ARRAY_H
#define ECBPF_LIB_ARRAY_H

#include <stddef.h>

/*
 * Append an element. @items_p: address of the array, a pointer to elements of @size bytes, or of
 * NULL with @count 0. Return: the element, zeroed; NULL without memory, nothing is changed then
 */
void *ecbpf_array_add(void *items_p, size_t *count, size_t size);

/* Return: a copy for free(), also of no elements; NULL without memory */
void *ecbpf_array_copy(const void *items, size_t count, size_t size);

#endif /* ECBPF_LIB_ARRAY_H */
