// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counters, for statsd, and as text for Prometheus: its exposition format 0.0.4, as node_exporter's
 * textfile directory takes no other. All samples of a name stand together, and each set of labels
 * once.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <ecbpf/libecbpf-config.h>
#include <ecbpf/libecbpf-fastpath.h>
#include <ecbpf/libecbpf-filter.h>
#include <ecbpf/libecbpf-fw.h>
#include <ecbpf/libecbpf-sampler.h>
#include "tools/loader/answers.h"
#include "tools/loader/loader.h"
#include "tools/common/statsd.h"
#include "tools/common/work.h"

struct metrics {
	struct ecbpf_chain **chains;
	size_t count;
	bool is_named; /* these chains, and no others */
	FILE *out;
};

static void head_type(const struct metrics *m, const char *name, const char *help, const char *type)
{
	fprintf(m->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void head(const struct metrics *m, const char *name, const char *help)
{
	head_type(m, name, help, "counter");
}

/* A label's value; different names stay different */
static void print_value(const struct metrics *m, const char *value)
{
	for (const char *c = tool_exact(value); *c; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', m->out);
		fputc(*c, m->out);
	}
}

/* NAME{interface="eth0",program="ecbpf_count",KEY="WORD"[,...]} VALUE; keys up to NULL */
static void sample(const struct metrics *m, const char *name, const char *const *labels,
		   __u64 value)
{
	fprintf(m->out, "%s{", name);
	for (size_t i = 0; labels[i]; i += 2) {
		fprintf(m->out, "%s%s=\"", i ? "," : "", labels[i]);
		print_value(m, labels[i + 1]);
		fputc('"', m->out);
	}
	fprintf(m->out, "} %" PRIu64 "\n", (uint64_t)value);
}

#define SAMPLE(m, name, value, ...) sample(m, name, (const char *const[]){__VA_ARGS__, NULL}, value)

static const char *stage_name(__u32 stage)
{
	const char *name = ecbpf_stage_name(stage);

	return name ? name : tool_str("stage-%u", stage);
}

static const char *reason_name(__u32 reason)
{
	const char *name = ecbpf_reason_name(reason);

	return name ? name : tool_str("reason-%u", reason);
}

static const char *count_name(__u32 class)
{
	const char *name = ecbpf_count_name(class);

	return name ? name : tool_str("class-%u", class);
}

/*
 * Programs of one name on one interface add up: their first one stands for all. Of this one, and
 * those behind it, all stages @stage
 */
static bool sum_stage(const struct ecbpf_chain *chain, size_t first, size_t slot,
		      struct ecbpf_counters *ret)
{
	const struct ecbpf_member *members = chain->members;
	__u32 stage = members[first].stages[slot].stage;
	__u64 *to = (__u64 *)ret;

	for (size_t i = 0; i <= first; i++)
		for (size_t s = 0; s < members[i].stages_count; s++)
			if (!strcmp(members[i].name, members[first].name) &&
			    members[i].stages[s].stage == stage && (i < first || s < slot))
				return false; /* was told with that one */
	*ret = (struct ecbpf_counters){};
	for (size_t i = first; i < chain->members_count; i++) {
		if (strcmp(members[i].name, members[first].name))
			continue;
		for (size_t s = 0; s < members[i].stages_count; s++) {
			const __u64 *from = (const __u64 *)&members[i].stages[s].counters;

			if (members[i].stages[s].stage != stage)
				continue;
			for (size_t n = 0; n < sizeof(*ret) / sizeof(*to); n++)
				to[n] += from[n];
		}
	}
	return true;
}

enum what {
	PACKETS,
	BYTES,
	REASONS,
};

static void print_stage(const struct metrics *m, const char *name, enum what what,
			const struct ecbpf_chain *chain, const struct ecbpf_member *member,
			__u32 stage, const struct ecbpf_counters *counters)
{
	const __u64 *values = what == BYTES ? counters->bytes : counters->packets;

	for (__u32 action = 0; what != REASONS && action < ECBPF_ACTION_MAX; action++)
		SAMPLE(m, name, values[action], "interface", chain->iface, "program", member->name,
		       "stage", stage_name(stage), "action", ecbpf_action_name(action));
	for (__u32 reason = 1; what == REASONS && reason < ECBPF_REASON_MAX; reason++)
		if (ecbpf_reason_name(reason) || counters->reasons[reason])
			SAMPLE(m, name, counters->reasons[reason], "interface", chain->iface,
			       "program", member->name, "stage", stage_name(stage), "reason",
			       reason_name(reason));
}

static void print_stages(const struct metrics *m, const char *name, const char *help,
			 enum what what)
{
	struct ecbpf_counters sum;

	head(m, name, help);
	for (size_t c = 0; c < m->count; c++) {
		const struct ecbpf_chain *chain = m->chains[c];

		for (size_t i = 0; i < chain->members_count; i++) {
			const struct ecbpf_member *member = &chain->members[i];

			for (size_t s = 0; s < member->stages_count; s++)
				if (sum_stage(chain, i, s, &sum))
					print_stage(m, name, what, chain, member,
						    member->stages[s].stage, &sum);
		}
	}
}

static void print_protocols(const struct metrics *m, const char *name, const char *help,
			    bool is_bytes)
{
	head(m, name, help);
	for (size_t c = 0; c < m->count; c++) {
		const struct ecbpf_chain *chain = m->chains[c];
		struct ecbpf_count sum[ECBPF_COUNT_MAX] = {};
		bool has = false;

		for (size_t i = 0; i < chain->members_count; i++) {
			has |= chain->members[i].has_count;
			for (__u32 class = 0; class < ECBPF_COUNT_MAX; class ++) {
				sum[class].packets += chain->members[i].count[class].packets;
				sum[class].bytes += chain->members[i].count[class].bytes;
			}
		}
		for (__u32 class = 0; has && class < ECBPF_COUNT_MAX; class ++)
			if (ecbpf_count_name(class))
				SAMPLE(m, name, is_bytes ? sum[class].bytes : sum[class].packets,
				       "interface", chain->iface, "protocol", count_name(class));
	}
}

static void print_sampler(const struct metrics *m, const struct ecbpf_sampler_status *status)
{
	static const char kernel[] = "ecbpf_samples_drawn_total";
	static const char reader[] = "ecbpf_samples_read_total";

	head(m, kernel, "Samples that were drawn, by what became of them in the kernel.");
	SAMPLE(m, kernel, status->kernel.put, "result", "put");
	SAMPLE(m, kernel, status->kernel.capped, "result", "capped");
	SAMPLE(m, kernel, status->kernel.lost, "result", "lost");
	SAMPLE(m, kernel, status->kernel.unread, "result", "unread");
	head(m, reader, "Samples put out by the kernel, by what became of them in the reader.");
	SAMPLE(m, reader, status->reader.published, "result", "published");
	SAMPLE(m, reader, status->reader.send_errors, "result", "send_error");
	SAMPLE(m, reader, status->reader.abandoned, "result", "abandoned");
	head(m, "ecbpf_samples_published_bytes_total", "Payload of the samples published.");
	fprintf(m->out, "ecbpf_samples_published_bytes_total %" PRIu64 "\n",
		(uint64_t)status->reader.bytes);
	head(m, "ecbpf_samples_queue_full_total",
	     "Times that a subscriber's queue was found full.");
	fprintf(m->out, "ecbpf_samples_queue_full_total %" PRIu64 "\n",
		(uint64_t)status->reader.queue_full);
}

static int print_lists(struct tool *tool, const struct metrics *m)
{
	static const char name[] = "ecbpf_list_prefixes";
	static const char *const lists[ECBPF_FILTER_LISTS] = {
		[ECBPF_FILTER_ALLOW] = "allow",
		[ECBPF_FILTER_BLOCK] = "drop",
	};

	head_type(m, name, "Prefixes on a list of the filter; what they drop is among the reasons.",
		  "gauge");
	for (__u32 list = 0; list < ECBPF_FILTER_LISTS; list++) {
		struct ecbpf_filter_size size;

		if (ecbpf_filter_list_size(tool->ecbpf, list, &size))
			return tool_fail_ecbpf(tool);
		SAMPLE(m, name, size.prefixes[0], "list", lists[list], "family", "4");
		SAMPLE(m, name, size.prefixes[1], "list", lists[list], "family", "6");
	}
	return TOOL_OK;
}

/* A rule by its name, or as text; those alike add up */
struct rule {
	char *label;
	struct ecbpf_fw_stat stat;
};

static int rule_compare(const void *a, const void *b)
{
	return strcmp(((const struct rule *)a)->label, ((const struct rule *)b)->label);
}

/* @ret_rules: each label once; they, and their labels, for free() */
static size_t rules_sum(const struct ecbpf_fw_ruleset *ruleset, const struct ecbpf_fw_stat *stats,
			size_t count, struct rule **ret_rules)
{
	struct rule *rules = tool_alloc(NULL, (count + 1) * sizeof(*rules));
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		const char *name = ecbpf_fw_rule_name(ruleset, i);

		rules[i].label = name ? strcpy(tool_alloc(NULL, strlen(name) + 1), name)
				      : ecbpf_fw_rule_text(ruleset, i);
		if (!rules[i].label)
			exit(tool_fail("out of memory"));
		rules[i].stat = stats[i];
	}
	qsort(rules, count, sizeof(*rules), rule_compare);
	for (size_t i = 0; i < count; i++) {
		if (!kept || rule_compare(&rules[kept - 1], &rules[i])) {
			rules[kept++] = rules[i];
			continue;
		}
		rules[kept - 1].stat.packets += rules[i].stat.packets;
		rules[kept - 1].stat.bytes += rules[i].stat.bytes;
		rules[kept - 1].stat.over += rules[i].stat.over;
		rules[kept - 1].stat.shared += rules[i].stat.shared;
		free(rules[i].label);
	}
	*ret_rules = rules;
	return kept;
}

static int print_fw_state(struct tool *tool, const struct metrics *m)
{
	static const char panic[] = "ecbpf_fw_panic", confirm[] = "ecbpf_fw_confirm_seconds";
	struct ecbpf_fw_state state = {};
	int err = ecbpf_fw_state(tool->ecbpf, &state);

	if (err)
		return err == -ENOENT ? TOOL_OK : tool_fail_ecbpf(tool);
	head_type(m, panic,
		  "Whether no rule is asked, and packets pass or are dropped: ecbpf-fw panic.",
		  "gauge");
	SAMPLE(m, panic, state.panic == ECBPF_FW_PANIC_DROP, "verdict", "drop");
	SAMPLE(m, panic, state.panic == ECBPF_FW_PANIC_PASS, "verdict", "pass");
	head_type(m, confirm,
		  "Seconds until rules that wait for ecbpf-fw confirm are taken back; 0: none.",
		  "gauge");
	fprintf(m->out, "%s %u\n", confirm, state.confirm_s);
	return TOOL_OK;
}

static int print_rules(struct tool *tool, const struct metrics *m)
{
	static const char packets[] = "ecbpf_rule_packets_total";
	static const char bytes[] = "ecbpf_rule_bytes_total";
	static const char over[] = "ecbpf_rule_over_limit_packets_total";
	static const char shared[] = "ecbpf_rule_shared_limit_packets_total";
	struct ecbpf_fw_ruleset *ruleset;
	struct ecbpf_fw_summary summary;
	struct ecbpf_fw_stat *stats;
	struct rule *rules;
	size_t count;
	int err;

	err = ecbpf_fw_stats(tool->ecbpf, &ruleset, &stats);
	if (err)
		return err == -ENOENT ? TOOL_OK : tool_fail_ecbpf(tool);
	ecbpf_fw_summary(ruleset, &summary);
	count = rules_sum(ruleset, stats, summary.rules, &rules);
	head(m, packets,
	     "Packets that a rule of the firewall took, by its name, or else its text.");
	for (size_t i = 0; i < count; i++)
		SAMPLE(m, packets, rules[i].stat.packets, "rule", rules[i].label);
	head(m, bytes, "Bytes of whole frames that a rule of the firewall took.");
	for (size_t i = 0; i < count; i++)
		SAMPLE(m, bytes, rules[i].stat.bytes, "rule", rules[i].label);
	head(m, over, "Packets above the limit of a rule of the firewall.");
	for (size_t i = 0; i < count; i++)
		SAMPLE(m, over, rules[i].stat.over, "rule", rules[i].label);
	head(m, shared,
	     "Packets of sources that shared a bucket, because a limit had no more of them.");
	for (size_t i = 0; i < count; i++)
		SAMPLE(m, shared, rules[i].stat.shared, "rule", rules[i].label);
	for (size_t i = 0; i < count; i++)
		free(rules[i].label);
	free(rules);
	free(stats);
	ecbpf_fw_ruleset_free(ruleset);
	return TOOL_OK;
}

static int print_fastpath(struct tool *tool, const struct metrics *m)
{
	static const char flows[] = "ecbpf_flows", egress[] = "ecbpf_egress_packets_total";
	struct ecbpf_fastpath_status *status;
	int err;

	err = ecbpf_fastpath_status(tool->ecbpf, &status);
	if (err)
		return err == -ENOENT ? TOOL_OK : tool_fail_ecbpf(tool);
	head(m, egress, "Packets that the fast path saw leave, by what it made of them.");
	for (__u32 i = 0; i < ECBPF_EGRESS_MAX; i++)
		if (ecbpf_egress_name(i))
			SAMPLE(m, egress, status->egress.packets[i], "result",
			       ecbpf_egress_name(i));
	head_type(m, flows, "Flows that the fast path knows, by state.", "gauge");
	SAMPLE(m, flows, status->flows, "state", "lease");
	SAMPLE(m, flows, status->idle, "state", "idle");
	SAMPLE(m, flows, status->dead, "state", "dead");
	head_type(m, "ecbpf_flows_capacity", "Flows that the fast path's table was made for.",
		  "gauge");
	fprintf(m->out, "ecbpf_flows_capacity %u\n", status->capacity);
	head_type(m, "ecbpf_fastpath_on", "Whether the fast path forwards.", "gauge");
	fprintf(m->out, "ecbpf_fastpath_on %d\n", status->is_on);
	ecbpf_fastpath_status_free(status);
	return TOOL_OK;
}

/* Of `ecbpf-loader watch`, and what `ecbpf-loader apply` has noted */
static int print_watch(struct tool *tool, const struct metrics *m)
{
	static const char waiting[] = "ecbpf_waiting";
	struct ecbpf_watch_state state;
	long long applied;
	bool is_ok, is_last_good;

	if (ecbpf_watch_read(tool->ecbpf, &state))
		return tool_fail_ecbpf(tool);
	is_ok = ecbpf_config_last_applied(tool->ecbpf, &applied);
	is_last_good = ecbpf_config_last_good_runs(tool->ecbpf);
	if (state.pid) {
		is_last_good = *state.instead;
		applied = state.applied;
		is_ok = !*state.error;
	}
	head_type(m, "ecbpf_watch_running", "Whether ecbpf-loader watch runs.", "gauge");
	fprintf(m->out, "ecbpf_watch_running %d\n", state.pid != 0);
	head_type(m, waiting, "Interfaces and patterns that ecbpf-loader watch waits for.",
		  "gauge");
	for (size_t i = 0; i < state.waits_count; i++)
		SAMPLE(m, waiting, 1, "name", state.waits[i].name);
	head_type(m, "ecbpf_last_apply_timestamp_seconds",
		  "When the configuration that runs was applied; 0: never since boot.", "gauge");
	fprintf(m->out, "ecbpf_last_apply_timestamp_seconds %lld\n", applied);
	head_type(m, "ecbpf_last_apply_ok",
		  "Whether the configuration, as it was last read, was applied.", "gauge");
	fprintf(m->out, "ecbpf_last_apply_ok %d\n", is_ok);
	head_type(m, "ecbpf_last_good_runs",
		  "Whether the last good configuration runs instead of the file.", "gauge");
	fprintf(m->out, "ecbpf_last_good_runs %d\n", is_last_good);
	ecbpf_watch_state_free(&state);
	return TOOL_OK;
}

/* Of one interface: its first entry stands for all. Return: false: it was told */
static bool sum_iface(const struct ecbpf_declared *all, size_t count, size_t first,
		      bool *ret_is_declared, bool *ret_is_attached)
{
	*ret_is_declared = *ret_is_attached = false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].iface, all[first].iface))
			continue;
		if (i < first)
			return false;
		*ret_is_declared |= all[i].by_file || all[i].by_command;
		*ret_is_attached |= all[i].is_attached;
	}
	return true;
}

