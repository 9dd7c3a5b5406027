// SPDX-License-Identifier: Apache-2.0
/* The rate under a CPU budget, on made-up hosts whose cost is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/budget.h"

#define SECOND 1000000000ull

/* What a host's second costs: @tick_ns for each Hz, and @fixed_ns; each tenth second a flush. */
struct host {
	uint64_t tick_ns;
	uint64_t fixed_ns;
	uint64_t flush_ns;
};

/* Run that long; the most that any ten seconds have used, in millionths. */
static uint32_t run(struct budget *budget, const struct host *host, int seconds)
{
	uint32_t most = 0;

	for (int i = 0; i < seconds; i++) {
		uint64_t fixed_ns = host->fixed_ns + (i % 10 == 9 ? host->flush_ns : 0);

		budget_step(budget, SECOND, host->tick_ns * budget->rate_hz, fixed_ns);
		if (i >= 9 && budget_used_ppm(budget) > most)
			most = budget_used_ppm(budget);
	}
	return most;
}

/* Where there is room it comes to what was asked for, and stays there. */
static void test_reaches_what_was_asked(void **state)
{
	const struct host host = { .tick_ns = 10000, .fixed_ns = 100000, .flush_ns = 1000000 };
	struct budget budget;

	(void)state;
	budget_init(&budget, 999, 20000);
	assert_int_equal(budget.rate_hz, BUDGET_START_HZ);
	run(&budget, &host, 30);
	assert_int_equal(budget.rate_hz, 999);
	assert_true(run(&budget, &host, 100) <= 20000);
	assert_int_equal(budget.rate_hz, 999);
	assert_false(budget.is_over);
}

/* Where there is none it never goes over, from the first ten seconds on. */
static void test_never_exceeds(void **state)
{
	static const struct host hosts[] = {
		{ .tick_ns = 10000 },
		{ .tick_ns = 20000, .fixed_ns = 200000 },
		{ .tick_ns = 100000, .flush_ns = 5000000 },
		{ .tick_ns = 3000, .fixed_ns = 1000000, .flush_ns = 2000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		struct budget budget;

		budget_init(&budget, 999, 2000);
		assert_true(run(&budget, &hosts[i], 600) <= 2000);
		assert_true(budget.rate_hz < 999);
		assert_false(budget.is_over);
		/* And it does not shy away from what there is. */
		assert_true(budget_used_ppm(&budget) > 800);
	}
}

/* A host that grows busy: within ten seconds the budget holds again. */
static void test_load_comes_and_goes(void **state)
{
	const struct host calm = { .tick_ns = 1000 }, busy = { .tick_ns = 50000 };
	struct budget budget;
	uint32_t calm_hz;

	(void)state;
	budget_init(&budget, 499, 2000);
	run(&budget, &calm, 60);
	calm_hz = budget.rate_hz;
	assert_int_equal(calm_hz, 499);
	budget_step(&budget, SECOND, busy.tick_ns * budget.rate_hz, 0);
	assert_true(budget.rate_hz < calm_hz / 4);
	run(&budget, &busy, 10);
	assert_true(budget_used_ppm(&budget) <= 2000);
	run(&budget, &calm, 60);
	assert_int_equal(budget.rate_hz, calm_hz);
}

/* What is spent whatever the rate is more than the budget: the lowest rate, and it says so. */
static void test_cannot_be_held(void **state)
{
	const struct host host = { .tick_ns = 1000, .fixed_ns = 5000000 };
	const struct host better = { .tick_ns = 1000, .fixed_ns = 100000 };
	struct budget budget;

	(void)state;
	budget_init(&budget, 19, 2000);
	run(&budget, &host, 20);
	assert_int_equal(budget.rate_hz, 1);
	assert_true(budget.is_over);
	run(&budget, &better, 60);
	assert_int_equal(budget.rate_hz, 19);
	assert_false(budget.is_over);
}

/* Rates that were not asked for are in step with nothing. */
static void test_rates(void **state)
{
	(void)state;
	assert_int_equal(budget_rate_below(1000, 100), 100);
	assert_int_equal(budget_rate_below(99, 100), 97);
	assert_int_equal(budget_rate_below(20, 100), 19);
	assert_int_equal(budget_rate_below(2, 100), 2);
	assert_int_equal(budget_rate_below(1, 100), 1);
	assert_int_equal(budget_rate_below(0, 100), 1);
	for (uint32_t hz = 1; hz < 5000; hz++) {
		uint32_t rate = budget_rate_below(hz, 10000);

		assert_in_range(rate, 1, hz);
		for (uint32_t i = 2; i * i <= rate; i++)
			assert_int_not_equal(rate % i, 0);
	}
}

/* Another wish while it runs. */
static void test_ask(void **state)
{
	const struct host host = { .tick_ns = 10000 };
	struct budget budget;

	(void)state;
	budget_init(&budget, 999, 20000);
	run(&budget, &host, 30);
	budget_ask(&budget, 49, 20000);
	assert_int_equal(budget.rate_hz, 49);
	budget_ask(&budget, 999, 1000);
	run(&budget, &host, 10);
	assert_true(run(&budget, &host, 60) <= 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reaches_what_was_asked),
		cmocka_unit_test(test_never_exceeds),
		cmocka_unit_test(test_load_comes_and_goes),
		cmocka_unit_test(test_cannot_be_held),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
