// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "debug_offsets.h"
#include "py/layout.h"
#include "py/layout_tab.h"

#define countof(array) (sizeof(array) / sizeof((array)[0]))

/* [off, off + len) within [start, end). */
static bool inside(size_t off, size_t len, size_t start, size_t end)
{
	return off >= start && off + len <= end;
}

/* What the walker relies on, whatever the numbers are. */
static void check_layout(const struct pv_layout *layout)
{
	const struct pv_layout_code *code = &layout->code;
	const struct pv_layout_frame *frame = &layout->frame;
	size_t fp_end = code->fp_off + PV_FP_BYTES;

	assert_true(code->read_len <= PV_CODE_READ_MAX && code->read_len % 8 == 0);
	assert_true(frame->read_len <= PV_FRAME_READ_MAX && frame->read_len % 8 == 0);
	assert_true(fp_end <= code->read_len && code->fp_off % 8 == 0);
	assert_true(inside(code->co_firstlineno, 4, code->fp_off, fp_end));
	assert_true(inside(code->co_filename, 8, code->fp_off, fp_end));
	assert_true(inside(code->co_name, 8, code->fp_off, fp_end));
	assert_true(inside(code->co_linetable, 8, code->fp_off, fp_end));
	assert_true(inside(code->ob_type, 8, 0, code->read_len));
	if (code->co_firsttraceable != PV_NO_FIELD)
		assert_true(inside(code->co_firsttraceable, 4, fp_end, code->read_len));
	if (code->co_code_adaptive != PV_NO_FIELD)
		assert_true(code->co_code_adaptive >= code->co_firsttraceable + 4);
	if (code->co_tlbc != PV_NO_FIELD)
		assert_true(inside(code->co_tlbc, 8, fp_end, code->read_len));
	assert_true(inside(frame->previous, 8, 0, frame->read_len));
	assert_true(inside(frame->code, 8, 0, frame->read_len));
	assert_true(inside(frame->instr, layout->chain == PV_CHAIN_FRAMEOBJECT ? 4 : 8, 0,
	                   frame->read_len));
	if (layout->chain == PV_CHAIN_FRAMEOBJECT) {
		assert_int_equal(frame->owner, PV_NO_FIELD);
	} else {
		assert_true(inside(frame->owner, 1, 0, frame->read_len));
		assert_int_equal(frame->owner_generator, 1);
	}
	assert_true((layout->chain == PV_CHAIN_CFRAME || layout->version == 0x030a) ==
	            (layout->tstate.cframe != PV_NO_FIELD));
	assert_true((layout->chain == PV_CHAIN_CFRAME) == (layout->tstate.frame == PV_NO_FIELD));
}

static void test_table_is_sane(void **state)
{
	(void)state;
	for (size_t i = 0; i < layout_row_cnt; i++) {
		check_layout(&layout_rows[i].layout);
		if (!i)
			continue;
		/* By rising version and release; the last row of each takes all that are left. */
		if (layout_rows[i - 1].layout.version == layout_rows[i].layout.version) {
			assert_true(layout_rows[i - 1].micro_last < layout_rows[i].micro_last);
		} else {
			assert_true(layout_rows[i - 1].layout.version <
			            layout_rows[i].layout.version);
			assert_int_equal(layout_rows[i - 1].micro_last, 0xff);
		}
	}
}

static uint16_t tstate_current_of(uint32_t hex)
{
	struct py_runtime_offsets offsets;
	struct pv_layout layout;

	assert_int_equal(py_layout_from_table(hex, &layout, &offsets), 0);
	assert_int_equal(layout.version, hex >> 16);
	assert_int_equal(offsets.autotsskey, offsets.tstate_current + 24);
	return offsets.tstate_current;
}

