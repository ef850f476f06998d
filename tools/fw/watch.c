// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ecbpf-fw stats --watch on a terminal: the rules with most of something, every second. */
#include <stdlib.h>
#include "tools/common/screen.h"
#include "tools/fw/reading.h"

#define SECONDS 1.0

/* In at most six characters: 99999, 100.0k, 1.234M */
static const char *scaled(double value)
{
	static const char units[] = "kMGTPEZ";
	size_t unit = 0;

	if (value < 99999.5)
		return tool_str("%.0f", value);
	value /= 1000;
	while (value >= 999.95) {
		value /= 1000;
		unit++;
	}
	return tool_str("%.*f%c", value < 9.9995 ? 3 : value < 99.995 ? 2 : 1, value, units[unit]);
}

/* @shown: how many rules there is room for */
static void print_title(FILE *out, const struct fw_reading *reading, enum fw_sort sort,
			size_t shown)
{
	double dropped = 0;

	for (size_t i = 0; i < reading->count; i++)
		dropped += reading->rates[i].dropped;
	fprintf(out, "%s", tool_many(reading->count, "rule"));
	if (shown < reading->count)
		fprintf(out, ", %zu shown", shown);
	fprintf(out, ", by %s; %s packets/s dropped\n", fw_sort_name(sort), scaled(dropped));
}

static void print_rules(FILE *out, const struct fw_reading *reading, enum fw_sort sort,
			size_t shown)
{
	struct tool_table table TOOL_CLEANUP(tool_table_free) = {.columns = 8, .align = "rrrrrrrl"};
	size_t *order = fw_reading_order(reading, sort);

	tool_table_row(&table, "rule", "pps", "bit/s", "drop/s", "packets", "bytes", "dropped",
		       "text");
	for (size_t i = 0; i < shown; i++) {
		const struct ecbpf_fw_stat *stat = &reading->stats[order[i]];
		const struct fw_rate *rate = &reading->rates[order[i]];
		char *text TOOL_CLEANUP(fw_free_text) =
			ecbpf_fw_rule_text(reading->ruleset, order[i]);

		tool_table_row(&table, tool_str("%zu", order[i] + 1), scaled(rate->packets),
			       scaled(8 * rate->bytes), scaled(rate->dropped),
			       scaled(stat->packets), scaled(stat->bytes), scaled(stat->dropped),
			       text ?: "");
	}
	tool_table_write(out, &table, "");
	free(order);
}

static void show(const struct fw_reading *reading, enum fw_sort sort)
{
	size_t rows, columns, bytes, shown;
	char *page = NULL;
	FILE *out = open_memstream(&page, &bytes);

	if (!out)
		exit(tool_fail("out of memory"));
	tool_screen_size(&rows, &columns);
	shown = rows > 2 ? rows - 2 : 0;
	if (shown > reading->count)
		shown = reading->count;
	print_title(out, reading, sort, shown);
	print_rules(out, reading, sort, shown);
	if (fclose(out))
		exit(tool_fail("out of memory"));
	tool_screen_show(page);
	free(page);
}

int fw_watch(const struct tool *tool, enum fw_sort sort)
{
	struct fw_reading reading TOOL_CLEANUP(fw_reading_free) = {};
	int err = fw_reading_take(tool, &reading);

	if (err)
		return tool_fail_ecbpf(tool);
	tool_screen_begin();
	while (!err && !ferror(stdout)) {
		show(&reading, sort);
		if (tool_screen_wait(reading.time + SECONDS))
			err = fw_reading_take(tool, &reading);
	}
	tool_screen_end();
	return err ? tool_fail_ecbpf(tool) : TOOL_OK;
}
