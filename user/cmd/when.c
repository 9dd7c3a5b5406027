// SPDX-License-Identifier: Apache-2.0
#include "cmd/when.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "util/clock.h"

#define TEXT_MAX     64
#define DAY_SEC      86400
#define YEAR_MIN     1970
#define YEAR_MAX     2200 /* ns since 1970 end in 2262 */
#define DURATION_MAX (100ull * 365 * DAY_SEC)

/* Digits at *at, at least @min and at most @max of them. */
static bool take_number(const char **at, int min, int max, int *value)
{
	int cnt = 0;

	*value = 0;
	for (; cnt < max && isdigit((unsigned char)**at); cnt++)
		*value = *value * 10 + (*(*at)++ - '0');
	return cnt >= min && !isdigit((unsigned char)**at);
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool take_word(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncasecmp(*at, word, len) != 0 || isalnum((unsigned char)(*at)[len]))
		return false;
	*at += len;
	return true;
}

/* Behind a point: a part of one, in ns. */
static bool take_fraction(const char **at, uint64_t *ns)
{
	uint64_t unit = NSEC_PER_SEC;
	const char *start;

	*ns = 0;
	if (!take_char(at, '.'))
		return true;
	for (start = *at; isdigit((unsigned char)**at); (*at)++) {
		unit /= 10;
		*ns += (uint64_t)(**at - '0') * unit;
	}
	return *at > start;
}

