/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_judge.c - who of those who signed counts, and whether that is enough. The keys and the
 * signatures are OpenSSH's; wherever a signature is good, `ssh-keygen -Y verify` says so too.
 */
#include "tests/unit/signing.h"

#include <errno.h>
#include <openssl/evp.h>

#include "user/base/units.h"
#include "user/order/instant.h"
#include "user/order/judge.h"

#define NONCE "nonce: 00112233445566778899aabbccddeeff\n"
#define TOP(kind)                                                                                  \
	"weir-order: 1\nkind: " kind "\nissued: 2026-11-26T15:00:00Z\n" NONCE "reason: why\n"
#define CUT	 TOP("cut") "target: all\n"
#define CUT_ENDS TOP("cut") "target: all\nfor: 4h\n"
#define REOPEN                                                                                     \
	TOP("reopen")                                                                              \
	"cut: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
#define EXTEND TOP("extend") "target: partner:p\ngrant: g\nby: 1GiB\nfor: 1h\n"
#define PAUSE  TOP("pause") "for: 1h\n"
#define BASE   TOP("base") "version: 7\n\nweir: 1\n"
#define BEAT   "weir-order: 1\nkind: beat\nissued: 2026-11-26T15:00:00Z\n" NONCE "version: 7\n"

#define ALL_NS "namespaces=\"cut@weir,reopen@weir,base@weir,signers@weir,beat@weir\""

/* One key each, and a second one of alice's. */
static const char *const keys[] = {"alice", "alice2", "bob", "carol", "mallory"};

/* Lists by what stands behind the principal; "" leaves a key out. */
static char *list_of(const char *alice, const char *alice2, const char *bob, const char *carol)
{
	const char *const options[] = {alice, alice2, bob, carol};
	char *text = NULL, *key;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; i < COUNT(options); i++) {
		if (!*options[i])
			continue;
		key = public_of(keys[i]);
		fprintf(out, "%s %s %s\n", i == 1 ? "alice" : keys[i], options[i], key);
		free(key);
	}
	fclose(out);
	return text;
}

/* ---- one judgement -------------------------------------------------------------------------- */

struct trial {
	char *list, *text;
	struct signers signers;
	struct revoked revoked;
	struct document document;
	struct judge_by by;
	struct judgement judgement;
};

static uint64_t at(const char *text)
{
	uint64_t ns = 0;

	assert_int_equal(instant_parse(text, &ns), 0);
	return ns;
}

/* The list is given away. */
static void begin(struct trial *trial, char *list)
{
	struct order_fault fault = {0};

	*trial = (struct trial){.list = list};
	if (signers_read(list, strlen(list), 1, &trial->signers, &fault) < 0)
		fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
	trial->by = (struct judge_by){.signers = &trial->signers,
				      .revoked = &trial->revoked,
				      .now_ns = at("2026-11-26T15:01:00Z"),
				      .clock_is_trusted = true,
				      .version = 6};
}

static void end(struct trial *trial)
{
	document_free(&trial->document);
	signers_free(&trial->signers);
	revoked_free(&trial->revoked);
	free(trial->text);
	free(trial->list);
}

static void judge_text(struct trial *trial, const char *text)
{
	struct order_fault fault = {0};

	document_free(&trial->document);
	free(trial->text);
	trial->text = strdup(text);
	if (document_read(trial->text, strlen(text), &trial->document, &fault) < 0)
		fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
	judge_document(&trial->document, &trial->by, &trial->judgement);
}

/* The body signed in a namespace by each of the keys, in words divided by blanks. malloc'd. */
static char *sign_by(const char *body, const char *in, const char *names)
{
	char *copy = strdup(names), *text = NULL, *signature;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	fputs(body, out);
	for (char *name = strtok(copy, " "); name; name = strtok(NULL, " ")) {
		signature = sign_text(name, in, body, "");
		fputs(signature, out);
		free(signature);
	}
	fclose(out);
	free(copy);
	return text;
}

static void judge_signed(struct trial *trial, const char *body, const char *in, const char *names)
{
	char *text = sign_by(body, in, names);

	judge_text(trial, text);
	free(text);
}

