/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ruleset_parts.h - what the ruleset_*.c share with each other, and with nobody else. */
#ifndef WEIR_RULESET_PARTS_H
#define WEIR_RULESET_PARTS_H

#include "user/base/table.h"
#include "user/policy/arena.h"
#include "user/policy/ruleset.h"

/* ---- ruleset_ranges.c: nested prefixes as ranges that do not overlap ------------------------- */

/* What a prefix stands for: the index of a chain, or one of these. */
enum { VERDICT_NONE = UINT32_MAX, VERDICT_DROP = UINT32_MAX - 1 };

struct ruleset_prefix {
	uint8_t address[16]; /* v4-mapped */
	uint8_t bits;	     /* 0..128; IPv4 counts from 96 */
	uint32_t verdict;
};

/* Sorts; prefixes are nested or apart, the longest counts, and of equal ones the first. */
void ruleset_sort(struct ruleset_prefix *prefix, size_t count);

/*
 * Declares the set or map NAME4 and NAME6 with the ranges of sorted prefixes. `verdict` prints what
 * a range stands for; NULL: a set.
 */
void ruleset_ranges(FILE *out, const char *name, const struct ruleset_prefix *prefix, size_t count,
		    void (*verdict)(FILE *out, uint32_t verdict));

/* ---- ruleset_cuts.c: what a cut covers, as far as nftables can tell -------------------------- */

struct ruleset_cuts {
	const struct image *image;
	const struct order_table *cuts;
	__u64 service_classes[WEIR_CLASS_WORDS]; /* that some service has */
};

void ruleset_cuts_init(struct ruleset_cuts *cuts, const struct ruleset *ruleset);
/* Whether some packet between the host and this partner (WEIR_NO_PARTNER: strangers) under this
 * grant (WEIR_NO_GRANT: under none) is cut; addr: cuts apart. */
bool ruleset_is_cut(const struct ruleset_cuts *cuts, uint32_t partner, uint32_t grant);
/* The entries that say something of this partner in particular, as their indices, into
 * list[cuts->count]; their number. Partners with the same ones are cut alike. */
size_t ruleset_cuts_of(const struct ruleset_cuts *cuts, uint32_t partner, uint16_t *list);
/* The addr: cuts as sorted prefixes; malloc'd. -ENOMEM. */
int ruleset_cut_prefixes(const struct ruleset_cuts *cuts, struct ruleset_prefix **ret,
			 size_t *count);

/* How a line ends. */
#define RULESET_PASSES	"counter name " RULESET_PASSED " accept"
#define RULESET_REFUSES "counter name " RULESET_REFUSED " drop"

/* ---- ruleset_chains.c: chains of rules, each text once --------------------------------------- */

struct ruleset_chains {
	struct table by_text;
	struct arena arena;
	const char **text;
	size_t count;
};

/* The index of the chain with this text, which is copied. 0 or -ENOMEM. */
int ruleset_chain(struct ruleset_chains *chains, const char *text, size_t length, uint32_t *index);
void ruleset_chains_write(const struct ruleset_chains *chains, const char *name, FILE *out);
void ruleset_chains_free(struct ruleset_chains *chains);

struct ruleset_match {
	uint8_t direction, protocol;
	uint16_t port_first, port_last;
};
/* What matches; `by_opener`: of TCP only connections that were opened from the rule's side. */
void ruleset_match(FILE *out, const struct ruleset_match *match, bool by_opener);

/* ---- ruleset_partners.c ---------------------------------------------------------------------- */

/* One chain for all partners that are treated alike, and which one each partner's is. `verdict` has
 * room for all partners. 0 or -ENOMEM. */
int ruleset_partners(const struct ruleset *ruleset, const struct ruleset_cuts *cuts,
		     struct ruleset_chains *chains, uint32_t *verdict);

#endif
