/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * about.c - what a policy says of a partner and of an address.
 */
#include "user/daemon/about.h"

#include "user/base/address.h"
#include "user/base/units.h"
#include "user/policy/question.h"
#include "user/policy/words.h"

enum { MOST_PREFIXES = 100, MOST_RULES = 200 };

/* ---- a partner ------------------------------------------------------------------------------ */

static void put_classes(const struct image *image, const __u64 classes[WEIR_CLASS_WORDS],
			struct json_out *reply)
{
	json_open(reply, "classes", '[');
	for (uint32_t bit = 0; bit < image->class_count; bit++) {
		if (classes[bit / 64] >> (bit % 64) & 1)
			json_put_text(reply, NULL, image->class_names[bit]);
	}
	json_close(reply, ']');
}

void about_info(const struct image *image, uint32_t partner, struct json_out *reply)
{
	json_open(reply, "info", '{');
	for (size_t i = 0; image->partner_info_keys && i < image->partner_info_keys[partner].count;
	     i++)
		json_put_text(reply, image->partner_info_keys[partner].item[i].text,
			      image->partner_info_values[partner].item[i].text);
	json_close(reply, '}');
}

static void put_prefixes(const struct image *image, uint32_t partner, struct json_out *reply)
{
	char text[PREFIX_TEXT];
	size_t count = 0;

	json_open(reply, "addresses", '[');
	for (size_t i = 0; i < image->prefix_count; i++) {
		const struct image_prefix *prefix = &image->prefixes[i];

		if (prefix->partner != partner || count++ >= MOST_PREFIXES)
			continue;
		prefix_format(prefix->address, prefix->bits, text, sizeof(text));
		json_put_text(reply, NULL, text);
	}
	json_close(reply, ']');
	json_put_uint(reply, "address_count", count);
}

static void put_validity(const struct weir_partner *partner, uint64_t wall_ns,
			 struct json_out *reply)
{
	if (partner->from_ns)
		json_put_uint(reply, "from", partner->from_ns / NS_PER_SECOND);
	if (partner->until_ns != UINT64_MAX)
		json_put_uint(reply, "until", partner->until_ns / NS_PER_SECOND);
	json_put_bool(reply, "is_valid",
		      wall_ns >= partner->from_ns && wall_ns < partner->until_ns);
}

static void put_rules(const struct image *image, uint32_t partner, struct json_out *reply)
{
	char endpoint[ENDPOINT_TEXT];
	size_t count = 0;

	json_open(reply, "may", '[');
	for (uint32_t service = 0; service < image->head.services; service++) {
		struct weir_span rules =
			image_rules_of(image, service, image->partners[partner].profile);

		for (uint32_t i = rules.first; i < rules.first + rules.count; i++) {
			const struct weir_rule *rule = &image->rules[i];

			if (count++ >= MOST_RULES)
				continue;
			endpoint_format(rule->protocol, rule->port_first, rule->port_last, endpoint,
					sizeof(endpoint));
			json_open(reply, NULL, '{');
			json_put_text(reply, "grant", image->grant_names[rule->grant]);
			json_put_text(reply, "service", image->service_names[service]);
			json_put_text(reply, "direction", direction_name(rule->direction));
			json_put_text(reply, "endpoint", endpoint);
			json_close(reply, '}');
		}
	}
	json_close(reply, ']');
	json_put_uint(reply, "may_count", count);
}

void about_partner(const struct image *image, uint32_t partner, uint64_t wall_ns,
		   struct json_out *reply)
{
	if (partner == WEIR_NO_PARTNER) {
		json_put_null(reply, "partner");
		return;
	}
	json_open(reply, "partner", '{');
	json_put_text(reply, "name", image->partner_names[partner]);
	put_classes(image, image->partners[partner].classes, reply);
	about_info(image, partner, reply);
	put_prefixes(image, partner, reply);
	put_validity(&image->partners[partner], wall_ns, reply);
	put_rules(image, partner, reply);
	json_close(reply, '}');
}

/* ---- an address ----------------------------------------------------------------------------- */