static bool is_asked(const struct metrics *m, const char *iface)
{
	bool is = !m->is_named;

	for (size_t i = 0; i < m->count && !is; i++)
		is = !strcmp(m->chains[i]->iface, iface);
	return is;
}

/* What is to be on interfaces and is there, so that it is seen when nothing is loaded */
static int print_declared(struct tool *tool, const struct metrics *m)
{
	static const char declared[] = "ecbpf_declared", attached[] = "ecbpf_attached";
	static const char stage[] = "ecbpf_stage_attached";
	struct ecbpf_declared *all;
	bool is_declared, is_attached;
	size_t count, kept = 0;

	if (ecbpf_declared_read(tool->ecbpf, &all, &count))
		return tool_fail_ecbpf(tool);
	for (size_t i = 0; i < count; i++)
		if (is_asked(m, all[i].iface))
			all[kept++] = all[i];
	count = kept;
	head_type(m, declared,
		  "Whether programs are declared: in the configuration, or by loading them.",
		  "gauge");
	for (size_t i = 0; i < count; i++)
		if (sum_iface(all, count, i, &is_declared, &is_attached))
			SAMPLE(m, declared, is_declared, "interface", all[i].iface);
	head_type(m, attached, "Whether any of ecbpf's programs is attached.", "gauge");
	for (size_t i = 0; i < count; i++)
		if (sum_iface(all, count, i, &is_declared, &is_attached))
			SAMPLE(m, attached, is_attached, "interface", all[i].iface);
	head_type(m, stage, "Whether a stage is attached, declared ones and others.", "gauge");
	for (size_t i = 0; i < count; i++)
		SAMPLE(m, stage, all[i].is_attached, "interface", all[i].iface, "stage",
		       all[i].stage);
	free(all);
	head_type(m, "ecbpf_build_info", "Version of ecbpf-loader.", "gauge");
	SAMPLE(m, "ecbpf_build_info", 1, "version", ecbpf_version());
	return TOOL_OK;
}

