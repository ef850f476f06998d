// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the host: its kernel, privileges and libraries. */
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/probe.h"
#include "chain/dispatcher.h"
#include "chain/probe.h"
#include "core/handle.h"
#include "core/privilege.h"
#include "core/run_dir.h"
#include "core/state_dir.h"
#include "doctor/doctor.h"

#define KERNEL_MAJOR 5 /* the oldest that can build a chain member by member */
#define KERNEL_MINOR 10

void doctor_check_kernel(struct doctor *d)
{
	struct ecbpf_finding *f;
	int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		name.release[0] = '\0';
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)) {
		finding_add(&d->found, ECBPF_OK, "", "kernel", "Linux %s", name.release);
		return;
	}
	f = finding_add(&d->found, ECBPF_ERROR, "", "kernel-old", "Linux %s is older than %d.%d",
			name.release, KERNEL_MAJOR, KERNEL_MINOR);
	finding_why(f, "it cannot change chains of XDP programs");
}

/* Opening others' programs, maps and links needs CAP_SYS_ADMIN, which implies CAP_BPF, CAP_PERFMON
 */
void doctor_check_privilege(struct doctor *d)
{
	bool has_admin = ecbpf_has_capability(CAP_SYS_ADMIN),
	     has_net = ecbpf_has_capability(CAP_NET_ADMIN);
	struct ecbpf_finding *f;

	d->is_privileged = has_admin && has_net;
	if (d->is_privileged) {
		finding_add(&d->found, ECBPF_OK, "", "privilege",
			    "CAP_SYS_ADMIN and CAP_NET_ADMIN are effective");
		return;
	}
	f = finding_add(&d->found, ECBPF_ERROR, "", "privilege", "missing privilege:%s%s",
			has_admin ? "" : " CAP_SYS_ADMIN", has_net ? "" : " CAP_NET_ADMIN");
	finding_why(f, "XDP programs cannot be examined or changed; nothing else was checked");
	finding_fix(f, "sudo ecbpf-loader doctor");
}

static void dir_missing(struct doctor *d, const char *dir, int err)
{
	struct ecbpf_finding *f = finding_add(&d->found, ECBPF_ERROR, "", "directory-missing",
					      "%.200s: %s", dir, strerror(err));

	finding_why(f, "ecbpf can keep nothing there");
	if (err == ENOTDIR)
		finding_fix(f, "mv %.200s %.200s.old", dir, dir);
	else if (err == ENOENT) /* a symbolic link to nothing */
		finding_fix(f, "mkdir -p $(readlink -m %.200s)", dir);
}

/* What is in it is trusted, too; a symbolic link of root's is as good as what it leads to */
static void check_dir(struct doctor *d, const char *dir)
{
	_cleanup_free_ char *path = NULL;
	struct ecbpf_finding *f;
	struct stat st;

	if (lstat(dir, &st)) /* it is made when it is needed */
		return;
	if (S_ISLNK(st.st_mode) && !st.st_uid) {
		path = realpath(dir, NULL);
		if (!path || stat(path, &st)) {
			dir_missing(d, dir, errno);
			return;
		}
		dir = path;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
		dir_missing(d, dir, ENOTDIR);
		return;
	}
	if (S_ISDIR(st.st_mode) && !st.st_uid && !(st.st_mode & 0022))
		return;
	f = finding_add(&d->found, ECBPF_ERROR, "", "directory-untrusted",
			"%.200s belongs to user %u and has mode %04o", dir, st.st_uid,
			st.st_mode & 07777);
	finding_why(f, "others may have changed what ecbpf keeps there");
	if (S_ISDIR(st.st_mode))
		finding_fix(f, "chown root %.200s && chmod go-w %.200s", dir, dir);
	else
		finding_fix(f, "chown -h root %.200s", dir);
}

void doctor_check_dirs(struct doctor *d)
{
	check_dir(d, ECBPF_RUN_DIR);
	check_dir(d, ecbpf_state_dir());
}

void doctor_check_jit(struct doctor *d)
{
	_cleanup_close_ int fd = ecbpf_probe_load(BPF_PROG_TYPE_XDP, 0);
	struct bpf_prog_info info = {};
	struct ecbpf_finding *f;

	if (fd < 0) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "bpf-refused",
				"the kernel loads no XDP program: %s", strerror(-fd));
		finding_why(f, "no XDP program can run");
		return;
	}
	if (!ecbpf_prog_info(fd, &info) && !info.jited_prog_len) {
		f = finding_add(&d->found, ECBPF_WARNING, "", "jit-off",
				"BPF programs are interpreted (no JIT)");
		finding_why(f, "they run many times slower, and cannot be chained");
		/* the setting is seen in the first network namespace only */
		finding_fix(f, "nsenter --net=/proc/1/ns/net sysctl -w net.core.bpf_jit_enable=1");
	} else {
		finding_add(&d->found, ECBPF_OK, "", "jit", "BPF programs are compiled (JIT)");
	}
}

