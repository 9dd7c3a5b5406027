/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.h - code objects: what the kernel side copied of one, or what can still be read of it.
 *
 * Strings become UTF-8. A lone surrogate becomes U+FFFD except U+DC80..U+DCFF (surrogateescape),
 * which becomes the byte it stands for if the result is valid UTF-8 and U+FFFD if not.
 */
#ifndef PV_PY_CODE_H
#define PV_PY_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi_event.h"
#include "bpf/abi_proc.h"
#include "util/buf.h"

#define PY_NAME_MAX  (1u << 20) /* code points of a name or file that are read from a process */
#define PY_TABLE_MAX (4u << 20) /* bytes of a line table that are read from a process */

/* The parts of a code object. */
#define PY_CODE_NAME  0x1
#define PY_CODE_FILE  0x2
#define PY_CODE_TABLE 0x4

struct py_code {
	struct buf name; /* UTF-8 */
	struct buf file; /* UTF-8 */
	struct buf table;
	int32_t firstlineno;
	int32_t firsttraceable;
	uint32_t lacks; /* PY_CODE_*: parts that are cut or, if empty, were not readable */
};

/* Zero-initialised is empty. */
void py_code_free(struct py_code *code);

/* Append @len raw bytes of @kind (1, 2, 4; 0: bytes of unknown encoding) to @out as UTF-8. */
void py_string_to_utf8(const void *data, size_t len, unsigned int kind, struct buf *out);

/*
 * Decode a record of @size bytes into the empty @code. 0; -EPROTO: lengths that do not fit the
 * record; -ENOMEM.
 */
int py_code_from_event(const struct pv_symbol *symbol, size_t size, struct py_code *code);

/*
 * Append the str object at @addr of process @pid to @out, at most PY_NAME_MAX code points of it;
 * *cut: there are more. 0; -EFAULT: not readable or no str; -ESRCH; -ENOMEM.
 */
int py_string_from_process(pid_t pid, const struct pv_layout *layout, uint64_t addr, bool *cut,
                           struct buf *out);

/*
 * Read the code object at @addr of process @pid whose fingerprint must be @fp before and after.
 * 0; -ESTALE: another code object lies there now; -ESRCH: process gone; -EFAULT; -ENOMEM.
 */
int py_code_from_process(pid_t pid, const struct pv_layout *layout, uint64_t addr, uint32_t fp,
                         struct py_code *code);

/*
 * The fingerprint of abi_event.h over the first @layout->code.read_len bytes of a code object; for
 * layouts with code.fp_str, @str_hash is that str's hash field, else 0. Same result as in bpf/.
 */
uint32_t py_code_fingerprint(const struct pv_layout *layout, const void *head, uint64_t str_hash);

#endif
