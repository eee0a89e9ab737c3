/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_returning.c - a policy stays, or the guard goes back: to which one, what is on the disk
 * then, and what is told of it; also when something of that fails, and by the daemon that starts
 * after the end.
 */
#include "tests/unit/planned.h"

#include <fcntl.h>

#include "user/daemon/applying.h"
#include "user/daemon/default_policy.h"
#include "user/daemon/ended_trial.h"
#include "user/daemon/interim.h"

/* ---- what there is -------------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
	static char path[2][160];
	static int next;

	next = !next;
	snprintf(path[next], sizeof(path[next]), "%s/unit/%s", state_root, name);
	return path[next];
}

static bool is_there(const char *name)
{
	return access(path_of(name), F_OK) == 0;
}

/* A name that no file can take: root writes anywhere. */
static void block(const char *name)
{
	unlink(path_of(name));
	assert_int_equal(mkdir(path_of(name), 0700), 0);
}

/* The policy in a file; "-" without one. */
static const char *policy_in(const char *name)
{
	static char found[2][32];
	static int next;
	struct applied applied = {0};

	next = !next;
	strcpy(found[next], "-");
	if (applied_load(path_of(name), &applied) == 0)
		snprintf(found[next], sizeof(found[next]), "%s", applied.name);
	applied_free(&applied);
	return found[next];
}

static void assert_files(const char *applied, const char *previous, const char *trial)
{
	assert_string_equal(policy_in(APPLIED_FILE), applied);
	assert_string_equal(policy_in(PREVIOUS_FILE), previous);
	assert_string_equal(policy_in(TRIAL_FILE), trial);
}

/* Whoever finds applied.json damaged finds its texts by this. */
static void assert_noted(const char *digest)
{
	char *text, wanted[DIGEST_TEXT + 1];
	size_t length;

	assert_int_equal(file_read(path_of("applied.digest"), 1 << 10, &text, &length), 0);
	snprintf(wanted, sizeof(wanted), "%s\n", digest);
	assert_string_equal(text, wanted);
	free(text);
}

static const char *text_in(json_object *object, const char *key)
{
	return object ? json_object_get_string(json_object_object_get(object, key)) : NULL;
}

/* "KIND RESULT POLICY" of the journal's last line, and by whom when that was no caller. */
static void assert_last_line(struct host *host, const char *wanted)
{
	json_object *record = last_record(host);
	const char *policy = text_in(json_object_object_get(record, "policy"), "name");
	const char *by = text_in(member(record, "by"), "text");
	bool is_mine = strcmp(by, me.by) == 0;
	char line[160];

	snprintf(line, sizeof(line), "%s %s %s%s%s", text_in(record, "kind"),
		 text_in(record, "result"), policy ? policy : "-", is_mine ? "" : " by ",
		 is_mine ? "" : by);
	assert_string_equal(line, wanted);
	json_object_put(record);
}

/* How many lines of the journal are of this kind. */
static size_t lines_of(const char *kind)
{
	char *text, wanted[64];
	size_t length, count = 0;

	snprintf(wanted, sizeof(wanted), "\"kind\":\"%s\"", kind);
	assert_int_equal(file_read(path_of(JOURNAL_FILE), 1 << 20, &text, &length), 0);
	for (const char *at = text; (at = strstr(at, wanted)); at++)
		count++;
	free(text);
	return count;
}

/* Its policy is the one in force. */
static void assert_last_digest(struct host *host)
{
	json_object *record = last_record(host);

	assert_string_equal(text_in(member(record, "policy"), "digest"), host->digest);
	json_object_put(record);
}

static json_object *rollback(struct host *host)
{
	return ask(host, "{\"request\":\"rollback\"}");
}

static json_object *confirm(struct host *host)
{
	return ask(host, "{\"request\":\"confirm\"}");
}

/* It names the policy that is in force now. */
static void says_in_force(struct host *host, json_object *answer, int code, const char *name)
{
	expect_code(answer, code);
	assert_string_equal(json_object_get_string(member(answer, "name")), name);
	assert_string_equal(json_object_get_string(member(answer, "digest")), host->digest);
	assert_string_equal(host->image.name, name);
	assert_memory_equal(fake.head.digest, host->image.head.digest, sizeof(fake.head.digest));
	json_object_put(answer);
}

