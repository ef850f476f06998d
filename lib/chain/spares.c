// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that a process holds, to attach them again without loading them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/loaded.h"
#include "bpf/own_pins.h"
#include "bpf/pins.h"
#include "chain/spares.h"
#include "core/handle.h"
#include "core/iface.h"

struct spares *ecbpf_spares_new(void)
{
	struct spares *spares = calloc(1, sizeof(*spares));

	for (size_t i = 0; spares && i < SPARES_MAX; i++)
		spares->items[i].member.fd = -1;
	return spares;
}

void ecbpf_spares_drop(struct spares *spares)
{
	for (size_t i = 0; i < SPARES_MAX; i++)
		close_fd(&spares->items[i].member.fd);
}

void ecbpf_spares_free(struct spares *spares)
{
	if (spares)
		ecbpf_spares_drop(spares);
	free(spares);
}

static bool is_of(const struct spare *spare, const char *iface)
{
	return spare->member.fd >= 0 && !strcmp(spare->iface, iface);
}

/* Is what is attached to @iface held already? */
static bool is_held(const struct spares *spares, const char *iface, __u32 chain)
{
	for (size_t i = 0; i < SPARES_MAX; i++)
		if (is_of(&spares->items[i], iface) && spares->items[i].chain == chain)
			return true;
	return false;
}

static void forget(struct spares *spares, const char *iface)
{
	for (size_t i = 0; i < SPARES_MAX; i++)
		if (is_of(&spares->items[i], iface))
			close_fd(&spares->items[i].member.fd);
}

/* -ENOENT, -EPROTO: of another tool or version */
static int hold(struct ecbpf *e, const char *iface, __u32 chain, const struct member *m)
{
	struct spares *spares = e->spares;
	struct spare *spare = &spares->items[spares->next];
	int err, fd, pins = ecbpf_pins_of(e, m->fd);
	struct loaded loaded;

	err = pins < 0 ? pins : ecbpf_loaded_read(m->fd, &loaded);
	if (err || !loaded.is_owned || ecbpf_pins_are_others(e, m->fd))
		return err;
	fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	close_fd(&spare->member.fd);
	*spare = (struct spare){
		.chain = chain,
		.fingerprint = loaded.fingerprint,
		.pins = pins,
		.member = *m,
	};
	snprintf(spare->iface, sizeof(spare->iface), "%s", iface);
	spare->member.fd = fd;
	spares->next = (spares->next + 1) % SPARES_MAX;
	return 0;
}

int ecbpf_spares_hold(struct ecbpf *e, const char *iface)
{
	struct live live = {.fd = -1};
	enum ecbpf_mode mode;
	__u32 id = 0;
	int ifindex, err;

	ifindex = ecbpf_iface_index(e, iface);
	err = ifindex < 0 ? ifindex : ecbpf_attached(e, ifindex, &id, &mode);
	if (err || !id || is_held(e->spares, iface, id))
		return err;
	err = ecbpf_live_read(e, ifindex, &live);
	if (err)
		return err;
	forget(e->spares, iface);
	for (size_t i = 0; i < live.count && !err; i++) {
		err = hold(e, iface, live.id, &live.members[i]);
		if (err == -ENOENT || err == -EPROTO)
			err = 0;
	}
	if (err)
		ecbpf_fail(e, err, "%s: cannot hold its programs: %s", iface, strerror(-err));
	ecbpf_live_close(&live);
	return err;
}

bool ecbpf_spares_find(struct ecbpf *e, const char *iface, const char *name, __u64 fingerprint,
		       bool is_single, struct member *ret_member)
{
	for (size_t i = 0; e->spares && i < SPARES_MAX; i++) {
		const struct spare *spare = &e->spares->items[i];

		if (!is_of(spare, iface) || strcmp(spare->member.name, name) ||
		    spare->fingerprint != fingerprint || (spare->member.is_single && !is_single) ||
		    ecbpf_pins_of(e, spare->member.fd) != spare->pins)
			continue;
		*ret_member = spare->member;
		return true;
	}
	return false;
}
