// SPDX-License-Identifier: Apache-2.0
#include "agent/cost.h"

#include <stdio.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"

static struct cost look(const struct session_status *status, uint64_t flush_ns, uint64_t request_ns)
{
	return (struct cost){
		.time_ns = clock_ns(CLOCK_MONOTONIC),
		.process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.bpf_ns = status->spent_ns,
		.watch_ns = status->watch_ns,
		.flush_ns = flush_ns,
		.request_ns = request_ns,
	};
}

void cost_begin(struct cost *cost, const struct session_status *status, uint64_t flush_ns,
                uint64_t request_ns)
{
	*cost = look(status, flush_ns, request_ns);
}

static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

void cost_look(struct cost *cost, const struct session_status *status, uint64_t flush_ns,
               uint64_t request_ns, struct stats_cost *total, struct cost_span *span)
{
	const struct cost now = look(status, flush_ns, request_ns);
	uint64_t bpf_ns = grown(now.bpf_ns, cost->bpf_ns);
	uint64_t watch_ns = grown(now.watch_ns, cost->watch_ns);
	uint64_t flush = grown(now.flush_ns, cost->flush_ns);
	uint64_t request = grown(now.request_ns, cost->request_ns);
	uint64_t sample_ns = grown(now.process_ns - cost->process_ns, watch_ns + flush + request);

	total->bpf_ns += bpf_ns;
	total->watch_ns += watch_ns;
	total->flush_ns += flush;
	total->request_ns += request;
	total->sample_ns += sample_ns;
	span->span_ns = now.time_ns - cost->time_ns;
	span->by_rate_ns = bpf_ns + sample_ns;
	span->fixed_ns = watch_ns + flush;
	*cost = now;
}

uint64_t cost_resident(void)
{
	struct buf text = { 0 };
	unsigned long size, resident = 0;

	if (file_read("/proc/self/statm", 256, &text) ||
	    sscanf(buf_str(&text), "%lu %lu", &size, &resident) != 2)
		resident = 0;
	buf_free(&text);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