static void goes_back_by_itself(struct host *host, int wanted)
{
	char *problem = NULL;

	assert_int_equal(end_by_itself(host, &problem), wanted);
	free(problem);
}

/* Applied: good; before it: done. */
static void apply_two(struct host *host)
{
	done(apply_named(host, "done", 0));
	done(apply_named(host, "good", 0));
	assert_files("good", "done", "-");
}

/* On trial: a policy named "more", with a partner that the applied one lacks. */
static char *more_text(void)
{
	char *text = policy_named("more"), *at = strstr(text, "payer: {");

	memcpy(at, "other", 5);
	memcpy(strstr(text, "partner: payer") + 9, "other", 5);
	return text;
}

static void try_more(struct host *host)
{
	_cleanup_free_ char *text = more_text();

	done(apply(host, text, "{\"confirm_seconds\":60}"));
	assert_string_equal(policy_in(TRIAL_FILE), "more");
}

/* ---- it stays ------------------------------------------------------------------------------- */

static void a_confirmed_policy_is_the_applied_one(void **state)
{
	struct host *host = *state;

	apply_two(host);
	refused(confirm(host), "no policy is on trial, or in force for a while");
	assert_last_line(host, "confirm refused -");
	done(apply_named(host, "more", 60));
	says_in_force(host, confirm(host), 0, "more");
	assert_files("more", "good", "-");
	assert_noted(host->digest);
	assert_int_equal(host->trial_until_ns, 0);
	assert_int_equal(told(host, "confirm: policy more ("), 1);
	assert_last_line(host, "confirm accepted more");
	assert_last_digest(host);
	done(apply_for(host, "away", 60));
	says_in_force(host, confirm(host), 0, "away");
	assert_files("away", "more", "-");
	assert_int_equal(host->interim_until_ns, 0);
	assert_null(host->interim_reason);
	refused(confirm(host), "no policy is on trial");
}

static void a_confirmation_may_come_too_late(void **state)
{
	struct host *host = *state;

	apply_two(host);
	done(apply_named(host, "more", 60));
	passed_ns = 61 * NS_PER_SECOND;
	refused(confirm(host), "the trial is over: the policy goes back");
	assert_last_line(host, "confirm refused -");
	assert_files("good", "done", "more");
	assert_int_equal(told(host, "confirm: policy"), 0);
	goes_back_by_itself(host, 0);
	done(apply_for(host, "away", 60));
	passed_ns += 60 * NS_PER_SECOND;
	refused(confirm(host), "its time is over: the policy goes back");
	assert_files("good", "done", "away");
	assert_int_not_equal(host->interim_until_ns, 0);
}

static void what_cannot_be_saved_stays_on_trial(void **state)
{
	struct host *host = *state;

	apply_two(host);
	done(apply_named(host, "more", 60));
	block(PREVIOUS_FILE);
	refused(confirm(host), "cannot save the policy, so it stays on trial");
	assert_files("good", "-", "more");
	assert_int_not_equal(host->trial_until_ns, 0);
	assert_int_equal(told(host, "confirm: policy"), 0);
	goes_back_by_itself(host, 0);
	assert_string_equal(host->image.name, "good");
}

/* Its file has the name that counts already: a trial that went on would end with a way back to
 * itself. */
static void what_is_saved_in_part_is_confirmed(void **state)
{
	struct host *host = *state;
	json_object *answer;

	apply_two(host);
	done(apply_named(host, "more", 60));
	block("applied.digest");
	answer = confirm(host);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")),
			       "the policy is confirmed, but not all of that is saved"));
	says_in_force(host, answer, 1, "more");
	assert_files("more", "good", "-");
	assert_int_equal(host->trial_until_ns, 0);
	assert_int_equal(told(host, "confirm: policy more ("), 1);
}

/* ---- to the one before ---------------------------------------------------------------------- */

static void twice_goes_forward_again(void **state)
{
	struct host *host = *state;

	apply_two(host);
	says_in_force(host, rollback(host), 0, "done");
	assert_files("done", "good", "-");
	assert_noted(host->digest);
	assert_int_equal(told(host, "rollback: policy done ("), 1);
	assert_last_line(host, "rollback accepted done");
	assert_last_digest(host);
	says_in_force(host, rollback(host), 0, "good");
	assert_files("good", "done", "-");
	assert_noted(host->digest);
	assert_last_line(host, "rollback accepted good");
}

