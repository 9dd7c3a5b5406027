// SPDX-License-Identifier: Apache-2.0
#include "collect/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/family.h"
#include "collect/images.h"
#include "collect/recorder.h"
#include "kern/kern.h"
#include "kern/refusal.h"
#include "proc/labels.h"
#include "proc/process.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

/* The ring is drained this often if nothing wakes us before, in the beginning more often: nobody
 * wants to wait for the first sample.
 */
#define DRAIN_EVERY_MS 250
#define DRAIN_FIRST_MS 10
#define DRAIN_FIRST_NS NSEC_PER_SEC
/* One round takes no longer, however fast the ring fills: who called wants to be asked again. */
#define DRAIN_MAX_NS      (50 * NSEC_PER_MSEC)
#define DRAIN_ASK_CNT     64 /* records between two looks at the clock */
#define FOLLOW_EVERY_NS   NSEC_PER_SEC
#define FOLLOW_PATIENT_NS (5 * NSEC_PER_SEC)
/* At the end, how long walks that were put off are waited for. */
#define PENDING_WAIT_NS (100 * NSEC_PER_MSEC)
/* At the end of a slice, so that one that fills faster than we drain has an end. */
#define SLICE_ROUND_MAX 8
/* Images that are asked each time whether they still run: so many, and this part of all. */
#define SWEEP_CNT          64
#define SWEEP_PART         32
#define SWEEP_PATIENT_CNT  4
#define SWEEP_PATIENT_PART 64

/* All that is counted of a session, at one time. */
struct tally {
	uint64_t time_ns;      /* CLOCK_MONOTONIC */
	uint64_t time_unix_ns; /* CLOCK_REALTIME */
	uint64_t cnt[PV_COUNTER_CNT];
	uint64_t due_cnt; /* ticks there should have been */
	uint64_t full_cnt;
	uint64_t crowd_cnt;
	uint64_t refused_cnt;
	struct sym_stats sym;
};

struct session {
	struct kern *kern;
	struct images *images;
	struct recorder *recorder;
	struct labels *labels; /* NULL: not wanted */
	struct session_opts opts;
	pid_t *pids;
	uint32_t last_image; /* of the sample before: most often the same */
	bool stopped;
	bool more;             /* the round before left something to do */
	uint32_t round_cnt;    /* records of this round */
	uint64_t round_end_ns; /* when it shall end */
	uint64_t
		seen_ns; /* no record older than this is in the ring, but for the ones being made */
	uint64_t new_ns;
	uint64_t start_ns;
	uint64_t stop_ns;
	uint64_t first_sample_ns;
	uint64_t follow_ns;
	uint64_t sample_cnt;  /* taken from the ring */
	uint64_t refused_cnt; /* of these: a bound of ours was reached */
	uint64_t cpu_ns;      /* our own when the session began */
	uint64_t watch_ns;
	struct buf pythons;
	struct tally since; /* where the last slice ended */
	struct tally final; /* after session__stop() */
};

