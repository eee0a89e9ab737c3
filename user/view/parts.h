/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* parts.h - the parts that several pages have. */
#ifndef WEIR_VIEW_PARTS_H
#define WEIR_VIEW_PARTS_H

#include <json-c/json.h>
#include <stdio.h>

/* "CUT partner:x, by c3 (all)": the state, and by what. */
void print_state(json_object *answer, FILE *out);
/* Contact, owner, ticket; from and until. */
void print_partner(json_object *partner, FILE *out);
void print_cuts(json_object *answer, FILE *out);
/* "extended  o7 grant billing lets pass 5GiB more to partner:x until ...": one of them; all that
 * an answer has. */
void print_override(json_object *override, FILE *out);
void print_overrides(json_object *answer, FILE *out);
/* What one person alone gave, of which grants' reserves. */
void print_reserves(json_object *answer, FILE *out);
void print_budgets(json_object *answer, FILE *out);
void print_sessions(json_object *answer, FILE *out);
void print_recent(json_object *answer, FILE *out);
void print_next(json_object *answer, FILE *out);

/* Which cuts still hold what a reopening let back. */
void print_holding(json_object *answer, FILE *out);

/* "parts" of WEIR_WHOLE: "25 %". */
void print_percent(json_object *object, FILE *out);

/* A field's text without control characters. */
void print_plain(json_object *object, const char *key, FILE *out);

#endif
