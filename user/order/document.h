/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * document.h - an order as text, to be signed, carried and kept.
 *
 *	weir-order: 1				the body: lines KEY: VALUE, in this order the
 *	kind: cut				first two, then in any
 *	issued: 2026-11-26T15:04:05Z
 *	nonce: 00112233445566778899aabbccddeeff
 *	reason: incident 4711
 *	target: partner:klinik-nord
 *	-----BEGIN SSH SIGNATURE-----		one or more of them, over the exact bytes above
 *	...
 *	-----END SSH SIGNATURE-----
 *
 * Of a base and of signers the body goes on with an empty line and what they put in force: the
 * policy, or the allowed_signers. An order is known by the SHA-256 of its body. See weir-order(5).
 */
#ifndef WEIR_DOCUMENT_H
#define WEIR_DOCUMENT_H

#include "user/order/signers.h"
#include "user/order/sshsig.h"

enum {
	DOCUMENT_MAX_BYTES = 32 << 20, /* all of it */
	DOCUMENT_MAX_LINES = 512,      /* KEY: VALUE */
	DOCUMENT_MAX_LINE = 1024,      /* bytes */
	DOCUMENT_MAX_TARGETS = 256,
	DOCUMENT_MAX_HOSTS = 64,
	DOCUMENT_MAX_SIGNATURES = 16,
	DOCUMENT_TARGET = 127, /* bytes, as struct weir_order has room for */
	DOCUMENT_REASON = 191,
	DOCUMENT_NAME = 48,
	ORDER_ID_TEXT = 65, /* 64 hexadecimal digits, NUL */
};

/* One `key:` that may stand several times. */
struct document_list {
	const char **item;
	size_t count;
};

/* The blob of one signature, not read yet: what is wrong with it makes it not count. */
struct document_signature {
	uint8_t *blob;
	size_t length;
	uint32_t line; /* of its BEGIN */
};

struct document {
	enum order_kind kind;
	struct sshsig_digests digests; /* of the body */
	char id[ORDER_ID_TEXT];	       /* digests.sha256 as text */
	size_t body_length;	       /* the body is the first so many bytes */

	/* What the lines say; 0 or NULL where there is none. Times are wall time in ns. */
	uint64_t issued_ns;
	uint64_t until_ns; /* `until`, or `for` from `issued` on */
	uint64_t for_ns;
	uint64_t by_bytes;
	uint64_t version;
	const char *nonce;
	const char *reason;
	const char *grant;
	const char *prefix; /* of partner-add; it is one */
	const char *cut;    /* id of the cut that this reopens */
	struct document_list targets;
	struct document_list hosts; /* groups; none: all hosts */

	/* Behind the empty line: borrowed from the text that was read. */
	const char *content;
	size_t content_length;
	uint32_t content_line;
	struct signers signers; /* of kind signers: the content, read */

	struct document_signature signature[DOCUMENT_MAX_SIGNATURES];
	size_t signatures; /* 0: nobody has signed yet */

	char *text; /* what the lines' values point into */
};

/*
 * Reads an order; verifies nothing. The text has to outlive it. 0; -EBADMSG with a fault; -ENOMEM;
 * -EIO when libcrypto fails. Free with document_free() after success. A policy in it is text only:
 * whether it is a good one is for who may include policy/ to say.
 */
int document_read(const char *text, size_t length, struct document *document,
		  struct order_fault *fault);
void document_free(struct document *document);

/* True for a text of the form of policy/target.h, whether or not a policy has the name. */
bool document_is_target(const char *text);

#endif
