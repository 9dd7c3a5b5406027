// SPDX-License-Identifier: Apache-2.0
#include "cmd/signals.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/exit.h"

static const int guarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* What the handler works with; written only while the signals are blocked. */
static const char *volatile guard_path;
static volatile sig_atomic_t guard_spare_cnt;

int signals_open(struct signals *signals, bool program)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	*signals = (struct signals){ .fd = -1 };
	sigemptyset(&signals->taken);
	for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
		sigaddset(&signals->taken, guarded[i]);
	sigaddset(&signals->taken, SIGCHLD);
	sigaddset(&signals->taken, SIGWINCH);
	if (program) {
		sigaddset(&signals->taken, SIGUSR1);
		sigaddset(&signals->taken, SIGUSR2);
	}
	if (sigprocmask(SIG_BLOCK, &signals->taken, &signals->inherited_mask))
		return -errno;
	/*
	 * A shell without job control starts "pitviper ... &" with SIGINT ignored; `kill -INT` is
	 * how a script ends a recording all the same. SIGHUP stays ignored if it is: nohup.
	 */
	sigaction(SIGINT, &plain, &signals->inherited_int);
	sigaction(SIGTERM, &plain, &signals->inherited_term);
	sigaction(SIGCHLD, &plain, &signals->inherited_chld);
	/* Writing to a pipe that nobody reads is an error to be told, not our end. */
	sigaction(SIGPIPE, &ignore, &signals->inherited_pipe);
	signals->fd = signalfd(-1, &signals->taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals->fd < 0 ? -errno : 0;
}

void signals_restore(const struct signals *signals)
{
	sigaction(SIGINT, &signals->inherited_int, NULL);
	sigaction(SIGTERM, &signals->inherited_term, NULL);
	sigaction(SIGCHLD, &signals->inherited_chld, NULL);
	sigaction(SIGPIPE, &signals->inherited_pipe, NULL);
	sigprocmask(SIG_SETMASK, &signals->inherited_mask, NULL);
}

void signals_close(struct signals *signals)
{
	if (signals->fd >= 0)
		close(signals->fd);
	signals->fd = -1;
}

bool signals_next(const struct signals *signals, struct signalfd_siginfo *info)
{
	ssize_t got;

	do {
		got = read(signals->fd, info, sizeof(*info));
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*info);
}

bool signals_is_sent(const struct signalfd_siginfo *info)
{
	return info->ssi_code <= 0; /* SI_USER, SI_QUEUE, SI_TKILL; SI_KERNEL is above */
}

static void stop_at_once(int signo)
{
	static const char message[] = "pitviper: stopped at once, nothing was written\n";
	int saved = errno;

	if (signo != SIGQUIT && guard_spare_cnt > 0) {
		guard_spare_cnt--;
		errno = saved;
		return;
	}
	if (guard_path)
		unlink(guard_path);
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		saved = errno; /* nobody left to tell */
	_exit(EXIT_STOPPED);
}

void signals_guard(const struct signals *signals, const char *tmp_path, unsigned int spare_cnt)
{
	struct sigaction action = { .sa_handler = stop_at_once, .sa_flags = SA_RESTART };
	sigset_t mask = signals->taken;

	guard_path = tmp_path;
	guard_spare_cnt = (sig_atomic_t)spare_cnt;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
		struct sigaction now;

		/* nohup's ignored SIGHUP stays that */
		if (!sigaction(guarded[i], NULL, &now) && now.sa_handler != SIG_IGN)
			sigaction(guarded[i], &action, NULL);
		sigdelset(&mask, guarded[i]);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

void signals_unguard(const struct signals *signals)
{
	sigprocmask(SIG_BLOCK, &signals->taken, NULL);
	for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
		struct sigaction now;

		if (!sigaction(guarded[i], NULL, &now) && now.sa_handler == stop_at_once) {
			now.sa_handler = SIG_DFL;
			sigaction(guarded[i], &now, NULL);
		}
	}
}