static void what_cannot_be_read_is_not_gone_back_to(void **state)
{
	struct host *host = *state;

	apply_two(host);
	assert_int_equal(truncate(path_of(PREVIOUS_FILE), 300), 0);
	refused(rollback(host), "cannot read the policy to go back to");
	assert_string_equal(host->image.name, "good");
	assert_last_line(host, "rollback refused -");
	assert_int_equal(told(host, "rollback: policy"), 0);
	assert_string_equal(policy_in(APPLIED_FILE), "good");
}

static void a_kernel_that_refuses_changes_no_file(void **state)
{
	struct host *host = *state;

	apply_two(host);
	fake.fail_apply = -EIO;
	refused(rollback(host), "the fake refuses");
	assert_string_equal(host->image.name, "good");
	assert_files("good", "done", "-");
	assert_int_equal(told(host, "rollback: policy"), 0);
	fake.fail_apply = 0;
}

/* In force it is, and that is told; but a reboot would find the other. */
static void a_rollback_that_is_not_saved_is_told(void **state)
{
	struct host *host = *state;
	json_object *answer;

	apply_two(host);
	assert_int_equal(unlink(path_of(APPLIED_FILE)), 0);
	answer = rollback(host);
	assert_non_null(strstr(json_object_get_string(member(answer, "problem")),
			       "the policy is in force, but not saved"));
	says_in_force(host, answer, 1, "done");
	assert_int_equal(told(host, "rollback: policy done ("), 1);
	assert_last_line(host, "rollback accepted done");
}

static void so_is_one_whose_digest_is_not_saved(void **state)
{
	struct host *host = *state;

	apply_two(host);
	block("applied.digest");
	refused(rollback(host), "the policy is in force, but not saved");
	assert_files("done", "good", "-");
	assert_last_line(host, "rollback accepted done");
	assert_int_equal(told(host, "rollback: policy done ("), 1);
}

/* ---- to one that was applied once ------------------------------------------------------------ */

static json_object *rollback_to(struct host *host, const char *digest)
{
	char request[160];

	snprintf(request, sizeof(request), "{\"request\":\"rollback\",\"digest\":\"%.12s\"}",
		 digest);
	return ask(host, request);
}

static void any_that_was_applied_comes_back(void **state)
{
	struct host *host = *state;
	char digest[DIGEST_TEXT];

	done(apply_named(host, "done", 0));
	strcpy(digest, host->digest);
	done(apply_named(host, "good", 0));
	done(apply_named(host, "next", 0));
	done(apply_named(host, "more", 60));
	says_in_force(host, rollback_to(host, digest), 0, "done");
	assert_files("done", "next", "-"); /* the trial is over by it */
	assert_int_equal(host->trial_until_ns, 0);
	assert_noted(digest);
	assert_last_line(host, "rollback accepted done");
	assert_int_equal(told(host, "rollback: policy done ("), 1);
	refused(rollback_to(host, "00000000"), "no policy 00000000 was ever applied here");
	refused(rollback_to(host, "0"), "0 is no policy");
	assert_last_line(host, "rollback refused -");
	assert_string_equal(host->image.name, "done");
}

static void one_without_the_object_of_a_cut_does_not(void **state)
{
	_cleanup_free_ char *text = more_text();
	struct host *host = *state;
	char digest[DIGEST_TEXT];

	done(apply_named(host, "done", 0));
	strcpy(digest, host->digest);
	done(apply(host, text, "{}"));
	done(cut(host, "partner:other"));
	refused(rollback_to(host, digest), "c1 cuts partner:other");
	refused(rollback(host), "c1 cuts partner:other");
	assert_files("more", "done", "-");
	assert_string_equal(host->image.name, "more");
}

static void one_that_is_damaged_does_not(void **state)
{
	struct host *host = *state;
	char digest[DIGEST_TEXT], path[80];

	done(apply_named(host, "done", 0));
	strcpy(digest, host->digest);
	done(apply_named(host, "good", 0));
	snprintf(path, sizeof(path), "policies/%s.json", digest);
	assert_int_equal(truncate(path_of(path), 300), 0);
	refused(rollback_to(host, digest), "the file is damaged");
	assert_string_equal(host->image.name, "good");
	assert_files("good", "done", "-");
}

