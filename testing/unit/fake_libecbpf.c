// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A libecbpf that does nothing, for tests of the tools: prints each call with its arguments to
 * stderr as "call: ...", and answers from tables. Four interfaces, whatever the machine has:
 *
 *	lo	no XDP program
 *	eth0	a chain: pass, a program of others, count with counters
 *	eth1	ecbpf_fused with two stages, one of our programs of another schema
 *	a,b	one program without a dispatcher
 *	torn	a broken chain
 *
 * $FAKE_FAIL names a call that fails; $FAKE_LINES: how many lines of detail it has.
 */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <ecbpf/libecbpf-config.h>
#include <ecbpf/libecbpf-fastpath.h>
#include <ecbpf/libecbpf-filter.h>
#include <ecbpf/libecbpf-fw.h>
#include <ecbpf/libecbpf-sampler.h>
#include <ecbpf/libecbpf-settings.h>

static const char *const ifaces[] = {"lo", "eth0", "eth1", "a,b", "torn"};
#define IFACES_COUNT (sizeof(ifaces) / sizeof(ifaces[0]))

struct ecbpf {
	char error[256];
	char detail[4096];
	ecbpf_log_fn log;
	void *log_data;
};

/* --- the C library's interfaces --------------------------------------------------------------- */

unsigned int if_nametoindex(const char *name)
{
	for (size_t i = 0; i < IFACES_COUNT; i++)
		if (!strcmp(ifaces[i], name))
			return i + 1;
	errno = ENODEV;
	return 0;
}

char *if_indextoname(unsigned int index, char name[IF_NAMESIZE])
{
	return strcpy(name, ifaces[index - 1]);
}

struct if_nameindex *if_nameindex(void)
{
	struct if_nameindex *all = calloc(IFACES_COUNT + 1, sizeof(*all));

	for (size_t i = 0; all && i < IFACES_COUNT; i++)
		all[i] = (struct if_nameindex){i + 1, (char *)ifaces[i]};
	return all;
}

void if_freenameindex(struct if_nameindex *all)
{
	free(all);
}

/* --- handle, errors, names ----------------------------------------------------------------------
 */

void ecbpf_changed(const struct ecbpf *e, struct ecbpf_changed *ret)
{
	(void)e;
	*ret = (struct ecbpf_changed){};
}

int ecbpf_new(struct ecbpf **ret_e)
{
	*ret_e = calloc(1, sizeof(**ret_e));
	return *ret_e ? 0 : -ENOMEM;
}

void ecbpf_free(struct ecbpf *e)
{
	free(e);
}

const char *ecbpf_error(const struct ecbpf *e)
{
	return e->error;
}

bool ecbpf_is_misled(const struct ecbpf *e)
{
	return false;
}

const char *ecbpf_error_detail(const struct ecbpf *e)
{
	return e->detail;
}

void ecbpf_set_log(struct ecbpf *e, ecbpf_log_fn fn, void *data)
{
	e->log = fn;
	e->log_data = data;
}

const char *ecbpf_version(void)
{
	return "0.1";
}

static const char *const reason_names[] = {
#define X(value, NAME, name, text) [value] = name,
	ECBPF_REASONS(X)
#undef X
};

static const char *const reason_texts[] = {
#define X(value, NAME, name, text) [value] = text,
	ECBPF_REASONS(X)
#undef X
};

static const char *const stage_names[] = {
#define X(value, NAME, name, prio, text) [value] = #name,
	ECBPF_STAGES(X)
#undef X
};

static const char *const stage_texts[] = {
#define X(value, NAME, name, prio, text) [value] = text,
	ECBPF_STAGES(X)
#undef X
};

static const char *const count_names[] = {
#define X(value, NAME, name) [value] = name,
	ECBPF_COUNT_CLASSES(X)
#undef X
};

static const char *const action_names[] = {
	"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT", "invalid",
};

#define NAME(names, index) ((index) < sizeof(names) / sizeof(names[0]) ? names[index] : NULL)

const char *ecbpf_reason_name(__u32 reason)
{
	return NAME(reason_names, reason);
}

const char *ecbpf_reason_text(__u32 reason)
{
	return NAME(reason_texts, reason);
}

const char *ecbpf_action_name(__u32 action)
{
	return NAME(action_names, action);
}

const char *ecbpf_mode_name(enum ecbpf_mode mode)
{
	static const char *const names[] = {"unspecified", "native", "skb"};

	return names[mode];
}

