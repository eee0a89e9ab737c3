/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_reserve.c - within a grant's reserve one person is enough, over its span and not again: by
 * login under four eyes, and by signature.
 */
#include "tests/unit/signed_orders.h"
#include "tests/unit/two_people.h"
#include "user/order/reserve.h"

/* ---- the arithmetic ------------------------------------------------------------------------- */

static void draws(struct orders *orders, uint64_t order, const char *grant, uint64_t bytes,
		  uint64_t since_ns, uint64_t until_ns)
{
	struct draw draw = {
		.order = order, .bytes = bytes, .since_ns = since_ns, .until_ns = until_ns};

	strcpy(draw.grant, grant);
	assert_int_equal(reserve_draw(orders, &draw), 0);
}

static struct reserve_state look(const struct orders *orders, uint64_t wall_ns, uint64_t bytes)
{
	static const struct weir_limit reserve = {10, 100};
	struct reserve_state state;

	reserve_look(orders, "g", &reserve, wall_ns, bytes, &state);
	return state;
}

static void test_what_is_left_and_when_there_is_room(void **state)
{
	struct orders orders = {0};

	(void)state;
	assert_int_equal(look(&orders, 1000, 10).left_bytes, 10);
	assert_int_equal(look(&orders, 1000, 10).fits_at_ns, 0);
	assert_true(look(&orders, 1000, 11).fits_at_ns == UINT64_MAX);
	draws(&orders, 1, "g", 4, 1000, 1100);
	draws(&orders, 2, "g", 5, 1050, 1150);
	draws(&orders, 3, "other", 9, 1050, 1150);
	assert_int_equal(look(&orders, 1060, 1).left_bytes, 1);
	assert_int_equal(look(&orders, 1060, 1).fits_at_ns, 0);
	assert_int_equal(look(&orders, 1060, 2).fits_at_ns, 1100);
	assert_int_equal(look(&orders, 1060, 5).fits_at_ns, 1100);
	assert_int_equal(look(&orders, 1060, 6).fits_at_ns, 1150);
	assert_int_equal(look(&orders, 1099, 2).left_bytes, 1);
	assert_int_equal(look(&orders, 1100, 2).left_bytes, 5);
	assert_int_equal(look(&orders, 1150, 2).left_bytes, 10);
	orders_free(&orders);
}

static void test_the_longer_span_counts(void **state)
{
	struct orders orders = {0};

	(void)state;
	draws(&orders, 1, "g", 4, 1000, 1500); /* the policy had a longer one then */
	draws(&orders, 2, "g", 4, 1000, 1010); /* a shorter one */
	assert_int_equal(look(&orders, 1099, 0).drawn_bytes, 8);
	assert_int_equal(look(&orders, 1499, 0).drawn_bytes, 4);
	assert_int_equal(look(&orders, 1500, 0).drawn_bytes, 0);
	assert_int_equal(look(&orders, 1499, 7).fits_at_ns, 1500);
	orders_free(&orders);
}

static void test_one_order_draws_once(void **state)
{
	struct orders orders = {0};

	(void)state;
	draws(&orders, 1, "g", 4, 1000, 1100);
	draws(&orders, 1, "g", 4, 1000, 1100);
	assert_int_equal(look(&orders, 1000, 0).drawn_bytes, 4);
	orders_free(&orders);
}

static void test_no_sum_overflows(void **state)
{
	struct orders orders = {0};

	(void)state;
	draws(&orders, 1, "g", UINT64_MAX - 1, 1000, UINT64_MAX);
	draws(&orders, 2, "g", UINT64_MAX - 1, UINT64_MAX - 1, 0);
	assert_true(look(&orders, 2000, 0).drawn_bytes == UINT64_MAX);
	assert_int_equal(look(&orders, 2000, 0).left_bytes, 0);
	orders_free(&orders);
}

static void test_many_draws_are_put_together(void **state)
{
	struct orders orders = {0};

	(void)state;
	for (uint64_t i = 1; i <= 3 * RESERVE_MOST_DRAWS; i++)
		draws(&orders, i, "g", 1, 1000 + i, 1100 + i);
	assert_int_equal(orders.draw_count, RESERVE_MOST_DRAWS);
	/* what was put together counts as long as the youngest of it */
	assert_int_equal(look(&orders, 1001, 0).drawn_bytes, 3 * RESERVE_MOST_DRAWS);
	orders_free(&orders);
	for (uint64_t i = 1; i <= RESERVE_MOST_DRAWS; i++) {
		char grant[16];

		snprintf(grant, sizeof(grant), "g%d", (int)i);
		draws(&orders, i, grant, 1, 1000, 1100);
	}
	assert_int_equal(
		reserve_draw(&orders, &(struct draw){.order = 5000, .grant = "one-too-many"}),
		-ENOSPC);
	orders_free(&orders);
}

