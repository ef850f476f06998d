// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tables of prefixes, in shared memory instead of maps: what the lookup of the BPF programs,
 * compiled for here, says of them, compared with a list of prefixes that is searched from end to
 * end; and writers that are killed. Needs no privilege.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "bpf/trie.h"
#include "core/handle.h"

#define CHUNKS	    64
#define MODEL_MAX   4096
#define LOOKUPS_MAX 4

/* What outlives a writer */
struct shared {
	struct ecbpf_trie_head head;
	unsigned char used[CHUNKS];
	unsigned int waits;
	int calls_left; /* of functions below, until the writer dies; -1: it does not */
	struct ecbpf_trie_chunk chunks[CHUNKS];
};

static struct shared *shared;
static struct ecbpf *e;
static struct ecbpf_trie *trie;
static unsigned int seed = 1;

/* --- memory ----------------------------------------------------------------------------------- */

static void may_die(void)
{
	if (!shared->calls_left)
		_exit(9);
	if (shared->calls_left > 0)
		shared->calls_left--;
}

static __u64 *memory_get(void *data, __u32 id)
{
	(void)data;
	errno = ENOENT;
	return id < CHUNKS && shared->used[id] ? shared->chunks[id].words : NULL;
}

static __u64 *memory_make(void *data, __u32 id)
{
	(void)data;
	may_die();
	errno = ENOMEM;
	if (id >= CHUNKS)
		return NULL;
	assert_false(shared->used[id]);
	madvise(&shared->chunks[id], sizeof(shared->chunks[id]), MADV_REMOVE);
	memset(&shared->chunks[id], 0, sizeof(shared->chunks[id]));
	return shared->chunks[id].words;
}

static int memory_publish(void *data, const __u32 *ids, size_t count)
{
	(void)data;
	for (size_t i = 0; i < count; i++) {
		may_die();
		shared->used[ids[i]] = 1;
	}
	return 0;
}

static void memory_drop(void *data, const __u32 *ids, size_t count)
{
	(void)data;
	for (size_t i = 0; i < count; i++) {
		may_die();
		shared->used[ids[i]] = 0;
	}
}

static bool memory_is_used(void *data, __u32 id)
{
	(void)data;
	return id >= CHUNKS ? false : shared->used[id];
}

static int memory_is_own(void *data, __u32 id)
{
	(void)data;
	(void)id;
	return true;
}

static void memory_wait(void *data)
{
	(void)data;
	may_die();
	shared->waits++;
}

static void memory_close(void *data)
{
	(void)data;
}

static const struct ecbpf_trie_memory memory = {
	.get = memory_get,
	.make = memory_make,
	.publish = memory_publish,
	.drop = memory_drop,
	.is_used = memory_is_used,
	.is_own = memory_is_own,
	.wait = memory_wait,
	.close = memory_close,
};

static size_t chunks_used(void)
{
	size_t used = 0;

	for (int i = 0; i < CHUNKS; i++)
		used += shared->used[i];
	return used;
}

static void open_table(void)
{
	assert_int_equal(ecbpf_trie_open_memory(e, &memory, NULL, &shared->head, &trie), 0);
}

/* --- the lookup of the programs --------------------------------------------------------------- */

static __u64 ecbpf_trie_word(void *pool, __u32 place)
{
	__u32 id = place / ECBPF_TRIE_CHUNK_WORDS;

	(void)pool;
	assert_true(id < CHUNKS && shared->used[id]);
	return shared->chunks[id].words[place % ECBPF_TRIE_CHUNK_WORDS];
}

static const __u64 *ecbpf_trie_entry(void *pool, __u32 place)
{
	__u32 id = place / ECBPF_TRIE_CHUNK_WORDS;

	(void)pool;
	assert_true(id < CHUNKS && shared->used[id] && place % 4 == 0);
	return &shared->chunks[id].words[place % ECBPF_TRIE_CHUNK_WORDS];
}

#define barrier_var(var) asm volatile("" : "+r"(var))
#define __noinline	 static __attribute__((noinline))
#include <ecbpf/trie.bpf.h>
ECBPF_TRIE_LOOKUP(table, NULL)

