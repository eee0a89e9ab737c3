/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * settle.c - what is lent to flows is taken back before somebody reads the meters
 * (bpf/lease.bpf.h).
 */
#include "user/kernel/internal.h"

#include <errno.h>

int settle_pin(struct bpf_object *object, const char *instance, char **problem)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, "weir_settle");
	_cleanup_free_ char *path = pin_path(instance, PIN_SETTLE);

	if (!path)
		return -ENOMEM;
	if (!program)
		return problem_set(problem, -EPROTO, "there is no program weir_settle");
	if ((unlink(path) && errno != ENOENT) || bpf_obj_pin(bpf_program__fd(program), path))
		return problem_set(problem, -errno, "cannot pin %s: %s", path, strerror(errno));
	return 0;
}

static int run(int program)
{
	char packet[64] = ""; /* nobody looks at it */
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));

	return bpf_prog_test_run_opts(program, &options) ? -errno : 0;
}

int settle(const char *instance)
{
	_cleanup_free_ char *path = pin_path(instance, PIN_SETTLE);
	_cleanup_close_ int program = path ? bpf_obj_get(path) : -1;

	if (!path)
		return -ENOMEM;
	if (program < 0)
		return errno == ENOENT ? 0 : -errno; /* of a build that lends nothing */
	return run(program);
}

int settle_open(struct guard *guard, char **problem)
{
	_cleanup_free_ char *path = pin_path(guard->instance, PIN_SETTLE);

	if (!path)
		return -ENOMEM;
	guard->settle_fd = bpf_obj_get(path);
	if (guard->settle_fd < 0)
		return problem_set(problem, -errno, "cannot open %s: %s", path, strerror(errno));
	return 0;
}

int guard_settle(struct guard *guard)
{
	return run(guard->settle_fd);
}
