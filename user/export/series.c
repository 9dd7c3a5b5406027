// SPDX-License-Identifier: Apache-2.0
#include "export/series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out/formats.h"

int series_pprof(struct profile *profile, struct buf *out)
{
	static const struct out_view view = { 0 };
	char *data = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&data, &len);
	int err;

	if (!stream)
		return -ENOMEM;
	err = out_pprof.write(profile, &view, stream);
	if (fclose(stream) && !err)
		err = -ENOMEM;
	if (!err) {
		buf_add(out, data, len);
		err = out->err;
	}
	free(data);
	return err;
}

static size_t make_labels(const struct profile *profile, const struct group *group,
                          const struct export_options *options, struct series_label *labels)
{
	size_t cnt = 0;

	labels[cnt++] = (struct series_label){ "__name__", SERIES_NAME, strlen(SERIES_NAME) };
	labels[cnt++] = (struct series_label){ "host", options->host, strlen(options->host) };
	for (enum group_label i = 0; i < GROUP_LABELS; i++) {
		size_t len = 0;
		const char *value = groups_value(profile, group, i, &len);

		if (value)
			labels[cnt++] = (struct series_label){ group_names[i].label, value, len };
	}
	return cnt;
}

static int one_series(struct profile *profile, const struct export_options *options,
                      const struct groups *groups, uint32_t index, series_fn fn, void *ctx)
{
	struct series_label labels[SERIES_LABELS];
	size_t cnt = make_labels(profile, &groups->groups[index], options, labels);
	struct profile *part = groups_split(profile, groups, index, options->cmdlines);
	struct buf pprof = { 0 };
	int err = part ? series_pprof(part, &pprof) : -errno;

	profile__free(part);
	if (!err)
		err = fn(ctx, index, labels, cnt, &pprof);
	buf_free(&pprof);
	return err;
}

int series_each(struct profile *profile, const struct export_options *options, series_fn fn,
                void *ctx)
{
	struct groups groups;
	int err = groups_make(profile, &groups);

	for (uint32_t i = 0; i < groups.cnt && !err; i++)
		err = one_series(profile, options, &groups, i, fn, ctx);
	groups_free(&groups);
	return err;
}
