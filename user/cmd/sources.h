/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h - the stores that a report is drawn from. Errors have been said when a code comes back. */
#ifndef PV_CMD_SOURCES_H
#define PV_CMD_SOURCES_H

#include <stddef.h>
#include <stdint.h>

#include "cmd/exit.h"
#include "profile/select.h"
#include "store/store.h"

struct sources {
	struct store **stores;
	size_t cnt;
};

/* What was drawn; free with drawn_free(). */
struct drawn {
	struct store_query *query;
	struct profile *selected; /* NULL: all of the query's */
	struct profile *profile;
	struct store_info info;
};

/* sources_close() in either case. */
enum exit_code sources_open(struct sources *sources, const char *const *paths, size_t cnt);
void sources_close(struct sources *sources);
/* The first start and the last end of all of them. EXIT_NOTHING: they are empty. */
enum exit_code sources_range(const struct sources *sources, uint64_t *first_ns, uint64_t *last_ns);
/*
 * What they have between two times. @select: of which only this part; NULL: all. EXIT_NOTHING: nothing is
 * stored of that time. drawn_free() in either case.
 */
enum exit_code sources_draw(const struct sources *sources, uint64_t from_ns, uint64_t to_ns,
                            const struct select *select, struct drawn *drawn);
void drawn_free(struct drawn *drawn);

#endif
