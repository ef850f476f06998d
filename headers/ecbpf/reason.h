/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reasons of verdicts. The epilogue (verdict.bpf.h) counts them; user space prints their names in
 * status and samples.
 *
 * ABI: values are append-only. ECBPF_REASON_MAX is the size of the counter array, not the number
 * of reasons in use, so that adding one does not change a map.
 */
#ifndef ECBPF_REASON_H
#define ECBPF_REASON_H

/*
 * X(value, NAME, "name", "text")
 *
 * 1 to 31 say that a packet is malformed; the parser gives exactly one of them, the first defect
 * in wire order, and they are the only ones it gives. Stages append their own from 32 on; 96 to 111
 * are frames that are no IP but may carry it behind headers that are not inspected;
 * ECBPF_REASON_LOCAL and above never get a meaning here.
 */
#define ECBPF_REASONS(X)                                                                        \
	X(0, NONE, "none", "well-formed, nothing to say")                                       \
	X(1, RUNT, "runt", "frame shorter than an Ethernet header")                             \
	X(2, VLAN_TRUNC, "vlan-truncated", "VLAN tag runs past the end of the frame")           \
	X(3, VLAN_TAGS, "vlan-tags", "more than two VLAN tags")                                 \
	X(4, IP_TRUNC, "ip-truncated", "IPv4 header or options run past the end of the frame")  \
	X(5, IP_VERSION, "ip-version", "EtherType says IPv4, version field does not")           \
	X(6, IP_IHL, "ip-ihl", "IPv4 header length below 20 bytes")                             \
	X(7, IP_LEN_SHORT, "ip-length-short", "IPv4 total length below the header length")      \
	X(8, IP_LEN_LONG, "ip-length-long", "IPv4 total length runs past the end of the frame") \
	X(9, IP6_TRUNC, "ip6-truncated", "IPv6 header runs past the end of the frame")          \
	X(10, IP6_VERSION, "ip6-version", "EtherType says IPv6, version field does not")        \
	X(11, IP6_LEN_LONG, "ip6-length-long", "IPv6 payload runs past the end of the frame")   \
	X(12, IP6_JUMBO, "ip6-jumbogram", "IPv6 payload length 0, and no jumbo payload option") \
	X(13, IP6_EXT_TRUNC, "ip6-ext-truncated", "IPv6 extension header runs past the packet") \
	X(14, IP6_EXT_LIMIT, "ip6-ext-limit", "more IPv6 extension headers than are looked at") \
	X(15, TCP_TRUNC, "tcp-truncated", "TCP header or options run past the packet")          \
	X(16, TCP_DOFF, "tcp-doff", "TCP header length below 20 bytes")                         \
	X(17, UDP_TRUNC, "udp-truncated", "UDP header runs past the packet")                    \
	X(18, ICMP_TRUNC, "icmp-truncated", "ICMP or ICMPv6 header runs past the packet")       \
	X(32, BLOCKED, "ip-blocked", "IPv4 source is on the block list")                        \
	X(33, BLOCKED6, "ip6-blocked", "IPv6 source is on the block list")                      \
	X(34, FRAG_TINY, "fragment-tiny", "first fragment does not hold the header above IP")   \
	X(35, FRAG_OVERLAP, "fragment-overlap", "fragment begins within the TCP header")        \
	X(36, IP_OPTIONS, "ip-options", "IPv4 header has options")                              \
	X(37, IP_RESERVED, "ip-reserved-bit", "reserved bit of IPv4 is set")                    \
	X(38, MARTIAN, "martian-source", "source address that nobody can have")                 \
	X(39, LAND, "land", "source address is the destination address")                        \
	X(40, TCP_NULL, "tcp-null", "TCP without any flag")                                     \
	X(41, TCP_XMAS, "tcp-xmas", "TCP with FIN, PSH and URG, without ACK")                   \
	X(42, TCP_SYN_FIN, "tcp-syn-fin", "TCP with SYN and FIN")                               \
	X(43, TCP_SYN_RST, "tcp-syn-rst", "TCP with SYN and RST")                               \
	X(44, UDP_LENGTH, "udp-length", "UDP length is not that of the IP packet's payload")    \
	X(45, PORT_ZERO, "port-zero", "TCP or UDP port 0")                                      \
	X(46, IP6_ROUTING0, "ip6-routing0", "IPv6 routing header of type 0")                    \
	X(47, FRAGMENT, "ip-fragment", "IPv4 fragment, not for an address of this host")        \
	X(48, FRAGMENT6, "ip6-fragment", "IPv6 fragment, not for an address of this host")      \
	X(49, PTB_SENT, "ip-ptb-sent", "answered with ICMP fragmentation needed")               \
	X(50, PTB_SENT6, "ip6-ptb-sent", "answered with ICMPv6 packet too big")                 \
	X(51, PTB_LIMIT, "ip-ptb-limit", "IPv4 first fragment beyond the budget for answers")   \
	X(52, PTB_LIMIT6, "ip6-ptb-limit", "IPv6 first fragment beyond the budget for answers") \
	X(53, PTB_UNFIT, "ip-ptb-unfit", "IPv4 first fragment that must not be answered")       \
	X(54, PTB_UNFIT6, "ip6-ptb-unfit", "IPv6 first fragment that must not be answered")     \
	X(55, PTB_ROOM, "ip-ptb-room", "IPv4 first fragment with no room for the answer")       \
	X(56, PTB_ROOM6, "ip6-ptb-room", "IPv6 first fragment with no room for the answer")     \
	X(57, ROUTER_ALERT, "router-alert", "router alert of IGMP or RSVP, not for ip-options") \
	X(64, FW_DROP, "fw-drop", "dropped by a rule of the firewall")                          \
	X(65, FW_LIMIT, "fw-limit", "above the limit of a rule of the firewall")                \
	X(66, FW_PANIC, "fw-panic", "dropped by 'ecbpf-fw panic drop'")                         \
	X(72, FP_LEASE, "fastpath-lease", "forwarded as IPVS would, by its flow's lease")       \
	X(73, FP_UNKNOWN, "fastpath-unknown", "to the stack: a flow without a lease")           \
	X(74, FP_EXPIRED, "fastpath-expired", "to the stack: its flow's lease has expired")     \
	X(75, FP_SAMPLE, "fastpath-sample", "to the stack: sample for IPVS")                    \
	X(76, FP_SYN, "fastpath-syn", "to the stack: TCP SYN")                                  \
	X(77, FP_FIN, "fastpath-fin", "to the stack: TCP FIN")                                  \
	X(78, FP_RST, "fastpath-rst", "to the stack: TCP RST")                                  \
	X(79, FP_LENGTH, "fastpath-length", "to the stack: longer than any the kernel sent")    \
	X(80, FP_TTL, "fastpath-ttl", "to the stack: TTL or hop limit expires here")            \
	X(81, FP_CHECKSUM, "fastpath-checksum", "to the stack: wrong IPv4 header checksum")     \
	X(82, FP_SPECIAL, "fastpath-special", "to the stack: not a plain TCP or UDP packet")    \
	X(83, FP_PORT, "fastpath-port", "to the stack: leaves by a port that is not loaded")    \
	X(84, FP_MONITOR, "fastpath-monitor", "to the stack: monitor, else forwarded")          \
	X(85, FP_SHIELD, "fastpath-shield", "dropped: an unknown flow, and too many packets")   \
	X(86, FP_RESET, "fastpath-reset", "answered by a TCP RST: its flow is dead")            \
	X(87, FP_DEAD, "fastpath-dead", "to the stack: flow is dead, no RST due")               \
	X(88, FP_INGRESS, "fastpath-ingress",                                                   \
	  "to the stack: not the port, VLAN and Ethernet address of its lease")                 \
	X(89, FP_PARTIAL, "fastpath-partial", "to the stack: TCP or UDP checksum not complete") \
	X(96, LINK_LLC, "link-llc", "not inspected: IEEE 802.3 frame with LLC or SNAP")         \
	X(97, LINK_PPPOE, "link-pppoe", "not inspected: PPPoE")                                 \
	X(98, LINK_MPLS, "link-mpls", "not inspected: MPLS")                                    \
	X(99, LINK_PBB, "link-802-1ah", "not inspected: IEEE 802.1ah provider backbone")        \
	X(100, LINK_ETAG, "link-e-tag", "not inspected: IEEE 802.1BR E-tag")                    \
	X(101, LINK_VNTAG, "link-vn-tag", "not inspected: VN-tag")                              \
	X(102, LINK_NSH, "link-nsh", "not inspected: network service header")                   \
	X(103, LINK_MACSEC, "link-macsec", "not inspected: IEEE 802.1AE MACsec")                \
	X(104, LINK_QINQ, "link-qinq", "not inspected: VLAN tag 0x9100, 0x9200, 0x9300")        \
	X(105, LINK_OTHER, "link-other", "not inspected: HSR, TRILL, batman-adv and others")

enum ecbpf_reason {
#define X(value, NAME, name, text) ECBPF_REASON_##NAME = value,
	ECBPF_REASONS(X)
#undef X
};

#define ECBPF_REASON_MALFORMED_LAST 31
#define ECBPF_REASON_LOCAL	    112 /* this one and above: for stages outside the suite */
#define ECBPF_REASON_MAX	    128

#endif /* ECBPF_REASON_H */
