/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * inspect.c - is the guard still where it was put? Read back from the kernel, and put back.
 *
 * Root can detach a link, unpin it, put another program behind it, or take the interface away. The
 * daemon holds the links, programs and maps itself, so none of that needs anything from the disk or
 * the verifier to be undone.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>

#include "user/base/array.h"

enum { MOST_PROGRAMS = 64 }; /* the kernel's own limit at one cgroup: BPF_CGROUP_MAX_PROGS */

struct kept_link {
	char pin[64];
	const struct hook *hook; /* NULL: edge */
	char ifname[IF_NAMESIZE];
	int fd;	     /* -1: it has no place */
	uint32_t id; /* of the link; 0: an interface that never had the edge, where any will do */
	uint32_t program;
	bool was_lost; /* when this process took over; not told yet */
	/* of such a one */
	bool is_tried;
	char why[96]; /* it has none; empty: a device above it has, which sees its packets */
};

enum { PAUSE_LOOKS = 10 }; /* those that have none are tried again together */

struct keep {
	struct bpf_object *object;
	int cgroup_fd;
	bool any_uplink;
	struct kept_link *link;
	size_t count;
	uint64_t looks;
};

struct inspection {
	struct guard *guard;
	bool may_repair;
	bool has_repaired_link;
	size_t past; /* so many of the findings, the first, need no repair any more */
	struct guard_finding *item;
	size_t count;
};

static int object_id(int fd, uint32_t *id, struct bpf_link_info *info)
{
	uint32_t length = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, info, &length))
		return -errno;
	*id = info->id;
	return 0;
}

