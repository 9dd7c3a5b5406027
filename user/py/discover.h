/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover.h - what one ELF file has to do with Python. Depends on the file alone, so the result can
 * be shared by all processes that map it. Private to the room.
 */
#ifndef PV_PY_DISCOVER_H
#define PV_PY_DISCOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "elf/elf.h"
#include "py/layout.h"
#include "py/tls.h"

/* A CPython runtime in a file. Addresses are those of the file. */
struct py_binary {
	char version[24];
	char reason[192];   /* why it is not supported; "" */
	const char *source; /* as in struct py_runtime */
	bool program;       /* the runtime is part of the program, not of a library */
	bool debug;         /* Py_DEBUG */
	uint32_t version_hex;
	uint64_t _PyRuntime;             /* 0: 2.7 and 3.6 have none */
	uint64_t _PyThreadState_Current; /* 2.7, 3.6 */
	uint64_t autoTLSkey;             /* 3.6; 0: not found */
	uint64_t interp_head;            /* 2.7; 0: not found */
	uint64_t PyCode_Type;
	struct py_tls_recipe tls_tstate;
	struct py_tls_recipe tls_gilstate;
	struct pv_layout layout;
	struct py_runtime_offsets offsets;
};

/* The C library's own description of itself. */
struct py_libc {
	struct pv_tsd tsd;     /* kind PV_TSD_NONE: no C library in this file */
	uint8_t dtv_stride;    /* 0: no C library */
	uint16_t l_tls_offset; /* glibc: offset of link_map.l_tls_offset; 0: not known */
	uint16_t l_tls_modid;
};

struct py_file {
	struct py_binary *python; /* NULL: no runtime here */
	struct py_libc libc;
	bool needs_python; /* linked against a libpython */
	bool needs_libc;   /* linked against a C library */
	/*
	 * A program that is not position-independent and names PyCode_Type has it: a copy relocation
	 * moves the object there, and libpython uses it there, too. 0: none.
	 */
	uint64_t PyCode_Type_copy;
	uint64_t _r_debug;        /* the dynamic linker's; 0 */
	uint64_t debug_slot;      /* of a program: where DT_DEBUG's value is; 0 */
	uint64_t dynamic;         /* the dynamic section; 0: none, or no section headers */
	uint64_t dynamic_head[2]; /* its first entry, which the dynamic linker leaves as it is */
	struct elf_segment code;  /* the first executable PT_LOAD: what fixes the load bias */
};

/* 0 (also for a file that is no ELF at all), -ENOMEM. Free with py_file_free(). */
int py_file_inspect(int fd, struct py_file *file);
void py_file_free(struct py_file *file);

#endif
