/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* signed_order.c - takes an order as a signed text: judges it, and has it carried out. */
#include "user/daemon/signed_order.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/daemon/in_force.h"
#include "user/daemon/taking.h"
#include "user/daemon/trust.h"
#include "user/order/archive.h"
#include "user/order/judge.h"

/* ---- judging -------------------------------------------------------------------------------- */

/* "signed by alice, bob", clipped. */
static void note_signers(struct taking *taking, const struct judgement *judgement)
{
	size_t used = snprintf(taking->by, sizeof(taking->by), "signed by ");

	for (size_t i = 0; i < taking->document.signatures; i++) {
		const struct judged_signature *judged = &judgement->current.signature[i];

		if (!judged->counts)
			continue;
		if (used < sizeof(taking->by))
			used += snprintf(taking->by + used, sizeof(taking->by) - used, "%s%s",
					 taking->signatures ? ", " : "", judged->principal);
		taking->signature[taking->signatures++] =
			(struct journal_signature){judged->principal, judged->fingerprint};
	}
}

/* All but a second principal: that is for the reserve to say. */
static void judge_alone(struct taking *taking, struct judge_by *by, struct judgement *judgement)
{
	if (judgement->is_accepted || taking->is_known || taking->document.kind != ORDER_EXTEND)
		return;
	snprintf(taking->why_two, sizeof(taking->why_two), "%s", judgement->why);
	by->needed = 1;
	judge_document(&taking->document, by, judgement);
	taking->is_alone = judgement->is_accepted;
}

static int judge(struct taking *taking, const struct trust *trust, struct judgement *judgement)
{
	struct host *host = taking->host;
	struct judge_by by = {.signers = trust->signers,
			      .revoked = &trust->revoked,
			      .version = taking->version,
			      .now_ns = host_wall(host),
			      .clock_is_trusted = !guard_control(host->guard).hours_closed};

	judge_document(&taking->document, &by, judgement);
	judge_alone(taking, &by, judgement);
	taking->is_accepted = judgement->is_accepted;
	note_signers(taking, judgement);
	/* It was accepted once: its time, or that of a key, may be over since. */
	if (!judgement->is_accepted && !taking->is_known)
		return tell_problem(taking->problem, -EPERM, "order %.12s is refused: %s",
				    taking->document.id, judgement->why);
	return 0;
}

/* Whether it was taken before, and of what has versions, which one is in force. */
static int look_up(struct taking *taking)
{
	struct in_force in_force;
	int r;

	if (!taking->document.version) {
		int known = taking->archive ? archive_has(taking->archive, &taking->document) : 0;

		taking->is_known = known > 0;
		/* Else what was ended here could be let back once more. */
		return known < 0 && taking->document.kind != ORDER_CUT
			       ? tell_problem(
					 taking->problem, known,
					 "cannot look up whether the order was taken before: %s",
					 strerror(-known))
			       : 0;
	}
	r = in_force_read(taking->host, taking->document.kind, &in_force, taking->problem);
	taking->version = in_force.document.version;
	taking->is_known = r == 0 && strcmp(taking->document.id, in_force.document.id) == 0;
	in_force_free(&in_force);
	return r;
}

/* Whether one of the groups that the order is for is this host's. A command does not know these: it
 * takes a cut as meant. */
static bool is_for_us(const struct taking *taking)
{
	const struct document_list *hosts = &taking->document.hosts;
	const struct host_config *config = taking->host->config;

	if (hosts->count == 0)
		return true;
	if (!config)
		return taking->document.kind == ORDER_CUT;
	for (size_t i = 0; i < hosts->count; i++) {
		for (size_t j = 0; j < config->groups.count; j++) {
			if (strcmp(hosts->item[i], config->groups.item[j].text) == 0)
				return true;
		}
	}
	return false;
}

struct journal_order taking_line(const struct taking *taking)
{
	const struct document *document = &taking->document;

	return (struct journal_order){.kind = kind_name(document->kind),
				      .target = document->targets.item,
				      .target_count = document->targets.count,
				      .reason = document->reason,
				      .since_ns = host_wall(taking->host),
				      .order = document->cut,
				      .body_sha256 = document->id,
				      .signature = taking->signature,
				      .signature_count = taking->signatures};
}

