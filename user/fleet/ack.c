/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ack.c - what became of an order on one host. */
#include "user/fleet/ack.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/fleet/fields.h"

static const char *const results[ACK_RESULTS] = {
	[ACK_DONE] = "done",
	[ACK_IN_PART] = "in-part",
	[ACK_REFUSED] = "refused",
	[ACK_NOT_FOR_US] = "not-for-us",
};

/* As its lines have it. */
struct written {
	struct ack ack;
	char result[16];
};

static const struct line_field fields[] = {
	{"weir-ack", LINE_VERSION, 0, 0, true},
	{"order", LINE_TEXT, offsetof(struct written, ack.order), ORDER_ID_TEXT, true},
	{"host", LINE_TEXT, offsetof(struct written, ack.host), FLEET_NAME + 1, true},
	{"result", LINE_TEXT, offsetof(struct written, result), 16, true},
	{"at", LINE_TIME, offsetof(struct written, ack.at_ns), 0, true},
	{"matched", LINE_NUMBER, offsetof(struct written, ack.matched), 0, false},
	{"version", LINE_NUMBER, offsetof(struct written, ack.version), 0, false},
	{"problem", LINE_TEXT, offsetof(struct written, ack.problem),
	 sizeof(((struct ack *)0)->problem), false},
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

const char *ack_result_name(enum ack_result result)
{
	return results[result];
}

bool ack_is_good(enum ack_result result)
{
	return result == ACK_DONE || result == ACK_NOT_FOR_US;
}

int ack_write(const struct ack *ack, const struct host_key *key, char **text, size_t *length)
{
	struct written written = {.ack = *ack};
	_cleanup_free_ char *body = NULL;

	strcpy(written.result, results[ack->result]);
	body = fields_write(fields, FIELDS, &written);
	return body ? signed_text_make(key, NAMESPACE_ACK, body, text, length) : -ENOMEM;
}

static int take_result(struct written *written, const char **why)
{
	for (size_t i = 0; i < ACK_RESULTS; i++) {
		if (strcmp(results[i], written->result) == 0) {
			written->ack.result = i;
			return 0;
		}
	}
	return ssh_refuse(why, "its result is none");
}

int ack_read(const char *text, size_t length, const struct topic *topic, const struct ssh_key *key,
	     struct ack *ack, const char **why)
{
	struct written written = {0};
	size_t body;
	int r = signed_text_open(text, length, key, NAMESPACE_ACK, &body, why);

	if (r == 0)
		r = fields_read(text, body, fields, FIELDS, &written, why);
	if (r == 0)
		r = take_result(&written, why);
	if (r == 0 && strcmp(written.ack.host, topic->host) != 0)
		r = ssh_refuse(why, "it is of another host");
	if (r == 0 && strcmp(written.ack.order, topic->id) != 0)
		r = ssh_refuse(why, "it is about another order");
	if (r == 0)
		*ack = written.ack;
	return r;
}
