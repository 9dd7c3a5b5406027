/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - SQLite as the store uses it: prepared statements by name, errors as errno. Of this room only;
 * the only files that call SQLite are db.c and those that read columns of its rows.
 */
#ifndef PV_STORE_DB_H
#define PV_STORE_DB_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

/* Statements; their text is in db.c. */
enum db_stmt {
	DB_OBJECTS,
	DB_FOREIGN,
	DB_RUN_ADD,
	DB_RUN_GET,
	DB_RUN_PYTHONS,
	DB_BUCKET_ADD,
	DB_BUCKET_RANGE,
	DB_BUCKET_IN,
	DB_BUCKET_AFTER,
	DB_BUCKET_LAST,
	DB_BUCKET_START,
	DB_BUCKET_DEL,
	DB_BUCKET_CNT,
	DB_BUCKET_OLD,
	DB_BUCKET_DUE,
	DB_BUCKET_SLOT,
	DB_BUCKET_SET,
	DB_SAMPLE_ADD,
	DB_SAMPLE_GET,
	DB_SAMPLE_DEL,
	DB_SAMPLE_ALL,
	DB_POINT_ADD,
	DB_POINT_GET,
	DB_POINT_DEL,
	DB_POINT_ALL,
	DB_COUNTER_GET,
	DB_COUNTER_FIND,
	DB_COUNTER_ADD,
	DB_LEDGER_ADD,
	DB_LEDGER_IN,
	DB_LEDGER_MOVE,
	DB_LEDGER_DEL,
	DB_STRING_FIND,
	DB_STRING_ADD,
	DB_STRING_GET,
	DB_FRAME_FIND,
	DB_FRAME_ADD,
	DB_FRAME_GET,
	DB_STACK_FIND,
	DB_STACK_ADD,
	DB_STACK_GET,
	DB_PROCESS_FIND,
	DB_PROCESS_ADD,
	DB_PROCESS_SET,
	DB_PROCESS_GET,
	DB_THREAD_FIND,
	DB_THREAD_ADD,
	DB_THREAD_SET,
	DB_THREAD_GET,
	DB_LABEL_SET,
	DB_LABEL_GET,
	DB_THREAD_ALL,
	DB_STACK_ALL,
	DB_FRAME_ALL,
	DB_PROCESS_ALL,
	DB_LABEL_ALL,
	DB_STRING_ALL,
	DB_THREAD_DEL,
	DB_STACK_DEL,
	DB_FRAME_DEL,
	DB_PROCESS_DEL,
	DB_LABEL_DEL,
	DB_STRING_DEL,
	DB_STMT_CNT,
};

struct db {
	sqlite3 *sql;
	sqlite3_stmt *stmts[DB_STMT_CNT];
};

/* @flags: SQLITE_OPEN_*. @path may be a URI. 0 or negative errno; db_close() in either case. */
int db_open(struct db *db, const char *path, int flags);
/* How large the caches and the log of a writer may be. */
int db_tune(struct db *db);
void db_close(struct db *db);
/* What the last failed call's SQLite error is as a negative errno. */
int db_error(const struct db *db);
/* Run statements that give no rows. 0 or negative errno. */
int db_exec(struct db *db, const char *sql);
void db_rollback(struct db *db);
/* The number that a pragma tells. */
int db_pragma(struct db *db, const char *name, int64_t *value);
/* Is the structure of the file sound? Reads all of it. 0, -EUCLEAN, negative errno. */
int db_check(struct db *db);
/* The statement, ready to be bound; NULL: db_error() says why. */
sqlite3_stmt *db_get(struct db *db, enum db_stmt which);
/* The statement with @cnt integers bound; NULL: db_error() says why. */
sqlite3_stmt *db_bind(struct db *db, enum db_stmt which, const int64_t *args, size_t cnt);
/* Step: 1 a row, 0 the end, or negative errno. */
int db_step(struct db *db, sqlite3_stmt *stmt);
/* Bind @cnt integers and run to the end. 0 or negative errno. */
int db_run(struct db *db, enum db_stmt which, const int64_t *args, size_t cnt);
/* Bind, and the first column of the first row into @value. 0, -ENOENT: no row, negative errno. */
int db_number(struct db *db, enum db_stmt which, const int64_t *args, size_t cnt, int64_t *value);

#endif
