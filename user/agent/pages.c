// SPDX-License-Identifier: Apache-2.0
#include "agent/pages.h"

#include <errno.h>
#include <malloc.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/address.h"
#include "agent/metrics.h"
#include "agent/render.h"
#include "util/buf.h"
#include "util/clock.h"

#define CONNECTION_BYTES 16384
#define SECONDS_DEFAULT  30
#define LAST_DEFAULT     "15m"

enum capture_state {
	CAPTURE_FREE,
	CAPTURE_WANTED,  /* the slice is to be cut */
	CAPTURE_RUNNING, /* until end_ns */
	CAPTURE_DONE,    /* its request is to be answered */
};

struct capture {
	enum capture_state state;
	struct MHD_Connection *connection;
	uint64_t span_ns;
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	uint64_t from_unix_ns, to_unix_ns;
	int err;
};

struct pages {
	int fd; /* listens, until the daemon has it; -1: none */
	struct MHD_Daemon *daemon;
	char *store;
	char *socket_path; /* NULL: not a socket file */
	bool is_inet;
	pthread_mutex_t lock; /* of all below */
	struct agent_stats stats;
	struct capture captures[PAGES_CAPTURE_MAX];
	bool stopping;
	uint64_t cpu_ns;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status,
                             const char *type, struct buf *body, const char *name)
{
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;
	char disposition[80];

	if (body->err) {
		buf_free(body);
		return MHD_NO;
	}
	response = MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		buf_free(body);
		return MHD_NO;
	}
	*body = (struct buf){ 0 };
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (name) {
		snprintf(disposition, sizeof(disposition), "inline; filename=\"%s\"", name);
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, disposition);
	}
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status,
                              const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status,
                              const char *fmt, ...)
{
	struct buf body = { 0 };
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	buf_printf(&body, "%s\n", text);
	return reply(connection, status, "text/plain; charset=utf-8", &body, NULL);
}

static enum MHD_Result on_index(struct pages *pages, struct MHD_Connection *connection)
{
	struct buf body = { 0 };

	(void)pages;
	buf_puts(&body, "<!doctype html>\n<title>pitviper agent</title>\n"
	                "<h1>pitviper " PV_VERSION "</h1>\n<ul>\n"
	                "<li><a href=\"/flamegraph?last=15m\">flame graph of the last 15 minutes"
	                "</a>\n"
	                "<li><a href=\"/healthz\">health</a>\n"
	                "<li><a href=\"/metrics\">metrics</a>\n"
	                "<li><a href=\"/debug/pprof/profile?seconds=30\">the next 30 seconds, for"
	                " pprof</a>\n</ul>\n");
	return reply(connection, MHD_HTTP_OK, "text/html; charset=utf-8", &body, NULL);
}

static struct agent_stats *copy_stats(struct pages *pages)
{
	struct agent_stats *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	pthread_mutex_lock(&pages->lock);
	*copy = pages->stats;
	pthread_mutex_unlock(&pages->lock);
	return copy;
}

static enum MHD_Result on_metrics(struct pages *pages, struct MHD_Connection *connection)
{
	struct agent_stats *stats = copy_stats(pages);
	struct buf body = { 0 };

	if (!stats)
		return MHD_NO;
	metrics_text(stats, &body);
	free(stats);
	return reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body,
	             NULL);
}

static enum MHD_Result on_health(struct pages *pages, struct MHD_Connection *connection)
{
	struct agent_stats *stats = copy_stats(pages);
	struct buf body = { 0 };
	bool good;

	if (!stats)
		return MHD_NO;
	good = metrics_health(stats, &body);
	free(stats);
	return reply(connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
	             "text/plain; charset=utf-8", &body, NULL);
}

static const char *argument(struct MHD_Connection *connection, const char *name,
                            const char *otherwise)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);

	return value ? value : otherwise;
}

static enum MHD_Result send_range(struct pages *pages, struct MHD_Connection *connection,
                                  uint64_t from_ns, uint64_t to_ns, const char *format)
{
	struct render_file file = { .max_bytes = PAGES_REPLY_MAX };
	int err = render_range(pages->store, from_ns, to_ns, format, &file);
	enum MHD_Result result;

	switch (err) {
	case 0:
		result = reply(connection, MHD_HTTP_OK, file.type, &file.body, file.name);
		break;
	case -EINVAL:
		result = refuse(connection, MHD_HTTP_BAD_REQUEST, "there is no format '%.64s'",
		                format);
		break;
	case -ENODATA:
		result = refuse(connection, MHD_HTTP_NOT_FOUND,
		                "nothing was stored in that time: see /healthz");
		break;
	case -EFBIG:
		result = refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE,
		                "too much for one answer: ask for less, or use 'pitviper report'");
		break;
	default:
		result = refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s",
		                *file.what ? file.what : strerror(-err));
	}
	buf_free(&file.body);
	malloc_trim(0);
	return result;
}

static enum MHD_Result on_flamegraph(struct pages *pages, struct MHD_Connection *connection)
{
	const char *last = argument(connection, "last", LAST_DEFAULT);
	uint64_t now_ns = clock_ns(CLOCK_REALTIME), span_ns;

