// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The bus that samples go over, see bus.h */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>
#include "tools/common/bus.h"
#include "tools/common/listen.h"
#include "tools/common/work.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAMES   7 /* version, id, domain, address, identity, mechanism, key */
#define HEARTBEAT_MS 10000
#define DESCRIPTORS  16 /* more than libzmq opens for one socket, its threads and ZAP */

/* --- keys ----------------------------------------------------------------------------------- */

static bool is_key(const char *key)
{
	unsigned char raw[32];

	return strlen(key) == BUS_KEY_SIZE - 1 && zmq_z85_decode(raw, key);
}

/* @fd: of it, which stays open; -1: none */
static FILE *key_file(const char *path, int fd, bool is_secret)
{
	struct stat st;
	FILE *file;

	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		file = fd < 0 || lseek(fd, 0, SEEK_SET) ? NULL : fdopen(fd, "r");
		if (!file && fd >= 0)
			close(fd);
	} else {
		file = fopen(path, "re");
	}

	if (!file) {
		tool_warn("%s: %s", path, strerror(errno));
		return NULL;
	}
	if (is_secret && (fstat(fileno(file), &st) || st.st_mode & 077)) {
		tool_warn("%s: mode %04o, but a secret key is for its owner alone: chmod 600", path,
			  st.st_mode & 07777);
		fclose(file);
		return NULL;
	}
	return file;
}

/* One key a line; empty lines and those that begin with # are left out */
static int keys_read(const char *path, int fd, bool is_secret, struct tool_list *keys)
{
	FILE *file = key_file(path, fd, is_secret);
	int err = 0, number = 0;
	char line[128];

	if (!file)
		return TOOL_FAILED;
	while (!err && fgets(line, sizeof(line), file)) {
		number++;
		line[strcspn(line, "\r\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (is_key(line))
			tool_list_add(keys, line);
		else
			err = tool_fail("%s:%d: not a CURVE key of 40 characters (Z85)", path,
					number);
	}
	fclose(file);
	if (!err && !keys->count)
		err = tool_fail("%s: no key in it", path);
	return err;
}

static int key_read(const char *path, int fd, bool is_secret, char *ret_key)
{
	struct tool_list keys TOOL_CLEANUP(tool_list_free) = {};
	int err = keys_read(path, fd, is_secret, &keys);

	if (err)
		return err;
	if (keys.count != 1)
		return tool_fail("%s: more than one key in it", path);
	memcpy(ret_key, keys.items[0], BUS_KEY_SIZE);
	return 0;
}

static int key_write(const char *path, const char *key, mode_t mode, struct tool_work *work)
{
	int err = tool_work_open(path, mode, work);

	if (!err && (dprintf(work->fd, "%s\n", key) < 0 || fsync(work->fd)))
		err = -errno;
	return err ? tool_fail("%s: %s", path, strerror(-err)) : 0;
}

/* A file that exists is not replaced */
static int key_publish(struct tool_work *work, const char *path)
{
	int err = tool_work_publish(work, path);

	return err ? tool_fail("%s: %s", path, strerror(-err)) : 0;
}

int bus_make_keys(const char *path, bool *ret_is_half)
{
	struct tool_work secret_work TOOL_CLEANUP(tool_work_end) = TOOL_WORK_INIT;
	struct tool_work public_work TOOL_CLEANUP(tool_work_end) = TOOL_WORK_INIT;
	char public[BUS_KEY_SIZE], secret[BUS_KEY_SIZE], public_path[PATH_MAX];
	bool is_half;
	int err = 0;

	if (snprintf(public_path, sizeof(public_path), "%s.pub", path) >= PATH_MAX)
		return tool_fail("%s.pub: %s", path, strerror(ENAMETOOLONG));
	/* keygen was killed when it had made the secret one */
	is_half = !access(path, F_OK) && access(public_path, F_OK) && errno == ENOENT;
	*ret_is_half = is_half;
	if (is_half)
		err = key_read(path, -1, true, secret);
	else if (zmq_curve_keypair(public, secret))
		err = tool_fail("cannot make keys: %s", zmq_strerror(errno));
	if (!err && is_half && zmq_curve_public(public, secret))
		err = tool_fail("%s: %s", path, zmq_strerror(errno));
	if (!err && !is_half)
		err = key_write(path, secret, 0600, &secret_work);
	if (!err)
		err = key_write(public_path, public, 0644, &public_work);
	if (!err && !is_half)
		err = key_publish(&secret_work, path);
	if (err)
		return err;
	err = key_publish(&public_work, public_path);
	if (err && !is_half)
		unlink(path);
	return err;
}

/* --- who may connect ------------------------------------------------------------------------ */

static bool is_allowed(const struct bus *bus, zmq_msg_t *key)
{
	char text[BUS_KEY_SIZE];

	if (zmq_msg_size(key) != 32 || !zmq_z85_encode(text, zmq_msg_data(key), 32))
		return false;
	for (size_t i = 0; i < bus->allowed.count; i++)
		if (!strcmp(bus->allowed.items[i], text))
			return true;
	return false;
}

static void zap_answer(const struct bus *bus, zmq_msg_t *frames)
{
	bool is_good = is_allowed(bus, &frames[ZAP_FRAMES - 1]);
	const char *answer[] = {is_good ? "200" : "400", is_good ? "" : "no such key", "", ""};

	zmq_send(bus->zap, "1.0", 3, ZMQ_SNDMORE);
	zmq_send(bus->zap, zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1]), ZMQ_SNDMORE);
	for (size_t i = 0; i < 4; i++)
		zmq_send(bus->zap, answer[i], strlen(answer[i]), i < 3 ? ZMQ_SNDMORE : 0);
}

