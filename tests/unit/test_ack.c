/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_ack.c - what hosts say of themselves: OpenSSH verifies what we sign, we verify what OpenSSH
 * signs, and nothing that is not the host's own word about just this order is taken for one.
 */
#include "tests/unit/signing.h"
#include "user/fleet/ack.h"
#include "user/fleet/standing.h"
#include "user/order/base64.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct host_key ours;
/* Of a host whose key OpenSSH has: "x" is it, "y" another's. */
static struct ssh_key key_of_x;
static uint8_t blob_of_x[256];

static const struct ack good = {.order = ID,
				.host = "hub-1",
				.result = ACK_DONE,
				.at_ns = UINT64_C(1764169445) * 1000000000,
				.matched = 2};
static const struct topic topic = {TOPIC_IS_ACK, "hub-1", ID};

static int open_keys(void **state)
{
	char *problem = NULL, *public;
	const char *why;

	if (open_signing(state) < 0)
		return -1;
	assert_int_equal(shell("umask 077; openssl genpkey -algorithm ed25519 -out host.pem"), 0);
	assert_int_equal(host_key_load(path_of("host.pem"), &ours, &problem), 0);
	make_key("x", "-t ed25519");
	make_key("y", "-t ed25519");
	public = public_of("x");
	assert_int_equal(ssh_key_read_words("ssh-ed25519", 11, public + 12, strlen(public + 12),
					    blob_of_x, &key_of_x, &why),
			 0);
	free(public);
	return 0;
}

static int close_keys(void **state)
{
	host_key_free(&ours);
	return close_signing(state);
}

static struct ssh_key our_key(void)
{
	struct ssh_key key;
	const char *why;

	assert_int_equal(ssh_key_read((struct bytes){ours.blob, sizeof(ours.blob)}, &key, &why), 0);
	return key;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void what_was_written_is_read(void **state)
{
	struct ack ack = good, found;
	struct ssh_key key = our_key();
	const char *why = NULL;
	size_t length;
	char *text;

	(void)state;
	for (enum ack_result result = 0; result < ACK_RESULTS; result++) {
		ack.result = result;
		ack.version = result * 7;
		memset(ack.problem, 0, sizeof(ack.problem));
		if (result == ACK_REFUSED)
			strcpy(ack.problem, "signed by 1, and it takes 2");
		assert_int_equal(ack_write(&ack, &ours, &text, &length), 0);
		assert_int_equal(length, strlen(text));
		assert_int_equal(ack_read(text, length, &topic, &key, &found, &why), 0);
		assert_memory_equal(&found, &ack, sizeof(ack));
		free(text);
	}
}

static void openssh_verifies_it(void **state)
{
	char base64[128], *text, *end;
	size_t length;

	(void)state;
	EVP_EncodeBlock((unsigned char *)base64, ours.blob, sizeof(ours.blob));
	assert_int_equal(ack_write(&good, &ours, &text, &length), 0);
	end = strstr(text, "-----BEGIN");
	put_file("signature", end);
	*end = '\0';
	put_file("body", text);
	assert_int_equal(shell("echo 'hub-1 ssh-ed25519 %s' >list; ssh-keygen -Y verify -f list -I "
			       "hub-1 -n ack@weir -s signature <body",
			       base64),
			 0);
	free(text);
}

/* A daemon's problem is not ours to choose. */
static void no_problem_breaks_a_line(void **state)
{
	struct ack ack = good, found;
	struct ssh_key key = our_key();
	const char *why = NULL;
	size_t length;
	char *text;

	(void)state;
	ack.result = ACK_REFUSED;
	strcpy(ack.problem, "a\nresult: done\x1b");
	assert_int_equal(ack_write(&ack, &ours, &text, &length), 0);
	assert_int_equal(ack_read(text, length, &topic, &key, &found, &why), 0);
	assert_string_equal(found.problem, "a?result: done?");
	assert_int_equal(found.result, ACK_REFUSED);
	free(text);
}

/* Between characters: what is left is UTF-8 still. */
static void a_text_that_is_too_long_is_cut(void **state)
{
	struct standing standing = {.host = "hub-1", .at_ns = good.at_ns}, found;
	const struct topic at = {.kind = TOPIC_IS_HOST, .host = "hub-1"};
	struct ssh_key key = our_key();
	const char *why = NULL;
	size_t length;
	char *text;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(standing.groups); i += 2)
		memcpy(standing.groups + i, "\u00fc", 2);
	memcpy(standing.groups + sizeof(standing.groups) - 2, "\xc3", 2); /* torn by its writer */
	assert_int_equal(standing_write(&standing, &ours, &text, &length), 0);
	if (standing_read(text, length, &at, &key, &found, &why) < 0)
		fail_msg("%s", why);
	assert_in_range(strlen(found.groups), sizeof(found.groups) - 3, sizeof(found.groups) - 1);
	free(text);
}

