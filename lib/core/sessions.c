// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections to this host, see sessions.h: by the environment of this process and of those
 * that started it, and by sock_diag(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include "core/array.h"
#include "core/error.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/prefix.h"
#include "core/sessions.h"

#define SESSIONS_MAX	64
#define SSH_MAX		32 /* of these, to the port of SSH */
#define PORT_MAX	4  /* and to each other one */
#define KEPT_MAX	32 /* to a port, until it is known which are of this host */
#define CANDIDATES_MAX	4096
#define EXAMINED_MAX	65536
#define LOCAL_MAX	256
#define ANCESTORS_MAX	64
#define SSH_PORT	22
#define ENVIRONMENT_MAX (1 << 21)

static const char variable[] = "SSH_CONNECTION=";

/* --- the own session -------------------------------------------------------------------------- */

/* The next word; without the zone of an IPv6 address. Return: false: there is none, or a wrong one
 */
static bool read_addr(const char **text, struct ecbpf_prefix *addr)
{
	size_t len = strcspn(*text, " "), used = strcspn(*text, " %");

	if (ecbpf_prefix_read_addr(*text, used, addr))
		return false;
	*text += len;
	*text += **text == ' ';
	return true;
}

static bool read_port(const char **text, __u16 *port)
{
	char *end;
	unsigned long number = strtoul(*text, &end, 10);

	if (end == *text || !number || number > 65535 || (*end && *end != ' '))
		return false;
	*port = number;
	*text = end + (*end == ' ');
	return true;
}

/* "192.0.2.1 50122 192.0.2.2 22" */
static bool own_read(const char *text, struct session *session)
{
	struct session s = {.is_own = true};

	if (!read_addr(&text, &s.client) || !read_port(&text, &s.client_port) ||
	    !read_addr(&text, &s.server) || !read_port(&text, &s.server_port) ||
	    s.client.family != s.server.family)
		return false;
	*session = s;
	return true;
}

/* Of another process: sudo keeps the variable from its command, but has it itself */
static bool own_of_process(int pid, struct session *session)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	char path[64];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ecbpf_file_read(fd, &text, &size) || size > ENVIRONMENT_MAX)
		return false;
	for (size_t at = 0; at < size;) {
		size_t len = strnlen(text + at, size - at);

		if (len < size - at && !strncmp(text + at, variable, strlen(variable)))
			return own_read(text + at + strlen(variable), session);
		at += len + 1;
	}
	return false;
}

/* The process that started it; 0: none */
static int parent_of(int pid)
{
	char path[64], text[512], *name_end;
	_cleanup_close_ int fd = -1;
	int parent = 0;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (size < 0)
		return 0;
	text[size] = '\0';
	name_end = strrchr(text, ')');
	if (!name_end || sscanf(name_end, ") %*c %d", &parent) != 1)
		return 0;
	return parent;
}

/* An empty variable: there is none, whoever started this process */
static bool own_find(struct ecbpf *e, struct session *session)
{
	const char *text = getenv("SSH_CONNECTION");
	int pid = getppid();

	if (text && (!*text || own_read(text, session)))
		return *text;
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++, pid = parent_of(pid))
		if (own_of_process(pid, session))
			return true;
	if (text)
		ecbpf_log(e, ECBPF_LOG_WARN,
			  "SSH_CONNECTION is not 'CLIENT PORT SERVER PORT', so it was not tried "
			  "whether this drops your own session");
	return false;
}

static bool has_terminal(void)
{
	_cleanup_close_ int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd >= 0;
}

/* --- connections ------------------------------------------------------------------------------ */

/* @rank: among those to its port */
struct candidate {
	struct session session;
	bool is_ssh;
	unsigned int rank;
};

/**
 * struct dump - connections while they are read
 * @listens: bits of ports
 * @counts: candidates for each port
 * @locals: addresses that sockets of this host have
 */
struct dump {
	__u8 listens[65536 / 8];
	__u16 counts[65536];
	__u16 ssh_port;
	size_t examined;
	struct candidate *candidates;
	size_t candidates_count;
	struct ecbpf_prefix locals[LOCAL_MAX];
	size_t locals_count;
	bool is_out_of_memory;
};

