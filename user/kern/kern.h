/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern.h - the BPF side as an object: load, attach, fill maps, read the ring, read the counters.
 *
 *	kern__open (loads, attaches fork/exec/exit) -> kern__start_ticks -> kern__drain ...
 *	-> kern__stop_ticks -> kern__drain -> kern__close_deferred -> kern__drain -> kern__counters
 *	-> kern__free
 *
 * The only room that knows libbpf and the skeleton. All calls from one thread.
 */
#ifndef PV_KERN_KERN_H
#define PV_KERN_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi_event.h"
#include "bpf/abi_proc.h"
#include "bpf/counters.h"

struct kern_opts {
	bool all;         /* sample every Python process, not only those marked PV_PROC_WANTED */
	bool timed;       /* take the time of the programs */
	uint32_t rate_hz; /* ticks a second on each CPU */
	uint32_t rate_max_hz; /* what it may be set to later; 0: rate_hz */
	/* A file with the types of this kernel (BTF), used if it offers none itself; NULL: there is none. */
	const char *types;
};

struct kern;

/* Is /proc that of our own pid namespace? Else its numbers and ours are not the same. */
bool kern_proc_is_ours(void);

/*
 * NULL and errno; @what (of @what_len bytes) says what could not be done and the remedy. EPERM: a
 * capability or sysctl; ENOTSUP: the kernel lacks BTF, BPF or perf events; EINVAL: the file opts->types;
 * else internal.
 */
struct kern *kern__open(const struct kern_opts *opts, char *what, size_t what_len);
void kern__free(struct kern *kern);

/* One cpu-clock event for each online CPU. 0, or negative errno and @what. */
int kern__start_ticks(struct kern *kern, char *what, size_t what_len);
/* Follow CPUs that came or went since; cheap when none did. 0 or negative errno. */
int kern__follow_cpus(struct kern *kern);
/* From the next tick on @rate_hz, up to rate_max_hz; waits for that: see ticks__set_period(). */
void kern__set_rate(struct kern *kern, uint32_t rate_hz);
/* After this no tick runs and the counters are final. */
void kern__stop_ticks(struct kern *kern);
/*
 * Leave the ticks that are still PENDING at that: after this nothing enters the ring but the ends of
 * processes, and the counters of ticks are final. Call after kern__stop_ticks().
 */
void kern__close_deferred(struct kern *kern);
uint32_t kern__cpu_cnt(const struct kern *kern);
/* Ticks there should have been so far: see ticks__due_cnt(). */
uint64_t kern__due_cnt(const struct kern *kern);

/* A file descriptor that becomes readable when the ring wants to be drained early. */
int kern__wake_fd(const struct kern *kern);
/* Call @fn for every record in the ring, oldest first, until it is empty or @fn returns negative,
 * which is returned. Otherwise the number of records.
 */
int kern__drain(struct kern *kern,
                int (*fn)(void *ctx, const struct pv_event_hdr *event, size_t size), void *ctx);

int kern__set_layout(struct kern *kern, uint32_t index, const struct pv_layout *layout);
int kern__set_proc(struct kern *kern, const struct pv_proc *proc);
/* The second runtime of a process whose entry says has_second; to be set before that. */
int kern__set_second(struct kern *kern, const struct pv_proc *proc);
/* Recognise the program from now on at its exec. */
int kern__set_exe(struct kern *kern, const struct pv_exe_id *id, const struct pv_exe *exe);
/* -ENOENT: no entry. */
int kern__get_proc(struct kern *kern, uint32_t tgid, struct pv_proc *proc);
/* Delete the entry of @id's process if it is still @id's. 0 or -ENOENT. */
int kern__del_proc(struct kern *kern, const struct pv_proc_id *id);
/* Call @fn with every process that runs now in our pid namespace or below it. 0, negative errno, or what @fn
 * returned if that was not 0.
 */
int kern__each_process(struct kern *kern, int (*fn)(void *ctx, const struct pv_listed *listed),
                       void *ctx);
/* Sums over all CPUs; @cnt[PV_CNT_...]. @spent_ns (may be NULL): CPU time of the programs, if timed. */
int kern__counters(struct kern *kern, uint64_t cnt[PV_COUNTER_CNT], uint64_t *spent_ns);

#endif
