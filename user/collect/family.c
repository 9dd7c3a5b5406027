// SPDX-License-Identifier: Apache-2.0
#include "collect/family.h"

#include <errno.h>
#include <stdlib.h>

#include "proc/process.h"

/* A process that runs already, for the search for children. */
struct relative {
	struct pv_listed listed;
	pid_t parent;
	bool added;
};

struct family {
	struct relative *items;
	size_t cnt;
	size_t cap;
};

static int on_process(void *ctx, const struct pv_listed *listed)
{
	struct family *family = ctx;

	if (family->cnt == family->cap) {
		size_t cap = family->cap ? family->cap * 2 : 256;
		struct relative *items = realloc(family->items, cap * sizeof(*items));

		if (!items)
			return -ENOMEM;
		family->items = items;
		family->cap = cap;
	}
	family->items[family->cnt++] =
		(struct relative){ .listed = *listed,
		                   .parent = process_parent((pid_t)listed->pid) };
	return 0;
}

static bool is_selected(const struct family *family, const pid_t *pids, size_t pid_cnt, pid_t pid)
{
	for (size_t i = 0; i < pid_cnt; i++)
		if (pids[i] == pid)
			return true;
	for (size_t i = 0; i < family->cnt; i++)
		if (family->items[i].added && (pid_t)family->items[i].listed.pid == pid)
			return true;
	return false;
}

/* One round over all processes; true: somebody was added. */
static bool add_round(struct family *family, struct images *images, const pid_t *pids,
                      size_t pid_cnt)
{
	bool more = false;

	for (size_t i = 0; i < family->cnt; i++) {
		struct relative *child = &family->items[i];
		uint32_t index;

		if (child->added || !is_selected(family, pids, pid_cnt, child->parent))
			continue;
		child->added = true;
		index = images__get(images, &child->listed.id, child->listed.pid);
		if (index == IMAGE_NONE)
			continue;
		more = true;
		images__note_exe(images, index, &child->listed.exe);
		images__at(images, index)->flags |= PV_PROC_WANTED | PV_PROC_CHILDREN;
		images__look(images, index, NULL, 0);
	}
	return more;
}

/* List and add once. 1: somebody was added, 0 or negative errno. */
static int add_listed(struct kern *kern, struct images *images, const pid_t *pids, size_t pid_cnt)
{
	struct family family = { 0 };
	int err = kern__each_process(kern, on_process, &family);
	bool added = false;

	for (size_t i = 0; i < family.cnt; i++) {
		struct relative *child = &family.items[i];
		uint32_t index = images__find(images, &child->listed.id);

		child->added =
			index != IMAGE_NONE && images__at(images, index)->flags & PV_PROC_CHILDREN;
	}
	while (!err && add_round(&family, images, pids, pid_cnt))
		added = true;
	free(family.items);
	return err ? err : added;
}

int family_add(struct kern *kern, struct images *images, const pid_t *pids, size_t pid_cnt)
{
	int more;

	/* Whoever was added may have had a child between the list and the addition. */
	do {
		more = add_listed(kern, images, pids, pid_cnt);
	} while (more > 0);
	return more;
}
