/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_request.c - any line at the control socket of a host on the fake guard gets one line of JSON
 * with a code of DESIGN, leaves the lock free, and what is refused as malformed changes nothing.
 */
#include "tests/unit/a_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *const not_needed_here[] __attribute__((unused)) = {host_down, ask, expect_code};

static void *the_host(void)
{
	static void *host;

	if (!host)
		host_up(&host);
	return host;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host *host = the_host();
	struct weir_control before;
	json_object *answer;
	char *text;
	int code;

	fake_reset();
	fake.control.wall_offset_ns = wall_now() - boot_now();
	host->has_ended = false;
	before = fake.control;
	text = request_answer(host, &me, (const char *)data, size);
	if (!text || strchr(text, '\n') != text + strlen(text) - 1)
		abort();
	answer = json_tokener_parse(text);
	if (!json_object_is_type(answer, json_type_object))
		abort();
	code = json_object_get_int(member(answer, "code"));
	if (code < 0 || code > 3 || fake.locked)
		abort();
	if (code == 2 && memcmp(&before, &fake.control, sizeof(before)) != 0)
		abort();
	json_object_put(answer);
	free(text);
	return 0;
}
