/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signers.h - who may sign what (allowed_signers), and which keys are taken back (revoked_signers).
 *
 * The format is OpenSSH's (ssh-keygen(1), ALLOWED SIGNERS), so that `ssh-keygen -Y verify` reads
 * the same file, and narrower, so that no line means more than it seems:
 *
 *	PRINCIPAL namespaces="NAME,..."[,valid-after="TIME"][,valid-before="TIME"] TYPE BASE64
 *	[COMMENT]
 *
 * A principal is a plain name, for one person; patterns are refused. Namespaces are those of
 * kind.h. Times end in Z. Certificate authorities are refused. No key stands twice: two principals
 * of one key would be one person who counts twice.
 */
#ifndef WEIR_SIGNERS_H
#define WEIR_SIGNERS_H

#include "user/order/kind.h"
#include "user/order/lines.h"
#include "user/order/ssh_key.h"

enum { SIGNERS_MAX_BYTES = 512 << 10, SIGNERS_MAX = 1024, PRINCIPAL_MAX = 63 };

struct signer {
	char *principal;
	uint8_t *blob; /* what `key` points into */
	struct ssh_key key;
	unsigned int namespaces; /* 1 << enum order_namespace */
	uint64_t after_ns;	 /* wall; 0: any */
	uint64_t before_ns;	 /* wall, itself out; UINT64_MAX: any */
	uint32_t line;
};

struct signers {
	struct signer *item;
	size_t count;
};

/*
 * Reads a list whose first line has the number `first`. 0; -EBADMSG with a fault, also for a list
 * without an entry; -ENOMEM. Free with signers_free() after success.
 */
int signers_read(const char *text, size_t length, uint32_t first, struct signers *signers,
		 struct order_fault *fault);
void signers_free(struct signers *signers);

/* The entry of a key, or NULL. */
const struct signer *signers_find(const struct signers *signers, const struct ssh_key *key);

/* ---- keys taken back ------------------------------------------------------------------------ */

struct revoked_key {
	uint8_t *blob; /* NULL: known by its fingerprint alone */
	struct ssh_key key;
	char fingerprint[SSH_FINGERPRINT_TEXT];
};

struct revoked {
	struct revoked_key *item;
	size_t count;
};

/* One key a line, as in a .pub file, or "SHA256:..."; what stands behind is a comment. As
 * signers_read(), but it may hold nothing. Free with revoked_free() after success. */
int revoked_read(const char *text, size_t length, struct revoked *revoked,
		 struct order_fault *fault);
void revoked_free(struct revoked *revoked);

bool revoked_has(const struct revoked *revoked, const struct ssh_key *key);

#endif
