// SPDX-License-Identifier: Apache-2.0
#include "collect/images.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/process.h"
#include "util/clock.h"
#include "util/hmap.h"
#include "util/log.h"

/* A process that looks like a Python still starting is looked at again after 1, 2, 4 ... ms. */
#define LOOK_FIRST_NS (1 * NSEC_PER_MSEC)
/* A process without Python may load one later (an embedder): looked at again ever more rarely, and
 * only if it ran meanwhile.
 */
#define LOOK_AGAIN_NS (200 * NSEC_PER_MSEC)
#define LOOK_MAX_NS   (60 * NSEC_PER_SEC)

struct images {
	struct kern *kern;
	struct py_cache *cache;
	struct image *items;
	uint32_t cnt;
	uint32_t cap;
	struct hmap map;
	struct pv_layout layouts[PV_MAX_LAYOUTS];
	uint32_t layout_cnt;
};

struct images *images__new(struct kern *kern)
{
	struct images *images = calloc(1, sizeof(*images));

	if (!images)
		return NULL;
	images->kern = kern;
	images->cache = py_cache__new();
	if (!images->cache) {
		free(images);
		return NULL;
	}
	return images;
}

void images__free(struct images *images)
{
	if (!images)
		return;
	for (uint32_t i = 0; i < images->cnt; i++) {
		free(images->items[i].runtime);
		free(images->items[i].cmdline);
	}
	free(images->items);
	hmap_free(&images->map);
	py_cache__free(images->cache);
	free(images);
}

struct image_key {
	const struct images *images;
	const struct pv_proc_id *id;
};

static bool image_eq(const void *ctx, uint32_t index)
{
	const struct image_key *key = ctx;

	return !memcmp(&key->images->items[index].id, key->id, sizeof(*key->id));
}

static uint64_t id_hash(const struct pv_proc_id *id)
{
	return hash_u64(id->start_ns ^ (uint64_t)id->tgid << 32 ^ id->exec_id);
}

uint32_t images__find(const struct images *images, const struct pv_proc_id *id)
{
	const struct image_key key = { images, id };

	return hmap_find(&images->map, id_hash(id), image_eq, &key);
}

uint32_t images__get(struct images *images, const struct pv_proc_id *id)
{
	uint32_t index = images__find(images, id);

	if (index != HMAP_NONE)
		return index;
	if (images->cnt >= IMAGES_MAX)
		return IMAGE_NONE;
	if (images->cnt == images->cap) {
		uint32_t cap = images->cap ? images->cap * 2 : 64;
		struct image *items = realloc(images->items, cap * sizeof(*items));

		if (!items)
			return IMAGE_NONE;
		images->items = items;
		images->cap = cap;
	}
	if (hmap_add(&images->map, id_hash(id), images->cnt))
		return IMAGE_NONE;
	images->items[images->cnt] = (struct image){ .id = *id, .alive = true };
	return images->cnt++;
}

struct image *images__at(struct images *images, uint32_t index)
{
	return &images->items[index];
}

uint32_t images__cnt(const struct images *images)
{
	return images->cnt;
}

const struct pv_layout *images__layout(const struct images *images, uint16_t layout)
{
	return layout < images->layout_cnt ? &images->layouts[layout] : NULL;
}

void images__note_layout(struct images *images, uint32_t index, uint16_t layout)
{
	struct image *image = &images->items[index];

	if (image->version || layout >= images->layout_cnt)
		return;
	image->layout = layout;
	image->version = images->layouts[layout].version;
}

/* The index of this layout, told to the kernel side if it is new. Negative errno. */
static int layout_index(struct images *images, const struct pv_layout *layout)
{
	uint32_t i;
	int err;

	for (i = 0; i < images->layout_cnt; i++)
		if (!memcmp(&images->layouts[i], layout, sizeof(*layout)))
			return (int)i;
	if (i == PV_MAX_LAYOUTS)
		return -ENOSPC;
	err = kern__set_layout(images->kern, i, layout);
	if (err)
		return err;
	images->layouts[i] = *layout;
	images->layout_cnt++;
	return (int)i;
}

static void read_cmdline(struct image *image)
{
	struct buf text = { 0 };

	if (!process_cmdline((pid_t)image->id.tgid, &text) && text.len) {
		free(image->cmdline);
		image->cmdline = strdup(buf_str(&text));
	}
	buf_free(&text);
}

