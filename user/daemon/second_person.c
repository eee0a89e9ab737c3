/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * second_person.c - what loosens waits for a second login.
 */
#include "user/daemon/second_person.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/now.h"
#include "user/daemon/host.h"

/* ---- the same request ----------------------------------------------------------------------- */

/* What says nothing of what is to be done: the reason; when it was asked for; the caller's
 * connection and its agreement to lose it; of a policy its texts, whose digest counts. All else
 * does, also what is added to a request later. */
static bool is_beside(const char *key)
{
	static const char *const beside[] = {"reason", "asked_boot_ns", "own", "agreed", "files"};

	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		if (strcmp(key, beside[i]) == 0)
			return true;
	}
	return false;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* In one order, whoever wrote the request. */
static int put_fields(json_object *request, FILE *out)
{
	_cleanup_free_ const char **name =
		calloc((size_t)json_object_object_length(request) + 1, sizeof(*name));
	size_t count = 0;

	if (!name)
		return -ENOMEM;
	json_object_object_foreach(request, key, value)
	{
		if (value && !is_beside(key))
			name[count++] = key;
	}
	qsort(name, count, sizeof(*name), by_name);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s=%s\n", name[i],
			json_object_to_json_string_ext(field_object(request, name[i]),
						       JSON_C_TO_STRING_PLAIN));
	return 0;
}

static int digest_of(const char *text, size_t length, uint8_t digest[32])
{
	return EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL) ? 0 : -EIO;
}

static int digest_command(const struct host *host, const struct second_ask *ask, uint8_t digest[32])
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	int r;

	if (!out)
		return -ENOMEM;
	r = put_fields(host->request, out);
	fprintf(out, "same=%s\n", ask->same ? ask->same : "");
	if (fclose(out) != 0)
		return -ENOMEM;
	return r < 0 ? r : digest_of(text, length, digest);
}

static int digests_of(const struct host *host, const struct second_ask *ask,
		      struct pending *pending)
{
	const char *about = ask->about ? ask->about : "";
	int r = digest_command(host, ask, pending->command_digest);

	return r < 0 ? r : digest_of(about, strlen(about), pending->about_digest);
}

/* ---- what waits ----------------------------------------------------------------------------- */

static void first_free(struct first_person *first)
{
	free(first->reason);
	*first = (struct first_person){0};
}

static void drop(struct second_person *all, size_t i)
{
	struct pending *pending = &all->pending[i];

	free(pending->command);
	first_free(&pending->first);
	memmove(pending, pending + 1, (--all->count - i) * sizeof(*pending));
}

static void drop_expired(struct second_person *all)
{
	uint64_t now = boot_now();

	while (all->count && all->pending[0].until_ns <= now)
		drop(all, 0);
}

/* Of the same command; NULL: none waits. */
static struct pending *find(struct second_person *all, const uint8_t command_digest[32])
{
	for (size_t i = 0; i < all->count; i++) {
		if (memcmp(all->pending[i].command_digest, command_digest, 32) == 0)
			return &all->pending[i];
	}
	return NULL;
}

static bool is_needed(const struct host *host, const struct second_ask *ask)
{
	return host->asker && (ask->is_needed || host->image.four_eyes ||
			       (host->is_foreign && !ask->waits_for_no_disk));
}

/* "alice(1000)" */
static const char *login_text(const struct caller *caller, char text[40])
{
	if (caller->login_user[0])
		snprintf(text, 40, "%.24s(%u)", caller->login_user, caller->login);
	else
		snprintf(text, 40, "uid %u", caller->login);
	return text;
}

/* ---- the first one -------------------------------------------------------------------------- */

/* On disk before it is told, or it does not wait. */
static int journal_asked(struct host *host, const struct second_ask *ask, uint64_t *line,
			 char **problem)
{
	struct journal_order order = *ask->order;
	int r = 0;

	order.waits_until_ns = host_wall(host) + SECOND_PERSON_NS;
	if (ask->waits_for_no_disk)
		journaling_after(host, &order, 1);
	else
		r = journaling_before(host, &order, problem);
	*line = host->journaling.line;
	host->journaling.line = 0; /* nothing was accepted */
	return r;
}