void bus_let_in(struct bus *bus)
{
	zmq_msg_t frames[ZAP_FRAMES];
	int count;

	peers_check(&bus->peers, bus->socket);
	while (bus->zap) {
		for (count = 0; count < ZAP_FRAMES; count++) {
			zmq_msg_init(&frames[count]);
			if (zmq_msg_recv(&frames[count], bus->zap, ZMQ_DONTWAIT) < 0)
				break;
		}
		if (count == ZAP_FRAMES)
			zap_answer(bus, frames);
		for (int i = 0; i < count; i++)
			zmq_msg_close(&frames[i]);
		if (count < ZAP_FRAMES) /* it comes from libzmq itself, whole or not at all */
			return;
	}
}

static int zap_open(struct bus *bus, const char *path, int fd)
{
	int err = keys_read(path, fd, false, &bus->allowed);

	if (err)
		return err;
	bus->zap = zmq_socket(bus->zmq, ZMQ_REP);
	if (!bus->zap || zmq_bind(bus->zap, ZAP_ENDPOINT))
		return tool_fail("cannot check keys: %s", zmq_strerror(errno));
	return 0;
}

/* --- sockets -------------------------------------------------------------------------------- */

static bool is_ipc(const char *endpoint)
{
	return !strncmp(endpoint, "ipc://", strlen("ipc://"));
}

/*
 * tcp://HOST:PORT or ipc://PATH. libzmq takes more, which may leave this host although it does not
 * look so ("tcp://127.0.0.1:0;192.0.2.1:5"), and of a port its lowest 16 bits
 */
static bool is_endpoint(const char *endpoint)
{
	const char *host = endpoint + strlen("tcp://"), *port;
	unsigned long number;
	char *end;

	if (is_ipc(endpoint))
		return endpoint[strlen("ipc://")];
	if (strncmp(endpoint, "tcp://", strlen("tcp://")) || strchr(host, ';'))
		return false;
	port = strrchr(host, ':');
	if (!port || port == host || port[1] < '0' || port[1] > '9')
		return false;
	number = strtoul(port + 1, &end, 10);
	return !*end && number >= 1 && number <= 65535;
}

