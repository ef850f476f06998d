// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Capture files, see capture.h. pcapng is written here, as libpcap does not: four kinds of blocks
 * and options of draft-ietf-opsawg-pcapng, in host byte order, which readers find out.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tools/pcap/capture.h"
#include "tools/common/common.h"

#define BLOCK_SECTION	   0x0a0d0d0a
#define BLOCK_INTERFACE	   1
#define BLOCK_PACKET	   6
#define SECTION_MAGIC	   0x1a2b3c4d
#define LINKTYPE_ETHER	   1
#define OPT_END		   0
#define OPT_COMMENT	   1
#define OPT_APPLICATION	   4 /* section */
#define OPT_IF_NAME	   2
#define OPT_IF_DESCRIPTION 3
#define OPT_IF_TSRESOL	   9
#define OPT_PACKET_ID	   5 /* packet */
#define OPT_QUEUE	   6
#define OPT_VERDICT	   7
#define OPT_FLAGS	   2
#define VERDICT_XDP	   2 /* first byte of OPT_VERDICT; the action follows in 8 bytes */
#define FLAGS_INBOUND	   1
#define TSRESOL_NS	   9
#define BLOCK_MAX	   (SAMPLE_MESSAGE_MAX + 4096)
#define INTERFACES_MAX	   1024

struct interface {
	char host[SAMPLE_TEXT_MAX + 1];
	char name[SAMPLE_TEXT_MAX + 1];
};

struct capture {
	struct capture_options options;
	FILE *file;
	pcap_t *pcap; /* classic */
	pcap_dumper_t *dumper;
	struct interface *interfaces; /* pcapng: an interface's number is its place here */
	size_t interfaces_count;
	uint64_t written;    /* bytes of this file */
	unsigned int number; /* of this file */
	time_t since;
	bool has_failed;       /* which has been said */
	char block[BLOCK_MAX]; /* that is being made */
	size_t used;
};

/* --- pcapng --------------------------------------------------------------------------------- */

static void put(struct capture *c, const void *bytes, size_t size)
{
	if (size)
		memcpy(c->block + c->used, bytes, size);
	c->used += size;
	while (c->used % 4)
		c->block[c->used++] = 0;
}

static void put_u32(struct capture *c, uint32_t value)
{
	put(c, &value, sizeof(value));
}

static void put_option(struct capture *c, uint16_t code, const void *bytes, uint16_t size)
{
	const uint16_t head[2] = {code, size};

	put(c, head, sizeof(head));
	put(c, bytes, size);
}

static void block_begin(struct capture *c, uint32_t type)
{
	c->used = 0;
	put_u32(c, type);
	put_u32(c, 0); /* length, see block_end() */
}

/* Say why, once: the file is flushed and closed later, when errno means something else */
static int write_fail(struct capture *c)
{
	if (!c->has_failed)
		tool_fail("%s: %s", c->options.path, strerror(errno));
	c->has_failed = true;
	return TOOL_FAILED;
}

static int block_end(struct capture *c)
{
	uint32_t length;

	put_option(c, OPT_END, NULL, 0);
	length = c->used + sizeof(length);
	memcpy(c->block + 4, &length, sizeof(length));
	put_u32(c, length);
	c->written += c->used;
	return fwrite(c->block, c->used, 1, c->file) == 1 ? 0 : write_fail(c);
}

static int write_section(struct capture *c)
{
	static const char application[] = "ecbpf-pcap";
	const uint16_t version[2] = {1, 0};
	const uint64_t length = ~0ULL; /* not known */

	block_begin(c, BLOCK_SECTION);
	put_u32(c, SECTION_MAGIC);
	put(c, version, sizeof(version));
	put(c, &length, sizeof(length));
	put_option(c, OPT_APPLICATION, application, strlen(application));
	return block_end(c);
}

/* Return: the interface's number; it is described in the file before it is first used */
static int find_interface(struct capture *c, const Ecbpf__PacketSample *s, uint32_t *ret_number)
{
	const uint16_t link[2] = {LINKTYPE_ETHER, 0};
	const uint8_t resolution = TSRESOL_NS;
	size_t i;

	for (i = 0; i < c->interfaces_count; i++) {
		if (strcmp(c->interfaces[i].name, s->interface) ||
		    strcmp(c->interfaces[i].host, s->host))
			continue;
		*ret_number = i;
		return 0;
	}
	if (i == INTERFACES_MAX) { /* nobody has so many; the last one is all others */
		*ret_number = i - 1;
		return 0;
	}
	c->interfaces = tool_alloc(c->interfaces, (i + 1) * sizeof(*c->interfaces));
	strcpy(c->interfaces[i].host, i < INTERFACES_MAX - 1 ? s->host : "");
	strcpy(c->interfaces[i].name, i < INTERFACES_MAX - 1 ? s->interface : "others");
	c->interfaces_count++;
	*ret_number = i;
	block_begin(c, BLOCK_INTERFACE);
	put(c, link, sizeof(link));
	put_u32(c, 0); /* packets are cut at no certain length */
	put_option(c, OPT_IF_NAME, c->interfaces[i].name, strlen(c->interfaces[i].name));
	put_option(c, OPT_IF_DESCRIPTION, c->interfaces[i].host, strlen(c->interfaces[i].host));
	put_option(c, OPT_IF_TSRESOL, &resolution, sizeof(resolution));
	return block_end(c);
}

