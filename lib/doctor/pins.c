// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the BPF file system: maps of ours and pins of dispatchers. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/bpffs.h"
#include "bpf/frozen.h"
#include "bpf/info.h"
#include "bpf/map.h"
#include "bpf/pins.h"
#include "chain/live.h"
#include "chain/pins.h"
#include "core/applied.h"
#include "core/handle.h"
#include "core/netns.h"
#include "doctor/doctor.h"
#include "filter/filter.h"
#include "fw/rules.h"

/* Others can make the directories there before we do: then nothing can be loaded */
static void check_mode(struct doctor *d)
{
	struct ecbpf_finding *f;
	struct stat st;

	if (stat(d->e->bpffs, &st) || !(st.st_mode & 0022))
		return;
	f = finding_add(&d->found, ECBPF_WARNING, "", "bpffs-mode", "%s has mode %04o", d->e->bpffs,
			st.st_mode & 07777);
	finding_why(
		f,
		"any user can take the names of ecbpf's directories: then nothing can be loaded");
	finding_fix(f, "chmod 700 %s", d->e->bpffs);
}

static void check_writable(struct doctor *d)
{
	struct ecbpf_finding *f;
	struct statvfs st;

	if (statvfs(d->e->bpffs, &st) || !(st.f_flag & ST_RDONLY))
		return;
	d->is_readonly = true;
	f = finding_add(&d->found, ECBPF_ERROR, "", "bpffs-readonly", "%s is mounted read-only",
			d->e->bpffs);
	finding_why(f, "nothing can be loaded, changed or unloaded, and maps cannot be looked at");
	finding_fix(f, "mount -o remount,rw %s", d->e->bpffs);
}

/* "WHAT: mend it by 'COMMAND'" */
static void add_untrusted(struct doctor *d, const char *error)
{
	const char *mend = strstr(error, ": mend it by '");
	struct ecbpf_finding *f;

	f = finding_add(&d->found, ECBPF_ERROR, "", "bpffs-untrusted", "%.*s",
			mend ? (int)(mend - error) : (int)strlen(error), error);
	finding_why(f, "pins there may be somebody else's: nothing is loaded, read or changed");
	if (mend) {
		mend += strlen(": mend it by '");
		finding_fix(f, "%.*s", (int)strcspn(mend, "'"), mend);
	}
}

void doctor_check_bpffs(struct doctor *d)
{
	const char *path = secure_getenv("LIBXDP_BPFFS");
	struct ecbpf_finding *f;
	struct stat st;
	int err;

	err = ecbpf_bpffs_open(d->e, false);
	d->has_bpffs = !err;
	if (!err) {
		finding_add(&d->found, ECBPF_OK, "", "bpffs", "BPF file system at %s", d->e->bpffs);
		check_mode(d);
		check_writable(d);
		return;
	}
	if (err == -EACCES) {
		add_untrusted(d, ecbpf_error(d->e));
		return;
	}
	if (!path)
		path = "/sys/fs/bpf";
	d->e->bpffs[0] = '\0';
	f = finding_add(&d->found, ECBPF_ERROR, "", "bpffs-missing", "no BPF file system at %s",
			path);
	finding_why(f,
		    "chains and maps are pinned there: nothing can be loaded, and chains cannot be "
		    "checked");
	if (err == -ENODEV)
		finding_fix(f, "%s%s%smount -t bpf -o mode=0700 bpf %s",
			    stat(path, &st) ? "mkdir -p " : "", stat(path, &st) ? path : "",
			    stat(path, &st) ? " && " : "", path);
}

struct pins {
	struct doctor *d;
	size_t count;
	size_t other; /* of another schema */
	__u32 schema;
	char path[128]; /* one of these */
	int unread;	/* why one could not be read: -errno; 0: all could */
	char unread_path[128];
};

