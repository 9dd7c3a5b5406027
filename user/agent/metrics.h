/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - a snapshot as text: for Prometheus (its exposition format 0.0.4), and for people. */
#ifndef PV_AGENT_METRICS_H
#define PV_AGENT_METRICS_H

#include <stdbool.h>

#include "agent/stats.h"
#include "util/buf.h"

void metrics_text(const struct agent_stats *stats, struct buf *out);
/* "ok" or what is wrong, then what it does. False: something is wrong. */
bool metrics_health(const struct agent_stats *stats, struct buf *out);

#endif
