/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* keygen.h - ssh-keygen(1) as a process, which has the ways to keys, agents and tokens. */
#ifndef WEIR_KEYGEN_H
#define WEIR_KEYGEN_H

#include <stddef.h>

/*
 * Runs `ssh-keygen -Y sign` over a text, in a private directory below TMPDIR (or /tmp) that is gone
 * afterwards, also after a signal. It may ask on the terminal. `*signature` is armored text,
 * malloc'd. 0; -EPERM when ssh-keygen failed, which it told on stderr itself; -ENOENT when there is
 * none; -errno.
 */
int keygen_sign(const char *key, const char *in, const char *text, size_t length, char **signature,
		size_t *signature_length);

#endif
