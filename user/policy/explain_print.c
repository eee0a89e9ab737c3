/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * explain_print.c - an answer in words: the verdict, the rule, the budgets that apply, and when it
 * changes by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/units.h"
#include "user/policy/image.h"
#include "user/policy/question.h"
#include "user/policy/words.h"

static const char *const because[WEIR_REASONS] = {
	[WEIR_REASON_GRANT] = "a grant allows it, inside its budgets",
	[WEIR_REASON_LIFELINE] = "it belongs to the lifeline, which is above everything",
	[WEIR_REASON_STRANGER] = "the address belongs to no partner",
	[WEIR_REASON_NO_GRANT] = "the partner has no grant for this, so it counts as a stranger",
	[WEIR_REASON_HOURS] = "a grant matches, but not at this hour",
	[WEIR_REASON_EXPIRED] =
		"a grant matches, but the partner's from/until excludes this moment",
	[WEIR_REASON_STACK] = "the kernel's own packets pass",
	[WEIR_REASON_CUT] = "an order cuts it",
};

static void print_budget(const char *label, const char *name, const struct weir_limits *limits,
			 const char *breach, FILE *out)
{
	char bytes[BYTES_TEXT], span[SPAN_TEXT];

	if (!limits->window[0].window_ns)
		return;
	fprintf(out, "  budget   %s%s%s: ", label, *name ? " " : "", name);
	for (int i = 0; i < WEIR_WINDOWS && limits->window[i].window_ns; i++) {
		bytes_format(limits->window[i].bytes, bytes, sizeof(bytes));
		span_format(limits->window[i].window_ns, span, sizeof(span));
		fprintf(out, "%s%s in any %s", i ? ", " : "", bytes, span);
	}
	fprintf(out, "; on breach: %s\n", breach);
}

/* Of the strangers of this service, as far as it may send at all. */
static void print_strangers(const struct weir_service *service, const char *name, uint8_t direction,
			    FILE *out)
{
	const struct weir_strangers *strangers = &service->strangers;
	bool serves = direction == WEIR_SERVES;
	uint8_t rule = serves ? strangers->serves_rule : strangers->calls_rule;

	if (rule == WEIR_DENY) {
		fprintf(out, "  budget   none: strangers may not %s\n",
			serves ? "be served" : "be called");
		return;
	}
	if (rule == WEIR_UNLIMITED)
		fprintf(out, "  budget   each stranger: no limit\n");
	print_budget("each stranger of", name, serves ? &strangers->serves : &strangers->calls,
		     breach_name(strangers->on_breach), out);
	print_budget("all strangers of", name, &strangers->total, breach_name(strangers->on_breach),
		     out);
}

/* The rule of the grant that decided, as the policy wrote it. */
static void print_rule(const struct image *image, const struct weir_question *question,
		       const struct weir_answer *answer, FILE *out)
{
	struct weir_span span =
		image_rules_of(image, answer->service, image->partners[answer->partner].profile);
	char endpoint[ENDPOINT_TEXT];

	for (uint32_t i = span.first; i < span.first + span.count; i++) {
		const struct weir_rule *rule = &image->rules[i];

		if (rule->grant != answer->grant || rule->direction != answer->direction ||
		    rule->protocol != question->protocol || question->port < rule->port_first ||
		    question->port > rule->port_last)
			continue;
		endpoint_format(rule->protocol, rule->port_first, rule->port_last, endpoint,
				sizeof(endpoint));
		fprintf(out, "  rule     grant %s: %s %s\n", image->grant_names[answer->grant],
			direction_name(rule->direction), endpoint);
		return;
	}
}

static void print_lifeline(const struct image *image, const struct weir_answer *answer, FILE *out)
{
	const struct weir_lifeline_rule *rule = &image->lifeline_rules[answer->lifeline];
	char endpoint[ENDPOINT_TEXT];

	endpoint_format(rule->protocol, rule->port_first, rule->port_last, endpoint,
			sizeof(endpoint));
	fprintf(out, "  rule     lifeline: %s %s %s\n", image->service_names[rule->service],
		direction_name(rule->direction), endpoint);
	fprintf(out, "  budget   none: counted, never refused\n");
	print_budget("warning over", "", &rule->warn, "an alarm, nothing else", out);
}

