// SPDX-License-Identifier: Apache-2.0
/* test_out_formats.c - every writer in every view; the boxes of the flame graph. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "out/flame_boxes.h"
#include "out/out.h"

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

static uint32_t push(struct profile *profile, uint32_t stack, const char *name, const char *file,
                     int line, int first_line)
{
	const struct profile_frame frame = { string(profile, name), string(profile, file), line,
		                             first_line, PROFILE_FRAME_PYTHON };

	return profile__stack(profile, stack, profile__frame(profile, &frame));
}

static uint32_t track(struct profile *profile, uint32_t pid, uint32_t tid, const char *thread)
{
	const struct profile_track row = {
		pid, tid, string(profile, "python3 x.py\n-v"), string(profile, thread), 0, 0
	};

	return profile__track(profile, &row);
}

/* Two threads; one function on two lines; two files of one name; hostile names. */
static struct profile *make_profile(void)
{
	static const char *const names[] = {
		"f", "a;b\n", "12 34", "</script>]]>", "\xff\xfe\xe2\x80\xae", ""
	};
	struct profile *profile = profile__new();
	uint32_t one = track(profile, 7, 7, "main"), two = track(profile, 7, 8, "pool 3");
	uint32_t base = push(profile, PROFILE_ROOT, "<module>", "/x/a/m.py", 9, 1);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint32_t stack = push(profile, base, names[i], "/x/a/m.py", 20, 19);
		const struct profile_point point = { 1000 - i, two, stack };

		assert_int_equal(profile__add(profile, one, stack, 10), 0);
		assert_int_equal(profile__add(profile, two, stack, 1), 0);
		assert_int_equal(profile__add_point(profile, &point), 0);
	}
	profile__add(profile, one, push(profile, base, "f", "/x/a/m.py", 21, 19), 5);
	profile__add(profile, one, push(profile, base, "f", "/x/b/m.py", 20, 19), 3);
	profile__add(profile, two, PROFILE_ROOT, 2);
	return profile;
}

static char *write_string(struct profile *profile, const char *format, const struct out_view *view)
{
	char *text = NULL;
	size_t len;
	FILE *stream = open_memstream(&text, &len);

	assert_non_null(stream);
	assert_int_equal(out_format_by_name(format)->write(profile, view, stream), 0);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void check_folded(const struct out_view *view, const char *want)
{
	struct profile *profile = make_profile();
	char *text = write_string(profile, "folded", view);

	assert_string_equal(text, want);
	free(text);
	profile__free(profile);
}

static void test_folded_lines(void **state)
{
	(void)state;
	check_folded(&(struct out_view){ 0 },
	             "<module> (a/m.py:9);12 34 (a/m.py:20) 11\n"
	             "<module> (a/m.py:9);</script>]]> (a/m.py:20) 11\n"
	             "<module> (a/m.py:9);<no name> (a/m.py:20) 11\n"
	             "<module> (a/m.py:9);a:b\\n (a/m.py:20) 11\n"
	             "<module> (a/m.py:9);f (a/m.py:20) 11\n"
	             "<module> (a/m.py:9);f (a/m.py:21) 5\n"
	             "<module> (a/m.py:9);f (b/m.py:20) 3\n"
	             "<module> (a/m.py:9);\xef\xbf\xbd\xef\xbf\xbd\\u202e (a/m.py:20) 11\n"
	             "[no Python frames] 2\n");
}

static void test_folded_merged(void **state)
{
	(void)state;
	check_folded(&(struct out_view){ .functions = true, .full_filenames = true },
	             "<module> (/x/a/m.py:1);12 34 (/x/a/m.py:19) 11\n"
	             "<module> (/x/a/m.py:1);</script>]]> (/x/a/m.py:19) 11\n"
	             "<module> (/x/a/m.py:1);<no name> (/x/a/m.py:19) 11\n"
	             "<module> (/x/a/m.py:1);a:b\\n (/x/a/m.py:19) 11\n"
	             "<module> (/x/a/m.py:1);f (/x/a/m.py:19) 16\n"
	             "<module> (/x/a/m.py:1);f (/x/b/m.py:19) 3\n"
	             "<module> (/x/a/m.py:1);\xef\xbf\xbd\xef\xbf\xbd\\u202e (/x/a/m.py:19) 11\n"
	             "[no Python frames] 2\n");
}

/* Processes put together have no pid, their threads no tid. */
static void test_ended_processes(void **state)
{
	const struct out_view view = { .threads = true, .processes = true, .no_lines = true };
	struct profile *profile = profile__new();
	const struct profile_track rows[] = {
		{ 7, 8, string(profile, "python3 x.py"), string(profile, "main"), 5, 6 },
		{ 0, 0, string(profile, "python3 x.py (ended processes)"),
		  string(profile, "[ended threads]"), 1, 0 },
		{ 0, 0, string(profile, "[other ended processes]"),
		  string(profile, "[ended threads]"), 2, 0 },
	};
	uint32_t stack = push(profile, PROFILE_ROOT, "f", "x.py", 3, 1);
	char *text;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		profile__add(profile, profile__track(profile, &rows[i]), stack, i + 1);
	text = write_string(profile, "folded", &view);
	assert_string_equal(text, "[other ended processes];[ended threads];f (x.py) 3\n"
	                          "process 7:\"python3 x.py\";thread (8): main;f (x.py) 1\n"
	                          "python3 x.py (ended processes);[ended threads];f (x.py) 2\n");
	free(text);
	text = write_string(profile, "speedscope", &view);
	assert_non_null(strstr(text, "\"name\":\"python3 x.py (ended processes)\""));
	assert_non_null(strstr(text, "\"name\":\"[other ended processes]\""));
	assert_non_null(strstr(text, "\"name\":\"Process 7 Thread 8 \\\"main\\\"\""));
	assert_null(strstr(text, "Process 0"));
	free(text);
	profile__free(profile);
}

/* A root frame that ends in a number must not read as a second count. */
static void test_folded_roots(void **state)
{
	const struct out_view view = { .threads = true, .processes = true, .no_lines = true };
	struct profile *profile = make_profile();
	char *text = write_string(profile, "folded", &view);

	(void)state;
	assert_non_null(strstr(text, "process 7:\"python3 x.py\\n-v\";thread (7): main;"
	                             "<module> (a/m.py);f (a/m.py) 15\n"));
	assert_non_null(strstr(text, ";thread (8): pool_3;[no Python frames] 2\n"));
	free(text);
	profile__free(profile);
}

/* All formats in all views, of a full and an empty profile: for the sanitizers, mostly. */
static void test_all_views(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits < 32; bits++) {
		const struct out_view view = { bits & 1, bits & 2, bits & 4, bits & 8, bits & 16 };
		struct profile *full = make_profile(), *empty = profile__new();

		for (size_t i = 0; out_formats[i]; i++) {
			char *text = write_string(full, out_formats[i]->name, &view);

			assert_true(strlen(text) > 1);
			free(text);
			free(write_string(empty, out_formats[i]->name, &view));
		}
		profile__free(full);
		profile__free(empty);
	}
}

