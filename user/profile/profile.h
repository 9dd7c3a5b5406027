/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - what was measured, free of processes, BPF and formats.
 *
 * Strings, frames, stacks and tracks are interned and known by dense u32 ids. A stack is a node of
 * a tree that grows from PROFILE_ROOT towards the leaf, so stacks share their rootward part. A
 * track is one thread of one process. Values are samples by (track, stack) and, if wanted, in time
 * order. One thread at a time; what a getter returns stays the profile's own.
 *
 * Ids and counts come back as PROFILE_NONE or -ENOMEM when there is no memory; nothing is lost of
 * what was there before.
 */
#ifndef PV_PROFILE_PROFILE_H
#define PV_PROFILE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#define PROFILE_NONE UINT32_MAX
#define PROFILE_ROOT 0 /* the empty stack */

enum profile_frame_kind {
	PROFILE_FRAME_PYTHON,
	PROFILE_FRAME_MARK, /* no function: "[unreadable]", "[truncated: 30 frames]", "[lost]" */
};

/* One line of one function. Strings are ids of this profile, UTF-8, never cut or escaped. */
struct profile_frame {
	uint32_t name;      /* qualified name where the interpreter has one */
	uint32_t file;      /* as the interpreter has it; the empty string: none */
	int32_t line;       /* 0: unknown or none */
	int32_t first_line; /* of the function */
	uint32_t kind;      /* enum profile_frame_kind */
};

struct profile_track {
	uint32_t pid;     /* 0: many processes that have ended, put together */
	uint32_t tid;     /* 0: all their threads */
	uint32_t process; /* string: the command line, arguments joined by spaces */
	uint32_t thread;  /* string: the thread's name */
	/* Tell a reused pid or tid apart; any numbers, 0 where it does not matter. */
	uint64_t process_key;
	uint64_t thread_key;
};

/*
 * What is known of a process beside its command line, by name: PROFILE_COMM and so on, and what rules
 * of the user's add. Of the tracks with the same pid and process_key.
 */
struct profile_label {
	uint64_t process_key;
	uint32_t pid;
	uint32_t name; /* strings */
	uint32_t value;
	uint32_t unused; /* 0 */
};

#define PROFILE_COMM      "comm"      /* the kernel's name of the process */
#define PROFILE_CGROUP    "cgroup"    /* its path in the unified hierarchy, else the first one's */
#define PROFILE_CONTAINER "container" /* id of the container, 64 hex digits for most runtimes */
#define PROFILE_PYTHON    "python"    /* "3.12" */

/* A row of the ledger: every tick is in exactly one row. */
struct profile_ledger_row {
	const char *name;    /* "RING_FULL" */
	const char *label;   /* "ring full" */
	const char *meaning; /* one sentence */
	uint64_t count;      /* ticks, or events where it is no outcome */
};

#define PROFILE_LEDGER_MAX 32

/* What, when, how. Strings belong to the caller and must outlive the profile. */
struct profile_meta {
	const char *
		title; /* what was profiled: a command line, "pids 12, 15", "all Python processes" */
	const char *command; /* pitviper's own command line */
	const char *version; /* pitviper's version */
	const char *host;    /* host name and kernel release */
	const char *pythons; /* "3.11.7, 3.13.0" */
	uint64_t start_unix_ns;
	uint64_t duration_ns;
	uint32_t rate_hz; /* ticks a second on each CPU */
	uint32_t cpu_cnt;
	uint64_t tick_cnt; /* all ticks; the sum of `outcomes` */
	uint32_t outcome_cnt;
	uint32_t event_cnt;
	struct profile_ledger_row outcomes[PROFILE_LEDGER_MAX];
	struct profile_ledger_row events[PROFILE_LEDGER_MAX];
};

struct profile_value {
	uint32_t track;
	uint32_t stack;
	uint64_t cnt; /* samples; each stands for 1e9 / rate_hz ns of CPU time */
};

struct profile_point {
	uint64_t time_ns; /* from the start of the recording */
	uint32_t track;
	uint32_t stack;
};

struct profile;

struct profile *profile__new(void); /* NULL and errno */
void profile__free(struct profile *profile);

uint32_t profile__string(struct profile *profile, const char *s, size_t len);
uint32_t profile__frame(struct profile *profile, const struct profile_frame *frame);
/* The stack that is @parent with @frame on its leaf side. */
uint32_t profile__stack(struct profile *profile, uint32_t parent, uint32_t frame);
uint32_t profile__track(struct profile *profile, const struct profile_track *track);
/* Count @cnt samples of @stack on @track. 0 or -ENOMEM. */
int profile__add(struct profile *profile, uint32_t track, uint32_t stack, uint64_t cnt);
/* Set a label of a process, in place of the one of that name. 0 or -ENOMEM. */
int profile__set_label(struct profile *profile, const struct profile_label *label);
/* Add one point to the time line (it does not count as a sample of its own). 0 or -ENOMEM. */
int profile__add_point(struct profile *profile, const struct profile_point *point);
/* Let go of the time line. */
void profile__drop_points(struct profile *profile);
void profile__set_meta(struct profile *profile, const struct profile_meta *meta);

const char *profile__string_at(const struct profile *profile, uint32_t id, size_t *len);
uint32_t profile__string_cnt(const struct profile *profile);
const struct profile_frame *profile__frame_at(const struct profile *profile, uint32_t id);
uint32_t profile__frame_cnt(const struct profile *profile);
/* Parent and leaf frame of a stack; PROFILE_ROOT has neither (PROFILE_NONE). */
uint32_t profile__stack_parent(const struct profile *profile, uint32_t id);
uint32_t profile__stack_frame(const struct profile *profile, uint32_t id);
uint32_t profile__stack_cnt(const struct profile *profile);
const struct profile_track *profile__track_at(const struct profile *profile, uint32_t id);
uint32_t profile__track_cnt(const struct profile *profile);
const struct profile_label *profile__labels(const struct profile *profile, size_t *cnt);
/* The value (a string) of the label @name of @track's process; PROFILE_NONE: it has none. */
uint32_t profile__label_of(const struct profile *profile, const struct profile_track *track,
                           uint32_t name);
/* The id of a string that is there; PROFILE_NONE: it is not. */
uint32_t profile__find_string(const struct profile *profile, const char *s, size_t len);
/* Values in no particular order, one for each (track, stack) that has samples. */
const struct profile_value *profile__values(const struct profile *profile, size_t *cnt);
/* Points by time, oldest first (sorted on the first call after an addition). */
const struct profile_point *profile__points(struct profile *profile, size_t *cnt);
uint64_t profile__sample_cnt(const struct profile *profile);
const struct profile_meta *profile__meta(const struct profile *profile);

#endif
