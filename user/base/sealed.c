/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sealed.c - state files whose second line is a digest of the first. */
#include "user/base/sealed.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"

enum { SEAL_TEXT = 96 };

static int seal_of(const char *text, size_t length, char seal[SEAL_TEXT])
{
	char text_of_digest[HEX_TEXT(32)];
	uint8_t digest[32];

	if (!EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL))
		return -EIO;
	snprintf(seal, SEAL_TEXT, "{\"sha256\":\"%s\"}\n",
		 hex_format(digest, sizeof(digest), text_of_digest));
	return 0;
}

int sealed_write(const char *path, const char *text, size_t length)
{
	_cleanup_free_ char *all = malloc(length + SEAL_TEXT);
	char seal[SEAL_TEXT];
	int r = all ? seal_of(text, length, seal) : -ENOMEM;

	if (r < 0)
		return r;
	memcpy(all, text, length);
	memcpy(all + length, seal, strlen(seal));
	return file_write_atomic(path, all, length + strlen(seal), 0640);
}

/* *length becomes that of the first line, without its end. */
static int check_seal(const char *text, size_t *length)
{
	const char *end = memchr(text, '\n', *length);
	size_t first = end ? (size_t)(end + 1 - text) : *length, behind = *length - first;
	char seal[SEAL_TEXT];
	int r = seal_of(text, first, seal);

	if (r == 0 && behind && (behind != strlen(seal) || memcmp(text + first, seal, behind)))
		r = -EBADMSG;
	*length = end ? first - 1 : first;
	return r;
}

int sealed_read(const char *path, size_t max, char **text, size_t *length)
{
	_cleanup_free_ char *all = NULL;
	int r = file_read(path, max, &all, length);

	if (r == 0)
		r = check_seal(all, length);
	if (r < 0)
		return r;
	all[*length] = '\0';
	*text = TAKE_PTR(all);
	return 0;
}
