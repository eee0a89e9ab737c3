/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_sshsig.c - signatures of SSH keys: those that OpenSSH makes are taken, and nothing that
 * differs from them in one bit; what a security key signs is made here, and OpenSSH takes it too.
 */
#include "tests/unit/signing.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "user/order/base64.h"
#include "user/order/sshsig.h"

#define TEXT "kind: cut\ntarget: all\n"
#define IN   "cut@weir"

/* ---- blobs ---------------------------------------------------------------------------------- */

struct blob {
	uint8_t data[SSHSIG_MAX_BYTES];
	size_t length;
};

static void put(struct blob *blob, const void *data, size_t length)
{
	assert_true(blob->length + length <= sizeof(blob->data));
	memcpy(blob->data + blob->length, data, length);
	blob->length += length;
}

static void put_string(struct blob *blob, const void *data, size_t length)
{
	uint8_t number[4];

	wire_put_uint32(number, length);
	put(blob, number, 4);
	put(blob, data, length);
}

static void put_text(struct blob *blob, const char *text)
{
	put_string(blob, text, strlen(text));
}

/* The blob of an armored signature. */
static struct blob unarmor(const char *armored)
{
	struct lines lines = {armored, armored + strlen(armored), 1};
	struct order_fault fault = {0};
	struct blob blob;

	assert_int_equal(sshsig_unarmor(&lines, blob.data, &blob.length, &fault), 0);
	assert_ptr_equal(lines.at, lines.end);
	return blob;
}

static int check(const struct blob *blob, const char *text, const char **why)
{
	struct sshsig_digests digests;
	struct sshsig sig;

	assert_int_equal(sshsig_digest(text, strlen(text), &digests), 0);
	*why = NULL;
	if (sshsig_read((struct bytes){blob->data, blob->length}, &sig, why) < 0)
		return -EBADMSG;
	return sshsig_verify(&sig, &digests, why);
}

static void expect_good(const struct blob *blob)
{
	const char *why;

	if (check(blob, TEXT, &why) < 0)
		fail_msg("refused: %s", why);
}

static void expect_bad(const struct blob *blob, const char *says)
{
	const char *why;

	assert_int_equal(check(blob, TEXT, &why), -EBADMSG);
	assert_non_null(why);
	if (!strstr(why, says))
		fail_msg("\"%s\" does not say \"%s\"", why, says);
}

/* ---- what OpenSSH makes --------------------------------------------------------------------- */

static const struct {
	const char *name, *kind, *options;
	const char *refused; /* NULL: taken */
} made[] = {
	{"ed25519", "-t ed25519", "", NULL},
	{"p256", "-t ecdsa -b 256", "", NULL},
	{"rsa3072", "-t rsa -b 3072", "", NULL},
	{"ed25519-256", "-t ed25519", "-O hashalg=sha256", NULL},
	{"rsa3072-256", "-t rsa -b 3072", "-O hashalg=sha256", NULL},
	{"rsa2048", "-t rsa -b 2048", "", "at least 3072 bits"},
	{"p384", "-t ecdsa -b 384", "", "the key is none of"},
};

static void what_openssh_makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(made); i++) {
		struct blob blob;
		char *armored;

		make_key(made[i].name, made[i].kind);
		armored = sign_text(made[i].name, IN, TEXT, made[i].options);
		blob = unarmor(armored);
		if (made[i].refused)
			expect_bad(&blob, made[i].refused);
		else
			expect_good(&blob);
		free(armored);
	}
}

static struct blob sign(const char *key)
{
	char *armored = sign_text(key, IN, TEXT, "");
	struct blob blob = unarmor(armored);

	free(armored);
	return blob;
}

static void no_bit_can_change(void **state)
{
	static const char *const keys[] = {"ed25519", "p256", "rsa3072"};
	const char *why;

	(void)state;
	for (size_t k = 0; k < COUNT(keys); k++) {
		struct blob blob = sign(keys[k]);

		expect_good(&blob);
		for (size_t bit = 0; bit < 8 * blob.length; bit++) {
			blob.data[bit / 8] ^= 1 << bit % 8;
			if (check(&blob, TEXT, &why) == 0)
				fail_msg("%s: bit %zu of %zu bytes", keys[k], bit, blob.length);
			blob.data[bit / 8] ^= 1 << bit % 8;
		}
		expect_good(&blob);
	}
}

static void no_byte_is_missing_or_more(void **state)
{
	struct blob blob = sign("p256");
	size_t length = blob.length;

	(void)state;
	for (blob.length = 0; blob.length < length; blob.length++)
		expect_bad(&blob, "");
	expect_good(&blob);
	put(&blob, "", 1);
	expect_bad(&blob, "stands behind the signature");
}

