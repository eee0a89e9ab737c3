/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_refusals.c - the list of what did not go out: its bounds, what it counts, its file; and the
 * answer that is made of it, with what the kernel counted and no event told of.
 */
#include <netinet/in.h>

#include "tests/unit/a_host.h"
#include "user/base/file.h"
#include "user/daemon/refusing.h"
#include "user/event/refusals.h"
#include "user/view/refused.h"

static struct weir_event an_event(uint8_t kind, uint64_t partner, uint32_t number)
{
	struct weir_event event = {.wall_ns = UINT64_C(1000000000) * (100 + number),
				   .service_key = 1,
				   .partner_key = partner,
				   .untold = 1,
				   .order = 7,
				   .bytes = 5000,
				   .acked_bytes = 4000,
				   .local_port = 22,
				   .peer_port = 40000 + number % 20000,
				   .kind = kind,
				   .verdict = WEIR_REFUSE,
				   .reason = WEIR_REASON_CUT,
				   .direction = WEIR_SERVES,
				   .protocol = IPPROTO_TCP,
				   .pid = 42,
				   .program = "sshd"};

	event.peer[10] = event.peer[11] = 0xff;
	memcpy(event.peer + 12, &(uint32_t){htonl(0xc6336400 + number)}, 4);
	return event;
}

struct seen {
	size_t items, sessions;
	uint64_t count;
	struct refusal last;
};

static void see(const struct refusal *item, void *data)
{
	struct seen *seen = data;

	seen->items++;
	seen->sessions += item->is_session;
	seen->count += item->count;
	seen->last = *item;
}

static struct seen look(const struct refusals *list, uint64_t since_ns)
{
	struct seen seen = {0};

	refusals_each(list, since_ns, see, &seen);
	return seen;
}

static void test_one_flow_is_one_item(void **state)
{
	struct refusals *list = refusals_new(1);
	struct weir_event event = an_event(WEIR_EVENT_REFUSED, 9, 0);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		event.untold = 3;
		event.wall_ns += 1000;
		event.peer_port++; /* each try comes from another port */
		event.pid++;
		refusals_note(list, &event, event.reason);
	}
	assert_int_equal(look(list, 0).items, 1);
	assert_int_equal(look(list, 0).count, 3000);
	assert_int_equal(look(list, 0).last.other_port, event.peer_port);
	assert_int_equal(look(list, 0).last.pid, event.pid);
	assert_true(look(list, 0).last.first_ns < look(list, 0).last.last_ns);
	assert_int_equal(refusals_partner(list, 9, false)->told, 3000);
	event.reason = WEIR_REASON_BUDGET;
	refusals_note(list, &event, event.reason);
	assert_int_equal(look(list, 0).items, 2);
	refusals_free(list);
}

static void test_each_session_is_an_item(void **state)
{
	struct refusals *list = refusals_new(1);
	struct weir_event event = an_event(WEIR_EVENT_CLOSED, 9, 0);

	(void)state;
	for (int i = 0; i < 5; i++)
		refusals_note(list, &event, event.reason);
	assert_int_equal(look(list, 0).sessions, 5);
	assert_int_equal(look(list, 0).last.sent_bytes, 5000);
	assert_int_equal(look(list, 0).last.acked_bytes, 4000);
	assert_int_equal(refusals_partner(list, 9, false)->told, 0); /* no refused packet */
	refusals_free(list);
}

static void test_it_is_bounded_and_counts_what_made_room(void **state)
{
	struct refusals *list = refusals_new(1);
	const uint32_t more = 100;

	(void)state;
	for (uint32_t i = 0; i < REFUSALS_MOST + more; i++) {
		struct weir_event event = an_event(WEIR_EVENT_REFUSED, 9, i);

		event.untold = 2;
		refusals_note(list, &event, event.reason);
	}
	assert_int_equal(look(list, 0).items, REFUSALS_MOST);
	assert_int_equal(refusals_count(list), REFUSALS_MOST);
	assert_int_equal(refusals_partner(list, 9, false)->told, 2 * (REFUSALS_MOST + more));
	assert_int_equal(refusals_partner(list, 9, false)->dropped, 2 * more);
	/* strangers, however many, push no partner out */
	for (uint32_t i = 0; i < 2 * REFUSALS_STRANGERS; i++) {
		struct weir_event event = an_event(WEIR_EVENT_REFUSED, 0, i);

		refusals_note(list, &event, event.reason);
	}
	assert_int_equal(look(list, 0).items, REFUSALS_MOST + REFUSALS_STRANGERS);
	assert_int_equal(refusals_partner(list, 9, false)->dropped, 2 * more);
	assert_int_equal(refusals_partner(list, 0, false)->dropped, REFUSALS_STRANGERS);
	refusals_free(list);
}

