/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_control.c - what comes in over the control socket: requests of a wrong shape change nothing,
 * and a client that is slow, greedy or torn does not disturb the others.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/ordering.h"
#include "user/daemon/server.h"

/* ---- the shape of requests ------------------------------------------------------------------ */

static void wrong_shapes_change_nothing(void **state)
{
	static const char *const wrong[] = {
		"",
		" ",
		"{",
		"}",
		"[]",
		"null",
		"7",
		"\"cut\"",
		"{}",
		"{\"request\":7}",
		"{\"request\":null}",
		"{\"request\":\"\"}",
		"{\"request\":\"cu\"}",
		"{\"request\":\"cut\\u0000\"}",
		"{\"request\":\"cut\"}",
		"{\"request\":\"cut\",\"targets\":\"all\",\"reason\":\"x\"}",
		"{\"request\":\"cut\",\"targets\":[],\"reason\":\"x\"}",
		"{\"request\":\"cut\",\"targets\":[7],\"reason\":\"x\"}",
		"{\"request\":\"cut\",\"targets\":[null],\"reason\":\"x\"}",
		"{\"request\":\"cut\",\"targets\":[\"all\\u0000x\"],\"reason\":\"x\"}",
		"{\"request\":\"cut\",\"targets\":[\"all\"]}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":7}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":null}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\",\"dry_run\":\"no\"}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\",\"for_seconds\":"
		"\"7\"}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\",\"for_seconds\":0}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\",\"for_seconds\":-1}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\",\"for_seconds\":1e3}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\","
		"\"for_seconds\":99999999999999999999}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}x",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}{}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"\xff\"}",
		"{'request':'cut','targets':['all'],'reason':'x'}",
		"{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"",
		"{\"request\":\"cut\",\"targets\":[[[[[[[[\"all\"]]]]]]]],\"reason\":\"x\"}",
		"{\"request\":\"reopen\",\"targets\":[\"all\"]}",
		"{\"request\":\"reopen\",\"reason\":\"x\"}",
		"{\"request\":\"reopen\",\"order\":7,\"reason\":\"x\"}",
		"{\"request\":\"apply\"}",
		"{\"request\":\"apply\",\"files\":[]}",
		"{\"request\":\"apply\",\"files\":[7]}",
		"{\"request\":\"apply\",\"files\":[{\"name\":\"x\"}]}",
		"{\"request\":\"apply\",\"files\":[{\"name\":7,\"text\":\"x\"}]}",
		"{\"request\":\"apply\",\"files\":{}}",
		"{\"request\":\"apply\",\"files\":[{\"name\":\"x\",\"text\":\"y\"}],\"own\":7}",
		"{\"request\":\"apply\",\"files\":[{\"name\":\"x\",\"text\":\"y\"}],"
		"\"own\":{\"peer\":\"nowhere\",\"port\":22,\"cgroup\":\"/\"}}",
		"{\"request\":\"apply\",\"files\":[{\"name\":\"x\",\"text\":\"y\"}],"
		"\"own\":{\"peer\":\"192.0.2.1\",\"port\":70000,\"cgroup\":\"/\"}}",
		"{\"request\":\"confirm-clock\"}",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_object *answer = ask(*state, wrong[i]);

		if (json_object_get_int(member(answer, "code")) != 2)
			fail_msg("%s: %s", wrong[i], json_object_to_json_string(answer));
		member(answer, "problem");
		json_object_put(answer);
	}
	assert_string_equal(fake.calls, "");
	assert_int_equal(fake.order_count, 0);
}

static void every_prefix_of_a_request_is_refused(void **state)
{
	static const char whole[] =
		"{\"request\":\"cut\",\"targets\":[\"partner:nord\"],\"reason\":\"x\"}";

	for (size_t length = 0; length < sizeof(whole) - 1; length++) {
		char *text = request_answer(*state, &me, whole, length);

		assert_non_null(strstr(text, "\"code\":2"));
		free(text);
	}
	assert_string_equal(fake.calls, "");
}

static void an_oversized_request_is_not_looked_at(void **state)
{
	char *text = request_answer(*state, &me, "{}", REQUEST_MAX_BYTES + 1);

	assert_non_null(strstr(text, "too long"));
	free(text);
}

static void faults_of_a_policy_come_with_their_place(void **state)
{
	json_object *answer =
		ask(*state, "{\"request\":\"apply\",\"files\":[{\"name\":\"bad.yaml\",\"text\":"
			    "\"weir: 1\\nname: x\\nmode: enforce\\nnonsense: 1\\n\"}]}");

	expect_code(answer, 1);
	assert_non_null(strstr(json_object_get_string(member(answer, "details")), "bad.yaml:4:1:"));
	assert_string_equal(fake.calls, "");
	json_object_put(answer);
}