int ecbpf_mode_parse(const char *text, enum ecbpf_mode *ret_mode)
{
	for (*ret_mode = 0; *ret_mode <= ECBPF_MODE_SKB; (*ret_mode)++)
		if (!strcmp(text, ecbpf_mode_name(*ret_mode)))
			return 0;
	return -EINVAL;
}

/* The loader has no settings */
int ecbpf_settings_parse(struct ecbpf *e, const struct ecbpf_settings *settings,
			 const char *const *texts, size_t count, void *values, __u64 *given)
{
	abort();
}

__u32 ecbpf_setting_value(const struct ecbpf_setting *setting, const void *values)
{
	abort();
}

const char *ecbpf_setting_format(const struct ecbpf_setting *setting, __u32 value, char *ret,
				 size_t size)
{
	abort();
}

const char *ecbpf_stage_name(__u32 stage)
{
	return NAME(stage_names, stage);
}

const char *ecbpf_stage_text(__u32 stage)
{
	return NAME(stage_texts, stage);
}

const char *ecbpf_count_name(__u32 class)
{
	return NAME(count_names, class);
}

/* --- calls --------------------------------------------------------------------------------------
 */

static int answer(struct ecbpf *e, const char *call)
{
	const char *fail = getenv("FAKE_FAIL"), *lines = getenv("FAKE_LINES");
	char *p = e->detail;

	if (e->log) {
		e->log(e->log_data, ECBPF_LOG_INFO, "info line");
		e->log(e->log_data, ECBPF_LOG_DEBUG, "debug line");
	}
	e->error[0] = e->detail[0] = '\0';
	if (!fail || strcmp(fail, call))
		return 0;
	snprintf(e->error, sizeof(e->error), "eth0: it did not work");
	for (int i = 1; i <= (lines ? atoi(lines) : 0); i++)
		p += sprintf(p, "line %d\n", i);
	return -EINVAL;
}

static int find_iface(struct ecbpf *e, const char *iface)
{
	if (if_nametoindex(iface))
		return 0;
	snprintf(e->error, sizeof(e->error), "%s: no such interface", iface);
	e->detail[0] = '\0';
	return -ENOENT;
}

static void print_ifaces(const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, " [%s]", names[i]);
}

static void print_str(const char *name, const char *value)
{
	if (value)
		fprintf(stderr, " %s=%s", name, value);
}

static void print_program(const struct ecbpf_program *p)
{
	fprintf(stderr, " {");
	print_str("file", p->file);
	print_str("fused", p->fused);
	print_str("section", p->section);
	print_str("name", p->name);
	print_str("pin_path", p->pin_path);
	fprintf(stderr, " prio=%d actions=%#x", p->prio, p->actions);
	for (size_t i = 0; i < p->settings_count; i++)
		print_str("set", p->settings[i]);
	fprintf(stderr, " }");
}

int ecbpf_chain_load(struct ecbpf *e, const char *const *names, size_t names_count,
		     const struct ecbpf_program *programs, size_t programs_count,
		     enum ecbpf_mode mode)
{
	fprintf(stderr, "call: load");
	print_ifaces(names, names_count);
	fprintf(stderr, " mode=%d", mode);
	for (size_t i = 0; i < programs_count; i++)
		print_program(&programs[i]);
	fprintf(stderr, "\n");
	for (size_t i = 0; i < names_count; i++)
		if (find_iface(e, names[i]))
			return -ENOENT;
	return answer(e, "load");
}

int ecbpf_chain_unload(struct ecbpf *e, const char *const *names, size_t names_count,
		       const struct ecbpf_selector *selector)
{
	fprintf(stderr, "call: unload");
	print_ifaces(names, names_count);
	fprintf(stderr, " all=%d id=%u", selector->all, selector->id);
	print_str("name", selector->name);
	fprintf(stderr, "\n");
	return answer(e, "unload");
}

int ecbpf_chain_replace(struct ecbpf *e, const char *iface, const char *name,
			const struct ecbpf_program *program)
{
	fprintf(stderr, "call: replace [%s] %s", iface, name);
	print_program(program);
	fprintf(stderr, "\n");
	return answer(e, "replace");
}

static void fill_member(struct ecbpf_member *m, const char *name, __u32 id, __u32 prio)
{
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->id = id;
	m->prio = prio;
	m->actions = 1 << XDP_PASS;
	m->load_time_s = 1700000000;
	m->has_link = true;
	for (int i = 0; i < 8; i++)
		m->tag[i] = id + i * 16;
}

