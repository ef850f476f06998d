/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* lib/bpf/trie*.c in a test program of its own: what it needs of the library, in short */
#ifndef TRIE_HOST_H
#define TRIE_HOST_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/synchronize.h"
#include "bpf/trie.h"
#include "core/handle.h"

int ecbpf_fail(struct ecbpf *e, int err, const char *format, ...)
{
	va_list args;

	(void)e;
	va_start(args, format);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return err;
}

void ecbpf_log(struct ecbpf *e, enum ecbpf_log_level level, const char *format, ...)
{
	(void)e;
	(void)level;
	(void)format;
}

/* As in lib/bpf/synchronize.c */
void ecbpf_synchronize(struct ecbpf *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 4, 1, NULL), outer;
	__u32 key = 0;

	(void)e;
	opts.inner_map_fd = inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, NULL, 4, 4, 1, &opts);
	if (outer < 0 || bpf_map_update_elem(outer, &key, &inner, BPF_ANY))
		abort();
	close(outer);
	close(inner);
}

/* There, in threads */
void ecbpf_together(size_t count, void (*fn)(void *data, size_t number), void *data)
{
	for (size_t i = 0; i < count; i++)
		fn(data, i);
}

/* Entry @key of an array map of @count; NULL on failure */
static inline void *map_memory(int fd, size_t value_size, size_t count)
{
	void *memory = mmap(NULL, value_size * count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

#endif /* TRIE_HOST_H */
