/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * second_person.h - four eyes: while the policy in force says `four_eyes: true`, a local order that
 * loosens takes two login uids.
 *
 * The first one's request changes nothing and waits in the daemon's memory: a restart, a change of
 * the policy in force and SECOND_PERSON_NS void it. When another login asks for the same it is
 * carried out, and its line in the journal names both. The reasons may differ.
 *
 * Who asks is the login uid that the kernel keeps for each session (/proc/PID/loginuid): sudo and
 * su keep it. Root can write it, as it can take the guard off by hand: this holds back a mistake
 * and whoever may ask without being root, not two sessions of one root.
 */
#ifndef WEIR_SECOND_PERSON_H
#define WEIR_SECOND_PERSON_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/base/json_out.h"
#include "user/base/units.h"
#include "user/daemon/caller.h"

#define SECOND_PERSON_NS (15 * NS_PER_MINUTE)
enum { SECOND_PERSON_PLACES = 16 };

/* Nothing was done: the request waits for another login to ask for the same. */
#define WAITS_FOR_SECOND (-EINPROGRESS)

struct host;
struct journal_order;

/* Who asked first, for the record of the order. */
struct first_person {
	struct caller by;
	char *reason;  /* NULL: it takes none */
	uint64_t line; /* of the journal, which says that it was asked; 0: it lacks that */
};

struct pending {
	uint8_t command_digest[32]; /* of the fields, the reasons left out */
	uint8_t about_digest[32];   /* of what it would have changed */
	char *command;		    /* as it is to be typed */
	struct first_person first;
	uint64_t until_ns; /* boot */
};

/* Of the daemon: what waits, and of the request that is being answered who asked for it first. */
struct second_person {
	struct pending pending[SECOND_PERSON_PLACES]; /* the oldest first */
	size_t count;
	bool has_first;
	struct first_person first; /* a copy, since a new policy voids all that waits */
	uint8_t command_digest[32];
};

struct second_ask {
	/* What the journal says of it; `reason` may be NULL. */
	const struct journal_order *order;
	const char *same;  /* what has to be the same beside the fields: a digest; or NULL */
	const char *about; /* what it would change, by the ids that it has now; or NULL */
	const char *note;  /* told behind why it waits; or NULL */
	bool is_needed;	   /* whatever the policy in force says */
	bool waits_for_no_disk;
};

/*
 * Asked by each request that loosens, when all about it is good and nothing is done yet; the caller
 * holds guard_lock() where others may change what it is about. 0: go on. WAITS_FOR_SECOND, or
 * -errno, with `problem`: nothing may be done. Of the guard itself, which nobody asks, it is 0.
 */
int second_person(struct host *host, const struct second_ask *ask, char **problem);

/* Whether another login has asked for the same, so that second_person() would let it go on. */
bool second_person_is_there(struct host *host, const struct second_ask *ask);

/* Of the request that was answered; `is_done`: it was carried out, and waits no more. */
void second_person_end(struct host *host, bool is_done);

/* Another policy comes into force. */
void second_person_void(struct host *host);
void second_person_free(struct second_person *all);

/* "four_eyes": {"is_required":...,"pending":[...]} */
void second_person_put(struct host *host, struct json_out *reply);

/* The command that makes this request of `instance`, as it is typed; malloc'd, NULL without memory.
 * No control character is in it, whatever the request holds. */
struct json_object;
char *second_person_command(const char *instance, struct json_object *request);

#endif
