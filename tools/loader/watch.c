// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The verb watch: a process that keeps what ecbpf.conf declares.
 *
 * Nothing depends on its life: programs run in the kernel without it. On SIGTERM it stops them as
 * on-stop says, on SIGINT it leaves them, and on SIGHUP it reads the file again.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <ecbpf/libecbpf-config.h>
#include "tools/common/audit.h"
#include "tools/common/change.h"
#include "tools/common/notify.h"
#include "tools/loader/answers.h"
#include "tools/loader/lldp.h"
#include "tools/loader/loader.h"

#define LOOK_MS	  500  /* for what has no event */
#define GATHER_MS 20   /* events come in groups */
#define TELL_MS	  2000 /* who waits for a reload says for whom */
#define RELOAD_MS 60000
#define LLDP_MS	  2000 /* between two questions */
#define ANSWER_MS 1000
#define MISLED_MS 5000 /* what was missing may be there then */

struct watch {
	struct tool *tool;
	const char *file;
	bool without_lldp;
	struct ecbpf_watch *watch;
	int signals_fd;
	bool has_started;
	long long started;
	long long asked;
	long long answered;
};

const struct tool_option loader_watch_options[] = {
	{OPT_RELOAD, "reload", NULL, "have the process that runs read its file again"},
	{OPT_NO_LLDP, "no-lldp", NULL, "do not check ingress-vlan and egress-vlan by LLDP"},
	TOOL_CHANGE_OPTIONS,
	TOOL_LIST_OPTIONS,
	TOOL_COMMON_OPTIONS,
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* One line, and one entry of the journal, for each */
static void tell_changes(struct watch *w, struct ecbpf_config_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *iface = changes[i].iface;
		const struct audit audit = {
			.tool = w->tool->name,
			.verb = w->tool->verb->name,
			.what = w->file ?: "",
			.ifaces = &iface,
			.ifaces_count = *iface ? 1 : 0,
			.result = "changed",
			.text = changes[i].text,
		};

		tool_warn("%s", changes[i].text);
		if (!changes[i].is_note)
			audit_write(&audit);
	}
	free(changes);
}

/* For `systemctl status` */
static void notify_status(struct watch *w)
{
	struct ecbpf_watch_state state;
	const char *text = "interfaces are as declared";

	if (ecbpf_watch_read(w->tool->ecbpf, &state))
		return;
	if (*state.error)
		text = tool_str("%s%s%s", state.error, *state.instead ? "; instead runs " : "",
				state.instead);
	for (size_t i = 0; i < state.waits_count && !*state.error; i++)
		text = tool_str("%s %.40s (%.80s)", i ? tool_str("%.300s,", text) : "waiting for",
				state.waits[i].name, state.waits[i].text);
	notify(tool_str("STATUS=%s", text));
	ecbpf_watch_state_free(&state);
}

/* Ask LLDP about interfaces that are not known to be on their VLANs; they wait */
static int ask_vlans(struct watch *w, struct ecbpf_config *config)
{
	struct ecbpf_config_vlan *vlans;
	size_t count;
	int err = 0;

	w->asked = now_ms();
	if (w->without_lldp || !config)
		return TOOL_OK;
	if (ecbpf_config_vlans(w->tool->ecbpf, config, &vlans, &count))
		return tool_fail_ecbpf(w->tool);
	for (size_t i = 0, next; i < count && !err; i = next) {
		struct lldp_text lldp = {};
		int status;

		for (next = i + 1; next < count && !strcmp(vlans[i].iface, vlans[next].iface);)
			next++;
		status = lldp_check(&vlans[i], next - i, &lldp);
		err = ecbpf_config_vlan_tell(w->tool->ecbpf, config, vlans[i].iface,
					     status ? lldp.text + strlen(vlans[i].iface) + 2
						    : NULL);
	}
	free(vlans);
	return err ? tool_fail_ecbpf(w->tool) : TOOL_OK;
}

/* What is wrong with the file, or with what it asks for: what runs goes on */
static int fail_file(struct watch *w)
{
	tool_fail_ecbpf(w->tool);
	if (w->has_started)
		tool_warn("nothing is changed: what was declared before is kept");
	ecbpf_watch_tell(w->watch, ecbpf_error(w->tool->ecbpf));
	return TOOL_FAILED;
}

