/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - the tables of a store, and the steps from each version to the next.
 *
 * `PRAGMA application_id` is SCHEMA_APPLICATION_ID, `PRAGMA user_version` the version. Version 1:
 *
 *	run      one recording: start (ns since 1970), title, command, pitviper's version, host, pythons
 *	bucket   one flush: run, level (0 as it was appended, 1 rolled up to a minute, 2 to ten), start and
 *	         span (ns), rate (ticks a second on each CPU), CPUs, ticks
 *	sample   of a bucket, by kind (0: CPU time): how many, and the values as `data`, see below;
 *	         each sample stands for 1 / rate seconds
 *	point    of a bucket, where a time line was recorded: `data`, see below
 *	counter  a row of the ledger: name, label, meaning; event 1: no outcome of ticks
 *	ledger   of a bucket, by counter, what is not 0: the outcomes add up to the bucket's ticks
 *	string   interned text: any bytes, as a BLOB (`CAST(text AS TEXT)` to read it)
 *	frame    a line of a function: name and file (strings), line, first line, kind
 *	         (enum profile_frame_kind)
 *	stack    a frame and its caller's stack; parent 0: none. A parent has a smaller id
 *	process  a process generation: pid, key (its start, ns of CLOCK_BOOTTIME, and execs since), start
 *	         (ns since 1970), command line; pid 0: ended processes put together, the key their command
 *	         line's string
 *	thread   of a process: tid, key (start and interpreter), name
 *	label    of a process, by name: cgroup, container, python... (PROFILE_CGROUP and so on)
 *
 * `data` is a run of varints (LEB128). In `sample`, by thread, by stack within a thread, both ascending:
 *
 *	(thread - the last thread) (number of stacks) { (stack - the last stack) (samples) }...
 *
 * with the last one 0 in the beginning and for each thread's stacks anew; stack 0 has no frames. In
 * `point`, by time: (ns since the last point, the first since the bucket's start) (thread) (stack).
 */
#ifndef PV_STORE_SCHEMA_H
#define PV_STORE_SCHEMA_H

#include <stdint.h>

#include "store/db.h"

#define SCHEMA_APPLICATION_ID 0x50565052 /* "PVPR" */
#define SCHEMA_VERSION        1

/* Bring a file that is empty or of an older version to SCHEMA_VERSION, in one transaction. */
int schema_migrate(struct db *db);
/*
 * Is it a store of a version that we know, and is there nothing in it but tables and indexes? A view or
 * a trigger of someone else's would run in our name. 0, -EPROTO (*version tells), -EUCLEAN.
 */
int schema_check(struct db *db, int *version);
/* May it become one: is it such a store, of any version we know, or has it nothing in it? 0, -EPROTO. */
int schema_may_be(struct db *db, int *version);

#endif