static int print_all(struct tool *tool, struct metrics *m)
{
	struct ecbpf_sampler_status sampler;
	int err, status;

	err = ecbpf_sampler_status(tool->ecbpf, &sampler);
	if (err && err != -ENOENT)
		return tool_fail_ecbpf(tool);
	print_stages(m, "ecbpf_packets_total", "Packets by verdict of a stage.", PACKETS);
	print_stages(m, "ecbpf_bytes_total", "Bytes of whole frames, by verdict of a stage.",
		     BYTES);
	print_stages(m, "ecbpf_reason_packets_total", "Packets by the reason of a stage's verdict.",
		     REASONS);
	print_protocols(m, "ecbpf_protocol_packets_total", "Packets by protocol, of stage count.",
			false);
	print_protocols(m, "ecbpf_protocol_bytes_total", "Bytes by protocol, of stage count.",
			true);
	status = print_lists(tool, m);
	if (status == TOOL_OK)
		status = print_fw_state(tool, m);
	if (status == TOOL_OK)
		status = print_rules(tool, m);
	if (status == TOOL_OK)
		status = print_fastpath(tool, m);
	if (status == TOOL_OK)
		status = print_watch(tool, m);
	if (status == TOOL_OK)
		status = print_declared(tool, m);
	if (!err)
		print_sampler(m, &sampler);
	fprintf(m->out, "# EOF\n");
	return status;
}

