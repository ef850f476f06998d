// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What differs between this host and its declaration, as findings.
 *
 * The declaration of an interface is the configuration, or else what was last loaded there by
 * command. Codes are ABI, as those of the doctor.
 */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bpf/xdp_link.h"
#include "chain/again.h"
#include "chain/lost.h"
#include "chain/note.h"
#include "config.h"
#include "config/declared.h"
#include "config/parse.h"
#include "core/applied.h"
#include "core/error.h"
#include "core/finding.h"
#include "core/handle.h"
#include "core/iface.h"
#include "core/runtime_log.h"
#include "fastpath/fastpath.h"
#include "filter/filter.h"
#include "fw/rules.h"

struct diagnosis {
	struct ecbpf *e;
	const char *const *ifaces;
	size_t ifaces_count;
	bool is_quick;
	char file[DECLARED_FILE];
	struct ecbpf_config *config; /* NULL: none, or it cannot be read */
	struct ecbpf_watch_state watch;
	struct conf_declared declared;
	struct findings found;
};

static bool is_asked(const struct diagnosis *d, const char *iface)
{
	for (size_t i = 0; i < d->ifaces_count; i++)
		if (!strcmp(d->ifaces[i], iface))
			return true;
	return !d->ifaces_count;
}

static const char *file_name(const struct diagnosis *d)
{
	return *d->file ? d->file : ECBPF_CONFIG_DIR "/ecbpf.conf";
}

/* A stage that apply would remove, as it was added besides; NULL: there is none */
static const struct ecbpf_declared *find_undeclared(const struct diagnosis *d)
{
	for (size_t i = 0; i < d->declared.count; i++)
		if (d->declared.items[i].is_attached && !d->declared.items[i].by_file)
			return &d->declared.items[i];
	return NULL;
}

/* The command that brings the configuration about; after finding_why() */
static void fix_apply(const struct diagnosis *d, const char *first, struct ecbpf_finding *f)
{
	const struct ecbpf_declared *more = find_undeclared(d);
	size_t len = strlen(f->why);

	if (more)
		snprintf(f->why + len, sizeof(f->why) - len,
			 "; ecbpf-loader apply mends it, but removes %s from %s", more->stage,
			 more->iface);
	else
		finding_fix(f, "%secbpf-loader apply%s%s", first, *d->file ? " " : "", d->file);
}

/* --- what was loaded by command ----------------------------------------------------------- */

/* The commands that load it again; NULL: there are none */
struct again {
	const struct diagnosis *d;
	const char *iface;
	int ifindex; /* when what is missing was loaded; 0: never */
	char *text;
};

static bool is_missing(const struct diagnosis *d, const char *iface, const char *stage)
{
	for (size_t i = 0; i < d->declared.count; i++) {
		const struct ecbpf_declared *item = &d->declared.items[i];

		if (!strcmp(item->iface, iface) && !strcmp(item->stage, stage))
			return !item->is_attached;
	}
	return false;
}

static bool is_any_missing(const struct diagnosis *d, const char *iface,
			   const struct note_member *m)
{
	char stages[AGAIN_STAGES], *rest = NULL;
	bool is_it = false;

	ecbpf_again_stages(m, stages);
	for (char *stage = strtok_r(stages, ",", &rest); stage; stage = strtok_r(NULL, ",", &rest))
		is_it |= is_missing(d, iface, stage);
	return is_it;
}

static int note_again(struct ecbpf *e, const struct note *note, void *data)
{
	struct note_member missing[DISPATCHER_MEMBERS];
	struct again *a = data;
	size_t count = 0;

	(void)e;
	if (strcmp(note->iface, a->iface))
		return 0;
	for (size_t i = 0; i < note->count; i++)
		if (is_any_missing(a->d, note->iface, &note->members[i]))
			missing[count++] = note->members[i];
	if (count)
		a->ifindex = note->ifindex;
	a->text = ecbpf_again(note->iface, note->mode, missing, count);
	return 1;
}

/* --- interfaces --------------------------------------------------------------------------- */

/* "filter, fw": what @iface lacks. Return: how many; @ret_there: how many it has */
static size_t list_missing(const struct diagnosis *d, const char *iface, char *ret, size_t size,
			   size_t *ret_there)
{
	size_t count = 0, len = 0;

	*ret = '\0';
	*ret_there = 0;
	for (size_t i = 0; d->declared.items && i < d->declared.count; i++) {
		const struct ecbpf_declared *item = &d->declared.items[i];

		if (strcmp(item->iface, iface) || (!item->by_file && !item->by_command))
			continue;
		if (item->is_attached) {
			++*ret_there;
			continue;
		}
		if (len < size)
			len += snprintf(ret + len, size - len, "%s%s", count ? ", " : "",
					item->stage);
		count++;
	}
	return count;
}

