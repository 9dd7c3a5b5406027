// SPDX-License-Identifier: Apache-2.0
/*
 * pprof.c - gzipped profile.proto, as go tool pprof and its relatives read it.
 *
 * One Location for each (function, line), as readers keep only one line of a location. Functions
 * keep the whole path, which pprof needs to show source. Strings are true, only made valid UTF-8.
 * Field numbers: github.com/google/pprof, proto/profile.proto.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "out/formats.h"
#include "out/ledger.h"
#include "out/pb.h"
#include "out/text.h"
#include "out/view.h"

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING_TABLE = 6,
	PROFILE_TIME_NANOS = 9,
	PROFILE_DURATION_NANOS = 10,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};

#define GZIP_WINDOW_BITS (MAX_WBITS + 16) /* zlib: a gzip wrapper around the stream */
#define FLUSH_SZ         (256 * 1024)

struct function {
	uint32_t name;
	uint32_t path;
	int32_t first_line;
};

struct pprof {
	struct view view;
	struct pool strings;
	struct function *functions; /* ids are index + 1: no id may be 0 */
	uint32_t function_cnt;
	struct hmap function_map;
	struct buf out;
	struct buf message;
	struct buf part;
	struct buf text;
	z_stream zip;
	FILE *stream;
};

static int zip_out(struct pprof *pprof, int flush)
{
	static const size_t chunk_sz = 65536;
	unsigned char *chunk;
	int ret = Z_OK;

	if (pprof->out.err)
		return pprof->out.err;
	chunk = malloc(chunk_sz);
	if (!chunk)
		return -ENOMEM;
	pprof->zip.next_in = (unsigned char *)pprof->out.data;
	pprof->zip.avail_in = (unsigned int)pprof->out.len;
	do {
		size_t len;

		pprof->zip.next_out = chunk;
		pprof->zip.avail_out = (unsigned int)chunk_sz;
		ret = deflate(&pprof->zip, flush);
		len = chunk_sz - pprof->zip.avail_out;
		if (fwrite(chunk, 1, len, pprof->stream) != len) {
			free(chunk);
			return errno ? -errno : -EIO;
		}
	} while (ret == Z_OK && (pprof->zip.avail_in || flush == Z_FINISH));
	free(chunk);
	buf_clear(&pprof->out);
	return ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR ? 0 : -EIO;
}

/* Message buffers are small, but one string may be as long as it likes. */
static int emit(struct pprof *pprof, uint32_t field, const struct buf *message)
{
	pb_bytes(&pprof->out, field, buf_str(message), message->len);
	if (message->err)
		return message->err;
	return pprof->out.len >= FLUSH_SZ ? zip_out(pprof, Z_NO_FLUSH) : pprof->out.err;
}

/* The string's index in the string table; a failure sticks in `out`. */
static uint32_t string_id(struct pprof *pprof, const char *s, size_t len)
{
	const char *end = s + len;
	uint32_t id;

	buf_clear(&pprof->text);
	while (s < end)
		buf_put_utf8(&pprof->text, text_next(&s, end));
	id = pool_intern(&pprof->strings, buf_str(&pprof->text), pprof->text.len);
	if (id == HMAP_NONE || pprof->text.err)
		pprof->out.err = -ENOMEM;
	return id;
}

static uint32_t string_c(struct pprof *pprof, const char *s)
{
	return string_id(pprof, s, strlen(s));
}

static int write_value_type(struct pprof *pprof, uint32_t field, const char *type, const char *unit)
{
	buf_clear(&pprof->message);
	pb_uint(&pprof->message, 1, string_c(pprof, type));
	pb_uint(&pprof->message, 2, string_c(pprof, unit));
	return emit(pprof, field, &pprof->message);
}

struct function_key {
	const struct pprof *pprof;
	struct function function;
};

static bool function_eq(const void *ctx, uint32_t id)
{
	const struct function_key *key = ctx;

	return !memcmp(&key->pprof->functions[id], &key->function, sizeof(key->function));
}

