/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* push_run.h - `weir push FILE`. */
#ifndef WEIR_FLEET_PUSH_RUN_H
#define WEIR_FLEET_PUSH_RUN_H

#include "user/fleet/options.h"

/* Returns the exit code. */
int push_run(const struct fleet_config *config, const struct fleet_options *options);

#endif
