/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saving.h - a recording that goes into a store while it runs: what was stored is there whatever happens
 * to us later.
 */
#ifndef PV_CMD_SAVING_H
#define PV_CMD_SAVING_H

#include <stdint.h>

#include "cmd/owner.h"
#include "collect/session.h"
#include "out/out.h"
#include "store/store.h"

/* Listed with the formats; it has no writer. */
extern const struct out_format saving_format;

struct saving {
	struct store *store; /* NULL: not open */
	uint64_t start_ns;   /* CLOCK_MONOTONIC */
	uint64_t due_ns;     /* when the next part is to be stored */
	uint32_t flush_cnt;
	struct profile_meta head; /* title and so on; the strings are the caller's */
	struct profile_meta sum;  /* of all parts, stored or not */
	uint64_t sample_cnt;
};

/* 0, or negative errno and @what says why. saving_close() in either case. */
int saving_open(struct saving *saving, const char *path, const struct owner *owner, char *what,
                size_t what_len);
/* The recording begins now. @head: title, command, version, host. 0 or negative errno. */
int saving_begin(struct saving *saving, const struct profile_meta *head);
/*
 * Store a part if it is time: 1, 2, 4 and 8 seconds after the beginning, then every 10. 0 or negative errno
 * of the session; a store that can't be written has said so and is tried again with the next part.
 */
int saving_run(struct saving *saving, struct session *session);
/* Store the rest, after session__stop(). 0; -EIO: not everything was stored; negative errno. */
int saving_finish(struct saving *saving, struct session *session);
void saving_close(struct saving *saving);

#endif
