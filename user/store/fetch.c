// SPDX-License-Identifier: Apache-2.0
#include "store/fetch.h"

#include <errno.h>
#include <stdlib.h>

/* Deeper than any stack that is recorded. */
#define CHAIN_MAX (1u << 16)

/* The first row of @which for @row. 0, -EUCLEAN: there is none. */
static int first_row(struct fetch *fetch, enum db_stmt which, int64_t row, sqlite3_stmt **stmt)
{
	int got;

	*stmt = db_bind(fetch->db, which, &row, 1);
	got = db_step(fetch->db, *stmt);
	return got < 0 ? got : got ? 0 : -EUCLEAN;
}

static int fetch_string(struct fetch *fetch, int64_t row, uint32_t *string)
{
	sqlite3_stmt *stmt;
	int err;

	*string = idmap_get(&fetch->strings, row);
	if (*string != HMAP_NONE)
		return 0;
	err = first_row(fetch, DB_STRING_GET, row, &stmt);
	if (err)
		return err;
	/* The length is that of the value as it was last asked for. */
	const void *text = sqlite3_column_blob(stmt, 0);

	*string = profile__string(fetch->profile, text, (size_t)sqlite3_column_bytes(stmt, 0));
	sqlite3_reset(stmt);
	return *string == PROFILE_NONE ? -ENOMEM : idmap_add(&fetch->strings, row, *string);
}

static int fetch_frame(struct fetch *fetch, int64_t row, uint32_t *frame)
{
	struct profile_frame out = { 0 };
	sqlite3_stmt *stmt;
	int64_t name, file, kind;
	int err;

	*frame = idmap_get(&fetch->frames, row);
	if (*frame != HMAP_NONE)
		return 0;
	err = first_row(fetch, DB_FRAME_GET, row, &stmt);
	if (err)
		return err;
	name = sqlite3_column_int64(stmt, 0);
	file = sqlite3_column_int64(stmt, 1);
	out.line = sqlite3_column_int(stmt, 2);
	out.first_line = sqlite3_column_int(stmt, 3);
	kind = sqlite3_column_int64(stmt, 4);
	sqlite3_reset(stmt);
	if (kind != PROFILE_FRAME_PYTHON && kind != PROFILE_FRAME_MARK)
		return -EUCLEAN;
	out.kind = (uint32_t)kind;
	err = fetch_string(fetch, name, &out.name);
	if (!err)
		err = fetch_string(fetch, file, &out.file);
	if (err)
		return err;
	*frame = profile__frame(fetch->profile, &out);
	return *frame == PROFILE_NONE ? -ENOMEM : idmap_add(&fetch->frames, row, *frame);
}

static int chain_add(struct fetch *fetch, size_t at, int64_t row, uint32_t frame)
{
	if (at == CHAIN_MAX)
		return -EUCLEAN;
	if (at == fetch->chain_cap) {
		size_t cap = at ? at * 2 : 128;
		int64_t *chain = realloc(fetch->chain, cap * sizeof(*chain));
		uint32_t *frames;

		if (!chain)
			return -ENOMEM;
		fetch->chain = chain;
		frames = realloc(fetch->chain_frames, cap * sizeof(*frames));
		if (!frames)
			return -ENOMEM;
		fetch->chain_frames = frames;
		fetch->chain_cap = cap;
	}
	fetch->chain[at] = row;
	fetch->chain_frames[at] = frame;
	return 0;
}

int fetch_stack(struct fetch *fetch, uint64_t want, uint32_t *stack)
{
	int64_t row = (int64_t)want;
	size_t depth = 0;
	int err = 0;

	*stack = PROFILE_ROOT;
	/* From the leaf on to a stack that is known, and back from there. */
	while (!err && row) {
		uint32_t known = idmap_get(&fetch->stacks, row), frame;
		sqlite3_stmt *stmt;
		int64_t parent, frame_row;

		if (known != HMAP_NONE) {
			*stack = known;
			break;
		}
		err = first_row(fetch, DB_STACK_GET, row, &stmt);
		if (err)
			return err;
		parent = sqlite3_column_int64(stmt, 0);
		frame_row = sqlite3_column_int64(stmt, 1);
		sqlite3_reset(stmt);
		/* Else there could be a ring. */
		if (parent < 0 || parent >= row)
			return -EUCLEAN;
		err = fetch_frame(fetch, frame_row, &frame);
		if (!err)
			err = chain_add(fetch, depth++, row, frame);
		row = parent;
	}
	while (!err && depth--) {
		*stack = profile__stack(fetch->profile, *stack, fetch->chain_frames[depth]);
		err = *stack == PROFILE_NONE
		              ? -ENOMEM
		              : idmap_add(&fetch->stacks, fetch->chain[depth], *stack);
	}
	return err;
}

