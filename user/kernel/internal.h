/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * internal.h - what the files of user/kernel/ share with each other, and with nobody else.
 */
#ifndef WEIR_KERNEL_INTERNAL_H
#define WEIR_KERNEL_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "user/base/cleanup.h"
#include "user/kernel/guard.h"

/* ---- problem.c: one line for people ---------------------------------------------------------- */

/* Sets *problem (unless NULL) to one line and returns `err`, so that it can end a function. */
int problem_set(char **problem, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* libbpf's messages of this thread are kept instead of printed from here on. */
void libbpf_capture(void);
/* The same as problem_set() with the culprit that libbpf named: program and last line of the
 * verifier's log, or its first complaint. */
int problem_libbpf(char **problem, int err, const char *doing);

/* ---- pins.c: /sys/fs/bpf/weir/INSTANCE/ ------------------------------------------------------ */

#define PIN_ROOT   "/sys/fs/bpf"
#define PIN_HOME   PIN_ROOT "/weir"
#define PIN_LINK   "link_"
#define PIN_EDGE   "link_edge_"
#define PIN_SETTLE "program_settle" /* the one program that is pinned itself */
#define PIN_MARKER "control"	    /* pinned last, unpinned last: where it is, there is a guard */

/* A name that can be a directory of bpffs (which reserves the dot) and a socket's. */
bool instance_is_valid(const char *instance);
/* malloc'd; `name` NULL: the directory itself. */
char *pin_path(const char *instance, const char *name);
/* The pin of an uplink's link: a dot in the interface's name becomes a colon, which no interface
 * can have. And back. */
void pin_edge_name(const char *ifname, char name[64]);
void pin_edge_ifname(const char *name, char ifname[16]);

/* The instance's directory, opened. pins_create() mounts bpffs when it must and makes the
 * directory. -ENOENT from pins_open() when there is none. */
int pins_create(const char *instance, int *dir_fd, char **problem);
int pins_open(const char *instance, int *dir_fd);
/* Calls `each` for every pin; a non-zero return ends the walk. */
int pins_each(int dir_fd, int (*each)(const char *name, void *data), void *data);
/* Unpins everything in it, links first and the marker last, and removes the directory. */
int pins_remove(const char *instance, int dir_fd);

/*
 * A second directory beside it, in which another set of pins is made ready; the two change places
 * at once. pins_stage() empties what a killed process left there; it is locked. pins_unstage()
 * unpins what stands in it, without detaching anything, and removes it.
 */
char *pins_stage_name(const char *instance); /* in the place of an instance's; malloc'd */
int pins_stage(const char *instance, int *dir_fd, char **problem);
int pins_exchange(const char *instance);
int pins_unstage(const char *instance);

/* ---- maps.c: the maps that user space reads or writes ---------------------------------------- */

enum guard_map {
	/* the slotted ones first, in the order in which they are filled */
	MAP_SERVICES,
	MAP_PARTNERS,
	MAP_GRANTS,
	MAP_RULES,
	MAP_HOURS,
	MAP_LIFELINES,
	MAP_PREFIXES4,
	MAP_PREFIXES6,
	MAP_LIFELINE4,
	MAP_LIFELINE6,
	MAP_PATHS,
	MAP_PAIRS,
	MAPS_SLOTTED,
	MAP_CONTROL = MAPS_SLOTTED,
	MAP_POLICY_HEADS,
	MAP_CUT_HEADS,
	MAP_CUTS,
	MAP_OVERRIDES,
	MAP_ORDERS,
	MAP_METERS,
	MAP_LEASES,
	MAP_STRANGERS,
	MAP_STRANGERS_MET,
	MAP_METER_LOCK,
	MAP_CGROUPS,
	MAP_EVENTS,
	MAP_LOSSES,
	MAPS
};

struct map_layout {
	const char *name;
	uint32_t type; /* of the inner map for a slotted one */
	uint32_t flags;
	uint32_t key_size;
	uint32_t value_size; /* 0: the programs' own business */
};

extern const struct map_layout map_layouts[MAPS];

/* Opens the pinned maps into fd[MAPS] (-1 where not yet open). -EPROTO when one has another
 * layout or is missing. */
int maps_open(const char *instance, int fd[MAPS], char **problem);
/* Before the object is loaded: room in `leases` for each CPU that may come up. */
int maps_size(struct bpf_object *object);
/* The same as maps_open() from a loaded object. */
int maps_take(struct bpf_object *object, int fd[MAPS], char **problem);
/* Makes a not yet loaded object use the pinned maps; `private` (may be NULL) stays its own. */
int maps_reuse(struct bpf_object *object, const char *instance, const char *private,
	       char **problem);
/* Writes n entries, in batches where the kernel has them. */
int map_fill(int fd, const void *keys, uint32_t key_size, const void *values, uint32_t value_size,
	     size_t count);
/* Entries first..first+count-1 of an array map. */
int map_fill_array(int fd, uint32_t first, const void *values, uint32_t value_size, size_t count);
int map_read_array(int fd, uint32_t first, void *values, uint32_t value_size, size_t count);

/* Walks all entries of a map, in batches. Entries that come or go meanwhile may be missed. `each`
 * ends the walk with a non-zero value. */
struct map_walk {
	int fd;
	uint32_t key_size, value_size;
	int (*each)(const void *key, const void *value, void *data);
	void *data;
};
int map_walk(const struct map_walk *walk); /* read.c */
#define STRANGERS_MET_BYTES (WEIR_STRANGER_SLOTS * sizeof(uint64_t))
/* Of an array with WEIR_STRANGER_SLOTS entries at least those that a packet met at since_ns (boot)
 * or later, as `met_ns` (mmap of MAP_STRANGERS_MET) says. */
int slots_since(const struct map_walk *walk, const uint64_t *met_ns, uint64_t since_ns);
/* One that is written without a packet counts as met, at the beginning of time. Before it is
 * written: what is not noted is not read. */
void slot_note_written(uint64_t *met_ns, uint32_t slot);
int map_info(int fd, struct bpf_map_info *info);

/* ---- the guard ------------------------------------------------------------------------------- */

struct sever;
struct lister;
struct keep;
struct former;

#define TRIES 2 /* of a policy slot that can be large: MAP_PREFIXES4 and 6 */

/* Work that goes on behind a call that has returned; one at a time. */
struct task {
	pthread_t thread;
	bool is_running;
};

struct guard {
	char *instance;
	int dir_fd; /* of the pins; the flock is on it */
	int map_fd[MAPS];
	struct weir_control *control; /* mmap of MAP_CONTROL */
	uint64_t *strangers_met;      /* mmap of MAP_STRANGERS_MET */
	char *cgroup_path;	      /* NULL: the guarded cgroup is gone */
	/* orders.c: no text stands at this place or behind it, as this process has left or read
	 * them; WEIR_MAX_ORDERS: it has done neither */
	size_t orders_end;

	/* lock.c */
	pthread_mutex_t mutex;
	int lock_depth;
	bool is_quiescing; /* a grace period runs; the flock is held until it ends */
	struct task quiesce;
	int grace_outer, grace_inner;

	struct task drain; /* retire.c */
	int trie_fd[WEIR_POLICY_SLOTS]
		   [TRIES]; /* retire.c: filled by this process; -1: by another */
	bool is_off;	    /* unpinned by this process */
	struct ring_buffer *ring;
	struct sever *sever;
	int sever_err; /* why guard_prepare() could not load it; 0: not tried, or loaded */
	char *sever_why;
	struct lister *lister;
	int lister_err; /* likewise */
	char *lister_why;
	struct keep *keep;	   /* keep.c; NULL in a process that only opened it */
	struct forgiver *forgiver; /* meters.c */
	int settle_fd;		   /* settle.c; -1: not open yet */
	struct former *former;	   /* former.c: until guard_adopt() */
	void (*event_each)(const struct weir_event *event, void *data);
	void *event_data;
	int events_taken, events_most; /* of the present call */
};

int guard_new(const char *instance, struct guard **ret, char **problem);
/* Maps what user space and the programs share, once map_fd[] is there. */
int guard_map_shared(struct guard *guard, char **problem);
int guard_find_cgroup(struct guard *guard);

static inline void cleanup_guard(struct guard **guard)
{
	guard_close(*guard);
}
#define _cleanup_guard_ _cleanup_(cleanup_guard)

static inline void task_join(struct task *task)
{
	if (task->is_running)
		pthread_join(task->thread, NULL);
	task->is_running = false;
}

/* ---- lock.c ---------------------------------------------------------------------------------- */

/* One line about why guard_lock() failed; with -ETIMEDOUT it names who holds the lock. Returns
 * `err`. */
int lock_problem(const struct guard *guard, int err, char **problem);
/* guard_lock() that does not wait: -ETIMEDOUT. */
int guard_try_lock(struct guard *guard);
/* guard_lock(), and no grace period under way: needed before a slot is written. */
int lock_quiet(struct guard *guard);
/* Returns when no packet runs any longer in what was active before. About 8 ms. */
int grace_wait(struct guard *guard);
/* The same behind the caller's back, with the flock held until it is over. */
void grace_begin(struct guard *guard);
int grace_open(int *outer, int *inner);

static inline void cleanup_lock(struct guard **guard)
{
	if (*guard)
		guard_unlock(*guard);
}
#define _cleanup_lock_ _cleanup_(cleanup_lock)

/* ---- object.c: the programs ------------------------------------------------------------------ */

/* Opens and loads the guard's programs; `instance` non-NULL: on its pinned maps. weir_edge only
 * when wanted. */
/* How long a jiffy is; 0: not known. */
uint64_t tick_ns(void);
bool wants_edge(const struct guard_options *options); /* load.c */
int object_load(const char *instance, bool wants_edge, struct bpf_object **ret, char **problem);
/* The same, with maps that `choose` gives it before it is loaded. */
int object_load_with(int (*choose)(struct bpf_object *object, void *data, char **problem),
		     void *data, bool wants_edge, struct bpf_object **ret, char **problem);

static inline void cleanup_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}
#define _cleanup_object_ _cleanup_(cleanup_object)

