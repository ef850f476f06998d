// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The settings of the filter.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "bpf/map.h"
#include "bpf/synchronize.h"
#include "bpf/transaction.h"
#include "core/bucket.h"
#include "core/handle.h"
#include "core/runtime_log.h"
#include "core/time.h"
#include "core/util.h"
#include "filter/filter.h"

#define FIELD(field) .offset = offsetof(struct ecbpf_filter_config, field)
#define PPS	     .min = 1, .max = 1000000000

static const struct ecbpf_setting rows[] = {
	{
		.name = "frags",
		FIELD(frags),
		.words = "pass,drop,ptb",
		.value = ECBPF_FILTER_FRAGS_PASS,
		.text = "IPv4 fragments whose destination is neither an address of this host nor a "
			"multicast address, or is one of its VIPs",
		.more = "With ptb, they are dropped, and the first fragment is answered with ICMP "
			"fragmentation needed or ICMPv6 packet too big",
	},
	{
		.name = "frags6",
		FIELD(frags6),
		.words = "pass,drop,ptb",
		.value = ECBPF_FILTER_FRAGS_PASS,
		.text = "the same for IPv6",
		.more = "A complete IPv6 packet with a fragment header (RFC 6946) is not a "
			"fragment",
	},
	{
		.name = "not-inspected",
		FIELD(not_inspected),
		.words = "pass,drop",
		.value = ECBPF_FILTER_LINKS_PASS,
		.text = "frames of other link layers that can carry IP: LLC and SNAP, PPPoE, MPLS, "
			"802.1ah, 802.1BR, VN-tag, NSH, MACsec, tags before 802.1ad, HSR and "
			"others",
		.more = "They are counted in any case, each kind as a reason of its own. Frames "
			"with more than two VLAN tags are malformed",
	},
	{
		.name = "ptb-max-pps",
		FIELD(ptb_max_pps),
		PPS,
		.value = ECBPF_FILTER_PTB_MAX_PPS,
		.text = "answers that this host sends in any second at most",
		.more = "The limit holds for all CPUs and interfaces together. The long-term rate "
			"is nine tenths of it",
	},
	{
		.name = "ptb-per-source-pps",
		FIELD(ptb_per_source_pps),
		PPS,
		.value = ECBPF_FILTER_PTB_PER_SOURCE_PPS,
		.text = "the same to one IPv4 address or one IPv6 /64",
		.more = "Sources are hashed to 16384 values; sources with the same hash share the "
			"limit",
	},
#define X(bit, NAME, key, is_dropped, phrase)                                             \
	{                                                                                 \
		.name = (key),                                                            \
		FIELD(checks[bit]),                                                       \
		.words = "off,count,drop",                                                \
		.value = (is_dropped) ? ECBPF_FILTER_CHECK_DROP : ECBPF_FILTER_CHECK_OFF, \
		.group = "checks",                                                        \
		.text = (phrase),                                                         \
	},
	ECBPF_FILTER_CHECKS(X)
#undef X
};

#define X(bit, NAME, key, is_dropped, text) ROW_OF_##NAME,
enum {
	ECBPF_FILTER_CHECKS(X) CHECKS_COUNT,
};
#undef X

const struct ecbpf_settings *ecbpf_filter_settings(void)
{
	static const struct ecbpf_settings settings = {"filter", rows, ARRAY_SIZE(rows)};

	return &settings;
}

static void config_of(const struct ecbpf_filter_settings *settings,
		      struct ecbpf_filter_config *config)
{
	__u32 drop = settings->drop_flip ^ ECBPF_FILTER_DROP_DEFAULT;

	*config = (struct ecbpf_filter_config){
		.frags = settings->frags,
		.frags6 = settings->frags6,
		.not_inspected =
			settings->drop_links ? ECBPF_FILTER_LINKS_DROP : ECBPF_FILTER_LINKS_PASS,
		.ptb_max_pps = settings->ptb_max_pps ?: ECBPF_FILTER_PTB_MAX_PPS,
		.ptb_per_source_pps =
			settings->ptb_per_source_pps ?: ECBPF_FILTER_PTB_PER_SOURCE_PPS,
	};
	for (__u32 i = 0; i < CHECKS_COUNT; i++)
		config->checks[i] = drop >> i & 1	       ? ECBPF_FILTER_CHECK_DROP
				    : settings->count >> i & 1 ? ECBPF_FILTER_CHECK_COUNT
							       : ECBPF_FILTER_CHECK_OFF;
}