/* Write the function if it is new; its id through @id. */
static int write_function(struct pprof *pprof, const struct view_frame *frame, uint32_t *id)
{
	struct function_key key = { pprof, { frame->name, frame->path, frame->first_line } };
	uint64_t hash = hash_bytes(&key.function, sizeof(key.function), 0);
	struct buf *message = &pprof->message;
	size_t name_len, path_len = 0;
	const char *name, *path = "";
	uint32_t found = hmap_find(&pprof->function_map, hash, function_eq, &key), name_id;

	if (found != HMAP_NONE) {
		*id = found + 1;
		return 0;
	}
	if (hmap_add(&pprof->function_map, hash, pprof->function_cnt))
		return -ENOMEM;
	pprof->functions[pprof->function_cnt++] = key.function;
	*id = pprof->function_cnt;
	name = view_text_at(&pprof->view, frame->name, &name_len);
	if (frame->path != VIEW_NONE)
		path = profile__string_at(pprof->view.profile, frame->path, &path_len);
	name_id = string_id(pprof, name, name_len);
	buf_clear(message);
	pb_uint(message, 1, *id);
	pb_uint(message, 2, name_id);
	pb_uint(message, 3, name_id);
	pb_uint(message, 4, string_id(pprof, path, path_len));
	pb_int(message, 5, frame->first_line);
	return emit(pprof, PROFILE_FUNCTION, message);
}

/* Location ids are view frame + 1. */
static int write_locations(struct pprof *pprof)
{
	const struct view *view = &pprof->view;
	int err = 0;

	pprof->functions = calloc((size_t)view->frame_cnt + 1, sizeof(*pprof->functions));
	if (!pprof->functions)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->frame_cnt && !err; i++) {
		uint32_t function_id = 0;

		err = write_function(pprof, &view->frames[i], &function_id);
		if (err)
			break;
		buf_clear(&pprof->part);
		pb_uint(&pprof->part, 1, function_id);
		pb_int(&pprof->part, 2, view->frames[i].line);
		buf_clear(&pprof->message);
		pb_uint(&pprof->message, 1, (uint64_t)i + 1);
		pb_bytes(&pprof->message, 4, buf_str(&pprof->part), pprof->part.len);
		err = pprof->part.err ? pprof->part.err
		                      : emit(pprof, PROFILE_LOCATION, &pprof->message);
	}
	return err;
}

static void add_label(struct pprof *pprof, const char *key, const char *s, size_t len, uint64_t num)
{
	struct buf *part = &pprof->part;

	buf_clear(part);
	pb_uint(part, 1, string_c(pprof, key));
	if (s)
		pb_uint(part, 2, string_id(pprof, s, len));
	pb_uint(part, 3, num);
	pb_bytes(&pprof->message, 3, buf_str(part), part->len);
}

static int write_sample(struct pprof *pprof, const struct profile_value *value, uint32_t node)
{
	const struct view *view = &pprof->view;
	const struct profile_track *track = profile__track_at(view->profile, value->track);
	uint64_t period_ns = ledger_period_ns(profile__meta(view->profile));
	const char *s;
	size_t len;

	buf_clear(&pprof->message);
	buf_clear(&pprof->part);
	for (; node != VIEW_ROOT; node = view->nodes[node].parent)
		pb_varint(&pprof->part, (uint64_t)view->nodes[node].frame + 1);
	pb_bytes(&pprof->message, 1, buf_str(&pprof->part), pprof->part.len);
	buf_clear(&pprof->part);
	pb_varint(&pprof->part, value->cnt);
	pb_varint(&pprof->part, value->cnt * period_ns);
	pb_bytes(&pprof->message, 2, buf_str(&pprof->part), pprof->part.len);
	if (track->pid)
		add_label(pprof, "pid", NULL, 0, track->pid);
	s = profile__string_at(view->profile, track->process, &len);
	if (len)
		add_label(pprof, "process", s, len, 0);
	if (track->tid)
		add_label(pprof, "thread_id", NULL, 0, track->tid);
	s = profile__string_at(view->profile, track->thread, &len);
	if (len)
		add_label(pprof, "thread", s, len, 0);
	if (pprof->part.err)
		return pprof->part.err;
	return emit(pprof, PROFILE_SAMPLE, &pprof->message);
}

