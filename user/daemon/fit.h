/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fit.h - when a packet that was held will fit again.
 */
#ifndef WEIR_FIT_H
#define WEIR_FIT_H

#include <stdint.h>

#include "bpf/abi.h"

/*
 * The earliest boot time at which `bytes` more fit under `limit_bytes` if nothing else is sent, by
 * the slices of bpf/meter.bpf.h: a slice leaves when the ring's head comes round to it. `now_ns`
 * when they fit already; UINT64_MAX when they never will.
 */
uint64_t window_fits_at(const struct weir_window *window, uint64_t limit_bytes, uint64_t bytes,
			uint64_t now_ns);

#endif
