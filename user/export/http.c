// SPDX-License-Identifier: Apache-2.0
#include "export/http.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/curl.h"
#include "export/retry.h"
#include "util/log.h"

#define CONNECT_TIMEOUT_MS 10000l
#define HEADERS_READ_MAX   65536u

struct http {
	CURL *easy;
	char *url;
	char *token_file, *headers_file;
	atomic_bool cancelled;
	char error[CURL_ERROR_SIZE];
	/* of the request under way */
	struct http_response *response;
	size_t body_len, headers_len;
};

int http_load(char *what, size_t size)
{
	return curl_load(what, size);
}

static size_t on_body(char *data, size_t unit, size_t cnt, void *ctx)
{
	struct http *http = ctx;
	size_t len = unit * cnt, room = HTTP_BODY_MAX - http->response->body.len;

	http->body_len += len;
	if (http->body_len > HTTP_READ_MAX)
		return 0; /* ends the transfer */
	buf_add(&http->response->body, data, len < room ? len : room);
	return len;
}

static size_t on_header(char *data, size_t unit, size_t cnt, void *ctx)
{
	static const char name[] = "retry-after:";
	struct http *http = ctx;
	size_t len = unit * cnt, name_len = sizeof(name) - 1;
	char value[64];

	http->headers_len += len;
	if (http->headers_len > HEADERS_READ_MAX)
		return 0;
	if (len > name_len && len - name_len < sizeof(value) &&
	    !strncasecmp(data, name, name_len)) {
		memcpy(value, data + name_len, len - name_len);
		value[len - name_len] = '\0';
		if (!retry_after_ns(value, time(NULL), &http->response->after_ns))
			http->response->after_ns = 0;
	}
	return len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *http = ctx;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(&http->cancelled);
}

static CURLcode set_options(struct http *http, const struct http_opts *opts)
{
	CURL *easy = http->easy;
	char agent[64];
	CURLcode code;

	snprintf(agent, sizeof(agent), "pitviper/%s", opts->version);
#define SET(option, value)                                    \
	do {                                                  \
		code = curl.easy_setopt(easy, option, value); \
		if (code != CURLE_OK)                         \
			return code;                          \
	} while (0)
	SET(CURLOPT_URL, http->url);
	SET(CURLOPT_USERAGENT, agent);
	SET(CURLOPT_POST, 1l);
	SET(CURLOPT_NOSIGNAL, 1l);
	SET(CURLOPT_FOLLOWLOCATION, 0l);
	/* libcurl repeats a request by itself if a connection that it kept is dead; we count those */
	SET(CURLOPT_FORBID_REUSE, 1l);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)opts->timeout_ms);
	SET(CURLOPT_ERRORBUFFER, http->error);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, http);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, http);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, http);
	SET(CURLOPT_NOPROGRESS, 0l);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (opts->ca_file)
		SET(CURLOPT_CAINFO, opts->ca_file);
	if (opts->cert_file)
		SET(CURLOPT_SSLCERT, opts->cert_file);
	if (opts->cert_file)
		SET(CURLOPT_SSLKEY, opts->key_file ? opts->key_file : opts->cert_file);
#undef SET
	return CURLE_OK;
}

int http_check_url(const char *url, char *what, size_t size)
{
	const char *host = !strncmp(url, "https://", 8)  ? url + 8
	                   : !strncmp(url, "http://", 7) ? url + 7
	                                                 : "";

	/* a command line and a log are no places for a password */
	if (memchr(host, '@', strcspn(host, "/?#"))) {
		snprintf(what, size,
		         "a URL to send to must not hold a name and a password: put an "
		         "Authorization line into a file of headers");
		return -EINVAL;
	}
	if (*host && *host != '/' && !strpbrk(url, " \t\r\n"))
		return 0;
	snprintf(what, size, "\"%s\" is no URL to send to: http://HOST[:PORT] or https://…", url);
	return -EINVAL;
}