static int inspect_pin(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = -1;
	struct pins *pins = data;
	struct stat st;
	__u32 schema;
	int err;

	(void)e;
	if (is_symlink || (!lstat(path, &st) && S_ISDIR(st.st_mode)))
		return 0;
	fd = bpf_obj_get(path);
	err = fd < 0 ? -errno : ecbpf_map_info(fd, &info);
	if (err == -ENOENT) /* it has gone meanwhile */
		return 0;
	if (err) {
		pins->unread = err;
		snprintf(pins->unread_path, sizeof(pins->unread_path), "%s", path);
		return 0;
	}
	pins->count++;
	if (!ecbpf_map_schema(&info, &schema) && schema && schema != ECBPF_SCHEMA) {
		pins->other++;
		pins->schema = schema;
		snprintf(pins->path, sizeof(pins->path), "%s", path);
	}
	return 0;
}

/* Has an interface a member of another schema? */
static bool is_other_schema_used(struct doctor *d)
{
	struct if_nameindex *all = if_nameindex();
	bool is_used = false;

	for (struct if_nameindex *i = all; i && i->if_index && !is_used; i++) {
		struct ecbpf_chain *chain;

		if (ecbpf_chain_get(d->e, i->if_name, &chain))
			continue;
		for (size_t m = 0; m < chain->members_count; m++)
			is_used |= chain->members[m].is_ours &&
				   chain->members[m].schema != ECBPF_SCHEMA;
		ecbpf_chain_free(chain);
	}
	if_freenameindex(all);
	return is_used;
}

/*
 * What was applied from a configuration is made anew by who keeps it, with changes at runtime. Of
 * what was loaded by commands, only the version that made it can write down what it has
 */
static void fix_other_schema(struct doctor *d, struct ecbpf_finding *f)
{
	long long applied;

	applied_read(&applied);
	finding_why(f,
		    "made by another version of ecbpf: no program of this version can be loaded");
	if (applied) {
		finding_fix(f, "systemctl restart ecbpf");
	} else if (!is_other_schema_used(d)) {
		finding_why(f,
			    "made by another version of ecbpf: no program of this version can be "
			    "loaded; 'clean --all' removes its rules, lists and settings, which "
			    "'ecbpf-loader export' of that version writes down");
		finding_fix(f, "ecbpf-loader clean --all");
	} else {
		finding_why(f,
			    "no program of this version can be loaded before 'ecbpf-loader unload' "
			    "and 'clean --all'; 'ecbpf-loader export' of the version that made it "
			    "writes down what it has");
	}
}

void doctor_check_maps(struct doctor *d)
{
	struct pins pins = {.d = d};
	struct ecbpf_finding *f;

	if (!d->has_bpffs || d->is_readonly)
		return;
	if (ecbpf_for_each_pin(d->e, inspect_pin, &pins)) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "unreadable", "%.255s", d->e->error);
		finding_why(f, "maps of ecbpf were not checked");
		return;
	}
	if (pins.unread) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "unreadable", "%s: %s",
				pins.unread_path, strerror(-pins.unread));
		finding_why(f, "it was not checked");
	}
	if (pins.other) {
		d->has_other_schema = true;
		f = finding_add(&d->found, ECBPF_ERROR, "", "schema-maps",
				"%s is of schema %u, this ecbpf has %u", pins.path, pins.schema,
				ECBPF_SCHEMA);
		fix_other_schema(d, f);
	} else if (pins.count && !ecbpf_pins_are_used(d->e)) {
		f = finding_add(&d->found, ECBPF_NOTE, "", "maps-unused",
				"%zu maps in %s/ecbpf, used by no program", pins.count,
				d->e->bpffs);
		finding_why(f, "they keep rules, lists and settings for the next load");
	} else if (pins.count) {
		finding_add(&d->found, ECBPF_OK, "", "maps", "%zu maps in %s/ecbpf, of schema %u",
			    pins.count, d->e->bpffs, ECBPF_SCHEMA);
	}
}

struct stale {
	struct doctor *d;
	size_t stale;
	size_t elsewhere;
	char first_stale[32]; /* dispatch-IFINDEX-ID */
	char first_elsewhere[32];
	struct ecbpf_netns_xdp xdp; /* read when it is first asked for */
	bool is_read;
};

/* Attached to an interface of another network namespace, or that cannot be found out */
static bool is_elsewhere(struct ecbpf *e, struct stale *s, __u32 id)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 && errno == ENOENT)
		return false;
	if (!s->is_read && ecbpf_netns_xdp_read(e, &s->xdp))
		return true;
	s->is_read = true;
	for (size_t i = 0; i < s->xdp.count; i++)
		if (s->xdp.ids[i] == id)
			return true;
	return !s->xdp.is_complete;
}

