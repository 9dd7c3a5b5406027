/* SPDX-License-Identifier: Apache-2.0 */
/* curl.h - the functions of libcurl that we use, found at run time. Only for http.c. */
#ifndef PV_EXPORT_CURL_H
#define PV_EXPORT_CURL_H

#include <stddef.h>

#define CURL_DISABLE_TYPECHECK /* the checks are macros over the functions themselves */
#include <curl/curl.h>

struct curl_functions {
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
	CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
	CURLcode (*easy_perform)(CURL *easy);
	void (*easy_cleanup)(CURL *easy);
	const char *(*easy_strerror)(CURLcode code);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *line);
	void (*slist_free_all)(struct curl_slist *list);
};

extern struct curl_functions curl; /* valid after curl_load() */

/* 0, also when it is loaded already; -ENOENT and @what. Not from two threads at once. */
int curl_load(char *what, size_t size);

#endif
