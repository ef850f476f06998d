// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The list reader: what each form of a line is taken for, and what is refused, where, and in which
 * words. That prefixes and ranges mean the same to another implementation is for test_lists.py.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <ecbpf/libecbpf-filter.h>
#include <ecbpf/libecbpf-list.h>

static struct ecbpf *e;
static char warnings[8192];

static void note(void *data, enum ecbpf_log_level level, const char *line)
{
	(void)data;
	(void)level;
	strncat(warnings, line, sizeof(warnings) - strlen(warnings) - 2);
	strcat(warnings, "\n");
}

static int setup(void **state)
{
	(void)state;
	if (ecbpf_new(&e))
		return -1;
	ecbpf_set_log(e, note, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ecbpf_free(e);
	return 0;
}

/* "192.0.2.0/24=tag 2001:db8::1" */
static const char *list_text(const struct ecbpf_list *list)
{
	static char text[65536];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->count && len < sizeof(text) - 200; i++) {
		const struct ecbpf_list_entry *entry = &list->entries[i];
		char prefix[ECBPF_PREFIX_TEXT];

		ecbpf_prefix_format(&entry->prefix, prefix);
		len += sprintf(text + len, "%s%s%s%s", i ? " " : "", prefix, *entry->tag ? "=" : "",
			       entry->tag);
	}
	return text;
}

static const char *read_size(const char *text, size_t size, __u8 family, unsigned int flags)
{
	static char result[65536];
	struct ecbpf_list list;
	char *copy = malloc(size + 1); /* of its own, so that a byte beyond is noticed */

	assert_non_null(copy);
	memcpy(copy, text, size);
	warnings[0] = '\0';
	if (ecbpf_list_parse(e, "f", copy, size, family, flags, &list)) {
		snprintf(result, sizeof(result), "! %s", ecbpf_error(e));
	} else {
		snprintf(result, sizeof(result), "%s", list_text(&list));
		ecbpf_list_free(&list);
	}
	free(copy);
	return result;
}

static const char *read_text(const char *text)
{
	return read_size(text, strlen(text), 0, ECBPF_LIST_EXPIRES);
}

static void check(const char *text, const char *expected)
{
	const char *result = read_text(text);

	if (strcmp(result, expected))
		fail_msg("'%s':\n%s\nexpected:\n%s", text, result, expected);
}

/* The error of a line that is refused begins so */
static void check_bad(const char *text, const char *expected)
{
	const char *result = read_text(text);

	if (strncmp(result, "! f:", 4) || strncmp(result + 4, expected, strlen(expected)))
		fail_msg("'%s':\n%s\nexpected:\n! f:%s...", text, result, expected);
}

static void forms(void **state)
{
	(void)state;
	check("192.0.2.1\n", "192.0.2.1");
	check("192.0.2.0/24", "192.0.2.0/24");
	check("192.0.2.0/255.255.255.0", "192.0.2.0/24");
	check("192.0.2.0 255.255.255.0", "192.0.2.0/24");
	check("192.0.2.0\t255.255.255.0", "192.0.2.0/24");
	check("192.0.2.1 255.255.255.255", "192.0.2.1");
	check("192.0.2.1-192.0.2.1", "192.0.2.1");
	check("192.0.2.0-192.0.2.255", "192.0.2.0/24");
	check("192.0.2.0 - 192.0.2.255", "192.0.2.0/24");
	check("192.0.2.0 -192.0.2.255", "192.0.2.0/24");
	check("192.0.2.0- 192.0.2.255", "192.0.2.0/24");
	check("192.0.2.0 192.0.2.255", "192.0.2.0/24");
	check("192.0.2.1-192.0.2.6", "192.0.2.1 192.0.2.2/31 192.0.2.4/31 192.0.2.6");
	check("0.0.0.0-255.255.255.255", "0.0.0.0/0");
	check("0.0.0.0/0", "0.0.0.0/0");
	check("0.0.0.0/0.0.0.0", "0.0.0.0/0");
	check("224.0.0.0-255.255.255.255", "224.0.0.0/3");
	check("2001:db8::1", "2001:db8::1");
	check("2001:DB8:0::/32", "2001:db8::/32");
	check("2001:db8::/ffff:ffff::", "2001:db8::/32");
	check("2001:db8:: ffff:ffff::", "2001:db8::/32");
	check("2001:db8::-2001:db8::ff", "2001:db8::/120");
	check("2001:db8::1 - 2001:db8::2", "2001:db8::1 2001:db8::2");
	check("::/0", "::/0");
	check("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0");
	check("::ffff:192.0.2.1", "192.0.2.1");
	check("::ffff:c000:201", "192.0.2.1");
	check("::FFFF:192.0.2.0/120", "192.0.2.0/24");
	check("::ffff:192.0.2.0-::ffff:192.0.2.3", "192.0.2.0/30");
	check("::ffff:192.0.2.0-192.0.2.3", "192.0.2.0/30");
	check("192.0.2.1\n2001:db8::1\n", "192.0.2.1 2001:db8::1");
}

