/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sever.c - ends the sockets that a cut or a latch refuses, in each network namespace.
 *
 * The kernel's socket iterators select, and end at once where the kernel has bpf_sock_destroy();
 * elsewhere SOCK_DESTROY ends what they selected.
 *
 * The request goes through a map of this process's own: two processes that end sockets at once do
 * not meet, and no lock is needed.
 */
#include "user/kernel/internal.h"

#include <errno.h>

#include "user/base/now.h"

#include "sever.skel.h"

enum iterator { SEVER_TCP, SEVER_UDP, SELECT_TCP, SELECT_UDP, ITERATORS };

static const char *const iterator_names[ITERATORS] = {"weir_sever_tcp", "weir_sever_udp",
						      "weir_select_tcp", "weir_select_udp"};

struct sever {
	struct sever_bpf *skeleton;
	struct bpf_link *link[ITERATORS]; /* NULL: this kernel cannot */
	bool has_destroy;
};

/* ---- the programs ---------------------------------------------------------------------------- */

void sever_free(struct sever *sever)
{
	if (!sever)
		return;
	for (size_t i = 0; i < ITERATORS; i++)
		bpf_link__destroy(sever->link[i]);
	sever_bpf__destroy(sever->skeleton);
	free(sever);
}

static void cleanup_sever(struct sever **sever)
{
	sever_free(*sever);
}

static struct bpf_program *iterator_program(struct sever *sever, enum iterator iterator)
{
	return bpf_object__find_program_by_name(sever->skeleton->obj, iterator_names[iterator]);
}

static int iterators_attach(struct sever *sever)
{
	for (size_t i = sever->has_destroy ? 0 : SELECT_TCP; i < ITERATORS; i++) {
		struct bpf_program *program = iterator_program(sever, i);

		sever->link[i] = program ? bpf_program__attach_iter(program, NULL) : NULL;
		if (!sever->link[i])
			return program ? -errno : -ENOENT;
	}
	return 0;
}

static int try_load(const struct guard *guard, bool has_destroy, struct sever **ret, char **problem)
{
	_cleanup_(cleanup_sever) struct sever *sever = calloc(1, sizeof(*sever));
	int err;

	if (!sever)
		return -ENOMEM;
	libbpf_capture();
	sever->has_destroy = has_destroy;
	sever->skeleton = sever_bpf__open();
	if (!sever->skeleton)
		return problem_libbpf(problem, -errno, "cannot read the socket iterators");
	for (size_t i = SEVER_TCP; i <= SEVER_UDP; i++)
		if (iterator_program(sever, i))
			bpf_program__set_autoload(iterator_program(sever, i), has_destroy);
	err = maps_reuse(sever->skeleton->obj, guard->instance, "sever_request", problem);
	if (err)
		return err;
	err = bpf_object__load(sever->skeleton->obj) ?: iterators_attach(sever);
	if (err)
		return problem_libbpf(problem, err, "cannot load the socket iterators");
	*ret = TAKE_PTR(sever);
	return 0;
}

/* What the kernel does not name it cannot do: trying would run its verifier twice in vain, the
 * second time for the words. */
static bool kernel_may_destroy(void)
{
	libbpf_capture();
	return libbpf_find_vmlinux_btf_id("bpf_sock_destroy", BPF_TRACE_FENTRY) > 0;
}

int sever_load(struct guard *guard, char **problem)
{
	if (guard->sever)
		return 0;
	if (guard->sever_err) /* it was tried when it could be; now it would say less */
		return problem_set(problem, guard->sever_err, "%s",
				   guard->sever_why ?: strerror(-guard->sever_err));
	if (kernel_may_destroy() && !try_load(guard, true, &guard->sever, NULL))
		return 0;
	return try_load(guard, false, &guard->sever, problem);
}

/* ---- one run --------------------------------------------------------------------------------- */

struct run {
	const struct sever *sever;
	bool dry_run;
	struct records selected; /* of all namespaces so far */
};

static int run_inside(void *data)
{
	struct run *run = data;
	bool by_iterator = !run->dry_run && run->sever->has_destroy;
	enum iterator first = by_iterator ? SEVER_TCP : SELECT_TCP;
	size_t before = run->selected.count;
	int err = records_read(&run->selected, bpf_link__fd(run->sever->link[first]));

	if (!err)
		err = records_read(&run->selected, bpf_link__fd(run->sever->link[first + 1]));
	if (err || run->dry_run)
		return err;
	err = sock_diag_end((struct weir_selected *)run->selected.item + before,
			    run->selected.count - before);
	return by_iterator ? 0 : err; /* a second try there; what was not ended is told */
}

static int put_request(const struct sever *sever, const struct weir_sever_request *request)
{
	int fd = bpf_object__find_map_fd_by_name(sever->skeleton->obj, "sever_request");
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, &zero, request, BPF_ANY) ? -errno : 0;
}

int guard_reach(struct guard *guard, struct guard_reach *reach)
{
	return namespaces_each(guard->cgroup_path, NULL, NULL, reach);
}

static int tell_unended(const struct guard_reach *reach, int err, char **problem)
{
	if (err)
		return problem_set(problem, err, "not all sockets could be ended: %s",
				   strerror(-err));
	if (reach->closed)
		return problem_set(problem, -EPERM,
				   "%zu of %zu network namespaces may not be entered: their "
				   "sockets, which can send nothing, end when they time out",
				   reach->closed, reach->namespaces);
	if (reach->unread)
		return problem_set(
			problem, reach->unread,
			"a cgroup could not be read (%s): sockets of network namespaces "
			"that only it has, which can send nothing, end when they time out",
			strerror(-reach->unread));
	return 0;
}

int guard_sever(struct guard *guard, const struct weir_sever_request *request, bool dry_run,
		void (*each)(const struct weir_selected *selected, void *data), void *data,
		struct sever_result *result, char **problem)
{
	uint64_t began = clock_now(CLOCK_MONOTONIC);
	struct run run = {.dry_run = dry_run, .selected.size = sizeof(struct weir_selected)};
	const struct weir_selected *item;
	struct sever_result sum = {};
	int err = sever_load(guard, problem);

	if (!err)
		err = put_request(guard->sever, request);
	if (err)
		return err;
	run.sever = guard->sever;
	err = namespaces_each(guard->cgroup_path, run_inside, &run, &sum.reach);
	item = run.selected.item;
	for (size_t i = 0; i < run.selected.count; i++) {
		sum.ended += item[i].is_ended;
		if (each)
			each(&item[i], data);
	}
	sum.selected = run.selected.count;
	free(run.selected.item);
	sum.by_iterator = guard->sever->has_destroy;
	sum.took_ns = clock_now(CLOCK_MONOTONIC) - began;
	if (result)
		*result = sum;
	return tell_unended(&sum.reach, err, problem);
}
