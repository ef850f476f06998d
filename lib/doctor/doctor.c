// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The doctor: what is known to go wrong, looked for by asking the kernel, not by believing pins.
 *
 * A check is a function; it adds what it found with add(), why() and fix(), and at least one
 * finding that all is well if it is. ECBPF_ERROR: traffic is not handled as asked, or nobody can
 * tell. Codes are ABI. See the tables at the end for which checks there are.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <bpf/btf.h>
#include <linux/capability.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/info.h"
#include "bpf/lock.h"
#include "bpf/metadata.h"
#include "bpf/pins.h"
#include "bpf/probe.h"
#include "chain/dispatcher.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "chain/probe.h"
#include "core/handle.h"
#include "core/iface.h"
#include "fastpath/fastpath.h"

#define KERNEL_MAJOR  5 /* the oldest that can put chains together step by step */
#define KERNEL_MINOR  10
#define NATIVE_MTU    3498 /* about what one page takes besides headroom and tailroom */
#define FEATURE_BASIC 1	   /* NETDEV_XDP_ACT_BASIC; not in the headers of Linux 6.1 */
#define FREE_WAIT_MS  1000 /* how long the kernel may take to free what nobody holds */

/* A freplace program at work */
struct link {
	__u32 id;
	__u32 prog_id;
	__u32 target_id; /* the dispatcher; 0: this kernel does not say (before 5.13) */
};

struct doctor {
	struct ecbpf *e;
	struct ecbpf_finding *findings;
	size_t count;
	struct ecbpf_finding lost; /* where findings go when memory is short */
	bool can_look;		   /* has the privilege */
	bool has_bpffs;
	bool has_other_schema; /* maps that are pinned */
	__u32 protocol;	       /* that of libxdp's dispatcher; 0: not known */
	struct link *links;
	size_t links_count;
};

/* How many of a chain's members run: @some for certain, and not more than @most */
struct running {
	size_t some;
	size_t most;
};

/* --- findings ----------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static struct ecbpf_finding *
add(struct doctor *d, enum ecbpf_severity severity, const char *iface, const char *code,
    const char *what, ...)
{
	struct ecbpf_finding *f = &d->lost, *findings;
	va_list args;

	findings = reallocarray(d->findings, d->count + 1, sizeof(*findings));
	if (findings) {
		d->findings = findings;
		f = &findings[d->count++];
	}
	*f = (struct ecbpf_finding){.severity = severity};
	snprintf(f->iface, sizeof(f->iface), "%s", iface);
	snprintf(f->code, sizeof(f->code), "%s", code);
	va_start(args, what);
	vsnprintf(f->what, sizeof(f->what), what, args);
	va_end(args);
	return f;
}

__attribute__((format(printf, 2, 3))) static void why(struct ecbpf_finding *f, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->why, sizeof(f->why), format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3))) static void fix(struct ecbpf_finding *f, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->fix, sizeof(f->fix), format, args);
	va_end(args);
}

/* The worst first; of the same severity, the host first, then as they were found */
static bool is_before(const struct ecbpf_finding *a, const struct ecbpf_finding *b)
{
	if (a->severity != b->severity)
		return a->severity > b->severity;
	return !a->iface[0] && b->iface[0];
}

static void sort(struct ecbpf_finding *findings, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct ecbpf_finding f = findings[i];
		size_t to = i;

		for (; to && is_before(&f, &findings[to - 1]); to--)
			findings[to] = findings[to - 1];
		findings[to] = f;
	}
}

/* Append to a string in a buffer, as far as it fits */
__attribute__((format(printf, 3, 4))) static void append(char *to, size_t size, const char *format,
							 ...)
{
	size_t len = strlen(to);
	va_list args;

	va_start(args, format);
	vsnprintf(to + len, size - len, format, args);
	va_end(args);
}

/* --- what the kernel says ----------------------------------------------------------------- */

/* A dispatcher's pinned links say which target they have, where the kernel does not */
static int resolve_targets(struct ecbpf *e, int ifindex, __u32 id, void *data)
{
	struct doctor *d = data;
	char path[PATH_MAX];

	for (int slot = 0; slot < DISPATCHER_MEMBERS; slot++) {
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		int fd;

		if (ecbpf_member_path(e, path, sizeof(path), ifindex, id, slot, "link"))
			return 0;
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
			for (size_t i = 0; i < d->links_count; i++) {
				if (d->links[i].id == info.id && !d->links[i].target_id)
					d->links[i].target_id = id;
			}
		}
		close(fd);
	}
	return 0;
}

