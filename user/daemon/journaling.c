/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * journaling.c - orders on their way into the journal.
 *
 * All lines go through one queue, which is written as a whole: so what the disk did not take comes
 * before what was ordered later.
 */
#include "user/daemon/journaling.h"

#include <inttypes.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/units.h"
#include "user/daemon/host.h"
#include "user/daemon/recovering.h"

enum { MOST_WAITING = 1024 };

struct waiting {
	char *text;
	uint64_t wall_ns, boot_ns; /* of the order, not of the writing */
	bool is_late;		   /* the disk did not take it at first */
};

int journaling_open(struct host *host)
{
	_cleanup_free_ char *path = host_path(host, JOURNAL_FILE);

	return path ? journal_open(&host->journaling.journal, host->state_dir, path) : -ENOMEM;
}

/* Those behind the first `count` leave the queue. */
static void shorten(struct journaling *journaling, size_t count)
{
	while (journaling->waiting_count > count)
		free(journaling->waiting[--journaling->waiting_count].text);
}

void journaling_close(struct host *host)
{
	struct journaling *journaling = &host->journaling;

	shorten(journaling, 0);
	free(journaling->waiting);
	free(journaling->latch);
	journal_close(&journaling->journal);
	*journaling = (struct journaling){.journal.directory = -1};
}

/* Takes the text over in each case; NULL: there was no memory for it. */
static int push(struct journaling *journaling, char *text)
{
	struct waiting *item =
		text ? ARRAY_ADD(journaling->waiting, journaling->waiting_count) : NULL;

	if (!item) {
		free(text);
		return -ENOMEM;
	}
	*item = (struct waiting){.text = text, .wall_ns = wall_now(), .boot_ns = boot_now()};
	journaling->waiting_count++;
	return 0;
}

/* ---- a journal that does not fit ------------------------------------------------------------ */

static char *aside_text(const char *aside, uint64_t bytes, const char *digest,
			const struct chain_fault *fault)
{
	char *text = NULL;
	size_t length;
	struct json_out json = {.out = open_memstream(&text, &length)};

	if (!json.out)
		return NULL;
	json_open(&json, NULL, '{');
	json_put_text(&json, "kind", "set-aside");
	json_put_text(&json, "file", aside);
	json_put_uint(&json, "bytes", bytes);
	json_put_text(&json, "sha256", digest);
	json_put_uint(&json, "line", fault->line);
	json_put_uint(&json, "byte", fault->byte);
	json_put_text(&json, "why", fault->what);
	json_close(&json, '}');
	if (fclose(json.out) == 0)
		return text;
	free(text);
	return NULL;
}

static void tell_aside(struct host *host, const char *aside, const struct chain_fault *fault)
{
	struct record_field field[] = {{"file", host->journaling.journal.path, 0},
				       {"set_aside", aside ? aside : "", 0},
				       {"line", NULL, fault->line},
				       {"byte", NULL, fault->byte}};

	host_tell(host, "damaged", RECORD_HIGH, field, 4,
		  "the journal of the orders does not hold from line %" PRIu64 " (byte %" PRIu64
		  "): %s; a new one begins",
		  fault->line, fault->byte, fault->what);
}

/* A new journal begins: its first line, which tells of the old one, comes before all that waits.
 * Without a digest the old one stays where it is. */
static int begin_anew(struct host *host, const struct chain_fault *fault)
{
	struct journaling *journaling = &host->journaling;
	_cleanup_free_ char *aside = NULL;
	char digest[CHAIN_DIGEST] = "";
	uint64_t bytes = 0;
	struct waiting first;
	int r = journal_measure(journaling->journal.path, &bytes, digest);

	if (r == -ENOENT)
		r = 0; /* somebody took it away */
	else if (r == 0 && !(aside = state_keep_aside(host, JOURNAL_FILE)))
		r = -EIO;
	if (r < 0)
		return r;
	journal_forget(&journaling->journal);
	journaling->wants_found = true;
	tell_aside(host, aside, fault);
	r = push(journaling, aside_text(aside, bytes, digest, fault));
	if (r < 0)
		return r;
	first = journaling->waiting[journaling->waiting_count - 1];
	memmove(journaling->waiting + 1, journaling->waiting,
		(journaling->waiting_count - 1) * sizeof(first));
	journaling->waiting[0] = first;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int append(struct journaling *journaling, struct chain_fault *fault)
{
	size_t count = journaling->waiting_count;
	_cleanup_free_ struct journal_record *record = calloc(count, sizeof(*record));
	char id[BOOT_ID_TEXT];
	int r = record ? boot_id(id) : -ENOMEM;

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		const struct waiting *item = &journaling->waiting[i];

		record[i] = (struct journal_record){
			.text = item->text,
			.wall_ns = item->wall_ns,
			.boot_ns = item->boot_ns,
			.boot_id = id,
			.late_ns = item->is_late ? boot_now() - item->boot_ns : 0,
		};
	}
	return journal_append(&journaling->journal, record, count, fault);
}

/* What was only counted is told in a line behind the others. */
static char *counts_text(const struct journaling *journaling)
{
	char *text;

	if (asprintf(&text,
		     "{\"kind\":\"unwritten\",\"refusals\":%" PRIu64 ",\"lines\":%" PRIu64 "}",
		     journaling->refusals_unwritten, journaling->dropped) < 0)
		return NULL;
	return text;
}

static int write_locked(struct host *host)
{
	struct journaling *journaling = &host->journaling;
	struct chain_fault fault;
	int r = append(journaling, &fault);

	if (r != -EBADMSG)
		return r;
	r = begin_anew(host, &fault);
	return r < 0 ? r : append(journaling, &fault);
}

