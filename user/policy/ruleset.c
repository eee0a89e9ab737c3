/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ruleset.c - a policy and its cuts as an nftables ruleset. */
#include "user/policy/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/policy/ruleset_parts.h"

/* ---- the lifeline --------------------------------------------------------------------------- */

static int lifeline_chain(const struct image *image, struct weir_span span,
			  struct ruleset_chains *chains, uint32_t *index)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return -ENOMEM;
	for (uint32_t i = 0; i < span.count; i++) {
		const struct weir_lifeline_rule *rule = &image->lifeline_rules[span.first + i];
		struct ruleset_match match = {rule->direction, rule->protocol, rule->port_first,
					      rule->port_last};

		fputs("\t\t", out);
		ruleset_match(out, &match, true);
		fputs(RULESET_PASSES "\n", out);
	}
	if (fclose(out) != 0)
		return -ENOMEM;
	return ruleset_chain(chains, text, length, index);
}

static void print_lifeline_verdict(FILE *out, uint32_t verdict)
{
	fprintf(out, "jump lifeline-%u", verdict); /* what it does not accept comes back */
}

static int write_lifeline(const struct image *image, FILE *out)
{
	size_t count = image ? image->lifeline_prefix_count : 0;
	struct ruleset_chains chains = {0};
	_cleanup_free_ struct ruleset_prefix *prefix = calloc(count + 1, sizeof(*prefix));
	int r = prefix ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct image_lifeline_prefix *from = &image->lifeline_prefixes[i];

		prefix[i].bits = from->bits;
		memcpy(prefix[i].address, from->address, sizeof(from->address));
		r = lifeline_chain(image, from->rules, &chains, &prefix[i].verdict);
	}
	if (r == 0) {
		ruleset_chains_write(&chains, "lifeline-", out);
		ruleset_ranges(out, "lifeline", prefix, count, print_lifeline_verdict);
	}
	ruleset_chains_free(&chains);
	return r;
}

/* ---- the partners --------------------------------------------------------------------------- */

static void print_partner_verdict(FILE *out, uint32_t verdict)
{
	fprintf(out, "goto partner-%u", verdict);
}

static int write_partners(const struct ruleset *ruleset, const struct ruleset_cuts *cuts, FILE *out)
{
	const struct image *image = ruleset->image;
	struct ruleset_chains chains = {0};
	_cleanup_free_ uint32_t *verdict = calloc(image->head.partners, sizeof(*verdict));
	_cleanup_free_ struct ruleset_prefix *prefix =
		calloc(image->prefix_count + 1, sizeof(*prefix));
	int r = verdict && prefix ? ruleset_partners(ruleset, cuts, &chains, verdict) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < image->prefix_count; i++) {
		prefix[i].bits = image->prefixes[i].bits;
		prefix[i].verdict = verdict[image->prefixes[i].partner];
		memcpy(prefix[i].address, image->prefixes[i].address, sizeof(prefix[i].address));
	}
	if (r == 0) {
		ruleset_chains_write(&chains, "partner-", out);
		ruleset_ranges(out, "partner", prefix, image->prefix_count, print_partner_verdict);
	}
	ruleset_chains_free(&chains);
	return r;
}

