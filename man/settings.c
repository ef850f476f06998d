// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Prints a stage's table of settings as the list of a man page, for settings.lists */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <ecbpf/libecbpf-settings.h>
#include <ecbpf/libecbpf-fastpath.h>
#include <ecbpf/libecbpf-filter.h>
#include <ecbpf/libecbpf-fw.h>
#include <ecbpf/libecbpf-sampler.h>

static void put(const char *text)
{
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
}

/* A line for each sentence, the first one with a capital letter; "." at its end */
static void put_sentences(const char *text)
{
	const char *end;

	if (islower((unsigned char)*text))
		putchar(toupper((unsigned char)*text++));
	while ((end = strstr(text, ". "))) {
		char sentence[512];

		snprintf(sentence, sizeof(sentence), "%.*s.\n", (int)(end - text), text);
		put(sentence);
		text = end + 2;
	}
	put(text);
	puts(text[strlen(text) - 1] == '.' ? "" : ".");
}

/* "\fBfrags=\fPpass | drop" */
static void put_assignment(const struct ecbpf_setting *s)
{
	printf("\\fB");
	put(s->name);
	printf("=\\fP");
	if (!s->words)
		printf("\\fIN\\fP");
	for (const char *c = s->words; c && *c; c++)
		printf(*c == ',' ? "\\ |\\ " : "%c", *c);
	putchar('\n');
}

static void put_setting(const struct ecbpf_setting *s, int is_conf)
{
	char text[ECBPF_SETTING_TEXT], range[ECBPF_SETTING_RANGE];

	printf(".TP\n");
	if (is_conf) {
		printf(".B ");
		put(s->name);
		putchar('\n');
	} else {
		put_assignment(s);
	}
	put_sentences(s->text);
	if (s->more && !is_conf)
		put_sentences(s->more);
	if (!s->words)
		printf("%u to %u%s%s", s->min, s->max, s->unit ? " " : "", s->unit ? s->unit : "");
	else if (is_conf)
		printf("%s", ecbpf_setting_range(s, range, sizeof(range)));
	printf(s->words && !is_conf ? "Default: " : " (default: ");
	if (s->leader)
		printf("that of ");
	put(s->leader ? s->leader : ecbpf_setting_format(s, s->value, text, sizeof(text)));
	printf(s->words && !is_conf ? ".\n" : ").\n");
}

/* settings STAGE [GROUP]: those of a group, or of none; settings STAGE conf: all, for a file */
int main(int argc, char **argv)
{
	static const struct ecbpf_settings *(*const tables[])(void) = {
		ecbpf_filter_settings, ecbpf_fw_settings, ecbpf_fastpath_settings,
		ecbpf_sampler_settings};
	const char *stage = argc > 1 ? argv[1] : "", *group = argc > 2 ? argv[2] : "";
	int is_conf = !strcmp(group, "conf"), count = 0;

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		const struct ecbpf_settings *settings = tables[t]();

		for (size_t i = 0; i < settings->count && !strcmp(settings->stage, stage); i++) {
			const struct ecbpf_setting *s = &settings->rows[i];

			if (!is_conf && strcmp(s->group ? s->group : "", group))
				continue;
			put_setting(s, is_conf);
			count++;
		}
	}
	return fflush(stdout) || !count;
}
