// SPDX-License-Identifier: Apache-2.0
#include "py/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "py/layout_tab.h"

int py_layout_from_table(uint32_t version_hex, struct pv_layout *layout,
                         struct py_runtime_offsets *offsets)
{
	uint16_t version = (uint16_t)(version_hex >> 16);

	for (size_t i = 0; i < layout_row_cnt; i++) {
		if (layout_rows[i].layout.version != version ||
		    layout_rows[i].micro_last < (version_hex >> 8 & 0xff))
			continue;
		*layout = layout_rows[i].layout;
		layout->interp_threads_head = PV_NO_FIELD;
		*offsets = layout_rows[i].offsets;
		return 0;
	}
	return -ENOENT;
}

/*
 * From 3.7 to 3.11 two pthread_mutex_t of the GIL lie in front (Include/internal/pycore_gil.h), which have
 * 48 bytes instead of 40 (glibc sysdeps/aarch64/nptl/bits/pthreadtypes-arch.h); all others are behind.
 */
#define AARCH64_MUTEXES (2 * (48 - 40))

void py_offsets_to_aarch64(struct py_runtime_offsets *offsets)
{
	if (!offsets->tstate_current)
		return;
	offsets->tstate_current += AARCH64_MUTEXES;
	offsets->autotsskey += AARCH64_MUTEXES;
	offsets->runtime_size_min += AARCH64_MUTEXES;
	offsets->runtime_size_max += AARCH64_MUTEXES;
}

static uint64_t debug_u64(const void *data, size_t at)
{
	uint64_t value;

	memcpy(&value, (const char *)data + at, sizeof(value));
	return value;
}

/* A version that is not known yet is tried with the shape of the newest one that is. */
static const struct debug_row *debug_row_for(uint16_t version)
{
	for (size_t i = debug_row_cnt; i-- > 0;)
		if (debug_rows[i].version <= version)
			return &debug_rows[i];
	return NULL;
}

/* The fields of one target, decoded, with the row that says where they were. */
struct debug_view {
	const struct debug_row *row;
	bool free_threaded;
	uint64_t value[DBG_FIELD_CNT];
	char *reason;
	size_t reason_len;
};

static int debug_refuse(struct debug_view *view, enum debug_field field)
{
	snprintf(view->reason, view->reason_len, "debug offsets: %s is %llu, which cannot be",
	         debug_field_names[field], (unsigned long long)view->value[field]);
	return -EPROTO;
}

/* Must @field be at most this and a multiple of that? One line a field. */
struct debug_check {
	uint8_t field;
	uint8_t align;
	uint8_t zero_ok;
	uint8_t struct_size; /* the field that says how long the struct is; DBG_FIELD_CNT: none */
	uint8_t size;        /* of the field */
};

static const struct debug_check debug_checks[] = {
	{ DBG_TSTATE_INTERP, 8, 0, DBG_TSTATE_SIZE, 8 },
	{ DBG_TSTATE_CURRENT_FRAME, 8, 0, DBG_TSTATE_SIZE, 8 },
	{ DBG_TSTATE_BASE_FRAME, 8, 0, DBG_TSTATE_SIZE, 8 },
	{ DBG_TSTATE_THREAD_ID, 8, 0, DBG_TSTATE_SIZE, 8 },
	{ DBG_FRAME_PREVIOUS, 8, 1, DBG_FRAME_SIZE, 8 },
	{ DBG_FRAME_EXECUTABLE, 8, 1, DBG_FRAME_SIZE, 8 },
	{ DBG_FRAME_INSTR_PTR, 8, 1, DBG_FRAME_SIZE, 8 },
	{ DBG_FRAME_OWNER, 1, 0, DBG_FRAME_SIZE, 1 },
	{ DBG_CODE_FILENAME, 8, 0, DBG_CODE_SIZE, 8 },
	{ DBG_CODE_QUALNAME, 8, 0, DBG_CODE_SIZE, 8 },
	{ DBG_CODE_LINETABLE, 8, 0, DBG_CODE_SIZE, 8 },
	{ DBG_CODE_FIRSTLINENO, 4, 0, DBG_CODE_SIZE, 4 },
	{ DBG_CODE_ADAPTIVE, 8, 0, DBG_CODE_SIZE, 1 },
	{ DBG_OBJECT_TYPE, 8, 0, DBG_OBJECT_SIZE, 8 },
	{ DBG_BYTES_OB_SIZE, 8, 0, DBG_BYTES_SIZE_OF, 8 },
	{ DBG_BYTES_OB_SVAL, 8, 0, DBG_BYTES_SIZE_OF, 1 },
	{ DBG_STR_STATE, 4, 0, DBG_STR_SIZE_OF, 4 },
	{ DBG_STR_LENGTH, 8, 0, DBG_STR_SIZE_OF, 8 },
	{ DBG_STR_ASCII_SIZE, 8, 0, DBG_STR_SIZE_OF, 0 },
	{ DBG_INTERPRETERS_HEAD, 8, 0, DBG_RUNTIME_SIZE, 8 },
	{ DBG_INTERP_ID, 8, 0, DBG_FIELD_CNT, 8 },
	{ DBG_INTERP_THREADS_HEAD, 8, 0, DBG_FIELD_CNT, 8 },
	{ DBG_INTERP_CODE_GENERATION, 8, 1, DBG_FIELD_CNT, 8 },
};