static int write_cuts(const struct ruleset_cuts *cuts, FILE *out)
{
	_cleanup_free_ struct ruleset_prefix *prefix = NULL;
	size_t count;
	int r = ruleset_cut_prefixes(cuts, &prefix, &count);

	if (r == 0)
		ruleset_ranges(out, "cut", prefix, count, NULL);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/*
 * What keeps the link itself alive, to those who have a part in that and at rates and lengths at
 * which nothing worth stealing leaves. Of our own packets alone: who sits behind us has no such
 * business beyond us.
 */
static const char link_rules[] =
	"\t\ticmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } "
	"ip6 hoplimit 255 ip6 daddr { fe80::/10, ff02::/16 } meta length <= 128 "
	"limit rate 100/second " RULESET_PASSES "\n"
	"\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 "
	"meta length <= 72 limit rate 10/second " RULESET_PASSES "\n"
	"\t\ticmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } "
	"ip6 hoplimit 1 ip6 daddr ff02::/16 meta length <= 512 limit rate 10/second " RULESET_PASSES
	"\n"
	"\t\tip protocol igmp ip ttl 1 ip daddr 224.0.0.0/4 meta length <= 512 "
	"limit rate 10/second " RULESET_PASSES "\n"
	"\t\tip daddr 255.255.255.255 udp sport 68 udp dport 67 meta length <= 600 "
	"limit rate 10/minute " RULESET_PASSES "\n"
	"\t\tmeta nfproto ipv4 udp sport 68 udp dport 67 meta length <= 600 " /* a renewal */
	"limit rate 2/minute burst 2 packets " RULESET_PASSES "\n"
	"\t\tip6 daddr ff02::1:2 udp sport 546 udp dport 547 meta length <= 600 "
	"limit rate 10/minute " RULESET_PASSES "\n";

static void write_judge(const struct ruleset *ruleset, const struct ruleset_cuts *cuts,
			bool has_partners, FILE *out)
{
	bool passes = has_partners && ruleset->image->head.mode == WEIR_OBSERVE &&
		      !ruleset_is_cut(cuts, WEIR_NO_PARTNER, WEIR_NO_GRANT);

	fputs("\tchain judge {\n", out);
	fputs("\t\tip daddr vmap @lifeline4\n\t\tip6 daddr vmap @lifeline6\n", out);
	if (has_partners) {
		fputs("\t\tip daddr @cut4 " RULESET_REFUSES "\n"
		      "\t\tip6 daddr @cut6 " RULESET_REFUSES "\n",
		      out);
		fputs("\t\tip daddr vmap @partner4\n\t\tip6 daddr vmap @partner6\n", out);
	}
	fprintf(out, "\t\t%s\n\t}\n", passes ? RULESET_PASSES : RULESET_REFUSES);
}

/* nftables reads "*" and quotes in a name as something else. */
static bool can_be_named(const struct names *uplinks)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-@+";

	for (size_t i = 0; i < uplinks->count; i++) {
		if (uplinks->item[i].text[strspn(uplinks->item[i].text, plain)])
			return false;
	}
	return uplinks->count > 0;
}

/* After every other filter, and after addresses were translated, so loopback is not what the route
 * was chosen for before: who really gets it counts. */
static void write_hooks(const struct names *uplinks, FILE *out)
{
	fputs("\tchain output {\n"
	      "\t\ttype filter hook output priority security; policy drop;\n"
	      "\t\toifname \"lo\" fib daddr type { local, broadcast, multicast } accept\n",
	      out);
	fputs(link_rules, out);
	fputs("\t\tgoto judge\n"
	      "\t}\n"
	      "\tchain forward {\n"
	      "\t\ttype filter hook forward priority security; policy drop;\n",
	      out);
	if (uplinks && can_be_named(uplinks)) {
		fputs("\t\toifname != {", out);
		for (size_t i = 0; i < uplinks->count; i++)
			fprintf(out, "%s \"%s\"", i ? "," : "", uplinks->item[i].text);
		fputs(" } accept\n", out);
	}
	fputs("\t\tgoto judge\n\t}\n", out);
}

int ruleset_write(const struct ruleset *ruleset, FILE *out)
{
	bool has_partners = ruleset->mode == WITHOUT_GUARD_FALLBACK && ruleset->image;
	struct ruleset_cuts cuts;
	int r;

	fprintf(out,
		"# weir(8): stands in for the guard of instance %s while it cannot be loaded: %s\n"
		"table " RULESET_FAMILY " " RULESET_TABLE "%s\n"
		"delete table " RULESET_FAMILY " " RULESET_TABLE "%s\n",
		ruleset->instance, without_guard_name(ruleset->mode), ruleset->instance,
		ruleset->instance);
	if (ruleset->mode == WITHOUT_GUARD_OPEN)
		return 0;
	ruleset_cuts_init(&cuts, ruleset);
	fprintf(out,
		"table " RULESET_FAMILY " " RULESET_TABLE "%s {\n"
		"\tcounter " RULESET_PASSED " { }\n\tcounter " RULESET_REFUSED " { }\n",
		ruleset->instance);
	r = write_lifeline(ruleset->image, out);
	if (r == 0 && has_partners)
		r = write_cuts(&cuts, out);
	if (r == 0 && has_partners)
		r = write_partners(ruleset, &cuts, out);
	if (r < 0)
		return r;
	write_judge(ruleset, &cuts, has_partners, out);
	write_hooks(ruleset->uplinks, out);
	fputs("}\n", out);
	return 0;
}
