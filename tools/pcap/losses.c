// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Losses, counted from gaps in the numbers of samples */
#include <string.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf.h>
#include "tools/pcap/losses.h"

#define ACTIONS (ECBPF_ACTION_INVALID + 1)

/*
 * Counting begins with the first sample of a sequence. The table is emptied when it is half full,
 * which takes hundreds of publishers, or one that sends false numbers; losses at that moment are
 * not counted.
 */
static struct track *track_find(struct losses *l, uint64_t publisher, uint32_t what)
{
	uint64_t hash = (publisher ^ what) * 0x9e3779b97f4a7c15ULL;
	struct track *t;

	if (l->tracks_used > LOSSES_TRACKS / 2) {
		memset(l->tracks, 0, sizeof(l->tracks));
		l->tracks_used = 0;
	}
	for (size_t i = hash >> 52;; i++) {
		t = &l->tracks[i % LOSSES_TRACKS];
		if (!t->is_used || (t->publisher == publisher && t->what == what))
			break;
	}
	if (!t->is_used) {
		l->tracks_used++;
		*t = (struct track){
			.publisher = publisher, .what = what, .is_used = true, .is_new = true};
	}
	return t;
}

void losses_count(struct losses *l, const Ecbpf__PacketSample *s)
{
	uint32_t action = s->action < ECBPF_ACTION_INVALID ? s->action : ECBPF_ACTION_INVALID;
	struct track *t;

	t = track_find(l, s->publisher, action);
	if (!t->is_new && s->bus_seq > t->next)
		l->on_bus += s->bus_seq - t->next;
	t->is_new = false;
	t->next = s->bus_seq + 1;
	t = track_find(l, s->publisher, ACTIONS + (s->cpu & 0xffff));
	if (!t->is_new && s->lost > t->lost)
		l->at_source += s->lost - t->lost;
	t->is_new = false;
	t->lost = s->lost;
}
