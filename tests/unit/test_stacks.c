// SPDX-License-Identifier: Apache-2.0
/* Stacks of several images under bounds that are soon reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/stacks.h"

struct fixture {
	struct sym_store *store;
	struct sym *sym;
	struct stacks_shared shared;
	struct profile *profile;
	uint32_t track;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct profile_track track = { .pid = 1, .tid = 1 };

	*state = f;
	f->store = sym_store__new();
	f->sym = sym__new(f->store);
	f->profile = profile__new();
	track.process = track.thread = profile__string(f->profile, "x", 1);
	f->track = profile__track(f->profile, &track);
	f->shared = (struct stacks_shared){
		.points = true, .node_max = 1000, .point_max = 1000, .profile_max = 1000
	};
	return f->sym ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sym__free(f->sym);
	sym_store__free(f->store);
	profile__free(f->profile);
	free(f);
	return 0;
}

/* A sample of one frame, code object number @code. */
static void add(struct fixture *f, struct stacks *stacks, uint32_t code)
{
	struct {
		struct pv_sample head;
		struct pv_frame frame;
	} record = {
		.head = { .frame_cnt = 1 },
		.frame = { 0x1000 + 16ull * code, 1 << 8 | PV_FRAME_GENERATOR, (int32_t)code },
	};

	assert_int_equal(stacks__add(stacks, f->sym, 0, &record.head, sizeof(record), code), 0);
}

static void name(struct fixture *f, uint32_t code)
{
	struct {
		struct pv_symbol head;
		char payload[8];
	} record = {
		.head = { .code = 0x1000 + 16ull * code, .fp = 1, .name_kind = 1, .file_kind = 1 },
	};

	record.head.name_len = (__u16)snprintf(record.payload, sizeof(record.payload), "f%u", code);
	assert_int_equal(sym__learn(f->sym, &record.head, sizeof(record)), 0);
}

static void put(struct fixture *f, struct stacks *stacks)
{
	assert_int_equal(stacks__profile(stacks, f->sym, 0x0308, &f->track, f->profile), 0);
	stacks__free(stacks);
}

/* Samples of stacks of a single frame called @name. */
static uint64_t count(const struct fixture *f, const char *name)
{
	const struct profile_value *values;
	uint64_t sum = 0;
	size_t cnt;

	values = profile__values(f->profile, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		uint32_t frame = profile__stack_frame(f->profile, values[i].stack);
		uint32_t id = profile__frame_at(f->profile, frame)->name;

		if (!strcmp(profile__string_at(f->profile, id, NULL), name))
			sum += values[i].cnt;
	}
	return sum;
}

static size_t point_cnt(const struct fixture *f)
{
	size_t cnt;

	profile__points(f->profile, &cnt);
	return cnt;
}

/* The tree is one for all images; what one gives back another may take. */
static void test_nodes(void **state)
{
	struct fixture *f = *state;
	struct stacks *one = stacks__new(&f->shared), *two = stacks__new(&f->shared);

	for (uint32_t i = 0; i < 600; i++)
		add(f, one, i);
	assert_int_equal(f->shared.full_cnt, 0);
	for (uint32_t i = 0; i < 600; i++)
		add(f, two, i);
	/* Two roots. */
	assert_int_equal(f->shared.full_cnt, 600 + 600 + 2 - 1000);
	put(f, one);
	assert_true(f->shared.node_cnt < 500);
	for (uint32_t i = 0; i < 600; i++)
		add(f, two, i);
	assert_int_equal(f->shared.full_cnt, 600 + 600 + 2 - 1000);
	put(f, two);
	assert_int_equal(f->shared.node_cnt, 0);
	assert_int_equal(profile__sample_cnt(f->profile), 1800);
	assert_int_equal(count(f, "[stack table full]"), 600 + 600 + 2 - 1000);
}

/* Half a time line would be none: the last point too many takes all, those in the profile too. */
static void test_points(void **state)
{
	struct fixture *f = *state;
	struct stacks *one = stacks__new(&f->shared), *two = stacks__new(&f->shared);

	for (uint32_t i = 0; i < 600; i++)
		add(f, one, 1);
	put(f, one);
	assert_int_equal(point_cnt(f), 600);
	for (uint32_t i = 0; i < 400; i++)
		add(f, two, 1);
	assert_true(f->shared.points);
	add(f, two, 1);
	assert_false(f->shared.points);
	put(f, two);
	assert_int_equal(profile__sample_cnt(f->profile), 1001);
	assert_int_equal(point_cnt(f), 600);
	profile__drop_points(f->profile);
	assert_int_equal(point_cnt(f), 0);
}

/* Images come and go and none has what the others had. */
static void test_profile(void **state)
{
	struct fixture *f = *state;
	uint32_t most = 0;

	for (uint32_t i = 0; i < 20; i++) {
		struct stacks *stacks = stacks__new(&f->shared);

		for (uint32_t code = i * 100; code < (i + 1) * 100; code++) {
			name(f, code);
			add(f, stacks, code);
		}
		put(f, stacks);
		if (profile__stack_cnt(f->profile) > most)
			most = profile__stack_cnt(f->profile);
	}
	assert_int_equal(profile__sample_cnt(f->profile), 2000);
	/* It is asked before an image is put in, and the mark is a stack too. */
	assert_true(most <= 1000 + 100 + 1);
	assert_int_equal(f->shared.full_cnt, count(f, "[stack table full]"));
	assert_true(f->shared.full_cnt >= 900);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nodes),
		TEST(test_points),
		TEST(test_profile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