static int inspect_dispatcher(struct ecbpf *e, int ifindex, __u32 id, void *data)
{
	struct stale *s = data;
	char netns[NETNS_SIZE], name[32];
	struct ecbpf_finding *f;
	enum ecbpf_mode mode;
	__u32 now = 0;

	if (!ecbpf_attached(e, ifindex, &now, &mode) && now == id)
		return 0;
	snprintf(name, sizeof(name), "dispatch-%d-%u", ifindex, id);
	if (is_elsewhere(e, s, id)) {
		if (!s->elsewhere++)
			strcpy(s->first_elsewhere, name);
		return 0;
	}
	if (!ecbpf_netns_is_other(e, ifindex, id, netns)) {
		if (!s->stale++)
			strcpy(s->first_stale, name);
		return 0;
	}
	f = finding_add(&s->d->found, ECBPF_WARNING, "", "netns-gone",
			"%s: pins of network namespace %s, attached to no interface of any", name,
			netns);
	finding_why(f, "they keep programs and memory in use needlessly");
	if (strlen(e->bpffs) < 64)
		finding_fix(f, "rm -r %s/xdp/%s %s/ecbpf/%s", e->bpffs, name, e->bpffs, name);
	return 0;
}

void doctor_check_pins(struct doctor *d)
{
	struct stale s = {.d = d};
	struct ecbpf_finding *f;
	int err;

	if (!d->has_bpffs)
		return;
	err = ecbpf_for_each_dispatcher(d->e, inspect_dispatcher, &s);
	free(s.xdp.ids);
	if (err) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "unreadable", "%.255s", d->e->error);
		finding_why(f, "pins of dispatchers were not checked");
		return;
	}
	if (s.stale) {
		f = finding_add(
			&d->found, ECBPF_WARNING, "", "stale-pins",
			"pins of %zu dispatchers that are attached to no interface here: %s%s",
			s.stale, s.first_stale, s.stale > 1 ? ", ..." : "");
		finding_why(
			f,
			"an interrupted load left them, and they keep programs and memory in use; "
			"or another tool made them in another network namespace");
		finding_fix(f, "ecbpf-loader clean");
	}
	if (s.elsewhere) {
		f = finding_add(&d->found, ECBPF_WARNING, "", "netns-shared",
				"pins of %zu dispatchers of other network namespaces: %s%s",
				s.elsewhere, s.first_elsewhere, s.elsewhere > 1 ? ", ..." : "");
		finding_why(
			f,
			"ecbpf leaves them alone, but 'xdp-loader clean' here makes their chains "
			"fail open: give each namespace a BPF file system (LIBXDP_BPFFS)");
	}
	if (!s.stale && !s.elsewhere)
		finding_add(&d->found, ECBPF_OK, "", "pins", "no pins without an interface");
}

static void add_loss(void *data, const char *set, bool is_before)
{
	struct doctor *d = data;
	struct ecbpf_finding *f;

	if (is_before) {
		f = finding_add(&d->found, ECBPF_ERROR, "", set ? "sets-lost" : "rules-lost",
				"%s%s%s of the rules before the change that waits were removed "
				"from the maps in %s/ecbpf",
				set ? "parts of set '" : "the tables", set ?: "", set ? "'" : "",
				d->e->bpffs);
		finding_why(f, set ? "they do not match all of its addresses when they are live "
				     "again"
				   : "when they are live again, every packet passes the firewall");
		finding_fix(f, "ecbpf-fw confirm # or apply other rules then");
		return;
	}
	if (set) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "sets-lost",
				"parts of set '%s' were removed from the maps in %s/ecbpf", set,
				d->e->bpffs);
		finding_why(f, "rules with it do not match all of its addresses");
		finding_fix(f, "ecbpf-fw set replace %s -f FILE # of its addresses", set);
		return;
	}
	f = finding_add(&d->found, ECBPF_ERROR, "", "rules-lost",
			"the tables of the live rules were removed from the maps in %s/ecbpf",
			d->e->bpffs);
	finding_why(f, "every packet passes the firewall");
	finding_fix(f, "ecbpf-fw apply -f FILE # of the rules; or ecbpf-loader apply");
}