static void test_what_is_not_known_is_all_of_it(void **state)
{
	struct orders orders = {0};

	(void)state;
	assert_int_equal(reserve_draw_all(&orders, 1000), 0);
	assert_int_equal(reserve_draw_all(&orders, 1020), 0);
	assert_int_equal(orders.draw_count, 1);
	assert_int_equal(look(&orders, 1119, 1).left_bytes, 0);
	assert_int_equal(look(&orders, 1119, 1).fits_at_ns, 1120);
	assert_int_equal(look(&orders, 1120, 1).left_bytes, 10);
	orders_free(&orders);
}

static void test_the_disk_gives_back_what_was_drawn(void **state)
{
	static const char *const broken[] = {
		"{\"next\":1,\"orders\":[],\"draws\":{}}",
		"{\"next\":1,\"orders\":[],\"draws\":[7]}",
		"{\"next\":1,\"orders\":[],\"draws\":[{\"order\":1,\"bytes\":\"7\","
		"\"since_ns\":1,\"until_ns\":2,\"grant\":\"g\"}]}",
		"{\"next\":1,\"orders\":[],\"draws\":[{\"order\":1,\"bytes\":7,"
		"\"since_ns\":1,\"until_ns\":2,\"grant\":\"g\",\"body\":\"00\"}]}",
	};
	char path[] = "/tmp/weir-test-reserve-XXXXXX", copy[64];
	struct orders orders = {.next = 9}, back = {0};
	int fd = mkstemp(path);

	(void)state;
	snprintf(copy, sizeof(copy), "%s.copy", path);
	assert_true(fd >= 0);
	draws(&orders, 7, "g", 4, 1000, 1100);
	orders.draw[0].body[31] = 5;
	assert_int_equal(reserve_draw_all(&orders, 1000), 0);
	assert_int_equal(orders_save(&orders, path), 0);
	assert_int_equal(orders_load(path, &back), 0);
	assert_int_equal(back.draw_count, 2);
	assert_memory_equal(back.draw, orders.draw, 2 * sizeof(*orders.draw));
	orders_free(&back);
	orders_free(&orders);
	unlink(copy);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		FILE *file = fopen(path, "w");

		fputs(broken[i], file);
		fclose(file);
		assert_int_equal(orders_load(path, &back), -EBADMSG);
		assert_null(back.draw);
	}
	close(fd);
	unlink(path);
}

/* ---- logins --------------------------------------------------------------------------------- */

/* One account for payer, two services' for each of the two hospitals. */
static const char with_reserves[] =
	"weir: 1\nname: test\nmode: enforce\n%s"
	"services:\n"
	"  sftp: {cgroup: system.slice/sftp.service}\n"
	"  portal: {cgroup: system.slice/nginx.service}\n"
	"partners:\n"
	"  nord: {addresses: [198.51.100.0/28], class: [hospital]}\n"
	"  sued: {addresses: [198.51.100.16/28], class: [hospital]}\n"
	"  payer: {addresses: [198.51.100.32/28]}\n"
	"grants:\n"
	"  - {name: nightly, service: [sftp, portal], partner: class:hospital, serves: tcp/22,\n"
	"     budget: [1MiB/1h], reserve: 10MiB/7d}\n"
	"  - {name: bills, service: sftp, partner: payer, serves: tcp/22, budget: [1MiB/1h],\n"
	"     reserve: 10MiB/7d}\n"
	"  - {name: plain, service: portal, partner: payer, serves: tcp/443, budget: [1MiB/1h]}\n";

static int reserves_up(void **state)
{
	char policy[2048];

	passed_ns = 0;
	host_up(state);
	snprintf(policy, sizeof(policy), with_reserves, "four_eyes: true\n");
	done(apply(*state, policy, "{}"));
	return 0;
}

static const char *extend(const char *target, const char *grant, unsigned int mib)
{
	static char request[4][256];
	static int next;

	next = (next + 1) % 4;
	snprintf(request[next], sizeof(request[0]),
		 "{\"request\":\"extend\",\"targets\":[\"%s\"],\"grant\":\"%s\","
		 "\"more_bytes\":%u,\"for_seconds\":600,\"reason\":\"x\"}",
		 target, grant, mib << 20);
	return request[next];
}

