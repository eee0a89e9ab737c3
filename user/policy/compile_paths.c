/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_paths.c - the services' cgroup paths -> the automaton of struct weir_path_key.
 *
 * A state is the set of patterns that match all components so far; state 0, of all patterns, is the
 * guarded root. A step out of a state is one component as some pattern of its set writes it, a
 * literal or a prefix before `*`. It leads to those that match whatever the trie finds by this
 * step: the ones that write the same, and the ones whose prefix this component begins with. The
 * trie finds the longest, so a longer one may count on not being shadowed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/policy/arena.h"
#include "user/policy/compile.h"

/* Longer names reach the kernel's key without their end, so a literal could not be told apart. */
enum { LONGEST = WEIR_PATH_NAME - 2, MOST_MEMBERS = 1 << 24 };

struct component {
	const char *text; /* in the policy, not terminated */
	uint32_t length;  /* without the `*` */
	bool is_prefix;
};

struct pattern {
	struct component component[WEIR_PATH_DEPTH];
	uint32_t depth;
	uint32_t service;
	struct position at;
};

/* members[0] is the depth; then come the indices of the patterns, rising. */
struct state {
	uint32_t *members;
	size_t count;
};

struct paths_build {
	struct compile *c;
	struct pattern *patterns;
	size_t pattern_count;
	struct state *states;
	size_t state_count;
	size_t member_sum;
	struct arena arena;
	struct table seen; /* members -> state */
	/* scratch for one state: its patterns by component, and the set of one step */
	const struct pattern **sorted;
	uint32_t *set;
};

/* ---- patterns
 * ----------------------------------------------------------------------------------*/

static int split_path(struct compile *c, const struct name *path, struct pattern *pattern)
{
	const char *text = path->text;

	for (text += strspn(text, "/"); *text; text += strspn(text, "/")) {
		struct component *component = &pattern->component[pattern->depth];
		size_t length = strcspn(text, "/");

		if (pattern->depth == WEIR_PATH_DEPTH)
			return compile_fault(c, path->at, "more than %d components in a path",
					     WEIR_PATH_DEPTH);
		component->text = text;
		component->is_prefix = text[length - 1] == '*';
		component->length = length - component->is_prefix;
		if (component->length > LONGEST)
			return compile_fault(c, path->at,
					     "a component of more than %d bytes; end it with \"*\"",
					     LONGEST);
		if (memchr(text, '*', component->length))
			return compile_fault(c, path->at, "\"*\" is for the end of a component");
		pattern->depth++;
		text += length;
	}
	if (!pattern->depth)
		return compile_fault(c, path->at, "a path needs a component");
	return 0;
}

static int gather(struct paths_build *build)
{
	const struct policy *policy = build->c->policy;

	for (size_t i = 0; i < policy->service_count; i++) {
		const struct names *cgroups = &policy->services[i].cgroups;

		for (size_t j = 0; j < cgroups->count; j++) {
			struct pattern *pattern = ARRAY_ADD(build->patterns, build->pattern_count);
			int r;

			if (!pattern)
				return -ENOMEM;
			build->pattern_count++;
			pattern->service = WEIR_SERVICE_NAMED + i;
			pattern->at = cgroups->item[j].at;
			r = split_path(build->c, &cgroups->item[j], pattern);
			if (r)
				return r;
		}
	}
	build->sorted = calloc(build->pattern_count + 1, sizeof(*build->sorted));
	build->set = calloc(build->pattern_count + 1, sizeof(*build->set));
	return build->sorted && build->set ? 0 : -ENOMEM;
}

/* By bytes; a prefix stands before all that begins with it, a literal of the same bytes too. */
static int component_order(const struct component *a, const struct component *b)
{
	uint32_t shorter = a->length < b->length ? a->length : b->length;
	int order = memcmp(a->text, b->text, shorter);

	if (order)
		return order;
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return b->is_prefix - a->is_prefix;
}

static bool begins_with(const struct component *component, const struct component *prefix)
{
	return prefix->is_prefix && component->length >= prefix->length &&
	       !memcmp(component->text, prefix->text, prefix->length);
}

static int pattern_order(const void *a, const void *b, void *data)
{
	const struct pattern *x = *(const struct pattern *const *)a;
	const struct pattern *y = *(const struct pattern *const *)b;
	uint32_t depth = *(const uint32_t *)data;
	int order = component_order(&x->component[depth], &y->component[depth]);

	return order ? order : (x > y) - (x < y);
}

/*
 * Of two patterns that end here and match the same path: which one wins? From the left, a literal
 * over `*`, a longer prefix over a shorter one. Negative: the first; 0: they are the same.
 */
static int rank_order(const struct pattern *a, const struct pattern *b)
{
	for (uint32_t i = 0; i < a->depth; i++) {
		const struct component *x = &a->component[i], *y = &b->component[i];

		if (x->is_prefix != y->is_prefix)
			return x->is_prefix ? 1 : -1;
		if (x->length != y->length)
			return x->length > y->length ? -1 : 1;
	}
	return 0;
}

/* ---- states and steps
 * --------------------------------------------------------------------------*/

