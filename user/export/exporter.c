// SPDX-License-Identifier: Apache-2.0
#include "export/exporter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "export/gzip.h"
#include "export/queue.h"
#include "export/retry.h"
#include "out/text.h"
#include "store/store.h"
#include "util/clock.h"
#include "util/log.h"

#define FIX_FAILURES 7 /* where the waiting begins when a person has to mend something: a minute */
#define EXCERPT_MAX  160 /* bytes of a response that are shown */

struct exporter {
	const struct export_writer *writer;
	char *host, *version, *store_path, *shown_url;
	bool cmdlines;
	uint64_t every_ns;
	uint64_t retry_ns;
	struct http *http;
	struct queue *queue;
	struct store *store; /* to read; NULL: not open */
	pthread_t thread;
	bool running;
	unsigned int failures; /* in a row */
	uint64_t send_due_ns;  /* CLOCK_MONOTONIC */
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t wake;
	bool stop;
	struct exporter_stats stats;
};

static uint64_t random_number(void)
{
	uint64_t number = 0;

	/* Without it: the clock will do to spread the attempts of a fleet. */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = clock_ns(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull;
	return number;
}

static void make_id(unsigned char *id)
{
	const uint64_t halves[] = { random_number(), random_number() };

	_Static_assert(sizeof(halves) == EXPORT_ID_LEN, "an id is two numbers");
	memcpy(id, halves, sizeof(halves));
}

/* @problem NULL or "": all is well (again). Logged when it changes, not each time. */
static void set_problem(struct exporter *exporter, const char *problem)
{
	char old[sizeof(exporter->stats.problem)];

	pthread_mutex_lock(&exporter->mutex);
	memcpy(old, exporter->stats.problem, sizeof(old));
	snprintf(exporter->stats.problem, sizeof(exporter->stats.problem), "%s",
	         problem ? problem : "");
	pthread_mutex_unlock(&exporter->mutex);
	if (problem && *problem && strcmp(old, problem) != 0)
		log_warn("export to %s: %s; it will be tried again", exporter->shown_url, problem);
	else if ((!problem || !*problem) && *old)
		log_info("export to %s: works again", exporter->shown_url);
}

static void count_queue(struct exporter *exporter)
{
	struct queue_stats queue;

	queue__stats(exporter->queue, &queue);
	pthread_mutex_lock(&exporter->mutex);
	exporter->stats.queue_items = queue.items;
	exporter->stats.queue_bytes = queue.bytes;
	exporter->stats.dropped_samples = queue.dropped_samples;
	pthread_mutex_unlock(&exporter->mutex);
}

/* Nothing was ever exported: begin behind what is stored now. 0 or negative errno. */
static int begin(struct exporter *exporter, char *what, size_t size)
{
	struct queue_cursor cursor = { 0 };
	struct store *store;
	int err = 0;

	if (queue__cursor(exporter->queue, &cursor))
		return 0;
	store = store__open_read(exporter->store_path, what, size);
	if (!store && errno != ENOENT)
		return -errno;
	if (store)
		err = store__last_id(store, &cursor.bucket);
	if (store && !err && cursor.bucket)
		err = store__bucket_start(store, cursor.bucket, &cursor.start_ns);
	store__close(store);
	if (!err)
		err = queue__skip(exporter->queue, &cursor);
	if (err)
		snprintf(what, size, "beginning to export: %s", strerror(-err));
	return err;
}

/*
 * Where to go on. In another store than the one that the cursor is of, because that one was damaged and
 * put aside: from its beginning.
 */
static int find_cursor(struct exporter *exporter, struct queue_cursor *cursor)
{
	uint64_t start_ns = 0;
	int64_t last = 0;
	int err = store__last_id(exporter->store, &last);

	queue__cursor(exporter->queue, cursor);
	if (err || !cursor->bucket)
		return err;
	/* No such bucket: it has been rolled up or has expired since. */
	err = store__bucket_start(exporter->store, cursor->bucket, &start_ns);
	if (last < cursor->bucket || (!err && start_ns != cursor->start_ns))
		*cursor = (struct queue_cursor){ 0 };
	return err == -ENOENT ? 0 : err;
}

/* The body of the request for @profile. -EFBIG: to be made of less. */
static int make_body(struct exporter *exporter, struct profile *profile, struct buf *body)
{
	struct export_options options = {
		.host = exporter->host,
		.version = exporter->version,
		.cmdlines = exporter->cmdlines,
	};
	struct buf plain = { 0 };
	int err;

	make_id(options.id);
	err = exporter->writer->write(profile, &options, &plain);
	if (!err && plain.len > EXPORT_BODY_MAX)
		err = -EFBIG;
	if (!err && exporter->writer->gzip) {
		err = gzip_add(body, buf_str(&plain), plain.len);
	} else if (!err) {
		*body = plain;
		plain = (struct buf){ 0 };
	}
	buf_free(&plain);
	return err;
}

/* Samples that can't become a request are given up, or they would be in the way for ever. */
static int give_up(struct exporter *exporter, const struct queue_cursor *cursor, uint64_t samples)
{
	int err = queue__skip(exporter->queue, cursor);

	if (err)
		return err;
	log_warn("export to %s: %llu samples of one flush are more than a request can hold; they "
	         "are not sent",
	         exporter->shown_url, (unsigned long long)samples);
	pthread_mutex_lock(&exporter->mutex);
	exporter->stats.refused_samples += samples;
	pthread_mutex_unlock(&exporter->mutex);
	return 0;
}

static int put(struct exporter *exporter, struct profile *profile,
               const struct queue_cursor *cursor, bool single)
{
	uint64_t samples = profile__sample_cnt(profile);
	struct buf body = { 0 };
	int err;

	if (!samples)
		return queue__skip(exporter->queue, cursor);
	err = make_body(exporter, profile, &body);
	if (!err)
		err = queue__put(exporter->queue, cursor, samples, buf_str(&body), body.len);
	buf_free(&body);
	if (err == -EFBIG && single)
		return give_up(exporter, cursor, samples);
	if (!err) {
		pthread_mutex_lock(&exporter->mutex);
		exporter->stats.queued_samples += samples;
		pthread_mutex_unlock(&exporter->mutex);
	}
	return err;
}

/*
 * Make a request of up to @max buckets behind the cursor. 1: there may be more; 0: no more; -EFBIG: too
 * many for one request, of different rates, too, as samples are to stay whole; negative errno.
 */
static int take_some(struct exporter *exporter, uint32_t max)
{
	struct queue_cursor cursor;
	struct store_query *query = NULL;
	struct store_info info = { 0 };
	struct profile *profile;
	int err = find_cursor(exporter, &cursor);

	if (err)
		return err;
	query = store_query__new_after(cursor.bucket, max);
	if (!query)
		return -ENOMEM;
	err = store_query__add(query, exporter->store);
	store_query__info(query, &info);
	if (!err && info.bucket_cnt) {
		cursor.bucket = info.last_id;
		err = store__bucket_start(exporter->store, info.last_id, &cursor.start_ns);
		if (!err && info.weighted)
			err = -EFBIG;
		profile = err ? NULL : store_query__profile(query);
		if (!err)
			err = profile ? put(exporter, profile, &cursor, info.bucket_cnt == 1)
			              : -errno;
		if (err == -EFBIG && info.bucket_cnt == 1)
			err = give_up(exporter, &cursor, 0);
	}
	store_query__free(query);
	return err ? err : info.bucket_cnt == max;
}

/*
 * Requests of all that is new in the store, which is opened each time: a damaged one is replaced under its
 * name, and what a reader keeps in memory is not needed between. 0 or negative errno and @what.
 */
static int take(struct exporter *exporter, char *what, size_t size)
{
	uint32_t max = EXPORT_BUCKET_MAX;
	int ret = 1;

	exporter->store = store__open_read(exporter->store_path, what, size);
	if (!exporter->store)
		return errno == ENOENT ? 0 : -errno; /* not made yet */
	while (ret == 1 || ret == -EFBIG) {
		if (ret == -EFBIG && max > 1)
			max /= 2;
		ret = take_some(exporter, max);
	}
	if (ret)
		snprintf(what, size, "reading the store or filling the queue: %s", strerror(-ret));
	store__close(exporter->store);
	exporter->store = NULL;
	count_queue(exporter);
	return ret;
}

/* What a failed request tells a person. */
static void describe(const struct http_response *response, char *out, size_t size)
{
	const struct buf *body = &response->body;
	struct buf text = { 0 };
	const char *remedy = "";

	if (!response->status) {
		snprintf(out, size, "%s", response->what);
		return;
	}
	text_visible(&text, buf_str(body), body->len < EXCERPT_MAX ? body->len : EXCERPT_MAX);
	if (response->status == 401 || response->status == 403 || response->status == 407)
		remedy = " (check the token or headers file)";
	else if (response->status == 404 || response->status / 100 == 3)
		remedy = " (check the URL's path; redirects are not followed)";
	snprintf(out, size, "answered %ld%s%s%s", response->status, remedy, text.len ? ": " : "",
	         buf_str(&text));
	buf_free(&text);
}

static int taken(struct exporter *exporter, const struct http_response *response, uint64_t samples,
                 size_t bytes)
{
	uint64_t refused =
		exporter->writer->rejected
			? exporter->writer->rejected(buf_str(&response->body), response->body.len)
			: 0;

	exporter->failures = 0;
	pthread_mutex_lock(&exporter->mutex);
	exporter->stats.sent_samples += samples;
	exporter->stats.sent_requests++;
	exporter->stats.sent_bytes += bytes;
	exporter->stats.refused_profiles += refused;
	exporter->stats.sent_unix_ns = clock_ns(CLOCK_REALTIME);
	pthread_mutex_unlock(&exporter->mutex);
	set_problem(exporter, NULL);
	return queue__remove(exporter->queue);
}

static int refused(struct exporter *exporter, const struct http_response *response,
                   uint64_t samples)
{
	char what[256];

	describe(response, what, sizeof(what));
	log_warn("export to %s: %s; these %llu samples are given up", exporter->shown_url, what,
	         (unsigned long long)samples);
	exporter->failures = 0;
	pthread_mutex_lock(&exporter->mutex);
	exporter->stats.refused_samples += samples;
	pthread_mutex_unlock(&exporter->mutex);
	return queue__remove(exporter->queue);
}

static void failed(struct exporter *exporter, const struct http_response *response, bool fix)
{
	char what[256];

	describe(response, what, sizeof(what));
	exporter->failures++;
	if (fix && exporter->failures < FIX_FAILURES)
		exporter->failures = FIX_FAILURES;
	exporter->send_due_ns =
		clock_ns(CLOCK_MONOTONIC) + retry_wait_ns(exporter->retry_ns, exporter->failures,
	                                                  random_number(), response->after_ns);
	pthread_mutex_lock(&exporter->mutex);
	exporter->stats.failed_attempts++;
	pthread_mutex_unlock(&exporter->mutex);
	set_problem(exporter, what);
}

/* Send the oldest request. 1: it is gone from the queue; 0: nothing to send, or not now; -errno. */
static int send_one(struct exporter *exporter)
{
	struct buf body = { 0 };
	struct http_response response;
	uint64_t samples = 0;
	int ret = queue__first(exporter->queue, &samples, &body);

	if (ret == 1) {
		const struct http_request request = {
			.content_type = exporter->writer->content_type,
			.gzipped = exporter->writer->gzip,
			.body = body.data,
			.len = body.len,
		};
		int err = http__post(exporter->http, &request, &response);

		switch (err ? RETRY_FIX
		            : retry_verdict(response.status, exporter->writer->retry_500)) {
		case RETRY_DONE:
			err = taken(exporter, &response, samples, body.len);
			ret = err ? err : 1;
			break;
		case RETRY_NEVER:
			err = refused(exporter, &response, samples);
			ret = err ? err : 1;
			break;
		case RETRY_FIX:
			failed(exporter, &response, true);
			ret = 0;
			break;
		case RETRY_AGAIN:
			failed(exporter, &response, false);
			ret = 0;
			break;
		}
		http_response_free(&response);
	}
	buf_free(&body);
	return ret;
}

/* Wait until @due_ns (CLOCK_MONOTONIC), or to be stopped, which is returned. */
static bool wait_until(struct exporter *exporter, uint64_t due_ns)
{
	const struct timespec due = {
		.tv_sec = (time_t)(due_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(due_ns % NSEC_PER_SEC),
	};
	bool stop;
	int err = 0;

	pthread_mutex_lock(&exporter->mutex);
	while (!exporter->stop && !err)
		err = pthread_cond_timedwait(&exporter->wake, &exporter->mutex, &due);
	stop = exporter->stop;
	pthread_mutex_unlock(&exporter->mutex);
	return stop;
}

static void send_all(struct exporter *exporter)
{
	int ret = 1;

	while (ret == 1 && clock_ns(CLOCK_MONOTONIC) >= exporter->send_due_ns)
		ret = send_one(exporter);
	if (ret < 0) {
		exporter->send_due_ns = clock_ns(CLOCK_MONOTONIC) + exporter->every_ns;
		set_problem(exporter, strerror(-ret));
	}
	count_queue(exporter);
}

static void *run(void *ctx)
{
	struct exporter *exporter = ctx;
	uint64_t take_due_ns = 0;
	bool stop = false;

	for (;;) {
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), due_ns;
		struct exporter_stats stats;

		if (stop || now_ns >= take_due_ns) {
			char what[256];

			if (take(exporter, what, sizeof(what)))
				set_problem(exporter, what);
			take_due_ns = now_ns + exporter->every_ns;
		}
		send_all(exporter);
		if (stop)
			return NULL;
		exporter__stats(exporter, &stats);
		due_ns = take_due_ns;
		if (stats.queue_items && exporter->send_due_ns < due_ns)
			due_ns = exporter->send_due_ns;
		stop = wait_until(exporter, due_ns);
	}
}

/* The URL with the writer's path if it has none of its own. */
static char *full_url(const char *url, const char *path)
{
	const char *host = strstr(url, "://");
	const char *own = host ? strchr(host + 3, '/') : NULL;
	struct buf full = { 0 };

	buf_add(&full, url, own && !own[1] ? (size_t)(own - url) : strlen(url));
	if (!own || !own[1])
		buf_puts(&full, path);
	if (full.err)
		buf_free(&full);
	return full.data;
}

static void init_waiting(struct exporter *exporter)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&exporter->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&exporter->wake, &attr);
	pthread_condattr_destroy(&attr);
}

