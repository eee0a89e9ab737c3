/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * guard.h - the guard in the kernel, as the rest of user space sees it.
 *
 * Behind it stands the only code that includes libbpf and the skeletons. Functions return 0 or
 * -errno; those with `problem` put one line for people there (malloc'd, the caller frees), which
 * is NULL on success. Nothing here logs.
 */
#ifndef WEIR_GUARD_H
#define WEIR_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "user/policy/image.h"

struct guard;
struct guard_finding;

struct guard_options {
	const char *instance;
	const char *cgroup; /* directory; NULL: the root of the cgroup v2 hierarchy */
	char **uplinks;	    /* interface names, in the network namespace of the caller */
	size_t uplink_count;
	bool any_uplink;	/* those that come later too: guard_inspect() attaches them */
	bool waits_for_uplinks; /* those that are not there yet: likewise */
	bool observe;
	/* guard_load() only: cuts (compiled against the image) and orders that are in force from
	 * the first packet on. NULL and 0: none. */
	const struct order_table *cuts;
	const struct weir_order *orders;
	size_t order_count;
	bool hours_closed; /* guard_load() only: grants with hours stay closed from the first packet
			      on */
	/* guard_load() only: fills the meters before the first packet, through guard_put_meter()
	 * and guard_put_stranger(). NULL: they start from nothing. */
	int (*fill_meters)(struct guard *guard, void *data);
	void *fill_data;
	const uint64_t *secret; /* guard_load() only: of the strangers' hash; NULL: a fresh one */
	/* guard_adopt() only, NULL: nobody is told. What had come amiss while no daemon looked,
	 * before it is mended: who fails or is killed in between has told it. */
	void (*tell_past)(const struct guard_finding *finding, void *data);
	void *tell_data;
};

/* ---- life ------------------------------------------------------------------------------------ */

/* Loads, fills, attaches and pins a new guard: all or nothing. -EEXIST when one is pinned. */
int guard_load(const struct guard_options *options, const struct image *image, struct guard **ret,
	       char **problem);

/* Opens what is pinned. -ENOENT: nothing is. -EPROTO: it is another build's. */
int guard_open(const char *instance, struct guard **ret, char **problem);

/*
 * Opens what another build has pinned, to take it over: this build's programs are loaded, on those
 * of its maps that look the same here, and on fresh ones with what the others hold. Nothing of it
 * is live before guard_adopt(); a policy must be applied before. Holds the guard's lock until then.
 * -EPROTO: it holds what this build does not know; it stays as it is.
 */
int guard_open_former(const struct guard_options *options, struct guard **ret, char **problem);
/* What the connections that are open lose by that: names of maps, or "". NULL: it is no former one.
 */
const char *guard_former_loss(const struct guard *guard);

/* Takes over the programs of an opened guard: this build's replace the running ones through their
 * links, on the same maps; missing hooks and uplinks are attached. Raises the generation. */
int guard_adopt(struct guard *guard, const struct guard_options *options, char **problem);

/* Loads the programs that later work runs (ending and listing sockets, forgiving), for a process
 * that will not be able to load any. All are tried, the first error is told; a list that cannot be
 * had is told by guard_sessions(). */
int guard_prepare(struct guard *guard, char **problem);

/* Detaches and unpins everything, sessions unharmed. Freeing its tables, which can take seconds, is
 * left to guard_close(). */
int guard_take_off(struct guard *guard, char **problem);
/* The same for one that is not open, of whatever build. */
int guard_unload(const char *instance, char **problem);
bool guard_is_pinned(const char *instance);
/* Whether one is pinned, of whatever build, whose programs that are pinned are all attached to one
 * cgroup, the one that judges what leaves (egress) among them. */
bool guard_is_judging(const char *instance);
void guard_close(struct guard *guard);

/*
 * Holds the guard's lock over several calls, so that no other process comes between reading
 * (orders, control, policy head) and changing. Nests. -ENOENT: the guard was taken off meanwhile.
 * -ETIMEDOUT: another process, which may be stopped, has held it for 15 s.
 */
int guard_lock(struct guard *guard);
int guard_lock_told(struct guard *guard, char **problem); /* names who holds it */
void guard_unlock(struct guard *guard);

/* ---- changes; each takes the guard's lock, and ends with one write of control.active --------- */

/* A new policy, with the cuts compiled against it. */
int guard_apply(struct guard *guard, const struct image *image, const struct order_table *cuts,
		char **problem);
/* Other cuts under the same policy. This is the write that cuts. */
int guard_set_cuts(struct guard *guard, const struct order_table *cuts);
/* Fills a spare slot without switching to it, for a dry run; *slot names it. */
int guard_stage_cuts(struct guard *guard, const struct order_table *cuts, uint32_t *slot);
/* Raises the generation: each socket is judged anew. */
int guard_raise(struct guard *guard);
/* Wall clock and hours: offset = wall - boot. Raises the generation. */
int guard_set_clock(struct guard *guard, int64_t wall_offset_ns, bool hours_closed);
int guard_set_observe(struct guard *guard, bool observe);
/* Opens a latch again. -ENOENT: no such account, or not latched. */
int guard_clear_latch(struct guard *guard, uint64_t account);
/* Opens those strangers' slots again that are of this service; 0: of none that is known. -ENOENT:
 * none of them is latched. */
int guard_clear_strangers(struct guard *guard, uint64_t service_key);

/* Orders' texts: all that are in use, in order of id; malloc'd. */
int guard_orders(struct guard *guard, struct weir_order **ret, size_t *count);
/* Replaces all texts. -ENOSPC: more than WEIR_MAX_ORDERS. */
int guard_set_orders(struct guard *guard, const struct weir_order *orders, size_t count);

/* ---- ending sockets -------------------------------------------------------------------------- */

/* Sockets are ended from inside their network namespace. */
struct guard_reach {
	size_t namespaces; /* with a process below the guarded cgroup; the caller's own too */
	size_t closed;	   /* of them: not to be entered (CAP_SYS_PTRACE, CAP_SYS_ADMIN) */
	int unread;	   /* -errno: a cgroup there could not be read (CAP_DAC_READ_SEARCH) */
};

struct sever_result {
	size_t ended;
	size_t selected;
	struct guard_reach reach;
	bool by_iterator; /* bpf_sock_destroy; else sock_diag */
	uint64_t took_ns;
};

/*
 * Selects the sockets that `request` means in every network namespace with a process below the
 * guarded cgroup, and ends them unless `dry_run`. `each` may be NULL. *result is filled also when
 * not all of them could be reached, which is an error: -EPERM for namespaces that are closed.
 */
int guard_sever(struct guard *guard, const struct weir_sever_request *request, bool dry_run,
		void (*each)(const struct weir_selected *selected, void *data), void *data,
		struct sever_result *result, char **problem);

/*
 * Lists the open connections of guarded sockets, in the same namespaces: no listening ones, UDP
 * only when connected, none that stay on this host. It changes nothing. What could be reached is
 * listed also on failure; *reach says what was not.
 */
int guard_sessions(struct guard *guard,
		   void (*each)(const struct weir_session *session, void *data), void *data,
		   struct guard_reach *reach, char **problem);

/* What guard_sever() would reach, found by entering each namespace. */
int guard_reach(struct guard *guard, struct guard_reach *reach);

/* ---- reading --------------------------------------------------------------------------------- */

struct weir_control guard_control(const struct guard *guard);
int guard_policy_head(struct guard *guard, struct weir_policy_head *head);
int guard_losses(struct guard *guard, uint64_t losses[WEIR_LOSSES]);

/* Every account, keyed; `each` returning non-zero ends the walk with that value. Strangers' slots
 * that are in use, or latched, come with key = WEIR_KEY_PEER. */
int guard_meters(struct guard *guard,
		 int (*each)(uint64_t key, const struct weir_meter *meter, void *data), void *data);
/* The same for one kind alone; strangers' slots that nobody uses are left out. A value may be
 * caught in the middle of a change: the count of charges then rises after it was read. */
int guard_accounts(struct guard *guard,
		   int (*each)(uint64_t key, const struct weir_meter *meter, void *data),
		   void *data);
int guard_strangers(struct guard *guard,
		    int (*each)(uint32_t slot, const struct weir_meter *meter, void *data),
		    void *data);
/* Of the strangers' slots at least those that a packet met at since_ns (boot time) or later. The
 * packet notes itself first and is charged after, which is allowed for. */
int guard_strangers_since(struct guard *guard, uint64_t since_ns,
			  int (*each)(uint32_t slot, const struct weir_meter *meter, void *data),
			  void *data);
/* A count that rises with each packet that meets a meter, and wraps. */
int guard_charges(struct guard *guard, uint32_t *charges);
/* While guard_load() fills the meters, and at no other time: a packet's charge would be lost.
 * -E2BIG: no room for one more. */
int guard_put_meter(struct guard *guard, uint64_t key, const struct weir_meter *meter);
int guard_put_stranger(struct guard *guard, uint32_t slot, const struct weir_meter *meter);
/* Under the kernel's own lock, so that no charge is lost. Sets request->forgiven_bytes. */
int guard_forgive(struct guard *guard, struct weir_forgive *request, char **problem);
int guard_meter(struct guard *guard, uint64_t key, struct weir_meter *meter);
int guard_stranger(struct guard *guard, uint32_t slot, struct weir_meter *meter);
/* The slot of one stranger; it may share it with others. */
int guard_peer_meter(struct guard *guard, uint64_t service_key, bool serves, const uint8_t peer[16],
		     struct weir_meter *meter);

struct guard_cgroup {
	uint64_t id;
	struct weir_cgroup traffic;
	char *path; /* below the guarded root; NULL when it is gone */
};
int guard_cgroups(struct guard *guard, struct guard_cgroup **ret, size_t *count);

struct guard_hook {
	char name[32];	  /* egress, connect4, edge, ... */
	char where[128];  /* cgroup path or interface */
	bool is_attached; /* read back from the kernel */
};
int guard_hooks(struct guard *guard, struct guard_hook **ret, size_t *count);
/* What is not as it was put: by whom, nobody can say. */
struct guard_finding {
	/* detached, replaced-program, removed-pin, replaced-pin, foreign-program, uplink-gone (or
	 * not there yet), uplink-came; no-edge: one that came cannot have it */
	char what[24];
	char where[64];
	char detail[96];
	bool is_open;	  /* packets could pass unjudged meanwhile */
	bool is_repaired; /* put back by this call */
};

/*
 * Reads the attachment back from the kernel and puts back what is not as this process left it; only
 * after guard_load() or guard_adopt(). The findings are malloc'd. -ENOENT: the guard was taken off
 * by guard_unload() in another process. -ENODATA: this process did not attach it.
 */
int guard_inspect(struct guard *guard, struct guard_finding **ret, size_t *count);

const char *guard_cgroup_path(const struct guard *guard);

/* ---- events ---------------------------------------------------------------------------------- */

/* For poll(); readable when events wait. */
int guard_events_fd(struct guard *guard);
/* Calls `each` for those that wait, for `most` of them; what stays in the ring keeps its descriptor
 * readable. Number of events, or -errno. */
int guard_events_consume(struct guard *guard, int most,
			 void (*each)(const struct weir_event *event, void *data), void *data);

/* ---- what this kernel can do, found by trying ------------------------------------------------ */

struct probe {
	const char *what;
	const char *why; /* what weir needs it for */
	bool is_required;
	bool is_there;
	char detail[96]; /* the kernel's answer when it is not */
};
int guard_probe(struct probe **ret, size_t *count);

/* Where the cgroup v2 hierarchy is mounted (/proc/mounts); malloc'd. -ENOENT when it is not. */
int cgroup_mount_point(char **path);

#endif
