/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* read_sections.c - the keys of a policy: one line each, and the sections that hold them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/policy/read.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define OPTIONAL false
#define REQUIRED true

/* ---- strangers --------------------------------------------------------------------------------*/

static const struct key stranger_keys[] = {
	{"serves", read_stranger_budget, offsetof(struct strangers, serves), OPTIONAL},
	{"calls", read_stranger_budget, offsetof(struct strangers, calls), OPTIONAL},
	{"total", read_budget, offsetof(struct strangers, total), OPTIONAL},
	{"on_breach", read_breach, offsetof(struct strangers, on_breach), OPTIONAL},
};

static void read_strangers(struct reader *reader, const struct node *value, void *field)
{
	struct strangers strangers = {
		.is_given = true,
		.serves.is_deny = true,
		.calls.is_deny = true,
		.total.is_none = true,
		.at = node_position(reader->tree, value),
	};

	read_keys(reader, value, stranger_keys, LENGTH(stranger_keys), &strangers, "strangers");
	*(struct strangers *)field = strangers;
}

/* ---- services ---------------------------------------------------------------------------------*/

static const struct key service_keys[] = {
	{"cgroup", read_cgroups, offsetof(struct service, cgroups), REQUIRED},
	{"class", read_classes, offsetof(struct service, classes), OPTIONAL},
	{"budget", read_budget, offsetof(struct service, budget), OPTIONAL},
	{"mode", read_mode, offsetof(struct service, mode), OPTIONAL},
	{"strangers", read_strangers, offsetof(struct service, strangers), OPTIONAL},
};

static void refuse_any(struct reader *reader, const struct node *key, const char *name)
{
	if (strcmp(name, "any") == 0)
		read_fault(reader, key, "\"any\" is no name: it stands for each");
}

static void refuse_built_in(struct reader *reader, const struct node *key, const char *name)
{
	static const char *const built_in[] = {"other", "stack", "forwarded"};
	size_t i;

	for (i = 0; i < LENGTH(built_in); i++)
		if (strcmp(name, built_in[i]) == 0)
			read_fault(reader, key, "service \"%s\" is built in", name);
}

static void read_service(struct reader *reader, const struct node *key, const struct node *value)
{
	struct policy *policy = reader->policy;
	struct service *service;
	struct name name = {0};

	/* A bad name is told, and the rest of it read all the same. */
	if (read_new_name(reader, key, &name)) {
		refuse_any(reader, key, name.text);
		refuse_built_in(reader, key, name.text);
	}
	service = ARRAY_ADD(policy->services, policy->service_count);
	if (!service) {
		free(name.text);
		reader->error = -ENOMEM;
		return;
	}
	policy->service_count++;
	service->name = name;
	service->mode = WEIR_ENFORCE;
	read_keys(reader, value, service_keys, LENGTH(service_keys), service, "a service");
}

/* ---- partners ---------------------------------------------------------------------------------*/

static const struct key partner_keys[] = {
	{"addresses", read_prefixes, offsetof(struct partner, addresses), REQUIRED},
	{"class", read_classes, offsetof(struct partner, classes), OPTIONAL},
	{"budget", read_budget, offsetof(struct partner, budget), OPTIONAL},
	{"from", read_from, offsetof(struct partner, validity), OPTIONAL},
	{"until", read_until, offsetof(struct partner, validity), OPTIONAL},
	{"info", read_info, 0, OPTIONAL},
	{"drill", read_drill, offsetof(struct partner, drill), OPTIONAL},
};

static void check_validity(struct reader *reader, const struct validity *validity)
{
	if (validity->until_ns < validity->from_ns)
		faults_add(reader->faults, SEVERITY_ERROR, validity->at,
			   "until is before from: it never holds");
}

/* A drill must reach nobody else. */
static void check_drill(struct reader *reader, const struct partner *partner)
{
	const struct drill *drill = &partner->drill;

	for (size_t i = 0; i < partner->addresses.count; i++) {
		const struct prefix *prefix = &partner->addresses.item[i];

		if (prefix_covers(prefix->address, prefix->bits, drill->address))
			return;
	}
	if (drill->port)
		faults_add(reader->faults, SEVERITY_ERROR, drill->at,
			   "the address to drill at is none of the partner's");
}

