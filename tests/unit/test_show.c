/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_show.c - one target and one address: what is told of them, and the page that is made of it.
 */
#include "tests/unit/a_host.h"
#include "user/base/address.h"
#include "user/view/show.h"

static const char policy[] =
	"weir: 1\nname: test\nmode: enforce\n"
	"lifeline: [{service: admin, serves: tcp/22, to: [192.0.2.0/24], why: jump}]\n"
	"services:\n"
	"  admin: {cgroup: system.slice/ssh.service}\n"
	"  sftp: {cgroup: system.slice/sftp.service, budget: [8MiB/24h]}\n"
	"  portal: {cgroup: system.slice/nginx.service}\n"
	"partners:\n"
	"  nord: {addresses: [198.51.100.0/24], class: [hospital], budget: [6MiB/24h],"
	" info: {contact: \"+49 30 1\", ticket: CHG-1}}\n"
	"  ward: {addresses: [198.51.100.64/26], class: [hospital]}\n"
	"  sued: {addresses: [203.0.113.0/24, \"2001:db8::/32\"]}\n"
	"grants:\n"
	"  - {name: bills, service: sftp, partner: class:hospital, serves: tcp/22,"
	" budget: [2MiB/16s, 4MiB/160s]}\n"
	"  - {name: side, service: portal, partner: sued, serves: tcp/443, budget: none}\n"
	"strangers: {serves: [64KiB/10m], calls: deny, total: [1MiB/1h]}\n";

static int up(void **state)
{
	int r = host_up(state);

	if (r == 0)
		take_policy(*state, policy);
	return r;
}

static json_object *show(struct host *host, const char *target)
{
	char request[256];

	snprintf(request, sizeof(request), "{\"request\":\"show\",\"target\":\"%s\"}", target);
	return ask(host, request);
}

static json_object *who(struct host *host, const char *address)
{
	char request[256];

	snprintf(request, sizeof(request), "{\"request\":\"who\",\"address\":\"%s\"}", address);
	return ask(host, request);
}

static const char *text_of(json_object *object, const char *key)
{
	return json_object_get_string(member(object, key));
}

static uint64_t number_of(json_object *object, const char *key)
{
	return json_object_get_uint64(member(object, key));
}

static json_object *item(json_object *object, const char *key, size_t index)
{
	json_object *found = json_object_array_get_idx(member(object, key), index);

	if (!found)
		fail_msg("no %s[%zu] in %s", key, index, json_object_to_json_string(object));
	return found;
}

static size_t count_of(json_object *object, const char *key)
{
	return json_object_array_length(member(object, key));
}

/* The page; malloc'd. */
static char *page_of(json_object *answer, void (*print)(json_object *answer, FILE *out))
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	print(answer, out);
	fclose(out);
	return text;
}

static void expect_on(const char *page, const char *words)
{
	if (!strstr(page, words))
		fail_msg("no \"%s\" on the page:\n%s", words, page);
}

static uint64_t key_of(const struct host *host, const char *grant, const char *service,
		       const char *partner, struct weir_meter *meter)
{
	const struct image *image = &host->image;

	meter->grant_key = image->grants[image_grant(image, grant)].key;
	meter->service_key = image->services[image_service(image, service)].key;
	meter->partner_key = image->partners[image_partner(image, partner)].key;
	return weir_meter_key(meter->grant_key, meter->service_key, meter->partner_key);
}

/* The account of bills for nord: `bytes` left in the slice that runs, which began `age_ns` ago. */
static void charge(struct host *host, uint64_t bytes, uint64_t age_ns)
{
	struct weir_meter meter = {
		.sent_bytes = {bytes}, .sent_packets = {1}, .last_sent_ns = boot_now()};
	uint64_t key = key_of(host, "bills", "sftp", "nord", &meter), spans[] = {16, 160};

	for (int i = 0; i < 2; i++)
		meter.window[i] = (struct weir_window){.window_ns = spans[i] * NS_PER_SECOND,
						       .slice_ns = spans[i] * NS_PER_SECOND / 16,
						       .slice_start_ns = boot_now() - age_ns,
						       .used_bytes = bytes,
						       .slice = {bytes}};
	assert_int_equal(guard_put_meter(host->guard, key, &meter), 0);
}

