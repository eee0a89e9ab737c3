/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* kind.c - the kinds of signed orders. */
#include "user/order/kind.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

static const char *const namespaces[NAMESPACES] = {
	[NAMESPACE_CUT] = "cut@weir",	[NAMESPACE_REOPEN] = "reopen@weir",
	[NAMESPACE_BASE] = "base@weir", [NAMESPACE_SIGNERS] = "signers@weir",
	[NAMESPACE_BEAT] = "beat@weir",
};

static const struct {
	const char *name;
	enum order_namespace in;
	unsigned int principals;
} kinds[ORDER_KINDS] = {
	[ORDER_CUT] = {"cut", NAMESPACE_CUT, 1},
	[ORDER_REOPEN] = {"reopen", NAMESPACE_REOPEN, 2},
	[ORDER_EXTEND] = {"extend", NAMESPACE_REOPEN, 2},
	[ORDER_PAUSE] = {"pause", NAMESPACE_REOPEN, 2},
	[ORDER_PARTNER_ADD] = {"partner-add", NAMESPACE_REOPEN, 2},
	[ORDER_BASE] = {"base", NAMESPACE_BASE, 2},
	[ORDER_SIGNERS] = {"signers", NAMESPACE_SIGNERS, 2},
	[ORDER_BEAT] = {"beat", NAMESPACE_BEAT, 1},
};

const char *kind_name(enum order_kind kind)
{
	return kinds[kind].name;
}

enum order_namespace kind_namespace(enum order_kind kind)
{
	return kinds[kind].in;
}

unsigned int kind_principals(enum order_kind kind)
{
	return kinds[kind].principals;
}

int kind_parse(const char *word, enum order_kind *kind)
{
	for (size_t i = 0; i < ORDER_KINDS; i++) {
		if (strcmp(kinds[i].name, word) == 0) {
			*kind = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *namespace_name(enum order_namespace name)
{
	return namespaces[name];
}

int namespace_parse(const char *word, size_t length, enum order_namespace *name)
{
	for (size_t i = 0; i < NAMESPACES; i++) {
		if (strlen(namespaces[i]) == length && memcmp(namespaces[i], word, length) == 0) {
			*name = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *kind_near(const char *word)
{
	struct near near;

	near_start(&near, word);
	for (size_t i = 0; i < ORDER_KINDS; i++)
		near_try(&near, kinds[i].name);
	return near.best;
}

const char *namespace_near(const char *word)
{
	return near_name(word, (char *const *)namespaces, NAMESPACES);
}
