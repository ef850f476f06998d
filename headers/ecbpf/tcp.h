/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flags of a TCP header (RFC 9293 section 3.1), as in ecbpf_record.tcp_flags.
 */
#ifndef ECBPF_TCP_H
#define ECBPF_TCP_H

enum ecbpf_tcp_flag {
	ECBPF_TCP_FIN = 1 << 0,
	ECBPF_TCP_SYN = 1 << 1,
	ECBPF_TCP_RST = 1 << 2,
	ECBPF_TCP_PSH = 1 << 3,
	ECBPF_TCP_ACK = 1 << 4,
	ECBPF_TCP_URG = 1 << 5,
};

#endif /* ECBPF_TCP_H */
