// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The word that was probably meant */
#include <stdio.h>
#include <string.h>
#include "core/suggest.h"

/* How many letters to put in, take out or change, to make one of the other; at most @max + 1 */
static unsigned int distance(const char *a, const char *b, unsigned int max)
{
	unsigned int least;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a || !*b)
		return strlen(a) + strlen(b);
	if (!max)
		return 1;
	least = distance(a + 1, b + 1, max - 1);
	if (distance(a + 1, b, max - 1) < least)
		least = distance(a + 1, b, max - 1);
	if (distance(a, b + 1, max - 1) < least)
		least = distance(a, b + 1, max - 1);
	return least + 1;
}

void ecbpf_suggest(const char *word, const char *const *words, char *ret, size_t size)
{
	const char *nearest = NULL;
	unsigned int least = 3, d;
	size_t len;

	for (const char *const *w = words; *w; w++) {
		d = distance(word, *w, 2);
		if (d < least && d < strlen(word)) {
			least = d;
			nearest = *w;
		}
	}
	if (nearest) {
		snprintf(ret, size, "did you mean '%s'?", nearest);
		return;
	}
	len = snprintf(ret, size, "there are");
	for (const char *const *w = words; *w && len < size; w++)
		len += snprintf(ret + len, size - len, "%s %s", w == words ? "" : ",", *w);
}
