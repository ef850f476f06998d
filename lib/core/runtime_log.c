// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The log of changes that verbs have made at runtime: text, appended to, replayed by who applies a
 * configuration, which makes the file, too. Where none was ever applied, nothing is written.
 *
 *	HASH HEAD			such as "filter drop flush"
 *	HASH HEAD: LINE			a change of one object
 *	HASH HEAD, COUNT lines		of several, which follow, each behind a tab
 *
 * HASH is that of all that stands behind it: half a change, or one with other bytes, is none. One
 * write() appends a change before it is made, and the disk has it when the verb ends, so a power
 * failure loses the change under way at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "core/applied.h"
#include "core/array.h"
#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/netns.h"
#include "core/runtime_log.h"
#include "core/state_dir.h"

#define TITLE	      "# Changes at runtime, kept by ecbpf: see ecbpf-loader(8), RUNTIME CHANGES"
#define HASH_LEN      8 /* hexadecimal digits */
#define LOST	      "this change will be lost at the next start: "
#define LOST_BY_APPLY "this change will be lost at the next start or 'ecbpf-loader apply': "

/* One that is empty, or has other bytes from its first one on, is as good as gone */
static bool has_title(const char *text, size_t size)
{
	return size >= sizeof(TITLE) - 1 && !memcmp(text, TITLE, sizeof(TITLE) - 1);
}

static __u32 hash_of(const char *text, size_t size)
{
	__u64 hash = ECBPF_HASH_INIT;

	ecbpf_hash_add(&hash, text, size);
	return hash ^ hash >> 32;
}

/* Of this boot and this network namespace */
static int owner_print(char *ret, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	struct stat st = {};
	char boot[64] = "";
	int err = 0;

	if (!file || !fgets(boot, sizeof(boot), file))
		err = -(errno ?: EIO);
	boot[strcspn(boot, "\n")] = '\0';
	if (file)
		fclose(file);
	if (!err)
		err = ecbpf_netns_own(&st);
	snprintf(ret, size, "# boot %s netns %llu", boot, (unsigned long long)st.st_ino);
	return err;
}

/* The second line of the file, and what it is in one that is made here. Return: 0 or -errno */
static int owners_read(int fd, char ret_text[256], char ret_own[128])
{
	ssize_t len = pread(fd, ret_text, 255, 0);
	char *line;

	if (len < 0)
		return -errno;
	ret_text[len] = '\0';
	line = strchr(ret_text, '\n');
	memmove(ret_text, line ? line + 1 : "", line ? strlen(line) : 1);
	return owner_print(ret_own, 128);
}

/*
 * Where a namespace's name cannot be found out: was the file made in this one? Return: 1, 0 or
 * -errno
 */
static int is_own(int fd)
{
	char text[256], owner[128];
	int err = owners_read(fd, text, owner);

	return err ?: !strncmp(text, owner, strlen(owner));
}

/* Likewise, by another namespace since this host has started? Return: 1, 0 or -errno */
static int is_others(int fd)
{
	char text[256], owner[128];
	int err = owners_read(fd, text, owner);

	if (err)
		return err;
	return strncmp(text, owner, strlen(owner)) &&
	       !strncmp(text, owner, strstr(owner, " netns") - owner);
}

