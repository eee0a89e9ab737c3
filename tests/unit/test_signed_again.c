/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_signed_again.c - a signed order that comes again after something of it failed: its answer is
 * "done" once all of it is, and not before.
 */
#include "tests/unit/signed_orders.h"

static const char *state_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/unit/%s", state_root, name);
	return path;
}

/* A full disk; root writes anywhere, so a directory stands in the way. */
static void block(const char *name)
{
	unlink(state_path(name));
	assert_int_equal(mkdir(state_path(name), 0700), 0);
}

static void unblock(const char *name)
{
	assert_int_equal(rmdir(state_path(name)), 0);
}

/* What holds has "order" in its answer: the agent then says "in-part", and else "refused". */
static void expect_said(struct host *host, const char *text, const char *says, bool holds)
{
	json_object *answer = take(host, text);
	const char *problem;

	expect_code(answer, 1);
	assert_int_equal(json_object_object_get_ex(answer, "order", NULL), holds);
	problem = json_object_get_string(member(answer, "problem"));
	if (!strstr(problem, says))
		fail_msg("\"%s\" does not say \"%s\"", problem, says);
	json_object_put(answer);
}

static void expect_problem(struct host *host, const char *text, const char *says)
{
	expect_said(host, text, says, true);
}

static bool is_saved(const char *text)
{
	struct orders saved = {0};
	bool is_there = false;

	if (orders_load(state_path("orders.json"), &saved) == 0 && !saved.is_of_copy) {
		for (size_t i = 0; i < saved.count; i++) {
			char body[65];

			for (size_t j = 0; j < 32; j++)
				sprintf(body + 2 * j, "%02x", saved.item[i].body[j]);
			is_there |= strcmp(body, id_of(text)) == 0;
		}
	}
	orders_free(&saved);
	return is_there;
}

/* How many lines of the journal say that the order was accepted. */
static size_t lines_of(const char *text)
{
	_cleanup_free_ char *journal = NULL;
	size_t length, count = 0;

	if (file_read(state_path(JOURNAL_FILE), 1 << 20, &journal, &length) < 0)
		return 0;
	for (char *line = strtok(journal, "\n"); line; line = strtok(NULL, "\n"))
		count += strstr(line, id_of(text)) && strstr(line, "\"accepted\"");
	return count;
}

static size_t times(const char *call)
{
	size_t count = 0;

	for (const char *at = fake.calls; (at = strstr(at, call)); at++)
		count++;
	return count;
}

/* ---- a cut ---------------------------------------------------------------------------------- */

static void a_cut_that_is_not_saved_is_not_done(void **state)
{
	char *cut = order("cut", "target: all\n", "a");

	block("orders.json");
	expect_problem(*state, cut, "the cut holds, but it is not saved");
	expect_problem(*state, cut, "the cut holds, but it is not saved");
	assert_int_equal(fake.cut_count, 1);
	unblock("orders.json");
	assert_false(is_saved(cut));
	expect(*state, cut, 0);
	assert_true(is_saved(cut));
	assert_int_equal(lines_of(cut), 1);
	free(cut);
}

static void a_cut_that_the_journal_lacks_is_not_done(void **state)
{
	char *cut = order("cut", "target: all\n", "a");

	block(JOURNAL_FILE);
	expect_problem(*state, cut, "the cut holds, but the journal lacks it");
	expect_problem(*state, cut, "the cut holds, but the journal lacks it");
	unblock(JOURNAL_FILE);
	expect(*state, cut, 0);
	assert_int_equal(lines_of(cut), 1);
	free(cut);
}

/* All of it was let back before it came, so that it cuts nothing: its line waits all the same. */
static void a_cut_that_is_over_and_that_the_journal_lacks_is_not_done(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), lines[128], *back;

	snprintf(lines, sizeof(lines), "cut: %s\n", id_of(cut));
	back = order("reopen", lines, "ab");
	expect(*state, back, 0);
	block(JOURNAL_FILE);
	expect_problem(*state, cut, "the journal lacks the order");
	expect_problem(*state, cut, "the journal lacks it");
	unblock(JOURNAL_FILE);
	expect(*state, cut, 0);
	assert_int_equal(fake.cut_count, 0);
	assert_int_equal(lines_of(cut), 1);
	free(cut);
	free(back);
}

