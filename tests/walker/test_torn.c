// SPDX-License-Identifier: Apache-2.0
/*
 * Chains that CPython is half-way through changing: mended where the truth can be proven, else given
 * up. What the thread was really doing is known here, so a wrong stack is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image.h"

#define RBX 1
#define RBP 6
#define R12 11

/* The C frame that a call from C has just made, below that of the stack's leaf. */
#define NEW_CFRAME (IMAGE_C_STACK + 0x1000)

struct scene {
	struct image *image;
	struct stack stack;
};

/*
 * 3.11, 3.12, _PyEval_EvalFrameDefault (Python/ceval.c): the thread, whose frames are 1 to 5, calls a
 * function from C. tstate->cframe is the new C frame already; it says @current and @previous.
 */
static struct scene half_written(unsigned int minor, uint64_t current, uint64_t previous)
{
	struct scene scene = { .image = image_new(minor) };

	image_stack(scene.image, &scene.stack);
	image_leaf(scene.image, image_cframe(scene.image, NEW_CFRAME, current, previous));
	return scene;
}

static uint64_t leaf_cframe(void)
{
	return IMAGE_C_STACK + 0x2000; /* image_stack() */
}

static void set_register(struct scene *scene, unsigned int index, uint64_t value)
{
	scene->image->walk->regs[index] = value;
}

static void expect_torn(struct scene *scene)
{
	assert_int_equal(image_walk(scene->image), PV_CNT_TORN);
	image_free(scene->image);
}

static void expect_mended(struct scene *scene, bool by_register)
{
	image_walk(scene->image);
	EXPECT_STACK(scene->image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
	assert_int_equal(scene->image->walk->from_cframe, 1);
	assert_int_equal(scene->image->walk->from_register, by_register);
	/* Only what is shown is sent. */
	assert_int_equal(scene->image->walk->new_cnt, 5);
	image_free(scene->image);
}

/* What a new C frame can hold before its current_frame is written. */
static uint64_t garbage(unsigned int n)
{
	const uint64_t values[] = { IMAGE_NOTHING,         0,    0xdeadbeefdeadbeefull, 8,
		                    IMAGE_C_STACK + 0x123, ~0ull };

	return values[n];
}

#define GARBAGE_CNT 6

static void test_cframe_previous_valid(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		for (unsigned int n = 0; n < GARBAGE_CNT; n++) {
			struct scene scene = half_written(minor, garbage(n), leaf_cframe());

			expect_mended(&scene, false);
		}
	}
}

static void test_cframe_in_register(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		for (unsigned int n = 0; n < GARBAGE_CNT; n++) {
			struct scene scene = half_written(minor, garbage(n), garbage(n));

			set_register(&scene, R12, leaf_cframe());
			set_register(&scene, RBX, leaf_cframe());
			set_register(&scene, RBP, IMAGE_TSTATE);
			expect_mended(&scene, true);
		}
	}
}

/* What the half-written C frame says of its caller may be left over from an older call. */
static void test_cframe_previous_stale(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		struct scene scene = half_written(minor, IMAGE_NOTHING, leaf_cframe() + 0x1000);

		set_register(&scene, R12, leaf_cframe());
		expect_mended(&scene, true);
	}
}

static void test_cframe_nowhere(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		for (unsigned int n = 0; n < GARBAGE_CNT; n++) {
			struct scene scene = half_written(minor, garbage(n), garbage(n));

			set_register(&scene, RBX, scene.stack.frame[1]);
			set_register(&scene, RBP, IMAGE_HEAP);
			set_register(&scene, R12, NEW_CFRAME);
			expect_torn(&scene);
		}
	}
}

static void test_cframe_two_registers(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		struct scene scene = half_written(minor, IMAGE_NOTHING, IMAGE_NOTHING);

		set_register(&scene, RBX, scene.stack.cframe[0]);
		set_register(&scene, R12, scene.stack.cframe[1]);
		expect_torn(&scene);
	}
}

