// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ecbpf.conf(5): what is read out of it, and every way that it can be wrong. Needs no privilege;
 * what is brought about is tested in testing/netns/config.sh and testing/vm/tests/config.sh.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include "config/conf.h"
#include "core/util.h"
#include "handle.h"

static struct ecbpf_config *read_text(const char *text)
{
	struct ecbpf_config *config;

	if (conf_read_text(e, "f", text, &config))
		fail_msg("'%s': %s", text, ecbpf_error(e));
	return config;
}

/* The words of a list, separated by blanks */
static const char *join(const struct conf_words *words)
{
	static char text[512];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < words->count; i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
				words->items[i].text);
	return text;
}

static void whole(void **state)
{
	static const char text[] = "# a comment\n"
				   "[interfaces]\n"
				   "ingress = eth0 a,b ; the first two\n"
				   "ingress = bond0/\n"
				   "  enp*\n"
				   "egress =\n"
				   "; another\n"
				   "[chain]\n"
				   "stages = filter,count sampler\n"
				   "fused = yes\n"
				   "mode = skb\n"
				   "[stage count]\n"
				   "prio = 12\n"
				   "actions = XDP_PASS, xdp_tx\n"
				   "malformed_action = XDP_PASS\n"
				   "malformed_action = XDP_DROP\n"
				   "[filter]\n"
				   "frags = ptb\n"
				   "ptb-max-pps = 100\n"
				   "land = count\n"
				   "vip = 203.0.113.80/32 2001:DB8::/64\n"
				   "vip = 203.0.113.80\n"
				   "[sampler]\n"
				   "rate = 50\n"
				   "max-pps = 0\n";
	struct ecbpf_config *c = read_text(text);
	const struct conf_unit *unit;

	(void)state;
	assert_true(c->has_interfaces && c->has_filter && c->has_sampler);
	assert_string_equal(join(&c->ingress), "eth0 a,b bond0/ enp*");
	assert_int_equal(c->ingress.items[3].line, 5);
	assert_string_equal(join(&c->egress), "");
	assert_string_equal(join(&c->stages), "filter count sampler");
	assert_true(c->is_fused);
	assert_int_equal(c->mode, ECBPF_MODE_SKB);
	unit = conf_unit_find(c, "count", true);
	assert_non_null(unit);
	assert_int_equal(unit->prio, 12);
	assert_int_equal(unit->actions, 1 << XDP_PASS | 1 << XDP_TX);
	assert_string_equal(join(&unit->settings), "malformed_action=1");
	assert_int_equal(c->filter.frags, ECBPF_FILTER_FRAGS_PTB);
	assert_int_equal(c->filter.frags6, ECBPF_FILTER_FRAGS_PASS);
	assert_int_equal(c->filter.ptb_max_pps, 100);
	assert_int_equal(c->filter.ptb_per_source_pps, 10);
	for (__u32 i = 0; i < ECBPF_FILTER_CHECKS_MAX; i++)
		assert_int_equal(c->filter.checks[i],
				 1U << i & ECBPF_FILTER_DROP_DEFAULT ? ECBPF_FILTER_CHECK_DROP
				 : 1U << i & ECBPF_FILTER_CHECK_LAND ? ECBPF_FILTER_CHECK_COUNT
								     : ECBPF_FILTER_CHECK_OFF);
	assert_string_equal(join(&c->vips), "203.0.113.80 2001:db8::/64");
	assert_int_equal(c->sampling.rate[0], 50);
	assert_int_equal(c->sampling.rate[1], 50);
	assert_int_equal(c->sampling.snap_len, 128);
	assert_int_equal(c->sampling.max_pps, 0);
	ecbpf_config_free(c);
}

