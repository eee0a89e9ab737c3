/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* recent.h - what the events that are still held say of a target. */
#ifndef WEIR_RECENT_H
#define WEIR_RECENT_H

#include <json-c/json.h>

/*
 * Adds to `answer`, by its "target": "recent", the last events about it, the oldest first; and
 * "usual", from those of connections that ended: how many, since when, and the median and the
 * largest of their bytes. Nothing is added for a class, whose members the lines do not name, or
 * when the caller may not read them.
 */
void recent_add(const char *instance, json_object *answer);

#endif
