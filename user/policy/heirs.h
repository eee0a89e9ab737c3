/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * heirs.h - whose the processes of a service are under another policy.
 */
#ifndef WEIR_HEIRS_H
#define WEIR_HEIRS_H

#include "user/policy/image.h"

/*
 * Sets heir[i] for each service i of `after` that some cgroup belongs to which under `before` is
 * the service's; heir[] has room for after->head.services. Of a built-in service it is that one:
 * whoever has no name has none by the policy in force. Exact but for paths deeper than
 * WEIR_PATH_DEPTH, which neither policy looks at.
 */
void image_heirs(const struct image *before, uint32_t service, const struct image *after,
		 bool *heir);

#endif
