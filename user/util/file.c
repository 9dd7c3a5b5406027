// SPDX-License-Identifier: Apache-2.0
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t max, struct buf *out)
{
	size_t start = out->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t got;

		if (!buf_reserve(out, 4096)) {
			err = -ENOMEM;
			break;
		}
		got = read(fd, out->data + out->len, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = -errno;
		if (got <= 0)
			break;
		out->len += (size_t)got;
		out->data[out->len] = '\0';
		if (out->len - start > max) {
			out->len = start + max;
			out->data[out->len] = '\0';
			err = -EFBIG;
			break;
		}
	}
	close(fd);
	return err;
}

bool file_read_number(const char *path, long *number)
{
	struct buf text = { 0 };
	bool good = !file_read(path, 64, &text) && text.len;
	char *end;

	if (good) {
		*number = strtol(buf_str(&text), &end, 10);
		good = end != buf_str(&text);
	}
	buf_free(&text);
	return good;
}

int file_numbers(const char *path, struct buf *out)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char *end;
		long number = strtol(entry->d_name, &end, 10);

		if (*end || end == entry->d_name || number <= 0 || number > INT_MAX)
			continue;
		buf_add(out, &(int){ (int)number }, sizeof(int));
	}
	closedir(dir);
	return out->err;
}

int outfile_open(struct outfile *file, const char *path, uid_t uid, gid_t gid)
{
	struct stat st;
	bool in_place;
	int fd, err;

	*file = (struct outfile){ 0 };
	in_place = !stat(path, &st) && !S_ISREG(st.st_mode);
	if (in_place && S_ISDIR(st.st_mode))
		return -EISDIR;
	file->path = strdup(path);
	if (!file->path)
		return -ENOMEM;
	if (in_place) {
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	} else {
		if (asprintf(&file->tmp_path, "%s.XXXXXX", path) < 0)
			file->tmp_path = NULL;
		fd = file->tmp_path ? mkostemp(file->tmp_path, O_CLOEXEC) : (errno = ENOMEM, -1);
	}
	if (fd < 0) {
		err = -errno;
		free(file->tmp_path);
		file->tmp_path = NULL; /* never made: nothing to remove */
		outfile_abort(file);
		return err;
	}
	if (!in_place && uid != (uid_t)-1 && fchown(fd, uid, gid)) {
		err = -errno;
		close(fd);
		outfile_abort(file);
		return err;
	}
	file->stream = fdopen(fd, "w");
	if (!file->stream) {
		err = -errno;
		close(fd);
		outfile_abort(file);
		return err;
	}
	return 0;
}

int outfile_commit(struct outfile *file)
{
	int err = 0;

	if (fflush(file->stream) || ferror(file->stream))
		err = errno ? -errno : -EIO;
	if (!err && file->tmp_path && fsync(fileno(file->stream)))
		err = -errno;
	if (fclose(file->stream) && !err)
		err = -errno;
	file->stream = NULL;
	if (!err && file->tmp_path) {
		if (rename(file->tmp_path, file->path)) {
			err = -errno;
		} else {
			free(file->tmp_path);
			file->tmp_path = NULL;
		}
	}
	outfile_abort(file);
	return err;
}

void outfile_abort(struct outfile *file)
{
	if (file->stream)
		fclose(file->stream);
	if (file->tmp_path)
		unlink(file->tmp_path);
	free(file->tmp_path);
	free(file->path);
	*file = (struct outfile){ 0 };
}