static void a_standing_is_read(void **state)
{
	static const struct standing standing = {.host = "hub-1",
						 .at_ns = UINT64_C(1764169445) * 1000000000,
						 .has_daemon = true,
						 .policy = ID,
						 .base = 3,
						 .base_holds = true,
						 .beat = 9,
						 .beat_issued_ns =
							 UINT64_C(1764169440) * 1000000000,
						 .clock_is_trusted = true,
						 .groups = "hub berlin"};
	struct standing found;
	const struct topic at = {.kind = TOPIC_IS_HOST, .host = "hub-1"};
	const struct topic elsewhere = {.kind = TOPIC_IS_HOST, .host = "hub-2"};
	struct ssh_key key = our_key();
	const char *why = NULL;
	struct ack ack;
	size_t length;
	char *text;

	(void)state;
	assert_int_equal(standing_write(&standing, &ours, &text, &length), 0);
	assert_int_equal(standing_read(text, length, &at, &key, &found, &why), 0);
	assert_memory_equal(&found, &standing, sizeof(found));
	assert_int_equal(standing_read(text, length, &elsewhere, &key, &found, &why), -EBADMSG);
	assert_string_equal(why, "it is of another host");
	assert_int_equal(standing_read(text, length, &at, &key_of_x, &found, &why), -EBADMSG);
	assert_int_equal(ack_read(text, length, &topic, &key, &ack, &why), -EBADMSG);
	assert_string_equal(why, "it is signed in another namespace");
	free(text);
}

/* ---- attacks -------------------------------------------------------------------------------- */

#define LINES "weir-ack: 1\norder: " ID "\nhost: hub-1\nresult: done\nat: 2026-11-26T15:04:05Z\n"

/* The body signed by OpenSSH; malloc'd. */
static char *signed_by(const char *name, const char *in, const char *body)
{
	char *signature = sign_text(name, in, body, ""), *text;

	assert_int_not_equal(asprintf(&text, "%s%s", body, signature), -1);
	free(signature);
	return text;
}

/* Nothing is taken, and why is told. */
static void refuse(const char *text, size_t length, const char *told)
{
	struct ack ack, before;
	const char *why = "";

	memset(&ack, 0x55, sizeof(ack));
	before = ack;
	assert_int_equal(ack_read(text, length, &topic, &key_of_x, &ack, &why), -EBADMSG);
	assert_memory_equal(&ack, &before, sizeof(ack));
	if (told)
		assert_string_equal(why, told);
	assert_true(*why);
}

static void refuse_signed(const char *name, const char *in, const char *body, const char *told)
{
	char *text = signed_by(name, in, body);

	refuse(text, strlen(text), told);
	free(text);
}

static void openssh_signs_one_that_counts(void **state)
{
	char *text = signed_by("x", "ack@weir", LINES);
	struct ack ack;
	const char *why = "";

	(void)state;
	if (ack_read(text, strlen(text), &topic, &key_of_x, &ack, &why) < 0)
		fail_msg("%s", why);
	assert_int_equal(ack.result, ACK_DONE);
	free(text);
}

static void forged_ones_do_not_count(void **state)
{
	(void)state;
	refuse_signed("y", "ack@weir", LINES, "it is signed with another key than this host's");
	refuse_signed("x", "host@weir", LINES, "it is signed in another namespace");
	refuse_signed("x", "cut@weir", LINES, "it is signed in another namespace");
	refuse_signed("x", "ack@weir",
		      "weir-ack: 1\norder: " OTHER
		      "\nhost: hub-1\nresult: done\nat: 2026-11-26T15:04:05Z\n",
		      "it is about another order");
	refuse_signed("x", "ack@weir",
		      "weir-ack: 1\norder: " ID
		      "\nhost: hub-2\nresult: done\nat: 2026-11-26T15:04:05Z\n",
		      "it is of another host");
	refuse(LINES, strlen(LINES), "it is not signed");
	refuse("", 0, "it is not signed");
}

static void two_signatures_are_one_too_many(void **state)
{
	char *text = signed_by("x", "ack@weir", LINES);
	char *more = sign_text("y", "ack@weir", LINES, ""), *both;

	(void)state;
	assert_int_not_equal(asprintf(&both, "%s%s", text, more), -1);
	refuse(both, strlen(both), "something stands behind its signature");
	free(both);
	assert_int_not_equal(asprintf(&both, "%sresult: refused\n", text), -1);
	refuse(both, strlen(both), "something stands behind its signature");
	free(both);
	free(more);
	free(text);
}

