// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Readings of the counters of the live rules, see reading.h */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tools/fw/reading.h"

static const char *const sort_names[] = {
	[FW_SORT_NUMBER] = "number", [FW_SORT_PACKETS] = "packets", [FW_SORT_BYTES] = "bytes",
	[FW_SORT_RATE] = "rate",     [FW_SORT_DROPPED] = "dropped",
};

int fw_sort_parse(const char *text, enum fw_sort *ret_sort)
{
	for (size_t i = 0; i < sizeof(sort_names) / sizeof(sort_names[0]); i++)
		if (!strcmp(text, sort_names[i])) {
			*ret_sort = i;
			return 0;
		}
	return tool_usage("--sort: '%s' is not packets, bytes, rate, dropped or number", text);
}

const char *fw_sort_name(enum fw_sort sort)
{
	return sort_names[sort];
}

/* Do both have the same rules? */
static bool is_same(const struct fw_reading *a, const struct fw_reading *b)
{
	bool same = a->ruleset && a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++) {
		char *p TOOL_CLEANUP(fw_free_text) = ecbpf_fw_rule_text(a->ruleset, i);
		char *q TOOL_CLEANUP(fw_free_text) = ecbpf_fw_rule_text(b->ruleset, i);

		same = p && q && !strcmp(p, q);
	}
	return same;
}

/* 0 also if the counter was set to zero meanwhile */
static double rate(__u64 before, __u64 now, double seconds)
{
	return now < before || seconds <= 0 ? 0 : (now - before) / seconds;
}

static void set_rates(const struct fw_reading *before, struct fw_reading *now)
{
	double seconds = now->time - before->time;

	for (size_t i = 0; i < now->count; i++) {
		const struct ecbpf_fw_stat *a = &before->stats[i], *b = &now->stats[i];

		now->rates[i] = (struct fw_rate){
			.packets = rate(a->packets, b->packets, seconds),
			.bytes = rate(a->bytes, b->bytes, seconds),
			.dropped = rate(a->dropped, b->dropped, seconds),
		};
	}
}

int fw_reading_take(const struct tool *tool, struct fw_reading *reading)
{
	struct ecbpf_fw_summary summary;
	struct fw_reading now = {};
	struct timespec time;
	int err;

	err = ecbpf_fw_stats(tool->ecbpf, &now.ruleset, &now.stats);
	if (err)
		return err;
	clock_gettime(CLOCK_MONOTONIC, &time);
	now.time = time.tv_sec + time.tv_nsec / 1e9;
	ecbpf_fw_summary(now.ruleset, &summary);
	now.count = summary.rules;
	now.rates = tool_alloc(NULL, (now.count + 1) * sizeof(*now.rates));
	memset(now.rates, 0, (now.count + 1) * sizeof(*now.rates));
	if (is_same(reading, &now))
		set_rates(reading, &now);
	fw_reading_free(reading);
	*reading = now;
	return 0;
}

void fw_reading_free(struct fw_reading *reading)
{
	ecbpf_fw_ruleset_free(reading->ruleset);
	free(reading->stats);
	free(reading->rates);
	*reading = (struct fw_reading){};
}

/* --- order ------------------------------------------------------------------------------------ */

struct key {
	double value;
	size_t index;
};

static double key_value(const struct fw_reading *reading, size_t i, enum fw_sort sort)
{
	switch (sort) {
	case FW_SORT_PACKETS:
		return reading->stats[i].packets;
	case FW_SORT_BYTES:
		return reading->stats[i].bytes;
	case FW_SORT_RATE:
		return reading->rates[i].packets;
	case FW_SORT_DROPPED:
		return reading->stats[i].dropped;
	default:
		return 0;
	}
}

/* Those with as much: by number */
static int key_compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

size_t *fw_reading_order(const struct fw_reading *reading, enum fw_sort sort)
{
	struct key *keys = tool_alloc(NULL, (reading->count + 1) * sizeof(*keys));
	size_t *order = tool_alloc(NULL, (reading->count + 1) * sizeof(*order));

	for (size_t i = 0; i < reading->count; i++)
		keys[i] = (struct key){key_value(reading, i, sort), i};
	qsort(keys, reading->count, sizeof(*keys), key_compare);
	for (size_t i = 0; i < reading->count; i++)
		order[i] = keys[i].index;
	free(keys);
	return order;
}