/* Sizes of structs, by the fields of their own, and how much may be read of each. */
static const struct {
	uint8_t field;
	uint32_t max;
} debug_sizes[] = {
	{ DBG_RUNTIME_SIZE, 1u << 24 },
	{ DBG_TSTATE_SIZE, PV_NO_FIELD },
	{ DBG_FRAME_SIZE, PV_FRAME_READ_MAX },
	{ DBG_CODE_SIZE, PV_CODE_READ_MAX },
	{ DBG_OBJECT_SIZE, 64 },
	{ DBG_BYTES_SIZE_OF, 128 },
	{ DBG_STR_SIZE_OF, 128 },
};

static int debug_check_one(struct debug_view *view, const struct debug_check *check)
{
	uint64_t value = view->value[check->field];
	uint64_t size = PV_NO_FIELD;

	if (!view->row->at[check->field])
		return 0;
	if (check->struct_size != DBG_FIELD_CNT && view->value[check->struct_size] < size)
		size = view->value[check->struct_size];
	/* No overflow: every size was bounded before. */
	if (value % check->align || (!value && !check->zero_ok) || value > size ||
	    check->size > size - value)
		return debug_refuse(view, check->field);
	return 0;
}

static int debug_check_all(struct debug_view *view)
{
	int err;

	for (size_t i = 0; i < sizeof(debug_sizes) / sizeof(debug_sizes[0]); i++) {
		uint64_t size = view->value[debug_sizes[i].field];

		if (!size || size > debug_sizes[i].max)
			return debug_refuse(view, debug_sizes[i].field);
	}
	for (size_t i = 0; i < sizeof(debug_checks) / sizeof(debug_checks[0]); i++) {
		err = debug_check_one(view, &debug_checks[i]);
		if (err)
			return err;
	}
	/* _PyInterpreterFrame: three different fields; PyObject: a header as this kind of build has. */
	if (view->value[DBG_FRAME_PREVIOUS] == view->value[DBG_FRAME_EXECUTABLE] ||
	    view->value[DBG_FRAME_PREVIOUS] == view->value[DBG_FRAME_INSTR_PTR] ||
	    view->value[DBG_FRAME_EXECUTABLE] == view->value[DBG_FRAME_INSTR_PTR])
		return debug_refuse(view, DBG_FRAME_PREVIOUS);
	if (view->value[DBG_OBJECT_TYPE] != (view->free_threaded ? 24 : 8))
		return debug_refuse(view, DBG_OBJECT_TYPE);
	if (view->value[DBG_STR_LENGTH] != view->value[DBG_OBJECT_SIZE])
		return debug_refuse(view, DBG_STR_LENGTH);
	/* PyASCIIObject: length, hash, state, then the data. */
	if (view->value[DBG_STR_STATE] != view->value[DBG_STR_LENGTH] + 16 ||
	    view->value[DBG_STR_ASCII_SIZE] != view->value[DBG_STR_STATE] + 8)
		return debug_refuse(view, DBG_STR_STATE);
	return 0;
}

