/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* survey.c - what brokers have of the fleet, put together. */
#include "user/fleet/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/text.h"
#include "user/base/units.h"

const char *host_state_name(enum host_state state)
{
	static const char *const names[HOST_STATES] = {
		[HOST_ENFORCED] = "enforced",	   [HOST_WAITING] = "waiting",
		[HOST_STALE_BEAT] = "stale beat",  [HOST_LATE] = "late",
		[HOST_REFUSES] = "refuses",	   [HOST_NO_DAEMON] = "no daemon",
		[HOST_UNREACHABLE] = "unreachable"};

	return names[state];
}

int survey_init(struct survey *survey, const struct fleet_config *config,
		const struct known_signers *known)
{
	*survey = (struct survey){.config = config, .known = known};
	survey->item = calloc(config->hosts + 1, sizeof(*survey->item));
	if (!survey->item)
		return -ENOMEM;
	for (size_t i = 0; i < config->hosts; i++)
		survey->item[i].host = &config->item[i];
	return 0;
}

void survey_free(struct survey *survey)
{
	for (size_t i = 0; survey->item && i < survey->config->hosts; i++) {
		for (size_t j = 0; j < survey->item[i].words; j++)
			free(survey->item[i].word[j].problem);
		free(survey->item[i].word);
	}
	for (size_t i = 0; i < survey->orders; i++) {
		for (size_t j = 0; j < survey->order[i].groups; j++)
			free(survey->order[i].group[j]);
		free(survey->order[i].group);
	}
	free(survey->item);
	free(survey->order);
	*survey = (struct survey){0};
}

static void bad_word(struct survey *survey, size_t which, const char *topic, const char *why)
{
	struct survey_broker *broker = &survey->broker[which];

	if (broker->bad_words++)
		return;
	snprintf(broker->bad, sizeof(broker->bad), "%.100s: %.90s", topic, why);
	text_make_plain(broker->bad);
}

/* ---- orders --------------------------------------------------------------------------------- */

/* Of the order, which is made when it is new; -1 without memory. */
static ssize_t index_of(struct survey *survey, const char *id)
{
	struct survey_order *added;

	for (size_t i = 0; i < survey->orders; i++) {
		if (strcmp(survey->order[i].id, id) == 0)
			return (ssize_t)i;
	}
	added = ARRAY_ADD(survey->order, survey->orders);
	if (!added)
		return -1;
	strcpy(added->id, id);
	return (ssize_t)survey->orders++;
}

static void copy_groups(struct survey_order *order, const struct document *document)
{
	order->group = calloc(document->hosts.count + 1, sizeof(*order->group));
	for (size_t i = 0; i < document->hosts.count && order->group; i++) {
		order->group[i] = strdup(document->hosts.item[i]);
		if (!order->group[i])
			break;
		order->groups++;
	}
}

/* One text that counts is enough, whichever broker has it. */
static void take_order(struct survey *survey, size_t which, const struct document *document,
		       const uint8_t digest[32], bool is_forged)
{
	ssize_t index = index_of(survey, document->id);
	struct survey_order *order;

	if (index < 0)
		return;
	order = &survey->order[index];
	survey->broker[which].orders += !order->is_served[which];
	order->is_served[which] = true;
	memcpy(order->digest[which], digest, 32);
	order->is_forged = order->is_read ? order->is_forged && is_forged : is_forged;
	if (order->is_read)
		return;
	order->is_read = true;
	order->kind = document->kind;
	order->version = document->version;
	order->issued_ns = document->issued_ns;
	order->until_ns = document->until_ns;
	copy_groups(order, document);
}

static void take_beat(struct survey *survey, size_t which, const struct document *document,
		      const uint8_t digest[32], bool is_forged)
{
	struct survey_broker *broker = &survey->broker[which];

	broker->beat_issued_ns = document->issued_ns;
	memcpy(broker->beat_digest, digest, 32);
	if (!is_forged && document->issued_ns > survey->beat_issued_ns)
		survey->beat_issued_ns = document->issued_ns;
}

static bool is_forged(const struct survey *survey, const struct document *document)
{
	struct judgement judgement;

	return document->signatures == 0 ||
	       (survey->known->is_there &&
		known_signers_of(survey->known, document, &judgement) == 0);
}

