// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tables of settings: parsing, ranges, groups, leaders; and those of the stages */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <ecbpf/libecbpf-fastpath.h>
#include <ecbpf/libecbpf-filter.h>
#include <ecbpf/libecbpf-fw.h>
#include <ecbpf/libecbpf-sampler.h>
#include "handle.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct values {
	__u32 number, lead, follow, mode, a, b;
};

#define ROW(field) .name = #field, .offset = offsetof(struct values, field), .text = "text"
static const struct ecbpf_setting rows[] = {
	{ROW(number), .unit = "ms", .min = 10, .max = 4294967295, .value = 20},
	{ROW(lead), .max = 9, .value = 1},
	{ROW(follow), .max = 9, .value = 1, .leader = "lead"},
	{ROW(mode), .words = "pass,drop,ptb", .value = 2},
	{ROW(a), .words = "off,on", .group = "all"},
	{ROW(b), .words = "off,on", .group = "all", .value = 1},
};
static const struct ecbpf_settings settings = {"test", rows, ARRAY_SIZE(rows)};

static void assert_values(const struct values *v, struct values expected)
{
	assert_memory_equal(v, &expected, sizeof(expected));
}

static void takes(void **state)
{
	static const char *const texts[] = {"number=0xa", "mode=drop", "all=on", "b=off",
					    "number=4294967295"};
	struct values v;
	__u64 given = 0;

	(void)state;
	ecbpf_settings_reset(&settings, &v);
	assert_values(&v, (struct values){20, 1, 1, 2, 0, 1});
	assert_int_equal(ecbpf_settings_parse(e, &settings, texts, ARRAY_SIZE(texts), &v, &given),
			 0);
	assert_values(&v, (struct values){4294967295, 1, 1, 1, 1, 0});
	assert_int_equal(given, 0x39);
}

/* In any order; what is given by itself does not follow */
static void follows(void **state)
{
	static const char *const one[] = {"lead=3"}, *const two[] = {"lead=3", "follow=4"},
				 *const other[] = {"follow=4", "lead=3"};
	struct values v = {};
	__u64 given = 0;

	(void)state;
	assert_int_equal(ecbpf_settings_parse(e, &settings, one, 1, &v, &given), 0);
	assert_values(&v, (struct values){0, 3, 3, 0, 0, 0});
	given = 0;
	assert_int_equal(ecbpf_settings_parse(e, &settings, two, 2, &v, &given), 0);
	assert_values(&v, (struct values){0, 3, 4, 0, 0, 0});
	given = 0;
	v = (struct values){};
	assert_int_equal(ecbpf_settings_parse(e, &settings, other, 2, &v, &given), 0);
	assert_values(&v, (struct values){0, 3, 4, 0, 0, 0});
	/* it has a value of its own from some other time */
	given = 0;
	v = (struct values){.lead = 5, .follow = 4};
	assert_int_equal(ecbpf_settings_parse(e, &settings, one, 1, &v, &given), 0);
	assert_values(&v, (struct values){0, 3, 4, 0, 0, 0});
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"number=9", "number: '9' is not a number from 10 to 4294967295 ms"},
		{"number=4294967296", "number: '4294967296' is not a number from 10"},
		{"number=18446744073709551626", "is not a number from 10"},
		{"number=", "number: '' is not"},
		{"number= 20", "number: ' 20' is not"},
		{"number=+20", "number: '+20' is not"},
		{"number=20ms", "number: '20ms' is not"},
		{"number=0x", "number: '0x' is not"},
		{"number=0x-1", "number: '0x-1' is not"},
		{"mode=dro", "mode: 'dro' is not pass, drop or ptb"},
		{"mode=pass,drop", "mode: 'pass,drop' is not"},
		{"mode=", "mode: '' is not"},
		{"mode=1", "mode: '1' is not"},
		{"all=count", "all: 'count' is not off or on"},
		{"nunber=20", "no setting 'nunber'; did you mean 'number'?"},
		{"x=1", "no setting 'x'; there are number, lead, follow, mode, all, a, b"},
		{"number", "'number' is not KEY=VALUE"},
		{"=1", "'=1' is not KEY=VALUE"},
	};
	const struct values before = {20, 1, 1, 2, 0, 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct values v = before;
		__u64 given = 0;

		assert_int_equal(ecbpf_settings_parse(e, &settings, &cases[i].text, 1, &v, &given),
				 -EINVAL);
		if (!strstr(ecbpf_error(e), cases[i].error))
			fail_msg("%s: %s", cases[i].text, ecbpf_error(e));
		assert_values(&v, before);
		assert_int_equal(given, 0);
	}
}

static void checks(void **state)
{
	struct values v;

	(void)state;
	ecbpf_settings_reset(&settings, &v);
	assert_int_equal(ecbpf_settings_check(e, &settings, &v), 0);
	v.number = 9;
	assert_int_equal(ecbpf_settings_check(e, &settings, &v), -EINVAL);
	assert_string_equal(ecbpf_error(e), "number: 9 is not a number from 10 to 4294967295 ms");
	v.number = 10;
	v.mode = 3;
	assert_int_equal(ecbpf_settings_check(e, &settings, &v), -EINVAL);
	assert_string_equal(ecbpf_error(e), "mode: 3 is not pass, drop or ptb");
}

/* Defaults are allowed, values come back as they are written, and no name is another's */
static void table_is_sound(const struct ecbpf_settings *table)
{
	__u32 values[64];

	assert_in_range(table->count, 1, 64);
	ecbpf_settings_reset(table, values);
	assert_int_equal(ecbpf_settings_check(e, table, values), 0);
	for (size_t i = 0; i < table->count; i++) {
		const struct ecbpf_setting *s = &table->rows[i];
		char text[ECBPF_SETTING_TEXT];
		__u64 given = 0;

		assert_true(s->text && s->text[strlen(s->text) - 1] != '.');
		ecbpf_setting_format(s, s->value, text, sizeof(text));
		assert_int_equal(ecbpf_setting_parse(e, table, s->name, text, values, &given), 0);
		assert_true(given & 1ULL << i);
		assert_int_equal(ecbpf_setting_value(s, values), s->value);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(table->rows[k].name, s->name);
			assert_int_not_equal(table->rows[k].offset, s->offset);
		}
	}
}

static void stages(void **state)
{
	(void)state;
	table_is_sound(&settings);
	table_is_sound(ecbpf_fastpath_settings());
	table_is_sound(ecbpf_filter_settings());
	table_is_sound(ecbpf_fw_settings());
	table_is_sound(ecbpf_sampler_settings());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),  cmocka_unit_test(follows), cmocka_unit_test(refuses),
		cmocka_unit_test(checks), cmocka_unit_test(stages),
	};

	return cmocka_run_group_tests_name("settings", tests, setup, teardown);
}
