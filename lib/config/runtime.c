// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The log of changes at runtime as a state: of each object, the last change holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "bpf/lock.h"
#include "config/runtime.h"
#include "core/array.h"
#include "core/error.h"
#include "core/prefix.h"
#include "filter/filter.h"

const struct ecbpf_settings *conf_values_settings(enum conf_values_of of)
{
	switch (of) {
	case CONF_VALUES_FILTER:
		return ecbpf_filter_settings();
	case CONF_VALUES_FW:
		return ecbpf_fw_settings();
	case CONF_VALUES_FASTPATH:
		return ecbpf_fastpath_settings();
	default:
		return ecbpf_sampler_settings();
	}
}

/* --- reading ------------------------------------------------------------------------------ */

static int values_take(struct ecbpf *e, const struct runtime_record *record, enum conf_values_of of,
		       struct conf_runtime *rt)
{
	struct conf_values *values = &rt->values[of];
	const char *line = record->lines;

	for (size_t i = 0; i < record->count; i++, line = runtime_line_next(line)) {
		int err = ecbpf_settings_parse(e, conf_values_settings(of), &line, 1,
					       &values->filter, &values->given);

		if (err)
			return err;
	}
	return 0;
}

static bool begins(const char *head, const char *with, const char **ret_rest)
{
	size_t len = strlen(with);

	*ret_rest = head + len;
	return !strncmp(head, with, len);
}

/* Return: 0; -EINVAL it is nothing that this version knows; -ENOMEM */
static int record_take(struct ecbpf *e, const struct runtime_record *record,
		       struct conf_runtime *rt)
{
	const char *rest;
	int err;

	if (begins(record->head, "filter drop ", &rest))
		return conf_objects_take(e, record, rest, &rt->lists[ECBPF_FILTER_BLOCK]);
	if (begins(record->head, "filter allow ", &rest))
		return conf_objects_take(e, record, rest, &rt->lists[ECBPF_FILTER_ALLOW]);
	if (begins(record->head, "filter vip ", &rest))
		return conf_objects_take(e, record, rest, &rt->vips);
	if (begins(record->head, "fastpath exclude ", &rest))
		return conf_objects_take(e, record, rest, &rt->excludes);
	for (enum conf_values_of of = 0; of < CONF_VALUES_COUNT; of++) {
		const char *stage = conf_values_settings(of)->stage;

		if (begins(record->head, stage, &rest) && !strcmp(rest, " set"))
			return values_take(e, record, of, rt);
	}
	if (!begins(record->head, "fw ", &rest))
		return conf_fail_record(e, record);
	*e->error = '\0';
	err = conf_runtime_fw_take(e, record, rt);
	return err == -EINVAL && !*e->error ? conf_fail_record(e, record) : err;
}

int conf_runtime_take(struct ecbpf *e, struct conf_runtime *ret)
{
	int err = 0;

	for (size_t i = 0; i < ret->log.count && !err; i++) {
		const struct runtime_record *record = &ret->log.records[i];

		err = record_take(e, record, ret);
		if (err != -EINVAL)
			continue;
		ecbpf_log(e, ECBPF_LOG_WARN, "%s:%u: %s: skipped", ret->log.path, record->number,
			  e->error);
		err = 0;
	}
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++)
		conf_objects_settle(&ret->lists[i], &ret->is_dirty);
	conf_objects_settle(&ret->vips, &ret->is_dirty);
	conf_objects_settle(&ret->excludes, &ret->is_dirty);
	for (size_t i = 0; i < ret->sets_count; i++)
		conf_objects_settle(&ret->sets[i].objects, &ret->is_dirty);
	return err ? err : conf_runtime_fw_settle(e, ret);
}

int conf_runtime_read(struct ecbpf *e, bool is_change, struct conf_runtime *ret)
{
	int err = runtime_log_read(e, &ret->log);

	if (!is_change)
		close_fd(&ret->log.lock);
	ret->is_dirty = ret->log.is_kept && !ret->log.is_there;
	return err ? err : conf_runtime_take(e, ret);
}

void conf_runtime_free(struct conf_runtime *rt)
{
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++)
		free(rt->lists[i].items);
	free(rt->vips.items);
	free(rt->excludes.items);
	conf_runtime_fw_free(rt);
	runtime_log_free(&rt->log);
}

/* --- writing ------------------------------------------------------------------------------ */

static void values_write(struct ecbpf *e, FILE *whole, const struct ecbpf_settings *settings,
			 const struct conf_values *values)
{
	struct runtime_change c;

	if (!values->given)
		return;
	runtime_log_change(e, whole, &c, "%s set", settings->stage);
	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		char text[ECBPF_SETTING_TEXT];

		if (values->given & 1ULL << i)
			runtime_change_line(
				&c, "%s=%s", s->name,
				ecbpf_setting_format(s, ecbpf_setting_value(s, &values->filter),
						     text, sizeof(text)));
	}
	runtime_change_end(&c);
}

int conf_runtime_write(struct ecbpf *e, struct conf_runtime *rt, bool is_trial)
{
	FILE *whole;
	int err;

	err = runtime_log_begin(e, &rt->log, &whole);
	if (err)
		return err;
	for (enum conf_values_of of = 0; of < CONF_VALUES_COUNT; of++)
		values_write(e, whole, conf_values_settings(of), &rt->values[of]);
	for (size_t i = 0; i < ECBPF_FILTER_LISTS; i++) {
		char what[32];

		snprintf(what, sizeof(what), "filter %s", filter_list_names[i]);
		conf_objects_write(e, whole, what, &rt->lists[i], true, false);
	}
	conf_objects_write(e, whole, "filter vip", &rt->vips, false, false);
	conf_objects_write(e, whole, "fastpath exclude", &rt->excludes, false, false);
	conf_runtime_fw_write(e, whole, rt);
	return runtime_log_end(e, &rt->log, whole, is_trial);
}

/* Without the log: 0 */
static long long log_size(void)
{
	char path[PATH_MAX];
	struct stat st;
	bool is_sure;

	return runtime_log_path(path, &is_sure) > 0 && !stat(path, &st) ? st.st_size : 0;
}

/* Under the lock: a change that is under way may have to be taken back, see runtime_log_settle() */
int conf_runtime_compact(struct ecbpf *e, long long *bound)
{
	struct conf_runtime rt = {.log = RUNTIME_LOG_INIT};
	int err;

	if (log_size() <= *bound)
		return 0;
	err = ecbpf_lock_hold(e);
	if (err)
		return err;
	err = conf_runtime_read(e, true, &rt);
	if (!err && rt.log.is_there && rt.is_dirty)
		err = conf_runtime_write(e, &rt, false);
	conf_runtime_free(&rt);
	ecbpf_lock_release(e);
	*bound = CONF_COMPACT_MIN + 2 * log_size(); /* not again and again */
	return err;
}