static __u32 lookup(int family, __u64 hi, __u64 lo)
{
	__be64 addr[2] = {htobe64(hi), htobe64(lo)};

	if (family == 4)
		return table_lookup4(shared->head.roots, htobe32(hi >> 32));
	return table_lookup6(shared->head.roots, addr);
}

static bool is_near(int family, __u64 hi)
{
	return ecbpf_trie_is_near(NULL, shared->head.roots >> (family == 6 ? 32 : 0), hi >> 32);
}

/* --- the model -------------------------------------------------------------------------------- */

static struct ecbpf_trie_op model[MODEL_MAX];
static size_t model_count;

static __u64 mask(int len)
{
	return len <= 0 ? 0 : len >= 64 ? ~0ULL : ~0ULL << (64 - len);
}

static bool lies_in(const struct ecbpf_trie_op *prefix, int family, __u64 hi, __u64 lo)
{
	return prefix->family == family && !((hi ^ prefix->hi) & mask(prefix->len)) &&
	       !((lo ^ prefix->lo) & mask(prefix->len - 64));
}

static const struct ecbpf_trie_op *model_match(int family, __u64 hi, __u64 lo)
{
	static const struct ecbpf_trie_op none;
	const struct ecbpf_trie_op *best = &none;

	for (size_t i = 0; i < model_count; i++) {
		if (lies_in(&model[i], family, hi, lo) &&
		    (!best->value || model[i].len > best->len))
			best = &model[i];
	}
	return best;
}

static struct ecbpf_trie_op *model_find(const struct ecbpf_trie_op *op)
{
	for (size_t i = 0; i < model_count; i++) {
		if (!ecbpf_trie_compare(&model[i], op))
			return &model[i];
	}
	return NULL;
}

static void model_change(const struct ecbpf_trie_op *op)
{
	struct ecbpf_trie_op *found = model_find(op);

	if (found && op->value) {
		found->value = op->value;
	} else if (found) {
		*found = model[--model_count];
	} else if (op->value) {
		assert_true(model_count < MODEL_MAX);
		model[model_count++] = *op;
	}
}

static __u64 random_bits(void)
{
	return (__u64)rand_r(&seed) << 33 ^ (__u64)rand_r(&seed) << 15 ^ rand_r(&seed);
}

/*
 * Addresses that prefixes are close to: few different values for each half-byte, so that
 * prefixes nest and share paths. @spread: of 16 half-bytes so many are drawn from all values
 */
static __u64 random_half(int spread)
{
	__u64 bits = 0;

	for (int i = 0; i < 16; i++)
		bits = bits << 4 | ((int)(random_bits() % 16) < spread ? random_bits() % 16
								       : random_bits() % 2);
	return bits;
}

static struct ecbpf_trie_op random_prefix(int family, int spread)
{
	struct ecbpf_trie_op op = {.family = family};

	op.len = random_bits() % (family == 4 ? 33 : 129);
	op.hi = random_half(spread) & mask(op.len);
	op.lo = random_half(spread) & mask(op.len - 64);
	op.value = random_bits() % ECBPF_TRIE_VALUE_MAX + 1;
	return op;
}

static void check_lookups(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct ecbpf_trie_op *near = &model[random_bits() % (model_count + 1)];
		int family = random_bits() % 2 ? 4 : 6;
		__u64 hi = random_half(2), lo = random_half(2);
		struct ecbpf_trie_op address;
		const struct ecbpf_trie_op *best;
		__u32 len;

		if (near < model + model_count && random_bits() % 4) {
			family = near->family;
			hi = near->hi ^ (random_bits() % 2 ? 0 : hi & ~mask(near->len));
			lo = near->lo ^ (random_bits() % 2 ? 0 : lo & ~mask(near->len - 64));
			if (near->len && random_bits() % 4 == 0) /* just beside it */
				near->len <= 64 ? (hi ^= 1ULL << (64 - near->len))
						: (lo ^= 1ULL << (128 - near->len));
		}
		if (family == 4) {
			hi = hi >> 32 << 32;
			lo = 0;
		}
		best = model_match(family, hi, lo);
		assert_int_equal(lookup(family, hi, lo), best->value);
		address = (struct ecbpf_trie_op){.family = family, .hi = hi, .lo = lo};
		assert_true(!best->value || is_near(family, hi));
		assert_int_equal(ecbpf_trie_match(trie, &address, &len), best->value);
		assert_int_equal(len, best->len);
	}
}