/* What a stage of a plan under way lets back is watched by the name that the policy has. */
static void one_without_the_target_of_a_stage_does_not(void **state)
{
	_cleanup_free_ char *text = more_text();
	struct host *host = *state;
	char digest[DIGEST_TEXT];

	done(apply_named(host, "done", 0));
	strcpy(digest, host->digest);
	done(apply(host, text, "{}"));
	begins_plan_of(host, "partner:other", 1);
	does(host, &alice, NEXT);
	refused(rollback_to(host, digest), "partner:other");
	refused(rollback(host), "partner:other");
	assert_string_equal(host->image.name, "more");
	assert_files("more", "done", "-");
}

/* ---- under four eyes ------------------------------------------------------------------------- */

static char *strict_text(const char *budget)
{
	char *text = policy_with("four_eyes: true\n");

	memcpy(strstr(text, "1MiB/1h"), budget, 4);
	return text;
}

/* To the one before: only when that lets more leave. */
static void one_alone_goes_back_to_what_is_tighter(void **state)
{
	_cleanup_free_ char *tight = strict_text("1MiB"), *loose = strict_text("2MiB");
	struct host *host = *state;

	done(apply(host, tight, "{}"));
	host->image.four_eyes = false; /* the second person's word is given */
	done(apply(host, loose, "{}"));
	assert_true(host->image.four_eyes);
	does(host, &alice, "{\"request\":\"rollback\"}");
	waits(host, &alice, "{\"request\":\"rollback\"}");
	does(host, &bob, "{\"request\":\"rollback\"}");
}

/* It stays only by two, if it lets more leave than the one that it would go back to. */
static void one_alone_keeps_what_is_tighter(void **state)
{
	_cleanup_free_ char *tight = strict_text("1MiB"), *loose = strict_text("2MiB");
	_cleanup_free_ char *try = applying(loose, ",\"confirm_seconds\":60");
	struct host *host = *state;

	done(apply(host, tight, "{}"));
	waits(host, &alice, try);
	does(host, &bob, try);
	waits(host, &alice, "{\"request\":\"confirm\"}");
	assert_int_not_equal(host->trial_until_ns, 0);
	does(host, &bob, "{\"request\":\"confirm\"}");
	assert_int_equal(host->trial_until_ns, 0);
	assert_false(is_there(TRIAL_FILE));
	done(apply(host, tight, "{\"confirm_seconds\":60}"));
	does(host, &alice, "{\"request\":\"confirm\"}");
}

/* The default blocks nothing. */
static void to_the_default_it_takes_two(void **state)
{
	_cleanup_free_ char *text = strict_text("1MiB");
	struct host *host = *state;

	done(apply(host, text, "{\"confirm_seconds\":60}"));
	waits(host, &alice, "{\"request\":\"rollback\"}");
	assert_string_equal(host->image.name, "test");
	assert_true(is_there(TRIAL_FILE));
	does(host, &bob, "{\"request\":\"rollback\"}");
	assert_string_equal(host->image.name, "none");
}

/* ---- from a trial, by somebody ----------------------------------------------------------------
 */

static void from_a_trial_to_the_applied_one(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	says_in_force(host, rollback(host), 0, "good");
	assert_files("good", "done", "-");
	assert_int_equal(host->trial_until_ns, 0);
	assert_last_line(host, "rollback accepted good");
	assert_int_equal(told(host, "rollback: policy good ("), 1);
	says_in_force(host, rollback(host), 0,
		      "done"); /* that was the trial, this is the one before */
	done(apply_for(host, "away", 60));
	says_in_force(host, rollback(host), 0, "done");
	assert_files("done", "good", "-");
	assert_int_equal(host->interim_until_ns, 0);
	assert_last_line(host, "rollback accepted done");
}

static void without_an_applied_one_to_the_default(void **state)
{
	struct host *host = *state;

	try_more(host);
	says_in_force(host, rollback(host), 0, "none");
	assert_int_equal(host->image.head.mode, WEIR_OBSERVE);
	assert_files("-", "-", "-");
	assert_string_equal(policy_in(LIFELINE_FILE), "more");
	assert_last_line(host, "rollback accepted none");
	assert_last_digest(host);
	refused(rollback(host), "there is no policy before this one");
}

/* Nobody is asked what becomes of the cuts, so none gets another name: the orders as they are on
 * the disk do without its file. */
static void who_asks_leaves_no_file(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	host->has_unsaved_orders = true;
	says_in_force(host, rollback(host), 0, "good");
	assert_files("good", "done", "-");
	assert_true(host->has_unsaved_orders);
}