static void surroundings(void **state)
{
	(void)state;
	check("", "");
	check("\n\n  \t \n", "");
	check("# c\n; c\n// c\n  # c\n192.0.2.1 # c\n192.0.2.2 ; c\n192.0.2.3 // c\n192.0.2.4;c\n"
	      "192.0.2.5#c\n",
	      "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5");
	check("\xef\xbb\xbf# c\r\n192.0.2.1\r\n192.0.2.2\r", "192.0.2.1 192.0.2.2");
	check("\xef\xbb\xbf", "");
	check("  192.0.2.1  \n", "192.0.2.1");
	check("\"192.0.2.1\"\n'192.0.2.2'\n\"192.0.2.0/24\"\n\"192.0.2.0\",\"x\"\n",
	      "192.0.2.1 192.0.2.2 192.0.2.0/24 192.0.2.0=x");
	check("\"192.0.2.0\"-\"192.0.2.1\"\n\"192.0.2.0\" - \"192.0.2.1\"\n\"192.0.2.0 - "
	      "192.0.2.1\"\n\"192.0.2.0 192.0.2.1\"\n\" 192.0.2.1 \",x y",
	      "192.0.2.0/31 192.0.2.0/31 192.0.2.0/31 192.0.2.0/31 192.0.2.1=x");
}

static void columns(void **state)
{
	(void)state;
	check("192.0.2.1 ssh", "192.0.2.1=ssh");
	check("192.0.2.1,ssh,x", "192.0.2.1=ssh");
	check("192.0.2.1|ssh|x", "192.0.2.1=ssh");
	check("192.0.2.1 | ssh | x", "192.0.2.1=ssh");
	check("192.0.2.1, \"brute force\",x", "192.0.2.1=brute");
	check("192.0.2.1\t25", "192.0.2.1");
	check("192.0.2.0/24 25", "192.0.2.0/24");
	check("192.0.2.1 250", "192.0.2.1");
	check("192.0.2.1 blocklist-de", "192.0.2.1=blocklist-de");
	check("192.0.2.1 AS64496", "192.0.2.1=AS64496");
	check("192.0.2.1 3proxy", "192.0.2.1=3proxy");
	check("192.0.2.1 2h -", "192.0.2.1=2h");
	check("192.0.2.1\t25\tssh", "192.0.2.1");
	check("192.0.2.1,0.95,ssh", "192.0.2.1");
	check("192.0.2.1,,ssh", "192.0.2.1");
	check("192.0.2.1,", "192.0.2.1");
	check("192.0.2.1 -", "192.0.2.1");
	check("192.0.2.1 - -", "192.0.2.1");
	check("192.0.2.1 - Some Network", "192.0.2.1");
	check("192.0.2.0/24 - tag", "192.0.2.0/24");
	check("192.0.2.1 -tag", "192.0.2.1=-tag");
	check("192.0.2.1 2024-01-01", "192.0.2.1=2024-01-01");
	check("192.0.2.1 host.example.net,198.51.100.1", "192.0.2.1=host.example.net");
	check("192.0.2.1 4.3.2.1.in-addr.arpa", "192.0.2.1=4.3.2.1.in-addr.arpa");
	check("192.0.2.1 http://x/", "192.0.2.1=http://x/");
	check("2001:db8::1-2001:db8::2 -", "2001:db8::1 2001:db8::2");
	check("192.0.2.0-192.0.2.1 tag", "192.0.2.0/31=tag");
	check("192.0.2.0 255.255.255.0 tag", "192.0.2.0/24=tag");
	check("192.0.2.1 caf\xc3\xa9\x1b[31m", "192.0.2.1=caf___[31m");
	assert_non_null(strstr(warnings, "f: 1 tag is cut"));
	check("192.0.2.1 aaaaaaaaaabbbbbbbbbbcccccccccc1",
	      "192.0.2.1=aaaaaaaaaabbbbbbbbbbcccccccccc1");
	assert_string_equal(warnings, "");
	check("192.0.2.1 aaaaaaaaaabbbbbbbbbbcccccccccc12",
	      "192.0.2.1=aaaaaaaaaabbbbbbbbbbcccccccccc1");
	assert_non_null(strstr(warnings, "f: 1 tag is cut"));
}

