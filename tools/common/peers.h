/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bounds on what those who connect to a socket for samples can have it remember.
 *
 * libzmq keeps each subscription of each peer, without a limit. Here peers are counted by their
 * connections, and messages by the connection they came from; who exceeds a limit is disconnected,
 * and libzmq forgets what it had subscribed to.
 */
#ifndef ECBPF_TOOLS_PEERS_H
#define ECBPF_TOOLS_PEERS_H

#include <time.h>

#define PEERS_MAX	 128
#define PEERS_MESSAGES	 64   /* subscriptions of one connection; there are six topics */
#define PEERS_TOPIC_SIZE 128  /* of a message, with what ZMTP needs for itself */
#define PEERS_CURVE_SIZE 1024 /* the same; a handshake of CURVE is longer */
#define PEERS_QUEUE	 4    /* messages of a connection that wait here */

struct peers {
	void *monitor; /* says who comes and goes */
	struct peer {
		int fd;
		unsigned int messages;
	} items[PEERS_MAX];
	size_t count;
	time_t told; /* when a refusal was last told */
};

/* @socket: an XPUB that is not bound yet. Return: 0, or -1 and errno */
int peers_open(struct peers *peers, void *zmq, void *socket, int message_size);
/* Read what has come from them; to be called many times a second */
void peers_check(struct peers *peers, void *socket);
void peers_close(struct peers *peers, void *socket);

#endif /* ECBPF_TOOLS_PEERS_H */
