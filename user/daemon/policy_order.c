/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy_order.c - whose word another policy takes, and its line in the journal.
 */
#include "user/daemon/policy_order.h"

#include "user/base/hex.h"
#include "user/daemon/cutting.h"
#include "user/daemon/store.h"

/* `digest` is the line's own. */
static struct journal_order line_of(const struct host *host, const struct policy_order *order,
				    char digest[DIGEST_TEXT])
{
	struct journal_order line = {.kind = order->kind,
				     .reason = order->reason,
				     .since_ns = host_wall(host),
				     .until_ns = order->until_ns,
				     .policy_name = order->image->name,
				     .policy_digest = digest};

	hex_format(order->image->head.digest, 32, digest);
	if (order->origin) {
		line.body_sha256 = order->origin->id;
		line.signature = order->origin->signature;
		line.signature_count = order->origin->signature_count;
	}
	return line;
}

static int ask(struct host *host, const struct policy_order *order, bool is_needed, char **problem)
{
	char digest[DIGEST_TEXT];
	const struct journal_order line = line_of(host, order, digest);
	/* Whose bytes are others is another policy; what it comes in place of, a change of the
	 * policy in force voids. */
	const struct second_ask second = {.order = &line, .same = digest, .is_needed = is_needed};

	return second_person(host, &second, problem);
}

/* Comparing takes its time, and few hosts need it. `after` as for store_loosens(). */
static bool takes_two(const struct host *host, const struct policy_choice *after)
{
	static const struct policy_choice in_force;
	bool is_under_four_eyes, loosens;

	if (host->image.four_eyes && store_loosens(host, after))
		return true;
	if (!host->trial_until_ns)
		return false;
	loosens = store_trial_loosens(host, after ? after : &in_force, &is_under_four_eyes);
	return is_under_four_eyes && (loosens || !after);
}

int policy_order_ask(struct host *host, const struct policy_order *order, char **problem)
{
	struct policy_choice after = {0};

	if (order->origin || !host->asker)
		return 0;
	if (order->sources)
		after.sources = *order->sources;
	return takes_two(host, order->sources ? &after : NULL) ? ask(host, order, true, problem)
							       : 0;
}

int policy_order_ask_to_stay(struct host *host, const struct policy_order *order, char **problem)
{
	static const struct policy_choice in_force;
	bool is_under_four_eyes, loosens;

	if (!host->asker)
		return 0;
	loosens = store_trial_loosens(host, &in_force, &is_under_four_eyes);
	if (!loosens || !(is_under_four_eyes || host->image.four_eyes))
		return 0;
	return ask(host, order, true, problem);
}

int policy_order_journal(struct host *host, const struct policy_order *order, char **problem)
{
	char digest[DIGEST_TEXT];
	const struct journal_order line = line_of(host, order, digest);

	return journaling_before(host, &line, problem);
}