/* ---- budgets -------------------------------------------------------------------------------- */

static void each_budget_of_a_partner_is_there(void **state)
{
	json_object *answer = show(*state, "partner:nord");

	expect_code(answer, 0);
	assert_string_equal(text_of(answer, "state"), "open");
	assert_int_equal(count_of(answer, "budgets"), 3); /* grant, service, partner */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(number_of(item(answer, "budgets", i), "next_fits_in_ms"), 0);
	json_object_put(answer);
}

static void a_full_one_comes_first_and_says_when(void **state)
{
	json_object *answer, *budget;
	uint64_t next_ms;
	char *page;

	charge(*state, 2 << 20, NS_PER_SECOND / 2);
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "held");
	budget = item(answer, "budgets", 0);
	assert_string_equal(text_of(budget, "grant"), "bills");
	assert_true(json_object_get_boolean(member(budget, "is_full")));
	/* a slice of 1 s is dropped 17 s after it began, and that was half a second ago */
	next_ms = number_of(budget, "next_fits_in_ms");
	assert_in_range(next_ms, 15500, 16500);
	assert_int_equal(number_of(item(budget, "windows", 1), "next_fits_in_ms"), 0);
	/* for all of it to be free the longer window must forget too */
	assert_in_range(number_of(budget, "all_fits_in_ms"), 168500, 169500);
	page = page_of(answer, show_print);
	expect_on(
		page,
		"HELD      partner:nord, by the budget of grant bills (sftp, nord): 1MiB fits at ");
	expect_on(page, "2MiB of 2MiB in 16s (100 %): 1MiB fits at ");
	expect_on(page, "2MiB of 4MiB in 2m40s (50 %): 1MiB fits now; all at ");
	free(page);
	json_object_put(answer);
}

static void what_has_left_the_window_counts_no_more(void **state)
{
	json_object *answer, *windows;

	charge(*state, 2 << 20, 17 * NS_PER_SECOND);
	answer = show(*state, "partner:nord");
	windows = item(answer, "budgets", 0);
	assert_string_equal(text_of(answer, "state"), "open");
	for (size_t i = 0; i < 3; i++) {
		json_object *budget = item(answer, "budgets", i);

		if (strcmp(text_of(budget, "kind"), "grant") == 0)
			windows = budget;
	}
	assert_int_equal(number_of(item(windows, "windows", 0), "used_bytes"), 0);
	assert_int_equal(number_of(item(windows, "windows", 1), "used_bytes"), 2 << 20);
	json_object_put(answer);
}

/* A large packet finds no room, and was refused just now. */
static void one_that_is_nearly_full_holds_when_it_refused(void **state)
{
	json_object *answer;

	charge(*state, (2 << 20) - 30000, 0);
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "open");
	json_object_put(answer);
	fake.meters[0].refused_packets = 1;
	fake.meters[0].told_ns = boot_now() - 5 * NS_PER_SECOND;
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "held");
	assert_int_equal(number_of(member(answer, "total"), "refused_packets"), 1);
	json_object_put(answer);
	fake.meters[0].told_ns = boot_now() - 61 * NS_PER_SECOND;
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "open");
	json_object_put(answer);
}

static void a_service_has_those_that_were_charged(void **state)
{
	json_object *answer;

	charge(*state, 2 << 20, 0);
	answer = show(*state, "service:sftp");
	assert_string_equal(text_of(answer, "state"), "held");
	assert_string_equal(text_of(item(answer, "budgets", 0), "partner"), "nord");
	json_object_put(answer);
	answer = show(*state, "service:portal");
	assert_string_equal(text_of(answer, "state"), "open");
	assert_int_equal(number_of(answer, "budget_count"), 0);
	json_object_put(answer);
}

/* ---- orders --------------------------------------------------------------------------------- */

static void order(struct host *host, const char *request)
{
	json_object *answer = ask(host, request);

	expect_code(answer, 0);
	json_object_put(answer);
}

