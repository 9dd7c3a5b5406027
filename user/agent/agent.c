// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/budget.h"
#include "agent/cost.h"
#include "agent/exports.h"
#include "agent/pages.h"
#include "agent/lockdown.h"
#include "agent/notify.h"
#include "agent/stats.h"
#include "collect/session.h"
#include "store/store.h"
#include "util/clock.h"
#include "util/log.h"

#define STEP_MS 1000
/* Sampling broke off: it is tried again after that long. */
#define AGAIN_NS (10 * NSEC_PER_SEC)
/* A session that needs too much memory is begun anew, at most this often. */
#define RESTART_NS (600 * NSEC_PER_SEC)
/* The same warning comes no more often. */
#define WARN_NS (3600 * NSEC_PER_SEC)
/* The clock was set, or the host was suspended, by that much at least. */
#define JUMP_NS NSEC_PER_SEC
/* Unless it was written to, the store's size is asked for that often. */
#define STORE_NS (10 * NSEC_PER_SEC)
/* From that part of max_memory on a slice is cut at once. */
#define MEMORY_SHORT 0.75

/* What is left to be exported at the end has that long; then it waits in the queue. */
#define EXPORT_STOP_NS (3 * NSEC_PER_SEC)

#define TITLE "all Python processes"

/* What a start costs is not the budget's, nor what it leaves to do in its first seconds. */
#define SETTLE_NS (3 * NSEC_PER_SEC)

/* When what is due, CLOCK_MONOTONIC. */
struct pace {
	uint64_t second_ns;
	uint64_t flush_ns;
	uint64_t store_ns; /* to ask for the size of the store */
	uint64_t watchdog_ns;
	uint64_t again_ns;   /* to try to sample again */
	uint64_t settled_ns; /* the budget counts from then on */
	uint64_t warned_ns;  /* that the budget can't be held */
	uint64_t restart_ns; /* when a session was last begun anew for its memory */
};

struct agent {
	struct agent_config config;
	struct agent_names names;
	char *store_path;
	gid_t gid;
	struct session *session; /* NULL: paused or broken */
	struct store *store;
	struct pages *pages;
	struct service_rules *services;
	struct exporter *exporter; /* NULL: nothing is exported */
	struct notify notify;
	struct budget budget;
	struct cost cost;
	uint64_t flush_ns; /* CPU time of flushes so far */
	struct pace pace;
	int64_t offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	bool short_of_memory;
	bool keep_more; /* the store has more to do to keep its size */
	struct agent_stats stats;
};

static int64_t clock_offset_ns(void)
{
	return (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
}

/* What is done on full seconds is done when the session wakes for its own work. */
static uint64_t full_second(uint64_t ns)
{
	return ns - ns % NSEC_PER_SEC;
}

static uint64_t next_flush(const struct agent *agent, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + agent->config.flush_ns;

	return agent->config.flush_ns < NSEC_PER_SEC ? at_ns : full_second(at_ns);
}

static void fill_names(const struct agent *agent, struct profile_meta *meta)
{
	meta->title = TITLE;
	meta->command = agent->names.command;
	meta->version = PV_VERSION;
	meta->host = agent->names.host;
}

static void keep_store(struct agent *agent)
{
	const struct store_policy policy = {
		.max_bytes = agent->config.max_disk,
		.max_age_ns = agent->config.max_age_ns,
		.minute_age_ns = STORE_MINUTE_AGE_NS,
		.decade_age_ns = STORE_DECADE_AGE_NS,
		.min_free_bytes = agent->config.min_free,
	};
	int more = store__keep(agent->store, &policy, clock_ns(CLOCK_REALTIME));

	agent->keep_more = more > 0;
	if (more < 0)
		log_warn("cannot keep the store %s small: %s", agent->store_path, strerror(-more));
}

/* Store a slice, which is freed. 0 or negative errno. */
static int take_slice(struct agent *agent, struct profile *profile, struct profile_meta *meta)
{
	int err;

	fill_names(agent, meta);
	profile__set_meta(profile, meta);
	stats_add(&agent->stats.ledger, meta, profile__sample_cnt(profile));
	err = store__append(agent->store, profile);
	profile__free(profile);
	keep_store(agent);
	agent->pace.store_ns = 0;
	agent->stats.flush_unix_ns = meta->start_unix_ns + meta->duration_ns;
	agent->stats.rate_hz = agent->budget.rate_hz;
	return err;
}

/* End the slice now and go on at the budget's rate. */
static void cut(struct agent *agent)
{
	uint64_t begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID), now_ns = clock_ns(CLOCK_MONOTONIC);
	struct profile_meta meta = { 0 };
	struct profile *profile = NULL;
	int err = -ENODEV;

	if (agent->session) {
		profile = session__slice(agent->session, agent->budget.rate_hz, &meta);
		err = profile ? take_slice(agent, profile, &meta) : -errno;
		if (!profile)
			log_warn("cannot end a slice: %s; it goes on", strerror(-err));
	}
	pages__cut(agent->pages, now_ns, agent->session ? session__slice_start(agent->session) : 0,
	           err);
	agent->pace.flush_ns = next_flush(agent, now_ns);
	agent->flush_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
}

