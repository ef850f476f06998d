// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The settings of the fast path: checks, conversion to what the programs read.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <bpf/bpf.h>
#include "bpf/lock.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/runtime_log.h"
#include "core/time.h"
#include "fastpath/fastpath.h"
#include "fastpath/ipvs.h"

#define FIELD(field) .offset = offsetof(struct ecbpf_fastpath_settings, field)

static const struct ecbpf_setting rows[] = {
	{
		.name = "lease",
		FIELD(lease_ms),
		.unit = "ms",
		.min = 100,
		.max = 60000,
		.value = 1000,
		.text = "duration of a lease",
		.more = "After IPVS has moved a flow, packets may go to the old server for that "
			"long",
	},
	{
		.name = "sample",
		FIELD(sample_ms),
		.unit = "ms",
		.min = 10,
		.max = 60000,
		.value = 1000,
		.text = "interval at which one packet of each flow is passed to IPVS",
		.more = "It is an eighth of that once the client has sent a FIN",
	},
	{
		.name = "inactive",
		FIELD(inactive_ms),
		.unit = "ms",
		.min = 20,
		.max = 86400000,
		.value = 60000,
		.text = "a flow without packets for this time is idle",
		.more = "It must be more than sample, and less than the timeout of IPVS for TCP "
			"connections",
	},
	{
		.name = "monitor",
		FIELD(monitor),
		.words = "off,on",
		.text = "forward nothing, but count the packets that would be forwarded",
	},
	{
		.name = "routed",
		FIELD(routed),
		.words = "off,on",
		.text = "forward flows that the kernel routes without IPVS, too",
		.more = "Stateful firewall rules see only samples of them",
	},
	{
		.name = "limit",
		FIELD(limit),
		.words = "off,on",
		.text = "the shield: when more packets come in than target-pps, drop a share of "
			"the packets of unknown flows",
		.more = "Packets of known flows and of excluded addresses are never dropped. A SYN "
			"that is repeated after half a second is admitted, with the packets that "
			"follow it, at most 128 per second of each source. Flows that never get a "
			"lease are always unknown: exclude the "
			"addresses of this host first, see RUNBOOK",
	},
	{
		.name = "target-pps",
		FIELD(target_pps),
		.min = 1,
		.max = 1000000000,
		.value = 1000000,
		.text = "packets per second, on all interfaces together, above which the shield "
			"drops",
	},
	{
		.name = "spike",
		FIELD(spike_percent),
		.unit = "%",
		.min = 1,
		.max = 1000,
		.value = 50,
		.text = "how far above target-pps the shield drops its maximum",
		.more = "Between the two rates, the share increases linearly",
	},
	{
		.name = "max",
		FIELD(max_percent),
		.unit = "%",
		.max = 100,
		.value = 95,
		.text = "maximum share that the shield drops",
	},
	{
		.name = "reset-pps",
		FIELD(reset_pps),
		.max = 10000000,
		.text = "TCP resets per second at most, sent by XDP for flows that this host has "
			"reset; 0: their packets are passed to the stack",
		.more = "Each flow gets ten per second at most",
	},
};
_Static_assert(ARRAY_SIZE(rows) * sizeof(__u32) == sizeof(struct ecbpf_fastpath_settings),
	       "a row each");

const struct ecbpf_settings *ecbpf_fastpath_settings(void)
{
	static const struct ecbpf_settings settings = {"fastpath", rows, ARRAY_SIZE(rows)};

	return &settings;
}

/*
 * Milliseconds are rounded up to jiffies, jiffies are rounded down to milliseconds. The value that
 * is read back is never less than the value that was set, and gives the same jiffies again.
 */
__u32 fastpath_jiffies_from_ms(__u32 ms, __u32 hz)
{
	__u32 jiffies = ((__u64)ms * hz + 999) / 1000;

	return jiffies ? jiffies : 1;
}

__u32 fastpath_ms_from_jiffies(__u64 jiffies, __u32 hz)
{
	return jiffies * 1000 / hz;
}

/* Of a load that was killed they may be all 0: these read as defaults, which the next load writes
 */
int fastpath_settings_open(struct ecbpf *e, struct ecbpf_view *ret_view)
{
	struct ecbpf_fastpath *settings;
	int err;

	err = fastpath_view_open(e, "fastpath", sizeof(*settings), ret_view);
	if (err)
		return err;
	settings = ret_view->at;
	if (!settings->hz)
		settings->hz = ecbpf_hz();
	return 0;
}

