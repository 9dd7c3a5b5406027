// SPDX-License-Identifier: Apache-2.0
#include "util/log.h"

#include <stdio.h>

static enum log_level log_level = LOG_INFO;
static void (*log_before)(void);

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_before(void (*before)(void))
{
	log_before = before;
}

void log_vprint(enum log_level level, const char *fmt, va_list args)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };

	if (level > log_level)
		return;
	if (log_before)
		log_before();
	flockfile(stderr);
	fputs("pitviper: ", stderr);
	fputs(prefix[level], stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void log_print(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vprint(level, fmt, args);
	va_end(args);
}
