// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [sampler]: rates and limits of samples */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/map.h"
#include "config/parse.h"
#include "core/handle.h"

static int open_sampler(struct conf_parser *p, const char *name)
{
	(void)name;
	p->config->has_sampler = true;
	return 0;
}

static int set_sampler(struct conf_parser *p, const char *key, const char *value)
{
	struct ecbpf_sampling *s = &p->config->sampling;
	__u32 *rate = s->rate;
	int err;

	if (!strcmp(key, "snaplen"))
		return conf_set_number(p, key, value, ECBPF_SNAP_MAX, &s->snap_len);
	if (!strcmp(key, "max-pps"))
		return conf_set_number(p, key, value, UINT_MAX, &s->max_pps);
	if (!strcmp(key, "rate-drops")) {
		p->config->has_rate_drops = true;
		return conf_set_number(p, key, value, UINT_MAX, &rate[ECBPF_SAMPLE_TERMINAL]);
	}
	err = conf_set_number(p, key, value, UINT_MAX, &rate[ECBPF_SAMPLE_PASSED]);
	if (!err && !p->config->has_rate_drops)
		rate[ECBPF_SAMPLE_TERMINAL] = rate[ECBPF_SAMPLE_PASSED];
	return err;
}

static bool sampler_is_wanted(const struct ecbpf_config *config)
{
	return config->has_sampler;
}

/* Straight from the map: asking must make nothing. -ENOENT if it was never loaded */
static int sampler_get(struct ecbpf *e, struct ecbpf_sampling *ret)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	__u32 key = 0;
	int err;

	err = ecbpf_bpffs_open(e, false);
	if (!err)
		err = ecbpf_pin_path(e, path, sizeof(path), "sampling");
	if (!err)
		err = ecbpf_pinned_map_check(e, path, NULL);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_map_lookup_elem(fd, &key, ret))
		return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static const char *const sampler_keys[] = {"rate", "rate-drops", "snaplen", "max-pps", NULL};

#define KEYS_COUNT (ARRAY_SIZE(sampler_keys) - 1)

static void sampler_values(const struct ecbpf_sampling *s, __u32 *values)
{
	values[0] = s->rate[ECBPF_SAMPLE_PASSED];
	values[1] = s->rate[ECBPF_SAMPLE_TERMINAL];
	values[2] = s->snap_len;
	values[3] = s->max_pps;
}

static int sampler_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			 struct conf_report *r)
{
	__u32 old[KEYS_COUNT], new[KEYS_COUNT];
	struct ecbpf_sampling running = {};
	size_t before = r->count;
	int err;

	err = sampler_get(e, &running);
	if (err == -ENOENT)
		err = 0;
	if (err)
		return err;
	sampler_values(&running, old);
	sampler_values(&config->sampling, new);
	for (size_t i = 0; i < KEYS_COUNT && !err; i++)
		if (old[i] != new[i])
			err = conf_report_change(e, r, "sampler: %s %u, was %u", sampler_keys[i],
						 new[i], old[i]);
	return err || check || r->count == before ? err : ecbpf_sampler_set(e, &config->sampling);
}

static int sampler_export(struct ecbpf *e, const char *dir, struct conf_text *text)
{
	__u32 values[KEYS_COUNT];
	struct ecbpf_sampling running = {};
	int err;

	(void)dir;
	err = sampler_get(e, &running);
	if (err)
		return err == -ENOENT ? 0 : err;
	sampler_values(&running, values);
	conf_printf(text, "\n[sampler]\n");
	for (size_t i = 0; i < KEYS_COUNT; i++)
		conf_printf(text, "%s = %u\n", sampler_keys[i], values[i]);
	return 0;
}

static int sampler_take(struct ecbpf *e, struct ecbpf_config *config)
{
	(void)e;
	if (!config->has_sampler)
		config->sampling = (struct ecbpf_sampling){};
	config->has_sampler = true;
	return 0;
}

const struct conf_section conf_section_sampler = {
	.name = "sampler",
	.keys = sampler_keys,
	.open = open_sampler,
	.set = set_sampler,
	.is_wanted = sampler_is_wanted,
	.apply = sampler_apply,
	.export = sampler_export,
	.get = sampler_take,
};
