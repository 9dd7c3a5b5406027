// SPDX-License-Identifier: Apache-2.0
/* test_when.c - times as people write them, in a zone with summer time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cmd/when.h"
#include "util/clock.h"

#define SEC NSEC_PER_SEC

/* 2026-11-26 13:30:00 in Berlin (UTC+1), a Thursday. */
#define NOW (1795696200ull * SEC)

/* Local times of that day. */
static uint64_t day(int back, int hour, int min)
{
	struct tm tm = { .tm_year = 126,
		         .tm_mon = 10,
		         .tm_mday = 26 - back,
		         .tm_hour = hour,
		         .tm_min = min,
		         .tm_isdst = -1 };

	return (uint64_t)mktime(&tm) * SEC;
}

static uint64_t utc(int year, int mon, int mday, int hour, int min)
{
	struct tm tm = { .tm_year = year - 1900,
		         .tm_mon = mon - 1,
		         .tm_mday = mday,
		         .tm_hour = hour,
		         .tm_min = min };

	return (uint64_t)timegm(&tm) * SEC;
}

static int in_berlin(void **state)
{
	(void)state;
	/* By rule, not by name: no zone files are needed. */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static void check(const char *text, uint64_t want)
{
	uint64_t got = 0;

	if (!when_time(text, NOW, 0, &got))
		fail_msg("'%s' is no time", text);
	if (got != want)
		fail_msg("'%s' is %lld s off", text, (long long)(got - want) / (long long)SEC);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t sec;
	} good[] = {
		{ "15m", 900 },      { "90s", 90 },     { "2h", 7200 },     { "1h30m", 5400 },
		{ "1d", 86400 },     { "2w", 1209600 }, { "30", 30 },       { "15 min", 900 },
		{ "2 hours", 7200 }, { "1.5h", 5400 },  { "1d 2h", 93600 }, { "0.5m", 30 },
	};
	static const char *const bad[] = { "",   "m",   "15x",  "-5m",    "15m3",        "0m",
		                           "h1", "1.m", "15mm", "99999d", "9999999999s", "5 5m" };
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(when_duration(good[i].text, &ns));
		assert_int_equal(ns, good[i].sec * SEC);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (when_duration(bad[i], &ns))
			fail_msg("'%s' was taken", bad[i]);
}

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(NOW, day(0, 13, 30));
	check("now", NOW);
	check("13:00", day(0, 13, 0));
	check("13:30", NOW);
	check("14:00", day(1, 14, 0));
	check("9:05", day(0, 9, 5));
	check("13:00:30", day(0, 13, 0) + 30 * SEC);
	check("13:00:30.5", day(0, 13, 0) + 30 * SEC + SEC / 2);
	check("today", day(0, 0, 0));
	check("yesterday", day(1, 0, 0));
	check("yesterday 14:00", day(1, 14, 0));
	check("Yesterday 23:59", day(1, 23, 59));
	check("today 23:00", day(0, 23, 0));
	check("2026-11-24", day(2, 0, 0));
	check("2026-11-24 14:00", day(2, 14, 0));
	check("2026-11-24T14:00", day(2, 14, 0));
	check("2026-11-24 24:00", day(1, 0, 0));
	check("2026-11-24T14:00Z", day(2, 15, 0));
	check("2026-11-24 14:00 UTC", day(2, 15, 0));
	check("2026-11-24T14:00:00-05:00", day(2, 20, 0));
	check("2026-11-24T14:00+0530", day(2, 9, 30));
	check("2026-11-24T14:00+01", day(2, 14, 0));
	check("12:00Z", day(0, 13, 0));
	check("15m", NOW - 900 * SEC);
	check("@1790000000", 1790000000 * SEC);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",         "25:00",      "13:60",      "13:00:60",   "13",
		"1300",     "2026-13-01", "2026-02-29", "2026-11-31", "2026-11-24 x",
		"tomorrow", "13:00 x",    "24:01",      "2026-11",    "@",
		"@x",       "1969-01-01", "13:0",       "todayx",     "2026-11-24T14:00+99:00",
		"13:00+",   "9999-01-01", "now13:00",
	};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (when_time(bad[i], NOW, 0, &ns))
			fail_msg("'%s' was taken", bad[i]);
}

static void range(const char *text, uint64_t from, uint64_t to)
{
	uint64_t got_from, got_to;

	if (!when_range(text, NOW, &got_from, &got_to))
		fail_msg("'%s' is no range", text);
	assert_int_equal(got_from, from);
	assert_int_equal(got_to, to);
}

static void test_ranges(void **state)
{
	uint64_t from, to;

	(void)state;
	range("13:00-13:10", day(0, 13, 0), day(0, 13, 10));
	/* Across now, and across midnight: the end is the first one behind the beginning. */
	range("13:00-14:00", day(0, 13, 0), day(0, 14, 0));
	range("23:50-0:10", day(1, 23, 50), day(0, 0, 10));
	range("13:00 - 13:10", day(0, 13, 0), day(0, 13, 10));
	range("2026-11-24 13:00-13:10", day(2, 13, 0), day(2, 13, 10));
	range("2026-11-24 13:00-2026-11-25 13:10", day(2, 13, 0), day(1, 13, 10));
	range("2026-11-24..2026-11-25", day(2, 0, 0), day(1, 0, 0));
	range("yesterday..today", day(1, 0, 0), day(0, 0, 0));
	range("yesterday 13:00-14:00", day(1, 13, 0), day(1, 14, 0));
	range("1h..now", NOW - 3600 * SEC, NOW);
	range("30m-15m", NOW - 1800 * SEC, NOW - 900 * SEC);
	assert_false(when_range("13:10", NOW, &from, &to));
	assert_false(when_range("now-13:00x", NOW, &from, &to));
	assert_false(when_range("a.pv", NOW, &from, &to));
	assert_false(when_range("15m..1h", NOW, &from, &to));
	assert_false(when_range("2026-11-25..2026-11-24", NOW, &from, &to));
}

/* In 2026 the clocks go forward on 29 March at 2:00, back on 25 October at 3:00. */
static void test_summer_time(void **state)
{
	(void)state;
	check("2026-03-29 01:59", utc(2026, 3, 29, 0, 59));
	check("2026-03-29 02:30", utc(2026, 3, 29, 1, 30));
	check("2026-03-29 03:00", utc(2026, 3, 29, 1, 0));
	check("2026-07-01 12:00", utc(2026, 7, 1, 10, 0));
	check("2026-10-25 01:59", utc(2026, 10, 24, 23, 59));
	check("2026-10-25 02:30", utc(2026, 10, 25, 0, 30));
	check("2026-10-25 03:00", utc(2026, 10, 25, 2, 0));
	/* The day that is said is that of the zone, which need not be Greenwich's. */
	uint64_t after_midnight = utc(2026, 11, 25, 23, 30), ns;

	assert_true(when_time("today", after_midnight, 0, &ns));
	assert_int_equal(ns, utc(2026, 11, 25, 23, 0));
	/* Yesterday was 25 hours long. */
	assert_true(when_time("yesterday 12:00", utc(2026, 10, 26, 8, 0), 0, &ns));
	assert_int_equal(ns, utc(2026, 10, 25, 11, 0));
	assert_true(when_time("12:00", utc(2026, 10, 25, 10, 30), 0, &ns));
	assert_int_equal(ns, utc(2026, 10, 24, 10, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),   cmocka_unit_test(test_times),
		cmocka_unit_test(test_refused),     cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_summer_time),
	};

	return cmocka_run_group_tests(tests, in_berlin, NULL);
}