static void expect_accepted(const struct trial *trial)
{
	if (!trial->judgement.is_accepted)
		fail_msg("refused: %s; %s; %s", trial->judgement.why,
			 trial->judgement.current.signature[0].why,
			 trial->judgement.current.signature[1].why);
	assert_string_equal(trial->judgement.why, "");
}

static void expect_refused(const struct trial *trial, const char *says)
{
	assert_false(trial->judgement.is_accepted);
	if (!strstr(trial->judgement.why, says))
		fail_msg("\"%s\" does not say \"%s\"", trial->judgement.why, says);
}

/* Signature `n` does not count, and says why. */
static void expect_not_counted(const struct trial *trial, size_t n, const char *says)
{
	const struct judged_signature *judged = &trial->judgement.current.signature[n];

	assert_false(judged->counts);
	if (!strstr(judged->why, says))
		fail_msg("\"%s\" does not say \"%s\"", judged->why, says);
}

static char *usual_list(void)
{
	return list_of(ALL_NS, ALL_NS, ALL_NS, "");
}

/* ---- how many ------------------------------------------------------------------------------- */

static void each_kind_takes_its_number(void **state)
{
	static const struct {
		const char *body, *in;
		bool takes_two;
	} rows[] = {
		{CUT, "cut@weir", false},      {BEAT, "beat@weir", false},
		{REOPEN, "reopen@weir", true}, {EXTEND, "reopen@weir", true},
		{PAUSE, "reopen@weir", true},  {BASE, "base@weir", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct trial trial;

		begin(&trial, usual_list());
		judge_text(&trial, rows[i].body);
		expect_refused(&trial, "signed by 0 principals");
		judge_signed(&trial, rows[i].body, rows[i].in, "alice");
		assert_string_equal(trial.judgement.current.signature[0].principal, "alice");
		assert_true(trial.judgement.current.signature[0].counts);
		if (rows[i].takes_two)
			expect_refused(&trial, "signed by 1 principal, and it takes 2");
		else
			expect_accepted(&trial);
		judge_signed(&trial, rows[i].body, rows[i].in, "alice bob");
		expect_accepted(&trial);
		assert_int_equal(trial.judgement.current.principals, 2);
		end(&trial);
	}
}

static void two_keys_of_one_are_one(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	judge_signed(&trial, REOPEN, "reopen@weir", "alice alice2");
	expect_refused(&trial, "signed by 1 principal, and it takes 2; alice: alice has signed "
			       "already, and counts once");
	expect_not_counted(&trial, 1, "alice has signed already");
	judge_signed(&trial, REOPEN, "reopen@weir", "bob bob");
	expect_refused(&trial, "signed by 1 principal");
	expect_not_counted(&trial, 1, "bob has signed already");
	judge_signed(&trial, REOPEN, "reopen@weir", "alice2 bob alice");
	expect_accepted(&trial);
	assert_int_equal(trial.judgement.current.principals, 2);
	end(&trial);
}

/* ---- who does not count --------------------------------------------------------------------- */

static void strangers_do_not_count_and_do_not_harm(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	judge_signed(&trial, CUT, "cut@weir", "mallory");
	expect_refused(&trial, "signed by 0 principals");
	expect_not_counted(&trial, 0, "no principal has this key");
	assert_null(trial.judgement.current.signature[0].principal);
	judge_signed(&trial, CUT, "cut@weir", "mallory alice");
	expect_accepted(&trial);
	end(&trial);
}

static void a_namespace_is_of_one_kind(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	judge_signed(&trial, REOPEN, "cut@weir", "alice bob");
	expect_refused(&trial, "signed by 0 principals");
	expect_not_counted(&trial, 1, "in namespace cut@weir, and reopen is signed in reopen@weir");
	judge_signed(&trial, CUT, "file", "alice");
	expect_refused(&trial, "signed by 0 principals");
	judge_signed(&trial, BASE, "reopen@weir", "alice bob");
	expect_refused(&trial, "signed by 0 principals");
	end(&trial);
}

static void a_key_signs_what_its_entry_says(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial,
	      list_of("namespaces=\"cut@weir,reopen@weir\"", "", "namespaces=\"cut@weir\"", ""));
	judge_signed(&trial, REOPEN, "reopen@weir", "alice bob");
	expect_refused(&trial, "signed by 1 principal");
	expect_not_counted(&trial, 1, "may not sign in reopen@weir");
	judge_signed(&trial, CUT, "cut@weir", "bob");
	expect_accepted(&trial);
	end(&trial);
}

