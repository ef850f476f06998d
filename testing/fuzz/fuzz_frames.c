// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libFuzzer target: any file is refused with a message, or read to its end or to where it is cut
 * off or damaged. Every captured byte of its frames is there; a frame has room for an Ethernet
 * header.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "tools/fw/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frames *frames;
	struct frame frame;
	volatile uint8_t last;
	size_t number = 0;
	FILE *file;
	int result;

	if (!size)
		return 0; /* fmemopen() has no empty files */
	file = fmemopen((void *)data, size, "r");
	CHECK(file);
	if (frames_open(file, &frames)) {
		CHECK(*frames_error(NULL) && !strchr(frames_error(NULL), '\n'));
		return 0;
	}
	while ((result = frames_next(frames, &frame)) == 1) {
		CHECK(frame.number == ++number && frame.captured <= frame.size);
		if (frame.skip) {
			CHECK(*frame.skip && !frame.data);
			continue;
		}
		CHECK(frame.size >= 14);
		for (size_t i = 0; i < frame.captured; i++)
			last = frame.data[i];
	}
	(void)last;
	CHECK(!result || (*frames_error(frames) && !strchr(frames_error(frames), '\n')));
	frames_close(frames);
	return 0;
}
