// SPDX-License-Identifier: Apache-2.0
/* Who is looked at, and whose what was seen is. The kernel side is a table of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collect/images.h"
#include "proc/process.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"

#define TABLE_MAX 16
#define NOBODY    0x3fffffff /* above any pid_max */

static struct pv_proc table[TABLE_MAX];
static size_t table_cnt;

static struct pv_proc *entry_of(uint32_t tgid)
{
	for (size_t i = 0; i < table_cnt; i++)
		if (table[i].id.tgid == tgid)
			return &table[i];
	return NULL;
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
	if (!entry_of(tgid))
		return -ENOENT;
	*proc = *entry_of(tgid);
	return 0;
}

int kern__set_proc(struct kern *kern, const struct pv_proc *proc)
{
	struct pv_proc *entry = entry_of(proc->id.tgid);

	(void)kern;
	if (!entry)
		entry = &table[table_cnt++];
	*entry = *proc;
	return 0;
}

int kern__set_exe(struct kern *kern, const struct pv_exe_id *id, const struct pv_exe *exe)
{
	(void)kern, (void)id, (void)exe;
	return 0;
}

int kern__del_proc(struct kern *kern, const struct pv_proc_id *id)
{
	struct pv_proc *entry = entry_of(id->tgid);

	(void)kern;
	if (!entry || memcmp(&entry->id, id, sizeof(*id)))
		return -ENOENT;
	*entry = table[--table_cnt];
	return 0;
}

int kern__set_layout(struct kern *kern, uint32_t index, const struct pv_layout *layout)
{
	(void)kern;
	(void)index;
	(void)layout;
	return 0;
}

/* This process, as the kernel side would name it. */
static struct pv_proc_id self(void)
{
	struct pv_proc_id id = { .tgid = (uint32_t)getpid(), .exec_id = 7 };
	uint64_t tick_ns = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	struct buf stat = { 0 };
	unsigned long long start = 0;
	const char *at;

	assert_int_equal(file_read("/proc/self/stat", 4096, &stat), 0);
	at = strrchr(buf_str(&stat), ')');
	assert_non_null(at);
	for (int field = 2; field < 22; field++)
		at = strchr(at + 1, ' ');
	assert_int_equal(sscanf(at, " %llu", &start), 1);
	id.start_ns = start * tick_ns + tick_ns / 2;
	buf_free(&stat);
	return id;
}

static int set_up(void **state)
{
	table_cnt = 0;
	*state = images__new(NULL);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	images__free(*state);
	return 0;
}

static void test_an_index_is_used_again(void **state)
{
	struct images *images = *state;
	const struct pv_proc_id a = { .tgid = NOBODY, .start_ns = 1 };
	const struct pv_proc_id b = { .tgid = NOBODY, .start_ns = 2 };
	const struct pv_proc_id c = { .tgid = NOBODY, .start_ns = 3 };
	uint32_t first = images__get(images, &a, a.tgid), second;

	images__gone(images, first);
	assert_int_equal(images__find(images, &a), IMAGE_NONE);
	assert_int_equal(images__ended(images), IMAGE_NONE);
	assert_int_equal(images__get(images, &b, b.tgid), first);
	/* Something was recorded of it: it must be found until that is taken away. */
	images__at(images, first)->recorded = (struct recorded *)state;
	images__gone(images, first);
	assert_int_equal(images__find(images, &b), first);
	second = images__get(images, &c, c.tgid);
	assert_int_not_equal(second, first);
	assert_int_equal(images__alive_cnt(images), 1);
	assert_int_equal(images__alive(images, 0), second);
	assert_int_equal(images__ended(images), first);
	images__forget(images);
	assert_int_equal(images__ended(images), IMAGE_NONE);
	assert_int_equal(images__find(images, &b), IMAGE_NONE);
	assert_null(images__at(images, first)->recorded);
	/* It came late: it is somebody new. */
	assert_int_equal(images__get(images, &b, b.tgid), first);
}

/* Those that ended are forgotten in that order, and their number leaves nothing behind. */
static void test_many_ends(void **state)
{
	struct images *images = *state;
	struct pv_proc_id id = { .tgid = NOBODY };
	uint32_t most = 0;

	for (id.start_ns = 1; id.start_ns <= 1000; id.start_ns++) {
		uint32_t index = images__get(images, &id, id.tgid);

		images__at(images, index)->recorded = (struct recorded *)state;
		images__gone(images, index);
		most = index > most ? index : most;
		if (id.start_ns < 10)
			continue;
		index = images__ended(images);
		assert_int_equal(images__at(images, index)->id.start_ns, id.start_ns - 9);
		images__forget(images);
	}
	assert_int_equal(most, 9);
	assert_int_equal(images__cnt(images), 10);
	assert_int_equal(images__alive_cnt(images), 0);
}

static void test_a_reused_pid(void **state)
{
	struct images *images = *state;
	struct pv_proc_id earlier = self();
	struct pv_proc now = { .id = self(), .state = PV_PROC_PYTHON };
	uint32_t index;

	earlier.start_ns -= 5 * NSEC_PER_SEC;
	index = images__get(images, &earlier, earlier.tgid);
	assert_int_equal(images__look(images, index, NULL, 0), -ESRCH);
	assert_int_equal(table_cnt, 0);
	kern__set_proc(NULL, &now);
	index = images__get(images, &earlier, earlier.tgid);
	assert_int_equal(images__look(images, index, NULL, 0), -ESRCH);
	assert_memory_equal(entry_of(now.id.tgid), &now, sizeof(now));
	assert_int_equal(images__alive_cnt(images), 0);
}