/* Frames that returned still look like frames: the run must end where the next C frame goes on. */
static void test_cframe_residue(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		struct scene scene = half_written(minor, IMAGE_HEAP + 0x200, leaf_cframe());
		struct image *image = scene.image;

		/* 7, called by 6, called by 3 when 3 was the leaf and had not called 2. */
		image_frame(image, IMAGE_HEAP + 0x200,
		            (struct frame_spec){ .code = image_code(image, 7),
		                                 .previous = IMAGE_HEAP + 0x300,
		                                 .lasti = 14 });
		image_frame(image, IMAGE_HEAP + 0x300,
		            (struct frame_spec){ .code = image_code(image, 6),
		                                 .previous = scene.stack.frame[3],
		                                 .lasti = 12 });
		expect_mended(&scene, false);
	}
}

/* The same, and the chain of old frames leads to another entry frame, or out of memory. */
static void test_cframe_residue_elsewhere(void **state)
{
	const uint64_t ends[] = { 0, IMAGE_NOTHING, 0x11 };

	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
			struct scene scene = half_written(minor, IMAGE_HEAP + 0x200, IMAGE_NOTHING);
			struct image *image = scene.image;

			image_frame(image, IMAGE_HEAP + 0x200,
			            (struct frame_spec){ .code = image_code(image, 7),
			                                 .previous = ends[i],
			                                 .lasti = 14,
			                                 .is_entry = 1 });
			expect_torn(&scene);
		}
	}
}

/*
 * The run that the thread itself is in leads out of memory half-way. Nothing tells it from frames that
 * returned, and the C frame before it is not where the thread is.
 */
static void test_run_unreadable(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		for (unsigned int with_register = 0; with_register < 2; with_register++) {
			struct scene scene = { .image = image_new(minor) };
			struct frame_spec spec;

			image_stack(scene.image, &scene.stack);
			spec = image_stack_spec(scene.image, &scene.stack, 2);
			spec.previous = IMAGE_NOTHING;
			image_frame(scene.image, scene.stack.frame[2], spec);
			if (with_register)
				set_register(&scene, R12, scene.stack.cframe[1]);
			expect_torn(&scene);
		}
	}
}

/* A chain that was taken from elsewhere is believed when it was read to its end, not before. */
static void test_mended_unreadable(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		for (unsigned int n = 1; n <= 4; n += 3) {
			struct scene scene = half_written(minor, 0, leaf_cframe());
			struct frame_spec spec;

			spec = image_stack_spec(scene.image, &scene.stack, n);
			spec.previous = IMAGE_NOTHING;
			image_frame(scene.image, scene.stack.frame[n], spec);
			expect_torn(&scene);
		}
	}
}

/* What is left over may be a generator that sleeps: it must not be put upon the stack. */
static void test_cframe_residue_generator(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		struct scene scene = half_written(minor, IMAGE_HEAP + 0x200, leaf_cframe());
		struct image *image = scene.image;

		image_frame(image, IMAGE_HEAP + 0x200,
		            (struct frame_spec){ .code = image_code(image, 7),
		                                 .lasti = 14,
		                                 .owner = OWNER_GENERATOR,
		                                 .is_entry = 1 });
		set_register(&scene, R12, scene.stack.frame[1]);
		if (minor == 11)
			expect_mended(&scene, false);
		else
			expect_torn(&scene);
	}
}

/*
 * A generator that sleeps again and a pointer to what was a C frame: zeros there do not make it the end
 * of the chain. 3.11 shows the caller, as the C frame that the register holds proves it.
 */
