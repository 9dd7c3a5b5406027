// SPDX-License-Identifier: Apache-2.0
/* keep.c - old buckets become coarser and then go, so that the file stays within its bounds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/inside.h"
#include "util/clock.h"

#define SLOT_MAX   512 /* buckets that are rolled up to one at a time */
#define ROUND_MAX  64  /* slots of one call */
#define EXPIRE_MAX 512 /* buckets of one call that are dropped for their age */
/* Of all buckets, dropped at a time when there is no room: the rest of the work is not done for less. */
#define SHRINK_PART 20
#define LOG_BYTES   (8ull << 20) /* what the log may take of the room */
#define SMALL_BYTES (1ull << 20) /* a store of this size is not made smaller for others' sake */
/* Names and stacks that nothing refers to are looked for so often. */
#define SWEEP_EVERY_NS (6 * 3600 * NSEC_PER_SEC)
#define VACUUM_PAGES   2048 /* given back to the file system in one call */

static const uint64_t slot_ns[] = { 60 * NSEC_PER_SEC, 600 * NSEC_PER_SEC };

struct part {
	int64_t id, run;
	uint64_t start_ns, span_ns;
	int64_t rate_hz, cpu_cnt;
	uint64_t tick_cnt;
};

/* Values of several buckets. */
struct pile {
	struct codec_value *values;
	size_t cnt;
	size_t cap;
	uint64_t sample_cnt;
};

static int pile_add(void *ctx, const struct codec_value *value)
{
	struct pile *pile = ctx;

	if (pile->cnt == pile->cap) {
		size_t cap = pile->cap ? pile->cap * 2 : 1024;
		struct codec_value *values = realloc(pile->values, cap * sizeof(*values));

		if (!values)
			return -ENOMEM;
		pile->values = values;
		pile->cap = cap;
	}
	pile->values[pile->cnt++] = *value;
	pile->sample_cnt += value->cnt;
	return 0;
}

static int pile_bucket(struct store *store, int64_t bucket, struct pile *pile)
{
	sqlite3_stmt *stmt = db_bind(&store->db, DB_SAMPLE_GET, &bucket, 1);
	int got = db_step(&store->db, stmt), err;

	if (got <= 0)
		return got;
	err = codec_each_value(sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1),
	                       pile_add, pile);
	sqlite3_reset(stmt);
	return err;
}

static int drop_bucket(struct store *store, int64_t id)
{
	static const enum db_stmt tables[] = { DB_SAMPLE_DEL, DB_POINT_DEL, DB_LEDGER_DEL,
		                               DB_BUCKET_DEL };
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(tables) / sizeof(*tables); i++)
		err = db_run(&store->db, tables[i], &id, 1);
	return err;
}

static int put_pile(struct store *store, int64_t bucket, struct pile *pile)
{
	const int64_t args[] = { bucket, 0, (int64_t)pile->sample_cnt };
	struct buf data = { 0 };
	sqlite3_stmt *stmt;
	int err = db_run(&store->db, DB_SAMPLE_DEL, &bucket, 1);

	codec_put_values(pile->values, pile->cnt, &data);
	if (!err)
		err = data.err;
	if (!err && data.len) {
		stmt = db_bind(&store->db, DB_SAMPLE_ADD, args, 3);
		if (stmt)
			sqlite3_bind_blob64(stmt, 4, data.data, data.len, SQLITE_STATIC);
		err = db_step(&store->db, stmt);
	}
	buf_free(&data);
	return err;
}

static bool is_alike(const struct part *a, const struct part *b)
{
	return a->run == b->run && a->rate_hz == b->rate_hz && a->cpu_cnt == b->cpu_cnt;
}

