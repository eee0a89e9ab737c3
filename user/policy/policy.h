/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy.h - a policy as it was written: names, positions, no indices.
 *
 * The way of a policy: sources (texts) -> policy_read() -> policy_check() -> image_compile().
 * Everything here is pure: no root, no libbpf, no clock, and files only in sources_load().
 */
#ifndef WEIR_POLICY_H
#define WEIR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bpf/abi.h"

/* ---- the texts that a policy is made of ------------------------------------------------------*/

#define POLICY_MAX_BYTES (64u << 20) /* all files together */

struct source {
	char *name; /* as messages show it */
	char *text; /* `length` bytes and a NUL; may hold NULs */
	size_t length;
};

/* item[0] is the policy itself, the others the files that its `include` named, in order of use. */
struct sources {
	struct source *item;
	size_t count;
};

/* ---- where something stood, and what is wrong with it ---------------------------------------*/

struct position {
	uint32_t source; /* index into sources */
	uint32_t line;	 /* 1-based */
	uint32_t column; /* 1-based, in bytes */
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct fault {
	struct position at;
	struct position other; /* the place that it collides with; line 0: none */
	enum severity severity;
	char *text; /* one line, no full stop */
};

/* Beyond these they are only counted. */
#define FAULTS_MAX_ERRORS   10000
#define FAULTS_MAX_WARNINGS 1000

struct faults {
	struct fault *item;
	size_t count;
	size_t errors;	 /* of all, also of those that are not kept */
	size_t warnings; /* likewise */
};

/* ---- the policy ------------------------------------------------------------------------------*/

struct name {
	char *text;
	struct position at;
};

struct names {
	struct name *item;
	size_t count;
};

struct prefix {
	uint8_t address[16]; /* IPv4 v4-mapped */
	uint8_t bits;	     /* 0..128; IPv4 counts from 96 */
	struct position at;
};

struct prefixes {
	struct prefix *item;
	size_t count;
};

struct budget {
	struct weir_limit window[WEIR_WINDOWS];
	size_t count;
	bool is_none; /* written as `none` */
	bool is_deny; /* written as `deny` (strangers only) */
	struct position at;
};

/* What one person alone may let pass more of a grant, in any span of this length. */
struct reserve {
	struct weir_limit limit; /* bytes 0: none, every extension takes two */
	struct position at;
};

/* proto/PORT, proto/FIRST-LAST, proto/NUMBER, icmp */
struct endpoint {
	enum weir_direction direction;
	bool is_icmp;	  /* ICMP and ICMPv6 */
	uint8_t protocol; /* IPPROTO_* */
	uint16_t port_first, port_last;
	struct position at;
};

struct endpoints {
	struct endpoint *item;
	size_t count;
};

/* Mon-Fri 20:00-04:00; the day names the start. until <= from: over midnight. */
struct hours {
	uint8_t days;	       /* bit 0: Monday */
	uint16_t from_minute;  /* 0..1439 */
	uint16_t until_minute; /* 1..1440 */
	struct position at;
};

struct hours_list {
	struct hours *item;
	size_t count;
};

/* A day of from/until, wall time in ns; 0 in `from`, ~0 in `until` when it is not given. */
struct validity {
	uint64_t from_ns, until_ns;
	struct position at;
};

/* NAME, class:NAME, any */
struct selector {
	enum { SELECT_NAME, SELECT_CLASS, SELECT_ANY } kind;
	char *name; /* NULL for any */
	struct position at;
};

struct selectors {
	struct selector *item;
	size_t count;
};

/* What is left out: serves and calls deny, total none. So does a policy without `strangers`. */
struct strangers {
	bool is_given;
	struct budget serves, calls, total;
	enum weir_breach on_breach;
	struct position at;
};

struct service {
	struct name name;
	struct names cgroups; /* paths below the guarded root */
	struct names classes;
	struct budget budget;
	enum weir_mode mode;
	struct strangers strangers; /* replaces the policy's own */
};

/* That a partner is one to drill on, and if it was said at which address and port. */
struct drill {
	bool is_allowed;
	uint16_t port; /* 0: no address was given */
	uint8_t address[16];
	struct position at;
};

struct partner {
	struct name name;
	struct prefixes addresses;
	struct names classes;
	struct budget budget;
	struct validity validity;
	struct names info_keys, info_values;
	struct drill drill;
};

struct grant {
	struct name name;
	struct selectors services, partners;
	struct endpoints endpoints;
	struct budget budget;
	struct reserve reserve;
	struct hours_list hours;
	struct name zone; /* text NULL: the host's */
	struct validity validity;
	enum weir_breach on_breach;
	enum weir_mode mode;
	struct names classes;
	bool is_faulty; /* something of it could not be read: its overlaps are not judged */
};

struct lifeline {
	struct name service;
	struct endpoints endpoints; /* serves or calls */
	struct prefixes to;
	struct name why;
	struct budget warn;
	struct position at;
};

struct policy {
	char *name;
	enum weir_mode mode;
	char *zone;	/* NULL: the host's */
	bool four_eyes; /* a local order that loosens takes two people */
	struct lifeline *lifelines;
	size_t lifeline_count;
	struct service *services;
	size_t service_count;
	struct partner *partners;
	size_t partner_count;
	struct grant *grants;
	size_t grant_count;
	struct strangers strangers;
	uint8_t digest[32]; /* SHA-256 over the lengths and texts of all sources, in their order:
			     * the same policy under another path has the same digest */
};

/*
 * Reads FILE and what it includes (patterns are taken relative to its directory). 0, -errno, or
 * -EBADMSG with the faults in `faults` (too large, an include that matches nothing): `sources` then
 * holds the names that faults_print() needs. To be freed in each case; start from all zero.
 */
int sources_load(const char *path, struct sources *sources, struct faults *faults);
void sources_free(struct sources *sources);

/*
 * YAML -> policy. -EBADMSG when there is an error; all that can be found are in `faults`: those
 * that policy_check() finds in what could be read are among them, so that one run tells all.
 */
int policy_read(const struct sources *sources, struct policy *policy, struct faults *faults);

/* What one key cannot show: names, overlaps, rules that can never match; and the warnings. */
int policy_check(const struct policy *policy, struct faults *faults);

/* What holds when there is no policy file: observe everything, block nothing. */
int policy_default(struct policy *policy);
void policy_free(struct policy *policy);

void faults_add(struct faults *faults, enum severity severity, struct position at,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
/* `file:line:column: text`, in the order of the files; warnings say so. */
void faults_print(const struct faults *faults, const struct sources *sources, FILE *out);
/* The same as a text, to be freed; NULL: no memory. */
char *faults_text(const struct faults *faults, const struct sources *sources);
/* The same, naming a second place: "...; the other one: file:line:column". */
void faults_add_pair(struct faults *faults, enum severity severity, struct position at,
		     struct position other, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void faults_free(struct faults *faults);

#endif