/* What is not said is left alone, and what is said twice is undone */
static void little(void **state)
{
	struct ecbpf_config *c = read_text("[chain]\n");

	(void)state;
	assert_false(c->has_interfaces || c->has_filter || c->has_sampler);
	ecbpf_config_free(c);
	c = read_text("\xef\xbb\xbf[filter]\r\n[sampler]\nrate-drops = 7\nrate = 3\n");
	assert_false(c->has_interfaces);
	assert_true(c->has_filter && c->has_sampler);
	assert_int_equal(c->sampling.rate[0], 3);
	assert_int_equal(c->sampling.rate[1], 7);
	ecbpf_config_free(c);
	c = read_text("[interfaces]\ningress = eth0\n[chain]\nstages = pass\n[filter]\nvip = ::1\n"
		      "[interfaces]\ningress =\ningress = eth1\n[filter]\nvip =\n"
		      "[chain]\nstages =\nstages = count");
	assert_string_equal(join(&c->ingress), "eth1");
	assert_string_equal(join(&c->stages), "count");
	assert_string_equal(join(&c->vips), "");
	ecbpf_config_free(c);
	/* names that look like something else */
	c = read_text("[interfaces]\ningress =;x = [ab] #c \"d\" %s\n[chain]\nstages = pass\n");
	assert_string_equal(join(&c->ingress), ";x = [ab] #c \"d\" %s");
	ecbpf_config_free(c);
}

