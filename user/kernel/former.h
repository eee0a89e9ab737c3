/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * former.h - between the files that take over the guard of another build: former.c opens it,
 * former_maps.c says which of its maps stay, carry.c copies what the others hold.
 */
#ifndef WEIR_FORMER_H
#define WEIR_FORMER_H

#include "user/kernel/internal.h"
#include "user/kernel/layout.h"

struct carry_bpf;

struct old_map {
	char name[BPF_OBJ_NAME_LEN];
	int fd;
	struct bpf_map_info info;
};

struct snapshot_entry {
	uint64_t key;
	struct weir_meter meter; /* in this build's layout */
};

/* Meters on their way from one map to another. */
struct carried {
	int from_fd, to_fd;
	uint32_t key_size;
	struct conversion conversion;
	char *raw;	  /* one value, aligned */
	uint64_t *met_ns; /* of strangers' slots: where it is noted that one is written */
	struct snapshot_entry *entry;
	size_t count, sorted;	   /* the first `sorted` by key; all, between two walks */
	struct carry_bpf *carrier; /* adds to what runs already; borrowed */
	const char *unknown;	   /* a field in use that this build does not have */
};

/* What is there of the running guard. */
struct former {
	struct old_map *map;
	size_t count;
	struct bpf_object *object;
	void *control; /* of the running programs */
	size_t control_size;
	uint64_t *freeze_until_ns, *abi_at; /* in `control` */
	uint64_t abi;
	bool keeps_policy, keeps_meters;
	struct carried meters, strangers;
	const uint64_t *met_ns; /* which slots of strangers were met when; NULL: it does not say */
	uint64_t copied_ns;	/* boot, before the last copy of these slots */
	struct carry_bpf *carrier;
	char loss[128];
};

/* ---- former_maps.c --------------------------------------------------------------------------- */

enum { MOST_MAPS = 64 }; /* of one program */

/* Whether a map is the control words of a guard, of whatever build: by its name. */
bool former_is_control(uint32_t map_id);
/* The maps that the running programs work on. */
int former_open_maps(struct guard *guard, struct former *former);
/* NULL: it has none of that name. */
struct old_map *former_find(const struct former *former, const char *name);
int former_layout(const struct old_map *map, uint32_t type, struct layout *layout);
/* For object_load_with(): those that look the same are reused. */
int former_choose(struct bpf_object *object, void *data, char **problem);

/* ---- carry.c --------------------------------------------------------------------------------- */

/* What the fresh maps of a guard must know; the meters for the first time. -EPROTO: something in
 * use is not known here. */
int carry_begin(struct guard *guard, char **problem);
void carry_free(struct former *former);

#endif
