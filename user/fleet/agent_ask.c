/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* agent_ask.c - what the daemon is asked, and what its answers mean. */
#include "user/fleet/agent_inside.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/json_in.h"
#include "user/base/now.h"

enum { ANSWER_DEPTH = 8 };

static const uint64_t brief_after_ns = NS_PER_SECOND; /* an order: several make one brief */
static const uint64_t no_daemon_brief_ns = 5 * NS_PER_SECOND;
static const uint64_t refused_least_ns = 15 * NS_PER_SECOND;
static const uint64_t refused_most_ns = NS_PER_HOUR;

/* ---- asking --------------------------------------------------------------------------------- */

static bool may_hand_in(const struct agent *agent, size_t broker, uint64_t now_ns)
{
	return pace_next(&agent->broker[broker].pace) <= now_ns;
}

uint64_t agent_asking_due(const struct agent *agent)
{
	uint64_t next = agent->brief_ns;

	for (size_t i = 0; i < agent->memory.count; i++) {
		const struct kept *kept = agent->memory.item[i];
		uint64_t turn = pace_next(&agent->broker[kept->broker].pace);

		if (kept->state == KEPT_WAITS)
			sooner(&next, kept->due_ns > turn ? kept->due_ns : turn);
	}
	for (size_t i = 0; i < agent->brokers; i++) {
		if (agent->broker[i].beat.waits)
			sooner(&next, pace_next(&agent->broker[i].pace));
	}
	return next;
}

bool agent_wants(const struct agent *agent, uint64_t now_ns)
{
	return agent->asked == ASKED_NOTHING && agent_asking_due(agent) <= now_ns;
}

/* Cuts before all others, then as they came. */
static struct kept *next_order(const struct agent *agent, uint64_t now_ns)
{
	struct kept *found = NULL;

	for (size_t i = 0; i < agent->memory.count; i++) {
		struct kept *kept = agent->memory.item[i];

		if (kept->state != KEPT_WAITS || kept->due_ns > now_ns ||
		    !may_hand_in(agent, kept->broker, now_ns))
			continue;
		if (!found || (kept->kind == ORDER_CUT) > (found->kind == ORDER_CUT) ||
		    ((kept->kind == ORDER_CUT) == (found->kind == ORDER_CUT) &&
		     kept->number < found->number))
			found = kept;
	}
	return found;
}

/* NULL without memory. */
static char *request_of(const char *name, const char *text, size_t length)
{
	json_object *request = json_object_new_object();
	json_object *value = text ? json_object_new_string_len(text, (int)length) : NULL;
	const char *line = NULL;
	char *copy;

	if (request && (value || !text)) {
		json_object_object_add(request, "request", json_object_new_string(name));
		if (value)
			json_object_object_add(request, "text", TAKE_PTR(value));
		line = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	}
	copy = line ? strdup(line) : NULL;
	json_object_put(value);
	json_object_put(request);
	return copy;
}

static char *ask_order(struct agent *agent, struct kept *kept, uint64_t now_ns)
{
	char *line = request_of("order-apply", kept->text, kept->length);

	if (!line)
		return NULL;
	pace_use(&agent->broker[kept->broker].pace, now_ns);
	kept->state = KEPT_IS_ASKED;
	agent->asked = ASKED_ORDER;
	agent->asked_order = kept;
	return line;
}

static char *ask_beat(struct agent *agent, uint64_t now_ns)
{
	for (size_t i = 0; i < agent->brokers; i++) {
		struct kept_beat *beat = &agent->broker[i].beat;
		char *line;

		if (!beat->waits || !may_hand_in(agent, i, now_ns))
			continue;
		line = request_of("order-apply", beat->text, beat->length);
		if (!line)
			return NULL;
		pace_use(&agent->broker[i].pace, now_ns);
		beat->waits = false;
		agent->asked = ASKED_BEAT;
		agent->asked_broker = i;
		return line;
	}
	return NULL;
}

