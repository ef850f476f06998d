/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libecbpf: the running state of a network namespace to and from a file, see ecbpf.conf(5). What is
 * said in libecbpf.h about errors and handles holds here.
 */
#ifndef LIBECBPF_CONFIG_H
#define LIBECBPF_CONFIG_H

#include <ecbpf/libecbpf.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ecbpf_config;

/**
 * ecbpf_config_read() - read and check a configuration
 * @file: or "-" for standard input; NULL: the installed ecbpf.conf, then conf.d/ *.conf by name
 * @ret_config: for ecbpf_config_free()
 *
 * Stages, programs and their constants are looked up; interfaces are not, they may come and go.
 *
 * Return: 0; -EINVAL, the text says "FILE:LINE: what"; -ENOENT and others: a file cannot be read.
 */
int ecbpf_config_read(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config);
void ecbpf_config_free(struct ecbpf_config *config); /* NULL is fine */

/* A VLAN that an interface is to be on; of one interface, they follow each other */
struct ecbpf_config_vlan {
	char iface[16];
	unsigned int id;
};

/**
 * ecbpf_config_vlans() - what "ingress-vlan" and "egress-vlan" say of the interfaces there are
 * @ret_vlans: for free()
 *
 * Whether it is so is for the caller to find out: ecbpf_config_apply() does not ask. Interfaces
 * that ecbpf_config_vlan_tell() has said to be right are left out. Return: 0; -ENOMEM; others of
 * netlink.
 */
int ecbpf_config_vlans(struct ecbpf *e, const struct ecbpf_config *config,
		       struct ecbpf_config_vlan **ret_vlans, size_t *ret_count);

/**
 * ecbpf_config_vlan_tell() - say whether an interface is on its VLANs
 * @why: it is not; NULL: it is
 *
 * For ecbpf_watch_hold_vlans(). Return: 0; -ENOMEM
 */
int ecbpf_config_vlan_tell(struct ecbpf *e, struct ecbpf_config *config, const char *iface,
			   const char *why);

/* One thing that differs, a line: "eth0: add ecbpf_count, priority 80" */
struct ecbpf_config_change {
	char iface[16];	 /* "": it is of no interface */
	bool is_note;	 /* nothing was changed: what is waited for, or has failed */
	bool is_removal; /* something is taken away, and nothing else is changed */
	char text[256];
};

/**
 * ecbpf_config_apply() - bring the running state to the configuration
 * @check: only find out what there is to do
 * @ret_changes: what was done, for free(); @ret_count 0: nothing, and nothing was touched
 *
 * Sections that the file does not have are left alone; in those that it has, what is not said has
 * its default. What was changed at runtime stays, as it is kept on disk, unless the file says
 * other: this is logged as a warning. Chains change as by ecbpf_chain_set(), on all interfaces or
 * none. On failure all settings are as they were.
 */
int ecbpf_config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		       struct ecbpf_config_change **ret_changes, size_t *ret_count);

/* It will be applied without what was changed at runtime, which is forgotten */
void ecbpf_config_reset_runtime(struct ecbpf_config *config);

/**
 * ecbpf_config_stop() - as for a configuration without interfaces, unless this one says
 *			 "on-stop = leave": then nothing is touched, and there is no change
 * @file: as of ecbpf_config_read(). Rules, lists and programs that it names are not looked at: what
 *	  is wrong there keeps nobody from stopping
 * @ret_changes, @ret_count, Return: as of ecbpf_config_apply()
 */
int ecbpf_config_stop(struct ecbpf *e, const char *file, struct ecbpf_config_change **ret_changes,
		      size_t *ret_count);

/**
 * ecbpf_config_refresh() - read again what depends on this host and is in no configuration
 *
 * Its addresses for the filter, IPVS's UDP services for the fast path; what is not loaded is left
 * alone. ecbpf_config_apply() does this, too.
 */
int ecbpf_config_refresh(struct ecbpf *e);

/* An interface that is not as declared, and why: "no such interface" */
struct ecbpf_config_wait {
	char name[128]; /* of the interface, or the configuration's pattern */
	char text[256];
};

/**
 * ecbpf_watch_open() - keep interfaces as a configuration declares them, see ecbpf-loader(8), watch
 * @file: whose configurations they will be, for ecbpf_watch_read()
 * @ret_watch: for ecbpf_watch_close()
 *
 * Nothing is done before ecbpf_watch_start(), and what was done stays when it is closed or its
 * process dies.
 *
 * Return: 0; -EBUSY another process keeps this network namespace, ecbpf_error() names it; others
 */
struct ecbpf_watch;
int ecbpf_watch_open(struct ecbpf *e, const char *file, struct ecbpf_watch **ret_watch);
void ecbpf_watch_close(struct ecbpf_watch *watch); /* NULL is fine */

/**
 * ecbpf_watch_start() - as ecbpf_config_apply(), and keep it from now on
 * @config: from now on this function's, if it succeeds
 *
 * Interfaces that are not there are waited for. If the configuration as a whole cannot be applied,
 * and none is kept yet, its settings are, and each interface for itself.
 */
int ecbpf_watch_start(struct ecbpf_watch *watch, struct ecbpf_config *config,
		      struct ecbpf_config_change **ret_changes, size_t *ret_count);

/**
 * ecbpf_watch_fall_back() - as ecbpf_watch_start(), for the last configuration of the same file
 *			     that was applied whole, as the file itself cannot be
 * @ret_changes: what was done, for free()
 *
 * Each configuration that is applied whole, all its interfaces that are there included, is copied
 * with its rules and lists.
 *
 * Return: 0; -ENOENT there is none, or "on-error = open"; others. ecbpf_error() says why
 */
