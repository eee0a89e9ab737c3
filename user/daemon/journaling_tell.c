/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling_tell.c - the journal for people: its lines, and what of them is in force.
 */
#include "user/daemon/journaling.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/units.h"
#include "user/daemon/cutting.h"
#include "user/daemon/host.h"
#include "user/daemon/latches.h"

enum { MOST_LISTED = 10000 };

/* What is in force now; without a guard what will be when one is loaded. */
struct force {
	struct orders orders;
	struct latches latches;
	bool knows_latches;   /* else neither the file of them nor its copy can be read */
	uint64_t *latch_line; /* the last line of each latch */
};

struct telling {
	struct force force;
	struct json_out *reply;
	uint64_t from;	 /* list: lines from this number on */
	const char *id;	 /* show */
	uint64_t number; /* show: of "j12" */
	uint64_t *told;	 /* show: numbers of the lines that were */
	size_t told_count;
};

/* ---- what is in force ----------------------------------------------------------------------- */

static int read_orders(struct host *host, struct orders *orders)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (host->guard) {
		r = host_refresh_orders(host);
		return r < 0 ? r : orders_copy(&host->orders, orders);
	}
	path = host_path(host, "orders.json");
	r = path ? orders_load(path, orders) : -ENOMEM;
	return r == -ENOENT ? 0 : r;
}

static int read_latches(const struct host *host, struct force *force)
{
	int r = host->guard ? latches_read(host, &force->latches)
			    : latches_saved(host, &force->latches);

	force->knows_latches = r == 0;
	return r == -EBADMSG ? 0 : r;
}

static int force_read(struct host *host, struct force *force)
{
	int r = read_orders(host, &force->orders);

	if (r == 0)
		r = read_latches(host, force);
	force->latch_line = calloc(force->latches.count + 1, sizeof(*force->latch_line));
	return r == 0 && !force->latch_line ? -ENOMEM : r;
}

static void force_free(struct force *force)
{
	orders_free(&force->orders);
	latches_free(&force->latches);
	free(force->latch_line);
}

static const struct weir_order *order_in_force(const struct force *force, const char *id)
{
	return id[0] == 'c' || id[0] == 'o'
		       ? orders_find(&force->orders, strtoull(id + 1, NULL, 10))
		       : NULL;
}

static int note_latch(const struct chain_line *line, void *data)
{
	struct force *force = data;
	json_object *record = field_object(line->object, "record");
	const char *id = field_text(record, "id");

	if (id[0] != 'g' || strcmp(field_text(record, "kind"), "latch") != 0)
		return 0;
	for (size_t i = 0; i < force->latches.count; i++) {
		if (force->latches.item[i].account == strtoull(id + 1, NULL, 16))
			force->latch_line[i] = line->number;
	}
	return 0;
}

static bool is_latch_in_force(const struct force *force, uint64_t number)
{
	for (size_t i = 0; i < force->latches.count; i++) {
		if (force->latch_line[i] == number)
			return true;
	}
	return false;
}

/* ---- one line ------------------------------------------------------------------------------- */

/* What stands in the list of orders from then on, until it ends. */
static bool stays(json_object *record)
{
	static const char *const kinds[] = {"cut", "extend", "pause", "partner-add", "probation"};
	const char *kind = field_text(record, "kind");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i], kind) == 0)
			return field_text(record, "id")[0] != '\0';
	}
	return false;
}

