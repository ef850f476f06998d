// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files of a directory that are replaced in one step */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/conf.h"
#include "core/handle.h"
#include "core/util.h"

/* A new file @work in @dir, on the disk; none on error */
static int work_write(struct ecbpf *e, const char *dir, const char *text, size_t size,
		      char work[PATH_MAX])
{
	FILE *out = NULL;
	int fd, err = 0;

	snprintf(work, PATH_MAX, "%s/.ecbpf-XXXXXX", dir);
	fd = mkstemp(work);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (!out)
		err = -errno;
	else if (fwrite(text, 1, size, out) != size || fflush(out) || fsync(fd))
		err = -(errno ?: EIO);
	if (out ? fclose(out) : fd >= 0 && close(fd))
		err = err ?: -errno;
	if (!err)
		return 0;
	ecbpf_fail(e, err, "%s: %s", work, strerror(-err));
	if (fd >= 0)
		unlink(work);
	return err;
}

int conf_file_write(struct ecbpf *e, const char *dir, const char *name, const char *text,
		    size_t size)
{
	char work[PATH_MAX], path[PATH_MAX];
	int err;

	err = work_write(e, dir, text, size, work);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!rename(work, path))
		return 0;
	err = ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	unlink(work);
	return err;
}

void conf_files_add(struct conf_files *files, const char *name, char *text)
{
	struct conf_file *f = &files->items[files->count++];

	snprintf(f->name, sizeof(f->name), "%s", name);
	f->text = text;
}

static int copy(const char *path, const char *to)
{
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
			    out = -1;
	ssize_t count = 1;
	struct stat st;

	if (in < 0 || fstat(in, &st))
		return -errno;
	if (!S_ISREG(st.st_mode)) /* rename() says what is wrong with it */
		return 0;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	while (count > 0)
		count = sendfile(out, in, NULL, 1 << 20);
	/* its mode where there are modes */
	if (!count && (fchown(out, st.st_uid, st.st_gid) || fchmod(out, st.st_mode)) &&
	    errno != EPERM)
		count = -1;
	return count || fsync(out) ? -errno : 0;
}

/* A second name for the file that is there, to get back to it, or a copy where there are none */
static int keep_before(struct conf_file *f, const char *path)
{
	int err;

	snprintf(f->before, sizeof(f->before), "%s~", f->work);
	if (!link(path, f->before))
		return 0;
	err = -errno;
	if (err == -EPERM || err == -EOPNOTSUPP || err == -EMLINK) {
		err = copy(path, f->before);
		if (!err && !access(f->before, F_OK))
			return 0;
		unlink(f->before);
	}
	*f->before = '\0';
	f->is_new = err == -ENOENT;
	return f->is_new ? 0 : err;
}

static int file_publish(struct ecbpf *e, const char *dir, struct conf_file *f)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/%s", dir, f->name);
	err = keep_before(f, path);
	if (!err && rename(f->work, path))
		err = -errno;
	if (err)
		return ecbpf_fail(e, err, "%s: %s", path, strerror(-err));
	*f->work = '\0';
	return 0;
}

/* As it was before file_publish() */
static void file_restore(const char *dir, struct conf_file *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, f->name);
	if (*f->before && !rename(f->before, path))
		*f->before = '\0';
	else if (f->is_new)
		unlink(path);
}

int conf_files_write(struct ecbpf *e, struct conf_files *files)
{
	size_t published = 0;
	int err = 0;

	for (size_t i = 0; i < files->count && !err; i++) {
		struct conf_file *f = &files->items[i];

		err = work_write(e, files->dir, f->text, strlen(f->text), f->work);
		if (err)
			*f->work = '\0';
	}
	for (size_t i = 0; i < files->count && !err; i++) {
		err = file_publish(e, files->dir, &files->items[i]);
		published += !err;
	}
	while (err && published)
		file_restore(files->dir, &files->items[--published]);
	for (size_t i = 0; i < files->count; i++) {
		const struct conf_file *f = &files->items[i];

		if (*f->work)
			unlink(f->work);
		if (*f->before && unlink(f->before))
			ecbpf_log(e, ECBPF_LOG_WARN, "%s: cannot remove it: %s", f->before,
				  strerror(errno));
	}
	return err;
}

void conf_files_free(struct conf_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].text);
}