static void wrong(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		/* the grammar */
		{"x = y\n", "f:1: 'x' comes before any section"},
		{"[filter]\nfrags\n", "f:2: neither [SECTION] nor KEY = VALUE"},
		{"[filter\n", "f:1: '[' without ']'"},
		{"[filter] x\n", "f:1: text behind ']'"},
		{"[filter]\n [sampler]\n", "f:2: a section begins with its line, without blanks"},
		{"[]\n", "f:1: no section ''; there are interfaces, chain, stage, program, "
			 "filter, fw, fastpath, sampler"},
		{"\n[filters]\n", "f:2: no section 'filters'; did you mean 'filter'?"},
		{"[filter x]\n", "f:1: [filter] takes no name, like 'x'"},
		{"[stage]\n", "f:1: [stage] wants a name: [stage NAME]"},
		{"[stage filtr]\n", "f:1: no stage 'filtr'; did you mean 'filter'?"},
		{"[program aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee]\n",
		 "f:1: [program aaaaaaaaaabb...]: longer than 48 characters"},
		{"# \xff is a comment\n[interfaces]\ningress = \xc3\xa4 e\xff\n", "f:3: not UTF-8"},
		{"[interfaces]\ningress = \xed\xa0\x80\n", "f:2: not UTF-8"},
		/* keys */
		{"[interfaces]\ningres = x\n", "f:2: no key 'ingres'; did you mean 'ingress'?"},
		{"[chain]\nfusd = x\n", "f:2: no key 'fusd'; did you mean 'fused'?"},
		{"[chain]\nxyz = x\n", "f:2: no key 'xyz'; there are stages, fused, mode"},
		{"[filter]\nfrag = x\n", "f:2: no key 'frag'; did you mean 'frags'?"},
		{"[sampler]\nrates = 1\n", "f:2: no key 'rates'; did you mean 'rate'?"},
		/* values */
		{"[chain]\nstages = pass,cuont\n", "f:2: no stage 'cuont'; did you mean 'count'?"},
		{"[chain]\nstages = fused\n", "f:2: no stage 'fused'; there are pass, count, "
					      "printk, filter, fw, fastpath, sampler"},
		{"[chain]\nstages = sampler,filter\n",
		 "f:2: stages: 'sampler' (priority 90) before 'filter' (priority 10): give them in "
		 "order, or another prio in [stage filter]"},
		{"[interfaces]\ningress-vlan = 1 4095\n",
		 "f:2: ingress-vlan: '4095' is not a number from 1 to 4094"},
		{"[chain]\nfused = true\n", "f:2: fused: 'true' is not yes or no"},
		{"[chain]\non-stop = stay\n", "f:2: on-stop: 'stay' is not detach or leave"},
		{"[chain]\non-error = stop\n", "f:2: on-error: 'stop' is not open or last-good"},
		{"[chain]\nmode = hw\n", "f:2: mode: 'hw' is not native, skb or unspecified"},
		{"[stage pass]\nprio = -1\n", "f:2: prio: '-1' is not a number from 0 to "
					      "2147483647"},
		{"[stage pass]\nprio = 2147483648\n",
		 "f:2: prio: '2147483648' is not a number from 0 to 2147483647"},
		{"[stage pass]\nactions = PASS\n",
		 "f:2: actions: 'PASS' is not XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX or "
		 "XDP_REDIRECT"},
		{"[stage pass]\nactions =\n", "f:2: actions: none given"},
		{"[stage printk]\n\nprintk_evry = 5\n",
		 "f:3: printk: has no setting 'printk_evry'; it has "},
		{"[stage printk]\nprintk_every = x\n",
		 "f:2: setting printk_every: 'x' is not a number from 0 to 4294967295"},
		{"[stage fused]\nprintk_evry = 5\n", "f:2: ecbpf_fused: has no setting "},
		{"[program x]\n", "f:1: [program x]: which file?"},
		{"[program x]\nfile = x.o\n", "f:2: file: 'x.o' does not begin with /"},
		{"[program x]\nfile = /no/x.o\n", "f:2: /no/x.o: No such file or directory"},
		{"[program x]\nfile = /etc/passwd\n", "f:2: /etc/passwd: not an ELF object file"},
		{"[program x]\nfile = /x\nsection = a\nprog-name = b\n",
		 "f:2: [program x]: section and prog-name both say which program; give one"},
		{"[filter]\nfrags = no\n", "f:2: frags: 'no' is not pass, drop or ptb"},
		{"[filter]\nptb-max-pps = 0\n",
		 "f:2: ptb-max-pps: '0' is not a number from 1 to 1000000000"},
		{"[filter]\nland = on\n", "f:2: land: 'on' is not off, count or drop"},
		{"[filter]\nvip = x\n",
		 "f:2: vip: 'x' is not an address, such as 192.0.2.1 or 2001:db8::1"},
		{"[filter]\nvip = 10.0.0.0/33\n",
		 "f:2: vip: '10.0.0.0/33' has a prefix length that is not 0 to 32"},
		{"[filter]\ndrop = x\n", "f:2: drop: 'x' does not begin with /"},
		{"[filter]\nallow = /no/list\n", "f:2: /no/list: No such file or directory"},
		{"[fw]\nrule = /x\n", "f:2: no key 'rule'; did you mean 'rules'?"},
		{"[fw]\nrules = x\n", "f:2: rules: 'x' does not begin with /"},
		{"[fw]\nrules = /no/rules\n", "f:2: /no/rules: "},
		{"[sampler]\nrate = 4294967296\n",
		 "f:2: rate: '4294967296' is not a number from 0 to 4294967295"},
		{"[sampler]\nsnaplen = 16385\n",
		 "f:2: snaplen: '16385' is not a number from 0 to 16384"},
		{"[sampler]\nmax-pps =\n", "f:2: max-pps: '' is not a number from 0 to 4294967295"},
		{"[interfaces]\ningress = eth0\n",
		 "f:2: ingress: interfaces, but neither stages nor programs for them"},
		/* cut */
		{"[interfaces]\ningress = eth0\n[chain]\nstages =",
		 "f:2: ingress: interfaces, but neither stages nor programs for them"},
	};
	struct ecbpf_config *config;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *want = cases[i].want;

		if (!conf_read_text(e, "f", cases[i].text, &config))
			fail_msg("'%s' was taken", cases[i].text);
		if (strncmp(ecbpf_error(e), want, strlen(want)))
			fail_msg("'%s': '%s', not '%s'", cases[i].text, ecbpf_error(e), want);
	}
}