/* The file that there is, locked; not one that is replaced meanwhile. Return: fd or -errno */
static int log_open(const char *path, int flags)
{
	struct stat st, now;
	int fd, err;

	for (;;) {
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			return -errno;
		while (flock(fd, LOCK_EX) && errno == EINTR)
			;
		if (fstat(fd, &st) || stat(path, &now)) {
			err = -errno;
			close(fd);
			return err;
		}
		if (st.st_ino == now.st_ino && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
			return fd;
		close(fd);
		if (st.st_ino == now.st_ino)
			return -EINVAL; /* a pipe, which would be waited for, or a device */
	}
}

/* --- writing -------------------------------------------------------------------------------- */

static bool change_open(struct ecbpf *e, struct runtime_change *c, FILE *whole, const char *format,
			va_list args)
{
	*c = (struct runtime_change){.e = e, .whole = whole};
	vsnprintf(c->head, sizeof(c->head), format, args);
	c->out = open_memstream(&c->text, &c->size);
	if (!c->out)
		ecbpf_log(e, ECBPF_LOG_WARN, LOST "out of memory");
	return c->out;
}

void runtime_log_lost(struct ecbpf *e, int err)
{
	ecbpf_log(e, ECBPF_LOG_WARN, LOST "%s", strerror(-err));
}

bool runtime_change_begin(struct ecbpf *e, struct runtime_change *c, const char *format, ...)
{
	char path[PATH_MAX];
	bool is_sure, is_ok;
	long long applied;
	va_list args;
	int kept;

	*c = (struct runtime_change){};
	if (e->is_applying)
		return false;
	kept = runtime_log_path(path, &is_sure);
	if (kept < 0)
		runtime_log_lost(e, kept);
	if (kept <= 0)
		return false;
	if (access(path, F_OK)) {
		int err = errno;

		applied_read(&applied); /* then there was a log */
		if (applied || err != ENOENT)
			ecbpf_log(e, ECBPF_LOG_WARN, LOST "%s: %s", path, strerror(err));
		return false;
	}
	va_start(args, format);
	is_ok = change_open(e, c, NULL, format, args);
	va_end(args);
	return is_ok;
}

void runtime_log_change(struct ecbpf *e, FILE *whole, struct runtime_change *c, const char *format,
			...)
{
	va_list args;

	va_start(args, format);
	change_open(e, c, whole, format, args);
	va_end(args);
}

void runtime_change_line(struct runtime_change *c, const char *format, ...)
{
	va_list args;

	if (!c->out)
		return;
	c->lines++;
	fputc('\t', c->out);
	va_start(args, format);
	vfprintf(c->out, format, args);
	va_end(args);
	fputc('\n', c->out);
}

/* The record, for free(). NULL: no memory, or a line has a newline */
static char *record_make(struct runtime_change *c, size_t *ret_size)
{
	char *record = NULL, hash[HASH_LEN + 1];
	size_t newlines = 0;
	FILE *out;

	if (fclose(c->out))
		return NULL;
	for (const char *at = c->text; (at = strchr(at, '\n')); at++)
		newlines++;
	if (newlines != c->lines || strlen(c->text) != c->size)
		return NULL;
	out = open_memstream(&record, ret_size);
	if (!out)
		return NULL;
	fprintf(out, "%0*x %s", HASH_LEN, 0, c->head);
	if (c->lines > 1)
		fprintf(out, ", %zu lines", c->lines);
	fprintf(out, c->lines == 1 ? ": " : "\n");
	fwrite(c->lines == 1 ? c->text + 1 : c->text, 1, c->size - (c->lines == 1), out);
	if (fclose(out)) {
		free(record);
		return NULL;
	}
	snprintf(hash, sizeof(hash), "%0*x", HASH_LEN,
		 hash_of(record + HASH_LEN + 1, *ret_size - HASH_LEN - 1));
	memcpy(record, hash, HASH_LEN);
	return record;
}

/* Where the last whole line ends: a power failure may have left half of one. Return: or -errno */
static off_t end_find(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char text[4096];

	while (end > 0) {
		off_t from = end > (off_t)sizeof(text) ? end - (off_t)sizeof(text) : 0;
		ssize_t len = pread(fd, text, end - from, from);

		if (len <= 0)
			return len ? -errno : 0;
		for (ssize_t i = len; i > 0; i--)
			if (text[i - 1] == '\n')
				return from + i;
		end = from;
	}
	return end;
}

/* *@ret_end: if 0, gets the offset of the record: that of the first one since it was set to 0 */
static int record_append(const char *path, bool is_sure, const char *record, size_t size,
			 long long *ret_end)
{
	_cleanup_close_ int fd = log_open(path, O_RDWR);
	char title[sizeof(TITLE)] = "";
	off_t end;
	int err;

	if (fd < 0)
		return fd;
	if (pread(fd, title, sizeof(title), 0) < 0)
		return -errno;
	if (!has_title(title, sizeof(title)))
		return -EBADMSG;
	err = is_sure ? 1 : is_own(fd);
	if (err <= 0)
		return err;
	end = end_find(fd);
	if (end < 0)
		return end;
	err = 0;
	for (size_t done = 0; done < size && !err;) {
		ssize_t len = pwrite(fd, record + done, size - done, end + (off_t)done);

		if (len > 0)
			done += len;
		else if (!len || errno != EINTR)
			err = len ? -errno : -EIO;
	}
	if (!err && (ftruncate(fd, end + (off_t)size) || fdatasync(fd)))
		err = -errno;
	if (err && ftruncate(fd, end))
		return err; /* half of a record is none, to those who read it */
	if (!err && !*ret_end)
		*ret_end = end;
	return err;
}

static int log_cut(const char *path, off_t at)
{
	_cleanup_close_ int fd = log_open(path, O_RDWR);

	if (fd < 0)
		return fd;
	return ftruncate(fd, at) || fdatasync(fd) ? -errno : 0;
}

void runtime_log_ahead(struct ecbpf *e)
{
	e->logged_at = 0;
}

void runtime_log_settle(struct ecbpf *e, bool is_made)
{
	off_t at = e->logged_at;
	char path[PATH_MAX];
	bool is_sure;
	int err;

	e->logged_at = 0;
	if (is_made || !at)
		return;
	err = runtime_log_path(path, &is_sure);
	if (err > 0)
		err = log_cut(path, at);
	if (err && err != -ENOENT) /* without a log nothing comes back */
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "the change is not made, but it will be at the next start: %s: %s", path,
			  strerror(-err));
}