static const char *wait_text(const struct diagnosis *d, const char *iface)
{
	for (size_t i = 0; i < d->watch.waits_count; i++)
		if (!strcmp(d->watch.waits[i].name, iface))
			return d->watch.waits[i].text;
	return NULL;
}

/* A name is to be there; a pattern may match nothing as long as another one matches */
static void check_absent(struct diagnosis *d, const struct ecbpf_declared *item)
{
	bool is_pattern = strpbrk(item->iface, "*?[/"), has_other = false;
	struct ecbpf_finding *f;

	for (size_t i = 0; i < d->declared.count; i++)
		has_other |= d->declared.items[i].by_file && d->declared.items[i].has_iface;
	f = finding_add(&d->found, is_pattern && has_other ? ECBPF_WARNING : ECBPF_ERROR,
			strlen(item->iface) < sizeof(f->iface) ? item->iface : "", "no-interface",
			"%.100s is declared in %.100s, and there is no such interface", item->iface,
			file_name(d));
	finding_why(f, d->watch.pid
			       ? "it gets its programs when it appears"
			       : "it gets no programs when it appears, as ecbpf.service does not "
				 "run");
}

/* What has its place: "" if nothing has, else the command that makes room */
#define ROOM_SIZE 160
static void room_command(struct diagnosis *d, const char *iface, char *ret, size_t size,
			 char *ret_other, size_t other_size)
{
	struct ecbpf_chain *chain;

	*ret = *ret_other = '\0';
	if (ecbpf_chain_get(d->e, iface, &chain))
		return;
	if (chain->kind == ECBPF_CHAIN_BROKEN ||
	    (chain->kind == ECBPF_CHAIN_SINGLE && !chain->members[0].is_ours)) {
		char command[ECBPF_XDP_REMOVE];

		snprintf(ret, size, "%s && ",
			 ecbpf_xdp_remove_command(
				 iface, chain->members_count ? chain->members[0].id : 0, command));
		if (chain->kind == ECBPF_CHAIN_SINGLE)
			snprintf(ret_other, other_size, ", %.63s (id %u) is in its place",
				 chain->members[0].name, chain->members[0].id);
	}
	ecbpf_chain_free(chain);
}

/* Its members cannot be told: the doctor says what is wrong with it */
static bool is_broken(struct diagnosis *d, const char *iface)
{
	struct ecbpf_chain *chain;
	bool is_it;

	if (ecbpf_chain_get(d->e, iface, &chain))
		return false;
	is_it = chain->kind == ECBPF_CHAIN_BROKEN;
	ecbpf_chain_free(chain);
	return is_it;
}

static void check_missing(struct diagnosis *d, const struct ecbpf_declared *item,
			  const char *missing, size_t there)
{
	struct again again = {.d = d, .iface = item->iface};
	char other[128], room[ROOM_SIZE];
	const char *wait = wait_text(d, item->iface);
	int ifindex = ecbpf_iface_ask(d->e, item->iface);
	struct ecbpf_finding *f;

	if (ecbpf_for_each_note(d->e, note_again, &again) < 0)
		again.ifindex = 0;
	room_command(d, item->iface, room, sizeof(room), other, sizeof(other));
	if (!again.ifindex || ifindex < 0)
		f = finding_add(&d->found, ECBPF_ERROR, item->iface, "not-attached",
				"%s declared in %s, and not attached: %s%s",
				there ? "stages are" : "it is", file_name(d), missing, other);
	else if (again.ifindex != ifindex)
		f = finding_add(&d->found, ECBPF_ERROR, item->iface, "not-attached",
				"it was deleted and created again, without ecbpf's programs: %s%s",
				missing, other);
	else
		f = finding_add(&d->found, ECBPF_ERROR, item->iface, "not-attached",
				"somebody else took ecbpf's programs off %s: %s%s", item->iface,
				missing, other);
	if (wait)
		finding_why(f, "ecbpf-loader watch waits: %.200s", wait);
	else
		finding_why(f, "its packets are not handled by %s%s%s",
			    there || strchr(missing, ',') ? "them" : "it",
			    item->by_file ? "; ecbpf-loader watch (ecbpf.service) keeps them there"
					  : "; if that was meant: ecbpf-loader clean ",
			    item->by_file ? "" : item->iface);
	if (item->by_file)
		fix_apply(d, room, f);
	else if (again.text && strlen(room) + strlen(again.text) < sizeof(f->fix))
		finding_fix(f, "%s%s", room, again.text);
	free(again.text);
}

