// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A terminal that is written to in place, see screen.h */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "lib/core/utf8.h"
#include "tools/common/screen.h"

/* The other page, no cursor, and no line goes on in the next one */
#define BEGIN "\033[?1049h\033[?25l\033[?7l"
#define END   "\033[?7h\033[?25h\033[?1049l"

#define ROWS	24
#define COLUMNS 80

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

static bool is_begun;
static sigset_t mask_before;

bool tool_screen_is_there(void)
{
	const char *term = getenv("TERM");
	pid_t owner;

	if (!isatty(STDOUT_FILENO) || !term || !*term || !strcmp(term, "dumb"))
		return false;
	/* -1: it is a terminal, but not that of the session */
	owner = tcgetpgrp(STDOUT_FILENO);
	return owner == -1 || owner == getpgrp();
}

static void put(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

/* Those that are not ignored, as SIGHUP is below nohup(1) */
static sigset_t signals_get(void)
{
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, signals[i]);
	return set;
}

void tool_screen_begin(void)
{
	static bool is_known;
	sigset_t set = signals_get();

	if (!is_known)
		atexit(tool_screen_end);
	is_known = true;
	sigprocmask(SIG_BLOCK, &set, &mask_before);
	is_begun = true;
	put(BEGIN);
}

void tool_screen_end(void)
{
	if (!is_begun)
		return;
	is_begun = false;
	put(END);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

static size_t env_number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

void tool_screen_size(size_t *ret_rows, size_t *ret_columns)
{
	struct winsize size = {};

	/* a serial line does not know it */
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		size = (struct winsize){};
	*ret_rows = size.ws_row ?: env_number("LINES") ?: ROWS;
	*ret_columns = size.ws_col ?: env_number("COLUMNS") ?: COLUMNS;
}

/* Return: bytes of the line that fit into @columns; *@ret_used: columns that they take */
static size_t line_cut(const char *line, size_t len, size_t columns, size_t *ret_used)
{
	size_t at = 0, used = 0;

	while (at < len && used < columns) {
		at += utf8_len(line + at, len - at) ?: 1;
		used++;
	}
	*ret_used = used;
	return at;
}

void tool_screen_show(const char *text)
{
	size_t rows, columns, row = 0, used;

	tool_screen_size(&rows, &columns);
	while (*text && row < rows) {
		size_t len = strcspn(text, "\n");
		size_t cut = line_cut(text, len, columns, &used);

		/* in the last column, the character itself would be erased */
		printf("\033[%zu;1H%.*s%s", ++row, (int)cut, text, used < columns ? "\033[K" : "");
		text += len + (text[len] == '\n');
	}
	if (row < rows)
		printf("\033[%zu;1H\033[J", row + 1);
	fflush(stdout);
}

/* End or stop, as the signal does by default. Return: it was stopped, and is to go on */
static void obey(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	/* continued by `bg`: the terminal belongs to the shell */
	while (!tool_screen_is_there())
		raise(SIGSTOP);
}

bool tool_screen_wait(double until)
{
	struct timespec now, timeout = {};
	sigset_t set = signals_get();
	double left;
	int number;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = until - (now.tv_sec + now.tv_nsec / 1e9);
	if (left > 0)
		timeout = (struct timespec){.tv_sec = left, .tv_nsec = (left - (long)left) * 1e9};
	number = sigtimedwait(&set, NULL, &timeout);
	if (number < 0)
		return errno == EAGAIN;
	if (number == SIGWINCH)
		return false;
	tool_screen_end();
	obey(number);
	tool_screen_begin();
	return false;
}