/* Make one of @parts[0] and those behind it that are alike; what was taken gets the id 0. */
static int roll_group(struct store *store, struct part *parts, size_t cnt, int level)
{
	struct part first = parts[0];
	uint64_t end_ns = first.start_ns + first.span_ns;
	struct pile pile = { 0 };
	bool alone = true;
	int err = pile_bucket(store, first.id, &pile);

	for (size_t i = 1; !err && i < cnt; i++) {
		struct part *part = &parts[i];

		if (!part->id || !is_alike(&first, part))
			continue;
		alone = false;
		err = pile_bucket(store, part->id, &pile);
		if (!err)
			err = db_run(&store->db, DB_LEDGER_MOVE, (int64_t[]){ part->id, first.id },
			             2);
		if (!err)
			err = drop_bucket(store, part->id);
		first.tick_cnt += part->tick_cnt;
		if (part->start_ns + part->span_ns > end_ns)
			end_ns = part->start_ns + part->span_ns;
		part->id = 0;
		store->stats.rolled_cnt++;
	}
	if (!err && !alone)
		err = put_pile(store, first.id, &pile);
	if (!err && !alone)
		err = db_run(&store->db, DB_POINT_DEL, &first.id, 1);
	if (!err)
		err = db_run(&store->db, DB_BUCKET_SET,
		             (int64_t[]){ first.id, level, (int64_t)(end_ns - first.start_ns),
		                          (int64_t)first.tick_cnt },
		             4);
	free(pile.values);
	return err;
}

static int roll_slot(struct store *store, int level, uint64_t start_ns)
{
	uint64_t slot = slot_ns[level], from_ns = start_ns / slot * slot;
	const int64_t args[] = { level, (int64_t)from_ns, (int64_t)(from_ns + slot), SLOT_MAX };
	struct part parts[SLOT_MAX];
	size_t cnt = 0;
	sqlite3_stmt *stmt = db_bind(&store->db, DB_BUCKET_SLOT, args, 4);
	int got, err = 0;

	while ((got = db_step(&store->db, stmt)) > 0 && cnt < SLOT_MAX)
		parts[cnt++] = (struct part){
			.id = sqlite3_column_int64(stmt, 0),
			.run = sqlite3_column_int64(stmt, 1),
			.start_ns = (uint64_t)sqlite3_column_int64(stmt, 2),
			.span_ns = (uint64_t)sqlite3_column_int64(stmt, 3),
			.rate_hz = sqlite3_column_int64(stmt, 4),
			.cpu_cnt = sqlite3_column_int64(stmt, 5),
			.tick_cnt = (uint64_t)sqlite3_column_int64(stmt, 6),
		};
	if (got < 0)
		return got;
	for (size_t i = 0; !err && i < cnt; i++)
		if (parts[i].id)
			err = roll_group(store, &parts[i], cnt - i, level + 1);
	return err;
}

/* Begin, do, commit; or leave things as they were. */
static int in_transaction(struct store *store, int (*fn)(struct store *, void *), void *ctx)
{
	const struct store_stats before = store->stats;
	int err = db_exec(&store->db, "BEGIN IMMEDIATE");

	if (!err)
		err = fn(store, ctx);
	if (!err)
		err = db_exec(&store->db, "COMMIT");
	if (err) {
		db_rollback(&store->db);
		store->stats = before;
	}
	return err;
}

struct roll {
	int level;
	uint64_t before_ns; /* buckets that began before are due */
	bool more;
};

static int roll(struct store *store, void *ctx)
{
	struct roll *roll = ctx;
	int64_t start_ns;
	int err = 0;

	for (int i = 0; i < ROUND_MAX; i++) {
		err = db_number(&store->db, DB_BUCKET_DUE,
		                (int64_t[]){ roll->level, (int64_t)roll->before_ns }, 2, &start_ns);
		if (!err)
			err = roll_slot(store, roll->level, (uint64_t)start_ns);
		if (err)
			break;
	}
	roll->more = !err;
	return err == -ENOENT ? 0 : err;
}

static int roll_up(struct store *store, int level, uint64_t age_ns, uint64_t now_ns)
{
	struct roll work = { .level = level };
	uint64_t slot = slot_ns[level];
	int err;

	if (!age_ns || now_ns < age_ns)
		return 0;
	/* Slots that are old enough as a whole. */
	work.before_ns = (now_ns - age_ns) / slot * slot;
	err = in_transaction(store, roll, &work);
	return err ? err : work.more;
}

struct expire {
	uint64_t before_ns;
	int64_t max;
	size_t cnt;
};

