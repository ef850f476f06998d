// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Shared library for fuzz_record.py: the parser, compiled natively, over many frames.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "parse_native.h"

#define FRAME_MAX 65536

const char *parse_many(const __u8 *frames, const __u32 *lens, const __u32 *whole_lens, size_t count,
		       struct ecbpf_record *records, size_t *ret_count);

/**
 * parse_many() - parse frames
 * @frames: the linear parts of frames, one after another
 * @lens: their lengths
 * @whole_lens: lengths of the frames with their XDP fragments
 * @count: number of frames
 * @records: output
 * @ret_count: output, number of frames parsed
 *
 * Each frame ends where its page ends, and the next page cannot be read.
 *
 * Return: NULL, or what is wrong with the last frame parsed, see parse_frame().
 */
const char *parse_many(const __u8 *frames, const __u32 *lens, const __u32 *whole_lens, size_t count,
		       struct ecbpf_record *records, size_t *ret_count)
{
	static __u8 *end;

	if (!end) {
		long page = sysconf(_SC_PAGESIZE);

		end = mmap(NULL, FRAME_MAX + page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (end == MAP_FAILED || mprotect(end + FRAME_MAX, page, PROT_NONE))
			abort();
		end += FRAME_MAX;
	}
	for (size_t i = 0; i < count; i++) {
		__u8 *frame = end - lens[i];
		const char *wrong;

		memcpy(frame, frames, lens[i]);
		frames += lens[i];
		wrong = parse_frame(frame, lens[i], whole_lens[i], &records[i]);
		*ret_count = i + 1;
		if (wrong)
			return wrong;
	}
	return NULL;
}