char *agent_request(struct agent *agent, uint64_t now_ns)
{
	struct kept *kept;
	char *line;

	if (agent->asked != ASKED_NOTHING)
		return NULL;
	kept = next_order(agent, now_ns);
	if (kept)
		return ask_order(agent, kept, now_ns);
	line = ask_beat(agent, now_ns);
	if (line || agent->brief_ns > now_ns)
		return line;
	line = request_of("brief", NULL, 0);
	if (line)
		agent->asked = ASKED_BRIEF;
	return line;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* 15 s, 30 s, ... an hour. */
static uint64_t refused_for(unsigned int refusals)
{
	uint64_t ns = refused_least_ns;

	while (--refusals && ns < refused_most_ns)
		ns *= 2;
	return ns < refused_most_ns ? ns : refused_most_ns;
}

static struct ack ack_of(const struct agent *agent, const struct kept *kept, json_object *answer)
{
	struct ack ack = {.at_ns = wall_now(),
			  .matched = field_number(answer, "matched"),
			  .version = field_number(answer, "version")};
	bool has_order = strcmp(field_text(answer, "order"), kept->id) == 0;

	strcpy(ack.order, kept->id);
	snprintf(ack.host, sizeof(ack.host), "%s", agent->host);
	if (field_object(answer, "code") && field_number(answer, "code") == 0 && has_order)
		ack.result = field_is(answer, "is_for_us") ? ACK_DONE : ACK_NOT_FOR_US;
	else
		ack.result = has_order ? ACK_IN_PART : ACK_REFUSED;
	if (!ack_is_good(ack.result))
		snprintf(ack.problem, sizeof(ack.problem), "%s",
			 field_text(answer, "problem")[0] ? field_text(answer, "problem")
							  : "the daemon's answer says nothing");
	return ack;
}

static bool says_the_same(const struct ack *a, const struct ack *b)
{
	return a->result == b->result && a->matched == b->matched && a->version == b->version &&
	       strcmp(a->problem, b->problem) == 0;
}

/* Signs it anew only where it says something new. */
static void take_ack(struct agent *agent, struct kept *kept, const struct ack *ack)
{
	char *text;
	size_t length;

	if (kept->ack_text && says_the_same(ack, &kept->ack))
		return;
	kept->ack = *ack;
	kept->has_ack = true;
	kept->said = 0;
	free(TAKE_PTR(kept->ack_text));
	if (ack_write(ack, agent->key, &text, &length) < 0) {
		agent_tell(agent, "order %.12s: its acknowledgement could not be signed", kept->id);
		return;
	}
	kept->ack_text = text;
	kept->ack_length = length;
	agent_tell(agent, "order %.12s (%s): %s%s%s", kept->id, kind_name(kept->kind),
		   ack_result_name(ack->result), ack->problem[0] ? ": " : "", ack->problem);
}

static void order_answered(struct agent *agent, json_object *answer, uint64_t now_ns)
{
	struct kept *kept = agent->asked_order;
	const struct ack ack = ack_of(agent, kept, answer);

	take_ack(agent, kept, &ack);
	if (ack_is_good(ack.result)) {
		memory_end(&agent->memory, kept);
	} else {
		kept->state = KEPT_WAITS;
		kept->due_ns = now_ns + refused_for(++kept->refusals);
	}
	agent_say(agent, kept);
	agent_brief_at(agent, now_ns + brief_after_ns);
}

/* A beat is no order: what counts is the version that the daemon then has. */
static void beat_answered(struct agent *agent, json_object *answer, uint64_t now_ns)
{
	if (!field_object(answer, "code") || field_number(answer, "code") != 0)
		agent_tell(agent, "broker %s: its beat is refused: %.200s",
			   agent->broker[agent->asked_broker].label, field_text(answer, "problem"));
	agent_brief_at(agent, now_ns);
}

/* What the host lacked may be there now. */
static void try_refused(struct agent *agent, uint64_t now_ns)
{
	for (size_t i = 0; i < agent->memory.count; i++) {
		struct kept *kept = agent->memory.item[i];

		if (kept->state == KEPT_WAITS)
			kept->due_ns = now_ns;
	}
}

static void put_groups(json_object *answer, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < field_count(answer, "groups") && used < size; i++) {
		json_object *item = field_item(answer, "groups", i);

		used += snprintf(text + used, size - used, "%s%s", i ? " " : "",
				 json_object_get_string(item));
	}
}

/* Without memory they are not known, and so are others again the next time. */
static void keep_groups(struct agent *agent, const char *text)
{
	free(agent->groups);
	agent->groups = strdup(text);
}