static void put_prefix(const struct image *image, const char *key,
		       const struct image_prefix *prefix, struct json_out *reply)
{
	char text[PREFIX_TEXT];

	if (!prefix) {
		json_put_null(reply, key);
		return;
	}
	prefix_format(prefix->address, prefix->bits, text, sizeof(text));
	json_open(reply, key, '{');
	json_put_text(reply, "prefix", text);
	json_put_text(reply, "partner", image->partner_names[prefix->partner]);
	json_close(reply, '}');
}

static bool is_same_family(const struct image_prefix *prefix, const uint8_t address[16])
{
	bool is_v4 = prefix->bits >= 96 && address_is_v4(prefix->address);

	return is_v4 == address_is_v4(address);
}

/* In front of the first prefix behind the address stand those that hold it, and those that end
 * before it: a nested one of these may be nearer than what is around that. */
static void put_near(const struct image *image, const uint8_t address[16], struct json_out *reply)
{
	size_t behind = image_prefix_behind(image, address), before = behind;

	while (before > 0 && prefix_covers(image->prefixes[before - 1].address,
					   image->prefixes[before - 1].bits, address))
		before--;
	json_open(reply, "near", '[');
	if (before > 0 && is_same_family(&image->prefixes[before - 1], address))
		put_prefix(image, NULL, &image->prefixes[before - 1], reply);
	if (behind < image->prefix_count && is_same_family(&image->prefixes[behind], address))
		put_prefix(image, NULL, &image->prefixes[behind], reply);
	json_close(reply, ']');
}

static void put_around(const struct image *image, const struct image_prefix *prefix,
		       const uint8_t address[16], struct json_out *reply)
{
	uint32_t at = prefix ? prefix->around : WEIR_ANY;

	json_open(reply, "around", '[');
	for (; at != WEIR_ANY; at = image->prefixes[at].around) {
		if (prefix_covers(image->prefixes[at].address, image->prefixes[at].bits, address))
			put_prefix(image, NULL, &image->prefixes[at], reply);
	}
	json_close(reply, ']');
}

static void put_lifeline(const struct image *image, struct weir_span rules, struct json_out *reply)
{
	char endpoint[ENDPOINT_TEXT];

	json_open(reply, "lifeline", '[');
	for (uint32_t i = rules.first; i < rules.first + rules.count; i++) {
		const struct weir_lifeline_rule *rule = &image->lifeline_rules[i];

		endpoint_format(rule->protocol, rule->port_first, rule->port_last, endpoint,
				sizeof(endpoint));
		json_open(reply, NULL, '{');
		json_put_text(reply, "service", image->service_names[rule->service]);
		json_put_text(reply, "direction", direction_name(rule->direction));
		json_put_text(reply, "endpoint", endpoint);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

static const char *rule_name(uint8_t rule)
{
	return rule == WEIR_DENY ? "deny" : rule == WEIR_BUDGET ? "budget" : "unlimited";
}

static void put_strangers(const struct image *image, struct json_out *reply)
{
	json_open(reply, "strangers", '[');
	for (uint32_t i = WEIR_SERVICE_NAMED; i < image->head.services; i++) {
		const struct weir_strangers *strangers = &image->services[i].strangers;

		json_open(reply, NULL, '{');
		json_put_text(reply, "service", image->service_names[i]);
		json_put_text(reply, "serves", rule_name(strangers->serves_rule));
		json_put_text(reply, "calls", rule_name(strangers->calls_rule));
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

void about_address(const struct image *image, const uint8_t address[16], uint32_t added,
		   uint64_t wall_ns, struct json_out *reply)
{
	const struct image_prefix *prefix = image_prefix_of(image, address);
	uint32_t partner = prefix ? prefix->partner : added;
	struct weir_span lifeline = image_lifeline_of(image, address);
	char text[ADDRESS_TEXT];

	address_format(address, text, sizeof(text));
	json_put_text(reply, "address", text);
	json_put_text(reply, "is",
		      partner != WEIR_NO_PARTNER ? "partner"
		      : lifeline.count		 ? "lifeline"
						 : "stranger");
	put_prefix(image, "prefix", prefix, reply);
	put_around(image, prefix, address, reply);
	put_near(image, address, reply);
	put_lifeline(image, lifeline, reply);
	about_partner(image, partner, wall_ns, reply);
	put_strangers(image, reply);
}
