/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* override.h - what `weir extend`, `weir pause` and `weir partner` have in common. */
#ifndef WEIR_CMD_OVERRIDE_H
#define WEIR_CMD_OVERRIDE_H

#include "user/cmd/call.h"

/* Adds --reason and --for, both required; sends it, prints the answer. The request is given away.
 * Returns the exit code. */
int override_ask(const struct arguments *arguments, json_object *request);

#endif
