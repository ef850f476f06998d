// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The network namespaces of this host.
 *
 * The kernel has no list of them. Each is kept by a thread, a file descriptor or a mount, so these
 * are looked through. What hides some of them (a PID namespace, missing privileges) is noticed.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/nsfs.h>
#include "core/array.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/links.h"
#include "core/netns.h"

#define INITIAL_PID_INODE 0xEFFFFFFC /* linux/proc_ns.h */

int ecbpf_netns_own(struct stat *ret)
{
	return stat(ECBPF_NETNS_OWN, ret) ? -errno : 0;
}

/* Inodes of namespaces that were met already */
struct inodes {
	ino_t *items;
	size_t count;
};

struct search {
	struct ecbpf *e;
	struct ecbpf_netns_xdp *ret;
	struct inodes nets, mounts;
	int own_fd;
	dev_t nsfs;
	int err;
};

static bool is_new(struct search *s, struct inodes *inodes, ino_t inode)
{
	ino_t *item;

	for (size_t i = 0; i < inodes->count; i++)
		if (inodes->items[i] == inode)
			return false;
	item = ecbpf_array_add(&inodes->items, &inodes->count, sizeof(*item));
	if (!item) {
		s->err = ecbpf_fail_memory(s->e);
		return false;
	}
	*item = inode;
	return true;
}

/* What is gone by now was not kept by this, and is met elsewhere if it is kept */
static void not_seen(struct search *s)
{
	if (errno != ENOENT && errno != ESRCH)
		s->ret->is_complete = false;
}

static void links_add(struct search *s, const struct ecbpf_link *links, size_t count)
{
	for (size_t i = 0; i < count && !s->err; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(links[i].xdp_ids); k++) {
			__u32 *id;

			if (!links[i].xdp_ids[k])
				continue;
			id = ecbpf_array_add(&s->ret->ids, &s->ret->count, sizeof(*id));
			if (!id)
				s->err = ecbpf_fail_memory(s->e);
			else
				*id = links[i].xdp_ids[k];
		}
	}
}

/* Where the process cannot be brought back, it must not go on: all it did would be elsewhere */
static void enter(struct search *s, int fd)
{
	_cleanup_free_ struct ecbpf_link *links = NULL;
	size_t count = 0;
	int err;

	if (setns(fd, CLONE_NEWNET)) {
		s->ret->is_complete = false;
		return;
	}
	err = ecbpf_links_read(s->e, &links, &count);
	if (setns(s->own_fd, CLONE_NEWNET))
		abort();
	if (err)
		s->ret->is_complete = false;
	else
		links_add(s, links, count);
}

static void net_add(struct search *s, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (stat(path, &st)) {
		not_seen(s);
		return;
	}
	if (!is_new(s, &s->nets, st.st_ino))
		return;
	/* somebody else's mount may be a FIFO by now */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		s->ret->is_complete = false;
	else if (ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
		enter(s, fd);
}

/* Of /proc/PID/mountinfo, "\040" is a blank */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned int byte;

		if (*from == '\\' && sscanf(from + 1, "%3o", &byte) == 1) {
			*to = (char)byte;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static void mounts_add(struct search *s, const char *pid)
{
	char path[PATH_MAX + 32], line[2 * PATH_MAX], point[PATH_MAX], root[64];
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	if (stat(path, &st)) {
		not_seen(s);
		return;
	}
	if (!is_new(s, &s->mounts, st.st_ino))
		return;
	snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	file = fopen(path, "re");
	if (!file) {
		not_seen(s);
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*d %*d %*s %63s %4095s", root, point) != 2 ||
		    strncmp(root, "net:[", 5))
			continue;
		unescape(point);
		snprintf(path, sizeof(path), "/proc/%s/root%s", pid, point);
		net_add(s, path);
	}
	if (ferror(file))
		not_seen(s);
	fclose(file);
}

/*
 * Is it a file of nsfs? A link's text does not tell: that of a mounted namespace is the path of the
 * mount. Where others are may not answer, so nothing is asked of network file systems.
 */
static bool is_namespace(const struct search *s, const char *path)
{
	struct statx file;

	return !statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &file) &&
	       makedev(file.stx_dev_major, file.stx_dev_minor) == s->nsfs;
}

/* Each thread of a process, or its file descriptors. @net: behind an entry */
static void entries_add(struct search *s, const char *pid, const char *dir_name, const char *net)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, dir_name);
	dir = opendir(path);
	if (!dir) {
		not_seen(s);
		return;
	}
	while (!s->err && (errno = 0, entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/%s/%.16s%s", pid, dir_name, entry->d_name,
			 net);
		if (*net || is_namespace(s, path))
			net_add(s, path);
	}
	if (!s->err && errno)
		not_seen(s);
	closedir(dir);
}

static void processes_add(struct search *s)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	/* in a container, other processes are hidden */
	if (stat("/proc/self/ns/pid", &st) || st.st_ino != INITIAL_PID_INODE)
		s->ret->is_complete = false;
	dir = opendir("/proc");
	if (!dir)
		s->ret->is_complete = false;
	while (dir && !s->err && (errno = 0, entry = readdir(dir))) {
		char pid[16];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(pid, sizeof(pid), "%.15s", entry->d_name);
		entries_add(s, pid, "task", "/ns/net");
		entries_add(s, pid, "fd", "");
		mounts_add(s, pid);
	}
	if (dir && !s->err && errno)
		s->ret->is_complete = false;
	if (dir)
		closedir(dir);
}

int ecbpf_netns_xdp_read(struct ecbpf *e, struct ecbpf_netns_xdp *ret)
{
	struct search s = {.e = e, .ret = ret};
	struct saved_error error;
	struct stat st;

	*ret = (struct ecbpf_netns_xdp){.is_complete = true};
	ecbpf_error_save(e, &error);
	s.own_fd = open(ECBPF_NETNS_OWN, O_RDONLY | O_CLOEXEC);
	if (s.own_fd < 0 || fstat(s.own_fd, &st)) {
		ret->is_complete = false;
	} else {
		s.nsfs = st.st_dev;
		processes_add(&s);
	}
	close_fd(&s.own_fd);
	free(s.nets.items);
	free(s.mounts.items);
	if (!s.err)
		ecbpf_error_restore(e, &error);
	return s.err;
}
