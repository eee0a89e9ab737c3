/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plan.h - a plan for people, from the daemon's answer. */
#ifndef WEIR_VIEW_PLAN_H
#define WEIR_VIEW_PLAN_H

#include <json-c/json.h>
#include <stdio.h>

/* All of it, and what to type next. `plan` NULL: that none is under way. */
void print_plan(json_object *plan, FILE *out);
/* One line; nothing without a plan. */
void print_plan_line(json_object *plan, FILE *out);

#endif
