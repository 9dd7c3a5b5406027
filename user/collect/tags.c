// SPDX-License-Identifier: Apache-2.0
#include "collect/tags.h"

#include <errno.h>
#include <string.h>

static int take(void *ctx, const char *name, const char *value, size_t len)
{
	struct buf *text = ctx;

	/* A path has no zero byte; a name that has one is cut there. */
	buf_add(text, name, strlen(name) + 1);
	buf_add(text, value, strnlen(value, len));
	buf_putc(text, '\0');
	return text->err;
}

int tags_read(struct tags *tags, struct labels *labels, pid_t pid)
{
	int err;

	buf_clear(&tags->text);
	err = labels__read(labels, pid, take, &tags->text);
	return err == -ENOMEM ? err : tags->text.err;
}

int tags_put(const char *name, const char *value, const struct profile_track *track,
             struct profile *profile)
{
	struct profile_label label = {
		.process_key = track->process_key,
		.pid = track->pid,
	};

	if (!*value)
		return 0;
	label.name = profile__string(profile, name, strlen(name));
	label.value = profile__string(profile, value, strlen(value));
	return profile__set_label(profile, &label);
}

int tags_profile(const struct tags *tags, const struct profile_track *track,
                 struct profile *profile)
{
	const char *at = buf_str(&tags->text), *end = at + tags->text.len;
	int err = 0;

	while (!err && at < end) {
		const char *value = at + strlen(at) + 1;

		err = tags_put(at, value, track, profile);
		at = value + strlen(value) + 1;
	}
	return err;
}

void tags_free(struct tags *tags)
{
	buf_free(&tags->text);
}
