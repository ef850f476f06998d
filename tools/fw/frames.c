// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames from a capture file, see frames.h. libpcap reads pcap, pcapng.c the other format. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_ether.h>
#include <pcap/pcap.h>
#include <sha1.h>
#include "tools/fw/frames.h"
#include "tools/fw/link.h"
#include "tools/fw/pcapng.h"

#define ADDRS_SIZE ((size_t)2 * ETH_ALEN)

/* libpcap tells a file that is cut off by its message only */
#define PCAP_CUT_OFF "truncated dump file"

struct frames {
	FILE *file; /* of @pcapng; libpcap closes its own */
	pcap_t *pcap;
	struct pcapng *pcapng;
	size_t number;
	__u8 *made; /* of a packet that had no Ethernet header; @room: memory */
	size_t room;
	char error[PCAP_ERRBUF_SIZE + 64];
};

static char open_error[PCAP_ERRBUF_SIZE + 64];

static int open_fail(int err, const char *text)
{
	snprintf(open_error, sizeof(open_error), "%s", text);
	return err;
}

/* The first bytes, which are read again. Return: 0 if there are less */
static __u32 peek_magic(FILE *file)
{
	unsigned char bytes[4];
	size_t got = fread(bytes, 1, sizeof(bytes), file);
	__u32 magic = 0;

	if (got == sizeof(bytes))
		memcpy(&magic, bytes, sizeof(magic));
	while (got) /* glibc and musl take back so many */
		ungetc(bytes[--got], file);
	return magic;
}

static int open_any(struct frames *frames, FILE *file)
{
	char error[PCAP_ERRBUF_SIZE] = "";

	if (peek_magic(file) == PCAPNG_MAGIC) {
		frames->pcapng = pcapng_new(file);
		if (!frames->pcapng)
			return open_fail(-ENOMEM, strerror(ENOMEM));
		frames->file = file;
		return 0;
	}
	frames->pcap = pcap_fopen_offline(file, error);
	return frames->pcap ? 0 : open_fail(-EINVAL, error);
}

int frames_open(FILE *file, struct frames **ret_frames)
{
	struct frames *frames = calloc(1, sizeof(*frames));
	int err = frames ? open_any(frames, file) : open_fail(-ENOMEM, strerror(ENOMEM));

	if (err) {
		fclose(file);
		free(frames);
		return err;
	}
	*ret_frames = frames;
	return 0;
}

void frames_close(struct frames *frames)
{
	if (!frames)
		return;
	if (frames->pcap)
		pcap_close(frames->pcap); /* closes the file, too */
	pcapng_free(frames->pcapng);
	if (frames->file)
		fclose(frames->file);
	free(frames->made);
	free(frames);
}

static int frames_fail(struct frames *frames, int err, const char *text)
{
	snprintf(frames->error, sizeof(frames->error), "after packet %zu: %s", frames->number,
		 text);
	return err;
}

/* By libpcap. Return: as pcapng_next() */
static int next_pcap(struct frames *frames, struct pcapng_packet *ret)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	const char *text;
	int result = pcap_next_ex(frames->pcap, &header, &data), ext;

	if (result == PCAP_ERROR_BREAK)
		return 0;
	if (result != 1) {
		text = pcap_geterr(frames->pcap);
		return frames_fail(frames,
				   strncmp(text, PCAP_CUT_OFF, strlen(PCAP_CUT_OFF)) ? -EINVAL
										     : -ENODATA,
				   text);
	}
	ext = pcap_datalink_ext(frames->pcap);
	*ret = (struct pcapng_packet){
		.data = data,
		.captured = header->caplen,
		.size = header->len,
		.link = pcap_datalink(frames->pcap),
		.fcs = LT_FCS_LENGTH_PRESENT(ext) ? 2 * LT_FCS_LENGTH(ext) : 0,
	};
	return 1;
}

/* Put an Ethernet header before the packet at @data. Return: 0; -ENOMEM */
static int make_frame(struct frames *frames, const __u8 *data, const struct link_view *view,
		      struct frame *frame)
{
	size_t payload = frame->captured > view->header ? frame->captured - view->header : 0;
	__u8 *made = frames->made;

	if (frames->room < ETH_HLEN + payload) {
		made = realloc(made, ETH_HLEN + payload);
		if (!made)
			return frames_fail(frames, -ENOMEM, strerror(ENOMEM));
		frames->made = made;
		frames->room = ETH_HLEN + payload;
	}
	memset(made, 0, ADDRS_SIZE);
	frame->data = made;
	frame->size = frame->size - view->header + ETH_HLEN;
	frame->captured = ADDRS_SIZE;
	if (view->ethertype < 0)
		return 0;
	made[ADDRS_SIZE] = view->ethertype >> 8;
	made[ADDRS_SIZE + 1] = view->ethertype;
	if (payload)
		memcpy(made + ETH_HLEN, data + view->header, payload);
	frame->captured = ETH_HLEN + payload;
	return 0;
}

static int frame_make(struct frames *frames, const struct pcapng_packet *packet,
		      struct frame *frame)
{
	struct link_view view;

	if (packet->is_sent)
		frame->skip = "sent by the host that captured it";
	else if (packet->link != LINK_ETHERNET)
		frame->skip =
			link_view(packet->link, packet->data, frame->captured, frame->size, &view);
	if (frame->skip)
		return 0;
	if (packet->link != LINK_ETHERNET)
		return make_frame(frames, packet->data, &view, frame);
	if (frame->size < ETH_HLEN)
		frame->skip = "shorter than an Ethernet header";
	else
		frame->data = packet->data;
	return 0;
}

int frames_next(struct frames *frames, struct frame *ret_frame)
{
	struct pcapng_packet packet;
	SHA1_CTX sha1;
	int result;

	if (frames->pcap) {
		result = next_pcap(frames, &packet);
	} else {
		result = pcapng_next(frames->pcapng, &packet);
		if (result < 0)
			frames_fail(frames, result, pcapng_error(frames->pcapng));
	}
	if (result <= 0)
		return result;
	*ret_frame = (struct frame){
		.number = ++frames->number,
		.captured = packet.captured,
		.size = packet.size > packet.captured ? packet.size : packet.captured,
	};
	SHA1Init(&sha1);
	SHA1Update(&sha1, packet.data, packet.captured);
	SHA1Final(ret_frame->sha1, &sha1);
	/* the checksum of Ethernet, which XDP does not see */
	ret_frame->size -= packet.fcs < ret_frame->size ? packet.fcs : ret_frame->size;
	if (ret_frame->captured > ret_frame->size)
		ret_frame->captured = ret_frame->size;
	result = frame_make(frames, &packet, ret_frame);
	return result ? result : 1;
}

const char *frames_error(const struct frames *frames)
{
	return frames ? frames->error : open_error;
}
