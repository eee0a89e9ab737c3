/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* a_fleet.h - three hosts with keys, two brokers, and orders signed by "x". */
#ifndef WEIR_A_FLEET_H
#define WEIR_A_FLEET_H

#include "tests/unit/signing.h"
#include "user/base/now.h"
#include "user/fleet/ack.h"
#include "user/fleet/standing.h"

enum { HOSTS = 3 };

static struct host_key keys[HOSTS];
static struct fleet_host hosts[HOSTS];
static struct name berlin = {.text = (char *)"berlin"};
static struct fleet_config config = {
	.broker = {{.label = (char *)"a"}, {.label = (char *)"b"}},
	.brokers = 2,
	.item = hosts,
	.hosts = HOSTS,
	.late_ns = 5 * NS_PER_MINUTE,
};

static char *cut, *cut_of_berlin, *beat, *base; /* signed by "x" */
static struct document document;

/* ---- before and after ----------------------------------------------------------------------- */

static char *order(const char *kind, const char *in, const char *more, const char *issued)
{
	char body[512], *signature, *text;

	snprintf(body, sizeof(body),
		 "weir-order: 1\nkind: %s\nissued: %s\nnonce: 00112233445566778899aabbccddeeff\n%s",
		 kind, issued, more);
	signature = sign_text("x", in, body, "");
	assert_int_not_equal(asprintf(&text, "%s%s", body, signature), -1);
	free(signature);
	return text;
}

static int open_all(void **state)
{
	static const char *const names[HOSTS] = {"h0", "h1", "h2"};
	static const char long_ago[] = "2026-01-01T00:00:00Z";
	const char *why;

	if (open_signing(state) < 0)
		return -1;
	make_key("x", "-t ed25519");
	cut = order("cut", "cut@weir", "reason: x\ntarget: all\n", long_ago);
	cut_of_berlin =
		order("cut", "cut@weir", "reason: x\ntarget: all\nhosts: berlin\n", long_ago);
	beat = order("beat", "beat@weir", "version: 7\n", long_ago);
	base = order("base", "base@weir", "reason: x\nversion: 3\n\nweir: 1\n", long_ago);
	for (size_t i = 0; i < HOSTS; i++) {
		char *problem = NULL;

		assert_int_equal(shell("umask 077; openssl genpkey -algorithm ed25519 -out %s.pem",
				       names[i]),
				 0);
		shell("mv %s.pem host.pem", names[i]);
		assert_int_equal(host_key_load(path_of("host.pem"), &keys[i], &problem), 0);
		hosts[i].name.text = (char *)names[i];
		assert_int_equal(ssh_key_read((struct bytes){keys[i].blob, sizeof(keys[i].blob)},
					      &hosts[i].key, &why),
				 0);
		assert_int_equal(
			table_put(&config.by_name, names[i], 2, i, &(uint32_t){TABLE_NONE}), 0);
	}
	hosts[2].groups = (struct names){&berlin, 1};
	return 0;
}

static int close_all(void **state)
{
	for (size_t i = 0; i < HOSTS; i++)
		host_key_free(&keys[i]);
	table_free(&config.by_name);
	free(cut);
	free(cut_of_berlin);
	free(beat);
	free(base);
	return close_signing(state);
}

/* ---- what hosts say ------------------------------------------------------------------------- */

/* What the host says of the order: its topic, and the signed text (malloc'd). */
static char *word(size_t host, enum ack_result result, uint64_t at_ns, char topic[TOPIC_TEXT],
		  size_t *length)
{
	struct ack ack = {.result = result, .at_ns = at_ns * NS_PER_SECOND};
	char *text;

	strcpy(ack.order, document.id);
	strcpy(ack.host, hosts[host].name.text);
	if (result != ACK_DONE)
		strcpy(ack.problem, "why not");
	assert_int_equal(ack_write(&ack, &keys[host], &text, length), 0);
	topic_of_ack(ack.host, ack.order, topic);
	return text;
}

static void standing_of(size_t host, uint64_t version, struct standing *standing)
{
	*standing = (struct standing){.at_ns = wall_now(),
				      .beat = version,
				      .beat_issued_ns = version ? wall_now() : 0,
				      .has_daemon = true};
	strcpy(standing->host, hosts[host].name.text);
}

#endif