int loader_metrics_print(struct tool *tool, const struct tool_list *ifaces, bool is_named,
			 FILE *out)
{
	struct metrics m = {.out = out, .is_named = is_named};
	int status = TOOL_OK;

	m.chains = tool_alloc(NULL, (ifaces->count + 1) * sizeof(*m.chains));
	for (size_t i = 0; i < ifaces->count && status == TOOL_OK; i++) {
		if (ecbpf_chain_get(tool->ecbpf, ifaces->items[i], &m.chains[m.count]))
			status = tool_fail_ecbpf(tool);
		else
			m.count++;
	}
	if (status == TOOL_OK)
		status = print_all(tool, &m);
	for (size_t i = 0; i < m.count; i++)
		ecbpf_chain_free(m.chains[i]);
	free(m.chains);
	return status;
}

#define GAUGE_NAME_MAX	250 /* Graphite makes names of files of it */
#define GAUGE_MAX	(GAUGE_NAME_MAX + sizeof(":18446744073709551615|g\n"))
#define GAUGE_HASH_SIZE 10 /* "_", 8 digits, NUL */

/* @line: the sample that it is of; @is_cut: its name does not tell all of it */
struct gauge {
	char name[GAUGE_NAME_MAX + 1];
	const char *line;
	const char *value;
	bool is_cut;
};

