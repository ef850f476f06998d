// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What chains this kernel takes, found out by making one. */
#include <errno.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "bpf/info.h"
#include "bpf/object.h"
#include "chain/dispatcher.h"
#include "chain/probe.h"
#include "core/handle.h"
#include "progs/dispatcher.skel.h"

/* One program out of our dispatcher's object */
static int probe_open(const char *name, struct bpf_object **ret_obj, struct bpf_program **ret_prog)
{
	struct bpf_program *prog;
	const void *bytes;
	size_t size;

	bytes = dispatcher_bpf__elf_bytes(&size);
	*ret_obj = bpf_object__open_mem(bytes, size, NULL);
	if (libbpf_get_error(*ret_obj)) {
		*ret_obj = NULL;
		return -ENOMEM;
	}
	bpf_object__for_each_program (prog, *ret_obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	*ret_prog = bpf_object__find_program_by_name(*ret_obj, name);
	return 0;
}

/* Replace @function of the loaded program @target by program @name, as a chain does */
static int probe_replace(struct ecbpf *e, struct bpf_program *target, const char *function,
			 const char *name)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	struct bpf_object *obj = NULL;
	struct bpf_prog_info info = {};
	struct bpf_program *prog;
	int err, link = -1;
	struct btf *btf;

	err = probe_open(name, &obj, &prog);
	if (err)
		return err;
	bpf_program__set_type(prog, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(prog, 0);
	err = bpf_program__set_attach_target(prog, bpf_program__fd(target), function);
	if (!err)
		err = ecbpf_object_make(e, obj);
	if (!err)
		err = ecbpf_prog_info(bpf_program__fd(target), &info);
	if (err)
		goto out;
	err = ecbpf_prog_btf(&info, &btf);
	if (err)
		goto out;
	opts.target_btf_id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);
	btf__free(btf);
	link = bpf_link_create(bpf_program__fd(prog), bpf_program__fd(target), 0, &opts);
	err = link < 0 ? -errno : 0;
out:
	close_fd(&link);
	bpf_object__close(obj);
	return err;
}

/* What the kernel says where it has no freplace; EINVAL: its JIT is off */
static bool is_missing(int err)
{
	return err == -EPERM || err == -EOPNOTSUPP || err == -524 || err == -EINVAL;
}

int ecbpf_freplace_probe(struct ecbpf *e)
{
	struct bpf_program *target;
	struct bpf_object *obj;
	int err;

	if (e->freplace <= 0)
		return e->freplace ? -EOPNOTSUPP : 0;
	err = probe_open("xdp_pass", &obj, &target);
	if (!err)
		err = ecbpf_object_make(e, obj);
	if (!err)
		err = probe_replace(e, target, "xdp_pass", "xdp_pass");
	bpf_object__close(obj);
	if (err && !is_missing(err))
		return err;
	e->freplace = err;
	return err ? -EOPNOTSUPP : 0;
}

int ecbpf_resize_probe(struct ecbpf *e)
{
	struct dispatcher_config config = {
		.magic = DISPATCHER_MAGIC,
		.num_progs_enabled = 2,
	};
	struct dispatcher dispatcher = {};
	int err;

	err = ecbpf_dispatcher_open(e, false, &dispatcher);
	if (err)
		return err;
	config.dispatcher_version = dispatcher.protocol;
	err = ecbpf_dispatcher_load(e, &dispatcher, &config);
	if (!err)
		err = probe_replace(e, dispatcher.prog, "prog0", "xdp_resize");
	ecbpf_dispatcher_close(&dispatcher);
	return err;
}
