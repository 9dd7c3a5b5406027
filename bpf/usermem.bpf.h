/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * usermem.bpf.h - memory of the running process.
 *
 * On aarch64 the processor does not look at a pointer's top byte, and what puts a tag there (hardware
 * tagged address sanitizers, MTE) hands such pointers to CPython. Kernels take them only where the
 * process has asked for it by prctl(PR_SET_TAGGED_ADDR_CTRL), and from 6.4 on bpf_probe_read_user()
 * doesn't even then (commit d319f344561d, __access_ok()). So the tag is dropped when the kernel refuses.
 * It stays for the first try: under MTE's synchronous mode an address without its tag is refused too.
 *
 * Signed pointers (PAC) need no mask: compilers sign return addresses and, on some systems, pointers to
 * functions; CPython's data pointers are never signed and no other is followed.
 */
#ifndef PV_USERMEM_BPF_H
#define PV_USERMEM_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#define USER_TAG_SHIFT 56

#if defined(__TARGET_ARCH_arm64)
#define USER_TAGS true
#else
#define USER_TAGS false
#endif

static __always_inline const void *user_untagged(const void *from)
{
	return (const void *)((__u64)from & ((1ull << USER_TAG_SHIFT) - 1));
}

/* @tags: may an address have a tag? */
static __always_inline long user_read_tagged(void *to, __u32 len, const void *from, bool tags)
{
	long err = bpf_probe_read_user(to, len, from);

	if (tags && err && (__u64)from >> USER_TAG_SHIFT)
		err = bpf_probe_read_user(to, len, user_untagged(from));
	return err;
}

/* 0, or negative errno: it is not in memory, or no address of the process's. */
static __always_inline long user_read(void *to, __u32 len, const void *from)
{
	return user_read_tagged(to, len, from, USER_TAGS);
}

#endif
