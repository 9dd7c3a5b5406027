// SPDX-License-Identifier: Apache-2.0
#include "export/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct curl_functions curl;

/* ISO C has no way from a data pointer to a function's; POSIX says that they are alike. */
static int find(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	if (!symbol)
		return -ENOENT;
	memcpy(function, &symbol, sizeof(symbol));
	return 0;
}

int curl_load(char *what, size_t size)
{
	/* Its interface has had this number since 2006, whatever TLS library is below. */
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
	struct curl_functions found;
	void *library = NULL;
	const char *why;

	if (curl.easy_perform)
		return 0;
	for (size_t i = 0; !library && i < sizeof(names) / sizeof(names[0]); i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		why = dlerror();
		snprintf(what, size,
		         "exporting takes libcurl, which can't be loaded (%s); install it: "
		         "apt install libcurl4, or dnf install libcurl",
		         why ? why : "no reason given");
		return -ENOENT;
	}
	if (find(library, "curl_global_init", &found.global_init) ||
	    find(library, "curl_easy_init", &found.easy_init) ||
	    find(library, "curl_easy_setopt", &found.easy_setopt) ||
	    find(library, "curl_easy_getinfo", &found.easy_getinfo) ||
	    find(library, "curl_easy_perform", &found.easy_perform) ||
	    find(library, "curl_easy_cleanup", &found.easy_cleanup) ||
	    find(library, "curl_easy_strerror", &found.easy_strerror) ||
	    find(library, "curl_slist_append", &found.slist_append) ||
	    find(library, "curl_slist_free_all", &found.slist_free_all) ||
	    found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		snprintf(what, size, "the libcurl of this host is not one that works");
		dlclose(library);
		return -ENOENT;
	}
	curl = found;
	return 0;
}
