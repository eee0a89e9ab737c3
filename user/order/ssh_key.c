/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ssh_key.c - public keys as OpenSSH writes them. */
#include "user/order/ssh_key.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "user/order/base64.h"
#include "user/order/ssh_key_type.h"

enum { RSA_LEAST_BITS = 3072, RSA_MOST_BITS = 8192, P256_POINT = 65, ED25519_KEY = 32 };

/* ---- what stands behind the type ------------------------------------------------------------ */

/* RFC 8709 section 4 */
static int read_ed25519(struct bytes *wire, struct ssh_key *key, const char **why)
{
	if (!wire_string(wire, &key->material) || key->material.length != ED25519_KEY)
		return ssh_refuse(why, "the key is no Ed25519 key");
	return 0;
}

/* RFC 5656 section 3.1. One form of a point alone: else one key would have two blobs. */
static int read_p256(struct bytes *wire, struct ssh_key *key, const char **why)
{
	struct bytes curve;

	if (!wire_string(wire, &curve) || !bytes_are(curve, "nistp256"))
		return ssh_refuse(why, "the key is on another curve than it says");
	if (!wire_string(wire, &key->material) || key->material.length != P256_POINT ||
	    key->material.data[0] != POINT_CONVERSION_UNCOMPRESSED)
		return ssh_refuse(why, "the key is no uncompressed point");
	return 0;
}

static size_t bits_of(struct bytes number)
{
	return number.length * 8 - (__builtin_clz(number.data[0]) - 24);
}

/* RFC 4253 section 6.6. The exponent is bounded, or a verification could last for seconds. */
static int read_rsa(struct bytes *wire, struct ssh_key *key, const char **why)
{
	struct bytes e, n;

	if (!wire_mpint(wire, &e) || !wire_mpint(wire, &n))
		return ssh_refuse(why, "the key is no RSA key");
	if (e.length > 4 || !(e.data[e.length - 1] & 1) || (e.length == 1 && e.data[0] < 3))
		return ssh_refuse(why, "the exponent of the RSA key is even, 1, or above 2^32");
	if (bits_of(n) < RSA_LEAST_BITS)
		return ssh_refuse(why, "an RSA key needs at least 3072 bits");
	if (bits_of(n) > RSA_MOST_BITS)
		return ssh_refuse(why, "an RSA key has at most 8192 bits");
	key->exponent = e;
	key->material = n;
	return 0;
}

static const struct ssh_key_type types[] = {
	{"ssh-ed25519", SSH_ED25519, false, read_ed25519},
	{"ecdsa-sha2-nistp256", SSH_P256, false, read_p256},
	{"ssh-rsa", SSH_RSA, false, read_rsa},
	{"sk-ssh-ed25519@openssh.com", SSH_ED25519, true, read_ed25519},
	{"sk-ecdsa-sha2-nistp256@openssh.com", SSH_P256, true, read_p256},
};

/* ---- keys ----------------------------------------------------------------------------------- */

static const struct ssh_key_type *find_type(struct bytes name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (bytes_are(name, types[i].name))
			return &types[i];
	}
	return NULL;
}

int ssh_key_read(struct bytes blob, struct ssh_key *key, const char **why)
{
	struct ssh_key found = {.blob = blob};
	struct bytes wire = blob, name;
	EVP_PKEY *opened;
	int r;

	if (blob.length > SSH_KEY_MAX_BYTES)
		return ssh_refuse(why, "the key is too long");
	if (!wire_string(&wire, &name))
		return ssh_refuse(why, "the key has no type");
	found.type = find_type(name);
	if (!found.type)
		return ssh_refuse(why,
				  "the key is none of ssh-ed25519, ecdsa-sha2-nistp256, ssh-rsa "
				  "from 3072 bits, sk-ssh-ed25519@openssh.com, "
				  "sk-ecdsa-sha2-nistp256@openssh.com");
	r = found.type->read(&wire, &found, why);
	if (r < 0)
		return r;
	if (found.type->is_security_key && !wire_string(&wire, &found.application))
		return ssh_refuse(why, "the security key's application is missing");
	if (wire.length)
		return ssh_refuse(why, "something stands behind the key");
	opened = ssh_key_open(&found);
	if (!opened)
		return ssh_refuse(why, "the key is no point of its curve");
	EVP_PKEY_free(opened);
	*key = found;
	return 0;
}

int ssh_key_read_words(const char *type, size_t type_length, const char *base64,
		       size_t base64_length, uint8_t *blob, struct ssh_key *key, const char **why)
{
	struct bytes said = {(const uint8_t *)type, type_length};
	struct ssh_key found;
	size_t length;
	int r;

	if (base64_decode(base64, base64_length, blob, &length) < 0)
		return ssh_refuse(why, "the key is not base64");
	r = ssh_key_read((struct bytes){blob, length}, &found, why);
	if (r < 0)
		return r;
	if (!bytes_are(said, found.type->name))
		return ssh_refuse(why, "the key is of another type than the word before it");
	*key = found;
	return 0;
}

const char *ssh_key_type_name(const struct ssh_key *key)
{
	return key->type->name;
}

bool ssh_key_is_same(const struct ssh_key *a, const struct ssh_key *b)
{
	return a->type->algorithm == b->type->algorithm && bytes_equal(a->material, b->material);
}

const char *ssh_key_fingerprint(const struct ssh_key *key, char text[SSH_FINGERPRINT_TEXT])
{
	unsigned char digest[32], base64[48];

	memset(digest, 0, sizeof(digest));
	EVP_Digest(key->blob.data, key->blob.length, digest, NULL, EVP_sha256(), NULL);
	EVP_EncodeBlock(base64, digest, sizeof(digest));
	base64[43] = '\0'; /* ssh-keygen leaves the padding out */
	memcpy(text, "SHA256:", 7);
	memcpy(text + 7, base64, 44);
	return text;
}