static void read_links(struct doctor *d)
{
	bool has_unknown = false;
	__u32 id = 0;

	d->links_count = 0;
	while (!bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);
		struct link *links;

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
		    info.type != BPF_LINK_TYPE_TRACING)
			continue;
		/* tracers of a dispatcher (xdpdump) are no members of it */
		if (info.tracing.attach_type == BPF_TRACE_FENTRY ||
		    info.tracing.attach_type == BPF_TRACE_FEXIT ||
		    info.tracing.attach_type == BPF_MODIFY_RETURN)
			continue;
		links = reallocarray(d->links, d->links_count + 1, sizeof(*links));
		if (!links)
			return;
		d->links = links;
		links[d->links_count++] = (struct link){
			.id = id,
			.prog_id = info.prog_id,
			.target_id = info.tracing.target_obj_id,
		};
		has_unknown |= !info.tracing.target_obj_id;
	}
	if (has_unknown && d->has_bpffs)
		ecbpf_for_each_dispatcher(d->e, resolve_targets, d);
}

/* Members of @dispatcher that run; @prog_id: this one only, or 0 */
static struct running count_running(const struct doctor *d, __u32 dispatcher, __u32 prog_id)
{
	struct running running = {};

	for (size_t i = 0; i < d->links_count; i++) {
		const struct link *l = &d->links[i];

		if (prog_id && l->prog_id != prog_id)
			continue;
		running.some += l->target_id == dispatcher;
		running.most += l->target_id == dispatcher || !l->target_id;
	}
	return running;
}

static struct btf *btf_of_prog(__u32 id)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};

	if (fd < 0 || ecbpf_prog_info(fd, &info) || !info.btf_id)
		return NULL;
	return btf__load_from_kernel_by_id(info.btf_id);
}

static bool dispatcher_config(__u32 id, struct dispatcher_config *ret)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};

	return fd >= 0 && !ecbpf_prog_info(fd, &info) && !ecbpf_dispatcher_config(fd, &info, ret);
}

/* --- the commands that mend --------------------------------------------------------------- */

/* The stage that a member is, and nothing else about it is known; NULL: none of ours, or fused */
static const char *stage_of(const struct ecbpf_member *m)
{
	return m->stages_count == 1 ? ecbpf_stage_name(m->stages[0].stage) : NULL;
}

static size_t count_stage(const struct ecbpf_chain *chain, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < chain->members_count; i++) {
		const char *stage = stage_of(&chain->members[i]);

		count += stage && !strcmp(stage, name);
	}
	return count;
}

/* Would a plain `load STAGE` make this member? */
static bool is_plain(const struct ecbpf_member *m)
{
#define X(value, NAME, name, run_prio, text)                                       \
	if (stage_of(m) && m->stages[0].stage == (value) && m->prio == (run_prio)) \
		return m->actions == 1U << XDP_PASS;
	ECBPF_STAGES(X)
#undef X
	return false;
}

/* Take it down, and load it again if it is known what it was */
static void fix_reload(struct ecbpf_finding *f, const struct ecbpf_chain *chain, const char *also)
{
	bool known = chain->kind == ECBPF_CHAIN_DISPATCHER;
	char stages[sizeof(f->fix)] = "";

	for (size_t i = 0; i < chain->members_count && known; i++) {
		known = is_plain(&chain->members[i]);
		if (known)
			append(stages, sizeof(stages), " %s", stage_of(&chain->members[i]));
	}
	if (known)
		fix(f, "ecbpf-loader unload --all %s%s && ecbpf-loader load %s%s", chain->iface,
		    also, chain->iface, stages);
	else
		fix(f, "ecbpf-loader unload --all %s%s", chain->iface, also);
}

/* Any change puts a chain together anew: one that leaves it as it was. By stages without settings
 */
static void fix_rebuild(const struct doctor *d, struct ecbpf_finding *f,
			const struct ecbpf_chain *chain)
{
	static const char *const stages[] = {"pass", "count"};
	bool can_change = d->protocol == chain->protocol && !d->has_other_schema;

	for (size_t i = 0; i < ARRAY_SIZE(stages) && can_change; i++) {
		size_t count = count_stage(chain, stages[i]);

		if (count == 1) {
			fix(f, "ecbpf-loader replace %s %s %s", chain->iface, stages[i], stages[i]);
			return;
		}
		if (!count && chain->members_count < DISPATCHER_MEMBERS) {
			fix(f, "ecbpf-loader load %s %s && ecbpf-loader unload %s --name %s",
			    chain->iface, stages[i], chain->iface, stages[i]);
			return;
		}
	}
	fix_reload(f, chain, "");
}

/* --- the host ----------------------------------------------------------------------------- */

static void check_kernel(struct doctor *d)
{
	struct ecbpf_finding *f;
	int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		name.release[0] = '\0';
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)) {
		add(d, ECBPF_OK, "", "kernel", "Linux %s", name.release);
		return;
	}
	f = add(d, ECBPF_ERROR, "", "kernel-old", "Linux %s is older than %d.%d", name.release,
		KERNEL_MAJOR, KERNEL_MINOR);
	why(f, "it cannot change chains of XDP programs");
}

