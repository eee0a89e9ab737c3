/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* status.c - `weir fleet status`: asks the brokers, tells how the hosts are. */
#include "user/fleet/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/json_out.h"
#include "user/base/now.h"
#include "user/base/text.h"
#include "user/fleet/brokers.h"
#include "user/fleet/survey.h"

static const uint64_t default_timeout_ns = 10 * NS_PER_SECOND;
/* MQTT does not say when all that is retained has come: when nothing came for so long. */
static const uint64_t quiet_ns = NS_PER_SECOND / 2;

static const char *const filters[] = {TOPIC_ALL_ORDERS, TOPIC_BEAT, TOPIC_ALL_ACKS,
				      TOPIC_ALL_HOSTS};

enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

struct run {
	struct brokers brokers;
	struct survey survey;
	size_t granted[FLEET_BROKERS];
	bool is_over[FLEET_BROKERS]; /* it could not be reached, or refuses */
	uint64_t heard_ns[FLEET_BROKERS];
};

/* ---- asking --------------------------------------------------------------------------------- */

static void cannot(struct run *run, size_t which, const char *why)
{
	struct survey_broker *broker = &run->survey.broker[which];

	broker->is_reached = false;
	snprintf(broker->why, sizeof(broker->why), "%s", why);
	run->is_over[which] = true;
}

static void on_up(void *data, size_t which)
{
	struct run *run = data;
	int number;

	if (run->is_over[which])
		return;
	for (size_t i = 0; i < FILTERS; i++) {
		if (!broker_subscribe(&run->brokers.item[which], filters[i], &number))
			cannot(run, which, "it cannot be asked");
	}
}

static void on_down(void *data, size_t which, const char *why)
{
	cannot(data, which, why);
}

static void on_subscribed(void *data, size_t which, int number, bool is_granted)
{
	struct run *run = data;

	(void)number;
	run->heard_ns[which] = boot_now();
	if (!is_granted)
		cannot(run, which, "it does not let us read");
	else if (++run->granted[which] == FILTERS)
		run->survey.broker[which].is_reached = true;
}

static void on_published(void *data, size_t which, int number, const char *why)
{
	(void)data; /* nothing is published */
	(void)which;
	(void)number;
	(void)why;
}

static void on_message(void *data, size_t which, const char *topic, const char *text, size_t length,
		       bool is_retained)
{
	struct run *run = data;

	(void)is_retained;
	run->heard_ns[which] = boot_now();
	survey_message(&run->survey, which, topic, text, length);
}

/* When all was heard of the broker, as far as one can tell; UINT64_MAX: not yet. */
static uint64_t quiet_at(const struct run *run, size_t which)
{
	if (run->is_over[which])
		return 0;
	return run->granted[which] == FILTERS ? run->heard_ns[which] + quiet_ns : UINT64_MAX;
}

static void ask(struct run *run, const struct fleet_config *config, uint64_t timeout_ns)
{
	const struct broker_events events = {.up = on_up,
					     .down = on_down,
					     .subscribed = on_subscribed,
					     .published = on_published,
					     .message = on_message,
					     .data = run};
	uint64_t end = boot_now() + timeout_ns, quiet = UINT64_MAX;

	for (size_t i = 0; i < config->brokers; i++)
		snprintf(run->survey.broker[i].why, sizeof(run->survey.broker[i].why),
			 "it does not answer");
	brokers_open(&run->brokers, config, &events);
	while (boot_now() < end && boot_now() < quiet) {
		brokers_turn(&run->brokers, quiet < end ? quiet : end);
		quiet = 0;
		for (size_t i = 0; i < config->brokers; i++) {
			uint64_t at = quiet_at(run, i);

			quiet = at > quiet ? at : quiet;
		}
	}
	brokers_close(&run->brokers);
}

/* ---- as text -------------------------------------------------------------------------------- */

static void tell_brokers(const struct survey *survey)
{
	for (size_t i = 0; i < survey->config->brokers; i++) {
		const struct survey_broker *broker = &survey->broker[i];
		const char *label = survey->config->broker[i].label;

		if (broker->is_reached)
			printf("broker %s: %zu orders\n", label, broker->orders);
		else
			text_put_line(stdout, "broker %s: NOT REACHED: %s", label, broker->why);
		if (broker->bad_words)
			text_put_line(stdout,
				      "broker %s: %u messages of it DO NOT COUNT, the first: %s",
				      label, broker->bad_words, broker->bad);
	}
}

static const char *who_has(const struct survey *survey, const struct survey_order *order)
{
	if (order->is_served[0] && order->is_served[1])
		return "with other signatures";
	return survey->config->broker[order->is_served[0] ? 0 : 1].label;
}

static void tell_disagreements(const struct survey *survey)
{
	if (survey_beats_disagree(survey))
		puts("THE BROKERS DISAGREE: the last beat is another");
	for (size_t i = 0; i < survey->orders; i++) {
		const struct survey_order *order = &survey->order[i];

		if (survey_disagrees(survey, order))
			printf("THE BROKERS DISAGREE: order %.12s %s%s\n", order->id,
			       order->is_served[0] && order->is_served[1] ? "" : "only at ",
			       who_has(survey, order));
	}
}

static void tell_age(uint64_t at_ns, uint64_t now_ns)
{
	char span[SPAN_TEXT];

	span_format(at_ns < now_ns ? (now_ns - at_ns) / NS_PER_SECOND * NS_PER_SECOND : 0, span,
		    sizeof(span));
	fputs(span, stdout);
}