/* @endpoint: is_endpoint() */
static bool is_local(const char *endpoint)
{
	char host[sizeof("127.127.127.127")];
	struct in_addr addr;
	size_t len;

	if (is_ipc(endpoint))
		return true;
	endpoint += strlen("tcp://");
	len = strrchr(endpoint, ':') - endpoint;
	if (len >= sizeof(host))
		return false;
	memcpy(host, endpoint, len);
	host[len] = '\0';
	return !strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
	       (inet_pton(AF_INET, host, &addr) == 1 && ntohl(addr.s_addr) >> 24 == 127);
}

static int set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int set_key(void *socket, int option, const char *key)
{
	return zmq_setsockopt(socket, option, key, BUS_KEY_SIZE);
}

static int check_endpoints(const struct tool_list *list, const struct bus_options *o, bool has_key)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!is_endpoint(list->items[i]))
			return tool_usage("'%s' is not tcp://ADDRESS:PORT or ipc://PATH",
					  list->items[i]);
		if (!has_key && !o->insecure && !is_local(list->items[i]))
			return tool_usage("%s leaves this host: needs %s, or --insecure",
					  list->items[i],
					  list == &o->bind ? "--key" : "--server-key");
	}
	return 0;
}

const char *bus_ipc_path(const char *endpoint)
{
	const char *path = endpoint + strlen("ipc://");

	return !is_ipc(endpoint) || *path == '@' || *path == '*' ? NULL : path;
}

bool bus_has_files(const struct bus_options *o, const struct bus_files *files)
{
	size_t count = 0;

	for (size_t i = 0; i < o->bind.count; i++)
		count += bus_ipc_path(o->bind.items[i]) ? 1 : 0;
	return count == files->count && !o->key == (files->key < 0) &&
	       !o->server_key == (files->server_key < 0) && !o->allow == (files->allow < 0);
}

void bus_files_close(struct bus_files *files)
{
	int *keys[] = {&files->key, &files->server_key, &files->allow};

	for (size_t i = 0; i < 3; i++) {
		if (*keys[i] >= 0)
			close(*keys[i]);
		*keys[i] = -1;
	}
	for (size_t i = 0; i < files->count; i++)
		close(files->sockets[i]);
	files->count = 0;
}

/* @fd: a socket that listens at it, which stays open; -1: libzmq makes one */
static int bind_one(struct bus *bus, const char *endpoint, int fd)
{
	int err;

	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return tool_fail("cannot bind to '%s': %s", endpoint, strerror(errno));
		set_int(bus->socket, ZMQ_USE_FD, fd);
	}
	err = zmq_bind(bus->socket, endpoint)
		      ? tool_fail("cannot bind to '%s': %s", endpoint, zmq_strerror(errno))
		      : 0;
	if (err && fd >= 0)
		close(fd);
	set_int(bus->socket, ZMQ_USE_FD, -1);
	return err;
}

static int bind_all(struct bus *bus, const struct bus_options *o, const char *secret)
{
	bool failed = false;
	size_t socket = 0;
	int err = 0;

	if (*secret)
		failed = set_int(bus->socket, ZMQ_CURVE_SERVER, 1) ||
			 set_key(bus->socket, ZMQ_CURVE_SECRETKEY, secret);
	if (failed)
		return tool_fail("--key: %s", zmq_strerror(errno));
	for (size_t i = 0; i < o->bind.count && !err; i++)
		err = bind_one(bus, o->bind.items[i],
			       o->files && bus_ipc_path(o->bind.items[i])
				       ? o->files->sockets[socket++]
				       : -1);
	return err;
}

