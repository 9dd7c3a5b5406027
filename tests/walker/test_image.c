// SPDX-License-Identifier: Apache-2.0
/* Walks over made-up memory: every way of linking frames, what is not there, depth and identity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image.h"

#define MINOR_FIRST 0

static const unsigned int minors[] = { IMAGE_27,     6,           7,  8,  9,  10,
	                               11,           12,          13, 14, 15, 13 | IMAGE_T,
	                               14 | IMAGE_T, 15 | IMAGE_T };

/* Run @check on an image of each version from 3.@from on, or of all. */
static void each_minor(unsigned int from, void (*check)(struct image *image))
{
	for (size_t i = 0; i < sizeof(minors) / sizeof(minors[0]); i++) {
		struct image *image;

		if (from && (minors[i] == IMAGE_27 || (minors[i] & 0xff) < from))
			continue;
		image = image_new(minors[i]);
		print_message("# %u.%u%s\n", image->layout.version >> 8,
		              image->layout.version & 0xff, minors[i] & IMAGE_T ? "t" : "");
		check(image);
		image_free(image);
	}
}

static void check_complete(struct image *image)
{
	struct stack stack;

	image_stack(image, &stack);
	image_walk(image);
	EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
	for (unsigned int n = 1; n <= 5; n++)
		assert_int_equal(PV_FRAME_KIND(host_frame(image->walk, n - 1)),
		                 n == 2 && image->layout.chain != PV_CHAIN_FRAMEOBJECT
		                         ? PV_FRAME_GENERATOR
		                         : PV_FRAME_PYTHON);
	assert_int_equal(image->walk->from_cframe, 0);
	assert_int_equal(image->walk->from_register, 0);
	assert_int_equal(image->walk->sample.interp, IMAGE_INTERP);
	assert_int_equal(image->walk->new_cnt, 5);
}

static void test_complete(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_complete);
}

static void check_empty(struct image *image)
{
	if (image->layout.tstate.base_frame != PV_NO_FIELD)
		image_leaf(image, image_base_frame(image));
	assert_int_equal(image_walk(image), PV_CNT_NO_FRAMES);
	assert_int_equal(image->walk->walked_cnt, 0);
	image_unmap(image, IMAGE_TSTATE, IMAGE_PAGE);
	assert_int_equal(image_walk(image), PV_CNT_NO_STATE);
}

static void expect_marker(const struct image *image, uint32_t index, uint64_t addr)
{
	const struct pv_frame *frame = host_frame(image->walk, index);

	assert_non_null(frame);
	assert_int_equal(PV_FRAME_KIND(frame), PV_FRAME_UNREADABLE);
	assert_int_equal(frame->addr, addr);
}

/* The thread state does not come into memory: that is no thread without one. */
static void check_given_up(struct image *image)
{
	struct stack stack;

	image_stack(image, &stack);
	image_walk(image);
	pystack_give_up(image->walk);
	EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
	image_unmap(image, IMAGE_TSTATE, IMAGE_PAGE);
	assert_int_equal(image_walk(image), PV_CNT_NO_STATE);
	/* The state was never found: what is there is of the walk before. */
	image->walk->tstate = 0;
	image->walk->sample.interp = IMAGE_INTERP;
	image->walk->sample.interp_id = 7;
	image->walk->from_cframe = 1;
	image->walk->from_register = 1;
	pystack_give_up(image->walk);
	assert_int_equal(image->walk->sample.interp, 0);
	assert_int_equal(image->walk->sample.interp_id, 0);
	assert_int_equal(image->walk->from_cframe, 0);
	assert_int_equal(image->walk->from_register, 0);
	assert_int_equal(image->walk->sample.outcome, PV_CNT_UNREADABLE);
	assert_int_equal(image->walk->sample.frame_cnt, 1);
	expect_marker(image, 0, 0);
}

static void test_given_up(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_given_up);
}

static void test_no_frames(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_empty);
}

