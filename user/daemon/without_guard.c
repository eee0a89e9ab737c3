/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* without_guard.c - what stands in for a guard that cannot be loaded. */
#include "user/daemon/without_guard.h"

#include <openssl/evp.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/clock.h"
#include "user/daemon/nft.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/recovering.h"
#include "user/policy/ruleset.h"

static const char nothing[] = "nothing";

static char *table_of(const char *instance)
{
	char *name;

	return asprintf(&name, RULESET_TABLE "%s", instance) < 0 ? NULL : name;
}

static void set_why(struct stand_in *stand_in, const char *why)
{
	snprintf(stand_in->why, sizeof(stand_in->why), "%s", why);
}

static void set_mode(struct stand_in *stand_in, const char *mode)
{
	snprintf(stand_in->mode, sizeof(stand_in->mode), "%s", mode);
}

static bool is_mode(const struct stand_in *stand_in, enum without_guard mode)
{
	return strcmp(stand_in->mode, without_guard_name(mode)) == 0;
}

/* ---- what it is made of --------------------------------------------------------------------- */

/* The policy that counts at the next start, into host->image. 0; -ENOENT: there never was one, nor
 * a guard; -EBADMSG: not known; -ENOMEM. */
static int load_policy(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, "applied.json");
	struct applied applied = {0};
	struct image image = {0};
	struct faults faults = {0};
	bool is_default = false;
	int r = path ? applied_load(path, &applied) : -ENOMEM;

	if (r < 0 && r != -ENOMEM && (r != -ENOENT || applied_is_missing(host)))
		r = applied_recover(host, &applied);
	if (r == 0) {
		r = policy_to_image(&applied.sources, wall_now(), &image, &faults);
	} else if (r == -ENOENT && faccessat(host->state_dir, "orders.json", F_OK, 0) == 0) {
		is_default = true; /* a guard ran with it */
		r = default_image(wall_now(), &image);
	}
	if (r == 0)
		r = host_take_image(host, &image, is_default ? NULL : &applied);
	image_free(&image);
	faults_free(&faults);
	applied_free(&applied);
	return r == 0 || r == -ENOENT || r == -ENOMEM ? r : -EBADMSG;
}