static void read_partner(struct reader *reader, const struct node *key, const struct node *value)
{
	struct policy *policy = reader->policy;
	struct partner *partner;
	struct name name = {0};

	if (read_new_name(reader, key, &name))
		refuse_any(reader, key, name.text);
	partner = ARRAY_ADD(policy->partners, policy->partner_count);
	if (!partner) {
		free(name.text);
		reader->error = -ENOMEM;
		return;
	}
	policy->partner_count++;
	partner->name = name;
	partner->validity.until_ns = UINT64_MAX;
	read_keys(reader, value, partner_keys, LENGTH(partner_keys), partner, "a partner");
	check_validity(reader, &partner->validity);
	check_drill(reader, partner);
}

/* ---- sections whose keys are names ------------------------------------------------------------*/

static void read_named(struct reader *reader, const struct node *value, const char *what,
		       void (*one)(struct reader *, const struct node *, const struct node *))
{
	const struct tree *tree = reader->tree;
	const struct node *name, *body;

	if (!read_is_mapping(reader, value, what))
		return;
	for (name = node_first(tree, value); name; name = node_next(tree, body)) {
		body = node_next(tree, name);
		if (!body)
			return;
		one(reader, name, body);
	}
}

static void read_services(struct reader *reader, const struct node *value, void *field)
{
	(void)field;
	read_named(reader, value, "services", read_service);
}

static void read_partners(struct reader *reader, const struct node *value, void *field)
{
	(void)field;
	read_named(reader, value, "partners", read_partner);
}

/* ---- grants -----------------------------------------------------------------------------------*/

static const struct key grant_keys[] = {
	{"name", read_name, offsetof(struct grant, name), REQUIRED},
	{"service", read_selectors, offsetof(struct grant, services), REQUIRED},
	{"partner", read_selectors, offsetof(struct grant, partners), REQUIRED},
	{"serves", read_serves, offsetof(struct grant, endpoints), OPTIONAL},
	{"calls", read_calls, offsetof(struct grant, endpoints), OPTIONAL},
	{"calls_back", read_calls_back, offsetof(struct grant, endpoints), OPTIONAL},
	{"budget", read_budget, offsetof(struct grant, budget), REQUIRED},
	{"reserve", read_reserve, offsetof(struct grant, reserve), OPTIONAL},
	{"hours", read_hours, offsetof(struct grant, hours), OPTIONAL},
	{"zone", read_zone, offsetof(struct grant, zone), OPTIONAL},
	{"from", read_from, offsetof(struct grant, validity), OPTIONAL},
	{"until", read_until, offsetof(struct grant, validity), OPTIONAL},
	{"on_breach", read_breach, offsetof(struct grant, on_breach), OPTIONAL},
	{"mode", read_mode, offsetof(struct grant, mode), OPTIONAL},
	{"class", read_classes, offsetof(struct grant, classes), OPTIONAL},
};

static void read_grant(struct reader *reader, const struct node *value, void *field)
{
	struct policy *policy = reader->policy;
	size_t errors = reader->faults->errors;
	struct grant *grant;

	(void)field;
	if (!read_is_mapping(reader, value, "a grant"))
		return;
	grant = ARRAY_ADD(policy->grants, policy->grant_count);
	if (!grant) {
		reader->error = -ENOMEM;
		return;
	}
	policy->grant_count++;
	grant->name.at = node_position(reader->tree, value);
	grant->on_breach = WEIR_HOLD;
	grant->mode = WEIR_ENFORCE;
	grant->validity.until_ns = UINT64_MAX;
	read_keys(reader, value, grant_keys, LENGTH(grant_keys), grant, "a grant");
	check_validity(reader, &grant->validity);
	if (grant->reserve.limit.bytes && grant->budget.is_none)
		faults_add(reader->faults, SEVERITY_ERROR, grant->reserve.at,
			   "a reserve without a budget: there is nothing to extend");
	if (grant->endpoints.count == 0 && reader->faults->errors == errors &&
	    !reader->tree->is_partial)
		read_fault(reader, value,
			   "one of \"serves\", \"calls\" and \"calls_back\" is missing in a grant");
	grant->is_faulty = reader->faults->errors > errors || reader->error < 0;
}

static void read_grants(struct reader *reader, const struct node *value, void *field)
{
	if (value->kind == NODE_LIST)
		read_each(reader, value, field, read_grant);
	else if (value->kind != NODE_BROKEN)
		read_fault(reader, value, "wrong type: grants is a list");
}

/* ---- lifeline ---------------------------------------------------------------------------------*/

