/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* check_names.c - names: given twice, used but unknown, classes that nobody carries. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/policy/check.h"

/* Among 100,000 names one search takes 10 ms; a policy full of wrong names must still end soon. */
enum { NEAR_SEARCHES = 32, NEAR_MANY = 1000 };

/* Services that are there without being named: any selector may name them, `any` does not. */
static const char *const built_in[] = {"other", "forwarded"};
enum { BUILT_IN = 2 };

/* ---- definitions ------------------------------------------------------------------------------*/

/* Puts a name; when it is there already, `*first` is the number of the one that has it. */
static int put(struct table *table, const struct name *name, uint32_t value, uint32_t *first)
{
	*first = TABLE_NONE;
	if (!name->text)
		return 0;
	return table_put(table, name->text, strlen(name->text), value, first);
}

static void tell_twice(struct check *check, const char *what, const struct name *name,
		       const struct name *first)
{
	faults_add_pair(check->faults, SEVERITY_ERROR, name->at, first->at,
			"%s \"%s\" is defined twice", what, name->text);
}

static int define_services(struct check *check)
{
	const struct policy *policy = check->policy;
	uint32_t count = (uint32_t)policy->service_count, first, i;
	struct table *names = &check->services.names;
	int r;

	r = side_init(&check->services, count + BUILT_IN, count);
	for (i = 0; r == 0 && i < count; i++) {
		r = put(names, &policy->services[i].name, i, &first);
		if (first != TABLE_NONE)
			tell_twice(check, "service", &policy->services[i].name,
				   &policy->services[first].name);
	}
	for (i = 0; r == 0 && i < BUILT_IN; i++)
		r = table_put(names, built_in[i], strlen(built_in[i]), count + i, &first);
	return r;
}

static int define_partners(struct check *check)
{
	const struct policy *policy = check->policy;
	uint32_t count = (uint32_t)policy->partner_count, first, i;
	int r;

	r = side_init(&check->partners, count, count);
	if (r == 0)
		r = table_reserve(&check->partners.names, count);
	for (i = 0; r == 0 && i < count; i++) {
		r = put(&check->partners.names, &policy->partners[i].name, i, &first);
		if (first != TABLE_NONE)
			tell_twice(check, "partner", &policy->partners[i].name,
				   &policy->partners[first].name);
	}
	return r;
}

static int define_grants(struct check *check)
{
	const struct policy *policy = check->policy;
	uint32_t first, i;
	int r = 0;

	for (i = 0; r == 0 && i < policy->grant_count; i++) {
		r = put(&check->grants, &policy->grants[i].name, i, &first);
		if (first != TABLE_NONE)
			tell_twice(check, "grant", &policy->grants[i].name,
				   &policy->grants[first].name);
	}
	return r;
}

static int define_classes(struct check *check, const struct names *names, struct class_bits *bits)
{
	uint32_t bit, known;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < names->count; i++) {
		bit = (uint32_t)check->classes.count;
		r = put(&check->classes, &names->item[i], bit, &known);
		if (known != TABLE_NONE)
			bit = known;
		if (bit < CLASSES_MAX)
			class_bits_set(bits, bit);
		else if (known == TABLE_NONE && bit == CLASSES_MAX)
			faults_add(check->faults, SEVERITY_ERROR, names->item[i].at,
				   "class \"%s\": more than %d classes", names->item[i].text,
				   CLASSES_MAX);
	}
	return r;
}

static int define_all_classes(struct check *check)
{
	const struct policy *policy = check->policy;
	struct class_bits unused = {{0}};
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < policy->service_count; i++)
		r = define_classes(check, &policy->services[i].classes,
				   &check->services.classes[i]);
	for (i = 0; r == 0 && i < policy->partner_count; i++)
		r = define_classes(check, &policy->partners[i].classes,
				   &check->partners.classes[i]);
	for (i = 0; r == 0 && i < policy->grant_count; i++)
		r = define_classes(check, &policy->grants[i].classes, &unused);
	return r;
}

/* ---- uses -------------------------------------------------------------------------------------*/

static const char *near_service(const struct check *check, const char *word)
{
	const struct policy *policy = check->policy;
	struct near near;
	size_t i;

	near_start(&near, word);
	for (i = 0; i < policy->service_count; i++)
		near_try(&near, policy->services[i].name.text);
	for (i = 0; i < BUILT_IN; i++)
		near_try(&near, built_in[i]);
	return near.best;
}

static const char *near_partner(struct check *check, const char *word)
{
	const struct policy *policy = check->policy;
	struct near near;
	size_t i;

	if (policy->partner_count > NEAR_MANY && check->near_searches++ >= NEAR_SEARCHES)
		return NULL;
	near_start(&near, word);
	for (i = 0; i < policy->partner_count; i++)
		near_try(&near, policy->partners[i].name.text);
	return near.best;
}

static void tell_unknown(struct check *check, const char *what, const char *name,
			 struct position at, const char *near)
{
	if (near)
		faults_add(check->faults, SEVERITY_ERROR, at,
			   "unknown %s \"%s\": did you mean \"%s\"?", what, name, near);
	else
		faults_add(check->faults, SEVERITY_ERROR, at, "unknown %s \"%s\"", what, name);
}