static const struct profile_ledger_row outcome_rows[] = {
#define ROW(row_name, row_label, row_meaning) \
	{ .name = #row_name, .label = row_label, .meaning = row_meaning },
	PV_TICK_OUTCOMES(ROW)
};
static const struct profile_ledger_row event_rows[] = { PV_EVENT_COUNTS(ROW) };
#undef ROW

struct session *session__new(const struct session_opts *opts, enum session_error *error, char *what,
                             size_t what_len)
{
	const struct kern_opts kern_opts = { .all = opts->all,
		                             .timed = opts->timed,
		                             .rate_hz = opts->rate_hz,
		                             .rate_max_hz = opts->rate_max_hz,
		                             .types = opts->types };
	struct session *session = calloc(1, sizeof(*session));
	int err;

	*error = SESSION_INTERNAL;
	snprintf(what, what_len, "out of memory");
	if (!session)
		return NULL;
	session->new_ns = clock_ns(CLOCK_MONOTONIC);
	session->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	session->last_image = IMAGE_NONE;
	session->opts = *opts;
	session->pids = calloc(opts->pid_cnt + 1, sizeof(*session->pids));
	if (opts->labels)
		session->labels = labels__new(opts->services, "");
	session->recorder = recorder__new(opts->points, session->labels);
	if (!session->pids || !session->recorder || (opts->labels && !session->labels))
		goto fail;
	if (opts->pid_cnt)
		memcpy(session->pids, opts->pids, opts->pid_cnt * sizeof(*opts->pids));
	session->kern = kern__open(&kern_opts, what, what_len);
	if (!session->kern) {
		err = errno;
		*error = err == EPERM    ? SESSION_NOT_PERMITTED
		         : err == ENOMEM ? SESSION_INTERNAL
		         : err == EINVAL ? SESSION_BAD_TYPES
		                         : SESSION_NO_BPF;
		goto fail;
	}
	session->images = images__new(session->kern);
	if (!session->images)
		goto fail;
	if (opts->patient)
		images__set_patient(session->images);
	*error = SESSION_OK;
	return session;
fail:
	session__free(session);
	return NULL;
}

void session__free(struct session *session)
{
	if (!session)
		return;
	recorder__free(session->recorder, session->images);
	labels__free(session->labels);
	images__free(session->images);
	kern__free(session->kern);
	buf_free(&session->pythons);
	free(session->pids);
	free(session);
}

struct find_pid {
	uint32_t pid;
	struct pv_listed listed;
	bool found;
};

static int find_pid(void *ctx, const struct pv_listed *listed)
{
	struct find_pid *find = ctx;

	if (listed->pid != find->pid)
		return 0;
	find->listed = *listed;
	find->found = true;
	return 1;
}

/* Make @pid a target. -ESRCH: no such process. */
static int add_target(struct session *session, pid_t pid, uint32_t *index)
{
	struct find_pid find = { .pid = (uint32_t)pid };
	struct image *image;
	int err = kern__each_process(session->kern, find_pid, &find);

	if (err < 0)
		return err;
	if (!find.found)
		return process_exists(pid) ? -EACCES : -ESRCH;
	*index = images__get(session->images, &find.listed.id, find.pid);
	if (*index == IMAGE_NONE)
		return -ENOMEM;
	images__note_exe(session->images, *index, &find.listed.exe);
	image = images__at(session->images, *index);
	image->flags = PV_PROC_WANTED | (session->opts.children ? PV_PROC_CHILDREN : 0);
	image->target = true;
	return 0;
}

int session__add_pid(struct session *session, pid_t pid)
{
	struct pv_proc proc = { .state = PV_PROC_UNDECIDED };
	uint32_t index;
	int err = add_target(session, pid, &index);

	if (err)
		return err;
	/* It is about to exec: what it is by then will be looked at then. */
	proc.id = images__at(session->images, index)->id;
	proc.flags = images__at(session->images, index)->flags;
	return kern__set_proc(session->kern, &proc);
}

static enum session_error start_pid(struct session *session, pid_t pid, char *what, size_t what_len)
{
	struct refusal refusal = { 0 };
	char reason[192] = "";
	uint32_t index;
	int err, tries = 0;

	/* It may exec meanwhile. */
	do {
		err = add_target(session, pid, &index);
		if (!err)
			err = images__look(session->images, index, reason, sizeof(reason));
	} while (err == -ESTALE && ++tries < 10);
	/* The list of processes shows it, but /proc may not. */
	if (err == -ESRCH && process_exists(pid) && refusal_hidepid(&refusal))
		err = -EACCES;
	switch (err) {
	case 0:
		break;
	case -ESRCH:
		snprintf(what, what_len,
		         "no process with pid %d; 'pitviper ps' lists the Python processes", pid);
		return SESSION_NO_PROCESS;
	case -EACCES:
	case -EPERM:
		refusal_explain_reading(pid, what, what_len);
		return SESSION_NOT_PERMITTED;
	default:
		snprintf(what, what_len, "process %d: %s", pid, strerror(-err));
		return SESSION_INTERNAL;
	}
	switch (images__at(session->images, index)->state) {
	case PV_PROC_NOT_PYTHON:
		if (session->opts.children)
			return SESSION_OK; /* a shell whose children are wanted */
		snprintf(what, what_len,
		         "process %d is not a Python process; 'pitviper ps' lists those that are, "
		         "-s "
		         "records the Python children of one that is not",
		         pid);
		return SESSION_NOT_PYTHON;
	case PV_PROC_UNSUPPORTED:
		snprintf(what, what_len, "process %d: %s", pid, reason);
		return SESSION_UNSUPPORTED;
	}
	return SESSION_OK;
}

static int scan_one(void *ctx, const struct pv_listed *listed)
{
	struct session *session = ctx;
	uint32_t index = images__get(session->images, &listed->id, listed->pid);

	if (index == IMAGE_NONE)
		return -ENOMEM;
	images__note_exe(session->images, index, &listed->exe);
	images__look(session->images, index, NULL, 0);
	return 0;
}

enum session_error session__start(struct session *session, char *what, size_t what_len)
{
	enum session_error error;
	int err;

	/* fork, exec and exit are followed since session__new(): nothing falls between. */
	for (size_t i = 0; i < session->opts.pid_cnt; i++) {
		error = start_pid(session, session->pids[i], what, what_len);
		if (error)
			return error;
	}
	if (session->opts.children && !session->opts.all) {
		err = family_add(session->kern, session->images, session->pids,
		                 session->opts.pid_cnt);
		if (err) {
			snprintf(what, what_len, "cannot list processes: %s", strerror(-err));
			return SESSION_INTERNAL;
		}
	}
	if (session->opts.all) {
		err = kern__each_process(session->kern, scan_one, session);
		if (err) {
			snprintf(what, what_len, "cannot list processes: %s", strerror(-err));
			return SESSION_INTERNAL;
		}
	}
	session->start_ns = clock_ns(CLOCK_MONOTONIC);
	session->since.time_ns = session->start_ns;
	session->since.time_unix_ns = clock_ns(CLOCK_REALTIME);
	err = kern__start_ticks(session->kern, what, what_len);
	if (!err)
		return SESSION_OK;
	return err == -EPERM || err == -EACCES ? SESSION_NOT_PERMITTED : SESSION_NO_BPF;
}

/* Around what is not done for a sample: its CPU time is told apart. */
static uint64_t watch_begin(const struct session *session)
{
	return session->opts.timed ? clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
}

static void watch_end(struct session *session, uint64_t begin_ns)
{
	if (session->opts.timed)
		session->watch_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
}

static uint32_t image_of(struct session *session, const struct pv_event_hdr *event)
{
	const struct pv_proc_id *id = &event->proc;

	if (session->last_image != IMAGE_NONE &&
	    !memcmp(&images__at(session->images, session->last_image)->id, id, sizeof(*id)))
		return session->last_image;
	session->last_image = images__get(session->images, id, event->pid);
	return session->last_image;
}

static void on_sample(struct session *session, const struct pv_sample *sample, size_t size)
{
	uint32_t image = image_of(session, &sample->hdr);
	uint64_t time_ns = sample->hdr.time_ns;

	session->sample_cnt++;
	if (!session->first_sample_ns)
		session->first_sample_ns = clock_ns(CLOCK_MONOTONIC);
	time_ns = time_ns > session->since.time_ns ? time_ns - session->since.time_ns : 0;
	if (image == IMAGE_NONE ||
	    recorder__sample(session->recorder, session->images, image, sample, size, time_ns))
		session->refused_cnt++;
}

/* The image that a process runs since its exec; IMAGE_NONE: no memory, bound. */
static uint32_t image_after_exec(struct session *session, const struct pv_event_hdr *event)
{
	struct pv_proc_id before = event->proc;
	uint32_t index = images__get(session->images, &event->proc, event->pid), old;

	before.exec_id--;
	old = images__find(session->images, &before);
	if (index != IMAGE_NONE && old != IMAGE_NONE)
		images__replaced(session->images, old, index);
	return index;
}

/* Samples of @id's image were lost. */
static void on_lost(struct session *session, const struct pv_proc_id *id, uint32_t pid,
                    uint32_t cnt)
{
	uint32_t index = cnt ? images__get(session->images, id, pid) : IMAGE_NONE;

	if (index != IMAGE_NONE)
		recorder__lost(session->recorder, session->images, index, cnt);
}

static void on_exec(struct session *session, const struct pv_exec *event, size_t size)
{
	struct pv_proc_id before = event->hdr.proc;
	struct buf cmdline = { 0 };
	uint32_t index;

	before.exec_id--;
	on_lost(session, &before, event->hdr.pid, event->lost_cnt);
	index = image_after_exec(session, &event->hdr);

	if (index == IMAGE_NONE || !images__at(session->images, index)->alive)
		return;
	images__note_exe(session->images, index, &event->exe);
	if (event->cmdline_len && size - sizeof(*event) >= event->cmdline_len)
		process_cmdline_join(event->cmdline, event->cmdline_len, event->cmdline_cut,
		                     &cmdline);
	if (event->state != PV_PROC_UNDECIDED) {
		images__recognised(session->images, index, event->state, cmdline.data,
		                   event->hdr.time_ns);
		return;
	}
	buf_free(&cmdline);
	images__look(session->images, index, NULL, 0);
}

/*
 * An exec changes the identity some time before its tracepoint: a tick in between reports the new image
 * first. Also the way back when an event was lost, or the entry crossed by an update of ours.
 */
static void on_unknown(struct session *session, const struct pv_exec *event)
{
	uint32_t index = images__find(session->images, &event->hdr.proc);

	if (index != IMAGE_NONE) {
		images__asked(session->images, index);
		return;
	}
	index = image_after_exec(session, &event->hdr);
	if (index == IMAGE_NONE)
		return;
	images__note_exe(session->images, index, &event->exe);
	images__look(session->images, index, NULL, 0);
}

static void on_end(struct session *session, const struct pv_lifecycle *event)
{
	uint32_t index;

	on_lost(session, &event->hdr.proc, event->hdr.pid, event->lost_cnt);
	index = images__find(session->images, &event->hdr.proc);

	if (index != IMAGE_NONE)
		images__gone(session->images, index);
}

static void on_symbol(struct session *session, const struct pv_symbol *symbol, size_t size)
{
	uint32_t index = image_of(session, &symbol->hdr);

	if (index != IMAGE_NONE)
		recorder__symbol(session->recorder, session->images, index, symbol, size);
}

static void on_process(struct session *session, const struct pv_event_hdr *event, size_t size)
{
	if (event->type == PV_EVENT_EXEC && size >= sizeof(struct pv_exec))
		on_exec(session, (const struct pv_exec *)event, size);
	else if (event->type == PV_EVENT_UNKNOWN && size >= sizeof(struct pv_exec))
		on_unknown(session, (const struct pv_exec *)event);
	else if (size < sizeof(struct pv_lifecycle))
		return;
	else if (event->type == PV_EVENT_FORK)
		images__forked(session->images, &event->proc, event->pid,
		               &((const struct pv_lifecycle *)event)->parent);
	else if (event->type == PV_EVENT_EXIT)
		on_end(session, (const struct pv_lifecycle *)event);
}

static int on_event(void *ctx, const struct pv_event_hdr *event, size_t size)
{
	struct session *session = ctx;
	uint64_t begin_ns;

	if (event->time_ns > session->seen_ns)
		session->seen_ns = event->time_ns;
	if (event->type == PV_EVENT_SAMPLE) {
		on_sample(session, (const struct pv_sample *)event, size);
	} else if (event->type == PV_EVENT_SYMBOL) {
		on_symbol(session, (const struct pv_symbol *)event, size);
	} else {
		begin_ns = watch_begin(session);
		on_process(session, event, size);
		watch_end(session, begin_ns);
	}
	if (++session->round_cnt % DRAIN_ASK_CNT == 0)
		session->more = clock_ns(CLOCK_MONOTONIC) >= session->round_end_ns;
	return session->more ? -ETIME : 0;
}

/* One round; session->more says whether it was cut short. */
static int drain(struct session *session)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), begin_ns;
	int err;

	session->more = false;
	session->round_cnt = 0;
	session->round_end_ns = now_ns + DRAIN_MAX_NS;
	err = kern__drain(session->kern, on_event, session);
	if (err < 0 && err != -ETIME)
		return err;
	if (!session->more && now_ns > session->seen_ns)
		session->seen_ns = now_ns;
	begin_ns = watch_begin(session);
	recorder__complete(session->recorder, session->images, now_ns, false);
	err = recorder__flush(session->recorder, session->images, session->seen_ns);
	watch_end(session, begin_ns);
	if (err > 0)
		session->more = true;
	return err < 0 ? err : 0;
}

