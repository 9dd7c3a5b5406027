// SPDX-License-Identifier: Apache-2.0
#include "image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "py/layout.h"

#define NO PV_NO_FIELD

/* With GIL; v3.13.0, v3.14.0: Include/internal/pycore_{frame,interpframe,tstate,code}.h. */
static const struct pv_layout layout_313 = {
	.version = 0x030d,
	.chain = PV_CHAIN_TSTATE,
	.tstate = { .interp = 16,
	            .thread_id = 152,
	            .frame = 72,
	            .cframe = NO,
	            .root_cframe = NO,
	            .base_frame = NO,
	            .datastack_top = NO },
	.cframe = { .current_frame = NO, .previous = NO },
	.frame = { .read_len = 80,
	           .previous = 8,
	           .code = 0,
	           .instr = 56,
	           .owner = 70,
	           .is_entry = NO,
	           .tlbc_index = NO,
	           .owner_generator = 1,
	           .owner_entry = 3 },
	.code = { .read_len = 192,
	          .fp_off = 56,
	          .fp_str = NO,
	          .ob_type = 8,
	          .co_firstlineno = 68,
	          .co_filename = 112,
	          .co_name = 128,
	          .co_linetable = 136,
	          .co_code_adaptive = 200,
	          .co_firsttraceable = 184,
	          .co_tlbc = NO },
	.str = { .length = 16,
	         .hash = 24,
	         .state = 32,
	         .ascii_data = 40,
	         .compact_data = 56,
	         .bytes_size = 16,
	         .bytes_data = 32,
	         .kind_shift = 2,
	         .compact_bit = 5,
	         .ascii_bit = 6 },
	.interp_id = 7272,
	.interp_threads_head = 7344,
	.interp_code_generation = NO,
};

/* v3.13.0, v3.14.0 with Py_GIL_DISABLED: a longer object head, and thread-local bytecode from 3.14 on. */
static void layout_free_thread(struct pv_layout *layout)
{
	struct pv_layout_code *code = &layout->code;

	layout->flags = PV_LAYOUT_FREE_THREADED;
	code->fp_off += 16;
	code->ob_type += 16;
	code->co_firstlineno += 16;
	code->co_filename += 16;
	code->co_name += 16;
	code->co_linetable += 16;
	code->co_firsttraceable += 16;
	code->co_code_adaptive += 16;
	code->read_len += 16;
	if (layout->version == 0x030d)
		return;
	code->co_code_adaptive += 8;
	code->co_tlbc = code->co_code_adaptive - 8;
	code->read_len = code->co_code_adaptive;
	layout->frame.tlbc_index = 72;
	layout->frame.owner = 78;
}

static void layout_with_gil(unsigned int minor, struct pv_layout *layout)
{
	struct py_runtime_offsets offsets;
	uint32_t hex = minor == IMAGE_27 ? 0x020712f0 : 0x03000000 | minor << 16 | 0x0ff0;

	if (minor <= 12 || minor == IMAGE_27) {
		assert_int_equal(py_layout_from_table(hex, layout, &offsets), 0);
		return;
	}
	*layout = layout_313;
	layout->version = 0x0300 | minor;
	if (minor == 13)
		return;
	layout->frame.read_len = 88;
	layout->frame.owner = 74;
	layout->code.read_len = 200;
	layout->code.co_code_adaptive = 208;
	layout->code.co_firsttraceable = 192;
	layout->interp_code_generation = 7992;
	if (minor == 14)
		return;
	layout->tstate.base_frame = 80;
	layout->tstate.thread_id = 176;
	layout->interp_code_generation = 7944;
}

void image_layout(unsigned int minor, struct pv_layout *layout)
{
	layout_with_gil(minor & ~(unsigned int)IMAGE_T, layout);
	if (minor & IMAGE_T)
		layout_free_thread(layout);
}

static struct segment *segment_find(struct image *image, uint64_t addr)
{
	for (size_t i = 0; i < image->segment_cnt; i++)
		if (addr - image->segments[i].start < image->segments[i].len)
			return &image->segments[i];
	return NULL;
}

/* All or nothing, and a range may lie across segments that touch. */
static int image_read(void *ctx, uint64_t addr, void *out, size_t len)
{
	uint8_t *to = out;

	while (len) {
		struct segment *segment = segment_find(ctx, addr);
		uint64_t off, part;

		if (!segment)
			return -EFAULT;
		off = addr - segment->start;
		part = segment->len - off < len ? segment->len - off : len;
		memcpy(to, segment->bytes + off, part);
		to += part;
		addr += part;
		len -= part;
	}
	return 0;
}

