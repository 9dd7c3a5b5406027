// SPDX-License-Identifier: Apache-2.0
/*
 * speedscope.c - JSON for speedscope: one profile for each thread.
 *
 * With a time line: samples in time order from the thread's first one on, so that threads line up,
 * neighbours with the same stack merged. Without: one sample for each stack. A tick weighs 1/rate
 * seconds either way. Format: the npm package's file-format-schema.json.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "out/formats.h"
#include "out/ledger.h"
#include "out/text.h"
#include "out/view.h"

#define SCHEMA_URL "https://www.speedscope.app/file-format-schema.json"
#define FLUSH_SZ   (256 * 1024)

struct sample {
	uint32_t group;
	uint32_t node;
	uint64_t cnt;
	uint64_t time_ns;
};

/* A group is a thread: tracks differ by name too, and a thread may change its name. */
struct speedscope {
	struct view view;
	struct sample *samples; /* by group, within one by time */
	size_t sample_cnt;
	bool timed;
	uint32_t *group_of; /* by track */
	uint32_t *track_of; /* by group: the thread's last track */
	uint32_t group_cnt;
	struct buf out;
	uint32_t *stack; /* scratch, view frames */
	size_t stack_cap;
	FILE *stream;
};

static int flush(struct speedscope *scope, size_t above)
{
	struct buf *out = &scope->out;

	if (out->err)
		return out->err;
	if (out->len <= above)
		return 0;
	if (fwrite(out->data, 1, out->len, scope->stream) != out->len)
		return errno ? -errno : -EIO;
	buf_clear(out);
	return 0;
}

struct group_key {
	const struct speedscope *scope;
	const struct profile_track *track;
};

static bool group_eq(const void *ctx, uint32_t group)
{
	const struct group_key *key = ctx;
	const struct profile_track *a = key->track;
	const struct profile_track *b =
		profile__track_at(key->scope->view.profile, key->scope->track_of[group]);

	return a->pid == b->pid && a->tid == b->tid && a->process_key == b->process_key &&
	       a->thread_key == b->thread_key;
}

static int make_groups(struct speedscope *scope)
{
	uint32_t track_cnt = profile__track_cnt(scope->view.profile);
	struct hmap map = { 0 };
	int err = 0;

	scope->group_of = malloc(((size_t)track_cnt + 1) * sizeof(uint32_t));
	scope->track_of = malloc(((size_t)track_cnt + 1) * sizeof(uint32_t));
	if (!scope->group_of || !scope->track_of)
		return -ENOMEM;
	for (uint32_t i = 0; i < track_cnt && !err; i++) {
		const struct profile_track *track = profile__track_at(scope->view.profile, i);
		const struct group_key key = { scope, track };
		uint64_t hash = hash_u64((uint64_t)track->pid << 32 | track->tid);
		uint32_t group = hmap_find(&map, hash, group_eq, &key);

		if (group == HMAP_NONE) {
			group = scope->group_cnt++;
			err = hmap_add(&map, hash, group);
		}
		scope->group_of[i] = group;
		scope->track_of[group] = i;
	}
	hmap_free(&map);
	return err;
}

/* All samples, from the time line if there is one, in the order in which they come. */
static int collect(struct speedscope *scope, struct sample **out)
{
	size_t point_cnt, value_cnt;
	const struct profile_point *points = profile__points(scope->view.profile, &point_cnt);
	const struct profile_value *values = profile__values(scope->view.profile, &value_cnt);
	size_t cnt = point_cnt ? point_cnt : value_cnt;
	struct sample *samples = malloc((cnt + 1) * sizeof(*samples));
	uint32_t *nodes = malloc((point_cnt + 1) * sizeof(*nodes));
	int err = samples && nodes ? 0 : -ENOMEM;

	if (!err && point_cnt)
		err = view_place_points(&scope->view, points, point_cnt, nodes);
	for (size_t i = 0; i < cnt && !err; i++) {
		if (point_cnt)
			samples[i] = (struct sample){ scope->group_of[points[i].track], nodes[i], 1,
				                      points[i].time_ns };
		else
			samples[i] =
				(struct sample){ scope->group_of[values[i].track],
				                 scope->view.value_nodes[i], values[i].cnt, 0 };
	}
	free(nodes);
	scope->timed = point_cnt;
	scope->sample_cnt = cnt;
	*out = samples;
	return err;
}

