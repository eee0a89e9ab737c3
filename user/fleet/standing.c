/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* standing.c - how a host is, as it says itself. */
#include "user/fleet/standing.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/fleet/fields.h"

#define AT(field)   offsetof(struct standing, field)
#define SIZE(field) sizeof(((struct standing *)0)->field)

static const struct line_field fields[] = {
	{"weir-host", LINE_VERSION, 0, 0, true},
	{"host", LINE_TEXT, AT(host), SIZE(host), true},
	{"at", LINE_TIME, AT(at_ns), 0, true},
	{"daemon", LINE_BOOL, AT(has_daemon), 0, true},
	{"policy", LINE_TEXT, AT(policy), SIZE(policy), false},
	{"base", LINE_NUMBER, AT(base), 0, false},
	{"base-holds", LINE_BOOL, AT(base_holds), 0, false},
	{"signers", LINE_NUMBER, AT(signers), 0, false},
	{"beat", LINE_NUMBER, AT(beat), 0, false},
	{"beat-issued", LINE_TIME, AT(beat_issued_ns), 0, false},
	{"cuts", LINE_NUMBER, AT(cuts), 0, true},
	{"clock", LINE_BOOL, AT(clock_is_trusted), 0, true},
	{"groups", LINE_TEXT, AT(groups), SIZE(groups), false},
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

int standing_write(const struct standing *standing, const struct host_key *key, char **text,
		   size_t *length)
{
	_cleanup_free_ char *body = fields_write(fields, FIELDS, standing);

	return body ? signed_text_make(key, NAMESPACE_HOST, body, text, length) : -ENOMEM;
}

int standing_read(const char *text, size_t length, const struct topic *topic,
		  const struct ssh_key *key, struct standing *standing, const char **why)
{
	struct standing found = {0};
	size_t body;
	int r = signed_text_open(text, length, key, NAMESPACE_HOST, &body, why);

	if (r == 0)
		r = fields_read(text, body, fields, FIELDS, &found, why);
	if (r == 0 && strcmp(found.host, topic->host) != 0)
		r = ssh_refuse(why, "it is of another host");
	if (r == 0)
		*standing = found;
	return r;
}
