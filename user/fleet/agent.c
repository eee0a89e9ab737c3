/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent.c - takes what brokers serve, and says what became of it. */
#include "user/fleet/agent_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/base/text.h"

enum { HAND_IN_BURST = 256, HAND_IN_RATE = 8 };

static const uint64_t again_every_ns = NS_PER_MINUTE;
static const uint64_t stray_told_every_ns = NS_PER_MINUTE;

/* ---- life ----------------------------------------------------------------------------------- */

void agent_init(struct agent *agent, const struct fleet_config *config, const struct host_key *key,
		const struct agent_out *out, uint64_t now_ns)
{
	*agent = (struct agent){.host = config->host.text,
				.key = key,
				.late_ns = config->late_ns,
				.out = *out,
				.brokers = config->brokers,
				.brief_ns = now_ns};
	for (size_t i = 0; i < agent->brokers; i++) {
		agent->broker[i].label = config->broker[i].label;
		agent->broker[i].pace =
			(struct pace){NS_PER_SECOND / HAND_IN_RATE, HAND_IN_BURST, 0};
	}
	snprintf(agent->standing.host, sizeof(agent->standing.host), "%s", agent->host);
}

void agent_free(struct agent *agent)
{
	memory_free(&agent->memory);
	free(agent->groups);
	for (size_t i = 0; i < agent->brokers; i++)
		free(agent->broker[i].beat.text);
	*agent = (struct agent){0};
}

void agent_tell(const struct agent *agent, const char *format, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) < 0)
		line = NULL;
	va_end(arguments);
	if (!line)
		return;
	text_make_plain(line); /* topics and problems are others' texts */
	agent->out.tell(agent->out.data, line);
}

void agent_brief_at(struct agent *agent, uint64_t at_ns)
{
	if (at_ns < agent->brief_ns)
		agent->brief_ns = at_ns;
}

/* ---- what was not to be handed in ----------------------------------------------------------- */

static const char *const strays[STRAYS] = {
	[STRAY_TOPIC] = "a topic that nobody asked for",
	[STRAY_OVERSIZED] = "larger than any order",
	[STRAY_NO_ORDER] = "no order",
	[STRAY_MISPLACED] = "of a kind that does not belong there",
	[STRAY_WRONG_ID] = "not under its own id",
	[STRAY_UNSIGNED] = "not signed",
	[STRAY_NO_ROOM] = "no room for it now",
};

/* The first one at once; of a flood a line each minute. */
static void note(struct agent *agent, size_t which, enum stray stray, const char *topic,
		 const char *why, uint64_t now_ns)
{
	struct agent_broker *broker = &agent->broker[which];
	struct stray_count *counted = &broker->stray[stray];

	counted->count++;
	if (counted->told && now_ns - counted->told_ns < stray_told_every_ns)
		return;
	agent_tell(agent, "broker %s: %.120s: %s%s%.200s (%" PRIu64 " so far)", broker->label,
		   topic, strays[stray], why ? ": " : "", why ? why : "", counted->count);
	counted->told = counted->count;
	counted->told_ns = now_ns;
}

/* ---- saying --------------------------------------------------------------------------------- */

static void say_to(struct agent *agent, size_t broker, struct kept *kept)
{
	char topic[TOPIC_TEXT];

	if (!agent->broker[broker].is_up || kept->said & 1u << broker || !kept->ack_text)
		return;
	if (agent->out.publish(agent->out.data, broker, topic_of_ack(agent->host, kept->id, topic),
			       kept->ack_text, kept->ack_length))
		kept->said |= 1u << broker;
}

/* What it said before of another text of this order stands where that one is over. */
void agent_say(struct agent *agent, const struct kept *kept)
{
	struct kept *answer = memory_answer(&agent->memory, kept->id);

	for (size_t i = 0; i < agent->brokers && answer; i++)
		say_to(agent, i, answer);
}

void agent_say_standing(struct agent *agent, uint64_t now_ns)
{
	_cleanup_free_ char *text = NULL;
	char topic[TOPIC_TEXT];
	size_t length;

	agent->standing.at_ns = wall_now();
	agent->said_ns = now_ns;
	agent->is_unsaid = false;
	if (standing_write(&agent->standing, agent->key, &text, &length) < 0)
		return; /* the next one is due in a minute */
	for (size_t i = 0; i < agent->brokers; i++) {
		if (agent->broker[i].is_up)
			agent->out.publish(agent->out.data, i, topic_of_host(agent->host, topic),
					   text, length);
	}
}

/* ---- brokers -------------------------------------------------------------------------------- */

void agent_up(struct agent *agent, size_t which, uint64_t now_ns)
{
	struct agent_broker *broker = &agent->broker[which];

	broker->is_up = true;
	agent->is_unsaid = true;
	broker->has_missed = false; /* it serves all of them now */
	agent_brief_at(agent, now_ns);
}

/* It may come back without what it was told. */
void agent_down(struct agent *agent, size_t broker)
{
	agent->broker[broker].is_up = false;
	for (size_t i = 0; i < agent->memory.count; i++)
		agent->memory.item[i]->said &= ~(1u << broker);
}

static void others_may_have_it(struct agent *agent, size_t broker)
{
	for (size_t i = 0; i < agent->brokers; i++)
		agent->broker[i].has_missed |= i != broker;
}