static enum agent_error begin_sampling(struct agent *agent, char *what, size_t what_len)
{
	const struct session_opts opts = {
		.all = true,
		.rate_hz = agent->budget.rate_hz,
		.rate_max_hz = agent->config.rate_hz,
		.timed = true,
		.patient = true,
		.labels = true,
		.services = agent->services,
		.types = agent->config.types,
	};
	struct session_status status;
	enum session_error error;

	agent->session = session__new(&opts, &error, what, what_len);
	if (agent->session)
		error = session__start(agent->session, what, what_len);
	if (error) {
		session__free(agent->session);
		agent->session = NULL;
		agent->stats.state = STATS_BROKEN;
		snprintf(agent->stats.problem, sizeof(agent->stats.problem), "%s", what);
		agent->pace.again_ns = clock_ns(CLOCK_MONOTONIC) + AGAIN_NS;
		return error == SESSION_NOT_PERMITTED ? AGENT_NOT_PERMITTED
		       : error == SESSION_NO_BPF      ? AGENT_NO_BPF
		       : error == SESSION_BAD_TYPES   ? AGENT_BAD_CONFIG
		                                      : AGENT_INTERNAL;
	}
	agent->stats.state = STATS_SAMPLING;
	agent->stats.problem[0] = '\0';
	agent->stats.session_cnt++;
	session__status(agent->session, &status);
	cost_begin(&agent->cost, &status, agent->flush_ns, pages__cpu_ns(agent->pages));
	agent->pace.flush_ns = next_flush(agent, clock_ns(CLOCK_MONOTONIC));
	agent->pace.settled_ns = clock_ns(CLOCK_MONOTONIC) + SETTLE_NS;
	agent->offset_ns = clock_offset_ns();
	return AGENT_OK;
}

/* Stop, and store what there is. */
static void end_sampling(struct agent *agent)
{
	struct profile_meta meta = { 0 };
	struct profile *profile;
	int err;

	if (!agent->session)
		return;
	err = session__stop(agent->session);
	profile = session__profile(agent->session, &meta);
	if (!err && !profile)
		err = -errno;
	if (profile)
		err = take_slice(agent, profile, &meta);
	if (err)
		log_warn("the last slice is not whole or not stored: %s", strerror(-err));
	session__free(agent->session);
	agent->session = NULL;
	agent->stats.process_cnt = 0;
	agent->stats.python_cnt = 0;
	/* A profile that is being taken ends here. */
	pages__cut(agent->pages, clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_REALTIME), -ENODEV);
	malloc_trim(0);
}

static void begin_again(struct agent *agent)
{
	char what[512] = "";

	if (!begin_sampling(agent, what, sizeof(what)))
		return;
	log_error("cannot sample: %s; it is tried again in %llu s", what,
	          (unsigned long long)(AGAIN_NS / NSEC_PER_SEC));
}

/* While the file is there nothing is loaded, attached or sampled. */
static void follow_kill_switch(struct agent *agent)
{
	bool off = !access(agent->config.kill_switch, F_OK);

	if (off && agent->stats.state != STATS_PAUSED) {
		end_sampling(agent);
		agent->stats.state = STATS_PAUSED;
		log_info("paused: %s is there; sampling goes on when it is removed",
		         agent->config.kill_switch);
		notify_send(&agent->notify, "STATUS=paused by %s", agent->config.kill_switch);
	} else if (!off && agent->stats.state == STATS_PAUSED) {
		log_info("%s is gone: sampling goes on", agent->config.kill_switch);
		begin_again(agent);
	}
}