static int drain_within_ms(const struct session *session, uint64_t now_ns)
{
	if (session->more)
		return 0;
	if (!session->first_sample_ns && now_ns - session->start_ns < DRAIN_FIRST_NS)
		return DRAIN_FIRST_MS;
	if (!session->opts.patient)
		return DRAIN_EVERY_MS;
	/* Whatever else can wait is done on the full second too: one awakening for all. */
	return (int)((NSEC_PER_SEC - now_ns % NSEC_PER_SEC) / NSEC_PER_MSEC) + 1;
}

static uint32_t sweep_cnt(const struct session *session)
{
	uint32_t cnt = images__alive_cnt(session->images);

	return session->opts.patient ? SWEEP_PATIENT_CNT + cnt / SWEEP_PATIENT_PART
	                             : SWEEP_CNT + cnt / SWEEP_PART;
}

int session__run(struct session *session, int timeout_ms, int wake_fd)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), begin_ns = watch_begin(session), look_ns;
	struct pollfd fds[] = {
		{ .fd = kern__wake_fd(session->kern), .events = POLLIN },
		{ .fd = wake_fd, .events = POLLIN },
	};
	int err;

	if (timeout_ms < 0 || timeout_ms > drain_within_ms(session, now_ns))
		timeout_ms = drain_within_ms(session, now_ns);
	look_ns = images__look_due(session->images, now_ns);
	watch_end(session, begin_ns);
	if (look_ns / NSEC_PER_MSEC < (uint64_t)timeout_ms)
		timeout_ms = (int)(look_ns / NSEC_PER_MSEC) + 1;
	if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	err = drain(session);
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (!err && now_ns >= session->follow_ns) {
		session->follow_ns =
			now_ns + (session->opts.patient ? FOLLOW_PATIENT_NS : FOLLOW_EVERY_NS);
		begin_ns = watch_begin(session);
		images__sweep(session->images, sweep_cnt(session));
		err = kern__follow_cpus(session->kern);
		watch_end(session, begin_ns);
	}
	return err;
}

