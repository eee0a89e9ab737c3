/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order_verify.c - `weir order verify FILE`: what an order would do, who signed it, and whether it
 * would be accepted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/cmd/order.h"
#include "user/cmd/order_file.h"
#include "user/daemon/touch.h"
#include "user/order/judge.h"
#include "user/order/tell.h"
#include "user/policy/addition.h"
#include "user/policy/difference.h"
#include "user/policy/question.h"
#include "user/policy/target.h"

enum { MOST_NAMES = 20 }; /* of partners, or services */

/* All that an order is judged by, here. */
struct setting {
	struct signers signers;
	struct revoked revoked;
	struct judge_by by;
};

/* ---- options -------------------------------------------------------------------------------- */

static int read_version(const struct arguments *arguments, const struct document *document,
			uint64_t *version)
{
	const char *text = arguments_value(arguments, "--version");
	char *end;

	*version = 0;
	if (!text && document->version)
		return command_usage(arguments,
				     "an order of kind %s has to be newer than what is in force: "
				     "--version NUMBER, 0 when nothing is",
				     kind_name(document->kind));
	if (!text)
		return CMD_DONE;
	errno = 0;
	*version = strtoull(text, &end, 10);
	if (*end || errno || *text < '0' || *text > '9')
		return command_usage(arguments, "\"%s\" is no version", text);
	return CMD_DONE;
}

static int read_setting(const struct arguments *arguments, const struct document *document,
			struct setting *setting)
{
	const char *at = arguments_value(arguments, "--at");
	int code;

	*setting = (struct setting){.by = {.signers = &setting->signers,
					   .revoked = &setting->revoked,
					   .now_ns = wall_now(),
					   .clock_is_trusted = true}};
	if (at && moment_parse(at, NULL, &setting->by.now_ns) < 0)
		return command_usage(arguments, "\"%s\" is no moment such as 2027-03-01T20:00", at);
	code = read_version(arguments, document, &setting->by.version);
	if (code == CMD_DONE)
		code = signers_file_read(arguments, arguments_value(arguments, "--signers"),
					 &setting->signers);
	if (code == CMD_DONE)
		code = revoked_file_read(arguments, arguments_value(arguments, "--revoked"),
					 &setting->revoked);
	return code;
}

/* ---- what it would meet --------------------------------------------------------------------- */

static void tell_target(const struct image *image, const char *target)
{
	_cleanup_free_ char *problem = NULL;
	struct weir_cut_entry entry;
	int r = target_resolve(image, target, &entry, &problem);

	printf("  %s: %s\n", target,
	       r == 0	 ? "the policy has it"
	       : problem ? problem
			 : strerror(-r));
}

/* Whether the policy lets the prefix be added to the target. */
static void tell_prefix(const struct image *image, const struct document *document)
{
	struct weir_order order = {.kind = WEIR_ORDER_PARTNER_ADD};
	_cleanup_free_ char *problem = NULL;
	struct weir_override override;
	int r;

	strcpy(order.target, document->targets.item[0]);
	prefix_parse(document->prefix, order.address, &order.prefix_bits);
	r = addition_resolve(image, &order, &override, &problem);
	printf("  prefix %s: %s\n", document->prefix,
	       r == 0	 ? "it can be added"
	       : problem ? problem
			 : strerror(-r));
}

/* The names of those that are marked, the first of them alone. */
static void tell_marked(char *const *name, const bool *marked, uint32_t from, uint32_t count)
{
	size_t told = 0;

	for (uint32_t i = from; i < count; i++) {
		if (!marked[i] || told++ > MOST_NAMES)
			continue;
		printf("%s%s", told == 1 ? "" : ", ", told > MOST_NAMES ? "..." : name[i]);
	}
	putchar('\n');
}

/* Of those targets that the policy has. */
static int tell_stopped(const struct image *image, const struct document *document)
{
	_cleanup_free_ struct weir_cut_entry *target =
		calloc(document->targets.count + 1, sizeof(*target));
	_cleanup_free_ bool *stopped = calloc(image->head.partners + 1, sizeof(*stopped));
	_cleanup_free_ bool *spared = calloc(image->head.services + 1, sizeof(*spared));
	size_t count = 0, partners = 0, services = 0;
	int r = target && stopped && spared ? 0 : -ENOMEM;

	for (size_t i = 0; i < document->targets.count && r == 0; i++) {
		if (target_resolve(image, document->targets.item[i], &target[count], NULL) < 0)
			continue;
		r = partners_touched(image, &target[count++], stopped);
	}
	if (r < 0)
		return r;
	services_spared(image, target, count, spared);
	for (uint32_t i = 1; i < image->head.partners; i++)
		partners += stopped[i];
	for (uint32_t i = 0; i < image->head.services; i++)
		services += spared[i];
	printf("  stops %zu partners%s", partners, partners ? ": " : "");
	tell_marked(image->partner_names, stopped, 1, image->head.partners);
	if (services) {
		fputs("  the lifeline spares ", stdout);
		tell_marked(image->service_names, spared, 0, image->head.services);
	}
	return 0;
}

static int tell_targets(const struct arguments *arguments, const struct document *document,
			struct policy_file *policy, uint64_t now_ns)
{
	struct image image;
	int code = policy_file_compile(arguments, policy, now_ns, &image), r = 0;

	if (code != CMD_DONE)
		return code;
	for (size_t i = 0; i < document->targets.count; i++)
		tell_target(&image, document->targets.item[i]);
	if (document->grant)
		printf("  grant %s: %s\n", document->grant,
		       image_grant(&image, document->grant) == WEIR_ANY ? "the policy has none"
									: "the policy has it");
	if (document->prefix)
		tell_prefix(&image, document);
	if (document->kind == ORDER_CUT)
		r = tell_stopped(&image, document);
	image_free(&image);
	return r < 0 ? command_refuse(arguments, "%s", strerror(-r)) : CMD_DONE;
}