	if (!render_span(last, &span_ns) || span_ns > PAGES_LAST_MAX_NS)
		return refuse(connection, MHD_HTTP_BAD_REQUEST,
		              "last: '%.64s' is not a span of time up to a day (as 90s, 15m or 6h)",
		              last);
	return send_range(pages, connection, now_ns - span_ns, UINT64_MAX,
	                  argument(connection, "format", NULL));
}

static struct capture *find_capture(struct pages *pages, struct MHD_Connection *connection)
{
	for (size_t i = 0; i < PAGES_CAPTURE_MAX; i++) {
		struct capture *capture = &pages->captures[i];

		if (connection ? capture->state && capture->connection == connection
		               : capture->state == CAPTURE_FREE)
			return capture;
	}
	return NULL;
}

/* The slices are there. */
static enum MHD_Result end_capture(struct pages *pages, struct MHD_Connection *connection,
                                   const struct capture *capture)
{
	if (pages->stopping)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping");
	if (capture->err)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
		              "nothing can be sampled or stored now: see /healthz");
	return send_range(pages, connection, capture->from_unix_ns, capture->to_unix_ns, "pprof");
}

static enum MHD_Result on_profile(struct pages *pages, struct MHD_Connection *connection)
{
	const char *seconds = argument(connection, "seconds", NULL);
	char *end = NULL;
	long number = seconds ? strtol(seconds, &end, 10) : SECONDS_DEFAULT;
	struct capture *capture, done;

	if (number < 1 || number > PAGES_SECONDS_MAX || (end && *end))
		return refuse(connection, MHD_HTTP_BAD_REQUEST,
		              "seconds: '%.64s' is not a whole number from 1 to %d", seconds,
		              PAGES_SECONDS_MAX);
	pthread_mutex_lock(&pages->lock);
	capture = find_capture(pages, connection);
	if (capture) {
		/* Resumed. */
		done = *capture;
		capture->state = CAPTURE_FREE;
		pthread_mutex_unlock(&pages->lock);
		return end_capture(pages, connection, &done);
	}
	capture = pages->stopping ? NULL : find_capture(pages, NULL);
	if (!capture) {
		pthread_mutex_unlock(&pages->lock);
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
		              "%d profiles are being taken already; try again later",
		              PAGES_CAPTURE_MAX);
	}
	*capture = (struct capture){
		.state = CAPTURE_WANTED,
		.connection = connection,
		.span_ns = (uint64_t)number * NSEC_PER_SEC,
	};
	MHD_suspend_connection(connection);
	pthread_mutex_unlock(&pages->lock);
	return MHD_YES;
}

static const struct route {
	const char *path;
	enum MHD_Result (*answer)(struct pages *pages, struct MHD_Connection *connection);
} routes[] = {
	{ "/", on_index },
	{ "/metrics", on_metrics },
	{ "/healthz", on_health },
	{ "/flamegraph", on_flamegraph },
	{ "/debug/pprof/profile", on_profile },
};

/*
 * A page of somebody's that the browser took for this host (DNS rebinding) asks by a name: by an address
 * and as localhost nobody else can.
 */
static bool host_is_ours(const struct pages *pages, struct MHD_Connection *connection)
{
	const char *host =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	struct address address;
	size_t len;

	if (!pages->is_inet || !host)
		return true;
	len = strcspn(host, ":");
	if (len == strlen("localhost") && !strncmp(host, "localhost", len))
		return true;
	if (!address_parse(host, &address))
		return true;
	/* Without a port. */
	return *host == '[' || strspn(host, "0123456789.") == strlen(host);
}

static enum MHD_Result answer(struct pages *pages, struct MHD_Connection *connection,
                              const char *path, const char *method)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only");
	if (!host_is_ours(pages, connection))
		return refuse(connection, MHD_HTTP_FORBIDDEN,
		              "ask by address, or as localhost, not by another name");
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (!strcmp(path, routes[i].path))
			return routes[i].answer(pages, connection);
	return refuse(connection, MHD_HTTP_NOT_FOUND, "there is no such page; / lists them");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
	struct pages *pages = ctx;
	uint64_t begin_ns;
	enum MHD_Result result;

	(void)version;
	(void)upload;
	/* First without the body, of which nothing is wanted. */
	if (!*request) {
		*request = pages;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	result = answer(pages, connection, path, method);
	pthread_mutex_lock(&pages->lock);
	pages->cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
	pthread_mutex_unlock(&pages->lock);
	return result;
}

/* Who asked for a profile may go while it is made. */
static void on_end(void *ctx, struct MHD_Connection *connection, void **request,
                   enum MHD_RequestTerminationCode code)
{
	struct pages *pages = ctx;
	struct capture *capture;

	(void)request;
	(void)code;
	pthread_mutex_lock(&pages->lock);
	capture = find_capture(pages, connection);
	if (capture)
		capture->state = CAPTURE_FREE;
	pthread_mutex_unlock(&pages->lock);
}

