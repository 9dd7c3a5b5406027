// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the memory of a process: thread names, strings and code objects read out of it. The
 * memory repeats through the address space with holes in it, so that every address leads back into
 * the input; and it changes while it is read, as that of a process does which rewrites its own
 * structures.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/mem.h"
#include "py/code.h"
#include "py/layout_tab.h"
#include "py/threads.h"

#define READS_MAX (3 * 50000 + 1000) /* threads.c: three tries, none without an end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const uint8_t *bytes;
	size_t size;
	uint32_t read_cnt;
	uint8_t changes; /* a read in that many meets other bytes; 0: none */
} memory;

/* In the place of the one that reads a process. */
int mem_read(pid_t pid, uint64_t addr, void *out, size_t len)
{
	uint8_t *to = out;

	(void)pid;
	if (++memory.read_cnt > READS_MAX)
		__builtin_trap();
	/* Every sixteenth page is not there, which also keeps the lengths small that are tried. */
	if (!memory.size || addr >> 47 || len >= 15 << 12 || (addr >> 12 & 15) == 15 ||
	    (addr >> 16) != (addr + len) >> 16 || ((addr + len) >> 12 & 15) == 15)
		return -EFAULT;
	if (memory.changes && !(memory.read_cnt % memory.changes))
		addr += 8;
	for (size_t part, off = addr % memory.size; len; off = 0) {
		part = memory.size - off < len ? memory.size - off : len;
		memcpy(to, memory.bytes + off, part);
		to += part;
		len -= part;
	}
	return 0;
}

static void layout_choose(uint8_t row, struct pv_layout *layout)
{
	*layout = layout_rows[row % layout_row_cnt].layout;
	if (row < 0xc0)
		return;
	/* From 3.13 on, as far as these readers can tell: as 3.12. */
	*layout = layout_rows[layout_row_cnt - 1].layout;
	layout->version = 0x030d + row % 3;
	layout->flags |= row & 4 ? PV_LAYOUT_FREE_THREADED : 0;
}

static void check_text(const struct buf *text)
{
	if (text->len > 4ull * PY_NAME_MAX)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct py_runtime runtime = { 0 };
	struct py_code code = { 0 };
	struct buf name = { 0 };
	uint64_t words[4]; /* of the runtime, the interpreter and two objects */
	uint8_t head[PV_CODE_READ_MAX] = { 0 };
	bool cut;

	if (size < sizeof(words) + 2)
		return 0;
	layout_choose(data[0], &runtime.layout);
	memcpy(words, data + 2, sizeof(words));
	memory.bytes = data;
	memory.size = size;
	memory.changes = data[1];
	memory.read_cnt = 0;
	runtime.runtime_addr = words[0];
	py_thread_name(1, &runtime, words[1], words[2], &name);
	check_text(&name);
	memory.read_cnt = 0;
	py_string_from_process(1, &runtime.layout, words[2], &cut, &name);
	buf_free(&name);
	/* Most often the fingerprint is right, or nothing would be read. */
	memory.changes = data[1] & 1 ? data[1] : 0;
	if (mem_read(1, words[3], head, runtime.layout.code.read_len) == 0 &&
	    !py_code_from_process(1, &runtime.layout, words[3],
	                          py_code_fingerprint(&runtime.layout, head, 0), &code)) {
		check_text(&code.name);
		check_text(&code.file);
		if (code.table.len > PY_TABLE_MAX)
			__builtin_trap();
		py_code_free(&code);
	}
	return 0;
}
