// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the library asks the kernel for where no test could see the effect: libbpf's and libc's
 * functions, replaced by others that write down what they are called with.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <bpf/bpf.h>
#include <linux/magic.h>
#include "bpf/bpffs.h"
#include "bpf/lock.h"
#include "bpf/synchronize.h"
#include "core/array.h"
#include "core/handle.h"
#include "handle.h"

static int inner_fd, outer_fd, updates, update_result, warnings;

int bpf_map_create(enum bpf_map_type type, const char *name, __u32 key_size, __u32 value_size,
		   __u32 max_entries, const struct bpf_map_create_opts *opts)
{
	int fd = dup(0);

	(void)name, (void)key_size, (void)value_size, (void)max_entries, (void)opts;
	if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
		outer_fd = fd;
	else
		inner_fd = fd;
	return fd;
}

/* The kernel waits for running programs in this call, for an outer map only */
int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	(void)key, (void)flags;
	if (fd == outer_fd && *(const int *)value == inner_fd)
		updates++;
	errno = EPERM;
	return update_result;
}

int statfs(const char *path, struct statfs *fs)
{
	(void)path;
	*fs = (struct statfs){.f_type = BPF_FS_MAGIC};
	return 0;
}

static void warned(void *data, enum ecbpf_log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
	warnings++;
}

/* It changes a map of maps, or else it waits by the clock */
static void synchronize_waits(void **state)
{
	struct timespec start, end;

	(void)state;
	ecbpf_set_log(e, warned, NULL);
	outer_fd = inner_fd = -1;
	ecbpf_synchronize(e);
	assert_int_equal(updates, 1);
	assert_int_equal(warnings, 0);
	assert_int_equal(fcntl(outer_fd, F_GETFD), -1);
	assert_int_equal(fcntl(inner_fd, F_GETFD), -1);

	update_result = -1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	ecbpf_synchronize(e);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(warnings, 1);
	assert_true((end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec >=
		    100000000);
}

/* Pinned maps are root's business: nobody else may enter */
static void directories_are_private(void **state)
{
	static const char *const names[] = {"ecbpf", "xdp"};
	char dir[] = "/tmp/ecbpf-test.XXXXXX", path[64];
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("LIBXDP_BPFFS", dir, 1);
	assert_int_equal(ecbpf_bpffs_open(e, true), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		rmdir(path);
	}
	rmdir(dir);
	umask(mask);
}

/* What a user could have made in our place is refused, in a line that says how to mend it */
static void directories_of_others_are_refused(void **state)
{
	static const struct {
		const char *what;
		int make; /* 'd'irectory, 'f'ile, 'p'ipe, 's'ymlink, 'r'oot of the file system */
		mode_t mode;
		uid_t owner;
		const char *words; /* NULL: fine */
	} cases[] = {
		{"ecbpf", 'd', 0700, 0, NULL},
		{"xdp", 'd', 0755, 0, NULL},
		{"ecbpf", 'd', 0755, 0, "chmod 700 "},
		{"ecbpf", 'd', 0770, 0, "chmod 700 "},
		{"xdp", 'd', 0775, 0, "chmod 700 "},
		{"xdp", 'd', 0757, 0, "chmod 700 "},
		{"ecbpf", 'd', 0700, 1000, "belongs to user 1000"},
		{"xdp", 'd', 0700, 1000, "belongs to user 1000"},
		{"ecbpf", 'f', 0600, 0, "is not a directory"},
		{"xdp", 'p', 0600, 0, "is not a directory"},
		{"ecbpf", 's', 0, 0, "is not a directory"},
		{"xdp", 's', 0, 1000, "is not a directory"},
		{"", 'r', 01777, 0, NULL},
		{"", 'r', 0755, 0, NULL},
		{"", 'r', 0777, 0, "can replace"},
		{"", 'r', 01777, 1000, "belongs to user 1000"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char dir[] = "/tmp/ecbpf-test.XXXXXX", path[64];
		int make = cases[i].make;
		bool open_err[2];

		if (cases[i].owner && geteuid())
			continue; /* cannot be made */
		assert_non_null(mkdtemp(dir));
		setenv("LIBXDP_BPFFS", dir, 1);
		snprintf(path, sizeof(path), "%s/%s", dir, cases[i].what);
		if (make == 'd')
			assert_int_equal(mkdir(path, 0700), 0);
		else if (make == 'f' || make == 'p')
			assert_int_equal(mknod(path, make == 'f' ? S_IFREG : S_IFIFO, 0), 0);
		else if (make == 's')
			assert_int_equal(symlink("/sys", path), 0);
		assert_int_equal(lchown(path, cases[i].owner, -1), 0);
		assert_true(make == 's' || !chmod(path, cases[i].mode));
		for (int is_made = 0; is_made < 2; is_made++) {
			open_err[is_made] = ecbpf_bpffs_open(e, is_made) == -EACCES;
			if (cases[i].words) {
				assert_non_null(strstr(ecbpf_error(e), cases[i].words));
				assert_non_null(strstr(ecbpf_error(e), ": mend it by '"));
				assert_string_equal(e->bpffs, "");
			}
		}
		if (open_err[0] != !!cases[i].words || open_err[1] != !!cases[i].words)
			fail_msg("case %zu: '%s'", i, ecbpf_error(e));
		remove(path);
		for (int k = 0; k < 2; k++) {
			snprintf(path, sizeof(path), "%s/%s", dir, k ? "xdp" : "ecbpf");
			rmdir(path);
		}
		rmdir(dir);
	}
}

/* Milliseconds of waiting, which take no time here; -1: they do */
static int sleeps = -1;
static char last_warning[256];

int nanosleep(const struct timespec *time, struct timespec *left)
{
	if (sleeps < 0)
		return clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
	sleeps += (int)(time->tv_nsec / 1000000);
	return 0;
}

static void remembered(void *data, enum ecbpf_log_level level, const char *line)
{
	(void)data, (void)level;
	snprintf(last_warning, sizeof(last_warning), "%s", line);
	warnings++;
}

/* Somebody has the lock and keeps it */
static void lock_gives_up(void **state)
{
	char dir[] = "/tmp/ecbpf-test.XXXXXX", path[64], want[160];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("LIBXDP_BPFFS", dir, 1);
	assert_int_equal(ecbpf_bpffs_open(e, true), 0);
	snprintf(path, sizeof(path), "%s/ecbpf", dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	ecbpf_set_log(e, remembered, NULL);
	sleeps = warnings = 0;
	assert_int_equal(ecbpf_lock(e), -ETIMEDOUT);
	assert_in_range(sleeps, 60000, 61000);
	sleeps = -1;
	assert_int_equal(warnings, 1);
	snprintf(want, sizeof(want), "test_syscalls (pid %d), which has locked %s", getpid(), path);
	assert_non_null(strstr(last_warning, want));
	snprintf(want, sizeof(want), "gave up after 60 s: test_syscalls (pid %d)", getpid());
	assert_non_null(strstr(ecbpf_error(e), want));
	close(fd);
	fd = ecbpf_lock(e);
	assert_true(fd >= 0);
	close(fd);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/xdp", dir);
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synchronize_waits),
		cmocka_unit_test(directories_are_private),
		cmocka_unit_test(directories_of_others_are_refused),
		cmocka_unit_test(lock_gives_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