struct exporter *exporter__new(const struct exporter_opts *opts, char *what, size_t size)
{
	struct exporter *exporter = calloc(1, sizeof(*exporter));
	struct http_opts http = opts->http;
	int err;

	snprintf(what, size, "out of memory");
	if (!exporter)
		return NULL;
	init_waiting(exporter);
	exporter->writer = opts->writer;
	exporter->cmdlines = opts->cmdlines;
	exporter->every_ns = opts->every_ns;
	exporter->retry_ns = opts->retry_ns;
	exporter->host = strdup(opts->host);
	exporter->version = strdup(opts->http.version);
	exporter->store_path = strdup(opts->store);
	exporter->shown_url = full_url(opts->http.url, opts->writer->path);
	errno = ENOMEM;
	if (exporter->host && exporter->version && exporter->store_path && exporter->shown_url) {
		http.url = exporter->shown_url;
		exporter->http = http__new(&http, what, size);
	}
	if (exporter->http)
		exporter->queue = queue__open(opts->queue_dir, opts->queue_bytes, what, size);
	err = exporter->queue ? begin(exporter, what, size) : -errno;
	if (err) {
		exporter__free(exporter);
		errno = -err;
		return NULL;
	}
	count_queue(exporter);
	return exporter;
}

void exporter__free(struct exporter *exporter)
{
	if (!exporter)
		return;
	exporter__stop(exporter, 0);
	queue__close(exporter->queue);
	http__free(exporter->http);
	pthread_cond_destroy(&exporter->wake);
	pthread_mutex_destroy(&exporter->mutex);
	free(exporter->host);
	free(exporter->version);
	free(exporter->store_path);
	free(exporter->shown_url);
	free(exporter);
}

const char *exporter__name(const struct exporter *exporter)
{
	return exporter->writer->name;
}

int exporter__start(struct exporter *exporter)
{
	sigset_t all, old;
	int err;

	/* Signals are for the thread that has always been there. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&exporter->thread, NULL, run, exporter);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	exporter->running = !err;
	return -err;
}

void exporter__stop(struct exporter *exporter, uint64_t wait_ns)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + wait_ns;
	const struct timespec end = {
		.tv_sec = (time_t)(end_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(end_ns % NSEC_PER_SEC),
	};

	if (!exporter->running)
		return;
	pthread_mutex_lock(&exporter->mutex);
	exporter->stop = true;
	pthread_cond_signal(&exporter->wake);
	pthread_mutex_unlock(&exporter->mutex);
	if (pthread_clockjoin_np(exporter->thread, NULL, CLOCK_MONOTONIC, &end)) {
		http__cancel(exporter->http);
		pthread_join(exporter->thread, NULL);
	}
	exporter->running = false;
}

void exporter__stats(struct exporter *exporter, struct exporter_stats *stats)
{
	pthread_mutex_lock(&exporter->mutex);
	*stats = exporter->stats;
	pthread_mutex_unlock(&exporter->mutex);
}
