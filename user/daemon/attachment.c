/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * attachment.c - what happened to the guard behind the daemon's back.
 */
#include "user/daemon/attachment.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/host.h"

static bool is_same(const struct guard_finding *a, const struct guard_finding *b)
{
	return strcmp(a->what, b->what) == 0 && strcmp(a->where, b->where) == 0;
}

static struct attachment_finding *find(struct attachment *attachment,
				       const struct guard_finding *finding)
{
	for (size_t i = 0; i < attachment->count; i++) {
		if (is_same(&attachment->item[i].finding, finding))
			return &attachment->item[i];
	}
	return NULL;
}

/* A free place, or that of the one which is over for the longest time. */
static struct attachment_finding *make_place(struct attachment *attachment)
{
	struct attachment_finding *oldest = NULL;

	if (attachment->count < ATTACHMENT_FINDINGS)
		return &attachment->item[attachment->count++];
	for (size_t i = 0; i < attachment->count; i++) {
		struct attachment_finding *item = &attachment->item[i];

		if (item->until_ns && (!oldest || item->until_ns < oldest->until_ns))
			oldest = item;
	}
	return oldest;
}

/* Interfaces come and go where any is an uplink: told, and no finding of which somebody has to
 * think. */
static bool is_usual(const struct guard_finding *finding)
{
	return finding->is_repaired && strncmp(finding->what, "uplink-", 7) == 0;
}

/* Another program, or an interface that is away or cannot have the edge, leaves the guard whole:
 * egress judges. */
static bool is_serious(const struct guard_finding *finding)
{
	return strcmp(finding->what, "foreign-program") != 0 &&
	       strcmp(finding->what, "no-edge") != 0 && strncmp(finding->what, "uplink-", 7) != 0;
}

/* What is not pinned judges as long as the daemon has it open, and ends with it. */
static bool is_of_pins(const struct guard_finding *finding)
{
	return strcmp(finding->what, "removed-pin") == 0 ||
	       strcmp(finding->what, "replaced-pin") == 0;
}

static void tell(struct host *host, const struct guard_finding *finding, uint64_t unseen_ns)
{
	struct record_field field[] = {{"what", finding->what, 0},
				       {"where", finding->where, 0},
				       {"detail", finding->detail, 0},
				       {"is_repaired", finding->is_repaired ? "yes" : "no", 0},
				       {"unjudged_ms_at_most", NULL, unseen_ns / 1000000}};
	size_t count = sizeof(field) / sizeof(field[0]) - !finding->is_open;

	if (is_usual(finding)) {
		host_tell(host, finding->what, RECORD_LOW, field, 3, "%s at %s: %s", finding->what,
			  finding->where, finding->detail);
		return;
	}
	host_tell(host, "tampered", is_serious(finding) ? RECORD_HIGH : RECORD_MEDIUM, field, count,
		  "%s at %s: %s%s", finding->what, finding->where, finding->detail,
		  finding->is_repaired ? "; it was put back" : "");
}

static void note(struct host *host, const struct guard_finding *finding)
{
	struct attachment *attachment = &host->attachment;
	struct attachment_finding *item = find(attachment, finding);
	bool goes_on = item && !item->until_ns && !finding->is_repaired;
	uint64_t unseen_since_ns =
		item && !item->until_ns ? item->unseen_since_ns : attachment->checked_ns;

	if (goes_on) {
		item->finding = *finding; /* its reason may be another by now */
		item->is_seen = true;
		return;
	}
	tell(host, finding, boot_now() - unseen_since_ns);
	if (is_usual(finding))
		return;
	if (!item) {
		item = make_place(attachment);
		if (!item) {
			attachment->unlisted++;
			return;
		}
		*item = (struct attachment_finding){0};
	}
	item->finding = *finding;
	item->since_ns = wall_now();
	item->unseen_since_ns = unseen_since_ns;
	item->until_ns = finding->is_repaired ? item->since_ns : 0;
	item->times += finding->is_repaired;
	item->is_seen = true;
}

static void end_unseen(struct host *host)
{
	for (size_t i = 0; i < host->attachment.count; i++) {
		struct attachment_finding *item = &host->attachment.item[i];
		struct record_field field[] = {{"what", item->finding.what, 0},
					       {"where", item->finding.where, 0}};

		if (item->until_ns || item->is_seen)
			continue;
		item->until_ns = wall_now();
		host_tell(host, "tamper-ended", RECORD_MEDIUM, field, 2, "%s at %s is over",
			  item->finding.what, item->finding.where);
	}
}

static void tell_failure(struct host *host, int error)
{
	if (host->attachment.is_whole || !host->attachment.checked_ns)
		host_tell(host, "unchecked", RECORD_HIGH,
			  (struct record_field[]){{"error", strerror(-error), 0}}, 1,
			  "the attachment could not be read back: %s", strerror(-error));
	host->attachment.is_whole = host->attachment.judges = false;
}

void attachment_check(struct host *host)
{
	struct attachment *attachment = &host->attachment;
	_cleanup_free_ struct guard_finding *finding = NULL;
	uint64_t now = boot_now();
	size_t count = 0;
	bool is_whole = true, judges = true;
	int r = guard_inspect(host->guard, &finding, &count);

	if (r == -ENOENT) {
		host->has_ended = true;
		host_tell(host, "unload", RECORD_HIGH, NULL, 0,
			  "the guard was taken off by another process: the daemon ends");
		return;
	}
	if (r < 0) {
		tell_failure(host, r);
		return;
	}
	for (size_t i = 0; i < attachment->count; i++)
		attachment->item[i].is_seen = false;
	for (size_t i = 0; i < count; i++) {
		note(host, &finding[i]);
		if (finding[i].is_repaired || !is_serious(&finding[i]))
			continue;
		is_whole = false;
		judges = judges && is_of_pins(&finding[i]);
	}
	end_unseen(host);
	attachment->is_whole = is_whole;
	attachment->judges = judges;
	attachment->checked_ns = now;
}

void attachment_tell_past(const struct guard_finding *finding, void *data)
{
	note(data, finding);
}

void attachment_say(const struct attachment *attachment, FILE *out)
{
	for (size_t i = 0; i < attachment->count; i++) {
		const struct attachment_finding *item = &attachment->item[i];

		if (!item->until_ns)
			fprintf(out, "weir: %s at %s: %s\n", item->finding.what,
				item->finding.where, item->finding.detail);
	}
}

void attachment_put(const struct host *host, struct json_out *reply)
{
	const struct attachment *attachment = &host->attachment;

	if (!attachment->checked_ns) {
		json_put_null(reply, "attachment"); /* without a daemon nobody watches */
		return;
	}
	json_open(reply, "attachment", '{');
	json_put_bool(reply, "is_whole", attachment->is_whole);
	json_put_uint(reply, "checked_ms_ago", (boot_now() - attachment->checked_ns) / 1000000);
	json_put_uint(reply, "unlisted", attachment->unlisted);
	json_open(reply, "findings", '[');
	for (size_t i = 0; i < attachment->count; i++) {
		const struct attachment_finding *item = &attachment->item[i];

		json_open(reply, NULL, '{');
		json_put_text(reply, "what", item->finding.what);
		json_put_text(reply, "where", item->finding.where);
		json_put_text(reply, "detail", item->finding.detail);
		json_put_uint(reply, "since", item->since_ns / NS_PER_SECOND);
		if (item->until_ns)
			json_put_uint(reply, "until", item->until_ns / NS_PER_SECOND);
		else
			json_put_null(reply, "until");
		json_put_uint(reply, "repaired", item->times);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	json_close(reply, '}');
}