/* The next daemon would go on with it: it is the same boot, and there is time left. */
static void a_file_that_stays_is_told(void **state)
{
	struct host *host = *state;

	for (int is_interim = 0; is_interim < 2; is_interim++) {
		if (is_interim)
			done(apply_for(host, "away", 60));
		else
			try_more(host);
		block(TRIAL_FILE);
		refused(rollback(host), "the policy is in force, but not saved");
		assert_string_equal(host->image.name, "none");
		assert_int_equal(host->trial_until_ns, 0);
		assert_int_equal(rmdir(path_of(TRIAL_FILE)), 0);
	}
}

static void a_refused_way_back_leaves_the_trial(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	refused(rollback(host), "c1 cuts partner:other");
	assert_files("good", "done", "more");
	assert_int_not_equal(host->trial_until_ns, 0);
	fake.fail_apply = -EIO;
	done(reopen(host, "partner:other", NULL));
	refused(rollback(host), "the fake refuses");
	fake.fail_apply = 0;
	assert_files("good", "done", "more");
	assert_int_not_equal(host->trial_until_ns, 0);
	assert_int_equal(told(host, "rollback: policy"), 0);
}

/* ---- from a trial, by itself ------------------------------------------------------------------
 */

static void its_end_is_told_and_in_the_journal(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	goes_back_by_itself(host, 0);
	assert_files("good", "done", "-");
	assert_last_line(host, "trial-over accepted good by guard");
	assert_last_digest(host);
	assert_int_equal(told(host, "rollback: policy good ("), 1);
	done(apply_for(host, "away", 60));
	goes_back_by_itself(host, 0);
	assert_files("good", "done", "-");
	assert_int_equal(host->interim_until_ns, 0);
	assert_last_line(host, "interim-over accepted good by guard");
	assert_int_equal(told(host, "rollback: policy good ("), 2);
}

/* What stands for a cut is told; that of it more may be cut is no reason not to go back. */
static void what_stands_for_a_cut_is_told(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	fake.fail_sever = -EIO;
	goes_back_by_itself(host, 0);
	fake.fail_sever = 0;
	assert_int_equal(told(host, "cut c2: addr:198.51.100.32/28, for what policy good does not"),
			 1);
	assert_int_equal(
		told(host, "the cuts hold, but sockets could not be ended: the fake severs"), 1);
	assert_int_equal(told(host, "cut c1: partner:other"), 1); /* when it was made */
	assert_false(host->has_unsaved_orders);
	assert_false(is_there(TRIAL_FILE));
}

/* As long as the orders are on no disk the file of the trial says what to cut; then it goes. */
static void its_file_stays_until_the_orders_are_saved(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	block("orders.json");
	goes_back_by_itself(host, 0);
	assert_true(host->has_unsaved_orders);
	assert_files("good", "done", "more");
	assert_int_equal(host->trial_until_ns, 0);
	assert_last_line(host, "trial-over accepted good by guard");
	host_forget_ended(host);
	assert_files("good", "done", "-");
	/* of one that is in force for a while too; and an earlier trouble that is over is over */
	assert_int_equal(rmdir(path_of("orders.json")), 0);
	done(apply_for(host, "away", 60));
	host->has_unsaved_orders = true;
	goes_back_by_itself(host, 0);
	assert_files("good", "done", "away"); /* nothing new was cut, so nothing was saved */
	assert_int_equal(host->interim_until_ns, 0);
	assert_int_equal(host->trial_until_ns, 0);
	host_forget_ended(host);
	try_more(host);
	host_forget_ended(host);
	assert_files("good", "done", "more"); /* it is on trial */
	done(cut(host, "partner:other@service:sftp"));
	host->has_unsaved_orders = true;
	goes_back_by_itself(host, 0);
	assert_false(host->has_unsaved_orders);
	assert_files("good", "done", "-");
}

/* The kernel's texts are those that hold again. */
static void a_kernel_that_refuses_holds_it_up(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	fake.fail_apply = -EIO;
	goes_back_by_itself(host, -EIO);
	fake.fail_apply = 0;
	assert_string_equal(host->image.name, "more");
	assert_int_equal(host->orders.count, 1);
	assert_int_equal(fake.order_count, 1);
	assert_files("good", "done", "more");
	assert_int_not_equal(host->trial_until_ns, 0);
	assert_int_equal(told(host, "cut c2"), 0);
	assert_last_line(host, "cut accepted -");
}

