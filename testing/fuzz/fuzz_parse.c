// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libFuzzer target: the parser reads no byte outside the frame, does nothing undefined, and what
 * parse_native.h says holds. The first two bytes of the input are the number of bytes in fragments.
 */
#include <stdint.h>
#include <stdio.h>
#include "fuzz.h"
#include "parse_native.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ecbpf_record rec;
	const char *wrong;
	__u32 fragments;
	__u8 *frame;

	if (size < 2)
		return 0;
	fragments = data[0] << 8 | data[1];
	size -= 2;
	frame = malloc(size); /* of this size, so that a byte beyond is noticed */
	if (!frame)
		return 0;
	memcpy(frame, data + 2, size);
	wrong = parse_frame(frame, size, size + fragments, &rec);
	if (wrong) {
		fprintf(stderr, "fuzz_parse: %s\n", wrong);
		abort();
	}
	free(frame);
	return 0;
}
