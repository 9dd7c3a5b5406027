// SPDX-License-Identifier: Apache-2.0
/* test_out_text.c - escaping, UTF-8, protobuf wire, short file names, format look-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "out/out.h"
#include "out/paths.h"
#include "out/pb.h"
#include "out/text.h"

typedef void (*escape_fn)(struct buf *out, const char *s, size_t len);

static void check_sz(escape_fn escape, const char *in, size_t len, const char *want)
{
	struct buf out = { 0 };
	/* On the heap and exactly as long: a sanitizer sees a read past the end. */
	char *copy = malloc(len ? len : 1);

	memcpy(copy, in, len);
	escape(&out, copy, len);
	assert_string_equal(buf_str(&out), want);
	assert_int_equal(out.err, 0);
	buf_free(&out);
	free(copy);
}

static void check(escape_fn escape, const char *in, const char *want)
{
	check_sz(escape, in, strlen(in), want);
}

static void test_visible(void **state)
{
	(void)state;
	check(text_visible, "plain <module>", "plain <module>");
	check(text_visible, "a\nb\rc\td\\e", "a\\nb\\rc\\td\\\\e");
	check(text_visible, "\x1b[31m\x7f", "\\x1b[31m\\x7f");
	check(text_visible, "\xc2\x9b", "\\x9b");
	check(text_visible, "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8", "\\u202e\\u2066\\u2028");
	check(text_visible, "\xf3\xa0\x80\x81", "\\U000e0001");
	check(text_visible, "\xf0\x9f\x90\x8d \xe8\x9b\x87 \xc3\xa9",
	      "\xf0\x9f\x90\x8d \xe8\x9b\x87 \xc3\xa9");
	check_sz(text_visible, "a\0b", 3, "a\\x00b");
}