/* By apply, of what is live: a log that is damaged or gone */
static bool is_made_anew(int err)
{
	return err == -EBADMSG || err == -ENOENT;
}

void runtime_change_end(struct runtime_change *c)
{
	char path[PATH_MAX] = "";
	size_t size = 0;
	bool is_sure;
	char *record;
	int err = -ENOMEM;

	if (!c->out)
		return;
	record = record_make(c, &size);
	if (record && c->whole)
		err = fwrite(record, 1, size, c->whole) == size ? 0 : -EIO;
	else if (record)
		err = runtime_log_path(path, &is_sure);
	if (err > 0)
		err = record_append(path, is_sure, record, size, &c->e->logged_at);
	if (err && !c->whole) /* of a whole one, its end tells */
		ecbpf_log(c->e, ECBPF_LOG_WARN, "%s%s: %s",
			  is_made_anew(err) ? LOST : LOST_BY_APPLY, path, strerror(-err));
	free(record);
	free(c->text);
	*c = (struct runtime_change){};
}

void runtime_settings_log(struct ecbpf *e, const struct ecbpf_settings *settings,
			  const void *before, const void *after)
{
	struct runtime_change c;
	bool is_begun = false;

	for (size_t i = 0; i < settings->count; i++) {
		const struct ecbpf_setting *s = &settings->rows[i];
		__u32 value = ecbpf_setting_value(s, after);
		char text[ECBPF_SETTING_TEXT];

		if (value == ecbpf_setting_value(s, before))
			continue;
		if (!is_begun && !runtime_change_begin(e, &c, "%s set", settings->stage))
			return;
		is_begun = true;
		runtime_change_line(&c, "%s=%s", s->name,
				    ecbpf_setting_format(s, value, text, sizeof(text)));
	}
	if (is_begun)
		runtime_change_end(&c);
}

