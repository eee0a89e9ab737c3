/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * notify.h - tells the service manager how the daemon is: sd_notify(3), a datagram to the socket
 * that it named. Without a service manager nobody is told.
 */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STATUS=...": lines without the last newline. */
void notify(const char *lines);

/* How often the service manager wants "WATCHDOG=1" at least, in ns; 0: not at all. */
uint64_t notify_watchdog_ns(void);

#endif
