// SPDX-License-Identifier: Apache-2.0
/* Answers from a store while it is written, and what can't be answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/render.h"
#include "profile/profile.h"
#include "store/store.h"
#include "util/clock.h"

#define START (1790000000ull * NSEC_PER_SEC)

static struct profile *work(uint64_t cnt)
{
	struct profile_meta meta = {
		.start_unix_ns = START, .duration_ns = NSEC_PER_SEC, .rate_hz = 19, .cpu_cnt = 1
	};
	struct profile *profile = profile__new();
	struct profile_track track = { .pid = 7, .process_key = 1 };
	struct profile_frame frame = { .line = 3, .first_line = 1 };

	track.process = track.thread = profile__string(profile, "python a.py", 11);
	frame.name = profile__string(profile, "work", 4);
	frame.file = profile__string(profile, "a.py", 4);
	profile__add(profile, profile__track(profile, &track),
	             profile__stack(profile, PROFILE_ROOT, profile__frame(profile, &frame)), cnt);
	profile__set_meta(profile, &meta);
	return profile;
}

static void test_while_it_is_written(void **state)
{
	const struct store_opts opts = { .uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0600 };
	const struct profile_meta run = { .start_unix_ns = START };
	char folder[] = "/tmp/pitviper-render-XXXXXX", path[64], command[96], what[256];
	struct render_file file = { .max_bytes = 1 << 20 };
	struct store *store;
	struct profile *profile;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.pv", folder);
	store = store__open(path, &opts, what, sizeof(what));
	assert_non_null(store);
	assert_int_equal(store__begin(store, &run), 0);
	assert_int_equal(render_range(path, 0, UINT64_MAX, NULL, &file), -ENODATA);
	for (uint64_t i = 1; i < 3; i++) {
		profile = work(i);
		assert_int_equal(store__append(store, profile), 0);
		profile__free(profile);
	}
	assert_int_equal(render_range(path, 0, UINT64_MAX, "folded", &file), 0);
	assert_non_null(strstr(buf_str(&file.body), "work (a.py:3) 3\n"));
	assert_string_equal(file.type, "text/plain; charset=utf-8");
	assert_string_equal(file.name, "pitviper.folded");
	buf_clear(&file.body);
	assert_int_equal(render_range(path, 0, UINT64_MAX, NULL, &file), 0);
	assert_non_null(strstr(buf_str(&file.body), "<svg"));
	assert_string_equal(file.type, "image/svg+xml");
	buf_clear(&file.body);
	assert_int_equal(render_range(path, START + 1, UINT64_MAX, NULL, &file), -ENODATA);
	assert_int_equal(render_range(path, 0, UINT64_MAX, "nope", &file), -EINVAL);
	file.max_bytes = 100;
	assert_int_equal(render_range(path, 0, UINT64_MAX, NULL, &file), -EFBIG);
	buf_free(&file.body);
	store__close(store);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	assert_int_not_equal(render_range(path, 0, UINT64_MAX, NULL, &file), 0);
	assert_true(*file.what);
}

static void test_spans(void **state)
{
	static const char *const bad[] = { "",     "15",   "m",  "-1m",     "0m",
		                           "1.5h", "15 m", "1w", "9999999s" };
	uint64_t span_ns;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(render_span(bad[i], &span_ns));
	assert_true(render_span("90s", &span_ns));
	assert_int_equal(span_ns, 90 * NSEC_PER_SEC);
	assert_true(render_span("1d", &span_ns));
	assert_int_equal(span_ns, 86400 * NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_while_it_is_written),
		cmocka_unit_test(test_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
