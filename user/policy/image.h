/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * image.h - a policy compiled into the tables of bpf/abi.h.
 *
 * The image is all that the kernel gets, and `explain` answers from nothing else. Index 0..2 of the
 * services are the built-in ones, partner 0 and grant 0 mean "none".
 */
#ifndef WEIR_IMAGE_H
#define WEIR_IMAGE_H

#include "bpf/abi.h"
#include "user/base/table.h"
#include "user/policy/policy.h"

struct image_prefix {
	uint8_t address[16]; /* v4-mapped, host bits zero */
	uint8_t bits;	     /* 0..128 */
	uint32_t partner;
	uint32_t around; /* index of the next shorter prefix that holds this one; WEIR_ANY: none */
};

struct image_pair {
	struct weir_pair key;
	struct weir_span rules;
};

struct image_step {
	struct weir_path_key key;
	struct weir_path_step step;
};

struct image_lifeline_prefix {
	uint8_t address[16];
	uint8_t bits;
	uint32_t around; /* as in image_prefix */
	struct weir_span rules;
};

struct image {
	struct weir_policy_head head;
	char *name; /* of the policy */

	/* What user space alone goes by. */
	bool four_eyes;
	struct weir_limit *reserves; /* parallel to the grants; bytes 0: none */

	struct weir_service *services; /* head.services */
	struct weir_partner *partners; /* head.partners */
	struct weir_grant *grants;     /* head.grants */
	struct weir_rule *rules;       /* head.rules */
	struct weir_interval *hours;   /* head.hours */
	struct weir_lifeline_rule *lifeline_rules;

	struct image_prefix *prefixes; /* sorted by address, then bits; each one once */
	size_t prefix_count;
	struct image_pair *pairs; /* sorted by key */
	size_t pair_count;
	struct image_step *steps; /* sorted by state, then name */
	size_t step_count;
	struct image_lifeline_prefix *lifeline_prefixes; /* sorted by address, then bits */
	size_t lifeline_prefix_count;

	/* names, parallel to the tables; "other", "stack", "forwarded" first, "" for entry 0 */
	char **service_names;
	char **partner_names;
	char **grant_names;
	char **class_names; /* by bit */
	size_t class_count;
	struct drill *partner_drills; /* parallel to partners, or NULL: none may be drilled on */
	struct names *partner_info_keys, *partner_info_values; /* parallel to partners, or NULL */

	/* name -> index; and what the names and infos above point into */
	struct table service_table, partner_table, grant_table, class_table;
	struct name *info_items;
	char *texts;
};

/*
 * Compiles a checked policy. Hours become absolute intervals for two years from `now_wall_ns`.
 * -EBADMSG with a fault when a table would overflow (WEIR_RULES_PER_PAIR, classes, ...).
 * The image owns copies of all it needs; the policy may be freed.
 */
int image_compile(const struct policy *policy, uint64_t now_wall_ns, struct image *image,
		  struct faults *faults);
void image_free(struct image *image);

/* Index of a name, or WEIR_ANY. For classes the number of the bit. */
uint32_t image_service(const struct image *image, const char *name);
uint32_t image_partner(const struct image *image, const char *name);
uint32_t image_grant(const struct image *image, const char *name);
uint32_t image_class(const struct image *image, const char *name);

/* Index in image->prefixes of the first one that begins behind the address; prefix_count: none
 * does. */
size_t image_prefix_behind(const struct image *image, const uint8_t address[16]);
/* The longest prefix that holds the address, or NULL. */
const struct image_prefix *image_prefix_of(const struct image *image, const uint8_t address[16]);
/* Partner of an address by longest prefix, or WEIR_NO_PARTNER. As in the kernel, an IPv4 address
 * (v4-mapped) is looked up among IPv4 prefixes alone: ::/0 does not hold it. */
uint32_t image_partner_of(const struct image *image, const uint8_t address[16]);

/* Whether `wall_ns` lies in one of the grant's hours, of which it must have some; *edge gets the
 * next opening or closing (wall), UINT64_MAX when there is none. */
bool image_grant_is_open(const struct image *image, const struct weir_grant *grant,
			 uint64_t wall_ns, uint64_t *edge);

/* Whether an order's entry means what is sent to `peer`; of `answer` the service, partner and grant
 * count. */
bool image_entry_covers(const struct image *image, const struct weir_cut_entry *entry,
			const uint8_t peer[16], const struct weir_answer *answer);

/* The lifeline rules that cover an address, and the rules of a (service, profile); an empty span
 * when there are none. */
struct weir_span image_lifeline_of(const struct image *image, const uint8_t address[16]);
struct weir_span image_rules_of(const struct image *image, uint32_t service, uint32_t profile);

/* Service of a cgroup path below the guarded root ("system.slice/nginx.service/x"): walks the same
 * automaton as bpf/service.bpf.h. WEIR_SERVICE_OTHER when no path matches. */
uint32_t image_service_of(const struct image *image, const char *path);

/* Where one component of a path leads from a state; NULL: nothing below it is named. */
const struct weir_path_step *image_take_step(const struct image *image, uint32_t state,
					     const char *name, size_t length);

/* Order of image->steps, as for qsort(). */
int image_step_order(const struct weir_path_key *a, const struct weir_path_key *b);

/* Stable keys: SipHash-2-4 over KIND ":" NAME with a fixed key, never below 256. KIND is "service",
 * "partner" or "grant". */
uint64_t image_key(const char *kind, const char *name);

/* The orders that explain_decide() looks at; NULL: none. Same layout as the kernel's slot. */
struct order_table {
	struct weir_cut_entry *entry;
	size_t count;
	struct weir_override *override;
	size_t override_count;
};

void order_table_free(struct order_table *table);

#define _cleanup_order_table_ __attribute__((cleanup(order_table_free)))

/* The partner that an address has by an order which has not ended at `wall_ns`, where the policy
 * gives it to none; *until_ns (wall) gets the end. WEIR_NO_PARTNER: none, and *until_ns stays. */
uint32_t image_partner_added(const struct order_table *table, const uint8_t address[16],
			     uint64_t wall_ns, uint64_t *until_ns);

/* What extensions, pauses and probations that have not ended at `wall_ns` change: into
 * answer->overrule and ->observe. Of `answer` the service, partner and grant count. Returns the
 * first of their ends (wall), UINT64_MAX without one. While the clock is in doubt none that has an
 * end counts: IMAGE_NO_WALL. */
#define IMAGE_NO_WALL (UINT64_MAX - 1)
uint64_t image_overrides(const struct image *image, const struct order_table *table,
			 const uint8_t peer[16], uint64_t wall_ns, struct weir_answer *answer);

/*
 * The decision, as bpf/verdict.bpf.h makes it: question in, answer out. `wall_ns` stands for now;
 * answer->valid_until_ns is wall time here; account and generation are set like the kernel's
 * (generation 0).
 */
void explain_decide(const struct image *image, const struct order_table *orders,
		    const struct weir_question *question, uint64_t wall_ns, bool hours_closed,
		    struct weir_answer *answer);

/* The answer in words, for people: verdict, rule, budgets that apply, when it changes. Writes
 * several lines to `out`. */
void explain_print(const struct image *image, const struct weir_question *question,
		   const struct weir_answer *answer, FILE *out);

#endif
