/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pinned maps: opening one, checking its schema, mapping its memory. */
#ifndef ECBPF_LIB_MAP_H
#define ECBPF_LIB_MAP_H

#include <linux/bpf.h>
#include <bpf/libbpf.h>
#include "core/util.h"

struct ecbpf;

/*
 * Open BPFFS/ecbpf/NAME. @ret_info: or NULL
 * Return: fd; -ENOENT it does not exist; -EPROTO it is of another schema; other errors
 */
int ecbpf_map_open(struct ecbpf *e, const char *name, struct bpf_map_info *ret_info);
/* Likewise, several. @ret_missing: in which the error is. On failure none is open */
int ecbpf_maps_open(struct ecbpf *e, const char *const *names, int *const *fds, size_t count,
		    const char **ret_missing);
/* The schema of a map; 0: unknown (a devmap has no BTF). Return: 0 or -errno */
int ecbpf_map_schema(const struct bpf_map_info *info, __u32 *ret_schema);
/* Before libbpf finds or makes @map at @path: check the schema, take over the size. Return: errors
 */
int ecbpf_map_adopt(struct ecbpf *e, const char *path, struct bpf_map *map);

/* @size bytes of an array map with BPF_F_MMAPABLE, for munmap(). Return: NULL, errno */
void *ecbpf_map_memory(int fd, size_t size);

/* Entries of an array map, from @at on, in our memory; zeroed: not open */
struct ecbpf_view {
	void *at;
	void *memory; /* of @size bytes, whole pages */
	size_t size;
	__u32 entries;
};

/*
 * @fd: of a map with BPF_F_MMAPABLE; it may be closed afterwards. @name: for errors
 * Return: 0; -EPROTO its entries have another size; other errors
 */
int ecbpf_view_open(struct ecbpf *e, int fd, const char *name, size_t value_size,
		    struct ecbpf_view *ret_view);
/* Likewise, of one entry: the kernel sets up each page that is in the view */
int ecbpf_view_open_entry(struct ecbpf *e, int fd, const char *name, size_t value_size, __u32 entry,
			  struct ecbpf_view *ret_view);
void ecbpf_view_close(struct ecbpf_view *view);
#define _cleanup_view_ __attribute__((cleanup(ecbpf_view_close)))

#endif /* ECBPF_LIB_MAP_H */