/* Who is on the way can read what goes by http. */
static void warn_clear(const struct http_opts *opts)
{
	const char *host = opts->url + strlen("http://");

	if (strncmp(opts->url, "http://", strlen("http://")) != 0 ||
	    (!opts->token_file && !opts->headers_file))
		return;
	if (strncmp(host, "127.", 4) && strncmp(host, "[::1]", 5) && strncmp(host, "localhost", 9))
		log_warn("%s: the token goes there unencrypted; better use https", opts->url);
}

struct http *http__new(const struct http_opts *opts, char *what, size_t size)
{
	struct http *http = NULL;
	CURLcode code = CURLE_OUT_OF_MEMORY;
	int err = http_check_url(opts->url, what, size);

	if (!err)
		err = curl_load(what, size);
	if (err) {
		errno = -err;
		return NULL;
	}
	http = calloc(1, sizeof(*http));
	if (http) {
		http->easy = curl.easy_init();
		http->url = strdup(opts->url);
		http->token_file = opts->token_file ? strdup(opts->token_file) : NULL;
		http->headers_file = opts->headers_file ? strdup(opts->headers_file) : NULL;
		if (http->easy && http->url && !http->token_file == !opts->token_file &&
		    !http->headers_file == !opts->headers_file)
			code = set_options(http, opts);
	}
	if (code == CURLE_OK) {
		warn_clear(opts);
		return http;
	}
	snprintf(what, size, "libcurl: %s", curl.easy_strerror(code));
	http__free(http);
	errno = code == CURLE_OUT_OF_MEMORY ? ENOMEM : EINVAL;
	return NULL;
}

void http__free(struct http *http)
{
	if (!http)
		return;
	if (http->easy)
		curl.easy_cleanup(http->easy);
	free(http->url);
	free(http->token_file);
	free(http->headers_file);
	free(http);
}

void http__cancel(struct http *http)
{
	atomic_store(&http->cancelled, true);
}

static int add_header(void *ctx, const char *header)
{
	struct curl_slist **list = ctx, *longer = curl.slist_append(*list, header);

	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

static int make_headers(struct http *http, const struct http_request *request,
                        struct curl_slist **list, struct http_response *response)
{
	char line[128];
	int err;

	snprintf(line, sizeof(line), "Content-Type: %s", request->content_type);
	err = add_header(list, line);
	if (!err && request->gzipped)
		err = add_header(list, "Content-Encoding: gzip");
	/* libcurl would wait a second for a "100 Continue" that hardly a server sends */
	if (!err)
		err = add_header(list, "Expect:");
	if (!err && http->token_file)
		err = http_secrets(http->token_file, "Authorization", "Bearer ", add_header, list,
		                   response->what, sizeof(response->what));
	if (!err && http->headers_file)
		err = http_secrets(http->headers_file, NULL, "", add_header, list, response->what,
		                   sizeof(response->what));
	return err;
}

int http__post(struct http *http, const struct http_request *request,
               struct http_response *response)
{
	struct curl_slist *headers = NULL;
	CURLcode code;
	int err;

	*response = (struct http_response){ 0 };
	http->response = response;
	http->body_len = http->headers_len = 0;
	http->error[0] = '\0';
	err = make_headers(http, request, &headers, response);
	if (!err) {
		curl.easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
		curl.easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
		curl.easy_setopt(http->easy, CURLOPT_POSTFIELDS, request->body);
		code = curl.easy_perform(http->easy);
		curl.easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &response->status);
		/* Once the status is here the engine has decided; what follows it may break off. */
		if (response->status < 200) {
			response->status = 0;
			snprintf(response->what, sizeof(response->what), "%s",
			         http->error[0] ? http->error : curl.easy_strerror(code));
		}
		curl.easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
		curl.easy_setopt(http->easy, CURLOPT_POSTFIELDS, NULL);
	}
	curl.slist_free_all(headers);
	http->response = NULL;
	return err;
}

void http_response_free(struct http_response *response)
{
	buf_free(&response->body);
}
