// SPDX-License-Identifier: Apache-2.0
/* append.c - one bucket in one transaction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/inside.h"
#include "util/log.h"

#define DROPPED_NAME    "STORE_DROPPED"
#define DROPPED_LABEL   "samples not stored"
#define DROPPED_MEANING "the disk was full, or the store could not be written"

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text ? text : "", -1, SQLITE_STATIC);
}

static int put_run(struct store *store, const struct profile_meta *meta)
{
	struct store_run *run = &store->run;
	const char *pythons = meta->pythons ? meta->pythons : "";
	sqlite3_stmt *stmt;
	int err;

	if (run->id && run->pythons && !strcmp(run->pythons, pythons))
		return 0;
	if (!run->pythons || strcmp(run->pythons, pythons) != 0) {
		free(run->pythons);
		run->pythons = strdup(pythons);
	}
	stmt = db_get(&store->db, run->id ? DB_RUN_PYTHONS : DB_RUN_ADD);
	if (!stmt)
		return db_error(&store->db);
	if (run->id) {
		sqlite3_bind_int64(stmt, 1, run->id);
		bind_text(stmt, 2, run->pythons);
		return db_step(&store->db, stmt);
	}
	sqlite3_bind_int64(stmt, 1, (int64_t)run->start_ns);
	bind_text(stmt, 2, run->title);
	bind_text(stmt, 3, run->command);
	bind_text(stmt, 4, run->version);
	bind_text(stmt, 5, run->host);
	bind_text(stmt, 6, run->pythons);
	err = db_step(&store->db, stmt);
	if (!err)
		run->id = sqlite3_last_insert_rowid(store->db.sql);
	return err;
}

static int put_data(struct store *store, enum db_stmt which, const int64_t *args, size_t cnt,
                    const struct buf *data)
{
	sqlite3_stmt *stmt;

	if (data->err)
		return data->err;
	if (!data->len)
		return 0;
	stmt = db_bind(&store->db, which, args, cnt);
	if (!stmt)
		return db_error(&store->db);
	sqlite3_bind_blob64(stmt, (int)cnt + 1, data->data, data->len, SQLITE_STATIC);
	return db_step(&store->db, stmt);
}

static int put_samples(struct store *store, struct profile *profile, const struct known_ids *ids,
                       int64_t bucket)
{
	size_t cnt;
	const struct profile_value *values = profile__values(profile, &cnt);
	struct codec_value *out = calloc(cnt + 1, sizeof(*out));
	struct buf data = { 0 };
	int err;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		out[i] = (struct codec_value){
			.thread = (uint64_t)ids->threads[values[i].track],
			.stack = (uint64_t)ids->stacks[values[i].stack],
			.cnt = values[i].cnt,
		};
	codec_put_values(out, cnt, &data);
	err = put_data(store, DB_SAMPLE_ADD,
	               (int64_t[]){ bucket, 0, (int64_t)profile__sample_cnt(profile) }, 3, &data);
	buf_free(&data);
	free(out);
	return err;
}

static int put_points(struct store *store, struct profile *profile, const struct known_ids *ids,
                      int64_t bucket)
{
	size_t cnt;
	const struct profile_point *points = profile__points(profile, &cnt);
	struct codec_point *out = calloc(cnt + 1, sizeof(*out));
	struct buf data = { 0 };
	int err;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		out[i] = (struct codec_point){
			.time_ns = points[i].time_ns,
			.thread = (uint64_t)ids->threads[points[i].track],
			.stack = (uint64_t)ids->stacks[points[i].stack],
		};
	codec_put_points(out, cnt, &data);
	err = put_data(store, DB_POINT_ADD, &bucket, 1, &data);
	buf_free(&data);
	free(out);
	return err;
}

/* The row of a counter, made if it is new: there are few, and each is looked for once a bucket. */
static int counter_row(struct store *store, bool event, const struct profile_ledger_row *row,
                       int64_t *id)
{
	sqlite3_stmt *stmt = db_get(&store->db, DB_COUNTER_FIND);
	int got;

	if (!stmt)
		return db_error(&store->db);
	sqlite3_bind_int(stmt, 1, event);
	bind_text(stmt, 2, row->name);
	got = db_step(&store->db, stmt);
	if (got > 0) {
		*id = sqlite3_column_int64(stmt, 0);
		sqlite3_reset(stmt);
		return 0;
	}
	if (got < 0)
		return got;
	stmt = db_get(&store->db, DB_COUNTER_ADD);
	if (!stmt)
		return db_error(&store->db);
	sqlite3_bind_int(stmt, 1, event);
	bind_text(stmt, 2, row->name);
	bind_text(stmt, 3, row->label);
	bind_text(stmt, 4, row->meaning);
	got = db_step(&store->db, stmt);
	if (!got)
		*id = sqlite3_last_insert_rowid(store->db.sql);
	return got;
}

