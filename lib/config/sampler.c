// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* [sampler]: rates and limits of samples */
#include <errno.h>
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
	return conf_set_value(p, ecbpf_sampler_settings(), key, value, &p->config->sampling,
			      &p->config->sampling_given);
}

static bool sampler_is_wanted(const struct ecbpf_config *config)
{
	return config->has_sampler;
}

/* Straight from the map: asking must make nothing. -ENOENT if it was never loaded */
int conf_sampling_get(struct ecbpf *e, struct ecbpf_sampling *ret)
{
	_cleanup_close_ int fd = ecbpf_map_open(e, "sampling", NULL);
	__u32 key = 0;

	if (fd < 0)
		return fd;
	if (bpf_map_lookup_elem(fd, &key, ret))
		return ecbpf_fail(e, -errno, "map sampling: %s", strerror(errno));
	return 0;
}

static int sampler_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
			 struct conf_report *r)
{
	struct ecbpf_sampling running = {};
	size_t before = r->count;
	int err;

	err = conf_sampling_get(e, &running);
	if (err && err != -ENOENT)
		return err;
	err = conf_values_report(e, ecbpf_sampler_settings(), &config->sampling, &running, r);
	return err || check || r->count == before ? err : ecbpf_sampler_set(e, &config->sampling);
}

static int sampler_export(struct ecbpf *e, struct conf_files *files, struct conf_text *text)
{
	static const struct ecbpf_sampling none;
	struct ecbpf_sampling running = {};
	int err;

	(void)files;
	err = conf_sampling_get(e, &running);
	if (err)
		return err == -ENOENT ? 0 : err;
	/* of a stage that was loaded without settings: a length of 0 is no setting of anybody's */
	if (!memcmp(&running, &none, sizeof(none)))
		return 0;
	conf_printf(text, "\n[sampler]\n");
	conf_values_print(ecbpf_sampler_settings(), &running, text);
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
	.settings = ecbpf_sampler_settings,
	.open = open_sampler,
	.set = set_sampler,
	.is_wanted = sampler_is_wanted,
	.apply = sampler_apply,
	.export = sampler_export,
	.get = sampler_take,
};
