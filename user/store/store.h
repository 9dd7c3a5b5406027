/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - profiles on disk: one SQLite file, one writer, any number of readers.
 *
 * A writer appends what was measured since the last time (a profile with its ledger) as one bucket of
 * time, in one transaction: what was appended is there after a kill or a power cut, what was not is
 * not. Readers see whole buckets and never make the writer wait. schema.h documents the tables.
 *
 *	store__open -> store__begin -> store__append (repeated), store__keep (now and then) -> store__close
 *	store__open_read -> store_query__new -> store_query__add (each store) -> store_query__profile
 *
 * Times are ns since 1970 (CLOCK_REALTIME). A bucket belongs to the range its start lies in. Errors are
 * negative errno: -ENOSPC disk full (or below the floor), -EUCLEAN damaged, -EPROTO not a store or one of
 * a newer version, -EBUSY another writer, -ENOMEM. A struct store is used by one thread at a time.
 */
#ifndef PV_STORE_STORE_H
#define PV_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "profile/profile.h"

/* Where the agent keeps its own, and report looks without a file. */
#define STORE_DEFAULT_PATH "/var/lib/pitviper/pitviper.pv"
#define STORE_GROUP        "pitviper" /* may read the agent's */
#define STORE_EXTENSION    ".pv"

struct store_opts {
	uid_t uid; /* owner of a new file; (uid_t)-1: whoever we are */
	gid_t gid; /* (gid_t)-1: likewise */
	mode_t mode;
	uint64_t min_free_bytes; /* of the file system; with less nothing is stored */
	/*
	 * One file when closed, to be carried about. Otherwise what readers need to open it, who may
	 * not write its directory, stays beside it (-wal, -shm).
	 */
	bool single;
};

struct store;

/*
 * Open for writing, made if it is not there. A damaged or foreign file is moved out of the way under
 * another name, which a warning tells. NULL and errno, and @what says why and what to do.
 */
struct store *store__open(const char *path, const struct store_opts *opts, char *what,
                          size_t what_len);
/* Open for reading only, what others write meanwhile too. The same errors. */
struct store *store__open_read(const char *path, char *what, size_t what_len);
/*
 * The same of a file that this process has open for writing. The other call looks at the file by itself
 * first, and the end of that takes the locks away that the process has on it (fcntl(2)).
 */
struct store *store__open_beside(const char *path, char *what, size_t what_len);
void store__close(struct store *store);
const char *store__path(const struct store *store);

/* A recording begins: the title, command, version, host, pythons of @meta. 0 or negative errno. */
int store__begin(struct store *store, const struct profile_meta *meta);

/*
 * Append a bucket: what @profile holds, its tracks, labels, samples and points, and of its meta data
 * start_unix_ns, duration_ns, rate_hz, cpu_cnt, tick_cnt, outcomes, events and pythons, all of this
 * bucket alone. The rate is one for the whole bucket, and gives its samples their weight.
 *
 * What can't be stored is dropped, counted and reported as the event STORE_DROPPED of the next bucket
 * that can, and a warning is logged when that begins and ends. 0 or negative errno.
 */
int store__append(struct store *store, struct profile *profile);

/* How a store is kept from growing. Zeros: no such rule. */
struct store_policy {
	uint64_t max_bytes;      /* of the file and its log */
	uint64_t max_age_ns;     /* of a bucket */
	uint64_t minute_age_ns;  /* from which on buckets are of a minute at least */
	uint64_t decade_age_ns;  /* of ten minutes */
	uint64_t min_free_bytes; /* of the file system: the store shrinks before it stops */
};

/* The default of what is not stated: a day to 10 s, three to a minute. */
#define STORE_MINUTE_AGE_NS (86400ull * 1000000000)
#define STORE_DECADE_AGE_NS (3 * STORE_MINUTE_AGE_NS)

/*
 * Roll old buckets up to coarser ones of the same rate, drop the oldest, give back the space. Does a
 * bounded part of the work, in transactions of their own. 1: call again soon; 0; negative errno.
 */
int store__keep(struct store *store, const struct store_policy *policy, uint64_t now_ns);

struct store_stats {
	uint64_t bytes;       /* the file and its log */
	uint64_t free_bytes;  /* of the file system */
	uint64_t append_cnt;  /* buckets stored since it was opened */
	uint64_t sample_cnt;  /* samples stored */
	uint64_t dropped_cnt; /* samples not stored */
	uint64_t expired_cnt; /* buckets dropped by age or size */
	uint64_t rolled_cnt;  /* buckets rolled up */
	bool paused;          /* the last append failed */
};

void store__stats(struct store *store, struct store_stats *stats);

/* The first bucket's start and the last one's end. 1: there is one; 0: it is empty; negative errno. */
int store__range(struct store *store, uint64_t *first_ns, uint64_t *last_ns);

/* The number of the bucket that was appended last; 0: there is none. 0 or negative errno. */
int store__last_id(struct store *store, int64_t *id);
/* The start of bucket @id. 0; -ENOENT there is none; negative errno. */
int store__bucket_start(struct store *store, int64_t id, uint64_t *start_ns);

#define STORE_BUCKET_MAX (1u << 20) /* of one query */
#define STORE_VALUE_MAX  (1u << 22) /* pairs of thread and stack of one query */

struct store_query;

struct store_info {
	uint64_t first_ns; /* the first bucket's start */
	uint64_t last_ns;  /* the last one's end */
	uint32_t bucket_cnt;
	uint32_t store_cnt; /* stores that have any */
	int64_t last_id;    /* the highest number of a bucket */
	/*
	 * Samples were taken at different rates: counts of the profile are in units of 1 / rate_hz of its
	 * meta data, so that they can be added up; ticks of the ledger are as they came.
	 */
	bool weighted;
};

/*
 * Buckets from @from_ns on and before @to_ns. What a query shows is of one moment of each store: until
 * it is freed, a writer must not append to the very struct store it was given. NULL and errno.
 */
struct store_query *store_query__new(uint64_t from_ns, uint64_t to_ns);
/*
 * The first @max buckets of one store that were appended after bucket number @after (0: after none), by
 * number. Numbers rise; those of buckets that have been rolled up are old ones. NULL and errno.
 */
struct store_query *store_query__new_after(int64_t after, uint32_t max);
/* Look for buckets in @store, which must outlive the query. 0 (none, too) or negative errno. */
int store_query__add(struct store_query *query, struct store *store);
void store_query__info(const struct store_query *query, struct store_info *info);
/*
 * Put all of them into one profile, the query's own, meta data included. The time line is there if all
 * of them have one. NULL and errno: EUCLEAN damaged, EFBIG more than STORE_VALUE_MAX, ETIME no end in
 * sight (damaged as well).
 */
struct profile *store_query__profile(struct store_query *query);
void store_query__free(struct store_query *query);

#endif