static void fill_stage(struct ecbpf_member *m, __u32 stage, __u64 packets)
{
	struct ecbpf_member_stage *s = &m->stages[m->stages_count++];

	m->is_ours = true;
	m->schema = ECBPF_SCHEMA;
	s->stage = stage;
	s->counters.packets[XDP_PASS] = packets;
	s->counters.bytes[XDP_PASS] = packets * 100;
}

static void fill_eth0(struct ecbpf_chain *chain)
{
	struct ecbpf_member *m = chain->members;

	fill_member(&m[0], "ecbpf_pass", 55, 50);
	fill_stage(&m[0], ECBPF_STAGE_PASS, 0);
	fill_member(&m[1], "their_program_two", 56, 60);
	m[1].actions |= 1 << XDP_DROP;
	fill_member(&m[2], "ecbpf_count", 1157, 80);
	fill_stage(&m[2], ECBPF_STAGE_COUNT, 18446744073709551615ULL);
	m[2].stages[0].counters.bytes[XDP_PASS] = 18446744073709551615ULL;
	m[2].stages[0].counters.packets[XDP_DROP] = 28;
	m[2].stages[0].counters.bytes[XDP_DROP] = 1680;
	for (__u32 reason = 1; reason <= 6; reason++)
		m[2].stages[0].counters.reasons[reason] = reason;
	m[2].stages[0].counters.reasons[63] = 7;
	m[2].has_count = true;
	m[2].count[ECBPF_COUNT_ARP] = (struct ecbpf_count){3, 180};
	m[2].count[ECBPF_COUNT_IP_TCP] = (struct ecbpf_count){1000000, 1500000000};
	chain->members_count = 3;
}

static void fill_eth1(struct ecbpf_chain *chain)
{
	struct ecbpf_member *m = chain->members;

	fill_member(&m[0], "ecbpf_fused", 60, 50);
	fill_stage(&m[0], ECBPF_STAGE_PASS, 20);
	fill_stage(&m[0], ECBPF_STAGE_COUNT, 20);
	m[0].has_count = true;
	m[0].count[ECBPF_COUNT_IP6_ICMP] = (struct ecbpf_count){20, 2000};
	fill_member(&m[1], "ecbpf_old", 61, 51);
	m[1].is_ours = true;
	m[1].schema = 99;
	chain->members_count = 2;
	chain->mode = ECBPF_MODE_SKB;
	chain->is_ours = true;
}

int ecbpf_stage_reach(struct ecbpf *e, __u32 stage, char *ret_iface)
{
	(void)e;
	(void)stage;
	*ret_iface = '\0';
	return getenv("FAKE_REACH") ? 0 : 1;
}

int ecbpf_chain_get(struct ecbpf *e, const char *iface, struct ecbpf_chain **ret_chain)
{
	struct ecbpf_chain *chain;
	int err;

	err = find_iface(e, iface);
	if (!err)
		err = answer(e, "get");
	if (err)
		return err;
	chain = calloc(1, sizeof(*chain));
	if (!chain)
		return -ENOMEM;
	chain->members = calloc(3, sizeof(*chain->members));
	if (!chain->members) {
		free(chain);
		return -ENOMEM;
	}
	snprintf(chain->iface, sizeof(chain->iface), "%s", iface);
	chain->ifindex = if_nametoindex(iface);
	if (strcmp(iface, "lo")) {
		chain->kind = ECBPF_CHAIN_DISPATCHER;
		chain->mode = ECBPF_MODE_NATIVE;
		chain->id = 50;
		chain->protocol = 2;
		strcpy(chain->name, "xdp_dispatcher");
		memcpy(chain->tag, "\xd5\x1e\x46\x9e\x98\x8d\x81\xda", 8);
	}
	if (!strcmp(iface, "eth0")) {
		fill_eth0(chain);
	} else if (!strcmp(iface, "eth1")) {
		fill_eth1(chain);
	} else if (!strcmp(iface, "torn")) {
		chain->kind = ECBPF_CHAIN_BROKEN;
		chain->members_count = 1;
		fill_member(&chain->members[0], "ecbpf_pass", 70, 50);
		fill_stage(&chain->members[0], ECBPF_STAGE_PASS, 5);
		chain->members[0].has_link = false;
	} else if (!strcmp(iface, "a,b")) {
		chain->kind = ECBPF_CHAIN_SINGLE;
		chain->id = 0;
		chain->name[0] = '\0';
		chain->members_count = 1;
		fill_member(&chain->members[0], "xdp_drop", 80, 50);
		chain->members[0].has_link = false;
	}
	*ret_chain = chain;
	return 0;
}

