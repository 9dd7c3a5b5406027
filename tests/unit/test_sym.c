// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "py/code.h"
#include "sym/sym.h"

#define PY(major, minor) ((major) << 8 | (minor))
#define CODE_ADDR        0x7f0000001230ull
#define CODE_FP          0xabcdefu

struct fixture {
	struct sym_store *store;
	struct sym *sym;
	struct profile *profile;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->store = sym_store__new();
	f->sym = sym__new(f->store);
	f->profile = profile__new();
	*state = f;
	return f->sym && f->profile ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sym__free(f->sym);
	assert_int_equal(sym_store__code_cnt(f->store), 0);
	sym_store__free(f->store);
	profile__free(f->profile);
	free(f);
	return 0;
}

struct fields {
	const char *name;
	const char *file;
	const char *table;
	size_t table_len;
	int32_t firstlineno;
	int32_t firsttraceable;
	uint32_t flags;
	uint64_t code;
};

static int learn_in(struct sym *sym, const struct fields *fields)
{
	size_t name_len = strlen(fields->name), file_len = strlen(fields->file);
	size_t size = sizeof(struct pv_symbol) + name_len + file_len + fields->table_len;
	struct pv_symbol *symbol = calloc(1, size);
	int err;

	symbol->code = fields->code ? fields->code : CODE_ADDR;
	symbol->fp = CODE_FP;
	symbol->flags = fields->flags;
	symbol->firstlineno = fields->firstlineno;
	symbol->firsttraceable = fields->firsttraceable;
	symbol->name_len = (__u16)name_len;
	symbol->file_len = (__u16)file_len;
	symbol->table_len = (__u16)fields->table_len;
	symbol->name_kind = symbol->file_kind = 1;
	memcpy(symbol->payload, fields->name, name_len);
	memcpy(symbol->payload + name_len, fields->file, file_len);
	if (fields->table_len)
		memcpy(symbol->payload + name_len + file_len, fields->table, fields->table_len);
	err = sym__learn(sym, symbol, size);
	free(symbol);
	return err;
}

static int learn(struct fixture *f, const struct fields *fields)
{
	return learn_in(f->sym, fields);
}

static struct pv_frame frame_of(uint32_t kind, int32_t lasti)
{
	return (struct pv_frame){ .addr = CODE_ADDR,
		                  .kind_fp = CODE_FP << 8 | kind,
		                  .lasti = lasti };
}

/* The frame as a person sees it, "name file:line", or "" when it is not shown. */
static const char *shown(struct fixture *f, uint16_t version, uint32_t kind, int32_t lasti)
{
	static char text[256];
	struct pv_frame frame = frame_of(kind, lasti);
	const struct profile_frame *out;
	uint32_t id;
	int err = -1;

	id = sym__frame(f->sym, sym__code(f->sym, &frame), version, &frame, f->profile, &err);
	assert_int_equal(err, 0);
	if (id == PROFILE_NONE)
		return "";
	out = profile__frame_at(f->profile, id);
	snprintf(text, sizeof(text), "%s%s %s:%d", out->kind == PROFILE_FRAME_MARK ? "!" : "",
	         profile__string_at(f->profile, out->name, NULL),
	         profile__string_at(f->profile, out->file, NULL), out->line);
	return text;
}

static const struct fields plain = { "f", "x.py", "\xd8\0\0\xd8\0\0", 6, 10, 1, 0, 0 };

static void test_identity(void **state)
{
	struct fixture *f = *state;
	struct pv_frame frame = frame_of(PV_FRAME_PYTHON, 4), other = frame;
	uint32_t id = sym__code(f->sym, &frame);

	assert_int_not_equal(id, SYM_NONE);
	other.lasti = 8;
	other.kind_fp = CODE_FP << 8 | PV_FRAME_GENERATOR;
	assert_int_equal(sym__code(f->sym, &other), id);
	other.kind_fp = (CODE_FP ^ 1) << 8;
	assert_int_not_equal(sym__code(f->sym, &other), id);
	other = frame;
	other.addr += 16;
	assert_int_not_equal(sym__code(f->sym, &other), id);
	other.kind_fp = PV_FRAME_UNREADABLE;
	assert_int_equal(sym__code(f->sym, &other), SYM_NONE);
	assert_int_equal(sym_store__stats(f->store)->missing, 3);
}