/*
 * Of a sample, NAME{KEY="WORD"[,...]} VALUE: the name NAME.WORD[...]. What has a meaning to statsd
 * or Graphite becomes an underscore
 */
static void gauge_make(const char *line, struct gauge *ret)
{
	const char *value = strrchr(line, ' ') + 1;
	size_t len = strcspn(line, "{ ");
	bool is_word = false;

	*ret = (struct gauge){.line = line, .value = value};
	memcpy(ret->name, line, len);
	for (const char *at = line + len; at < value; at++) {
		char c = *at;

		if (c == '"') {
			is_word = !is_word;
			c = is_word ? '.' : '\0';
		} else if (is_word) {
			at += c == '\\'; /* the next one is escaped */
			c = isalnum((unsigned char)*at) || *at == '-' ? *at : '_';
			ret->is_cut |= c != *at;
		} else {
			c = '\0';
		}
		if (c && len < GAUGE_NAME_MAX)
			ret->name[len++] = c;
		else if (c)
			ret->is_cut = true;
	}
}

static int gauge_compare(const void *a, const void *b)
{
	const struct gauge *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* FNV-1a, of the sample without its value */
static __u32 gauge_hash(const struct gauge *gauge)
{
	__u32 hash = 2166136261;

	for (const char *c = gauge->line; c < gauge->value; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619;
	return hash;
}

/* Of samples that would be one: those that their names do not tell all of get a hash of it */
static void gauges_part(struct gauge *gauges, size_t count)
{
	const struct gauge **order = tool_alloc(NULL, (count + 1) * sizeof(*order));
	bool *is_double = tool_alloc(NULL, count + 1);

	memset(is_double, 0, count + 1);
	for (size_t i = 0; i < count; i++)
		order[i] = &gauges[i];
	qsort(order, count, sizeof(*order), gauge_compare);
	for (size_t i = 1; i < count; i++)
		if (!gauge_compare(&order[i - 1], &order[i]))
			is_double[order[i - 1] - gauges] = is_double[order[i] - gauges] = true;
	for (size_t i = 0; i < count; i++) {
		struct gauge *gauge = &gauges[i];
		size_t len = strlen(gauge->name);

		if (!is_double[i] || !gauge->is_cut)
			continue;
		if (len > GAUGE_NAME_MAX + 1 - GAUGE_HASH_SIZE)
			len = GAUGE_NAME_MAX + 1 - GAUGE_HASH_SIZE;
		snprintf(gauge->name + len, GAUGE_HASH_SIZE, "_%08x", gauge_hash(gauge));
	}
	free(order);
	free(is_double);
}

/* For free() */
static struct gauge *gauges_make(char *text, size_t *ret_count)
{
	struct gauge *gauges = NULL;
	size_t room = 0, count = 0;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '#')
			continue;
		if (count == room) {
			room = room ? 2 * room : 1024;
			gauges = tool_alloc(gauges, room * sizeof(*gauges));
		}
		gauge_make(line, &gauges[count++]);
	}
	gauges_part(gauges, count);
	*ret_count = count;
	return gauges;
}

