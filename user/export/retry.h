/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h - when a request is tried again, and whether. Pure functions; any thread. */
#ifndef PV_EXPORT_RETRY_H
#define PV_EXPORT_RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "util/clock.h"

#define RETRY_FIRST_NS     (1 * NSEC_PER_SEC)
#define RETRY_MAX_NS       (300 * NSEC_PER_SEC)
#define RETRY_AFTER_MAX_NS (3600 * NSEC_PER_SEC) /* an engine that asks for more gets this */

/*
 * How long to wait after @failures in a row: @first_ns after one, twice as long each time up to
 * RETRY_MAX_NS, and of that between half and all, by @random (any number), so that a fleet does not come back as one.
 * No less than what the engine asked for, if it did (@after_ns, else 0), up to a quarter of it more.
 */
uint64_t retry_wait_ns(uint64_t first_ns, unsigned int failures, uint64_t random,
                       uint64_t after_ns);

/*
 * The value of a Retry-After header: seconds, or a date in one of HTTP's three forms (RFC 9110, 5.6.7)
 * against @now. false: neither. A date that is past is 0.
 */
bool retry_after_ns(const char *value, time_t now, uint64_t *wait_ns);

enum retry_verdict {
	RETRY_DONE,  /* taken */
	RETRY_AGAIN, /* not now: the engine, or what is between, has its troubles */
	RETRY_FIX,   /* not as we are set up: a person can mend that, so try again, seldom */
	RETRY_NEVER, /* not this request */
};

/* By a response's status; 0: there was none. @retry_500: see export.h. */
enum retry_verdict retry_verdict(long status, bool retry_500);

#endif
