/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - made-up processes for the walkers: a few segments of memory, everything else is not
 * there, and one thread with Python frames in it as a given version of CPython lays them out.
 *
 * Any error of the test's own (an address that no segment holds) fails the test.
 */
#ifndef PV_WALKER_IMAGE_H
#define PV_WALKER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"

/* Where things lie. All sizes are IMAGE_PAGE except the stacks. */
#define IMAGE_PAGE    0x1000ull
#define IMAGE_TSTATE  0x55550000ull
#define IMAGE_INTERP  0x55560000ull /* IMAGE_INTERP_SZ */
#define IMAGE_CODE    0x55600000ull /* IMAGE_CODE_SZ: code objects, IMAGE_CODE_STEP apart */
#define IMAGE_HEAP    0x55700000ull /* IMAGE_PAGE: frames of generators and other strays */
#define IMAGE_DATA    0x55800000ull /* IMAGE_DATA_SZ: the data stack, upwards */
#define IMAGE_C_STACK 0x7ffd0000ull /* IMAGE_C_SZ: C frames, the outermost the highest */
#define IMAGE_TYPE    0x55501000ull /* PyCode_Type, not mapped */
#define IMAGE_NOTHING 0x66660000ull /* nothing is there */

#define IMAGE_INTERP_SZ 0x4000ull
#define IMAGE_CODE_SZ   0x10000ull
#define IMAGE_CODE_STEP 0x400ull
#define IMAGE_DATA_SZ   0x100000ull
#define IMAGE_C_SZ      0x4000ull

#define SEGMENT_MAX 64

struct segment {
	uint64_t start;
	uint64_t len;
	uint8_t *bytes;
};

struct image {
	struct pv_layout layout;
	struct pv_walk *walk;
	struct segment segments[SEGMENT_MAX];
	size_t segment_cnt;
};

/* What a frame is made of; 0 is the usual. */
struct frame_spec {
	uint64_t code;     /* address of a code object */
	uint64_t previous; /* the caller's frame */
	int32_t lasti;     /* as the walker is to report it */
	uint8_t owner;
	uint8_t is_entry; /* 3.11 */
};

#define OWNER_GENERATOR 1
#define OWNER_ENTRY     3

/* In place of the minor version 14: 2.7; with IMAGE_T: 3.14 without GIL. */
#define IMAGE_27 0x207
#define IMAGE_T  0x1000

/* The layout of 3.@minor: the table's up to 3.12, hand-made after. */
void image_layout(unsigned int minor, struct pv_layout *layout);

/* A process of 3.@minor whose one thread, at IMAGE_TSTATE, has no frames. Its reader is in place. */
struct image *image_new(unsigned int minor);
void image_free(struct image *image);

/* Make [@start, @start + @len) exist, zeros; and go away again. Whole segments or parts of them. */
void image_map(struct image *image, uint64_t start, uint64_t len);
void image_unmap(struct image *image, uint64_t start, uint64_t len);

void image_put(struct image *image, uint64_t addr, const void *bytes, size_t len);
void image_put64(struct image *image, uint64_t addr, uint64_t value);
void image_put32(struct image *image, uint64_t addr, uint32_t value);
void image_put8(struct image *image, uint64_t addr, uint8_t value);

/* Code object number @n, no two alike; its address, with something in it that varies with @n. */
uint64_t image_code(struct image *image, unsigned int n);
/* Write a frame at @addr; returns @addr. */
uint64_t image_frame(struct image *image, uint64_t addr, struct frame_spec spec);
/* Up to 3.12 a C frame (struct _PyCFrame) at @addr; returns @addr. */
uint64_t image_cframe(struct image *image, uint64_t addr, uint64_t current, uint64_t previous);
/* The entry frame of an eval loop at @addr (3.12 on); returns @addr. */
uint64_t image_entry(struct image *image, uint64_t addr, uint64_t previous);
/* The thread's leaf: the frame or, in 3.11 and 3.12, the C frame. */
void image_leaf(struct image *image, uint64_t addr);
/* &tstate->root_cframe; the base frame of 3.15. */
uint64_t image_root_cframe(const struct image *image);
uint64_t image_base_frame(const struct image *image);

/* Address of the frame at place @n of the data stack. */
uint64_t image_slot(const struct image *image, unsigned int n);

/*
 * A stack of two runs of frames, codes 1 to 5 from the leaf: 1, 2 (owned by a generator), 3, called
 * from C by 4, 5. Up to 3.10 five frames in a row.
 */
struct stack {
	uint64_t frame[6];  /* by code; [0] is not used */
	uint64_t entry[2];  /* 3.12 on: below 3 and below 5 */
	uint64_t cframe[2]; /* 3.11, 3.12: of 1..3 and of 4..5 */
};

void image_stack(struct image *image, struct stack *stack);
/* A frame of the stack as image_stack() wrote it, for another place or with something changed. */
struct frame_spec image_stack_spec(const struct image *image, const struct stack *stack,
                                   unsigned int n);

/* Walk from the leaf; the outcome. */
uint32_t image_walk(struct image *image);
/* The frames that the walk kept are those with these code objects and lasti 2 * (index of code). */
void image_expect(const struct image *image, uint32_t outcome, const unsigned int *codes,
                  size_t cnt);

#define EXPECT_STACK(image, outcome, ...)                                   \
	image_expect(image, outcome, (const unsigned int[]){ __VA_ARGS__ }, \
	             sizeof((const unsigned int[]){ __VA_ARGS__ }) / sizeof(unsigned int))

#endif
