/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sshsig.h - signatures as `ssh-keygen -Y sign` makes them: OpenSSH's PROTOCOL.sshsig.
 */
#ifndef WEIR_SSHSIG_H
#define WEIR_SSHSIG_H

#include "user/order/lines.h"
#include "user/order/ssh_key.h"

#define SSHSIG_BEGIN "-----BEGIN SSH SIGNATURE-----"
#define SSHSIG_END   "-----END SSH SIGNATURE-----"

enum { SSHSIG_MAX_BYTES = 4096 }; /* of a blob; RSA of 8192 bits takes half of it */

/* What a signature is over: not the text, but one of its hashes. */
struct sshsig_digests {
	uint8_t sha256[32];
	uint8_t sha512[64];
};

/* Points into the blob that it was read from. */
struct sshsig {
	struct ssh_key key;
	struct bytes in; /* the namespace */
	struct bytes hash;
	struct bytes signature;
};

/* 0 or -EIO. */
int sshsig_digest(const void *text, size_t length, struct sshsig_digests *digests);

/*
 * Reads one armored signature, from its BEGIN line to its END line, which `lines` stands behind
 * then. `blob` holds SSHSIG_MAX_BYTES. 0, or -EBADMSG with a fault. Stricter than OpenSSH: lines of
 * one width (at most 76) but the last, and base64 in its one form.
 */
int sshsig_unarmor(struct lines *lines, uint8_t *blob, size_t *length, struct order_fault *fault);

/* Takes the blob apart; verifies nothing. 0, or -EBADMSG with the reason (see ssh_key.h). */
int sshsig_read(struct bytes blob, struct sshsig *sig, const char **why);

/* Whether the signature is its key's, over a text with these digests, in the namespace that it
 * says. 0, or -EBADMSG with the reason. */
int sshsig_verify(const struct sshsig *sig, const struct sshsig_digests *digests, const char **why);

#endif
