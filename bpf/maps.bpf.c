// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "bpf/maps.bpf.h"

struct procs_map procs SEC(".maps");
struct layouts_map layouts SEC(".maps");
struct counters_map counters SEC(".maps");
struct events_map events SEC(".maps");

const volatile bool pv_all = false;
const volatile __u32 pv_wake_bytes = 0;

/* "GPL" gates the kernel's GPL-only helpers; the files themselves are dual-licensed. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
