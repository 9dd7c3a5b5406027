// SPDX-License-Identifier: Apache-2.0
/* test_report.c - a part of a profile, a profile by function, the difference of two. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "out/diff.h"
#include "out/top.h"
#include "profile/select.h"
#include "util/buf.h"

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

/* Functions by letter, the root first, each with its own first line. */
static uint32_t stack(struct profile *profile, const char *letters)
{
	uint32_t at = PROFILE_ROOT;

	for (; *letters; letters++) {
		const struct profile_frame frame = { profile__string(profile, letters, 1),
			                             string(profile, "/srv/app.py"), *letters + 1,
			                             *letters, PROFILE_FRAME_PYTHON };

		at = profile__stack(profile, at, profile__frame(profile, &frame));
	}
	return at;
}

static void add(struct profile *profile, uint32_t pid, const char *thread, const char *letters,
                uint64_t cnt)
{
	const struct profile_track row = {
		pid, pid, string(profile, "python a.py"), string(profile, thread), 5, pid
	};
	struct profile_point point = { .time_ns = cnt };

	point.track = profile__track(profile, &row);
	point.stack = stack(profile, letters);
	assert_int_equal(profile__add(profile, point.track, point.stack, cnt), 0);
	assert_int_equal(profile__add_point(profile, &point), 0);
}

static void label(struct profile *profile, uint32_t pid, const char *name, const char *value)
{
	const struct profile_label row = { 5, pid, string(profile, name), string(profile, value),
		                           0 };

	assert_int_equal(profile__set_label(profile, &row), 0);
}

static struct profile *sample(void)
{
	const struct profile_meta meta = { .title = "t", .rate_hz = 100 };
	struct profile *profile = profile__new();

	add(profile, 1, "main", "abc", 10);
	add(profile, 1, "worker", "abd", 20);
	add(profile, 2, "main", "abab", 30);
	add(profile, 3, "main", "", 40);
	label(profile, 1, PROFILE_COMM, "gunicorn");
	label(profile, 2, PROFILE_COMM, "celery");
	label(profile, 2, PROFILE_CGROUP, "/system.slice/web.service");
	profile__set_meta(profile, &meta);
	return profile;
}

/* The samples that are left, and that the time line went the same way. */
static uint64_t left(const struct select_opts *opts)
{
	char what[128];
	struct profile *profile = sample();
	struct select *select = select__new(opts, what, sizeof(what));
	struct profile *part;
	const struct profile_point *points;
	uint64_t cnt, sum = 0;
	size_t point_cnt;

	assert_non_null(select);
	part = select__apply(select, profile);
	assert_non_null(part);
	points = profile__points(part, &point_cnt);
	for (size_t i = 0; i < point_cnt; i++)
		sum += points[i].time_ns;
	cnt = profile__sample_cnt(part);
	assert_int_equal(cnt, sum);
	assert_string_equal(profile__meta(part)->title, "t");
	profile__free(part);
	profile__free(profile);
	select__free(select);
	return cnt;
}

static void test_parts(void **state)
{
	static const pid_t pids[] = { 1, 3 };

	(void)state;
	assert_int_equal(left(&(struct select_opts){ 0 }), 100);
	assert_int_equal(left(&(struct select_opts){ .pids = pids, .pid_cnt = 2 }), 70);
	assert_int_equal(left(&(struct select_opts){ .pids = pids, .pid_cnt = 1 }), 30);
	assert_int_equal(left(&(struct select_opts){ .comm = "^gun" }), 30);
	/* Without the label: the command line. */
	assert_int_equal(left(&(struct select_opts){ .comm = "a[.]py$" }), 40);
	assert_int_equal(left(&(struct select_opts){ .cgroup = "web" }), 30);
	assert_int_equal(left(&(struct select_opts){ .thread = "main" }), 80);
	assert_int_equal(left(&(struct select_opts){ .focus = "^[cd] " }), 30);
	assert_int_equal(left(&(struct select_opts){ .focus = "app[.]py" }), 60);
	assert_int_equal(left(&(struct select_opts){ .ignore = "^c " }), 90);
	assert_int_equal(left(&(struct select_opts){ .focus = "^b ", .ignore = "^d " }), 40);
	assert_int_equal(left(&(struct select_opts){ .focus = "nowhere" }), 0);
	assert_int_equal(
		left(&(struct select_opts){ .thread = "main", .pids = pids, .pid_cnt = 1 }), 10);
}

static void test_bad_expression(void **state)
{
	const struct select_opts opts = { .focus = "a(" };
	char what[128];

	(void)state;
	assert_null(select__new(&opts, what, sizeof(what)));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(what, "'a('"));
}