static void exports(void **state)
{
	(void)state;
	check("create x hash:net family inet hashsize 1024 maxelem 65536 timeout 0\n"
	      "add x 192.0.2.0/24\nadd x 192.0.2.1 timeout 0 packets 3 bytes 4\n"
	      "add x 192.0.2.2 comment \"ssh brute, force\"\nadd x 2001:db8::/32 -exist\n"
	      "add x 192.0.2.0-192.0.2.3\n",
	      "192.0.2.0/24 192.0.2.1 192.0.2.2=ssh_brute__force 2001:db8::/32 192.0.2.0/30");
	check("add element 192.0.2.1\n", "192.0.2.1");
	check("table inet filter {\n\tset blocklist { # handle 3\n\t\ttype ipv4_addr\n"
	      "\t\tflags interval,timeout\n\t\tauto-merge\n\t\telements = { 192.0.2.0/24, "
	      "198.51.100.1-198.51.100.2,\n\t\t\t     203.0.113.1 counter packets 0 bytes 0 "
	      "comment "
	      "\"a, {b}\",\n\t\t\t     203.0.113.2 }\n\t}\n}\n",
	      "192.0.2.0/24 198.51.100.1 198.51.100.2 203.0.113.1=a__{b} 203.0.113.2");
	check("add element inet t s { 192.0.2.1, 192.0.2.2 }\nadd element inet t s { 192.0.2.3 }\n",
	      "192.0.2.1 192.0.2.2 192.0.2.3");
	check("elements = {\n192.0.2.1,\n192.0.2.2\n}\n192.0.2.3\n",
	      "192.0.2.1 192.0.2.2 192.0.2.3");
	check("{ 192.0.2.1, 2001:db8::1 }", "192.0.2.1 2001:db8::1");
	check("{\n}\n", "");
	check("{\"cidr\":\"192.0.2.0\\/24\",\"sblid\":\"SBL1\",\"rir\":\"ripe\"}\r\n"
	      "{ \"sblid\": 1, \"cidr\": \"2001:db8::/32\" }\n"
	      "{\"type\":\"metadata\",\"timestamp\":1,\"records\":2,\"terms\":\"x\"}\n",
	      "192.0.2.0/24=SBL1 2001:db8::/32");
	check("Some Org, Inc:192.0.2.0-192.0.2.255\n"
	      "x:y:198.51.100.0 - 198.51.100.1\nBad:203.0.113.0-203.0.113.0\n",
	      "192.0.2.0/24=Some_Org__Inc 198.51.100.0/31=x:y 203.0.113.0=Bad");
	check("# DShield\nStart\tEnd\tNetblock\tAttacks\tName\tCountry\temail\n"
	      "192.0.2.0\t192.0.2.255\t24\t3454\tNET\tNL\tabuse@example.net\n",
	      "192.0.2.0/24");
	check("Start\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n"
	      "192.0.2.0\t192.0.2.255\t24\t3454\tNET\tNL\tabuse@example.net\n",
	      "192.0.2.0/24");
	check_bad("Start\tEnd\tPorts\n", "1:1: 'Start' is not");
}

/* --- tags ------------------------------------------------------------------------------------- */

/* Lists are printed so. What is read is the same, or the list is not what it was */
static void check_reads_back(const char *tag)
{
	static const char *const addrs[] = {"192.0.2.1", "2001:db8::1"};
	static const char *const expiries[] = {"-", "2099-01-31T23:59:59Z"};
	char line[256], want[64];
	struct ecbpf_list list;

	for (int i = 0; i < 4; i++) {
		bool is_good;

		snprintf(line, sizeof(line), "%-18s %s %s # 0 packets, 0 bytes\n", addrs[i & 1],
			 tag, expiries[i >> 1]);
		snprintf(want, sizeof(want), "%s=%s", addrs[i & 1], tag);
		if (ecbpf_list_parse(e, "f", line, strlen(line), 0, ECBPF_LIST_EXPIRES, &list))
			fail_msg("%s%s", line, ecbpf_error(e));
		is_good = !strcmp(list_text(&list), want) && !list.entries[0].expires == !(i >> 1);
		if (!is_good)
			fail_msg("%sis read as %s", line, list_text(&list));
		ecbpf_list_free(&list);
	}
}

/* What a comment of ipset becomes a tag from, and what ecbpf-filter takes as one */
static void check_tag(const char *word)
{
	struct ecbpf_filter_entry entry = {};
	char line[128], *tag;

	if (!strchr(word, '"') && *word) {
		snprintf(line, sizeof(line), "add x 192.0.2.1 comment \"%s\"\n", word);
		tag = strchr(read_text(line), '=');
		if (tag)
			check_reads_back(tag + 1);
		else
			assert_string_equal(word, "-");
	}
	if (!ecbpf_filter_tag_set(e, &entry, word) && *entry.tag)
		check_reads_back(entry.tag);
}

static void tags(void **state)
{
	static const char *const odd[] = {
		"203.0.113.80", "255.255.255.0", "1.2.3.4/5", "255.255.255",
		"2001:db8::1",	"a::b",		 "5",	      "-5",
		"1.5",		"a,b",		 ",a",	      "a|b",
		"'q'",		"\"q\"",	 "//x",	      "x:1.2-3.4",
		"-1.2.3.4",	"-a.b.c.d",	 "a/b",
	};
	static const char *const plain[] = {"scan", "ssh/22", "CVE-2027-1", "2h", "to", "..",
					    "-x",   "a:b",    "AS64496",    "{",  "0x1"};
	static const char alphabet[] = "0123456789abcfxTZhs.,:;/|-_#'\"{}[]()%*+= \x1b";
	struct ecbpf_filter_entry entry = {};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		if (!ecbpf_filter_tag_set(e, &entry, odd[i]))
			fail_msg("'%s' is taken", odd[i]);
		check_tag(odd[i]);
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		assert_int_equal(ecbpf_filter_tag_set(e, &entry, plain[i]), 0);
		check_reads_back(plain[i]);
	}
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		char word[8] = "";

		for (int k = 0, len = 1 + random() % 7; k < len; k++)
			word[k] = alphabet[random() % (sizeof(alphabet) - 1)];
		check_tag(word);
	}
	check("add x 192.0.2.1 comment \"203.0.113.80\"\n", "192.0.2.1=_203.0.113.80");
	check("add x 192.0.2.1 comment \"a::b, c\"\n", "192.0.2.1=_a__b__c");
	check("5:192.0.2.0-192.0.2.0\n", "192.0.2.0=_5");
}