/* ---- attach.c: links ------------------------------------------------------------------------- */

struct hook {
	const char *name; /* its pin is link_NAME */
	const char *program;
	enum bpf_attach_type type;
};

/* The cgroup's hooks in the order in which they are attached: what gathers knowledge comes before
 * what judges. */
extern const struct hook hooks[];
extern const size_t hook_count;

struct link {
	char pin[64];
	int fd;
};

struct links {
	struct link *item;
	size_t count;
};

int attach_hook(struct bpf_object *object, const struct hook *hook, int cgroup_fd,
		struct links *links, char **problem);
/* -EBUSY: another program is there; -EEXIST: a device above the interface has one; -ENODEV. */
int attach_edge(struct bpf_object *object, const char *ifname, struct links *links, char **problem);
/* The same for one of the uplinks. Where any will do, one that cannot have the edge goes without,
 * and so does one that is waited for: guard_inspect() tells of it, and tries again. Egress judges
 * all the same. */
int attach_uplink(struct bpf_object *object, const struct guard_options *options,
		  const char *ifname, struct links *links, char **problem);
int links_pin(const struct links *links, const char *instance, char **problem);
/* Closes them, which detaches what is not pinned. */
void links_close(struct links *links);
#define _cleanup_links_ _cleanup_(links_close)