static void it_is_of_one_text(void **state)
{
	struct blob blob = sign("ed25519");
	const char *why;

	(void)state;
	assert_int_equal(check(&blob, TEXT "x", &why), -EBADMSG);
	assert_non_null(strstr(why, "not of this text"));
	assert_int_equal(check(&blob, "", &why), -EBADMSG);
}

/* ---- the fields of a blob ------------------------------------------------------------------- */

/* A signature in parts, as PROTOCOL.sshsig lists them. */
struct parts {
	const char *magic;
	uint32_t version;
	struct bytes key;
	const char *in, *reserved, *hash;
	struct blob signature;
};

static struct blob join(const struct parts *parts)
{
	struct blob blob = {.length = 0};
	uint8_t version[4];

	put(&blob, parts->magic, 6);
	wire_put_uint32(version, parts->version);
	put(&blob, version, 4);
	put_string(&blob, parts->key.data, parts->key.length);
	put_text(&blob, parts->in);
	put_text(&blob, parts->reserved);
	put_text(&blob, parts->hash);
	put_string(&blob, parts->signature.data, parts->signature.length);
	return blob;
}

static struct parts split(const struct blob *blob)
{
	struct parts parts = {"SSHSIG", 1, {0}, IN, "", "sha512", {.length = 0}};
	const char *why;
	struct sshsig sig;

	assert_int_equal(sshsig_read((struct bytes){blob->data, blob->length}, &sig, &why), 0);
	parts.key = sig.key.blob;
	put(&parts.signature, sig.signature.data, sig.signature.length);
	return parts;
}

static void each_field_is_checked(void **state)
{
	struct blob whole = sign("ed25519"), blob;
	struct parts parts = split(&whole), other;
	char long_name[80];

	(void)state;
	blob = join(&parts);
	expect_good(&blob);
#define EXPECT(field, value, says)                                                                 \
	do {                                                                                       \
		other = parts;                                                                     \
		other.field = value;                                                               \
		blob = join(&other);                                                               \
		expect_bad(&blob, says);                                                           \
	} while (0)
	EXPECT(magic, "SSHSIH", "no SSH signature");
	EXPECT(version, 2, "not of version 1");
	EXPECT(version, 0, "not of version 1");
	EXPECT(in, "reopen@weir", "not of this text by this key");
	EXPECT(in, "", "namespace is empty");
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	EXPECT(in, long_name, "namespace is empty or too long");
	EXPECT(reserved, "x", "this weir does not know");
	EXPECT(hash, "sha256", "not of this text by this key");
	EXPECT(hash, "sha1", "neither over SHA-256");
	EXPECT(hash, "", "neither over SHA-256");
	EXPECT(key.length, 0, "the key has no type");
	EXPECT(signature.length, 3, "no type");
#undef EXPECT
}

/* RFC 8332: the same key, and a signature that says it is over SHA-1. */
static void rsa_is_never_over_sha1(void **state)
{
	struct blob whole = sign("rsa3072"), blob;
	struct parts parts = split(&whole);
	struct bytes wire = {parts.signature.data, parts.signature.length};
	struct bytes name = {0}, number = {0};
	uint8_t copy[384];

	(void)state;
	assert_true(wire_string(&wire, &name) && bytes_are(name, "rsa-sha2-512"));
	assert_true(wire_string(&wire, &number) && number.length == sizeof(copy));
	memcpy(copy, number.data, sizeof(copy));
	parts.signature.length = 0;
	put_text(&parts.signature, "ssh-rsa");
	put_string(&parts.signature, copy, sizeof(copy));
	blob = join(&parts);
	expect_bad(&blob, "SHA-1");
	parts.signature.length = 0;
	put_text(&parts.signature, "rsa-sha2-256");
	put_string(&parts.signature, copy, sizeof(copy));
	blob = join(&parts);
	expect_bad(&blob, "not of this text by this key");
	parts.signature.length = 0;
	put_text(&parts.signature, "rsa-sha2-512");
	put_string(&parts.signature, copy, sizeof(copy) - 1);
	blob = join(&parts);
	expect_bad(&blob, "not as long as its RSA key");
}

/* ---- security keys -------------------------------------------------------------------------- */

#define SK_ED25519 "sk-ssh-ed25519@openssh.com"
#define SK_P256	   "sk-ecdsa-sha2-nistp256@openssh.com"

struct token {
	bool is_p256;
	const char *application; /* that it signs for */
	uint8_t flags;		 /* that it signs */
	uint8_t shown_flags;
	uint32_t counter, shown_counter;
};