static void test_labels_go_along(void **state)
{
	char what[128];
	struct profile *profile = sample();
	struct select *select =
		select__new(&(struct select_opts){ .comm = "celery" }, what, sizeof(what));
	struct profile *part = select__apply(select, profile);
	uint32_t value = profile__label_of(part, profile__track_at(part, 0),
	                                   profile__find_string(part, "cgroup", 6));

	(void)state;
	assert_int_equal(profile__track_cnt(part), 1);
	assert_string_equal(profile__string_at(part, value, NULL), "/system.slice/web.service");
	profile__free(part);
	profile__free(profile);
	select__free(select);
}

/* A function that is on a stack twice has each sample once. */
static void test_top(void **state)
{
	struct profile *profile = sample();
	struct buf text = { 0 };

	(void)state;
	assert_int_equal(top_write(profile, 3, &text), 0);
	assert_string_equal(buf_str(&text),
	                    "                self                total  function\n"
	                    "          40  40.00%           40  40.00%  [no Python frames]\n"
	                    "          30  30.00%           60  60.00%  b (app.py:98)\n"
	                    "          20  20.00%           20  20.00%  d (app.py:100)\n"
	                    "                                           and 2 more\n");
	buf_clear(&text);
	assert_int_equal(top_write(profile, 0, &text), 0);
	assert_non_null(strstr(buf_str(&text),
	                       "           0   0.00%           60  60.00%  a (app.py:97)\n"));
	buf_free(&text);
	profile__free(profile);
}

/* Ten times the samples in the same shares is no difference; then some go, some come. */
static void test_top_diff(void **state)
{
	struct profile *now = profile__new(), *base = profile__new();
	struct buf text = { 0 };

	(void)state;
	add(now, 1, "main", "ab", 25);
	add(now, 1, "main", "ac", 75);
	add(base, 9, "main", "ab", 250);
	add(base, 9, "main", "ac", 750);
	assert_int_equal(top_write_diff(now, base, 0, &text), 0);
	assert_string_equal(buf_str(&text),
	                    "    self      was       is     total      was       is  function\n");
	buf_clear(&text);
	add(now, 1, "main", "ad", 100);
	assert_int_equal(top_write_diff(now, base, 0, &text), 0);
	assert_string_equal(
		buf_str(&text),
		"    self      was       is     total      was       is  function\n"
		"  +50.00    0.00%   50.00%    +50.00    0.00%   50.00%  d (app.py:100)\n"
		"  -37.50   75.00%   37.50%    -37.50   75.00%   37.50%  c (app.py:99)\n"
		"  -12.50   25.00%   12.50%    -12.50   25.00%   12.50%  b (app.py:98)\n");
	buf_clear(&text);
	assert_int_equal(top_write_diff(now, base, 1, &text), 0);
	assert_null(strstr(buf_str(&text), "c (app"));
	buf_free(&text);
	profile__free(now);
	profile__free(base);
}

/* The tree has both; the profile's numbers are its own alone. */
static void test_diff_keeps_sides_apart(void **state)
{
	const struct out_view options = { 0 };
	struct profile *now = profile__new(), *base = profile__new();
	struct diff diff;
	double only = 0, change = 0;

	(void)state;
	add(now, 1, "main", "ab", 30);
	add(now, 1, "main", "ac", 10);
	add(base, 1, "main", "ab", 5);
	add(base, 1, "main", "ae", 15);
	assert_int_equal(diff_open(&diff, now, base, &options, VIEW_VISIBLE), 0);
	assert_int_equal(diff.view.nodes[VIEW_ROOT].total, 40);
	assert_int_equal(diff.base_total[VIEW_ROOT], 20);
	assert_int_equal(diff.view.node_cnt, 5);
	for (uint32_t i = 1; i < diff.view.node_cnt; i++) {
		const char *name = view_text_at(
			&diff.view, diff.view.frames[diff.view.nodes[i].frame].label, NULL);

		if (name[0] == 'e') {
			assert_int_equal(diff.view.nodes[i].total, 0);
			only = diff_base_share(&diff, i);
		} else if (name[0] == 'b') {
			change = diff_share(&diff, i) - diff_base_share(&diff, i);
		}
	}
	assert_true(only == 75);
	assert_true(change == 50);
	diff_close(&diff);
	profile__free(now);
	profile__free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_bad_expression),
		cmocka_unit_test(test_labels_go_along),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_top_diff),
		cmocka_unit_test(test_diff_keeps_sides_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
