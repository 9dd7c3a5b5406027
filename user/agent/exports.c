// SPDX-License-Identifier: Apache-2.0
#include "agent/exports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLANKS " \t"

/* "otlp https://collector:4318": the writer, and where the URL begins. NULL and @what. */
static const struct export_writer *parse_to(const char *to, const char **url, char *what,
                                            size_t size)
{
	char name[32];
	size_t len = strcspn(to, BLANKS);
	const struct export_writer *writer = NULL;

	*url = to + len + strspn(to + len, BLANKS);
	if (len < sizeof(name)) {
		memcpy(name, to, len);
		name[len] = '\0';
		writer = export_writer_by_name(name);
	}
	if (writer && **url)
		return writer;
	snprintf(
		what, size,
		"export: \"%s\" is not an engine and a URL; engines are otlp, pyroscope, parca and "
		"pprof: export = otlp https://collector.example:4318",
		to);
	return NULL;
}

int exports_check(const struct agent_config *config, char *what, size_t size)
{
	struct service_rules *rules = exports_services(config->service, what, size);
	const char *url;

	if (!rules)
		return -errno;
	service_rules__free(rules);
	if (!config->export.to)
		return 0;
	if (!parse_to(config->export.to, &url, what, size))
		return -EINVAL;
	return http_check_url(url, what, size);
}

struct exporter *exports_new(const struct agent_config *config, int *err, char *what, size_t size)
{
	const struct agent_export_config *export = &config->export;
	struct exporter_opts opts = {
		.http = {
			.version = PV_VERSION,
			.token_file = export->token,
			.headers_file = export->headers,
			.ca_file = export->ca,
			.cert_file = export->cert,
			.key_file = export->key,
			.timeout_ms = EXPORT_TIMEOUT_MS,
		},
		.cmdlines = export->cmdlines,
		.store = config->store,
		.queue_bytes = export->queue_bytes,
		.every_ns = export->every_ns,
		.retry_ns = RETRY_FIRST_NS,
	};
	struct exporter *exporter = NULL;
	char *queue = NULL, name[256] = "";

	*err = 0;
	if (!export->to)
		return NULL;
	opts.writer = parse_to(export->to, &opts.http.url, what, size);
	if (!opts.writer) {
		*err = -EINVAL;
		return NULL;
	}
	gethostname(name, sizeof(name) - 1);
	if (export->queue)
		queue = strdup(export->queue);
	else if (asprintf(&queue, "%s-export", config->store) < 0)
		queue = NULL;
	if (queue) {
		opts.host = name;
		opts.queue_dir = queue;
		exporter = exporter__new(&opts, what, size);
	} else {
		errno = ENOMEM;
	}
	if (!exporter)
		*err = -errno;
	free(queue);
	return exporter;
}

struct service_rules *exports_services(const char *words, char *what, size_t size)
{
	struct service_rules *rules = service_rules__new();
	char *copy = strdup(words), *rest = copy, *word;
	int err = rules && copy ? 0 : -ENOMEM;

	snprintf(what, size, "out of memory");
	while (!err && (word = strtok_r(rest, BLANKS, &rest)))
		err = service_rules__add(rules, word, what, size);
	free(copy);
	if (!err)
		return rules;
	service_rules__free(rules);
	errno = -err;
	return NULL;
}
