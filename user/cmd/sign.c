/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sign.c - `weir sign FILE`: one more signature on an order. `ssh-keygen -Y sign` makes it, so that
 * keys in agents and on tokens can.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/cmd/keygen.h"
#include "user/cmd/order_file.h"
#include "user/order/tell.h"

/* What ssh-keygen made belongs to the text, and is of a key that has not signed yet. */
static int check_signature(const struct arguments *arguments, const struct document *document,
			   struct ssh_key *key)
{
	const struct document_signature *last = &document->signature[document->signatures - 1];
	struct sshsig sig, other;
	const char *why = "";

	if (sshsig_read((struct bytes){last->blob, last->length}, &sig, &why) < 0 ||
	    sshsig_verify(&sig, &document->digests, &why) < 0)
		return command_refuse(arguments, "this signature would not count: %s", why);
	for (const struct document_signature *old = document->signature; old < last; old++) {
		if (sshsig_read((struct bytes){old->blob, old->length}, &other, &why) == 0 &&
		    ssh_key_is_same(&sig.key, &other.key))
			return command_refuse(arguments, "%s: this key has signed it already",
					      arguments->item[0]);
	}
	*key = sig.key;
	return CMD_DONE;
}

/* A signature may take a minute, on a token that wants to be touched; another one may have been
 * appended meanwhile. */
static int replace(const char *path, const struct order_file *file, const char *text, size_t length)
{
	_cleanup_free_ char *now = NULL;
	size_t now_length;
	struct stat st;
	int r = file_read(path, DOCUMENT_MAX_BYTES, &now, &now_length);

	if (r == 0 && (now_length != file->length || memcmp(now, file->text, now_length) != 0))
		r = -ESTALE;
	if (r == 0 && stat(path, &st) < 0)
		r = -errno;
	return r < 0 ? r : file_write_atomic(path, text, length, st.st_mode & 07777);
}

static int append(const struct arguments *arguments, const struct order_file *file,
		  const char *signature, size_t signature_length)
{
	const char *path = arguments->item[0];
	size_t length = file->length + signature_length;
	_cleanup_free_ char *text = malloc(length + 1);
	char fingerprint[SSH_FINGERPRINT_TEXT];
	struct order_fault fault = {0};
	struct document document = {0};
	struct ssh_key key;
	int r = -ENOMEM, code;

	if (text) {
		memcpy(text, file->text, file->length);
		memcpy(text + file->length, signature, signature_length);
		r = document_read(text, length, &document, &fault);
	}
	if (r < 0)
		return command_refuse(arguments, "what ssh-keygen made cannot be appended: %s",
				      r == -EBADMSG ? fault.text : strerror(-r));
	code = check_signature(arguments, &document, &key);
	if (code == CMD_DONE) {
		r = replace(path, file, text, length);
		if (r < 0)
			code = command_refuse(arguments, "%s: %s", path,
					      r == -ESTALE ? "it changed while it was signed"
							   : strerror(-r));
		else
			printf("%s: signed by %s (%s), signature %zu\n", path,
			       ssh_key_fingerprint(&key, fingerprint), ssh_key_type_name(&key),
			       document.signatures);
	}
	document_free(&document);
	return code;
}

static int sign(const struct arguments *arguments, const struct order_file *file, const char *key)
{
	const struct document *document = &file->document;
	_cleanup_free_ char *signature = NULL;
	size_t length = 0;
	int r;

	if (document->signatures == DOCUMENT_MAX_SIGNATURES)
		return command_refuse(arguments, "%s: it has %d signatures, and no room for more",
				      arguments->item[0], DOCUMENT_MAX_SIGNATURES);
	order_tell(document, stdout);
	fflush(stdout);
	r = keygen_sign(key, namespace_name(kind_namespace(document->kind)), file->text,
			document->body_length, &signature, &length);
	if (r == -EPERM)
		return command_refuse(arguments, "ssh-keygen made no signature with %s", key);
	if (r < 0)
		return command_refuse(arguments, "ssh-keygen: %s", strerror(-r));
	return append(arguments, file, signature, length);
}

static int run(const struct arguments *arguments)
{
	const char *key = arguments_value(arguments, "--key");
	struct order_file file;
	int code;

	if (!key)
		return command_usage(arguments, "--key is missing");
	if (strcmp(arguments->item[0], "-") == 0)
		return command_usage(arguments, "the signature goes into FILE: \"-\" is none");
	code = order_file_read(arguments, arguments->item[0], &file);
	if (code == CMD_DONE)
		code = sign(arguments, &file, key);
	order_file_free(&file);
	return code;
}

const struct command command_sign = {
	.name = "sign",
	.arguments = "FILE",
	.help = "Append a signature to an order, made by ssh-keygen",
	.least = 1,
	.most = 1,
	.options =
		{
			{"--key", "FILE",
			 "the key; a public one when an agent has the private (required)", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
