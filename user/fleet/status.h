/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* status.h - `weir fleet status`. */
#ifndef WEIR_FLEET_STATUS_H
#define WEIR_FLEET_STATUS_H

#include "user/fleet/options.h"

/* Returns the exit code. */
int status_run(const struct fleet_config *config, const struct fleet_options *options);

#endif