static const char *bills(unsigned int mib)
{
	return extend("partner:payer", "bills", mib);
}

/* "reserves" of status has so many, and the first so much left. */
static void expect_left(struct host *host, size_t count, unsigned int mib)
{
	json_object *status = status_of(host), *reserves = member(status, "reserves");

	assert_int_equal(json_object_array_length(reserves), count);
	if (count)
		assert_int_equal(json_object_get_uint64(member(
					 json_object_array_get_idx(reserves, 0), "left_bytes")),
				 (uint64_t)mib << 20);
	json_object_put(status);
}

/* What a daemon that was killed leaves to the next one: the kernel, and the disk. */
static void restart(struct host *host)
{
	orders_free(&host->orders);
	host->orders_active = 0;
	second_person_free(&host->second_person);
	assert_int_equal(host_refresh_orders(host), 0);
}

static void test_within_the_reserve_one_is_enough(void **state)
{
	struct host *host = *state;
	json_object *record;

	expect_left(host, 0, 0);
	does(host, &alice, bills(4));
	record = last_record(host);
	assert_int_equal(json_object_get_uint64(member(record, "drawn_bytes")), 4 << 20);
	json_object_put(record);
	expect_left(host, 1, 6);
	does(host, &alice, bills(6));
	expect_left(host, 1, 0);
	assert_int_equal(host->orders.count, 2);
	is_refused(host, &nobody, bills(1), "no login uid");
}

static void test_beyond_it_two_are_needed(void **state)
{
	struct host *host = *state;
	json_object *record;

	is_refused(host, &alice, bills(11),
		   "the reserve of grant bills (10MiB in 7d) has 10MiB left, and this takes 11MiB, "
		   "for which there never is room");
	does(host, &alice, bills(8));
	is_refused(host, &alice, bills(3),
		   "has 2MiB left, and this takes 3MiB, for which there is "
		   "room from 20");
	assert_int_equal(host->orders.count, 1);
	does(host, &bob, bills(3));
	record = last_record(host);
	assert_false(json_object_object_get_ex(record, "drawn_bytes", NULL));
	assert_int_equal(json_object_get_uint64(member(member(record, "asked_by"), "login_uid")),
			 1001);
	json_object_put(record);
	expect_left(host, 1, 2); /* two draw nothing */
	does(host, &bob, bills(2));
	expect_left(host, 1, 0);
}

static void test_a_second_person_draws_nothing(void **state)
{
	struct host *host = *state;

	does(host, &alice, bills(8));
	waits(host, &alice, bills(3));
	/* meanwhile there is room again */
	passed_ns += 10 * NS_PER_MINUTE;
	orders_free(&host->orders);
	assert_int_equal(host_refresh_orders(host), 0);
	host->orders.draw_count = 0;
	does(host, &bob, bills(3));
	expect_left(host, 0, 0);
	assert_int_equal(pending_count(host), 0);
}

static void test_what_was_ended_early_counts(void **state)
{
	struct host *host = *state;
	json_object *status, *draw;

	does(host, &alice, bills(10));
	does(host, &alice, "{\"request\":\"end\",\"order\":\"o1\",\"reason\":\"enough\"}");
	assert_int_equal(host->orders.count, 0);
	waits(host, &alice, bills(1));
	status = status_of(host);
	draw = json_object_array_get_idx(
		member(json_object_array_get_idx(member(status, "reserves"), 0), "draws"), 0);
	assert_string_equal(text_of(draw, "id"), "o1");
	assert_true(json_object_get_boolean(member(draw, "is_over")));
	json_object_put(status);
}

static void test_after_its_span_there_is_room(void **state)
{
	struct host *host = *state;

	does(host, &alice, bills(10));
	passed_ns += 7 * NS_PER_DAY - NS_PER_MINUTE;
	host_end_orders(host);
	assert_int_equal(host->orders.count, 0);
	waits(host, &alice, bills(1));
	passed_ns += NS_PER_MINUTE;
	does(host, &alice, bills(10));
	assert_int_equal(host->orders.draw_count, 1); /* the old one is not kept */
}

static void test_a_restart_forgets_nothing_that_was_drawn(void **state)
{
	struct host *host = *state;

	does(host, &alice, bills(9));
	waits(host, &alice, bills(2));
	restart(host);
	assert_int_equal(pending_count(host), 0);
	expect_left(host, 1, 1);
	waits(host, &bob, bills(2)); /* what waited did not */
	does(host, &alice, "{\"request\":\"end\",\"order\":\"o1\",\"reason\":\"enough\"}");
	fake.order_count = 0; /* a reboot */
	restart(host);
	expect_left(host, 1, 1);
}