/* Its time is over all the same: nobody keeps it by typing quickly. */
static void what_holds_it_up_is_tried_again_and_no_longer_confirmed(void **state)
{
	struct host *host = *state;
	uint64_t until;

	apply_two(host);
	assert_int_equal(host_return_due(host), 0);
	done(apply_named(host, "more", 60));
	until = host->trial_until_ns;
	assert_int_equal(host_return_due(host), until);
	passed_ns = 60 * NS_PER_SECOND;
	fake.fail_apply = -EIO;
	host_return(host);
	assert_string_equal(host->image.name, "more");
	assert_int_equal(told(host, "\"message\":\"the fake refuses\""), 1);
	assert_in_range(host_return_due(host), until + 9 * NS_PER_SECOND,
			until + 12 * NS_PER_SECOND);
	fake.fail_apply = 0;
	refused(confirm(host), "the trial is over: the policy goes back");
	assert_files("good", "done", "more");
	passed_ns += 10 * NS_PER_SECOND;
	assert_true(host_return_due(host) <= boot_now());
	host_return(host);
	assert_string_equal(host->image.name, "good");
	assert_int_equal(host_return_due(host), 0);
	assert_files("good", "done", "-");
	/* another one has its own time */
	done(apply_named(host, "next", 1));
	passed_ns += NS_PER_SECOND;
	fake.fail_apply = -EIO;
	host_return(host);
	fake.fail_apply = 0;
	done(rollback(host));
	done(apply_named(host, "next", 1));
	assert_int_equal(host_return_due(host), host->trial_until_ns);
}

static void a_policy_before_that_is_damaged_holds_it_up(void **state)
{
	struct host *host = *state;

	apply_two(host);
	try_more(host);
	assert_int_equal(truncate(path_of(APPLIED_FILE), 300), 0);
	goes_back_by_itself(host, -EBADMSG);
	assert_string_equal(host->image.name, "more");
	assert_int_not_equal(host->trial_until_ns, 0);
	assert_true(is_there(TRIAL_FILE));
	assert_int_equal(told(host, "rollback: policy"), 0);
}

/* ---- the same once more -----------------------------------------------------------------------
 */

/* Whatever is in force: with hours from now on. It is no order. */
static void hours_are_renewed_of_what_is_in_force(void **state)
{
	struct host *host = *state;
	char *problem = NULL;
	uint64_t lines;

	host->applied_ns = 0;
	assert_int_equal(host_renew(host, &problem), 0);
	assert_string_equal(host->image.name, "none");
	apply_two(host);
	try_more(host);
	lines = host->journaling.line;
	fake.calls[0] = '\0';
	passed_ns = 10 * NS_PER_SECOND;
	assert_int_equal(host_renew(host, &problem), 0);
	assert_string_equal(host->image.name, "more");
	assert_string_equal(fake.calls, "apply");
	assert_int_equal(host->journaling.line, lines);
	assert_files("good", "done", "more");
	goes_back_by_itself(host, 0);
	assert_int_equal(host_renew(host, &problem), 0);
	assert_string_equal(host->image.name, "good");
	fake.fail_apply = -EIO;
	assert_int_equal(host_renew(host, &problem), -EIO);
	free(problem);
	fake.fail_apply = 0;
}

/* ---- an end that no daemon saw ----------------------------------------------------------------
 */

/* As a daemon does that starts: the policy that comes into force is "good". */
struct starting {
	struct ended_trial ended;
	struct applied applied;
	struct image image;
	struct order_table cuts;
};

static void start_again(struct host *host, struct starting *starting)
{
	struct faults faults = {0};
	char *problem = NULL;

	*starting = (struct starting){.ended.was_on_trial = ended_trial_is_there(host)};
	interim_clear(host);
	assert_int_equal(ended_trial_read(host, &starting->ended), 0);
	assert_int_equal(applied_load(path_of(APPLIED_FILE), &starting->applied), 0);
	assert_int_equal(
		policy_to_image(&starting->applied.sources, wall_now(), &starting->image, &faults),
		0);
	assert_int_equal(ended_trial_compile(host, &starting->image, &starting->ended,
					     &starting->cuts, &problem),
			 0);
	assert_null(problem);
	assert_int_equal(host_take_image(host, &starting->image, &starting->applied), 0);
	ended_trial_tell(host, &starting->ended);
	faults_free(&faults);
}

