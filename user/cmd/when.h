/* SPDX-License-Identifier: Apache-2.0 */
/*
 * when.h - times as people write them. Local time (TZ) unless the text says Z or +hh:mm; ns since 1970.
 *
 *	14:00, 14:00:30             the last time the clock showed that, or the next one (see @from)
 *	2026-11-26, 2026-11-26 14:00, 2026-11-26T14:00:30.5Z, ... 14:00+01:00
 *	today, yesterday, yesterday 14:00, now
 *	15m, 1h30m, 2 d             so long ago
 *	@1790000000                 seconds since 1970
 *
 * An hour that the clocks skip in spring is the one after it; of one that comes twice in autumn the first
 * is meant.
 */
#ifndef PV_CMD_WHEN_H
#define PV_CMD_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* "90s", "15m", "1h30m", "7d", "2w", "1.5h"; a bare number is in seconds. False: it is no such thing. */
bool when_duration(const char *text, uint64_t *ns);
/*
 * A time. @now_ns is when it is said. @from_ns: 0, or what it is the end to: then a bare time of day is
 * the first one behind that.
 */
bool when_time(const char *text, uint64_t now_ns, uint64_t from_ns, uint64_t *ns);
/* "13:00-13:10", "2026-11-26 13:00..2026-11-26 13:10": two times, the second one behind the first. */
bool when_range(const char *text, uint64_t now_ns, uint64_t *from_ns, uint64_t *to_ns);

#endif
