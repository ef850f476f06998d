// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets of a pcapng file, see pcapng.h */
#include <byteswap.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "tools/fw/pcapng.h"

#define BLOCK_INTERFACE	 1
#define BLOCK_OLD_PACKET 2 /* obsolete */
#define BLOCK_SIMPLE	 3
#define BLOCK_PACKET	 6
#define BLOCK_MIN	 12
#define BLOCK_MAX	 (16 << 20) /* libpcap's, too */
#define SECTION_MAGIC	 0x1a2b3c4d
#define VERSION_MAJOR	 1
#define OPTION_END	 0
#define OPTION_FLAGS	 2  /* of packets */
#define OPTION_FCS	 13 /* of interfaces */
#define FLAGS_DIRECTION	 3
#define FLAGS_SENT	 2
#define FLAGS_FCS	 5 /* shift; 4 bits */
#define INTERFACES_MAX	 65536

struct interface {
	unsigned int link;
	size_t snap;
	unsigned int fcs;
};

/**
 * struct pcapng - a file that is read
 * @is_swapped: the section is in the other byte order
 * @interfaces: of the section
 * @block: body of the block, without its two lengths; @size: of it; @room: of the memory
 */
struct pcapng {
	FILE *file;
	bool has_section;
	bool is_swapped;
	struct interface *interfaces;
	size_t interfaces_count;
	__u8 *block;
	size_t size;
	size_t room;
	char error[128];
};

struct pcapng *pcapng_new(FILE *file)
{
	struct pcapng *p = calloc(1, sizeof(*p));

	if (p)
		p->file = file;
	return p;
}

void pcapng_free(struct pcapng *p)
{
	if (!p)
		return;
	free(p->interfaces);
	free(p->block);
	free(p);
}

const char *pcapng_error(const struct pcapng *p)
{
	return p->error;
}

__attribute__((format(printf, 3, 4))) static int fail(struct pcapng *p, int err, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->error, sizeof(p->error), format, args);
	va_end(args);
	return err;
}

static __u32 u32(const struct pcapng *p, const void *at)
{
	__u32 value;

	memcpy(&value, at, sizeof(value));
	return p->is_swapped ? bswap_32(value) : value;
}