/* Repeated int64 outside of a message: one number a field. */
static void add_comment(struct pprof *pprof, const char *what, const char *s)
{
	struct buf line = { 0 };

	if (!*s)
		return;
	buf_puts(&line, what);
	buf_puts(&line, s);
	pb_uint(&pprof->out, PROFILE_COMMENT, string_id(pprof, buf_str(&line), line.len));
	if (line.err)
		pprof->out.err = line.err;
	buf_free(&line);
}

static void write_comments(struct pprof *pprof, const struct profile_meta *meta)
{
	struct buf line = { 0 };

	add_comment(pprof, "title: ", ledger_str(meta->title));
	add_comment(pprof, "command: ", ledger_str(meta->command));
	add_comment(pprof, "pitviper: ", ledger_str(meta->version));
	add_comment(pprof, "host: ", ledger_str(meta->host));
	add_comment(pprof, "Python: ", ledger_str(meta->pythons));
	buf_printf(&line, "%" PRIu32 " Hz on each of %" PRIu32 " CPUs", meta->rate_hz,
	           meta->cpu_cnt);
	add_comment(pprof, "rate: ", buf_str(&line));
	for (uint32_t i = 0; buf_clear(&line), ledger_line(meta, i, &line); i++)
		add_comment(pprof, "", buf_str(&line));
	if (line.err)
		pprof->out.err = line.err;
	buf_free(&line);
}

static int write_all(struct pprof *pprof)
{
	const struct profile_meta *meta = profile__meta(pprof->view.profile);
	size_t value_cnt;
	const struct profile_value *values = profile__values(pprof->view.profile, &value_cnt);
	int err = string_id(pprof, "", 0) == 0 ? 0 : -ENOMEM;

	if (!err)
		err = write_value_type(pprof, PROFILE_SAMPLE_TYPE, "samples", "count");
	if (!err)
		err = write_value_type(pprof, PROFILE_SAMPLE_TYPE, "cpu", "nanoseconds");
	if (!err)
		err = write_value_type(pprof, PROFILE_PERIOD_TYPE, "cpu", "nanoseconds");
	if (!err)
		err = write_locations(pprof);
	for (size_t i = 0; i < value_cnt && !err; i++)
		err = write_sample(pprof, &values[i], pprof->view.value_nodes[i]);
	pb_uint(&pprof->out, PROFILE_TIME_NANOS, meta->start_unix_ns);
	pb_uint(&pprof->out, PROFILE_DURATION_NANOS, meta->duration_ns);
	pb_uint(&pprof->out, PROFILE_PERIOD, ledger_period_ns(meta));
	pb_uint(&pprof->out, PROFILE_DEFAULT_SAMPLE_TYPE, string_c(pprof, "cpu"));
	write_comments(pprof, meta);
	for (uint32_t i = 0; i < pprof->strings.cnt && !err; i++) {
		buf_clear(&pprof->message);
		buf_add(&pprof->message, pprof->strings.entries[i].data,
		        pprof->strings.entries[i].len);
		err = emit(pprof, PROFILE_STRING_TABLE, &pprof->message);
	}
	return err ? err : zip_out(pprof, Z_FINISH);
}

static int pprof_write(struct profile *profile, const struct out_view *options, FILE *stream)
{
	struct pprof pprof = { .stream = stream };
	int err = view_open(&pprof.view, profile, options, VIEW_RAW);

	if (!err && deflateInit2(&pprof.zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
	                         Z_DEFAULT_STRATEGY) != Z_OK)
		err = -ENOMEM;
	if (!err) {
		err = write_all(&pprof);
		deflateEnd(&pprof.zip);
	}
	view_close(&pprof.view);
	pool_free(&pprof.strings);
	free(pprof.functions);
	hmap_free(&pprof.function_map);
	buf_free(&pprof.out);
	buf_free(&pprof.message);
	buf_free(&pprof.part);
	buf_free(&pprof.text);
	return err;
}

const struct out_format out_pprof = {
	.name = "pprof",
	.extension = ".pb.gz",
	.summary = "gzipped profile.proto: pprof, Pyroscope, Parca, Perfetto, speedscope",
	.next_step = "go tool pprof -http=: FILE, or open it at https://www.speedscope.app",
	.write = pprof_write,
};