static void test_malformed_utf8(void **state)
{
	(void)state;
	check(text_visible, "\x80", "\xef\xbf\xbd");
	check(text_visible, "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
	check(text_visible, "\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd");
	check(text_visible, "\xe2", "\xef\xbf\xbd");
	check(text_visible, "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check(text_visible, "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check(text_visible, "\xf8z", "\xef\xbf\xbdz");
	check(text_visible, "\xe2(\xa1", "\xef\xbf\xbd(\xef\xbf\xbd");
}

static void test_xml(void **state)
{
	(void)state;
	check(text_xml, "<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
	check(text_xml, "]]>", "]]&gt;");
	check(text_xml, "\x01\x0b\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check(text_xml, "a\nb", "a&#10;b");
}

static void test_json(void **state)
{
	(void)state;
	check(text_json, "a\"b\\c", "\"a\\\"b\\\\c\"");
	check(text_json, "\n\x1f", "\"\\u000a\\u001f\"");
	check(text_json, "\xff", "\"\xef\xbf\xbd\"");
}

static void test_number(void **state)
{
	static const struct {
		uint64_t n;
		const char *want;
	} rows[] = { { 0, "0" },
		     { 999, "999" },
		     { 1000, "1,000" },
		     { 1234567, "1,234,567" },
		     { UINT64_MAX, "18,446,744,073,709,551,615" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = { 0 };

		text_number(&out, rows[i].n);
		assert_string_equal(buf_str(&out), rows[i].want);
		buf_free(&out);
	}
}

static void test_pb(void **state)
{
	struct buf out = { 0 };

	(void)state;
	pb_uint(&out, 1, 150);
	pb_uint(&out, 2, 0);
	pb_bytes(&out, 2, "testing", 7);
	pb_int(&out, 16, -1);
	assert_int_equal(out.len, 3 + 9 + 12);
	assert_memory_equal(
		out.data,
		"\x08\x96\x01\x12\x07testing\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		out.len);
	buf_free(&out);
}

static void test_formats(void **state)
{
	(void)state;
	assert_string_equal(out_formats[0]->name, "flamegraph");
	assert_string_equal(out_format_by_name("raw")->name, "folded");
	assert_string_equal(out_format_by_name("svg")->name, "flamegraph");
	assert_null(out_format_by_name("nonsense"));
	assert_string_equal(out_format_by_path("/x/a.speedscope.json")->name, "speedscope");
	assert_string_equal(out_format_by_path("a.pb.gz")->name, "pprof");
	assert_string_equal(out_format_by_path("a.folded")->name, "folded");
	assert_string_equal(out_format_by_path("a.svg")->name, "flamegraph");
	assert_null(out_format_by_path("a.json"));
	assert_null(out_format_by_path(""));
	for (size_t i = 0; out_formats[i]; i++) {
		assert_ptr_equal(out_format_by_name(out_formats[i]->name), out_formats[i]);
		assert_true(*out_formats[i]->summary && *out_formats[i]->next_step);
	}
}

static const struct {
	const char *path;
	const char *want;
} short_names[] = {
	{ "/srv/a/util.py", "a/util.py" },
	{ "/srv/b/util.py", "b/util.py" },
	{ "/srv/only.py", "only.py" },
	{ "/venv1/lib/python3.11/site-packages/numpy/core/x.py", "numpy/core/x.py" },
	{ "/venv1/lib/python3.11/site-packages/z/z.py",
	  "venv1/lib/python3.11/site-packages/z/z.py" },
	{ "/venv2/lib/python3.11/site-packages/z/z.py",
	  "venv2/lib/python3.11/site-packages/z/z.py" },
	{ "/usr/lib/python3/dist-packages/apt/cache.py", "apt/cache.py" },
	{ "/usr/lib/python3.11/json/decoder.py", "json/decoder.py" },
	{ "/usr/lib64/python3.13t/abc.py", "abc.py" },
	{ "/usr/lib/pythonish/q.py", "q.py" },
	{ "<string>", "<string>" },
	{ "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>" },
	{ "rel/m.py", "rel/m.py" },
	{ "/rel/m.py", "/rel/m.py" },
	{ "m.py", "m.py" },
	{ "/ends/in/slash/", "/ends/in/slash/" },
	{ "", "" },
	{ "/", "/" },
	{ "//", "//" },
};

static void test_short_names(void **state)
{
	struct profile *profile = profile__new();
	uint32_t *starts;

	(void)state;
	for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++) {
		const char *path = short_names[i].path;
		struct profile_frame frame = { 0 };

		frame.name = profile__string(profile, "f", 1);
		frame.file = profile__string(profile, path, strlen(path));
		assert_int_not_equal(profile__frame(profile, &frame), PROFILE_NONE);
	}
	starts = paths_short(profile);
	assert_non_null(starts);
	for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++) {
		const char *path = short_names[i].path;
		uint32_t id = profile__string(profile, path, strlen(path));

		assert_string_equal(path + starts[id], short_names[i].want);
	}
	free(starts);
	profile__free(profile);
}

static void test_origin(void **state)
{
	static const struct {
		const char *path;
		enum path_origin origin;
		const char *module;
	} rows[] = {
		{ "/v/lib/python3.12/site-packages/numpy/core/x.py", PATH_PACKAGE, "numpy" },
		{ "/v/lib/python3.12/site-packages/six.py", PATH_PACKAGE, "six.py" },
		{ "/usr/lib/python3.12/json/decoder.py", PATH_STDLIB, "json" },
		{ "<frozen runpy>", PATH_STDLIB, "<frozen runpy>" },
		{ "<string>", PATH_APP, "<string>" },
		{ "/srv/app.py", PATH_APP, "/srv/app.py" },
		{ "", PATH_APP, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *module;
		size_t len;

		assert_int_equal(path_origin(rows[i].path, strlen(rows[i].path), &module, &len),
		                 rows[i].origin);
		assert_int_equal(len, strlen(rows[i].module));
		assert_memory_equal(module, rows[i].module, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_visible), cmocka_unit_test(test_malformed_utf8),
		cmocka_unit_test(test_xml),     cmocka_unit_test(test_json),
		cmocka_unit_test(test_number),  cmocka_unit_test(test_pb),
		cmocka_unit_test(test_formats), cmocka_unit_test(test_short_names),
		cmocka_unit_test(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