/* ---- the socket ----------------------------------------------------------------------------- */

static struct server server;
static int epoll;

static int server_up(void **state)
{
	char *problem = NULL;
	const struct host *host;
	int r;

	host_up(state);
	host = *state;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	r = server_bind(&server, host->instance, &problem);
	return r < 0 ? r : server_open(&server, *state, epoll, &problem);
}

static int server_down(void **state)
{
	server_close(&server);
	close(epoll);
	return host_down(state);
}

static void turn(int times)
{
	struct epoll_event events[64];

	for (int i = 0; i < times; i++) {
		int count = epoll_wait(epoll, events, 64, 0);

		for (int j = 0; j < count; j++)
			server_handle(&server, events[j].data.u64, events[j].events);
	}
}

static int client_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", state_root, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	turn(1);
	return fd;
}

static int client_new(void)
{
	return client_at("unit.sock");
}

static int agent_new(void)
{
	return client_at("unit.orders.sock");
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What came, as one text; *ended when the server hung up. */
static const char *hear(int fd, bool *ended)
{
	static char text[1 << 16];
	ssize_t got, used = 0;

	*ended = false;
	while ((got = recv(fd, text + used, sizeof(text) - 1 - used, 0)) > 0)
		used += got;
	*ended = got == 0 || errno == ECONNRESET;
	text[used] = '\0';
	return text;
}

static size_t lines_in(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void a_request_may_come_in_pieces(void **state)
{
	int fd = client_new();
	bool ended;

	(void)state;
	say(fd, "{\"request\":");
	turn(2);
	assert_string_equal(hear(fd, &ended), "");
	assert_false(ended);
	say(fd, "\"status\"}\n");
	turn(2);
	assert_non_null(strstr(hear(fd, &ended), "\"instance\":\"unit\""));
	assert_false(ended);
	close(fd);
}

/* It may have been carried out on the pinned guard since, and something else ordered after it. */
static void what_its_asker_gave_up_is_not_done(void **state)
{
	int fd = client_new();

	(void)state;
	say(fd, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}\n");
	close(fd);
	turn(3);
	assert_string_equal(fake.calls, "");
	fd = client_new();
	say(fd, "{\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"}\n");
	shutdown(fd, SHUT_WR); /* it still listens */
	turn(3);
	assert_string_not_equal(fake.calls, "");
	close(fd);
}

static void several_may_come_at_once(void **state)
{
	int fd = client_new();
	bool ended;

	(void)state;
	say(fd, "{\"request\":\"services\"}\n{\"request\":\"services\"}\nnonsense\n{\"requ");
	turn(8);
	assert_int_equal(lines_in(hear(fd, &ended)), 3);
	assert_false(ended);
	say(fd, "est\":\"services\"}\n");
	turn(4);
	assert_int_equal(lines_in(hear(fd, &ended)), 1);
	close(fd);
}

static void a_client_that_goes_away_leaves_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 3 * SERVER_CLIENTS; i++) {
		int fd = client_new();

		say(fd, i % 2 ? "{\"request\":\"status\"}\n"
			      : "{\"request\":\"cut\",\"targets\":[\"all\"]");
		close(fd);
		turn(4);
	}
	for (int i = 0; i < SERVER_CLIENTS; i++)
		assert_int_equal(server.client[i].fd, -1);
	assert_int_equal(fake.order_count, 0);
}

static void there_are_so_many_places(void **state)
{
	int fd[SERVER_CLIENTS], late;
	bool ended;

	(void)state;
	for (int i = 0; i < SERVER_CLIENTS; i++)
		fd[i] = client_new();
	late = client_new();
	turn(2);
	assert_non_null(strstr(hear(late, &ended), "too many clients"));
	assert_true(ended);
	say(fd[0], "{\"request\":\"services\"}\n");
	turn(2);
	assert_int_equal(lines_in(hear(fd[0], &ended)), 1);
	for (int i = 0; i < SERVER_CLIENTS; i++)
		close(fd[i]);
	close(late);
}

static void a_silent_client_is_ended_in_time(void **state)
{
	int fd = client_new();
	bool ended;

	(void)state;
	say(fd, "{");
	turn(2);
	assert_true(server_expire(&server) > boot_now());
	server.client[0].deadline_ns = boot_now();
	assert_int_equal(server_expire(&server), 0);
	hear(fd, &ended);
	assert_true(ended);
	close(fd);
}

