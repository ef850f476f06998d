// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Giving up privileges, see drop.h */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "tools/common/common.h"
#include "tools/sampler/drop.h"

/*
 * Not root in any case: samples are of packets that anybody sends, and go to subscribers beyond
 * this host. Other processes of nobody could end this one, so it is told.
 */
int drop_user(const struct passwd **ret_user)
{
	const struct passwd *user;

	*ret_user = NULL;
	if (geteuid())
		return TOOL_OK;
	user = getpwnam(DROP_USER);
	if (!user)
		user = getpwnam("nobody");
	if (!user || !user->pw_uid)
		return tool_fail("there is no user " DROP_USER " and no user nobody");
	*ret_user = user;
	return TOOL_OK;
}

static int become(const struct passwd *user)
{
	if (!setgroups(0, NULL) && !setresgid(user->pw_gid, user->pw_gid, user->pw_gid) &&
	    !setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return TOOL_OK;
	if (errno == EPERM)
		return tool_fail("permission denied: this needs CAP_SETUID and CAP_SETGID, to be "
				 "user %s, and one is missing",
				 user->pw_name);
	return tool_fail("cannot be user %s: %s", user->pw_name, strerror(errno));
}

int drop_privileges(const struct passwd *user)
{
	int err = user ? become(user) : TOOL_OK;
	cap_t none;

	if (err)
		return err;
	none = cap_init();
	err = !none || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) ||
			      cap_set_proc(none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		      ? errno
		      : 0;
	cap_free(none);
	if (!err && user && !setuid(0))
		err = EPERM;
	return err ? tool_fail("cannot drop capabilities: %s", strerror(err)) : TOOL_OK;
}

void drop_warn(const struct passwd *user)
{
	if (user && strcmp(user->pw_name, DROP_USER))
		tool_warn("warning: there is no user " DROP_USER ", which 'systemd-sysusers' "
			  "makes: samples are read as user %s",
			  user->pw_name);
}
