// SPDX-License-Identifier: Apache-2.0
#include "agent/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 512

/* Connected, so that nothing but send() is needed later. -1: no such socket. */
static int notify_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (!len || len >= sizeof(addr.sun_path) || (*path != '/' && *path != '@'))
		return -1;
	memcpy(addr.sun_path, path, len);
	/* The abstract namespace. */
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&addr,
	            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len))) {
		close(fd);
		return -1;
	}
	return fd;
}

void notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC"),
		   *pid = getenv("WATCHDOG_PID");

	*notify = (struct notify){ .fd = path ? notify_connect(path) : -1 };
	if (usec && (!pid || atol(pid) == (long)getpid()))
		notify->watchdog_ns = strtoull(usec, NULL, 10) * 1000;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

int notify_send(const struct notify *notify, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	va_list args;
	int len;

	if (notify->fd < 0)
		return 0;
	va_start(args, fmt);
	len = vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof(message))
		return -EMSGSIZE;
	/* A manager that does not read must not stop us. */
	return send(notify->fd, message, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void notify_close(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}