static int program_of_link(const struct guard *guard, const struct kept_link *link)
{
	const char *name = link->hook ? link->hook->program : "weir_edge";
	struct bpf_program *program = bpf_object__find_program_by_name(guard->keep->object, name);

	return program ? bpf_program__fd(program) : -1;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

/* ---- what is kept ---------------------------------------------------------------------------- */

/* From its pin, where it stands since the guard was attached. */
static int keep_open(struct guard *guard, struct kept_link *link)
{
	_cleanup_free_ char *path = pin_path(guard->instance, link->pin);
	struct bpf_link_info info;

	if (!path)
		return -ENOMEM;
	link->fd = bpf_obj_get(path);
	if (link->fd < 0)
		return -errno;
	link->program = program_id(program_of_link(guard, link));
	return object_id(link->fd, &link->id, &info);
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

static struct kept_link *keep_add_edge(struct keep *keep, const char *ifname)
{
	struct kept_link *link = keep_add(keep);

	if (!link)
		return NULL;
	snprintf(link->ifname, sizeof(link->ifname), "%s", ifname);
	pin_edge_name(ifname, link->pin);
	return link;
}

int keep_take(struct guard *guard, struct bpf_object *object, int cgroup_fd,
	      const struct guard_options *options)
{
	struct keep *keep = calloc(1, sizeof(*keep));
	int err = 0;

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
	for (size_t i = 0; !err && i < hook_count; i++) {
		struct kept_link *link = keep_add(keep);

		if (!link)
			return -ENOMEM;
		link->hook = &hooks[i];
		snprintf(link->pin, sizeof(link->pin), PIN_LINK "%s", hooks[i].name);
		err = keep_open(guard, link);
	}
	for (size_t i = 0; !err && i < options->uplink_count; i++) {
		struct kept_link *link = keep_add_edge(keep, options->uplinks[i]);

		err = link ? keep_open(guard, link) : -ENOMEM;
		if (err == -ENOENT && (keep->any_uplink || !if_nametoindex(link->ifname)))
			err = 0; /* attach_uplink(), adopt_edge() */
	}
	return err;
}

void keep_lost(struct guard *guard, uint32_t lost)
{
	for (size_t i = 0; i < guard->keep->count; i++) {
		struct kept_link *link = &guard->keep->link[i];

		link->was_lost = link->hook && lost & (1u << (link->hook - hooks));
	}
}

void keep_free(struct keep *keep)
{
	if (!keep)
		return;
	for (size_t i = 0; i < keep->count; i++)
		cleanup_close(&keep->link[i].fd);
	cleanup_close(&keep->cgroup_fd);
	bpf_object__close(keep->object);
	free(keep->link);
	free(keep);
}

/* ---- findings -------------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static struct guard_finding *
find(struct inspection *inspection, const char *what, const char *where, bool is_open,
     const char *format, ...)
{
	struct guard_finding *finding = ARRAY_ADD(inspection->item, inspection->count);
	va_list list;

	if (!finding)
		return NULL;
	inspection->count++;
	snprintf(finding->what, sizeof(finding->what), "%s", what);
	snprintf(finding->where, sizeof(finding->where), "%s", where);
	va_start(list, format);
	vsnprintf(finding->detail, sizeof(finding->detail), format, list);
	va_end(list);
	finding->is_open = is_open;
	return finding;
}

static const char *place_of(const struct kept_link *link)
{
	return link->hook ? link->hook->name : link->ifname;
}

/* ---- links ----------------------------------------------------------------------------------- */

static int repin(struct guard *guard, const char *pin, int fd)
{
	_cleanup_free_ char *path = pin_path(guard->instance, pin);

	if (!path)
		return -ENOMEM;
	if (unlinkat(guard->dir_fd, pin, 0) && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static int attach_again(struct guard *guard, struct kept_link *link, char **problem)
{
	_cleanup_links_ struct links links = {};
	struct keep *keep = guard->keep;
	struct bpf_link_info info;
	int err = link->hook
			  ? attach_hook(keep->object, link->hook, keep->cgroup_fd, &links, problem)
			  : attach_edge(keep->object, link->ifname, &links, problem);

	if (err)
		return err;
	err = repin(guard, link->pin, links.item[0].fd);
	if (err)
		return err;
	cleanup_close(&link->fd);
	link->fd = TAKE_FD(links.item[0].fd);
	link->program = program_id(program_of_link(guard, link));
	return object_id(link->fd, &link->id, &info);
}

/* Whether it stands where it should: an interface that was made anew has another index. */
static bool holds_place(const struct guard *guard, const struct kept_link *link)
{
	struct link_place place;
	uint32_t ifindex;

	if (link->fd < 0 || link_place(link->fd, &place) || !place.is_attached)
		return false;
	if (link->hook)
		return place.cgroup_id == guard->control->root_cgroup;
	ifindex = if_nametoindex(link->ifname);
	return !ifindex || ifindex == place.ifindex;
}

/* Below a device that has an XDP program the kernel allows none. Below a bridge or a bond none is
 * needed: what comes in by a port and is for this host comes by the device above. */
static void try_edge(struct inspection *inspection, struct kept_link *link)
{
	_cleanup_free_ char *problem = NULL;
	int err = attach_again(inspection->guard, link, &problem);
	struct guard_finding *finding;

	link->why[0] = '\0';
	link->is_tried = true;
	if (err && err != -EEXIST && err != -ENODEV)
		snprintf(link->why, sizeof(link->why), "%s", problem ?: strerror(-err));
	if (err)
		return;
	finding = find(inspection, "uplink-came", link->ifname, false, "it has the edge");
	if (finding)
		finding->is_repaired = true;
}

/* An interface that came, or had no edge at the start; trying takes the lock, as repairing does. */
static void check_newcomer(struct inspection *inspection, struct kept_link *link)
{
	bool is_due = !link->is_tried || inspection->guard->keep->looks % PAUSE_LOOKS == 0;

	if (is_due && !inspection->may_repair)
		find(inspection, "uplink-came", link->ifname, false, "the edge is tried");
	else if (is_due)
		try_edge(inspection, link);
	if (!link->id && link->is_tried && link->why[0])
		find(inspection, "no-edge", link->ifname, false, "%s", link->why);
}

static void check_place(struct inspection *inspection, struct kept_link *link)
{
	_cleanup_free_ char *problem = NULL;
	bool is_any = !link->hook && inspection->guard->keep->any_uplink;
	bool is_gone = !link->hook && !if_nametoindex(link->ifname);
	struct guard_finding *finding;
	int err;

	if (is_any && is_gone)
		return; /* forget_interfaces() */
	if (is_any && !link->id) {
		check_newcomer(inspection, link);
		return;
	}
	if (is_gone)
		finding = find(inspection, "uplink-gone", link->ifname, false,
			       "the interface is not there");
	else
		finding = find(inspection, "detached", place_of(link), true,
			       "the link had lost its place");
	if (!finding || is_gone || !inspection->may_repair)
		return;
	err = attach_again(inspection->guard, link, &problem);
	finding->is_repaired = !err;
	inspection->has_repaired_link = inspection->has_repaired_link || !err;
	if (!err)
		return;
	snprintf(finding->detail, sizeof(finding->detail), "lost its place, not attached: %s",
		 problem ?: strerror(-err));
	if (!is_any)
		return;
	/* From now on like one that never had it: egress judges, and what a cut partner sends dies
	 * later than it could. */
	snprintf(finding->what, sizeof(finding->what), "no-edge");
	snprintf(link->why, sizeof(link->why), "%s", err == -EEXIST ? "" : problem ?: strerror(-err));
	unlinkat(inspection->guard->dir_fd, link->pin, 0);
	cleanup_close(&link->fd);
	link->fd = -1;
	link->id = 0;
	link->is_tried = true;
}

static void check_program(struct inspection *inspection, struct kept_link *link)
{
	int fd = program_of_link(inspection->guard, link);
	struct guard_finding *finding;
	struct bpf_link_info info;
	uint32_t id;

	if (object_id(link->fd, &id, &info) || info.prog_id == link->program)
		return;
	finding = find(inspection, "replaced-program", place_of(link), true,
		       "program %u stood in the place of %u", info.prog_id, link->program);
	if (!finding || !inspection->may_repair)
		return;
	finding->is_repaired = !bpf_link_update(link->fd, fd, NULL);
	inspection->has_repaired_link = inspection->has_repaired_link || finding->is_repaired;
}

/* The pin is the guard's life after the daemon's. */
static void check_pin(struct inspection *inspection, const char *pin, int fd, uint32_t id)
{
	_cleanup_free_ char *path = pin_path(inspection->guard->instance, pin);
	_cleanup_close_ int pinned = path ? bpf_obj_get(path) : -1;
	struct guard_finding *finding;
	struct bpf_link_info info;
	uint32_t other = 0;

	/* the id stands second in the infos of links and maps alike: include/uapi/linux/bpf.h */
	if (pinned >= 0 && !object_id(pinned, &other, &info) && other == id)
		return;
	finding = find(inspection, pinned < 0 ? "removed-pin" : "replaced-pin", pin, false,
		       pinned < 0 ? "it was not pinned any more" : "something else was pinned");
	if (finding && inspection->may_repair)
		finding->is_repaired = !repin(inspection->guard, pin, fd);
}

static void check_link(struct inspection *inspection, struct kept_link *link)
{
	if (!holds_place(inspection->guard, link)) {
		check_place(inspection, link);
		return;
	}
	check_program(inspection, link);
	check_pin(inspection, link->pin, link->fd, link->id);
}

static void check_maps(struct inspection *inspection)
{
	struct bpf_object *object = inspection->guard->keep->object;
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		struct bpf_link_info info;
		uint32_t id = 0;

		if (!bpf_map__is_internal(map) && !object_id(bpf_map__fd(map), &id, &info))
			check_pin(inspection, bpf_map__name(map), bpf_map__fd(map), id);
	}
}

static void check_settle(struct inspection *inspection)
{
	struct bpf_object *object = inspection->guard->keep->object;
	struct bpf_program *program = bpf_object__find_program_by_name(object, "weir_settle");
	uint32_t id = program ? program_id(bpf_program__fd(program)) : 0;

	if (id)
		check_pin(inspection, PIN_SETTLE, bpf_program__fd(program), id);
}

/* ---- others ---------------------------------------------------------------------------------- */

static const char *name_of_program(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id); /* with CAP_SYS_ADMIN only */
	struct bpf_prog_info info = {};
	uint32_t length = sizeof(info);

	snprintf(name, BPF_OBJ_NAME_LEN, "?");
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length))
		snprintf(name, BPF_OBJ_NAME_LEN, "%s", info.name);
	return name;
}