/* The caller of 1..3, which are proven to belong to the stack, is not in memory. */
static void check_unreadable_frame(struct image *image)
{
	struct frame_spec spec;
	struct stack stack;

	image_stack(image, &stack);
	stack.frame[4] = IMAGE_NOTHING;
	spec = image_stack_spec(image, &stack, 3);
	if (image->layout.frame.owner_entry != 0xff)
		image_entry(image, stack.entry[0], IMAGE_NOTHING);
	else
		image_frame(image, stack.frame[3], spec);
	if (image->layout.chain == PV_CHAIN_CFRAME)
		image_cframe(image, stack.cframe[1], IMAGE_NOTHING, image_root_cframe(image));
	assert_int_equal(image_walk(image), PV_CNT_UNREADABLE);
	assert_int_equal(image->walk->walked_cnt, 4);
	assert_int_equal(image->walk->sample.frame_cnt, 4);
	for (unsigned int n = 1; n <= 3; n++)
		assert_int_equal(host_frame(image->walk, n - 1)->lasti, 2 * n);
	expect_marker(image, 3, IMAGE_NOTHING);
}

static void test_unreadable_frame(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_unreadable_frame);
}

static void check_unreadable_code(struct image *image)
{
	struct stack stack;

	image_stack(image, &stack);
	image_frame(image, stack.frame[3],
	            (struct frame_spec){ .code = IMAGE_NOTHING,
	                                 .previous = image_stack_spec(image, &stack, 3).previous,
	                                 .lasti = 6,
	                                 .is_entry = 1 });
	assert_int_equal(image_walk(image), PV_CNT_UNREADABLE);
	assert_int_equal(image->walk->walked_cnt, 5);
	expect_marker(image, 2, IMAGE_NOTHING);
	assert_int_equal(host_frame(image->walk, 3)->lasti, 8);
	assert_int_equal(PV_FRAME_KIND(host_frame(image->walk, 3)), PV_FRAME_PYTHON);
}

static void test_unreadable_code(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_unreadable_code);
}

/* The hash of a name, which is part of the fingerprint, is not in memory: another fingerprint would lend
 * the function another's name.
 */
static void check_unreadable_hash(struct image *image)
{
	const struct pv_layout *l = &image->layout;
	struct stack stack;

	image_stack(image, &stack);
	if (l->code.fp_str == PV_NO_FIELD)
		return;
	image_put64(image, image_code(image, 4) + l->code.fp_str, IMAGE_NOTHING);
	assert_int_equal(image_walk(image), PV_CNT_UNREADABLE);
	assert_int_equal(image->walk->walked_cnt, 5);
	expect_marker(image, 3, image_code(image, 4));
	/* It is told, so that it can be waited for. */
	assert_int_equal(image->walk->faults.cnt, 1);
	assert_int_equal(image->walk->faults.at[0].addr, IMAGE_NOTHING + l->str.hash);
}

static void test_unreadable_hash(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_unreadable_hash);
}

/* What the outermost frame's code pointer leads to is no code object: no stack at all. */
static void check_wrong_type(struct image *image)
{
	struct stack stack;

	image_stack(image, &stack);
	image_put64(image, image_code(image, 5) + image->layout.code.ob_type, IMAGE_TYPE + 8);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
	/* A process whose PyCode_Type is not known does without this check. */
	image->walk->PyCode_Type = 0;
	image_walk(image);
	EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
}

static void test_wrong_type(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_wrong_type);
}

static void check_wrong_lasti(struct image *image)
{
	const int32_t wrong[] = { -3, -4000, (1 << 28) + 1 };
	struct stack stack;

	image_stack(image, &stack);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct frame_spec spec = image_stack_spec(image, &stack, 4);

		spec.lasti = wrong[i];
		image_frame(image, stack.frame[4], spec);
		assert_int_equal(image_walk(image), PV_CNT_TORN);
	}
}

static void test_wrong_instruction(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_wrong_lasti);
}

/* 4 calls 5 calls 4: a cycle ends by count, and what was kept of it is in order. */
static void check_cycle(struct image *image)
{
	struct frame_spec spec;
	struct stack stack;

	image_stack(image, &stack);
	spec = image_stack_spec(image, &stack, 5);
	spec.previous = stack.frame[4];
	spec.is_entry = 0;
	image_frame(image, stack.frame[5], spec);
	assert_int_equal(image_walk(image), PV_CNT_TRUNCATED);
	assert_in_range(image->walk->walked_cnt, PV_WALK_MAX - 8, PV_WALK_MAX);
	assert_int_equal(image->walk->sample.frame_cnt, PV_MAX_FRAMES);
	assert_int_equal(image->walk->sample.skipped_cnt, image->walk->walked_cnt - PV_MAX_FRAMES);
	for (uint32_t i = 0; i < image->walk->walked_cnt; i++) {
		const struct pv_frame *frame = host_frame(image->walk, i);

		if (frame)
			assert_int_equal(frame->lasti, 2 * (i < 3 ? i + 1 : 4 + (i + 1) % 2));
	}
}

