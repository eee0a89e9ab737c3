/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * keep.h - between the files that look after what was attached: keep.c holds it, inspect.c says
 * what is amiss and puts it back, uplinks.c follows the interfaces where any of them is an uplink.
 */
#ifndef WEIR_KEEP_H
#define WEIR_KEEP_H

#include <net/if.h>

#include "user/kernel/internal.h"

struct kept_link {
	char pin[64];
	const struct hook *hook; /* NULL: edge */
	char ifname[IF_NAMESIZE];
	uint32_t ifindex; /* where it was attached */
	int fd;		  /* -1: it has no place */
	uint32_t id;	  /* of the link; 0: an interface that never had the edge */
	uint32_t program;
	/* of an interface without the edge */
	bool is_tried;
	char why[96]; /* it has none; empty: it needs none */
};

struct keep {
	struct bpf_object *object;
	int cgroup_fd;
	bool any_uplink;
	struct kept_link *link;
	size_t count;
	uint64_t looks, looks_locked; /* so many of the last ones another process had the lock */
	struct finding_list untold;   /* by a look that failed */
};

struct inspection {
	struct guard *guard;
	bool may_repair;
	bool has_repaired_link;
	size_t past; /* so many of the findings, the first, need no repair any more */
	char *why;   /* the directory of the pins cannot be made again */
	struct finding_list found;
};

/* ---- keep.c ---------------------------------------------------------------------------------- */

enum place {
	PLACE_HELD,
	PLACE_LOST,
	PLACE_GONE,   /* there is no interface of that name any more */
	PLACE_ANOTHER /* the interface of that name is not the one that got the edge */
};

/* As the kernel says. */
enum place keep_place(const struct guard *guard, const struct kept_link *link);
/* -1 without one. */
int keep_program(const struct keep *keep, const struct kept_link *link);
uint32_t program_id(int fd);
/* A link, or a map: the id stands second in the infos of both (include/uapi/linux/bpf.h). */
int object_id(int fd, uint32_t *id, struct bpf_link_info *info);
struct kept_link *keep_add_edge(struct keep *keep, const char *ifname);
/* Takes what was pinned under that name away. */
int keep_repin(struct guard *guard, const char *pin, int fd);
/* Makes a link anew and pins it; one that cannot be pinned stays all the same, and is found so. */
int keep_attach(struct guard *guard, struct kept_link *link, char **problem);
/* From now on like an interface that never had the edge. */
void keep_without_edge(struct guard *guard, struct kept_link *link);

/* ---- uplinks.c: where any interface is an uplink, or one that is named came late --------------
 */

/* Interfaces that went are forgotten, those that have another name keep their edge under it, and
 * those that came are noted; uplinks_try() gives them the edge. Pins change under the lock: while
 * another process has it, the next look follows. */
void uplinks_follow(struct inspection *inspection);
/* An interface without the edge. Trying takes the lock, as repairing does. */
void uplinks_try(struct inspection *inspection, struct kept_link *link);
/* The kernel refused the edge to an interface: why, for uplinks_try(). */
void uplinks_note_refusal(const struct keep *keep, struct kept_link *link, int err,
			  const char *problem);

#endif