static int open_socket(struct pages *pages, const struct pages_opts *opts, char *what,
                       size_t what_len)
{
	struct address address;
	int fd, err = address_parse(opts->listen, &address);

	if (err) {
		snprintf(what, what_len,
		         "listen: '%s' is not an address (as unix:/run/pitviper/agent.sock, "
		         "127.0.0.1:9547 or none)",
		         opts->listen);
		return err;
	}
	if (address.none)
		return -ENOENT;
	if (!address.is_local && !opts->allow_remote) {
		snprintf(what, what_len,
		         "listen: %s can be reached from beyond this host, and shows what its "
		         "programs do to everybody; if that is meant: allow-remote = yes",
		         opts->listen);
		return -EPERM;
	}
	fd = address_listen(&address, opts->gid);
	if (fd < 0) {
		snprintf(what, what_len, "cannot listen at %s: %s", opts->listen, strerror(-fd));
		return fd;
	}
	pages->is_inet = address.to.any.sa_family != AF_UNIX;
	if (!pages->is_inet)
		pages->socket_path = strdup(address.to.un.sun_path);
	return fd;
}

struct pages *pages__new(const struct pages_opts *opts, int *err, char *what, size_t what_len)
{
	struct pages *pages = calloc(1, sizeof(*pages));

	*err = -ENOMEM;
	snprintf(what, what_len, "out of memory");
	if (!pages)
		return NULL;
	pthread_mutex_init(&pages->lock, NULL);
	pages->fd = -1;
	pages->store = strdup(opts->store);
	if (pages->store)
		pages->fd = open_socket(pages, opts, what, what_len);
	if (pages->fd >= 0) {
		*err = 0;
		return pages;
	}
	if (pages->store)
		*err = pages->fd == -ENOENT ? 0 : pages->fd;
	pages__free(pages);
	return NULL;
}

int pages__start(struct pages *pages)
{
	pages->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
		NULL, on_request, pages, MHD_OPTION_LISTEN_SOCKET, pages->fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)PAGES_CONNECTION_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)PAGES_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_NOTIFY_COMPLETED, on_end, pages, MHD_OPTION_END);
	if (!pages->daemon)
		return -EAGAIN;
	/* The daemon's now. */
	pages->fd = -1;
	return 0;
}

/* Let the request of @capture go on; the lock is held. */
static void resume(struct capture *capture, int err)
{
	capture->state = CAPTURE_DONE;
	capture->err = err;
	MHD_resume_connection(capture->connection);
}

void pages__free(struct pages *pages)
{
	if (!pages)
		return;
	pthread_mutex_lock(&pages->lock);
	pages->stopping = true;
	for (size_t i = 0; i < PAGES_CAPTURE_MAX; i++)
		if (pages->captures[i].state == CAPTURE_WANTED ||
		    pages->captures[i].state == CAPTURE_RUNNING)
			resume(&pages->captures[i], -ECANCELED);
	pthread_mutex_unlock(&pages->lock);
	if (pages->daemon)
		MHD_stop_daemon(pages->daemon);
	if (pages->fd >= 0)
		close(pages->fd);
	if (pages->socket_path)
		unlink(pages->socket_path);
	free(pages->socket_path);
	free(pages->store);
	pthread_mutex_destroy(&pages->lock);
	free(pages);
}

void pages__publish(struct pages *pages, const struct agent_stats *stats)
{
	if (!pages)
		return;
	pthread_mutex_lock(&pages->lock);
	pages->stats = *stats;
	pthread_mutex_unlock(&pages->lock);
}

bool pages__wants_cut(struct pages *pages, uint64_t now_ns)
{
	bool wants = false;

	if (!pages)
		return false;
	pthread_mutex_lock(&pages->lock);
	for (size_t i = 0; i < PAGES_CAPTURE_MAX; i++) {
		const struct capture *capture = &pages->captures[i];

		if (capture->state == CAPTURE_WANTED ||
		    (capture->state == CAPTURE_RUNNING && capture->end_ns <= now_ns))
			wants = true;
	}
	pthread_mutex_unlock(&pages->lock);
	return wants;
}

void pages__cut(struct pages *pages, uint64_t now_ns, uint64_t unix_ns, int err)
{
	if (!pages)
		return;
	pthread_mutex_lock(&pages->lock);
	for (size_t i = 0; i < PAGES_CAPTURE_MAX; i++) {
		struct capture *capture = &pages->captures[i];

		if (capture->state == CAPTURE_WANTED && !err) {
			capture->state = CAPTURE_RUNNING;
			capture->from_unix_ns = unix_ns;
			capture->end_ns = now_ns + capture->span_ns;
		} else if (capture->state == CAPTURE_WANTED ||
		           (capture->state == CAPTURE_RUNNING &&
		            (err || capture->end_ns <= now_ns))) {
			capture->to_unix_ns = unix_ns;
			resume(capture, err);
		}
	}
	pthread_mutex_unlock(&pages->lock);
}

uint64_t pages__cpu_ns(struct pages *pages)
{
	uint64_t cpu_ns;

	if (!pages)
		return 0;
	pthread_mutex_lock(&pages->lock);
	cpu_ns = pages->cpu_ns;
	pthread_mutex_unlock(&pages->lock);
	return cpu_ns;
}
