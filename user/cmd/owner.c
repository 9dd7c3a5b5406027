// SPDX-License-Identifier: Apache-2.0
#include "cmd/owner.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static bool env_id(const char *name, unsigned int *id)
{
	const char *text = getenv(name);
	unsigned long value;
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value >= (uid_t)-1)
		return false;
	*id = (unsigned int)value;
	return true;
}

struct owner owner_find(void)
{
	struct owner owner;

	if (geteuid() || !env_id("SUDO_UID", &owner.uid) || !env_id("SUDO_GID", &owner.gid))
		return (struct owner){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	return owner;
}

static int set_env(const struct passwd *user)
{
	static const char *const sudo_names[] = { "SUDO_COMMAND", "SUDO_USER", "SUDO_UID",
		                                  "SUDO_GID" };

	for (size_t i = 0; i < sizeof(sudo_names) / sizeof(sudo_names[0]); i++)
		if (unsetenv(sudo_names[i]))
			return -errno;
	if (!user)
		return 0;
	if (setenv("HOME", user->pw_dir, 1) || setenv("USER", user->pw_name, 1) ||
	    setenv("LOGNAME", user->pw_name, 1) || setenv("SHELL", user->pw_shell, 1))
		return -errno;
	return 0;
}

int owner_become(const struct owner *owner)
{
	const struct passwd *user;
	int err;

	if (owner->uid == (uid_t)-1)
		return 0;
	/* A uid need not have an entry; then it has no other groups either. */
	user = getpwuid(owner->uid);
	err = user ? initgroups(user->pw_name, owner->gid) : setgroups(1, &owner->gid);
	if (err || setresgid(owner->gid, owner->gid, owner->gid) ||
	    setresuid(owner->uid, owner->uid, owner->uid))
		return -errno;
	return set_env(user);
}
