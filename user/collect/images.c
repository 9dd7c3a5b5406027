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
/* A process without Python may load one later (an embedder), and one that could not be read may
 * become readable: looked at again after twice as long each time, the former only when it ran meanwhile.
 */
#define LOOK_AGAIN_NS (100 * NSEC_PER_MSEC)
#define LOOK_MAX_NS   (60 * NSEC_PER_SEC)
/* What the kernel side has configured itself is looked at only for the names of its threads, and not
 * at all if it has ended by then.
 */
#define LOOK_KNOWN_NS (200 * NSEC_PER_MSEC)

/* There are not that many CPythons. */
#define VERSIONS_MAX 32

struct list {
	uint32_t *items;
	uint32_t cnt;
	uint32_t cap;
};

struct images {
	struct kern *kern;
	struct py_cache *cache;
	struct image *items;
	uint32_t cnt;
	uint32_t cap;
	struct list alive;
	struct list spare;    /* indices without an image */
	uint32_t ended_first; /* IMAGE_NONE: none */
	uint32_t ended_last;
	uint32_t swept;  /* where images__sweep() left off */
	uint64_t due_ns; /* none is to be looked at before */
	bool patient;
	struct hmap map;
	struct pv_layout layouts[PV_MAX_LAYOUTS];
	uint32_t layout_cnt;
	uint16_t versions[VERSIONS_MAX]; /* met so far; 0: none */
};

struct images *images__new(struct kern *kern)
{
	struct images *images = calloc(1, sizeof(*images));

	if (!images)
		return NULL;
	images->kern = kern;
	images->ended_first = IMAGE_NONE;
	images->due_ns = UINT64_MAX;
	images->cache = py_cache__new();
	if (!images->cache) {
		free(images);
		return NULL;
	}
	return images;
}

