/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * trust.h - whose signed orders this host takes: allowed_signers and revoked_signers, read anew for
 * each order, so that a key taken back counts no more from that moment on.
 */
#ifndef WEIR_TRUST_H
#define WEIR_TRUST_H

#include "user/order/signers.h"

struct trust {
	struct signers signers;
	struct revoked revoked;
};

/*
 * 0; -errno with `problem`: then no signed order is taken. Either file must be root's, or the
 * reader's, and writable by nobody else; the list of keys taken back may be missing. To be freed in
 * each case.
 */
int trust_read(struct trust *trust, char **problem);
void trust_free(struct trust *trust);

#endif
