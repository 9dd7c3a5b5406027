/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - what systemd is told (sd_notify(3)): one datagram to the socket that it names. Where nobody
 * asked for it nothing happens. One thread.
 */
#ifndef PV_AGENT_NOTIFY_H
#define PV_AGENT_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int fd;               /* -1: nobody listens */
	uint64_t watchdog_ns; /* a sign of life is wanted this often; 0: none is */
};

/* By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are taken out of the environment. */
void notify_open(struct notify *notify);
/* Lines like "READY=1"; the printf way. 0 or negative errno. */
int notify_send(const struct notify *notify, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void notify_close(struct notify *notify);

#endif
