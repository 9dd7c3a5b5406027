// SPDX-License-Identifier: Apache-2.0
/* Retries, the queue on disk, files of secrets, and what engines answer. */
#include <dirent.h>
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

#include "export/export.h"
#include "export/gzip.h"
#include "export/http.h"
#include "export/queue.h"
#include "export/retry.h"
#include "util/file.h"
#include "util/log.h"

#define S NSEC_PER_SEC

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/pitviper-export-XXXXXX");
	log_set_level(LOG_ERROR);
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void test_wait(void **state)
{
	static const uint64_t most[] = { 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		assert_int_equal(retry_wait_ns(S, i, 0, 0), most[i] * S / 2);
		assert_int_equal(retry_wait_ns(S, i, most[i] * S / 2, 0), most[i] * S);
	}
	assert_int_equal(retry_wait_ns(S, UINT32_MAX, 0, 0), 150 * S);
	/* spread over the whole of the upper half */
	for (uint64_t random = 0; random < 1000; random++) {
		uint64_t wait = retry_wait_ns(S, 3, random * 0x9e3779b97f4a7c15ull, 0);

		assert_true(wait >= 2 * S && wait <= 4 * S);
	}
	/* what the engine asks for, and up to a quarter more; never without end */
	assert_int_equal(retry_wait_ns(S, 1, 0, 20 * S), 20 * S);
	assert_int_equal(retry_wait_ns(S, 1, 5 * S, 20 * S), 25 * S);
	assert_int_equal(retry_wait_ns(S, 10, 0, 20 * S), 150 * S);
	assert_int_equal(retry_wait_ns(S, 1, 0, UINT64_MAX), 3600 * S);
}

static void test_after(void **state)
{
	static const struct {
		const char *value;
		int64_t seconds; /* -1: refused */
	} rows[] = {
		{ "0", 0 },
		{ " 120\r\n", 120 },
		{ "99999999999999999999999", 3600 },
		{ "4000", 3600 },
		{ "1.5", -1 },
		{ "-1", -1 },
		{ "", -1 },
		{ "soon", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 37 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 37 },
		{ "Sun Nov  6 08:49:37 1994", 37 },
		{ "Sun, 06 Nov 1994 08:48:00 GMT", 0 },
		{ "Sun, 06 Nov 2094 08:48:00 GMT", 3600 },
		{ "Sun, 06 Foo 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 CET", -1 },
		{ "Sun, 06 Nov 1914 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov", -1 },
	};
	const time_t now = 784111740; /* 08:49:00 */

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t wait_ns = 0;
		bool good = retry_after_ns(rows[i].value, now, &wait_ns);

		print_message("\"%s\"\n", rows[i].value);
		assert_int_equal(good, rows[i].seconds >= 0);
		if (good)
			assert_int_equal(wait_ns, (uint64_t)rows[i].seconds * S);
	}
}

static void test_verdict(void **state)
{
	(void)state;
	assert_int_equal(retry_verdict(200, false), RETRY_DONE);
	assert_int_equal(retry_verdict(204, false), RETRY_DONE);
	assert_int_equal(retry_verdict(0, false), RETRY_AGAIN);
	assert_int_equal(retry_verdict(429, false), RETRY_AGAIN);
	assert_int_equal(retry_verdict(503, false), RETRY_AGAIN);
	assert_int_equal(retry_verdict(500, false), RETRY_NEVER);
	assert_int_equal(retry_verdict(500, true), RETRY_AGAIN);
	assert_int_equal(retry_verdict(400, true), RETRY_NEVER);
	assert_int_equal(retry_verdict(413, true), RETRY_NEVER);
	assert_int_equal(retry_verdict(501, true), RETRY_NEVER);
	assert_int_equal(retry_verdict(302, false), RETRY_FIX);
	assert_int_equal(retry_verdict(401, false), RETRY_FIX);
}

static struct queue *open_queue(uint64_t bytes_max)
{
	char what[200];
	struct queue *queue = queue__open(dir, bytes_max, what, sizeof(what));

	if (!queue)
		print_message("%s\n", what);
	assert_non_null(queue);
	return queue;
}

static void put(struct queue *queue, int64_t bucket, uint64_t samples, const char *body)
{
	const struct queue_cursor cursor = { bucket, 7 };

	assert_int_equal(queue__put(queue, &cursor, samples, body, strlen(body)), 0);
}

static void check_first(struct queue *queue, uint64_t want_samples, const char *want)
{
	struct buf body = { 0 };
	uint64_t samples = 0;

	assert_int_equal(queue__first(queue, &samples, &body), want ? 1 : 0);
	if (want) {
		assert_string_equal(buf_str(&body), want);
		assert_int_equal(samples, want_samples);
	}
	buf_free(&body);
}

