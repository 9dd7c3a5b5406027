// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/inside.h"
#include "store/open.h"
#include "store/schema.h"
#include "util/log.h"

#define OP_STEP     100000 /* virtual machine steps between two looks at the bound */
#define OP_BASE     100    /* OP_STEPs that any reader has */
#define OP_PER_BYTE 64     /* steps for each byte of the file */
#define NAME_LEN    4200

static void say(char *what, size_t what_len, const char *path, const char *text)
{
	snprintf(what, what_len, "%s %s", path, text);
}

/* Words for what went wrong with the file, and what to do. */
static void explain(int err, int version, const char *path, char *what, size_t what_len)
{
	switch (err) {
	case -EBUSY:
		say(what, what_len, path,
		    "is being written by another pitviper; stop that one, or name another file");
		return;
	case -EUCLEAN:
		say(what, what_len, path, "is damaged; a writer would set it aside and begin anew");
		return;
	case -EACCES:
	case -EPERM:
		say(what, what_len, path,
		    "may not be opened by you; be root or a member of the group " STORE_GROUP);
		return;
	case -ENOENT:
		say(what, what_len, path,
		    "is not there; record -o FILE.pv makes one, and the agent "
		    "keeps " STORE_DEFAULT_PATH);
		return;
	case -EPROTO:
		if (version > SCHEMA_VERSION)
			snprintf(what, what_len,
			         "%s was written by a newer pitviper (version %d of the store; "
			         "this one knows %d); use that one",
			         path, version, SCHEMA_VERSION);
		else
			say(what, what_len, path,
			    "is not a pitviper store; record -o FILE.pv makes one");
		return;
	}
	snprintf(what, what_len, "cannot open %s: %s", path, strerror(-err));
}

static int count_ops(void *ctx)
{
	struct store *store = ctx;

	return ++store->op_cnt > store->op_max;
}

static struct store *alloc(const char *path)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->lock_fd = -1;
	store->path = open_real_path(path);
	if (!store->path) {
		free(store);
		return NULL;
	}
	return store;
}

