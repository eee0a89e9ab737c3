/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drill.c - `weir drill`: cuts a partner that is there for it, looks from outside whether that
 * holds, and lets it back; how long each took, for the record.
 *
 * The cut has an end of its own: whoever kills the drill leaves a cut that is over a minute later.
 * What cannot be seen is a fault, not a success.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/cmd/call.h"
#include "user/cmd/drill_flow.h"
#include "user/view/drill.h"

enum { CUT_SECONDS = 60, MOST_FAULTS = 16 };

static const uint64_t run_for_ns = NS_PER_SECOND / 5;	/* before the cut, and after it */
static const uint64_t held_for_ns = NS_PER_SECOND;	/* how long the cut is looked at */
static const uint64_t most_wait_ns = 5 * NS_PER_SECOND; /* for the far end */
static const uint64_t under_way_ns = NS_PER_SECOND / 2; /* acknowledgements of what had left */

struct drilling {
	const struct arguments *arguments;
	json_object *report; /* what the daemon said of the host and the target; grows */
	json_object *faults;
	const char *target; /* in the report */
	struct flow *flow;  /* NULL: the policy has no place for it */
	pid_t pid;
	json_object *lifeline; /* before the cut */
};

static void add_fault(struct drilling *drilling, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_fault(struct drilling *drilling, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list list;

	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	va_end(list);
	if (json_object_array_length(drilling->faults) < MOST_FAULTS)
		json_object_array_add(drilling->faults,
				      json_object_new_string(text ? text : "out of memory"));
}

static void put_number(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

/* Milliseconds from one moment to another, which may lie before it; nothing for one that did not
 * come. */
static void put_after(json_object *object, const char *key, uint64_t from_ns, uint64_t at_ns)
{
	if (at_ns)
		json_object_object_add(
			object, key,
			json_object_new_double((double)(int64_t)(at_ns - from_ns) / 1e6));
}

/* ---- asking --------------------------------------------------------------------------------- */

static int ask(const struct drilling *drilling, json_object *request, json_object **answer)
{
	struct answer got;
	int code = call_host(drilling->arguments, request, false, &got);

	*answer = got.object; /* taken over */
	return code;
}

/* The connections of the lifeline, and how many the target has. */
static int look(const struct drilling *drilling, json_object **answer)
{
	json_object *request = call_new("drill-look");

	call_put_text(request, "target", drilling->target);
	return ask(drilling, request, answer);
}

/* ---- the lifeline --------------------------------------------------------------------------- */

static bool is_same_session(json_object *a, json_object *b)
{
	return strcmp(field_text(a, "peer"), field_text(b, "peer")) == 0 &&
	       field_number(a, "peer_port") == field_number(b, "peer_port") &&
	       field_number(a, "local_port") == field_number(b, "local_port") &&
	       field_number(a, "protocol") == field_number(b, "protocol");
}

/* One that ended may have ended by itself: it is told, and no fault. One that is refused is. */
static void judge_lifeline(struct drilling *drilling, json_object *now)
{
	json_object *result = json_object_new_object();
	size_t before = json_object_array_length(drilling->lifeline), open = 0, refused = 0;

	for (size_t i = 0; i < before; i++) {
		json_object *one = json_object_array_get_idx(drilling->lifeline, i);

		for (size_t j = 0; j < field_count(now, "lifeline"); j++) {
			json_object *other = field_item(now, "lifeline", j);

			if (!is_same_session(one, other))
				continue;
			open++;
			refused += !field_is(other, "passes");
		}
	}
	put_number(result, "connections_before", before);
	put_number(result, "still_open", open);
	put_number(result, "refused", refused);
	json_object_object_add(drilling->report, "lifeline", result);
	if (refused)
		add_fault(drilling,
			  "the lifeline did not stand: %zu of its connections were refused",
			  refused);
}

/* ---- the flow ------------------------------------------------------------------------------- */

static int tell_no_flow(const struct drilling *drilling, int error)
{
	json_object *drill = field_object(drilling->report, "drill");

	if (error == EPERM)
		return command_refuse(drilling->arguments,
				      "the policy does not let this process call %s port %" PRIu64
				      ": name a service's with --cgroup; nothing was cut",
				      field_text(drill, "address"), field_number(drill, "port"));
	return command_refuse(drilling->arguments,
			      "no connection to %s port %" PRIu64 ": %s; nothing was cut",
			      field_text(drill, "address"), field_number(drill, "port"),
			      error ? strerror(error) : "the far end acknowledges nothing");
}

static int begin_flow(struct drilling *drilling)
{
	json_object *drill = field_object(drilling->report, "drill");
	struct flow_place place = {.cgroup = arguments_value(drilling->arguments, "--cgroup"),
				   .port = field_number(drill, "port")};

	if (!drill)
		return place.cgroup ? command_refuse(drilling->arguments,
						     "the policy has no address to drill at, so "
						     "--cgroup is of no use")
				    : CMD_DONE;
	if (address_parse(field_text(drill, "address"), place.address) < 0)
		return command_refuse(drilling->arguments, "the daemon's answer cannot be read");
	drilling->flow = flow_begin(&place, &drilling->pid);
	if (!drilling->flow)
		return command_refuse(drilling->arguments, "cannot begin: %s", strerror(errno));
	if (!flow_wait(drilling->flow, &drilling->flow->flowing_ns, most_wait_ns))
		return tell_no_flow(drilling, drilling->flow->error);
	usleep(run_for_ns / 1000);
	if (drilling->flow->ended_ns)
		return command_refuse(drilling->arguments,
				      "the far end closed the connection; nothing was cut");
	return CMD_DONE;
}

/* What the far end got, and what it did not. */
static void judge_cut_flow(struct drilling *drilling, uint64_t accepted_ns, uint64_t in_force_ns)
{
	const struct flow *flow = drilling->flow;
	json_object *seen = json_object_new_object();

	put_after(seen, "last_byte_acknowledged_ms", accepted_ns, flow->last_acked_ns);
	put_after(seen, "first_refused_ms", accepted_ns, flow->refused_ns);
	put_after(seen, "connection_ended_ms", accepted_ns, flow->ended_ns);
	put_number(seen, "acked_bytes", flow->acked_bytes);
	put_number(seen, "tries", flow->tries);
	put_number(seen, "refused", flow->refused);
	json_object_object_add(field_object(drilling->report, "cut"), "seen", seen);
	if (flow->last_acked_ns > in_force_ns + under_way_ns)
		add_fault(drilling, "the far end still acknowledged bytes");
	if (!flow->ended_ns)
		add_fault(drilling, "the connection was not ended");
	else if (flow->ended_ns < accepted_ns)
		add_fault(drilling, "the connection ended before the cut");
	if (!flow->refused)
		add_fault(drilling, "no new connection was refused");
	if (flow->passed_ns > in_force_ns)
		add_fault(drilling, "a new connection was not refused");
}

static void judge_reopened_flow(struct drilling *drilling, uint64_t accepted_ns)
{
	const struct flow *flow = drilling->flow;
	json_object *seen = json_object_new_object();

	put_after(seen, "connected_ms", accepted_ns, flow->reconnected_ns);
	put_after(seen, "first_byte_acknowledged_ms", accepted_ns, flow->reflowing_ns);
	json_object_object_add(field_object(drilling->report, "reopening"), "seen", seen);
	if (!flow->reflowing_ns)
		add_fault(drilling, "nothing flows again after the reopening");
}

/* ---- the orders ----------------------------------------------------------------------------- */

/* The order's part of the report: "in_force_ms", "ended_ms", "saved_ms", "acknowledged_ms" after it
 * was accepted. */
static json_object *times_of(json_object *answer, uint64_t sent_ns, uint64_t acknowledged_ns)
{
	json_object *boot = field_object(answer, "boot_ns"), *times = json_object_new_object();
	uint64_t accepted = field_number(boot, "accepted");

	put_after(times, "sent_ms", accepted, sent_ns);
	put_after(times, "in_force_ms", accepted, field_number(boot, "in_force"));
	put_after(times, "ended_ms", accepted, field_number(boot, "ended"));
	put_after(times, "saved_ms", accepted, field_number(boot, "saved"));
	put_after(times, "acknowledged_ms", accepted, acknowledged_ns);
	return times;
}

static int order_cut(struct drilling *drilling, char id[24], uint64_t *accepted, uint64_t *in_force)
{
	json_object *request = call_new("cut"), *targets = json_object_new_array(), *answer, *cut;
	uint64_t sent = boot_now();
	int code;

	json_object_array_add(targets, json_object_new_string(drilling->target));
	json_object_object_add(request, "targets", targets);
	call_put_text(request, "reason", "drill");
	json_object_object_add(request, "for_seconds", json_object_new_int64(CUT_SECONDS));
	if (drilling->flow)
		drilling->flow->phase = FLOW_CUT;
	code = ask(drilling, request, &answer);
	if (field_count(answer, "cuts") == 0) {
		json_object_put(answer);
		return code ? code : CMD_REFUSED;
	}
	if (code != CMD_DONE) /* in part */
		add_fault(drilling, "%s", field_text(answer, "problem"));
	snprintf(id, 24, "%s", field_text(field_item(answer, "cuts", 0), "id"));
	cut = times_of(answer, sent, boot_now());
	call_put_text(cut, "order", id);
	put_number(cut, "ended_connections", field_number(answer, "ended"));
	json_object_object_add(drilling->report, "cut", cut);
	*accepted = field_number(field_object(answer, "boot_ns"), "accepted");
	*in_force = field_number(field_object(answer, "boot_ns"), "in_force");
	json_object_put(answer);
	return CMD_DONE;
}

/* By its number: nothing else is let back. */
static void order_reopening(struct drilling *drilling, const char *id)
{
	json_object *request = call_new("reopen"), *answer;
	uint64_t sent = boot_now(), accepted;
	int code;

	call_put_text(request, "order", id);
	call_put_text(request, "reason", "drill");
	code = ask(drilling, request, &answer);
	if (!field_count(answer, "reopened")) {
		add_fault(drilling,
			  "the reopening was refused: %s; the cut %s stands, and ends by itself "
			  "within %d s",
			  field_text(answer, "problem")[0] ? field_text(answer, "problem")
							   : "no answer",
			  id, CUT_SECONDS);
		json_object_put(answer);
		return;
	}
	if (code != CMD_DONE)
		add_fault(drilling, "%s", field_text(answer, "problem"));
	json_object_object_add(drilling->report, "reopening", times_of(answer, sent, boot_now()));
	accepted = field_number(field_object(answer, "boot_ns"), "accepted");
	json_object_put(answer);
	if (!drilling->flow)
		return;
	drilling->flow->phase = FLOW_AFTER;
	if (flow_wait(drilling->flow, &drilling->flow->reflowing_ns, most_wait_ns))
		usleep(run_for_ns / 1000);
	judge_reopened_flow(drilling, accepted);
}

/* ---- the drill ------------------------------------------------------------------------------ */

static void look_during_cut(struct drilling *drilling)
{
	json_object *now;

	if (look(drilling, &now) != CMD_DONE) {
		add_fault(drilling, "what is open during the cut could not be listed");
	} else {
		put_number(field_object(drilling->report, "cut"), "open_connections",
			   field_number(now, "sessions"));
		judge_lifeline(drilling, now);
		if (field_text(now, "sessions_problem")[0])
			add_fault(drilling, "%s", field_text(now, "sessions_problem"));
	}
	json_object_put(now);
}

static int drill(struct drilling *drilling)
{
	uint64_t accepted, in_force;
	json_object *before;
	char id[24] = "";
	int code = begin_flow(drilling);

	if (code == CMD_DONE)
		code = look(drilling, &before);
	if (code != CMD_DONE)
		return code;
	drilling->lifeline = json_object_get(field_object(before, "lifeline"));
	put_number(drilling->report, "connections_before", field_number(before, "sessions"));
	json_object_put(before);
	code = order_cut(drilling, id, &accepted, &in_force);
	if (code != CMD_DONE)
		return code;
	usleep(held_for_ns / 1000);
	look_during_cut(drilling);
	if (drilling->flow)
		judge_cut_flow(drilling, accepted, in_force);
	order_reopening(drilling, id);
	return CMD_DONE;
}

/* Whether the far end was looked at, and what came of it all. */
static int finish(struct drilling *drilling)
{
	bool is_good = json_object_array_length(drilling->faults) == 0;
	json_object *report = drilling->report;

	json_object_object_add(report, "seen_from_outside",
			       json_object_new_boolean(drilling->flow != NULL));
	json_object_object_add(report, "faults", json_object_get(drilling->faults));
	call_put_text(report, "result", is_good ? "held" : "failed");
	json_object_object_del(report, "code");
	if (arguments_has(drilling->arguments, "--json"))
		puts(json_object_to_json_string_ext(report, JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		drill_print(report, stdout);
	return is_good ? CMD_DONE : CMD_REFUSED;
}

static int begin(struct drilling *drilling)
{
	const struct arguments *arguments = drilling->arguments;
	json_object *request = call_new("drill");
	const char *name = arguments->count ? arguments->item[0] : NULL;
	_cleanup_free_ char *target = NULL;
	int code;

	if (name)
		target = call_target(name);
	call_put_text(request, "target", target);
	code = ask(drilling, request, &drilling->report);
	if (code != CMD_DONE)
		return code;
	drilling->target = field_text(drilling->report, "target");
	put_number(drilling->report, "began", wall_now() / NS_PER_SECOND);
	return CMD_DONE;
}

static int run(const struct arguments *arguments)
{
	struct drilling drilling = {.arguments = arguments, .faults = json_object_new_array()};
	int code = begin(&drilling);

	if (code == CMD_DONE)
		code = drill(&drilling);
	if (drilling.flow)
		flow_end(drilling.flow, drilling.pid);
	if (code == CMD_DONE)
		code = finish(&drilling);
	if (drilling.flow)
		flow_free(drilling.flow);
	json_object_put(drilling.lifeline);
	json_object_put(drilling.faults);
	json_object_put(drilling.report);
	return code;
}

const struct command command_drill = {
	.name = "drill",
	.arguments = "[TARGET]",
	.help = "Cut a partner that the policy marks for it, see that it holds, reopen it; how "
		"long "
		"it took",
	.most = 1,
	.options =
		{
			{"--cgroup", "DIR", "call the place of the drill from this cgroup", false},
			{"--json", NULL, "the report as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
