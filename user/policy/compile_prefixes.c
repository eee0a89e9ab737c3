/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile_prefixes.c - the partners' prefixes, sorted, each knowing the one around it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/policy/compile.h"

enum { DIGITS = 17 /* the bytes of the address, then the bits */ };

static unsigned digit_of(const struct image_prefix *prefix, int digit)
{
	return digit == DIGITS - 1 ? prefix->bits : prefix->address[digit];
}

/* One stable pass by one digit; `place` holds how often each value comes up. */
static void sort_digit(const struct image_prefix *from, struct image_prefix *to, size_t count,
		       int digit, uint32_t place[256])
{
	uint32_t sum = 0;

	for (size_t i = 0; i < 256; i++) {
		uint32_t here = place[i];

		place[i] = sum;
		sum += here;
	}
	for (size_t i = 0; i < count; i++)
		to[place[digit_of(&from[i], digit)]++] = from[i];
}

/*
 * Sorts by address, then bits: a radix sort from the last digit to the first. Digits that are the
 * same in all (twelve of sixteen with IPv4 alone) cost nothing.
 */
static int sort_prefixes(struct image_prefix **prefixes, size_t count)
{
	uint32_t places[DIGITS][256] = {0};
	struct image_prefix *from = *prefixes, *to;

	to = malloc(count * sizeof(*to));
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (int digit = 0; digit < DIGITS; digit++)
			places[digit][digit_of(&from[i], digit)]++;
	for (int digit = DIGITS - 1; digit >= 0; digit--) {
		struct image_prefix *swap = from;

		if (places[digit][digit_of(&from[0], digit)] == count)
			continue;
		sort_digit(from, to, count, digit, places[digit]);
		from = to;
		to = swap;
	}
	*prefixes = from;
	free(to);
	return 0;
}

static struct position position_of(const struct compile *c, const struct image_prefix *prefix)
{
	const struct partner *partner = &c->policy->partners[prefix->partner - 1];

	for (size_t i = 0; i < partner->addresses.count; i++) {
		const struct prefix *p = &partner->addresses.item[i];

		if (p->bits == prefix->bits &&
		    compile_holds(prefix->address, prefix->bits, p->address))
			return p->at;
	}
	return partner->name.at;
}

static int refuse_twice(struct compile *c, const struct image_prefix *a,
			const struct image_prefix *b)
{
	char text[PREFIX_TEXT];

	prefix_format(a->address, a->bits, text, sizeof(text));
	faults_add_pair(c->faults, SEVERITY_ERROR, position_of(c, b), position_of(c, a),
			"%s belongs to \"%s\" and to \"%s\"", text,
			c->image->partner_names[a->partner], c->image->partner_names[b->partner]);
	return -EBADMSG;
}

/* Drops what stands twice, and links each prefix to the one around it. */
static int link_prefixes(struct compile *c)
{
	struct image_prefix *item = c->image->prefixes;
	uint32_t kept = 0, around = WEIR_ANY;

	for (size_t i = 0; i < c->image->prefix_count; i++) {
		struct image_prefix *now = &item[i];

		while (around != WEIR_ANY &&
		       !compile_holds(item[around].address, item[around].bits, now->address))
			around = item[around].around;
		if (around != WEIR_ANY && item[around].bits == now->bits) {
			if (item[around].partner != now->partner)
				return refuse_twice(c, &item[around], now);
			continue;
		}
		now->around = around;
		item[kept] = *now;
		around = kept++;
	}
	c->image->prefix_count = kept;
	return 0;
}

int compile_prefixes(struct compile *c)
{
	const struct policy *policy = c->policy;
	struct image *image = c->image;
	size_t count = 0;
	int r;

	for (size_t i = 0; i < policy->partner_count; i++)
		count += policy->partners[i].addresses.count;
	if (!count)
		return 0;
	image->prefixes = malloc(count * sizeof(*image->prefixes));
	if (!image->prefixes)
		return -ENOMEM;
	for (size_t i = 0; i < policy->partner_count; i++) {
		const struct prefixes *addresses = &policy->partners[i].addresses;

		for (size_t j = 0; j < addresses->count; j++) {
			struct image_prefix *to = &image->prefixes[image->prefix_count++];

			*to = (struct image_prefix){.bits = addresses->item[j].bits,
						    .partner = i + 1};
			memcpy(to->address, addresses->item[j].address, sizeof(to->address));
			prefix_mask(to->address, to->bits);
		}
	}
	r = sort_prefixes(&image->prefixes, image->prefix_count);
	return r ? r : link_prefixes(c);
}