static void test_cframe_residue_false_end(void **state)
{
	struct scene scene = half_written(11, IMAGE_HEAP + 0x200, NEW_CFRAME + 0x200);

	(void)state;
	image_frame(scene.image, IMAGE_HEAP + 0x200,
	            (struct frame_spec){ .code = image_code(scene.image, 7),
	                                 .lasti = 14,
	                                 .owner = OWNER_GENERATOR,
	                                 .is_entry = 1 });
	set_register(&scene, R12, leaf_cframe());
	expect_mended(&scene, true);
	scene = half_written(11, IMAGE_HEAP + 0x200, NEW_CFRAME + 0x200);
	image_frame(scene.image, IMAGE_HEAP + 0x200,
	            (struct frame_spec){ .code = image_code(scene.image, 7),
	                                 .lasti = 14,
	                                 .owner = OWNER_GENERATOR,
	                                 .is_entry = 1 });
	expect_torn(&scene);
}

/* A greenlet's outermost C frame is its own, and leads to that of the thread state. */
static void test_cframe_greenlet(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		struct image *image = image_new(minor);
		struct stack stack;

		image_stack(image, &stack);
		image_cframe(image, IMAGE_C_STACK + 0x3800, 0, image_root_cframe(image));
		image_cframe(image, stack.cframe[1], stack.frame[4], IMAGE_C_STACK + 0x3800);
		image_walk(image);
		EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
		image_free(image);
	}
}

/* 3.15: a chain ends at the thread state's base frame, a greenlet's where its data stack begins. */
static void test_base_greenlet(void **state)
{
	struct image *image = image_new(15);
	struct stack stack;

	(void)state;
	image_stack(image, &stack);
	image_entry(image, stack.entry[1], 0);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
	stack.frame[5] = IMAGE_DATA + 32;
	for (unsigned int n = 4; n <= 5; n++)
		image_frame(image, stack.frame[n], image_stack_spec(image, &stack, n));
	assert_int_equal(image_walk(image), PV_CNT_TORN);
	image_put64(image, IMAGE_DATA, 0);          /* _PyStackChunk.previous */
	image_put64(image, IMAGE_DATA + 8, 0x4000); /* .size */
	image_walk(image);
	EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
	image_put64(image, IMAGE_DATA, IMAGE_DATA + 0x4000);
	assert_int_equal(image_walk(image), PV_CNT_TORN);
	image_free(image);
}

/*
 * 3.11: the half-written C frame holds the frame of a function that its caller called before. In every
 * word it is the frame of a running function, but the data stack ends below it.
 */
static void test_cframe_residue_popped(void **state)
{
	(void)state;
	for (unsigned int popped = 0; popped < 2; popped++) {
		struct scene scene = half_written(11, 0, leaf_cframe());
		struct image *image = scene.image;
		uint64_t frame = image_slot(image, 6);

		image_frame(image, frame,
		            (struct frame_spec){ .code = image_code(image, 7),
		                                 .previous = scene.stack.frame[1],
		                                 .lasti = 14,
		                                 .is_entry = 1 });
		image_cframe(image, NEW_CFRAME, frame, leaf_cframe());
		image_put64(image, IMAGE_TSTATE + image->layout.tstate.datastack_top,
		            popped ? frame : frame + 0x100);
		image_put64(image, IMAGE_TSTATE + image->layout.tstate.datastack_top + 8,
		            IMAGE_DATA + IMAGE_DATA_SZ);
		if (popped) {
			expect_mended(&scene, false);
			continue;
		}
		image_walk(image);
		EXPECT_STACK(image, PV_CNT_COMPLETE, 7, 1, 2, 3, 4, 5);
		image_free(image);
	}
}

/* The very first call of a thread. */
static void test_cframe_first(void **state)
{
	(void)state;
	for (unsigned int minor = 11; minor <= 12; minor++) {
		struct image *image = image_new(minor);

		image_leaf(image, image_cframe(image, NEW_CFRAME, IMAGE_NOTHING,
		                               image_root_cframe(image)));
		assert_int_equal(image_walk(image), PV_CNT_NO_FRAMES);
		image_free(image);
	}
}

