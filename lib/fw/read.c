// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A file of rules, read with warnings of what its rules may break. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/handle.h"
#include "fw/parse.h"
#include "fw/rules.h"

int fw_read_fd(struct ecbpf *e, const char *file, int fd, struct ecbpf_fw_ruleset **ret_ruleset)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int err;

	e->detail[0] = '\0';
	if (!strcmp(file, "-"))
		file = "stdin";
	err = ecbpf_file_read(fd, &text, &size);
	if (err)
		return ecbpf_fail(e, err, "%s: %s", file, strerror(-err));
	err = ecbpf_fw_parse(e, file, text, size, ret_ruleset);
	if (err)
		return err;
	fw_warn_nd(e, file, *ret_ruleset);
	fw_warn_rules(e, file, *ret_ruleset);
	fw_warn_vlan_loaded(e, *ret_ruleset);
	return 0;
}

int ecbpf_fw_read(struct ecbpf *e, const char *file, struct ecbpf_fw_ruleset **ret_ruleset)
{
	_cleanup_close_ int fd = -1;

	e->detail[0] = '\0';
	fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	return fd < 0 ? ecbpf_fail(e, -errno, "%s: %s", file, strerror(errno))
		      : fw_read_fd(e, file, fd, ret_ruleset);
}
