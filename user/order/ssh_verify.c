/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ssh_verify.c - the signatures of SSH keys, verified by libcrypto. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "user/order/ssh_key_type.h"

enum { USER_PRESENT = 0x01, ED25519_SIGNATURE = 64, P256_NUMBER = 32, DER_MAX = 80 };

/* ---- keys as libcrypto has them ------------------------------------------------------------- */

static EVP_PKEY *from_parameters(const char *type, OSSL_PARAM *parameters)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (context && EVP_PKEY_fromdata_init(context) == 1)
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
	EVP_PKEY_CTX_free(context);
	return key;
}

static EVP_PKEY *open_p256(struct bytes point)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"prime256v1", 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.data, point.length),
		OSSL_PARAM_END,
	};

	return from_parameters("EC", parameters);
}

static EVP_PKEY *open_rsa(struct bytes modulus, struct bytes exponent)
{
	BIGNUM *n = BN_bin2bn(modulus.data, modulus.length, NULL);
	BIGNUM *e = BN_bin2bn(exponent.data, exponent.length, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *parameters = NULL;
	EVP_PKEY *key = NULL;

	if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		parameters = OSSL_PARAM_BLD_to_param(build);
	if (parameters)
		key = from_parameters("RSA", parameters);
	OSSL_PARAM_free(parameters);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return key;
}

EVP_PKEY *ssh_key_open(const struct ssh_key *key)
{
	switch (key->type->algorithm) {
	case SSH_ED25519:
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->material.data,
						   key->material.length);
	case SSH_P256:
		return open_p256(key->material);
	case SSH_RSA:
		return open_rsa(key->material, key->exponent);
	}
	return NULL;
}

/* ---- signatures ----------------------------------------------------------------------------- */

/* The signature as libcrypto wants it, and the hash beneath it (NULL: it is the algorithm's own).
 */
struct form {
	const EVP_MD *hash;
	struct bytes signature;
	uint8_t der[DER_MAX];
};

/* RFC 5656 section 3.1.2: two mpints; libcrypto wants them in DER. */
static int form_p256(struct bytes blob, struct form *form, const char **why)
{
	struct bytes number[2];
	uint8_t *to = form->der;
	ECDSA_SIG *pair;
	BIGNUM *r, *s;
	int length = 0;

	if (!wire_mpint(&blob, &number[0]) || !wire_mpint(&blob, &number[1]) || blob.length ||
	    number[0].length > P256_NUMBER || number[1].length > P256_NUMBER)
		return ssh_refuse(why, "the signature is not two numbers of 256 bits");
	pair = ECDSA_SIG_new();
	r = BN_bin2bn(number[0].data, number[0].length, NULL);
	s = BN_bin2bn(number[1].data, number[1].length, NULL);
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
		length = i2d_ECDSA_SIG(pair, &to);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	if (length <= 0)
		return ssh_refuse(why, "the signature could not be read");
	form->hash = EVP_sha256();
	form->signature = (struct bytes){form->der, length};
	return 0;
}

static int form_ed25519(struct bytes blob, struct form *form, const char **why)
{
	if (blob.length != ED25519_SIGNATURE)
		return ssh_refuse(why, "the signature has not the 64 bytes of Ed25519");
	form->signature = blob;
	return 0;
}

/* RFC 8332 section 3: the name of the signature says the hash, which the key does not. */
static int form_rsa(const struct ssh_key *key, struct bytes name, struct bytes blob,
		    struct form *form, const char **why)
{
	if (bytes_are(name, "rsa-sha2-512"))
		form->hash = EVP_sha512();
	else if (bytes_are(name, "rsa-sha2-256"))
		form->hash = EVP_sha256();
	else if (bytes_are(name, "ssh-rsa"))
		return ssh_refuse(why, "the signature is over SHA-1");
	else
		return ssh_refuse(why, "the signature is of another type than its key");
	if (blob.length != key->material.length)
		return ssh_refuse(why, "the signature is not as long as its RSA key");
	form->signature = blob;
	return 0;
}

static int form_signature(const struct ssh_key *key, struct bytes name, struct bytes blob,
			  struct form *form, const char **why)
{
	if (key->type->algorithm == SSH_RSA)
		return form_rsa(key, name, blob, form, why);
	if (!bytes_are(name, key->type->name))
		return ssh_refuse(why, "the signature is of another type than its key");
	return key->type->algorithm == SSH_P256 ? form_p256(blob, form, why)
						: form_ed25519(blob, form, why);
}

static bool is_good(const struct ssh_key *key, const struct form *form, struct bytes message)
{
	EVP_PKEY *opened = ssh_key_open(key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = opened && context &&
		    EVP_DigestVerifyInit(context, NULL, form->hash, NULL, opened) == 1 &&
		    EVP_DigestVerify(context, form->signature.data, form->signature.length,
				     message.data, message.length) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(opened);
	return good;
}

/*
 * What a security key signs in place of a message: PROTOCOL.u2f, "SSH U2F Signatures".
 *	byte[32] SHA-256 of the application, byte flags, uint32 counter, byte[32] SHA-256 of the
 *	message
 */
struct attested {
	uint8_t data[32 + 1 + 4 + 32];
};

static int attest(const struct ssh_key *key, uint8_t flags, uint32_t counter, struct bytes message,
		  struct attested *attested)
{
	uint8_t *to = attested->data;

	if (!EVP_Digest(key->application.data, key->application.length, to, NULL, EVP_sha256(),
			NULL) ||
	    !EVP_Digest(message.data, message.length, to + 37, NULL, EVP_sha256(), NULL))
		return -EIO;
	to[32] = flags;
	wire_put_uint32(to + 33, counter);
	return 0;
}

int ssh_key_verify(const struct ssh_key *key, struct bytes signature, struct bytes message,
		   const char **why)
{
	struct bytes wire = signature, name, blob;
	struct form form = {0};
	struct attested attested;
	uint32_t counter;
	uint8_t flags;
	int r;

	if (!wire_string(&wire, &name) || !wire_string(&wire, &blob))
		return ssh_refuse(why, "the signature has no type, or no content");
	r = form_signature(key, name, blob, &form, why);
	if (r < 0)
		return r;
	if (key->type->is_security_key) {
		if (!wire_byte(&wire, &flags) || !wire_uint32(&wire, &counter))
			return ssh_refuse(why, "the security key's flags and counter are missing");
		if (!(flags & USER_PRESENT))
			return ssh_refuse(why, "nobody touched the security key when it signed");
		if (attest(key, flags, counter, message, &attested) < 0)
			return ssh_refuse(why, "the signature could not be verified");
		message = (struct bytes){attested.data, sizeof(attested.data)};
	}
	if (wire.length)
		return ssh_refuse(why, "something stands behind the signature");
	if (!is_good(key, &form, message))
		return ssh_refuse(why, "the signature is not of this text by this key");
	return 0;
}
