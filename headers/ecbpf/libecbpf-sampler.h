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
 * @ring_bytes: for each CPU, a power of two times the page size
 * @ret_reader: for ecbpf_sampler_close()
 *
 * Works before any sampler is loaded, too. Counts what a reader that was killed has left unread.
 * Needs CAP_BPF, CAP_PERFMON and access to the BPF file system, and no more.
 *
 * Return: 0; -EBUSY there is another reader; -EINVAL @ring_bytes; -EPERM also if the rings are more
 * than the process may lock (RLIMIT_MEMLOCK); as ecbpf_sampler_set().
 */
int ecbpf_sampler_open(struct ecbpf *e, size_t ring_bytes,
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

/* As ecbpf_sampler_status(), cheap enough to be asked every second */
int ecbpf_sampler_reader_status(struct ecbpf_sampler_reader *reader,
				struct ecbpf_sampler_status *ret_status);

/* Do programs write to other rings now, as the maps were removed and made anew? Then open again */
bool ecbpf_sampler_is_stale(struct ecbpf_sampler_reader *reader);

/* Take out the rings and hand on what is in them: nothing drawn before is left unread */
int ecbpf_sampler_drain(struct ecbpf_sampler_reader *reader, ecbpf_sample_fn fn, void *data);

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
