/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.h - the signals of a recording: read from a file descriptor while it runs, and a way out
 * of a long write when there is nobody to read them.
 *
 * One of it in a process; all calls from one thread, before any other thread starts.
 */
#ifndef PV_CMD_SIGNALS_H
#define PV_CMD_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

struct signals {
	int fd; /* becomes readable; -1: not open */
	sigset_t taken;
	sigset_t inherited_mask;
	struct sigaction inherited_int, inherited_term, inherited_chld, inherited_pipe;
};

/*
 * Take over SIGINT, SIGTERM, SIGHUP (unless it is ignored, as under nohup), SIGQUIT, SIGCHLD and
 * SIGWINCH; with @program SIGUSR1 and SIGUSR2 too, to pass them on. 0 or negative errno.
 */
int signals_open(struct signals *signals, bool program);
void signals_close(struct signals *signals);
/* Give everything back as it was found: for a child before its exec. */
void signals_restore(const struct signals *signals);
/* The next signal; false: there is none now. */
bool signals_next(const struct signals *signals, struct signalfd_siginfo *info);
/* Was it sent by a process, to us, rather than typed at the terminal, to all in the foreground? */
bool signals_is_sent(const struct signalfd_siginfo *info);

/*
 * From now on the signal that comes after @spare_cnt others, or SIGQUIT at once, removes the file
 * @tmp_path (NULL: none; it must stay valid) and ends the process with EXIT_STOPPED.
 */
void signals_guard(const struct signals *signals, const char *tmp_path, unsigned int spare_cnt);
/* Back to the file descriptor. */
void signals_unguard(const struct signals *signals);

#endif