static void print_budgets(const struct image *image, const struct weir_answer *answer, FILE *out)
{
	const struct weir_service *service = &image->services[answer->service];
	const struct weir_partner *partner = &image->partners[answer->partner];
	const struct weir_grant *grant = &image->grants[answer->grant];

	if (answer->reason == WEIR_REASON_GRANT) {
		print_budget("grant", image->grant_names[answer->grant], &grant->budget,
			     breach_name(grant->on_breach), out);
		if (!grant->budget.window[0].window_ns)
			fprintf(out, "  budget   grant %s: no limit\n",
				image->grant_names[answer->grant]);
	} else {
		print_strangers(service, image->service_names[answer->service], answer->direction,
				out);
		if (answer->verdict == WEIR_REFUSE)
			return;
	}
	print_budget("service", image->service_names[answer->service], &service->ceiling,
		     breach_name(WEIR_HOLD), out);
	print_budget("partner", image->partner_names[answer->partner], &partner->ceiling,
		     breach_name(WEIR_HOLD), out);
}

static void print_classes(const struct image *image, const __u64 classes[WEIR_CLASS_WORDS],
			  FILE *out)
{
	const char *before = " (class ";

	for (uint32_t bit = 0; bit < image->class_count; bit++) {
		if (classes[bit / 64] >> (bit % 64) & 1) {
			fprintf(out, "%s%s", before, image->class_names[bit]);
			before = ", ";
		}
	}
	fprintf(out, "%s\n", *before == ',' ? ")" : "");
}

static void print_who(const struct image *image, const struct weir_question *question,
		      const struct weir_answer *answer, FILE *out)
{
	char peer[ADDRESS_TEXT], endpoint[ENDPOINT_TEXT];
	bool calls_back = question->direction == WEIR_CALLS && question->is_held;

	address_format(question->peer, peer, sizeof(peer));
	endpoint_format(question->protocol, question->port, question->port, endpoint,
			sizeof(endpoint));
	fprintf(out, "  service  %s", image->service_names[answer->service]);
	print_classes(image, image->services[answer->service].classes, out);
	fprintf(out, "  peer     %s, %s %s\n", peer,
		direction_name(calls_back ? WEIR_CALLS_BACK : question->direction), endpoint);
	if (answer->partner == WEIR_NO_PARTNER) {
		fprintf(out, "  partner  none: a stranger\n");
		return;
	}
	fprintf(out, "  partner  %s", image->partner_names[answer->partner]);
	print_classes(image, image->partners[answer->partner].classes, out);
}

void explain_print(const struct image *image, const struct weir_question *question,
		   const struct weir_answer *answer, FILE *out)
{
	char moment[MOMENT_TEXT];

	fprintf(out, "%s: %s\n", verdict_name(answer->verdict), reason_name(answer->reason));
	if (answer->reason < WEIR_REASONS && because[answer->reason])
		fprintf(out, "  because  %s\n", because[answer->reason]);
	if (answer->service >= image->head.services)
		return;
	print_who(image, question, answer, out);
	if (weir_order_of(answer))
		fprintf(out, "  order    c%llu\n", (unsigned long long)weir_order_of(answer));
	if (answer->reason == WEIR_REASON_GRANT)
		print_rule(image, question, answer, out);
	if (answer->shadow != WEIR_NO_GRANT)
		fprintf(out, "  shadow   grant %s would have allowed it: it only observes\n",
			image->grant_names[answer->shadow]);
	if (answer->reason == WEIR_REASON_LIFELINE)
		print_lifeline(image, answer, out);
	else if (answer->reason != WEIR_REASON_CUT && answer->reason != WEIR_REASON_STACK)
		print_budgets(image, answer, out);
	if (answer->observe)
		fprintf(out, "  observe  a refusal is recorded and not done\n");
	if (answer->valid_until_ns == UINT64_MAX) {
		fprintf(out, "  until    the policy or an order changes\n");
	} else {
		moment_format(answer->valid_until_ns, moment, sizeof(moment));
		fprintf(out, "  until    %s\n", moment);
	}
}
