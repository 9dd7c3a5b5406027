// SPDX-License-Identifier: Apache-2.0
#include "py/layout_tab.h"

#define NO PV_NO_FIELD

/* clang-format off */

/*
 * The fingerprint range, from fp_off on, holds the pointers that make a code object what it is
 * (bytecode or its sizes, constants or counts, names, file, line table) and nothing that CPython
 * writes after the object is complete:
 *
 *   2.7          24..112   co_stacksize .. co_lnotab;        behind it co_zombieframe
 *   3.6, 3.7     32..120   co_flags .. co_lnotab;            behind it co_zombieframe
 *   3.8 - 3.10   40..128   co_firstlineno .. co_linetable;   behind it co_zombieframe
 *   3.11         56..144   co_argcount .. co_linetable;      before it co_warmup, behind it
 *                                                            co_weakreflist
 *   3.12 on      56..144   co_posonlyargcount .. co_linetable, co_version among them
 *
 * (Include/code.h, Include/cpython/code.h of v2.7.18, v3.6.15, v3.7.16, v3.8.18, v3.9.18, v3.10.13,
 * v3.11.7, v3.12.1, v3.13.0). co_filename is replaced at most once, by the import that has just read
 * the object from a .pyc file (Python/import.c: update_code_filenames).
 */

#define FRAMEOBJECT(lasti, len)                                                                    \
	.frame = { .read_len = (len), .previous = 24, .code = 32, .instr = (lasti), .owner = NO,   \
		   .is_entry = NO, .tlbc_index = NO, .owner_generator = 0xff, .owner_entry = 0xff }

/* Code objects up to 3.10: co_name to co_lnotab are neighbours. */
#define CODE_OLD(firstlineno, filename, fp)                                                        \
	.code = { .read_len = (fp) + PV_FP_BYTES, .fp_off = (fp), .fp_str = (filename) + 8,        \
		  .ob_type = 8, .co_firstlineno = (firstlineno), .co_filename = (filename),        \
		  .co_name = (filename) + 8, .co_linetable = (fp) + PV_FP_BYTES - 8,               \
		  .co_code_adaptive = NO, .co_firsttraceable = NO, .co_tlbc = NO }

#define STR_BYTES .bytes_size = 16, .bytes_data = 32
/* Include/unicodeobject.h: wstr is still part of PyASCIIObject up to 3.11. */
#define STR_WSTR                                                                                   \
	.str = { .length = 16, .hash = 24, .state = 32, .ascii_data = 48, .compact_data = 72,      \
		 .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6, STR_BYTES }

#define TSTATE_OLD(interp_off, frame_off, thread_id_off)                                           \
	.tstate = { .interp = (interp_off), .thread_id = (thread_id_off), .frame = (frame_off),    \
		    .cframe = NO, .root_cframe = NO, .base_frame = NO, .datastack_top = NO },      \
	.cframe = { .current_frame = NO, .previous = NO }

#define LAYOUT_307                                                                                 \
	.version = 0x0307, .chain = PV_CHAIN_FRAMEOBJECT, TSTATE_OLD(16, 24, 176),                 \
	FRAMEOBJECT(104, 112), CODE_OLD(36, 96, 32), STR_WSTR, .interp_id = 16,                    \
	.interp_code_generation = NO

/* type.__basicsize__ of code, frame and str (2.7: unicode). */
#define TYPES(code, frame, unicode)                                                                \
	.code_size = (code), .frame_size = (frame), .unicode_size = (unicode)