static void a_cut_whose_sockets_are_open_is_not_done(void **state)
{
	char *cut = order("cut", "target: all\n", "a");

	fake.fail_sever = -EIO;
	expect_problem(*state, cut, "sockets could not be ended: the fake severs nothing");
	expect_problem(*state, cut, "sockets could not be ended: the fake severs nothing");
	fake.fail_sever = 0;
	expect(*state, cut, 0);
	assert_int_equal(times("sever"), 3);
	expect(*state, cut, 0); /* and then it costs no walk over all sockets */
	assert_int_equal(times("sever"), 3);
	free(cut);
}

/* Those whom it would have ended have been let back meanwhile. */
static void a_cut_that_is_over_ends_no_sockets(void **state)
{
	char *cut = order("cut", "target: all\n", "a"), lines[128], *back;

	fake.fail_sever = -EIO;
	expect_problem(*state, cut, "sockets could not be ended");
	snprintf(lines, sizeof(lines), "cut: %s\n", id_of(cut));
	back = order("reopen", lines, "ab");
	expect(*state, back, 0);
	fake.fail_sever = 0;
	expect(*state, cut, 0);
	assert_int_equal(times("sever"), 1);
	free(cut);
	free(back);
}

/* It would be for ever: that namespaces are closed is told by itself. */
static void sockets_in_a_closed_namespace_are_told_once(void **state)
{
	char *cut = order("cut", "target: all\n", "a");

	fake.fail_sever = -EPERM;
	fake.sever.reach.closed = 1;
	expect_problem(*state, cut, "sockets could not be ended");
	expect(*state, cut, 0);
	assert_int_equal(times("sever"), 1);
	fake.fail_sever = 0;
	fake.sever.reach.closed = 0;
	free(cut);
}

static void a_cut_whose_text_the_kernel_lacks_is_not_done(void **state)
{
	char *cut = order("cut", "target: all\n", "a");

	fake.fail_set_orders = -ENOMEM;
	expect_problem(*state, cut, "its text could not be kept in the kernel");
	expect_problem(*state, cut, "its text could not be kept in the kernel");
	assert_int_equal(fake.order_count, 0);
	fake.fail_set_orders = 0;
	expect(*state, cut, 0);
	assert_int_equal(fake.order_count, 1);
	free(cut);
}

/* Each command is a process of its own, which knows nothing of what failed in the one before. */
static void without_a_daemon_it_is_no_other(void **state)
{
	struct host *host = *state;
	char *cut = order("cut", "target: all\n", "a");

	host->is_daemon = false;
	block("orders.json");
	block(JOURNAL_FILE);
	for (int i = 0; i < 2; i++) {
		expect_problem(host, cut, "the cut holds, but it is not saved");
		journaling_close(host);
		assert_int_equal(journaling_open(host), 0);
		host->has_unsaved_orders = false;
	}
	unblock("orders.json");
	expect_problem(host, cut, "the cut holds, but the journal lacks it");
	journaling_close(host);
	assert_int_equal(journaling_open(host), 0);
	unblock(JOURNAL_FILE);
	expect(host, cut, 0);
	assert_true(is_saved(cut));
	assert_int_equal(lines_of(cut), 1);
	free(cut);
}

/* ---- what loosens --------------------------------------------------------------------------- */

/* Ends in ten minutes. */
static char *pause_of(struct host *host)
{
	char lines[64];

	snprintf(lines, sizeof(lines), "for: %ds\n",
		 (int)((host_wall(host) - ISSUED_NS) / NS_PER_SECOND) + 600);
	return order("pause", lines, "ab");
}

static void expect_refused(struct host *host, const char *text, const char *says)
{
	expect_said(host, text, says, false);
	assert_int_equal(overrides_in_force(host), 0);
}

/* Once it is done it is done: ended here, it takes a new order. */
static void expect_once(struct host *host, const char *text)
{
	expect(host, text, 0);
	expect(host, text, 0);
	assert_int_equal(overrides_in_force(host), 1);
	end_all(host);
	expect_refused(host, text, "it takes a new order");
}