/* What could mean two things, or is broken, is no third thing */
static void refused(void **state)
{
	(void)state;
	check_bad("192.0.2.256", "1:1: '192.0.2.256' is not an address");
	check_bad("x\n", "1:1: 'x' is not an address");
	check_bad("192.0.2", "1:1: ");
	check_bad("3221225985", "1:1: ");
	check_bad("0xc0000201", "1:1: ");
	check_bad("192.0.2.1.5", "1:1: ");
	check_bad("192.0.2.01", "1:1: '192.0.2.01' has an octet with a leading zero");
	check_bad("010.0.0.1", "1:1: '010.0.0.1' has an octet with a leading zero");
	check_bad("::ffff:010.0.0.1", "1:1: '::ffff:010.0.0.1' has an octet with a leading zero");
	check_bad("name:001.002.003.004-001.002.003.255",
		  "1:6: '001.002.003.004' has an octet with");
	check_bad("192.0.2.0/33", "1:1: '192.0.2.0/33' has a prefix length that is not 0 to 32");
	check_bad("192.0.2.0/", "1:1: ");
	check_bad("192.0.2.0/024", "1:1: ");
	check_bad("192.0.2.0/+4", "1:1: ");
	check_bad("192.0.2.0/24/24", "1:1: ");
	check_bad("192.0.2.0/255.0.255.0",
		  "1:1: '192.0.2.0/255.0.255.0' has a netmask that is not");
	check_bad("192.0.2.0/0.0.0.255", "1:1: ");
	check_bad("192.0.2.0 0.0.0.255", "1:11: '0.0.0.255' is neither a netmask nor");
	check_bad("192.0.2.0 0.0.0.0", "1:1: '192.0.2.0 0.0.0.0' may be everything");
	check_bad("0.0.0.0 0.0.0.0", "1:1: ");
	check_bad("2001:db8::/129",
		  "1:1: '2001:db8::/129' has a prefix length that is not 0 to 128");
	check_bad("::ffff:192.0.2.0/24",
		  "1:1: '::ffff:192.0.2.0/24' is an IPv4-mapped address with");
	check_bad("fe80::1%eth0", "1:1: ");
	check_bad("[2001:db8::1]", "1:1: ");
	check_bad("2001:db8:::1", "1:1: ");
	check_bad("192.0.2.1:80", "1:1: ");
	check_bad("!192.0.2.1", "1:1: ");
	check_bad("192.0.2.9-192.0.2.1", "1:1: '192.0.2.9-192.0.2.1' ends before it begins");
	check_bad("192.0.2.9 192.0.2.1", "1:11: '192.0.2.1' is neither a netmask nor");
	check_bad("192.0.2.9 - 192.0.2.1", "1:1: '192.0.2.9 - 192.0.2.1' ends before");
	check_bad("192.0.2.1-2001:db8::1", "1:1: '192.0.2.1-2001:db8::1': a range ends in the");
	check_bad("2001:db8::1.2.3.4-1.2.3.9", "1:1: ");
	check_bad("192.0.2.1-5", "1:11: '5' is not an address");
	check_bad("192.0.2.1-", "1:1: the range has no end");
	check_bad("192.0.2.1- x", "1:12: 'x' is not");
	check_bad("192.0.2.0/24-192.0.3.0", "1:1: '192.0.2.0/24' is not");
	check_bad("192.0.2.0/24 - 192.0.3.0", "1:1: '192.0.2.0/24 - 192.0.3.0': a range is of two");
	check_bad("192.0.2.1-192.0.2.2/31", "1:11: ");
	check_bad("192.0.2.1-192.0.2.2-192.0.2.3", "1:11: ");
	check_bad("192.0.2.1 - 192.0.2.256", "1:13: '192.0.2.256' is not an address");
	check_bad("192.0.2.1 - l92.0.2.2", "1:13: 'l92.0.2.2' is not an address");
	check_bad("192.0.2.1 192.0.2.256", "1:11: '192.0.2.256' is not an address");
	check_bad("192.0.2.1 192.0.2.2/32", "1:11: ");
	check_bad("192.0.2.0/24 192.0.3.0/24", "1:14: '192.0.3.0/24' is another address");
	check_bad("192.0.2.0/24 192.0.3.0", "1:14: '192.0.3.0' is another address");
	check_bad("192.0.2.1 192.0.2.2 192.0.2.3", "1:21: '192.0.2.3' is another address");
	check_bad("192.0.2.1,192.0.2.2", "1:11: '192.0.2.2' is another address");
	check_bad("\"192.0.2.1\",\"192.0.2.2\"", "1:14: '192.0.2.2' is another address");
	check_bad("192.0.2.1;192.0.2.2;x", "1:11: '192.0.2.2' is another address, in a comment");
	check_bad("192.0.2.0 /24", "1:11: '/24' is not an address");
	check_bad("192.0.2.0/ 24", "1:1: ");
	check_bad(",192.0.2.1", "1:1: ");
	check_bad("\"192.0.2.1", "1:1: the quotation has no end");
	check_bad("\"192.0.2.1\"x", "1:12: ");
	check_bad("\"192.0.2.1 x\"", "1:11: ");
	check_bad("192.0.2.1\xc2\xa0x", "1:1: ");
	check_bad("# c\r192.0.2.1\r", "1:4: a carriage return");
	check_bad("::fffe:ffff:ffff-::1:0:0:0",
		  "1:1: '::fffe:ffff:ffff-::1:0:0:0' is a range of IPv6");
	check_bad("1.2.3.4 Corp:5.6.7.8-5.6.7.9", "1:1: an address with a tag, or P2P's");
	check_bad("<html>\n<title>502</title>\n", "1:1: '<html>' is not an address");
	assert_string_equal(read_size("192.0.2.1\0/24", 13, 0, 0),
			    "! f:1:10: a zero byte: UTF-16, or no text file");
	/* as Windows writes it */
	assert_string_equal(read_size("\xff\xfe#\0\r\0\n", 7, 0, 0),
			    "! f:1:4: a zero byte: UTF-16, or no text file");
	assert_string_equal(
		read_size("\xff\xfe", 2, 0, 0),
		"! f:1:1: '\xff\xfe' is not an address, such as 192.0.2.1 or 2001:db8::1");
}

