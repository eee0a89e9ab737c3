/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_apply.c - `weir order apply FILE`: hands a signed order to the daemon, which judges it.
 * Where none answers, the pinned guard is worked on directly, as `weir cut` does. With --dry-run it
 * tells what the order would do here, whoever signed it.
 */
#include <inttypes.h>
#include <string.h>

#include "user/cmd/call.h"
#include "user/cmd/order.h"
#include "user/cmd/order_file.h"
#include "user/view/dry_run.h"
#include "user/view/parts.h"

static void print_cut(json_object *answer)
{
	for (size_t i = 0; i < field_count(answer, "cuts"); i++) {
		json_object *cut = field_item(answer, "cuts", i);

		printf("cut %s: %s\n", field_text(cut, "id"), field_text(cut, "target"));
	}
	printf("matched %" PRIu64 "; in force after %.3f ms; %" PRIu64
	       " connections ended in %.3f ms (%s)\n",
	       field_number(answer, "matched"), field_real(answer, "in_force_after_ms"),
	       field_number(answer, "ended"), field_real(answer, "ending_took_ms"),
	       field_text(answer, "way"));
}

static void print_reopening(json_object *answer)
{
	for (size_t i = 0; i < field_count(answer, "reopened"); i++) {
		json_object *done = field_item(answer, "reopened", i);

		if (strcmp(field_text(done, "how"), "exception") == 0)
			printf("%s is let back inside %s\n", field_text(done, "target"),
			       field_text(done, "id"));
		else
			printf("cut %s is over: %s\n", field_text(done, "id"),
			       field_text(done, "target"));
	}
	printf("matched %" PRIu64 "\n", field_number(answer, "matched"));
	print_holding(answer, stdout);
}

static void print_answer(const struct answer *answer)
{
	json_object *object = answer->object;

	printf("order %s (%s)\n", field_text(object, "order"), field_text(object, "kind"));
	if (!field_is(object, "is_for_us"))
		puts("it is for other hosts: nothing was done");
	else if (field_object(object, "cuts"))
		print_cut(object);
	else if (field_object(object, "version"))
		printf("version %" PRIu64 "%s\n", field_number(object, "version"),
		       field_is(object, "known") ? ": it was in force before" : " is in force");
	else if (field_object(object, "override"))
		print_override(field_object(object, "override"), stdout);
	else if (field_count(object, "reopened") || !field_is(object, "known"))
		print_reopening(object);
	else
		puts("it was taken before: nothing changes");
	if (!answer->by_daemon)
		puts("no daemon answers: done on the pinned guard");
}

/* A cut that was only tried. */
static void print_tried(const struct answer *answer)
{
	json_object *object = answer->object;

	printf("order %s (%s)\n", field_text(object, "order"), field_text(object, "kind"));
	if (field_object(object, "refused"))
		printf("as it is signed now it would be refused: %s\n",
		       field_text(object, "refused"));
	if (!field_is(object, "by_daemon"))
		puts("no daemon answers, and it alone knows the groups of this host: it is taken "
		     "for one that is meant");
	if (!field_is(object, "is_for_us"))
		puts("it is for other hosts: it would do nothing here");
	else if (field_is(object, "dry_run"))
		print_dry_run(object, stdout);
	else
		puts("nothing is left of it to cut: it is over, or was let back");
}

static int apply(const struct arguments *arguments, const struct order_file *file)
{
	bool is_dry_run = arguments_has(arguments, "--dry-run");
	json_object *request = call_new(is_dry_run ? "order-try" : "order-apply");
	struct answer answer;
	int code;

	json_object_object_add(request, "text",
			       json_object_new_string_len(file->text, (int)file->length));
	code = call_host(arguments, request, true, &answer);
	if (field_object(answer.object, "order") && arguments_has(arguments, "--json"))
		puts(json_object_to_json_string_ext(answer.object, JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (field_object(answer.object, "order") && is_dry_run)
		print_tried(&answer);
	else if (field_object(answer.object, "order"))
		print_answer(&answer);
	answer_free(&answer);
	return code;
}

int order_apply(const struct arguments *arguments)
{
	struct order_file file;
	int code;

	if (arguments->count != 2)
		return command_usage(arguments, "apply takes one FILE, or - for standard input");
	code = order_file_read(arguments, arguments->item[1], &file);
	if (code == CMD_DONE)
		code = apply(arguments, &file);
	order_file_free(&file);
	return code;
}