/*
 * Does some thread still wait for pages that its last tick wanted? It is given a moment: until it runs
 * again, which may be never.
 */
static bool wait_for_pending(struct session *session)
{
	uint64_t cnt[PV_COUNTER_CNT];

	if (clock_ns(CLOCK_MONOTONIC) - session->stop_ns > PENDING_WAIT_NS ||
	    kern__counters(session->kern, cnt, NULL) || !cnt[PV_CNT_PENDING])
		return false;
	poll(NULL, 0, 1);
	return true;
}

/* Of those that live the entry tells what was lost; an event did of the others. */
static int charge_living(struct session *session)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < images__alive_cnt(session->images); i++) {
		uint32_t index = images__alive(session->images, i);
		const struct pv_proc_id *id = &images__at(session->images, index)->id;
		struct pv_proc proc;

		if (!kern__get_proc(session->kern, id->tgid, &proc) &&
		    !memcmp(&proc.id, id, sizeof(*id)))
			err = recorder__lost(session->recorder, session->images, index,
			                     proc.lost_cnt);
	}
	return err;
}

/* Count up, but for due_cnt. 0 or negative errno. */
static void take_own_tally(const struct session *session, struct tally *tally)
{
	const struct recorder_stats stats = recorder__stats(session->recorder);

	tally->full_cnt = stats.full_cnt;
	tally->crowd_cnt = stats.crowd_cnt;
	tally->refused_cnt = session->refused_cnt;
	tally->sym = *stats.sym;
}