int ecbpf_watch_fall_back(struct ecbpf_watch *watch, struct ecbpf_config_change **ret_changes,
			  size_t *ret_count);

/* As ecbpf_config_stop(), also while the file cannot be read: then as it said before */
int ecbpf_watch_stop(struct ecbpf_watch *watch, struct ecbpf_config_change **ret_changes,
		     size_t *ret_count);

/*
 * From now on, interfaces with VLANs wait until ecbpf_config_vlan_tell() says that they are right:
 * they are left as they are. Others do not wait for them
 */
void ecbpf_watch_hold_vlans(struct ecbpf_watch *watch);
/* The configuration that is kept, which stays the watch's; NULL: none yet */
struct ecbpf_config *ecbpf_watch_config(struct ecbpf_watch *watch);

/* For poll(): something may have changed */
int ecbpf_watch_fd(const struct ecbpf_watch *watch);

/**
 * ecbpf_watch_look() - mend what is not as declared
 * @ret_changes: what was done or is waited for, for free()
 *
 * To be called when ecbpf_watch_fd() is readable, and every half second for what has no event. Only
 * what is missing or other than declared is changed: stages and settings that were added at runtime
 * stay, and so do the chains of interfaces that are not declared. An interface that cannot be
 * changed does not keep others from it; it is tried again.
 */
int ecbpf_watch_look(struct ecbpf_watch *watch, struct ecbpf_config_change **ret_changes,
		     size_t *ret_count);

/**
 * struct ecbpf_watch_state - what a process of ecbpf_watch_open() is at
 * @pid: 0: there is none in this network namespace
 * @killed: then: the one that was there, and has ended without a word; its @file. 0: none
 * @file: its configuration; "": the installed one
 * @error: why the file, as it is now, does not run; "": it does
 * @instead: what ecbpf_watch_fall_back() has applied, with its time; "": it has not
 * @applied: when what runs was, seconds since 1970
 * @read: when the file was, monotonic, in ms: the beginning, written at the end; 0: not yet
 * @is_same: this changed nothing
 */
struct ecbpf_watch_state {
	int pid;
	int killed;
	char file[256];
	char error[512];
	char instead[128];
	long long applied;
	unsigned long long read;
	bool is_same;
	struct ecbpf_config_wait *waits;
	size_t waits_count;
};

/* Of this one, @ret_state to be freed by ecbpf_watch_state_free() */
int ecbpf_watch_read(struct ecbpf *e, struct ecbpf_watch_state *ret_state);
void ecbpf_watch_state_free(struct ecbpf_watch_state *state);
/* The file is going to be read */
void ecbpf_watch_begin(struct ecbpf_watch *watch);
/* The file was read: say why it does not run to those who read the state; "": it does */
void ecbpf_watch_tell(struct ecbpf_watch *watch, const char *text);

/**
 * struct ecbpf_declared - a stage that an interface is to have, or has without being asked to
 * @iface: or the configuration's name or pattern, if there is no such interface
 * @stage: ecbpf_stage_name(), or the name of a program that is no stage
 * @has_iface: there is such an interface
 * @by_file: a configuration declares it
 * @by_command: no configuration declares anything of this interface, but it was loaded by command
 * @is_attached: it runs there
 */
struct ecbpf_declared {
	char iface[128];
	char stage[64];
	bool has_iface;
	bool by_file;
	bool by_command;
	bool is_attached;
};

/**
 * ecbpf_declared_read() - what all interfaces are to have, and have
 * @ret_declared: in no order; for free()
 *
 * The configuration is that of the process of ecbpf_watch_open(), else the installed one; rules and
 * lists that it names are not looked at. It may be absent, or declare no interface.
 */
int ecbpf_declared_read(struct ecbpf *e, struct ecbpf_declared **ret_declared, size_t *ret_count);

/**
 * ecbpf_declared_check() - what is missing, or other than declared
 * @ifaces: or NULL: all
 * @is_quick: only stages that are missing; rules, lists, settings and constants are not compared
 * @ret_findings: as ecbpf_doctor(); none that is ECBPF_OK if @is_quick
 */
int ecbpf_declared_check(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			 bool is_quick, struct ecbpf_finding **ret_findings, size_t *ret_count);

/**
 * ecbpf_declared_advise() - correct findings of ecbpf_doctor(), which knows no configuration
 *
 * Chains that are declared are not to be loaded by command, but from the configuration: it changes
 * @fix of findings about them. Return: 0; as ecbpf_declared_read()
 */
int ecbpf_declared_advise(struct ecbpf *e, struct ecbpf_finding *findings, size_t count);

/**
 * ecbpf_config_applied() - note that a configuration was applied, or could not be
 * ecbpf_config_last_applied() - what was noted last
 * ecbpf_config_last_good_runs() - was that the last good one, instead of the file's?
 * @ret_when: when one was applied, seconds since 1970; 0: never since the host was booted
 *
 * Return: of ecbpf_config_last_applied(): could the last one be applied?
 */
void ecbpf_config_applied(struct ecbpf *e, bool is_ok);
bool ecbpf_config_last_applied(struct ecbpf *e, long long *ret_when);
bool ecbpf_config_last_good_runs(struct ecbpf *e);

/**
 * ecbpf_config_export() - the running state as a configuration that ecbpf_config_apply() takes as
 *			   no change
 * @dir: where rules and lists are written to, as fw.rules, drop.list and allow.list; NULL: they are
 *	 left out, and so left alone by that configuration. It has to be there; the configuration
 *	 has its absolute path
 * @ret_text: for free()
 * Return: 0; -EINVAL interfaces have different chains, which a configuration cannot say.
 */
int ecbpf_config_export(struct ecbpf *e, const char *dir, char **ret_text);

#ifdef __cplusplus
}
#endif

#endif /* LIBECBPF_CONFIG_H */
