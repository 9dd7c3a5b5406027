// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a process, its layout and the interrupted registers: make fuzz_walker (clang).
 *
 * The bytes begin with a layout to start from and changes to it, the process record, registers.
 * All of them are the memory, which repeats through the whole address space with holes in it: so
 * every address that the walkers make up leads back into the input.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "py/layout_tab.h"
#include "tests/walker/host.h"

#define CHANGE_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	const uint8_t *bytes;
	size_t size;
};

static int memory_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	const struct memory *memory = ctx;
	uint8_t *to = out;

	/* Every sixteenth page is not there. */
	if (!memory->size || addr >> 47 || (addr >> 12 & 15) == 15 ||
	    ((addr + len) >> 12 & 15) == 15)
		return -EFAULT;
	for (size_t part, off = addr % memory->size; len; off = 0) {
		part = memory->size - off < len ? memory->size - off : len;
		memcpy(to, memory->bytes + off, part);
		to += part;
		len -= part;
	}
	return 0;
}

/* Move up to @len bytes of the input to @out, zeros behind them. */
static void take(const uint8_t **data, size_t *size, void *out, size_t len)
{
	size_t part = *size < len ? *size : len;

	memset(out, 0, len);
	memcpy(out, *data, part);
	*data += part;
	*size -= part;
}

static void layout_take(const uint8_t **data, size_t *size, struct pv_layout *layout)
{
	uint16_t change[2 * CHANGE_MAX];
	uint8_t row[2];

	take(data, size, row, sizeof(row));
	*layout = layout_rows[row[0] % layout_row_cnt].layout;
	if (row[0] & 0x80) {
		/* 3.13 on: as 3.12, and the leaf is in the thread state. */
		layout->chain = PV_CHAIN_TSTATE;
		layout->tstate.frame = 72;
		layout->tstate.base_frame = row[0] & 0x40 ? 80 : PV_NO_FIELD;
		layout->interp_code_generation = row[0] & 0x20 ? 4000 : PV_NO_FIELD;
		layout->frame.tlbc_index = row[0] & 0x10 ? 72 : PV_NO_FIELD;
		layout->code.co_tlbc = 176;
	}
	take(data, size, change, sizeof(change));
	for (unsigned int i = 0; i < row[1] % (CHANGE_MAX + 1u); i++)
		memcpy((uint8_t *)layout + change[2 * i] % (sizeof(*layout) - 1),
		       &change[2 * i + 1], sizeof(uint16_t));
}

static void check_walk(const struct pv_walk *walk)
{
	const struct pv_sample *sample = &walk->sample;

	if (walk->outcome >= PV_TICK_OUTCOME_CNT || walk->walked_cnt > PV_WALK_MAX + 1 ||
	    walk->new_cnt > PV_NEW_CODE_MAX || sample->frame_cnt > PV_MAX_FRAMES ||
	    sample->root_first >= PV_ROOT_FRAMES ||
	    sample->frame_cnt + sample->skipped_cnt != walk->walked_cnt)
		__builtin_trap();
	if (walk->outcome == PV_CNT_COMPLETE && (!walk->walked_cnt || walk->unreadable))
		__builtin_trap();
	for (uint32_t i = 0; i < sample->frame_cnt; i++)
		if (PV_FRAME_KIND(&walk->frames[i]) > PV_FRAME_UNREADABLE)
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pv_walk *walk;
	struct memory memory = { data, size };
	struct pv_layout layout;
	struct pv_proc proc;
	uint64_t tp;

	if (!walk)
		walk = calloc(1, sizeof(*walk));
	if (!walk)
		return 0;
	layout_take(&data, &size, &layout);
	take(&data, &size, &proc, sizeof(proc));
	take(&data, &size, &tp, sizeof(tp));
	take(&data, &size, walk->regs, sizeof(walk->regs));
	host = (struct host){ .read = memory_read, .ctx = &memory, .sent = tp & 1 };
	/* Most types would be wrong ones and end the walk. */
	walk->PyCode_Type = tp & 2 ? 0 : proc.PyCode_Type;
	walk->proc_tag = proc.id.start_ns;
	walk->tstate =
		pystate_find(&proc, &layout, &(struct pv_thread){ .tp = tp }, &walk->faults.at[0]);
	host_walk(walk, &layout);
	check_walk(walk);
	walk->tstate = tp;
	host_walk(walk, &layout);
	check_walk(walk);
	return 0;
}