static int open_file(struct store *store, int *version)
{
	int persist = !store->opts.single, err;

	err = open_make(store->path, &store->opts);
	if (err)
		return err;
	err = db_open(&store->db, store->path, SQLITE_OPEN_READWRITE);
	if (!err)
		err = schema_may_be(&store->db, version);
	if (!err)
		err = db_check(&store->db);
	/* To be set before the first table is made. Each flush is on the disk when it is done. */
	if (!err)
		err = db_exec(&store->db, "PRAGMA auto_vacuum = 2; PRAGMA journal_mode = WAL;"
		                          "PRAGMA synchronous = FULL;");
	if (!err)
		err = db_tune(&store->db);
	if (!err)
		err = schema_migrate(&store->db);
	if (!err)
		err = schema_check(&store->db, version);
	if (!err)
		sqlite3_file_control(store->db.sql, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
	return err;
}

static int set_aside(struct store *store)
{
	char name[NAME_LEN];
	int err;

	db_close(&store->db);
	err = open_set_aside(store->path, name, sizeof(name));
	if (err == -ENOENT)
		return 0;
	if (!err)
		log_warn("%s is damaged or no store; it is kept as %s, and a new one begun",
		         store->path, name);
	return err;
}

int store_begin_anew(struct store *store)
{
	/* Without one the last attempt has failed behind that. */
	int version, err = store->db.sql ? set_aside(store) : 0;

	store->run.id = 0;
	store->swept_ns = 0;
	if (!err)
		err = open_file(store, &version);
	if (err)
		db_close(&store->db);
	if (store->known && known__forget(store->known)) {
		known__free(store->known);
		store->known = NULL;
	}
	return err;
}

/* Nothing of what was there is written over, whatever it is. */
static int open_writer(struct store *store, int *version)
{
	enum open_kind kind;
	int err = open_look(store->path, &kind);

	if (err)
		return err;
	if (kind == OPEN_OTHER) {
		err = set_aside(store);
		if (err)
			return err;
	}
	err = open_file(store, version);
	if (err == -EUCLEAN) {
		err = set_aside(store);
		if (!err)
			err = open_file(store, version);
	}
	return err;
}

struct store *store__open(const char *path, const struct store_opts *opts, char *what,
                          size_t what_len)
{
	struct store *store = alloc(path);
	int err = store ? 0 : -errno, version = 0;

	if (store) {
		store->opts = *opts;
		store->known = known__new();
		if (!store->known || asprintf(&store->lock_path, "%s-lock", store->path) < 0) {
			store->lock_path = NULL;
			err = -ENOMEM;
		}
	}
	if (!err) {
		store->lock_fd = open_lock(store->lock_path, opts);
		err = store->lock_fd < 0 ? store->lock_fd : open_writer(store, &version);
	}
	if (!err)
		return store;
	explain(err, version, path, what, what_len);
	store__close(store);
	errno = -err;
	return NULL;
}

uint64_t store_free_bytes(const struct store *store)
{
	struct statvfs fs;

	if (statvfs(store->path, &fs))
		return UINT64_MAX;
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

uint64_t store_file_bytes(const struct store *store)
{
	uint64_t bytes = 0;
	struct stat st;
	char *log;

	if (!stat(store->path, &st))
		bytes += (uint64_t)st.st_size;
	if (asprintf(&log, "%s-wal", store->path) < 0)
		return bytes;
	if (!stat(log, &st))
		bytes += (uint64_t)st.st_size;
	free(log);
	return bytes;
}

static int read_open(struct store *store, const char *query, int *version)
{
	char *uri = open_uri(store->path, query);
	int err;

	if (!uri)
		return -ENOMEM;
	err = db_open(&store->db, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	free(uri);
	if (!err)
		err = schema_check(&store->db, version);
	return err;
}

/* Is there a log that a reader must know? */
static bool has_log(const struct store *store)
{
	char *path;
	struct stat st;
	bool has;

	if (asprintf(&path, "%s-wal", store->path) < 0)
		return true;
	has = !stat(path, &st) && st.st_size;
	free(path);
	return has;
}

/* @look: at the file itself first. */
static int open_reader(struct store *store, bool look, int *version)
{
	enum open_kind kind = OPEN_SQLITE;
	int err = look ? open_look(store->path, &kind) : 0;

	if (err)
		return err;
	if (kind == OPEN_NOTHING && access(store->path, F_OK))
		return -errno;
	/* All that there is of a new one may be in its log. */
	if (kind == OPEN_OTHER || (kind == OPEN_NOTHING && !has_log(store)))
		return -EPROTO;
	err = read_open(store, "?mode=ro", version);
	/*
	 * The shared index of a log is made by the first who opens the file: who may not write there
	 * cannot. Without a log there is nothing in it.
	 */
	if (err && err != -EUCLEAN && err != -EPROTO && err != -ENOMEM && !has_log(store)) {
		db_close(&store->db);
		err = read_open(store, "?mode=ro&immutable=1", version);
	}
	if (err)
		return err;
	store->op_max = OP_BASE + store_file_bytes(store) * OP_PER_BYTE / OP_STEP;
	sqlite3_progress_handler(store->db.sql, OP_STEP, count_ops, store);
	return 0;
}

static struct store *open_read(const char *path, bool look, char *what, size_t what_len)
{
	struct store *store = alloc(path);
	int version = 0, err = store ? open_reader(store, look, &version) : -errno;

	if (!err)
		return store;
	explain(err, version, path, what, what_len);
	store__close(store);
	errno = -err;
	return NULL;
}

struct store *store__open_read(const char *path, char *what, size_t what_len)
{
	return open_read(path, true, what, what_len);
}

struct store *store__open_beside(const char *path, char *what, size_t what_len)
{
	return open_read(path, false, what, what_len);
}

static void free_run(struct store_run *run)
{
	free(run->title);
	free(run->command);
	free(run->version);
	free(run->host);
	free(run->pythons);
	*run = (struct store_run){ 0 };
}

void store__close(struct store *store)
{
	if (!store)
		return;
	/* In the mode without a log anyone can open it anywhere. */
	if (store->lock_path && store->opts.single && store->db.sql)
		db_exec(&store->db, "PRAGMA journal_mode = DELETE");
	db_close(&store->db);
	if (store->lock_fd >= 0) {
		if (store->opts.single)
			unlink(store->lock_path);
		close(store->lock_fd);
	}
	free_run(&store->run);
	known__free(store->known);
	free(store->lock_path);
	free(store->path);
	free(store);
}

const char *store__path(const struct store *store)
{
	return store->path;
}

static char *copy(const char *text, int *err)
{
	char *out = strdup(text ? text : "");

	if (!out)
		*err = -ENOMEM;
	return out;
}

int store__begin(struct store *store, const struct profile_meta *meta)
{
	int err = 0;

	free_run(&store->run);
	store->run = (struct store_run){
		.start_ns = meta->start_unix_ns,
		.title = copy(meta->title, &err),
		.command = copy(meta->command, &err),
		.version = copy(meta->version, &err),
		.host = copy(meta->host, &err),
		.pythons = copy(meta->pythons, &err),
	};
	return err;
}

void store__stats(struct store *store, struct store_stats *stats)
{
	*stats = store->stats;
	stats->bytes = store_file_bytes(store);
	stats->free_bytes = store_free_bytes(store);
}

int store__last_id(struct store *store, int64_t *id)
{
	return db_number(&store->db, DB_BUCKET_LAST, NULL, 0, id);
}

int store__bucket_start(struct store *store, int64_t id, uint64_t *start_ns)
{
	int64_t value = 0;
	int err = db_number(&store->db, DB_BUCKET_START, &id, 1, &value);

	*start_ns = (uint64_t)value;
	return err;
}

int store__range(struct store *store, uint64_t *first_ns, uint64_t *last_ns)
{
	sqlite3_stmt *stmt = db_bind(&store->db, DB_BUCKET_RANGE, NULL, 0);
	int got = db_step(&store->db, stmt);

	if (got <= 0)
		return got;
	*first_ns = (uint64_t)sqlite3_column_int64(stmt, 0);
	*last_ns = (uint64_t)sqlite3_column_int64(stmt, 1);
	got = sqlite3_column_int64(stmt, 2) > 0;
	sqlite3_reset(stmt);
	return got;
}
