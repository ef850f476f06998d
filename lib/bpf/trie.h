/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables of prefixes for longest-prefix match, from the side of the writer. Their layout is in
 * <ecbpf/trie.h>. Not exported.
 *
 * A table is in a pool (a pinned array of maps) and has a head (an entry of a pinned array map with
 * BPF_F_MMAPABLE). A pool may hold several tables. There is one writer at a time: callers hold
 * ecbpf_lock(), also for ecbpf_trie_entries() and ecbpf_trie_find().
 *
 * Programs may look up addresses at any time. A lookup gets the answer from before a change or the
 * one from after it. A killed writer leaves the table unchanged, or with a change in its journal,
 * which the next ecbpf_trie_open() completes.
 */
#ifndef ECBPF_LIB_TRIE_H
#define ECBPF_LIB_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <ecbpf/trie.h>

struct ecbpf;
struct ecbpf_trie;

/*
 * A struct ecbpf_trie_op is a prefix with its value: `family` 4 or 6; `hi` and `lo` the address in
 * host order, IPv4 in the upper half of `hi`, with no host bits; `value` 1 to ECBPF_TRIE_VALUE_MAX,
 * or 0 to delete it.
 */

/* For qsort(3): IPv4 before IPv6, then by address, covering prefixes first */
int ecbpf_trie_compare(const void *a, const void *b);

/**
 * struct ecbpf_trie_memory - functions that provide chunks; tests have one without BPF
 * @get: return the words of chunk @id; NULL and errno
 * @make: make chunk @id, which programs do not find before @publish; NULL and errno
 * @publish: let programs find chunks @ids, which are written
 * @drop: free chunks @ids, which no program reads any more
 * @is_used: does any table of the pool have this chunk?
 * @is_own: does this table have it? Return: 1, 0 or -errno
 * @wait: return when all program runs that are in progress have ended
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
	int (*is_own)(void *data, __u32 id);
	void (*wait)(void *data);
	void (*close)(void *data);
};

/* Chunks in a pool; also for other data than tables. @id: as below */
extern const struct ecbpf_trie_memory ecbpf_trie_pool_memory;
/* The data of these functions, for @close; NULL: out of memory */
void *ecbpf_trie_pool_open(struct ecbpf *e, int pool_fd, __u32 id);

/**
 * ecbpf_trie_open() - open or make a table, and complete an interrupted change
 * @pool_fd: an ECBPF_TRIE_POOL(); not closed
 * @head: head of the table, mapped writable for as long as the handle is open
 * @id: number of the table within the pool
 * @ret_trie: for ecbpf_trie_close()
 *
 * Return: 0; -ENODATA somebody else removed chunks of the table, or cleared its head; errors.
 */
int ecbpf_trie_open(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		    struct ecbpf_trie **ret_trie);
/* The same with other memory; @data is passed to its functions */
int ecbpf_trie_open_memory(struct ecbpf *e, const struct ecbpf_trie_memory *memory, void *data,
			   struct ecbpf_trie_head *head, struct ecbpf_trie **ret_trie);
/* As ecbpf_trie_open(); a table of which parts were removed is opened for ecbpf_trie_build() */
int ecbpf_trie_open_lost(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
			 struct ecbpf_trie **ret_trie);
/* Was it opened so? It has no prefixes until it is built; reading them fails with -ENODATA */
bool ecbpf_trie_is_lost(const struct ecbpf_trie *trie);
/* Were parts of a table removed? It changes nothing. Return: 1, 0 or -errno */
int ecbpf_trie_check(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id);
void ecbpf_trie_close(struct ecbpf_trie *trie); /* NULL is fine */

/**
 * ecbpf_trie_new() - make a table with contents where there is none
 *
 * As ecbpf_trie_open() and ecbpf_trie_build(), but waiting once for program runs, not four times.
 */
int ecbpf_trie_new(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id,
		   struct ecbpf_trie_op *entries, size_t count);

/**
 * ecbpf_trie_delete() - free the memory of a table, or the rest of it
 *
 * No program must use it any more. If the caller is killed, @dirty in the head stays set.
 */
int ecbpf_trie_delete(struct ecbpf *e, int pool_fd, struct ecbpf_trie_head *head, __u32 id);

/* The value of exactly this prefix; 0 if it is not in the table */
__u32 ecbpf_trie_find(struct ecbpf_trie *trie, const struct ecbpf_trie_op *prefix);

/* Likewise, of many. Return: 0; errors */
int ecbpf_trie_find_all(struct ecbpf_trie *trie, const struct ecbpf_trie_op *prefixes, size_t count,
			__u32 *ret_values);

/* How many of these prefixes are in the table, with any value. Return: 0; errors */
int ecbpf_trie_same(struct ecbpf_trie *trie, const struct ecbpf_trie_op *prefixes, size_t count,
		    size_t *ret_same);

/**
 * ecbpf_trie_match() - look up an address as programs do
 * @address: length and value are ignored
 * @ret_len: length of the prefix
 *
 * Return: the value of the longest prefix that contains the address; 0: none.
 */
__u32 ecbpf_trie_match(struct ecbpf_trie *trie, const struct ecbpf_trie_op *address,
		       __u32 *ret_len);

/* Number of prefixes of family 4 or 6 */
size_t ecbpf_trie_count(const struct ecbpf_trie *trie, int family);

/* Memory of the table in bytes */
size_t ecbpf_trie_bytes(const struct ecbpf_trie *trie);

/**
 * ecbpf_trie_change() - add prefixes, change their values, delete them
 * @ops: prefixes to delete need not exist
 * @count: at most ECBPF_TRIE_JOURNAL; for more, ecbpf_trie_build()
 *
 * It takes the time of a lookup for each. A failure changes nothing. If the caller is killed,
 * ecbpf_trie_open() completes the change.
 */
int ecbpf_trie_change(struct ecbpf_trie *trie, const struct ecbpf_trie_op *ops, size_t count);

/**
 * ecbpf_trie_entries() - all prefixes
 * @ret_entries: array, sorted, for free()
 */
int ecbpf_trie_entries(struct ecbpf_trie *trie, struct ecbpf_trie_op **ret_entries,
		       size_t *ret_count);

/**
 * ecbpf_trie_values() - the values of all prefixes, in no order, which takes less time
 * @ret_values: array, for free(); of a prefix whose deletion was interrupted it may be there twice
 */
int ecbpf_trie_values(struct ecbpf_trie *trie, __u32 **ret_values, size_t *ret_count);

/**
 * ecbpf_trie_build() - replace the contents by a new generation, published in one step
 * @entries: get sorted; no duplicates, none to delete
 *
 * Until it returns, the table takes the memory of both generations.
 */
int ecbpf_trie_build(struct ecbpf_trie *trie, struct ecbpf_trie_op *entries, size_t count);

#endif /* ECBPF_LIB_TRIE_H */
