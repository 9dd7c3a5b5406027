// SPDX-License-Identifier: Apache-2.0
/* Which thread state is mine? Thread-local storage of glibc and musl over made-up memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/usermem.bpf.h"
#include "image.h"

#define TLS_PAGE   0x7fff0000ull
#define TP         (TLS_PAGE + 0x200) /* struct pthread; thread-local blocks lie below */
#define DTV        0x55900000ull
#define BLOCK      0x55910000ull
#define RUNTIME    0x55920000ull
#define AUTOTSSKEY (RUNTIME + 0x100)
#define MINE       (IMAGE_TSTATE + 0x400)
#define MINE_KEY   (IMAGE_TSTATE + 0x600)
#define OTHER      (IMAGE_TSTATE + 0x800)

#define READS_MAX 8 /* pystate.bpf.h */

struct scene {
	struct image *image;
	struct pv_proc proc;
	struct pv_thread thread;
};

static struct scene scene_new(unsigned int minor)
{
	struct scene scene = { .image = image_new(minor), .thread.tp = TP };

	image_map(scene.image, TLS_PAGE, IMAGE_PAGE);
	image_map(scene.image, DTV, IMAGE_PAGE);
	image_map(scene.image, BLOCK, IMAGE_PAGE);
	image_map(scene.image, RUNTIME, IMAGE_PAGE);
	return scene;
}

static uint64_t find(struct scene *scene)
{
	struct pv_fault fault;
	uint64_t found;

	host.read_cnt = 0;
	found = pystate_find(&scene->proc, &scene->image->layout, &scene->thread, &fault);
	assert_in_range(host.read_cnt, 0, READS_MAX);
	return found;
}

/* The key of PyGILState, with @value for this thread. */
static void set_key(struct scene *scene, uint8_t kind, uint32_t key, uint64_t value)
{
	struct image *image = scene->image;

	scene->proc.autotsskey = AUTOTSSKEY;
	scene->proc.tsd.kind = kind;
	scene->proc.tsd.first = kind == PV_TSD_MUSL ? 0x80 : 0x310;
	scene->proc.tsd.second = 0x510;
	image_put32(image, AUTOTSSKEY, 1);
	image_put32(image, AUTOTSSKEY + 4, key);
	if (kind == PV_TSD_MUSL) {
		image_put64(image, TP + 0x80, BLOCK + 0x800);
		image_put64(image, BLOCK + 0x800 + 8 * key, value);
	} else if (key < 32) {
		image_put64(image, TP + 0x310 + 16 * key + 8, value);
	} else {
		image_put64(image, TP + 0x510 + 8 * (key / 32), BLOCK + 0x800);
		image_put64(image, BLOCK + 0x800 + 16 * (key % 32) + 8, value);
	}
}

static void test_nothing_known(void **state)
{
	(void)state;
	for (unsigned int minor = 6; minor <= 15; minor++) {
		struct scene scene = scene_new(minor);

		assert_int_equal(find(&scene), 0);
		image_free(scene.image);
	}
}