static void tell_host(const struct survey_host *host, uint64_t now_ns)
{
	const struct standing *standing = &host->standing;

	printf("%-20s %-11s", host->host->name.text, host_state_name(host->state));
	if (host->has_standing) {
		fputs(" heard ", stdout);
		tell_age(standing->at_ns, now_ns);
		printf(" ago, %" PRIu64 " cuts", standing->cuts);
		if (standing->beat_issued_ns) {
			fputs(", beat of ", stdout);
			tell_age(standing->beat_issued_ns, now_ns);
			fputs(" ago", stdout);
		}
		if (standing->base && !standing->base_holds)
			printf(", ANOTHER POLICY THAN ITS BASE %" PRIu64, standing->base);
		if (!standing->clock_is_trusted && standing->has_daemon)
			fputs(", CLOCK NOT CONFIRMED", stdout);
	}
	if (host->lacks)
		text_put_line(stdout, " lacks %zu of %zu orders, %.12s%s%s", host->lacks,
			      host->orders, host->order, host->why ? ": " : "",
			      host->why ? host->why : "");
	else
		putchar('\n');
}

static void tell_text(const struct survey *survey, uint64_t now_ns)
{
	const char *separator = "";

	tell_brokers(survey);
	tell_disagreements(survey);
	for (size_t i = 0; i < survey->config->hosts; i++)
		tell_host(&survey->item[i], now_ns);
	for (enum host_state state = 0; state < HOST_STATES; state++) {
		if (!survey->count[state])
			continue;
		printf("%s%" PRIu64 " %s", separator, survey->count[state], host_state_name(state));
		separator = ", ";
	}
	putchar('\n');
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void put_broker(struct json_out *json, const struct survey *survey, size_t which)
{
	const struct survey_broker *broker = &survey->broker[which];

	json_open(json, NULL, '{');
	json_put_text(json, "broker", survey->config->broker[which].label);
	json_put_bool(json, "is_reached", broker->is_reached);
	if (!broker->is_reached)
		json_put_text(json, "why", broker->why);
	json_put_uint(json, "orders", broker->orders);
	json_put_uint(json, "beat_issued", broker->beat_issued_ns / NS_PER_SECOND);
	json_put_uint(json, "do_not_count", broker->bad_words);
	if (broker->bad_words)
		json_put_text(json, "first_of_these", broker->bad);
	json_close(json, '}');
}

static void put_standing(struct json_out *json, const struct standing *standing)
{
	json_put_uint(json, "heard", standing->at_ns / NS_PER_SECOND);
	json_put_bool(json, "has_daemon", standing->has_daemon);
	json_put_text(json, "policy", standing->policy);
	json_put_uint(json, "base", standing->base);
	json_put_bool(json, "base_holds", standing->base_holds);
	json_put_uint(json, "signers", standing->signers);
	json_put_uint(json, "beat", standing->beat);
	json_put_uint(json, "beat_issued", standing->beat_issued_ns / NS_PER_SECOND);
	json_put_uint(json, "cuts", standing->cuts);
	json_put_bool(json, "clock_is_trusted", standing->clock_is_trusted);
	json_put_text(json, "groups", standing->groups);
}

static void put_host(struct json_out *json, const struct survey_host *host)
{
	json_open(json, NULL, '{');
	json_put_text(json, "host", host->host->name.text);
	json_put_text(json, "state", host_state_name(host->state));
	json_put_uint(json, "orders", host->orders);
	json_put_uint(json, "lacks", host->lacks);
	if (host->lacks)
		json_put_text(json, "order", host->order);
	if (host->why)
		json_put_text(json, "why", host->why);
	if (host->has_standing)
		put_standing(json, &host->standing);
	json_close(json, '}');
}

static void tell_json(const struct survey *survey)
{
	struct json_out json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_open(&json, "brokers", '[');
	for (size_t i = 0; i < survey->config->brokers; i++)
		put_broker(&json, survey, i);
	json_close(&json, ']');
	json_put_uint(&json, "disagreements", survey->disagreements);
	json_open(&json, "hosts", '[');
	for (size_t i = 0; i < survey->config->hosts; i++)
		put_host(&json, &survey->item[i]);
	json_close(&json, ']');
	json_close(&json, '}');
	putchar('\n');
}

/* ---- all ------------------------------------------------------------------------------------ */

static bool is_well(const struct survey *survey)
{
	for (size_t i = 0; i < survey->config->brokers; i++) {
		if (!survey->broker[i].is_reached || survey->broker[i].bad_words)
			return false;
	}
	return !survey->disagreements && survey->count[HOST_ENFORCED] == survey->config->hosts;
}

int status_run(const struct fleet_config *config, const struct fleet_options *options)
{
	_cleanup_free_ char *problem = NULL;
	struct known_signers known;
	struct run run = {0};
	uint64_t now;
	int code = FLEET_REFUSED, r = known_signers_read(&known, &problem);

	if (r == 0)
		r = survey_init(&run.survey, config, &known);
	if (r < 0) {
		fprintf(stderr, "weir fleet: %s\n", problem ? problem : strerror(-r));
	} else {
		ask(&run, config, options->timeout_ns ? options->timeout_ns : default_timeout_ns);
		now = wall_now();
		survey_judge(&run.survey, now);
		if (options->as_json)
			tell_json(&run.survey);
		else
			tell_text(&run.survey, now);
		code = is_well(&run.survey) ? FLEET_DONE : FLEET_REFUSED;
		survey_free(&run.survey);
	}
	known_signers_free(&known);
	return code;
}
