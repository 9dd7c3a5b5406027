/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exporter.h - what is stored, sent to one destination, by a thread of its own.
 *
 *	exporter__new -> exporter__start -> exporter__stats (any time) -> exporter__stop -> exporter__free
 *
 * The thread reads the buckets that came since it last looked from the store, makes requests of them,
 * and puts these into a queue on disk, from which they go when the destination takes them. So sampling
 * and storing wait for nobody; each sample that is stored becomes part of one request, also after a kill;
 * and a request that was not acknowledged is sent again as it was, with the same id. A request is
 * given up when the queue is full (the oldest), or the destination says that it never will take it;
 * both are counted.
 *
 * exporter__stats() from any thread, everything else from one.
 */
#ifndef PV_EXPORT_EXPORTER_H
#define PV_EXPORT_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/export.h"
#include "export/http.h"
#include "export/retry.h"

#define EXPORT_QUEUE_BYTES (64ull << 20)        /* unless told otherwise */
#define EXPORT_EVERY_NS    (60ull * 1000000000) /* from one request to the next */
#define EXPORT_TIMEOUT_MS  30000u               /* of one request */
#define EXPORT_BUCKET_MAX  64u                  /* of one request */
#define EXPORT_BODY_MAX    (8u << 20)           /* bytes before compression; more makes two */

struct exporter_opts {
	const struct export_writer *writer;
	struct http_opts http; /* its URL without a path gets the writer's */
	const char *host;      /* name of the host */
	bool cmdlines;
	const char *store;     /* path */
	const char *queue_dir; /* its own, made if it is not there */
	uint64_t queue_bytes;
	uint64_t every_ns;
	uint64_t retry_ns; /* after the first failure: RETRY_FIRST_NS */
};

struct exporter_stats {
	uint64_t queued_samples; /* put into the queue */
	uint64_t sent_samples;   /* acknowledged */
	uint64_t sent_requests;
	uint64_t sent_bytes;       /* of bodies, compressed */
	uint64_t failed_attempts;  /* to be repeated */
	uint64_t refused_samples;  /* the destination will never take them */
	uint64_t refused_profiles; /* of requests that were taken else */
	uint64_t dropped_samples;  /* for want of room in the queue */
	uint64_t queue_items;
	uint64_t queue_bytes;
	uint64_t sent_unix_ns; /* the last time; 0: never */
	char problem[256];     /* why nothing is sent at the moment, with the remedy; "" */
};

struct exporter;

/*
 * Loads libcurl. NULL and errno, and @what in words with the remedy. All that is pointed to is copied.
 * Without a cursor in its queue it begins with what is stored from now on.
 */
struct exporter *exporter__new(const struct exporter_opts *opts, char *what, size_t size);
void exporter__free(struct exporter *exporter);
/* The name of the writer. */
const char *exporter__name(const struct exporter *exporter);
/* 0 or negative errno. */
int exporter__start(struct exporter *exporter);
/*
 * Make a request of what is still in the store, send what can be sent until @wait_ns are over, end the
 * thread. What is left stays in the queue for the next time.
 */
void exporter__stop(struct exporter *exporter, uint64_t wait_ns);
void exporter__stats(struct exporter *exporter, struct exporter_stats *stats);

#endif
