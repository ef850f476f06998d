// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Link headers that are not Ethernet, see link.h */
#include <byteswap.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include "tools/fw/link.h"

#define SLL_SENT   4 /* by the host that captured */
#define AF_IP	   2
#define BYTES_NULL 4

static unsigned int big16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

static unsigned int big32(const __u8 *at)
{
	return big16(at) << 16 | big16(at + 2);
}

static int ethertype_of(unsigned int version)
{
	return version == 4 ? ETH_P_IP : version == 6 ? ETH_P_IPV6 : 0;
}

/* AF_INET6 of Linux; NetBSD and OpenBSD; FreeBSD; macOS */
static bool is_ip6(unsigned int family)
{
	return family == 10 || family == 24 || family == 28 || family == 30;
}

/* Linux cooked, of both versions: where they have what */
struct cooked {
	size_t size;
	size_t protocol;
	size_t device; /* ARPHRD_ */
	size_t kind;
	size_t kind_size;
};

static const struct cooked sll = {
	.size = 16, .protocol = 14, .device = 2, .kind = 0, .kind_size = 2};
static const struct cooked sll2 = {
	.size = 20, .protocol = 0, .device = 8, .kind = 10, .kind_size = 1};

static const char *view_cooked(const struct cooked *cooked, const __u8 *data, size_t captured,
			       struct link_view *ret)
{
	unsigned int device;

	ret->header = cooked->size;
	if (captured < cooked->size)
		return NULL;
	device = big16(data + cooked->device);
	/* what stands in the place of the protocol is another number */
	if (device == ARPHRD_NETLINK || device == ARPHRD_IEEE80211_RADIOTAP ||
	    device == ARPHRD_FRAD || device == ARPHRD_CAN)
		return "of a device that is no Ethernet";
	if ((cooked->kind_size == 1 ? data[cooked->kind] : big16(data + cooked->kind)) == SLL_SENT)
		return "sent by the host that captured it";
	ret->ethertype = big16(data + cooked->protocol);
	return NULL;
}

/* The family, in the byte order of the host that captured, or of the network */
static const char *view_null(unsigned int type, const __u8 *data, size_t captured,
			     struct link_view *ret)
{
	unsigned int family;

	ret->header = BYTES_NULL;
	if (captured < BYTES_NULL)
		return NULL;
	family = big32(data);
	if (type == LINK_NULL && family > 0xffff)
		family = bswap_32(family);
	ret->ethertype = ethertype_of(family == AF_IP ? 4 : is_ip6(family) ? 6 : 0);
	return ret->ethertype ? NULL : "neither IPv4 nor IPv6";
}

const char *link_view(unsigned int type, const __u8 *data, size_t captured, size_t size,
		      struct link_view *ret)
{
	const char *why = NULL;

	*ret = (struct link_view){.ethertype = -1};
	switch (type) {
	case LINK_SLL:
		why = view_cooked(&sll, data, captured, ret);
		break;
	case LINK_SLL2:
		why = view_cooked(&sll2, data, captured, ret);
		break;
	case LINK_NULL:
	case LINK_LOOP:
		why = view_null(type, data, captured, ret);
		break;
	case LINK_IPV4:
	case LINK_IPV6:
		ret->ethertype = type == LINK_IPV4 ? ETH_P_IP : ETH_P_IPV6;
		break;
	case LINK_RAW:
	case LINK_DLT_RAW:
	case LINK_DLT_RAW_BSD:
		if (captured)
			ret->ethertype = ethertype_of(data[0] >> 4);
		why = ret->ethertype ? NULL : "neither IPv4 nor IPv6";
		break;
	default:
		return "of a link type that is not supported";
	}
	if (!size)
		why = "empty";
	return !why && size < ret->header ? "shorter than its link header" : why;
}