static void started_free(struct starting *starting)
{
	image_free(&starting->ended.image);
	image_free(&starting->image);
	applied_free(&starting->applied);
	order_table_free(&starting->cuts);
}

/* The texts behind the first line; what that says of them can be read. */
static void damage_trial(void)
{
	int fd = open(path_of(TRIAL_FILE), O_RDWR);
	off_t end = lseek(fd, 0, SEEK_END);

	assert_int_equal(pwrite(fd, "#", 1, end - 20), 1);
	close(fd);
}

static void forget_kept(void)
{
	assert_int_equal(nftw(path_of("policies"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void what_it_had_a_name_for_stays_cut(void **state)
{
	struct host *host = *state;
	struct starting starting;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	for (int is_damaged = 0; is_damaged < 2; is_damaged++) {
		if (is_damaged)
			damage_trial(); /* the texts are among those that are kept */
		start_again(host, &starting);
		assert_true(starting.ended.was_on_trial);
		assert_true(starting.ended.is_known);
		assert_string_equal(starting.ended.image.name, "more");
		assert_int_equal(starting.ended.first, 2);
		assert_int_equal(host->orders.count, 2);
		assert_string_equal(host->orders.item[1].target, "addr:198.51.100.32/28");
		assert_int_equal(told(host, "cut c2: addr:198.51.100.32/28"), 1 + is_damaged);
		assert_int_equal(starting.ended.lost, 1);
		assert_int_equal(starting.cuts.count, 2); /* with what ends the table */
		assert_int_equal(told(host, "1 cuts name what the policy does not have"),
				 1 + is_damaged);
		assert_last_line(host, "cut accepted - by guard");
		assert_int_equal(lines_of("cut-void"), 0);
		started_free(&starting);
		assert_int_equal(orders_remove(&host->orders, 2), 0);
		host->orders.next = 2;
	}
}

/* Nobody knows what the cut covered: it is void, and stands as such in the journal. */
static void what_nobody_has_a_name_for_is_void(void **state)
{
	struct host *host = *state;
	struct starting starting;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	done(cut(host, "partner:nord"));
	done(ask(host, "{\"request\":\"extend\",\"targets\":[\"partner:other\"],\"grant\":"
		       "\"bills\",\"more_bytes\":1024,\"for_seconds\":60,\"reason\":\"why\"}"));
	damage_trial();
	forget_kept();
	start_again(host, &starting);
	assert_true(starting.ended.was_on_trial);
	assert_false(starting.ended.is_known);
	assert_int_equal(host->orders.count, 3);
	assert_int_equal(starting.ended.lost, 1);
	assert_int_equal(
		told(host, "1 cuts name what the policy does not have: they cover nothing"), 1);
	assert_last_line(host, "cut-void accepted - by guard");
	assert_int_equal(lines_of("cut-void"), 1); /* and of nothing else */
	started_free(&starting);
	/* of no trial there is nothing to say, but that it covers nothing */
	assert_int_equal(unlink(path_of(TRIAL_FILE)), 0);
	done(cut(host, "partner:sued"));
	start_again(host, &starting);
	assert_false(starting.ended.was_on_trial);
	assert_false(starting.ended.is_known);
	assert_int_equal(told(host, "they cover nothing"), 2);
	assert_last_line(host, "cut accepted -");
	started_free(&starting);
}

/* What a breach severed under a name that is gone. */
static void what_it_severed_stays_cut(void **state)
{
	struct host *host = *state;
	struct starting starting;

	apply_two(host);
	try_more(host);
	latch("bills", "sftp", "other", 5);
	start_again(host, &starting);
	/* by the words that it had, and by those that it has */
	assert_int_equal(host->orders.count, 2);
	assert_string_equal(host->orders.item[0].target, "partner:other@service:sftp");
	assert_string_equal(host->orders.item[1].target, "addr:198.51.100.32/28@service:sftp");
	assert_int_equal(host->orders.item[1].stands_for, host->orders.item[0].id);
	assert_int_equal(told(host, "since policy good would not hold it back"), 1);
	assert_last_line(host, "cut accepted - by guard");
	started_free(&starting);
}

static void where_all_have_their_objects_nothing_is_told(void **state)
{
	struct host *host = *state;
	struct starting starting;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:nord"));
	start_again(host, &starting);
	assert_true(starting.ended.is_known);
	assert_int_equal(starting.ended.lost, 0);
	assert_int_equal(host->orders.count, 1);
	assert_int_equal(told(host, "they cover nothing"), 0);
	assert_last_line(host, "cut accepted -");
	started_free(&starting);
}

/* A host without a guard has no cut at all: without room for what stands for one it is void. */
static void without_room_it_is_void_too(void **state)
{
	const struct order_text full = {.target = "partner:nord",
					.reason = "why",
					.by = "signed by a",
					.since_ns = 1,
					.body = (const uint8_t[32]){1}};
	struct host *host = *state;
	uint64_t id;
	struct starting starting;

	apply_two(host);
	try_more(host);
	done(cut(host, "partner:other"));
	while (orders_add_cut(&host->orders, &full, &id) == 0)
		;
	start_again(host, &starting);
	assert_false(starting.ended.is_known);
	assert_int_equal(host->orders.count, WEIR_MAX_ORDERS);
	assert_int_equal(starting.ended.lost, 1);
	assert_last_line(host, "cut-void accepted - by guard");
	started_free(&starting);
}

static void goes_to_good(struct host *host)
{
	_cleanup_free_ char *text = policy_named("good");

	interim_clear(host);
	take_policy(host, text);
}

static void it_is_forgotten_and_told_once(void **state)
{
	struct host *host = *state;

	apply_two(host);
	assert_false(ended_trial_is_there(host));
	ended_trial_forget(host);
	assert_last_line(host, "apply accepted good");
	try_more(host);
	assert_true(ended_trial_is_there(host));
	goes_to_good(host);
	ended_trial_forget(host);
	assert_false(is_there(TRIAL_FILE));
	assert_int_equal(told(host, "nobody confirmed the policy on trial: good ("), 1);
	assert_last_line(host, "trial-over accepted good by guard");
	assert_last_digest(host);
	done(apply_for(host, "away", 60));
	goes_to_good(host);
	ended_trial_forget(host);
	assert_false(is_there(TRIAL_FILE));
	assert_int_equal(told(host, "the time of the policy that was in force for a while is over: "
				    "good ("),
			 1);
	assert_last_line(host, "interim-over accepted good by guard");
	ended_trial_forget(host);
	assert_int_equal(told(host, "nobody confirmed"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_with_events_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_confirmed_policy_is_the_applied_one),
		TEST(a_confirmation_may_come_too_late),
		TEST(what_cannot_be_saved_stays_on_trial),
		TEST(what_is_saved_in_part_is_confirmed),
		TEST(twice_goes_forward_again),
		TEST(what_cannot_be_read_is_not_gone_back_to),
		TEST(a_kernel_that_refuses_changes_no_file),
		TEST(a_rollback_that_is_not_saved_is_told),
		TEST(so_is_one_whose_digest_is_not_saved),
		TEST(any_that_was_applied_comes_back),
		TEST(one_without_the_object_of_a_cut_does_not),
		TEST(one_that_is_damaged_does_not),
		TEST(one_without_the_target_of_a_stage_does_not),
		TEST(one_alone_goes_back_to_what_is_tighter),
		TEST(one_alone_keeps_what_is_tighter),
		TEST(to_the_default_it_takes_two),
		TEST(from_a_trial_to_the_applied_one),
		TEST(without_an_applied_one_to_the_default),
		TEST(who_asks_leaves_no_file),
		TEST(a_file_that_stays_is_told),
		TEST(a_refused_way_back_leaves_the_trial),
		TEST(its_end_is_told_and_in_the_journal),
		TEST(what_stands_for_a_cut_is_told),
		TEST(its_file_stays_until_the_orders_are_saved),
		TEST(a_kernel_that_refuses_holds_it_up),
		TEST(what_holds_it_up_is_tried_again_and_no_longer_confirmed),
		TEST(a_policy_before_that_is_damaged_holds_it_up),
		TEST(hours_are_renewed_of_what_is_in_force),
		TEST(what_it_had_a_name_for_stays_cut),
		TEST(what_nobody_has_a_name_for_is_void),
		TEST(what_it_severed_stays_cut),
		TEST(where_all_have_their_objects_nothing_is_told),
		TEST(without_room_it_is_void_too),
		TEST(it_is_forgotten_and_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
