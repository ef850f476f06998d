// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The fast path's settings and what its table says, with an IPVS of our own: needs neither
 * privilege nor kernel. What is loaded for real is tested in testing/netns and testing/vm/tests.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/util.h"
#include "fastpath/fastpath.h"

static struct ecbpf *e;
static struct ipvs_timeouts timeouts;
static char logged[512];

/* --- IPVS, as it is to be ----------------------------------------------------------------- */

int ecbpf_ipvs_services(struct ecbpf *handle, struct ipvs_service **ret_services, size_t *ret_count)
{
	(void)handle;
	*ret_services = NULL;
	*ret_count = 0;
	return 0;
}

int ecbpf_ipvs_timeouts(struct ecbpf *handle, struct ipvs_timeouts *ret_timeouts)
{
	(void)handle;
	if (!timeouts.tcp)
		return -ENOENT;
	*ret_timeouts = timeouts;
	return 0;
}

int ecbpf_ipvs_conns(struct ecbpf *handle, struct ipvs_conn **ret_conns, size_t *ret_count)
{
	(void)handle;
	(void)ret_conns;
	(void)ret_count;
	return -ENOENT;
}

const struct ipvs_conn *ecbpf_ipvs_find(const struct ipvs_conn *conns, size_t count,
					const struct ipvs_conn *key)
{
	(void)conns;
	(void)count;
	(void)key;
	return NULL;
}

int ecbpf_ipvs_neighbours(struct ecbpf *handle, struct ipvs_neighbour **ret_neighbours,
			  size_t *ret_count)
{
	(void)handle;
	(void)ret_neighbours;
	*ret_count = 0;
	return 0;
}

static void keep_log(void *data, enum ecbpf_log_level level, const char *line)
{
	(void)data;
	if (level == ECBPF_LOG_WARN)
		snprintf(logged, sizeof(logged), "%s", line);
}

static int setup(void **state)
{
	(void)state;
	if (ecbpf_new(&e))
		return -1;
	ecbpf_set_log(e, keep_log, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ecbpf_free(e);
	return 0;
}

/* --- settings ----------------------------------------------------------------------------- */

static const __u32 hzs[] = {100, 250, 300, 1000};

/* What is read back is allowed, and is read back again when it is written */
static void settings_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hzs); i++) {
		for (__u32 ms = 10; ms <= 60000; ms++) {
			__u32 jiffies = fastpath_jiffies_from_ms(ms, hzs[i]);
			__u32 back = fastpath_ms_from_jiffies(jiffies, hzs[i]);

			assert_in_range(back, ms, 60000);
			assert_int_equal(fastpath_jiffies_from_ms(back, hzs[i]), jiffies);
		}
		assert_int_equal(fastpath_ms_from_jiffies(
					 fastpath_jiffies_from_ms(86400000, hzs[i]), hzs[i]),
				 86400000);
	}
}

static void settings_get_is_settable(void **state)
{
	(void)state;
	timeouts = (struct ipvs_timeouts){};
	for (size_t i = 0; i < ARRAY_SIZE(hzs); i++) {
		for (__u32 sample = 20; sample < 100; sample++) {
			struct ecbpf_fastpath f = {.hz = hzs[i]};
			struct ecbpf_fastpath_settings s, got;

			ecbpf_settings_reset(ecbpf_fastpath_settings(), &s);
			fastpath_settings_write(&f, &s);
			s.lease_ms = 100 + sample;
			s.sample_ms = sample;
			s.inactive_ms = sample + 1; /* the same jiffy, or it is not */
			if (fastpath_settings_check_change(e, &f, &s)) {
				assert_non_null(strstr(ecbpf_error(e), "must be less than"));
				assert_true(1000 / hzs[i] > 1);
				s.inactive_ms = sample + 1000 / hzs[i] + 1;
				assert_int_equal(fastpath_settings_check_change(e, &f, &s), 0);
			}
			fastpath_settings_write(&f, &s);
			fastpath_settings_read(&f, &got);
			assert_memory_equal(&got, &s, sizeof(s));
			assert_int_equal(fastpath_settings_check_change(e, &f, &got), 0);
		}
	}
}