static const struct token touched = {false, "ssh:", 1, 1, 7, 7};

static EVP_PKEY *token_key(bool is_p256)
{
	static EVP_PKEY *keys[2];

	if (!keys[is_p256])
		keys[is_p256] =
			is_p256 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	assert_non_null(keys[is_p256]);
	return keys[is_p256];
}

static struct blob token_public(bool is_p256, const char *application)
{
	struct blob blob = {.length = 0};
	uint8_t point[80];
	size_t length = sizeof(point);

	put_text(&blob, is_p256 ? SK_P256 : SK_ED25519);
	if (is_p256) {
		put_text(&blob, "nistp256");
		assert_int_equal(EVP_PKEY_get_octet_string_param(token_key(true), "pub", point,
								 sizeof(point), &length),
				 1);
	} else {
		EVP_PKEY_get_raw_public_key(token_key(false), point, &length);
	}
	put_string(&blob, point, length);
	put_text(&blob, application);
	return blob;
}

static void put_mpint(struct blob *blob, const BIGNUM *number)
{
	uint8_t data[40] = {0};
	int length = BN_bn2bin(number, data + 1);
	bool is_high = data[1] & 0x80;

	put_string(blob, data + !is_high, length + is_high);
}

/* What the token answers to a message, as OpenSSH writes it (PROTOCOL.u2f). */
static struct blob token_sign(const struct token *token, const struct blob *message)
{
	struct blob signature = {.length = 0}, inner = {.length = 0};
	uint8_t data[69], made_here[96], number[4];
	const uint8_t *der = made_here;
	size_t length = sizeof(made_here);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ECDSA_SIG *pair;

	EVP_Digest(token->application, strlen(token->application), data, NULL, EVP_sha256(), NULL);
	data[32] = token->flags;
	wire_put_uint32(data + 33, token->counter);
	EVP_Digest(message->data, message->length, data + 37, NULL, EVP_sha256(), NULL);
	EVP_DigestSignInit(context, NULL, token->is_p256 ? EVP_sha256() : NULL, NULL,
			   token_key(token->is_p256));
	assert_int_equal(EVP_DigestSign(context, made_here, &length, data, sizeof(data)), 1);
	EVP_MD_CTX_free(context);
	put_text(&signature, token->is_p256 ? SK_P256 : SK_ED25519);
	if (token->is_p256) {
		pair = d2i_ECDSA_SIG(NULL, &der, length);
		put_mpint(&inner, ECDSA_SIG_get0_r(pair));
		put_mpint(&inner, ECDSA_SIG_get0_s(pair));
		ECDSA_SIG_free(pair);
	} else {
		put(&inner, made_here, length);
	}
	put_string(&signature, inner.data, inner.length);
	put(&signature, &token->shown_flags, 1);
	wire_put_uint32(number, token->shown_counter);
	put(&signature, number, 4);
	return signature;
}

static struct blob token_blob(const struct token *token)
{
	struct blob message = {.length = 0}, key = token_public(token->is_p256, "ssh:");
	struct parts parts = {"SSHSIG", 1, {key.data, key.length}, IN, "", "sha512", {.length = 0}};
	struct sshsig_digests digests;

	sshsig_digest(TEXT, strlen(TEXT), &digests);
	put(&message, "SSHSIG", 6);
	put_text(&message, IN);
	put_text(&message, "");
	put_text(&message, "sha512");
	put_string(&message, digests.sha512, sizeof(digests.sha512));
	parts.signature = token_sign(token, &message);
	return join(&parts);
}

static void a_security_key_must_be_touched(void **state)
{
	(void)state;
	for (int is_p256 = 0; is_p256 <= 1; is_p256++) {
		struct token token = touched;
		struct blob blob;

		token.is_p256 = is_p256;
		blob = token_blob(&token);
		expect_good(&blob);
		token.flags = token.shown_flags = 5; /* and knew who it was */
		blob = token_blob(&token);
		expect_good(&blob);
		token.flags = token.shown_flags = 4;
		blob = token_blob(&token);
		expect_bad(&blob, "nobody touched");
		token.flags = 0; /* it says so, and did not sign it */
		token.shown_flags = 1;
		blob = token_blob(&token);
		expect_bad(&blob, "not of this text by this key");
		token = touched;
		token.is_p256 = is_p256;
		token.shown_counter = 8;
		blob = token_blob(&token);
		expect_bad(&blob, "not of this text by this key");
		token.shown_counter = 7;
		token.application = "ssh:other";
		blob = token_blob(&token);
		expect_bad(&blob, "not of this text by this key");
	}
}

