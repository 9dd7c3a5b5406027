// SPDX-License-Identifier: Apache-2.0
/*
 * sweep.c - what no bucket refers to any more goes: stacks and threads first, then what only they had.
 *
 * Marks are bits by row id, 1 MB for 8 million stacks. Rows go in transactions of a bounded size: after
 * an end in between, what is left refers to rows that may be gone, but nothing refers to it, and a
 * row that is made later under the same id means what it then says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/inside.h"

#define ID_MAX     (1ll << 32) /* of a row that can be marked: 512 MB of bits */
#define DELETE_MAX 4096        /* rows of one transaction */

struct marks {
	uint8_t *bits;
	size_t size;
};

struct sweep {
	struct store *store;
	struct marks stacks, threads, frames, processes, strings;
	uint64_t deleted; /* in this transaction */
};

static int mark(struct marks *marks, int64_t id)
{
	size_t at = (size_t)id / 8;

	if (id < 0 || id >= ID_MAX)
		return -EUCLEAN;
	if (at >= marks->size) {
		size_t size = at * 2 > 4096 ? at * 2 : 4096;
		uint8_t *bits = realloc(marks->bits, size);

		if (!bits)
			return -ENOMEM;
		memset(bits + marks->size, 0, size - marks->size);
		marks->bits = bits;
		marks->size = size;
	}
	marks->bits[at] |= (uint8_t)(1 << id % 8);
	return 0;
}

static bool is_marked(const struct marks *marks, int64_t id)
{
	size_t at = (size_t)id / 8;

	return id >= 0 && at < marks->size && marks->bits[at] & 1 << id % 8;
}

static int mark_value(void *ctx, const struct codec_value *value)
{
	struct sweep *sweep = ctx;
	int err = mark(&sweep->threads, (int64_t)value->thread);

	return err ? err : mark(&sweep->stacks, (int64_t)value->stack);
}

static int mark_point(void *ctx, const struct codec_point *point)
{
	const struct codec_value value = { point->thread, point->stack, 1 };

	return mark_value(ctx, &value);
}

static int mark_data(struct sweep *sweep, enum db_stmt which)
{
	struct db *db = &sweep->store->db;
	sqlite3_stmt *stmt = db_bind(db, which, NULL, 0);
	int got, err = 0;

	while (!err && (got = db_step(db, stmt)) != 0) {
		if (got < 0)
			return got;
		const void *data = sqlite3_column_blob(stmt, 0);
		size_t len = (size_t)sqlite3_column_bytes(stmt, 0);

		err = which == DB_SAMPLE_ALL ? codec_each_value(data, len, mark_value, sweep)
		                             : codec_each_point(data, len, mark_point, sweep);
	}
	if (err && stmt)
		sqlite3_reset(stmt);
	return err;
}

/* Of each row of @which that is marked, mark the two it refers to. */
static int spread(struct sweep *sweep, enum db_stmt which, const struct marks *rows,
                  struct marks *first, struct marks *second)
{
	struct db *db = &sweep->store->db;
	sqlite3_stmt *stmt = db_bind(db, which, NULL, 0);
	int got, err = 0;

	while (!err && (got = db_step(db, stmt)) != 0) {
		if (got < 0)
			return got;
		if (!is_marked(rows, sqlite3_column_int64(stmt, 0)))
			continue;
		err = mark(first, sqlite3_column_int64(stmt, 1));
		if (!err)
			err = mark(second, sqlite3_column_int64(stmt, 2));
	}
	if (err && stmt)
		sqlite3_reset(stmt);
	return err;
}

