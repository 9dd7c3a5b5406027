// SPDX-License-Identifier: Apache-2.0
#include "proc/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/file.h"

/* A hexadecimal or decimal number without sign or blanks, then @end. */
static bool maps_number(char **at, unsigned int base, char end, uint64_t *value)
{
	char *start = *at;

	*value = 0;
	for (;; (*at)++) {
		unsigned char c = (unsigned char)**at;
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else
			break;
		if (*value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	if (*at == start || **at != end)
		return false;
	if (end)
		(*at)++;
	return true;
}

/* fs/proc/task_mmu.c:show_map_vma() escapes newlines only, as \012. */
static void maps_unescape(char *path)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(path);
	char *to = path;

	if (len >= sizeof(deleted) - 1 && !strcmp(path + len - (sizeof(deleted) - 1), deleted))
		path[len - (sizeof(deleted) - 1)] = '\0';
	for (char *at = path; *at; at++) {
		if (!strncmp(at, "\\012", 4)) {
			*to++ = '\n';
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

/* One line: start-end perms offset major:minor inode [blanks path]. */
static bool maps_parse_line(char *at, struct maps_entry *entry)
{
	uint64_t major, minor;
	size_t digits;

	if (!maps_number(&at, 16, '-', &entry->start) || !maps_number(&at, 16, ' ', &entry->end) ||
	    entry->start >= entry->end)
		return false;
	if (strnlen(at, 5) < 5 || at[4] != ' ')
		return false;
	memcpy(entry->perms, at, 4);
	entry->perms[4] = '\0';
	at += 5;
	if (!maps_number(&at, 16, ' ', &entry->offset) || !maps_number(&at, 16, ':', &major) ||
	    !maps_number(&at, 16, ' ', &minor) || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	entry->dev_major = (uint32_t)major;
	entry->dev_minor = (uint32_t)minor;
	/* A line without a path ends with the blank or right behind the number. */
	digits = strspn(at, "0123456789");
	if (!maps_number(&at, 10, at[digits] ? ' ' : '\0', &entry->inode))
		return false;
	at += strspn(at, " ");
	maps_unescape(at);
	entry->path = at;
	return true;
}

static struct maps_entry *maps_add(struct maps *maps, size_t *cap)
{
	struct maps_entry *entries;

	if (maps->cnt == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		entries = realloc(maps->entries, *cap * sizeof(*entries));
		if (!entries)
			return NULL;
		maps->entries = entries;
	}
	return &maps->entries[maps->cnt];
}

int maps_parse(char *text, struct maps *maps)
{
	size_t cap = 0;
	char *next;

	*maps = (struct maps){ .text = text };
	for (char *line = text; *line; line = next) {
		struct maps_entry *entry = maps_add(maps, &cap);

		if (!entry) {
			maps_free(maps);
			return -ENOMEM;
		}
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (!maps_parse_line(line, entry)) {
			maps_free(maps);
			return -EPROTO;
		}
		maps->cnt++;
	}
	return 0;
}

int maps_read(pid_t pid, struct maps *maps)
{
	struct buf text = { 0 };
	char path[32];
	int err;

	*maps = (struct maps){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	err = file_read(path, MAPS_BYTES_MAX, &text);
	if (!err && text.err)
		err = text.err;
	/* A zombie or a kernel thread has no address space: the file is there and empty. */
	if (err == -ENOENT || (!err && !text.len))
		err = -ESRCH;
	if (err) {
		buf_free(&text);
		return err == -EPERM ? -EACCES : err;
	}
	return maps_parse(text.data, maps);
}

void maps_free(struct maps *maps)
{
	free(maps->entries);
	free(maps->text);
	*maps = (struct maps){ 0 };
}

/*
 * Is this the file that is mapped? btrfs and overlayfs report an anonymous device (major 0) in one
 * of the two places, so there the inode has to do.
 */
static bool maps_is_file(const struct stat *st, const struct maps_entry *entry)
{
	if (!S_ISREG(st->st_mode) || st->st_ino != entry->inode)
		return false;
	return (major(st->st_dev) == entry->dev_major && minor(st->st_dev) == entry->dev_minor) ||
	       !major(st->st_dev) || !entry->dev_major;
}

int maps_stat(pid_t pid, const struct maps_entry *entry, struct stat *st)
{
	char path[PATH_MAX];
	int len;

	if (entry->path[0] != '/')
		return -ENOENT;
	len = snprintf(path, sizeof(path), "/proc/%d/root%s", pid, entry->path);
	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENAMETOOLONG;
	/* A link may lead out of the process's root: then it is not this file. */
	if (fstatat(AT_FDCWD, path, st, AT_NO_AUTOMOUNT))
		return -errno;
	return maps_is_file(st, entry) ? 0 : -ENOENT;
}

/* Open what the O_PATH descriptor @fd stands for, which is closed. A regular file only: opening a
 * device can have effects.
 */
static int maps_reopen(int fd, const struct maps_entry *entry)
{
	char path[48];
	struct stat st;
	int opened;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (entry && !maps_is_file(&st, entry))) {
		close(fd);
		return -ENOENT;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (opened < 0)
		opened = -errno;
	close(fd);
	return opened;
}

/* Under the root of the process, whose links may not lead out of it. */
static int maps_open_path(pid_t pid, const struct maps_entry *entry)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	char root[32];
	int rootfd;
	long fd;

	if (entry->path[0] != '/')
		return -ENOENT;
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return -errno;
	fd = syscall(SYS_openat2, rootfd, entry->path, &how, sizeof(how));
	/*
	 * systemd's RestrictSUIDSGID= and seccomp filters of containers hide the call, whose flags they
	 * cannot see. Without it a link may lead out, but not to the file that is mapped.
	 */
	if (fd < 0 && errno == ENOSYS)
		fd = openat(rootfd, entry->path + strspn(entry->path, "/"), O_PATH | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(rootfd);
	return fd < 0 ? (int)fd : maps_reopen((int)fd, entry);
}

int maps_open(pid_t pid, const struct maps_entry *entry)
{
	char path[80];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid,
	         (unsigned long long)entry->start, (unsigned long long)entry->end);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		fd = maps_reopen(fd, NULL);
	if (fd >= 0)
		return fd;
	err = maps_open_path(pid, entry);
	if (err >= 0)
		return err;
	/* A deleted program: its link takes the right to trace only, map_files a rarer one. */
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_PATH | O_CLOEXEC);
	fd = fd >= 0 ? maps_reopen(fd, entry) : -ENOENT;
	return fd >= 0 ? fd : err;
}