static unsigned long long effective_capabilities(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *file;

	file = fopen("/proc/self/status", "re");
	if (!file)
		return geteuid() ? 0 : ~0ULL;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	}
	fclose(file);
	return caps;
}

/* Programs, maps and links of others can be looked at with CAP_SYS_ADMIN only; it implies CAP_BPF
 * and CAP_PERFMON */
static void check_privilege(struct doctor *d)
{
	unsigned long long caps = effective_capabilities();
	bool has_admin = caps & 1ULL << CAP_SYS_ADMIN, has_net = caps & 1ULL << CAP_NET_ADMIN;
	struct ecbpf_finding *f;

	d->can_look = has_admin && has_net;
	if (d->can_look) {
		add(d, ECBPF_OK, "", "privilege", "CAP_SYS_ADMIN, CAP_NET_ADMIN are there");
		return;
	}
	f = add(d, ECBPF_ERROR, "", "privilege", "not permitted to look: missing%s%s",
		has_admin ? "" : " CAP_SYS_ADMIN", has_net ? "" : " CAP_NET_ADMIN");
	why(f, "XDP programs can be neither examined nor changed; nothing else was checked");
	fix(f, "sudo ecbpf-loader doctor");
}

static void check_jit(struct doctor *d)
{
	_cleanup_close_ int fd = ecbpf_probe_load(BPF_PROG_TYPE_XDP, 0);
	struct bpf_prog_info info = {};
	struct ecbpf_finding *f;

	if (fd < 0) {
		f = add(d, ECBPF_ERROR, "", "bpf-refused", "the kernel loads no XDP program: %s",
			strerror(-fd));
		why(f, "none can run");
		return;
	}
	if (!ecbpf_prog_info(fd, &info) && !info.jited_prog_len) {
		f = add(d, ECBPF_WARNING, "", "jit-off", "BPF programs are interpreted (no JIT)");
		why(f, "they take many times as long, and cannot be chained");
		/* the setting is seen in the first network namespace only */
		fix(f, "nsenter --net=/proc/1/ns/net sysctl -w net.core.bpf_jit_enable=1");
	} else {
		add(d, ECBPF_OK, "", "jit", "BPF programs are compiled (JIT)");
	}
}

static void check_freplace(struct doctor *d)
{
	struct ecbpf_finding *f;
	int err;

	err = ecbpf_freplace_probe(d->e);
	if (!err) {
		add(d, ECBPF_OK, "", "freplace", "the kernel can replace BPF functions");
		return;
	}
	f = add(d, ECBPF_NOTE, "", "freplace-missing",
		"the kernel cannot replace BPF functions (freplace: %s)", strerror(-err));
	why(f, "programs cannot be chained; our stages can run in one program "
	       "('ecbpf-loader load --fused STAGE[,STAGE...] IFACE'), others alone");
}

static void check_frags(struct doctor *d)
{
	struct ecbpf_finding *f;

	if (!ecbpf_frags_probe(d->e)) {
		add(d, ECBPF_OK, "", "frags", "the kernel has XDP for packets in fragments");
		return;
	}
	f = add(d, ECBPF_NOTE, "", "frags-missing",
		"the kernel has no XDP for packets in fragments (5.18)");
	why(f, "native mode works up to an MTU of about %d", NATIVE_MTU);
}

static void check_bpffs(struct doctor *d)
{
	const char *path = secure_getenv("LIBXDP_BPFFS");
	struct ecbpf_finding *f;
	struct stat st;
	int err;

	err = ecbpf_bpffs_open(d->e, false);
	d->has_bpffs = !err;
	if (!err) {
		add(d, ECBPF_OK, "", "bpffs", "BPF file system at %s", d->e->bpffs);
		return;
	}
	if (!path)
		path = "/sys/fs/bpf";
	d->e->bpffs[0] = '\0';
	f = add(d, ECBPF_ERROR, "", "bpffs-missing", "no BPF file system at %s", path);
	why(f, "chains and maps are kept there: nothing can be loaded, and no chain be told to be "
	       "whole");
	if (err == -ENODEV)
		fix(f, "%s%s%smount -t bpf bpf %s", stat(path, &st) ? "mkdir -p " : "",
		    stat(path, &st) ? path : "", stat(path, &st) ? " && " : "", path);
}

/* The library that runs, not the one that was there when we were built */
static int find_libxdp(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libxdp.so"))
		return 0;
	return !!realpath(info->dlpi_name, data);
}