static int take_tally(struct session *session, uint64_t time_ns, struct tally *tally)
{
	tally->time_ns = time_ns;
	tally->time_unix_ns = clock_ns(CLOCK_REALTIME);
	take_own_tally(session, tally);
	return kern__counters(session->kern, tally->cnt, NULL);
}

int session__stop(struct session *session)
{
	int err;

	if (session->stopped)
		return 0;
	session->stopped = true;
	kern__stop_ticks(session->kern);
	session->stop_ns = clock_ns(CLOCK_MONOTONIC);
	session->final.due_cnt = kern__due_cnt(session->kern);
	/* No tick fills the ring any more; what ticks have put off may. */
	do {
		err = drain(session);
	} while (!err && (session->more || wait_for_pending(session)));
	kern__close_deferred(session->kern);
	do {
		err = err ? err : drain(session);
	} while (!err && session->more);
	err = err ? err : charge_living(session);
	recorder__complete(session->recorder, session->images, session->stop_ns, true);
	return err ? err : take_tally(session, session->stop_ns, &session->final);
}

/* What user space has to add to the ledger; no outcomes of ticks. */
static void fill_own_rows(const struct tally *from, const struct tally *to,
                          struct profile_meta *meta)
{
	uint64_t due_cnt = to->due_cnt - from->due_cnt;
	uint64_t missed = due_cnt > meta->tick_cnt ? due_cnt - meta->tick_cnt : 0;
	const struct profile_ledger_row rows[] = {
		{ "NOT_DELIVERED", "ticks not delivered",
		  "the kernel merged late timer expirations into one, or throttled the timer",
		  missed },
		{ "REFUSED", "samples refused", "a bound of the collector was reached",
		  to->refused_cnt - from->refused_cnt + to->full_cnt - from->full_cnt },
		{ "SYMBOL_MISSING", "code objects without a name",
		  "the process was gone before they could be read",
		  (to->sym.missing > from->sym.missing ? to->sym.missing - from->sym.missing : 0) +
		          to->sym.refused - from->sym.refused },
		{ "SYMBOL_STALE", "code objects replaced", "freed before their names could be read",
		  to->sym.stale - from->sym.stale },
		{ "PROCESSES_TOGETHER", "ended processes put together",
		  "too many to be shown one by one: they are shown by command line",
		  to->crowd_cnt - from->crowd_cnt },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		meta->events[meta->event_cnt++] = rows[i];
}

/* The ledger of what lies between two tallies. */
static void fill_meta(struct session *session, const struct tally *from, const struct tally *to,
                      struct profile_meta *meta)
{
	meta->start_unix_ns = from->time_unix_ns;
	meta->duration_ns = to->time_ns - from->time_ns;
	meta->rate_hz = session->opts.rate_hz;
	meta->cpu_cnt = kern__cpu_cnt(session->kern);
	meta->tick_cnt = to->cnt[PV_CNT_TICKS] - from->cnt[PV_CNT_TICKS];
	meta->pythons = session__pythons(session);
	meta->outcome_cnt = PV_TICK_OUTCOME_CNT;
	for (uint32_t i = 0; i < meta->outcome_cnt; i++) {
		meta->outcomes[i] = outcome_rows[i];
		meta->outcomes[i].count = to->cnt[i] - from->cnt[i];
	}
	meta->event_cnt = 0;
	for (size_t i = 0; i < sizeof(event_rows) / sizeof(*event_rows); i++) {
		uint32_t at = PV_CNT_TICKS + 1 + (uint32_t)i;
		struct profile_ledger_row *row = &meta->events[meta->event_cnt++];

		*row = event_rows[i];
		row->count = to->cnt[at] - from->cnt[at];
	}
	fill_own_rows(from, to, meta);
}

/*
 * While ticks run, some have been counted as ticks and not yet under their outcome, and some wait for
 * pages: those are left to the next slice.
 */
static void leave_unfinished(struct tally *tally)
{
	tally->cnt[PV_CNT_PENDING] = 0;
	tally->cnt[PV_CNT_TICKS] = 0;
	for (uint32_t i = 0; i < PV_TICK_OUTCOME_CNT; i++)
		tally->cnt[PV_CNT_TICKS] += tally->cnt[i];
}

struct profile *session__slice(struct session *session, uint32_t rate_hz, struct profile_meta *meta)
{
	struct tally tally = { 0 };
	struct profile *profile = NULL;
	int err, round_cnt = 0;

