// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames from a capture file, see frames.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>
#include <sha1.h>
#include "tools/fw/frames.h"

struct frames {
	pcap_t *pcap;
	size_t number;
	char error[PCAP_ERRBUF_SIZE + 64];
};

static char open_error[PCAP_ERRBUF_SIZE + 64];

int frames_open(FILE *file, struct frames **ret_frames)
{
	struct frames *frames = calloc(1, sizeof(*frames));
	char error[PCAP_ERRBUF_SIZE] = "";
	const char *name;

	if (frames)
		frames->pcap = pcap_fopen_offline(file, error);
	if (!frames || !frames->pcap) {
		snprintf(open_error, sizeof(open_error), "%s", frames ? error : strerror(ENOMEM));
		fclose(file);
		free(frames);
		return frames ? -EINVAL : -ENOMEM;
	}
	if (pcap_datalink(frames->pcap) != DLT_EN10MB) {
		name = pcap_datalink_val_to_description(pcap_datalink(frames->pcap));
		snprintf(open_error, sizeof(open_error),
			 "its link type is %s (%d), only Ethernet can be read",
			 name ? name : "unknown", pcap_datalink(frames->pcap));
		frames_close(frames);
		return -EINVAL;
	}
	*ret_frames = frames;
	return 0;
}

void frames_close(struct frames *frames)
{
	if (!frames)
		return;
	pcap_close(frames->pcap); /* closes the file, too */
	free(frames);
}

int frames_next(struct frames *frames, struct frame *ret_frame)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	SHA1_CTX sha1;
	int result;

	result = pcap_next_ex(frames->pcap, &header, &data);
	if (result == PCAP_ERROR_BREAK)
		return 0;
	if (result != 1) {
		snprintf(frames->error, sizeof(frames->error), "after packet %zu: %s",
			 frames->number, pcap_geterr(frames->pcap));
		return -EINVAL;
	}
	frames->number++;
	if (header->caplen > FRAME_SIZE_MAX) {
		snprintf(frames->error, sizeof(frames->error),
			 "packet %zu has %u bytes, %d is the maximum", frames->number,
			 header->caplen, FRAME_SIZE_MAX);
		return -EINVAL;
	}
	*ret_frame = (struct frame){
		.number = frames->number,
		.data = data,
		.size = header->caplen,
		.wire_size = header->len,
	};
	SHA1Init(&sha1);
	SHA1Update(&sha1, data, header->caplen);
	SHA1Final(ret_frame->sha1, &sha1);
	return 1;
}

const char *frames_error(const struct frames *frames)
{
	return frames ? frames->error : open_error;
}