static void test_cycle(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_cycle);
}

/* A frame that is its own caller was never linked so. */
static void check_own_caller(struct image *image)
{
	struct frame_spec spec;
	struct stack stack;

	image_stack(image, &stack);
	spec = image_stack_spec(image, &stack, 5);
	spec.previous = stack.frame[5];
	image_frame(image, stack.frame[5], spec);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
}

static void test_own_caller(void **state)
{
	(void)state;
	each_minor(11, check_own_caller);
}

/* One run of @depth frames of code 1; the lasti of each is twice its distance from the leaf. */
static void build_deep(struct image *image, unsigned int depth)
{
	uint64_t code = image_code(image, 1), entry = 0;
	bool has_base = image->layout.tstate.base_frame != PV_NO_FIELD;

	if (image->layout.frame.owner_entry != 0xff)
		entry = image_entry(image, IMAGE_C_STACK + 0x3040,
		                    has_base ? image_base_frame(image) : 0);
	for (unsigned int i = 0; i < depth; i++)
		image_frame(image, image_slot(image, 32 + i),
		            (struct frame_spec){ .code = code,
		                                 .previous =
		                                         i ? image_slot(image, 32 + i - 1) : entry,
		                                 .lasti = 2 * (int32_t)(depth - 1 - i),
		                                 .is_entry = !i });
	if (image->layout.chain != PV_CHAIN_CFRAME)
		image_leaf(image, image_slot(image, 32 + depth - 1));
	else
		image_leaf(image, image_cframe(image, IMAGE_C_STACK + 0x3000,
		                               image_slot(image, 32 + depth - 1),
		                               image_root_cframe(image)));
}

static void expect_deep(const struct image *image, unsigned int depth)
{
	const struct pv_sample *sample = &image->walk->sample;
	uint32_t kept = depth < PV_MAX_FRAMES ? depth : PV_MAX_FRAMES;

	assert_int_equal(image->walk->outcome,
	                 depth > PV_MAX_FRAMES ? PV_CNT_TRUNCATED : PV_CNT_COMPLETE);
	assert_int_equal(image->walk->walked_cnt, depth);
	assert_int_equal(sample->frame_cnt, kept);
	assert_int_equal(sample->skipped_cnt, depth - kept);
	assert_in_range(sample->root_first, 0, PV_ROOT_FRAMES - 1);
	for (uint32_t i = 0; i < PV_LEAF_FRAMES && i < kept; i++)
		assert_int_equal(image->walk->frames[i].lasti, 2 * i);
	/* The ring of abi_event.h, read from root_first on. */
	for (uint32_t i = PV_LEAF_FRAMES; i < kept; i++) {
		uint32_t at = (sample->root_first + i - PV_LEAF_FRAMES) % PV_ROOT_FRAMES;

		assert_int_equal(image->walk->frames[PV_LEAF_FRAMES + at].lasti,
		                 2 * (depth - kept + i));
	}
}

static void check_deep(struct image *image)
{
	static const unsigned int depths[] = { 1,    895,  896,  897,  1023, 1024,
		                               1025, 1151, 1152, 1153, 5000 };

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		build_deep(image, depths[i]);
		image_walk(image);
		expect_deep(image, depths[i]);
	}
}

static void test_deep(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_deep);
}

/* Frames are read by the window; what of it is not mapped must not cost a frame. */
static void check_window_edge(struct image *image)
{
	/* The lowest frame is the first thing of its page, nothing is mapped below. */
	image_unmap(image, IMAGE_DATA, IMAGE_PAGE);
	build_deep(image, 100);
	image_walk(image);
	expect_deep(image, 100);
}

static void test_window_edge(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_window_edge);
}

/* A page that is not there, between frames that lie on both sides of it. */
static void check_window_hole(struct image *image)
{
	struct frame_spec spec = { .code = image_code(image, 1), .is_entry = 0 };

	/* A page holds 32 slots; frame 0, the root, lies in slot 32. */
	build_deep(image, 100);
	spec.previous = image_slot(image, 32 + 31);
	spec.lasti = 2 * (99 - 64);
	image_frame(image, image_slot(image, 32 + 64), spec);
	image_unmap(image, image_slot(image, 64), IMAGE_PAGE);
	assert_int_equal(image_walk(image), PV_CNT_COMPLETE);
	assert_int_equal(image->walk->walked_cnt, 100 - 32);
	for (uint32_t i = 0; i < 68; i++)
		assert_int_equal(host_frame(image->walk, i)->lasti, 2 * (i < 36 ? i : i + 32));
}

