/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * show.h - the pages of `weir show` and `weir who`. Pure: an answer (user/daemon/show.h) -> text.
 *
 * Texts that others chose (programs, reasons, contacts) come out without control characters.
 */
#ifndef WEIR_VIEW_SHOW_H
#define WEIR_VIEW_SHOW_H

#include <json-c/json.h>
#include <stdio.h>

void show_print(json_object *answer, FILE *out);

/* Also for what a policy file alone says. */
void who_print(json_object *answer, FILE *out);

#endif
