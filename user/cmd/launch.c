// SPDX-License-Identifier: Apache-2.0
#include "cmd/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/exit.h"

struct launch {
	pid_t pid;
	char **argv;
	int go_fd;  /* one byte written: exec; closed: go away. -1 after the release */
	int err_fd; /* reads the errno of a failed exec, nothing after a good one */
	bool released;
	bool ended;
	int status; /* of waitpid() */
};

/* What the child says when it can't exec. */
struct failure {
	int err;
	bool as_owner; /* it was becoming the owner that failed */
};

static ssize_t read_full(int fd, void *out, size_t len)
{
	ssize_t got;

	do {
		got = read(fd, out, len);
	} while (got < 0 && errno == EINTR);
	return got;
}

static void child(char **argv, const struct owner *owner, const struct signals *signals, int go_fd,
                  int err_fd)
{
	struct failure failure = { 0 };
	char go;

	if (read_full(go_fd, &go, 1) != 1)
		_exit(EXIT_CANNOT_RUN); /* nobody wants it any more */
	failure.err = -owner_become(owner);
	failure.as_owner = failure.err;
	if (!failure.err) {
		signals_restore(signals);
		execvp(argv[0], argv);
		failure.err = errno;
	}
	if (write(err_fd, &failure, sizeof(failure)) < 0)
		_exit(EXIT_INTERNAL);
	_exit(EXIT_CANNOT_RUN);
}

struct launch *launch__hold(char **argv, const struct owner *owner, const struct signals *signals)
{
	struct launch *launch = calloc(1, sizeof(*launch));
	int go[2] = { -1, -1 }, report[2] = { -1, -1 };
	int err;

	if (!launch)
		return NULL;
	if (pipe2(go, O_CLOEXEC) || pipe2(report, O_CLOEXEC))
		goto fail;
	launch->pid = fork();
	if (launch->pid < 0)
		goto fail;
	if (!launch->pid) {
		close(go[1]);
		child(argv, owner, signals, go[0], report[1]);
	}
	close(go[0]);
	close(report[1]);
	launch->argv = argv;
	launch->go_fd = go[1];
	launch->err_fd = report[0];
	return launch;
fail:
	err = errno;
	for (int i = 0; i < 2; i++) {
		if (go[i] >= 0)
			close(go[i]);
		if (report[i] >= 0)
			close(report[i]);
	}
	free(launch);
	errno = err;
	return NULL;
}

int launch__release(struct launch *launch, char *what, size_t what_len)
{
	struct failure failure = { 0 };
	ssize_t sent, got;

	do {
		sent = write(launch->go_fd, "", 1);
	} while (sent < 0 && errno == EINTR);
	close(launch->go_fd);
	launch->go_fd = -1;
	launch->released = true;
	/* Ends with the exec, which closes the other side. */
	got = sent == 1 ? read_full(launch->err_fd, &failure, sizeof(failure)) : 0;
	close(launch->err_fd);
	launch->err_fd = -1;
	if (got != (ssize_t)sizeof(failure))
		return 0; /* it runs, or was killed before it did: its status will say so */
	launch__reap(launch, true);
	if (failure.as_owner)
		snprintf(what, what_len, "cannot run %s as the user who called sudo: %s",
		         launch->argv[0], strerror(failure.err));
	else if (failure.err == ENOENT && !strchr(launch->argv[0], '/'))
		snprintf(what, what_len, "cannot run %s: not found in PATH=%s", launch->argv[0],
		         getenv("PATH") ? getenv("PATH") : "");
	else
		snprintf(what, what_len, "cannot run %s: %s", launch->argv[0],
		         strerror(failure.err));
	return -failure.err;
}

bool launch__reap(struct launch *launch, bool wait)
{
	pid_t pid;

	if (launch->ended)
		return true;
	do {
		pid = waitpid(launch->pid, &launch->status, wait ? 0 : WNOHANG);
	} while (pid < 0 && errno == EINTR);
	launch->ended = pid != 0; /* < 0 cannot happen: SIGCHLD is not ignored */
	return launch->ended;
}

bool launch__is_running(const struct launch *launch)
{
	return launch->released && !launch->ended;
}

pid_t launch__pid(const struct launch *launch)
{
	return launch->pid;
}

int launch__status(const struct launch *launch)
{
	if (WIFSIGNALED(launch->status))
		return 128 + WTERMSIG(launch->status);
	return WEXITSTATUS(launch->status);
}

void launch__signal(const struct launch *launch, int signo)
{
	if (launch__is_running(launch))
		kill(launch->pid, signo);
}

void launch__free(struct launch *launch)
{
	if (!launch)
		return;
	if (launch->go_fd >= 0)
		close(launch->go_fd);
	if (!launch->released)
		launch__reap(launch, true);
	if (launch->err_fd >= 0)
		close(launch->err_fd);
	free(launch);
}