void image_map(struct image *image, uint64_t start, uint64_t len)
{
	struct segment *segment = &image->segments[image->segment_cnt++];

	assert_true(image->segment_cnt <= SEGMENT_MAX);
	segment->start = start;
	segment->len = len;
	segment->bytes = calloc(1, len);
	assert_non_null(segment->bytes);
}

void image_unmap(struct image *image, uint64_t start, uint64_t len)
{
	struct segment *segment = segment_find(image, start);
	uint64_t off, behind;

	assert_non_null(segment);
	off = start - segment->start;
	assert_true(off + len <= segment->len);
	behind = segment->len - off - len;
	segment->len = off;
	if (behind) {
		image_map(image, start + len, behind);
		memcpy(image->segments[image->segment_cnt - 1].bytes, segment->bytes + off + len,
		       behind);
	}
}

void image_put(struct image *image, uint64_t addr, const void *bytes, size_t len)
{
	struct segment *segment = segment_find(image, addr);

	assert_non_null(segment);
	assert_true(addr - segment->start + len <= segment->len);
	memcpy(segment->bytes + (addr - segment->start), bytes, len);
}

void image_put64(struct image *image, uint64_t addr, uint64_t value)
{
	image_put(image, addr, &value, sizeof(value));
}

void image_put32(struct image *image, uint64_t addr, uint32_t value)
{
	image_put(image, addr, &value, sizeof(value));
}

void image_put8(struct image *image, uint64_t addr, uint8_t value)
{
	image_put(image, addr, &value, sizeof(value));
}

struct image *image_new(unsigned int minor)
{
	struct image *image = calloc(1, sizeof(*image));

	assert_non_null(image);
	image->walk = calloc(1, sizeof(*image->walk));
	assert_non_null(image->walk);
	image_layout(minor, &image->layout);
	image_map(image, IMAGE_TSTATE, IMAGE_PAGE);
	image_map(image, IMAGE_INTERP, IMAGE_INTERP_SZ);
	image_map(image, IMAGE_CODE, IMAGE_CODE_SZ);
	image_map(image, IMAGE_HEAP, IMAGE_PAGE);
	image_map(image, IMAGE_DATA, IMAGE_DATA_SZ);
	image_map(image, IMAGE_C_STACK, IMAGE_C_SZ);
	image_put64(image, IMAGE_TSTATE + image->layout.tstate.interp, IMAGE_INTERP);
	if (image->layout.chain == PV_CHAIN_CFRAME)
		image_leaf(image, image_cframe(image, image_root_cframe(image), 0, 0));
	if (image->layout.tstate.base_frame != NO) {
		image_put64(image, IMAGE_TSTATE + image->layout.tstate.base_frame,
		            image_base_frame(image));
		image_entry(image, image_base_frame(image), 0);
	}
	image->walk->tstate = IMAGE_TSTATE;
	image->walk->PyCode_Type = IMAGE_TYPE;
	image->walk->proc_tag = 1;
	memset(&host, 0, sizeof(host));
	host.read = image_read;
	host.ctx = image;
	return image;
}

void image_free(struct image *image)
{
	for (size_t i = 0; i < image->segment_cnt; i++)
		free(image->segments[i].bytes);
	free(image->walk);
	free(image);
}

uint64_t image_code(struct image *image, unsigned int n)
{
	const struct pv_layout_code *l = &image->layout.code;
	uint64_t addr = IMAGE_CODE + n * IMAGE_CODE_STEP;

	image_put64(image, addr + l->ob_type, IMAGE_TYPE);
	image_put32(image, addr + l->co_firstlineno, 100 * n);
	/* The str whose hash is part of the fingerprint lies behind the code object. */
	if (l->fp_str != NO)
		image_put64(image, addr + l->fp_str, addr + IMAGE_CODE_STEP / 2);
	return addr;
}

uint64_t image_frame(struct image *image, uint64_t addr, struct frame_spec spec)
{
	const struct pv_layout_frame *l = &image->layout.frame;

	image_put64(image, addr + l->previous, spec.previous);
	image_put64(image, addr + l->code, spec.code);
	if (image->layout.chain == PV_CHAIN_FRAMEOBJECT) {
		image_put32(image, addr + l->instr, (uint32_t)spec.lasti);
		return addr;
	}
	image_put64(image, addr + l->instr,
	            spec.code + image->layout.code.co_code_adaptive + (uint64_t)spec.lasti);
	image_put8(image, addr + l->owner, spec.owner);
	if (l->is_entry != NO)
		image_put8(image, addr + l->is_entry, spec.is_entry);
	return addr;
}

