// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When a configuration was last applied: one line for each network namespace, "TIME IS_OK
 * IS_LAST_GOOD" in /run/ecbpf/applied-INODE.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/applied.h"
#include "core/handle.h"
#include "core/run_dir.h"

#define NAME "applied"

struct note {
	long long when;
	int is_ok;
	int is_last_good;
};

static struct note note_read(void)
{
	struct note note = {};
	char path[PATH_MAX];
	FILE *file;

	file = ecbpf_run_path(NAME, path) ? NULL : fopen(path, "re");
	if (!file)
		return note;
	/* an earlier version wrote two numbers */
	if (fscanf(file, "%lld %d %d", &note.when, &note.is_ok, &note.is_last_good) < 2)
		note.is_ok = 0;
	fclose(file);
	return note;
}

static void note_write(struct ecbpf *e, const struct note *note)
{
	char path[PATH_MAX], text[64];
	int err;

	err = ecbpf_run_path(NAME, path);
	if (err)
		return;
	snprintf(text, sizeof(text), "%lld %d %d\n", note->when, note->is_ok, note->is_last_good);
	err = ecbpf_run_write(path, 0644, text, strlen(text));
	/* who may not write there has been told so, if it failed */
	if (err && (note->is_ok || (err != -EACCES && err != -EPERM)))
		ecbpf_log(e, ECBPF_LOG_WARN, "%s: %s: doctor and metrics do not know of this apply",
			  path, strerror(-err));
}

void applied_note(struct ecbpf *e, bool is_ok)
{
	struct note note = {.when = time(NULL), .is_ok = true};

	if (!is_ok) {
		note = note_read();
		note.is_ok = false;
	}
	note_write(e, &note);
}

void applied_note_last_good(struct ecbpf *e, bool runs)
{
	struct note note = note_read();

	if (!runs && !note.is_last_good)
		return;
	if (runs)
		note = (struct note){.when = time(NULL)};
	note.is_last_good = runs;
	note_write(e, &note);
}

bool applied_read(long long *ret_when)
{
	struct note note = note_read();

	*ret_when = note.when;
	return note.is_ok;
}

bool applied_is_last_good(void)
{
	return note_read().is_last_good;
}