static int index_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The state of the `count` patterns in build->set at `depth`; made when it is new. */
static int find_state(struct paths_build *build, uint32_t depth, size_t count, uint32_t *state)
{
	size_t length = (count + 1) * sizeof(uint32_t);
	struct state *room;
	uint32_t *members;
	int r;

	members = arena_take(&build->arena, length);
	if (!members)
		return -ENOMEM;
	members[0] = count ? depth : UINT32_MAX; /* nothing left to match: one state for all */
	memcpy(members + 1, build->set, count * sizeof(uint32_t));
	qsort(members + 1, count, sizeof(uint32_t), index_order);
	build->member_sum += count;
	if (build->member_sum > MOST_MEMBERS)
		return compile_fault(build->c, build->patterns[0].at,
				     "the services' paths overlap in too many ways");
	r = table_put(&build->seen, members, length, build->state_count, state);
	if (r || *state != TABLE_NONE)
		return r;
	room = ARRAY_ADD(build->states, build->state_count);
	if (!room)
		return -ENOMEM;
	*room = (struct state){members, count};
	*state = build->state_count++;
	return 0;
}

static int emit_step(struct paths_build *build, uint32_t state, const struct component *component,
		     struct weir_path_step step)
{
	struct image *image = build->c->image;
	struct image_step *made;

	if (image->step_count == COMPILE_MAX_STEPS)
		return compile_fault(build->c, build->patterns[0].at,
				     "the services' paths overlap in too many ways");
	made = ARRAY_ADD(image->steps, image->step_count);
	if (!made)
		return -ENOMEM;
	made->key.state = state;
	made->key.prefixlen = 32 + 8 * (component->length + !component->is_prefix);
	memcpy(made->key.name, component->text, component->length);
	made->step = step;
	image->step_count++;
	return 0;
}

/* Sorts one pattern into the step that is being built: it goes on, or it names the service. */
static int add_member(struct paths_build *build, const struct pattern *pattern, uint32_t depth,
		      size_t *count, const struct pattern **named)
{
	int order;

	if (pattern->depth > depth + 1) {
		build->set[(*count)++] = pattern - build->patterns;
		return 0;
	}
	order = *named ? rank_order(pattern, *named) : -1;
	if (!order && pattern->service != (*named)->service) {
		faults_add_pair(build->c->faults, SEVERITY_ERROR, pattern->at, (*named)->at,
				"two services with the same path");
		return -EBADMSG;
	}
	if (order < 0)
		*named = pattern;
	return 0;
}

/*
 * One step: the patterns sorted[first..last) write this component; outer[] are the stretches of
 * `sorted` with prefixes that it begins with.
 */
struct stretch {
	size_t first, last;
};

static int make_step(struct paths_build *build, uint32_t state, uint32_t depth, struct stretch own,
		     const struct stretch *outer, size_t outer_count)
{
	const struct component *component = &build->sorted[own.first]->component[depth];
	struct weir_path_step step = {.service = WEIR_ANY};
	const struct pattern *named = NULL;
	size_t count = 0;
	int r = 0;

	for (size_t i = own.first; i < own.last && !r; i++)
		r = add_member(build, build->sorted[i], depth, &count, &named);
	for (size_t j = 0; j < outer_count && !r; j++)
		for (size_t i = outer[j].first; i < outer[j].last && !r; i++)
			r = add_member(build, build->sorted[i], depth, &count, &named);
	if (named)
		step.service = named->service;
	if (!r)
		r = find_state(build, depth + 1, count, &step.next);
	return r ? r : emit_step(build, state, component, step);
}

static int make_steps(struct paths_build *build, uint32_t state)
{
	const struct state *from = &build->states[state];
	struct stretch outer[WEIR_PATH_NAME]; /* nested prefixes: each longer than the last */
	size_t count = from->count, outer_count = 0;
	uint32_t depth = from->members[0];

	for (size_t i = 0; i < count; i++)
		build->sorted[i] = &build->patterns[from->members[1 + i]];
	qsort_r(build->sorted, count, sizeof(*build->sorted), pattern_order, &depth);
	for (size_t first = 0, last; first < count; first = last) {
		const struct component *component = &build->sorted[first]->component[depth];
		struct stretch own;
		int r;

		for (last = first + 1; last < count; last++)
			if (component_order(component, &build->sorted[last]->component[depth]))
				break;
		while (outer_count &&
		       !begins_with(component,
				    &build->sorted[outer[outer_count - 1].first]->component[depth]))
			outer_count--;
		own = (struct stretch){first, last};
		r = make_step(build, state, depth, own, outer, outer_count);
		if (r)
			return r;
		if (component->is_prefix)
			outer[outer_count++] = own;
	}
	return 0;
}

static int step_order(const void *a, const void *b)
{
	return image_step_order(&((const struct image_step *)a)->key,
				&((const struct image_step *)b)->key);
}

int compile_paths(struct compile *c)
{
	struct paths_build build = {.c = c};
	uint32_t root;
	int r;

	r = gather(&build);
	if (!r && build.pattern_count) {
		for (size_t i = 0; i < build.pattern_count; i++)
			build.set[i] = i;
		r = find_state(&build, 0, build.pattern_count, &root);
		for (uint32_t i = 0; i < build.state_count && !r; i++)
			r = make_steps(&build, i);
	}
	if (!r && c->image->step_count)
		qsort(c->image->steps, c->image->step_count, sizeof(*c->image->steps), step_order);
	table_free(&build.seen);
	arena_free(&build.arena);
	free(build.patterns);
	free(build.states);
	free(build.sorted);
	free(build.set);
	return r;
}
