/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* drill.h - the report of `weir drill`. Pure: the report as JSON -> text. */
#ifndef WEIR_VIEW_DRILL_H
#define WEIR_VIEW_DRILL_H

#include <json-c/json.h>
#include <stdio.h>

void drill_print(json_object *report, FILE *out);

#endif
