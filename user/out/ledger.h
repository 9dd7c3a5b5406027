/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h - what every format says about where the ticks went, in one wording. */
#ifndef PV_OUT_LEDGER_H
#define PV_OUT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"
#include "util/buf.h"

#define LEDGER_LINE_MAX (2 * PROFILE_LEDGER_MAX + 1)

/* What one sample stands for, in ns of CPU time; 1 when the rate is unknown. */
uint64_t ledger_period_ns(const struct profile_meta *meta);

/*
 * Line @i of the ledger as text: the total, then one line for each outcome, then the events:
 * "ledger: 12,345 ticks", "ledger: complete 1,234 (10.00%): the whole Python stack was recorded".
 * False and nothing appended: there is no such line. Labels are plain text, not yet escaped.
 */
bool ledger_line(const struct profile_meta *meta, uint32_t i, struct buf *out);

/* The count of the outcome of that name, 0 if there is none. */
uint64_t ledger_outcome(const struct profile_meta *meta, const char *name);

/* "2026-11-23 21:14:36 UTC" */
void ledger_time(uint64_t unix_ns, struct buf *out);

/* "12.34%": @part of @whole, 0 of 0 is 0. */
void ledger_percent(uint64_t part, uint64_t whole, struct buf *out);

/* A string of the meta data that may be missing. */
static inline const char *ledger_str(const char *s)
{
	return s ? s : "";
}

#endif
