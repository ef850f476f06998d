// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Status and counters in files, for the group ecbpf, see answers.h */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "tools/loader/answers.h"
#include "tools/loader/loader.h"

#define DIR	  "/run/ecbpf"
#define GROUP	  "ecbpf"
#define AGE_MAX_S 10

/* One for each network namespace, as there is one `watch` for each */
static int answer_path(enum answer answer, const char *ending, char path[PATH_MAX])
{
	static const char *const names[] = {"status", "status-json", "metrics"};
	struct stat st;

	if (stat("/proc/thread-self/ns/net", &st))
		return -errno;
	snprintf(path, PATH_MAX, DIR "/%s-%llu%s", names[answer], (unsigned long long)st.st_ino,
		 ending);
	return 0;
}

static int answer_make(struct tool *tool, enum answer answer, const struct tool_list *ifaces,
		       FILE *out)
{
	FILE *terminal = stdout, *errors = stderr, *none = fopen("/dev/null", "we");
	int status;

	/* glibc lets these be replaced. Errors: whoever keeps interfaces as declared tells them */
	stdout = out;
	stderr = none ?: errors;
	if (answer == ANSWER_METRICS)
		status = loader_metrics_print(tool, ifaces, false, out);
	else
		status = loader_status_print(tool, ifaces, answer == ANSWER_STATUS_JSON);
	stdout = terminal;
	stderr = errors;
	if (none)
		fclose(none);
	return status;
}

/* In one step: who reads gets the one before, or this one */
static void answer_write(struct tool *tool, enum answer answer, const struct tool_list *ifaces)
{
	const struct group *group = getgrnam(GROUP);
	char path[PATH_MAX], work[PATH_MAX];
	bool is_good;
	FILE *out;
	int fd;

	if (answer_path(answer, "", path) || answer_path(answer, ".new", work))
		return;
	unlink(work);
	fd = open(work, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		if (fd >= 0)
			close(fd);
		return;
	}
	/* without the group, or the right to give it the file, it is root's */
	if (group && !fchown(fd, -1, group->gr_gid))
		fchmod(fd, 0640);
	is_good = answer_make(tool, answer, ifaces, out) == TOOL_OK && !ferror(out);
	if (fclose(out) || !is_good || rename(work, path))
		unlink(work);
}

void answers_write(struct tool *tool)
{
	struct tool_list ifaces TOOL_CLEANUP(tool_list_free) = {};

	if (tool_ifaces_all(&ifaces))
		return;
	for (enum answer answer = 0; answer < ANSWER_MAX; answer++)
		answer_write(tool, answer, &ifaces);
}

void answers_remove(void)
{
	char path[PATH_MAX];

	for (enum answer answer = 0; answer < ANSWER_MAX; answer++)
		if (!answer_path(answer, "", path))
			unlink(path);
}

int answer_print(enum answer answer, FILE *out)
{
	int status = TOOL_OK;
	char path[PATH_MAX], text[4096];
	struct stat st;
	double age;
	FILE *file;
	size_t len;

	if (!geteuid() || answer_path(answer, "", path))
		return ANSWER_NONE;
	file = fopen(path, "re");
	if (!file && errno == EACCES)
		return tool_fail("%s: %s: root and group " GROUP " can read it", path,
				 strerror(errno));
	if (!file)
		return ANSWER_NONE;
	fstat(fileno(file), &st);
	age = difftime(time(NULL), st.st_mtim.tv_sec);
	if (age > AGE_MAX_S) {
		status = tool_fail("%s was written %.0f s ago: does ecbpf-loader watch run?", path,
				   age);
	} else {
		while ((len = fread(text, 1, sizeof(text), file)))
			fwrite(text, 1, len, out);
		fflush(out);
		tool_warn("as ecbpf-loader watch wrote it %.0f s ago", age < 0 ? 0 : age);
	}
	fclose(file);
	return status;
}
