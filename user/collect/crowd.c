// SPDX-License-Identifier: Apache-2.0
#include "collect/crowd.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/hmap.h"

struct crowd {
	struct profile *profile;
	uint32_t labels[CROWD_LABEL_MAX]; /* strings of the profile */
	uint32_t label_cnt;
	struct hmap label_map;
	uint32_t alone_cnt;
	uint64_t cnt;
};

struct label_key {
	const struct crowd *crowd;
	const struct buf *text;
};

struct crowd *crowd__new(struct profile *profile)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	if (crowd)
		crowd->profile = profile;
	return crowd;
}

void crowd__free(struct crowd *crowd)
{
	if (!crowd)
		return;
	hmap_free(&crowd->label_map);
	free(crowd);
}

bool crowd__has_room(const struct crowd *crowd)
{
	return crowd->alone_cnt < CROWD_ALONE_MAX;
}

void crowd__count(struct crowd *crowd, bool alone)
{
	if (alone)
		crowd->alone_cnt++;
	else
		crowd->cnt++;
}

uint64_t crowd__cnt(const struct crowd *crowd)
{
	return crowd->cnt;
}

static bool label_eq(const void *ctx, uint32_t value)
{
	const struct label_key *key = ctx;
	const char *label;
	size_t len;

	label = profile__string_at(key->crowd->profile, key->crowd->labels[value], &len);
	return len == key->text->len && !memcmp(label, key->text->data, len);
}

/* The string of the profile that @text is, one of a bounded number. PROFILE_NONE: no memory. */
static uint32_t label_of(struct crowd *crowd, const struct buf *text)
{
	const struct label_key key = { crowd, text };
	uint64_t hash = hash_bytes(text->data, text->len, 0);
	uint32_t at = hmap_find(&crowd->label_map, hash, label_eq, &key), label;

	if (at != HMAP_NONE)
		return crowd->labels[at];
	if (crowd->label_cnt == CROWD_LABEL_MAX)
		return profile__string(crowd->profile, CROWD_OTHERS, strlen(CROWD_OTHERS));
	label = profile__string(crowd->profile, text->data, text->len);
	if (label == PROFILE_NONE || hmap_add(&crowd->label_map, hash, crowd->label_cnt))
		return PROFILE_NONE;
	crowd->labels[crowd->label_cnt++] = label;
	return label;
}

uint32_t crowd__track(struct crowd *crowd, const char *cmdline)
{
	struct profile_track track = { 0 };
	struct buf text = { 0 };

	buf_printf(&text, "%s (ended processes)", cmdline);
	track.process = text.err ? PROFILE_NONE : label_of(crowd, &text);
	buf_free(&text);
	track.thread = profile__string(crowd->profile, CROWD_THREADS, strlen(CROWD_THREADS));
	/* There is no pid that would keep them apart. */
	track.process_key = track.process;
	return profile__track(crowd->profile, &track);
}
