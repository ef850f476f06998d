// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the configuration declared that was applied last, as hashes in /run/ecbpf/declared-INODE.
 *
 * It outlives the log of changes, and as the maps, no reboot: what is live, and was declared then,
 * is no change at runtime. Eight bytes an object, a million prefixes are 8 MB; two objects of a
 * million have the same hash once in 30 million hosts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "config/known.h"
#include "config/parse.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/run_dir.h"
#include "filter/filter.h"

#define NAME "declared"

__u64 conf_known_text(const char *head, const char *text)
{
	__u64 hash = ECBPF_HASH_INIT;

	ecbpf_hash_add(&hash, head, strlen(head) + 1);
	ecbpf_hash_add(&hash, text, strlen(text));
	return hash;
}

__u64 conf_known_prefix(const char *head, const struct ecbpf_prefix *prefix, const char *tag)
{
	__u64 hash = ECBPF_HASH_INIT;

	ecbpf_hash_add(&hash, head, strlen(head) + 1);
	ecbpf_hash_add(&hash, prefix, sizeof(*prefix));
	ecbpf_hash_add(&hash, tag, strlen(tag));
	return hash;
}

/* --- writing ------------------------------------------------------------------------------ */

static size_t objects_count(const struct ecbpf_config *config)
{
	const struct ecbpf_fw_ruleset *ruleset = config->ruleset;
	size_t count = config->vips.count + config->fastpath.excludes.count;

	for (enum conf_values_of of = 0; of < CONF_VALUES_COUNT; of++)
		count += conf_values_settings(of)->count;
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++)
		count += config->lists[i].count;
	if (ruleset)
		count += ruleset->rules_count + ruleset->sets_count;
	for (size_t i = 0; ruleset && i < ruleset->sets_count; i++)
		count += ruleset->sets[i].prefixes_count;
	return count;
}

static void values_add(struct conf_known *k, enum conf_values_of of, __u64 given,
		       const void *values)
{
	const struct ecbpf_settings *settings = conf_values_settings(of);
	char head[64], line[256], text[ECBPF_SETTING_TEXT];

	snprintf(head, sizeof(head), "%s set", settings->stage);
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];

		if (!(given & 1ULL << i))
			continue;
		snprintf(line, sizeof(line), "%s=%s", s->name,
			 ecbpf_setting_format(s, ecbpf_setting_value(s, values), text,
					      sizeof(text)));
		k->hashes[k->count++] = conf_known_text(head, line);
	}
}

static void words_add(struct conf_known *k, const char *head, const struct conf_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		k->hashes[k->count++] = conf_known_text(head, words->items[i].text);
}

static void list_add(struct conf_known *k, __u32 number, const struct conf_list *list)
{
	char head[32];

	snprintf(head, sizeof(head), "filter %s add", filter_list_names[number]);
	for (size_t i = 0; i < list->count; i++)
		k->hashes[k->count++] =
			conf_known_prefix(head, &list->entries[i].prefix, list->entries[i].tag);
}

static int ruleset_add(struct conf_known *k, const struct ecbpf_fw_ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->rules_count; i++) {
		_cleanup_free_ char *text = ecbpf_fw_rule_text(ruleset, i);

		if (!text)
			return -ENOMEM;
		k->hashes[k->count++] = conf_known_text(CONF_KNOWN_RULE, text);
	}
	for (size_t i = 0; i < ruleset->sets_count; i++) {
		const struct fw_set *set = &ruleset->sets[i];
		char head[64];

		snprintf(head, sizeof(head), CONF_KNOWN_SET, set->name);
		k->hashes[k->count++] = conf_known_text(CONF_KNOWN_RULE, head);
		for (size_t p = 0; p < set->prefixes_count; p++)
			k->hashes[k->count++] = conf_known_prefix(head, &set->prefixes[p], "");
	}
	return 0;
}

static int hash_compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static int known_make(const struct ecbpf_config *config, struct conf_known *k)
{
	k->hashes = calloc(objects_count(config) + 1, sizeof(*k->hashes));
	if (!k->hashes)
		return -ENOMEM;
	if (config->has_filter)
		values_add(k, CONF_VALUES_FILTER, config->filter_given, &config->filter);
	if (config->has_fw)
		values_add(k, CONF_VALUES_FW, config->fw_given, &config->fw);
	if (config->fastpath.section.file)
		values_add(k, CONF_VALUES_FASTPATH, config->fastpath.given,
			   &config->fastpath.settings);
	if (config->has_sampler)
		values_add(k, CONF_VALUES_SAMPLER, config->sampling_given, &config->sampling);
	words_add(k, "filter vip add", &config->vips);
	words_add(k, "fastpath exclude add", &config->fastpath.excludes);
	for (__u32 i = 0; i < ECBPF_FILTER_LISTS; i++)
		list_add(k, i, &config->lists[i]);
	return config->ruleset ? ruleset_add(k, config->ruleset) : 0;
}

void conf_known_note(struct ecbpf *e, const struct ecbpf_config *config)
{
	struct conf_known k = {};
	char path[PATH_MAX] = "";
	int err = ecbpf_run_path(NAME, path);

	if (!err)
		err = known_make(config, &k);
	if (!err) {
		qsort(k.hashes, k.count, sizeof(*k.hashes), hash_compare);
		err = ecbpf_run_write(path, 0600, k.hashes, k.count * sizeof(*k.hashes));
	}
	if (err) {
		unlink(path); /* it is of one before this */
		ecbpf_log(
			e, ECBPF_LOG_WARN,
			"%s: cannot note the declared objects: %s; if the log of changes is lost, "
			"objects that the file no longer has then stay as if added at runtime",
			*path ? path : ECBPF_RUN_DIR, strerror(-err));
	}
	conf_known_free(&k);
}

/* --- reading ------------------------------------------------------------------------------ */

void conf_known_read(struct conf_known *ret)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX], *text = NULL;
	struct stat st;
	size_t size = 0;

	*ret = (struct conf_known){};
	fd = ecbpf_run_path(NAME, path)
		     ? -1
		     : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    ecbpf_file_read(fd, &text, &size))
		return;
	ret->hashes = (__u64 *)text; /* of malloc(): aligned */
	ret->count = size / sizeof(*ret->hashes);
}

bool conf_known_has(const struct conf_known *k, __u64 hash)
{
	return k->count && bsearch(&hash, k->hashes, k->count, sizeof(hash), hash_compare);
}

void conf_known_free(struct conf_known *k)
{
	free(k->hashes);
	*k = (struct conf_known){};
}