static bool has_value(const __u32 *values, size_t count, __u32 value)
{
	for (size_t i = 0; i < count; i++) {
		if (values[i] == value)
			return true;
	}
	return false;
}

static void check_entries(void)
{
	struct ecbpf_trie_op *entries, absent = {.family = 6, .hi = 1, .lo = 1, .len = 128};
	size_t count, same;
	__u32 *values;

	assert_int_equal(ecbpf_trie_values(trie, &values, &count), 0);
	assert_in_range(count, model_count, model_count + 1); /* see there */
	for (size_t i = 0; i < model_count; i++)
		assert_true(has_value(values, count, model[i].value));
	free(values);
	assert_int_equal(ecbpf_trie_same(trie, &absent, 1, &same), 0);
	assert_int_equal(same, 0);
	assert_int_equal(ecbpf_trie_same(trie, model, model_count, &same), 0);
	assert_int_equal(same, model_count);
	assert_int_equal(ecbpf_trie_entries(trie, &entries, &count), 0);
	assert_int_equal(count, model_count);
	assert_int_equal(ecbpf_trie_count(trie, 4) + ecbpf_trie_count(trie, 6), count);
	qsort(model, model_count, sizeof(*model), ecbpf_trie_compare);
	for (size_t i = 0; i < count; i++)
		assert_memory_equal(&entries[i], &model[i], sizeof(model[i]));
	free(entries);
}

static void change(const struct ecbpf_trie_op *op)
{
	assert_int_equal(ecbpf_trie_change(trie, op, 1), 0);
	model_change(op);
}

/* --- tests ------------------------------------------------------------------------------------ */

static int setup(void **state)
{
	(void)state;
	if (!shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (shared == MAP_FAILED || ecbpf_new(&e))
			return -1;
	}
	memset(&shared->head, 0, sizeof(shared->head));
	memset(shared->used, 0, sizeof(shared->used));
	shared->calls_left = -1;
	model_count = 0;
	open_table();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ecbpf_trie_close(trie);
	trie = NULL;
	return 0;
}

static void empty(void **state)
{
	(void)state;
	check_entries();
	check_lookups(100);
	assert_int_equal(chunks_used(), 1);
	assert_int_equal(ecbpf_trie_bytes(trie), 1 << 20);
}

/* One after another: what was found is what the model finds, at every step */
static void random_changes(int spread, size_t limit, size_t steps)
{
	for (size_t i = 0; i < steps; i++) {
		struct ecbpf_trie_op op;
		bool is_full = model_count > (i / (steps / 4) % 2 ? limit / 8 : limit);

		if (model_count && (is_full || random_bits() % 4 == 0)) {
			op = model[random_bits() % model_count];
			op.value = random_bits() % 4 ? 0 : 7;
		} else {
			op = random_prefix(random_bits() % 2 ? 4 : 6, spread);
		}
		change(&op);
		assert_int_equal(ecbpf_trie_find(trie, &op), op.value);
		check_lookups(LOOKUPS_MAX);
		if (i % 1000 == 0) {
			check_entries();
			check_lookups(1000);
		}
	}
	check_entries();
	check_lookups(10000);
	while (model_count) {
		struct ecbpf_trie_op op = model[random_bits() % model_count];

		op.value = 0;
		change(&op);
		check_lookups(LOOKUPS_MAX);
	}
	check_entries();
}

static void nested(void **state)
{
	(void)state;
	random_changes(0, 300, 20000);
}

static void spread(void **state)
{
	(void)state;
	random_changes(4, 1000, 10000);
}

static void crowded(void **state)
{
	(void)state;
	random_changes(1, 3000, 8000);
}