void doctor_check_rules(struct doctor *d)
{
	struct ecbpf_fw_state state = {};
	struct ecbpf_finding *f;

	if (!d->has_bpffs || d->is_readonly || d->has_other_schema)
		return;
	if (!ecbpf_fw_state(d->e, &state) && state.panic) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "panic", "'ecbpf-fw panic %s'",
				state.panic == ECBPF_FW_PANIC_DROP ? "drop" : "pass");
		finding_why(f, state.panic == ECBPF_FW_PANIC_DROP
				       ? "every IP packet is dropped"
				       : "every packet passes the firewall");
		finding_fix(f, "ecbpf-fw panic off");
	} else if (state.confirm_s) {
		f = finding_add(&d->found, ECBPF_WARNING, "", "unconfirmed",
				"a change of the rules waits to be confirmed, for another %u s",
				state.confirm_s);
		finding_why(f, "then the rules before it are live again");
		finding_fix(f, "ecbpf-fw confirm");
	}
	if (d->has_frozen || !fw_losses(d->e, add_loss, d))
		return;
	f = finding_add(&d->found, ECBPF_ERROR, "", "unreadable", "%.255s", d->e->error);
	finding_why(f, "the rules of the firewall were not checked");
}

void doctor_check_lists(struct doctor *d)
{
	if (!d->has_bpffs || d->is_readonly || d->has_other_schema || d->has_frozen)
		return;
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS; list++) {
		const char *name = filter_list_names[list];
		int found = filter_list_is_lost(d->e, list);
		struct ecbpf_finding *f;

		if (!found)
			continue;
		if (found < 0) {
			f = finding_add(&d->found, ECBPF_ERROR, "", "unreadable", "%.255s",
					d->e->error);
			finding_why(f, "the %s list was not checked", name);
			continue;
		}
		f = finding_add(&d->found, ECBPF_ERROR, "", "lists-lost",
				"parts of the %s list were removed from the maps in %s/ecbpf", name,
				d->e->bpffs);
		finding_why(f, list == ECBPF_FILTER_BLOCK
				       ? "packets of listed sources pass the filter"
				       : "sources that it allows are blocked if they are on the "
					 "drop list");
		finding_fix(f,
			    "ecbpf-filter %s import --replace -f FILE # of the list; or "
			    "ecbpf-loader apply",
			    name);
	}
}

/* The interfaces that have programs of ours */
static void ifaces_of(struct doctor *d, char *ret, size_t size)
{
	struct if_nameindex *all = if_nameindex();
	size_t len = 0;

	*ret = '\0';
	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct ecbpf_chain *chain;
		bool is_ours = false;

		if (ecbpf_chain_get(d->e, i->if_name, &chain))
			continue;
		for (size_t m = 0; m < chain->members_count; m++)
			is_ours |= chain->members[m].is_ours;
		ecbpf_chain_free(chain);
		if (is_ours && len + strlen(i->if_name) + 2 < size)
			len += snprintf(ret + len, size - len, " %s", i->if_name);
	}
	if_freenameindex(all);
}

void doctor_check_frozen(struct doctor *d)
{
	struct ecbpf_finding *f;
	char name[64], ifaces[256];
	long long applied;

	if (!d->has_bpffs || d->is_readonly)
		return;
	ecbpf_frozen_find(d->e, name, sizeof(name));
	d->has_frozen = *name;
	if (!*name)
		return;
	f = finding_add(&d->found, ECBPF_ERROR, "", "map-frozen", "%s/ecbpf/%s is frozen",
			d->e->bpffs, name);
	finding_why(f, "no change of it succeeds, and no command takes that back: it goes with the "
		       "programs that use it, and what it has comes back only from files and the "
		       "log of changes at runtime");
	ifaces_of(d, ifaces, sizeof(ifaces));
	applied_read(&applied);
	finding_fix(f, "%s%s%secbpf-loader clean --all%s",
		    *ifaces ? "ecbpf-loader unload --all" : "", ifaces, *ifaces ? " && " : "",
		    applied ? " && ecbpf-loader apply" : " # then load the programs again");
}
