// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The file that tells what the process of ecbpf_watch_open() is at.
 *
 * There is one for each network namespace, /run/ecbpf/watch-INODE. Its lock says that the process
 * lives; it is an open file description's, which can be asked for without being taken. As the file
 * may be removed, and each mount namespace may have its own /run, it is a socket that keeps others
 * from doing the same: an abstract name is one of the network namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "config/watch.h"
#include "core/error.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/netns.h"
#include "core/run_dir.h"

#define HOLD_NAME "ecbpf-watch"

static int state_path(struct ecbpf *e, char path[PATH_MAX])
{
	int err = ecbpf_run_path("watch", path);

	return err ? ecbpf_fail(e, err, ECBPF_NETNS_OWN ": %s", strerror(-err)) : 0;
}

/* Into @ret; what is not there stays 0 */
static int state_parse(struct ecbpf *e, char *text, struct ecbpf_watch_state *ret)
{
	struct conf_waits waits = {};
	char *rest = NULL, *value, *why;
	int err = 0;

	for (char *line = strtok_r(text, "\n", &rest); line && !err;
	     line = strtok_r(NULL, "\n", &rest)) {
		value = line + strcspn(line, " ");
		if (*value)
			*value++ = '\0';
		if (!strcmp(line, "pid"))
			ret->pid = atoi(value);
		else if (!strcmp(line, "file"))
			snprintf(ret->file, sizeof(ret->file), "%s", value);
		else if (!strcmp(line, "error"))
			snprintf(ret->error, sizeof(ret->error), "%s", value);
		else if (!strcmp(line, "instead"))
			snprintf(ret->instead, sizeof(ret->instead), "%s", value);
		else if (!strcmp(line, "applied"))
			ret->applied = atoll(value);
		else if (!strcmp(line, "same"))
			ret->is_same = *value == '1';
		else if (!strcmp(line, "read"))
			ret->read = strtoull(value, NULL, 10);
		else if (!strcmp(line, "wait") && (why = strchr(value, '\t'))) {
			*why++ = '\0';
			err = conf_wait(e, &waits, value, why);
		}
	}
	ret->waits = waits.items;
	ret->waits_count = waits.count;
	return err;
}

static int state_read(struct ecbpf *e, int fd, struct ecbpf_watch_state *ret)
{
	_cleanup_free_ char *raw = NULL, *text = NULL;
	size_t size = 0;
	int err;

	err = ecbpf_file_read(fd, &raw, &size);
	if (err)
		return ecbpf_fail(e, err, ECBPF_RUN_DIR ": %s", strerror(-err));
	text = strndup(raw, size);
	return text ? state_parse(e, text, ret) : ecbpf_fail_memory(e);
}

static int fail_busy(struct ecbpf *e, int pid, const char *path)
{
	char comm[64], name[32] = "";
	FILE *file;

	snprintf(comm, sizeof(comm), "/proc/%d/comm", pid);
	file = pid ? fopen(comm, "re") : NULL;
	if (file && fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
	return ecbpf_fail(e, -EBUSY, "process %d (%s) keeps this network namespace already (%s)",
			  pid, name, path);
}

static int fail_locked(struct ecbpf *e, int fd, const char *path)
{
	struct ecbpf_watch_state state = {};
	int pid;

	pid = state_read(e, fd, &state) ? 0 : state.pid;
	ecbpf_watch_state_free(&state);
	return fail_busy(e, pid, path);
}

/* The process that has the name, if it is of this user: anybody can take a name. 0: it is not */
static bool find_holder(const struct sockaddr_un *addr, socklen_t size, int *ret_pid)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {};
	socklen_t len = sizeof(peer);

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, size) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.uid != geteuid())
		return false;
	*ret_pid = peer.pid;
	return true;
}