static void a_signature_is_of_one_text(void **state)
{
	char *of_cut = sign_by(CUT, "cut@weir", "alice"), text[2048];
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	judge_text(&trial, of_cut);
	expect_accepted(&trial);
	snprintf(text, sizeof(text), "%s%s", CUT_ENDS, strstr(of_cut, SSHSIG_BEGIN));
	judge_text(&trial, text);
	expect_refused(&trial, "signed by 0 principals");
	expect_not_counted(&trial, 0, "not of this text by this key");
	free(of_cut);
	end(&trial);
}

static void times_of_keys_are_held_against_now(void **state)
{
	static const char from[] = "namespaces=\"cut@weir\",valid-after=\"202611261500Z\"";
	static const char until[] = "namespaces=\"cut@weir\",valid-before=\"202611261500Z\"";
	struct trial trial;

	(void)state;
	begin(&trial, list_of(from, "", until, ""));
	trial.by.now_ns = at("2026-11-26T14:59:59Z");
	judge_signed(&trial, CUT, "cut@weir", "alice bob");
	expect_not_counted(&trial, 0, "not valid before 2026-11-26T15:00:00Z");
	assert_true(trial.judgement.current.signature[1].counts);
	trial.by.now_ns = at("2026-11-26T15:00:00Z");
	judge_signed(&trial, CUT, "cut@weir", "alice bob");
	assert_true(trial.judgement.current.signature[0].counts);
	expect_not_counted(&trial, 1, "was valid until 2026-11-26T15:00:00Z");
	end(&trial);
}

static void revoked_keys_do_not_count(void **state)
{
	struct order_fault fault;
	struct trial trial;
	char *key = public_of("alice"), line[1024];

	(void)state;
	begin(&trial, usual_list());
	snprintf(line, sizeof(line), "%s\n", key);
	assert_int_equal(revoked_read(line, strlen(line), &trial.revoked, &fault), 0);
	judge_signed(&trial, CUT, "cut@weir", "alice");
	expect_refused(&trial, "signed by 0 principals");
	expect_not_counted(&trial, 0, "revoked");
	judge_signed(&trial, CUT, "cut@weir", "alice2");
	expect_accepted(&trial);
	free(key);
	end(&trial);
}

/* ---- a key in another form ------------------------------------------------------------------ */

#define SK_TYPE	    "sk-ssh-ed25519@openssh.com"
#define APPLICATION "ssh:"

/* "ssh-ed25519" or, with an application, a security key's; its length. */
static size_t put_key(uint8_t *to, const char *type, EVP_PKEY *secret, const char *application)
{
	uint8_t *at = wire_put_string(to, type, strlen(type)), raw[32];
	size_t length = sizeof(raw);

	assert_int_equal(EVP_PKEY_get_raw_public_key(secret, raw, &length), 1);
	at = wire_put_string(at, raw, length);
	if (application)
		at = wire_put_string(at, application, strlen(application));
	return at - to;
}

/* What a security key would sign for a body: PROTOCOL.sshsig, PROTOCOL.u2f. Its length. */
static size_t attest(uint8_t *to, const char *body, const char *in)
{
	struct sshsig_digests digests;
	uint8_t message[256], *at = message + 6;

	assert_int_equal(sshsig_digest(body, strlen(body), &digests), 0);
	memcpy(message, "SSHSIG", 6);
	at = wire_put_string(at, in, strlen(in));
	at = wire_put_string(at, "", 0);
	at = wire_put_string(at, "sha512", 6);
	at = wire_put_string(at, digests.sha512, sizeof(digests.sha512));
	EVP_Digest(APPLICATION, strlen(APPLICATION), to, NULL, EVP_sha256(), NULL);
	to[32] = 1; /* touched */
	wire_put_uint32(to + 33, 0);
	EVP_Digest(message, at - message, to + 37, NULL, EVP_sha256(), NULL);
	return 37 + 32;
}

