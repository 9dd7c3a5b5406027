/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - memory layouts of CPython: one table for versions up to 3.12, the runtime's own
 * _Py_DebugOffsets from 3.13 on. Pure functions, no I/O. A new version is one row of the tables in
 * layout_tab.c and one row of the tests.
 */
#ifndef PV_PY_LAYOUT_H
#define PV_PY_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi_proc.h"

/* Offsets into _PyRuntime that a version needs beside struct pv_layout; 0: the version has none. */
struct py_runtime_offsets {
	uint16_t tstate_current; /* gilstate.tstate_current, 3.7 to 3.11 */
	uint16_t autotsskey;     /* gilstate.autoTSSkey / autoTSSkey, 3.7 to 3.14 */
	uint16_t interpreters_head;
	/*
	 * What a binary says that has this layout: the symbol size of _PyRuntime (both 0: there is
	 * none) and tp_basicsize of three types; 0 from 3.13 on, where the runtime says it all.
	 */
	uint32_t runtime_size_min;
	uint32_t runtime_size_max;
	uint16_t code_size;
	uint16_t frame_size;
	uint16_t unicode_size;
};

/*
 * The layout of @version_hex (PY_VERSION_HEX; the release level does not matter) from the table.
 * 0, or -ENOENT when the table does not hold it.
 */
int py_layout_from_table(uint32_t version_hex, struct pv_layout *layout,
                         struct py_runtime_offsets *offsets);

/* The table is that of x86-64: make of @offsets what they are on aarch64 with glibc. */
void py_offsets_to_aarch64(struct py_runtime_offsets *offsets);

/*
 * The layout that @data (the first @len bytes of _PyRuntime, 3.13 on) describes. Every value is
 * checked against the bounds of abi_proc.h. 0; -ENOENT: the cookie is not there; -EPROTO: a field is
 * missing or implausible, and @reason (of @reason_len bytes) says which.
 */
int py_layout_from_debug_offsets(const void *data, size_t len, struct pv_layout *layout,
                                 struct py_runtime_offsets *offsets, char *reason,
                                 size_t reason_len);

#endif