/* Sends until the server has heard `bytes`; what it does not take is not sent. */
static size_t pour(int fd, size_t bytes)
{
	static char junk[1 << 16];
	size_t sent = 0;

	memset(junk, ' ', sizeof(junk));
	while (sent < bytes) {
		ssize_t got = send(fd, junk, sizeof(junk), MSG_NOSIGNAL);

		if (got > 0)
			sent += got;
		else if (errno != EAGAIN)
			break;
		turn(1);
	}
	return sent;
}

static void only_one_client_may_be_greedy(void **state)
{
	int one = client_new(), two = client_new(), three = client_new();
	bool ended;

	(void)state;
	pour(one, 3 << 20);
	pour(two, 3 << 20);
	assert_non_null(strstr(hear(two, &ended), "another large request"));
	assert_true(ended);
	say(three, "{\"request\":\"services\"}\n");
	turn(2);
	assert_int_equal(lines_in(hear(three, &ended)), 1);
	close(one);
	close(two);
	close(three);
}

static void no_client_may_send_without_end(void **state)
{
	int fd = client_new();
	bool ended;
	size_t sent = pour(fd, 2 * REQUEST_MAX_BYTES);

	(void)state;
	assert_true(sent < REQUEST_MAX_BYTES + (4 << 20));
	assert_non_null(strstr(hear(fd, &ended), "too long"));
	assert_true(ended);
	close(fd);
}

static void who_does_not_listen_blocks_nobody(void **state)
{
	int deaf = client_new(), other = client_new();
	bool ended;

	(void)state;
	for (int i = 0; i < 400; i++) {
		if (send(deaf, "{\"request\":\"status\"}\n", 21, MSG_NOSIGNAL) < 0)
			break;
		turn(2);
	}
	say(other, "{\"request\":\"services\"}\n");
	turn(4);
	assert_int_equal(lines_in(hear(other, &ended)), 1);
	close(deaf);
	close(other);
}

static void the_sockets_are_for_few(void **state)
{
	static const char *const names[] = {"unit.sock", "unit.orders.sock"};
	struct stat status;
	char path[96];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", state_root, names[i]);
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 07777, 0660);
	}
}

/* ---- the socket for signed orders ----------------------------------------------------------- */

static const char an_apply[] = "\"request\":\"apply\",\"files\":[{\"name\":\"p.yaml\",\"text\":"
			       "\"weir: 1\\nname: x\\nmode: observe\\n\"}],\"agreed\":true";

/* Each of them whole, so that the other socket would carry it out. */
static void who_hands_in_orders_may_do_nothing_else(void **state)
{
	static const char *const others[] = {
		"\"request\":\"cut\",\"targets\":[\"all\"],\"reason\":\"x\"",
		"\"request\":\"reopen\",\"targets\":[\"all\"],\"reason\":\"x\"",
		an_apply,
		"\"request\":\"confirm\"",
		"\"request\":\"rollback\"",
		"\"request\":\"confirm-clock\",\"reason\":\"x\"",
		"\"request\":\"unload\"",
		"\"request\":\"meters-reset\",\"reason\":\"x\"",
		"\"request\":\"meters-save\"",
		"\"request\":\"status\"",
		"\"request\":\"show\",\"target\":\"partner:nord\"",
		"\"request\":\"policies\"",
		"\"request\":\"orders\"",
	};
	struct host *host = *state;
	char calls[sizeof(fake.calls)];
	int fd = agent_new();
	bool ended;

	done(cut(host, "partner:nord"));
	strcpy(calls, fake.calls);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char request[512];

		snprintf(request, sizeof(request), "{%s}\n", others[i]);
		say(fd, request);
		turn(2);
		assert_string_equal(hear(fd, &ended),
				    "{\"code\":1,\"problem\":\"this socket takes signed orders "
				    "only\"}\n");
		assert_false(ended);
	}
	assert_string_equal(fake.calls, calls);
	assert_int_equal(fake.cut_count, 1);
	assert_false(host->has_ended);
	assert_int_equal(host->trial_until_ns, 0);
	close(fd);
}

static void orders_and_a_brief_are_answered_there(void **state)
{
	int fd = agent_new();
	const char *said;
	bool ended;

	done(cut(*state, "partner:nord"));
	done(ask(*state, "{\"request\":\"pause\",\"for_seconds\":60,\"reason\":\"no cut\"}"));
	say(fd, "{\"request\":\"order-apply\",\"text\":\"no order\"}\n");
	turn(2);
	assert_non_null(strstr(hear(fd, &ended), "\"problem\":\"order:1:"));
	say(fd, "{\"request\":\"brief\"}\n");
	turn(2);
	said = hear(fd, &ended);
	assert_non_null(strstr(said, "\"instance\":\"unit\""));
	assert_non_null(strstr(said, "\"cuts\":1,"));
	assert_non_null(strstr(said, ((struct host *)*state)->digest));
	assert_null(strstr(said, "nord"));
	close(fd);
}

