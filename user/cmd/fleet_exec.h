/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fleet_exec.h - the commands that speak to brokers: weir-fleet does that, which alone links MQTT.
 */
#ifndef WEIR_FLEET_EXEC_H
#define WEIR_FLEET_EXEC_H

#include "user/cmd/cmd.h"

/* Becomes `weir-fleet VERB` with all that was given. Returns only when it cannot: CMD_REFUSED, and
 * why on stderr. */
int fleet_exec(const struct arguments *arguments, const char *verb);

#endif