static void check_libxdp(struct doctor *d)
{
	char library[PATH_MAX] = "libxdp", *name;
	struct ecbpf_finding *f;
	int err;

	dl_iterate_phdr(find_libxdp, library);
	name = strrchr(library, '/');
	name = name ? name + 1 : library;
	err = ecbpf_dispatcher_protocol(d->e, &d->protocol);
	if (err) {
		f = add(d, ECBPF_ERROR, "", "libxdp-dispatcher", "%.200s", d->e->error);
		why(f, "nothing can be chained");
		fix(f, "apt-get install --reinstall libxdp1");
		return;
	}
	add(d, ECBPF_OK, "", "libxdp", "%.64s, dispatcher protocol %u", name, d->protocol);
}

/*
 * Since Linux 6.12 a program that resizes packets may not replace a function which does not, and
 * libxdp's dispatcher before 1.5.5 has no function that does. Distributions mix both; only trying
 * tells.
 */
static void check_resize(struct doctor *d)
{
	struct ecbpf_finding *f;
	int err;

	if (!d->protocol || ecbpf_freplace_probe(d->e))
		return;
	err = ecbpf_resize_probe(d->e);
	if (!err) {
		add(d, ECBPF_OK, "", "resize", "programs that resize packets can be chained");
		return;
	}
	f = add(d, d->protocol == 2 ? ECBPF_NOTE : ECBPF_WARNING, "", "resize-refused",
		"this kernel refuses libxdp's dispatcher to chain programs that resize packets "
		"(%s)",
		strerror(-err));
	if (d->protocol == 2)
		why(f, "ecbpf uses a dispatcher of its own where needed; other tools cannot load "
		       "such programs until libxdp is 1.5.5");
	else
		why(f, "such programs can only run alone");
}

struct pins {
	struct doctor *d;
	size_t count;
	size_t other; /* of another schema */
	__u32 schema;
	char path[128]; /* one of these */
};

static int look_at_pin(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), schema;
	struct pins *pins = data;
	struct btf *btf;
	int fd;

	(void)e;
	if (is_symlink)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
		pins->count++;
		btf = info.btf_id ? btf__load_from_kernel_by_id(info.btf_id) : NULL;
		schema = ecbpf_btf_schema(btf);
		btf__free(btf);
		if (schema && schema != ECBPF_SCHEMA) {
			pins->other++;
			pins->schema = schema;
			snprintf(pins->path, sizeof(pins->path), "%s", path);
		}
	}
	close(fd);
	return 0;
}

/* " eth0 eth1": interfaces with a member of another schema */
static void ifaces_of_other_schema(struct doctor *d, char *ret, size_t size)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct ecbpf_chain *chain;
		bool has = false;

		if (ecbpf_chain_get(d->e, i->if_name, &chain))
			continue;
		for (size_t m = 0; m < chain->members_count; m++)
			has |= chain->members[m].is_ours &&
			       chain->members[m].schema != ECBPF_SCHEMA;
		if (has)
			append(ret, size, " %s", i->if_name);
		ecbpf_chain_free(chain);
	}
	if_freenameindex(all);
}

static void check_maps(struct doctor *d)
{
	struct pins pins = {.d = d};
	struct ecbpf_finding *f;
	char ifaces[160] = "";

	if (!d->has_bpffs || ecbpf_for_each_pin(d->e, look_at_pin, &pins))
		return;
	if (pins.other) {
		d->has_other_schema = true;
		ifaces_of_other_schema(d, ifaces, sizeof(ifaces));
		f = add(d, ECBPF_ERROR, "", "schema-maps", "%s is of schema %u, this ecbpf has %u",
			pins.path, pins.schema, ECBPF_SCHEMA);
		why(f, "made by another version of ecbpf: no program of ours can be loaded beside");
		fix(f, "%s%s%secbpf-loader clean", *ifaces ? "ecbpf-loader unload --all" : "",
		    ifaces, *ifaces ? " && " : "");
	} else if (pins.count && !ecbpf_pins_are_used(d->e)) {
		f = add(d, ECBPF_NOTE, "", "maps-unused",
			"%zu maps in %s/ecbpf, used by no program", pins.count, d->e->bpffs);
		why(f, "they keep memory, and what was in them for the next load");
		fix(f, "ecbpf-loader clean");
	} else if (pins.count) {
		add(d, ECBPF_OK, "", "maps", "%zu maps in %s/ecbpf, of schema %u", pins.count,
		    d->e->bpffs, ECBPF_SCHEMA);
	}
}