static void test_learn(void **state)
{
	struct fixture *f = *state;
	struct pv_frame frame = frame_of(PV_FRAME_PYTHON, 4);
	uint32_t id = sym__code(f->sym, &frame);

	assert_false(sym__known(f->sym, id));
	assert_true(sym__wants(f->sym));
	assert_int_equal(learn(f, &plain), 0);
	assert_true(sym__known(f->sym, id));
	assert_false(sym__wants(f->sym));
	assert_int_equal(learn(f, &plain), 0);
	assert_int_equal(sym_store__stats(f->store)->code_cnt, 1);
	assert_int_equal(sym_store__stats(f->store)->from_ring, 1);
	assert_int_equal(sym_store__stats(f->store)->missing, 0);
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 2), "f x.py:12");
	/* The instruction before the first: 3.10 shows the frame at its first line. */
	assert_string_equal(shown(f, PY(3, 10), PV_FRAME_PYTHON, -1), "f x.py:10");
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	struct fields fields = plain;

	for (uint64_t i = 0; i < 5000; i++) {
		fields.code = CODE_ADDR + 16 * i;
		assert_int_equal(learn(f, &fields), 0);
	}
	assert_int_equal(sym_store__stats(f->store)->code_cnt, 5000);
	for (uint64_t i = 0; i < 5000; i++) {
		struct pv_frame frame = frame_of(PV_FRAME_PYTHON, 4);

		frame.addr += 16 * i;
		assert_true(sym__known(f->sym, sym__code(f->sym, &frame)));
	}
	assert_int_equal(sym_store__stats(f->store)->code_cnt, 5000);
	assert_int_equal(sym_store__stats(f->store)->missing, 0);
}

/* What is at an address of one image says nothing of another. */
static void test_two_images(void **state)
{
	struct fixture *f = *state;
	struct sym *other = sym__new(f->store);
	struct pv_frame frame = frame_of(PV_FRAME_PYTHON, 4);
	struct fields fields = plain;

	assert_int_equal(learn(f, &plain), 0);
	assert_false(sym__known(other, sym__code(other, &frame)));
	fields.name = "g";
	assert_int_equal(learn_in(other, &fields), 0);
	assert_int_equal(sym_store__code_cnt(f->store), 2);
	/* Of the file and the table there is one. */
	assert_int_equal(sym_store__bytes(f->store), strlen("f"
	                                                    "g"
	                                                    "x.py") +
	                                                     plain.table_len);
	sym__free(other);
	assert_int_equal(sym_store__code_cnt(f->store), 1);
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 2), "f x.py:12");
	assert_int_equal(sym_store__stats(f->store)->code_cnt, 2);
}

/* Images come and go, each with names of its own: what is held is what those that are there have. */
static void test_strings_of_the_dead(void **state)
{
	enum { LIVES = 20, NAMES = 300, LEN = 1000 };
	struct fixture *f = *state;
	struct fields fields = plain;
	char name[LEN + 1];
	uint64_t most = 0;

	assert_int_equal(learn(f, &plain), 0);
	memset(name, 'n', LEN);
	name[LEN] = '\0';
	fields.name = name;
	for (int life = 0; life < LIVES; life++) {
		struct sym *sym = sym__new(f->store);

		for (int i = 0; i < NAMES; i++) {
			memcpy(name,
			       (char[]){ (char)('a' + life), (char)('a' + i / 26),
			                 (char)('a' + i % 26) },
			       3);
			fields.code = CODE_ADDR + 16 * (uint64_t)i;
			assert_int_equal(learn_in(sym, &fields), 0);
		}
		if (sym_store__bytes(f->store) > most)
			most = sym_store__bytes(f->store);
		sym__free(sym);
	}
	assert_true(LIVES * NAMES * LEN > SYM_TRIM_MIN);
	assert_true(most < SYM_TRIM_MIN + (NAMES + 1) * LEN);
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 2), "f x.py:12");
}

