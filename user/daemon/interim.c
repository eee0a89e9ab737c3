/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * interim.c - a policy that is in force for a while.
 */
#include "user/daemon/interim.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/daemon/applying.h"
#include "user/daemon/clock.h"
#include "user/daemon/recovering.h"
#include "user/daemon/store.h"

static const uint64_t told_before_ns = 10 * NS_PER_MINUTE;

/* ---- may it? -------------------------------------------------------------------------------- */

/* What would be gone back to must stay plain: one policy at a time waits for its end. */
int interim_check(const struct host *host, const struct apply_request *request, char **problem)
{
	if (request->confirm_ns && host->interim_until_ns)
		return tell_problem(problem, -EBUSY,
				    "policy %s is in force for a while: `weir confirm` keeps it, "
				    "`weir rollback` ends it, and then another may be tried",
				    host->image.name);
	if (!request->for_ns)
		return 0;
	if (host->trial_until_ns && !host->interim_until_ns)
		return tell_problem(
			problem, -EBUSY,
			"policy %s is on trial: `weir confirm` or `weir rollback` first",
			host->image.name);
	if (request->for_ns < INTERIM_LEAST_NS || request->for_ns > INTERIM_MOST_NS)
		return tell_problem(problem, -EINVAL,
				    "a policy may be in force for a while of 1 minute to 30 days");
	if (!request->reason || !request->reason[0] || !text_is_plain(request->reason))
		return tell_problem(problem, -EINVAL,
				    "a reason without control characters is needed");
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Its texts are among those that are kept. */
static int load_kept(struct host *host, const char *path, struct applied *applied)
{
	_cleanup_free_ char *problem = NULL;
	struct applied about = {0};
	int r = applied_about(path, &about);

	if (r == 0 && !about.until_ns)
		r = -ENOENT; /* a trial that is damaged is over */
	if (r == 0)
		r = store_load(host, about.digest, applied, &problem);
	if (r == 0) {
		applied->until_ns = about.until_ns;
		applied->applied_ns = about.applied_ns;
		applied->trial_until_ns = about.trial_until_ns;
		strcpy(applied->trial_boot, about.trial_boot);
		free(applied->reason);
		applied->reason = TAKE_PTR(about.reason);
	}
	applied_free(&about);
	return r;
}

static int load(struct host *host, struct applied *applied)
{
	_cleanup_free_ char *path = host_path(host, TRIAL_FILE);
	int r = path ? applied_load(path, applied) : -ENOMEM;

	if (r != -EBADMSG)
		return r;
	r = load_kept(host, path, applied);
	if (r == -ENOENT || r == -ENOMEM)
		return r;
	state_damaged(host, TRIAL_FILE,
		      r == 0 ? "the policy that is in force for a while comes from those that are "
			       "kept"
			     : "if a policy was in force for a while, it is over");
	return r == 0 ? 0 : -ENOENT;
}

/* After a reboot; 0: it is over. */
static uint64_t left_ns(const struct host *host, const struct applied *applied)
{
	uint64_t known = clock_known(host), now = wall_now();
	uint64_t span = applied->until_ns - applied->applied_ns;
	uint64_t left;

	if (known > now)
		now = known;
	left = applied->until_ns > now ? applied->until_ns - now : 0;
	return left > span ? span : left;
}

int interim_load(struct host *host, struct applied *applied)
{
	struct applied found = {0};
	uint64_t now = boot_now();
	int r = load(host, &found);

	if (r == 0 && (!found.until_ns || found.until_ns < found.applied_ns))
		r = -ENOENT;
	if (r == 0 && !is_this_boot(found.trial_boot)) {
		found.trial_until_ns = now + left_ns(host, &found);
		r = boot_id(found.trial_boot);
	}
	if (r == 0 && now >= found.trial_until_ns)
		r = -ENOENT;
	if (r == 0)
		*applied = found;
	else
		applied_free(&found);
	return r == -ENOMEM ? r : r < 0 ? -ENOENT : 0;
}

/* ---- in force ------------------------------------------------------------------------------- */

int interim_take(struct host *host, const struct applied *applied)
{
	char *reason = strdup(applied->reason ? applied->reason : "");

	if (!reason)
		return -ENOMEM;
	free(host->interim_reason);
	host->interim_reason = reason;
	host->interim_until_ns = applied->until_ns;
	host->interim_span_ns = applied->until_ns - applied->applied_ns;
	host->is_interim_end_told = false;
	host->trial_until_ns = applied->trial_until_ns;
	return 0;
}

void interim_clear(struct host *host)
{
	free(TAKE_PTR(host->interim_reason));
	host->interim_until_ns = 0;
	host->trial_until_ns = 0;
	host->return_again_ns = 0;
}

int interim_save(const struct host *host, const struct applied *applied)
{
	_cleanup_free_ char *path = host_path(host, TRIAL_FILE);

	return path ? applied_save(path, applied) : -ENOMEM;
}

uint64_t interim_tell_due(struct host *host, uint64_t now_ns)
{
	uint64_t before = host->interim_span_ns / 10;
	char span[SPAN_TEXT];
	uint64_t left;

	if (!host->interim_until_ns || host->is_interim_end_told)
		return 0;
	if (before > told_before_ns)
		before = told_before_ns;
	if (now_ns + before < host->trial_until_ns)
		return host->trial_until_ns - before;
	host->is_interim_end_told = true;
	left = host->trial_until_ns > now_ns ? host->trial_until_ns - now_ns : 0;
	span_format(left - left % NS_PER_SECOND, span, sizeof(span));
	host_tell(host, "interim-ending", RECORD_MEDIUM,
		  (struct record_field[]){{"seconds_left", NULL, left / NS_PER_SECOND},
					  {"order_reason", host->interim_reason, 0}},
		  2,
		  "policy %s (%.12s) is in force for another %s, then the guard goes back: `weir "
		  "confirm` keeps it",
		  host->image.name, host->digest, span);
	return 0;
}

void interim_put(const struct host *host, struct json_out *reply)
{
	_cleanup_free_ char *path = host_path(host, "applied.json");
	uint64_t now = boot_now(), until = host->trial_until_ns;
	uint64_t left = until > now ? until - now : 0;
	struct applied back = {0};

	if (!host->interim_until_ns)
		return;
	json_open(reply, "interim", '{');
	json_put_uint(reply, "until", (host_wall(host) - now + until) / NS_PER_SECOND);
	json_put_uint(reply, "seconds_left", left / NS_PER_SECOND);
	json_put_text(reply, "reason", host->interim_reason);
	if (path && applied_about(path, &back) == 0) {
		json_open(reply, "back_to", '{');
		json_put_text(reply, "name", back.name);
		json_put_text(reply, "digest", back.digest);
		json_close(reply, '}');
	} else {
		json_put_null(reply, "back_to"); /* the built-in default */
	}
	applied_free(&back);
	json_close(reply, '}');
}
