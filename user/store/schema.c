// SPDX-License-Identifier: Apache-2.0
#include "store/schema.h"

#include <errno.h>
#include <stdio.h>

// clang-format off
static const char version_1[] =
	"CREATE TABLE run(id INTEGER PRIMARY KEY, start_ns INTEGER NOT NULL, title TEXT NOT NULL,"
	" command TEXT NOT NULL, version TEXT NOT NULL, host TEXT NOT NULL, pythons TEXT NOT NULL);"
	/* A number is not given again, or who reads on from one would miss what has it then. */
	"CREATE TABLE bucket(id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL,"
	" level INTEGER NOT NULL, start_ns INTEGER NOT NULL, span_ns INTEGER NOT NULL,"
	" rate_hz INTEGER NOT NULL, cpu_cnt INTEGER NOT NULL, tick_cnt INTEGER NOT NULL);"
	"CREATE INDEX bucket_start ON bucket(start_ns);"
	"CREATE INDEX bucket_level ON bucket(level, start_ns);"
	/* With their rowid: rows of this size would each take a page of their own without. */
	"CREATE TABLE sample(id INTEGER PRIMARY KEY, bucket INTEGER NOT NULL, kind INTEGER NOT "
        "NULL,"
	" cnt INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE(bucket, kind));"
	"CREATE TABLE point(bucket INTEGER PRIMARY KEY, data BLOB NOT NULL);"
	"CREATE TABLE counter(id INTEGER PRIMARY KEY, event INTEGER NOT NULL, name TEXT NOT NULL,"
	" label TEXT NOT NULL, meaning TEXT NOT NULL, UNIQUE(event, name));"
	"CREATE TABLE ledger(bucket INTEGER NOT NULL, counter INTEGER NOT NULL, cnt INTEGER NOT "
        "NULL,"
	" PRIMARY KEY(bucket, counter)) WITHOUT ROWID;"
	"CREATE TABLE string(id INTEGER PRIMARY KEY, text BLOB NOT NULL UNIQUE);"
	"CREATE TABLE frame(id INTEGER PRIMARY KEY, name INTEGER NOT NULL, file INTEGER NOT NULL,"
	" line INTEGER NOT NULL, first_line INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" UNIQUE(name, file, line, first_line, kind));"
	"CREATE TABLE stack(id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, frame INTEGER NOT "
        "NULL,"
	" UNIQUE(parent, frame));"
	"CREATE TABLE process(id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, key INTEGER NOT NULL,"
	" start_ns INTEGER NOT NULL, command INTEGER NOT NULL, UNIQUE(pid, key));"
	"CREATE TABLE thread(id INTEGER PRIMARY KEY, process INTEGER NOT NULL, tid INTEGER NOT "
        "NULL,"
	" key INTEGER NOT NULL, name INTEGER NOT NULL, UNIQUE(process, tid, key));"
	"CREATE TABLE label(process INTEGER NOT NULL, name INTEGER NOT NULL, value INTEGER NOT "
        "NULL,"
	" PRIMARY KEY(process, name)) WITHOUT ROWID;";
// clang-format on

/* steps[n] makes version n + 1 of version n. A step that was released never changes. */
static const char *const steps[SCHEMA_VERSION] = { version_1 };

int schema_migrate(struct db *db)
{
	char pragma[64];
	int64_t version = 0;
	int err = db_exec(db, "BEGIN IMMEDIATE");

	if (!err)
		err = db_pragma(db, "user_version", &version);
	if (!err && (version < 0 || version > SCHEMA_VERSION))
		err = -EPROTO;
	for (int64_t at = version; !err && at < SCHEMA_VERSION; at++)
		err = db_exec(db, steps[at]);
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d", SCHEMA_APPLICATION_ID);
	if (!err && version < SCHEMA_VERSION)
		err = db_exec(db, pragma);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", SCHEMA_VERSION);
	if (!err && version < SCHEMA_VERSION)
		err = db_exec(db, pragma);
	if (!err)
		err = db_exec(db, "COMMIT");
	if (err)
		db_rollback(db);
	return err;
}

int schema_check(struct db *db, int *version)
{
	int64_t application, user, foreign;
	int err = db_pragma(db, "application_id", &application);

	*version = 0;
	if (!err)
		err = db_pragma(db, "user_version", &user);
	if (err)
		return err;
	*version = (int)user;
	if (application != SCHEMA_APPLICATION_ID || user < 1 || user > SCHEMA_VERSION)
		return -EPROTO;
	err = db_number(db, DB_FOREIGN, NULL, 0, &foreign);
	return err ? err : foreign ? -EUCLEAN : 0;
}

int schema_may_be(struct db *db, int *version)
{
	int64_t application, user, objects;
	int err = db_pragma(db, "application_id", &application);

	*version = 0;
	if (!err)
		err = db_pragma(db, "user_version", &user);
	if (!err)
		err = db_number(db, DB_OBJECTS, NULL, 0, &objects);
	if (err)
		return err;
	if (!application && !user && !objects)
		return 0;
	if (application != SCHEMA_APPLICATION_ID)
		return -EPROTO;
	*version = (int)user;
	return user < 0 || user > SCHEMA_VERSION ? -EPROTO : 0;
}