static void test_hidden_frames(void **state)
{
	struct fixture *f = *state;
	struct fields fields = plain;

	assert_int_equal(learn(f, &fields), 0);
	/* firsttraceable is 1 unit: byte 2 is the first that counts, but not for a generator. */
	assert_string_equal(shown(f, PY(3, 11), PV_FRAME_PYTHON, 0), "");
	assert_string_equal(shown(f, PY(3, 11), PV_FRAME_PYTHON, -2), "");
	assert_string_equal(shown(f, PY(3, 11), PV_FRAME_PYTHON, 2), "f x.py:12");
	assert_string_equal(shown(f, PY(3, 11), PV_FRAME_GENERATOR, 0), "f x.py:11");
	assert_string_equal(shown(f, PY(3, 10), PV_FRAME_PYTHON, -1), "f x.py:10");
	assert_string_equal(shown(f, PY(3, 14), 77, 2), "");
}

static void test_trampoline(void **state)
{
	struct fixture *f = *state;
	struct fields fields = { "<interpreter trampoline>", "<shim>", "\xd8\0\0", 3, 1, 0, 0, 0 };

	assert_int_equal(learn(f, &fields), 0);
	assert_string_equal(shown(f, PY(3, 12), PV_FRAME_PYTHON, 0), "");
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 0),
	                    "<interpreter trampoline> <shim>:2");
}

static void test_init_shim(void **state)
{
	struct fixture *f = *state;
	struct fields fields = { "__init__", "__init__", "\xd8\0\0", 3, 1, 0, 0, 0 };

	assert_int_equal(learn(f, &fields), 0);
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 0), "");
	assert_string_equal(shown(f, PY(3, 12), PV_FRAME_PYTHON, 0), "__init__ __init__:2");
}

static void test_unknown(void **state)
{
	struct fixture *f = *state;
	struct pv_frame frame = frame_of(PV_FRAME_PYTHON, 4);
	uint32_t id;
	int err;

	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 4), "[unknown function] :0");
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_UNREADABLE, 0), "![unreadable] :0");
	id = sym__frame(f->sym, SYM_NONE, PY(3, 9), &frame, f->profile, &err);
	assert_int_equal(err, 0);
	assert_int_not_equal(id, PROFILE_NONE);
	assert_int_equal(profile__frame_at(f->profile, id)->line, 0);
}

/* A table that was cut must not lend its last line to what follows. */
static void test_cut_table(void **state)
{
	struct fixture *f = *state;
	struct fields fields = { "f", "x.py", "\0\1\4\1", 4, 10, 0, PV_SYMBOL_TABLE_CUT, 0 };

	assert_int_equal(learn(f, &fields), 0);
	assert_true(sym__wants(f->sym));
	assert_string_equal(shown(f, PY(3, 9), PV_FRAME_PYTHON, 2), "f x.py:11");
	assert_string_equal(shown(f, PY(3, 9), PV_FRAME_PYTHON, 8), "f x.py:0");
	/* Another CPU had the table in memory, but not the name. */
	fields = (struct fields){ "", "x.py", "\0\1\4\1\4\1", 6, 10, 0, PV_SYMBOL_UNREADABLE, 0 };
	assert_int_equal(learn(f, &fields), 0);
	assert_false(sym__wants(f->sym));
	assert_string_equal(shown(f, PY(3, 9), PV_FRAME_PYTHON, 8), "f x.py:13");
	assert_int_equal(sym_store__stats(f->store)->from_ring, 1);
}

static void test_unreadable_name(void **state)
{
	struct fixture *f = *state;
	struct fields fields = { "", "x.py", "\xd8\0\0", 3, 10, 0, PV_SYMBOL_UNREADABLE, 0 };

	assert_int_equal(learn(f, &fields), 0);
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, 0), "[unknown function] x.py:11");
	assert_int_equal(sym_store__stats(f->store)->missing, 1);
	assert_int_equal(sym_store__stats(f->store)->code_cnt, 0);
}

static void test_damaged_record(void **state)
{
	struct fixture *f = *state;
	struct pv_symbol symbol = { .code = CODE_ADDR, .fp = CODE_FP, .name_len = 5000 };

	assert_int_equal(sym__learn(f->sym, &symbol, sizeof(symbol)), -EPROTO);
	assert_int_equal(sym__learn(f->sym, &symbol, sizeof(symbol) - 1), -EPROTO);
	symbol.name_len = 0;
	symbol.firsttraceable = INT32_MAX;
	symbol.firstlineno = INT32_MIN;
	assert_int_equal(sym__learn(f->sym, &symbol, sizeof(symbol)), 0);
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_PYTHON, INT32_MAX), "");
	assert_string_equal(shown(f, PY(3, 13), PV_FRAME_GENERATOR, -1), " :0");
}