static void no_bit_of_a_security_keys_can_change(void **state)
{
	const char *why;

	(void)state;
	for (int is_p256 = 0; is_p256 <= 1; is_p256++) {
		struct token token = touched;
		struct blob blob;

		token.is_p256 = is_p256;
		blob = token_blob(&token);
		for (size_t bit = 0; bit < 8 * blob.length; bit++) {
			blob.data[bit / 8] ^= 1 << bit % 8;
			if (check(&blob, TEXT, &why) == 0)
				fail_msg("bit %zu of %zu bytes", bit, blob.length);
			blob.data[bit / 8] ^= 1 << bit % 8;
		}
	}
}

static void put_armored(const char *name, const struct blob *blob)
{
	char text[BASE64_MAX_TEXT + 1];
	FILE *file = fopen(path_of(name), "w");
	int length = EVP_EncodeBlock((uint8_t *)text, blob->data, blob->length);

	assert_non_null(file);
	fputs(SSHSIG_BEGIN "\n", file);
	for (int at = 0; at < length; at += 70)
		fprintf(file, "%.70s\n", text + at);
	fputs(SSHSIG_END "\n", file);
	fclose(file);
}

/* Both sides could be wrong in the same way: a third one says that they are not. */
static void openssh_takes_what_the_token_made(void **state)
{
	(void)state;
	put_file("text", TEXT);
	for (int is_p256 = 0; is_p256 <= 1; is_p256++) {
		struct blob key = token_public(is_p256, "ssh:"), blob;
		struct token token = touched;
		char line[1024], text[512];

		token.is_p256 = is_p256;
		EVP_EncodeBlock((uint8_t *)text, key.data, key.length);
		snprintf(line, sizeof(line), "alice namespaces=\"" IN "\" %s %s\n",
			 is_p256 ? SK_P256 : SK_ED25519, text);
		put_file("signers", line);
		blob = token_blob(&token);
		put_armored("token.sig", &blob);
		assert_int_equal(shell("ssh-keygen -Y verify -f signers -I alice -n " IN
				       " -s token.sig < text"),
				 0);
		token.shown_counter = 8;
		blob = token_blob(&token);
		put_armored("token.sig", &blob);
		assert_int_not_equal(shell("ssh-keygen -Y verify -f signers -I alice -n " IN
					   " -s token.sig < text"),
				     0);
	}
}

/* ---- armor ---------------------------------------------------------------------------------- */

static void armor_is_strict(void **state)
{
	static const struct {
		const char *text, *says;
		uint32_t line;
	} bad[] = {
		{"", "here a signature begins", 1},
		{"x\n" SSHSIG_BEGIN "\n", "here a signature begins", 1},
		{SSHSIG_BEGIN "\n", "has no end", 1},
		{SSHSIG_BEGIN "\nAAAA\n", "has no end", 1},
		{SSHSIG_BEGIN "\n" SSHSIG_END "\n", "not base64", 2},
		{SSHSIG_BEGIN "\n\nAAAA\n" SSHSIG_END "\n", "one width", 2},
		{SSHSIG_BEGIN "\nAAAA\nAA\nAAAA\n" SSHSIG_END "\n", "one width", 4},
		{SSHSIG_BEGIN "\nAAAA\nAAAAAAAA\n" SSHSIG_END "\n", "one width", 3},
		{SSHSIG_BEGIN "\nAAA\n" SSHSIG_END "\n", "not base64", 2},
		{SSHSIG_BEGIN "\n AAA\n" SSHSIG_END "\n", "not base64", 2},
		{SSHSIG_BEGIN "\nAAA \n" SSHSIG_END "\n", "not base64", 2},
		{SSHSIG_BEGIN "\nAAB=\n" SSHSIG_END "\n", "not base64", 2}, /* bits left over */
		{SSHSIG_BEGIN "\nAA==\nAAAA\n" SSHSIG_END "\n", "not base64", 2},
		{SSHSIG_BEGIN "\nA===\n" SSHSIG_END "\n", "not base64", 2},
	};
	struct order_fault fault;
	struct blob blob;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct lines lines = {bad[i].text, bad[i].text + strlen(bad[i].text), 1};

		assert_int_equal(sshsig_unarmor(&lines, blob.data, &blob.length, &fault), -EBADMSG);
		if (!strstr(fault.text, bad[i].says) || fault.line != bad[i].line)
			fail_msg("%zu: %u: %s", i, fault.line, fault.text);
	}
}

