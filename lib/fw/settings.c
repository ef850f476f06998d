// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The firewall's settings: verdicts on packets that rules cannot judge.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/map.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/runtime_log.h"
#include "core/util.h"
#include "fw/live.h"

static const struct ecbpf_setting rows[] = {
#define X(name_, key, is, about)                                   \
	{                                                          \
		.name = (key),                                     \
		.offset = offsetof(struct ecbpf_fw_config, name_), \
		.words = "drop,pass",                              \
		.min = XDP_DROP,                                   \
		.value = (is),                                     \
		.text = (about),                                   \
	},
	ECBPF_FW_SETTINGS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(rows) * sizeof(__u32) == sizeof(struct ecbpf_fw_config), "a row each");

const struct ecbpf_settings *ecbpf_fw_settings(void)
{
	static const struct ecbpf_settings settings = {"fw", rows, ARRAY_SIZE(rows)};

	return &settings;
}

static void config_of(const struct ecbpf_fw_settings *settings, struct ecbpf_fw_config *ret)
{
#define X(name, text, is, about) ret->name = settings->name ?: (is);
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

/* Between runtime_log_ahead() and runtime_log_settle(). @ret_before: what they were; or NULL */
int fw_settings_change(struct ecbpf *e, int fd, const char *const *settings, size_t count,
		       struct ecbpf_fw_settings *ret_before)
{
	struct ecbpf_fw_config config, before;
	struct ecbpf_fw_settings stored = {};
	__u64 given = 0;
	__u32 key = 0;
	int err;

	if (bpf_map_lookup_elem(fd, &key, &stored))
		return fw_fail_map(e, "fw_settings", -errno);
	if (ret_before)
		*ret_before = stored;
	if (!count)
		return 0;
	config_of(&stored, &config);
	before = config;
	err = ecbpf_settings_parse(e, ecbpf_fw_settings(), settings, count, &config, &given);
	if (err)
		return err;
#define X(name, text, is, about) stored.name = config.name;
	ECBPF_FW_SETTINGS(X)
#undef X
	runtime_settings_log(e, ecbpf_fw_settings(), &before, &config);
	return fw_settings_store(e, fd, &stored);
}

int ecbpf_fw_set(struct ecbpf *e, const char *const *settings, size_t count)
{
	struct fw_session s;
	int err;

	err = fw_session_open(e, FW_SESSION_MAKE | FW_SESSION_REPAIR | FW_SESSION_KEEP, &s);
	if (err)
		return err;
	runtime_log_ahead(e);
	err = fw_settings_change(e, s.maps.settings, settings, count, NULL);
	runtime_log_settle(e, !err);
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
