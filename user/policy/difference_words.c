/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * difference_words.c - the parts of a policy, as they would be written.
 */
#include <stdlib.h>
#include <time.h>

#include "user/base/address.h"
#include "user/base/units.h"
#include "user/policy/difference_parts.h"
#include "user/policy/words.h"

enum { FEW = 3 };

static const char *comma(size_t i)
{
	return i ? ", " : "";
}

void say_budget(const struct budget *budget, FILE *out)
{
	char bytes[BYTES_TEXT], span[SPAN_TEXT];

	if (budget->is_deny)
		fputs("deny", out);
	else if (!budget->count)
		fputs("none", out);
	for (size_t i = 0; i < budget->count; i++) {
		bytes_format(budget->window[i].bytes, bytes, sizeof(bytes));
		span_format(budget->window[i].window_ns, span, sizeof(span));
		fprintf(out, "%s%s/%s", comma(i), bytes, span);
	}
}

static void say_endpoint(const struct endpoint *endpoint, FILE *out)
{
	char protocol[PROTOCOL_NAME_BYTES];

	fprintf(out, "%s ", direction_name(endpoint->direction));
	if (endpoint->is_icmp) {
		fputs("icmp", out);
		return;
	}
	fputs(protocol_name(endpoint->protocol, protocol), out);
	if (!protocol_has_ports(endpoint->protocol))
		return;
	fprintf(out, "/%u", endpoint->port_first);
	if (endpoint->port_last != endpoint->port_first)
		fprintf(out, "-%u", endpoint->port_last);
}

void say_endpoints(const struct endpoints *list, FILE *out)
{
	for (size_t i = 0; i < list->count; i++) {
		fputs(comma(i), out);
		say_endpoint(&list->item[i], out);
	}
}

void say_selectors(const struct selectors *list, FILE *out)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct selector *selector = &list->item[i];

		fprintf(out, "%s%s%s", comma(i), selector->kind == SELECT_CLASS ? "class:" : "",
			selector->kind == SELECT_ANY ? "any" : selector->name);
	}
}

void say_names(const struct names *list, FILE *out)
{
	if (!list->count)
		fputs("none", out);
	for (size_t i = 0; i < list->count; i++)
		fprintf(out, "%s%s", comma(i), list->item[i].text);
}

