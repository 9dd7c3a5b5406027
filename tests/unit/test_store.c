// SPDX-License-Identifier: Apache-2.0
/* test_store.c - what is appended is what is read, over buckets, rates, generations and files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

#define START (1790000000ull * NSEC_PER_SEC)
#define SPAN  (10 * NSEC_PER_SEC)

static const struct store_opts opts = { .uid = -1, .gid = -1, .mode = 0600, .single = true };

/* A directory of the test's own and the path of a store in it. */
struct place {
	char dir[64];
	char path[96];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->dir, sizeof(place->dir), "/tmp/pitviper-store-XXXXXX");
	if (!mkdtemp(place->dir))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/a.pv", place->dir);
	log_set_level(LOG_ERROR);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", place->dir);
	free(place);
	return system(command);
}

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

/* A stack of functions by letter, the root first. */
static uint32_t stack(struct profile *profile, const char *letters)
{
	uint32_t at = PROFILE_ROOT;

	for (; *letters; letters++) {
		const struct profile_frame frame = { profile__string(profile, letters, 1),
			                             string(profile, "/srv/app.py"), *letters, 1,
			                             PROFILE_FRAME_PYTHON };

		at = profile__stack(profile, at, profile__frame(profile, &frame));
	}
	return at;
}

static uint32_t track(struct profile *profile, uint32_t pid, uint64_t key, const char *command,
                      const char *thread)
{
	const struct profile_track row = {
		pid, pid, string(profile, command), string(profile, thread), key, key + 7
	};

	return profile__track(profile, &row);
}

/* The bucket number @at, with a ledger of as many complete ticks as it has samples, and 10 idle. */
static void close_bucket(struct profile *profile, uint64_t at, uint32_t rate_hz)
{
	struct profile_meta meta = {
		.title = "a.py",
		.command = "pitviper record",
		.version = "1",
		.host = "here",
		.pythons = at % 2 ? "3.12" : "3.8, 3.12",
		.start_unix_ns = START + at * SPAN,
		.duration_ns = SPAN,
		.rate_hz = rate_hz,
		.cpu_cnt = 2,
		.outcome_cnt = 3,
		.event_cnt = 1,
		.outcomes = { { "IDLE", "idle", "nothing ran", 10 },
		              { "TORN", "torn", "in between", 0 },
		              { "COMPLETE", "complete", "whole", 0 } },
		.events = { { "MENDED", "mended", "found again", at } },
	};

	meta.outcomes[2].count = profile__sample_cnt(profile);
	meta.tick_cnt = 10 + meta.outcomes[2].count;
	profile__set_meta(profile, &meta);
}

/* Every value as one line, sorted: "pid command thread a;b;c count". */
static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_stack(const struct profile *profile, uint32_t at, struct buf *out)
{
	if (at == PROFILE_ROOT)
		return;
	print_stack(profile, profile__stack_parent(profile, at), out);
	const struct profile_frame *frame =
		profile__frame_at(profile, profile__stack_frame(profile, at));

	buf_printf(out, "%s:%d;", profile__string_at(profile, frame->name, NULL), frame->line);
}

static char *print(const struct profile *profile)
{
	size_t cnt;
	const struct profile_value *values = profile__values(profile, &cnt);
	char **lines = calloc(cnt + 1, sizeof(*lines));
	struct buf out = { 0 };

	for (size_t i = 0; i < cnt; i++) {
		const struct profile_track *row = profile__track_at(profile, values[i].track);
		struct buf line = { 0 };

		buf_printf(&line, "%u %s %s ", row->pid,
		           profile__string_at(profile, row->process, NULL),
		           profile__string_at(profile, row->thread, NULL));
		print_stack(profile, values[i].stack, &line);
		buf_printf(&line, " %llu\n", (unsigned long long)values[i].cnt);
		lines[i] = line.data;
	}
	qsort(lines, cnt, sizeof(*lines), line_cmp);
	for (size_t i = 0; i < cnt; i++) {
		buf_puts(&out, lines[i]);
		free(lines[i]);
	}
	free(lines);
	return out.data ? out.data : strdup("");
}

static struct store *writer(const char *path)
{
	char what[512] = "";
	struct store *store = store__open(path, &opts, what, sizeof(what));
	const struct profile_meta meta = { .title = "a.py",
		                           .command = "pitviper record",
		                           .version = "1",
		                           .host = "here",
		                           .start_unix_ns = START };