static int put_row(struct store *store, int64_t bucket, bool event,
                   const struct profile_ledger_row *row)
{
	int64_t counter = 0;
	int err;

	if (!row->count)
		return 0;
	err = counter_row(store, event, row, &counter);
	if (err)
		return err;
	return db_run(&store->db, DB_LEDGER_ADD,
	              (int64_t[]){ bucket, counter, (int64_t)row->count }, 3);
}

/* All of them, so that the rows of a report are in our order whichever came first. */
static int put_counters(struct store *store, const struct profile_meta *meta)
{
	int64_t id = 0;
	int err = 0;

	for (uint32_t i = 0; !err && i < meta->outcome_cnt; i++)
		err = counter_row(store, false, &meta->outcomes[i], &id);
	for (uint32_t i = 0; !err && i < meta->event_cnt; i++)
		err = counter_row(store, true, &meta->events[i], &id);
	return err;
}

static int put_ledger(struct store *store, const struct profile_meta *meta, int64_t bucket)
{
	const struct profile_ledger_row dropped = {
		DROPPED_NAME,
		DROPPED_LABEL,
		DROPPED_MEANING,
		store->pending_cnt,
	};
	int err = 0;

	for (uint32_t i = 0; !err && i < meta->outcome_cnt; i++)
		err = put_row(store, bucket, false, &meta->outcomes[i]);
	for (uint32_t i = 0; !err && i < meta->event_cnt; i++)
		err = put_row(store, bucket, true, &meta->events[i]);
	return err ? err : put_row(store, bucket, true, &dropped);
}

static int put_bucket(struct store *store, struct profile *profile)
{
	const struct profile_meta *meta = profile__meta(profile);
	struct known_ids ids = { 0 };
	int64_t bucket = 0;
	bool first = !store->run.id;
	int err = put_run(store, meta);

	if (!err && first)
		err = put_counters(store, meta);
	if (!err)
		err = db_run(&store->db, DB_BUCKET_ADD,
		             (int64_t[]){ store->run.id, (int64_t)meta->start_unix_ns,
		                          (int64_t)meta->duration_ns, meta->rate_hz, meta->cpu_cnt,
		                          (int64_t)meta->tick_cnt },
		             6);
	if (!err)
		bucket = sqlite3_last_insert_rowid(store->db.sql);
	if (!err)
		err = known__resolve(store->known, &store->db, profile, &ids);
	if (!err)
		err = put_samples(store, profile, &ids, bucket);
	if (!err)
		err = put_points(store, profile, &ids, bucket);
	if (!err)
		err = put_ledger(store, meta, bucket);
	known_ids_free(&ids);
	return err;
}

static int append(struct store *store, struct profile *profile)
{
	int64_t run = store->run.id;
	int err = known__trim(store->known);

	if (!err && store->opts.min_free_bytes &&
	    store_free_bytes(store) < store->opts.min_free_bytes)
		err = -ENOSPC;
	if (!err)
		err = db_exec(&store->db, "BEGIN IMMEDIATE");
	if (!err)
		err = put_bucket(store, profile);
	if (!err)
		err = db_exec(&store->db, "COMMIT");
	if (!err)
		return 0;
	db_rollback(&store->db);
	store->run.id = run;
	/* What was met is in no file. Without memory for a new one: try again next time. */
	if (known__forget(store->known)) {
		known__free(store->known);
		store->known = known__new();
	}
	return err;
}

/* With another file if this one turns out to be damaged in a way that opening did not tell. */
static int append_somewhere(struct store *store, struct profile *profile)
{
	int err = -ENOMEM;

	for (int i = 0; i < 2; i++) {
		if (!store->known)
			store->known = known__new();
		if (!store->known)
			return -ENOMEM;
		/* What it was left without when the last one could not be made. */
		err = store->db.sql ? append(store, profile) : -EUCLEAN;
		if (err != -EUCLEAN || i)
			return err;
		err = store_begin_anew(store);
		if (err)
			return err;
	}
	return err;
}

int store__append(struct store *store, struct profile *profile)
{
	uint64_t cnt = profile__sample_cnt(profile);
	int err = append_somewhere(store, profile);

	if (err) {
		if (!store->stats.paused)
			log_warn("cannot write %s: %s; sampling goes on, storing pauses",
			         store->path, strerror(-err));
		store->stats.paused = true;
		store->stats.dropped_cnt += cnt;
		store->pending_cnt += cnt;
		return err;
	}
	if (store->stats.paused)
		log_warn("%s can be written again; %llu samples were not stored", store->path,
		         (unsigned long long)store->pending_cnt);
	store->stats.paused = false;
	store->pending_cnt = 0;
	store->stats.append_cnt++;
	store->stats.sample_cnt += cnt;
	return 0;
}
