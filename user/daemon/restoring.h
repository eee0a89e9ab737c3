/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * restoring.h - the meters come back when the guard is loaded anew: after a reboot, or after the
 * guard was taken off.
 *
 *	the file is complete		exact
 *	it ends before the guard did	exact up to the last save. For what may have left since,
 *					each meter is charged all the room it had, at most what
 *					the uplinks can carry in 2 s; without that bound where
 *					nobody saved, or saves took long
 *	of a build with more in it	likewise, without that bound: nobody can say what it means
 *	damaged, or lost		each meter is full for its shortest window; latches come
 *					from their file or its copy, and without either all is
 *					severed that a breach can sever
 */
#ifndef WEIR_RESTORING_H
#define WEIR_RESTORING_H

#include "user/daemon/assumed.h"
#include "user/daemon/host.h"
#include "user/daemon/meters_restore.h"

struct restoring {
	struct host *host;
	const struct image *image;
	struct meters_read read;
	bool has_read;	/* `read.head` is of a file */
	uint32_t flags; /* that the file had */
	uint32_t why;	/* enum meters_why: what is assumed now */
	uint64_t bound;
	bool only_shortest;
	bool severs_all; /* what was severed is not known any more */
	struct meters_times times;
	struct assumed assumed;	    /* out */
	struct meters_group filled; /* what the meters were filled with, when some is assumed */
	uint64_t secret[2];	    /* of the strangers' hash */
	bool is_saved;		    /* that is on the disk */
	char *aside;		    /* where a damaged file went; NULL: there was none */
};

/*
 * Reads what was saved, and takes back the mark that it is complete: from here on something may
 * leave. `had_life`: an earlier guard left other files, so there should be meters too. Sets what
 * guard_load() needs in `options`; `restoring` must live until then. 0, -ENOMEM, or -errno when the
 * mark cannot be taken back.
 */
int restoring_begin(struct restoring *restoring, struct host *host, const struct image *image,
		    bool had_life, struct guard_options *options, char **problem);
/* Nothing was loaded: the mark comes back. */
void restoring_undo(struct restoring *restoring);
/* Tells what had to be assumed, as an event and on stderr. */
void restoring_tell(struct restoring *restoring);
void restoring_free(struct restoring *restoring);

const char *meters_why_text(uint32_t why);

#endif