static bool has_command(json_object *answer, const char *command)
{
	for (size_t i = 0; i < count_of(answer, "next"); i++) {
		if (strcmp(text_of(item(answer, "next", i), "command"), command) == 0)
			return true;
	}
	return false;
}

static void a_cut_is_named_with_the_way_back(void **state)
{
	json_object *answer;
	char *page;

	order(*state, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"storm\"}");
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "cut");
	assert_string_equal(text_of(item(answer, "cuts", 0), "covers"), "whole");
	assert_true(
		has_command(answer, "weir reopen partner:nord --reason \"...\" --instance unit"));
	assert_false(has_command(answer, "weir cut partner:nord --reason \"...\" --instance unit"));
	page = page_of(answer, show_print);
	expect_on(page, "CUT       partner:nord, by c1 (all)\n");
	free(page);
	json_object_put(answer);
	order(*state,
	      "{\"request\":\"reopen\",\"targets\":[\"partner:nord\"],\"reason\":\"checked\"}");
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "open");
	assert_int_equal(count_of(answer, "cuts"), 0);
	json_object_put(answer);
}

static void a_cut_of_a_part_is_told_as_one(void **state)
{
	json_object *answer;

	order(*state, "{\"request\":\"cut\",\"targets\":[\"grant:bills\"],\"reason\":\"x\"}");
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "partly-cut");
	assert_true(has_command(
		answer, "weir reopen partner:nord --order c1 --reason \"...\" --instance unit"));
	json_object_put(answer);
	answer = show(*state, "partner:sued"); /* it has nothing by that grant */
	assert_string_equal(text_of(answer, "state"), "open");
	json_object_put(answer);
}

static void a_latch_is_told(void **state)
{
	json_object *answer;

	charge(*state, 1000, 0);
	fake.meters[0].severed_ns = boot_now();
	answer = show(*state, "partner:nord");
	assert_string_equal(text_of(answer, "state"), "severed");
	assert_string_equal(text_of(item(answer, "cuts", 0), "by"), "guard");
	assert_true(
		has_command(answer, "weir reopen partner:nord --reason \"...\" --instance unit"));
	json_object_put(answer);
	answer = show(*state, "partner:ward");
	assert_string_equal(text_of(answer, "state"), "open");
	json_object_put(answer);
}

/* ---- connections ---------------------------------------------------------------------------- */

static struct weir_session a_session(const struct host *host, const char *service,
				     const char *partner, const char *peer)
{
	struct weir_session session = {.service = image_service(&host->image, service),
				       .partner = image_partner(&host->image, partner),
				       .protocol = 6,
				       .local_port = 22,
				       .peer_port = 50000,
				       .sent_bytes = 3 << 20,
				       .acked_bytes = 2 << 20,
				       .waiting_bytes = 5000,
				       .pid = 77,
				       .program = "sshd",
				       .is_counted = 1};

	assert_int_equal(address_parse(peer, session.peer), 0);
	return session;
}

static void connections_are_those_of_the_target(void **state)
{
	struct host *host = *state;
	json_object *answer, *session;
	char *page;

	fake.sessions[0] = a_session(host, "sftp", "nord", "198.51.100.7");
	fake.sessions[1] = a_session(host, "sftp", "ward", "198.51.100.70");
	fake.sessions[2] = a_session(host, "portal", "sued", "203.0.113.7");
	fake.session_count = 3;
	answer = show(host, "partner:nord");
	assert_int_equal(number_of(answer, "session_count"), 1);
	session = item(answer, "sessions", 0);
	assert_string_equal(text_of(session, "peer"), "198.51.100.7");
	assert_int_equal(number_of(session, "acked_bytes"), 2 << 20);
	page = page_of(answer, show_print);
	expect_on(page, "sessions  1 open now\n");
	expect_on(page, "198.51.100.7 port 50000\n    sent 3MiB, acknowledged 2MiB, waiting 5KB\n");
	expect_on(page, "made by sshd 77");
	free(page);
	json_object_put(answer);
	answer = show(host, "service:sftp");
	assert_int_equal(number_of(answer, "session_count"), 2);
	json_object_put(answer);
	answer = show(host, "addr:198.51.100.64/26");
	assert_int_equal(number_of(answer, "session_count"), 1);
	json_object_put(answer);
}

