/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_many_latches.c - a policy goes back by itself, however many accounts are severed: those that
 * hold the same under the older one take no room, and too many of the others are cut with their
 * service. Neither waits for somebody to make room, nor takes that of signed orders.
 */
#define FAKE_METERS 4200

#include "tests/unit/planned.h"
#include "user/base/cleanup.h"
#include "user/daemon/ended_trial.h"

enum { MANY = 4000, EACH = 256 };

static const char top[] = "weir: 1\nname: %s\nmode: enforce\n"
			  "services:\n  sftp: {cgroup: a}\n  web: {cgroup: b}\n"
			  "strangers: {calls: deny, total: none}\n"
			  "grants:\n";

/* With a grant to each of so many partners, "p0" and so on. */
static void puts_into_force(struct host *host, const char *name, unsigned int partners,
			    bool is_trial)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	fprintf(out, top, name);
	for (int i = 0; i < 2; i++)
		fprintf(out,
			"  - {name: %s, service: %s, partner: any, serves: tcp/22, budget: "
			"[1MiB/1h], on_breach: sever}\n",
			i ? "show" : "pull", i ? "web" : "sftp");
	fputs("partners:\n  nord: {addresses: [198.51.100.0/24]}\n", out);
	for (unsigned int i = 0; i < partners; i++)
		fprintf(out, "  p%u: {addresses: [10.%u.%u.0/28]}\n", i, i >> 8, i & 255);
	assert_int_equal(fclose(out), 0);
	done(apply(host, text, is_trial ? "{\"confirm_seconds\":60}" : "{}"));
	assert_string_equal(host->image.name, name);
}

static void severs(const char *grant, const char *service, unsigned int partners)
{
	char partner[16];

	for (unsigned int i = 0; i < partners; i++) {
		snprintf(partner, sizeof(partner), "p%u", i);
		latch(grant, service, partner, 5);
	}
}

static void goes_back(struct host *host)
{
	_cleanup_free_ char *problem = NULL;

	if (end_by_itself(host, &problem) < 0)
		fail_msg("%s", problem);
	assert_string_equal(host->image.name, "older");
}

/* Cuts of addresses that no policy here has; with `body` signed ones. */
static void fills(struct host *host, size_t until, const uint8_t *body)
{
	const struct order_text text = {
		.target = "addr:192.0.2.1", .reason = "x", .by = "me", .since_ns = 1, .body = body};
	uint64_t id;

	while (host->orders.count < until)
		assert_int_equal(orders_add_cut(&host->orders, &text, &id), 0);
	guard_set_orders(&fake, host->orders.item, host->orders.count);
}

static size_t cuts_of(const struct host *host, const char *target)
{
	size_t count = 0;

	for (size_t i = 0; i < host->orders.count; i++)
		count += strcmp(host->orders.item[i].target, target) == 0;
	return count;
}

/* ---- each by itself ------------------------------------------------------------------------- */

static void test_what_holds_the_same_takes_no_room(void **state)
{
	struct host *host = *state;
	const size_t most = WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED;

	puts_into_force(host, "older", MANY, false);
	puts_into_force(host, "tria", MANY, true);
	severs("pull", "sftp", MANY);
	fills(host, most, NULL);
	goes_back(host);
	assert_int_equal(host->orders.count, most);
}

static void test_as_many_as_may_be_are_cut_each(void **state)
{
	struct host *host = *state;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", EACH, true);
	severs("pull", "sftp", EACH);
	goes_back(host);
	assert_int_equal(host->orders.count, 2 * EACH); /* by both words */
	assert_int_equal(cuts_of(host, "partner:p255@service:sftp"), 1);
	assert_int_equal(cuts_of(host, "addr:10.0.255.0/28@service:sftp"), 1);
	assert_int_equal(cuts_of(host, "service:sftp"), 0);
}

/* ---- with their service --------------------------------------------------------------------- */

static void is_service_alone(struct host *host, size_t others, const char *told_of)
{
	assert_int_equal(host->orders.count, others + 1);
	assert_int_equal(cuts_of(host, "service:sftp"), 1);
	assert_string_equal(host->orders.item[others].by, "guard");
	assert_int_equal(told(host, told_of), 1);
}

static void test_one_more_is_cut_with_its_service(void **state)
{
	struct host *host = *state;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", EACH + 1, true);
	severs("pull", "sftp", EACH + 1);
	goes_back(host);
	is_service_alone(host, 0,
			 "cut c1: service:sftp, since policy older would not hold it back: "
			 "severed: 257 accounts of it, and no room to cut each");
	/* until somebody reopens it */
	done(reopen(host, "service:sftp", NULL));
	assert_int_equal(host->orders.count, 0);
}