const struct weir_order *taking_in_force(const struct taking *taking)
{
	const struct orders *orders = &taking->host->orders;

	for (size_t i = 0; i < orders->count; i++) {
		if (order_is_of(&orders->item[i], taking->document.digests.sha256))
			return &orders->item[i];
	}
	return NULL;
}

/* ---- signers -------------------------------------------------------------------------------- */

/* The journal, then the list: from then on nobody else counts. */
static int take_signers(struct taking *taking)
{
	const struct document *document = &taking->document;
	struct journal_order line = taking_line(taking);
	char version[24];
	int r;

	json_put_uint(taking->reply, "version", document->version);
	if (taking->is_known)
		return 0;
	r = journaling_before(taking->host, &line, taking->problem);
	if (r < 0)
		return r;
	r = in_force_keep(taking->host, ORDER_SIGNERS, taking->text, taking->length);
	if (r < 0)
		return tell_problem(taking->problem, r,
				    "cannot keep the list, so it does not count: %s", strerror(-r));
	snprintf(version, sizeof(version), "%" PRIu64, document->version);
	host_tell(taking->host, "signers", RECORD_HIGH,
		  (struct record_field[]){{"order", document->id, 0},
					  {"version", version, 0},
					  {"order_reason", document->reason, 0},
					  {"by", taking->by, 0}},
		  4, "signers %s: %zu keys may sign from now on, %s: %s", version,
		  document->signers.count, taking->by, document->reason);
	return 0;
}

/* ---- beat ----------------------------------------------------------------------------------- */

/* No line in the journal: it orders nothing, and one comes each minute or so. */
static int take_beat(struct taking *taking)
{
	int r;

	json_put_uint(taking->reply, "version", taking->document.version);
	if (taking->is_known)
		return 0;
	r = in_force_keep(taking->host, ORDER_BEAT, taking->text, taking->length);
	return r < 0 ? tell_problem(taking->problem, r, "cannot keep the beat: %s", strerror(-r))
		     : 0;
}

/* ---- all ------------------------------------------------------------------------------------ */

static int take_judged(struct taking *taking)
{
	bool is_ours = is_for_us(taking);

	json_put_text(taking->reply, "order", taking->document.id);
	json_put_text(taking->reply, "kind", kind_name(taking->document.kind));
	json_put_bool(taking->reply, "is_for_us", is_ours);
	json_put_bool(taking->reply, "known", taking->is_known);
	if (!is_ours)
		return 0;
	switch (taking->document.kind) {
	case ORDER_CUT:
		return take_cut(taking);
	case ORDER_REOPEN:
		return take_reopening(taking);
	case ORDER_EXTEND:
	case ORDER_PAUSE:
	case ORDER_PARTNER_ADD:
		return take_override(taking);
	case ORDER_SIGNERS:
		return take_signers(taking);
	case ORDER_BASE:
		return take_base(taking);
	case ORDER_BEAT:
		return take_beat(taking);
	default:
		return tell_problem(taking->problem, -EOPNOTSUPP,
				    "an order of kind %s is not taken by this version",
				    kind_name(taking->document.kind));
	}
}

/* It orders nothing, and one comes each minute or so; a broker may serve an old one. */
static bool is_beat(const struct taking *taking)
{
	return taking->document.kind == ORDER_BEAT;
}

/* As an event too: somebody may be trying. No more of these than the journal has lines: a hostile
 * broker can have orders refused all day, and would push out what else happened. */
static void journal_refusal(struct taking *taking, int error)
{
	const struct journal_order line = taking_line(taking);
	const char *why = *taking->problem ? *taking->problem : strerror(-error);

	if (is_beat(taking) || !journaling_refused(taking->host, &line, why))
		return;
	host_tell(taking->host, "order-refused", RECORD_MEDIUM,
		  (struct record_field[]){{"order", taking->document.id, 0},
					  {"order_kind", line.kind, 0},
					  {"why", why, 0}},
		  3, "signed order %.12s, a %s, is not carried out: %s", taking->document.id,
		  line.kind, why);
}

