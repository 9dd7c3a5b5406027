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
#include <sqlite3.h>

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

	/* In memory, where there is such a place: each flush is synced. */
	snprintf(place->dir, sizeof(place->dir), "%s/pitviper-store-XXXXXX",
	         access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
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

/* A process of which nothing is known at first gets its command, its thread's name and labels later. */
static void test_names_come_later(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	struct profile_label label = { .process_key = 99, .pid = 10 };
	char *text;

	for (int i = 0; i < 3; i++) {
		struct profile *profile = profile__new();
		uint32_t id = i ? track(profile, 10, 99, "python a.py", "worker")
		                : track(profile, 10, 99, "python", "python");

		label.name = string(profile, PROFILE_CGROUP);
		label.value = string(profile, i < 2 ? "/system.slice" : "/user.slice");
		assert_int_equal(profile__set_label(profile, &label), 0);
		profile__add(profile, id, stack(profile, "a"), 1);
		close_bucket(profile, (uint64_t)i, 99);
		assert_int_equal(store__append(store, profile), 0);
		profile__free(profile);
	}
	text = query(store, 0, 3, NULL);
	assert_string_equal(text, "10 python a.py worker a:97; 3\n");
	free(text);
	struct store_query *all = store_query__new(0, UINT64_MAX);

	assert_int_equal(store_query__add(all, store), 0);
	struct profile *profile = store_query__profile(all);
	uint32_t value = profile__label_of(profile, profile__track_at(profile, 0),
	                                   profile__find_string(profile, "cgroup", 6));

	assert_string_equal(profile__string_at(profile, value, NULL), "/user.slice");
	assert_string_equal(profile__meta(profile)->title, "a.py");
	assert_string_equal(profile__meta(profile)->pythons, "3.8, 3.12");
	store_query__free(all);
	store__close(store);
}

/* A pid that is used again, a tid that is, and processes put together. */
static void test_generations_stay_apart(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	char *text;

	for (uint64_t i = 0; i < 4; i++) {
		struct profile *profile = profile__new();
		char name[16];

		snprintf(name, sizeof(name), "crowd%llu", (unsigned long long)(i % 2));
		profile__add(profile, track(profile, 10, i / 2, "python a.py", "main"),
		             stack(profile, "ab"), 1);
		/* As crowd.c does: the key is the string, whose id differs by bucket. */
		string(profile, i > 1 ? "x" : "y");
		profile__add(profile, track(profile, 0, string(profile, name), name, "[ended]"),
		             stack(profile, "a"), 10);
		close_bucket(profile, i, 99);
		assert_int_equal(store__append(store, profile), 0);
		profile__free(profile);
	}
	text = query(store, 0, 4, NULL);
	assert_string_equal(text, "0 crowd0 [ended] a:97; 20\n0 crowd1 [ended] a:97; 20\n"
	                          "10 python a.py main a:97;b:98; 2\n"
	                          "10 python a.py main a:97;b:98; 2\n");
	free(text);
	store__close(store);
}

/* Samples of different rates are counted in what all rates divide. */
static void test_rates_weigh(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	struct profile_meta meta;
	char *text;

	append(store, 0, 10, "a", 3);
	append(store, 1, 19, "a", 5);
	text = query(store, 0, 2, &meta);
	assert_int_equal(meta.rate_hz, 190);
	assert_string_equal(text, "10 python a.py main a:97; 107\n"); /* 3 * 19 + 5 * 10 */
	free(text);
	assert_int_equal(meta.tick_cnt, 28);
	assert_int_equal(meta.outcomes[2].count, 8);
	append(store, 2, 997, "a", 997);
	append(store, 3, 9973, "a", 9973);
	text = query(store, 0, 4, &meta);
	assert_int_equal(meta.rate_hz, 1000000); /* to the microsecond: 0.3 + 5/19 + 1 + 1 s */
	assert_string_equal(text, "10 python a.py main a:97; 2563158\n");
	free(text);
	store__close(store);
}

static void test_files_merge(void **state)
{
	const struct place *place = *state;
	char other[128];
	struct store_query *both;
	struct store *one, *two;
	struct store_info info;
	char *text;

	snprintf(other, sizeof(other), "%s/b?%%#.pv", place->dir);
	one = writer(place->path);
	two = writer(other);
	append(one, 0, 99, "abc", 3);
	append(two, 0, 99, "abd", 4);
	append(two, 1, 99, "abc", 5);
	store__close(one);
	store__close(two);
	one = reader(place->path);
	two = reader(other);
	both = store_query__new(0, UINT64_MAX);
	assert_int_equal(store_query__add(both, one), 0);
	assert_int_equal(store_query__add(both, two), 0);
	text = print(store_query__profile(both));
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 8\n"
	                          "10 python a.py main a:97;b:98;d:100; 4\n");
	free(text);
	store_query__info(both, &info);
	assert_int_equal(info.store_cnt, 2);
	assert_int_equal(info.bucket_cnt, 3);
	assert_int_equal(profile__meta(store_query__profile(both))->duration_ns, 2 * SPAN);
	assert_int_equal(profile__meta(store_query__profile(both))->tick_cnt, 42);
	store_query__free(both);
	store__close(one);
	store__close(two);
}