void ecbpf_chain_free(struct ecbpf_chain *chain)
{
	if (chain)
		free(chain->members);
	free(chain);
}

int ecbpf_counters_clear(struct ecbpf *e, const char *iface)
{
	fprintf(stderr, "call: clear [%s]\n", iface);
	return answer(e, "clear");
}

int ecbpf_clean(struct ecbpf *e, const char *iface, size_t *ret_removed)
{
	int err = answer(e, "clean");

	fprintf(stderr, "call: clean [%s]\n", iface ? iface : "");
	if (!err && ret_removed)
		*ret_removed = 1;
	return err;
}

int ecbpf_clean_maps(struct ecbpf *e)
{
	fprintf(stderr, "call: clean_maps\n");
	return answer(e, "clean_maps");
}

int ecbpf_features(struct ecbpf *e, const char *iface, __u64 *ret_features)
{
	int err = find_iface(e, iface);

	if (!err)
		err = answer(e, "features");
	if (!err)
		*ret_features = 0x27;
	return err;
}

/* eth0: something of each severity; others: all well */
int ecbpf_doctor(struct ecbpf *e, const char *const *names, size_t names_count,
		 struct ecbpf_finding **ret_findings, size_t *ret_count)
{
	static const struct ecbpf_finding findings[] = {
		{ECBPF_ERROR, "eth0", "link-missing", "their_prog (ID 56) has no link",
		 "it does not run, packets pass it by", "ecbpf-loader unload -i 56 eth0"},
		{ECBPF_WARNING, "", "pins-stale", "pins of a dispatcher that is gone",
		 "they keep its maps in memory", "ecbpf-loader clean"},
		{ECBPF_NOTE, "eth0", "mode", "native mode", "as it should be", ""},
		{ECBPF_OK, "", "bpffs", "/sys/fs/bpf is a BPF file system", "", ""},
	};
	size_t skip = names_count && strcmp(names[0], "eth0") ? 3 : 0;
	int err = answer(e, "doctor");

	fprintf(stderr, "call: doctor");
	print_ifaces(names, names_count);
	fprintf(stderr, "\n");
	if (err)
		return err;
	*ret_findings = calloc(4, sizeof(findings[0]));
	if (!*ret_findings)
		return -ENOMEM;
	memcpy(*ret_findings, &findings[skip], (4 - skip) * sizeof(findings[0]));
	*ret_count = 4 - skip;
	return 0;
}

void ecbpf_list_policy(struct ecbpf *e, unsigned int policy)
{
	(void)e;
	fprintf(stderr, "call: list_policy %u\n", policy);
}

/* Of each verb that changes rules: no call that a test would want to see */
void ecbpf_session_guard(struct ecbpf *e, bool is_on)
{
	(void)e;
	(void)is_on;
}

/* --- configuration ------------------------------------------------------------------------ */

int ecbpf_config_read(struct ecbpf *e, const char *file, struct ecbpf_config **ret_config)
{
	fprintf(stderr, "call: config_read");
	print_str("file", file);
	fprintf(stderr, "\n");
	*ret_config = NULL;
	return answer(e, "config_read");
}

void ecbpf_config_free(struct ecbpf_config *config)
{
	(void)config;
}

int ecbpf_config_apply(struct ecbpf *e, const struct ecbpf_config *config, bool check,
		       struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	(void)config;
	fprintf(stderr, "call: config_apply check=%d\n", check);
	if (answer(e, "config_apply"))
		return -EINVAL;
	*ret_changes = calloc(2, sizeof(**ret_changes));
	*ret_count = getenv("FAKE_NOTHING") ? 0 : 2;
	strcpy((*ret_changes)[0].text, "eth0: add ecbpf_count, priority 80");
	strcpy((*ret_changes)[1].text, "filter: frags ptb, was pass");
	return 0;
}

int ecbpf_config_vlans(struct ecbpf *e, const struct ecbpf_config *config,
		       struct ecbpf_config_vlan **ret_vlans, size_t *ret_count)
{
	(void)config;
	*ret_count = 0;
	*ret_vlans = calloc(3, sizeof(**ret_vlans));
	if (getenv("FAKE_VLANS")) {
		(*ret_vlans)[0] = (struct ecbpf_config_vlan){"a,b", 10};
		(*ret_vlans)[1] = (struct ecbpf_config_vlan){"a,b", 20};
		(*ret_vlans)[2] = (struct ecbpf_config_vlan){"eth1", 10};
		*ret_count = 3;
	}
	return answer(e, "config_vlans");
}