static void test_queue(void **state)
{
	struct queue *queue = open_queue(1 << 20);
	struct queue_cursor cursor;
	struct queue_stats stats;
	char what[200];

	(void)state;
	assert_false(queue__cursor(queue, &cursor));
	check_first(queue, 0, NULL);
	put(queue, 1, 10, "one");
	put(queue, 3, 20, "two");
	check_first(queue, 10, "one");
	check_first(queue, 10, "one");
	assert_int_equal(queue__remove(queue), 0);
	/* a second process */
	assert_null(queue__open(dir, 1 << 20, what, sizeof(what)));
	assert_int_equal(errno, EBUSY);
	queue__close(queue);
	queue = open_queue(1 << 20);
	assert_true(queue__cursor(queue, &cursor));
	assert_int_equal(cursor.bucket, 3);
	assert_int_equal(cursor.start_ns, 7);
	put(queue, 4, 30, "three");
	queue__stats(queue, &stats);
	assert_int_equal(stats.items, 2);
	check_first(queue, 20, "two");
	assert_int_equal(queue__remove(queue), 0);
	check_first(queue, 30, "three");
	assert_int_equal(queue__remove(queue), 0);
	check_first(queue, 0, NULL);
	assert_int_equal(queue__remove(queue), 0);
	queue__stats(queue, &stats);
	assert_int_equal(stats.items, 0);
	assert_int_equal(stats.bytes, 0);
	queue__close(queue);
}

/* The oldest go when there is no room; one that never fits is refused, and nothing goes for it. */
static void test_queue_full(void **state)
{
	struct queue *queue = open_queue(300);
	struct queue_stats stats;
	char body[400];

	(void)state;
	memset(body, 'x', sizeof(body));
	body[399] = '\0';
	for (int i = 1; i <= 100; i++)
		put(queue, i, (uint64_t)i, "0123456789");
	queue__stats(queue, &stats);
	assert_int_equal(stats.items, 6); /* of 50 bytes */
	assert_true(stats.bytes <= 300);
	assert_int_equal(stats.dropped_items, 94);
	assert_int_equal(stats.dropped_samples, 94 * 95 / 2);
	assert_int_equal(queue__put(queue, &(struct queue_cursor){ 200, 7 }, 1, body, 399), -EFBIG);
	check_first(queue, 95, "0123456789");
	queue__stats(queue, &stats);
	assert_int_equal(stats.items, 6);
	queue__close(queue);
}

static void rename_in(const char *from, const char *to)
{
	char old[128], new[128];

	snprintf(old, sizeof(old), "%s/%s", dir, from);
	snprintf(new, sizeof(new), "%s/%s", dir, to);
	assert_int_equal(rename(old, new), 0);
}

/* Killed before and after the cursor moved. */
static void test_queue_killed(void **state)
{
	struct queue *queue = open_queue(1 << 20);

	(void)state;
	put(queue, 1, 1, "one");
	put(queue, 2, 2, "two");
	queue__close(queue);
	rename_in("0000000000000001", "0000000000000001.new"); /* the cursor had moved */
	queue = open_queue(1 << 20);
	check_first(queue, 1, "one");
	assert_int_equal(queue__remove(queue), 0);
	check_first(queue, 2, "two");
	put(queue, 3, 3, "three");
	/* the cursor moves on without a request: as if it had not yet come to this one */
	assert_int_equal(queue__skip(queue, &(struct queue_cursor){ 2, 7 }), 0);
	queue__close(queue);
	rename_in("0000000000000002", "0000000000000002.new");
	queue = open_queue(1 << 20);
	check_first(queue, 2, "two");
	assert_int_equal(queue__remove(queue), 0);
	check_first(queue, 0, NULL);
	put(queue, 3, 3, "again");
	check_first(queue, 3, "again");
	queue__close(queue);
}

