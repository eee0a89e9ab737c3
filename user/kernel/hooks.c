/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * hooks.c - where the guard is attached, as the kernel says, not as we remember.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <net/if.h>

#include "user/base/array.h"

struct hook_list {
	struct guard *guard;
	struct guard_hook *item;
	size_t count;
};

static void hook_list_free(struct hook_list *list)
{
	free(list->item);
}

static int open_link(const struct guard *guard, const char *pin)
{
	_cleanup_free_ char *path = pin_path(guard->instance, pin);

	return path ? bpf_obj_get(path) : -1;
}

static bool read_place(const struct guard *guard, const char *pin, struct link_place *place)
{
	_cleanup_close_ int fd = open_link(guard, pin);

	return fd >= 0 && !link_place(fd, place) && place->is_attached;
}

static int add_cgroup_hook(struct hook_list *list, const struct hook *hook)
{
	struct guard_hook *item = ARRAY_ADD(list->item, list->count);
	_cleanup_close_ int fd = -1;
	char pin[64];

	if (!item)
		return -ENOMEM;
	list->count++;
	snprintf(pin, sizeof(pin), PIN_LINK "%s", hook->name);
	snprintf(item->name, sizeof(item->name), "%s", hook->name);
	snprintf(item->where, sizeof(item->where), "%s", list->guard->cgroup_path ?: "");
	fd = open_link(list->guard, pin);
	item->is_attached = link_is_at_hook(fd, hook, list->guard->control->root_cgroup);
	return 0;
}

/* The interface may have another name now, or be out of sight in another network namespace. */
static int add_edge(const char *name, void *data)
{
	struct hook_list *list = data;
	struct guard_hook *item;
	struct link_place place = {};
	char ifname[IF_NAMESIZE];

	if (strncmp(name, PIN_EDGE, strlen(PIN_EDGE)))
		return 0;
	item = ARRAY_ADD(list->item, list->count);
	if (!item)
		return -ENOMEM;
	list->count++;
	pin_edge_ifname(name, ifname);
	snprintf(item->name, sizeof(item->name), "edge");
	snprintf(item->where, sizeof(item->where), "%s", ifname);
	item->is_attached = read_place(list->guard, name, &place) && place.ifindex;
	return 0;
}

int guard_hooks(struct guard *guard, struct guard_hook **ret, size_t *count)
{
	_cleanup_(hook_list_free) struct hook_list list = {.guard = guard};
	int err = 0;

	for (size_t i = 0; !err && i < hook_count; i++)
		err = add_cgroup_hook(&list, &hooks[i]);
	if (!err)
		err = pins_each(guard->dir_fd, add_edge, &list);
	if (err)
		return err;
	*count = list.count;
	*ret = TAKE_PTR(list.item);
	return 0;
}

/* ---- of whatever build ---------------------------------------------------------------------- */

struct judging {
	struct guard guard; /* its instance alone */
	uint64_t cgroup_id; /* of those seen so far; 0: none */
	bool has_egress;
	bool lacks_one;
};

static int check_link(const char *name, void *data)
{
	struct judging *judging = data;
	struct link_place place = {};

	if (strncmp(name, PIN_LINK, strlen(PIN_LINK)) || !strncmp(name, PIN_EDGE, strlen(PIN_EDGE)))
		return 0;
	if (!read_place(&judging->guard, name, &place) ||
	    (judging->cgroup_id && judging->cgroup_id != place.cgroup_id))
		judging->lacks_one = true;
	else if (!strcmp(name, PIN_LINK "egress") && place.type == BPF_CGROUP_INET_EGRESS)
		judging->has_egress = true;
	judging->cgroup_id = place.cgroup_id;
	return 0;
}

bool guard_is_judging(const char *instance)
{
	struct judging judging = {.guard.instance = (char *)instance};
	_cleanup_close_ int fd = -1;

	return guard_is_pinned(instance) && !pins_open(instance, &fd) &&
	       !pins_each(fd, check_link, &judging) && judging.has_egress && !judging.lacks_one;
}
