/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf_helpers.h - stands in for libbpf's: what the walkers use of it, as functions of this process.
 * tests/walker/host.c defines them.
 */
#ifndef PV_SHIM_BPF_HELPERS_H
#define PV_SHIM_BPF_HELPERS_H

#include <linux/types.h>

#undef __always_inline /* glibc has one without `inline` in it */
#define __always_inline inline __attribute__((always_inline))
#define __hidden        __attribute__((visibility("hidden")))
#define SEC(name)       __attribute__((section(name), used))

/* 0, or a negative errno and @dst is zeros: the kernel's helper does not leave old bytes there. */
long bpf_probe_read_user(void *dst, __u32 size, const void *unsafe_ptr);
/* Call @callback with 0, 1, ... until it returns 1, at most @nr_loops times. */
long bpf_loop(__u32 nr_loops, void *callback, void *ctx, __u64 flags);

#endif
