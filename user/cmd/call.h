/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * call.h - a command's request and its answer, as JSON objects.
 */
#ifndef WEIR_CALL_H
#define WEIR_CALL_H

#include "user/base/field.h"
#include "user/cmd/cmd.h"

/* Answers a request where no daemon does: *answer is malloc'd; -errno with `problem`. */
typedef int (*call_way)(const char *instance, const char *request, char **answer, char **problem);

/* How a program's commands have their requests answered. */
struct call_ways {
	bool asks_daemon; /* false: it is known that none answers */
	call_way on_guard, on_journal;
};

/* Said once, before a command runs; `ways` is borrowed. */
void call_goes(const struct call_ways *ways);

/* What weir-guard is told that it is called, when `weir` has found no daemon to ask. */
#define CALL_ALONE "weir-alone"

struct answer {
	json_object *object; /* NULL: there is none */
	bool by_daemon;	     /* else it was answered in this process */
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
/* Of an order that call_host() may carry out itself: when it was asked for. No answer of a daemon
 * in time is no proof that it does not carry it out too. */
void call_put_asked(json_object *request);

/* A target as it was typed: a name alone is a partner's. malloc'd. */
char *call_target(const char *text);

/* The texts of a policy, as requests carry them. */
struct sources;
json_object *call_files(const struct sources *sources);

#endif
