// SPDX-License-Identifier: Apache-2.0
/*
 * known.c - from a profile's ids to rows of the store. A profile of its own holds everything that was
 * met lately, with the row of each string, frame, stack and track beside it: only what is new to it
 * is looked for in the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/inside.h"
#include "util/clock.h"

#define KNOWN_STACK_MAX \
	(1u << 16) /* from so many on it starts anew: some 8 MB with what belongs to them */
#define KNOWN_STRING_MAX (1u << 15)
#define KNOWN_TRACK_MAX  (1u << 14)

struct rows {
	int64_t *ids;
	uint32_t cnt;
	uint32_t cap;
};

struct known {
	struct profile *profile;
	struct rows strings, frames, stacks, tracks;
};

/* What known__resolve() works on. */
struct resolve {
	struct known *known;
	struct db *db;
	struct profile *from;
	struct known_ids *out;
	uint32_t *strings; /* of `known`, by string of `from`; PROFILE_NONE: not met yet */
	uint32_t *frames;
	uint32_t *stacks;
};

static int rows_add(struct rows *rows, int64_t id)
{
	if (rows->cnt == rows->cap) {
		uint32_t cap = rows->cap ? rows->cap * 2 : 64;
		int64_t *ids = realloc(rows->ids, cap * sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		rows->ids = ids;
		rows->cap = cap;
	}
	rows->ids[rows->cnt++] = id;
	return 0;
}

struct known *known__new(void)
{
	struct known *known = calloc(1, sizeof(*known));

	if (known && known__forget(known)) {
		free(known);
		return NULL;
	}
	return known;
}

void known__free(struct known *known)
{
	if (!known)
		return;
	profile__free(known->profile);
	free(known->strings.ids);
	free(known->frames.ids);
	free(known->stacks.ids);
	free(known->tracks.ids);
	free(known);
}

int known__forget(struct known *known)
{
	struct profile *profile = profile__new();

	if (!profile)
		return -ENOMEM;
	profile__free(known->profile);
	known->profile = profile;
	known->strings.cnt = known->frames.cnt = known->stacks.cnt = known->tracks.cnt = 0;
	/* PROFILE_ROOT */
	return rows_add(&known->stacks, 0);
}

int known__trim(struct known *known)
{
	if (known->stacks.cnt < KNOWN_STACK_MAX && known->strings.cnt < KNOWN_STRING_MAX &&
	    known->tracks.cnt < KNOWN_TRACK_MAX)
		return 0;
	return known__forget(known);
}

/* The row that @find finds, else the one that @add makes, both with the same values bound. */
static int find_or_add(struct db *db, enum db_stmt find, enum db_stmt add, const int64_t *args,
                       size_t cnt, int64_t *id)
{
	int err = db_number(db, find, args, cnt, id);

	if (err != -ENOENT)
		return err;
	err = db_run(db, add, args, cnt);
	if (!err)
		*id = sqlite3_last_insert_rowid(db->sql);
	return err;
}

static int string_row(struct db *db, const char *text, size_t len, int64_t *id)
{
	for (int add = 0; add < 2; add++) {
		sqlite3_stmt *stmt = db_get(db, add ? DB_STRING_ADD : DB_STRING_FIND);
		int got;

		if (!stmt)
			return db_error(db);
		sqlite3_bind_blob64(stmt, 1, len ? text : "", len, SQLITE_STATIC);
		got = db_step(db, stmt);
		if (got > 0) {
			*id = sqlite3_column_int64(stmt, 0);
			sqlite3_reset(stmt);
			return 0;
		}
		if (got < 0)
			return got;
	}
	*id = sqlite3_last_insert_rowid(db->sql);
	return 0;
}

/* The string of `known` that is @string of `from`. */
static int resolve_string(struct resolve *to, uint32_t string, uint32_t *out)
{
	struct known *known = to->known;
	const char *text;
	int64_t id = 0;
	size_t len;
	int err;

	*out = to->strings[string];
	if (*out != PROFILE_NONE)
		return 0;
	text = profile__string_at(to->from, string, &len);
	*out = profile__string(known->profile, text, len);
	if (*out == PROFILE_NONE)
		return -ENOMEM;
	if (*out == known->strings.cnt) {
		err = string_row(to->db, text, len, &id);
		if (!err)
			err = rows_add(&known->strings, id);
		if (err)
			return err;
	}
	to->strings[string] = *out;
	return 0;
}

static int resolve_frame(struct resolve *to, uint32_t frame, uint32_t *out)
{
	struct known *known = to->known;
	struct profile_frame row = *profile__frame_at(to->from, frame);
	int64_t id = 0;
	int err;

	*out = to->frames[frame];
	if (*out != PROFILE_NONE)
		return 0;
	err = resolve_string(to, row.name, &row.name);
	if (!err)
		err = resolve_string(to, row.file, &row.file);
	if (err)
		return err;
	*out = profile__frame(known->profile, &row);
	if (*out == PROFILE_NONE)
		return -ENOMEM;
	if (*out == known->frames.cnt) {
		const int64_t args[] = { known->strings.ids[row.name], known->strings.ids[row.file],
			                 row.line, row.first_line, row.kind };

		err = find_or_add(to->db, DB_FRAME_FIND, DB_FRAME_ADD, args, 5, &id);
		if (!err)
			err = rows_add(&known->frames, id);
		if (err)
			return err;
	}
	to->frames[frame] = *out;
	return 0;
}

/* @stack, whose parent is resolved. */
static int resolve_stack(struct resolve *to, uint32_t stack)
{
	struct known *known = to->known;
	uint32_t parent = to->stacks[profile__stack_parent(to->from, stack)], frame, at;
	int64_t id = 0;
	int err = resolve_frame(to, profile__stack_frame(to->from, stack), &frame);

	if (err)
		return err;
	at = profile__stack(known->profile, parent, frame);
	if (at == PROFILE_NONE)
		return -ENOMEM;
	if (at == known->stacks.cnt) {
		const int64_t args[] = { known->stacks.ids[parent], known->frames.ids[frame] };

		err = find_or_add(to->db, DB_STACK_FIND, DB_STACK_ADD, args, 2, &id);
		if (!err)
			err = rows_add(&known->stacks, id);
		if (err)
			return err;
	}
	to->stacks[stack] = at;
	to->out->stacks[stack] = known->stacks.ids[at];
	return 0;
}

/* The row of (@find's args), with its name, which may have become known since, kept up to date. */
static int find_named(struct db *db, enum db_stmt find, enum db_stmt set, const int64_t *args,
                      size_t cnt, int64_t name, int64_t *id)
{
	sqlite3_stmt *stmt = db_bind(db, find, args, cnt);
	int got = db_step(db, stmt);
	int64_t old;

	if (got <= 0)
		return got ? got : -ENOENT;
	*id = sqlite3_column_int64(stmt, 0);
	old = sqlite3_column_int64(stmt, 1);
	sqlite3_reset(stmt);
	return old == name ? 0 : db_run(db, set, (int64_t[]){ *id, name }, 2);
}

static int process_row(struct db *db, const struct profile_track *track, int64_t command,
                       int64_t *id)
{
	/* Ended processes put together have no identity but their command line. */
	int64_t key = track->pid ? (int64_t)track->process_key : command;
	int64_t start_ns = 0;
	int err = find_named(db, DB_PROCESS_FIND, DB_PROCESS_SET, (int64_t[]){ track->pid, key }, 2,
	                     command, id);

	if (err != -ENOENT)
		return err;
	if (track->pid)
		start_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME)) + key;
	err = db_run(db, DB_PROCESS_ADD, (int64_t[]){ track->pid, key, start_ns, command }, 4);
	if (!err)
		*id = sqlite3_last_insert_rowid(db->sql);
	return err;
}