/* Each byte of it: none can be missing, none can be another. */
static void no_part_and_no_change_counts(void **state)
{
	char *text = signed_by("x", "ack@weir", LINES);
	size_t length = strlen(text);
	char *copy = malloc(length);

	(void)state;
	for (size_t i = 0; i < length; i++) {
		memcpy(copy, text, i); /* of just this size: what is read behind it is seen */
		refuse(copy, i, NULL);
		memcpy(copy, text, length);
		copy[i] ^= 1;
		refuse(copy, length, NULL);
	}
	free(copy);
	free(text);
}

static void what_is_too_long_is_not_looked_at(void **state)
{
	size_t length = SIGNED_TEXT_MAX + 1;
	char *text = malloc(length);

	(void)state;
	memset(text, 'a', length);
	refuse(text, length, "it is too long");
	refuse(text, length - 1, "it is no text"); /* its line has no end */
	free(text);
}

/* Whoever has the host's key may not say what reads two ways. */
static void malformed_lines_are_refused(void **state)
{
	static const struct {
		const char *body, *told;
	} wrong[] = {
		{LINES "result: refused\n", "one of its lines stands twice"},
		{LINES "more: 1\n", "it has a line that does not belong there"},
		{LINES "\n", "a line of it is no KEY: VALUE"},
		{LINES "problem: \n", "a value of it is empty or too long"},
		{LINES "problem: a\tb\n", "a value of it is malformed"},
		{LINES "matched: 01\n", "a value of it is malformed"},
		{LINES "matched: -1\n", "a value of it is malformed"},
		{LINES "matched: 99999999999999999999\n", "a value of it is malformed"},
		{"weir-ack: 1\norder: " ID "\nhost: hub-1\nresult: done\n",
		 "a line of it is missing"},
		{"order: " ID "\nweir-ack: 1\nhost: hub-1\nresult: done\nat: "
		 "2026-11-26T15:04:05Z\n",
		 "it has a line that does not belong there"},
		{"weir-ack: 2\norder: " ID "\nhost: hub-1\nresult: done\nat: "
		 "2026-11-26T15:04:05Z\n",
		 "a value of it is malformed"},
		{"weir-ack: 1\norder: " ID "\nhost: hub-1\nresult: well\nat: "
		 "2026-11-26T15:04:05Z\n",
		 "its result is none"},
		{"weir-ack: 1\norder: " ID "\nhost: hub-1\nresult: done\nat: yesterday\n",
		 "a value of it is malformed"},
		{"weir-ack: 1\norder: " ID "\nhost: hub-1\nresult: done\nat: "
		 "2026-11-26T15:04:05Z\nproblem: a\tb\x01\n",
		 "it is no text"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		refuse_signed("x", "ack@weir", wrong[i].body, wrong[i].told);
}

/* ---- the key -------------------------------------------------------------------------------- */

static void refuse_key(const char *name, const char *told)
{
	struct host_key key = {0};
	char *problem = NULL;

	assert_true(host_key_load(path_of(name), &key, &problem) < 0);
	if (!strstr(problem, told))
		fail_msg("%s", problem);
	assert_null(key.key);
	free(problem);
}

static void other_keys_are_refused(void **state)
{
	(void)state;
	refuse_key("none", "No such file");
	assert_int_equal(shell("umask 077; openssl genpkey -algorithm ed448 -out other.pem"), 0);
	refuse_key("other.pem", "no Ed25519 key");
	assert_int_equal(shell("umask 077; openssl pkey -in host.pem -aes256 -passout pass:word "
			       "-out locked.pem"),
			 0);
	refuse_key("locked.pem", "with a passphrase");
	assert_int_equal(shell("cp host.pem open.pem; chmod 0644 open.pem"), 0);
	refuse_key("open.pem", "others may read it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(openssh_verifies_it),
		cmocka_unit_test(no_problem_breaks_a_line),
		cmocka_unit_test(a_text_that_is_too_long_is_cut),
		cmocka_unit_test(a_standing_is_read),
		cmocka_unit_test(openssh_signs_one_that_counts),
		cmocka_unit_test(forged_ones_do_not_count),
		cmocka_unit_test(two_signatures_are_one_too_many),
		cmocka_unit_test(no_part_and_no_change_counts),
		cmocka_unit_test(what_is_too_long_is_not_looked_at),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(other_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, open_keys, close_keys);
}
