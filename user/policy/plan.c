/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* plan.c - reads a plan, and compares it with a policy. */
#include "user/policy/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/base/units.h"
#include "user/policy/read.h"
#include "user/policy/target.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- single values -------------------------------------------------------------------------- */

static void read_reason(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	if (!text)
		return;
	if (strlen(text) > PLAN_REASON)
		read_fault(reader, value, "a plan's reason has at most %d bytes", PLAN_REASON);
	else if (!text_is_plain(text))
		read_fault(reader, value, "a reason has no control characters");
	else
		read_line(reader, value, field);
}

/* A whole number up to `most`; 0 after a fault. */
static uint32_t number_of(struct reader *reader, const struct node *value, const char *text,
			  size_t length, uint32_t most, const char *what)
{
	uint32_t number = 0;

	for (size_t i = 0; i < length && number <= most; i++) {
		if (text[i] < '0' || text[i] > '9') {
			number = 0;
			break;
		}
		number = number * 10 + (uint32_t)(text[i] - '0');
	}
	if (number == 0 || number > most) {
		read_fault(reader, value, "\"%.60s\" is no %s: 1 to %u", text, what, most);
		return 0;
	}
	return number;
}

static void read_approvals(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	uint32_t number = text ? number_of(reader, value, text, strlen(text), PLAN_MAX_APPROVALS,
					   "number of approvals")
			       : 0;

	if (number)
		*(uint32_t *)field = number;
}

static void read_evidence(struct reader *reader, const struct node *value, void *field)
{
	static const char *const words[] = {"none", "required"};
	int word = read_word(reader, value, words, LENGTH(words), "rule about evidence");

	if (word >= 0)
		*(bool *)field = word == 1;
}

/* Rounded down: 1 % is 10 parts of 1024. */
static void read_share(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	size_t length = text ? strlen(text) : 0;
	uint32_t percent;

	if (!text)
		return;
	if (text[length - 1] != '%') {
		read_fault(reader, value, "\"%.60s\" is no share of a budget, such as 10%%", text);
		return;
	}
	percent = number_of(reader, value, text, length - 1, 100, "share of a budget in percent");
	if (percent)
		*(uint32_t *)field = percent * WEIR_WHOLE / 100;
}

static void read_watch(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	uint64_t ns;

	if (!text)
		return;
	if (span_parse(text, &ns) < 0 || ns < NS_PER_SECOND)
		read_fault(reader, value, "\"%.60s\" is no span of time, such as 30m or 2h", text);
	else
		*(uint64_t *)field = ns;
}

static const char *const breach_words[] = {[PLAN_CUT] = "cut", [PLAN_TELL] = "tell"};

const char *plan_breach_name(enum plan_breach breach)
{
	return breach_words[breach];
}

static void read_on_breach(struct reader *reader, const struct node *value, void *field)
{
	int word = read_word(reader, value, breach_words, LENGTH(breach_words), "breach of a plan");

	if (word >= 0)
		*(enum plan_breach *)field = word;
}

static const struct name *find_target(const struct plan *plan, const char *text)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct names *targets = &plan->stage[i].targets;

		for (size_t j = 0; j < targets->count; j++) {
			if (strcmp(targets->item[j].text, text) == 0)
				return &targets->item[j];
		}
	}
	return NULL;
}

static void read_target(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	struct names *targets = field;

	if (!text)
		return;
	if (strlen(text) >= sizeof(((struct weir_order *)0)->target) || !text_is_plain(text))
		read_fault(reader, value, "\"%.60s\" is no target", text);
	else if (targets->count == PLAN_MAX_TARGETS)
		read_fault(reader, value, "more than %d targets in a stage", PLAN_MAX_TARGETS);
	else
		read_append(reader, value, text, targets);
}

static void read_targets(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_target);
}

/* ---- the stages ----------------------------------------------------------------------------- */

static const struct key stage_keys[] = {
	{"name", read_name, offsetof(struct plan_stage, name), true},
	{"targets", read_targets, offsetof(struct plan_stage, targets), true},
	{"approvals", read_approvals, offsetof(struct plan_stage, approvals), false},
	{"evidence", read_evidence, offsetof(struct plan_stage, needs_evidence), false},
	{"budget", read_share, offsetof(struct plan_stage, parts), false},
	{"watch", read_watch, offsetof(struct plan_stage, watch_ns), false},
	{"on_breach", read_on_breach, offsetof(struct plan_stage, on_breach), false},
};

static void stage_free(struct plan_stage *stage)
{
	for (size_t i = 0; i < stage->targets.count; i++)
		free(stage->targets.item[i].text);
	free(stage->targets.item);
	free(stage->name.text);
}

