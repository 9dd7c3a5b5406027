/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one sampling session, from loading the programs to a finished profile.
 *
 *	session__new -> session__start -> session__run (repeated) -> session__stop -> session__profile
 *	                                  session__slice (now and then)
 *
 * The session attaches first and scans for processes second, so that nothing falls between. All
 * calls from one thread.
 */
#ifndef PV_COLLECT_SESSION_H
#define PV_COLLECT_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/service.h"
#include "profile/profile.h"

#define SESSION_RATE_MAX 10000

struct session_opts {
	bool all;          /* every Python process on the host */
	const pid_t *pids; /* else these */
	size_t pid_cnt;
	bool children;        /* and their children */
	uint32_t rate_hz;     /* 1 to SESSION_RATE_MAX */
	uint32_t rate_max_hz; /* what session__slice() may set it to; 0: rate_hz */
	bool timed;           /* tell what the session costs */
	bool patient;         /* always on: what can wait is done less often */
	bool points;          /* keep the time line */
	bool labels;          /* tell what processes belong to, see proc/labels.h */
	const char *types;    /* as in struct kern_opts; must outlive session__new() */
	/* How services are called; NULL: SERVICE_DEFAULT. Must outlive the session. */
	const struct service_rules *services;
};

/* Why a session could not start; `what` says it in words with the remedy. */
enum session_error {
	SESSION_OK = 0,
	SESSION_NO_PROCESS, /* no such process */
	SESSION_NOT_PYTHON,
	SESSION_UNSUPPORTED,   /* Python, but not one we can read */
	SESSION_NOT_PERMITTED, /* capability or sysctl */
	SESSION_NO_BPF,        /* kernel lacks BTF, BPF or perf events */
	SESSION_BAD_TYPES,     /* the file `types` */
	SESSION_INTERNAL,      /* out of memory and the like */
};

struct session_status {
	uint64_t elapsed_ns;
	uint64_t tick_cnt;
	uint64_t sample_cnt;  /* received */
	uint64_t lost_cnt;    /* ring full */
	uint32_t cpu_cnt;     /* that tick */
	uint32_t process_cnt; /* Python processes known now */
	uint32_t target_cnt;  /* of the pids asked for, alive now */
	uint64_t cpu_ns;      /* this process's own CPU time since the start */
	uint64_t spent_ns;    /* CPU time of the kernel side since the start, if timed */
	uint64_t watch_ns;    /* of ours, that watching processes start and end took, if timed */
	bool tight;           /* a bound is near that only a new session would move */
	uint64_t first_sample_ns; /* from session__new to the first sample received; 0: none yet */
};

struct session;

/* NULL: see *error and @what (of @what_len bytes). */
struct session *session__new(const struct session_opts *opts, enum session_error *error, char *what,
                             size_t what_len);
void session__free(struct session *session);

/*
 * Select @pid too (a child launched and still held before its exec, whatever it runs by then).
 * 0 or negative errno.
 */
int session__add_pid(struct session *session, pid_t pid);
/* Start the timers and find the processes. SESSION_OK or why not. */
enum session_error session__start(struct session *session, char *what, size_t what_len);
/*
 * Work for at most @timeout_ms, then return: drain the ring, configure processes. Returns early
 * when @wake_fd (or -1) becomes readable. 0 or negative errno.
 */
int session__run(struct session *session, int timeout_ms, int wake_fd);
/* Stop the timers and drain what is left. Counters are final after this. 0 or negative errno. */
int session__stop(struct session *session);
/*
 * Hand over the profile, the caller's to free, and fill the ledger, times, rate and CPU count of @meta.
 * The rows' strings are static. NULL and errno. To be called once, after session__stop().
 */
struct profile *session__profile(struct session *session, struct profile_meta *meta);
/*
 * Between start and stop: hand over, as session__profile() does, what was recorded since the start or the
 * last slice, and go on, with @rate_hz (0: as before). So all samples of one profile stand for the same
 * time. The ledgers of all slices and of session__profile() add up to the session's; ticks that wait for
 * pages are in the slice in which they end. NULL and errno: try again, nothing is lost.
 */
struct profile *session__slice(struct session *session, uint32_t rate_hz,
                               struct profile_meta *meta);
/* When the slice that goes on now began, as its meta data will say: ns since 1970. */
uint64_t session__slice_start(const struct session *session);
void session__status(struct session *session, struct session_status *status);
/* Samples of the finished profile that stand for what was lost. */
uint64_t session__lost_cnt(const struct session *session);
/* Python processes that live, by version. */
struct session_python {
	uint16_t version; /* major << 8 | minor */
	uint32_t cnt;
};
/* At most @max of them into @pythons; how many. */
uint32_t session__count_pythons(const struct session *session, struct session_python *pythons,
                                uint32_t max);
/* Comma-separated versions of the Python processes met, for a report; the session's own. */
const char *session__pythons(struct session *session);

#endif
