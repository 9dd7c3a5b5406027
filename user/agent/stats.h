/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - what the agent tells of itself: one snapshot, made by its thread, shown by others. */
#ifndef PV_AGENT_STATS_H
#define PV_AGENT_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "collect/session.h"
#include "export/exporter.h"
#include "profile/profile.h"
#include "store/store.h"

#define STATS_PYTHON_MAX  32
#define STATS_PROBLEM_LEN 256

/* All slices so far, added up. Rows as in struct profile_meta; their strings are static. */
struct stats_ledger {
	uint64_t tick_cnt; /* the sum of `outcomes` */
	uint64_t sample_cnt;
	uint32_t outcome_cnt;
	uint32_t event_cnt;
	struct profile_ledger_row outcomes[PROFILE_LEDGER_MAX];
	double outcome_s[PROFILE_LEDGER_MAX]; /* CPU time that the ticks stand for */
	struct profile_ledger_row events[PROFILE_LEDGER_MAX];
};

/* CPU time so far, in ns. */
struct stats_cost {
	uint64_t bpf_ns;     /* programs of the kernel side */
	uint64_t sample_ns;  /* taking samples in */
	uint64_t watch_ns;   /* following processes */
	uint64_t flush_ns;   /* storing */
	uint64_t request_ns; /* answering requests */
	uint32_t used_ppm;   /* of one CPU, within the budget's window, without requests */
	uint32_t max_ppm;
	bool is_over; /* not even the lowest rate keeps within the budget */
};

enum stats_state {
	STATS_STARTING,
	STATS_SAMPLING,
	STATS_PAUSED, /* by the kill switch */
	STATS_BROKEN, /* sampling could not go on; it is tried again */
};

struct agent_stats {
	enum stats_state state;
	uint64_t start_unix_ns;
	uint64_t now_unix_ns;
	uint64_t flush_unix_ns; /* the last slice's end; 0: none yet */
	uint64_t flush_every_ns;
	uint32_t asked_hz;
	uint32_t rate_hz;
	uint32_t cpu_cnt; /* CPUs that tick */
	uint32_t process_cnt;
	uint32_t python_cnt;
	struct session_python pythons[STATS_PYTHON_MAX];
	uint64_t resident; /* bytes */
	uint64_t max_memory;
	uint64_t session_cnt; /* sampling was begun so often */
	struct stats_ledger ledger;
	struct stats_cost cost;
	struct store_stats store;
	uint64_t max_disk;
	bool exporting;
	struct exporter_stats export;
	char problem[STATS_PROBLEM_LEN]; /* "": none */
};

/* Add the ledger of one slice. */
void stats_add(struct stats_ledger *ledger, const struct profile_meta *meta, uint64_t sample_cnt);

#endif
