/* SPDX-License-Identifier: Apache-2.0 */
/* summary.h - what a recording says at its end: where every tick went. */
#ifndef PV_CMD_SUMMARY_H
#define PV_CMD_SUMMARY_H

#include "profile/profile.h"
#include "util/buf.h"

/* Append the ledger as an aligned table, whole lines. The rows that are zero are left out. */
void summary_ledger(struct buf *out, const struct profile_meta *meta);
/* Tell the whole lines in @head, and the ledger below them, which is appended. */
void summary_say(struct buf *head, const struct profile_meta *meta);

#endif
