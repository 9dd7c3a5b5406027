/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockdown.h - give up for good what sampling does not need: capabilities, the way to new ones, and
 * system calls.
 *
 * What is kept: CAP_BPF and CAP_PERFMON (to begin anew, and for CPUs that come), CAP_SYS_PTRACE and
 * CAP_DAC_READ_SEARCH (to look into the processes that start). No program can be started any more, no
 * other process written to, stopped or signalled, nothing mounted, no module loaded.
 */
#ifndef PV_AGENT_LOCKDOWN_H
#define PV_AGENT_LOCKDOWN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * To be called before the process has a second thread: each would keep its capabilities. @strict: a system call that is not on the list ends the process
 * instead of failing with EPERM. 0, or negative errno and @what (of @what_len bytes).
 */
int lockdown(bool strict, char *what, size_t what_len);

#endif
