/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - requests that wait on disk until an engine takes them: a folder with a file for each, in
 * order, at most so many bytes; the oldest goes first when there is no room.
 *
 * The place in the store up to which samples have become requests (the cursor) is kept beside them, and
 * moves in the same step in which a request comes in: after a kill or a power cut each sample is in the
 * queue or still to be taken from the store, never both. A file that is damaged is taken away and
 * counted. One thread; one process, which holds a lock.
 */
#ifndef PV_EXPORT_QUEUE_H
#define PV_EXPORT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/* How far the store has been read: a bucket, and its start, to tell whether it is the same store. */
struct queue_cursor {
	int64_t bucket;
	uint64_t start_ns;
};

struct queue_stats {
	uint64_t items;
	uint64_t bytes;
	uint64_t dropped_items; /* for want of room, since it was opened */
	uint64_t dropped_samples;
	uint64_t damaged_items;
};

struct queue;

/*
 * Open the folder @dir, made if it is not there. NULL and errno, and @what in words: EBUSY another
 * process has it.
 */
struct queue *queue__open(const char *dir, uint64_t bytes_max, char *what, size_t size);
void queue__close(struct queue *queue);

/* false: there is none yet. */
bool queue__cursor(const struct queue *queue, struct queue_cursor *cursor);
/* Move the cursor without a request. 0 or negative errno. */
int queue__skip(struct queue *queue, const struct queue_cursor *cursor);
/*
 * Append a request of @samples and move the cursor. 0; -EFBIG it alone is too large; or another
 * negative errno: nothing has changed.
 */
int queue__put(struct queue *queue, const struct queue_cursor *cursor, uint64_t samples,
               const void *body, size_t len);
/* The oldest request, appended to @body. 1; 0: there is none; negative errno. */
int queue__first(struct queue *queue, uint64_t *samples, struct buf *body);
/* Take the oldest away: it was taken, or never will be. 0 or negative errno. */
int queue__remove(struct queue *queue);
void queue__stats(const struct queue *queue, struct queue_stats *stats);

#endif
