/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * kind.h - the kinds of signed orders: in which namespace each is signed, and by how many.
 *
 * A signature is made in a namespace (PROTOCOL.sshsig, "namespace"), which is signed with the text:
 * so a signature on a cut says nothing about a reopening. What loosens takes two principals.
 */
#ifndef WEIR_KIND_H
#define WEIR_KIND_H

#include <stddef.h>

enum order_kind {
	ORDER_CUT,
	ORDER_REOPEN,
	ORDER_EXTEND,
	ORDER_PAUSE,
	ORDER_PARTNER_ADD,
	ORDER_BASE,
	ORDER_SIGNERS,
	ORDER_BEAT,
	ORDER_KINDS
};

enum order_namespace {
	NAMESPACE_CUT,
	NAMESPACE_REOPEN, /* of what loosens below the policy: reopen, extend, pause, partner-add */
	NAMESPACE_BASE,
	NAMESPACE_SIGNERS,
	NAMESPACE_BEAT,
	NAMESPACES
};

const char *kind_name(enum order_kind kind);
enum order_namespace kind_namespace(enum order_kind kind);
/* How many different principals have to sign it. */
unsigned int kind_principals(enum order_kind kind);
/* -EINVAL for a word that is no kind. */
int kind_parse(const char *word, enum order_kind *kind);

const char *namespace_name(enum order_namespace name); /* "cut@weir" */
int namespace_parse(const char *word, size_t length, enum order_namespace *name);

/* The nearest kind or namespace to a word, or NULL. */
const char *kind_near(const char *word);
const char *namespace_near(const char *word);

#endif
