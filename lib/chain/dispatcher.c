// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The dispatcher program, libxdp's or ours: opening it, loading it, reading its configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/metadata.h"
#include "bpf/object.h"
#include "chain/dispatcher.h"
#include "core/handle.h"
#include "progs/dispatcher.skel.h"

void ecbpf_dispatcher_close(struct dispatcher *d)
{
	if (d->xdp)
		xdp_program__close(d->xdp);
	else
		bpf_object__close(d->obj);
	*d = (struct dispatcher){};
}

int ecbpf_dispatcher_open(struct ecbpf *e, bool ours, struct dispatcher *ret)
{
	struct dispatcher d = {};
	int err;

	if (ours) {
		LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = DISPATCHER_NAME);
		size_t size;
		const void *bytes = dispatcher_bpf__elf_bytes(&size);

		d.obj = bpf_object__open_mem(bytes, size, &opts);
		err = libbpf_get_error(d.obj);
	} else {
		DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .find_filename = DISPATCHER_FILE,
				    .prog_name = DISPATCHER_NAME);

		d.xdp = xdp_program__create(&opts);
		err = libxdp_get_error(d.xdp);
		if (!err)
			d.obj = xdp_program__bpf_obj(d.xdp);
	}
	if (err)
		return ecbpf_fail(e, err,
				  "cannot open libxdp's dispatcher, %s (package libxdp1): %s",
				  DISPATCHER_FILE, strerror(-err));
	d.prog = bpf_object__find_program_by_name(d.obj, DISPATCHER_NAME);
	if (!d.prog ||
	    !ecbpf_btf_number(bpf_object__btf(d.obj), "xdp_metadata", "dispatcher_version",
			      &d.protocol) ||
	    d.protocol < 2 || d.protocol > 3) {
		ecbpf_dispatcher_close(&d);
		return ecbpf_fail(e, -EPROTO,
				  "libxdp's dispatcher speaks a protocol that is not 2 or 3");
	}
	*ret = d;
	return 0;
}

int ecbpf_dispatcher_protocol(struct ecbpf *e, __u32 *ret_protocol)
{
	struct dispatcher dispatcher = {};
	int err;

	err = ecbpf_dispatcher_open(e, false, &dispatcher);
	if (err)
		return err;
	*ret_protocol = dispatcher.protocol;
	ecbpf_dispatcher_close(&dispatcher);
	return 0;
}

/* Load it with this configuration */
int ecbpf_dispatcher_load(struct ecbpf *e, struct dispatcher *d,
			  const struct dispatcher_config *config)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	size_t size;
	void *value;
	int err;

	map = bpf_object__next_map(d->obj, NULL);
	value = map ? (void *)bpf_map__initial_value(map, &size) : NULL;
	if (!value || size > sizeof(*config))
		return ecbpf_fail(e, -EPROTO,
				  "libxdp's dispatcher has no configuration of known size");
	memcpy(value, config, size);
	bpf_object__for_each_program (prog, d->obj)
		bpf_program__set_autoload(prog, prog == d->prog);
	if (config->is_xdp_frags)
		bpf_program__set_flags(d->prog, bpf_program__flags(d->prog) | BPF_F_XDP_HAS_FRAGS);
	err = ecbpf_object_make(e, d->obj);
	if (err == -EBADMSG)
		return err;
	if (err == -EPERM)
		return ecbpf_fail(e, err,
				  "permission denied: must be root, or have CAP_BPF, "
				  "CAP_PERFMON and CAP_NET_ADMIN");
	if (err)
		return ecbpf_fail(e, err, "the kernel refuses libxdp's dispatcher: %s",
				  strerror(-err));
	return 0;
}

int ecbpf_dispatcher_config(int prog_fd, const struct bpf_prog_info *info,
			    struct dispatcher_config *ret_config)
{
	struct dispatcher_config config = {};
	_cleanup_free_ char *value = NULL;
	_cleanup_close_ int fd = -1;
	struct bpf_map_info map;
	__u32 key = 0;

	if (strcmp(info->name, DISPATCHER_NAME) || info->nr_map_ids != 1)
		return -ENOENT;
	fd = ecbpf_prog_map(prog_fd, ".rodata", &map);
	if (fd < 0)
		return fd;
	value = calloc(1, map.value_size);
	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &key, value))
		return -errno;
	memcpy(&config, value, map.value_size < sizeof(config) ? map.value_size : sizeof(config));
	if (config.magic != DISPATCHER_MAGIC)
		return -EPROTO; /* protocol 1 (before libxdp 1.3), or not libxdp's */
	if (config.num_progs_enabled > DISPATCHER_MEMBERS)
		return -EPROTO;
	*ret_config = config;
	return 0;
}
