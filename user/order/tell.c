/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tell.c - what a signed order says, in words. */
#include "user/order/tell.h"

#include <inttypes.h>

#include "user/base/units.h"
#include "user/order/instant.h"

static void list(const struct document_list *list, const char *none, FILE *out)
{
	for (size_t i = 0; i < list->count; i++)
		fprintf(out, "%s%s", i ? ", " : "", list->item[i]);
	if (list->count == 0)
		fputs(none, out);
}

static void tell_cut(const struct document *document, FILE *out)
{
	fputs("  cuts ", out);
	list(&document->targets, "", out);
}

static void tell_reopen(const struct document *document, FILE *out)
{
	fputs("  lets back ", out);
	list(&document->targets, "all", out);
	fprintf(out, " of cut %s", document->cut);
}

static void tell_extend(const struct document *document, FILE *out)
{
	char bytes[BYTES_TEXT];

	bytes_format(document->by_bytes, bytes, sizeof(bytes));
	fprintf(out, "  gives %s more by grant %s to ", bytes, document->grant);
	list(&document->targets, "", out);
}

static void tell_pause(const struct document *document, FILE *out)
{
	fputs("  only observes ", out);
	list(&document->targets, "everything", out);
}

static void tell_partner_add(const struct document *document, FILE *out)
{
	fprintf(out, "  lets %s count as ", document->prefix);
	list(&document->targets, "", out);
}

static void tell_base(const struct document *document, FILE *out)
{
	fprintf(out, "  puts the policy of version %" PRIu64 " in force, %zu bytes",
		document->version, document->content_length);
}

static void tell_signers(const struct document *document, FILE *out)
{
	fprintf(out, "  puts the signers of version %" PRIu64 " in force:", document->version);
	for (size_t i = 0; i < document->signers.count; i++) {
		fputs("\n    ", out);
		signer_tell(&document->signers.item[i], out);
	}
}

static void tell_beat(const struct document *document, FILE *out)
{
	fprintf(out, "  is beat %" PRIu64 ": orders come through", document->version);
}

void order_tell(const struct document *document, FILE *out)
{
	static void (*const tell[ORDER_KINDS])(const struct document *document, FILE *out) = {
		[ORDER_CUT] = tell_cut,
		[ORDER_REOPEN] = tell_reopen,
		[ORDER_EXTEND] = tell_extend,
		[ORDER_PAUSE] = tell_pause,
		[ORDER_PARTNER_ADD] = tell_partner_add,
		[ORDER_BASE] = tell_base,
		[ORDER_SIGNERS] = tell_signers,
		[ORDER_BEAT] = tell_beat,
	};
	char text[INSTANT_TEXT];

	fprintf(out, "order %s\n  is of kind %s, issued %s\n", document->id,
		kind_name(document->kind), instant_format(document->issued_ns, text));
	tell[document->kind](document, out);
	if (document->until_ns)
		fprintf(out, "\n  until %s", instant_format(document->until_ns, text));
	fputs("\n  on ", out);
	list(&document->hosts, "all hosts", out);
	fputs(document->hosts.count ? " (groups of hosts)\n" : "\n", out);
	if (document->reason)
		fprintf(out, "  because: %s\n", document->reason);
}

void signer_tell(const struct signer *signer, FILE *out)
{
	char text[SSH_FINGERPRINT_TEXT], time[INSTANT_TEXT];
	const char *comma = "";

	fprintf(out, "%s %s (%s): ", signer->principal, ssh_key_fingerprint(&signer->key, text),
		ssh_key_type_name(&signer->key));
	for (size_t i = 0; i < NAMESPACES; i++) {
		if (signer->namespaces & 1u << i) {
			fprintf(out, "%s%s", comma, namespace_name(i));
			comma = ", ";
		}
	}
	if (signer->after_ns)
		fprintf(out, "; from %s", instant_format(signer->after_ns, time));
	if (signer->before_ns != UINT64_MAX)
		fprintf(out, "; until %s", instant_format(signer->before_ns, time));
}
