// SPDX-License-Identifier: Apache-2.0
/* Any bytes as what comes in at the agent's socket: each gets an answer that is HTTP, or none. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/pages.h"
#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct pages *pages;

static void end(void)
{
	pages__free(pages);
}

static void begin(void)
{
	char listen[sizeof(address.sun_path) + 8], what[256];
	const struct pages_opts opts = {
		.listen = listen,
		.store = "/nonexistent/pitviper.pv",
		.gid = (gid_t)-1,
	};
	int err;

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fuzz-pages-%d.sock", getpid());
	snprintf(listen, sizeof(listen), "unix:%s", address.sun_path);
	pages = pages__new(&opts, &err, what, sizeof(what));
	if (!pages || pages__start(pages))
		abort();
	atexit(end);
}

/* All that it says until it hangs up; a profile that is wanted ends at once. */
static void hear(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char answer[4096];
	size_t len = 0;
	ssize_t got;

	do {
		while (!poll(&poll_fd, 1, 1)) {
			if (pages__wants_cut(pages, clock_ns(CLOCK_MONOTONIC)))
				pages__cut(pages, clock_ns(CLOCK_MONOTONIC), 1, -ENODEV);
		}
		got = recv(fd, answer + len, sizeof(answer) - len, 0);
		len += got > 0 ? (size_t)got : 0;
	} while (got > 0 && len < sizeof(answer));
	if (len && (len < 9 || memcmp(answer, "HTTP/1.", 7) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!pages)
		begin();
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		abort();
	/* Refused in the midst: it may hang up. */
	if (send(fd, data, size, MSG_NOSIGNAL) >= 0)
		shutdown(fd, SHUT_WR);
	hear(fd);
	close(fd);
	return 0;
}
