/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * a_host.h - a host with a small policy on the fake guard, and a state directory of its own.
 */
#ifndef WEIR_A_HOST_H
#define WEIR_A_HOST_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "tests/unit/fake_guard.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/host.h"
#include "user/daemon/request.h"

static const char a_policy[] =
	"weir: 1\nname: test\nmode: enforce\n"
	"services:\n"
	"  sftp: {cgroup: system.slice/sftp.service, class: [exchange]}\n"
	"  portal: {cgroup: system.slice/nginx.service}\n"
	"partners:\n"
	"  nord: {addresses: [198.51.100.0/28], class: [hospital]}\n"
	"  sued: {addresses: [198.51.100.16/28], class: [hospital]}\n"
	"  payer: {addresses: [198.51.100.32/28]}\n"
	"grants:\n"
	"  - {name: nightly, service: sftp, partner: class:hospital, serves: tcp/22, budget: "
	"none}\n"
	"  - {name: bills, service: sftp, partner: payer, serves: tcp/22, budget: [1MiB/1h]}\n"
	"strangers: {serves: [64KiB/10m], calls: deny, total: none}\n";

static char state_root[64];
static const struct caller me = {.uid = 7, .user = "me", .by = "me"};

static void take_policy(struct host *host, const char *text)
{
	struct source source = {
		.name = (char *)"policy.yaml", .text = (char *)text, .length = strlen(text)};
	struct applied applied = {.sources = {&source, 1}, .applied_ns = 1};
	struct image image = {0};
	struct faults faults = {0};

	if (policy_to_image(&applied.sources, wall_now(), &image, &faults) < 0) {
		faults_print(&faults, &applied.sources, stderr);
		fail();
	}
	fake.head = image.head;
	assert_int_equal(host_take_image(host, &image, &applied), 0);
	faults_free(&faults);
}

__attribute__((unused)) static int host_up(void **state)
{
	static struct host host;
	char *problem = NULL;

	strcpy(state_root, "/tmp/weir-test-host-XXXXXX");
	assert_non_null(mkdtemp(state_root));
	setenv("WEIR_STATE_DIR", state_root, 1);
	setenv("WEIR_RUN_DIR", state_root, 1);
	fake_reset();
	assert_int_equal(host_init(&host, "unit", true, &problem), 0);
	host.guard = &fake;
	host.is_daemon = true;
	fake.control.wall_offset_ns = wall_now() - boot_now();
	take_policy(&host, a_policy);
	*state = &host;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

__attribute__((unused)) static int host_down(void **state)
{
	char path[96];

	assert_int_equal(fake.locked, 0);
	host_close(*state);
	snprintf(path, sizeof(path), "%s/unit", state_root);
	chmod(path, 0700);
	return nftw(state_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The answer to a request, parsed. */
__attribute__((unused)) static json_object *ask(struct host *host, const char *request)
{
	char *text = request_answer(host, &me, request, strlen(request));
	json_object *answer;

	assert_non_null(text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	answer = json_tokener_parse(text);
	if (!json_object_is_type(answer, json_type_object))
		fail_msg("no JSON: %s", text);
	free(text);
	return answer;
}

__attribute__((unused)) static json_object *member(json_object *object, const char *key)
{
	json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no %s in %s", key, json_object_to_json_string(object));
	return value;
}

__attribute__((unused)) static void expect_code(json_object *answer, int code)
{
	if (json_object_get_int(member(answer, "code")) != code)
		fail_msg("%s", json_object_to_json_string(answer));
}

/* Some event says so. */
static inline void assert_told(const struct host *host, const char *words)
{
	_cleanup_free_ char *path = host_path(host, "events.jsonl"), *events = NULL;
	size_t length;

	assert_int_equal(file_read(path, 1 << 20, &events, &length), 0);
	if (!strstr(events, words))
		fail_msg("nobody told \"%s\": %s", words, events);
}

#endif
