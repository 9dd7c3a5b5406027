// SPDX-License-Identifier: Apache-2.0
#include "store/db.h"

#include <errno.h>
#include <stdio.h>

/* What others put into a file costs no more than this. */
#define VALUE_MAX      (64 << 20) /* bytes of one value */
#define BUSY_MS        2000       /* a reader may be in the way of the log being closed */
#define CACHE_KIB      2048
#define WAL_PAGES      256       /* from which on the log is put into the file */
#define WAL_KEEP_BYTES (4 << 20) /* of a log that is not needed any more */

static const char *const texts[DB_STMT_CNT] = {
	[DB_OBJECTS] = "SELECT count(*) FROM sqlite_schema",
	[DB_FOREIGN] = "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')",
	[DB_RUN_ADD] = "INSERT INTO run(start_ns, title, command, version, host, pythons)"
		       " VALUES(?, ?, ?, ?, ?, ?)",
	[DB_RUN_GET] = "SELECT title, command, version, host, pythons FROM run WHERE id = ?",
	[DB_RUN_PYTHONS] = "UPDATE run SET pythons = ?2 WHERE id = ?1",
	[DB_BUCKET_ADD] = "INSERT INTO bucket(run, level, start_ns, span_ns, rate_hz, cpu_cnt,"
			  " tick_cnt) VALUES(?, 0, ?, ?, ?, ?, ?)",
	[DB_BUCKET_RANGE] = "SELECT min(start_ns), max(start_ns + span_ns), count(*) FROM bucket",
	[DB_BUCKET_IN] = "SELECT id, run, start_ns, span_ns, rate_hz, cpu_cnt, tick_cnt FROM bucket"
			 " WHERE start_ns >= ? AND start_ns < ? ORDER BY start_ns, id",
	[DB_BUCKET_AFTER] = "SELECT id, run, start_ns, span_ns, rate_hz, cpu_cnt, tick_cnt"
			    " FROM bucket WHERE id > ? ORDER BY id LIMIT ?",
	[DB_BUCKET_LAST] = "SELECT coalesce(max(id), 0) FROM bucket",
	[DB_BUCKET_START] = "SELECT start_ns FROM bucket WHERE id = ?",
	[DB_BUCKET_DEL] = "DELETE FROM bucket WHERE id = ?",
	[DB_BUCKET_CNT] = "SELECT count(*) FROM bucket",
	[DB_BUCKET_OLD] = "SELECT id FROM bucket WHERE start_ns < ? ORDER BY start_ns, id LIMIT ?",
	[DB_BUCKET_DUE] = "SELECT start_ns FROM bucket WHERE level = ? AND start_ns < ?"
			  " ORDER BY start_ns LIMIT 1",
	[DB_BUCKET_SLOT] = "SELECT id, run, start_ns, span_ns, rate_hz, cpu_cnt, tick_cnt"
			   " FROM bucket WHERE level = ? AND start_ns >= ? AND start_ns < ?"
			   " ORDER BY start_ns, id LIMIT ?",
	[DB_BUCKET_SET] = "UPDATE bucket SET level = ?2, span_ns = ?3, tick_cnt = ?4 WHERE id = ?1",
	[DB_SAMPLE_ADD] = "INSERT INTO sample(bucket, kind, cnt, data) VALUES(?, ?, ?, ?)",
	[DB_SAMPLE_GET] = "SELECT cnt, data FROM sample WHERE bucket = ? AND kind = 0",
	[DB_SAMPLE_DEL] = "DELETE FROM sample WHERE bucket = ?",
	[DB_SAMPLE_ALL] = "SELECT data FROM sample",
	[DB_POINT_ADD] = "INSERT INTO point(bucket, data) VALUES(?, ?)",
	[DB_POINT_GET] = "SELECT data FROM point WHERE bucket = ?",
	[DB_POINT_DEL] = "DELETE FROM point WHERE bucket = ?",
	[DB_POINT_ALL] = "SELECT data FROM point",
	[DB_COUNTER_GET] = "SELECT id, event, name, label, meaning FROM counter ORDER BY id",
	[DB_COUNTER_FIND] = "SELECT id FROM counter WHERE event = ? AND name = ?",
	[DB_COUNTER_ADD] = "INSERT INTO counter(event, name, label, meaning) VALUES(?, ?, ?, ?)",
	[DB_LEDGER_MOVE] = "INSERT INTO ledger(bucket, counter, cnt) SELECT ?2, counter, cnt"
			   " FROM ledger WHERE bucket = ?1"
			   " ON CONFLICT(bucket, counter) DO UPDATE SET cnt = cnt + excluded.cnt",
	[DB_LEDGER_ADD] = "INSERT INTO ledger(bucket, counter, cnt) VALUES(?, ?, ?)",
	[DB_LEDGER_IN] = "SELECT counter, cnt FROM ledger WHERE bucket = ?",
	[DB_LEDGER_DEL] = "DELETE FROM ledger WHERE bucket = ?",
	[DB_STRING_FIND] = "SELECT id FROM string WHERE text = ?",
	[DB_STRING_ADD] = "INSERT INTO string(text) VALUES(?)",
	[DB_STRING_GET] = "SELECT text FROM string WHERE id = ?",
	[DB_FRAME_FIND] = "SELECT id FROM frame WHERE name = ? AND file = ? AND line = ?"
			  " AND first_line = ? AND kind = ?",
	[DB_FRAME_ADD] = "INSERT INTO frame(name, file, line, first_line, kind)"
			 " VALUES(?, ?, ?, ?, ?)",
	[DB_FRAME_GET] = "SELECT name, file, line, first_line, kind FROM frame WHERE id = ?",
	[DB_STACK_FIND] = "SELECT id FROM stack WHERE parent = ? AND frame = ?",
	[DB_STACK_ADD] = "INSERT INTO stack(parent, frame) VALUES(?, ?)",
	[DB_STACK_GET] = "SELECT parent, frame FROM stack WHERE id = ?",
	[DB_PROCESS_FIND] = "SELECT id, command FROM process WHERE pid = ? AND key = ?",
	[DB_PROCESS_ADD] = "INSERT INTO process(pid, key, start_ns, command) VALUES(?, ?, ?, ?)",
	[DB_PROCESS_SET] = "UPDATE process SET command = ?2 WHERE id = ?1",
	[DB_PROCESS_GET] = "SELECT pid, key, command FROM process WHERE id = ?",
	[DB_THREAD_FIND] = "SELECT id, name FROM thread WHERE process = ? AND tid = ? AND key = ?",
	[DB_THREAD_ADD] = "INSERT INTO thread(process, tid, key, name) VALUES(?, ?, ?, ?)",
	[DB_THREAD_SET] = "UPDATE thread SET name = ?2 WHERE id = ?1",
	[DB_THREAD_GET] = "SELECT process, tid, key, name FROM thread WHERE id = ?",
	[DB_LABEL_SET] = "INSERT OR REPLACE INTO label(process, name, value) VALUES(?, ?, ?)",
	[DB_LABEL_GET] = "SELECT name, value FROM label WHERE process = ?",
	/* Everything that refers to something, for the search for what nothing refers to any more. */
	[DB_THREAD_ALL] = "SELECT id, process, name FROM thread ORDER BY id",
	[DB_STACK_ALL] = "SELECT id, parent, frame FROM stack ORDER BY id DESC",
	[DB_FRAME_ALL] = "SELECT id, name, file FROM frame ORDER BY id",
	[DB_PROCESS_ALL] = "SELECT id, command, command FROM process ORDER BY id",
	[DB_LABEL_ALL] = "SELECT process, name, value FROM label",
	[DB_STRING_ALL] = "SELECT id, id, id FROM string ORDER BY id",
	[DB_THREAD_DEL] = "DELETE FROM thread WHERE id = ?",
	[DB_STACK_DEL] = "DELETE FROM stack WHERE id = ?",
	[DB_FRAME_DEL] = "DELETE FROM frame WHERE id = ?",
	[DB_PROCESS_DEL] = "DELETE FROM process WHERE id = ?",
	[DB_LABEL_DEL] = "DELETE FROM label WHERE process = ?",
	[DB_STRING_DEL] = "DELETE FROM string WHERE id = ?",
};

