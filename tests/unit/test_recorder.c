// SPDX-License-Identifier: Apache-2.0
/* What is recorded of processes that come and go, and what of it the profile shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/crowd.h"
#include "collect/recorder.h"

#define NOBODY    0x3fffffff /* above any pid_max */
#define CODE_ADDR 0x7f0000001230ull
#define LATER     UINT64_MAX

/* The kernel side knows nobody. */
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
	return -ENOENT;
}

int kern__set_proc(struct kern *kern, const struct pv_proc *proc)
{
	(void)kern;
	(void)proc;
	return 0;
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
	return 0;
}

int kern__set_layout(struct kern *kern, uint32_t index, const struct pv_layout *layout)
{
	(void)kern;
	(void)index;
	(void)layout;
	return 0;
}

struct fixture {
	struct images *images;
	struct recorder *recorder;
	struct profile *profile;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->images = images__new(NULL);
	f->recorder = recorder__new(true, NULL);
	return f->images && f->recorder ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	recorder__free(f->recorder, f->images);
	images__free(f->images);
	profile__free(f->profile);
	free(f);
	return 0;
}

/* Image number @number: each process of its own. */
static uint32_t image(struct fixture *f, uint32_t number)
{
	const struct pv_proc_id id = { .tgid = NOBODY, .exec_id = 1, .start_ns = number + 1 };

	return images__get(f->images, &id, NOBODY);
}

static void command(struct fixture *f, uint32_t index, const char *cmdline)
{
	images__at(f->images, index)->cmdline = strdup(cmdline);
	images__at(f->images, index)->version = 0x0308;
}

/* A sample of the stack @outer, @inner: code objects by number. */
static int sample(struct fixture *f, uint32_t index, uint32_t outer, uint32_t inner)
{
	static uint64_t time_ns;
	struct {
		struct pv_sample head;
		struct pv_frame frames[2];
	} record = {
		.head = { .frame_cnt = 2, .tid = 7, .thread_start_ns = 5, .comm = "python3" },
		.frames = { { CODE_ADDR + 16ull * inner, 1 << 8, 0 },
		            { CODE_ADDR + 16ull * outer, 1 << 8, 0 } },
	};

	return recorder__sample(f->recorder, f->images, index, &record.head, sizeof(record),
	                        time_ns++);
}

static void name(struct fixture *f, uint32_t index, uint32_t number, const char *text)
{
	size_t size = sizeof(struct pv_symbol) + strlen(text) + 4;
	struct pv_symbol *symbol = calloc(1, size);

	assert_non_null(symbol);
	symbol->code = CODE_ADDR + 16ull * number;
	symbol->fp = 1;
	symbol->firstlineno = 10;
	symbol->name_len = (__u16)strlen(text);
	symbol->file_len = 4;
	symbol->name_kind = symbol->file_kind = 1;
	memcpy(symbol->payload, text, strlen(text));
	memcpy(symbol->payload + strlen(text), "x.py", 4);
	assert_int_equal(recorder__symbol(f->recorder, f->images, index, symbol, size), 0);
	free(symbol);
}

static void end(struct fixture *f, uint32_t index)
{
	images__gone(f->images, index);
}

static void flush(struct fixture *f)
{
	int more;

	while ((more = recorder__flush(f->recorder, f->images, LATER)) > 0)
		;
	assert_int_equal(more, 0);
}

static void finish_lost(struct fixture *f, uint64_t lost_cnt)
{
	f->profile = recorder__finish(f->recorder, f->images, lost_cnt);
	assert_non_null(f->profile);
}

static void finish(struct fixture *f)
{
	finish_lost(f, 0);
}

static const char *text_of(struct fixture *f, uint32_t id)
{
	return profile__string_at(f->profile, id, NULL);
}

/* Samples of processes labelled @process with a leaf called @leaf (NULL: any). */
static uint64_t count(struct fixture *f, const char *process, const char *leaf)
{
	const struct profile_value *values;
	uint64_t sum = 0;
	size_t cnt;

	values = profile__values(f->profile, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		const struct profile_track *track = profile__track_at(f->profile, values[i].track);
		uint32_t frame = profile__stack_frame(f->profile, values[i].stack);

		if (strcmp(text_of(f, track->process), process) != 0)
			continue;
		if (!leaf ||
		    (frame != PROFILE_NONE &&
		     !strcmp(text_of(f, profile__frame_at(f->profile, frame)->name), leaf)))
			sum += values[i].cnt;
	}
	return sum;
}

