// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf/fingerprint.h"
#include "py/code.h"

#define FFFD "\xef\xbf\xbd"

static void check_utf8(const void *data, size_t len, unsigned int kind, const char *expect)
{
	struct buf out = { 0 };
	void *exact = malloc(len ? len : 1);

	memcpy(exact, data, len);
	py_string_to_utf8(exact, len, kind, &out);
	assert_string_equal(buf_str(&out), expect);
	free(exact);
	buf_free(&out);
}

#define CHECK_UCS2(expect, ...)                                                                  \
	check_utf8((const uint16_t[]){ __VA_ARGS__ }, sizeof((const uint16_t[]){ __VA_ARGS__ }), \
	           2, expect)
#define CHECK_UCS4(expect, ...)                                                                  \
	check_utf8((const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }), \
	           4, expect)

static void test_plain_strings(void **state)
{
	(void)state;
	check_utf8("", 0, 1, "");
	check_utf8("f.<locals>.g", 12, 1, "f.<locals>.g");
	check_utf8("\xe9t\xe9", 3, 1, "été");
	CHECK_UCS2("日本.py", 0x65e5, 0x672c, '.', 'p', 'y');
	CHECK_UCS4("𠀀_astral", 0x20000, '_', 'a', 's', 't', 'r', 'a', 'l');
	/* Half a code point at the end, a kind that does not exist. */
	check_utf8("a\0b", 3, 2, "a");
	check_utf8("abcd", 4, 3, "");
}

static void test_surrogates(void **state)
{
	(void)state;
	CHECK_UCS2("a" FFFD "b", 'a', 0xd800, 'b');
	/* CPython keeps a pair as two characters, neither of which is one. */
	CHECK_UCS2(FFFD FFFD, 0xd83d, 0xde00);
	/* Bytes c3 a9 that a C locale escaped are é again; half of it, or a wrong order, is not. */
	CHECK_UCS2("é", 0xdcc3, 0xdca9);
	CHECK_UCS4("éx", 0xdcc3, 0xdca9, 'x');
	CHECK_UCS2(FFFD, 0xdcc3);
	CHECK_UCS2(FFFD "é", 0xdcc3, 0xe9);
	CHECK_UCS2(FFFD FFFD, 0xdca9, 0xdcc3);
	CHECK_UCS2("😀", 0xdcf0, 0xdc9f, 0xdc98, 0xdc80);
	/* Overlong, surrogate, beyond Unicode. */
	CHECK_UCS2(FFFD FFFD, 0xdcc0, 0xdcaf);
	CHECK_UCS2(FFFD FFFD FFFD, 0xdced, 0xdca0, 0xdc80);
	CHECK_UCS2(FFFD FFFD FFFD FFFD, 0xdcf4, 0xdc90, 0xdc80, 0xdc80);
	CHECK_UCS4(FFFD FFFD, 0x110000, 0xffffffff);
}

static void test_bytes(void **state)
{
	(void)state;
	check_utf8("caf\xc3\xa9", 5, 0, "café");
	check_utf8("caf\xe9", 4, 0, "caf" FFFD);
	check_utf8("\xe6\x97", 2, 0, FFFD FFFD);
	check_utf8("\xed\xa0\x80", 3, 0, FFFD FFFD FFFD);
}

struct record {
	struct pv_symbol *symbol;
	size_t size;
};

static struct record record_new(const void *name, size_t name_len, const char *file,
                                const char *table, size_t table_len)
{
	size_t size = sizeof(struct pv_symbol) + name_len + strlen(file) + table_len;
	struct pv_symbol *symbol = calloc(1, size);

	symbol->hdr.type = PV_EVENT_SYMBOL;
	symbol->firstlineno = 7;
	symbol->firsttraceable = 2;
	symbol->name_len = (__u16)name_len;
	symbol->file_len = (__u16)strlen(file);
	symbol->table_len = (__u16)table_len;
	symbol->name_kind = 1;
	symbol->file_kind = 1;
	memcpy(symbol->payload, name, name_len);
	memcpy(symbol->payload + name_len, file, strlen(file));
	memcpy(symbol->payload + name_len + strlen(file), table, table_len);
	return (struct record){ symbol, size };
}

