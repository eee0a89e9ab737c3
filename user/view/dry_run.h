/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* dry_run.h - what a cut would do, for people. */
#ifndef WEIR_VIEW_DRY_RUN_H
#define WEIR_VIEW_DRY_RUN_H

#include <json-c/json.h>
#include <stdio.h>

/* The connections, whom it stops, what the lifeline spares: of an answer to a cut, or to a signed
 * one, that was only tried. */
void print_dry_run(json_object *answer, FILE *out);

#endif
