// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as _Py_DebugOffsets: refused with a reason, or a layout within the walker's bounds. The
 * cookie is put there, or the fuzzer would take hours to guess it. Build as fuzz_maps.c.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "py/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct pv_layout *layout)
{
	const struct pv_layout_code *code = &layout->code;
	const struct pv_layout_frame *frame = &layout->frame;

	if (code->read_len > PV_CODE_READ_MAX || frame->read_len > PV_FRAME_READ_MAX ||
	    code->fp_off + PV_FP_BYTES > code->read_len || frame->code + 8 > frame->read_len ||
	    frame->previous + 8 > frame->read_len || frame->instr + 8 > frame->read_len ||
	    frame->owner + 1 > frame->read_len || code->ob_type + 8 > code->read_len ||
	    code->co_firsttraceable + 4 > code->read_len || code->co_name + 8 > code->read_len ||
	    code->co_filename + 8 > code->read_len || code->co_linetable + 8 > code->read_len ||
	    code->co_firstlineno + 4 > code->read_len ||
	    (code->co_tlbc != PV_NO_FIELD && code->co_tlbc + 8 > code->read_len) ||
	    (frame->tlbc_index != PV_NO_FIELD && frame->tlbc_index + 4 > frame->read_len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct py_runtime_offsets offsets;
	struct pv_layout layout;
	char reason[64] = "";
	uint8_t *copy;
	int err;

	if (size < 8)
		return 0;
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	memcpy(copy, "xdebugpy", 8);
	err = py_layout_from_debug_offsets(copy, size, &layout, &offsets, reason, sizeof(reason));
	if (!err)
		check(&layout);
	else if ((err == -EPROTO) != (reason[0] != '\0'))
		abort();
	free(copy);
	return 0;
}
