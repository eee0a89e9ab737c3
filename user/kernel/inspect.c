/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * inspect.c - is the guard still where it was put? Read back from the kernel, and put back.
 *
 * Root can detach a link, unpin it, put another program behind it, or take the interface away. The
 * daemon holds the links, programs and maps itself, so none of that needs anything from the disk or
 * the verifier to be undone.
 */
#include "user/kernel/keep.h"

#include <errno.h>
#include <sys/stat.h>

#include "user/base/array.h"

enum { MOST_PROGRAMS = 64 }; /* the kernel's own limit at one cgroup: BPF_CGROUP_MAX_PROGS */

/* ---- links -------------------------------------------------------------------------------- */

static const char *place_of(const struct kept_link *link)
{
	return link->hook ? link->hook->name : link->ifname;
}

/* What cannot be put back is told as detached once; where any interface will do, an edge is from
 * then on like one that never was: egress judges, and what a cut partner sends dies later than it
 * could. */
static void put_in_place(struct inspection *inspection, struct kept_link *link,
			 struct guard_finding *finding)
{
	_cleanup_free_ char *problem = NULL;
	struct guard *guard = inspection->guard;
	int err = keep_attach(guard, link, &problem);

	finding->is_repaired = !err;
	inspection->has_repaired_link = inspection->has_repaired_link || !err;
	if (!err)
		return;
	snprintf(finding->detail, sizeof(finding->detail), "lost its place, not attached: %s",
		 problem ?: strerror(-err));
	if (link->hook || !guard->keep->any_uplink)
		return;
	keep_without_edge(guard, link);
	uplinks_note_refusal(guard->keep, link, err, problem);
}

static void check_place(struct inspection *inspection, struct kept_link *link, enum place place)
{
	struct guard_finding *finding;

	if (place == PLACE_GONE) {
		finding_add(&inspection->found, "uplink-gone", link->ifname, false,
			    link->id ? "the interface is not there"
				     : "no such interface; it gets the edge when it comes");
		link->is_tried = false; /* at once when it comes */
		return;
	}
	finding = finding_add(&inspection->found, "detached", place_of(link), true,
			      "the link had lost its place");
	if (!finding || !inspection->may_repair)
		return;
	put_in_place(inspection, link, finding);
	if (place != PLACE_ANOTHER || !finding->is_repaired)
		return;
	snprintf(finding->what, sizeof(finding->what), "uplink-came");
	snprintf(finding->detail, sizeof(finding->detail), "it is there anew, and has the edge");
	finding->is_open = false;
}

static void check_program(struct inspection *inspection, struct kept_link *link)
{
	int fd = keep_program(inspection->guard->keep, link);
	struct guard_finding *finding;
	struct bpf_link_info info;
	uint32_t id;

	if (object_id(link->fd, &id, &info) || info.prog_id == link->program)
		return;
	finding = finding_add(&inspection->found, "replaced-program", place_of(link), true,
			      "program %u stood in the place of %u", info.prog_id, link->program);
	if (!finding || !inspection->may_repair)
		return;
	finding->is_repaired = !bpf_link_update(link->fd, fd, NULL);
	inspection->has_repaired_link = inspection->has_repaired_link || finding->is_repaired;
}

static void pin_again(struct inspection *inspection, const char *pin, int fd,
		      struct guard_finding *finding)
{
	int err = keep_repin(inspection->guard, pin, fd);

	finding->is_repaired = !err;
	if (err)
		snprintf(finding->detail, sizeof(finding->detail), "not pinned: %s",
			 inspection->why ?: strerror(-err));
}

/* The pin is the guard's life after the daemon's. */
static void check_pin(struct inspection *inspection, const char *pin, int fd, uint32_t id)
{
	_cleanup_free_ char *path = pin_path(inspection->guard->instance, pin);
	_cleanup_close_ int pinned = path ? bpf_obj_get(path) : -1;
	struct guard_finding *finding;
	struct bpf_link_info info;
	uint32_t other = 0;

	if (pinned >= 0 && !object_id(pinned, &other, &info) && other == id)
		return;
	finding = finding_add(
		&inspection->found, pinned < 0 ? "removed-pin" : "replaced-pin", pin, false,
		pinned < 0 ? "it was not pinned any more" : "something else was pinned");
	if (finding && inspection->may_repair)
		pin_again(inspection, pin, fd, finding);
}