int conf_watch_hold(struct ecbpf *e, int *ret_fd)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(HOLD_NAME);
	char path[PATH_MAX];
	int pid;

	*ret_fd = -1;
	memcpy(addr.sun_path + 1, HOLD_NAME, strlen(HOLD_NAME));
	if (fd >= 0 && !bind(fd, (const struct sockaddr *)&addr, size) && !listen(fd, 64)) {
		*ret_fd = take_fd(&fd);
		return 0;
	}
	if (fd < 0 || errno != EADDRINUSE)
		return ecbpf_fail(e, -errno, "socket @" HOLD_NAME ": %s", strerror(errno));
	if (find_holder(&addr, size, &pid))
		return state_path(e, path) ?: fail_busy(e, pid, path);
	ecbpf_log(e, ECBPF_LOG_WARN,
		  "a process of another user has the socket @" HOLD_NAME
		  ": whether another ecbpf-loader watch runs is known only from " ECBPF_RUN_DIR);
	return 0;
}

int conf_state_open(struct ecbpf *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	int fd, err;

	err = state_path(e, path);
	if (err)
		return err;
	err = ecbpf_run_dir_make();
	if (err)
		return ecbpf_fail(e, err, "cannot make " ECBPF_RUN_DIR ": %s", strerror(-err));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return ecbpf_fail(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return fchmod(fd, 0644) ? ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno))
					: fd;
	err = errno == EAGAIN || errno == EACCES
		      ? fail_locked(e, fd, path)
		      : ecbpf_fail(e, -errno, "cannot lock %s: %s", path, strerror(errno));
	close(fd);
	return err;
}

bool conf_state_restore(struct ecbpf *e, int *fd)
{
	struct saved_error error;
	struct stat own, there;
	char path[PATH_MAX];
	int made;

	ecbpf_error_save(e, &error);
	if (state_path(e, path) || fstat(*fd, &own) ||
	    (!stat(path, &there) && own.st_ino == there.st_ino && own.st_dev == there.st_dev)) {
		ecbpf_error_restore(e, &error);
		return false;
	}
	made = conf_state_open(e); /* or it is tried again */
	ecbpf_error_restore(e, &error);
	if (made < 0)
		return false;
	close(*fd);
	*fd = made;
	return true;
}

void conf_state_write(int fd, const struct ecbpf_watch_state *state)
{
	struct conf_text text = {};

	conf_printf(&text, "pid %d\nfile %s\napplied %lld\nread %llu\nsame %d\n", getpid(),
		    state->file, state->applied, state->read, state->is_same);
	if (*state->error)
		conf_printf(&text, "error %s\n", state->error);
	if (*state->instead)
		conf_printf(&text, "instead %s\n", state->instead);
	for (size_t i = 0; i < state->waits_count; i++)
		conf_printf(&text, "wait %s\t%s\n", state->waits[i].name, state->waits[i].text);
	if (!text.is_lost && pwrite(fd, text.text, text.len, 0) == (ssize_t)text.len &&
	    ftruncate(fd, text.len))
		text.is_lost = true;
	free(text.text);
}

void conf_state_end(int fd)
{
	if (fd >= 0 && ftruncate(fd, 0))
		return; /* it looks as if it was killed */
}

/* Nobody has it, and whoever ends in order leaves nothing: it is that of one that was killed */
static void state_of_killed(struct ecbpf_watch_state *state)
{
	struct ecbpf_watch_state killed = {.killed = state->pid};

	memcpy(killed.file, state->file, sizeof(killed.file));
	ecbpf_watch_state_free(state);
	*state = killed;
}

int ecbpf_watch_read(struct ecbpf *e, struct ecbpf_watch_state *ret_state)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int err;

	*ret_state = (struct ecbpf_watch_state){};
	err = state_path(e, path);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT
			       ? 0
			       : ecbpf_fail(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (fcntl(fd, F_OFD_GETLK, &lock))
		return 0;
	err = state_read(e, fd, ret_state);
	if (err)
		ecbpf_watch_state_free(ret_state);
	else if (lock.l_type == F_UNLCK)
		state_of_killed(ret_state);
	return err;
}

void ecbpf_watch_state_free(struct ecbpf_watch_state *state)
{
	free(state->waits);
	*state = (struct ecbpf_watch_state){};
}