void fastpath_settings_read(const struct ecbpf_fastpath *f, struct ecbpf_fastpath_settings *ret)
{
	if (!f->lease) {
		ecbpf_settings_reset(ecbpf_fastpath_settings(), ret);
		return;
	}
	*ret = (struct ecbpf_fastpath_settings){
		.lease_ms = fastpath_ms_from_jiffies(f->lease, f->hz),
		.sample_ms = fastpath_ms_from_jiffies(f->sample, f->hz),
		.inactive_ms = fastpath_ms_from_jiffies(f->inactive, f->hz),
		.target_pps = f->target_pps,
		.spike_percent = f->spike_percent,
		.max_percent = f->max_percent,
		.reset_pps = f->reset_pps,
		.monitor = !!(f->flags & ECBPF_FASTPATH_MONITOR),
		.routed = !!(f->flags & ECBPF_FASTPATH_ROUTED),
		.limit = !!(f->flags & ECBPF_FASTPATH_LIMIT),
	};
}

void fastpath_settings_write(struct ecbpf_fastpath *v, const struct ecbpf_fastpath_settings *s)
{
	__u32 window = v->hz / 20 ? v->hz / 20 : 1;

	v->lease = fastpath_jiffies_from_ms(s->lease_ms, v->hz);
	v->sample = fastpath_jiffies_from_ms(s->sample_ms, v->hz);
	v->sample_fin = fastpath_jiffies_from_ms(s->sample_ms / SAMPLE_FIN, v->hz);
	v->inactive = fastpath_jiffies_from_ms(s->inactive_ms, v->hz);
	v->window = window;
	v->target = (__u64)s->target_pps * window / v->hz;
	v->ceiling = (__u64)s->target_pps * (100 + s->spike_percent) / 100 * window / v->hz;
	v->drop_max = s->max_percent * 65536 / 100;
	v->reset_gap = v->hz / 10 ? v->hz / 10 : 1;
	v->target_pps = s->target_pps;
	v->spike_percent = s->spike_percent;
	v->max_percent = s->max_percent;
	v->reset_pps = s->reset_pps;
	v->reset = (struct ecbpf_rate){
		.refill = s->reset_pps,
		.cost = v->hz,
		.max = (__u64)s->reset_pps * v->hz / 10 + v->hz,
		.full = v->hz,
	};
	v->flags = (s->monitor ? ECBPF_FASTPATH_MONITOR : 0) |
		   (s->routed ? ECBPF_FASTPATH_ROUTED : 0) | (s->limit ? ECBPF_FASTPATH_LIMIT : 0);
}

/* They become what fastpath_settings_read() gives back: times are whole jiffies */
int fastpath_settings_check(struct ecbpf *e, struct ecbpf_fastpath_settings *s, __u32 hz)
{
	struct ecbpf_fastpath f = {.hz = hz};
	int err = ecbpf_settings_check(e, ecbpf_fastpath_settings(), s);

	if (err)
		return err;
	fastpath_settings_write(&f, s);
	fastpath_settings_read(&f, s);
	if (s->sample_ms >= s->inactive_ms)
		return ecbpf_fail(e, -EINVAL,
				  "sample (%u ms) must be less than inactive (%u ms): a flow "
				  "would be idle between two packets to IPVS",
				  s->sample_ms, s->inactive_ms);
	return 0;
}

int ecbpf_fastpath_check(struct ecbpf *e, struct ecbpf_fastpath_settings *settings)
{
	struct ecbpf_fastpath_settings checked = *settings;
	int err = fastpath_settings_check(e, &checked, ecbpf_hz());

	if (!err)
		*settings = checked;
	return err;
}

/* An entry of IPVS must not run out while XDP forwards its packets */
int fastpath_settings_check_ipvs(struct ecbpf *e, const struct ecbpf_fastpath_settings *s,
				 struct ecbpf_fastpath_settings *ret_better)
{
	struct ipvs_timeouts timeouts;
	struct saved_error error;
	__u32 least;
	int err;

