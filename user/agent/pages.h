/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - the page for machines, and for people with a browser:
 *
 *	GET /metrics                            Prometheus text
 *	GET /healthz                            200 or 503, and what is wrong
 *	GET /debug/pprof/profile?seconds=30     what is sampled from now on, as pprof
 *	GET /flamegraph?last=15m                from the store; &format=NAME another format
 *
 * It runs in a thread of its own, so that neither who reads slowly nor who asks for much holds up the
 * sampling. PAGES_CONNECTION_MAX connections, PAGES_CAPTURE_MAX profiles at a time; a connection that is
 * silent is closed after PAGES_TIMEOUT_S.
 *
 * A profile from now on is two cuts: the thread waits for slices to be cut and stored when its time
 * begins and when it ends, and reads what lies between from the store.
 */
#ifndef PV_AGENT_PAGES_H
#define PV_AGENT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/stats.h"

#define PAGES_CONNECTION_MAX 16
#define PAGES_CAPTURE_MAX    4
#define PAGES_TIMEOUT_S      30
#define PAGES_SECONDS_MAX    300                     /* of one profile */
#define PAGES_LAST_MAX_NS    (86400ull * 1000000000) /* of one flame graph */
#define PAGES_REPLY_MAX      (64u << 20)             /* bytes */

struct pages_opts {
	const char *listen; /* see address.h */
	bool allow_remote;
	const char *store; /* its path */
	gid_t gid;         /* who may connect to a socket file; (gid_t)-1: our group */
};

struct pages;

/*
 * Open the socket. NULL: *err is 0 if none was wanted, else negative errno and @what says why and what to
 * do.
 */
struct pages *pages__new(const struct pages_opts *opts, int *err, char *what, size_t what_len);
/* Begin to answer, in a thread. 0 or negative errno. */
int pages__start(struct pages *pages);
/* Ends the requests that go on. */
void pages__free(struct pages *pages);
/* What is told from now on; a copy is made. */
void pages__publish(struct pages *pages, const struct agent_stats *stats);
/* Does a request want the slice to be cut now? @now_ns: CLOCK_MONOTONIC. */
bool pages__wants_cut(struct pages *pages, uint64_t now_ns);
/* A slice was cut at @now_ns, @unix_ns, and stored if not @err. */
void pages__cut(struct pages *pages, uint64_t now_ns, uint64_t unix_ns, int err);
/* CPU time that answering took so far. */
uint64_t pages__cpu_ns(struct pages *pages);

#endif
