/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ssh_key.h - public keys as OpenSSH writes them, and the signatures that they make.
 *
 * Accepted: ssh-ed25519 (RFC 8709), ecdsa-sha2-nistp256 (RFC 5656), RSA from 3072 bits with SHA-256
 * or SHA-512 (RFC 8332; never SHA-1), and the first two on security keys (PROTOCOL.u2f).
 *
 * Where something is refused `*why` becomes a text for people, that lives for ever.
 */
#ifndef WEIR_SSH_KEY_H
#define WEIR_SSH_KEY_H

#include <errno.h>

#include "user/order/wire.h"

enum {
	SSH_KEY_MAX_BYTES = 2048, /* more than RSA of 8192 bits takes */
	SSH_FINGERPRINT_TEXT = 52 /* "SHA256:", 43 characters, NUL */
};

struct ssh_key_type;

struct ssh_key {
	const struct ssh_key_type *type;
	struct bytes blob;	  /* all of it: what a base64 key or a signature holds */
	struct bytes material;	  /* Ed25519: the key; P-256: the point; RSA: the modulus */
	struct bytes exponent;	  /* RSA alone */
	struct bytes application; /* security keys alone */
};

static inline int ssh_refuse(const char **why, const char *text)
{
	*why = text;
	return -EBADMSG;
}

/* Reads a key from its blob, which has to outlive it. 0 or -EBADMSG. */
int ssh_key_read(struct bytes blob, struct ssh_key *key, const char **why);

/*
 * Reads a key from the two words of a .pub file, "ssh-ed25519" and "AAAA...", decoding into `blob`
 * (BASE64_DATA(base64_length) bytes). 0 or -EBADMSG.
 */
int ssh_key_read_words(const char *type, size_t type_length, const char *base64,
		       size_t base64_length, uint8_t *blob, struct ssh_key *key, const char **why);

const char *ssh_key_type_name(const struct ssh_key *key); /* "ssh-ed25519" */

/* Whether one secret is behind both, also when they are written as different types. */
bool ssh_key_is_same(const struct ssh_key *a, const struct ssh_key *b);

/* "SHA256:..." over the blob, as ssh-keygen -l shows it. Returns `text`. */
const char *ssh_key_fingerprint(const struct ssh_key *key, char text[SSH_FINGERPRINT_TEXT]);

/*
 * Whether `signature` (RFC 4253 section 6.6: a type and a blob; for security keys then flags and a
 * counter) is the key's over `message`. A security key must have seen its user: PROTOCOL.u2f, flag
 * 0x01. 0 or -EBADMSG.
 */
int ssh_key_verify(const struct ssh_key *key, struct bytes signature, struct bytes message,
		   const char **why);

#endif
