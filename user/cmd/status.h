/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - the line that shows a recording is alive, on a terminal only.
 *
 * One in a process; log messages make it go away and it comes back below them. One thread.
 */
#ifndef PV_CMD_STATUS_H
#define PV_CMD_STATUS_H

#include <stdint.h>

#include "collect/session.h"

/* Show the line from now on, if stderr is a terminal that can. @duration_ns: 0: no end is set. */
void status_begin(uint64_t duration_ns);
/* Draw it anew, unless that was done a moment ago. */
void status_draw(struct session *session);
/* Draw it again at the next call, whenever that is. */
void status_redraw(void);
/* Take it away for good. */
void status_end(void);

#endif