static uint64_t unit_of(const char **at)
{
	static const struct {
		const char *name;
		uint64_t sec;
	} units[] = {
		{ "s", 1 },          { "sec", 1 },     { "m", 60 },          { "min", 60 },
		{ "h", 3600 },       { "d", DAY_SEC }, { "w", 7 * DAY_SEC }, { "day", DAY_SEC },
		{ "days", DAY_SEC }, { "hour", 3600 }, { "hours", 3600 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if (strncasecmp(*at, units[i].name, len) != 0 || isalpha((unsigned char)(*at)[len]))
			continue;
		*at += len;
		return units[i].sec;
	}
	return 0;
}

bool when_duration(const char *text, uint64_t *ns)
{
	const char *at = text;
	bool bare = true;

	*ns = 0;
	do {
		uint64_t fraction_ns, sec;
		int whole;

		if (!take_number(&at, 1, 9, &whole) || !take_fraction(&at, &fraction_ns))
			return false;
		while (*at == ' ')
			at++;
		sec = unit_of(&at);
		if (!sec && (*at || !bare))
			return false;
		bare = false;
		sec = sec ? sec : 1;
		if ((uint64_t)whole > DURATION_MAX / sec)
			return false;
		*ns += (uint64_t)whole * sec * NSEC_PER_SEC + fraction_ns * sec;
		while (*at == ' ')
			at++;
	} while (*at);
	return *ns > 0 && *ns <= DURATION_MAX * NSEC_PER_SEC;
}

/* What was said of a time; the date is that of @tm. */
struct said {
	struct tm tm;
	uint64_t ns; /* of the second */
	bool has_date;
	bool has_clock;
	bool has_zone;
	int zone_sec; /* east of Greenwich */
};

static bool take_clock(const char **at, struct said *said)
{
	if (!take_number(at, 1, 2, &said->tm.tm_hour) || !take_char(at, ':') ||
	    !take_number(at, 2, 2, &said->tm.tm_min))
		return false;
	if (take_char(at, ':') &&
	    (!take_number(at, 2, 2, &said->tm.tm_sec) || !take_fraction(at, &said->ns)))
		return false;
	said->has_clock = true;
	if (said->tm.tm_hour == 24)
		return !said->tm.tm_min && !said->tm.tm_sec && !said->ns;
	return said->tm.tm_hour < 24 && said->tm.tm_min < 60 && said->tm.tm_sec < 60;
}

static bool take_zone(const char **at, struct said *said)
{
	int hour, min = 0, sign;

	if (**at == 'Z' || **at == 'z' || !strncasecmp(*at, "UTC", 3)) {
		*at += toupper((unsigned char)**at) == 'Z' ? 1 : 3;
		said->has_zone = true;
		return true;
	}
	if (**at != '+' && **at != '-')
		return true;
	sign = *(*at)++ == '-' ? -1 : 1;
	/* +01:00, +0100, +01 */
	for (hour = 0, min = 0; isdigit((unsigned char)**at) && hour < 1000;)
		hour = hour * 10 + (*(*at)++ - '0');
	if (hour >= 100) {
		min = hour % 100;
		hour /= 100;
	} else if (take_char(at, ':') && !take_number(at, 2, 2, &min)) {
		return false;
	}
	said->has_zone = true;
	said->zone_sec = sign * (hour * 3600 + min * 60);
	return isdigit((unsigned char)(*at)[-1]) && hour <= 14 && min < 60;
}

static bool days_fit(const struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return tm->tm_mday >= 1 && tm->tm_mday <= days[tm->tm_mon] + (leap && tm->tm_mon == 1);
}

/* "2026-11-26", "today", "yesterday", and what parts it from the time of day. */
static bool take_date(const char **at, struct said *said)
{
	const char *start = *at;
	int year;

	if (take_word(at, "today")) {
		said->has_date = true;
	} else if (take_word(at, "yesterday")) {
		said->has_date = true;
		said->tm.tm_mday--;
	} else if (take_number(at, 4, 4, &year) && take_char(at, '-')) {
		if (!take_number(at, 1, 2, &said->tm.tm_mon) || !take_char(at, '-') ||
		    !take_number(at, 1, 2, &said->tm.tm_mday))
			return false;
		said->tm.tm_year = year - 1900;
		said->tm.tm_mon--;
		said->has_date = true;
		if (year < YEAR_MIN || year > YEAR_MAX || said->tm.tm_mon < 0 ||
		    said->tm.tm_mon > 11 || !days_fit(&said->tm))
			return false;
	} else {
		*at = start;
		return true;
	}
	if (!take_char(at, 'T'))
		while (take_char(at, ' '))
			;
	return true;
}

static uint64_t resolve(const struct said *said)
{
	struct tm tm = said->tm;
	time_t sec;

	if (said->has_zone) {
		sec = timegm(&tm) - said->zone_sec;
	} else {
		struct tm summer = tm;

		tm.tm_isdst = -1;
		sec = mktime(&tm);
		/* Of an hour that comes twice the one in summer time is the first. */
		summer.tm_isdst = 1;
		time_t first = mktime(&summer);

		if (first != -1 && first < sec && summer.tm_isdst == 1 &&
		    summer.tm_hour == tm.tm_hour && summer.tm_min == tm.tm_min)
			sec = first;
	}
	return sec < 0 ? 0 : (uint64_t)sec * NSEC_PER_SEC + said->ns;
}

/* A bare time of day: of the day that makes it the last before now, or the first behind @from_ns. */
static uint64_t resolve_clock(struct said *said, uint64_t now_ns, uint64_t from_ns)
{
	uint64_t at_ns;

	said->tm.tm_mday -= 2;
	for (int day = 0; day < 4; day++, said->tm.tm_mday++) {
		struct said next = *said;

		at_ns = resolve(said);
		next.tm.tm_mday++;
		if (from_ns ? at_ns > from_ns : resolve(&next) > now_ns)
			break;
	}
	return at_ns;
}

static bool time_of(const char *text, uint64_t now_ns, uint64_t from_ns, uint64_t *ns)
{
	uint64_t base_ns = from_ns ? from_ns : now_ns;
	time_t base = (time_t)(base_ns / NSEC_PER_SEC);
	struct said said = { 0 };
	const char *at = text;

	if (!localtime_r(&base, &said.tm))
		return false;
	said.tm.tm_hour = said.tm.tm_min = said.tm.tm_sec = 0;
	if (!take_date(&at, &said))
		return false;
	if (said.has_date && !from_ns)
		;
	else if (said.has_date &&
	         (!strncasecmp(text, "today", 5) || !strncasecmp(text, "yesterday", 9)))
		return time_of(text, now_ns, 0, ns);
	if (*at && !take_clock(&at, &said))
		return false;
	while (*at == ' ')
		at++;
	if (said.has_clock && !take_zone(&at, &said))
		return false;
	if (*at || (!said.has_date && !said.has_clock))
		return false;
	*ns = said.has_date ? resolve(&said) : resolve_clock(&said, now_ns, from_ns);
	return true;
}

bool when_time(const char *text, uint64_t now_ns, uint64_t from_ns, uint64_t *ns)
{
	uint64_t ago_ns;
	char *end;

	while (*text == ' ')
		text++;
	if (strlen(text) > TEXT_MAX)
		return false;
	if (!strcasecmp(text, "now")) {
		*ns = now_ns;
		return true;
	}
	if (*text == '@') {
		unsigned long long sec = strtoull(text + 1, &end, 10);

		*ns = sec * NSEC_PER_SEC;
		return isdigit((unsigned char)text[1]) && !*end && sec <= INT64_MAX / NSEC_PER_SEC;
	}
	/* A number alone is neither a time nor a time ago. */
	if (text[strspn(text, "0123456789.")] && when_duration(text, &ago_ns)) {
		*ns = now_ns > ago_ns ? now_ns - ago_ns : 0;
		return true;
	}
	return time_of(text, now_ns, from_ns, ns);
}

/* The two halves of @text that end before and begin behind @len bytes at @at. */
static bool halves(const char *text, const char *at, size_t len, uint64_t now_ns, uint64_t *from_ns,
                   uint64_t *to_ns)
{
	char first[TEXT_MAX + 1];
	const char *second = at + len;
	size_t first_len = (size_t)(at - text);

	while (first_len && text[first_len - 1] == ' ')
		first_len--;
	if (!first_len || first_len > TEXT_MAX)
		return false;
	memcpy(first, text, first_len);
	first[first_len] = '\0';
	return when_time(first, now_ns, 0, from_ns) && when_time(second, now_ns, *from_ns, to_ns) &&
	       *to_ns > *from_ns;
}

bool when_range(const char *text, uint64_t now_ns, uint64_t *from_ns, uint64_t *to_ns)
{
	const char *dots = strstr(text, "..");

	if (dots)
		return halves(text, dots, 2, now_ns, from_ns, to_ns);
	/* A hyphen may be of a date, too: the one that leaves two times counts. */
	for (const char *at = strchr(text, '-'); at; at = strchr(at + 1, '-'))
		if (halves(text, at, 1, now_ns, from_ns, to_ns))
			return true;
	return false;
}