static void test_another_process_draws_too(void **state)
{
	struct host *host = *state;
	struct orders mine = {0};

	does(host, &alice, bills(5));
	assert_int_equal(orders_copy(&host->orders, &mine), 0);
	does(host, &alice, bills(3)); /* as if somebody else had */
	orders_free(&host->orders);
	host->orders = mine;
	host->orders_active = 0;
	waits(host, &alice, bills(3));
	expect_left(host, 1, 2);
}

static void test_a_disk_that_lost_it_leaves_nothing(void **state)
{
	struct host *host = *state;
	char path[128];

	does(host, &alice, bills(1));
	for (int copy = 0; copy < 2; copy++) {
		snprintf(path, sizeof(path), "%s/unit/orders.json%s", state_root,
			 copy ? ".copy" : "");
		assert_int_equal(truncate(path, 20), 0);
	}
	restart(host);
	expect_left(host, 2, 0);
	is_refused(host, &alice, bills(1), "has 0B left");
	/* and so it stays, also on the disk */
	does(host, &bob, bills(1));
	restart(host);
	waits(host, &alice, bills(2));
	passed_ns += 7 * NS_PER_DAY;
	does(host, &alice, bills(10));
}

static void test_each_meter_that_it_reaches_counts(void **state)
{
	struct host *host = *state;

	is_refused(host, &alice, extend("class:hospital", "nightly", 3), "and this takes 12MiB");
	does(host, &alice, extend("class:hospital", "nightly", 1));
	expect_left(host, 1, 6);
	does(host, &alice, extend("partner:nord", "nightly", 1));
	expect_left(host, 1, 4);
	does(host, &alice, extend("partner:nord@service:sftp", "nightly", 4));
	expect_left(host, 1, 0);
	does(host, &alice, bills(10)); /* each grant has its own */
}

static void test_without_a_reserve_it_takes_two(void **state)
{
	struct host *host = *state;

	waits(host, &alice, extend("partner:payer", "plain", 1));
	does(host, &bob, extend("partner:payer", "plain", 1));
}

static void test_what_fails_draws_nothing(void **state)
{
	struct host *host = *state;

	fake.fail_set_cuts = -EIO;
	is_refused(host, &alice, bills(10), "the kernel refused it");
	fake.fail_set_cuts = 0;
	expect_left(host, 0, 0);
	restart(host);
	expect_left(host, 0, 0);
	does(host, &alice, bills(10));
}

static void test_without_four_eyes_it_is_counted_and_not_limited(void **state)
{
	struct host *host = *state;
	char policy[2048], *request;

	snprintf(policy, sizeof(policy), with_reserves, "");
	request = applying(policy, "");
	waits(host, &alice, request);
	does(host, &bob, request);
	free(request);
	does(host, &nobody, bills(7));
	expect_left(host, 1, 3);
	does(host, &nobody, bills(7));
	expect_left(host, 1, 0);
}

/* ---- signatures ----------------------------------------------------------------------------- */

static char *signed_bills(struct host *host, unsigned int mib, const char *more, const char *by)
{
	char lines[256];

	snprintf(lines, sizeof(lines),
		 "target: partner:payer\ngrant: bills\nby: %uMiB\nfor: %ds\n%s", mib,
		 (int)((host_wall(host) - ISSUED_NS) / NS_PER_SECOND) + 600, more);
	return order("extend", lines, by);
}

static int signed_up(void **state)
{
	char policy[2048];

	passed_ns = 0;
	strcpy(signing_directory, "/tmp/weir-test-signing-XXXXXX");
	signing_up(state);
	snprintf(policy, sizeof(policy), with_reserves, "four_eyes: true\n");
	done(apply(*state, policy, "{}"));
	return 0;
}

static void is_refused_signed(struct host *host, const char *text, const char *why)
{
	refused(take(host, text), why);
}