int ecbpf_config_vlan_tell(struct ecbpf *e, struct ecbpf_config *config, const char *iface,
			   const char *why)
{
	(void)e;
	(void)config;
	(void)iface;
	(void)why;
	return 0;
}

void ecbpf_watch_hold_vlans(struct ecbpf_watch *watch)
{
	(void)watch;
}

struct ecbpf_config *ecbpf_watch_config(struct ecbpf_watch *watch)
{
	(void)watch;
	return NULL;
}

int ecbpf_iface_find(const char *name)
{
	return (int)if_nametoindex(name);
}

int ecbpf_watch_open(struct ecbpf *e, const char *file, struct ecbpf_watch **ret_watch)
{
	fprintf(stderr, "call: watch_open");
	print_str("file", file);
	fprintf(stderr, "\n");
	*ret_watch = NULL;
	return answer(e, "watch_open");
}

void ecbpf_watch_close(struct ecbpf_watch *watch)
{
	(void)watch;
}

int ecbpf_watch_start(struct ecbpf_watch *watch, struct ecbpf_config *config,
		      struct ecbpf_config_change **ret_changes, size_t *ret_count)
{
	(void)watch;
	(void)config;
	(void)ret_changes;
	(void)ret_count;
	return -EINVAL;
}

int ecbpf_watch_fall_back(struct ecbpf_watch *watch, struct ecbpf_config_change **ret_changes,
			  size_t *ret_count)
{
	(void)watch;
	(void)ret_changes;
	(void)ret_count;
	return -EINVAL;
}

int ecbpf_watch_stop(struct ecbpf_watch *watch, struct ecbpf_config_change **ret_changes,
		     size_t *ret_count)
{
	(void)watch;
	(void)ret_changes;
	(void)ret_count;
	return -EINVAL;
}

int ecbpf_watch_fd(const struct ecbpf_watch *watch)
{
	(void)watch;
	return -1;
}

int ecbpf_watch_look(struct ecbpf_watch *watch, struct ecbpf_config_change **ret_changes,
		     size_t *ret_count)
{
	(void)watch;
	(void)ret_changes;
	(void)ret_count;
	return -EINVAL;
}

int ecbpf_watch_read(struct ecbpf *e, struct ecbpf_watch_state *ret_state)
{
	(void)e;
	*ret_state = (struct ecbpf_watch_state){};
	return 0;
}

int ecbpf_declared_read(struct ecbpf *e, struct ecbpf_declared **ret_declared, size_t *ret_count)
{
	static const struct ecbpf_declared declared[] = {
		{"eth0", "pass", true, true, false, true},
		{"eth0", "fw", true, true, false, false},
		{"enp*", "fw", false, true, false, false},
		{"eth1", "count", true, false, false, true},
	};

	*ret_declared = malloc(sizeof(declared));
	memcpy(*ret_declared, declared, sizeof(declared));
	*ret_count = 4;
	return answer(e, "declared_read");
}

/* Something is wrong if ECBPF_FAKE_DECLARED is set */
int ecbpf_declared_check(struct ecbpf *e, const char *const *ifaces, size_t ifaces_count,
			 bool is_quick, struct ecbpf_finding **ret_findings, size_t *ret_count)
{
	static const struct ecbpf_finding finding = {ECBPF_ERROR,    "eth0",
						     "not-attached", "not attached: fw",
						     "not handled",  "ecbpf-loader apply"};

	(void)ifaces;
	(void)ifaces_count;
	(void)is_quick;
	*ret_count = getenv("ECBPF_FAKE_DECLARED") != NULL;
	*ret_findings = malloc(sizeof(finding));
	**ret_findings = finding;
	return answer(e, "declared_check");
}

int ecbpf_declared_advise(struct ecbpf *e, struct ecbpf_finding *findings, size_t count)
{
	(void)findings;
	(void)count;
	return answer(e, "declared_advise");
}

void ecbpf_config_applied(struct ecbpf *e, bool is_ok)
{
	(void)e;
	(void)is_ok;
}

