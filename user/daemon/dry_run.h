/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * dry_run.h - what a cut would do: whom it would stop, which connections it would end, and what the
 * lifeline spares.
 */
#ifndef WEIR_DRY_RUN_H
#define WEIR_DRY_RUN_H

#include "user/daemon/cutting.h"

/*
 * `table` has the request's cuts beside those in force; the guard's lock is held. 0, -errno with
 * `problem`, or DONE_IN_PART when not all connections could be looked at.
 */
int cut_dry_run(struct host *host, const struct order_request *request,
		const struct order_table *table, struct json_out *reply, char **problem);

#endif