/* One that has ended and one that lives: the same functions are the same in the profile. */
static void test_what_goes_in_comes_out(void **state)
{
	struct fixture *f = *state;
	size_t point_cnt;

	for (uint32_t number = 0; number < 2; number++) {
		uint32_t index = image(f, number);

		command(f, index, number ? "python3 lives.py" : "python3 ends.py");
		name(f, index, 1, "main");
		name(f, index, 2, "work");
		for (uint32_t i = 0; i < 10 + number; i++)
			assert_int_equal(sample(f, index, 1, 2), 0);
		assert_int_equal(sample(f, index, 1, 3), 0);
	}
	end(f, image(f, 0));
	flush(f);
	assert_int_equal(images__ended(f->images), IMAGE_NONE);
	finish(f);
	assert_int_equal(profile__sample_cnt(f->profile), 23);
	assert_int_equal(count(f, "python3 ends.py", "work"), 10);
	assert_int_equal(count(f, "python3 lives.py", "work"), 11);
	assert_int_equal(count(f, "python3 lives.py", "[unknown function]"), 1);
	profile__points(f->profile, &point_cnt);
	assert_int_equal(point_cnt, 23);
	/* The root, main, main > work, main > unknown. */
	assert_int_equal(profile__stack_cnt(f->profile), 4);
	assert_int_equal(recorder__stats(f->recorder).crowd_cnt, 0);
}

/* What the ring had no room for stands in the totals, by process as far as that is known. */
static void test_lost(void **state)
{
	struct fixture *f = *state;
	uint32_t lives = image(f, 0), ends = image(f, 1), silent = image(f, 2);

	command(f, lives, "python3 lives.py");
	command(f, ends, "python3 ends.py");
	command(f, silent, "python3 silent.py");
	assert_int_equal(sample(f, lives, 1, 2), 0);
	assert_int_equal(sample(f, ends, 1, 2), 0);
	assert_int_equal(recorder__lost(f->recorder, f->images, lives, 3), 0);
	assert_int_equal(recorder__lost(f->recorder, f->images, lives, 7), 0);
	assert_int_equal(recorder__lost(f->recorder, f->images, ends, 20), 0);
	/* Nothing but lost samples is known of it. */
	assert_int_equal(recorder__lost(f->recorder, f->images, silent, 5), 0);
	end(f, ends);
	end(f, silent);
	flush(f);
	finish_lost(f, 40);
	assert_int_equal(count(f, "python3 lives.py", RECORDER_LOST), 7);
	assert_int_equal(count(f, "python3 ends.py", RECORDER_LOST), 20);
	assert_int_equal(count(f, "python3 silent.py", RECORDER_LOST), 5);
	assert_int_equal(count(f, RECORDER_LOST, RECORDER_LOST), 8);
	assert_int_equal(profile__sample_cnt(f->profile), 42);
}

static void slice(struct fixture *f)
{
	profile__free(f->profile);
	f->profile = recorder__slice(f->recorder, f->images);
	assert_non_null(f->profile);
}

/* Each slice has what came since the last one, of the living and of those that have just ended. */
static void test_slices(void **state)
{
	struct fixture *f = *state;
	uint32_t lives = image(f, 0), ends = image(f, 1);

	command(f, lives, "python3 lives.py");
	command(f, ends, "python3 ends.py");
	name(f, lives, 2, "work");
	name(f, ends, 2, "work");
	assert_int_equal(sample(f, lives, 1, 2), 0);
	assert_int_equal(sample(f, ends, 1, 2), 0);
	assert_int_equal(recorder__lost(f->recorder, f->images, lives, 3), 0);
	end(f, ends);
	slice(f);
	assert_int_equal(count(f, "python3 lives.py", "work"), 1);
	assert_int_equal(count(f, "python3 ends.py", "work"), 1);
	assert_int_equal(count(f, "python3 lives.py", RECORDER_LOST), 3);
	/* The kernel side sends a name but once: it is still known. */
	assert_int_equal(sample(f, lives, 1, 2), 0);
	assert_int_equal(sample(f, lives, 1, 2), 0);
	assert_int_equal(sample(f, ends, 1, 2), 0);
	assert_int_equal(recorder__lost(f->recorder, f->images, lives, 5), 0);
	flush(f);
	slice(f);
	assert_int_equal(count(f, "python3 lives.py", "work"), 2);
	assert_int_equal(count(f, "python3 ends.py", "work"), 1);
	assert_int_equal(count(f, "python3 lives.py", RECORDER_LOST), 2);
	slice(f);
	assert_int_equal(profile__sample_cnt(f->profile), 0);
	assert_int_equal(profile__track_cnt(f->profile), 0);
	assert_int_equal(sample(f, lives, 1, 2), 0);
	profile__free(f->profile);
	finish_lost(f, 6);
	assert_int_equal(profile__sample_cnt(f->profile), 2);
	assert_int_equal(count(f, RECORDER_LOST, RECORDER_LOST), 1);
}

