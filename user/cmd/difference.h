/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference.h - what gets looser and tighter, for `weir apply` and `weir policy diff`.
 */
#ifndef WEIR_CMD_DIFFERENCE_H
#define WEIR_CMD_DIFFERENCE_H

#include "user/cmd/call.h"

/* One side of a comparison: these texts, a kept policy, the one before that in force. NULL where
 * one is wanted: the policy in force. */
struct sources;
json_object *difference_side_files(const struct sources *sources);
json_object *difference_side_digest(const char *digest);
json_object *difference_side_previous(void);

/* Asks the host, which may be without a daemon, and prints; the sides are given away. The exit
 * code.
 */
int difference_tell(const struct arguments *arguments, json_object *before, json_object *after);

#endif