static void read_order(struct survey *survey, size_t which, const struct topic *topic,
		       const char *name, const char *text, size_t length)
{
	struct document document;
	struct sshsig_digests whole;
	struct order_fault fault = {0};
	bool forged;

	if (document_read(text, length, &document, &fault) < 0) {
		bad_word(survey, which, name, fault.text[0] ? fault.text : "cannot be read");
		return;
	}
	forged = is_forged(survey, &document);
	if (forged)
		bad_word(survey, which, name, "nobody known here has signed it");
	if ((topic->kind == TOPIC_IS_BEAT) != (document.kind == ORDER_BEAT) ||
	    (topic->kind == TOPIC_IS_ORDER && strcmp(topic->id, document.id) != 0))
		bad_word(survey, which, name, "it does not belong there");
	else if (sshsig_digest(text, length, &whole) == 0 && topic->kind == TOPIC_IS_BEAT)
		take_beat(survey, which, &document, whole.sha256, forged);
	else
		take_order(survey, which, &document, whole.sha256, forged);
	document_free(&document);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static struct survey_word *word_of(struct survey_host *host, size_t order)
{
	struct survey_word *added;

	for (size_t i = 0; i < host->words; i++) {
		if (host->word[i].order == order)
			return &host->word[i];
	}
	added = ARRAY_ADD(host->word, host->words);
	if (!added)
		return NULL;
	host->words++;
	added->order = order;
	return added;
}

/* The latest stands. */
static void take_ack(struct survey *survey, struct survey_host *host, const struct ack *ack)
{
	ssize_t order = index_of(survey, ack->order);
	struct survey_word *word = order < 0 ? NULL : word_of(host, (size_t)order);

	if (!word || ack->at_ns < word->at_ns)
		return;
	free(word->problem);
	word->problem = ack->problem[0] ? strdup(ack->problem) : NULL;
	word->result = ack->result;
	word->at_ns = ack->at_ns;
}

static void read_host(struct survey *survey, size_t which, const struct topic *topic,
		      const char *name, const char *text, size_t length)
{
	const struct fleet_host *known = fleet_find_host(survey->config, topic->host);
	struct survey_host *host = known ? &survey->item[known - survey->config->item] : NULL;
	struct standing standing;
	const char *why = "";
	struct ack ack;

	if (!host) {
		bad_word(survey, which, name, "the configuration has no such host");
	} else if (topic->kind == TOPIC_IS_ACK) {
		if (ack_read(text, length, topic, &known->key, &ack, &why) < 0)
			bad_word(survey, which, name, why);
		else
			take_ack(survey, host, &ack);
	} else if (standing_read(text, length, topic, &known->key, &standing, &why) < 0) {
		bad_word(survey, which, name, why);
	} else if (!host->has_standing || standing.at_ns > host->standing.at_ns) {
		host->has_standing = true;
		host->standing = standing;
	}
}

void survey_message(struct survey *survey, size_t which, const char *name, const char *text,
		    size_t length)
{
	struct topic topic = topic_parse(name);

	if (length == 0)
		return; /* withdrawn */
	if (topic.kind == TOPIC_IS_OTHER)
		bad_word(survey, which, name, "nobody asked for it");
	else if (topic.kind == TOPIC_IS_ORDER || topic.kind == TOPIC_IS_BEAT)
		read_order(survey, which, &topic, name, text, length);
	else
		read_host(survey, which, &topic, name, text, length);
}

/* ---- judging -------------------------------------------------------------------------------- */

static bool is_for(const struct survey_order *order, const struct fleet_host *host)
{
	return fleet_is_for((const char *const *)order->group, order->groups, host);
}

/* A later base or list takes the place of those before, on the hosts that it is for. */
static bool is_superseded(const struct survey *survey, const struct survey_order *order,
			  const struct fleet_host *host)
{
	for (size_t i = 0; i < survey->orders && order->version; i++) {
		const struct survey_order *other = &survey->order[i];

		if (other->is_read && !other->is_forged && other->kind == order->kind &&
		    other->version > order->version && is_for(other, host))
			return true;
	}
	return false;
}

static bool is_wanted(const struct survey *survey, const struct survey_order *order,
		      const struct fleet_host *host, uint64_t now_ns)
{
	return order->is_read && !order->is_forged &&
	       (!order->until_ns || order->until_ns > now_ns) && is_for(order, host) &&
	       !is_superseded(survey, order, host);
}

/* By the host's standing. */
static bool has_version(const struct survey_host *host, const struct survey_order *order)
{
	const struct standing *standing = &host->standing;

	if (!host->has_standing || !order->version)
		return false;
	return (order->kind == ORDER_BASE && standing->base >= order->version &&
		standing->base_holds) ||
	       (order->kind == ORDER_SIGNERS && standing->signers >= order->version);
}

/* Another policy was put in its place, or the host was installed anew, after it had said so. */
static bool is_lost(const struct survey_host *host, const struct survey_order *order,
		    const struct survey_word *word)
{
	return order->version && host->has_standing && host->standing.has_daemon &&
	       host->standing.at_ns > word->at_ns && !has_version(host, order);
}

static bool is_replaced(const struct survey_host *host)
{
	return host->has_standing && host->standing.base && !host->standing.base_holds;
}

static const struct survey_word *find_word(const struct survey_host *host, size_t order)
{
	for (size_t i = 0; i < host->words; i++) {
		if (host->word[i].order == order)
			return &host->word[i];
	}
	return NULL;
}

static void worse(struct survey_host *host, enum host_state state)
{
	if (state > host->state)
		host->state = state;
}

/* NULL: it has said nothing. */
static const char *why_not(const struct survey_host *host, const struct survey_order *order,
			   const struct survey_word *word)
{
	if (order->kind == ORDER_BASE && is_replaced(host) && host->standing.base >= order->version)
		return "another policy was put in its place on the host itself";
	if (!word)
		return NULL;
	if (word->result == ACK_DONE)
		return "it was in force there, and is no more";
	if (word->problem)
		return word->problem;
	return word->result == ACK_NOT_FOR_US ? "it is of none of its groups"
					      : ack_result_name(word->result);
}

static void judge_order(const struct survey *survey, struct survey_host *host, size_t index,
			uint64_t now_ns)
{
	const struct survey_order *order = &survey->order[index];
	const struct survey_word *word = find_word(host, index);

	host->orders++;
	if (has_version(host, order) ||
	    (word && word->result == ACK_DONE && !is_lost(host, order, word)))
		return;
	if (!host->lacks++) {
		host->order = order->id;
		host->why = why_not(host, order, word);
	}
	if (word)
		worse(host, HOST_REFUSES);
	else
		worse(host, is_long_ago(order->issued_ns, now_ns, survey->config->late_ns)
				    ? HOST_LATE
				    : HOST_WAITING);
}

/* Beats are no duty; but one that was there once, at a broker or on any host, says that they come:
 * brokers that have lost theirs are no excuse. */
static bool has_beats(const struct survey *survey)
{
	if (survey->beat_issued_ns)
		return true;
	for (size_t i = 0; i < survey->config->hosts; i++) {
		if (survey->item[i].standing.beat)
			return true;
	}
	return false;
}

static void judge_host(const struct survey *survey, struct survey_host *host, uint64_t now_ns)
{
	uint64_t late_ns = survey->config->late_ns;

	host->state = HOST_ENFORCED;
	host->orders = host->lacks = 0;
	host->order = host->why = NULL;
	for (size_t i = 0; i < survey->orders; i++) {
		if (is_wanted(survey, &survey->order[i], host->host, now_ns))
			judge_order(survey, host, i, now_ns);
	}
	if (has_beats(survey) && is_long_ago(host->standing.beat_issued_ns, now_ns, late_ns))
		worse(host, HOST_STALE_BEAT);
	if (is_replaced(host))
		worse(host, HOST_REFUSES);
	if (host->has_standing && !host->standing.has_daemon)
		worse(host, HOST_NO_DAEMON);
	if (!host->has_standing || is_long_ago(host->standing.at_ns, now_ns, late_ns))
		worse(host, HOST_UNREACHABLE);
}

static bool both_are_reached(const struct survey *survey)
{
	return survey->config->brokers == 2 && survey->broker[0].is_reached &&
	       survey->broker[1].is_reached;
}

bool survey_disagrees(const struct survey *survey, const struct survey_order *order)
{
	if (!both_are_reached(survey) || !order->is_read)
		return false;
	return order->is_served[0] != order->is_served[1] ||
	       memcmp(order->digest[0], order->digest[1], 32) != 0;
}

bool survey_beats_disagree(const struct survey *survey)
{
	return both_are_reached(survey) &&
	       memcmp(survey->broker[0].beat_digest, survey->broker[1].beat_digest, 32) != 0;
}

void survey_judge(struct survey *survey, uint64_t now_ns)
{
	memset(survey->count, 0, sizeof(survey->count));
	survey->disagreements = survey_beats_disagree(survey);
	for (size_t i = 0; i < survey->orders; i++)
		survey->disagreements += survey_disagrees(survey, &survey->order[i]);
	for (size_t i = 0; i < survey->config->hosts; i++) {
		judge_host(survey, &survey->item[i], now_ns);
		survey->count[survey->item[i].state]++;
	}
}