const struct layout_row layout_rows[] = {
	{
		/* A str is a bytes object, and there is no _PyRuntime. */
		.micro_last = 0xff,
		.layout = {
			.version = 0x0207, .chain = PV_CHAIN_FRAMEOBJECT,
			TSTATE_OLD(8, 16, 144), FRAMEOBJECT(120, 128),
			.code = { .read_len = 112, .fp_off = 24, .fp_str = 88, .ob_type = 8,
				  .co_firstlineno = 96, .co_filename = 80, .co_name = 88,
				  .co_linetable = 104, .co_code_adaptive = NO,
				  .co_firsttraceable = NO, .co_tlbc = NO },
			.str = { .length = 16, .hash = 24, .state = NO, .ascii_data = 36,
				 .compact_data = 36, .bytes_size = 16, .bytes_data = 36,
				 .kind_shift = PV_NO_SHIFT, .compact_bit = PV_NO_SHIFT,
				 .ascii_bit = PV_NO_SHIFT },
			.interp_id = NO, .interp_code_generation = NO,
		},
		.offsets = { TYPES(128, 384, 48) },
	},
	{
		.micro_last = 0xff,
		.layout = {
			.version = 0x0306, .chain = PV_CHAIN_FRAMEOBJECT,
			TSTATE_OLD(16, 24, 152), FRAMEOBJECT(120, 128), CODE_OLD(36, 96, 32),
			STR_WSTR, .interp_id = NO, .interp_code_generation = NO,
		},
		.offsets = { TYPES(144, 384, 80) },
	},
	{
		/*
		 * 3.7.4 aligns PyGC_Head, of which _PyRuntime.gc has some, to long double
		 * (bpo-27987, Include/objimpl.h of v3.7.3 and v3.7.4).
		 */
		.micro_last = 3,
		.layout = { LAYOUT_307 },
		.offsets = { .tstate_current = 1392, .autotsskey = 1416, .interpreters_head = 24,
			     .runtime_size_min = 1424, .runtime_size_max = 1447,
			     TYPES(144, 368, 80) },
	},
	{
		.micro_last = 0xff,
		.layout = { LAYOUT_307 },
		.offsets = { .tstate_current = 1480, .autotsskey = 1504, .interpreters_head = 24,
			     .runtime_size_min = 1512, .runtime_size_max = 1536,
			     TYPES(144, 368, 80) },
	},
	{
		.micro_last = 0xff,
		.layout = {
			.version = 0x0308, .chain = PV_CHAIN_FRAMEOBJECT,
			TSTATE_OLD(16, 24, 176), FRAMEOBJECT(104, 112), CODE_OLD(40, 104, 40),
			STR_WSTR, .interp_id = 16, .interp_code_generation = NO,
		},
		.offsets = { .tstate_current = 1368, .autotsskey = 1392, .interpreters_head = 32,
			     .runtime_size_min = 1448, .runtime_size_max = 1480,
			     TYPES(176, 368, 80) },
	},
	{
		.micro_last = 0xff,
		.layout = {
			.version = 0x0309, .chain = PV_CHAIN_FRAMEOBJECT,
			TSTATE_OLD(16, 24, 176), FRAMEOBJECT(104, 112), CODE_OLD(40, 104, 40),
			STR_WSTR, .interp_id = 24, .interp_code_generation = NO,
		},
		.offsets = { .tstate_current = 568, .autotsskey = 584, .interpreters_head = 32,
			     .runtime_size_min = 648, .runtime_size_max = 664,
			     TYPES(176, 368, 80) },
	},
	{
		.micro_last = 0xff,
		.layout = {
			.version = 0x030a, .chain = PV_CHAIN_FRAMEOBJECT,
			/* cframe: 3.10 Include/cpython/pystate.h */
			.tstate = { .interp = 16, .thread_id = 176, .frame = 24, .cframe = 48,
				    .root_cframe = NO, .base_frame = NO, .datastack_top = NO },
			.cframe = { .current_frame = NO, .previous = NO },
			FRAMEOBJECT(96, 104), CODE_OLD(40, 104, 40),
			STR_WSTR, .interp_id = 24, .interp_code_generation = NO,
		},
		.offsets = { .tstate_current = 568, .autotsskey = 584, .interpreters_head = 32,
			     .runtime_size_min = 665, .runtime_size_max = 688,
			     TYPES(176, 360, 80) },
	},
	{
		.micro_last = 0xff,
		.layout = {
			.version = 0x030b, .chain = PV_CHAIN_CFRAME,
			.tstate = { .interp = 16, .thread_id = 152, .frame = NO, .cframe = 56,
				    .root_cframe = 336, .base_frame = NO, .datastack_top = 304 },
			.cframe = { .current_frame = 8, .previous = 16 },
			.frame = { .read_len = 80, .previous = 48, .code = 32, .instr = 56,
				   .owner = 69, .is_entry = 68, .tlbc_index = NO,
				   .owner_generator = 1, .owner_entry = 0xff },
			.code = { .read_len = 176, .fp_off = 56, .fp_str = 128, .ob_type = 8,
				  .co_firstlineno = 72, .co_filename = 112, .co_name = 128,
				  .co_linetable = 136, .co_code_adaptive = 184,
				  .co_firsttraceable = 168, .co_tlbc = NO },
			STR_WSTR, .interp_id = 48, .interp_code_generation = NO,
		},
		.offsets = { .tstate_current = 576, .autotsskey = 592, .interpreters_head = 40,
			     .runtime_size_min = 0x10000, .runtime_size_max = 0x80000,
			     TYPES(184, 120, 80) },
	},
	{
		/* A PyGILState thread state is attached through _Py_tss_tstate from here on. */
		.micro_last = 0xff,
		.layout = {
			.version = 0x030c, .chain = PV_CHAIN_CFRAME,
			.tstate = { .interp = 16, .thread_id = 136, .frame = NO, .cframe = 56,
				    .root_cframe = 272, .base_frame = NO, .datastack_top = 240 },
			.cframe = { .current_frame = 0, .previous = 8 },
			.frame = { .read_len = 80, .previous = 8, .code = 0, .instr = 56,
				   .owner = 70, .is_entry = NO, .tlbc_index = NO,
				   .owner_generator = 1, .owner_entry = 3 },
			.code = { .read_len = 184, .fp_off = 56, .fp_str = NO, .ob_type = 8,
				  .co_firstlineno = 68, .co_filename = 112, .co_name = 128,
				  .co_linetable = 136, .co_code_adaptive = 192,
				  .co_firsttraceable = 176, .co_tlbc = NO },
			.str = { .length = 16, .hash = 24, .state = 32, .ascii_data = 40,
				 .compact_data = 56, .kind_shift = 2, .compact_bit = 5,
				 .ascii_bit = 6, STR_BYTES },
			.interp_id = 8, .interp_code_generation = NO,
		},
		.offsets = { .autotsskey = 1544, .interpreters_head = 40,
			     .runtime_size_min = 0x10000, .runtime_size_max = 0x100000,
			     TYPES(192, 120, 64) },
	},
};

