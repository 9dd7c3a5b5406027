/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.h - which rate the CPU budget allows: a pure function of what was measured, no clock, no system
 * call.
 *
 * Of what was spent one part goes with the rate (ticks, and taking them in) and one does not (storing,
 * watching processes start). From the last BUDGET_WINDOW_NS of both follows what any rate would have cost;
 * the highest that stays below the aim is chosen, at once when that is lower, by steps when it is higher.
 * The aim lies below the budget, because what the kernel itself spends on a tick is not measured.
 */
#ifndef PV_AGENT_BUDGET_H
#define PV_AGENT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_WINDOW_CNT 10 /* measurements kept */
#define BUDGET_WINDOW_NS  (10ull * 1000000000)
#define BUDGET_START_HZ   19                  /* what it begins with, unless less was asked for */
#define BUDGET_RAISE_NS   (2ull * 1000000000) /* from one step up to the next */

struct budget_spent {
	uint64_t span_ns;    /* wall time; 0: an empty place */
	uint64_t by_rate_ns; /* CPU time that goes with the rate */
	uint64_t fixed_ns;   /* CPU time that does not */
	uint32_t rate_hz;
};

struct budget {
	uint32_t asked_hz;
	uint32_t max_ppm;   /* of one CPU */
	uint32_t rate_hz;   /* now */
	bool is_over;       /* not even the lowest rate stays within the budget */
	uint64_t steady_ns; /* since the rate was raised */
	struct budget_spent window[BUDGET_WINDOW_CNT];
	uint32_t next; /* the oldest place of the window */
};

/* Begin anew. */
void budget_init(struct budget *budget, uint32_t asked_hz, uint32_t max_ppm);
/* Ask for another rate or budget; what was measured still counts. */
void budget_ask(struct budget *budget, uint32_t asked_hz, uint32_t max_ppm);
/* Take in what was spent at rate_hz since the last call. The rate from now on. */
uint32_t budget_step(struct budget *budget, uint64_t span_ns, uint64_t by_rate_ns,
                     uint64_t fixed_ns);
/* What was spent within the window, in millionths of one CPU. */
uint32_t budget_used_ppm(const struct budget *budget);
/*
 * The highest rate up to @max_hz that is in step with nothing: @max_hz itself if it was asked for
 * (@asked_hz), else a prime; at least 1.
 */
uint32_t budget_rate_below(uint32_t max_hz, uint32_t asked_hz);

#endif
