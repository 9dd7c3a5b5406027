// SPDX-License-Identifier: Apache-2.0
/*
 * Forged interpreters: this program itself, which has the symbols of a CPython, with some of its bytes
 * changed.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "debug_offsets.h"
#include "py/discover.h"
#include "util/file.h"

#define RUNTIME_SIZE 0x28b20 /* of 3.11.7 */
#define COOKIE       "this is where a CPython's _PyRuntime begins"
#define LIST_MAX     64u << 20

/* What follows is looked for by name. */
unsigned char _PyRuntime[RUNTIME_SIZE] = COOKIE;
uint64_t Py_Version = 0x030b07f0;
/* ob_refcnt, ob_type, ob_size, tp_name, tp_basicsize: of 3.11 */
uint64_t PyCode_Type[5] = { 0xc0de, 0, 0, 0, 184 };
uint64_t PyFrame_Type[5] = { 0xf7a3e, 0, 0, 0, 120 };
uint64_t PyUnicode_Type[5] = { 0x57f, 0, 0, 0, 80 };
__thread void *_Py_tss_tstate, *_Py_tss_gilstate;
void *_PyThreadState_Current;
const char *Py_GetVersion(void);
void *PyGILState_GetThisThreadState(void);

const char *Py_GetVersion(void)
{
	return "3.6.15";
}

/* As compilers make it of 3.6 and 2.7; no name tells where the variables are. */
static int32_t thread_key __attribute__((used)) = -1;
static uint64_t interpreter __attribute__((used));
static uint64_t first_interpreter __attribute__((used));
__asm__(".text\n"
        ".global PyGILState_GetThisThreadState\n"
        ".type PyGILState_GetThisThreadState, @function\n"
        "PyGILState_GetThisThreadState:\n"
        "cmpq $0, interpreter(%rip)\n"
        "je 1f\n"
        "movl thread_key(%rip), %edi\n"
        "jmp 1f\n"
        "1: xorl %eax, %eax\n"
        "ret\n"
        ".size PyGILState_GetThisThreadState, . - PyGILState_GetThisThreadState\n"
        ".global PyInterpreterState_Head\n"
        ".type PyInterpreterState_Head, @function\n"
        "PyInterpreterState_Head:\n"
        "movq first_interpreter(%rip), %rax\n"
        "ret\n"
        ".size PyInterpreterState_Head, . - PyInterpreterState_Head\n");

struct forgery {
	struct buf bytes;
	struct py_file file;
};

static void forgery_begin(struct forgery *forgery)
{
	*forgery = (struct forgery){ 0 };
	assert_int_equal(file_read("/proc/self/exe", LIST_MAX, &forgery->bytes), 0);
}

static void forgery_end(struct forgery *forgery)
{
	py_file_free(&forgery->file);
	buf_free(&forgery->bytes);
}

/* The first place from @start on that has those bytes; the end: there is none. */
static size_t find(const struct forgery *forgery, size_t start, const void *bytes, size_t len)
{
	while (start + len <= forgery->bytes.len &&
	       memcmp(forgery->bytes.data + start, bytes, len) != 0)
		start++;
	return start + len <= forgery->bytes.len ? start : forgery->bytes.len;
}

/* Replace the only place with those bytes. */
static void change(struct forgery *forgery, const void *from, const void *to, size_t len)
{
	size_t at = find(forgery, 0, from, len);

	assert_true(at < forgery->bytes.len);
	assert_int_equal(find(forgery, at + 1, from, len), forgery->bytes.len);
	memcpy(forgery->bytes.data + at, to, len);
}

static void change_u64s(struct forgery *forgery, const uint64_t *from, size_t at, uint64_t value)
{
	uint64_t to[5];

	memcpy(to, from, sizeof(to));
	to[at] = value;
	change(forgery, from, to, sizeof(to));
}