/* 3.12: the new C frame may hold the entry frame of the call before, which is true again. */
static void test_cframe_old_entry(void **state)
{
	struct scene scene = half_written(12, NEW_CFRAME + 0x40, leaf_cframe());

	(void)state;
	image_entry(scene.image, NEW_CFRAME + 0x40, scene.stack.frame[1]);
	image_walk(scene.image);
	EXPECT_STACK(scene.image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
	image_free(scene.image);
}

/*
 * 3.12, YIELD_VALUE (Python/bytecodes.c): generator 1 is the current frame, its `previous` is NULL
 * already, and 2 goes on.
 */
static struct scene yielding(unsigned int minor)
{
	struct scene scene = { .image = image_new(minor) };
	struct frame_spec spec;

	image_stack(scene.image, &scene.stack);
	spec = image_stack_spec(scene.image, &scene.stack, 1);
	spec.previous = 0;
	spec.owner = OWNER_GENERATOR;
	image_frame(scene.image, scene.stack.frame[1], spec);
	/* Where a general register often points, and never a frame. */
	set_register(&scene, 0, IMAGE_TSTATE);
	set_register(&scene, 2, scene.stack.frame[1]);
	set_register(&scene, 3, image_code(scene.image, 1));
	set_register(&scene, 4, IMAGE_NOTHING);
	set_register(&scene, 5, scene.stack.frame[1] + 72);
	set_register(&scene, 7, 42);
	return scene;
}

#define GENERATOR_FIRST 12

static void test_generator_caller(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);

		set_register(&scene, RBP, scene.stack.frame[2]);
		set_register(&scene, RBX, scene.stack.frame[2]);
		image_walk(scene.image);
		EXPECT_STACK(scene.image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
		assert_int_equal(scene.image->walk->from_register, 1);
		assert_int_equal(scene.image->walk->from_cframe, 0);
		image_free(scene.image);
	}
}

static void test_generator_no_caller(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);

		expect_torn(&scene);
	}
}

static void test_generator_two_callers(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);

		set_register(&scene, RBP, scene.stack.frame[2]);
		set_register(&scene, RBX, scene.stack.frame[4]);
		expect_torn(&scene);
	}
}

/* Frames of another run, and frames that returned, lead to the wrong end. */
static void test_generator_wrong_caller(void **state)
{
	struct scene scene = yielding(12);
	struct image *image = scene.image;

	(void)state;
	set_register(&scene, RBP, scene.stack.frame[4]);
	expect_torn(&scene);
	scene = yielding(12);
	image = scene.image;
	image_frame(image, IMAGE_HEAP + 0x200,
	            (struct frame_spec){ .code = image_code(image, 6),
	                                 .previous = scene.stack.frame[5],
	                                 .lasti = 12 });
	set_register(&scene, RBP, IMAGE_HEAP + 0x200);
	expect_torn(&scene);
}

static void test_generator_not_a_frame(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);
		struct image *image = scene.image;

		/* Like a frame in everything but the type of its code object. */
		image_frame(image, IMAGE_HEAP + 0x200,
		            (struct frame_spec){ .code = image_code(image, 6),
		                                 .previous = scene.stack.frame[3],
		                                 .lasti = 12 });
		image_put64(image, image_code(image, 6) + image->layout.code.ob_type, 1);
		set_register(&scene, RBP, IMAGE_HEAP + 0x200);
		/* It does not stand in the way of the one that is. */
		set_register(&scene, RBX, scene.stack.frame[2]);
		image_walk(image);
		EXPECT_STACK(image, PV_CNT_COMPLETE, 1, 2, 3, 4, 5);
		set_register(&scene, RBX, 0);
		expect_torn(&scene);
	}
}

/* Resumed from C: the caller is the entry frame of this eval loop. */
static void test_generator_entry(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);

		set_register(&scene, RBP, scene.stack.entry[0]);
		image_walk(scene.image);
		EXPECT_STACK(scene.image, PV_CNT_COMPLETE, 1, 4, 5);
		image_free(scene.image);
	}
}