/* --- reading -------------------------------------------------------------------------------- */

/* What is wrong with the log; told in one line */
struct damage {
	unsigned int line;
	size_t count;
	bool is_torn;
};

/* Of "HEAD, COUNT lines" at @end: COUNT, and *@end is where HEAD ends. Of others 0 */
static size_t lines_count(const char *head, char **end)
{
	char *comma = memrchr(head, ',', *end - head), *rest;
	size_t count;

	if (!comma || comma[1] != ' ')
		return 0;
	count = strtoul(comma + 2, &rest, 10);
	if (*end - rest != 6 || strncmp(rest, " lines", 6))
		return 0;
	*end = comma;
	return count;
}

/*
 * The record at @pos, and the lines that belong to it, which become strings. Return: its end; NULL:
 * it is none, and unchanged
 */
static char *record_take(char *pos, char *end, struct runtime_record *ret, unsigned int *number)
{
	char *line_end = memchr(pos, '\n', end - pos), *stop, *head = pos + HASH_LEN + 1, *rest;
	size_t count, done = 0;

	if (line_end < head || head[-1] != ' ')
		return NULL;
	for (stop = line_end + 1; stop < end && *stop == '\t'; done++)
		stop = (char *)memchr(stop, '\n', end - stop) + 1;
	if (strtoul(pos, &rest, 16) != hash_of(head, stop - head) || rest + 1 != head ||
	    memchr(pos, '\0', stop - pos))
		return NULL;
	*ret = (struct runtime_record){.head = head, .count = done, .number = *number};
	rest = memmem(head, line_end - head, ": ", 2);
	if (rest && !done) {
		ret->lines = rest + 2;
		ret->count = 1;
	} else {
		rest = line_end;
		count = lines_count(head, &rest);
		ret->lines = line_end + 2;
		if (count != done)
			return NULL;
	}
	*rest = *line_end = '\0';
	*number += 1 + done;
	for (char *at = line_end + 1; at < stop; at++) {
		at = memchr(at, '\n', stop - at);
		*at = '\0';
	}
	return stop;
}

/* Behind a line that is none, and those that belong to it */
static char *bad_skip(char *pos, const char *end, unsigned int *number)
{
	do {
		pos = (char *)memchr(pos, '\n', end - pos) + 1;
		++*number;
	} while (pos < end && *pos == '\t');
	return pos;
}

static int log_parse(struct ecbpf *e, struct runtime_log *log, size_t size, struct damage *damage)
{
	char *end = size ? memrchr(log->text, '\n', size) : NULL, *next;
	unsigned int number = 1, first;

	end = end ? end + 1 : log->text;
	damage->is_torn = end != log->text + size;
	for (char *pos = log->text; pos < end; pos = next) {
		struct runtime_record record, *item;

		first = number;
		if (*pos == '#') {
			next = bad_skip(pos, end, &number);
			continue;
		}
		next = record_take(pos, end, &record, &number);
		if (!next) {
			next = bad_skip(pos, end, &number);
			if (next == end)
				damage->is_torn = true;
			else if (!damage->count++)
				damage->line = first;
			continue;
		}
		item = ecbpf_array_add(&log->records, &log->count, sizeof(*item));
		if (!item)
			return ecbpf_fail_memory(e);
		*item = record;
	}
	return 0;
}

int runtime_log_take(struct ecbpf *e, struct runtime_log *log, char *text, size_t size)
{
	struct damage damage = {};

	free(log->text); /* no record was in it */
	log->text = text;
	return log_parse(e, log, size, &damage);
}

bool runtime_log_is_whole(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char title[sizeof(TITLE)] = "";

	return fd >= 0 && read(fd, title, sizeof(title)) > 0 && has_title(title, sizeof(title));
}

static int fail_unreadable(struct ecbpf *e, int err, const char *path)
{
	return ecbpf_fail(e, err,
			  "%s: %s: changes at runtime cannot be read; move it away to go on "
			  "without them",
			  path, strerror(-err));
}