/* What is appended after another opening is counted with what was there. */
static void test_opened_again(void **state)
{
	const struct place *place = *state;
	struct store *store;
	char *text;

	for (uint64_t i = 0; i < 3; i++) {
		store = writer(place->path);
		append(store, i, 99, i % 2 ? "abc" : "abd", i + 1);
		store__close(store);
	}
	store = reader(place->path);
	text = query(store, 0, 3, NULL);
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 2\n"
	                          "10 python a.py main a:97;b:98;d:100; 4\n");
	free(text);
	store__close(store);
}

static void test_time_line(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	struct store_query *all;
	const struct profile_point *points;
	size_t cnt;

	for (uint64_t i = 0; i < 2; i++) {
		struct profile *profile = profile__new();
		struct profile_point point = {
			.track = track(profile, 10, 99, "python a.py", "main"),
			.stack = stack(profile, "ab"),
		};

		profile__add(profile, point.track, point.stack, 2);
		for (point.time_ns = 7; point.time_ns <= 1007; point.time_ns += 1000)
			profile__add_point(profile, &point);
		close_bucket(profile, i, 99);
		assert_int_equal(store__append(store, profile), 0);
		profile__free(profile);
	}
	all = store_query__new(0, UINT64_MAX);
	assert_int_equal(store_query__add(all, store), 0);
	points = profile__points(store_query__profile(all), &cnt);
	assert_int_equal(cnt, 4);
	assert_int_equal(points[1].time_ns, 1007);
	assert_int_equal(points[2].time_ns, SPAN + 7);
	store_query__free(all);
	/* A part without one leaves none: half of it would be a lie. */
	append(store, 2, 99, "ab", 1);
	all = store_query__new(0, UINT64_MAX);
	assert_int_equal(store_query__add(all, store), 0);
	profile__points(store_query__profile(all), &cnt);
	assert_int_equal(cnt, 0);
	assert_int_equal(profile__sample_cnt(store_query__profile(all)), 5);
	store_query__free(all);
	store__close(store);
}

static void keep(struct store *store, const struct store_policy *policy, uint64_t now)
{
	int got, rounds = 0;

	while ((got = store__keep(store, policy, START + now * SPAN)) > 0)
		assert_true(++rounds < 1000);
	assert_int_equal(got, 0);
}

static uint32_t bucket_cnt(struct store *store)
{
	struct store_query *all = store_query__new(0, UINT64_MAX);
	struct store_info info;

	assert_int_equal(store_query__add(all, store), 0);
	store_query__info(all, &info);
	store_query__free(all);
	return info.bucket_cnt;
}

/* START is 20 s into a minute and 200 s into ten of them; a minute is six buckets. */
static void test_roll_up(void **state)
{
	const struct store_policy policy = { .minute_age_ns = 12 * SPAN,
		                             .decade_age_ns = 120 * SPAN };
	const struct place *place = *state;
	struct store *store = writer(place->path);
	struct profile_meta before, meta;
	char *text, *again;

	for (uint64_t i = 0; i < 100; i++)
		append(store, i, i == 50 ? 19 : 99, i % 2 ? "abc" : "abd", i + 1);
	text = query(store, 0, 100, &before);
	keep(store, &policy, 100);
	/* 88 and more are too young; rates don't mix. */
	assert_int_equal(bucket_cnt(store), 15 + 1 + 12);
	again = query(store, 0, 100, &meta);
	assert_string_equal(text, again);
	assert_int_equal(meta.tick_cnt, before.tick_cnt);
	assert_int_equal(meta.outcomes[2].count, before.outcomes[2].count);
	assert_int_equal(meta.duration_ns, before.duration_ns);
	free(again);
	keep(store, &policy, 300);
	assert_int_equal(bucket_cnt(store), 2 + 1);
	again = query(store, 0, 100, &meta);
	assert_string_equal(text, again);
	assert_int_equal(meta.tick_cnt, before.tick_cnt);
	free(again);
	free(text);
	store__close(store);
}

