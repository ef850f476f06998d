// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A change that leaves no new pin when it fails. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "bpf/info.h"
#include "bpf/lock.h"
#include "bpf/pins.h"
#include "bpf/transaction.h"
#include "core/array.h"
#include "core/error.h"

#define WAIT_MS	 500 /* for programs that are being freed */
#define RESERVED 3   /* descriptors: a directory, a map, a program */

static int pin_note(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	struct transaction *t = data;
	char **name;

	if (is_symlink)
		return 0;
	name = ecbpf_array_add(&t->pins, &t->count, sizeof(*name));
	if (!name)
		return ecbpf_fail_memory(e);
	*name = strdup(strrchr(path, '/') + 1);
	return *name ? 0 : ecbpf_fail_memory(e);
}

static void transaction_free(struct transaction *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->pins[i]);
	free(t->pins);
}

int ecbpf_transaction_begin(struct ecbpf *e, struct transaction *ret)
{
	struct transaction t = {};
	int err;

	ecbpf_capture(e);
	err = ecbpf_lock_hold(e);
	if (err)
		return err;
	err = ecbpf_for_each_pin(e, pin_note, &t);
	if (!err)
		err = ecbpf_reserve_take(e, RESERVED, &t.reserve);
	if (err) {
		transaction_free(&t);
		ecbpf_lock_release(e);
		return err;
	}
	*ret = t;
	return 0;
}

/* One that was taken out of a chain just now may not have been freed yet */
static bool is_used(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_map_info info = {};

	if (fd < 0 || ecbpf_map_info(fd, &info))
		return false;
	for (int ms = 0; ecbpf_map_is_used(info.id); ms += 20) {
		if (ms >= WAIT_MS)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
	}
	return false;
}

static int pin_undo(struct ecbpf *e, const char *path, bool is_symlink, void *data)
{
	const struct transaction *t = data;

	if (is_symlink)
		return 0;
	for (size_t i = 0; i < t->count; i++) {
		if (!strcmp(t->pins[i], strrchr(path, '/') + 1))
			return 0;
	}
	/* a directory is for a lock, and stays */
	if (!is_used(path) && unlink(path) && errno != EISDIR && errno != EPERM && errno != ENOENT)
		ecbpf_log(e, ECBPF_LOG_WARN, "cannot remove %s: %s", path, strerror(errno));
	return 0;
}

int ecbpf_transaction_end(struct ecbpf *e, struct transaction *t, int err)
{
	struct saved_error error;

	ecbpf_reserve_give(&t->reserve);
	if (err) {
		ecbpf_error_save(e, &error);
		ecbpf_for_each_pin(e, pin_undo, t);
		ecbpf_error_restore(e, &error);
	}
	transaction_free(t);
	ecbpf_lock_release(e);
	return err;
}
