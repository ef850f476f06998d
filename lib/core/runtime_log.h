/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The log of changes that verbs have made at runtime, see runtime_log.c */
#ifndef ECBPF_LIB_RUNTIME_LOG_H
#define ECBPF_LIB_RUNTIME_LOG_H

#include <stdio.h>
#include <ecbpf/libecbpf-settings.h>
#include "core/handle.h"

/**
 * struct runtime_change - a change that is being written
 * @out: gets its lines; NULL: this network namespace has no log, or the caller applies a
 *	 configuration
 */
struct runtime_change {
	struct ecbpf *e;
	char head[128];
	FILE *out;
	char *text;
	size_t size;
	size_t lines;
	FILE *whole; /* the new log; NULL: it is appended */
};

/*
 * A change is written before the kernel has it, so that one that was killed is found there when it
 * is made again; what does not come about is taken back. All of it with the lock of the change.
 */
void runtime_log_ahead(struct ecbpf *e);
/* @is_made: or else the log is as it was at runtime_log_ahead() */
void runtime_log_settle(struct ecbpf *e, bool is_made);

/* Return: false: nothing is to be written. Else lines follow, then runtime_change_end() */
bool runtime_change_begin(struct ecbpf *e, struct runtime_change *c, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* An object of the change; without a newline */
void runtime_change_line(struct runtime_change *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Write it. What fails is logged as a warning: the change itself is made all the same */
void runtime_change_end(struct runtime_change *c);

/* Warn of a change that cannot be written, as it could not be read again */
void runtime_log_lost(struct ecbpf *e, int err);

/* "STAGE set", and "KEY=VALUE" of what differs */
void runtime_settings_log(struct ecbpf *e, const struct ecbpf_settings *settings,
			  const void *before, const void *after);

/* --- for those who apply configurations ----------------------------------------------------- */

/* A change that was read. Lines follow each other in memory: runtime_line_next() */
struct runtime_record {
	const char *head;
	const char *lines;
	size_t count;
	unsigned int number; /* line in the file */
};

/**
 * struct runtime_log - the log as it was read
 * @is_kept: this network namespace has one, or may have one
 * @is_there: and it is one, by its first line
 * @path: also if it is not there yet
 */
struct runtime_log {
	bool is_kept;
	bool is_there;
	char path[PATH_MAX];
	char *text;
	struct runtime_record *records;
	size_t count;
	int lock; /* nobody else writes before runtime_log_free() */
};
#define RUNTIME_LOG_INIT   \
	{                  \
		.lock = -1 \
	}

/* Is it a log, as far as its first line tells? Changes are appended to no other file */
bool runtime_log_is_whole(const char *path);
/*
 * What is not whole is left out and logged as a warning. @ret_log: for runtime_log_free(), on
 * errors, too
 */
int runtime_log_read(struct ecbpf *e, struct runtime_log *ret_log);
/* Instead of reading one that is not there. @text: for runtime_log_free() */
int runtime_log_take(struct ecbpf *e, struct runtime_log *log, char *text, size_t size);
void runtime_log_free(struct runtime_log *log);
static inline const char *runtime_line_next(const char *line)
{
	return line + __builtin_strlen(line) + 2; /* its end, and a tab */
}

/* A log instead of the one there is, in one step: changes are written between these two */
int runtime_log_begin(struct ecbpf *e, const struct runtime_log *log, FILE **ret_whole);
void runtime_log_change(struct ecbpf *e, FILE *whole, struct runtime_change *c, const char *format,
			...) __attribute__((format(printf, 4, 5)));
/* @is_trial: it can be written, but is not to be there */
int runtime_log_end(struct ecbpf *e, const struct runtime_log *log, FILE *whole, bool is_trial);

/* --- runtime_name.c ------------------------------------------------------------------------- */

/*
 * The file of this network namespace, whether it is there or not. Return: 1; 0: this namespace
 * keeps nothing, @ret_path is unchanged; -errno. @ret_is_sure: no other namespace has the same
 * file
 */
int runtime_log_path(char ret_path[PATH_MAX], bool *ret_is_sure);

#endif /* ECBPF_LIB_RUNTIME_LOG_H */
