// SPDX-License-Identifier: Apache-2.0
#include "profile/select.h"

#include <errno.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

enum pattern { COMM, CGROUP, THREAD, FOCUS, IGNORE, PATTERN_CNT };

struct select {
	struct select_opts opts;
	regex_t patterns[PATTERN_CNT];
	bool used[PATTERN_CNT];
};

/* What the stack's frames have matched so far, from the root on. */
#define HAS_FOCUS  1
#define HAS_IGNORE 2

struct apply {
	const struct select *select;
	struct profile *from, *to;
	uint64_t mark;
	uint8_t *frame_marks; /* by frame of `from` */
	uint8_t *stack_marks; /* by stack of `from` */
	uint32_t *strings;    /* of `to`, by string of `from`; PROFILE_NONE: not copied yet */
	uint32_t *stacks;     /* likewise */
	uint32_t *tracks;     /* likewise; of tracks that are not selected, too */
	bool *wanted;         /* by track */
};

struct select *select__new(const struct select_opts *opts, char *what, size_t what_len)
{
	const char *const texts[PATTERN_CNT] = { opts->comm, opts->cgroup, opts->thread,
		                                 opts->focus, opts->ignore };
	struct select *select = calloc(1, sizeof(*select));

	snprintf(what, what_len, "out of memory");
	if (!select)
		return NULL;
	select->opts = *opts;
	for (size_t i = 0; i < PATTERN_CNT; i++) {
		char why[128];
		int err;

		if (!texts[i])
			continue;
		err = regcomp(&select->patterns[i], texts[i], REG_EXTENDED | REG_NOSUB);
		if (err) {
			regerror(err, &select->patterns[i], why, sizeof(why));
			snprintf(what, what_len, "'%s' is not a regular expression: %s", texts[i],
			         why);
			select__free(select);
			errno = EINVAL;
			return NULL;
		}
		select->used[i] = true;
	}
	return select;
}

void select__free(struct select *select)
{
	if (!select)
		return;
	for (size_t i = 0; i < PATTERN_CNT; i++)
		if (select->used[i])
			regfree(&select->patterns[i]);
	free(select);
}

/* Does it match, or is nothing asked? */
static bool matches(const struct select *select, enum pattern pattern, const char *text)
{
	return !select->used[pattern] || !regexec(&select->patterns[pattern], text, 0, NULL, 0);
}

static const char *label_of(const struct profile *profile, const struct profile_track *track,
                            const char *name, const char *otherwise)
{
	uint32_t id = profile__find_string(profile, name, strlen(name));

	if (id != PROFILE_NONE)
		id = profile__label_of(profile, track, id);
	return id == PROFILE_NONE ? otherwise : profile__string_at(profile, id, NULL);
}

static bool track_wanted(const struct select *select, const struct profile *profile,
                         const struct profile_track *track)
{
	const char *command = profile__string_at(profile, track->process, NULL);
	bool wanted = !select->opts.pid_cnt;

	for (size_t i = 0; !wanted && i < select->opts.pid_cnt; i++)
		wanted = track->pid && (pid_t)track->pid == select->opts.pids[i];
	return wanted && matches(select, COMM, label_of(profile, track, PROFILE_COMM, command)) &&
	       matches(select, CGROUP, label_of(profile, track, PROFILE_CGROUP, "")) &&
	       matches(select, THREAD, profile__string_at(profile, track->thread, NULL));
}

static int mark_frames(struct apply *apply)
{
	const struct select *select = apply->select;
	struct buf text = { 0 };

	if (!select->used[FOCUS] && !select->used[IGNORE])
		return 0;
	for (uint32_t i = 0; i < profile__frame_cnt(apply->from) && !text.err; i++) {
		const struct profile_frame *frame = profile__frame_at(apply->from, i);
		const char *file = profile__string_at(apply->from, frame->file, NULL);

		buf_clear(&text);
		buf_puts(&text, profile__string_at(apply->from, frame->name, NULL));
		if (*file)
			buf_printf(&text, " (%s)", file);
		if (select->used[FOCUS] && matches(select, FOCUS, buf_str(&text)))
			apply->frame_marks[i] |= HAS_FOCUS;
		if (select->used[IGNORE] && matches(select, IGNORE, buf_str(&text)))
			apply->frame_marks[i] |= HAS_IGNORE;
	}
	buf_free(&text);
	return text.err;
}

static bool stack_wanted(const struct apply *apply, uint32_t stack)
{
	uint8_t marks = apply->stack_marks[stack];

	return (!apply->select->used[FOCUS] || marks & HAS_FOCUS) && !(marks & HAS_IGNORE);
}

static uint32_t copy_string(struct apply *apply, uint32_t string)
{
	size_t len;
	const char *text;

	if (apply->strings[string] == PROFILE_NONE) {
		text = profile__string_at(apply->from, string, &len);
		apply->strings[string] = profile__string(apply->to, text, len);
	}
	return apply->strings[string];
}

/* PROFILE_NONE: no memory. */
static uint32_t copy_track(struct apply *apply, uint32_t track)
{
	struct profile_track row;

	if (apply->tracks[track] != PROFILE_NONE)
		return apply->tracks[track];
	row = *profile__track_at(apply->from, track);
	row.process = copy_string(apply, row.process);
	row.thread = copy_string(apply, row.thread);
	row.thread_key += apply->mark;
	/* See crowd.h: without a pid the key is the string of the command line. */
	if (!row.pid && row.process_key)
		row.process_key = row.process;
	apply->tracks[track] = profile__track(apply->to, &row);
	return apply->tracks[track];
}

