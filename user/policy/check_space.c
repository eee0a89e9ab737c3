/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check_space.c - what only one may own: a prefix its partner, a cgroup path its service. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/policy/check.h"

/* Address and length stand side by side: together they are the key. */
enum { PREFIX_KEY_BYTES = 17 };
_Static_assert(offsetof(struct prefix, bits) == 16, "the key of a prefix has a gap");

/* start[i] is the number of the first prefix of partner i, counted over all. */
static uint32_t partner_of(const uint32_t *start, uint32_t partners, uint32_t number)
{
	uint32_t low = 0, high = partners, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (start[middle] <= number)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void tell_prefix(struct check *check, const uint32_t *start, uint32_t partner,
			const struct prefix *prefix, uint32_t number)
{
	const struct policy *policy = check->policy;
	uint32_t owner = partner_of(start, (uint32_t)policy->partner_count, number);
	const struct partner *other = &policy->partners[owner];
	char text[PREFIX_TEXT];

	prefix_format(prefix->address, prefix->bits, text, sizeof(text));
	if (owner == partner)
		faults_add_pair(check->faults, SEVERITY_ERROR, prefix->at,
				other->addresses.item[number - start[owner]].at,
				"%s is listed twice", text);
	else
		faults_add_pair(check->faults, SEVERITY_ERROR, prefix->at,
				other->addresses.item[number - start[owner]].at,
				"%s belongs to partner \"%s\" already", text,
				other->name.text ? other->name.text : "?");
}

/* One partner ahead: its slots are on their way while this one's are filled. */
static void prefetch(const struct table *owners, const struct prefixes *addresses)
{
	size_t i, few = addresses->count < 16 ? addresses->count : 16;

	for (i = 0; i < few; i++)
		table_prefetch(owners, &addresses->item[i], PREFIX_KEY_BYTES);
}

static int put_prefixes(struct check *check, struct table *owners, const uint32_t *start)
{
	const struct policy *policy = check->policy;
	const struct prefixes *addresses;
	uint32_t i, k, found;
	int r;

	for (i = 0; i < policy->partner_count; i++) {
		addresses = &policy->partners[i].addresses;
		if (i + 1 < policy->partner_count)
			prefetch(owners, &policy->partners[i + 1].addresses);
		for (k = 0; k < addresses->count; k++) {
			r = table_put(owners, &addresses->item[k], PREFIX_KEY_BYTES, start[i] + k,
				      &found);
			if (r < 0)
				return r;
			if (found != TABLE_NONE)
				tell_prefix(check, start, i, &addresses->item[k], found);
		}
	}
	return 0;
}

static int check_prefixes(struct check *check)
{
	const struct policy *policy = check->policy;
	_cleanup_free_ uint32_t *start = calloc(policy->partner_count + 1, sizeof(*start));
	struct table owners = {0};
	size_t i;
	int r;

	if (!start)
		return -ENOMEM;
	for (i = 0; i < policy->partner_count; i++)
		start[i + 1] = start[i] + (uint32_t)policy->partners[i].addresses.count;
	r = table_reserve(&owners, start[policy->partner_count]);
	if (r == 0)
		r = put_prefixes(check, &owners, start);
	table_free(&owners);
	return r;
}

static void tell_path(struct check *check, const struct name *path, uint32_t owner)
{
	const struct service *service = &check->policy->services[owner];
	size_t i;

	for (i = 0; i < service->cgroups.count; i++)
		if (strcmp(service->cgroups.item[i].text, path->text) == 0)
			break;
	faults_add_pair(check->faults, SEVERITY_ERROR, path->at, service->cgroups.item[i].at,
			"cgroup \"%s\" belongs to service \"%s\" already", path->text,
			service->name.text ? service->name.text : "?");
}

static int check_paths(struct check *check)
{
	const struct policy *policy = check->policy;
	const struct names *paths;
	struct table owners = {0};
	uint32_t i, k, found;
	int r = 0;

	for (i = 0; r == 0 && i < policy->service_count; i++) {
		paths = &policy->services[i].cgroups;
		for (k = 0; r == 0 && k < paths->count; k++) {
			r = table_put(&owners, paths->item[k].text, strlen(paths->item[k].text), i,
				      &found);
			if (r == 0 && found != TABLE_NONE)
				tell_path(check, &paths->item[k], found);
		}
	}
	table_free(&owners);
	return r;
}

int check_space(struct check *check)
{
	int r = check_prefixes(check);

	return r < 0 ? r : check_paths(check);
}