/* The oldest buckets go, and with them what only they had. */
static void test_old_ones_go(void **state)
{
	const struct store_policy policy = { .max_age_ns = 10 * SPAN };
	const struct place *place = *state;
	struct store *store = writer(place->path);
	char *text, letters[3] = "a";

	for (uint64_t i = 0; i < 26; i++) {
		letters[0] = (char)('a' + i);
		append(store, i, 99, letters, 1);
	}
	keep(store, &policy, 35);
	text = query(store, 0, 100, NULL);
	assert_string_equal(text, "10 python a.py main z:122; 1\n");
	free(text);
	/* What is met again after it was swept has a row again. */
	append(store, 36, 99, "a", 5);
	append(store, 37, 99, "z", 5);
	text = query(store, 0, 100, NULL);
	assert_string_equal(text, "10 python a.py main a:97; 5\n10 python a.py main z:122; 6\n");
	free(text);
	store__close(store);
}

/* Distinct stacks without an end: the file stays within its bound, the newest are there. */
static void test_size_is_bounded(void **state)
{
	const struct store_policy policy = { .max_bytes = 2 << 20 };
	const struct place *place = *state;
	struct store *store = writer(place->path);
	struct store_stats stats;
	uint64_t first, last;

	for (uint64_t i = 0; i < 150; i++) {
		struct profile *profile = profile__new();
		uint32_t id = track(profile, 10, 99, "python a.py", "main");

		for (uint32_t line = 0; line < 500; line++) {
			const struct profile_frame frame = { string(profile, "f"),
				                             string(profile, "a.py"),
				                             (int32_t)(i * 500 + line), 1,
				                             PROFILE_FRAME_PYTHON };

			profile__add(profile, id,
			             profile__stack(profile, PROFILE_ROOT,
			                            profile__frame(profile, &frame)),
			             1);
		}
		close_bucket(profile, i, 99);
		assert_int_equal(store__append(store, profile), 0);
		profile__free(profile);
		keep(store, &policy, i);
		store__stats(store, &stats);
		assert_true(stats.bytes <= policy.max_bytes);
	}
	assert_int_equal(store__range(store, &first, &last), 1);
	assert_int_equal(last, START + 150 * SPAN);
	assert_true(first > START);
	assert_int_equal(stats.expired_cnt + bucket_cnt(store), 150);
	/* Not more than it must. */
	assert_true(bucket_cnt(store) > 10);
	store__close(store);
}

static void test_one_writer(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path);
	char what[512], lock[128];

	errno = 0;
	assert_null(store__open(place->path, &opts, what, sizeof(what)));
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(what, "another pitviper"));
	store__close(store);
	snprintf(lock, sizeof(lock), "%s-lock", place->path);
	assert_int_equal(access(lock, F_OK), -1);
	store__close(writer(place->path));
}

static void spoil(const char *path, off_t at, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
	close(fd);
}

/* Files of the directory whose names begin with the store's and go on with @suffix. */
static int aside_cnt(const struct place *place)
{
	char command[160];
	FILE *pipe;
	int cnt = -1;

	snprintf(command, sizeof(command), "ls %s | grep -c '^a.pv.damaged-[0-9-]*$'", place->dir);
	pipe = popen(command, "r");
	assert_int_equal(fscanf(pipe, "%d", &cnt), 1);
	pclose(pipe);
	return cnt;
}