	ecbpf_error_save(e, &error);
	err = ecbpf_ipvs_timeouts(e, &timeouts);
	if (err == -ENOENT) {
		ecbpf_error_restore(e, &error);
		return 0; /* no IPVS, nothing to hold it against */
	}
	if (err)
		return err;
	least = timeouts.tcp_fin < timeouts.udp ? timeouts.tcp_fin : timeouts.udp;
	if (ret_better) {
		__u64 inactive = (__u64)timeouts.tcp * 500, sample = (__u64)least * 500;

		*ret_better = *s;
		if (inactive < s->inactive_ms)
			ret_better->inactive_ms = inactive;
		if (sample < s->sample_ms)
			ret_better->sample_ms = sample;
		if (ret_better->sample_ms >= ret_better->inactive_ms)
			ret_better->sample_ms = ret_better->inactive_ms / 2;
	}
	if (s->inactive_ms >= (__u64)timeouts.tcp * 1000)
		return ecbpf_fail(e, -EINVAL,
				  "inactive (%u ms) must be less than IPVS's TCP timeout (%u s, "
				  "see 'ipvsadm -l --timeout')",
				  s->inactive_ms, timeouts.tcp);
	if (s->sample_ms >= (__u64)least * 1000)
		return ecbpf_fail(e, -EINVAL,
				  "sample (%u ms) must be less than IPVS's timeouts of UDP and of "
				  "TCP after a FIN (%u s and %u s)",
				  s->sample_ms, timeouts.udp, timeouts.tcp_fin);
	return 0;
}

/*
 * Check settings that replace those of @live. Unchanged ones are not checked against IPVS's
 * timeouts: timeouts that were lowered since must not prevent a change of other settings.
 */
int fastpath_settings_check_change(struct ecbpf *e, const struct ecbpf_fastpath *live,
				   struct ecbpf_fastpath_settings *s)
{
	struct ecbpf_fastpath_settings before;
	int err;

	err = fastpath_settings_check(e, s, live->hz);
	if (err)
		return err;
	fastpath_settings_read(live, &before);
	if (s->sample_ms == before.sample_ms && s->inactive_ms == before.inactive_ms)
		return 0;
	return fastpath_settings_check_ipvs(e, s, NULL);
}

/* Secrets and defaults; the table stays off */
int fastpath_settings_init(struct ecbpf *e, struct ecbpf_fastpath *f, bool monitor)
{
	struct ecbpf_fastpath_settings settings, better;
	int err;

	ecbpf_settings_reset(ecbpf_fastpath_settings(), &settings);
	settings.monitor = monitor;
	err = fastpath_settings_check_ipvs(e, &settings, &better);
	if (err == -EINVAL) {
		settings = better;
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: begins with inactive=%u sample=%u", e->error,
			  settings.inactive_ms, settings.sample_ms);
	} else if (err) {
		return err;
	}
	if (getrandom(&f->seed, sizeof(f->seed), 0) != sizeof(f->seed) ||
	    getrandom(&f->mult, sizeof(f->mult), 0) != sizeof(f->mult))
		return ecbpf_fail(e, -errno, "cannot get random numbers: %s", strerror(errno));
	f->mult |= 1;
	fastpath_settings_write(f, &settings);
	return 0;
}

/* Turn it on, or off with 0. Who writes all settings does not do so meanwhile */
void fastpath_groups_set(struct ecbpf_fastpath *settings, __u32 groups)
{
	*(volatile __u32 *)&settings->groups = groups;
}

int ecbpf_fastpath_get(struct ecbpf *e, struct ecbpf_fastpath_settings *ret_settings)
{
	_cleanup_view_ struct ecbpf_view view = {};
	int err;

	ecbpf_capture(e);
	err = fastpath_settings_open(e, &view);
	if (err)
		return err;
	fastpath_settings_read(view.at, ret_settings);
	return 0;
}

int ecbpf_fastpath_set(struct ecbpf *e, const struct ecbpf_fastpath_settings *settings)
{
	struct ecbpf_fastpath_settings wanted = *settings, before;
	_cleanup_view_ struct ecbpf_view view = {};
	_cleanup_close_ int lock = -1, fd = -1;
	struct ecbpf_fastpath changed;
	__u32 key = 0;
	int err;

	ecbpf_capture(e);
	err = fastpath_settings_open(e, &view);
	if (err)
		return err;
	err = fastpath_settings_check_change(e, view.at, &wanted);
	if (err)
		return err;
	lock = ecbpf_lock(e);
	if (lock < 0)
		return lock;
	fd = fastpath_map_open(e, "fastpath", NULL);
	if (fd < 0)
		return fd;
	err = ecbpf_fastpath_refresh(e, NULL);
	if (err)
		return err;
	/* one system call: a process that is killed leaves the old or the new settings */
	changed = *(const struct ecbpf_fastpath *)view.at;
	fastpath_settings_read(&changed, &before);
	fastpath_settings_write(&changed, &wanted);
	runtime_log_ahead(e);
	runtime_settings_log(e, ecbpf_fastpath_settings(), &before, &wanted);
	if (bpf_map_update_elem(fd, &key, &changed, BPF_EXIST))
		err = ecbpf_fail(e, -errno, "map fastpath: %s", strerror(errno));
	runtime_log_settle(e, !err);
	return err;
}
