// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keeping interfaces as a configuration declares them.
 *
 * Each look compares the list of interfaces, their masters, MTUs and attached programs, and which
 * maps are pinned, with those of the look before: a change, or an event, is when chains are read.
 * What is mended changes the list, so the next look finds what changed meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bpf/lock.h"
#include "bpf/pins.h"
#include "chain/spares.h"
#include "config/conf.h"
#include "config/plan.h"
#include "config/runtime.h"
#include "config/watch.h"
#include "core/applied.h"
#include "core/error.h"
#include "core/events.h"
#include "core/handle.h"
#include "core/privilege.h"
#include "core/run_dir.h"
#include "core/hash.h"

#define RETRY_MS   5000 /* of an interface that could not be changed: a try may load programs */
#define REFRESH_MS 1000 /* IPVS tells nobody of its services */

struct ecbpf_watch {
	struct ecbpf *e;
	int events_fd;
	int state_fd;
	int hold_fd; /* of conf_watch_hold() */
	struct ecbpf_config *config;
	bool holds_vlans;
	bool is_copied; /* as the last good one */
	bool is_due;	/* chains are to be read, whatever the list of interfaces says */
	__u64 links;
	__u64 kept_at; /* monotonic, ms */
	__u64 refreshed_at;
	__u64 begun;		  /* likewise: when the file was opened last */
	long long compact_at;	  /* size of the log of changes at runtime */
	char refresh_error[1024]; /* the one that was told */
	char copy_error[1024];	  /* likewise */
	struct ecbpf_watch_state state;
};

static __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

int ecbpf_watch_open(struct ecbpf *e, const char *file, struct ecbpf_watch **ret_watch)
{
	struct ecbpf_watch *w;
	int err = ecbpf_require(e, ECBPF_NEEDS_ATTACH);

	if (err)
		return err;
	w = calloc(1, sizeof(*w));
	if (!w)
		return ecbpf_fail_memory(e);
	w->e = e;
	w->compact_at = CONF_COMPACT_MIN;
	snprintf(w->state.file, sizeof(w->state.file), "%s", file ?: "");
	w->events_fd = w->state_fd = -1;
	e->spares = ecbpf_spares_new(); /* or without */
	err = conf_watch_hold(e, &w->hold_fd);
	if (!err) {
		w->state_fd = conf_state_open(e);
		err = w->state_fd < 0 ? w->state_fd : 0;
	}
	if (!err) {
		w->events_fd = ecbpf_events_open(e);
		err = w->events_fd < 0 ? w->events_fd : 0;
	}
	if (err) {
		ecbpf_watch_close(w);
		return err;
	}
	conf_state_write(w->state_fd, &w->state);
	*ret_watch = w;
	return 0;
}

void ecbpf_watch_close(struct ecbpf_watch *w)
{
	if (!w)
		return;
	ecbpf_spares_free(w->e->spares);
	w->e->spares = NULL;
	close_fd(&w->events_fd);
	conf_state_end(w->state_fd);
	close_fd(&w->state_fd);
	close_fd(&w->hold_fd);
	ecbpf_config_free(w->config);
	ecbpf_watch_state_free(&w->state);
	free(w);
}

int ecbpf_watch_fd(const struct ecbpf_watch *w)
{
	return w->events_fd;
}

int ecbpf_watch_stop(struct ecbpf_watch *w, struct ecbpf_config_change **ret_changes,
		     size_t *ret_count)
{
	bool is_left = w->config && w->config->is_left;
	struct ecbpf_config *config = NULL;

	*ret_changes = NULL;
	*ret_count = 0;
	if (conf_read_words(w->e, *w->state.file ? w->state.file : NULL, &config))
		ecbpf_log(w->e, ECBPF_LOG_WARN, "%s; on-stop is as it was before", w->e->error);
	else
		is_left = config->is_left;
	ecbpf_config_free(config);
	if (!is_left)
		applied_note_last_good(w->e, false);
	return is_left ? 0 : conf_stop(w->e, ret_changes, ret_count);
}

void ecbpf_watch_hold_vlans(struct ecbpf_watch *w)
{
	w->holds_vlans = true;
}

struct ecbpf_config *ecbpf_watch_config(struct ecbpf_watch *w)
{
	return w->config;
}

void ecbpf_watch_begin(struct ecbpf_watch *w)
{
	w->begun = now_ms();
}

void ecbpf_watch_tell(struct ecbpf_watch *w, const char *text)
{
	snprintf(w->state.error, sizeof(w->state.error), "%s", text);
	w->state.error[strcspn(w->state.error, "\n")] = '\0';
	w->state.read = w->begun;
	if (*text) /* if this process is killed, the note is all that is known */
		applied_note(w->e, false);
	conf_state_write(w->state_fd, &w->state);
}

