/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* known_signers.h - whether anybody whom this machine knows has signed an order. */
#ifndef WEIR_FLEET_KNOWN_SIGNERS_H
#define WEIR_FLEET_KNOWN_SIGNERS_H

#include "user/order/judge.h"

struct known_signers {
	bool is_there; /* this machine has such a list */
	struct signers signers;
	struct revoked revoked;
};

/* allowed_signers and revoked_signers of this machine (/etc/weir, or WEIR_CONFIG_DIR). 0, also
 * without them; -errno with `problem`: one of them is no such list. Free in each case. */
int known_signers_read(struct known_signers *known, char **problem);
void known_signers_free(struct known_signers *known);

/* How many different people have signed it so that it counts now; `judgement` says more. */
unsigned int known_signers_of(const struct known_signers *known, const struct document *document,
			      struct judgement *judgement);

#endif
