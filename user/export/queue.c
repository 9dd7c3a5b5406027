// SPDX-License-Identifier: Apache-2.0
/*
 * Files: `%016x` a request (its number), the same with `.new` one whose cursor may not have moved yet,
 * `cursor`, `lock`. To put: write N.new, sync; replace `cursor`, sync - this is the moment; rename N.new.
 * On opening, a .new whose cursor is the one that is kept is a request, any other never was.
 */
#include "export/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "util/log.h"

#define QUEUE_MAGIC    0x31515650u /* "PVQ1" */
#define QUEUE_ITEM_MAX (64u << 20) /* no request is as large */

/* In front of a request, and all that the file of the cursor has. Of this machine's byte order. */
struct header {
	uint32_t magic;
	uint32_t crc; /* of what follows, the body included */
	int64_t bucket;
	uint64_t start_ns;
	uint64_t samples;
	uint64_t len; /* of the body */
};

struct item {
	uint64_t number;
	uint64_t bytes; /* of the file */
	uint64_t samples;
};

struct queue {
	int dir;
	int lock;
	char *path;
	uint64_t bytes_max;
	struct item *items; /* oldest first, from `first` on */
	size_t first, cnt, cap;
	uint64_t next; /* number of the next one */
	bool has_cursor;
	struct queue_cursor cursor;
	struct queue_stats stats;
};

static uint32_t header_crc(const struct header *header, const void *body, size_t len)
{
	size_t skip = offsetof(struct header, bucket);
	uLong crc = crc32(0, (const Bytef *)header + skip, (uInt)(sizeof(*header) - skip));

	return (uint32_t)crc32_z(crc, body, len);
}

static void item_name(uint64_t number, const char *suffix, char *out, size_t size)
{
	snprintf(out, size, "%016" PRIx64 "%s", number, suffix);
}

static int write_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len;) {
		ssize_t did = write(fd, at, len);

		if (did < 0 && errno == EINTR)
			continue;
		if (did <= 0)
			return did ? -errno : -EIO;
		at += did;
		len -= (size_t)did;
	}
	return 0;
}

/* A new file, whole and on the disk, or none. */
static int write_file(const struct queue *queue, const char *name, struct header *header,
                      const void *body)
{
	int fd = openat(queue->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	                0600);
	int err;

	if (fd < 0)
		return -errno;
	header->magic = QUEUE_MAGIC;
	header->crc = header_crc(header, body, header->len);
	err = write_all(fd, header, sizeof(*header));
	if (!err)
		err = write_all(fd, body, header->len);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (err)
		unlinkat(queue->dir, name, 0);
	return err;
}