/* The body, signed by a secret as if it were a security key's. malloc'd. */
static char *sign_as_token(EVP_PKEY *secret, const char *body, const char *in)
{
	uint8_t attested[80], raw[64], key[128], signature[256], blob[1024], *at;
	size_t length = sizeof(raw), key_length = put_key(key, SK_TYPE, secret, APPLICATION);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char base64[2048], *text = NULL;

	assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, secret), 1);
	assert_int_equal(
		EVP_DigestSign(context, raw, &length, attested, attest(attested, body, in)), 1);
	EVP_MD_CTX_free(context);
	at = wire_put_string(signature, SK_TYPE, strlen(SK_TYPE));
	at = wire_put_string(at, raw, length);
	*at++ = 1;
	length = wire_put_uint32(at, 0) - signature;
	memcpy(blob, "SSHSIG", 6);
	at = wire_put_uint32(blob + 6, 1);
	at = wire_put_string(at, key, key_length);
	at = wire_put_string(at, in, strlen(in));
	at = wire_put_string(at, "", 0);
	at = wire_put_string(at, "sha512", 6);
	at = wire_put_string(at, signature, length);
	EVP_EncodeBlock((unsigned char *)base64, blob, at - blob);
	text = malloc(4096);
	length = sprintf(text, "%s" SSHSIG_BEGIN "\n", body);
	for (const char *from = base64; *from; from += strnlen(from, 70))
		length += sprintf(text + length, "%.70s\n", from);
	sprintf(text + length, SSHSIG_END "\n");
	return text;
}

/* A key that was stolen, and is revoked by its fingerprint, has another one as a security key's. */
static void a_revoked_key_does_not_count_in_another_form(void **state)
{
	EVP_PKEY *secret = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	char base64[128], list[512], line[SSH_FINGERPRINT_TEXT + 1], *text;
	struct order_fault fault;
	struct trial trial;
	uint8_t blob[128];

	(void)state;
	EVP_EncodeBlock((unsigned char *)base64, blob, put_key(blob, "ssh-ed25519", secret, NULL));
	snprintf(list, sizeof(list), "dave %s ssh-ed25519 %s\n", ALL_NS, base64);
	begin(&trial, strdup(list));
	ssh_key_fingerprint(&trial.signers.item[0].key, line);
	strcat(line, "\n");
	assert_int_equal(revoked_read(line, strlen(line), &trial.revoked, &fault), 0);
	text = sign_as_token(secret, CUT, "cut@weir");
	judge_text(&trial, text);
	expect_refused(&trial, "signed by 0 principals");
	expect_not_counted(&trial, 0, "another form");
	free(text);
	end(&trial);
	EVP_PKEY_free(secret);
}

/* Of a text with a good signature, not one bit can change. */
static void no_bit_of_a_signed_order_can_change(void **state)
{
	char *text = sign_by(CUT, "cut@weir", "alice");
	size_t length = strlen(text);
	struct order_fault fault;
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	judge_text(&trial, text);
	expect_accepted(&trial);
	for (size_t bit = 0; bit < 8 * length; bit++) {
		struct document document;

		text[bit / 8] ^= 1 << bit % 8;
		if (document_read(text, length, &document, &fault) == 0) {
			judge_document(&document, &trial.by, &trial.judgement);
			if (trial.judgement.is_accepted)
				fail_msg("bit %zu of %zu bytes", bit, length);
			document_free(&document);
		}
		text[bit / 8] ^= 1 << bit % 8;
	}
	free(text);
	end(&trial);
}

