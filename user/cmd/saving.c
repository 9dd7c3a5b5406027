// SPDX-License-Identifier: Apache-2.0
#include "cmd/saving.h"

#include <errno.h>

#include "util/clock.h"

#define EARLY_CNT      4 /* parts that are stored at twice the time of the one before */
#define FLUSH_EVERY_NS (10 * NSEC_PER_SEC)

const struct out_format saving_format = {
	.name = "pv",
	.extension = STORE_EXTENSION,
	.summary = "everything, stored while it runs, for pitviper report",
	.next_step = "pitviper report draws it in any format",
	.wants_points = true,
};

int saving_open(struct saving *saving, const char *path, const struct owner *owner, char *what,
                size_t what_len)
{
	const struct store_opts opts = {
		.uid = owner->uid,
		.gid = owner->gid,
		.mode = 0600,
		.single = true,
	};

	*saving = (struct saving){ .store = store__open(path, &opts, what, what_len) };
	return saving->store ? 0 : -errno;
}

int saving_begin(struct saving *saving, const struct profile_meta *head)
{
	saving->head = *head;
	saving->start_ns = clock_ns(CLOCK_MONOTONIC);
	saving->due_ns = saving->start_ns + NSEC_PER_SEC;
	saving->head.start_unix_ns = clock_ns(CLOCK_REALTIME);
	return store__begin(saving->store, &saving->head);
}

static void add_up(struct saving *saving, const struct profile *profile)
{
	const struct profile_meta *meta = profile__meta(profile);
	struct profile_meta before = saving->sum;

	saving->sum = *meta;
	saving->sample_cnt += profile__sample_cnt(profile);
	if (!saving->flush_cnt)
		return;
	saving->sum.start_unix_ns = before.start_unix_ns;
	saving->sum.duration_ns += before.duration_ns;
	saving->sum.tick_cnt += before.tick_cnt;
	/* All parts have the same rows. */
	for (uint32_t i = 0; i < meta->outcome_cnt; i++)
		saving->sum.outcomes[i].count += before.outcomes[i].count;
	for (uint32_t i = 0; i < meta->event_cnt; i++)
		saving->sum.events[i].count += before.events[i].count;
}

/* Takes @profile. */
static int put(struct saving *saving, struct profile *profile, const struct profile_meta *meta)
{
	int err;

	profile__set_meta(profile, meta);
	add_up(saving, profile);
	saving->flush_cnt++;
	err = store__append(saving->store, profile);
	profile__free(profile);
	return err;
}

int saving_run(struct saving *saving, struct session *session)
{
	struct profile_meta meta = saving->head;
	struct profile *profile;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (now_ns < saving->due_ns)
		return 0;
	profile = session__slice(session, 0, &meta);
	if (!profile)
		return -errno;
	put(saving, profile, &meta);
	saving->due_ns += saving->flush_cnt < EARLY_CNT ? NSEC_PER_SEC << (saving->flush_cnt - 1)
	                                                : FLUSH_EVERY_NS;
	/* After a suspension there is nothing to be made up for. */
	if (saving->due_ns < now_ns)
		saving->due_ns = now_ns + FLUSH_EVERY_NS;
	return 0;
}

int saving_finish(struct saving *saving, struct session *session)
{
	struct profile_meta meta = saving->head;
	struct profile *profile = session__profile(session, &meta);
	struct store_stats stats;
	int err;

	if (!profile)
		return -errno;
	err = put(saving, profile, &meta);
	store__stats(saving->store, &stats);
	return err ? err : stats.dropped_cnt ? -EIO : 0;
}

void saving_close(struct saving *saving)
{
	store__close(saving->store);
	*saving = (struct saving){ 0 };
}