static void take_order(struct agent *agent, size_t broker, const struct document *document,
		       const char *text, size_t length, uint64_t now_ns)
{
	struct kept *kept, *answer = memory_answer(&agent->memory, document->id);
	struct sshsig_digests whole;
	bool displaced = false;

	if (answer && answer->state == KEPT_IS_OVER) {
		say_to(agent, broker, answer);
		return;
	}
	if (sshsig_digest(text, length, &whole) < 0)
		return;
	kept = memory_find(&agent->memory, document->id, whole.sha256);
	if (kept) {
		if (answer)
			say_to(agent, broker, answer);
		return;
	}
	kept = memory_add(&agent->memory, broker, document->id, whole.sha256, text, length,
			  &displaced);
	if (displaced)
		others_may_have_it(agent, broker);
	if (!kept) {
		agent->broker[broker].has_missed = true;
		note(agent, broker, STRAY_NO_ROOM, document->id, NULL, now_ns);
		return;
	}
	kept->kind = document->kind;
	kept->due_ns = now_ns;
}

/* One beat is enough: the next one says more. */
static void take_beat(struct agent *agent, size_t broker, const char *text, size_t length)
{
	struct kept_beat *beat = &agent->broker[broker].beat;
	struct sshsig_digests whole;
	char *copy;

	if (sshsig_digest(text, length, &whole) < 0 ||
	    (beat->text && memcmp(beat->digest, whole.sha256, 32) == 0))
		return;
	copy = malloc(length + 1);
	if (!copy)
		return;
	memcpy(copy, text, length);
	copy[length] = '\0';
	free(beat->text);
	*beat = (struct kept_beat){.text = copy, .length = length, .waits = true};
	memcpy(beat->digest, whole.sha256, 32);
}

/* A text that was read. */
static void take(struct agent *agent, size_t broker, const struct topic *topic, const char *name,
		 const struct document *document, const char *text, size_t length, uint64_t now_ns)
{
	if (document->signatures == 0)
		note(agent, broker, STRAY_UNSIGNED, name, NULL, now_ns);
	else if ((topic->kind == TOPIC_IS_BEAT) != (document->kind == ORDER_BEAT))
		note(agent, broker, STRAY_MISPLACED, name, kind_name(document->kind), now_ns);
	else if (topic->kind == TOPIC_IS_BEAT)
		take_beat(agent, broker, text, length);
	else if (strcmp(topic->id, document->id) != 0)
		note(agent, broker, STRAY_WRONG_ID, name, document->id, now_ns);
	else
		take_order(agent, broker, document, text, length, now_ns);
}

void agent_message(struct agent *agent, size_t broker, const char *name, const char *text,
		   size_t length, uint64_t now_ns)
{
	struct topic topic = topic_parse(name);
	struct document document;
	struct order_fault fault;
	int r;

	if (topic.kind != TOPIC_IS_ORDER && topic.kind != TOPIC_IS_BEAT) {
		note(agent, broker, STRAY_TOPIC, name, NULL, now_ns);
		return;
	}
	if (length == 0) /* whoever published it has withdrawn it */
		return;
	if (length > DOCUMENT_MAX_BYTES) {
		note(agent, broker, STRAY_OVERSIZED, name, NULL, now_ns);
		return;
	}
	r = document_read(text, length, &document, &fault);
	if (r == -EBADMSG)
		note(agent, broker, STRAY_NO_ORDER, name, fault.text, now_ns);
	if (r == -ENOMEM || r == -EIO) {
		agent->broker[broker].has_missed = true;
		note(agent, broker, STRAY_NO_ROOM, name, strerror(-r), now_ns);
	}
	if (r < 0)
		return;
	take(agent, broker, &topic, name, &document, text, length, now_ns);
	document_free(&document);
}

/* ---- time ----------------------------------------------------------------------------------- */

/* Not where none ever came: not all fleets have them. The daemon keeps the last one, so that they
 * are missed after a start as well. */
static void check_beat(struct agent *agent)
{
	uint64_t issued = agent->standing.beat_issued_ns, now = wall_now();
	bool is_late = agent->has_had_beat && is_long_ago(issued, now, agent->late_ns);

	if (is_late && !agent->is_beat_late && !issued)
		agent_tell(agent, "ALARM: of which time the last beat is cannot be told: orders "
				  "may not come through");
	else if (is_late && !agent->is_beat_late)
		agent_tell(agent, "ALARM: no beat for %" PRIu64 " s: orders may not come through",
			   (now - issued) / NS_PER_SECOND);
	else if (!is_late && agent->is_beat_late)
		agent_tell(agent, "beats come again");
	agent->is_beat_late = is_late;
}

static uint64_t ask_again(struct agent *agent, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < agent->brokers; i++) {
		struct agent_broker *broker = &agent->broker[i];

		if (!broker->is_up || !broker->has_missed)
			continue;
		if (!broker->asked_again_ns)
			broker->asked_again_ns = now_ns;
		if (broker->asked_again_ns + again_every_ns <= now_ns) {
			broker->has_missed = false;
			broker->asked_again_ns = now_ns;
			agent->out.ask_again(agent->out.data, i);
		} else {
			sooner(&next, broker->asked_again_ns + again_every_ns);
		}
	}
	return next;
}

uint64_t agent_tick(struct agent *agent, uint64_t now_ns)
{
	uint64_t next = ask_again(agent, now_ns);

	check_beat(agent);
	if (agent->asked == ASKED_NOTHING)
		sooner(&next, agent_asking_due(agent));
	sooner(&next, now_ns + STANDING_EVERY_NS);
	return next;
}
