// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bounds on what peers can have a socket remember, see peers.h */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>
#include "tools/common/common.h"
#include "tools/common/peers.h"

#define MONITOR	      "inproc://peers"
#define CHECK_MAX     10000 /* messages at once */
#define TELL_INTERVAL 60    /* seconds */

int peers_open(struct peers *peers, void *zmq, void *socket, int message_size)
{
	const int64_t size = message_size;
	int all = 1, queue = PEERS_QUEUE, no_limit = 0;

	*peers = (struct peers){};
	if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size, sizeof(size)) ||
	    zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof(queue)) ||
	    zmq_setsockopt(socket, ZMQ_XPUB_VERBOSE, &all, sizeof(all)) ||
	    zmq_socket_monitor(socket, MONITOR,
			       ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED))
		return -1;
	peers->monitor = zmq_socket(zmq, ZMQ_PAIR);
	/* libzmq would wait for room in this queue */
	if (!peers->monitor ||
	    zmq_setsockopt(peers->monitor, ZMQ_RCVHWM, &no_limit, sizeof(no_limit)) ||
	    zmq_connect(peers->monitor, MONITOR))
		return -1;
	return 0;
}

/* libzmq sees the end of the connection, and closes it */
static void peer_end(struct peers *peers, int fd, const char *why)
{
	time_t now = time(NULL);

	shutdown(fd, SHUT_RDWR);
	if (now - peers->told >= TELL_INTERVAL)
		tool_warn("a subscriber is disconnected: %s", why);
	peers->told = now - peers->told >= TELL_INTERVAL ? now : peers->told;
}

static struct peer *peer_find(struct peers *peers, int fd)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->items[i].fd == fd)
			return &peers->items[i];
	return NULL;
}

static void peer_changed(struct peers *peers, uint16_t event, int fd)
{
	struct peer *peer = peer_find(peers, fd);

	if (event == ZMQ_EVENT_DISCONNECTED) {
		if (peer)
			*peer = peers->items[--peers->count];
		return;
	}
	if (!peer && peers->count == PEERS_MAX) {
		peer_end(peers, fd, tool_str("there are %d already", PEERS_MAX));
		return;
	}
	if (!peer)
		peer = &peers->items[peers->count++];
	*peer = (struct peer){.fd = fd};
}

/* A frame with the event, and one with the address */
static bool read_event(struct peers *peers)
{
	struct {
		uint16_t event;
		uint32_t value;
	} __attribute__((packed)) frame = {};
	char address[256];

	if (zmq_recv(peers->monitor, &frame, sizeof(frame), ZMQ_DONTWAIT) < 0)
		return false;
	zmq_recv(peers->monitor, address, sizeof(address), ZMQ_DONTWAIT);
	peer_changed(peers, frame.event, (int)frame.value);
	return true;
}

static bool read_message(struct peers *peers, void *socket)
{
	struct peer *peer;
	zmq_msg_t message;
	bool is_read;

	zmq_msg_init(&message);
	is_read = zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) >= 0;
	peer = is_read ? peer_find(peers, zmq_msg_get(&message, ZMQ_SRCFD)) : NULL;
	if (peer && ++peer->messages == PEERS_MESSAGES + 1)
		peer_end(peers, peer->fd,
			 tool_str("it has subscribed more than %d times", PEERS_MESSAGES));
	zmq_msg_close(&message);
	return is_read;
}

void peers_check(struct peers *peers, void *socket)
{
	int events = 0, messages = 0;

	if (!peers->monitor)
		return;
	while (events++ < CHECK_MAX && read_event(peers))
		;
	while (messages++ < CHECK_MAX && read_message(peers, socket))
		;
}

void peers_close(struct peers *peers, void *socket)
{
	int linger = 0;

	if (!peers->monitor)
		return;
	zmq_socket_monitor(socket, NULL, 0);
	zmq_setsockopt(peers->monitor, ZMQ_LINGER, &linger, sizeof(linger));
	zmq_close(peers->monitor);
	peers->monitor = NULL;
}
