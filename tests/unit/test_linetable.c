// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "py/linetable.h"

#define PY(major, minor) ((major) << 8 | (minor))

/* From @start (bytes of bytecode) on: @line. */
struct range {
	int32_t start;
	int32_t line;
};

/*
 * What interpreters of these versions made of
 *   1 def f(a):  2 x = 1  303 y = g(a,  305 2)  306 for i in y:  307 h(  308 i)  309 return x
 * The 3.13 table came out of 3.14 too. The last range's line is 0: beyond the table, or -1: the table
 * has no end.
 */
static const struct example {
	uint16_t version;
	const char *hex;
	struct range ranges[14];
} examples[] = {
	{ PY(2, 7),
	  "000106ff002e060209010d010301 0b01",
	  { { 0, 2 },
	    { 6, 303 },
	    { 12, 305 },
	    { 21, 306 },
	    { 34, 307 },
	    { 37, 308 },
	    { 48, 309 },
	    { 200, -1 } } },
	{ PY(3, 6),
	  "0001047f007f002f0402 06010a0102010a01",
	  { { 0, 2 },
	    { 4, 303 },
	    { 8, 305 },
	    { 14, 306 },
	    { 24, 307 },
	    { 26, 308 },
	    { 36, 309 },
	    { 200, -1 } } },
	{ PY(3, 9),
	  "0001047f007f002f040202fe0403080102010 2ff0602",
	  { { 0, 2 },
	    { 4, 303 },
	    { 8, 305 },
	    { 10, 303 },
	    { 14, 306 },
	    { 22, 307 },
	    { 24, 308 },
	    { 26, 307 },
	    { 32, 309 },
	    { 200, -1 } } },
	{ PY(3, 10),
	  "0401007f007f042f020204fe080302010 20106ff0402",
	  { { 0, 2 },
	    { 4, 303 },
	    { 8, 305 },
	    { 10, 303 },
	    { 14, 306 },
	    { 22, 307 },
	    { 24, 308 },
	    { 26, 307 },
	    { 32, 309 },
	    { 36, 0 } } },
	{ PY(3, 13),
	  "8000d80809 8041f45a0900090a8821e00607f30502090980 41f306000e0f8801dc0809d80a0b"
	  "f60301090df103000e0ff006000c0d8048",
	  { { 0, 1 },
	    { 2, 2 },
	    { 6, 303 },
	    { 18, 305 },
	    { 20, 303 },
	    { 30, 306 },
	    { 40, 307 },
	    { 50, 308 },
	    { 52, 307 },
	    { 66, 306 },
	    { 70, 309 },
	    { 74, 0 } } },
	{ PY(3, 15),
	  "8100d808098041f45a0900090a8821e00607f3050209098041f306000e0f8801dc0809d80a0b"
	  "f60301090df103000e0ff006000c0d8048",
	  { { 0, 1 },
	    { 4, 2 },
	    { 8, 303 },
	    { 20, 305 },
	    { 22, 303 },
	    { 32, 306 },
	    { 42, 307 },
	    { 52, 308 },
	    { 54, 307 },
	    { 68, 306 },
	    { 72, 309 },
	    { 76, 0 } } },
};

/* The bytes of @hex (blanks ignored) in memory that ends where they end, so that ASan sees more. */
static uint8_t *unhex(const char *hex, size_t *len)
{
	uint8_t *out = malloc(strlen(hex) / 2 + 1), *exact;
	char digits[3] = "";

	*len = 0;
	for (size_t cnt = 0; *hex; hex++) {
		if (*hex == ' ')
			continue;
		digits[cnt++ % 2] = *hex;
		if (cnt % 2 == 0)
			out[(*len)++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	exact = malloc(*len ? *len : 1);
	memcpy(exact, out, *len);
	free(out);
	return exact;
}

static int32_t line_at(uint16_t version, const char *hex, int32_t first, int32_t lasti)
{
	size_t len;
	uint8_t *table = unhex(hex, &len);
	int32_t line = py_line(version, table, len, first, lasti);

	free(table);
	return line;
}

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		const struct range *r = e->ranges;
		/* 3.10 counts in code units. */
		int32_t unit = e->version == PY(3, 10) ? 2 : 1;

		for (; r->line > 0; r++) {
			int32_t end = r[1].line > 0 || !r[1].line ? r[1].start : r->start + 40;

			for (int32_t at = r->start; at < end; at += 2)
				assert_int_equal(line_at(e->version, e->hex, 1, at / unit),
				                 r->line);
		}
		if (!r->line)
			assert_int_equal(line_at(e->version, e->hex, 1, r->start / unit), 0);
		assert_int_equal(line_at(e->version, e->hex, 1, -1), 1);
		assert_int_equal(line_at(e->version, e->hex, 1, -2), 1);
	}
}

