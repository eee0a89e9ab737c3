/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* push_run.c - `weir push FILE`: reads the order, sends it, tells who has it. */
#include "user/fleet/push_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/now.h"
#include "user/base/text.h"
#include "user/fleet/brokers.h"
#include "user/fleet/known_signers.h"
#include "user/fleet/push.h"
#include "user/fleet/push_dry.h"

static const uint64_t default_timeout_ns = 30 * NS_PER_SECOND;

static __attribute__((format(printf, 1, 2))) int refuse(const char *format, ...)
{
	va_list arguments;

	fputs("weir push: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return FLEET_REFUSED;
}

/* ---- the order ------------------------------------------------------------------------------ */

struct order {
	char *text;
	size_t length;
	struct document document;
};

static int read_order(const char *path, struct order *order)
{
	struct order_fault fault;
	int r = strcmp(path, "-") == 0
			? file_read_fd(STDIN_FILENO, DOCUMENT_MAX_BYTES, &order->text,
				       &order->length)
			: file_read(path, DOCUMENT_MAX_BYTES, &order->text, &order->length);

	if (r == 0)
		r = document_read(order->text, order->length, &order->document, &fault);
	if (r == -EBADMSG) {
		fprintf(stderr, "%s:%u:%u: %s\n", path, fault.line, fault.column, fault.text);
		return FLEET_REFUSED;
	}
	return r < 0 ? refuse("%s: %s", path, strerror(-r)) : FLEET_DONE;
}

/* Each host judges for itself; but what nobody has signed need not bother them. */
static int check_signed(const char *path, const struct document *document)
{
	_cleanup_free_ char *problem = NULL;
	struct known_signers known;
	struct judgement judgement;
	int r = known_signers_read(&known, &problem), code = FLEET_DONE;

	if (r < 0)
		code = refuse("%s", problem ? problem : strerror(-r));
	else if (document->signatures == 0)
		code = refuse("%s: nobody has signed it: weir sign %s --key FILE", path, path);
	else if (known.is_there && known_signers_of(&known, document, &judgement) == 0)
		code = refuse("%s: no signature counts: %s", path,
			      judgement.current.signature[0].why);
	else if (known.is_there && !judgement.is_accepted)
		fprintf(stderr, "weir push: %s: hosts with the signers of this one refuse it: %s\n",
			path, judgement.why);
	known_signers_free(&known);
	return code;
}

/* ---- brokers <-> push ----------------------------------------------------------------------- */

struct run {
	struct brokers brokers;
	struct push push;
	int number[FLEET_BROKERS]; /* of what was published last */
};

static bool publish(void *data, size_t which, const char *topic, const char *text, size_t length)
{
	struct run *run = data;

	return broker_publish(&run->brokers.item[which], topic, text, length, &run->number[which]);
}

static bool subscribe(void *data, size_t which, const char *filter)
{
	struct run *run = data;
	int number;

	return broker_subscribe(&run->brokers.item[which], filter, &number);
}

static void tell_line(void *data, const char *line)
{
	(void)data;
	fprintf(stderr, "weir push: %s\n", line);
}

static void on_up(void *data, size_t which)
{
	struct run *run = data;

	push_up(&run->push, which, boot_now());
}

static void on_down(void *data, size_t which, const char *why)
{
	struct run *run = data;

	push_down(&run->push, which, why);
}

static void on_subscribed(void *data, size_t which, int number, bool is_granted)
{
	struct run *run = data;

	(void)number;
	if (!is_granted)
		fprintf(stderr, "weir push: broker %s: it does not let us read\n",
			run->push.broker[which].label);
}

static void on_published(void *data, size_t which, int number, const char *why)
{
	struct run *run = data;

	if (number == run->number[which])
		push_published(&run->push, which, why, boot_now());
}

static void on_message(void *data, size_t which, const char *topic, const char *text, size_t length,
		       bool is_retained)
{
	struct run *run = data;

	push_message(&run->push, which, topic, text, length, is_retained, boot_now());
}

/* ---- telling -------------------------------------------------------------------------------- */

static void tell_brokers(const struct push *push)
{
	for (size_t i = 0; i < push->config->brokers; i++) {
		const struct push_broker *broker = &push->broker[i];

		printf("broker %s: %s", broker->label,
		       broker->is_kept ? "keeps it"
		       : broker->is_up ? "DOES NOT KEEP IT"
				       : "NOT REACHED");
		if (broker->published > 1)
			printf(", published %u times", broker->published);
		if (broker->bad_words)
			printf(", %u acknowledgements that DO NOT COUNT", broker->bad_words);
		putchar('\n');
	}
}

static const char *ago(uint64_t at_ns, uint64_t now_ns, char span[SPAN_TEXT])
{
	span_format(at_ns < now_ns ? (now_ns - at_ns) / NS_PER_SECOND * NS_PER_SECOND : 0, span,
		    SPAN_TEXT);
	return span;
}

/* It said once that it is done: why that does not count today. */
static void tell_unconfirmed(const struct push *push, const struct push_host *host)
{
	char said[SPAN_TEXT], heard[SPAN_TEXT];

	printf("%s: NOT CONFIRMED: it said so %s ago", host->host->name.text,
	       ago(host->ack.at_ns, push->wall_ns, said));
	if (!host->has_standing)
		puts(", and no broker has anything newer of it");
	else
		printf(", and was heard last %s ago%s\n",
		       ago(host->standing.at_ns, push->wall_ns, heard),
		       !host->standing.has_daemon	   ? ", when no daemon answered there"
		       : push_is_in_force(push, host)	   ? ""
		       : push->document->kind == ORDER_CUT ? ", when no cut was in force there"
							   : ", when another was in force there");
}

static void tell_hosts(const struct push *push)
{
	for (size_t i = 0; i < push->config->hosts; i++) {
		const struct push_host *host = &push->item[i];

		if (!host->is_expected || push_counts(push, host))
			continue;
		if (host->has_ack && host->ack.result == ACK_DONE) {
			tell_unconfirmed(push, host);
			continue;
		}
		text_put_line(stdout, "%s: %s%s%s", host->host->name.text,
			      host->has_ack ? ack_result_name(host->ack.result) : "MISSING",
			      host->ack.problem[0] ? ": " : "", host->ack.problem);
	}
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Of so many in rising order; nearest rank. */
static double part_ms(const uint64_t *ns, size_t count, unsigned int percent)
{
	size_t rank = (count * percent + 99) / 100;

	return (double)ns[rank ? rank - 1 : 0] / 1e6;
}

static void tell_times(const struct push *push)
{
	_cleanup_free_ uint64_t *ns = calloc(push->config->hosts + 1, sizeof(*ns));
	size_t count = 0;

	for (size_t i = 0; i < push->config->hosts && ns; i++) {
		const struct push_host *host = &push->item[i];

		if (host->is_expected && host->has_ack && !host->had_it_before)
			ns[count++] = host->heard_ns - push->begun_ns;
	}
	if (!count)
		return;
	qsort(ns, count, sizeof(*ns), by_time);
	printf("acknowledged after p50 %.1f ms, p99 %.1f ms, last %.1f ms\n",
	       part_ms(ns, count, 50), part_ms(ns, count, 99), part_ms(ns, count, 100));
}

static int tell(const struct push *push)
{
	size_t enforced = push_enforced(push), before = 0, no_match = 0;

	for (size_t i = 0; i < push->config->hosts; i++) {
		const struct push_host *host = &push->item[i];

		if (!host->is_expected || !push_counts(push, host))
			continue;
		before += host->had_it_before;
		no_match += push->document->kind == ORDER_CUT && host->ack.matched == 0;
	}
	tell_brokers(push);
	printf("order %s: enforced on %zu of %zu hosts", push->document->id, enforced,
	       push->expected);
	if (before)
		printf(", %zu of them said so before this push", before);
	if (no_match)
		printf(", %zu of them have nothing that it names", no_match);
	putchar('\n');
	tell_times(push);
	tell_hosts(push);
	return enforced == push->expected ? FLEET_DONE : FLEET_REFUSED;
}

/* ---- all ------------------------------------------------------------------------------------ */

static void send_order(struct run *run, const struct fleet_config *config, uint64_t timeout_ns)
{
	const struct broker_events events = {.up = on_up,
					     .down = on_down,
					     .subscribed = on_subscribed,
					     .published = on_published,
					     .message = on_message,
					     .data = run};
	uint64_t end = boot_now() + timeout_ns;

	run->push.wall_ns = wall_now();
	brokers_open(&run->brokers, config, &events);
	while (!push_is_over(&run->push) && boot_now() < end) {
		uint64_t due = push_tick(&run->push, boot_now());

		brokers_turn(&run->brokers, due < end ? due : end);
		run->push.wall_ns = wall_now();
	}
	brokers_close(&run->brokers);
}

static int push_order(const struct fleet_config *config, const struct fleet_options *options,
		      const struct order *order)
{
	uint64_t timeout_ns = options->timeout_ns ? options->timeout_ns : default_timeout_ns;
	struct run run = {0};
	const struct push_out out = {publish, subscribe, tell_line, &run};
	int code = FLEET_DONE;

	if (push_init(&run.push, config, &order->document, order->text, order->length, &out) < 0) {
		code = refuse("out of memory");
	} else if (run.push.expected == 0) {
		code = refuse("%s: it is for none of the %zu hosts of %s", options->file,
			      config->hosts, options->config);
	} else if (options->is_dry_run) {
		code = push_dry_run(&run.push, options->over, timeout_ns);
	} else {
		send_order(&run, config, timeout_ns);
		code = tell(&run.push);
	}
	push_free(&run.push);
	return code;
}

int push_run(const struct fleet_config *config, const struct fleet_options *options)
{
	struct order order = {0};
	int code = read_order(options->file, &order);

	if (code == FLEET_DONE && check_signed(options->file, &order.document) != FLEET_DONE &&
	    !options->is_dry_run)
		code = FLEET_REFUSED;
	if (code == FLEET_DONE)
		code = push_order(config, options, &order);
	document_free(&order.document);
	free(order.text);
	return code;
}