/* Take the file as it is now */
static int take_file(struct watch *w)
{
	struct ecbpf_config_change *changes;
	struct ecbpf_config *config;
	size_t count;

	ecbpf_watch_begin(w->watch);
	if (ecbpf_config_read(w->tool->ecbpf, w->file, &config))
		return fail_file(w);
	if (ask_vlans(w, config)) {
		ecbpf_watch_tell(w->watch, ecbpf_error(w->tool->ecbpf));
		ecbpf_config_free(config);
		return TOOL_FAILED;
	}
	if (ecbpf_watch_start(w->watch, config, &changes, &count)) {
		ecbpf_config_free(config);
		return fail_file(w);
	}
	w->has_started = true;
	tell_changes(w, changes, count);
	ecbpf_watch_tell(w->watch, "");
	return TOOL_OK;
}

/* At boot: the file cannot be applied, as has been told */
static int fall_back(struct watch *w)
{
	struct ecbpf_config_change *changes;
	struct ecbpf_watch_state state;
	size_t count;

	if (ecbpf_watch_fall_back(w->watch, &changes, &count)) {
		tool_fail_ecbpf(w->tool);
		return tool_fail("nothing runs instead");
	}
	w->has_started = true;
	tell_changes(w, changes, count);
	if (!ecbpf_watch_read(w->tool->ecbpf, &state)) {
		tool_warn("instead runs %s: mend the file, then reload", state.instead);
		ecbpf_watch_state_free(&state);
	}
	return TOOL_OK;
}

static int look(struct watch *w)
{
	struct ecbpf_config_change *changes;
	size_t count;

	if (ecbpf_watch_look(w->watch, &changes, &count))
		return tool_fail_ecbpf(w->tool);
	tell_changes(w, changes, count);
	return TOOL_OK;
}

/* As a new process of the same number, with the same arguments; or go on */
static void run_as(const char *path)
{
	static char line[65536];
	char *argv[64] = {};
	size_t len, count = 0;
	FILE *file;

	file = fopen("/proc/self/cmdline", "re");
	len = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
	if (file)
		fclose(file);
	for (size_t at = 0; at < len && count < 63; at += strlen(line + at) + 1)
		argv[count++] = line + at;
	execv(path, argv);
	tool_warn("%s: %s", path, strerror(errno));
}

/* After an upgrade, this file is another one: go on as that */
static void run_new(void)
{
	struct stat mine, now;

	if (!strchr(program_invocation_name, '/') || stat("/proc/self/exe", &mine) ||
	    stat(program_invocation_name, &now) ||
	    (mine.st_dev == now.st_dev && mine.st_ino == now.st_ino))
		return;
	tool_warn("going on as the new %s", program_invocation_name);
	run_as(program_invocation_name);
}

/* See ecbpf_is_misled(). Not at once: what led libbpf astray would again */
static void run_afresh(struct watch *w)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t len;

	if (!ecbpf_is_misled(w->tool->ecbpf) || now_ms() - w->started < MISLED_MS)
		return;
	w->started = now_ms();
	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len < 0)
		return;
	path[len] = '\0';
	if (len > (ssize_t)strlen(gone) && !strcmp(path + len - strlen(gone), gone))
		path[len - strlen(gone)] = '\0'; /* after an upgrade: as the new one */
	tool_warn("programs cannot be loaded any more by this process: starting anew");
	run_as(path);
}

static void reload(struct watch *w)
{
	notify(tool_str("RELOADING=1\nMONOTONIC_USEC=%lld", now_ms() * 1000));
	if (take_file(w) == TOOL_OK) {
		tool_warn("SIGHUP: the file is applied");
		run_new();
	}
	notify("READY=1");
}

static int stop(struct watch *w)
{
	struct ecbpf_config_change *changes;
	size_t count;

	notify("STOPPING=1");
	if (ecbpf_watch_stop(w->watch, &changes, &count))
		return tool_fail_ecbpf(w->tool);
	tell_changes(w, changes, count);
	return TOOL_OK;
}

/* Return: the signal, or 0 */
static int wait_events(struct watch *w)
{
	struct pollfd fds[] = {
		{.fd = w->signals_fd, .events = POLLIN},
		{.fd = ecbpf_watch_fd(w->watch), .events = POLLIN},
	};
	struct signalfd_siginfo info;

	if (poll(fds, 2, LOOK_MS) > 0 && !fds[0].revents)
		nanosleep(&(struct timespec){.tv_nsec = GATHER_MS * 1000000L}, NULL);
	if (fds[0].revents & POLLIN && read(w->signals_fd, &info, sizeof(info)) == sizeof(info))
		return (int)info.ssi_signo;
	return 0;
}

