/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * asking.h - for program tests: a guard on a cgroup of its own, loaded from a policy's text, and
 * the programs of ask.bpf.c on its maps. No process is in that cgroup, so the hooks see no packet.
 */
#ifndef WEIR_TESTS_ASKING_H
#define WEIR_TESTS_ASKING_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ask.skel.h"
#include "tests/prog/ask.h"
#include "tests/unit/compiled.h"
#include "user/kernel/guard.h"

static char asking_instance[64];
static char asking_cgroup[256];

struct asking {
	struct guard *guard;
	struct ask_bpf *programs;
	struct image image;
};

/* The programs use the pinned maps of the guard. */
static inline void asking_share(struct ask_bpf *programs)
{
	struct bpf_map *map;
	char path[256];

	bpf_object__for_each_map(map, programs->obj)
	{
		int fd;

		snprintf(path, sizeof(path), "/sys/fs/bpf/weir/%s/%s", asking_instance,
			 bpf_map__name(map));
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		assert_int_equal(bpf_map__reuse_fd(map, fd), 0);
		close(fd);
	}
}

static inline void asking_begin(struct asking *asking, struct image image)
{
	struct guard_options options = {.instance = asking_instance, .cgroup = asking_cgroup};
	char *problem = NULL;
	int err;

	/* A test that failed before this one left its guard. */
	guard_unload(asking_instance, &problem);
	free(problem);
	problem = NULL;
	memset(asking, 0, sizeof(*asking));
	asking->image = image;
	err = guard_load(&options, &asking->image, &asking->guard, &problem);
	if (err)
		print_error("load: %s\n", problem ? problem : strerror(-err));
	assert_int_equal(err, 0);
	asking->programs = ask_bpf__open();
	assert_non_null(asking->programs);
	asking_share(asking->programs);
	assert_int_equal(ask_bpf__load(asking->programs), 0);
}

static inline void asking_end(struct asking *asking)
{
	char *problem = NULL;

	ask_bpf__destroy(asking->programs);
	guard_close(asking->guard);
	assert_int_equal(guard_unload(asking_instance, &problem), 0);
	image_free(&asking->image);
}

/* The program behind a pinned link of the guard; to be closed. */
static inline int asking_program(const char *pin)
{
	struct bpf_link_info info = {0};
	char path[160];
	uint32_t size = sizeof(info);
	int link, fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/weir/%s/%s", asking_instance, pin);
	link = bpf_obj_get(path);
	assert_true(link >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(link, &info, &size), 0);
	close(link);
	fd = bpf_prog_get_fd_by_id(info.prog_id);
	assert_true(fd >= 0);
	return fd;
}

/* Runs one program on `ask`, in place. May be called from several threads. */
static inline void asking_run(const struct bpf_program *program, struct ask *ask)
{
	char packet[ASK_OFFSET + sizeof(*ask)] = {0}, out[sizeof(packet)];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .data_out = out, .data_size_out = sizeof(out));

	memcpy(packet + ASK_OFFSET, ask, sizeof(*ask));
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &run) || run.retval) {
		fprintf(stderr, "test run: %s, %u\n", strerror(errno), run.retval);
		abort();
	}
	memcpy(ask, out + ASK_OFFSET, sizeof(*ask));
}

/* Runs `tests` in a child; whatever happens to it, nothing of it stays. */
static inline int asking_main(int (*tests)(void))
{
	char *root = NULL, *problem = NULL;
	int status = 0;
	pid_t child;

	if (geteuid() || cgroup_mount_point(&root)) {
		fprintf(stderr, "program tests need root and a cgroup v2 hierarchy\n");
		return 1;
	}
	snprintf(asking_instance, sizeof(asking_instance), "test-ask-%d", getpid());
	snprintf(asking_cgroup, sizeof(asking_cgroup), "%s/weir-test-ask-%d", root, getpid());
	free(root);
	if (mkdir(asking_cgroup, 0755)) {
		perror(asking_cgroup);
		return 1;
	}
	child = fork();
	if (!child)
		exit(tests());
	waitpid(child, &status, 0);
	guard_unload(asking_instance, &problem);
	free(problem);
	rmdir(asking_cgroup);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#endif
