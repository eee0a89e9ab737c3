/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * keep.c - what the process that attached the guard holds of it: links, programs and maps, so that
 * nothing from the disk or the verifier is needed to put them back.
 */
#include "user/kernel/keep.h"

#include <errno.h>
#include <fcntl.h>

#include "user/base/array.h"

int object_id(int fd, uint32_t *id, struct bpf_link_info *info)
{
	uint32_t length = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, info, &length))
		return -errno;
	*id = info->id;
	return 0;
}

int keep_program(const struct keep *keep, const struct kept_link *link)
{
	const char *name = link->hook ? link->hook->program : "weir_edge";
	struct bpf_program *program = bpf_object__find_program_by_name(keep->object, name);

	return program ? bpf_program__fd(program) : -1;
}

uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static int note_ids(const struct keep *keep, struct kept_link *link)
{
	struct link_place place = {};
	struct bpf_link_info info;

	link->program = program_id(keep_program(keep, link));
	if (!link_place(link->fd, &place))
		link->ifindex = place.ifindex;
	return object_id(link->fd, &link->id, &info);
}

/* From its pin, where it stands since the guard was attached. */
static int keep_open(struct guard *guard, struct kept_link *link)
{
	_cleanup_free_ char *path = pin_path(guard->instance, link->pin);

	if (!path)
		return -ENOMEM;
	link->fd = bpf_obj_get(path);
	return link->fd < 0 ? -errno : note_ids(guard->keep, link);
}

static struct kept_link *keep_add(struct keep *keep)
{
	struct kept_link *link = ARRAY_ADD(keep->link, keep->count);

	if (link) {
		link->fd = -1;
		keep->count++;
	}
	return link;
}

struct kept_link *keep_add_edge(struct keep *keep, const char *ifname)
{
	struct kept_link *link = keep_add(keep);

	if (!link)
		return NULL;
	snprintf(link->ifname, sizeof(link->ifname), "%s", ifname);
	pin_edge_name(ifname, link->pin);
	return link;
}

static int take_hooks(struct guard *guard)
{
	int err = 0;

	for (size_t i = 0; !err && i < hook_count; i++) {
		struct kept_link *link = keep_add(guard->keep);

		if (!link)
			return -ENOMEM;
		link->hook = &hooks[i];
		snprintf(link->pin, sizeof(link->pin), PIN_LINK "%s", hooks[i].name);
		err = keep_open(guard, link);
	}
	return err;
}

/* Without a pin: where any will do, or one that is away, or has come back since: guard_inspect().
 */
static int take_edge(struct guard *guard, const char *ifname)
{
	struct kept_link *link = keep_add_edge(guard->keep, ifname);
	int err = link ? keep_open(guard, link) : -ENOMEM;

	return err == -ENOENT ? 0 : err;
}

int keep_take(struct guard *guard, struct bpf_object *object, int cgroup_fd,
	      const struct guard_options *options)
{
	struct keep *keep = calloc(1, sizeof(*keep));
	int err;

	if (!keep) {
		bpf_object__close(object);
		return -ENOMEM;
	}
	keep_free(guard->keep);
	guard->keep = keep;
	keep->object = object;
	keep->any_uplink = options->any_uplink;
	keep->cgroup_fd = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 3);
	if (keep->cgroup_fd < 0)
		return -errno;
	err = take_hooks(guard);
	for (size_t i = 0; !err && i < options->uplink_count; i++)
		err = take_edge(guard, options->uplinks[i]);
	return err;
}

void keep_free(struct keep *keep)
{
	if (!keep)
		return;
	for (size_t i = 0; i < keep->count; i++)
		cleanup_close(&keep->link[i].fd);
	cleanup_close(&keep->cgroup_fd);
	bpf_object__close(keep->object);
	finding_list_free(&keep->untold);
	free(keep->link);
	free(keep);
}

/* ---- putting back ---------------------------------------------------------------------------- */

enum place keep_place(const struct guard *guard, const struct kept_link *link)
{
	uint32_t ifindex;

	if (link->hook)
		return link_is_at_hook(link->fd, link->hook, guard->control->root_cgroup)
			       ? PLACE_HELD
			       : PLACE_LOST;
	ifindex = interface_index(link->ifname, link->ifindex);
	if (!ifindex)
		return PLACE_GONE;
	if (!link->id || ifindex != link->ifindex)
		return PLACE_ANOTHER;
	return link_is_at_interface(link->fd, ifindex) ? PLACE_HELD : PLACE_LOST;
}

int keep_repin(struct guard *guard, const char *pin, int fd)
{
	_cleanup_free_ char *path = pin_path(guard->instance, pin);

	if (!path)
		return -ENOMEM;
	if (unlinkat(guard->dir_fd, pin, 0) && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

int keep_attach(struct guard *guard, struct kept_link *link, char **problem)
{
	_cleanup_links_ struct links links = {};
	struct keep *keep = guard->keep;
	int err = link->hook
			  ? attach_hook(keep->object, link->hook, keep->cgroup_fd, &links, problem)
			  : attach_edge(keep->object, link->ifname, &links, problem);

	if (err)
		return err;
	keep_repin(guard, link->pin, links.item[0].fd);
	cleanup_close(&link->fd);
	link->fd = TAKE_FD(links.item[0].fd);
	return note_ids(keep, link);
}

void keep_without_edge(struct guard *guard, struct kept_link *link)
{
	unlinkat(guard->dir_fd, link->pin, 0);
	cleanup_close(&link->fd);
	link->fd = -1;
	link->id = 0;
	link->ifindex = 0;
	link->is_tried = false;
	link->why[0] = '\0';
}
