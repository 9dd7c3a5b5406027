/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticks.h - the timer: one software cpu-clock event on each online CPU, its program attached.
 *
 * sample_period, not a frequency: the kernel's frequency mode drifts. One thread.
 */
#ifndef PV_KERN_TICKS_H
#define PV_KERN_TICKS_H

#include <stdint.h>

struct bpf_program;
struct ticks;

/* NULL and errno. */
struct ticks *ticks__new(struct bpf_program *prog, uint64_t period_ns);
void ticks__free(struct ticks *ticks);
/* Have a running event on every CPU that is online now, and on no other. 0 or negative errno. */
int ticks__follow(struct ticks *ticks);
/*
 * From the next tick on this period: waits for it, one old period at most. The first tick at the new one
 * comes a whole period after that.
 */
void ticks__set_period(struct ticks *ticks, uint64_t period_ns);
/* Stop all; when this returns no program is running any more. */
void ticks__stop(struct ticks *ticks);
/*
 * Timer periods that have passed on all CPUs so far. More than the program's runs where the kernel
 * merged late expirations into one or throttled the event.
 */
uint64_t ticks__due_cnt(const struct ticks *ticks);
/* CPUs that have an event. */
uint32_t ticks__cpu_cnt(const struct ticks *ticks);

#endif