/* The clock was set, or the host was suspended: what came before ends there. */
static void follow_clock(struct agent *agent)
{
	int64_t offset_ns = clock_offset_ns(), jump_ns = offset_ns - agent->offset_ns;

	agent->offset_ns = offset_ns;
	if (!agent->session || (jump_ns < (int64_t)JUMP_NS && jump_ns > -(int64_t)JUMP_NS))
		return;
	log_info("the clock went %s by %.1f s (set, or the host was suspended): a new slice begins",
	         jump_ns > 0 ? "on" : "back", (double)llabs(jump_ns) / 1e9);
	cut(agent);
}

/* What was used since the last look, and the rate that follows from it. */
static void follow_budget(struct agent *agent, const struct session_status *status)
{
	struct stats_cost *total = &agent->stats.cost;
	bool was_over = agent->budget.is_over;
	uint32_t rate_hz = agent->budget.rate_hz;
	struct cost_span span;

	if (!agent->session)
		return;
	cost_look(&agent->cost, status, agent->flush_ns, pages__cpu_ns(agent->pages), total, &span);
	total->max_ppm = agent->budget.max_ppm;
	if (agent->cost.time_ns < agent->pace.settled_ns)
		return;
	budget_step(&agent->budget, span.span_ns, span.by_rate_ns, span.fixed_ns);
	total->used_ppm = budget_used_ppm(&agent->budget);
	total->is_over = agent->budget.is_over;
	if (agent->budget.is_over && !was_over &&
	    (!agent->pace.warned_ns || agent->cost.time_ns - agent->pace.warned_ns > WARN_NS)) {
		agent->pace.warned_ns = agent->cost.time_ns;
		log_warn("max-cpu: %.3f %% of a CPU is less than it takes to follow the processes "
		         "of this host, %.3f %%; sampling at %u Hz",
		         total->max_ppm / 1e4, total->used_ppm / 1e4, agent->budget.rate_hz);
	}
	if (agent->budget.rate_hz == rate_hz)
		return;
	log_debug("%.3f %% of a CPU used, of %.3f %%: %u Hz instead of %u", total->used_ppm / 1e4,
	          total->max_ppm / 1e4, agent->budget.rate_hz, rate_hz);
	cut(agent);
}

static void follow_memory(struct agent *agent, bool tight)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), resident = cost_resident();
	bool is_short = (double)resident > MEMORY_SHORT * (double)agent->config.max_memory;

	agent->stats.resident = resident;
	if (!agent->session)
		return;
	if (is_short && !agent->short_of_memory) {
		cut(agent);
		malloc_trim(0);
		agent->stats.resident = cost_resident();
	}
	agent->short_of_memory = is_short;
	if ((agent->stats.resident <= agent->config.max_memory && !tight) ||
	    (agent->pace.restart_ns && now_ns - agent->pace.restart_ns < RESTART_NS))
		return;
	/* Names and threads of processes that live: only a new beginning lets go of them. */
	log_warn("max-memory: %.1f MiB are in use; sampling begins anew",
	         (double)agent->stats.resident / (1 << 20));
	agent->pace.restart_ns = now_ns;
	end_sampling(agent);
	begin_again(agent);
}

static void publish(struct agent *agent, const struct session_status *status, uint64_t now_ns)
{
	struct agent_stats *stats = &agent->stats;

	stats->now_unix_ns = clock_ns(CLOCK_REALTIME);
	stats->flush_every_ns = agent->config.flush_ns;
	stats->asked_hz = agent->config.rate_hz;
	stats->rate_hz = agent->budget.rate_hz;
	stats->max_memory = agent->config.max_memory;
	stats->max_disk = agent->config.max_disk;
	stats->cpu_cnt = agent->session ? status->cpu_cnt : 0;
	stats->process_cnt = status->process_cnt;
	if (agent->session)
		stats->python_cnt =
			session__count_pythons(agent->session, stats->pythons, STATS_PYTHON_MAX);
	if (now_ns >= agent->pace.store_ns) {
		store__stats(agent->store, &stats->store);
		agent->pace.store_ns = now_ns + STORE_NS;
	}
	stats->exporting = agent->exporter;
	if (agent->exporter)
		exporter__stats(agent->exporter, &stats->export);
	pages__publish(agent->pages, stats);
}

static void each_second(struct agent *agent, uint64_t now_ns)
{
	struct session_status status = { 0 };

	follow_kill_switch(agent);
	if (agent->stats.state == STATS_BROKEN && now_ns >= agent->pace.again_ns)
		begin_again(agent);
	follow_clock(agent);
	if (agent->session)
		session__status(agent->session, &status);
	follow_budget(agent, &status);
	follow_memory(agent, status.tight);
	if (agent->keep_more)
		keep_store(agent);
	/* Not what a session was that has just ended. */
	if (!agent->session)
		status = (struct session_status){ 0 };
	publish(agent, &status, now_ns);
	agent->pace.second_ns = full_second(now_ns) + NSEC_PER_SEC;
}