int db_open(struct db *db, const char *path, int flags)
{
	int err;

	*db = (struct db){ 0 };
	if (sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return db->sql ? db_error(db) : -ENOMEM;
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, BUSY_MS);
	sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_limit(db->sql, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	err = db_exec(db, "PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0;"
	                  "PRAGMA temp_store = 2;");
	return err;
}

int db_tune(struct db *db)
{
	char sql[160];

	snprintf(sql, sizeof(sql),
	         "PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %d;"
	         "PRAGMA journal_size_limit = %d;",
	         CACHE_KIB, WAL_PAGES, WAL_KEEP_BYTES);
	return db_exec(db, sql);
}

void db_close(struct db *db)
{
	for (size_t i = 0; i < DB_STMT_CNT; i++)
		sqlite3_finalize(db->stmts[i]);
	sqlite3_close(db->sql);
	*db = (struct db){ 0 };
}

int db_error(const struct db *db)
{
	int system = sqlite3_system_errno(db->sql);

	switch (sqlite3_errcode(db->sql) & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* a table or a column is not what it should be */
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return -EUCLEAN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_INTERRUPT:
		return -ETIME;
	case SQLITE_CANTOPEN:
		return system ? -system : -EACCES;
	}
	return system ? -system : -EIO;
}

int db_exec(struct db *db, const char *sql)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db);
}

