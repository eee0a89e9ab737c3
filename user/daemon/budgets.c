/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * budgets.c - which budgets apply to a target.
 */
#include "user/daemon/budgets.h"

#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/daemon/budget_state.h"
#include "user/daemon/cover.h"

enum { PACKET_BYTES = 1500, LARGE_PACKET_BYTES = 65536 };

/* TCP tries again after ever longer pauses; what must wait for longer than this is ended. */
static const uint64_t lately_ns = NS_PER_MINUTE;

struct search {
	struct host *host;
	const struct weir_cut_entry *target;
	struct budgets *budgets;
	bool *services, *partners; /* whose ceilings apply */
};

void budgets_free(struct budgets *budgets)
{
	free(budgets->item);
	free(budgets->as_stranger);
	latches_free(&budgets->latches);
	*budgets = (struct budgets){0};
}

static bool is_one_partner(const struct weir_cut_entry *target)
{
	return target->target == WEIR_TARGET_PARTNER;
}

static void note_refusal(struct budgets *budgets, uint64_t at)
{
	if (at > budgets->last_refused_ns)
		budgets->last_refused_ns = at;
}

/* Without a limit there is nothing to tell, but for a grant that one partner has. */
static int add(struct search *search, const struct budget_use *budget)
{
	struct budgets *budgets = search->budgets;
	struct budget_state state;
	struct budget_use *item;
	uint64_t edge;
	int r;

	if (!budget_limits(&search->host->image, budget)->window[0].window_ns &&
	    (budget->kind != BUDGET_GRANT || !is_one_partner(search->target)))
		return 0;
	r = budget_read(search->host, budgets->peer, budget, &state);
	if (r < 0)
		return r;
	item = ARRAY_ADD(budgets->item, budgets->count);
	if (!item)
		return -ENOMEM;
	budgets->count++;
	*item = *budget;
	item->used = budget_used(&state);
	item->is_full = budget_refuses(&state, PACKET_BYTES);
	item->is_tight = budget_refuses(&state, LARGE_PACKET_BYTES);
	if (budget->kind == BUDGET_STRANGER)
		note_refusal(budgets, state.told_ns);
	item->is_closed = !budget_is_open(search->host, budget, &edge);
	return 0;
}

static int add_grant(struct search *search, uint32_t grant, uint32_t service, uint32_t partner)
{
	const struct budget_use budget = {
		.kind = BUDGET_GRANT, .grant = grant, .service = service, .partner = partner};

	search->services[service] = true;
	search->partners[partner] = true;
	return add(search, &budget);
}

/* ---- what was charged ----------------------------------------------------------------------- */

static void sum(struct budgets *budgets, const struct weir_meter *meter)
{
	if (meter->grant_key == WEIR_KEY_EDGE) { /* inbound, and it carried nothing of ours */
		budgets->total.edge_packets += meter->refused_packets;
		budgets->total.edge_bytes += meter->refused_bytes;
		return;
	}
	total_add(&budgets->total, meter);
	if (meter->last_sent_ns > budgets->last_sent_ns)
		budgets->last_sent_ns = meter->last_sent_ns;
	if (meter->refused_packets)
		note_refusal(budgets, meter->told_ns);
}

static int note(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct search *search = data;
	const struct names_of_keys *names = &search->host->names;
	uint32_t service = names_service_index(names, meter->service_key);
	uint32_t grant = names_grant_index(names, meter->grant_key);
	uint32_t partner = meter->partner_key ? names_partner_index(names, meter->partner_key)
					      : WEIR_NO_PARTNER;
	int r = latches_note(&search->budgets->latches, key, meter);

	if (r < 0 || (key != WEIR_KEY_PEER && !account_is_counted(meter->grant_key)) ||
	    !target_holds_account(&search->host->image, search->target, service, partner, grant,
				  key == WEIR_KEY_PEER || meter->grant_key == WEIR_KEY_STRANGERS))
		return r;
	if (key == WEIR_KEY_PEER) { /* what it counts stands in an account; when it refused, here */
		note_refusal(search->budgets, meter->told_ns);
		return 0;
	}
	sum(search->budgets, meter);
	if (service == TABLE_NONE)
		return 0;
	if (meter->grant_key == WEIR_KEY_STRANGERS &&
	    (meter->sent_packets[0] || meter->sent_packets[1] || meter->refused_packets))
		search->budgets->as_stranger[service] = true;
	if (grant == TABLE_NONE || partner == TABLE_NONE || is_one_partner(search->target))
		return 0;
	return add_grant(search, grant, service, partner);
}

/* ---- what can be ---------------------------------------------------------------------------- */

static bool is_repeated(const struct image *image, struct weir_span rules, uint32_t at)
{
	for (uint32_t i = rules.first; i < at; i++) {
		if (image->rules[i].grant == image->rules[at].grant)
			return true;
	}
	return false;
}

