/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* base64.c - base64 in its one strict form. */
#include "user/order/base64.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/* libcrypto forgives blanks and stray bits: what does not come out again as it went in is refused.
 */
int base64_decode(const char *text, size_t length, uint8_t *data, size_t *size)
{
	uint8_t decoded[BASE64_DATA(BASE64_MAX_TEXT)];
	char again[BASE64_MAX_TEXT + 1];
	int count;

	if (length > BASE64_MAX_TEXT)
		return -E2BIG;
	if (length == 0 || length % 4)
		return -EINVAL;
	count = EVP_DecodeBlock(decoded, (const unsigned char *)text, length);
	if (count < 0)
		return -EINVAL;
	count -= (text[length - 1] == '=') + (text[length - 2] == '='); /* its zeros count */
	if (EVP_EncodeBlock((unsigned char *)again, decoded, count) != (int)length ||
	    memcmp(again, text, length) != 0)
		return -EINVAL;
	memcpy(data, decoded, count);
	*size = count;
	return 0;
}