/* None is named twice; with `all_there`, each that is named is there. */
int uplinks_check(const struct guard_options *options, bool all_there, char **problem);

/* The index of an interface of this network namespace; 0: there is none of that name. `unknown`
 * when the kernel could not be asked (no socket left, say). */
uint32_t interface_index(const char *ifname, uint32_t unknown);

/* Whether a link still holds its place (the kernel says), and where. */
struct link_place {
	bool is_attached;
	uint32_t ifindex;	   /* XDP; 0: it is none, or has no place */
	uint64_t cgroup_id;	   /* cgroup; 0: likewise */
	enum bpf_attach_type type; /* cgroup */
};
int link_place(int link_fd, struct link_place *place);
/* Not for a link of another hook, or on another cgroup, whatever it is pinned as. */
bool link_is_at_hook(int link_fd, const struct hook *hook, uint64_t cgroup_id);
bool link_is_at_interface(int link_fd, uint32_t ifindex);

/* ---- rtnetlink.c ----------------------------------------------------------------------------- */

/* "bridge", "bond", "vlan", ...; empty: it is no such device, or a port of none. */
#define INTERFACE_KIND_SIZE 16
struct interface_kind {
	char self[INTERFACE_KIND_SIZE], master[INTERFACE_KIND_SIZE];
};
int interface_kind(uint32_t ifindex, struct interface_kind *kind);

