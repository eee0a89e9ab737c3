/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * read.h - inside the policy reader: its state, and the readers of single values.
 *
 * A reader of a value takes a node and the field that it fills. What is wrong becomes a fault and
 * leaves the field alone; reading goes on. Only lack of memory ends it (reader.error).
 */
#ifndef WEIR_READ_H
#define WEIR_READ_H

#include "user/policy/policy.h"
#include "user/policy/tree.h"

#define NAME_BYTES 48 /* "partner:NAME@service:NAME" must fit in weir_order.target */

struct reader {
	const struct tree *tree;
	struct policy *policy;
	struct faults *faults;
	bool has_included; /* other files stand beside the policy */
	int error;	   /* 0 or -ENOMEM */
};

typedef void (*value_reader)(struct reader *reader, const struct node *value, void *field);

/* One configuration key. */
struct key {
	const char *word;
	value_reader read;
	size_t offset; /* of its field in what the mapping describes */
	bool is_required;
};

/* Fills `into` from a mapping; tells unknown, repeated and missing keys. `what` names it. */
void read_keys(struct reader *reader, const struct node *mapping, const struct key *keys,
	       size_t count, void *into, const char *what);

void read_fault(struct reader *reader, const struct node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The text of a scalar that is not empty; else a fault, and NULL. */
const char *read_text(struct reader *reader, const struct node *node);

/* The word of a fixed set; -1 after a fault that names the set, and the nearest. */
int read_word(struct reader *reader, const struct node *node, const char *const *words,
	      size_t count, const char *what);

/* Calls `one` for a scalar, or for each item of a list that is not empty. */
void read_each(struct reader *reader, const struct node *value, void *field, value_reader one);

/* Keys and values of a mapping one after the other; the keys are scalars. */
bool read_is_mapping(struct reader *reader, const struct node *node, const char *what);

/* A name: letters, digits, "-", "_", "."; copies it. False after a fault. */
bool read_new_name(struct reader *reader, const struct node *node, struct name *name);

/* Adds a copy of `text`, which stands at the node. */
void read_append(struct reader *reader, const struct node *node, const char *text,
		 struct names *names);

/* Of the language that the file is in: 1. It fills no field. */
void read_version(struct reader *reader, const struct node *value, void *field);
void read_name_text(struct reader *reader, const struct node *value, void *field); /* char * */
void read_name(struct reader *reader, const struct node *value, void *field);	   /* struct name */
void read_line(struct reader *reader, const struct node *value, void *field);	   /* struct name */
void read_classes(struct reader *reader, const struct node *value, void *field); /* struct names */
void read_info(struct reader *reader, const struct node *value, void *field);  /* struct partner */
void read_drill(struct reader *reader, const struct node *value, void *field); /* struct drill */
void read_flag(struct reader *reader, const struct node *value, void *field);  /* bool */
void read_mode(struct reader *reader, const struct node *value, void *field);  /* enum weir_mode */
void read_breach(struct reader *reader, const struct node *value,
		 void *field); /* enum weir_breach */
void read_cgroups(struct reader *reader, const struct node *value, void *field); /* struct names */
void read_prefixes(struct reader *reader, const struct node *value, void *field);
void read_selectors(struct reader *reader, const struct node *value, void *field);

/* read_budget.c */
void read_windows(struct reader *reader, const struct node *value, void *field); /* a list alone */
void read_budget(struct reader *reader, const struct node *value, void *field);	 /* or none */
void read_stranger_budget(struct reader *reader, const struct node *value,
			  void *field);						 /* or deny */
void read_reserve(struct reader *reader, const struct node *value, void *field); /* one window */

/* read_endpoint.c: struct endpoints */
void read_serves(struct reader *reader, const struct node *value, void *field);
void read_calls(struct reader *reader, const struct node *value, void *field);
void read_calls_back(struct reader *reader, const struct node *value, void *field);

/* read_time.c */
void read_hours(struct reader *reader, const struct node *value, void *field);	   /* hours_list */
void read_from(struct reader *reader, const struct node *value, void *field);	   /* validity */
void read_until(struct reader *reader, const struct node *value, void *field);	   /* validity */
void read_zone(struct reader *reader, const struct node *value, void *field);	   /* struct name */
void read_zone_text(struct reader *reader, const struct node *value, void *field); /* char * */

/*
 * read_from() and read_until() leave the first moment of the day as UTC has it, since the zone may
 * be written further down. This turns all of them into wall time: the first moment of `from`, and
 * the one after the last of `until`. 0 or -ENOMEM.
 */
int read_resolve_days(struct policy *policy);

/* read_sections.c: the keys of the policy itself, or of a file that it includes. */
void read_top(struct reader *reader, const struct node *root, bool is_included);

#endif