static void say_days(uint8_t days, FILE *out)
{
	static const char *const name[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	bool is_first = true;

	for (int from = 0; from < 7; from++) {
		int until = from;

		if (!(days >> from & 1))
			continue;
		while (until < 6 && days >> (until + 1) & 1)
			until++;
		fprintf(out, "%s%s", is_first ? "" : ",", name[from]);
		if (until > from)
			fprintf(out, "-%s", name[until]);
		is_first = false;
		from = until;
	}
}

void say_hours(const struct hours_list *list, const char *zone, FILE *out)
{
	if (!list->count) {
		fputs("always", out);
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct hours *hours = &list->item[i];

		fputs(comma(i), out);
		say_days(hours->days, out);
		fprintf(out, " %02u:%02u-%02u:%02u", hours->from_minute / 60,
			hours->from_minute % 60, hours->until_minute / 60,
			hours->until_minute % 60);
	}
	if (zone)
		fprintf(out, " (%s)", zone);
}

void say_prefix(const struct prefix *prefix, FILE *out)
{
	char text[PREFIX_TEXT];

	prefix_format(prefix->address, prefix->bits, text, sizeof(text));
	fputs(text, out);
}

void say_prefixes(const struct prefixes *list, FILE *out)
{
	for (size_t i = 0; i < list->count && i < FEW; i++) {
		fputs(comma(i), out);
		say_prefix(&list->item[i], out);
	}
	if (list->count > FEW)
		fprintf(out, " and %zu more", list->count - FEW);
}

void say_strangers(const struct strangers *strangers, FILE *out)
{
	static const struct budget deny = {.is_deny = true}, none = {.is_none = true};

	fputs("serves ", out);
	say_budget(strangers->is_given ? &strangers->serves : &deny, out);
	fputs("; calls ", out);
	say_budget(strangers->is_given ? &strangers->calls : &deny, out);
	fputs("; total ", out);
	say_budget(strangers->is_given ? &strangers->total : &none, out);
}

/* The day as it is written; `until` includes its day, so its last moment lies on it. */
static void say_day(uint64_t wall_ns, FILE *out)
{
	time_t seconds = wall_ns / NS_PER_SECOND;
	struct tm day;
	char text[16];

	localtime_r(&seconds, &day);
	strftime(text, sizeof(text), "%Y-%m-%d", &day);
	fputs(text, out);
}

void say_drill(const struct drill *drill, FILE *out)
{
	char address[ADDRESS_TEXT];
	const char *open = address_is_v4(drill->address) ? "" : "[";

	if (!drill->port) {
		fputs(drill->is_allowed ? "true" : "false", out);
		return;
	}
	address_format(drill->address, address, sizeof(address));
	fprintf(out, "%s%s%s:%u", open, address, *open ? "]" : "", drill->port);
}

void say_validity(const struct validity *validity, FILE *out)
{
	if (!validity->from_ns && validity->until_ns == UINT64_MAX)
		fputs("always", out);
	if (validity->from_ns) {
		fputs("from ", out);
		say_day(validity->from_ns, out);
	}
	if (validity->until_ns != UINT64_MAX) {
		fputs(validity->from_ns ? " until " : "until ", out);
		say_day(validity->until_ns - 1, out);
	}
}

static bool is_limited(const struct validity *validity)
{
	return validity->from_ns || validity->until_ns != UINT64_MAX;
}

/* A stream into *text; NULL without memory. */
static char *words_of(const void *item, void (*say)(const void *item, FILE *out))
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	say(item, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void say_classes(const struct names *classes, FILE *out)
{
	if (!classes->count)
		return;
	fputs("; class ", out);
	say_names(classes, out);
}

void say_reserve(const struct reserve *reserve, FILE *out)
{
	char bytes[BYTES_TEXT], span[SPAN_TEXT];

	bytes_format(reserve->limit.bytes, bytes, sizeof(bytes));
	span_format(reserve->limit.window_ns, span, sizeof(span));
	if (reserve->limit.bytes)
		fprintf(out, "%s/%s", bytes, span);
	else
		fputs("none", out);
}

static void say_grant(const void *item, FILE *out)
{
	const struct grant *grant = item;

	say_selectors(&grant->services, out);
	fputs(" to ", out);
	say_selectors(&grant->partners, out);
	fputs(", ", out);
	say_endpoints(&grant->endpoints, out);
	fputs("; budget ", out);
	say_budget(&grant->budget, out);
	if (grant->reserve.limit.bytes) {
		fputs("; reserve ", out);
		say_reserve(&grant->reserve, out);
	}
	if (grant->hours.count) {
		fputs("; hours ", out);
		say_hours(&grant->hours, grant->zone.text, out);
	}
	if (is_limited(&grant->validity)) {
		fputs("; ", out);
		say_validity(&grant->validity, out);
	}
	if (grant->on_breach != WEIR_HOLD)
		fprintf(out, "; on_breach %s", breach_name(grant->on_breach));
	if (grant->mode == WEIR_OBSERVE)
		fputs("; mode observe", out);
	say_classes(&grant->classes, out);
}

static void say_service(const void *item, FILE *out)
{
	const struct service *service = item;

	say_names(&service->cgroups, out);
	if (service->budget.count) {
		fputs("; budget ", out);
		say_budget(&service->budget, out);
	}
	if (service->mode == WEIR_OBSERVE)
		fputs("; mode observe", out);
	if (service->strangers.is_given) {
		fputs("; strangers: ", out);
		say_strangers(&service->strangers, out);
	}
	say_classes(&service->classes, out);
}

static void say_partner(const void *item, FILE *out)
{
	const struct partner *partner = item;

	say_prefixes(&partner->addresses, out);
	if (partner->budget.count) {
		fputs("; budget ", out);
		say_budget(&partner->budget, out);
	}
	if (is_limited(&partner->validity)) {
		fputs("; ", out);
		say_validity(&partner->validity, out);
	}
	if (partner->drill.is_allowed) {
		fputs("; drill ", out);
		say_drill(&partner->drill, out);
	}
	say_classes(&partner->classes, out);
}

static void say_lifeline(const void *item, FILE *out)
{
	const struct lifeline *lifeline = item;

	fprintf(out, "%s ", lifeline->service.text);
	say_endpoints(&lifeline->endpoints, out);
	fputs(" to ", out);
	for (size_t i = 0; i < lifeline->to.count; i++) {
		fputs(comma(i), out);
		say_prefix(&lifeline->to.item[i], out);
	}
}

char *grant_words(const struct grant *grant)
{
	return words_of(grant, say_grant);
}

char *service_words(const struct service *service)
{
	return words_of(service, say_service);
}

char *partner_words(const struct partner *partner)
{
	return words_of(partner, say_partner);
}

char *lifeline_words(const struct lifeline *lifeline)
{
	return words_of(lifeline, say_lifeline);
}