/* Under the guard's lock: no other process may change the list between judging and carrying out. */
static int take_locked(struct taking *taking, const struct trust *trust)
{
	struct judgement judgement;
	int r = host_refresh_orders(taking->host);

	if (r < 0)
		tell_problem(taking->problem, r, "cannot read the orders: %s", strerror(-r));
	if (r == 0) {
		taking_forget_undone(taking->host);
		r = look_up(taking);
	}
	if (r == 0)
		r = judge(taking, trust, &judgement);
	if (r == 0 && taking->document.hosts.count && !taking->host->config &&
	    taking->document.kind != ORDER_CUT)
		r = tell_problem(taking->problem, -ESRCH,
				 "no daemon answers, and it alone knows the groups of this host");
	if (r == 0)
		r = take_judged(taking);
	if (r < 0 && r != DONE_IN_PART)
		journal_refusal(taking, r);
	return r;
}

static int take(struct taking *taking)
{
	struct trust trust;
	int r = guard_lock_told(taking->host->guard, taking->problem);

	if (r < 0)
		return r;
	r = trust_read(taking->host, &trust, taking->problem);
	if (r == 0)
		r = take_locked(taking, &trust);
	else
		journal_refusal(taking, r);
	trust_free(&trust);
	guard_unlock(taking->host->guard);
	return r;
}

static int read_document(struct taking *taking)
{
	struct order_fault fault;
	int r = document_read(taking->text, taking->length, &taking->document, &fault);

	if (r == -EBADMSG)
		return tell_problem(taking->problem, -EINVAL, "order:%u:%u: %s", fault.line,
				    fault.column, fault.text);
	if (r == 0)
		taking->archive =
			taking->host->state_dir < 0 ? NULL : host_path(taking->host, "orders");
	return r;
}

int host_take_order(struct host *host, const char *text, size_t length, struct json_out *reply,
		    char **problem, char **details)
{
	struct taking taking = {.host = host,
				.text = text,
				.length = length,
				.reply = reply,
				.problem = problem,
				.details = details};
	int r = read_document(&taking);

	if (r == 0)
		r = take(&taking);
	document_free(&taking.document);
	free(taking.archive);
	return r;
}

/* ---- a dry run ------------------------------------------------------------------------------ */

/* Who may sign cannot be read, or who has signed may not: that stops no dry run. */
static void try_judge(struct taking *taking, struct trust *trust, struct judgement *judgement)
{
	_cleanup_free_ char *why = NULL;
	char **problem = taking->problem;
	int r;

	taking->problem = &why;
	r = trust_read(taking->host, trust, &why);
	if (r == 0)
		r = judge(taking, trust, judgement);
	if (r < 0)
		json_put_text(taking->reply, "refused", why ? why : strerror(-r));
	taking->problem = problem;
}

static int try_locked(struct taking *taking)
{
	struct judgement judgement;
	struct trust trust;
	int r = host_refresh_orders(taking->host);

	if (r < 0)
		return tell_problem(taking->problem, r, "cannot read the orders: %s", strerror(-r));
	r = look_up(taking);
	if (r < 0)
		return r;
	json_put_bool(taking->reply, "by_daemon", taking->host->is_daemon);
	try_judge(taking, &trust, &judgement);
	r = take_judged(taking);
	trust_free(&trust); /* the signatures that count point into it */
	return r;
}

int host_try_order(struct host *host, const char *text, size_t length, struct json_out *reply,
		   char **problem)
{
	struct taking taking = {.host = host,
				.text = text,
				.length = length,
				.reply = reply,
				.problem = problem,
				.is_dry_run = true};
	int r = read_document(&taking);

	if (r == 0 && taking.document.kind != ORDER_CUT)
		r = tell_problem(problem, -EOPNOTSUPP,
				 "an order of kind %s has no dry run: weir order verify tells what "
				 "it would do",
				 kind_name(taking.document.kind));
	if (r == 0)
		r = guard_lock_told(host->guard, problem);
	if (r == 0) {
		r = try_locked(&taking);
		guard_unlock(host->guard);
	}
	document_free(&taking.document);
	free(taking.archive);
	return r;
}