/* What the kernel can do was to be tried, but something else went wrong */
static void probe_failed(struct doctor *d, const char *what, int err)
{
	struct ecbpf_finding *f = finding_add(&d->found, ECBPF_ERROR, "", "bpf-refused",
					      "cannot tell whether %s: %s", what, strerror(-err));

	finding_why(f, "loading a program to try it has failed");
}

void doctor_check_freplace(struct doctor *d)
{
	struct ecbpf_finding *f;
	int err;

	err = ecbpf_freplace_probe(d->e);
	if (!err) {
		finding_add(&d->found, ECBPF_OK, "", "freplace",
			    "the kernel can replace BPF functions");
		return;
	}
	if (err != -EOPNOTSUPP) {
		probe_failed(d, "the kernel can replace BPF functions", err);
		return;
	}
	f = finding_add(&d->found, ECBPF_NOTE, "", "freplace-missing",
			"the kernel cannot replace BPF functions (freplace: %s)",
			strerror(-d->e->freplace));
	finding_why(
		f,
		"programs cannot be chained; our stages can run in one program "
		"('ecbpf-loader load --fused STAGE[,STAGE...] IFACE'), other programs only alone");
}

void doctor_check_frags(struct doctor *d)
{
	struct ecbpf_finding *f;
	int err;

	err = ecbpf_frags_probe(d->e);
	if (!err) {
		finding_add(&d->found, ECBPF_OK, "", "frags",
			    "the kernel supports XDP for packets in fragments");
		return;
	}
	if (err != -EOPNOTSUPP) {
		probe_failed(d, "the kernel supports XDP for packets in fragments", err);
		return;
	}
	f = finding_add(&d->found, ECBPF_NOTE, "", "frags-missing",
			"the kernel does not support XDP for packets in fragments (5.18)");
	finding_why(f, "native mode works up to an MTU of about %d", NATIVE_MTU);
}

/* The library that runs, not the one that was there when we were built */
static int find_libxdp(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libxdp.so"))
		return 0;
	return !!realpath(info->dlpi_name, data);
}

void doctor_check_libxdp(struct doctor *d)
{
	char library[PATH_MAX] = "libxdp", *name;
	struct ecbpf_finding *f;
	int err;

	dl_iterate_phdr(find_libxdp, library);
	name = strrchr(library, '/');
	name = name ? name + 1 : library;
	err = ecbpf_dispatcher_protocol(d->e, &d->protocol);
	if (err) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "libxdp-dispatcher", "%.200s",
				d->e->error);
		finding_why(f, "nothing can be chained");
		finding_fix(f, "apt-get install --reinstall libxdp1");
		return;
	}
	finding_add(&d->found, ECBPF_OK, "", "libxdp", "%.64s, dispatcher protocol %u", name,
		    d->protocol);
}

/*
 * Since Linux 6.12 a program that resizes packets may not replace a function which does not, and
 * libxdp's dispatcher before 1.5.5 has no function that does. Distributions mix both; only trying
 * tells.
 */
void doctor_check_resize(struct doctor *d)
{
	struct ecbpf_finding *f;
	int err;

	if (!d->protocol || ecbpf_freplace_probe(d->e))
		return;
	err = ecbpf_resize_probe(d->e);
	if (!err) {
		finding_add(&d->found, ECBPF_OK, "", "resize",
			    "programs that resize packets can be chained");
		return;
	}
	if (err != -EINVAL) {
		probe_failed(d, "programs that resize packets can be chained", err);
		return;
	}
	f = finding_add(
		&d->found, d->protocol == 2 ? ECBPF_NOTE : ECBPF_WARNING, "", "resize-refused",
		"this kernel refuses libxdp's dispatcher to chain programs that resize packets "
		"(%s)",
		strerror(-err));
	if (d->protocol == 2)
		finding_why(
			f,
			"ecbpf uses its own dispatcher where needed; other tools cannot load these "
			"programs before libxdp 1.5.5");
	else
		finding_why(f, "these programs can only run alone");
}