static int loop(struct watch *w)
{
	while (true) {
		int number;

		notify_status(w);
		notify("WATCHDOG=1");
		number = wait_events(w);
		if (number == SIGTERM)
			return stop(w);
		if (number == SIGINT)
			return TOOL_OK;
		if (number == SIGHUP)
			reload(w);
		if (now_ms() - w->asked >= LLDP_MS)
			ask_vlans(w, ecbpf_watch_config(w->watch));
		look(w);
		run_afresh(w);
		if (now_ms() - w->answered >= ANSWER_MS) {
			answers_write(w->tool);
			w->answered = now_ms();
		}
	}
}

/*
 * Until the process that runs has read its file, since @start: one that it was reading before may
 * have been another. @state: as it was. Return: enum tool_exit
 */
static int wait_reload(struct tool *tool, long long start, struct ecbpf_watch_state *state)
{
	bool is_told = false;
	int pid = state->pid;

	while ((long long)state->read < start) {
		ecbpf_watch_state_free(state);
		nanosleep(&(struct timespec){.tv_nsec = GATHER_MS * 1000000L}, NULL);
		if (ecbpf_watch_read(tool->ecbpf, state))
			return tool_fail_ecbpf(tool);
		if (!state->pid && kill(pid, 0)) /* else it goes on as the new version */
			return tool_fail("process %d has ended", pid);
		if (now_ms() - start >= RELOAD_MS) {
			ecbpf_watch_state_free(state);
			return tool_fail(
				"process %d (ecbpf-loader watch) has not read its file for "
				"%d s",
				pid, RELOAD_MS / 1000);
		}
		if (!is_told && now_ms() - start >= TELL_MS)
			tool_warn("warning: waiting for process %d (ecbpf-loader watch)", pid);
		is_told |= now_ms() - start >= TELL_MS;
	}
	return TOOL_OK;
}

/* Have the process that runs read its file, and say what came of it */
static int ask_reload(struct tool *tool)
{
	struct ecbpf_watch_state state = {};
	long long start = now_ms() + 1; /* what began in this millisecond was before */
	int pid, status;

	tool_change_begin("--reload");
	if (ecbpf_watch_read(tool->ecbpf, &state))
		return tool_fail_ecbpf(tool);
	pid = state.pid;
	if (!pid)
		return tool_fail("no ecbpf-loader watch runs in this network namespace");
	while (now_ms() < start)
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	if (kill(pid, SIGHUP))
		return tool_fail("process %d: %s", pid, strerror(errno));
	status = wait_reload(tool, start, &state);
	if (status)
		return status;
	status = *state.error ? tool_fail("%s", state.error) : TOOL_OK;
	if (status == TOOL_OK && state.is_same)
		tool_unchanged("process %d has read its file again: nothing to do", pid);
	else if (status == TOOL_OK)
		tool_changed("process %d has read its file again", pid);
	ecbpf_watch_state_free(&state);
	return status;
}

static int watch(struct watch *w)
{
	sigset_t signals;
	int status;

	w->started = now_ms();
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	w->signals_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (w->signals_fd < 0)
		return tool_fail("cannot wait for signals: %s", strerror(errno));
	if (ecbpf_watch_open(w->tool->ecbpf, w->file, &w->watch)) {
		close(w->signals_fd);
		return tool_fail_ecbpf(w->tool);
	}
	if (!w->without_lldp)
		ecbpf_watch_hold_vlans(w->watch);
	status = take_file(w);
	if (status != TOOL_OK)
		status = fall_back(w);
	if (status == TOOL_OK) {
		notify("READY=1");
		tool_warn("ready");
		status = loop(w);
	}
	answers_remove();
	ecbpf_watch_close(w->watch);
	close(w->signals_fd);
	return status;
}

int loader_run_watch(struct tool *tool, int argc, char **argv)
{
	struct watch w = {.tool = tool};
	bool is_reload = false;
	char cwd[PATH_MAX], path[PATH_MAX];
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		if (id == OPT_RELOAD)
			is_reload = true;
		else if (id == OPT_NO_LLDP)
			w.without_lldp = true;
		else if (id != 'j' && !tool_list_option(tool, id))
			return TOOL_USAGE;
	}
	if (argc - optind > 1)
		return tool_usage("'%s': watch takes one file", argv[optind + 1]);
	w.file = argv[optind];
	/* others read it, too: doctor, status, metrics */
	if (w.file && *w.file != '/' && strcmp(w.file, "-") && getcwd(cwd, sizeof(cwd)) &&
	    snprintf(path, sizeof(path), "%s/%s", cwd, w.file) < (int)sizeof(path))
		w.file = path;
	if (w.file && !strcmp(w.file, "-"))
		return tool_usage("'-': watch reads its file again, it has to have a name");
	if (w.file && is_reload)
		return tool_usage("'%s': --reload takes no file", argv[optind]);
	return is_reload ? ask_reload(tool) : watch(&w);
}