static int thread_row(struct db *db, const struct profile_track *track, int64_t process,
                      int64_t name, int64_t *id)
{
	const int64_t args[] = { process, track->tid, (int64_t)track->thread_key, name };
	int err = find_named(db, DB_THREAD_FIND, DB_THREAD_SET, args, 3, name, id);

	if (err != -ENOENT)
		return err;
	err = db_run(db, DB_THREAD_ADD, args, 4);
	if (!err)
		*id = sqlite3_last_insert_rowid(db->sql);
	return err;
}

static int resolve_track(struct resolve *to, uint32_t track)
{
	struct known *known = to->known;
	struct profile_track row = *profile__track_at(to->from, track);
	int64_t process, id;
	uint32_t at;
	int err = resolve_string(to, row.process, &row.process);

	if (!err)
		err = resolve_string(to, row.thread, &row.thread);
	if (err)
		return err;
	if (!row.pid)
		row.process_key = row.process;
	at = profile__track(known->profile, &row);
	if (at == PROFILE_NONE)
		return -ENOMEM;
	if (at == known->tracks.cnt) {
		err = process_row(to->db, &row, known->strings.ids[row.process], &process);
		if (!err)
			err = thread_row(to->db, &row, process, known->strings.ids[row.thread],
			                 &id);
		if (!err)
			err = rows_add(&known->tracks, id);
		if (err)
			return err;
	}
	to->out->threads[track] = known->tracks.ids[at];
	return 0;
}