static void test_what_is_old_is_forgotten(void **state)
{
	struct refusals *list = refusals_new(1);

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		struct weir_event event = an_event(WEIR_EVENT_REFUSED, 9, i);

		refusals_note(list, &event, event.reason);
	}
	assert_int_equal(look(list, UINT64_C(105000000000)).items, 5);
	refusals_forget(list, UINT64_C(105000000000));
	assert_int_equal(look(list, 0).items, 5);
	assert_int_equal(refusals_partner(list, 9, false)->dropped, 0);
	refusals_free(list);
}

static void test_bytes_come_back_as_they_were(void **state)
{
	struct refusals *list = refusals_new(77), *again = NULL;
	void *bytes, *twice;
	size_t length, longer;

	(void)state;
	for (uint32_t i = 0; i < REFUSALS_MOST + 5000; i++) {
		struct weir_event event =
			an_event(i % 3 ? WEIR_EVENT_REFUSED : WEIR_EVENT_CLOSED, i % 7, i);

		refusals_note(list, &event, event.reason);
	}
	refusals_partner(list, 3, false)->base = -5;
	refusals_lost(list)->events = 11;
	assert_int_equal(refusals_pack(list, &bytes, &length), 0);
	assert_int_equal(refusals_unpack(bytes, length, &again), 0);
	assert_int_equal(refusals_began(again), 77);
	assert_int_equal(refusals_lost(again)->events, 11);
	assert_int_equal(refusals_pack(again, &twice, &longer), 0);
	assert_int_equal(longer, length);
	assert_memory_equal(bytes, twice, length);
	refusals_free(again);
	again = NULL;
	for (size_t i = 0; i < length; i += 997) {
		((uint8_t *)bytes)[i] ^= 0x10;
		assert_int_equal(refusals_unpack(bytes, length, &again), -EBADMSG);
		((uint8_t *)bytes)[i] ^= 0x10;
		assert_int_equal(refusals_unpack(bytes, i, &again), -EBADMSG);
	}
	assert_null(again);
	free(bytes);
	free(twice);
	refusals_free(list);
}

/* ---- the answer ----------------------------------------------------------------------------- */

static uint64_t partner_key(struct host *host, const char *name)
{
	return host->image.partners[image_partner(&host->image, name)].key;
}

static void put_meter(uint64_t partner, uint64_t refused, uint64_t untold)
{
	fake.meters[fake.meter_count] = (struct weir_meter){.grant_key = WEIR_KEY_REFUSED,
							    .partner_key = partner,
							    .refused_packets = refused,
							    .untold = untold};
	fake.meter_keys[fake.meter_count] = 5000 + fake.meter_count;
	fake.meter_count++;
}

static json_object *partner_of(json_object *answer, const char *name)
{
	json_object *list = member(answer, "partners");

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *one = json_object_array_get_idx(list, i);
		const char *its = json_object_get_string(member(one, "name"));

		if (its && strcmp(its, name) == 0)
			return one;
	}
	fail_msg("no %s in %s", name, json_object_to_json_string(answer));
	return NULL;
}

static uint64_t unlisted_of(struct host *host, const char *name)
{
	json_object *answer = ask(host, "{\"request\":\"refused\"}");
	uint64_t count;

	expect_code(answer, 0);
	count = json_object_get_uint64(member(partner_of(answer, name), "unlisted"));
	json_object_put(answer);
	return count;
}

static void test_what_no_event_told_of_is_counted(void **state)
{
	struct host *host = *state;
	uint64_t nord = partner_key(host, "nord");
	struct weir_event event = an_event(WEIR_EVENT_REFUSED, nord, 1);
	json_object *answer;

	put_meter(nord, 1000, 2); /* before the list: of these 2 will be told */
	refusing_begin(host);
	refusing_base(host);
	fake.meters[0].refused_packets += 10;
	event.untold = 7;
	refusing_take(host, &event); /* the 2 and 5 of the 10 */
	assert_int_equal(unlisted_of(host, "nord"), 5);
	put_meter(partner_key(host, "sued"), 3, 0); /* lost, all of them */
	assert_int_equal(unlisted_of(host, "sued"), 3);
	answer = ask(host, "{\"request\":\"refused\",\"target\":\"partner:nord\"}");
	assert_int_equal(json_object_array_length(member(answer, "partners")), 1);
	json_object_put(answer);
	answer = ask(host, "{\"request\":\"refused\",\"target\":\"partner:nort\"}");
	expect_code(answer, 1);
	json_object_put(answer);
}

