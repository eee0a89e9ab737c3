/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_event.c - what happened becomes OCSF 1.8 lines with the fields and ids that class 4001 asks
 * for, and the file of events keeps the last ones.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "user/event/record.h"
#include "user/event/sink.h"

static const struct record_origin origin = {
	.instance = "host", .host = "hub", .policy_name = "transfer-hub", .policy_digest = "00ff"};
static const struct record_names names = {.service = "sftp",
					  .partner = "klinik-nord",
					  .grant = "billing",
					  .reason = "budget",
					  .direction = "serves",
					  .protocol = "tcp"};

static struct weir_event an_event(uint8_t kind)
{
	struct weir_event event = {.wall_ns = UINT64_C(1790000000123456789),
				   .service_key = 1000,
				   .partner_key = 2000,
				   .grant_key = 3000,
				   .account = 0xabc,
				   .bytes = 1500,
				   .limit_bytes = 1 << 20,
				   .window_ns = UINT64_C(3600000000000),
				   .used_bytes = 1048000,
				   .pid = 42,
				   .local_port = 22,
				   .peer_port = 50000,
				   .kind = kind,
				   .verdict = WEIR_REFUSE,
				   .reason = WEIR_REASON_BUDGET,
				   .direction = WEIR_SERVES,
				   .protocol = IPPROTO_TCP,
				   .program = "sshd"};

	event.local[10] = event.local[11] = event.peer[10] = event.peer[11] = 0xff;
	inet_pton(AF_INET, "203.0.113.10", event.local + 12);
	inet_pton(AF_INET, "198.51.100.2", event.peer + 12);
	return event;
}

static json_object *at(json_object *object, const char *path)
{
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key = strtok(copy, "."); key; key = strtok(NULL, ".")) {
		if (!json_object_object_get_ex(object, key, &object))
			fail_msg("%s is missing", path);
	}
	return object;
}

static void expect_number(json_object *object, const char *path, uint64_t expected)
{
	assert_true(json_object_is_type(at(object, path), json_type_int));
	assert_int_equal(json_object_get_uint64(at(object, path)), expected);
}

static void expect_text(json_object *object, const char *path, const char *expected)
{
	assert_true(json_object_is_type(at(object, path), json_type_string));
	assert_string_equal(json_object_get_string(at(object, path)), expected);
}