/* An order without an id of its own goes by its line. */
static void put_line(struct telling *telling, const struct chain_line *line)
{
	json_object *record = field_object(line->object, "record");
	const char *kind = field_text(record, "kind"), *id = field_text(record, "id");
	struct json_out *reply = telling->reply;
	char own[24];

	snprintf(own, sizeof(own), "j%" PRIu64, line->number);
	json_open(reply, NULL, '{');
	json_put_text(reply, "id", id[0] ? id : own);
	json_put_uint(reply, "line", line->number);
	json_put_uint(reply, "byte", line->byte);
	json_put_uint(reply, "at", field_number(line->object, "wall_ns") / NS_PER_SECOND);
	if (stays(record))
		json_put_bool(reply, "in_force", order_in_force(&telling->force, id) != NULL);
	else if (strcmp(kind, "latch") == 0 && telling->force.knows_latches)
		json_put_bool(reply, "in_force", is_latch_in_force(&telling->force, line->number));
	fprintf(reply->out, ",\"record\":%s",
		json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_close(reply, '}');
}

/* Also one that cannot be opened, as it is of another build. */
static bool has_guard(const struct host *host)
{
	return host->guard || guard_is_pinned(host->instance);
}

/* ---- the chain ------------------------------------------------------------------------------ */

static int tell_fault(const struct host *host, const struct chain_fault *fault,
		      struct json_out *reply, char **problem)
{
	json_open(reply, "fault", '{');
	json_put_uint(reply, "line", fault->line);
	json_put_uint(reply, "byte", fault->byte);
	json_put_text(reply, "why", fault->what);
	json_close(reply, '}');
	return tell_problem(problem, DONE_IN_PART,
			    "the journal does not hold: line %" PRIu64 " of %s (byte %" PRIu64
			    "): %s",
			    fault->line, host->journaling.journal.path, fault->byte, fault->what);
}

/* Reads all that holds. The fault is told when the answer is whole: see finish(). */
static int read_journal(struct host *host, chain_each each, void *data, struct chain_place *end,
			struct chain_fault *fault)
{
	int r = journal_read(&host->journaling.journal, each, data, end, fault);

	if (r != -EBADMSG)
		*fault = (struct chain_fault){0};
	return r == -EBADMSG ? 0 : r;
}

static int finish(const struct host *host, int r, const struct chain_fault *fault,
		  struct json_out *reply, char **problem)
{
	if (r < 0 && !*problem)
		tell_problem(problem, r, "cannot read the journal: %s", strerror(-r));
	if (r < 0 || !fault->what)
		return r;
	return tell_fault(host, fault, reply, problem);
}

/* ---- list ----------------------------------------------------------------------------------- */

static int list_line(const struct chain_line *line, void *data)
{
	struct telling *telling = data;

	if (line->number >= telling->from)
		put_line(telling, line);
	return 0;
}

int journaling_list(struct host *host, struct json_out *reply, char **problem)
{
	struct telling telling = {.reply = reply};
	struct chain_fault fault = {0};
	struct chain_place end = chain_start();
	int r = force_read(host, &telling.force);

	if (r == 0)
		r = read_journal(host, note_latch, &telling.force, &end, &fault);
	telling.from = end.number > MOST_LISTED ? end.number - MOST_LISTED + 1 : 1;
	json_put_bool(reply, "guard", has_guard(host));
	json_put_uint(reply, "lines", end.number);
	json_put_uint(reply, "unlisted", telling.from - 1);
	json_open(reply, "orders", '[');
	if (r == 0)
		r = read_journal(host, list_line, &telling, NULL, &fault);
	json_close(reply, ']');
	force_free(&telling.force);
	return finish(host, r, &fault, reply, problem);
}

/* ---- show ----------------------------------------------------------------------------------- */

static bool names_cut(json_object *record, const char *id)
{
	for (size_t i = 0; i < field_count(record, "cuts"); i++) {
		json_object *cut = field_item(record, "cuts", i);

		if (strcmp(field_text(cut, "id"), id) == 0 ||
		    strcmp(field_text(cut, "exception"), id) == 0)
			return true;
	}
	return false;
}

/* Also what says of a line that was told that it failed. */
static bool is_about(const struct telling *telling, const struct chain_line *line)
{
	json_object *record = field_object(line->object, "record");
	uint64_t of = field_number(record, "of");

	for (size_t i = 0; of && i < telling->told_count; i++) {
		if (telling->told[i] == of)
			return true;
	}
	return line->number == telling->number ||
	       strcmp(field_text(record, "id"), telling->id) == 0 ||
	       strcmp(field_text(record, "body_sha256"), telling->id) == 0 ||
	       strcmp(field_text(record, "order"), telling->id) == 0 ||
	       names_cut(record, telling->id);
}

static int show_line(const struct chain_line *line, void *data)
{
	struct telling *telling = data;
	uint64_t *told;

	if (!is_about(telling, line))
		return 0;
	told = ARRAY_ADD(telling->told, telling->told_count);
	if (!told)
		return -ENOMEM;
	*told = line->number;
	telling->told_count++;
	put_line(telling, line);
	return 0;
}

/* Of a cut in force: what of it is let back. */
static void put_exceptions(const struct telling *telling)
{
	const struct weir_order *cut = order_in_force(&telling->force, telling->id);
	struct json_out *reply = telling->reply;
	char id[24];

	json_open(reply, "except", '[');
	for (size_t i = 0; cut && i < telling->force.orders.count; i++) {
		const struct weir_order *order = &telling->force.orders.item[i];

		if (order->parent != cut->id)
			continue;
		order_format(order->id, id, sizeof(id));
		json_open(reply, NULL, '{');
		json_put_text(reply, "id", id);
		json_put_text(reply, "target", order->target);
		json_close(reply, '}');
	}
	json_close(reply, ']');
}

static bool is_id(const char *text, uint64_t *number)
{
	size_t digits = strspn(text + (text[0] != '\0'), "0123456789abcdef");

	*number = text[0] == 'j' ? strtoull(text + 1, NULL, 10) : 0;
	if (strspn(text, "0123456789abcdef") == CHAIN_DIGEST - 1 && !text[CHAIN_DIGEST - 1])
		return true;
	return text[0] && strchr("cogj", text[0]) && digits && text[1 + digits] == '\0';
}

int journaling_show(struct host *host, const char *id, struct json_out *reply, char **problem)
{
	struct telling telling = {.reply = reply, .id = id};
	struct chain_fault fault = {0};
	int r;

	if (!is_id(id, &telling.number))
		return tell_problem(
			problem, -EINVAL,
			"%.80s is no order: c3, o7, g and 16 digits, j and its line, or the "
			"64 digits of a signed one",
			id);
	r = force_read(host, &telling.force);
	if (r == 0)
		r = read_journal(host, note_latch, &telling.force, NULL, &fault);
	json_put_bool(reply, "guard", has_guard(host));
	json_put_text(reply, "id", id);
	json_open(reply, "lines", '[');
	if (r == 0)
		r = read_journal(host, show_line, &telling, NULL, &fault);
	json_close(reply, ']');
	put_exceptions(&telling);
	if (r == 0 && telling.told_count == 0 && !fault.what)
		r = tell_problem(problem, -ENOENT,
				 "no order %s is in the journal (weir order list)", id);
	force_free(&telling.force);
	free(telling.told);
	return finish(host, r, &fault, reply, problem);
}
