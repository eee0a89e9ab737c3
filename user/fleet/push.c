/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* push.c - sending one order. */
#include "user/fleet/push.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/base/units.h"

enum { TOLD_WORDS = 10 }; /* of each broker: which of its acknowledgements are none */

static const uint64_t read_back_within_ns = 3 * NS_PER_SECOND;
static const uint64_t read_again_after_ns = 5 * NS_PER_SECOND;

static __attribute__((format(printf, 2, 3))) void tell(const struct push *push, const char *format,
						       ...)
{
	_cleanup_free_ char *line = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) < 0)
		line = NULL;
	va_end(arguments);
	if (!line)
		return;
	text_make_plain(line); /* a broker's words may be in it */
	push->out.tell(push->out.data, line);
}

static bool is_beat(const struct push *push)
{
	return push->document->kind == ORDER_BEAT;
}

int push_init(struct push *push, const struct fleet_config *config, const struct document *document,
	      const char *text, size_t length, const struct push_out *out)
{
	*push = (struct push){.config = config,
			      .document = document,
			      .text = text,
			      .length = length,
			      .out = *out};
	if (is_beat(push))
		strcpy(push->topic, TOPIC_BEAT);
	else
		topic_of_order(document->id, push->topic);
	for (size_t i = 0; i < config->brokers; i++)
		push->broker[i].label = config->broker[i].label;
	push->item = calloc(config->hosts + 1, sizeof(*push->item));
	if (!push->item)
		return -ENOMEM;
	for (size_t i = 0; i < config->hosts; i++) {
		push->item[i].host = &config->item[i];
		push->item[i].is_expected =
			fleet_is_for(document->hosts.item, document->hosts.count, &config->item[i]);
		push->expected += push->item[i].is_expected;
	}
	return 0;
}

void push_free(struct push *push)
{
	free(push->item);
	*push = (struct push){0};
}

/* ---- what brokers keep ---------------------------------------------------------------------- */

static void publish(struct push *push, size_t which, uint64_t now_ns)
{
	struct push_broker *broker = &push->broker[which];

	broker->is_kept = broker->is_asked = false;
	broker->check_ns = now_ns + read_back_within_ns;
	if (!push->out.publish(push->out.data, which, push->topic, push->text, push->length))
		return; /* it goes down, or is asked to again */
	broker->published++;
	if (!push->begun_ns)
		push->begun_ns = now_ns;
}

/* What comes back without having been kept is only an echo. */
static void read_back(struct push *push, size_t which, uint64_t now_ns)
{
	struct push_broker *broker = &push->broker[which];

	broker->is_asked = push->out.subscribe(push->out.data, which, push->topic);
	broker->check_ns = now_ns + read_back_within_ns;
}

/* Who hears the hosts before the order is there misses none of them. */
void push_up(struct push *push, size_t which, uint64_t now_ns)
{
	char filter[TOPIC_TEXT];

	push->broker[which].is_up = true;
	if (!is_beat(push))
		push->out.subscribe(push->out.data, which,
				    topic_of_acks(push->document->id, filter));
	if (is_beat(push) || push->hears_standings)
		push->out.subscribe(push->out.data, which, TOPIC_ALL_HOSTS);
	publish(push, which, now_ns);
}

void push_down(struct push *push, size_t which, const char *why)
{
	struct push_broker *broker = &push->broker[which];

	if (broker->is_up || !broker->has_failed)
		tell(push, "broker %s: not connected: %s", broker->label, why);
	broker->has_failed = true;
	broker->is_up = broker->is_kept = broker->is_asked = false;
}

void push_published(struct push *push, size_t which, const char *why, uint64_t now_ns)
{
	struct push_broker *broker = &push->broker[which];

	if (why && broker->published == 1)
		tell(push, "broker %s: it refuses the order: %s", broker->label, why);
	if (!why && !broker->is_kept)
		read_back(push, which, now_ns);
}

static void take_order(struct push *push, size_t which, const char *text, size_t length,
		       bool is_retained, uint64_t now_ns)
{
	struct push_broker *broker = &push->broker[which];
	bool is_ours = length == push->length && memcmp(text, push->text, length) == 0;

	if (!is_retained || !broker->is_asked)
		return;
	if (!is_ours) {
		tell(push, "broker %s: serves something else in its place; published again",
		     broker->label);
		publish(push, which, now_ns);
		return;
	}
	broker->is_kept = true;
	broker->is_asked = false;
	broker->check_ns = now_ns + read_again_after_ns;
}

uint64_t push_tick(struct push *push, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < push->config->brokers; i++) {
		struct push_broker *broker = &push->broker[i];

		if (!broker->is_up)
			continue;
		if (broker->check_ns <= now_ns && broker->is_kept && !broker->is_asked) {
			read_back(push, i, now_ns);
		} else if (broker->check_ns <= now_ns) {
			tell(push, "broker %s: does not keep it; published again", broker->label);
			publish(push, i, now_ns);
		}
		if (broker->check_ns < next)
			next = broker->check_ns;
	}
	return next;
}

/* ---- what hosts say ------------------------------------------------------------------------- */

static void bad_word(struct push *push, size_t which, const struct topic *topic, const char *why)
{
	struct push_broker *broker = &push->broker[which];

	if (broker->bad_words++ >= TOLD_WORDS)
		return;
	tell(push, "broker %s: what it has of host %s does not count: %s", broker->label,
	     topic->host[0] ? topic->host : "?", why);
}