/* Neither its places nor its large request are others'. */
static void an_agent_takes_nothing_from_people(void **state)
{
	int agent[SERVER_AGENTS], late, greedy, person;
	bool ended;

	(void)state;
	for (int i = 0; i < SERVER_AGENTS; i++)
		agent[i] = agent_new();
	late = agent_new();
	turn(2);
	assert_non_null(strstr(hear(late, &ended), "too many clients"));
	pour(agent[0], 3 << 20);
	pour(agent[1], 3 << 20);
	assert_non_null(strstr(hear(agent[1], &ended), "another large request"));
	greedy = client_new();
	pour(greedy, 3 << 20);
	assert_string_equal(hear(greedy, &ended), "");
	assert_false(ended);
	person = client_new();
	say(person, "{\"request\":\"services\"}\n");
	turn(2);
	assert_int_equal(lines_in(hear(person, &ended)), 1);
	for (int i = 0; i < SERVER_AGENTS; i++)
		close(agent[i]);
	close(late);
	close(greedy);
	close(person);
}

/* Each refused order costs a line in the journal. */
static void who_asks_too_often_waits(void **state)
{
	int fd = agent_new(), person = client_new();
	uint64_t used_up = boot_now() + 2 * SERVER_AGENT_BURST / SERVER_AGENT_RATE * NS_PER_SECOND;
	bool ended;

	(void)state;
	say(fd, "{\"request\":\"brief\"}\n");
	turn(2);
	assert_int_equal(lines_in(hear(fd, &ended)), 1);
	server.agent_turn_ns = used_up;
	say(fd, "{\"request\":\"brief\"}\n{\"request\":\"brief\"}\n");
	turn(4);
	assert_string_equal(hear(fd, &ended), "");
	say(person, "{\"request\":\"services\"}\n");
	turn(2);
	assert_int_equal(lines_in(hear(person, &ended)), 1);
	assert_true(server_expire(&server) <= boot_now() + NS_PER_SECOND);
	assert_string_equal(hear(fd, &ended), "");
	assert_true(server.agent_turn_ns <= used_up); /* waiting uses nothing up */
	server.agent_turn_ns = 0;
	server_expire(&server);
	turn(4);
	assert_int_equal(lines_in(hear(fd, &ended)), 2);
	assert_false(ended);
	close(fd);
	close(person);
}

/* Counted in its own places: a burst passes, and what is beyond it does not. */
static void a_burst_passes(void **state)
{
	int fd = agent_new();
	size_t answers = 0;
	bool ended;

	(void)state;
	for (int i = 0; i < SERVER_AGENT_BURST + 8 * SERVER_AGENT_RATE; i++) {
		say(fd, "{\"request\":\"brief\"}\n");
		turn(2);
		answers += lines_in(hear(fd, &ended));
	}
	/* as long as this took, some more turns came */
	assert_in_range(answers, SERVER_AGENT_BURST,
			SERVER_AGENT_BURST + 8 * SERVER_AGENT_RATE - 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_shapes_change_nothing, host_up, host_down),
		cmocka_unit_test_setup_teardown(every_prefix_of_a_request_is_refused, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(an_oversized_request_is_not_looked_at, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(faults_of_a_policy_come_with_their_place, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(a_request_may_come_in_pieces, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(what_its_asker_gave_up_is_not_done, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(several_may_come_at_once, server_up, server_down),
		cmocka_unit_test_setup_teardown(a_client_that_goes_away_leaves_nothing, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(there_are_so_many_places, server_up, server_down),
		cmocka_unit_test_setup_teardown(a_silent_client_is_ended_in_time, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(only_one_client_may_be_greedy, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(no_client_may_send_without_end, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(who_does_not_listen_blocks_nobody, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(the_sockets_are_for_few, server_up, server_down),
		cmocka_unit_test_setup_teardown(who_hands_in_orders_may_do_nothing_else, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(orders_and_a_brief_are_answered_there, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(an_agent_takes_nothing_from_people, server_up,
						server_down),
		cmocka_unit_test_setup_teardown(who_asks_too_often_waits, server_up, server_down),
		cmocka_unit_test_setup_teardown(a_burst_passes, server_up, server_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