/* The callers of a stack that is wanted, each once: a stack comes behind its callers. */
static int copy_stacks(struct apply *apply)
{
	for (uint32_t i = 1; i < profile__stack_cnt(apply->from); i++) {
		struct profile_frame frame;
		uint32_t id;

		if (apply->stacks[i] == PROFILE_NONE)
			continue;
		frame = *profile__frame_at(apply->from, profile__stack_frame(apply->from, i));
		frame.name = copy_string(apply, frame.name);
		frame.file = copy_string(apply, frame.file);
		id = profile__frame(apply->to, &frame);
		id = profile__stack(apply->to, apply->stacks[profile__stack_parent(apply->from, i)],
		                    id);
		if (id == PROFILE_NONE)
			return -ENOMEM;
		apply->stacks[i] = id;
	}
	return 0;
}

/* What the samples that are wanted need: any number but PROFILE_NONE in `stacks`. */
static void mark_stacks(struct apply *apply)
{
	uint32_t cnt = profile__stack_cnt(apply->from);
	size_t value_cnt, point_cnt;
	const struct profile_value *values = profile__values(apply->from, &value_cnt);
	const struct profile_point *points = profile__points(apply->from, &point_cnt);

	for (uint32_t i = 1; i < cnt; i++)
		apply->stack_marks[i] = apply->stack_marks[profile__stack_parent(apply->from, i)] |
		                        apply->frame_marks[profile__stack_frame(apply->from, i)];
	for (size_t i = 0; i < value_cnt; i++)
		if (apply->wanted[values[i].track] && stack_wanted(apply, values[i].stack))
			apply->stacks[values[i].stack] = 0;
	for (size_t i = 0; i < point_cnt; i++)
		if (apply->wanted[points[i].track] && stack_wanted(apply, points[i].stack))
			apply->stacks[points[i].stack] = 0;
	for (uint32_t i = cnt; i-- > 1;)
		if (apply->stacks[i] != PROFILE_NONE)
			apply->stacks[profile__stack_parent(apply->from, i)] = 0;
	apply->stacks[PROFILE_ROOT] = PROFILE_ROOT;
}

static int copy_values(struct apply *apply)
{
	size_t value_cnt, point_cnt;
	const struct profile_value *values = profile__values(apply->from, &value_cnt);
	const struct profile_point *points = profile__points(apply->from, &point_cnt);
	int err = 0;

	for (size_t i = 0; !err && i < value_cnt; i++)
		if (apply->wanted[values[i].track] && stack_wanted(apply, values[i].stack))
			err = profile__add(apply->to, copy_track(apply, values[i].track),
			                   apply->stacks[values[i].stack], values[i].cnt);
	for (size_t i = 0; !err && i < point_cnt; i++) {
		struct profile_point point = points[i];

		if (!apply->wanted[point.track] || !stack_wanted(apply, point.stack))
			continue;
		point.track = copy_track(apply, point.track);
		point.stack = apply->stacks[point.stack];
		err = profile__add_point(apply->to, &point);
	}
	return err;
}

/* Of the processes that are there. */
static int copy_labels(struct apply *apply)
{
	size_t cnt;
	const struct profile_label *labels = profile__labels(apply->from, &cnt);
	int err = 0;

	for (size_t i = 0; !err && i < cnt; i++) {
		struct profile_label label = labels[i];

		label.name = copy_string(apply, label.name);
		label.value = copy_string(apply, label.value);
		err = profile__set_label(apply->to, &label);
	}
	return err;
}

static int run(struct apply *apply)
{
	int err = mark_frames(apply);

	for (uint32_t i = 0; i < profile__track_cnt(apply->from); i++)
		apply->wanted[i] =
			track_wanted(apply->select, apply->from, profile__track_at(apply->from, i));
	mark_stacks(apply);
	if (!err)
		err = copy_stacks(apply);
	if (!err)
		err = copy_values(apply);
	if (!err)
		err = copy_labels(apply);
	return err;
}

/* An array of PROFILE_NONE. */
static uint32_t *nones(size_t cnt)
{
	uint32_t *ids = malloc((cnt + 1) * sizeof(*ids));

	if (ids)
		memset(ids, 0xff, (cnt + 1) * sizeof(*ids));
	return ids;
}

int select__add(const struct select *select, struct profile *from, uint64_t mark,
                struct profile *to)
{
	static const struct select everything;
	struct apply apply = {
		.select = select ? select : &everything,
		.from = from,
		.to = to,
		.mark = mark,
		.frame_marks = calloc((size_t)profile__frame_cnt(from) + 1, 1),
		.stack_marks = calloc((size_t)profile__stack_cnt(from) + 1, 1),
		.strings = nones(profile__string_cnt(from)),
		.stacks = nones(profile__stack_cnt(from)),
		.tracks = nones(profile__track_cnt(from)),
		.wanted = calloc((size_t)profile__track_cnt(from) + 1, sizeof(bool)),
	};
	int err = -ENOMEM;

	if (apply.frame_marks && apply.stack_marks && apply.strings && apply.stacks &&
	    apply.tracks && apply.wanted)
		err = run(&apply);
	free(apply.frame_marks);
	free(apply.stack_marks);
	free(apply.strings);
	free(apply.stacks);
	free(apply.tracks);
	free(apply.wanted);
	return err;
}

struct profile *select__apply(const struct select *select, struct profile *from)
{
	struct profile *to = profile__new();
	int err = to ? select__add(select, from, 0, to) : -ENOMEM;

	if (err) {
		profile__free(to);
		errno = -err;
		return NULL;
	}
	profile__set_meta(to, profile__meta(from));
	return to;
}
