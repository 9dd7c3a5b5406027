/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - POST requests over HTTP and TLS by libcurl, which is loaded when it is first needed: who sends
 * nothing needs no libcurl. Redirects are not followed; of a response at most HTTP_BODY_MAX bytes are
 * kept and HTTP_READ_MAX read.
 *
 * http_load() from one thread, before others are started; then a struct http is used by one thread,
 * except http__cancel().
 */
#ifndef PV_EXPORT_HTTP_H
#define PV_EXPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define HTTP_BODY_MAX    65536u
#define HTTP_READ_MAX    (1u << 20)
#define HTTP_SECRETS_MAX 65536u /* bytes of a file of headers or a token */
#define HTTP_HEADERS_MAX 64     /* lines of it */

struct http_opts {
	const char *url;     /* http://… or https://… */
	const char *version; /* pitviper's, for User-Agent */
	/* Files; NULL: none. */
	const char *ca_file;      /* PEM, in place of the system's authorities */
	const char *cert_file;    /* PEM, the client's */
	const char *key_file;     /* PEM; NULL: in cert_file */
	const char *token_file;   /* Authorization: Bearer and what is in it */
	const char *headers_file; /* "Name: value" lines */
	uint32_t timeout_ms;      /* of one request in all */
};

struct http_request {
	const char *content_type;
	bool gzipped; /* the body is */
	const void *body;
	size_t len;
};

struct http_response {
	long status;       /* 0: no response */
	uint64_t after_ns; /* Retry-After; 0: none */
	struct buf body;
	char what[256]; /* in words, where there was no response */
};

/* Load libcurl. 0, or -ENOENT and @what says what to install. */
int http_load(char *what, size_t size);

/* Is it one that can be sent to? 0, or -EINVAL and @what. */
int http_check_url(const char *url, char *what, size_t size);

struct http;

/* NULL and errno, and @what in words: EINVAL a URL that is none. The options are copied. */
struct http *http__new(const struct http_opts *opts, char *what, size_t size);
void http__free(struct http *http);
/*
 * Send, and wait for the response. The files of secrets are read anew each time, as they may be
 * replaced. 0: see the response's status; or -EACCES, -EINVAL and such: nothing was sent, as its `what`
 * says. http_response_free() in either case.
 */
int http__post(struct http *http, const struct http_request *request,
               struct http_response *response);
void http_response_free(struct http_response *response);
/* Make the post that is under way and all later ones end at once. Any thread. */
void http__cancel(struct http *http);

/*
 * Read a file of headers: @name NULL for lines of "Name: value", else one value for the header @name,
 * with @prefix before it. Each is passed to @fn until it returns non-zero. 0; -EACCES it may be read
 * by everybody or not by us; -EINVAL; @what in words.
 */
int http_secrets(const char *path, const char *name, const char *prefix,
                 int (*fn)(void *ctx, const char *header), void *ctx, char *what, size_t size);

#endif
