/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * refused.h - the page of `weir refused`. Pure: an answer (user/daemon/refusing.h) -> text, without
 * control characters whoever chose the words.
 */
#ifndef WEIR_VIEW_REFUSED_H
#define WEIR_VIEW_REFUSED_H

#include <json-c/json.h>
#include <stdio.h>

void refused_print(json_object *answer, FILE *out);

#endif
