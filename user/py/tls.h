/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - where does a CPython binary keep a thread-local variable that only its own code names?
 *
 * The variable (_Py_tss_tstate, _Py_tss_gilstate) is a local symbol. A binary with .symtab tells;
 * of a stripped one the exported function that returns the variable is decoded, strictly: any
 * instruction that is not expected refuses. Addresses are those of the file. Private to the room.
 */
#ifndef PV_PY_TLS_H
#define PV_PY_TLS_H

#include <stdint.h>

#include "bpf/abi_proc.h"
#include "elf/elf.h"

enum py_tls_form {
	PY_TLS_NONE = 0,
	PY_TLS_STATIC,      /* off: from the thread pointer */
	PY_TLS_STATIC_SLOT, /* the i64 at slot: from the thread pointer (initial-exec) */
	PY_TLS_MODULE,      /* the u64 at slot: module id; off: inside the module's block */
	PY_TLS_DESCRIPTOR,  /* slot: a TLS descriptor of two words */
};

struct py_tls_recipe {
	enum py_tls_form form;
	uint64_t slot;
	int64_t off;
};

/* 0, or -ENOENT: no way was found. @variable: a symbol of .symtab; @accessor: of .dynsym. */
int py_tls_recipe(struct elf *elf, const char *variable, const char *const *accessors,
                  struct py_tls_recipe *recipe);

/*
 * Decode @len bytes of x86-64 code at @vaddr. 0 or -ENOENT. What a slot is for is not checked here.
 * *@with_offset: the offset is the u64 behind the slot (general dynamic).
 */
int py_tls_decode_x86_64(const uint8_t *code, size_t len, uint64_t vaddr,
                         struct py_tls_recipe *recipe, bool *with_offset);

/* The same of aarch64 code. PY_TLS_STATIC holds for a variable of the program itself only. */
int py_tls_decode_aarch64(const uint8_t *code, size_t len, uint64_t vaddr,
                          struct py_tls_recipe *recipe);

#endif