static void a_list_that_is_not_whole_says_so(void **state)
{
	json_object *answer;
	char *page;

	fake.fail_sessions = -EPERM;
	answer = show(*state, "all");
	expect_code(answer, 0);
	page = page_of(answer, show_print);
	expect_on(page, "NOT ALL ARE HERE: the fake lists nothing more");
	free(page);
	json_object_put(answer);
}

/* ---- the partner, and names ----------------------------------------------------------------- */

static void the_page_has_the_contact(void **state)
{
	json_object *answer = show(*state, "partner:nord");
	char *page = page_of(answer, show_print);

	expect_on(page, "contact   +49 30 1\n");
	expect_on(page, "ticket    CHG-1\n");
	free(page);
	json_object_put(answer);
}

static void a_program_cannot_steer_the_terminal(void **state)
{
	json_object *answer;
	char *page;

	fake.sessions[0] = a_session(*state, "sftp", "nord", "198.51.100.7");
	memcpy(fake.sessions[0].program, "\033[31mx", 7);
	fake.session_count = 1;
	answer = show(*state, "partner:nord");
	page = page_of(answer, show_print);
	expect_on(page, "made by ?[31mx 77");
	free(page);
	json_object_put(answer);
}

static void an_unknown_name_is_refused_with_a_near_one(void **state)
{
	json_object *answer = show(*state, "partner:nort");

	expect_code(answer, 1);
	assert_non_null(strstr(text_of(answer, "problem"), "did you mean \"nord\""));
	json_object_put(answer);
	answer = who(*state, "nowhere");
	expect_code(answer, 2);
	json_object_put(answer);
	answer = ask(*state, "{\"request\":\"show\"}");
	expect_code(answer, 2);
	json_object_put(answer);
}

