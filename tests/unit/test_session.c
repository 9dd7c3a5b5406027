// SPDX-License-Identifier: Apache-2.0
/* A session over a kernel side of ours: what the ring says, and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/session.h"
#include "kern/kern.h"

/* Records that a drain finds before the ring is empty: so many like one another, and these. */
static uint64_t left_cnt;
static const struct pv_event_hdr *left[8];
static int pipe_fds[2];
/* Ticks that wait for pages; the first look at the counters is when they are sent. */
static uint64_t pending_cnt;
static uint64_t counters[PV_COUNTER_CNT];
static uint32_t set_rate_hz;
static uint64_t due_cnt;
static uint32_t entry_cnt; /* looks at a process's entry */

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
	if (left_cnt)
		left_cnt = 100000;
}

void kern__close_deferred(struct kern *kern)
{
	(void)kern;
}

uint32_t kern__cpu_cnt(const struct kern *kern)
{
	(void)kern;
	return 1;
}

void kern__set_rate(struct kern *kern, uint32_t rate_hz)
{
	(void)kern;
	set_rate_hz = rate_hz;
	/* So many periods of the old rate pass meanwhile. */
	due_cnt += 5;
}

uint64_t kern__due_cnt(const struct kern *kern)
{
	(void)kern;
	return due_cnt;
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
	for (size_t i = 0; !err && i < sizeof(left) / sizeof(*left) && left[i]; i++) {
		err = fn(ctx, left[i],
		         left[i]->type == PV_EVENT_SAMPLE ? sizeof(struct pv_sample)
		                                          : sizeof(struct pv_lifecycle));
		left[i] = NULL;
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

int kern__set_second(struct kern *kern, const struct pv_proc *proc)
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
	entry_cnt++;
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

int kern__counters(struct kern *kern, uint64_t cnt[PV_COUNTER_CNT], uint64_t *spent_ns)
{
	(void)kern;
	memcpy(cnt, counters, PV_COUNTER_CNT * sizeof(*cnt));
	if (spent_ns)
		*spent_ns = 0;
	left_cnt += pending_cnt;
	pending_cnt = 0;
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

/* What waited for pages is sent after the ring was drained and before that is seen. */
static void test_the_last_of_the_pending(void **state)
{
	const struct session_opts opts = { .all = true, .rate_hz = 99 };
	struct session_status status;
	enum session_error error;
	struct session *session;
	char what[256];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	session = session__new(&opts, &error, what, sizeof(what));
	assert_non_null(session);
	assert_int_equal(session__start(session, what, sizeof(what)), SESSION_OK);
	left_cnt = 0;
	pending_cnt = 2;
	assert_int_equal(session__stop(session), 0);
	session__status(session, &status);
	assert_int_equal(status.sample_cnt, 2);
	session__free(session);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static uint64_t sample_cnt_of(struct profile *profile, uint32_t pid)
{
	const struct profile_value *values;
	uint64_t sum = 0;
	size_t cnt;

	values = profile__values(profile, &cnt);
	for (size_t i = 0; i < cnt; i++)
		if (profile__track_at(profile, values[i].track)->pid == pid)
			sum += values[i].cnt;
	return sum;
}

/*
 * A process has ended and is in the profile; then a sample of it comes, and the next process gets its
 * place: each has its own samples.
 */
static void test_a_late_sample(void **state)
{
	enum { ENDED = 0x3ffffff0, OTHER, NOBODY };
	const struct session_opts opts = { .all = true, .rate_hz = 99 };
	const struct pv_sample one = {
		.hdr = { .type = PV_EVENT_SAMPLE,
		         .proc = { .tgid = ENDED, .start_ns = 1 },
		         .pid = ENDED },
		.comm = "one",
	};
	const struct pv_sample two = {
		.hdr = { .type = PV_EVENT_SAMPLE,
		         .proc = { .tgid = OTHER, .start_ns = 2 },
		         .pid = OTHER },
		.comm = "two",
	};
	const struct pv_lifecycle exit = {
		.hdr = { .type = PV_EVENT_EXIT,
		         .proc = { .tgid = ENDED, .start_ns = 1 },
		         .pid = ENDED },
	};
	/* A record from long after that. */
	const struct pv_lifecycle after = {
		.hdr = { .type = PV_EVENT_EXIT,
		         .time_ns = UINT64_MAX,
		         .proc = { .tgid = NOBODY, .start_ns = 3 },
		         .pid = NOBODY },
	};
	struct profile_meta meta = { 0 };
	enum session_error error;
	struct session *session;
	struct profile *profile;
	char what[256];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	session = session__new(&opts, &error, what, sizeof(what));
	assert_non_null(session);
	assert_int_equal(session__start(session, what, sizeof(what)), SESSION_OK);
	left_cnt = 0;
	left[0] = &one.hdr;
	left[1] = &exit.hdr;
	left[2] = &after.hdr;
	assert_int_equal(session__run(session, 0, -1), 0);
	left[0] = &one.hdr;
	left[1] = &two.hdr;
	left[2] = &two.hdr;
	left[3] = &one.hdr;
	assert_int_equal(session__run(session, 0, -1), 0);
	assert_int_equal(session__stop(session), 0);
	profile = session__profile(session, &meta);
	assert_non_null(profile);
	assert_int_equal(profile__sample_cnt(profile), 5);
	assert_int_equal(sample_cnt_of(profile, ENDED), 3);
	assert_int_equal(sample_cnt_of(profile, OTHER), 2);
	session__free(session);
	profile__free(profile);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static uint64_t outcome_sum(const struct profile_meta *meta)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < meta->outcome_cnt; i++)
		sum += meta->outcomes[i].count;
	return sum;
}

static uint64_t not_delivered(const struct profile_meta *meta)
{
	for (uint32_t i = 0; i < meta->event_cnt; i++)
		if (!strcmp(meta->events[i].name, "NOT_DELIVERED"))
			return meta->events[i].count;
	return UINT64_MAX;
}

static void lose_one(struct session *session)
{
	struct profile_meta meta = { 0 };

	counters[PV_CNT_TICKS]++;
	counters[PV_CNT_RING_FULL]++;
	profile__free(session__slice(session, 0, &meta));
	assert_int_equal(meta.tick_cnt, 1);
}

/*
 * Cut twice: each sample is in one profile, each tick in one ledger, one that waits for pages in that of
 * the slice in which it ends.
 */
static void test_slices(void **state)
{
	enum { LIVES = 0x3ffffff0 };
	const struct session_opts opts = { .all = true, .rate_hz = 99, .rate_max_hz = 999 };
	const struct pv_sample sample = {
		.hdr = { .type = PV_EVENT_SAMPLE,
		         .proc = { .tgid = LIVES, .start_ns = 1 },
		         .pid = LIVES },
		.comm = "lives",
	};
	struct profile_meta meta[3] = { 0 };
	struct profile *profiles[3];
	enum session_error error;
	struct session *session;
	char what[256];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	session = session__new(&opts, &error, what, sizeof(what));
	assert_non_null(session);
	assert_int_equal(session__start(session, what, sizeof(what)), SESSION_OK);
	left_cnt = 0;
	left[0] = left[1] = &sample.hdr;
	counters[PV_CNT_TICKS] = 6;
	counters[PV_CNT_COMPLETE] = 2;
	counters[PV_CNT_IDLE] = 2;
	counters[PV_CNT_PENDING] = 1;
	profiles[0] = session__slice(session, 997, &meta[0]);
	assert_int_equal(set_rate_hz, 997);
	left[0] = &sample.hdr;
	counters[PV_CNT_TICKS] = 7;
	counters[PV_CNT_COMPLETE] = 4;
	counters[PV_CNT_PENDING] = 0;
	entry_cnt = 0;
	profiles[1] = session__slice(session, 0, &meta[1]);
	assert_int_equal(entry_cnt, 0); /* nothing was lost: nobody is asked how much */
	lose_one(session);
	assert_int_equal(entry_cnt, 1);
	left[0] = &sample.hdr;
	counters[PV_CNT_TICKS] = 10;
	counters[PV_CNT_IDLE] = 4;
	counters[PV_CNT_PENDING] = 1;
	assert_int_equal(session__stop(session), 0);
	profiles[2] = session__profile(session, &meta[2]);
	for (int i = 0; i < 3; i++) {
		static const uint32_t samples[] = { 2, 1, 1 }, ticks[] = { 4, 2, 3 },
				      rates[] = { 99, 997, 997 }, missed[] = { 1, 0, 0 };

		assert_non_null(profiles[i]);
		assert_int_equal(sample_cnt_of(profiles[i], LIVES), samples[i]);
		assert_int_equal(meta[i].tick_cnt, ticks[i]);
		assert_int_equal(outcome_sum(&meta[i]), ticks[i]);
		assert_int_equal(meta[i].rate_hz, rates[i]);
		assert_int_equal(not_delivered(&meta[i]), missed[i]);
		profile__free(profiles[i]);
	}
	due_cnt = 0;
	memset(counters, 0, sizeof(counters));
	session__free(session);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_ring_that_never_ends),
		cmocka_unit_test(test_the_last_of_the_pending),
		cmocka_unit_test(test_a_late_sample),
		cmocka_unit_test(test_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