/* A label that is new or has changed. Its process has a row: it has a track. */
static int resolve_label(struct resolve *to, const struct profile_label *label)
{
	const struct profile_track process = {
		.pid = label->pid,
		.process_key = label->process_key,
	};
	struct known *known = to->known;
	struct profile_label row = *label;
	const int64_t key[] = { label->pid, (int64_t)label->process_key };
	int64_t id = 0;
	int err = resolve_string(to, label->name, &row.name);

	if (!err)
		err = resolve_string(to, label->value, &row.value);
	if (err || profile__label_of(known->profile, &process, row.name) == row.value)
		return err;
	err = db_number(to->db, DB_PROCESS_FIND, key, 2, &id);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = db_run(to->db, DB_LABEL_SET,
	             (int64_t[]){ id, known->strings.ids[row.name], known->strings.ids[row.value] },
	             3);
	return err ? err : profile__set_label(known->profile, &row);
}

/* Of the stacks the ones that samples have, and their callers: leaves come after their callers. */
static void mark_needed(struct resolve *to)
{
	size_t cnt, point_cnt;
	const struct profile_value *values = profile__values(to->from, &cnt);
	const struct profile_point *points = profile__points(to->from, &point_cnt);

	for (size_t i = 0; i < cnt; i++)
		to->stacks[values[i].stack] = 1;
	for (size_t i = 0; i < point_cnt; i++)
		to->stacks[points[i].stack] = 1;
	for (uint32_t i = profile__stack_cnt(to->from); i-- > 1;)
		if (to->stacks[i])
			to->stacks[profile__stack_parent(to->from, i)] = 1;
}

static int resolve_all(struct resolve *to)
{
	size_t label_cnt;
	const struct profile_label *labels = profile__labels(to->from, &label_cnt);
	int err = 0;

	mark_needed(to);
	to->stacks[PROFILE_ROOT] = PROFILE_ROOT;
	for (uint32_t i = 1; !err && i < profile__stack_cnt(to->from); i++)
		if (to->stacks[i])
			err = resolve_stack(to, i);
	for (uint32_t i = 0; !err && i < profile__track_cnt(to->from); i++)
		err = resolve_track(to, i);
	for (size_t i = 0; !err && i < label_cnt; i++)
		err = resolve_label(to, &labels[i]);
	return err;
}

int known__resolve(struct known *known, struct db *db, struct profile *profile,
                   struct known_ids *ids)
{
	size_t string_cnt = profile__string_cnt(profile) + 1;
	size_t frame_cnt = (size_t)profile__frame_cnt(profile) + 1;
	size_t stack_cnt = profile__stack_cnt(profile);
	struct resolve to = {
		.known = known,
		.db = db,
		.from = profile,
		.out = ids,
		.strings = malloc(string_cnt * sizeof(*to.strings)),
		.frames = malloc(frame_cnt * sizeof(*to.frames)),
		.stacks = calloc(stack_cnt, sizeof(*to.stacks)),
	};
	int err = -ENOMEM;

	ids->stacks = calloc(stack_cnt, sizeof(*ids->stacks));
	ids->threads = calloc((size_t)profile__track_cnt(profile) + 1, sizeof(*ids->threads));
	if (to.strings && to.frames && to.stacks && ids->stacks && ids->threads) {
		memset(to.strings, 0xff, string_cnt * sizeof(*to.strings));
		memset(to.frames, 0xff, frame_cnt * sizeof(*to.frames));
		err = resolve_all(&to);
	}
	free(to.strings);
	free(to.frames);
	free(to.stacks);
	return err;
}

void known_ids_free(struct known_ids *ids)
{
	free(ids->stacks);
	free(ids->threads);
	*ids = (struct known_ids){ 0 };
}