static void without_its_policy_no_name_is_known(void **state)
{
	struct host *host = *state;
	json_object *answer;

	host->is_foreign = true;
	answer = show(host, "partner:other");
	expect_code(answer, 1);
	assert_non_null(strstr(text_of(answer, "problem"), "not on disk"));
	json_object_put(answer);
	answer = show(host, "all");
	expect_code(answer, 0);
	json_object_put(answer);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void an_address_is_the_innermost_partners(void **state)
{
	json_object *answer = who(*state, "198.51.100.70");
	char *page = page_of(answer, who_print);

	assert_string_equal(text_of(answer, "is"), "partner");
	assert_string_equal(text_of(member(answer, "prefix"), "prefix"), "198.51.100.64/26");
	assert_string_equal(text_of(item(answer, "around", 0), "partner"), "nord");
	expect_on(page, "address   198.51.100.70: partner ward (class hospital)\n");
	expect_on(page, "prefix    198.51.100.64/26 (ward)\naround    198.51.100.0/24 (nord)\n");
	expect_on(page, "may       sftp serves tcp/22, grant bills\n");
	free(page);
	json_object_put(answer);
}

static void beside_a_nested_prefix_is_near_it(void **state)
{
	json_object *answer = who(*state, "198.51.100.200");

	assert_string_equal(text_of(member(answer, "prefix"), "partner"), "nord");
	assert_int_equal(count_of(answer, "near"), 2);
	assert_string_equal(text_of(item(answer, "near", 0), "partner"), "ward");
	assert_string_equal(text_of(item(answer, "near", 1), "partner"), "sued");
	json_object_put(answer);
	answer = who(*state, "203.0.114.1"); /* behind it begins IPv6 */
	assert_int_equal(count_of(answer, "near"), 1);
	json_object_put(answer);
}

static void a_stranger_has_a_meter(void **state)
{
	struct host *host = *state;
	struct weir_meter meter = {.grant_key = WEIR_KEY_PEER,
				   .service_key = host->image.services[3].key};
	json_object *answer, *budget;
	char *page;

	meter.window[0] = (struct weir_window){.window_ns = 600 * NS_PER_SECOND,
					       .slice_ns = 600 * NS_PER_SECOND / 16,
					       .slice_start_ns = boot_now(),
					       .used_bytes = 65536,
					       .slice = {65536}};
	guard_put_meter(host->guard, WEIR_KEY_PEER, &meter);
	answer = who(host, "10.1.2.3");
	assert_string_equal(text_of(answer, "is"), "stranger");
	assert_string_equal(text_of(answer, "state"), "held");
	budget = item(answer, "budgets", 0);
	assert_string_equal(text_of(budget, "kind"), "stranger");
	assert_in_range(number_of(budget, "next_fits_in_ms"), 637000, 637500); /* 17 slices */
	page = page_of(answer, who_print);
	expect_on(page, "address   10.1.2.3: no partner, a stranger\n");
	expect_on(page, "64KiB of 64KiB in 10m (100 %): 64KiB fits at ");
	free(page);
	json_object_put(answer);
}

static void the_lifeline_is_named(void **state)
{
	json_object *answer = who(*state, "192.0.2.9");
	char *page = page_of(answer, who_print);

	assert_string_equal(text_of(answer, "is"), "lifeline");
	expect_on(page, "lifeline  admin serves tcp/22\n");
	free(page);
	json_object_put(answer);
}

/* ---- what a cut would do -------------------------------------------------------------------- */

static void a_dry_run_names_partners_and_what_is_spared(void **state)
{
	struct host *host = *state;
	json_object *answer;

	fake.sessions[0] = a_session(host, "admin", "", "192.0.2.9");
	fake.sessions[0].partner = WEIR_NO_PARTNER;
	fake.sessions[0].reason = WEIR_REASON_LIFELINE;
	fake.session_count = 1;
	answer = ask(host, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\","
			   "\"dry_run\":true}");
	assert_int_equal(number_of(answer, "partner_count"), 3);
	assert_string_equal(text_of(item(answer, "partners", 0), "name"), "nord");
	assert_int_equal(number_of(item(answer, "partners", 0), "connections"), 1);
	assert_int_equal(count_of(answer, "lifeline"), 1);
	assert_string_equal(text_of(item(answer, "lifeline", 0), "service"), "admin");
	assert_int_equal(number_of(item(answer, "lifeline", 0), "connections"), 1);
	json_object_put(answer);
	answer = ask(host, "{\"request\":\"cut\",\"targets\":[\"class:hospital\"],\"reason\":\"x\","
			   "\"dry_run\":true}");
	assert_int_equal(number_of(answer, "partner_count"), 2);
	assert_int_equal(count_of(answer, "lifeline"), 0);
	json_object_put(answer);
	answer = ask(host, "{\"request\":\"cut\",\"targets\":[\"service:portal\"],\"reason\":\"x\","
			   "\"dry_run\":true}");
	assert_int_equal(number_of(answer, "partner_count"), 1);
	json_object_put(answer);
	answer = ask(host, "{\"request\":\"cut\",\"targets\":[\"addr:198.51.100.65\"],"
			   "\"reason\":\"x\",\"dry_run\":true}");
	assert_int_equal(number_of(answer, "partner_count"), 2); /* both hold it */
	assert_int_equal(fake.order_count, 0);
	json_object_put(answer);
}

#define host_test(test) cmocka_unit_test_setup_teardown(test, up, host_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(each_budget_of_a_partner_is_there),
		host_test(a_full_one_comes_first_and_says_when),
		host_test(what_has_left_the_window_counts_no_more),
		host_test(one_that_is_nearly_full_holds_when_it_refused),
		host_test(a_service_has_those_that_were_charged),
		host_test(a_cut_is_named_with_the_way_back),
		host_test(a_cut_of_a_part_is_told_as_one),
		host_test(a_latch_is_told),
		host_test(connections_are_those_of_the_target),
		host_test(a_list_that_is_not_whole_says_so),
		host_test(the_page_has_the_contact),
		host_test(a_program_cannot_steer_the_terminal),
		host_test(an_unknown_name_is_refused_with_a_near_one),
		host_test(without_its_policy_no_name_is_known),
		host_test(an_address_is_the_innermost_partners),
		host_test(beside_a_nested_prefix_is_near_it),
		host_test(a_stranger_has_a_meter),
		host_test(the_lifeline_is_named),
		host_test(a_dry_run_names_partners_and_what_is_spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
