/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug_offsets.h - _Py_DebugOffsets as real builds have them.
 */
#ifndef PV_UNIT_DEBUG_OFFSETS_H
#define PV_UNIT_DEBUG_OFFSETS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "py/layout_tab.h"

#define DEBUG_OFFSETS_MAX 1024

/* The values that release builds of 3.13.0, 3.14.10 and 3.15.2 have: with GIL, without. */
struct real_offsets {
	uint32_t hex;
	uint64_t value[DBG_FIELD_CNT][2];
};

#define REAL_COMMON                                                                \
	[DBG_TSTATE_INTERP] = { 16, 16 }, [DBG_TSTATE_CURRENT_FRAME] = { 72, 72 }, \
	[DBG_FRAME_PREVIOUS] = { 8, 8 }, [DBG_FRAME_EXECUTABLE] = { 0, 0 },        \
	[DBG_FRAME_INSTR_PTR] = { 56, 56 }, [DBG_CODE_FILENAME] = { 112, 128 },    \
	[DBG_CODE_QUALNAME] = { 128, 144 }, [DBG_CODE_LINETABLE] = { 136, 152 },   \
	[DBG_CODE_FIRSTLINENO] = { 68, 84 }, [DBG_OBJECT_SIZE] = { 16, 32 },       \
	[DBG_OBJECT_TYPE] = { 8, 24 }, [DBG_BYTES_SIZE_OF] = { 40, 56 },           \
	[DBG_BYTES_OB_SIZE] = { 16, 32 }, [DBG_BYTES_OB_SVAL] = { 32, 48 },        \
	[DBG_STR_SIZE_OF] = { 64, 80 }, [DBG_STR_STATE] = { 32, 48 },              \
	[DBG_STR_LENGTH] = { 16, 32 }, [DBG_STR_ASCII_SIZE] = { 40, 56 }

static const struct real_offsets reals[] = {
	{ 0x030d00f0,
	  { REAL_COMMON, [DBG_RUNTIME_SIZE] = { 283408, 328384 },
	    [DBG_INTERPRETERS_HEAD] = { 632, 632 }, [DBG_INTERP_ID] = { 7272, 7272 },
	    [DBG_INTERP_THREADS_HEAD] = { 7344, 7344 }, [DBG_TSTATE_SIZE] = { 312, 312 },
	    [DBG_TSTATE_THREAD_ID] = { 152, 152 }, [DBG_FRAME_SIZE] = { 80, 80 },
	    [DBG_FRAME_OWNER] = { 70, 70 }, [DBG_CODE_SIZE] = { 208, 224 },
	    [DBG_CODE_ADAPTIVE] = { 200, 216 } } },
	{ 0x030e0af0,
	  { REAL_COMMON, [DBG_RUNTIME_SIZE] = { 316616, 365624 },
	    [DBG_INTERPRETERS_HEAD] = { 808, 808 }, [DBG_INTERP_ID] = { 7280, 7280 },
	    [DBG_INTERP_THREADS_HEAD] = { 7344, 7344 }, [DBG_TSTATE_SIZE] = { 832, 832 },
	    [DBG_TSTATE_THREAD_ID] = { 152, 152 }, [DBG_FRAME_SIZE] = { 88, 88 },
	    [DBG_FRAME_OWNER] = { 74, 78 }, [DBG_FRAME_TLBC_INDEX] = { 0, 72 },
	    [DBG_CODE_SIZE] = { 216, 240 }, [DBG_CODE_ADAPTIVE] = { 208, 232 },
	    [DBG_CODE_TLBC] = { 0, 224 } } },
	{ 0x030f02f0,
	  { REAL_COMMON, [DBG_RUNTIME_SIZE] = { 346568, 409296 },
	    [DBG_INTERPRETERS_HEAD] = { 936, 936 }, [DBG_INTERP_ID] = { 7272, 7272 },
	    [DBG_INTERP_THREADS_HEAD] = { 7336, 7336 }, [DBG_TSTATE_SIZE] = { 888, 888 },
	    [DBG_TSTATE_BASE_FRAME] = { 80, 80 }, [DBG_TSTATE_THREAD_ID] = { 176, 176 },
	    [DBG_FRAME_SIZE] = { 88, 88 }, [DBG_FRAME_OWNER] = { 74, 78 },
	    [DBG_FRAME_TLBC_INDEX] = { 0, 72 }, [DBG_CODE_SIZE] = { 216, 240 },
	    [DBG_CODE_ADAPTIVE] = { 208, 232 }, [DBG_CODE_TLBC] = { 0, 224 } } },
};

/* _Py_DebugOffsets as such a build has it; `size` bytes of @out. */
static size_t build(unsigned char out[DEBUG_OFFSETS_MAX], size_t which, int free_threaded)
{
	const struct debug_row *row = &debug_rows[which];

	memset(out, 0, DEBUG_OFFSETS_MAX);
	memcpy(out, "xdebugpy", 8);
	memcpy(out + 8, &(uint64_t){ reals[which].hex }, 8);
	memcpy(out + 16, &(uint64_t){ (uint64_t)free_threaded }, 8);
	for (int i = 0; i < DBG_FIELD_CNT; i++)
		if (row->at[i])
			memcpy(out + row->at[i], &reals[which].value[i][free_threaded], 8);
	return row->size;
}

#endif