/* A line that inih would cut, and one that just fits */
static void long_lines(void **state)
{
	struct ecbpf_config *config;
	char text[4096];

	(void)state;
	for (int len = 1; len < 1000; len++) {
		snprintf(text, sizeof(text),
			 "[interfaces]\ningress = %0*d\n[chain]\nstages = pass\n", len, 7);
		if (conf_read_text(e, "f", text, &config)) {
			assert_non_null(strstr(ecbpf_error(e), "f:2: ingress: longer than "));
			assert_true(len > 100);
			return;
		}
		assert_int_equal(strlen(config->ingress.items[0].text), len);
		ecbpf_config_free(config);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

/* Lists: sorted, each prefix once; what is wrong with them stands with their own name */
static void lists(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"192.0.2.1 a 2x\n", ":1:13: '2x' is not 90s, 10m, 2h, 7d, 4w or "},
		{"\n192.0.2.1 a 2h\n", ":2:13: '2h' is a time from now; this file is read again "},
		{"192.0.2.1/33\n", ":1:1: '192.0.2.1/33' has a prefix length that is not 0 to 32"},
		{"192.0.2.1\n::1 192.0.2.1\n", ":2:1: '::1 192.0.2.1': a range ends in the "},
	};
	char path[] = "/tmp/test_config-XXXXXX", conf[128], text[ECBPF_PREFIX_TEXT], want[256];
	struct ecbpf_config *c;
	const struct conf_list *list;

	(void)state;
	close(mkstemp(path));
	snprintf(conf, sizeof(conf), "[filter]\ndrop = %s\nallow =\n", path);
	write_file(path, "2001:db8::/32\n"
			 "192.0.2.0/24 scan ; a comment\n"
			 "// another\n"
			 "192.0.2.0/24 scan\n"
			 "10.0.0.0/8 - 2001-01-01T00:00:00Z\n"
			 "10.0.0.0/9 x 2090-01-01T00:00:00Z # and one\n");
	c = read_text(conf);
	assert_true(c->lists[ECBPF_FILTER_ALLOW].is_said);
	assert_int_equal(c->lists[ECBPF_FILTER_ALLOW].count, 0);
	list = &c->lists[ECBPF_FILTER_BLOCK];
	assert_int_equal(list->count, 3);
	ecbpf_prefix_format(&list->entries[0].prefix, text);
	assert_string_equal(text, "10.0.0.0/9");
	assert_int_equal(list->entries[0].expires, 3786912000);
	assert_string_equal(list->entries[1].tag, "scan");
	ecbpf_prefix_format(&list->entries[2].prefix, text);
	assert_string_equal(text, "2001:db8::/32");
	ecbpf_config_free(c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_file(path, cases[i].text);
		if (!conf_read_text(e, "f", conf, &c))
			fail_msg("'%s' was taken", cases[i].text);
		snprintf(want, sizeof(want), "%s%s", path, cases[i].want);
		if (strncmp(ecbpf_error(e), want, strlen(want)))
			fail_msg("'%s': '%s', not '%s'", cases[i].text, ecbpf_error(e), want);
	}
	unlink(path);
}

static void rules(void **state)
{
	char path[] = "/tmp/test_config-XXXXXX", conf[128];
	struct ecbpf_fw_summary sum;
	struct ecbpf_config *c;

	(void)state;
	close(mkstemp(path));
	snprintf(conf, sizeof(conf), "[fw]\nrules = %s\n", path);
	write_file(path, "drop ip from any to any udp sport 53 name \"dns\"\n");
	c = read_text(conf);
	assert_non_null(c->ruleset);
	ecbpf_fw_summary(c->ruleset, &sum);
	assert_int_equal(sum.rules, 1);
	ecbpf_config_free(c);
	write_file(path, "drop ip from any\n");
	assert_int_equal(conf_read_text(e, "f", conf, &c), -EINVAL);
	assert_int_equal(strncmp(ecbpf_error(e), path, strlen(path)), 0);
	c = read_text("[fw]\nrules = /x\nrules =\n");
	ecbpf_fw_summary(c->ruleset, &sum);
	assert_int_equal(sum.rules, 0);
	ecbpf_config_free(c);
	c = read_text("[fw]\n");
	assert_null(c->ruleset);
	ecbpf_config_free(c);
	unlink(path);
}

static void files(void **state)
{
	struct ecbpf_config *config;

	(void)state;
	assert_int_equal(ecbpf_config_read(e, "/no/file", &config), -ENOENT);
	assert_string_equal(ecbpf_error(e), "/no/file: No such file or directory");
	assert_int_equal(ecbpf_config_read(e, "/", &config), -EISDIR);
	assert_string_equal(ecbpf_error(e), "/: Is a directory");
}

