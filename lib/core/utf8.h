/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Characters of UTF-8, as RFC 3629 defines them */
#ifndef ECBPF_CORE_UTF8_H
#define ECBPF_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool utf8_is_tail(const unsigned char *p, size_t count)
{
	for (; count; count--, p++)
		if ((*p & 0xc0) != 0x80)
			return false;
	return true;
}

/*
 * Return: bytes of the character at @p, of which @left bytes are there; 0: they begin none. What is
 * longer than it need be, surrogates, and what is above U+10FFFF are none.
 */
static inline size_t utf8_len(const char *p, size_t left)
{
	const unsigned char *u = (const unsigned char *)p;

	if (!left || u[0] < 0x80)
		return left ? 1 : 0;
	if (u[0] < 0xe0)
		return u[0] >= 0xc2 && left >= 2 && utf8_is_tail(u + 1, 1) ? 2 : 0;
	if (u[0] < 0xf0) {
		if (left < 3 || !utf8_is_tail(u + 1, 2))
			return 0;
		return (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] >= 0xa0) ? 0 : 3;
	}
	if (u[0] > 0xf4 || left < 4 || !utf8_is_tail(u + 1, 3))
		return 0;
	return (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] >= 0x90) ? 0 : 4;
}

/* Likewise; 0 also for control characters: those of ASCII, and U+0080 to U+009F */
static inline size_t utf8_shown_len(const char *p, size_t left)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t len = utf8_len(p, left);

	if ((len == 1 && (u[0] < 0x20 || u[0] == 0x7f)) ||
	    (len == 2 && u[0] == 0xc2 && u[1] < 0xa0))
		return 0;
	return len;
}

#endif /* ECBPF_CORE_UTF8_H */
