/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - a program started under observation: `record -- program args...`.
 *
 *	launch__hold (forked, waits) -> launch__release (it execs) -> launch__reap ...
 *
 * It runs as the user who called sudo, in our process group, with our stdin, stdout and stderr, and
 * with the signal mask and handlers that we were started with. It is never killed. One thread.
 */
#ifndef PV_CMD_LAUNCH_H
#define PV_CMD_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cmd/owner.h"
#include "cmd/signals.h"

struct launch;

/* Fork and hold. @argv ends with NULL and must outlive the launch. NULL and errno. */
struct launch *launch__hold(char **argv, const struct owner *owner, const struct signals *signals);
/* Let it exec. 0, or negative errno and in @what why the program could not be run. */
int launch__release(struct launch *launch, char *what, size_t what_len);
/* Has it ended? With @wait: waits until it has. */
bool launch__reap(struct launch *launch, bool wait);
bool launch__is_running(const struct launch *launch); /* released and not known to have ended */
pid_t launch__pid(const struct launch *launch);
/* Its exit status, 128 + signal if it was killed by one; once it has ended. */
int launch__status(const struct launch *launch);
/* Pass a signal on to it; nothing when it has ended. */
void launch__signal(const struct launch *launch, int signo);
/* One that was never released goes away without having run anything; others go on. */
void launch__free(struct launch *launch);

#endif
