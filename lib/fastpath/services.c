// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The UDP services of IPVS whose flows get leases.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <linux/in.h>
#include <bpf/bpf.h>
#include "core/handle.h"
#include "fastpath/fastpath.h"
#include "fastpath/ipvs.h"

static struct ecbpf_udp_service udp_key(const struct ipvs_service *service)
{
	struct ecbpf_udp_service key = {.mark = service->mark, .port = htons(service->port)};

	memcpy(key.addr, service->addr, sizeof(key.addr));
	return key;
}

static bool udp_keeps_server(const struct ipvs_service *service)
{
	return !service->is_one_packet && (service->mark || service->proto == IPPROTO_UDP);
}

/* Remove keys from the map that are not among the services */
static void udp_remove(struct ecbpf *e, int fd, const struct ipvs_service *services, size_t count)
{
	struct ecbpf_udp_service key, next;
	bool is_last;

	is_last = bpf_map_get_next_key(fd, NULL, &next);
	while (!is_last) {
		bool is_wanted = false;

		key = next;
		is_last = bpf_map_get_next_key(fd, &key, &next);
		for (size_t i = 0; i < count; i++) {
			struct ecbpf_udp_service service = udp_key(&services[i]);

			if (udp_keeps_server(&services[i]) && !memcmp(&service, &key, sizeof(key)))
				is_wanted = true;
		}
		if (!is_wanted && !bpf_map_delete_elem(fd, &key))
			e->changed.removed++;
	}
}

int ecbpf_fastpath_refresh(struct ecbpf *e, size_t *ret_count)
{
	_cleanup_free_ struct ipvs_service *services = NULL;
	size_t services_count = 0, count = 0;
	_cleanup_close_ int fd = -1;
	__u8 value = 1;
	int err;

	ecbpf_capture(e);
	fd = fastpath_map_open(e, "fastpath_udp", NULL);
	if (fd < 0)
		return fd;
	err = ecbpf_ipvs_services(e, &services, &services_count);
	if (err && err != -ENOENT)
		return err;
	for (size_t i = 0; i < services_count; i++) {
		struct ecbpf_udp_service key = udp_key(&services[i]);

		if (!udp_keeps_server(&services[i]))
			continue;
		count++;
		if (!bpf_map_lookup_elem(fd, &key, &value))
			continue;
		if (bpf_map_update_elem(fd, &key, &value, BPF_ANY))
			return ecbpf_fail(e, -errno, "list of UDP services: %s",
					  errno == E2BIG ? "it is full" : strerror(errno));
		e->changed.added++;
	}
	udp_remove(e, fd, services, services_count);
	if (ret_count)
		*ret_count = count;
	return 0;
}
