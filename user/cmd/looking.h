/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* looking.h - what `weir show` and `weir who` have in common. */
#ifndef WEIR_LOOKING_H
#define WEIR_LOOKING_H

#include <stdio.h>

#include "user/cmd/call.h"

/* Asks (the request is given away), adds what the caller may see of processes and events, prints it
 * with `print`, or as JSON. Returns the exit code. */
int look(const struct arguments *arguments, json_object *request,
	 void (*print)(json_object *answer, FILE *out));

#endif
