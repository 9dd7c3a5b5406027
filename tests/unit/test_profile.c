// SPDX-License-Identifier: Apache-2.0
/* test_profile.c - ids, interning, sums and the time line of a profile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/profile.h"

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

static uint32_t frame(struct profile *profile, const char *name, int line)
{
	const struct profile_frame row = { string(profile, name), string(profile, "a.py"), line, 1,
		                           PROFILE_FRAME_PYTHON };

	return profile__frame(profile, &row);
}

static uint32_t track(struct profile *profile, uint32_t pid, uint64_t key)
{
	const struct profile_track row = {
		pid, pid, string(profile, "python3"), string(profile, "main"), key, key
	};

	return profile__track(profile, &row);
}

static void test_equal_content_has_one_id(void **state)
{
	struct profile *profile = profile__new();
	uint32_t f, g;
	size_t len;

	(void)state;
	assert_int_equal(string(profile, "x"), string(profile, "x"));
	assert_int_not_equal(string(profile, "x"), string(profile, "y"));
	assert_int_not_equal(profile__string(profile, "x\0y", 3), string(profile, "x"));
	assert_memory_equal(profile__string_at(profile, profile__string(profile, "x\0y", 3), &len),
	                    "x\0y", 3);
	assert_int_equal(len, 3);
	assert_int_equal(profile__string(profile, NULL, 0), string(profile, ""));
	f = frame(profile, "f", 1);
	g = frame(profile, "f", 2);
	assert_int_not_equal(f, g);
	assert_int_equal(frame(profile, "f", 1), f);
	assert_int_equal(profile__frame_cnt(profile), 2);
	assert_int_equal(profile__frame_at(profile, g)->line, 2);
	assert_int_not_equal(track(profile, 1, 1), track(profile, 1, 2));
	assert_int_equal(track(profile, 1, 2), track(profile, 1, 2));
	assert_int_equal(profile__track_cnt(profile), 2);
	profile__free(profile);
}

static void test_stacks_are_a_tree(void **state)
{
	struct profile *profile = profile__new();
	uint32_t f = frame(profile, "f", 1), a, b;

	(void)state;
	assert_int_equal(profile__stack_cnt(profile), 1);
	assert_int_equal(profile__stack_parent(profile, PROFILE_ROOT), PROFILE_NONE);
	assert_int_equal(profile__stack_frame(profile, PROFILE_ROOT), PROFILE_NONE);
	a = profile__stack(profile, PROFILE_ROOT, f);
	b = profile__stack(profile, a, f);
	assert_int_not_equal(a, b);
	assert_int_equal(profile__stack(profile, a, f), b);
	assert_int_equal(profile__stack_parent(profile, b), a);
	assert_int_equal(profile__stack_frame(profile, b), f);
	assert_int_equal(profile__stack_cnt(profile), 3);
	profile__free(profile);
}

/* What failed earlier fails the rest of the chain, and harms nothing that is there. */
static void test_none_is_passed_on(void **state)
{
	struct profile *profile = profile__new();
	const struct profile_frame bad = { PROFILE_NONE, 0, 0, 0, PROFILE_FRAME_PYTHON };
	const struct profile_point point = { 0, PROFILE_NONE, PROFILE_ROOT };
	uint32_t on = track(profile, 1, 1);

	(void)state;
	assert_int_equal(profile__frame(profile, &bad), PROFILE_NONE);
	assert_int_equal(profile__stack(profile, PROFILE_ROOT, PROFILE_NONE), PROFILE_NONE);
	assert_int_equal(profile__stack(profile, PROFILE_NONE, 0), PROFILE_NONE);
	assert_int_equal(profile__add(profile, on, PROFILE_NONE, 1), -ENOMEM);
	assert_int_equal(profile__add(profile, PROFILE_NONE, PROFILE_ROOT, 1), -ENOMEM);
	assert_int_equal(profile__add_point(profile, &point), -ENOMEM);
	assert_int_equal(profile__sample_cnt(profile), 0);
	profile__free(profile);
}

static void test_values_add_up(void **state)
{
	struct profile *profile = profile__new();
	uint32_t one = track(profile, 1, 1), two = track(profile, 2, 2), stack = PROFILE_ROOT;
	uint64_t sum = 0;
	size_t cnt;
	const struct profile_value *values;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		stack = profile__stack(profile, i % 100 ? stack : PROFILE_ROOT,
		                       frame(profile, "f", i % 7));
		assert_int_equal(profile__add(profile, i % 2 ? one : two, stack, (uint64_t)i), 0);
	}
	values = profile__values(profile, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		assert_true(values[i].cnt > 0);
		sum += values[i].cnt;
		for (size_t j = 0; j < i; j++)
			assert_false(values[j].track == values[i].track &&
			             values[j].stack == values[i].stack);
	}
	assert_int_equal(sum, 999 * 1000 / 2);
	assert_int_equal(profile__sample_cnt(profile), sum);
	profile__free(profile);
}

static void test_points_come_by_time(void **state)
{
	static const uint64_t times[] = { 5, 3, 9, 3, 0, UINT64_MAX, 7 };
	struct profile *profile = profile__new();
	uint32_t on = track(profile, 1, 1);
	const struct profile_point *points;
	struct profile_point point = { 0, on, PROFILE_ROOT };
	size_t cnt;

	(void)state;
	points = profile__points(profile, &cnt);
	assert_int_equal(cnt, 0);
	for (size_t round = 1; round <= 2; round++) {
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
			point.time_ns = times[i];
			assert_int_equal(profile__add_point(profile, &point), 0);
		}
		points = profile__points(profile, &cnt);
		assert_int_equal(cnt, round * sizeof(times) / sizeof(times[0]));
		for (size_t i = 1; i < cnt; i++)
			assert_true(points[i - 1].time_ns <= points[i].time_ns);
	}
	assert_int_equal(profile__sample_cnt(profile), 0);
	profile__free(profile);
}

static void test_meta_is_bounded(void **state)
{
	struct profile *profile = profile__new();
	const struct profile_meta meta = { .title = "t", .outcome_cnt = 1000, .event_cnt = 1000 };

	(void)state;
	profile__set_meta(profile, &meta);
	assert_string_equal(profile__meta(profile)->title, "t");
	assert_int_equal(profile__meta(profile)->outcome_cnt, PROFILE_LEDGER_MAX);
	assert_int_equal(profile__meta(profile)->event_cnt, PROFILE_LEDGER_MAX);
	profile__free(profile);
	profile__free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_content_has_one_id),
		cmocka_unit_test(test_stacks_are_a_tree),
		cmocka_unit_test(test_none_is_passed_on),
		cmocka_unit_test(test_values_add_up),
		cmocka_unit_test(test_points_come_by_time),
		cmocka_unit_test(test_meta_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
