/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sshsig.c - signatures as `ssh-keygen -Y sign` makes them. */
#include "user/order/sshsig.h"

#include <openssl/evp.h>

#include "user/order/base64.h"

#define MAGIC "SSHSIG" /* without its NUL */

enum {
	MAGIC_LENGTH = sizeof(MAGIC) - 1,
	VERSION = 1,
	LONGEST_NAMESPACE = 64,
	WIDEST_LINE = 76, /* PROTOCOL.sshsig section 1 */
};

int sshsig_digest(const void *text, size_t length, struct sshsig_digests *digests)
{
	struct sshsig_digests made;

	if (!EVP_Digest(text, length, made.sha256, NULL, EVP_sha256(), NULL) ||
	    !EVP_Digest(text, length, made.sha512, NULL, EVP_sha512(), NULL))
		return -EIO;
	*digests = made;
	return 0;
}

/* ---- armor ---------------------------------------------------------------------------------- */

/* The base64 between the two lines, put together. The width of the first line is all others', but
 * for a last one that is shorter. */
static int gather(struct lines *lines, uint32_t begin, char *text, size_t *length,
		  struct order_fault *fault)
{
	size_t width = 0, used = 0;
	struct line line;
	bool is_last = false;

	while (lines_next(lines, &line)) {
		if (line_is(&line, SSHSIG_END)) {
			*length = used;
			return 0;
		}
		if (width == 0)
			width = line.length;
		if (is_last || line.length == 0 || line.length > width || line.length > WIDEST_LINE)
			return order_fault_set(fault, line.number, 1,
					       "in a signature all lines but the last are of one "
					       "width, at most %d",
					       WIDEST_LINE);
		is_last = line.length < width;
		if (used + line.length > SSHSIG_MAX_BYTES / 3 * 4)
			return order_fault_set(fault, line.number, 1, "the signature is too long");
		memcpy(text + used, line.text, line.length);
		used += line.length;
	}
	return order_fault_set(fault, begin, 1, "the signature has no end: %s", SSHSIG_END);
}

int sshsig_unarmor(struct lines *lines, uint8_t *blob, size_t *length, struct order_fault *fault)
{
	char text[BASE64_MAX_TEXT];
	uint8_t data[BASE64_DATA(BASE64_MAX_TEXT)];
	size_t text_length = 0, size;
	uint32_t begin = lines->number;
	struct line line;
	int r;

	if (!lines_next(lines, &line) || !line_is(&line, SSHSIG_BEGIN))
		return order_fault_set(fault, begin, 1, "here a signature begins: %s",
				       SSHSIG_BEGIN);
	r = gather(lines, begin, text, &text_length, fault);
	if (r < 0)
		return r;
	if (base64_decode(text, text_length, data, &size) < 0 || size > SSHSIG_MAX_BYTES)
		return order_fault_set(fault, begin + 1, 1, "the signature is not base64");
	memcpy(blob, data, size);
	*length = size;
	return 0;
}

/* ---- blob ----------------------------------------------------------------------------------- */

/* PROTOCOL.sshsig section 2 */
int sshsig_read(struct bytes blob, struct sshsig *sig, const char **why)
{
	struct bytes wire = blob, magic, key, reserved;
	struct sshsig found;
	uint32_t version;
	int r;

	if (!wire_bytes(&wire, MAGIC_LENGTH, &magic) || !bytes_are(magic, MAGIC) ||
	    !wire_uint32(&wire, &version))
		return ssh_refuse(why, "this is no SSH signature");
	if (version != VERSION)
		return ssh_refuse(why, "the signature is not of version 1");
	if (!wire_string(&wire, &key) || !wire_string(&wire, &found.in) ||
	    !wire_string(&wire, &reserved) || !wire_string(&wire, &found.hash) ||
	    !wire_string(&wire, &found.signature))
		return ssh_refuse(why, "the signature is cut short");
	if (wire.length)
		return ssh_refuse(why, "something stands behind the signature");
	if (found.in.length == 0 || found.in.length > LONGEST_NAMESPACE)
		return ssh_refuse(why, "the signature's namespace is empty or too long");
	if (reserved.length)
		return ssh_refuse(why, "the signature says something that this weir does not know");
	if (!bytes_are(found.hash, "sha512") && !bytes_are(found.hash, "sha256"))
		return ssh_refuse(why, "the signature is neither over SHA-256 nor over SHA-512");
	r = ssh_key_read(key, &found.key, why);
	if (r < 0)
		return r;
	*sig = found;
	return 0;
}

/* PROTOCOL.sshsig section 3 */
int sshsig_verify(const struct sshsig *sig, const struct sshsig_digests *digests, const char **why)
{
	uint8_t data[MAGIC_LENGTH + 4 + LONGEST_NAMESPACE + 4 + 4 + 6 + 4 + 64], *to = data;

	memcpy(to, MAGIC, MAGIC_LENGTH);
	to += MAGIC_LENGTH;
	to = wire_put_string(to, sig->in.data, sig->in.length);
	to = wire_put_string(to, "", 0); /* reserved */
	to = wire_put_string(to, sig->hash.data, sig->hash.length);
	if (bytes_are(sig->hash, "sha256"))
		to = wire_put_string(to, digests->sha256, sizeof(digests->sha256));
	else
		to = wire_put_string(to, digests->sha512, sizeof(digests->sha512));
	return ssh_key_verify(&sig->key, sig->signature, (struct bytes){data, to - data}, why);
}