/* A second word that nobody means as a tag */
static void refused_words(void **state)
{
	(void)state;
	check_bad("192.0.2.0 255.255.255\n", "1:11: '255.255.255' is not an address");
	check_bad("192.0.2.0 255.255.255.\n", "1:11: '255.255.255.' is not an address");
	check_bad("2001:db8::1 2001:db8::zz\n", "1:13: '2001:db8::zz' is not an address");
	check_bad("2001:db8::1 -2001:db8::zz\n", "1:13: '-2001:db8::zz' is not an address");
	check_bad("192.0.2.1 -- 192.0.2.5\n", "1:14: '192.0.2.5' is another address");
	check_bad("192.0.2.1 .. 192.0.2.5\n", "1:14: '192.0.2.5' is another address");
	check_bad("192.0.2.1 to 192.0.2.5\n", "1:14: '192.0.2.5' is another address");
	check_bad("192.0.2.1 \u2013 192.0.2.5\n", "1:15: '192.0.2.5' is another address");
	check_bad("192.0.2.1 tag 5300w\n",
		  "1:15: '5300w' is not 90s, 10m, 2h, 7d, 4w or 2027-01-31T23:59:59Z, at most 100 "
		  "years from now");
	check_bad("192.0.2.1 tag 1h30m\n", "1:15: '1h30m' is not 90s");
	check_bad("192.0.2.1 tag -5s\n", "1:15: '-5s' is not 90s");
	check("192.0.2.1 1.2\n", "192.0.2.1");
	check("192.0.2.1,1.2.3\n", "192.0.2.1=_1.2.3");
	check("192.0.2.1 to x\n", "192.0.2.1=to");
	check("192.0.2.1 tag 10:00:00\n", "192.0.2.1=tag");
	check("192.0.2.1 tag 30.11.2026\n", "192.0.2.1=tag");
	check("192.0.2.1 tag 3a4b5\n", "192.0.2.1=tag");
	check("192.0.2.1 tag -\n", "192.0.2.1=tag");
}

/* A letter for a digit, a length or netmask without '/', two addresses that are no range */
static void mistyped(void **state)
{
	static const char *const words[] = {
		"203.0.113.2O",
		"203.0.113.l",
		"203.0.113.1o",
		"2O3.0.113.20",
		"->203.0.113.20",
		"203.0.113.2O-203.0.113.30",
		"203.0.113.20.",
		"(203.0.113.20)",
		"0xffffff00",
		"203,0,113,20",
		"24",
		"-24",
		"32",
		"0",
	};
	static const char *const seconds[] = {
		"netmask 255.255.255.0", "mask 255.255.255.0",	 "netmask 0xffffff00",
		"thru 203.0.113.20",	 "bis 203.0.113.20",	 "and 203.0.113.20",
		"a 203.0.113.2O",	 "thru 203.0.113.20/32",
	};
	char line[128], place[32];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		snprintf(line, sizeof(line), "203.0.113.9 %s\n", words[i]);
		check_bad(line, "1:13: '");
	}
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		snprintf(line, sizeof(line), "203.0.113.9 %s\n", seconds[i]);
		snprintf(place, sizeof(place), "1:%zu: '",
			 (size_t)(strchr(seconds[i], ' ') - seconds[i] + 14));
		check_bad(line, place);
	}
	check_bad("2001:db8::1 64\n", "1:13: '64' may be a prefix length");
	check_bad("2001:db8::1 2001:db8:0:0:0:0:0:O\n", "1:13: ");
	check_bad("203.0.113.9,203.0.113.2O\n", "1:13: '203.0.113.2O' is not an address");
}

/* What would make a ban permanent that was to end */
static void misplaced_expiries(void **state)
{
	(void)state;
	check_bad("203.0.113.9 1h\n", "1:13: '1h' is an expiry in place of the tag");
	check_bad("203.0.113.9 1h30m\n", "1:13: '1h30m' is an expiry in place of the tag");
	check_bad("203.0.113.9 2h scan\n", "1:13: '2h' is an expiry in place of the tag");
	check_bad("203.0.113.9 2099-01-31\n", "1:13: '2099-01-31' is an expiry");
	check_bad("203.0.113.9,2h\n", "1:13: '2h' is an expiry in place of the tag");
	check_bad("203.0.113.9,scan,2h\n", "1:18: '2h' is an expiry in a column of others");
	check_bad("203.0.113.9 | scan | 1h\n", "1:22: '1h' is an expiry in a column");
	check_bad("203.0.113.9, scan 2h\n", "1:19: '2h' is an expiry in a column");
	check_bad("203.0.113.9 scan,2099-01-31T23:59:59Z\n", "1:18: ");
	check_bad("203.0.113.9 scan 3600\n", "1:18: '3600' is not 90s");
	check_bad("203.0.113.9 scan 2099-01-31\n", "1:18: '2099-01-31' is not 90s");
	check_bad("203.0.113.9 - 2099-01-31\n",
		  "1:15: '2099-01-31' is not an address, which would end a range, and not 90s");
	check_bad("203.0.113.9 - 3600\n", "1:15: '3600' is not an address, which");
	check_bad("203.0.113.9\t17 2h\n", "1:16: '2h' is an expiry behind a number");
	/* columns of others */
	check("203.0.113.9,scan,2024-01-31T23:59:59Z\n", "203.0.113.9=scan");
	check("203.0.113.9,scan,5m ago\n", "203.0.113.9=scan");
	check("203.0.113.9\tscan\t3600\n", "203.0.113.9=scan");
}