/* Other code, constants, priorities or actions than those of the configuration */
static void check_programs(struct diagnosis *d, struct ecbpf_chain_want want)
{
	_cleanup_free_ struct ecbpf_chain_change *changes = NULL;
	struct conf_report report = {};
	struct ecbpf_finding *f;
	size_t count = 0;

	want.keeps_others = true;
	if (ecbpf_chain_set(d->e, &want, 1, true, &changes, &count)) {
		f = finding_add(&d->found, ECBPF_ERROR, want.iface, "differs", "%.250s",
				d->e->error);
		finding_why(f, "it cannot be made what %.200s declares", file_name(d));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const char *text;

		if (conf_report_chain(d->e, &changes[i], &report))
			break;
		text = report.changes[report.count - 1].text;
		f = finding_add(&d->found, ECBPF_ERROR, want.iface, "differs",
				"it is not as %s declares: %.150s", file_name(d),
				strstr(text, ": ") ? strstr(text, ": ") + 2 : text);
		finding_why(f, "that is what apply would do");
		fix_apply(d, "", f);
	}
	free(report.changes);
}

static void check_interfaces(struct diagnosis *d)
{
	for (size_t i = 0; i < d->declared.count; i++) {
		const struct ecbpf_declared *item = &d->declared.items[i];
		char missing[128];
		size_t there;

		for (size_t k = 0; k < i && item; k++)
			if (!strcmp(d->declared.items[k].iface, item->iface))
				item = NULL; /* it was checked with that one */
		if (!item || !is_asked(d, item->iface))
			continue;
		if (!item->has_iface)
			check_absent(d, item);
		else if (list_missing(d, item->iface, missing, sizeof(missing), &there) &&
			 (d->is_quick || !is_broken(d, item->iface)))
			check_missing(d, item, missing, there);
	}
}

/* --- all that takes longer ---------------------------------------------------------------- */

/* TC programs where the fast path is not at all; where it is, the doctor looks for them itself */
static void check_ports(struct diagnosis *d, const struct conf_plan *plan)
{
	_cleanup_free_ struct ecbpf_fastpath_port *ports = NULL;
	struct ecbpf_finding *f;
	size_t count = 0;

	if (ecbpf_fastpath_ports(d->e, &ports, &count))
		return;
	for (size_t i = 0; i < plan->ports_count; i++) {
		bool is_there = false;

		for (size_t k = 0; k < count; k++)
			is_there |= !strcmp(ports[k].iface, plan->ports[i]);
		if (is_there || !is_asked(d, plan->ports[i]))
			continue;
		f = finding_add(&d->found, ECBPF_ERROR, plan->ports[i], "no-egress",
				"it is declared in %s, and the fast path's TC program is not there",
				file_name(d));
		finding_why(f, "packets that leave by it are passed to IPVS, without leases");
		fix_apply(d, "", f);
	}
}

/* Rules, lists and settings, as apply would change them */
static void check_settings(struct diagnosis *d)
{
	_cleanup_free_ struct ecbpf_config_change *changes = NULL;
	bool has_interfaces = d->config->has_interfaces, has_removal = false;
	ecbpf_log_fn log_fn = d->e->log_fn;
	struct ecbpf_finding *f;
	size_t count = 0;
	int err;

	d->config->has_interfaces = false; /* they were compared */
	d->e->log_fn = NULL; /* which changes at runtime apply would undo is in the findings */
	err = ecbpf_config_apply(d->e, d->config, true, &changes, &count);
	d->e->log_fn = log_fn;
	d->config->has_interfaces = has_interfaces;
	if (err) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "differs", "%.250s", d->e->error);
		finding_why(f, "rules, lists and settings cannot be what %.150s declares",
			    file_name(d));
	}
	for (size_t i = 0; i < count; i++)
		has_removal |= changes[i].is_removal;
	for (size_t i = 0; i < count; i++) {
		bool is_more = changes[i].is_removal; /* it was added at runtime */

		f = finding_add(&d->found, is_more ? ECBPF_NOTE : ECBPF_ERROR, "",
				is_more ? "undeclared" : "differs", "%s %s: %.150s",
				is_more ? "more than is declared in" : "other than declared in",
				file_name(d), changes[i].text);
		finding_why(f, "ecbpf-loader apply would do this%s",
			    has_removal ? ", and remove what was added at runtime" : "");
		/* no command that takes away what somebody has added */
		if (!has_removal)
			fix_apply(d, "", f);
	}
}

