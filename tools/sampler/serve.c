// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The process that keeps privileges, and answers requests, see opener.h */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/common/listen.h"
#include "tools/sampler/opener.h"

#define LISTENERS (2UL * OPENER_FILES) /* of old and new options */

/* Sockets at paths outlive a change of the settings, which may fail, and are removed at the end */
struct listener {
	char path[108]; /* the kernel takes no longer one */
	int fd;
	bool is_old, is_new;
};

struct server {
	struct tool *tool;
	int argc;
	char **argv;
	int sock;
	struct ecbpf_sampler_source *source;
	size_t ring_bytes, new_ring_bytes; /* of options as listeners are */
	struct listener listeners[LISTENERS];
	size_t listeners_count;
};

/* --- maps and rings --------------------------------------------------------------------------- */

static bool send_rings(int sock, const struct ecbpf_sampler_fds *fds)
{
	struct opener_rings rings = {};
	int passed[OPENER_RINGS];
	size_t count = 0;

	for (size_t i = 0; i < fds->count; i++) {
		rings.cpus[count] = fds->rings[i].cpu;
		passed[count++] = fds->rings[i].fd;
		if (count < OPENER_RINGS && i + 1 < fds->count)
			continue;
		if (!opener_send(sock, &rings, sizeof(rings), passed, count))
			return false;
		count = 0;
	}
	return true;
}

/* Descriptors are those of the reader alone afterwards: what they stand for ends with it */
static bool answer_source(struct server *s, struct opener_reply *reply)
{
	struct ecbpf_sampler_fds *fds;
	bool is_sent;

	ecbpf_sampler_source_close(s->source);
	s->source = NULL;
	reply->err = ecbpf_sampler_source_open(s->tool->ecbpf, s->ring_bytes, &s->source);
	if (reply->err) {
		snprintf(reply->text, sizeof(reply->text), "%s", ecbpf_error(s->tool->ecbpf));
		return opener_send(s->sock, reply, sizeof(*reply), NULL, 0);
	}
	fds = ecbpf_sampler_source_fds(s->source);
	reply->count = fds->count;
	reply->ring_bytes = fds->ring_bytes;
	is_sent = opener_send(s->sock, reply, sizeof(*reply),
			      (int[]){fds->lock, fds->samples, fds->stats}, 3) &&
		  send_rings(s->sock, fds);
	ecbpf_sampler_fds_close(fds);
	return is_sent;
}

static void answer_chain(struct server *s, const struct opener_request *request,
			 struct opener_reply *reply)
{
	reply->err = ecbpf_sampler_chain(s->tool->ecbpf, request->ifindex, request->id, &reply->id,
					 reply->text, sizeof(reply->text));
}

static void answer_status(struct server *s, struct opener_reply *reply)
{
	reply->err = s->source ? ecbpf_sampler_source_status(s->source, &reply->status) : -ENOENT;
	if (reply->err)
		snprintf(reply->text, sizeof(reply->text), "%s", ecbpf_error(s->tool->ecbpf));
}

/* --- files and sockets ------------------------------------------------------------------------ */

static struct listener *listener_find(struct server *s, const char *path)
{
	for (size_t i = 0; i < s->listeners_count; i++)
		if (!strcmp(s->listeners[i].path, path))
			return &s->listeners[i];
	return NULL;
}

/* One that is there already goes on: nobody who connects is refused meanwhile */
static int listener_open(struct server *s, const char *path)
{
	struct listener *listener = listener_find(s, path);
	int fd;

	if (!listener) {
		fd = s->listeners_count < LISTENERS ? listen_at(path) : -1;
		if (fd < 0)
			return -1;
		listener = &s->listeners[s->listeners_count++];
		*listener = (struct listener){.fd = fd};
		snprintf(listener->path, sizeof(listener->path), "%s", path);
	}
	listener->is_new = true;
	return listener->fd;
}

/* @is_new: those of the options that were read last are kept, else those before */
static void listeners_keep(struct server *s, bool is_new)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->listeners_count; i++) {
		struct listener *listener = &s->listeners[i];

		if (is_new ? listener->is_new : listener->is_old) {
			listener->is_old = true;
			listener->is_new = false;
			s->listeners[kept++] = *listener;
			continue;
		}
		unlink(listener->path);
		close(listener->fd);
	}
	s->listeners_count = kept;
}