static void hear_standings(struct push *push)
{
	if (push->hears_standings || is_beat(push))
		return;
	push->hears_standings = true;
	for (size_t i = 0; i < push->config->brokers; i++) {
		if (push->broker[i].is_up)
			push->out.subscribe(push->out.data, i, TOPIC_ALL_HOSTS);
	}
}

/* The latest of a host stands: a broker may serve an older one, and so may not undo a later. */
static void take_word(struct push *push, struct push_host *host, const struct ack *ack,
		      bool is_retained, uint64_t now_ns)
{
	if (host->has_ack && ack->at_ns < host->ack.at_ns)
		return;
	if (!host->has_ack || ack->result != host->ack.result ||
	    (host->had_it_before && ack->at_ns > host->ack.at_ns)) {
		host->heard_ns = now_ns;
		host->had_it_before = is_retained ||
				      is_long_ago(ack->at_ns, push->wall_ns, push->config->late_ns);
	}
	host->has_ack = true;
	host->ack = *ack;
	if (host->is_expected && host->had_it_before && ack->result == ACK_DONE)
		hear_standings(push);
}

/* Of a beat it is the word itself: the host has this one, or a later. */
static int read_standing(const struct push *push, struct push_host *host, const char *text,
			 size_t length, const struct topic *topic, struct ack *ack,
			 const char **why)
{
	struct standing standing;
	int r = standing_read(text, length, topic, &host->host->key, &standing, why);

	if (r < 0)
		return r;
	if (!host->has_standing || standing.at_ns > host->standing.at_ns)
		host->standing = standing;
	host->has_standing = true;
	if (!is_beat(push))
		return -EAGAIN;
	*ack = (struct ack){.result = ACK_DONE, .at_ns = standing.at_ns, .version = standing.beat};
	return standing.beat >= push->document->version ? 0 : -EAGAIN;
}

static void take_host(struct push *push, size_t which, const struct topic *topic, const char *text,
		      size_t length, bool is_retained, uint64_t now_ns)
{
	const struct fleet_host *known = fleet_find_host(push->config, topic->host);
	struct push_host *host = known ? &push->item[known - push->config->item] : NULL;
	const char *why = "";
	struct ack ack;
	int r;

	if (!known) {
		if (topic->kind == TOPIC_IS_ACK || is_beat(push))
			bad_word(push, which, topic, "the configuration has no such host");
		return;
	}
	if (topic->kind == TOPIC_IS_HOST)
		r = read_standing(push, host, text, length, topic, &ack, &why);
	else
		r = ack_read(text, length, topic, &known->key, &ack, &why);
	if (r == -EBADMSG)
		bad_word(push, which, topic, why);
	else if (r == 0)
		take_word(push, host, &ack, is_retained, now_ns);
}

void push_message(struct push *push, size_t which, const char *name, const char *text,
		  size_t length, bool is_retained, uint64_t now_ns)
{
	struct topic topic = topic_parse(name);
	bool is_asked = topic.kind == TOPIC_IS_HOST
				? is_beat(push) || push->hears_standings
				: !is_beat(push) && topic.kind == TOPIC_IS_ACK &&
					  strcmp(topic.id, push->document->id) == 0;

	if (strcmp(name, push->topic) == 0)
		take_order(push, which, text, length, is_retained, now_ns);
	else if (length == 0)
		return; /* withdrawn */
	else if (is_asked)
		take_host(push, which, &topic, text, length, is_retained, now_ns);
	else
		bad_word(push, which, &topic, "nobody asked for it");
}

bool push_is_in_force(const struct push *push, const struct push_host *host)
{
	const struct standing *standing = &host->standing;
	uint64_t version = push->document->version;

	switch (push->document->kind) {
	case ORDER_CUT: /* what the agent knows of its host may be so old when it says it */
		return standing->cuts > 0 || host->ack.matched == 0 ||
		       standing->at_ns <= host->ack.at_ns + STANDING_EVERY_NS;
	case ORDER_BASE:
		return standing->base == version && standing->base_holds;
	case ORDER_SIGNERS:
		return standing->signers == version;
	case ORDER_BEAT:
		return standing->beat >= version;
	default:
		return true;
	}
}

bool push_counts(const struct push *push, const struct push_host *host)
{
	if (!host->has_ack || host->ack.result != ACK_DONE)
		return false;
	return !host->had_it_before ||
	       (host->has_standing && host->standing.has_daemon && push_is_in_force(push, host) &&
		!is_long_ago(host->standing.at_ns, push->wall_ns, push->config->late_ns));
}

/* With `settled` also those whose groups are others than the configuration says. */
static size_t count_good(const struct push *push, bool settled)
{
	size_t count = 0;

	for (size_t i = 0; i < push->config->hosts; i++) {
		const struct push_host *host = &push->item[i];

		if (host->is_expected && host->has_ack)
			count += push_counts(push, host) ||
				 (settled && host->ack.result == ACK_NOT_FOR_US);
	}
	return count;
}

size_t push_enforced(const struct push *push)
{
	return count_good(push, false);
}

bool push_is_over(const struct push *push)
{
	bool is_kept = false;

	for (size_t i = 0; i < push->config->brokers; i++) {
		const struct push_broker *broker = &push->broker[i];

		if (!broker->is_kept && (broker->is_up || !broker->has_failed))
			return false;
		is_kept |= broker->is_kept;
	}
	return is_kept && count_good(push, true) == push->expected;
}