uint64_t image_cframe(struct image *image, uint64_t addr, uint64_t current, uint64_t previous)
{
	image_put64(image, addr + image->layout.cframe.current_frame, current);
	image_put64(image, addr + image->layout.cframe.previous, previous);
	return addr;
}

uint64_t image_entry(struct image *image, uint64_t addr, uint64_t previous)
{
	struct frame_spec spec = { .previous = previous, .owner = OWNER_ENTRY };

	spec.code = IMAGE_NOTHING; /* None, or the trampoline: not to be looked at */
	return image_frame(image, addr, spec);
}

void image_leaf(struct image *image, uint64_t addr)
{
	const struct pv_layout_tstate *l = &image->layout.tstate;

	image_put64(image, IMAGE_TSTATE + (l->frame == NO ? l->cframe : l->frame), addr);
}

uint64_t image_root_cframe(const struct image *image)
{
	return IMAGE_TSTATE + image->layout.tstate.root_cframe;
}

uint64_t image_base_frame(const struct image *image)
{
	(void)image;
	return IMAGE_TSTATE + 888;
}

uint64_t image_slot(const struct image *image, unsigned int n)
{
	(void)image;
	return IMAGE_DATA + n * 0x80ull;
}

struct frame_spec image_stack_spec(const struct image *image, const struct stack *stack,
                                   unsigned int n)
{
	struct frame_spec spec = { .code = IMAGE_CODE + n * IMAGE_CODE_STEP,
		                   .previous = n < 5 ? stack->frame[n + 1] : 0,
		                   .lasti = 2 * (int32_t)n };

	if (image->layout.chain == PV_CHAIN_FRAMEOBJECT)
		return spec;
	spec.owner = n == 2 ? OWNER_GENERATOR : 0;
	spec.is_entry = n == 3 || n == 5;
	if (image->layout.frame.owner_entry != 0xff && (n == 3 || n == 5))
		spec.previous = stack->entry[n == 5];
	return spec;
}

void image_stack(struct image *image, struct stack *stack)
{
	bool has_base = image->layout.tstate.base_frame != NO;

	for (unsigned int n = 1; n <= 5; n++) {
		stack->frame[n] = n == 2 ? IMAGE_HEAP + 0x40 : image_slot(image, 5 - n);
		image_code(image, n);
	}
	for (unsigned int i = 0; i < 2; i++) {
		stack->cframe[i] = IMAGE_C_STACK + 0x2000 + 0x1000 * i;
		stack->entry[i] = stack->cframe[i] + 0x40;
	}
	for (unsigned int n = 1; n <= 5; n++)
		image_frame(image, stack->frame[n], image_stack_spec(image, stack, n));
	if (image->layout.chain != PV_CHAIN_CFRAME)
		image_leaf(image, stack->frame[1]);
	if (image->layout.frame.owner_entry != 0xff) {
		image_entry(image, stack->entry[0], stack->frame[4]);
		image_entry(image, stack->entry[1], has_base ? image_base_frame(image) : 0);
	}
	if (image->layout.chain == PV_CHAIN_CFRAME) {
		image_cframe(image, stack->cframe[0], stack->frame[1], stack->cframe[1]);
		image_cframe(image, stack->cframe[1], stack->frame[4], image_root_cframe(image));
		image_leaf(image, stack->cframe[0]);
	}
}

uint32_t image_walk(struct image *image)
{
	host_walk(image->walk, &image->layout);
	return image->walk->outcome;
}

void image_expect(const struct image *image, uint32_t outcome, const unsigned int *codes,
                  size_t cnt)
{
	assert_int_equal(image->walk->outcome, outcome);
	assert_int_equal(image->walk->walked_cnt, cnt);
	assert_int_equal(image->walk->sample.outcome, outcome);
	assert_int_equal(image->walk->sample.frame_cnt, cnt);
	for (size_t i = 0; i < cnt; i++) {
		const struct pv_frame *frame = host_frame(image->walk, (uint32_t)i);

		assert_non_null(frame);
		assert_int_equal(frame->addr, IMAGE_CODE + codes[i] * IMAGE_CODE_STEP);
		assert_int_equal(frame->lasti, 2 * codes[i]);
	}
}