	/* First the rate: no tick at the new one comes before all at the old ones are drained. */
	if (rate_hz && rate_hz != session->opts.rate_hz)
		kern__set_rate(session->kern, rate_hz);
	/* All periods of the old rate: what is left to the next slice is taken for such of the new one. */
	tally.due_cnt = kern__due_cnt(session->kern);
	err = take_tally(session, clock_ns(CLOCK_MONOTONIC), &tally);
	do {
		err = err ? err : drain(session);
	} while (!err && session->more && ++round_cnt < SLICE_ROUND_MAX);
	if (!err && tally.cnt[PV_CNT_RING_FULL] != session->since.cnt[PV_CNT_RING_FULL])
		err = charge_living(session);
	if (!err)
		profile = recorder__slice(session->recorder, session->images);
	else
		errno = -err;
	if (profile) {
		leave_unfinished(&tally);
		fill_meta(session, &session->since, &tally, meta);
		session->since = tally;
	}
	if (rate_hz)
		session->opts.rate_hz = rate_hz;
	return profile;
}

uint64_t session__slice_start(const struct session *session)
{
	return session->since.time_unix_ns;
}

struct profile *session__profile(struct session *session, struct profile_meta *meta)
{
	struct profile *profile = recorder__finish(session->recorder, session->images,
	                                           session->final.cnt[PV_CNT_RING_FULL]);