/* Each (grant, service) that a rule can lead one partner to. */
static int add_rules(struct search *search, uint32_t partner)
{
	const struct image *image = &search->host->image;
	int r = 0;

	for (uint32_t service = 0; service < image->head.services; service++) {
		struct weir_span rules =
			image_rules_of(image, service, image->partners[partner].profile);

		if (search->target->service != WEIR_ANY && search->target->service != service)
			continue;
		for (uint32_t i = rules.first; i < rules.first + rules.count && r == 0; i++) {
			if (!is_repeated(image, rules, i))
				r = add_grant(search, image->rules[i].grant, service, partner);
		}
	}
	return r;
}

static struct budget_use of_service(enum budget_kind kind, uint32_t service)
{
	return (struct budget_use){
		.kind = kind, .service = service, .partner = WEIR_ANY, .grant = WEIR_ANY};
}

static int add_ceilings(struct search *search)
{
	const struct image *image = &search->host->image;
	int r = 0;

	for (uint32_t i = 0; i < image->head.services && r == 0; i++) {
		const struct budget_use ceiling = of_service(BUDGET_SERVICE, i);
		const struct budget_use strangers = of_service(BUDGET_STRANGERS, i);

		if (search->services[i] || search->budgets->as_stranger[i])
			r = add(search, &ceiling);
		if (search->budgets->as_stranger[i] && r == 0)
			r = add(search, &strangers);
	}
	for (uint32_t i = 1; i < image->head.partners && r == 0; i++) {
		const struct budget_use ceiling = {.kind = BUDGET_PARTNER,
						   .service = WEIR_ANY,
						   .partner = i,
						   .grant = WEIR_ANY};

		if (search->partners[i])
			r = add(search, &ceiling);
	}
	return r;
}

/* What one address may get of each service without a grant. */
static int add_stranger(struct search *search)
{
	const struct image *image = &search->host->image;
	int r = 0;

	for (uint32_t i = 0; i < image->head.services && r == 0; i++) {
		const struct weir_strangers *strangers = &image->services[i].strangers;
		struct budget_use budget = of_service(BUDGET_STRANGER, i);

		if ((search->target->service != WEIR_ANY && search->target->service != i) ||
		    i == WEIR_SERVICE_STACK || i == WEIR_SERVICE_FORWARDED)
			continue;
		if (strangers->serves_rule == WEIR_BUDGET) {
			budget.direction = WEIR_SERVES;
			search->budgets->as_stranger[i] = true;
			r = add(search, &budget);
		}
		if (strangers->calls_rule == WEIR_BUDGET && r == 0) {
			budget.direction = WEIR_CALLS;
			search->budgets->as_stranger[i] = true;
			r = add(search, &budget);
		}
	}
	return r;
}

/* ---- both ----------------------------------------------------------------------------------- */

/* The services that a target names. */
static void choose_services(struct search *search)
{
	const struct weir_cut_entry *target = search->target;
	uint32_t service = target->target == WEIR_TARGET_SERVICE ? target->index : target->service;

	if (service != WEIR_ANY)
		search->services[service] = true;
	else if (target->target == WEIR_TARGET_ALL)
		memset(search->services, true, search->host->image.head.services);
	if (is_one_partner(target))
		search->partners[target->index] = true;
}

/* A large packet finds no room while small ones, sent again, still trickle through. */
static void find_held(struct budgets *budgets)
{
	bool was_refused = budgets->last_refused_ns &&
			   (int64_t)(boot_now() - budgets->last_refused_ns) < (int64_t)lately_ns;

	for (size_t i = 0; i < budgets->count; i++)
		budgets->item[i].is_full |= was_refused && budgets->item[i].is_tight;
}

static int fullest_first(const void *left, const void *right)
{
	const struct budget_use *a = left, *b = right;

	if (a->is_full != b->is_full)
		return b->is_full - a->is_full;
	if (a->used != b->used)
		return a->used < b->used ? 1 : -1;
	return a->kind != b->kind ? (int)a->kind - (int)b->kind : 0;
}

int budgets_read(struct host *host, const struct weir_cut_entry *target, const uint8_t *peer,
		 struct budgets *budgets)
{
	const struct weir_policy_head *head = &host->image.head;
	_cleanup_free_ bool *services = calloc(head->services + 1, sizeof(bool));
	_cleanup_free_ bool *partners = calloc(head->partners + 1, sizeof(bool));
	struct search search = {host, target, budgets, services, partners};
	int r;

	*budgets = (struct budgets){.as_stranger = calloc(head->services + 1, sizeof(bool))};
	if (!services || !partners || !budgets->as_stranger)
		return -ENOMEM;
	if (peer)
		memcpy(budgets->peer, peer, sizeof(budgets->peer));
	choose_services(&search);
	r = guard_meters(host->guard, note, &search);
	if (r == 0 && is_one_partner(target))
		r = add_rules(&search, target->index);
	if (r == 0 && peer)
		r = add_stranger(&search);
	if (r == 0)
		r = add_ceilings(&search);
	find_held(budgets);
	if (r == 0 && budgets->count)
		qsort(budgets->item, budgets->count, sizeof(*budgets->item), fullest_first);
	return r;
}
