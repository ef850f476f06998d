// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Changes of lists and VIPs in the log of changes at runtime.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/handle.h"
#include "core/list.h"
#include "core/runtime_log.h"
#include "filter/filter.h"

const char *const filter_list_names[ECBPF_FILTER_LISTS] = {
	[ECBPF_FILTER_ALLOW] = "allow",
	[ECBPF_FILTER_BLOCK] = "drop",
};

void filter_entry_format(const struct ecbpf_filter_entry *entry, char *ret)
{
	char prefix[ECBPF_PREFIX_TEXT], when[32] = "-";
	time_t expires = entry->expires;
	struct tm tm;

	ecbpf_prefix_format(&entry->prefix, prefix);
	if (expires && gmtime_r(&expires, &tm))
		strftime(when, sizeof(when), ECBPF_FILTER_TIME_FORMAT, &tm);
	snprintf(ret, FILTER_ENTRY_TEXT, "%s %s %s", prefix, *entry->tag ? entry->tag : "-", when);
}

int filter_entry_parse(struct ecbpf *e, const char *text, struct ecbpf_filter_entry *ret)
{
	char prefix[ECBPF_PREFIX_TEXT], tag[ECBPF_FILTER_TAG_MAX + 1], when[32];
	bool has_host_bits = false;
	int end = 0, err;

	*ret = (struct ecbpf_filter_entry){};
	if (sscanf(text, "%63s %31s %31s%n", prefix, tag, when, &end) != 3 || text[end])
		return ecbpf_fail(e, -EINVAL, "'%s' is no entry of a list", text);
	err = ecbpf_prefix_parse(e, prefix, &ret->prefix, &has_host_bits);
	if (!err)
		err = ecbpf_filter_tag_set(e, ret, tag);
	if (err || !strcmp(when, "-"))
		return err;
	ret->expires = list_expiry_absolute(when, when + strlen(when));
	return ret->expires ? 0 : ecbpf_fail(e, -EINVAL, "'%s' is no time", when);
}

void filter_log_list(struct ecbpf *e, __u32 list, const char *verb,
		     const struct ecbpf_filter_entry *entries, size_t count)
{
	const char *force = e->list_policy & ECBPF_LIST_FORCE && *verb != 'd' ? " force" : "";
	struct runtime_change c;

	if (!runtime_change_begin(e, &c, "filter %s %s%s", filter_list_names[list], verb, force))
		return;
	for (size_t i = 0; i < count; i++) {
		char text[FILTER_ENTRY_TEXT];

		filter_entry_format(&entries[i], text);
		runtime_change_line(&c, "%s", text);
	}
	runtime_change_end(&c);
}

void filter_log_vips(struct ecbpf *e, const char *verb, const struct ecbpf_prefix *vips,
		     size_t count)
{
	struct runtime_change c;

	if (!runtime_change_begin(e, &c, "filter vip %s", verb))
		return;
	for (size_t i = 0; i < count; i++) {
		char text[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&vips[i], text);
		runtime_change_line(&c, "%s", text);
	}
	runtime_change_end(&c);
}