/* All that waits, or nothing. */
static int write_waiting(struct host *host)
{
	struct journaling *journaling = &host->journaling;
	int r = journal_lock(&journaling->journal);

	if (r < 0)
		return r;
	r = write_locked(host);
	journal_unlock(&journaling->journal);
	if (r == 0)
		shorten(journaling, 0);
	return r;
}

/* What is left in the queue waits for a disk; there is an end to that. */
static void keep_waiting(struct journaling *journaling)
{
	if (journaling->waiting_count > MOST_WAITING) {
		journaling->dropped += journaling->waiting_count - MOST_WAITING;
		shorten(journaling, MOST_WAITING);
	}
	for (size_t i = 0; i < journaling->waiting_count; i++)
		journaling->waiting[i].is_late = true;
}

/* Writes all that waits, and the counts. *number: of the last line before these. */
static int write_queue(struct host *host, uint64_t *number)
{
	struct journaling *journaling = &host->journaling;
	size_t counts = journaling->refusals_unwritten || journaling->dropped;
	int r = counts ? push(journaling, counts_text(journaling)) : 0;

	if (r < 0)
		return r;
	r = write_waiting(host);
	if (r < 0) {
		shorten(journaling, journaling->waiting_count - counts);
		return r;
	}
	*number = journaling->journal.known.number - counts;
	journaling->refusals_unwritten = journaling->dropped = 0;
	return 0;
}

void journaling_push(struct host *host, const struct journal_order *order)
{
	struct journaling *journaling = &host->journaling;

	if (push(journaling, journaling_record(host, order, NULL, 0)) < 0)
		journaling->dropped++;
}

/* Behind what waits already. When the disk does not take them they go on waiting, if they
 * `may_wait`, or else were never there. */
static int write_orders(struct host *host, const struct journal_order *order, size_t count,
			const char *why, uint64_t failed, bool may_wait)
{
	struct journaling *journaling = &host->journaling;
	size_t pushed = 0;
	uint64_t number;
	int r = 0;

	while (pushed < count && r == 0) {
		r = push(journaling, journaling_record(host, &order[pushed], why, failed));
		pushed += r == 0;
	}
	if (r == 0)
		r = write_queue(host, &number);
	else
		journaling->dropped += may_wait ? count - pushed : 0;
	if (r < 0 && !may_wait)
		shorten(journaling, journaling->waiting_count - pushed);
	if (r < 0)
		keep_waiting(journaling);
	else if (!why)
		journaling->line = number;
	return r;
}

/* ---- orders --------------------------------------------------------------------------------- */

/* A journal that was set aside took what is in force with it. Not every order comes here with the
 * guard's lock: it nests. */
static void find_again(struct host *host)
{
	if (!host->journaling.wants_found || !host->guard || guard_lock(host->guard) < 0)
		return;
	journaling_found(host);
	guard_unlock(host->guard);
}

int journaling_before(struct host *host, const struct journal_order *order, char **problem)
{
	int r = write_orders(host, order, 1, NULL, 0, false);

	find_again(host);
	if (r < 0)
		return tell_problem(problem, r,
				    "the journal cannot be written, so it is not done: %s",
				    strerror(-r));
	return 0;
}

int journaling_after(struct host *host, const struct journal_order *order, size_t count)
{
	int r = write_orders(host, order, count, NULL, 0, true);

	find_again(host);
	return r;
}

static bool is_one_too_many(struct host *host)
{
	bool is_agent = host->asker && host->asker->is_agent;
	uint64_t now = boot_now(), *since_ns = &host->journaling.refusals[is_agent].since_ns;
	unsigned int *count = &host->journaling.refusals[is_agent].count;

	if (!*since_ns || now - *since_ns > NS_PER_HOUR) {
		*since_ns = now;
		*count = 0;
	}
	if (++*count == JOURNALING_REFUSALS + 1)
		host_tell(host, "refusals", RECORD_MEDIUM, NULL, 0,
			  "more than %d orders %swere refused within an hour: the others are only "
			  "counted",
			  JOURNALING_REFUSALS, is_agent ? "that the agent handed in " : "");
	return *count > JOURNALING_REFUSALS;
}

bool journaling_refused(struct host *host, const struct journal_order *order, const char *why)
{
	struct journaling *journaling = &host->journaling;
	uint64_t failed = journaling->line;

	if (failed) {
		write_orders(host, order, 1, why, failed, true);
		return true;
	}
	if (is_one_too_many(host)) {
		journaling->refusals_unwritten++;
		return false;
	}
	if (write_orders(host, order, 1, why, 0, false) < 0)
		journaling->refusals_unwritten++;
	return true;
}

static void write_late(struct host *host)
{
	uint64_t number;

	if (host->journaling.waiting_count && write_queue(host, &number) < 0)
		keep_waiting(&host->journaling);
}

void journaling_catch_up(struct host *host)
{
	write_late(host);
	find_again(host);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static int check_locked(struct host *host)
{
	struct journaling *journaling = &host->journaling;
	struct chain_fault fault;
	int r = journal_check(&journaling->journal, NULL, NULL, &fault);

	return r == -EBADMSG ? begin_anew(host, &fault) : r;
}

void journaling_begin(struct host *host)
{
	struct journal *journal = &host->journaling.journal;
	int r = journal_lock(journal);

	if (r == 0) {
		r = check_locked(host);
		journal_unlock(journal);
	}
	if (r < 0)
		host_tell(host, "unsaved", RECORD_HIGH,
			  (struct record_field[]){{"error", strerror(-r), 0}}, 1,
			  "the journal of the orders could not be read: %s", strerror(-r));
	write_late(host);
}