/* Orders that cannot be read may be anything. */
static int load_cuts(struct host *host, struct cut_table *cuts)
{
	_cleanup_free_ char *path = host_path(host, "orders.json"), *problem = NULL;
	size_t lost;
	int r = path ? orders_load(path, &host->orders) : -ENOMEM;

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = host_compile_orders(&host->image, &host->orders, cuts, &lost, &problem);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

static int write_text(const struct ruleset *ruleset, char **text, size_t *length)
{
	FILE *out = open_memstream(text, length);
	int r;

	if (!out)
		return -ENOMEM;
	r = ruleset_write(ruleset, out);
	return fclose(out) != 0 ? -ENOMEM : r;
}

static int digest_of(const char *text, size_t length, char digest[DIGEST_TEXT])
{
	uint8_t sha256[32];

	if (!EVP_Digest(text, length, sha256, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	digest_format(sha256, digest);
	return 0;
}

static struct ruleset ruleset_of(const struct host *host, const struct host_config *config)
{
	return (struct ruleset){.instance = host->instance,
				.mode = config->without_guard,
				.image = &host->image,
				.uplinks = &config->uplinks,
				.wall_ns = wall_now()};
}

int without_guard_make(struct host *host, const struct host_config *config,
		       struct stand_in *stand_in, char **text, size_t *length, char **problem)
{
	struct ruleset ruleset = ruleset_of(host, config);
	_cleanup_free_ struct weir_cut_entry *entry = NULL;
	struct cut_table cuts = {0};
	int r = host->state_dir < 0 ? -ENOENT : load_policy(host);

	*stand_in = (struct stand_in){.since_ns = wall_now()};
	if (r == -ENOENT) {
		ruleset.mode = WITHOUT_GUARD_OPEN;
		set_why(stand_in, "no policy was ever applied here");
	} else if (r == -EBADMSG && ruleset.mode != WITHOUT_GUARD_OPEN) {
		ruleset.image = NULL;
		ruleset.mode = WITHOUT_GUARD_CLOSED;
		set_why(stand_in, "which policy was applied is not known: no lifeline either");
	} else if (r == 0 && ruleset.mode == WITHOUT_GUARD_FALLBACK) {
		r = load_cuts(host, &cuts);
		entry = cuts.entry;
		if (r == -EBADMSG) {
			ruleset.mode = WITHOUT_GUARD_CLOSED;
			set_why(stand_in, "what was cut cannot be read: all but the lifeline is");
		}
	}
	if (r == -ENOMEM)
		return tell_problem(problem, r, "out of memory");
	ruleset.cuts = &cuts;
	ruleset.hours_closed = host->state_dir >= 0 && clock_needs_confirmation(host);
	set_mode(stand_in, r == -ENOENT ? nothing : without_guard_name(ruleset.mode));
	r = write_text(&ruleset, text, length);
	if (r == 0)
		r = digest_of(*text, *length, stand_in->digest);
	return r < 0 ? tell_problem(problem, r, "out of memory") : 0;
}

/* ---- on, and off ---------------------------------------------------------------------------- */

/* What its table counted so far, added to what the ones before it did. */
static void add_counters(const char *table, struct stand_in *stand_in)
{
	nft_add_counter(RULESET_FAMILY, table, RULESET_PASSED, &stand_in->passed_bytes);
	nft_add_counter(RULESET_FAMILY, table, RULESET_REFUSED, &stand_in->refused_bytes);
}

static void tell_on(struct host *host, const struct stand_in *stand_in)
{
	struct record_field field[] = {{"mode", stand_in->mode, 0}, {"why", stand_in->why, 0}};

	host_tell(host, "without-guard", RECORD_HIGH, field, 2,
		  "no guard judges this host: %s stands in%s%s", stand_in->mode,
		  stand_in->why[0] ? ": " : "", stand_in->why);
}

/* The whole ruleset, or else the lifeline alone, or else nothing but the truth about it. */
static int load(struct host *host, const struct host_config *config, struct stand_in *stand_in,
		const char *text, size_t length, char **problem)
{
	struct ruleset ruleset = ruleset_of(host, config);
	_cleanup_free_ char *closed = NULL, *first = NULL;
	size_t closed_length;
	int r = nft_load(text, length, &first);

	if (r == 0)
		return 0;
	if (is_mode(stand_in, WITHOUT_GUARD_OPEN) || strcmp(stand_in->mode, nothing) == 0)
		return 0; /* there is nothing to load: only to remove, if nft is there at all */
	ruleset.mode = WITHOUT_GUARD_CLOSED;
	if (write_text(&ruleset, &closed, &closed_length) == 0 &&
	    nft_load(closed, closed_length, problem) == 0) {
		set_mode(stand_in, without_guard_name(WITHOUT_GUARD_CLOSED));
		set_why(stand_in, first ? first : "nft refused the fallback");
		return 0;
	}
	set_mode(stand_in, nothing);
	set_why(stand_in, *problem ? *problem : "nft failed");
	return r;
}

/* The same rules, and nobody took them away. */
static bool is_in_force(const struct stand_in *before, const struct stand_in *now,
			const char *table)
{
	return strcmp(before->mode, now->mode) == 0 && strcmp(before->digest, now->digest) == 0 &&
	       (is_mode(now, WITHOUT_GUARD_OPEN) || strcmp(now->mode, nothing) == 0 ||
		nft_has_table(RULESET_FAMILY, table));
}

int without_guard_on(struct host *host, const struct host_config *config, struct stand_in *stand_in,
		     bool *is_new, char **problem)
{
	_cleanup_free_ char *text = NULL, *table = table_of(host->instance);
	struct stand_in before;
	size_t length;
	int r = table ? without_guard_make(host, config, stand_in, &text, &length, problem)
		      : -ENOMEM;
	int noted;

	*is_new = false;
	if (r < 0)
		return r;
	if (stand_in_read(host->instance, &before) == 0) {
		if (is_in_force(&before, stand_in, table)) {
			*stand_in = before;
			return 0;
		}
		stand_in->since_ns = before.since_ns;
		stand_in->passed_bytes = before.passed_bytes;
		stand_in->refused_bytes = before.refused_bytes;
	}
	add_counters(table, stand_in);
	r = load(host, config, stand_in, text, length, problem);
	*is_new = true;
	noted = stand_in_write(host->instance, stand_in);
	tell_on(host, stand_in);
	if (r == 0 && noted < 0)
		return tell_problem(problem, noted, "%s stands in, but cannot be noted: %s",
				    stand_in->mode, strerror(-noted));
	return r;
}

/* No guard was there to count: these are the sums for what left meanwhile. */
static void tell_off(struct host *host, const struct stand_in *stand_in)
{
	char passed[BYTES_TEXT], refused[BYTES_TEXT];
	struct record_field field[] = {
		{"mode", stand_in->mode, 0},
		{"since", NULL, stand_in->since_ns / NS_PER_SECOND},
		{"passed_bytes", NULL, stand_in->passed_bytes},
		{"refused_bytes", NULL, stand_in->refused_bytes},
	};

	bytes_format(stand_in->passed_bytes, passed, sizeof(passed));
	bytes_format(stand_in->refused_bytes, refused, sizeof(refused));
	host_tell(host, "without-guard-over", RECORD_MEDIUM, field,
		  sizeof(field) / sizeof(field[0]),
		  "what stood in for the guard is off: %s let %s leave, to whom is not known, and "
		  "refused %s",
		  stand_in->mode[0] ? stand_in->mode : "it", passed, refused);
}

int without_guard_off(struct host *host, char **problem)
{
	_cleanup_free_ char *table = table_of(host->instance);
	struct stand_in stand_in;
	int marked = stand_in_read(host->instance, &stand_in), r;
	bool has_table;

	if (!table)
		return tell_problem(problem, -ENOMEM, "out of memory");
	has_table = nft_has_table(RULESET_FAMILY, table);
	if (marked == -ENOENT && !has_table)
		return -ENOENT;
	add_counters(table, &stand_in);
	r = has_table ? nft_delete_table(RULESET_FAMILY, table, problem) : 0;
	if (r < 0)
		return r;
	r = stand_in_remove(host->instance);
	if (r < 0)
		return tell_problem(problem, r, "cannot note that it is off: %s", strerror(-r));
	tell_off(host, &stand_in);
	return 0;
}

/* ---- written down --------------------------------------------------------------------------- */

int without_guard_save(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, WITHOUT_GUARD_FILE), *text = NULL;
	_cleanup_free_ struct weir_cut_entry *entry = NULL;
	_cleanup_free_ char *problem = NULL;
	struct ruleset ruleset;
	struct cut_table cuts = {0};
	size_t length, lost;
	int r;

	if (!host->config || host->trial_until_ns)
		return 0;
	r = path ? host_compile_orders(&host->image, &host->orders, &cuts, &lost, &problem)
		 : -ENOMEM;
	entry = cuts.entry;
	if (r < 0)
		return r;
	ruleset = ruleset_of(host, host->config);
	ruleset.cuts = &cuts;
	ruleset.hours_closed = guard_control(host->guard).hours_closed;
	r = write_text(&ruleset, &text, &length);
	return r < 0 ? r : file_write_atomic(path, text, length, 0640);
}