static void test_sign_of_delta(void **state)
{
	(void)state;
	/* 2.7 has no negative deltas: ff is 255. */
	assert_int_equal(line_at(PY(2, 7), "00ff", 10, 0), 265);
	assert_int_equal(line_at(PY(3, 6), "00ff", 10, 0), 9);
	assert_int_equal(line_at(PY(3, 10), "02ff", 10, 0), 9);
	/* Code 13, delta -3: zig-zag 7. */
	assert_int_equal(line_at(PY(3, 11), "e807", 10, 0), 7);
}

static void test_no_line(void **state)
{
	(void)state;
	/* 3.10: [0,2) none, [2,4) the running line, which the entry without one did not move. */
	assert_int_equal(line_at(PY(3, 10), "0280 0201", 10, 0), 0);
	assert_int_equal(line_at(PY(3, 10), "0280 0201", 10, 1), 11);
	/* Code 15, then code 11 with two column bytes. */
	assert_int_equal(line_at(PY(3, 12), "f8 d80102", 10, 0), 0);
	assert_int_equal(line_at(PY(3, 12), "f8 d80102", 10, 2), 11);
	/* An empty 3.10 entry accumulates only. */
	assert_int_equal(line_at(PY(3, 10), "0005 0201", 10, 0), 16);
}

static void test_not_a_line_number(void **state)
{
	(void)state;
	assert_int_equal(line_at(PY(3, 9), "00ff00ff", 1, 0), 0);
	assert_int_equal(line_at(PY(3, 9), "", -5, -1), 0);
	assert_int_equal(line_at(PY(3, 9), "0001", INT32_MAX, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "d80000", INT32_MAX, 0), 0);
	/* Line 0: what 3.11 gives a module's RESUME. */
	assert_int_equal(line_at(PY(3, 11), "e803", 1, 0), 0);
}

static void test_damaged(void **state)
{
	(void)state;
	/* Empty, half a pair, an entry without its top bit, a number cut or too long. */
	assert_int_equal(line_at(PY(3, 10), "", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 10), "02", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "00", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "e8", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "e847", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "e8 404040404001", 5, 0), 5 + (1 << 29));
	assert_int_equal(line_at(PY(3, 11), "e8 40404040404001", 5, 0), 0);
	assert_int_equal(line_at(PY(3, 11), "e8 41 d80000", 5, 0), 0);
	/* What lies before the damage is still good. */
	assert_int_equal(line_at(PY(3, 11), "d80000 e8", 5, 0), 6);
	assert_int_equal(line_at(PY(3, 9), "0001 04", 5, 2), 6);
}

static void test_cut_table(void **state)
{
	const uint8_t lnotab[] = { 0, 1, 4, 1, 6, 1 };

	(void)state;
	/* Without the third pair nobody knows whether byte 4 is the last one of line 7. */
	assert_true(py_line_reaches(PY(3, 9), lnotab, 4, 3));
	assert_false(py_line_reaches(PY(3, 9), lnotab, 4, 4));
	assert_true(py_line_reaches(PY(3, 9), lnotab, 6, 9));
	assert_false(py_line_reaches(PY(2, 7), lnotab, 0, 0));
	assert_true(py_line_reaches(PY(2, 7), lnotab, 0, -1));
	assert_true(py_line_reaches(PY(3, 11), lnotab, 0, 4000));
}

/* Every prefix and every single-byte change of every example: bounded, and clean under ASan. */
static void test_any_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		size_t len;
		uint8_t *table = unhex(examples[i].hex, &len);

		for (size_t cut = 0; cut <= len; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1);

			memcpy(exact, table, cut);
			for (int32_t lasti = -1; lasti < 80; lasti++)
				assert_true(py_line(examples[i].version, exact, cut, 1, lasti) <=
				            309);
			free(exact);
		}
		for (size_t at = 0; at < len * 256; at++) {
			uint8_t was = table[at / 256];

			table[at / 256] = (uint8_t)at;
			for (int32_t lasti = 0; lasti < 80; lasti += 10)
				assert_true(py_line(examples[i].version, table, len, 1, lasti) >=
				            0);
			table[at / 256] = was;
		}
		free(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),  cmocka_unit_test(test_sign_of_delta),
		cmocka_unit_test(test_no_line),   cmocka_unit_test(test_not_a_line_number),
		cmocka_unit_test(test_damaged),   cmocka_unit_test(test_cut_table),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