/* Return: 0; -errno */
static int datagram_send(int fd, const char *datagram, size_t len)
{
	while (len && send(fd, datagram, len, MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN ||
		    poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000) < 1)
			return -errno;
	}
	return 0;
}

/* As many in a datagram as it takes */
static int gauges_send(int fd, char *text)
{
	char datagram[STATSD_MAX], line[GAUGE_MAX];
	size_t filled = 0, len, count;
	struct gauge *gauges = gauges_make(text, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		len = snprintf(line, sizeof(line), "%s:%s|g\n", gauges[i].name, gauges[i].value);
		if (filled + len > sizeof(datagram)) {
			err = datagram_send(fd, datagram, filled);
			filled = 0;
		}
		memcpy(datagram + filled, line, len);
		filled += len;
	}
	free(gauges);
	if (!err)
		err = datagram_send(fd, datagram, filled);
	/* where nobody listens, and that is known by now */
	if (!err && recv(fd, line, sizeof(line), MSG_DONTWAIT) < 0 && errno != EAGAIN)
		err = -errno;
	return err;
}

/* All of them, or none: @ret_text, for free() */
static int metrics_text(struct tool *tool, const struct tool_list *ifaces, bool is_named,
			char **ret_text)
{
	size_t size;
	FILE *out;
	int status;

	*ret_text = NULL;
	out = open_memstream(ret_text, &size);
	status = out ? loader_metrics_print(tool, ifaces, is_named, out) : TOOL_OK;
	if (!out || fclose(out))
		status = tool_fail("out of memory");
	return status;
}

