/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_records.c - one record for each service, partner and grant, and their stable keys.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/policy/compile.h"

static void set_classes(const struct compile *c, const struct names *classes,
			__u64 words[WEIR_CLASS_WORDS])
{
	for (size_t i = 0; i < classes->count; i++) {
		uint32_t bit = image_class(c->image, classes->item[i].text);

		words[bit / 64] |= 1ull << (bit % 64);
	}
}

/* What is left out denies. */
static __u8 stranger_rule(const struct budget *budget)
{
	if (budget->is_none)
		return WEIR_UNLIMITED;
	return budget->count && !budget->is_deny ? WEIR_BUDGET : WEIR_DENY;
}

static void set_strangers(const struct strangers *from, struct weir_strangers *to)
{
	to->serves_rule = stranger_rule(&from->serves);
	to->calls_rule = stranger_rule(&from->calls);
	to->on_breach = from->on_breach;
	compile_limits(&from->serves, &to->serves);
	compile_limits(&from->calls, &to->calls);
	compile_limits(&from->total, &to->total);
}

static void set_services(struct compile *c)
{
	static const uint64_t builtin_keys[WEIR_SERVICE_NAMED] = {
		[WEIR_SERVICE_OTHER] = WEIR_KEY_SERVICE_OTHER,
		[WEIR_SERVICE_STACK] = WEIR_KEY_SERVICE_STACK,
		[WEIR_SERVICE_FORWARDED] = WEIR_KEY_SERVICE_FORWARDED,
	};
	const struct policy *policy = c->policy;

	for (uint32_t i = 0; i < c->image->head.services; i++) {
		struct weir_service *to = &c->image->services[i];
		const struct service *from;

		if (i < WEIR_SERVICE_NAMED) {
			to->key = builtin_keys[i];
			set_strangers(&policy->strangers, &to->strangers);
			continue;
		}
		from = &policy->services[i - WEIR_SERVICE_NAMED];
		to->key = image_key("service", from->name.text);
		to->mode = from->mode;
		set_classes(c, &from->classes, to->classes);
		compile_limits(&from->budget, &to->ceiling);
		set_strangers(from->strangers.is_given ? &from->strangers : &policy->strangers,
			      &to->strangers);
	}
}

static void set_partners(struct compile *c)
{
	c->image->partners[WEIR_NO_PARTNER].until_ns = UINT64_MAX;
	for (size_t i = 0; i < c->policy->partner_count; i++) {
		const struct partner *from = &c->policy->partners[i];
		struct weir_partner *to = &c->image->partners[i + 1];

		to->key = image_key("partner", from->name.text);
		to->from_ns = from->validity.from_ns;
		to->until_ns = from->validity.until_ns;
		set_classes(c, &from->classes, to->classes);
		compile_limits(&from->budget, &to->ceiling);
	}
}

static void set_grants(struct compile *c)
{
	for (size_t i = 0; i < c->policy->grant_count; i++) {
		const struct grant *from = &c->policy->grants[i];
		struct weir_grant *to = &c->image->grants[i + 1];

		to->key = image_key("grant", from->name.text);
		to->on_breach = from->on_breach;
		to->mode = from->mode;
		set_classes(c, &from->classes, to->classes);
		compile_limits(&from->budget, &to->budget);
		c->image->reserves[i + 1] = from->reserve.limit;
	}
}

/* ---- two names with one key
 * --------------------------------------------------------------------*/

struct keyed {
	uint64_t key;
	uint32_t index; /* into the policy's array */
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Sorts; returns the place of the second of two with one key, or `count`. */
static size_t find_collision(struct keyed *keyed, size_t count)
{
	if (count)
		qsort(keyed, count, sizeof(*keyed), by_key);
	for (size_t i = 1; i < count; i++) {
		if (keyed[i].key == keyed[i - 1].key)
			return i;
	}
	return count;
}

static int refuse_collision(struct compile *c, const struct keyed *keyed,
			    const struct name *(*name_of)(const struct policy *, uint32_t))
{
	const struct name *first = name_of(c->policy, keyed[-1].index);
	const struct name *second = name_of(c->policy, keyed->index);

	faults_add_pair(c->faults, SEVERITY_ERROR, second->at, first->at,
			"\"%s\" and \"%s\" have the same key: rename one", second->text,
			first->text);
	return -EBADMSG;
}

static const struct name *service_name(const struct policy *policy, uint32_t i)
{
	return &policy->services[i].name;
}

static const struct name *partner_name(const struct policy *policy, uint32_t i)
{
	return &policy->partners[i].name;
}

static const struct name *grant_name(const struct policy *policy, uint32_t i)
{
	return &policy->grants[i].name;
}

/* Meters of two names with one key would be one meter. */
static int check_keys(struct compile *c)
{
	const struct image *image = c->image;
	size_t services = c->policy->service_count, partners = c->policy->partner_count;
	size_t grants = c->policy->grant_count, at;
	_cleanup_free_ struct keyed *keyed =
		calloc(services + partners + grants + 1, sizeof(*keyed));

	if (!keyed)
		return -ENOMEM;
	for (size_t i = 0; i < services; i++)
		keyed[i] = (struct keyed){image->services[i + WEIR_SERVICE_NAMED].key, i};
	at = find_collision(keyed, services);
	if (at < services)
		return refuse_collision(c, &keyed[at], service_name);
	for (size_t i = 0; i < partners; i++)
		keyed[i] = (struct keyed){image->partners[i + 1].key, i};
	at = find_collision(keyed, partners);
	if (at < partners)
		return refuse_collision(c, &keyed[at], partner_name);
	for (size_t i = 0; i < grants; i++)
		keyed[i] = (struct keyed){image->grants[i + 1].key, i};
	at = find_collision(keyed, grants);
	return at < grants ? refuse_collision(c, &keyed[at], grant_name) : 0;
}

int compile_records(struct compile *c)
{
	struct image *image = c->image;

	image->services = calloc(image->head.services, sizeof(*image->services));
	image->partners = calloc(image->head.partners, sizeof(*image->partners));
	image->grants = calloc(image->head.grants, sizeof(*image->grants));
	image->reserves = calloc(image->head.grants, sizeof(*image->reserves));
	if (!image->services || !image->partners || !image->grants || !image->reserves)
		return -ENOMEM;
	set_services(c);
	set_partners(c);
	set_grants(c);
	return check_keys(c);
}
