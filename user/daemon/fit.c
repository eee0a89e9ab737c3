/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fit.c - when a packet that was held will fit again.
 */
#include "user/daemon/fit.h"

uint64_t window_fits_at(const struct weir_window *window, uint64_t limit_bytes, uint64_t bytes,
			uint64_t now_ns)
{
	uint64_t used = 0;

	if (bytes > limit_bytes || window->slice_ns == 0 || window->head >= WEIR_SLICES)
		return bytes > limit_bytes ? UINT64_MAX : now_ns;
	for (unsigned i = 0; i < WEIR_SLICES; i++)
		used += window->slice[i];
	if (used + bytes <= limit_bytes)
		return now_ns;
	/* The slice behind the head is the oldest, and goes first. */
	for (unsigned step = 1; step <= WEIR_SLICES; step++) {
		unsigned index = (window->head + step) % WEIR_SLICES;
		uint64_t at = window->slice_start_ns + step * window->slice_ns;

		used -= window->slice[index];
		if (used + bytes <= limit_bytes)
			return at > now_ns ? at : now_ns;
	}
	return now_ns;
}
