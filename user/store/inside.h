/* SPDX-License-Identifier: Apache-2.0 */
/* inside.h - what the files of this room share of a struct store. */
#ifndef PV_STORE_INSIDE_H
#define PV_STORE_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"
#include "store/store.h"

struct known;

/* The recording that is going on; its row is made with the first bucket. */
struct store_run {
	int64_t id; /* 0: not in the file yet */
	uint64_t start_ns;
	char *title, *command, *version, *host, *pythons;
};

struct store {
	struct db db;
	char *path;
	char *lock_path; /* NULL: a reader */
	int lock_fd;
	struct store_opts opts;
	struct store_run run;
	struct known *known; /* what the writer need not look up */
	struct store_stats stats;
	uint64_t pending_cnt; /* samples dropped since the last bucket that was stored */
	uint64_t op_cnt;      /* of a reader, in OP_STEP: bounded by op_max */
	uint64_t op_max;
	uint64_t swept_ns; /* when what nothing refers to was last looked for; 0: never */
	uint64_t swept_at; /* stats.expired_cnt then */
};

/* The bytes of the file system that are free for us; UINT64_MAX: not known. */
uint64_t store_free_bytes(const struct store *store);
/* Of the file and its log. */
uint64_t store_file_bytes(const struct store *store);

/* The file turned out to be damaged: set it aside and begin a new one. 0 or negative errno. */
int store_begin_anew(struct store *store);

/* sweep.c: delete the stacks, threads and names that no bucket refers to. */
int store_sweep(struct store *store);

/* known.c: rows the writer has met, so that each is looked up once. */
struct known *known__new(void); /* NULL: no memory */
void known__free(struct known *known);
/* Rows may be gone, or were never committed. */
int known__forget(struct known *known);
/* Make room between two buckets, if it has grown large. 0 or -ENOMEM. */
int known__trim(struct known *known);
/* The row ids of what @profile's values and points need; see known.c. 0 or negative errno. */
struct known_ids {
	int64_t *stacks; /* by stack of @profile; 0: PROFILE_ROOT, or not needed */
	int64_t *threads;
};
int known__resolve(struct known *known, struct db *db, struct profile *profile,
                   struct known_ids *ids);
void known_ids_free(struct known_ids *ids);

#endif
