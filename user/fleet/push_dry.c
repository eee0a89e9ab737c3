/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* push_dry.c - what an order would do to the fleet, told and not sent. */
#include "user/fleet/push_dry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/json_in.h"
#include "user/base/text.h"
#include "user/fleet/asking.h"
#include "user/fleet/options.h"
#include "user/order/tell.h"
#include "user/policy/read.h"

enum {
	ANSWER_DEPTH = 8,
	MOST_SHOWN = 20,  /* names on a line */
	MOST_TAKEN = 100, /* names of one host's list: no daemon tells more (dry_run.c) */
};

/* ---- names of all hosts, each once ---------------------------------------------------------- */

struct name_set {
	char **name;
	size_t count;
	bool is_part; /* a host has more than it named, or there was no memory */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void name_add(struct name_set *set, const char *name)
{
	char **place = ARRAY_ADD(set->name, set->count);

	if (place)
		*place = strndup(name, NAME_BYTES);
	if (!place || !*place)
		set->is_part = true;
	else
		text_make_plain(set->name[set->count++]);
}

/* In order, each once. */
static void names_settle(struct name_set *set)
{
	size_t kept = 0;

	if (set->count)
		qsort(set->name, set->count, sizeof(*set->name), by_name);
	for (size_t i = 0; i < set->count; i++) {
		if (kept && strcmp(set->name[kept - 1], set->name[i]) == 0)
			free(set->name[i]);
		else
			set->name[kept++] = set->name[i];
	}
	set->count = kept;
}

static void names_free(struct name_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free(set->name[i]);
	free(set->name);
}

/* ---- one host ------------------------------------------------------------------------------- */

struct total {
	const struct push *push;
	struct name_set partners, spared; /* spared: services */
	uint64_t connections, spared_connections;
	size_t answered, cut;
};

/* A host may say any number. */
static void add(uint64_t *sum, uint64_t number)
{
	*sum = number > UINT64_MAX - *sum ? UINT64_MAX : *sum + number;
}

/* "nord (2 connections), sued, ..." of `count`; malloc'd. */
static char *list_text(json_object *answer, const char *list, const char *name, uint64_t count)
{
	char *text = NULL;
	size_t length, there = field_count(answer, list), shown = 0;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	for (; shown < there && shown < MOST_SHOWN; shown++) {
		json_object *one = field_item(answer, list, shown);
		uint64_t connections = field_number(one, "connections");

		fprintf(out, "%s%.*s", shown ? ", " : "", NAME_BYTES, field_text(one, name));
		if (connections)
			fprintf(out, " (%" PRIu64 " connections)", connections);
	}
	if (shown < count)
		fputs(", ...", out);
	return fclose(out) == 0 ? text : NULL;
}

static void names_take(struct name_set *set, json_object *answer, const char *list,
		       const char *name, uint64_t count)
{
	size_t there = field_count(answer, list), taken = there < MOST_TAKEN ? there : MOST_TAKEN;

	for (size_t i = 0; i < taken; i++)
		name_add(set, field_text(field_item(answer, list, i), name));
	set->is_part |= taken < count;
	names_settle(set);
}

static void add_up(struct total *total, json_object *answer)
{
	size_t services = field_count(answer, "lifeline");

	names_take(&total->partners, answer, "partners", "name",
		   field_number(answer, "partner_count"));
	names_take(&total->spared, answer, "lifeline", "service", services);
	for (size_t i = 0; i < services; i++)
		add(&total->spared_connections,
		    field_number(field_item(answer, "lifeline", i), "connections"));
	add(&total->connections, field_number(answer, "selected"));
	total->cut++;
}

static void tell_cut(const char *host, struct total *total, json_object *answer)
{
	uint64_t count = field_number(answer, "partner_count");
	size_t services = field_count(answer, "lifeline");
	_cleanup_free_ char *partners = list_text(answer, "partners", "name", count);
	_cleanup_free_ char *spared = list_text(answer, "lifeline", "service", services);

	text_put_line(stdout,
		      "%s: it would stop %" PRIu64 " partners%s%s and end %" PRIu64
		      " connections%s%s",
		      host, count, count && partners ? ": " : "", count && partners ? partners : "",
		      field_number(answer, "selected"), services ? "; the lifeline spares " : "",
		      services && spared ? spared : "");
	add_up(total, answer);
}

/* Why what a host says is not all there is to say; NULL: it is. */
static const char *shortcoming(const struct asked *asked, json_object *answer)
{
	const char *why = field_text(answer, "lifeline_problem");

	if (!field_is(answer, "by_daemon"))
		return "no daemon answers there, and it alone knows the host's groups";
	if (asked->code != FLEET_DONE)
		return asked->why;
	return why[0] ? why : NULL;
}

static void tell_answer(const struct asked *asked, struct total *total, json_object *answer)
{
	const char *why = shortcoming(asked, answer);

	total->answered += !why;
	if (field_object(answer, "refused"))
		text_put_line(stdout, "%s: as it is signed now it would be refused: %s",
			      asked->host, field_text(answer, "refused"));
	if (!field_is(answer, "is_for_us"))
		text_put_line(stdout, "%s: it would do nothing: it is for other hosts",
			      asked->host);
	else if (field_is(answer, "dry_run"))
		tell_cut(asked->host, total, answer);
	else
		text_put_line(stdout, "%s: nothing is left of it to cut", asked->host);
	if (why)
		text_put_line(stdout, "%s: that is NOT ALL: %s", asked->host, why);
}

/* What a host answers is its own text: no more is taken from it than words for a line. */
static void take_host(const struct asked *asked, void *data)
{
	struct total *total = data;
	json_object *answer =
		asked->code >= 0 ? json_in(asked->out, asked->length, ANSWER_DEPTH) : NULL;
	const char *order = field_text(answer, "order"), *why = NULL;

	if (!order[0])
		why = asked->why[0] ? asked->why : "it says nothing that is an answer";
	else if (strcmp(order, total->push->document->id) != 0)
		why = "it speaks of another order";
	if (why)
		text_put_line(stdout, "%s: NOT KNOWN: %s", asked->host, why);
	else
		tell_answer(asked, total, answer);
	fflush(stdout); /* the next one takes its time */
	json_object_put(answer);
}

static void tell_total(const struct total *total, size_t count)
{
	const struct name_set *spared = &total->spared;

	printf("%zu of %zu hosts have said it: %s%zu partners stopped, %" PRIu64
	       " connections ended on %zu hosts",
	       total->answered, count, total->partners.is_part ? "more than " : "",
	       total->partners.count, total->connections, total->cut);
	for (size_t i = 0; i < spared->count && i < MOST_SHOWN; i++)
		printf("%s%s", i ? ", " : "; the lifeline spares ", spared->name[i]);
	if (spared->is_part || spared->count > MOST_SHOWN)
		printf(", ...");
	if (total->spared_connections)
		printf(" (%" PRIu64 " connections)", total->spared_connections);
	puts("; nothing was done");
}

/* ---- all of them ---------------------------------------------------------------------------- */

static int ask(const struct push *push, const char *over, uint64_t within_ns)
{
	struct total total = {.push = push};
	const struct question question = {.over = over,
					  .command = "weir order apply - --dry-run --json",
					  .text = push->text,
					  .length = push->length,
					  .within_ns = within_ns,
					  .take = take_host,
					  .data = &total};
	_cleanup_free_ const char **host = calloc(push->expected + 1, sizeof(*host));
	size_t count = 0;
	int r = host ? 0 : -ENOMEM;

	for (size_t i = 0; host && i < push->config->hosts; i++) {
		if (push->item[i].is_expected)
			host[count++] = push->item[i].host->name.text;
	}
	if (r == 0)
		r = ask_hosts(&question, host, count);
	if (r < 0)
		fprintf(stderr, "weir push: not all can be asked: %s\n", strerror(-r));
	else
		tell_total(&total, count);
	names_free(&total.partners);
	names_free(&total.spared);
	return r == 0 && total.answered == count ? FLEET_DONE : FLEET_REFUSED;
}

static void tell_hosts(const struct push *push)
{
	printf("it would go to %zu of %zu hosts:\n", push->expected, push->config->hosts);
	for (size_t i = 0; i < push->config->hosts; i++) {
		const struct fleet_host *host = push->item[i].host;

		if (!push->item[i].is_expected)
			continue;
		printf("%s", host->name.text);
		for (size_t j = 0; j < host->groups.count; j++)
			printf("%s%s", j ? " " : ": ", host->groups.item[j].text);
		putchar('\n');
	}
}

int push_dry_run(const struct push *push, const char *over, uint64_t within_ns)
{
	if (over && push->document->kind != ORDER_CUT) {
		fprintf(stderr,
			"weir push: only of a cut hosts can say what it would do: weir order "
			"verify tells of the others\n");
		return FLEET_REFUSED;
	}
	order_tell(push->document, stdout);
	tell_hosts(push);
	fflush(stdout); /* asking takes its time */
	return over ? ask(push, over, within_ns) : FLEET_DONE;
}
