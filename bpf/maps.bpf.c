// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "bpf/maps.bpf.h"

struct procs_map procs SEC(".maps");
struct seconds_map seconds SEC(".maps");
struct layouts_map layouts SEC(".maps");
struct exes_map exes SEC(".maps");
struct counters_map counters SEC(".maps");
struct events_map events SEC(".maps");

const volatile bool pv_all = false;
const volatile bool pv_timed = false;
const volatile bool pv_task_type = false;
const volatile bool pv_task_regs = false;
const volatile __u32 pv_wake_bytes = 0;
__u64 pv_reader_ns = 0;
__u32 pv_reader_level = 0;

/* The kernel lends some helpers to GPL programs only: of the two licences it gets this one. */
char LICENSE[] SEC("license") = "GPL v2";
