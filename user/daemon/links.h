/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* links.h - what /sys/class/net says of the network's interfaces. */
#ifndef WEIR_LINKS_H
#define WEIR_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/policy/policy.h"

/* What they carry together, in bytes a second; of none: of every physical one. 0: not known. */
uint64_t links_speed(char *const *uplinks, size_t count);

/* Whether each is there under this very name, and nothing else stands on it; true for none. */
bool links_are_plain(const struct names *uplinks);

#endif