/* The XDP program is there, somewhere; so what it needs has to be */
static void check_fastpath_ports(struct doctor *d, const struct fastpath_look *look)
{
	struct ecbpf_finding *f;

	if (!look->is_on) {
		f = add(d, ECBPF_ERROR, "", "fastpath-off",
			"the fast path is loaded, and off: its load or unload was killed, or %s",
			"'ecbpf-loader' has loaded the stage without the rest of it");
		why(f, "all packets go up to IPVS");
		fix(f, "ecbpf-fastpath unload");
		return;
	}
	for (size_t i = 0; i < look->ports_count; i++) {
		const struct ecbpf_fastpath_port *port = &look->ports[i];

		if (port->is_out && port->is_port && port->is_current)
			continue;
		if (!port->is_out) {
			f = add(d, ECBPF_ERROR, port->iface, "fastpath-egress",
				"the fast path's program at TC egress is gone");
			why(f, "it sees nothing of what the kernel sends there: no leases for "
			       "packets that leave by it, and a reset does not end one");
		} else if (!port->is_port) {
			f = add(d, ECBPF_WARNING, port->iface, "fastpath-port",
				"the fast path forwards nothing to it: a load was killed");
			why(f, "packets that are to leave by it go up to IPVS");
		} else {
			f = add(d, ECBPF_WARNING, port->iface, "fastpath-version",
				"the fast path's program at TC egress is one of another version");
			why(f, "what was mended in it since is not there");
		}
		fix(f, "ecbpf-fastpath refresh");
	}
}

static void check_fastpath(struct doctor *d)
{
	struct fastpath_look look = {};
	size_t count = d->count, in = 0;
	struct ecbpf_finding *f;

	if (!d->has_bpffs || ecbpf_fastpath_look(d->e, &look))
		return;
	for (size_t i = 0; i < look.ports_count; i++)
		in += look.ports[i].is_in;
	if (in) {
		check_fastpath_ports(d, &look);
	} else {
		f = add(d, ECBPF_WARNING, "", "fastpath-no-program",
			"the fast path's table is there (%llu MiB), and no interface has its XDP "
			"program",
			look.megabytes);
		why(f, "nothing is forwarded; its load or unload was killed, or somebody else has "
		       "removed the program");
		fix(f, "ecbpf-fastpath unload");
	}
	if (look.is_unfit) {
		f = add(d, ECBPF_WARNING, "", "fastpath-timeouts", "%s", look.text);
		why(f, "IPVS may forget connections that the fast path forwards");
		fix(f, "ecbpf-fastpath set inactive=%u sample=%u", look.better.inactive_ms,
		    look.better.sample_ms);
	}
	if (d->count == count)
		add(d, ECBPF_OK, "", "fastpath", "the fast path: on %zu interface%s", in,
		    in > 1 ? "s" : "");
	free(look.ports);
}

/* Is there a process or a mount in network namespace "net:[INODE]"? */
static bool netns_is_known(const char *netns)
{
	char path[64], line[4096], found[NETNS_SIZE];
	struct dirent *entry;
	bool known = false;
	FILE *mounts;
	ssize_t len;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && !known && (entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/ns/net", entry->d_name);
		len = readlink(path, found, sizeof(found) - 1);
		found[len > 0 ? len : 0] = '\0';
		known = !strcmp(found, netns);
	}
	if (dir)
		closedir(dir);
	mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts && !known && fgets(line, sizeof(line), mounts))
		known = strstr(line, netns);
	if (mounts)
		fclose(mounts);
	return known;
}

struct stale {
	struct doctor *d;
	size_t stale;
	size_t elsewhere;
	char first_stale[32]; /* dispatch-IFINDEX-ID */
	char first_elsewhere[32];
};

static int look_at_dispatcher(struct ecbpf *e, int ifindex, __u32 id, void *data)
{
	struct stale *s = data;
	char netns[NETNS_SIZE], name[32];
	struct ecbpf_finding *f;
	enum ecbpf_mode mode;
	__u32 now = 0;

	if (!ecbpf_attached(e, ifindex, &now, &mode) && now == id)
		return 0;
	snprintf(name, sizeof(name), "dispatch-%d-%u", ifindex, id);
	if (!ecbpf_netns_is_other(e, ifindex, id, netns)) {
		if (!s->stale++)
			strcpy(s->first_stale, name);
		return 0;
	}
	if (netns_is_known(netns)) {
		if (!s->elsewhere++)
			strcpy(s->first_elsewhere, name);
		return 0;
	}
	f = add(s->d, ECBPF_WARNING, "", "netns-gone",
		"%s: pins of network namespace %s, which no process and no mount here is of", name,
		netns);
	why(f, "if it is gone, they keep programs and memory for nothing");
	if (strlen(e->bpffs) < 64)
		fix(f, "rm -r %s/xdp/%s %s/ecbpf/%s", e->bpffs, name, e->bpffs, name);
	return 0;
}