static int fetch_labels(struct fetch *fetch, int64_t row, const struct profile_track *process)
{
	sqlite3_stmt *stmt = db_bind(fetch->db, DB_LABEL_GET, &row, 1);
	int got, err = 0;

	while (!err && (got = db_step(fetch->db, stmt)) != 0) {
		struct profile_label label = {
			.pid = process->pid,
			.process_key = process->process_key,
		};

		if (got < 0)
			return got;
		err = fetch_string(fetch, sqlite3_column_int64(stmt, 0), &label.name);
		if (!err)
			err = fetch_string(fetch, sqlite3_column_int64(stmt, 1), &label.value);
		if (!err)
			err = profile__set_label(fetch->profile, &label);
	}
	if (err && stmt)
		sqlite3_reset(stmt);
	return err;
}

static int process_add(struct fetch *fetch, int64_t row, const struct profile_track *process)
{
	uint32_t at = fetch->processes.cnt;

	if (at == fetch->process_cap) {
		uint32_t cap = at ? at * 2 : 64;
		struct profile_track *rows = realloc(fetch->process_rows, cap * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		fetch->process_rows = rows;
		fetch->process_cap = cap;
	}
	fetch->process_rows[at] = *process;
	return idmap_add(&fetch->processes, row, at);
}

static int fetch_process(struct fetch *fetch, int64_t row, struct profile_track *process)
{
	uint32_t known = idmap_get(&fetch->processes, row);
	sqlite3_stmt *stmt;
	int64_t pid, command;
	int err;

	if (known != HMAP_NONE) {
		*process = fetch->process_rows[known];
		return 0;
	}
	err = first_row(fetch, DB_PROCESS_GET, row, &stmt);
	if (err)
		return err;
	*process = (struct profile_track){ 0 };
	pid = sqlite3_column_int64(stmt, 0);
	process->process_key = (uint64_t)sqlite3_column_int64(stmt, 1);
	command = sqlite3_column_int64(stmt, 2);
	sqlite3_reset(stmt);
	if (pid < 0 || pid > UINT32_MAX)
		return -EUCLEAN;
	process->pid = (uint32_t)pid;
	err = fetch_string(fetch, command, &process->process);
	if (err)
		return err;
	/* There is no pid that would keep them apart. */
	if (!process->pid)
		process->process_key = process->process;
	err = fetch_labels(fetch, row, process);
	return err ? err : process_add(fetch, row, process);
}

int fetch_track(struct fetch *fetch, uint64_t want, uint32_t *track)
{
	struct profile_track out, process;
	int64_t row = (int64_t)want, process_row, tid, key, name;
	sqlite3_stmt *stmt;
	int err;

	*track = idmap_get(&fetch->tracks, row);
	if (*track != HMAP_NONE)
		return 0;
	err = first_row(fetch, DB_THREAD_GET, row, &stmt);
	if (err)
		return err;
	process_row = sqlite3_column_int64(stmt, 0);
	tid = sqlite3_column_int64(stmt, 1);
	key = sqlite3_column_int64(stmt, 2);
	name = sqlite3_column_int64(stmt, 3);
	sqlite3_reset(stmt);
	if (tid < 0 || tid > UINT32_MAX)
		return -EUCLEAN;
	err = fetch_process(fetch, process_row, &process);
	if (err)
		return err;
	out = process;
	out.tid = (uint32_t)tid;
	out.thread_key = (uint64_t)key;
	err = fetch_string(fetch, name, &out.thread);
	if (err)
		return err;
	*track = profile__track(fetch->profile, &out);
	return *track == PROFILE_NONE ? -ENOMEM : idmap_add(&fetch->tracks, row, *track);
}

void fetch_free(struct fetch *fetch)
{
	idmap_free(&fetch->strings);
	idmap_free(&fetch->frames);
	idmap_free(&fetch->stacks);
	idmap_free(&fetch->tracks);
	idmap_free(&fetch->processes);
	free(fetch->process_rows);
	free(fetch->chain);
	free(fetch->chain_frames);
}