static void tell_unused(const struct conf_word *at, const char *text, void *data)
{
	struct diagnosis *d = data;
	struct ecbpf_finding *f;

	f = finding_add(&d->found, ECBPF_WARNING, "", "not-used", "%.150s:%u: %s", at->file,
			at->line, text);
	finding_why(f, "these lines have no effect");
}

/* check_absent() has told of those of ingress */
static void tell_absent(const struct conf_word *at, const char *text, void *data)
{
	struct diagnosis *d = data;

	if (at->text && conf_words_have(&d->config->egress, at->text, strlen(at->text)) &&
	    !conf_words_have(&d->config->ingress, at->text, strlen(at->text)))
		tell_unused(at, text, data);
}

static int check_all(struct diagnosis *d)
{
	struct conf_waits waits = {};
	struct conf_plan plan = {};
	int err;

	err = conf_plan_programs(d->e, d->config, &plan);
	if (!err)
		err = conf_plan_wants(d->e, d->config, &plan, &waits);
	if (!err)
		err = conf_plan_ports(d->e, d->config, &plan);
	for (size_t i = 0; i < plan.links_count && !err; i++) {
		const struct ecbpf_chain_want *want = &plan.wants[i];
		char missing[8];
		size_t there;

		if (want->programs_count && is_asked(d, plan.links[i].name) &&
		    !list_missing(d, plan.links[i].name, missing, sizeof(missing), &there))
			check_programs(d, *want);
	}
	if (!err) {
		check_ports(d, &plan);
		conf_unused_words(d->config, &plan, tell_absent, d);
		conf_unused_sections(d->config, tell_unused, d);
	}
	if (!err && !d->is_quick) /* they could be read */
		check_settings(d);
	free(waits.items);
	conf_plan_free(&plan);
	return err;
}

/* --- the whole ---------------------------------------------------------------------------- */

/* Its rules and lists are wrong, perhaps; interfaces and stages may be known nevertheless */
static void read_config(struct diagnosis *d)
{
	const char *file = *d->file ? d->file : NULL;
	struct ecbpf_finding *f;
	int err;

	err = d->is_quick ? conf_read_words(d->e, file, &d->config)
			  : ecbpf_config_read(d->e, file, &d->config);
	if (err) {
		f = finding_add(&d->found, ECBPF_ERROR, "", "config-broken",
				"the configuration cannot be applied: %.220s", d->e->error);
		finding_why(f, "rules, lists and settings were not compared with it");
		d->is_quick = true;
		if (conf_read_words(d->e, file, &d->config))
			d->config = NULL;
	}
	if (!d->config || (d->config->has_interfaces && d->config->ingress.count))
		return;
	ecbpf_config_free(d->config); /* as it is installed: no interface is declared */
	d->config = NULL;
}

/* The process that watches knows what is wrong, and keeps something else */
static void tell_watch(struct diagnosis *d)
{
	struct ecbpf_finding *f;

	f = finding_add(&d->found, ECBPF_ERROR, "", "config-broken",
			"the configuration does not run: %.220s", d->watch.error);
	finding_why(f, "%s runs until the file is mended",
		    *d->watch.instead ? d->watch.instead : "the configuration before it");
	finding_fix(f, "ecbpf-loader watch --reload");
}

/* Each verb warns that what it changes will be lost, but of a script nobody may read it */
static void check_log(struct diagnosis *d)
{
	const char *what = NULL, *move = "";
	struct stat st = {};
	struct ecbpf_finding *f;
	char path[PATH_MAX];
	long long applied;
	bool is_sure;

	applied_read(&applied); /* then there was a log */
	if (!applied || runtime_log_path(path, &is_sure) <= 0)
		return;
	if (!lstat(path, &st) && S_ISREG(st.st_mode)) {
		what = runtime_log_is_whole(path) ? NULL : "is damaged";
	} else if (st.st_mode || errno == ENOTDIR) {
		what = st.st_mode ? "is no regular file" : "is in no directory";
		move = "move it away, and ";
	} else if (errno == ENOENT) {
		what = "is gone";
	} else {
		what = "cannot be looked at";
	}
	if (!what)
		return;
	f = finding_add(&d->found, ECBPF_ERROR, "", "changes-lost",
			"changes at runtime are not kept: %.200s %s", path, what);
	finding_why(f,
		    "rules, settings and entries of lists that were added will be lost at the "
		    "next start; %sapply the configuration again, which keeps them",
		    move);
	if (*move)
		return;
	if (d->watch.pid)
		finding_fix(f, "ecbpf-loader watch --reload");
	else if (d->config)
		fix_apply(d, "", f);
}