static void check_link(struct inspection *inspection, struct kept_link *link)
{
	bool is_any = !link->hook && inspection->guard->keep->any_uplink;
	enum place place = keep_place(inspection->guard, link);

	if (!link->hook && !link->id && (is_any || place != PLACE_GONE)) {
		uplinks_try(inspection, link);
		return;
	}
	if (is_any && (place == PLACE_GONE || place == PLACE_ANOTHER))
		return; /* since uplinks_follow(), which the next look begins with */
	if (place != PLACE_HELD) {
		check_place(inspection, link, place);
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
		finding_add(&inspection->found, "foreign-program", link->hook->name, false,
			    "program %u (%s) runs before the guard's: it can refuse, not let pass",
			    id[i], name_of_program(id[i], name));
}

/* ---- all ------------------------------------------------------------------------------------- */

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

/* An interface that came: where any will do, or one that was waited for. */
static bool is_newcomer(const struct guard_finding *finding)
{
	return !finding->is_repaired && strcmp(finding->what, "uplink-came") == 0;
}

static bool is_repairable(const struct guard_finding *finding)
{
	return strcmp(finding->what, "foreign-program") != 0 &&
	       strcmp(finding->what, "uplink-gone") != 0 && strcmp(finding->what, "no-edge") != 0;
}

enum { MOST_LOOKS_LOCKED = 10 };

/* Another process has the lock. What was found stays as it is, and is told so; an interface that
 * came can wait some looks. */
static void leave_unrepaired(struct inspection *inspection)
{
	struct finding_list *found = &inspection->found;
	_cleanup_free_ char *problem = NULL;
	size_t kept = inspection->past;

	inspection->guard->keep->looks_locked++;
	lock_problem(inspection->guard, -ETIMEDOUT, &problem);
	for (size_t i = inspection->past; i < found->count; i++) {
		struct guard_finding *finding = &found->item[i];
		bool is_new = is_newcomer(finding);

		if (is_new && inspection->guard->keep->looks_locked < MOST_LOOKS_LOCKED)
			continue;
		if (is_new)
			snprintf(finding->what, sizeof(finding->what), "no-edge");
		if (is_new || is_repairable(finding))
			snprintf(finding->detail, sizeof(finding->detail), "not put back: %s",
				 problem ?: strerror(ETIMEDOUT));
		found->item[kept++] = *finding;
	}
	found->count = kept;
}

/* `weir unload` says so before it takes anything off; whoever removes pins by hand does not. */
static bool is_unloaded(const struct guard *guard)
{
	return guard->control->abi == WEIR_ABI_UNLOADED;
}

/* False: it was removed with the pins, or bpffs was mounted anew. */
static bool has_directory(const struct guard *guard)
{
	_cleanup_free_ char *path = pin_path(guard->instance, NULL);
	struct stat ours, there;

	return path && !stat(path, &there) && !fstat(guard->dir_fd, &ours) &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Where it cannot be made again (a service manager's sandbox), links are put back all the same, and
 * live as long as the daemon. */
static void make_directory_again(struct inspection *inspection)
{
	struct guard *guard = inspection->guard;
	int fd = -1;

	if (is_unloaded(guard) || has_directory(guard) ||
	    pins_create(guard->instance, &fd, &inspection->why))
		return;
	task_join(&guard->quiesce); /* it gives back a lock on the one that is gone */
	cleanup_close(&guard->dir_fd);
	guard->dir_fd = fd;
}

static int repair(struct inspection *inspection, bool may_wait)
{
	struct guard *guard = inspection->guard;
	int err;

	make_directory_again(inspection);
	err = may_wait ? guard_lock(guard) : guard_try_lock(guard);
	if (err == -ETIMEDOUT) {
		leave_unrepaired(inspection);
		return 0;
	}
	if (err)
		return err;
	if (is_unloaded(guard)) {
		guard_unlock(guard);
		return -ENOENT;
	}
	guard->keep->looks_locked = 0;
	inspection->found.count = inspection->past;
	inspection->may_repair = true;
	look(inspection);
	if (inspection->has_repaired_link)
		err = guard_raise(guard);
	guard_unlock(guard);
	return err;
}

static int inspect(struct inspection *inspection)
{
	bool needs_repair = false, may_wait = false;

	look(inspection);
	for (size_t i = inspection->past; i < inspection->found.count; i++) {
		const struct guard_finding *finding = &inspection->found.item[i];

		needs_repair = needs_repair || is_repairable(finding);
		may_wait = may_wait || (is_repairable(finding) && !is_newcomer(finding));
	}
	return needs_repair ? repair(inspection, may_wait) : 0;
}

int guard_inspect(struct guard *guard, struct guard_finding **ret, size_t *count)
{
	struct inspection inspection = {.guard = guard};
	struct keep *keep = guard->keep;
	int err;

	if (!keep)
		return -ENODATA;
	if (is_unloaded(guard))
		return -ENOENT;
	keep->looks++;
	inspection.found = keep->untold;
	keep->untold = (struct finding_list){0};
	if (keep->any_uplink)
		uplinks_follow(&inspection);
	inspection.past = inspection.found.count;
	err = inspect(&inspection);
	free(inspection.why);
	if (err) { /* what was found is found again; what is past is not */
		inspection.found.count = inspection.past;
		keep->untold = inspection.found;
		return err;
	}
	*ret = inspection.found.item;
	*count = inspection.found.count;
	return 0;
}
