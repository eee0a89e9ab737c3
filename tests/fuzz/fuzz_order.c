/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_order.c - orders, lists of signers and of revoked keys, and signatures of any bytes: read
 * whole or refused with a place in the text. The first byte says which it is.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/order/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fault is one line, about a place that is in the text, or just behind it. */
static void check_fault(const char *text, size_t size, int r, const struct order_fault *fault)
{
	size_t lines = 1;

	if (r == -ENOMEM)
		return;
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	if (r != -EBADMSG || fault->line < 1 || fault->line > lines || fault->column < 1 ||
	    fault->column > size + 1 || !*fault->text || strchr(fault->text, '\n'))
		abort();
}

/* No key is found under two names, and none is there that may sign nothing. */
static void check_signers(const struct signers *signers)
{
	for (size_t i = 0; i < signers->count; i++) {
		const struct signer *signer = &signers->item[i];

		if (signers_find(signers, &signer->key) != signer || !signer->namespaces ||
		    signer->after_ns >= signer->before_ns ||
		    strlen(signer->principal) > PRINCIPAL_MAX)
			abort();
	}
}

static void read_signers(const char *text, size_t size)
{
	struct order_fault fault = {0};
	struct signers signers;
	int r = signers_read(text, size, 1, &signers, &fault);

	if (r < 0) {
		check_fault(text, size, r, &fault);
		return;
	}
	check_signers(&signers);
	signers_free(&signers);
}

static void read_revoked(const char *text, size_t size)
{
	struct order_fault fault = {0};
	struct revoked revoked;
	int r = revoked_read(text, size, &revoked, &fault);

	if (r < 0) {
		check_fault(text, size, r, &fault);
		return;
	}
	for (size_t i = 0; i < revoked.count; i++) {
		if (revoked.item[i].blob && !revoked_has(&revoked, &revoked.item[i].key))
			abort();
	}
	revoked_free(&revoked);
}

static void read_signature(const uint8_t *data, size_t size)
{
	struct sshsig_digests digests = {0};
	const char *why = NULL;
	struct sshsig sig;

	if (sshsig_read((struct bytes){data, size}, &sig, &why) < 0 ||
	    sshsig_verify(&sig, &digests, &why) < 0) {
		if (!why || !*why)
			abort();
	}
}

/* By the key that signed what the corpus starts from. */
static void judge(const struct document *document)
{
	static const char list[] = "alice namespaces=\"cut@weir,beat@weir\" ssh-ed25519 "
				   "AAAAC3NzaC1lZDI1NTE5AAAAIPDHC0mRFI"
				   "9/a2jsyy5i+30C9cGkNgFpLq1n+OYGHwEp\n";
	static struct signers signers;
	struct judge_by by = {.signers = &signers, .now_ns = document->issued_ns};
	struct judgement judgement;
	struct order_fault fault;

	if (!signers.count && signers_read(list, strlen(list), 1, &signers, &fault) < 0)
		abort();
	by.clock_is_trusted = document->issued_ns & 1 << 30;
	judge_document(document, &by, &judgement);
	if (judgement.is_accepted != !*judgement.why)
		abort();
	for (size_t i = 0; i < document->signatures; i++) {
		if (judgement.current.signature[i].counts == !!*judgement.current.signature[i].why)
			abort();
	}
}

/* What it says is what the body says: the body alone is an order too, and the same one. */
static void read_document(const char *text, size_t size)
{
	struct document document, again;
	struct order_fault fault = {0};
	int r = document_read(text, size, &document, &fault);

	if (r < 0) {
		check_fault(text, size, r, &fault);
		return;
	}
	if (document.body_length > size || document.signatures > DOCUMENT_MAX_SIGNATURES ||
	    document_read(text, document.body_length, &again, &fault) < 0 || again.signatures ||
	    strcmp(document.id, again.id) != 0 || document.kind != again.kind ||
	    document.targets.count != again.targets.count)
		abort();
	if (document.until_ns && document.until_ns <= document.issued_ns)
		abort();
	for (size_t i = 0; i < document.targets.count; i++) {
		if (!document_is_target(document.targets.item[i]))
			abort();
	}
	check_signers(&document.signers);
	judge(&document);
	document_free(&again);
	document_free(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly its size: what is read behind its end is seen. */
	char *text = size > 1 ? malloc(size - 1) : NULL;

	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	switch (data[0]) {
	case 's':
		read_signers(text, size - 1);
		break;
	case 'r':
		read_revoked(text, size - 1);
		break;
	case 'b':
		read_signature((const uint8_t *)text, size - 1);
		break;
	default:
		read_document(text, size - 1);
	}
	free(text);
	return 0;
}