/* Make the symbol of that name one that is defined elsewhere. */
static void hide_symbol(struct forgery *forgery, const char *name)
{
	char *base = forgery->bytes.data;
	const Elf64_Ehdr *file = (const Elf64_Ehdr *)(void *)base;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(void *)(base + file->e_shoff);
	size_t hidden = 0;

	for (size_t i = 0; i < file->e_shnum; i++) {
		Elf64_Sym *symbols = (Elf64_Sym *)(void *)(base + sections[i].sh_offset);
		const char *names = base + sections[sections[i].sh_link].sh_offset;

		if (sections[i].sh_type != SHT_SYMTAB && sections[i].sh_type != SHT_DYNSYM)
			continue;
		for (size_t n = 0; n < sections[i].sh_size / sizeof(*symbols); n++) {
			if (strcmp(names + symbols[n].st_name, name) != 0)
				continue;
			symbols[n].st_shndx = SHN_UNDEF;
			hidden++;
		}
	}
	assert_true(hidden > 0);
}

/* Put debug offsets where _PyRuntime begins. */
static void put_offsets(struct forgery *forgery, const unsigned char data[DEBUG_OFFSETS_MAX])
{
	size_t at = find(forgery, 0, _PyRuntime, 64);

	assert_true(at < forgery->bytes.len);
	memcpy(forgery->bytes.data + at, data, DEBUG_OFFSETS_MAX);
}

static const struct py_binary *inspect(struct forgery *forgery)
{
	int fd = memfd_create("python", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, forgery->bytes.data, forgery->bytes.len), forgery->bytes.len);
	assert_int_equal(py_file_inspect(fd, &forgery->file), 0);
	close(fd);
	assert_non_null(forgery->file.python);
	return forgery->file.python;
}

/* Debug offsets in the shape of row @which that call themselves @hex; a field may be overwritten. */
static const struct py_binary *inspect_offsets(struct forgery *forgery, size_t which, uint64_t hex,
                                               int free_threaded, enum debug_field field,
                                               uint64_t value)
{
	unsigned char data[DEBUG_OFFSETS_MAX];

	build(data, which, free_threaded);
	memcpy(data + 8, &hex, sizeof(hex));
	if (field != DBG_FIELD_CNT)
		memcpy(data + debug_rows[which].at[field], &value, sizeof(value));
	forgery_begin(forgery);
	put_offsets(forgery, data);
	return inspect(forgery);
}

static void expect_reason(const struct py_binary *python, const char *part)
{
	if (!strstr(python->reason, part))
		fail_msg("\"%s\" does not say \"%s\"", python->reason, part);
}

/* Newer than any known: used where everything needed is there, and called untested. */
static void test_newer(void **state)
{
	static const uint64_t hexes[] = { 0x031000a3, 0x031000f0, 0x031105f0 };
	static const char *const names[] = { "3.16.0a3", "3.16.0", "3.17.5" };
	struct forgery forgery;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (int free_threaded = 0; free_threaded < 2; free_threaded++) {
			const struct py_binary *python =
				inspect_offsets(&forgery, debug_row_cnt - 1, hexes[i],
			                        free_threaded, DBG_FIELD_CNT, 0);

			assert_string_equal(python->reason, "");
			assert_string_equal(python->version, names[i]);
			assert_string_equal(python->source, "debug offsets (untested version)");
			assert_int_equal(python->layout.version, hexes[i] >> 16);
			assert_int_equal(python->tls_tstate.form, PY_TLS_STATIC);
			assert_int_equal(python->tls_gilstate.form, PY_TLS_STATIC);
			forgery_end(&forgery);
		}
	}
}

static void test_newer_that_lacks_a_field(void **state)
{
	static const enum debug_field fields[] = { DBG_TSTATE_CURRENT_FRAME, DBG_TSTATE_THREAD_ID,
		                                   DBG_FRAME_OWNER,          DBG_CODE_QUALNAME,
		                                   DBG_CODE_LINETABLE,       DBG_CODE_ADAPTIVE };
	struct forgery forgery;

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct py_binary *python =
			inspect_offsets(&forgery, debug_row_cnt - 1, 0x031000f0, 0, fields[i], 0);

		expect_reason(python, debug_field_names[fields[i]]);
		forgery_end(&forgery);
	}
}

