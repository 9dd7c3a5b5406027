// SPDX-License-Identifier: Apache-2.0
/*
 * parca.c - Parca's WriteRaw as its gateway takes it over HTTP, in JSON: WriteRawRequest of
 * github.com/parca-dev/parca, proto/parca/profilestore/v1alpha1/profilestore.proto.
 */
#include <string.h>

#include "export/export.h"
#include "export/series.h"
#include "out/text.h"

static void add_base64(struct buf *out, const char *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (!buf_reserve(out, (len + 2) / 3 * 4))
		return;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = 0;

		for (size_t j = 0; j < 3; j++)
			three = three << 8 | (i + j < len ? (unsigned char)data[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			buf_putc(out, i + j > len ? '=' : digits[three >> (18 - 6 * j) & 63]);
	}
}

static int add_series(void *ctx, uint32_t index, const struct series_label *labels, size_t cnt,
                      const struct buf *pprof)
{
	struct buf *body = ctx;

	buf_puts(body, index ? ",{\"labels\":{\"labels\":[" : "{\"labels\":{\"labels\":[");
	for (size_t i = 0; i < cnt; i++) {
		buf_puts(body, i ? ",{\"name\":" : "{\"name\":");
		text_json(body, labels[i].name, strlen(labels[i].name));
		buf_puts(body, ",\"value\":");
		text_json(body, labels[i].value, labels[i].len);
		buf_putc(body, '}');
	}
	buf_puts(body, "]},\"samples\":[{\"rawProfile\":\"");
	add_base64(body, buf_str(pprof), pprof->len);
	buf_puts(body, "\"}]}");
	return body->err;
}

static int parca_write(struct profile *profile, const struct export_options *options,
                       struct buf *body)
{
	int err;

	buf_puts(body, "{\"series\":[");
	err = series_each(profile, options, add_series, body);
	buf_puts(body, "]}");
	return err ? err : body->err;
}

const struct export_writer export_parca = {
	.name = "parca",
	.summary = "Parca's WriteRaw by its HTTP gateway, a series for each service and container",
	.path = "/api/profiles/writeraw",
	.content_type = "application/json",
	.retry_500 = true,
	.write = parca_write,
};
