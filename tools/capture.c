// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames from a capture file, see capture.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>
#include <sha1.h>
#include "capture.h"

struct capture {
	pcap_t *pcap;
	size_t number;
	char error[PCAP_ERRBUF_SIZE + 64];
};

static char open_error[PCAP_ERRBUF_SIZE + 64];

int capture_open(FILE *file, struct capture **ret_capture)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	char error[PCAP_ERRBUF_SIZE] = "";
	const char *name;

	if (capture)
		capture->pcap = pcap_fopen_offline(file, error);
	if (!capture || !capture->pcap) {
		snprintf(open_error, sizeof(open_error), "%s", capture ? error : strerror(ENOMEM));
		fclose(file);
		free(capture);
		return capture ? -EINVAL : -ENOMEM;
	}
	if (pcap_datalink(capture->pcap) != DLT_EN10MB) {
		name = pcap_datalink_val_to_description(pcap_datalink(capture->pcap));
		snprintf(open_error, sizeof(open_error),
			 "its link type is %s (%d), only Ethernet can be read",
			 name ? name : "unknown", pcap_datalink(capture->pcap));
		capture_close(capture);
		return -EINVAL;
	}
	*ret_capture = capture;
	return 0;
}

void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	pcap_close(capture->pcap); /* closes the file, too */
	free(capture);
}

int capture_next(struct capture *capture, struct capture_frame *ret_frame)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	SHA1_CTX sha1;
	int result;

	result = pcap_next_ex(capture->pcap, &header, &data);
	if (result == PCAP_ERROR_BREAK)
		return 0;
	if (result != 1) {
		snprintf(capture->error, sizeof(capture->error), "behind packet %zu: %s",
			 capture->number, pcap_geterr(capture->pcap));
		return -EINVAL;
	}
	capture->number++;
	if (header->caplen > CAPTURE_FRAME_MAX) {
		snprintf(capture->error, sizeof(capture->error),
			 "packet %zu has %u bytes; %d are possible", capture->number,
			 header->caplen, CAPTURE_FRAME_MAX);
		return -EINVAL;
	}
	*ret_frame = (struct capture_frame){
		.number = capture->number,
		.data = data,
		.size = header->caplen,
		.wire_size = header->len,
	};
	SHA1Init(&sha1);
	SHA1Update(&sha1, data, header->caplen);
	SHA1Final(ret_frame->sha1, &sha1);
	return 1;
}

const char *capture_error(const struct capture *capture)
{
	return capture ? capture->error : open_error;
}
