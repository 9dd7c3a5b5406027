// SPDX-License-Identifier: Apache-2.0
/*
 * pyroscope.c - Pyroscope's push API, Connect over HTTP with protobuf: PushRequest of
 * github.com/grafana/pyroscope, api/push/v1/push.proto, as of version 1 and 2. Each series has an id,
 * the same at each attempt.
 */
#include <stdio.h>
#include <string.h>

#include "export/export.h"
#include "export/series.h"
#include "out/pb.h"
#include "out/text.h"

struct push {
	const struct export_options *options;
	struct buf *body;
};

static void add_text(struct buf *out, uint32_t field, const char *s, size_t len)
{
	const char *end = s + len;
	struct buf text = { 0 };

	while (s < end)
		buf_put_utf8(&text, text_next(&s, end));
	pb_bytes(out, field, buf_str(&text), text.len);
	if (text.err)
		out->err = text.err;
	buf_free(&text);
}

/* The request's id with the series' number mixed in, as a UUID of version 4. */
static void make_uuid(const unsigned char *request, uint32_t index, char *out, size_t size)
{
	unsigned char id[EXPORT_ID_LEN];
	size_t at = 0;

	memcpy(id, request, sizeof(id));
	for (size_t i = 0; i < sizeof(index); i++)
		id[sizeof(id) - 1 - i] ^= (unsigned char)(index >> 8 * i);
	id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
	id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(id); i++) {
		const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";

		at += (size_t)snprintf(out + at, size - at, "%s%02x", dash, id[i]);
	}
}

static int add_series(void *ctx, uint32_t index, const struct series_label *labels, size_t cnt,
                      const struct buf *pprof)
{
	struct push *push = ctx;
	struct buf series = { 0 }, part = { 0 };
	char uuid[40];
	int err;

	for (size_t i = 0; i < cnt; i++) {
		buf_clear(&part);
		pb_bytes(&part, 1, labels[i].name, strlen(labels[i].name));
		add_text(&part, 2, labels[i].value, labels[i].len);
		pb_bytes(&series, 1, buf_str(&part), part.len);
	}
	make_uuid(push->options->id, index, uuid, sizeof(uuid));
	buf_clear(&part);
	pb_bytes(&part, 1, buf_str(pprof), pprof->len);
	pb_bytes(&part, 2, uuid, strlen(uuid));
	pb_bytes(&series, 2, buf_str(&part), part.len);
	pb_bytes(push->body, 1, buf_str(&series), series.len);
	err = part.err ? part.err : series.err ? series.err : push->body->err;
	buf_free(&part);
	buf_free(&series);
	return err;
}

static int pyroscope_write(struct profile *profile, const struct export_options *options,
                           struct buf *body)
{
	struct push push = { options, body };

	return series_each(profile, options, add_series, &push);
}

const struct export_writer export_pyroscope = {
	.name = "pyroscope",
	.summary = "Pyroscope's push API, a series for each service and container",
	.path = "/push.v1.PusherService/Push",
	.content_type = "application/proto",
	.retry_500 = true,
	.write = pyroscope_write,
};