static void check_pins(struct doctor *d)
{
	struct stale s = {.d = d};
	struct ecbpf_finding *f;

	if (!d->has_bpffs || ecbpf_for_each_dispatcher(d->e, look_at_dispatcher, &s))
		return;
	if (s.stale) {
		f = add(d, ECBPF_WARNING, "", "stale-pins",
			"pins of %zu dispatchers that are attached to no interface here: %s%s",
			s.stale, s.first_stale, s.stale > 1 ? ", ..." : "");
		why(f, "an interrupted load left them, and they keep programs and memory; unless "
		       "another tool made them in another network namespace");
		fix(f, "ecbpf-loader clean");
	}
	if (s.elsewhere) {
		f = add(d, ECBPF_WARNING, "", "netns-shared",
			"pins of %zu dispatchers of other network namespaces: %s%s", s.elsewhere,
			s.first_elsewhere, s.elsewhere > 1 ? ", ..." : "");
		why(f, "ecbpf leaves them alone, but 'xdp-loader clean' here makes their chains "
		       "fail open: give each namespace a BPF file system (LIBXDP_BPFFS)");
	}
	if (!s.stale && !s.elsewhere)
		add(d, ECBPF_OK, "", "pins", "no pins without an interface");
}

/* --- an interface ------------------------------------------------------------------------- */

static void check_none(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;
	int mtu = ecbpf_iface_mtu(chain->iface);

	if (chain->kind != ECBPF_CHAIN_NONE)
		return;
	f = add(d, ECBPF_NOTE, chain->iface, "no-program", "no XDP program is attached");
	why(f, "all packets go up to the stack");
	if (mtu <= NATIVE_MTU)
		return;
	f = add(d, ECBPF_NOTE, chain->iface, "mtu-large", "its MTU is %d", mtu);
	if (ecbpf_frags_probe(d->e))
		why(f, "this kernel attaches no program in native mode above about %d", NATIVE_MTU);
	else
		why(f,
		    "in native mode only programs that take fragments can be attached above "
		    "about %d",
		    NATIVE_MTU);
	fix(f, "ip link set %s mtu 1500", chain->iface);
}

static void check_single(struct doctor *d, const struct ecbpf_chain *chain)
{
	const struct ecbpf_member *m = chain->members;
	struct ecbpf_finding *f;
	struct btf *btf;
	__u32 version;

	if (chain->kind != ECBPF_CHAIN_SINGLE || chain->mode == ECBPF_MODE_UNSPEC)
		return;
	if (!strcmp(m->name, DISPATCHER_NAME)) {
		btf = btf_of_prog(m->id);
		if (!ecbpf_btf_number(btf, "xdp_metadata", "dispatcher_version", &version))
			version = 0;
		btf__free(btf);
		f = add(d, ECBPF_WARNING, chain->iface, "protocol-unknown",
			"its chain is of dispatcher protocol %u, which ecbpf does not speak",
			version);
		why(f, "its members can be neither seen nor changed from here");
		fix(f, "ecbpf-loader unload --all %s && ecbpf-loader clean %s", chain->iface,
		    chain->iface);
	} else if (m->is_ours && !strcmp(m->name, "ecbpf_fused")) {
		if (ecbpf_freplace_probe(d->e)) {
			add(d, ECBPF_OK, chain->iface, "direct",
			    "%s (id %u) is attached without a dispatcher, as this kernel wants it",
			    m->name, m->id);
			return;
		}
		f = add(d, ECBPF_NOTE, chain->iface, "direct",
			"%s (id %u) is attached without a dispatcher", m->name, m->id);
		why(f, "it works, but nothing can be added to it");
	} else {
		f = add(d, ECBPF_WARNING, chain->iface, "no-dispatcher",
			"%s (id %u) is attached without a dispatcher", m->name, m->id);
		why(f, "it runs, but alone: nothing can be added, every load is refused");
		fix(f, "ecbpf-loader unload --all %s", chain->iface);
	}
}

/* Give the kernel time to free what was unpinned just now, lest it pass for running */
static bool wait_for_change(struct doctor *d, int *ms)
{
	if (*ms >= FREE_WAIT_MS)
		return false;
	*ms += 50;
	nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
	read_links(d);
	return true;
}

