/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * heirs.c - walks the two automatons of cgroup paths together, by one component for each way in
 * which a name can be taken.
 */
#include "user/policy/heirs.h"

#include <string.h>

/* Behind a prefix, what no policy writes: so the name goes the way of `*`. */
static const char anything = '\1';

/* How far one of the two automatons got along a path. */
struct stop {
	const struct image *image;
	uint32_t state;
	uint32_t service; /* the last one that was named */
	bool is_running;
};

struct walk {
	uint32_t service;
	bool *heir;
};

static size_t first_step(const struct image *image, uint32_t state)
{
	size_t low = 0, high = image->step_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (image->steps[middle].key.state < state)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct stop go(const struct stop *from, const char *name, size_t length)
{
	const struct weir_path_step *step =
		from->is_running ? image_take_step(from->image, from->state, name, length) : NULL;
	struct stop to = *from;

	to.is_running = step != NULL;
	if (step)
		to.state = step->next;
	if (step && step->service != WEIR_ANY)
		to.service = step->service;
	return to;
}

static void walk(const struct walk *walking, const struct stop *before, const struct stop *after,
		 unsigned int depth);

/* Each name that the steps out of `by` tell from others. */
static void walk_steps(const struct walk *walking, const struct stop *before,
		       const struct stop *after, const struct stop *by, unsigned int depth)
{
	const struct image *image = by->image;
	char name[WEIR_PATH_NAME + 1];

	if (!by->is_running)
		return;
	for (size_t i = first_step(image, by->state);
	     i < image->step_count && image->steps[i].key.state == by->state; i++) {
		const struct weir_path_key *key = &image->steps[i].key;
		size_t length = (key->prefixlen - 32) / 8;
		struct stop next_before, next_after;

		memcpy(name, key->name, length);
		if (length && name[length - 1] == '\0')
			length--; /* a literal, with its end */
		else
			name[length++] = anything;
		next_before = go(before, name, length);
		next_after = go(after, name, length);
		walk(walking, &next_before, &next_after, depth + 1);
	}
}

static void walk(const struct walk *walking, const struct stop *before, const struct stop *after,
		 unsigned int depth)
{
	if (before->service == walking->service)
		walking->heir[after->service] = true;
	if (depth == WEIR_PATH_DEPTH)
		return;
	walk_steps(walking, before, after, before, depth);
	walk_steps(walking, before, after, after, depth);
}

void image_heirs(const struct image *before, uint32_t service, const struct image *after,
		 bool *heir)
{
	const struct walk walking = {service, heir};
	struct stop from = {before, 0, WEIR_SERVICE_OTHER, true};
	struct stop to = {after, 0, WEIR_SERVICE_OTHER, true};

	memset(heir, 0, after->head.services * sizeof(*heir));
	if (service < WEIR_SERVICE_NAMED)
		heir[service] = true;
	else
		walk(&walking, &from, &to, 0);
}