static int group_samples(struct speedscope *scope)
{
	struct sample *samples = NULL;
	size_t *ends = calloc((size_t)scope->group_cnt + 1, sizeof(*ends));
	int err = collect(scope, &samples);

	scope->samples = malloc((scope->sample_cnt + 1) * sizeof(*samples));
	if (!ends || !scope->samples)
		err = -ENOMEM;
	for (size_t i = 0; i < scope->sample_cnt && !err; i++)
		ends[samples[i].group + 1]++;
	for (uint32_t i = 0; i < scope->group_cnt && !err; i++)
		ends[i + 1] += ends[i];
	for (size_t i = 0; i < scope->sample_cnt && !err; i++)
		scope->samples[ends[samples[i].group]++] = samples[i];
	free(samples);
	free(ends);
	return err;
}

/* The run of samples from @at on that becomes one: its length, and its ticks through @cnt. */
static size_t run_len(const struct speedscope *scope, size_t at, size_t end, uint64_t *cnt)
{
	size_t len = 0;

	for (*cnt = 0; at + len < end; len++) {
		if (scope->samples[at + len].node != scope->samples[at].node)
			break;
		*cnt += scope->samples[at + len].cnt;
	}
	return len;
}

static int put_stack(struct speedscope *scope, uint32_t node)
{
	size_t depth = 0;

	for (; node != VIEW_ROOT; node = scope->view.nodes[node].parent) {
		if (depth == scope->stack_cap) {
			size_t cap = depth ? depth * 2 : 128;
			uint32_t *stack = realloc(scope->stack, cap * sizeof(*stack));

			if (!stack)
				return -ENOMEM;
			scope->stack = stack;
			scope->stack_cap = cap;
		}
		scope->stack[depth++] = scope->view.nodes[node].frame;
	}
	buf_putc(&scope->out, '[');
	while (depth--)
		buf_printf(&scope->out, "%" PRIu32 "%s", scope->stack[depth], depth ? "," : "");
	buf_putc(&scope->out, ']');
	return flush(scope, FLUSH_SZ);
}

static void put_thread_name(struct speedscope *scope, const struct profile_track *track)
{
	struct buf name = { 0 };
	const char *s;
	size_t len;

	if (track->pid) {
		buf_printf(&name, "Process %" PRIu32 " Thread %" PRIu32, track->pid, track->tid);
		s = profile__string_at(scope->view.profile, track->thread, &len);
		if (len) {
			buf_puts(&name, " \"");
			buf_add(&name, s, len);
			buf_putc(&name, '"');
		}
	} else {
		s = profile__string_at(scope->view.profile, track->process, &len);
		buf_add(&name, s, len);
	}
	text_json(&scope->out, buf_str(&name), name.len);
	if (name.err)
		scope->out.err = name.err;
	buf_free(&name);
}

/* One profile of the samples [@at, @end), all of one group. */
static int put_profile(struct speedscope *scope, size_t at, size_t end)
{
	uint64_t period_ns = ledger_period_ns(profile__meta(scope->view.profile));
	uint32_t track = scope->track_of[scope->samples[at].group];
	uint64_t start = scope->samples[at].time_ns, cnt, total = 0;
	struct buf *out = &scope->out;
	int err = 0;

	buf_puts(out, at ? ",\n{" : "\n{");
	buf_puts(out, "\"type\":\"sampled\",\"name\":");
	put_thread_name(scope, profile__track_at(scope->view.profile, track));
	for (size_t i = at; i < end; i++)
		total += scope->samples[i].cnt;
	buf_printf(out,
	           ",\"unit\":\"nanoseconds\",\"startValue\":%" PRIu64 ",\"endValue\":%" PRIu64
	           ",\"samples\":[",
	           start, start + total * period_ns);
	for (size_t i = at, len; i < end && !err; i += len) {
		len = run_len(scope, i, end, &cnt);
		if (i > at)
			buf_putc(out, ',');
		err = put_stack(scope, scope->samples[i].node);
	}
	buf_puts(out, "],\"weights\":[");
	for (size_t i = at, len; i < end && !err; i += len) {
		len = run_len(scope, i, end, &cnt);
		buf_printf(out, "%s%" PRIu64, i > at ? "," : "", cnt * period_ns);
		err = flush(scope, FLUSH_SZ);
	}
	buf_puts(out, "]}");
	return err;
}

static int put_profiles(struct speedscope *scope)
{
	int err = 0;

	buf_puts(&scope->out, ",\n\"profiles\":[");
	for (size_t at = 0, end; at < scope->sample_cnt && !err; at = end) {
		for (end = at; end < scope->sample_cnt; end++) {
			if (scope->samples[end].group != scope->samples[at].group)
				break;
		}
		err = put_profile(scope, at, end);
	}
	/* speedscope refuses a file without any profile. */
	if (!scope->sample_cnt)
		buf_puts(&scope->out, "{\"type\":\"sampled\",\"name\":\"no samples\","
		                      "\"unit\":\"nanoseconds\",\"startValue\":0,"
		                      "\"endValue\":0,\"samples\":[],\"weights\":[]}");
	buf_puts(&scope->out, "]");
	return err;
}

