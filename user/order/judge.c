/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* judge.c - whether an order is to be carried out. */
#include "user/order/judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/order/instant.h"

/* ---- one signature -------------------------------------------------------------------------- */

/* Whether the times that a key is valid, and an order is, are held against this one. */
static bool time_counts(const struct document *document, const struct judge_by *by)
{
	return by->clock_is_trusted || document->kind != ORDER_CUT;
}

static bool is_counted(const struct judged_list *list, size_t count, const char *principal)
{
	for (size_t i = 0; i < count; i++) {
		if (list->signature[i].counts &&
		    strcmp(list->signature[i].principal, principal) == 0)
			return true;
	}
	return false;
}

static __attribute__((format(printf, 2, 3))) void does_not_count(struct judged_signature *judged,
								 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(judged->why, sizeof(judged->why), format, arguments);
	va_end(arguments);
	text_make_plain(judged->why); /* it may quote a namespace */
}

/* What an entry allows: the namespace, and the time. False with judged->why. */
static bool allows(const struct signer *signer, const struct document *document,
		   const struct judge_by *by, struct judged_signature *judged)
{
	enum order_namespace in = kind_namespace(document->kind);
	char text[INSTANT_TEXT];

	if (!(signer->namespaces & 1u << in)) {
		does_not_count(judged, "this key may not sign in %s", namespace_name(in));
		return false;
	}
	if (!time_counts(document, by))
		return true;
	if (by->now_ns < signer->after_ns) {
		does_not_count(judged, "this key is not valid before %s",
			       instant_format(signer->after_ns, text));
		return false;
	}
	if (by->now_ns >= signer->before_ns) {
		does_not_count(judged, "this key was valid until %s",
			       instant_format(signer->before_ns, text));
		return false;
	}
	return true;
}

/* The signature of a key that was read. It has to be in the form that the list has: in another one
 * (as a security key's, an RSA key with another exponent) the same secret has another fingerprint,
 * by which nobody has revoked it, and no touch may be needed. */
static void judge_key(const struct document *document, const struct sshsig *sig,
		      const struct signers *signers, const struct judge_by *by,
		      struct judged_signature *judged)
{
	const char *in = namespace_name(kind_namespace(document->kind)), *why = "";
	const struct signer *signer = signers_find(signers, &sig->key);

	if (signer)
		judged->principal = signer->principal;
	if (!signer)
		does_not_count(judged, "no principal has this key");
	else if (!bytes_equal(signer->key.blob, sig->key.blob))
		does_not_count(judged, "the list has this key in another form: %s",
			       ssh_key_type_name(&signer->key));
	else if (by->revoked && revoked_has(by->revoked, &sig->key))
		does_not_count(judged, "this key is revoked");
	else if (!bytes_are(sig->in, in))
		does_not_count(judged, "it is in namespace %.*s, and %s is signed in %s",
			       (int)sig->in.length, (const char *)sig->in.data,
			       kind_name(document->kind), in);
	else if (sshsig_verify(sig, &document->digests, &why) < 0)
		does_not_count(judged, "%s", why);
	else if (allows(signer, document, by, judged))
		judged->counts = true;
}

static void judge_list(const struct document *document, const struct signers *signers,
		       const struct judge_by *by, struct judged_list *list)
{
	for (size_t i = 0; i < document->signatures; i++) {
		struct judged_signature *judged = &list->signature[i];
		struct bytes blob = {document->signature[i].blob, document->signature[i].length};
		const char *why = "";
		struct sshsig sig;

		if (sshsig_read(blob, &sig, &why) < 0) {
			does_not_count(judged, "%s", why);
			continue;
		}
		ssh_key_fingerprint(&sig.key, judged->fingerprint);
		judged->type = ssh_key_type_name(&sig.key);
		judge_key(document, &sig, signers, by, judged);
		if (judged->counts && is_counted(list, i, judged->principal)) {
			judged->counts = false;
			does_not_count(judged, "%s has signed already, and counts once",
				       judged->principal);
		}
		list->principals += judged->counts;
	}
}

/* ---- the order ------------------------------------------------------------------------------ */

static __attribute__((format(printf, 2, 3))) bool refuse(struct judgement *judgement,
							 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(judgement->why, sizeof(judgement->why), format, arguments);
	va_end(arguments);
	return false;
}

static bool time_is_good(const struct document *document, const struct judge_by *by,
			 struct judgement *judgement)
{
	char text[INSTANT_TEXT];

	if (!time_counts(document, by))
		return true;
	if (!by->clock_is_trusted)
		return refuse(judgement,
			      "the clock is not confirmed: until then only cuts are accepted");
	if (document->kind != ORDER_CUT && document->issued_ns > by->now_ns + JUDGE_AHEAD_NS)
		return refuse(judgement, "it is issued in the future: %s",
			      instant_format(document->issued_ns, text));
	if (document->until_ns && document->until_ns <= by->now_ns)
		return refuse(judgement, "it was over at %s",
			      instant_format(document->until_ns, text));
	return true;
}

static bool version_is_good(const struct document *document, const struct judge_by *by,
			    struct judgement *judgement)
{
	uint64_t version = document->version;

	switch (document->kind) {
	case ORDER_BASE:
	case ORDER_BEAT:
		return version > by->version ||
		       refuse(judgement,
			      "version %" PRIu64 " is not above %" PRIu64 ", which is in force",
			      version, by->version);
	case ORDER_SIGNERS:
		return version == by->version + 1 ||
		       refuse(judgement,
			      "version %" PRIu64 " does not follow %" PRIu64 ", which is in force",
			      version, by->version);
	default:
		return true;
	}
}

/* Behind the refusal, so that who reads only an acknowledgement learns it too. */
static void add_first_that_does_not_count(const struct judged_list *list, size_t count,
					  struct judgement *judgement)
{
	size_t used = strlen(judgement->why);

	for (size_t i = 0; i < count; i++) {
		const struct judged_signature *judged = &list->signature[i];

		if (judged->counts)
			continue;
		snprintf(judgement->why + used, sizeof(judgement->why) - used, "; %s%s%s",
			 judged->principal ? judged->principal : judged->fingerprint,
			 judged->principal || judged->fingerprint[0] ? ": " : "", judged->why);
		return;
	}
}

static bool has_enough(const struct judged_list *list, size_t count, const char *of,
		       struct judgement *judgement)
{
	unsigned int signed_by = list->principals;

	if (signed_by >= judgement->needed)
		return true;
	refuse(judgement, "signed by %u principal%s%s, and it takes %u", signed_by,
	       signed_by == 1 ? "" : "s", of, judgement->needed);
	add_first_that_does_not_count(list, count, judgement);
	return false;
}

void judge_document(const struct document *document, const struct judge_by *by,
		    struct judgement *judgement)
{
	bool is_signers = document->kind == ORDER_SIGNERS;

	*judgement = (struct judgement){.needed = by->needed ?: kind_principals(document->kind)};
	judge_list(document, by->signers, by, &judgement->current);
	if (is_signers)
		judge_list(document, &document->signers, by, &judgement->next);
	judgement->is_accepted =
		time_is_good(document, by, judgement) && version_is_good(document, by, judgement) &&
		has_enough(&judgement->current, document->signatures,
			   is_signers ? " of the list in force" : "", judgement) &&
		(!is_signers ||
		 has_enough(&judgement->next, document->signatures, " of the new list", judgement));
}
