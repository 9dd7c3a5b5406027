/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - small facts about a process from /proc.
 */
#ifndef PV_PROC_PROCESS_H
#define PV_PROC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

#define PROCESS_CMDLINE_MAX 4096 /* bytes of a command line that are kept; more is cut with … */

/* Append the arguments joined by spaces; "[name]" of the task if there are none. 0 or -errno. */
int process_cmdline(pid_t pid, struct buf *out);
/* The same from @len bytes of arguments, each with a zero byte behind it; @cut: there were more. */
int process_cmdline_join(const char *args, size_t len, bool cut, struct buf *out);
/* The thread's kernel name. 0 or -errno. */
int process_comm(pid_t pid, pid_t tid, struct buf *out);
bool process_exists(pid_t pid);
/*
 * Is thread @tid of process @pid, which began at @start_ns of CLOCK_BOOTTIME, still there and not
 * ending? One that ends has given its memory back, and another thread may have it. /proc tells the
 * start to the clock tick: a tid is not used again that fast.
 */
bool process_has_thread(pid_t pid, pid_t tid, uint64_t start_ns);
/* The parent's pid; 0: none, or the process is gone. */
pid_t process_parent(pid_t pid);
/* Call @fn for every process in /proc by rising pid until it returns non-zero, which is returned. */
int process_each(int (*fn)(void *ctx, pid_t pid), void *ctx);

#endif