/* _PyRuntime grew with 3.7.4; sizes of no two rows overlap, so that one can be told by its size. */
static void test_first_releases_of_37(void **state)
{
	(void)state;
	assert_int_equal(tstate_current_of(0x030700f0), 1392);
	assert_int_equal(tstate_current_of(0x030703f0), 1392);
	assert_int_equal(tstate_current_of(0x030704f0), 1480);
	assert_int_equal(tstate_current_of(0x03071100), 1480);
	for (size_t i = 0; i < layout_row_cnt; i++)
		for (size_t j = 0; j < i && layout_rows[i].layout.version <= 0x030a; j++)
			assert_true(!layout_rows[j].offsets.runtime_size_max ||
			            layout_rows[i].offsets.runtime_size_min >
			                    layout_rows[j].offsets.runtime_size_max ||
			            layout_rows[i].offsets.runtime_size_max <
			                    layout_rows[j].offsets.runtime_size_min);
}

/* What a compiler for aarch64 makes of the headers of these releases. */
static void test_aarch64(void **state)
{
	static const struct {
		uint32_t hex;
		uint16_t tstate_current, autotsskey;
		uint32_t size;
	} known[] = {
		{ 0x030710f0, 1496, 1520, 1536 }, { 0x030812f0, 1384, 1408, 1480 },
		{ 0x030912f0, 584, 600, 672 },    { 0x030a0df0, 584, 600, 688 },
		{ 0x030b07f0, 592, 608, 166704 }, { 0x030c01f0, 0, 1544, 459960 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct py_runtime_offsets offsets;
		struct pv_layout layout;

		assert_int_equal(py_layout_from_table(known[i].hex, &layout, &offsets), 0);
		py_offsets_to_aarch64(&offsets);
		assert_int_equal(offsets.tstate_current, known[i].tstate_current);
		assert_int_equal(offsets.autotsskey, known[i].autotsskey);
		assert_in_range(known[i].size, offsets.runtime_size_min, offsets.runtime_size_max);
	}
}

static void test_table_lookup(void **state)
{
	struct py_runtime_offsets offsets;
	struct pv_layout layout;

	(void)state;
	assert_int_equal(py_layout_from_table(0x030b0000, &layout, &offsets), 0);
	assert_int_equal(layout.version, 0x030b);
	assert_int_equal(py_layout_from_table(0x030b07f0, &layout, &offsets), 0);
	assert_int_equal(layout.version, 0x030b);
	assert_int_equal(py_layout_from_table(0x030d00f0, &layout, &offsets), -ENOENT);
	assert_int_equal(py_layout_from_table(0x03050000, &layout, &offsets), -ENOENT);
	assert_int_equal(py_layout_from_table(0, &layout, &offsets), -ENOENT);
	assert_int_equal(py_layout_from_table(UINT32_MAX, &layout, &offsets), -ENOENT);
}

static int decode(const void *data, size_t len, struct pv_layout *layout)
{
	struct py_runtime_offsets offsets;
	char reason[128] = "";
	void *copy = malloc(len); /* so that a read behind the end is seen */
	int err;

	memcpy(copy, data, len);
	err = py_layout_from_debug_offsets(copy, len, layout, &offsets, reason, sizeof(reason));
	free(copy);
	/* A refusal says why, but for data that does not claim to be debug offsets. */
	assert_true((err == -EPROTO) == (reason[0] != '\0'));
	return err;
}

static void test_debug_offsets(void **state)
{
	unsigned char data[1024];
	struct pv_layout layout;

	(void)state;
	assert_int_equal(countof(reals), debug_row_cnt);
	for (size_t which = 0; which < countof(reals); which++) {
		for (int nogil = 0; nogil < 2; nogil++) {
			size_t len = build(data, which, nogil);

			assert_int_equal(decode(data, len, &layout), 0);
			check_layout(&layout);
			assert_int_equal(layout.version, reals[which].hex >> 16);
			assert_int_equal(layout.flags, nogil ? PV_LAYOUT_FREE_THREADED : 0);
			assert_int_equal(layout.code.fp_off, nogil ? 72 : 56);
			assert_int_equal(layout.frame.read_len, which ? 88 : 80);
			assert_int_equal(layout.code.ob_type, nogil ? 24 : 8);
			assert_int_equal(layout.str.compact_data, nogil ? 72 : 56);
			assert_int_equal(layout.tstate.base_frame, which == 2 ? 80 : PV_NO_FIELD);
			assert_int_equal(layout.frame.tlbc_index,
			                 nogil && which ? 72 : PV_NO_FIELD);
		}
	}
}

/* _co_firsttraceable as the headers have it. */
static void test_firsttraceable(void **state)
{
	static const uint16_t expected[][2] = { { 184, 200 }, { 192, 208 }, { 192, 208 } };
	unsigned char data[1024];
	struct pv_layout layout;

	(void)state;
	for (size_t which = 0; which < countof(expected); which++) {
		for (int nogil = 0; nogil < 2; nogil++) {
			size_t len = build(data, which, nogil);

			assert_int_equal(decode(data, len, &layout), 0);
			assert_int_equal(layout.code.co_firsttraceable, expected[which][nogil]);
		}
	}
}

static void test_debug_offsets_short(void **state)
{
	unsigned char data[1024];
	struct pv_layout layout;

	(void)state;
	for (size_t which = 0; which < countof(reals); which++) {
		size_t len = build(data, which, 0);

		for (size_t cut = 1; cut < len; cut++)
			assert_true(decode(data, cut, &layout) < 0);
	}
	data[0] = 'y';
	assert_int_equal(decode(data, sizeof(data), &layout), -ENOENT);
}

/* Every field in turn gets values that cannot be: each is refused or still a layout that is safe. */
static void test_debug_offsets_forged(void **state)
{
	static const uint64_t bad[] = {
		0,      1,       7,       8,          24,         4096,           0xfff8,
		0xffff, 0x10000, 0x10008, 1ull << 32, 1ull << 63, UINT64_MAX - 7, UINT64_MAX
	};
	unsigned char data[1024];
	struct pv_layout layout;
	size_t refused = 0;

	(void)state;
	for (size_t which = 0; which < countof(reals); which++) {
		for (size_t at = 8; at < debug_rows[which].size; at += 8) {
			for (size_t i = 0; i < countof(bad); i++) {
				size_t len = build(data, which, (int)(i & 1));

				memcpy(data + at, &bad[i], 8);
				if (decode(data, len, &layout))
					refused++;
				else
					check_layout(&layout);
			}
		}
	}
	assert_true(refused > 500);
}

/* All fields but the sizes at absurd values at once. */
static void test_debug_offsets_huge(void **state)
{
	unsigned char data[1024];
	struct pv_layout layout;

	(void)state;
	memset(data, 0xff, sizeof(data));
	memcpy(data, "xdebugpy", 8);
	assert_int_equal(decode(data, sizeof(data), &layout), -EPROTO);
	for (size_t which = 0; which < countof(reals); which++) {
		build(data, which, 0);
		memset(data + 24, 0xff, sizeof(data) - 24);
		assert_int_equal(decode(data, sizeof(data), &layout), -EPROTO);
	}
}

/* A version newer than all known ones is taken at its word if every field is there. */
static void test_debug_offsets_newer(void **state)
{
	unsigned char data[1024];
	struct pv_layout layout;
	size_t len = build(data, countof(reals) - 1, 0);

	(void)state;
	memcpy(data + 8, &(uint64_t){ 0x031000f0 }, 8);
	assert_int_equal(decode(data, len, &layout), 0);
	assert_int_equal(layout.version, 0x0310);
	/* 3.12 has no debug offsets. */
	memcpy(data + 8, &(uint64_t){ 0x030c00f0 }, 8);
	assert_int_equal(decode(data, len, &layout), -EPROTO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sane),
		cmocka_unit_test(test_first_releases_of_37),
		cmocka_unit_test(test_aarch64),
		cmocka_unit_test(test_table_lookup),
		cmocka_unit_test(test_debug_offsets),
		cmocka_unit_test(test_firsttraceable),
		cmocka_unit_test(test_debug_offsets_short),
		cmocka_unit_test(test_debug_offsets_forged),
		cmocka_unit_test(test_debug_offsets_huge),
		cmocka_unit_test(test_debug_offsets_newer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