static int config_apply(struct ecbpf *e, const struct ecbpf_filter_config *config,
			struct ecbpf_filter_settings *settings)
{
	__u32 hz = ecbpf_hz();

	settings->frags = config->frags;
	settings->frags6 = config->frags6;
	settings->drop_links = config->not_inspected == ECBPF_FILTER_LINKS_DROP;
	settings->ptb_max_pps = config->ptb_max_pps;
	settings->ptb_per_source_pps = config->ptb_per_source_pps;
	settings->ptb_rate = ecbpf_rate_cap(config->ptb_max_pps, hz);
	settings->ptb_source_rate = ecbpf_rate_cap(config->ptb_per_source_pps, hz);
	settings->drop_flip = ECBPF_FILTER_DROP_DEFAULT;
	settings->count = 0;
	for (__u32 i = 0; i < CHECKS_COUNT; i++) {
		settings->drop_flip ^= (config->checks[i] == ECBPF_FILTER_CHECK_DROP) << i;
		settings->count |= (config->checks[i] == ECBPF_FILTER_CHECK_COUNT) << i;
	}
	if (!settings->hash_seed &&
	    getrandom(&settings->hash_seed, sizeof(settings->hash_seed), 0) < 0)
		return ecbpf_fail(e, -errno, "getrandom: %s", strerror(errno));
	return 0;
}

/* Write the generation that is not live, then make it live; see struct ecbpf_filter */
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

	ecbpf_capture(e);
	fd = ecbpf_map_open(e, "filter_settings", NULL);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0)
		lock = ecbpf_lock(e); /* or settings may be written while they are read */
	if (fd >= 0 && lock < 0)
		return lock;
	if (fd >= 0 && bpf_map_lookup_elem(fd, &key, &filter))
		return ecbpf_fail(e, -errno, "map filter_settings: %s", strerror(errno));
	config_of(&filter.settings[filter.active & 1], ret_config);
	return 0;
}

/* @texts: changes; @wanted: all values instead, or NULL */
static int change_locked(struct ecbpf *e, const char *const *texts, size_t count,
			 const struct ecbpf_filter_config *wanted)
{
	struct filter_maps maps cleanup_filter_maps = FILTER_MAPS_INIT;
	struct ecbpf_filter_config config, before;
	__u64 given = 0;
	int err;

	err = filter_maps_open(e, &maps);
	if (err)
		return err;
	config_of(&maps.filter->settings[maps.filter->active & 1], &before);
	config = wanted ? *wanted : before;
	err = ecbpf_settings_parse(e, ecbpf_filter_settings(), texts, count, &config, &given);
	if (!err)
		err = filter_addrs_refresh(e, maps.addrs_fd);
	if (err)
		return err;
	runtime_log_ahead(e);
	runtime_settings_log(e, ecbpf_filter_settings(), &before, &config);
	err = config_store(e, maps.filter, &config);
	runtime_log_settle(e, !err);
	return err;
}

static int change(struct ecbpf *e, const char *const *texts, size_t count,
		  const struct ecbpf_filter_config *wanted)
{
	struct transaction t;
	int err = ecbpf_transaction_begin(e, &t);

	return err ? err : ecbpf_transaction_end(e, &t, change_locked(e, texts, count, wanted));
}

int ecbpf_filter_set(struct ecbpf *e, const char *const *texts, size_t count)
{
	struct ecbpf_filter_config tried;
	__u64 given = 0;
	int err;

	/* before anything is made */
	err = ecbpf_settings_parse(e, ecbpf_filter_settings(), texts, count, &tried, &given);
	return err ? err : change(e, texts, count, NULL);
}

int ecbpf_filter_config_set(struct ecbpf *e, const struct ecbpf_filter_config *config)
{
	int err = ecbpf_settings_check(e, ecbpf_filter_settings(), config);

	return err ? err : change(e, NULL, 0, config);
}