static void test_one_principal_within_the_reserve(void **state)
{
	struct host *host = *state;
	char *six = signed_bills(host, 6, "", "a"), *five = signed_bills(host, 5, "", "b");
	char *four = signed_bills(host, 4, "", "c"), *two = signed_bills(host, 5, "", "ab");
	json_object *record;

	expect(host, six, 0);
	record = last_record(host);
	assert_int_equal(json_object_get_uint64(member(record, "drawn_bytes")), 6 << 20);
	json_object_put(record);
	assert_int_equal(overrides_in_force(host), 1);
	is_refused_signed(
		host, five,
		"signed by 1 principal, and it takes 2; the reserve of grant bills (10MiB "
		"in 7d) has 4MiB left, and this takes 5MiB");
	assert_int_equal(overrides_in_force(host), 1);
	waits(host, &alice, bills(5)); /* one reserve for both ways */
	expect(host, four, 0);
	expect_left(host, 1, 0);
	expect(host, two, 0); /* two draw nothing */
	expect_left(host, 1, 0);
	assert_int_equal(overrides_in_force(host), 3);
	free(six);
	free(five);
	free(four);
	free(two);
}

static void test_sent_twice_it_counts_once(void **state)
{
	struct host *host = *state;
	char *six = signed_bills(host, 6, "", "a"), path[128];

	expect(host, six, 0);
	expect(host, six, 0);
	restart(host);
	expect(host, six, 0);
	assert_int_equal(overrides_in_force(host), 1);
	expect_left(host, 1, 4);
	end_all(host);
	expect(host, six, 1);
	expect_left(host, 1, 4);
	/* nor when the archive is gone, and nobody knows it */
	snprintf(path, sizeof(path), "%s/unit/orders", state_root);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	is_refused_signed(host, six, "alone it was carried out before");
	assert_int_equal(overrides_in_force(host), 0);
	free(six);
}

static void test_who_may_not_sign_draws_nothing(void **state)
{
	struct host *host = *state;
	char *stranger = signed_bills(host, 1, "", "d"), *none = signed_bills(host, 1, "", "");
	char *pause = order("pause", "for: 2000000h\n", "a"), lines[256], *plain;

	is_refused_signed(host, stranger, "signed by 0 principals");
	is_refused_signed(host, none, "signed by 0 principals");
	is_refused_signed(host, pause, "signed by 1 principal, and it takes 2");
	snprintf(lines, sizeof(lines), "target: partner:payer\ngrant: plain\nby: 1MiB\nfor: %ds\n",
		 (int)((host_wall(host) - ISSUED_NS) / NS_PER_SECOND) + 600);
	plain = order("extend", lines, "a");
	is_refused_signed(host, plain, "signed by 1 principal, and it takes 2");
	expect_left(host, 0, 0);
	free(stranger);
	free(none);
	free(pause);
	free(plain);
}

static void test_signed_orders_are_not_asked_again(void **state)
{
	struct host *host = *state;
	char *twenty = signed_bills(host, 20, "", "ab"), *cut = order("cut", "target: all\n", "a");
	char lines[128], *back;

	snprintf(lines, sizeof(lines), "cut: %s\n", id_of(cut));
	back = order("reopen", lines, "ab");
	expect(host, twenty, 0);
	expect(host, cut, 0);
	expect(host, back, 0);
	assert_int_equal(pending_count(host), 0);
	assert_int_equal(fake.cut_count, 0);
	free(twenty);
	free(cut);
	free(back);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, reserves_up, host_down)
#define SIGNED(name) cmocka_unit_test_setup_teardown(name, signed_up, signing_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_and_when_there_is_room),
		cmocka_unit_test(test_the_longer_span_counts),
		cmocka_unit_test(test_one_order_draws_once),
		cmocka_unit_test(test_no_sum_overflows),
		cmocka_unit_test(test_many_draws_are_put_together),
		cmocka_unit_test(test_what_is_not_known_is_all_of_it),
		cmocka_unit_test(test_the_disk_gives_back_what_was_drawn),
		TEST(test_within_the_reserve_one_is_enough),
		TEST(test_beyond_it_two_are_needed),
		TEST(test_a_second_person_draws_nothing),
		TEST(test_what_was_ended_early_counts),
		TEST(test_after_its_span_there_is_room),
		TEST(test_a_restart_forgets_nothing_that_was_drawn),
		TEST(test_another_process_draws_too),
		TEST(test_a_disk_that_lost_it_leaves_nothing),
		TEST(test_each_meter_that_it_reaches_counts),
		TEST(test_without_a_reserve_it_takes_two),
		TEST(test_what_fails_draws_nothing),
		TEST(test_without_four_eyes_it_is_counted_and_not_limited),
		SIGNED(test_one_principal_within_the_reserve),
		SIGNED(test_sent_twice_it_counts_once),
		SIGNED(test_who_may_not_sign_draws_nothing),
		SIGNED(test_signed_orders_are_not_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