static void test_window_hole(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_window_hole);
}

/* What the window and the memo are for. */
static void check_reads(struct image *image)
{
	host.sent = true;
	build_deep(image, 64);
	image_walk(image);
	host.read_cnt = 0;
	image_walk(image);
	expect_deep(image, 64);
	/* 64 frames of 128 bytes: 4 windows of 2 KiB; and a dozen for all the rest. */
	assert_in_range(host.read_cnt, 1, 4 + 12);
}

static void test_few_reads(void **state)
{
	(void)state;
	each_minor(11, check_reads);
}

static void test_tagged_code(void **state)
{
	struct image *image = image_new(14);
	struct stack stack;

	(void)state;
	image_stack(image, &stack);
	/* _PyStackRef of a borrowed reference, 3.14 Include/internal/pycore_stackref.h */
	image_put64(image, stack.frame[3] + image->layout.frame.code, image_code(image, 3) | 1);
	image_walk(image);
	EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
	image_free(image);
}

static void test_base_frame(void **state)
{
	struct image *image = image_new(15);
	struct stack stack;

	(void)state;
	image_stack(image, &stack);
	image_entry(image, stack.entry[1], 0);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
	image_entry(image, stack.entry[1], image_base_frame(image));
	image_put64(image, IMAGE_TSTATE + image->layout.tstate.base_frame, stack.entry[1]);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
	image_free(image);
}

/* A chain that ends in a frame which is no entry frame has lost its root. */
static void check_rootless(struct image *image)
{
	struct frame_spec spec;
	struct stack stack;

	image_stack(image, &stack);
	spec = image_stack_spec(image, &stack, 5);
	spec.previous = 0;
	spec.is_entry = 0;
	image_frame(image, stack.frame[5], spec);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
}

static void test_rootless(void **state)
{
	(void)state;
	each_minor(11, check_rootless);
}

static uint32_t leaf_fp(const struct image *image)
{
	assert_int_equal(image->walk->outcome, PV_CNT_COMPLETE);
	return PV_FRAME_FP(host_frame(image->walk, 0));
}

/* Another code object at the address of the leaf's. */
static void code_replace(struct image *image, uint32_t firstlineno)
{
	image_put32(image, image_code(image, 1) + image->layout.code.co_firstlineno, firstlineno);
}

/* Nothing says whether a code object died between two ticks: each looks for itself. */
static void check_replaced(struct image *image)
{
	struct stack stack;
	uint32_t before;

	if (image->layout.interp_code_generation != PV_NO_FIELD)
		return;
	host.sent = true;
	image_stack(image, &stack);
	image_walk(image);
	before = leaf_fp(image);
	image_walk(image);
	assert_int_equal(leaf_fp(image), before);
	code_replace(image, 77);
	image_walk(image);
	assert_int_not_equal(leaf_fp(image), before);
}

static void test_replaced_code(void **state)
{
	(void)state;
	each_minor(MINOR_FIRST, check_replaced);
}

static void set_generation(struct image *image, uint64_t generation)
{
	image_put64(image, IMAGE_INTERP + image->layout.interp_code_generation, generation);
}

static void check_generation(struct image *image)
{
	uint32_t first, second;
	struct stack stack;

	host.sent = true;
	image_stack(image, &stack);
	set_generation(image, 7);
	image_walk(image);
	first = leaf_fp(image);
	/* The interpreter says that no code object died: what is remembered is not read again. */
	code_replace(image, 77);
	host.read_cnt = 0;
	image_walk(image);
	assert_int_equal(leaf_fp(image), first);
	set_generation(image, 8);
	image_walk(image);
	second = leaf_fp(image);
	assert_int_not_equal(second, first);
	/* A fork: the same interpreter, address and generation, another process. */
	code_replace(image, 78);
	image->walk->proc_tag++;
	image_walk(image);
	assert_int_not_equal(leaf_fp(image), second);
	/* The generation can't be read: nothing is known. */
	second = leaf_fp(image);
	image_unmap(image, IMAGE_INTERP, IMAGE_INTERP_SZ);
	code_replace(image, 79);
	image_walk(image);
	assert_int_not_equal(leaf_fp(image), second);
}