void agent__step(struct agent *agent, int wake_fd)
{
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };
	uint64_t now_ns;
	int err = 0;

	if (agent->session)
		err = session__run(agent->session, STEP_MS, wake_fd);
	else
		poll(&wake, 1, STEP_MS);
	if (err) {
		log_error("sampling broke off: %s; it is begun again", strerror(-err));
		end_sampling(agent);
		begin_again(agent);
	}
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (now_ns >= agent->pace.second_ns)
		each_second(agent, now_ns);
	if ((agent->session && now_ns >= agent->pace.flush_ns) ||
	    pages__wants_cut(agent->pages, now_ns))
		cut(agent);
	if (agent->notify.watchdog_ns && now_ns >= agent->pace.watchdog_ns) {
		notify_send(&agent->notify, "WATCHDOG=1");
		agent->pace.watchdog_ns = now_ns + agent->notify.watchdog_ns / 3;
	}
}

static enum agent_error open_store(struct agent *agent, char *what, size_t what_len)
{
	const struct store_opts opts = {
		.uid = (uid_t)-1,
		.gid = agent->gid,
		.mode = 0640,
		.min_free_bytes = agent->config.min_free,
	};
	struct profile_meta meta = { .start_unix_ns = agent->stats.start_unix_ns };
	char *slash;
	int err;

	agent->store_path = strdup(agent->config.store);
	if (!agent->store_path)
		return AGENT_INTERNAL;
	slash = strrchr(agent->store_path, '/');
	if (slash && slash != agent->store_path) {
		*slash = '\0';
		/* Whoever may read the store has to get there. */
		if (!mkdir(agent->store_path, 0750) && agent->gid != (gid_t)-1 &&
		    chown(agent->store_path, (uid_t)-1, agent->gid))
			log_warn("cannot give %s to the group " STORE_GROUP ": %s",
			         agent->store_path, strerror(errno));
		*slash = '/';
	}
	agent->store = store__open(agent->store_path, &opts, what, what_len);
	if (!agent->store)
		return AGENT_STORE;
	fill_names(agent, &meta);
	err = store__begin(agent->store, &meta);
	if (!err)
		return AGENT_OK;
	snprintf(what, what_len, "cannot write to %s: %s", agent->store_path, strerror(-err));
	return AGENT_STORE;
}

static enum agent_error open_pages(struct agent *agent, struct pages **pages, char *what,
                                   size_t what_len)
{
	const struct pages_opts opts = {
		.listen = agent->config.listen,
		.allow_remote = agent->config.allow_remote,
		.store = agent->store_path,
		.gid = agent->gid,
	};
	int err;

	*pages = pages__new(&opts, &err, what, what_len);
	if (!err)
		return AGENT_OK;
	return err == -EINVAL || err == -EPERM ? AGENT_BAD_CONFIG : AGENT_STORE;
}

/* The group that may read; only root can give anything away. */
static gid_t reader_gid(void)
{
	const struct group *group = geteuid() ? NULL : getgrnam(STORE_GROUP);

	return group ? group->gr_gid : (gid_t)-1;
}

static enum agent_error lock_in(const struct agent *agent, char *what, size_t what_len)
{
	if (!strcmp(agent->config.lock_in, "no"))
		return AGENT_OK;
	return lockdown(!strcmp(agent->config.lock_in, "strict"), what, what_len)
	               ? AGENT_NOT_PERMITTED
	               : AGENT_OK;
}

static enum agent_error start_pages(struct agent *agent, char *what, size_t what_len)
{
	int err = agent->pages ? pages__start(agent->pages) : 0;

	if (!err)
		return AGENT_OK;
	snprintf(what, what_len, "cannot start the thread that answers requests: %s",
	         strerror(-err));
	return AGENT_INTERNAL;
}

static enum agent_error open_exports(struct agent *agent, char *what, size_t what_len)
{
	int err = 0;

	agent->services = exports_services(agent->config.service, what, what_len);
	if (!agent->services)
		return errno == EINVAL ? AGENT_BAD_CONFIG : AGENT_INTERNAL;
	agent->exporter = exports_new(&agent->config, &err, what, what_len);
	if (err)
		return err == -EINVAL || err == -ENOENT ? AGENT_BAD_CONFIG : AGENT_STORE;
	return AGENT_OK;
}