static int connect_all(struct bus *bus, const struct bus_options *o, const char *secret,
		       const char *server)
{
	char public[BUS_KEY_SIZE], own[BUS_KEY_SIZE];
	bool failed;

	memcpy(own, secret, sizeof(own));
	if (*server) {
		failed = *own ? zmq_curve_public(public, own) : zmq_curve_keypair(public, own);
		failed = failed || set_int(bus->socket, ZMQ_CURVE_SERVER, 0) ||
			 set_key(bus->socket, ZMQ_CURVE_SERVERKEY, server) ||
			 set_key(bus->socket, ZMQ_CURVE_PUBLICKEY, public) ||
			 set_key(bus->socket, ZMQ_CURVE_SECRETKEY, own);
		if (failed)
			return tool_fail("--server-key: %s", zmq_strerror(errno));
	}
	for (size_t i = 0; i < o->connect.count; i++) {
		const char *path = bus_ipc_path(o->connect.items[i]);

		/* libzmq would go on trying, without a word */
		if (path && access(path, W_OK) && errno == EACCES)
			return tool_fail("cannot connect to '%s': %s: root and group " LISTEN_GROUP
					 " can",
					 o->connect.items[i], strerror(EACCES));
		if (zmq_connect(bus->socket, o->connect.items[i]))
			return tool_fail("cannot connect to '%s': %s", o->connect.items[i],
					 zmq_strerror(errno));
	}
	return 0;
}

int bus_check(const struct bus_options *o)
{
	int err = check_endpoints(&o->bind, o, o->key);

	return err ? err : check_endpoints(&o->connect, o, o->server_key);
}

/* libzmq aborts the process when one of its threads gets no descriptor */
static int check_descriptors(void)
{
	int fds[DESCRIPTORS], count = 0, err = TOOL_OK;

	while (count < DESCRIPTORS && (fds[count] = eventfd(0, EFD_CLOEXEC)) >= 0)
		count++;
	if (count < DESCRIPTORS)
		err = tool_fail("cannot make a socket: %s", strerror(errno));
	while (count)
		close(fds[--count]);
	return err;
}

static int open_socket(struct bus *bus, int type, const struct bus_options *o)
{
	static const struct bus_files none = {.key = -1, .server_key = -1, .allow = -1};
	const struct bus_files *files = o->files ? o->files : &none;
	char secret[BUS_KEY_SIZE] = "", server[BUS_KEY_SIZE] = "";
	int err;

	err = bus_check(o);
	if (!err && o->key)
		err = key_read(o->key, files->key, true, secret);
	if (!err && o->server_key)
		err = key_read(o->server_key, files->server_key, false, server);
	if (!err)
		err = check_descriptors();
	if (err)
		return err;
	bus->zmq = zmq_ctx_new();
	if (bus->zmq && o->allow) {
		err = zap_open(bus, o->allow, files->allow);
		if (err)
			return err;
	}
	bus->socket = bus->zmq ? zmq_socket(bus->zmq, type) : NULL;
	if (!bus->socket || set_int(bus->socket, ZMQ_IPV6, 1) ||
	    set_int(bus->socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) ||
	    set_int(bus->socket, type == ZMQ_XPUB ? ZMQ_SNDHWM : ZMQ_RCVHWM, o->hwm) ||
	    (type == ZMQ_XPUB &&
	     peers_open(&bus->peers, bus->zmq, bus->socket,
			o->key || o->server_key ? PEERS_CURVE_SIZE : PEERS_TOPIC_SIZE)))
		return tool_fail("cannot make a socket: %s", zmq_strerror(errno));
	/* without this, libzmq does not ask for ZAP's opinion */
	if (o->allow)
		zmq_setsockopt(bus->socket, ZMQ_ZAP_DOMAIN, "ecbpf", 5);
	err = bind_all(bus, o, secret);
	return err ? err : connect_all(bus, o, secret, server);
}

int bus_open(struct bus *bus, int type, const struct bus_options *options)
{
	int err;

	*bus = (struct bus){};
	err = open_socket(bus, type, options);
	if (err)
		bus_close(bus, 0);
	return err;
}

void bus_close(struct bus *bus, int linger_ms)
{
	if (bus->socket)
		peers_close(&bus->peers, bus->socket);
	if (bus->socket) {
		set_int(bus->socket, ZMQ_LINGER, linger_ms);
		zmq_close(bus->socket);
	}
	if (bus->zap) {
		set_int(bus->zap, ZMQ_LINGER, 0);
		zmq_close(bus->zap);
	}
	if (bus->zmq)
		zmq_ctx_term(bus->zmq);
	tool_list_free(&bus->allowed);
	*bus = (struct bus){};
}
