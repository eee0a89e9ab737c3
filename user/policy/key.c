/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * key.c - names -> the stable keys that meters, latches and events are found by.
 *
 * The key of the hash is fixed and public: a key must be the same on each host and after each
 * restart. Two names with one key are found by the compiler, which refuses the policy.
 */
#include <stdio.h>
#include <string.h>

#include "user/policy/image.h"
#include "user/policy/siphash.h"

/* "weir: stable key" in two words. */
static const uint64_t key_of_keys[2] = {0x203a726965772020ULL, 0x79656b2d656c6261ULL};

enum { FIRST_KEY = 256 /* below: enum weir_pseudo_key */, NAME_ROOM = 512 };

uint64_t image_key(const char *kind, const char *name)
{
	char text[NAME_ROOM];
	int length = snprintf(text, sizeof(text), "%s:%s", kind, name);
	uint64_t key;

	if (length < (int)sizeof(text))
		key = siphash(key_of_keys, text, length);
	else /* names are far shorter; still each byte counts */
		key = siphash(key_of_keys, kind, strlen(kind)) ^
		      weir_mix(siphash(key_of_keys, name, strlen(name)));
	return key < FIRST_KEY ? key + FIRST_KEY : key;
}