static void tell_asked(struct host *host, const struct pending *pending)
{
	const char *by = pending->first.by.by, *reason = pending->first.reason;

	host_tell(host, "second-person", RECORD_MEDIUM,
		  (struct record_field[]){{"command", pending->command, 0},
					  {"by", by, 0},
					  {"order_reason", reason ? reason : "", 0}},
		  3, "%s asks for what takes a second person: %s", by, pending->command);
}

static int tell_waits(const struct pending *pending, const struct second_ask *ask, bool is_changed,
		      char **problem)
{
	char login[40], span[SPAN_TEXT];

	span_format(SECOND_PERSON_NS, span, sizeof(span));
	return tell_problem(problem, WAITS_FOR_SECOND,
			    "not done yet%s: it takes a second person (four_eyes)%s%s; within %s "
			    "another login than %s has to type: %s",
			    is_changed ? ", and what it is about has changed since it was asked for"
				       : "",
			    ask->note ? ", since " : "", ask->note ? ask->note : "", span,
			    login_text(&pending->first.by, login), pending->command);
}

static int fill(const struct host *host, const struct second_ask *ask, struct pending *pending)
{
	const char *reason = ask->order->reason;

	pending->first.by = *host->asker;
	pending->until_ns = boot_now() + SECOND_PERSON_NS;
	pending->command = second_person_command(host->instance, host->request);
	pending->first.reason = reason ? strdup(reason) : NULL;
	return pending->command && (!reason || pending->first.reason) ? 0 : -ENOMEM;
}

/* `pending` has the digests; it is taken over. */
static int begin(struct host *host, const struct second_ask *ask, struct pending *pending,
		 bool is_changed, char **problem)
{
	struct second_person *all = &host->second_person;
	int r;

	if (all->count == SECOND_PERSON_PLACES)
		return tell_problem(problem, -ENOSPC,
				    "it takes a second person (four_eyes), and %d requests wait "
				    "for one already (weir status): no more can",
				    SECOND_PERSON_PLACES);
	r = fill(host, ask, pending);
	if (r == 0)
		r = journal_asked(host, ask, &pending->first.line, problem);
	if (r < 0) {
		free(pending->command);
		first_free(&pending->first);
		return r;
	}
	all->pending[all->count++] = *pending;
	tell_asked(host, pending);
	return tell_waits(pending, ask, is_changed, problem);
}

/* ---- the second one ------------------------------------------------------------------------- */

static int tell_waits_already(const struct pending *pending, char **problem)
{
	uint64_t now = boot_now();
	char login[40], span[SPAN_TEXT];

	span_format(pending->until_ns > now ? pending->until_ns - now : 0, span, sizeof(span));
	return tell_problem(problem, -EALREADY,
			    "%s has asked for this already, and it waits for another login, for %s "
			    "more, to type: %s",
			    login_text(&pending->first.by, login), span, pending->command);
}

static int let_pass(struct second_person *all, const struct pending *pending)
{
	const struct first_person *first = &pending->first;
	char *reason = first->reason ? strdup(first->reason) : NULL;

	if (first->reason && !reason)
		return -ENOMEM;
	all->has_first = true;
	all->first = (struct first_person){first->by, reason, first->line};
	memcpy(all->command_digest, pending->command_digest, 32);
	return 0;
}

/* Who is no person, or where nobody can wait, is told so before anything else. */
static int check_person(const struct host *host, char **problem)
{
	if (!host->is_daemon)
		return tell_problem(problem, -ESRCH, "no daemon answers, and %s",
				    host->is_foreign
					    ? "whether this takes two people (four_eyes) stands in "
					      "a policy that is not on disk: weir run --policy FILE"
					    : "this takes two people (four_eyes), for which the "
					      "first person's request has to wait in a daemon");
	if (!host->asker->has_login)
		return tell_problem(problem, -EPERM,
				    "it takes two people (four_eyes), and %s has no login uid: a "
				    "process that no login started is nobody",
				    host->asker->by);
	return 0;
}

