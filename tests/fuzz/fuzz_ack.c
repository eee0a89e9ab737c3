/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_ack.c - what brokers have of hosts, of any bytes: refused with a reason, or the word of a
 * host that says the same when it is written again. The first byte says which it is: some are
 * signed here first, so that what stands behind the signature is reached too.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/fleet/ack.h"
#include "user/fleet/standing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct topic topic = {TOPIC_IS_ACK, "hub-1", ID};

/* A key of its own each time: none has to be kept. */
static const struct host_key *the_key(struct ssh_key *public)
{
	static struct host_key key;
	uint8_t raw[32], *to;
	size_t length = sizeof(raw);
	const char *why;

	if (!key.key) {
		key.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		if (!key.key || !EVP_PKEY_get_raw_public_key(key.key, raw, &length))
			abort();
		to = wire_put_string(key.blob, "ssh-ed25519", 11);
		wire_put_string(to, raw, sizeof(raw));
	}
	if (ssh_key_read((struct bytes){key.blob, sizeof(key.blob)}, public, &why) < 0)
		abort();
	return &key;
}

static void check_reason(int r, const char *why)
{
	if (r != 0 && (r != -EBADMSG || !why || !*why || strchr(why, '\n')))
		abort();
}

static void read_ack(const char *text, size_t length, const struct ssh_key *public)
{
	const char *why = NULL;
	struct ack ack, again;
	char *written;
	size_t written_length;
	int r = ack_read(text, length, &topic, public, &ack, &why);

	check_reason(r, why);
	if (r < 0)
		return;
	if (strcmp(ack.host, topic.host) != 0 || strcmp(ack.order, ID) != 0 ||
	    ack.result >= ACK_RESULTS ||
	    ack_write(&ack, the_key(&(struct ssh_key){0}), &written, &written_length) < 0)
		abort();
	r = ack_read(written, written_length, &topic, public, &again, &why);
	if (r < 0 || memcmp(&ack, &again, sizeof(ack)) != 0)
		abort();
	free(written);
}

static void read_standing(const char *text, size_t length, const struct ssh_key *public)
{
	const struct topic at = {.kind = TOPIC_IS_HOST, .host = "hub-1"};
	struct standing standing;
	const char *why = NULL;
	int r = standing_read(text, length, &at, public, &standing, &why);

	check_reason(r, why);
	if (r == 0 && strcmp(standing.host, "hub-1") != 0)
		abort();
}

static void read_signed(const char *body, bool is_ack, const struct host_key *key,
			const struct ssh_key *public)
{
	char *text;
	size_t length;

	if (signed_text_make(key, is_ack ? NAMESPACE_ACK : NAMESPACE_HOST, body, &text, &length) <
	    0)
		abort();
	if (is_ack)
		read_ack(text, length, public);
	else
		read_standing(text, length, public);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_key public;
	const struct host_key *key = the_key(&public);
	/* A copy of exactly its size: what is read behind its end is seen. */
	char *text = size > 1 ? calloc(1, size) : NULL;

	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	if (data[0] == 'a' || data[0] == 'h') {
		read_signed(text, data[0] == 'a', key, &public);
	} else if (data[0] == 't') {
		struct topic found = topic_parse(text);
		char name[TOPIC_TEXT];

		if (found.kind == TOPIC_IS_ACK &&
		    strcmp(topic_of_ack(found.host, found.id, name), text) != 0)
			abort();
	} else {
		read_ack(text, size - 1, &public);
		read_standing(text, size - 1, &public);
	}
	free(text);
	return 0;
}