/*
 * What runs before ours at the guarded cgroup. All programs have to agree, so none of them lets
 * pass what ours refuses (kernel/bpf/cgroup.c, bpf_prog_run_array_cg()); but it can refuse, and at
 * connect and sendmsg send elsewhere, which egress judges.
 */
static void check_foreign(struct inspection *inspection, const struct kept_link *link)
{
	uint32_t id[MOST_PROGRAMS] = {}, count = MOST_PROGRAMS, flags = 0;
	char name[BPF_OBJ_NAME_LEN];

	if (bpf_prog_query(inspection->guard->keep->cgroup_fd, link->hook->type,
			   BPF_F_QUERY_EFFECTIVE, &flags, id, &count))
		return;
	for (uint32_t i = 0; i < count && id[i] != link->program; i++)
		find(inspection, "foreign-program", link->hook->name, false,
		     "program %u (%s) runs before the guard's: it can refuse, not let pass", id[i],
		     name_of_program(id[i], name));
}

static struct kept_link *edge_of(struct keep *keep, const char *ifname)
{
	for (size_t i = 0; i < keep->count; i++) {
		if (!keep->link[i].hook && !strcmp(keep->link[i].ifname, ifname))
			return &keep->link[i];
	}
	return NULL;
}

/* Where any uplink will do, interfaces that came are noted; check_newcomer() gives them the edge.
 */