static const struct key lifeline_keys[] = {
	{"service", read_name, offsetof(struct lifeline, service), REQUIRED},
	{"serves", read_serves, offsetof(struct lifeline, endpoints), OPTIONAL},
	{"calls", read_calls, offsetof(struct lifeline, endpoints), OPTIONAL},
	{"to", read_prefixes, offsetof(struct lifeline, to), REQUIRED},
	{"why", read_line, offsetof(struct lifeline, why), OPTIONAL},
	{"warn", read_windows, offsetof(struct lifeline, warn), OPTIONAL},
};

static void read_lifeline(struct reader *reader, const struct node *value, void *field)
{
	struct policy *policy = reader->policy;
	size_t errors = reader->faults->errors;
	struct lifeline *lifeline;

	(void)field;
	if (!read_is_mapping(reader, value, "a lifeline"))
		return;
	lifeline = ARRAY_ADD(policy->lifelines, policy->lifeline_count);
	if (!lifeline) {
		reader->error = -ENOMEM;
		return;
	}
	policy->lifeline_count++;
	lifeline->at = node_position(reader->tree, value);
	read_keys(reader, value, lifeline_keys, LENGTH(lifeline_keys), lifeline, "a lifeline");
	if (lifeline->endpoints.count == 0 && reader->faults->errors == errors &&
	    !reader->tree->is_partial)
		read_fault(reader, value, "\"serves\" or \"calls\" is missing in a lifeline");
}

static void read_lifelines(struct reader *reader, const struct node *value, void *field)
{
	if (value->kind == NODE_LIST)
		read_each(reader, value, field, read_lifeline);
	else if (value->kind != NODE_BROKEN)
		read_fault(reader, value, "wrong type: lifeline is a list");
}

/* ---- the policy itself ------------------------------------------------------------------------*/

/* The files themselves are among the sources already: sources_load() followed the patterns. Where
 * it did not, as in a signed order, the policy would be read without them. */
static void read_pattern(struct reader *reader, const struct node *value, void *field)
{
	(void)field;
	read_text(reader, value);
}

static void read_include(struct reader *reader, const struct node *value, void *field)
{
	if (!reader->has_included && !reader->tree->is_partial)
		read_fault(reader, value, "the files that it names are not here");
	read_each(reader, value, field, read_pattern);
}

static void read_misplaced(struct reader *reader, const struct node *value, void *field)
{
	(void)field;
	read_fault(reader, value,
		   "it belongs into the policy itself: a file that is included holds partners and "
		   "grants");
}

static const struct key policy_keys[] = {
	{"weir", read_version, 0, REQUIRED},
	{"name", read_name_text, offsetof(struct policy, name), REQUIRED},
	{"mode", read_mode, offsetof(struct policy, mode), REQUIRED},
	{"zone", read_zone_text, offsetof(struct policy, zone), OPTIONAL},
	{"four_eyes", read_flag, offsetof(struct policy, four_eyes), OPTIONAL},
	{"include", read_include, 0, OPTIONAL},
	{"lifeline", read_lifelines, 0, OPTIONAL},
	{"services", read_services, 0, OPTIONAL},
	{"partners", read_partners, 0, OPTIONAL},
	{"grants", read_grants, 0, OPTIONAL},
	{"strangers", read_strangers, offsetof(struct policy, strangers), OPTIONAL},
};

static const struct key included_keys[] = {
	{"partners", read_partners, 0, OPTIONAL},   {"grants", read_grants, 0, OPTIONAL},
	{"weir", read_misplaced, 0, OPTIONAL},	    {"name", read_misplaced, 0, OPTIONAL},
	{"mode", read_misplaced, 0, OPTIONAL},	    {"zone", read_misplaced, 0, OPTIONAL},
	{"include", read_misplaced, 0, OPTIONAL},   {"lifeline", read_misplaced, 0, OPTIONAL},
	{"services", read_misplaced, 0, OPTIONAL},  {"strangers", read_misplaced, 0, OPTIONAL},
	{"four_eyes", read_misplaced, 0, OPTIONAL},
};

void read_top(struct reader *reader, const struct node *root, bool is_included)
{
	if (is_included)
		read_keys(reader, root, included_keys, LENGTH(included_keys), reader->policy,
			  "an included file");
	else
		read_keys(reader, root, policy_keys, LENGTH(policy_keys), reader->policy,
			  "the policy");
}