/* All prefixes of one address, in every order that counts */
static void chain(void **state)
{
	(void)state;
	for (int round = 0; round < 6; round++) {
		int family = round % 2 ? 6 : 4, width = family == 4 ? 32 : 128;

		for (int i = 0; i <= width; i++) {
			int len = round / 2 == 0   ? i
				  : round / 2 == 1 ? width - i
						   : i * 37 % (width + 1);
			struct ecbpf_trie_op op = {.family = family,
						   .len = len,
						   .hi = 0xaaaaaaaaaaaaaaaa & mask(len),
						   .lo = 0x5555555555555555 & mask(len - 64),
						   .value = len + 1};

			change(&op);
			check_lookups(30);
		}
		while (model_count) {
			struct ecbpf_trie_op op = model[random_bits() % model_count];

			op.value = 0;
			change(&op);
			check_lookups(30);
		}
	}
}

/* Built in one step; changed afterwards, as what is built has nodes of other widths */
static void build(void **state)
{
	static struct ecbpf_trie_op entries[MODEL_MAX];
	static const int spreads[] = {0, 1, 4, 16};

	(void)state;
	for (int round = 0; round < 8; round++) {
		model_count = 0;
		for (int i = 0; i < (round < 4 ? 1000 : 4000); i++) {
			struct ecbpf_trie_op op =
				random_prefix(random_bits() % 4 ? 4 : 6, spreads[round % 4]);

			if (!model_find(&op))
				model[model_count++] = op;
		}
		memcpy(entries, model, sizeof(model));
		assert_int_equal(ecbpf_trie_build(trie, entries, model_count), 0);
		check_entries();
		check_lookups(5000);
		for (int i = 0; i < 1000; i++) {
			struct ecbpf_trie_op op = model[random_bits() % model_count];

			if (random_bits() % 3)
				op = random_prefix(random_bits() % 4 ? 4 : 6, spreads[round % 4]);
			else
				op.value = 0;
			if (op.value && model_count == MODEL_MAX)
				continue;
			change(&op);
			check_lookups(LOOKUPS_MAX);
		}
		check_entries();
		check_lookups(5000);
		assert_int_equal(ecbpf_trie_bytes(trie), chunks_used() << 20);
	}
}

/* What is added one by one takes the room of what was deleted: after packets on their way are gone
 */
static void churn(void **state)
{
	size_t bytes;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct ecbpf_trie_op op = random_prefix(i % 2 ? 4 : 6, 16);

		if (op.len)
			change(&op);
	}
	bytes = ecbpf_trie_bytes(trie);
	shared->waits = 0;
	for (int i = 0; i < 60000; i++) {
		struct ecbpf_trie_op op = random_prefix(i % 2 ? 4 : 6, 16);

		assert_int_equal(ecbpf_trie_change(trie, &op, 1), 0);
		op.value = 0;
		if (!model_find(&op))
			assert_int_equal(ecbpf_trie_change(trie, &op, 1), 0);
		else
			change(&op);
	}
	check_entries();
	check_lookups(1000);
	assert_true(shared->waits > 10);
	assert_in_range(ecbpf_trie_bytes(trie), 1, bytes + (1 << 20));
}

/* Several at once; more than fit the hash table or the journal */
static void several(void **state)
{
	static struct ecbpf_trie_op ops[ECBPF_TRIE_JOURNAL + 1];

	(void)state;
	for (int round = 0; round < 12; round++) {
		for (int i = 0; i < ECBPF_TRIE_JOURNAL; i++) {
			ops[i] = random_prefix(i % 2 ? 4 : 6, 2);
			if (i % 8 == 7)
				ops[i].value = 0;
			if (i % 16 == 8) /* the same one twice */
				ops[i] = ops[i - 1], ops[i].value = i;
			model_change(&ops[i]);
		}
		assert_int_equal(ecbpf_trie_change(trie, ops, ECBPF_TRIE_JOURNAL), 0);
		check_lookups(1000);
		check_entries();
	}
	assert_int_equal(ecbpf_trie_change(trie, ops, ECBPF_TRIE_JOURNAL + 1), -E2BIG);
	assert_int_equal(ecbpf_trie_change(trie, ops, 0), 0);
	check_entries();
}

static void no_memory(void **state)
{
	static struct ecbpf_trie_op ops[MODEL_MAX];
	struct ecbpf_trie_op op;

	(void)state;
	for (int i = 0; i < 100; i++) {
		op = random_prefix(i % 2 ? 4 : 6, 2);
		change(&op);
	}
	memset(shared->used, 1, sizeof(shared->used));
	memcpy(ops, model, sizeof(model));
	assert_int_not_equal(ecbpf_trie_build(trie, ops, 50), 0);
	check_entries();
	check_lookups(1000);
	assert_int_equal(shared->head.dirty, 0);
}

