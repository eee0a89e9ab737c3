/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * object.c - the programs of bpf/, as they are linked into this program.
 */
#include "user/kernel/internal.h"

#include <errno.h>

#include "weir.skel.h"

static void cleanup_skeleton(struct weir_bpf **skeleton)
{
	weir_bpf__destroy(*skeleton);
}

/* Takes the object out of its skeleton, which is needed no more. */
static struct bpf_object *object_take(struct weir_bpf *skeleton)
{
	return TAKE_PTR(*skeleton->skeleton->obj);
}

static int choose_pinned(struct bpf_object *object, void *data, char **problem)
{
	const char *instance = data;

	return instance ? maps_reuse(object, instance, NULL, problem) : 0;
}

int object_load(const char *instance, bool wants_edge, struct bpf_object **ret, char **problem)
{
	return object_load_with(choose_pinned, (void *)instance, wants_edge, ret, problem);
}

int object_load_with(int (*choose)(struct bpf_object *object, void *data, char **problem),
		     void *data, bool wants_edge, struct bpf_object **ret, char **problem)
{
	_cleanup_(cleanup_skeleton) struct weir_bpf *skeleton = NULL;
	struct bpf_program *edge;
	int err;

	libbpf_capture();
	skeleton = weir_bpf__open();
	if (!skeleton)
		return problem_libbpf(problem, -errno, "cannot read the programs");
	edge = bpf_object__find_program_by_name(skeleton->obj, "weir_edge");
	if (edge)
		bpf_program__set_autoload(edge, wants_edge);
	err = maps_size(skeleton->obj);
	if (!err)
		err = choose(skeleton->obj, data, problem);
	if (err)
		return err;
	err = bpf_object__load(skeleton->obj);
	if (err)
		return problem_libbpf(problem, err, "cannot load the programs");
	*ret = object_take(skeleton);
	return 0;
}