static void refused_exports(void **state)
{
	(void)state;
	check_bad("create x hash:ip,port\n", "1:10: 'hash:ip,port' is not a set of addresses");
	check_bad("create x hash:ip netmask 24\n", "1:18: 'netmask' makes");
	check_bad("add x 192.0.2.1,tcp:80\n", "1:7: '192.0.2.1,tcp:80' is not");
	check_bad("add x 192.0.2.1 nomatch\n", "1:17: 'nomatch' excepts");
	check_bad("add x 192.0.2.1 foo 3\n", "1:17: 'foo' is not known");
	check_bad("add x 192.0.2.1 timeout\n", "1:17: 'timeout' has no value");
	check_bad("add x 192.0.2.1 timeout 3x\n", "1:25: '3x' is not a time");
	check_bad("add x 192.0.2.1\nadd y 192.0.2.2\n", "2:5: 'y' is a second set");
	check_bad("create x hash:ip\ncreate y hash:ip\n", "2:8: 'y' is a second set");
	check_bad("create x hash:ip timeout 300\nadd x 192.0.2.1\n",
		  "2:7: '192.0.2.1' has no timeout, but its set has");
	check_bad("set s {\ntype ipv4_addr\ntimeout 1h\nelements = { 192.0.2.1 }\n}\n",
		  "4:14: '192.0.2.1' has no timeout, but its set has");
	check_bad("set s {\ntimeout x\n}\n", "2:9: 'x' is not a time");
	check("create x hash:ip timeout 0\nadd x 192.0.2.1\n", "192.0.2.1");
	check("create x hash:ip timeout 300\nadd x 192.0.2.1 timeout 0\n", "192.0.2.1");
	check("set s {\ntimeout 1h\nelements = { 192.0.2.1 expires 5m }\n}\n", "192.0.2.1");
	check_bad("add x\n", "1:6: ");
	check_bad("add\n", "1:4: ");
	check_bad("flush x\n", "1:1: 'flush' is not an address");
	check_bad("set s {\ntype ipv4_addr . inet_service\n}\n",
		  "2:6: 'ipv4_addr . inet_service' is");
	check_bad("{ 192.0.2.1 . 80 }", "1:13: '.' is not known");
	check_bad("{ 192.0.2.1 : drop }", "1:13: ':' is not known");
	check_bad("{ 192.0.2.1\n", "1:1: the '{' has no '}'");
	check_bad("{ 192.0.2.1 } }\n", "1:15: ");
	check_bad("table ip t {\nchain c {\n}\n}\n", "2:1: ");
	check_bad("set s {\n}\nset t {\n}\n", "3:5: 't' is a second set");
	check_bad("set s { type ipv4_addr; elements = { 192.0.2.1 } }\n", "1:9: a statement");
	check_bad("add element t s { 192.0.2.1 }\nadd element t u { 192.0.2.1 }\n",
		  "2:13: 't u' is");
	check_bad("{\"a\":\"192.0.2.1\"}\n", "1:1: JSON without a text \"cidr\"");
	check_bad("{\"cidr\":5}\n", "1:1: JSON without a text \"cidr\"");
	check_bad("{\"cidr\":\"192.0.2.0/33\"}\n", "1:1: '192.0.2.0/33' has a prefix length");
	check_bad("{\"cidr\":\"192.0.2.1\\u0000/24\"}\n", "1:1: ");
	check_bad("{\"cidr\":\"192.0.2.1\",\"cidr\":\"192.0.2.2\"}\n", "1:1: JSON with two");
	check_bad("{\"cidr\":\"192.0.2.1\"} x\n", "1:22: this line is neither JSON, nor the "
						  "beginning of a set: unexpected");
	check_bad("{\"cidr\":\"192.0.2.1\"\n", "1:20: this line is neither JSON, nor the beginning "
					       "of a set: it ends within an object");
	check_bad("{}\n", "1:1: JSON without");
	check_bad("[{\"cidr\":\"192.0.2.1\"}]\n", "1:1: ");
}

