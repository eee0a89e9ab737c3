/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* holders.h - who holds a connection: looked up in /proc with the rights of who asks. */
#ifndef WEIR_HOLDERS_H
#define WEIR_HOLDERS_H

#include <json-c/json.h>

/*
 * Gives each of answer.sessions its "user", the name of its uid, and "holders": pid, program and
 * user of the processes that have its inode open, as far as they let the caller see.
 */
void holders_add(json_object *answer);

/* Gives `item` the "user" of its "pid", as long as that is still the same "program". */
void holder_add_user(json_object *item);

#endif