static void armor_has_an_end(void **state)
{
	char *text = malloc(100 * 78 + 200), *at = text;
	struct order_fault fault;
	struct lines lines = {.number = 1};
	struct blob blob;

	(void)state;
	at += sprintf(at, SSHSIG_BEGIN "\n");
	for (int i = 0; i < 100; i++)
		at += sprintf(at, "%076d\n", 0);
	at += sprintf(at, SSHSIG_END "\n");
	lines.at = text;
	lines.end = at;
	assert_int_equal(sshsig_unarmor(&lines, blob.data, &blob.length, &fault), -EBADMSG);
	assert_non_null(strstr(fault.text, "too long"));
	free(text);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void keys_have_one_form(void **state)
{
	struct blob whole = sign("p256"), point = {.length = 0}, rsa = {.length = 0};
	struct parts parts = split(&whole);
	uint8_t modulus[385] = {0};
	struct ssh_key key;
	const char *why;

	(void)state;
	put(&point, parts.key.data, parts.key.length);
	assert_int_equal(ssh_key_read((struct bytes){point.data, point.length}, &key, &why), 0);
	put(&point, "", 1);
	assert_int_equal(ssh_key_read((struct bytes){point.data, point.length}, &key, &why),
			 -EBADMSG);
	assert_non_null(strstr(why, "stands behind the key"));
	point.length--;
	point.data[point.length - 1] ^= 1; /* not on the curve any more */
	assert_int_equal(ssh_key_read((struct bytes){point.data, point.length}, &key, &why),
			 -EBADMSG);
	assert_non_null(strstr(why, "no point of its curve"));
	memset(modulus + 1, 0xff, 384);
	put_text(&rsa, "ssh-rsa");
	put_string(&rsa, "\1", 1);
	put_string(&rsa, modulus, sizeof(modulus));
	assert_int_equal(ssh_key_read((struct bytes){rsa.data, rsa.length}, &key, &why), -EBADMSG);
	assert_non_null(strstr(why, "exponent"));
	rsa.length = 0;
	put_text(&rsa, "ssh-rsa");
	put_string(&rsa, "\0\3", 2); /* a zero too many */
	put_string(&rsa, modulus, sizeof(modulus));
	assert_int_equal(ssh_key_read((struct bytes){rsa.data, rsa.length}, &key, &why), -EBADMSG);
	assert_non_null(strstr(why, "no RSA key"));
}

/* ssh-keygen -l shows the same. */
static void fingerprints_are_opensshs(void **state)
{
	struct blob whole = sign("rsa3072");
	char text[SSH_FINGERPRINT_TEXT], *said;
	struct parts parts = split(&whole);
	struct ssh_key key;
	const char *why;

	(void)state;
	assert_int_equal(ssh_key_read(parts.key, &key, &why), 0);
	assert_int_equal(shell("ssh-keygen -l -f rsa3072.pub"), 0);
	said = take_file("said");
	assert_non_null(strstr(said, ssh_key_fingerprint(&key, text)));
	free(said);
}

/* A token's key written as an ordinary one is the same key. */
static void one_secret_is_one_key(void **state)
{
	struct blob blob = token_public(false, "ssh:"), plain = {.length = 0};
	struct blob other = token_public(false, "ssh:other");
	struct ssh_key key, as_plain, as_other;
	const char *why;

	(void)state;
	assert_int_equal(ssh_key_read((struct bytes){blob.data, blob.length}, &key, &why), 0);
	put_text(&plain, "ssh-ed25519");
	put_string(&plain, key.material.data, key.material.length);
	assert_int_equal(ssh_key_read((struct bytes){plain.data, plain.length}, &as_plain, &why),
			 0);
	assert_int_equal(ssh_key_read((struct bytes){other.data, other.length}, &as_other, &why),
			 0);
	assert_true(ssh_key_is_same(&key, &as_plain));
	assert_true(ssh_key_is_same(&key, &as_other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_openssh_makes), /* makes the keys of those below */
		cmocka_unit_test(no_bit_can_change),
		cmocka_unit_test(no_byte_is_missing_or_more),
		cmocka_unit_test(it_is_of_one_text),
		cmocka_unit_test(each_field_is_checked),
		cmocka_unit_test(rsa_is_never_over_sha1),
		cmocka_unit_test(a_security_key_must_be_touched),
		cmocka_unit_test(no_bit_of_a_security_keys_can_change),
		cmocka_unit_test(openssh_takes_what_the_token_made),
		cmocka_unit_test(armor_is_strict),
		cmocka_unit_test(armor_has_an_end),
		cmocka_unit_test(keys_have_one_form),
		cmocka_unit_test(fingerprints_are_opensshs),
		cmocka_unit_test(one_secret_is_one_key),
	};

	return cmocka_run_group_tests(tests, open_signing, close_signing);
}