static void note_interfaces(struct keep *keep)
{
	struct if_nameindex *list = if_nameindex();

	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		if (strcmp(i->if_name, "lo") && !edge_of(keep, i->if_name))
			keep_add_edge(keep, i->if_name);
	}
	if (list)
		if_freenameindex(list);
}

/* One that went is no loss there; its pin goes too. */
static void forget_interfaces(struct inspection *inspection)
{
	struct guard *guard = inspection->guard;
	struct keep *keep = guard->keep;

	for (size_t i = 0; i < keep->count;) {
		struct kept_link *link = &keep->link[i];
		struct guard_finding *finding;

		if (link->hook || if_nametoindex(link->ifname)) {
			i++;
			continue;
		}
		finding = link->id ? find(inspection, "uplink-gone", link->ifname, false,
					  "the interface went")
				   : NULL;
		if (finding)
			finding->is_repaired = true; /* there is nothing left to be put back */
		unlinkat(guard->dir_fd, link->pin, 0);
		cleanup_close(&link->fd);
		*link = keep->link[--keep->count];
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

/* guard_adopt() has put it back already. */
static void tell_lost(struct inspection *inspection)
{
	struct keep *keep = inspection->guard->keep;

	for (size_t i = 0; i < keep->count; i++) {
		struct kept_link *link = &keep->link[i];
		struct guard_finding *finding;

		if (!link->was_lost)
			continue;
		finding = find(inspection, "detached", place_of(link), true,
			       "it had lost its place while no daemon looked");
		if (finding)
			finding->is_repaired = true;
	}
}

static void look(struct inspection *inspection)
{
	struct keep *keep = inspection->guard->keep;

	for (size_t i = 0; i < keep->count; i++)
		check_link(inspection, &keep->link[i]);
	check_maps(inspection);
	check_settle(inspection);
	for (size_t i = 0; i < keep->count; i++) {
		if (keep->link[i].hook)
			check_foreign(inspection, &keep->link[i]);
	}
}

static bool needs_repair(const struct inspection *inspection)
{
	for (size_t i = 0; i < inspection->count; i++) {
		const char *what = inspection->item[i].what;

		if (strcmp(what, "foreign-program") && strcmp(what, "uplink-gone") &&
		    strcmp(what, "no-edge"))
			return true;
	}
	return false;
}

/* `weir unload` says so before it takes anything off; whoever removes pins by hand does not. */
static bool is_unloaded(const struct guard *guard)
{
	return guard->control->abi == WEIR_ABI_UNLOADED;
}

/* The lock is on the directory of the pins, which may have been removed with them. */
static int lock_for_repair(struct guard *guard)
{
	int err = guard_lock(guard);

	for (int i = 0; err == -ENOENT && i < 3; i++) {
		if (is_unloaded(guard))
			return err;
		cleanup_close(&guard->dir_fd);
		guard->dir_fd = -1;
		err = pins_create(guard->instance, &guard->dir_fd, NULL);
		if (!err)
			err = guard_lock(guard);
	}
	return err;
}

static int repair(struct inspection *inspection)
{
	struct guard *guard = inspection->guard;
	int err = lock_for_repair(guard);

	if (err)
		return err;
	if (is_unloaded(guard)) {
		guard_unlock(guard);
		return -ENOENT;
	}
	inspection->count = inspection->past;
	inspection->may_repair = true;
	look(inspection);
	if (guard->keep->any_uplink)
		forget_interfaces(inspection);
	if (inspection->has_repaired_link)
		err = guard_raise(guard);
	guard_unlock(guard);
	return err;
}

int guard_inspect(struct guard *guard, struct guard_finding **ret, size_t *count)
{
	struct inspection inspection = {.guard = guard};
	int err = 0;

	if (!guard->keep)
		return -ENODATA;
	if (is_unloaded(guard))
		return -ENOENT;
	if (guard->keep->any_uplink) {
		note_interfaces(guard->keep);
		forget_interfaces(&inspection);
	}
	guard->keep->looks++;
	tell_lost(&inspection);
	inspection.past = inspection.count;
	look(&inspection);
	if (needs_repair(&inspection))
		err = repair(&inspection);
	if (err) {
		free(inspection.item);
		return err;
	}
	for (size_t i = 0; i < guard->keep->count; i++)
		guard->keep->link[i].was_lost = false; /* it is told now */
	*ret = inspection.item;
	*count = inspection.count;
	return 0;
}