static void test_key(void **state)
{
	static const struct {
		uint8_t kind;
		uint32_t key;
	} rows[] = {
		{ PV_TSD_GLIBC, 0 },  { PV_TSD_GLIBC, 1 },  { PV_TSD_GLIBC, 31 },
		{ PV_TSD_GLIBC, 32 }, { PV_TSD_GLIBC, 63 }, { PV_TSD_GLIBC, 64 },
		{ PV_TSD_GLIBC, 95 }, { PV_TSD_MUSL, 0 },   { PV_TSD_MUSL, 127 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene = scene_new(11);

		set_key(&scene, rows[i].kind, rows[i].key, MINE_KEY);
		assert_int_equal(find(&scene), MINE_KEY);
		/* The runtime is not set up: what the key slot holds is somebody else's. */
		image_put32(scene.image, AUTOTSSKEY, 0);
		assert_int_equal(find(&scene), 0);
		image_put32(scene.image, AUTOTSSKEY, 1);
		scene.proc.tsd.kind = PV_TSD_NONE;
		assert_int_equal(find(&scene), 0);
		image_free(scene.image);
	}
}

/* 3.6: the key is an int that is -1 as long as there is none. */
static void test_plain_key(void **state)
{
	struct scene scene = scene_new(6);

	(void)state;
	set_key(&scene, PV_TSD_GLIBC, 1, MINE_KEY);
	scene.proc.tsd.plain_key = 1;
	image_put32(scene.image, AUTOTSSKEY, 1);
	image_put32(scene.image, AUTOTSSKEY + 4, 0);
	assert_int_equal(find(&scene), MINE_KEY);
	image_put32(scene.image, AUTOTSSKEY, (uint32_t)-1);
	assert_int_equal(find(&scene), 0);
	/* Key 0 is one, too. */
	image_put32(scene.image, AUTOTSSKEY, 0);
	image_put64(scene.image, TP + 0x310 + 8, MINE);
	assert_int_equal(find(&scene), MINE);
	image_free(scene.image);
}

#define STATES   0x55930000ull
#define STATE_SZ 0x100ull

/*
 * 2.7 without the GIL: the states of two interpreters, @cnt of the first and one of the second; number
 * @mine of all is this thread's, its address is returned.
 */
static uint64_t put_states(struct scene *scene, unsigned int cnt, unsigned int mine)
{
	struct image *image = scene->image;
	uint64_t at = STATES;

	scene->proc.interp_head = RUNTIME;
	image_put64(image, RUNTIME, IMAGE_INTERP);
	image_put64(image, IMAGE_INTERP, IMAGE_INTERP + 0x100);
	image_put64(image, IMAGE_INTERP + 8, cnt ? at : 0);
	for (unsigned int i = 0; i < cnt; i++, at += STATE_SZ) {
		image_put64(image, at, i + 1 < cnt ? at + STATE_SZ : 0);
		image_put64(image, at + 144, i == mine ? TP : TP + 0x1000 * (i + 1));
	}
	image_put64(image, IMAGE_INTERP + 0x100, 0);
	image_put64(image, IMAGE_INTERP + 0x108, at);
	image_put64(image, at, 0);
	image_put64(image, at + 144, mine == cnt ? TP : TP + 8);
	return STATES + mine * STATE_SZ;
}

static uint64_t search(struct scene *scene)
{
	struct pv_fault fault;
	uint64_t found;

	host.read_cnt = 0;
	found = pystate_find(&scene->proc, &scene->image->layout, &scene->thread, &fault);
	assert_in_range(host.read_cnt, 1, 2 * PV_STATES_MAX + READS_MAX);
	return found;
}

/* aarch64: the thread's own structure ends where the thread pointer points to. */
static void test_self_below(void **state)
{
	struct scene scene = scene_new(11);
	uint64_t self = TP - 0x180;

	(void)state;
	set_key(&scene, PV_TSD_GLIBC, 3, OTHER);
	scene.proc.tsd.self = 0x180;
	image_put64(scene.image, self + 0x310 + 16 * 3 + 8, MINE_KEY);
	assert_int_equal(find(&scene), MINE_KEY);
	/* Whose ident is that structure's address holds the GIL. */
	scene.proc.tstate_current = RUNTIME;
	image_put64(scene.image, RUNTIME, MINE_KEY);
	image_put64(scene.image, MINE_KEY + scene.image->layout.tstate.thread_id, self);
	assert_int_equal(find(&scene), MINE_KEY);
	image_free(scene.image);
}

static void test_thread_pointer(void **state)
{
	struct scene scene = scene_new(14);
	const struct pv_layout *layout = &scene.image->layout;

	(void)state;
	assert_int_equal(pystate_thread_pointer(&scene.proc, layout), 0);
	scene.proc.interpreters = RUNTIME;
	assert_int_equal(pystate_thread_pointer(&scene.proc, layout), 0);
	image_put64(scene.image, RUNTIME, BLOCK);
	image_map(scene.image, BLOCK + (layout->interp_threads_head & ~0xfffull), IMAGE_PAGE);
	assert_int_equal(pystate_thread_pointer(&scene.proc, layout), 0);
	image_put64(scene.image, BLOCK + layout->interp_threads_head, MINE);
	image_put64(scene.image, MINE + layout->tstate.thread_id, TP - 0x180);
	scene.proc.tsd.self = 0x180;
	assert_int_equal(pystate_thread_pointer(&scene.proc, layout), TP);
	image_put64(scene.image, RUNTIME, IMAGE_NOTHING);
	assert_int_equal(pystate_thread_pointer(&scene.proc, layout), 0);
	image_free(scene.image);
}

static void test_states(void **state)
{
	struct scene scene = scene_new(IMAGE_27);
	uint64_t mine;

	(void)state;
	image_map(scene.image, STATES, 0x40000);
	for (unsigned int cnt = 0; cnt < 5; cnt++)
		for (unsigned int i = 0; i <= cnt; i++) {
			mine = put_states(&scene, cnt, i);
			assert_int_equal(search(&scene), mine);
		}
	/* None of them, and more than are looked at. */
	put_states(&scene, 4, 100);
	assert_int_equal(search(&scene), 0);
	mine = put_states(&scene, 3 * PV_STATES_MAX, PV_STATES_MAX - 1);
	assert_int_equal(search(&scene), mine);
	put_states(&scene, 3 * PV_STATES_MAX, PV_STATES_MAX);
	assert_int_equal(search(&scene), 0);
	/* A ring, and a list that leads out of memory. */
	put_states(&scene, 2, 100);
	image_put64(scene.image, STATES, STATES);
	assert_int_equal(search(&scene), 0);
	image_put64(scene.image, STATES, IMAGE_NOTHING);
	assert_int_equal(search(&scene), 0);
	/* The runtime has not started. */
	image_put64(scene.image, RUNTIME, 0);
	assert_int_equal(search(&scene), 0);
	image_free(scene.image);
}

static void test_key_not_there(void **state)
{
	struct scene scene = scene_new(11);

	(void)state;
	/* The thread has no second block, or one that is not in memory. */
	set_key(&scene, PV_TSD_GLIBC, 40, MINE_KEY);
	image_put64(scene.image, TP + 0x510 + 8, 0);
	assert_int_equal(find(&scene), 0);
	image_put64(scene.image, TP + 0x510 + 8, IMAGE_NOTHING);
	assert_int_equal(find(&scene), 0);
	/* No key is that large. */
	image_put32(scene.image, AUTOTSSKEY + 4, 1024);
	assert_int_equal(find(&scene), 0);
	image_put32(scene.image, AUTOTSSKEY + 4, UINT32_MAX);
	assert_int_equal(find(&scene), 0);
	image_unmap(scene.image, RUNTIME, IMAGE_PAGE);
	assert_int_equal(find(&scene), 0);
	image_free(scene.image);
}

/* Up to 3.11: the holder of the GIL. */
static void test_current(void **state)
{
	(void)state;
	for (unsigned int minor = 8; minor <= 11; minor++) {
		struct scene scene = scene_new(minor);
		struct image *image = scene.image;

		scene.proc.tstate_current = RUNTIME + 0x200;
		image_put64(image, RUNTIME + 0x200, MINE);
		image_put64(image, MINE + image->layout.tstate.thread_id, TP);
		image_put64(image, OTHER + image->layout.tstate.thread_id, TP + 0x1000);
		set_key(&scene, PV_TSD_GLIBC, 0, MINE_KEY);
		assert_int_equal(find(&scene), MINE);
		/* Another thread has the GIL, or none, or it is not a state that can be read. */
		image_put64(image, RUNTIME + 0x200, OTHER);
		assert_int_equal(find(&scene), MINE_KEY);
		image_put64(image, RUNTIME + 0x200, 0);
		assert_int_equal(find(&scene), MINE_KEY);
		image_put64(image, RUNTIME + 0x200, IMAGE_NOTHING);
		assert_int_equal(find(&scene), MINE_KEY);
		/* A thread without Python while another one runs it. */
		image_put64(image, RUNTIME + 0x200, OTHER);
		set_key(&scene, PV_TSD_GLIBC, 0, 0);
		assert_int_equal(find(&scene), 0);
		image_free(image);
	}
}

/* 3.10, 3.11: a state that one thread made and another one uses belongs to who has its C frame. */
static void test_foreign(void **state)
{
	const uint64_t sp = TP - 0x8000, ours = sp + 0x100, elsewhere = TP + 0x9000;

	(void)state;
	for (unsigned int minor = 10; minor <= 11; minor++) {
		struct scene scene = scene_new(minor);
		struct image *image = scene.image;
		const struct pv_layout_tstate *l = &image->layout.tstate;

		scene.proc.tstate_current = RUNTIME + 0x200;
		set_key(&scene, PV_TSD_GLIBC, 0, MINE_KEY);
		/* Made elsewhere, used here. */
		image_put64(image, RUNTIME + 0x200, OTHER);
		image_put64(image, OTHER + l->thread_id, TP + 0x1000);
		image_put64(image, OTHER + l->cframe, ours);
		assert_int_equal(find(&scene), MINE_KEY);
		scene.thread.sp = sp;
		scene.thread.stack_top = TP;
		assert_int_equal(find(&scene), OTHER);
		/* Left the stack of this thread, or was never on it. */
		image_put64(image, OTHER + l->cframe, sp - 0x10);
		assert_int_equal(find(&scene), MINE_KEY);
		image_put64(image, OTHER + l->cframe, TP);
		assert_int_equal(find(&scene), MINE_KEY);
		/* Made here, used elsewhere. */
		image_put64(image, RUNTIME + 0x200, MINE);
		image_put64(image, MINE + l->thread_id, TP);
		image_put64(image, MINE + l->cframe, elsewhere);
		assert_int_equal(find(&scene), MINE_KEY);
		/* No function runs: who made it has it. */
		image_put64(image, MINE + l->cframe, MINE + 336);
		assert_int_equal(find(&scene), MINE);
		/* A stack of its own making has another end: nothing can be told from it. */
		image_put64(image, MINE + l->cframe, elsewhere);
		scene.thread.stack_top = sp - 0x1000;
		assert_int_equal(find(&scene), MINE);
		image_free(image);
	}
}

static void test_static_tls(void **state)
{
	(void)state;
	for (unsigned int minor = 12; minor <= 15; minor++) {
		struct scene scene = scene_new(minor);

		scene.proc.tls_tstate = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = -24 };
		image_put64(scene.image, TP - 24, MINE);
		set_key(&scene, PV_TSD_GLIBC, 1, MINE_KEY);
		assert_int_equal(find(&scene), MINE);
		/* The GIL is released. */
		image_put64(scene.image, TP - 24, 0);
		assert_int_equal(find(&scene), MINE_KEY);
		/* 3.15 keeps that state in a variable too, and has no key. */
		scene.proc.tls_gilstate = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = -40 };
		image_put64(scene.image, TP - 40, OTHER);
		assert_int_equal(find(&scene), OTHER);
		image_put64(scene.image, TP - 40, 0);
		assert_int_equal(find(&scene), 0);
		image_unmap(scene.image, TLS_PAGE, IMAGE_PAGE);
		assert_int_equal(find(&scene), 0);
		image_free(scene.image);
	}
}