/* ---- findings.c ------------------------------------------------------------------------------ */

struct finding_list {
	struct guard_finding *item;
	size_t count;
};

/* NULL: no memory for it. */
__attribute__((format(printf, 5, 6))) struct guard_finding *
finding_add(struct finding_list *list, const char *what, const char *where, bool is_open,
	    const char *format, ...);
/* One that is put back already, or of which nobody has to think. */
void finding_add_mended(struct finding_list *list, const char *what, const char *where,
			bool is_open, const char *detail);
void finding_list_free(struct finding_list *list);

/* ---- keep.c: what the daemon holds, to put it back ------------------------------------------- */

/* Takes the object over, also on failure. After the links are pinned. */
int keep_take(struct guard *guard, struct bpf_object *object, int cgroup_fd,
	      const struct guard_options *options);
void keep_free(struct keep *keep);

/* ---- events.c -------------------------------------------------------------------------------- */

/* Counts the events of a ring whose programs are gone as WEIR_LOST_UNREAD, which no program does:
 * nobody will read them. Not those of the guard's own. */
void events_give_up(struct guard *guard, int ring_fd);

/* ---- former.c, former_maps.c, carry.c: a guard of another build ------------------------------ */

/* Says in the control words of whatever build that the guard was taken off, where they can be
 * found. */
void former_note_unloaded(struct guard *guard);
/* Its programs and this build's stop charging budgets until then (boot, ns); 0: they go on. */
void former_freeze(struct guard *guard, uint64_t until_ns);
/* Copies what its meters have become since the last time. */
int former_carry(struct guard *guard, char **problem);
/* What its programs counted after that, and without them running any more. */
int former_carry_rest(struct guard *guard, char **problem);
/* The caller owns it from then on. */
struct bpf_object *former_take_object(struct guard *guard);
void former_free(struct former *former);
/* Whether the running programs work on the pinned maps. False: another build's programs took over,
 * and were killed before their maps were pinned. */
bool running_on_pinned(const char *instance);

/* ---- apply.c --------------------------------------------------------------------------------- */

/* Fresh inner maps with the image's content. */
struct tables {
	int fd[MAPS_SLOTTED];
};
int tables_build(const struct image *image, struct tables *tables, char **problem);
/* Puts them and the head into a policy slot that nobody uses. */
int tables_install(struct guard *guard, const struct tables *tables,
		   const struct weir_policy_head *head, uint32_t slot, char **problem);
void tables_close(struct tables *tables);
#define _cleanup_tables_ _cleanup_(tables_close)

/* Fills a cut slot that nobody uses. -ENOSPC: more than WEIR_CUT_ENTRIES. */
int cuts_fill(struct guard *guard, const struct order_table *cuts, uint32_t slot);
/* The write that commits: the generation rises. The caller holds the lock. */
void commit(struct guard *guard, uint32_t policy_slot, uint32_t cut_slot);

/* ---- retire.c: the end of tries -------------------------------------------------------------- */

/* Keeps the tries of a slot that was just filled: the kernel gives them back by id to
 * CAP_SYS_ADMIN alone, and the daemon's filter closes that command (user/daemon/filter.c). */