bool ecbpf_config_last_applied(struct ecbpf *e, long long *ret_when)
{
	(void)e;
	*ret_when = 1700000000;
	return true;
}

bool ecbpf_config_last_good_runs(struct ecbpf *e)
{
	(void)e;
	return false;
}

void ecbpf_watch_state_free(struct ecbpf_watch_state *state)
{
	(void)state;
}

void ecbpf_watch_begin(struct ecbpf_watch *watch)
{
	(void)watch;
}

void ecbpf_watch_tell(struct ecbpf_watch *watch, const char *text)
{
	(void)watch;
	(void)text;
}

int ecbpf_config_refresh(struct ecbpf *e)
{
	fprintf(stderr, "call: config_refresh\n");
	return answer(e, "config_refresh");
}

void ecbpf_config_reset_runtime(struct ecbpf_config *config)
{
	(void)config;
}

int ecbpf_config_stop(struct ecbpf *e, const char *file, struct ecbpf_config_change **ret_changes,
		      size_t *ret_count)
{
	fprintf(stderr, "call: config_stop");
	print_str("file", file);
	fprintf(stderr, "\n");
	*ret_changes = NULL;
	*ret_count = 0;
	return answer(e, "config_stop");
}

int ecbpf_config_export(struct ecbpf *e, const char *dir, char **ret_text)
{
	fprintf(stderr, "call: config_export");
	print_str("dir", dir);
	fprintf(stderr, "\n");
	if (answer(e, "config_export"))
		return -EINVAL;
	*ret_text = strdup("[interfaces]\ningress =\n");
	return 0;
}

int ecbpf_sampler_status(struct ecbpf *e, struct ecbpf_sampler_status *ret_status)
{
	(void)e;
	*ret_status = (struct ecbpf_sampler_status){.kernel.put = 5, .reader.published = 4};
	return 0;
}

int ecbpf_filter_list_size(struct ecbpf *e, __u32 list, struct ecbpf_filter_size *ret_size)
{
	(void)e;
	*ret_size = (struct ecbpf_filter_size){.prefixes = {list, 7}};
	return 0;
}

/* Four rules: two of one name, one without, one with characters that Prometheus has to escape */
int ecbpf_fw_stats(struct ecbpf *e, struct ecbpf_fw_ruleset **ret_ruleset,
		   struct ecbpf_fw_stat **ret_stats)
{
	(void)e;
	*ret_ruleset = NULL;
	*ret_stats = calloc(4, sizeof(**ret_stats));
	for (__u64 i = 0; i < 4; i++)
		(*ret_stats)[i] = (struct ecbpf_fw_stat){1ULL << i, 100ULL << i, i, 10 * i};
	return 0;
}

int ecbpf_fw_state(struct ecbpf *e, struct ecbpf_fw_state *ret_state)
{
	(void)e;
	*ret_state = (struct ecbpf_fw_state){.panic = ECBPF_FW_PANIC_PASS, .confirm_s = 42};
	return 0;
}

void ecbpf_fw_summary(const struct ecbpf_fw_ruleset *ruleset, struct ecbpf_fw_summary *ret)
{
	(void)ruleset;
	*ret = (struct ecbpf_fw_summary){.rules = 4};
}

const char *ecbpf_fw_rule_name(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	static const char *const names[] = {"dns", NULL, "dns", "a\\b"};
	static const char *const alike[] = {"a.b", "a b", "a_b", "a\\b"};

	(void)ruleset;
	return getenv("FAKE_ALIKE") ? alike[index] : names[index];
}

char *ecbpf_fw_rule_text(const struct ecbpf_fw_ruleset *ruleset, size_t index)
{
	(void)ruleset;
	(void)index;
	return strdup("ip from any to any drop");
}

void ecbpf_fw_ruleset_free(struct ecbpf_fw_ruleset *ruleset)
{
	(void)ruleset;
}

int ecbpf_fastpath_status(struct ecbpf *e, struct ecbpf_fastpath_status **ret_status)
{
	(void)e;
	*ret_status = calloc(1, sizeof(**ret_status));
	**ret_status = (struct ecbpf_fastpath_status){
		.is_on = true, .capacity = 1000, .flows = 1, .idle = 2, .dead = 3};
	(*ret_status)->egress.packets[0] = 5;
	return 0;
}

void ecbpf_fastpath_status_free(struct ecbpf_fastpath_status *status)
{
	free(status);
}

const char *ecbpf_egress_name(__u32 counter)
{
	return counter ? NULL : "granted";
}
