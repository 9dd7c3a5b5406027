// SPDX-License-Identifier: Apache-2.0
#include "agent/budget.h"

#include <string.h>

/* What is aimed at, of the budget, and from where on there is no reason to go higher. */
#define AIM_PART   0.8
#define RAISE_PART 0.7
/* A step up is no larger: what was spent may not tell all of it yet. */
#define RAISE_FACTOR 2

static bool is_prime(uint32_t n)
{
	if (n < 2)
		return false;
	for (uint32_t i = 2; i * i <= n; i++)
		if (n % i == 0)
			return false;
	return true;
}

uint32_t budget_rate_below(uint32_t max_hz, uint32_t asked_hz)
{
	if (max_hz >= asked_hz)
		return asked_hz;
	while (max_hz > 1 && !is_prime(max_hz))
		max_hz--;
	return max_hz > 1 ? max_hz : 1;
}

void budget_init(struct budget *budget, uint32_t asked_hz, uint32_t max_ppm)
{
	*budget = (struct budget){ .asked_hz = asked_hz, .max_ppm = max_ppm };
	budget->rate_hz = budget_rate_below(BUDGET_START_HZ, asked_hz);
}

void budget_ask(struct budget *budget, uint32_t asked_hz, uint32_t max_ppm)
{
	budget->asked_hz = asked_hz;
	budget->max_ppm = max_ppm;
	if (budget->rate_hz > asked_hz)
		budget->rate_hz = asked_hz;
}

/*
 * What one Hz, and what everything else, would have cost within the window, in ns. A host that grows busy
 * is met at once: the last measurement counts for all of them if it tells of more.
 */
struct budget_cost {
	double span_ns;
	double per_hz_ns;
	double fixed_ns;
};

static struct budget_cost window_cost(const struct budget *budget)
{
	const struct budget_spent *last =
		&budget->window[(budget->next + BUDGET_WINDOW_CNT - 1) % BUDGET_WINDOW_CNT];
	struct budget_cost cost = { 0 };
	double last_per_hz_ns;

	for (uint32_t i = 0; i < BUDGET_WINDOW_CNT; i++) {
		const struct budget_spent *spent = &budget->window[i];

		if (!spent->span_ns)
			continue;
		cost.span_ns += (double)spent->span_ns;
		cost.per_hz_ns += (double)spent->by_rate_ns / spent->rate_hz;
		cost.fixed_ns += (double)spent->fixed_ns;
	}
	last_per_hz_ns =
		(double)last->by_rate_ns / last->rate_hz * (cost.span_ns / (double)last->span_ns);
	if (last_per_hz_ns > cost.per_hz_ns)
		cost.per_hz_ns = last_per_hz_ns;
	return cost;
}

/* The rate at which @part of the budget would have been spent. */
static double rate_at(const struct budget *budget, const struct budget_cost *cost, double part)
{
	double room_ns = cost->span_ns * budget->max_ppm / 1e6 * part - cost->fixed_ns;

	if (room_ns <= 0)
		return 0;
	return room_ns >= cost->per_hz_ns * budget->asked_hz ? budget->asked_hz
	                                                     : room_ns / cost->per_hz_ns;
}

uint32_t budget_step(struct budget *budget, uint64_t span_ns, uint64_t by_rate_ns,
                     uint64_t fixed_ns)
{
	struct budget_cost cost;
	double aim_hz, raise_hz;

	budget->window[budget->next] = (struct budget_spent){
		.span_ns = span_ns,
		.by_rate_ns = by_rate_ns,
		.fixed_ns = fixed_ns,
		.rate_hz = budget->rate_hz,
	};
	budget->next = (budget->next + 1) % BUDGET_WINDOW_CNT;
	budget->steady_ns += span_ns;
	cost = window_cost(budget);
	aim_hz = rate_at(budget, &cost, AIM_PART);
	raise_hz = rate_at(budget, &cost, RAISE_PART);
	budget->is_over = rate_at(budget, &cost, 1) < 1;
	if (aim_hz < budget->rate_hz) {
		budget->rate_hz = budget_rate_below((uint32_t)aim_hz, budget->asked_hz);
		budget->steady_ns = 0;
	} else if (raise_hz > budget->rate_hz && budget->steady_ns >= BUDGET_RAISE_NS) {
		uint32_t step_hz = budget->rate_hz * RAISE_FACTOR;
		/* From 1 on, the next prime is 2, then 3: a step always leads on. */
		uint32_t next_hz = budget_rate_below(
			raise_hz < step_hz ? (uint32_t)raise_hz : step_hz, budget->asked_hz);

		if (next_hz > budget->rate_hz) {
			budget->rate_hz = next_hz;
			budget->steady_ns = 0;
		}
	}
	return budget->rate_hz;
}

uint32_t budget_used_ppm(const struct budget *budget)
{
	double span_ns = 0, spent_ns = 0;

	for (uint32_t i = 0; i < BUDGET_WINDOW_CNT; i++) {
		const struct budget_spent *spent = &budget->window[i];

		span_ns += (double)spent->span_ns;
		spent_ns += (double)spent->by_rate_ns + (double)spent->fixed_ns;
	}
	return span_ns > 0 ? (uint32_t)(spent_ns / span_ns * 1e6) : 0;
}