/* @stride: 16 glibc, 8 musl. */
static struct scene dtv_scene(unsigned int stride, uint64_t slot_cnt, uint64_t block)
{
	struct scene scene = scene_new(12);

	scene.proc.tls_tstate = (struct pv_tls){
		.kind = PV_TLS_DTV, .dtv_stride = (uint8_t)stride, .module = 3, .off = 8
	};
	image_put64(scene.image, TP + 8, DTV + 0x100);
	/* glibc: dtv[-1] is the count and dtv[0] the generation; musl: dtv[0] is the count. */
	image_put64(scene.image, DTV + 0x100, stride == 16 ? 99 : slot_cnt);
	image_put64(scene.image, DTV + 0x100 - 16, stride == 16 ? slot_cnt : 0);
	image_put64(scene.image, DTV + 0x100 + stride * 3, block);
	image_put64(scene.image, BLOCK + 8, MINE);
	return scene;
}

static void expect_dtv(unsigned int stride, uint64_t slot_cnt, uint64_t block, uint64_t found)
{
	struct scene scene = dtv_scene(stride, slot_cnt, block);

	assert_int_equal(find(&scene), found);
	/* A thread without the variable can have a state of its own all the same. */
	set_key(&scene, PV_TSD_GLIBC, 40, MINE_KEY);
	assert_int_equal(find(&scene), found ? found : MINE_KEY);
	image_free(scene.image);
}

