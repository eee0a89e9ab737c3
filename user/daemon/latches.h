/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * latches.h - accounts that the guard severed by itself after a breach: cuts without an order.
 */
#ifndef WEIR_LATCHES_H
#define WEIR_LATCHES_H

#include "user/daemon/host.h"
#include "user/daemon/meters_file.h"

#define LATCHES_FILE "latches"
#define LATCHES_COPY "latches.copy"

struct latch {
	uint64_t account; /* of slots: what weir_meter_key() makes of WEIR_KEY_PEER and service */
	bool is_of_slots; /* the latched strangers' slots of one service, as one */
	uint64_t severed_ns; /* boot; of the first one */
	uint64_t grant_key, service_key, partner_key;
	size_t count;
};

struct latches {
	struct latch *item;
	size_t count;
};

/* All that are latched now. 0 or -errno. */
int latches_read(const struct host *host, struct latches *latches);
void latches_free(struct latches *latches);
/* NULL: there is none. */
struct latch *latches_find(const struct latches *latches, uint64_t account);

/*
 * The meters that were latched, as the state directory has them: the file, or else its copy; then
 * *is_of_copy. 0, then meters_read_free() ends `read`; -ENOENT: there is neither; -ENOMEM; -errno:
 * neither can be read.
 */
int latches_load(const struct host *host, struct meters_read *read, bool *is_of_copy);

/* The same as latches, or else those among the meters: for where no guard is, and they hold again
 * when one is loaded. 0, also without a file; -ENOMEM; -EBADMSG: none of the files can be read. */
int latches_saved(const struct host *host, struct latches *latches);

/* Adds the account to the latches if it is latched; for a walk that looks at the meters anyway. */
int latches_note(struct latches *latches, uint64_t key, const struct weir_meter *meter);

/* One of their addresses, or all of them in a service. */
bool latch_is_of_strangers(const struct latch *latch);

/* Whether a reopening of this target clears it. */
bool latch_is_in(const struct host *host, const struct latch *latch,
		 const struct weir_cut_entry *target);

/* A target that covers it: "grant:billing", "strangers@service:portal"; malloc'd. */
char *latch_target(const struct host *host, const struct latch *latch);

#endif