/* Somebody has lowered IPVS's timeouts since */
static void settings_that_stay(void **state)
{
	struct ecbpf_fastpath f = {.hz = 250};
	struct ecbpf_fastpath_settings s;

	(void)state;
	ecbpf_settings_reset(ecbpf_fastpath_settings(), &s);
	timeouts = (struct ipvs_timeouts){.tcp = 30, .tcp_fin = 30, .udp = 30};
	fastpath_settings_write(&f, &s);
	s.monitor = true;
	s.limit = true;
	s.reset_pps = 10;
	assert_int_equal(fastpath_settings_check_change(e, &f, &s), 0);
	s.inactive_ms = 50000;
	assert_int_equal(fastpath_settings_check_change(e, &f, &s), -EINVAL);
	assert_non_null(strstr(ecbpf_error(e), "IPVS's TCP timeout (30 s"));
	s.inactive_ms = 29000;
	assert_int_equal(fastpath_settings_check_change(e, &f, &s), 0);
	s.sample_ms = 9;
	assert_int_equal(fastpath_settings_check_change(e, &f, &s), -EINVAL);
}

/* Timeouts that the defaults do not go with: it begins with such as do, and says so */
static void settings_that_begin(void **state)
{
	static const struct ipvs_timeouts shorts[] = {
		{60, 120, 300}, {900, 1, 300}, {900, 120, 1}, {2, 2, 2}, {1, 1, 1},
	};

	(void)state;
	timeouts = (struct ipvs_timeouts){.tcp = 900, .tcp_fin = 120, .udp = 300};
	for (size_t i = 0; i <= ARRAY_SIZE(shorts); i++) {
		struct ecbpf_fastpath f = {.hz = 300};
		struct ecbpf_fastpath_settings s;

		logged[0] = '\0';
		assert_int_equal(fastpath_settings_init(e, &f, true), 0);
		assert_true(!i == !logged[0]);
		assert_true(!i || strstr(logged, "begins with inactive="));
		fastpath_settings_read(&f, &s);
		assert_true(s.monitor);
		assert_int_equal(fastpath_settings_check(e, &s, f.hz), 0);
		assert_int_equal(fastpath_settings_check_ipvs(e, &s, NULL), 0);
		if (i < ARRAY_SIZE(shorts))
			timeouts = shorts[i];
	}
}

/* --- flows -------------------------------------------------------------------------------- */

/* A lease that ended long ago is not alive again after 2^31 jiffies: the kernel has 40 bits */
static void lease_is_over(void **state)
{
	static const __u64 ages[] = {0, 1, 1ULL << 31, (1ULL << 31) + 5, 1ULL << 32, 5ULL << 32};
	const struct ecbpf_fastpath settings = {.hz = 1000};
	const __u64 now = (9ULL << 32) + 7;
	struct ecbpf_fastpath_flow flow;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		struct ecbpf_flow slot = {.lease = ECBPF_LEASE(now - ages[i], 1)};

		fastpath_flow_decode(&slot, &settings, now, &flow);
		assert_int_equal(flow.lease_ms, -(long long)ages[i]);
		slot.lease = ECBPF_LEASE(now + ages[i], 1);
		fastpath_flow_decode(&slot, &settings, now, &flow);
		assert_int_equal(flow.lease_ms, ages[i]);
	}
}

/* Sampled a moment after `now` was read */
static void up_is_not_negative(void **state)
{
	static const struct {
		__u64 now;
		__u32 up;
		long long ms;
	} moments[] = {{1000, 1004, 0}, {1000, 1000, 0}, {1000, 990, 40}, {2, -3U, 20}};
	const struct ecbpf_fastpath settings = {.hz = 250};
	struct ecbpf_fastpath_flow flow;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		struct ecbpf_flow slot = {.punted = moments[i].up};

		fastpath_flow_decode(&slot, &settings, moments[i].now, &flow);
		assert_int_equal(flow.punted_ms, moments[i].ms);
	}
}

/* As XDP does it: sample_fin after a FIN */
static void explain_sample(void **state)
{
	const struct ecbpf_fastpath_settings settings = {.sample_ms = 1000};
	struct ecbpf_fastpath_explanation x = {.is_known = true, .flow = {.lease_ms = 10}};

	(void)state;
	x.flow.punted_ms = 200;
	x.sample_ms = fastpath_explain_sample_ms(&settings, &x.flow);
	assert_int_equal(x.sample_ms, 800);
	assert_int_equal(fastpath_explain_reason(&x, &settings), ECBPF_REASON_FP_LEASE);
	x.flow.is_ending = true;
	x.sample_ms = fastpath_explain_sample_ms(&settings, &x.flow);
	assert_int_equal(x.sample_ms, -75);
	assert_int_equal(fastpath_explain_reason(&x, &settings), ECBPF_REASON_FP_SAMPLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_come_back), cmocka_unit_test(settings_get_is_settable),
		cmocka_unit_test(settings_that_stay), cmocka_unit_test(settings_that_begin),
		cmocka_unit_test(lease_is_over),      cmocka_unit_test(up_is_not_negative),
		cmocka_unit_test(explain_sample),
	};

	return cmocka_run_group_tests_name("fastpath", tests, setup, teardown);
}
