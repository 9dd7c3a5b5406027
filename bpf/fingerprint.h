/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * fingerprint.h - 24 bits that tell a code object from another that later lies at its address.
 * One definition for both sides.
 */
#ifndef PV_FINGERPRINT_H
#define PV_FINGERPRINT_H

#include "abi_proc.h"

/* @words: the PV_FP_BYTES from pv_layout.code.fp_off on; @str_hash: see pv_layout.code.fp_str. */
static inline __attribute__((always_inline)) __u32 pv_fingerprint(const __u64 *words,
                                                                  __u64 str_hash)
{
	__u64 hash = str_hash;

	for (int i = 0; i < PV_FP_BYTES / 8; i++)
		hash = (hash ^ words[i]) * 0x9fb21c651e98df25ull;
	hash ^= hash >> 32;
	return (__u32)(hash ^ hash >> 24) & 0xffffff;
}

#endif