void retire_keep(struct guard *guard, const struct tables *tables, uint32_t slot);
/* What goes with a policy's switch: of the slot that it was in, and of the one that is filled. */
struct tries {
	int fd[2 * TRIES];
	size_t count;
};

/* Adds the kept tries of a slot, or asks for them by id: the kernel may refuse. None that this
 * process has emptied. */
void retire_open(struct guard *guard, uint32_t slot, struct tries *tries);
/* Empties tries in small steps, since dropping a full one can stall a CPU for seconds; closes them.
 */
void retire_drain(const struct tries *tries);
void retire_begin(struct guard *guard, const struct tries *tries);
/* Empties what a guard leaves that was taken off; closes what is kept. */
void retire_end(struct guard *guard);

/* ---- cgroup.c -------------------------------------------------------------------------------- */

/* Opens a directory of the cgroup v2 hierarchy; `path` NULL: its root. *id is its cgroup id. */
int cgroup_open(const char *path, int *fd, char **real_path, uint64_t *id, char **problem);
/* Walks the hierarchy below `path`, itself included; `below` is relative ("" for itself), NULL when
 * it is too long for a path. `each` ends the walk with a positive value; an error of its own, or of
 * one cgroup, is the answer in the end, but keeps nobody from seeing the others. */
int cgroup_walk(const char *path, int (*each)(int fd, const char *below, uint64_t id, void *data),
		void *data);
/* Path of a cgroup by its id, searched below `root`; malloc'd. -ENOENT when it is gone. */
int cgroup_path_of(const char *root, uint64_t id, char **path);

/* ---- sever.c, sessions.c, sock_diag.c, netns.c ----------------------------------------------- */

/* Loads the iterators once. */
int sever_load(struct guard *guard, char **problem);
void sever_free(struct sever *sever);
int lister_load(struct guard *guard, char **problem);
void lister_free(struct lister *lister);

struct selection {
	struct weir_selected *item;
	size_t count;
};

/* Ends by SOCK_DESTROY what is not ended yet, in the network namespace of the calling thread.
 * -EOPNOTSUPP: this kernel cannot. */
int sock_diag_end(struct weir_selected *item, size_t count);

struct network {
	uint64_t id;
	int fd; /* -1: no process of it lets us in (CAP_SYS_PTRACE) */
};

struct namespaces {
	struct network *item;
	size_t count;
};
/* The caller's own network namespace first, and those of all processes below the cgroup; each once.
 * What could be found is, whatever fails; the first error is told. */
int namespaces_find(const char *cgroup, struct namespaces *namespaces);
void namespaces_close(struct namespaces *namespaces);
/* Calls `inside` (NULL: nothing is done there) in each of them, from a thread that entered it.
 * *reach is filled in any case; the first error is told. */
int namespaces_each(const char *cgroup, int (*inside)(void *data), void *data,
		    struct guard_reach *reach);

/* What iterators wrote: `count` records of `size` bytes each; `item` is malloc'd. */
struct records {
	size_t size;
	void *item;
	size_t count, capacity;
};
/* Reads an iterator to its end, which is what makes it run, in the network namespace of the calling
 * thread; adds to what is there. */
int records_read(struct records *records, int link_fd);

/* ---- meters.c -------------------------------------------------------------------------------- */

/* Loads the program that forgives once. */
int forgiver_load(struct guard *guard, char **problem);
void forgiver_free(struct forgiver *forgiver);

/* ---- settle.c: before meters are read ---------------------------------------------------------
 */

/* Pins the object's program, in the place of an earlier build's. */
int settle_pin(struct bpf_object *object, const char *instance, char **problem);
/* Takes back all that the programs of the pinned guard, of whatever build, have lent. */
int settle(const char *instance);
/* With the guard: guard_settle() needs nothing but the descriptor, also when the pins are gone. */
int settle_open(struct guard *guard, char **problem);
int guard_settle(struct guard *guard);

#endif