	if (!store)
		print_message("%s\n", what);
	assert_non_null(store);
	assert_int_equal(store__begin(store, &meta), 0);
	return store;
}

static struct store *reader(const char *path)
{
	char what[512] = "";
	struct store *store = store__open_read(path, what, sizeof(what));

	if (!store)
		print_message("%s\n", what);
	assert_non_null(store);
	return store;
}

/* The lines of what is in the store between two buckets; *meta, if not NULL, gets the numbers. */
static char *query(struct store *store, uint64_t from, uint64_t to, struct profile_meta *meta)
{
	struct store_query *query = store_query__new(START + from * SPAN, START + to * SPAN);
	struct profile *profile;
	char *text;

	assert_int_equal(store_query__add(query, store), 0);
	profile = store_query__profile(query);
	assert_non_null(profile);
	text = print(profile);
	if (meta)
		*meta = *profile__meta(profile);
	store_query__free(query);
	return text;
}

static void append(struct store *store, uint64_t at, uint32_t rate_hz, const char *letters,
                   uint64_t cnt)
{
	struct profile *profile = profile__new();

	profile__add(profile, track(profile, 10, 99, "python a.py", "main"),
	             stack(profile, letters), cnt);
	close_bucket(profile, at, rate_hz);
	assert_int_equal(store__append(store, profile), 0);
	profile__free(profile);
}

static void test_buckets_add_up(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	struct profile_meta meta;
	uint64_t first, last;
	char *text;

	append(store, 0, 99, "abc", 3);
	append(store, 1, 99, "abc", 4);
	append(store, 2, 99, "abd", 5);
	text = query(store, 0, 3, &meta);
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 7\n"
	                          "10 python a.py main a:97;b:98;d:100; 5\n");
	free(text);
	assert_int_equal(meta.tick_cnt, 42);
	assert_int_equal(meta.outcomes[0].count, 30);
	assert_int_equal(meta.outcomes[2].count, 12);
	assert_int_equal(meta.events[0].count, 3);
	assert_int_equal(meta.duration_ns, 3 * SPAN);
	assert_int_equal(meta.rate_hz, 99);
	text = query(store, 1, 2, NULL);
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 4\n");
	free(text);
	store__close(store);
	store = reader(place->path);
	assert_int_equal(store__range(store, &first, &last), 1);
	assert_int_equal(first, START);
	assert_int_equal(last, START + 3 * SPAN);
	store__close(store);
}

/* Samples and the last number of what came after a bucket. */
static void check_after(struct store *store, int64_t after, uint32_t max, uint64_t samples,
                        int64_t last_id, bool weighted)
{
	struct store_query *query = store_query__new_after(after, max);
	struct store_info info;

	assert_non_null(query);
	assert_int_equal(store_query__add(query, store), 0);
	store_query__info(query, &info);
	assert_int_equal(info.last_id, last_id);
	assert_int_equal(info.weighted, weighted);
	assert_int_equal(profile__sample_cnt(store_query__profile(query)), samples);
	store_query__free(query);
}

/* By the order in which they came, whatever their times. */
static void test_buckets_after(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	uint64_t start_ns;
	int64_t id;

	assert_int_equal(store__last_id(store, &id), 0);
	assert_int_equal(id, 0);
	append(store, 5, 99, "a", 1);
	append(store, 6, 99, "a", 2);
	append(store, 2, 99, "a", 4);
	append(store, 3, 99, "a", 8);
	append(store, 4, 19, "a", 16);
	check_after(store, 0, 100, 1 * 19 + 2 * 19 + 4 * 19 + 8 * 19 + 16 * 99, 5, true);
	check_after(store, 0, 3, 7, 3, false);
	check_after(store, 2, 2, 12, 4, false);
	check_after(store, 4, 2, 16, 5, false);
	check_after(store, 5, 2, 0, 0, false);
	assert_int_equal(store__last_id(store, &id), 0);
	assert_int_equal(id, 5);
	assert_int_equal(store__bucket_start(store, 3, &start_ns), 0);
	assert_int_equal(start_ns, START + 2 * SPAN);
	assert_int_equal(store__bucket_start(store, 6, &start_ns), -ENOENT);
	store__close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_buckets_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buckets_add_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