int second_person(struct host *host, const struct second_ask *ask, char **problem)
{
	struct second_person *all = &host->second_person;
	struct pending made = {0}, *found;
	bool is_changed = false;
	int r = 0;

	if (!is_needed(host, ask) || all->has_first)
		return 0;
	r = check_person(host, problem);
	if (r == 0)
		r = digests_of(host, ask, &made);
	if (r < 0)
		return r;
	drop_expired(all);
	found = find(all, made.command_digest);
	if (found && memcmp(found->about_digest, made.about_digest, 32) != 0) {
		is_changed = true;
		drop(all, found - all->pending);
		found = NULL;
	}
	if (!found)
		return begin(host, ask, &made, is_changed, problem);
	return found->first.by.login == host->asker->login ? tell_waits_already(found, problem)
							   : let_pass(all, found);
}

bool second_person_is_there(struct host *host, const struct second_ask *ask)
{
	struct second_person *all = &host->second_person;
	struct pending made = {0};
	const struct pending *found;

	if (!host->asker || !host->asker->has_login || digests_of(host, ask, &made) < 0)
		return false;
	drop_expired(all);
	found = find(all, made.command_digest);
	return found && memcmp(found->about_digest, made.about_digest, 32) == 0 &&
	       found->first.by.login != host->asker->login;
}

void second_person_end(struct host *host, bool is_done)
{
	struct second_person *all = &host->second_person;
	struct pending *pending;

	if (!all->has_first)
		return;
	pending = find(all, all->command_digest);
	if (pending && is_done)
		drop(all, pending - all->pending);
	all->has_first = false;
	first_free(&all->first);
}

static void drop_all(struct second_person *all)
{
	while (all->count)
		drop(all, 0);
}

void second_person_free(struct second_person *all)
{
	drop_all(all);
	first_free(&all->first);
	all->has_first = false;
}

void second_person_void(struct host *host)
{
	struct second_person *all = &host->second_person;
	size_t count = all->count - (all->has_first && find(all, all->command_digest));

	drop_all(all);
	if (count)
		host_tell(host, "second-person-void", RECORD_MEDIUM,
			  (struct record_field[]){{"count", NULL, count}}, 1,
			  "%zu request%s that waited for a second person %s void: the policy in "
			  "force is another one",
			  count, count == 1 ? "" : "s", count == 1 ? "is" : "are");
}

/* ---- for people ------------------------------------------------------------------------------ */

static void put_pending(const struct host *host, const struct pending *pending,
			struct json_out *reply)
{
	uint64_t until_ns = host_wall(host) + (pending->until_ns - boot_now());

	json_open(reply, NULL, '{');
	json_put_text(reply, "command", pending->command);
	json_put_text(reply, "by", pending->first.by.by);
	json_put_uint(reply, "login_uid", pending->first.by.login);
	json_put_text(reply, "reason", pending->first.reason);
	json_put_uint(reply, "line", pending->first.line);
	json_put_uint(reply, "asked", (until_ns - SECOND_PERSON_NS) / NS_PER_SECOND);
	json_put_uint(reply, "until", until_ns / NS_PER_SECOND);
	json_close(reply, '}');
}

void second_person_put(struct host *host, struct json_out *reply)
{
	drop_expired(&host->second_person);
	json_open(reply, "four_eyes", '{');
	json_put_bool(reply, "is_required", host->image.four_eyes);
	json_open(reply, "pending", '[');
	for (size_t i = 0; i < host->second_person.count; i++)
		put_pending(host, &host->second_person.pending[i], reply);
	json_close(reply, ']');
	json_close(reply, '}');
}
