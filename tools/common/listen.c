// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* UNIX sockets that only root and a group can connect to, see listen.h */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "tools/common/common.h"
#include "tools/common/listen.h"

#define BACKLOG 100

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* What a process that was killed has left is in the way. Return: 0; errno */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	fd = new_socket();
	if (fd < 0)
		return errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : EADDRINUSE;
	close(fd);
	if (err != ECONNREFUSED)
		return err == EAGAIN ? EADDRINUSE : err;
	return unlink(address->sun_path) ? errno : 0;
}

static void make_dir(const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	if (strrchr(dir, '/') && strrchr(dir, '/') != dir) {
		*strrchr(dir, '/') = '\0';
		mkdir(dir, 0755); /* if that fails, so does bind() */
	}
}

/* Nobody can connect before its mode is set */
static int bind_at(int fd, const struct sockaddr_un *address)
{
	const struct group *group = getgrnam(LISTEN_GROUP);
	mode_t mask = umask(0177);
	int err = 0;

	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		err = errno;
	umask(mask);
	if (!err && group && chown(address->sun_path, -1, group->gr_gid))
		tool_warn("%s: only root can connect: %s", address->sun_path, strerror(errno));
	else if (!err && group && chmod(address->sun_path, 0660))
		err = errno;
	if (!err && listen(fd, BACKLOG))
		err = errno;
	return err;
}

int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -1, err = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		err = ENAMETOOLONG;
	if (!err) {
		strcpy(address.sun_path, path);
		make_dir(path);
		err = remove_stale(&address);
	}
	if (!err) {
		fd = new_socket();
		err = fd < 0 ? errno : bind_at(fd, &address);
	}
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	tool_fail("cannot bind to 'ipc://%s': %s", path, strerror(err));
	return -1;
}
