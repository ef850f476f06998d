// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libFuzzer target: whatever comes from the bus, ecbpf-pcap decodes, prints and writes it without
 * reading a byte beyond, and what it takes for a sample is one. Of the first bytes a sample is made
 * as well, so that it does not take long until the parts behind decoding are reached.
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "tools/pcap/capture.h"
#include "tools/common/common.h"

/* --- what the tools' and the library's other files have ------------------------------------- */

int tool_fail(const char *fmt, ...)
{
	(void)fmt;
	abort(); /* there is no reason to */
}

void *tool_alloc(void *ptr, size_t bytes)
{
	ptr = realloc(ptr, bytes);
	return ptr ? ptr : (abort(), NULL);
}

const char *ecbpf_action_name(__u32 action)
{
	return action < 5 ? "XDP_NAME" : NULL;
}

/* -------------------------------------------------------------------------------------------- */

static struct capture *captures[2];

static void use(const Ecbpf__PacketSample *sample)
{
	static FILE *null;

	if (!null)
		null = fopen("/dev/null", "w");
	if (!null || sample->packet.len > sample->length || !sample->record ||
	    strlen(sample->host) > SAMPLE_TEXT_MAX)
		abort();
	sample_print(null, sample);
	for (int i = 0; i < 2; i++) {
		struct capture_options options = {.path = "/dev/null", .is_classic = i};

		if (!captures[i] && capture_open(&options, &captures[i]))
			abort();
		if (capture_write(captures[i], sample))
			abort();
	}
}

static void make(const uint8_t *data, size_t size)
{
	Ecbpf__PacketSample sample = ECBPF__PACKET_SAMPLE__INIT;
	const Ecbpf__PacketSample *decoded;
	Ecbpf__Record record = ECBPF__RECORD__INIT;
	uint32_t numbers[10], tags[2];
	uint8_t packed[8192];

	if (size < sizeof(numbers))
		return;
	memcpy(numbers, data, sizeof(numbers));
	size -= sizeof(numbers);
	sample.version = 1;
	sample.action = numbers[0] & 7;
	sample.reason = numbers[1];
	sample.rule = numbers[2];
	sample.length = numbers[3];
	sample.cpu = numbers[4];
	sample.packet =
		(ProtobufCBinaryData){.data = (uint8_t *)data + sizeof(numbers), .len = size};
	record.l3_off = numbers[5];
	record.l4_off = numbers[6];
	record.ip_version = numbers[7] & 7;
	record.proto = numbers[8];
	record.vlan_tci = tags;
	record.n_vlan_tci = numbers[9] & 1 ? 2 : 0;
	memcpy(tags, numbers, sizeof(tags));
	sample.record = &record;
	if (ecbpf__packet_sample__get_packed_size(&sample) > sizeof(packed))
		return;
	decoded = sample_decode(packed, ecbpf__packet_sample__pack(&sample, packed));
	if (!decoded != (size > numbers[3]))
		abort();
	if (decoded)
		use(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const Ecbpf__PacketSample *sample = sample_decode(data, size);

	if (sample)
		use(sample);
	make(data, size);
	return 0;
}