/* Its names may be on their way when it ends. */
static void test_the_grace(void **state)
{
	struct fixture *f = *state;
	uint32_t index = image(f, 0);
	uint64_t end_ns;

	command(f, index, "python3 ends.py");
	assert_int_equal(sample(f, index, 1, 2), 0);
	end(f, index);
	end_ns = images__at(f->images, index)->end_ns;
	assert_int_equal(recorder__flush(f->recorder, f->images, end_ns + RECORDER_GRACE_NS - 1),
	                 0);
	assert_int_equal(images__ended(f->images), index);
	name(f, index, 2, "work");
	assert_int_equal(recorder__flush(f->recorder, f->images, end_ns + RECORDER_GRACE_NS), 0);
	assert_int_equal(images__ended(f->images), IMAGE_NONE);
	finish(f);
	assert_int_equal(count(f, "python3 ends.py", "work"), 1);
}

/* What comes later still is not lost, nor is what was there before counted again. */
static void test_late(void **state)
{
	struct fixture *f = *state;
	const struct profile_track *tracks[2];
	uint32_t index = image(f, 0), again;

	command(f, index, "python3 ends.py");
	name(f, index, 2, "work");
	assert_int_equal(sample(f, index, 1, 2), 0);
	end(f, index);
	flush(f);
	again = image(f, 0);
	command(f, again, "python3 late.py");
	name(f, again, 2, "work");
	assert_int_equal(sample(f, again, 1, 2), 0);
	assert_int_equal(sample(f, again, 1, 2), 0);
	end(f, again);
	flush(f);
	finish(f);
	assert_int_equal(count(f, "python3 ends.py", "work"), 1);
	assert_int_equal(count(f, "python3 late.py", "work"), 2);
	assert_int_equal(profile__sample_cnt(f->profile), 3);
	/* It is the same process, whatever it is called. */
	for (uint32_t i = 0; i < 2; i++)
		tracks[i] = profile__track_at(f->profile, i);
	assert_int_equal(tracks[0]->process_key, tracks[1]->process_key);
	assert_int_equal(tracks[0]->pid, NOBODY);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	const struct pv_proc_id ids[] = { { NOBODY, 1, 100 },
		                          { NOBODY, 2, 100 },
		                          { NOBODY, 1, 7000 } };

	for (uint32_t i = 0; i < 3; i++) {
		uint32_t index = images__get(f->images, &ids[i], NOBODY);

		command(f, index, "python3 x.py");
		assert_int_equal(sample(f, index, 1, 2), 0);
		end(f, index);
		flush(f);
	}
	finish(f);
	assert_int_equal(profile__track_cnt(f->profile), 3);
}

