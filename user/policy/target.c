/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * target.c - what an order is about, read and written.
 */
#include "user/policy/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/policy/near.h"
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

	va_start(arguments, format);
	if (vasprintf(problem, format, arguments) < 0)
		*problem = NULL;
	va_end(arguments);
	return error;
}

static int fail_unknown(const struct image *image, const struct kind *kind, const char *name,
			char **problem)
{
	const char *near[NEAR_MAX];
	size_t count, found;
	char *const *names = names_of(image, kind->target, &count);
	char hint[3 * 80] = "";
	size_t length = 0;

	found = near_names(name, names, count, near);
	for (size_t i = 0; i < found; i++)
		length += snprintf(hint + length, sizeof(hint) - length, "%s\"%.64s\"",
				   i ? ", " : "", near[i]);
	return fail(problem, -ENOENT, "the policy has no %s \"%s\"%s%s", target_name(kind->target),
		    name, found ? "; near: " : "", hint);
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

/* Bits of a prefix behind the slash; -EINVAL when it is not a plain number up to `limit`. */
static int parse_bits(const char *text, unsigned limit, unsigned *bits)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	number = strtoul(text, &end, 10);
	if (*end || number > limit)
		return -EINVAL;
	*bits = number;
	return 0;
}

static bool has_host_bits(const uint8_t address[16], unsigned bits)
{
	for (unsigned i = bits; i < 128; i++) {
		if (address[i / 8] & (0x80 >> i % 8))
			return true;
	}
	return false;
}

static int resolve_address(const char *text, struct weir_cut_entry *entry, char **problem)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};
	unsigned base = 96, bits;

	if (length >= sizeof(host))
		return fail(problem, -EINVAL, "\"%s\" is not an address", text);
	memcpy(host, text, length);
	host[length] = 0;
	if (inet_pton(AF_INET, host, address + 12) != 1) {
		base = 0;
		if (inet_pton(AF_INET6, host, address) != 1)
			return fail(problem, -EINVAL, "\"%s\" is not an address", host);
	}
	bits = 128 - base;
	if (slash && parse_bits(slash + 1, 128 - base, &bits))
		return fail(problem, -EINVAL, "\"%s\" is not a number of bits up to %u", slash + 1,
			    128 - base);
	if (has_host_bits(address, base + bits))
		return fail(problem, -EINVAL, "\"%s\" has bits set behind its prefix", text);
	memcpy(entry->address, address, sizeof(address));
	entry->prefix_bits = base + bits;
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
	char *what, *at;
	int r;

	*problem = NULL;
	what = strdup(text);
	if (!what)
		return -ENOMEM;
	at = strstr(what, in_service);
	if (at) {
		*at = 0;
		r = resolve_name(image, &kinds[1], at + strlen(in_service), &found.service,
				 problem);
		if (r)
			goto out;
	}
	r = resolve_what(image, what, &found, problem);
	if (!r && at && found.target == WEIR_TARGET_SERVICE)
		r = fail(problem, -EINVAL, "\"%s\" narrows a service to a service", text);
	if (!r)
		*entry = found;
out:
	free(what);
	return r;
}

static void format_address(const struct weir_cut_entry *entry, char *buffer, size_t size)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_v4 = entry->prefix_bits >= 96 && !memcmp(entry->address, mapped, sizeof(mapped));
	char host[INET6_ADDRSTRLEN];

	inet_ntop(is_v4 ? AF_INET : AF_INET6, entry->address + (is_v4 ? 12 : 0), host,
		  sizeof(host));
	if (entry->prefix_bits == 128)
		snprintf(buffer, size, "addr:%s", host);
	else
		snprintf(buffer, size, "addr:%s/%u", host, entry->prefix_bits - (is_v4 ? 96 : 0));
}

char *target_format(const struct image *image, const struct weir_cut_entry *entry)
{
	char address[INET6_ADDRSTRLEN + 16];
	const char *name = "", *colon = "", *what = target_name(entry->target);
	const char *in = "", *service = "";
	size_t count;
	char *const *names = names_of(image, entry->target, &count);
	char *text;

	if (entry->target == WEIR_TARGET_ADDRESS) {
		format_address(entry, address, sizeof(address));
		what = address;
	} else if (names) {
		colon = ":";
		name = entry->index < count ? names[entry->index] : "?";
	}
	if (entry->service != WEIR_ANY && entry->target != WEIR_TARGET_NOTHING) {
		in = in_service;
		service = entry->service < image->head.services
				  ? image->service_names[entry->service]
				  : "?";
	}
	return asprintf(&text, "%s%s%s%s%s", what, colon, name, in, service) < 0 ? NULL : text;
}