static int read_all(int fd, void *data, size_t len)
{
	for (char *at = data; len;) {
		ssize_t got = read(fd, at, len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EUCLEAN;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

/* -EUCLEAN: it is not what was written. @body NULL: checked, not kept. */
static int read_file(const struct queue *queue, const char *name, struct header *header,
                     struct buf *body)
{
	int fd = openat(queue->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct buf own = { 0 }, *to = body ? body : &own;
	size_t start = to->len;
	int err = fd < 0 ? -errno : read_all(fd, header, sizeof(*header));

	if (!err && (header->magic != QUEUE_MAGIC || header->len > QUEUE_ITEM_MAX))
		err = -EUCLEAN;
	if (!err && !buf_reserve(to, header->len))
		err = -ENOMEM;
	if (!err)
		err = read_all(fd, to->data + start, header->len);
	if (!err && header->crc != header_crc(header, to->data + start, header->len))
		err = -EUCLEAN;
	if (!err) {
		to->len += header->len;
		to->data[to->len] = '\0';
	}
	if (fd >= 0)
		close(fd);
	buf_free(&own);
	return err;
}

static int item_add(struct queue *queue, const struct item *item)
{
	if (queue->first && queue->first + queue->cnt == queue->cap) {
		memmove(queue->items, queue->items + queue->first,
		        queue->cnt * sizeof(*queue->items));
		queue->first = 0;
	}
	if (queue->first + queue->cnt == queue->cap) {
		size_t cap = queue->cap ? queue->cap * 2 : 64;
		struct item *items = realloc(queue->items, cap * sizeof(*items));

		if (!items)
			return -ENOMEM;
		queue->items = items;
		queue->cap = cap;
	}
	queue->items[queue->first + queue->cnt++] = *item;
	queue->stats.items++;
	queue->stats.bytes += item->bytes;
	return 0;
}

static int remove_first(struct queue *queue)
{
	const struct item *item = &queue->items[queue->first];
	char name[32];

	item_name(item->number, "", name, sizeof(name));
	if (unlinkat(queue->dir, name, 0) && errno != ENOENT)
		return -errno;
	queue->stats.items--;
	queue->stats.bytes -= item->bytes;
	queue->first++;
	queue->cnt--;
	return 0;
}

/* A file found on opening. @fresh: its name ends with .new. */
static int take_in(struct queue *queue, const char *name, uint64_t number, bool fresh)
{
	struct header header;
	char final[32];
	int err = read_file(queue, name, &header, NULL);

	if (number >= queue->next)
		queue->next = number + 1;
	if (!err && fresh) {
		if (!queue->has_cursor || header.bucket != queue->cursor.bucket ||
		    header.start_ns != queue->cursor.start_ns)
			return unlinkat(queue->dir, name, 0) ? -errno : 0;
		item_name(number, "", final, sizeof(final));
		if (renameat(queue->dir, name, queue->dir, final))
			return -errno;
	}
	if (err == -EUCLEAN) {
		queue->stats.damaged_items++;
		log_warn("export: %s/%s is damaged and can't be sent; it is removed", queue->path,
		         name);
		return unlinkat(queue->dir, name, 0) ? -errno : 0;
	}
	if (err)
		return err;
	return item_add(queue,
	                &(struct item){ number, sizeof(header) + header.len, header.samples });
}

static int item_compare(const void *a, const void *b)
{
	uint64_t left = ((const struct item *)a)->number, right = ((const struct item *)b)->number;

	return (left > right) - (left < right);
}

static int scan(struct queue *queue)
{
	int fd = openat(queue->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir))) {
		uint64_t number;
		char *end;

		if (strlen(entry->d_name) < 16)
			continue;
		number = strtoull(entry->d_name, &end, 16);
		if (end == entry->d_name + 16 && (!*end || !strcmp(end, ".new")))
			err = take_in(queue, entry->d_name, number, *end);
	}
	closedir(dir);
	if (!err && queue->cnt)
		qsort(queue->items, queue->cnt, sizeof(*queue->items), item_compare);
	return err;
}

static int load(struct queue *queue)
{
	struct header header;
	int err = read_file(queue, "cursor", &header, NULL);

	if (!err) {
		queue->has_cursor = true;
		queue->cursor = (struct queue_cursor){ header.bucket, header.start_ns };
	} else if (err == -EUCLEAN) {
		queue->stats.damaged_items++;
		log_warn("export: %s/cursor is damaged; what was stored while nothing was "
		         "exported will not be",
		         queue->path);
	} else if (err != -ENOENT) {
		return err;
	}
	return scan(queue);
}

static int open_dir(struct queue *queue, const char *path)
{
	queue->path = strdup(path);
	if (!queue->path)
		return -ENOMEM;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	queue->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (queue->dir < 0)
		return -errno;
	queue->lock = openat(queue->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (queue->lock < 0)
		return -errno;
	if (flock(queue->lock, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return load(queue);
}

struct queue *queue__open(const char *dir, uint64_t bytes_max, char *what, size_t size)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	int err = -ENOMEM;

	if (queue) {
		queue->dir = queue->lock = -1;
		queue->bytes_max = bytes_max;
		err = open_dir(queue, dir);
	}
	if (!err)
		return queue;
	snprintf(what, size, "the export queue %s: %s", dir,
	         err == -EBUSY ? "another process has it open" : strerror(-err));
	queue__close(queue);
	errno = -err;
	return NULL;
}

void queue__close(struct queue *queue)
{
	if (!queue)
		return;
	if (queue->lock >= 0)
		close(queue->lock);
	if (queue->dir >= 0)
		close(queue->dir);
	free(queue->path);
	free(queue->items);
	free(queue);
}

bool queue__cursor(const struct queue *queue, struct queue_cursor *cursor)
{
	*cursor = queue->cursor;
	return queue->has_cursor;
}

int queue__skip(struct queue *queue, const struct queue_cursor *cursor)
{
	struct header header = { .bucket = cursor->bucket, .start_ns = cursor->start_ns };
	int err = write_file(queue, "cursor.new", &header, "");

	if (!err && renameat(queue->dir, "cursor.new", queue->dir, "cursor"))
		err = -errno;
	if (!err && fsync(queue->dir))
		err = -errno;
	if (err)
		return err;
	queue->has_cursor = true;
	queue->cursor = *cursor;
	return 0;
}

static int make_room(struct queue *queue, uint64_t bytes)
{
	if (bytes > queue->bytes_max || bytes > QUEUE_ITEM_MAX)
		return -EFBIG;
	while (queue->cnt && queue->stats.bytes + bytes > queue->bytes_max) {
		uint64_t samples = queue->items[queue->first].samples;
		int err = remove_first(queue);

		if (err)
			return err;
		queue->stats.dropped_items++;
		queue->stats.dropped_samples += samples;
	}
	return 0;
}

int queue__put(struct queue *queue, const struct queue_cursor *cursor, uint64_t samples,
               const void *body, size_t len)
{
	struct header header = {
		.bucket = cursor->bucket,
		.start_ns = cursor->start_ns,
		.samples = samples,
		.len = len,
	};
	const struct item item = { queue->next, sizeof(header) + len, samples };
	char fresh[32], final[32];
	int err = make_room(queue, item.bytes);

	item_name(item.number, ".new", fresh, sizeof(fresh));
	item_name(item.number, "", final, sizeof(final));
	if (!err)
		err = write_file(queue, fresh, &header, body);
	if (err)
		return err;
	err = item_add(queue, &item);
	if (!err) {
		err = queue__skip(queue, cursor);
		if (err) {
			queue->cnt--;
			queue->stats.items--;
			queue->stats.bytes -= item.bytes;
		}
	}
	if (err) {
		unlinkat(queue->dir, fresh, 0);
		return err;
	}
	/* It is in. Should its name not change now, it will on opening. */
	queue->next++;
	return renameat(queue->dir, fresh, queue->dir, final) ? -errno : 0;
}

int queue__first(struct queue *queue, uint64_t *samples, struct buf *body)
{
	while (queue->cnt) {
		struct header header;
		char name[32];
		int err;

		item_name(queue->items[queue->first].number, "", name, sizeof(name));
		err = read_file(queue, name, &header, body);
		if (!err) {
			*samples = header.samples;
			return 1;
		}
		if (err != -EUCLEAN && err != -ENOENT)
			return err;
		queue->stats.damaged_items++;
		queue->stats.dropped_samples += queue->items[queue->first].samples;
		log_warn("export: %s/%s is damaged and can't be sent; it is removed", queue->path,
		         name);
		err = remove_first(queue);
		if (err)
			return err;
	}
	return 0;
}

int queue__remove(struct queue *queue)
{
	return queue->cnt ? remove_first(queue) : 0;
}

void queue__stats(const struct queue *queue, struct queue_stats *stats)
{
	*stats = queue->stats;
}
