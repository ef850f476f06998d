// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What was last loaded on an interface, so that it is known when it is gone.
 *
 *	BPFFS/ecbpf/loaded/INODE:IFACE -> text		of network namespace INODE
 *
 * A symbolic link is made in one step, goes with the programs when the host is booted, and costs no
 * file descriptor. BPF file systems allow no dot in a name: it is a colon, which interfaces do not
 * have. Nothing depends on a note, so one that cannot be made is no failure.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bpf/bpffs.h"
#include "bpf/loaded.h"
#include "bpf/pins.h"
#include "chain/change.h"
#include "chain/note.h"
#include "core/error.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/netns.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

#define DIR	  "loaded"
#define TEXT_SIZE 4000 /* the kernel takes 4095 */

static unsigned long long netns_inode(void)
{
	struct stat own;

	return ecbpf_netns_own(&own) ? 0 : own.st_ino;
}

/* Inode numbers are used again; this number is not. @ret: 0: this kernel has none */
static int netns_cookie(unsigned long long *ret)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	if (fd < 0 ||
	    (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) && errno != ENOPROTOOPT))
		return -errno;
	*ret = cookie;
	return 0;
}

static int note_path(struct ecbpf *e, const char *iface, char path[PATH_MAX])
{
	unsigned long long inode = netns_inode();
	char name[IF_NAMESIZE];

	if (!inode)
		return ecbpf_fail(e, -errno, ECBPF_NETNS_OWN ": %s", strerror(errno));
	snprintf(name, sizeof(name), "%s", iface);
	for (char *c = name; *c; c++)
		if (*c == '.')
			*c = ':';
	return ecbpf_path_format(e, path, PATH_MAX, "%s/ecbpf/" DIR "/%llu:%s", e->bpffs, inode,
				 name);
}

/* Of what is unloaded */
static void warn_is_left(struct ecbpf *e, const char *iface, int err)
{
	ecbpf_log(e, ECBPF_LOG_WARN,
		  "%s: cannot remove the note of its programs: %s; status and doctor will report "
		  "them missing",
		  iface, strerror(err));
}

static void warn_is_missing(struct ecbpf *e, const char *path, int err)
{
	ecbpf_log(e, ECBPF_LOG_WARN,
		  "%s: cannot make this note of its programs: %s; the doctor will not find it "
		  "missing",
		  path, strerror(err));
}

static void note_write(struct ecbpf *e, const char *iface, const char *text)
{
	char path[PATH_MAX], dir[PATH_MAX];

	if (ecbpf_pin_path(e, dir, sizeof(dir), DIR) || note_path(e, iface, path))
		return;
	if ((mkdir(dir, 0700) && errno != EEXIST) || (unlink(path) && errno != ENOENT) ||
	    symlink(text, path))
		warn_is_missing(e, path, errno);
}

/* Return: for free(); NULL: there is none */
static char *note_text(const char *path)
{
	char text[TEXT_SIZE + 1];
	ssize_t len = readlink(path, text, sizeof(text));

	return len > 0 && len < (ssize_t)sizeof(text) ? strndup(text, len) : NULL;
}

static bool change_path(struct ecbpf *e, const struct change *c, char *name, char *path)
{
	return if_indextoname(c->ifindex, name) && !note_path(e, name, path);
}

void ecbpf_note_begin(struct ecbpf *e, const struct change *c, char **ret_old)
{
	char path[PATH_MAX], name[IF_NAMESIZE];

	*ret_old = NULL;
	if (!change_path(e, c, name, path)) {
		if (errno != ENXIO) /* it has gone */
			warn_is_left(e, c->iface, errno);
		return;
	}
	*ret_old = note_text(path);
	if (unlink(path) && errno != ENOENT)
		warn_is_left(e, name, errno);
}

/*
 * "COOKIE IFINDEX MODE" line, then of each program "\tPRIO ACTIONS NAME" and its struct loaded
 * Return: how many; or -errno
 */