	if (profile) {
		/* What ended in the last second was put together only now. */
		take_own_tally(session, &session->final);
		fill_meta(session, &session->since, &session->final, meta);
	}
	return profile;
}

void session__status(struct session *session, struct session_status *status)
{
	uint64_t cnt[PV_COUNTER_CNT] = { 0 };
	uint64_t now_ns = session->stop_ns ? session->stop_ns : clock_ns(CLOCK_MONOTONIC);

	*status = (struct session_status){ 0 };
	kern__counters(session->kern, cnt, &status->spent_ns);
	status->elapsed_ns = session->start_ns ? now_ns - session->start_ns : 0;
	status->tick_cnt = cnt[PV_CNT_TICKS];
	status->cpu_cnt = kern__cpu_cnt(session->kern);
	status->sample_cnt = session->sample_cnt;
	status->lost_cnt = cnt[PV_CNT_RING_FULL];
	status->watch_ns = session->watch_ns;
	status->tight = recorder__is_tight(session->recorder);
	status->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - session->cpu_ns;
	if (session->first_sample_ns)
		status->first_sample_ns = session->first_sample_ns - session->new_ns;
	for (uint32_t i = 0; i < images__alive_cnt(session->images); i++) {
		const struct image *image =
			images__at(session->images, images__alive(session->images, i));

		if (image->state == PV_PROC_PYTHON)
			status->process_cnt++;
		if (image->target)
			status->target_cnt++;
	}
}

uint64_t session__lost_cnt(const struct session *session)
{
	return session->final.cnt[PV_CNT_RING_FULL];
}

uint32_t session__count_pythons(const struct session *session, struct session_python *pythons,
                                uint32_t max)
{
	uint32_t cnt = 0, at;

	for (uint32_t i = 0; i < images__alive_cnt(session->images); i++) {
		const struct image *image =
			images__at(session->images, images__alive(session->images, i));

		if (image->state != PV_PROC_PYTHON)
			continue;
		for (at = 0; at < cnt && pythons[at].version != image->version; at++)
			;
		if (at == max)
			continue;
		if (at == cnt)
			pythons[cnt++] = (struct session_python){ .version = image->version };
		pythons[at].cnt++;
	}
	return cnt;
}

const char *session__pythons(struct session *session)
{
	uint16_t version;

	buf_clear(&session->pythons);
	for (uint32_t i = 0; (version = images__version(session->images, i)); i++)
		buf_printf(&session->pythons, "%s%u.%u", i ? ", " : "", version >> 8,
		           version & 0xff);
	return buf_str(&session->pythons);
}