/* A file that was cut, or never written, is no configuration that declares nothing */
static void cut(void **state)
{
	static const char *const texts[] = {"", "\n", " \n\t\n\n", "\xef\xbb\xbf",
					    "# ecbpf.conf(5): what runs on this host\n"};
	char path[] = "/tmp/test_config-XXXXXX", want[256];
	struct ecbpf_config *config;

	(void)state;
	close(mkstemp(path));
	snprintf(want, sizeof(want),
		 "%s: no section: it may have been cut; [interfaces] with 'ingress =' declares "
		 "that nothing runs",
		 path);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		write_file(path, texts[i]);
		assert_int_equal(ecbpf_config_read(e, path, &config), -EINVAL);
		assert_string_equal(ecbpf_error(e), want);
	}
	write_file(path, "[interfaces]");
	assert_int_equal(ecbpf_config_read(e, path, &config), 0);
	assert_true(config->has_interfaces);
	ecbpf_config_free(config);
	unlink(path);
}

/* Lines that an editor shows, and that are part of a comment or of a value to us */
static void carriage_returns(void **state)
{
	static const struct {
		const char *text;
		int line; /* 0: it is taken */
	} cases[] = {
		{"[filter]\n# a\rfrags = pass\n", 2},
		{"[filter]\rfrags = pass\r", 1},
		{"[filter] # a\rfrags = pass", 1},
		{"[filter]\nfrags = pass ; a\rland = off\r\n", 2},
		{"[filter]\r\n# a\r\n# b \r\r\n; c\r \r\nfrags = pass ; d\r\n# e\r", 0},
	};
	char path[] = "/tmp/test_config-XXXXXX", want[256];
	struct ecbpf_config *config;

	(void)state;
	close(mkstemp(path));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int err;

		write_file(path, cases[i].text);
		err = ecbpf_config_read(e, path, &config);
		if (!err)
			ecbpf_config_free(config);
		assert_int_equal(err, cases[i].line ? -EINVAL : 0);
		snprintf(want, sizeof(want),
			 "%s:%d: a carriage return ends no line: write a newline", path,
			 cases[i].line);
		if (err)
			assert_string_equal(ecbpf_error(e), want);
	}
	unlink(path);
	/* of a version that took it */
	ecbpf_config_free(read_text("[filter]\n# a\rfrags = pass\n"));
}

/* What would block is refused, and what has no end; but for what a shell hands over */
static void pipes(void **state)
{
	static const char *const formats[] = {
		"[filter]\ndrop = %s\n",     "[filter]\nallow = %s\n",
		"[fw]\nrules = %s\n",	     "[program x]\nfile = %s\n",
		"[fw]\nrules = /dev/zero\n", "[filter]\ndrop = /dev/zero\n",
	};
	static const char text[] = "[interfaces]\ningress =\n";
	char dir[] = "/tmp/test_config-XXXXXX", path[64], conf[128];
	struct ecbpf_config *config;
	int fds[2];

	(void)state;
	alarm(20); /* rather than for ever */
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ecbpf_config_read(e, path, &config), -ENOTSUP);
	assert_non_null(strstr(ecbpf_error(e), "fifo: not a regular file"));
	assert_int_equal(ecbpf_config_read(e, "/dev/zero", &config), -ENOTSUP);
	assert_string_equal(ecbpf_error(e), "/dev/zero: not a regular file");
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		snprintf(conf, sizeof(conf), formats[i], path);
		assert_true(conf_read_text(e, "f", conf, &config) < 0);
		assert_int_equal(strncmp(ecbpf_error(e), "f:2: ", 5), 0);
		if (!strstr(ecbpf_error(e), "not a regular file") &&
		    !strstr(ecbpf_error(e), "not an ELF object file"))
			fail_msg("'%s': %s", conf, ecbpf_error(e));
	}
	unlink(path);
	rmdir(dir);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	assert_int_equal(ecbpf_config_read(e, path, &config), 0);
	assert_true(config->has_interfaces);
	ecbpf_config_free(config);
	close(fds[0]);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole), cmocka_unit_test(little),
		cmocka_unit_test(wrong), cmocka_unit_test(long_lines),
		cmocka_unit_test(files), cmocka_unit_test(lists),
		cmocka_unit_test(rules), cmocka_unit_test(pipes),
		cmocka_unit_test(cut),	 cmocka_unit_test(carriage_returns),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
