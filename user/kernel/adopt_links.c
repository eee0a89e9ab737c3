/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * adopt_links.c - the running links get this build's programs, each by one atomic update; when one
 * fails, all get their old programs back.
 */
#include "user/kernel/adopt.h"

#include <errno.h>
#include <net/if.h>

#include "user/base/now.h"

/* NULL: an edge's. */
static const struct hook *hook_of(const char *pin)
{
	for (size_t i = 0; i < hook_count; i++)
		if (!strcmp(pin + strlen(PIN_LINK), hooks[i].name))
			return &hooks[i];
	return NULL;
}

static const char *program_of(const char *pin)
{
	const struct hook *hook = hook_of(pin);

	return hook ? hook->program : "weir_edge";
}

/* What runs behind a link now; -1 when the kernel does not give it (CAP_SYS_ADMIN). */
static int program_behind(int link_fd)
{
	struct bpf_link_info info = {};
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(link_fd, &info, &length)
		       ? -1
		       : bpf_prog_get_fd_by_id(info.prog_id);
}

static bool has_stage(const struct guard *guard)
{
	_cleanup_free_ char *stage = pins_stage_name(guard->instance);
	_cleanup_free_ char *path = stage ? pin_path(stage, NULL) : NULL;

	return path && !access(path, F_OK);
}

/* By one of the maps that it works on: the control words of this guard; of another build, or where
 * a takeover by one was cut short, those of any. This finds what was put there by mistake: who
 * means it can have a program use them. */
static bool is_of_guard(const struct guard *guard, int program_fd)
{
	uint32_t id[MOST_MAPS];
	struct bpf_prog_info info = {.map_ids = (uint64_t)(uintptr_t)id, .nr_map_ids = MOST_MAPS};
	bool may_be_other = guard->former || has_stage(guard);
	struct bpf_map_info control;
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program_fd, &info, &length) ||
	    map_info(guard->map_fd[MAP_CONTROL], &control))
		return true;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MOST_MAPS; i++)
		if (id[i] == control.id || (may_be_other && former_is_control(id[i])))
			return true;
	return false;
}

static void note_replaced(const struct adoption *adoption, const char *pin)
{
	const struct hook *hook = hook_of(pin);
	char ifname[IF_NAMESIZE] = "";

	if (!hook)
		pin_edge_ifname(pin, ifname);
	adopt_tell_past(adoption, "replaced-program", hook ? hook->name : ifname,
			"a program that is not the guard's stood there while no daemon looked");
}

void before_close(struct before *before)
{
	for (size_t i = 0; i < before->count; i++)
		cleanup_close(&before->fd[i]);
	free(before->fd);
	*before = (struct before){0};
}

int before_open(struct adoption *adoption, struct before *before)
{
	before->fd = calloc(adoption->running.count + 1, sizeof(*before->fd));
	if (!before->fd)
		return -ENOMEM;
	before->count = adoption->running.count;
	for (size_t i = 0; i < before->count; i++) {
		const struct link *link = &adoption->running.item[i];

		before->fd[i] = program_behind(link->fd);
		if (before->fd[i] >= 0 && !is_of_guard(adoption->guard, before->fd[i]))
			note_replaced(adoption, link->pin);
	}
	return 0;
}

void put_back(const struct adoption *adoption, const struct before *before, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (before->fd[i] >= 0)
			bpf_link_update(adoption->running.item[i].fd, before->fd[i], NULL);
	}
}

int update_running(struct adoption *adoption, const struct before *before, uint64_t until_ns)
{
	for (size_t i = 0; i < adoption->running.count; i++) {
		const struct link *link = &adoption->running.item[i];
		const char *name = program_of(link->pin);
		struct bpf_program *program =
			bpf_object__find_program_by_name(adoption->object, name);
		int err;

		if (boot_now() >= until_ns) {
			put_back(adoption, before, i);
			return -ETIME;
		}
		if (!bpf_link_update(link->fd, bpf_program__fd(program), NULL))
			continue;
		err = -errno;
		put_back(adoption, before, i);
		return problem_set(adoption->problem, err, "cannot replace %s: %s", name,
				   strerror(-err));
	}
	return 0;
}
