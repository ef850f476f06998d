// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Requests to the process that keeps privileges, see opener.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tools/sampler/opener.h"

#define FDS_MAX	  (OPENER_RINGS + OPENER_FILES + 4)
#define TIMEOUT_S 20

bool opener_send(int sock, const void *data, size_t size, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *rights;
	ssize_t sent;

	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(*fds));
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(*fds));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(*fds));
	}
	do {
		sent = sendmsg(sock, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)size;
}

bool opener_receive(int sock, void *ret_data, size_t size, int *ret_fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = ret_data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *rights;
	size_t found = 0;
	ssize_t got;

	do {
		got = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	rights = got == (ssize_t)size ? CMSG_FIRSTHDR(&message) : NULL;
	for (size_t i = 0; i < count; i++)
		ret_fds[i] = -1;
	if (rights)
		found = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (found && found <= count)
		memcpy(ret_fds, CMSG_DATA(rights), found * sizeof(int));
	return got == (ssize_t)size && found <= count;
}

int opener_start(struct tool *tool, int argc, char **argv, size_t ring_bytes, int *ret_sock)
{
	struct timeval timeout = {.tv_sec = TIMEOUT_S};
	int socks[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) ||
	    setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		return tool_fail("cannot make a socket: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return tool_fail("cannot make a process: %s", strerror(errno));
	if (!pid) {
		close(socks[0]);
		prctl(PR_SET_NAME, "ecbpf-opener");
		opener_serve(tool, argc, argv, ring_bytes, socks[1]);
	}
	close(socks[1]);
	*ret_sock = socks[0];
	return TOOL_OK;
}

void opener_stop(int sock)
{
	char none;

	if (sock < 0)
		return;
	shutdown(sock, SHUT_WR);
	while (recv(sock, &none, sizeof(none), 0) > 0)
		;
	close(sock);
}

static int fail_ended(struct opener_reply *reply)
{
	snprintf(reply->text, sizeof(reply->text),
		 "the process that opens maps has ended, or does not answer");
	return -EPIPE;
}

static int ask(int sock, const struct opener_request *request, struct opener_reply *ret_reply,
	       int *ret_fds, size_t count)
{
	if (!opener_send(sock, request, sizeof(*request), NULL, 0) ||
	    !opener_receive(sock, ret_reply, sizeof(*ret_reply), ret_fds, count))
		return fail_ended(ret_reply);
	return ret_reply->err;
}

int opener_ask(int sock, const struct opener_request *request, struct opener_reply *ret_reply)
{
	return ask(sock, request, ret_reply, NULL, 0);
}

static bool receive_rings(int sock, struct ecbpf_sampler_fds *fds, __u32 count)
{
	struct opener_rings rings;
	int found[OPENER_RINGS];

	while (fds->count < count) {
		size_t more = count - fds->count < OPENER_RINGS ? count - fds->count : OPENER_RINGS;

		if (!opener_receive(sock, &rings, sizeof(rings), found, more))
			return false;
		for (size_t i = 0; i < more; i++) {
			fds->rings[fds->count].cpu = rings.cpus[i];
			fds->rings[fds->count++].fd = found[i];
		}
	}
	return true;
}

int opener_source(int sock, struct ecbpf_sampler_fds **ret_fds, struct opener_reply *ret_reply)
{
	const struct opener_request request = {.ask = OPENER_SOURCE};
	struct ecbpf_sampler_fds *fds;
	int found[3], err;

	err = ask(sock, &request, ret_reply, found, 3);
	if (err)
		return err;
	fds = tool_alloc(NULL, sizeof(*fds) + ret_reply->count * sizeof(fds->rings[0]));
	*fds = (struct ecbpf_sampler_fds){.lock = found[0],
					  .samples = found[1],
					  .stats = found[2],
					  .ring_bytes = ret_reply->ring_bytes};
	if (!receive_rings(sock, fds, ret_reply->count)) {
		ecbpf_sampler_fds_close(fds);
		return fail_ended(ret_reply);
	}
	*ret_fds = fds;
	return 0;
}

static void files_take(const struct opener_reply *reply, const int *found, struct bus_files *files,
		       int *ret_file)
{
	size_t next = 0;

	*ret_file = reply->has_file ? found[next++] : -1;
	files->key = reply->has_key ? found[next++] : -1;
	files->server_key = reply->has_server_key ? found[next++] : -1;
	files->allow = reply->has_allow ? found[next++] : -1;
	for (size_t i = 0; i < reply->count && next < OPENER_FILES + 4; i++)
		files->sockets[files->count++] = found[next++];
}

int opener_options(int sock, struct tool *tool, int argc, char **argv,
		   struct sampler_options *ret_options)
{
	const struct opener_request request = {.ask = OPENER_FILES_OPEN};
	struct opener_reply reply = {};
	struct sampler_options o = {};
	struct bus_files files = {};
	int found[OPENER_FILES + 4], file, err;

	err = ask(sock, &request, &reply, found, OPENER_FILES + 4);
	if (err == -EPIPE)
		return tool_fail("%s", reply.text);
	if (err)
		return err;
	files_take(&reply, found, &files, &file);
	err = sampler_options_parse(tool, argc, argv, file, &o);
	if (file >= 0)
		close(file);
	if (!err && !bus_has_files(&o.bus, &files)) {
		sampler_options_free(&o);
		err = tool_fail("%s has changed while it was read", o.file);
	}
	if (err) {
		bus_files_close(&files);
		return err;
	}
	o.files = files;
	*ret_options = o;
	return TOOL_OK;
}
