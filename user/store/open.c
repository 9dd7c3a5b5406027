// SPDX-License-Identifier: Apache-2.0
#include "store/open.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"

/* The head of an SQLite file: https://www.sqlite.org/fileformat2.html, section 1.3. */
#define HEAD_MAGIC "SQLite format 3"

int open_look(const char *path, enum open_kind *kind)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char head[sizeof(HEAD_MAGIC)] = "";
	struct stat st;
	ssize_t got;
	int err = 0;

	*kind = OPEN_NOTHING;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
	got = err ? 0 : pread(fd, head, sizeof(head), 0);
	if (got < 0)
		err = -errno;
	/* No lock of SQLite's is held by this process yet that closing would drop. */
	close(fd);
	if (!err && got)
		*kind = memcmp(head, HEAD_MAGIC, sizeof(head)) != 0 ? OPEN_OTHER : OPEN_SQLITE;
	return err;
}

char *open_real_path(const char *path)
{
	char *copy = strdup(path), *again = strdup(path), *out = NULL;
	char dir[PATH_MAX];

	if (!copy || !again) {
		errno = ENOMEM;
	} else if (realpath(dirname(copy), dir)) {
		const char *slash = strcmp(dir, "/") != 0 ? "/" : "";

		if (asprintf(&out, "%s%s%s", dir, slash, basename(again)) < 0) {
			out = NULL;
			errno = ENOMEM;
		}
	}
	free(copy);
	free(again);
	return out;
}

static int own(int fd, const struct store_opts *opts)
{
	if (fchmod(fd, opts->mode))
		return -errno;
	if ((opts->uid != (uid_t)-1 || opts->gid != (gid_t)-1) && fchown(fd, opts->uid, opts->gid))
		return -errno;
	return 0;
}

int open_make(const char *path, const struct store_opts *opts)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	err = own(fd, opts);
	if (err)
		unlink(path);
	close(fd);
	return err;
}

int open_lock(const char *lock_path, const struct store_opts *opts)
{
	for (;;) {
		int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat held, there;
		int err;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			err = errno == EWOULDBLOCK ? -EBUSY : -errno;
			close(fd);
			return err;
		}
		/* Whoever held it before may have removed it: then it keeps nobody out. */
		if (!fstat(fd, &held) && !lstat(lock_path, &there) && held.st_ino == there.st_ino &&
		    held.st_dev == there.st_dev) {
			own(fd, opts);
			return fd;
		}
		close(fd);
	}
}

static int move_one(const char *path, const char *suffix, const char *name)
{
	struct buf from = { 0 }, to = { 0 };
	int err;

	buf_printf(&from, "%s%s", path, suffix);
	buf_printf(&to, "%s%s", name, suffix);
	err = from.err ? from.err : to.err;
	if (!err && renameat2(AT_FDCWD, buf_str(&from), AT_FDCWD, buf_str(&to), RENAME_NOREPLACE))
		err = -errno;
	buf_free(&from);
	buf_free(&to);
	return err;
}

int open_set_aside(const char *path, char *name, size_t name_len)
{
	time_t now = time(NULL);
	char stamp[32] = "";
	struct tm tm;
	int err = -EEXIST;

	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	for (int i = 0; i < 100 && err == -EEXIST; i++) {
		snprintf(name, name_len, i ? "%s.damaged-%s-%d" : "%s.damaged-%s", path, stamp, i);
		err = move_one(path, "", name);
	}
	if (err)
		return err;
	/* They belong to it, and must not be taken for the new file's. */
	err = move_one(path, "-wal", name);
	if (!err || err == -ENOENT)
		err = move_one(path, "-shm", name);
	return err == -ENOENT ? 0 : err;
}

char *open_uri(const char *path, const char *query)
{
	struct buf out = { 0 };

	buf_puts(&out, "file:");
	for (; *path; path++) {
		if (strchr("?#%", *path))
			buf_printf(&out, "%%%02x", (unsigned char)*path);
		else
			buf_putc(&out, *path);
	}
	buf_puts(&out, query);
	if (!out.err)
		return out.data;
	buf_free(&out);
	return NULL;
}