/* When to look again, by what was seen. */
static void schedule(struct image *image, uint64_t now_ns)
{
	uint64_t wait = 0;

	if (image->state == PV_PROC_UNDECIDED)
		wait = LOOK_FIRST_NS;
	else if (image->state == PV_PROC_NOT_PYTHON)
		wait = LOOK_AGAIN_NS;
	if (!wait) {
		image->look_ns = 0;
		return;
	}
	wait <<= image->look_cnt < 24 ? image->look_cnt : 24;
	image->look_ns = now_ns + (wait < LOOK_MAX_NS ? wait : LOOK_MAX_NS);
}

static int tell_kernel(struct images *images, struct image *image, struct py_runtime *runtime)
{
	struct pv_proc *proc = &runtime->proc;
	int index = 0;

	if (proc->state == PV_PROC_PYTHON) {
		index = layout_index(images, &runtime->layout);
		if (index < 0) {
			log_warn("process %u: no room for another memory layout", image->id.tgid);
			proc->state = PV_PROC_UNSUPPORTED;
			index = 0;
		}
	}
	proc->id = image->id;
	proc->flags = image->flags;
	proc->layout = (uint16_t)index;
	proc->tick_cnt = 0;
	image->layout = (uint16_t)index;
	return kern__set_proc(images->kern, proc);
}

int images__look(struct images *images, uint32_t index, char *reason, size_t reason_len)
{
	struct py_runtime *runtime = calloc(1, sizeof(*runtime));
	struct image *image = &images->items[index];
	int err;

	if (!runtime)
		return -ENOMEM;
	err = py_runtime__find(images->cache, (pid_t)image->id.tgid, runtime);
	if (err) {
		/* Gone or not ours to read: its exit event, or nothing, will follow. */
		image->look_ns = 0;
		free(runtime);
		return err;
	}
	if (reason)
		snprintf(reason, reason_len, "%s", runtime->reason);
	if (runtime->proc.state != PV_PROC_NOT_PYTHON &&
	    (!image->cmdline || image->state == PV_PROC_UNDECIDED))
		read_cmdline(image);
	image->state = runtime->proc.state;
	image->tick_cnt = 0;
	err = tell_kernel(images, image, runtime);
	schedule(image, clock_ns(CLOCK_MONOTONIC));
	image->look_cnt++;
	free(image->runtime);
	image->runtime = NULL;
	if (image->state == PV_PROC_PYTHON) {
		image->version = runtime->layout.version;
		image->runtime = runtime;
		runtime = NULL;
	}
	log_debug("process %u: state %u, look %u", image->id.tgid, image->state, image->look_cnt);
	free(runtime);
	return err;
}

void images__forked(struct images *images, const struct pv_proc_id *child,
                    const struct pv_proc_id *parent)
{
	uint32_t from = images__find(images, parent), to = images__get(images, child);
	struct image *image, *origin;

	if (to == IMAGE_NONE || from == IMAGE_NONE)
		return;
	image = &images->items[to];
	origin = &images->items[from];
	if (image->look_cnt)
		return; /* the scan met it first */
	image->state = origin->state;
	image->flags = origin->flags;
	image->version = origin->version;
	image->layout = origin->layout;
	if (origin->cmdline)
		image->cmdline = strdup(origin->cmdline);
	if (origin->runtime) {
		image->runtime = malloc(sizeof(*image->runtime));
		if (image->runtime)
			*image->runtime = *origin->runtime;
	}
	/* The parent was looked at before or after the copy was made: make sure of the child. */
	if (image->state == PV_PROC_UNDECIDED)
		schedule(image, clock_ns(CLOCK_MONOTONIC));
}

void images__gone(struct images *images, uint32_t index)
{
	struct image *image = &images->items[index];

	image->alive = false;
	image->look_ns = 0;
	free(image->runtime);
	image->runtime = NULL;
	/* An update that crossed the exit would have put the entry back. */
	kern__del_proc(images->kern, &image->id);
}

uint64_t images__look_due(struct images *images, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < images->cnt; i++) {
		struct image *image = &images->items[i];
		struct pv_proc proc;

		if (!image->alive || !image->look_ns)
			continue;
		if (image->look_ns <= now_ns) {
			if (image->state == PV_PROC_NOT_PYTHON &&
			    !kern__get_proc(images->kern, image->id.tgid, &proc) &&
			    proc.tick_cnt == image->tick_cnt)
				schedule(image, now_ns); /* it did not run */
			else
				images__look(images, i, NULL, 0);
		}
		if (image->look_ns && image->look_ns < next_ns)
			next_ns = image->look_ns;
	}
	return next_ns == UINT64_MAX || next_ns <= now_ns ? next_ns : next_ns - now_ns;
}
