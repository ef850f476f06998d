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
#include <sys/stat.h>
#include <sys/vfs.h>
#include <bpf/bpf.h>
#include <linux/magic.h>
#include "bpf/bpffs.h"
#include "bpf/synchronize.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synchronize_waits),
		cmocka_unit_test(directories_are_private),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