static void test_list_and_counts_survive_the_daemon(void **state)
{
	struct host *host = *state;
	uint64_t nord = partner_key(host, "nord");
	struct weir_event event = an_event(WEIR_EVENT_REFUSED, nord, 1);

	put_meter(nord, 0, 0);
	refusing_begin(host);
	refusing_base(host);
	fake.meters[0].refused_packets = 6;
	refusing_take(host, &event);
	refusing_save(host);
	refusing_end(host);
	fake.meters[0].refused_packets = 9;
	refusing_begin(host);
	refusing_base(host);
	assert_int_equal(unlisted_of(host, "nord"), 8);
	refusing_save(host);
	refusing_end(host);
	fake.meters[0].refused_packets = 0; /* the meters were lost */
	refusing_begin(host);
	fake.meters[0].refused_packets = 2;
	assert_int_equal(unlisted_of(host, "nord"), 2);
}

static void test_severed_and_held_are_told_from_those_that_ended(void **state)
{
	struct host *host = *state;
	uint64_t nord = partner_key(host, "nord"), now = boot_now();
	struct weir_event event = an_event(WEIR_EVENT_CLOSED, nord, 1);
	struct weir_sever_request request = {.account = 5000};
	json_object *answer, *items;

	refusing_begin(host);
	event.verdict = WEIR_PASS;
	event.reason = WEIR_REASON_GRANT;
	event.grant_key = 99;
	event.account = 5000;
	event.boot_ns = now;
	refusing_take(host, &event); /* it just ended */
	assert_int_equal(refusals_count(refusing_list(host)), 0);
	refusing_note_ended(host, &request, WEIR_REASON_BUDGET, now - 10, now + 10);
	refusing_take(host, &event);
	event.boot_ns = now + 11;
	refusing_take(host, &event);
	assert_int_equal(refusals_count(refusing_list(host)), 1);
	put_meter(nord, 0, 0);
	fake.meters[0].severed_ns = 1;
	refusing_take(host, &event);
	event.verdict = WEIR_REFUSE;
	event.observe = 1;
	event.reason = WEIR_REASON_HOURS;
	refusing_take(host, &event); /* it was let pass */
	answer = ask(host, "{\"request\":\"refused\"}");
	items = member(partner_of(answer, "nord"), "items");
	assert_int_equal(json_object_array_length(items), 2);
	assert_string_equal(
		json_object_get_string(member(json_object_array_get_idx(items, 0), "reason")),
		"budget");
	assert_string_equal(
		json_object_get_string(member(json_object_array_get_idx(items, 1), "reason")),
		"severed");
	json_object_put(answer);
}

/* A program names itself. */
static void test_page_steers_no_terminal(void **state)
{
	struct host *host = *state;
	struct weir_event event = an_event(WEIR_EVENT_REFUSED, partner_key(host, "nord"), 1);
	json_object *answer;
	char *text = NULL;
	size_t length;
	FILE *out;

	memcpy(event.program, "\033[2J\nx", 7);
	refusing_begin(host);
	refusing_take(host, &event);
	answer = ask(host, "{\"request\":\"refused\"}");
	out = open_memstream(&text, &length);
	refused_print(answer, out);
	fclose(out);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "nord\n"));
	assert_non_null(strstr(text, "refused  "));
	free(text);
	json_object_put(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_flow_is_one_item),
		cmocka_unit_test(test_each_session_is_an_item),
		cmocka_unit_test(test_it_is_bounded_and_counts_what_made_room),
		cmocka_unit_test(test_what_is_old_is_forgotten),
		cmocka_unit_test(test_bytes_come_back_as_they_were),
		cmocka_unit_test_setup_teardown(test_what_no_event_told_of_is_counted, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(test_list_and_counts_survive_the_daemon, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(
			test_severed_and_held_are_told_from_those_that_ended, host_up, host_down),
		cmocka_unit_test_setup_teardown(test_page_steers_no_terminal, host_up, host_down),
	};

	return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
