// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall's settings: verdicts on packets that rules cannot judge.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/map.h"
#include "core/error.h"
#include "core/handle.h"
#include "fw/live.h"

int ecbpf_fw_setting(struct ecbpf *e, const char *key, const char *value,
		     struct ecbpf_fw_config *config)
{
	__u32 action = !strcmp(value, "drop") ? XDP_DROP : XDP_PASS, *field = NULL;

#define X(name, text, is, about) \
	if (!strcmp(key, text))  \
		field = &config->name;
	ECBPF_FW_SETTINGS(X)
#undef X
	if (!field)
		return ecbpf_fail(e, -EINVAL,
				  "no setting '%s'; there are"
#define X(name, text, is, about) " " text
				  ECBPF_FW_SETTINGS(X)
#undef X
					  ,
				  key);
	if (action == XDP_PASS && strcmp(value, "pass"))
		return ecbpf_fail(e, -EINVAL, "%s: '%s' is not drop or pass", key, value);
	*field = action;
	return 0;
}

static void config_of(const struct ecbpf_fw_settings *settings, struct ecbpf_fw_config *ret)
{
#define X(name, text, is, about) ret->name = settings->name ?: is;
	ECBPF_FW_SETTINGS(X)
#undef X
}

int fw_settings_store(struct ecbpf *e, int fd, const struct ecbpf_fw_settings *settings)
{
	__u32 key = 0;

	/* each is a word of its own, and packets need no two of them to be of one time */
	return bpf_map_update_elem(fd, &key, settings, BPF_ANY)
		       ? fw_fail_map(e, "fw_settings", -errno)
		       : 0;
}

/* @ret_before: what they were; or NULL */
int fw_settings_change(struct ecbpf *e, int fd, const char *const *settings, size_t count,
		       struct ecbpf_fw_settings *ret_before)
{
	struct ecbpf_fw_settings stored = {};
	struct ecbpf_fw_config config;
	__u32 key = 0;

	if (bpf_map_lookup_elem(fd, &key, &stored))
		return fw_fail_map(e, "fw_settings", -errno);
	if (ret_before)
		*ret_before = stored;
	if (!count)
		return 0;
	config_of(&stored, &config);
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(settings[i], '=');
		char name[32];
		int err;

		if (!equals || equals == settings[i])
			return ecbpf_fail(e, -EINVAL, "'%s' is not KEY=VALUE", settings[i]);
		snprintf(name, sizeof(name), "%.*s", (int)(equals - settings[i]), settings[i]);
		err = ecbpf_fw_setting(e, name, equals + 1, &config);
		if (err)
			return err;
	}
#define X(name, text, is, about) stored.name = config.name;
	ECBPF_FW_SETTINGS(X)
#undef X
	return fw_settings_store(e, fd, &stored);
}

int ecbpf_fw_set(struct ecbpf *e, const char *const *settings, size_t count)
{
	struct fw_session s;
	int err;

	err = fw_session_open(e, FW_SESSION_MAKE | FW_SESSION_REPAIR, &s);
	if (err)
		return err;
	err = fw_settings_change(e, s.maps.settings, settings, count, NULL);
	fw_session_close(&s);
	return err;
}

int ecbpf_fw_config_get(struct ecbpf *e, struct ecbpf_fw_config *ret_config)
{
	struct ecbpf_fw_settings stored = {};
	_cleanup_close_ int fd = -1;
	__u32 key = 0;

	ecbpf_capture(e);
	fd = ecbpf_map_open(e, "fw_settings", NULL);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd >= 0 && bpf_map_lookup_elem(fd, &key, &stored))
		return fw_fail_map(e, "fw_settings", -errno);
	config_of(&stored, ret_config);
	return 0;
}
