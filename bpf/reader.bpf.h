/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * reader.bpf.h - pids as user space knows them, which may sit in a pid namespace of its own and sees
 * the processes of that and of those below, by other numbers than the kernel's.
 */
#ifndef PV_READER_BPF_H
#define PV_READER_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/maps.bpf.h"

/* pid->numbers[@level], which must be there. */
static __always_inline void pid_number(const struct pid *pid, __u32 level, struct upid *number)
{
	const void *first = __builtin_preserve_access_index(&pid->numbers[0]);

	/* struct upid is what it was when namespaces came: include/linux/pid.h */
	if (bpf_probe_read_kernel(number, sizeof(*number), first + level * sizeof(*number)))
		__builtin_memset(number, 0, sizeof(*number));
}

/* What the reader's namespace calls @task, a thread: 0 if it is not of that. */
static __always_inline __u32 reader_number(struct task_struct *task)
{
	struct upid number = {};

	if (TASK_FIELD(task, thread_pid, level) < pv_reader_level)
		return 0;
	pid_number(TASK_FIELD(task, thread_pid), pv_reader_level, &number);
	return (__u64)number.ns == pv_reader_ns ? number.nr : 0;
}

/* The pid of @task's process, whose kernel identity is @id; 0: not one of the reader's namespace. */
static __always_inline __u32 reader_pid_of_process(struct task_struct *task,
                                                   const struct pv_proc_id *id)
{
	if (!pv_reader_level)
		return id->tgid;
	return reader_number(TASK_FIELD(task, group_leader));
}

/* The tid of @task, whose kernel tid is @tid. */
static __always_inline __u32 reader_tid(struct task_struct *task, __u32 tid)
{
	return pv_reader_level ? reader_number(task) : tid;
}

/* Is @task of the reader's pid namespace or of one below it? */
static __always_inline bool reader_sees(struct task_struct *task)
{
	return !pv_reader_level || reader_number(task);
}

/* The running task is the reader: remember where it sits. */
static __always_inline void reader_note(struct task_struct *reader)
{
	__u32 level = TASK_FIELD(reader, thread_pid, level);
	struct upid number = {};

	pid_number(TASK_FIELD(reader, thread_pid), level, &number);
	pv_reader_ns = (__u64)number.ns;
	pv_reader_level = level;
}

#endif
