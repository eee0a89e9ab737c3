/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* policy.c - the policy that holds when there is none, and freeing one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/policy/policy.h"

int policy_default(struct policy *policy)
{
	char *name = strdup("none");

	if (!name)
		return -ENOMEM;
	*policy = (struct policy){
		.name = name,
		.mode = WEIR_OBSERVE,
		.strangers =
			{
				.is_given = true,
				.serves.is_none = true,
				.calls.is_none = true,
				.total.is_none = true,
			},
	};
	return 0;
}

static void names_free(struct names *names)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		free(names->item[i].text);
	free(names->item);
}

static void selectors_free(struct selectors *selectors)
{
	size_t i;

	for (i = 0; i < selectors->count; i++)
		free(selectors->item[i].name);
	free(selectors->item);
}

static void service_free(struct service *service)
{
	free(service->name.text);
	names_free(&service->cgroups);
	names_free(&service->classes);
}

static void partner_free(struct partner *partner)
{
	free(partner->name.text);
	free(partner->addresses.item);
	names_free(&partner->classes);
	names_free(&partner->info_keys);
	names_free(&partner->info_values);
}

static void grant_free(struct grant *grant)
{
	free(grant->name.text);
	selectors_free(&grant->services);
	selectors_free(&grant->partners);
	free(grant->endpoints.item);
	free(grant->hours.item);
	free(grant->zone.text);
	names_free(&grant->classes);
}

static void lifeline_free(struct lifeline *lifeline)
{
	free(lifeline->service.text);
	free(lifeline->endpoints.item);
	free(lifeline->to.item);
	free(lifeline->why.text);
}

void policy_free(struct policy *policy)
{
	size_t i;

	for (i = 0; i < policy->lifeline_count; i++)
		lifeline_free(&policy->lifelines[i]);
	for (i = 0; i < policy->service_count; i++)
		service_free(&policy->services[i]);
	for (i = 0; i < policy->partner_count; i++)
		partner_free(&policy->partners[i]);
	for (i = 0; i < policy->grant_count; i++)
		grant_free(&policy->grants[i]);
	free(policy->lifelines);
	free(policy->services);
	free(policy->partners);
	free(policy->grants);
	free(policy->name);
	free(policy->zone);
	*policy = (struct policy){0};
}
