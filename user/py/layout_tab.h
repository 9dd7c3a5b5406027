/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout_tab.h - the tables behind layout.c; private to it and to the tests.
 */
#ifndef PV_PY_LAYOUT_TAB_H
#define PV_PY_LAYOUT_TAB_H

#include "py/layout.h"

/*
 * One minor version up to 3.12, or its first releases; by rising version. x86-64 and aarch64 alike:
 * the structs have no arch-dependent part.
 */
struct layout_row {
	uint8_t micro_last; /* for releases up to this one; 0xff: all that are left */
	struct pv_layout layout;
	struct py_runtime_offsets offsets;
};

extern const struct layout_row layout_rows[];
extern const size_t layout_row_cnt;

/* The fields of _Py_DebugOffsets that pitviper uses. Each is a u64 somewhere in the struct. */
enum debug_field {
	DBG_RUNTIME_SIZE,
	DBG_INTERPRETERS_HEAD,
	DBG_INTERP_ID,
	DBG_INTERP_THREADS_HEAD,
	DBG_INTERP_CODE_GENERATION,
	DBG_TSTATE_SIZE,
	DBG_TSTATE_INTERP,
	DBG_TSTATE_CURRENT_FRAME,
	DBG_TSTATE_BASE_FRAME,
	DBG_TSTATE_THREAD_ID,
	DBG_FRAME_SIZE,
	DBG_FRAME_PREVIOUS,
	DBG_FRAME_EXECUTABLE,
	DBG_FRAME_INSTR_PTR,
	DBG_FRAME_OWNER,
	DBG_FRAME_TLBC_INDEX,
	DBG_CODE_SIZE,
	DBG_CODE_FILENAME,
	DBG_CODE_QUALNAME,
	DBG_CODE_LINETABLE,
	DBG_CODE_FIRSTLINENO,
	DBG_CODE_ADAPTIVE,
	DBG_CODE_TLBC,
	DBG_OBJECT_SIZE,
	DBG_OBJECT_TYPE,
	DBG_BYTES_SIZE_OF,
	DBG_BYTES_OB_SIZE,
	DBG_BYTES_OB_SVAL,
	DBG_STR_SIZE_OF,
	DBG_STR_STATE,
	DBG_STR_LENGTH,
	DBG_STR_ASCII_SIZE,
	DBG_FIELD_CNT,
};

/* What the bits of PyASCIIObject.state mean; the struct does not say. */
struct layout_str_bits {
	uint8_t kind_shift;
	uint8_t compact_bit;
	uint8_t ascii_bit;
};

/* One shape of _Py_DebugOffsets and what a version has beside it. [0]: with GIL, [1]: without. */
struct debug_row {
	uint16_t version;           /* major << 8 | minor */
	uint16_t size;              /* of the struct */
	uint16_t at[DBG_FIELD_CNT]; /* where each field lies; 0: this version has it not */
	uint16_t autotsskey;        /* in _PyRuntime, in every build; 0: there is none */
	uint16_t firsttraceable[2]; /* bytes of _co_firsttraceable before co_code_adaptive */
	struct layout_str_bits bits[2];
	uint8_t owner_entry; /* FRAME_OWNED_BY_CSTACK, FRAME_OWNED_BY_INTERPRETER */
};

extern const struct debug_row debug_rows[]; /* by rising version */
extern const size_t debug_row_cnt;

extern const char *const debug_field_names[DBG_FIELD_CNT];

#endif
