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
 * Whether it is so is for the caller to find out: ecbpf_config_apply() does not ask.
 * Return: 0; -ENOMEM; others of netlink.
 */
int ecbpf_config_vlans(struct ecbpf *e, const struct ecbpf_config *config,
		       struct ecbpf_config_vlan **ret_vlans, size_t *ret_count);

/* One thing that differs, a line: "eth0: add ecbpf_count, priority 80" */
struct ecbpf_config_change {
	char text[256];
};

/**
 * ecbpf_config_apply() - bring the running state to the configuration
 * @check: only find out what there is to do
 * @ret_changes: what was done, for free(); @ret_count 0: nothing, and nothing was touched
 *
 * Sections that the file does not have are left alone; in those that it has, what is not said has
 * its default. Chains change as by ecbpf_chain_set(), on all interfaces or none. On failure all
 * settings are as they were.
 */
int ecbpf_config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		       struct ecbpf_config_change **ret_changes, size_t *ret_count);

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
