/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A terminal that is written to in place, by the escape sequences of ECMA-48 and xterm that all
 * terminals in use have: it has another page for that, and what was there before comes back.
 */
#ifndef ECBPF_TOOLS_SCREEN_H
#define ECBPF_TOOLS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Is standard output such a terminal, and is this process to write to it? */
bool tool_screen_is_there(void);

/* Between these, signals that end or stop the process restore the terminal first */
void tool_screen_begin(void);
void tool_screen_end(void);

/* How many rows and columns it has now */
void tool_screen_size(size_t *ret_rows, size_t *ret_columns);

/* Show the lines of @text and nothing else; what does not fit is cut */
void tool_screen_show(const char *text);

/*
 * Wait until @until, of CLOCK_MONOTONIC in seconds. Return: whether it is over; else the page has
 * to be shown again, as its size may have changed. A signal that ends the process ends it here
 */
bool tool_screen_wait(double until);

#endif /* ECBPF_TOOLS_SCREEN_H */
