/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* without_guard.c - what stands in for a guard that cannot be loaded. */
#include "user/daemon/without_guard.h"

#include <openssl/evp.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/base/units.h"
#include "user/daemon/clock.h"
#include "user/daemon/default_policy.h"
#include "user/daemon/ended_trial.h"
#include "user/daemon/interim.h"
#include "user/daemon/latches.h"
#include "user/daemon/links.h"
#include "user/daemon/nft.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/recovering.h"
#include "user/policy/ruleset.h"

static const int64_t MOST_STEP_NS = 60 * (int64_t)NS_PER_SECOND;

static char *table_of(const char *instance)
{
	char *name;

	return asprintf(&name, RULESET_TABLE "%s", instance) < 0 ? NULL : name;
}

bool without_guard_has_table(const char *instance)
{
	_cleanup_free_ char *table = table_of(instance), *listed = NULL;

	return table && nft_list_table(RULESET_FAMILY, table, &listed) == 0;
}

static void set_why(struct stand_in *stand_in, const char *why)
{
	snprintf(stand_in->why, sizeof(stand_in->why), "%s", why);
}

/* ---- what it is made of --------------------------------------------------------------------- */

static bool has(const struct host *host, const char *name)
{
	return faccessat(host->state_dir, name, F_OK, 0) == 0;
}

/* The policy that counts at the next start, into host->image. 0; -ENOENT: there never was one, nor
 * a guard; -EBADMSG: not known; -ENOMEM. */
static int load_policy(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, "applied.json");
	struct applied applied = {0};
	struct image image = {0};
	struct faults faults = {0};
	bool is_default = false;
	int r = interim_load(host, &applied);

	if (r == -ENOENT)
		r = path ? applied_load(path, &applied) : -ENOMEM;
	if (r < 0 && r != -ENOMEM && (r != -ENOENT || applied_is_missing(host)))
		r = applied_recover(host, &applied);
	if (r == 0) {
		r = policy_to_image(&applied.sources, wall_now(), &image, &faults);
	} else if (r == -ENOENT && (has(host, "orders.json") || has(host, "orders.json.copy"))) {
		is_default = true; /* a guard ran with it */
		r = default_image(host, wall_now(), &image);
	} else if (r == -ENOENT && (has(host, "meters") || has(host, WITHOUT_GUARD_FILE))) {
		r = -EBADMSG; /* a guard ran; by which policy? */
	}
	if (r == 0)
		r = host_take_image(host, &image, is_default ? NULL : &applied);
	image_free(&image);
	faults_free(&faults);
	applied_free(&applied);
	return r == 0 || r == -ENOENT || r == -ENOMEM ? r : -EBADMSG;
}

/* Orders that cannot be read may be anything, and so may a cut by a name of a policy on trial when
 * that cannot be read: as a daemon would find it at the trial's end. */