const size_t layout_row_cnt = sizeof(layout_rows) / sizeof(layout_rows[0]);

/*
 * Include/internal/pycore_runtime.h (v3.13.0), pycore_debug_offsets.h (v3.14.0 on). autoTSSkey: the
 * headers of 3.13.0, 3.13.18 and 3.14.10, the same with Py_GIL_DISABLED and with Py_DEBUG.
 */
const struct debug_row debug_rows[] = {
	{
		.version = 0x030d, .size = 584,
		.at = {
			[DBG_RUNTIME_SIZE] = 24, [DBG_INTERPRETERS_HEAD] = 40,
			[DBG_INTERP_ID] = 56, [DBG_INTERP_THREADS_HEAD] = 72,
			[DBG_TSTATE_SIZE] = 152, [DBG_TSTATE_INTERP] = 176,
			[DBG_TSTATE_CURRENT_FRAME] = 184, [DBG_TSTATE_THREAD_ID] = 192,
			[DBG_FRAME_SIZE] = 224, [DBG_FRAME_PREVIOUS] = 232,
			[DBG_FRAME_EXECUTABLE] = 240, [DBG_FRAME_INSTR_PTR] = 248,
			[DBG_FRAME_OWNER] = 264,
			[DBG_CODE_SIZE] = 272, [DBG_CODE_FILENAME] = 280, [DBG_CODE_QUALNAME] = 296,
			[DBG_CODE_LINETABLE] = 304, [DBG_CODE_FIRSTLINENO] = 312,
			[DBG_CODE_ADAPTIVE] = 344,
			[DBG_OBJECT_SIZE] = 352, [DBG_OBJECT_TYPE] = 360,
			[DBG_BYTES_SIZE_OF] = 512, [DBG_BYTES_OB_SIZE] = 520,
			[DBG_BYTES_OB_SVAL] = 528,
			[DBG_STR_SIZE_OF] = 536, [DBG_STR_STATE] = 544, [DBG_STR_LENGTH] = 552,
			[DBG_STR_ASCII_SIZE] = 560,
		},
		.autotsskey = 2160, .firsttraceable = { 16, 16 },
		.bits = { { 2, 5, 6 }, { 2, 5, 6 } }, .owner_entry = 3,
	},
	{
		.version = 0x030e, .size = 760,
		.at = {
			[DBG_RUNTIME_SIZE] = 24, [DBG_INTERPRETERS_HEAD] = 40,
			[DBG_INTERP_ID] = 56, [DBG_INTERP_THREADS_HEAD] = 72,
			[DBG_INTERP_CODE_GENERATION] = 160,
			[DBG_TSTATE_SIZE] = 176, [DBG_TSTATE_INTERP] = 200,
			[DBG_TSTATE_CURRENT_FRAME] = 208, [DBG_TSTATE_THREAD_ID] = 216,
			[DBG_FRAME_SIZE] = 248, [DBG_FRAME_PREVIOUS] = 256,
			[DBG_FRAME_EXECUTABLE] = 264, [DBG_FRAME_INSTR_PTR] = 272,
			[DBG_FRAME_OWNER] = 288, [DBG_FRAME_TLBC_INDEX] = 304,
			[DBG_CODE_SIZE] = 312, [DBG_CODE_FILENAME] = 320, [DBG_CODE_QUALNAME] = 336,
			[DBG_CODE_LINETABLE] = 344, [DBG_CODE_FIRSTLINENO] = 352,
			[DBG_CODE_ADAPTIVE] = 384, [DBG_CODE_TLBC] = 392,
			[DBG_OBJECT_SIZE] = 400, [DBG_OBJECT_TYPE] = 408,
			[DBG_BYTES_SIZE_OF] = 592, [DBG_BYTES_OB_SIZE] = 600,
			[DBG_BYTES_OB_SVAL] = 608,
			[DBG_STR_SIZE_OF] = 616, [DBG_STR_STATE] = 624, [DBG_STR_LENGTH] = 632,
			[DBG_STR_ASCII_SIZE] = 640,
		},
		.autotsskey = 2336, .firsttraceable = { 16, 24 },
		.bits = { { 2, 5, 6 }, { 8, 11, 12 } }, .owner_entry = 3,
	},
	{
		.version = 0x030f, .size = 888,
		.at = {
			[DBG_RUNTIME_SIZE] = 24, [DBG_INTERPRETERS_HEAD] = 40,
			[DBG_INTERP_ID] = 56, [DBG_INTERP_THREADS_HEAD] = 72,
			[DBG_INTERP_CODE_GENERATION] = 160,
			[DBG_TSTATE_SIZE] = 176, [DBG_TSTATE_INTERP] = 200,
			[DBG_TSTATE_CURRENT_FRAME] = 208, [DBG_TSTATE_BASE_FRAME] = 216,
			[DBG_TSTATE_THREAD_ID] = 240,
			[DBG_FRAME_SIZE] = 312, [DBG_FRAME_PREVIOUS] = 320,
			[DBG_FRAME_EXECUTABLE] = 328, [DBG_FRAME_INSTR_PTR] = 336,
			[DBG_FRAME_OWNER] = 352, [DBG_FRAME_TLBC_INDEX] = 368,
			[DBG_CODE_SIZE] = 376, [DBG_CODE_FILENAME] = 384, [DBG_CODE_QUALNAME] = 400,
			[DBG_CODE_LINETABLE] = 408, [DBG_CODE_FIRSTLINENO] = 416,
			[DBG_CODE_ADAPTIVE] = 448, [DBG_CODE_TLBC] = 456,
			[DBG_OBJECT_SIZE] = 464, [DBG_OBJECT_TYPE] = 472,
			[DBG_BYTES_SIZE_OF] = 688, [DBG_BYTES_OB_SIZE] = 696,
			[DBG_BYTES_OB_SVAL] = 704,
			[DBG_STR_SIZE_OF] = 712, [DBG_STR_STATE] = 720, [DBG_STR_LENGTH] = 728,
			[DBG_STR_ASCII_SIZE] = 736,
		},
		.firsttraceable = { 16, 24 },
		.bits = { { 2, 5, 6 }, { 8, 11, 12 } }, .owner_entry = 3,
	},
};