static void test_generator_other_entry(void **state)
{
	struct scene scene = yielding(12);

	(void)state;
	set_register(&scene, RBP, scene.stack.entry[1]);
	expect_torn(&scene);
}

/*
 * From 3.13 on no C frame says what an entry frame must be. Any memory with a small number in the
 * right place looks like one: what it leads to must be a stack.
 */
static void test_generator_false_entry(void **state)
{
	const uint64_t ends[] = { 0, IMAGE_NOTHING, 0x11, IMAGE_HEAP };

	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
			struct scene scene = yielding(minor);

			image_entry(scene.image, IMAGE_HEAP + 0x200, ends[i]);
			set_register(&scene, RBP, IMAGE_HEAP + 0x200);
			expect_torn(&scene);
		}
	}
}

/* A graft is believed when it was read to its end. */
static void test_generator_unreadable(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);
		struct frame_spec spec = image_stack_spec(scene.image, &scene.stack, 4);

		spec.previous = IMAGE_NOTHING;
		image_frame(scene.image, scene.stack.frame[4], spec);
		set_register(&scene, RBP, scene.stack.frame[2]);
		expect_torn(&scene);
	}
}

static void test_generator_cycle(void **state)
{
	(void)state;
	for (unsigned int minor = GENERATOR_FIRST; minor <= 15; minor++) {
		struct scene scene = yielding(minor);
		struct frame_spec spec = image_stack_spec(scene.image, &scene.stack, 3);

		spec.previous = scene.stack.frame[2];
		image_frame(scene.image, scene.stack.frame[3], spec);
		set_register(&scene, RBP, scene.stack.frame[2]);
		expect_torn(&scene);
	}
}

/* Only the leaf can be in the middle of a yield. */
static void test_generator_not_leaf(void **state)
{
	(void)state;
	for (unsigned int minor = 13; minor <= 15; minor++) {
		struct scene scene = { .image = image_new(minor) };
		struct frame_spec spec;

		image_stack(scene.image, &scene.stack);
		spec = image_stack_spec(scene.image, &scene.stack, 2);
		spec.previous = 0;
		image_frame(scene.image, scene.stack.frame[2], spec);
		set_register(&scene, RBP, scene.stack.frame[3]);
		expect_torn(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cframe_previous_valid),
		cmocka_unit_test(test_cframe_in_register),
		cmocka_unit_test(test_cframe_previous_stale),
		cmocka_unit_test(test_cframe_nowhere),
		cmocka_unit_test(test_cframe_two_registers),
		cmocka_unit_test(test_cframe_residue),
		cmocka_unit_test(test_cframe_residue_elsewhere),
		cmocka_unit_test(test_cframe_residue_generator),
		cmocka_unit_test(test_cframe_residue_false_end),
		cmocka_unit_test(test_cframe_residue_popped),
		cmocka_unit_test(test_cframe_greenlet),
		cmocka_unit_test(test_base_greenlet),
		cmocka_unit_test(test_run_unreadable),
		cmocka_unit_test(test_mended_unreadable),
		cmocka_unit_test(test_cframe_first),
		cmocka_unit_test(test_cframe_old_entry),
		cmocka_unit_test(test_generator_caller),
		cmocka_unit_test(test_generator_no_caller),
		cmocka_unit_test(test_generator_two_callers),
		cmocka_unit_test(test_generator_wrong_caller),
		cmocka_unit_test(test_generator_not_a_frame),
		cmocka_unit_test(test_generator_entry),
		cmocka_unit_test(test_generator_other_entry),
		cmocka_unit_test(test_generator_false_entry),
		cmocka_unit_test(test_generator_unreadable),
		cmocka_unit_test(test_generator_cycle),
		cmocka_unit_test(test_generator_not_leaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