static int tell_difference(const struct arguments *arguments, const struct policy *before,
			   const struct policy *after)
{
	struct difference difference;
	int r = difference_make(before, after, &difference), code = CMD_DONE;

	for (size_t i = 0; r == 0 && i < difference.count; i++)
		printf("  %-8s %s\n", change_name(difference.line[i].direction),
		       difference.line[i].text);
	if (r == 0 && difference.unlisted)
		printf("  and %zu more that are not listed\n", difference.unlisted);
	if (r == 0 && difference.count == 0)
		puts("  nothing changes");
	if (r < 0)
		code = command_refuse(arguments, "%s", strerror(-r));
	difference_free(&difference);
	return code;
}

/* The policy that a base encloses has to be a good one. */
static int tell_base(const struct arguments *arguments, const struct document *document,
		     const struct policy_file *before, uint64_t now_ns)
{
	struct policy_file policy;
	struct image image;
	int code = enclosed_policy_read(arguments, arguments->item[1], document->content,
					document->content_length, document->content_line, &policy);

	if (code == CMD_DONE)
		code = policy_file_compile(arguments, &policy, now_ns, &image);
	if (code == CMD_DONE) {
		image_free(&image);
		if (before)
			code = tell_difference(arguments, &before->policy, &policy.policy);
	}
	policy_file_free(&policy);
	return code;
}

static int tell_meeting(const struct arguments *arguments, const struct document *document,
			uint64_t now_ns)
{
	const char *path = arguments_value(arguments, "--policy");
	struct policy_file policy = {0};
	int code = path ? policy_file_read(arguments, path, &policy) : CMD_DONE;

	if (code == CMD_DONE && document->kind == ORDER_BASE)
		code = tell_base(arguments, document, path ? &policy : NULL, now_ns);
	else if (code == CMD_DONE && path)
		code = tell_targets(arguments, document, &policy, now_ns);
	policy_file_free(&policy);
	return code;
}

/* A key in another form may need no touch any more. */
static bool is_same_signer(const struct signer *a, const struct signer *b)
{
	return strcmp(a->principal, b->principal) == 0 && a->namespaces == b->namespaces &&
	       a->after_ns == b->after_ns && a->before_ns == b->before_ns &&
	       bytes_equal(a->key.blob, b->key.blob);
}

/* Who comes and who goes with a new list. */
static void tell_changes(const struct signers *before, const struct signers *after)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct signer *old = &before->item[i];
		const struct signer *new = signers_find(after, &old->key);

		if (new &&is_same_signer(old, new))
			continue;
		fputs(new ? "  changed: it was " : "  goes: ", stdout);
		signer_tell(old, stdout);
		putchar('\n');
	}
	for (size_t i = 0; i < after->count; i++) {
		if (signers_find(before, &after->item[i].key))
			continue;
		fputs("  comes: ", stdout);
		signer_tell(&after->item[i], stdout);
		putchar('\n');
	}
}

/* ---- who signed it -------------------------------------------------------------------------- */

static void tell_list(const struct document *document, const struct judged_list *list,
		      const char *by)
{
	for (size_t i = 0; i < document->signatures; i++) {
		const struct judged_signature *judged = &list->signature[i];

		printf("signature %zu%s: %s, ", i + 1, by,
		       judged->principal ? judged->principal : "nobody");
		if (judged->type)
			printf("%s (%s)", judged->fingerprint, judged->type);
		else
			fputs("no key", stdout);
		printf(": %s%s\n", judged->counts ? "counts" : "does not count: ", judged->why);
	}
}

static int tell_judgement(const struct arguments *arguments, const struct document *document,
			  const struct judge_by *by)
{
	struct judgement judgement;
	bool is_signers = document->kind == ORDER_SIGNERS;

	judge_document(document, by, &judgement);
	if (document->signatures == 0)
		puts("nobody has signed it");
	tell_list(document, &judgement.current, is_signers ? ", by the list in force" : "");
	if (is_signers)
		tell_list(document, &judgement.next, ", by the new list");
	fflush(stdout);
	if (!judgement.is_accepted)
		return command_refuse(
			arguments, "%s: refused: %s%s", arguments->item[1], judgement.why,
			document->kind == ORDER_EXTEND && judgement.current.principals == 1
				? "; one is enough where the grant has a reserve "
				  "with that much left"
				: "");
	printf("accepted: signed by %u principal%s, and it takes %u\n",
	       judgement.current.principals, judgement.current.principals == 1 ? "" : "s",
	       judgement.needed);
	return CMD_DONE;
}

static int verify(const struct arguments *arguments, const struct document *document,
		  struct setting *setting)
{
	int code;

	order_tell(document, stdout);
	if (document->kind == ORDER_SIGNERS)
		tell_changes(&setting->signers, &document->signers);
	code = tell_meeting(arguments, document, setting->by.now_ns);
	fflush(stdout);
	return code == CMD_DONE ? tell_judgement(arguments, document, &setting->by) : code;
}

int order_verify(const struct arguments *arguments)
{
	struct setting setting = {0};
	struct order_file file;
	int code;

	if (arguments->count != 2)
		return command_usage(arguments, "verify takes one FILE");
	code = order_file_read(arguments, arguments->item[1], &file);
	if (code == CMD_DONE)
		code = read_setting(arguments, &file.document, &setting);
	if (code == CMD_DONE)
		code = verify(arguments, &file.document, &setting);
	signers_free(&setting.signers);
	revoked_free(&setting.revoked);
	order_file_free(&file);
	return code;
}
