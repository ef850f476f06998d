/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages to the service manager */
#ifndef ECBPF_TOOLS_NOTIFY_H
#define ECBPF_TOOLS_NOTIFY_H

/* Send "READY=1" and so on to $NOTIFY_SOCKET, if it is set. Failures are ignored. */
void notify(const char *text);

#endif /* ECBPF_TOOLS_NOTIFY_H */