static void test_dtv(void **state)
{
	(void)state;
	for (unsigned int stride = 8; stride <= 16; stride += 8) {
		expect_dtv(stride, 64, BLOCK, MINE);
		expect_dtv(stride, 3, BLOCK, MINE);
		expect_dtv(stride, 2, BLOCK, 0);  /* the module was loaded later */
		expect_dtv(stride, 64, ~0ull, 0); /* TLS_DTV_UNALLOCATED */
		expect_dtv(stride, 64, 0, 0);     /* never touched */
		expect_dtv(stride, 64, IMAGE_NOTHING, 0);
	}
}

static void test_no_dtv(void **state)
{
	struct scene scene = dtv_scene(16, 64, BLOCK);

	(void)state;
	image_put64(scene.image, TP + 8, 0);
	assert_int_equal(find(&scene), 0);
	image_put64(scene.image, TP + 8, IMAGE_NOTHING);
	assert_int_equal(find(&scene), 0);
	image_free(scene.image);
}

/* Both variables in a library that was loaded late: the most reads there can be. */
static void test_dtv_gilstate(void **state)
{
	struct scene scene = dtv_scene(16, 64, BLOCK);

	(void)state;
	scene.proc.tls_gilstate = scene.proc.tls_tstate;
	scene.proc.tls_gilstate.off = 0x28;
	image_put64(scene.image, BLOCK + 8, 0);
	image_put64(scene.image, BLOCK + 0x28, MINE);
	assert_int_equal(find(&scene), MINE);
	assert_int_equal(host.read_cnt, READS_MAX);
	image_free(scene.image);
}