static void tell_killed(struct diagnosis *d)
{
	const char *file = *d->watch.file ? d->watch.file : "ecbpf.conf";
	struct ecbpf_finding *f;

	f = finding_add(&d->found, ECBPF_ERROR, "", "watch-killed",
			"process %d (ecbpf-loader watch) was killed: nothing keeps what %.200s "
			"declares",
			d->watch.killed, file);
	finding_why(f, applied_is_last_good() ? "those of the last good configuration go on, as "
						"the file could not be applied"
					      : "the programs go on");
	if (*d->watch.file)
		finding_fix(f, "ecbpf-loader watch %.200s", d->watch.file);
	else
		finding_fix(f, "systemctl restart ecbpf");
}

static void add_loss(struct diagnosis *d, const char *code, const char *what)
{
	struct ecbpf_finding *f;

	f = finding_add(&d->found, ECBPF_ERROR, "", code, "%s removed from ecbpf's maps", what);
	finding_fix(f, "ecbpf-loader doctor # says how");
}

static void add_rules(void *data, const char *set, bool is_before)
{
	char text[128];

	(void)is_before;
	if (set)
		snprintf(text, sizeof(text), "parts of set '%.64s' were", set);
	add_loss(data, set ? "sets-lost" : "rules-lost",
		 set ? text : "the tables of the firewall's rules were");
}

/* What somebody else removed, in short: the doctor says all of it */
static void check_losses(struct diagnosis *d)
{
	char iface[IF_NAMESIZE], text[64];
	struct ecbpf_fw_state state;
	struct own_pin pin;

	if (!*d->e->bpffs)
		return;
	if (ecbpf_lost_find(d->e, "", &pin, iface) > 0) {
		struct ecbpf_finding *f;

		f = finding_add(&d->found, ECBPF_ERROR, iface, "other-maps",
				"the pin %.100s/ecbpf/%s of a map that it uses was removed",
				d->e->bpffs, pin.name);
		finding_fix(f, "ecbpf-loader refresh");
		return; /* what is pinned is not what is used */
	}
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS; list++) {
		snprintf(text, sizeof(text), "parts of the %s list were", filter_list_names[list]);
		if (filter_list_is_lost(d->e, list) > 0)
			add_loss(d, "lists-lost", text);
	}
	fw_losses(d->e, add_rules, d);
	if (!ecbpf_fw_state(d->e, &state) && state.panic)
		finding_fix(finding_add(&d->found, ECBPF_ERROR, "", "panic", "'ecbpf-fw panic %s'",
					state.panic == ECBPF_FW_PANIC_DROP ? "drop" : "pass"),
			    "ecbpf-fw panic off");
}

int ecbpf_declared_check(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			 bool is_quick, struct ecbpf_finding **ret_findings, size_t *ret_count)
{
	struct diagnosis d = {
		.e = e,
		.ifaces = ifaces,
		.ifaces_count = ifaces ? ifaces_count : 0,
		.is_quick = is_quick,
	};
	int err;

	ecbpf_capture(e);
	if (ecbpf_watch_read(e, &d.watch))
		d.watch = (struct ecbpf_watch_state){};
	e->is_trying = true; /* pins that are missing stay so, and are told */
	if (*d.watch.error)
		tell_watch(&d);
	else if (conf_declared_file(e, d.file))
		read_config(&d);
	if (d.watch.killed && !is_quick)
		tell_killed(&d);
	err = conf_declared_read(e, d.config, &d.declared);
	if (!err && !is_quick)
		check_log(&d);
	if (!err && is_quick)
		check_losses(&d);
	if (!err) {
		check_interfaces(&d);
		if (d.config && !is_quick)
			err = check_all(&d);
	}
	e->is_trying = false;
	if (!err && *d.found.lost.code)
		err = ecbpf_fail_memory(e);
	ecbpf_watch_state_free(&d.watch);
	ecbpf_config_free(d.config);
	free(d.declared.items);
	if (err) {
		free(d.found.items);
		return err;
	}
	*ret_findings = d.found.items;
	*ret_count = d.found.count;
	return 0;
}
