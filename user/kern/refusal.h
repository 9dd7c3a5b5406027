/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.h - in which ways a host can say no, each with its cause and what mends it.
 *
 * A refused system call tells an errno, and the same one for very different causes: these look at the
 * causes themselves. For the message of a recording that can't begin and for doctor. Any thread.
 */
#ifndef PV_KERN_REFUSAL_H
#define PV_KERN_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

struct refusal {
	bool is_kernel; /* no privilege and no setting would help */
	char what[256];
	char remedy[512];
};

/* Each: does the host say no in this way? Only then *refusal is filled in. */
typedef bool refusal_fn(struct refusal *refusal);

refusal_fn refusal_btf;      /* the kernel's types can't be read */
refusal_fn refusal_user_ns;  /* capabilities that count in a user namespace only */
refusal_fn refusal_caps;     /* of CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE one is missing */
refusal_fn refusal_bpf_call; /* no bpf(2), or a seccomp filter hides it */
refusal_fn refusal_lockdown;
refusal_fn refusal_jit;
refusal_fn refusal_memlock;   /* of kernels that count BPF maps against the limit */
refusal_fn refusal_perf_call; /* no perf_event_open(2), a seccomp filter, perf_event_paranoid */
refusal_fn refusal_hidepid;   /* /proc hides the processes of others */

/*
 * Why did the kernel answer @err, a positive errno, when it was asked to @step ("load the BPF programs"), or
 * for the timers? @what (of @what_len bytes) gets a sentence with the cause and the remedy. -EPERM: a
 * privilege or a setting; -ENOTSUP: the kernel; -EINVAL: @types, the file that its types were taken
 * from, NULL: from itself.
 */
int refusal_explain_bpf(int err, const char *step, const char *types, char *what, size_t what_len);
/* The file @types is of another kernel than the one that runs. */
void refusal_explain_types(const char *types, char *what, size_t what_len);
int refusal_explain_ticks(int err, char *what, size_t what_len);
/* Why may we not read process @pid? The same for -EACCES and -EPERM from /proc and its memory. */
void refusal_explain_reading(int pid, char *what, size_t what_len);
/* The command that runs pitviper with the capabilities it lacks. */
void refusal_mend_by_privilege(char *remedy, size_t remedy_len);

#endif