/*
 * The texts of orders that were not for this host are forgotten: where its groups are others now,
 * and so some may be for it, the brokers have them. A brief without groups says nothing of them.
 * Before the first one an order may have been answered by a daemon with others.
 */
static void look_at_groups(struct agent *agent, json_object *answer, uint64_t now_ns)
{
	json_object *groups = field_object(answer, "groups");
	const char *text = json_object_is_type(groups, json_type_array)
				   ? json_object_to_json_string_ext(groups, JSON_C_TO_STRING_PLAIN)
				   : NULL;
	bool were_known = agent->groups != NULL;

	if (!text || (were_known && strcmp(agent->groups, text) == 0))
		return;
	keep_groups(agent, text);
	if (!memory_drop_not_for_us(&agent->memory) && !were_known)
		return;
	agent_tell(agent, "the groups of this host are others now: all orders are read again");
	for (size_t i = 0; i < agent->brokers; i++) {
		if (!agent->broker[i].is_up)
			continue; /* it serves all of them when it comes */
		agent->broker[i].has_missed = false;
		agent->broker[i].asked_again_ns = now_ns;
		agent->out.ask_again(agent->out.data, i);
	}
}

static void brief_answered(struct agent *agent, json_object *answer, uint64_t now_ns)
{
	struct standing was = agent->standing, *now = &agent->standing;
	json_object *in_force = field_object(answer, "in_force");

	now->has_daemon = true;
	snprintf(now->policy, sizeof(now->policy), "%s", field_text(answer, "policy"));
	now->base = field_number(field_object(in_force, "base"), "version");
	now->base_holds = field_is(field_object(in_force, "base"), "holds");
	now->signers = field_number(field_object(in_force, "signers"), "version");
	now->beat = field_number(field_object(in_force, "beat"), "version");
	now->beat_issued_ns =
		field_number(field_object(in_force, "beat"), "issued") * NS_PER_SECOND;
	agent->has_had_beat |= field_object(in_force, "beat") != NULL;
	now->cuts = field_number(answer, "cuts");
	now->clock_is_trusted = field_is(answer, "clock_is_trusted");
	put_groups(answer, now->groups, sizeof(now->groups));
	look_at_groups(agent, answer, now_ns);
	if (agent->is_standing_known &&
	    (was.signers != now->signers || was.base != now->base ||
	     was.base_holds != now->base_holds || was.clock_is_trusted != now->clock_is_trusted))
		try_refused(agent, now_ns);
	agent->is_standing_known = true;
	agent->brief_ns = now_ns + STANDING_EVERY_NS;
	agent_say_standing(agent, now_ns);
}

void agent_answer(struct agent *agent, const char *line, size_t length, uint64_t now_ns)
{
	json_object *answer = json_in(line, length, ANSWER_DEPTH);
	enum agent_asked asked = agent->asked;

	agent->asked = ASKED_NOTHING;
	if (asked == ASKED_ORDER)
		order_answered(agent, answer, now_ns);
	else if (asked == ASKED_BEAT)
		beat_answered(agent, answer, now_ns);
	else if (asked == ASKED_BRIEF)
		brief_answered(agent, answer, now_ns);
	json_object_put(answer);
}

/* One that the daemon does not survive must not keep the others from it. */
void agent_no_answer(struct agent *agent, uint64_t now_ns)
{
	struct kept *kept = agent->asked_order;

	if (agent->asked == ASKED_ORDER) {
		kept->state = KEPT_WAITS;
		kept->number = agent->memory.number++;
		kept->due_ns = now_ns;
	} else if (agent->asked == ASKED_BEAT) {
		agent->broker[agent->asked_broker].beat.waits = true;
	}
	agent->asked = ASKED_NOTHING;
}

void agent_no_daemon(struct agent *agent, uint64_t now_ns)
{
	bool is_news = agent->standing.has_daemon || !agent->is_standing_known;

	if (agent->brief_ns <= now_ns)
		agent->brief_ns = now_ns + no_daemon_brief_ns;
	if (!is_news && !agent->is_unsaid && now_ns - agent->said_ns < STANDING_EVERY_NS)
		return;
	if (is_news)
		agent_tell(agent, "no daemon answers: orders are kept until one does");
	agent->standing.has_daemon = false;
	agent->is_standing_known = true;
	agent_say_standing(agent, now_ns);
}