static int write_packet(struct capture *c, const Ecbpf__PacketSample *s)
{
	const uint64_t id = (uint64_t)s->cpu << 48 | (s->seq & 0xffffffffffff), action = s->action;
	const uint32_t flags = FLAGS_INBOUND;
	char verdict[1 + sizeof(action)] = {VERDICT_XDP}, comment[SAMPLE_TEXT_MAX * 3];
	uint32_t number = 0;
	int err;

	err = find_interface(c, s, &number);
	if (err)
		return err;
	block_begin(c, BLOCK_PACKET);
	put_u32(c, number);
	put_u32(c, s->time_ns >> 32);
	put_u32(c, s->time_ns);
	put_u32(c, s->packet.len);
	put_u32(c, s->length);
	put(c, s->packet.data, s->packet.len);
	memcpy(verdict + 1, &action, sizeof(action));
	sample_verdict_text(s, comment, sizeof(comment));
	put_option(c, OPT_FLAGS, &flags, sizeof(flags));
	put_option(c, OPT_PACKET_ID, &id, sizeof(id));
	put_option(c, OPT_QUEUE, &s->queue, sizeof(s->queue));
	put_option(c, OPT_VERDICT, verdict, sizeof(verdict));
	put_option(c, OPT_COMMENT, comment, strlen(comment));
	return block_end(c);
}

/* --- files ---------------------------------------------------------------------------------- */

/* As tcpdump(8) names them */
static void file_name(const struct capture *c, char *ret, size_t size)
{
	const struct capture_options *o = &c->options;
	int digits = 0;
	struct tm tm;
	size_t used;

	if (!o->seconds || !localtime_r(&c->since, &tm) || !strftime(ret, size, o->path, &tm))
		snprintf(ret, size, "%s", o->path);
	used = strlen(ret);
	for (unsigned int n = o->files ? o->files - 1 : 0; n && o->size; n /= 10)
		digits++;
	if (o->size && (c->number || o->files))
		snprintf(ret + used, size - used, "%0*u", digits, c->number);
}

static int write_head(struct capture *c, const char *name)
{
	if (!c->options.is_classic)
		return write_section(c);
	c->dumper = pcap_dump_fopen(c->pcap, c->file);
	return c->dumper ? 0 : tool_fail("%s: %s", name, pcap_geterr(c->pcap));
}

/* It is a capture from the beginning, or it is not there */
static int file_open(struct capture *c)
{
	bool is_stdout = !strcmp(c->options.path, "-"), is_new;
	char name[4096];
	int err;

	c->since = time(NULL);
	c->written = 0;
	c->interfaces_count = 0;
	file_name(c, name, sizeof(name));
	is_new = !is_stdout && access(name, F_OK);
	c->file = is_stdout ? stdout : fopen(name, "we");
	if (!c->file)
		return tool_fail("%s: %s", name, strerror(errno));
	err = write_head(c, name);
	if (!err)
		err = capture_flush(c);
	if (err && is_new)
		unlink(name);
	return err;
}

static int file_close(struct capture *c)
{
	bool is_bad = !c->file || capture_flush(c);

	if (c->dumper)
		pcap_dump_close(c->dumper);
	else if (c->file && c->file != stdout && fclose(c->file) && !is_bad)
		is_bad = write_fail(c);
	c->dumper = NULL;
	c->file = NULL;
	return is_bad ? TOOL_FAILED : 0;
}

/* Is it time for the next file? */
static int rotate(struct capture *c)
{
	const struct capture_options *o = &c->options;
	bool is_over = o->seconds && time(NULL) - c->since >= (time_t)o->seconds;
	int err;

	if (!is_over && (!o->size || c->written < o->size))
		return 0;
	err = file_close(c);
	if (err)
		return err;
	c->number++;
	if (o->files && c->number == o->files) {
		if (!o->size)
			return -1;
		c->number = 0;
	}
	return file_open(c);
}

int capture_open(const struct capture_options *options, struct capture **ret_capture)
{
	struct capture *c = tool_alloc(NULL, sizeof(*c));
	int err = 0;

	memset(c, 0, sizeof(*c));
	c->options = *options;
	if (options->is_classic) {
		c->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SAMPLE_MESSAGE_MAX,
							       PCAP_TSTAMP_PRECISION_NANO);
		if (!c->pcap)
			err = tool_fail("out of memory");
	}
	if (!err)
		err = file_open(c);
	if (err)
		capture_close(c);
	else
		*ret_capture = c;
	return err;
}

int capture_write(struct capture *c, const Ecbpf__PacketSample *s)
{
	struct pcap_pkthdr head = {.caplen = s->packet.len, .len = s->length};
	int err;

	if (!c->file)
		return -1;
	err = rotate(c);
	if (err)
		return err;
	if (!c->dumper)
		return write_packet(c, s);
	head.ts.tv_sec = s->time_ns / 1000000000;
	head.ts.tv_usec = s->time_ns % 1000000000; /* nanoseconds, as the file says */
	pcap_dump((unsigned char *)c->dumper, &head, s->packet.data);
	if (ferror(c->file))
		return write_fail(c);
	c->written += 16 + s->packet.len;
	return 0;
}

int capture_flush(struct capture *c)
{
	if (c->has_failed)
		return TOOL_FAILED;
	return !c->file || !fflush(c->file) ? 0 : write_fail(c);
}

int capture_close(struct capture *c)
{
	int err;

	if (!c)
		return 0;
	err = c->file ? file_close(c) : 0;
	if (c->pcap)
		pcap_close(c->pcap);
	free(c->interfaces);
	free(c);
	return err;
}