static const struct ecbpf_config_wait *wait_find(const struct ecbpf_config_wait *waits,
						 size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(waits[i].name, name))
			return &waits[i];
	return NULL;
}

/* Say what is new of what is waited for; @waits become the state's */
static int waits_set(struct ecbpf_watch *w, struct conf_waits *waits, struct conf_report *r)
{
	struct ecbpf_watch_state *state = &w->state;
	int err = 0;

	for (size_t i = 0; i < waits->count && !err; i++) {
		const struct ecbpf_config_wait *wait = &waits->items[i], *old;

		old = wait_find(state->waits, state->waits_count, wait->name);
		if (!old || strcmp(old->text, wait->text))
			err = conf_report_note(w->e, r, "%s: %s: waiting for it", wait->name,
					       wait->text);
	}
	free(state->waits);
	state->waits = waits->items;
	state->waits_count = waits->count;
	*waits = (struct conf_waits){};
	return err;
}

/* Copy what is applied whole: but for interfaces that are not there. Later, if the disk is full */
static int copy(struct ecbpf_watch *w, struct conf_report *r)
{
	bool is_whole = true, is_told;

	for (size_t i = 0; i < w->state.waits_count; i++) {
		const struct ecbpf_config_wait *wait = &w->state.waits[i];
		const char *why = conf_vlan_why(w->config, wait->name);

		is_whole &= !strcmp(wait->text, CONF_ABSENT) ||
			    (w->holds_vlans && why && !strcmp(wait->text, why));
	}
	if (w->is_copied || !is_whole)
		return 0;
	if (!conf_last_good_save(w->e, *w->state.file ? w->state.file : NULL, w->config)) {
		w->is_copied = true;
		return 0;
	}
	is_told = !strcmp(w->copy_error, w->e->error);
	snprintf(w->copy_error, sizeof(w->copy_error), "%s", w->e->error);
	return is_told ? 0
		       : conf_report_note(w->e, r,
					  "this configuration is not kept for on-error: %s",
					  w->copy_error);
}

static int keep(struct ecbpf_watch *w, const struct ecbpf_config *config, struct conf_report *r)
{
	struct conf_waits waits = {};
	int err = conf_keep(w->e, config, r, &waits);

	if (!err)
		err = waits_set(w, &waits, r);
	free(waits.items);
	conf_state_write(w->state_fd, &w->state);
	w->kept_at = now_ms();
	return err;
}

static int apply(struct ecbpf_watch *w, struct ecbpf_config *config, struct conf_report *r)
{
	int err = ecbpf_config_apply(w->e, config, false, &r->changes, &r->count);

	if (err && !w->config) {
		ecbpf_log(w->e, ECBPF_LOG_WARN, "%s: each interface by itself", w->e->error);
		*r = (struct conf_report){};
		err = conf_settings_set(w->e, config, r);
	}
	if (err)
		return err;
	if (w->e->spares)
		ecbpf_spares_drop(w->e->spares); /* of interfaces that may not be declared now */
	return keep(w, config, r);
}

/*
 * Maps of another version, after an upgrade or a downgrade: they stay those of the programs that
 * are attached, until programs that make new ones take their place
 */
static int apply_anew(struct ecbpf_watch *w, struct ecbpf_config *config, __u32 schema,
		      struct conf_report *r)
{
	struct taken taken;
	int err = ecbpf_lock_hold(w->e);

	if (err)
		return err;
	err = ecbpf_pins_take(w->e, "", &taken);
	if (!err) {
		err = apply(w, config, r);
		ecbpf_pins_end(w->e, &taken, err);
	}
	ecbpf_lock_release(w->e);
	if (!err)
		err = conf_report_note(w->e, r,
				       "the maps of another version, of schema %u, are replaced: "
				       "what this one has not kept of changes at runtime is gone",
				       schema);
	return err;
}

int ecbpf_watch_start(struct ecbpf_watch *w, struct ecbpf_config *config,
		      struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	__u32 schema = w->config ? 0 : ecbpf_pins_other_schema(w->e);
	struct conf_report r = {};
	int err;

	config->is_patient = true;
	config->is_start = !w->config;
	config->before = w->config;
	config->holds_vlans = w->holds_vlans;
	err = schema ? apply_anew(w, config, schema, &r) : apply(w, config, &r);
	if (err) {
		free(r.changes);
		return err;
	}
	config->before = NULL;
	ecbpf_config_free(w->config);
	w->config = config;
	w->is_copied = false;
	w->is_due = true;
	w->state.applied = time(NULL);
	applied_note(w->e, true);
	w->state.is_same = !r.count;
	*w->state.instead = '\0';
	conf_state_write(w->state_fd, &w->state);
	*ret_changes = r.changes;
	*ret_count = r.count;
	return 0;
}