static __u16 u16(const struct pcapng *p, const void *at)
{
	__u16 value;

	memcpy(&value, at, sizeof(value));
	return p->is_swapped ? bswap_16(value) : value;
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* Return: 1; 0 at the end of the file, if @may_end; -ENODATA; -EIO */
static int read_bytes(struct pcapng *p, void *at, size_t size, bool may_end)
{
	size_t got = fread(at, 1, size, p->file);

	if (got == size)
		return 1;
	if (ferror(p->file))
		return fail(p, -EIO, "%s", strerror(errno));
	if (!got && may_end)
		return 0;
	return fail(p, -ENODATA, "the file ends within a block");
}

/* Memory grows as bytes come: a length in a damaged file is not believed */
static int read_body(struct pcapng *p, size_t size)
{
	size_t room;
	int result;

	for (p->size = 0; p->size < size;) {
		if (p->size == p->room) {
			__u8 *more;

			room = p->room ? 2 * p->room : 4096;
			more = realloc(p->block, room);
			if (!more)
				return fail(p, -ENOMEM, "%s", strerror(ENOMEM));
			p->block = more;
			p->room = room;
		}
		room = (size < p->room ? size : p->room) - p->size;
		result = read_bytes(p, p->block + p->size, room, false);
		if (result < 0)
			return result;
		p->size += room;
	}
	return 1;
}

/* The rest of the head of a section, whose byte order is not that of the section before it */
static int section_begin(struct pcapng *p, __u32 *magic)
{
	int result = read_bytes(p, magic, sizeof(*magic), false);

	if (result < 0)
		return result;
	if (*magic != SECTION_MAGIC && *magic != bswap_32(SECTION_MAGIC))
		return fail(p, -EINVAL, "a section without its byte order");
	p->is_swapped = *magic != SECTION_MAGIC;
	p->interfaces_count = 0;
	p->has_section = true;
	return 1;
}

/* Read a block. Return: 1; 0 at the end; or an error */
static int read_block(struct pcapng *p, __u32 *ret_type)
{
	__u32 head[2], magic, length, end;
	int result = read_bytes(p, head, sizeof(head), true);
	size_t head_size = sizeof(head);

	if (result <= 0)
		return result;
	if (head[0] == PCAPNG_MAGIC) {
		result = section_begin(p, &magic);
		head_size += sizeof(magic);
	} else if (!p->has_section) {
		return fail(p, -EINVAL, "it does not begin with a section");
	}
	if (result < 0)
		return result;
	*ret_type = head[0] == PCAPNG_MAGIC ? head[0] : u32(p, &head[0]);
	length = u32(p, &head[1]);
	if (length < BLOCK_MIN || length < head_size + sizeof(end) || length % 4 ||
	    length > BLOCK_MAX)
		return fail(p, -EINVAL, "a block of %u bytes", length);
	result = read_body(p, length - head_size - sizeof(end));
	if (result > 0)
		result = read_bytes(p, &end, sizeof(end), false);
	if (result > 0 && u32(p, &end) != length)
		return fail(p, -EINVAL, "a block of %u bytes with %u at its end", length,
			    u32(p, &end));
	return result;
}

/* The value of the option @code in the block from @at on, of @size bytes; or NULL */
static const __u8 *find_option(const struct pcapng *p, size_t at, __u16 code, size_t size)
{
	while (at + 4 <= p->size) {
		size_t its_size = u16(p, p->block + at + 2);
		__u16 its_code = u16(p, p->block + at);

		at += 4;
		if (its_code == OPTION_END || its_size > p->size - at)
			break;
		if (its_code == code && its_size == size)
			return p->block + at;
		at += (its_size + 3) & ~(size_t)3;
	}
	return NULL;
}

static int add_interface(struct pcapng *p)
{
	struct interface *interface;
	const __u8 *fcs;

	if (p->size < 8)
		return fail(p, -EINVAL, "an interface of %zu bytes", p->size);
	if (p->interfaces_count == INTERFACES_MAX)
		return fail(p, -EINVAL, "more than %d interfaces", INTERFACES_MAX);
	if (!(p->interfaces_count & (p->interfaces_count - 1))) {
		interface = reallocarray(p->interfaces, 2 * p->interfaces_count + 1,
					 sizeof(*interface));
		if (!interface)
			return fail(p, -ENOMEM, "%s", strerror(ENOMEM));
		p->interfaces = interface;
	}
	interface = &p->interfaces[p->interfaces_count++];
	fcs = find_option(p, 8, OPTION_FCS, 1);
	*interface = (struct interface){
		.link = u16(p, p->block), .snap = u32(p, p->block + 4), .fcs = fcs ? *fcs : 0};
	return 0;
}

/* --- packets ---------------------------------------------------------------------------------- */

/* The packet whose bytes are at @at of the block, and its options behind them */
static int packet_make(struct pcapng *p, __u32 interface, size_t captured, size_t size, size_t at,
		       struct pcapng_packet *ret)
{
	const __u8 *option;
	__u32 flags;

	if (interface >= p->interfaces_count)
		return fail(p, -EINVAL, "a packet of interface %u, which is not there", interface);
	if (captured > p->size - at)
		return fail(p, -EINVAL, "a packet of %zu bytes in a block of %zu", captured,
			    p->size);
	*ret = (struct pcapng_packet){
		.data = p->block + at,
		.captured = captured,
		.size = size,
		.link = p->interfaces[interface].link,
		.fcs = p->interfaces[interface].fcs,
	};
	option = find_option(p, at + ((captured + 3) & ~(size_t)3), OPTION_FLAGS, sizeof(flags));
	if (!option)
		return 1;
	flags = u32(p, option);
	ret->is_sent = (flags & FLAGS_DIRECTION) == FLAGS_SENT;
	if (flags >> FLAGS_FCS & 15)
		ret->fcs = flags >> FLAGS_FCS & 15;
	return 1;
}

static int read_packet(struct pcapng *p, __u32 type, struct pcapng_packet *ret)
{
	const __u8 *block = p->block;
	size_t captured, size, snap;

	if (type == BLOCK_SIMPLE) {
		if (p->size < 4)
			return fail(p, -EINVAL, "a packet block of %zu bytes", p->size);
		size = u32(p, block);
		snap = p->interfaces_count ? p->interfaces[0].snap : 0;
		captured = snap && snap < size ? snap : size;
		return packet_make(p, 0, captured, size, 4, ret);
	}
	if (p->size < 20)
		return fail(p, -EINVAL, "a packet block of %zu bytes", p->size);
	return packet_make(p, type == BLOCK_PACKET ? u32(p, block) : u16(p, block),
			   u32(p, block + 12), u32(p, block + 16), 20, ret);
}

int pcapng_next(struct pcapng *p, struct pcapng_packet *ret_packet)
{
	__u32 type = 0;
	int result;

	while ((result = read_block(p, &type)) > 0) {
		switch (type) {
		case PCAPNG_MAGIC:
			if (p->size < 4 || u16(p, p->block) != VERSION_MAJOR)
				return fail(p, -EINVAL, "not version %d of pcapng", VERSION_MAJOR);
			break;
		case BLOCK_INTERFACE:
			result = add_interface(p);
			if (result < 0)
				return result;
			break;
		case BLOCK_OLD_PACKET:
		case BLOCK_SIMPLE:
		case BLOCK_PACKET:
			return read_packet(p, type, ret_packet);
		}
	}
	return result;
}
