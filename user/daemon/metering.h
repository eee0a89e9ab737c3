/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * metering.h - the meters go to the disk: STATE_DIR/INSTANCE/meters (meters_file.h), and those that
 * are latched to `latches` and `latches.copy` as well, in the same format, so that a damaged file
 * frees nobody.
 *
 * The daemon saves in a thread of its own, twice a second when a packet met a meter, and at once
 * for a latch: no order waits for the disk. With nothing to save the thread asks for one number
 * each time. Only meters that changed are appended; when they outgrow the snapshot it is written
 * anew.
 *
 * After a loss of power restoring.h assumes no more than METERS_UNSAVED_SECONDS of the uplinks'
 * speed, as long as each save of the last minute kept up with that (saver.c). Nothing on the disk
 * can tell of the save that runs: what remains is a disk that was quick for a minute, then takes
 * more than about a second, or hangs, and loses its power before that save and the note that it
 * was slow are down. metering_trouble() tells of it meanwhile.
 */
#ifndef WEIR_METERING_H
#define WEIR_METERING_H

#include "user/base/json_out.h"
#include "user/daemon/assumed.h"
#include "user/daemon/host.h"

struct metering;

/* For one command, on the pinned guard: what the file of this boot says is assumed. -ENOMEM. */
int metering_open(struct host *host, struct metering **ret);

/*
 * The daemon's: takes `assumed` over (NULL: from the file of this boot) and writes a first
 * snapshot. `uplinks` bound what can leave unseen: none named means every physical interface;
 * borrowed until metering_end().
 * Without a disk the guard goes on, and saving is tried again at each turn.
 */
int metering_start(struct host *host, struct assumed *assumed, char *const *uplinks,
		   size_t uplink_count);

/* Once a second, since links come up, change and go: what the uplinks can carry, the most of it
 * counts. Not known while the speed of one is not, or while no service manager watches this daemon.
 */
void metering_look_at_links(struct metering *metering);

/* Starts the thread, which has the capabilities that the caller has by then. 0 or -errno. */
int metering_run(struct metering *metering);

/* Saves all of it now, under these flags (enum meters_flag). 0 or -errno. */
int metering_save(struct metering *metering, uint32_t flags);
/* The thread shall not wait for its turn. */
void metering_hurry(struct metering *metering);
/* -errno while saving fails, -ETIME while a save takes too long; 0 when all is well. */
int metering_trouble(struct metering *metering);

/* Ends the thread. `saves`: with a last save, whose -errno it returns. */
int metering_end(struct metering *metering, bool saves, uint32_t flags);

/* ---- for people ------------------------------------------------------------------------------ */

/* "meters": when they were saved, and what of them is assumed. */
void metering_put(const struct host *host, struct metering *metering, struct json_out *reply);
/* "meters": [...], those with windows in use. */
int metering_list(struct host *host, struct metering *metering, struct json_out *reply,
		  char **problem);

struct reset_request {
	const char *target; /* as an order's, or a grant's name; NULL: all */
	const char *reason;
	const char *by;
};
/* Takes the assumed part back, and nothing that was measured. */
int metering_reset(struct host *host, struct metering *metering,
		   const struct reset_request *request, struct json_out *reply, char **problem);

/* ---- shared by the two files ---------------------------------------------------------------- */

/* The table of what is assumed, held while it is read or changed. */
struct assumed *metering_hold(struct metering *metering);
void metering_release(struct metering *metering);
uint64_t metering_saved_ns(struct metering *metering); /* wall; 0: not yet */
int metering_boot_id(uint8_t id[16]);		       /* of this boot, as the file has it */

#endif