/* A full disk is an error of the writer, or at the latest of fclose(). */
static void test_stream_errors(void **state)
{
	const struct out_view view = { 0 };

	(void)state;
	for (size_t i = 0; out_formats[i]; i++) {
		struct profile *profile = make_profile();
		FILE *stream = fopen("/dev/full", "w");

		assert_non_null(stream);
		setvbuf(stream, NULL, _IONBF, 0);
		assert_int_equal(out_formats[i]->write(profile, &view, stream), -ENOSPC);
		fclose(stream);
		profile__free(profile);
	}
}

/* Boxes lie inside of their parents side by side, and count every frame and every sample. */
static uint32_t check_boxes(struct profile *profile)
{
	const struct out_view options = { 0 };
	struct flame_boxes boxes;
	struct view view;
	uint64_t frames = 0;
	uint32_t merged;

	assert_int_equal(view_open(&view, profile, &options, VIEW_VISIBLE), 0);
	assert_int_equal(flame_boxes_make(&view, &boxes), 0);
	assert_in_range(boxes.cnt, 1, FLAME_BOX_MAX);
	assert_int_equal(boxes.boxes[0].cnt, profile__sample_cnt(profile));
	for (uint32_t i = 0; i < boxes.cnt; i++) {
		const struct flame_box *box = &boxes.boxes[i], *up = box;
		uint64_t self = box->node == VIEW_NONE ? 0 : view.nodes[box->node].self;

		frames += box->node == VIEW_NONE ? box->merged : 1;
		while (up > boxes.boxes && up->depth >= box->depth)
			up--;
		if (i)
			assert_true(up->depth + 1 == box->depth && up->x <= box->x &&
			            box->x + box->cnt <= up->x + up->cnt);
		/* What is not covered by children is the node's own. */
		if (box->node == VIEW_NONE)
			continue;
		for (uint32_t j = i + 1; j < boxes.cnt && boxes.boxes[j].depth > box->depth; j++) {
			if (boxes.boxes[j].depth == box->depth + 1)
				self += boxes.boxes[j].cnt;
		}
		assert_int_equal(self, box->cnt);
	}
	assert_int_equal(frames, view.node_cnt);
	merged = boxes.merged_cnt;
	flame_boxes_free(&boxes);
	view_close(&view);
	return merged;
}

static void test_boxes(void **state)
{
	struct profile *profile = make_profile();

	(void)state;
	assert_int_equal(check_boxes(profile), 0);
	profile__free(profile);
	profile = profile__new();
	assert_int_equal(check_boxes(profile), 0);
	profile__free(profile);
}

static void test_boxes_merged(void **state)
{
	struct profile *profile = profile__new();
	uint32_t on = track(profile, 1, 1, "main"), random = 1;
	char name[16];

	(void)state;
	for (unsigned int i = 0; i < 12000; i++) {
		uint32_t stack = PROFILE_ROOT;

		for (unsigned int depth = 0; depth < 8; depth++) {
			random = random * 1664525 + 1013904223;
			snprintf(name, sizeof(name), "f%u", (random >> 16) % (2 + 3 * depth));
			stack = push(profile, stack, name, "a.py", 1, 1);
			assert_int_equal(profile__add(profile, on, stack, i % 3), 0);
		}
	}
	assert_true(check_boxes(profile) > 10000);
	profile__free(profile);
}

static void test_boxes_deep(void **state)
{
	struct profile *profile = profile__new();
	uint32_t on = track(profile, 1, 1, "main"), stack = PROFILE_ROOT;

	(void)state;
	for (unsigned int i = 0; i < 30000; i++)
		stack = push(profile, stack, "deep", "a.py", 1, 1);
	assert_int_equal(profile__add(profile, on, stack, 3), 0);
	assert_int_equal(check_boxes(profile), 30000 - FLAME_DEPTH_MAX);
	profile__free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folded_lines), cmocka_unit_test(test_folded_merged),
		cmocka_unit_test(test_folded_roots), cmocka_unit_test(test_ended_processes),
		cmocka_unit_test(test_all_views),    cmocka_unit_test(test_stream_errors),
		cmocka_unit_test(test_boxes),        cmocka_unit_test(test_boxes_merged),
		cmocka_unit_test(test_boxes_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