static void expiries(void **state)
{
	struct ecbpf_list list;
	const char *text = "192.0.2.1 - 2h\n192.0.2.2 tag 2099-01-31T23:59:59Z\n"
			   "192.0.2.3 old 2001-01-31T23:59:59Z # c\nadd x 192.0.2.4 timeout 60\n"
			   "{ 192.0.2.5 timeout 1d expires 1h30m500ms }\n192.0.2.6,tag,2024-01-01\n"
			   "192.0.2.7 2h -\n192.0.2.8 tag 2024-01-01\n192.0.2.9 tag 17 2h\n";
	time_t now = time(NULL);
	__u64 expires;

	(void)state;
	assert_int_equal(ecbpf_list_parse(e, "f", text, strlen(text), 0, ECBPF_LIST_EXPIRES, &list),
			 0);
	assert_string_equal(list_text(&list),
			    "192.0.2.1 192.0.2.2=tag 192.0.2.4 192.0.2.5 192.0.2.6=tag "
			    "192.0.2.7=2h 192.0.2.8=tag 192.0.2.9=tag");
	assert_in_range(list.entries[0].expires, now + 7200, now + 7210);
	assert_int_equal(list.entries[1].expires, 4073587199);
	assert_in_range(list.entries[2].expires, now + 60, now + 70);
	assert_in_range(list.entries[3].expires, now + 5401, now + 5411);
	for (size_t i = 4; i < 8; i++)
		assert_int_equal(list.entries[i].expires, 0);
	assert_int_equal(list.expired, 1);
	ecbpf_list_free(&list);
	check_bad("192.0.2.1 - 2x", "1:13: '2x' is not");
	check_bad("192.0.2.1 t 2099-02-31T00:00:00Z", "1:13: ");
	check_bad("192.0.2.1 t 2027-01-31T23:59", "1:13: ");
	check_bad("192.0.2.1 t 3000-01-31T23:59:59Z", "1:13: ");
	assert_int_equal(ecbpf_filter_expiry_parse(e, "2001-01-31T23:59:59Z", &expires), -EINVAL);
	assert_string_equal(ecbpf_error(e), "'2001-01-31T23:59:59Z' is in the past");
	assert_int_equal(ecbpf_filter_expiry_parse(e, "2099-01-31T23:59:59Z", &expires), 0);
	/* who keeps no expiry must not make it permanent; who reads again needs a fixed one */
	assert_string_equal(read_size("192.0.2.1 t 2h", 14, 0, 0),
			    "! f:1:13: '2h' is an expiry, but entries of this list do not expire");
	assert_string_equal(read_size("192.0.2.1 t 2001-01-31T23:59:59Z", 32, 0, 0), "");
	assert_memory_equal(
		read_size("192.0.2.1 t 2h", 14, 0, ECBPF_LIST_EXPIRES | ECBPF_LIST_ABSOLUTE),
		"! f:1:13: '2h' is a time from now;", 34);
	assert_memory_equal(read_size("add x 192.0.2.4 timeout 60", 26, 0,
				      ECBPF_LIST_EXPIRES | ECBPF_LIST_ABSOLUTE),
			    "! f:1:25: '60' is a time from now;", 34);
}

static void notes(void **state)
{
	(void)state;
	check("192.0.2.1/24\n192.0.2.0/24\n2001:db8::1 ffff:ffff::\n192.0.2.77/255.255.255.0 x\n",
	      "192.0.2.0/24 192.0.2.0/24 2001:db8::/32 192.0.2.0/24=x");
	assert_string_equal(warnings, "f: 3 prefixes have bits set behind the length: "
				      "'192.0.2.1/24' is taken as 192.0.2.0/24, and so on\n");
	check("192.0.2.1/24\n", "192.0.2.0/24");
	assert_string_equal(warnings, "f: 1 prefix has bits set behind the length: "
				      "'192.0.2.1/24' is taken as 192.0.2.0/24\n");
	assert_string_equal(
		read_size("192.0.2.1\n2001:db8::1\n2001:db8::2-2001:db8::4\n", 46, 4, 0),
		"192.0.2.1");
	assert_string_equal(warnings, "f: 3 IPv6 prefixes left out\n");
	assert_string_equal(read_size("192.0.2.1\n2001:db8::1\n", 22, 6, 0), "2001:db8::1");
	assert_string_equal(warnings, "f: 1 IPv4 prefix left out\n");
}

/* All errors of a file, with their lines; 20 are shown */
static void all_errors(void **state)
{
	char text[1000] = "";
	const char *detail;
	size_t carets = 0;

	(void)state;
	check_bad("192.0.2.1\n\t192.0.2.1 192.0.2.256 \x1b\r\nx\n", "2:12: '192.0.2.256' is not");
	assert_string_equal(ecbpf_error_detail(e),
			    "f:2:12: '192.0.2.256' is not an address, such as 192.0.2.1 or "
			    "2001:db8::1\n\t192.0.2.1 192.0.2.256 ?\n\t          ^~~~~~~~~~~\n"
			    "f:3:1: 'x' is not an address, such as 192.0.2.1 or 2001:db8::1\n"
			    "x\n^\n2 errors\n");
	for (int i = 0; i < 25; i++)
		sprintf(text + strlen(text), "x%d\n", i);
	check_bad(text, "1:1: 'x0' is not");
	detail = ecbpf_error_detail(e);
	for (const char *c = detail; *c; c++)
		carets += *c == '^';
	assert_int_equal(carets, 20);
	assert_non_null(strstr(detail, "25 errors, of which 20 are shown\n"));
}