/* More than can be shown: by command line, and these have an end too. */
static void test_the_crowd(void **state)
{
	enum { MORE = CROWD_LABEL_MAX + 20, TWICE = 30 };
	struct fixture *f = *state;
	char cmdline[64];
	uint32_t number = 0;

	for (; number < CROWD_ALONE_MAX + MORE + TWICE; number++) {
		uint32_t index = image(f, number);

		/* The last ones run what was run before. */
		snprintf(cmdline, sizeof(cmdline), "job %u",
		         number < CROWD_ALONE_MAX + MORE ? number : CROWD_ALONE_MAX + 3);
		command(f, index, cmdline);
		name(f, index, 2, "work");
		assert_int_equal(sample(f, index, 1, 2), 0);
		end(f, index);
		flush(f);
	}
	/* Who lives is shown alone, and so is a target. */
	for (; number < CROWD_ALONE_MAX + MORE + TWICE + 2; number++) {
		uint32_t index = image(f, number);

		command(f, index, number % 2 ? "living" : "target");
		assert_int_equal(sample(f, index, 1, 2), 0);
		images__at(f->images, index)->target = !(number % 2);
		if (!(number % 2))
			end(f, index);
	}
	finish(f);
	assert_int_equal(profile__sample_cnt(f->profile), number);
	assert_int_equal(recorder__stats(f->recorder).crowd_cnt, MORE + TWICE);
	assert_int_equal(profile__track_cnt(f->profile), CROWD_ALONE_MAX + CROWD_LABEL_MAX + 1 + 2);
	snprintf(cmdline, sizeof(cmdline), "job %u", CROWD_ALONE_MAX - 1);
	assert_int_equal(count(f, cmdline, "work"), 1);
	snprintf(cmdline, sizeof(cmdline), "job %u", CROWD_ALONE_MAX);
	assert_int_equal(count(f, cmdline, NULL), 0);
	strcat(cmdline, " (ended processes)");
	assert_int_equal(count(f, cmdline, "work"), 1);
	snprintf(cmdline, sizeof(cmdline), "job %u (ended processes)", CROWD_ALONE_MAX + 3);
	assert_int_equal(count(f, cmdline, "work"), 1 + TWICE);
	assert_int_equal(count(f, CROWD_OTHERS, "work"), MORE - CROWD_LABEL_MAX);
	assert_int_equal(count(f, "living", NULL), 1);
	assert_int_equal(count(f, "target", NULL), 1);
}

/* Nobody lives any more: nothing is held but the profile, and that does not grow. */
static void test_nothing_is_left(void **state)
{
	struct fixture *f = *state;
	uint32_t most = 0;

	for (uint32_t number = 0; number < 3000; number++) {
		uint32_t index = image(f, number);

		command(f, index, "job");
		for (uint32_t i = 0; i < 20; i++) {
			name(f, index, i, "work");
			assert_int_equal(sample(f, index, i, i + 1), 0);
		}
		end(f, index);
		flush(f);
		most = index > most ? index : most;
	}
	assert_int_equal(most, 0);
	finish(f);
	assert_int_equal(profile__sample_cnt(f->profile), 3000 * 20);
	assert_int_equal(profile__track_cnt(f->profile), CROWD_ALONE_MAX + 1);
	assert_int_equal(recorder__stats(f->recorder).sym->code_cnt, 3000 * 20);
}

/* Near a bound those that ended make room at once. */
static void test_a_bound_is_near(void **state)
{
	struct fixture *f = *state;
	uint32_t dead = image(f, 0), alive = image(f, 1);
	uint32_t code;

	command(f, dead, "dead");
	command(f, alive, "alive");
	for (code = 0; code < SYM_CODE_MAX / 4 * 3 + 1; code++)
		assert_int_equal(sample(f, dead, 0, code + 1), 0);
	end(f, dead);
	assert_int_equal(sample(f, alive, 1, 2), 0);
	assert_int_equal(recorder__flush(f->recorder, f->images, 0), 0);
	assert_int_equal(images__ended(f->images), IMAGE_NONE);
	/* There is room again: the next one has its grace. */
	end(f, alive);
	assert_int_equal(recorder__flush(f->recorder, f->images, 0), 0);
	assert_int_equal(images__ended(f->images), alive);
	finish(f);
	assert_int_equal(profile__sample_cnt(f->profile), code + 1);
	assert_int_equal(recorder__stats(f->recorder).full_cnt, 0);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct pv_sample record = { .frame_cnt = 2 };
	uint32_t index = image(f, 0);

	assert_int_equal(recorder__sample(f->recorder, f->images, index, &record, 8, 0), -EPROTO);
	assert_int_equal(recorder__sample(f->recorder, f->images, index, &record, sizeof(record),
	                                  0),
	                 -EPROTO);
	end(f, index);
	finish(f);
	assert_int_equal(profile__sample_cnt(f->profile), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_goes_in_comes_out),
		TEST(test_lost),
		TEST(test_the_grace),
		TEST(test_late),
		TEST(test_slices),
		TEST(test_identity),
		TEST(test_the_crowd),
		TEST(test_nothing_is_left),
		TEST(test_a_bound_is_near),
		TEST(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
