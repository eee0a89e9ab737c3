/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check_advice.c - warnings: what is allowed and seldom meant. */
#include <netinet/in.h>

#include "user/base/units.h"
#include "user/policy/check.h"

/* What a host needs while everything is cut, by where it calls. */
static const struct {
	uint8_t protocol;
	uint16_t port;
	const char *what;
} needed[] = {
	{IPPROTO_UDP, 123, "the time server"}, {IPPROTO_UDP, 514, "the log sink"},
	{IPPROTO_TCP, 514, "the log sink"},    {IPPROTO_TCP, 6514, "the log sink"},
	{IPPROTO_TCP, 1883, "the broker"},     {IPPROTO_TCP, 8883, "the broker"},
};

static void advise_day(struct check *check, const struct budget *budget)
{
	size_t i;

	for (i = 0; i < budget->count; i++)
		if (budget->window[i].window_ns == NS_PER_DAY)
			faults_add(check->faults, SEVERITY_WARNING, budget->at,
				   "a window of 24h catches last night's run when tonight's starts "
				   "early: take 20h");
}

static void advise_days(struct check *check)
{
	const struct policy *policy = check->policy;
	size_t i;

	for (i = 0; i < policy->service_count; i++)
		advise_day(check, &policy->services[i].budget);
	for (i = 0; i < policy->partner_count; i++)
		advise_day(check, &policy->partners[i].budget);
	for (i = 0; i < policy->grant_count; i++)
		advise_day(check, &policy->grants[i].budget);
}

/* The longest window then gives what it says, and the reserve once more for each of its spans. */
static void advise_reserves(struct check *check)
{
	for (size_t i = 0; i < check->policy->grant_count; i++) {
		const struct grant *grant = &check->policy->grants[i];
		const struct budget *budget = &grant->budget;

		if (grant->reserve.limit.bytes && budget->count &&
		    grant->reserve.limit.window_ns < budget->window[budget->count - 1].window_ns)
			faults_add(check->faults, SEVERITY_WARNING, grant->reserve.at,
				   "the reserve comes back before the longest window of the budget "
				   "is over");
	}
}

static bool covers(const struct endpoint *endpoint, enum weir_direction direction, uint8_t protocol,
		   uint16_t port)
{
	return endpoint->direction == direction && endpoint->protocol == protocol &&
	       endpoint->port_first <= port && port <= endpoint->port_last;
}

static bool is_in_lifeline(const struct policy *policy, enum weir_direction direction,
			   uint8_t protocol, uint16_t port)
{
	const struct endpoints *endpoints;
	size_t i, k;

	for (i = 0; i < policy->lifeline_count; i++) {
		endpoints = &policy->lifelines[i].endpoints;
		for (k = 0; k < endpoints->count; k++)
			if (covers(&endpoints->item[k], direction, protocol, port))
				return true;
	}
	return false;
}

static bool lifeline_serves_tcp(const struct policy *policy)
{
	size_t i, k;

	for (i = 0; i < policy->lifeline_count; i++)
		for (k = 0; k < policy->lifelines[i].endpoints.count; k++)
			if (policy->lifelines[i].endpoints.item[k].direction == WEIR_SERVES &&
			    policy->lifelines[i].endpoints.item[k].protocol == IPPROTO_TCP)
				return true;
	return false;
}

static void advise_lifeline(struct check *check)
{
	const struct policy *policy = check->policy;
	struct position at = {0, 1, 1};

	if (policy->lifeline_count == 0) {
		faults_add(check->faults, SEVERITY_WARNING, at,
			   "no lifeline: \"cut all\" ends the admins' connections and the resolver "
			   "too");
		return;
	}
	at = policy->lifelines[0].at;
	if (!lifeline_serves_tcp(policy))
		faults_add(check->faults, SEVERITY_WARNING, at,
			   "no lifeline serves the admins' way in (such as tcp/22)");
	if (!is_in_lifeline(policy, WEIR_CALLS, IPPROTO_UDP, 53))
		faults_add(check->faults, SEVERITY_WARNING, at,
			   "the resolver (udp/53) is outside the lifeline");
}

/* A grant for one of the needed ports says that the host has such a thing. */
static void advise_needed(struct check *check, const struct endpoint *endpoint)
{
	size_t i;

	if (endpoint->direction != WEIR_CALLS || endpoint->port_first != endpoint->port_last)
		return;
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (covers(endpoint, WEIR_CALLS, needed[i].protocol, needed[i].port) &&
		    !is_in_lifeline(check->policy, WEIR_CALLS, needed[i].protocol, needed[i].port))
			faults_add(check->faults, SEVERITY_WARNING, endpoint->at,
				   "%s (%s/%u) is outside the lifeline", needed[i].what,
				   needed[i].protocol == IPPROTO_TCP ? "tcp" : "udp",
				   needed[i].port);
}

void check_advice(struct check *check)
{
	const struct policy *policy = check->policy;
	size_t i, k;

	advise_days(check);
	advise_reserves(check);
	advise_lifeline(check);
	for (i = 0; i < policy->grant_count; i++)
		for (k = 0; k < policy->grants[i].endpoints.count; k++)
			advise_needed(check, &policy->grants[i].endpoints.item[k]);
}
