/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf, sampler: settings, counters, and the samples themselves. See libecbpf(3).
 *
 * There is one of it in a network namespace, for all interfaces. What is said in libecbpf.h about
 * errors and handles holds here.
 */
#ifndef LIBECBPF_SAMPLER_H
#define LIBECBPF_SAMPLER_H

#include <ecbpf/sample.h>
#include <ecbpf/libecbpf-settings.h>
#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- settings and counters ---------------------------------------------------------------- */

/* The table of struct ecbpf_sampling */
const struct ecbpf_settings *ecbpf_sampler_settings(void);

/**
 * struct ecbpf_sampler_status - what there is to know
 * @settings: in force
 * @kernel: summed over CPUs
 * @reader: of all readers so far
 * @is_read: a reader runs
 */
struct ecbpf_sampler_status {
	struct ecbpf_sampling settings;
	struct ecbpf_sampling_state kernel;
	struct ecbpf_sampler_stats reader;
	bool is_read;
};

/**
 * ecbpf_sampler_status() - read settings and counters
 *
 * Counters of CPUs at work are read one after the other: sums are exact at rest.
 *
 * Return: 0; -ENOENT if no sampler was ever loaded here; -EPERM; -EPROTO another schema.
 */
int ecbpf_sampler_status(struct ecbpf *e, struct ecbpf_sampler_status *ret_status);

/**
 * ecbpf_sampler_set() - change settings, of programs that are loaded and of those to come
 *
 * At once: the countdowns to the next samples are drawn anew.
 *
 * Return: 0; -EINVAL a value is not allowed; as ecbpf_sampler_status(), but that
 * maps which are missing are made.
 */
int ecbpf_sampler_set(struct ecbpf *e, const struct ecbpf_sampling *settings);

/**
 * ecbpf_sampler_load() - load the stage sampler, and change settings
 *
 * Return: 0; as ecbpf_sampler_set() and ecbpf_chain_load_stage(). On failure, settings and chains
 * are what they were.
 */
int ecbpf_sampler_load(struct ecbpf *e, const char *const *ifaces, size_t count, bool is_fused,
		       enum ecbpf_mode mode, const struct ecbpf_sampling *settings);

/**
 * ecbpf_sampler_unload() - unload the stage sampler
 *
 * With the last one, other stages sample no more: rates become 0.
 *
 * Return: as ecbpf_sampler_load().
 */
int ecbpf_sampler_unload(struct ecbpf *e, const char *const *ifaces, size_t count);

/* --- reading samples ---------------------------------------------------------------------- */

/*
 * A source opens what a reader needs, with privileges; a reader needs none and does not call
 * bpf(2). They may be one process, or two of which one passes the descriptors to the other.
 */

/**
 * struct ecbpf_sampler_fds - what a reader needs
 * @lock: there is one reader; held until this is closed
 * @samples: of a map, in which rings are until this is closed
 * @stats: of a map, counters of the reader
 * @ring_bytes: size of each ring
 * @count: of @rings, one for each CPU that is online
 */
struct ecbpf_sampler_fds {
	int lock;
	int samples;
	int stats;
	__u32 ring_bytes;
	__u32 count;
	struct ecbpf_sampler_ring {
		int cpu;
		int fd;
	} rings[];
};

void ecbpf_sampler_fds_close(struct ecbpf_sampler_fds *fds); /* and free; NULL is fine */

struct ecbpf_sampler_source;

/**
 * ecbpf_sampler_source_open() - be the one whose rings samples are put into
 * @ring_bytes: for each CPU, a power of two times the page size
 * @ret_source: for ecbpf_sampler_source_close()
 *
 * Works before any sampler is loaded, too. Counts what a reader that was killed has left unread.
 * Needs CAP_BPF, CAP_PERFMON and access to the BPF file system, and no more.
 *
 * Return: 0; -EBUSY there is another reader; -EINVAL @ring_bytes; -EPERM also if the rings are more
 * than the process may lock (RLIMIT_MEMLOCK); as ecbpf_sampler_set().
 */
int ecbpf_sampler_source_open(struct ecbpf *e, size_t ring_bytes,
			      struct ecbpf_sampler_source **ret_source);

/* For ecbpf_sampler_open(), or ecbpf_sampler_fds_close() when they are passed on; only once */
struct ecbpf_sampler_fds *ecbpf_sampler_source_fds(struct ecbpf_sampler_source *source);

/* As ecbpf_sampler_status(), cheap enough to be asked every second */
int ecbpf_sampler_source_status(struct ecbpf_sampler_source *source,
				struct ecbpf_sampler_status *ret_status);

/* Do programs write to other rings now, as the maps were removed and made anew? Then open again */
bool ecbpf_sampler_source_is_stale(struct ecbpf_sampler_source *source);

/* After ecbpf_sampler_stop(): wait for programs that run, so that all samples are in the rings */
void ecbpf_sampler_source_settle(struct ecbpf_sampler_source *source);

/* Rings are there as long as there is a source or a reader. NULL is fine */
void ecbpf_sampler_source_close(struct ecbpf_sampler_source *source);

struct ecbpf_sampler_reader;

/**
 * typedef ecbpf_sample_fn - take one sample
 * @cpu: where it was drawn
 * @sample: valid during the call only, like @packet
 * @packet: the first @sample->cap_len bytes, as they came in
 *
 * Return: how many bytes were handed on, or -errno if that failed. Either is counted.
 */
typedef int (*ecbpf_sample_fn)(void *data, int cpu, const struct ecbpf_sample *sample,
			       const void *packet);

/**
 * ecbpf_sampler_open() - start to read
 * @fds: of a source that is still open; closed with the reader, or if this fails
 * @ret_reader: for ecbpf_sampler_close()
 */
int ecbpf_sampler_open(struct ecbpf *e, struct ecbpf_sampler_fds *fds,
		       struct ecbpf_sampler_reader **ret_reader);

/**
 * ecbpf_sampler_read() - hand the samples that are there to a function
 * @timeout_ms: how long to wait. Less if a ring is a quarter full; but not for a single sample, so
 *		this is how old a sample may get
 *
 * Return: 0, -EINTR, or another error of poll().
 */
int ecbpf_sampler_read(struct ecbpf_sampler_reader *reader, int timeout_ms, ecbpf_sample_fn fn,
		       void *data);

/* The reader's counters, for @queue_full to be counted in. Never NULL */
struct ecbpf_sampler_stats *ecbpf_sampler_stats(struct ecbpf_sampler_reader *reader);

/* Take the rings out of the map; what is in them can still be read */
void ecbpf_sampler_stop(struct ecbpf_sampler_reader *reader);

void ecbpf_sampler_close(struct ecbpf_sampler_reader *reader); /* NULL is fine */

/**
 * ecbpf_sampler_chain() - the programs of an interface; cheap enough to be called for each batch of
 *samples
 * @known_id: what was attached when this was asked before; 0: not asked before
 * @ret_id: what is attached now; 0: nothing
 * @ret_names: names in the order they run, "ecbpf_fw,ecbpf_sampler"; "" if unknown.
 *	       Unchanged if @ret_id is @known_id
 *
 * Return: 0; -ENODEV there is no such interface any more.
 */
int ecbpf_sampler_chain(struct ecbpf *e, int ifindex, __u32 known_id, __u32 *ret_id,
			char *ret_names, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_SAMPLER_H */