static int load_cuts(struct host *host, struct order_table *cuts)
{
	_cleanup_free_ char *path = host_path(host, "orders.json"), *problem = NULL;
	struct ended_trial ended = {.was_on_trial = ended_trial_is_there(host)};
	int r = path ? orders_load(path, &host->orders) : -ENOMEM;

	if (r == -ENOENT && !orders_are_missing(host))
		return 0;
	if (r == 0 && ended.was_on_trial)
		r = ended_trial_read(host, &ended);
	if (r == 0)
		r = ended_trial_compile(host, &host->image, &ended, cuts, &problem);
	if (r == 0 && ended.was_on_trial && !ended.is_known && ended.lost)
		r = -EBADMSG;
	image_free(&ended.image);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

/* Each as a cut of its partner, which is more than was severed; strangers get nothing but where a
 * policy observes. */
static int add_latches(const struct host *host, const struct latches *latches,
		       struct order_table *cuts)
{
	size_t count = cuts->count + latches->count;
	struct weir_cut_entry *entry = reallocarray(cuts->entry, count + 1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	cuts->entry = entry;
	for (size_t i = 0; i < latches->count; i++) {
		const struct latch *latch = &latches->item[i];
		uint32_t partner = names_partner_index(&host->names, latch->partner_key);
		bool is_partner = partner != TABLE_NONE && partner != WEIR_NO_PARTNER;

		entry[cuts->count++] = (struct weir_cut_entry){
			.order = UINT64_MAX,
			.target = is_partner ? WEIR_TARGET_PARTNER : WEIR_TARGET_STRANGERS,
			.index = is_partner ? partner : 0,
			.service = WEIR_ANY};
	}
	return 0;
}

static int load_all_cuts(struct host *host, struct order_table *cuts)
{
	struct latches latches = {0};
	int r = load_cuts(host, cuts);

	if (r == 0)
		r = latches_saved(host, &latches);
	if (r == 0)
		r = add_latches(host, &latches, cuts);
	latches_free(&latches);
	return r;
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
	hex_format(sha256, 32, digest);
	return 0;
}

static struct ruleset ruleset_of(const struct host *host, const struct host_config *config)
{
	return (struct ruleset){.instance = host->instance,
				.mode = config->without_guard,
				.image = &host->image,
				.uplinks =
					links_are_plain(&config->uplinks) ? &config->uplinks : NULL,
				.wall_ns = wall_now()};
}

static enum stand_in_mode mode_of(enum without_guard mode)
{
	return mode == WITHOUT_GUARD_FALLBACK ? STAND_IN_FALLBACK
	       : mode == WITHOUT_GUARD_CLOSED ? STAND_IN_CLOSED
					      : STAND_IN_OPEN;
}

/* What there is to make rules of, which may leave less of them than are configured. */
static int load_state(struct host *host, struct ruleset *ruleset, struct order_table *cuts,
		      struct stand_in *stand_in)
{
	int r = host->state_dir < 0 ? -ENOENT : load_policy(host);

	if (r == -ENOENT) {
		ruleset->mode = WITHOUT_GUARD_OPEN;
		stand_in->mode = STAND_IN_NOTHING;
		set_why(stand_in, "no policy was ever applied here");
		return 0;
	}
	if (r == -EBADMSG && ruleset->mode != WITHOUT_GUARD_OPEN) {
		ruleset->image = NULL;
		ruleset->mode = WITHOUT_GUARD_CLOSED;
		set_why(stand_in, "which policy was applied is not known: no lifeline either");
	} else if (r == 0 && ruleset->mode == WITHOUT_GUARD_FALLBACK) {
		r = load_all_cuts(host, cuts);
		if (r == -EBADMSG) {
			ruleset->mode = WITHOUT_GUARD_CLOSED;
			set_why(stand_in, "what was cut cannot be read: all but the lifeline is");
		}
	}
	stand_in->mode = mode_of(ruleset->mode);
	return r == -ENOMEM ? r : 0;
}

static int64_t clock_offset(void)
{
	return (int64_t)(wall_now() - boot_now());
}

/* Since something stood in first, nobody but a person can have told the time. */
static bool has_stepped(const struct stand_in *before)
{
	int64_t step = clock_offset() - before->offset_ns;

	return before->offset_ns && (step > MOST_STEP_NS || step < -MOST_STEP_NS);
}

/* `before`: what is in force, or all zero. */
static int make(struct host *host, const struct host_config *config, const struct stand_in *before,
		struct stand_in *stand_in, char **text, size_t *length, char **problem)
{
	struct ruleset ruleset = ruleset_of(host, config);
	_cleanup_order_table_ struct order_table cuts = {0};
	int r;

	*stand_in = (struct stand_in){.since_ns = wall_now(), .offset_ns = clock_offset()};
	r = load_state(host, &ruleset, &cuts, stand_in);
	ruleset.cuts = &cuts;
	ruleset.hours_closed = has_stepped(before) ||
			       (host->state_dir >= 0 && clock_needs_confirmation(host, NULL));
	if (stand_in_has_rules(stand_in) && !stand_in->why[0] && !ruleset.uplinks)
		set_why(stand_in, "an uplink is not there by its name: what is forwarded is judged "
				  "on every interface");
	if (r == 0)
		r = write_text(&ruleset, text, length);
	if (r == 0)
		r = digest_of(*text, *length, stand_in->digest);
	return r < 0 ? tell_problem(problem, r, "out of memory") : 0;
}

int without_guard_make(struct host *host, const struct host_config *config,
		       struct stand_in *stand_in, char **text, size_t *length, char **problem)
{
	const struct stand_in nothing = {0};

	/* or it would be made of nothing, as on a host where nothing was ever applied */
	if (host->state_dir < 0 && host->state_error != -ENOENT)
		return tell_problem(problem, host->state_error,
				    "cannot open the state directory: %s",
				    strerror(-host->state_error));
	return make(host, config, &nothing, stand_in, text, length, problem);
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
	const char *mode = stand_in_name(stand_in->mode);
	struct record_field field[] = {{"mode", mode, 0}, {"why", stand_in->why, 0}};

	host_tell(host, "without-guard", RECORD_HIGH, field, 2,
		  "no guard judges this host: %s stands in%s%s", mode, stand_in->why[0] ? ": " : "",
		  stand_in->why);
}

/* The whole ruleset, or else the lifeline alone, or else what was there before. */
static int load(struct host *host, const struct host_config *config, const struct stand_in *before,
		struct stand_in *stand_in, const char *text, size_t length, char **problem)
{
	struct ruleset ruleset = ruleset_of(host, config);
	_cleanup_free_ char *closed = NULL, *first = NULL;
	size_t closed_length;
	int r = nft_load(text, length, &first);

	if (r == 0)
		return 0;
	/* Then there is only something to remove, and without nft nothing put it there. */
	if (!stand_in_has_rules(stand_in) && r == -ENOENT)
		return 0;
	ruleset.mode = WITHOUT_GUARD_CLOSED;
	if (stand_in_has_rules(stand_in) && write_text(&ruleset, &closed, &closed_length) == 0 &&
	    nft_load(closed, closed_length, problem) == 0) {
		stand_in->mode = STAND_IN_CLOSED;
		set_why(stand_in, first ? first : "nft refused the fallback");
		return 0;
	}
	if (!*problem)
		*problem = TAKE_PTR(first);
	stand_in->mode = before->mode;
	memcpy(stand_in->digest, before->digest, sizeof(stand_in->digest));
	set_why(stand_in, *problem ? *problem : "nft failed");
	return r;
}

/* What nft says of the table; "" when it is not there. */
static void note_listed(const char *table, char listed[DIGEST_TEXT])
{
	_cleanup_free_ char *text = NULL;

	listed[0] = '\0';
	if (nft_list_table(RULESET_FAMILY, table, &text) == 0)
		digest_of(text, strlen(text), listed);
}

/* The same rules, and nobody touched them. */
static bool is_in_force(const struct stand_in *before, const struct stand_in *now,
			const char *listed)
{
	return before->mode == now->mode && strcmp(before->digest, now->digest) == 0 &&
	       (!stand_in_has_rules(now) || (listed[0] && strcmp(before->listed, listed) == 0));
}

/* Where no state is left, the rules that were made of it are what is known. */
static bool keeps_rules(const struct stand_in *before, struct stand_in *now, const char *listed)
{
	if (now->mode != STAND_IN_NOTHING || !listed[0])
		return false;
	*now = *before;
	if (!stand_in_has_rules(now))
		now->mode = STAND_IN_FALLBACK;
	set_why(now, "the state directory is empty: what stood in before stays");
	return true;
}

/* What goes on from what stood in before. */
static void go_on(const struct stand_in *before, struct stand_in *now)
{
	now->since_ns = before->since_ns;
	now->offset_ns = before->offset_ns;
	now->passed_bytes = before->passed_bytes;
	now->refused_bytes = before->refused_bytes;
}

int without_guard_on(struct host *host, const struct host_config *config, struct stand_in *stand_in,
		     bool *is_new, char **problem)
{
	_cleanup_free_ char *text = NULL, *table = table_of(host->instance);
	struct stand_in before;
	char listed[DIGEST_TEXT];
	size_t length;
	int marked = stand_in_read(host->instance, &before), noted;
	int r = table ? make(host, config, &before, stand_in, &text, &length, problem) : -ENOMEM;

	*is_new = false;
	if (r < 0)
		return r;
	note_listed(table, listed);
	if (marked == 0 && is_in_force(&before, stand_in, listed)) {
		*stand_in = before;
		return 0;
	}
	if (!keeps_rules(&before, stand_in, listed)) {
		if (marked == 0)
			go_on(&before, stand_in);
		if (stand_in_has_rules(&before) && !listed[0])
			before.mode = STAND_IN_NOTHING;
		add_counters(table, stand_in);
		r = load(host, config, &before, stand_in, text, length, problem);
		note_listed(table, stand_in->listed);
	}
	/* What fails is tried again and again, and told once. */
	*is_new = marked < 0 || before.mode != stand_in->mode ||
		  strcmp(before.why, stand_in->why) != 0;
	noted = stand_in_write(host->instance, stand_in);
	if (*is_new)
		tell_on(host, stand_in);
	if (r == 0 && noted < 0)
		return tell_problem(problem, noted, "%s stands in, but cannot be noted: %s",
				    stand_in_name(stand_in->mode), strerror(-noted));
	return r;
}

/* No guard was there to count: these are the sums for what left meanwhile. */
static void tell_off(struct host *host, const struct stand_in *stand_in)
{
	const char *mode = stand_in_name(stand_in->mode);
	char passed[BYTES_TEXT], refused[BYTES_TEXT];
	struct record_field field[] = {
		{"mode", mode, 0},
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
		  mode, passed, refused);
}

int without_guard_off(struct host *host, char **problem)
{
	const struct host_config open = {.without_guard = WITHOUT_GUARD_OPEN};
	struct ruleset ruleset = ruleset_of(host, &open);
	_cleanup_free_ char *table = table_of(host->instance), *text = NULL;
	struct stand_in stand_in;
	size_t length;
	int marked = stand_in_read(host->instance, &stand_in), r;

	if (!table || write_text(&ruleset, &text, &length) < 0)
		return tell_problem(problem, -ENOMEM, "out of memory");
	if (marked == -ENOENT && !without_guard_has_table(host->instance))
		return -ENOENT;
	add_counters(table, &stand_in);
	r = nft_load(text, length, problem);
	if (r < 0 && (marked < 0 || stand_in_has_rules(&stand_in)))
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
	_cleanup_order_table_ struct order_table cuts = {0};
	_cleanup_free_ char *problem = NULL;
	struct latches latches = {0};
	struct ruleset ruleset;
	size_t length, lost;
	int r;

	if (!host->config)
		return 0;
	r = path ? host_compile_orders(host, &host->image, &host->orders, &cuts, &lost, &problem)
		 : -ENOMEM;
	if (r == 0)
		r = latches_read(host, &latches);
	if (r == 0)
		r = add_latches(host, &latches, &cuts);
	latches_free(&latches);
	if (r < 0)
		return r;
	ruleset = ruleset_of(host, host->config);
	ruleset.cuts = &cuts;
	ruleset.hours_closed = guard_control(host->guard).hours_closed;
	r = write_text(&ruleset, &text, &length);
	return r < 0 ? r : file_write_atomic(path, text, length, 0640);
}