/* Pins are there as it seems: does every member run? */
static void check_members(struct doctor *d, const struct ecbpf_chain *chain)
{
	size_t stopped, unpinned, unknown;
	struct ecbpf_finding *f;
	char names[128];
	int ms = 0;

	if (chain->kind != ECBPF_CHAIN_DISPATCHER)
		return;
	do {
		stopped = unpinned = unknown = 0;
		*names = '\0';
		for (size_t i = 0; i < chain->members_count; i++) {
			const struct ecbpf_member *m = &chain->members[i];
			struct running running = count_running(d, chain->id, m->id);

			if (running.most && m->has_link)
				continue;
			stopped += !running.most;
			unpinned += !!running.some;
			unknown += !running.some && running.most;
			append(names, sizeof(names), "%s%s (id %u)", *names ? ", " : "", m->name,
			       m->id);
		}
	} while (unpinned + unknown && wait_for_change(d, &ms));

	if (stopped) {
		f = add(d, ECBPF_ERROR, chain->iface, "fails-open",
			"looks attached but fails open: %zu of %zu members run; not %s",
			chain->members_count - stopped, chain->members_count, names);
		why(f, "its link is gone, so the dispatcher passes packets by");
		fix_rebuild(d, f, chain);
	} else if (unpinned + unknown) {
		f = add(d, ECBPF_WARNING, chain->iface, "link-unpinned",
			"%s the link of %s is not pinned here",
			unknown ? "this kernel does not tell whether all run:" : "all run, but",
			names);
		why(f, "who holds it elsewhere can let go of it, and packets pass by");
		fix_rebuild(d, f, chain);
	} else {
		add(d, ECBPF_OK, chain->iface, "members", "%zu of %zu members run",
		    chain->members_count, chain->members_count);
	}
}

/* A dispatcher whose pins are not here: lost, or in another mount namespace's BPF file system */
static void check_broken(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct dispatcher_config config = {};
	struct ecbpf_finding *f;
	struct running running;
	int ms = 0;

	if (chain->kind != ECBPF_CHAIN_BROKEN)
		return;
	dispatcher_config(chain->id, &config);
	do
		running = count_running(d, chain->id, 0);
	while (running.most >= config.num_progs_enabled && wait_for_change(d, &ms));

	if (running.most < config.num_progs_enabled) {
		f = add(d, ECBPF_ERROR, chain->iface, "fails-open",
			"looks attached but fails open: %s%zu of %u members run",
			running.some < running.most ? "at most " : "", running.most,
			config.num_progs_enabled);
		why(f, "their pins were removed, or were in a mount namespace that ended ('ip "
		       "netns exec'): the dispatcher passes packets by");
	} else {
		f = add(d, ECBPF_WARNING, chain->iface, "pins-missing",
			"%s the pins of its chain are not in %s/xdp",
			running.some < config.num_progs_enabled
				? "this kernel does not tell whether all members run:"
				: "all members run, but",
			d->has_bpffs ? d->e->bpffs : "BPFFS");
		why(f, "they are in another mount namespace or BPF file system: the chain cannot "
		       "be changed from here, and fails open when that ends");
	}
	fix_reload(f, chain, " && ecbpf-loader clean");
}

static void check_protocol(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;

	if (!chain->protocol || !d->protocol || chain->protocol == d->protocol)
		return;
	f = add(d, ECBPF_WARNING, chain->iface, "protocol-mixed",
		"its chain is of dispatcher protocol %u, the libxdp here speaks %u",
		chain->protocol, d->protocol);
	why(f, "it runs, but nothing can be added to it or replaced");
	fix_reload(f, chain, "");
}

static void check_schema(struct doctor *d, const struct ecbpf_chain *chain)
{
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *m = &chain->members[i];
		struct ecbpf_finding *f;

		if (!m->is_ours || m->schema == ECBPF_SCHEMA)
			continue;
		f = add(d, ECBPF_WARNING, chain->iface, "schema-member",
			"%s (id %u) is of schema %u, this ecbpf has %u", m->name, m->id, m->schema,
			ECBPF_SCHEMA);
		why(f, "it runs, but its counters and settings mean something else to this "
		       "version");
		fix(f, "ecbpf-loader unload --all %s && ecbpf-loader clean", chain->iface);
	}
}

static void check_mode(struct doctor *d, const struct ecbpf_chain *chain)
{
	__u64 features = 0;
	struct ecbpf_finding *f;
	bool known;

	if (chain->kind == ECBPF_CHAIN_NONE)
		return;
	if (chain->mode == ECBPF_MODE_UNSPEC) {
		f = add(d, ECBPF_NOTE, chain->iface, "offload",
			"%s (id %u) runs in the network card", chain->members[0].name,
			chain->members[0].id);
		why(f, "there is no dispatcher in a card: nothing can be chained");
		return;
	}
	if (chain->mode == ECBPF_MODE_NATIVE) {
		add(d, ECBPF_OK, chain->iface, "mode", "native mode");
		return;
	}
	known = !ecbpf_features(d->e, chain->iface, &features) && features;
	if (known && !(features & FEATURE_BASIC)) {
		add(d, ECBPF_OK, chain->iface, "mode", "skb mode: its driver has no other");
		return;
	}
	f = add(d, known ? ECBPF_WARNING : ECBPF_NOTE, chain->iface, "mode-skb", "in skb mode, %s",
		known ? "though its driver does native mode"
		      : "which is for drivers without native mode");
	why(f, "packets are handled late, several times slower%s",
	    !chain->has_frags && ecbpf_iface_mtu(chain->iface) > NATIVE_MTU
		    ? "; with this MTU native mode would take programs with fragments"
		    : "");
	fix_reload(f, chain, "");
}

