/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events of rtnetlink(7): that something has changed. */
#ifndef ECBPF_LIB_EVENTS_H
#define ECBPF_LIB_EVENTS_H

struct ecbpf;

enum ecbpf_event {
	ECBPF_EVENT_LINK = 1 << 0, /* an interface, or a program that is attached to one */
	ECBPF_EVENT_ADDR = 1 << 1,
};

/* Return: fd, for poll() and close(); errors */
int ecbpf_events_open(struct ecbpf *e);
/* Those that came since the last call; all of them, if some were lost. Return: enum ecbpf_event */
unsigned int ecbpf_events_read(int fd);

#endif /* ECBPF_LIB_EVENTS_H */