/*
 * Readable by all, as node_exporter, which reads *.prom only, is none of ours. In the place of the
 * file that a symbolic link leads to, but of nothing else: by a wrong name, /dev/null would be a
 * file for all others
 */
static int metrics_write(struct tool *tool, const struct tool_list *ifaces, bool is_named,
			 const char *name)
{
	struct tool_work work TOOL_CLEANUP(tool_work_end) = TOOL_WORK_INIT;
	char real[PATH_MAX], *text;
	const char *path = realpath(name, real) ?: name;
	struct stat st;
	int status, err;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return tool_fail("%s: no regular file; without --output, metrics are printed",
				 name);
	err = tool_work_open(path, 0644, &work);
	if (err)
		return tool_fail("%s: %s", path, strerror(-err));
	status = metrics_text(tool, ifaces, is_named, &text);
	if (status == TOOL_OK && dprintf(work.fd, "%s", text) < 0)
		err = -errno;
	free(text);
	if (status != TOOL_OK)
		return status;
	err = err ?: tool_work_replace(&work, path);
	return err ? tool_fail("%s: %s", path, strerror(-err)) : TOOL_OK;
}

static int metrics_send(struct tool *tool, const struct tool_list *ifaces, bool is_named,
			const char *where)
{
	int fd, err, status = statsd_open(where, &fd);
	char *text;

	if (status != TOOL_OK)
		return status;
	status = metrics_text(tool, ifaces, is_named, &text);
	err = status == TOOL_OK ? gauges_send(fd, text) : 0;
	if (err)
		status = tool_fail("--statsd: '%s': %s", where, strerror(-err));
	free(text);
	close(fd);
	return status;
}

static int metrics_print(struct tool *tool, const struct tool_list *ifaces, bool is_named)
{
	char *text;
	int status = metrics_text(tool, ifaces, is_named, &text);

	if (status == TOOL_OK)
		fputs(text, stdout);
	free(text);
	return status;
}

const struct tool_option loader_metrics_options[] = {
	{'o', "output", "FILE", "write to FILE, which is replaced in one step; -: print"},
	{OPT_STATSD, "statsd", "HOST:PORT", "send them as gauges over UDP"},
	TOOL_COMMON_OPTIONS,
};

int loader_run_metrics(struct tool *tool, int argc, char **argv)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};
	const char *output = NULL, *statsd = NULL;
	bool is_named;
	int id;

	while ((id = tool_getopt(tool, argc, argv)) != -1) {
		switch (id) {
		case 'o':
			output = strcmp(optarg, "-") ? optarg : NULL;
			break;
		case OPT_STATSD:
			statsd = optarg;
			break;
		default:
			return TOOL_USAGE;
		}
	}
	if (output && statsd)
		return tool_usage("--output and --statsd cannot be combined");
	if (tool_operands_ifaces(argc, argv, &ifaces))
		return TOOL_USAGE;
	if (!ifaces.count && !output && !statsd) {
		int status = answer_print(ANSWER_METRICS, stdout);

		if (status != ANSWER_NONE)
			return status;
	}
	is_named = ifaces.count;
	if (!is_named && tool_ifaces_all(&ifaces))
		return TOOL_FAILED;
	if (statsd)
		return metrics_send(tool, &ifaces, is_named, statsd);
	return output ? metrics_write(tool, &ifaces, is_named, output)
		      : metrics_print(tool, &ifaces, is_named);
}