static void test_an_exec_meanwhile(void **state)
{
	struct images *images = *state;
	struct pv_proc_id before = self();
	struct pv_proc now = { .id = self(), .flags = PV_PROC_WANTED };
	uint32_t old, index;

	before.exec_id--;
	old = images__get(images, &before, before.tgid);
	images__at(images, old)->target = true;
	images__at(images, old)->flags = PV_PROC_WANTED;
	kern__set_proc(NULL, &now);
	assert_int_equal(images__look(images, old, NULL, 0), -ESTALE);
	assert_memory_equal(entry_of(now.id.tgid), &now, sizeof(now));
	/* A target waits for its exec event. */
	images__sweep(images, 8);
	assert_true(images__at(images, old)->alive);
	index = images__get(images, &now.id, now.id.tgid);
	images__replaced(images, old, index);
	assert_true(images__at(images, index)->target);
	assert_int_equal(images__look(images, index, NULL, 0), 0);
	assert_int_equal(entry_of(now.id.tgid)->flags, PV_PROC_WANTED);
	assert_int_equal(entry_of(now.id.tgid)->state, PV_PROC_NOT_PYTHON);
}

/* A tick between the exec and its event: the entry is the old one, and says what is wanted. */
static void test_an_exec_not_told(void **state)
{
	struct images *images = *state;
	struct pv_proc old = { .id = self(), .flags = PV_PROC_WANTED | PV_PROC_CHILDREN };
	struct pv_proc_id id = self();
	uint32_t index;

	old.id.exec_id--;
	kern__set_proc(NULL, &old);
	index = images__get(images, &id, id.tgid);
	assert_int_equal(images__look(images, index, NULL, 0), 0);
	assert_int_equal(entry_of(id.tgid)->id.exec_id, id.exec_id);
	assert_int_equal(entry_of(id.tgid)->flags, old.flags);
}

/* The fork copied an entry that was undecided; the parent was looked at before we heard of it. */
static void test_a_copy_older_than_ours(void **state)
{
	struct images *images = *state;
	const struct pv_proc_id parent = { .tgid = NOBODY, .start_ns = 1 };
	struct pv_proc child = { .id = self(), .state = PV_PROC_UNDECIDED };
	uint32_t from = images__get(images, &parent, parent.tgid), to;

	images__at(images, from)->state = PV_PROC_PYTHON;
	images__at(images, from)->look_cnt = 1;
	kern__set_proc(NULL, &child);
	images__forked(images, &child.id, child.id.tgid, &parent);
	to = images__find(images, &child.id);
	assert_int_equal(images__at(images, to)->state, PV_PROC_PYTHON);
	images__look_due(images, clock_ns(CLOCK_MONOTONIC));
	assert_int_equal(images__at(images, to)->look_cnt, 1);
	assert_int_equal(entry_of(child.id.tgid)->state, PV_PROC_NOT_PYTHON);
}

static void test_asked(void **state)
{
	struct images *images = *state;
	struct pv_proc_id id = self();
	uint32_t index = images__get(images, &id, id.tgid);
	uint64_t due_ns;

	assert_int_equal(images__look(images, index, NULL, 0), 0);
	assert_int_equal(images__at(images, index)->state, PV_PROC_NOT_PYTHON);
	/* It costs nothing while it does not run. */
	assert_int_equal(images__look_due(images, clock_ns(CLOCK_MONOTONIC)), UINT64_MAX);
	images__asked(images, index);
	due_ns = images__at(images, index)->look_ns;
	assert_true(due_ns > clock_ns(CLOCK_MONOTONIC));
	images__asked(images, index);
	assert_int_equal(images__at(images, index)->look_ns, due_ns);
	images__look_due(images, due_ns);
	assert_int_equal(images__at(images, index)->look_cnt, 2);
}

/* One that is patient wakes for nobody but who may be a Python that is just starting. */
static void test_looks_wait_for_the_second(void **state)
{
	struct images *images = *state;
	const struct pv_proc_id id = { .tgid = NOBODY, .start_ns = 1 };
	const struct pv_proc_id young = { .tgid = NOBODY, .start_ns = 2 };
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), look_ns;
	uint32_t index = images__get(images, &id, id.tgid);

	images__set_patient(images);
	images__recognised(images, index, PV_PROC_PYTHON, NULL, now_ns);
	look_ns = images__at(images, index)->look_ns;
	assert_int_equal(look_ns % NSEC_PER_SEC, 0);
	assert_in_range(look_ns, now_ns, now_ns + 2 * NSEC_PER_SEC);
	/* Known long since: at once. */
	images__recognised(images, index, PV_PROC_PYTHON, NULL, now_ns - 5 * NSEC_PER_SEC);
	assert_true(images__at(images, index)->look_ns < now_ns);
	index = images__get(images, &young, young.tgid);
	images__asked(images, index);
	assert_in_range(images__at(images, index)->look_ns, now_ns,
	                clock_ns(CLOCK_MONOTONIC) + NSEC_PER_MSEC);
}

static void test_ends_are_found(void **state)
{
	struct images *images = *state;
	struct pv_proc_id id = self();

	for (uint32_t i = 0; i < 10; i++) {
		const struct pv_proc proc = { .id = { .tgid = NOBODY + i, .start_ns = 1 } };

		images__get(images, &proc.id, proc.id.tgid);
		if (i % 2)
			kern__set_proc(NULL, &proc); /* an update that crossed the exit */
	}
	images__get(images, &id, id.tgid);
	for (int round = 0; round < 4; round++)
		images__sweep(images, 4);
	assert_int_equal(images__alive_cnt(images), 1);
	assert_int_equal(images__alive(images, 0), images__find(images, &id));
	assert_int_equal(table_cnt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_index_is_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_reused_pid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_exec_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_exec_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_copy_older_than_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_looks_wait_for_the_second, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends_are_found, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