/* aarch64: the top byte of a pointer is no part of the address, and the kernel may not know that. */
static void test_tagged(void **state)
{
	const void *tagged = (const void *)(TLS_PAGE | 0xa5ull << USER_TAG_SHIFT);
	struct scene scene = scene_new(12);
	uint64_t value = 0;

	(void)state;
	image_put64(scene.image, TLS_PAGE, MINE);
	assert_int_equal(user_read_tagged(&value, sizeof(value), tagged, false), -EFAULT);
	assert_int_equal(user_read_tagged(&value, sizeof(value), tagged, true), 0);
	assert_int_equal(value, MINE);
	/* A kernel that takes the tag is asked once; what is not there is not there without it either. */
	image_map(scene.image, (uint64_t)(uintptr_t)tagged, IMAGE_PAGE);
	image_put64(scene.image, (uint64_t)(uintptr_t)tagged, OTHER);
	host.read_cnt = 0;
	assert_int_equal(user_read_tagged(&value, sizeof(value), tagged, true), 0);
	assert_int_equal(value, OTHER);
	assert_int_equal(host.read_cnt, 1);
	image_unmap(scene.image, (uint64_t)(uintptr_t)tagged, IMAGE_PAGE);
	image_unmap(scene.image, TLS_PAGE, IMAGE_PAGE);
	assert_int_equal(user_read_tagged(&value, sizeof(value), tagged, true), -EFAULT);
	assert_int_equal(value, 0);
	image_free(scene.image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_key),
		cmocka_unit_test(test_plain_key),     cmocka_unit_test(test_states),
		cmocka_unit_test(test_self_below),    cmocka_unit_test(test_thread_pointer),
		cmocka_unit_test(test_key_not_there), cmocka_unit_test(test_current),
		cmocka_unit_test(test_foreign),       cmocka_unit_test(test_static_tls),
		cmocka_unit_test(test_dtv),           cmocka_unit_test(test_no_dtv),
		cmocka_unit_test(test_dtv_gilstate),  cmocka_unit_test(test_tagged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