static int put_frames(struct speedscope *scope)
{
	const struct view *view = &scope->view;
	struct buf *out = &scope->out;
	int err = 0;

	buf_puts(out, ",\n\"shared\":{\"frames\":[");
	for (uint32_t i = 0; i < view->frame_cnt && !err; i++) {
		const struct view_frame *frame = &view->frames[i];
		size_t len;
		const char *s = view_text_at(view, frame->name, &len);

		buf_puts(out, i ? ",\n{\"name\":" : "\n{\"name\":");
		text_json(out, s, len);
		s = view_text_at(view, frame->file, &len);
		if (len) {
			buf_puts(out, ",\"file\":");
			text_json(out, s, len);
		}
		if (frame->line > 0)
			buf_printf(out, ",\"line\":%" PRId32, frame->line);
		buf_putc(out, '}');
		err = flush(scope, FLUSH_SZ);
	}
	buf_puts(out, "]}");
	return err;
}

static void put_member(struct buf *out, const char *key, const char *s)
{
	buf_printf(out, ",\n\"%s\":", key);
	text_json(out, ledger_str(s), strlen(ledger_str(s)));
}

static void put_rows(struct buf *out, const char *key, const struct profile_ledger_row *rows,
                     uint32_t cnt)
{
	buf_printf(out, ",\n\"%s\":[", key);
	for (uint32_t i = 0; i < cnt; i++) {
		const char *name = ledger_str(rows[i].name);
		const char *meaning = ledger_str(rows[i].meaning);

		buf_puts(out, i ? ",\n{\"name\":" : "\n{\"name\":");
		text_json(out, name, strlen(name));
		buf_printf(out, ",\"count\":%" PRIu64 ",\"meaning\":", rows[i].count);
		text_json(out, meaning, strlen(meaning));
		buf_putc(out, '}');
	}
	buf_puts(out, "]");
}

/* The schema lets a file hold more than it names; speedscope ignores it, other readers need not. */
static void put_meta(struct buf *out, const struct profile_meta *meta)
{
	buf_printf(out,
	           ",\n\"pitviper\":{\"start_unix_ns\":%" PRIu64 ",\"duration_ns\":%" PRIu64
	           ",\"rate_hz\":%" PRIu32 ",\"cpus\":%" PRIu32 ",\"ticks\":%" PRIu64,
	           meta->start_unix_ns, meta->duration_ns, meta->rate_hz, meta->cpu_cnt,
	           meta->tick_cnt);
	put_member(out, "command", meta->command);
	put_member(out, "version", meta->version);
	put_member(out, "host", meta->host);
	put_member(out, "pythons", meta->pythons);
	put_rows(out, "outcomes", meta->outcomes, meta->outcome_cnt);
	put_rows(out, "events", meta->events, meta->event_cnt);
	buf_puts(out, "}");
}

static int write_all(struct speedscope *scope)
{
	const struct profile_meta *meta = profile__meta(scope->view.profile);
	struct buf exporter = { 0 };
	int err = make_groups(scope);

	if (!err)
		err = group_samples(scope);
	if (err)
		return err;
	buf_puts(&scope->out, "{\"$schema\":\"" SCHEMA_URL "\"");
	put_member(&scope->out, "name", meta->title);
	buf_printf(&exporter, "pitviper@%s", ledger_str(meta->version));
	put_member(&scope->out, "exporter", buf_str(&exporter));
	buf_free(&exporter);
	put_meta(&scope->out, meta);
	/* Placing points may have added frames: these go out after all samples are placed. */
	err = put_frames(scope);
	if (!err)
		err = put_profiles(scope);
	buf_puts(&scope->out, "}\n");
	return err ? err : flush(scope, 0);
}

static int speedscope_write(struct profile *profile, const struct out_view *options, FILE *stream)
{
	struct speedscope scope = { .stream = stream };
	int err = view_open(&scope.view, profile, options, VIEW_RAW);

	if (!err)
		err = write_all(&scope);
	view_close(&scope.view);
	free(scope.samples);
	free(scope.group_of);
	free(scope.track_of);
	free(scope.stack);
	buf_free(&scope.out);
	return err;
}

const struct out_format out_speedscope = {
	.name = "speedscope",
	.extension = ".speedscope.json",
	.summary = "JSON for speedscope: each thread in time order",
	.next_step = "open it at https://www.speedscope.app (it stays on your machine)",
	.wants_points = true,
	.write = speedscope_write,
};
