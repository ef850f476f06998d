/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables of prefixes for longest-prefix match: the side that writes. What they look like is in
 * <ecbpf/trie.h>. Not exported.
 *
 * A table lies in a pool (a pinned array of maps) and begins at a head (an entry of a pinned array
 * map, made with BPF_F_MMAPABLE). A pool may hold several tables. One writer at a time: callers
 * hold ecbpf_lock(), for ecbpf_trie_entries() and ecbpf_trie_find() as well.
 *
 * Packets may use the table at any time. Each sees, for its own address, the answer before a change
 * or the one after it. A writer that is killed leaves the table as it was, or a change that
 * was decided and is completed when the table is opened next.
 */
#ifndef ECBPF_LIB_TRIE_H
#define ECBPF_LIB_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/trie.h>

struct ecbpf;
struct ecbpf_trie;

/*
 * A prefix with its value is a struct ecbpf_trie_op: `family` 4 or 6; `hi` and `lo` its address, in
 * host order, IPv4 in the upper half of `hi`, no bits set behind `len`; `value` 1 to
 * ECBPF_TRIE_VALUE_MAX, or 0 where it is to be deleted.
 */

/* Sorts IPv4 before IPv6, then by address, shorter prefixes before those in them. For qsort(3) */
int ecbpf_trie_compare(const void *a, const void *b);

/**
 * struct ecbpf_trie_memory - where chunks come from; tests have one without BPF
 * @get: the words of chunk @id. NULL and errno
 * @make: make a chunk: it is not found under its number before @publish. NULL and errno
 * @publish: chunks @ids were written to; programs find them from now on
 * @drop: chunks @ids are not used any more, not even by packets on their way
 * @is_used: is there a chunk of this number, of whichever table?
 * @is_own: and is it this table's?
 * @wait: until every packet that is being handled now has been
 * @close: end of the handle
 *
 * @publish, @get and @make return 0 or a value; or -errno or NULL.
 */
struct ecbpf_trie_memory {
	__u64 *(*get)(void *data, __u32 id);
	__u64 *(*make)(void *data, __u32 id);
	int (*publish)(void *data, const __u32 *ids, size_t count);
	void (*drop)(void *data, const __u32 *ids, size_t count);
	bool (*is_used)(void *data, __u32 id);
	bool (*is_own)(void *data, __u32 id);
	void (*wait)(void *data);
	void (*close)(void *data);
};

/* Chunks in a pool, as tables have them: for what else is kept in chunks. @id: as below */
extern const struct ecbpf_trie_memory ecbpf_trie_pool_memory;
/* The data of these functions, for @close; NULL: out of memory */
void *ecbpf_trie_pool_open(struct ecbpf *e, int pool_fd, __u32 id);

/**
 * ecbpf_trie_open() - open a table, make it if there is none, complete an interrupted change
 * @pool_fd: an ECBPF_TRIE_POOL(); not closed
 * @head: the table's own, mapped writable; stays mapped as long as the handle is used
 * @id: the table's number within the pool
 * @ret_trie: for ecbpf_trie_close()
 */
int ecbpf_trie_open(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		    struct ecbpf_trie **ret_trie);
/* Likewise, with memory of another kind; @data is passed to its functions */
int ecbpf_trie_open_memory(struct ecbpf *e, const struct ecbpf_trie_memory *memory, void *data,
			   struct ecbpf_trie_head *head, struct ecbpf_trie **ret_trie);
void ecbpf_trie_close(struct ecbpf_trie *trie); /* NULL is fine */

/**
 * ecbpf_trie_new() - a table with these contents at once, where there is none
 *
 * As ecbpf_trie_open() and ecbpf_trie_build(), but with one wait for packets, not with four.
 */
int ecbpf_trie_new(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		   struct ecbpf_trie_op *entries, size_t count);

/**
 * ecbpf_trie_delete() - free all that a table takes, or what is left of it
 *
 * No packet looks it up any more. If the caller is killed, the head's @dirty says that there is
 * something left.
 */
int ecbpf_trie_delete(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id);

/* The value of exactly this prefix; 0 if it is not in the table */
__u32 ecbpf_trie_find(struct ecbpf_trie *trie, const struct ecbpf_trie_op *prefix);

/**
 * ecbpf_trie_match() - as packets are looked up
 * @address: its length is not looked at, nor its value
 * @ret_len: length of the prefix
 *
 * Return: the value of the longest prefix that the address lies in; 0: none.
 */
__u32 ecbpf_trie_match(struct ecbpf_trie *trie, const struct ecbpf_trie_op *address,
		       __u32 *ret_len);

/* How many prefixes there are, of family 4 or 6 */
size_t ecbpf_trie_count(const struct ecbpf_trie *trie, int family);

/* Memory that the table takes, in bytes */
size_t ecbpf_trie_bytes(const struct ecbpf_trie *trie);

/**
 * ecbpf_trie_change() - add prefixes, change their values, delete them
 * @ops: deleting one that is not there is fine
 * @count: ECBPF_TRIE_JOURNAL at most; for more, ecbpf_trie_build()
 *
 * In the time that it takes to find their places. All or nothing: on failure, nothing. Who is
 * killed leaves a part, and the rest to ecbpf_trie_open().
 */
int ecbpf_trie_change(struct ecbpf_trie *trie, const struct ecbpf_trie_op *ops, size_t count);

/**
 * ecbpf_trie_entries() - all prefixes
 * @ret_entries: array, sorted, for free()
 */
int ecbpf_trie_entries(struct ecbpf_trie *trie, struct ecbpf_trie_op **ret_entries,
		       size_t *ret_count);

/**
 * ecbpf_trie_build() - new contents: a generation beside the old one, published in one step
 * @entries: gets sorted; none twice, none to delete
 *
 * While both are there it takes the memory of both. Returns when the old one is not used any more.
 */
int ecbpf_trie_build(struct ecbpf_trie *trie, struct ecbpf_trie_op *entries, size_t count);

#endif /* ECBPF_LIB_TRIE_H */