/* --- writers that die ------------------------------------------------------------------------- */

static struct ecbpf_trie_op pending[ECBPF_TRIE_JOURNAL];
static size_t pending_count;

/* After the writer's death: all of the change or nothing. Return: true if all */
static bool check_after_death(bool is_replace)
{
	struct ecbpf_trie_op *entries, old[200];
	size_t count, old_count = model_count;
	bool is_new = true;

	shared->calls_left = -1;
	ecbpf_trie_close(trie);
	open_table();
	assert_int_equal(shared->head.journal_count, 0);
	assert_int_equal(shared->head.dirty, 0);
	assert_int_equal(ecbpf_trie_bytes(trie), chunks_used() << 20);
	memcpy(old, model, sizeof(old));
	assert_int_equal(ecbpf_trie_entries(trie, &entries, &count), 0);
	if (is_replace)
		model_count = 0;
	for (size_t i = 0; i < pending_count; i++)
		model_change(&pending[i]);
	qsort(model, model_count, sizeof(*model), ecbpf_trie_compare);
	if (count != model_count || memcmp(entries, model, count * sizeof(*model))) {
		is_new = false;
		memcpy(model, old, sizeof(old));
		model_count = old_count;
	}
	free(entries);
	check_entries();
	check_lookups(300);
	return is_new;
}

static void pending_draw(void)
{
	pending_count = random_bits() % 20 + 1;
	for (size_t i = 0; i < pending_count; i++) {
		if (model_count > 50 && random_bits() % 2) {
			pending[i] = model[random_bits() % model_count];
			pending[i].value = 0;
		} else {
			pending[i] = random_prefix(random_bits() % 2 ? 4 : 6, 2);
		}
	}
}

/* Killed in the middle of changes, at any instant */
static void killed(void **state)
{
	int was_new = 0, rounds = 300;

	(void)state;
	for (int round = 0; round < rounds; round++) {
		int fds[2], status;
		pid_t pid;
		char byte;

		pending_draw();
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (!pid) {
			/* until it is killed: each end of this is where it may be caught */
			if (write(fds[1], "", 1) != 1)
				_exit(1);
			for (;;) {
				ecbpf_trie_change(trie, pending, pending_count);
				if (round % 2) /* and back */
					break;
			}
			_exit(0);
		}
		assert_int_equal(read(fds[0], &byte, 1), 1);
		usleep(random_bits() % (round % 2 ? 60 : 300));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		close(fds[0]);
		close(fds[1]);
		was_new += check_after_death(false);
		if (model_count > 150) {
			model_count = 100;
			memcpy(pending, model, 100 * sizeof(*model));
			assert_int_equal(ecbpf_trie_build(trie, pending, 100), 0);
		}
	}
	assert_in_range(was_new, 1, rounds);
}

/* Dead at each of the steps that a generation takes */
static void killed_building(void **state)
{
	bool was_old = false, was_new = false;
	int calls, status = 0;

	(void)state;
	for (calls = 0; calls < 100; calls++) {
		pid_t pid;

		for (pending_count = 0; pending_count < 150; pending_count++) {
			pending[pending_count] = random_prefix(4, 16);
			pending[pending_count].len = 32;
			pending[pending_count].hi = random_bits() << 32;
		}
		shared->calls_left = calls;
		pid = fork();
		if (!pid)
			_exit(ecbpf_trie_build(trie, pending, pending_count) ? 1 : 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		shared->calls_left = -1;
		if (check_after_death(true))
			was_new = true;
		else
			was_old = true;
		if (!WEXITSTATUS(status))
			break;
		assert_int_equal(WEXITSTATUS(status), 9);
	}
	assert_in_range(calls, 4, 99);
	assert_true(was_old);
	assert_true(was_new);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(empty),	 TEST(nested), TEST(spread),	      TEST(crowded),
		TEST(chain),	 TEST(build),  TEST(churn),	      TEST(several),
		TEST(no_memory), TEST(killed), TEST(killed_building),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
