/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ssh_key_type.h - inside ssh_key.c and ssh_verify.c: what a type of key is. */
#ifndef WEIR_SSH_KEY_TYPE_H
#define WEIR_SSH_KEY_TYPE_H

#include <openssl/evp.h>

#include "user/order/ssh_key.h"

enum ssh_algorithm { SSH_ED25519, SSH_P256, SSH_RSA };

struct ssh_key_type {
	const char *name;
	enum ssh_algorithm algorithm;
	bool is_security_key;
	/* What stands between the type and a security key's application. */
	int (*read)(struct bytes *wire, struct ssh_key *key, const char **why);
};

/* ssh_verify.c: the key as libcrypto has it; NULL when it takes it for none. EVP_PKEY_free(). */
EVP_PKEY *ssh_key_open(const struct ssh_key *key);

#endif
