/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * room.c - when a window has room again.
 */
#include "user/daemon/room.h"

uint64_t room_at(const struct weir_window *window, uint64_t limit_bytes, uint64_t bytes,
		 uint64_t now_ns)
{
	uint64_t used = window->used_bytes, at = now_ns;

	if (bytes > limit_bytes)
		return ROOM_NEVER;
	if (!window->slice_ns || window->head >= WEIR_SLICES)
		return now_ns;
	/* window_advance() drops a slice of age a once WEIR_SLICES - a slices began after it: the
	 * oldest first, and an empty one frees nothing */
	for (unsigned age = WEIR_SLICES; age-- > 0 && used > limit_bytes - bytes;) {
		uint64_t slice = window->slice[(window->head + WEIR_SLICES - age) % WEIR_SLICES];
		uint64_t end = window->slice_start_ns + (WEIR_SLICES - age) * window->slice_ns;

		if (!slice)
			continue;
		used -= slice < used ? slice : used;
		at = (int64_t)(end - now_ns) > 0 ? end : now_ns;
	}
	return at;
}