static void skip_bad(void **state)
{
	const char *text = "192.0.2.1\nx\n192.0.2.0/24 - 192.0.3.0\n192.0.2.2\n"
			   "{ 192.0.2.3, 192.0.2.4, x }\n192.0.2.5\n";
	struct ecbpf_list list;

	(void)state;
	assert_string_equal(read_size(text, strlen(text), 0, ECBPF_LIST_SKIP_BAD),
			    "192.0.2.1 192.0.2.2 192.0.2.5");
	text = "192.0.2.1\nx\n192.0.2.0/24 - 192.0.3.0\n192.0.2.2\n";
	warnings[0] = '\0';
	assert_int_equal(
		ecbpf_list_parse(e, "f", text, strlen(text), 0, ECBPF_LIST_SKIP_BAD, &list), 0);
	assert_string_equal(list_text(&list), "192.0.2.1 192.0.2.2");
	assert_int_equal(list.bad, 2);
	assert_non_null(strstr(warnings, "f:2:1: 'x' is not an address, such as 192.0.2.1 or "
					 "2001:db8::1\nx\n^\n"));
	assert_non_null(strstr(warnings, "f:3:1: "));
	assert_non_null(strstr(warnings, "f: 2 bad lines skipped\n"));
	ecbpf_list_free(&list);
	/* what is added to a set that was refused means something else than its text */
	assert_string_equal(read_size("create x hash:ip netmask 24\nadd x 192.0.2.0\n", 43, 0,
				      ECBPF_LIST_SKIP_BAD),
			    "");
	/* nothing of a line that is bad at its end */
	assert_string_equal(read_size("add element t s { 192.0.2.1, x }\n192.0.2.2/24\n", 46, 0,
				      ECBPF_LIST_SKIP_BAD),
			    "192.0.2.0/24");
}

static void words(void **state)
{
	static const char *const good[] = {"192.0.2.1", "192.0.2.77/24", "192.0.2.0-192.0.2.3",
					   "2001:db8::/255.0.0.0" + 0};
	static const char *const bad[] = {"192.0.2.1 tag", "192.0.2.1,x",  "192.0.2.1#x", "",
					  "\"192.0.2.1\"", "192.0.2.1/33", " 192.0.2.1"};
	static const char *const netmask[] = {"192.0.2.0",	"255.255.255.0",   "2001:db8::",
					      "ffff:ffff::",	"255.255.255.255", "192.0.2.1",
					      "255.255.255.255"};
	struct ecbpf_list list;

	(void)state;
	warnings[0] = '\0';
	assert_int_equal(ecbpf_list_parse_words(e, good, 3, 0, &list), 0);
	assert_string_equal(list_text(&list), "192.0.2.1 192.0.2.0/24 192.0.2.0/30");
	assert_string_equal(warnings, "1 prefix has bits set behind the length: '192.0.2.77/24' is "
				      "taken as 192.0.2.0/24\n");
	ecbpf_list_free(&list);
	assert_int_equal(ecbpf_list_parse_words(e, good, 4, 0, &list), -EINVAL);
	assert_string_equal(ecbpf_error(e),
			    "'2001:db8::/255.0.0.0' has a netmask of the other family");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ecbpf_list_parse_words(e, bad + i, 1, 0, &list) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
	assert_int_equal(ecbpf_list_parse_words(e, netmask, 2, 0, &list), -EINVAL);
	assert_string_equal(ecbpf_error(e),
			    "'255.255.255.0' is a netmask: write 192.0.2.0/255.255.255.0");
	assert_int_equal(ecbpf_list_parse_words(e, netmask + 2, 2, 0, &list), -EINVAL);
	assert_int_equal(ecbpf_list_parse_words(e, netmask + 1, 1, 0, &list), 0);
	ecbpf_list_free(&list);
	assert_int_equal(ecbpf_list_parse_words(e, netmask + 4, 3, 0, &list), 0);
	ecbpf_list_free(&list);
}

static void files(void **state)
{
	struct ecbpf_list list;

	(void)state;
	assert_int_equal(ecbpf_list_read(e, "/nonexistent", 0, 0, &list), -ENOENT);
	assert_string_equal(ecbpf_error(e), "/nonexistent: No such file or directory");
	assert_int_equal(ecbpf_list_read(e, "/", 0, 0, &list), -EISDIR);
	assert_int_equal(ecbpf_list_read(e, "/dev/zero", 0, 0, &list), -EFBIG);
}

/* An error is one line whatever the file is called */
static void file_name(void **state)
{
	struct ecbpf_list list;

	(void)state;
	assert_int_equal(ecbpf_list_parse(e, "a\nb\x1b[31m", "x\n", 2, 0, 0, &list), -EINVAL);
	assert_ptr_equal(strstr(ecbpf_error(e), "a?b?[31m:1:1: 'x'"), ecbpf_error(e));
	assert_ptr_equal(strstr(ecbpf_error_detail(e), "a?b?[31m:1:1: 'x'"), ecbpf_error_detail(e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(surroundings),
		cmocka_unit_test(columns),
		cmocka_unit_test(exports),
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_exports),
		cmocka_unit_test(expiries),
		cmocka_unit_test(notes),
		cmocka_unit_test(all_errors),
		cmocka_unit_test(skip_bad),
		cmocka_unit_test(words),
		cmocka_unit_test(files),
		cmocka_unit_test(file_name),
		cmocka_unit_test(refused_words),
		cmocka_unit_test(tags),
		cmocka_unit_test(mistyped),
		cmocka_unit_test(misplaced_expiries),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
