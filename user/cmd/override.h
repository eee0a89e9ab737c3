/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* override.h - what `weir extend` and `weir pause` have in common. */
#ifndef WEIR_CMD_OVERRIDE_H
#define WEIR_CMD_OVERRIDE_H

#include "user/cmd/call.h"

/* Adds the targets, --reason and --for, both required; sends it, prints the answer. The request is
 * given away. Returns the exit code. */
int override_ask(const struct arguments *arguments, json_object *request);

#endif