static int mark_all(struct sweep *sweep)
{
	int err = mark_data(sweep, DB_SAMPLE_ALL);

	if (!err)
		err = mark_data(sweep, DB_POINT_ALL);
	/* Leaves first: callers have smaller ids. */
	if (!err)
		err = spread(sweep, DB_STACK_ALL, &sweep->stacks, &sweep->stacks, &sweep->frames);
	if (!err)
		err = spread(sweep, DB_THREAD_ALL, &sweep->threads, &sweep->processes,
		             &sweep->strings);
	if (!err)
		err = spread(sweep, DB_FRAME_ALL, &sweep->frames, &sweep->strings, &sweep->strings);
	if (!err)
		err = spread(sweep, DB_PROCESS_ALL, &sweep->processes, &sweep->strings,
		             &sweep->strings);
	if (!err)
		err = spread(sweep, DB_LABEL_ALL, &sweep->processes, &sweep->strings,
		             &sweep->strings);
	return err;
}

/* Is it time for the next transaction? */
static int turn(struct sweep *sweep)
{
	struct db *db = &sweep->store->db;
	int err;

	if (++sweep->deleted % DELETE_MAX)
		return 0;
	err = db_exec(db, "COMMIT");
	return err ? err : db_exec(db, "BEGIN IMMEDIATE");
}

/* Rows of @which that are not marked into @ids, from the one behind *@after on, at most @max. */
static int unmarked(struct sweep *sweep, enum db_stmt which, const struct marks *marks,
                    int64_t **ids, size_t *cnt)
{
	struct db *db = &sweep->store->db;
	sqlite3_stmt *stmt = db_bind(db, which, NULL, 0);
	size_t cap = 0;
	int got;

	while ((got = db_step(db, stmt)) > 0) {
		int64_t id = sqlite3_column_int64(stmt, 0);

		if (is_marked(marks, id))
			continue;
		if (*cnt == cap) {
			size_t more = cap ? cap * 2 : 256;
			int64_t *bigger = realloc(*ids, more * sizeof(*bigger));

			if (!bigger) {
				sqlite3_reset(stmt);
				return -ENOMEM;
			}
			*ids = bigger;
			cap = more;
		}
		(*ids)[(*cnt)++] = id;
	}
	return got;
}

static int delete_rows(struct sweep *sweep, enum db_stmt which, enum db_stmt delete_one,
                       const struct marks *marks)
{
	int64_t *ids = NULL;
	size_t cnt = 0;
	int err = unmarked(sweep, which, marks, &ids, &cnt);

	for (size_t i = 0; !err && i < cnt; i++) {
		err = db_run(&sweep->store->db, delete_one, &ids[i], 1);
		if (!err)
			err = turn(sweep);
	}
	free(ids);
	return err;
}

static int delete_all(struct sweep *sweep)
{
	int err = delete_rows(sweep, DB_STACK_ALL, DB_STACK_DEL, &sweep->stacks);

	if (!err)
		err = delete_rows(sweep, DB_THREAD_ALL, DB_THREAD_DEL, &sweep->threads);
	if (!err)
		err = delete_rows(sweep, DB_LABEL_ALL, DB_LABEL_DEL, &sweep->processes);
	if (!err)
		err = delete_rows(sweep, DB_PROCESS_ALL, DB_PROCESS_DEL, &sweep->processes);
	if (!err)
		err = delete_rows(sweep, DB_FRAME_ALL, DB_FRAME_DEL, &sweep->frames);
	if (!err)
		err = delete_rows(sweep, DB_STRING_ALL, DB_STRING_DEL, &sweep->strings);
	return err;
}

int store_sweep(struct store *store)
{
	struct sweep sweep = { .store = store };
	int err = db_exec(&store->db, "BEGIN IMMEDIATE");

	if (!err)
		err = mark_all(&sweep);
	if (!err)
		err = delete_all(&sweep);
	if (!err)
		err = db_exec(&store->db, "COMMIT");
	if (err)
		db_rollback(&store->db);
	free(sweep.stacks.bits);
	free(sweep.threads.bits);
	free(sweep.frames.bits);
	free(sweep.processes.bits);
	free(sweep.strings.bits);
	/* Rows that the writer knows may be among those that went. */
	if (store->known && known__forget(store->known)) {
		known__free(store->known);
		store->known = NULL;
	}
	return err;
}