static void test_damaged_is_set_aside(void **state)
{
	const struct place *place = *state;
	char what[512];
	struct store *store;
	char *text;

	spoil(place->path, 0, "this is no store");
	assert_null(store__open_read(place->path, what, sizeof(what)));
	assert_int_equal(errno, EPROTO);
	store = writer(place->path);
	for (uint64_t i = 0; i < 50; i++)
		append(store, i, 99, i % 2 ? "abc" : "abd", 1);
	store__close(store);
	assert_int_equal(aside_cnt(place), 1);
	/* The roots of two tables. */
	spoil(place->path, 3 * 4096, "\xff\xff\xff\xff\xff\xff\xff\xff");
	spoil(place->path, 4 * 4096, "\xff\xff\xff\xff\xff\xff\xff\xff");
	store = writer(place->path);
	append(store, 1, 99, "abc", 1);
	text = query(store, 0, 100, NULL);
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 1\n");
	free(text);
	store__close(store);
	assert_int_equal(aside_cnt(place), 2);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *file;

	assert_int_equal(sqlite3_open(path, &file), SQLITE_OK);
	assert_int_equal(sqlite3_exec(file, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(file);
}

static void refused(const char *path, int error, const char *words)
{
	char what[512] = "";

	assert_null(store__open_read(path, what, sizeof(what)));
	assert_int_equal(errno, error);
	if (!strstr(what, words))
		fail_msg("'%s' does not say '%s'", what, words);
	assert_null(store__open(path, &opts, what, sizeof(what)));
	assert_int_equal(errno, error);
}

static void test_refused(void **state)
{
	const struct place *place = *state;
	char other[128], what[512];

	store__close(writer(place->path));
	sql(place->path, "PRAGMA user_version = 7");
	refused(place->path, EPROTO, "newer pitviper (version 7");
	snprintf(other, sizeof(other), "%s/foreign.pv", place->dir);
	sql(other, "CREATE TABLE bucket(id)");
	refused(other, EPROTO, "not a pitviper store");
	assert_int_equal(access(other, F_OK), 0);
	assert_null(store__open_read(place->dir, what, sizeof(what)));
	snprintf(other, sizeof(other), "%s/none.pv", place->dir);
	assert_null(store__open_read(other, what, sizeof(what)));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(access(other, F_OK), -1);
}

/* What others put into a file is not run, and what can't be is told, not believed. */
static void test_hostile_rows(void **state)
{
	static const char *const wrongs[] = {
		"CREATE VIEW v AS SELECT 1",
		"CREATE TRIGGER t AFTER INSERT ON bucket BEGIN DELETE FROM bucket; END",
		"UPDATE stack SET parent = 3 WHERE id = 1",
		"UPDATE stack SET frame = 99",
		"UPDATE frame SET kind = 7",
		"UPDATE frame SET name = -1",
		"DELETE FROM thread",
		"UPDATE process SET pid = -5",
		"UPDATE bucket SET rate_hz = 0",
		"UPDATE bucket SET span_ns = -1",
		"UPDATE sample SET data = x'ffffffffffffffffffffffff'",
		"UPDATE sample SET data = x'01ff01'",
		"UPDATE ledger SET counter = counter + 70",
		"DELETE FROM run",
		"DROP TABLE sample",
		"UPDATE string SET text = NULL WHERE 0; DELETE FROM string",
	};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		struct store_query *all = store_query__new(0, UINT64_MAX);
		struct store *store;
		char what[512];
		int err;

		unlink(place->path);
		store = writer(place->path);
		append(store, 0, 99, "abc", 3);
		store__close(store);
		sql(place->path, wrongs[i]);
		store = store__open_read(place->path, what, sizeof(what));
		err = store ? store_query__add(all, store) : -errno;
		if (!err && !store_query__profile(all))
			err = -errno;
		if (err != -EUCLEAN)
			fail_msg("%s: %s", wrongs[i], strerror(-err));
		store_query__free(all);
		store__close(store);
	}
}

/* A reader and a writer at once: each sees what it should, neither waits. */
static void test_reader_while_written(void **state)
{
	const struct place *place = *state;
	struct store *store = writer(place->path), *other;
	struct store_query *all = store_query__new(0, UINT64_MAX);
	char *text;

	append(store, 0, 99, "abc", 3);
	other = reader(place->path);
	assert_int_equal(store_query__add(all, other), 0);
	append(store, 1, 99, "abc", 4);
	/* The moment of the query, not that of its reading. */
	text = print(store_query__profile(all));
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 3\n");
	free(text);
	append(store, 2, 99, "abc", 5);
	store_query__free(all);
	text = query(other, 0, 9, NULL);
	assert_string_equal(text, "10 python a.py main a:97;b:98;c:99; 12\n");
	free(text);
	store__close(other);
	store__close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_buckets_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buckets_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generations_stay_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rates_weigh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_merge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opened_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roll_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_ones_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_while_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