/* What one stage alone cannot know. */
static void compare_stage(struct reader *reader, const struct plan *plan,
			  const struct plan_stage *stage)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (stage->name.text && plan->stage[i].name.text &&
		    strcmp(plan->stage[i].name.text, stage->name.text) == 0)
			faults_add_pair(reader->faults, SEVERITY_ERROR, stage->name.at,
					plan->stage[i].name.at, "two stages of one name");
	}
	for (size_t i = 0; i < stage->targets.count; i++) {
		const struct name *target = &stage->targets.item[i], *other;

		other = find_target(plan, target->text);
		if (other)
			faults_add_pair(reader->faults, SEVERITY_ERROR, target->at, other->at,
					"\"%.60s\" stands in a stage already", target->text);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(stage->targets.item[j].text, target->text) == 0)
				faults_add(reader->faults, SEVERITY_ERROR, target->at,
					   "\"%.60s\" is named twice", target->text);
		}
	}
}

static void read_stage(struct reader *reader, const struct node *value, void *field)
{
	struct plan_stage stage = {.approvals = 1, .parts = WEIR_WHOLE}, *added;
	struct plan *plan = field;

	if (plan->count == PLAN_MAX_STAGES) {
		read_fault(reader, value, "more than %d stages", PLAN_MAX_STAGES);
		return;
	}
	if (!read_is_mapping(reader, value, "a stage"))
		return;
	read_keys(reader, value, stage_keys, LENGTH(stage_keys), &stage, "a stage");
	if (stage.parts < WEIR_WHOLE && !stage.watch_ns)
		read_fault(reader, value, "a stage with a share of the budget needs \"watch\"");
	compare_stage(reader, plan, &stage);
	added = ARRAY_ADD(plan->stage, plan->count);
	if (!added) {
		reader->error = -ENOMEM;
		stage_free(&stage);
		return;
	}
	*added = stage;
	plan->count++;
}

static void read_stages(struct reader *reader, const struct node *value, void *field)
{
	(void)field;
	if (value->kind == NODE_LIST)
		read_each(reader, value, field, read_stage);
	else if (value->kind != NODE_BROKEN)
		read_fault(reader, value, "wrong type: a list of stages belongs here");
}

/* ---- the plan ------------------------------------------------------------------------------- */

static const struct key keys[] = {
	{"weir-plan", read_version, 0, true},
	{"name", read_name, offsetof(struct plan, name), true},
	{"reason", read_reason, offsetof(struct plan, reason), true},
	{"stages", read_stages, 0, true},
};

int plan_read(const struct sources *sources, struct plan *plan, struct faults *faults)
{
	struct tree tree = {0};
	struct reader reader = {.tree = &tree, .faults = faults};
	size_t errors = faults->errors;
	int r = tree_read(sources, 0, NULL, &tree, faults);

	if (r < 0)
		return r;
	read_keys(&reader, &tree.node[0], keys, LENGTH(keys), plan, "the plan");
	tree_free(&tree);
	if (reader.error)
		return reader.error;
	return faults->errors > errors ? -EBADMSG : 0;
}

/* Accounts are of names, and budgets of grants: an address has no account that could be watched,
 * and strangers have no grant that a share could be of. */
static int check_target(const struct plan_stage *stage, const struct name *target,
			const struct image *image, struct faults *faults)
{
	_cleanup_free_ char *problem = NULL;
	struct weir_cut_entry entry;
	int r = target_resolve(image, target->text, &entry, &problem);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		faults_add(faults, SEVERITY_ERROR, target->at, "%s",
			   problem ? problem : strerror(-r));
	else if (entry.target == WEIR_TARGET_ADDRESS && stage->watch_ns)
		faults_add(faults, SEVERITY_ERROR, target->at,
			   "nothing of \"%.60s\" can be watched: name the partner, or leave "
			   "\"watch\" out",
			   target->text);
	else if (entry.target == WEIR_TARGET_STRANGERS && stage->parts < WEIR_WHOLE)
		faults_add(faults, SEVERITY_ERROR, target->at,
			   "of \"%.60s\" there is no share of a budget, which is a grant's",
			   target->text);
	return 0;
}

int plan_check(const struct plan *plan, const struct image *image, struct faults *faults)
{
	size_t errors = faults->errors;

	for (size_t i = 0; i < plan->count; i++) {
		const struct names *targets = &plan->stage[i].targets;

		for (size_t j = 0; j < targets->count; j++) {
			int r = check_target(&plan->stage[i], &targets->item[j], image, faults);

			if (r < 0)
				return r;
		}
	}
	return faults->errors > errors ? -EBADMSG : 0;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		stage_free(&plan->stage[i]);
	free(plan->stage);
	free(plan->name.text);
	free(plan->reason.text);
	*plan = (struct plan){0};
}
