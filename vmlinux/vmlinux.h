/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * vmlinux.h - the kernel structures the BPF programs read, and of these only the fields they read.
 *
 * Every access is relocated by CO-RE, so order, padding and everything left out do not matter. A
 * lint test checks each field against the running kernel's BTF.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <stdbool.h>
#include <linux/types.h>

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

#if defined(__TARGET_ARCH_x86)
#include "x86.h"
#elif defined(__TARGET_ARCH_arm64)
#include "arm64.h"
#else
#error "no vmlinux header for this architecture"
#endif

typedef struct {
	int counter;
} atomic_t;

struct super_block {
	unsigned int s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	long long i_size;
	unsigned int i_generation;
};

struct file {
	struct inode *f_inode;
};

struct mm_struct {
	unsigned long start_code;
	unsigned long arg_start;
	unsigned long arg_end;
	struct file *exe_file;
	unsigned long start_stack;
};

struct signal_struct {
	int nr_threads;
	atomic_t live;
};

/* lib/radix-tree.c, lib/xarray.c: a tree of nodes, each over the next bits of a number. */
struct xa_node {
	unsigned char shift; /* bits of the number below this node */
	void *slots[64];     /* or 16 */
};

struct xarray {
	void *xa_head;
};

struct idr {
	struct xarray idr_rt;
};

struct pid_namespace {
	struct idr idr; /* number -> struct pid */
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[2]; /* and more: by enum pid_type */
	struct upid numbers[1];     /* level + 1 of them */
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct pid *thread_pid;
	struct hlist_node pid_links[2]; /* and more */
	__u64 start_boottime;           /* ns, CLOCK_BOOTTIME; real_start_time before 5.5 */
	__u64 self_exec_id;             /* u32 before 5.6 (kernel commit d1e7fd6462ca) */
	char comm[16];
	struct thread_struct thread;
};

/* Whole, because the prototypes of the kernel's functions are compared with ours. */
struct bpf_map {
	__u32 id;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif
