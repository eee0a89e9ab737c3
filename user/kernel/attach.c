/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * attach.c - links between programs and the places where they run.
 *
 * Cgroup links stand beside other programs (each has its say), as systemd's own need it. An
 * interface takes one XDP program: a foreign one is left alone and named.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>

const struct hook hooks[] = {
	{"sock_create", "weir_sock_create", BPF_CGROUP_INET_SOCK_CREATE},
	{"sock_release", "weir_sock_release", BPF_CGROUP_INET_SOCK_RELEASE},
	{"setsockopt", "weir_setsockopt", BPF_CGROUP_SETSOCKOPT},
	{"sock_ops", "weir_sock_ops", BPF_CGROUP_SOCK_OPS},
	{"ingress", "weir_ingress", BPF_CGROUP_INET_INGRESS},
	{"egress", "weir_egress", BPF_CGROUP_INET_EGRESS},
	{"connect4", "weir_connect4", BPF_CGROUP_INET4_CONNECT},
	{"connect6", "weir_connect6", BPF_CGROUP_INET6_CONNECT},
	{"sendmsg4", "weir_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
	{"sendmsg6", "weir_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
};
const size_t hook_count = sizeof(hooks) / sizeof(*hooks);

static int program_fd(struct bpf_object *object, const char *name, char **problem)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	int fd = program ? bpf_program__fd(program) : -ENOENT;

	return fd < 0 ? problem_set(problem, -ENOENT, "this build has no program %s", name) : fd;
}

static int links_add(struct links *links, const char *pin, int fd)
{
	struct link *item = reallocarray(links->item, links->count + 1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	links->item = item;
	item += links->count++;
	snprintf(item->pin, sizeof(item->pin), "%s", pin);
	item->fd = fd;
	return 0;
}

int attach_hook(struct bpf_object *object, const struct hook *hook, int cgroup_fd,
		struct links *links, char **problem)
{
	_cleanup_close_ int fd = -1;
	char pin[64];
	int err, program = program_fd(object, hook->program, problem);

	if (program < 0)
		return program;
	fd = bpf_link_create(program, cgroup_fd, hook->type, NULL);
	if (fd < 0)
		return problem_set(problem, -errno, "cannot attach %s to the cgroup: %s",
				   hook->name, strerror(errno));
	snprintf(pin, sizeof(pin), PIN_LINK "%s", hook->name);
	err = links_add(links, pin, fd);
	if (!err)
		TAKE_FD(fd);
	return err;
}

static uint32_t foreign_xdp(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, options);

	if (bpf_xdp_query(ifindex, 0, &options))
		return 0;
	return options.prog_id	     ? options.prog_id
	       : options.drv_prog_id ? options.drv_prog_id
				     : options.skb_prog_id;
}

/* A bond with a program in its driver refuses ports that have one of their own, or cannot have one
 * (drivers/net/bonding/bond_main.c, bond_enslave()): the guard would keep a link from coming up. */
static bool is_bond(int ifindex)
{
	struct interface_kind kind;

	return !interface_kind((uint32_t)ifindex, &kind) && !strcmp(kind.self, "bond");
}

static int xdp_link(int program, int ifindex)
{
	static const uint32_t modes[] = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
	int fd = -1;

	for (size_t i = is_bond(ifindex); i < 2 && fd < 0; i++) {
		LIBBPF_OPTS(bpf_link_create_opts, options, .flags = modes[i]);

		fd = bpf_link_create(program, ifindex, BPF_XDP, &options);
		if (fd < 0 && (errno == EBUSY || errno == EEXIST))
			return -errno;
	}
	return fd < 0 ? -errno : fd;
}

int attach_edge(struct bpf_object *object, const char *ifname, struct links *links, char **problem)
{
	_cleanup_close_ int fd = -1;
	int err, program = program_fd(object, "weir_edge", problem);
	int ifindex = if_nametoindex(ifname);
	uint32_t foreign;
	char pin[64];

	if (program < 0)
		return program;
	if (!ifindex)
		return problem_set(problem, -ENODEV, "no such interface: %s", ifname);
	fd = xdp_link(program, ifindex);
	foreign = fd == -EBUSY || fd == -EEXIST ? foreign_xdp(ifindex) : 0;
	if (foreign)
		return problem_set(problem, -EBUSY, "%s carries another XDP program (id %u)",
				   ifname, foreign);
	/* net/core/dev.c, dev_xdp_attach(): refused below a device that has one */
	if (fd == -EEXIST)
		return problem_set(problem, fd,
				   "%s can carry none: a device above it has an XDP program",
				   ifname);
	if (fd < 0)
		return problem_set(problem, fd, "cannot attach XDP to %s: %s", ifname,
				   strerror(-fd));
	pin_edge_name(ifname, pin);
	err = links_add(links, pin, fd);
	if (!err)
		TAKE_FD(fd);
	return err;
}

int attach_uplink(struct bpf_object *object, const struct guard_options *options,
		  const char *ifname, struct links *links, char **problem)
{
	_cleanup_free_ char *why = NULL;
	int err = attach_edge(object, ifname, links, &why);

	if (!err || options->any_uplink || (err == -ENODEV && options->waits_for_uplinks))
		return 0;
	if (problem)
		*problem = TAKE_PTR(why);
	return err;
}

int uplinks_check(const struct guard_options *options, bool all_there, char **problem)
{
	if (options->any_uplink)
		return 0;
	for (size_t i = 0; i < options->uplink_count; i++) {
		if (all_there && !if_nametoindex(options->uplinks[i]))
			return problem_set(problem, -ENODEV, "no such interface: %s",
					   options->uplinks[i]);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(options->uplinks[i], options->uplinks[j]))
				return problem_set(problem, -EINVAL, "uplink %s is named twice",
						   options->uplinks[i]);
	}
	return 0;
}

