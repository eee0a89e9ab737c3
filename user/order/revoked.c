/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* revoked.c - which keys are taken back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/order/base64.h"
#include "user/order/signers.h"
#include "user/order/words.h"

static const char sha256[] = "SHA256:";

/* 43 characters of base64, whose padding ssh-keygen leaves out. */
static bool is_fingerprint(struct word word)
{
	size_t prefix = sizeof(sha256) - 1, length;
	uint8_t digest[33];
	char padded[44];

	if (word.length != prefix + 43)
		return false;
	memcpy(padded, word.text + prefix, 43);
	padded[43] = '=';
	return base64_decode(padded, sizeof(padded), digest, &length) == 0 && length == 32;
}

static int read_key(struct words *words, struct word type, struct revoked_key *revoked)
{
	struct word base64 = {0};
	const char *why;
	int r = words_next(words, &base64, "the key");

	if (r < 0)
		return r;
	revoked->blob = malloc(BASE64_DATA(base64.length));
	if (!revoked->blob)
		return -ENOMEM;
	if (ssh_key_read_words(type.text, type.length, base64.text, base64.length, revoked->blob,
			       &revoked->key, &why) < 0)
		return order_fault_set(words->fault, words->line.number, type.column, "%s", why);
	ssh_key_fingerprint(&revoked->key, revoked->fingerprint);
	return 0;
}

static int read_entry(struct line line, struct order_fault *fault, struct revoked_key *revoked)
{
	struct words words = {.at = line.text, .line = line, .fault = fault};
	struct word word = {0};
	int r = words_next(&words, &word, "a key");

	if (r < 0)
		return r;
	if (word.length < sizeof(sha256) - 1 || memcmp(word.text, sha256, sizeof(sha256) - 1) != 0)
		return read_key(&words, word, revoked);
	if (!is_fingerprint(word))
		return order_fault_set(fault, line.number, word.column,
				       "a fingerprint is SHA256: and 43 characters of base64");
	memcpy(revoked->fingerprint, word.text, word.length);
	return 0;
}

static int add_entry(struct revoked *revoked, struct line line, struct order_fault *fault)
{
	struct revoked_key key = {0}, *room;
	int r = read_entry(line, fault, &key);

	if (r == 0 && revoked->count == SIGNERS_MAX)
		r = order_fault_set(fault, line.number, 1, "a list has at most %d keys",
				    SIGNERS_MAX);
	room = r == 0 ? ARRAY_ADD(revoked->item, revoked->count) : NULL;
	if (r == 0 && !room)
		r = -ENOMEM;
	if (r < 0) {
		free(key.blob);
		return r;
	}
	*room = key;
	revoked->count++;
	return 0;
}

int revoked_read(const char *text, size_t length, struct revoked *revoked,
		 struct order_fault *fault)
{
	struct lines lines = {text, text + length, 1};
	struct revoked found = {0};
	struct line line;
	int r = lines_check(text, length, 1, fault);

	if (r == 0 && length > SIGNERS_MAX_BYTES)
		r = order_fault_set(fault, 1, 1, "a list of keys has at most %d KiB",
				    SIGNERS_MAX_BYTES >> 10);
	while (r == 0 && lines_next(&lines, &line)) {
		if (!words_are_comment(&line))
			r = add_entry(&found, line, fault);
	}
	if (r < 0) {
		revoked_free(&found);
		return r;
	}
	*revoked = found;
	return 0;
}

void revoked_free(struct revoked *revoked)
{
	for (size_t i = 0; i < revoked->count; i++)
		free(revoked->item[i].blob);
	free(revoked->item);
	*revoked = (struct revoked){0};
}

bool revoked_has(const struct revoked *revoked, const struct ssh_key *key)
{
	char fingerprint[SSH_FINGERPRINT_TEXT];

	ssh_key_fingerprint(key, fingerprint);
	for (size_t i = 0; i < revoked->count; i++) {
		const struct revoked_key *old = &revoked->item[i];

		if (strcmp(old->fingerprint, fingerprint) == 0 ||
		    (old->blob && ssh_key_is_same(&old->key, key)))
			return true;
	}
	return false;
}
