/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - always on: samples every Python process within a budget, flushes to the store, answers
 * requests.
 *
 *	agent__new -> agent__step (repeated), agent__reload (now and then) -> agent__free
 *
 * One thread calls all of it; requests are answered in another one that it starts. A slice of the profile
 * is cut and stored every flush_ns, and when the rate changes, the clock is set, the host was suspended,
 * memory runs short, or a request asks for it: a slice has one rate and lies in one piece of time.
 */
#ifndef PV_AGENT_AGENT_H
#define PV_AGENT_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config.h"

struct agent;

/* What could not be begun. */
enum agent_error {
	AGENT_OK = 0,
	AGENT_BAD_CONFIG,
	AGENT_NOT_PERMITTED,
	AGENT_NO_BPF,
	AGENT_STORE, /* or the socket: nothing can be written there */
	AGENT_INTERNAL,
};

/* Who it is, for the store; the strings must stay. */
struct agent_names {
	const char *command; /* how pitviper was called */
	const char *host;
};

/*
 * Open the store, begin to sample, listen, lock in, and tell the manager that it is ready. The strings of
 * @config must stay until the next agent__reload() or the end. NULL: *error and @what (of @what_len
 * bytes).
 */
struct agent *agent__new(const struct agent_config *config, const struct agent_names *names,
                         enum agent_error *error, char *what, size_t what_len);
/* The last slice is stored. */
void agent__free(struct agent *agent);
/* Work until @wake_fd is readable, for a second at most. Whatever fails is told and tried again. */
void agent__step(struct agent *agent, int wake_fd);
/*
 * Go on with another configuration; the store's path and lock-in stay as they are, and a message says so.
 * What the new one has wrong is told, and stays as it was.
 */
void agent__reload(struct agent *agent, const struct agent_config *config);
/* Tell the manager; the next call is agent__free(). */
void agent__stopping(struct agent *agent);

#endif
