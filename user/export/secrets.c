// SPDX-License-Identifier: Apache-2.0
/* secrets.c - headers out of files that hold tokens. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "export/http.h"
#include "util/file.h"

/* A secret that everybody may read is none any more. */
static int check_mode(const char *path, char *what, size_t size)
{
	struct stat st;

	if (stat(path, &st)) {
		int err = -errno;

		snprintf(what, size, "%s: %s", path, strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(what, size, "%s: not a regular file", path);
		return -EINVAL;
	}
	if (st.st_mode & (S_IROTH | S_IWOTH)) {
		snprintf(what, size,
		         "%s: everybody may read or change this file of secrets; chmod o= %s", path,
		         path);
		return -EACCES;
	}
	return 0;
}

/* RFC 9110: a name is a token, a value has no control characters (here: but the tab). */
static bool is_header(const char *line)
{
	size_t name_len = strcspn(line, ":");

	if (!name_len || line[name_len] != ':')
		return false;
	for (size_t i = 0; i < name_len; i++)
		if (!isalnum((unsigned char)line[i]) && !strchr("!#$%&'*+-.^_`|~", line[i]))
			return false;
	for (const char *at = line + name_len; *at; at++)
		if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
			return false;
	return true;
}

/* The line without blanks around it; what is behind it is cut off. */
static char *trim(char *line)
{
	size_t len;

	line += strspn(line, " \t\r");
	len = strlen(line);
	while (len && strchr(" \t\r\n", line[len - 1]))
		line[--len] = '\0';
	return line;
}

static int each_line(char *text, const char *path, int (*fn)(void *ctx, const char *header),
                     void *ctx, char *what, size_t size)
{
	int cnt = 0, number = 0, err = 0;

	for (char *next; text && !err; text = next) {
		char *line;

		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		number++;
		line = trim(text);
		if (!*line || *line == '#')
			continue;
		if (cnt++ == HTTP_HEADERS_MAX || !is_header(line)) {
			/* not the line itself: it is a secret */
			snprintf(what, size,
			         "%s:%d: not a line of \"Name: value\", or one too many", path,
			         number);
			return -EINVAL;
		}
		err = fn(ctx, line);
	}
	return err;
}

static int one_value(char *text, const char *path, const char *name, const char *prefix,
                     int (*fn)(void *ctx, const char *header), void *ctx, char *what, size_t size)
{
	const char *value = trim(text);
	struct buf header = { 0 };
	int err;

	buf_printf(&header, "%s: %s%s", name, prefix, value);
	err = header.err;
	if (!err && (!*value || !is_header(buf_str(&header)))) {
		snprintf(what, size, "%s: not one line of text", path);
		err = -EINVAL;
	}
	if (!err)
		err = fn(ctx, buf_str(&header));
	if (header.data)
		explicit_bzero(header.data, header.cap);
	buf_free(&header);
	return err;
}

int http_secrets(const char *path, const char *name, const char *prefix,
                 int (*fn)(void *ctx, const char *header), void *ctx, char *what, size_t size)
{
	struct buf text = { 0 };
	int err = check_mode(path, what, size);

	if (!err) {
		err = file_read(path, HTTP_SECRETS_MAX, &text);
		if (err)
			snprintf(what, size, "%s: %s", path,
			         err == -EFBIG ? "too long for a file of secrets" : strerror(-err));
	}
	if (!err && (!text.len || strlen(buf_str(&text)) != text.len)) {
		snprintf(what, size, "%s: empty, or not a text", path);
		err = -EINVAL;
	}
	if (!err)
		err = name ? one_value(text.data, path, name, prefix, fn, ctx, what, size)
		           : each_line(text.data, path, fn, ctx, what, size);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return err;
}