static enum agent_error start_exports(struct agent *agent, char *what, size_t what_len)
{
	int err = agent->exporter ? exporter__start(agent->exporter) : 0;

	if (!err)
		return AGENT_OK;
	snprintf(what, what_len, "cannot start the thread that exports: %s", strerror(-err));
	return AGENT_INTERNAL;
}

struct agent *agent__new(const struct agent_config *config, const struct agent_names *names,
                         enum agent_error *error, char *what, size_t what_len)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	struct session_status status = { 0 };
	uint64_t now_ns;
	bool off;

	*error = AGENT_INTERNAL;
	snprintf(what, what_len, "out of memory");
	if (!agent)
		return NULL;
	agent->config = *config;
	agent->names = *names;
	agent->gid = reader_gid();
	agent->stats.start_unix_ns = clock_ns(CLOCK_REALTIME);
	notify_open(&agent->notify);
	budget_init(&agent->budget, config->rate_hz, config->max_cpu_ppm);
	*error = open_store(agent, what, what_len);
	if (!*error)
		*error = open_exports(agent, what, what_len);
	if (!*error)
		*error = open_pages(agent, &agent->pages, what, what_len);
	off = !access(config->kill_switch, F_OK);
	agent->stats.state = off ? STATS_PAUSED : STATS_STARTING;
	if (!*error && !off)
		*error = begin_sampling(agent, what, what_len);
	if (!*error)
		*error = lock_in(agent, what, what_len);
	if (!*error)
		*error = start_pages(agent, what, what_len);
	if (!*error)
		*error = start_exports(agent, what, what_len);
	if (*error) {
		agent__free(agent);
		return NULL;
	}
	if (agent->session)
		session__status(agent->session, &status);
	now_ns = clock_ns(CLOCK_MONOTONIC);
	publish(agent, &status, now_ns);
	agent->pace.second_ns = full_second(now_ns) + NSEC_PER_SEC;
	notify_send(&agent->notify, "READY=1\nSTATUS=%s",
	            off ? "paused by the kill switch" : "sampling");
	log_info("sampling every Python process at up to %u Hz into %s; listening at %s",
	         config->rate_hz, agent->store_path, config->listen);
	return agent;
}

void agent__stopping(struct agent *agent)
{
	notify_send(&agent->notify, "STOPPING=1");
}

void agent__free(struct agent *agent)
{
	if (!agent)
		return;
	end_sampling(agent);
	pages__free(agent->pages);
	/* With the last slice, if the destination is quick. */
	if (agent->exporter)
		exporter__stop(agent->exporter, EXPORT_STOP_NS);
	exporter__free(agent->exporter);
	service_rules__free(agent->services);
	store__close(agent->store);
	notify_close(&agent->notify);
	free(agent->store_path);
	free(agent);
}

static void reopen_pages(struct agent *agent)
{
	struct pages *pages, *old = agent->pages;
	char what[512] = "";

	/* The same socket file may be meant. */
	pages__free(old);
	agent->pages = NULL;
	if (!open_pages(agent, &pages, what, sizeof(what))) {
		agent->pages = pages;
		if (!start_pages(agent, what, sizeof(what)))
			return;
	}
	log_error("%s; nobody is answered until the next reload", what);
}

void agent__reload(struct agent *agent, const struct agent_config *config)
{
	struct agent_config old = agent->config;
	/* Strings of the old one may be gone after this. */
	bool listen =
		strcmp(old.listen, config->listen) != 0 || old.allow_remote != config->allow_remote;

	notify_send(&agent->notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
	            (unsigned long long)(clock_ns(CLOCK_MONOTONIC) / 1000));
	agent->config = *config;
	if (strcmp(agent->store_path, config->store) != 0)
		log_warn("store: another one needs a restart; it stays %s", agent->store_path);
	budget_ask(&agent->budget, config->rate_hz, config->max_cpu_ppm);
	if (agent->session && config->rate_hz > old.rate_hz) {
		/* The ring is as large as the highest rate needs. */
		end_sampling(agent);
		begin_again(agent);
	} else {
		cut(agent);
	}
	if (listen)
		reopen_pages(agent);
	notify_send(&agent->notify, "READY=1");
	log_info("reloaded: up to %u Hz, %.3f %% of a CPU, listening at %s", config->rate_hz,
	         config->max_cpu_ppm / 1e4, config->listen);
}