static int text_make(const struct change *c, char text[TEXT_SIZE + 1])
{
	_cleanup_free_ struct loaded *loaded = NULL;
	unsigned long long cookie = 0;
	int len, count = 0, err;

	err = netns_cookie(&cookie);
	if (err)
		return err;
	loaded = malloc(sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	len = snprintf(text, TEXT_SIZE, "%llu %d %d\n", cookie, c->ifindex, c->mode);
	for (size_t i = 0; i < c->count && len < TEXT_SIZE; i++) {
		const struct member *m = &c->members[i];

		err = ecbpf_loaded_read(m->fd, loaded);
		if (err == -ENOENT || err == -EPROTO) /* another tool or version has loaded it */
			continue;
		if (err)
			return err;
		len += snprintf(text + len, TEXT_SIZE - len, "\t%u %u %s\n%s", m->prio, m->actions,
				m->name, loaded->spec);
		count++;
	}
	return len < TEXT_SIZE ? count : -E2BIG;
}

void ecbpf_note_end(struct ecbpf *e, const struct change *c, char *old, bool is_done)
{
	char text[TEXT_SIZE + 1], path[PATH_MAX], name[IF_NAMESIZE];
	struct saved_error error;
	int count;

	ecbpf_error_save(e, &error);
	if (change_path(e, c, name, path)) {
		count = is_done ? text_make(c, text) : 0;
		if (count > 0)
			note_write(e, name, text);
		else if (count < 0)
			warn_is_missing(e, path, -count);
		else if (!is_done && old)
			note_write(e, name, old);
		else if (!ecbpf_pin_path(e, path, sizeof(path), DIR))
			rmdir(path);					 /* if it is empty */
	} else if (errno != ENXIO && (is_done ? c->count > 0 : !!old)) { /* ENXIO: it has gone */
		warn_is_missing(e, c->iface, errno);
	}
	ecbpf_error_restore(e, &error);
	free(old);
}

/* Into @ret, which points into @text. Return: is it of this network namespace, and whole? */
static bool note_parse(char *text, struct note *ret)
{
	unsigned long long cookie, mine = 0;
	int mode, at = 0;

	if (netns_cookie(&mine) ||
	    sscanf(text, "%llu %d %d\n%n", &cookie, &ret->ifindex, &mode, &at) != 3 || !at ||
	    cookie != mine)
		return false;
	ret->mode = mode;
	for (char *m = strchr(text, '\t'); m; m = strchr(m, '\t')) {
		struct note_member *member = &ret->members[ret->count];

		*m++ = '\0'; /* ends the one before */
		if (ret->count == DISPATCHER_MEMBERS ||
		    sscanf(m, "%u %u %63s", &member->prio, &member->actions, member->name) != 3)
			return false;
		m += strcspn(m, "\n");
		m += *m == '\n';
		member->spec = m;
		ret->count++;
	}
	return ret->count;
}

struct note_call {
	ecbpf_note_fn fn;
	void *data;
	unsigned long long inode;
};

/* "INODE:IFACE" of this namespace, into @ret */
static bool iface_of(const char *entry, unsigned long long own, char ret[IF_NAMESIZE])
{
	unsigned long long inode;
	int at = 0;

	if (sscanf(entry, "%llu:%n", &inode, &at) != 1 || !at || inode != own)
		return false;
	snprintf(ret, IF_NAMESIZE, "%s", entry + at);
	for (char *c = ret; *c; c++)
		if (*c == ':')
			*c = '.';
	return *ret;
}

static int note_call(struct ecbpf *e, const char *entry, void *data)
{
	_cleanup_free_ struct note *note = calloc(1, sizeof(*note));
	_cleanup_free_ char *text = NULL;
	const struct note_call *call = data;
	char path[PATH_MAX], name[IF_NAMESIZE];

	if (!note || !iface_of(entry, call->inode, note->iface) || note_path(e, note->iface, path))
		return 0;
	text = note_text(path);
	if (!text || !note_parse(text, note))
		return 0;
	if (if_indextoname(note->ifindex, name) && strcmp(name, note->iface))
		return 0;
	return call->fn(e, note, call->data);
}

int ecbpf_for_each_note(struct ecbpf *e, ecbpf_note_fn fn, void *data)
{
	struct note_call call = {.fn = fn, .data = data, .inode = netns_inode()};
	char path[PATH_MAX];
	int err;

	if (!call.inode)
		return ecbpf_fail(e, -errno, ECBPF_NETNS_OWN ": %s", strerror(errno));
	err = ecbpf_pin_path(e, path, sizeof(path), DIR);
	return err ? err : ecbpf_for_each_entry(e, path, note_call, &call);
}

/* Interfaces that are gone, or all */
struct forget {
	bool is_all;
	size_t count;
	unsigned long long inode;
};

static int note_forget(struct ecbpf *e, const char *entry, void *data)
{
	struct forget *forget = data;
	char path[PATH_MAX], name[IF_NAMESIZE];

	if (!forget->is_all && (!iface_of(entry, forget->inode, name) || ecbpf_iface_ask(e, name)))
		return 0;
	if (ecbpf_path_format(e, path, sizeof(path), "%s/ecbpf/" DIR "/%s", e->bpffs, entry))
		return 0;
	if (!unlink(path))
		forget->count++;
	else if (errno != ENOENT)
		warn_is_left(e, entry, errno);
	return 0;
}

static size_t notes_forget(struct ecbpf *e, struct forget *forget)
{
	char path[PATH_MAX];
	int err;

	forget->inode = netns_inode();
	if (!forget->inode)
		warn_is_left(e, "*", errno);
	if (ecbpf_pin_path(e, path, sizeof(path), DIR))
		return 0;
	err = ecbpf_for_each_entry(e, path, note_forget, forget);
	if (err)
		warn_is_left(e, "*", -err);
	rmdir(path); /* if it is empty */
	return forget->count;
}

size_t ecbpf_note_forget(struct ecbpf *e, const char *iface)
{
	char path[PATH_MAX], name[IF_NAMESIZE];

	if (!iface)
		return notes_forget(e, &(struct forget){});
	if (if_indextoname(ecbpf_iface_find(iface), name))
		iface = name;
	/* without a look into the directory: what is short now is for an error, not for a warning
	 */
	if (note_path(e, iface, path))
		return 0;
	if (unlink(path)) {
		if (errno != ENOENT)
			warn_is_left(e, iface, errno);
		return 0;
	}
	if (!ecbpf_pin_path(e, path, sizeof(path), DIR))
		rmdir(path); /* if it is empty */
	return 1;
}

static bool has_member(const struct ecbpf_chain *chain, const char *name)
{
	for (size_t i = 0; i < chain->members_count; i++)
		if (chain->members[i].is_ours && !strcmp(chain->members[i].name, name))
			return true;
	return false;
}

/* The text without the programs that are not in @chain. Return: how many these are */
static size_t text_settle(char *text, const struct ecbpf_chain *chain, size_t *ret_left)
{
	char *to = strchr(text, '\t'), *from = to, name[64];
	size_t gone = 0;

	*ret_left = 0;
	while (from) {
		char *next = strchr(from + 1, '\t');
		size_t len = next ? (size_t)(next - from) : strlen(from);

		if (sscanf(from + 1, "%*u %*u %63s", name) == 1 && has_member(chain, name)) {
			memmove(to, from, len);
			to += len;
			++*ret_left;
		} else {
			gone++;
		}
		from = next;
	}
	if (to)
		*to = '\0';
	return gone;
}

size_t ecbpf_note_settle(struct ecbpf *e, const char *iface)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], name[IF_NAMESIZE];
	struct ecbpf_chain *chain;
	size_t gone, left;

	if (!if_indextoname(ecbpf_iface_find(iface), name) || note_path(e, name, path))
		return 0;
	text = note_text(path);
	if (!text || ecbpf_chain_get(e, name, &chain)) /* in doubt it is there */
		return 0;
	gone = text_settle(text, chain, &left);
	ecbpf_chain_free(chain);
	if (!left)
		ecbpf_note_forget(e, name);
	else if (gone)
		note_write(e, name, text);
	return gone;
}

void ecbpf_note_forget_all(struct ecbpf *e)
{
	notes_forget(e, &(struct forget){.is_all = true});
}