static void test_known(void **state)
{
	struct forgery forgery;
	const struct py_binary *python;

	(void)state;
	for (size_t which = 0; which < debug_row_cnt; which++) {
		for (int free_threaded = 0; free_threaded < 2; free_threaded++) {
			python = inspect_offsets(&forgery, which, reals[which].hex, free_threaded,
			                         DBG_FIELD_CNT, 0);
			assert_string_equal(python->reason, "");
			assert_string_equal(python->source, "debug offsets");
			assert_int_equal(python->layout.flags & PV_LAYOUT_FREE_THREADED,
			                 free_threaded ? PV_LAYOUT_FREE_THREADED : 0);
			forgery_end(&forgery);
		}
	}
	/* 3.15.0a2 */
	python = inspect_offsets(&forgery, debug_row_cnt - 1, 0x030f00a2, 0, DBG_FIELD_CNT, 0);
	expect_reason(python, "alpha");
	forgery_end(&forgery);
}

/* Up to 3.12 the binary has to agree with the table. */
static void test_table(void **state)
{
	static const struct {
		uint64_t *symbol;
		size_t at;
		uint64_t value;
		const char *reason;
	} rows[] = {
		{ PyCode_Type, 4, 200, "PyCode_Type" },
		{ PyCode_Type, 4, 184 + (1ull << 32), "PyCode_Type" },
		{ PyFrame_Type, 4, 0, "PyFrame_Type" },
		{ PyUnicode_Type, 4, 64, "PyUnicode_Type" },
	};
	struct forgery forgery;
	const struct py_binary *python;

	(void)state;
	forgery_begin(&forgery);
	python = inspect(&forgery);
	assert_string_equal(python->reason, "");
	assert_string_equal(python->version, "3.11.7");
	assert_string_equal(python->source, "table 3.11");
	forgery_end(&forgery);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		forgery_begin(&forgery);
		change_u64s(&forgery, rows[i].symbol, rows[i].at, rows[i].value);
		expect_reason(inspect(&forgery), rows[i].reason);
		forgery_end(&forgery);
	}
}

/* Without a _PyRuntime: 2.7 and 3.6. The key is found in the code. */
static void test_legacy(void **state)
{
	struct forgery forgery;
	const struct py_binary *python;

	(void)state;
	forgery_begin(&forgery);
	hide_symbol(&forgery, "_PyRuntime");
	hide_symbol(&forgery, "Py_Version");
	change_u64s(&forgery, PyCode_Type, 4, 144);
	change_u64s(&forgery, PyFrame_Type, 4, 384);
	python = inspect(&forgery);
	assert_string_equal(python->reason, "");
	assert_string_equal(python->version, "3.6.15");
	assert_string_equal(python->source, "table 3.6");
	assert_true(python->_PyThreadState_Current && python->autoTLSkey);
	assert_int_equal(python->_PyRuntime, 0);
	forgery_end(&forgery);
	forgery_begin(&forgery);
	hide_symbol(&forgery, "_PyRuntime");
	hide_symbol(&forgery, "Py_Version");
	change(&forgery, "3.6.15", "2.7.18", 6);
	change_u64s(&forgery, PyCode_Type, 4, 128);
	change_u64s(&forgery, PyFrame_Type, 4, 384);
	change_u64s(&forgery, PyUnicode_Type, 4, 48);
	python = inspect(&forgery);
	assert_string_equal(python->reason, "");
	assert_string_equal(python->source, "table 2.7");
	assert_true(python->_PyThreadState_Current && python->interp_head);
	assert_int_equal(python->autoTLSkey, 0);
	forgery_end(&forgery);
	/* A 3.11 has one. */
	forgery_begin(&forgery);
	hide_symbol(&forgery, "_PyRuntime");
	expect_reason(inspect(&forgery), "without _PyRuntime");
	forgery_end(&forgery);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newer),  cmocka_unit_test(test_newer_that_lacks_a_field),
		cmocka_unit_test(test_known),  cmocka_unit_test(test_table),
		cmocka_unit_test(test_legacy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
