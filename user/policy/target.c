/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * target.c - what an order is about, read and written.
 */
#include "user/policy/target.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/policy/words.h"

static const char in_service[] = "@service:";

/* What a kind of name is looked up in. */
struct kind {
	const char *prefix; /* with the colon */
	enum weir_target target;
	uint32_t (*find)(const struct image *image, const char *name);
};

static const struct kind kinds[] = {
	{"partner:", WEIR_TARGET_PARTNER, image_partner},
	{"service:", WEIR_TARGET_SERVICE, image_service},
	{"class:", WEIR_TARGET_CLASS, image_class},
	{"grant:", WEIR_TARGET_GRANT, image_grant},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static char *const *names_of(const struct image *image, enum weir_target target, size_t *count)
{
	switch (target) {
	case WEIR_TARGET_PARTNER:
		*count = image->head.partners;
		return image->partner_names;
	case WEIR_TARGET_GRANT:
		*count = image->head.grants;
		return image->grant_names;
	case WEIR_TARGET_CLASS:
		*count = image->class_count;
		return image->class_names;
	case WEIR_TARGET_SERVICE:
		*count = image->head.services;
		return image->service_names;
	default:
		*count = 0;
		return NULL;
	}
}

static __attribute__((format(printf, 3, 4))) int fail(char **problem, int error, const char *format,
						      ...)
{
	va_list arguments;

	if (!problem)
		return error;
	va_start(arguments, format);
	if (vasprintf(problem, format, arguments) < 0)
		*problem = NULL;
	va_end(arguments);
	return error;
}

static int fail_unknown(const struct image *image, const struct kind *kind, const char *name,
			char **problem)
{
	size_t count;
	char *const *names = names_of(image, kind->target, &count);
	const char *near = problem ? near_name(name, names, count) : NULL;

	if (near)
		return fail(problem, -ENOENT, "the policy has no %s \"%s\"; did you mean \"%s\"?",
			    target_name(kind->target), name, near);
	return fail(problem, -ENOENT, "the policy has no %s \"%s\"", target_name(kind->target),
		    name);
}

static int resolve_name(const struct image *image, const struct kind *kind, const char *name,
			uint32_t *index, char **problem)
{
	uint32_t found;

	if (!*name)
		return fail(problem, -EINVAL, "%s needs a name", kind->prefix);
	found = kind->find(image, name);
	if (found == WEIR_ANY)
		return fail_unknown(image, kind, name, problem);
	*index = found;
	return 0;
}

static int resolve_address(const char *text, struct weir_cut_entry *entry, char **problem)
{
	uint8_t address[16], bits;

	switch (prefix_parse(text, address, &bits)) {
	case 0:
		break;
	case -ERANGE:
		return fail(problem, -EINVAL, "\"%s\" has no such length of a prefix", text);
	case -EDOM:
		return fail(problem, -EINVAL, "\"%s\" has bits set to the right of its prefix",
			    text);
	default:
		return fail(problem, -EINVAL, "\"%s\" is neither an address nor a prefix", text);
	}
	memcpy(entry->address, address, sizeof(address));
	entry->prefix_bits = bits;
	entry->target = WEIR_TARGET_ADDRESS;
	return 0;
}

/* Everything before "@service:". */
static int resolve_what(const struct image *image, const char *text, struct weir_cut_entry *entry,
			char **problem)
{
	uint32_t index;
	int r;

	if (!strcmp(text, "all") || !strcmp(text, "strangers")) {
		entry->target = *text == 'a' ? WEIR_TARGET_ALL : WEIR_TARGET_STRANGERS;
		return 0;
	}
	if (!strncmp(text, "addr:", 5))
		return resolve_address(text + 5, entry, problem);
	for (size_t i = 0; i < KINDS; i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, length))
			continue;
		r = resolve_name(image, &kinds[i], text + length, &index, problem);
		if (r)
			return r;
		entry->target = kinds[i].target;
		entry->index = index;
		return 0;
	}
	return fail(problem, -EINVAL,
		    "\"%s\" is no target: partner:NAME, service:NAME, class:NAME, grant:NAME, "
		    "strangers, addr:PREFIX, all, or one of them @service:NAME",
		    text);
}

int target_resolve(const struct image *image, const char *text, struct weir_cut_entry *entry,
		   char **problem)
{
	struct weir_cut_entry found = {.service = WEIR_ANY};
	_cleanup_free_ char *what = strdup(text);
	char *at;
	int r;

	if (problem)
		*problem = NULL;
	if (!what)
		return -ENOMEM;
	at = strstr(what, in_service);
	if (at) {
		*at = 0;
		r = resolve_name(image, &kinds[1], at + strlen(in_service), &found.service,
				 problem);
		if (r)
			return r;
	}
	r = resolve_what(image, what, &found, problem);
	if (!r && at && found.target == WEIR_TARGET_SERVICE)
		r = fail(problem, -EINVAL, "\"%s\" narrows a service to a service", text);
	if (!r)
		*entry = found;
	return r;
}

char *target_format(const struct image *image, const struct weir_cut_entry *entry)
{
	const char *what = target_name(entry->target), *name = "", *service = "";
	bool is_narrowed = entry->service != WEIR_ANY && entry->target != WEIR_TARGET_NOTHING;
	char prefix[PREFIX_TEXT], *text;
	size_t count;
	char *const *names = names_of(image, entry->target, &count);

	if (entry->target == WEIR_TARGET_ADDRESS) {
		prefix_format(entry->address, entry->prefix_bits, prefix, sizeof(prefix));
		name = prefix;
	} else if (names) {
		name = entry->index < count ? names[entry->index] : "?";
	}
	if (is_narrowed)
		service = entry->service < image->head.services
				  ? image->service_names[entry->service]
				  : "?";
	if (asprintf(&text, "%s%s%s%s%s", what, *name ? ":" : "", name,
		     is_narrowed ? in_service : "", service) < 0)
		return NULL;
	return text;
}