static void test_event(void **state)
{
	struct record record = record_new("caf\xe9", 4, "x.py", "\xd8\0\0", 3);
	struct py_code code = { 0 };

	(void)state;
	assert_int_equal(py_code_from_event(record.symbol, record.size, &code), 0);
	assert_string_equal(buf_str(&code.name), "café");
	assert_string_equal(buf_str(&code.file), "x.py");
	assert_int_equal(code.table.len, 3);
	assert_memory_equal(code.table.data, "\xd8\0\0", 3);
	assert_int_equal(code.firstlineno, 7);
	assert_int_equal(code.firsttraceable, 2);
	assert_int_equal(code.lacks, 0);
	py_code_free(&code);
	free(record.symbol);
}

static void test_event_lacks(void **state)
{
	struct record record = record_new("f", 1, "x.py", "", 0);
	struct py_code code = { 0 };

	(void)state;
	record.symbol->flags = PV_SYMBOL_FILE_CUT;
	assert_int_equal(py_code_from_event(record.symbol, record.size, &code), 0);
	assert_int_equal(code.lacks, PY_CODE_FILE);
	py_code_free(&code);
	record.symbol->flags = PV_SYMBOL_UNREADABLE;
	assert_int_equal(py_code_from_event(record.symbol, record.size, &code), 0);
	assert_int_equal(code.lacks, PY_CODE_TABLE);
	py_code_free(&code);
	free(record.symbol);
}

static void test_event_hostile(void **state)
{
	struct record record = record_new("f", 1, "x.py", "\xd8\0\0", 3);
	struct pv_symbol *symbol = record.symbol;
	struct py_code code = { 0 };

	(void)state;
	for (size_t size = 0; size < record.size; size++) {
		struct pv_symbol *cut = malloc(size ? size : 1);

		memcpy(cut, symbol, size);
		assert_int_equal(py_code_from_event(cut, size, &code), -EPROTO);
		free(cut);
	}
	symbol->name_len = symbol->file_len = symbol->table_len = UINT16_MAX;
	assert_int_equal(py_code_from_event(symbol, record.size, &code), -EPROTO);
	symbol->name_len = 1;
	symbol->file_len = 4;
	symbol->table_len = 3;
	symbol->name_kind = 3;
	assert_int_equal(py_code_from_event(symbol, record.size, &code), -EPROTO);
	symbol->name_kind = 1;
	symbol->file_kind = 255;
	assert_int_equal(py_code_from_event(symbol, record.size, &code), -EPROTO);
	assert_null(code.name.data);
	free(symbol);
}

/*
 * A code object of our own making in our own memory: the layout of 3.13, but small. The strings lie
 * at the very end of a mapping, behind which nothing is readable.
 */
static const struct pv_layout layout = {
	.version = 0x030d,
	.code = { .read_len = 152,
	          .fp_off = 56,
	          .fp_str = PV_NO_FIELD,
	          .ob_type = 8,
	          .co_firstlineno = 68,
	          .co_filename = 112,
	          .co_name = 128,
	          .co_linetable = 136,
	          .co_code_adaptive = 200,
	          .co_firsttraceable = 144 },
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
};

struct memory {
	uint8_t *base;
	uint8_t *end; /* of what is readable */
	uint8_t *at;  /* objects grow down from the end */
};