static void openssh_agrees(void **state)
{
	char *list = list_of(ALL_NS, "", "namespaces=\"cut@weir\",valid-before=\"20260101Z\"", "");
	struct trial trial;

	(void)state;
	put_file("signers", list);
	begin(&trial, list);
	for (size_t i = 0; i < 3; i++) {
		static const struct {
			const char *key, *principal;
			bool is_good;
		} rows[] = {
			{"alice", "alice", true}, {"bob", "bob", false}, {"carol", "carol", false}};

		judge_signed(&trial, CUT, "cut@weir", rows[i].key);
		assert_int_equal(trial.judgement.is_accepted, rows[i].is_good);
		assert_int_equal(shell("ssh-keygen -Y verify -f signers -I %s -n cut@weir -s "
				       "text.sig -Overify-time=20261126150100Z < text",
				       rows[i].principal) == 0,
				 rows[i].is_good);
	}
	end(&trial);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void an_order_has_its_time(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	trial.by.now_ns = at("2026-11-26T14:55:00Z");
	judge_signed(&trial, REOPEN, "reopen@weir", "alice bob");
	expect_accepted(&trial);
	trial.by.now_ns = at("2026-11-26T14:54:59Z");
	judge_signed(&trial, REOPEN, "reopen@weir", "alice bob");
	expect_refused(&trial, "issued in the future: 2026-11-26T15:00:00Z");
	trial.by.now_ns = at("2026-11-26T18:59:59Z");
	judge_signed(&trial, CUT_ENDS, "cut@weir", "alice");
	expect_accepted(&trial);
	trial.by.now_ns = at("2026-11-26T19:00:00Z");
	judge_signed(&trial, CUT_ENDS, "cut@weir", "alice");
	expect_refused(&trial, "was over at 2026-11-26T19:00:00Z");
	end(&trial);
}

/* A clock that is confirmed and behind loses no cut; what loosens waits. */
static void a_clock_that_is_behind_loses_no_cut(void **state)
{
	static const char *const bodies[] = {CUT, CUT_ENDS, REOPEN, EXTEND, PAUSE, BASE};
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	trial.by.now_ns = at("2026-11-26T14:54:59Z");
	for (size_t i = 0; i < COUNT(bodies); i++) {
		bool is_cut = strstr(bodies[i], "kind: cut");
		const char *in = is_cut			  ? "cut@weir"
				 : bodies[i] == bodies[5] ? "base@weir"
							  : "reopen@weir";

		judge_signed(&trial, bodies[i], in, is_cut ? "alice" : "alice bob");
		if (is_cut)
			expect_accepted(&trial);
		else
			expect_refused(&trial, "issued in the future");
	}
	trial.by.now_ns = at("2020-01-01T00:00:00Z");
	judge_signed(&trial, CUT_ENDS, "cut@weir", "alice");
	expect_accepted(&trial);
	judge_signed(&trial, CUT_ENDS, "cut@weir", "mallory");
	expect_refused(&trial, "signed by 0 principals");
	end(&trial);
}

/* A clock that nobody confirmed loses no cut, and lets nothing back. */
static void without_a_clock_there_are_cuts_alone(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial, list_of(ALL_NS ",valid-before=\"20200101Z\"", "", ALL_NS, ""));
	trial.by.clock_is_trusted = false;
	trial.by.now_ns = at("1970-01-02T00:00:00Z");
	judge_signed(&trial, CUT_ENDS, "cut@weir", "alice");
	expect_accepted(&trial);
	trial.by.now_ns = at("2300-01-01T00:00:00Z");
	judge_signed(&trial, CUT_ENDS, "cut@weir", "alice");
	expect_accepted(&trial);
	trial.by.now_ns = at("2026-11-26T15:01:00Z");
	judge_signed(&trial, REOPEN, "reopen@weir", "alice bob");
	expect_refused(&trial, "the clock is not confirmed");
	judge_signed(&trial, BEAT, "beat@weir", "bob");
	expect_refused(&trial, "the clock is not confirmed");
	judge_signed(&trial, CUT, "cut@weir", "mallory");
	expect_refused(&trial, "signed by 0 principals");
	end(&trial);
}

