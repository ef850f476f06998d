// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The settings of the filter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <stdio.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "core/bucket.h"
#include "core/handle.h"
#include "core/time.h"
#include "filter/filter.h"

#define PPS_MAX 1000000000

static const char *const frags_names[] = {
	[ECBPF_FILTER_FRAGS_PASS] = "pass",
	[ECBPF_FILTER_FRAGS_DROP] = "drop",
	[ECBPF_FILTER_FRAGS_PTB] = "ptb",
};

const char *ecbpf_filter_check_name(__u32 number)
{
	switch (number) {
#define X(bit, NAME, key, is_dropped) \
	case bit:                     \
		return key;
		ECBPF_FILTER_CHECKS(X)
#undef X
	default:
		return NULL;
	}
}

static void config_of(const struct ecbpf_filter_settings *settings,
		      struct ecbpf_filter_config *config)
{
	config->frags = settings->frags;
	config->frags6 = settings->frags6;
	config->ptb_max_pps = settings->ptb_max_pps ?: ECBPF_FILTER_PTB_MAX_PPS;
	config->ptb_per_source_pps =
		settings->ptb_per_source_pps ?: ECBPF_FILTER_PTB_PER_SOURCE_PPS;
	config->drop = settings->drop_flip ^ ECBPF_FILTER_DROP_DEFAULT;
	config->count = settings->count & ~config->drop;
}

static int config_apply(struct ecbpf *e, const struct ecbpf_filter_config *config,
			struct ecbpf_filter_settings *settings)
{
	__u32 hz = ecbpf_hz();

	settings->frags = config->frags;
	settings->frags6 = config->frags6;
	settings->ptb_max_pps = config->ptb_max_pps;
	settings->ptb_per_source_pps = config->ptb_per_source_pps;
	settings->ptb_rate = ecbpf_rate_cap(config->ptb_max_pps, hz);
	settings->ptb_source_rate = ecbpf_rate_cap(config->ptb_per_source_pps, hz);
	settings->drop_flip = config->drop ^ ECBPF_FILTER_DROP_DEFAULT;
	settings->count = config->count;
	if (!settings->hash_seed &&
	    getrandom(&settings->hash_seed, sizeof(settings->hash_seed), 0) < 0)
		return ecbpf_fail(e, -errno, "getrandom: %s", strerror(errno));
	return 0;
}

/* The generation that packets do not look at, then the switch; see struct ecbpf_filter */
static int config_store(struct ecbpf *e, struct ecbpf_filter *filter,
			const struct ecbpf_filter_config *config)
{
	__u32 next = !(filter->active & 1);
	struct ecbpf_filter_settings settings = filter->settings[!next];
	int err;

	err = config_apply(e, config, &settings);
	if (err)
		return err;
	filter->settings[next] = settings;
	__atomic_store_n(&filter->active, next, __ATOMIC_RELEASE);
	ecbpf_synchronize(e);
	return 0;
}

int ecbpf_filter_config_get(struct ecbpf *e, struct ecbpf_filter_config *ret_config)
{
	_cleanup_close_ int fd = -1, lock = -1;
	struct ecbpf_filter filter = {};
	__u32 key = 0;
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	lock = ecbpf_lock(e); /* or settings may be written while they are read */
	if (lock < 0)
		return lock;
	fd = ecbpf_map_open(e, "filter_settings", NULL);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0 && bpf_map_lookup_elem(fd, &key, &filter))
		return ecbpf_fail(e, -errno, "map filter_settings: %s", strerror(errno));
	config_of(&filter.settings[filter.active & 1], ret_config);
	return 0;
}

static int set_frags(struct ecbpf *e, const char *key, const char *value, __u32 *frags)
{
	for (size_t i = 0; i < ARRAY_SIZE(frags_names); i++) {
		if (!strcmp(value, frags_names[i])) {
			*frags = i;
			return 0;
		}
	}
	return ecbpf_fail(e, -EINVAL, "%s: '%s' is not pass, drop or ptb", key, value);
}

static int set_pps(struct ecbpf *e, const char *key, const char *value, __u32 *pps)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || errno || *end || !number || number > PPS_MAX)
		return ecbpf_fail(e, -EINVAL, "%s: '%s' is not a number from 1 to %d", key, value,
				  PPS_MAX);
	*pps = number;
	return 0;
}

static int set_checks(struct ecbpf *e, const char *key, const char *value, __u32 checks,
		      struct ecbpf_filter_config *config)
{
	bool is_drop = !strcmp(value, "drop"), is_count = !strcmp(value, "count");

	if (!is_drop && !is_count && strcmp(value, "off"))
		return ecbpf_fail(e, -EINVAL, "%s: '%s' is not off, count or drop", key, value);
	config->drop = (config->drop & ~checks) | (is_drop ? checks : 0);
	config->count = (config->count & ~checks) | (is_count ? checks : 0);
	return 0;
}

int ecbpf_filter_setting(struct ecbpf *e, const char *key, const char *value,
			 struct ecbpf_filter_config *config)
{
	__u32 all = 0;

	if (!strcmp(key, "frags"))
		return set_frags(e, key, value, &config->frags);
	if (!strcmp(key, "frags6"))
		return set_frags(e, key, value, &config->frags6);
	if (!strcmp(key, "ptb-max-pps"))
		return set_pps(e, key, value, &config->ptb_max_pps);
	if (!strcmp(key, "ptb-per-source-pps"))
		return set_pps(e, key, value, &config->ptb_per_source_pps);
	for (__u32 i = 0; ecbpf_filter_check_name(i); i++) {
		if (!strcmp(key, ecbpf_filter_check_name(i)))
			return set_checks(e, key, value, 1U << i, config);
		all |= 1U << i;
	}
	if (!strcmp(key, "checks"))
		return set_checks(e, key, value, all, config);
	return ecbpf_fail(e, -EINVAL,
			  "no setting '%s'; there are frags, frags6, ptb-max-pps, "
			  "ptb-per-source-pps, checks"
#define X(bit, NAME, key, is_dropped) ", " key
			  ECBPF_FILTER_CHECKS(X)
#undef X
				  ,
			  key);
}

static int set_all(struct ecbpf *e, const char *const *settings, size_t count,
		   struct ecbpf_filter_config *config)
{
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(settings[i], '=');
		char key[64];
		int err;

		if (!equals || equals == settings[i])
			return ecbpf_fail(e, -EINVAL, "'%s' is not KEY=VALUE", settings[i]);
		snprintf(key, sizeof(key), "%.*s", (int)(equals - settings[i]), settings[i]);
		err = ecbpf_filter_setting(e, key, equals + 1, config);
		if (err)
			return err;
	}
	return 0;
}

int ecbpf_filter_set(struct ecbpf *e, const char *const *settings, size_t count)
{
	struct filter_maps maps cleanup_filter_maps = FILTER_MAPS_INIT;
	struct ecbpf_filter_config config = {};
	int err;

	err = set_all(e, settings, count, &config); /* before anything is made */
	if (!err)
		err = filter_maps_open(e, &maps);
	if (err)
		return err;
	config_of(&maps.filter->settings[maps.filter->active & 1], &config);
	err = set_all(e, settings, count, &config);
	if (!err)
		err = filter_addrs_refresh(e, maps.addrs_fd);
	return err ? err : config_store(e, maps.filter, &config);
}