static struct memory memory_new(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct memory m;

	len = (len + page - 1) & ~(page - 1);
	m.base = mmap(NULL, len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(m.base, MAP_FAILED);
	m.end = m.at = m.base + len;
	assert_int_equal(mprotect(m.end, page, PROT_NONE), 0);
	return m;
}

static void memory_free(struct memory *m)
{
	munmap(m->base, (size_t)(m->end - m->base) + (size_t)sysconf(_SC_PAGESIZE));
}

static void put_u64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* A compact str of @cnt code points; ASCII if @kind is 1 and no byte has its top bit. */
static uint64_t put_str(struct memory *m, const void *data, uint64_t cnt, unsigned int kind,
                        int is_ascii)
{
	size_t head = is_ascii ? layout.str.ascii_data : layout.str.compact_data;
	uint32_t state = kind << 2 | 1 << 5 | (uint32_t)is_ascii << 6;

	m->at -= head + cnt * kind;
	put_u64(m->at + layout.str.length, cnt);
	memcpy(m->at + layout.str.state, &state, sizeof(state));
	memcpy(m->at + head, data, cnt * kind);
	return (uint64_t)(uintptr_t)m->at;
}

static uint64_t put_bytes(struct memory *m, const void *data, size_t len)
{
	m->at -= layout.str.bytes_data + len;
	put_u64(m->at + layout.str.bytes_size, len);
	memcpy(m->at + layout.str.bytes_data, data, len);
	return (uint64_t)(uintptr_t)m->at;
}

static uint64_t put_code(struct memory *m, uint64_t name, uint64_t file, uint64_t table)
{
	int32_t first = 42, traceable = 1;

	m->at = (uint8_t *)((uintptr_t)(m->at - layout.code.read_len) & ~(uintptr_t)15);
	memcpy(m->at + layout.code.co_firstlineno, &first, sizeof(first));
	memcpy(m->at + layout.code.co_firsttraceable, &traceable, sizeof(traceable));
	put_u64(m->at + layout.code.co_name, name);
	put_u64(m->at + layout.code.co_filename, file);
	put_u64(m->at + layout.code.co_linetable, table);
	return (uint64_t)(uintptr_t)m->at;
}

static void test_process(void **state)
{
	const uint32_t name[] = { 0x20000, '_', 'x' };
	struct memory m = memory_new(16384);
	uint64_t file = put_str(&m, "/usr/x.py", 9, 1, 1);
	uint64_t addr =
		put_code(&m, put_str(&m, name, 3, 4, 0), file, put_bytes(&m, "\xd8\0\0", 3));
	uint32_t fp = py_code_fingerprint(&layout, (void *)(uintptr_t)addr, 0);
	struct py_code code = { 0 };

	(void)state;
	assert_int_equal(fp, pv_fingerprint((__u64 *)(uintptr_t)(addr + 56), 0));
	assert_int_equal(py_code_from_process(getpid(), &layout, addr, fp, &code), 0);
	assert_string_equal(buf_str(&code.name), "𠀀_x");
	assert_string_equal(buf_str(&code.file), "/usr/x.py");
	assert_int_equal(code.table.len, 3);
	assert_int_equal(code.firstlineno, 42);
	assert_int_equal(code.firsttraceable, 1);
	assert_int_equal(code.lacks, 0);
	py_code_free(&code);
	assert_int_equal(py_code_from_process(getpid(), &layout, addr, fp ^ 1, &code), -ESTALE);
	assert_int_equal(py_code_from_process(getpid(), &layout, (uint64_t)(uintptr_t)m.end - 8, fp,
	                                      &code),
	                 -EFAULT);
	assert_int_equal(py_code_from_process(getpid(), &layout, 0, fp, &code), -EFAULT);
	assert_null(code.name.data);
	memory_free(&m);
}

static void test_process_fp_str(void **state)
{
	struct pv_layout with_hash = layout;
	struct memory m = memory_new(16384);
	uint64_t name = put_str(&m, "f", 1, 1, 1), addr;
	struct py_code code = { 0 };
	uint32_t fp;

	(void)state;
	with_hash.code.fp_str = with_hash.code.co_name;
	put_u64((uint8_t *)(uintptr_t)name + layout.str.hash, 0x1234567);
	addr = put_code(&m, name, name, put_bytes(&m, "", 0));
	fp = py_code_fingerprint(&with_hash, (void *)(uintptr_t)addr, 0x1234567);
	assert_int_equal(py_code_from_process(getpid(), &with_hash, addr, fp, &code), 0);
	assert_string_equal(buf_str(&code.file), "f");
	py_code_free(&code);
	put_u64((uint8_t *)(uintptr_t)name + layout.str.hash, 0x7654321);
	assert_int_equal(py_code_from_process(getpid(), &with_hash, addr, fp, &code), -ESTALE);
	memory_free(&m);
}

static int read_with_name(struct memory *m, uint64_t name, uint64_t table, struct py_code *code)
{
	uint64_t addr = put_code(m, name, put_str(m, "x.py", 4, 1, 1), table);
	uint32_t fp = py_code_fingerprint(&layout, (void *)(uintptr_t)addr, 0);

	return py_code_from_process(getpid(), &layout, addr, fp, code);
}

static void test_process_hostile(void **state)
{
	const uint64_t lengths[] = { 2, 1 << 19, UINT64_MAX, INT64_MAX, 1ull << 62, 1ull << 32 };
	struct memory m = memory_new(65536);
	uint64_t name = put_str(&m, "f", 1, 1, 1), table;
	uint8_t *str = (uint8_t *)(uintptr_t)name;
	struct py_code code = { 0 };
	uint32_t kind3 = 3 << 2 | 1 << 5;

	(void)state;
	table = put_bytes(&m, "", 0);
	/* Longer than the memory behind it. */
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put_u64(str + layout.str.length, lengths[i]);
		assert_int_equal(read_with_name(&m, name, table, &code), -EFAULT);
	}
	put_u64(str + layout.str.length, 1);
	memcpy(str + layout.str.state, &kind3, sizeof(kind3));
	assert_int_equal(read_with_name(&m, name, table, &code), -EFAULT);
	assert_int_equal(read_with_name(&m, 0, table, &code), -EFAULT);
	assert_int_equal(read_with_name(&m, UINT64_MAX, table, &code), -EFAULT);
	name = put_str(&m, "g", 1, 1, 1);
	put_u64((uint8_t *)(uintptr_t)table + layout.str.bytes_size, UINT64_MAX);
	assert_int_equal(read_with_name(&m, name, table, &code), -EFAULT);
	assert_int_equal(read_with_name(&m, name, 8, &code), -EFAULT);
	assert_null(code.name.data);
	assert_null(code.table.data);
	memory_free(&m);
}

static void test_process_bounds(void **state)
{
	size_t name_len = PY_NAME_MAX + 10, table_len = PY_TABLE_MAX + 10;
	struct memory m = memory_new(name_len + table_len + 65536);
	char *fill = malloc(table_len);
	struct py_code code = { 0 };
	uint64_t name, table;

	(void)state;
	memset(fill, 'n', table_len);
	name = put_str(&m, fill, name_len, 1, 1);
	table = put_bytes(&m, fill, table_len);
	assert_int_equal(read_with_name(&m, name, table, &code), 0);
	assert_int_equal(code.name.len, PY_NAME_MAX);
	assert_int_equal(code.table.len, PY_TABLE_MAX);
	assert_int_equal(code.lacks, PY_CODE_NAME | PY_CODE_TABLE);
	py_code_free(&code);
	free(fill);
	memory_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_strings),   cmocka_unit_test(test_surrogates),
		cmocka_unit_test(test_bytes),           cmocka_unit_test(test_event),
		cmocka_unit_test(test_event_lacks),     cmocka_unit_test(test_event_hostile),
		cmocka_unit_test(test_process),         cmocka_unit_test(test_process_fp_str),
		cmocka_unit_test(test_process_hostile), cmocka_unit_test(test_process_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
