/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * call.h - a command's request and its answer, as JSON objects.
 */
#ifndef WEIR_CALL_H
#define WEIR_CALL_H

#include <json-c/json.h>

#include "user/cmd/cmd.h"

struct answer {
	json_object *object; /* NULL: there is none */
	bool by_daemon;	     /* else it came from the pinned guard, in this process */
};

/*
 * Sends `request` (which is given away) to the daemon, or, where none answers and `may_go_without`,
 * answers it on the pinned guard. Tells problems on stderr. Returns the exit code; `answer` is to
 * be freed with answer_free() in each case, and has an object also when something was done in part.
 */
int call_host(const struct arguments *arguments, json_object *request, bool may_go_without,
	      struct answer *answer);
void answer_free(struct answer *answer);
/* The same for a request about the journal: without a daemon from the state directory, also where
 * no guard is. */
int call_journal(const struct arguments *arguments, json_object *request, struct answer *answer);

/* A request of this name, to be filled. */
json_object *call_new(const char *name);
void call_put_text(json_object *request, const char *key, const char *text);
/* The arguments that are no options, as "targets". */
void call_put_targets(json_object *request, const struct arguments *arguments);

/* The texts of a policy, as requests carry them. */
struct sources;
json_object *call_files(const struct sources *sources);

/* "", 0, false, NULL when it is not there. */
const char *field_text(json_object *object, const char *key);
/* For a terminal, whoever chose the text: without control characters. malloc'd; NULL: no memory. */
char *field_plain(json_object *object, const char *key);
char *field_plain_item(json_object *object, const char *key, size_t index); /* of a list of texts */
uint64_t field_number(json_object *object, const char *key);
double field_real(json_object *object, const char *key);
bool field_is(json_object *object, const char *key);
json_object *field_object(json_object *object, const char *key);
size_t field_count(json_object *object, const char *key);
json_object *field_item(json_object *object, const char *key, size_t index);

/* "2026-11-22 03:05:07", local time. `text` holds 32 bytes. */
const char *time_text(uint64_t seconds, char *text);

#endif
