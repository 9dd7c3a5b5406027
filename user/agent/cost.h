/* SPDX-License-Identifier: Apache-2.0 */
/* cost.h - what the agent itself has used, from one look to the next. One thread. */
#ifndef PV_AGENT_COST_H
#define PV_AGENT_COST_H

#include <stdint.h>

#include "agent/stats.h"
#include "collect/session.h"

/* Where the last look found it. */
struct cost {
	uint64_t time_ns;    /* CLOCK_MONOTONIC */
	uint64_t process_ns; /* CPU time of all our threads */
	uint64_t bpf_ns;     /* of the session */
	uint64_t watch_ns;   /* of the session */
	uint64_t flush_ns;   /* of all flushes so far */
	uint64_t request_ns; /* of all requests so far */
};

/* What was used between two looks. */
struct cost_span {
	uint64_t span_ns;
	uint64_t by_rate_ns; /* goes with the rate of ticks */
	uint64_t fixed_ns;   /* does not */
};

/*
 * Take a first look: what was used before does not count. @status: of the session that runs now;
 * @flush_ns, @request_ns: CPU time so far.
 */
void cost_begin(struct cost *cost, const struct session_status *status, uint64_t flush_ns,
                uint64_t request_ns);
/* Look again. What is new is added to @total as well. */
void cost_look(struct cost *cost, const struct session_status *status, uint64_t flush_ns,
               uint64_t request_ns, struct stats_cost *total, struct cost_span *span);
/* Resident memory of this process, bytes; 0: cannot be told. */
uint64_t cost_resident(void);

#endif
