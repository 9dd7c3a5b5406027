// SPDX-License-Identifier: Apache-2.0
/* The way out of a long write, tried in a child that may die of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/exit.h"
#include "cmd/signals.h"

#define NOT_STOPPED 77

static char path[] = "/tmp/pitviper-signals-XXXXXX";

/* Raise @numbers (0 ends) under a guard; the child's status, and whether the file is there. */
static int guarded_run(unsigned int spare_cnt, const int *numbers, bool *there)
{
	int fd, status;
	pid_t pid;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct signals signals;

		/* nohup hands on an ignored SIGHUP, which the guard would leave ignored. */
		for (int i = 0; numbers[i]; i++)
			signal(numbers[i], SIG_DFL);
		if (signals_open(&signals, false) || !freopen("/dev/null", "w", stderr))
			_exit(1);
		signals_guard(&signals, path, spare_cnt);
		for (; *numbers; numbers++)
			raise(*numbers);
		signals_unguard(&signals);
		_exit(NOT_STOPPED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*there = !access(path, F_OK);
	unlink(path);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_guard(void **state)
{
	bool there;

	(void)state;
	assert_int_equal(guarded_run(0, (int[]){ 0 }, &there), NOT_STOPPED);
	assert_true(there);
	assert_int_equal(guarded_run(0, (int[]){ SIGINT, 0 }, &there), EXIT_STOPPED);
	assert_false(there);
	assert_int_equal(guarded_run(1, (int[]){ SIGTERM, 0 }, &there), NOT_STOPPED);
	assert_true(there);
	assert_int_equal(guarded_run(1, (int[]){ SIGTERM, SIGHUP, 0 }, &there), EXIT_STOPPED);
	assert_false(there);
	assert_int_equal(guarded_run(5, (int[]){ SIGQUIT, 0 }, &there), EXIT_STOPPED);
	assert_false(there);
	/* Those that ask for nothing don't count. */
	assert_int_equal(guarded_run(0, (int[]){ SIGWINCH, SIGCHLD, 0 }, &there), NOT_STOPPED);
	assert_true(there);
}

static void test_read_and_restore(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, now;
	struct signalfd_siginfo info;
	struct signals signals;
	sigset_t mask;

	(void)state;
	sigaction(SIGINT, &ignore, NULL);
	assert_int_equal(signals_open(&signals, true), 0);
	assert_false(signals_next(&signals, &info));
	raise(SIGINT);
	assert_true(signals_next(&signals, &info));
	assert_int_equal(info.ssi_signo, SIGINT);
	assert_true(signals_is_sent(&info));
	assert_false(signals_next(&signals, &info));
	raise(SIGUSR1);
	assert_true(signals_next(&signals, &info));
	signals_restore(&signals);
	sigaction(SIGINT, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	sigaction(SIGPIPE, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	assert_false(sigismember(&mask, SIGINT));
	signals_close(&signals);
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_read_and_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
