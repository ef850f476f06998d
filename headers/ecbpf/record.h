/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record: what the parser (parse.bpf.h) found in a packet. It is passed along the chain in
 * the shared metadata area (shared.bpf.h), and to user space with a sample.
 *
 * A record is a pure function of the frame's length, of that of its linear part, and of the bytes
 * [12, hdr_len) of the frame; the shared area relies on that.
 *
 * ABI: fields are never moved; `reserved` is zero until it gets a name.
 */
#ifndef ECBPF_RECORD_H
#define ECBPF_RECORD_H

#include <linux/types.h>

/* Fragment kinds. "Atomic": an IPv6 fragment header with offset 0 and no more fragments
 * (RFC 6946); a whole packet for every purpose, so its ports are there.
 */
enum ecbpf_frag {
	ECBPF_FRAG_NONE = 0,
	ECBPF_FRAG_FIRST = 1,  /* offset 0, more to come: L4 header is here */
	ECBPF_FRAG_LATER = 2,  /* offset > 0: no L4 header, no ports */
	ECBPF_FRAG_ATOMIC = 3, /* IPv6 only */
};

/* ecbpf_record.flags */
enum ecbpf_record_flag {
	ECBPF_IP_OPTIONS = 1 << 0,   /* IPv4 header longer than 20 bytes */
	ECBPF_IP_DF = 1 << 1,	     /* IPv4 don't fragment */
	ECBPF_IP_MF = 1 << 2,	     /* IPv4 MF or IPv6 fragment header's M, whatever the offset */
	ECBPF_IP_RESERVED = 1 << 3,  /* IPv4 reserved ("evil") bit, RFC 3514 */
	ECBPF_PADDED = 1 << 4,	     /* the frame is longer than the IP packet in it */
	ECBPF_IP6_ROUTING0 = 1 << 5, /* IPv6 routing header of type 0, RFC 5095 */
};

#define ECBPF_VLAN_MAX	  2    /* tags looked through */
#define ECBPF_IP6_EXT_MAX 8    /* extension headers looked through */
#define ECBPF_HDR_MAX	  2048 /* no header that begins deeper in the frame is looked at, bytes */

/**
 * struct ecbpf_record - facts about one packet
 * @frame_len: whole frame in bytes: tags, padding and XDP fragments included, FCS not
 * @l3_len: IP packet in bytes: IPv4 total length, IPv6 payload length + 40; 0 if not IP. If the
 *	    stack has merged packets (BIG TCP) and the field is 0: the real length. It is set as
 *	    soon as the fixed header fits the frame, so that a wrong length can be shown
 * @l3_off: where the IP header begins, bytes from the start of the frame; 0 if not IP
 * @l4_off: where the TCP, UDP, ICMP or other upper-layer header begins; 0 if the packet has none
 *	    (later fragment, not IP, malformed before it). It may equal the end of the packet
 *	    for protocols that are not looked into
 * @hdr_len: the parser looked no further than this many bytes into the frame
 * @frag_off: fragment offset in bytes, 0..65528
 * @vlan_tci: tag control information, outermost tag first, host order (VLAN id = low 12 bits)
 * @ethertype: EtherType after the tags, network order; an 802.3 length field stands here as it is
 * @vlan_count: number of tags, 0..2
 * @ext_count: IPv6 extension headers walked, the fragment header included, 0..8
 * @sport: TCP or UDP source port, network order; 0 unless ECBPF_HAS_PORTS()
 * @dport: likewise, destination
 * @version: 4, 6, or 0 if not IP
 * @proto: upper-layer protocol (RFC 5237 number), past all extension headers; of a later IPv6
 *	   fragment, the protocol its fragment header names. 0 if not IP
 * @frag: enum ecbpf_frag
 * @reason: 0, or the enum ecbpf_reason that says what is malformed. Facts found before the defect
 *	    stand, all others are 0
 * @flags: enum ecbpf_record_flag bits
 * @tcp_flags: byte 13 of the TCP header, CWR highest; 0 if not TCP
 * @icmp_type: ICMP or ICMPv6 type; 0 unless proto is one of them and l4_off is set
 * @icmp_code: likewise, code
 *
 * A header counts as present when all of its fixed part (TCP 20, UDP 8, ICMP and ICMPv6 8 bytes)
 * lies inside the IP packet and the frame. A first fragment has to hold it too.
 */
struct ecbpf_record {
	__u32 frame_len;
	__u32 l3_len;
	__u16 l3_off;
	__u16 l4_off;
	__u16 hdr_len;
	__u16 frag_off;
	__u16 vlan_tci[ECBPF_VLAN_MAX];
	__be16 ethertype;
	__u8 vlan_count;
	__u8 ext_count;
	union {
		struct {
			__be16 sport;
			__be16 dport;
		};
		__u32 ports; /* both, as they stand in the packet */
	};
	__u8 version;
	__u8 proto;
	__u8 frag;
	__u8 reason;
	__u8 flags;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u32 reserved;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct ecbpf_record) == 40, "ABI");

#define ECBPF_HAS_PORTS(rec) \
	((rec)->l4_off && !(rec)->reason && ((rec)->proto == 6 || (rec)->proto == 17))

#endif /* ECBPF_RECORD_H */