static void a_disk_that_fails_uses_no_pause_up(void **state)
{
	char *pause = pause_of(*state), *other = pause_of(*state);

	block("orders.json");
	expect_refused(*state, pause, "cannot save the order, so it is not done");
	/* the disk may have it: as long as that is not known to be undone, it may not come again */
	expect_refused(*state, pause, "is taken again once the orders are saved");
	expect_refused(*state, other, "earlier orders cannot be saved, so it is not done");
	unblock("orders.json");
	expect_once(*state, pause);
	expect_once(*state, other);
	free(pause);
	free(other);
}

static void a_kernel_that_refuses_uses_no_pause_up(void **state)
{
	char *pause = pause_of(*state);

	fake.fail_set_cuts = -EIO;
	expect_refused(*state, pause, "the kernel refused it");
	assert_false(is_saved(pause));
	expect_refused(*state, pause, "the kernel refused it");
	fake.fail_set_cuts = 0;
	expect_once(*state, pause);
	free(pause);
}

/* What a crash left on the disk may be in force after it, and be ended: then it was done. */
static void a_pause_that_the_disk_may_have_stays_known_after_a_crash(void **state)
{
	struct host *host = *state;
	char *pause = pause_of(host), *problem = NULL;

	block("orders.json");
	expect_refused(host, pause, "cannot save the order, so it is not done");
	unblock("orders.json");
	host->guard = NULL;
	host_close(host);
	assert_int_equal(host_init(host, "unit", true, &problem), 0);
	host->guard = &fake;
	host->is_daemon = true;
	take_policy(host, a_policy);
	expect_refused(host, pause, "it takes a new order");
	free(pause);
}

static char *extension_of(struct host *host, const char *partner)
{
	char lines[128];

	snprintf(lines, sizeof(lines), "target: partner:%s\ngrant: bills\nby: 1MiB\nfor: %ds\n",
		 partner, (int)((host_wall(host) - ISSUED_NS) / NS_PER_SECOND) + 600);
	return order("extend", lines, "ab");
}

/* The agent may have been started anew, and signs what it hears. */
static void what_it_matches_is_said_each_time(void **state)
{
	static const char *const partners[] = {"payer", "nobody"};

	for (size_t i = 0; i < 2; i++) {
		char *extension = extension_of(*state, partners[i]);

		for (int time = 0; time < 2; time++) {
			json_object *answer = take(*state, extension);

			expect_code(answer, 0);
			assert_int_equal(json_object_get_int(member(answer, "matched")), i == 0);
			json_object_put(answer);
		}
		free(extension);
	}
}

static void a_pause_whose_text_the_kernel_lacks_is_not_done(void **state)
{
	char *pause = pause_of(*state);

	fake.fail_set_orders = -ENOMEM;
	expect_problem(*state, pause, "texts could not be kept in the kernel");
	expect_problem(*state, pause, "texts could not be kept in the kernel");
	fake.fail_set_orders = 0;
	expect_once(*state, pause);
	free(pause);
}

/* The keys are of all tests, a host of each. */
static int keys_up(void **state)
{
	return signing_up(state) < 0 ? -1 : host_down(state);
}

#define ON_A_HOST(test) cmocka_unit_test_setup_teardown(test, host_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_HOST(a_cut_that_is_not_saved_is_not_done),
		ON_A_HOST(a_cut_that_the_journal_lacks_is_not_done),
		ON_A_HOST(a_cut_that_is_over_and_that_the_journal_lacks_is_not_done),
		ON_A_HOST(a_cut_whose_sockets_are_open_is_not_done),
		ON_A_HOST(a_cut_that_is_over_ends_no_sockets),
		ON_A_HOST(sockets_in_a_closed_namespace_are_told_once),
		ON_A_HOST(a_cut_whose_text_the_kernel_lacks_is_not_done),
		ON_A_HOST(without_a_daemon_it_is_no_other),
		ON_A_HOST(a_disk_that_fails_uses_no_pause_up),
		ON_A_HOST(a_kernel_that_refuses_uses_no_pause_up),
		ON_A_HOST(a_pause_that_the_disk_may_have_stays_known_after_a_crash),
		ON_A_HOST(what_it_matches_is_said_each_time),
		ON_A_HOST(a_pause_whose_text_the_kernel_lacks_is_not_done),
	};

	return cmocka_run_group_tests(tests, keys_up, close_signing);
}