const size_t debug_row_cnt = sizeof(debug_rows) / sizeof(debug_rows[0]);

const char *const debug_field_names[DBG_FIELD_CNT] = {
	[DBG_RUNTIME_SIZE] = "runtime_state.size",
	[DBG_INTERPRETERS_HEAD] = "runtime_state.interpreters_head",
	[DBG_INTERP_ID] = "interpreter_state.id",
	[DBG_INTERP_THREADS_HEAD] = "interpreter_state.threads_head",
	[DBG_INTERP_CODE_GENERATION] = "interpreter_state.code_object_generation",
	[DBG_TSTATE_SIZE] = "thread_state.size",
	[DBG_TSTATE_INTERP] = "thread_state.interp",
	[DBG_TSTATE_CURRENT_FRAME] = "thread_state.current_frame",
	[DBG_TSTATE_BASE_FRAME] = "thread_state.base_frame",
	[DBG_TSTATE_THREAD_ID] = "thread_state.thread_id",
	[DBG_FRAME_SIZE] = "interpreter_frame.size",
	[DBG_FRAME_PREVIOUS] = "interpreter_frame.previous",
	[DBG_FRAME_EXECUTABLE] = "interpreter_frame.executable",
	[DBG_FRAME_INSTR_PTR] = "interpreter_frame.instr_ptr",
	[DBG_FRAME_OWNER] = "interpreter_frame.owner",
	[DBG_FRAME_TLBC_INDEX] = "interpreter_frame.tlbc_index",
	[DBG_CODE_SIZE] = "code_object.size",
	[DBG_CODE_FILENAME] = "code_object.filename",
	[DBG_CODE_QUALNAME] = "code_object.qualname",
	[DBG_CODE_LINETABLE] = "code_object.linetable",
	[DBG_CODE_FIRSTLINENO] = "code_object.firstlineno",
	[DBG_CODE_ADAPTIVE] = "code_object.co_code_adaptive",
	[DBG_CODE_TLBC] = "code_object.co_tlbc",
	[DBG_OBJECT_SIZE] = "pyobject.size",
	[DBG_OBJECT_TYPE] = "pyobject.ob_type",
	[DBG_BYTES_SIZE_OF] = "bytes_object.size",
	[DBG_BYTES_OB_SIZE] = "bytes_object.ob_size",
	[DBG_BYTES_OB_SVAL] = "bytes_object.ob_sval",
	[DBG_STR_SIZE_OF] = "unicode_object.size",
	[DBG_STR_STATE] = "unicode_object.state",
	[DBG_STR_LENGTH] = "unicode_object.length",
	[DBG_STR_ASCII_SIZE] = "unicode_object.asciiobject_size",
};
/* clang-format on */