static void debug_fill_code(const struct debug_view *view, struct pv_layout *layout)
{
	const uint64_t *value = view->value;
	struct pv_layout_code *code = &layout->code;
	bool tlbc = view->free_threaded && value[DBG_CODE_TLBC];
	size_t end;

	*code = (struct pv_layout_code){
		.fp_str = PV_NO_FIELD,
		.ob_type = (uint16_t)value[DBG_OBJECT_TYPE],
		.co_firstlineno = (uint16_t)value[DBG_CODE_FIRSTLINENO],
		.co_filename = (uint16_t)value[DBG_CODE_FILENAME],
		.co_name = (uint16_t)value[DBG_CODE_QUALNAME],
		.co_linetable = (uint16_t)value[DBG_CODE_LINETABLE],
		.co_code_adaptive = (uint16_t)value[DBG_CODE_ADAPTIVE],
		.co_tlbc = tlbc ? (uint16_t)value[DBG_CODE_TLBC] : PV_NO_FIELD,
	};
	/* Not described: the last int before co_extra, co_tlbc and the bytecode. */
	code->co_firsttraceable =
		(uint16_t)(code->co_code_adaptive - view->row->firsttraceable[view->free_threaded]);
	/* co_linetable is the last field that never changes; co_weakreflist follows. */
	code->fp_off = (uint16_t)(code->co_linetable + 8 - PV_FP_BYTES);
	end = code->co_firsttraceable + 4u;
	if (tlbc && code->co_tlbc + 8u > end)
		end = code->co_tlbc + 8u;
	code->read_len = (uint16_t)((end + 7) & ~7u);
}

/* What the fields of a code object must be to one another. */
static int debug_check_code(struct debug_view *view)
{
	const uint64_t *value = view->value;
	uint64_t linetable = value[DBG_CODE_LINETABLE];
	uint16_t before = view->row->firsttraceable[view->free_threaded];

	if (value[DBG_CODE_ADAPTIVE] < linetable + 8 + before)
		return debug_refuse(view, DBG_CODE_ADAPTIVE);
	if (linetable + 8 < PV_FP_BYTES)
		return debug_refuse(view, DBG_CODE_LINETABLE);
	/* The fingerprint must cover what identifies the object. */
	if (value[DBG_CODE_FIRSTLINENO] < linetable + 8 - PV_FP_BYTES ||
	    value[DBG_CODE_FIRSTLINENO] > linetable)
		return debug_refuse(view, DBG_CODE_FIRSTLINENO);
	if (value[DBG_CODE_FILENAME] < linetable + 8 - PV_FP_BYTES ||
	    value[DBG_CODE_FILENAME] >= linetable)
		return debug_refuse(view, DBG_CODE_FILENAME);
	if (value[DBG_CODE_QUALNAME] < linetable + 8 - PV_FP_BYTES ||
	    value[DBG_CODE_QUALNAME] >= linetable)
		return debug_refuse(view, DBG_CODE_QUALNAME);
	if (view->free_threaded && view->row->at[DBG_CODE_TLBC] &&
	    (value[DBG_CODE_TLBC] % 8 || value[DBG_CODE_TLBC] <= linetable ||
	     value[DBG_CODE_TLBC] >= value[DBG_CODE_ADAPTIVE]))
		return debug_refuse(view, DBG_CODE_TLBC);
	if (view->free_threaded && view->row->at[DBG_FRAME_TLBC_INDEX] &&
	    (value[DBG_FRAME_TLBC_INDEX] % 4 || !value[DBG_FRAME_TLBC_INDEX] ||
	     value[DBG_FRAME_TLBC_INDEX] > value[DBG_FRAME_SIZE] - 4))
		return debug_refuse(view, DBG_FRAME_TLBC_INDEX);
	return 0;
}