static void use_service(struct check *check, const char *name, struct position at)
{
	if (strcmp(name, "stack") == 0)
		faults_add(
			check->faults, SEVERITY_ERROR, at,
			"service \"stack\": the kernel's own packets pass without a grant, so it "
			"never matches");
	else if (table_get(&check->services.names, name, strlen(name)) == TABLE_NONE)
		tell_unknown(check, "service", name, at, near_service(check, name));
}

static void use_partner(struct check *check, const char *name, struct position at)
{
	if (table_get(&check->partners.names, name, strlen(name)) == TABLE_NONE)
		tell_unknown(check, "partner", name, at, near_partner(check, name));
}

/* The nearest class that some member of the side carries. */
static const char *near_class(const struct check *check, const struct side *side, const char *word)
{
	const struct table_slot *slot = check->classes.slot;
	struct class_bits one;
	struct near near;
	size_t i;

	near_start(&near, word);
	for (i = 0; i < check->classes.size; i++) {
		if (!slot[i].key || slot[i].value >= CLASSES_MAX)
			continue;
		one = (struct class_bits){{0}};
		class_bits_set(&one, slot[i].value);
		if (class_bits_meet(&one, &side->carried))
			near_try(&near, slot[i].key);
	}
	return near.best;
}

static void use_class(struct check *check, const struct side *side, const char *what,
		      const char *name, struct position at)
{
	uint32_t bit = table_get(&check->classes, name, strlen(name));
	struct class_bits one = {{0}};
	const char *near;

	if (bit != TABLE_NONE && bit >= CLASSES_MAX)
		return;
	if (bit != TABLE_NONE)
		class_bits_set(&one, bit);
	if (class_bits_meet(&one, &side->carried))
		return;
	near = near_class(check, side, name);
	if (near)
		faults_add(check->faults, SEVERITY_WARNING, at,
			   "class \"%s\" has no members: no %s carries it; did you mean \"%s\"?",
			   name, what, near);
	else
		faults_add(check->faults, SEVERITY_WARNING, at,
			   "class \"%s\" has no members: no %s carries it", name, what);
}

static void use_selectors(struct check *check, const struct grant *grant)
{
	const struct selector *selector;
	size_t i;

	for (i = 0; i < grant->services.count; i++) {
		selector = &grant->services.item[i];
		if (selector->kind == SELECT_NAME)
			use_service(check, selector->name, selector->at);
		else if (selector->kind == SELECT_CLASS)
			use_class(check, &check->services, "service", selector->name, selector->at);
	}
	for (i = 0; i < grant->partners.count; i++) {
		selector = &grant->partners.item[i];
		if (selector->kind == SELECT_NAME)
			use_partner(check, selector->name, selector->at);
		else if (selector->kind == SELECT_CLASS)
			use_class(check, &check->partners, "partner", selector->name, selector->at);
	}
}

static int resolve_reaches(struct check *check)
{
	const struct policy *policy = check->policy;
	const struct grant *grant;
	size_t i;
	int r;

	check->service_reach = calloc(policy->grant_count + 1, sizeof(*check->service_reach));
	check->partner_reach = calloc(policy->grant_count + 1, sizeof(*check->partner_reach));
	if (!check->service_reach || !check->partner_reach)
		return -ENOMEM;
	for (i = 0; i < policy->grant_count; i++) {
		grant = &policy->grants[i];
		r = reach_init(&check->service_reach[i], &grant->services, &check->services,
			       &check->classes);
		if (r == 0)
			r = reach_init(&check->partner_reach[i], &grant->partners, &check->partners,
				       &check->classes);
		if (r < 0)
			return r;
	}
	return 0;
}

int check_names(struct check *check)
{
	const struct policy *policy = check->policy;
	size_t i;
	int r;

	r = define_services(check);
	if (r == 0)
		r = define_partners(check);
	if (r == 0)
		r = define_grants(check);
	if (r == 0)
		r = define_all_classes(check);
	if (r == 0)
		r = side_group(&check->services);
	if (r == 0)
		r = side_group(&check->partners);
	if (r < 0)
		return r;
	for (i = 0; i < policy->lifeline_count; i++)
		if (policy->lifelines[i].service.text)
			use_service(check, policy->lifelines[i].service.text,
				    policy->lifelines[i].service.at);
	for (i = 0; i < policy->grant_count; i++)
		use_selectors(check, &policy->grants[i]);
	return resolve_reaches(check);
}

void check_names_free(struct check *check)
{
	size_t i;

	for (i = 0; i < check->policy->grant_count; i++) {
		if (check->service_reach)
			reach_free(&check->service_reach[i]);
		if (check->partner_reach)
			reach_free(&check->partner_reach[i]);
	}
	free(check->service_reach);
	free(check->partner_reach);
	side_free(&check->services);
	side_free(&check->partners);
	table_free(&check->classes);
	table_free(&check->grants);
}