/* Ours take fragments where they are loaded at an MTU that may need it; foreign ones, as they are
 */
static void check_mtu(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct dispatcher_config config = {};
	struct ecbpf_finding *f;
	char names[128] = "";

	if (chain->kind != ECBPF_CHAIN_DISPATCHER || chain->has_frags ||
	    chain->mode != ECBPF_MODE_NATIVE || ecbpf_frags_probe(d->e) ||
	    !dispatcher_config(chain->id, &config))
		return;
	for (size_t i = 0; i < chain->members_count; i++) {
		if (!chain->members[i].is_ours && !(config.program_flags[i] & BPF_F_XDP_HAS_FRAGS))
			append(names, sizeof(names), "%s%s", *names ? ", " : "",
			       chain->members[i].name);
	}
	if (!*names) {
		add(d, ECBPF_OK, chain->iface, "mtu",
		    "good for an MTU of up to about %d; for more: unload, set it, load again",
		    NATIVE_MTU);
		return;
	}
	f = add(d, ECBPF_NOTE, chain->iface, "no-frags",
		"takes no packets in fragments, because of %s", names);
	why(f, "an MTU above about %d will be refused", NATIVE_MTU);
}

static void check_own(struct doctor *d, const struct ecbpf_chain *chain)
{
	struct ecbpf_finding *f;

	if (!chain->is_ours)
		return;
	f = add(d, ECBPF_NOTE, chain->iface, "dispatcher-own",
		"its chain runs under ecbpf's own dispatcher");
	why(f, "a member resizes packets, which libxdp's dispatcher may not on this kernel; "
	       "xdp-loader can list this chain but not add to it");
}

/* --- all of it ---------------------------------------------------------------------------- */

static void (*const host_checks[])(struct doctor *d) = {
	check_bpffs,  check_libxdp, check_jit,	check_freplace, check_frags,
	check_resize, check_maps,   check_pins, check_fastpath,
};

/* Each looks whether it is about this kind of chain */
static void (*const iface_checks[])(struct doctor *d, const struct ecbpf_chain *chain) = {
	check_members,	check_broken, check_single, check_none, check_schema,
	check_protocol, check_mode,   check_mtu,    check_own,
};

static int check_iface(struct doctor *d, const char *iface)
{
	struct ecbpf_chain *chain;
	struct ecbpf_finding *f;
	int err;

	err = ecbpf_chain_get(d->e, iface, &chain);
	if (err) {
		f = add(d, ECBPF_ERROR, iface, "unreadable", "%.255s", d->e->error);
		why(f, "nobody can tell what happens to its packets");
		return err == -ENOENT ? err : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(iface_checks); i++)
		iface_checks[i](d, chain);
	ecbpf_chain_free(chain);
	return 0;
}

static int check_all_ifaces(struct doctor *d)
{
	struct if_nameindex *all = if_nameindex();
	int err = 0;

	if (!all)
		return ecbpf_fail(d->e, -errno, "cannot list interfaces: %s", strerror(errno));
	for (struct if_nameindex *i = all; i->if_index && !err; i++) {
		enum ecbpf_mode mode;
		__u32 id;

		if (!ecbpf_attached(d->e, i->if_index, &id, &mode) && id)
			err = check_iface(d, i->if_name);
	}
	if_freenameindex(all);
	return err;
}

int ecbpf_doctor(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
		 struct ecbpf_finding **ret_findings, size_t *ret_count)
{
	struct doctor d = {.e = e};
	int err = 0, lock = -1;

	ecbpf_capture(e);
	for (size_t i = 0; i < ifaces_count && ifaces; i++) {
		err = ecbpf_iface_index(e, ifaces[i]);
		if (err < 0)
			return err;
	}
	/* what a loader of ours is at work on is not stale: wait until it is done */
	if (!ecbpf_bpffs_open(e, false))
		lock = ecbpf_lock(e);
	err = 0;
	check_kernel(&d);
	check_privilege(&d);
	if (d.can_look) {
		for (size_t i = 0; i < ARRAY_SIZE(host_checks); i++)
			host_checks[i](&d);
		read_links(&d);
		for (size_t i = 0; i < ifaces_count && ifaces && !err; i++)
			err = check_iface(&d, ifaces[i]);
		if (!ifaces || !ifaces_count)
			err = check_all_ifaces(&d);
	}
	if (lock >= 0)
		close(lock);
	free(d.links);
	if (!err && *d.lost.code)
		err = ecbpf_fail(e, -ENOMEM, "out of memory");
	if (err) {
		free(d.findings);
		return err;
	}
	sort(d.findings, d.count);
	*ret_findings = d.findings;
	*ret_count = d.count;
	return 0;
}