void images__set_patient(struct images *images)
{
	images->patient = true;
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
	free(images->alive.items);
	free(images->spare.items);
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

/* Room for one more in each list, so that the end of an image needs no memory. */
static bool list_reserve(struct list *list, uint32_t cnt)
{
	uint32_t cap = list->cap ? list->cap * 2 : 64;
	uint32_t *items;

	if (cnt <= list->cap)
		return true;
	items = realloc(list->items, cap * sizeof(*items));
	if (!items)
		return false;
	list->items = items;
	list->cap = cap;
	return true;
}

/* An index without an image; IMAGE_NONE: no memory, bound. */
static uint32_t image_slot(struct images *images)
{
	if (!list_reserve(&images->alive, images->alive.cnt + 1))
		return IMAGE_NONE;
	if (images->spare.cnt)
		return images->spare.items[--images->spare.cnt];
	if (images->cnt >= IMAGES_MAX || !list_reserve(&images->spare, images->cnt + 1))
		return IMAGE_NONE;
	if (images->cnt == images->cap) {
		uint32_t cap = images->cap ? images->cap * 2 : 64;
		struct image *items = realloc(images->items, cap * sizeof(*items));

		if (!items)
			return IMAGE_NONE;
		images->items = items;
		images->cap = cap;
	}
	images->items[images->cnt] = (struct image){ 0 };
	return images->cnt++;
}

uint32_t images__get(struct images *images, const struct pv_proc_id *id, uint32_t pid)
{
	uint32_t index = images__find(images, id);

	if (index != HMAP_NONE)
		return index;
	index = image_slot(images);
	if (index == IMAGE_NONE)
		return IMAGE_NONE;
	if (hmap_add(&images->map, id_hash(id), index)) {
		images->spare.items[images->spare.cnt++] = index;
		return IMAGE_NONE;
	}
	images->items[index] = (struct image){
		.id = *id, .pid = (pid_t)pid, .alive = true, .alive_at = images->alive.cnt
	};
	images->alive.items[images->alive.cnt++] = index;
	return index;
}

struct image *images__at(struct images *images, uint32_t index)
{
	return &images->items[index];
}

uint32_t images__cnt(const struct images *images)
{
	return images->cnt;
}

uint32_t images__alive_cnt(const struct images *images)
{
	return images->alive.cnt;
}

uint32_t images__alive(const struct images *images, uint32_t at)
{
	return images->alive.items[at];
}

const struct pv_layout *images__layout(const struct images *images, uint16_t layout)
{
	return layout < images->layout_cnt ? &images->layouts[layout] : NULL;
}

static void set_version(struct images *images, struct image *image, uint16_t version)
{
	uint32_t i = 0;

	image->version = version;
	while (i < VERSIONS_MAX && images->versions[i] && images->versions[i] != version)
		i++;
	if (i < VERSIONS_MAX)
		images->versions[i] = version;
}

uint16_t images__version(const struct images *images, uint32_t at)
{
	return at < VERSIONS_MAX ? images->versions[at] : 0;
}

static void look_at(struct images *images, struct image *image, uint64_t at_ns)
{
	/* What may be a Python whose ticks are not understood yet cannot wait. */
	if (images->patient && image->state != PV_PROC_UNDECIDED)
		at_ns += NSEC_PER_SEC - 1 - (at_ns + NSEC_PER_SEC - 1) % NSEC_PER_SEC;
	image->look_ns = at_ns;
	if (at_ns < images->due_ns)
		images->due_ns = at_ns;
}

void images__note_sample(struct images *images, uint32_t index, uint16_t layout)
{
	struct image *image = &images->items[index];

	if (image->version || layout >= images->layout_cnt)
		return;
	image->layout = layout;
	set_version(images, image, images->layouts[layout].version);
	/* Its command line and where its threads' names are is still to be found. */
	if (image->alive && !image->look_ns)
		look_at(images, image, clock_ns(CLOCK_MONOTONIC));
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

/* NULL: not to be had. */
static char *read_cmdline(const struct image *image)
{
	struct buf text = { 0 };
	char *cmdline = NULL;

	if (!process_cmdline(image->pid, &text) && text.len)
		cmdline = strdup(buf_str(&text));
	buf_free(&text);
	return cmdline;
}

static void schedule(struct images *images, struct image *image, uint64_t wait_ns)
{
	wait_ns <<= image->look_cnt < 24 ? image->look_cnt : 24;
	look_at(images, image,
	        clock_ns(CLOCK_MONOTONIC) + (wait_ns < LOOK_MAX_NS ? wait_ns : LOOK_MAX_NS));
}

/*
 * Does the process run @image now? 0, -ESRCH (it has ended), -ESTALE (it has exec'd, and the event of
 * that is still to come). The kernel side's entry is replaced by an exec and deleted by the exit, so
 * it decides where there is one; it also knows what the image is wanted for.
 */
static int image_confirm(struct images *images, struct image *image)
{
	const struct pv_proc_id *id = &image->id;
	struct pv_proc proc;

	if (!kern__get_proc(images->kern, id->tgid, &proc) && proc.id.start_ns == id->start_ns) {
		/* A tick can be faster than the exec's own event: then the entry is behind us. */
		if ((int32_t)(proc.id.exec_id - id->exec_id) > 0)
			return -ESTALE;
		image->flags |= proc.flags;
		return process_exists(image->pid) ? 0 : -ESRCH;
	}
	/* Never entered (the scan is first to meet it), or exited. */
	return process_has_thread(image->pid, image->pid, id->start_ns) ? 0 : -ESRCH;
}

bool images__is_current(struct images *images, uint32_t index)
{
	struct image *image = &images->items[index];

	return image->alive && !image_confirm(images, image);
}

/* Complete what a look has found of one runtime. */
static void proc_fill(struct images *images, const struct image *image, struct py_runtime *runtime)
{
	struct pv_proc *proc = &runtime->proc;
	int index = 0;

	if (proc->state == PV_PROC_PYTHON) {
		index = layout_index(images, &runtime->layout);
		if (index < 0) {
			log_warn("process %d: no room for another memory layout", image->pid);
			proc->state = PV_PROC_UNSUPPORTED;
			index = 0;
		}
	}
	proc->id = image->id;
	proc->flags = image->flags;
	proc->layout = (uint16_t)index;
	proc->tick_cnt = 0;
	proc->has_second = 0;
}

static int tell_kernel(struct images *images, struct image *image, struct py_runtime *runtimes)
{
	static const struct pv_exe_id none;
	struct py_runtime *runtime = &runtimes[0], *second = &runtimes[1];
	struct pv_proc *proc = &runtime->proc, now = { 0 };

	if (kern__get_proc(images->kern, image->id.tgid, &now) ||
	    memcmp(&now.id, &image->id, sizeof(now.id)) != 0)
		now = (struct pv_proc){ 0 };
	/* The kernel side may have got further by itself than a look that came too early. */
	if (proc->state == PV_PROC_UNDECIDED &&
	    (now.state == PV_PROC_STARTING || now.state == PV_PROC_PYTHON))
		return 0;
	proc_fill(images, image, runtime);
	proc_fill(images, image, second);
	proc->lost_cnt = now.lost_cnt;
	image->layout = proc->layout;
	if (proc->state == PV_PROC_PYTHON && second->proc.state == PV_PROC_PYTHON)
		proc->has_second = !kern__set_second(images->kern, &second->proc);
	image->two_runtimes |= proc->has_second;
	if (runtime->exe_known && memcmp(&image->exe, &none, sizeof(none)) != 0) {
		runtime->exe.proc.state = proc->state;
		runtime->exe.proc.layout = proc->layout;
		kern__set_exe(images->kern, &image->exe, &runtime->exe);
	}
	return kern__set_proc(images->kern, proc);
}

const struct py_runtime *images__runtime(const struct image *image, uint16_t layout)
{
	const struct py_runtime *second = image->runtime ? &image->runtime[1] : NULL;

	return second && second->proc.state == PV_PROC_PYTHON && second->proc.layout == layout
	               ? second
	               : image->runtime;
}

/* What a look has found of an image that still runs. @runtime is taken over. */
static int image_found(struct images *images, struct image *image, struct py_runtime *runtime)
{
	int err;

	err = tell_kernel(images, image, runtime);
	image->state = runtime->proc.state;
	image->look_ns = 0;
	if (image->state == PV_PROC_UNDECIDED)
		schedule(images, image, LOOK_FIRST_NS);
	else if (err)
		schedule(images, image, LOOK_AGAIN_NS);
	image->look_cnt++;
	free(image->runtime);
	image->runtime = NULL;
	if (image->state == PV_PROC_PYTHON) {
		set_version(images, image, runtime->layout.version);
		image->runtime = runtime;
		runtime = NULL;
	}
	log_debug("process %d: state %u, look %u", image->pid, image->state, image->look_cnt);
	free(runtime);
	return err;
}

int images__look(struct images *images, uint32_t index, char *reason, size_t reason_len)
{
	struct py_runtime *runtime = calloc(PY_RUNTIMES_MAX, sizeof(*runtime));
	struct image *image = &images->items[index];
	char *cmdline = NULL;
	int err;

	if (!runtime)
		return -ENOMEM;
	err = py_runtime__find(images->cache, image->pid, runtime, PY_RUNTIMES_MAX);
	if (!err && runtime->proc.state != PV_PROC_NOT_PYTHON &&
	    (!image->cmdline || image->state == PV_PROC_UNDECIDED))
		cmdline = read_cmdline(image);
	if (!err)
		err = image_confirm(images, image);
	if (err) {
		free(runtime);
		free(cmdline);
		if (err == -ESRCH) {
			images__gone(images, index);
			return err;
		}
		image->look_ns = 0;
		/* Not ours to read, or a file of it is not: that may pass. */
		if (err != -ESTALE)
			schedule(images, image, LOOK_AGAIN_NS);
		image->look_cnt++;
		return err;
	}
	if (cmdline) {
		free(image->cmdline);
		image->cmdline = cmdline;
	}
	if (reason)
		snprintf(reason, reason_len, "%s", runtime->reason);
	return image_found(images, image, runtime);
}

void images__note_exe(struct images *images, uint32_t index, const struct pv_exe_id *exe)
{
	images->items[index].exe = *exe;
}

void images__recognised(struct images *images, uint32_t index, uint8_t state, char *cmdline,
                        uint64_t exec_ns)
{
	struct image *image = &images->items[index];

	if (cmdline) {
		free(image->cmdline);
		image->cmdline = cmdline;
	}
	if (image->look_cnt)
		return;
	image->state = state == PV_PROC_STARTING ? PV_PROC_PYTHON : state;
	if (image->state == PV_PROC_PYTHON)
		look_at(images, image, exec_ns + LOOK_KNOWN_NS);
}

void images__asked(struct images *images, uint32_t index)
{
	struct image *image = &images->items[index];

	bool is_known = image->state == PV_PROC_NOT_PYTHON || image->state == PV_PROC_PYTHON;

	if (image->alive && !image->look_ns)
		schedule(images, image, is_known ? LOOK_AGAIN_NS : LOOK_FIRST_NS);
}

static void image_copy(struct image *image, const struct image *origin)
{
	image->state = origin->state;
	image->flags = origin->flags;
	image->version = origin->version;
	image->layout = origin->layout;
	image->two_runtimes = origin->two_runtimes;
	if (origin->cmdline && !image->cmdline)
		image->cmdline = strdup(origin->cmdline);
	if (origin->runtime && !image->runtime) {
		image->runtime = calloc(PY_RUNTIMES_MAX, sizeof(*image->runtime));
		if (image->runtime)
			memcpy(image->runtime, origin->runtime,
			       PY_RUNTIMES_MAX * sizeof(*image->runtime));
	}
}

void images__forked(struct images *images, const struct pv_proc_id *child, uint32_t pid,
                    const struct pv_proc_id *parent)
{
	uint32_t from = images__find(images, parent), to = images__get(images, child, pid);
	struct image *image;
	struct pv_proc proc;

	if (to == IMAGE_NONE)
		return;
	image = &images->items[to];
	if (image->look_cnt || !image->alive)
		return; /* the scan met it first */
	if (from != IMAGE_NONE)
		image_copy(image, &images->items[from]);
	/*
	 * The kernel side copied its own entry, at the time of the fork: the parent may have been looked
	 * at since. Without an entry the child has ended already.
	 */
	if (!kern__get_proc(images->kern, child->tgid, &proc) &&
	    (proc.state != image->state || proc.state == PV_PROC_UNDECIDED))
		look_at(images, image, clock_ns(CLOCK_MONOTONIC));
}

static void image_free(struct images *images, uint32_t index)
{
	struct image *image = &images->items[index];

	free(image->cmdline);
	hmap_del(&images->map, id_hash(&image->id), index);
	/* Nobody who remembers the index finds there whom he knew. */
	*image = (struct image){ 0 };
	images->spare.items[images->spare.cnt++] = index;
}

uint32_t images__ended(const struct images *images)
{
	return images->ended_first;
}

void images__forget(struct images *images)
{
	uint32_t index = images->ended_first;

	images->ended_first = images->items[index].next_ended;
	image_free(images, index);
}

static void image_end(struct images *images, uint32_t index)
{
	struct image *image = &images->items[index];
	uint32_t last;

	image->alive = false;
	image->look_ns = 0;
	free(image->runtime);
	image->runtime = NULL;
	last = images->alive.items[--images->alive.cnt];
	images->alive.items[image->alive_at] = last;
	images->items[last].alive_at = image->alive_at;
	if (!image->recorded) {
		image_free(images, index);
		return;
	}
	image->end_ns = clock_ns(CLOCK_MONOTONIC);
	image->next_ended = IMAGE_NONE;
	if (images->ended_first == IMAGE_NONE)
		images->ended_first = index;
	else
		images->items[images->ended_last].next_ended = index;
	images->ended_last = index;
}

void images__gone(struct images *images, uint32_t index)
{
	if (!images->items[index].alive)
		return;
	/* An update that crossed the exit would have put the entry back. */
	kern__del_proc(images->kern, &images->items[index].id);
	image_end(images, index);
}

void images__replaced(struct images *images, uint32_t old, uint32_t index)
{
	const struct image *from = &images->items[old];
	struct image *to = &images->items[index];

	if (!from->alive)
		return;
	to->target |= from->target;
	to->flags |= from->flags;
	/* The entry stays: the exec, which may not have got that far, finds there what is wanted. */
	image_end(images, old);
}

/* Look at those that are due, and find out which is next. */
static void look_at_due(struct images *images, uint64_t now_ns)
{
	images->due_ns = UINT64_MAX;
	/* From the end: one that is gone is replaced by one that was seen already. */
	for (uint32_t i = images->alive.cnt; i-- > 0;) {
		uint32_t index = images->alive.items[i];
		struct image *image = &images->items[index];

		if (!image->look_ns)
			continue;
		if (image->look_ns <= now_ns && images__look(images, index, NULL, 0) == -ESRCH)
			continue;
		if (image->look_ns && image->look_ns < images->due_ns)
			images->due_ns = image->look_ns;
	}
}

uint64_t images__look_due(struct images *images, uint64_t now_ns)
{
	if (images->due_ns <= now_ns)
		look_at_due(images, now_ns);
	if (images->due_ns == UINT64_MAX)
		return UINT64_MAX;
	return images->due_ns > now_ns ? images->due_ns - now_ns : 0;
}

/* The end of @index: false if it has not come. */
static bool sweep_one(struct images *images, uint32_t index)
{
	struct image *image = &images->items[index];
	int err = image_confirm(images, image);

	/* A target hands on what it is to the image after the exec: see the session. */
	if (!err || (err == -ESTALE && image->target))
		return false;
	images__gone(images, index);
	return true;
}

void images__sweep(struct images *images, uint32_t max)
{
	for (uint32_t i = images->alive.cnt; i-- > 0;)
		if (images->items[images->alive.items[i]].target)
			sweep_one(images, images->alive.items[i]);
	for (uint32_t left = images->alive.cnt < max ? images->alive.cnt : max; left; left--) {
		if (images->swept >= images->alive.cnt)
			images->swept = 0;
		/* One that is gone is replaced by another. */
		if (!images->alive.cnt || !sweep_one(images, images->alive.items[images->swept]))
			images->swept++;
	}
}
