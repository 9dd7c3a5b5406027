// SPDX-License-Identifier: Apache-2.0
#include "out/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "profile/select.h"

/* Tells the base's threads from the profile's: keys are times since the boot, in ns. */
#define BASE_MARK (1ull << 63)

/* Samples of either side from the values' nodes; totals from the leaves on. */
static int split(struct diff *diff)
{
	struct view *view = &diff->view;
	size_t cnt;
	const struct profile_value *values = profile__values(diff->both, &cnt);

	diff->base_self = calloc((size_t)view->node_cnt + 1, sizeof(*diff->base_self));
	diff->base_total = calloc((size_t)view->node_cnt + 1, sizeof(*diff->base_total));
	if (!diff->base_self || !diff->base_total)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->node_cnt; i++)
		view->nodes[i].total = view->nodes[i].self = 0;
	for (size_t i = 0; i < cnt; i++) {
		const struct profile_track *track = profile__track_at(diff->both, values[i].track);

		if (track->thread_key & BASE_MARK)
			diff->base_self[view->value_nodes[i]] += values[i].cnt;
		else
			view->nodes[view->value_nodes[i]].self += values[i].cnt;
	}
	for (uint32_t i = view->node_cnt; i--;) {
		view->nodes[i].total += view->nodes[i].self;
		diff->base_total[i] += diff->base_self[i];
		if (i == VIEW_ROOT)
			continue;
		view->nodes[view->nodes[i].parent].total += view->nodes[i].total;
		diff->base_total[view->nodes[i].parent] += diff->base_total[i];
	}
	return 0;
}

int diff_open(struct diff *diff, struct profile *profile, struct profile *base,
              const struct out_view *options, enum view_text mode)
{
	int err = -ENOMEM;

	*diff = (struct diff){ .both = profile__new() };
	if (diff->both)
		err = select__add(NULL, profile, 0, diff->both);
	if (!err)
		err = select__add(NULL, base, BASE_MARK, diff->both);
	if (err)
		return err;
	profile__drop_points(diff->both);
	profile__set_meta(diff->both, profile__meta(profile));
	err = view_open(&diff->view, diff->both, options, mode);
	return err ? err : split(diff);
}

void diff_close(struct diff *diff)
{
	view_close(&diff->view);
	profile__free(diff->both);
	free(diff->base_self);
	free(diff->base_total);
	*diff = (struct diff){ 0 };
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

double diff_base_share(const struct diff *diff, uint32_t node)
{
	return percent(diff->base_total[node], diff->base_total[VIEW_ROOT]);
}

double diff_share(const struct diff *diff, uint32_t node)
{
	return percent(diff->view.nodes[node].total, diff->view.nodes[VIEW_ROOT].total);
}