static void test_generation(void **state)
{
	(void)state;
	each_minor(14, check_generation);
}

/* What was not sent yet is not remembered, or it would never be. */
static void check_not_sent(struct image *image)
{
	struct stack stack;

	image_stack(image, &stack);
	set_generation(image, 7);
	for (int i = 0; i < 2; i++) {
		image_walk(image);
		assert_int_equal(image->walk->new_cnt, 5);
		assert_int_equal(image->walk->new_codes[0].code, image_code(image, 1));
		assert_int_equal(image->walk->new_codes[0].fp, leaf_fp(image));
	}
	host.sent = true;
	for (int i = 0; i < 2; i++) {
		image_walk(image);
		assert_int_equal(image->walk->new_cnt, 0);
	}
}

static void test_not_sent(void **state)
{
	(void)state;
	each_minor(14, check_not_sent);
}

/* Two processes take turns on one CPU, with different code objects at the same address. */
static void test_two_processes(void **state)
{
	struct image *with = image_new(14), *without = image_new(13);
	struct pv_walk *scratch = without->walk;
	struct stack stack;
	host_read_fn read = host.read;
	uint32_t fp_with, fp_without;

	(void)state;
	image_stack(with, &stack);
	image_stack(without, &stack);
	set_generation(with, 7);
	code_replace(without, 77);
	without->walk = with->walk;
	host = (struct host){ .read = read, .ctx = with, .sent = true };
	image_walk(with);
	fp_with = leaf_fp(with);
	for (int i = 0; i < 3; i++) {
		host.ctx = without;
		image_walk(without);
		fp_without = leaf_fp(without);
		assert_int_not_equal(fp_without, fp_with);
		host.ctx = with;
		image_walk(with);
		assert_int_equal(leaf_fp(with), fp_with);
	}
	without->walk = scratch;
	image_free(with);
	image_free(without);
}

#define TLBC_ARRAY (IMAGE_HEAP + 0x400)
#define TLBC_COPY  (IMAGE_HEAP + 0x800) /* a thread's own bytecode */

/* Frame 1 runs the copy of its code's bytecode that its thread made. */
static void put_tlbc(struct image *image, const struct stack *stack, uint32_t index, uint64_t size)
{
	image_put64(image, TLBC_ARRAY, size);
	image_put64(image, TLBC_ARRAY + 8 + 8 * 2, TLBC_COPY);
	image_put64(image, IMAGE_CODE + IMAGE_CODE_STEP + image->layout.code.co_tlbc, TLBC_ARRAY);
	image_put64(image, stack->frame[1] + image->layout.frame.instr, TLBC_COPY + 2);
	image_put32(image, stack->frame[1] + image->layout.frame.tlbc_index, index);
}

static void check_tlbc(struct image *image)
{
	static const struct {
		uint32_t index;
		uint64_t size;
		bool good;
	} rows[] = { { 2, 3, true },  { 2, 16, true }, { 2, 2, false },
		     { 1, 3, false }, { 7, 8, false }, { 0xffffffff, 3, false } };
	struct stack stack;

	if (image->layout.frame.tlbc_index == PV_NO_FIELD)
		return;
	image_stack(image, &stack);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_tlbc(image, &stack, rows[i].index, rows[i].size);
		image_walk(image);
		if (rows[i].good)
			EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
		else
			assert_int_equal(image->walk->outcome, PV_CNT_TORN);
	}
	/* The array is not in memory. */
	put_tlbc(image, &stack, 2, 3);
	image_put64(image, IMAGE_CODE + IMAGE_CODE_STEP + image->layout.code.co_tlbc,
	            IMAGE_NOTHING);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
}

static void test_tlbc(void **state)
{
	(void)state;
	each_minor(14, check_tlbc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tlbc),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_no_frames),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_unreadable_frame),
		cmocka_unit_test(test_unreadable_code),
		cmocka_unit_test(test_unreadable_hash),
		cmocka_unit_test(test_wrong_type),
		cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_wrong_instruction),
		cmocka_unit_test(test_own_caller),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_window_edge),
		cmocka_unit_test(test_window_hole),
		cmocka_unit_test(test_few_reads),
		cmocka_unit_test(test_tagged_code),
		cmocka_unit_test(test_base_frame),
		cmocka_unit_test(test_rootless),
		cmocka_unit_test(test_replaced_code),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_not_sent),
		cmocka_unit_test(test_two_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
