/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * room.h - when a window has room again. Pure arithmetic.
 */
#ifndef WEIR_ROOM_H
#define WEIR_ROOM_H

#include <stdint.h>

#include "bpf/abi.h"

#define ROOM_NEVER UINT64_MAX

/*
 * The earliest moment (boot, ns), not before `now_ns`, at which `bytes` fit into a window that may
 * hold `limit_bytes`, when nothing else is charged meanwhile. Exact: bpf/meter.bpf.h refuses a
 * nanosecond earlier. ROOM_NEVER: they are more than the limit. A window that is not in use has
 * room.
 */
uint64_t room_at(const struct weir_window *window, uint64_t limit_bytes, uint64_t bytes,
		 uint64_t now_ns);

#endif
