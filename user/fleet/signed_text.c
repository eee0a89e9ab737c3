/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* signed_text.c - what a host says of itself, signed and verified. */
#include "user/fleet/signed_text.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/fleet/problem.h"
#include "user/order/sshsig.h"

#define MAGIC	 "SSHSIG" /* without its NUL */
#define KEY_TYPE "ssh-ed25519"

enum { RAW_KEY = 32, RAW_SIGNATURE = 64, ARMOR_WIDTH = 70, MAX_BLOB = 512 };

/* ---- the key -------------------------------------------------------------------------------- */

/* Never asks for one: an agent has no terminal. */
static int no_passphrase(char *text, int size, int is_writing, void *data)
{
	(void)text;
	(void)size;
	(void)is_writing;
	(void)data;
	return -1;
}

static int open_private(const char *path, FILE **file, char **problem)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return problem_set(problem, -errno, "%s: %s", path, strerror(errno));
	if (st.st_mode & 07)
		return problem_set(problem, -EPERM, "%s: others may read it: chmod o= it", path);
	*file = fdopen(fd, "r");
	if (!*file)
		return problem_set(problem, -errno, "%s: %s", path, strerror(errno));
	TAKE_FD(fd);
	return 0;
}

int host_key_load(const char *path, struct host_key *key, char **problem)
{
	_cleanup_fclose_ FILE *file = NULL;
	uint8_t raw[RAW_KEY];
	size_t length = sizeof(raw);
	int r = open_private(path, &file, problem);

	if (r < 0)
		return r;
	key->key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	if (!key->key)
		return problem_set(problem, -EBADMSG,
				   "%s: no private key in PEM, or one with a passphrase", path);
	if (EVP_PKEY_get_id(key->key) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(key->key, raw, &length) != 1 || length != RAW_KEY) {
		host_key_free(key);
		return problem_set(problem, -EBADMSG, "%s: no Ed25519 key", path);
	}
	wire_put_string(wire_put_string(key->blob, KEY_TYPE, strlen(KEY_TYPE)), raw, length);
	return 0;
}

void host_key_free(struct host_key *key)
{
	EVP_PKEY_free(key->key);
	*key = (struct host_key){0};
}

/* ---- making --------------------------------------------------------------------------------- */

/* PROTOCOL.sshsig section 3: what the key signs. */
static size_t put_signed(const char *in, const uint8_t sha512[64], uint8_t data[MAX_BLOB])
{
	uint8_t *to = data;

	memcpy(to, MAGIC, strlen(MAGIC));
	to = wire_put_string(to + strlen(MAGIC), in, strlen(in));
	to = wire_put_string(to, "", 0);
	to = wire_put_string(to, "sha512", 6);
	return wire_put_string(to, sha512, 64) - data;
}

/* PROTOCOL.sshsig section 2. */
static size_t put_blob(const struct host_key *key, const char *in, const uint8_t *raw,
		       uint8_t blob[MAX_BLOB])
{
	uint8_t signature[4 + sizeof(KEY_TYPE) - 1 + 4 + RAW_SIGNATURE], *to;

	to = wire_put_string(signature, KEY_TYPE, strlen(KEY_TYPE));
	to = wire_put_string(to, raw, RAW_SIGNATURE);
	memcpy(blob, MAGIC, strlen(MAGIC));
	to = wire_put_uint32(blob + strlen(MAGIC), 1);
	to = wire_put_string(to, key->blob, sizeof(key->blob));
	to = wire_put_string(to, in, strlen(in));
	to = wire_put_string(to, "", 0);
	to = wire_put_string(to, "sha512", 6);
	return wire_put_string(to, signature, sizeof(signature)) - blob;
}

static int sign(const struct host_key *key, const uint8_t *data, size_t length,
		uint8_t raw[RAW_SIGNATURE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = RAW_SIGNATURE;
	bool is_good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->key) == 1 &&
		       EVP_DigestSign(context, raw, &size, data, length) == 1 &&
		       size == RAW_SIGNATURE;

	EVP_MD_CTX_free(context);
	return is_good ? 0 : -EIO;
}

static void armor(FILE *out, const uint8_t *blob, size_t length)
{
	char base64[4 * (MAX_BLOB / 3 + 1) + 1];
	int size = EVP_EncodeBlock((unsigned char *)base64, blob, (int)length);

	fputs(SSHSIG_BEGIN "\n", out);
	for (int at = 0; at < size; at += ARMOR_WIDTH)
		fprintf(out, "%.*s\n", ARMOR_WIDTH, base64 + at);
	fputs(SSHSIG_END "\n", out);
}

int signed_text_make(const struct host_key *key, const char *in, const char *body, char **text,
		     size_t *length)
{
	uint8_t data[MAX_BLOB], raw[RAW_SIGNATURE], blob[MAX_BLOB];
	struct sshsig_digests digests;
	FILE *out;
	int r = sshsig_digest(body, strlen(body), &digests);

	if (r == 0)
		r = sign(key, data, put_signed(in, digests.sha512, data), raw);
	if (r < 0)
		return r;
	*text = NULL;
	out = open_memstream(text, length);
	if (!out)
		return -ENOMEM;
	fputs(body, out);
	armor(out, blob, put_blob(key, in, raw, blob));
	if (fclose(out) == 0)
		return 0;
	free(*text);
	return -ENOMEM;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* One signature, and then the end. */
static int read_signature(struct lines *lines, uint8_t blob[SSHSIG_MAX_BYTES], size_t *length,
			  const char **why)
{
	struct order_fault fault;
	struct line line;

	if (sshsig_unarmor(lines, blob, length, &fault) < 0)
		return ssh_refuse(why, "its signature is malformed");
	if (lines_next(lines, &line))
		return ssh_refuse(why, "something stands behind its signature");
	return 0;
}

static int verify(const char *text, size_t length, struct bytes blob, const struct ssh_key *key,
		  const char *in, const char **why)
{
	struct sshsig_digests digests;
	struct sshsig sig;

	if (sshsig_read(blob, &sig, why) < 0)
		return -EBADMSG;
	if (!bytes_equal(sig.key.blob, key->blob))
		return ssh_refuse(why, "it is signed with another key than this host's");
	if (!bytes_are(sig.in, in))
		return ssh_refuse(why, "it is signed in another namespace");
	if (sshsig_digest(text, length, &digests) < 0)
		return ssh_refuse(why, "libcrypto failed");
	return sshsig_verify(&sig, &digests, why);
}

int signed_text_open(const char *text, size_t length, const struct ssh_key *key, const char *in,
		     size_t *body_length, const char **why)
{
	struct lines lines = {text, text + length, 1};
	uint8_t blob[SSHSIG_MAX_BYTES];
	struct order_fault fault;
	struct line line;
	size_t size;

	if (length > SIGNED_TEXT_MAX)
		return ssh_refuse(why, "it is too long");
	if (lines_check(text, length, 1, &fault) < 0)
		return ssh_refuse(why, "it is no text");
	while (lines_peek(&lines, &line) && !line_is(&line, SSHSIG_BEGIN))
		lines_next(&lines, &line);
	if (lines.at == lines.end)
		return ssh_refuse(why, "it is not signed");
	*body_length = lines.at - text;
	if (read_signature(&lines, blob, &size, why) < 0)
		return -EBADMSG;
	return verify(text, *body_length, (struct bytes){blob, size}, key, in, why);
}
