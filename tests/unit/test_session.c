// SPDX-License-Identifier: Apache-2.0
/* A session over a kernel side of ours: what the ring says, and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "collect/session.h"
#include "kern/kern.h"

/* Records that a drain finds before the ring is empty. */
static uint64_t left_cnt;
static int pipe_fds[2];

struct kern {
	int unused;
};

struct kern *kern__open(const struct kern_opts *opts, char *what, size_t what_len)
{
	(void)opts;
	(void)what;
	(void)what_len;
	return calloc(1, sizeof(struct kern));
}

void kern__free(struct kern *kern)
{
	free(kern);
}

int kern__start_ticks(struct kern *kern, char *what, size_t what_len)
{
	(void)kern;
	(void)what;
	(void)what_len;
	return 0;
}

int kern__follow_cpus(struct kern *kern)
{
	(void)kern;
	return 0;
}

void kern__stop_ticks(struct kern *kern)
{
	(void)kern;
	/* What is in the ring now is all there will be. */
	left_cnt = 100000;
}

uint32_t kern__cpu_cnt(const struct kern *kern)
{
	(void)kern;
	return 1;
}

uint64_t kern__due_cnt(const struct kern *kern)
{
	(void)kern;
	return 0;
}

int kern__wake_fd(const struct kern *kern)
{
	(void)kern;
	return pipe_fds[0];
}

int kern__drain(struct kern *kern,
                int (*fn)(void *ctx, const struct pv_event_hdr *event, size_t size), void *ctx)
{
	const struct pv_sample sample = {
		.hdr = { .type = PV_EVENT_SAMPLE, .proc = { .tgid = 0x3fffffff, .start_ns = 1 } },
	};
	int err = 0;

	(void)kern;
	while (!err && left_cnt) {
		left_cnt--;
		err = fn(ctx, &sample.hdr, sizeof(sample));
	}
	return err;
}

int kern__set_layout(struct kern *kern, uint32_t index, const struct pv_layout *layout)
{
	(void)kern;
	(void)index;
	(void)layout;
	return 0;
}

int kern__set_proc(struct kern *kern, const struct pv_proc *proc)
{
	(void)kern;
	(void)proc;
	return 0;
}

int kern__get_proc(struct kern *kern, uint32_t tgid, struct pv_proc *proc)
{
	(void)kern;
	(void)tgid;
	(void)proc;
	return -ENOENT;
}

int kern__set_exe(struct kern *kern, const struct pv_exe_id *id, const struct pv_exe *exe)
{
	(void)kern, (void)id, (void)exe;
	return 0;
}

int kern__del_proc(struct kern *kern, const struct pv_proc_id *id)
{
	(void)kern;
	(void)id;
	return -ENOENT;
}

int kern__each_process(struct kern *kern, int (*fn)(void *ctx, const struct pv_listed *listed),
                       void *ctx)
{
	(void)kern;
	(void)fn;
	(void)ctx;
	return 0;
}

int kern__counters(struct kern *kern, uint64_t cnt[PV_COUNTER_CNT])
{
	(void)kern;
	(void)cnt;
	return 0;
}

/* A ring that fills faster than it is drained: session__run() comes back, and nothing is lost. */
static void test_a_ring_that_never_ends(void **state)
{
	const struct session_opts opts = { .all = true, .rate_hz = 10000 };
	struct session_status status;
	enum session_error error;
	struct session *session;
	char what[256];
	uint64_t taken;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	session = session__new(&opts, &error, what, sizeof(what));
	assert_non_null(session);
	assert_int_equal(session__start(session, what, sizeof(what)), SESSION_OK);
	left_cnt = UINT64_MAX;
	for (int i = 0; i < 3; i++)
		assert_int_equal(session__run(session, -1, -1), 0);
	taken = UINT64_MAX - left_cnt;
	session__status(session, &status);
	assert_int_equal(status.sample_cnt, taken);
	assert_int_equal(session__stop(session), 0);
	assert_int_equal(left_cnt, 0);
	session__status(session, &status);
	assert_int_equal(status.sample_cnt, taken + 100000);
	session__free(session);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_ring_that_never_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