static void debug_fill(const struct debug_view *view, uint16_t version, struct pv_layout *layout)
{
	const uint64_t *value = view->value;
	const struct debug_row *row = view->row;
	const struct layout_str_bits *bits = &row->bits[view->free_threaded];
	bool tlbc = view->free_threaded && row->at[DBG_FRAME_TLBC_INDEX];

	*layout = (struct pv_layout){
		.version = version,
		.chain = PV_CHAIN_TSTATE,
		.flags = view->free_threaded ? PV_LAYOUT_FREE_THREADED : 0,
		.tstate = { .interp = (uint16_t)value[DBG_TSTATE_INTERP],
		            .thread_id = (uint16_t)value[DBG_TSTATE_THREAD_ID],
		            .frame = (uint16_t)value[DBG_TSTATE_CURRENT_FRAME],
		            .cframe = PV_NO_FIELD,
		            .root_cframe = PV_NO_FIELD,
		            .base_frame = row->at[DBG_TSTATE_BASE_FRAME]
		                                  ? (uint16_t)value[DBG_TSTATE_BASE_FRAME]
		                                  : PV_NO_FIELD,
		            .datastack_top = PV_NO_FIELD },
		.cframe = { .current_frame = PV_NO_FIELD, .previous = PV_NO_FIELD },
		.frame = { .read_len = (uint16_t)value[DBG_FRAME_SIZE],
		           .previous = (uint16_t)value[DBG_FRAME_PREVIOUS],
		           .code = (uint16_t)value[DBG_FRAME_EXECUTABLE],
		           .instr = (uint16_t)value[DBG_FRAME_INSTR_PTR],
		           .owner = (uint16_t)value[DBG_FRAME_OWNER],
		           .is_entry = PV_NO_FIELD,
		           .tlbc_index = tlbc ? (uint16_t)value[DBG_FRAME_TLBC_INDEX] : PV_NO_FIELD,
		           .owner_generator = 1,
		           .owner_entry = row->owner_entry },
		.str = { .length = (uint16_t)value[DBG_STR_LENGTH],
		         .hash = (uint16_t)(value[DBG_STR_LENGTH] + 8),
		         .state = (uint16_t)value[DBG_STR_STATE],
		         .ascii_data = (uint16_t)value[DBG_STR_ASCII_SIZE],
		         /* PyCompactUnicodeObject adds utf8_length and utf8. */
		         .compact_data = (uint16_t)(value[DBG_STR_ASCII_SIZE] + 16),
		         .bytes_size = (uint16_t)value[DBG_BYTES_OB_SIZE],
		         .bytes_data = (uint16_t)value[DBG_BYTES_OB_SVAL],
		         .kind_shift = bits->kind_shift,
		         .compact_bit = bits->compact_bit,
		         .ascii_bit = bits->ascii_bit },
		.interp_id = (uint16_t)value[DBG_INTERP_ID],
		.interp_threads_head = (uint16_t)value[DBG_INTERP_THREADS_HEAD],
		.interp_code_generation = value[DBG_INTERP_CODE_GENERATION]
		                                  ? (uint16_t)value[DBG_INTERP_CODE_GENERATION]
		                                  : PV_NO_FIELD,
	};
	debug_fill_code(view, layout);
}

int py_layout_from_debug_offsets(const void *data, size_t len, struct pv_layout *layout,
                                 struct py_runtime_offsets *offsets, char *reason,
                                 size_t reason_len)
{
	struct debug_view view = { .reason = reason, .reason_len = reason_len };
	uint64_t version, free_threaded;
	int err;

	if (len < 24 || memcmp(data, "xdebugpy", 8))
		return -ENOENT;
	version = debug_u64(data, 8);
	free_threaded = debug_u64(data, 16);
	view.row = version <= UINT32_MAX ? debug_row_for((uint16_t)(version >> 16)) : NULL;
	if (!view.row || free_threaded > 1) {
		snprintf(reason, reason_len, "debug offsets of no known version (%#llx)",
		         (unsigned long long)version);
		return -EPROTO;
	}
	if (len < view.row->size) {
		snprintf(reason, reason_len, "debug offsets: %zu bytes where %u were expected", len,
		         view.row->size);
		return -EPROTO;
	}
	view.free_threaded = free_threaded;
	for (int i = 0; i < DBG_FIELD_CNT; i++)
		if (view.row->at[i])
			view.value[i] = debug_u64(data, view.row->at[i]);
	err = debug_check_all(&view);
	if (!err)
		err = debug_check_code(&view);
	if (err)
		return err;
	debug_fill(&view, (uint16_t)(version >> 16), layout);
	*offsets = (struct py_runtime_offsets){
		.interpreters_head = (uint16_t)view.value[DBG_INTERPRETERS_HEAD],
		.autotsskey = view.row->version == version >> 16 ? view.row->autotsskey : 0,
	};
	return 0;
}
