// SPDX-License-Identifier: Apache-2.0
#include "export/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t retry_wait_ns(uint64_t first_ns, unsigned int failures, uint64_t random, uint64_t after_ns)
{
	uint64_t most = first_ns, wait;

	for (unsigned int i = 1; i < failures && most < RETRY_MAX_NS; i++)
		most *= 2;
	if (most > RETRY_MAX_NS)
		most = RETRY_MAX_NS;
	wait = most / 2 + random % (most / 2 + 1);
	if (after_ns > RETRY_AFTER_MAX_NS)
		after_ns = RETRY_AFTER_MAX_NS;
	if (wait < after_ns)
		wait = after_ns + random % (after_ns / 4 + 1);
	return wait;
}

static int month_of(const char *name)
{
	static const char *const names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	for (int i = 0; i < 12; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

/* By hand: strptime() goes by the locale. */
static bool parse_date(const char *value, time_t *time)
{
	struct tm tm = { 0 };
	char month[4], zone[4] = "GMT";
	int year;

	if (sscanf(value, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3s", &tm.tm_mday, month,
	           &year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone) != 7 &&
	    sscanf(value, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d", month, &tm.tm_mday,
	           &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &year) != 6) {
		if (sscanf(value, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d %3s", &tm.tm_mday,
		           month, &year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone) != 7)
			return false;
		year += year < 70 ? 2000 : 1900;
	}
	tm.tm_mon = month_of(month);
	tm.tm_year = year - 1900;
	if (tm.tm_mon < 0 || year < 1970 || strcmp(zone, "GMT") != 0)
		return false;
	*time = timegm(&tm);
	return *time >= 0;
}

bool retry_after_ns(const char *value, time_t now, uint64_t *wait_ns)
{
	uint64_t seconds = 0;
	time_t date;

	value += strspn(value, " \t");
	if (*value >= '0' && *value <= '9') {
		char *end;

		seconds = strtoull(value, &end, 10);
		if (end[strspn(end, " \t\r\n")])
			return false;
	} else if (parse_date(value, &date)) {
		seconds = date > now ? (uint64_t)(date - now) : 0;
	} else {
		return false;
	}
	if (seconds > RETRY_AFTER_MAX_NS / NSEC_PER_SEC)
		seconds = RETRY_AFTER_MAX_NS / NSEC_PER_SEC;
	*wait_ns = seconds * NSEC_PER_SEC;
	return true;
}

enum retry_verdict retry_verdict(long status, bool retry_500)
{
	if (status >= 200 && status < 300)
		return RETRY_DONE;
	switch (status) {
	case 0:   /* no response */
	case 408: /* Request Timeout */
	case 425: /* Too Early */
	case 429: /* Too Many Requests */
	case 502:
	case 503:
	case 504:
		return RETRY_AGAIN;
	case 401: /* a token that has run out, a path that is not there, a redirect: for a person */
	case 403:
	case 404:
	case 407:
		return RETRY_FIX;
	case 500:
		return retry_500 ? RETRY_AGAIN : RETRY_NEVER;
	default:
		return status >= 300 && status < 400 ? RETRY_FIX : RETRY_NEVER;
	}
}