int links_pin(const struct links *links, const char *instance, char **problem)
{
	for (size_t i = 0; i < links->count; i++) {
		_cleanup_free_ char *path = pin_path(instance, links->item[i].pin);

		if (!path)
			return -ENOMEM;
		if (bpf_obj_pin(links->item[i].fd, path))
			return problem_set(problem, -errno, "cannot pin %s: %s", path,
					   strerror(errno));
	}
	return 0;
}

void links_close(struct links *links)
{
	while (links->count)
		cleanup_close(&links->item[--links->count].fd);
	free(links->item);
	links->item = NULL;
}

uint32_t interface_index(const char *ifname, uint32_t unknown)
{
	uint32_t index = if_nametoindex(ifname);

	return index || errno == ENODEV ? index : unknown;
}

int link_place(int link_fd, struct link_place *place)
{
	struct bpf_link_info info = {};
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &length))
		return -errno;
	memset(place, 0, sizeof(*place));
	if (info.type == BPF_LINK_TYPE_XDP)
		place->ifindex = info.xdp.ifindex;
	if (info.type == BPF_LINK_TYPE_CGROUP) {
		place->type = info.cgroup.attach_type;
		place->cgroup_id = info.cgroup.cgroup_id;
	}
	/* a detached link keeps its program and loses its place */
	place->is_attached = place->ifindex || place->cgroup_id;
	return 0;
}

bool link_is_at_hook(int link_fd, const struct hook *hook, uint64_t cgroup_id)
{
	struct link_place place;

	return link_fd >= 0 && !link_place(link_fd, &place) && place.cgroup_id &&
	       place.cgroup_id == cgroup_id && place.type == hook->type;
}

bool link_is_at_interface(int link_fd, uint32_t ifindex)
{
	struct link_place place;

	return link_fd >= 0 && !link_place(link_fd, &place) && place.ifindex &&
	       place.ifindex == ifindex;
}
