/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* addition.c - may a prefix be added to a partner for a while? */
#include "user/policy/addition.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/base/address.h"
#include "user/policy/target.h"

struct checking {
	const struct image *image;
	uint32_t partner;
	const uint8_t *address;
	uint8_t bits;
	char **problem;
	char text[PREFIX_TEXT];
};

static __attribute__((format(printf, 2, 3))) int refuse(const struct checking *checking,
							const char *format, ...)
{
	va_list arguments;

	if (!checking->problem)
		return -EINVAL;
	va_start(arguments, format);
	if (vasprintf(checking->problem, format, arguments) < 0)
		*checking->problem = NULL;
	va_end(arguments);
	return -EINVAL;
}

static int check_length(const struct checking *checking)
{
	bool is_v4 = checking->bits >= 96 && address_is_v4(checking->address);
	int least = is_v4 ? ADDITION_LEAST_V4 : ADDITION_LEAST_V6;

	if (checking->bits >= least + (is_v4 ? 96 : 0))
		return 0;
	return refuse(checking, "%s is too much: at least /%d of %s", checking->text, least,
		      is_v4 ? "IPv4" : "IPv6");
}

/* What is on no other host, or on all of them (RFC 6890, RFC 4291). */
static int check_range(const struct checking *checking)
{
	static const struct {
		const char *prefix, *what;
	} ranges[] = {
		{"0.0.0.0/8", "this host"},	  {"127.0.0.0/8", "loopback"},
		{"169.254.0.0/16", "link-local"}, {"224.0.0.0/3", "multicast, or reserved"},
		{"::/16", "loopback, or mapped"}, {"fe80::/10", "link-local"},
		{"ff00::/8", "multicast"},
	};
	uint8_t address[16], bits;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (prefix_parse(ranges[i].prefix, address, &bits) == 0 &&
		    prefix_covers(address, bits, checking->address))
			return refuse(checking, "%s is no partner's: %s", checking->text,
				      ranges[i].what);
	}
	return 0;
}

static int overlaps(const struct checking *checking, const struct image_prefix *prefix)
{
	char text[PREFIX_TEXT];

	prefix_format(prefix->address, prefix->bits, text, sizeof(text));
	return refuse(checking, "%s overlaps %s of partner %s", checking->text, text,
		      checking->image->partner_names[prefix->partner]);
}

/* Those around it, and those that begin where it does. */
static int check_around(const struct checking *checking)
{
	const struct image *image = checking->image;
	size_t behind = image_prefix_behind(image, checking->address);
	bool is_own = false;

	for (uint32_t at = behind ? behind - 1 : WEIR_ANY; at != WEIR_ANY;
	     at = image->prefixes[at].around) {
		const struct image_prefix *prefix = &image->prefixes[at];

		if (!prefix_covers(prefix->address, prefix->bits, checking->address))
			continue;
		if (prefix->partner != checking->partner)
			return overlaps(checking, prefix);
		is_own |= prefix->bits <= checking->bits;
	}
	if (!is_own)
		return 0;
	return refuse(checking, "%s is %s's by the policy", checking->text,
		      image->partner_names[checking->partner]);
}

/* Those that begin inside it, behind its first address. */
static int check_inside(const struct checking *checking)
{
	const struct image *image = checking->image;

	for (size_t i = image_prefix_behind(image, checking->address);
	     i < image->prefix_count &&
	     prefix_covers(checking->address, checking->bits, image->prefixes[i].address);
	     i++) {
		if (image->prefixes[i].partner != checking->partner)
			return overlaps(checking, &image->prefixes[i]);
	}
	return 0;
}

/* A lifeline's prefix around it may stand: its rules are of other services, and above all grants.
 */
static int check_lifeline(const struct checking *checking)
{
	const struct image *image = checking->image;
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < image->lifeline_prefix_count; i++) {
		const struct image_lifeline_prefix *prefix = &image->lifeline_prefixes[i];

		if (prefix->bits < checking->bits ||
		    !prefix_covers(checking->address, checking->bits, prefix->address))
			continue;
		prefix_format(prefix->address, prefix->bits, text, sizeof(text));
		return refuse(checking, "%s covers %s of the lifeline", checking->text, text);
	}
	return 0;
}

int addition_check_prefix(const uint8_t address[16], uint8_t bits, char **problem)
{
	struct checking checking = {NULL, WEIR_NO_PARTNER, address, bits, problem, ""};
	int r;

	prefix_format(address, bits, checking.text, sizeof(checking.text));
	r = check_length(&checking);
	return r < 0 ? r : check_range(&checking);
}

int addition_check(const struct image *image, uint32_t partner, const uint8_t address[16],
		   uint8_t bits, char **problem)
{
	struct checking checking = {image, partner, address, bits, problem, ""};
	int r = addition_check_prefix(address, bits, problem);

	prefix_format(address, bits, checking.text, sizeof(checking.text));
	if (r == 0)
		r = check_around(&checking);
	if (r == 0)
		r = check_inside(&checking);
	return r < 0 ? r : check_lifeline(&checking);
}

int addition_resolve(const struct image *image, const struct weir_order *order,
		     struct weir_override *override, char **problem)
{
	struct weir_cut_entry of = {0};
	int r = target_resolve(image, order->target, &of, problem);

	if (r < 0)
		return r;
	if (of.target != WEIR_TARGET_PARTNER || of.service != WEIR_ANY)
		return -EINVAL; /* of no order that was accepted */
	r = addition_check(image, of.index, order->address, order->prefix_bits, problem);
	if (r < 0)
		return r;
	override->at = (struct weir_cut_entry){.target = WEIR_TARGET_ADDRESS,
					       .service = WEIR_ANY,
					       .index = of.index,
					       .prefix_bits = order->prefix_bits};
	memcpy(override->at.address, order->address, sizeof(override->at.address));
	return 0;
}