/* Change one byte of each file in turn, or cut it: nothing wrong is ever sent, nothing else is lost. */
static void damage(const char *name, off_t at)
{
	char path[128], byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (at < 0) {
		assert_int_equal(ftruncate(fd, -at), 0);
	} else {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte = (char)(byte ^ 0x40);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

static void test_queue_damaged(void **state)
{
	static const off_t places[] = { 0, 4, 8, 16, 24, 32, 39, 40, 42, -1, -20, -42 };

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct queue *queue = open_queue(1 << 20);
		struct queue_stats stats;
		struct queue_cursor cursor;

		put(queue, 1, 1, "one");
		put(queue, 2, 2, "two");
		/* once while it is open, once while it is not */
		damage("0000000000000000", places[i]);
		if (i % 2) {
			queue__close(queue);
			queue = open_queue(1 << 20);
		}
		check_first(queue, 2, "two");
		queue__stats(queue, &stats);
		assert_int_equal(stats.damaged_items, 1);
		assert_int_equal(queue__remove(queue), 0);
		queue__close(queue);
		damage("cursor", 8);
		queue = open_queue(1 << 20);
		assert_false(queue__cursor(queue, &cursor));
		assert_int_equal(queue__skip(queue, &(struct queue_cursor){ 2, 7 }), 0);
		queue__close(queue);
	}
}

static void write_secret(const char *text, size_t len, mode_t mode, char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s/secret", dir);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static int join(void *ctx, const char *header)
{
	struct buf *all = ctx;

	buf_puts(all, header);
	buf_putc(all, '|');
	return 0;
}

static void check_secret(const char *text, size_t len, bool token, int want_err, const char *want)
{
	struct buf all = { 0 };
	char path[100], what[200] = "";

	write_secret(text, len, 0600, path, sizeof(path));
	assert_int_equal(http_secrets(path, token ? "Authorization" : NULL, token ? "Bearer " : "",
	                              join, &all, what, sizeof(what)),
	                 want_err);
	assert_string_equal(buf_str(&all), want_err ? "" : want);
	assert_int_equal(!*what, !want_err);
	assert_null(strstr(what, "s3cret"));
	buf_free(&all);
}

#define CHECK_SECRET(text, token, err, want) check_secret(text, sizeof(text) - 1, token, err, want)

static void test_secrets(void **state)
{
	struct buf all = { 0 };
	char path[100], what[200];

	(void)state;
	CHECK_SECRET("s3cret\n", true, 0, "Authorization: Bearer s3cret|");
	CHECK_SECRET("  s3cret \r\n\n", true, 0, "Authorization: Bearer s3cret|");
	CHECK_SECRET("s3cret\nX-Other: 1\n", true, -EINVAL, NULL);
	CHECK_SECRET("\n", true, -EINVAL, NULL);
	CHECK_SECRET("", true, -EINVAL, NULL);
	CHECK_SECRET("s3\0cret", true, -EINVAL, NULL);
	CHECK_SECRET("# ours\n\nX-Scope-OrgID: 7\r\n\tAuthorization: Basic s3cret=\n", false, 0,
	             "X-Scope-OrgID: 7|Authorization: Basic s3cret=|");
	CHECK_SECRET("s3cret", false, -EINVAL, NULL);
	CHECK_SECRET(": s3cret", false, -EINVAL, NULL);
	CHECK_SECRET("A B: s3cret", false, -EINVAL, NULL);
	CHECK_SECRET("A: s3cret\rX: y", false, -EINVAL, NULL);
	/* for everybody to read; not a file */
	write_secret("s3cret", 6, 0644, path, sizeof(path));
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(http_secrets(path, "A", "", join, &all, what, sizeof(what)), -EACCES);
	assert_int_equal(http_secrets(dir, "A", "", join, &all, what, sizeof(what)), -EINVAL);
	assert_int_equal(http_secrets("/nowhere/x", "A", "", join, &all, what, sizeof(what)),
	                 -ENOENT);
	buf_free(&all);
}

static void test_urls(void **state)
{
	static const char *const bad[] = { "",           "collector:4318",    "ftp://x/",
		                           "http://",    "http:///x",         "https://u:s3cret@x/",
		                           "http://a b", "file:///etc/passwd" };
	struct http_opts opts = { .version = "1", .timeout_ms = 1000 };
	struct http *http;
	char what[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		what[0] = '\0';
		opts.url = bad[i];
		assert_null(http__new(&opts, what, sizeof(what)));
		assert_int_equal(errno, EINVAL);
		assert_true(*what && !strstr(what, "s3cret"));
	}
	opts.url = "http://localhost/a@b";
	http = http__new(&opts, what, sizeof(what));
	assert_non_null(http);
	http__free(http);
}

static uint64_t rejected(const char *body, size_t len)
{
	/* of just that size, for the sanitizer to see a read beyond it */
	char *copy = malloc(len + !len);
	uint64_t cnt;

	assert_non_null(copy);
	memcpy(copy, body, len);
	cnt = export_otlp.rejected(copy, len);
	free(copy);
	return cnt;
}

static void test_rejected(void **state)
{
	static const char body[] = "\x0a\x07\x08\xac\x02\x12\x02no";

	(void)state;
	assert_int_equal(rejected(body, sizeof(body) - 1), 300);
	assert_int_equal(rejected("", 0), 0);
	assert_int_equal(rejected("\x0a\x00", 2), 0);
	assert_int_equal(rejected("<html>nothing of the kind</html>", 32), 0);
	/* cut anywhere */
	for (size_t len = 0; len < sizeof(body) - 1; len++)
		assert_int_equal(rejected(body, len), 0);
	assert_int_equal(rejected("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), 0);
	assert_int_equal(rejected("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), 0);
	assert_int_equal(rejected("\x09\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x02\x08\x05", 13), 5);
}

static void test_gzip(void **state)
{
	struct buf out = { 0 };
	static const char magic[] = "\x1f\x8b";

	(void)state;
	assert_int_equal(gzip_add(&out, "", 0), 0);
	assert_memory_equal(buf_str(&out), magic, 2);
	buf_free(&out);
}

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; export_writers[i]; i++)
		assert_ptr_equal(export_writer_by_name(export_writers[i]->name), export_writers[i]);
	assert_null(export_writer_by_name("nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test_setup_teardown(test_queue, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_queue_full, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_queue_killed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_queue_damaged, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_secrets, make_dir, remove_dir),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
