/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * instant.h - moments in UTC, as signed texts write them.
 *
 * Nothing here depends on the host's zone: the same text is the same moment on every host.
 */
#ifndef WEIR_INSTANT_H
#define WEIR_INSTANT_H

#include <stdint.h>

enum { INSTANT_TEXT = 24 };

/* RFC 3339 section 5.6 in one form, "2026-11-26T15:04:05Z". Wall time in ns. -EINVAL for another
 * form, a day or hour that does not exist (no leap seconds), or a year before 1970 or after 2499.
 */
int instant_parse(const char *text, uint64_t *wall_ns);

/* ssh-keygen(1), ALLOWED SIGNERS: YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ. The form without Z,
 * which is in the host's zone, is refused. -EINVAL. */
int instant_parse_ssh(const char *text, uint64_t *wall_ns);

/* As instant_parse() reads it, rounded down to whole seconds. Returns `text`. */
const char *instant_format(uint64_t wall_ns, char text[INSTANT_TEXT]);

#endif
