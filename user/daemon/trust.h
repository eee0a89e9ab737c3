/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * trust.h - whose signed orders this host takes, read anew for each, so that a key taken back
 * counts no more from that moment on.
 *
 * It begins with allowed_signers (paths.h), version 0. From the first signed order of kind signers
 * that is taken on, its list counts (in_force.h), and the file no more. revoked_signers is the
 * host's own, and only ever takes away.
 */
#ifndef WEIR_TRUST_H
#define WEIR_TRUST_H

#include "user/daemon/host.h"
#include "user/daemon/in_force.h"

struct trust {
	const struct signers *signers; /* one of the two below */
	struct signers of_host;
	struct in_force order;
	struct revoked revoked;
};

/*
 * 0; -errno with `problem`: then no signed order is taken. Either file of the host must be root's,
 * or the reader's, and writable by nobody else; the list of keys taken back may be missing. A
 * damaged signers.order is an error: an older list would count people who were taken out. To be
 * freed in each case.
 */
int trust_read(const struct host *host, struct trust *trust, char **problem);
void trust_free(struct trust *trust);

#endif
