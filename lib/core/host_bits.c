// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The one summary of prefixes that were written with bits behind their length, see host_bits.h.
 */
#include <stdio.h>
#include "core/diagnostic.h"
#include "core/handle.h"
#include "core/host_bits.h"

void ecbpf_host_bits_note(struct host_bits *bits, const char *text, size_t len,
			  const struct ecbpf_prefix *prefix)
{
	char taken[ECBPF_PREFIX_TEXT];

	if (bits->count++)
		return;
	ecbpf_prefix_format(prefix, taken);
	snprintf(bits->first, sizeof(bits->first), "'%s' is taken as %s", ecbpf_quote(text, len),
		 taken);
}

void ecbpf_host_bits_log(struct ecbpf *e, const struct host_bits *bits, const char *file)
{
	if (bits->count)
		ecbpf_log(e, ECBPF_LOG_WARN, "%s%s%zu prefix%s bits set behind the length: %s%s",
			  file ? file : "", file ? ": " : "", bits->count,
			  bits->count == 1 ? " has" : "es have", bits->first,
			  bits->count == 1 ? "" : ", and so on");
}
