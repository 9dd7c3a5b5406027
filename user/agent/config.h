/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what the agent is told: the keys of its configuration file. cmd/agent.c has the table of
 * them with the defaults.
 */
#ifndef PV_AGENT_CONFIG_H
#define PV_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* What is stored, sent elsewhere, too; NULL and 0: not said. A change needs a restart. */
struct agent_export_config {
	const char *to; /* engine and URL: "otlp https://collector:4318" */
	const char *token;
	const char *headers;
	const char *ca;
	const char *cert;
	const char *key;
	const char *queue; /* folder; NULL: beside the store */
	uint64_t queue_bytes;
	uint64_t every_ns;
	bool cmdlines;
};

struct agent_config {
	/* Sampling and what it may cost. */
	uint32_t rate_hz;     /* asked for; the budget may lower it */
	uint32_t max_cpu_ppm; /* of one CPU: BPF programs and our own threads, without requests */
	uint64_t max_memory;  /* resident bytes */
	const char *types;    /* as in struct session_opts */
	/* The store. */
	const char *store; /* path of the file */
	uint64_t flush_ns;
	uint64_t max_disk; /* bytes */
	uint64_t max_age_ns;
	uint64_t min_free;   /* bytes of the file system */
	const char *service; /* rules, see proc/service.h, with blanks between */
	struct agent_export_config export;
	/* The page for machines. */
	const char *listen; /* see pages.h */
	bool allow_remote;
	/* The life of it. */
	const char *kill_switch; /* while that file is there nothing is sampled */
	const char *lock_in;     /* "yes", "strict", "no": see lockdown.h */
	bool verbose;
};

#endif
