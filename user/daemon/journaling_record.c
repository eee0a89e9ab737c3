/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling_record.c - what the journal says of one order.
 */
#include "user/daemon/journaling.h"

#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/caller.h"
#include "user/daemon/host.h"

/* Of an order that was refused nobody has checked how long it is. */
enum { REFUSED_TARGETS = 16, REFUSED_BYTES = 256 };

static void put_some(struct json_out *json, const char *key, const char *text)
{
	if (text)
		json_put_text(json, key, text);
}

static void put_number(struct json_out *json, const char *key, uint64_t number)
{
	if (number)
		json_put_uint(json, key, number);
}

static void put_clipped(struct json_out *json, const char *key, const char *text)
{
	char clipped[REFUSED_BYTES + 1];

	snprintf(clipped, sizeof(clipped), "%s", text);
	json_put_text(json, key, clipped);
}

static void put_caller(struct json_out *json, const struct caller *caller)
{
	json_put_text(json, "text", caller->by);
	json_put_text(json, "user", caller->user);
	json_put_uint(json, "uid", caller->uid);
	if (!caller->has_login)
		return;
	json_put_text(json, "login", caller->login_user);
	json_put_uint(json, "login_uid", caller->login);
}

static void put_by(struct json_out *json, const struct caller *asker, const char *by)
{
	json_open(json, "by", '{');
	if (!by && asker)
		put_caller(json, asker);
	else
		json_put_text(json, "text", by ? by : "guard");
	json_close(json, '}');
}

static void put_targets(struct json_out *json, const struct journal_order *order, bool is_refused)
{
	size_t count = order->target_count;

	if (count == 0)
		return;
	if (is_refused && count > REFUSED_TARGETS) {
		json_put_uint(json, "target_count", count);
		count = REFUSED_TARGETS;
	}
	json_open(json, "targets", '[');
	for (size_t i = 0; i < count; i++) {
		if (is_refused)
			put_clipped(json, NULL, order->target[i]);
		else
			json_put_text(json, NULL, order->target[i]);
	}
	json_close(json, ']');
}

static void put_cuts(struct json_out *json, const struct journal_order *order)
{
	if (!order->cut)
		return;
	json_open(json, "cuts", '[');
	for (size_t i = 0; i < order->cut_count; i++) {
		const struct journal_cut *cut = &order->cut[i];

		json_open(json, NULL, '{');
		json_put_text(json, "id", cut->id);
		json_put_text(json, "target", cut->target);
		json_put_text(json, "how", cut->how);
		if (cut->exception[0])
			json_put_text(json, "exception", cut->exception);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_put_uint(json, "matched", order->cut_count);
}

static void put_policy(struct json_out *json, const struct journal_order *order)
{
	if (!order->policy_digest)
		return;
	json_open(json, "policy", '{');
	put_some(json, "name", order->policy_name);
	put_clipped(json, "digest", order->policy_digest);
	json_close(json, '}');
}

static void put_source(struct json_out *json, const struct journal_order *order)
{
	json_put_text(json, "source", order->body_sha256 ? "signed" : "local");
	if (!order->body_sha256)
		return;
	json_put_text(json, "body_sha256", order->body_sha256);
	json_open(json, "signatures", '[');
	for (size_t i = 0; i < order->signature_count; i++) {
		json_open(json, NULL, '{');
		json_put_text(json, "principal", order->signature[i].principal);
		json_put_text(json, "key", order->signature[i].key);
		json_close(json, '}');
	}
	json_close(json, ']');
}

/* Under four eyes: whose request this one made whole. */
static void put_first(struct json_out *json, const struct host *host)
{
	const struct first_person *first = &host->second_person.first;

	if (!host->second_person.has_first)
		return;
	json_open(json, "asked_by", '{');
	put_caller(json, &first->by);
	put_some(json, "reason", first->reason);
	put_number(json, "line", first->line);
	json_close(json, '}');
}

static void put_result(struct json_out *json, const struct journal_order *order, const char *why,
		       uint64_t failed)
{
	json_put_text(json, "result",
		      failed		      ? "failed"
		      : why		      ? "refused"
		      : order->waits_until_ns ? "asked"
					      : "accepted");
	put_number(json, "of", failed);
	if (why)
		put_clipped(json, "why", why);
}

static void put_all(struct json_out *json, const struct host *host,
		    const struct journal_order *order, const char *why, uint64_t failed)
{
	bool is_refused = why || order->waits_until_ns;

	json_open(json, NULL, '{');
	json_put_text(json, "kind", order->kind);
	put_some(json, "id", order->id);
	put_result(json, order, why, failed);
	put_number(json, "waits_until_ns", order->waits_until_ns);
	put_targets(json, order, is_refused);
	if (order->reason)
		put_clipped(json, "reason", order->reason);
	put_by(json, host->asker, order->by);
	put_first(json, host);
	put_number(json, "since_ns", order->since_ns);
	put_number(json, "until_ns", order->until_ns);
	if (order->grant && order->more_bytes) {
		put_clipped(json, "grant", order->grant);
		json_put_uint(json, "more_bytes", order->more_bytes);
		put_number(json, "drawn_bytes", order->drawn_bytes);
	}
	put_number(json, "parts", order->parts);
	put_some(json, "plan", order->plan);
	put_some(json, "stage", order->stage);
	put_some(json, "evidence", order->evidence);
	if (order->prefix)
		put_clipped(json, "prefix", order->prefix);
	if (order->order)
		put_clipped(json, "order", order->order);
	put_cuts(json, order);
	put_policy(json, order);
	if (order->has_ended)
		json_put_uint(json, "ended_connections", order->ended);
	put_some(json, "in_part", order->in_part);
	if (order->is_found)
		json_put_bool(json, "found", true);
	put_source(json, order);
	json_close(json, '}');
}

char *journaling_record(const struct host *host, const struct journal_order *order, const char *why,
			uint64_t failed)
{
	char *text = NULL;
	size_t length;
	struct json_out json = {.out = open_memstream(&text, &length)};

	if (!json.out)
		return NULL;
	put_all(&json, host, order, why, failed);
	if (fclose(json.out) == 0)
		return text;
	free(text);
	return NULL;
}