int runtime_log_read(struct ecbpf *e, struct runtime_log *ret_log)
{
	struct damage damage = {};
	size_t size = 0;
	bool is_sure;
	int err, fd;

	*ret_log = (struct runtime_log)RUNTIME_LOG_INIT;
	err = runtime_log_path(ret_log->path, &is_sure);
	if (err < 0)
		return fail_unreadable(e, err, ecbpf_state_dir());
	ret_log->is_kept = err;
	if (!ret_log->is_kept)
		return 0;
	fd = log_open(ret_log->path, O_RDONLY);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fail_unreadable(e, fd, ret_log->path);
	ret_log->lock = fd;
	err = is_sure ? 0 : is_others(fd);
	if (err < 0)
		return fail_unreadable(e, err, ret_log->path);
	if (err) {
		ret_log->is_kept = false;
		return 0;
	}
	err = ecbpf_file_read(fd, &ret_log->text, &size);
	if (err)
		return fail_unreadable(e, err, ret_log->path);
	err = log_parse(e, ret_log, size, &damage);
	ret_log->is_there = has_title(ret_log->text, size);
	if (damage.count)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s:%u: this is no change that was kept%s: skipped",
			  ret_log->path, damage.line,
			  damage.count > 1 ? ", and so are others" : "");
	if (damage.is_torn)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: the last change was not written whole: ignored",
			  ret_log->path);
	return err;
}

void runtime_log_free(struct runtime_log *log)
{
	free(log->text);
	free(log->records);
	close_fd(&log->lock);
	*log = (struct runtime_log)RUNTIME_LOG_INIT;
}

/* --- the whole log -------------------------------------------------------------------------- */

static void work_path(const struct runtime_log *log, char ret[PATH_MAX + 8])
{
	snprintf(ret, PATH_MAX + 8, "%s.new", log->path);
}

int runtime_log_begin(struct ecbpf *e, const struct runtime_log *log, FILE **ret_whole)
{
	char work[PATH_MAX + 8], dir[PATH_MAX], owner[128];
	int fd, dir_fd, err;

	dir_fd = ecbpf_state_dir_make(e, "runtime", dir);
	if (dir_fd < 0)
		return dir_fd;
	close(dir_fd);
	work_path(log, work);
	fd = open(work, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	*ret_whole = fd < 0 ? NULL : fdopen(fd, "w");
	if (!*ret_whole) {
		ecbpf_fail(e, -errno, "%s: %s", work, strerror(errno));
		close_fd(&fd);
		return -EIO;
	}
	err = owner_print(owner, sizeof(owner));
	if (err) {
		fclose(*ret_whole);
		unlink(work);
		return ecbpf_fail(e, err, "%s: %s", log->path, strerror(-err));
	}
	fprintf(*ret_whole, TITLE "\n%s\n", owner);
	return 0;
}

int runtime_log_end(struct ecbpf *e, const struct runtime_log *log, FILE *whole, bool is_trial)
{
	_cleanup_close_ int dir_fd = -1;
	char work[PATH_MAX + 8], dir[PATH_MAX];
	int err = 0;

	work_path(log, work);
	if (fflush(whole) || ferror(whole) || fsync(fileno(whole)))
		err = -(errno ?: EIO);
	if (fclose(whole) && !err)
		err = -errno;
	if (!err && is_trial && !unlink(work))
		return 0;
	if (!err && rename(work, log->path))
		err = -errno;
	if (err) {
		ecbpf_fail(e, err, "%s: %s", log->path, strerror(-err));
		unlink(work);
		return err;
	}
	dir_fd = ecbpf_state_dir_make(e, "runtime", dir);
	return dir_fd >= 0 && !fsync(dir_fd) ? 0
					     : ecbpf_fail(e, -EIO, "%s: not written to disk", dir);
}