/* The smallest thing that reads as a code object, in this process. */
static const struct pv_layout layout = {
	.version = PY(3, 13),
	.code = { .read_len = 152,
	          .fp_off = 56,
	          .fp_str = PV_NO_FIELD,
	          .co_firstlineno = 68,
	          .co_filename = 112,
	          .co_name = 128,
	          .co_linetable = 136,
	          .co_firsttraceable = PV_NO_FIELD },
	.str = { .length = 16,
	         .state = 32,
	         .ascii_data = 40,
	         .compact_data = 56,
	         .bytes_size = 16,
	         .bytes_data = 32,
	         .kind_shift = 2,
	         .compact_bit = 5,
	         .ascii_bit = 6 },
};

static _Alignas(16) uint8_t code_object[256];
static _Alignas(16) uint8_t name_object[64];
static _Alignas(16) uint8_t table_object[64];

static struct pv_frame own_code_object(const char *name)
{
	const uint64_t name_addr = (uintptr_t)name_object, table_addr = (uintptr_t)table_object;
	const uint64_t len = strlen(name), table_len = 3;
	const uint32_t state = 1 << 2 | 1 << 5 | 1 << 6;
	const int32_t first = 10;

	memcpy(name_object + 16, &len, sizeof(len));
	memcpy(name_object + 32, &state, sizeof(state));
	memcpy(name_object + 40, name, len);
	memcpy(table_object + 16, &table_len, sizeof(table_len));
	memcpy(table_object + 32, "\xd8\0\0", 3);
	memcpy(code_object + 68, &first, sizeof(first));
	memcpy(code_object + 112, &name_addr, sizeof(name_addr));
	memcpy(code_object + 128, &name_addr, sizeof(name_addr));
	memcpy(code_object + 136, &table_addr, sizeof(table_addr));
	return (struct pv_frame){
		.addr = (uintptr_t)code_object,
		.kind_fp = py_code_fingerprint(&layout, code_object, 0) << 8,
	};
}

static void test_complete(void **state)
{
	struct fixture *f = *state;
	struct pv_frame frame = own_code_object("own.py"), other = frame;
	uint32_t id = sym__code(f->sym, &frame), stale;

	other.kind_fp ^= 1 << 8;
	stale = sym__code(f->sym, &other);
	assert_true(sym__wants(f->sym));
	assert_int_equal(sym__complete(f->sym, getpid(), &layout), 0);
	assert_false(sym__wants(f->sym));
	assert_true(sym__known(f->sym, id));
	assert_false(sym__known(f->sym, stale));
	assert_int_equal(sym_store__stats(f->store)->from_memory, 1);
	assert_int_equal(sym_store__stats(f->store)->stale, 1);
	assert_int_equal(sym_store__stats(f->store)->missing, 1);
	assert_int_equal(sym_store__stats(f->store)->code_cnt, 1);
	/* What the process could not say the ring may still. */
	assert_int_equal(learn(f, &plain), 0);
	assert_false(sym__wants(f->sym));
}

static void test_complete_gone(void **state)
{
	struct fixture *f = *state;
	struct pv_frame frame = own_code_object("own.py");
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sym__code(f->sym, &frame);
	assert_int_equal(sym__complete(f->sym, pid, &layout), -ESRCH);
	assert_false(sym__wants(f->sym));
	assert_int_equal(sym_store__stats(f->store)->missing, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_images),
		TEST(test_strings_of_the_dead),
		TEST(test_identity),
		TEST(test_learn),
		TEST(test_many),
		TEST(test_hidden_frames),
		TEST(test_trampoline),
		TEST(test_init_shim),
		TEST(test_unknown),
		TEST(test_cut_table),
		TEST(test_unreadable_name),
		TEST(test_damaged_record),
		TEST(test_complete),
		TEST(test_complete_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