static struct ecbpf_prefix addr_of(__u8 family, const __be32 *words)
{
	static const __u8 mapped[12] = {[10] = 0xff, 0xff};
	struct ecbpf_prefix addr = {.family = family == AF_INET ? 4 : 6};
	const __u8 *bytes = (const __u8 *)words;

	if (family == AF_INET6 && !memcmp(bytes, mapped, sizeof(mapped))) {
		addr.family = 4;
		bytes += sizeof(mapped);
	}
	addr.len = ecbpf_addr_bits(addr.family);
	memcpy(addr.addr, bytes, ecbpf_addr_size(addr.family));
	return addr;
}

static bool is_loopback(const struct ecbpf_prefix *addr)
{
	static const __u8 loopback6[16] = {[15] = 1};

	return addr->family == 4 ? addr->addr[0] == 127 : !memcmp(addr->addr, loopback6, 16);
}

static bool is_local(const struct dump *dump, const struct ecbpf_prefix *addr)
{
	for (size_t i = 0; i < dump->locals_count; i++)
		if (!ecbpf_prefix_compare(&dump->locals[i], addr))
			return true;
	return false;
}

static int read_listener(struct nl_msg *msg, void *data)
{
	const struct inet_diag_msg *diag = nlmsg_data(nlmsg_hdr(msg));
	struct dump *dump = data;
	__u16 port = ntohs(diag->id.idiag_sport);

	dump->listens[port / 8] |= 1 << port % 8;
	return NL_OK;
}

static int read_connection(struct nl_msg *msg, void *data)
{
	const struct inet_diag_msg *diag = nlmsg_data(nlmsg_hdr(msg));
	__u16 port = ntohs(diag->id.idiag_sport);
	struct dump *dump = data;
	struct session session = {
		.client = addr_of(diag->idiag_family, diag->id.idiag_dst),
		.server = addr_of(diag->idiag_family, diag->id.idiag_src),
		.client_port = ntohs(diag->id.idiag_dport),
		.server_port = port,
	};
	bool is_ssh = port == dump->ssh_port;
	struct candidate *candidate;

	if (++dump->examined > EXAMINED_MAX)
		return NL_STOP;
	if (!is_local(dump, &session.server) && dump->locals_count < LOCAL_MAX)
		dump->locals[dump->locals_count++] = session.server;
	if (!(dump->listens[port / 8] & 1 << port % 8) || is_loopback(&session.client) ||
	    dump->counts[port] == KEPT_MAX || dump->candidates_count == CANDIDATES_MAX)
		return NL_OK;
	candidate = ecbpf_array_add(&dump->candidates, &dump->candidates_count, sizeof(*candidate));
	if (!candidate) {
		dump->is_out_of_memory = true;
		return NL_STOP;
	}
	*candidate = (struct candidate){session, is_ssh, dump->counts[port]++};
	return NL_OK;
}

/* Return: 0; errors of libnl. A socket for each: what is left of a dump that was stopped goes with
 * it */
static int dump_sockets(int type, const void *request, size_t size, nl_recvmsg_msg_cb_t fn,
			struct dump *dump)
{
	struct nl_sock *sock = nl_socket_alloc();
	int err = -NLE_NOMEM;

	if (sock) {
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, fn, dump);
		err = nl_connect(sock, NETLINK_SOCK_DIAG);
	}
	if (!err)
		err = nl_send_simple(sock, type, NLM_F_DUMP, (void *)request, size);
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	nl_socket_free(sock);
	return dump->is_out_of_memory ? -NLE_NOMEM : err < 0 ? err : 0;
}

/*
 * Of both families. The kernel goes through its table of connections for each request, which takes
 * milliseconds where there are none: the older form asks for all families at once
 */