static int open_file(const char *path, int *fds, size_t *count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return tool_fail("%s: %s", path, strerror(errno));
	fds[(*count)++] = fd;
	return TOOL_OK;
}

static int open_files(const struct sampler_options *o, struct opener_reply *reply, int *fds,
		      size_t *count)
{
	int err = TOOL_OK;

	reply->has_file = o->file;
	reply->has_key = o->bus.key;
	reply->has_server_key = o->bus.server_key;
	reply->has_allow = o->bus.allow;
	if (o->file)
		err = open_file(o->file, fds, count);
	if (!err && o->bus.key)
		err = open_file(o->bus.key, fds, count);
	if (!err && o->bus.server_key)
		err = open_file(o->bus.server_key, fds, count);
	if (!err && o->bus.allow)
		err = open_file(o->bus.allow, fds, count);
	return err;
}

static int open_sockets(struct server *s, const struct sampler_options *o,
			struct opener_reply *reply, int *fds, size_t *count)
{
	for (size_t i = 0; i < o->bus.bind.count; i++) {
		const char *path = bus_ipc_path(o->bus.bind.items[i]);

		if (!path)
			continue;
		if (reply->count == OPENER_FILES)
			return tool_usage("--bind: more than %d UNIX sockets", OPENER_FILES);
		fds[*count] = listener_open(s, path);
		if (fds[*count] < 0)
			return TOOL_FAILED;
		reply->count++;
		(*count)++;
	}
	return TOOL_OK;
}

static bool answer_files(struct server *s, struct opener_reply *reply)
{
	struct sampler_options options = {};
	size_t count = 0, files;
	int fds[OPENER_FILES + 4];
	bool is_sent;

	reply->err = sampler_options_parse(s->tool, s->argc, s->argv, -1, &options);
	if (!reply->err)
		reply->err = open_files(&options, reply, fds, &count);
	files = count;
	if (!reply->err)
		reply->err = open_sockets(s, &options, reply, fds, &count);
	s->new_ring_bytes = options.ring_bytes;
	sampler_options_free(&options);
	if (reply->err)
		listeners_keep(s, false);
	is_sent = opener_send(s->sock, reply, sizeof(*reply), fds, reply->err ? 0 : count);
	for (size_t i = 0; i < files; i++)
		close(fds[i]);
	return is_sent;
}

static bool answer(struct server *s, const struct opener_request *request)
{
	struct opener_reply reply = {};

	switch (request->ask) {
	case OPENER_SOURCE:
		return answer_source(s, &reply);
	case OPENER_FILES_OPEN:
		return answer_files(s, &reply);
	case OPENER_FILES_KEEP:
		listeners_keep(s, request->is_new);
		s->ring_bytes = request->is_new ? s->new_ring_bytes : s->ring_bytes;
		break;
	case OPENER_STALE:
		reply.is_stale = !s->source || ecbpf_sampler_source_is_stale(s->source);
		break;
	case OPENER_STATUS:
		answer_status(s, &reply);
		break;
	case OPENER_CHAIN:
		answer_chain(s, request, &reply);
		break;
	case OPENER_SETTLE:
		if (s->source)
			ecbpf_sampler_source_settle(s->source);
		break;
	}
	return opener_send(s->sock, &reply, sizeof(reply), NULL, 0);
}

/* A terminal and systemd send signals to both; this one ends when nobody is left to ask */
void opener_serve(struct tool *tool, int argc, char **argv, size_t ring_bytes, int sock)
{
	struct server s = {
		.tool = tool, .argc = argc, .argv = argv, .ring_bytes = ring_bytes, .sock = sock};
	struct opener_request request;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (opener_receive(sock, &request, sizeof(request), NULL, 0) && answer(&s, &request))
		;
	for (size_t i = 0; i < s.listeners_count; i++)
		unlink(s.listeners[i].path);
	_exit(TOOL_OK);
}
