// SPDX-License-Identifier: Apache-2.0
/* What systemd would be told, by a socket that stands in for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/notify.h"

/* A datagram socket with that name, '@' for the abstract namespace. */
static int manager(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(addr.sun_path, name, strlen(name));
	if (*name == '@')
		addr.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	                 0);
	return fd;
}

static void check_told(int fd, const char *text)
{
	char got[1024] = "";

	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), strlen(text));
	assert_string_equal(got, text);
}

static void test_tells(void **state)
{
	char folder[] = "/tmp/pitviper-notify-XXXXXX", path[64], abstract[64];
	const char *names[] = { path, abstract };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(abstract, sizeof(abstract), "@pitviper-notify-%d", getpid());
	for (int i = 0; i < 2; i++) {
		int fd = manager(names[i]);
		struct notify notify;

		setenv("NOTIFY_SOCKET", names[i], 1);
		setenv("WATCHDOG_USEC", "30000000", 1);
		notify_open(&notify);
		assert_null(getenv("NOTIFY_SOCKET"));
		assert_int_equal(notify.watchdog_ns, 30ull * 1000000000);
		assert_int_equal(notify_send(&notify, "READY=1\nSTATUS=%d Hz", 19), 0);
		check_told(fd, "READY=1\nSTATUS=19 Hz");
		assert_int_equal(notify_send(&notify, "STATUS=%600s", "x"), -EMSGSIZE);
		notify_close(&notify);
		close(fd);
	}
	unlink(path);
	rmdir(folder);
}

/* Nobody asked, or the watchdog is another process's. */
static void test_nobody(void **state)
{
	struct notify notify;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_open(&notify);
	assert_int_equal(notify.watchdog_ns, 0);
	assert_int_equal(notify_send(&notify, "READY=1"), 0);
	notify_close(&notify);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	notify_open(&notify);
	assert_int_equal(notify.fd, -1);
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_open(&notify);
	assert_int_equal(notify.fd, -1);
}

/* A manager that does not read: we go on. */
static void test_full(void **state)
{
	char name[64];
	struct notify notify;
	int fd, err = 0;

	(void)state;
	snprintf(name, sizeof(name), "@pitviper-notify-full-%d", getpid());
	fd = manager(name);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_open(&notify);
	for (int i = 0; !err && i < 100000; i++)
		err = notify_send(&notify, "WATCHDOG=1");
	assert_int_equal(err, -EAGAIN);
	notify_close(&notify);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