static int read_sockets(struct ecbpf *e, __u32 states, nl_recvmsg_msg_cb_t fn, struct dump *dump)
{
	static const int families[] = {AF_INET, AF_INET6};
	const struct inet_diag_req old = {.idiag_states = states};
	struct inet_diag_req_v2 request = {.sdiag_protocol = IPPROTO_TCP, .idiag_states = states};
	int err;

	err = dump_sockets(TCPDIAG_GETSOCK, &old, sizeof(old), fn, dump);
	if (err && err != -NLE_NOMEM) {
		err = 0;
		for (size_t i = 0; i < ARRAY_SIZE(families) && !err; i++) {
			request.sdiag_family = families[i];
			err = dump_sockets(SOCK_DIAG_BY_FAMILY, &request, sizeof(request), fn,
					   dump);
		}
	}
	if (err == -NLE_NOMEM)
		return ecbpf_fail_memory(e);
	return err ? ecbpf_fail(e, -EIO, "cannot read the connections of this host: %s",
				nl_geterror(err))
		   : 0;
}

/* The port of SSH first, then the first one of each port, the second one of each port */
static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->is_ssh != y->is_ssh)
		return y->is_ssh - x->is_ssh;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->session.server_port - y->session.server_port;
}

static bool session_is(const struct session *x, const struct session *y)
{
	return x->client_port == y->client_port && x->server_port == y->server_port &&
	       !ecbpf_prefix_compare(&x->client, &y->client) &&
	       !ecbpf_prefix_compare(&x->server, &y->server);
}

static int take(struct ecbpf *e, struct dump *dump, struct sessions *s)
{
	memset(dump->counts, 0, sizeof(dump->counts));
	for (size_t i = 0; i < dump->candidates_count && s->count < SESSIONS_MAX; i++) {
		const struct candidate *candidate = &dump->candidates[i];
		const struct session *from = &candidate->session;
		__u16 *count = &dump->counts[from->server_port];
		struct session *to;

		if (is_local(dump, &from->client) ||
		    (s->has_own && session_is(from, &s->items[0])) ||
		    *count == (candidate->is_ssh ? SSH_MAX : PORT_MAX))
			continue;
		(*count)++;
		to = ecbpf_array_add(&s->items, &s->count, sizeof(*to));
		if (!to)
			return ecbpf_fail_memory(e);
		*to = *from;
	}
	return 0;
}

static int connections_read(struct ecbpf *e, struct sessions *s)
{
	_cleanup_free_ struct dump *dump = calloc(1, sizeof(*dump));
	int err;

	if (!dump)
		return ecbpf_fail_memory(e);
	dump->ssh_port = s->has_own ? s->items[0].server_port : SSH_PORT;
	err = read_sockets(e, 1 << TCP_LISTEN, read_listener, dump);
	if (!err)
		err = read_sockets(e, 1 << TCP_ESTABLISHED, read_connection, dump);
	if (!err && dump->candidates_count)
		qsort(dump->candidates, dump->candidates_count, sizeof(*dump->candidates),
		      candidate_compare);
	if (!err)
		err = take(e, dump, s);
	free(dump->candidates);
	return err;
}

int sessions_read(struct ecbpf *e, bool only_attended, struct sessions *ret_sessions)
{
	struct sessions *s = ret_sessions;
	struct session own, *to;

	*s = (struct sessions){.has_terminal = has_terminal()};
	if (own_find(e, &own)) {
		to = ecbpf_array_add(&s->items, &s->count, sizeof(*to));
		if (!to)
			return ecbpf_fail_memory(e);
		*to = own;
		s->has_own = true;
	}
	return only_attended && !s->has_terminal ? 0 : connections_read(e, s);
}

void ecbpf_session_guard(struct ecbpf *e, bool is_on)
{
	e->guards_sessions = is_on;
}

void sessions_free(struct sessions *sessions)
{
	free(sessions->items);
	*sessions = (struct sessions){};
}

static char *put_end(char *at, const struct ecbpf_prefix *addr, __u16 port)
{
	char text[ECBPF_PREFIX_TEXT];

	ecbpf_prefix_format(addr, text);
	return at + sprintf(at, addr->family == 4 ? "%s:%u" : "[%s]:%u", text, port);
}

void session_format(const struct session *session, char *ret_text)
{
	char *at = stpcpy(ret_text,
			  session->is_own ? "your SSH session from " : "the connection from ");

	at = put_end(at, &session->client, session->client_port);
	put_end(stpcpy(at, " to "), &session->server, session->server_port);
}