/* One line, and what base_event, network_activity and metadata require. */
static json_object *parse_line(char *line)
{
	json_object *object;

	assert_non_null(line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	object = json_tokener_parse(line);
	assert_true(json_object_is_type(object, json_type_object));
	expect_number(object, "category_uid", 4);
	expect_number(object, "class_uid", 4001);
	expect_number(object, "type_uid", 400100 + json_object_get_int(at(object, "activity_id")));
	at(object, "severity_id");
	at(object, "time");
	at(object, "action_id");
	at(object, "disposition_id");
	expect_text(object, "metadata.version", "1.8.0");
	expect_text(object, "metadata.product.name", "weir");
	expect_text(object, "policy.name", "transfer-hub");
	expect_text(object, "policy.uid", "00ff");
	free(line);
	return object;
}

static void each_kind_has_its_ids(void **state)
{
	static const struct {
		uint8_t kind, activity, action, disposition;
		bool is_alert;
		const char *name;
	} expected[] = {
		{WEIR_EVENT_REFUSED, 5, 2, 2, true, "refused"},
		{WEIR_EVENT_WOULD_REFUSE, 6, 3, 17, false, "would-refuse"},
		{WEIR_EVENT_WARNING, 6, 1, 17, true, "warning"},
		{WEIR_EVENT_ALERT, 6, 1, 17, true, "alert"},
		{WEIR_EVENT_HELD, 6, 2, 6, true, "held"},
		{WEIR_EVENT_SEVERED, 3, 2, 21, true, "severed"},
		{WEIR_EVENT_OPENED, 1, 1, 1, false, "opened"},
		{WEIR_EVENT_CLOSED, 2, 1, 1, false, "closed"},
		{200, 99, 3, 17, false, "unknown"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct weir_event event = an_event(expected[i].kind);
		json_object *object = parse_line(record_event(&origin, &names, &event));

		expect_number(object, "activity_id", expected[i].activity);
		expect_number(object, "action_id", expected[i].action);
		expect_number(object, "disposition_id", expected[i].disposition);
		assert_int_equal(json_object_get_boolean(at(object, "is_alert")),
				 expected[i].is_alert);
		expect_text(object, "unmapped.kind", expected[i].name);
		json_object_put(object);
	}
}

static void the_source_is_who_connected(void **state)
{
	struct weir_event event = an_event(WEIR_EVENT_HELD);
	json_object *object = parse_line(record_event(&origin, &names, &event));

	(void)state;
	expect_number(object, "time", UINT64_C(1790000000123));
	expect_text(object, "src_endpoint.ip", "198.51.100.2");
	expect_number(object, "src_endpoint.port", 50000);
	expect_text(object, "dst_endpoint.ip", "203.0.113.10");
	expect_text(object, "dst_endpoint.hostname", "hub");
	expect_number(object, "connection_info.direction_id", 1);
	expect_number(object, "connection_info.protocol_num", 6);
	expect_text(object, "connection_info.protocol_name", "tcp");
	expect_number(object, "connection_info.protocol_ver_id", 4);
	expect_number(object, "traffic.bytes_in", 1500);
	expect_text(object, "actor.process.name", "sshd");
	expect_number(object, "actor.process.pid", 42);
	expect_text(object, "unmapped.service", "sftp");
	expect_text(object, "unmapped.partner", "klinik-nord");
	expect_text(object, "unmapped.grant", "billing");
	expect_text(object, "unmapped.reason", "budget");
	expect_number(object, "unmapped.limit_bytes", 1 << 20);
	expect_number(object, "unmapped.used_bytes", 1048000);
	json_object_put(object);

	event.direction = WEIR_CALLS;
	object = parse_line(record_event(&origin, &names, &event));
	expect_text(object, "src_endpoint.ip", "203.0.113.10");
	expect_text(object, "dst_endpoint.ip", "198.51.100.2");
	expect_number(object, "connection_info.direction_id", 2);
	expect_number(object, "traffic.bytes_out", 1500);
	json_object_put(object);
}

static void totals_of_a_connection_are_cumulative(void **state)
{
	struct weir_event event = an_event(WEIR_EVENT_CLOSED);
	json_object *object, *none;

	(void)state;
	event.acked_bytes = 1400;
	object = parse_line(record_event(&origin, &names, &event));
	expect_number(object, "cumulative_traffic.bytes", 1500);
	expect_number(object, "unmapped.acked_bytes", 1400);
	assert_false(json_object_object_get_ex(object, "traffic", &none));
	json_object_put(object);
}

static void what_is_not_known_is_left_out_or_shown_as_a_key(void **state)
{
	struct record_names unknown = names;
	struct weir_event event = an_event(WEIR_EVENT_REFUSED);
	json_object *object, *none;

	(void)state;
	unknown.partner = NULL;
	event.pid = 0;
	memset(event.program, 0, sizeof(event.program));
	event.order = 7;
	event.window_ns = 0;
	object = parse_line(record_event(&origin, &unknown, &event));
	assert_false(json_object_object_get_ex(object, "actor", &none));
	expect_text(object, "unmapped.partner", "#00000000000007d0");
	expect_text(object, "unmapped.order", "c7");
	assert_false(json_object_object_get_ex(at(object, "unmapped"), "limit_bytes", &none));
	json_object_put(object);
}

static void a_program_may_call_itself_anything(void **state)
{
	struct weir_event event = an_event(WEIR_EVENT_REFUSED);
	json_object *object;

	(void)state;
	memcpy(event.program, "a\"\n\\\xff\x01{},:[]'xyzw", 16); /* no NUL */
	object = parse_line(record_event(&origin, &names, &event));
	expect_text(object, "actor.process.name", "a\"\n\\\xef\xbf\xbd\x01{},:[]'xyz");
	json_object_put(object);
}

static void notices_are_lines_too(void **state)
{
	const struct record_field field[] = {{"order", "c3", 0}, {"count", NULL, 5}};
	const struct record_notice notice = {.kind = "cut",
					     .wall_ns = UINT64_C(1790000000000000000),
					     .severity = RECORD_HIGH,
					     .is_alert = true,
					     .message = "cut c3: all",
					     .field = field,
					     .field_count = 2};
	json_object *object = parse_line(record_notice(&origin, &notice));

	(void)state;
	expect_number(object, "activity_id", 99);
	expect_text(object, "activity_name", "cut");
	expect_number(object, "severity_id", 4);
	expect_text(object, "message", "cut c3: all");
	expect_text(object, "src_endpoint.hostname", "hub");
	expect_text(object, "unmapped.order", "c3");
	expect_number(object, "unmapped.count", 5);
	json_object_put(object);
}

/* ---- the file ------------------------------------------------------------------------------- */

static int directory;
static char directory_path[] = "/tmp/weir-test-event-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory_path + sizeof(directory_path) - 7, "XXXXXX");
	assert_non_null(mkdtemp(directory_path));
	directory = open(directory_path, O_RDONLY | O_DIRECTORY);
	return directory < 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlinkat(directory, SINK_FILE, 0);
	unlinkat(directory, SINK_OLD_FILE, 0);
	close(directory);
	return rmdir(directory_path);
}

static size_t lines_of(const char *name)
{
	char buffer[1 << 16];
	size_t lines = 0;
	ssize_t got;
	int fd = openat(directory, name, O_RDONLY);

	while (fd >= 0 && (got = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			lines += buffer[i] == '\n';
	}
	if (fd >= 0)
		close(fd);
	return lines;
}

static void the_last_ones_stay(void **state)
{
	struct sink sink;

	(void)state;
	assert_true(SINK_LINES >= 10000);
	sink_open(&sink, directory);
	sink.most = 10;
	for (int i = 0; i < 25; i++)
		sink_write(&sink, LOG_INFO, "{}\n");
	assert_int_equal(sink.unwritten, 0);
	assert_int_equal(lines_of(SINK_OLD_FILE), 10);
	assert_int_equal(lines_of(SINK_FILE), 5);
	sink_close(&sink);
}

static void a_torn_line_is_ended_first(void **state)
{
	int fd = openat(directory, SINK_FILE, O_WRONLY | O_CREAT, 0600);
	struct sink sink;

	(void)state;
	assert_int_equal(write(fd, "{}\n{\"to", 7), 7);
	close(fd);
	sink_open(&sink, directory);
	assert_int_equal(sink.lines, 2);
	sink_write(&sink, LOG_INFO, "{}\n");
	sink_close(&sink);
	assert_int_equal(lines_of(SINK_FILE), 3);
}

static void what_cannot_be_written_is_counted(void **state)
{
	struct sink sink;

	(void)state;
	sink_open(&sink, -1);
	sink_write(&sink, LOG_INFO, "{}\n");
	sink_write(&sink, LOG_INFO, NULL);
	assert_int_equal(sink.unwritten, 2);
	sink_close(&sink);
}

static void a_full_disk_leaves_no_half_line(void **state)
{
	struct sink sink;
	int full = open("/dev/full", O_WRONLY);

	(void)state;
	sink_open(&sink, directory);
	if (full < 0)
		skip();
	dup2(full, sink.file);
	close(full);
	sink_write(&sink, LOG_INFO, "{}\n");
	assert_int_equal(sink.unwritten, 1);
	sink_close(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_ids),
		cmocka_unit_test(the_source_is_who_connected),
		cmocka_unit_test(totals_of_a_connection_are_cumulative),
		cmocka_unit_test(what_is_not_known_is_left_out_or_shown_as_a_key),
		cmocka_unit_test(a_program_may_call_itself_anything),
		cmocka_unit_test(notices_are_lines_too),
		cmocka_unit_test_setup_teardown(the_last_ones_stay, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(a_torn_line_is_ended_first, make_directory,
						remove_directory),
		cmocka_unit_test(what_cannot_be_written_is_counted),
		cmocka_unit_test_setup_teardown(a_full_disk_leaves_no_half_line, make_directory,
						remove_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