static int expire(struct store *store, void *ctx)
{
	struct expire *expire = ctx;
	const int64_t args[] = { (int64_t)expire->before_ns, expire->max };
	int64_t *ids = calloc((size_t)expire->max, sizeof(*ids));
	sqlite3_stmt *stmt;
	int got, err = 0;

	if (!ids)
		return -ENOMEM;
	stmt = db_bind(&store->db, DB_BUCKET_OLD, args, 2);
	while ((got = db_step(&store->db, stmt)) > 0 && expire->cnt < (size_t)expire->max)
		ids[expire->cnt++] = sqlite3_column_int64(stmt, 0);
	err = got < 0 ? got : 0;
	for (size_t i = 0; !err && i < expire->cnt; i++)
		err = drop_bucket(store, ids[i]);
	free(ids);
	store->stats.expired_cnt += expire->cnt;
	return err;
}

static int drop_aged(struct store *store, const struct store_policy *policy, uint64_t now_ns)
{
	struct expire work = { .max = EXPIRE_MAX };
	int err;

	if (!policy->max_age_ns || now_ns < policy->max_age_ns)
		return 0;
	work.before_ns = now_ns - policy->max_age_ns;
	err = in_transaction(store, expire, &work);
	return err ? err : work.cnt == EXPIRE_MAX;
}

static bool is_too_large(struct store *store, const struct store_policy *policy)
{
	uint64_t bytes = store_file_bytes(store), max_bytes = policy->max_bytes;

	/* Half of a small allowance is left to the log, of a large one what it takes. */
	if (max_bytes &&
	    bytes > max_bytes - (max_bytes / 2 < LOG_BYTES ? max_bytes / 2 : LOG_BYTES))
		return true;
	return policy->min_free_bytes && bytes > SMALL_BYTES &&
	       store_free_bytes(store) < policy->min_free_bytes;
}

static int sweep(struct store *store, uint64_t now_ns)
{
	int err = store_sweep(store);

	store->swept_ns = now_ns;
	store->swept_at = store->stats.expired_cnt;
	return err;
}

/* Give free pages back: all, or as much as one call may. 1: there are more. */
static int vacuum(struct store *store)
{
	char sql[64];
	int64_t left = 0;
	int err;

	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
	err = db_exec(&store->db, sql);
	if (!err)
		err = db_pragma(&store->db, "freelist_count", &left);
	if (!err)
		err = db_exec(&store->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	/* A reader in the way of the log is no error: it is put away later. */
	return err == -EBUSY ? 0 : err ? err : left > 0;
}

static int shrink(struct store *store, uint64_t now_ns)
{
	struct expire work = { .before_ns = INT64_MAX };
	int64_t cnt, free_pages = 0;
	int err = db_pragma(&store->db, "freelist_count", &free_pages);

	/* What was freed before may be enough. */
	if (!err && free_pages > 0)
		return vacuum(store);
	if (!err)
		err = db_number(&store->db, DB_BUCKET_CNT, NULL, 0, &cnt);
	if (err || !cnt)
		return err;
	work.max = cnt / SHRINK_PART + 1;
	err = in_transaction(store, expire, &work);
	if (!err)
		err = sweep(store, now_ns);
	if (!err)
		err = vacuum(store);
	return err < 0 ? err : 1;
}

static int keep(struct store *store, const struct store_policy *policy, uint64_t now_ns)
{
	int more = 0, got = drop_aged(store, policy, now_ns);

	if (got < 0)
		return got;
	more |= got;
	got = roll_up(store, 0, policy->minute_age_ns, now_ns);
	if (got < 0)
		return got;
	more |= got;
	got = roll_up(store, 1, policy->decade_age_ns, now_ns);
	if (got < 0)
		return got;
	more |= got;
	if (is_too_large(store, policy)) {
		got = shrink(store, now_ns);
		return got < 0 ? got : more | got;
	}
	if (store->stats.expired_cnt > store->swept_at &&
	    now_ns - store->swept_ns >= SWEEP_EVERY_NS)
		got = sweep(store, now_ns);
	return got < 0 ? got : more;
}

int store__keep(struct store *store, const struct store_policy *policy, uint64_t now_ns)
{
	int got = store->db.sql ? keep(store, policy, now_ns) : 0;

	if (got != -EUCLEAN)
		return got;
	db_rollback(&store->db);
	return store_begin_anew(store);
}
