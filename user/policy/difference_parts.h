/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference_parts.h - what the parts of the comparison share. Only user/policy/difference*.c
 * include it.
 */
#ifndef WEIR_DIFFERENCE_PARTS_H
#define WEIR_DIFFERENCE_PARTS_H

#include "user/policy/difference.h"

/* How two sets, or two limits, stand to each other: what the second one allows more or less. */
enum relation { SAME, MORE, LESS, UNLIKE };

enum relation relation_and(enum relation a, enum relation b);
enum direction_of_change direction_of(enum relation relation);

/* One subject (a grant, a partner, ...) that is compared; its words become one line. */
struct comparison {
	FILE *out; /* the words */
	enum relation relation;
	bool has_words;
	bool moves; /* another traffic goes by its name */
};

struct walk {
	const struct policy *before, *after;
	struct difference *difference;
	size_t of_kind; /* lines of the present kind */
	size_t looks;
	FILE *out; /* into `words`, of one comparison after the other: most have nothing to say */
	char *words;
	size_t length;
};

/* Notes one thing that differs; separated from the one before. */
void comparison_say(struct comparison *comparison, enum relation relation, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- words (difference_words.c) ------------------------------------------------------------ */

void say_budget(const struct budget *budget, FILE *out);     /* 2GiB/1h, 12GiB/20h; none; deny */
void say_endpoints(const struct endpoints *list, FILE *out); /* serves tcp/22, calls udp/53 */
void say_selectors(const struct selectors *list, FILE *out); /* sftp, class:hospital, any */
void say_names(const struct names *list, FILE *out);
void say_reserve(const struct reserve *reserve, FILE *out); /* 5GiB/7d; none */
void say_hours(const struct hours_list *list, const char *zone, FILE *out);
void say_prefixes(const struct prefixes *list, FILE *out); /* a few, and how many more */
void say_prefix(const struct prefix *prefix, FILE *out);
void say_strangers(const struct strangers *strangers, FILE *out);

void say_drill(const struct drill *drill, FILE *out); /* false, true, 192.0.2.1:22 */
void say_validity(const struct validity *validity, FILE *out);

/* All that one says but its name. malloc'd; NULL: no memory. */
char *grant_words(const struct grant *grant);
char *service_words(const struct service *service);
char *partner_words(const struct partner *partner);    /* of many addresses, only the first */
char *lifeline_words(const struct lifeline *lifeline); /* without its warning */

/* ---- relations (difference_relations.c) ---------------------------------------------------- */

enum relation compare_budgets(const struct budget *before, const struct budget *after);
enum relation compare_endpoints(const struct endpoints *before, const struct endpoints *after);
enum relation compare_hours(const struct hours_list *before, const char *zone_before,
			    const struct hours_list *after, const char *zone_after);
enum relation compare_validity(const struct validity *before, const struct validity *after);
/* As sets of texts; `any` holds all. */
enum relation compare_selectors(const struct selectors *before, const struct selectors *after);
enum relation compare_breach(enum weir_breach before, enum weir_breach after);
bool names_are_equal(const struct names *before, const struct names *after);
/* What stands in one of them alone. 0 or -ENOMEM; both are to be freed in either case. */
int compare_prefixes(const struct prefixes *before, const struct prefixes *after,
		     struct prefixes *added, struct prefixes *removed);

/* Compares and says, one thing each; nothing when they are the same. */
void compare_budget_of(struct comparison *comparison, const char *what, const struct budget *before,
		       const struct budget *after);
void compare_strangers_of(struct comparison *comparison, const char *what,
			  const struct strangers *before, const struct strangers *after);

/* ---- what has names (difference_kinds.c) --------------------------------------------------- */

struct kind {
	const char *name;
	const char *of_rename; /* what starts afresh */
	size_t (*count)(const struct policy *policy);
	const char *(*name_of)(const struct policy *policy, size_t i);
	char *(*words_of)(const struct policy *policy, size_t i);
	bool (*only_adds)(struct walk *walk, const struct policy *in, const struct policy *of,
			  size_t i);
	int (*compare)(struct walk *walk, struct comparison *comparison, size_t before,
		       size_t after);
};

enum { DIFFERENCE_KINDS = 3 };
extern const struct kind difference_kinds[DIFFERENCE_KINDS];

#endif