void db_rollback(struct db *db)
{
	if (db->sql && !sqlite3_get_autocommit(db->sql))
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

int db_pragma(struct db *db, const char *name, int64_t *value)
{
	char sql[64];
	sqlite3_stmt *stmt = NULL;
	int err = -ENOENT;

	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) != SQLITE_OK)
		return db_error(db);
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		*value = sqlite3_column_int64(stmt, 0);
		err = 0;
		break;
	case SQLITE_DONE:
		break;
	default:
		err = db_error(db);
	}
	sqlite3_finalize(stmt);
	return err;
}

int db_check(struct db *db)
{
	sqlite3_stmt *stmt = NULL;
	int err = -EUCLEAN;

	if (sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK)
		return db_error(db);
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		if (!sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "ok"))
			err = 0;
		break;
	case SQLITE_DONE:
		break;
	default:
		err = db_error(db);
	}
	sqlite3_finalize(stmt);
	return err;
}

sqlite3_stmt *db_get(struct db *db, enum db_stmt which)
{
	if (!db->stmts[which]) {
		if (sqlite3_prepare_v3(db->sql, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		                       &db->stmts[which], NULL) != SQLITE_OK)
			return NULL;
	} else {
		sqlite3_reset(db->stmts[which]);
		sqlite3_clear_bindings(db->stmts[which]);
	}
	return db->stmts[which];
}

sqlite3_stmt *db_bind(struct db *db, enum db_stmt which, const int64_t *args, size_t cnt)
{
	sqlite3_stmt *stmt = db_get(db, which);

	for (size_t i = 0; stmt && i < cnt; i++)
		sqlite3_bind_int64(stmt, (int)i + 1, args[i]);
	return stmt;
}

int db_step(struct db *db, sqlite3_stmt *stmt)
{
	int err;

	if (!stmt)
		return db_error(db);
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		sqlite3_reset(stmt);
		return 0;
	}
	err = db_error(db);
	sqlite3_reset(stmt);
	return err;
}

int db_run(struct db *db, enum db_stmt which, const int64_t *args, size_t cnt)
{
	sqlite3_stmt *stmt = db_bind(db, which, args, cnt);
	int got = db_step(db, stmt);

	if (got > 0)
		sqlite3_reset(stmt);
	return got < 0 ? got : 0;
}

int db_number(struct db *db, enum db_stmt which, const int64_t *args, size_t cnt, int64_t *value)
{
	sqlite3_stmt *stmt = db_bind(db, which, args, cnt);
	int got = db_step(db, stmt);

	if (got <= 0)
		return got ? got : -ENOENT;
	*value = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return 0;
}
