// SPDX-License-Identifier: Apache-2.0
#include "agent/render.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out/out.h"
#include "store/store.h"
#include "util/clock.h"

static const struct {
	const char *ending;
	const char *type;
} types[] = {
	{ ".svg", "image/svg+xml" },
	{ ".html", "text/html; charset=utf-8" },
	{ ".json", "application/json" },
	{ ".gz", "application/octet-stream" },
};

static const char *type_of(const char *extension)
{
	size_t len = strlen(extension);

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		size_t ending = strlen(types[i].ending);

		if (len >= ending && !strcmp(extension + len - ending, types[i].ending))
			return types[i].type;
	}
	return "text/plain; charset=utf-8";
}

/* A stream into file->body that fails where that is full. */
static ssize_t body_write(void *cookie, const char *data, size_t len)
{
	struct render_file *file = cookie;

	if (len > file->max_bytes - file->body.len) {
		errno = EFBIG;
		return -1;
	}
	buf_add(&file->body, data, len);
	if (!file->body.err)
		return (ssize_t)len;
	errno = ENOMEM;
	return -1;
}

static int write_profile(const struct out_format *format, struct profile *profile,
                         struct render_file *file)
{
	const struct out_view view = { .processes = true };
	const cookie_io_functions_t io = { .write = body_write };
	FILE *stream = fopencookie(file, "w", io);
	int err;

	if (!stream)
		return -ENOMEM;
	err = format->write(profile, &view, stream);
	if (fclose(stream) && !err)
		err = -errno;
	return file->body.err ? file->body.err : err;
}

int render_range(const char *path, uint64_t from_ns, uint64_t to_ns, const char *name,
                 struct render_file *file)
{
	const struct out_format *format = name ? out_format_by_name(name) : out_formats[0];
	struct store *store = NULL;
	struct store_query *query = NULL;
	struct store_info info;
	struct profile *profile;
	int err = -EINVAL;

	file->what[0] = '\0';
	if (!format)
		return err;
	store = store__open_beside(path, file->what, sizeof(file->what));
	if (store)
		query = store_query__new(from_ns, to_ns);
	err = query ? store_query__add(query, store) : -errno;
	if (err)
		goto out;
	store_query__info(query, &info);
	err = -ENODATA;
	if (!info.bucket_cnt)
		goto out;
	profile = store_query__profile(query);
	err = profile ? write_profile(format, profile, file) : -errno;
	file->type = type_of(format->extension);
	snprintf(file->name, sizeof(file->name), "pitviper%s", format->extension);
out:
	store_query__free(query);
	store__close(store);
	return err;
}

bool render_span(const char *text, uint64_t *span_ns)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || !number || number > 1000000)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit))
			continue;
		*span_ns = number * units[i].seconds * NSEC_PER_SEC;
		return true;
	}
	return false;
}
