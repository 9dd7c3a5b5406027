/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - rows of one store as ids of a profile, each read once. Of this room only. */
#ifndef PV_STORE_FETCH_H
#define PV_STORE_FETCH_H

#include "profile/profile.h"
#include "store/db.h"
#include "store/idmap.h"

struct fetch {
	struct db *db;
	struct profile *profile;
	struct idmap strings, frames, stacks, tracks;
	struct idmap processes; /* to `process_rows` */
	struct profile_track *process_rows;
	uint32_t process_cap;
	int64_t *chain; /* of a stack, from the leaf on */
	uint32_t *chain_frames;
	size_t chain_cap;
};

/* 0, -EUCLEAN: there is no such row, or it can't be; -ENOMEM. */
int fetch_stack(struct fetch *fetch, uint64_t row, uint32_t *stack);
int fetch_track(struct fetch *fetch, uint64_t row, uint32_t *track);
void fetch_free(struct fetch *fetch);

#endif
