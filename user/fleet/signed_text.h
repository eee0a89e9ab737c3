/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_text.h - what a host says of itself: lines KEY: VALUE and one SSH signature by the host's
 * own key, in a namespace of its own (PROTOCOL.sshsig), so that `ssh-keygen -Y verify` reads it.
 *
 * Signed in this process, since the agent can start no other (confine.h).
 */
#ifndef WEIR_FLEET_SIGNED_TEXT_H
#define WEIR_FLEET_SIGNED_TEXT_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "user/order/ssh_key.h"

enum {
	SIGNED_TEXT_MAX = 8192, /* bytes, with the signature */
	HOST_KEY_BLOB = 51,	/* "ssh-ed25519" and the key, each with its length */
};

#define NAMESPACE_ACK  "ack@weir"
#define NAMESPACE_HOST "host@weir"

struct host_key {
	EVP_PKEY *key;
	uint8_t blob[HOST_KEY_BLOB]; /* the public one, as SSH writes it */
};

/*
 * Reads an Ed25519 key from a PEM file (PKCS#8, without a passphrase) that nobody but its owner and
 * group may read. 0, or -errno with `problem` (malloc'd). Free with host_key_free() after success.
 */
int host_key_load(const char *path, struct host_key *key, char **problem);
void host_key_free(struct host_key *key);

/* Whether that is longer ago than `late_ns`; what lies ahead of our clock is not. */
static inline bool is_long_ago(uint64_t at_ns, uint64_t now_ns, uint64_t late_ns)
{
	return at_ns < now_ns && now_ns - at_ns > late_ns;
}

/* The body with its signature behind it; malloc'd. 0; -ENOMEM; -EIO: libcrypto failed. */
int signed_text_make(const struct host_key *key, const char *in, const char *body, char **text,
		     size_t *length);

/*
 * Takes a text apart: *body_length of its bytes are signed by just this key, in just this
 * namespace, and nothing stands behind the signature. 0, or -EBADMSG with a reason for people, a
 * text that lives for ever.
 */
int signed_text_open(const char *text, size_t length, const struct ssh_key *key, const char *in,
		     size_t *body_length, const char **why);

#endif
