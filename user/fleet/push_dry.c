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

enum { ANSWER_DEPTH = 8, MOST_NAMES = 20 /* on a line */ };

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
		*place = strdup(name);
	if (!place || !*place)
		set->is_part = true;
	else
		text_make_plain(set->name[set->count++]);
}

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
	struct name_set partners, spared; /* spared: services */
	uint64_t connections, spared_connections;
	size_t answered, cut;
};

/* "nord (2 connections), sued, ..." */
static char *list_text(json_object *answer, const char *list, const char *name, uint64_t count)
{
	char *text = NULL;
	size_t length, there = field_count(answer, list);
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	for (size_t i = 0; i < there && i < MOST_NAMES; i++) {
		json_object *one = field_item(answer, list, i);
		uint64_t connections = field_number(one, "connections");

		fprintf(out, "%s%s", i ? ", " : "", field_text(one, name));
		if (connections)
			fprintf(out, " (%" PRIu64 " connections)", connections);
	}
	if (count > MOST_NAMES || count > there)
		fputs(", ...", out);
	return fclose(out) == 0 ? text : NULL;
}

static void add_up(struct total *total, json_object *answer)
{
	size_t partners = field_count(answer, "partners");

	for (size_t i = 0; i < partners; i++)
		name_add(&total->partners, field_text(field_item(answer, "partners", i), "name"));
	if (partners < field_number(answer, "partner_count"))
		total->partners.is_part = true;
	for (size_t i = 0; i < field_count(answer, "lifeline"); i++) {
		json_object *spared = field_item(answer, "lifeline", i);

		name_add(&total->spared, field_text(spared, "service"));
		total->spared_connections += field_number(spared, "connections");
	}
	total->connections += field_number(answer, "selected");
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

/* What a host answers is its own text: no more is taken from it than words for a line. */
static void tell_host(const struct asked *asked, struct total *total)
{
	json_object *answer =
		asked->code >= 0 ? json_in(asked->out, asked->length, ANSWER_DEPTH) : NULL;
	const char *why = asked->why[0] ? asked->why : "it says nothing that is an answer";

	if (!answer || !field_object(answer, "order")) {
		text_put_line(stdout, "%s: NOT KNOWN: %s", asked->host, why);
		json_object_put(answer);
		return;
	}
	total->answered += asked->code == FLEET_DONE;
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
	if (asked->code != FLEET_DONE)
		text_put_line(stdout, "%s: that is NOT ALL: %s", asked->host, why);
	json_object_put(answer);
}

static void tell_total(struct total *total, size_t count)
{
	names_settle(&total->partners);
	names_settle(&total->spared);
	printf("%zu of %zu hosts have said it: %s%zu partners stopped, %" PRIu64
	       " connections ended on %zu hosts",
	       total->answered, count, total->partners.is_part ? "more than " : "",
	       total->partners.count, total->connections, total->cut);
	for (size_t i = 0; i < total->spared.count; i++)
		printf("%s%s", i ? ", " : "; the lifeline spares ", total->spared.name[i]);
	if (total->spared_connections)
		printf(" (%" PRIu64 " connections)", total->spared_connections);
	puts("; nothing was done");
}

/* ---- all of them ---------------------------------------------------------------------------- */

static int ask(const struct push *push, const char *over, uint64_t within_ns)
{
	const struct question question = {.over = over,
					  .command = "weir order apply - --dry-run --json",
					  .text = push->text,
					  .length = push->length};
	struct asked *asked = calloc(push->expected + 1, sizeof(*asked));
	struct total total = {0};
	size_t count = 0;
	int r = asked ? 0 : -ENOMEM;

	for (size_t i = 0; asked && i < push->config->hosts; i++) {
		if (push->item[i].is_expected)
			asked[count++].host = push->item[i].host->name.text;
	}
	if (r == 0)
		r = ask_hosts(&question, asked, count, within_ns);
	if (r < 0)
		fprintf(stderr, "weir push: nobody can be asked: %s\n", strerror(-r));
	for (size_t i = 0; r == 0 && i < count; i++)
		tell_host(&asked[i], &total);
	if (r == 0)
		tell_total(&total, count);
	names_free(&total.partners);
	names_free(&total.spared);
	asked_free(asked, count);
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
	order_tell(push->document, stdout);
	tell_hosts(push);
	fflush(stdout); /* asking takes its time */
	if (!over)
		return FLEET_DONE;
	if (push->document->kind != ORDER_CUT) {
		fprintf(stderr,
			"weir push: only of a cut hosts can say what it would do: weir order "
			"verify tells of the others\n");
		return FLEET_REFUSED;
	}
	return ask(push, over, within_ns);
}