static void test_however_many_they_are(void **state)
{
	struct host *host = *state;
	const size_t most = WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", MANY, true);
	severs("pull", "sftp", MANY);
	fills(host, most, NULL);
	goes_back(host);
	is_service_alone(host, most, "would not hold it back: severed: 4000 accounts of it");
}

/* What holds the same is left alone, and so is a service with nothing but such. */
static void test_only_services_that_lost_some(void **state)
{
	struct host *host = *state;

	puts_into_force(host, "older", 1000, false);
	puts_into_force(host, "tria", 1300, true);
	severs("show", "web", 1000);
	severs("pull", "sftp", 1300);
	goes_back(host);
	is_service_alone(host, 0, "would not hold it back: severed: 300 accounts of it");
}

/* The room that is left for signed orders stays theirs. */
static void test_where_there_is_no_room_for_each(void **state)
{
	struct host *host = *state;
	const size_t others = WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED - 30;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", 20, true);
	severs("pull", "sftp", 20);
	fills(host, others, NULL);
	goes_back(host); /* 20 would find it, and not with what stands for them */
	is_service_alone(host, others, "would not hold it back: severed: 20 accounts of it");
}

/* ---- no room at all ------------------------------------------------------------------------- */

static void test_without_any_room_it_is_told(void **state)
{
	struct host *host = *state;
	char *problem = NULL;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", 1, true);
	severs("pull", "sftp", 1);
	fills(host, WEIR_MAX_ORDERS, (const uint8_t[32]){1});
	assert_int_equal(end_by_itself(host, &problem), -ENOSPC);
	assert_non_null(strstr(problem, "there is no room to cut what is severed"));
	assert_string_equal(host->image.name, "tria");
	free(problem);
}

/* ---- an end that no daemon saw -------------------------------------------------------------- */

/* As a daemon does that starts. */
static void start_again(struct host *host, struct ended_trial *ended)
{
	_cleanup_free_ char *path = host_path(host, "applied.json"), *problem = NULL;
	_cleanup_order_table_ struct order_table cuts = {0};
	struct applied applied = {0};
	struct image image = {0};
	struct faults faults = {0};

	*ended = (struct ended_trial){.was_on_trial = true};
	assert_int_equal(ended_trial_read(host, ended), 0);
	assert_int_equal(applied_load(path, &applied), 0);
	assert_int_equal(policy_to_image(&applied.sources, wall_now(), &image, &faults), 0);
	assert_int_equal(ended_trial_compile(host, &image, ended, &cuts, &problem), 0);
	assert_int_equal(host_take_image(host, &image, &applied), 0);
	ended_trial_tell(host, ended);
	image_free(&ended->image);
	applied_free(&applied);
	faults_free(&faults);
}

static void test_at_a_start_too(void **state)
{
	struct host *host = *state;
	struct ended_trial ended;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", MANY, true);
	severs("pull", "sftp", MANY);
	start_again(host, &ended);
	assert_true(ended.is_known);
	is_service_alone(host, 0, "would not hold it back: severed: 4000 accounts of it");
	assert_int_equal(told(host, "\"kind\":\"no-room\""), 0);
}

static void test_at_a_start_without_any_room_it_is_told(void **state)
{
	struct host *host = *state;
	struct ended_trial ended;

	puts_into_force(host, "older", 0, false);
	puts_into_force(host, "tria", 1, true);
	severs("pull", "sftp", 1);
	fills(host, WEIR_MAX_ORDERS, (const uint8_t[32]){1});
	start_again(host, &ended);
	assert_false(ended.is_known);
	assert_int_equal(told(host, "\"kind\":\"no-room\""), 1);
	assert_int_equal(told(host, "what it severed, or let back in stages, is not held"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_with_events_up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_holds_the_same_takes_no_room),
		TEST(test_as_many_as_may_be_are_cut_each),
		TEST(test_one_more_is_cut_with_its_service),
		TEST(test_however_many_they_are),
		TEST(test_only_services_that_lost_some),
		TEST(test_where_there_is_no_room_for_each),
		TEST(test_without_any_room_it_is_told),
		TEST(test_at_a_start_too),
		TEST(test_at_a_start_without_any_room_it_is_told),
	};

	return cmocka_run_group_tests_name("many_latches", tests, NULL, NULL);
}