int ecbpf_watch_fall_back(struct ecbpf_watch *w, struct ecbpf_config_change **ret_changes,
			  size_t *ret_count)
{
	const char *file = *w->state.file ? w->state.file : NULL;
	enum conf_on_error on_error = conf_read_on_error(w->e, file);
	struct ecbpf_config *config = NULL;
	struct tm tm = {};
	char when[64];
	time_t time;
	int err;

	if (on_error == CONF_ON_ERROR_OPEN)
		return ecbpf_fail(w->e, -ENOENT, "on-error = open");
	err = conf_last_good_read(w->e, file, &config, &time);
	if (!err && on_error == CONF_ON_ERROR_UNSAID && config->on_error == CONF_ON_ERROR_OPEN)
		err = ecbpf_fail(w->e, -ENOENT, "on-error = open");
	if (!err)
		err = ecbpf_watch_start(w, config, ret_changes, ret_count);
	if (err) {
		ecbpf_config_free(config);
		return err;
	}
	w->is_copied = true;
	applied_note_last_good(w->e, true);
	gmtime_r(&time, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	snprintf(w->state.instead, sizeof(w->state.instead), "the last good configuration, of %s",
		 when);
	conf_state_write(w->state_fd, &w->state);
	return 0;
}

static int links_hash(struct ecbpf *e, __u64 *ret_hash)
{
	_cleanup_free_ struct ecbpf_link *links = NULL;
	size_t count = 0;
	int err = ecbpf_links_read(e, &links, &count);

	*ret_hash = ECBPF_HASH_INIT;
	for (size_t i = 0; i < count; i++) /* zeroed where nothing was read */
		ecbpf_hash_add(ret_hash, &links[i], sizeof(links[i]));
	conf_keep_hash(e, ret_hash);
	return err;
}

/* What has an error of its own does not end the watch, and is told once */
static int refresh(struct ecbpf_watch *w, struct conf_report *r)
{
	const char *text = "";
	int err = 0;

	if (conf_refresh(w->e)) /* conf_keep_hash() tells when a pin was removed */
		text = w->e->error;
	if (*text && strcmp(text, w->refresh_error))
		err = conf_report_note(w->e, r, "cannot read addresses and services: %s", text);
	snprintf(w->refresh_error, sizeof(w->refresh_error), "%s", text);
	w->refreshed_at = now_ms();
	return err;
}

/*
 * Is one of those that wait there, and could not be changed, or has the copy failed? That changes
 * without an event
 */
static bool is_retry_due(const struct ecbpf_watch *w)
{
	if (!w->is_copied && *w->copy_error)
		return now_ms() - w->kept_at >= RETRY_MS;
	for (size_t i = 0; i < w->state.waits_count; i++)
		if (strcmp(w->state.waits[i].text, CONF_ABSENT))
			return now_ms() - w->kept_at >= RETRY_MS;
	return false;
}

int ecbpf_watch_look(struct ecbpf_watch *w, struct ecbpf_config_change **ret_changes,
		     size_t *ret_count)
{
	unsigned int events = ecbpf_events_read(w->events_fd);
	struct conf_report r = {};
	__u64 links = w->links;
	int err;

	*ret_changes = NULL;
	*ret_count = 0;
	if (!w->config)
		return 0;
	ecbpf_capture(w->e);
	if (conf_state_restore(w->e, &w->state_fd)) {
		ecbpf_log(w->e, ECBPF_LOG_WARN,
			  ECBPF_RUN_DIR
			  ": the file of this process was removed, and is made again");
		conf_state_write(w->state_fd, &w->state);
	}
	err = links_hash(w->e, &links);
	if (!err && (w->is_due || w->config->has_news || links != w->links ||
		     events & ECBPF_EVENT_LINK || is_retry_due(w))) {
		w->links = links;
		w->is_due = false;
		w->config->has_news = false;
		err = keep(w, w->config, &r);
		if (!err)
			err = copy(w, &r);
		/* pins that it made: else it would not see that they are gone until the next look
		 */
		if (!links_hash(w->e, &links) && links != w->links)
			w->is_due = true;
	}
	if (!err && (events || r.count || now_ms() - w->refreshed_at >= REFRESH_MS))
		err = refresh(w, &r);
	if (err) {
		w->is_due = true;
		free(r.changes);
		return err;
	}
	if (conf_runtime_compact(w->e, &w->compact_at))
		ecbpf_log(w->e, ECBPF_LOG_WARN, "%s", w->e->error);
	*ret_changes = r.changes;
	*ret_count = r.count;
	return 0;
}