/* ---- versions ------------------------------------------------------------------------------- */

static void versions_rise(void **state)
{
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	for (uint64_t version = 0; version < 10; version++) {
		trial.by.version = version;
		judge_signed(&trial, BASE, "base@weir", "alice bob");
		if (version < 7)
			expect_accepted(&trial);
		else
			expect_refused(&trial, "version 7 is not above");
	}
	trial.by.version = 7;
	judge_signed(&trial, BEAT, "beat@weir", "alice");
	expect_refused(&trial, "version 7 is not above 7");
	end(&trial);
}

/* A body of kind signers, of version 7, that encloses a list, which is given away. malloc'd. */
static char *signers_body(char *list)
{
	char *body;

	assert_true(asprintf(&body, "%sversion: 7\n\n%s", TOP("signers"), list) > 0);
	free(list);
	return body;
}

static void signers_follow_each_other(void **state)
{
	char *body = signers_body(list_of(ALL_NS, "", ALL_NS, ""));
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	for (uint64_t version = 0; version < 10; version++) {
		trial.by.version = version;
		judge_signed(&trial, body, "signers@weir", "alice bob");
		if (version == 6)
			expect_accepted(&trial);
		else
			expect_refused(&trial, "version 7 does not follow");
	}
	trial.by.version = UINT64_MAX; /* plus one is zero, which is no version */
	judge_signed(&trial, body, "signers@weir", "alice bob");
	expect_refused(&trial, "does not follow");
	free(body);
	end(&trial);
}

static void signers_take_both_lists(void **state)
{
	/* alice and bob have the list; bob and carol shall */
	char *body = signers_body(list_of("", "", ALL_NS, ALL_NS));
	struct trial trial;

	(void)state;
	begin(&trial, usual_list());
	judge_signed(&trial, body, "signers@weir", "alice bob");
	expect_refused(&trial, "signed by 1 principal of the new list, and it takes 2");
	assert_int_equal(trial.judgement.current.principals, 2);
	judge_signed(&trial, body, "signers@weir", "bob carol");
	expect_refused(&trial, "signed by 1 principal of the list in force, and it takes 2");
	judge_signed(&trial, body, "signers@weir", "alice bob carol");
	expect_accepted(&trial);
	assert_string_equal(trial.judgement.next.signature[2].principal, "carol");
	assert_null(trial.judgement.current.signature[2].principal);
	free(body);
	/* who loses the right to sign lists does not count for the new one */
	body = signers_body(list_of(ALL_NS, "", "namespaces=\"cut@weir\"", ALL_NS));
	judge_signed(&trial, body, "signers@weir", "alice bob");
	expect_refused(&trial, "of the new list");
	free(body);
	end(&trial);
}

static int open_keys(void **state)
{
	if (open_signing(state) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(keys); i++)
		make_key(keys[i], i % 2 ? "-t ecdsa -b 256" : "-t ed25519");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_takes_its_number),
		cmocka_unit_test(two_keys_of_one_are_one),
		cmocka_unit_test(strangers_do_not_count_and_do_not_harm),
		cmocka_unit_test(a_namespace_is_of_one_kind),
		cmocka_unit_test(a_key_signs_what_its_entry_says),
		cmocka_unit_test(a_signature_is_of_one_text),
		cmocka_unit_test(times_of_keys_are_held_against_now),
		cmocka_unit_test(revoked_keys_do_not_count),
		cmocka_unit_test(a_revoked_key_does_not_count_in_another_form),
		cmocka_unit_test(no_bit_of_a_signed_order_can_change),
		cmocka_unit_test(openssh_agrees),
		cmocka_unit_test(an_order_has_its_time),
		cmocka_unit_test(a_clock_that_is_behind_loses_no_cut),
		cmocka_unit_test(without_a_clock_there_are_cuts_alone),
		cmocka_unit_test(versions_rise),
		cmocka_unit_test(signers_follow_each_other),
		cmocka_unit_test(signers_take_both_lists),
	};

	return cmocka_run_group_tests(tests, open_keys, close_signing);
}
