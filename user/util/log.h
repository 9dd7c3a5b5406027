/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - messages for the person at the terminal; everything goes to stderr.
 *
 * An error says what happened, to what, and what to do. One level for the whole process, set once
 * by main before any thread starts; the calls themselves may come from any thread.
 */
#ifndef PV_UTIL_LOG_H
#define PV_UTIL_LOG_H

#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* Called before a message is printed, so that a status line can get out of its way; NULL: none. */
void log_set_before(void (*before)(void));
void log_vprint(enum log_level level, const char *fmt, va_list args);
void log_print(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

#endif
